"""dagnet VERB as a user calls it: what it writes and prints, exit codes, one sentence for what is wrong."""

import importlib.util
import json
import shutil
import zipfile

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import phantom
from dagnet.files import matfile, netfile
from dagnet.models import vgg16
from dagnet.tools import command

SMALL = ["--image-size", "32", "--width", "0.03125", "--fc-width", "8", "--batch-size", "4", "--learning-rate", "1e-2"]


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    """Generated lesions in the challenge's folders."""
    root = tmp_path_factory.mktemp("lesions")
    for seed, (split, count) in enumerate({"Training": 8, "Validation": 4, "Test_v2": 4}.items()):
        phantom.write_split(root, split, count, 48, seed)
    return root


@pytest.fixture(scope="module")
def trained(lesions, tmp_path_factory):
    """The folder of a training of two epochs, and what it printed is not looked at here."""
    out = tmp_path_factory.mktemp("run")
    assert command.main(["train", "--data", str(lesions), "-o", str(out), "--epochs", "2", *SMALL]) == 0
    return out


@pytest.fixture
def call(capsys):
    """Call dagnet with these words; returns exit code, stdout and stderr."""

    def run(*words):
        capsys.readouterr()
        code = command.main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def copy_of(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "data")


# -- what each verb does


def test_train_writes_all_that_its_help_promises(trained):
    files = {str(p.relative_to(trained)) for p in trained.rglob("*") if p.is_file()}
    promised = {"settings.json", "net-epoch-1.mat", "net-epoch-2.mat", "net-train.pdf", "net-train.png", "log.jsonl"}
    for split in ("Validation", "Test_v2"):
        promised |= {f"{split}/{name}" for name in ("scores.csv", "otsu.csv", "worst.png", "best.png", "report.html")}
        promised |= {f"{split}/masks/ISIC_000000{i}_segmentation.png" for i in range(4)}
    assert promised <= files
    assert len((trained / "log.jsonl").read_text().splitlines()) == 4
    assert json.loads((trained / "settings.json").read_text())["image_size"] == 32


def test_train_goes_on_where_it_was_and_to_the_same_numbers(lesions, trained, tmp_path, call):
    words = ["train", "--data", lesions, "-o", tmp_path, *SMALL, "--no-evaluation"]
    assert call(*words, "--epochs", 1)[0] == 0
    code, out, _ = call(*words, "--epochs", 2)
    assert code == 0 and "going on after epoch 1" in out
    ours, theirs = (netfile.load(folder / "net-epoch-2.mat") for folder in (tmp_path, trained))
    assert all((ours.params[p].value == theirs.params[p].value).all() for p in theirs.params)


def test_the_scores_printed_are_the_means_of_the_csv(lesions, trained, tmp_path, call):
    masks, truth = trained / "Test_v2/masks", lesions / "ISIC-2017_Test_v2_Part1_GroundTruth"
    code, out, _ = call("evaluate", masks, truth, "--images", lesions / "ISIC-2017_Test_v2_Data", "-o", tmp_path)
    assert code == 0
    rows = [line.split(",") for line in (tmp_path / "scores.csv").read_text().splitlines()]
    column = rows[0].index("JA")
    mean = np.mean([float(row[column]) for row in rows[1:]])
    assert f"{mean:.3f}" in next(line for line in out.splitlines() if line.startswith("network")).split()[1]
    assert "Otsu's threshold" in out and (tmp_path / "report.html").stat().st_size > 10_000
    assert (tmp_path / "scores.csv").read_text() == (trained / "Test_v2/scores.csv").read_text()


def test_masks_alone_are_scored_without_images(lesions, trained, tmp_path, call):
    truth = lesions / "ISIC-2017_Test_v2_Part1_GroundTruth"
    code, out, _ = call("evaluate", trained / "Test_v2/masks", truth, "-o", tmp_path, "--rule", "current")
    assert code == 0 and "Otsu" not in out
    assert not (tmp_path / "worst.png").exists() and (tmp_path / "report.html").exists()


