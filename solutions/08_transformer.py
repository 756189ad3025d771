# %% [markdown]
# # 08 · The Transformer: everything connected
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/08_transformer.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/08_transformer.ipynb)
# <!-- /badges -->
#
# **The question: how does a machine that scores the next word translate a whole sentence?**
#
# At the end you will have the Transformer of "Attention is all you need", all of it, running on functions that you
# wrote: put `begin("08", mine=True)` into the first cell. You will know what it is asked to do, how wrong it is, and
# how a sentence comes out of it, word by word; and you will see what it writes for numbers that it has never met, when
# nothing but its last matrix is fitted.
#
# Four exercises, about 75 minutes. You need the decoder from [chapter 07](07_decoder.ipynb).

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

begin("08")

# %%
#| given
#| default_exp transformer
#| export
import pathlib
import tempfile
from dataclasses import dataclass

import numpy as np

from scratchformer_lib.attention import causal_mask, combine_masks, padding_mask
from scratchformer_lib.block import dropout, gelu, relu
from scratchformer_lib.course.figures import chapter_08 as figures
from scratchformer_lib.decoder import decoder, init_decoder
from scratchformer_lib.embeddings import Vocabulary, init_embedding
from scratchformer_lib.encoder import embed_sequence, encoder, init_encoder, record_of
from scratchformer_lib.multi_head import init_linear, linear
from scratchformer_lib.softmax import log_softmax, softmax
from scratchformer_lib.support.arguments import (
    check_at_least_0,
    check_batch,
    check_config,
    check_count,
    check_ids,
    check_length,
    check_pair,
    check_targets,
)
from scratchformer_lib.support.models import Model
from scratchformer_lib.support.number_words import in_english, in_german

# %% [markdown]
# ## 1. The whole of it
#
# The parts lie ready. The source's ids are embedded and go through the encoder, which makes the memory. The target's
# ids, as far as they are written, are embedded and go through the decoder, which looks at what the encoder has made. A
# last matrix turns each of the decoder's vectors into a score for every word of the target's vocabulary. That is all:
#
# $$\text{logits} = \text{decoder}(\text{embed}(\text{tgt}),\ \text{encoder}(\text{embed}(\text{src})))\ W + b$$
#
# Sizes and choices stand in one place, the *config*. It is given, and so is the function that draws the parameters.
# Three of its choices concern the tables. `scale_embeddings` is the factor $\sqrt{D}$ of chapter 06. Source and target
# may have a table each, or, where they have one vocabulary, *share* it. And the last matrix may be *tied* to the
# target's table: then a word's score is the dot product of the decoder's vector with the word's own row. The paper
# does all three.

# %%
#| export
@dataclass(frozen=True)
class TransformerConfig:
    """The sizes of a Transformer, and the choices in it. Sizes that are not given are those of the paper's base model.

    n_src_vocab, n_tgt_vocab: how many words the source and the target know, the special ones among them.
    d_model: D. n_heads: H. d_ff: F. d_k, d_v: sizes of a head; D / H if None.
    max_length: the longest sequence that it takes or writes.
    activation: "relu" or "gelu". pre_norm: normalize what goes into each part of a layer, instead of each sum.
    dropout: the rate, while training. scale_embeddings: multiply the words' vectors by the root of D.
    shared_embeddings: source and target have one table together. tied_output: the last matrix is the target's table.
    Raises ValueError for sizes that do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, table 3.
    """
    n_src_vocab: int
    n_tgt_vocab: int
    d_model: int = 512
    n_heads: int = 8
    d_ff: int = 2048
    n_encoder_layers: int = 6
    n_decoder_layers: int = 6
    d_k: int | None = None
    d_v: int | None = None
    max_length: int = 512
    activation: str = "relu"
    pre_norm: bool = False
    dropout: float = 0.1
    scale_embeddings: bool = True
    shared_embeddings: bool = False
    tied_output: bool = False

    def __post_init__(self):
        check_config(self)


def init_transformer(rng, config):
    """Draw the parameters of a Transformer.

    rng: a np.random.Generator. config: a TransformerConfig.
    Returns a dict of "source_table", "target_table" (not where it is shared), "encoder", "decoder", and "output", a
    dict of W (not where it is tied) and b; in it arrays of float32.
    """
    D, sizes = config.d_model, (config.d_model, config.n_heads, config.d_ff, config.d_k, config.d_v, config.pre_norm)
    params = {"source_table": init_embedding(rng, config.n_src_vocab, D)}
    if not config.shared_embeddings:
        params["target_table"] = init_embedding(rng, config.n_tgt_vocab, D)
    params["encoder"] = init_encoder(rng, config.n_encoder_layers, *sizes)
    params["decoder"] = init_decoder(rng, config.n_decoder_layers, *sizes)
    W = {} if config.tied_output else {"W": init_linear(rng, D, config.n_tgt_vocab)}
    return params | {"output": W | {"b": np.zeros(config.n_tgt_vocab, np.float32)}}


