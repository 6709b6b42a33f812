"""The paper's network: six score maps of VGG-16, each enlarged to the image's size and fused by a 1x1 convolution.

    pool1 ... pool5, relu7   VGG-16's convolutions as trained; fc6 and fc7 new      their maps are 2 4 8 16 32 32 times smaller
    score1 ... score6        a 1x1 convolution to 2 channels on each of the six
    up1 ... up6              a learned transposed convolution (or a chain of them), up to the image's size
    fuse, predict            their 12 channels side by side, and a 1x1 convolution to 2

Inputs: `input` (H, W, 3, N), 0..255 less their mean colour, H and W multiples of 32; `label` (H, W, 1, N), 1 skin, 2 lesion,
0 ignore. Output: `prediction` (H, W, 2, N).

Source    Qi, Le, Li, Zhou 2017, Global and local information based deep network for skin lesion segmentation, arXiv
          1703.05467. What it leaves open is a field of Recipe.
"""

from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal, TypeVar

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.layers import concat, conv, convt, dropout, loss, relu, segmentation

from . import initial, vgg16

T = TypeVar("T")
Start = float | Literal["he", "bilinear", "initParams"]
CLASSES = ["skin", "lesion"]
COLOUR_DEVIATION = np.float32(64)  # about an image's, of 0..255
FACTORS = (2, 4, 8, 16, 32, 32)  # how many times smaller than the image the maps of score1 ... score6 are


@dataclass(frozen=True)
class Recipe:
    """What the paper leaves open; the defaults are the recipe "stable".

    start    how filters begin: "he", or a number, the deviation of Gaussian ones; for deconvolutions also "bilinear" and
             "initParams". All biases begin at 0.
    rate     a factor on the training's learning rate, which is 1e-3 in the paper

    With every rate 1 and scores that start at random (the recipe "literal") training oscillates at 1e-3. VGG-16's activations
    are large: their root mean square where score1 ... score6 read is 195 408 511 99 5.9 4.9. One step of a score's filters
    changes its map by their square, so the first three branches overshoot and drown the others. Hence score_rates, and
    score_start: what starts at random on such inputs must first be unlearned.
    """

    # channels of fc6 and fc7: VGG-16's own, which the paper does not change; a smaller width trains faster
    fc_width: int = 4096
    # DropOut after fc6 and fc7, as VGG-16 and matconvnet-fcn have it; 0 leaves the layers out
    dropout: float = 0.5
    # "single": one transposed convolution a branch, kernel 2s, stride s; "chain": steps of factor 2, kernel 4
    deconvolution: Literal["single", "chain"] = "single"
    # "SegmentationLoss": an image counts as the mean over its pixels. "Loss" sums them: then 1e-3 is 147,456 times too much
    loss: Literal["SegmentationLoss", "Loss"] = "SegmentationLoss"
    # He's deviation: activations keep their size through fc6 and fc7
    fc_start: Start = "he"
    # 0, as matconvnet-fcn's skips start: at the small rates below, random scores would stay for long
    score_start: Start = 0.0
    # "bilinear": begin with enlarging and mixing nothing; random ones learn far slower ("he"; "initParams", MatConvNet's own,
    # begins s times smaller still)
    up_start: Start = "bilinear"
    predict_start: Start = "he"
    # VGG-16's convolutions, and fc6 with fc7: the paper's one rate
    vgg_rate: float = 1.0
    fc_rate: float = 1.0
    # None: steady_score_rates(fc_width)
    score_rates: tuple[float, ...] | None = None
    up_rate: float = 1.0
    predict_rate: float = 1.0
    # biases learn at so many times their filters' rate: matconvnet-fcn's habit
    bias_rate: float = 2.0


def steady_score_rates(fc_width: int) -> tuple[float, ...]:
    """Rates under which all six maps change at a like pace: 10,000 / the squares a score sums, within a factor of 5; at most 1.

    These are channels times mean square: 64 * 195^2 at pool1 ... 512 * 5.9^2 at pool5, fc_width * 4.9^2 at fc7. matconvnet-fcn
    has 0.1 and 0.01 for its two skips. Found by trial (docs/results.md); at 4096 channels a rate of 1 for the sixth lets the
    loss jump to 4 in the first steps, 1/8 keeps it below 0.7.
    """
    return (1e-3, 1e-4, 1e-4, 1e-3, 1.0, min(1.0, 512 / fc_width))


