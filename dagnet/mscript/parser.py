"""A .m file as a syntax tree: tree-sitter finds the structure, precedence.py binds the operators, syntax.py names the parts.

What is valid MATLAB and not known here becomes `Unsupported` in the tree: it stops a run only when it is reached, and check.py
lists it. Text that is not MATLAB raises NotMatlab. Needs the extra `matlab` (tree-sitter, tree-sitter-matlab).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import syntax as tree
from .failures import NotMatlab, Place
from .precedence import Binder, Token

SKIPPED = {"comment", "line_continuation", "\n", ";", ","}
OPERATIONS = {
    "binary_operator",
    "comparison_operator",
    "boolean_operator",
    "unary_operator",
    "not_operator",
    "postfix_operator",
    "range",
}
WRAPPER = "_expression"  # around the operand of f(~x)
DOTTED = ("*", "/", "\\", "^", "'")
JUMPS = {"break_statement": "break", "continue_statement": "continue", "return_statement": "return"}
WORDS = {
    "class_definition": "classdef",
    "arguments_statement": "an arguments block",
    "metaclass_operator": "a metaclass (?)",
    "superclass": "a call of a superclass's method (@)",
    "spmd_statement": "spmd",
}


def parse(path: str | os.PathLike) -> tree.File:
    """The file at that path.

    Raises NotMatlab, with the file, the line and its text, where it is no MATLAB; OSError where it cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:  # MATLAB before 2020 wrote what the machine's locale said
        text = data.decode("latin-1")
    return parse_text(text, str(path))


