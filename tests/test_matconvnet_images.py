"""vl_imreadjpeg called as in MATLAB gives MatConvNet's images, ahead of time too."""

import numpy as np
import pytest

from dagnet.matconvnet import images, rng, vl_imreadjpeg
from tests import test_golden as golden
from tests.conftest import golden_file


def jpegs():
    """The files of golden/master/imreadjpeg.mat, as bytes."""
    return [v.astype(np.uint8).tobytes() for v in golden.load(golden_file("master/imreadjpeg.mat"))["jpegbytes"]]


@pytest.mark.parametrize(("file", "number"), golden.found("master/imreadjpeg.mat"))
def test_images_come_as_matconvnets_call_gives_them(file, number):
    case = golden.cases(file)[number]
    images = vl_imreadjpeg(jpegs(), *golden.cell(case.args))
    for n, (ours, theirs) in enumerate(zip(images, golden.cell(case.out), strict=True)):
        golden.assert_agrees(ours, theirs, golden.TOLERANCE["single"], f"image {n}")


def test_random_crops_and_flips_are_the_same_after_the_same_seed():
    files = jpegs()
    options = ["Resize", [16, 12], "CropSize", [0.5, 0.9], "CropLocation", "random", "Flip", "Pack", "NumThreads", 2]
    rng(1)
    (first,), (second,) = vl_imreadjpeg(files, *options), vl_imreadjpeg(files, *options)
    rng(1)
    np.testing.assert_array_equal(vl_imreadjpeg(files, *options)[0], first)
    assert first.shape == (16, 12, 3, 3) and (first != second).any()


@pytest.fixture
def paths(tmp_path):
    """The files, where files lie."""
    for number, content in enumerate(jpegs()):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    return sorted(tmp_path.iterdir())


RANDOM = [
    "Resize",
    [16, 12],
    "CropSize",
    [0.5, 0.9],
    "CropLocation",
    "Random",
    "Flip",
    "SubtractAverage",
    np.ones((16, 12, 3)),
]


def test_what_was_read_ahead_is_given_to_the_call_that_asks_for_it(paths):
    rng(1)
    wanted = vl_imreadjpeg(paths, *RANDOM)
    rng(1)
    assert vl_imreadjpeg(paths, *RANDOM, "Prefetch") == []
    images._ahead[1].result()  # until all is read
    for path in paths:
        path.unlink()
    for ours, theirs in zip(vl_imreadjpeg(paths, *RANDOM), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(FileNotFoundError):  # it is given once
        vl_imreadjpeg(paths, *RANDOM)


@pytest.mark.parametrize(
    ("files", "options"),
    [([0, 1], RANDOM), ([0, 1, 2], [*RANDOM[:-1], np.zeros((16, 12, 3))]), ([0, 1, 2], [*RANDOM, "Pack"])],
)
def test_a_call_for_other_files_or_options_reads_them_itself(paths, files, options):
    others = [paths[number] for number in files]
    rng(1)
    vl_imreadjpeg(paths, *RANDOM)
    wanted = vl_imreadjpeg(others, *options)
    rng(1)
    vl_imreadjpeg(paths, *RANDOM, "Prefetch")
    for ours, theirs in zip(vl_imreadjpeg(others, *options), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_goes_wrong_ahead_is_told_to_the_call_that_asks(paths):
    paths[1].write_bytes(b"no image")
    assert vl_imreadjpeg(paths, "prefetch") == []
    with pytest.raises(ValueError, match=r"1\.jpg"):
        vl_imreadjpeg(paths)
