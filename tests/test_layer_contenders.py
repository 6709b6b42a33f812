"""dagnet bench's layers: what is compared computes the same."""

import numpy as np
import pytest

from dagnet.tools import layer_contenders


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("work", list(layer_contenders.SIDES))
def test_both_sides_compute_the_same(work, channels_last, monkeypatch):
    pytest.importorskip("torch")
    for name in ("BNORM", "LRN", "SAMPLER"):
        monkeypatch.setattr(layer_contenders, name, (7, 6, 8, 2))
    _, ours, theirs = layer_contenders.SIDES[work]
    for a, b in zip(ours()(), theirs(channels_last)(), strict=True):
        b = b.detach().permute(2, 3, 1, 0).numpy()
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
