"""Scripts that train: where a function trains its network, that is defined, and what it does for the data is of no concern.

So it ends there, with the network (Trains); and a statement of that function which cannot run, because it makes folders,
fetches images or reads them, is left out where the network does not hang on it (dispensable), which is told.
"""

from collections.abc import Collection
from dataclasses import fields, is_dataclass, replace
from typing import Any

from . import names
from . import syntax as tree
from .failures import ScriptError

TRAINERS = frozenset({"cnn_train", "cnn_train_dag"})


class Trains(ScriptError):
    """The script has come to where it would train `network`, a value of its own: the network is defined by then."""

    def __init__(self, network: Any) -> None:
        super().__init__("here the script would train its network; it is given as it is before")
        self.network = network


def dispensable(function: tree.Function) -> tuple[frozenset[int], frozenset[str]]:
    """The ids of a function's own statements that the network it trains does not hang on, and the names that it does hang on.

    A name is needed if it is in the first argument of cnn_train, or in a statement that assigns what is needed. That objects
    change where nothing is assigned shows only in a run. Nothing is dispensable where nothing is trained, nor with globals.
    """
    known = trainers(function.body)
    calls = [call for call in names.calls(function.body, known) if call.steps]
    if not calls or any(isinstance(node, tree.Declare) for node in names.nodes(function.body)):
        return frozenset(), frozenset()
    needed = set().union(known, *(_used(call.steps[0], ()) for call in map(of_network, calls)))
    parts = [(statement, names.assigned(statement), _used(statement, known)) for statement in function.body]
    while grown := set().union(*(used for _, assigned, used in parts if assigned & needed)) - needed:
        needed |= grown
    free = (id(s) for s, assigned, _ in parts if not assigned & needed and not _leaves(s, known))
    return frozenset(free), frozenset(needed)


def trainers(body: tree.Block) -> frozenset[str]:
    """cnn_train and cnn_train_dag, and the variables that hold one: trainfn = @cnn_train."""
    handles = (n for n in names.nodes(body) if isinstance(n, tree.Assign) and isinstance(n.value, tree.FunctionRef))
    return TRAINERS.union(str(t.base) for n in handles if n.value.name in TRAINERS for t in n.targets if t is not None)  # type: ignore[union-attr]


def of_network(call: tree.Chain) -> tree.Chain:
    """The call of a trainer with its first argument alone: the network, without data and options."""
    step = call.steps[0]
    return replace(call, steps=(replace(step, args=step.args[:1]),)) if isinstance(step, tree.Paren) else call


def _used(part: Any, known: Collection[str]) -> set[str]:
    """The names with which a piece's chains begin, but for what a trainer takes beside the network."""
    if isinstance(part, tuple):
        return set().union(*(_used(item, known) for item in part))
    if not is_dataclass(part):
        return set()
    found = set()
    if isinstance(part, tree.Chain) and isinstance(part.base, str):
        found.add(part.base)
        part = of_network(part) if part.base in known and part.steps else part
    return found.union(*(_used(getattr(part, field.name), known) for field in fields(part)))


def _leaves(statement: tree.Statement, known: Collection[str]) -> bool:
    """Whether a function may end in that statement."""
    returns = any(isinstance(node, tree.Jump) and node.kind == "return" for node in names.nodes(statement))
    return returns or bool(names.calls(statement, known))
