# %% [markdown]
# # 03 · Attention: words look at each other
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/03_attention.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/03_attention.ipynb)
# <!-- /badges -->
#
# **The question: which of the earlier words matters now, and how does a word get at it?**
#
# At the end you will have written the heart of the Transformer, in seven lines, and grown it from a dictionary. You
# will set its weights by hand, so that words look where you want, and in the last section two layers of it complete a
# text that they have never seen, without any training.
#
# Six exercises in two sittings of about 50 minutes: sections 1 to 5, then 6 to 10. You need `softmax` from [chapter
# 01](01_softmax.ipynb) and, from section 6 on, positions from [chapter 02](02_embeddings.ipynb).

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

begin("03")

# %%
#| given
#| default_exp attention
#| export
import functools
import math

import numpy as np

from scratchformer_lib.course.figures import chapter_03 as figures
from scratchformer_lib.embeddings import Vocabulary, positional_encoding, shift_matrix
from scratchformer_lib.softmax import softmax
from scratchformer_lib.support.arguments import (
    check_attention,
    check_count,
    check_ids,
    check_masks,
    check_projections,
    check_sequence,
)

# %% [markdown]
# ## 1. One earlier word decides
#
# *Ann drinks tea. Bob drinks milk. Cleo drinks water. Bob drinks* ... what?
#
# You looked back, found *Bob*, and read what stood with him. A bigram model cannot: it sees the word *drinks*, and
# after *drinks* come tea, milk and water equally often. What can a model do that may use all the earlier words? The
# first idea is to take the average of them. Each drink is a vector with a single 1, so that we can read what is in a
# mixture:

# %%
drinks = ["tea", "milk", "water"]
vectors = np.eye(3)

for drink, share in zip(drinks, vectors.mean(axis=0), strict=True):
    print(f"{drink:6} {share:.2f}")

# %% [markdown]
# A third of each, whoever is asked about. An average does not depend on the question.
#
# Before attention, networks read a text word by word and squeezed all that they had read into one vector of fixed size,
# a *state* that each new word rewrote (recurrent networks). Whether Bob's milk survives a hundred further words depends
# on what the network chose to keep, before it knew the question. Bahdanau, Cho and Bengio (2015) let a translator look
# back at all the words instead, each time it wrote one. The Transformer (Vaswani et al., 2017) kept the looking back
# and dropped the recurrence.
#
# Looking back with a question is what a Python dictionary does:

# %%
{"ann": "tea", "bob": "milk", "cleo": "water"}["bob"]

# %% [markdown]
# *bob*, the question, is the **query**. It is compared with the **keys**, and the answer is the **value** that belongs
# to the key that matched. But a dictionary is brittle. *Bobby* finds nothing, and nothing in between can be learned: a
# key matches or it does not.
#
# ## 2. A soft dictionary
#
# Make keys and query vectors, and let them match *more or less*: the dot product of query and key is the score. Softmax
# turns scores into shares. And the answer is the blend of all values, each by its share. By hand, with three keys of
# two numbers, and values that are single numbers:
#
# | | key | value | score = key · query (2, 1) | share | share times value |
# |---|---|---|---|---|---|
# | ann | (1, 0) | 10 | 2 | 0.245 | 2.45 |
# | bob | (0, 1) | 20 | 1 | 0.090 | 1.80 |
# | cleo | (1, 1) | 30 | 3 | 0.665 | 19.96 |
# | sum | | | | 1 | 24.21 |
#
# The query points most in the direction of cleo's key, so most of the answer is cleo's value.
#
# **Exercise 3.1.** Write `soft_lookup(query, keys, values)`. It takes one query (d,), S keys (S, d) and S values (S,
# d_v), and returns the blend, (d_v,). The scores are the dot products as they are.
#
# With the numbers above and `values = np.array([[10.0], [20.0], [30.0]])` it gives `[24.205]`. It took us one line.
#
# <details><summary>Hint: all scores at once</summary>
#
# Row i of `keys` times `query`, summed up, is score i. That is a product of a matrix and a vector.
#
# </details>
# <details><summary>Hint: the blend</summary>
#
# Shares (S,) times values (S, d_v), summed over S: again a product, this time of a vector and a matrix.
#
# </details>

# %%
def soft_lookup(query, keys, values):
    """Look a query up among keys that need not match exactly: values blended by how well each key fits.

    query: (d,). keys: (S, d). values: (S, d_v).
    Returns the blend, (d_v,).
    """
    ### BEGIN SOLUTION
    return softmax(keys @ query) @ values
    ### END SOLUTION

# %%
check(soft_lookup)

