# %% [markdown]
# # 05 · The block: look around, then think
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/05_block.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/05_block.ipynb)
# <!-- /badges -->
#
# **The question: attention fetches. Who does something with what was fetched, and how can a hundred layers be
# stacked?**
#
# At the end you will have written the block that every Transformer is a stack of: attention, a feed-forward network,
# and around both the two things that let a stack be deep, residual connections and layer normalization. Then you will
# see what happens without them, from one block to a hundred, and run a stack of the size of GPT-2.
#
# Four exercises, about 65 minutes. You need multi-head attention from [chapter 04](04_multi_head.ipynb).

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

begin("05")

# %%
#| given
#| default_exp block
#| export
import math

import numpy as np

from scratchformer_lib.attention import causal_mask
from scratchformer_lib.course.figures import chapter_05 as figures
from scratchformer_lib.embeddings import Vocabulary, embed, positional_encoding
from scratchformer_lib.multi_head import init_linear, init_multi_head, linear, multi_head_attention
from scratchformer_lib.softmax import softmax
from scratchformer_lib.support.arguments import (
    check_axes,
    check_block,
    check_count,
    check_linear,
    check_rate,
    check_vector,
)

# %% [markdown]
# ## 1. A word thinks by itself
#
# Attention blends: what a word gets is a sum of values, each times a weight. For given weights, a sum of vectors, and
# matrices before and after it, can do no more than mix. Here is a thing that no matrix can do: take the absolute value
# of a number. A matrix that turns 3 into 3 turns -3 into -3.
#
# What is missing is a bend. **ReLU** keeps what is positive and makes the rest 0. With it, two layers are enough. By
# hand, for one number x:
#
# | x | times (1, -1) | ReLU | times (1, 1), summed |
# |---|---|---|---|
# | 3 | 3, -3 | 3, 0 | 3 |
# | -3 | -3, 3 | 0, 3 | 3 |
#
# Out into more numbers, a bend, and back: that is a **feed-forward network**. GPT (Radford et al., 2018) and BERT
# (Devlin et al., 2019) use a softer bend, **GELU**: x times the chance that a standard normal number is below x. The
# chance has no formula in elementary functions; the form with tanh, which GPT-2's published code uses, is within 0.0005
# of it. Both bends are given.

# %%
#| export
def relu(x):
    """Keep what is positive, and make the rest 0. x: any shape. Returns the same shape."""
    return np.maximum(x, 0)


def gelu(x):
    """Multiply x by about the chance that a standard normal number is below it: a smooth ReLU.

    x: any shape. Returns the same shape, by the formula with tanh, which is within 0.0005 of the exact one.
    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.
    """
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

# %%
def exact_gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

figures.activations(relu, gelu, exact_gelu)

# %% [markdown]
# In the formula of the paper the bend is a ReLU; $W_1$ goes out from D to F numbers ($F = 4D$ is usual), $W_2$ comes
# back:
#
# $$\mathrm{FFN}(x) = \mathrm{activation}(x W_1 + b_1) \, W_2 + b_2$$
#
# **Exercise 5.1.** Write `feed_forward(x, W_1, b_1, W_2, b_2, activation=gelu)`. It takes x (..., T, D), W_1 (D, F),
# b_1 (F,), W_2 (F, D) and b_2 (D,), and returns (..., T, D). `activation` is a function, such as `relu` or `gelu`.
# `linear(x, W, b)` of chapter 04 is there.
#
# With `W_1 = [[1, -1]]`, `W_2 = [[1], [1]]`, zeros for the biases and `activation=relu`, it turns `[[3.0], [-3.0]]`
# into `[[3.0], [3.0]]`. It took us one line.
#
# <details><summary>Hint</summary>
#
# Read the formula from the inside out. How often does the bend occur in it?
#
# </details>