def tables_of(params, config):
    """The tables of source (n_src_vocab, D) and target (n_tgt_vocab, D), and the last matrix W (D, n_tgt_vocab)."""
    source = params["source_table"]
    target = source if config.shared_embeddings else params["target_table"]
    return source, target, target.T if config.tied_output else params["output"]["W"]

# %% [markdown]
# **Exercise 8.1.** Finish `transformer(params, config, src, tgt, rng=None, record=None)`. It takes the ids of a batch
# of sources, src (B, S), and of the targets as far as they are written, tgt (B, T). It returns logits (B, T,
# n_tgt_vocab): at every position of the target, a score for every word that could come next. Everything is there:
#
# - `embedded(ids, table)` embeds a sequence and drops out, as the config says. `source_table`, `target_table` and `W`
#   are what their names say.
# - `padding_mask(ids, Vocabulary.pad_id)` is (B, 1, 1, length). The encoder may look at every word of the source that
#   is not padding. A target word may look at itself and at what came before, where that is not padding
#   (`combine_masks`); and at the words of the source that the encoder could look at. (Where padding stands at the end,
#   the causal mask hides it anyway. The mask is for padding that stands anywhere else, and the check tries that.)
# - `encoder(x, params["encoder"], mask=..., **options)` and `decoder(x, memory, params["decoder"], mask=...,
#   memory_mask=..., **options)`. `options` has what both are told: heads, norms, activation, dropout and `rng`.
# - A position that holds padding looks around like any other. The masks are about what is looked *at*.
# - What encoder and decoder record goes into `record_of(record, "encoder")` and `record_of(record, "decoder")`.
# - At the end `linear` with `W` and `params["output"]["b"]`. No softmax.
#
# Dropout draws from `rng` in the order in which the words travel: embed the source, encode, embed the target, decode.
# It took us seven lines.
#
# <details><summary>Hint: which mask where?</summary>
#
# The encoder needs one mask, the decoder two. Two of the three are the same.
#
# </details>
# <details><summary>Hint: the order of the calls</summary>
#
# Who needs what the other has made? And in which order do the words travel?
#
# </details>

# %%
#| export
def transformer(params, config, src, tgt, rng=None, record=None):
    """Score, at every position of a target, every word that could come next.

    params: as init_transformer draws them. config: a TransformerConfig.
    src: (B, S), ids of the source. tgt: (B, T), ids of the target so far; both filled up with <PAD>.
    rng: for dropout; None means: not training.
    record: a dict that receives "encoder" and "decoder", each a dict of the weights by layer.
    Returns logits (B, T, n_tgt_vocab). Raises ValueError for ids that are not in the vocabulary, for sequences that
    are longer than config.max_length, and where shapes do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.
    """
    check_pair(config, src, tgt)
    src, tgt = np.asarray(src), np.asarray(tgt)
    source_table, target_table, W = tables_of(params, config)
    options = {"n_heads": config.n_heads, "pre_norm": config.pre_norm, "rate": config.dropout, "rng": rng,
               "activation": {"relu": relu, "gelu": gelu}[config.activation]}

    def embedded(ids, table):
        return dropout(embed_sequence(ids, table, config.scale_embeddings), config.dropout, rng)

    ### BEGIN SOLUTION
    source_mask = padding_mask(src, Vocabulary.pad_id)
    target_mask = combine_masks(causal_mask(tgt.shape[-1]), padding_mask(tgt, Vocabulary.pad_id))
    memory = encoder(embedded(src, source_table), params["encoder"], mask=source_mask, **options,
                     record=record_of(record, "encoder"))
    x = decoder(embedded(tgt, target_table), memory, params["decoder"], mask=target_mask, memory_mask=source_mask,
                **options, record=record_of(record, "decoder"))
    return linear(x, W, params["output"]["b"])
    ### END SOLUTION

# %%
check(transformer)

# %% [markdown]
# **Predict** the shape of the logits for two sources of 6 words and two targets of 5, with 35 target words in the
# vocabulary. Which of them change when the target's word 3 changes, and which when the source's last word does?
#
# Three things must hold, and where one of them does not, no shape tells. And any lengths must go together:

# %%
rng = np.random.default_rng(0)
small = TransformerConfig(n_src_vocab=30, n_tgt_vocab=35, d_model=16, n_heads=4, d_ff=32, n_encoder_layers=2,
                          n_decoder_layers=2)
