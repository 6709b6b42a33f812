"""MatConvNet's objects and functions in scripts: DagNN, blocks, vl_argparse, vl_simplenn_*; custom blocks kept by name."""

from dataclasses import dataclass

import numpy as np
import pytest

from dagnet import DagNN, mscript
from dagnet.files import matvalues, netfile
from dagnet.layers import block, catalogue
from dagnet.models import vgg16
from dagnet.simplenn import SimpleNN

START = "net = dagnn.DagNN() ; net.addLayer('c', dagnn.Conv('size', [3 3 2 4]), 'input', 'x', {'cf', 'cb'}) ;\n"


@pytest.fixture
def run(tmp_path):
    """Runs lines of MATLAB; the variable that is asked for, or net."""

    def run(text, wanted=None, **options):
        path = tmp_path / "lines.m"
        path.write_text(f"function {wanted or 'net'} = lines()\n{text}\n")
        return mscript.run(path, **options)

    return run


def refused(run, text, *says):
    with pytest.raises(mscript.ScriptError) as caught:
        run(text)
    for word in ("lines.m, line", *says):
        assert word in str(caught.value), caught.value


# -- a DagNN


@pytest.mark.parametrize(
    "text",
    [
        "net.addLayer('a', dagnn.Conv('size', [1e4 1e3 1e2 1e2]), 'x', 'y', {'f', 'b'}) ; net.initParams() ;",
        "b = dagnn.Conv('size', [1e4 1e3 1e2 1e2]) ; b.initParams() ;",
        "b = dagnn.BatchNorm('numChannels', 1e10) ; b.initParams() ;",
    ],
)
def test_parameters_that_have_no_room_are_not_drawn(run, text):
    with pytest.raises(mscript.LimitReached, match="array has no room"):
        run("net = dagnn.DagNN() ; " + text)


def test_variables_take_values_and_lose_them(run):
    net = run(START + "net.vars(1).value = ones(2, 2, 2, 'single') ; net.vars(2).value = single(5) ;")
    assert net.vars["input"].value.shape == (2, 2, 2)
    text = START + "net.vars(1).value = single(5) ; net.vars(1).value = [] ; x = isempty(net.vars(1).value) ;"
    assert run(text, "x").item()


def test_a_net_prints_with_sizes_and_without(run, capsys):
    run(START + "net.print() ;")
    without = capsys.readouterr().out
    run(START + "net.print({'input', [8 9 2 1]}) ;")
    assert "6x7x4x1" in capsys.readouterr().out and "6x7x4x1" not in without and "Conv" in without


def test_a_block_says_how_large_its_outputs_are(run):
    text = "b = dagnn.Conv('size', [3 3 2 4], 'pad', 1) ; s = b.getOutputSizes({[8 9 2]}) ; x = s{1} ;"
    np.testing.assert_array_equal(run(text, "x"), [[8, 9, 4, 1]])
    np.testing.assert_array_equal(run(text.replace("9 2", "9 2 5"), "x"), [[8, 9, 4, 5]])


def test_a_script_does_not_evaluate_its_network(run):
    with pytest.raises(mscript.NotSupported, match=r"net\.eval is not known here"):
        run(START + "net.eval({'input', ones(8, 8, 2, 'single')}) ;")


def test_transient_properties_are_taken_and_dropped_as_in_matlab(run):
    net = run("net = dagnn.DagNN() ; net.addLayer('s', dagnn.Sum('numInputs', 2), {'a', 'b'}, 'c') ;")
    assert type(net.layers["s"].block).__name__ == "Sum"
    with pytest.raises(mscript.ScriptError, match="it has no option 'inputs'"):
        run("net = dagnn.DagNN() ; net.addLayer('s', dagnn.Sum('inputs', 2), {'a', 'b'}, 'c') ;")


def test_a_script_gives_dagnets_own_dagnn(run):
    net = run(START)
    assert type(net) is DagNN
    assert net.layers["c"].block.size == [3, 3, 2, 4] and list(net.params) == ["cf", "cb"]