# %%
#| export
def feed_forward(x, W_1, b_1, W_2, b_2, activation=gelu):
    """Let every position think by itself: out into F numbers, a bend, and back.

    x: (..., T, D). W_1: (D, F). b_1: (F,). W_2: (F, D). b_2: (D,). activation: relu or gelu.
    Returns (..., T, D). Raises ValueError where shapes do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.3.
    """
    check_axes("x", x, 1)
    check_linear(x.shape[-1], W_1, b_1, ("W_1", "b_1"))
    check_linear(W_1.shape[1], W_2, b_2, ("W_2", "b_2"))
    ### BEGIN SOLUTION
    return linear(activation(linear(x, W_1, b_1)), W_2, b_2)
    ### END SOLUTION

# %%
check(feed_forward)

# %%
W_1, W_2 = np.array([[1.0, -1.0]]), np.array([[1.0], [1.0]])
print(feed_forward(np.array([[3.0], [-3.0]]), W_1, np.zeros(2), W_2, np.zeros(1), activation=relu))

# %% [markdown]
# ### Break it: no bend
#
# Without the activation, two layers are one layer in disguise, whatever their size:

# %%
rng = np.random.default_rng(0)
D, F = 8, 32
x = rng.standard_normal((6, D))
W_1, W_2 = rng.standard_normal((D, F)), rng.standard_normal((F, D))

def no_bend(x):
    return x

two_layers = feed_forward(x, W_1, np.zeros(F), W_2, np.zeros(D), activation=no_bend)
print("the same as one matrix (D, D):", np.allclose(two_layers, x @ (W_1 @ W_2)))

# %% [markdown]
# **Predict.** We change word 3 of a sentence, *on*, and nothing else. Which outputs change, in attention (without a
# mask)? And in the feed-forward network?

# %%
words = "the cat sat on the mat".split()
attention = init_multi_head(rng, D, 2)
feed = {"W_1": W_1, "b_1": np.zeros(F), "W_2": W_2, "b_2": np.zeros(D)}
changed = x.copy()
changed[3] += rng.standard_normal(D)

def which_changed(part):
    return [not np.allclose(a, b) for a, b in zip(part(x), part(changed), strict=True)]

reach = {"attention": which_changed(lambda x: multi_head_attention(x, x, **attention, n_heads=2)[0]),
         "feed-forward": which_changed(lambda x: feed_forward(x, **feed))}
figures.reach_picture(reach, words)

# %% [markdown]
# The feed-forward network works on each word by itself, with the same matrices for all. Nothing passes from word to
# word. A Transformer does two things in turn: words exchange what they know, then each thinks for itself.
#
# ## 2. Layer normalization
#
# Numbers that pass through many layers grow or fade. **Layer normalization** brings each word's vector back to a
# standard size: mean 0, variance 1. By hand, for the vector (1, 2, 3, 6):
#
# | | | | | | mean |
# |---|---|---|---|---|---|
# | x | 1 | 2 | 3 | 6 | 3 |
# | x - mean | -2 | -1 | 0 | 3 | 0 |
# | squared | 4 | 1 | 0 | 9 | 3.5, the variance |
# | (x - mean) / root of the variance | -1.069 | -0.535 | 0 | 1.604 | 0 |
#
# Then each of the D columns is stretched by a number $\gamma$ and moved by a number $\beta$, which training may choose:
#
# $$\mathrm{LayerNorm}(x) = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta
# \qquad \mu = \frac{1}{D} \sum_i x_i \qquad \sigma^2 = \frac{1}{D} \sum_i (x_i - \mu)^2$$
#
# The small $\epsilon$, under the root, is there for vectors whose entries are all the same: their variance is 0.
#
# **Exercise 5.2.** Write `layer_norm(x, gamma, beta, eps=1e-5)`. It takes x (..., D), gamma (D,) and beta (D,), and
# returns (..., D). Mean and variance are taken over the last axis, for each vector by itself; the variance is the mean
# of the squares, as in the formula. Subtract the mean before you square: large vectors, with entries around 100,000,
# must work too.
#
# With gamma 1 and beta 0, `[1.0, 2.0, 3.0, 6.0]` becomes `[-1.069, -0.535, 0, 1.604]`. It took us three lines.
#
# <details><summary>Hint: shapes</summary>
#
# `np.mean(x, axis=-1)` drops the axis. As in softmax, it has to stay, with size 1.
#
# </details>
# <details><summary>Hint: the variance</summary>
#
# `np.var` divides by D, as the formula does. So does the mean of the squares of what is left after subtracting the
# mean.
#
# </details>

