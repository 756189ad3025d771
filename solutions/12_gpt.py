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
# ways in which today's models choose their next token; and you will have given it a memory, the *KV cache*, which
# changes nothing that it writes and most of what it costs.
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
from scratchformer_lib.softmax import softmax
from scratchformer_lib.support.arguments import (
    check_at_least_0,
    check_batch,
    check_cache,
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
from scratchformer_lib.support.trees import flat
from scratchformer_lib.training import cross_entropy, fit, warmup_cosine

# %% [markdown]
# ## 1. Three writers
#
# Chapter 02 closed with a bigram model: it counted which word follows which, in a language of four sentences. Here it
# is again, beside a GPT of about 3,500 parameters: once with the numbers that were drawn for it at random, and once
# trained, by this course. All three write the same way. They score every word that could come next, one is drawn by
# its share, and is put behind the others; until `<END>` is drawn.

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
    while ids[-1] != Vocabulary.end_id and len(ids) < 12:
        ids.append(int(rng.choice(len(vocabulary), p=counts[ids[-1]] / counts[ids[-1]].sum())))
    return vocabulary.decode(ids[1:]).removesuffix(" <END>")

def by_chance(rng):
    """Write a sentence with a GPT whose parameters were drawn at random."""
    return weights.write(rng, trained=False)

writers = {"random numbers": by_chance, "bigrams": by_bigrams, "trained": weights.write}
for name, write in writers.items():
    rng = np.random.default_rng(0)
    written = [write(rng) for _ in range(100)]
    print(f"\n{name}: {np.mean([text in sentences for text in written]):.0%} of {len(written)} are sentences")
    print(*(f"    {text}" for text in written[:4]), sep="\n")

# %% [markdown]
# The bigram model has forgotten the animal when it comes to the mat, and begins again after *the*. The trained model
# remembers. This chapter is about what it is made of, how it was trained, and how it chooses.
#
# ## 2. Half a Transformer
#
# Chapter 08 translated: an encoder read the source, and a decoder wrote, looking at both. A model that goes on writing
# has no source. So the encoder falls away, and with it the cross-attention of every decoder layer. What is left is
# self-attention under a causal mask, a feed-forward, and their norms.
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
# The config and the parameters are given. Its defaults are those of GPT-2, the small one (Radford et al., 2019). Three
# choices differ from the paper of 2017. Norms stand *before* each part, with one more at the end (chapter 05). The last
# matrix is always, or nearly, the table of embeddings $E$, turned around. And positions may be **learned**: a second
# table has a row for every position, drawn at random and trained like everything else. It has no row for a position
# beyond its last.

# %%
#| export
@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT, and the choices in it. What is not given is as in GPT-2, the small one.

    n_vocab: how many tokens it knows. d_model: D. n_heads: H. n_layers: blocks. d_ff: F; 4 D if None.
    max_length: how many tokens it can look back on, itself included.
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
    (D, n_vocab) where it is not tied; in it arrays of float32.
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


def block_options(config):
    """What the config says about each block, as options of transformer_block."""
    return {"n_heads": config.n_heads, "pre_norm": config.pre_norm,
            "activation": {"relu": relu, "gelu": gelu}[config.activation]}

# %% [markdown]
# **Exercise 12.1.** Finish `transformer_lm(params, config, ids, rng=None, record=None)`. It takes ids (B, T) and
# returns logits (B, T, n_vocab): at every position, a score for every token that could come next. There is
#
# - `embed_tokens(params, config, ids)`, the vectors (B, T, D); the config's `dropout` drops out of them, with
#   `dropout(x, config.dropout, rng)`;
# - `encoder(x, params["blocks"], mask=..., rate=..., rng=..., record=..., **block_options(config))`, the stack of
#   chapter 06: `rate` is the config's dropout too, and `record` is handed on;
# - `linear(x, W)`, without a bias; `W`, the last matrix (D, n_vocab), is there already.
#
# It took us four lines.
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
    W = params["table"].T if config.tied_output else params["output"]
    ### BEGIN SOLUTION
    x = dropout(embed_tokens(params, config, ids), config.dropout, rng)
    x = encoder(x, params["blocks"], mask=causal_mask(ids.shape[1]), rate=config.dropout, rng=rng, record=record,
                **block_options(config))
    return linear(x, W)
    ### END SOLUTION

# %%
check(transformer_lm)

# %% [markdown]
# The model of this chapter is the one that opened it:

# %%
config = GPTConfig(len(vocabulary), d_model=16, n_heads=4, n_layers=2, d_ff=16, max_length=16, positions="sinusoidal",
                   dropout=0.0, end_id=Vocabulary.end_id)
start = init_transformer_lm(np.random.default_rng(0), config)
for name, x in flat(start).items():
    if "layer_2" not in name:
        print(f"{name:35} {x.size:5,}   {x.shape}")
print(f"with the second layer: {sum(x.size for x in flat(start).values()):,} parameters")

# %% [markdown]
# The causal mask is worth more than it seems. Because position t cannot see what comes after it, its logits are what
# they would be if the text ended there. So one pass over "the cat sat on the mat" answers six questions at once, one
# for every beginning. **Predict:** do six runs, each over one beginning, give the same six last rows?

# %%
ids = vocabulary.encode(["<START> the cat sat on the mat"])
together = transformer_lm(start, config, ids)
apart = [transformer_lm(start, config, ids[:, :t + 1])[:, -1] for t in range(ids.shape[1])]
print("one pass", together.shape, "  the same as one by one:", np.allclose(together, np.stack(apart, 1), atol=1e-5))

# %% [markdown]
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

inputs, labels = next_token_pair(stream_of(2000, np.random.default_rng(0)), 16)
print(inputs.shape, labels.shape)
print("given ", vocabulary.decode(inputs[0]))
print("wanted", vocabulary.decode(labels[0]))

# %% [markdown]
# Where a row begins is chance: in the middle of a sentence, mostly. The model has to live with that, as every GPT does.
# Its first words have little behind them, and nothing can be known about the word that was cut off.
#
# ### How many words does it hesitate between?
#
# The loss is the mean surprise, in nats, as ever. There is a second way to say it that is easier to imagine. A model
# that hesitates evenly between 4 words has a surprise of ln 4 each time. Turn that around: e to the power of the mean
# surprise is the number of words between which a model as uncertain as this one would hesitate evenly. That is its
# **perplexity**.
#
# By hand: at one token the right word got a share of 1/2, at the next 1/8. The surprises are ln 2 and ln 8, their mean
# is ln 4, the perplexity is 4. **Not** the mean of 2 and 8.
#
# **Exercise 12.3.** Write `perplexity(logits, targets, ignore_id=None)`. It takes what `cross_entropy` takes: logits
# (..., n_vocab), targets (...), and an id that does not count. It returns a number. It took us one line, with
# `cross_entropy`.

# %%
#| export
def perplexity(logits, targets, ignore_id=None):
    """The number of tokens between which a model that is as uncertain as this one would hesitate evenly.

    logits: (..., n_vocab). targets: (...), ids of the right tokens. ignore_id: an id that does not count.
    Returns a number, at least 1. Raises ValueError as cross_entropy does.
    Source: Jelinek et al., "Perplexity, a measure of the difficulty of speech recognition tasks", 1977.
    """
    check_targets(logits, targets, ignore_id, 0.0)
    ### BEGIN SOLUTION
    return np.exp(cross_entropy(logits, targets, ignore_id))
    ### END SOLUTION

# %%
check(perplexity)

# %% [markdown]
# **Predict** two perplexities: of a model that gives each of the 12 tokens the same share; and of ours, as it was
# drawn.
#
# Then train it. Everything is there since chapter 10: `fit` draws rows of the stream, differentiates, clips, steps. The
# bigram model reads the same rows and is the line to beat.

# %%
def loss(params, inputs, labels, rng=None):
    return cross_entropy(transformer_lm(params, config, inputs, rng), labels)

def some_rows(rng):
    rows = rng.integers(0, len(inputs), 32)
    return inputs[rows], labels[rows]

fresh, wanted = next_token_pair(stream_of(200, np.random.default_rng(1)), 16)
with np.errstate(divide="ignore"):
    bigram = np.log(counts)
bigram[Vocabulary.end_id, Vocabulary.start_id] = 0.0            # in a stream, <START> comes after <END>
print(f"even:      perplexity {perplexity(np.zeros((*fresh.shape, len(vocabulary))), wanted):.1f}")
print(f"untrained: perplexity {perplexity(transformer_lm(start, config, fresh), wanted):.1f}")
print(f"bigrams:   perplexity {perplexity(bigram[fresh], wanted):.3f}, loss {cross_entropy(bigram[fresh], wanted):.3f}")
run = fit(loss, start, some_rows, 600, np.random.default_rng(0), on_step=watch(),
          rate=lambda step: warmup_cosine(step, 0.01, 50, 600))
logits = transformer_lm(run.params, config, fresh)
print(f"trained:   perplexity {perplexity(logits, wanted):.3f}, loss {cross_entropy(logits, wanted):.3f}")

# %% [markdown]
# Even shares give 12, the number of tokens. Ours began *above* it: it was not undecided, it was sure of the wrong
# things. (You have seen it repeat itself in section 1. Its last matrix is its first table, so what it scores highest,
# before it has learned anything, is the token that it has just read.) Now it hesitates between little more than one.
# The bigram loss is lower here than in chapter 02, since `<START>` counts as well, which is never a surprise.
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

cheated = fit(cheat, start, some_rows, 600, np.random.default_rng(0),
              rate=lambda step: warmup_cosine(step, 0.01, 50, 600)).params
print(f"without the mask: loss {cheat(cheated, fresh, wanted):.3f}; with it: {loss(run.params, fresh, wanted):.3f}")
begin_with = np.array([[Vocabulary.start_id]])
print("with:    ", likeliest(lambda ids: transformer_lm(run.params, config, ids), begin_with, 6))
print("without: ", likeliest(lambda ids: without_mask(cheated, ids), begin_with, 6))

# %% [markdown]
# The loss is far below what is possible for anyone who does not know the future, and the text is nonsense: the model
# has learned to look one place to the right, and there, when it writes, is nothing yet. **A loss that is too good is a
# leak until proven otherwise.**
#
# ## 4. Choosing
#
# The model gives every token a share. To draw a token by its share is the honest way: what it writes is then as varied
# as what it read. But a large model has tens of thousands of tokens, each of them with a little share, and together
# these small shares are not small. One odd token, and the text goes on from there. So one cuts off the tail, in one of
# two ways. And there is the temperature of chapter 01: divide the logits by it before the softmax.
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
# **Exercise 12.4.** Write `top_k(logits, k)`. It takes logits (..., n_vocab) and returns the same shape: in each row
# the k largest as they are, and `-np.inf` for all others. Of equal logits those with the smaller id count first, so
# that exactly k are kept; all of them, where k is n_vocab or more. The logits that come in stay as they are, and
# float32 stays float32. `top_k(np.array([1.0, 3.0, 2.0, 3.0]), 2)` gives `[-inf, 3, -inf, 3]`. It took us four lines.
#
# <details><summary>Hint</summary>
#
# `np.argsort(-logits, axis=-1, kind="stable")` lists ids from the likeliest down, of equal ones the smaller id first.
# `np.put_along_axis` and `np.take_along_axis` write and read at the ids of such a list.
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
    order = np.argsort(-logits, axis=-1, kind="stable")[..., :k]
    kept = np.full_like(logits, -np.inf)
    np.put_along_axis(kept, order, np.take_along_axis(logits, order, axis=-1), axis=-1)
    return kept
    ### END SOLUTION

# %%
check(top_k)

# %% [markdown]
# **Exercise 12.5.** Write `top_p(logits, p)`. It takes logits (..., n_vocab), and a share p above 0, at most 1. It
# returns the same shape: in each row, as they are, as few of the likeliest tokens as have a share of p together, or
# more; and `-np.inf` for all others. The token with which p is reached is among those that are kept, so that there is
# always one. Of equal logits the smaller id counts first. The logits that come in may hold `-np.inf` already, from
# top-k; they stay as they are, and float32 stays float32. With the shares above, `top_p(np.log([0.5, 0.25, 0.15,
# 0.1]), 0.6)` keeps the first two. It took us six lines.
#
# <details><summary>Hint</summary>
#
# Sort the shares from the largest down. A token is kept if those *before* it have not reached p yet: `np.cumsum` adds
# up, itself included.
#
# </details>
# <details><summary>Hint: back from the sorted order</summary>
#
# You know which places of the sorted list are kept. `np.put_along_axis(where, order, kept, axis=-1)` writes that to the
# ids that stand there.
#
# </details>

# %%
#| export
def top_p(logits, p):
    """Keep as few of the likeliest tokens as have a share of p together.

    logits: (..., n_vocab). p: above 0, at most 1.
    Returns the same shape, -inf for what is not kept. Of equal ones the smaller ids count.
    Raises ValueError for another p.
    Source: Holtzman et al., "The curious case of neural text degeneration", 2020.
    """
    check_share("p", p)
    ### BEGIN SOLUTION
    order = np.argsort(-logits, axis=-1, kind="stable")
    shares = np.take_along_axis(softmax(logits), order, axis=-1)
    before = np.cumsum(shares, axis=-1) - shares
    keep = np.empty(logits.shape, dtype=bool)
    np.put_along_axis(keep, order, before < p, axis=-1)
    return np.where(keep, logits, -np.inf)
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
# Where the model is sure, nothing is left to draw from: just there, where the choice is easiest.
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
    Returns ids (B,).
    """
    if rng is None or temperature == 0:
        return np.argmax(logits, axis=-1)
    logits = logits.astype(np.float64) / temperature
    if k is not None:
        logits = top_k(logits, k)
    if p is not None:
        logits = top_p(logits, p)
    reached = np.cumsum(softmax(logits), axis=-1)
    return np.argmax(reached > rng.random((len(logits), 1)) * reached[:, -1:], axis=-1)

# %%
figures.choosing_widget(vocabulary, lambda ids: transformer_lm(run.params, config, ids)[:, -1], sample, top_k, top_p)

# %% [markdown]
# Move the sliders. Top-k and top-p take words away; the temperature moves the shares and takes none. None of the three
# is part of the model: the weights are what they were. **How a text sounds is decided twice**, by what was learned, and
# by how one draws.
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
# What is kept of a sentence of T tokens is, in every layer, two arrays of (B, H, T, d_k). This is the **KV cache**.
#
# **Exercise 12.6.** Finish `attend_with_cache(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None)`. It is
# `multi_head_attention` of x with itself and with all that came before. x (B, T, D) holds the *new* positions only.
# `cache` is a dict: empty at the beginning; later, its `"k"` and `"v"` hold the keys and values of the S positions that
# came before, (B, H, S, d_k) and (B, H, S, d_v).
#
# - Make queries, keys and values of x, and split them into heads, as in chapter 04: `linear`, `split_heads`.
# - Put the new keys and values behind the old ones, if there are any, along the axis of positions; the cache holds the
#   longer ones afterwards, under the same names. The old arrays stay as they are.
# - Let the new queries look at all of them: `scaled_dot_product_attention(q, k, v, mask)`, which returns a pair. The
#   mask is (T, S + T), or None.
# - Return the output (B, T, D_out), after `merge_heads` and W_O; no weights.
#
# It took us seven lines.
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
    check_cache(cache, x, W_K, W_V, n_heads)
    ### BEGIN SOLUTION
    q, k, v = (split_heads(linear(x, W), n_heads) for W in (W_Q, W_K, W_V))
    if cache:
        k = np.concatenate([cache["k"], k], axis=-2)
        v = np.concatenate([cache["v"], v], axis=-2)
    cache["k"], cache["v"] = k, v
    output, _ = scaled_dot_product_attention(q, k, v, mask)
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


def lm_with_cache(params, config, ids, cache, n_pad=None):
    """transformer_lm for tokens that come after those in the cache.

    ids: (B, T), the new tokens. cache: a dict, empty at first; it receives keys and values of the new tokens.
    n_pad: (B,), how many tokens at the left of each row are padding, at which nobody looks.
    Returns logits (B, T, n_vocab). Raises ValueError for tokens that are not in the vocabulary, or too many of them.
    """
    start = length_of(cache)
    check_batch("ids", ids, config.n_vocab)
    check_length("the length of ids and cache together", start + ids.shape[1], config.max_length)
    x = embed_tokens(params, config, ids, start, n_pad)
    place = np.arange(start + ids.shape[1])
    mask = place <= place[start:, None]                 # the last rows of the causal mask
    if n_pad is not None:
        mask = mask & (place >= n_pad[:, None, None, None])
    x = stack_with_cache(x, params["blocks"], cache, mask, **block_options(config))
    return linear(x, params["table"].T if config.tied_output else params["output"])


def length_of(cache):
    """The number of positions in a cache."""
    return cache["layer_1"]["k"].shape[-2] if cache else 0

# %%
cache = {}
ids = vocabulary.encode(["<START> the cat sat on the mat"])
whole = transformer_lm(run.params, config, ids)
for t in range(ids.shape[1]):
    logits = lm_with_cache(run.params, config, ids[:, t:t + 1], cache)
    print(f"{vocabulary.decode(ids[0, t]):8} keys {cache['layer_1']['k'].shape}   the same logits: "
          f"{np.allclose(logits[:, 0], whole[:, t], atol=1e-4)}")

# %% [markdown]
# **A cache changes no answer.** It holds numbers that would come out the same again. But its tokens must know where
# they stand. What if every new token is told that it stands at position 0, as the first of the row that is sent
# through?

# %%
def forgetful(params, ids, cache):
    """lm_with_cache gone wrong: every new token stands at position 0 again."""
    x = embed_tokens(params, config, ids, start=0)
    return linear(stack_with_cache(x, params["blocks"], cache, **block_options(config)), params["table"].T)

def one_by_one(step):
    """The perplexity on the fresh rows, which are read token by token."""
    cache = {}
    logits = [step(run.params, fresh[:, t:t + 1], cache) for t in range(fresh.shape[1])]
    return perplexity(np.concatenate(logits, axis=1), wanted)

print(f"right:     perplexity {one_by_one(lambda params, ids, cache: lm_with_cache(params, config, ids, cache)):.3f}")
print(f"forgetful: perplexity {one_by_one(forgetful):.3f}")

# %% [markdown]
# No error, and a perplexity that is only a little worse: in this language the order of the words matters more than
# their places. **Such a mistake lives long.** Compare with the run without a cache, as above: the logits must agree.
#
# ### Several prompts at once
#
# A batch of prompts of different lengths is filled up to a rectangle. In training padding stood on the right. Here it
# must stand on the **left**: every row goes on at its right end, and there, in the last column, its last token has to
# be. Nobody looks at the padding, and positions are counted from the first real token of each row. That is what `n_pad`
# is for. `generate` does all this.

# %%
figures.padding_picture([["<START>", "the", "cat", "sat"], ["<START>", "the", "dog"], ["<START>"]])

# %%
#| given
#| export
def generate(model, prompt, max_length, temperature=1.0, top_k=None, top_p=None, rng=None, use_cache=True):
    """Go on writing from a prompt, or from several at once.

    model: a TransformerLM. prompt: ids (T,); or several of them, of any lengths, as a list. max_length: how many tokens
    are written at most. temperature, top_k, top_p: of the choice; see sample. rng: a np.random.Generator; None means:
    always the likeliest token. use_cache: False computes everything again for every token; only slower.
    Where the text grows longer than config.max_length, the model sees its last config.max_length tokens.
    Returns what was written, without the prompt, ids (n,) or (B, n). A text is over where config.end_id is drawn; what
    comes after that in its row is end_id again. Raises ValueError for what is no prompt, or a number out of its range.
    """
    config, prompts = model.config, check_prompts(prompt, model.config.n_vocab)
    check_count("max_length", max_length)
    check_at_least_0("temperature", temperature)
    longest = max(map(len, prompts))
    n_pad = np.array([longest - len(one) for one in prompts])
    ids = np.array([[0] * (longest - len(one)) + one for one in prompts])
    cache, ended = {}, np.zeros(len(ids), dtype=bool)
    for _ in range(max_length):
        dropped = max(0, ids.shape[1] - config.max_length)
        if dropped or not use_cache:                    # positions move: nothing that is in the cache holds
            cache = {}
        left = np.maximum(n_pad - dropped, 0)
        logits = lm_with_cache(model.params, config, ids[:, dropped + length_of(cache):], cache,
                               left if left.any() else None)
        token = sample(logits[:, -1], rng, temperature, top_k, top_p)
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

    model: a TransformerLM. vocabulary: a Vocabulary. prompt: a text, or a list of texts; it may be empty.
    max_length: how many words are written at most; as many as the model can look back on if None.
    temperature, top_k, top_p, rng: as in generate. Returns the prompt and what was written, a text or a list of texts.
    Raises ValueError for a word that is not in the vocabulary.
    """
    prompts = [prompt] if isinstance(prompt, str) else prompt
    check_known("prompt", prompts, vocabulary)
    starts = [[vocabulary.start_id, *(vocabulary.encode(one) if one.split() else [])] for one in prompts]
    written = generate(model, starts, max_length or model.config.max_length, temperature, top_k, top_p, rng)
    texts = [vocabulary.decode([*start[1:], *ids]).split("<END>")[0].strip()
             for start, ids in zip(starts, written, strict=True)]
    return texts[0] if isinstance(prompt, str) else texts


class TransformerLM(Model):
    """A GPT: a config and its parameters, in one object that scores, writes (see generate), and can be saved.

    config: a GPTConfig. params: as init_transformer_lm draws them for it.
    Raises ValueError where an array is missing, is not in the config, or has another shape.
    """
    config_class, draw = GPTConfig, staticmethod(init_transformer_lm)

    def __call__(self, ids, rng=None, record=None):
        """Logits (B, T, n_vocab) for ids (B, T); see transformer_lm."""
        return transformer_lm(self.params, self.config, ids, rng, record)

# %%
model = TransformerLM(config, run.params)
prompts = ["the cat sat", "the dog", ""]
print("together: ", generate_text(model, vocabulary, prompts, rng=None))
print("one by one", [generate_text(model, vocabulary, prompt, rng=None) for prompt in prompts])

written = generate_text(model, vocabulary, [""] * 1000, rng=np.random.default_rng(0))
print(f"{np.mean([text in sentences for text in written]):.1%} of {len(written)} are sentences")

# %% [markdown]
# And padded on the right? **Predict** what comes after `the cat <PAD>`, for a model that has never seen padding.

# %%
rows = vocabulary.encode(["<START> the cat sat", "<START> the cat"])
print(vocabulary.decode(rows[1]), rows[1])
for name, row in (("padded", rows[1:]), ("as it is", rows[1:, :3])):
    next_id = transformer_lm(run.params, config, row)[0, -1].argmax()
    print(f"{name:9} goes on with", vocabulary.words[next_id])

# %% [markdown]
# It takes the padding for a word, since nobody has told it otherwise, and the words before it have moved away from the
# end. What follows is wrong, and nothing says so.
#
# ### What the cache gains
#
# The model of 3,500 parameters is too small to measure anything. Here is one of 800,000, with random numbers, which
# cost the same as trained ones: 4 layers of D = 128, a thousand tokens, and a look back of 512.

# %%
larger = TransformerLM.random(GPTConfig(1000, d_model=128, n_heads=4, n_layers=4, max_length=512, dropout=0.0),
                              np.random.default_rng(0))
lengths = (32, 64, 128, 256)

def seconds(n, use_cache):
    """The time that it takes to write n tokens."""
    begin = time.perf_counter()
    generate(larger, [0], n, use_cache=use_cache)
    return time.perf_counter() - begin

generate(larger, [0], 8)
timed = {name: [seconds(n, use_cache) for n in lengths] for name, use_cache in (("cache", True), ("none", False))}
for n, with_cache, without in zip(lengths, timed["cache"], timed["none"], strict=True):
    print(f"{n:4} tokens: {1000 * with_cache:.0f} ms with the cache, {1000 * without:.0f} ms without")
same = np.array_equal(generate(larger, [0], 200), generate(larger, [0], 200, use_cache=False))
print("the same 200 tokens:", same)
figures.cost_picture(lengths, timed["cache"], timed["none"])

# %% [markdown]
# Without a cache, each token costs more than the one before: the whole text is read again. With it, nearly all tokens
# cost the same. What it takes is memory:

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
#
# The real one: GPT-2's smallest model has the sizes that `GPTConfig` has by default. So you have written it. Counting
# takes no memory, only the shapes:

# %%
gpt2 = GPTConfig(n_vocab=50257)
shapes = {name: x.shape for name, x in flat(init_transformer_lm(OnlyShapes(), gpt2)).items()}
count = sum(math.prod(shape) for shape in shapes.values())
biases = gpt2.n_layers * 4 * gpt2.d_model               # GPT-2 has biases in its attention; the paper's has none
print(f"{count:,} parameters, and with the biases of its attention {count + biases:,}")
kept = 2 * gpt2.n_layers * gpt2.max_length * gpt2.d_model
print(f"its cache, at {gpt2.max_length:,} tokens: {4 * kept / 1e6:.0f} MB")

# %% [markdown]
# 124 million. What it lacks are tokens that are better than words, which is the next chapter's business, a text to
# learn from, and time.
#
# ### Test yourself
#
# <details><summary>A cached model writes its 100th token. How many rows does each matrix product of a block have, and
# how many keys does attention look at?</summary>
#
# One row, and 100 keys.
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
# - Radford et al., "Language models are unsupervised multitask learners", 2019: GPT-2. Its section 2 is now yours.
# - Holtzman et al., "The curious case of neural text degeneration", 2020: why cutting off the tail matters; top-p.
# - Pope et al., "Efficiently scaling Transformer inference", 2022: what the cache costs when models are large.
#
# `progress()` in a new cell shows the map.
