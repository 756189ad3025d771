"""The small models that the course shows before its readers can train their own. train.py makes them."""
from pathlib import Path

import numpy as np

from ...attention import causal_mask
from ...embeddings import Vocabulary
from ...encoder import embed_sequence, encoder
from ...softmax import softmax
from ...support.files import load_model
from ...transformer import Transformer, TransformerConfig

FOLDER = Path(__file__).parent


def load(name):
    """Read a model: (config, params).

    name: "heads", "writer", "blanks", "blanks_causal" or "translator"; see train.py.
    Returns its config, a dict of plain values, and its parameters, nested dicts of float32 arrays.
    """
    return load_model(FOLDER / f"{name}.npz", name)


def translator():
    """Numbers from English to German.

    Returns (a Transformer, the vocabulary of its source, that of its target, the numbers that it was never shown).
    """
    config, params = load("translator")
    source, target = Vocabulary(config["source"]), Vocabulary(config["target"])
    return Transformer(TransformerConfig(**config["sizes"]), params), source, target, config["never_seen"]


def translate(text):
    """Translate a number, such as "forty two"."""
    model, source, target, _ = translator()
    return target.decode(model.greedy_decode(source.encode([text]))[0]).removesuffix(" <END>")


def write(rng):
    """Write a sentence: draw one word after another, until it ends. rng: a np.random.Generator."""
    config, params = load("writer")
    vocabulary, ids = Vocabulary(config["words"]), [Vocabulary.start_id]
    while ids[-1] != Vocabulary.end_id and len(ids) < 20:
        x = encoder(embed_sequence(np.array(ids), params["table"]), params["blocks"], config["n_heads"],
                    causal_mask(len(ids)), pre_norm=True)
        shares = softmax((x[-1] @ params["table"].T).astype(np.float64))
        ids.append(int(rng.choice(len(vocabulary), p=shares)))
    return vocabulary.decode(ids[1:]).removesuffix(" <END>")