# %%
#| export
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
    ### BEGIN SOLUTION
    centered = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centered * centered, axis=-1, keepdims=True)
    return gamma * centered / np.sqrt(variance + eps) + beta
    ### END SOLUTION

# %%
check(layer_norm)

# %%
ones, zeros = np.ones(4), np.zeros(4)
print(layer_norm(np.array([1.0, 2.0, 3.0, 6.0]), ones, zeros).round(3))

# %%
big_and_small = rng.standard_normal((4, D)) * [[3], [1], [0.5], [1]] + [[0], [3], [0], [-2]]
figures.norm_picture(big_and_small, layer_norm(big_and_small, np.ones(D), np.zeros(D)), words[:4])

# %% [markdown]
# **Predict.** What does LayerNorm make of a vector that is multiplied by 10? Of one to which 100 is added? And when
# word 3 is changed, as before, what happens to the *other* words of the sentence?

# %%
ones, zeros = np.ones(D), np.zeros(D)
normal = layer_norm(x, ones, zeros)
print("times 10 is the same:", np.allclose(layer_norm(10 * x, ones, zeros), normal, atol=1e-4))
print("plus 100 is the same:", np.allclose(layer_norm(x + 100, ones, zeros), normal, atol=1e-4))
after = layer_norm(changed, ones, zeros)                # word 3 was changed, see section 1
print("words that changed:", [word for word, a, b in zip(words, normal, after, strict=True) if not np.allclose(a, b)])

# %% [markdown]
# Size and level are gone. What is left is the pattern: which entries lie above the mean, which below, and how far
# compared with the others. Each word is normalized by itself, so neither the other words of the sentence nor the other
# sentences of a batch have any influence. (Batch normalization, which is common for images, takes the mean over the
# batch. A word's output would then depend on what else happens to be in the batch.)
#
# ### Break it: the epsilon
#
# A vector of zeros can occur. And where eps stands matters for small vectors:

# %%
with np.errstate(all="ignore"):
    print("no eps       ", layer_norm(np.zeros(3), np.ones(3), np.zeros(3), eps=0.0))
print("eps          ", layer_norm(np.zeros(3), np.ones(3), np.zeros(3)))
small = np.array([-0.001, 0.0, 0.001])
print("under the root", (small / np.sqrt(small.var() + 1e-5)).round(3))
print("beside it     ", (small / (small.std() + 1e-5)).round(3))

# %% [markdown]
# Without eps, 0 is divided by 0. And for small vectors it makes a difference where eps stands; take the one that a
# model was trained with.
#
# ## 3. Dropout, while training
#
# A network that may rely on every single number learns its training texts by heart. **Dropout** makes each number
# unreliable: while training, every number is set to 0 with the chance `rate`, each time anew. So that the next layer
# finds what it is used to, the numbers that stay are made larger, by $1 / (1 - \mathrm{rate})$. By hand, with rate =
# 0.5: from (1, 2, 3, 4) may come (2, 0, 6, 0), or (0, 4, 0, 8). The average over many draws is (1, 2, 3, 4) again.
#
# **Exercise 5.3.** Write `dropout(x, rate, rng)`. It takes x of any shape and returns the same shape: every entry is
# either 0, with the chance `rate`, each by itself, or x / (1 - rate). Draw with `rng`, a `np.random.Generator`, and
# nothing else: `rng.random(x.shape)` gives numbers between 0 and 1. (Zeros and ones, as `rng.binomial` draws them, are
# whole numbers of 64 bits, and a float32 times those is a float64.) Where `rng` is None we are not training, and x
# comes back as it is; so it does for a rate of 0. float32 stays float32.
#
# It took us four lines.
#
# <details><summary>Hint: which ones stay?</summary>
#
# A number that is equally likely anywhere between 0 and 1 is below 0.3 with the chance 0.3. So a comparison makes the
# bools: which are to be kept?
#
# </details>

