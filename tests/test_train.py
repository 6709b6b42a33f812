"""dagnet train: what it writes, how it goes on after a stop, and what is refused before the first epoch."""

import importlib.util
import json
import os
import shutil

import imageio.v3 as iio
import numpy as np
import PIL.Image
import pytest

from dagnet.files import checkpoint, netfile
from dagnet.layers import pool
from dagnet.tools import command
from dagnet.training import solvers, trainer
from tests.verbs import SPOILED_NETS, call, cut_short, lesions, made_text, refused

SMALL = ["--image-size", "32", "--width", "0.03125", "--fc-width", "8", "--batch-size", "4", "--learning-rate", "1e-2"]
IMAGE = "ISIC-2017_{}_Data/ISIC_0000002.jpg"
MASK = "ISIC-2017_{}_Part1_GroundTruth/ISIC_0000002_segmentation.png"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Generated lesions in the challenge's folders."""
    return lesions(tmp_path_factory.mktemp("lesions"), Training=8, Validation=4, Test_v2=4)


@pytest.fixture
def train(data, tmp_path, capsys):
    """Trains for an epoch on `data` into the test's own folder, unless told otherwise."""

    def run(*options, data=data, out=tmp_path / "run"):
        return call(capsys, "train", "--data", data, "-o", out, "--epochs", 1, *SMALL, *options)

    return run


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """The folder of a training of two epochs, evaluated."""
    out = tmp_path_factory.mktemp("whole")
    assert command.main(["train", "--data", str(data), "-o", str(out), "--epochs", "2", *SMALL]) == 0
    return out


def values(folder, epoch):
    return {name: p.value for name, p in netfile.load(folder / f"net-epoch-{epoch}.mat").params.items()}


def same(a, b):
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_all_that_its_help_promises_is_written(whole):
    files = {
        str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file() and path.parent.name != "cache"
    }
    promised = {"settings.json", "net-epoch-1.mat", "net-epoch-2.mat", "net-train.pdf", "net-train.png", "log.jsonl"}
    for split in ("Validation", "Test_v2"):
        promised |= {f"{split}/{name}" for name in ("scores.csv", "otsu.csv", "worst.png", "best.png", "report.html")}
        promised |= {f"{split}/masks/ISIC_000000{i}_segmentation.png" for i in range(4)}
    assert files == promised


