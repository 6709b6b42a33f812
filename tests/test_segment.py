"""dagnet segment: masks of the right size and name, what is kept, the submission, and what is refused before any work."""

import importlib.util
import shutil
import zipfile

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import images
from dagnet.evaluation import segmentation
from dagnet.files import netfile
from dagnet.layers import conv, settings
from dagnet.models import vgg16
from tests.verbs import SPOILED_NETS, call, cut_short, made_text, refused, segmenting_net


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A network and five images of different sizes and formats, one of them not the challenge's."""
    folder = tmp_path_factory.mktemp("segment")
    segmenting_net(folder / "net.mat")
    (folder / "images").mkdir()
    rng = np.random.default_rng(3)
    for i, size in enumerate([(40, 60), (96, 31), (32, 32), (57, 58)]):
        pixels = np.kron(rng.integers(0, 255, (4, 4, 3)), np.ones((25, 25, 1)))[: size[0], : size[1]]
        iio.imwrite(folder / f"images/ISIC_000000{i}.jpg", pixels.astype(np.uint8))
    iio.imwrite(folder / "images/mole.png", rng.integers(0, 255, (33, 44, 3), np.uint8))
    (folder / "images/ISIC_0000000_superpixels.png").write_text("not looked at")
    (folder / "images/ISIC-2017_metadata.csv").write_text("not looked at")
    return folder


NAMES = [f"ISIC_000000{i}_segmentation.png" for i in range(4)] + ["mole_segmentation.png"]


def test_each_image_gets_its_mask_at_its_own_size(place, tmp_path, capsys):
    code, out, err = call(capsys, "segment", place / "net.mat", place / "images", "-o", tmp_path / "a/masks")
    assert (code, err) == (0, "") and out == f"{tmp_path / 'a/masks'}: 5 masks\n"
    assert sorted(path.name for path in (tmp_path / "a/masks").iterdir()) == NAMES
    net, lesion_pixels = netfile.load(place / "net.mat"), 0
    for file in sorted((place / "images").glob("*.jpg")):
        mask = iio.imread(tmp_path / "a/masks" / f"{file.stem}_segmentation.png")
        assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        assert ((mask == 255) == segmentation.predict(net, images.read_image(file))).all()
        lesion_pixels += np.count_nonzero(mask)
    assert 0 < lesion_pixels < 40 * 60 + 96 * 31 + 32 * 32 + 57 * 58  # the comparison was one of real masks


def test_one_image_gives_one_mask(place, tmp_path, capsys):
    code, out, _ = call(capsys, "segment", place / "net.mat", place / "images/mole.png", "-o", tmp_path)
    assert code == 0 and out == f"{tmp_path}: 1 mask\n"
    assert iio.imread(tmp_path / "mole_segmentation.png").shape == (33, 44)


def test_threads_and_exactness_hold_for_the_work_and_no_longer(place, tmp_path, capsys, monkeypatch):
    seen, before = [], settings.current()
    forward = conv.forward
    monkeypatch.setattr(
        conv, "forward", lambda *given, **options: seen.append(settings.current()) or forward(*given, **options)
    )
    words = ["segment", place / "net.mat", place / "images/mole.png", "-o", tmp_path]
    assert call(capsys, *words, "--exact", "--threads", 1)[0] == 0
    assert seen and all(now.exact and now.threads == 1 for now in seen)
    assert settings.current() == before
    seen.clear()
    assert call(capsys, *words, "--overwrite")[0] == 0 and set(seen) == {before}
    assert refused(call(capsys, *words, "--threads", 0), "a whole number from 1 on is right")