drawn = init_transformer(rng, small)
src_2 = np.array([[5, 9, 7, 5, 11, 8], [6, 5, 0, 0, 0, 0]])
tgt_2 = np.array([[1, 20, 31, 20, 9], [1, 30, 7, 0, 0]])
logits = transformer(drawn, small, src_2, tgt_2)
print("logits", logits.shape, logits.dtype)

changed = dict(drawn)
for name in ("source_table", "target_table"):           # another vector for <PAD>
    changed[name] = drawn[name].copy()
    changed[name][Vocabulary.pad_id] = 7.0
other = transformer(changed, small, src_2, tgt_2)
print("what padding holds changes nothing:", np.array_equal(other[tgt_2 != 0], logits[tgt_2 != 0]))

future = tgt_2.copy()
future[:, 3:] = 12                                      # other words from position 3 on
other = transformer(drawn, small, src_2, future)
print("a later target word changes nothing before it:", np.array_equal(other[:, :3], logits[:, :3]))

changed = src_2.copy()
changed[0, -1] = 12                                     # another last word of the first source
other = transformer(drawn, small, changed, tgt_2)
print("the first output reads the last source word:", not np.allclose(other[0, 0], logits[0, 0], atol=1e-3))

shapes = {transformer(drawn, small, src_2[:, :S], tgt_2[:, :T]).shape for S in range(1, 7) for T in range(1, 6)}
print("lengths are free:", shapes == {(2, T, 35) for T in range(1, 6)})

# %% [markdown]
# Note what comes out: scores for every word, at *every* position of the target. **The model does not output words.**
# To choose one is our business, and section 4 is about it.
#
# ## 2. What it is asked
#
# In training the whole translation is known. The decoder is given it, and is asked at every position for the word that
# comes *next*. (That is called *teacher forcing*: whatever the model would have said, the teacher's word goes in.) The
# causal mask sees to it that nobody can look the answer up. So the target is needed twice: once without its last word,
# as what is given, and once without its first, as what is wanted.
#
# **Exercise 8.2.** Write `teacher_forcing_pair(ids)`. It takes ids (B, L), each row a sequence from `<START>` to
# `<END>`, then padding. It returns a tuple `(inputs, labels)`, both (B, L - 1): what the decoder is given, and the
# word that it should say at each position, which is the one that comes next. For `[[1, 7, 8, 2], [1, 9, 2, 0]]` that
# is `[[1, 7, 8], [1, 9, 2]]` and `[[7, 8, 2], [9, 2, 0]]`. It took us one line.

# %%
#| export training
def teacher_forcing_pair(ids):
    """Make of each sequence what the decoder is given, and what it should say: the same, one word later.

    ids: (B, L), whole numbers, L at least 2: from <START> to <END>, then padding.
    Returns (inputs, labels), both (B, L - 1). Raises ValueError where ids are something else.
    Source: Williams and Zipser, "A learning algorithm for continually running fully recurrent neural networks", 1989.
    """
    check_ids("ids", ids)
    if np.ndim(ids) != 2 or np.shape(ids)[1] < 2:
        raise ValueError(f"ids must be (B, L), L at least 2, from <START> to <END>; got shape {np.shape(ids)}")
    ids = np.asarray(ids)
    ### BEGIN SOLUTION
    return ids[:, :-1], ids[:, 1:]
    ### END SOLUTION

# %%
check(teacher_forcing_pair)

# %%
german = Vocabulary(" ".join(in_german(n) for n in range(1, 100)).split())
ids = german.encode([f"<START> {in_german(21)} <END>", f"<START> {in_german(7)} <END>"])
inputs, labels = teacher_forcing_pair(ids)
print("given ", german.decode(inputs))
print("wanted", german.decode(labels))
figures.shift_picture(german.decode(inputs[0]).split(), german.decode(labels[0]).split())

# %% [markdown]
# In the shorter row, `<END>` is among the inputs. That does no harm: what is wanted there is padding, and padding will
# not count.
#
# ## 3. How wrong it is
#
# Chapter 01 measured how wrong one answer is by the *surprise*, the negative logarithm of the probability that the
# right word was given. For a whole batch we take the mean over all words, and call it the **cross-entropy**. Two
# things are added. Padding must not count. And the paper does not ask for all of the probability at the right word: a
# share ε = 0.1 of the truth is spread evenly over all words. That is *label smoothing*; what it is good for, you will
# see below.
#
# **Exercise 8.3.** Write `cross_entropy(logits, targets, ignore_id=None, label_smoothing=0.0)`. It takes logits (...,
# n_vocab) and the right words' ids, targets (...). It returns one number; float32 logits give a float32.
#
# - At each position, the loss is the surprise at the right word (your `surprise` of chapter 01 took one sequence; here
#   the axes before the last are any): $-\log p$ of it, where $\log p$ is the `log_softmax` of the logits.
# - With `label_smoothing` = ε, the loss at a position is (1 - ε) times that surprise, plus ε times the mean of $-\log
#   p$ over *all* words.
# - The result is the mean over all positions, except those where the target is `ignore_id`: they count neither above
#   nor below the line.
#
# `cross_entropy(np.array([[2.0, 1.0, 0.1], [0.0, 0.0, 0.0]]), np.array([0, 2]))` gives 0.758, the mean of 0.417 and
# 1.099. With `ignore_id=2` it gives 0.417. It took us five lines.
#
# <details><summary>Hint: one score of each row</summary>
#
# `np.take_along_axis(a, places, axis=-1)` takes from each row of a the entries at `places`, which needs as many axes
# as a has: `[..., None]` adds one of size 1.
#
# </details>

