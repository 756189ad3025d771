"""Multi-head attention: several looks at once. Made from solutions/04_multi_head.py: edit there."""


def count_parameters(d_model, n_heads, d_k=None, d_v=None):
    """Count the numbers in the four matrices of multi-head attention, without making them.

    d_model: D. n_heads: H. d_k, d_v: sizes of a head's queries and keys, and of its values; D / H if None.
    Returns a whole number.
    """
    d_k = d_model // n_heads if d_k is None else d_k
    d_v = d_model // n_heads if d_v is None else d_v
    return 2 * d_model * n_heads * d_k + 2 * d_model * n_heads * d_v
