"""dagnet.parity.report and page: text of 120 columns, JSON without infinities, a page that stands alone."""

import json
import re
from math import inf

import pytest

from dagnet.parity import compare, page, report
from dagnet.parity.compare import Row
from dagnet.parity.hints import Hint
from dagnet.parity.measures import Measure


def row(layer, name="x1", far=1e-7, alone=1e-8, kind="value", decided=0) -> Row:
    whole = Measure(far, far, far**2, far / 1e-7) if far < inf else Measure(problem="size 2x2, MATLAB's 3x3")
    by_itself = None if alone is None else Measure(alone, alone, 0.0, 1.0)
    return Row(layer, "Conv" * bool(layer), kind, name, (3, 3, 8, 1), whole, by_itself, 1e-5, 2e-6, 1.0, 1.0, decided)


def made(*rows, hints=(), flips=None, stopped="", not_dumped=()) -> report.Report:
    result = compare.Comparison(list(rows), flips or {}, stopped, list(not_dumped))
    return report.Report("net.mat and <dump>", {"mode": "normal"}, result, hints)


GOOD = made(row("", "input", 0.0, None, "input"), row("conv1"), row("conv1", "conv1f", kind="param der"))
HINT = Hint("conv<2>", "transposed", "height and width of its filters are exchanged", 0.5, 1e-8, True)
BAD = made(
    row("conv1"),
    row("conv<2>", "x2", 0.5, 0.5),
    row("conv3", "x3", inf, 1e-8),
    hints=[HINT],
    flips={"relu1": 3},
    stopped="concat: sizes differ",
    not_dumped=["x9"],
)


def test_agreement_is_said_in_one_sentence():
    assert report.text(GOOD).splitlines()[-1].startswith("All 3 arrays are within tolerance; the furthest")


def test_of_a_sum_that_cancels_the_verdict_tells_how_far_its_terms_are_off():
    bias = row("conv1", "conv1b", 3.0, kind="param der")
    bias.whole, bias.scale, bias.largest = Measure(3e-6, 1.5, 1.0, 9.0), 100.0, 2.0
    bias.allowed_whole = 1e-6
    said = made(row("conv1"), bias)
    assert report.text(said).endswith("the furthest, end to end, is off by 1e-07.") and " 5.0e-5 " in report.text(said)
    assert json.loads(report.as_json(said))["arrays"][1]["end_to_end"]["allowed"] == pytest.approx(1e-6 * 100 / 2)
    bias.largest = 0.0
    assert json.loads(report.as_json(said))["arrays"][1]["end_to_end"]["allowed"] is None


def test_what_the_net_does_not_have_is_no_input_and_one_reason_is_told_once():
    lost = Measure(problem="the net has no variable of that name")
    rows = [Row("", "", "value", f"y{i}", (3,), lost, None, 0.0, 0.0, 0.0, 0.0) for i in range(9)]
    said = report.text(made(*rows))
    assert "y0, y1, y2, y3, y4, y5 and 3 more: the net has no variable of that name." in said
    for written in (said, page.write(made(*rows))):
        assert "(unknown)" in written and "(input)" not in written


def test_the_first_layer_off_by_itself_is_named_then_what_is_known_of_it():
    said = report.text(BAD)
    assert (
        "2 of 3 arrays are out of tolerance. The first layer that leaves its tolerance by itself is layer 'conv<2>'"
        in said
    )
    assert "End to end the run stopped: concat: sizes differ." in said
    assert "ReLUs and maxima that decided otherwise end to end: relu1 3." in said
    assert (
        "Hint: conv<2>: height and width of its filters are exchanged (off by 0.5; then it agrees, within 1e-08)."
        in said
    )
    assert "Not in the dump: x9." in said


def test_end_to_end_alone_and_inputs_are_told_apart():
    assert "Every layer by itself is within tolerance; end to end the first" in report.text(made(row("conv1", far=0.1)))
    said = report.text(made(row("", "input", 0.1, None, "input")))
    assert said.endswith("The first is input: it is not the layers.")


def test_an_unexplained_layer_is_said_to_be():
    assert "No mistake that is known here explains it." in report.text(made(row("conv1", far=0.5, alone=0.5)))


