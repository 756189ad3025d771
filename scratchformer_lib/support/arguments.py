"""Checks of arguments: each raises a ValueError that names the argument, what it was, and what it must be.

They look at shapes alone, never at the numbers of what may be differentiated.
"""
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


def check_mask(mask, shape):
    """Bool, and (T, S) or as many axes as the scores, of their size or 1. shape: that of the scores."""
    check_bool(mask)
    pairs = zip(mask.shape[::-1], shape[::-1], strict=False)
    if mask.ndim not in (2, len(shape)) or any(m not in (1, n) for m, n in pairs):
        every = f", or {len(shape)} axes, each of size 1 or as in {tuple(shape)}" if len(shape) > 2 else ""
        raise ValueError(f"mask must have the shape (T, S) = {tuple(shape[-2:])}{every}; got {mask.shape}")


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


def check_bool(mask):
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        kind = f"dtype {mask.dtype}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise ValueError(f"mask must be an array of bool, True where a query may look; got {kind}")


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
    check_sequence("x", x)
    check_keys("params", params, "attention", "norm_1", "feed_forward", "norm_2")
    check_keys("attention", params["attention"], "W_Q", "W_K", "W_V", "W_O")
    check_keys("feed_forward", params["feed_forward"], "W_1", "b_1", "W_2", "b_2")
    attention, feed = params["attention"], params["feed_forward"]
    check_multi_head(x, x, **attention, n_heads=n_heads, mask=mask)
    check_linear(x.shape[-1], feed["W_1"], feed["b_1"], ("W_1", "b_1"))
    check_linear(feed["W_1"].shape[1], feed["W_2"], feed["b_2"], ("W_2", "b_2"))
    for name, W in (("W_O", attention["W_O"]), ("W_2", feed["W_2"])):
        if W.shape[1] != x.shape[-1]:
            raise ValueError(f"{name} must have {x.shape[-1]} columns, as x has, to be added to it; "
                             f"got shape {W.shape}")
    for norm in ("norm_1", "norm_2"):
        check_keys(norm, params[norm], "gamma", "beta")
        for name, vector in params[norm].items():
            check_vector(f"{name} of {norm}", vector, x.shape[-1])
    check_rate("rate", rate)


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
