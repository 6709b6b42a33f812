"""dagnet convert: SimpleNN to DagNN, v7.3 to v7 and back, computing the same; what it refuses leaves no file."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from dagnet.files import checkpoint, level5writer, matfile, netfile
from dagnet.layers import catalogue
from dagnet.models import vgg16
from tests import little
from tests.test_files_simplenn import CONV, LOSS, POOL, chain
from tests.verbs import SPOILED_NETS, call, refused, segmenting_net

SCRIPTS = Path(__file__).parent / "scripts"
EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return segmenting_net(tmp_path_factory.mktemp("convert") / "net.mat")


def output(net, size):
    """The net's last value for a random image, in test mode."""
    net.mode = "test"
    net.eval({net.inputs[0]: np.random.default_rng(0).random(size, np.float32)})
    return net.vars[net.outputs[-1]].value


@pytest.mark.parametrize("name", ["dncnn_sigma25_v73.mat", "dncnn_sigma25_bnorm_v73.mat"])
def test_a_simplenn_of_version_73_becomes_a_dagnn_of_version_7_that_computes_the_same(data_dir, tmp_path, capsys, name):
    source = data_dir / "networks" / name
    assert h5py.is_hdf5(source)
    code, out, err = call(capsys, "convert", source, "-o", tmp_path / "a/dag.mat")
    before, after = netfile.load(source), netfile.load(tmp_path / "a/dag.mat")
    assert (code, err) == (0, "")
    assert (
        out
        == f"{tmp_path / 'a/dag.mat'}: {len(before.layers)} layers, {len(before.params)} parameters, MAT version 7\n"
    )
    for net in (before, after):  # the one with batch normalisation ends in a loss, which wants labels
        net.remove_layer([n for n, record in net.layers.items() if len(record.inputs) > 1])
    assert (output(before, (16, 16, 1, 1)) == output(after, (16, 16, 1, 1))).all()


def test_what_is_written_is_a_struct_in_saveobj_s_layout(data_dir, tmp_path, capsys):
    call(capsys, "convert", data_dir / "networks/vdcfnet.mat", "-o", tmp_path / "dag.mat")
    values = scipy.io.loadmat(tmp_path / "dag.mat", mat_dtype=True)
    assert [name for name in values if not name.startswith("__")] == ["vars", "params", "layers", "meta"]
    assert values["layers"].dtype.names == ("name", "type", "inputs", "outputs", "params", "block")
    assert values["layers"]["type"][0, 0][0] == "dagnn.Conv"


def test_a_simplenn_keeps_its_layers_and_gets_canonical_names_when_asked_for(tmp_path, capsys):
    matfile.write(tmp_path / "simple.mat", {"net": chain(CONV, POOL, LOSS)})
    words = ["convert", tmp_path / "simple.mat", "-o", tmp_path / "dag.mat"]
    assert call(capsys, *words)[:2] == (0, f"{tmp_path / 'dag.mat'}: 3 layers, 2 parameters, MAT version 7\n")
    assert netfile.load(tmp_path / "dag.mat").inputs == ["x0", "label"]
    assert call(capsys, *words, "--canonical-names")[0] == 0
    net = netfile.load(tmp_path / "dag.mat")
    assert net.inputs == ["input", "label"] and net.outputs == ["objective"] and "prediction" in net.vars
    assert list(net.layers) == ["l1", "l2", "l3"]


def test_a_dagnn_stays_what_it_is(net, tmp_path, capsys):
    assert call(capsys, "convert", net, "-o", tmp_path / "again.mat")[0] == 0
    assert (tmp_path / "again.mat").read_bytes() == net.read_bytes()


@pytest.fixture
def training(net, tmp_path):
    """A checkpoint of the net, and where it lies."""
    loaded = netfile.load(net)
    state = {name: np.ones_like(param.value) for name, param in loaded.params.items()}
    stats = {"train": [{"num": 4.0, "objective": 0.5}] * 2, "val": [{"num": 2.0, "objective": 0.75}] * 2}
    checkpoint.save(tmp_path / "net-epoch-2.mat", loaded, state, stats, profile="beta23", state_field="momentum")
    return tmp_path / "net-epoch-2.mat"


