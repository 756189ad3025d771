# %% [markdown]
# # 11 · Gradients by hand: every line, and fast
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/11_gradients_by_hand.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/11_gradients_by_hand.ipynb)
# <!-- /badges -->
#
# **The question: the engine of chapter 09 finds every gradient by itself, and it is right. What is left to gain by
# deriving them oneself?**
#
# Two things. You will know every line of the way back, as you know the way forward: what a gradient of softmax *is*,
# and why the one of layer norm has three terms. And it gets faster: at the end a profile shows by how much, and how
# much there is still to gain.
#
# Five exercises, about 60 minutes. This chapter is a side trip: nothing later needs it but the speed, which the library
# has anyway. You need [chapter 09](09_gradients.ipynb), and pen and paper help.

# %%
#| setup
# Run this cell first. It finds the course (where it is missing, as on Colab, it installs it) and opens the chapter.
import importlib.util
import pathlib
import subprocess
import sys

if importlib.util.find_spec("scratchformer_lib") is None:
    above = [folder for folder in pathlib.Path.cwd().parents if (folder / "scratchformer_lib").is_dir()]
    if above:
        sys.path.insert(0, str(above[0]))
    else:
        course = "git+https://github.com/scratchformer/scratchformer"
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", course], check=True)
        importlib.invalidate_caches()

from scratchformer_lib.course import begin, check, progress, solution

begin("11")

# %%
#| given
#| export
import itertools
import math
import time

import numpy as np

from scratchformer_lib.attention import scaled_dot_product_attention
from scratchformer_lib.autograd import (
    Tape,
    backward,
    check_gradients,
    differentiable,
    plain,
    tree_map,
    unbroadcast,
    value_and_grad,
)
from scratchformer_lib.block import gelu, layer_norm, relu
from scratchformer_lib.course.figures import chapter_11 as figures
from scratchformer_lib.embeddings import Vocabulary, embed
from scratchformer_lib.multi_head import linear, merge_heads, multi_head_attention, split_heads
from scratchformer_lib.softmax import log_softmax, softmax
from scratchformer_lib.support.arguments import check_attention, check_axes, check_multi_head, check_vector
from scratchformer_lib.support.sums import dot_last, in_blocks, rows_of, sum_last, sum_rows
from scratchformer_lib.support.trees import flat
from scratchformer_lib.training import cross_entropy, teacher_forcing_pair
from scratchformer_lib.transformer import TransformerConfig, init_transformer, transformer

# %% [markdown]
# ## 1. Where the time goes
#
# The engine writes down every operation of NumPy. Here is a training step of a Transformer, and what its tape is made
# of.

# %%
config = TransformerConfig(20, 20, d_model=64, n_heads=4, d_ff=256, n_encoder_layers=2, n_decoder_layers=2,
                           max_length=12, activation="gelu", pre_norm=True)
params = init_transformer(np.random.default_rng(0), config)
rng = np.random.default_rng(1)
src, tgt = rng.integers(4, 20, (64, 12)), rng.integers(4, 20, (64, 13))
src[:20, 9:] = tgt[:20, 8:] = Vocabulary.pad_id

def loss(params):
    inputs, labels = teacher_forcing_pair(tgt)
    return cross_entropy(transformer(params, config, src, inputs), labels, Vocabulary.pad_id)

def walk_back(by_hand):
    """Time the way back, by operation: {name: [how often, seconds]}."""
    tape, times = Tape(by_hand), {}
    result = loss(tree_map(tape.track, params))
    gradients = {result.slot: np.ones_like(result.value)}
    while tape:
        step = tape.pop()
        start = time.perf_counter()
        gradients = backward([step], gradients)
        count, seconds = times.get(step[0], (0, 0.0))
        times[step[0]] = (count + 1, seconds + time.perf_counter() - start)
    return times

def best_of(n, by_hand):
    """The fastest of n walks back: what else the machine does makes the others slower."""
    return min((walk_back(by_hand) for _ in range(n)), key=lambda times: sum(seconds for _, seconds in times.values()))

before = best_of(4, by_hand=False)
print(sum(count for count, _ in before.values()), "steps; those that come most often:")
for name, (count, seconds) in sorted(before.items(), key=lambda item: (-item[1][0], item[0]))[:8]:
    print(f"{name:12} {count:4} times {1000 * seconds:.1f} ms")

