"""dagnet.parity.dump: what a dump holds, and what is said of a file that is none."""

import numpy as np
import pytest

from dagnet.files import matfile, matvalues
from dagnet.parity import dump
from tests import dumps


def struct(**changes) -> dict:
    """A dump of x and its double y, with changes."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    whole = dumps.struct("test", {"x": x}, {"y": 1.0}, {"x": (x, None), "y": (2 * x, x)}, {"f": x, "g": None})
    return whole | changes


def written(folder, **variables):
    matfile.write(folder / "dump.mat", variables)
    return folder / "dump.mat"


def test_names_lead_to_arrays_of_four_dimensions(tmp_path):
    found = dump.load(written(tmp_path, dump=struct()))
    assert found.mode == "test" and set(found.values) == {"x", "y"} and set(found.ders) == {"y"}
    assert set(found.param_ders) == {"f"} and set(found.der_outputs) == {"y"}
    assert found.values["y"].shape == (2, 3, 1, 1) and found.values["y"].dtype == np.float32
    assert found.value("x") is found.values["x"] and found.value("z") is None


def test_an_input_counts_as_a_value_where_no_variable_is_kept(tmp_path):
    found = dump.load(written(tmp_path, dump=struct(vars=np.zeros((0, 0)))))
    np.testing.assert_array_equal(found.value("x"), found.inputs["x"])


def test_derivatives_left_from_an_earlier_evaluation_are_not_read(tmp_path):
    """A pass forward clears no derivatives in MatConvNet: after training, a dump of one holds the last batch's."""
    found = dump.load(written(tmp_path, dump=struct(derOutputs=np.zeros((0, 0)))))
    assert set(found.values) == {"x", "y"} and not found.ders and not found.param_ders


def test_one_variable_and_one_parameter_alone_are_read_too(tmp_path):
    one = {"name": "x", "value": np.ones((1, 1)), "der": np.zeros((0, 0))}
    found = dump.load(written(tmp_path, dump=struct(vars=one, params={"name": "f", "der": np.ones((1, 1))})))
    assert list(found.values) == ["x"] and list(found.param_ders) == ["f"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": "train"}, r"dump.mode is the text 'train'; 'normal' or 'test' is right"),
        ({"inputs": np.zeros((0, 0))}, r"dump.inputs is empty"),
        ({"inputs": matvalues.row(["x"])}, r"dump.inputs has 1 elements; pairs of a name and a value are right"),
        ({"inputs": matvalues.row([np.ones((1, 1)), "x"])}, r"dump.inputs has 2 elements; pairs"),
        ({"inputs": np.ones((2, 2))}, r"dump.inputs: it is a 2x2 double array; it must be a cell"),
        (
            {"derOutputs": matvalues.row(["y", "one"])},
            r"dump.derOutputs 'y' is the text 'one'; a numeric array is right",
        ),
        ({"vars": np.ones((1, 1))}, r"dump.vars: it is a 1x1 double array"),
        (
            {"vars": {"name": "x", "value": np.ones((1, 1))}},
            r"dump.vars\(1\) has the fields name, value; a name .* and a der",
        ),
        ({"params": {"name": "", "der": np.ones((1, 1, 1, 1, 2))}}, r"dump.params\(1\).der '': array: it has shape"),
    ],
)
def test_what_is_no_dump_is_named_with_its_place(changes, says, tmp_path):
    with pytest.raises(ValueError, match=says) as caught:
        dump.load(written(tmp_path, dump=struct(**changes)))
    assert "dump.mat: " in str(caught.value)


def test_a_file_without_a_dump_or_a_part_of_it_says_what_it_holds(tmp_path):
    with pytest.raises(ValueError, match=r"it holds no dump, only x \(double\); `dagnet parity --matlab` prints"):
        dump.load(written(tmp_path, x=np.ones((1, 1))))
    nothing = np.zeros((0, 0))
    with pytest.raises(ValueError, match=r"dump holds inputs alone; one made with net.conserveMemory = false"):
        dump.load(written(tmp_path, dump=struct(vars=nothing, params=nothing)))
    with pytest.raises(ValueError, match=r"without vars; a struct of mode, inputs, derOutputs, vars, params is right"):
        dump.load(written(tmp_path, dump={k: v for k, v in struct().items() if k != "vars"}))