def test_the_submission_holds_the_challenge_s_images_alone(place, tmp_path, capsys):
    words = ["segment", place / "net.mat", place / "images", "-o", tmp_path / "masks", "--zip", tmp_path / "z/s.zip"]
    code, out, _ = call(capsys, *words, "--batch-size", 2)
    assert code == 0 and "5 masks" in out and f"{tmp_path / 'z/s.zip'}: 4 masks for submission" in out
    archive = zipfile.ZipFile(tmp_path / "z/s.zip")
    assert archive.namelist() == NAMES[:4]
    assert archive.read(NAMES[0]) == (tmp_path / "masks" / NAMES[0]).read_bytes()


def test_masks_that_are_there_are_kept_until_told_otherwise(place, tmp_path, capsys):
    words = ["segment", place / "net.mat", place / "images", "-o", tmp_path]
    assert call(capsys, *words)[0] == 0
    whole = (tmp_path / NAMES[1]).read_bytes()
    iio.imwrite(tmp_path / NAMES[1], np.zeros((96, 31), np.uint8))
    mine = (tmp_path / NAMES[1]).read_bytes()
    (tmp_path / NAMES[2]).unlink()  # as if interrupted
    code, out, _ = call(capsys, *words)
    assert code == 0 and "kept from an earlier run: 4" in out
    assert (tmp_path / NAMES[1]).read_bytes() == mine and (tmp_path / NAMES[2]).exists()
    code, out, _ = call(capsys, *words, "--overwrite")
    assert code == 0 and "kept" not in out and (tmp_path / NAMES[1]).read_bytes() == whole


def test_an_interruption_keeps_what_is_done_and_is_gone_on_from(place, tmp_path, capsys, monkeypatch):
    words = ["segment", place / "net.mat", place / "images", "-o", tmp_path, "--batch-size", 1]
    with monkeypatch.context() as patch:
        write = segmentation.write_mask

        def stopped(path, mask):
            if path.name == NAMES[2]:
                raise KeyboardInterrupt
            write(path, mask)

        patch.setattr(segmentation, "write_mask", stopped)
        assert call(capsys, *words)[0] == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES[:2]
    assert "kept from an earlier run: 2" in call(capsys, *words)[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES


# -- what is wrong


@pytest.mark.parametrize("fault", SPOILED_NETS)
def test_a_spoiled_network_file_is_named(place, tmp_path, capsys, fault):
    spoil, says = SPOILED_NETS[fault]
    spoil(shutil.copy(place / "net.mat", tmp_path / "bad.mat") and tmp_path / "bad.mat")
    result = call(capsys, "segment", tmp_path / "bad.mat", place / "images", "-o", tmp_path / "masks")
    assert refused(result, tmp_path / "bad.mat", says)
    assert not (tmp_path / "masks").exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(cut_short, "truncated"), (made_text, "cannot be read"), (lambda p: p.write_bytes(b""), "empty")],
)
def test_a_bad_image_is_named(place, tmp_path, capsys, spoil, says):
    shutil.copytree(place / "images", tmp_path / "images")
    spoil(tmp_path / "images/ISIC_0000002.jpg")
    result = call(capsys, "segment", place / "net.mat", tmp_path / "images", "-o", tmp_path / "masks")
    assert refused(result, "ISIC_0000002.jpg", says)
    assert not list(tmp_path.glob("masks/ISIC_0000002*"))


