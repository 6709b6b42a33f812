"""`python -m dagnet.matconvnet` prints the table MatConvNet -> dagnet."""

from .table import table

print(table(), end="")
