"""The decoder: a stack that writes. Made from solutions/07_decoder.py: edit there."""
from .block import dropout, feed_forward, gelu, init_feed_forward, init_layer_norm, layer_norm
from .encoder import layers_of, record_of
from .multi_head import init_multi_head, multi_head_attention
from .support.arguments import check_count, check_decoder_layer, check_stack


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

    if pre_norm:
        y = norm(x, "norm_1")
        x = x + attend(y, y, "self_attention", mask)
        x = x + attend(norm(x, "norm_2"), memory, "cross_attention", memory_mask)
        return x + think(norm(x, "norm_3"))
    x = norm(x + attend(x, x, "self_attention", mask), "norm_1")
    x = norm(x + attend(x, memory, "cross_attention", memory_mask), "norm_2")
    return norm(x + think(x), "norm_3")


def init_decoder_layer(rng, d_model, n_heads, d_ff, d_k=None, d_v=None):
    """Draw the parameters of decoder_layer.

    rng: a np.random.Generator. d_model: D. n_heads: H. d_ff: F. d_k, d_v: sizes of a head; D / H if None.
    Returns a dict of "self_attention", "norm_1", "cross_attention", "norm_2", "feed_forward" and "norm_3", each a dict
    of float32 arrays. Raises ValueError where d_model is not divisible by n_heads and d_k or d_v is missing.
    """
    return {"self_attention": init_multi_head(rng, d_model, n_heads, d_k, d_v), "norm_1": init_layer_norm(d_model),
            "cross_attention": init_multi_head(rng, d_model, n_heads, d_k, d_v), "norm_2": init_layer_norm(d_model),
            "feed_forward": init_feed_forward(rng, d_model, d_ff), "norm_3": init_layer_norm(d_model)}


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
    for name, layer in layers_of(params):
        x = decoder_layer(x, memory, layer, n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                          record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


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
