"""The SimpleNN of master/simplenn.mat, which MatConvNet itself ran and trained."""

from typing import Any

import pytest

from dagnet import SimpleNN
from dagnet.layers import lrn
from tests import oracles, recorded

FILE = "master/simplenn.mat"

# What the file does not say of its thirteen layers; with these its values come out, and with no others.
OPTIONS: list[dict[str, Any]] = [
    {"pad": 1},
    {"epsilon": 1e-5},
    {"leak": 0.05},
    {"method": "max", "pool": [3, 3], "stride": 2, "pad": [0, 1, 0, 1]},
    {"param": [3, 1, 0.1, 0.75]},
    {"pad": 1},
    {},
    {},
    {},
    {},
    {"upsample": 3, "crop": 2},
    {},
    {},
]


def load(dtype: str) -> dict[str, Any]:
    """The numbers in "single" or "double"."""
    return recorded.load(FILE)[dtype]


def build(run: dict[str, Any]) -> SimpleNN:
    """The net before its first step, with the labels in place, and with master's rules."""
    layers = [
        {"type": kind, "weights": [w.copy() for w in weights]} | options
        for kind, weights, options in zip(run["types"], run["weights"], OPTIONS, strict=True)
    ]
    layers[-1]["class"] = run["c"]
    net = SimpleNN(layers)
    net.normalise, net.scale_moments_by_images = True, False
    return net


def use_approximate_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets LRN take MatConvNet's power: with the exact one all that stands behind the net's LRN is off by 3e-3."""
    monkeypatch.setattr(lrn, "forward", oracles.approximate_lrn)
    monkeypatch.setattr(lrn, "backward", oracles.approximate_lrn_backward)