def test_layers_are_read_as_a_struct_array(run):
    assert run(START + "x = net.layers(end).params{2} ;", "x") == "cb"
    assert run(START + "x = {net.layers.name} ;", "x")[0, 0] == "c"
    assert run(START + "x = arrayfun(@(l) numel(l.inputs), net.layers) ;", "x") == 1
    np.testing.assert_array_equal(run(START + "x = net.layers(1).paramIndexes ;", "x"), [[1, 2]])
    names = "name inputs outputs params inputIndexes outputIndexes paramIndexes forwardTime backwardTime block"
    found = run(START + "x = fieldnames(net.layers) ;", "x")
    assert list(found.ravel()) == names.split()


def test_params_are_written_through_their_struct_array(run):
    net = run(
        START
        + "f = net.getParamIndex('cf') ; net.params(f).value = ones(3,3,2,4,'single') ;\n"
        + "net.params(f).value(2,:,1,4) = 7 ; net.params(f).learningRate = 0.1 * 3 ;\n"
        + "[net.params.weightDecay] = deal(0) ; net.params(2).trainMethod = 'average' ;"
    )
    f, b = net.params.values()
    assert f.value.dtype == np.float32 and (f.value[1, :, 0, 3] == 7).all() and f.value.sum() == 72 + 3 * 6
    assert (f.learning_rate, f.weight_decay, b.weight_decay) == (pytest.approx(0.3), 0, 0)
    assert (b.learning_rate, b.train_method) == (1, "average")


def test_a_filter_bank_of_one_filter_gets_its_fourth_dimension_back(run):
    net = run(
        "net = dagnn.DagNN() ; net.addLayer('c', dagnn.Conv('size', [3 3 2]), 'a', 'b', {'f', 'g'}) ; net.initParams() ;"
    )
    assert net.params["f"].value.shape == (3, 3, 2, 1) and net.layers["c"].block.size == [3, 3, 2, 1]
    again = run("net = dagnn.DagNN() ; net.addLayer('c', dagnn.Conv('size', [3 3 2]), 'a', 'b', {'f', 'g'}) ;"
                "net.params(1).value = zeros(3, 3, 2, 'single') ;")  # fmt: skip
    assert again.params["f"].value.shape == (3, 3, 2, 1)


def test_variables_are_precious_where_a_script_says_so(run):
    net = run(START + "net.vars(net.getVarIndex('x')).precious = 1 ;")
    assert net.vars["x"].precious is True and net.vars["input"].precious is False


def test_blocks_are_changed_in_place_by_their_own_rules(run):
    net = run(
        START + "b = net.layers(1).block ; b.pad = [1 2] ; net.layers(1).block.stride = 2 ; b.opts{end+1} = 'NoCuDNN' ;"
    )
    its = net.layers["c"].block
    assert (its.pad, its.stride, its.opts) == ([1, 1, 2, 2], [2, 2], ["cuDNN", "NoCuDNN"])


def test_a_layers_block_can_be_replaced(run):
    net = run(START + "net.layers(1).block = dagnn.Conv('size', [1 1 2 4], 'hasBias', false) ;")
    assert net.layers["c"].block.size == [1, 1, 2, 4] and not net.layers["c"].block.has_bias


def test_layers_of_the_struct_array_can_be_reordered_renamed_and_share_a_block(run):
    text = START + "net.addLayer('r', dagnn.ReLU(), 'x', 'y') ;\n"
    net = run(text + "net.layers = net.layers([2 1]) ; net.layers(1).name = 'relu' ;")
    assert list(net.layers) == ["relu", "c"] and net.execution_order == ["c", "relu"]
    net = run(text + "net.addLayer('s', dagnn.Sigmoid(), 'y', 'z') ; net.layers(3).block = net.layers(2).block ;")
    assert [catalogue.name_of(r.block) for r in net.layers.values()] == ["dagnn.Conv", "dagnn.ReLU", "dagnn.ReLU"]
    assert net.layers["s"].inputs == ["y"]


