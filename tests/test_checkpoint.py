"""Checkpoints: MatConvNet's are read whole, ours are what MatConvNet would have written, damaged ones are passed over."""

import warnings

import numpy as np
import pytest

from dagnet.dagnn import DagNN
from dagnet.files import checkpoint, level5writer, matfile, matvalues
from dagnet.layers import bnorm, conv, loss
from tests.conftest import golden_file
from tests.values import differences, octave, same

FROM_BETA23 = ["beta23", "beta25", "master"]


@pytest.fixture
def net(rng) -> DagNN:
    net = DagNN()
    net.add_layer("conv", conv.Conv([3, 3, 2, 4]), "input", "x1", ["convf", "convb"])
    net.add_layer("bn", bnorm.BatchNorm(4), "x1", "x2", ["bnm", "bnb", "bnx"])
    net.add_layer("score", conv.Conv([1, 1, 4, 1]), "x2", "x3", ["scoref", "scoreb"])
    net.add_layer("objective", loss.Loss(), ["x3", "label"], "objective")
    net.init_params(rng)
    return net


@pytest.fixture
def state(net, rng) -> dict:
    return {n: rng.standard_normal(p.value.shape).astype(np.float32) for n, p in net.params.items() if n != "bnx"}


STATS = {
    "train": [
        {"num": 6.0, "time": 0.5, "objective": np.float32(0.75), "acc": np.array([[0.5], [0.25]])} for _ in range(3)
    ],
    "val": [{"num": 2.0, "time": 0.1, "objective": np.float32(0.8), "acc": np.array([[0.5], [0.2]])} for _ in range(3)],
}


def quietly(path) -> checkpoint.Checkpoint:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return checkpoint.load(path)


# ---------------------------------------------------------------- MatConvNet's


@pytest.mark.parametrize("release", FROM_BETA23)
def test_a_checkpoint_of_matconvnet_tells_net_momentum_and_statistics(release):
    path = golden_file(f"releases/{release}/net-epoch-2.mat")
    state = matfile.read(path)["state"]
    read = checkpoint.load(path)
    assert read.epoch == 2
    assert len(read.net.layers) == 12
    assert set(read.net.params) - set(read.state) == {"bn1x", "bn2x"}  # moments have none
    for name, memory in zip(read.net.params, matvalues.items(next(iter(state.values()))), strict=True):
        if name in read.state:
            assert same(read.state[name], memory)
            assert read.state[name].shape == read.net.params[name].value.shape
    assert list(read.stats["train"][0]) == ["num", "time", "objective", "error"]
    assert read.stats["val"][1]["num"] == 2
    assert read.stats["val"][1]["objective"].dtype == np.float32


@pytest.mark.parametrize("release", ["beta18", "beta20"])
def test_checkpoints_of_before_beta21_have_no_state(release):
    read = checkpoint.load(golden_file(f"releases/{release}/net-epoch-2.mat"))
    assert read.state == {}
    assert read.epoch == 2


def test_a_state_or_network_too_large_for_version_7_makes_the_checkpoint_one_of_version_73(
    net, state, tmp_path, monkeypatch
):
    monkeypatch.setattr(level5writer, "LARGEST", 4000)
    checkpoint.save(tmp_path / "a.mat", net, state, STATS)
    assert matfile.version(tmp_path / "a.mat") == "7.3"
    assert differences(checkpoint.load(tmp_path / "a.mat").state, state) == []


def test_a_long_training_of_matlab_is_read_and_written_back_bit_for_bit(data_dir, tmp_path):
    path = data_dir / "networks/lapsrn_text_net-epoch-995.mat"
    read = quietly(path)
    assert read.epoch == 995
    assert len(read.state) == 27
    assert read.stats["train"][-1]["level1_L1_loss"] == np.float32(285.5552)
    checkpoint.save(tmp_path / "a.mat", read.net, read.state, read.stats)
    before, after = matfile.read(path), matfile.read(tmp_path / "a.mat")
    assert list(after) == ["net", "state", "stats"]
    for name in after:
        assert same(after[name], before[name]), name


@pytest.mark.parametrize("version", ["7", "7.3"])
@pytest.mark.parametrize("release", ["beta18", "beta20", *FROM_BETA23])
def test_a_checkpoint_of_any_release_is_written_back_bit_for_bit(tmp_path, release, version):
    path = golden_file(f"releases/{release}/net-epoch-2.mat")
    read = checkpoint.load(path)
    checkpoint.save(tmp_path / "a.mat", read.net, read.state, read.stats, state_field=read.state_field, version=version)
    assert matfile.version(tmp_path / "a.mat") == version
    again, written = matfile.read(tmp_path / "a.mat"), matfile.read(path)
    assert set(again) == set(written)
    assert [line for name in again for line in differences(again[name], written[name], name)] == []