def parse_text(text: str, path: str) -> tree.File:
    """The same for a text; `path` is for messages, and for what is looked for beside it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"
    file = tree.File(path, text.split("\n"))
    try:
        _Parser(file, text).fill()
    except RecursionError:
        raise NotMatlab("its expressions are nested too deeply", Place(path, 1, file.text_of(1))) from None
    return file


def _grammar() -> Any:
    try:
        import tree_sitter
        import tree_sitter_matlab
    except ImportError:
        raise ImportError(
            "reading .m files needs tree-sitter and tree-sitter-matlab; `pip install dagnet[matlab]` brings them"
        ) from None
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_matlab.language()))


class _Parser:
    def __init__(self, file: tree.File, text: str, first_line: int = 1) -> None:
        self.file = file
        self.source = text.encode("utf-8", "surrogateescape")
        self.first_line = first_line
        self.root = _grammar().parse(self.source).root_node
        if self.root.has_error:
            self._complain()

    def fill(self) -> None:
        self.known = _assigned(self.root, self._text)
        statements = self._block(self.root, self.file.functions, None)
        if statements or not self.file.functions:
            self.file.script = tree.Function("", (), (), statements, self.file, 1)

    def _complain(self) -> None:
        node = next(n for n in _walk(self.root) if n.is_error or n.is_missing)
        line = self._line(node)
        what = (
            f"{node.type!r} is missing" if node.is_missing else f"`{self._text(node).strip()[:60]}` is not understood"
        )
        raise NotMatlab(f"this is not MATLAB: {what}", Place(self.file.path, line, self.file.text_of(line)))

    def _text(self, node: Any) -> str:
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "surrogateescape")

    def _line(self, node: Any) -> int:
        return node.start_point[0] + self.first_line

    # statements

    def _block(self, node: Any | None, functions: dict[str, tree.Function], outer: tree.Function | None) -> tree.Block:
        """The statements among the children of a node; functions among them go into `functions`."""
        found: list[tree.Statement] = []
        children = node.children if node else []
        for i, child in enumerate(children):
            if child.type in SKIPPED:
                continue
            if child.type == "function_definition":
                function = self._function(child, outer)
                functions[function.name] = function
                continue
            shown = not any(c.type == ";" for c in children[i + 1 : i + 2])
            found.append(self._statement(child, shown, functions, outer))
        return tuple(found)

    def _function(self, node: Any, outer: tree.Function | None) -> tree.Function:
        outputs: tuple[str, ...] = ()
        parameters: tuple[str, ...] = ()
        unsupported: list[tree.Statement] = []
        block = None
        for child in node.children:
            if child.type == "function_output":
                outputs = tuple(self._text(n) for n in _walk(child) if n.type == "identifier")
            elif child.type == "function_arguments":
                parameters = tuple(
                    "~" if n.type == "ignored_argument" else self._text(n)
                    for n in child.named_children
                    if n.type in ("identifier", "ignored_argument")
                )
            elif child.type == "block":
                block = child
            elif child.type in WORDS:
                unsupported.append(self._unsupported(child))
        name = self._text(node.child_by_field_name("name"))
        function = tree.Function(name, parameters, outputs, (), self.file, self._line(node), outer=outer)
        known, self.known = self.known, self.known | _assigned(node, self._text)
        function.body = (*unsupported, *self._block(block, function.nested, function))
        self.known = known
        return function

    def _statement(
        self, node: Any, shown: bool, functions: dict[str, tree.Function], outer: tree.Function | None
    ) -> tree.Statement:
        line = self._line(node)

        def block(n: Any | None) -> tree.Block:
            return self._block(_first(n, "block") if n is not None else None, functions, outer)

        if node.type == "assignment":
            return self._assignment(node, shown)
        if node.type == "command":
            return tree.Evaluate(self._command(node), shown, line)
        if node.type == "if_statement":
            clauses = [node, *(c for c in node.children if c.type == "elseif_clause")]
            branches = tuple((self._condition(c), block(c)) for c in clauses)
            return tree.If(branches, block(_first(node, "else_clause")), line)
        if node.type == "for_statement":
            target, values = next(_operands(c) for c in node.children if c.type == "iterator")
            return tree.For(self._chain(target), self._expression(values), block(node), line)
        if node.type == "while_statement":
            return tree.While(self._condition(node), block(node), line)
        if node.type == "switch_statement":
            cases = tuple((self._condition(c), block(c)) for c in node.children if c.type == "case_clause")
            return tree.Switch(self._condition(node), cases, block(_first(node, "otherwise_clause")), line)
        if node.type == "try_statement":
            clause = _first(node, "catch_clause")
            name = _first(clause, "identifier") if clause is not None else None
            return tree.Try(block(node), self._text(name) if name is not None else None, block(clause), line)
        if node.type in JUMPS:
            return tree.Jump(JUMPS[node.type], line)
        if node.type in ("global_operator", "persistent_operator"):
            names = tuple(self._text(n) for n in node.named_children if n.type == "identifier")
            if any(n.type not in ("identifier", *SKIPPED) for n in node.named_children):
                return self._unsupported(node)
            return tree.Declare(node.type.split("_")[0], names, line)
        if node.type in WORDS:
            return self._unsupported(node)
        return tree.Evaluate(self._expression(node), shown, line)

    def _condition(self, node: Any) -> tree.Expression:
        return self._expression(node.child_by_field_name("condition") or _operands(node)[0])

    def _assignment(self, node: Any, shown: bool) -> tree.Statement:
        left, right, line = node.child_by_field_name("left"), node.child_by_field_name("right"), self._line(node)
        if left.type == "multioutput_variable":
            parts = [n for n in left.named_children if n.type not in SKIPPED]
            targets = tuple(None if n.type == "ignored_argument" else self._chain(n) for n in parts)
            return tree.Assign(targets, self._expression(right), True, shown, line)
        target = self._chain(left)
        empty = right.type == "matrix" and not [n for n in right.named_children if n.type not in SKIPPED]
        if empty and target.steps and isinstance(target.steps[-1], tree.Paren):
            return tree.Delete(target, shown, line)
        return tree.Assign((target,), self._expression(right), False, shown, line)

    def _command(self, node: Any) -> tree.Expression:
        """`hold on` calls hold('on'); but `x -1`, where x is a variable, is an expression."""
        text, line = self._text(node), self._line(node)
        if text.startswith("!"):
            return tree.Chain("!", (tree.Paren((tree.Text(text[1:]),)),), line)
        name = self._text(_first(node, "command_name"))
        args = tuple(self._command_argument(n) for n in node.named_children if n.type == "command_argument")
        if args and name in self.known:
            inner = _Parser(self.file, f"({text})\n", line)
            inner.known = self.known
            (parenthesis,) = _operands(inner.root)
            return inner._expression(parenthesis)
        return tree.Chain(name, (tree.Paren(args),) if args else (), line)

    def _command_argument(self, node: Any) -> tree.Text:
        text = self._text(node)
        return tree.Text(text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text)

    def _unsupported(self, node: Any) -> tree.Unsupported:
        return tree.Unsupported(WORDS.get(node.type, f"the construct {node.type!r}"), self._line(node))

    # expressions

    def _expression(self, node: Any) -> tree.Expression:
        if node.type in (WRAPPER, *OPERATIONS):
            return Binder(list(self._tokens(node))).bound()
        if node.type in ("identifier", "function_call", "field_expression"):
            return self._chain(node)
        if node.type == "number":
            return tree.Number(self._text(node))
        if node.type == "string":
            text = self._text(node)
            return tree.Text(text[1:-1].replace(text[0] * 2, text[0]), text[0] == '"')
        if node.type == "spread_operator":
            return tree.Colon()
        if node.type == "end_keyword":
            return tree.End()
        if node.type == "parenthesis":
            (inner,) = _operands(node)
            return tree.Chain(self._expression(inner), (), self._line(node))
        if node.type in ("matrix", "cell"):
            rows = tuple(
                tuple(self._expression(n) for n in _operands(row)) for row in node.named_children if row.type == "row"
            )
            rows = tuple(row for row in rows if row)
            return (tree.Matrix if node.type == "matrix" else tree.CellLiteral)(rows)
        if node.type == "lambda":
            arguments = _first(node, "arguments")
            parameters = () if arguments is None else tuple(self._text(n) for n in _operands(arguments))
            body = self._expression(node.child_by_field_name("expression"))
            return tree.Lambda(parameters, body, " ".join(self._text(node).split()))
        if node.type == "handle_operator":
            return tree.FunctionRef(self._text(node).lstrip("@").strip(), self._line(node))
        return self._unsupported(node)

    def _tokens(self, node: Any) -> Iterator[Token]:
        if node.type == WRAPPER:
            (node,) = _operands(node)
        if node.type not in OPERATIONS:
            yield "operand", self._expression(node)
            return
        children = [c for c in node.children if c.type not in SKIPPED]
        for i, child in enumerate(children):
            if child.is_named:
                yield from self._tokens(child)
            elif node.type == "postfix_operator":
                yield "postfix", self._operator(child)
            else:
                yield "prefix" if i == 0 else "binary", self._operator(child)

    def _operator(self, node: Any) -> str:
        """The operator; the grammar gives the point of 1./x to the number."""
        dotted = node.type in DOTTED and self.source[node.start_byte - 1 : node.start_byte] == b"."
        return f".{node.type}" if dotted else node.type

    def _chain(self, node: Any) -> tree.Chain:
        base, steps = self._unrolled(node)
        return tree.Chain(base, tuple(steps), self._line(node))

    def _unrolled(self, node: Any) -> tuple[str | tree.Expression, list[tree.Step]]:
        if node.type == "identifier":
            return self._text(node), []
        if node.type == "function_call":
            base, steps = self._unrolled(node.child_by_field_name("name"))
            arguments = _first(node, "arguments")
            args = () if arguments is None else tuple(self._expression(n) for n in _operands(arguments))
            braces = any(c.type == "{" for c in node.children)
            return base, [*steps, tree.Brace(args) if braces else tree.Paren(args)]
        if node.type == "field_expression":
            base, steps = self._unrolled(node.child_by_field_name("object"))
            for part in node.children_by_field_name("field"):
                steps += self._field_steps(part)
            return base, steps
        return self._expression(node), []

    def _field_steps(self, node: Any) -> list[tree.Step]:
        if node.type == "indirect_access":
            (name,) = _operands(node)
            return [tree.Field(self._expression(name))]
        name, steps = self._unrolled(node)
        return [tree.Field(name), *steps]


def _walk(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _first(node: Any, kind: str) -> Any | None:
    return next((c for c in node.children if c.type == kind), None)


def _operands(node: Any) -> list[Any]:
    return [n for n in node.named_children if n.type not in SKIPPED]


def _assigned(node: Any, text: Any) -> set[str]:
    """The names that assignments, loops and parameters below a node make variables: they decide what a command is."""
    names = set()
    for n in _walk(node):
        if n.type in ("assignment", "iterator", "function_arguments", "function_output"):
            left = n.child_by_field_name("left") or n
            for part in left.named_children if left.type != "identifier" else [left]:
                while part.type in ("function_call", "field_expression"):
                    part = part.child_by_field_name("name") or part.child_by_field_name("object")
                if part.type == "identifier":
                    names.add(text(part))
                if n.type == "iterator":
                    break
            if left.type in ("function_call", "field_expression"):
                part = left
                while part.type in ("function_call", "field_expression"):
                    part = part.child_by_field_name("name") or part.child_by_field_name("object")
                names.add(text(part))
    return names
