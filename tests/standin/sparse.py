"""The stand-in's sparse matrices: SciPy's inside; their products come in Fortran's order, as cuSPARSE makes them."""

from typing import Any

import numpy as np
import scipy.sparse

from .arrays import ndarray


class _Matrix:
    """What both kinds have."""

    def __init__(self, held: Any) -> None:
        self._held = held
        self.shape, self.dtype, self.nnz = held.shape, held.dtype, held.nnz

    def dot(self, other: Any) -> ndarray:
        """The product with a dense vector or matrix."""
        if not isinstance(other, ndarray):
            raise TypeError(f"not a dense array of CuPy's: {type(other)}")
        return ndarray._of(np.asfortranarray(self._held.dot(other._held)))

    __matmul__ = dot


class csr_matrix(_Matrix):
    """From (data, indices, indptr), all arrays of CuPy's; data single, double, complex or bool."""

    def __init__(
        self, arg1: tuple[ndarray, ndarray, ndarray], shape: tuple[int, int], dtype: Any = None, copy: bool = False
    ) -> None:
        if not all(isinstance(a, ndarray) for a in arg1):
            raise TypeError("csr_matrix: data, indices and indptr must be arrays of CuPy's")
        data, indices, starts = (a._held for a in arg1)
        if data.dtype.char not in "?fdFD":
            raise ValueError(
                f"Only bool, float32, float64, complex64 and complex128 are supported, and data is {data.dtype}"
            )
        super().__init__(scipy.sparse.csr_matrix((data, indices, starts), shape=shape))

    @property
    def T(self) -> "csc_matrix":
        return csc_matrix(self._held.T)


class csc_matrix(_Matrix):
    """The transpose of a csr_matrix."""

    @property
    def T(self) -> "csc_matrix":
        return csc_matrix(self._held.T)
