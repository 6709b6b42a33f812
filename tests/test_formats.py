import csv

import pytest

from dagnet.summary import formats


@pytest.fixture
def table():
    return formats.Table(["func", "dims", "inputs"], [["conv1", "3x3", "a b"], ["relu_1", "1,2", 'x"&%']])


def test_cells_stand_flush_right_between_bars(table):
    assert formats.text([table], "ascii", 18).splitlines() == [
        "  func|conv1|relu_1|",
        "------|-----|------|",
        "  dims|  3x3|   1,2|",
        'inputs|  a b|  x"&%|',
    ]


def test_a_csv_reads_back_to_the_same_cells(table):
    text = formats.text([table, table], "csv", 1)
    rows = [row for row in csv.reader(text.splitlines()) if row]
    assert rows == table.rows() * 2


def test_latex_has_a_cell_for_each_column_and_escapes_what_it_would_read(table):
    lines = formats.text([table], "latex", 18).splitlines()
    assert lines[0] == r"\begin{tabular}{|r|c|c|}" and lines[-1] == r"\end{tabular}"
    cells = [line for line in lines if line.endswith(r"\\")]
    assert [i for i, line in enumerate(lines) if line == r"\hline"] == [1, 3, 6]
    assert len(cells) == 3 and all(line.replace(r"\&", "").count("&") == 2 for line in cells)
    assert r"relu\_1" in cells[0] and r'x"\&\%' in cells[2]


@pytest.mark.parametrize("special", "&%$#_{}\\~^")
def test_latex_never_sees_a_bare_special_character(special):
    text = formats.text([formats.Table(["a"], [[f"x{special}y"]])], "latex", 18)
    (line,) = [line for line in text.splitlines() if line.endswith(r"\\")]
    cell = line.removesuffix(r" \\").removeprefix("a & ")
    assert cell.startswith("x\\") and cell.endswith("y") and len(cell) > 3


def test_a_table_is_wrapped_and_each_piece_repeats_its_labels():
    table = formats.Table(["n"], [[str(i)] for i in range(7)], rules=())
    assert formats.text([table], "ascii", 3) == "n|0|1|2|\n\nn|3|4|5|\n\nn|6|"
    assert formats.text([table], "csv", 3) == "n,0,1,2,3,4,5,6"


def test_a_table_without_columns_is_left_out(table):
    empty = formats.Table(["param", "dims"], [])
    assert formats.text([empty, table, empty], "ascii", 18) == formats.text([table], "ascii", 18)


def test_bytes_are_told_in_whole_units_of_1024():
    told = [formats.memory(size) for size in (0, 1023, 1024, 7168, 3 * 2**20, 5.4 * 2**30, float("nan"))]
    assert told == ["0B", "1023B", "1KB", "7KB", "3MB", "5GB", "?"]


def test_a_format_that_is_none_and_a_width_below_one_are_refused(table):
    with pytest.raises(ValueError, match="it is 'html'; one of ascii, latex, csv is right"):
        formats.text([table], "html", 18)
    with pytest.raises(ValueError, match="max_num_columns: it is 0"):
        formats.text([table], "ascii", 0)
