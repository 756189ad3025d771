# %% [markdown]
# # 07 · The decoder: a stack that writes
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/07_decoder.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/07_decoder.ipynb)
# <!-- /badges -->
#
# **The question: how can one sequence be written while another one is read?**
#
# At the end you will have written the decoder, the half of the Transformer that writes. Its words look back at each
# other, and across at what the encoder has read. With weights set by hand, your cross-attention translates numbers
# from English to German, where the words change places. And you will have written the test that catches a decoder that
# cheats.
#
# Four exercises, about 60 minutes. You need the encoder from [chapter 06](06_encoder.ipynb).

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

begin("07")

# %%
#| given
#| default_exp decoder
#| export
import numpy as np

from scratchformer_lib.attention import causal_mask, padding_mask, scaled_dot_product_attention
from scratchformer_lib.block import (
    dropout,
    feed_forward,
    gelu,
    init_feed_forward,
    init_layer_norm,
    layer_norm,
    relu,
)
from scratchformer_lib.course.figures import chapter_07 as figures
from scratchformer_lib.embeddings import Vocabulary, init_embedding
from scratchformer_lib.encoder import embed_sequence, encoder, init_encoder, layers_of, record_of
from scratchformer_lib.multi_head import init_multi_head, multi_head_attention
from scratchformer_lib.support.arguments import check_count, check_decoder_layer, check_stack
from scratchformer_lib.support.number_words import in_english, in_german

# %% [markdown]
# ## 1. Two sequences
#
# English and German write numbers in different orders: *forty two* is *zwei und vierzig*, two and forty. Whoever
# writes the German has to look back and forth in the English:
#
# | place | is written | after reading |
# |---|---|---|
# | 0 | zwei | *two*, the second word |
# | 1 | und | (goes with every such number) |
# | 2 | vierzig | *forty*, the first word |
# | 3 | `<END>` | nothing more |
#
# In chapters 05 and 06 a sequence looked at itself. Here the words of one sequence, the **target**, look at those of
# another, the **source**: the *cross-attention* of chapter 04. The formula is the one you know; only the rows that go
# into it come from two places.
#
# By hand, with one number each: the target has the rows 1 and 2, the source the rows 10, 20 and 30, and the three
# matrices are 1. Then the queries are 1 and 2; keys and values are 10, 20, 30. The scores are 10, 20, 30 for the first
# query and 20, 40, 60 for the second. Softmax gives nearly all to the last key, so both queries bring home 30.
#
# **Exercise 7.1.** Write `cross_attention_inputs(target, source, W_Q, W_K, W_V)`. It takes target (..., T, D), the
# words that are being written, and source (..., S, D_source), the words that are being read; the W's have as many rows
# as the sequence they are applied to has columns. It returns a tuple `(q, k, v)`: whoever asks gives the queries;
# whoever is asked gives the keys, by which it is found, and the values, which are what it hands over.
# `cross_attention_inputs(np.ones((4, 3)), np.ones((2, 5)), np.ones((3, 6)), np.ones((5, 6)), np.ones((5, 7)))` gives
# arrays of shapes (4, 6), (2, 6) and (2, 7). It took us one line.

# %%
def cross_attention_inputs(target, source, W_Q, W_K, W_V):
    """Make what attention takes, where one sequence reads another.

    target: (..., T, D), the words that read. source: (..., S, D_source), the words that are read.
    W_Q: (D, d_k). W_K: (D_source, d_k). W_V: (D_source, d_v).
    Returns (q, k, v): (..., T, d_k), (..., S, d_k) and (..., S, d_v).
    """
    ### BEGIN SOLUTION
    return target @ W_Q, source @ W_K, source @ W_V
    ### END SOLUTION

# %%
check(cross_attention_inputs)

# %% [markdown]
# **Predict.** A target of 4 words reads a source of 2. What shape have the weights, and along which axis do they add
# up to 1?

# %%
one = np.ones((1, 1))
by_hand = cross_attention_inputs(np.array([[1.0], [2.0]]), np.array([[10.0], [20.0], [30.0]]), one, one, one)
print("by hand:", scaled_dot_product_attention(*by_hand)[0].round(2).tolist())