# %%
names = ["ann", "bob", "cleo"]
keys = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
values = np.array([[10.0], [20.0], [30.0]])
query = np.array([2.0, 1.0])

print(soft_lookup(query, keys, values).round(3))

# Bob's drink: each name a direction of its own for a key, each drink a direction of its own for a value
print(dict(zip(drinks, soft_lookup(5 * np.eye(3)[1], np.eye(3), vectors).round(2).tolist(), strict=True)))

# %%
figures.lookup_picture(query, keys, values[:, 0], softmax(keys @ query), names)

# %% [markdown]
# **Predict.** First, the query becomes ten times as long. Second, the query stays and cleo's value becomes 1000. Which
# of the shares change, and what is the answer?

# %%
longer = 10 * query
print("longer query  shares", softmax(keys @ longer).round(3), "  answer", soft_lookup(longer, keys, values).round(3))
large = np.array([[10.0], [20.0], [1000.0]])
print("larger value  shares", softmax(keys @ query).round(3), "  answer", soft_lookup(query, keys, large).round(3))

# %% [markdown]
# A longer query makes the differences between the scores larger, and the leader takes nearly all: in the limit, the
# soft dictionary becomes the exact one. Values have no influence on the shares. Keys decide *where* one looks, values
# decide *what one finds there*. So the shares alone do not explain an answer: the same look brought home 24 the first
# time and 669 the second.
#
# ## 3. Many queries at once
#
# A sentence has many words, and each of them asks. So take T queries, the rows of a matrix q (T, d_k). The keys k (S,
# d_k) and the values v (S, d_v) are S rows each; T and S may differ. One loop does it:

# %%
rng = np.random.default_rng(0)
T, S, d_k, d_v = 2, 3, 4, 5
q, k, v = rng.standard_normal((T, d_k)), rng.standard_normal((S, d_k)), rng.standard_normal((S, d_v))

looked_up = np.array([soft_lookup(query, k, v) for query in q])
print("output", looked_up.shape)

# %% [markdown]
# Without the loop: entry (i, j) of $q k^\mathsf{T}$ is the dot product of query i and key j. **Before you run the
# cell:** what is the shape of the scores, and along which axis do the shares add up to 1?

# %%
scores = q @ k.T
weights = softmax(scores)
print("scores", scores.shape, "  rows of the weights add up to", weights.sum(axis=-1))
print("the same as the loop:", np.allclose(weights @ v, [soft_lookup(query, k, v) for query in q]))

# %% [markdown]
# Each query has one hundred percent to spend, so each *row* adds up to 1. Softmax over the other axis would let each
# key share itself out among the queries. The shares of attention are called **weights**.
#
# ## 4. Why the scores are scaled
#
# There is a trap in the dot product. It is a sum of d_k terms, and the more terms, the larger the sum may become. An
# experiment: random queries, 16 random keys, all entries of order 1. How large is the largest of the 16 weights, on
# average?

# %%
def largest_weight(d, scale, rng, n=1000):
    q, k = rng.standard_normal((n, 1, d)), rng.standard_normal((n, 16, d))
    return softmax(q @ np.swapaxes(k, -1, -2) * scale).max(axis=-1).mean()

sizes = np.array([4, 8, 16, 32, 64, 128, 256, 512])
rng = np.random.default_rng(0)
largest = {"as they are": [largest_weight(d, 1, rng) for d in sizes],
           "divided by the root of d": [largest_weight(d, 1 / math.sqrt(d), rng) for d in sizes],
           "divided by d": [largest_weight(d, 1 / d, rng) for d in sizes]}

figures.scale_picture(sizes, largest)

# %% [markdown]
# Without scaling, the choice is made by the size of the vectors: with 512 numbers the best key takes nearly everything,
# though the keys are random and none deserves it. Divided by d, with 512 numbers all look the same, and the question is
# no longer heard. Divided by the root, the picture hardly depends on d. Here is why it is the root:

# %%
for d in (4, 64, 512):
    dots = (rng.standard_normal((10000, d)) * rng.standard_normal((10000, d))).sum(axis=-1)
    print(f"d = {d:3}   dot products: variance {dots.var():6.1f}, "
          f"typical size {dots.std():5.2f}   root of d {math.sqrt(d):5.2f}")

# %% [markdown]
# Each of the d terms adds a variance (the mean of the squares, for numbers around 0) of 1, so the variance of the sum
# is d, and its typical size (its standard deviation) is $\sqrt{d}$. Dividing by $\sqrt{d}$ brings it back to 1. The $d$
# here is the size of the vectors that are multiplied, **d_k**, whatever the size of the values or of the model.
#
# A softmax that gives nearly everything to one has another price, which training pays. Where one weight is nearly 1,
# moving a score a little changes nothing, and training feels its way by such little changes:

