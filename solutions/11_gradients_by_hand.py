# %% [markdown]
# # 11 · Gradients by hand: every line, and fast
#
# <!-- badges -->
# <!-- /badges -->
#
# **The question: what is left to gain, when the gradients are right already?**

# %%
#| setup

# %%
#| given
#| export
import math

import numpy as np

from scratchformer_lib.attention import scaled_dot_product_attention
from scratchformer_lib.autograd import check_gradients, differentiable, unbroadcast, value_and_grad
from scratchformer_lib.block import gelu, layer_norm, relu
from scratchformer_lib.embeddings import embed
from scratchformer_lib.multi_head import linear, merge_heads, multi_head_attention, split_heads
from scratchformer_lib.softmax import log_softmax, softmax
from scratchformer_lib.support.arguments import check_attention, check_axes, check_linear, check_multi_head, check_vector
from scratchformer_lib.support.sums import dot_last, in_blocks, rows_of, sum_last, sum_rows
from scratchformer_lib.training import cross_entropy

# %% [markdown]
# **Exercise 11.1.** linear_gradient

# %%
#| export multi_head
linear = differentiable(linear)


@linear.gradient
def linear_gradient(dy, y, x, W, b=None):
    """The gradient of linear.

    dy: the gradient of y, (..., n_out). y: (..., n_out). x: (..., n_in). W: (n_in, n_out). b: (n_out,) or None.
    Returns (dx, dW, db), each of the shape of its array; db is None where b is.
    """
    ### BEGIN SOLUTION
    dx = (rows_of(dy) @ W.T).reshape(x.shape)
    dW = rows_of(x).T @ rows_of(dy)
    return dx, dW, None if b is None else sum_rows(dy)
    ### END SOLUTION

# %%
check(linear_gradient)

# %% [markdown]
# **Exercise 11.2.** softmax_gradient

# %%
#| export softmax
softmax = differentiable(softmax)


@softmax.gradient
def softmax_gradient(dy, y, x, axis=-1):
    """The gradient of softmax.

    dy: the gradient of y. y: the shares, softmax(x, axis). x: the scores. axis: along which shares add up to 1.
    Returns dx, of their shape.
    """
    ### BEGIN SOLUTION
    return y * (dy - np.sum(dy * y, axis=axis, keepdims=True))
    ### END SOLUTION

# %%
check(softmax_gradient)

# %%
#| given
#| export softmax
log_softmax = differentiable(log_softmax)


@log_softmax.gradient
def log_softmax_gradient(dy, y, x, axis=-1):
    """The gradient of log_softmax; arguments as in softmax_gradient."""
    return dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True)

# %% [markdown]
# **Exercise 11.3.** cross_entropy_gradient

# %%
#| export training
cross_entropy = differentiable(cross_entropy)


