"""The small models that the course shows before its readers can train their own. train.py makes them."""
from pathlib import Path

import numpy as np

from ...embeddings import Vocabulary
from ...gpt import GPTConfig, TransformerLM, generate_text
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


def writer(trained=True):
    """The language model of chapter 12: (a TransformerLM, its vocabulary). trained: False for random parameters."""
    config, params = load("writer")
    vocabulary = Vocabulary(config["words"])
    sizes = GPTConfig(len(vocabulary), d_model=params["table"].shape[1], n_heads=config["n_heads"], n_layers=2,
                      d_ff=16, max_length=16, positions="sinusoidal", dropout=0.0, end_id=Vocabulary.end_id)
    if not trained:
        return TransformerLM.random(sizes, np.random.default_rng(0)), vocabulary
    return TransformerLM(sizes, params), vocabulary


def write(rng, n=None, trained=True):
    """Write a sentence, a word after the other, until it ends; or a list of n. rng: a np.random.Generator."""
    return generate_text(*writer(trained), "" if n is None else [""] * n, rng=rng)