rng = np.random.default_rng(0)
target, source = rng.standard_normal((4, 3)), rng.standard_normal((2, 5))
matrices = [rng.standard_normal(shape) for shape in ((3, 6), (5, 6), (5, 7))]
output, weights = scaled_dot_product_attention(*cross_attention_inputs(target, source, *matrices))
print("weights", weights.shape, "  output", output.shape)
print("each row adds up to", weights.sum(axis=-1))

# %% [markdown]
# A row for each word that reads, a column for each word that is read: (T, S). The output has the target's length and
# the values' width.
#
# ### A translator with weights set by hand
#
# Your function is enough to translate. A source word's row says of what kind it is (tens, ones), then which of 17
# words it is. A target word's row says only its place, 0 to 3. Then
#
# - the query is the kind that a place looks for: place 0 asks for ones, place 2 for tens, the others for nothing;
# - the key is the word's kind;
# - the value is the German word, looked up in a dictionary;
# - what a place says by itself, *und* or `<END>`, is added, as a residual connection would.

# %%
tens = [in_english(n) for n in range(20, 100, 10)]
ones = [in_english(n) for n in range(1, 10)]
words = tens + ones
german_words = [in_german(n) for n in range(20, 100, 10)]
# "ein", as it stands before "und", not "eins"
german_words += [in_german(20 + n).split()[0] for n in range(1, 10)]
german_words += ["und", "<END>"]

# what each of the four places looks for, as (tens, ones); 30 makes it sharp
W_Q = 30 * np.array([[0, 1], [0, 0], [1, 0], [0, 0]])
# of what kind a source word is: the first two of its 19 numbers
W_K = np.eye(19, 2)
# which word it is: the other 17, in the order of the German words
W_V = np.eye(19, 19, k=-2)
# und and <END> come by themselves, with more than the 0.5 of a word that has half of the weight
by_itself = np.zeros((4, 19))
by_itself[1, 17] = by_itself[3, 18] = 2


def read(n):
    """Translate a number: its English words, its German words, and the weights, (4, 2)."""
    english = in_english(n).split()
    source = np.array([[word in tens, word in ones, *(word == w for w in words)] for word in english], dtype=float)
    q, k, v = cross_attention_inputs(np.eye(4), source, W_Q, W_K, W_V)
    output, weights = scaled_dot_product_attention(q, k, v)
    return english, [german_words[i] for i in (output + by_itself).argmax(axis=-1)], weights


numbers = [n for n in range(21, 100) if n % 10]
right = [read(n)[1] == [*in_german(n).split(), "<END>"] for n in numbers]
print(*read(42)[0], "->", *read(42)[1])
print(sum(right), "of", len(right), "right")

# %%
figures.cross_widget(read, numbers)

# %% [markdown]
# Move the slider over the German words. The reading jumps: first to the second English word, then to the first. *und*
# asks for nothing, so it looks at both alike, and what it gets is too weak against what it says by itself.
#
# Attention came into translation this way: Bahdanau, Cho and Bengio (2015) let a recurrent network that writes look
# back at the sentence that it translates. The Transformer kept this part, and gave the recurrent networks up.
#
# The place alone is a poor thing to ask by. **Predict** what it writes for *seven*.

# %%
print(*read(7)[0], "->", *read(7)[1])

# %% [markdown]
# Each place reads *seven* with all its weight: the weights of a query add up to 1, so it cannot come back with
# nothing. And it writes four words whatever it reads, since a place does not know what has been written. So before a
# target word reads the source, it looks back at the target.
#
# ## 2. The layer
#
# A decoder layer has three parts, one more than the block: words of the target look back at each other, then at the
# source, then each thinks by itself. Each part adds to the stream. (The layer looks back because of the mask that it
# is given: a causal one. With `mask=None` every target word sees all others.)

# %%
figures.layer_picture()