def test_a_checkpoint_becomes_another_releases(tmp_path):
    read = checkpoint.load(golden_file("releases/beta25/net-epoch-2.mat"))
    checkpoint.save(tmp_path / "a.mat", read.net, read.state, read.stats, state_field="momentum", release="beta23")
    again, right = matfile.read(tmp_path / "a.mat"), matfile.read(golden_file("releases/beta23/net-epoch-2.mat"))
    assert list(again["state"]) == list(right["state"])
    for ours, theirs in zip(again["net"]["layers"], right["net"]["layers"], strict=True):
        assert differences(ours, theirs) == []


def test_a_simplenns_checkpoint_gives_its_momentum_to_the_dagnns_parameters(data_dir):
    path = data_dir / "networks/oneclick_mnist_net-epoch-50.mat"
    read = checkpoint.load(path)
    cells = matvalues.items(matfile.read(path)["state"]["solverState"])
    assert read.epoch == 50
    assert list(read.state) == list(read.net.params)
    assert same(read.state["layer4b"], matvalues.items(cells[3])[1])
    assert read.stats["val"][-1]["top1err"] == pytest.approx(0.00389105)


def test_momentum_that_old_releases_kept_in_a_simplenns_layers_is_its_state(data_dir):
    path = data_dir / "networks/text_small_net-epoch-1.mat"
    read, layers = quietly(path), matvalues.items(matfile.read(path)["net"]["layers"])
    assert list(read.state) == list(read.net.params) and len(read.state) == 6
    assert same(read.state["conv2f"], matvalues.items(layers[2]["momentum"])[0])
    assert read.state["predictionf"].shape == read.net.params["predictionf"].value.shape == (3, 3, 32, 1)


def test_the_info_of_older_files_becomes_statistics(data_dir):
    read = quietly(data_dir / "networks/text_small_net-epoch-1.mat")
    assert read.epoch == 1
    assert read.stats["train"] == [{"speed": pytest.approx(108.998, abs=1e-3), "objective": pytest.approx(0.022261)}]


def test_an_info_without_validation_tells_of_none(net, tmp_path):
    checkpoint.save(tmp_path / "a.mat", net, {}, {"train": [], "val": []})
    values = matfile.read(tmp_path / "a.mat")
    del values["stats"]
    matfile.write(tmp_path / "a.mat", values | {"info": {"train": {"objective": np.array([[2.0, 1.0]])}}})
    assert checkpoint.load(tmp_path / "a.mat").stats == {"train": [{"objective": 2.0}, {"objective": 1.0}], "val": []}


# ---------------------------------------------------------------- ours


@pytest.mark.parametrize("version", ["7", "7.3"])
def test_load_of_save_is_the_identity(net, state, tmp_path, version):
    checkpoint.save(tmp_path / "net-epoch-3.mat", net, state, STATS, version=version)
    read = checkpoint.load(tmp_path / "net-epoch-3.mat")
    assert read.epoch == 3
    assert (
        differences({n: p.value for n, p in read.net.params.items()}, {n: p.value for n, p in net.params.items()}) == []
    )
    assert differences(read.state, state) == []
    assert all(value.flags.c_contiguous for value in read.state.values())
    assert read.state["scoreb"].shape == (1, 1)
    arrays = {kind: [{k: np.asarray(v) for k, v in r.items()} for r in STATS[kind]] for kind in STATS}
    for kind, records in arrays.items():
        for ours, right in zip(read.stats[kind], records, strict=True):
            assert differences({k: np.asarray(v) for k, v in ours.items()}, right) == []


def test_a_momentum_that_is_0_is_no_missing_one(net, tmp_path):
    state = {n: np.zeros_like(p.value) for n, p in net.params.items() if n != "bnx"}
    checkpoint.save(tmp_path / "a.mat", net, state, STATS)
    assert differences(checkpoint.load(tmp_path / "a.mat").state, state) == []


def test_statistics_of_any_class_come_back(net, tmp_path):
    record = {
        "num": 6.0,
        "cell": matvalues.row(["one"]),
        "row": np.array([[1.0, 2.0]], np.float32),
        "flag": np.bool_(True),
        "none": np.zeros((0, 0)),
        "text": "x",
    }
    checkpoint.save(tmp_path / "a.mat", net, {}, {"train": [record, record], "val": []})
    read = checkpoint.load(tmp_path / "a.mat").stats
    checkpoint.save(tmp_path / "b.mat", net, {}, read)
    again, before = (matfile.read(tmp_path / name)["stats"] for name in ("b.mat", "a.mat"))
    assert differences(again, before) == []
    assert differences(read["train"][1]["cell"], record["cell"]) == []
    assert (read["train"][1]["flag"], read["train"][1]["num"]) == (np.True_, 6.0)


