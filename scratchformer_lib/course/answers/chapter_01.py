"""Softmax: from scores to shares. Made from solutions/01_softmax.py: edit there."""
import numpy as np

from ...softmax import log_softmax, softmax


def with_temperature(x, temperature, axis=-1):
    """Turn scores into shares, more even at a high temperature, more pointed at a low one.

    x: scores, of any shape. temperature: a number above 0; at 1 this is softmax.
    Returns shares of the same shape that add up to 1 along axis.
    Source: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015, section 2.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    return softmax(x / temperature, axis=axis)


def surprise(x, truth):
    """Tell how surprised a model is by what really came: -log p(truth).

    x: (T, n_vocab), the scores of T predictions. truth: (T,), the ids of the words that came.
    Returns (T,), in nats.
    Source: Shannon, "A mathematical theory of communication", 1948.
    """
    rows = np.arange(len(truth))
    return -log_softmax(x)[rows, truth]