# %% [markdown]
# What is read is again called the *memory*; here it is the output of the encoder, one vector for every source word.
# Write $M$ for it, and $x$ for the target. With post-norm, as in the paper:
#
# $$x \leftarrow \text{norm}_1(x + \text{attention}(x, x))$$
# $$x \leftarrow \text{norm}_2(x + \text{attention}(x, M))$$
# $$x \leftarrow \text{norm}_3(x + \text{feed-forward}(x))$$
#
# where the first argument of attention asks, and the second is asked. With pre-norm, the norms move to the entrances:
# $x \leftarrow x + \text{attention}(\text{norm}_1(x), \text{norm}_1(x))$, and so on. Attention stands here for
# `multi_head_attention`, whose first lines are your `cross_attention_inputs`, with its own three matrices for each of
# the two attentions.
#
# **Exercise 7.2.** Finish `decoder_layer`. Three helpers are written for you. `attend` and `think` take care of
# dropout, so drop nothing yourself:
#
# - `attend(x, memory, part, mask)`: what attention brings, with the parameters `params[part]`; x asks, and memory is
#   asked.
# - `think(x)`: what the feed-forward brings.
# - `norm(x, name)`: layer_norm with the parameters `params[name]`.
#
# Three times, something is brought and added: first "self_attention", where x looks at itself under `mask`; then
# "cross_attention", where x looks at `memory` under `memory_mask`; then the feed-forward. The norms are "norm_1",
# "norm_2" and "norm_3", in this order. With post-norm (`pre_norm=False`) each sum is normalized. With pre-norm, what
# goes into each part is normalized, and the sums are not; `memory` is left as it is, because the encoder ends in a
# norm of its own. It took us eight lines.
#
# <details><summary>Hint</summary>
#
# Begin with post-norm: three lines, one for each arrow of the formula. Each takes the x of the line before.
#
# </details>
# <details><summary>Hint: pre-norm</summary>
#
# In self-attention the normalized x is both asker and asked, so it is worth a name. What is *added to* is always the x
# that was not normalized.
#
# </details>

# %%
#| export
def decoder_layer(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                  rng=None, record=None):
    """Let target words look back at each other, then at the source, then think; each time, add what comes out.

    x: (..., T, D), the target. memory: (..., S, D_memory), what the encoder made of the source.
    params: a dict of "self_attention", "norm_1", "cross_attention", "norm_2", "feed_forward" and "norm_3", as
    init_decoder_layer draws it. n_heads: H.
    mask: which target words a target word may look at, (T, T) or (..., H, T, T), the axes before T also of size 1.
    memory_mask: the same for source words, (T, S) or (..., H, T, S). activation: relu or gelu.
    pre_norm: normalize what goes into each part, instead of each sum.
    rate, rng: of the dropout on what each part adds.
    record: a dict that receives the weights, "self_attention" (..., H, T, T) and "cross_attention" (..., H, T, S).
    Returns (..., T, D). Raises ValueError where shapes do not fit.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.1; pre-norm: Xiong et al., "On layer
    normalization in the Transformer architecture", 2020.
    """
    check_decoder_layer(x, memory, params, n_heads, mask, memory_mask, rate)

    def attend(x, memory, part, mask):
        output, weights = multi_head_attention(x, memory, **params[part], n_heads=n_heads, mask=mask)
        if record is not None:
            record[part] = weights
        return dropout(output, rate, rng)

    def think(x):
        return dropout(feed_forward(x, **params["feed_forward"], activation=activation), rate, rng)

    def norm(x, name):
        return layer_norm(x, **params[name])

    ### BEGIN SOLUTION
    if pre_norm:
        y = norm(x, "norm_1")
        x = x + attend(y, y, "self_attention", mask)
        x = x + attend(norm(x, "norm_2"), memory, "cross_attention", memory_mask)
        return x + think(norm(x, "norm_3"))
    x = norm(x + attend(x, x, "self_attention", mask), "norm_1")
    x = norm(x + attend(x, memory, "cross_attention", memory_mask), "norm_2")
    return norm(x + think(x), "norm_3")
    ### END SOLUTION

# %%
check(decoder_layer)

# %%
#| export
def init_decoder_layer(rng, d_model, n_heads, d_ff, d_k=None, d_v=None):
    """Draw the parameters of decoder_layer.

    rng: a np.random.Generator. d_model: D. n_heads: H. d_ff: F. d_k, d_v: sizes of a head; D / H if None.
    Returns a dict of "self_attention", "norm_1", "cross_attention", "norm_2", "feed_forward" and "norm_3", each a dict
    of float32 arrays. Raises ValueError where d_model is not divisible by n_heads and d_k or d_v is missing.
    """
    return {"self_attention": init_multi_head(rng, d_model, n_heads, d_k, d_v), "norm_1": init_layer_norm(d_model),
            "cross_attention": init_multi_head(rng, d_model, n_heads, d_k, d_v), "norm_2": init_layer_norm(d_model),
            "feed_forward": init_feed_forward(rng, d_model, d_ff), "norm_3": init_layer_norm(d_model)}

