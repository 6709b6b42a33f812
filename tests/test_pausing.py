"""A training that stops at a time limit goes on, inside an epoch too, to the numbers of one that was not stopped."""

import re

import numpy as np
import pytest

from dagnet.files import checkpoint, matfile
from dagnet.simplenn import SimpleNN
from dagnet.training import pausing
from tests import little
from tests.little import same, values
from tests.verbs import cut_short

SETTINGS = {"batch_size": 2, "num_epochs": 2}  # 4 batches to train, 2 to validate


@pytest.fixture
def stops(monkeypatch):
    """Lets deadlines be near after the batches of these numbers, counted from 1 in each call of the trainer."""

    def after(*numbers):
        asked = []
        monkeypatch.setattr(
            pausing.Deadline, "is_near", lambda self, seconds: asked.append(seconds) or len(asked) in numbers
        )

    return after


def in_pieces(folder, stops, *numbers, **options):
    """Calls the trainer, with a new net each time as a new process would, until it is through; the net and the messages."""
    messages = []
    while True:
        stops(*numbers)
        net = little.net()
        try:
            return net, little.train(net, folder, time_limit=600, **SETTINGS | options), messages
        except pausing.TimeIsUp as stop:
            messages.append(str(stop))


def without_time(stats):
    return {kind: [{k: v for k, v in record.items() if k != "time"} for record in stats[kind]] for kind in stats}


@pytest.mark.parametrize(
    "options", [{}, {"profile": "beta20"}, {"solver": "adam"}, {"save_solver_state": False}, {"val": ()}], ids=str
)
@pytest.mark.parametrize("numbers", [(1,), (3,)])
def test_stopped_again_and_again_it_comes_to_the_same_bits(tmp_path, stops, numbers, options):
    once = little.net()
    stats = little.train(once, tmp_path / "once", **SETTINGS | options)
    net, ours, messages = in_pieces(tmp_path / "pieces", stops, *numbers, **options)
    assert len(messages) >= 2 and same(values(net), values(once))
    assert str(without_time(ours)) == str(without_time(stats))
    kept = [checkpoint.load(checkpoint.path_of(tmp_path / which, 2)) for which in ("once", "pieces")]
    assert same(kept[0].state, kept[1].state)
    assert not (tmp_path / "pieces" / checkpoint.PAUSED).exists()


def test_it_stops_in_training_in_validation_and_between_epochs(tmp_path, stops):
    _, _, messages = in_pieces(tmp_path, stops, 1)
    inside = [re.match(r"stopped at the time limit (in|after) epoch (\d): the same call", m).groups() for m in messages]
    # of an epoch's 4 batches and 2, the last of each pass is followed by the next pass, or by the checkpoint
    assert inside == [("in", "1")] * 4 + [("after", "1")] + [("in", "2")] * 4


def test_a_limit_that_is_very_short_lets_one_batch_through(tmp_path):
    with pytest.raises(pausing.TimeIsUp, match=r"in epoch 1: the same call or command goes on from .*net-paused\.mat"):
        little.train(little.net(), tmp_path, time_limit=1e-6, **SETTINGS)
    kept = checkpoint.load(tmp_path / checkpoint.PAUSED)
    assert kept.epoch == 0 and kept.profile == "beta25" and kept.paused
    assert not same(values(kept.net), values(little.net()))


def test_without_a_limit_the_next_call_goes_on_too_and_says_where(tmp_path, stops, capsys):
    once = little.net()
    little.train(once, tmp_path / "once", **SETTINGS)
    stops(2)
    with pytest.raises(pausing.TimeIsUp):
        little.train(little.net(), tmp_path / "twice", time_limit=600, **SETTINGS)
    net = little.net()
    little.train(net, tmp_path / "twice", **SETTINGS)
    assert "going on in epoch 1, from" in capsys.readouterr().out and same(values(net), values(once))


def test_a_deadline_leaves_time_to_write_and_to_compute(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    deadline = pausing.Deadline(60, bytes_kept=900_000_000)  # 1 s and 9 s
    assert not deadline.is_near(49.9) and deadline.is_near(50.1)
    now[0] += 45
    assert deadline.is_near(5.1) and not deadline.is_near(4.9)


# -- what is no fit


@pytest.fixture
def paused(tmp_path, stops):
    stops(2)
    with pytest.raises(pausing.TimeIsUp):
        little.train(little.net(), tmp_path, time_limit=600, **SETTINGS)
    stops()
    return tmp_path / checkpoint.PAUSED


@pytest.mark.parametrize("options", [{"batch_size": 3}, {"num_sub_batches": 1}, {"random_seed": 7}, {"val": [8]}])
def test_other_batches_are_refused_inside_an_epoch(paused, options):
    with pytest.raises(ValueError, match=r"net-paused\.mat: it was stopped in an epoch of other images or batches"):
        little.train(little.net(), paused.parent, **SETTINGS | options)
    paused.unlink()
    little.train(little.net(), paused.parent, **SETTINGS | options)


def test_a_damaged_one_costs_the_epoch_and_is_named(paused):
    cut_short(paused)
    with pytest.warns(UserWarning, match=r"passed over a checkpoint that is not whole: .*net-paused\.mat"):
        stats = little.train(little.net(), paused.parent, **SETTINGS)
    assert len(stats["train"]) == 2


def test_one_whose_standing_cannot_be_read_is_named(paused):
    matfile.write(paused, matfile.read(paused) | {"dagnet": {"profile": "beta25", "paused": "{}"}})
    with pytest.raises(ValueError, match=r"net-paused\.mat: how far its epoch is cannot be read"):
        little.train(little.net(), paused.parent, **SETTINGS)


def test_one_of_an_epoch_that_has_been_done_since_is_passed_over(paused, tmp_path):
    old = paused.read_bytes()
    whole = little.net()
    little.train(whole, tmp_path, **SETTINGS)
    paused.write_bytes(old)
    net = little.net()
    little.train(net, tmp_path, **SETTINGS)
    assert same(values(net), values(whole))


def test_it_is_not_gone_on_from_where_that_is_not_wanted(paused):
    with pytest.raises(FileExistsError, match=r"it holds net-paused\.mat of an earlier training"):
        little.train(little.net(), paused.parent, resume=False, **SETTINGS)


@pytest.mark.parametrize("limit", [0, -1, np.inf, np.nan])
def test_what_is_no_limit_is_refused(tmp_path, limit):
    with pytest.raises(ValueError, match="a number of seconds above 0 is right"):
        little.train(little.net(), tmp_path, time_limit=limit)


def test_a_simplenn_is_not_stopped_inside_an_epoch(tmp_path):
    layers = [{"type": "conv", "weights": [np.zeros((1, 1, 3, 2), np.float32), np.zeros(2, np.float32)]}]
    net = SimpleNN([*layers, {"type": "softmaxloss"}])
    with pytest.raises(ValueError, match="time_limit: the net is a SimpleNN"):
        little.train(net, tmp_path, time_limit=60)
