"""Sums along one axis as products, in which BLAS adds up several times faster than np.sum does. (..., D) throughout."""
import numpy as np


def rows_of(x):
    """All rows, one below the other. (..., D) -> (N, D)."""
    return x.reshape(-1, x.shape[-1])


def sum_rows(x):
    """The sum of all rows. (..., D) -> (D,)."""
    rows = rows_of(x)
    return np.ones(len(rows), x.dtype) @ rows


def sum_last(x):
    """The sum of each row. (..., D) -> (..., 1)."""
    return (rows_of(x) @ np.ones(x.shape[-1], x.dtype)).reshape(*x.shape[:-1], 1)


def dot_last(x, y):
    """The sum of each row of x * y. (..., D) -> (..., 1)."""
    return np.vecdot(x, y)[..., None]


def in_blocks(*arrays):
    """Cut arrays of one shape into pieces that stay in the processor's cache from one operation to the next."""
    arrays = [x.reshape(-1) for x in arrays]
    for start in range(0, arrays[0].size, 2**16):
        yield [x[start:start + 2**16] for x in arrays]
