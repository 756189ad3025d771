# %% [markdown]
# # 02 · Embeddings: how words become vectors
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/02_embeddings.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/02_embeddings.ipynb)
# <!-- /badges -->
#
# **The question: attention and everything after it computes with vectors. Where do the vectors come from?**
#
# At the end you will have written the entrance of every Transformer: a *vocabulary* that numbers the words, an
# *embedding* that gives each word a vector, and a *positional encoding* that tells where a word stands. Out of these
# parts alone you will make a first language model, and measure it. Every later model is measured against that number.
#
# Five exercises, about 70 minutes. You need `softmax` and surprise from [chapter 01](01_softmax.ipynb).

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

begin("02")

# %%
#| given
#| default_exp embeddings
#| export
import math

import numpy as np

from scratchformer_lib.course.figures import chapter_02 as figures
from scratchformer_lib.softmax import log_softmax, softmax
from scratchformer_lib.support.arguments import check_count, check_ids, check_texts, check_words

# %% [markdown]
# ## 1. Words become numbers
#
# A model computes, so a word has to become a number first. Its number is its place in a list of all words that the
# model knows: its **id**. The list is the **vocabulary**. By hand, with the first sentence of this course:
#
# | word | the | cat | sat | on | the | mat |
# |---|---|---|---|---|---|---|
# | id | 4 | 5 | 6 | 7 | 4 | 8 |
#
# The same word has the same id wherever it stands. Counting starts at 4, because the first four places are taken by
# marks that are not words: `<PAD>` fills up short sentences, `<START>` and `<END>` say where a text begins and ends,
# and `<UNK>` stands for every word that is *unknown*.
#
# **Exercise 2.1.** Complete `Vocabulary`: write its method `encode(text)`. The rest is given: `self.ids` is a dict from
# a word to its id, `self.unk_id` and `self.pad_id` are the ids of `<UNK>` and `<PAD>`.
#
# - For a text, it returns its ids as a NumPy array of whole numbers, shape (T,). One or more spaces separate words.
#   Words are taken as they are: *The* is not *the*, and `<START>` is a word like any other. Nothing is added. With the
#   vocabulary of the table, `encode("the cat sat")` gives `[4, 5, 6]`, and `encode("the dog sat")` gives `[4, 3, 6]`:
#   *dog* is unknown.
# - For a list of B texts it returns a rectangle, (B, T), with T the length of the longest text. Shorter texts are
#   filled up with `<PAD>` at the end. `encode(["the cat sat", "the mat"])` gives `[[4, 5, 6], [4, 8, 0]]`. A list of
#   one text gives (1, T).
#
# It took us five lines.
#
# <details><summary>Hint: unknown words</summary>
#
# `self.ids["dog"]` raises a KeyError. A dict has a method that takes a second argument: what to return when the key is
# not there.
#
# </details>
# <details><summary>Hint: one text or several?</summary>
#
# `isinstance(text, str)` tells them apart. For several, encode each of them with the method that you are writing; then
# you know how long the longest is.
#
# </details>