def test_networks_and_checkpoints_go_to_version_73_and_back_without_a_loss(net, training, tmp_path, capsys):
    for source in (net, training):
        _, out, _ = call(capsys, "convert", source, "-o", tmp_path / "73.mat", "--v7.3")
        assert out.endswith("MAT version 7.3\n") and h5py.is_hdf5(tmp_path / "73.mat")
        _, out, _ = call(capsys, "convert", tmp_path / "73.mat", "-o", tmp_path / "7.mat")
        assert out.endswith("MAT version 7\n")
        assert (tmp_path / "7.mat").read_bytes() == source.read_bytes()


def test_a_checkpoint_stays_one_with_state_and_statistics(training, tmp_path, capsys):
    code, out, err = call(capsys, "convert", training, "-o", tmp_path / "a.mat")
    assert (code, err) == (0, "")
    assert out.endswith("parameters, state.momentum, statistics of 2 epochs, MAT version 7\n")
    assert checkpoint.load(tmp_path / "a.mat").profile == "beta23"


def test_of_a_checkpoint_the_network_alone_is_taken_when_asked_for(net, training, tmp_path, capsys):
    assert call(capsys, "convert", training, "-o", tmp_path / "net.mat", "--network")[0] == 0
    assert (tmp_path / "net.mat").read_bytes() == net.read_bytes()


def test_a_checkpoint_is_written_for_a_release(training, tmp_path, capsys):
    fields = {"beta20": "no state", "beta23": "state.momentum", "beta24": "state.solverState"}
    for release, field in fields.items():
        out = call(capsys, "convert", training, "-o", tmp_path / "a.mat", "--release", release)[1]
        assert f" parameters, {field}, statistics" in out
        read = checkpoint.load(tmp_path / "a.mat")
        assert bool(read.state) == (release != "beta20") and read.epoch == 2
        block = matfile.read(tmp_path / "a.mat")["net"]["layers"].records[0]["block"]
        assert ("dilate" in block) == (release != "beta20")


def test_a_simplenns_checkpoint_becomes_a_dagnns(data_dir, tmp_path, capsys):
    source = data_dir / "networks/oneclick_mnist_net-epoch-50.mat"
    out = call(capsys, "convert", source, "-o", tmp_path / "a.mat", "--canonical-names")[1]
    assert "state.solverState, statistics of 50 epochs" in out
    read = checkpoint.load(tmp_path / "a.mat")
    assert "prediction" in read.net.vars and list(read.state) == list(read.net.params)