def test_segment_makes_the_same_masks_as_train_did_and_the_submission(lesions, trained, tmp_path, call):
    net, images = trained / "net-epoch-2.mat", lesions / "ISIC-2017_Test_v2_Data"
    code, out, _ = call(
        "segment", net, images, "-o", tmp_path / "masks", "--zip", tmp_path / "s.zip", "--batch-size", 3
    )
    assert code == 0 and "4 masks" in out
    for mask in sorted((tmp_path / "masks").iterdir()):
        assert (iio.imread(mask) == iio.imread(trained / "Test_v2/masks" / mask.name)).all()
    assert zipfile.ZipFile(tmp_path / "s.zip").namelist() == [f"ISIC_000000{i}_segmentation.png" for i in range(4)]


def test_segment_keeps_masks_that_are_there_and_says_so(lesions, trained, tmp_path, call):
    words = ["segment", trained / "net-epoch-2.mat", lesions / "ISIC-2017_Test_v2_Data", "-o", tmp_path]
    assert call(*words)[0] == 0
    kept = tmp_path / "ISIC_0000001_segmentation.png"
    iio.imwrite(kept, np.zeros((48, 48), np.uint8))
    code, out, _ = call(*words)
    assert code == 0 and "4 masks were there already and are kept" in out and not iio.imread(kept).any()
    code, out, _ = call(*words, "--overwrite")
    assert code == 0 and "kept" not in out
    assert (iio.imread(kept) == iio.imread(trained / "Test_v2/masks" / kept.name)).all()


def test_images_without_truth_are_segmented_and_not_scored(lesions, tmp_path, call):
    data = copy_of(lesions, tmp_path)
    shutil.rmtree(data / "ISIC-2017_Test_v2_Part1_GroundTruth")
    code, out, _ = call("train", "--data", data, "-o", tmp_path / "run", "--epochs", 1, *SMALL)
    assert code == 0 and "4 images without true masks" in out
    assert len(list((tmp_path / "run/Test_v2/masks").iterdir())) == 4


def test_show_names_layers_sizes_and_totals(trained, call):
    code, out, _ = call("show", trained / "net-epoch-2.mat")
    assert code == 0
    for word in ("conv1_1", "ConvTranspose", "SegmentationLoss", "32x32x2x1", "mean image", "predictf"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 120


def test_show_takes_another_size(trained, call):
    assert "64x96x2x1" in call("show", trained / "net-epoch-2.mat", "--size", 64, 96)[1]


def test_convert_makes_a_dagnn_of_a_simplenn_that_computes_the_same(tmp_path, data_dir, call):
    source = data_dir / "networks/dncnn_sigma25_v73.mat"
    code, out, _ = call("convert", source, "-o", tmp_path / "dag.mat")
    assert code == 0 and "layers" in out
    assert (tmp_path / "dag.mat").read_bytes().startswith(b"MATLAB 5.0 MAT-file")
    nets = netfile.load(source), netfile.load(tmp_path / "dag.mat")
    image = np.random.default_rng(0).random((16, 16, 1, 1), np.float32)
    values = []
    for net in nets:
        net.mode = "test"
        net.eval({net.inputs[0]: image})
        values.append(net.vars[net.outputs[0]].value)
    assert (values[0] == values[1]).all()


def test_bench_prints_a_table_and_writes_its_figures(tmp_path, call):
    code, out, _ = call("bench", "--rounds", 1, "--steps", 1, "--threads", 1, "--json", tmp_path / "bench.json")
    assert code == 0
    assert "dagnet" in out and "peak MB" in out
    figures = json.loads((tmp_path / "bench.json").read_text())["figures"]["dagnet"]
    assert figures["ms"] > 0 and figures["peak_mb"] > 50


@pytest.mark.slow
def test_the_demo_keeps_its_promise(tmp_path, call):
    code, out, _ = call("demo", "-o", tmp_path)
    assert code == 0
    network, otsu = (float(line.split()[-5]) for line in out.splitlines()[-3:-1])
    assert network >= 0.80 and network >= otsu + 0.10


@pytest.mark.parametrize("verb", command.VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main([verb, "--help"])
    assert stop.value.code == 0
    assert "--debug" in capsys.readouterr().out


# -- what is wrong is said in one line, and nothing is left half-done


def refused(result, *words):
    code, _, err = result
    lines = [line for line in err.splitlines() if line.startswith("dagnet ")]
    assert code == 2 and len(lines) == 1 and "Traceback" not in err, err
    for word in words:
        assert str(word) in lines[0], lines[0]
    return True


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--image-size 100", "--image-size: it is 100; a multiple of 32"),
        ("--fc-width 0", "fc_width is 0"),
        ("--width 0", "width is 0.0"),
        ("--seed -1", "--seed: it is -1"),
        ("--batch-size 0", "batch_size"),
        ("--sub-batches 0", "num_sub_batches"),
        ("--zoom 0.5 --augment", "scale is 0.5"),
        ("--vgg nowhere.mat --width 1", "nowhere.mat"),
    ],
)
def test_settings_that_cannot_be_are_refused(lesions, tmp_path, call, options, says):
    words = ["train", "--data", lesions, "-o", tmp_path / "run", "--epochs", 1, *SMALL, *options.split()]
    assert refused(call(*words), says)
    assert not list((tmp_path / "run").glob("net-epoch-*"))