# %%
#| export training
def cross_entropy(logits, targets, ignore_id=None, label_smoothing=0.0):
    """The mean surprise at the right words, in nats.

    logits: (..., n_vocab). targets: (...), ids of the right words. ignore_id: an id that does not count: padding.
    label_smoothing: the share of the truth that is spread evenly over all words, at least 0, below 1.
    Returns a number. Raises ValueError where shapes do not fit, an id is not in the vocabulary, or nothing counts.
    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, section 7 (smoothing).
    """
    check_targets(logits, targets, ignore_id, label_smoothing)
    targets = np.asarray(targets)
    ### BEGIN SOLUTION
    log_p = log_softmax(logits)
    loss = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * np.mean(log_p, axis=-1)
    return np.mean(loss[targets != ignore_id])
    ### END SOLUTION

# %%
check(cross_entropy)

# %% [markdown]
# **Predict.** The German vocabulary has 33 words. What is the loss of a model that knows nothing, and gives each word
# the same probability? And that of one with random weights?

# %%
numbers = np.arange(1, 100)
english = Vocabulary(" ".join(in_english(n) for n in range(1, 100)).split())
src = english.encode([in_english(int(n)) for n in numbers])
tgt = german.encode([f"<START> {in_german(int(n))} <END>" for n in numbers])
D = 384
config = TransformerConfig(len(english), len(german), d_model=D, n_heads=4, d_ff=768, n_encoder_layers=2,
                           n_decoder_layers=2, max_length=8, activation="gelu", pre_norm=True, dropout=0.0)
params = init_transformer(np.random.default_rng(0), config)
inputs, labels = teacher_forcing_pair(tgt)
silent = params | {"output": {"W": 0 * params["output"]["W"], "b": params["output"]["b"]}}      # all scores are 0
print(f"ln {len(german)} = {np.log(len(german)):.3f}")
others = [init_transformer(np.random.default_rng(seed), config) for seed in (1, 2)]
for name, p in (("knows nothing", silent), *(("random weights", p) for p in (params, *others))):
    print(f"{name:15} {cross_entropy(transformer(p, config, src, inputs), labels, Vocabulary.pad_id):.3f}")

# %% [markdown]
# ln n_vocab for the one that knows nothing. Those with random weights are somewhat worse: their scores differ, and for
# no reason. That is a good first test of every model you will ever train. Before any training the loss lies at ln
# n_vocab, or above it by a nat or two. If it lies far above, the scores are too large. If it lies below, something
# gives the answers away.
#
# And label smoothing? Of four words, the right one has the score 2, 4, 8 or 16, the others 0. **Predict** at which of
# the four scores the loss with ε = 0.1 is lowest.

# %%
scores = np.array([[s, 0.0, 0.0, 0.0] for s in (2, 4, 8, 16)])
print("score of the right word", *(f"{s[0]:7.0f}" for s in scores))
print("its share              ", *(f"{s[0]:7.1%}" for s in softmax(scores)))
for e in (0.0, 0.1):
    print(f"loss, smoothing {e}    ", *(f"{cross_entropy(s, np.array(0), label_smoothing=e):7.3f}" for s in scores))

# %% [markdown]
# Without smoothing, surer is better. With it, a share of 95% costs least of the four, and more than that is punished.
#
# ## 4. Word by word
#
# Now let it write. Begin with `<START>`. Ask for scores, take the best word, write it down, ask again. That is
# **greedy decoding**.
#
# **Exercise 8.4.** Write `greedy_decode(model, src, max_length)`. `model` is a function: `model(src, tgt)` returns
# logits (B, T, n_vocab) for src (B, S) and tgt (B, T).
#
# - Begin every target with `<START>` alone.
# - Ask the model; of the scores at the *last* position take the best word of each row (`argmax`) and add it to that
#   row.
# - Go on until every row has its `<END>`, or `max_length` words have been added. So the longest target that the model
#   is asked about has `max_length` ids, `<START>` among them; some models take no more.
# - What comes after a row's `<END>` is `<PAD>`, whatever the model says. A `<PAD>` that the model says does not end a
#   row.
# - Return the ids (B, n) that were added, `<END>` among them and without `<START>`; n is as small as the longest row
#   allows.
#
# Special ids: `Vocabulary.start_id`, `Vocabulary.end_id`, `Vocabulary.pad_id`. It took us eight lines.
#
# <details><summary>Hint: a row that has ended</summary>
#
# Keep an array `done` of bools, one for each row, and let `np.where` put `<PAD>` where it is true.
#
# </details>

