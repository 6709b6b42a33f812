"""Finding, checking and reading the challenge's files, good and bad ones."""

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import images, isic2017


def _write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(path, pixels, plugin="pillow", **options)
    return path


@pytest.fixture
def data(tmp_path, rng):
    return tmp_path / "isic" / "ISIC-2017_Training_Data"


@pytest.fixture
def truth(tmp_path):
    return tmp_path / "isic" / "ISIC-2017_Training_Part1_GroundTruth"


@pytest.fixture
def challenge(data, truth, rng):
    """Three good images (20 x 30) with masks, beside them what the challenge's archive also holds."""
    for i in range(3):
        _write(data / f"ISIC_000000{i}.jpg", rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
        _write(data / f"ISIC_000000{i}_superpixels.png", np.zeros((20, 30, 3), np.uint8))
        ending = "Segmentation" if i == 1 else "segmentation"
        _write(truth / f"ISIC_000000{i}_{ending}.png", _disc())
    (data / "ISIC-2017_Training_Data_metadata.csv").write_text("image_id,age\n")
    (data / "._ISIC_0000000.jpg").write_bytes(b"what macOS leaves")
    return data.parent


def _disc(value=255, shape=(20, 30)):
    mask = np.zeros(shape, np.uint8)
    mask[5:15, 8:20] = value
    return mask


def test_find_gives_the_images_with_their_masks_and_nothing_else(challenge):
    samples = isic2017.find(challenge, "Training")
    assert [s.id for s in samples] == ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]
    assert [s.mask.name for s in samples][:2] == ["ISIC_0000000_segmentation.png", "ISIC_0000001_Segmentation.png"]
    assert isic2017.check(samples, decode=True) == samples


def test_find_accepts_the_folders_where_unzip_programs_put_them(challenge, data, truth):
    expected = [s.id for s in isic2017.find(challenge, "Training")]
    assert [s.id for s in isic2017.find(data, "Training")] == expected  # the data folder itself, truth beside it
    assert [s.id for s in isic2017.find(challenge.parent, "Training")] == expected  # one folder further up
    inner = data / "inner"
    data.rename(challenge / "moved")
    data.mkdir()
    (challenge / "moved").rename(inner)
    (data / "__MACOSX").mkdir()
    assert [s.id for s in isic2017.find(challenge, "Training")] == expected  # a folder in a folder


def test_a_missing_folder_is_named_with_the_archive_it_comes_from(challenge):
    with pytest.raises(FileNotFoundError, match=r"ISIC-2017_Test_v2_Data\.zip"):
        isic2017.find(challenge, "Test_v2")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        isic2017.find(challenge / "nowhere", "Training")
    with pytest.raises(ValueError, match="split is 'training'"):
        isic2017.find(challenge, "training")


def test_an_empty_folder_is_an_error(challenge, data):
    for path in data.glob("*.jpg"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no image"):
        isic2017.find(challenge, "Training")


def test_masks_are_not_needed_where_none_are_asked_for(challenge, truth):
    for path in truth.iterdir():
        path.unlink()
    truth.rmdir()
    assert [s.mask for s in isic2017.find(challenge, "Training", masks=False)] == [None] * 3
    with pytest.raises(FileNotFoundError, match="Part1_GroundTruth"):
        isic2017.find(challenge, "Training")


def _break_missing_mask(data, truth):
    (truth / "ISIC_0000001_Segmentation.png").unlink()
    return "ISIC_0000001.jpg: its mask"


def _break_second_mask(data, truth):
    _write(truth / "ISIC_0000001_segmentation.png", _disc())
    return "ISIC_0000001_segmentation.png: a second mask"


def _break_second_image(data, truth):
    _write(data / "ISIC_0000001.jpeg", np.zeros((20, 30, 3), np.uint8))
    return "ISIC_0000001.jpg: a second image"


def _break_mask_size(data, truth):
    _write(truth / "ISIC_0000001_Segmentation.png", _disc(shape=(30, 20)))
    return "ISIC_0000001_Segmentation.png: the mask is 30x20"


def _break_mask_values(data, truth):
    mask = _disc()
    mask[0, 0] = 128
    _write(truth / "ISIC_0000001_Segmentation.png", mask)
    return r"ISIC_0000001_Segmentation.png: the mask has 3 values \(0, 128, 255\)"


def _break_mask_constant(data, truth):
    _write(truth / "ISIC_0000001_Segmentation.png", np.full((20, 30), 7, np.uint8))
    return "ISIC_0000001_Segmentation.png: every pixel of the mask is 7"


def _break_mask_channels(data, truth):
    _write(truth / "ISIC_0000001_Segmentation.png", np.stack([_disc(), _disc(), 255 - _disc()], 2))
    return "ISIC_0000001_Segmentation.png: the mask has 3 channels"


def _break_truncated(data, truth):
    path = data / "ISIC_0000001.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    return "ISIC_0000001.jpg: .* truncated"


def _break_empty(data, truth):
    (data / "ISIC_0000001.jpg").write_bytes(b"")
    return "ISIC_0000001.jpg: the file is empty"


def _break_not_an_image(data, truth):
    (data / "ISIC_0000001.jpg").write_bytes(b"<html>404 not found</html>")
    return "ISIC_0000001.jpg: the file cannot be read"


BROKEN = [
    _break_missing_mask,
    _break_second_mask,
    _break_second_image,
    _break_mask_size,
    _break_mask_values,
    _break_mask_constant,
    _break_mask_channels,
    _break_truncated,
    _break_empty,
    _break_not_an_image,
]


@pytest.mark.parametrize("break_it", BROKEN, ids=lambda f: f.__name__.removeprefix("_break_"))
def test_every_bad_file_is_named_or_skipped_on_request(challenge, data, truth, break_it, caplog):
    words = break_it(data, truth)
    with pytest.raises(ValueError, match=words):
        isic2017.check(isic2017.find(challenge, "Training"), decode=True)
    good = isic2017.check(isic2017.find(challenge, "Training", on_bad="skip"), decode=True, on_bad="skip")
    assert [s.id for s in good] == ["ISIC_0000000", "ISIC_0000002"]
    assert "skipped: " in caplog.text and "ISIC_0000001" in caplog.text


def test_headers_alone_tell_of_another_size_and_of_a_file_that_is_no_image(challenge, data, truth):
    _break_mask_size(data, truth)
    with pytest.raises(ValueError, match="30x20"):
        isic2017.check(isic2017.find(challenge, "Training"))
    _break_not_an_image(data, truth)
    with pytest.raises(ValueError, match="cannot be read"):
        isic2017.check(isic2017.find(challenge, "Training"))


def test_one_sentence_names_the_first_bad_file_and_counts_the_others(challenge, truth):
    for path in truth.iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"ISIC_0000000.*\(and 2 more: ISIC_0000001, ISIC_0000002\)$"):
        isic2017.find(challenge, "Training")


