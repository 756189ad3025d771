"""The decoder: a stack that writes. Made from solutions/07_decoder.py: edit there."""
import numpy as np


def cross_attention_inputs(target, source, W_Q, W_K, W_V):
    """Make what attention takes, where one sequence reads another.

    target: (..., T, D), the words that read. source: (..., S, D_source), the words that are read.
    W_Q: (D, d_k). W_K: (D_source, d_k). W_V: (D_source, d_v).
    Returns (q, k, v): (..., T, d_k), (..., S, d_k) and (..., S, d_v).
    """
    return target @ W_Q, source @ W_K, source @ W_V


def future_leak(f, x, rng):
    """Tell whether any output of f depends on an input at a later position.

    f: a function that takes (..., T, D) and returns (..., T, D_out). x: (..., T, D). rng: a np.random.Generator.
    Returns True if outputs up to some position move when the inputs after it are exchanged; else False.
    """
    before = f(x)
    for t in range(1, x.shape[-2]):
        other = x.copy()
        other[..., t:, :] = rng.standard_normal(other[..., t:, :].shape)
        if not np.allclose(f(other)[..., :t, :], before[..., :t, :]):
            return True
    return False
