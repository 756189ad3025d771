"""The decoder: against PyTorch, and by its properties."""
import re
from types import SimpleNamespace

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.attention import causal_mask, combine_masks, padding_mask
from scratchformer_lib.block import feed_forward, gelu, init_feed_forward, init_layer_norm, layer_norm, relu
from scratchformer_lib.decoder import decoder, decoder_layer, init_decoder, init_decoder_layer
from scratchformer_lib.multi_head import init_multi_head, multi_head_attention
from scratchformer_lib.support.files import flat, nested

ACTIVATIONS = {"relu": relu, "gelu": gelu}
few = settings(max_examples=25, deadline=None)
both_norms = pytest.mark.parametrize("pre_norm", [False, True])
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def our_decoder(x, memory, ids, ids_memory, n_heads, pre_norm, activation, **params):
    mask = combine_masks(causal_mask(x.shape[-2]), padding_mask(ids, 0))
    return decoder(x, memory, nested(params), n_heads, mask, padding_mask(ids_memory, 0), pre_norm,
                   ACTIVATIONS[activation])


@pytest.mark.parametrize("case", parity.stored("decoder"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, our_decoder(**case.inputs))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("decoder"):
        parity.agrees(case, our_decoder(**case.inputs))


def shaken(rng, params, dtype=np.float64):
    """Drawn parameters, with biases, gamma and beta that are not 0 and 1."""
    return nested({name: (p if p.ndim == 2 else p + rng.standard_normal(p.shape)).astype(dtype)
                   for name, p in flat(params).items()})


@st.composite
def decoders(draw):
    """A target x (B, T, D), a memory (B, S, D), what else a decoder takes, and a generator for more."""
    n_layers, B, T, S, D, H, F, d_k, seed = draw(st.tuples(st.integers(1, 3), *[st.integers(1, 4)] * 7,
                                                           st.integers(0, 1000)))
    rng, pre_norm = np.random.default_rng(seed), draw(st.booleans())
    params = shaken(rng, init_decoder(rng, n_layers, 2 * D, H, F, d_k, 3, pre_norm))
    options = {"params": params, "n_heads": H, "pre_norm": pre_norm,
               "activation": draw(st.sampled_from([relu, gelu]))}
    return rng.standard_normal((B, T, 2 * D)), rng.standard_normal((B, S, 2 * D)), options, rng


def same(got, expected):
    return np.allclose(got, expected, rtol=1e-11, atol=1e-11)


# The stack and its layers

@few
@given(decoders())
def test_a_stack_is_its_layers_one_after_the_other_and_all_read_the_same_memory(drawn):
    x, memory, options, _ = drawn
    params = options.pop("params")
    masks = {"mask": causal_mask(x.shape[1]), "memory_mask": np.tri(x.shape[1], memory.shape[1], dtype=bool)}
    y, pre_norm = x, options["pre_norm"]
    for i in range(len(params) - pre_norm):
        y = decoder_layer(y, memory, params[f"layer_{i + 1}"], **options, **masks)
    if pre_norm:
        y = layer_norm(y, **params["norm"])
    assert np.array_equal(decoder(x, memory, params, **options, **masks), y)


@few
@given(decoders())
def test_a_layer_adds_what_its_three_parts_say(drawn):
    x, memory, options, _ = drawn
    params, H, activation = options["params"]["layer_1"], options["n_heads"], options["activation"]
    mask, memory_mask = causal_mask(x.shape[1]), np.tri(x.shape[1], memory.shape[1], dtype=bool)
    norm_1, norm_2, norm_3 = (lambda y, k=k: layer_norm(y, **params[f"norm_{k}"]) for k in (1, 2, 3))

    def look(y):
        return multi_head_attention(y, y, **params["self_attention"], n_heads=H, mask=mask)[0]

    def read(y):
        return multi_head_attention(y, memory, **params["cross_attention"], n_heads=H, mask=memory_mask)[0]

    def think(y):
        return feed_forward(y, **params["feed_forward"], activation=activation)
    if options["pre_norm"]:
        looked = x + look(norm_1(x))
        informed = looked + read(norm_2(looked))
        expected = informed + think(norm_3(informed))
    else:
        looked = norm_1(x + look(x))
        informed = norm_2(looked + read(looked))
        expected = norm_3(informed + think(informed))
    assert same(decoder_layer(x, memory, params, H, mask, memory_mask, options["pre_norm"], activation), expected)


@few
@given(decoders())
def test_what_comes_later_changes_nothing_before_it(drawn):
    x, memory, options, rng = drawn
    t, mask = rng.integers(0, x.shape[1]), causal_mask(x.shape[1])
    other = x.copy()
    other[:, t + 1:] = 100 * rng.standard_normal(x[:, t + 1:].shape)
    got, expected = (decoder(y, memory, mask=mask, **options)[:, :t + 1] for y in (other, x))
    assert np.array_equal(got, expected)


@few
@given(decoders())
def test_what_padding_holds_changes_nothing_to_the_bit(drawn):
    x, memory, options, rng = drawn
    ids, ids_memory = rng.integers(0, 3, x.shape[:2]), rng.integers(0, 3, memory.shape[:2])
    masks = {"mask": padding_mask(ids, 0), "memory_mask": padding_mask(ids_memory, 0)}
    other_x, other_memory = (np.where((i == 0)[..., None], 1e3 * rng.standard_normal(y.shape), y)
                             for i, y in ((ids, x), (ids_memory, memory)))
    before, after = (decoder(y, m, **masks, **options) for y, m in ((x, memory), (other_x, other_memory)))
    assert np.array_equal(before[ids != 0], after[ids != 0])
    assert np.array_equal(before, decoder(x, other_memory, **masks, **options))


@both_norms
@pytest.mark.parametrize("place", [0, 3, 6])
def test_every_target_word_reads_every_source_word(pre_norm, place):
    rng = np.random.default_rng(0)
    params = init_decoder(rng, 1, 8, 2, 12, pre_norm=pre_norm)
    x, memory = rng.standard_normal((2, 5, 8)), rng.standard_normal((2, 7, 8))
    before = decoder(x, memory, params, 2, causal_mask(5), pre_norm=pre_norm)
    memory[:, place] = rng.standard_normal((2, 8))
    after = decoder(x, memory, params, 2, causal_mask(5), pre_norm=pre_norm)
    assert np.all(np.abs(after - before).max(-1) > 1e-3)


@few
@given(decoders())
def test_reordering_the_source_changes_nothing(drawn):
    x, memory, options, rng = drawn
    order = rng.permutation(memory.shape[1])
    mask = rng.random((x.shape[1], memory.shape[1])) < 0.5
    got = decoder(x, memory[:, order], memory_mask=mask[:, order], **options)
    assert same(got, decoder(x, memory, memory_mask=mask, **options))


@few
@given(decoders(), st.sampled_from([(), (1,), (4,), (2, 3)]))
def test_a_stack_of_sentences_gives_the_stack_of_outputs(drawn, leading):
    x, memory, options, rng = drawn
    x, memory = (rng.standard_normal((*leading, *y.shape[1:])) for y in (x, memory))
    output = decoder(x, memory, mask=causal_mask(x.shape[-2]), **options)
    assert output.shape == x.shape
    for place in np.ndindex(leading):
        assert same(output[place], decoder(x[place], memory[place], mask=causal_mask(x.shape[-2]), **options))


@both_norms
def test_a_memory_may_have_another_width(pre_norm):
    rng, record = np.random.default_rng(0), {}
    params = init_decoder(rng, 2, 8, 2, 12, pre_norm=pre_norm)
    for name in ("layer_1", "layer_2"):
        narrow = init_multi_head(rng, 6, 2, 4, 4)
        params[name]["cross_attention"] |= {W: narrow[W] for W in ("W_K", "W_V")}
    x, memory = rng.standard_normal((3, 5, 8)), rng.standard_normal((3, 7, 6))
    output = decoder(x, memory, params, 2, pre_norm=pre_norm, record=record)
    assert output.shape == x.shape
    assert not np.allclose(output, decoder(x, memory[::-1], params, 2, pre_norm=pre_norm))


@both_norms
@both_dtypes
def test_the_dtype_stays_so_do_the_inputs_and_every_layer_is_recorded_by_name(pre_norm, dtype):
    rng = np.random.default_rng(0)
    params = shaken(rng, init_decoder(rng, 2, 8, 4, 12, pre_norm=pre_norm), dtype)
    x, memory = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 5, 8), (2, 7, 8)))
    masks = {"mask": causal_mask(5), "memory_mask": padding_mask(np.tri(2, 7, 2, dtype=int), 0)}
    inputs = [x, memory, *masks.values(), *flat(params).values()]
    before = [y.copy() for y in inputs]
    for activation in (relu, gelu):
        for rate, generator in ((0.0, None), (0.1, None), (0.1, rng)):
            record = {}
            options = {**masks, "pre_norm": pre_norm, "activation": activation, "rate": rate, "rng": generator}
            y = decoder(x, memory, params, 4, **options, record=record)
            assert (y.shape, y.dtype) == (x.shape, dtype)
            parts = {"self_attention": (2, 4, 5, 5), "cross_attention": (2, 4, 5, 7)}
            shapes = {name: {part: weights.shape for part, weights in layer.items()} for name, layer in record.items()}
            assert shapes == {"layer_1": parts, "layer_2": parts}
            assert {weights.dtype for weights in flat(record).values()} == {np.dtype(dtype)}
    assert all(np.array_equal(y, y_before) for y, y_before in zip(inputs, before, strict=True))


