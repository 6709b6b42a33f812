"""The predicted peaks are those of real passes, in which every array that the engine or a layer makes is counted."""

import weakref

import numpy as np
import pytest

from dagnet import dagnn, execution, summary
from dagnet.layers import catalogue, concat, conv, convt, crop, dropout, loss, pool, relu, sigmoid
from dagnet.layers import sum as sum_
from dagnet.summary import memory
from tests import test_golden

H, W, N = 12, 8, 1  # one image: MatConvNet takes a loss for one number an image, and so do the sizes
SIZES = {"input": (H, W, 3, N), "label": (H, W, 1, N)}
PLAIN = 4 * H * W * N  # bytes of a channel


class Counter:
    """Counts the bytes of arrays from when they are shown to it until they are gone."""

    def __init__(self):
        self.now = self.most = 0
        self.seen = set()

    def add(self, arrays):
        for a in arrays:
            if a is not None and id(a) not in self.seen:
                self.now += a.nbytes
                self.seen.add(id(a))
                weakref.finalize(a, self.gone, id(a), a.nbytes)
        self.most = max(self.most, self.now)

    def gone(self, key, size):
        self.now -= size
        self.seen.discard(key)


def measured(net, inputs, der_outputs):
    """The most bytes alive during eval; each block shows what it has made before the engine goes on."""
    counter = Counter()

    def show(method):
        def made(*args):
            result = method(*args)
            if isinstance(result, tuple):
                counter.add([*result[0], *result[1]])
            else:
                result = [a.copy(order="K") for a in result]  # of its own, whatever the block made it a view of
                counter.add(result)
            return result

        return made

    def put(var, what, value, put=dagnn.Var.put):
        counter.add([value])
        put(var, what, value)

    def added(*args, added=execution.added):
        result = added(*args)
        counter.add([result])
        return result

    with pytest.MonkeyPatch.context() as patch:
        for record in net.layers.values():
            patch.setattr(record.block, "forward", show(record.block.forward))
            patch.setattr(record.block, "backward", show(record.block.backward))
        patch.setattr(dagnn.Var, "put", put)
        patch.setattr(execution, "added", added)
        counter.add([p.value for p in net.params.values()])
        net.eval(inputs, der_outputs)
    return counter.most


def branched():
    """Branches of unequal length that meet, a variable read thrice, shared filters, a loss, an input that gives its size."""
    net = dagnn.DagNN()
    net.add_layer("conv1", conv.Conv([3, 3, 3, 4], pad=1), "input", "x1", ["f1", "b1"])
    net.add_layer("relu1", relu.ReLU(), "x1", "x2")
    net.add_layer("pool1", pool.Pooling(pool_size=[2, 2], stride=[2, 2]), "x2", "x3")
    net.add_layer("conv2", conv.Conv([3, 3, 4, 4], pad=1), "x3", "x4", ["f2", "b2"])
    net.add_layer("conv3", conv.Conv([3, 3, 4, 4], pad=1), "x4", "x5", ["f2", "b2"])
    net.add_layer("up", convt.ConvTranspose([4, 4, 4, 4], upsample=[2, 2]), "x5", "x6", ["f3", "b3"])
    net.add_layer("crop", crop.Crop([1, 1]), ["x6", "x2"], "x7")
    net.add_layer("both", concat.Concat(), ["x7", "x2"], "x8")
    net.add_layer("sigmoid", sigmoid.Sigmoid(), "x8", "x9")
    net.add_layer("predict", conv.Conv([1, 1, 8, 2]), "x9", "prediction", ["f4", "b4"])
    net.add_layer("objective", loss.Loss(), ["prediction", "label"], "objective")
    net.add_layer("error", loss.Loss("classerror"), ["prediction", "label"], "error")
    return net


@pytest.fixture
def net(rng):
    net = branched()
    net.init_params(rng)
    return net


@pytest.fixture
def inputs(rng):
    image, label = (rng.random(size, np.float32) for size in SIZES.values())
    return {"input": image, "label": 1 + (label > 0.5).astype(np.float32)}