# %%
for d in (4, 64, 512):
    scores = rng.standard_normal((1000, 1, d)) @ np.swapaxes(rng.standard_normal((1000, 16, d)), -1, -2)
    nudge = 0.001 * np.eye(16)[0]                       # one score, a little higher
    raw, scaled = [np.abs(softmax(s + nudge) - softmax(s)).sum(axis=-1).mean() / 0.001
                   for s in (scores, scores / math.sqrt(d))]
    print(f"d = {d:3}   how much the weights answer to one score: raw {raw:.3f}   scaled {scaled:.3f}")

# %% [markdown]
# At d = 512, without the scale, the weights hardly answer any more.
#
# ## 5. Who may look where
#
# Often a query must not see everything: not the words that come later (section 7), not the padding (section 8). A
# **mask** is a grid with a row for each query and a column for each key: True where the query *may look*. By hand, for
# two queries and three keys, where the second query may not look at the third key:
#
# | | key 0 | key 1 | key 2 |
# |---|---|---|---|
# | query 0 | True | True | True |
# | query 1 | True | True | False |
#
# Which number means *never*? Not a score of 0: that is an ordinary score, better than -1. In chapter 01 you met the
# score that gets the share 0 and leaves 100% to the others: $-\infty$. So the mask acts on the *scores*, before
# softmax.
#
# One case needs care. A row of the mask that is False everywhere asks for shares of nothing. Softmax makes `nan` of it.
# (PyTorch's softmax does too; its attention functions differ from one another.) A `nan` spreads to everything that is
# computed from it, so we decide otherwise: **a query that may look at nothing has the weights 0 and finds zeros.**
#
# All together, in the notation of the paper (the mask acts on the fraction):
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\left(\frac{Q K^\mathsf{T}}{\sqrt{d_k}}\right) V$$
#
# **Exercise 3.2.** Write `scaled_dot_product_attention(q, k, v, mask=None)`. It returns two things, `output, weights`.
#
# - q (..., T, d_k), k (..., S, d_k) and v (..., S, d_v) may have any number of axes in front, which are stacks of
#   sentences: for a batch, (B, T, d_k). `output` is (..., T, d_v) and `weights` (..., T, S).
# - `mask` is None or an array of bool, (T, S), or with as many axes as the scores, of which some may have size 1 where
#   all share one mask; True where a query may look. Weights that are masked are exactly 0, and the others of their row
#   add up to 1; a row that may look at nothing is all 0. All this holds for large scores too, also where the mask
#   forbids the largest.
# - float32 in, float32 out. NumPy's `np.sqrt(4)` is a float64 and makes everything float64 that it touches;
#   `math.sqrt(4)` is a plain Python number and does not.
# - By hand, with d_k = 4:
#
# ```python
# q = np.array([[2.0, 0, 0, 0], [0, 2, 0, 0]])
# k = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
# v = np.array([[10.0, 0], [0, 10], [10, 10]])
# ```
#
# The scores are `[[2, 0, 2], [0, 2, 2]]`, halved `[[1, 0, 1], [0, 1, 1]]`. Without a mask the weights are `[[0.422,
# 0.155, 0.422], [0.155, 0.422, 0.422]]`, and the output `[[8.446, 5.777], [5.777, 8.446]]`. With the mask above, query
# 1 has the weights `[0.269, 0.731, 0]` and finds `[2.689, 7.311]`.
#
# It took us seven lines.
#
# <details><summary>Hint: k transposed, in a stack</summary>
#
# `k.T` turns *all* axes around. To exchange the last two alone, there is `np.swapaxes(k, -1, -2)`.
#
# </details>
# <details><summary>Hint: never</summary>
#
# `np.where(mask, scores, something)` keeps the scores where the mask is True, and takes something elsewhere.
#
# </details>
# <details><summary>Hint: a row that may look at nothing</summary>
#
# With `-np.inf` such a row becomes nan. With a number so low that its exponential is 0 beside any score, such as
# `np.finfo(scores.dtype).min`, it becomes equal shares instead. What must they be multiplied by, so that they are 0,
# and nothing else changes?
#
# </details>

# %%
#| export
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
    ### BEGIN SOLUTION
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    if mask is None:
        weights = softmax(scores)
    else:
        lowest = np.finfo(scores.dtype).min
        weights = softmax(np.where(mask, scores, lowest)) * mask
    return weights @ v, weights
    ### END SOLUTION

# %%
check(scaled_dot_product_attention)

# %%
q = np.array([[2.0, 0, 0, 0], [0, 2, 0, 0]])
k = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]])
v = np.array([[10.0, 0], [0, 10], [10, 10]])
mask = np.array([[True, True, True], [True, True, False]])