RECIPES = {
    "stable": Recipe(),
    "literal": Recipe(fc_start=0.01, score_start=0.01, predict_start=0.01, score_rates=(1.0,) * 6, bias_rate=1.0),
}


def lesion_fcn(
    vgg: DagNN | str | PathLike[str] | None = None,
    *,
    recipe: str = "stable",
    width: float = 1.0,
    seed: int = 0,
    **changes: Any,
) -> DagNN:
    """The paper's network on VGG-16: a net (which is copied), a file of 31 or 37 layers, or None for random values.

    recipe    "stable" or "literal"; any field of Recipe may be given besides: fc_width=512
    width     for a random VGG-16: a factor on its channels, and on fc_width unless that is given. Such a net serves generated
              lesions and tests. Its conv1_1 scales images to about 1: then scores start as "he" with score_rates 1 unless
              given otherwise, and conv1_1's rate is as much smaller as the square of what it reads is larger.
    seed      of all that is random

    Raises ValueError for an unknown recipe, field or value, and for a net or file that is not VGG-16.
    """
    rng = np.random.default_rng(seed)
    if vgg is None:
        net = _random_vgg16(width, rng)
        usual = {"score_rates": (1.0,) * 6, "score_start": "he", "fc_width": max(1, round(Recipe.fc_width * width))}
        changes = usual | changes
    elif width != 1:
        raise ValueError(
            f"lesion_fcn: width is {width} and values of VGG-16 are given, which have their own; 1 is right"
        )
    else:
        net = vgg16.from_net(vgg.copy(), "lesion_fcn") if isinstance(vgg, DagNN) else vgg16.load(vgg)
    chosen = _chosen(recipe, changes)
    define(net, chosen)
    _initialise(net, chosen, rng)
    if vgg is None:
        net.params["conv1_1f"].learning_rate /= float(COLOUR_DEVIATION) ** 2
    for number, record in enumerate(net.layers.values()):
        if isinstance(record.block, dropout.DropOut):
            record.block.seed(np.random.SeedSequence([seed, number]))
    return net


def define(net: DagNN, recipe: Recipe) -> None:
    """Put the network's own layers after VGG-16's pool5, without values."""
    c1, c2, c3, c4, c5 = (net.layers[f"conv{k}"].block.size[3] for k in ("1_2", "2_2", "3_3", "4_3", "5_3"))
    wide, classes = recipe.fc_width, len(CLASSES)
    after6, after7 = ("dropout1", "dropout2") if recipe.dropout else ("relu6", "relu7")

    net.remove_layer([name for name in ("fc6", "relu6", "fc7", "relu7", "fc8", "prob") if name in net.layers])
    net.add_layer("fc6", conv.Conv([7, 7, c5, wide], pad=[3, 3, 3, 3]), "x31", "fc6", ["fc6f", "fc6b"])
    net.add_layer("relu6", relu.ReLU(), "fc6", "relu6")
    if recipe.dropout:
        net.add_layer("dropout1", dropout.DropOut(recipe.dropout), "relu6", "dropout1")
    net.add_layer("fc7", conv.Conv([1, 1, wide, wide]), after6, "fc7", ["fc7f", "fc7b"])
    net.add_layer("relu7", relu.ReLU(), "fc7", "relu7")
    if recipe.dropout:
        net.add_layer("dropout2", dropout.DropOut(recipe.dropout), "relu7", "dropout2")

    maps = [("x5", c1), ("x10", c2), ("x17", c3), ("x24", c4), ("x31", c5), (after7, wide)]
    for k, (source, channels) in enumerate(maps, 1):
        score = conv.Conv([1, 1, channels, classes])
        net.add_layer(f"score{k}", score, source, f"score{k}", [f"score{k}f", f"score{k}b"])
        _upsample(net, k, FACTORS[k - 1], recipe.deconvolution)

    net.add_layer("fuse", concat.Concat(dim=3), [f"up{k}" for k in range(1, 7)], "fuse")
    net.add_layer("predict", conv.Conv([1, 1, 6 * classes, classes]), "fuse", "prediction", ["predictf", "predictb"])
    objective = _known(recipe.loss, {"SegmentationLoss": segmentation.SegmentationLoss, "Loss": loss.Loss}, "loss")
    net.add_layer("objective", objective("softmaxlog"), ["prediction", "label"], "objective")
    net.add_layer("accuracy", segmentation.SegmentationAccuracy(), ["prediction", "label"], "accuracy")
    net.vars["prediction"].precious = True
    net.meta["classes"] = {"name": CLASSES, "description": CLASSES}