@pytest.mark.parametrize("conserve", [True, False])
@pytest.mark.parametrize("input_ders", [True, False])
@pytest.mark.parametrize("precious", [[], ["x1", "prediction"]])
@pytest.mark.parametrize("training", [False, True])
def test_the_peak_is_what_a_pass_really_takes(net, inputs, conserve, input_ders, precious, training):
    for name in precious:
        net.vars[name].precious = True
    net.conserve_memory, net.input_ders = conserve, input_ders
    found = summary.peaks(net, SIZES, input_ders=input_ders)
    told = {True: (found.training, found.training_kept), False: (found.test, found.test_kept)}[training]
    assert measured(net, inputs, {"objective": 1.0} if training else None) == told[not conserve]


def test_freeing_saves_memory_and_training_takes_more(net):
    found = summary.peaks(net, SIZES)
    assert found.test < found.test_kept < found.training_kept and found.test < found.training < found.training_kept


def test_a_chains_peak_in_test_mode_is_its_parameters_its_input_and_two_neighbours(rng):
    net = dagnn.DagNN()
    for i in range(6):
        net.add_layer(f"r{i}", sigmoid.Sigmoid(), f"x{i}", f"x{i + 1}")
    size = {"x0": (H, W, 5, N)}
    assert summary.peaks(net, size).test == 3 * 5 * PLAIN
    assert summary.peaks(net, size).test_kept == 7 * 5 * PLAIN
    assert summary.peaks(net, size).training_kept == 2 * 7 * 5 * PLAIN


def test_a_chains_peak_in_training_holds_the_inputs_derivative_only_where_it_is_asked_for(rng):
    net = dagnn.DagNN()
    net.add_layer("conv", conv.Conv([1, 1, 3, 2]), "input", "x1", ["f", "b"])
    net.add_layer("end", sigmoid.Sigmoid(), "x1", "x2")
    net.init_params(rng)
    size = {"input": SIZES["input"]}
    params, kept = 2 * 4 * (6 + 2), PLAIN * (3 + 2 * (2 + 2))  # both with derivatives
    assert summary.peaks(net, size).training_kept == kept + params
    assert summary.peaks(net, size, input_ders=True).training_kept == kept + params + 3 * PLAIN


def test_no_peak_is_below_what_a_pass_takes_where_blocks_pass_arrays_on(rng, inputs):
    net = branched()
    net.remove_layer(["both", "sigmoid", "predict"])
    net.add_layer("sum", sum_.Sum(), ["x7", "x2"], "x8")
    net.add_layer("drop", dropout.DropOut(), "x8", "x9")
    net.add_layer("predict", conv.Conv([1, 1, 4, 2]), "x9", "prediction", ["f4", "b4"])
    net.init_params(rng)
    net.input_ders = False
    taken = measured(net, inputs, {"objective": 1.0})
    assert taken <= summary.peaks(net, SIZES).training < 1.5 * taken


def test_unknown_blocks_and_sizes_count_nothing_and_stop_nothing(net):
    whole = summary.peaks(net, SIZES)
    net.add_layer("mine", catalogue.Unknown("MyBlock", {}), "x9", ["m1", "m2"])
    assert summary.peaks(net, SIZES, "objective") == summary.peaks(net, SIZES, ["objective"])
    assert summary.peaks(net, SIZES, ["objective"]).test == whole.test
    params = 4 * sum(param.value.size for param in net.params.values())
    assert summary.peaks(net, {}).test >= params


def test_the_net_is_left_alone_and_a_net_without_values_counts_no_parameters(net):
    summary.peaks(net, SIZES)
    assert all(var.held == {"value": None, "der": None} for var in net.vars.values())
    for param in net.params.values():
        param.value = None
    assert summary.peaks(net, {}).training == 0


@pytest.mark.parametrize("case", test_golden.cases("master/dagblocks.mat"), ids=lambda case: case.name)
def test_it_is_known_which_inputs_of_a_block_have_a_derivative(case):
    block = catalogue.find(case.type)()
    ders = test_golden.cell(case.din)
    assert memory.derived_inputs(block, len(ders)) == [der.size > 0 for der in ders]


def test_an_output_that_the_net_has_not_is_refused(net):
    with pytest.raises(KeyError, match="no variable 'objektive'; near are objective"):
        summary.peaks(net, SIZES, ["objektive"])