def test_a_rate_that_is_no_number_is_refused_by_the_parser(lesions, call, capsys):
    with pytest.raises(SystemExit) as stop:
        call("train", "--data", lesions, "--learning-rate", "fast")
    assert stop.value.code == 2
    assert "--learning-rate" in capsys.readouterr().err


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


SPOILED = {
    "a truncated image": ("ISIC-2017_{}_Data/ISIC_0000002.jpg", truncate),
    "a mask of another size": (
        "ISIC-2017_{}_Part1_GroundTruth/ISIC_0000002_segmentation.png",
        lambda path: iio.imwrite(path, np.zeros((40, 48), np.uint8)),
    ),
    "a mask of three values": (
        "ISIC-2017_{}_Part1_GroundTruth/ISIC_0000002_segmentation.png",
        lambda path: iio.imwrite(path, np.arange(48 * 48, dtype=np.uint8).reshape(48, 48) % 3 * 100),
    ),
    "a missing mask": ("ISIC-2017_{}_Part1_GroundTruth/ISIC_0000002_segmentation.png", lambda path: path.unlink()),
    "an image that is text": ("ISIC-2017_{}_Data/ISIC_0000002.jpg", lambda path: path.write_text("no image")),
}


@pytest.mark.parametrize("split", ["Training", "Validation", "Test_v2"])
@pytest.mark.parametrize("fault", SPOILED)
def test_a_bad_file_is_named_before_training_starts_or_skipped_when_asked(lesions, tmp_path, call, split, fault):
    data, (name, spoil) = copy_of(lesions, tmp_path), SPOILED[fault]
    spoil(data / name.format(split))
    words = ["train", "--data", data, "-o", tmp_path / "run", "--epochs", 1, *SMALL]
    assert refused(call(*words), "ISIC_0000002")
    assert not list((tmp_path / "run").glob("net-epoch-*"))
    code, out, err = call(*words, "--on-bad", "skip")
    assert code == 0, err
    assert (tmp_path / "run/net-epoch-1.mat").exists()
    if split != "Training":
        assert f"{split}, 3 images" in out


def test_an_empty_or_missing_folder_is_named(tmp_path, call):
    assert refused(call("train", "--data", tmp_path / "none", *SMALL), "none", "no such folder")
    assert refused(call("train", "--data", tmp_path, *SMALL), "ISIC-2017_Training_Data")
    assert refused(call("segment", "x.mat", tmp_path, "-o", tmp_path), tmp_path)
    assert refused(call("evaluate", tmp_path, tmp_path, "-o", tmp_path), "no true masks")