# %% [markdown]
# A large part of this goes to small steps: a layer norm alone is nine of them, and each one reads arrays from memory
# and writes new ones. If one rule goes back over the whole function in one go, most of them are not needed.
#
# The engine takes such rules. `f = differentiable(f)` makes a function that may have one, and `@f.gradient` registers
# it: from then on the engine writes down f as *one* step, wherever f is used. The library's functions have such rules
# already; as soon as the cell of an exercise has run, yours takes the library's place in this notebook, right or
# wrong, and the whole Transformer uses it. `by_hand=False`, as above, ignores all of them.
#
# ## 2. linear
#
# $y = x W + b$, for a stack of rows. You know both products from chapter 09: $dx = dy\,W^\mathsf{T}$ and $dW =
# x^\mathsf{T} dy$, and that the bias, which is added to every row, collects from every row.
#
# By hand: two rows x = (1, 2) and (3, 4), one output, W = (5, 6), and dy = 1 for the first row and 10 for the second.
# Then dW = 1·(1, 2) + 10·(3, 4) = (31, 42), and db = 11. **Say** what dx is, before you go on.
#
# <details><summary>Answer</summary>
#
# 1·(5, 6) for the first row, and 10·(5, 6) for the second.
#
# </details>
#
# **Exercise 11.1.** Write `linear_gradient(dy, y, x, W, b=None)`. x may be a stack, (..., n_in), and dy and y are
# (..., n_out); one row alone, (n_in,), is a stack too. A rule gets dy, then the result, then what the function was
# given. It returns `(dx, dW, db)`, each of the shape of its array, db None where b is None. W belongs to all rows of
# the whole stack: `rows_of(x)`, from `support/sums.py`, lays them below one another, (N, n_in), and one large product
# is faster than many small ones. There is also `sum_rows(dy)`, the sum of all rows, (n_out,). It took us three lines.

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
# ## 3. softmax
#
# $y_i = e^{x_i} / \sum_j e^{x_j}$. If one score $x_j$ grows, its own share grows and all others shrink. How much, for
# all pairs of i and j, is a table, the **Jacobian**:
#
# $$\frac{\partial y_i}{\partial x_j} = y_i\,(\delta_{ij} - y_j)$$
#
# ($\delta_{ij}$ is 1 where i = j, and else 0.) By hand, for shares of 0.5, 0.3 and 0.2: if the first score grows by a
# little, the first share grows 0.5·(1 - 0.5) = 0.25 times as much, the second by 0.3·(0 - 0.5) = -0.15, the third by
# -0.1. They sum to 0, as they must: shares always add up to 1.
#
# Nobody builds that table on the way back. With $dx_j = \sum_i dy_i\,y_i(\delta_{ij} - y_j)$,
#
# $$dx_j = y_j \left( dy_j - \sum_i dy_i\,y_i \right)$$
#
# In words: what a share gets, minus what shares get on average (with the shares as weights), times the share.
#
# **Predict:** what is dx where dy is the same for all words?
#
# <details><summary>Answer</summary>
#
# Zero. The average is that same number. To ask all shares to grow is to ask for nothing: they add up to 1.
#
# </details>
#
# **Exercise 11.2.** Write `softmax_gradient(dy, y, x, axis=-1)`. y = softmax(x, axis) is there already; do not
# compute it again. Returns dx, of the shape of x. For y = (0.5, 0.3, 0.2) and dy = (1, 0, 0) it gives (0.25, -0.15,
# -0.1). It took us one line.

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
print("a constant dy:", softmax_gradient(np.full(3, 7.0), np.array([0.5, 0.3, 0.2]), None))

# %% [markdown]
# Your rule gives the table after all, one row at a time: with dy = 1 for one share, and 0 for the others. Here it is.
# **Predict:** where do you have to move the scores to make it nearly empty?

# %%
figures.jacobian_widget(softmax, softmax_gradient)

# %% [markdown]
# Where one share is nearly 1, nothing moves any more: no gradient comes through. That is the saturated softmax of
# chapter 03, without the root of d_k.
#
# The logarithm of a softmax has a gradient that is as short: dx = dy minus the shares times the sum of dy.

# %%
#| given
#| export softmax
log_softmax = differentiable(log_softmax)


