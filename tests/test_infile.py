"""What a file said stays as long as it says what the network is; what was changed or replaced is written as today."""

from dataclasses import dataclass

import numpy as np
import pytest

from dagnet.files import infile, matvalues
from dagnet.graph import LayerRecord, Param
from dagnet.layers import bnorm, catalogue, conv, loss, pool, relu
from tests.values import cell, differences


def layer(made, **in_file) -> LayerRecord:
    return LayerRecord("l", made, ["x"], ["y"], [], in_file)


def test_a_field_is_the_files_while_it_means_the_same():
    single = np.array([[0.1]], np.float32)
    param = Param("p", learning_rate=float(np.float32(0.1)), in_file={"learningRate": single})
    assert infile.field(param, "learningRate", param.learning_rate) is single
    assert infile.field(param, "learningRate", 0.1) == 0.1
    assert infile.field(param, "weightDecay", 1.0) == 1.0  # of which the file says nothing
    record = layer(relu.ReLU(), inputs="x", outputs=cell("z"))
    assert infile.field(record, "inputs", ["x"]) == "x"
    assert differences(infile.field(record, "outputs", ["y", "z"]), cell("y", "z")) == []


def test_properties_that_the_file_lacks_stay_absent_until_they_are_set():
    read = {"type": "dagnn.ReLU", "block": {"leak": np.array([[0.5]], np.float32)}}
    block = relu.ReLU(leak=0.5)
    assert differences(infile.properties(layer(block, **read), None), read["block"]) == []
    block.leak = 0.25
    assert differences(infile.properties(layer(block, **read), None), {"leak": 0.25}) == []


def test_a_property_that_is_left_out_at_its_default_goes_when_it_is_set_back():
    read = {"type": "dagnn.Loss", "block": {"loss": "softmaxlog", "normalise": np.array([[True]])}}
    block = infile.read_block("dagnn.Loss", read["block"], "here")
    assert isinstance(block, loss.Loss) and block.normalise is True
    assert list(infile.properties(layer(block, **read), None)) == ["loss", "normalise"]
    block.normalise = False
    assert list(infile.properties(layer(block, **read), None)) == ["loss"]


def test_a_block_of_another_class_is_written_as_a_new_one():
    read = {"type": "dagnn.ReLU", "block": {"leak": np.array([[0.5]], np.float32)}}
    assert list(infile.properties(layer(bnorm.BatchNorm(4), **read), None)) == ["numChannels", "epsilon", "opts"]


def test_a_kept_unknown_block_is_written_with_what_it_holds_now():
    block = catalogue.Unknown("Mine", {"a": 1.0})
    assert infile.properties(layer(block, type="Mine", block={"a": 2.0}), None) == {"a": 1.0}
    block = catalogue.Unknown("Mine", {"pad": 1.0, "a": 2.0, "stride": 3.0, "b": 4.0})
    assert list(infile.properties(layer(block, type="Mine", block={}), None)) == ["pad", "a", "stride", "b"]


def test_a_release_adds_what_the_file_lacks_and_takes_what_it_does_not_know():
    record = layer(conv.Conv([1, 1, 1, 1]), type="dagnn.Conv", block={"size": np.array([[1, 1, 1, 1]], np.int32)})
    record.block = infile.read_block("dagnn.Conv", record.in_file["block"], "here")
    assert list(infile.properties(record, None)) == ["size"]
    assert list(infile.properties(record, "beta25")) == ["size", "hasBias", "opts", "pad", "stride", "dilate"]
    assert list(infile.properties(record, "beta18")) == ["size", "hasBias", "opts", "pad", "stride"]
    assert infile.properties(record, "beta18")["size"].dtype == np.int32


def test_old_and_useless_properties_are_understood():
    assert infile.read_block("dagnn.BatchNorm", {}, "here").epsilon == 1e-3  # beta18
    assert infile.read_block("dagnn.Pooling", {"dilate": np.ones((1, 2))}, "here") == pool.Pooling()
    with pytest.raises(ValueError, match=r"here\.dilate is not 1; pooling knows no dilation"):
        infile.read_block("dagnn.Pooling", {"dilate": np.full((1, 2), 2.0)}, "here")


def test_a_value_that_matlab_cannot_hold_counts_as_changed(monkeypatch):
    @dataclass
    class Mine(relu.ReLU):
        extra: object = None

    monkeypatch.setattr(catalogue, "_CLASSES", dict(catalogue._CLASSES))
    catalogue.register("Mine", Mine)
    record = layer(Mine(extra={1, 2}), type="Mine", block={"leak": 0.0, "extra": matvalues.row([])})
    assert infile.properties(record, None)["extra"] == {1, 2}  # which the writer refuses with its place