@cross_entropy.gradient
def cross_entropy_gradient(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    """The gradient of cross_entropy.

    dy: the gradient of the loss, a number. loss: the loss, a number. logits: (..., n_vocab). targets: (...), ids.
    ignore_id, label_smoothing: as in cross_entropy.
    Returns d_logits, of the shape of logits.
    """
    targets = np.asarray(targets)
    ### BEGIN SOLUTION
    counts = targets != ignore_id
    truth = np.full_like(logits, label_smoothing / logits.shape[-1])
    right = np.take_along_axis(truth, targets[..., None], axis=-1)
    np.put_along_axis(truth, targets[..., None], right + (1 - label_smoothing), axis=-1)
    return (softmax(logits) - truth) * counts[..., None] * (dy / np.count_nonzero(counts))
    ### END SOLUTION

# %%
check(cross_entropy_gradient)

# %% [markdown]
# **Exercise 11.4.** layer_norm_gradient

# %%
#| export block
layer_norm = differentiable(layer_norm)


def layer_norm_gradient(dy, x_hat, scale, gamma):
    """The gradient of layer_norm, from what its way forward has kept.

    dy: the gradient of y = gamma * x_hat + beta, (..., D). x_hat: (x - mean) * scale, (..., D).
    scale: 1 / sqrt(variance + eps), (..., 1). gamma: (D,).
    Returns (dx, d_gamma, d_beta): (..., D), (D,) and (D,).
    """
    ### BEGIN SOLUTION
    dx = dy * gamma
    mean, along = sum_last(dx) / dx.shape[-1], dot_last(dx, x_hat) / dx.shape[-1]
    dx -= mean
    dx -= x_hat * along
    dx *= scale
    return dx, sum_rows(dy * x_hat), sum_rows(dy)
    ### END SOLUTION

# %%
check(layer_norm_gradient)

# %%
#| given
#| export block
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

# %% [markdown]
# **Exercise 11.5.** embed_gradient

# %%
#| export embeddings
embed = differentiable(embed)


@embed.gradient
def embed_gradient(dy, y, ids, table):
    """The gradient of embed.

    dy: the gradient of y, (..., D). y: (..., D). ids: (...). table: (n_vocab, D).
    Returns (None, d_table): ids have no gradient; d_table is (n_vocab, D).
    """
    ### BEGIN SOLUTION
    ids, rows = np.ravel(ids), dy.reshape(-1, dy.shape[-1])
    order = np.argsort(ids)                             # equal ids side by side: their rows add up
    found, first = np.unique(ids[order], return_index=True)
    d_table = np.zeros_like(table)
    d_table[found] = np.add.reduceat(rows[order], first)
    return None, d_table
    ### END SOLUTION

# %%
check(embed_gradient)

# %%
#| given
#| export block
relu = differentiable(relu)


@relu.gradient
def relu_gradient(dy, y, x):
    """The gradient of relu: dy where x was positive."""
    return dy * (y > 0)

# %%
#| given
#| export block
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

# %%
#| given
#| export attention
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
        w += np.swapaxes(np.where(mask, 0, -np.inf).astype(w.dtype), -1, -2)
    w -= np.maximum(np.max(w, axis=-2, keepdims=True), np.finfo(w.dtype).min)
    np.exp(w, out=w)
    total = np.ones(w.shape[-2], w.dtype) @ w
    w /= np.maximum(total, np.finfo(w.dtype).tiny)[..., None, :]        # nothing to look at: zeros
    weights = np.swapaxes(w, -1, -2)
    y = np.empty_like(q, shape=(*np.broadcast_shapes(w.shape[:-2], v.shape[:-2]), q.shape[-2], v.shape[-1]))
    np.matmul(weights, v, out=y)                        # laid out as q is: merge_heads will copy nothing

    def backward(dy, d_weights=None, out=(None, None, None)):
        if dy is None:
            dy = np.zeros_like(y)
        dw = unbroadcast(v @ np.swapaxes(dy, -1, -2), w.shape)
        if d_weights is not None:
            dw += np.swapaxes(d_weights, -1, -2)
        dw -= np.sum(dw * w, axis=-2, keepdims=True)
        dw *= w
        dq, dk, dv = out
        dq = np.matmul(np.swapaxes(dw, -1, -2), k, out=dq)
        dq *= scale
        return dq, np.matmul(dw, q_scaled, out=dk), np.matmul(w, dy, out=dv)

    return (y, weights), backward

# %%
#| given
#| export multi_head
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

    def heads(arrays):
        return [split_heads(part, n_heads) for y, (_, matrices) in zip(arrays, sources, strict=True)
                for part in columns(y, matrices)]

    projected = [linear(z, W) for z, W in wide]
    (y, weights), attention_backward = scaled_dot_product_attention.forward(*heads(projected), mask)
    merged = merge_heads(y)

    def backward(dy, d_weights=None):
        if dy is None:
            dy = np.zeros((*x.shape[:-1], W_O.shape[1]), x.dtype)
        d_merged, dW_O, _ = linear_gradient(dy, None, merged, W_O)
        d_projected = [np.empty_like(y) for y in projected]
        attention_backward(split_heads(d_merged, n_heads), d_weights, out=heads(d_projected))
        dz, dW, _ = zip(*(linear_gradient(d, None, z, W) for d, (z, W) in zip(d_projected, wide, strict=True)),
                        strict=True)
        dW = [part for d, (_, matrices) in zip(dW, sources, strict=True) for part in columns(d, matrices)]
        return dz[0], dz[1] if len(dz) == 2 else np.zeros_like(x), *dW, dW_O

    return (linear(merged, W_O), weights), backward


def columns(y, matrices):
    """Cut y = z @ np.concatenate(matrices, axis=1) into the columns that belong to each matrix."""
    return np.split(y, np.cumsum([W.shape[1] for W in matrices])[:-1], axis=-1)
