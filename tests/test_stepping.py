"""Steps that a CUDA graph repeats: what the host must do beside it, on what stands in for CuPy and for the graph."""

import numpy as np
import pytest

from dagnet.layers import array, block, replay, settings
from dagnet.training import stepping
from tests import little, standin


class Repeating:
    """As if a graph were recorded: of the fourth and later calls the host sees nothing but the arrays of the third."""

    refused = None

    def __init__(self, compute):
        self._compute, self._last, self._runs, self._result = compute, None, 0, None

    def __call__(self, inputs, key=None):
        if key != self._last:
            self._last, self._runs, self._result = key, 0, None
        self._runs += 1
        if self._runs <= replay.PLAIN_RUNS:
            return self._compute(inputs)
        drawn = [list(dropped.drawn) for dropped in DROPOUTS]
        made = self._compute(inputs)
        if self._result is None:
            self._result = made
            return made
        for dropped, before in zip(DROPOUTS, drawn, strict=True):
            dropped.drawn[:] = before  # its forward was not called
        net = self._compute.__self__._net
        for param in net.params.values():
            param.der = None
        net.vars["objective"].value = None
        for old, new in zip(self._result[:2], made[:2], strict=True):
            for name, values in old.items():
                values[...] = new[name]
        return self._result


DROPOUTS = []


@pytest.fixture
def nets(monkeypatch):
    """Two equal nets on the GPU: one that is stepped, one that is evaluated; and its stepper."""
    with standin.installed():
        monkeypatch.setattr(stepping.launch, "address", id)
        monkeypatch.setattr(replay, "Replay", Repeating)
        one, other = little.net(), little.net()
        for net in (one, other):
            net.move("gpu")
            net.seed(1, 2)
        DROPOUTS[:] = [one.layers["drop1"].block]
        yield one, other, stepping.Stepper(one, {"objective": 1.0})


def inputs(xp, i):
    return {name: xp.asarray(x) for name, x in little.source().get_batch([i, i + 1]).items()}


def seen(net):
    """What a training sees of a net: derivatives, the objective, what losses counted, masks drawn."""
    counted = {
        name: np.array(getattr(net.layers[name].block, what).get()).tolist()
        for name in ("objective", "error", "accuracy")
        for what in ("average", "num_averaged")
    }
    ders = {name: param.der.get().tolist() for name, param in net.params.items()}
    return ders, float(net.vars["objective"].value), counted, net.layers["drop1"].block.drawn


def test_a_training_sees_of_a_repeated_step_what_it_sees_of_an_evaluated_one(nets):
    import cupy

    one, other, stepper = nets
    for done in (6, 13):  # two passes: losses are reset between them, and lie where they lay
        for i in range(7):
            stepper.derive(inputs(cupy, i))
            other.eval(inputs(cupy, i), {"objective": 1.0})
            assert seen(one) == seen(other)
            for param in one.params.values():
                param.der = None
        assert stepper._replay._runs == done  # from the second step on, when all is made, there is one key
        for net in (one, other):
            net.reset()
    assert len(one.layers["drop1"].block.drawn) == 14


def test_after_another_seed_or_setting_steps_are_recorded_anew(nets):
    import cupy

    one, _, stepper = nets
    for i in range(5):
        stepper.derive(inputs(cupy, i))
    keys = {stepper._key()}
    with settings.using(precision="tf32"):
        keys.add(stepper._key())
    one.params["conv1f"].value = one.params["conv1f"].value.copy()
    keys.add(stepper._key())
    one.seed(3)
    keys.add(stepper._key())
    stepper.derive(inputs(cupy, 0))
    keys.add(stepper._key())
    assert len(keys) == 5


def test_where_no_graph_can_be_recorded_that_is_told_once(nets, monkeypatch):
    import cupy

    _, _, stepper = nets

    def refuse(self, inputs, key=None):
        self.refused = "piece by piece"
        return self._compute(inputs)

    monkeypatch.setattr(Repeating, "__call__", refuse)
    with pytest.warns(UserWarning, match="piece by piece") as said:
        for i in range(4):
            stepper.derive(inputs(cupy, i))
    assert len(said) == 1


class OfMyOwn(block.Layer):
    def forward(self, inputs, params):
        return inputs


def test_a_net_on_the_cpu_or_with_blocks_of_ones_own_is_refused(nets):
    with pytest.raises(ValueError, match="graph: the net is on the CPU"):
        stepping.Stepper(little.net(), {"objective": 1.0})
    one, _, _ = nets
    one.add_layer("mine", OfMyOwn(), "x5", "x6")
    with pytest.raises(
        ValueError, match=r"graph: layer 'mine' is a OfMyOwn, which is not dagnet's: .* without a graph is right"
    ):
        stepping.Stepper(one, {"objective": 1.0})


def trained(tmp_path, **options):
    """The parameters and statistics of a training on the GPU whose batches are all alike."""
    net = little.net()
    net.move("gpu")
    images = np.arange(18) % 10
    stats = little.train(net, tmp_path, train=images, num_sub_batches=1, num_epochs=2, **options)
    net.move("cpu")
    return little.values(net), [record["objective"] for record in stats["train"]]


def test_a_training_of_which_no_graph_can_be_recorded_is_the_one_without(monkeypatch, tmp_path):
    with standin.installed():
        monkeypatch.setattr(stepping.launch, "address", id)
        plain, objectives = trained(tmp_path / "plain")
        with pytest.warns(UserWarning, match="since no CUDA graph could be recorded of them"):
            other, others = trained(tmp_path / "graph", graph=True)
    assert little.same(other, plain) and others == objectives


@pytest.mark.gpu
@pytest.mark.filterwarnings("error::UserWarning")
def test_on_a_gpu_a_training_by_graphs_is_the_one_without(tmp_path):
    try:
        array.cupy_module()
    except RuntimeError as error:
        pytest.skip(str(error))
    (plain, objectives), (other, others) = (trained(tmp_path / str(graph), graph=graph) for graph in (False, True))
    assert np.allclose(others, objectives, rtol=1e-5)
    assert all(np.allclose(other[name], value, rtol=1e-4, atol=1e-6) for name, value in plain.items())
