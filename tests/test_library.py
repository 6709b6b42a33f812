"""dagnet.mscript.library: where a name leads, and who comes first."""

import numpy as np
import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet import mscript
from dagnet.mscript import library, syntax


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lab.m").write_text("function r = lab()\nr = numel([1 2 3]) ;\n")
    return tmp_path


def value(folder, **options):
    return mscript.run(folder / "lab.m", **options).item()


def test_a_file_beside_the_script_comes_before_a_builtin(folder):
    assert value(folder) == 3
    (folder / "numel.m").write_text("function r = numel(x)\nr = 7 ;\n")
    assert value(folder) == 7


def test_a_function_of_the_same_file_comes_before_a_file(folder):
    (folder / "numel.m").write_text("function r = numel(x)\nr = 7 ;\n")
    (folder / "lab.m").write_text("function r = lab()\nr = numel(1) ;\nfunction r = numel(x)\nr = 8 ;\n")
    assert value(folder) == 8


def test_what_is_defined_comes_first(folder):
    (folder / "lab.m").write_text("function r = lab()\nr = numel(1) ;\nfunction r = numel(x)\nr = 8 ;\n")
    assert value(folder, define={"numel": lambda x: 9}) == 9


def test_matconvnets_own_names_are_dagnets_even_where_their_files_lie_beside(folder):
    (folder / "vl_argparse.m").write_text("function r = vl_argparse(varargin)\nr = 'theirs' ;\n")
    (folder / "lab.m").write_text("function r = lab()\no.a = 1 ; o = vl_argparse(o, {'a', 2}) ; r = o.a ;\n")
    assert value(folder) == 2


def test_a_folder_that_is_added_is_looked_into(folder):
    (folder / "more").mkdir()
    (folder / "more" / "extra.m").write_text("function r = extra()\nr = 4 ;\n")
    text = "function r = lab()\naddpath(fullfile(fileparts(mfilename('fullpath')), 'more')) ;\nr = extra() ;\n"
    (folder / "lab.m").write_text(text)
    assert value(folder) == 4


def test_each_file_is_read_once(folder):
    found = library.Library(None, folder)
    assert isinstance(found.find("lab"), syntax.Function)
    (folder / "lab.m").unlink()
    assert found.find("lab") is found.find("lab")
    assert found.find("other") is None


@pytest.mark.parametrize(
    ("what", "words"), [("math", "module:function is right"), ("no_such:f", "cannot be had"), ("math:no", "cannot")]
)
def test_a_definition_that_cannot_be_had_is_told(what, words):
    with pytest.raises(ValueError, match=words):
        library.Library({"f": what}, None)


def test_what_a_defined_function_returns_becomes_matlabs_values():
    (number,) = library.to_values(3)
    assert number.shape == (1, 1) and number.dtype == np.float64
    assert library.to_values(None) == []
    assert [v.shape for v in library.to_values(([1, 2], np.zeros((3,), np.float32)))] == [(1, 2), (1, 3)]
    assert library.to_values(True)[0].dtype == bool
    assert library.to_values("a") == ["a"]
