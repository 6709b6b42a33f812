"""Runs a script: statements, functions, assignments."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from dagnet.files.matvalues import StructArray

from . import indexing, names, refused, training
from . import syntax as tree
from .assigning import Assigner
from .builtins import randoms
from .builtins.errors import MException
from .failures import LimitReached, MatlabError, Refused, ScriptError
from .handle import Handle
from .library import Library
from .limits import Budget, Limits, within
from .printing import shown
from .scopes import Frame
from .values import (
    cell,
    check_nesting,
    elements,
    empty,
    is_cell,
    is_char,
    is_number_like,
    is_text,
    numbers,
    numel,
    shape,
    text,
    truth,
)

PYTHON_FRAMES = 60  # of Python's own, for one call in a script


class _Jump(Exception):
    """break, continue or return on its way out."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Interpreter(Assigner):
    """One run of a script.

    define   name: a Python function or "module:function", for what the script calls and dagnet does not know
    weights  the .mat file that stands for the one that the script loads and that is not there
    seed     of rand, randn, randi, until the script calls rng
    output   where disp, fprintf and statements without a semicolon write; None is standard output
    """

    def __init__(
        self,
        folder: Path,
        *,
        define: Mapping[str, str | Callable[..., Any]] | None = None,
        weights: str | Path | None = None,
        seed: int = 0,
        limits: Limits | None = None,
        output: TextIO | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.library = Library(define, folder)
        self.weights = Path(weights) if weights is not None else None
        self.random = randoms.Stream(seed)
        self.budget = Budget(limits or Limits())
        self.globals: dict[str, Any] = {}
        self.persistent: dict[int, dict[str, Any]] = {}
        self.output = output
        self.loaded: dict[Path, set[str]] = {}  # the .mat files that were read, and the fields of layers in them
        self.left_out: list[ScriptError] = []  # why statements that the network does not hang on did not run
        self.state: dict[str, Any] = {}  # what builtins remember between calls: the last warning, figures, tic
        self._statements: dict[type, Callable[[Any], None]] = {
            tree.Evaluate: self._evaluate,
            tree.Assign: self._assign,
            tree.Delete: self._delete,
            tree.If: self._if,
            tree.For: self._for,
            tree.While: self._while,
            tree.Switch: self._switch,
            tree.Try: self._try,
            tree.Jump: self._jump,
            tree.Declare: self._declare,
            tree.Unsupported: self._stop,
        }

    def write(self, written: str) -> None:
        """Writes what the script prints."""
        (self.output or sys.stdout).write(written)

    def run(self, function: tree.Function, args: list[Any], nargout: int = 1) -> list[Any]:
        """The outputs of a function that is called from outside. Raises ScriptError."""
        with self._limited():
            return self.call_function(function, args, nargout, None)

    def run_script(self, script: tree.Function) -> dict[str, Any]:
        """The variables that a file's own statements leave. Raises ScriptError."""
        frame = Frame(script)
        with self._limited(), self.entered(frame):
            self._body(script)
        return frame.variables

    @contextmanager
    def _limited(self) -> Iterator[None]:
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, 2000 + PYTHON_FRAMES * self.budget.limits.recursion))
        try:
            with within(self.budget):
                yield
        except RecursionError:
            raise LimitReached("its calls and expressions are nested too deeply") from None
        except MemoryError:
            raise LimitReached("the memory does not suffice for its arrays") from None
        finally:
            sys.setrecursionlimit(before)

    # functions

    def call_function(self, function: tree.Function, args: list[Any], nargout: int, around: Frame | None) -> list[Any]:
        outputs = function.outputs
        rest = bool(outputs) and outputs[-1] == "varargout"
        fixed = outputs[:-1] if rest else outputs
        if nargout > len(fixed) and not rest:
            raise MatlabError(
                f"Too many output arguments: {function.name} has {len(fixed)}, {nargout} are wanted.",
                "MATLAB:TooManyOutputs",
            )
        frame = Frame(function, around, nargin=len(args), nargout=nargout)
        if function.outer is not None and around is None:
            raise MatlabError(f"The nested function {function.name} is called where its outer function does not run.")
        self.bind(frame, function.parameters, args)
        if function.name == "":  # a script that another file calls has its caller's variables
            frame.variables = self.frame.variables
        with self.entered(frame):
            self._body(function)
        return self._outputs(frame, fixed, rest, nargout)

    def _body(self, function: tree.Function) -> None:
        if function.dispensable is None:
            function.dispensable = training.dispensable(function)
        free, needed = function.dispensable
        try:
            for statement in function.body:
                try:
                    self.block((statement,))
                except (LimitReached, training.Trains):
                    raise
                except ScriptError as error:
                    if id(statement) not in free or self._touches_objects(statement, needed):
                        raise
                    self.left_out.append(error)
        except _Jump as jump:
            if jump.kind != "return":
                raise MatlabError(f"{jump.kind} stands outside of a loop.") from None

    def _touches_objects(self, statement: tree.Statement, needed: frozenset[str]) -> bool:
        """Whether a statement names an object that is needed: it may have changed that before it stopped."""
        held = (self.frame.get(name) for name in names.bases(statement) & needed)
        return any(isinstance(value, Handle) for value in held)

    def _outputs(self, frame: Frame, fixed: tuple[str, ...], rest: bool, nargout: int) -> list[Any]:
        found = []
        for name in fixed[: max(1, nargout)]:
            if name in frame.variables or name in frame:
                found.append(frame[name])
            elif len(found) < nargout:
                raise MatlabError(
                    f"Output argument '{name}' (and possibly others) not assigned a value in the execution with "
                    f"'{frame.function.name}' function.",
                    "MATLAB:unassignedOutputs",
                )
            else:
                break
        if rest and len(found) == len(fixed) and (nargout > len(fixed) or not fixed):
            more = list(frame["varargout"].ravel(order="F")) if "varargout" in frame else []
            if len(fixed) + len(more) < nargout:
                raise MatlabError(
                    f"Output argument 'varargout{{{len(more) + 1}}}' is not assigned in '{frame.function.name}'.",
                    "MATLAB:unassignedOutputs",
                )
            found += more[: max(1, nargout) - len(fixed)]
        return found

    # statements

    def block(self, statements: tree.Block) -> None:
        """Runs statements one after the other."""
        for statement in statements:
            self.budget.spend()
            try:
                self._statements[type(statement)](statement)
            except ScriptError as error:
                error.place = error.place or self.place(statement.line)
                raise
            except (
                ValueError,
                TypeError,
                LookupError,
                AttributeError,
                ArithmeticError,
                OSError,
            ) as error:  # dagnet's own word
                raise ScriptError(_said(error), self.place(statement.line)) from error

    def _stop(self, node: tree.Unsupported) -> None:
        self._unsupported(node, 0)

    def _evaluate(self, node: tree.Evaluate) -> None:
        found = self.values(node.value, nargout=0)
        named = isinstance(node.value, tree.Chain) and not node.value.steps and node.value.base in self.frame
        if found and not named:
            self.frame["ans"] = found[0]
        if node.shown:
            name = str(node.value.base) if named and isinstance(node.value, tree.Chain) else "ans"
            for value in found:
                self.write(shown(name, value))

    def _assign(self, node: tree.Assign) -> None:
        if not node.several:
            (target,) = node.targets
            assert target is not None
            value = self.one(node.value)
            check_nesting(value)
            self.frame[self._variable(target)] = self.changed(self._old(target), target.steps, value)
        else:
            self._assign_several(node)
        if node.shown:
            for target in node.targets:
                if target is not None:
                    self.write(shown(str(target.base), self.frame[str(target.base)]))

    def _assign_several(self, node: tree.Assign) -> None:
        counts = [1 if t is None else self.count_of(self._old(t), t.steps) for t in node.targets]
        wanted = sum(counts)
        found = self.values(node.value, nargout=wanted)
        needed = max((sum(counts[: i + 1]) for i, t in enumerate(node.targets) if t is not None), default=0)
        if len(found) < needed:
            raise MatlabError(
                f"{wanted} values are wanted where there are {len(found)}.",
                "MATLAB:maxlhs" if found else "MATLAB:unassignedOutputs",
            )
        for target, count in zip(node.targets, counts, strict=True):
            values, found = found[:count], found[count:]
            if target is None:
                continue
            check_nesting(cell(values))
            old = self._old(target)
            new = self.changed(old, target.steps, values[0]) if count == 1 else self.spread(old, target.steps, values)
            self.frame[self._variable(target)] = new

    def _old(self, target: tree.Chain) -> Any:
        return self.frame.get(self._variable(target))

    def _variable(self, target: tree.Chain) -> str:
        assert isinstance(target.base, str)
        return target.base

    def _delete(self, node: tree.Delete) -> None:
        self.frame[self._variable(node.target)] = self.without(self._old(node.target), node.target.steps)
        if node.shown:
            self.write(shown(str(node.target.base), self.frame[str(node.target.base)]))

    def _if(self, node: tree.If) -> None:
        for condition, body in node.branches:
            if truth(self.one(condition)):
                if steps := refused.download(condition, body):
                    self._explain_download(steps)
                self.block(body)
                return
        self.block(node.otherwise)

    def _explain_download(self, steps: list[tree.Chain]) -> None:
        """Raises Refused before the script makes folders and fetches a file, saying what must be there."""
        texts: list[str] = []
        for step in steps:
            args = step.steps[0].args if step.steps and isinstance(step.steps[0], tree.Paren) else ()
            try:
                texts += [text(v, "a file") for v in self.arguments(args, indexed=False)[:2] if is_text(v)]
            except MatlabError:  # an argument that the branch itself would have made
                continue
        wanted = [t for t in texts if t not in ("file", "dir", "var")]
        raise Refused(refused.message(steps[-1].base, wanted), self.place(steps[-1].line))  # type: ignore[arg-type]

    def _for(self, node: tree.For) -> None:
        values = self.one(node.values)
        for value in _columns(values):
            self.budget.spend()
            self.frame[self._variable(node.target)] = self.changed(self._old(node.target), node.target.steps, value)
            if self._stopped(node.body):
                return

    def _while(self, node: tree.While) -> None:
        while truth(self.one(node.condition)):
            self.budget.spend()
            if self._stopped(node.body):
                return

    def _stopped(self, body: tree.Block) -> bool:
        """Runs the body of a loop once; whether a break ended it."""
        try:
            self.block(body)
        except _Jump as jump:
            if jump.kind == "return":
                raise
            return jump.kind == "break"
        return False

    def _switch(self, node: tree.Switch) -> None:
        subject = self.one(node.subject)
        if not is_text(subject) and not is_char(subject) and numel(subject) != 1:
            raise MatlabError("SWITCH expression must be a scalar or a character vector.", "MATLAB:badSwitchExpression")
        for condition, body in node.cases:
            case = self.one(condition)
            if any(_matches(subject, c) for c in (case.ravel() if is_cell(case) else [case])):
                self.block(body)
                return
        self.block(node.otherwise)

    def _try(self, node: tree.Try) -> None:
        try:
            self.block(node.body)
        except MatlabError as error:
            caught = error.thrown or MException(error.message, error.identifier, error.place)
            self.state["lasterr"] = caught
            if node.name:
                self.frame[node.name] = caught
            self.block(node.handler)

    def _jump(self, node: tree.Jump) -> None:
        raise _Jump(node.kind)

    def _declare(self, node: tree.Declare) -> None:
        home = self.globals if node.kind == "global" else self.persistent.setdefault(id(self.frame.function), {})
        for name in node.names:
            self.frame.links[name] = home
            home.setdefault(name, empty())


def _said(error: Exception) -> str:
    notes = getattr(error, "__notes__", [])
    return " ".join([str(error), *notes]) if str(error) else type(error).__name__


def _columns(value: Any) -> Any:
    """What a for loop goes over: the columns, dimensions from the third on counting as more of them."""
    if isinstance(value, Handle) or not isinstance(value, (str, np.ndarray, StructArray)):
        return [value]
    if isinstance(value, str) or shape(value)[0] == 1:
        return elements(value)
    if shape(value)[0] == 0 and numel(value) == 0 and shape(value)[1] == 0:
        return []
    array, closed = indexing.opened(value)
    flat = array.reshape((array.shape[0], -1 if array.size else array.shape[1]), order="F")
    return (closed(flat[:, k : k + 1]) for k in range(flat.shape[1]))


def _matches(subject: Any, case: Any) -> bool:
    if is_text(subject) or is_text(case):
        return is_text(subject) and is_text(case) and text(subject, "switch") == text(case, "switch")
    if not is_number_like(subject) or not is_number_like(case):
        return subject is case
    return numel(case) == 1 and bool(numbers(subject).item() == numbers(case).item())
