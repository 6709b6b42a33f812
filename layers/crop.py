"""Cropping (MatConvNet vl_nncrop, dagnn.Crop).

Shapes    x, dx (H, W, C, N)    y, dy (H - top - bottom, W - left - right, C, N)
Forward   y[i,j,c,n] = x[i + top, j + left, c, n]
Backward  dx = dy with zeros around it
Block     crops its first input to the height and width of its second one: of the H1 - H2 rows too many, `crop[0]` go at the
          top (or all of them, if fewer) and the rest at the bottom; columns alike with `crop[1]`
Source    vl_nncrop.m and Crop.m of 1.0-beta25
"""

from dataclasses import dataclass, field

from . import array, block, geometry, parts
from .array import Array
from .geometry import Numbers


def forward(x: Array, crop: Numbers) -> Array:
    """y. crop is (top, bottom, left, right). Raises ValueError where nothing would be left."""
    x = array.four_d(x)
    inside = x[_inside(x.shape, crop)]
    y = array.empty(array.module_of(x), inside.shape, x.dtype)
    parts.copy(y, inside)
    return y


def backward(x: Array, crop: Numbers, dy: Array) -> Array:
    """dx; of x only the shape is used. Raises ValueError where dy has not y's shape."""
    x = array.four_d(x)
    dx = array.zeros(array.module_of(x, dy), x.shape, dy.dtype)
    inside = dx[_inside(x.shape, crop)]
    parts.copy(inside, array.derivative("crop", dy, inside.shape))
    return dx


def _inside(size: tuple[int, int, int, int], crop: Numbers) -> tuple[slice, slice]:
    """What is left of an array of that size."""
    top, bottom, left, right = geometry.four(crop, "crop: crop")
    if top + bottom >= size[0] or left + right >= size[1]:
        raise ValueError(
            f"crop: x has {size[0]} x {size[1]} pixels and the crop (top, bottom, left, right) is "
            f"{(top, bottom, left, right)}, which leaves none; a smaller crop is right"
        )
    return slice(top, size[0] - bottom), slice(left, size[1] - right)


@dataclass
class Crop(block.Layer):
    """crop: rows and columns to take away at the top and at the left."""

    crop: list[int] = field(default_factory=lambda: [0, 0])

    n_inputs, n_params = (2,), (0,)

    def __post_init__(self) -> None:
        self.crop = list(geometry.pair(self.crop, "Crop: crop"))

    def _sides(self, x: Array, reference: Array) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) for these two inputs. Raises ValueError where the first is smaller."""
        size, goal = array.four_d(x).shape, array.four_d(reference).shape
        if size[0] < goal[0] or size[1] < goal[1]:
            raise ValueError(
                f"Crop: input 1 has {size[0]} x {size[1]} pixels and input 2 {goal[0]} x {goal[1]}; "
                "input 1 must be at least as large"
            )
        rows, columns = size[0] - goal[0], size[1] - goal[1]
        bottom, right = max(0, rows - self.crop[0]), max(0, columns - self.crop[1])
        return rows - bottom, bottom, columns - right, right

    def forward(self, inputs: list[Array], params: list[Array]) -> list[Array]:
        """y, from x and an input of which only the size counts."""
        x, reference = inputs
        return [forward(x, self._sides(x, reference))]

    def backward(
        self, inputs: list[Array], params: list[Array], der_outputs: list[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """dx, and None for the second input; no parameters."""
        x, reference = inputs
        return [backward(x, self._sides(x, reference), der_outputs[0]), None], []

    def output_sizes(self, input_sizes: list[block.Size]) -> list[block.Size]:
        """[(H2, W2, C1, N1)]."""
        (_, _, c, n), (h, w, _, _) = input_sizes
        return [(h, w, c, n)]

    def receptive_fields(self, inputs: int) -> list[geometry.ReceptiveField | None]:
        """One pixel of the first input, shifted by the crop; None for the second, whose values count for nothing."""
        top, left = self.crop
        return [geometry.ReceptiveField((1, 1), (1, 1), (1 + top, 1 + left)), None]