# %%
#| export
def greedy_decode(model, src, max_length):
    """Write a target for each source: always the likeliest next word.

    model: a function of src (B, S) and tgt (B, T) that returns logits (B, T, n_vocab).
    src: (B, S), ids. max_length: the most words that are written.
    Returns ids (B, n), n at most max_length: each row without <START>, to its <END>, then <PAD>.
    Raises ValueError where src is not a batch, or max_length is below 1.
    """
    check_batch("src", src)
    check_count("max_length", max_length)
    ### BEGIN SOLUTION
    ids = np.full((len(src), 1), Vocabulary.start_id)
    done = np.zeros(len(src), dtype=bool)
    while ids.shape[1] <= max_length and not done.all():
        word = np.argmax(model(src, ids)[:, -1], axis=-1)
        word = np.where(done, Vocabulary.pad_id, word)
        ids = np.hstack([ids, word[:, None]])
        done = done | (word == Vocabulary.end_id)
    return ids[:, 1:]
    ### END SOLUTION

# %%
check(greedy_decode)

# %% [markdown]
# ### Does it translate?
#
# The weights are random; training comes in chapter 10. But one part of them can be fitted in one step: the last
# matrix, by *least squares* (the squared errors add up to least), on vectors that the decoder makes under teacher
# forcing. (With the identity as its last matrix, the model hands these vectors out.) Twenty of the numbers that take
# two English words are kept out of the fit. **Predict:** how many of the twenty will it translate without a mistake,
# writing freely?

# %%
two_words = numbers[(numbers > 20) & (numbers % 10 > 0)]
kept_out = np.isin(numbers, np.random.default_rng(0).permutation(two_words)[:20])

def fit(given, wanted):
    """The parameters with the last matrix that fits best: 10 for the right word, 0 for the others."""
    eye, n_vocab = np.eye(D, dtype=np.float32), len(german)
    open_end = params | {"output": {"W": eye, "b": np.zeros(D, np.float32)}}
    x = transformer(open_end, config, src[~kept_out], given[~kept_out])
    counts = wanted[~kept_out] != Vocabulary.pad_id
    X, Y = x[counts], 10 * np.eye(n_vocab, dtype=np.float32)[wanted[~kept_out][counts]]
    W = np.linalg.solve(X.T @ X + 3 * eye, X.T @ Y)     # with a penalty of 3 on large W
    return params | {"output": {"W": W, "b": np.zeros(n_vocab, np.float32)}}

def model(src, tgt):
    return transformer(fitted, config, src, tgt)

inputs, labels = teacher_forcing_pair(tgt)
fitted = fit(inputs, labels)
written = german.decode(greedy_decode(model, src, 8))
right = np.array([text == f"{in_german(int(n))} <END>" for n, text in zip(numbers, written, strict=True)])
loss = cross_entropy(model(src[kept_out], inputs[kept_out]), labels[kept_out], Vocabulary.pad_id)
print(f"never seen: {right[kept_out].sum()} of 20 written without a mistake; the loss is {loss:.3f}")
print(f"seen in the fit: {right[~kept_out].sum()} of 79")

# %% [markdown]
# It translates numbers that it has never seen. Each of their words it has seen in others; at each step it has to find
# out which of them comes next, from what is written and from what is in the source. *One* matrix does that. The rest
# has learned nothing: it is a random machine that mixes what has been written with what is in the source, so richly
# that a single matrix can read the next word off. (Chapter 10 trains all of it.)
#
# Watch it write. The bars are the shares of the likeliest next words. The shares of all steps come out of one run: the
# model scores every position.

# %%
fitted = fit(*teacher_forcing_pair(tgt))                # once more, so that this cell needs no other

def write(text):
    """What the model says at each step of writing: the words so far, and the share of every next word."""
    source = english.encode([text])
    ids = greedy_decode(model, source, 8)[0]
    begun = np.array([Vocabulary.start_id, *ids[:-1]])
    shares = softmax(model(source, begun[None]))[0]
    return [(german.decode(begun[:t + 1]).split(), dict(zip(german.words, shares[t].tolist(), strict=True)))
            for t in range(len(ids))]

