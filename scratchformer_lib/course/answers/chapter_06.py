"""The encoder: a stack that reads. Made from solutions/06_encoder.py: edit there."""
import numpy as np

from ...encoder import embed_sequence, encoder
from ...softmax import softmax


def hop(n, sharpness=30.0):
    """Set by hand a head that goes one hop along a chain of hints.

    Rows of x have three parts of n numbers each: whom it asks about, whom it is about, whom it points to.
    n: the number of names. sharpness: a factor on the scores; the larger, the closer the largest weight comes to 1.
    Returns a dict of W_Q, W_K, W_V (3n, n) and W_O (n, 3n).
    """
    zero, one = np.zeros((n, n)), np.eye(n)
    W_Q = sharpness * np.vstack([one, zero, zero])
    W_K = np.vstack([zero, one, zero])
    W_V = np.vstack([zero, -one, one])
    return {"W_Q": W_Q, "W_K": W_K, "W_V": W_V, "W_O": np.hstack([one, zero, zero])}


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
    x = encoder(embed_sequence(ids, table), params, n_heads, mask, pre_norm=True)
    return softmax(x[np.argmax(ids == blank_id)] @ W)
