"""A file is replaced whole or stays as it was."""

import pytest

from dagnet.files import atomic


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic.replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match=r"file/a\.txt: it cannot be written \((File exists|Not a directory)\)"),
        atomic.replacing(tmp_path / "file/a.txt") as part,
    ):
        part.write_text("x")


def test_a_missing_folder_is_made(tmp_path):
    with atomic.replacing(tmp_path / "new/deep/a.txt") as part:
        part.write_text("x")
    assert (tmp_path / "new/deep/a.txt").read_text() == "x"
