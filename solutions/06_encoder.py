# %% [markdown]
# # 06 · The encoder: a stack that reads
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/06_encoder.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/06_encoder.ipynb)
# <!-- /badges -->
#
# **The question: what can two layers do that one cannot?**
#
# At the end you will have written the encoder, the half of the Transformer that reads: words and positions go in, and
# out comes a vector for every word that knows what stands around it. You will set the weights of a stack that follows a
# chain of hints, one hop a layer, and let an encoder fill a gap in sentences that it has never seen.
#
# Four exercises, about 60 minutes. You need the block from [chapter 05](05_block.ipynb).

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

begin("06")

# %%
#| given
#| default_exp encoder
#| export
import math

import numpy as np

from scratchformer_lib.attention import causal_mask, padding_mask
from scratchformer_lib.block import gelu, init_block, init_layer_norm, layer_norm
from scratchformer_lib.course.figures import chapter_06 as figures
from scratchformer_lib.embeddings import Vocabulary, embed, init_embedding, positional_encoding
from scratchformer_lib.multi_head import multi_head_attention
from scratchformer_lib.softmax import softmax
from scratchformer_lib.support.arguments import check_axes, check_count, check_ids, check_stack

# %% [markdown]
# ## 1. One hop a layer
#
# *Ann's bag is with Bob. Bob has gone to Cleo's. Cleo lives with Dora. Where is Ann's bag?*
#
# You answered in hops: Ann, Bob, Cleo, Dora. Each hop needs the answer of the one before it: you cannot look up Bob
# before you know that Bob has the bag. One layer of attention looks once. Looked up one by one, a chain of three hints
# takes three looks.
#
# By hand: every hint is a row with three parts, and each part has one number for each of the n = 4 names, 1 for the
# name that is meant and 0 for the others. So the question is the row (1, 0, 0, 0 | 0, 0, 0, 0 | 0, 0, 0, 0).
#
# | | asks about | is about | points to |
# |---|---|---|---|
# | hint 1 | nobody | ann | bob |
# | hint 2 | nobody | bob | cleo |
# | hint 3 | nobody | cleo | dora |
# | question | ann | nobody | nobody |
#
# The question asks about Ann, so it looks for the row that is about Ann, and finds that it points to Bob. Then it has
# to *forget Ann and ask about Bob*. A residual connection can only add. So the layer adds *bob minus ann*: what the row
# that was found points to, minus what it is about. After one hop the question is (0, 1, 0, 0 | 0, 0, 0, 0 | 0, 0, 0,
# 0). *Sharpness* is a factor on the scores, so that one row gets nearly all the weight.
#
# | matrix | size | makes | of the parts |
# |---|---|---|---|
# | W_Q | (3n, n) | the query | asks about, times sharpness |
# | W_K | (3n, n) | the key | is about |
# | W_V | (3n, n) | the value | points to, minus is about |
# | W_O | (n, 3n) | what is added | the value, to the part "asks about" |
#
# **Exercise 6.1.** Write `hop(n, sharpness=30.0)`. It returns the four matrices of one head for n names, as a dict of
# W_Q, W_K, W_V and W_O, so that each layer `x = x + multi_head_attention(x, x, **hop(n), n_heads=1)[0]` takes the
# question one hop further. The parts *is about* and *points to* stay as they are, in every row. Sharpness acts on the
# scores and on nothing else; with 0, all rows count alike. It took us five lines.
#
# <details><summary>Hint</summary>
#
# `np.vstack([a, b, c])` puts three (n, n) matrices on top of each other, one for each part of a row; `np.hstack` puts
# them side by side. The pieces are `np.eye(n)` and `np.zeros((n, n))`.
#
# </details>