# %%
#| export
def dropout(x, rate, rng):
    """While training, set each number to 0 with chance `rate`, and enlarge the others so that the mean stays.

    x: any shape. rate: a Python number, at least 0, below 1.
    rng: a np.random.Generator; None means: not training, x comes back.
    Returns an array of x's shape. Raises ValueError for another rate.
    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """
    check_rate("rate", rate)
    ### BEGIN SOLUTION
    if rng is None or rate == 0:
        return x
    keep = rng.random(x.shape) >= rate
    return x * keep / (1 - rate)
    ### END SOLUTION

# %%
check(dropout)

# %%
rng = np.random.default_rng(0)
eight = np.arange(1.0, 9.0)
draws = np.array([dropout(eight, 0.3, rng) for _ in range(1000)])
figures.dropout_picture(eight, draws[0], draws.mean(axis=0), len(draws))

# %% [markdown]
# **Predict.** We drop 30% of attention's weights, which add up to 1 in every row (PyTorch does that; we drop only what
# goes into the sum of the next section). What do the rows add up to then?

# %%
weights = np.full((1, 10), 0.1)
sums = np.array([dropout(weights, 0.3, rng).sum() for _ in range(5000)])
print("five draws", sums[:5].round(2), "  mean of all", sums.mean().round(3))

# %% [markdown]
# More or less than 100%, and 100% on average. When the model *writes*, nothing is dropped: what it has learned should
# all be there. In this library that is the caller's choice, and one can see it: whoever passes an `rng` trains, and
# whoever passes none does not.
#
# ## 4. The block
#
# Now put it together. The first question is what to do with the output of attention. *Replace* the word's vector by it?
# Then whatever attention did not fetch is lost, first of all the word itself. So the output is **added** to what came
# in: a **residual connection**. The sum runs through the whole model like a river that every layer pours something
# into: the **residual stream**.
#
# The second question is where to normalize. The Transformer of 2017 normalizes every sum (**post-norm**). GPT-2 and
# most models since normalize what goes *into* each part, and leave the stream alone (**pre-norm**).

# %%
figures.block_picture()

# %% [markdown]
# As formulas, with *attend* for multi-head self-attention and *think* for the feed-forward network:
#
# | post-norm | pre-norm |
# |---|---|
# | $x \leftarrow \mathrm{norm}_1(x + \mathrm{attend}(x))$ | $x \leftarrow x + \mathrm{attend}(\mathrm{norm}_1(x))$ |
# | $x \leftarrow \mathrm{norm}_2(x + \mathrm{think}(x))$ | $x \leftarrow x + \mathrm{think}(\mathrm{norm}_2(x))$ |
#
# **Exercise 5.4.** Complete `transformer_block`. Its parameters come as a dict of four dicts. Three little functions
# are given inside it: `attend(x)`, `think(x)`, each with its dropout, and `norm(x, "norm_1")` or `norm(x, "norm_2")`.
# What is left for you are the two formulas: pre-norm if `pre_norm` is true, else post-norm. Call `attend` and `think`
# once each, in this order, since they draw random numbers; they return the output alone, and have dropped already. It
# took us five lines.
#
# <details><summary>Hint</summary>
#
# In pre-norm, what is added to x is made from the normalized x; what it is added to is x itself.
#
# </details>

# %%
#| export
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

    ### BEGIN SOLUTION
    if pre_norm:
        x = x + attend(norm(x, "norm_1"))
        return x + think(norm(x, "norm_2"))
    x = norm(x + attend(x), "norm_1")
    return norm(x + think(x), "norm_2")
    ### END SOLUTION

# %%
check(transformer_block)

# %% [markdown]
# These draw the parameters. Gamma begins as 1, and all biases as 0.

# %%
#| export
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

# %%
rng = np.random.default_rng(0)
D, H, F = 12, 3, 48
params = init_block(rng, D, H, F)
x = rng.standard_normal((2, 6, D), dtype=np.float32)
record = {}

for pre_norm in (False, True):
    y = transformer_block(x, params, H, mask=causal_mask(6), pre_norm=pre_norm, record=record)
    name = "pre-norm " if pre_norm else "post-norm"
    print(name, y.shape, y.dtype, f"  size of an entry {np.sqrt(np.mean(y * y)):.2f}")
