"""Folders of masks scored against each other by the challenge's rules, the baseline, and the CSV."""

import csv
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import isic2017
from dagnet.evaluation import metrics, scoring

NUMBERS = ("0000000", "0000012", "0012345")


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, pixels)
    return path


@pytest.fixture
def folders(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    """Predictions and truths of three images, each of its own size."""
    for i, number in enumerate(NUMBERS):
        truth, noise = rng.random((2, 20 + i, 30))
        write(tmp_path / "truths" / f"ISIC_{number}_segmentation.png", (truth > 0.6) * np.uint8(255))
        write(tmp_path / "masks" / f"ISIC_{number}_segmentation.png", (truth + 0.3 * noise > 0.7) * np.uint8(255))
    return tmp_path / "masks", tmp_path / "truths"


def test_a_folder_scores_as_its_masks_do_one_by_one(folders):
    masks, truths = folders
    rows = scoring.score_folder(masks, truths)
    assert [row.image for row in rows] == [f"ISIC_{number}" for number in NUMBERS]
    for row in rows:
        pair = (iio.imread(folder / f"{row.image}_segmentation.png") for folder in folders)
        assert row.scores == metrics.scores(*pair)


@pytest.mark.parametrize("name", ["0000012.png", "my_0000012_v2.png", "ISIC_0000012_Segmentation.PNG"])
def test_a_prediction_is_found_by_its_number_anywhere_in_its_name(folders, name):
    masks, truths = folders
    (masks / "ISIC_0000012_segmentation.png").rename(masks / name)
    assert [pair.prediction.name for pair in scoring.match_masks(masks, truths)][1] == name


def test_files_that_carry_no_number_asked_for_are_ignored(folders):
    masks, truths = folders
    before = scoring.match_masks(masks, truths)
    for extra in (
        masks / "notes.txt",
        masks / "ISIC_7777777.png",
        masks / ".ISIC_0000012.part",
        truths / "LICENSE.txt",
    ):
        extra.write_text("")
    (truths / "ISIC_0000012_superpixels.png").write_text("")
    assert scoring.match_masks(masks, truths) == before


def test_a_missing_prediction_is_named(folders):
    masks, truths = folders
    (masks / "ISIC_0000012_segmentation.png").unlink()
    with pytest.raises(ValueError, match=r"masks: no prediction for ISIC_0000012_segmentation\.png"):
        scoring.score_folder(masks, truths)


def test_a_second_prediction_is_named(folders):
    masks, truths = folders
    (masks / "old_0000012.png").write_text("")
    with pytest.raises(ValueError, match=r"2 predictions \(ISIC_0000012_segmentation\.png, old_0000012\.png\)"):
        scoring.score_folder(masks, truths)


def test_a_second_truth_is_named(folders):
    masks, truths = folders
    (truths / "ISIC_0000012_Segmentation_b.png").write_text("")
    with pytest.raises(ValueError, match=r"a second true mask of ISIC_0000012"):
        scoring.match_masks(masks, truths)


def test_a_truth_without_an_isic_name_is_refused(folders):
    masks, truths = folders
    (truths / "mole.png").write_text("")
    with pytest.raises(ValueError, match=r"mole\.png: a true mask must be named ISIC_nnnnnnn_segmentation\.png"):
        scoring.match_masks(masks, truths)


def test_empty_and_missing_folders_are_refused(folders, tmp_path):
    masks, _ = folders
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: no true masks"):
        scoring.match_masks(masks, tmp_path / "empty")
    with pytest.raises(ValueError, match=r"nowhere: no such folder"):
        scoring.match_masks(masks, tmp_path / "nowhere")


def test_a_prediction_of_another_size_is_an_error_that_says_both(folders):
    masks, truths = folders
    path = write(masks / "ISIC_0000012_segmentation.png", np.zeros((5, 6), np.uint8))
    with pytest.raises(ValueError, match=rf"{path}: the mask is 6x5 pixels; it must be 30x21 like ISIC_0000012"):
        scoring.score_folder(masks, truths)


@pytest.mark.parametrize("pixels", [np.zeros((21, 30, 3), np.uint8), np.zeros((21, 30), np.uint16)])
def test_a_prediction_that_is_not_one_channel_of_8_bits_is_an_error(folders, pixels):
    masks, truths = folders
    path = write(masks / "ISIC_0000012_segmentation.png", pixels)
    with pytest.raises(ValueError, match=rf"{path}: .*a mask is a single-channel image of 8 bits"):
        scoring.score_folder(masks, truths)


def test_a_one_bit_mask_is_read_as_0_and_255(folders):
    masks, truths = folders
    before = scoring.score_folder(masks, truths)
    for path in sorted(masks.iterdir()):
        write(path, iio.imread(path) > 128)
    assert scoring.read_mask(path).dtype == bool
    assert scoring.score_folder(masks, truths) == before


def test_a_truncated_mask_is_an_error_that_names_it(folders):
    masks, truths = folders
    path = masks / "ISIC_0012345_segmentation.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=rf"{path}: not a readable image"):
        scoring.score_folder(masks, truths)


def test_a_truth_of_many_values_is_an_error_that_names_it(folders, rng):
    masks, truths = folders
    path = write(truths / "ISIC_0000012_segmentation.png", rng.integers(0, 255, (21, 30), dtype=np.uint8))
    with pytest.raises(ValueError, match=rf"against {path}: truth: it has more than two values"):
        scoring.score_folder(masks, truths)


def test_a_folder_scores_as_the_challenges_own_package_says(folders):
    segmentation = pytest.importorskip("isic_challenge_scoring.segmentation")
    masks, truths = folders
    theirs = segmentation.SegmentationScore.from_dir(truths, masks).macro_average
    ours = metrics.mean(row.scores for row in scoring.score_folder(masks, truths, "current"))
    assert pytest.approx(
        [theirs[n] for n in ("sensitivity", "specificity", "accuracy", "jaccard", "dice", "threshold_jaccard")],
        rel=1e-12,
    ) == [ours.SE, ours.SP, ours.AC, ours.JA, ours.DI, ours.TJ]


def test_the_baseline_scores_otsus_mask_of_each_image(tmp_path):
    y, x = np.mgrid[:40, :50]
    disc = (y - 20) ** 2 + (x - 25) ** 2 < 100
    image = write(tmp_path / "a.png", np.where(disc[:, :, None], 60, 200).astype(np.uint8).repeat(3, axis=2))
    mask = write(tmp_path / "a_segmentation.png", disc * np.uint8(255))
    assert [row.scores.JA for row in scoring.score_otsu([isic2017.Sample("a", image, mask)])] == [1.0]
    with pytest.raises(ValueError, match=r"a\.png: it has no mask to score against"):
        list(scoring.score_otsu([isic2017.Sample("a", image)]))


def test_the_baseline_on_real_images_is_far_from_the_winners_0765(data_dir):
    samples = isic2017.find(data_dir / "isic2017", "Validation")[:40]
    ja = metrics.mean(row.scores for row in scoring.score_otsu(samples)).JA
    assert 0.3 < ja < 0.65


def row(name: str, ja: float | None) -> scoring.ImageScores:
    return scoring.ImageScores(name, metrics.Scores(0.5, 1.0, 0.75, ja, 2 / 3, None))


def test_the_csv_holds_a_line_per_image_and_an_empty_cell_for_none(tmp_path):
    scoring.write_csv(tmp_path / "new" / "scores.csv", [row("ISIC_0000001", 0.25), row("ISIC_0000002", None)])
    with (tmp_path / "new" / "scores.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines == [
        ["image", "SE", "SP", "AC", "JA", "DI", "TJ"],
        ["ISIC_0000001", "0.500000", "1.000000", "0.750000", "0.250000", "0.666667", ""],
        ["ISIC_0000002", "0.500000", "1.000000", "0.750000", "", "0.666667", ""],
    ]


def test_worst_and_best_are_ranked_by_ja_and_share_no_image():
    rows = [row(str(i), ja) for i, ja in enumerate([0.5, 0.1, None, 0.9, 0.3, 0.7])]
    worst, best = scoring.worst_and_best(rows, 2)
    assert [r.scores.JA for r in worst] == [0.1, 0.3]
    assert [r.scores.JA for r in best] == [0.9, 0.7]
    worst, best = scoring.worst_and_best(rows, 10)
    assert [r.scores.JA for r in worst + best] == [0.1, 0.3, 0.5, 0.9, 0.7]


def test_an_interrupted_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")

    def rows():
        yield row("ISIC_0000001", 0.25)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scoring.write_csv(path, rows())
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("scores.csv", "old")]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/scores\.csv: it cannot be written"):
        scoring.write_csv(tmp_path / "file" / "scores.csv", [row("ISIC_0000001", 0.25)])
