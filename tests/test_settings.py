"""dagnet.layers.settings: choices hold until they are changed or left, and nonsense is refused by name."""

import pytest

import dagnet
from dagnet.layers import settings


def test_using_holds_for_a_while_even_when_it_ends_in_an_error():
    before = settings.current()
    with pytest.raises(KeyError), settings.using(exact=True, threads=3):
        assert settings.current().exact and settings.current().threads == 3
        raise KeyError
    assert settings.current() == before and not before.exact


def test_change_holds_and_set_threads_is_a_change():
    with settings.using():  # so that the other tests get back what they had
        settings.change(fast=False, precision="tf32")
        assert not settings.current().fast and settings.current().precision == "tf32"
        dagnet.set_threads(5)
        assert settings.current().threads == 5


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"threads": 1.5}, "threads is 1.5"),
        ({"threads": True}, "threads is True"),
        ({"exact": 1}, "exact is 1; True or False"),
        ({"precision": "half"}, "precision is 'half'; 'float32' or 'tf32'"),
        ({"speed": 2}, "no 'speed'; there are threads, exact"),
    ],
)
def test_nonsense_is_refused_by_name_and_changes_nothing(choice, says):
    before = settings.current()
    with pytest.raises(ValueError, match=says):
        settings.change(**choice)
    assert settings.current() == before


def test_the_environment_of_blas_bounds_the_threads(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cores = settings.Settings().threads
    assert cores >= 1
    for name, value, right in [
        ("OMP_NUM_THREADS", "1", 1),
        ("OPENBLAS_NUM_THREADS", "1", 1),
        ("OMP_NUM_THREADS", "", cores),
    ]:
        with monkeypatch.context() as context:
            context.setenv(name, value)
            assert settings.Settings().threads == right