print("recorded:", {name: weights.shape for name, weights in record.items()})

# %% [markdown]
# The shape that comes out is the shape that went in. So blocks can be stacked, as many as one likes. Post-norm ends in
# a norm, so its entries have the size 1; in pre-norm the stream has grown.
#
# ## 5. One to a hundred
#
# How deep can it be? We send six random vectors through 1 to 100 blocks with random weights, and take a piece away: the
# residual connections, or the norms. Two things are measured. How large is the *signal*, an entry of the output? And
# how strongly does the output answer when the input moves a little? That is what the **gradient** measures, and
# training lives on it. We estimate it by *finite differences*, in one random direction: move the input by a tiny step,
# and divide by the step how far the output moves.

# %%
D, H, F = 32, 4, 128
rng = np.random.default_rng(0)
blocks = [init_block(rng, D, H, F) for _ in range(100)]

def no_residual(x, p):
    x = layer_norm(multi_head_attention(x, x, **p["attention"], n_heads=H)[0], **p["norm_1"])
    return layer_norm(feed_forward(x, **p["feed_forward"]), **p["norm_2"])

def no_norm(x, p):
    x = x + multi_head_attention(x, x, **p["attention"], n_heads=H)[0]
    return x + feed_forward(x, **p["feed_forward"])

variants = {"post-norm": lambda x, p: transformer_block(x, p, H),
            "pre-norm": lambda x, p: transformer_block(x, p, H, pre_norm=True),
            "no residual": no_residual, "no norm": no_norm}

start = rng.standard_normal((6, D))
direction = rng.standard_normal((6, D))
step = 1e-5 * direction / np.linalg.norm(direction)
signals, gradients, apart = {}, {}, {}
for name, block in variants.items():
    x, moved = start, start + step
    measured = []
    for params in blocks:
        x, moved = block(x, params), block(moved, params)
        measured.append((np.sqrt(np.mean(x * x)), np.linalg.norm(moved - x) / 1e-5, x.std(axis=0).mean()))
    signals[name], gradients[name], apart[name] = np.array(measured).T

figures.depth_picture(np.arange(1, 101), signals, gradients)

# %% [markdown]
# Without norms the signal explodes: each block adds a vector in proportion to what came in. With norms it stays near 1
# (post-norm), or grows slowly (pre-norm), since what is added always has about the same size. Now the gradient. Without
# norms it explodes with the signal. Post-norm, too, has little left after a hundred blocks, hardly more than without
# residuals. Pre-norm keeps it, which is one reason why deep models are pre-norm. (Without residuals there is a gradient
# left, but the words move together: see below.)
#
#
# Without residuals the size looks fine, because each block ends in a norm. **Predict** what is wrong nevertheless: how
# different are the six words from each other, compared with their size, after 1, 2, 5, 20 and 100 blocks?

# %%
print("how far words differ".ljust(22), *(f"{n:>9}" for n in (1, 2, 5, 20, 100)))
for name, values in apart.items():
    relative = values / signals[name]                   # compared with the size of an entry
    print(name.ljust(22), *(f"{relative[n - 1]:9.1e}" for n in (1, 2, 5, 20, 100)))

# %% [markdown]
# Without residual connections all six words are the same vector after five blocks, up to rounding: each attention
# blends them, and nothing reminds a word of what it was. What happens afterwards has no meaning any more. (Dong,
# Cordonnier and Loukas, 2021, prove that attention by itself does this, and fast.) Without norms, and with post-norm,
# the words are lost too, only more slowly, when the stack is as deep as this and its weights are random. Pre-norm alone
# still tells them apart after a hundred blocks, by a fifth of their size. Its stream is never squeezed: what a word was
# at the start is still in the sum.
#
# ## 6. The stream, contribution by contribution
#
# Pre-norm blocks only ever *add* to the stream. So the output is the input plus a list of contributions, and each can
# be looked at. Here are two blocks with **trained weights**, of the small language model that chapter 12 will build
# (D = 16): at every word, the stream has to become the word that comes next. **Predict:** can a later block take back
# what an earlier one has added?

