# %% [markdown]
# # 02 · Embeddings: words become vectors
#
# <!-- badges -->
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/scratchformer/scratchformer/blob/main/chapters/02_embeddings.ipynb)
# [![Open in Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/scratchformer/scratchformer/main?labpath=chapters/02_embeddings.ipynb)
# <!-- /badges -->

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

from scratchformer_lib.softmax import softmax
from scratchformer_lib.support.arguments import check_count, check_ids, check_texts, check_words

# %% [markdown]
# **Exercise 2.1.** Vocabulary

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
        check_words("words", words)
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

        ids: (T,) or (B, T), whole numbers.
        Returns a text, or a list of B texts. Raises ValueError for an id that is none of ours.
        """
        check_ids("ids", ids, len(self))
        if np.ndim(ids) > 1:
            return [self.decode(row) for row in ids]
        return " ".join(self.words[i] for i in ids if i != self.pad_id)

# %%
check(Vocabulary)

# %%
#| export
def init_embedding(rng, n_vocab, d_model):
    """Draw an embedding table: a row of d_model numbers for each of n_vocab ids.

    Returns (n_vocab, d_model), float32; a row's length is about 1.
    """
    check_count("n_vocab", n_vocab)
    check_count("d_model", d_model)
    return rng.standard_normal((n_vocab, d_model), dtype=np.float32) / math.sqrt(d_model)

# %% [markdown]
# **Exercise 2.2.** embed

# %%
#| export
def embed(ids, table):
    """Look ids up in a table: each becomes its row.

    ids: whole numbers, of any shape. table: (n_vocab, D).
    Returns the shape of ids, and D more: (B, T) becomes (B, T, D).
    Raises ValueError where an id is not the number of a row.
    """
    check_ids("ids", ids, len(table))
    ### BEGIN SOLUTION
    return table[ids]
    ### END SOLUTION

# %%
check(embed)

# %% [markdown]
# **Exercise 2.3.** positional_encoding

# %%
#| export
def positional_encoding(length, d_model, dtype=np.float32):
    """Give every position a vector of waves: sin and cos in turns, each pair slower than the one before.

    length: T, the number of positions. d_model: D, the number of waves; it may be odd.
    Returns (T, D), of the given dtype.
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

# %% [markdown]
# **Exercise 2.4.** shift_matrix

# %%
#| export
def shift_matrix(k, d_model, dtype=np.float32):
    """Make the matrix that moves every position k steps on: positional_encoding[p] @ it is positional_encoding[p + k].

    k: a whole number, which may be negative. d_model: D, even.
    Returns (D, D), of the given dtype.
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

# %% [markdown]
# **Exercise 2.5.** bigram_next

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