def test_inputs_edited_by_hand_reorder_the_net(run):
    lines = "net.addLayer('r', dagnn.ReLU(), 'input', 'y') ; net.layers(1).inputs{1} = 'y' ;"
    for last in ("", " net.rebuild() ;"):
        net = run(START + lines + last)
        assert net.layers["c"].inputs == ["y"] and net.execution_order == ["r", "c"] and net.inputs == ["input"]


def test_a_layer_removed_from_the_struct_array_is_gone(run):
    net = run(START + "net.addLayer('r', dagnn.ReLU(), 'x', 'y', {}) ; net.layers(1) = [] ;")
    assert list(net.layers) == ["r"] and not net.params and list(net.vars) == ["x", "y"]


def test_layers_are_renamed_spliced_and_set(run):
    net = run(
        START
        + "net.addLayer('r', dagnn.ReLU(), {'x'}, {'y'}, {}) ; net.addLayer('s', dagnn.Sum(), {'x','y'}, 'z') ;\n"
        + "net.renameVar('z', 'sum') ; net.renameLayer('r', 'relu') ; net.renameParam('cb', 'bias') ;\n"
        + "net.setLayerInputs('s', {'y', 'x'}) ; net.removeLayer('relu') ; net.renameVar('y', 'x') ;"
    )
    assert list(net.layers) == ["c", "s"] and net.layers["s"].inputs == ["x", "x"]
    assert net.outputs == ["sum"] and list(net.params) == ["cf", "bias"]


def test_indices_of_names_count_from_1_and_are_nan_where_there_is_none(run):
    found = run(
        START + "x = [net.getParamIndex({'cb', 'cf', 'no'}) net.getVarIndex('x') net.getLayerIndex('c')] ;", "x"
    )
    np.testing.assert_array_equal(found, [[2, 1, np.nan, 2, 1]])
    assert run(START + "x = numel(net.getParamIndex({})) ;", "x") == 0


def test_sizes_and_receptive_fields_come_in_matlabs_forms(run):
    sizes = run(START + "s = net.getVarSizes({'input', [9 8 2 5]}) ; x = s{net.getVarIndex('x')} ;", "x")
    np.testing.assert_array_equal(sizes, [[7, 6, 4, 5]])
    field = run(START + "f = net.getVarReceptiveFields('input') ; x = [f(2).size f(2).offset f(2).stride] ;", "x")
    np.testing.assert_array_equal(field, [[3, 3, 2, 2, 1, 1]])


def test_getters_give_copies_and_functions_take_the_net_first(run):
    assert run(START + "p = net.getParam('cb') ; p.learningRate = 9 ; x = net.params(2).learningRate ;", "x") == 1
    assert run(START + "l = net.getLayer(1) ; x = l.block.hasBias ;", "x").item() is True
    net = run(START + "addLayer(net, 'r', dagnn.ReLU('leak', 0.1), 'x', 'y') ;")
    assert net.layers["r"].block.leak == 0.1


def test_a_net_is_a_handle_unless_it_is_copied(run):
    shared = run(START + "other = net ; other.removeLayer('c') ;")
    assert not shared.layers
    assert list(run(START + "other = net.copy() ; other.removeLayer('c') ;").layers) == ["c"]


def test_a_net_goes_through_saveobj_and_files(run, tmp_path):
    net = run(START + "net.initParams() ; net.meta.a.b = {1, 'x'} ; net = dagnn.DagNN.loadobj(net.saveobj()) ;")
    assert list(net.layers) == ["c"] and net.meta["a"]["b"][0, 1] == "x"
    netfile.save(net, tmp_path / "net.mat")
    text = f"net = dagnn.DagNN.loadobj(load('{tmp_path / 'net.mat'}')) ; net.layers(1).block.pad = 1 ;"
    assert run(text).layers["c"].block.pad == [1, 1, 1, 1]