@log_softmax.gradient
def log_softmax_gradient(dy, y, x, axis=-1):
    """The gradient of log_softmax; arguments as in softmax_gradient."""
    return dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True)

# %% [markdown]
# ## 4. cross_entropy
#
# A logarithm of a softmax, of which one entry is picked: three functions in a row, and of all that, as in chapter 09,
# only *what was said minus what is true* is left:
#
# $$d\,\text{logits} = dy \cdot \frac{p - \text{truth}}{\text{number of labels that count}}$$
#
# for every position that counts, and 0 for padding. The truth is 1 at the right word and 0 elsewhere. By hand, for one
# position with p = (0.5, 0.3, 0.2), of which the second word is right, and dy = 1: (0.5, -0.7, 0.2).
#
# With label smoothing s, the right word gives s away, and all words, the right one too, share it evenly. For 4 words
# and s = 0.2, the truth is 0.85 at the right word and 0.05 at each of the others.
#
# **Exercise 11.3.** Write `cross_entropy_gradient(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0)`.
# dy is one number, mostly 1: the gradient that arrives at the loss. logits are (..., n_vocab), targets (...), ids.
# Returns d_logits, of the shape and dtype of logits; the loss itself is not needed. It took us six lines.
#
# <details><summary>Hint</summary>
#
# `np.put_along_axis(truth, targets[..., None], value, axis=-1)` writes a value at the right words. Or compare
# `targets[..., None]` with `np.arange(n_vocab)`. And count with `int(...)`: float32 divided by an integer of NumPy is
# float64.
#
# </details>

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
    d_logits = (softmax(logits) - truth) * (dy / int(np.count_nonzero(counts)))
    return np.where(counts[..., None], d_logits, 0)
    ### END SOLUTION

# %%
check(cross_entropy_gradient)

# %% [markdown]
# ## 5. layer_norm
#
# Here derivation pays. $\hat x = (x - \text{mean}) \cdot \text{scale}$ with $\text{scale} = 1/\sqrt{\text{variance} +
# \varepsilon}$, and $y = \gamma \hat x + \beta$. Mean and variance depend on all of x. But one need not follow them
# through:
#
# - Adding a constant to x changes nothing in $\hat x$. So dx must have no part along a constant: its sum over the row
#   is 0.
# - Stretching x (about its mean) changes nothing, but for ε. So dx must have no part along $\hat x$.
#
# And a small step at right angles to both leaves mean and variance as they are, so $\hat x$ moves with it, times scale.
# So take the naive gradient, $\hat d = dy \cdot \gamma$, remove both parts, and multiply by scale. The part along a
# constant is the mean; the part along $\hat x$ is $\hat x$ times the mean of the products, since the mean of $\hat x^2$
# is 1:
#
# $$dx = \text{scale} \cdot \bigl( \hat d - \text{mean}(\hat d) - \hat x \cdot \text{mean}(\hat d\,\hat x) \bigr)$$
#
# And since gamma multiplies and beta adds, in every row: $d\gamma$ is the sum over all rows of $dy \cdot \hat x$,
# $d\beta$ that of $dy$.
#
# By hand: $\hat x = (1, -1, 1, -1)$, gamma and scale 1, and dy = (8, 0, 0, 0). The mean of dy is 2, that of the
# products is 2. So dx = 8 - 2 - 2, 0 - 2 + 2, 0 - 2 - 2, 0 - 2 + 2, which is (4, 0, -4, 0). **Predict** dx for a row
# of only two numbers that lie far apart, where $\hat x$ is (1, -1) or (-1, 1), whatever they are.
#
# <details><summary>Answer</summary>
#
# Zero. What is left of a vector of two numbers, without its part along (1, 1) and its part along (1, -1)?
#
# </details>
#
# **Exercise 11.4.** Write `layer_norm_gradient(dy, x_hat, scale, gamma)`. dy and x_hat are (..., D), scale is (...,
# 1), gamma (D,). Returns `(dx, d_gamma, d_beta)`: (..., D), (D,), (D,). The way forward has kept x_hat and scale, so
# you need not compute them again. dy, x_hat and scale stay as they are. (A single row, (D,), is allowed.) In
# `support/sums.py` there are `sum_last(x)`, the sum of each row, (..., 1), and `dot_last(x, y)`, that of x * y;
# `sum_rows(x)` you know. It took us six lines.

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