# %%
def hop(n, sharpness=30.0):
    """Set by hand a head that goes one hop along a chain of hints.

    Rows of x have three parts of n numbers each: whom it asks about, whom it is about, whom it points to.
    n: the number of names. sharpness: a factor on the scores; the larger, the closer the largest weight comes to 1.
    Returns a dict of W_Q, W_K, W_V (3n, n) and W_O (n, 3n).
    """
    ### BEGIN SOLUTION
    zero, one = np.zeros((n, n)), np.eye(n)
    W_Q = sharpness * np.vstack([one, zero, zero])
    W_K = np.vstack([zero, one, zero])
    W_V = np.vstack([zero, -one, one])
    return {"W_Q": W_Q, "W_K": W_K, "W_V": W_V, "W_O": np.hstack([one, zero, zero])}
    ### END SOLUTION

# %%
check(hop)

# %%
names = ["ann", "bob", "cleo", "dora"]
one, nobody = np.eye(4), np.zeros(4)
hints = [np.hstack([nobody, one[i], one[i + 1]]) for i in range(3)]
question = np.hstack([one[0], nobody, nobody])

x, asks = np.array([*hints, question]), []
for layer in range(3):
    x = x + multi_head_attention(x, x, **hop(4), n_heads=1)[0]
    asks.append(x[-1, :4])
    print(f"after layer {layer + 1} the question asks about {names[asks[-1].argmax()]}")
figures.hops_picture(np.array([question[:4], *asks]), names)

# %% [markdown]
# (A hint asks about nobody. So it looks everywhere alike, and adds the mean of all values to its part *asks about*.
# That does no harm here, since nobody reads that part of a hint.)
#
# ### Break it: without the minus
#
# **Predict** what the question asks about after one layer if the value is *points to* alone.

# %%
weights = hop(4)
weights["W_V"] = np.vstack([np.zeros((8, 4)), np.eye(4)])
x = np.array([*hints, question])
x = x + multi_head_attention(x, x, **weights, n_heads=1)[0]
print("asks about", dict(zip(names, x[-1, :4].round(2).tolist(), strict=True)))

# %% [markdown]
# It asks about both. With the minus, one layer of such heads finds *bob*, however many heads it has: all of them look
# before any of them has found anything. **Depth is the number of steps in which what was found can be used to look
# again.** (The last section of chapter 03 did the same, with two layers of different weights.) Your head goes one hop a
# layer. A cleverer one lets the *hints* look each other up as well, and then the reach doubles with each layer
# (Sanford, Hsu and Telgarsky, 2024).
#
# ## 2. What goes in
#
# The blocks are there, and so are words and positions. One decision is left from chapter 02: the words' vectors are
# multiplied by $\sqrt{D}$, so that they do not drown in the positions, and the positions are added. From here on that
# is one function.
#
# **Exercise 6.2.** Write `embed_sequence(ids, table, scale=True)`. It takes ids (..., T) and a table (n_vocab, D). It
# returns (..., T, D): the words' vectors, times $\sqrt{D}$ if `scale` is true, plus the positional encoding, in the
# dtype of the table (which `positional_encoding` has to be told). `embed_sequence(np.array([1, 0]), np.array([[0.0,
# 0.0], [1.0, 1.0]]))` gives `[[1.414, 2.414], [0.841, 0.540]]`. It took us three lines.
#
# <details><summary>Hint: the dtype</summary>
#
# `positional_encoding` has an argument for it; and `math.sqrt` gives a plain number, which leaves float32 as it is.
#
# </details>

# %%
#| export
def embed_sequence(ids, table, scale=True):
    """Turn ids into what a stack of blocks takes: the words' vectors, with their positions added.

    ids: (..., T), whole numbers. table: (n_vocab, D).
    scale: multiply the words' vectors by the root of D first, as the paper does.
    Returns (..., T, D), of the table's dtype. Raises ValueError where an id is not the number of a row.
    Source: Vaswani et al., "Attention is all you need", 2017, sections 3.4 and 3.5.
    """
    check_ids("ids", ids, len(table))
    check_axes("ids", np.asarray(ids), 1)
    ### BEGIN SOLUTION
    length, d_model = np.shape(ids)[-1], table.shape[-1]
    factor = math.sqrt(d_model) if scale else 1.0
    return factor * embed(ids, table) + positional_encoding(length, d_model, table.dtype)
    ### END SOLUTION