def test_a_file_where_the_output_folder_should_be_is_named(lesions, trained, tmp_path, call):
    place = tmp_path / "file"
    place.write_text("mine")
    assert refused(call("train", "--data", lesions, "-o", place, *SMALL, "--epochs", 1), place)
    assert refused(call("segment", trained / "net-epoch-2.mat", lesions / "ISIC-2017_Test_v2_Data", "-o", place), place)
    assert place.read_text() == "mine"


def test_a_run_of_other_settings_is_not_gone_on_with(lesions, trained, call):
    words = ["train", "--data", lesions, "-o", trained, *SMALL, "--epochs", 3, "--seed", 5]
    assert refused(call(*words), "seed 0", "seed is 5 now")


@pytest.mark.parametrize(
    "spoil", [truncate, lambda path: path.write_text("<html>404</html>"), lambda path: path.unlink()]
)
def test_a_spoiled_network_file_is_named(trained, tmp_path, call, spoil):
    path = tmp_path / "net.mat"
    shutil.copy(trained / "net-epoch-2.mat", path)
    spoil(path)
    for words in (["show", path], ["convert", path, "-o", tmp_path / "out.mat"]):
        assert refused(call(*words), "net.mat")
    assert not (tmp_path / "out.mat").exists()


def test_convert_does_not_write_over_what_it_reads(trained, tmp_path, call):
    path = tmp_path / "net.mat"
    shutil.copy(trained / "net-epoch-2.mat", path)
    before = path.read_bytes()
    assert refused(call("convert", path, "-o", path), "the file to read")
    assert path.read_bytes() == before


def test_a_file_without_a_network_says_what_it_holds(tmp_path, call):
    matfile.write(tmp_path / "data.mat", {"images": np.zeros((2, 2))})
    assert refused(call("show", tmp_path / "data.mat"), "data.mat", "images")


def test_a_network_that_makes_no_masks_is_refused_for_segmenting(lesions, tmp_path, call):
    net = vgg16.vgg16(31, width=1 / 64)
    net.init_params(np.random.default_rng(0))
    netfile.save(net, tmp_path / "vgg.mat")
    words = ["segment", tmp_path / "vgg.mat", lesions / "ISIC-2017_Test_v2_Data", "-o", tmp_path / "masks"]
    assert refused(call(*words), "prediction")


def test_memory_that_is_not_there_is_said_with_its_size(lesions, tmp_path, call, monkeypatch):
    from dagnet.training import trainer

    def hungry(*_, **__):
        raise MemoryError("Unable to allocate 1.50 TiB for an array with shape (1, 2) and data type float32")

    monkeypatch.setattr(trainer, "train", hungry)
    assert refused(call("train", "--data", lesions, "-o", tmp_path, *SMALL), "out of memory", "1.50 TiB")


def test_gpu_without_cupy_says_what_to_install(lesions, tmp_path, call):
    if importlib.util.find_spec("cupy"):
        pytest.skip("CuPy is installed")
    assert refused(
        call("train", "--data", lesions, "-o", tmp_path, *SMALL, "--gpu"), "CuPy is not installed", "cuda13x"
    )


def test_ctrl_c_says_how_to_go_on(lesions, tmp_path, call, monkeypatch):
    from dagnet.training import solvers

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(solvers, "update", stopped)
    code, _, err = call("train", "--data", lesions, "-o", tmp_path, *SMALL, "--epochs", 1)
    assert code == 130 and "interrupted; training was stopped in epoch 1" in err and "Traceback" not in err


def test_debug_shows_the_error_itself(tmp_path, call):
    with pytest.raises(FileNotFoundError):
        call("show", tmp_path / "none.mat", "--debug")


def test_an_unknown_verb_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["fly"])
    assert stop.value.code == 2
    assert "segment" in capsys.readouterr().err
