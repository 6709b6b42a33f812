"""Packs: the same numbers out of them as from the folders, files that are small enough, and what is wrong with a pack."""

import json
import zipfile

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import imdb, isic2017, pack
from dagnet.files import netfile
from dagnet.models import vgg16
from tests import little
from tests.verbs import call, cut_short, lesions, refused

SPLITS = {"Training": 5, "Validation": 2, "Test_v2": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Generated lesions of 48 pixels, which are shorter as they are, and two of 128 pixels of noise, which are so at 64."""
    root = lesions(tmp_path_factory.mktemp("lesions"), **SPLITS)
    rng = np.random.default_rng(0)
    for i in (1, 3):
        noise = rng.integers(0, 256, (128, 128, 3), np.uint8)
        iio.imwrite(root / f"ISIC-2017_Training_Data/ISIC_000000{i}.jpg", noise, quality=90)
        mask = 255 * (np.indices((128, 128)).sum(axis=0) < 99 + i).astype(np.uint8)
        iio.imwrite(root / f"ISIC-2017_Training_Part1_GroundTruth/ISIC_000000{i}_segmentation.png", mask)
    return root


def samples(root):
    return {split: isic2017.find(root, split) for split in SPLITS}


@pytest.fixture(scope="module")
def packed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pack")
    pack.write(folder, samples(data), 64)
    return folder


def both(root, tmp_path):
    found = samples(root)
    return imdb.load(found["Training"], found["Validation"], 64, tmp_path)


def test_training_sees_the_same_numbers_from_a_pack_as_from_the_folders(data, packed, tmp_path):
    assert [e.resized for e in pack.entries(pack.check(packed))] == [False, True, False, True] + [False] * 5
    ours, theirs = both(pack.unpack(packed, tmp_path / "out", 64), tmp_path / "a"), both(data, tmp_path / "b")
    assert ours.ids == theirs.ids and (ours.set == theirs.set).all()
    for i in range(len(theirs.ids)):
        assert np.array_equal(ours.images[i], theirs.images[i]) and np.array_equal(ours.labels[i], theirs.labels[i])


def test_a_resized_image_is_smaller_than_the_file_it_came_from_and_others_are_that_file(data, packed, tmp_path):
    out = pack.unpack(packed, tmp_path, 64)
    for split, found in samples(data).items():
        for theirs, ours in zip(found, isic2017.find(out, split), strict=True):
            if ours.image.suffix == ".jpg":
                assert ours.image.read_bytes() == theirs.image.read_bytes()
                assert ours.mask.read_bytes() == theirs.mask.read_bytes()
            else:
                assert isic2017.read(ours)[0].shape == (64, 64, 3)
                assert ours.image.stat().st_size < theirs.image.stat().st_size


def test_no_file_is_larger_than_it_may_be_and_together_they_hold_every_sample(data, tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "MOST_BYTES", 20_000)
    pack.write(tmp_path, samples(data), 64)
    files = sorted(tmp_path.glob("*.zip"))
    assert len(files) > 2 and all(file.stat().st_size <= 20_000 for file in files)
    assert len(pack.entries(pack.check(tmp_path))) == sum(SPLITS.values())


def test_a_packing_that_was_interrupted_goes_on_to_the_same_bytes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "MOST_BYTES", 20_000)
    pack.write(tmp_path / "whole", samples(data), 64)
    packing, packed = pack._packed, []

    def stopped(split, sample, size):
        if split == "Test_v2":
            raise KeyboardInterrupt
        return packing(split, sample, size)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pack, "_packed", stopped)
        pack.write(tmp_path / "parts", samples(data), 64)
    assert 0 < len(pack.entries(pack.check(tmp_path / "parts"))) < sum(SPLITS.values())
    monkeypatch.setattr(pack, "_packed", lambda *a: packed.append(a[1].id) or packing(*a))
    pack.write(tmp_path / "parts", samples(data), 64)
    assert len(packed) < sum(SPLITS.values())
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "parts" / file.name).read_bytes()


def test_other_images_or_another_size_do_not_go_into_a_pack_that_is_there(data, packed):
    with pytest.raises(ValueError, match="another folder is right"):
        pack.write(packed, samples(data), 32)
    with pytest.raises(ValueError, match="another folder is right"):
        pack.write(packed, samples(data) | {"Training": samples(data)["Training"][1:]}, 64)


def test_a_file_that_is_damaged_or_missing_is_named(data, tmp_path):
    pack.write(tmp_path, samples(data), 64)
    cut_short(tmp_path / "images-1.zip")
    with pytest.raises(ValueError, match=r"images-1\.zip: it is damaged"):
        pack.unpack(tmp_path, tmp_path / "out", 64)
    (tmp_path / "images-1.zip").unlink()
    with pytest.raises(FileNotFoundError, match=r"images-1\.zip: this file of the pack is missing"):
        pack.check(tmp_path)
    (tmp_path / "pack.json").write_text("{}")
    with pytest.raises(ValueError, match=r"pack\.json: it is no index of a pack"):
        pack.check(tmp_path)
    with pytest.raises(FileNotFoundError, match="it is no pack"):
        pack.check(tmp_path / "nowhere")


def test_a_pack_with_resized_images_serves_no_other_size_and_one_of_whole_files_any(data, packed, tmp_path):
    with pytest.raises(ValueError, match="2 of its images were resized to 64x64; that size is right, and 32"):
        pack.unpack(packed, tmp_path / "out", 32)
    assert not (tmp_path / "out").exists()
    pack.write(tmp_path / "whole", samples(data) | {"Training": samples(data)["Training"][::2]}, 64)
    assert isic2017.find(pack.unpack(tmp_path / "whole", tmp_path / "out", 32), "Training")


def test_unpacking_again_mends_what_is_missing_and_leaves_the_rest(packed, tmp_path):
    pack.unpack(packed, tmp_path, 64)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    lost, cut = sorted(files)[:2]
    lost.unlink()
    cut_short(cut)
    pack.unpack(packed, tmp_path, 64)
    again = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert again.keys() == files.keys() and {p for p in files if files[p] != again[p]} == {lost, cut}


def test_images_without_true_masks_are_packed_too(data, tmp_path):
    found = {"Test_v2": isic2017.find(data, "Test_v2", masks=False)}
    pack.write(tmp_path / "pack", found, 64)
    out = pack.unpack(tmp_path / "pack", tmp_path / "out", 64)
    assert [s.id for s in isic2017.find(out, "Test_v2", masks=False)] == [s.id for s in found["Test_v2"]]
    assert not (out / "ISIC-2017_Test_v2_Part1_GroundTruth").exists()


# -- the verb


def test_the_verb_packs_images_and_weights_and_looks_at_them_again(data, tmp_path, capsys):
    vgg = little.vgg16_file(tmp_path / "vgg.mat")
    code, out, err = call(capsys, "pack", "--data", data, "--vgg", vgg, "-o", tmp_path / "pack", "--size", 64)
    assert code == 0, err
    assert {path.name for path in (tmp_path / "pack").iterdir()} == {"images-1.zip", "vgg16.mat", "pack.json"}
    assert "whole, 9 images, of which 2 resized to 64" in out
    ours, theirs = vgg16.load(tmp_path / "pack/vgg16.mat"), vgg16.load(vgg)
    assert len(ours.layers) == vgg16.CONVOLUTIONS and ours.params.keys() < theirs.params.keys()
    assert all(np.array_equal(param.value, theirs.params[name].value) for name, param in ours.params.items())
    assert np.array_equal(ours.meta["normalization"]["averageImage"], theirs.meta["normalization"]["averageImage"])
    assert call(capsys, "pack", "--check", tmp_path / "pack")[0] == 0
    cut_short(tmp_path / "pack/vgg16.mat")
    assert refused(call(capsys, "pack", "--check", tmp_path / "pack"), "vgg16.mat: it is damaged")


def test_a_network_that_is_too_large_for_a_pack_is_named(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "MOST_BYTES", 100)
    (packed / "net.mat").write_bytes(bytes(100))
    with pytest.raises(ValueError, match=r"net\.mat: it has 100 bytes; below 100 is right"):
        pack.add(packed, "net.mat")


def test_the_verb_says_what_it_needs_and_what_is_bad(data, tmp_path, capsys):
    assert refused(call(capsys, "pack", "--data", data), "--out PACK")
    assert refused(call(capsys, "pack", "--check", tmp_path), tmp_path, "it is no pack")
    assert refused(call(capsys, "pack", "--data", tmp_path, "-o", tmp_path / "pack"), "ISIC-2017_Training_Data")


def test_a_training_from_a_pack_is_the_training_from_its_folders(data, packed, tmp_path, capsys):
    words = ["--image-size", 64, "--width", 1 / 32, "--fc-width", 8, "--learning-rate", 1e-2, "--epochs", 1]
    nets = []
    for source in (data, packed):
        out = tmp_path / source.name
        assert call(capsys, "train", "--data", source, "-o", out, *words)[0] == 0
        nets.append(little.values(netfile.load(out / "net-epoch-1.mat")))
    assert little.same(*nets)
    scores = [(tmp_path / source.name / "Test_v2/scores.csv").read_text() for source in (data, packed)]
    assert scores[0] == scores[1]  # no image of Test_v2 was resized
    truth = tmp_path / packed.name / "data/ISIC-2017_Test_v2_Part1_GroundTruth"
    masks = tmp_path / packed.name / "Test_v2/masks"
    assert call(capsys, "evaluate", masks, truth, "-o", tmp_path / "again")[0] == 0
    assert (tmp_path / "again/scores.csv").read_text() == scores[0]


def test_a_pack_unzips_into_the_challenges_folders(packed):
    with zipfile.ZipFile(packed / "images-1.zip") as archive:
        names = archive.namelist()
    assert "ISIC-2017_Training_Data/ISIC_0000001.webp" in names
    assert "ISIC-2017_Training_Part1_GroundTruth/ISIC_0000001_segmentation.png" in names
    assert json.loads((packed / "pack.json").read_text())["size"] == 64
