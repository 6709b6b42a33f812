"""Assessment: what is written for which input, the table, and pictures of the worst and best."""

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import isic2017
from dagnet.evaluation import assessment, metrics, overlay, scoring

SIDE = 40


def box(width: int) -> np.ndarray:
    """A mask of 20 rows by so many columns."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10:30, 5 : 5 + width] = 255
    return mask


@pytest.fixture
def case(tmp_path):
    """Three images: truth 20 columns wide, predictions 5, 20 and 10, so JA is 0.25, 1 and 0.5."""
    pairs, samples = [], []
    for i, width in enumerate((5, 20, 10)):
        name = f"ISIC_000000{i}"
        image, truth, prediction = (tmp_path / f"{kind}{i}.png" for kind in ("image", "truth", "prediction"))
        iio.imwrite(image, np.repeat(255 - box(20)[:, :, None] // 2, 3, axis=2))
        iio.imwrite(truth, box(20))
        iio.imwrite(prediction, box(width))
        pairs.append(scoring.Pair(name, prediction, truth))
        samples.append(isic2017.Sample(name, image, truth))
    return pairs, samples


@pytest.fixture
def sheets(monkeypatch):
    """Captions of the pictures on each sheet that is drawn."""
    drawn = {}
    draw = overlay.contact_sheet

    def sheet(path, pictures, title):
        drawn[path.name] = [picture.caption for picture in pictures]
        draw(path, pictures, title=title)

    monkeypatch.setattr(overlay, "contact_sheet", sheet)
    return drawn


def test_means_are_of_the_network_and_where_there_are_images_of_the_baseline(case, tmp_path):
    pairs, samples = case
    means = assessment.assess(pairs, samples, tmp_path / "out", assessment.Story("boxes"))
    assert list(means) == ["network", "Otsu's threshold"]
    ja = means["network"].JA
    assert ja == pytest.approx((0.25 + 1 + 0.5) / 3)
    assert means["Otsu's threshold"].JA == 1  # the lesion is the darker part, and nothing else is dark
    assert list(assessment.assess(pairs, [], tmp_path / "bare", assessment.Story("boxes"))) == ["network"]
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {"scores.csv", "report.html"}


def test_the_worst_come_first_on_one_sheet_and_the_best_on_the_other(case, tmp_path, sheets):
    assessment.assess(*case, tmp_path / "out", assessment.Story("boxes"))
    assert sheets["worst.png"] == ["ISIC_0000000  JA 0.250", "ISIC_0000002  JA 0.500"]
    assert sheets["best.png"] == ["ISIC_0000001  JA 1.000"]
    assert iio.imread(tmp_path / "out/worst.png").ndim == 3


def test_an_image_without_a_score_is_in_the_csv_and_on_no_sheet(case, tmp_path, sheets):
    pairs, samples = case
    for file in (pairs[0].truth, pairs[0].prediction):
        iio.imwrite(file, box(0))
    means = assessment.assess(pairs, samples, tmp_path / "out", assessment.Story("boxes"))
    ja = means["network"].JA
    assert ja == pytest.approx(0.75)
    assert (tmp_path / "out/scores.csv").read_text().splitlines()[1].startswith("ISIC_0000000,,1.0")
    assert not any("ISIC_0000000" in caption for captions in sheets.values() for caption in captions)


def test_the_rule_reaches_the_scores(case, tmp_path):
    pairs, samples = case
    for file in (pairs[0].truth, pairs[0].prediction):
        iio.imwrite(file, box(0))
    means = assessment.assess(pairs, samples, tmp_path / "out", assessment.Story("boxes"), rule="current")
    ja = means["network"].JA
    assert ja == pytest.approx((1 + 1 + 0.5) / 3)


@pytest.mark.parametrize(
    ("rule", "low", "high", "drawn"), [("2017", 0, 1, True), ("2017", 60, 100, True), ("current", 0, 100, False)]
)
def test_the_truth_is_drawn_as_it_is_scored(case, tmp_path, monkeypatch, rule, low, high, drawn):
    pairs, samples = case
    seen = []
    draw = overlay.draw
    monkeypatch.setattr(overlay, "draw", lambda image, truth, mask: seen.append(truth) or draw(image, truth, mask))
    for pair in pairs:
        iio.imwrite(pair.truth, np.where(box(20) > 0, high, low).astype(np.uint8))
    assessment.assess(pairs, samples, tmp_path / "out", assessment.Story("boxes"), rule=rule)
    assert seen and all((truth == ((box(20) > 0) & drawn)).all() for truth in seen)


def test_the_report_tells_the_story(case, tmp_path):
    story = assessment.Story("boxes by hand", command="dagnet evaluate a b", settings={"width": 5})
    assessment.assess(*case, tmp_path / "out", story)
    page = (tmp_path / "out/report.html").read_text()
    for word in ("boxes by hand", "dagnet evaluate a b", "width", "scores.csv", "otsu.csv"):
        assert word in page


def test_a_bad_mask_is_named_and_nothing_is_written(case, tmp_path):
    pairs, samples = case
    iio.imwrite(pairs[1].prediction, np.zeros((SIDE, SIDE + 1), np.uint8))
    with pytest.raises(ValueError, match=r"prediction1\.png: the mask is 41x40"):
        assessment.assess(pairs, samples, tmp_path / "out", assessment.Story("boxes"))
    assert not (tmp_path / "out").exists()


def test_the_table_has_a_line_a_method_and_a_dash_for_what_is_not_defined():
    one = metrics.Scores(SE=None, SP=1.0, AC=0.5, JA=0.25, DI=0.4, TJ=0.0)
    assert assessment.table({"network": one, "Otsu": one}).splitlines() == [
        "             JA      DI      AC      SE      SP",
        "network   0.250   0.400   0.500       -   1.000",
        "Otsu      0.250   0.400   0.500       -   1.000",
    ]
