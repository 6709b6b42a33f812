"""Octave, where it is installed, leaves the same values as the interpreter for some hundreds of snippets."""

import pytest

pytest.importorskip("tree_sitter_matlab")

from tests import snippets

GROUPS = {
    "by hand": snippets.by_hand,
    "classes": snippets.classes_meet,
    "indices": snippets.indices,
    "growing": snippets.growing,
    "precedence": snippets.precedence,
    "ranges": lambda: snippets.RANGES,
    "formats": snippets.formats,
}


@pytest.fixture(scope="module")
def octave(tmp_path_factory) -> dict:
    if not snippets.OCTAVE:
        pytest.skip("Octave is not installed")
    codes = [code for make in GROUPS.values() for code in make()]
    return dict(zip(codes, snippets.in_octave(codes, tmp_path_factory.mktemp("octave")), strict=True))


@pytest.mark.parametrize("group", GROUPS)
def test_octave_leaves_the_same_values(octave, group):
    differing = {}
    for code in GROUPS[group]():
        ours = snippets.run(code)
        if not snippets.alike(ours, octave[code]):
            differing[code] = (ours, octave[code])
    assert not differing


def test_a_wrong_value_is_seen(octave):
    code = snippets.RANGES[1]
    assert not snippets.alike(snippets.run("r = 2:6;"), octave[code])
    assert not snippets.alike(snippets.run("r = single(1:5);"), octave[code])
    assert not snippets.alike(snippets.run("r = (1:5)';"), octave[code])
    assert not snippets.alike(snippets.run("r = x;x = 1;"), octave[code])


def test_there_are_a_few_hundred_snippets_of_which_few_raise_errors():
    codes = [code for make in GROUPS.values() for code in make()]
    assert len(codes) > 1000
    assert sum(snippets.run(code) is snippets.FAILED for code in codes) < 0.15 * len(codes)