for name, allowed in (("no mask", None), ("mask", mask)):
    output, weights = scaled_dot_product_attention(q, k, v, allowed)
    print(f"{name:8} weights {weights.round(3).tolist()}   output {output.round(3).tolist()}")

# %% [markdown]
# ### Break it: the mask after softmax
#
# Why not compute the weights first and set the forbidden ones to 0 then?

# %%
late = softmax(q @ k.T / 2) * mask
_, weights = scaled_dot_product_attention(q, k, v, mask)
print("mask before softmax", weights[1].round(3), "  sum", weights[1].sum().round(3))
print("mask after softmax ", late[1].round(3), "  sum", late[1].sum().round(3))

# %% [markdown]
# The forbidden key is 0 in both, but in the second row nobody got its share: the sum is below 1, and what the query
# finds gets smaller the more is hidden from it.
#
# That was the first sitting. You have the function; the second one is about what to feed it.
#
# ## 6. A sentence looks at itself
#
# Where do queries, keys and values come from? In **self-attention** all three come from the same place: the words of
# the sentence, x (T, D), one row each. The first idea is to use x as it is, three times:

# %%
words = "the cat sat on the mat".split()
rng = np.random.default_rng(2)
vocabulary = Vocabulary(words)
D = 8
table = rng.standard_normal((len(vocabulary), D))
x = table[vocabulary.encode(" ".join(words))]

_, weights = scaled_dot_product_attention(x, x, x)
figures.weights_picture(weights, words, title="x looks at x")

# %% [markdown]
# Here every word looks at itself most, and the two *the* at each other as much: the product of a vector with itself is
# the square of its length, and another vector reaches that only if it is much longer. The scores are symmetric, too:
# the score of *cat* for *sat* is that of *sat* for *cat*. (The weights are not, since each row is shared out by
# itself.)

# %%
scores = x @ x.T
print("symmetric:", np.allclose(scores, scores.T))

# %% [markdown]
# That is not how words work: *sat* needs to know who sat, and *cat* may need something else. Let each word play three
# roles. What it *asks*, what it *offers to be found by*, and what it *gives when found* are three *projections* of the
# same vector, that is, its products with three matrices that training will choose:
#
# $$Q = x W_Q \qquad K = x W_K \qquad V = x W_V$$
#
# **Exercise 3.3.** Write `self_attention(x, W_Q, W_K, W_V, mask=None)`. It takes x (..., T, D), the matrices W_Q and
# W_K of shape (D, d_k) and W_V of shape (D, d_v), and a mask or None. It returns `output, weights`, as the function
# that you have written. It took us one line.
#
# <details><summary>Hint</summary>
#
# One input, three matrices, one call. Do not forget to hand the mask on.
#
# </details>

# %%
#| export
def self_attention(x, W_Q, W_K, W_V, mask=None):
    """Let every word look at the words of its own sentence.

    x: (..., T, D). W_Q, W_K: (D, d_k). W_V: (D, d_v).
    mask: bool, as in scaled_dot_product_attention.
    Returns (output (..., T, d_v), weights (..., T, T)).
    Raises ValueError where shapes do not fit.
    """
    check_projections(x, x, W_Q, W_K, W_V, mask)
    ### BEGIN SOLUTION
    return scaled_dot_product_attention(x @ W_Q, x @ W_K, x @ W_V, mask)
    ### END SOLUTION

# %%
check(self_attention)

# %%
d_k, d_v = 4, 5
W_Q, W_K, W_V = rng.standard_normal((D, d_k)), rng.standard_normal((D, d_k)), rng.standard_normal((D, d_v))
output, weights = self_attention(x, W_Q, W_K, W_V)
scores = (x @ W_Q) @ (x @ W_K).T

print("output", output.shape, "  weights", weights.shape, "  symmetric:", np.allclose(scores, scores.T))
print("with the same matrix for both roles, symmetric:", np.allclose(x @ W_Q @ (x @ W_Q).T, (x @ W_Q @ (x @ W_Q).T).T))

# %% [markdown]
# With two matrices the scores need not be symmetric; with one matrix for both roles they are again. (The matrices are
# random, so we do not look at a picture of the weights: where these words look means nothing.)
#
# **Predict.** Our x has no positions in it, and *the* occurs twice, in places 0 and 4. How much do its two outputs
# differ?

# %%
output, weights = self_attention(x, W_Q, W_K, W_V)
print("to the bit the same:", np.array_equal(output[0], output[4]),
      "  largest difference:", np.abs(output[0] - output[4]).max())

