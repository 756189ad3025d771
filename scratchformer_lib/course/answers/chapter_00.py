"""Welcome: what we build, and what it is made of. Made from solutions/00_welcome.py: edit there."""


def row_sums(x):
    """Add up the numbers of each row.

    x: (..., T, D), where the dots are any axes in front.
    Returns (..., T).
    """
    return x.sum(axis=-1)


def add_to_each_row(x, b):
    """Add to every row a number of its own.

    x: (..., T, D). b: (..., T), one number for each row.
    Returns (..., T, D).
    """
    return x + b[..., None]


def batch_matmul(a, b):
    """Multiply two stacks of matrices, item by item.

    a: (B, T, D). b: (B, D, S).
    Returns (B, T, S): item i is the matrix product of a[i] and b[i].
    """
    return a @ b