@both_norms
def test_the_record_holds_the_weights_and_changes_no_output(pre_norm):
    rng, record = np.random.default_rng(0), {}
    params = init_decoder(rng, 2, 8, 2, 12, pre_norm=pre_norm)
    x, memory = rng.standard_normal((3, 5, 8)), rng.standard_normal((3, 7, 8))
    seen = np.arange(7) < np.array([2, 7, 4])[:, None, None, None]
    y = decoder(x, memory, params, 2, causal_mask(5), seen, pre_norm, record=record)
    assert np.array_equal(y, decoder(x, memory, params, 2, causal_mask(5), seen, pre_norm))
    for name, weights in flat(record).items():
        hidden = ~(causal_mask(5) if name.endswith("self_attention") else seen)
        assert np.allclose(weights.sum(-1), 1) and not np.any(weights[np.broadcast_to(hidden, weights.shape)])
    assert len({weights.tobytes() for weights in flat(record).values()}) == 4


@both_norms
@both_dtypes
def test_a_word_that_may_look_at_nothing_stays_a_number(pre_norm, dtype):
    rng = np.random.default_rng(0)
    params = shaken(rng, init_decoder(rng, 2, 8, 2, 12, pre_norm=pre_norm), dtype)
    x, memory = (100 * rng.standard_normal(shape).astype(dtype) for shape in ((2, 4, 8), (2, 3, 8)))
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        y = decoder(x, memory, params, 2, np.zeros((4, 4), bool), np.zeros((4, 3), bool), pre_norm)
    assert np.all(np.isfinite(y))


