"""Multi-head attention: several looks at once. Made from solutions/04_multi_head.py and
solutions/11_gradients_by_hand.py: edit there."""
import itertools
import math

import numpy as np

from .attention import scaled_dot_product_attention
from .autograd import differentiable
from .support.arguments import check_axes, check_count, check_heads, check_linear, check_multi_head
from .support.sums import rows_of, sum_rows


def split_heads(x, n_heads):
    """Cut the last axis into heads, and put the heads before the positions.

    x: (..., T, H * d). n_heads: H.
    Returns (..., H, T, d). Head h has columns h * d to (h + 1) * d.
    Raises ValueError where the last axis is not divisible by n_heads.
    """
    check_axes("x", x, 2)
    check_heads("the last axis of x", x.shape[-1], n_heads)
    return np.swapaxes(x.reshape(*x.shape[:-1], n_heads, -1), -2, -3)


def merge_heads(x):
    """Put the heads side by side again: what split_heads did, undone.

    x: (..., H, T, d).
    Returns (..., T, H * d). Raises ValueError where x has fewer than three axes.
    """
    check_axes("x", x, 3)
    x = np.swapaxes(x, -2, -3)
    return x.reshape(*x.shape[:-2], -1)


def linear(x, W, b=None):
    """Multiply every row by a matrix, and add a bias if there is one.

    x: (..., n_in). W: (n_in, n_out). b: (n_out,).
    Returns (..., n_out). Raises ValueError where shapes do not fit.
    """
    check_axes("x", x, 1)
    check_linear(x.shape[-1], W, b)
    y = x.reshape(-1, W.shape[0]) @ W                   # one large product
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], W.shape[1])


linear = differentiable(linear)


@linear.gradient
def linear_gradient(dy, y, x, W, b=None):
    """The gradient of linear.

    dy: the gradient of y, (..., n_out). y: (..., n_out). x: (..., n_in). W: (n_in, n_out). b: (n_out,) or None.
    Returns (dx, dW, db), each of the shape of its array; db is None where b is.
    """
    dx = (rows_of(dy) @ W.T).reshape(x.shape)
    dW = rows_of(x).T @ rows_of(dy)
    return dx, dW, None if b is None else sum_rows(dy)


def init_linear(rng, n_in, n_out):
    """Draw a matrix for `linear` that keeps signals about as large as they were, forwards and backwards.

    rng: a np.random.Generator. n_in, n_out: the sizes of a row before and after.
    Returns (n_in, n_out), float32. Raises ValueError for sizes below 1.
    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    check_count("n_in", n_in)
    check_count("n_out", n_out)
    return rng.standard_normal((n_in, n_out), dtype=np.float32) * math.sqrt(2 / (n_in + n_out))


def init_multi_head(rng, d_model, n_heads, d_k=None, d_v=None):
    """Draw the matrices of multi_head_attention.

    rng: a np.random.Generator. d_k, d_v: sizes of a head's queries and keys, and of its values; D / H if None.
    Returns a dict of W_Q, W_K (D, H * d_k), W_V (D, H * d_v) and W_O (H * d_v, D), float32.
    Raises ValueError where d_model is not divisible by n_heads and d_k or d_v is missing.
    """
    check_count("d_model", d_model)
    check_count("n_heads", n_heads)
    if d_k is None or d_v is None:
        check_heads("d_model", d_model, n_heads)
    d_k = d_model // n_heads if d_k is None else d_k
    d_v = d_model // n_heads if d_v is None else d_v
    check_count("d_k", d_k)
    check_count("d_v", d_v)
    return {"W_Q": init_linear(rng, d_model, n_heads * d_k), "W_K": init_linear(rng, d_model, n_heads * d_k),
            "W_V": init_linear(rng, d_model, n_heads * d_v), "W_O": init_linear(rng, n_heads * d_v, d_model)}


def multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    """Let every position of x look into memory with several heads at once.

    x: (..., T, D), gives the queries. memory: (..., S, D), gives keys and values; x itself in self-attention.
    W_Q, W_K: (D, H * d_k). W_V: (D, H * d_v). W_O: (H * d_v, D_out), mostly D_out = D. n_heads: H.
    mask: bool, (T, S) or (..., H, T, S) with axes of size 1 where it is the same for all; True where a query may look.
    Returns (output (..., T, D_out), weights (..., H, T, S)).
    Raises ValueError where shapes do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.2.2.
    """
    check_multi_head(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    q = split_heads(linear(x, W_Q), n_heads)
    k = split_heads(linear(memory, W_K), n_heads)
    v = split_heads(linear(memory, W_V), n_heads)
    output, weights = scaled_dot_product_attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


multi_head_attention = differentiable(multi_head_attention)


@multi_head_attention.fused
def multi_head_forward(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    """What multi_head_attention returns, and its way back: the ways back of its parts, in a row.

    Queries, keys and values of one array come out of one wide product, and their gradients go into one.
    """
    check_multi_head(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    if memory.shape[:-2] != x.shape[:-2]:
        axes = np.broadcast_shapes(memory.shape[:-2], x.shape[:-2])
        x, memory = (np.broadcast_to(z, (*axes, *z.shape[-2:])) for z in (x, memory))
    sources = [(x, [W_Q, W_K, W_V])] if memory is x else [(x, [W_Q]), (memory, [W_K, W_V])]
    wide = [(z, np.concatenate(matrices, axis=1)) for z, matrices in sources]

    def heads(arrays):                                  # views, so that their gradients can be written into one array
        return [np.swapaxes(part.reshape(*part.shape[:-1], n_heads, -1), -2, -3)
                for y, (_, matrices) in zip(arrays, sources, strict=True) for part in columns(y, matrices)]

    projected = [linear(z, W) for z, W in wide]
    (y, weights), attention_back = scaled_dot_product_attention.forward(*heads(projected), mask)
    merged = merge_heads(y)

    def way_back(dy, d_weights=None):
        if dy is None:
            dy = np.zeros((*x.shape[:-1], W_O.shape[1]), x.dtype)
        d_merged, dW_O, _ = linear_gradient(dy, None, merged, W_O)
        d_projected = [np.empty_like(y) for y in projected]
        attention_back(split_heads(d_merged, n_heads), d_weights, out=heads(d_projected))
        dz, dW, _ = zip(*(linear_gradient(d, None, z, W) for d, (z, W) in zip(d_projected, wide, strict=True)),
                        strict=True)
        dW = [part for d, (_, matrices) in zip(dW, sources, strict=True) for part in columns(d, matrices)]
        return dz[0], dz[1] if len(dz) == 2 else np.zeros_like(x), *dW, dW_O

    return (linear(merged, W_O), weights), way_back


def columns(y, matrices):
    """Cut y = z @ np.concatenate(matrices, axis=1) into the columns that belong to each matrix."""
    ends = itertools.accumulate(W.shape[1] for W in matrices)
    return [y[..., end - W.shape[1]:end] for W, end in zip(matrices, ends, strict=True)]