def test_a_network_too_large_for_version_7_becomes_73_and_is_refused_where_7_is_asked_for(
    net, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(level5writer, "LARGEST", 2000)
    assert call(capsys, "convert", net, "-o", tmp_path / "a.mat")[1].endswith("MAT version 7.3\n")
    result = call(capsys, "convert", net, "-o", tmp_path / "b.mat", "--v7")
    assert refused(result, "b.mat", "takes more than", "version 7.3 holds it")
    assert not (tmp_path / "b.mat").exists()


def test_layers_that_nobody_knows_are_kept_and_named(data_dir, tmp_path, capsys):
    code, _, err = call(capsys, "convert", data_dir / "networks/ffdnet_gray.mat", "-o", tmp_path / "dag.mat")
    assert code == 0 and err.startswith("dagnet: note: ") and "SubP (layer layer1, layer32)" in err
    assert "SubP (layer layer1, layer32)" in call(capsys, "show", tmp_path / "dag.mat")[2]


# -- what is wrong


def test_a_function_handle_cannot_be_written_and_leaves_no_file(data_dir, tmp_path, capsys):
    result = call(capsys, "convert", data_dir / "networks/text_small_net-epoch-1.mat", "-o", tmp_path / "dag.mat")
    assert refused(result, "MATLAB function handle addCustomLossLayer/forward", "only MATLAB can write")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", SPOILED_NETS)
def test_a_spoiled_file_is_named_and_nothing_is_written(net, tmp_path, capsys, fault):
    spoil, says = SPOILED_NETS[fault]
    shutil.copy(net, tmp_path / "bad.mat")
    spoil(tmp_path / "bad.mat")
    (tmp_path / "out.mat").write_text("an older result")
    assert refused(call(capsys, "convert", tmp_path / "bad.mat", "-o", tmp_path / "out.mat"), "bad.mat", says)
    assert (tmp_path / "out.mat").read_text() == "an older result"
    assert {path.name for path in tmp_path.iterdir()} <= {"bad.mat", "out.mat"}


@pytest.mark.parametrize("name", ["net.mat", "./net.mat", "link.mat"])
def test_the_file_that_is_read_is_never_written(net, tmp_path, capsys, name, monkeypatch):
    shutil.copy(net, tmp_path / "net.mat")
    (tmp_path / "link.mat").symlink_to(tmp_path / "net.mat")
    monkeypatch.chdir(tmp_path)
    assert refused(call(capsys, "convert", "net.mat", "-o", name), "it is the file to read")
    assert (tmp_path / "net.mat").read_bytes() == net.read_bytes()


def test_a_place_that_cannot_be_written_is_refused_before_any_work(net, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(netfile, "load", lambda *_, **__: pytest.fail("the network was read first"))
    (tmp_path / "file").write_text("mine")
    assert refused(call(capsys, "convert", net, "-o", tmp_path), tmp_path, "it is a folder")
    assert refused(call(capsys, "convert", net, "-o", tmp_path / "file/out.mat"), "file", "is a file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_layer_type_that_is_not_known_is_named_when_it_shall_run(data_dir):
    with pytest.warns(UserWarning, match="kept but not runnable"):
        net = netfile.load(data_dir / "networks/ffdnet_gray.mat")
    with pytest.raises(RuntimeError, match=r"SubP"):
        net.eval({"x0": np.zeros((8, 8, 1, 1), np.float32)})


def test_a_network_of_this_package_needs_no_data_to_be_converted(tmp_path, capsys):
    small = vgg16.vgg16(vgg16.CONVOLUTIONS, width=1 / 64)
    small.init_params(np.random.default_rng(0))
    netfile.save(small, tmp_path / "a.mat")
    assert call(capsys, "convert", tmp_path / "a.mat", "-o", tmp_path / "b.mat")[0] == 0
    assert (output(netfile.load(tmp_path / "b.mat"), (32, 32, 3, 1)) == output(small, (32, 32, 3, 1))).all()


# -- a script


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    return little.vgg16_file(tmp_path_factory.mktemp("vgg") / "vgg.mat")


@pytest.fixture
def script(tmp_path):
    """Writes the lines of a function `define` into a file of that name."""

    def write(*lines):
        (tmp_path / "define.m").write_text("\n".join(["function net = define(varargin)", *lines]))
        return tmp_path / "define.m"

    return write


NET = "net = dagnn.DagNN() ; net.addLayer('c', dagnn.Conv('size', [3 3 1 30]), 'input', 'x', {'f', 'b'}) ; net.initParams() ;"


def test_a_script_becomes_the_network_that_it_defines(tmp_path, capsys, vgg):
    call_text = "lesion_fcn('fcWidth', 16)"
    words = [EXAMPLES / "lesion_fcn.m", "--call", call_text, "--weights", vgg]
    code, out, err = call(capsys, "convert", *words, "-o", tmp_path / "net.mat")
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'net.mat'}: 53 layers, 56 parameters, MAT version 7\n"
    net = netfile.load(tmp_path / "net.mat")
    assert net.layers["fc7"].block.size == [1, 1, 16, 16] and net.vars["prediction"].precious
    assert call(capsys, "convert", *words, "-o", tmp_path / "net.py")[1].endswith(", the function net\n")
    space = {}
    exec((tmp_path / "net.py").read_text(), space)
    assert space["net"](vgg).execution_order == net.execution_order


def test_a_script_s_simplenn_stays_one(tmp_path, capsys):
    out = call(capsys, "convert", SCRIPTS / "mnist_init.m", "-o", tmp_path / "net.mat", "--v7.3")[1]
    assert out == f"{tmp_path / 'net.mat'}: a SimpleNN of 11 layers, MAT version 7.3\n"
    assert len(netfile.load_simplenn(tmp_path / "net.mat").layers) == 11


def test_a_scripts_random_values_come_from_the_seed(tmp_path, capsys, script):
    path, values = script(NET), []
    for seed in (1, 1, 2):
        assert call(capsys, "convert", path, "--seed", seed, "-o", tmp_path / "net.mat")[0] == 0
        values.append(netfile.load(tmp_path / "net.mat").params["f"].value)
    assert (values[0] == values[1]).all() and (values[0] != values[2]).any()


def test_functions_and_blocks_of_ones_own_are_supplied(tmp_path, capsys, script, monkeypatch):
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_scripts.py").write_text(
        "from dataclasses import dataclass\nfrom dagnet.layers import block\n\n\ndef wide(n):\n    return 2 * n\n\n\n"
        "@dataclass\nclass Brighten(block.Layer):\n    by_factor: float = 1.0\n"
    )
    path = script(NET, "net.addLayer('b', Brighten('byFactor', wide(3)), 'x', 'y') ;")
    define = ["--define", "wide=mine_for_scripts:wide", "--define", "Brighten=mine_for_scripts:Brighten"]
    assert call(capsys, "convert", path, *define, "-o", "net.mat")[0] == 0
    assert netfile.load("net.mat").layers["b"].block.by_factor == 6
    assert refused(
        call(capsys, "convert", path, "-o", "a.mat"), "line 3", "'wide' is neither", "--define wide=module:function"
    )
    assert refused(call(capsys, "convert", path, "--define", "wide", "-o", "a.mat"), "NAME=MODULE:FUNCTION, such as")


def test_a_custom_block_is_kept_with_a_note(tmp_path, capsys, script):
    path = script(NET, "net.addLayer('b', dagnn.Theirs('alpha', 3), 'x', 'y') ;")
    code, _, err = call(capsys, "convert", path, "-o", tmp_path / "net.mat")
    assert code == 0 and err.startswith("dagnet: note: ") and "dagnn.Theirs (layer b)" in err
    assert matfile.read(tmp_path / "net.mat")["layers"].records[1]["block"]["alpha"] == 3


def test_all_that_would_not_run_is_listed_at_once(capsys, script):
    path = script("net = helper(1) ;", "system('rm') ;", "x = ones(2) ; y = strange(x, @other) ;")
    code, out, err = call(capsys, "convert", path, "--check")
    lines = out.splitlines()
    assert code == 1 and not err
    assert [f"line {n}" in line for n, line in zip((2, 3, 4, 4), lines[:-1], strict=True)] == [True] * 4
    assert (
        "'helper'" in lines[0] and "system is refused" in lines[1] and "'strange'" in lines[2] and "'other'" in lines[3]
    )
    assert lines[-1] == f"{path}: 4 of its lines would not run"
    assert call(capsys, "convert", script(NET), "--check")[:2] == (0, f"{path}: all that it needs is known\n")


def test_what_a_script_stops_at_is_named_with_its_line_and_leaves_no_file(tmp_path, capsys, script):
    path = script(NET, "net.layers(1).block.paddding = 1 ;")
    (tmp_path / "out.mat").write_text("an older result")
    result = call(capsys, "convert", path, "-o", tmp_path / "out.mat")
    assert refused(result, f"{path}, line 3: `net.layers(1).block.paddding = 1 ;`", "no property 'paddding'")
    assert (tmp_path / "out.mat").read_text() == "an older result"
    assert refused(
        call(capsys, "convert", script("net = 3 ;"), "-o", tmp_path / "out.mat"), "a DagNN or a SimpleNN is right"
    )
    assert refused(call(capsys, "convert", script(NET), "--call", "f(", "-o", tmp_path / "o.mat"), "--call, line 1")
    assert refused(call(capsys, "convert", tmp_path / "no.m", "-o", tmp_path / "o.mat"), "no.m")


def test_values_that_python_cannot_make_again_are_named(tmp_path, capsys, script):
    path = script(NET, "net.params(1).value = net.params(1).value .^ 3 ;")
    result = call(capsys, "convert", path, "-o", tmp_path / "net.py")
    assert refused(result, "parameter 'f': its 270 values are neither", "a .mat file holds them")


def test_options_that_do_not_go_together_are_refused(net, tmp_path, capsys, script, vgg):
    path = script(NET)
    assert refused(call(capsys, "convert", path), "-o FILE is missing")
    assert refused(call(capsys, "convert", net, "-o", tmp_path / "a.mat", "--call", "f()"), "--call", "is no script")
    assert refused(call(capsys, "convert", net, "-o", tmp_path / "a.mat", "--check"), "--check", "is no script")
    assert refused(call(capsys, "convert", path, "-o", tmp_path / "a.mat", "--canonical-names"), "is a script")
    assert refused(call(capsys, "convert", path, "-o", tmp_path / "a.mat", "--to", "python"), "ends in .py is right")
    shutil.copy(vgg, tmp_path / "vgg.mat")
    result = call(capsys, "convert", path, "--weights", tmp_path / "vgg.mat", "-o", tmp_path / "vgg.mat")
    assert refused(result, "it is the file with the weights")