# %% [markdown]
# ## 3. The stack
#
# Every layer of the decoder reads the *same* memory: the encoder's last output. Each looks at it with matrices of its
# own.
#
# **Exercise 7.3.** Write `decoder(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False,
# activation=gelu, rate=0.0, rng=None, record=None)`. It takes x (..., T, D) and memory (..., S, D_memory), and returns
# (..., T, D). It is built like your `encoder`:
#
# - `layers_of(params)` gives the layers in order, as pairs of a name and a dict of parameters.
# - What one layer returns, the next one takes as its x. The memory is the same for all of them.
# - Each layer is called with everything that `decoder` was given: `decoder_layer(x, memory, params, n_heads, mask,
#   memory_mask, pre_norm, activation, rate, rng, record)`, where `params` and `record` are the layer's own.
# - Where `record` is a dict, the layer's part of it is `record_of(record, name)`, which is handed to the layer.
# - If `pre_norm` is true, `layer_norm` with `params["norm"]` comes at the end.
#
# It took us four lines.

# %%
#| export
def decoder(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
            rng=None, record=None):
    """Send a target sequence through a stack of layers, each of which reads the source.

    x: (..., T, D), the target. memory: (..., S, D_memory), what the encoder made of the source.
    params: a dict of "layer_1", "layer_2" and so on, and of "norm" for pre-norm; see init_decoder.
    n_heads, mask, memory_mask, pre_norm, activation, rate, rng: as in decoder_layer.
    record: a dict that receives, by layer, a dict of "self_attention" (..., H, T, T) and "cross_attention"
    (..., H, T, S).
    Returns (..., T, D): a vector for every position of the target. Raises ValueError where shapes do not fit, or where
    a layer or the norm is missing.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.1; the final norm: Xiong et al., "On layer
    normalization in the Transformer architecture", 2020.
    """
    check_stack(params, pre_norm)
    ### BEGIN SOLUTION
    for name, layer in layers_of(params):
        x = decoder_layer(x, memory, layer, n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                          record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x
    ### END SOLUTION

# %%
check(decoder)

# %%
#| export
def init_decoder(rng, n_layers, d_model, n_heads, d_ff, d_k=None, d_v=None, pre_norm=False):
    """Draw the parameters of decoder.

    rng: a np.random.Generator. n_layers: at least 1. d_model: D. n_heads: H. d_ff: F.
    d_k, d_v: sizes of a head; D / H if None. pre_norm: add a final norm.
    Returns a dict of "layer_1", "layer_2" and so on, as init_decoder_layer draws them, and for pre-norm of "norm".
    Raises ValueError for sizes below 1, or where d_model is not divisible by n_heads and d_k or d_v is missing.
    """
    check_count("n_layers", n_layers)
    layers = {f"layer_{i + 1}": init_decoder_layer(rng, d_model, n_heads, d_ff, d_k, d_v) for i in range(n_layers)}
    return layers | ({"norm": init_layer_norm(d_model)} if pre_norm else {})

# %% [markdown]
# Three numbers, not all of one length. An encoder with random weights reads them, and a decoder with random weights
# reads what it makes. **Predict** the shapes of the weights, with B = 3, H = 4, T = 5 and S = 2.

# %%
texts = [(in_english(n), f"<START> {in_german(n)} <END>") for n in (21, 7, 40)]
english = Vocabulary(" ".join(source for source, _ in texts).split())
german = Vocabulary(" ".join(target for _, target in texts).split())
src, tgt = english.encode([source for source, _ in texts]), german.encode([target for _, target in texts])
print(src, tgt, sep="\n")

rng, D = np.random.default_rng(0), 16
table, table_of_target = init_embedding(rng, len(english), D), init_embedding(rng, len(german), D)
params = init_encoder(rng, n_layers=2, d_model=D, n_heads=4, d_ff=32, pre_norm=True)
source_mask = padding_mask(src, english.pad_id)
memory = encoder(embed_sequence(src, table), params, 4, source_mask, pre_norm=True)

params = init_decoder(rng, n_layers=2, d_model=D, n_heads=4, d_ff=32, pre_norm=True)
x = embed_sequence(tgt, table_of_target)
causal, record = causal_mask(tgt.shape[1]), {}
output = decoder(x, memory, params, 4, causal, source_mask, pre_norm=True, record=record)
print("output", output.shape, output.dtype)
for name, parts in record.items():
    print(name, {part: weights.shape for part, weights in parts.items()})

# %% [markdown]
# Self-attention is (B, H, T, T), cross-attention (B, H, T, S). The decoder got `causal` alone, without a mask for the
# target's padding: that padding stands at the end, and no word looks ahead.
#
# ### Break it: the wrong padding
#
# There are two sequences, and each has its own padding. A popular mistake is to build the mask for the source from the
# target's ids. Where T and S differ, the shapes do not fit, and it is found at once (unless T is 1, the first step of
# all writing: a mask with one column fits everything):

# %%
try:
    decoder(x, memory, params, 4, causal, padding_mask(tgt, german.pad_id), pre_norm=True)
except ValueError as error:
    print(error)

# %% [markdown]
# **Predict.** After one word is written the target is `<START>` and that word: T = S = 2. Now what does it do?

# %%
two = tgt[:, :2]
for name, m in (("mask of the source", source_mask), ("mask of the target", padding_mask(two, german.pad_id))):
    record = {}
    decoder(embed_sequence(two, table_of_target), memory, params, 4, causal_mask(2), m, pre_norm=True, record=record)
    on_padding = record["layer_1"]["cross_attention"][1:, ..., 1].mean()
    print(f"{name}: of the weights of the two short numbers, {on_padding:.0%} are on <PAD>")

alone = decoder(embed_sequence(two[1:2], table_of_target), memory[1:2, :1], params, 4, causal_mask(2), pre_norm=True)
for name, m in (("mask of the source", source_mask), ("mask of the target", padding_mask(two, german.pad_id))):
    batch = decoder(embed_sequence(two, table_of_target), memory, params, 4, causal_mask(2), m, pre_norm=True)
    print(f"{name}: \"seven\" in the batch and alone differ by {np.abs(batch[1:2] - alone).max():.2f}")

# %% [markdown]
# No error, no warning. The words *seven* and *forty* are read together with the padding behind them. In the batch
# *seven* is read with padding, alone without: what it becomes depends on its neighbors. Whether a mask has the right
# shape says nothing about whether it is the right mask.
#
# ### Break it: nothing to read
#
# We set the memory to zero. **Predict.** What do the outputs for three sources have in common, when all three targets
# are the same?

# %%
same = embed_sequence(np.repeat(tgt[:1], 3, axis=0), table_of_target)
for name, m in (("memory", memory), ("memory of zeros", 0 * memory)):
    output = decoder(same, m, params, 4, causal, source_mask, pre_norm=True)
    print(f"{name}: the three outputs differ by up to {np.ptp(output, axis=0).max():.2f}")

# %% [markdown]
# Values made of zeros are zeros (there are no biases), so cross-attention adds nothing, and every source gets the same
# German. What is left is a machine that continues German text, and nothing else. Chapter 12 builds that, without the
# cross-attention, and calls it GPT.
#
# ## 4. Nobody may look ahead
#
# A decoder writes word by word; nobody has written the next word yet. But when it *learns*, the whole translation is
# there. Does it have to learn word by word, too? Chapter 03 answered that for one attention. **Predict** for two
# layers with residuals, norms and a memory: we run the decoder once for all five words, and then five times, with one
# word, two words, and so on. Are the last outputs of the five runs those of the one run?

# %%
together = decoder(x, memory, params, 4, causal, source_mask, pre_norm=True)
one_by_one = [decoder(x[:, :t + 1], memory, params, 4, causal[:t + 1, :t + 1], source_mask, pre_norm=True)[:, -1]
              for t in range(5)]
print("the same:", np.allclose(together, np.stack(one_by_one, axis=1), atol=1e-5))

# %% [markdown]
# They are. Under the causal mask, the vector at each position is what it would be if the text ended there. So in
# training all positions are computed at once, and each is asked for its next word. A recurrent network has to go
# through the positions one after the other even then (Vaswani et al., 2017, section 4); a Transformer does not. It
# hangs on the mask: if an output could see the next word, it would learn to copy it, and be helpless when it has to
# write.
#
# Such a leak raises no error. You have to look for it.
#
# **Exercise 7.4.** Write `future_leak(f, x, rng)`, the test that catches it. It takes any function f from (..., T, D)
# to (..., T, anything), an input x of shape (..., T, D), and a `np.random.Generator`. It returns `True` if an output
# at some position moves when inputs at *later* positions are exchanged, and `False` otherwise.
#
# - For every t from 1 to T - 1, exchange the positions from t on for random numbers from `rng`.
# - Compare the outputs *before* t with what they were (`np.allclose`).
# - x itself is not changed, and f is always given as many positions as x has.
#
#  With `np.cumsum` along the positions, nothing leaks; with `lambda x: x - x.mean(axis=-2, keepdims=True)`, it does.
#  It took us seven lines.
#
# <details><summary>Hint: how to change what comes later</summary>
#
# Take a copy of x, and exchange what stands from t on. Why for random numbers? Some changes are invisible: layer_norm
# does not notice when the same number is added to a whole row.
#
# </details>
# <details><summary>Hint: why every t?</summary>
#
# A function may leak at one place only, for example from the second position into the first.
#
# </details>

# %%
def future_leak(f, x, rng):
    """Tell whether any output of f depends on an input at a later position.

    f: a function that takes (..., T, D) and returns (..., T, D_out). x: (..., T, D). rng: a np.random.Generator.
    Returns True if outputs up to some position move when the inputs after it are exchanged; else False.
    """
    ### BEGIN SOLUTION
    before = f(x)
    for t in range(1, x.shape[-2]):
        other = x.copy()
        other[..., t:, :] = rng.standard_normal(other[..., t:, :].shape)
        if not np.allclose(f(other)[..., :t, :], before[..., :t, :]):
            return True
    return False
    ### END SOLUTION

# %%
check(future_leak)

# %%
rng = np.random.default_rng(1)
masks = {"causal": causal, "none": None, "one word ahead": np.tri(5, k=1, dtype=bool), "causal, but for one pair":
         causal | (np.arange(25).reshape(5, 5) == 1)}
for name, m in masks.items():
    leaks = future_leak(lambda x, m=m: decoder(x, memory, params, 4, m, source_mask, pre_norm=True), x, rng)
    print(f"{name:25} leaks: {leaks}")

# %% [markdown]
# The test looks at numbers that come out, not at the mask that goes in, so it does not matter where the leak is.
# `False` is no proof: a leak smaller than `np.allclose` notices stays hidden. And dropout inside of f looks like a
# leak, since it draws anew. (Nor can it see what happens outside of f: whether the words that go in are the very words
# that are asked for. Chapter 08 comes to that.)
#
# And the source? **Predict.** We exchange the *last* vector of the memory. Does the *first* output move? And what does
# `future_leak` say, if it is given the memory in the place of x?

# %%
other = memory.copy()
other[0, 1] = memory[2, 0]                              # another second word for "twenty one"
before, after = (decoder(x, m, params, 4, causal, source_mask, pre_norm=True)[0, 0] for m in (memory, other))
print("the first output moves by up to", np.abs(before - after).max().round(2))
leaks = future_leak(lambda m: decoder(x[:, :2], m, params, 4, causal_mask(2), source_mask, pre_norm=True), memory, rng)
print("leaks, where x is the source:", leaks)

# %% [markdown]
# It moves, and it has to: *ein* stands for the last word of *twenty one*. What is a leak in the target is the very
# purpose in the source. **Cross-attention has no causal mask**: the source has been read to its end before the first
# word is written. Its only mask is that of the source's padding.
#
# ## 5. What you built, on something real
#
# | | what it does | returns |
# |---|---|---|
# | `cross_attention_inputs(target, source, ...)` | who asks, and who is asked | q, k, v |
# | `decoder_layer(x, memory, params, ...)` | look back, look across, think | (..., T, D) |
# | `decoder(x, memory, params, ...)` | layer after layer, one memory for all | (..., T, D) |
# | `future_leak(f, x, rng)` | does an output know what comes after it? | True or False |
#
# The decoder of the paper's base model has 6 layers, D = 512, 8 heads and F = 2,048. Here it reads a memory of 50
# vectors, in a batch of two, the second one with 10 of padding:

# %%
rng = np.random.default_rng(0)
paper = init_decoder(rng, n_layers=6, d_model=512, n_heads=8, d_ff=2048)
sizes = {part: sum(W.size for W in arrays.values()) for part, arrays in paper["layer_1"].items()}
print("in one layer:", *(f"{part} {size:,}" for part, size in sizes.items()), sep="\n    ")
print(f"in 6 layers: {6 * sum(sizes.values()):,}")

target = rng.standard_normal((2, 40, 512), dtype=np.float32)
source = rng.standard_normal((2, 50, 512), dtype=np.float32)
mask = padding_mask(np.where(np.arange(50) < np.array([[50], [40]]), 5, 0), 0)
output = decoder(target, source, paper, 8, causal_mask(40), mask)
source[1, 40:] = 7.0
other = decoder(target, source, paper, 8, causal_mask(40), mask)
print("output", output.shape, output.dtype, "  what padding holds changes nothing:", np.array_equal(output, other))
short = target[:, :6]                                   # six runs of the whole stack are enough
print("leaks:", future_leak(lambda x: decoder(x, source, paper, 8, causal_mask(6), mask), short, rng))

# %% [markdown]
# A third more than the 18.9 million of the encoder: each layer has one attention more.
#
# ### A trained one, reading
#
# And a small one whose weights were trained: one layer on each side, D = 32, on numbers from 1 to 999. The whole
# model comes in chapter 08; here your `decoder` runs on its parameters, is given the German, and its cross-attention
# is drawn, the mean over four heads. Each row is a position that is about to write the word at its side. **Predict:**
# where does it look, before it writes *zwei* in *zwei und vierzig*?

# %%
from scratchformer_lib.course.weights import translator

trained, english, german, never_seen = translator()
trained_params, trained_config = trained.params, trained.config

def read_by_training(n):
    """The English words, the German words, and how the position that writes each one looks: (T, S)."""
    src, tgt = english.encode(in_english(n)), german.encode(f"<START> {in_german(n)} <END>")
    memory = encoder(embed_sequence(src, trained_params["source_table"]), trained_params["encoder"], 4, pre_norm=True,
                     activation=relu)
    record = {}
    decoder(embed_sequence(tgt[:-1], trained_params["target_table"]), memory, trained_params["decoder"], 4,
            causal_mask(len(tgt) - 1), pre_norm=True, activation=relu, record=record)
    return (in_english(n).split(), german.decode(tgt[1:]).split(),
            record["layer_1"]["cross_attention"].mean(axis=0))

figures.cross_widget(read_by_training, [42, 761, *(n for n in never_seen[::8] if n > 20)])

# %% [markdown]
# Nobody told it the order of German numbers, nor which word means which. It reads as you would: for *ein* at *one*, the
# last word, and then for *sechzig* at *sixty*, the one before. *Und* looks at the tens, which come next. What
# `<END>` looks at says little: no English word stands for it.
#
# ### Test yourself
#
# <details><summary>Who gives the queries in cross-attention, who the keys and values?</summary>
#
# The target asks: queries. The source is asked: keys and values.
#
# </details>
# <details><summary>T = S = 7. Name two mistakes with the decoder's masks that no shape reveals.</summary>
#
# For example the padding mask of the wrong sequence, or a causal mask on the source, which hides the last English word
# from the first German one. Both fit.
#
# </details>
# <details><summary>A model reaches a loss near 0 in a few steps, and writes nonsense. What do you test first?</summary>
#
# Whether an output can see the word that it is to predict. `future_leak` tells it if the leak is inside the model. Or
# the words that go in are the very words that are asked for; chapter 08 looks at that.
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017, section 3.1 (the decoder) and 3.2.3 (the three uses of
#   attention).
# - Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", 2015: figure 3
#   shows which words are read for which.
#
# `progress()` in a new cell shows the map. Next comes [chapter 08](08_transformer.ipynb): encoder and decoder become
# one machine.
