"""What the README says runs as it stands there."""

import re
import shutil

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet import DagNN
from dagnet.data import phantom
from dagnet.files import netfile, simplenn
from dagnet.layers import conv, loss
from dagnet.models import lesion_fcn
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def example(after: str) -> str:
    """The Python that follows a line of the README that ends so."""
    return re.search(re.escape(after) + r"\n\n```python\n(.+?)```", README, re.DOTALL)[1]


def test_the_python_of_the_readme_runs(data_dir, tmp_path, monkeypatch, capsys):
    code = re.search(r"<!-- python -->\n```python\n(.+?)```", README, re.DOTALL)[1]
    shutil.copy(data_dir / "vgg16/imagenet-vgg-verydeep-16-conv.mat", tmp_path / "imagenet-vgg-verydeep-16.mat")
    iio.imwrite(tmp_path / "photo.jpg", phantom.sample(3, 256)[0])
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "(7, 7, 512, 1) (224, 224, 64, 1)" in printed
    assert "(3, 3, 3, 64)" in printed


def test_a_simplenn_runs_as_the_readme_says(data_dir, tmp_path, monkeypatch, capsys):
    shutil.copy(data_dir / "vgg16/imagenet-vgg-verydeep-16-conv.mat", tmp_path / "imagenet-vgg-verydeep-16.mat")
    monkeypatch.chdir(tmp_path)
    photo = phantom.sample(3, 64)[0][:32, :32].astype(np.float32)
    names = {"netfile": netfile, "simplenn": simplenn, "photo": photo, "dy": np.ones((1, 1, 512), np.float32)}
    exec(compile(example("counted from 0:"), "README.md", "exec"), names)
    assert "(1, 1, 512, 1) (32, 32, 3, 1) [(3, 3, 3, 64), (64,)]" in capsys.readouterr().out.replace("(64, 1)", "(64,)")


def test_a_training_of_ones_own_runs_as_the_readme_says(tmp_path, monkeypatch):
    net = DagNN()
    net.add_layer("conv", conv.Conv([4, 4, 1, 2]), "input", "scores", ["f", "b"])
    net.add_layer("loss", loss.Loss(), ["scores", "label"], "objective")
    net.init_params(np.random.default_rng(0))
    labels = np.arange(1000) % 2 + 1
    images = np.random.default_rng(1).standard_normal((4, 4, 1, 1000), np.float32) + labels.astype(np.float32)
    monkeypatch.chdir(tmp_path)
    names = {"net": net, "images": images, "labels": labels}
    exec(compile(example("MATLAB's checkpoints too:"), "README.md", "exec"), names)
    assert len(names["stats"]["val"]) == 20 and names["stats"]["val"][-1]["objective"] < 0.4
    assert (tmp_path / "runs/mine/net-epoch-20.mat").exists()


def test_masks_and_scores_come_without_the_command_line_too(tmp_path, monkeypatch, capsys):
    code = example("without the command line too:")
    net = lesion_fcn.lesion_fcn(width=1 / 32, fc_width=8)
    net.meta["normalization"] = {"imageSize": np.array([[32, 32, 3.0]]), "averageImage": np.full((1, 1, 3), 128.0)}
    (tmp_path / "runs/paper").mkdir(parents=True)
    netfile.save(net, tmp_path / "runs/paper/net-epoch-20.mat")
    iio.imwrite(tmp_path / "photo.jpg", phantom.sample(3, 100)[0])
    phantom.write_split(tmp_path / "ISIC", "Test_v2", 3, 40, 0)
    shutil.copytree(tmp_path / "ISIC/ISIC-2017_Test_v2_Part1_GroundTruth", tmp_path / "masks")
    monkeypatch.chdir(tmp_path)
    names = {"iio": iio, "netfile": netfile}  # which the README's first example has imported
    exec(compile(code, "README.md", "exec"), names)
    assert names["mask"].shape == (100, 100) and names["mask"].dtype == bool
    assert "JA=1.0" in capsys.readouterr().out


@pytest.mark.parametrize("document", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_every_link_leads_to_a_file(document):
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def test_the_example_of_python_is_short():
    code = re.search(r"<!-- python -->\n```python\n(.+?)```", README, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