def test_a_network_of_dagnets_is_an_argument_and_stays_as_it_is(tmp_path):
    (tmp_path / "f.m").write_text("function net = f(net, name)\nnet.removeLayer(name) ;")
    given = vgg16.vgg16(width=1 / 64)
    net = mscript.run(tmp_path / "f.m", None, given, "prob")
    assert len(net.layers) == 36 and len(given.layers) == 37
    (tmp_path / "g.m").write_text("function net = g(net)\nnet.layers{end+1} = struct('type', 'softmax') ;")
    assert len(mscript.run(tmp_path / "g.m", None, SimpleNN([{"type": "relu"}])).layers) == 2


def test_isa_knows_blocks_and_what_they_derive_from(run):
    text = "c = dagnn.Conv() ; l = SegmentationLoss() ; x = [isa(c, 'dagnn.Conv') isa(c, 'dagnn.Filter') isa(c, 'dagnn.Loss') "
    text += "isa(l, 'dagnn.Loss') isa(l, 'dagnn.Layer') isa(l, 'dagnn.ElementWise') isa(l, 'nothing')] ;"
    np.testing.assert_array_equal(run(text, "x"), [[True, True, False, True, True, True, False]])
    assert run("x = class(dagnn.BatchNorm()) ;", "x") == "dagnn.BatchNorm"


def test_batch_normalisation_has_the_last_releases_defaults(run):
    net = run("net = dagnn.DagNN() ; net.addLayer('b', dagnn.BatchNorm('numChannels', 3), 'x', 'y', {'m','b','s'}) ;")
    assert net.layers["b"].block.epsilon == 1e-5
    assert (net.params["s"].train_method, net.params["s"].learning_rate) == ("average", 0.1)


def test_every_block_of_the_catalogue_has_its_constructor(run):
    for name in (known for known in catalogue.known() if known.startswith(("dagnn.", "Segmentation"))):
        assert run(f"x = class({name}()) ;", "x") == name


# -- what is not right


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dagnn.Conv('sise', [3 3 2 4]) ;", "it has no option 'sise'; one of size"),
        ("net.layers(1).block.sise = 3 ;", "dagnn.Conv: it has no property 'sise'; size"),
        ("net.layers(1).block.pad = [1 2 3] ;", "pad"),
        ("net.layers(1).blok = dagnn.ReLU() ;", "net.layers(1) has no field 'blok'"),
        ("net.layers(1).paramIndexes = [2 1] ;", "cannot be set; it follows from the layers"),
        ("net.layers(1).block = 3 ;", "block is a 1x1 double; a block such as dagnn.ReLU() is right"),
        ("net.params(1).learningrate = 3 ;", "net.params(1) has no field 'learningrate'"),
        ("net.params(1).value = {1} ;", "a numeric array is right"),
        ("net.params(1).name = 'f' ;", "renamed by net.renameParam"),
        ("net.params(2) = [] ;", "come and go with their layers"),
        ("net.vars(1).name = 'f' ;", "renamed by net.renameVar"),
        ("net.colour = 1 ;", "a DagNN has no property 'colour'"),
        ("net.addLayers('r') ;", "a DagNN has no property 'addLayers'"),
        ("net.addLayer('r', dagnn.ReLU()) ;", "(name, block, inputs, outputs, params) is right"),
        ("net.addLayer('r', 'dagnn.ReLU', 'x', 'y') ;", "a block such as dagnn.ReLU() is right"),
        ("net.addLayer('c', dagnn.ReLU(), 'x', 'y') ;", "has a layer of that name"),
        ("net.addLayer('r', dagnn.ReLU(), 'x', 'input') ;", "they form a cycle"),
        ("net.removeLayer('r') ;", "the net has no layer 'r'"),
        ("net.setLayerInputs('c', 'x') ;", "they form a cycle"),
        ("net.getVarSizes({'input', [2 2 2 1]}) ;", "in layer 'c' (Conv)"),
    ],
)
def test_what_matconvnet_does_not_have_is_named_with_its_line(run, line, says):
    refused(run, START + line, "line 3", says)