def test_its_files_tell_what_was_trained_and_how_it_went(whole):
    settings = json.loads((whole / "settings.json").read_text())
    assert settings["image_size"] == 32 and settings["learning_rate"] == [0.01] and settings["vgg"] is None
    log = [json.loads(line) for line in (whole / "log.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["set"]) for line in log] == [(1, "train"), (1, "val"), (2, "train"), (2, "val")]
    kept = checkpoint.load(whole / "net-epoch-2.mat")
    assert kept.epoch == 2 and kept.stats["val"][1]["objective"] == pytest.approx(log[3]["objective"])
    assert kept.stats["train"][1]["num"] == 8 and kept.state
    normalization = kept.net.meta["normalization"]
    assert np.ravel(normalization["imageSize"]).tolist() == [32, 32, 3]
    assert np.size(normalization["averageImage"]) == 3
    assert "dagnet" in (whole / "Test_v2/report.html").read_text()


def test_a_run_that_is_interrupted_goes_on_to_the_same_numbers(whole, train, tmp_path, monkeypatch):
    updates = []
    with monkeypatch.context() as patch:
        update = solvers.update

        def stopped(*args, **options):
            updates.append(1)
            if len(updates) == 4:  # in the second batch of epoch 2
                raise KeyboardInterrupt
            return update(*args, **options)

        patch.setattr(solvers, "update", stopped)
        code, _, err = train("--epochs", 2)
    assert code == 130 and "interrupted; training was stopped in epoch 2" in err and "Traceback" not in err
    assert [path.name for path in (tmp_path / "run").glob("net-epoch-*")] == ["net-epoch-1.mat"]
    code, out, err = train("--epochs", 2)
    assert code == 0 and "going on after epoch 1" in out + err and "epoch 01" not in out + err
    assert same(values(tmp_path / "run", 2), values(whole, 2))
    scores = "Test_v2/scores.csv"
    assert (tmp_path / "run" / scores).read_text() == (whole / scores).read_text()


def test_a_damaged_checkpoint_costs_an_epoch_and_is_named(whole, train, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    cut_short(tmp_path / "run/net-epoch-2.mat")
    code, _, err = train("--epochs", 2, "--no-evaluation")
    assert code == 0 and "dagnet: note: " in err and "net-epoch-2.mat" in err
    assert same(values(tmp_path / "run", 2), values(whole, 2))


def test_more_epochs_go_on_and_other_settings_are_refused(whole, train, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert refused(train("--epochs", 3, "--seed", 5), tmp_path / "run", "seed 0", "seed is 5 now", "another --out")
    assert refused(train("--epochs", 3, "--augment"), "augment False", "augment is True now")
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert train("--epochs", 3, "--no-evaluation", "--learning-rate", "1e-2x2,1e-3")[0] == 0
    assert checkpoint.load(tmp_path / "run/net-epoch-3.mat").epoch == 3


def test_the_solver_and_the_release_asked_for_are_those_of_the_run(train, tmp_path):
    options = ["--solver", "adam", "--solver-opts", "beta1=0.8,eps=1e-6", "--profile", "beta24", "--no-evaluation"]
    assert train(*options)[0] == 0
    kept = checkpoint.load(tmp_path / "run/net-epoch-1.mat")
    assert kept.profile == "beta25" and set(kept.state["predictf"]) == {"m", "v", "t"}
    settings = json.loads((tmp_path / "run/settings.json").read_text())
    assert settings["solver_opts"] == {"beta1": 0.8, "eps": 1e-6} and settings["profile"] == "beta25"
    assert train(*options, "--epochs", 2, "--profile", "beta25")[0] == 0
    assert refused(train("--epochs", 3, "--no-evaluation"), "solver adam, and solver is sgd now")


def test_worker_processes_give_the_same_network_to_the_last_bit(train, tmp_path):
    for folder, workers in (("run", 0), ("shared", 2)):
        options = ["--augment", "--workers", workers, "--no-evaluation"]
        code, _, err = train(*options, out=tmp_path / folder)
        assert code == 0 and "note:" not in err
    assert same(values(tmp_path / "shared", 1), values(tmp_path / "run", 1))


def test_the_batch_in_parts_gives_the_same_network(whole, train, tmp_path):
    assert train("--sub-batches", 2, "--no-evaluation", "--no-dropout")[0] == 0
    assert train("--no-evaluation", "--no-dropout", out=tmp_path / "at once")[0] == 0
    parts, once = values(tmp_path / "run", 1), values(tmp_path / "at once", 1)
    assert all(np.allclose(parts[name], once[name], rtol=1e-4, atol=1e-6) for name in once)


def test_vgg16_s_values_and_colour_are_what_training_starts_from(data, train, tmp_path, data_dir):
    file = data_dir / "vgg16/imagenet-vgg-verydeep-16-conv.mat"
    code, _, err = train("--width", 1, "--vgg", file, "--learning-rate", 0, "--no-evaluation")
    assert code == 0, err
    vgg, net = netfile.load(file), netfile.load(tmp_path / "run/net-epoch-1.mat")
    for name in ("conv1_1f", "conv5_3b"):
        assert (net.params[name].value == vgg.params[name].value).all()
    assert np.allclose(np.ravel(net.meta["normalization"]["averageImage"]), [123.68, 116.779, 103.939], atol=0.01)


def test_segment_makes_the_masks_that_train_made(whole, data, tmp_path, capsys):
    words = ["segment", whole / "net-epoch-2.mat", data / "ISIC-2017_Test_v2_Data", "-o", tmp_path]
    assert call(capsys, *words, "--batch-size", 3)[0] == 0
    for mask in tmp_path.iterdir():
        assert (iio.imread(mask) == iio.imread(whole / "Test_v2/masks" / mask.name)).all()


def test_evaluate_gives_the_scores_that_train_gave(whole, data, tmp_path, capsys):
    truth, images = (data / f"ISIC-2017_Test_v2_{part}" for part in ("Part1_GroundTruth", "Data"))
    assert call(capsys, "evaluate", whole / "Test_v2/masks", truth, "--images", images, "-o", tmp_path)[0] == 0
    for name in ("scores.csv", "otsu.csv"):
        assert (tmp_path / name).read_text() == (whole / "Test_v2" / name).read_text()


def test_images_without_truth_are_segmented_and_not_scored(data, train, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    shutil.rmtree(tmp_path / "data/ISIC-2017_Test_v2_Part1_GroundTruth")
    shutil.rmtree(tmp_path / "data/ISIC-2017_Validation_Data")
    code, out, err = train(data=tmp_path / "data")
    assert code == 0, err
    assert "4 images without true masks" in out
    assert [path.name for path in (tmp_path / "run/Test_v2").iterdir()] == ["masks"]
    assert len(list((tmp_path / "run/Test_v2/masks").iterdir())) == 4 and not (tmp_path / "run/Validation").exists()


# -- in slices


def test_stopped_at_time_limits_it_goes_on_to_the_same_numbers_and_scores(whole, train, tmp_path):
    said = []
    for _ in range(20):
        code, out, err = train("--epochs", 2, "--time-limit", "0.001s")
        said.append(out + err)
        if code != 3:
            break
        assert "the same" in out and "goes on" in out and not (tmp_path / "run/Test_v2/report.html").exists()
    assert code == 0 and len(said) > 4 and "stopped at the time limit in epoch 1" in said[0]
    assert any("of 4 images of Test_v2 segmented" in text for text in said)
    assert same(values(tmp_path / "run", 2), values(whole, 2))
    for split in ("Validation", "Test_v2"):
        assert (tmp_path / "run" / split / "scores.csv").read_text() == (whole / split / "scores.csv").read_text()


def test_masks_of_an_earlier_checkpoint_are_made_anew(whole, train, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    masks = sorted((tmp_path / "run/Test_v2/masks").iterdir())
    masks[0].write_bytes(masks[1].read_bytes())
    os.utime(masks[0], ns=(0, 0))
    kept = masks[1].stat().st_mtime_ns
    assert train("--epochs", 2)[0] == 0
    assert masks[0].read_bytes() == (whole / "Test_v2/masks" / masks[0].name).read_bytes()
    assert masks[1].stat().st_mtime_ns == kept


@pytest.mark.parametrize("text", ["8", "m", "0m", "-1s", "8 minutes", "infh", ""])
def test_what_is_no_time_is_refused_with_an_example(train, text):
    assert refused(train(f"--time-limit={text}"), "a time such as 90s, 8m or 1.5h is right")


# -- settings that cannot be


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--image-size 100", "--image-size: it is 100; a multiple of 32"),
        ("--image-size 0", "--image-size: it is 0"),
        ("--fc-width 0", "fc_width is 0"),
        ("--width 0", "width is 0.0"),
        ("--seed -1", "--seed: it is -1"),
        ("--epochs -1", "--epochs"),
        ("--epoch-size 0", "epoch_size"),
        ("--batch-size 0", "batch_size"),
        ("--sub-batches 0", "num_sub_batches"),
        ("--workers=-1", "--workers: it is '-1'; a whole number from 0 on is right"),
        ("--graph", "--graph: it acts on a GPU alone"),
        ("--precision tf32", "--precision tf32: it acts on a GPU alone"),
        ("--precision half", "--precision"),
        ("--learning-rate nan", "learning_rate"),
        ("--learning-rate=-1", "learning_rate"),
        ("--momentum 1", "momentum: it is 1.0"),
        ("--solver adamant", "--solver"),
        ("--solver adam --solver-opts rho=1", "adam has no option 'rho'; it has beta1, beta2, eps"),
        ("--solver-opts fast", "it is 'fast'; names and numbers such as beta1=0.9,eps=1e-8 are right"),
        ("--solver adam --nesterov", "nesterov_update: it is a way of SGD's"),
        ("--solver adam --profile beta20", "solver: beta20 had none; profile beta25 or master"),
        ("--profile beta26", "--profile"),
        ("--zoom 0.5 --augment", "scale is 0.5"),
        ("--vgg nowhere.mat --width 1", "nowhere.mat"),
    ],
)
def test_settings_that_cannot_be_are_refused(train, tmp_path, options, says):
    assert refused(train(*options.split()), says)
    assert not list((tmp_path / "run").glob("net-epoch-*"))


@pytest.mark.parametrize("fault", SPOILED_NETS)
def test_a_file_of_vgg16_that_is_spoiled_is_named(whole, train, tmp_path, fault):
    spoil, says = SPOILED_NETS[fault]
    shutil.copy(whole / "net-epoch-1.mat", tmp_path / "vgg.mat")
    spoil(tmp_path / "vgg.mat")
    assert refused(train("--width", 1, "--vgg", tmp_path / "vgg.mat"), "vgg.mat", says)
    assert not (tmp_path / "run").exists()


def test_a_file_of_another_network_is_no_vgg16(train, tmp_path, data_dir):
    result = train("--width", 1, "--vgg", data_dir / "networks/vdcfnet.mat")
    assert refused(result, "vdcfnet.mat") and not (tmp_path / "run").exists()


# -- data that cannot be


def three_values(path):
    iio.imwrite(path, np.arange(48 * 48, dtype=np.uint8).reshape(48, 48) % 3 * 100)


FAULTS = {
    "an image that is cut short": (IMAGE, cut_short, "truncated"),
    "an image that is text": (IMAGE, made_text, "cannot be read as an image"),
    "an empty image": (IMAGE, lambda path: path.write_bytes(b""), "the file is empty"),
    "an image for print": (IMAGE, lambda path: PIL.Image.new("CMYK", (48, 48)).save(path), "8-bit grey or RGB"),
    "an image that is there twice": (IMAGE, lambda p: shutil.copy(p, p.with_suffix(".jpeg")), "a second image"),
    "a mask of another size": (MASK, lambda path: iio.imwrite(path, np.zeros((40, 48), np.uint8)), "40x48"),
    "a mask of three values": (MASK, three_values, "3 values (0, 100, 200)"),
    "a mask in colour": (MASK, lambda path: iio.imwrite(path, np.zeros((48, 48, 3), np.uint8)), "3 channels"),
    "a missing mask": (MASK, lambda path: path.unlink(), "ISIC_0000002_segmentation.png is missing"),
}


@pytest.mark.parametrize("split", ["Training", "Validation", "Test_v2"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_named_before_training_starts(data, train, tmp_path, split, fault, monkeypatch):
    monkeypatch.setattr(trainer, "train", lambda *_, **__: pytest.fail("training started"))
    name, spoil, says = FAULTS[fault]
    shutil.copytree(data, tmp_path / "data")
    spoil(tmp_path / "data" / name.format(split))
    assert refused(train(data=tmp_path / "data"), "ISIC_0000002", split, says)


@pytest.mark.parametrize("fault", ["an image that is cut short", "a mask of three values", "a missing mask"])
def test_bad_files_are_left_out_where_the_user_asked_for_it(data, train, tmp_path, fault, caplog):
    name, spoil, says = FAULTS[fault]
    shutil.copytree(data, tmp_path / "data")
    for split in ("Training", "Validation", "Test_v2"):
        spoil(tmp_path / "data" / name.format(split))
    code, out, err = train("--on-bad", "skip", data=tmp_path / "data")
    assert code == 0, err
    skipped = [record.getMessage() for record in caplog.records if record.getMessage().startswith("skipped: ")]
    assert all(says in line for line in skipped) and len({line.split(":")[1] for line in skipped}) == 3
    assert "Validation, 3 images" in out and "Test_v2, 3 images" in out
    (train_line, val_line) = (tmp_path / "run/log.jsonl").read_text().splitlines()
    assert (json.loads(train_line)["num"], json.loads(val_line)["num"]) == (7, 3)


def test_a_folder_that_is_missing_or_empty_is_named(train, tmp_path):
    assert refused(train(data=tmp_path / "none"), tmp_path / "none", "no such folder")
    assert refused(train(data=tmp_path), tmp_path, "ISIC-2017_Training_Data")
    for part in ("Data", "Part1_GroundTruth"):
        (tmp_path / f"ISIC-2017_Training_{part}").mkdir()
    assert refused(train(data=tmp_path), "ISIC-2017_Training_Data", "no image")
    assert not (tmp_path / "run").exists()


def test_a_file_where_the_output_folder_should_be_is_named(train, tmp_path):
    place = tmp_path / "file"
    place.write_text("mine")
    assert refused(train(out=place), place)
    assert refused(train(out=place / "run"), place)
    assert place.read_text() == "mine"


# -- a machine that cannot


def test_memory_that_is_not_there_is_said_with_its_size(train):
    assert refused(train("--image-size", 3_200_000), "out of memory", "37.3 TiB", "a smaller batch, image")


def test_memory_that_ends_while_training_tells_the_layer_and_the_batch(train, monkeypatch):
    def hungry(*_, **__):
        return np.zeros((1 << 24, 1 << 24), np.float32)

    monkeypatch.setattr(pool, "forward_indexed", hungry)
    assert refused(train(), "out of memory", "1.00 PiB", "layer 'pool1'", "epoch 1, train batch 1 of 2")


def test_a_loss_that_diverges_stops_the_run_with_the_layer_s_name(train, tmp_path):
    result = train("--learning-rate", "1e-2,1e9", "--epochs", 3)
    assert refused(result, "'objective' became", "layer 'conv", "in epoch 2", "train batch 2 of 2")
    assert checkpoint.load(tmp_path / "run/net-epoch-1.mat").epoch == 1


def test_on_the_gpu_it_trains_goes_on_and_segments(gpu, train, tmp_path):
    for epochs in (1, 2):
        code, _, err = train("--gpu", "--epochs", epochs)
        assert code == 0, err
    assert checkpoint.load(tmp_path / "run/net-epoch-2.mat").epoch == 2
    assert len(list((tmp_path / "run").rglob("*_segmentation.png"))) == 8


def test_gpu_without_cupy_says_what_to_install(train):
    if importlib.util.find_spec("cupy"):
        pytest.skip("CuPy is installed")
    assert refused(train("--gpu"), "CuPy is not installed", "cuda13x")


@pytest.mark.parametrize("text", ["fast", "1e-3x-1,1", ",", "1e-3x0"])
def test_a_list_of_rates_that_is_none_is_refused_with_an_example(train, text):
    assert refused(train("--learning-rate", text), "rates such as 1e-3 or 1e-3x8,1e-4 are right")


def test_each_epoch_trains_at_its_own_rate(data, tmp_path, capsys):
    words = ["train", "--data", data, "-o", tmp_path, *SMALL, "--no-evaluation", "--epochs", 3]
    assert call(capsys, *words, "--learning-rate", "1e-2x2, 1e-3")[0] == 0
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["learning_rate"] for line in log if line["set"] == "train"] == [1e-2, 1e-2, 1e-3]


def test_a_zoom_that_would_do_nothing_is_refused(train):
    assert refused(train("--zoom", 1.2), "--zoom: it is 1.2 and acts with --augment alone")


def test_no_epochs_are_refused(train):
    assert refused(train("--epochs", 0), "--epochs")


def test_a_damaged_settings_file_is_named(train, tmp_path):
    assert train("--no-evaluation")[0] == 0
    (tmp_path / "run/settings.json").write_text("{")
    assert refused(train(), "settings.json", "damaged")
