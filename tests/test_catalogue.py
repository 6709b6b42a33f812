"""dagnet.layers.catalogue: MatConvNet's names of blocks and properties, and blocks that nobody knows."""

import inspect
from dataclasses import dataclass, field

import numpy as np
import pytest

from dagnet.layers import block, catalogue, conv, convt, loss, lrn, noffset, pool, segmentation, spnorm


@dataclass
class Brighten(block.Layer):
    by_factor: float = 1.0
    strength: float = field(default=2.0, metadata={"matlab": "lambda"})


@pytest.fixture
def brighten():
    catalogue.register("my.Brighten", Brighten)
    yield Brighten
    del catalogue._CLASSES["my.Brighten"]


def test_every_block_makes_itself_again_from_its_properties():
    for name in catalogue.known():
        made = catalogue.find(name)()
        assert catalogue.name_of(made) == name
        assert catalogue.from_matlab(name, catalogue.to_matlab(made)) == made


def test_properties_have_matlabs_names_in_their_order():
    properties = catalogue.to_matlab(convt.ConvTranspose(size=[4, 4, 1, 2], num_groups=2, has_bias=False))
    assert list(properties) == ["size", "hasBias", "upsample", "crop", "numGroups", "opts"]
    assert properties["size"] == [4, 4, 1, 2] and properties["numGroups"] == 2 and properties["hasBias"] is False


def test_values_as_matlab_holds_them_become_pythons():
    made = catalogue.from_matlab(
        "dagnn.Conv",
        {
            "size": np.array([[3.0, 3.0, 1.0, 8.0]]),
            "hasBias": np.array([[False]]),
            "pad": np.array([[1.0]]),
            "stride": np.array([[2.0, 1.0]]),
            "opts": np.array([["cuDNN", "Verbose"]], dtype=object),
        },
    )
    assert made == conv.Conv([3, 3, 1, 8], has_bias=False, pad=[1, 1, 1, 1], stride=[2, 1], opts=["cuDNN", "Verbose"])
    assert all(type(v) is int for v in made.size) and made.has_bias is False
    assert catalogue.from_matlab("dagnn.LRN", {"param": np.array([[5, 1, 2e-5, 0.75]])}) == lrn.LRN()
    weights = np.ones((2, 2))
    opts = np.empty((1, 4), object)
    opts[0] = "topK", np.array([[3.0]]), "instanceWeights", weights
    assert catalogue.from_matlab("dagnn.Loss", {"opts": opts}).opts == ["topK", 3, "instanceWeights", weights]


def test_empty_properties_keep_their_defaults_but_empty_opts_are_none():
    nothing = np.zeros((0, 0))
    assert catalogue.from_matlab("dagnn.Pooling", {"stride": nothing, "opts": nothing}) == pool.Pooling(opts=[])


def test_a_property_that_the_class_does_not_have_is_named_with_those_it_has():
    with pytest.raises(
        ValueError, match=r"dagnn\.ReLU: it has no property 'slope'; useShortCircuit, leak, opts are right"
    ):
        catalogue.from_matlab("dagnn.ReLU", {"slope": 1})


def test_num_inputs_of_old_concats_is_dropped():
    assert catalogue.from_matlab("dagnn.Concat", {"dim": np.array([[2.0]]), "numInputs": np.array([[3.0]])}).dim == 2
    assert catalogue.from_matlab("dagnn.Sum", {"numInputs": np.array([[3.0]])}) == catalogue.find("dagnn.Sum")()


def test_properties_that_not_every_matconvnet_has_are_written_only_where_set():
    assert list(catalogue.to_matlab(loss.Loss())) == ["loss", "ignoreAverage", "opts"]
    assert catalogue.to_matlab(loss.Loss(normalise=True))["normalise"] is True
    accuracy = segmentation.SegmentationAccuracy(n_classes=21)
    assert catalogue.from_matlab("SegmentationAccuracy", catalogue.to_matlab(accuracy)) == accuracy


def test_a_convolutions_algorithm_is_neither_written_nor_asked_for():
    made = conv.Conv([3, 3, 2, 4])
    properties = catalogue.to_matlab(made)
    made.algorithm = "products"
    assert catalogue.to_matlab(made) == properties and "algorithm" not in properties
    assert catalogue.from_matlab("dagnn.Conv", properties).algorithm == conv.Conv.algorithm == "auto"
    with pytest.raises(ValueError, match="it has no property 'algorithm'"):
        catalogue.from_matlab("dagnn.Conv", {"algorithm": "products"})


