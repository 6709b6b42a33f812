"""The layers of the paper's network as units to be measured, and what each has to compute and to move at the least.

Operations are multiplications and additions, of a 3x3 convolution as its sum has them (Winograd's way needs fewer). Bytes are
float32's, each array read or written once, with the ReLU inside its convolution:
    convolution      forward reads x, w and writes y; dX reads dy, y (the mask), w, keeps the masked dy, and writes dx; dW reads
                     x, dy and writes dw
    deconvolution    as a convolution, without a mask
    max pooling      forward reads x and writes y and a byte an output; backward reads dy and these and writes dx
    loss             forward reads scores and labels; backward reads them too and writes dx
    update           SGD with momentum reads w, dw, m and writes w, m
The first convolution has no dX. What is between the units (joining the six maps, dropout, the accuracy) is not counted.
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

from dagnet.dagnn import DagNN
from dagnet.layers import conv, convt, pool, relu
from dagnet.models import lesion_fcn, vgg16

Size = tuple[int, int, int, int]  # (H, W, C, N)
FLOAT = 4


@dataclass(frozen=True)
class Unit:
    """A layer, with the ReLU that follows it if one does: sizes (H, W, C, N) of x and y, and what its kind needs to know.

    filters  (FH, FW, C, K) of a convolution; (FH, FW, K, C) of a deconvolution, whose stride is FH / 2; () of others
    """

    name: str
    kind: Literal["conv", "convt", "pool", "loss"]
    x: Size
    y: Size
    filters: tuple[int, ...] = ()
    pad: int = 0
    relu: bool = False
    first: bool = False

    @property
    def flops(self) -> tuple[float, float]:
        """Operations forward, and backward."""
        if not self.filters:
            return 0.0, 0.0
        places = self.y if self.kind == "conv" else self.x
        forward = 2.0 * places[0] * places[1] * places[3] * prod(self.filters)
        return forward, forward if self.first else 2 * forward

    @property
    def bytes(self) -> tuple[float, float]:
        """Bytes forward, and backward."""
        x, y, w = (FLOAT * prod(size) if size else 0 for size in (self.x, self.y, self.filters))
        if self.kind == "pool":
            return x + y + y / FLOAT, x + y + y / FLOAT
        if self.kind == "loss":
            labels = x / self.x[2]
            return x + labels, 2 * x + labels
        dx = 0 if self.first else y + w + x + (2 * y if self.relu else 0)
        return x + w + y, dx + x + y + w


def network(width: float = 1.0) -> DagNN:
    """The paper's network without values; width is a factor on all its channels."""
    net = vgg16.vgg16(vgg16.CONVOLUTIONS, width)
    lesion_fcn.define(net, lesion_fcn.Recipe(fc_width=max(1, round(lesion_fcn.Recipe.fc_width * width))))
    return net


def units(net: DagNN, side: int, images: int) -> list[Unit]:
    """The units of the paper's network on so many images of side x side."""
    sizes = net.get_var_sizes({"input": (side, side, 3, images), "label": (side, side, 1, images)})
    rectified = {record.inputs[0] for record in net.layers.values() if isinstance(record.block, relu.ReLU)}
    found = []
    for record in net.layers.values():
        x, y = (_whole(sizes[name]) for name in (record.inputs[0], record.outputs[0]))
        block = record.block
        if isinstance(block, conv.Conv):
            shape, first = tuple(block.size), record.inputs == ["input"]
            found.append(Unit(record.name, "conv", x, y, shape, block.pad[0], record.outputs[0] in rectified, first))
        elif isinstance(block, convt.ConvTranspose):
            found.append(Unit(record.name, "convt", x, y, tuple(block.size), block.crop[0]))
        elif isinstance(block, pool.Pooling):
            found.append(Unit(record.name, "pool", x, y))
        elif record.name == "objective":
            found.append(Unit(record.name, "loss", x, (1, 1, 1, 1)))
    return found


def _whole(size: tuple[float, float, float, float]) -> Size:
    h, w, c, n = map(int, size)
    return h, w, c, n


def weights(net: DagNN) -> int:
    """How many numbers the network learns."""
    learned = (record.block for record in net.layers.values() if record.params)
    return sum(
        prod(block.size) + (block.size[2] if isinstance(block, convt.ConvTranspose) else block.size[3])
        for block in learned
    )


def totals(found: list[Unit], learned: int) -> tuple[float, float]:
    """Operations and bytes of a training step: of all units, and of the update of so many weights."""
    return sum(sum(u.flops) for u in found), sum(sum(u.bytes) for u in found) + 5.0 * FLOAT * learned
