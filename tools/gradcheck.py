"""Is backward the slope of forward? Central differences in double precision, for any block, yours included, or a network.

    dagnet gradcheck all                                        every block that is known
    dagnet gradcheck Pooling method=avg poolSize=3 --size 7 6 4 2
    dagnet gradcheck Brighten by=2 --define Brighten=blocks:Brighten      a block of yours, in blocks.py
    dagnet gradcheck net.mat --size 64 64                       a network or checkpoint, on random inputs

Each output gets a random weight; backward's derivative of their sum stands beside (f(x + h) - f(x - h)) / 2h with h = 1e-5, of
each value of each input and parameter (of a network: of --samples of each array).
    error      max|a - b| / max|b|; at most --tolerance is right
    corners    values on or beside a corner of f: a ReLU at 0, a tie of maxima, a margin. There smaller steps (1e-6, 1e-7) tell
               whether the derivative agrees off the corner, or lies between the slopes on its two sides, which is right too
A step is used only where the rounding of the outputs is far below what it is to tell apart. WRONG is also a block that
writes to its arguments, returns another number, size or type of arrays than it should, or other outputs when it runs again.
Exit code 0: all is right; 1: something is WRONG; 2: it cannot be looked at.
"""

import argparse
import ast
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dagnet import gradcheck as networks
from dagnet import summary
from dagnet.files import netfile
from dagnet.layers import catalogue, gradcheck, samples, settings, trial

from . import arguments

