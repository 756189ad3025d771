"""Checks of arguments: each raises a ValueError that names the argument, what it was, and what it must be.

They look at shapes alone, never at the numbers of what may be differentiated.
"""
import math
import numbers

import numpy as np


def check_count(name, n, least=1):
    """A whole number, at least `least`."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < least:
        raise ValueError(f"{name} must be a whole number, at least {least}; got {n!r}")


def check_ids(name, ids, n_vocab=None):
    """Whole numbers, at least one of them; from 0 to n_vocab - 1 where that is given."""
    ids = np.asarray(ids)
    if ids.size == 0:
        raise ValueError(f"{name} must hold at least one id; got shape {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise ValueError(f"{name} must be whole numbers; got dtype {ids.dtype}")
    low, high = ids.min(), ids.max()
    if n_vocab is not None and (low < 0 or high >= n_vocab):
        wrong = low if low < 0 else high
        raise ValueError(f"{name} must lie between 0 and {n_vocab - 1}, for a vocabulary of {n_vocab}; got {wrong}")


def check_words(name, words):
    """Words: no spaces in them, none empty. Returns them as a list."""
    if isinstance(words, str):
        raise ValueError(f"{name} must be a list of words; got one text, {words[:20]!r}. Split it: text.split()")
    words = list(words)
    for word in words:
        if not isinstance(word, str) or word.split() != [word]:
            raise ValueError(f"{name} must be words without spaces; got {word!r}")
    return words


def check_texts(name, text):
    """A text with at least one word in it, or a list of such texts."""
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, (list, tuple)) or not texts:
        raise ValueError(f"{name} must be a text, or a list of at least one; got {text!r}")
    for one in texts:
        if not isinstance(one, str) or not one.split():
            raise ValueError(f"{name} must hold at least one word in every text; got {one!r}")


def check_unicode(name, text):
    """A str that UTF-8 can write, or bytes. Returns a str, in which each byte that is not UTF-8 is a lone surrogate."""
    if isinstance(text, (bytes, bytearray)):
        return text.decode("utf-8", "surrogateescape")
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a text, str or bytes; got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} must be Unicode; got a lone surrogate, {text[error.start]!r}, at {error.start}. "
                         "Give bytes instead, where they are not text") from None
    return text


def check_decodable(name, ids, n_vocab):
    """Whole numbers from 0 to n_vocab - 1, (T,) or a single one; there may be none."""
    if np.ndim(ids) > 1:
        raise ValueError(f"{name} must have shape (T,), one text; got {np.shape(ids)}")
    if np.size(ids):
        check_ids(name, ids, n_vocab)


def check_tokens(name, chunk):
    """A tuple or list of tokens: iterating over bytes gives numbers, and over a str no bytes."""
    if not isinstance(chunk, (tuple, list)):
        raise ValueError(f"{name} must be a tuple of tokens, such as (b'a', b'b'); got {chunk!r}")


def check_merges(name, merges):
    """Pairs of tokens (bytes), each of a single byte or made by a pair before; no two make the same."""
    known = {bytes([byte]) for byte in range(256)}
    for i, pair in enumerate(merges):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(x, bytes) for x in pair):
            raise ValueError(f"{name} must be pairs of bytes, such as (b'a', b'b'); got {pair!r} at {i}")
        if not known.issuperset(pair):
            raise ValueError(f"{name} must be made of single bytes and of what earlier pairs have made; got {pair!r} "
                             f"at {i}")
        if pair[0] + pair[1] in known:
            raise ValueError(f"{name} must each make a new token; got {pair!r} at {i}, which one before has made")
        known.add(pair[0] + pair[1])


def check_names(name, names):
    """Texts, none empty, none twice; not one text."""
    if isinstance(names, (str, bytes)):
        raise ValueError(f"{name} must be several names, such as (\"<END>\",); got one text, {names!r}")
    names = list(names)
    for i, one in enumerate(names):
        if not isinstance(one, str) or not one or one in names[:i]:
            raise ValueError(f"{name} must be different texts, none of them empty; got {one!r}")
        check_unicode(name, one)


def check_mask(mask, shape, name="mask"):
    """Bool, and (T, S) or as many axes as the scores, of their size or 1. shape: that of the scores."""
    check_bool(mask, name)
    pairs = zip(mask.shape[::-1], shape[::-1], strict=False)
    if mask.ndim not in (2, len(shape)) or any(m not in (1, n) for m, n in pairs):
        every = f", or {len(shape)} axes, each of size 1 or as in {tuple(shape)}" if len(shape) > 2 else ""
        raise ValueError(f"{name} must have the shape (T, S) = {tuple(shape[-2:])}{every}; got {mask.shape}")


def check_masks(masks):
    """Bool, and (T, S) or as many axes as the largest, of the same size or 1."""
    for mask in masks:
        check_bool(mask)
    most = max((mask.ndim for mask in masks), default=0)
    shapes = [mask.shape for mask in masks]
    try:
        np.broadcast_shapes(*shapes)
        fit = all(len(shape) in (2, most) for shape in shapes)
    except ValueError:
        fit = False
    if not fit:
        raise ValueError(f"masks must be (T, S), or have {most} axes as the largest has, and fit it; got shapes "
                         f"{', '.join(map(str, shapes))}")


def check_bool(mask, name="mask"):
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        kind = f"dtype {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ValueError(f"{name} must be an array of bool, True where a query may look; got {kind}")


def check_axes(name, x, least):
    """An array of at least so many axes."""
    if len(x.shape) < least:
        raise ValueError(f"{name} must have at least {least} {'axis' if least == 1 else 'axes'}; got shape {x.shape}")


def check_sequence(name, x):
    """(..., length, size), neither of them 0."""
    if len(x.shape) < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"{name} must have shape (..., length, size), neither of them 0; got {x.shape}")


def leading(**arrays):
    """The axes before (length, size) that all arrays have together."""
    try:
        return np.broadcast_shapes(*(x.shape[:-2] for x in arrays.values()))
    except ValueError:
        raise ValueError(f"{' and '.join(arrays)} must agree in all axes but the last two; got shapes "
                         f"{', '.join(str(x.shape) for x in arrays.values())}") from None


def check_attention(q, k, v, mask=None):
    """q (..., T, d_k), k (..., S, d_k), v (..., S, d_v), and a mask that fits their scores (..., T, S)."""
    for name, x in (("q", q), ("k", k), ("v", v)):
        check_sequence(name, x)
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"k must have rows as long as those of q, d_k = {q.shape[-1]}; got shape {k.shape}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"v must have one row for each key, S = {k.shape[-2]}; got shape {v.shape}")
    leading(q=q, k=k, v=v)
    if mask is not None:
        check_mask(mask, (*leading(q=q, k=k), q.shape[-2], k.shape[-2]))


def check_projections(x, memory, W_Q, W_K, W_V, mask=None, heads=()):
    """Matrices that make queries of x, keys and values of memory; a mask that fits the scores (..., *heads, T, S)."""
    check_sequence("x", x)
    check_sequence("memory", memory)
    for name, W, n_in in (("W_Q", W_Q, x.shape[-1]), ("W_K", W_K, memory.shape[-1]), ("W_V", W_V, memory.shape[-1])):
        check_linear(n_in, W, names=(name, ""))
    if W_Q.shape[1] != W_K.shape[1]:
        raise ValueError(f"W_K must have as many columns as W_Q, {W_Q.shape[1]}; got shape {W_K.shape}")
    scores = *leading(x=x, memory=memory), *heads, x.shape[-2], memory.shape[-2]
    if mask is not None:
        check_mask(mask, scores)


def check_multi_head(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    """The same for n_heads heads, and W_O, which takes what they bring."""
    check_heads("the columns of W_Q", W_Q.shape[-1], n_heads)
    check_heads("the columns of W_V", W_V.shape[-1], n_heads)
    check_projections(x, memory, W_Q, W_K, W_V, mask, heads=(n_heads,))
    check_linear(W_V.shape[1], W_O, names=("W_O", ""))


def check_block(x, params, n_heads, mask, rate):
    """The parameters of a block, as init_block draws them, for x (..., T, D)."""
    check_keys("params", params, "attention", "norm_1", "feed_forward", "norm_2")
    check_layer(x, params, n_heads, rate, attention=(x, "mask", mask))


def check_decoder_layer(x, memory, params, n_heads, mask, memory_mask, rate):
    """The parameters of a decoder layer, as init_decoder_layer draws them, for x (..., T, D), memory (..., S, D)."""
    check_keys("params", params, "self_attention", "norm_1", "cross_attention", "norm_2", "feed_forward", "norm_3")
    check_layer(x, params, n_heads, rate, self_attention=(x, "mask", mask),
                cross_attention=(memory, "memory_mask", memory_mask))


def check_layer(x, params, n_heads, rate, **attentions):
    """The parameters of a layer for x (..., T, D). attentions: by name, what is looked at, and its mask with a name."""
    for name, (memory, mask_name, mask) in attentions.items():
        check_keys(name, params[name], "W_Q", "W_K", "W_V", "W_O")
        check_multi_head(x, memory, **params[name], n_heads=n_heads)
        if leading(x=x, memory=memory) != x.shape[:-2]:
            raise ValueError(f"memory must fit the axes of x before (T, D), {x.shape[:-2]}; got shape {memory.shape}")
        if mask is not None:
            check_mask(mask, (*leading(x=x, memory=memory), n_heads, x.shape[-2], memory.shape[-2]), mask_name)
        check_columns(f"W_O of {name}", params[name]["W_O"], x)
    check_keys("feed_forward", params["feed_forward"], "W_1", "b_1", "W_2", "b_2")
    feed = params["feed_forward"]
    check_linear(x.shape[-1], feed["W_1"], feed["b_1"], ("W_1", "b_1"))
    check_linear(feed["W_1"].shape[1], feed["W_2"], feed["b_2"], ("W_2", "b_2"))
    check_columns("W_2", feed["W_2"], x)
    for norm in (name for name in params if name.startswith("norm")):
        check_keys(norm, params[norm], "gamma", "beta")
        for name, vector in params[norm].items():
            check_vector(f"{name} of {norm}", vector, x.shape[-1])
    check_rate("rate", rate)


def check_columns(name, W, x):
    if W.shape[1] != x.shape[-1]:
        raise ValueError(f"{name} must have {x.shape[-1]} columns, as x has, to be added to it; got shape {W.shape}")


def check_stack(params, pre_norm):
    """Layers in order, "layer_1", "layer_2" and so on; and a final "norm" with pre_norm, and only then."""
    if not isinstance(params, dict) or "layer_1" not in params:
        got = ", ".join(map(str, params)) if isinstance(params, dict) else type(params).__name__
        raise ValueError(f"params must be a dict with at least one layer, \"layer_1\"; got {got or 'nothing'}")
    names = [f"layer_{i + 1}" for i in range(len(params) - bool(pre_norm))] + ["norm"] * bool(pre_norm)
    if list(params) != names:
        raise ValueError(f"params must be a dict of {', '.join(names)}, in this order, with \"norm\" if pre_norm is "
                         f"true; got {', '.join(map(str, params))}")
    if pre_norm:
        check_keys("norm", params["norm"], "gamma", "beta")


def check_pair(config, src, tgt):
    """Ids of a batch of sources (B, S) and of its targets (B, T), for a Transformer of this config."""
    check_batch("src", src, config.n_src_vocab, config.max_length)
    check_batch("tgt", tgt, config.n_tgt_vocab, config.max_length)
    if len(src) != len(tgt):
        raise ValueError(f"src and tgt must have as many rows as each other, one for each sequence of the batch; got "
                         f"shapes {np.shape(src)} and {np.shape(tgt)}")


def check_batch(name, ids, n_vocab=None, max_length=None):
    """A rectangle of ids, (B, T)."""
    check_ids(name, ids, n_vocab)
    if np.ndim(ids) != 2:
        raise ValueError(f"{name} must be a batch of ids, (B, T); got shape {np.shape(ids)} (one sequence: ids[None])")
    if max_length is not None:
        check_length(f"the length of {name}", np.shape(ids)[1], max_length)


def check_length(name, length, max_length):
    check_count(name, length)
    if length > max_length:
        raise ValueError(f"{name} must be at most max_length = {max_length}, as the config says; got {length}")


def check_targets(logits, targets, ignore_id, label_smoothing=0.0):
    """Logits (..., n_vocab), and a target for each of their rows, of which at least one counts."""
    check_axes("logits", logits, 1)
    check_ids("targets", targets, logits.shape[-1])
    if np.shape(targets) != logits.shape[:-1]:
        raise ValueError(f"targets must have shape {logits.shape[:-1]}, an id for each row of logits; "
                         f"got {np.shape(targets)}")
    if np.all(np.asarray(targets) == ignore_id):
        raise ValueError(f"targets must hold at least one id that counts; all of them are ignore_id = {ignore_id}")
    check_rate("label_smoothing", label_smoothing)


def check_config(config):
    """The fields of a TransformerConfig."""
    for name in ("n_src_vocab", "n_tgt_vocab"):
        check_count(name, getattr(config, name), least=3)       # <PAD>, <START> and <END> have to be there
    check_sizes(config, "d_ff", "n_encoder_layers", "n_decoder_layers")
    check_bools(config, "pre_norm", "scale_embeddings", "shared_embeddings", "tied_output")
    if config.shared_embeddings and config.n_src_vocab != config.n_tgt_vocab:
        raise ValueError(f"n_tgt_vocab must be n_src_vocab = {config.n_src_vocab}, where embeddings are shared; "
                         f"got {config.n_tgt_vocab}")


def check_gpt_config(config):
    """The fields of a GPTConfig."""
    check_sizes(config, "n_vocab", "n_layers", *(["d_ff"] if config.d_ff is not None else []))
    check_bools(config, "pre_norm", "tied_output")
    check_one_of(config, "positions", "learned", "sinusoidal")
    if config.end_id is not None:
        check_count("end_id", config.end_id, least=0)
        check_ids("end_id", config.end_id, config.n_vocab)


def check_sizes(config, *names):
    """What every config has: sizes, heads that share d_model, an activation, dropout. names: further sizes."""
    for name in (*names, "d_model", "n_heads", "max_length"):
        check_count(name, getattr(config, name))
    for name in ("d_k", "d_v"):
        if getattr(config, name, None) is None:
            check_heads(f"d_model, where {name} is not given," if hasattr(config, name) else "d_model", config.d_model,
                        config.n_heads)
        else:
            check_count(name, getattr(config, name))
    check_one_of(config, "activation", "relu", "gelu")
    check_rate("dropout", config.dropout)


def check_bools(config, *names):
    for name in names:
        if not isinstance(getattr(config, name), bool):
            raise ValueError(f"{name} must be True or False; got {getattr(config, name)!r}")


def check_one_of(config, name, *choices):
    if getattr(config, name) not in choices:
        quoted = " or ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {quoted}; got {getattr(config, name)!r}")


def check_share(name, p):
    if not isinstance(p, numbers.Real) or not 0 < p <= 1:
        raise ValueError(f"{name} must be a share above 0, at most 1; got {p!r}")


def check_stream(stream, length):
    """Ids (N,), more than `length` of them."""
    check_count("length", length)
    check_ids("stream", stream)
    if np.ndim(stream) != 1 or len(stream) <= length:
        raise ValueError(f"stream must be one row of more than {length} ids, so that every token of a row has one that "
                         f"comes next; got shape {np.shape(stream)}")


def check_prompts(prompt, n_vocab):
    """Ids (T,), or several such rows of any lengths. Returns a list of lists."""
    if not isinstance(prompt, (list, tuple, np.ndarray)) or len(prompt) == 0:
        raise ValueError(f"prompt must be ids (T,), at least one, such as that of <START>, or a list of such rows; got "
                         f"{prompt!r}")
    prompts = [prompt] if np.ndim(prompt[0]) == 0 else prompt
    for one in prompts:
        if not isinstance(one, (list, tuple, np.ndarray)) or not all(np.isscalar(i) for i in one):
            raise ValueError(f"each prompt must be a row of ids; got {one!r}")
        check_ids("each prompt", one, n_vocab)
    return [np.asarray(one).tolist() for one in prompts]


def check_choice(rng, temperature, top_k, top_p):
    """How a token is drawn: with a generator, else there is nothing to choose."""
    check_at_least_0("temperature", temperature)
    if top_k is not None:
        check_count("top_k", top_k)
    if top_p is not None:
        check_share("top_p", top_p)
    if rng is None and (temperature not in (0, 1) or top_k is not None or top_p is not None):
        raise ValueError("rng must be a np.random.Generator where temperature, top_k or top_p is given; without one "
                         "nothing is drawn, and the likeliest token is taken")
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a np.random.Generator, as np.random.default_rng(0) makes it; got {rng!r}")


def check_known(name, texts, vocabulary, n_vocab):
    """A text, or a list of texts, of words that a vocabulary of n_vocab words has, the special ones left out."""
    if len(vocabulary) != n_vocab:
        raise ValueError(f"vocabulary must be the model's, of {n_vocab} words; got one of {len(vocabulary)}")
    for text in [texts] if isinstance(texts, str) or not hasattr(texts, "__iter__") else texts:
        if not isinstance(text, str):
            raise ValueError(f"{name} must be a text, or a list of texts; got {text!r}")
        for word in text.split():
            if word not in vocabulary.ids or word in vocabulary.SPECIAL:
                raise ValueError(f"{name} must be of words that the model knows; got {word!r}")


def check_cache(cache, x, W_K, W_V, n_heads, mask=None):
    """Empty, or "k" (B, H, S, d_k) and "v" (B, H, S, d_v) of positions before x (B, T, D); a mask of S + T columns."""
    if cache:
        check_keys("cache", cache, "k", "v")
        for name, W in (("k", W_K), ("v", W_V)):
            shape, wanted = cache[name].shape, (*x.shape[:-2], n_heads, cache["k"].shape[-2], W.shape[1] // n_heads)
            if shape != wanted:
                raise ValueError(f"the cache's {name} must have shape {wanted}; got {shape}")
    T, S = x.shape[-2], cache["k"].shape[-2] if cache else 0
    if mask is not None:
        check_bool(mask)
    if mask is not None and mask.shape[-1] not in (1, S + T):
        raise ValueError(f"mask must have a column for each of the {S} positions in the cache and the {T} new ones, "
                         f"{S + T}; got shape {mask.shape}")


def check_pieces(pieces, *known):
    """Names of pieces that there are."""
    if isinstance(pieces, str):
        raise ValueError(f"pieces must be several names, such as {{{known[0]!r}}}; got one text, {pieces!r}")
    for piece in pieces:
        if piece not in known:
            raise ValueError(f"pieces must be some of {', '.join(known)}; got {piece!r}")


def check_at_least_0(name, x):
    if not isinstance(x, numbers.Real) or not 0 <= x < math.inf:
        raise ValueError(f"{name} must be a number, at least 0; got {x!r}")


def check_keys(name, params, *keys):
    """A dict with exactly these keys."""
    if set(params) != set(keys):
        raise ValueError(f"{name} must be a dict of {', '.join(keys)}; got {', '.join(map(str, params)) or 'nothing'}")


def check_linear(n_in, W, b=None, names=("W", "b")):
    """W (n_in, n_out) and b (n_out,). n_in: the size of the rows that W is applied to."""
    if len(W.shape) != 2 or W.shape[0] != n_in:
        raise ValueError(f"{names[0]} must have shape ({n_in}, n_out), a row for each input; got {W.shape}")
    if b is not None and b.shape != W.shape[1:]:
        raise ValueError(f"{names[1]} must have shape {W.shape[1:]}, a number for each output; got {b.shape}")


def check_heads(name, size, n_heads):
    """A size that n_heads heads share evenly."""
    check_count("n_heads", n_heads)
    if size % n_heads:
        raise ValueError(f"{name} must be divisible by n_heads = {n_heads}; got {size}")


def check_rate(name, rate):
    """A share that may be dropped: 0 <= rate < 1. A NumPy float64 would turn float32 into float64."""
    if isinstance(rate, np.generic):
        raise ValueError(f"{name} must be a Python number, which leaves float32 as it is; got {rate!r}")
    if not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
        raise ValueError(f"{name} must be at least 0 and below 1; got {rate!r}")


def check_vector(name, v, size):
    """(size,)"""
    if v.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), the size of x's last axis; got {v.shape}")


def check_tree(params, name="params"):
    """Nested dicts of arrays of floats, with names that have no "/" in them, which puts names together."""
    if isinstance(params, dict):
        for key, part in params.items():
            if not isinstance(key, str) or "/" in key:
                raise ValueError(f"{name} must have names without \"/\"; got {key!r}")
            check_tree(part, f"{name}[{key!r}]")
    elif not isinstance(params, np.ndarray) or params.dtype.kind != "f":
        got = f"dtype {params.dtype}" if isinstance(params, np.ndarray) else type(params).__name__
        raise ValueError(f"{name} must be an array of floats, or a dict of such; got {got}")