def test_an_error_of_the_nets_can_be_caught(run):
    assert (
        run(START + "try, net.removeLayer('r') ; catch e, x = e.message ; end", "x")
        == "removeLayer: the net has no layer 'r'"
    )


# -- custom blocks


@dataclass
class Brighten(block.Layer):
    by_factor: float = 1.0

    def forward(self, inputs, params):
        return [inputs[0] * self.by_factor]


@pytest.mark.parametrize("name", ["dagnn.Theirs", "Theirs"])
def test_a_block_that_nobody_knows_is_kept_by_name_with_a_note(run, name):
    with pytest.warns(UserWarning, match=rf"kept but not runnable.*{name} \(layer t\)"):
        net = run(START + f"net.addLayer('t', {name}('alpha', 3, 'words', {{'a', 'b'}}), 'x', 'y') ;")
    its = net.layers["t"].block
    assert isinstance(its, catalogue.Unknown) and its.matlab_type == name
    assert its.fields["alpha"] == 3 and its.fields["words"][0, 1] == "b"


def test_the_parameters_of_a_block_that_nobody_knows_cannot_begin(run):
    with pytest.warns(UserWarning, match="Theirs"):
        net = run(START + "net.addLayer('t', Theirs(), 'x', 'y') ; net.initParams() ;")
    assert net.params["cf"].value.shape == (3, 3, 2, 4)
    text = START + "net.addLayer('t', Theirs(), 'x', 'y', {'tf'}) ; net.initParams() ;"
    refused(run, text, "layer 't' is of the class Theirs", "--define Theirs=module:Class")


def test_elsewhere_than_in_addlayer_an_unknown_name_is_an_error(run):
    refused(
        run, START + "b = Theirs('alpha', 3) ;", "'Theirs' is neither a variable", "--define Theirs=module:function"
    )


def test_a_class_beside_the_script_is_a_custom_block(run, tmp_path):
    (tmp_path / "Theirs.m").write_text("classdef Theirs < dagnn.Layer\n  properties\n    alpha = 1\n  end\nend\n")
    with pytest.warns(UserWarning, match=r"Theirs \(layer t\)"):
        net = run(START + "b = Theirs('alpha', 3) ; b.alpha = 4 ; net.addLayer('t', b, 'x', 'y') ;")
    assert net.layers["t"].block.fields == {"alpha": 4}


def test_a_block_of_ones_own_is_defined_by_its_class(run, monkeypatch):
    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    net = run(START + "net.addLayer('t', Brighten('byFactor', 2), 'x', 'y') ;", define={"Brighten": Brighten})
    assert net.layers["t"].block == Brighten(2)


# -- SimpleNN, and MatConvNet's functions


def test_a_struct_with_layers_becomes_a_tidy_simplenn(run):
    net = run("net.layers = {struct('type', 'relu'), struct('type', 'dropout', 'rate', 0.3)} ; net.meta.x = 1 ;")
    assert isinstance(net, SimpleNN)
    assert [layer["name"] for layer in net.layers] == ["layer1", "layer2"] and net.layers[0]["leak"] == 0


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("struct('type', 'relu', 'leek', 0.1)", "layer of type relu has no option 'leek'; leak are right"),
        ("struct('type', 'pool', 'pool', 2, 'strid', 2)", "layer of type pool has no option 'strid'; method, pool"),
        ("struct('type', 'conv', 'weights', {{ones(3), []}}, 'padding', 1)", "no option 'padding'; pad, stride"),
    ],
)
def test_an_option_that_a_layer_does_not_have_is_an_error(run, layer, says):
    refused(run, f"net.layers = {{{layer}}} ;\nnet = vl_simplenn_tidy(net) ;", "line 3", says)
    with pytest.raises(mscript.MatlabError, match=says.split(";")[0]):
        run(f"net.layers = {{{layer}}} ;")