# %% [markdown]
# This rule needs what its way forward has computed, so it is registered with `fused`: a function that returns the
# result, *and* the way back.

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
# ### Break it: without the two means
#
# **Predict:** a rule without the two means is shorter. What do the rows of its dx sum to, and what do yours?

# %%
def without_means(dy, x_hat, scale, gamma):
    return scale * dy * gamma, sum_rows(dy * x_hat), sum_rows(dy)

def normalized(x):
    scale = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) * scale, scale

rng = np.random.default_rng(2)
x, dy = rng.standard_normal((4, 8)), rng.standard_normal((4, 8))
gamma, beta = rng.standard_normal(8), rng.standard_normal(8)
_, right = value_and_grad(lambda x: np.sum(dy * layer_norm(x, gamma, beta)), by_hand=False)(x)
x_hat, scale = normalized(x)
for rule in (layer_norm_gradient, without_means):
    dx = rule(dy, x_hat, scale, gamma)[0]
    print(f"{rule.__name__:20} relative error {np.abs(dx - right).max() / np.abs(right).max():.0e};",
          f"sums of the first rows: {abs(dx[0].sum()):.2f}, {abs(dx[1].sum()):.2f}")

# %% [markdown]
# Nothing fails: the shapes fit, and a model would train, another way than straight down. That is why every rule here
# is compared with the engine.
#
# ## 6. embed
#
# `table[ids]` picks rows. So the gradient of a row of the table is what arrives at all the places where that row was
# picked: equal ids **add up**. That was the trap of `descend` in chapter 09.
#
# **Exercise 11.5.** Write `embed_gradient(dy, y, ids, table)`. ids are of any shape, also `()`, dy is (..., D).
# Returns `(None, d_table)`: ids are no numbers to be moved, and d_table is (n_vocab, D), zero for rows that nobody
# picked. It took us six lines, and there is a way in two.
#
# <details><summary>Hint</summary>
#
# `np.add.at` adds every time, also where an index is repeated. (Ours sorts the ids, so that equal ones lie side by
# side; that is some times faster.)
#
# </details>

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

# %% [markdown]
# ### Break it: repeated ids
#
# A model writes *the cat sat on the mat*, and its rule overwrites. **Predict:** what does the table learn from the
# first "the"?

# %%
words = "the cat sat on the mat".split()
ids, dy = np.array([words.index(word) for word in words]), np.arange(1.0, 7.0)[:, None]
overwritten = np.zeros((6, 1))
overwritten[ids] = dy
added = embed_gradient(dy, None, ids, np.zeros((6, 1)))[1]
print("for 'the':", added[0], "; overwritten:", overwritten[0])

# %% [markdown]
# Nothing: 1 and 5 should add up to 6, and only the last one is left.
#
# ## 7. The rest, composed
#
# ReLU and GELU work number by number. GELU is x times a gate, $g = (1 + \tanh u)/2$ with $u = ax + bx^3$, and the slope
# of the gate is $2g(1 - g)\,u'$. So the slope of $y = xg$ is $g + 2y(1 - g)(a + 3bx^2)$. It is computed on the way
# forward, in blocks that stay in the processor's cache.
#
# Attention is two products with a softmax between them, and so is its way back, with your `softmax_gradient` in the
# middle; it works down the columns, which NumPy does faster. Multi-head attention is `linear`, attention, `linear`,
# with your `linear_gradient`. A way back is called once: it may write into what the way forward has kept.

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

# %% [markdown]
# ## 8. Are they right?
#
# Each by itself, and then all of them in the whole Transformer, against the engine on the bare functions; and against
# small steps. The numbers are relative differences. (A rule that is wrong stands out here by its name.)

# %%
def difference(f, params):
    """The largest relative difference between the gradients by hand and those of the engine, array by array."""
    by_hand, bare = (flat(value_and_grad(f, by_hand=by_hand)(params)[1]) for by_hand in (True, False))
    errors = {name: np.abs(by_hand[name] - dx).max() / max(np.abs(dx).max(), 1e-8) for name, dx in bare.items()}
    worst = max(errors, key=errors.get)
    return f"{errors[worst]:.0e}" + (f" in {worst}" if errors[worst] > 1e-9 else "")

