"""The block: look around, then think. Made from solutions/05_block.py and solutions/11_gradients_by_hand.py: edit
there."""
import math

import numpy as np

from .autograd import differentiable
from .multi_head import init_linear, init_multi_head, linear, multi_head_attention
from .support.arguments import check_axes, check_block, check_count, check_linear, check_rate, check_vector
from .support.sums import dot_last, in_blocks, sum_last, sum_rows


def relu(x):
    """Keep what is positive, and make the rest 0. x: any shape. Returns the same shape."""
    return np.maximum(x, 0)


def gelu(x):
    """Multiply x by about the chance that a standard normal number is below it: a smooth ReLU.

    x: any shape. Returns the same shape, by the formula with tanh, which is within 0.0005 of the exact one.
    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.
    """
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


gelu = differentiable(gelu)


@gelu.fused
def gelu_forward(x):
    """What gelu returns, and its way back, for which the slope is computed on the way forward."""
    a, b = math.sqrt(2 / math.pi), 0.044715 * math.sqrt(2 / math.pi)
    y, slope = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    for x_, y_, slope_ in in_blocks(x, y, slope):
        square = x_ * x_
        gate = square * b
        gate += a
        gate *= x_
        np.tanh(gate, out=gate)
        gate *= 0.5
        gate += 0.5                                     # (1 + tanh(a x + b x^3)) / 2
        np.multiply(x_, gate, out=y_)
        square *= 6 * b
        square += 2 * a
        np.subtract(1, gate, out=slope_)                # gate + y (1 - gate) (2 a + 6 b x^2)
        slope_ *= y_
        slope_ *= square
        slope_ += gate
    return y, lambda dy: np.multiply(dy, slope, out=slope)


relu = differentiable(relu)


@relu.gradient
def relu_gradient(dy, y, x):
    """The gradient of relu: dy where x was positive."""
    return dy * (y > 0)


def feed_forward(x, W_1, b_1, W_2, b_2, activation=gelu):
    """Let every position think by itself: out into F numbers, a bend, and back.

    x: (..., T, D). W_1: (D, F). b_1: (F,). W_2: (F, D). b_2: (D,). activation: relu or gelu.
    Returns (..., T, D). Raises ValueError where shapes do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.3.
    """
    check_axes("x", x, 1)
    check_linear(x.shape[-1], W_1, b_1, ("W_1", "b_1"))
    check_linear(W_1.shape[1], W_2, b_2, ("W_2", "b_2"))
    return linear(activation(linear(x, W_1, b_1)), W_2, b_2)


def layer_norm(x, gamma, beta, eps=1e-5):
    """Bring every position's vector to mean 0 and variance 1; then stretch it by gamma and shift it by beta.

    x: (..., D). gamma, beta: (D,).
    eps: a Python number, added to the variance, so that a constant vector is not divided by 0.
    Returns (..., D). Raises ValueError where shapes do not fit.
    Source: Ba, Kiros and Hinton, "Layer normalization", 2016.
    """
    check_axes("x", x, 1)
    check_vector("gamma", gamma, x.shape[-1])
    check_vector("beta", beta, x.shape[-1])
    centered = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centered * centered, axis=-1, keepdims=True)
    return gamma * centered / np.sqrt(variance + eps) + beta


layer_norm = differentiable(layer_norm)


def layer_norm_gradient(dy, x_hat, scale, gamma):
    """The gradient of layer_norm, from what its way forward has kept.

    dy: the gradient of y = gamma * x_hat + beta, (..., D). x_hat: (x - mean) * scale, (..., D).
    scale: 1 / sqrt(variance + eps), (..., 1). gamma: (D,).
    Returns (dx, d_gamma, d_beta): (..., D), (D,) and (D,).
    """
    dx = dy * gamma
    mean, along = sum_last(dx) / dx.shape[-1], dot_last(dx, x_hat) / dx.shape[-1]
    dx -= mean
    dx -= x_hat * along
    dx *= scale
    return dx, sum_rows(dy * x_hat), sum_rows(dy)


