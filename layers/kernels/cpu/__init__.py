"""Loops for the CPU that numba compiles at their first use and keeps on disk."""
