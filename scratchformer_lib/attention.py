"""Attention: words look at each other. Made from solutions/03_attention.py and solutions/11_gradients_by_hand.py: edit
there."""
import functools
import math

import numpy as np

from .autograd import differentiable, unbroadcast
from .softmax import softmax, softmax_gradient
from .support.arguments import check_attention, check_count, check_ids, check_masks, check_projections, check_sequence


def scaled_dot_product_attention(q, k, v, mask=None):
    """Let every query blend the values by how well their keys fit it.

    q: queries (..., T, d_k). k: keys (..., S, d_k). v: values (..., S, d_v).
    mask: bool, (T, S) or as many axes as the scores; True where a query may look. None: everywhere.
    Returns (output (..., T, d_v), weights (..., T, S)). Weights of a query add up to 1; one that may look at nothing
    has zeros. What is masked must be finite all the same: 0 times nan is nan.
    Raises ValueError where shapes do not fit, or a mask is not bool or would enlarge the scores.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.2.1.
    """
    check_attention(q, k, v, mask)
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    if mask is None:
        weights = softmax(scores)
    else:
        lowest = np.finfo(scores.dtype).min
        weights = softmax(np.where(mask, scores, lowest)) * mask
    return weights @ v, weights


scaled_dot_product_attention = differentiable(scaled_dot_product_attention)


@scaled_dot_product_attention.fused
def attention_forward(q, k, v, mask=None):
    """What scaled_dot_product_attention returns, and its way back, which uses the weights.

    The way back takes `out`, too: three arrays to write the gradients of q, k and v into.
    """
    check_attention(q, k, v, mask)
    scale = 1 / math.sqrt(q.shape[-1])
    q_scaled = q * scale                                # cheaper than to scale the scores
    w = k @ np.swapaxes(q_scaled, -1, -2)               # (..., S, T): NumPy is faster down the columns
    if mask is not None:
        w += np.ascontiguousarray(np.swapaxes(np.where(mask, 0, -np.inf), -1, -2), w.dtype)
    w -= np.maximum(np.max(w, axis=-2, keepdims=True), np.finfo(w.dtype).min)
    np.exp(w, out=w)
    total = np.ones(w.shape[-2], w.dtype) @ w
    w /= np.maximum(total, np.finfo(w.dtype).tiny)[..., None, :]        # nothing to look at: zeros
    weights, axes = np.swapaxes(w, -1, -2), np.broadcast_shapes(w.shape[:-2], v.shape[:-2])
    y = np.empty_like(q, np.result_type(w, v), shape=(*axes, q.shape[-2], v.shape[-1]))
    np.matmul(weights, v, out=y)                        # laid out as q is: merge_heads will copy nothing

    def way_back(dy, d_weights=None, out=(None, None, None)):
        if dy is None:
            dy = np.zeros_like(y)
        dw = unbroadcast(v @ np.swapaxes(dy, -1, -2), w.shape)
        if d_weights is not None:
            dw += np.swapaxes(d_weights, -1, -2)
        dw = softmax_gradient(dw, w, None, axis=-2)
        dq, dk, dv = out
        dq = np.matmul(np.swapaxes(dw, -1, -2), k, out=dq)
        dq *= scale
        return dq, np.matmul(dw, q_scaled, out=dk), np.matmul(w, dy, out=dv)

    return (y, weights), way_back


def self_attention(x, W_Q, W_K, W_V, mask=None):
    """Let every word look at the words of its own sentence.

    x: (..., T, D). W_Q, W_K: (D, d_k). W_V: (D, d_v).
    mask: bool, as in scaled_dot_product_attention.
    Returns (output (..., T, d_v), weights (..., T, T)).
    Raises ValueError where shapes do not fit.
    """
    check_projections(x, x, W_Q, W_K, W_V, mask)
    return scaled_dot_product_attention(x @ W_Q, x @ W_K, x @ W_V, mask)


def causal_mask(length):
    """Let each position look at itself and at what came before it.

    length: T, the number of positions.
    Returns (T, T), bool; True where row i may look at column j. Raises ValueError for a length below 1.
    """
    check_count("length", length)
    return np.tri(length, dtype=bool)


def causal_attention(x, W_Q, W_K, W_V):
    """Let every word look at itself and at the words before it.

    x: (..., T, D). W_Q, W_K: (D, d_k). W_V: (D, d_v).
    Returns (output (..., T, d_v), weights (..., T, T)). Raises ValueError where shapes do not fit.
    """
    check_sequence("x", x)
    return self_attention(x, W_Q, W_K, W_V, causal_mask(x.shape[-2]))


def padding_mask(ids, pad_id):
    """Let every position look at words alone, not at padding.

    ids: (..., S), whole numbers; mostly (B, S). pad_id: the id of padding.
    Returns (..., 1, 1, S), bool; True where there is a word. The axes of size 1 stand for heads and for queries.
    Raises ValueError where ids are not whole numbers.
    """
    check_ids("ids", ids)
    ids = np.asarray(ids)
    return (ids != pad_id)[..., None, None, :]


def combine_masks(*masks):
    """Allow what every mask allows.

    masks: bool arrays, (T, S) or with as many axes as the largest, that fit each other; None stands for no mask.
    Returns a bool array of the shape they broadcast to, None if there is no mask at all.
    Raises ValueError where a mask is not bool or does not fit the others.
    """
    masks = [mask for mask in masks if mask is not None]
    check_masks(masks)
    return functools.reduce(np.logical_and, masks) if masks else None
