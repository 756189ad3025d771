"""Embeddings: how words become vectors. Made from solutions/02_embeddings.py and solutions/11_gradients_by_hand.py:
edit there."""
import math

import numpy as np

from .autograd import differentiable
from .support.arguments import check_count, check_ids, check_texts, check_words


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
        if isinstance(text, str):
            return np.array([self.ids.get(word, self.unk_id) for word in text.split()])
        rows = [self.encode(one) for one in text]
        longest = max(len(row) for row in rows)
        return np.array([[*row, *[self.pad_id] * (longest - len(row))] for row in rows])

    def decode(self, ids):
        """Turn ids back into text, leaving <PAD> out.

        ids: (T,) or (B, T), whole numbers; or a single id.
        Returns a text; for (B, T) a list of B texts. Raises ValueError for an id that is not in the vocabulary.
        """
        check_ids("ids", ids, len(self))
        if np.ndim(ids) > 1:
            return [self.decode(row) for row in ids]
        return " ".join(self.words[i] for i in np.atleast_1d(ids) if i != self.pad_id)


def embed(ids, table):
    """Look ids up in a table: each becomes its row.

    ids: whole numbers, of any shape. table: (n_vocab, D).
    Returns (..., D), a row for each id: (B, T) becomes (B, T, D).
    Raises ValueError where an id is not the number of a row.
    """
    check_ids("ids", ids, len(table))
    return table[ids]


embed = differentiable(embed)


@embed.gradient
def embed_gradient(dy, y, ids, table):
    """The gradient of embed.

    dy: the gradient of y, (..., D). y: (..., D). ids: (...). table: (n_vocab, D).
    Returns (None, d_table): ids have no gradient; d_table is (n_vocab, D).
    """
    ids, rows = np.ravel(ids), dy.reshape(-1, dy.shape[-1])
    order = np.argsort(ids)                             # equal ids side by side: their rows add up
    found, first = np.unique(ids[order], return_index=True)
    d_table = np.zeros_like(table)
    d_table[found] = np.add.reduceat(rows[order], first)
    return None, d_table


def init_embedding(rng, n_vocab, d_model):
    """Draw an embedding table: a row of d_model numbers for each of n_vocab ids.

    rng: a np.random.Generator.
    Returns (n_vocab, d_model), float32; a row's length is about 1. Raises ValueError for sizes below 1.
    """
    check_count("n_vocab", n_vocab)
    check_count("d_model", d_model)
    return rng.standard_normal((n_vocab, d_model), dtype=np.float32) / math.sqrt(d_model)


def positional_encoding(length, d_model, dtype=np.float32):
    """Give every position a vector of waves: sin and cos in turns, each pair slower than the one before.

    length: T, the number of positions. d_model: D, the number of waves; it may be odd.
    Returns (T, D), of the given dtype. Raises ValueError for sizes below 1.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.5.
    """
    check_count("length", length)
    check_count("d_model", d_model)
    position, column = np.arange(length)[:, None], np.arange(d_model)
    angle = position / 10000 ** (column // 2 * 2 / d_model)
    return np.where(column % 2 == 0, np.sin(angle), np.cos(angle)).astype(dtype)


def shift_matrix(k, d_model, dtype=np.float32):
    """Make the matrix that moves every position k steps on: positional_encoding[p] @ it is positional_encoding[p + k].

    k: how many positions, negative for back. d_model: D, even.
    Returns (D, D), of the given dtype. Raises ValueError where d_model is odd.
    """
    check_count("d_model", d_model)
    if d_model % 2:
        raise ValueError(f"d_model must be even, so that every sine has its cosine; got {d_model}")
    shift = np.zeros((d_model, d_model), dtype)
    for i in range(0, d_model, 2):
        angle = k / 10000 ** (i / d_model)
        shift[i:i + 2, i:i + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return shift