def test_tidy_gives_a_script_matlabs_defaults(run):
    text = "net.layers = {struct('type', 'conv', 'filters', ones(3,3,1,2,'single'), 'biases', [1 2])} ;"
    text += "net = vl_simplenn_tidy(net) ;"
    assert run(text + "x = [net.layers{1}.pad net.layers{1}.stride net.layers{1}.precious] ;", "x").tolist() == [
        [0, 1, 0]
    ]
    assert run(text + "x = net.layers{1}.name ;", "x") == "layer1"
    assert run(text + "x = iscell(net.layers{1}.opts) && isempty(net.layers{1}.opts) ;", "x").item() is True
    assert run(text + "x = isfield(net.layers{1}, 'filters') ;", "x").item() is False


def test_a_custom_layers_functions_are_kept_by_name(run):
    with pytest.warns(UserWarning, match="is the function @before, of which its name is kept"):
        net = run("net.layers = {struct('type', 'custom', 'forward', @before, 'backward', 'after')} ;")
    assert net.layers[0]["forward"] == "@before"


def test_layers_of_types_that_nobody_knows_are_noted(run):
    with pytest.warns(UserWarning, match=r"types are not known: covn \(layer layer2\)"):
        net = run("net.layers = {struct('type', 'relu'), struct('type', 'covn', 'alpha', 1)} ;")
    assert net.layers[1]["alpha"] == 1


def test_display_tells_a_script_the_size_of_the_data(run):
    text = "net.meta.normalization.imageSize = [12 10 3] ; net.layers = {} ;\n"
    text += "info = vl_simplenn_display(net) ; a = info.dataSize(:,end)' ;\n"
    text += "net.layers{end+1} = struct('type', 'conv', 'weights', {{zeros(3,3,3,8,'single'), []}}, 'stride', 2) ;\n"
    text += "info = vl_simplenn_display(net, 'batchSize', 4) ; x = [a info.dataSize(:,end)' info.receptiveFieldSize(:,end)'] ;"
    np.testing.assert_array_equal(run(text, "x"), [[12, 10, 3, 1, 5, 4, 8, 4, 3, 3]])


def test_display_prints_its_table_where_no_output_is_wanted(run, capsys):
    run(
        "net.layers = {struct('type', 'relu')} ; net.meta = struct() ; vl_simplenn_display(net, 'inputSize', [8 8 3]) ;"
    )
    assert "relu" in capsys.readouterr().out


def test_argparse_merges_options_as_matconvnet_does(run):
    text = "o.a = 1 ; o.train.lr = 2 ; o.train.n = 3 ; "
    found = run(text + "x = vl_argparse(o, {'A', 5, 'train', struct('lr', 7)}) ;", "x")
    assert (found["a"], found["train"]["lr"], found["train"]["n"]) == (5, 7, 3)
    left = run(text + "[o, x] = vl_argparse(o, {'b', 1, 'a', 2}) ;", "x")
    assert left[0, 0] == "b" and left.shape == (1, 2)
    assert run(text + "x = vl_argparse(o, {}) ;", "x")["a"] == 1
    refused(run, text + "o = vl_argparse(o, {'b', 1}) ;", "there is no option 'b'")
    assert run(text + "o = vl_argparse(o, {'z', {1, 'y'}}, 'merge') ; x = o.z{2} ;", "x") == "y"


def test_setting_matconvnet_up_is_done_already_and_other_scripts_are_not_run(run):
    run("run(fullfile('..', 'matlab', 'vl_setupnn.m')) ; run('x/vl_setupnn') ; vl_setupnn() ; net = 1 ;")
    refused(run, "run('other.m') ;", "run is refused")


def test_values_that_are_no_network_come_back_as_they_are(run):
    found = run("net = struct('layers', 3) ;")
    assert found["layers"] == 3
    assert matvalues.describe(run("net = {1, 2} ;")) == "a 1x2 cell"
