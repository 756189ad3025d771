"""Gradients: the way down. Made from solutions/09_gradients.py: edit there."""
import numpy as np

from ...softmax import softmax


def numerical_gradient(f, x, eps=1e-6):
    """The slope of f in the direction of every entry of x, by two small steps for each.

    f: a function from an array of x's shape to a number. x: any shape, float64. eps: the size of a step.
    Returns an array of x's shape.
    """
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        gradient[i] = (f(x + step) - f(x - step)) / (2 * eps)
    return gradient


def descend(table, inputs, labels, rate):
    """Take one step down the loss of a bigram model.

    table: (n_vocab, n_vocab), scores; row i for what comes after word i.
    inputs, labels: (N,), ids: the words, and what came after each. rate: how large a step.
    Returns the new table.
    """
    d = softmax(table[inputs])
    d[np.arange(len(labels)), labels] -= 1
    gradient = np.zeros_like(table)
    np.add.at(gradient, inputs, d / len(labels))
    return table - rate * gradient
