"""Assignment into parts of variables: x(end+1).a.b{3} = v, [c{1:2}] = f(), x.y(3) = [].

Values are never changed in place: each step gives the value that holds the new part, from the innermost out. Objects are, since
they are held by reference.
"""

from typing import Any

import numpy as np

from dagnet.files.matvalues import StructArray

from . import indexing
from . import syntax as tree
from .evaluator import Evaluator
from .failures import MatlabError
from .handle import Handle
from .values import cell, class_of, empty, fields_of, is_cell, is_struct, numel, records, structs


class Assigner(Evaluator):
    """Gives what a variable's value becomes when a part of it is assigned or deleted."""

    def changed(self, value: Any, steps: tuple[tree.Step, ...], new: Any) -> Any:
        """value after value<steps> = new; None is what is not there yet."""
        if not steps:
            self.budget.follow(new)
            return new
        step, rest = steps[0], steps[1:]
        if isinstance(value, Handle):
            return self._changed_handle(value, step, rest, new)
        if isinstance(step, tree.Field):
            name = self.name_of(step)
            inner = None
            if rest and is_struct(value) and name in fields_of(value):
                inner = self._only(indexing.field(value, name))
            return indexing.with_field(value, name, self.changed(inner, rest, new))
        args = self.arguments(step.args, value)
        if isinstance(step, tree.Brace):
            inner = None
            if rest and is_cell(value) and indexing.has(value, args):
                inner = self._only(indexing.contents(value, args))
            changed = indexing.with_contents(value, args, self.changed(inner, rest, new))
        elif not rest:
            changed = indexing.assigned(value, args, new)
        else:
            changed = self._changed_element(value, args, rest, new)
        self.budget.follow(changed)
        return changed

    def _changed_element(self, value: Any, args: list[Any], rest: tuple[tree.Step, ...], new: Any) -> Any:
        """value after value(args)<rest> = new, where rest goes on with a field."""
        if isinstance(rest[0], tree.Paren) or (isinstance(rest[0], tree.Brace) and not is_cell(value)):
            raise MatlabError("()-indexing must appear last in an index expression.", "MATLAB:badsubscript")
        inner = None
        if indexing.has(value, args):
            inner = indexing.read(value, args)
            if is_struct(inner) and numel(inner) != 1:
                raise MatlabError("Scalar structure required for this assignment.", "MATLAB:scalarStructRequired")
        elif is_struct(value):
            inner = {name: empty() for name in fields_of(value)}
        element = self.changed(inner, rest, new)
        if is_struct(value) and is_struct(element):
            value = _with_fields(value, fields_of(element))
        return indexing.assigned(value, args, element)

    def _changed_handle(self, value: Handle, step: tree.Step, rest: tuple[tree.Step, ...], new: Any) -> Handle:
        if isinstance(step, tree.Field):
            name = self.name_of(step)
            value.set(name, self.changed(value.get(name), rest, new) if rest else new)
        elif isinstance(step, tree.Paren) and not rest:
            value.assign_index(self.arguments(step.args, value), new)
        elif isinstance(step, tree.Paren):
            raise MatlabError(f"Only one level of indexing is supported by a {class_of(value)}.")
        else:
            raise MatlabError(f"Brace indexing is not supported for variables of this type ({class_of(value)}).")
        return value

    def _only(self, values: list[Any]) -> Any:
        if len(values) != 1:
            raise MatlabError(
                f"Expected one output from a curly brace or dot indexing expression, but there were {len(values)} results.",
                "MATLAB:index:expected_one_output_from_expression",
            )
        return values[0]

    def count_of(self, value: Any, steps: tuple[tree.Step, ...]) -> int:
        """How many values an assignment to value<steps> takes: [c{1:3}] = ... takes three."""
        if not steps:
            return 1
        step, rest = steps[0], steps[1:]
        if isinstance(value, Handle):
            return self.count_of(value.get(self.name_of(step)), rest) if isinstance(step, tree.Field) and rest else 1
        if isinstance(step, tree.Field):
            if not rest:
                return numel(value) if isinstance(value, StructArray) and len(value) else 1
            known = is_struct(value) and self.name_of(step) in fields_of(value) and numel(value) == 1
            return self.count_of(indexing.field(value, self.name_of(step))[0] if known else None, rest)
        args = self.arguments(step.args, value)
        if isinstance(step, tree.Brace) and not rest:
            return _selected(value, args)
        if isinstance(step, tree.Paren) and len(rest) == 1 and isinstance(rest[0], tree.Field):
            return _selected(value, args)
        if not rest or not indexing.has(value, args):
            return 1
        inner = indexing.contents(value, args)[0] if isinstance(step, tree.Brace) else indexing.read(value, args)
        return self.count_of(inner, rest)

    def spread(self, value: Any, steps: tuple[tree.Step, ...], values: list[Any]) -> Any:
        """value after [value<steps>] = values."""
        step, rest = steps[0], steps[1:]
        if isinstance(value, Handle) and isinstance(step, tree.Field) and rest:
            name = self.name_of(step)
            value.set(name, self.spread(value.get(name), rest, values))
            return value
        if isinstance(step, tree.Field) and not rest:
            name = self.name_of(step)
            found = records(value)
            changed = [{**record, name: new} for record, new in zip(found.ravel(order="F"), values, strict=True)]
            return structs(list(changed[0]), cell(changed, found.shape))
        if isinstance(step, tree.Field):
            name = self.name_of(step)
            inner = self._only(indexing.field(value, name))
            return indexing.with_field(value, name, self.spread(inner, rest, values))
        args = self.arguments(step.args, value)
        if isinstance(step, tree.Brace) and not rest:
            sizes = [
                len(indexing.positions(a, n).ravel())
                for a, n in zip(args, indexing.extents(value, len(args)), strict=True)
            ]
            whole = np.empty((0, 0), object) if value is None else value
            return indexing.assigned(whole, args, cell(values, sizes if len(sizes) > 1 else (1, *sizes)))
        if isinstance(step, tree.Paren) and len(rest) == 1:
            places = indexing.positions(args[0], numel(value) if value is not None else 0).ravel(order="F")
            for place, new in zip(places, values, strict=True):
                value = self._changed_element(value, [np.array([[place + 1.0]])], rest, new)
            return value
        inner = (
            self._only(indexing.contents(value, args)) if isinstance(step, tree.Brace) else indexing.read(value, args)
        )
        changed = self.spread(inner, rest, values)
        return (indexing.with_contents if isinstance(step, tree.Brace) else indexing.assigned)(value, args, changed)

    def without(self, value: Any, steps: tuple[tree.Step, ...]) -> Any:
        """value after value<steps> = [], whose last step is in parentheses."""
        step, rest = steps[0], steps[1:]
        if isinstance(value, Handle) and isinstance(step, tree.Field):
            value.set(self.name_of(step), self.without(value.get(self.name_of(step)), rest))
            return value
        if value is None:
            raise MatlabError("Deletion requires an existing variable.", "MATLAB:deletionRequiresVariable")
        if isinstance(step, tree.Field):
            name = self.name_of(step)
            return indexing.with_field(value, name, self.without(self._only(indexing.field(value, name)), rest))
        args = self.arguments(step.args, value)
        if not rest:
            return indexing.deleted(value, args)
        if isinstance(step, tree.Brace):
            return indexing.with_contents(value, args, self.without(self._only(indexing.contents(value, args)), rest))
        return indexing.assigned(value, args, self.without(indexing.read(value, args), rest))


def _with_fields(value: Any, names: tuple[str, ...]) -> Any:
    """The struct array with at least these fields, [] where one is new."""
    if set(names) <= set(fields_of(value)):
        return value
    every = [*fields_of(value), *(n for n in names if n not in fields_of(value))]
    found = records(value)
    changed = [{n: record.get(n, empty()) for n in every} for record in found.ravel(order="F")]
    return structs(every, cell(changed, found.shape))


def _selected(value: Any, args: list[Any]) -> int:
    sizes = indexing.extents(value, len(args))
    return int(np.prod([indexing.positions(a, n).size for a, n in zip(args, sizes, strict=True)]))
