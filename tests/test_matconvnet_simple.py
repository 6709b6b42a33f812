"""vl_simplenn* called as in MATLAB run a SimpleNN."""

import numpy as np
import pytest

from dagnet import summary
from dagnet.matconvnet import (
    release,
    rng,
    vl_nnconv,
    vl_nnsoftmaxloss,
    vl_simplenn,
    vl_simplenn_display,
    vl_simplenn_move,
    vl_simplenn_tidy,
)
from tests import ported


def test_vl_simplenn_runs_forward_and_back_by_matlabs_call():
    net = vl_simplenn_tidy(ported.chain())
    x, _ = ported.batch()
    net.layers[-1]["class"] = np.ones((1, 1, 1, 3), np.float32)
    res = vl_simplenn(net, x, 1, [], "mode", "test", "conserveMemory", False)
    y = vl_nnconv(x, *net.layers[0]["weights"])
    np.testing.assert_array_equal(res[1].x, y)
    assert res[-1].x == vl_nnsoftmaxloss(y, net.layers[-1]["class"])
    np.testing.assert_array_equal(res[2].dzdx, vl_nnsoftmaxloss(y, net.layers[-1]["class"], 1))
    again = vl_simplenn(
        net, x, 1, res, "skipForward", True, "accumulate", True, "mode", "test", "backPropDepth", np.inf
    )
    np.testing.assert_allclose(again[0].dzdw[0], 2 * vl_simplenn(net, x, 1, mode="test")[0].dzdw[0], rtol=1e-6)
    with release("master"):
        assert vl_simplenn_tidy(ported.chain()).normalise
    assert vl_simplenn_move(net, "cpu") is net
    with pytest.raises(ValueError, match="it was given 'disk'; 'cpu' or 'gpu' is right"):
        vl_simplenn_move(net, "disk")


def test_vl_simplenn_display_prints_what_the_summary_says(capsys):
    vl_simplenn_display(ported.chain(), "inputSize", [5, 4, 2], "batchSize", 3)
    printed = capsys.readouterr().out
    assert printed == summary.display(vl_simplenn_tidy(ported.chain()), input_size=[5, 4, 2], batch_size=3) + "\n"


def test_a_structs_dropout_has_new_masks_in_each_call_and_the_same_ones_after_the_same_seed():
    net, (x, _) = {"layers": [{"type": "dropout"}]}, ported.batch()
    rng(4)
    first, second = vl_simplenn(net, x)[1].aux, vl_simplenn(net, x)[1].aux
    assert (first != second).any()
    rng(4)
    np.testing.assert_array_equal(vl_simplenn(net, x)[1].aux, first)


def test_the_mode_is_a_word_in_any_case():
    net, (x, _) = {"layers": [{"type": "dropout"}]}, ported.batch()
    np.testing.assert_array_equal(vl_simplenn(net, x, [], [], "Mode", "TEST")[1].x, x)
    with pytest.raises(ValueError, match="run: mode is 'tests'; 'normal' or 'test' is right"):
        vl_simplenn(net, x, [], [], "mode", "tests")
