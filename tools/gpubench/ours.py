"""dagnet's side: the paper's training step, its layers one by one, and the machine's ceilings, on the GPU or the CPU."""

from typing import Any

import numpy as np
from dagnet.layers.kernels.gpu import launch
from dagnet.tools.benchmark import networks

from dagnet.layers import array, device, settings
from dagnet.models import lesion_fcn

from . import work
from .counts import Size, Unit
from .work import Step


class Ours(work.Side):
    """place "gpu" or "cpu"; precision "float32" or "tf32"; graph: let a CUDA graph launch the step's forward and backward."""

    def __init__(self, place: str, precision: settings.Precision, graph: bool) -> None:
        settings.change(precision=precision)
        self._graph = graph
        self._there, self._on_gpu = array.mover(place), place == "gpu"
        self._before = device.taken() if self._on_gpu else 0

    def wait(self) -> None:
        """Until all is computed."""
        if self._on_gpu:
            array.wait_for_gpu()

    def memory(self) -> float:
        """MB of the device's memory that this process has taken."""
        return (device.taken() - self._before) / 1e6 if self._on_gpu else work.resident_mb()

    def training(self, size: Size, width: float) -> dict[str, Step]:
        """The step as the trainer takes it, and its parts."""
        net = lesion_fcn.lesion_fcn(None, width=width)
        net.move("gpu" if self._on_gpu else "cpu")
        return networks.training_steps(net, {"input": self._data(size), "label": self._label(size)}, self._graph)

    def layer(self, unit: Unit, block: Any) -> dict[str, Step]:
        """Forward, and forward with backward, of the unit's block."""
        params = [self._there(value) for value in block.init_params(np.random.default_rng(0))]
        inputs = [self._data(unit.x)]
        if unit.kind == "loss":
            inputs.append(self._label(unit.x))
        block.needs_input_der, block.derivatives_follow = not unit.first, True  # as in a step of training
        dy = self._data(unit.y, 1)
        run = block.forward_rectified if unit.relu else block.forward

        def both() -> None:
            outputs = run(inputs, params)
            if unit.relu:
                block.backward_rectified(inputs, outputs, params, [dy])
            else:
                block.backward(inputs, params, [dy])

        return {"forward": lambda: run(inputs, params), "forward and backward": both}

    def ceilings(self, side: int) -> dict[str, tuple[Step, float]]:
        """What the machine can do at best, and how many operations or bytes that is: a matrix product, and a copy."""
        a, b, c = (self._there(np.ones((side, side), np.float32)) for _ in range(3))
        product = (lambda: launch.gemm(a, b, c)) if self._on_gpu else (lambda: np.matmul(a, b, out=c))
        return {"product": (product, 2.0 * side**3), "copy": self._copy(side)}

    def _copy(self, side: int) -> tuple[Step, float]:
        source = self._there(np.ones(4 * side * side, np.float32))
        target = array.module_of(source).empty_like(source)

        def copy() -> None:
            target[...] = source

        return copy, 2.0 * source.nbytes

    def _data(self, size: Size, seed: int = 0) -> Any:
        """Random values (H, W, C, N) in our memory order."""
        h, w, c, n = size
        return self._there(np.random.default_rng(seed).standard_normal((n, h, w, c), np.float32).transpose(1, 2, 3, 0))

    def _label(self, size: Size) -> Any:
        """Labels (H, W, 1, N) of 1 and 2."""
        h, w, _, n = size
        labels = np.random.default_rng(0).integers(1, 3, (n, h, w, 1)).astype(np.float32)
        return self._there(labels.transpose(1, 2, 3, 0))
