"""dagnet demo: a small one runs through; the whole one keeps its promise."""

import imageio.v3 as iio
import pytest

from dagnet.tools import demo
from tests.verbs import call, refused


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "IMAGES", {"Training": 6, "Validation": 3, "Test_v2": 3})


def test_it_generates_trains_segments_scores_and_says_where_the_report_is(small, tmp_path, capsys):
    code, out, _ = call(capsys, "demo", "-o", tmp_path, "--epochs", 1)
    assert code == 0
    images = sorted((tmp_path / "data/ISIC-2017_Training_Data").iterdir())
    assert len(images) == 6 and iio.imread(images[0]).shape == (demo.SIDE, demo.SIDE, 3)
    lines = out.splitlines()
    assert lines[-3].startswith("network") and lines[-2].startswith("Otsu's threshold")
    assert lines[-1] == f"report: {tmp_path / 'Test_v2/report.html'}"
    assert (tmp_path / "Test_v2/report.html").exists() and (tmp_path / "net-train.png").exists()


def test_a_second_call_generates_nothing_anew_and_goes_on(small, tmp_path, capsys):
    assert call(capsys, "demo", "-o", tmp_path, "--epochs", 1)[0] == 0
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")}
    code, out, err = call(capsys, "demo", "-o", tmp_path, "--epochs", 2)
    assert code == 0 and "going on after epoch 1" in out + err and (tmp_path / "net-epoch-2.mat").exists()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")} == made


def test_a_file_where_its_folder_should_be_is_named(small, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert refused(call(capsys, "demo", "-o", tmp_path / "file"), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_the_demo_keeps_its_promise(tmp_path, capsys):
    code, out, _ = call(capsys, "demo", "-o", tmp_path)
    assert code == 0
    network, otsu = (float(line.split()[-5]) for line in out.splitlines()[-3:-1])
    assert network >= 0.80 and network >= otsu + 0.10
