"""From times to figures, goals and tables."""

import pytest
from dagnet.tools.benchmark import figures, goals, tables


def times(ms):
    return figures.spread([ms - 1, ms, ms + 1])


def result(peak=(), **steps):
    """Of a work: its steps, each with the ms of plain, fast, channels_last, contiguous."""
    names = ("dagnet plain", "dagnet fast", "PyTorch channels_last", "PyTorch contiguous")
    found = {step: dict(zip(names, map(times, ms), strict=True)) for step, ms in steps.items()}
    return {"what": "a work", "steps": found, "peak_mb": dict(zip(names, peak, strict=False))}


def test_a_figure_is_the_median_over_all_steps_of_all_rounds():
    runs = [
        ("dagnet fast", {"relu": {"ms": {"step": [5.0, 1.0, 2.0]}, "peak_mb": 100.0}}),
        ("dagnet fast", {"relu": {"ms": {"step": [3.0, 4.0]}, "peak_mb": 300.0}}),
    ]
    found = figures.collected(runs)["relu"]
    wanted = {"ms": 3.0, "q1": 2.0, "q3": 4.0, "least": 1.0, "most": 5.0, "count": 5}
    assert found["steps"]["step"]["dagnet fast"] == wanted
    assert found["peak_mb"] == {"dagnet fast": 200.0} and found["what"].startswith("ReLU")


def test_works_that_share_a_process_have_no_peak_memory():
    measured = {"ms": {"step": [1.0]}, "peak_mb": 100.0}
    found = figures.collected([("dagnet fast", {"relu": measured, "pool": measured})])
    assert list(found) == ["relu", "pool"] and not found["relu"]["peak_mb"] and not found["pool"]["peak_mb"]


def test_ratios_are_to_pytorch_in_the_format_in_which_it_is_faster_in_that_step():
    found = result((500.0, 400.0, 1000.0, 800.0), forward=(300, 100, 200, 250), dX=(300, 100, 200, 150))
    assert figures.time_ratios(found, "dagnet plain") == {"forward": 1.5, "dX": 2.0}
    assert figures.memory_ratio(found, "dagnet fast") == 0.4  # in the first step channels_last is the faster


def test_without_pytorch_there_are_no_ratios():
    alone = {"what": "a work", "steps": {"step": {"dagnet plain": times(3)}}, "peak_mb": {"dagnet plain": 1.0}}
    assert figures.time_ratios(alone, "dagnet plain") == {} and figures.memory_ratio(alone, "dagnet plain") is None
    assert tables.of_goals({"step": alone}) == ""


def test_goals_are_shown_of_what_was_measured_alone():
    lines = tables.of_goals({"pool": result(step=(100, 90, 100, 120))}).splitlines()
    assert len(lines) == 3 and lines[2].startswith("| max pooling ") and "| met " in lines[2]


@pytest.mark.parametrize(
    ("plain", "fast", "words"),
    [(149, 94, ("met", "met")), (151, 96, ("not met", "not met, but within 1.0")), (50, 101, ("met", "not met"))],
)
def test_a_goal_is_met_up_to_its_limit_and_a_training_step_has_a_hard_one_too(plain, fast, words):
    results = {"step": result(step=(plain, fast, 200, 100))}
    goal = next(goal for goal in goals.GOALS if goal.works == ("step",))
    assert tuple(goals.verdict(goal, tier, results).words for tier in goals.TIERS) == words


def test_of_a_goal_over_many_layers_the_worst_is_named():
    goal = next(goal for goal in goals.GOALS if len(goal.works) > 1)
    results = {work: result(forward=(100, 90, 100, 120), dX=(100, 90, 100, 120)) for work in goal.works}
    results[goal.works[3]] = result(forward=(100, 90, 100, 120), dX=(180, 90, 100, 120))
    found = goals.verdict(goal, "dagnet plain", results)
    number = 2 * len(goal.works)
    assert found.words == f"not met ({number - 1} of {number}; worst: {goal.works[3]} dX)"
    assert goals.verdict(goal, "dagnet fast", results).met
    results.pop(goal.works[0])
    assert goals.verdict(goal, "dagnet fast", results) is None


def test_every_goal_of_a_layer_is_for_works_that_are_measured():
    from dagnet.tools.benchmark import works

    assert {work for goal in goals.GOALS for work in goal.works} <= set(works.WORKS)
    assert sum(len(goal.works) for goal in goals.GOALS if goal.works[0].startswith("conv96")) == 8


def test_tables_name_the_format_the_ratios_and_the_spread():
    measured = {"relu": result(forward=(300, 100, 200, 250), dX=(300, 100, 200, 150))}
    first, second = tables.of_times(measured).splitlines()[2:]
    assert [cell.strip() for cell in first.split("|")][1:3] == ["a work, forward", "300.0 (299.5-300.5)"]
    assert [cell.strip() for cell in first.split("|")][-4:-1] == ["channels_last", "1.50", "0.50"]
    assert [cell.strip() for cell in second.split("|")][-4:-1] == ["contiguous", "2.00", "0.67"]


def test_the_gain_of_more_threads_is_shown_for_each_contender():
    on_two, on_one = {"step": result(step=(50, 60, 70, 80))}, {"step": result(step=(100, 90, 140, 80))}
    lines = tables.of_scaling(on_two, on_one, 2).splitlines()[2:]
    assert [line.split("|")[-2].strip() for line in lines] == ["2.00", "1.50", "2.00", "1.00"]