# Dropout

@both_norms
def test_dropout_needs_a_generator_and_then_a_seed_gives_the_same_again(pre_norm):
    rng = np.random.default_rng(0)
    params, x, memory = init_decoder(rng, 2, 8, 2, 12, pre_norm=pre_norm), rng.standard_normal((5, 8)), np.eye(7, 8)

    def output(rate, generator):
        return decoder(x, memory, params, 2, pre_norm=pre_norm, rate=rate, rng=generator)
    plain, dropped = output(0.0, None), output(0.5, np.random.default_rng(1))
    assert np.array_equal(output(0.5, None), plain) and np.array_equal(output(0.0, np.random.default_rng(1)), plain)
    assert np.array_equal(output(0.5, np.random.default_rng(1)), dropped)
    assert not np.allclose(dropped, plain) and not np.allclose(output(0.5, np.random.default_rng(2)), dropped)


def test_a_layer_drops_from_what_each_part_adds_never_from_what_came_in():
    rng = np.random.default_rng(0)
    params, x = init_decoder_layer(rng, 8, 2, 12), rng.standard_normal((50, 20, 8))
    y = decoder_layer(x, rng.standard_normal((50, 7, 8)), params, 2, pre_norm=True, rate=0.6, rng=rng)
    assert np.mean(y == x) == pytest.approx(0.6 ** 3, abs=0.03)         # where all three parts were dropped


