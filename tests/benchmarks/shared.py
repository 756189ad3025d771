"""What all variants of a model have in common: its sizes, its first weights, its data, and how it is trained."""
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))    # so that any Python with NumPy can run this

import numpy as np

from scratchformer_lib.gpt import GPTConfig, TransformerLM, init_transformer_lm
from scratchformer_lib.training import teacher_forcing_pair
from scratchformer_lib.transformer import TransformerConfig, init_transformer

RATE, BETAS, WEIGHT_DECAY, MAX_NORM = 1e-3, (0.9, 0.99), 0.1, 1.0


@dataclass(frozen=True)
class Sizes:
    """B rows of T words in a batch, D numbers for a word, H heads, 4 D numbers inside of a feed-forward part."""
    B: int
    T: int
    D: int
    H: int
    n_layers: int
    n_vocab: int


SIZES = {"GPT": Sizes(B=12, T=64, D=128, H=4, n_layers=4, n_vocab=65),
         "encoder-decoder": Sizes(B=64, T=12, D=64, H=4, n_layers=2, n_vocab=20)}


def config_of(sizes):
    """The encoder-decoder with n_layers on either side: post-norm, ReLU, no dropout."""
    return TransformerConfig(sizes.n_vocab, sizes.n_vocab, sizes.D, sizes.H, 4 * sizes.D, sizes.n_layers,
                             sizes.n_layers, max_length=sizes.T, dropout=0.0)


def first_params(model, sizes):
    """The weights at the beginning, as the library draws them."""
    rng = np.random.default_rng(0)
    if model == "encoder-decoder":
        return init_transformer(rng, config_of(sizes))
    return init_transformer_lm(rng, gpt_config(sizes))


def gpt_config(sizes):
    """The GPT: pre-norm, GELU, learned positions, tied, no dropout."""
    return GPTConfig(sizes.n_vocab, sizes.D, sizes.H, sizes.n_layers, max_length=sizes.T, dropout=0.0)


def writer(sizes):
    """A GPT that writes. Its positions are loud, so that it does not write one token again and again."""
    model = TransformerLM.random(gpt_config(sizes), np.random.default_rng(0))
    model.params["positions"] *= 8
    return model


def batches(model, sizes, n=4):
    """n batches: ids and labels (B, T); for the encoder-decoder with a source (B, T) before them. Words only."""
    rng = np.random.default_rng(1)

    def draw(length):
        return rng.integers(4, sizes.n_vocab, (sizes.B, length))

    sources = [(draw(sizes.T),) if model == "encoder-decoder" else () for _ in range(n)]
    return [(*source, *teacher_forcing_pair(draw(sizes.T + 1))) for source in sources]
