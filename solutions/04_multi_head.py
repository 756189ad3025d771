# %% [markdown]
# # 04 · Multi-head attention: several looks at once
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/04_multi_head.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/04_multi_head.ipynb)
# <!-- /badges -->
#
# **The question: a word has one hundred percent of attention to spend. What if it needs two things?**
#
# At the end you will have written multi-head attention as every Transformer uses it: all heads at once, without a loop,
# for a sentence that looks at itself and for one that looks at another. And with two heads set by hand you will build a
# language model that makes no mistake where the bigram of chapter 02 was wrong five times in nine.
#
# Four exercises, about 60 minutes. You need attention from [chapter 03](03_attention.ipynb).

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

begin("04")

# %%
#| given
#| default_exp multi_head
#| export
import math

import numpy as np

from scratchformer_lib.attention import causal_mask, combine_masks, padding_mask, scaled_dot_product_attention
from scratchformer_lib.course.figures import chapter_04 as figures
from scratchformer_lib.embeddings import Vocabulary, embed, positional_encoding, shift_matrix
from scratchformer_lib.softmax import softmax
from scratchformer_lib.support.arguments import check_axes, check_count, check_heads, check_linear, check_multi_head

# %% [markdown]
# ## 1. One look is not enough
#
# What comes next in a text often depends on two words: the word itself and the word before it. Let one query look at
# both, with 60% on one and 40% on the other. What it brings home is a blend of two words:
#
# | | cat | sat | on | the |
# |---|---|---|---|---|
# | *sat*, before it *cat* | 0.4 | 0.6 | 0 | 0 |
# | *cat*, before it *sat* | 0.6 | 0.4 | 0 | 0 |
#
# The numbers differ, so perhaps a matrix behind it can sort out which word was where? Try. For every pair out of eight
# words, and for several ways of sharing the attention, take the matrix that fits best (in the sense of least squares;
# call it $W_O$), and count how often it names both words right. To be fair, the one head may bring home as many numbers
# as two heads together.

# %%
n = 8
first, second = np.array([(i, j) for i in range(n) for j in range(n) if i != j]).T
word = np.eye(n)
both = np.hstack([word[first], word[second]])           # what we want to read: one word, then the other

def share_right(found):
    W_O = np.linalg.lstsq(found, both, rcond=None)[0]   # the matrix that fits best
    read = found @ W_O
    right = read[:, :n].argmax(-1) == first, read[:, n:].argmax(-1) == second
    return [right[0].mean(), right[1].mean(), (right[0] & right[1]).mean()]

mixtures = np.linspace(0, 1, 21)
wide = np.random.default_rng(0).standard_normal((n, 2 * n))     # the one head brings home as many numbers as two do
one = np.array([share_right((m * word[first] + (1 - m) * word[second]) @ wide) for m in mixtures]).T
two = share_right(np.hstack([word[first], word[second]]))[2]

names = ["the word before", "the word itself", "both"]
figures.one_head_two_heads(mixtures, dict(zip(names, one, strict=True)), two)