@pytest.mark.parametrize("version", ["7", "7.3"])
def test_other_solvers_memory_comes_back_too(net, tmp_path, version):
    adam = {"m": np.ones((4, 1), np.float32), "v": np.full((4, 1), 2, np.float32), "t": np.full((1, 1), 7.0)}
    adadelta = {"g_sqr": np.ones((3, 3, 2, 4), np.float32), "delta_sqr": np.zeros((3, 3, 2, 4), np.float32)}
    checkpoint.save(tmp_path / "a.mat", net, {"convf": adadelta, "convb": adam}, STATS, version=version)
    assert differences(checkpoint.load(tmp_path / "a.mat").state, {"convf": adadelta, "convb": adam}) == []


def test_a_net_without_statistics_yet_is_a_whole_checkpoint(net, tmp_path):
    checkpoint.save(tmp_path / "a.mat", net, {}, {"train": [], "val": []})
    read = checkpoint.load(tmp_path / "a.mat")
    assert (read.epoch, read.state) == (0, {})


def test_octave_reads_a_checkpoint_with_the_right_classes(net, state, tmp_path):
    checkpoint.save(tmp_path / "a.mat", net, state, STATS)
    said = octave(
        "load('a.mat'); printf('%s\\n', class(net.layers), class(state.solverState), num2str(size(state.solverState)), "
        "class(state.solverState{1}), num2str(size(state.solverState{1})), num2str(state.solverState{5}), "
        "num2str(size(stats.train)), class(stats.val(3).objective), num2str([stats.train.num]), "
        "num2str(state.stats.val.acc'), strjoin(fieldnames(stats.train)', ' '))",
        tmp_path,
    )
    assert said.split("\n")[:-1] == [
        "struct",
        "cell",
        "1  7",
        "single",
        "3  3  2  4",
        "0",
        "1  3",
        "single",
        "6  6  6",
        "0.5         0.2",
        "num time objective acc",
    ]


def test_the_profile_stands_beside_what_matlab_reads(net, state, tmp_path):
    checkpoint.save(tmp_path / "a.mat", net, state, STATS, profile="beta20", state_field="momentum")
    assert list(matfile.read(tmp_path / "a.mat")) == ["net", "state", "dagnet", "stats"]
    read = checkpoint.load(tmp_path / "a.mat")
    assert read.profile == "beta20" and same(read.state["convf"], state["convf"])
    said = octave(  # as cnn_train_dag loads it
        "load('a.mat', 'net', 'state', 'stats'); printf('%s ', who{:}); printf('%s ', fieldnames(state){:})", tmp_path
    )
    assert sorted(said.split()) == sorted(["net", "state", "stats", "momentum", "stats"])


def test_a_release_without_state_writes_none_and_an_empty_one_is_matlabs(net, tmp_path):
    checkpoint.save(tmp_path / "a.mat", net, {}, STATS, state_field=None)
    checkpoint.save(tmp_path / "b.mat", net, None, STATS)
    assert list(matfile.read(tmp_path / "a.mat")) == ["net", "stats"]
    assert same(matfile.read(tmp_path / "b.mat")["state"]["solverState"], np.zeros((0, 0)))
    assert checkpoint.load(tmp_path / "a.mat").state == checkpoint.load(tmp_path / "b.mat").state == {}


def test_statistics_of_a_later_epoch_take_the_first_ones_order(net, tmp_path):
    """As where a training of beta18 is gone on with: its records end with num and time."""
    stats = {"train": [{"objective": 1.0, "num": 2.0}, {"num": 3.0, "objective": 4.0}], "val": []}
    checkpoint.save(tmp_path / "a.mat", net, {}, stats)
    assert matfile.read(tmp_path / "a.mat")["stats"]["train"].fields == ("objective", "num")
    assert [r["num"] for r in checkpoint.load(tmp_path / "a.mat").stats["train"]] == [2, 3]


def test_epochs_with_different_statistics_are_refused(net, tmp_path):
    stats = {"train": [{"num": 1.0}, {"num": 1.0, "objective": 0.5}], "val": []}
    with pytest.raises(ValueError, match=r"stats: each epoch must have the same statistics, as the first one has num"):
        checkpoint.save(tmp_path / "a.mat", net, {}, stats)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- finding the last one


def test_the_newest_checkpoint_is_found_by_its_number(net, tmp_path):
    assert checkpoint.load_last(tmp_path / "none") is None
    assert checkpoint.load_last(tmp_path) is None
    for epoch in (2, 10, 9):
        checkpoint.save(checkpoint.path_of(tmp_path, epoch), net, {}, STATS)
    (tmp_path / "net-epoch-11.mat.part").write_text("")
    (tmp_path / "best-net-epoch-12.mat").write_text("")
    path, read = checkpoint.load_last(tmp_path)
    assert path == tmp_path / "net-epoch-10.mat" == checkpoint.all_in(tmp_path)[0]
    assert all(same(read.net.params[n].value, p.value) for n, p in net.params.items())


