"""Softmax: from scores to shares. Made from solutions/01_softmax.py and solutions/11_gradients_by_hand.py: edit
there."""
import numpy as np

from .autograd import differentiable


def softmax(x, axis=-1):
    """Turn scores into shares: positive, and adding up to 1 along an axis.

    x: scores, of any shape. A score of -inf gets the share 0.
    axis: along which the shares add up to 1.
    Returns shares of the same shape; NaN where all scores along the axis are -inf.
    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    shifted = x - np.max(x, axis=axis, keepdims=True)
    positive = np.exp(shifted)
    return positive / np.sum(positive, axis=axis, keepdims=True)


softmax = differentiable(softmax)


@softmax.gradient
def softmax_gradient(dy, y, x, axis=-1):
    """The gradient of softmax.

    dy: the gradient of y. y: the shares, softmax(x, axis). x: the scores. axis: along which shares add up to 1.
    Returns dx, of their shape.
    """
    return y * (dy - np.sum(dy * y, axis=axis, keepdims=True))


def log_softmax(x, axis=-1):
    """Return the natural logarithm of softmax, exact also where the shares themselves round to zero.

    x: scores, of any shape. A score of -inf gets -inf.
    axis: along which the shares add up to 1.
    Returns logarithms of the same shape, none above 0.
    """
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


log_softmax = differentiable(log_softmax)


@log_softmax.gradient
def log_softmax_gradient(dy, y, x, axis=-1):
    """The gradient of log_softmax; arguments as in softmax_gradient."""
    return dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True)