figures.writing_widget(write, [in_english(int(n)) for n in numbers[kept_out]])

# %% [markdown]
# ### Break it: no shift
#
# What if the decoder is given at each position the very word that it should say? You know from chapter 07 what becomes
# of the loss. **Predict** the first word that it writes, and the second.

# %%
_, labels = teacher_forcing_pair(tgt)
cheat = fit(labels, labels)
loss = cross_entropy(transformer(cheat, config, src[kept_out], labels[kept_out]), labels[kept_out], Vocabulary.pad_id)
written = greedy_decode(lambda src, tgt: transformer(cheat, config, src, tgt), src[kept_out], 8)
print(f"loss {loss:.3f}, and it writes:", *german.decode(written)[:3], sep="\n")
print(sum(len(set(text.split())) == 1 for text in german.decode(written)), "of 20 repeat one word to the end")

# %% [markdown]
# The better loss, and a model that cannot write. It has learned to repeat what it is given. `<START>` was never among
# its inputs, so the first word is an accident; all others repeat it. A loss says how well a question is answered, not
# whether it was the right question.
#
# ### Is greedy likeliest?
#
# Take a small language in which we know the probability of every sentence. The first word is *a* (60%) or *one* (40%).
# After *a* come *cat* (40%), *dog* (35%) or *bird* (25%); after *one* comes *whale* (90%) or *cat* (10%). The cell has
# the third words. **Predict** what greedy decoding writes, and with which word the likeliest sentence begins.

# %%
shares = {(): {"a": 0.6, "one": 0.4},
          ("a",): {"cat": 0.4, "dog": 0.35, "bird": 0.25}, ("one",): {"whale": 0.9, "cat": 0.1},
          ("a", "cat"): {"sat": 0.6, "ran": 0.4}, ("a", "dog"): {"ran": 0.7, "sat": 0.3},
          ("a", "bird"): {"sang": 0.8, "sat": 0.2}, ("one", "whale"): {"sang": 0.9, "ran": 0.1},
          ("one", "cat"): {"sat": 1.0}}
words = Vocabulary(word for branch in shares.values() for word in branch)

def tree(src, tgt):
    """The tree as a model: the logarithms of the shares as logits. It does not look at src."""
    logits = np.full((*tgt.shape, len(words)), -30.0)
    for row, ids in zip(logits, tgt, strict=True):
        begun = tuple(words.words[i] for i in ids[1:])
        for word, share in shares.get(begun, {"<END>": 1.0}).items():
            row[-1, words.ids[word]] = np.log(share)
    return logits

anything = np.array([[4]])
greedy = tuple(words.decode(greedy_decode(tree, anything, 5)[0]).split()[:-1])
sentences = {(a, b, c): shares[()][a] * shares[a,][b] * shares[a, b][c]
             for a in shares[()] for b in shares[a,] for c in shares[a, b]}
best = max(sentences, key=sentences.get)
for name, sentence in (("greedy", greedy), ("likeliest", best)):
    print(f"{name:9} {' '.join(sentence):15} {sentences.get(sentence, 0):.3f}")
figures.tree_picture(shares, greedy, best)

# %% [markdown]
# Greedy decoding takes the best first word, and then has to live with it. To find the likeliest of *all* sentences,
# one would have to try all of them. **Beam search** is the compromise: it keeps the `width` best beginnings and
# continues all of them. It is given here; follow it once from top to bottom. By hand, on the tree, with width 2:
#
# | words | kept, with their probabilities | dropped |
# |---|---|---|
# | 1 | a 0.60, one 0.40 | |
# | 2 | one whale 0.36, a cat 0.24 | a dog 0.21, a bird 0.15, one cat 0.04 |
# | 3 | one whale sang 0.324, a cat sat 0.144 | a cat ran 0.096, one whale ran 0.036 |
#
# Long sentences multiply more probabilities, and so look worse than short ones. Wu et al. (2016) divide the
# log-probability by a power of the length, $((5 + n) / 6)^\alpha$; by that score the ends are compared.

