"""Which names a piece of a script makes variables, and which it uses: what can be known without running it."""

from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any, TypeGuard

from . import syntax as tree


def nodes(part: Any) -> Iterator[Any]:
    """A node of the tree and all below it; functions nested in functions are not below these."""
    if isinstance(part, tuple):
        for item in part:
            yield from nodes(item)
    elif is_dataclass(part) and not isinstance(part, (tree.Function, tree.File)):
        yield part
        for field in fields(part):
            yield from nodes(getattr(part, field.name))


def made(function: tree.Function) -> set[str]:
    """The names of a function's variables: parameters, outputs, and all that it assigns."""
    return {*function.parameters, *function.outputs} | assigned(function.body)


def assigned(part: Any) -> set[str]:
    """The names that statements make variables or change."""
    found: set[str] = set()
    for node in nodes(part):
        if isinstance(node, tree.Assign):
            found.update(t.base for t in node.targets if t is not None)
        elif isinstance(node, (tree.For, tree.Delete)):
            found.add(node.target.base)
        elif isinstance(node, tree.Declare):
            found.update(node.names)
        elif isinstance(node, tree.Try) and node.name:
            found.add(node.name)
    return found


def bases(part: Any) -> set[str]:
    """The names with which chains begin: variables and functions."""
    return {str(n.base) for n in nodes(part) if isinstance(n, tree.Chain) and isinstance(n.base, str)}


def mentioned(function: tree.Function) -> frozenset[str]:
    """The names of its variables, and those that its own statements use otherwise; reckoned once."""
    if function.mentioned is None:
        function.mentioned = frozenset(made(function) | bases(function.body))
    return function.mentioned


def calls(part: Any, of: Collection[str]) -> list[tree.Chain]:
    """The chains in a piece of the tree that start with one of these names."""
    return [n for n in nodes(part) if isinstance(n, tree.Chain) and isinstance(n.base, str) and n.base in of]


def block_arguments(part: Any) -> Iterator[tree.Chain]:
    """What stands second in net.addLayer(name, TheirBlock(...), ...) and can be only a block: names, and calls of one."""
    for node in nodes(part):
        steps = node.steps if isinstance(node, tree.Chain) else ()
        for method, call in pairwise(steps):
            if isinstance(method, tree.Field) and method.name == "addLayer" and isinstance(call, tree.Paren):
                yield from (arg for arg in call.args[1:2] if is_plain_call(arg))


def is_plain_call(node: Any) -> TypeGuard[tree.Chain]:
    """Whether it is a name, or a call of one."""
    if not isinstance(node, tree.Chain) or not isinstance(node.base, str):
        return False
    return not node.steps or (len(node.steps) == 1 and isinstance(node.steps[0], tree.Paren))


def used(expression: tree.Expression) -> set[str]:
    """The names in an expression, without the parameters of anonymous functions in it."""
    found = set()
    inner = set()
    for node in nodes(expression):
        if isinstance(node, tree.Lambda):
            inner |= used(node.body) - set(node.parameters)
        elif isinstance(node, tree.Chain) and isinstance(node.base, str):
            found.add(node.base)
    lambdas = [n for n in nodes(expression) if isinstance(n, tree.Lambda)]
    return (found - {p for n in lambdas for p in n.parameters}) | inner