# What init_* draws

def test_parameters_have_the_shapes_they_are_said_to_have():
    params = init_decoder_layer(np.random.default_rng(0), 8, 2, 12, d_k=3, d_v=5)
    attention, norm = {"W_Q": (8, 6), "W_K": (8, 6), "W_V": (8, 10), "W_O": (10, 8)}, {"gamma": (8,), "beta": (8,)}
    assert {name: {key: p.shape for key, p in part.items()} for name, part in params.items()} == {
        "self_attention": attention, "norm_1": norm, "cross_attention": attention, "norm_2": norm,
        "feed_forward": {"W_1": (8, 12), "b_1": (12,), "W_2": (12, 8), "b_2": (8,)}, "norm_3": norm}
    assert {p.dtype for p in flat(params).values()} == {np.dtype(np.float32)}
    assert len({p.tobytes() for p in flat(params).values() if p.ndim == 2}) == 10       # each is drawn by itself
    params["norm_1"]["gamma"][:] = 5
    assert np.all(params["norm_2"]["gamma"] == 1) and np.all(params["norm_3"]["gamma"] == 1)


def test_init_decoder_names_its_layers_and_pre_norm_gets_one_norm_more():
    rng = np.random.default_rng(0)
    assert list(init_decoder(rng, 2, 8, 2, 12)) == ["layer_1", "layer_2"]
    params = init_decoder(rng, 11, 8, 2, 12, pre_norm=True)
    assert list(params) == [f"layer_{i}" for i in range(1, 12)] + ["norm"]
    assert {name: p.shape for name, p in params["norm"].items()} == {"gamma": (8,), "beta": (8,)}
    assert not np.array_equal(params["layer_1"]["self_attention"]["W_Q"], params["layer_2"]["self_attention"]["W_Q"])
    again, other = (init_decoder(np.random.default_rng(seed), 2, 8, 2, 12, 3, 5) for seed in (0, 1))
    first = init_decoder(np.random.default_rng(0), 2, 8, 2, 12, 3, 5)
    assert all(np.array_equal(p, flat(again)[name]) for name, p in flat(first).items())
    assert not np.array_equal(first["layer_2"]["cross_attention"]["W_V"], other["layer_2"]["cross_attention"]["W_V"])
    assert first["layer_2"]["cross_attention"]["W_V"].shape == (8, 10)


# Bad input. A shape alone, without numbers: whatever begins to compute with it fails with another error.

def shaped(*shape):
    return SimpleNamespace(shape=shape)


X, MEMORY, RNG = shaped(2, 5, 4), shaped(2, 7, 4), np.random.default_rng(0)
PARTS = "params must be a dict of self_attention, norm_1, cross_attention, norm_2, feed_forward, norm_3"


def layer(x=X, memory=MEMORY, n_heads=2, mask=None, memory_mask=None, rate=0.0, **parts):
    params = {"self_attention": attention(), "cross_attention": attention(), "feed_forward": feed()}
    params |= {name: {"gamma": shaped(4), "beta": shaped(4)} for name in ("norm_1", "norm_2", "norm_3")}
    return decoder_layer(x, memory, params | parts, n_heads, mask, memory_mask, pre_norm=True, rate=rate)


def attention(**W):
    return {"W_Q": shaped(4, 4), "W_K": shaped(4, 4), "W_V": shaped(4, 4), "W_O": shaped(4, 4)} | W


def feed(**W):
    return {"W_1": shaped(4, 6), "b_1": shaped(6), "W_2": shaped(6, 4), "b_2": shaped(4)} | W