# %%
#| export
def beam_search(model, src, max_length, width=4, length_penalty=0.6):
    """Write a target for each source: follow the `width` best beginnings at once, and keep what ends best.

    model, src, max_length: as in greedy_decode. width: 1 is greedy.
    length_penalty: a target of n words, <END> among them, that has the log-probability log p scores
    log p / ((5 + n) / 6)**length_penalty; with 0 every word costs. One that is cut off at max_length counts as ended.
    Returns (ids, scores): ids (B, n) as in greedy_decode, and the score of each, (B,), float64: never below that of
    what greedy_decode writes. Raises ValueError where src is not a batch, or a number is out of its range.
    Source: Wu et al., "Google's neural machine translation system", 2016, section 7; the defaults: Vaswani et al.,
    "Attention is all you need", 2017, section 6.1.
    """
    check_batch("src", src)
    check_count("max_length", max_length)
    check_count("width", width)
    check_at_least_0("length_penalty", length_penalty)
    found = [best_ends(model, src, max_length, w, length_penalty) for w in {1, width}]
    scores = np.array([scores for _, scores in found])
    best = [found[k][0][row] for row, k in enumerate(np.argmax(scores, axis=0))]
    n = max(map(len, best))
    return np.array([[*ids, *[Vocabulary.pad_id] * (n - len(ids))] for ids in best]), np.max(scores, axis=0)


def best_ends(model, src, max_length, width, length_penalty):
    """For each source, of all targets that end in a beam, the one with the best score. Returns (B lists, scores)."""
    B, rows = len(src), np.arange(len(src))[:, None]
    ids = np.full((B, width, 1), Vocabulary.start_id)
    log_p = np.where(np.arange(width) == 0, np.zeros((B, width)), -np.inf)      # the others are not there yet
    best, scores = [[]] * B, np.full(B, -np.inf)
    for n in range(1, max_length + 1):
        logits = model(np.repeat(src, width, axis=0), ids.reshape(B * width, n))[:, -1]
        step = log_softmax(logits.astype(np.float64)).reshape(B, width, -1)
        total = (log_p[..., None] + step).reshape(B, -1)
        chosen = np.argsort(-total, axis=-1, kind="stable")[:, :width]          # of equal length: no penalty yet
        beginning, word = np.divmod(chosen, step.shape[-1])
        ids = np.concatenate([ids[rows, beginning], word[..., None]], axis=-1)
        log_p = np.take_along_axis(total, chosen, axis=-1)
        score, ended = log_p / ((5 + n) / 6) ** length_penalty, (word == Vocabulary.end_id) | (n == max_length)
        for row, k in np.argwhere(ended):
            if score[row, k] > scores[row]:
                best[row], scores[row] = ids[row, k, 1:], score[row, k]
        hope = log_p / ((5 + max_length) / 6) ** length_penalty                 # no more words can bring more
        log_p = np.where(ended | (hope <= scores[:, None]), -np.inf, log_p)
        if np.isneginf(log_p).all():
            break
    return best, scores

# %%
for width in (1, 2, 3):
    ids, scores = beam_search(tree, anything, 5, width, length_penalty=0)
    print(f"width {width}: {words.decode(ids)[0]:22} probability {np.exp(scores[0]):.3f}")

# %% [markdown]
# Width 1 is greedy. Width 2 finds the likeliest here. No width short of trying everything is sure to. A wider beam may
# even end with a worse sentence: a beginning that looks better for a while can push out the one that ends better. So
# ours searches with width 1 as well, and returns what scores best.
#
# And the length? **Predict** at which α six words with probability 0.20 overtake two words with 0.30.

# %%
for alpha in (0.0, 0.6, 1.0):
    score = {n: float(np.log(p) / ((5 + n) / 6) ** alpha) for n, p in ((2, 0.30), (6, 0.20))}
    print(f"alpha {alpha}: two words {score[2]:.3f}, six words {score[6]:.3f}")

# %% [markdown]
# A larger α favors longer sentences. 0.6 is the paper's choice.
#
# ## 5. What you built, on something real
#
# The model as one object: config and parameters together, with everything that one does with them. What any model can
# do stands in `support/models.py`: `n_parameters`, a `summary()`, `save(path)` and `load(path)`. The file holds numbers
# and the config, and no code, so that opening a stranger's file runs nothing.

# %%
#| export
class Transformer(Model):
    """A Transformer: a config and its parameters, in one object that scores, writes, and can be saved.

    config: a TransformerConfig. params: as init_transformer draws them for it.
    Raises ValueError where an array is missing, is not in the config, or has another shape.
    """
    config_class, draw = TransformerConfig, staticmethod(init_transformer)

    def __call__(self, src, tgt, rng=None, record=None):
        """Logits (B, T, n_tgt_vocab) for the ids src (B, S) and tgt (B, T); see transformer."""
        return transformer(self.params, self.config, src, tgt, rng, record)

    def greedy_decode(self, src, max_length=None):
        """Write a target for each source; see greedy_decode. max_length: the config's if None."""
        return greedy_decode(self, src, self._limit(max_length))

    def beam_search(self, src, max_length=None, width=4, length_penalty=0.6):
        """Write a target for each source; see beam_search. max_length: the config's if None."""
        return beam_search(self, src, self._limit(max_length), width, length_penalty)

    def _limit(self, max_length):
        """max_length, or the config's where it is None; an error where it is more than that."""
        if max_length is None:
            return self.config.max_length
        check_length("max_length", max_length, self.config.max_length)
        return max_length

