"""PyTorch's side: the same step and the same layers, eagerly, on a GPU or the CPU, in one of its memory formats."""

from typing import Any

import torch
from dagnet.tools.benchmark import torch_networks
from torch import nn

from . import work
from .counts import Size, Unit
from .work import RATE, Step


class Theirs(work.Side):
    """place "gpu" or "cpu"; tf32: let products be TF32's; channels_last or contiguous."""

    def __init__(self, place: str, tf32: bool, channels_last: bool) -> None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        self._device = torch.device("cuda" if place == "gpu" else "cpu")
        self._form = torch.channels_last if channels_last else torch.contiguous_format
        torch.zeros(1, device=self._device)  # makes the context, which is nobody's memory
        self._before = self._taken()

    def wait(self) -> None:
        """Until all is computed."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def memory(self) -> float:
        """MB of the device's memory that this process has taken."""
        return (self._taken() - self._before) / 1e6 if self._device.type == "cuda" else work.resident_mb()

    def training(self, size: Size, width: float) -> dict[str, Step]:
        """The step, and its parts."""
        fc_width = max(1, round(4096 * width))
        model = self._there(torch_networks.LesionFCN(width, fc_width))
        image, label = self._data(size), self._label(size)
        rule = torch_networks.sgd(model, RATE)

        def both() -> None:
            rule.zero_grad()
            torch_networks.segmentation_loss(model(image), label).backward()

        return {
            "step": torch_networks.training_step(model, image, label, RATE),
            "forward": lambda: torch_networks.segmentation_loss(model(image), label),
            "forward and backward": both,
            "update": rule.step,
        }

    def layer(self, unit: Unit, block: Any) -> dict[str, Step]:
        """Forward, and forward with backward, of the unit."""
        x = self._data(unit.x).requires_grad_(not unit.first)
        if unit.kind == "loss":
            label = self._label(unit.x)

            def forward() -> Any:
                return torch_networks.segmentation_loss(x, label)
        else:
            layer = self._there(_module(unit))

            def forward() -> Any:
                return layer(x)

        dy = torch.randn_like(forward())

        def both() -> None:
            x.grad = None
            if unit.filters:
                layer.zero_grad()
            forward().backward(dy)

        return {"forward": forward, "forward and backward": both}

    def _there(self, module: Any) -> Any:
        return module.to(self._device).to(memory_format=self._form)

    def _taken(self) -> int:
        if self._device.type != "cuda":
            return 0
        free, total = torch.cuda.mem_get_info()
        return total - free

    def _data(self, size: Size) -> Any:
        h, w, c, n = size
        return torch.randn(n, c, h, w, device=self._device).contiguous(memory_format=self._form)

    def _label(self, size: Size) -> Any:
        return torch.randint(1, 3, (size[3], *size[:2]), device=self._device)


def _module(unit: Unit) -> nn.Module:
    if unit.kind == "pool":
        return nn.MaxPool2d(2)
    if unit.kind == "convt":
        fh, _, k, c = unit.filters
        return nn.ConvTranspose2d(c, k, fh, stride=fh // 2, padding=unit.pad)
    fh, _, c, k = unit.filters
    layer = nn.Conv2d(c, k, fh, padding=unit.pad)
    return nn.Sequential(layer, nn.ReLU(inplace=True)) if unit.relu else layer