def _upsample(net: DagNN, k: int, factor: int, deconvolution: str) -> None:
    """up1 ... up6: one transposed convolution, or up3_1, up3_2, up3, each of factor 2."""
    factors = _known(deconvolution, {"single": [factor], "chain": [2] * (factor.bit_length() - 1)}, "deconvolution")
    source = f"score{k}"
    for step, s in enumerate(factors, 1):
        name = f"up{k}" if step == len(factors) else f"up{k}_{step}"
        size, crop = [2 * s, 2 * s, len(CLASSES), len(CLASSES)], [s // 2] * 4
        block = convt.ConvTranspose(size, upsample=[s, s], crop=crop)
        net.add_layer(name, block, source, name, [f"{name}f", f"{name}b"])
        source = name


def _initialise(net: DagNN, recipe: Recipe, rng: np.random.Generator) -> None:
    """Values of all new layers, and everybody's learning rates."""
    score_rates = recipe.score_rates or ()
    if len(score_rates) != len(FACTORS):
        raise ValueError(f"lesion_fcn: score_rates are {recipe.score_rates}; six numbers are right")
    choices = {
        "fc": (recipe.fc_start, recipe.fc_rate),
        "up": (recipe.up_start, recipe.up_rate),
        "predict": (recipe.predict_start, recipe.predict_rate),
        **{f"score{k}": (recipe.score_start, rate) for k, rate in enumerate(score_rates, 1)},
    }
    for record in net.layers.values():
        if not record.params:
            continue
        filters, bias = (net.params[name] for name in record.params)
        group = next((group for group in choices if record.name.startswith(group)), None)
        rate = recipe.vgg_rate
        if group is not None:
            start, rate = choices[group]
            filters.value = _filters(record.block, start, rng)
            bias.value = initial.bias(len(CLASSES) if group != "fc" else recipe.fc_width)
        filters.learning_rate, bias.learning_rate = rate, rate * recipe.bias_rate


def _filters(block: conv.Conv | convt.ConvTranspose, start: Start, rng: np.random.Generator) -> np.ndarray:
    if not isinstance(start, str):
        return initial.gaussian(block.size, start, rng) if start else initial.zeros(block.size)
    if start == "bilinear":
        return initial.bilinear_identity(block.size)
    if start == "he" and isinstance(block, convt.ConvTranspose):
        return initial.he_transposed(block.size, block.upsample[0], rng)
    if start in ("he", "initParams"):
        return block.init_params(rng)[0]
    raise ValueError(f"lesion_fcn: start {start!r} is not known; he, bilinear, initParams, or a deviation is right")


def _random_vgg16(width: float, rng: np.random.Generator) -> DagNN:
    net = vgg16.vgg16(vgg16.CONVOLUTIONS, width)
    net.init_params(rng)
    net.params["conv1_1f"].value = initial.he(net.layers["conv1_1"].block.size, rng) / COLOUR_DEVIATION
    return net


def _chosen(recipe: str, changes: dict[str, Any]) -> Recipe:
    chosen = _known(recipe, RECIPES, "recipe")
    fields = Recipe.__dataclass_fields__
    for name in changes:
        _known(name, fields, "option")
    chosen = replace(chosen, **changes)
    if chosen.fc_width < 1 or chosen.fc_width != int(chosen.fc_width):
        raise ValueError(f"lesion_fcn: fc_width is {chosen.fc_width}; a whole number from 1 on is right")
    if chosen.score_rates is None:
        chosen = replace(chosen, score_rates=steady_score_rates(chosen.fc_width))
    if not 0 <= chosen.dropout < 1:
        raise ValueError(f"lesion_fcn: dropout is {chosen.dropout}; a rate from 0 to below 1 is right")
    return chosen


def _known(name: str, table: dict[str, T], what: str) -> T:
    if name not in table:
        raise ValueError(f"lesion_fcn: {what} {name!r} is not known; one of {', '.join(table)} is right")
    return table[name]
