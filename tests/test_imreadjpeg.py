"""dagnet.data.imreadjpeg: what is drawn at random keeps its rules, and the rest is what loops say.

MatConvNet's own output, which has no random case, is in test_golden.py.
"""

import math

import imageio.v3 as iio
import numpy as np
import pytest

from dagnet.data import images, imresize, resampling
from dagnet.data.imreadjpeg import imreadjpeg, prefetch

KERNELS = {
    "box": lambda x: float(-0.5 <= x < 0.5),
    "bilinear": lambda x: max(1 - abs(x), 0),
    "bicubic": lambda x: 1.5 * abs(x) ** 3 - 2.5 * x**2 + 1 if abs(x) <= 1 else keys(abs(x)) if abs(x) <= 2 else 0,
    "lanczos2": lambda x: lanczos(x, 2),
    "lanczos3": lambda x: lanczos(x, 3),
}


def keys(x):
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2


def lanczos(x, n):
    a = math.pi * x
    return (math.sin(a) * math.sin(a / n) + 1e-5) / (a * a / n + 1e-5) if abs(x) < n else 0


def loops(line, n_out, name):
    """One dimension of the definition, pixel by pixel."""
    n_in, alpha, made = len(line), len(line) / n_out, []
    for i in range(n_out):
        u, total, norm = float(np.float32(alpha * i + (alpha - 1) / 2)), 0.0, 0.0
        for j in range(-3 * n_in, 4 * n_in):
            weight = KERNELS[name]((u - j) / max(alpha, 1))
            total += weight * line[min(max(j, 0), n_in - 1)]
            norm += weight
        made.append(total / norm)
    return np.array(made)


def png(pixels):
    """The bytes of a file that holds these pixels exactly."""
    return iio.imwrite("<bytes>", np.asarray(pixels, np.uint8), extension=".png")


@pytest.fixture
def photo(rng):
    return rng.integers(0, 256, (18, 25, 3), dtype=np.uint8)


def one(pixels, seed=0, **options):
    """The one image that comes of these pixels."""
    (image,) = imreadjpeg(png(pixels), seed=seed, **options)
    return image


# Sizes, resize, crop


@pytest.mark.parametrize("name", resampling.KERNELS)
@pytest.mark.parametrize("n_out", [1, 3, 7, 10, 11, 37])
def test_each_direction_is_the_bare_loops_of_the_definition(rng, name, n_out):
    line = rng.integers(0, 256, 10)
    expected = loops(line, n_out, name)
    options = {"crop_anisotropy": 0, "interpolation": name}
    assert np.allclose(one(line[:, None], resize=(n_out, 1), **options)[:, 0, 0], expected, rtol=0, atol=1e-3)
    assert np.allclose(one(line[None], resize=(1, n_out), **options)[0, :, 0], expected, rtol=0, atol=1e-3)


def test_inside_it_is_matlabs_imresize_and_at_the_border_the_border_pixel_stands_for_what_is_beyond(photo):
    ours = one(photo, resize=(9, 25), crop_anisotropy=0, interpolation="bicubic")
    matlabs = imresize.imresize(photo, (9, 25), dtype=np.float32)
    assert np.allclose(ours[2:-2], matlabs[2:-2], atol=1e-3) and not np.allclose(ours[0], matlabs[0], atol=1e-3)
    padded = np.pad(photo, ((8, 8), (0, 0), (0, 0)), mode="edge")
    matlabs = imresize.imresize(padded, (17, 25), dtype=np.float32)[4:-4]
    assert np.allclose(ours, matlabs, atol=1e-3)


def test_without_options_the_file_comes_as_it_is(photo):
    image = one(photo)
    assert image.dtype == np.float32 and (image == photo).all()


@pytest.mark.parametrize(
    ("resize", "size"), [(None, (18, 25)), (9, (9, 13)), (36, (36, 50)), ((7, 31), (7, 31)), ([12.0, 12.0], (12, 12))]
)
def test_one_number_is_the_shorter_side_and_two_are_the_size(photo, resize, size):
    assert one(photo, resize=resize).shape == (*size, 3)
    assert one(photo.swapaxes(0, 1), resize=resize).shape[:2] == (
        size if np.size(resize) == 2 and resize else size[::-1]
    )


def test_a_grey_file_has_one_channel(photo):
    assert (one(photo[:, :, 0])[:, :, 0] == photo[:, :, 0]).all()
    assert one(photo[:, :, 0], resize=9).shape == (9, 13, 1)


