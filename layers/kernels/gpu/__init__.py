"""Launchers of the CUDA kernels in ../*.cu."""
