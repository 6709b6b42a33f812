"""docs/migrating.md: what it says commands print, they print, beside a narrow VGG-16 in place of the real one."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from dagnet.layers import catalogue
from tests import little
from tests.verbs import call

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "migrating.md").read_text(encoding="utf-8")
# (words, what is printed) of each command that stands with its output
SHOWN = [
    (shlex.split(command)[1:], output.strip())
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for command, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("migrating")
    for file in (DOCS / "examples").iterdir():
        shutil.copy(file, place)
    little.vgg16_file(place / "imagenet-vgg-verydeep-16.mat")
    return place


def test_the_page_shows_its_commands_with_what_they_print():
    assert [words[0] for words, _ in SHOWN].count("convert") == 8 and len(SHOWN) == 9


@pytest.mark.parametrize(("words", "output"), [s for s in SHOWN if s[0][0] == "convert"], ids=lambda v: str(v)[:40])
def test_a_command_prints_what_the_page_says(folder, capsys, monkeypatch, words, output):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    _, out, err = call(capsys, *words)
    assert (err + out).strip() == output


def test_the_training_runs(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"<!-- train -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    space: dict = {}
    exec(compile(code, "docs/migrating.md", "exec"), space)
    assert len(space["stats"]["train"]) == 2 and (folder / "exp/net-epoch-2.mat").is_file()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", PAGE):
        assert (DOCS / target).exists(), target