# As their classdefs list them: the properties' defaults, and how many inputs and parameters each takes.
CUDNN = {"opts": ["cuDNN"]}
MATCONVNETS = {
    "dagnn.AffineGridGenerator": ({"Ho": 0, "Wo": 0}, (1,), (0,)),
    "dagnn.BatchNorm": ({"numChannels": 0, "epsilon": 1e-5, "opts": ["NoCuDNN"]}, (1,), (3,)),
    "dagnn.BilinearSampler": ({}, (2,), (0,)),
    "dagnn.Concat": ({"dim": 3}, (), (0,)),
    "dagnn.Conv": (
        {"size": [0, 0, 0, 0], "hasBias": True, "pad": [0, 0, 0, 0], "stride": [1, 1], "dilate": [1, 1]} | CUDNN,
        (1,),
        (1, 2),
    ),
    "dagnn.ConvTranspose": (
        {"size": [0, 0, 0, 0], "hasBias": True, "upsample": [1, 1], "crop": [0, 0, 0, 0], "numGroups": 1} | CUDNN,
        (1,),
        (1, 2),
    ),
    "dagnn.Crop": ({"crop": [0, 0]}, (2,), (0,)),
    "dagnn.DropOut": ({"rate": 0.5, "frozen": False}, (1,), (0,)),
    "dagnn.LRN": ({"param": [5, 1, 0.0001 / 5, 0.75]}, (1,), (0,)),
    "dagnn.Loss": ({"loss": "softmaxlog", "ignoreAverage": False, "opts": []}, (2,), (0,)),
    "dagnn.LossSmoothL1": ({"loss": "softmaxlog", "ignoreAverage": False, "opts": [], "sigma": 1}, (3,), (0,)),
    "dagnn.NormOffset": ({"param": [1, 0.5]}, (1,), (0,)),
    "dagnn.PDist": (
        {"loss": "softmaxlog", "ignoreAverage": False, "opts": [], "p": 2, "aggregate": True},
        (2, 3),
        (0,),
    ),
    "dagnn.Pooling": (
        {"method": "max", "poolSize": [1, 1], "pad": [0, 0, 0, 0], "stride": [1, 1]} | CUDNN,
        (1,),
        (0,),
    ),
    "dagnn.ROIPooling": ({"method": "max", "subdivisions": [6, 6], "transform": 1, "flatten": False}, (2,), (0,)),
    "dagnn.ReLU": ({"useShortCircuit": True, "leak": 0, "opts": []}, (1,), (0,)),
    "dagnn.Scale": ({"size": [], "hasBias": True}, (1, 2, 3), (0, 1, 2)),
    "dagnn.Sigmoid": ({}, (1,), (0,)),
    "dagnn.SoftMax": ({}, (1,), (0,)),
    "dagnn.SpatialNorm": ({"param": [2, 2, 10, 2]}, (1,), (0,)),
    "dagnn.Sum": ({}, (), (0,)),
    "dagnn.UniformScalingGridGenerator": ({"Ho": 0, "Wo": 0}, (1,), (0,)),
}


@pytest.mark.parametrize("matlab_type", [name for name in catalogue.known() if name.startswith("dagnn.")])
def test_a_block_has_matconvnets_properties_and_defaults(matlab_type):
    properties, n_inputs, n_params = MATCONVNETS[matlab_type]
    made = catalogue.from_matlab(matlab_type, {})
    assert catalogue.to_matlab(made) == properties
    assert (made.n_inputs, made.n_params) == (n_inputs, n_params)


@pytest.mark.parametrize("module", [lrn, noffset, spnorm])
def test_a_normalisation_starts_from_the_same_param_with_and_without_a_block(module):
    (block,) = (c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__)
    assert list(inspect.signature(module.forward).parameters["param"].default) == block().param


def test_a_property_is_set_as_the_class_would_take_it():
    made = catalogue.from_matlab("dagnn.Conv", {"size": [3, 3, 2, 4]})
    catalogue.set_property(made, "pad", np.array([[1.0, 2.0]]))
    catalogue.set_property(made, "hasBias", 0.0)
    assert (made.size, made.pad, made.has_bias) == ([3, 3, 2, 4], [1, 1, 2, 2], False)
    with pytest.raises(ValueError, match="Conv: pad"):
        catalogue.set_property(made, "pad", -1)
    assert made.pad == [1, 1, 2, 2]


def test_a_block_of_ones_own_is_found_once_registered(brighten):
    assert catalogue.find("my.Brighten") is brighten
    made = catalogue.from_matlab("my.Brighten", {"byFactor": np.array([[1.5]]), "lambda": np.array([[3.0]])})
    assert made == Brighten(1.5, 3)
    assert catalogue.to_matlab(made) == {"byFactor": 1.5, "lambda": 3}
    assert catalogue.name_of(made) == "my.Brighten"


def test_only_dataclasses_derived_from_layer_can_be_registered():
    with pytest.raises(TypeError, match="is no class for 'my"):
        catalogue.register("my.Thing", dict)


def test_an_unknown_type_is_named_with_the_remedy():
    with pytest.raises(LookupError, match=r"'dagnn.Warp' is not known; catalogue.register\('dagnn.Warp', YourClass\)"):
        catalogue.find("dagnn.Warp")
    with pytest.raises(LookupError, match=r"Brighten is not registered; catalogue.register\('Brighten', Brighten\)"):
        catalogue.name_of(Brighten())


def test_an_unknown_block_keeps_what_it_had_and_refuses_to_run(rng):
    properties = {"strange": np.ones((2, 2)), "opts": []}
    made = catalogue.from_matlab("dagnn.Warp", properties)
    assert catalogue.name_of(made) == "dagnn.Warp" and catalogue.to_matlab(made) == properties
    assert np.isnan(made.output_sizes([(1, 1, 1, 1)])).all()
    assert all(np.isnan(f.stride).all() for f in made.receptive_fields(2))
    for call in (lambda: made.forward([], []), lambda: made.backward([], [], []), lambda: made.init_params(rng)):
        with pytest.raises(NotImplementedError, match=r"the block 'dagnn.Warp' is not known here; catalogue\.register"):
            call()
