"""What the README says runs as it stands there."""

import re
import shutil

import imageio.v3 as iio
import pytest

from dagnet.data import phantom
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_readme_runs(data_dir, tmp_path, monkeypatch, capsys):
    code = re.search(r"<!-- python -->\n```python\n(.+?)```", README, re.DOTALL)[1]
    shutil.copy(data_dir / "vgg16/imagenet-vgg-verydeep-16-conv.mat", tmp_path / "imagenet-vgg-verydeep-16.mat")
    iio.imwrite(tmp_path / "photo.jpg", phantom.sample(3, 256)[0])
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "(7, 7, 512, 1) (224, 224, 64, 1)" in printed
    assert "(3, 3, 3, 64)" in printed


@pytest.mark.parametrize("document", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_every_link_leads_to_a_file(document):
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def test_the_example_of_python_is_short():
    code = re.search(r"<!-- python -->\n```python\n(.+?)```", README, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