# %% [markdown]
# Not at all, to the last bit. Both ask the same question, find the same keys, and blend the same values. (Should yours
# say False, look at the difference: a processor may add up two rows of one product in different orders, and then the
# last digit differs.) And if you shuffle the words, the outputs are shuffled in the same way, and nothing else happens:

# %%
shuffle = rng.permutation(len(words))
shuffled, _ = self_attention(x[shuffle], W_Q, W_K, W_V)
print([words[i] for i in shuffle])
print("only shuffled:", np.allclose(shuffled, output[shuffle]))

# %% [markdown]
# (One calls that *equivariant*: the outputs move along with the words. Their average would not change at all: that is
# *invariant*.) For attention, a sentence is a bag of words. This is what positions are for:

# %%
with_places, _ = self_attention(x + positional_encoding(6, D), W_Q, W_K, W_V)
print("the same:", np.allclose(with_places[0], with_places[4]))

# %% [markdown]
# ## 7. Only the past
#
# A model that writes must not read what comes later: it is not there yet. While it is *trained*, the whole text is
# there, and a model that may look ahead would copy the next word and learn nothing. So position i may look at 0, 1,
# ..., i and no further.
#
# Look at the simplest case first: no queries and keys, only the average of the past. Here are three ways to write it.

# %%
loop = np.array([x[:i + 1].mean(axis=0) for i in range(len(x))])

triangle = np.array([[1.0 if j <= i else 0.0 for j in range(6)] for i in range(6)])
averages = triangle / triangle.sum(axis=-1, keepdims=True) @ x

scores = np.where(triangle == 1, 0.0, -np.inf)

print("loop and triangle:            ", np.allclose(loop, averages))
print("loop and softmax of masked 0s:", np.allclose(loop, softmax(scores) @ x))

# %% [markdown]
# All the same. The third one is attention that asks nothing: all scores are 0. Put $q \cdot k$ where the zeros are, and
# the average becomes a choice.
#
# **Exercise 3.4.** Write `causal_mask(length)`. It returns the mask (length, length), an array of bool: True where row
# i may look at column j, that is itself and what came before.
#
# `causal_mask(3)` gives `[[True, False, False], [True, True, False], [True, True, True]]`. It took us one line.
#
# <details><summary>Hint</summary>
#
# `np.tri` draws exactly this triangle. What dtype does it draw it in?
#
# </details>

# %%
#| export
def causal_mask(length):
    """Let each position look at itself and at what came before it.

    length: T, the number of positions.
    Returns (T, T), bool; True where row i may look at column j. Raises ValueError for a length below 1.
    """
    check_count("length", length)
    ### BEGIN SOLUTION
    return np.tri(length, dtype=bool)
    ### END SOLUTION

# %%
check(causal_mask)

# %%
#| export
def causal_attention(x, W_Q, W_K, W_V):
    """Let every word look at itself and at the words before it.

    x: (..., T, D). W_Q, W_K: (D, d_k). W_V: (D, d_v).
    Returns (output (..., T, d_v), weights (..., T, T)). Raises ValueError where shapes do not fit.
    """
    check_sequence("x", x)
    return self_attention(x, W_Q, W_K, W_V, causal_mask(x.shape[-2]))

# %%
figures.mask_picture({"causal_mask(6)": causal_mask(6)}, words)

# %% [markdown]
# **Predict.** Change the last word of the sentence, and nothing else. Which of the six outputs change without the mask,
# and which with it?

# %%
changed = x.copy()
changed[5] += 1
for name, attend in (("without mask", self_attention), ("causal", causal_attention)):
    before, after = attend(x, W_Q, W_K, W_V)[0], attend(changed, W_Q, W_K, W_V)[0]
    differs = [word for word, a, b in zip(words, before, after, strict=True) if not np.array_equal(a, b)]
    print(f"{name:12} changed:", differs)

# %% [markdown]
# Without the mask, everything. With it, nothing before the change moves, to the bit. From this follows something that
# makes Transformers fast to train: **one pass over the whole sentence does the work of six passes over its
# beginnings.** Every row is what it would be if the text ended there:

# %%
whole = causal_attention(x, W_Q, W_K, W_V)[0]
prefixes = np.array([causal_attention(x[:i + 1], W_Q, W_K, W_V)[0][-1] for i in range(6)])
print("same:", np.allclose(whole, prefixes))

# %% [markdown]
# ### Is it blind to order?
#
# Without a mask, attention sees a bag of words. What about causal attention, still without positions? **Predict:** we
# swap *cat* and *sat*, and look at the output of the last word, *mat*. Does it change with one *layer* of attention,
# that is, one call? And with two layers, where the second takes the outputs of the first as its x?

