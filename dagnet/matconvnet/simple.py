"""MatConvNet's vl_simplenn* in their call forms, over dagnet.simplenn and dagnet.files.simplenn.

    net = vl_simplenn_tidy(matfile.read("net.mat"))        # a SimpleNN: net.layers[0]["weights"] is net.layers{1}.weights
    net.layers[-1]["class"] = labels
    res = vl_simplenn(net, x, 1)                           # res[-1].x is res(end).x, res[0].dzdx is res(1).dzdx

Source    MatConvNet manual, 3.1; vl_simplenn*.m of 1.0-beta25
"""

import math
from collections.abc import Mapping
from typing import Any

from dagnet import summary
from dagnet.files import simplenn as files
from dagnet.layers.array import Array
from dagnet.simplenn import Result, SimpleNN, run

from .calling import current_release, matlab, number, numbers, stream


@matlab
def vl_simplenn(
    net: SimpleNN | Mapping[str, Any],
    x: Array,
    dzdy: Array | float | None = None,
    res: list[Result] | None = None,
    *,
    mode: Any = "normal",
    conserveMemory: bool = False,
    sync: bool = False,
    accumulate: bool = False,
    backPropDepth: float = math.inf,
    skipForward: bool = False,
    parameterServer: Any = None,
    holdOn: bool = False,
) -> list[Result]:
    """res, one more than there are layers. parameterServer and holdOn are for several GPUs and have no effect."""
    return run(
        vl_simplenn_tidy(net),
        x,
        dzdy,
        res,
        mode=str(mode).lower(),  # type: ignore[arg-type]  # run refuses another
        conserve_memory=bool(conserveMemory),
        sync=bool(sync),
        accumulate=bool(accumulate),
        back_prop_depth=number(backPropDepth),
        skip_forward=bool(skipForward),
    )


def vl_simplenn_tidy(net: SimpleNN | Mapping[str, Any]) -> SimpleNN:
    """The SimpleNN of a struct of any age, which follows the release in force; a SimpleNN comes back as it is.

    Its dropout draws from the stream that rng(seed) starts, so that each call for a struct has new masks.
    """
    if isinstance(net, SimpleNN):
        return net
    tidied, release = files.tidy(dict(net)), current_release()
    tidied.normalise, tidied.scale_moments_by_images = release.normalise, release.moments_times_n
    tidied.seed(int(stream().integers(2**32)))
    return tidied


def vl_simplenn_move(net: SimpleNN, destination: str) -> SimpleNN:
    """The net itself, after net.move(destination): its weights are on the "gpu" or the "cpu"."""
    net.move(destination)
    return net


@matlab
def vl_simplenn_display(
    net: SimpleNN | Mapping[str, Any],
    *,
    inputSize: Any = None,
    batchSize: int = 1,
    maxNumColumns: int = 18,
    format: str = "ascii",
) -> None:
    """Prints summary.display, which returns the text."""
    size = None if inputSize is None else numbers(inputSize)
    options: dict[str, Any] = {"format": format, "max_num_columns": number(maxNumColumns)}
    print(summary.display(vl_simplenn_tidy(net), input_size=size, batch_size=number(batchSize), **options))
