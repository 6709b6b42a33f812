"""What scripts can call by name, by topic."""

from . import table as table
