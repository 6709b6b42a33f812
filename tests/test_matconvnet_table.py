"""The table MatConvNet -> dagnet in the docs is what the code says."""

import os
import subprocess
import sys

from dagnet import matconvnet
from dagnet.layers import catalogue
from dagnet.matconvnet import dagnn
from dagnet.matconvnet.table import table
from dagnet.matconvnet.training import DAG_OPTIONS, SIMPLE_OPTIONS
from tests.conftest import ROOT


def test_the_table_in_the_docs_is_what_the_code_says():
    committed = (ROOT / "docs" / "matconvnet.md").read_text(encoding="utf-8")
    assert committed == table(), "python -m dagnet.matconvnet > docs/matconvnet.md writes it anew"


def test_the_table_names_every_function_method_block_and_option():
    text = table()
    names = (
        [name for name in vars(matconvnet) if name.startswith("vl_")]
        + list(DAG_OPTIONS | SIMPLE_OPTIONS)
        + catalogue.known()
    )
    names += [name for name in vars(dagnn.DagNN) if not name.startswith("_") and name != "add_layer"]
    assert not [name for name in names if f"`{name}`" not in text and f"`{name}(" not in text]


def test_what_the_table_calls_dagnets_own_is_there():
    wanted = {
        "vl_nnconv(x, f, b, [dzdy])": "`layers.conv.forward`, `layers.conv.backward`",
        "vl_simplenn_tidy(net)": "`files.simplenn.tidy`",
        "getLayerExecutionOrder": "`execution_order`",
        "accumulateParamDers": "`accumulate_param_ders`",
        "loadobj": "`files.netfile.load`, `files.netfile.from_struct`",
    }
    rows = {line.split("`")[1]: line for line in table().splitlines() if line.startswith("| `")}
    for name, own in wanted.items():
        assert f"| {own} |" in rows[name], rows[name]


def test_the_module_prints_the_table():
    command, utf8 = [sys.executable, "-m", "dagnet.matconvnet"], os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, env=utf8)
    assert done.stdout == table(), done.stderr
