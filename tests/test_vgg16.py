import numpy as np
import pytest
import scipy.io

from dagnet.files import netfile
from dagnet.layers import conv, relu
from dagnet.models import vgg16


def empty_values(net):
    """Zeros as values; untouched pages of memory cost nothing."""
    for layer in net.layers.values():
        if isinstance(layer.block, conv.Conv):
            filters, bias = layer.params
            net.params[filters].value = np.zeros(layer.block.size, np.float32)
            net.params[bias].value = np.zeros((layer.block.size[3], 1), np.float32)
    return net


def test_vgg16_has_138_million_parameters_in_16_layers():
    net = empty_values(vgg16.vgg16())
    assert sum(p.value.size for p in net.params.values()) == 138_357_544
    assert len(net.params) == 2 * 16
    assert len(net.layers) == 37


def test_names_are_those_of_matconvnets_model():
    net = vgg16.vgg16()
    names = list(net.layers)
    assert names[:5] == ["conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"]
    assert [names[i - 1] for i in (5, 10, 17, 24, 31)] == ["pool1", "pool2", "pool3", "pool4", "pool5"]
    assert names[31:] == ["fc6", "relu6", "fc7", "relu7", "fc8", "prob"]
    assert net.inputs == ["input"]
    assert net.outputs == ["prob"]
    assert net.layers["fc8"].outputs == ["prediction"]
    assert net.layers["pool5"].outputs == ["x31"]
    assert net.layers["conv3_2"].params == ["conv3_2f", "conv3_2b"]


def test_an_image_of_224_pixels_becomes_1000_probabilities():
    sizes = vgg16.vgg16().get_var_sizes({"input": (224, 224, 3, 2)})
    assert sizes["x31"] == (7, 7, 512, 2)
    assert sizes["prob"] == (1, 1, 1000, 2)


def test_a_narrow_vgg16_runs_to_probabilities(rng):
    net = vgg16.vgg16(width=1 / 64)
    net.init_params(rng)
    net.eval({"input": rng.standard_normal((224, 224, 3, 1)).astype(np.float32)})
    assert net.vars["prob"].value.shape == (1, 1, 1000, 1)
    assert net.vars["prob"].value.sum() == pytest.approx(1, abs=1e-5)


def test_other_numbers_of_layers_are_refused():
    with pytest.raises(ValueError, match="vgg16: 36 layers were asked for; 37, or 31"):
        vgg16.vgg16(36)


def test_the_real_file_loads_with_its_values_and_mean_colour(data_dir):
    path = data_dir / "vgg16" / "imagenet-vgg-verydeep-16-conv.mat"
    net = vgg16.load(path)
    assert list(net.vars) == ["input", *(f"x{i}" for i in range(1, 32))]
    layers = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)["layers"]
    for layer in layers:
        if layer.type == "conv":
            np.testing.assert_array_equal(net.params[f"{layer.name}f"].value, layer.weights[0])
            np.testing.assert_array_equal(net.params[f"{layer.name}b"].value.ravel(), layer.weights[1])
    mean = net.meta["normalization"]["averageImage"]
    np.testing.assert_allclose(np.ravel(mean), vgg16.MEAN_COLOUR, atol=1e-3)
    assert net.meta["inputs"]["name"] == "input"


@pytest.mark.parametrize("layers", [31, 37])
def test_a_net_under_other_names_is_vgg16_too(layers):
    theirs = empty_values(vgg16.vgg16(layers))
    theirs.rename_var("input", "data")
    theirs.rename_var("x7", "norm")
    theirs.rename_param("conv1_2f", "conv1_2_filter")
    theirs.params["conv1_2_filter"].value[0, 0, 0, 0] = 7
    theirs.params["conv1_2b"].learning_rate = 2
    for k in range(1, 6):
        theirs.layers[f"pool{k}"].block.pad = [0, 0, 0, 0]
    net = vgg16.from_net(theirs, "net")
    assert net.layers["conv1_1"].inputs == ["input"]
    assert net.params["conv1_2f"].value[0, 0, 0, 0] == 7
    assert net.params["conv1_2b"].learning_rate == 2
    assert net.layers["pool3"].block.pad == [0, 0, 0, 0]


def test_a_net_with_another_stride_is_refused_by_the_layers_name():
    theirs = empty_values(vgg16.vgg16(31))
    theirs.layers["conv2_1"].block.stride = [2, 2]
    with pytest.raises(
        ValueError, match=r"a\.mat: layer 6, 'conv2_1', is Conv 3x3x64x128 with stride \[2, 2\].*it is.*\[1, 1\]"
    ):
        vgg16.from_net(theirs, "a.mat")


def test_a_net_with_another_kind_of_layer_is_refused_by_the_layers_name():
    theirs = empty_values(vgg16.vgg16(31))
    theirs.layers["pool4"].block = relu.ReLU()
    with pytest.raises(ValueError, match=r"a\.mat: layer 24, 'pool4', is ReLU.*Pooling 'max' \[2, 2\]"):
        vgg16.from_net(theirs, "a.mat")


def test_a_net_that_is_wired_otherwise_is_refused():
    theirs = empty_values(vgg16.vgg16(31))
    theirs.set_layer_inputs("conv5_3", "x25")
    with pytest.raises(ValueError, match=r"layer 29, 'conv5_3', .* of x25; in VGG-16 .* of x28"):
        vgg16.from_net(theirs, "a.mat")


def test_a_file_with_another_net_is_refused_with_its_path(tmp_path, rng):
    theirs = vgg16.vgg16(31, width=1 / 64)
    theirs.init_params(rng)
    path = tmp_path / "narrow.mat"
    netfile.save(theirs, path)
    assert vgg16.load(path).params["conv5_3f"].value.shape == (3, 3, 8, 8)
    theirs.layers["pool2"].block.stride = [1, 1]
    netfile.save(theirs, path)
    with pytest.raises(
        ValueError, match=r"narrow\.mat: layer 10, 'pool2', is Pooling .* stride \[1, 1\] .* it is Pooling"
    ):
        vgg16.load(path)
    theirs.remove_layer("pool5")
    netfile.save(theirs, path)
    with pytest.raises(ValueError, match=r"narrow\.mat: it has 30 layers; VGG-16's 37"):
        vgg16.load(path)
