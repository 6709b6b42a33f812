"""Operators bound as MATLAB binds them, whatever the parser's grammar said.

From the tightest: .' .^ ' ^ (left to right), + - ~ before an operand, .* ./ .\\ * / \\, + -, :, < <= > >= == ~=, &, |, &&, ||.
So -2^2 is -4, 2^-1^2 is 0.25, ~a == b is (~a) == b, -a' is -(a'), 1:n+1 is 1:(n+1).
Source   MATLAB's documentation, "Operator Precedence"
"""

from typing import Any

from .syntax import Binary, Expression, Postfix, Range, ShortCircuit, Unary

LEVELS = {"||": 1, "&&": 2, "|": 3, "&": 4}
LEVELS |= dict.fromkeys(("<", "<=", ">", ">=", "==", "~="), 5)
LEVELS |= {":": 6}
LEVELS |= dict.fromkeys(("+", "-"), 7)
LEVELS |= dict.fromkeys(("*", "/", "\\", ".*", "./", ".\\"), 8)
POWER = 9
LEVELS |= dict.fromkeys(("^", ".^", "'", ".'"), POWER)

# "operand", "prefix", "binary" or "postfix", and the operand's tree or the operator
Token = tuple[str, Any]


class Binder:
    """Binds one expression's operands and operators, given in the order in which they stand."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def bound(self) -> Expression:
        return self._expression(0)

    def _expression(self, lowest: int) -> Expression:
        left = self._operand()
        while (operator := self._operator()) is not None and LEVELS[operator] >= lowest:
            kind, _ = self._next()
            if kind == "postfix":
                left = Postfix(operator, left)
            elif operator == ":":
                left = self._range(left)
            elif LEVELS[operator] == POWER:
                left = Binary(operator, left, self._exponent())
            else:
                right = self._expression(LEVELS[operator] + 1)
                left = (ShortCircuit if operator in ("&&", "||") else Binary)(operator, left, right)
        return left

    def _operand(self) -> Expression:
        kind, value = self._next()
        return Unary(value, self._expression(POWER)) if kind == "prefix" else value

    def _exponent(self) -> Expression:
        """What stands after ^: signs and one operand, so that 2^-1^2 is (2^-1)^2."""
        kind, value = self._next()
        return Unary(value, self._exponent()) if kind == "prefix" else value

    def _range(self, start: Expression) -> Expression:
        second = self._expression(LEVELS[":"] + 1)
        if self._operator() != ":":
            return Range(start, None, second)
        self._next()
        return Range(start, second, self._expression(LEVELS[":"] + 1))

    def _operator(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def _next(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]
