# %% [markdown]
# # 12 · GPT: it writes
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/12_gpt.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/12_gpt.ipynb)
# <!-- /badges -->
#
# **The question: how does a machine that does nothing but score the next token write text?**
#
# At the end you will have a GPT: half of the Transformer of chapter 08, made of functions that you have already. You
# will have trained it, in seconds, on a small language of which you know every sentence; you will have written the
# ways in which today's models choose their next token; and you will have given it a *KV cache*, which changes not a
# word of what it writes, and most of what writing costs.
#
# Six exercises, about 75 minutes. You need the block from [chapter 05](05_block.ipynb) and the training from
# [chapter 10](10_training.ipynb).

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

begin("12")

# %%
#| given
#| default_exp gpt
#| export
import functools
import math
import time
from dataclasses import dataclass

import numpy as np

from scratchformer_lib.attention import causal_mask, scaled_dot_product_attention
from scratchformer_lib.block import dropout, feed_forward, gelu, layer_norm, relu
from scratchformer_lib.course import watch, weights
from scratchformer_lib.course.figures import chapter_12 as figures
from scratchformer_lib.embeddings import Vocabulary, embed, init_embedding, positional_encoding
from scratchformer_lib.encoder import encoder, init_encoder, layers_of
from scratchformer_lib.multi_head import init_linear, linear, merge_heads, split_heads
from scratchformer_lib.softmax import log_softmax, softmax
from scratchformer_lib.support.arguments import (
    check_batch,
    check_cache,
    check_choice,
    check_count,
    check_gpt_config,
    check_known,
    check_length,
    check_multi_head,
    check_prompts,
    check_share,
    check_stream,
    check_targets,
)
from scratchformer_lib.support.models import Model
from scratchformer_lib.support.shapes import OnlyShapes
from scratchformer_lib.support.steps import Cache, Steps, WithShortcut
from scratchformer_lib.support.trees import flat
from scratchformer_lib.training import cross_entropy, fit, warmup_cosine

# %% [markdown]
# ## 1. Three writers
#
# Chapter 02 closed with a bigram model: it counted which word follows which, in a language of four sentences. Here it
# is again, beside a GPT of about 3,500 parameters: once with the numbers that were drawn for it at random, and once
# trained, by this course. All three write the same way: score every word that could come next, draw one by its share,
# append it; and so on until `<END>`, or until the text gets long. **Predict:** how many of their texts will be
# sentences of the language?

# %%
animals, doings = ("cat", "dog"), ("sat on the mat", "ran fast")
sentences = [f"the {animal} {does}" for animal in animals for does in doings]
vocabulary = Vocabulary(" ".join(sentences).split())
print(*sentences, sep="\n")
print(len(vocabulary), "tokens:", *vocabulary.words)

counts = np.zeros((len(vocabulary), len(vocabulary)))
for sentence in sentences:
    row = vocabulary.encode(f"<START> {sentence} <END>")
    np.add.at(counts, (row[:-1], row[1:]), 1)

def by_bigrams(rng):
    """Write a sentence: each word by how often it came after the one before."""
    ids = [Vocabulary.start_id]
    while ids[-1] != Vocabulary.end_id and len(ids) < 16:
        ids.append(int(rng.choice(len(vocabulary), p=counts[ids[-1]] / counts[ids[-1]].sum())))
    return vocabulary.decode(ids[1:]).removesuffix(" <END>")

rng = np.random.default_rng(0)
written = {"a GPT of random numbers": weights.write(rng, 1000, trained=False),
           "bigrams": [by_bigrams(rng) for _ in range(1000)],
           "the GPT, trained": weights.write(rng, 1000)}
for name, texts in written.items():
    print(f"\n{name}: {np.mean([text in sentences for text in texts]):.1%} of {len(texts):,} are sentences")
    print(*(f"    {text}" for text in texts[:4]), sep="\n")

# %% [markdown]
# You computed the bigram's share in chapter 02: 4 in 9. After *the* it cannot know whether a sentence begins or the mat
# comes next, since it sees one word. The trained model sees them all. This chapter is about what it is made of, how it
# was trained, and how it chooses.
#
# ## 2. Half a Transformer
#
# Chapter 08 translated: an encoder read the source, and a decoder wrote, looking at both. A model that goes on writing
# has no source. So the encoder falls away, and with it the cross-attention of every decoder layer. What is left is
# self-attention under a causal mask, a feed-forward, and their norms.
#
# <details><summary>If you came by the GPT route, without chapters 06 to 08</summary>
#
# The translator of these chapters has two stacks. The *encoder* reads the source. The *decoder* writes, and in every
# layer also looks at what the encoder has made: that is *cross-attention*. You need two functions from there.
# `cross_entropy(logits, targets, ignore_id=None)` is the mean surprise at the right tokens, in nats. And `encoder` is a
# loop over blocks, `for layer in layers: x = transformer_block(x, layer, ...)`, with one more norm at the end if they
# are pre-norm.
#
# </details>
#
# **Predict:** which function of an earlier chapter is that, exactly?
#
# <details><summary>Answer</summary>
#
# `transformer_block` of chapter 05, with `causal_mask`. And a stack of blocks is the `encoder` of chapter 06: what made
# it an encoder was only that its mask let everything look at everything.
#
# </details>
#
# $$\text{logits} = \text{blocks}(\text{embed}(\text{ids}) + \text{positions},\ \text{causal mask})\ E^\mathsf{T}$$
#
# $E$ is the table of embeddings, (n_vocab, D). Its rows are what goes in; and each logit is the dot product of what
# comes out with one of them. As in the paper, the last matrix is *tied* to the table.
#
# The config and the parameters are given. Its defaults are those of GPT-2, the small one (Radford et al., 2019). What
# differs from the paper of 2017: norms stand *before* each part, with one more at the end (chapter 05). The
# feed-forward bends with GELU. And positions may be **learned**: a second table has a row for every position, drawn
# at random and trained like everything else; tokens are then not multiplied by the root of D. It has no row for a
# position beyond its last.