# %%
check(embed_sequence)

# %%
vocabulary = Vocabulary("the cat sat on the mat".split())
table = init_embedding(np.random.default_rng(1), len(vocabulary), 16)
x = embed_sequence(vocabulary.encode(["the cat sat on the mat", "the mat"]), table)
print(x.shape, x.dtype)
print(embed_sequence(np.array([1, 0]), np.array([[0.0, 0.0], [1.0, 1.0]])).round(3))

# %% [markdown]
# ## 3. The stack
#
# An encoder is a stack of blocks: the output of one is the input of the next. Its layer *is* the block of chapter 05;
# here is its other name. The layers have the same form, and each has parameters of its own. A pre-norm stack gets one
# more norm at its end, since its stream was never normalized (Xiong et al., 2020).

# %%
#| export
from scratchformer_lib.block import transformer_block as encoder_layer


# %%
#| export
def layers_of(params):
    """The layers of a stack, in order, as pairs of name and parameters."""
    return [(name, params[name]) for name in params if name.startswith("layer")]


def record_of(record, name):
    """The part of a record that belongs to a layer; None where nothing is recorded."""
    return None if record is None else record.setdefault(name, {})

# %% [markdown]
# **Exercise 6.3.** Write `encoder(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
# record=None)`. It takes x (..., S, D) and returns (..., S, D).
#
# - `layers_of(params)` gives the layers in order, as pairs of a name and a dict of parameters.
# - Each layer is called with everything that `encoder` was given: `encoder_layer(x, params, n_heads, mask, pre_norm,
#   activation, rate, rng, record)`, where `params` and `record` are the layer's own.
# - Where `record` is a dict, the layer's part of it is `record_of(record, name)`, which is handed to the layer.
# - If `pre_norm` is true, `layer_norm` with `params["norm"]` comes at the end.
#
# It took us three lines.
#
# <details><summary>Hint</summary>
#
# A loop. What one layer returns, the next one takes. With many arguments, names make it safe: `mask=mask`.
#
# </details>