# %%
layer_1, layer_2 = rng.standard_normal((2, 3, D, D)) / math.sqrt(D)

def last_word(x, layers):
    for W_Q, W_K, W_V in layers:
        x, _ = causal_attention(x, W_Q, W_K, W_V)
    return x[-1]

swapped = x[[0, 2, 1, 3, 4, 5]]
rows = [last_word(x, [layer_1]), last_word(swapped, [layer_1]),
        last_word(x, [layer_1, layer_2]), last_word(swapped, [layer_1, layer_2])]
print("one layer, difference ", np.abs(rows[0] - rows[1]).max().round(12))
print("two layers, difference", np.abs(rows[2] - rows[3]).max().round(3))
orders = ["one layer: cat sat", "one layer: sat cat", "two layers: cat sat", "two layers: sat cat"]
figures.blindness_picture(orders, np.array(rows))

# %% [markdown]
# One layer sees the past as a bag: the last word may look at all of it, in whatever order. But in the first layer each
# word has seen another past: *sat* after *cat* has seen *cat*, and *sat* before *cat* has not. So their outputs differ,
# and the second layer reads them. A causal model of two layers can know about order without positions.
#
# ## 8. Not the padding
#
# In a batch, short sentences are filled up with `<PAD>`, and no word should look at that. The mask is made from the
# ids.
#
# **Exercise 3.5.** Write `padding_mask(ids, pad_id)`. It takes a batch of ids (B, S) and returns an array of bool of
# shape (B, 1, 1, S): True where there is a word, False where there is padding, wherever that is. Which number stands
# for padding is an argument. Without a batch, (S,) becomes (1, 1, S).
#
# The two axes of size 1 make it fit scores of shape (B, H, T, S), which come in chapter 04: H heads and T queries all
# have the same padding. It took us one line.
#
# <details><summary>Hint</summary>
#
# A comparison gives bools. Indexing with `None` puts in a new axis of size 1; `x[..., None, :]` puts it before the last
# one, however many there are in front. How many do you need?
#
# </details>

# %%
#| export
def padding_mask(ids, pad_id):
    """Let every position look at words alone, not at padding.

    ids: (..., S), whole numbers; mostly (B, S). pad_id: the id of padding.
    Returns (..., 1, 1, S), bool; True where there is a word. The axes of size 1 stand for heads and for queries.
    Raises ValueError where ids are not whole numbers.
    """
    check_ids("ids", ids)
    ids = np.asarray(ids)
    ### BEGIN SOLUTION
    return (ids != pad_id)[..., None, None, :]
    ### END SOLUTION

# %%
check(padding_mask)

# %% [markdown]
# Two masks are combined by asking both: a query may look where *every* mask lets it. This is given; it also refuses
# masks that do not fit each other.

# %%
#| export
def combine_masks(*masks):
    """Allow what every mask allows.

    masks: bool arrays, (T, S) or with as many axes as the largest, that fit each other; None stands for no mask.
    Returns a bool array of the shape they broadcast to, None if there is no mask at all.
    Raises ValueError where a mask is not bool or does not fit the others.
    """
    masks = [mask for mask in masks if mask is not None]
    check_masks(masks)
    return functools.reduce(np.logical_and, masks) if masks else None

# %%
vocabulary = Vocabulary(words)
batch = vocabulary.encode(["the cat sat on the mat", "the cat sat"])
padding = padding_mask(batch, vocabulary.pad_id)
both = combine_masks(causal_mask(6), padding)
print(padding.shape, both.shape)

figures.mask_picture({"padding": np.broadcast_to(padding, both.shape)[1, 0], "causal and padding": both[1, 0]},
                     vocabulary.decode(batch)[1].split() + ["<PAD>"] * 3)

# %% [markdown]
# (These are the masks of the second sentence.) **Predict.** We fill the padded places of x with wild numbers. What
# changes for the words?

# %%
x_batch = table[batch]
wild = x_batch.copy()
wild[1, 3:] = 1e6 * rng.standard_normal((3, D))

mask = padding_mask(batch, vocabulary.pad_id)[:, 0]     # (B, 1, S): there is no axis for heads in this chapter
tame, _ = self_attention(x_batch, W_Q, W_K, W_V, mask)
tried, _ = self_attention(wild, W_Q, W_K, W_V, mask)
print("words of the second sentence, to the bit the same:", np.array_equal(tame[1, :3], tried[1, :3]))
print("padded places, the same:                          ", np.array_equal(tame[1, 3:], tried[1, 3:]))