Line = tuple[str, str, tuple[int, ...], gradcheck.Finding | str]  # block, array, size, and what was found
NO_DERIVATIVE = "no derivative"
COLUMNS = "{:<34} {:<16} {:>14} {:>8} {:>8} {:>8}  {}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's arguments."""
    parser.add_argument("what", help="a block's type (Pooling, dagnn.Pooling), `all`, or a file, .mat")
    parser.add_argument(
        "properties", nargs="*", default=[], metavar="NAME=VALUE", help="the block's properties, as in MATLAB or here"
    )
    parser.add_argument(
        "--size", type=int, nargs="+", metavar="N", help="of the first input: height width [channels [images]]"
    )
    parser.add_argument(
        "--samples",
        type=arguments.positive,
        metavar="N",
        help="values looked at in each array (default: all of a block's, 20 of a network's)",
    )
    parser.add_argument(
        "--rounded", action="store_true", help="inputs are multiples of a half, so that corners are met"
    )
    parser.add_argument("--inputs", type=Path, metavar="FILE", help="a network's inputs by name, .mat or .npz")
    parser.add_argument("--tolerance", type=arguments.tolerance, default=1e-6, metavar="T", help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (default %(default)s)")
    parser.add_argument("--define", **arguments.DEFINE)


@settings.using(exact=True)
def run(args: argparse.Namespace) -> int:
    """Check, print a line an array; 1 where a derivative is wrong."""
    arguments.define(args.define)
    lines = _network(args) if Path(args.what).suffix == ".mat" else _blocks(args)
    wrong = checked = 0
    for number, (block, array, size, finding) in enumerate(lines):
        if not number:  # not before the first finding: what cannot be looked at has no table
            print(COLUMNS.format("block", "array", "size", "checked", "error", "corners", "verdict"))
        wrong += finding.startswith("WRONG") if isinstance(finding, str) else bool(finding.wrong)
        checked += isinstance(finding, gradcheck.Finding)
        tqdm.write(line(block, array, size, finding))
    said = "All derivatives are right" if checked else "There was no derivative to look at"
    if wrong:
        said = f"{wrong} array{'s have' if wrong > 1 else ' has'} a wrong derivative"
    print(f"\n{said}.")
    return int(wrong > 0)


def line(block: str, array: str, size: tuple[int, ...], finding: gradcheck.Finding | str) -> str:
    """A line of the table."""
    shape = "x".join(map(str, size))
    if isinstance(finding, str):
        return COLUMNS.format(block, array, shape, "", "", "", finding)
    verdict = "right"
    if finding.wrong:
        worst = max(finding.wrong, key=lambda w: abs(w.der - (w.left + w.right) / 2))
        verdict = (
            f"WRONG at {len(finding.wrong)}, most at {worst.place}: backward says {worst.der:.6g}, "
            f"the slopes are {worst.left:.6g} and {worst.right:.6g}"
        )
    return COLUMNS.format(block, array, shape, finding.checked, f"{finding.error:.1e}", finding.corners or "", verdict)


def _blocks(args: argparse.Namespace) -> Iterator[Line]:
    _check(args.size)
    size = (*args.size, *samples.SIZE[len(args.size) :]) if args.size else samples.SIZE
    if args.what == "all":
        if args.properties:
            raise ValueError(f"all: it takes no properties, and {args.properties[0]} came; name a block")
        variants = [(name, p) for name in catalogue.known() for p in samples.VARIANTS.get(name, [{}])]
    else:
        variants = [(_known(args.what), dict(_property(text) for text in args.properties))]
    for name, properties in variants:
        rng = np.random.default_rng(args.seed)
        sample = samples.make(name, properties, size, rng, args.rounded)
        title = " ".join([name.removeprefix("dagnn."), *(f"{k}={v}" for k, v in properties.items() if k != "opts")])
        yield from _block(title, sample, rng, args)


def _block(title: str, sample: samples.Sample, rng: np.random.Generator, args: argparse.Namespace) -> Iterator[Line]:
    try:
        tried = trial.Trial(sample.block, sample.inputs, sample.params, rng)
    except trial.GradientError as error:
        yield title, "", (), f"WRONG: {error}"
        return
    for name, x in tried.arrays.items():
        if name not in sample.averaged:
            yield title, name, x.shape, _array(tried, name, rng, args)


def _array(
    tried: trial.Trial, name: str, rng: np.random.Generator, args: argparse.Namespace
) -> gradcheck.Finding | str:
    if tried.ders[name] is None:
        return NO_DERIVATIVE
    x = tried.arrays[name]
    chosen = rng.permutation(x.size)[: args.samples]
    places = [tuple(int(i) for i in np.unravel_index(i, x.shape)) for i in chosen]
    try:
        der = tried.derivative(name)
        return gradcheck.examine(tried.outputs_of(name), x, der, tried.projection, places, args.tolerance)
    except trial.GradientError as error:
        return f"WRONG: {error}"


def _network(args: argparse.Namespace) -> Iterator[Line]:
    if args.properties:
        raise ValueError(f"a network takes no properties, and {args.properties[0]} came")
    _check(args.size)
    net = networks.in_double(netfile.load(args.what))
    given = arguments.arrays(args.inputs) if args.inputs else {}
    sizes = {} if given and not args.size else summary.input_sizes(net, args.size)
    if not sizes and not given:
        raise ValueError(f"{args.what}: it does not say how large an input is; --size H W, such as --size 64 64, does")
    rng = np.random.default_rng(args.seed)
    inputs = networks.random_inputs(net, sizes, given, rng, args.rounded)
    found = networks.examine(net, inputs, rng, args.samples or 20, args.tolerance)
    try:
        for name, shape, finding in tqdm(found, desc="gradcheck", unit="array", disable=None, leave=False):
            yield Path(args.what).name, name, shape, finding or NO_DERIVATIVE
    except trial.GradientError as error:
        yield Path(args.what).name, "", (), f"WRONG: {error}"


def _known(name: str) -> str:
    """The type as the catalogue has it. Raises ValueError."""
    for candidate in (name, f"dagnn.{name}"):
        if candidate in catalogue.known():
            return candidate
    short = [known.removeprefix("dagnn.") for known in catalogue.known()]
    near = difflib.get_close_matches(name.removeprefix("dagnn."), short) or short
    raise ValueError(f"no block {name!r} is known; {', '.join(near)}, `all`, a .mat file, or --define are right")


def _property(text: str) -> tuple[str, Any]:
    """NAME=VALUE as MATLAB's name and a value. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is no property; NAME=VALUE, such as method=avg, is right")
    try:
        read = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        read = {"true": True, "false": False}.get(value, value)
    return catalogue.camel_case(name), read


def _check(size: Sequence[int] | None) -> None:
    """Raises ValueError for what is no size."""
    if size and (len(size) not in (2, 3, 4) or min(size) < 1):
        raise ValueError(f"--size: it is {list(size)}; two to four numbers of at least 1 are right")