rng = np.random.default_rng(3)
x, W, b, gamma = (rng.standard_normal(shape) for shape in ((2, 5, 4), (4, 3), 3, 4))
labels = rng.integers(0, 4, (2, 5))
alone = {"linear": (lambda p: linear(p["x"], p["W"], p["b"]), {"x": x, "W": W, "b": b}),
         "softmax": (lambda p: softmax(p["x"]), {"x": x}), "log_softmax": (lambda p: log_softmax(p["x"]), {"x": x}),
         "cross_entropy": (lambda p: cross_entropy(p["x"], labels, 0, 0.1), {"x": x}),
         "layer_norm": (lambda p: layer_norm(p["x"], p["gamma"], p["beta"]), {"x": x, "gamma": gamma, "beta": gamma}),
         "embed": (lambda p: embed(labels, p["table"]), {"table": W}),
         "relu": (lambda p: relu(p["x"]), {"x": x}), "gelu": (lambda p: gelu(p["x"]), {"x": x})}
for name, (f, arrays) in alone.items():
    print(f"{name:15} {difference(lambda p, f=f: np.sum(np.sin(f(p))), arrays)}")

in_float64 = tree_map(lambda x: x.astype(np.float64), params)
print("the Transformer", difference(loss, in_float64))
print("to small steps ", f"{next(iter(check_gradients(loss, params, n_entries=1).values())):.0e}")

# %% [markdown]
# ## 9. And fast
#
# The same walk back as at the beginning:

# %%
after = best_of(4, by_hand=True)
print(sum(count for count, _ in after.values()), "steps")
figures.profile_picture({"bare": best_of(4, by_hand=False), "by hand": after})

# %% [markdown]
# How far down could it go? The matrix products have to be done, two on the way back for each on the way forward. Their
# time alone is the **floor**: we note all of them on the way forward, and do nothing else.

# %%
class Products(Tape):
    """A tape that keeps what goes into each matrix product."""
    def __init__(self):
        super().__init__(by_hand=False)
        self.products = []

    def write(self, name, rule, inputs, outputs):
        if name == "matmul":
            self.products.append((*map(plain, inputs), outputs[0]))
        return super().write(name, rule, inputs, outputs)

tape = Products()
loss(tree_map(tape.track, params))
products = [(a, b, np.ones_like(y)) for a, b, y in tape.products]

def floor(params):
    for a, b, dy in products:
        a @ b, dy @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ dy

ways = {"bare": value_and_grad(loss, by_hand=False), "by hand": value_and_grad(loss), "products alone": floor}
times = {name: [] for name in ways}
for _ in range(8):
    for name, way in ways.items():                      # in turns: what else the machine does hits all of them
        start = time.perf_counter()
        way(params)
        times[name].append(time.perf_counter() - start)
for name, seconds in times.items():
    ratio = np.median(seconds) / np.median(times["products alone"])
    print(f"{name:15} {1000 * np.median(seconds):.1f} ms, {ratio:.1f} times the products")

# %% [markdown]
# What is left above the floor: exponentials, norms, sums, and arrays that are read and written. The library's
# `tests/benchmarks` compare all this with PyTorch.
#
# ## 10. What you built
#
# | | of | in words |
# |---|---|---|
# | `linear_gradient` | y = x W + b | two products, and a sum over all rows |
# | `softmax_gradient` | shares | what a share gets, minus the average, times the share |
# | `cross_entropy_gradient` | the loss | what was said, minus what is true |
# | `layer_norm_gradient` | layer norm | without its parts along 1 and along x_hat |
# | `embed_gradient` | rows of a table | equal ids add up |
#
# ### Test yourself
#
# <details><summary>Why does softmax_gradient not need x?</summary>
#
# Its slope can be said with y alone, as with exp.
#
# </details>
# <details><summary>A gradient agrees with small steps. What can still be wrong?</summary>
#
# The function itself: both follow it. And places where the tested numbers never were: a mask, a repeated id, a constant
# row.
#
# </details>
# <details><summary>The rows of layer norm's dx sum to 0. What does that say about a bias right before it?</summary>
#
# A bias that is the same for all D numbers would get no gradient: the norm removes it. (A bias with different numbers
# does get one.)
#
# </details>
#
# ### Where to read on
#
# - Griewank and Walther, "Evaluating derivatives", 2008: rules, tapes, and what is worth keeping.
# - Ba, Kiros and Hinton, "Layer normalization", 2016, with the invariances in section 5.
#
# `progress()` in a new cell shows the map.
