"""dagnet evaluate: the means it prints, the files it writes, the two rules, and what is refused."""

import csv
import shutil

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.evaluation import scoring
from tests.verbs import call, cut_short, lesions, made_text, refused


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four lesions with true masks, and masks/, which shrink each of them by a column."""
    root = lesions(tmp_path_factory.mktemp("evaluate"), Test_v2=4)
    (root / "ISIC-2017_Test_v2_Data").rename(root / "images")
    (root / "ISIC-2017_Test_v2_Part1_GroundTruth").rename(root / "truth")
    (root / "masks").mkdir()
    for file in (root / "truth").iterdir():
        truth = iio.imread(file)
        iio.imwrite(root / "masks" / file.name, np.minimum(truth, np.roll(truth, 1, axis=1)))
    return root


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_means_printed_are_those_of_the_files_it_writes(data, tmp_path, capsys):
    words = ["evaluate", data / "masks", data / "truth", "--images", data / "images", "-o", tmp_path / "a/out"]
    code, out, err = call(capsys, *words)
    assert (code, err) == (0, "")
    written = {path.name for path in (tmp_path / "a/out").iterdir()}
    assert written == {"scores.csv", "otsu.csv", "worst.png", "best.png", "report.html"}
    lines = out.splitlines()
    assert lines[0] == f"{data / 'masks'}, 4 images"
    assert lines[1].split() == ["JA", "DI", "AC", "SE", "SP"]
    for line, name, file in ((lines[2], "network", "scores.csv"), (lines[3], "Otsu's threshold", "otsu.csv")):
        table = rows(tmp_path / "a/out" / file)
        means = [np.mean([float(row[score]) for row in table]) for score in lines[1].split()]
        assert line.startswith(name) and line.split()[-5:] == [f"{mean:.3f}" for mean in means]
    assert 0.7 < float(lines[2].split()[1]) < 1 and float(lines[2].split()[-1]) == 1  # nothing outside was marked
    assert lines[4] == f"report: {tmp_path / 'a/out/report.html'}"


def test_a_perfect_prediction_scores_one(data, tmp_path, capsys):
    out = call(capsys, "evaluate", data / "truth", data / "truth", "-o", tmp_path)[1]
    assert out.splitlines()[2].split() == ["network"] + ["1.000"] * 5


def test_without_images_there_are_no_pictures_and_no_baseline(data, tmp_path, capsys):
    code, out, _ = call(capsys, "evaluate", data / "masks", data / "truth", "-o", tmp_path)
    assert code == 0 and "Otsu" not in out
    assert {path.name for path in tmp_path.iterdir()} == {"scores.csv", "report.html"}


def test_the_report_stands_alone_and_tells_settings_and_scores(data, tmp_path, capsys):
    call(capsys, "evaluate", data / "masks", data / "truth", "--images", data / "images", "-o", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "masks against truth" in page and "2017" in page and "ISIC_0000003" in page
    assert "data:image/" in page and 'src="http' not in page


def test_the_rules_differ_where_truth_and_prediction_are_empty(data, tmp_path, capsys):
    for folder in ("masks", "truth"):
        shutil.copytree(data / folder, tmp_path / folder)
        iio.imwrite(tmp_path / folder / "ISIC_0000001_segmentation.png", np.zeros((48, 48), np.uint8))
    ja = {}
    for rule in ("2017", "current"):
        words = ["evaluate", tmp_path / "masks", tmp_path / "truth", "-o", tmp_path / rule, "--rule", rule]
        assert call(capsys, *words, "--images", data / "images")[0] == 0
        ja[rule] = rows(tmp_path / rule / "scores.csv")[1]["JA"]
    assert ja == {"2017": "", "current": "1.000000"}


# -- what is wrong


def other_size(path):
    iio.imwrite(path, np.zeros((40, 48), np.uint8))


def three_channels(path):
    iio.imwrite(path, np.zeros((48, 48, 3), np.uint8))


def zero_and_one(path):
    iio.imwrite(path, np.eye(48, dtype=np.uint8))


def sixteen_bits(path):
    iio.imwrite(path, np.eye(48, dtype=np.uint16) * 65535)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (other_size, "48x40"),
        (three_channels, "single-channel"),
        (zero_and_one, "largest value is 1"),
        (sixteen_bits, "8 bits"),
        (cut_short, "not a readable image"),
        (made_text, "not a readable image"),
        (lambda path: path.unlink(), "no prediction for ISIC_0000002_segmentation.png"),
        (lambda path: shutil.copy(path, path.with_name("0000002.png")), "2 predictions"),
    ],
)
def test_a_prediction_that_is_none_is_named_and_nothing_is_written(data, tmp_path, capsys, spoil, says):
    shutil.copytree(data / "masks", tmp_path / "masks")
    spoil(tmp_path / "masks/ISIC_0000002_segmentation.png")
    result = call(capsys, "evaluate", tmp_path / "masks", data / "truth", "-o", tmp_path / "out")
    assert refused(result, tmp_path / "masks", "0000002", says)
    assert not (tmp_path / "out").exists()


def test_truth_of_three_values_is_named_by_the_rule_of_2017(data, tmp_path, capsys):
    shutil.copytree(data / "truth", tmp_path / "truth")
    iio.imwrite(tmp_path / "truth/ISIC_0000002_segmentation.png", np.arange(48 * 48, dtype=np.uint8).reshape(48, 48))
    result = call(capsys, "evaluate", data / "masks", tmp_path / "truth", "-o", tmp_path / "out")
    assert refused(result, tmp_path / "truth/ISIC_0000002_segmentation.png", "more than two values")


def test_truth_of_zero_and_one_is_scored_and_drawn_by_the_rule_of_2017(data, tmp_path, capsys):
    shutil.copytree(data / "truth", tmp_path / "truth")
    for file in (tmp_path / "truth").iterdir():
        iio.imwrite(file, iio.imread(file) // 255)
    words = ["evaluate", data / "masks", tmp_path / "truth", "--images", data / "images", "-o"]
    code, out, err = call(capsys, *words, tmp_path / "out")
    assert code == 0, err
    assert call(capsys, *words[:2], data / "truth", *words[3:], tmp_path / "as255")[1].splitlines()[2] in out


@pytest.mark.parametrize("argument", ["masks", "truth", "images"])
@pytest.mark.parametrize("fault", ["empty", "missing", "a file"])
def test_a_folder_that_is_none_is_named(data, tmp_path, capsys, argument, fault):
    place = tmp_path / "place"
    if fault == "empty":
        place.mkdir()
    elif fault == "a file":
        place.write_text("")
    folders = {name: data / name for name in ("masks", "truth", "images")} | {argument: place}
    words = ["evaluate", folders["masks"], folders["truth"], "--images", folders["images"], "-o", tmp_path / "out"]
    assert refused(call(capsys, *words), place)
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_missing_or_of_another_size_is_named(data, tmp_path, capsys):
    shutil.copytree(data / "images", tmp_path / "images")
    image = tmp_path / "images/ISIC_0000001.jpg"
    words = ["evaluate", data / "masks", data / "truth", "--images", tmp_path / "images", "-o", tmp_path / "out"]
    iio.imwrite(image, np.zeros((30, 48, 3), np.uint8))
    assert refused(call(capsys, *words), "ISIC_0000001", "48x30")
    image.unlink()
    assert refused(call(capsys, *words), tmp_path / "images", "no image ISIC_0000001")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_refused_before_any_work(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scoring, "match_masks", lambda *_: pytest.fail("masks were matched first"))
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file/out"):
        assert refused(call(capsys, "evaluate", data / "masks", data / "truth", "-o", out), out, "is a file")
    assert (tmp_path / "file").read_text() == "mine"