def test_the_table_names_a_layer_once_and_fits_120_columns():
    rows = [row("a_layer_with_a_very_long_name_indeed" + str(i // 2), f"variable_of_a_long_name_{i}") for i in range(4)]
    lines = report.text(made(*rows)).splitlines()
    assert max(map(len, lines)) <= 120
    assert sum(line.startswith("a_layer_with_a_") for line in lines) == 2


def test_numbers_take_seven_characters_at_most():
    numbers = [0, 1e-17, 3.44e-7, 0.5, 1, 9.94, 10, 123.4, 9999, 10001, 2.5e15, None, inf]
    shown = ["0", "1.0e-17", "3.4e-7", "5.0e-1", "1.0", "9.9", "10", "123", "9999", "1.0e+4", "2.5e+15", "-", "-"]
    assert [report.short(n) for n in numbers] == shown
    assert max(map(len, shown)) == 7


def test_json_holds_everything_and_no_infinity():
    found = json.loads(report.as_json(BAD))
    assert found["ok"] is False and found["first"] == {"layer": "conv<2>", "array": "x2"}
    assert [a["ok"] for a in found["arrays"]] == [True, False, False]
    assert (
        found["arrays"][2]["end_to_end"]["relative"] is None and "MATLAB" in found["arrays"][2]["end_to_end"]["problem"]
    )
    assert found["hints"][0]["cause"] == "transposed"
    assert found["arrays"][0]["end_to_end"]["cosine"] == 1 - 1e-14
    assert json.loads(report.as_json(GOOD))["first"] is None


@pytest.mark.parametrize("what", [GOOD, BAD])
def test_the_page_stands_alone_and_has_a_bar_a_layer(what):
    html = page.write(what)
    assert not re.search(r"(src|href)=|@import|url\(", html)
    layers = {r.layer or r.name for r in what.result.rows}
    assert html.count('class="name"') == len(layers)
    assert "conv<2>" not in html and "<dump>" not in html


def test_what_is_out_of_tolerance_is_said_in_words_and_not_by_colour_alone():
    assert "&#10007;" not in page.write(GOOD) and "&#10003;" in page.write(GOOD)
    html = page.write(BAD)
    assert re.findall(r'<tr class="bad"><th>(.*?)</th>', html) == ["conv&lt;2&gt;", "conv3"]
    assert "&#10007; alone and end to end" in html and html.count('<rect class="off"') == 3


def titles(*rows) -> list[str]:
    return re.findall(r"<title>(.*?)</title>", page.write(made(*rows)))[1:]  # the first is the page's


def test_a_bar_is_that_of_the_array_which_is_out_of_tolerance_else_of_the_one_nearest_to_it():
    near, loose = row("a", "near", 9e-6, alone=None), row("a", "loose", 5e-5, alone=None)
    loose.allowed_whole = 1e-3
    (title,) = titles(near, loose)
    assert title == "a, end to end: near 9e-06, allowed 1.0e-5"
    (title,) = titles(row("a", "lost", inf, alone=None), near)
    assert title == "a, end to end: lost size 2x2, MATLAB&#x27;s 3x3, allowed 1.0e-5"


def test_the_picture_is_as_high_as_its_layers_need_and_its_axis_has_powers_of_ten():
    html = page.write(made(*(row(f"layer{i}") for i in range(9))))
    names = [int(y) for y in re.findall(r'class="name" x="\d+" y="(\d+)"', html)]
    (height,) = re.findall(r'<svg [^>]*height="(\d+)"', html)
    assert len(set(names)) == 9 and max(names) < int(height) - 8 < max(names) + 60
    assert re.findall(r'class="axis"[^>]*>([^<]*)<', html) == [*(f"1e{p}" for p in range(-16, 0, 2)), "1"]


def test_a_longer_bar_is_further_off():
    widths = []
    for far in (1e-12, 1e-9, 1e-3, inf):
        (bar,) = re.findall(r'<rect class="(?:whole|off)"[^>]*width="([\d.]+)"', page.write(made(row("a", far=far))))
        widths.append(float(bar))
    assert widths == sorted(widths) and widths[0] < widths[-1] == page.WIDTH