@layer_norm.fused
def layer_norm_forward(x, gamma, beta, eps=1e-5):
    """What layer_norm returns, and its way back, which uses what the way forward has computed."""
    check_axes("x", x, 1)
    check_vector("gamma", gamma, x.shape[-1])
    check_vector("beta", beta, x.shape[-1])
    x_hat = x - sum_last(x) / x.shape[-1]
    scale = 1 / np.sqrt(dot_last(x_hat, x_hat) / x.shape[-1] + eps)
    x_hat *= scale
    y = gamma * x_hat
    y += beta
    return y, lambda dy: layer_norm_gradient(dy, x_hat, scale, gamma)


def dropout(x, rate, rng):
    """While training, set each number to 0 with chance `rate`, and enlarge the others so that the mean stays.

    x: any shape. rate: a Python number, at least 0, below 1.
    rng: a np.random.Generator; None means: not training, x comes back.
    Returns an array of x's shape. Raises ValueError for another rate.
    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """
    check_rate("rate", rate)
    if rng is None or rate == 0:
        return x
    keep = rng.random(x.shape) >= rate
    return x * keep / (1 - rate)


def transformer_block(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    """Let words look at each other, then let each think by itself; each time, add what comes out to what came in.

    x: (..., T, D). params: a dict of "attention", "norm_1", "feed_forward" and "norm_2", as init_block draws it.
    n_heads: H. mask: bool, as in multi_head_attention. activation: relu or gelu.
    pre_norm: normalize what goes into each part, instead of each sum.
    rate, rng: of the dropout on what each part adds.
    record: a dict that receives "attention", the weights (..., H, T, T).
    Returns (..., T, D). Raises ValueError where shapes do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, sections 3.1 and 5.4; pre-norm: Xiong et al., "On layer
    normalization in the Transformer architecture", 2020.
    """
    check_block(x, params, n_heads, mask, rate)

    def attend(x):
        output, weights = multi_head_attention(x, x, **params["attention"], n_heads=n_heads, mask=mask)
        if record is not None:
            record["attention"] = weights
        return dropout(output, rate, rng)

    def think(x):
        return dropout(feed_forward(x, **params["feed_forward"], activation=activation), rate, rng)

    def norm(x, name):
        return layer_norm(x, **params[name])

    if pre_norm:
        x = x + attend(norm(x, "norm_1"))
        return x + think(norm(x, "norm_2"))
    x = norm(x + attend(x), "norm_1")
    return norm(x + think(x), "norm_2")


def init_feed_forward(rng, d_model, d_ff):
    """Draw the parameters of feed_forward.

    rng: a np.random.Generator. d_model: D. d_ff: F.
    Returns a dict of W_1 (D, F), b_1 (F,), W_2 (F, D) and b_2 (D,), float32. Raises ValueError for sizes below 1.
    """
    check_count("d_model", d_model)
    check_count("d_ff", d_ff)
    return {"W_1": init_linear(rng, d_model, d_ff), "b_1": np.zeros(d_ff, np.float32),
            "W_2": init_linear(rng, d_ff, d_model), "b_2": np.zeros(d_model, np.float32)}


def init_layer_norm(d_model):
    """Make the parameters of layer_norm: gamma of ones, beta of zeros.

    d_model: D.
    Returns a dict of gamma and beta, both (D,), float32. Raises ValueError for a size below 1.
    """
    check_count("d_model", d_model)
    return {"gamma": np.ones(d_model, np.float32), "beta": np.zeros(d_model, np.float32)}


def init_block(rng, d_model, n_heads, d_ff, d_k=None, d_v=None):
    """Draw the parameters of transformer_block.

    rng: a np.random.Generator. d_model: D. n_heads: H. d_ff: F. d_k, d_v: sizes of a head; D / H if None.
    Returns a dict of "attention", "norm_1", "feed_forward" and "norm_2", each a dict of float32 arrays.
    Raises ValueError where d_model is not divisible by n_heads and d_k or d_v is missing.
    """
    return {"attention": init_multi_head(rng, d_model, n_heads, d_k, d_v), "norm_1": init_layer_norm(d_model),
            "feed_forward": init_feed_forward(rng, d_model, d_ff), "norm_2": init_layer_norm(d_model)}