# %% [markdown]
# Nothing changes for the words, since nobody looks at padding. The padded places themselves do look around, as queries,
# and what they find changes. Must their rows be masked too? No. Nobody reads their output: other words do not look at
# them, and what they predict is left out when the loss is taken.
#
# ## 9. A head that looks at the word before
#
# Now you choose the weights. Chapter 02 gave each position a vector of clocks, and a matrix that moves all clocks k
# steps: $\mathrm{PE}(p) \, M_k = \mathrm{PE}(p + k)$. And the dot product of two such vectors is largest where the
# positions are equal. (The numbers in these matrices are called weights as well: weights *of the model*. What a query
# gives to the keys are *attention* weights.) So let every word ask with the *time of the position before its own*:
#
# $$q_i = \mathrm{PE}(i) \, M_{-1} = \mathrm{PE}(i - 1) \qquad k_j = \mathrm{PE}(j)$$
#
# The score $q_i \cdot k_j$ is highest at $j = i - 1$: position i looks at the word before it. And what should it bring
# home? The *word* that stands there, not its position.
#
# To keep the two apart, the first d_word columns of x hold the word here, and the other d_position columns its
# positional encoding. Each matrix then chooses which rows of it are zero, that is, which columns of x it does not read:
#
# | | reads the word (first d_word rows) | reads the position (other d_position rows) |
# |---|---|---|
# | W_Q (D, d_position) | 0 | sharpness times $M_{-1}$ |
# | W_K (D, d_position) | 0 | identity |
# | W_V (D, d_word) | identity | 0 |
#
# *Sharpness* is a factor on all scores (with 0, all are equal): neighboring positions are much alike, and softmax
# should choose one of them.
#
# **Exercise 3.6.** Write `previous_word_head(d_word, d_position, sharpness=100.0)`. It returns the three matrices `W_Q,
# W_K, W_V` of the table, with D = d_word + d_position. `shift_matrix(k, d_model)` of chapter 02 is there. In a text of
# seven words, with d_position = 8 or more (or with 4, and a sharpness of 1,000), every position but the first must give
# the word before it a weight above 0.95. (The first has nothing before it; where it looks is left open.) It took us
# four lines.
#
# <details><summary>Hint: matrices on top of each other</summary>
#
# `np.vstack([a, b])` puts b below a. `np.zeros((m, n))` and `np.eye(n)` are the other pieces.
#
# </details>
# <details><summary>Hint: it looks at the next word</summary>
#
# A step of -1 for the queries looks back, and so does a step of +1 for the keys. The other two look ahead.
#
# </details>

# %%
def previous_word_head(d_word, d_position, sharpness=100.0):
    """Set by hand the weights of attention that looks at the word before.

    Rows of x hold a word's embedding in the first d_word columns and its positional encoding in the other d_position.
    sharpness: a factor on the scores; the larger, the closer the largest weight comes to 1.
    Returns (W_Q (D, d_position), W_K (D, d_position), W_V (D, d_word)), D = d_word + d_position.
    """
    ### BEGIN SOLUTION
    W_Q = np.vstack([np.zeros((d_word, d_position)), sharpness * shift_matrix(-1, d_position)])
    W_K = np.vstack([np.zeros((d_word, d_position)), np.eye(d_position)])
    W_V = np.vstack([np.eye(d_word), np.zeros((d_position, d_word))])
    return W_Q, W_K, W_V
    ### END SOLUTION

# %%
check(previous_word_head)

# %%
one_hot = np.eye(len(vocabulary))[vocabulary.encode(" ".join(words))]
x = np.hstack([one_hot, positional_encoding(6, 16)])
output, weights = self_attention(x, *previous_word_head(len(vocabulary), 16))

figures.weights_picture(weights, words, title="weights set by hand: the word before")
for word, found in zip(words[1:], output[1:], strict=True):
    print(f"{word:4} found {vocabulary.words[found.argmax()]}")

# %% [markdown]
# There is the one earlier word that decides, found by matrices that are the same at every place. Try your own sentence.
# The second head of the menu reads the word part instead of the position: it looks for the same word. Both heads have
# moderate factors here, so that you can see the scale at work. (The first word asks for position -1; position 0 is the
# nearest that there is.) **Predict** what the two switches, *divide by the root of d_k* and *causal mask*, do before
# you use them.

# %%
figures.attention_widget(scaled_dot_product_attention, causal_mask, previous_word_head)

