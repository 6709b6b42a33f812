"""The command line in a test: call a verb, what it refuses, and a little network that segments."""

from pathlib import Path

import numpy as np

from dagnet.data import phantom
from dagnet.files import netfile
from dagnet.models import lesion_fcn
from dagnet.tools import command
from tests.values import object_file

Result = tuple[int, str, str]  # exit code, what was written to stdout and to stderr


def call(capsys, *words) -> Result:
    """Calls dagnet with these words."""
    capsys.readouterr()
    try:
        code = command.main([str(word) for word in words])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def refused(result: Result, *says) -> bool:
    """Asserts that the verb ended with code 2 and one line that says all of these."""
    code, _, err = result
    lines = [line for line in err.splitlines() if line.startswith("dagnet ")]
    assert code == 2 and len(lines) == 1 and "Traceback" not in err, err
    for word in says:
        assert str(word) in lines[0], lines[0]
    return True


def lesions(root: Path, **counts: int) -> Path:
    """Generated lesions of 48 pixels in the challenge's folders, so many of each split."""
    for seed, (split, count) in enumerate(counts.items()):
        phantom.write_split(root, split, count, 48, seed)
    return root


def segmenting_net(path: Path) -> Path:
    """A file of the paper's network, small and untrained, which sees images at 32x32 and subtracts grey."""
    net = lesion_fcn.lesion_fcn(None, width=1 / 32, fc_width=8)
    net.meta["normalization"] = {"imageSize": np.array([[32.0, 32, 3]]), "averageImage": np.full((1, 1, 3), 150.0)}
    netfile.save(net, path)
    return path


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def made_text(path: Path) -> None:
    path.write_text("<html>404: not found</html>")


def made_object(path: Path) -> None:
    path.write_bytes(object_file("net", "dagnn.DagNN"))


# What can be wrong with a network's file, and what is said of it besides its name.
SPOILED_NETS = {
    "cut short": (cut_short, "damaged or cut short"),
    "text": (made_text, "no MAT-file"),
    "empty": (lambda path: path.write_bytes(b""), "no MAT-file"),
    "missing": (lambda path: path.unlink(), "no such file"),
    "a class object": (made_object, "net = net.saveobj(); save('file.mat', '-struct', 'net')"),
}