# %% [markdown]
# A single look can read either word, the one it looks at more, and hardly ever both (14%, at either end, is one guess
# in seven): a blend is one vector, and a matrix treats all that is in it alike. Two looks, each with a place of its own
# to put what it finds, read both always. Each look is called a **head**.
#
# ## 2. Cutting a row into heads
#
# Two heads could be two copies of attention in a loop. But a loop in Python is slow, and a stack of matrices is one
# product: in chapter 00 you saw `@` work on a whole stack at once. So the heads become an axis. Make the queries of all
# heads with *one* wide matrix, and cut each row into H pieces.
#
# By hand, with T = 2 words, H = 3 heads of size d = 2; each number says which word (tens) and which column (ones) it
# is:
#
# ```
# x           (T=2, H*d=6)              heads       (H=3, T=2, d=2)
# [[ 0  1  2  3  4  5]                  [[[ 0  1]   [[ 2  3]   [[ 4  5]
#  [10 11 12 13 14 15]]                   [10 11]]   [12 13]]   [14 15]]]
# ```
#
# Head 0 has the columns 0 and 1 of *every* word, head 1 the columns 2 and 3, and so on. The axis of heads comes before
# the axis of words, so that each head is a matrix (T, d) of its own, ready for attention.
#
# **Exercise 4.1.** Write `split_heads(x, n_heads)`. It takes x (..., T, H * d), with any number of axes in front, and
# returns (..., H, T, d). It took us one line.
#
# <details><summary>Hint: two steps</summary>
#
# First cut the last axis in two, H and d, with `reshape`: the row of a word stays together, so (T, H, d). Then the axes
# H and T have to change places. `reshape` cannot do that: it keeps the order of the numbers and only moves the
# brackets.
#
# </details>
# <details><summary>Hint: any number of axes in front</summary>
#
# `x.shape[:-1]` is the shape without its last axis, a star unpacks it, and -1 lets `reshape` work out one size by
# itself. Count the two axes that change places from the end: then it does not matter how many stand in front.
#
# </details>

# %%
#| export
def split_heads(x, n_heads):
    """Cut the last axis into heads, and put the heads before the positions.

    x: (..., T, H * d). n_heads: H.
    Returns (..., H, T, d). Head h has columns h * d to (h + 1) * d.
    Raises ValueError where the last axis is not divisible by n_heads.
    """
    check_axes("x", x, 2)
    check_heads("the last axis of x", x.shape[-1], n_heads)
    ### BEGIN SOLUTION
    return np.swapaxes(x.reshape(*x.shape[:-1], n_heads, -1), -2, -3)
    ### END SOLUTION

# %%
check(split_heads)

# %%
x = np.arange(6) + 10 * np.arange(2)[:, None]
print(split_heads(x, 3))

# %% [markdown]
# ### Break it: reshape alone
#
# One `reshape` to (H, T, d) gives the right shape too, without an error. **Predict** what is in head 0.

# %%
figures.split_picture(split_heads)

# %% [markdown]
# The words are torn apart: each head got the numbers of one word and a half, where it should have a piece of every
# word. Attention on that runs without complaint, and nothing but a look at the numbers shows it. When you doubt a
# reshape, put `np.arange` through it and look.
#
# **Exercise 4.2.** Write `merge_heads(x)`, the way back. It takes (..., H, T, d) and returns (..., T, H * d): every
# word's pieces side by side again. `merge_heads(split_heads(x, n_heads))` is x. It took us two lines.
#
# <details><summary>Hint</summary>
#
# The same two steps, undone in the opposite order.
#
# </details>

# %%
#| export
def merge_heads(x):
    """Put the heads side by side again: what split_heads did, undone.

    x: (..., H, T, d).
    Returns (..., T, H * d). Raises ValueError where x has fewer than three axes.
    """
    check_axes("x", x, 3)
    ### BEGIN SOLUTION
    x = np.swapaxes(x, -2, -3)
    return x.reshape(*x.shape[:-2], -1)
    ### END SOLUTION

# %%
check(merge_heads)

# %%
print(np.array_equal(merge_heads(split_heads(x, 3)), x))

# %% [markdown]
# ## 3. All heads at once
#
# Two helpers are given. `linear` multiplies every row by a matrix; it makes one large product of a whole batch, instead
# of many small ones. And `init_multi_head` draws the four matrices at random, in a size that keeps signals about as
# large as they were.

# %%
#| export
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