# %%
#| export
class Vocabulary:
    """The words that a model knows, each with a number: its id.

    words: any words; a word's id is its place. Repeated words count once. The four special ones come first.
    Raises ValueError where `words` is one text, or a word is empty or has a space in it.
    """
    SPECIAL = ("<PAD>", "<START>", "<END>", "<UNK>")
    pad_id, start_id, end_id, unk_id = range(4)

    def __init__(self, words):
        words = check_words("words", words)
        self.words = list(dict.fromkeys([*self.SPECIAL, *words]))
        self.ids = {word: i for i, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    def encode(self, text):
        """Turn a text into ids; or several texts into a rectangle of ids.

        text: words with spaces between them, or a list of such texts.
        Returns whole numbers of shape (T,); for a list (B, T), where T is the longest text's and <PAD> fills up.
        An unknown word becomes <UNK>. Raises ValueError where a text has no words.
        """
        check_texts("text", text)
        ### BEGIN SOLUTION
        if isinstance(text, str):
            return np.array([self.ids.get(word, self.unk_id) for word in text.split()])
        rows = [self.encode(one) for one in text]
        longest = max(len(row) for row in rows)
        return np.array([[*row, *[self.pad_id] * (longest - len(row))] for row in rows])
        ### END SOLUTION

    def decode(self, ids):
        """Turn ids back into text, leaving <PAD> out.

        ids: (T,) or (B, T), whole numbers; or a single id.
        Returns a text; for (B, T) a list of B texts. Raises ValueError for an id that is not in the vocabulary.
        """
        check_ids("ids", ids, len(self))
        if np.ndim(ids) > 1:
            return [self.decode(row) for row in ids]
        return " ".join(self.words[i] for i in np.atleast_1d(ids) if i != self.pad_id)

# %%
check(Vocabulary)

# %% [markdown]
# Its other methods work on yours. `decode` goes back from ids to text, and leaves the padding out. **Predict:** *dog*
# is not in this vocabulary. What comes back for it, and can any code repair that afterwards?

# %%
vocabulary = Vocabulary("the cat sat on the mat".split())
ids = vocabulary.encode(["the cat sat on the mat", "the dog sat"])

print(vocabulary.words)
print(ids)
print(vocabulary.decode(ids))

# %% [markdown]
# *dog* came back as `<UNK>`: what the vocabulary does not know is lost at the door. (Chapter 13 cuts words into pieces
# instead, so that nothing is ever unknown.)
#
# ## 2. Numbers become vectors
#
# An id is a name, not a quantity. *the* is 4 and *mat* is 8, but a mat is not two times *the*, and *sat*, which is 6,
# does not lie halfway between them. A model that computes with ids would believe all that. So each word gets a vector
# of its own: **D numbers that the model may choose freely**. D is called `d_model`. The vectors of all words are the
# rows of one matrix, the **embedding table**.
#
# By hand, with D = 2 and three words:
#
# | id | row of the table |
# |---|---|
# | 0 | 10, 11 |
# | 1 | 20, 21 |
# | 2 | 30, 31 |
#
# The ids `[2, 0, 2]` become `[[30, 31], [10, 11], [30, 31]]`: (T,) becomes (T, D). That is all.
#
# **Exercise 2.2.** Write `embed(ids, table)`. It takes ids of any shape and a table of shape (n_vocab, D), and returns
# for each id its row: (T,) becomes (T, D), a batch (B, T) becomes (B, T, D), and a single id becomes (D,).
#
# It took us one line. The first line, which is given, refuses ids that are not in the table; without it, NumPy would
# silently take the last row for the id -1.
#
# <details><summary>Hint</summary>
#
# An array can be indexed with an array. `table[0]` is a row; what is `table[np.array([2, 0, 2])]`?
#
# </details>

# %%
#| export
def embed(ids, table):
    """Look ids up in a table: each becomes its row.

    ids: whole numbers, of any shape. table: (n_vocab, D).
    Returns (..., D), a row for each id: (B, T) becomes (B, T, D).
    Raises ValueError where an id is not the number of a row.
    """
    check_ids("ids", ids, len(table))
    ### BEGIN SOLUTION
    return table[ids]
    ### END SOLUTION

# %%
check(embed)

# %%
table = np.array([[10.0, 11.0], [20.0, 21.0], [30.0, 31.0]])
print(embed(np.array([2, 0, 2]), table))
print("a batch:", embed(np.array([[2, 0, 2], [1, 1, 1]]), table).shape)

# %% [markdown]
# Some books write the same thing as a product. A **one-hot** vector has a 1 at the word's id and 0 elsewhere; times the
# table, it picks that row. It gives the same numbers, with D multiplications for every word of the vocabulary instead
# of a look into the table.

# %%
one_hot = np.eye(3)[[2, 0, 2]]
print(one_hot)
print("the product gives the same:", np.array_equal(one_hot @ table, embed(np.array([2, 0, 2]), table)))

# %% [markdown]
# What do the vectors mean? Nothing, yet. We draw them at random, with a length of about 1, and training will move them.
# This is how ours are drawn:

# %%
#| export
def init_embedding(rng, n_vocab, d_model):
    """Draw an embedding table: a row of d_model numbers for each of n_vocab ids.

    rng: a np.random.Generator.
    Returns (n_vocab, d_model), float32; a row's length is about 1. Raises ValueError for sizes below 1.
    """
    check_count("n_vocab", n_vocab)
    check_count("d_model", d_model)
    return rng.standard_normal((n_vocab, d_model), dtype=np.float32) / math.sqrt(d_model)

# %% [markdown]
# To see how alike two vectors are we take their **cosine similarity**: their dot product, divided by both lengths. It
# is 1 for the same direction, 0 for a right angle, -1 for opposite directions. **Predict** the picture: which squares
# will be dark? Is *cat* closer to *mat* than to *on*?

# %%
words = "the cat sat on the mat".split()
d_model = 64
table = init_embedding(np.random.default_rng(1), len(vocabulary), d_model)
x = embed(vocabulary.encode("the cat sat on the mat"), table)

figures.similarities(words, x)

# %% [markdown]
# The two *the* are the same vector, exactly 1. All the others are small: in 64 dimensions, two random directions are
# nearly at a right angle. That *cat* and *mat* rhyme, or that *cat* is a noun, is nowhere in here.
#
# ## 3. Where does a word stand?
#
# *the dog bites the man* and *the man bites the dog* have the same words, so they are made of the same vectors. You
# will see in chapter 03 that attention looks at a sentence as at a bag of words: shake it, and it sees the same. The
# order has to be put into the vectors.
#
# What could we add to each word's vector to say *you are number p*? The number p itself would do for short texts, and
# at position 1,000 it would drown the word. Compare how we write numbers: with digits. The last digit changes at every
# step, the one before at every tenth, and each digit stays small. Here is the same idea without jumps. Instead of
# digits, take **waves**: a fast one, a slower one, a slower one still. And take each wave twice, as a sine and as a
# cosine, since one of them alone has the same value going up and coming down.
#
# By hand, with D = 4, so two pairs. The first pair turns by 1 (radian) at every step, the second by 1/100:
#
# | position | sin(p) | cos(p) | sin(p/100) | cos(p/100) |
# |---|---|---|---|---|
# | 0 | 0 | 1 | 0 | 1 |
# | 1 | 0.841 | 0.540 | 0.010 | 1.000 |
# | 2 | 0.909 | -0.416 | 0.020 | 1.000 |
#
# The formula of the paper, for position $p$ and the pair $i = 0, 1, 2, \ldots$ out of $D$ columns:
#
# $$\mathrm{PE}(p)_{2i} = \sin\left(\frac{p}{10000^{2i/D}}\right)
# \qquad \mathrm{PE}(p)_{2i+1} = \cos\left(\frac{p}{10000^{2i/D}}\right)$$
#
# Column $2i$ is the sine of pair $i$ and column $2i+1$ its cosine: they stand side by side. With $D = 4$ the second
# pair has $i = 1$ and is divided by $10000^{2/4} = 100$.
#
# **Exercise 2.3.** Write `positional_encoding(length, d_model, dtype=np.float32)`. It returns the encodings of the
# positions 0 to length - 1 as the rows of a matrix (length, d_model).
#
# - `positional_encoding(3, 4)` gives the table above.
# - `d_model` may be odd; then the last sine has no cosine.
# - The result has the given `dtype`. Compute in float64 and convert at the end: at position 50,000 a float32 angle is
#   off in its third decimal place.
#
# It took us three lines.
#
# <details><summary>Hint: all positions at once</summary>
#
# An array of positions of shape (length, 1) and an array of columns of shape (d_model,) broadcast to (length, d_model).
# Chapter 00 drew that.
#
# </details>
# <details><summary>Hint: which pair is a column in?</summary>
#
# Columns 0, 1, 2, 3, 4, 5 belong to the pairs 0, 0, 1, 1, 2, 2. Whole-number division makes one out of the other. Once
# every column has its angle, `np.where` can choose between sine and cosine. Or fill every second column of an empty
# matrix: `[:, 0::2]` and `[:, 1::2]`.
#
# </details>

# %%
#| export
def positional_encoding(length, d_model, dtype=np.float32):
    """Give every position a vector of waves: sin and cos in turns, each pair slower than the one before.

    length: T, the number of positions. d_model: D, the number of waves; it may be odd.
    Returns (T, D), of the given dtype. Raises ValueError for sizes below 1.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.5.
    """
    check_count("length", length)
    check_count("d_model", d_model)
    ### BEGIN SOLUTION
    position, column = np.arange(length)[:, None], np.arange(d_model)
    angle = position / 10000 ** (column // 2 * 2 / d_model)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype(dtype)
    ### END SOLUTION

# %%
check(positional_encoding)

# %%
print(positional_encoding(3, 4).round(3))

# %% [markdown]
# Sixty-four positions with 32 columns. Each row is one position.

# %%
figures.waves(positional_encoding(64, 32))

# %% [markdown]
# Think of each pair as the hand of a clock, with the cosine to the right and the sine up. **Predict**, before you move
# the sliders: what does the hand of pair 0 do when you go one position on? And the hand of the last pair?

# %%
figures.position_widget(positional_encoding)

# %% [markdown]
# Each clock is slower than the one before, like seconds, minutes and hours: on the left of the picture the waves are
# fast, on the right so slow that they hardly move in 64 steps. Read together, the clocks tell positions apart that any
# one of them confuses. With 32 columns, as in the picture before, how long does the slowest of the 16 clocks take for
# one round?

# %%
print(f"{2 * np.pi * 10000 ** (30 / 32):,.0f} positions for one round")

# %% [markdown]
# ### Added, not appended
#
# The encoding is *added* to the word's vector: `embed(ids, table) + positional_encoding(T, D)`. Does that not mix up
# word and place? Look at the similarities of the six words again, without positions and with them. The two *the* are
# what to watch.

# %%
x = embed(vocabulary.encode("the cat sat on the mat"), table)
figures.similarity_pair(words, {"words": x, "words + positions": x + positional_encoding(6, d_model)})

# %% [markdown]
# The right one is unexpected: now *everything* is alike. Something drowned. A position's vector is much longer than a
# word's:

# %%
print("length of a word's vector     ", np.linalg.norm(embed(np.arange(4, 9), table), axis=-1).round(2))
print("length of a position's vector ", np.linalg.norm(positional_encoding(6, d_model), axis=-1).round(2))

# %% [markdown]
# ### Break it, and repair it
#
# A position's vector has D/2 pairs, and $\sin^2 + \cos^2 = 1$ in each, so its length is $\sqrt{D/2}$, here 5.66. Our
# words have length 1, so what the model reads is nearly all position, and neighboring positions are alike. The paper
# multiplies the embeddings by $\sqrt{D}$ (section 3.4). **Predict** what that does to the picture.

# %%
x, p = embed(vocabulary.encode("the cat sat on the mat"), table), positional_encoding(6, d_model)
scaled = x * math.sqrt(d_model)
figures.similarity_pair(words, {"words + positions": x + p, "scaled words + positions": scaled + p})

# %% [markdown]
# Now the words can be told apart, and so can the two *the*: much alike, but no longer the same. Both facts are in one
# vector. They can be read separately because D is large: a random word has little in common with any position.
#
# Could one append the position to the word instead? One could. But the next thing a Transformer does with a vector is
# to multiply it by a matrix, and for a matrix appending and adding are not so different:

# %%
rng = np.random.default_rng(1)
W = rng.standard_normal((d_model, 5))
p = positional_encoding(6, d_model)

appended = np.concatenate([scaled, p], axis=-1) @ np.concatenate([W, W])
print("same result:", np.allclose(appended, (scaled + p) @ W))
print("matrix for appended vectors", np.concatenate([W, W]).shape, "  for added ones", W.shape)

# %% [markdown]
# Adding is what you get when words and positions share one matrix. Appending would allow two different ones, and
# doubles the width of what the next matrix reads. The model can have the better of both: it may learn to keep some
# columns for words and others for positions. (In chapter 03 you will set weights by hand in this way.)
#
# ### Break it: halves instead of pairs
#
# A common version puts all sines first and all cosines after them. It holds the same numbers, in another order:

# %%
def halves(length, d_model):
    both = positional_encoding(length, d_model)
    return np.concatenate([both[:, 0::2], both[:, 1::2]], axis=-1)

print("interleaved", positional_encoding(3, 4)[1].round(3))
print("halves     ", halves(3, 4)[1].round(3))

# %% [markdown]
# A model trained with either of them works. What does not work is to mix them: weights that were trained on one read
# the wrong clock in the other. There is no error message for that; shape and range are the same. The next section
# breaks at once if the order is not the one of the formula.
#
# ## 4. A step is a matrix
#
# Why waves, and not some other numbers? Because of one property. Going $k$ positions on turns each clock's hand by a
# fixed angle, *wherever it starts*. And turning is what a matrix can do:
#
# $$\mathrm{PE}(p + k) = \mathrm{PE}(p) \, M_k \qquad \text{for every } p$$
#
# So a model that has a matrix to choose can ask *what stood one word before me?* with the same matrix at every
# position. In chapter 03 you will ask exactly that.
#
# By hand, for one pair whose hand stands at the angle $w$, and turns by the angle $a$ in $k$ steps. The school formulas
# for the sum of two angles are
#
# $$\sin(w + a) = \sin w \cos a + \cos w \sin a \qquad \cos(w + a) = \cos w \cos a - \sin w \sin a$$
#
# As a row times a matrix, they read
#
# $$\begin{pmatrix} \sin(w + a) & \cos(w + a) \end{pmatrix} = \begin{pmatrix} \sin w & \cos w \end{pmatrix}
# \begin{pmatrix} \cos a & -\sin a \\ \sin a & \cos a \end{pmatrix}$$
#
# (With $w = 1$ and $a = 1$, one step of pair 0: $\sin 2 = 0.841 \cdot 0.540 + 0.540 \cdot 0.841 = 0.909$, as in the
# table of section 3.) Each pair has its own angle, $a = k / 10000^{2i/D}$, and no pair touches another. So $M_k$ is
# zero but for 2 by 2 blocks along its diagonal, one for each pair.
#
# **Exercise 2.4.** Write `shift_matrix(k, d_model, dtype=np.float32)`. It returns $M_k$, of shape (D, D) and the given
# dtype. D is even, so that every sine has its cosine; `k` may be negative, or 0. Compute the angles in float64, as
# before.
#
# - `shift_matrix(0, 4)` is the identity.
# - `shift_matrix(1, 2)` gives `[[0.540, -0.841], [0.841, 0.540]]`.
#
# It took us five lines.
#
# <details><summary>Hint</summary>
#
# Start with zeros. A loop over 0, 2, 4, ... sets the block `[i:i + 2, i:i + 2]`. The number `i` of the loop is already
# the $2i$ of the formula.
#
# </details>

# %%
#| export
def shift_matrix(k, d_model, dtype=np.float32):
    """Make the matrix that moves every position k steps on: positional_encoding[p] @ it is positional_encoding[p + k].

    k: how many positions, negative for back. d_model: D, even.
    Returns (D, D), of the given dtype. Raises ValueError where d_model is odd.
    """
    check_count("d_model", d_model)
    if d_model % 2:
        raise ValueError(f"d_model must be even, so that every sine has its cosine; got {d_model}")
    ### BEGIN SOLUTION
    shift = np.zeros((d_model, d_model), dtype)
    for i in range(0, d_model, 2):
        angle = k / 10000 ** (i / d_model)
        shift[i:i + 2, i:i + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return shift
    ### END SOLUTION

# %%
check(shift_matrix)

# %%
p = positional_encoding(40, 32, np.float64)
M_3 = shift_matrix(3, 32, np.float64)
print("row 10 times M_3 is row 13:", np.allclose(p[10] @ M_3, p[13]))
print("so for all rows at once:   ", np.allclose(p[:-3] @ M_3, p[3:]))

# %% [markdown]
# **Predict** without computing: what is `shift_matrix(1, D) @ shift_matrix(2, D)`? And `shift_matrix(3, D) @
# shift_matrix(-3, D)`?

# %%
def equal(a, b):
    return np.allclose(a, b, atol=1e-5)

M_1, M_2, M_3, back_3 = (shift_matrix(k, 32) for k in (1, 2, 3, -3))
h = halves(40, 32)
print("1 step, then 2 steps, are 3 steps:", equal(M_1 @ M_2, M_3))
print("3 on and 3 back is nothing:       ", equal(M_3 @ back_3, np.eye(32)))
print("with halves instead of pairs:     ", equal(h[10] @ M_3, h[13]))

# %% [markdown]
# The last line is the promised break: where sines and cosines stand in another order, the blocks turn the wrong
# numbers.
#
# The dot product of two encodings depends on their *distance* alone: each pair contributes $\sin w \sin u + \cos w \cos
# u = \cos(w - u)$, and only the difference of the two angles is left. Three curves, from three starting positions:

# %%
figures.products_by_distance(positional_encoding)

# %% [markdown]
# They lie on top of each other, and are highest at distance 0. Remember this picture: in chapter 03 a dot product
# decides who looks at whom.
#
# **How long can a text be?** The formula works for any position, so `positional_encoding(100_000, 64)` is no trouble.
# That does not make a *model* work at lengths it has not been trained on: it has never seen those clocks in those
# places. Press, Smith and Lewis (2022) measured it: Transformers with this encoding get worse soon after the longest
# length of their training.
#
# ## 5. The first language model
#
# A language model says what comes next. The simplest one that looks at anything looks at the last word alone: a
# **bigram** model (a bigram is a pair of words). You have all its parts. Take a table with as many columns as rows,
# n_vocab by n_vocab. Row $i$ holds, for the word $i$, a score for each word that may follow.
#
# **Exercise 2.5.** Write `bigram_next(ids, table)`. It takes ids of shape (..., T) and a table (n_vocab, n_vocab). For
# every id it returns the shares of all words to come next: (..., T, n_vocab), the last axis adding up to 1.
#
# It took us one line.
#
# <details><summary>Hint</summary>
#
# Which row of the table belongs to an id? And what makes shares of its scores? You have written a function for each.
#
# </details>

# %%
def bigram_next(ids, table):
    """Say what comes next, from the last word alone: the first language model.

    ids: (..., T), whole numbers. table: (n_vocab, n_vocab); row i holds the scores of what follows word i.
    Returns shares of shape (..., T, n_vocab).
    """
    ### BEGIN SOLUTION
    return softmax(embed(ids, table))
    ### END SOLUTION

# %%
check(bigram_next)

# %% [markdown]
# Where do the scores come from? From counting, as in chapter 01: the score of *cat* after *the* is the logarithm of how
# often *cat* came after *the*. Our text is a language of four sentences:

# %%
sentences = [f"the {animal} {does}" for animal in ("cat", "dog") for does in ("sat on the mat", "ran fast")]
texts = [f"<START> {sentence} <END>" for sentence in sentences]
print(*texts, sep="\n")

def count_pairs(ids, n_vocab, pad_id):
    """How often each word came after each: (n_vocab, n_vocab), row: this word, column: the next."""
    counts = np.zeros((n_vocab, n_vocab))
    for row in ids:
        row = row[row != pad_id]
        np.add.at(counts, (row[:-1], row[1:]), 1)       # counts[this, next] += 1, for every pair
    return counts

# %%
vocabulary = Vocabulary("the cat sat on mat dog ran fast".split())
ids = vocabulary.encode(texts)
print(ids)

counts = count_pairs(ids, len(vocabulary), vocabulary.pad_id)
with np.errstate(divide="ignore"):
    table = np.log(counts)                  # the score of what never came is -inf: it gets the share 0

came = counts.sum(axis=1) > 0               # words that something came after; a row of -inf alone has no shares
shares = np.zeros_like(counts)
shares[came] = bigram_next(np.flatnonzero(came), table)
figures.table_picture(vocabulary.words, shares)

# %% [markdown]
# The rows of `<PAD>`, `<END>` and `<UNK>` are empty: nothing ever came after them. **Predict:** *the* has three
# successors. What will this model write? How many of its sentences will be among the four?

# %%
def write(table, rng):
    """Draw one word after the other, until <END>."""
    word, text = vocabulary.start_id, []
    while word != vocabulary.end_id:
        word = rng.choice(len(vocabulary), p=bigram_next(word, table))
        text.append(vocabulary.words[word])
    return " ".join(text[:-1])

rng = np.random.default_rng(0)
drawn = [write(table, rng) for _ in range(900)]
for text in drawn[:6]:
    print("right" if text in sentences else "wrong", "|", text)
print(sum(text in sentences for text in drawn), "of 900 are among the four")

# %% [markdown]
# After *the* it cannot know whether it is at the beginning or already on the mat: it sees one word. The chance that it
# writes one of the four can be computed, as the product of the chances of its words:

# %%
def chances(ids, table):
    """The chance that the model gave to each next word of one text."""
    row = ids[ids != vocabulary.pad_id]
    return bigram_next(row[:-1], table)[np.arange(len(row) - 1), row[1:]]

ids = vocabulary.encode(texts)
right = [np.prod(chances(row, table)) for row in ids]
print("chance of each sentence", np.round(right, 3), "  together", round(sum(right), 3), "  4/9 =", round(4 / 9, 3))
nats = np.concatenate([-np.log(chances(row, table)) for row in ids])
print(f"mean surprise {nats.mean():.3f} nats a word")

# %% [markdown]
# Four in nine of its sentences are among the four. **0.390 nats a word is the number to beat.** How far down can it go?
# Whoever knows the four sentences is only ever surprised twice, by the animal and by what it does, one of two each
# time:

# %%
n_words = sum(len(text.split()) - 1 for text in texts)          # <START> is given, <END> has to be said
print(f"{n_words} words; best possible: {4 * 2 * np.log(2) / n_words:.3f} nats a word")

# %% [markdown]
# The difference is what looking back is worth. In chapter 04 a model that looks back *two* words closes it.
#
# ## 6. What you built, on something real
#
# | | formula | takes, returns |
# |---|---|---|
# | `Vocabulary.encode(text)` | the place in the list | a text (T,), a list of texts (B, T) |
# | `embed(ids, table)` | row of the table | ids of any shape, D more |
# | `positional_encoding(length, d_model)` | sin, cos of $p / 10000^{2i/D}$ | (length, D) |
# | `shift_matrix(k, d_model)` | $\mathrm{PE}(p) M_k = \mathrm{PE}(p + k)$ | (D, D) |
# | `bigram_next(ids, table)` | softmax of the row | (..., T), (..., T, n_vocab) |
#
# The same model on real English: the documentation that comes with Python. The vocabulary holds its 2,000 most common
# words, the rest becomes `<UNK>`. We count on the first nine tenths and measure on the last tenth, which it has never
# seen.

# %%
import re
import textwrap
from collections import Counter

try:
    from pydoc_data.topics import topics
except ImportError:
    raise ImportError("this Python has no pydoc_data; set `text` to any long text of yours instead") from None

text = re.findall(r"[a-z]+|[.,]", " ".join(topics.values()).lower())
vocabulary = Vocabulary([word for word, _ in Counter(text[:len(text) * 9 // 10]).most_common(2000)])
print(f"{len(text):,} words, {len(set(text)):,} different ones")

# %% [markdown]
# A pair that never came in the first part may come in the second, and a share of 0 would be punished with an infinite
# surprise. So each word is treated as if 200 more words had followed it, spread like the words of the whole first part.

# %%
n_vocab = len(vocabulary)
ids = vocabulary.encode(" ".join(text))
seen, unseen = np.split(ids, [len(ids) * 9 // 10])
overall = (np.bincount(seen, minlength=n_vocab) + 1) / (len(seen) + n_vocab)
pairs = count_pairs(seen[None], n_vocab, vocabulary.pad_id)
table = np.log(pairs + 200 * overall)

def nats_a_word(scores):
    return -log_softmax(scores)[np.arange(len(unseen) - 1), unseen[1:]].mean()

print(f"unknown words: {np.mean(ids == vocabulary.unk_id):.1%}")
print(f"knows nothing         {np.log(n_vocab):.2f} nats a word")
print(f"how common words are  {nats_a_word(np.broadcast_to(np.log(overall), (len(unseen) - 1, n_vocab))):.2f}")
print(f"bigram                {nats_a_word(embed(unseen[:-1], table)):.2f}")

# %% [markdown]
# Knowing how common each word is helps a lot, and knowing one word of the past helps again. What came after *you*, by
# the counts alone? And what does the model write from there?

# %%
ids = vocabulary.encode(" ".join(text))
with np.errstate(divide="ignore"):
    table = np.log(count_pairs(ids[None], n_vocab, vocabulary.pad_id))

you = bigram_next(vocabulary.encode("you"), table)[0]
top = np.argsort(-you)[:8]
figures.next_words([vocabulary.words[i] for i in top], you[top], f"after \"you\": the eight likeliest of {n_vocab:,}")

# %%
rng = np.random.default_rng(3)
text = [vocabulary.encode("you")[0]]
for _ in range(30):
    text.append(rng.choice(n_vocab, p=bigram_next(text[-1], table)))
print(textwrap.fill(vocabulary.decode(text), 100))

# %% [markdown]
# Each pair of neighbors occurs in the documentation, and no sentence does. It takes more than one word of the past.
# Next, words look at all the words before them.
#
# ### Test yourself
#
# <details><summary>Two words have the same embedding. Can any model that reads them tell them apart?</summary>
#
# By their positions, yes; as words, never. Whatever comes after the table sees the same numbers.
#
# </details>
# <details><summary>The table of GPT-2's small model has 50,257 rows and 768 columns (Radford et al., 2019). How many
# numbers is that?</summary>
#
# 50,257 times 768 is 38,597,376: nearly a third of that model's 124 million parameters.
#
# </details>
# <details><summary>Why are cosines needed, when sines alone would give every position other numbers?</summary>
#
# With a sine alone you cannot tell a wave that is going up from one that is coming down, and no matrix can turn the
# clock: the sum formulas need both.
#
# </details>
#
# ### Where to read on
#
# - Vaswani et al., "Attention is all you need", 2017: embeddings (3.4), positional encoding (3.5).
# - Bengio et al., "A neural probabilistic language model", 2003: words as learned vectors.
# - Shannon, "A mathematical theory of communication", 1948, section 3: text from bigrams, drawn by hand.
# - Press, Smith and Lewis, "Train short, test long", 2022: what happens beyond the length of training.
#
# `progress()` in a new cell shows the map. Next comes [chapter 03](03_attention.ipynb): words look at each other.