# %%
#| export
@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT, and the choices in it. What is not given is as in GPT-2, the small one.

    n_vocab: how many tokens it knows. d_model: D. n_heads: H. n_layers: blocks. d_ff: F; 4 D if None.
    max_length: how many tokens it can read at once.
    positions: "learned" or "sinusoidal"; with sinusoids the tokens' vectors are multiplied by the root of D.
    activation: "relu" or "gelu". pre_norm: normalize what goes into each part of a block, instead of each sum.
    dropout: the rate, while training. tied_output: the last matrix is the table. end_id: the token that ends a text.
    Raises ValueError for sizes that do not fit.
    Source: Radford et al., "Language models are unsupervised multitask learners", 2019.
    """
    n_vocab: int
    d_model: int = 768
    n_heads: int = 12
    n_layers: int = 12
    d_ff: int | None = None
    max_length: int = 1024
    positions: str = "learned"
    activation: str = "gelu"
    pre_norm: bool = True
    dropout: float = 0.1
    tied_output: bool = True
    end_id: int | None = None

    def __post_init__(self):
        check_gpt_config(self)


def init_transformer_lm(rng, config):
    """Draw the parameters of transformer_lm.

    rng: a np.random.Generator. config: a GPTConfig.
    Returns a dict of "table" (n_vocab, D), "positions" (max_length, D) where they are learned, "blocks", and "output"
    (D, n_vocab) where it is not tied; all arrays float32.
    """
    D = config.d_model
    params = {"table": init_embedding(rng, config.n_vocab, D)}
    if config.positions == "learned":
        params["positions"] = init_embedding(rng, config.max_length, D)
    params["blocks"] = init_encoder(rng, config.n_layers, D, config.n_heads, config.d_ff or 4 * D,
                                    pre_norm=config.pre_norm)
    return params if config.tied_output else params | {"output": init_linear(rng, D, config.n_vocab)}


def embed_tokens(params, config, ids, start=0, n_pad=None):
    """The vectors of tokens and of their positions, added up.

    ids: (B, T). start: the position of the first of them.
    n_pad: (B,), how many tokens at the left of each row are padding: its positions begin after them.
    Returns (B, T, D).
    """
    position = np.arange(start, start + ids.shape[-1])
    if n_pad is not None:
        position = np.maximum(position - n_pad[:, None], 0)
    x = embed(ids, params["table"])
    if config.positions == "learned":
        return x + embed(position, params["positions"])
    waves = positional_encoding(start + ids.shape[-1], config.d_model, params["table"].dtype)
    return math.sqrt(config.d_model) * x + embed(position, waves)


def last_matrix(params, config):
    """What turns the vectors that come out into logits, (D, n_vocab)."""
    return params["table"].T if config.tied_output else params["output"]


def block_options(config):
    """What the config says about each block, as options of transformer_block."""
    return {"n_heads": config.n_heads, "pre_norm": config.pre_norm,
            "activation": {"relu": relu, "gelu": gelu}[config.activation]}

# %% [markdown]
# **Exercise 12.1.** Finish `transformer_lm(params, config, ids, rng=None, record=None)`. It takes ids (B, T) and
# returns logits (B, T, n_vocab): at every position, a score for every token that could come next. There is
#
# - `embed_tokens(params, config, ids)`, the vectors (B, T, D); then dropout, at the config's rate: `dropout(x,
#   config.dropout, rng)`;
# - `encoder(x, params["blocks"], mask=..., rate=..., rng=..., record=..., **block_options(config))`, the stack of
#   blocks, which returns one array (B, T, D): `rate` is the config's dropout too, and `record` is handed on;
# - `linear(x, W)`, without a bias; `W`, the last matrix (D, n_vocab), is there already.
#
# With ids (3, 4) and 12 tokens, the logits are (3, 4, 12). # It took us four lines.
#
# <details><summary>Hint</summary>
#
# Without a mask every token would see the answer. Which function of chapter 03 makes the mask, and of which length?
#
# </details>

# %%
#| export
def transformer_lm(params, config, ids, rng=None, record=None):
    """Score, at every position, every token that could come next.

    params: as init_transformer_lm draws them. config: a GPTConfig. ids: (B, T).
    rng: for dropout; None means: not training. record: a dict that receives, by layer, the attention weights.
    Returns logits (B, T, n_vocab). Raises ValueError for ids that are not in the vocabulary, or too many of them.
    Source: Radford et al., "Language models are unsupervised multitask learners", 2019.
    """
    check_batch("ids", ids, config.n_vocab, config.max_length)
    ids = np.asarray(ids)
    W = last_matrix(params, config)
    ### BEGIN SOLUTION
    x = dropout(embed_tokens(params, config, ids), config.dropout, rng)
    x = encoder(x, params["blocks"], mask=causal_mask(ids.shape[1]), rate=config.dropout, rng=rng, record=record,
                **block_options(config))
    return linear(x, W)
    ### END SOLUTION

# %%
check(transformer_lm)

# %% [markdown]
# The model of this chapter is the one that opened it. It is as small as can be, so its positions are sinusoids, which
# need no parameters:

# %%
config = GPTConfig(len(vocabulary), d_model=16, n_heads=4, n_layers=2, d_ff=16, max_length=16, positions="sinusoidal",
                   dropout=0.0, end_id=Vocabulary.end_id)
start = init_transformer_lm(np.random.default_rng(0), config)
for name, x in flat(start).items():
    if "layer_2" not in name:
        print(f"{name:35} {x.size:5,}   {x.shape}")
print(f"with the second layer: {sum(x.size for x in flat(start).values()):,} parameters")

# %% [markdown]
# Now run the model on `<START> the cat sat on the mat`, once as it is, and once on each of its seven beginnings by
# itself. **Predict:** are the last rows of the seven runs the seven rows of the one?

# %%
ids = vocabulary.encode(["<START> the cat sat on the mat"])
together = transformer_lm(start, config, ids)
apart = [transformer_lm(start, config, ids[:, :t + 1])[:, -1] for t in range(ids.shape[1])]
print("one pass", together.shape, "  the same as one by one:", np.allclose(together, np.stack(apart, 1), atol=1e-5))

# %% [markdown]
# They are. Because position t cannot see what comes after it, its logits are what they would be if the text ended
# there. So one pass over a text answers a question at every place, and that is how a GPT learns from all of them at
# once.
#
# And when it writes, nothing stands after the last token. **Is the mask still needed then?** Look at the last row alone
# and it seems not: it may look at everything, with the mask or without. Try it, with the mask taken away:

# %%
def without_mask(params, ids):
    """transformer_lm, but every token may look at every other."""
    x = encoder(embed_tokens(params, config, ids), params["blocks"], **block_options(config))
    return linear(x, params["table"].T)

for n_layers in (1, 2):
    blocks = {name: start["blocks"][name] for name in [*(f"layer_{i + 1}" for i in range(n_layers)), "norm"]}
    fewer = start | {"blocks": blocks}
    same = np.allclose(without_mask(fewer, ids)[0, -1], transformer_lm(fewer, config, ids)[0, -1], atol=1e-5)
    print(f"{n_layers} layer{'s' * (n_layers > 1)}: the last row is the same without the mask: {same}")

# %% [markdown]
# With one layer the last row does not change; with two it does. The mask changes what the *earlier* positions hold
# after the first layer, and in the second the last one looks at them. A model must run as it was trained.
#
# ## 3. A text is its own question
#
# To translate, one needs pairs. Here any text will do: at every place the question is all that came before, and the
# answer is what comes next. Take the text as one long row of ids, the **stream**, and cut it into rows of `length`.
#
# By hand, with length 4 and the stream `5 6 7 8 9 10 11 12 13 14`. The first row is given `5 6 7 8` and asked, at each
# place, for what comes next: `6 7 8 9`. The second is given `9 10 11 12` and asked for `10 11 12 13`. Note the 9: it is
# the last answer of the first row *and* the first that the second is given. **What** happens to 14?
#
# **Exercise 12.2.** Write `next_token_pair(stream, length)`. It takes ids (N,), and returns a tuple `(inputs,
# labels)`, both (n_rows, length): rows that stand one after the other in the stream, as many as there are with all of
# their labels; the rest of the stream is left out. For the stream above, that is `[[5, 6, 7, 8], [9, 10, 11, 12]]`
# and `[[6, 7, 8, 9], [10, 11, 12, 13]]`. It took us three lines.
#
# <details><summary>Hint</summary>
#
# How many rows are there? A row of `length` inputs needs `length + 1` ids, but two rows share one.
#
# </details>

# %%
#| export
def next_token_pair(stream, length):
    """Cut a text into rows, and say for each of their tokens which comes next.

    stream: (N,), the ids of the text, N above length. length: T, of a row.
    Returns (inputs, labels), both (n_rows, T). What is left at the end, too short for a row, is left out.
    Raises ValueError where the stream is something else, or too short for one row.
    """
    check_stream(stream, length)
    stream = np.asarray(stream)
    ### BEGIN SOLUTION
    n_rows = (len(stream) - 1) // length
    inputs, labels = stream[:n_rows * length], stream[1:n_rows * length + 1]
    return inputs.reshape(n_rows, length), labels.reshape(n_rows, length)
    ### END SOLUTION

# %%
check(next_token_pair)

# %% [markdown]
# Our text: two thousand sentences, drawn from the four, one after the other.

# %%
def stream_of(n, rng):
    """n sentences, drawn at random, as one stream of ids."""
    drawn = [f"<START> {sentences[i]} <END>" for i in rng.integers(0, len(sentences), n)]
    return vocabulary.encode(" ".join(drawn))

@functools.cache
def rows(n, seed):
    """A stream of n sentences, in rows of 16: (inputs, labels)."""
    return next_token_pair(stream_of(n, np.random.default_rng(seed)), 16)

inputs, labels = rows(2000, seed=0)
print(inputs.shape, labels.shape)
for i in range(2):
    print("given ", vocabulary.decode(inputs[i]))
    print("wanted", vocabulary.decode(labels[i]))

# %% [markdown]
# Where a row begins is chance, often in the middle of a sentence. The model has to live with that, as most GPTs do: its
# first words have little behind them.
#
# ### How many words does it hesitate between?
#
# The loss is the mean surprise, in nats, as ever. There is a way to say it that is easier to picture. A model
# that hesitates evenly between 4 words has a surprise of ln 4 each time. Turn that around: e to the power of the mean
# surprise is the number of words between which a model as uncertain as this one would hesitate evenly. That is its
# **perplexity**.
#
# By hand: at one token the right word got a share of 1/2, at the next 1/8. The surprises are ln 2 and ln 8, their mean
# is ln 4, the perplexity is 4. **Not** the mean of 2 and 8.
#
# **Exercise 12.3.** Write `perplexity(logits, targets, ignore_id=None)`. It takes what `cross_entropy` takes: logits
# (..., n_vocab), targets (...), and an id that does not count. It returns a number. `perplexity(np.log([[0.25, 0.5,
# 0.125, 0.125], [0.5, 0.125, 0.25, 0.125]]), np.array([1, 3]))` gives 4. It took us one line, with `cross_entropy`.

# %%
#| export
def perplexity(logits, targets, ignore_id=None):
    """e to the mean surprise: among how many equally likely tokens one would be as unsure.

    logits: (..., n_vocab). targets: (...), ids of the right tokens. ignore_id: an id that does not count.
    Returns a number, at least 1. Raises ValueError as cross_entropy does.
    Source: Jelinek et al., "Perplexity, a measure of the difficulty of speech recognition tasks", 1977.
    """
    check_targets(logits, targets, ignore_id)
    ### BEGIN SOLUTION
    return np.exp(cross_entropy(logits, targets, ignore_id))
    ### END SOLUTION

# %%
check(perplexity)

# %% [markdown]
# **Predict** two perplexities: of a model that gives each of the 12 tokens the same share; and of ours, as it was
# drawn.
#
# **By hand:** what is the best that anyone can do? A sentence is two choices, the animal and what it does, ln 2 each;
# all other tokens follow. With `<START>` and `<END>` it has 8 tokens or 6, 7 in the mean. So the mean surprise cannot
# fall below 2 ln 2 / 7.
#
# Then train it. Everything is there since chapter 10: `fit` draws rows of the stream, differentiates, clips, steps. All
# models are scored on fresh draws of the same four sentences. (Nothing in them is unseen; whether a model knows what it
# has not seen is a question for real text, in chapter 14.) The bigram table is the one that was counted above.

# %%
def loss(params, inputs, labels, rng=None):
    return cross_entropy(transformer_lm(params, config, inputs, rng), labels)

def train(loss, **options):
    """Train on rows of the stream. Returns the parameters."""
    def some_rows(rng):
        inputs, labels = rows(2000, seed=0)
        drawn = rng.integers(0, len(inputs), 32)
        return inputs[drawn], labels[drawn]

    return fit(loss, start, some_rows, 600, np.random.default_rng(0),
               rate=lambda step: warmup_cosine(step, 0.01, 50, 600), **options).params

@functools.cache
def trained():
    """The parameters, trained when they are first asked for."""
    return train(loss, on_step=watch())

params = trained()

# %%
fresh, wanted = rows(200, seed=1)
with np.errstate(divide="ignore"):
    bigram = np.log(counts)                                     # logs of counts are logits: softmax divides by the sum
bigram[Vocabulary.end_id, Vocabulary.start_id] = 0.0            # in a stream, <START> comes after <END>
before, after = transformer_lm(start, config, fresh), transformer_lm(trained(), config, fresh)
for name, logits in {"even shares": np.zeros_like(before), "untrained": before, "bigrams": bigram[fresh],
                     "trained": after}.items():
    print(f"{name:12} perplexity {perplexity(logits, wanted):6.3f}, loss {cross_entropy(logits, wanted):.3f}")
possible = 2 * math.log(2) / 7
print(f"{'possible':12} perplexity {math.exp(possible):6.3f}, loss {possible:.3f}")
repeats = before.argmax(axis=-1) == fresh
print(f"untrained, it scores the token that it has just read highest {repeats.mean():.0%} of the time")

# %% [markdown]
# Even shares give 12, the number of tokens. Ours began *above* it: it was not undecided, it was sure of the wrong
# things. Its last matrix is its first table, so before it has learned anything it likes to repeat itself, as you saw in
# section 1. Trained, it comes close to what is possible. What is missing is the little that a row which begins
# mid-sentence cannot know. (The bigram loss is lower than in chapter 02, since `<START>` counts as well, which is never
# a surprise.)
#
# ### What if it may see what comes next?
#
# **Predict:** train the same model without the mask. What happens to the loss, and what does it write? Greedy, that is
# always the likeliest token, from `<START>` on:

# %%
def likeliest(model, prompt, n):
    """Go on n tokens from a prompt of ids (1, T), always with the likeliest one."""
    for _ in range(n):
        prompt = np.concatenate([prompt, model(prompt)[:, -1:].argmax(axis=-1)], axis=1)
    return vocabulary.decode(prompt[0, 1:])

def cheat(params, inputs, labels, rng=None):
    return cross_entropy(without_mask(params, inputs), labels)

@functools.cache
def cheated():
    return train(cheat)

fresh, wanted = rows(200, seed=1)
print(f"without the mask: loss {cheat(cheated(), fresh, wanted):.3f}; with it: {loss(trained(), fresh, wanted):.3f}")
surprise = -np.take_along_axis(log_softmax(without_mask(cheated(), fresh)), wanted[..., None], axis=-1)[..., 0]
print("its surprise, place by place:", *surprise.mean(axis=0).round(2))
begin_with = np.array([[Vocabulary.start_id]])
print("with:    ", likeliest(lambda ids: transformer_lm(trained(), config, ids), begin_with, 6))
print("without: ", likeliest(lambda ids: without_mask(cheated(), ids), begin_with, 6))

# %% [markdown]
# Its loss is far below what is possible without knowing the future. It has learned to look one place to the right: only
# at the last place of a row, where nothing stands there, is it surprised. And when it writes, every token is that last
# place. What comes out is no sentence. **A loss that is too good is a leak until proven otherwise.**
#
# ## 4. Choosing
#
# The model gives every token a share, and to draw by these shares is the honest way. But a large model has tens of
# thousands of tokens, most of them with a tiny share, and one odd token is enough: the text goes on from there. Say
# that this tail has 3% together. How many texts of 50 tokens have none from it?

# %%
print(f"{0.97**50:.0%}")

# %% [markdown]
# So one cuts off the tail, in one of two ways. And there is the temperature of chapter 01: divide the logits by it
# before the softmax. Towards 0 only the likeliest is left, which is *greedy*; towards infinity all tokens are alike.
#
# **Top-k** keeps the k likeliest tokens. **Top-p** keeps as few as reach a share of p together: many where the model
# hesitates, one or two where it is sure. Both set the logits of all others to minus infinity, which softmax turns to 0.
#
# By hand: the shares are 50%, 25%, 15%, 10%. Top-k with k = 2 keeps the first two. Top-p with p = 0.6 goes down the
# list until it has reached 60%: 50% is not enough, 50% + 25% is. **Which** tokens does p = 0.5 keep?
#
# <details><summary>Answer</summary>
#
# The first alone: it reaches 50% by itself.
#
# </details>
#
# Both need to know how likely each token is among the others. That is given:

# %%
#| given
#| export
def rank(logits):
    """The place of each token of a row, from the likeliest down: 0, 1, 2. Of equal ones the smaller id comes first.

    logits: (..., n_vocab). Returns whole numbers of the same shape.
    """
    return np.argsort(np.argsort(-logits, axis=-1, kind="stable"), axis=-1)

# %%
print(rank(np.array([1.0, 3.0, 2.0, 3.0])))

# %% [markdown]
# **Exercise 12.4.** Write `top_k(logits, k)`. It takes logits (..., n_vocab) and returns the same shape: in each row
# the k largest as they are, and `-np.inf` for all others. Of equal logits those with the smaller id count first, so
# exactly k are kept, or all if there are no more than k. The logits that come in stay as they are, and float32 stays
# float32. `top_k(np.array([1.0, 3.0, 2.0, 3.0]), 2)` gives `[-inf, 3, -inf, 3]`. It took us one line.
#
# <details><summary>Hint</summary>
#
# Which ranks are kept? And `np.where` chooses between two things, place by place.
#
# </details>

# %%
#| export
def top_k(logits, k):
    """Keep the k likeliest tokens.

    logits: (..., n_vocab). k: at least 1.
    Returns the same shape: the k largest of each row, and -inf for the others. Of equal ones the smaller ids count.
    Raises ValueError for another k.
    Source: Fan, Lewis and Dauphin, "Hierarchical neural story generation", 2018.
    """
    check_count("k", k)
    ### BEGIN SOLUTION
    return np.where(rank(logits) < k, logits, -np.inf)
    ### END SOLUTION

# %%
check(top_k)

# %% [markdown]
# **Exercise 12.5.** Write `top_p(logits, p)`. It takes logits (..., n_vocab), and a share p above 0, at most 1. It
# returns the same shape. In each row it keeps the likeliest tokens, as few as have a share of at least p together.
# Their logits stay as they are; all others become `-np.inf`. The token with which p is reached is among those that
# are kept, so there is always one. Of equal logits the smaller id counts first. The logits that come in may hold
# `-np.inf` already, from top-k; they are not changed, and float32 stays float32. With the shares above,
# `top_p(np.log([0.5, 0.25, 0.15, 0.1]), 0.6)` keeps the first two. It took us four lines.
#
# <details><summary>Hint: how many?</summary>
#
# Top-p is top-k with another k for each row. Sort the shares of a row from the largest down. A token is kept if those
# *before* it have not reached p yet; `np.cumsum` adds up, itself included.
#
# </details>
# <details><summary>Hint: rows</summary>
#
# Count along the last axis, and keep that axis, of size 1, so that each row's count lines up with its ranks.
#
# </details>

# %%
#| export
def top_p(logits, p):
    """Keep the fewest of the likeliest tokens that have a share of at least p together.

    logits: (..., n_vocab). p: above 0, at most 1.
    Returns the same shape, -inf for what is not kept. Of equal ones the smaller ids count.
    Raises ValueError for another p.
    Source: Holtzman et al., "The curious case of neural text degeneration", 2020.
    """
    check_share("p", p)
    ### BEGIN SOLUTION
    shares = np.sort(softmax(logits), axis=-1)[..., ::-1]
    before = np.cumsum(shares, axis=-1) - shares
    k = np.sum(before < p, axis=-1, keepdims=True)
    return np.where(rank(logits) < k, logits, -np.inf)
    ### END SOLUTION

# %%
check(top_p)

# %% [markdown]
# **Predict:** with p = 0.9, what is left of the shares 50%, 30%, 15%, 5%, and of 97%, 1%, 1%, 1%? And what if the token
# that crosses p were left out, by comparing with the sum that has it in it already?

# %%
def without_crossing(logits, p):
    """top_p gone wrong, for logits that are sorted already: the token with which p is reached is left out."""
    return np.where(np.cumsum(softmax(logits)) <= p, logits, -np.inf)

for shares in ([0.5, 0.3, 0.15, 0.05], [0.97, 0.01, 0.01, 0.01]):
    for name, cut in (("top_p", top_p), ("without the crossing token", without_crossing)):
        kept = np.isfinite(cut(np.log(shares), 0.9))
        print(f"{str(shares):26} {name:27} keeps {kept.sum()}, together {np.sum(shares, where=kept):.2f}")

# %% [markdown]
# Where the model is sure, nothing is left to draw from: exactly where the choice is easiest.
#
# **Predict:** does it matter whether the temperature comes before the cut or after it? Count how many of the four
# tokens are kept, at four temperatures:

# %%
logits = np.log([0.5, 0.25, 0.15, 0.1])
for temperature in (0.5, 1.0, 2.0, 4.0):
    kept = [int(np.isfinite(cut).sum()) for cut in (top_k(logits / temperature, 2), top_p(logits / temperature, 0.6))]
    print(f"temperature {temperature}: top-k of 2 keeps {kept[0]}, top-p of 0.6 keeps {kept[1]}")

# %% [markdown]
# Dividing changes no ranking, so top-k does not notice. Top-p asks for shares, and these have moved.
#
# All of it in one function, in the usual order: first the temperature, then k, then p. With `rng=None` nothing is left
# to chance; it takes the likeliest.

# %%
#| given
#| export
def sample(logits, rng=None, temperature=1.0, k=None, p=None):
    """Choose a token for each row of logits.

    logits: (B, n_vocab). rng: a np.random.Generator; None means: the likeliest. temperature: 0 means the same.
    k, p: as in top_k and top_p; None means: all.
    Returns ids (B,). Raises ValueError for logits that are not numbers.
    """
    logits = logits.astype(np.float64)
    logits -= np.max(logits, axis=-1, keepdims=True)
    if np.isnan(logits).any():
        raise ValueError("logits must be numbers, one in each row above -inf; got NaN, as of a training that diverged")
    if rng is None or temperature == 0:
        return np.argmax(logits, axis=-1)
    with np.errstate(over="ignore"):                        # a tiny temperature: -inf for all but the likeliest
        logits /= temperature
    if k is not None:
        logits = top_k(logits, k)
    if p is not None and p < 1:
        logits = top_p(logits, p)
    reached = np.cumsum(softmax(logits), axis=-1)           # the shares, laid end to end on a line
    point = rng.random((len(logits), 1)) * reached[:, -1:]  # a random point on it; it may end at 0.999...
    return np.argmax(reached > point, axis=-1)              # the token in whose stretch the point lies

# %% [markdown]
# **Predict** before you look: at temperature 1 our model writes hardly anything but sentences. What does it write at
# temperature 2? Does it help then to keep two tokens, or a share of 90%? And how many different texts does greedy
# writing give?

# %%
def texts_with(n=300, **choice):
    """n texts of the trained model, up to ten tokens, drawn as `choice` says."""
    ids = np.full((n, 1), Vocabulary.start_id)
    for _ in range(10):
        logits = transformer_lm(trained(), config, ids)[:, -1]
        ids = np.concatenate([ids, sample(logits, **choice)[:, None]], axis=1)
    return [f"{text} <END>".split(" <END>")[0] for text in vocabulary.decode(ids[:, 1:])]

for name, choice in {"greedy": {"temperature": 0}, "temperature 0.5": {"temperature": 0.5}, "temperature 1": {},
                     "temperature 2": {"temperature": 2.0}, "2, top-k of 2": {"temperature": 2.0, "k": 2},
                     "2, top-p of 0.9": {"temperature": 2.0, "p": 0.9},
                     "3, top-p of 0.9": {"temperature": 3.0, "p": 0.9}}.items():
    texts = texts_with(rng=np.random.default_rng(0), **choice)
    valid = [text for text in texts if text in sentences]
    print(f"{name:16} {len(valid) / len(texts):4.0%} sentences, {len(set(texts)):3} different texts")

# %% [markdown]
# Greedy always writes the same. A high temperature makes variety of the wrong kind, since here there are only four
# right texts. A cut takes that back: top-p best at temperature 2. Top-k of 2 keeps a second token also where only one
# is right. And at temperature 3 the shares are so even that even 90% of them reaches far into the tail.

# %%
figures.choosing_widget(vocabulary, lambda ids: transformer_lm(trained(), config, ids)[:, -1], sample, top_k, top_p)

# %% [markdown]
# Move the sliders. None of the three is part of the model: the weights are what they were. **How a text sounds is
# decided twice**, by what was learned, and by how one draws.
#
# ## 5. The cache
#
# To write the next token, `transformer_lm` reads all that is written, and then does it again for the next one. But
# under the causal mask nothing that came before can change. All that a new token needs of the earlier ones is what it
# looks at: their **keys and values**, in every layer. So keep these, and send only the new token through the model.
#
# **Predict:** why not keep the queries too?
#
# <details><summary>Answer</summary>
#
# A query is asked once, by its own position, when it is new. No later position needs it.
#
# </details>
#
# What is kept of a sentence of T tokens is, in every layer, two arrays of (B, H, T, d_k). This is the **KV cache**. It
# holds no words, and no memory from one text to the next: only numbers that follow from the tokens and the weights.
# Throw it away, and they can be computed again.
#
# **Exercise 12.6.** Finish `attend_with_cache(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None)`. It is
# `multi_head_attention` of x with itself and with all that came before. x (B, T, D) holds the *new* positions only.
# `cache` is a dict: empty at the beginning; later, its `"k"` and `"v"` hold the keys and values of the S positions that
# came before, (B, H, S, d_k) and (B, H, S, d_v).
#
# - Make queries, keys and values of x, and split them into heads, as in chapter 04: `linear`, `split_heads`. What is in
#   the cache went through this when it was new.
# - Put the new keys and values behind the old ones, if there are any, along the axis of positions; the cache holds the
#   longer ones afterwards, under the same two names, and nothing else. The old arrays stay as they are.
# - Let the new queries look at all of them: `scaled_dot_product_attention(q, k, v, mask)`, which returns a pair. The
#   mask has S + T columns, (T, S + T) or with more axes in front, or is None: hand it on as it is. A
#   position that may look at nothing gets zeros, as that function gives.
# - Return the output (B, T, D_out), after `merge_heads` and W_O; no weights.
#
# With 4 heads of d_k = 4, and 5 positions in the cache, x of shape (1, 1, 16) gives (1, 1, 16), and `cache["k"]` is (1,
# 4, 6, 4) afterwards. It took us seven lines.
#
# <details><summary>Hint</summary>
#
# Of the four axes of a key array, which one grows?
#
# </details>

# %%
#| export
def attend_with_cache(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None):
    """Let new positions look at themselves and at all that came before, whose keys and values were kept.

    x: (B, T, D), the new positions. W_Q, W_K: (D, H * d_k). W_V: (D, H * d_v). W_O: (H * d_v, D_out). n_heads: H.
    cache: a dict, empty at first; then of "k" (B, H, S, d_k) and "v" (B, H, S, d_v). It receives those of x as well.
    mask: bool, (T, S + T) or with more axes, as in multi_head_attention.
    Returns (B, T, D_out). Raises ValueError where shapes do not fit.
    """
    check_multi_head(x, x, W_Q, W_K, W_V, W_O, n_heads)
    check_cache(cache, x, W_K, W_V, n_heads, mask)
    ### BEGIN SOLUTION
    q, k, v = (split_heads(linear(x, W), n_heads) for W in (W_Q, W_K, W_V))
    if cache:
        k = np.concatenate([cache["k"], k], axis=-2)
        v = np.concatenate([cache["v"], v], axis=-2)
    output, _ = scaled_dot_product_attention(q, k, v, mask)
    cache["k"], cache["v"] = k, v
    return linear(merge_heads(output), W_O)
    ### END SOLUTION

# %%
check(attend_with_cache)

# %% [markdown]
# The rest is plumbing: the block of chapter 05 once more, with this attention in it, and the model of exercise 12.1, in
# which every layer has a cache of its own. The mask has a row for each *new* position only.

# %%
#| given
#| export
def block_with_cache(x, params, n_heads, cache, mask=None, pre_norm=True, activation=gelu):
    """transformer_block for new positions, x (B, T, D). cache: a dict, as in attend_with_cache."""
    def attend(x):
        return attend_with_cache(x, **params["attention"], n_heads=n_heads, cache=cache, mask=mask)

    def think(x):
        return feed_forward(x, **params["feed_forward"], activation=activation)

    def norm(x, name):
        return layer_norm(x, **params[name])

    if pre_norm:
        x = x + attend(norm(x, "norm_1"))
        return x + think(norm(x, "norm_2"))
    x = norm(x + attend(x), "norm_1")
    return norm(x + think(x), "norm_2")


def stack_with_cache(x, params, cache, mask=None, **options):
    """encoder for new positions, x (B, T, D). cache: a dict that holds a cache for each layer, empty at first."""
    for name, layer in layers_of(params):
        x = block_with_cache(x, layer, cache=cache.setdefault(name, {}), mask=mask, **options)
    return layer_norm(x, **params["norm"]) if options["pre_norm"] else x


def hidden_with_cache(params, config, ids, cache, n_pad=None):
    """What comes out of the blocks for tokens that come after those in the cache; the arguments of lm_with_cache.

    Returns (B, T, D).
    """
    start = length_of(cache)
    check_length("the length of ids and cache together", start + ids.shape[1], config.max_length)
    x = embed_tokens(params, config, ids, start, n_pad)
    place = np.arange(start + ids.shape[1])
    mask = place <= place[start:, None]                 # the last rows of the causal mask
    if n_pad is not None:
        mask = mask & (place >= n_pad[:, None, None, None])
    return stack_with_cache(x, params["blocks"], cache, mask, **block_options(config))


def lm_with_cache(params, config, ids, cache, n_pad=None):
    """transformer_lm for tokens that come after those in the cache.

    params: as init_transformer_lm draws them. config: a GPTConfig. ids: (B, T), the new tokens.
    cache: a dict, empty at first; it receives keys and values of the new tokens.
    n_pad: (B,), how many tokens at the left of each row are padding, which no query sees.
    Returns logits (B, T, n_vocab). Raises ValueError for tokens that are not in the vocabulary, or too many of them.
    """
    check_batch("ids", ids, config.n_vocab)
    return linear(hidden_with_cache(params, config, np.asarray(ids), cache, n_pad), last_matrix(params, config))


def length_of(cache):
    """The number of positions in a cache."""
    return cache["layer_1"]["k"].shape[-2] if cache else 0

# %%
#| export-only
hidden_with_cache = WithShortcut(hidden_with_cache)


@hidden_with_cache.shortcut
def next_hidden(params, config, ids, cache, n_pad=None):
    """hidden_with_cache for one token more in each row of `generate`; None for anything else."""
    if not isinstance(cache, Cache):
        return None
    n = length_of(cache)
    if n == 0 or n >= config.max_length or ids.shape != (len(cache["layer_1"]["k"]), 1):
        cache.steps = None                              # the plain function keeps keys and values elsewhere
        return None
    if cache.steps is None:
        waves = params["positions"] if config.positions == "learned" else positional_encoding(
            config.max_length, config.d_model, params["table"].dtype)
        cache.steps = Steps(params, config, cache, waves, n_pad)
    return cache.steps(ids[:, 0], n)

# %%
cache = {}
ids = vocabulary.encode(["<START> the cat sat on the mat"])
whole = transformer_lm(trained(), config, ids)
for t in range(ids.shape[1]):
    logits = lm_with_cache(trained(), config, ids[:, t:t + 1], cache)
    print(f"{vocabulary.decode(ids[0, t]):8} keys {cache['layer_1']['k'].shape}   the same logits: "
          f"{np.allclose(logits[:, 0], whole[:, t], atol=1e-4)}")

# %% [markdown]
# **A cache changes no answer**, but for the last digits of float32, since sums are done in another order.
#
# And where has the mask gone? A single new token may look at everything that is there. The mask was needed for the
# *earlier* rows, and these were computed when nothing stood to their right. Run a model without a mask, and there can
# be no cache: every new token would change all earlier keys.
#
# But a token must know where it stands. Each call sends one token, so the mistake lies near to number it 0 every time.
# **Predict** what that does to the perplexity.

# %%
def forgetful(params, ids, cache):
    """lm_with_cache gone wrong: every new token stands at position 0 again."""
    x = embed_tokens(params, config, ids, start=0)
    return linear(stack_with_cache(x, params["blocks"], cache, **block_options(config)), params["table"].T)

def one_by_one(step):
    """The perplexity on fresh rows, which are read token by token."""
    cache, (fresh, wanted) = {}, rows(200, seed=1)
    logits = [step(trained(), fresh[:, t:t + 1], cache) for t in range(fresh.shape[1])]
    return perplexity(np.concatenate(logits, axis=1), wanted)

print(f"right:     perplexity {one_by_one(lambda params, ids, cache: lm_with_cache(params, config, ids, cache)):.3f}")
print(f"forgetful: perplexity {one_by_one(forgetful):.3f}")

# %% [markdown]
# No error, and a perplexity only a little worse: nothing looks broken. **Such a mistake lives long.** What finds it
# is the comparison above: with and without the cache, the logits must agree.
#
# ### Several prompts at once
#
# A batch of prompts of different lengths is filled up to a rectangle. In training padding stood on the right. Could
# it stand there now? For the first new token, yes: a causal mask keeps it from view, and one takes the logits at each
# row's own last word. But where does that token go? Behind its word, in another column for every row; or behind the
# padding, with a hole. On the **left** of the prompts padding leaves one column for all. Nobody looks at it, and
# positions are counted from the first real token of each row. That is what `n_pad` is for.

# %%
figures.padding_picture([["<START>", "the", "cat", "sat"], ["<START>", "the", "dog"], ["<START>"]])

# %%
#| given
#| export
def generate(model, prompt, max_length, temperature=1.0, top_k=None, top_p=None, rng=None, use_cache=True):
    """Go on writing from a prompt, or from several at once.

    model: a TransformerLM. prompt: ids (T,); or several of them, of any lengths, as a list. max_length: how many tokens
    are written at most, the prompt not counted. temperature, top_k, top_p: of the choice; see sample.
    rng: a np.random.Generator; None means: always the likeliest token, for which there is nothing to choose.
    use_cache: False computes everything again for every token; only slower.
    Where the text grows longer than config.max_length, the model sees its last config.max_length tokens.
    Returns what was written, without the prompt, ids (n,) or (B, n). A text is over where config.end_id is drawn; what
    comes after that in its row is end_id again. Raises ValueError for what is no prompt, or a number out of its range.
    """
    config, params, prompts = model.config, model.params, check_prompts(prompt, model.config.n_vocab)
    check_count("max_length", max_length)
    check_choice(rng, temperature, top_k, top_p)
    longest = max(map(len, prompts))
    n_pad = np.array([longest - len(one) for one in prompts])
    ids = np.array([[0] * (longest - len(one)) + one for one in prompts])
    cache, ended = Cache(), np.zeros(len(ids), dtype=bool)
    for _ in range(max_length):
        dropped = max(0, ids.shape[1] - config.max_length)
        if dropped or not use_cache:                    # positions move: nothing that is in the cache holds
            cache = Cache()
        left = np.maximum(n_pad - dropped, 0)
        x = hidden_with_cache(params, config, ids[:, dropped + length_of(cache):], cache, left if left.any() else None)
        logits = linear(x[:, -1], last_matrix(params, config))
        token = sample(logits, rng, temperature, top_k, top_p)
        if config.end_id is not None:
            token = np.where(ended, config.end_id, token)
            ended |= token == config.end_id
        ids = np.concatenate([ids, token[:, None]], axis=1)
        if ended.all():
            break
    written = ids[:, longest:]
    return written[0] if np.ndim(prompt[0]) == 0 else written


def generate_text(model, vocabulary, prompt="", max_length=None, temperature=1.0, top_k=None, top_p=None, rng=None):
    """Go on writing from a text, or from several at once, in words.

    model: a TransformerLM. vocabulary: its Vocabulary. prompt: a text, or a list of texts; it may be empty.
    max_length: how many words are written at most; as many as the model can read at once if None.
    temperature, top_k, top_p, rng: as in generate. Returns the prompt and what was written, a text or a list of texts.
    Raises ValueError for a word that is not in the vocabulary, or a vocabulary of another size.
    """
    check_known("prompt", prompt, vocabulary, model.config.n_vocab)
    prompts = [prompt] if isinstance(prompt, str) else prompt
    starts = [[vocabulary.start_id, *(vocabulary.encode(one) if one.split() else [])] for one in prompts]
    written = generate(model, starts, model.config.max_length if max_length is None else max_length, temperature, top_k,
                       top_p, rng)
    texts = []
    for start, ids in zip(starts, written, strict=True):
        ended = np.flatnonzero(ids == model.config.end_id)
        texts.append(" ".join(vocabulary.words[i] for i in [*start[1:], *ids[:ended[0] if len(ended) else None]]))
    return texts[0] if isinstance(prompt, str) else texts


class TransformerLM(Model):
    """A GPT: a config and its parameters, in one object that scores, writes, and can be saved.

    config: a GPTConfig. params: as init_transformer_lm draws them for it.
    Raises ValueError where an array is missing, is not in the config, or has another shape.
    """
    config_class, draw = GPTConfig, staticmethod(init_transformer_lm)

    def __call__(self, ids, rng=None, record=None):
        """Logits (B, T, n_vocab) for ids (B, T); see transformer_lm."""
        return transformer_lm(self.params, self.config, ids, rng, record)

    def generate(self, prompt, max_length, **choice):
        """Go on writing from a prompt; see generate."""
        return generate(self, prompt, max_length, **choice)

# %%
model = TransformerLM(config, trained())
prompts = ["the cat sat", "the dog", ""]
print("together: ", generate_text(model, vocabulary, prompts))
print("one by one", [generate_text(model, vocabulary, prompt) for prompt in prompts])

written = generate_text(model, vocabulary, [""] * 1000, rng=np.random.default_rng(0))
print(f"{np.mean([text in sentences for text in written]):.1%} of {len(written)} are sentences")

# %% [markdown]
# And padded on the right? **Predict** what comes after `the cat <PAD>`, for a model that has never seen padding.

# %%
padded = vocabulary.encode(["<START> the cat sat", "<START> the cat"])[1:]
print(*(vocabulary.words[i] for i in padded[0]))
for name, row in (("padded", padded), ("as it is", padded[:, :3])):
    next_id = transformer_lm(trained(), config, row)[0, -1].argmax()
    print(f"{name:9} goes on with", vocabulary.words[next_id])

# %% [markdown]
# The last column is no longer the last word. The model reads the padding as a token, which nobody has told it to
# ignore. What follows is wrong, and nothing says so.
#
# And when a text outgrows `max_length`? The first token is dropped, and all others move one position down. Keys that
# were made for the old positions do not hold any more, so `generate` begins its cache anew at every token: from there
# on it is as slow as without one.
#
# ### What the cache gains
#
# That model is too small to measure anything. Here is a larger one, with random numbers, which cost the same as trained
# ones: 4 layers, D = 128, a vocabulary of 1,000 and a window of 512.

# %%
larger = TransformerLM.random(GPTConfig(1000, d_model=128, n_heads=4, n_layers=4, max_length=512, dropout=0.0),
                              np.random.default_rng(0))
print(f"{larger.n_parameters:,} parameters")
lengths = (32, 64, 128, 256)

def seconds(n, use_cache):
    """The time that it takes to write n tokens."""
    begin = time.perf_counter()
    generate(larger, [0], n, use_cache=use_cache)
    return time.perf_counter() - begin

generate(larger, [0], 8)
timed = {name: [seconds(n, use_cache) for n in lengths] for name, use_cache in (("cache", True), ("none", False))}
for n, with_cache, without in zip(lengths, timed["cache"], timed["none"], strict=True):
    print(f"{n:4} tokens: {1000 * with_cache / n:.2f} ms a token with the cache, {1000 * without / n:.2f} ms without")
drawn = [generate(larger, [0], 100, rng=np.random.default_rng(0), use_cache=use_cache) for use_cache in (True, False)]
print(f"the same 100 tokens, {len(set(drawn[0].tolist()))} of them different:", np.array_equal(*drawn))
figures.cost_picture(lengths, timed["cache"], timed["none"])

# %% [markdown]
# Without a cache the time of a token grows with all that is read again. With it, one row goes through every matrix;
# what still grows is attention alone, which looks at one key more each time. At these lengths that hardly shows; at
# thousands of tokens it does. (The `generate` of the library takes single steps without checks, `support/steps.py`,
# in half the time; where one of its functions is yours, it takes yours.) What the cache takes is memory:

# %%
cache, n = {}, 256
lm_with_cache(larger.params, larger.config, np.zeros((1, n), dtype=int), cache)
bytes_kept = sum(x.nbytes for layer in cache.values() for x in layer.values())
print(f"{n} tokens: {bytes_kept / 1e6:.2f} MB = 2 x {larger.config.n_layers} layers x {n} x "
      f"{larger.config.d_model} numbers x 4 bytes: {2 * larger.config.n_layers * n * larger.config.d_model * 4:,}")

# %% [markdown]
# ## 6. What you built, on something real
#
# | | what it does | returns |
# |---|---|---|
# | `transformer_lm(params, config, ids)` | blocks under a causal mask, tied table | logits (B, T, n_vocab) |
# | `next_token_pair(stream, length)` | a text, cut into questions and answers | inputs, labels |
# | `perplexity(logits, targets)` | e to the mean surprise | a number |
# | `top_k(logits, k)`, `top_p(logits, p)` | cut off the tail | logits, -inf for what is cut |
# | `attend_with_cache(x, ..., cache)` | new positions look at old keys and values | (B, T, D) |
# | `generate(model, prompt, n)` | score, choose, append, again | ids (n,) or (B, n) |
#
# The real one: GPT-2's smallest model has the sizes that `GPTConfig` has by default. So you have written it. Counting
# takes no memory, only the shapes:

# %%
gpt2 = GPTConfig(n_vocab=50257)
shapes = {name: x.shape for name, x in flat(init_transformer_lm(OnlyShapes(), gpt2)).items()}
count = sum(math.prod(shape) for shape in shapes.values())
biases = gpt2.n_layers * 4 * gpt2.d_model               # GPT-2 has biases in its attention; that of 2017 has none
print(f"{count:,} parameters, and with the biases of its attention {count + biases:,}")
kept = 2 * gpt2.n_layers * gpt2.max_length * gpt2.d_model
print(f"its cache, at {gpt2.max_length:,} tokens: {4 * kept / 1e6:.0f} MB in float32")

# %% [markdown]
# 124 million. What it lacks are tokens that are better than words, which is the next chapter's business, a text to
# learn from, and time.
#
# ### Test yourself
#
# <details><summary>A model with a cache has read 99 tokens and is given the 100th. How many rows go through each weight
# matrix, and at how many keys does the new query look?</summary>
#
# One row, and 100 keys, its own among them.
#
# </details>
# <details><summary>Your validation loss falls to 0.01 on ordinary text. What do you look at first?</summary>
#
# The mask, and the shift between inputs and labels. Nobody can know what comes next that well.
#
# </details>
# <details><summary>With top-k of 1, what does the temperature do?</summary>
#
# Nothing. One token is left, and its share is 1 at any temperature.
#
# </details>
#
# ### Where to read on
#
# - Radford et al., "Language models are unsupervised multitask learners", 2019: GPT-2. Its section 2.3 is now yours;
#   2.2 is the next chapter's.
# - Holtzman et al., "The curious case of neural text degeneration", 2020: why cutting off the tail matters; top-p.
# - Pope et al., "Efficiently scaling Transformer inference", 2022: what the cache costs when models are large.
#
# `progress()` in a new cell shows the map.