# %%
#| export
def init_linear(rng, n_in, n_out):
    """Draw a matrix for `linear` that keeps signals about as large as they were, forwards and backwards.

    rng: a np.random.Generator. n_in, n_out: the sizes of a row before and after.
    Returns (n_in, n_out), float32. Raises ValueError for sizes below 1.
    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    check_count("n_in", n_in)
    check_count("n_out", n_out)
    return rng.standard_normal((n_in, n_out), dtype=np.float32) * math.sqrt(2 / (n_in + n_out))

# %%
#| export
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

# %% [markdown]
# The formula of the paper, for heads $h = 1, \ldots, H$ (the paper counts from 1, we from 0):
#
# $$\mathrm{head}_h = \mathrm{Attention}(x W_Q^h, \; m W_K^h, \; m W_V^h)
# \qquad \mathrm{MultiHead}(x, m) = [\mathrm{head}_1, \ldots, \mathrm{head}_H] \, W_O$$
#
# The queries come from x (T, D). Keys and values come from the **memory** m (S, D), the sentence that is looked at. In
# *self-attention* the memory is x itself; in *cross-attention* it is another sentence, of another length: a German word
# looks at the English ones. The brackets mean: side by side. The matrices of all heads stand side by side too, so $W_Q$
# is (D, H · d_k), $W_K$ (D, H · d_k), $W_V$ (D, H · d_v). $W_O$ (H · d_v, D) reads what all heads brought home.
#
# **Exercise 4.3.** Write `multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None)`. It takes x (..., T,
# D) and memory (..., S, D) and returns two things: the output (..., T, D), as wide as W_O makes it, and the weights of
# all heads (..., H, T, S). No loop over the heads: your attention takes stacks. The mask is handed on as it is. d_k,
# d_v and D are independent sizes; what is divided evenly among the heads are the columns of the matrices. It took us
# five lines.
#
# <details><summary>Hint: the plan</summary>
#
# Project, split, attend, merge, project. What is split: x, or its projections?
#
# </details>
# <details><summary>Hint: the root of d_k</summary>
#
# Your attention divides by the root of the size of the queries that it gets. After the split, that is d_k by itself.
#
# </details>

# %%
#| export
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
    ### BEGIN SOLUTION
    q = split_heads(linear(x, W_Q), n_heads)
    k = split_heads(linear(memory, W_K), n_heads)
    v = split_heads(linear(memory, W_V), n_heads)
    output, weights = scaled_dot_product_attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights
    ### END SOLUTION

# %%
check(multi_head_attention)

# %% [markdown]
# Does it do what a plain loop over the heads does? All sizes are different here, so that each shape tells what it is.
# **Write down the shapes** of output and weights before you run the cell.

# %%
rng = np.random.default_rng(0)
B, T, S, D, H, d_k, d_v = 2, 3, 5, 8, 4, 6, 7
x, memory = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
params = init_multi_head(rng, D, H, d_k, d_v)
output, weights = multi_head_attention(x, memory, **params, n_heads=H)
print("output", output.shape, "  weights", weights.shape)

total = 0
for h in range(H):
    keys, values = slice(h * d_k, (h + 1) * d_k), slice(h * d_v, (h + 1) * d_v)
    found, _ = scaled_dot_product_attention(
        x @ params["W_Q"][:, keys], memory @ params["W_K"][:, keys], memory @ params["W_V"][:, values])
    total = total + found @ params["W_O"][values]
print("the same as a loop over heads:", np.allclose(output, total))

# %% [markdown]
# Look at the last line of the loop. Each head has its own rows of $W_O$. To put the heads side by side and multiply by
# $W_O$ is to multiply each head by its rows, and to *add*. So every head adds something to the output, on its own, and
# none of them sees what the others found.
#
# **Predict.** Does a head work on a slice of x? We change the last column of x, and nothing else. Which heads ask
# something else now?

# %%
changed = x.copy()
changed[..., -1] += 1
before, after = (split_heads(linear(a, params["W_Q"]), H) for a in (x, changed))
print("changed queries, head by head:", [not np.allclose(before[:, h], after[:, h]) for h in range(H)])

# %% [markdown]
# All of them. Each head's block of $W_Q$ has a row for every column of x; only the *projections* are cut into pieces.
# And each head looks at all S words of the memory: none is given a part of the sentence.
#
# ### Masks for many heads
#
# Scores are (B, H, T, S) now. `causal_mask(T)` is (T, T) and holds for all sentences and heads; `padding_mask(ids,
# pad_id)` is (B, 1, 1, S). What about a mask (B, T, S)? Axes line up from the right, so NumPy would take its B for the
# heads. When there happen to be as many heads as sentences, it would even run. The check in the first line of your
# attention refuses it:

# %%
many, their_memory = rng.standard_normal((H, T, 8)), rng.standard_normal((H, S, 8))      # as many sentences as heads
try:
    multi_head_attention(many, their_memory, **params, n_heads=H, mask=np.ones((H, T, S), bool))
except ValueError as error:
    print(error)

# %% [markdown]
# ## 4. What heads cost
#
# **Predict.** Eight heads instead of one, at the same D: how many times as many parameters? (A *parameter* is a number
# that training may choose.)
#
# **Exercise 4.4.** Write `count_parameters(d_model, n_heads, d_k=None, d_v=None)`. It returns how many numbers W_Q,
# W_K, W_V and W_O have together (there are no biases), a whole number computed from the sizes alone. Where d_k or d_v
# is not given, it is D / H; these two lines are there already. `count_parameters(4, 2)` is 64. It took us one line.
#
# <details><summary>Hint</summary>
#
# The shapes of the four matrices stand above exercise 4.3.
#
# </details>

# %%
def count_parameters(d_model, n_heads, d_k=None, d_v=None):
    """Count the numbers in the four matrices of multi-head attention, without making them.

    d_model: D. n_heads: H. d_k, d_v: sizes of a head's queries and keys, and of its values; D / H if None.
    Returns a whole number.
    """
    d_k = d_model // n_heads if d_k is None else d_k
    d_v = d_model // n_heads if d_v is None else d_v
    ### BEGIN SOLUTION
    return 2 * d_model * n_heads * d_k + 2 * d_model * n_heads * d_v
    ### END SOLUTION

# %%
check(count_parameters)

# %%
for n_heads in (1, 2, 8, 64):
    counted = sum(W.size for W in init_multi_head(rng, 512, n_heads).values())
    print(f"{n_heads:2} heads of size {512 // n_heads:3}   {count_parameters(512, n_heads):,}   counted {counted:,}")
print(f"8 heads of size 512  {count_parameters(512, 8, 512, 512):,}")

# %% [markdown]
# At the usual size, D / H, more heads are not more parameters, and the matrix products cost the same (softmax alone has
# more weights to make): the same matrices are cut into smaller pieces. More heads mean more looks, and each of them in
# fewer dimensions. With 64 heads of size 8, there are 8 numbers to ask a question in.
#
# Two questions that readers ask here. *Why two matrices, when a score is* $x_i W_Q W_K^\mathsf{T} x_j^\mathsf{T}$ *and
# one matrix* $A = W_Q W_K^\mathsf{T}$ *would do?* It would, at a price:

# %%
D, d_k = 512, 64
W_Q, W_K = init_linear(rng, D, d_k), init_linear(rng, D, d_k)
print(f"two matrices {W_Q.size + W_K.size:,} numbers   one matrix {D * D:,}")
print(f"rank of their product {np.linalg.matrix_rank(W_Q @ W_K.T)}, of {D} possible")

# %% [markdown]
# One matrix would have four times as many numbers. Two thin ones are a matrix of *rank* 64: it compares words in 64
# directions and ignores the others.
#
# *Why do heads become different?* Because they begin different. Start two heads with the same numbers, and they are
# twins: they look at the same places, and bring home the same.

# %%
W = {name: W.astype(np.float64) for name, W in init_multi_head(rng, 8, 2).items()}
for name in ("W_Q", "W_K", "W_V"):
    W[name][:, 4:] = W[name][:, :4]                     # head 1 begins as a copy of head 0
W["W_O"][4:] = W["W_O"][:4]
_, weights = multi_head_attention(x, x, **W, n_heads=2)
print("twins:", np.allclose(weights[:, 0], weights[:, 1]))

W["W_Q"][0, 4] += 0.1                                   # one number of one twin is nudged
_, weights = multi_head_attention(x, x, **W, n_heads=2)
print("after the nudge:", np.allclose(weights[:, 0], weights[:, 1]))

# %% [markdown]
# Whatever would make one twin better would make the other better in the same way, so training could not part them
# (chapter 09 computes it). One different number can, and random numbers all differ.
#
# ## 5. Two heads that write
#
# Now let two heads do what one could not. Chapter 02 ended with a bigram model of four sentences: five times in nine it
# wrote a wrong one, and its mean surprise was 0.390 nats a word, where 0.231 is the best possible. It fails at *the*,
# which has *cat* and *dog* after it at the beginning of a sentence, and *mat* after *on*.
#
# Take two heads, with weights set by hand, as in the last section of chapter 03. Head 0 looks at the word itself (a
# step of 0), head 1 at the word before (a step of -1). Each brings a word home, and its rows of $W_O$ turn that word
# into scores for the next one. The rows of $W_O$ are tables of logarithms of counts, as in chapter 02: *what came after
# this word* for head 0, and *what came two after this word* for head 1. A text begins with `<START>` twice, so that its
# first word has two words before it like all others.

# %%
sentences = [f"the {animal} {does}" for animal in ("cat", "dog") for does in ("sat on the mat", "ran fast")]
vocabulary = Vocabulary("the cat sat on mat dog ran fast".split())
ids = vocabulary.encode([f"<START> <START> {sentence} <END>" for sentence in sentences])
n_vocab, d_position = len(vocabulary), 16

def log_counts(steps):
    """The logarithm of how often each word came so many steps after each: (n_vocab, n_vocab); -20 for never."""
    counts = np.zeros((n_vocab, n_vocab))
    for row in ids:
        row = row[row != vocabulary.pad_id]
        np.add.at(counts, (row[:-steps], row[steps:]), 1)
    return np.log(np.maximum(counts, np.exp(-20)))

def look_back(steps, sharpness=100.0):
    """W_Q, W_K, W_V of a head that looks so many words back, as in exercise 3.6."""
    no_word, no_place = np.zeros((n_vocab, d_position)), np.zeros((d_position, n_vocab))
    W_Q = np.vstack([no_word, sharpness * shift_matrix(-steps, d_position, np.float64)])
    return W_Q, np.vstack([no_word, np.eye(d_position)]), np.vstack([np.eye(n_vocab), no_place])

heads = [look_back(0), look_back(1)]
W_Q, W_K, W_V = (np.hstack(matrices) for matrices in zip(*heads, strict=True))
W_O = np.vstack([log_counts(1), log_counts(2)])
for name, W in (("W_Q", W_Q), ("W_K", W_K), ("W_V", W_V), ("W_O", W_O)):
    print(name, W.shape)
for steps in (1, 2):
    row = log_counts(steps)[vocabulary.ids["the"]].round(2)
    print(f"{steps} after 'the':", {word: float(x) for word, x in zip(vocabulary.words, row, strict=True) if x > -20})

# %% [markdown]
# (Minus infinity would not do for *never* here: somewhere it is multiplied by 0, and $0 \cdot \infty$ is `nan`. Beside
# a score of 0, a score of -20 is a chance of about one in 500 million.)
#
# Here D = 28, d_k = 16 and d_v = 12, all different, and the output has n_vocab columns: it *is* the scores. The model
# is one call and a softmax:

# %%
def next_word(ids, W_O=W_O):
    """The weights of both heads (2, T, T), and after every word the shares for the next one (T, n_vocab)."""
    x = np.hstack([np.eye(n_vocab)[ids], positional_encoding(len(ids), d_position, np.float64)])
    scores, weights = multi_head_attention(x, x, W_Q, W_K, W_V, W_O, n_heads=2, mask=causal_mask(len(ids)))
    return weights, softmax(scores)

on_the = vocabulary.encode("<START> <START> the cat sat on the")
weights, shares = next_word(on_the)
# weights set by hand
figures.heads_picture(weights, vocabulary.decode(on_the).split(), ["this word", "the word before"])

# %% [markdown]
# **Predict**, for a text that has only begun, *the*: what does the model expect next? And what if you mute one of the
# heads, that is, set its rows of $W_O$ to 0?

# %%
def predict(context, muted):
    """muted: (2,), bool; the rows of W_O that belong to a muted head become 0."""
    kept = ~np.repeat(muted, n_vocab)
    weights, shares = next_word(vocabulary.encode(context), W_O * kept[:, None])
    return weights, shares[-1]

contexts = [f"<START> <START> {text}" for text in ("the cat sat on the", "the dog ran fast", "the dog", "the")]
figures.heads_widget(predict, contexts, vocabulary.words, ["this word", "the word before"])

# %% [markdown]
# With both heads: *cat* or *dog*, half each. Mute *the word before*, and it is the bigram again, with a third each for
# *cat*, *dog* and *mat*. Mute *this word*, and it no longer knows that *the* has been said: it says it again half of
# the time. The score of a word is the *sum* of what the heads say, and a head that says *never* wins. (After *on the*
# one head would do: two words after *on* comes *mat*, always.) How well does the model do?

# %%
def write(rng):
    """Draw one word after the other, until <END>."""
    text = [vocabulary.start_id, vocabulary.start_id]
    while text[-1] != vocabulary.end_id:
        text.append(rng.choice(n_vocab, p=next_word(np.array(text))[1][-1]))
    return vocabulary.decode(text[2:-1])

rng = np.random.default_rng(0)
drawn = [write(rng) for _ in range(900)]
print(sum(text in sentences for text in drawn), "of 900 are among the four")

nats = []
for row in ids:
    row = row[row != vocabulary.pad_id]
    _, shares = next_word(row)
    nats += [-np.log(shares[i - 1, row[i]]) for i in range(2, len(row))]
print(f"mean surprise {np.mean(nats):.3f} nats a word")

# %% [markdown]
# All of them, and the number is down from 0.390 to the best possible. This is a language model made of one layer of
# multi-head attention, and you know the reason for every number in it. Its limits are plain too: it sees two words,
# this one and the one before, where you told it to look.
#
# ### Two heads that were trained
#
# From chapter 10 on, training finds out where to look. Here is the same kind of model, trained (the second rung of
# the ladder): a table of words, positions, one layer of two heads with D = 16, whose output is added to what went in,
# and a matrix that makes scores of it. All its numbers began at random. Your `multi_head_attention` takes its four
# matrices as they are. **Predict:** will its two heads be *this word* and *the word before*?

# %%
from scratchformer_lib.course.weights import load

about, trained = load("heads")
known = Vocabulary(about["words"])

def trained_next_word(ids, W_O=trained["attention"]["W_O"]):
    """The weights of both heads (2, T, T), and after every word the shares for the next one (T, n_vocab)."""
    x = 4 * embed(ids, trained["table"]) + positional_encoding(len(ids), 16)        # 4, the root of D: see chapter 06
    matrices = trained["attention"] | {"W_O": W_O}
    output, weights = multi_head_attention(x, x, **matrices, n_heads=2, mask=causal_mask(len(ids)))
    return weights, softmax(linear(x + output, **trained["output"]))

def trained_predict(context, muted):
    """muted: (2,), bool; the rows of W_O that belong to a muted head become 0."""
    kept = ~np.repeat(muted, 8)
    weights, shares = trained_next_word(known.encode(context), trained["attention"]["W_O"] * kept[:, None])
    return weights, shares[-1]

nats = []
for sentence in sentences:
    row = known.encode(f"<START> {sentence} <END>")
    shares = trained_next_word(row)[1]
    nats += [-np.log(shares[i, row[i + 1]]) for i in range(len(row) - 1)]
print(f"mean surprise {np.mean(nats):.3f} nats a word")
contexts = [f"<START> {text}" for text in ("the cat sat on the", "the dog ran fast", "the dog", "the")]
figures.heads_widget(trained_predict, contexts, known.words, ["head 0", "head 1"], "from training")

# %% [markdown]
# It is as good as yours: 0.231 is the best possible. But its heads have no such jobs. Training gives no head a job;
# what a trained head does has to be found out, and many do nothing that has a name. Mute them in turn, and see what
# is lost.
#
# ## 6. What you built, on something real
#
# | | formula | returns |
# |---|---|---|
# | `linear(x, W, b)` | $x W + b$ | (..., n_out) |
# | `split_heads(x, n_heads)` | columns become heads | (..., H, T, d) |
# | `merge_heads(x)` | heads become columns | (..., T, H · d) |
# | `multi_head_attention(x, memory, ..., mask)` | heads side by side, times $W_O$ | (..., T, D), (..., H, T, S) |
# | `count_parameters(d_model, n_heads)` | $2 D H d_k + 2 D H d_v$ | a whole number |
#
# The smallest GPT-2 has 12 heads in each layer, D = 768 and texts of up to 1,024 pieces of words (Radford et al., 2018
# and 2019). One such layer, on your code, with a batch of two texts of half that length, one of them padded:

# %%
import time

rng = np.random.default_rng(0)
B, T, D, H = 2, 512, 768, 12
x = rng.standard_normal((B, T, D), dtype=np.float32)
ids = np.ones((B, T), int)
ids[1, 400:] = 0
params = init_multi_head(rng, D, H)
start = time.perf_counter()
mask = combine_masks(causal_mask(T), padding_mask(ids, 0))
output, weights = multi_head_attention(x, x, **params, n_heads=H, mask=mask)
took = 1000 * (time.perf_counter() - start)

print(f"{count_parameters(D, H):,} parameters; {weights.size:,} weights in {took:.0f} ms")
print("output", output.shape, output.dtype, "  weights", weights.shape, f"{weights.nbytes / 2**20:.0f} MiB")

# %% [markdown]
# Six million weights, for 2.4 million parameters. That is the price of letting every word look at every other: twice
# the length, four times the weights.
#
# ### Test yourself
#
# <details><summary>x is (2, 10, 64), memory is (2, 7, 64), 8 heads of the usual size. What are the shapes of W_O, the
# weights and the output?</summary>
#
# W_O (64, 64), weights (2, 8, 10, 7), output (2, 10, 64).
#
# </details>
# <details><summary>Can multi-head attention with W_O equal to the identity mix what two heads found?</summary>
#
# No. Then head h writes into its own columns, and they stay apart. Mixing them is what W_O is for (or what the next
# layer does).
#
# </details>
# <details><summary>Someone averages the weights of all heads and draws one picture. What is lost?</summary>
#
# Which head looked where. An average of "this word" and "the word before" is what one head with shared attention looks
# like, and that could not read both.
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017, section 3.2.2; table 3 (A) tries 1 to 32 heads at the same cost.
# - Voita et al., "Analyzing multi-head self-attention", 2019, and Michel, Levy and Neubig, "Are sixteen heads really
#   better than one?", 2019: what trained heads do, and how many can be muted.
# - Elhage et al., "A mathematical framework for Transformer circuits", 2021: heads as separate things that add.
#
# `progress()` in a new cell shows the map. Next comes [chapter 05](05_block.ipynb): what happens between two layers of
# attention.