# %% [markdown]
# ## 10. What you built, on something real
#
# | | formula | returns |
# |---|---|---|
# | `scaled_dot_product_attention` | $\mathrm{softmax}(q k^\mathsf{T} / \sqrt{d_k}) v$ | (..., T, d_v), (..., T, S) |
# | `self_attention(x, W_Q, W_K, W_V, mask)` | $q, k, v = x W_Q, x W_K, x W_V$ | (..., T, d_v), (..., T, T) |
# | `causal_mask(length)` | $j \le i$ | (T, T) |
# | `padding_mask(ids, pad_id)` | id is not padding | (B, 1, 1, S) |
# | `previous_word_head(d_word, d_position)` | $q_i = \mathrm{PE}(i - 1)$ | W_Q, W_K, W_V |
#
# Two layers can do what neither of them can alone. How would you guess the next word of a text in a language that you
# do not know? You would look for the last time the present word came, and see *what followed it*. As attention, that
# needs two steps:
#
# 1. Each word looks at the word before it, and writes it down next to itself: your head.
# 2. Each word looks for places where *the word written down* is the word itself. Those are the places right after its
#    earlier occurrences. It brings home the words that stand there.
#
# Such pairs form by themselves in trained language models; the second head of the pair is called an *induction head*
# (Olsson et al., 2022). Here they are by hand:

# %%
def guess_next(ids, n_vocab, sharpness=30.0):
    """For every word of a text, how much each word of the vocabulary is expected next: (T, n_vocab)."""
    word, place = np.eye(n_vocab)[ids], positional_encoding(len(ids), 32)
    before, _ = causal_attention(np.hstack([word, place]), *previous_word_head(n_vocab, 32))
    x = np.hstack([word, before])                       # each word, and the word before it next to it
    nothing, one = np.zeros((n_vocab, n_vocab)), np.eye(n_vocab)
    W_Q = np.vstack([sharpness * math.sqrt(n_vocab) * one, nothing])      # asks with the word
    W_K = np.vstack([nothing, one])                                       # is found by the word before
    W_V = np.vstack([one, nothing])                                       # gives the word
    return causal_attention(x, W_Q, W_K, W_V)[0]

rng = np.random.default_rng(0)
ids = np.tile(rng.permutation(300), 2)                  # 300 words in random order, and the same once more
right = guess_next(ids, 300)[:-1].argmax(axis=-1) == ids[1:]
print(f"first time  {right[:299].mean():6.1%} right")
print(f"second time {right[299:].mean():6.1%} right, missed at places {np.flatnonzero(~right[299:])}")

# %% [markdown]
# The first time nothing can be guessed. The second time it knows the next word, having read the list once: no training,
# no counting, only looking. It misses two: the word where the list begins again, after one that nothing had followed
# yet; and the next, since the first word of all had nothing before it and wrote down itself. On real text, where words
# come back in other company, it must do worse. Python's own documentation, 1,500 words of it:

# %%
import re

try:
    from pydoc_data.topics import topics
except ImportError:
    raise ImportError("this Python has no pydoc_data; set `text` to any long text of yours instead") from None

text = re.findall(r"[a-z]+|[.,]", " ".join(topics.values()).lower())[:1500]
vocabulary = Vocabulary(text)
ids = vocabulary.encode(" ".join(text))
guesses = guess_next(ids, len(vocabulary))[:-1].argmax(axis=-1)
commonest = np.bincount(ids).argmax()

print(f"{len(vocabulary)} different words")
print(f"always guessing {vocabulary.words[commonest]!r}   {np.mean(ids[1:] == commonest):.1%} right")
print(f"two layers of attention {np.mean(guesses == ids[1:]):.1%} right")

# %% [markdown]
# Nothing had been counted when it began. For comparison, the bigram of chapter 02 had to count in a long text
# beforehand. And these heads were set by you; training finds better ones.
#
# ### Test yourself
#
# <details><summary>q is (2, 7, 64), k is (2, 9, 64), v is (2, 9, 32). What are the shapes of weights and output? By
# what are the scores divided?</summary>
#
# Weights (2, 7, 9), output (2, 7, 32), and the scores by $\sqrt{64} = 8$: the size of queries and keys counts.
#
# </details>
# <details><summary>A word gives 90% of its weight to one other word. Is that what its output is made of?</summary>
#
# Only if that word's value is not small: the output is weight times value. A weight of 10% on a value twenty times as
# long counts more.
#
# </details>
# <details><summary>When a model writes, the last word may look at everything: its row of the causal mask hides
# nothing. Why is the mask needed then?</summary>
#
# For the other rows. In training each row must not see its own answer. And when writing, the earlier words' outputs are
# read by the next layer: without the mask they would change with every new word, and be different from what they were
# in training.
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017, section 3.2.1, and its footnote 4 on the scale.
# - Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", 2015: where
#   attention began.
# - Olsson et al., "In-context learning and induction heads", 2022.
# - Jain and Wallace, "Attention is not explanation", 2019: what weights do not tell.
#
# `progress()` in a new cell shows the map. Next comes [chapter 04](04_multi_head.ipynb): several looks at once.
