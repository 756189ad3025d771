# %% [markdown]
# # 14 · miniGPT: your text
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/14_minigpt.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/14_minigpt.ipynb)
# <!-- /badges -->
#
# **The question: what does it take to train a GPT on real text, and what is each of its parts worth?**
#
# At the end you will have a GPT that was trained on a text of your choice, on your machine, with your functions. You
# will have measured what it gains from attention, from heads, from residuals; you will know what a larger one would
# cost before you wait for it; and you will have compared models whose losses cannot be compared.
#
# Four exercises, about 60 minutes. You need the GPT of [chapter 12](12_gpt.ipynb) and the tokenizer of
# [chapter 13](13_tokenizer.ipynb).

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

begin("14")

# %%
#| given
#| default_exp minigpt
#| export
import functools
import hashlib
import math
import tempfile
import time
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scratchformer_lib.attention import causal_mask
from scratchformer_lib.autograd import value_and_grad
from scratchformer_lib.block import feed_forward, layer_norm
from scratchformer_lib.course import watch
from scratchformer_lib.course.figures import chapter_14 as figures
from scratchformer_lib.encoder import layers_of
from scratchformer_lib.gpt import (
    GPTConfig,
    TransformerLM,
    embed_tokens,
    generate,
    init_transformer_lm,
    next_token_pair,
    sample,
    transformer_lm,
)
from scratchformer_lib.multi_head import linear, multi_head_attention
from scratchformer_lib.support.arguments import (
    check_at_least_0,
    check_block,
    check_count,
    check_decodable,
    check_pieces,
    check_share,
    check_stream,
)
from scratchformer_lib.support.data import load_text
from scratchformer_lib.support.files import load_json, save_json
from scratchformer_lib.support.shapes import OnlyShapes
from scratchformer_lib.support.trees import flat
from scratchformer_lib.support.workers import shared_out
from scratchformer_lib.tokenizer import train_bpe
from scratchformer_lib.training import AdamW, clip_by_norm, cross_entropy, fit, warmup_cosine

# %% [markdown]
# ## 1. A text
#
# Best of all, take one of yours: a book, your notes, your programs, everything in one file, half a million characters
# or more. Write its path where `None` stands. A web address works too; it is fetched once and then kept, and
# `load_text(address, sha256=...)` refuses what is not the file that you mean. `None` is what is always there: the
# documentation that comes with Python. (What this chapter says about results holds for that text. It differs from
# version to version of Python, and so will your numbers.)