@pytest.mark.parametrize(("size", "part"), [((9, 13), 0.5), ((18, 25), 1), ((14, 20), 0.8)])
def test_a_crop_at_its_own_size_is_the_slice_at_the_centre(photo, size, part):
    top, left = (18 - size[0]) // 2, (25 - size[1]) // 2
    crop = one(photo, resize=size, crop_size=part, crop_anisotropy=0)
    assert (crop == photo[top : top + size[0], left : left + size[1]]).all()


def test_a_random_crop_at_its_own_size_is_a_slice_and_every_place_is_as_likely(photo):
    crops = imreadjpeg([png(photo)] * 400, seed=1, resize=(15, 21), crop_size=0.84, crop_location="random")
    places = {
        (i, j): sum((crop == photo[i : i + 15, j : j + 21]).all() for crop in crops) for i in range(4) for j in range(5)
    }
    assert sum(places.values()) == 400
    assert min(places.values()) >= 5 and max(places.values()) <= 40  # 20 on average


def measured(crop_options, count=60, size=(60, 90), output=(20, 20)):
    """(height, width, top, left) of the crops of an image of that size, from ramps that the image consists of."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    ramps = png(np.dstack([2 * rows, 2 * columns, 0 * rows]))
    found = []
    for image in imreadjpeg([ramps] * count, seed=5, resize=output, **crop_options):
        for channel, axis in ((0, 0), (1, 1)):
            line = image[:, :, channel].mean(axis=1 - axis) / 2
            middle = len(line) // 2
            alpha = (line[middle + 4] - line[middle - 4]) / 8
            found += [alpha * len(line), line[middle] - alpha * (middle + 0.5) + 0.5]
    return np.array(found).reshape(-1, 4)[:, [0, 2, 1, 3]]


def test_a_crop_has_the_outputs_shape_and_is_as_large_as_fits():
    assert np.allclose(measured({}, 1), [[60, 60, 0, 15]], atol=0.05)
    assert np.allclose(measured({}, 1, output=(20, 40)), [[45, 90, 7, 0]], atol=0.05)
    assert np.allclose(measured({"crop_anisotropy": 0}, 1), [[60, 90, 0, 0]], atol=0.05)
    assert np.allclose(measured({"crop_anisotropy": 1.25}, 1), [[60, 75, 0, 7]], atol=0.05)
    assert np.allclose(measured({"crop_anisotropy": 0.5}, 1), [[60, 30, 0, 30]], atol=0.05)


def test_anisotropies_and_sizes_keep_to_their_ranges_and_fill_them():
    height, width, top, left = measured(
        {"crop_anisotropy": (0.5, 2), "crop_size": (0.5, 1), "crop_location": "random"}, 300
    ).T
    anisotropy = width / height
    assert 0.48 < anisotropy.min() < 0.55 and 1.8 < anisotropy.max() < 2.1
    assert abs(np.log(anisotropy).mean()) < 0.1  # even between the logarithms
    part = np.maximum(height / 60, width / 90)  # the larger one is what kept the crop from being larger
    assert 0.49 < part.min() < 0.55 and 0.95 < part.max() < 1.01
    assert abs((part**2).mean() - (0.25 + 1) / 2) < 0.05  # even between the squares
    assert top.min() > -0.1 and left.min() > -0.1 and (top + height).max() < 60.1 and (left + width).max() < 90.1


def test_however_small_a_crop_it_holds_a_pixel_and_an_image_may_be_one(photo):
    crop = one(photo, resize=4, crop_size=1e-9, interpolation="box")
    assert (crop == photo[8, 12]).all()
    everything = {"resize": (3, 4), "crop_size": (0.1, 1), "crop_location": "random", "flip": True, "contrast": 1}
    assert np.allclose(one(photo[:1, :1], **everything), photo[0, 0])


def test_all_that_is_random_is_drawn_by_itself(photo):
    def drawn(measure, **options):
        return [measure(image) for image in imreadjpeg([png(photo)] * 400, seed=8, **options)]

    crop = {"crop_size": 0.5, "crop_location": "random", "resize": (9, 12)}
    places = {photo[i : i + 9, j : j + 12].tobytes(): (i, j) for i in range(10) for j in range(14)}
    found = [places[image.astype(np.uint8).tobytes()] for image in imreadjpeg([png(photo)] * 400, seed=8, **crop)]
    away = photo - photo.mean(axis=2, keepdims=True)
    draws = [
        *np.transpose(found),
        drawn(lambda image: float((image == photo).all()), flip=True),
        drawn(lambda image: image[:, :, 0].std(), contrast=1),
        drawn(lambda image: (image - image.mean(axis=2, keepdims=True)).ravel() @ away.ravel(), saturation=1),
        *np.transpose(drawn(lambda image: image[0, 0] - photo[0, 0], brightness=1)),
    ]
    assert np.abs(np.corrcoef(draws) - np.eye(len(draws))).max() < 0.2


# Flip


def test_a_flip_makes_the_mirror_image_or_leaves_it_as_it_is_half_of_the_times(photo):
    flipped = [(image == photo[:, ::-1]).all() for image in imreadjpeg([png(photo)] * 200, seed=2, flip=True)]
    same = [(image == photo).all() for image in imreadjpeg([png(photo)] * 200, seed=2, flip=True)]
    assert (np.array(flipped) != np.array(same)).all()
    assert 70 < sum(flipped) < 130


def test_flipping_the_file_flips_what_comes_out_whatever_was_drawn(photo):
    for seed in range(6):
        options = {"seed": seed, "flip": True, "contrast": 0.4, "brightness": 9, "saturation": 0.5}
        assert (one(photo[:, ::-1], **options)[:, ::-1] == one(photo, **options)).all()


# Colours


def test_brightness_shifts_whole_channels_by_the_matrix_times_normal_draws(photo):
    shifts = [image - photo for image in imreadjpeg([png(photo)] * 300, seed=3, brightness=np.diag([20.0, 5, 0]))]
    assert all(np.ptp(shift, axis=(0, 1)).max() < 1e-3 for shift in shifts)
    shifts = np.array([shift[0, 0] for shift in shifts])
    assert np.allclose(shifts.std(axis=0), [20, 5, 0], rtol=0.15) and (np.abs(shifts.mean(axis=0)) < [4, 1, 1e-3]).all()
    assert abs(np.corrcoef(shifts[:, 0], shifts[:, 1])[0, 1]) < 0.2
    mixed = one(photo, 7, brightness=[[10, 0, 0], [20, 0, 0], [-5, 0, 0]]) - photo
    assert np.allclose(mixed / mixed[0, 0, 0], [1, 2, -0.5], atol=1e-4)


def test_one_number_of_brightness_is_that_times_the_unit_matrix(photo):
    assert (one(photo, 4, brightness=6.5) == one(photo, 4, brightness=6.5 * np.eye(3))).all()


def test_contrast_keeps_each_channels_mean_and_scales_its_deviations_within_its_range(photo):
    centred = photo - photo.mean(axis=(0, 1))
    factors = []
    for image in imreadjpeg([png(photo)] * 200, seed=4, contrast=0.3):
        assert np.allclose(image.mean(axis=(0, 1)), photo.mean(axis=(0, 1)), atol=1e-3)
        factors.append(float((image - photo.mean(axis=(0, 1))).ravel() @ centred.ravel() / (centred**2).sum()))
        assert np.allclose(image, photo.mean(axis=(0, 1)) + factors[-1] * centred, atol=1e-3)
    assert 0.7 <= min(factors) < 0.72 and 1.28 < max(factors) <= 1.3


def test_saturation_scales_the_distances_from_grey_within_its_range(photo):
    grey = photo.mean(axis=2, keepdims=True)
    factors = []
    for image in imreadjpeg([png(photo)] * 200, seed=4, saturation=0.3):
        assert np.allclose(image.mean(axis=2, keepdims=True), grey, atol=1e-3)
        factors.append(float((image - grey).ravel() @ (photo - grey).ravel() / ((photo - grey) ** 2).sum()))
        assert np.allclose(image, grey + factors[-1] * (photo - grey), atol=1e-3)
    assert 0.7 <= min(factors) < 0.72 and 1.28 < max(factors) <= 1.3


def test_saturation_leaves_grey_pixels_as_they_are(photo):
    grey = photo[:, :, :1].repeat(3, axis=2)
    assert np.allclose(one(grey, 3, saturation=1), grey, atol=1e-4)
    assert (one(photo[:, :, 0], 3, saturation=1) == photo[:, :, :1]).all()


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_nothing_of_it_changes_nothing(photo, name):
    assert (one(photo, **{name: 0}) == photo).all()


def test_an_average_is_a_number_a_colour_or_an_image_of_the_outputs_size(photo, rng):
    average = rng.uniform(0, 255, (18, 25, 3)).astype(np.float32)
    assert (one(photo, subtract_average=average) == photo - average).all()
    assert (one(photo, subtract_average=[1, 2, 3]) == photo - np.float32([1, 2, 3])).all()
    assert (one(photo, subtract_average=np.float32([[1], [2], [3]])) == photo - np.float32([1, 2, 3])).all()
    assert (one(photo, subtract_average=4) == photo - np.float32(4)).all()
    assert (one(photo[:, :, 0], subtract_average=[1, 2, 3])[:, :, 0] == photo[:, :, 0] - np.float32(1)).all()
    grey = average[:, :, 0]  # as MATLAB holds (H, W, 1)
    assert (one(photo[:, :, 0], subtract_average=grey)[:, :, 0] == photo[:, :, 0] - grey).all()


def test_the_order_is_crop_resize_flip_shift_contrast_saturation(photo):
    shapes = {"resize": (8, 11), "crop_size": (0.6, 1), "crop_location": "random", "crop_anisotropy": (0.7, 1.4)}
    b, c, s, average = 12, 0.4, 0.6, np.float32([90, 100, 130])
    for seed in range(5):
        flip = (one(photo, seed, flip=True) != photo).any()
        shift = (one(photo, seed, brightness=b) - photo)[0, 0] - average
        spread = one(photo, seed, contrast=c)
        contrast = spread[:, :, 0].std() / photo[:, :, 0].std()
        away = one(photo, seed, saturation=s)
        saturation = (away - away.mean(axis=2, keepdims=True)).std() / (photo - photo.mean(axis=2, keepdims=True)).std()
        x = one(photo, seed, **shapes)
        x = (x[:, ::-1] if flip else x) + shift
        x = x.mean(axis=(0, 1)) + contrast * (x - x.mean(axis=(0, 1)))
        x = x.mean(axis=2, keepdims=True) + saturation * (x - x.mean(axis=2, keepdims=True))
        colours = {"flip": True, "brightness": b, "contrast": c, "saturation": s, "subtract_average": average}
        assert np.allclose(one(photo, seed, **shapes, **colours), x, atol=2e-3)


# Many files


def test_a_seed_repeats_what_was_drawn_and_another_one_does_not(photo):
    options = {"flip": True, "brightness": 10, "crop_size": (0.4, 1), "crop_location": "random", "resize": (9, 9)}
    first, again, other = (imreadjpeg([png(photo)] * 5, seed=seed, **options) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not any((a == b).all() for a, b in zip(first, other, strict=True))
    assert not any((first[i] == first[j]).all() for i in range(5) for j in range(i))
    rng = np.random.default_rng(1)
    assert all((a == b).all() for a, b in zip(first, imreadjpeg([png(photo)] * 5, seed=rng, **options), strict=True))
    assert not any(
        (a == b).all() for a, b in zip(first, imreadjpeg([png(photo)] * 5, seed=rng, **options), strict=True)
    )


def test_threads_change_nothing_but_time(photo, tmp_path):
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(png(np.roll(photo, i, axis=0)))
    files = [tmp_path / f"{i}.png" for i in range(6)]
    options = {"flip": True, "brightness": 10, "contrast": 0.5, "seed": 3}
    one_by_one, at_once = imreadjpeg(files, **options), imreadjpeg([str(f) for f in files], num_threads=4, **options)
    assert all((a == b).all() for a, b in zip(one_by_one, at_once, strict=True))


def test_packed_images_lie_one_after_the_other_and_grey_ones_have_three_channels(photo):
    files = [png(photo), png(photo[:, :, 1])]
    packed = imreadjpeg(files, pack=True, subtract_average=[1, 2, 3])
    assert packed.shape == (18, 25, 3, 2) and packed.transpose(3, 0, 1, 2).flags.c_contiguous
    assert (packed[..., 0] == photo - np.float32([1, 2, 3])).all()
    assert (packed[..., 1] == photo[:, :, 1:2] - np.float32([1, 2, 3])).all()


def test_prefetch_gives_later_what_imreadjpeg_gives_now_errors_too(photo, tmp_path):
    later = prefetch([png(photo)] * 3, seed=1, resize=9, flip=True)
    now = imreadjpeg([png(photo)] * 3, seed=1, resize=9, flip=True)
    assert all((a == b).all() for a, b in zip(later.result(), now, strict=True))
    with pytest.raises(FileNotFoundError, match=r"absent\.jpg: there is no such file"):
        prefetch(tmp_path / "absent.jpg").result()


def test_a_jpegs_pixels_are_those_that_every_reader_here_sees(photo, tmp_path):
    iio.imwrite(tmp_path / "photo.jpg", photo, quality=80)
    (image,) = imreadjpeg(tmp_path / "photo.jpg")
    assert (image == images.read_image(tmp_path / "photo.jpg")).all()


# Errors


def test_files_that_are_missing_damaged_or_empty_are_named(photo, tmp_path):
    good, bad, empty = (tmp_path / name for name in ("good.jpg", "bad.jpg", "empty.jpg"))
    iio.imwrite(good, photo)
    bad.write_bytes(good.read_bytes()[:300])
    empty.write_bytes(b"")
    for file, message in (
        (bad, r"bad\.jpg: the file cannot be read as an image"),
        (empty, r"empty\.jpg: the file is empty"),
        (bad.read_bytes(), "<300 bytes>: the file cannot be read as an image"),
        (b"", "<0 bytes>: the file is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            imreadjpeg([good, file], num_threads=2)
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: there is no such file"):
        imreadjpeg([good, tmp_path / "gone.jpg"])
    with pytest.raises(ValueError, match="None stands for a file; a path, or the bytes of a file, is right"):
        imreadjpeg([good, None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": 0}, r"imreadjpeg: resize: it is \[0, 0\]"),
        ({"resize": (1, 2, 3)}, "imreadjpeg: resize"),
        ({"crop_size": 1.5}, r"imreadjpeg: crop_size is \(1.5, 1.5\); above 0 and at most 1"),
        ({"crop_size": 0}, r"imreadjpeg: crop_size is \(0.0, 0.0\); above 0"),
        ({"crop_size": (0.9, 0.5)}, r"imreadjpeg: crop_size is \(0.9, 0.5\)"),
        ({"crop_size": []}, "imreadjpeg: crop_size is"),
        ({"crop_anisotropy": (0, 1)}, r"imreadjpeg: crop_anisotropy is \(0.0, 1.0\)"),
        ({"crop_anisotropy": -1}, "imreadjpeg: crop_anisotropy is"),
        ({"crop_location": "left"}, "imreadjpeg: crop_location is 'left'; 'center' or 'random' is right"),
        ({"subtract_average": [1, 2]}, "imreadjpeg: subtract_average is"),
        ({"subtract_average": np.zeros((1, 1, 2))}, "imreadjpeg: subtract_average is"),
        ({"subtract_average": np.zeros((4, 4, 3))}, r"subtract_average has shape \(4, 4, 3\) and <.* bytes> comes out"),
        ({"brightness": [1, 2, 3]}, "imreadjpeg: brightness is"),
        ({"brightness": np.nan}, "imreadjpeg: brightness: it is nan; finite numbers are right"),
        ({"brightness": np.ones((3, 1))}, r"imreadjpeg: brightness is an array of shape \(3, 1\); one number or 3 x 3"),
        ({"subtract_average": None}, "imreadjpeg: subtract_average: it is None; finite numbers are right"),
        (
            {"subtract_average": np.ones((4, 4, 3, 1))},
            r"subtract_average is an array of shape \(4, 4, 3, 1\); one number",
        ),
        ({"resize": "small"}, "imreadjpeg: resize: it is 'small'; finite numbers are right"),
        ({"seed": -1}, "imreadjpeg: seed is -1; a whole number from 0 on, or a generator, is right"),
        ({"contrast": 2}, "imreadjpeg: contrast is 2; a number from 0 to 1 is right"),
        ({"contrast": "much"}, "imreadjpeg: contrast: it is 'much'; finite numbers are right"),
        ({"contrast": [0.1, 0.2]}, r"imreadjpeg: contrast is \[0.1, 0.2\]"),
        ({"saturation": -0.1}, "imreadjpeg: saturation is -0.1"),
        ({"interpolation": "nearest"}, "imreadjpeg: interpolation is 'nearest'; one of box, bilinear, bicubic"),
        ({"num_threads": 0}, "imreadjpeg: num_threads is 0; a whole number from 1 on is right"),
        ({"num_threads": 1.5}, "imreadjpeg: num_threads is 1.5"),
    ],
)
def test_options_that_are_not_right_are_refused(photo, options, message):
    with pytest.raises(ValueError, match=message):
        imreadjpeg(png(photo), **options)


def test_images_of_different_sizes_or_none_are_not_packed(photo):
    with pytest.raises(ValueError, match=r"comes out as \(18, 25, 3\) and <.*> as \(18, 20, 3\); to pack them"):
        imreadjpeg([png(photo), png(photo[:, :20])], pack=True)
    with pytest.raises(ValueError, match="there are no files to pack"):
        imreadjpeg([], pack=True)
    assert imreadjpeg([]) == []