@pytest.mark.parametrize("call, message", [
    (lambda: layer(x=shaped(4)), "x must have shape (..., length, size), neither of them 0; got (4,)"),
    (lambda: layer(x=shaped(2, 0, 4)), "x must have shape (..., length, size), neither of them 0; got (2, 0, 4)"),
    (lambda: layer(memory=shaped(4)), "memory must have shape (..., length, size), neither of them 0; got (4,)"),
    (lambda: layer(memory=shaped(2, 0, 4)), "memory must have shape (..., length, size), neither of them 0"),
    (lambda: layer(memory=shaped(3, 7, 4)),
     "x and memory must agree in all axes but the last two; got shapes (2, 5, 4), (3, 7, 4)"),
    (lambda: layer(x=shaped(5, 4)), "memory must fit the axes of x before (T, D), (); got shape (2, 7, 4)"),
    (lambda: layer(x=shaped(1, 5, 4)), "memory must fit the axes of x before (T, D), (1,); got shape (2, 7, 4)"),
    (lambda: layer(memory=shaped(2, 7, 6)), "W_K must have shape (6, n_out), a row for each input; got (4, 4)"),
    (lambda: layer(n_heads=3), "the columns of W_Q must be divisible by n_heads = 3; got 4"),
    (lambda: layer(n_heads=0), "n_heads must be a whole number, at least 1; got 0"),
    (lambda: layer(rate=1.0), "rate must be at least 0 and below 1; got 1.0"),
    (lambda: layer(rate=np.float64(0.1)), "rate must be a Python number"),
    (lambda: layer(mask=np.ones((5, 5))), "mask must be an array of bool, True where a query may look; got dtype"),
    (lambda: layer(mask=[[True]]), "mask must be an array of bool, True where a query may look; got list"),
    (lambda: layer(mask=np.ones((5, 7), bool)),
     "mask must have the shape (T, S) = (5, 5), or 4 axes, each of size 1 or as in (2, 2, 5, 5); got (5, 7)"),
    (lambda: layer(memory_mask=np.ones((5, 7))),
     "memory_mask must be an array of bool, True where a query may look; got dtype float64"),
    (lambda: layer(memory_mask=np.ones((5, 5), bool)),
     "memory_mask must have the shape (T, S) = (5, 7), or 4 axes, each of size 1 or as in (2, 2, 5, 7); got (5, 5)"),
    (lambda: layer(memory_mask=np.ones((2, 1, 7), bool)), "memory_mask must have the shape (T, S) = (5, 7)"),
    (lambda: layer(norm_4={}),
     f"{PARTS}; got self_attention, cross_attention, feed_forward, norm_1, norm_2, norm_3, norm_4"),
    (lambda: decoder_layer(X, MEMORY, {"self_attention": attention()}, 2), f"{PARTS}; got self_attention"),
    (lambda: decoder_layer(X, MEMORY, {}, 2), f"{PARTS}; got nothing"),
    (lambda: layer(feed_forward={"W_1": shaped(4, 6)}), "feed_forward must be a dict of W_1, b_1, W_2, b_2; got W_1"),
    (lambda: layer(feed_forward=feed(W_1=shaped(3, 6))), "W_1 must have shape (4, n_out), a row for each input"),
    (lambda: layer(feed_forward=feed(b_1=shaped(4))), "b_1 must have shape (6,), a number for each output; got (4,)"),
    (lambda: layer(feed_forward=feed(W_2=shaped(4, 4))), "W_2 must have shape (6, n_out), a row for each input"),
    (lambda: layer(feed_forward=feed(b_2=shaped(6))), "b_2 must have shape (4,), a number for each output; got (6,)"),
    (lambda: layer(feed_forward=feed(W_2=shaped(6, 1), b_2=shaped(1))),
     "W_2 must have 4 columns, as x has, to be added to it; got shape (6, 1)"),
    *((lambda name=name: layer(**{name: {"gamma": shaped(4)}}), f"{name} must be a dict of gamma, beta; got gamma")
      for name in ("norm_1", "norm_2", "norm_3")),
    *((lambda name=name, part=part: layer(**{name: {"gamma": shaped(4), "beta": shaped(4), part: shaped(1)}}),
       f"{part} of {name} must have shape (4,), the size of x's last axis; got (1,)")
      for name in ("norm_1", "norm_2", "norm_3") for part in ("gamma", "beta")),
    *((lambda part=part: layer(**{part: {"W_Q": shaped(4, 4)}}), f"{part} must be a dict of W_Q, W_K, W_V, W_O; got")
      for part in ("self_attention", "cross_attention")),
    *((lambda part=part, wrong=wrong: layer(**{part: attention(**wrong)}), message)
      for part in ("self_attention", "cross_attention") for wrong, message in (
          ({"W_Q": shaped(3, 4)}, "W_Q must have shape (4, n_out), a row for each input; got (3, 4)"),
          ({"W_K": shaped(3, 4)}, "W_K must have shape (4, n_out), a row for each input; got (3, 4)"),
          ({"W_V": shaped(3, 4)}, "W_V must have shape (4, n_out), a row for each input; got (3, 4)"),
          ({"W_O": shaped(3, 4)}, "W_O must have shape (4, n_out), a row for each input; got (3, 4)"),
          ({"W_K": shaped(4, 6)}, "W_K must have as many columns as W_Q, 4; got shape (4, 6)"),
          ({"W_V": shaped(4, 3)}, "the columns of W_V must be divisible by n_heads = 2; got 3"),
          ({"W_O": shaped(4, 1)}, f"W_O of {part} must have 4 columns, as x has, to be added to it; got shape (4, 1)"),
      )),
])
def test_a_layer_says_what_is_wrong_before_any_work(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


@pytest.mark.parametrize("call, message", [
    (lambda: init_decoder(RNG, 0, 8, 2, 12), "n_layers must be a whole number, at least 1; got 0"),
    (lambda: init_decoder(RNG, 1, 8, 3, 12), "d_model must be divisible by n_heads = 3; got 8"),
    (lambda: init_decoder_layer(RNG, 8, 2, 0), "d_ff must be a whole number, at least 1; got 0"),
    (lambda: decoder(X, MEMORY, {}, 2), "params must be a dict with at least one layer, \"layer_1\"; got nothing"),
    (lambda: decoder(X, MEMORY, ["layer_1"], 2), "params must be a dict with at least one layer, \"layer_1\"; got l"),
    (lambda: decoder(X, MEMORY, {"layer_1": {}, "layer_3": {}}, 2),
     "params must be a dict of layer_1, layer_2, in this order, with \"norm\" if pre_norm is true; got layer_1, lay"),
    (lambda: decoder(X, MEMORY, init_decoder(RNG, 1, 4, 2, 6), 2, pre_norm=True),
     "params must be a dict of norm, in this order, with \"norm\" if pre_norm is true; got layer_1"),
    (lambda: decoder(X, MEMORY, init_decoder(RNG, 1, 4, 2, 6, pre_norm=True), 2),
     "params must be a dict of layer_1, layer_2, in this order, with \"norm\" if pre_norm is true; got layer_1, norm"),
    (lambda: decoder(X, MEMORY, {"layer_1": {}, "norm": {"gamma": X}}, 2, pre_norm=True),
     "norm must be a dict of gamma, beta; got gamma"),
    (lambda: decoder(X, MEMORY, init_decoder(RNG, 1, 6, 2, 12), 2), "W_Q must have shape (4, n_out)"),
    (lambda: decoder(X, MEMORY, {"layer_1": init_decoder_layer(RNG, 4, 2, 6) | {"norm_3": init_layer_norm(3)}}, 2),
     "gamma of norm_3 must have shape (4,), the size of x's last axis; got (3,)"),
    (lambda: decoder(X, MEMORY, {"layer_1": init_decoder_layer(RNG, 4, 2, 6) | {
        "feed_forward": init_feed_forward(RNG, 3, 6)}}, 2), "W_1 must have shape (4, n_out)"),
])
def test_a_stack_says_what_is_wrong_before_any_work(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()