# %%
source = None                   # or "my_text.txt", or "https://..."
text = load_text(source)
print(f"{len(text)} characters, {len(set(text))} different ones")
print(text[len(text) // 20:][:500])

# %% [markdown]
# Some of it has to be kept out of the training, to ask the model about what it has not seen. **Predict:** which part
# would you take? Every tenth character? Lines here and there, drawn at random? The last tenth, in one piece?
#
# <details><summary>Answer</summary>
#
# In one piece. A held-out character in the middle of seen ones is no test: everything around it has been learned. Many
# lines drawn at random have a near copy among those that stay in. The borders between seen and unseen are where
# knowledge leaks; one piece has one border. (That is not all: a text may repeat itself, and its end may be easier or
# harder than the rest. Section 7 measures the one, section 4 the other.)
#
# </details>

# %%
#| given
#| export
def hold_out(text, share=0.1):
    """Keep the end of a text out of the training.

    text: a str, or ids (N,). share: how much of it is kept out, above 0, below 1.
    Returns (training, validation), which have no character in common. Raises ValueError for another share.
    """
    check_share("share", share)
    n = round((1 - share) * len(text))
    if not 0 < n < len(text):
        raise ValueError(f"share must leave something on both sides of a text of length {len(text)}; got {share!r}")
    return text[:n], text[n:]


class CharTokenizer:
    """Turn texts into ids and back, a character at a time.

    text: what is to be encoded later; each different character gets an id, in the order of their code points.
    Raises ValueError for an empty text.
    """

    def __init__(self, text):
        if not isinstance(text, str) or not text:
            raise ValueError(f"text must be a text with at least one character; got {text!r}")
        self.tokens = sorted(set(text))
        self.ids = {character: i for i, character in enumerate(self.tokens)}

    def __len__(self):
        return len(self.tokens)

    def encode(self, text):
        """The ids (T,) of a text. Raises ValueError for a character that the tokenizer does not know."""
        try:
            return np.array([self.ids[character] for character in text], dtype=np.int64)
        except KeyError as error:
            raise ValueError(f"text must be of the {len(self)} characters that this tokenizer knows; got "
                             f"{error.args[0]!r}, at {text.index(error.args[0])}") from None

    def decode(self, ids):
        """The text of ids (T,), or of a single one. Raises ValueError for an id that there is not."""
        check_decodable("ids", ids, len(self))
        return "".join(self.tokens[i] for i in np.ravel(ids))

    def save(self, path):
        """Write the tokenizer to a file, as JSON."""
        save_json(path, "CharTokenizer", {"characters": "".join(self.tokens)})

    @classmethod
    def load(cls, path):
        """Read what save wrote. Raises ValueError where it is damaged, or something else."""
        about = load_json(path, "CharTokenizer")
        try:
            return cls(about["characters"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} must be a CharTokenizer that this library saved; it is damaged "
                             f"({type(error).__name__}: {error})") from error

# %% [markdown]
# For now a token is a **character**: easy to look at, and there are few of them. Your tokenizer of chapter 13 comes in
# section 6. (The `CharTokenizer` is made of the whole text, since one unknown character in the held-out part would stop
# `encode`. All that it takes from there is which characters there are. The model learns nothing about them from that.)

# %%
characters = CharTokenizer(text)
training, validation = hold_out(text)
training_ids, validation_ids = characters.encode(training), characters.encode(validation)
print(f"{len(characters)} tokens; {len(training_ids)} of them to train on, {len(validation_ids)} held out")
print(training_ids[:12], repr(characters.decode(training_ids[:12])))

# %% [markdown]
# ## 2. Windows
#
# In chapter 12 the stream was cut into rows once and for all. A position of the model then sees the same places of the
# text again and again. It is better to cut anew for every batch: **windows** of the text that begin anywhere.
#
# By hand: the ids `5 6 7 8 9 10 11`, windows of length 3. The one that begins at place 0 gives `5 6 7`, and asks for `6
# 7 8`. The one that begins at place 2 gives `7 8 9`, and asks for `8 9 10`. **Predict:** how many places are there to
# begin at?
#
# <details><summary>Answer</summary>
#
# Four: 0, 1, 2 and 3. The last window gives `8 9 10` and asks for `9 10 11`. A window that began at 4 would ask for
# what comes after the 11.
#
# </details>
#
# **Exercise 14.1.** Write `get_batch(ids, n_rows, length, rng)`. It takes the ids of a text, (N,), and returns
# `(inputs, labels)`, both (n_rows, length). Each row is a window of the text; its labels are the ids one place further
# on. Where each window begins is drawn by itself: every place that leaves room for all labels is equally likely, the
# first and the last of them included, and a place may be drawn twice. Draw all of them in one call, `rng.integers(...,
# size=n_rows)`; `rng` is a `np.random.Generator`. It took us three lines.
#
# <details><summary>Hint: which places</summary>
#
# `rng.integers(n, size=n_rows)` draws from 0 to n - 1. What is n for seven ids and windows of three?
#
# </details>
# <details><summary>Hint: all windows at once</summary>
#
# `ids[places]` takes places of any shape and returns ids of that shape. A column of beginnings plus a row of steps
# gives all places of all windows; chapter 00 drew such a sum.
#
# </details>

# %%
#| export
def get_batch(ids, n_rows, length, rng):
    """Draw windows of a text, and say for each of their tokens which comes next.

    ids: (N,), N above length. n_rows: B. length: T. rng: a np.random.Generator.
    Returns (inputs, labels), both (B, T). Each window begins at a place of its own; all that have room are equally
    likely. Raises ValueError where the text is too short for one window.
    """
    check_stream(ids, length)
    check_count("n_rows", n_rows)
    ### BEGIN SOLUTION
    begin = rng.integers(len(ids) - length, size=n_rows)
    places = begin[:, None] + np.arange(length)
    return ids[places], ids[places + 1]
    ### END SOLUTION

# %%
check(get_batch)

# %%
inputs, labels = get_batch(training_ids, 3, 40, np.random.default_rng(0))
for given, wanted in zip(inputs, labels, strict=True):
    print("given ", repr(characters.decode(given)))
    print("wanted", repr(characters.decode(wanted)), "\n")

# %% [markdown]
# ## 3. What is the loss?
#
# The loss of one batch says little: one window lies in a list of names, the next in plain sentences. To compare models,
# or a model with itself a hundred steps later, we want a number that does not depend on which windows were drawn. It
# takes three things.
#
# - **Several batches**, and their mean. All batches are of the same size here, so the mean of their means is the mean
#   over all tokens. (Where sizes differ it is not, as chapter 10 showed.)
# - **The same batches each time.** If every estimate drew new windows, two models would be asked different questions.
# - **No dropout.** We are not training; the loss gets no `rng`.
#
# **Exercise 14.2.** Write `estimate_loss(loss, params, ids, n_rows, length, n_batches=10, seed=0)`. `loss(params,
# inputs, labels)` returns the mean loss of a batch; it takes an `rng` for dropout too, which is not for us. Draw
# `n_batches` batches, one after the other, with your `get_batch` and one generator, made new from the seed in every
# call: `np.random.default_rng(seed)`. Return the mean of their losses as a Python float. It took us four lines.
#
# <details><summary>Hint</summary>
#
# Where is the generator made: before the loop, or in it? Think of what each batch would hold.
#
# </details>

# %%
#| export
def estimate_loss(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    """Estimate the loss of a model on a text: the mean over some windows, the same ones in every call.

    loss: a function of params, inputs and labels that returns the mean loss of a batch. params: nested dicts of arrays.
    ids: (N,), the text. n_rows: B. length: T. n_batches: how many batches of (B, T). seed: of the windows.
    Returns a float, in nats per token. Raises ValueError where the text is too short for one window.
    """
    check_stream(ids, length)
    check_count("n_batches", n_batches)
    ### BEGIN SOLUTION
    rng, losses = np.random.default_rng(seed), []
    for _ in range(n_batches):
        inputs, labels = get_batch(ids, n_rows, length, rng)
        losses.append(float(loss(params, inputs, labels)))
    return sum(losses) / n_batches
    ### END SOLUTION

# %%
check(estimate_loss)

# %% [markdown]
# A small GPT to begin with: two layers of D = 64, which look back 32 characters. **Predict** its loss before any
# training, when it knows nothing. You know a number for that since chapter 12.

# %%
#| given
#| export
def lm_loss(config):
    """A function of params and a batch: the loss of a GPT of this config, for fit and estimate_loss."""
    def loss(params, inputs, labels, rng=None):
        return cross_entropy(transformer_lm(params, config, inputs, rng), labels)
    return loss

# %%
small = GPTConfig(len(characters), d_model=64, n_heads=4, n_layers=2, max_length=32, dropout=0.0)

untrained = init_transformer_lm(np.random.default_rng(0), small)
print(f"ln {len(characters)} = {math.log(len(characters)):.2f}")
print(f"untrained: {estimate_loss(lm_loss(small), untrained, validation_ids, 12, 32):.2f}")
inputs, _ = get_batch(validation_ids, 12, 32, np.random.default_rng(0))
logits = transformer_lm(untrained, small, inputs)
repeated = np.take_along_axis(logits, inputs[..., None], axis=-1)
print(f"its scores: mean {logits.mean():.2f}, standard deviation {logits.std():.2f}; "
      f"of the character just read: mean {repeated.mean():.2f}")

# %% [markdown]
# Worse than knowing nothing. ln n_vocab is the loss of a model that *says* that it knows nothing: all scores the same.
# This one's scores are spread by about 1, in favor of characters that chance has chosen, and of the one just read: the
# table that scores is the one that embeds, as chapter 12 showed. It has opinions without knowledge, and they cost about
# a third of a nat. (The first steps of training take it away.)
#
# ## 4. The ladder
#
# What is each part of a GPT good for? Take them all away, and put them back one by one:
#
# | rung | what is new | what a position could know then |
# |---|---|---|
# | bigram | a table of embeddings; transposed, it gives the scores | its own character, and where it stands |
# | + attention | one head per layer | what came before |
# | + heads | four heads, of the same size together | several things at a time |
# | + feed-forward | in each layer, after attention | what it can make of them by itself |
# | + residuals | what a part brings is added to what was there | also what it knew before |
# | + norm | before each part, and at the end | the same, at a steady size |
#
# Each rung has the same two layers, the same first numbers for what it has, the same 300 steps on the same windows, at
# the same rate. Such a comparison, in which parts are switched off, is called an **ablation**. Its heart is a block
# with switches.
#
# **Exercise 14.3.** Write `ablate(x, params, n_heads, pieces)`: the pre-norm block of chapter 05 under a causal mask,
# with some pieces only. `x` is (B, T, D), `params` those of a block, and `pieces` a set or a tuple of names. It returns
# (B, T, D).
#
# - `"attention"`: there is attention, `multi_head_attention(x, x, **params["attention"], n_heads=..., mask=...)[0]`,
#   with `causal_mask(T)`; without this piece, there is none, and `"heads"` does not matter.
# - `"heads"`: attention has n_heads heads; without this piece, one.
# - `"feed_forward"`: after attention, if there is any, comes `feed_forward(x, **params["feed_forward"])`.
# - `"residuals"`: what each part returns is added to what went into it; without this piece, it takes its place.
# - `"norm"`: each part gets `layer_norm(x, **params["norm_1"])`, the feed-forward `norm_2`, instead of x. What is added
#   to is x itself, as it was before the norm.
#
# With no piece, x comes back as it is. With all five, it is `transformer_block(x, params, n_heads, mask,
# pre_norm=True)`. It took us eleven lines.
#
# <details><summary>Hint: two parts, one pattern</summary>
#
# Attention and feed-forward are treated in the same way: perhaps a norm before, perhaps a sum after. A function inside
# of yours can do that for both: it takes x, the name of the norm, and a function to apply.
#
# </details>
# <details><summary>Hint: is it in?</summary>
#
# `"norm" in pieces` is True or False.
#
# </details>

# %%
#| export
def ablate(x, params, n_heads, pieces):
    """A pre-norm block under a causal mask, with some of its pieces only.

    x: (B, T, D). params: a dict of "attention", "norm_1", "feed_forward" and "norm_2", as init_block draws it.
    n_heads: H. pieces: those that are there, of "attention", "heads", "feed_forward", "residuals" and "norm".
    Returns (B, T, D). Raises ValueError for a piece that there is not, and where shapes do not fit.
    """
    check_block(x, params, n_heads, None, 0.0)
    check_pieces(pieces, "attention", "heads", "feed_forward", "residuals", "norm")
    ### BEGIN SOLUTION
    def with_part(x, norm, part):
        y = part(layer_norm(x, **params[norm]) if "norm" in pieces else x)
        return x + y if "residuals" in pieces else y

    def attend(x):
        mask, heads = causal_mask(x.shape[-2]), n_heads if "heads" in pieces else 1
        return multi_head_attention(x, x, **params["attention"], n_heads=heads, mask=mask)[0]

    if "attention" in pieces:
        x = with_part(x, "norm_1", attend)
    if "feed_forward" in pieces:
        x = with_part(x, "norm_2", lambda x: feed_forward(x, **params["feed_forward"]))
    return x
    ### END SOLUTION

# %%
check(ablate)

# %% [markdown]
# The model around it is that of chapter 12: embed, the blocks, a last norm if norms are on, the table transposed. A
# function of the pieces trains it and returns its validation loss. It can also make each position a text of its own,
# one character long: then attention is there, with all its matrices, and has nothing to look at but the position
# itself.

# %%
PIECES = ("attention", "heads", "feed_forward", "residuals", "norm")

def ablated_lm(params, config, ids, pieces, alone=False):
    """transformer_lm with some of the pieces only. alone: each position sees only itself."""
    x = embed_tokens(params, config, ids)
    rows = (-1, 1, config.d_model) if alone else x.shape
    for _, layer in layers_of(params["blocks"]):
        x = ablate(x.reshape(rows), layer, config.n_heads, pieces).reshape(x.shape)
    x = layer_norm(x, **params["blocks"]["norm"]) if "norm" in pieces else x
    return linear(x, params["table"].T)

@functools.cache
def trained_with(pieces, alone=False, seed=0, rate=0.008):
    """Train with these pieces, a tuple of names. Returns the parameters and the validation loss."""
    def loss(params, inputs, labels, rng=None):
        return cross_entropy(ablated_lm(params, small, inputs, pieces, alone), labels)

    rng = np.random.default_rng(seed)
    run = fit(loss, init_transformer_lm(rng, small), lambda rng: get_batch(training_ids, 12, 32, rng), 300, rng,
              rate=lambda step: warmup_cosine(step, rate, 30, 300, rate / 10))
    return run.params, estimate_loss(loss, run.params, validation_ids, 12, 32)

# %% [markdown]
# For comparison, the bigram model of chapter 02, which only counts. (To each count a little is added, so that a pair
# that was never seen is not impossible.)

# %%
counts = np.full((len(characters), len(characters)), 0.1)
np.add.at(counts, (training_ids[:-1], training_ids[1:]), 1)
by_counting = np.log(counts / counts.sum(axis=1, keepdims=True))

def counting_loss(params, inputs, labels):
    return cross_entropy(by_counting[inputs], labels)

print(f"bigrams, counted: {estimate_loss(counting_loss, {}, validation_ids, 12, 32):.2f}, on ten batches held out")
for name, ids in (("all that is held out", validation_ids), ("what was counted", training_ids)):
    print(f"on {name}: {-by_counting[ids[:-1], ids[1:]].mean():.2f}")

# %% [markdown]
# The pairs fit the held-out end of the text better than the part where they were counted: the end is easier.
#
# **Predict:** which rung brings the most, and which the least? One bar more stands between the first two rungs:
# attention in which each position sees only itself. Where will it end?

# %%
rungs = {f"+ {piece.replace('_', '-')}": PIECES[:i + 1] for i, piece in enumerate(PIECES)}
ladder = {"bigram": trained_with(())[1], "to itself only": trained_with(("attention",), alone=True)[1]}
figures.ladder_picture(ladder | {name: trained_with(pieces)[1] for name, pieces in rungs.items()})

# %% [markdown]
# And what do they write? Each goes on from *The*, at temperature 0.7:

# %%
def written_with(pieces, n=60):
    """n characters by the model with these pieces, which sees the last 32."""
    params, rng = trained_with(pieces)[0], np.random.default_rng(1)
    ids = characters.encode("The " if {*"The "} <= {*text} else text[:4])
    for _ in range(n):
        logits = ablated_lm(params, small, ids[None, -32:], pieces)[:, -1]
        ids = np.append(ids, sample(logits, rng, temperature=0.7))
    return characters.decode(ids)

for name, pieces in ({"bigram": ()} | rungs).items():
    print(f"{name:14} {written_with(pieces)!r}")

# %% [markdown]
# After so short a training none writes words worth the name, and by such samples nobody could tell neighboring rungs
# apart. A loss can.
#
# (The lowest rung does worse than the counted bigrams, and more steps do not change that: one table is both question
# and answer, so apart from the position it must score *th* and *ht* alike. But for a factor its scores are
# `table @ table.T`, and that is a symmetric matrix.)
#
# Look at the whole ladder before you say what a part is worth. From the bigram to attention the loss falls by 0.3. But
# where each position sees only itself it falls as far. So the past is not needed for that gain; the matrices of
# attention are enough for it, which now stand between the table and the same table transposed: *th* and *ht* may score
# differently. Neither bar is as low as counted pairs, and four heads change nothing. **That a part brings something
# does not say why.** For that, build the comparison in which only the reason is missing.
#
# The feed-forward makes it worse. Then come the residuals, and the loss falls as at no other rung, for the first time
# below that of counted pairs: on this ladder, what came before is of use only from the residuals on. Without them, what
# a part makes *replaces* what was there: after attention a position has lost its own character, on which the bigram
# model lives, unless attention learns to look at itself. With them, a part has to learn only what to add.
#
# So is attention worth less than residuals, and does the feed-forward do harm? **Predict** first. Then turn the
# question around: begin with all pieces, and take away a single one.

# %%
without = {"all pieces": PIECES} | {f"without {piece.replace('_', '-')}": tuple(p for p in PIECES if p != piece)
                                    for piece in PIECES}
figures.ladder_picture({name: trained_with(pieces)[1] for name, pieces in without.items()}, to_first=True)

# %% [markdown]
# From both sides the residuals come first. But the feed-forward, which did harm on the ladder, seems worth having in
# this company, and so do the heads, which brought nothing there. And without attention the model ends about where
# counting pairs ends: it knows nothing but its own character and where it stands, whatever it makes of them. **What a
# part is worth depends on which others are there.** A ladder is one order of many, and an ablation always says "in this
# company".
#
# It says "here", too: two layers, 300 steps, one rate, one seed. How much of it is chance? The rung "+ heads" once
# more, with other first numbers and other windows:

# %%
print(f"+ heads: {trained_with(PIECES[:2])[1]:.2f}; with another seed {trained_with(PIECES[:2], seed=1)[1]:.2f}")

# %% [markdown]
# So 0.07 may be chance alone, and what heads and feed-forward bring above, 0.08 and 0.07, is hardly more: ask other
# seeds before you believe it. What the residuals bring is far above that. Try other rungs with `seed=1`, and with
# `rate=0.003`: which of the differences stay?
#
# The norm hardly shows. Chapter 05 showed what it is for, and chapter 10 at which rates: where there are many layers,
# and the steps are large. A part that brings nothing in a small test may be what a large model stands on.

# %% [markdown]
# ## 5. The whole thing
#
# Now a real training. What belongs together, the sizes of a model and how it is trained, stands in a **preset**. The
# first is nanoGPT's configuration for a computer without GPU (Karpathy, 2022), the last the one for a GPU.

# %%
#| given
#| export
@dataclass(frozen=True)
class Preset:
    """A GPT of a certain size, and how it is trained.

    n_layers, n_heads, d_model: of the model. length: T, of the windows, and how far back the model can look.
    n_rows: B, windows in a batch. n_steps: how many. peak, warmup, lowest: of the rate, see warmup_cosine.
    dropout: while training. betas, weight_decay: of AdamW.
    Raises ValueError for sizes that do not fit.
    """
    n_layers: int
    n_heads: int
    d_model: int
    length: int
    n_rows: int
    n_steps: int
    peak: float = 1e-3
    lowest: float = 1e-4
    warmup: int = 100
    dropout: float = 0.0
    betas: tuple = (0.9, 0.99)
    weight_decay: float = 0.1

    def __post_init__(self):
        for name in ("n_rows", "n_steps", "warmup"):
            check_count(name, getattr(self, name))
        for name in ("peak", "lowest"):
            check_at_least_0(name, getattr(self, name))
        self.config(n_vocab=2), self.optimizer()                # they look at the rest

    def config(self, n_vocab):
        """The GPTConfig of the model, for a vocabulary."""
        return GPTConfig(n_vocab, self.d_model, self.n_heads, self.n_layers, max_length=self.length,
                         dropout=self.dropout)

    def optimizer(self):
        return AdamW(betas=self.betas, weight_decay=self.weight_decay)

    def rate(self, step):
        """The rate of a step, 1 for the first."""
        return warmup_cosine(step, self.peak, self.warmup, self.n_steps, self.lowest)


PRESETS = {
    "minute": Preset(4, 4, 128, length=64, n_rows=12, n_steps=2000),
    "hour": Preset(6, 6, 192, length=128, n_rows=16, n_steps=5000),
    "night": Preset(6, 6, 384, length=256, n_rows=64, n_steps=5000, dropout=0.2),
}

# %% [markdown]
# ### What will it cost?
#
# It is better to know before than after. How long a step takes, one can **measure**: take three on this machine, with
# few rows if the batch is large, and multiply. How much memory it takes, one can **compute**. Of each parameter there
# are the parameter itself, its gradient, the two running means of AdamW, and the best value so far; and while the
# optimizer steps, new ones beside the old. And from the forward pass a step keeps what the way back needs, for each
# token and in each layer: about 20 vectors of D numbers, as a count of the bytes of real trainings says (Python's
# `tracemalloc`), and a row of T attention weights for each of the H heads.
#
# By hand, for the first preset: $12 \cdot 64$ tokens, times 4 layers, times $20 \cdot 128 + 4 \cdot 64$ numbers, times
# 4 bytes is 35 MB. **Predict:** what becomes of that if the windows are twice as long and there are half as
# many rows?

# %%
#| given
#| export
KEPT = 20                               # vectors of D numbers that a layer keeps of each token; measured


@dataclass(frozen=True)
class Cost:
    """What a training takes on this machine. n_parameters; memory: bytes, beside Python itself; step: seconds for
    one; n_steps. Its text is a sentence."""
    n_parameters: int
    memory: float
    step: float
    n_steps: int

    @property
    def seconds(self):
        """For all steps."""
        return self.step * self.n_steps

    def __str__(self):
        return (f"{self.n_parameters:,} parameters, about {self.memory / 1e6:.0f} MB; {self.n_steps} steps of "
                f"{1000 * self.step:.0f} ms: {in_time(self.seconds)}")


def in_time(seconds):
    """A time in the unit that suits it, as a text."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def memory_of(preset, n_vocab):
    """About how many bytes a training takes at most, computed from its sizes."""
    P = n_parameters(preset.config(n_vocab))
    layer = KEPT * preset.d_model + preset.n_heads * preset.length
    forward = preset.n_rows * preset.length * (preset.n_layers * layer + 2 * preset.d_model + 5 * n_vocab)
    return 4 * max(9 * P, 5 * P + forward)


def n_parameters(config):
    """How many numbers a model of this config has, without making them."""
    return sum(math.prod(x.shape) for x in flat(init_transformer_lm(OnlyShapes(), config)).values())


def cost(preset, n_vocab, n_tokens=512):
    """What a training would take here: its memory computed, its time measured in three steps.

    preset: a Preset. n_vocab: how many tokens there are. n_tokens: so many at most are in a batch that is measured.
    Returns a Cost.
    """
    config, rng = preset.config(n_vocab), np.random.default_rng(0)
    n_rows = min(preset.n_rows, max(1, n_tokens // preset.length))
    params, optimizer = init_transformer_lm(rng, config), preset.optimizer()
    ids = rng.integers(n_vocab, size=(n_rows, preset.length + 1))
    differentiate = shared_out(value_and_grad(lm_loss(config)), 1, lambda batch: batch[-1].size)
    state, fixed, by_row = optimizer.start(params), [], []
    for _ in range(4):                                          # the first one warms up
        start = time.perf_counter()
        _, gradients = differentiate(params, ids[:, :-1], ids[:, 1:], rng=rng)
        middle = time.perf_counter()
        params, state = optimizer.step(params, clip_by_norm(gradients, 1.0), state, 1e-3)
        by_row.append((middle - start) / n_rows)
        fixed.append(time.perf_counter() - middle)
    step = min(fixed[1:]) + min(by_row[1:]) * preset.n_rows
    return Cost(n_parameters(config), memory_of(preset, n_vocab), step, preset.n_steps)

# %%
for name, preset in PRESETS.items():
    expected = cost(preset, len(characters))
    tokens = preset.n_rows * preset.length
    print(f"{name:7} {expected}   ({tokens / expected.step:,.0f} tokens/s)")

# %% [markdown]
# (With one thread, as here; `workers=2` shares a batch among two cores. And other work on the machine slows it.) Twice
# the length at half the rows is as many tokens, but each keeps weights for twice as many others: that share doubles,
# the rest stays, and 35 MB become 38.
#
# ### Train
#
# `train` puts together what you have: it says what it will cost, draws windows with `get_batch`, lets `fit` do the
# rest, and asks `estimate_loss` about the held-out ids every `every` steps.

# %%
#| given
#| export
def train(preset, training, validation, n_vocab, rng, every=250, on_step=None, checkpoint=None, workers=1, say=print):
    """Train a GPT on a text, as a preset says.

    preset: a Preset. training, validation: ids (N,), of what it learns from and of what it is tested on.
    n_vocab: how many tokens there are. rng: a np.random.Generator. every, on_step, checkpoint, workers: as in fit.
    say: is told what it will cost, before it begins; None: it is not measured.
    Returns (model, run): a TransformerLM with the parameters of the lowest validation loss, and a Run.
    Raises ValueError where a text is too short, or the checkpoint belongs to another training.
    """
    config = preset.config(n_vocab)
    check_stream(training, preset.length)
    check_stream(validation, preset.length)
    loss, text = lm_loss(config), hashlib.sha256(np.ascontiguousarray(training)).hexdigest()[:16]

    def draw(rng):
        return get_batch(training, preset.n_rows, preset.length, rng)

    def validate(params):
        return estimate_loss(loss, params, validation, preset.n_rows, preset.length)

    if say is not None:
        say(cost(preset, n_vocab))
    run = fit(loss, init_transformer_lm(rng, config), draw, preset.n_steps, rng, preset.optimizer(), preset.rate,
              validate=validate, every=every, on_step=on_step, checkpoint=checkpoint,
              about=(replace(preset, n_steps=1), n_vocab, text), workers=workers)
    return TransformerLM(config, run.params), run


def write(model, tokenizer, prompt="\n", n_tokens=200, temperature=1.0, top_k=None, top_p=None, rng=None):
    """Go on writing from a text.

    model: a TransformerLM. tokenizer: the one it was trained with. prompt: a text, not empty.
    n_tokens, temperature, top_k, top_p, rng: as in generate. Returns the prompt and what was written, a str.
    """
    ids = tokenizer.encode(prompt)
    written = generate(model, ids, n_tokens, temperature, top_k, top_p, rng)
    return tokenizer.decode(np.concatenate([ids, written]))

# %% [markdown]
# Our run here is shorter than the first preset: the small model of the ladder with all its pieces, for 800 steps. At
# some of them we look how it is doing and let it write, always with the same random numbers.

# %%
quick = Preset(2, 4, 64, length=32, n_rows=12, n_steps=800, peak=0.01, lowest=0.001, warmup=50)
prompt = "\n" if "\n" in text else text[0]

@functools.cache
def trained():
    """Returns the model, the Run, and {step: (validation loss, sample)}."""
    kept, show_it, loss = {}, watch(), lm_loss(quick.config(len(characters)))

    def note(step, params):
        model = TransformerLM(quick.config(len(characters)), params)
        kept[step] = (estimate_loss(loss, params, validation_ids, 12, 32),
                      write(model, characters, prompt, 200, rng=np.random.default_rng(0)))

    def watch_and_note(step):
        show_it(step)
        if step.step in (10, 25, 50, 100, 200, 400, 800):
            note(step.step, step.params)

    note(0, init_transformer_lm(np.random.default_rng(0), quick.config(len(characters))))
    model, run = train(quick, training_ids, validation_ids, len(characters), np.random.default_rng(0), every=200,
                       on_step=watch_and_note)
    return model, run, kept

model, run, kept = trained()

# %%
figures.checkpoints_widget(trained()[1].losses, trained()[2])

# %% [markdown]
# The diamonds lie below the line, though the model has not seen that text. At first that is because the line lags
# behind, being a mean of the last 20 steps; later because the held-out end is the easier part, as the counted pairs
# have shown.
#
# Go back to step 0, and forward again. **Predict** before each step what it will have learned by then: which characters
# there are, and how often; where a word ends; which letters go together; short words; how a line looks. It does not
# learn them one after the other, but that is about the order in which they can be seen.
#
# Your turn: a beginning of your own, and the ways of choosing of chapter 12.

# %%
beginning = "The " if set("The ") <= set(text) else prompt
print(write(trained()[0], characters, beginning, 300, temperature=0.7, top_k=20, rng=np.random.default_rng(1)))

# %% [markdown]
# How sure is the number at the end? The same model, on other windows of the held-out text:

# %%
print("seed   1 batch   10 batches")
for seed in range(4):
    one, ten = (estimate_loss(lm_loss(trained()[0].config), trained()[0].params, validation_ids, 12, 32, n, seed)
                for n in (1, 10))
    print(f"{seed:4}   {one:7.2f}   {ten:10.2f}")

# %% [markdown]
# Ten batches agree better than single ones, but not fully. As long as two models are asked about different windows,
# small differences between them mean nothing. With the same seed they are asked the same, as on the ladder.
#
# ### Stopped, and going on
#
# A training of an hour gets interrupted: by you, by a laptop that goes to sleep, by a machine that is taken back. With
# `checkpoint` it goes on where it was. Here somebody presses stop after step 40. **Predict:** is the result the same as
# without a stop?

# %%
tiny = replace(quick, n_layers=1, d_model=32, n_steps=60)
file = Path(tempfile.mkdtemp(), "mine.npz")

def stop(step):
    if step.step == 40:
        raise KeyboardInterrupt

def train_tiny(**options):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        _, run = train(tiny, training_ids, validation_ids, len(characters), np.random.default_rng(0), every=25,
                       say=None, **options)
    print(f"{len(run.losses)} steps;", *(str(warning.message).split(",")[0].split(";")[0] for warning in said))
    return run

at_once = train_tiny()
train_tiny(checkpoint=file, on_step=stop)
gone_on = train_tiny(checkpoint=file)
same = [np.array_equal(x, y) for x, y in zip(flat(at_once.params).values(), flat(gone_on.params).values(), strict=True)]
print(f"{sum(same)} of {len(same)} arrays are the same to the bit")

# %% [markdown]
# The same: the file holds the optimizer's running means and the state of the generator as well as the parameters, so
# the steps after the stop draw the same windows and go the same way. A checkpoint that belongs to another text, another
# tokenizer or another preset is refused. What you want to keep at the end is the model and the tokenizer, both:
# `model.save("mine.npz")`, `characters.save("mine.json")`. One without the other is worth nothing.
#
# ## 6. Nats of what?
#
# Now with tokens of chapter 13: 500 of them, learned from the training part alone. The same preset, the same number of
# steps. **Predict:** is the loss lower or higher than with characters? Which model is better?

# %%
@functools.cache
def pieces_of_text():
    """A tokenizer of 500 tokens, and the ids of both parts of the text."""
    tokenizer = train_bpe(training, 500)
    return tokenizer, tokenizer.encode(training), tokenizer.encode(validation)

@functools.cache
def trained_on_pieces():
    tokenizer, *parts = pieces_of_text()
    return train(quick, *parts, len(tokenizer), np.random.default_rng(0), every=400, say=None)

tokenizer, *parts = pieces_of_text()
print(f"{len(tokenizer)} tokens; {len(validation)} characters held out, {len(parts[1])} tokens")
print("|".join(tokenizer.decode([i]) for i in parts[1][len(parts[1]) // 20:][:30]).replace("\n", "\N{RETURN SYMBOL}"))
print(f"32 characters, or 32 pieces of {len(validation) / len(parts[1]):.2f} characters: "
      f"{32 * len(validation) / len(parts[1]):.0f}")

# %% [markdown]
# There are no windows that are the same for both: ten batches of characters lie at other places of the text than ten
# batches of pieces. So we ask about *all* of the held-out text, cut into rows by `next_token_pair` of chapter 12.

# %%
@functools.cache
def losses_of_all():
    """The loss of both models on the whole held-out text, with the tokenizer of each."""
    def loss_of(model, ids):
        inputs, labels = next_token_pair(ids, quick.length)
        total = 0.0
        for i in range(0, len(inputs), 100):
            some = inputs[i:i + 100]
            total += len(some) * float(lm_loss(model.config)(model.params, some, labels[i:i + 100]))
        return total / len(inputs)

    return {"characters": (loss_of(trained()[0], validation_ids), characters),
            "pieces": (loss_of(trained_on_pieces()[0], parts[1]), tokenizer)}

for name, (loss, _) in losses_of_all().items():
    print(f"{name:11} {loss:.2f} nats per token")

# %% [markdown]
# Far higher, and that means nothing. To guess a piece of two or three characters is harder than to guess one, and it
# is done less often. **Losses of models with different tokenizers cannot be compared**, nor can their perplexities.
#
# What both share is the text itself. So ask how much each of them needs for a *byte* of it, whatever it cuts
# the text into: all the surprise of the text, divided by the number of its bytes. And count in **bits**, as one does
# with bytes: a bit is the surprise of a coin, ln 2 nats. By hand: a text of 6 bytes is 3 tokens, with a loss of 1.4
# nats each. All together, that is 4.2 nats, or 4.2 / 0.693 = 6.06 bits; 1.01 bits per byte.
#
# **Exercise 14.4.** Write `bits_per_byte(loss, text, tokenizer)`. It takes a mean loss in nats per token, a text, and
# the tokenizer whose tokens they are: `tokenizer.encode(text)` gives the ids. It returns bits per byte of the text in
# UTF-8, a Python float. (`"ä"` is one character and two bytes.) It took us two lines.
#
# <details><summary>Hint</summary>
#
# `text.encode("utf-8")` gives the bytes, and `len` counts them. `math.log(2)` is the natural logarithm of 2.
#
# </details>

# %%
#| export
def bits_per_byte(loss, text, tokenizer):
    """How many bits a model needs for a byte of text; unlike the loss, it does not depend on how the text is cut.

    loss: a float, the mean over the tokens of the text, in nats. text: a str. tokenizer: with encode(text).
    Returns a float. Raises ValueError for a text without a byte, or a loss below 0.
    """
    check_at_least_0("loss", loss)
    if not text:
        raise ValueError("text must have at least one byte; got an empty text")
    ### BEGIN SOLUTION
    nats = loss * len(tokenizer.encode(text))
    return float(nats / math.log(2) / len(text.encode("utf-8")))
    ### END SOLUTION

# %%
check(bits_per_byte)

# %% [markdown]
# One more for comparison. Whoever can guess what comes next can write a text down in fewer bits, and the other way
# round: a language model is a compressor, and a program that compresses files, like zip, is a kind of language model.
# It has not been trained; but it reads the held-out text from its beginning, and looks back on 32,768 bytes.

# %%
for name, (loss, tokens_of) in losses_of_all().items():
    print(f"{name:11} {loss:.2f} nats per token, {bits_per_byte(loss, validation, tokens_of):.2f} bits per byte")
zipped = len(zlib.compress(validation.encode("utf-8"), 9))
print(f"{'zip':11} {' ' * 20}  {8 * zipped / len(validation.encode('utf-8')):.2f} bits per byte")

# %% [markdown]
# Per byte the two can be compared: the model of pieces, with the higher loss, is the better one, by 0.4 bits. And zip,
# which was not trained at all, needs a little less than either: a model this small, after 800 steps, is not yet a
# better compressor.
#
# A comparison isolates one thing only if all others are equal. Here they are not, so say which differ. In as many steps
# of as many tokens, the model of pieces has read more than twice as much text; its 32 tokens look back about 70
# characters, not 32; and its table is larger. Train the model of characters with windows of 71, as
# `replace(quick, length=71)` says, and see how much of the lead that takes away.
#
# ## 7. What the validation loss does not say
#
# ### Break it: training and validation that overlap
#
# Somebody is short of text: 6,000 characters. "I take the last tenth for validation. And to lose nothing, I train on
# all of it." **Predict** four curves: the loss on what is trained on; on that last tenth; on the same tenth, for a
# second model that is trained on the first nine tenths only; and on another part of the text.

# %%
@functools.cache
def short_of_text():
    """Two models that are trained on all of 6,000 characters and on their first nine tenths: losses by step."""
    few, loss, n_steps = training_ids[:6000], lm_loss(small), 300
    most, last_tenth = hold_out(few)

    def learn_from(ids, asked):
        curves = {name: {} for name in asked}

        def ask(step):
            for name, text in asked.items():
                if step.step % 20 == 0 or step.step == 1:
                    curves[name][step.step] = estimate_loss(loss, step.params, text, 12, 32, 5)

        rng = np.random.default_rng(0)
        fit(loss, init_transformer_lm(rng, small), lambda rng: get_batch(ids, 12, 32, rng), n_steps, rng, on_step=ask,
            rate=lambda step: warmup_cosine(step, 0.01, 30, n_steps, 0.001))
        return curves

    overlapping = {"trained on": most, "last tenth, overlapping": last_tenth, "another part": validation_ids}
    return learn_from(few, overlapping) | learn_from(most, {"last tenth, held out": last_tenth})

figures.overlap_picture(short_of_text())
for name, losses in short_of_text().items():
    print(f"{name:25} at the end {list(losses.values())[-1]:.2f}, lowest {min(losses.values()):.2f}")

# %% [markdown]
# The tenth that overlaps says that all is well, and gets better and better. The same tenth says otherwise as soon as it
# is held out: that distance is what the overlap hides. Another part of the text, which has other subjects, is harder
# still. Nothing in the first two curves gives any of this away.
#
# In the real world the overlap is rarely so plain: a page that stands on two sites, a question that is in the training
# data with its answer. And in our text? How much of what we held out stands word for word in the training part?

# %%
spans = [validation[i:i + 50] for i in range(0, len(validation) - 50, max(50, len(validation) // 1000))]
print(f"{np.mean([span in training for span in spans]):.0%} of {len(spans)} spans of 50 characters")

# %% [markdown]
# One border, and still a leak, for the text repeats itself. If a loss is surprisingly good, look for what was seen.
#
# ### A low loss is not the truth
#
# The validation loss measures how well a model goes on *as this text does*. Here are four texts for the model of
# section 5, which has learned from documentation. **Predict** their order.

# %%
STORY = """The cat sat on the mat. It was a warm morning, and nothing was happening. She was waiting for the old man
who lived in the white house, because the old man had been fishing, and the cat liked fish more than anything else."""
TRUE = """The len function returns the number of items of an object. The argument may be a sequence or a collection."""
FALSE = """The len function returns the name of the file of an object. The argument may be a number or an exception."""

def surprise_of(words):
    """The mean surprise of the model of section 5 over a text, of those characters that it knows."""
    ids = characters.encode("".join(c for c in prompt + words if c in characters.ids))
    rows = [ids[i:i + quick.length + 1] for i in range(0, len(ids) - 1, quick.length)]
    losses = [(len(row) - 1, lm_loss(trained()[0].config)(trained()[0].params, row[None, :-1], row[None, 1:]))
              for row in rows]
    return sum(n * loss for n, loss in losses) / (len(ids) - 1) if losses else math.nan

jumbled = "".join(np.random.default_rng(0).permutation(list(TRUE)))
texts = {"true": TRUE, "false": FALSE, "a story": STORY.replace("\n", " "), "jumbled letters": jumbled}
for name, words in texts.items():
    print(f"{name:16} {surprise_of(words):.2f} nats per character   {words[:58]} ...")

# %% [markdown]
# The story is good English and costs more than documentation, since the model has read nothing like it. The jumbled
# letters cost more than ln n_vocab, the loss of one who says that he knows nothing: the model is surer than that, and
# wrong. And what is false costs *less* than what is true: nobody told the model which is which, and no loss asks for
# it. **A validation loss is a loss on more of the same text.** It does not say that what a model writes is true, useful
# or good, and a model with a lower loss is better at one thing: at sounding like that text.
#
# ## 8. What you built, and something of real size
#
# | | what it does | returns |
# |---|---|---|
# | `get_batch(ids, n_rows, length, rng)` | windows from anywhere in a text | inputs, labels |
# | `estimate_loss(loss, params, ids, ...)` | the mean over the same windows each time | nats per token |
# | `ablate(x, params, n_heads, pieces)` | a block with switches | (B, T, D) |
# | `bits_per_byte(loss, text, tokenizer)` | a loss that can be compared | a number |
#
# Given: `load_text`, `hold_out`, `CharTokenizer`, `Preset`, `cost`, `train`, `write`.
#
# The first preset, on two cores, in a cell of your own. How long it takes with one, the cell of section 5 has printed.
#
# ```python
# model, run = train(PRESETS["minute"], training_ids, validation_ids, len(characters), np.random.default_rng(0),
#                    on_step=watch(), checkpoint="mine.npz", workers=2)
# print(run.validations)
# print(write(model, characters, "\n", 1000, temperature=0.8, rng=np.random.default_rng(0)))
# model.save("model.npz")
# characters.save("characters.json")
# ```
#
# On Python's documentation it ends below 1.42 nats per character; `make bench` trains it, and looks. And one line of
# this chapter is there to be changed: `source`. What does it write after a night with all that you have ever written?
#
# ### Test yourself
#
# <details><summary>You double the length of the windows, and nothing else. What happens to the number of tokens in a
# step, to the memory, to the number of places where a window can begin?</summary>
#
# Twice the tokens. Somewhat more than twice the memory of the forward pass, since each token keeps weights for twice as
# many others; that of the parameters stays, but for the table of positions. And there are `length` places fewer: none
# that matters.
#
# </details>
# <details><summary>A model of words with a loss of 4.5 nats per word, or one of characters with 1.3 nats per character:
# which is better, if a word with its space has 5.5 bytes, a character one?</summary>
#
# 4.5 / 5.5 is 0.82 nats per byte, less than 1.3. The model of words, if the text has no word that it does not know.
#
# </details>
# <details><summary>Somebody reports that heads bring nothing: with one head the loss is the same. What do you ask?
# </summary>
#
# In which company, at which size, after how many steps, with how many seeds? And on which text: is there anything that
# needs two looks at once?
#
# </details>
#
# ### Where to read on
#
# - Karpathy, nanoGPT, 2022: the configurations whose sizes are used here, in PyTorch.
# - Kaplan et al., "Scaling laws for neural language models", 2020: what a larger model, more text and more steps buy.
# - Shannon, "Prediction and entropy of printed English", 1951: people guess the next letter; about 1 bit.
# - Lee et al., "Deduplicating training data makes language models better", 2022: overlap in the real world.
#
# `progress()` in a new cell shows the map.
