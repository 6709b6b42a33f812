"""dagnet VERB: help, exit codes, and what is wrong said in one line."""

import importlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

from dagnet.tools import arguments, command, show
from tests.verbs import call, refused


@pytest.fixture
def verb(monkeypatch):
    """Makes `dagnet show FILE` do something else."""

    def does(action):
        monkeypatch.setattr(show, "run", action)

    return does


def raising(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize("name", command.VERBS)
def test_every_verb_tells_its_purpose_and_every_option(name, capsys):
    code, out, err = call(capsys, name, "--help")
    assert code == 0 and not err
    module = importlib.import_module(f"dagnet.tools.{name}")
    assert module.__doc__.splitlines()[0] in out
    parser = arguments.argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    for action in parser._actions:
        assert action.help and (action.option_strings or [action.dest])[-1] in out


def test_dagnet_alone_lists_the_verbs(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0 and all(verb in out for verb in command.VERBS)


def test_the_version_is_the_package_s(capsys):
    import dagnet

    assert call(capsys, "--version")[1] == f"dagnet {dagnet.__version__}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "VERB"),
        ("fly", "'fly'"),
        ("train", "--data"),
        ("show", "file"),
        ("train --data x --learning-rate fast", "--learning-rate"),
        ("train --data x --image-size 1e3", "--image-size"),
        ("segment a b -o c --batch-size 0", "--batch-size: it is '0'; a whole number from 1 on is right"),
        ("bench --rounds few", "--rounds: it is 'few'; a whole number from 1 on is right"),
        ("evaluate a b -o c --rule 2016", "--rule"),
        ("show a.mat --colour", "--colour"),
    ],
)
def test_words_that_cannot_be_parsed_get_one_line_and_code_2(words, says, capsys):
    result = call(capsys, *words.split())
    assert len(result[2].splitlines()) == 1 and "--help tells more" in result[2]
    assert result[0] == 2 and says in result[2]


def test_a_file_that_is_not_there_is_one_line_and_code_2(tmp_path, capsys):
    result = call(capsys, "show", tmp_path / "none.mat")
    assert refused(result, tmp_path / "none.mat", "no such file")
    assert result[1] == "" and len(result[2].splitlines()) == 1


def test_debug_raises_the_error_itself(tmp_path):
    with pytest.raises(FileNotFoundError):
        command.main(["show", str(tmp_path / "none.mat"), "--debug"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("net.mat: layers(3) is\n  odd"), "net.mat: layers(3) is odd"),
        (KeyError("the net has no layer 'x'"), "the net has no layer 'x'"),
        (PermissionError(13, "Permission denied", "/data/a.mat"), "/data/a.mat: Permission denied"),
        (OSError("a.mat: it cannot be written"), "a.mat: it cannot be written"),
        (MemoryError(), "out of memory (no size known); a smaller batch, image or network needs less"),
        (RuntimeError(), "RuntimeError"),
        (ImportError("no CuPy"), "no CuPy"),
    ],
)
def test_each_kind_of_error_becomes_a_sentence(verb, error, line, capsys):
    verb(raising(error))
    assert call(capsys, "show", "x") == (2, "", f"dagnet show: {line}\n")


def test_the_notes_of_an_error_follow_it(verb, capsys):
    error = FloatingPointError("the loss became nan")
    error.add_note("in epoch 2, batch 3")
    error.add_note("epoch 1 is kept")
    verb(raising(error))
    assert call(capsys, "show", "x")[2] == "dagnet show: the loss became nan; in epoch 2, batch 3; epoch 1 is kept\n"


def test_memory_that_is_not_there_is_said_with_its_size(verb, capsys):
    verb(lambda args: np.zeros((1 << 24, 1 << 24)))
    assert refused(call(capsys, "show", "x"), "out of memory", "2.00 PiB", "float64", "a smaller batch")


def test_a_mistake_of_ours_is_not_dressed_up_as_the_user_s(verb):
    verb(raising(AttributeError("no such attribute")))
    with pytest.raises(AttributeError):
        command.main(["show", "x"])


@pytest.mark.parametrize(("said", "line"), [("", "interrupted"), ("epoch 1 is kept", "interrupted; epoch 1 is kept")])
def test_ctrl_c_ends_with_130_and_no_traceback(verb, said, line, capsys):
    verb(raising(KeyboardInterrupt(*[said] if said else [])))
    assert call(capsys, "show", "x") == (130, "", f"dagnet show: {line}\n")


def test_a_warning_is_a_note_in_one_line_and_only_while_the_verb_runs(verb, capsys):
    before = warnings.showwarning
    verb(lambda args: warnings.warn("a layer is not known", stacklevel=1))
    assert call(capsys, "show", "x") == (0, "", "dagnet: note: a layer is not known\n")
    assert warnings.showwarning is before


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    """As `dagnet show --help | head -1` does, but with a pipe that is closed before anything is written."""
    code = "import sys; from dagnet.tools import command, show; show.run = lambda args: print('x' * 100000);"
    child = subprocess.Popen(
        [sys.executable, "-c", code + "sys.exit(command.main(['show', 'x']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    child.stdout.close()
    assert child.stderr.read() == b"" and child.wait() == 0


# -- places to write to


def test_a_place_that_can_be_made_is_not_made_yet(tmp_path):
    arguments.check_folder(tmp_path / "a" / "b")
    arguments.check_file(tmp_path / "c" / "d.mat")
    assert not list(tmp_path.iterdir())


def test_a_file_where_a_folder_should_be_is_refused_and_the_other_way_round(tmp_path):
    (tmp_path / "file").write_text("mine")
    for check, place in (
        (arguments.check_folder, "file"),
        (arguments.check_folder, "file/a/b"),
        (arguments.check_file, "file/a.mat"),
    ):
        with pytest.raises(NotADirectoryError, match=r"it cannot be a folder, as .*file is a file"):
            check(tmp_path / place)
    with pytest.raises(IsADirectoryError, match="it is a folder; the name of a file is right"):
        arguments.check_file(tmp_path)
    arguments.check_file(tmp_path / "file")


def test_a_file_that_is_read_is_not_written(tmp_path):
    (tmp_path / "net.mat").write_text("mine")
    arguments.check_file(tmp_path / "new.mat", tmp_path / "net.mat", None)
    for name in ("net.mat", "../" + tmp_path.name + "/net.mat"):
        with pytest.raises(ValueError, match=r"net\.mat: it is the file to read; another name is right"):
            arguments.check_file(tmp_path / name, None, tmp_path / "net.mat")


def test_a_place_where_one_may_not_write_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(arguments.os, "access", lambda place, mode: False)  # root may write anywhere
    with pytest.raises(PermissionError, match="you may not write in"):
        arguments.check_folder(tmp_path / "a")
