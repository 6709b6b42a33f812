"""The report: one file that needs nothing else, holds what it was given, and shows no stranger's markup."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.evaluation import overlay, report, scoring
from dagnet.evaluation.metrics import Scores

ROWS = [
    scoring.ImageScores("ISIC_0000001", Scores(SE=0.5, SP=1.0, AC=0.75, JA=0.5, DI=2 / 3, TJ=0.0)),
    scoring.ImageScores("ISIC_0000002", Scores(SE=1.0, SP=0.9, AC=0.95, JA=0.75, DI=6 / 7, TJ=0.75)),
]
POOR = [scoring.ImageScores("ISIC_0000001", Scores(SE=None, SP=0.25, AC=0.25, JA=None, DI=None, TJ=None))]


class Page(HTMLParser):
    """What a browser would see of a page: its text, its pictures, its links, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.images, self.links, self.tags = "", [], [], []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag not in ("img", "br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def full(tmp_path: Path) -> report.Report:
    ramp = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(40, 30, 3)
    return report.Report(
        title="Lesions & more",
        methods={"lesion_fcn": ROWS, "Otsu's threshold": POOR},
        summary="Two images.",
        stats={"train": [{"objective": 0.5}, {"objective": 0.3}], "val": [{"objective": 0.6}, {"objective": 0.4}]},
        worst=[overlay.Picture(ramp, "ISIC_0000001 JA 0.500")],
        best=[overlay.Picture(ramp[::-1], "ISIC_0000002 JA 0.750")],
        command="dagnet demo --seed 1 <&>",
        settings={"learning rate": 1e-3},
        csv={"lesion_fcn": tmp_path / "out" / "my scores.csv"},
    )


@pytest.fixture
def page(full: report.Report, tmp_path: Path) -> Page:
    report.write(tmp_path / "out" / "report.html", full)
    return Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))


def test_the_page_holds_what_it_was_given(page):
    for wanted in (
        "Lesions & more",
        "Two images.",
        "dagnet demo --seed 1 <&>",
        "learning rate",
        "0.001",
        "Python",
        "numpy",
        "ISIC_0000001 JA 0.500",
        "ISIC_0000002 JA 0.750",
        "objective",
    ):
        assert wanted in page.text
    assert page.open == []


def test_the_table_shows_the_means_of_each_method_and_a_dash_for_none(page):
    assert "lesion_fcn20.6250.7620.8500.7500.9500.375" in page.text  # images JA DI AC SE SP TJ
    assert "Otsu's threshold1\u2013\u20130.250\u20130.250\u2013" in page.text


def test_the_page_fetches_nothing(page):
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(source.startswith("data:image/") for source in page.images)
    assert page.links == ["my%20scores.csv"]


def test_pictures_lie_inside_the_page_in_full(page, full):
    jpegs = [source for source in page.images if source.startswith("data:image/jpeg")]
    assert len(jpegs) == 2
    shown = iio.imread(io.BytesIO(base64.b64decode(jpegs[0].partition(",")[2])))
    assert np.abs(shown.astype(int) - full.worst[0].pixels).mean() < 8
    assert sum(source.startswith("data:image/svg+xml") for source in page.images) == 2  # a curve and the histogram


def test_parts_without_content_are_left_out(tmp_path):
    report.write(tmp_path / "report.html", report.Report("Scores alone", {"masks": ROWS}))
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("h2") == 3  # scores, histogram, how it was made
    assert page.links == []
    assert "Training" not in page.text


def test_names_cannot_smuggle_markup_in(tmp_path):
    evil = "<script>alert(1)</script>"
    pictures = [overlay.Picture(np.zeros((4, 4, 3), np.uint8), evil)]
    everywhere = report.Report(
        evil,
        {evil: ROWS},
        evil,
        {"train": [{evil: 1.0}]},
        pictures,
        pictures,
        evil,
        {evil: evil},
        {evil: tmp_path / "a.csv"},
    )
    report.write(tmp_path / "report.html", everywhere)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.text.count(evil) >= 9


def test_a_report_of_nothing_is_refused_and_leaves_the_old_one(tmp_path):
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(ValueError, match=r"report\.html: no scores to report"):
        report.write(tmp_path / "report.html", report.Report("Empty", {"net": []}))
    assert (tmp_path / "report.html").read_text() == "old"
