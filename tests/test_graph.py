"""The graph: names, order, counts, edits."""

import itertools

import pytest

from dagnet.graph import Graph, LayerRecord, Param, Var
from dagnet.layers import block


def layer(name, inputs, outputs, params=()):
    return LayerRecord(name, block.Layer(), inputs.split(), outputs.split(), list(params))


def graph(*records):
    g = Graph()
    for record in records:
        g.add(record)
    return g


def test_layers_run_by_the_longest_path_to_a_sink_and_else_as_defined():
    g = graph(
        layer("short", "x", "s"),
        layer("a", "x", "a"),
        layer("b", "a", "b"),
        layer("join", "s b", "y"),
        layer("lone", "x", "z"),
    )
    # paths: a 2, b 1, short 1, join 0, lone 0; ties keep the order of definition
    assert g.order == ["a", "short", "b", "join", "lone"]


def test_a_long_chain_needs_no_deep_recursion():
    g = Graph()
    for i in range(3000):
        g.layers[f"l{i}"] = layer(f"l{i}", f"x{i}", f"x{i + 1}")
    g.rebuild()
    assert g.order == [f"l{i}" for i in range(3000)]


def test_the_order_is_a_topological_one_however_layers_are_defined():
    records = [layer("a", "x", "p"), layer("b", "p", "q"), layer("c", "p q", "r"), layer("d", "x r", "y")]
    for some in itertools.permutations(records):
        g = graph(*(LayerRecord(r.name, r.block, r.inputs, r.outputs, r.params) for r in some))
        assert g.order == ["a", "b", "c", "d"]


def test_a_cycle_is_refused_and_leaves_the_graph_as_it_was():
    g = graph(layer("a", "x", "y"), layer("b", "y", "z"))
    with pytest.raises(ValueError, match=r"layers a, b, back: they form a cycle"):
        g.add(layer("back", "z", "x"))
    assert list(g.layers) == ["a", "b"] and g.vars["x"].fanin == 0
    with pytest.raises(ValueError, match="cycle"):
        g.connect("a", "inputs", ["z"])
    assert g.layers["a"].inputs == ["x"]


def test_counts_follow_the_layers():
    g = graph(layer("a", "x", "y", ["w"]), layer("b", "x y", "z", ["w"]))
    assert (g.vars["x"].fanin, g.vars["x"].fanout) == (0, 2)
    assert (g.vars["y"].fanin, g.vars["y"].fanout) == (1, 1)
    assert g.params["w"].fanout == 2


def test_removing_a_layer_takes_along_what_only_it_used():
    g = graph(layer("a", "x", "y", ["w"]), layer("b", "y", "z", ["w", "v"]))
    g.remove(["b"])
    assert list(g.layers) == ["a"] and list(g.vars) == ["x", "y"] and list(g.params) == ["w"]


def test_one_unknown_name_among_those_to_remove_leaves_every_layer_in_place():
    g = graph(layer("a", "x", "y", ["w"]), layer("b", "y", "z"))
    with pytest.raises(KeyError, match="no layer 'c'"):
        g.remove(iter(["b", "c"]))
    assert g.order == list(g.layers) == ["a", "b"] and list(g.vars) == ["x", "y", "z"]
    g.remove(["b", "b"])
    assert g.order == ["a"]


@pytest.mark.parametrize(("name", "what", "names"), [("b", "outputs", ["x"]), ("a", "inputs", ["z", "x"])])
def test_a_connection_that_closes_a_cycle_is_taken_back_with_all_counts(name, what, names):
    g = graph(layer("a", "x", "y", ["w"]), layer("b", "y", "z"))
    before = {v.name: (v.fanin, v.fanout) for v in g.vars.values()}
    with pytest.raises(ValueError, match="layers a, b: they form a cycle"):
        g.connect(name, what, names)
    assert (g.layers["a"].inputs, g.layers["b"].outputs) == (["x"], ["z"])
    assert g.order == ["a", "b"] and {v.name: (v.fanin, v.fanout) for v in g.vars.values()} == before


def test_a_merger_of_variables_that_closes_a_cycle_changes_nothing():
    g = graph(layer("a", "x", "y"), layer("b", "y", "z"))
    with pytest.raises(ValueError, match="layers a, b: they form a cycle"):
        g.rename(g.vars, "z", "x")
    assert list(g.vars) == ["x", "y", "z"] and g.layers["b"].outputs == ["z"] and g.vars["x"].fanin == 0


def test_a_duplicate_layer_name_is_refused():
    g = graph(layer("a", "x", "y"))
    with pytest.raises(ValueError, match="layer 'a': the net has a layer of that name"):
        g.add(layer("a", "y", "z"))


def test_renaming_a_variable_onto_another_splices_a_layer_out():
    g = graph(layer("a", "x", "y"), layer("drop", "y", "y2"), layer("b", "y2", "z"))
    g.remove(["drop"])
    g.rename(g.vars, "y2", "y")
    assert g.layers["b"].inputs == ["y"] and list(g.vars) == ["x", "y", "z"] and g.vars["y"].fanout == 1


def test_renaming_keeps_the_place_and_refuses_taken_names():
    g = graph(layer("a", "x", "y", ["w"]), layer("b", "y", "z", ["v"]))
    g.rename(g.layers, "a", "first")
    g.rename(g.params, "w", "filters")
    g.rename(g.vars, "x", "input")
    assert (
        list(g.layers) == ["first", "b"] and list(g.params) == ["filters", "v"] and list(g.vars) == ["input", "y", "z"]
    )
    assert g.layers["first"].params == ["filters"] and g.layers["first"].inputs == ["input"]
    for table, old, new in ((g.layers, "b", "first"), (g.params, "v", "filters")):
        with pytest.raises(ValueError, match=f"'{new}' already"):
            g.rename(table, old, new)


def test_an_unknown_name_says_what_was_near():
    g = graph(layer("conv1_1", "x", "y"))
    with pytest.raises(KeyError, match=r"no layer 'conv1-1'; near are conv1_1"):
        g.layers["conv1-1"]
    with pytest.raises(KeyError, match="no layer 'zzz'"):
        g.remove(["zzz"])


def test_a_new_layers_block_meets_its_params():
    class Averaging(block.Layer):
        def attach(self, params):
            params[0].train_method = "average"

    g = graph(LayerRecord("a", Averaging(), ["x"], ["y"], ["m"]))
    assert g.params["m"].train_method == "average"


@pytest.mark.parametrize("entry", [Param("f"), Var("x"), layer("a", "x", "y")])
def test_a_misspelt_field_is_an_error(entry):
    with pytest.raises(AttributeError, match="learningRate"):
        entry.learningRate = 0
