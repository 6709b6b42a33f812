"""Is a network's backward the slope of its forward? Central differences say so, as layers.gradcheck has them for a block.

f is the sum of all values of the net's outputs, each times a random number. Outputs that count errors have no derivative and
are left out. The net is to compute in float64; a DropOut keeps the mask that it draws first.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dagnet.dagnn import DagNN
from dagnet.graph import LayerRecord
from dagnet.layers import array, dropout, gradcheck, loss, segmentation
from dagnet.layers.array import Array


def in_double(net: DagNN) -> DagNN:
    """A copy of the net whose parameters are float64."""
    net = net.copy()
    for param in net.params.values():
        if param.value is not None:
            param.value = param.value.astype(np.float64)
    return net


def random_inputs(
    net: DagNN, sizes: Mapping[str, Sequence[int]], given: Mapping[str, Array], rng: np.random.Generator, rounded: bool
) -> dict[str, Array]:
    """For every input of the net the array given, else normal numbers of its size, else labels where a loss reads it as such.

    rounded   normal numbers are multiples of a half
    Raises ValueError for an input of which neither size nor meaning is known.
    """
    sizes = dict(sizes) | {name: (*value.shape, 1, 1, 1, 1)[:4] for name, value in given.items()}
    made = net.get_var_sizes(sizes)
    inputs: dict[str, Array] = {}
    for name in net.inputs:
        readers = [record for record in net.layers.values() if name in record.inputs[1:]]
        if name in given:
            inputs[name] = array.channels_last(given[name].astype(np.float64))
        elif name in sizes:
            x = rng.standard_normal(sizes[name])
            inputs[name] = np.round(2 * x) / 2 if rounded else x
        elif readers and isinstance(readers[0].block, loss.Loss) and name == readers[0].inputs[1]:
            inputs[name] = _labels(readers[0], made[readers[0].inputs[0]], rng)
        else:
            raise ValueError(f"inputs: it is not known what to give '{name}'; an array of yours is right (--inputs)")
    return inputs


def _labels(record: LayerRecord, scores: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    if not all(np.isfinite(scores)):
        raise ValueError(f"inputs: the size of '{record.inputs[0]}' is not known, nor that of its labels; give --size")
    h, w, c, n = map(int, scores)
    if loss.formula(getattr(record.block, "loss", "softmaxlog")).of_attributes:
        return rng.integers(-1, 2, (h, w, c, n)).astype(float)
    return rng.integers(0, c + 1, (h, w, 1, n)).astype(float)


def examine(
    net: DagNN, inputs: Mapping[str, Array], rng: np.random.Generator, samples: int, tolerance: float
) -> Iterator[tuple[str, tuple[int, ...], gradcheck.Finding | None]]:
    """Name, size and finding, at so many random places, of every input but labels and every parameter but averages, one by one.

    The finding is None where a block on the way gives no derivative.
    Raises ValueError where no output has a derivative, what net.eval raises, and GradientError where two runs differ.
    """
    outputs = [name for name in net.outputs if _derivable(net, name)]
    if not outputs:
        raise ValueError(f"outputs: none of the net's ({', '.join(net.outputs)}) has a derivative")
    net.eval(inputs)
    for record in net.layers.values():
        if isinstance(record.block, dropout.DropOut):
            record.block.frozen = True
    values = [net.vars[name].value for name in outputs]
    if missing := [name for name, value in zip(outputs, values, strict=True) if value is None]:
        raise ValueError(f"outputs: '{missing[0]}' was not computed; was an input missing?")
    projection = [array.module_of(y).asarray(rng.standard_normal(y.shape)) for y in values if y is not None]
    net.eval(inputs, dict(zip(outputs, projection, strict=True)))
    found = {name: net.vars[name].der for name in inputs if not _is_labels(net, name)}
    found |= {name: param.der for name, param in net.params.items() if param.train_method == "gradient"}
    ders = {name: None if der is None else array.to_numpy(der).copy() for name, der in found.items()}
    for name, der in ders.items():
        x: Any = inputs[name] if name in inputs else net.params[name].value
        if der is None:
            yield name, x.shape, None
            continue
        places = [tuple(int(i) for i in np.unravel_index(i, der.shape)) for i in _sample(der, samples, rng)]
        of = Outputs(net, inputs, outputs, name)
        yield name, der.shape, gradcheck.examine(of, x, der, projection, places, tolerance)


def _sample(der: np.ndarray, samples: int, rng: np.random.Generator) -> list[int]:
    """Random places, every other one among those where the derivative is not 0: behind ReLUs few may be."""
    anywhere, telling = rng.permutation(der.size), rng.permutation(np.flatnonzero(der))
    half = min((samples + 1) // 2, telling.size)
    return list(dict.fromkeys([*telling[:half], *anywhere]))[:samples]


class Outputs:
    """The net's outputs as a function of one input or parameter."""

    def __init__(self, net: DagNN, inputs: Mapping[str, Array], outputs: Sequence[str], name: str) -> None:
        self.net, self.inputs, self.outputs, self.name = net, inputs, outputs, name

    def __call__(self, changed: Array) -> list[Array]:
        if self.name in self.inputs:
            self.net.eval({**self.inputs, self.name: changed})
        else:
            param = self.net.params[self.name]
            kept, param.value = param.value, changed
            self.net.eval(self.inputs)
            param.value = kept
        return [self.net.vars[name].value for name in self.outputs]


def _derivable(net: DagNN, name: str) -> bool:
    for record in net.layers.values():
        if name in record.outputs:
            counts = isinstance(record.block, loss.Loss) and loss.formula(record.block.loss).slope is None
            return not counts and not isinstance(record.block, segmentation.SegmentationAccuracy)
    return True


def _is_labels(net: DagNN, name: str) -> bool:
    """Whether losses alone read the variable, and not as their scores."""
    readers = [r for r in net.layers.values() if name in r.inputs]
    return all(isinstance(r.block, loss.Loss) and name != r.inputs[0] for r in readers)