# %%
import functools

from scratchformer_lib.course.weights import load

about, writer = load("writer")
known = Vocabulary(about["words"])
so_far = "<START> the cat sat on the"
x = 4 * embed(known.encode(so_far), writer["table"]) + positional_encoding(6, 16)       # 4, the root of D: chapter 06
trained_blocks = [writer["blocks"]["layer_1"], writer["blocks"]["layer_2"]]
looking_back = functools.partial(transformer_block, mask=causal_mask(6))
figures.stream_widget(looking_back, x, trained_blocks, about["n_heads"], so_far.split())

# %%
for block in trained_blocks:
    x = looking_back(x, block, about["n_heads"], pre_norm=True)
shares = softmax(linear(layer_norm(x, **writer["blocks"]["norm"]), writer["table"].T))
for word, row in zip(so_far.split(), shares, strict=True):
    print(f"after {word:8} {', '.join(f'{known.words[i]} {row[i]:.0%}' for i in np.argsort(-row)[:2])}")

# %% [markdown]
# It can, by adding the opposite; nothing else removes anything. Look at the lengths: some contributions make the stream
# longer, some shorter. Over many blocks it grows slowly, as section 5 showed.
#
# ## 7. What you built, on something real
#
# | | formula | takes and returns |
# |---|---|---|
# | `feed_forward(x, W_1, b_1, W_2, b_2, activation)` | $\mathrm{activation}(x W_1 + b_1) W_2 + b_2$ | (..., T, D) |
# | `layer_norm(x, gamma, beta, eps)` | $\gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$ | (..., D) |
# | `dropout(x, rate, rng)` | 0, or $x / (1 - \mathrm{rate})$ | any shape |
# | `transformer_block(x, params, n_heads, ...)` | look around, then think | (..., T, D) |
#
# The stack of the smallest GPT-2: twelve pre-norm blocks, D = 768, 12 heads, F = 3,072 (Radford et al., 2018 and 2019),
# with random weights, on your code.

# %%
rng = np.random.default_rng(0)
stack = [init_block(rng, 768, 12, 3072) for _ in range(12)]
parts = {name: 12 * sum(W.size for W in part.values()) for name, part in stack[0].items()}
total = sum(parts.values())
print(f"parameters: {total:,}", {name: f"{size / total:.1%}" for name, size in parts.items()})

x = rng.standard_normal((1, 64, 768), dtype=np.float32)
for params in stack:
    x = transformer_block(x, params, 12, mask=causal_mask(64), pre_norm=True)
print("output", x.shape, x.dtype, "  all finite:", bool(np.isfinite(x).all()))

# %% [markdown]
# 85 million numbers, of which the feed-forward networks have two thirds: the part that nobody draws pictures of is the
# largest. The 124 million of the whole model are these, the embeddings of words and positions, biases that our
# attention leaves out, and one last norm. (The paper says 117; its authors corrected it.)
#
# ### Test yourself
#
# <details><summary>Which parts of a block let information pass from one word to another?</summary>
#
# Attention alone. LayerNorm, the feed-forward network, dropout and the sums treat each word by itself.
#
# </details>
# <details><summary>A pre-norm stack ends with its last block. What about the size of its output?</summary>
#
# It has grown with every block and was never normalized. So pre-norm models have one more norm at the very end (chapter
# 06).
#
# </details>
# <details><summary>x is (32, 100, 512). How many means does layer_norm take?</summary>
#
# 3,200: one for each word of each sentence.
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017: sections 3.1 (residuals and norms), 3.3 (feed-forward), 5.4
#   (dropout).
# - Ba, Kiros and Hinton, "Layer normalization", 2016. Hendrycks and Gimpel, "Gaussian error linear units", 2016.
# - Xiong et al., "On layer normalization in the Transformer architecture", 2020: why pre-norm trains more easily.
# - Dong, Cordonnier and Loukas, "Attention is not all you need", 2021: what happens without the rest.
# - Geva et al., "Transformer feed-forward layers are key-value memories", 2021.
#
# `progress()` in a new cell shows the map. Next come the stacks: chapter 06, the encoder.