def test_damaged_and_partial_checkpoints_are_passed_over_with_a_warning_that_names_them(net, tmp_path):
    for epoch in (1, 2, 3):
        checkpoint.save(checkpoint.path_of(tmp_path, epoch), net, {}, STATS)
    whole = (tmp_path / "net-epoch-3.mat").read_bytes()
    (tmp_path / "net-epoch-3.mat").write_bytes(whole[: len(whole) // 2])
    matfile.write(tmp_path / "net-epoch-2.mat", {"net": matfile.read(tmp_path / "net-epoch-2.mat")["net"]})
    with pytest.warns(UserWarning) as caught:
        path, _ = checkpoint.load_last(tmp_path)
    assert path == tmp_path / "net-epoch-1.mat"
    assert "net-epoch-3.mat: the file is damaged or cut short" in str(caught[0].message)
    assert "net-epoch-2.mat: it holds no net, or no stats" in str(caught[1].message)


def test_a_flipped_bit_is_damage(net, tmp_path):
    path = checkpoint.path_of(tmp_path, 1)
    checkpoint.save(path, net, {}, STATS)
    content, value = path.read_bytes(), net.params["convf"].value.tobytes(order="F")
    at = content.index(value[:64])
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.warns(UserWarning, match=r"net-epoch-1\.mat: the file is damaged"):
        assert checkpoint.load_last(tmp_path) is None


def test_a_whole_checkpoint_that_cannot_be_used_is_not_passed_over(net, tmp_path):
    checkpoint.save(checkpoint.path_of(tmp_path, 1), net, {}, STATS)
    checkpoint.save(checkpoint.path_of(tmp_path, 2), net, {}, STATS)
    values = matfile.read(tmp_path / "net-epoch-2.mat")
    values["state"]["solverState"] = matvalues.row([1.0])
    matfile.write(tmp_path / "net-epoch-2.mat", values)
    with pytest.raises(ValueError, match=r"net-epoch-2\.mat: state\.solverState does not fit the network"):
        checkpoint.load_last(tmp_path)


# ---------------------------------------------------------------- what cannot be kept


def test_check_says_what_save_would_say_and_writes_nothing(net, tmp_path, monkeypatch):
    checkpoint.check(net, STATS)
    net.meta["my key"] = 1.0
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"net\.meta: field 'my key' is no MATLAB name") as checked:
        checkpoint.check(net, STATS)
    with pytest.raises(ValueError) as saved:
        checkpoint.save("a.mat", net, {}, STATS)
    assert str(saved.value) == f"a.mat: {checked.value}"
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("stats"), "it is no whole checkpoint: it should hold net and stats and holds net, state"),
        (lambda v: v.pop("net"), "it should hold net and stats and holds state, stats"),
        (lambda v: v.update(stats="x"), "stats is the text 'x'; a struct with train and val is right"),
        (lambda v: v["stats"].update(train="x"), "stats: it is the text 'x'; it must be a struct array"),
        (
            lambda v: v["state"].update(solverState=matvalues.row([1.0])),
            "state.solverState does not fit the network: it has 1 elements and the network 7 parameters",
        ),
        (
            lambda v: v.update(info=3.0) or v.pop("stats"),
            "stats is a 1x1 double array; a struct with train and val is right",
        ),
        (lambda v: v.update(info={"train": "x"}) or v.pop("stats"), "stats: it is the text 'x'"),
        (lambda v: v.update(dagnet="beta18"), "dagnet is the text 'beta18'; a struct with a text `profile` is right"),
        (lambda v: v.update(dagnet={"profile": 25.0}), "a struct with a text `profile` is right"),
        (
            lambda v: v["state"].update(solverState=matvalues.row(["x"] * 7)),
            "it holds the text 'x' where a numeric array",
        ),
    ],
)
def test_what_is_no_checkpoint_is_named(net, tmp_path, change, message):
    checkpoint.save(tmp_path / "a.mat", net, {}, STATS)
    values = matfile.read(tmp_path / "a.mat")
    change(values)
    matfile.write(tmp_path / "a.mat", values)
    with pytest.raises(ValueError) as error:
        checkpoint.load(tmp_path / "a.mat")
    assert str(error.value).startswith(f"{tmp_path}/a.mat: ")
    assert message in str(error.value)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"net-epoch-1\.mat: there is no such file"):
        checkpoint.load(tmp_path / "net-epoch-1.mat")
