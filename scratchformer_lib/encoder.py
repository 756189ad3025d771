"""The encoder: a stack that reads. Made from solutions/06_encoder.py: edit there."""
import math

import numpy as np

from .block import gelu, init_block, init_layer_norm, layer_norm
from .block import transformer_block as encoder_layer
from .embeddings import embed, positional_encoding
from .support.arguments import check_axes, check_count, check_ids, check_stack


def embed_sequence(ids, table, scale=True):
    """Turn ids into what a stack of blocks takes: the words' vectors, with their positions added.

    ids: (..., T), whole numbers. table: (n_vocab, D).
    scale: multiply the words' vectors by the root of D first, as the paper does.
    Returns (..., T, D), of the table's dtype. Raises ValueError where an id is not the number of a row.
    Source: Vaswani et al., "Attention is all you need", 2017, sections 3.4 and 3.5.
    """
    check_ids("ids", ids, len(table))
    check_axes("ids", np.asarray(ids), 1)
    length, d_model = np.shape(ids)[-1], table.shape[-1]
    factor = math.sqrt(d_model) if scale else 1.0
    return factor * embed(ids, table) + positional_encoding(length, d_model, table.dtype)


def layers_of(params):
    """The layers of a stack, in order, as pairs of name and parameters."""
    return [(name, params[name]) for name in params if name.startswith("layer")]


def record_of(record, name):
    """The part of a record that belongs to a layer; None where nothing is recorded."""
    return None if record is None else record.setdefault(name, {})


def encoder(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    """Send a sequence through a stack of layers.

    x: (..., S, D). params: a dict of "layer_1", "layer_2" and so on, and of "norm" for pre-norm; see init_encoder.
    n_heads, mask, pre_norm, activation, rate, rng: as in transformer_block.
    record: a dict that receives, by layer, a dict of "attention", the weights (..., H, S, S).
    Returns (..., S, D): a vector for every position. Raises ValueError where shapes do not fit, or where a layer or
    the norm is missing.
    Source: Vaswani et al., "Attention is all you need", 2017, section 3.1; the final norm: Xiong et al., "On layer
    normalization in the Transformer architecture", 2020.
    """
    check_stack(params, pre_norm)
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


def init_encoder(rng, n_layers, d_model, n_heads, d_ff, d_k=None, d_v=None, pre_norm=False):
    """Draw the parameters of encoder.

    rng: a np.random.Generator. n_layers: at least 1. d_model: D. n_heads: H. d_ff: F.
    d_k, d_v: sizes of a head; D / H if None. pre_norm: add a final norm.
    Returns a dict of "layer_1", "layer_2" and so on, as init_block draws them, and for pre-norm of "norm".
    Raises ValueError for sizes below 1, or where d_model is not divisible by n_heads and d_k or d_v is missing.
    """
    check_count("n_layers", n_layers)
    layers = {f"layer_{i + 1}": init_block(rng, d_model, n_heads, d_ff, d_k, d_v) for i in range(n_layers)}
    return layers | ({"norm": init_layer_norm(d_model)} if pre_norm else {})
