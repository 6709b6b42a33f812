"""dagnet.mscript.handle: objects in scripts are held by reference, and asked by the protocol alone."""

import pytest

pytest.importorskip("tree_sitter_matlab")

from dagnet.files.matvalues import StructArray
from dagnet.mscript.handle import Handle
from tests.snippets import FAILED, double, run


class Block(Handle):
    class_name = "lab.Block"

    def __init__(self):
        self.values = {"pad": double(0), "size": double([1, 1])}

    def properties(self):
        return tuple(self.values)

    def get(self, name):
        return self.values[name] if name in self.values else super().get(name)

    def set(self, name, value):
        if name not in self.values:
            super().set(name, value)
        self.values[name] = value


class Net(Handle):
    class_name = "lab.Net"

    def __init__(self):
        self.blocks = [Block(), Block()]
        self.names = ["a", "b"]

    def methods(self):
        return ("add", "count", "print")

    def get(self, name):
        if name != "layers":
            return super().get(name)
        records = [{"name": n, "block": b} for n, b in zip(self.names, self.blocks, strict=True)]
        return StructArray(("name", "block"), (1, len(records)), records)

    def set(self, name, value):
        if name != "layers":
            super().set(name, value)
        records = [value] if isinstance(value, dict) else value.records
        self.names = [r["name"] for r in records]
        self.blocks = [r["block"] for r in records]

    def call(self, name, args, nargout):
        if name == "print":
            return ["printed"]
        if name == "add":
            self.names.append(args[0])
            self.blocks.append(Block())
            return []
        return [double(len(self.names)), "second"]


@pytest.fixture
def define():
    return {"lab.Net": Net, "lab.Block": Block}


def test_a_property_of_an_object_within_a_struct_array_is_set_in_place(define):
    code = "net = lab.Net(); b = net.layers(2).block; net.layers(2).block.pad = 3; r = b.pad;"
    assert same_with(code, 3, define)


def test_a_part_of_a_property_is_set(define):
    assert same_with("b = lab.Block(); b.size(2) = 7; r = b.size;", [1, 7], define)
    assert same_with(
        "net = lab.Net(); net.layers(1).name = 'z'; r = [net.layers(1).name net.layers(2).name];", "zb", define
    )
    assert same_with("net = lab.Net(); net.layers(1) = []; r = net.count();", 1, define)
    assert same_with(
        "net = lab.Net(); net.layers(end).block.size(end) = 4; r = net.layers(2).block.size;", [1, 4], define
    )


def test_two_variables_hold_one_object(define):
    assert same_with("a = lab.Net(); b = a; b.add('c'); r = a.count();", 3, define)
    assert same_with("a = lab.Net(); s.net = a; s.net.add('c'); r = a.count();", 3, define)


def test_a_method_is_called_in_each_of_matlabs_forms(define):
    assert same_with("net = lab.Net(); net.add('c'); r = net.count;", 3, define)
    assert same_with("net = lab.Net(); add(net, 'c'); r = count(net);", 3, define)
    assert same_with("net = lab.Net(); [n, t] = net.count(); r = [num2str(n) t];", "2second", define)
    assert same_with("net = lab.Net(); r = {net.count()}; r = numel(r);", 1, define)
    assert same_with("net = lab.Net(); r = net.count() + 1;", 3, define)
    assert same_with("net = lab.Net(); r = print(net);", "printed", define)  # MATLAB's own print is refused


def test_values_of_all_elements_come_as_a_list(define):
    assert same_with("net = lab.Net(); r = [net.layers.name];", "ab", define)
    assert same_with("net = lab.Net(); r = numel({net.layers.block});", 2, define)
    assert same_with("net = lab.Net(); r = cellfun(@(b) b.pad, {net.layers.block});", [0, 0], define)


def test_objects_are_told_apart_and_named(define):
    assert same_with("a = lab.Net(); r = double(a == a);", 1, define)
    assert same_with("a = lab.Net(); b = lab.Net(); r = double(a == b);", 0, define)
    assert same_with("r = class(lab.Block());", "lab.Block", define)
    assert same_with("r = double(isa(lab.Block(), 'lab.Block') && isa(lab.Block(), 'handle'));", 1, define)
    assert same_with(
        "r = double([isobject(lab.Net()) isempty(lab.Net()) isprop(lab.Block(), 'pad')]);", [1, 0, 1], define
    )


@pytest.mark.parametrize(
    "code", ["b.none = 1;", "r = b.none;", "b{1} = 2;", "r = b{1};", "b(2) = 3;", "r = b(1);", "b.pad.x = 1;"]
)
def test_what_an_object_does_not_have_is_an_error(define, code):
    assert run(f"b = lab.Block(); {code}", define=define) is FAILED


def same_with(code, value, define):
    found = run(code, define=define)
    return found == value if isinstance(value, str) else same_value(found, value)


def same_value(found, value):
    return found.tolist() == double(value).tolist()