def test_a_mask_of_other_two_values_counts_the_larger_as_lesion(challenge, truth):
    _write(truth / "ISIC_0000000_segmentation.png", _disc(value=1))
    _, mask = isic2017.read(isic2017.find(challenge, "Training")[0])
    assert mask.dtype == bool and np.array_equal(mask, _disc() > 0)


def test_masks_may_be_all_lesion_or_no_lesion(tmp_path):
    assert images.read_mask(_write(tmp_path / "full.png", np.full((4, 5), 255, np.uint8))).all()
    assert not images.read_mask(_write(tmp_path / "none.png", np.zeros((4, 5), np.uint8))).any()


def test_a_mask_of_one_bit_is_read_and_one_of_three_channels_refused_as_scoring_does(tmp_path):
    assert np.array_equal(images.read_mask(_write(tmp_path / "bit.png", _disc() > 0)), _disc() > 0)
    with pytest.raises(ValueError, match=r"rgb\.png: the mask has 3 channels \(RGB\); it must have one"):
        images.read_mask(_write(tmp_path / "rgb.png", np.dstack([_disc()] * 3)))


def test_images_become_three_channels_of_eight_bits(tmp_path, rng):
    grey = rng.integers(0, 256, (6, 7), dtype=np.uint8)
    rgba = rng.integers(0, 256, (6, 7, 4), dtype=np.uint8)
    assert np.array_equal(images.read_image(_write(tmp_path / "grey.png", grey)), np.dstack([grey] * 3))
    assert np.array_equal(images.read_image(_write(tmp_path / "la.png", rgba[..., :2])), np.dstack([rgba[..., 0]] * 3))
    assert np.array_equal(images.read_image(_write(tmp_path / "rgba.png", rgba)), rgba[..., :3])
    assert np.array_equal(
        images.read_image(_write(tmp_path / "bit.png", grey > 99)), np.dstack([(grey > 99) * 255] * 3)
    )
    assert images.read_image(tmp_path / "grey.png").flags.writeable


def test_sixteen_bits_and_other_colour_spaces_are_refused(tmp_path, rng):
    deep = _write(tmp_path / "deep.png", rng.integers(0, 65536, (6, 7), dtype=np.uint16))
    with pytest.raises(ValueError, match=r"deep\.png.*uint16.*8-bit"):
        images.read_image(deep)
    cmyk = _write(tmp_path / "print.jpg", rng.integers(0, 256, (6, 7, 4), dtype=np.uint8), mode="CMYK")
    with pytest.raises(ValueError, match=r"print\.jpg.*CMYK"):
        images.read_image(cmyk)


def test_an_exif_rotation_is_not_applied(tmp_path, rng):
    orientation_6 = bytes.fromhex("457869660000 4d4d002a00000008 0001 0112 0003 00000001 00060000 00000000")
    path = _write(tmp_path / "turned.jpg", rng.integers(0, 256, (6, 9, 3), dtype=np.uint8), exif=orientation_6)
    assert iio.imread(path, plugin="pillow", rotate=True).shape == (9, 6, 3)
    assert images.read_image(path).shape == (6, 9, 3) and images.size_of(path) == (6, 9)


def test_a_plain_folder_gives_its_images_and_one_file_itself(challenge, data):
    samples = isic2017.images_in(data)
    assert [s.id for s in samples] == ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]
    assert isic2017.images_in(samples[1].image) == [samples[1]]


def test_a_plain_folder_without_images_or_with_two_of_one_name_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image"):
        isic2017.images_in(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder or image"):
        isic2017.images_in(tmp_path / "nowhere")
    for name in ("a.jpg", "a.png"):
        _write(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="a second image named a"):
        isic2017.images_in(tmp_path)


def test_the_real_archives_are_found_and_their_headers_are_good(data_dir):
    counts = {}
    for split in ("Validation", "Test_v2"):
        samples = isic2017.check(isic2017.find(data_dir / "isic2017", split))
        counts[split] = len(samples)
    assert counts == {"Validation": 121, "Test_v2": 529}