# %%
#| export
def encoder(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    """Send a sequence through a stack of layers.

    x: (..., S, D). params: a dict of "layer_1", "layer_2" and so on, and of "norm" for pre-norm; see init_encoder.
    n_heads, mask, pre_norm, activation, rate, rng: as in transformer_block.
    record: a dict that receives, by layer, a dict of "attention", the weights (..., H, S, S).
    Returns (..., S, D): a vector for every position. Raises ValueError where shapes do not fit, or where a layer or
    the norm is missing.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.1; the final norm: Xiong et al., "On layer
    normalization in the Transformer architecture", 2020.
    """
    check_stack(params, pre_norm)
    ### BEGIN SOLUTION
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x
    ### END SOLUTION

# %%
check(encoder)

# %%
#| export
def init_encoder(rng, n_layers, d_model, n_heads, d_ff, d_k=None, d_v=None, pre_norm=False):
    """Draw the parameters of encoder.

    rng: a np.random.Generator. n_layers: at least 1. d_model: D. n_heads: H. d_ff: F.
    d_k, d_v: sizes of a head; D / H if None. pre_norm: add a final norm.
    Returns a dict of "layer_1", "layer_2" and so on, as init_block draws them, and for pre-norm of "norm".
    Raises ValueError for sizes below 1, or where d_model is not divisible by n_heads and d_k or d_v is missing.
    """
    check_count("n_layers", n_layers)
    layers = {f"layer_{i + 1}": init_block(rng, d_model, n_heads, d_ff, d_k, d_v) for i in range(n_layers)}
    return layers | ({"norm": init_layer_norm(d_model)} if pre_norm else {})

# %%
rng = np.random.default_rng(0)
params = init_encoder(rng, n_layers=2, d_model=16, n_heads=4, d_ff=32, pre_norm=True)
record = {}
output = encoder(x, params, n_heads=4, pre_norm=True, record=record)
print("output", output.shape, output.dtype)
print({layer: {part: weights.shape for part, weights in parts.items()} for layer, parts in record.items()})

# %% [markdown]
# A vector for *every* word, not one for the sentence. (Whoever needs one vector for a whole text makes it from these,
# by an average for example.)
#
# ### Break it: no positions
#
# **Predict.** We leave out the positions and shuffle the words. What comes out, and what about the average of all
# outputs?

# %%
bag = embed(vocabulary.encode("the cat sat on the mat"), table)
shuffle = np.array([5, 3, 1, 0, 2, 4])
for name, place in (("without positions", 0), ("with positions", positional_encoding(6, 16))):
    output = encoder(bag + place, params, 4, pre_norm=True)
    shuffled = encoder(bag[shuffle] + place, params, 4, pre_norm=True)
    print(f"{name:18} only shuffled: {np.allclose(shuffled, output[shuffle], atol=1e-5)!s:6}"
          f" same average: {np.allclose(shuffled.mean(axis=0), output.mean(axis=0), atol=1e-5)}")

# %% [markdown]
# The outputs move along with the words (they are *equivariant*), and their average does not move at all (it is
# *invariant*). Where every word may look at every other, no stack of blocks, however deep, sees the order of the words
# unless something at its entrance tells it. (A causal mask is something else, see chapter 03.)
#
# ### Break it: no padding mask
#
# The second sentence, *the mat*, was filled up with four `<PAD>`. To attention, their vectors are like any others. We
# change what stands in the padding, and then leave it out altogether:

# %%
ids = vocabulary.encode(["the cat sat on the mat", "the mat"])
mask = padding_mask(ids, vocabulary.pad_id)
x = embed_sequence(ids, table)
other = x.copy()
other[1, 2:] = 7.0
alone = embed_sequence(ids[1:, :2], table)

for name, m in (("without mask", None), ("with mask", mask)):
    before, after = (encoder(a, params, 4, m, pre_norm=True)[1, :2] for a in (x, other))
    shorter = encoder(alone, params, 4, pre_norm=True)[0]
    print(f"{name:12}  other padding: {'the same to the bit' if np.array_equal(before, after) else 'different':19}"
          f"  no padding at all: differs by {np.abs(before - shorter).max():.0e}")

# %% [markdown]
# With the mask, the content of the padding does not exist, to the bit. Its *length* may move the last digits where
# there is more of it: longer sums are added up in another order. That is rounding, and no more.
#
# ### Who can reach whom
#
# In one layer, each word reads the words that its mask allows. In the next, those have read in turn. **Predict:** if
# each word may look at itself and its two neighbors only, how many layers does it take until the first word knows about
# the sixth? We move one input at a time, and mark the outputs that change.

# %%
figures.reach_widget(encoder, init_encoder, words="the cat sat on the mat".split())

# %%
near = np.abs(np.arange(6) - np.arange(6)[:, None]) <= 1
x, moved = rng.standard_normal((2, 6, 8))
moved[:5] = x[:5]                                       # only the sixth word differs
for n_layers in range(1, 6):
    small = init_encoder(rng, n_layers, 8, 2, 16, pre_norm=True)
    before, after = (encoder(a, small, 2, near, pre_norm=True)[0] for a in (x, moved))
    print(n_layers, "layers: the first word has heard of the sixth:", not np.array_equal(before, after))

# %% [markdown]
# With neighbors only, news travels one step a layer. With all words in sight one layer reaches everything, but reaching
# is not using: your head took three layers for its chain.
#
# ## 4. Fill the gap
#
# What is an encoder good for? BERT (Devlin et al., 2019) is nothing but an encoder, and it learned mainly from a game:
# hide a word, and guess it from the words on *both* sides. The hidden word's place still gives a vector, made of what
# it has read around it. A matrix turns that into scores for all words.
#
# **Exercise 6.4.** Write `fill_blank(ids, blank_id, table, params, n_heads, W, mask=None)`. It takes ids (T,), one of
# which is `blank_id`, and W (D, n_vocab). It returns a share for every word, how likely it is to stand there,
# (n_vocab,): embed the sequence, send it through the encoder (pre-norm), take the vector at the blank, multiply by W,
# softmax over all words. It took us two lines.
#
# <details><summary>Hint: where is the blank?</summary>
#
# Compare the ids with `blank_id`: what do you get? And which function of NumPy finds the place of the largest entry?
#
# </details>

# %%
def fill_blank(ids, blank_id, table, params, n_heads, W, mask=None):
    """Guess a hidden word from the words on both sides of it.

    ids: (T,), whole numbers, exactly one of them blank_id. table: (n_vocab, D). params: of a pre-norm encoder.
    n_heads: H. W: (D, n_vocab). mask: bool, as in encoder.
    Returns a share for every word, how likely it is to stand at the blank: (n_vocab,). Raises ValueError where ids do
    not hold blank_id once.
    Source: Devlin et al., "BERT: pre-training of deep bidirectional Transformers for language understanding", 2019.
    """
    if np.sum(np.asarray(ids) == blank_id) != 1:
        raise ValueError(f"ids must hold blank_id = {blank_id} once; got {ids}")
    ### BEGIN SOLUTION
    x = encoder(embed_sequence(ids, table), params, n_heads, mask, pre_norm=True)
    return softmax(x[np.argmax(ids == blank_id)] @ W)
    ### END SOLUTION

# %%
check(fill_blank)

# %% [markdown]
# Now with **trained weights**, the second rung of the ladder. We trained a small encoder on this game (two layers, D =
# 32, as you will in chapter 10), on sentences with a rule in them: every animal has a place of its own. `<UNK>` serves
# as the blank. It never saw the four sentences with *slept*. And we trained another one like it, with a causal mask.
# Your `fill_blank` runs them both. **Predict.** We hide the animal, the verb and the place in turn in those four
# sentences. Which will be guessed, with both sides in sight, and which with the past only?

# %%
from scratchformer_lib.course.weights import load

animals, places = ("cat", "dog", "bird", "fish"), ("mat", "rug", "bed", "chair")
never_seen = [f"the {animal} slept on the {place}" for animal, place in zip(animals, places, strict=True)]

def trained(name, mask):
    """A vocabulary, and a function that guesses word t of a row of ids when it is hidden."""
    about, model = load(name)
    vocabulary = Vocabulary(about["words"])

    def guess(row, t):
        hidden, blank = row.copy(), vocabulary.unk_id
        hidden[t] = blank
        return fill_blank(hidden, blank, model["table"], model["encoder"], about["n_heads"], model["output"]["W"], mask)
    return vocabulary, guess

for name, mask in (("blanks", None), ("blanks_causal", causal_mask(6))):
    vocabulary, guess = trained(name, mask)
    rows = vocabulary.encode(never_seen)
    right = {part: sum(guess(row, t).argmax() == row[t] for row in rows)
             for part, t in (("animal", 1), ("verb", 2), ("place", 5))}
    print(f"{'both sides' if mask is None else 'the past only':14} of 4 right:",
          ", ".join(f"{part} {n}" for part, n in right.items()))

# %% [markdown]
# With both sides in sight, the animal and the place are right in all four. With a causal mask, the animal is a guess.
# And the verb is always wrong: *slept* was never an answer in the training. Look at what the model says instead:

# %%
vocabulary, guess = trained("blanks", None)
row = vocabulary.encode(never_seen)[0]
for t in (1, 2):
    shares, words = guess(row, t), vocabulary.decode(row).split()
    best = np.argsort(-shares)[:4]
    print(*words[:t], "___", *words[t + 1:], "|", {vocabulary.words[i]: f"{shares[i]:.3f}" for i in best})

# %% [markdown]
# For the verb, the three that it knows get about equal shares: nothing around decides it. The animal is decided by
# the place, and the place comes *later*. A model that sees both sides gets it right in sentences that it has never
# seen; one that sees only the past guesses among four. **So an encoder has no causal mask.** It does not write: the
# whole text is there before it begins.
#
# ## 5. What you built, on something real
#
# | | what it does | returns |
# |---|---|---|
# | `hop(n)` | one hop along a chain, by hand | W_Q, W_K, W_V, W_O |
# | `embed_sequence(ids, table)` | words times $\sqrt{D}$, plus positions | (..., T, D) |
# | `encoder(x, params, n_heads, mask, ...)` | block after block, then a norm | (..., S, D) |
# | `fill_blank(ids, blank_id, ...)` | the blank's vector, times W, softmax | (n_vocab,) |
#
# The encoder of BERT's base model has 12 layers, D = 768, 12 heads and F = 3,072 (Devlin et al., 2019), on texts of up
# to 512 pieces of words. Here are six of the twelve layers, so that it runs on a small machine too, on a table of 1,000
# words, with a batch of two texts:

# %%
rng = np.random.default_rng(0)
params = init_encoder(rng, n_layers=6, d_model=768, n_heads=12, d_ff=3072)
table = init_embedding(rng, 1000, 768)
ids = rng.integers(4, 1000, (2, 128))
ids[1, 100:] = 0
output = encoder(embed_sequence(ids, table), params, 12, padding_mask(ids, 0))
layers = sum(W.size for layer in params.values() for part in layer.values() for W in part.values())
print(f"{layers:,} parameters in 6 layers")
print("output", output.shape, output.dtype, "  all finite:", bool(np.isfinite(output).all()))

# %% [markdown]
# And the chain of hints, for real: a thousand names in random order, each linked to the next, and a question twelve
# hops long. Attention divides the scores by the root of d_k, which is n here, so the sharpness has to grow with it;
# with the default it fails.

# %%
n, hops = 1000, 12
order = rng.permutation(n)
one = np.eye(n, dtype=np.float32)
hints = np.hstack([np.zeros((n - 1, n), np.float32), one[order[:-1]], one[order[1:]]])
x = np.vstack([hints, np.hstack([one[order[0]], np.zeros(2 * n, np.float32)])])[None]
weights = {name: W.astype(np.float32) for name, W in hop(n, sharpness=30 * math.sqrt(n)).items()}
right = []
for layer in range(hops):
    x = x + multi_head_attention(x, x, **weights, n_heads=1)[0]
    right.append(bool(x[0, -1, :n].argmax() == order[layer + 1]))
print("right after each layer:", right)

# %% [markdown]
# ### Test yourself
#
# <details><summary>Could one layer with three heads follow a chain of three hints?</summary>
#
# Not with heads like yours. All heads of a layer look at the same time, and the second hop needs what the first one
# found.
#
# </details>
# <details><summary>Why does the encoder need a padding mask and no causal one?</summary>
#
# Padding is not text, and its content must not matter. What comes later is text, and whoever reads may read it.
#
# </details>
# <details><summary>Every layer of an encoder has its own parameters. Would it run if all shared one set?</summary>
#
# It would: the shapes are the same. Your chain of hints did that. (ALBERT, Lan et al., 2020, does it to save
# parameters.)
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017, section 3.1: the encoder.
# - Devlin et al., "BERT: pre-training of deep bidirectional Transformers for language understanding", 2019.
# - Sanford, Hsu and Telgarsky, "Transformers, parallel computation, and logarithmic depth", 2024: k hops need only
#   about log k layers, and why.
#
# `progress()` in a new cell shows the map. Next comes [chapter 07](07_decoder.ipynb): the half that writes.
