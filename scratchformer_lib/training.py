"""Training. Made from solutions/08_transformer.py: edit there."""
import numpy as np

from .softmax import log_softmax
from .support.arguments import check_ids, check_targets


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
    return ids[:, :-1], ids[:, 1:]


def cross_entropy(logits, targets, ignore_id=None, label_smoothing=0.0):
    """The mean surprise at the right words, in nats.

    logits: (..., n_vocab). targets: (...), ids of the right words. ignore_id: an id that does not count: padding.
    label_smoothing: the share of the truth that is spread evenly over all words, at least 0, below 1.
    Returns a number. Raises ValueError where shapes do not fit, an id is not in the vocabulary, or nothing counts.
    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, section 7 (smoothing).
    """
    check_targets(logits, targets, ignore_id, label_smoothing)
    targets = np.asarray(targets)
    log_p = log_softmax(logits)
    loss = -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    if label_smoothing:
        loss = (1 - label_smoothing) * loss - label_smoothing * np.mean(log_p, axis=-1)
    return np.mean(loss[targets != ignore_id])