# %%
fitted = fit(*teacher_forcing_pair(tgt))                # once more, so that this cell needs no other
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "numbers.npz")
    Transformer(config, fitted).save(path)
    translator = Transformer.load(path)
    with np.load(path) as file:
        print(f"{path.stat().st_size / 1e6:.1f} MB:", *file.files[:4], "...")
print("the same logits:", np.array_equal(translator(src, tgt), model(src, tgt)))
for text in (in_english(int(n)) for n in numbers[kept_out][:2]):
    source = english.encode([text])
    ids, scores = translator.beam_search(source)
    print(text, "->", german.decode(translator.greedy_decode(source))[0], "| beam:", german.decode(ids)[0])

# %% [markdown]
# | | what it does | returns |
# |---|---|---|
# | `transformer(params, config, src, tgt)` | encoder, decoder, last matrix | logits (B, T, n_tgt_vocab) |
# | `teacher_forcing_pair(ids)` | the same sequence, one word apart | inputs, labels |
# | `cross_entropy(logits, targets)` | the mean surprise at the right words | a number |
# | `greedy_decode(model, src, max_length)` | word by word, always the likeliest | ids (B, n) |
#
# ### Trained weights
#
# The model above learned with one matrix of many. Here is one whose 24,451 parameters were all trained, as you will do
# it in chapter 10: numbers from 1 to 999, of which 200 were never shown. Its weights come from a file; the code that
# they run on is yours, with `begin("08", mine=True)`. **Predict:** how many of the 200 does it translate without a
# mistake?

# %%
from scratchformer_lib.course.weights import translator as trained_translator

trained, trained_english, trained_german, never_seen = trained_translator()
texts = [in_english(n) for n in never_seen]
ids = trained.greedy_decode(trained_english.encode(texts))
right = [text == f"{in_german(n)} <END>" for n, text in zip(never_seen, trained_german.decode(ids), strict=True)]
print(f"{trained.n_parameters:,} parameters; {np.mean(right):.1%} of {len(right)} numbers never seen")
for n in (42, 761, 999):
    print(in_english(n), "->", trained_german.decode(trained.greedy_decode(trained_english.encode([in_english(n)])))[0])

# %% [markdown]
# And now the real one. The base model of the paper has 6 and 6 layers, D = 512, 8 heads, F = 2,048, and one shared and
# tied table of about 37,000 pieces of words. All but the vocabulary and the table are the defaults of the config:

# %%
paper = TransformerConfig(37000, 37000, shared_embeddings=True, tied_output=True)
base = Transformer.random(paper, np.random.default_rng(0))
print(base.summary())

ids = np.random.default_rng(1).integers(4, 37000, (2, 12))
inputs, labels = teacher_forcing_pair(ids)
print("logits", base(ids, inputs).shape, "  a first loss of", cross_entropy(base(ids, inputs), labels).round(2))
print("ln 37000 =", np.log(37000).round(2))

# %% [markdown]
# The first loss is near ln 37,000, and a little above it, as it should be.
#
# 63.1 million. The paper's table 3 says 65 million; it does not say how they were counted, nor the exact size of the
# vocabulary. **Your code is that model.** What it lacks is training: texts, and something that tells for each of 63
# million numbers whether the loss falls when it grows. That something is the next chapter.
#
# ### Test yourself
#
# <details><summary>Why is the padding mask of the source used twice?</summary>
#
# Source words must not look at the source's padding (in the encoder), and target words must not either (in the
# cross-attention).
#
# </details>
# <details><summary>A model is trained on German sentences of up to 12 words. What could go wrong at the 13th?</summary>
#
# Positions that it has never seen. The sinusoids have a value for every position, but nothing has been learned about
# that one (chapter 02).
#
# </details>
# <details><summary>Greedy decoding runs the decoder on all that is written, for every word. Is that needed?</summary>
#
# No, twice over. `model(src, ids)` also reads the source again for every word, though the memory never changes: it
# could be kept. And under the causal mask the vectors of earlier target positions do not change, so their keys and
# values could be kept. Chapter 12 does the latter.
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017: you can now read sections 3 and 6.1. Table 3 has the sizes;
#   section 5, the training, comes with chapter 10.
# - Wu et al., "Google's neural machine translation system", 2016, section 7: beam search with a length penalty.
# - Press and Wolf, "Using the output embedding to improve language models", 2017: tied tables.
#
# `progress()` in a new cell shows the map. Next comes [chapter 09](09_gradients.ipynb): gradients.