@pytest.mark.parametrize("spoil", [made_text, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_no_image_is_found_before_any_work(place, tmp_path, capsys, monkeypatch, spoil):
    monkeypatch.setattr(netfile, "load", lambda path: pytest.fail("the network was read first"))
    shutil.copytree(place / "images", tmp_path / "images")
    spoil(tmp_path / "images/ISIC_0000003.jpg")
    result = call(capsys, "segment", place / "net.mat", tmp_path / "images", "-o", tmp_path / "masks")
    assert refused(result, "ISIC_0000003.jpg")


def test_no_image_is_said_with_the_folder(place, tmp_path, capsys):
    words = ["segment", place / "net.mat"]
    assert refused(call(capsys, *words, tmp_path, "-o", tmp_path / "masks"), tmp_path, "no image")
    assert refused(call(capsys, *words, tmp_path / "none", "-o", tmp_path / "masks"), "none: there is no such folder")
    assert not (tmp_path / "masks").exists()


def test_two_images_of_one_name_would_share_a_mask(place, tmp_path, capsys):
    for ending in ("jpg", "png"):
        iio.imwrite(tmp_path / f"mole.{ending}", np.zeros((32, 32, 3), np.uint8))
    result = call(capsys, "segment", place / "net.mat", tmp_path, "-o", tmp_path / "masks")
    assert refused(result, "mole.png", "a second image named mole")


def test_a_place_that_cannot_be_written_is_refused_before_any_work(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(netfile, "load", lambda path: pytest.fail("the network was read first"))
    (tmp_path / "file").write_text("mine")
    words = ["segment", place / "net.mat", place / "images"]
    assert refused(call(capsys, *words, "-o", tmp_path / "file"), tmp_path / "file", "is a file")
    assert refused(call(capsys, *words, "-o", tmp_path / "file/masks"), tmp_path / "file/masks", "is a file")
    assert refused(call(capsys, *words, "-o", tmp_path / "m", "--zip", tmp_path), tmp_path, "it is a folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_a_submission_without_the_challenge_s_images_is_refused_before_any_work(place, tmp_path, capsys):
    words = ["segment", place / "net.mat", place / "images/mole.png", "-o", tmp_path / "m", "--zip", tmp_path / "s.zip"]
    assert refused(call(capsys, *words), "s.zip", "ISIC_nnnnnnn", "mole.png")
    assert not list(tmp_path.iterdir())


def test_a_network_that_makes_no_masks_is_named_with_what_it_lacks(place, tmp_path, capsys):
    net = vgg16.vgg16(vgg16.CONVOLUTIONS, width=1 / 64)
    net.init_params(np.random.default_rng(0))
    netfile.save(net, tmp_path / "vgg.mat")
    result = call(capsys, "segment", tmp_path / "vgg.mat", place / "images", "-o", tmp_path / "masks")
    assert refused(result, tmp_path / "vgg.mat", "no variable 'prediction'")
    assert not (tmp_path / "masks").exists()


def test_a_network_that_does_not_say_what_to_subtract_is_named(place, tmp_path, capsys):
    net = netfile.load(place / "net.mat")
    net.meta = {}
    netfile.save(net, tmp_path / "bare.mat")
    result = call(capsys, "segment", tmp_path / "bare.mat", place / "images", "-o", tmp_path / "masks")
    assert refused(result, tmp_path / "bare.mat", "normalization.imageSize")


def test_a_network_that_diverged_writes_no_masks(place, tmp_path, capsys):
    net = netfile.load(place / "net.mat")
    next(iter(net.params.values())).value[:] = np.nan
    netfile.save(net, tmp_path / "nan.mat")
    result = call(capsys, "segment", tmp_path / "nan.mat", place / "images", "-o", tmp_path / "masks")
    assert refused(result, "NaN", "did the training diverge?")
    assert not list(tmp_path.glob("masks/*"))


def test_on_the_gpu_the_masks_are_the_same(gpu, place, tmp_path, capsys):
    for folder, options in (("cpu", []), ("gpu", ["--gpu"])):
        words = ["segment", place / "net.mat", place / "images", "-o", tmp_path / folder]
        assert call(capsys, *words, *options)[0] == 0
    for name in NAMES:
        different = iio.imread(tmp_path / "cpu" / name) != iio.imread(tmp_path / "gpu" / name)
        assert different.mean() < 1e-3


def test_gpu_without_cupy_says_what_to_install(place, tmp_path, capsys):
    if importlib.util.find_spec("cupy"):
        pytest.skip("CuPy is installed")
    result = call(capsys, "segment", place / "net.mat", place / "images", "-o", tmp_path / "masks", "--gpu")
    assert refused(result, "CuPy is not installed", "cuda13x")
