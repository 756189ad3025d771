"""The block and its parts: against PyTorch, and by their properties."""
import math
import re
from types import SimpleNamespace

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.attention import causal_mask, combine_masks, padding_mask
from scratchformer_lib.block import (
    dropout,
    feed_forward,
    gelu,
    init_block,
    init_feed_forward,
    init_layer_norm,
    layer_norm,
    relu,
    transformer_block,
)
from scratchformer_lib.multi_head import multi_head_attention

ACTIVATIONS = {"relu": relu, "gelu": gelu}


def our_block(x, ids, causal, activation, n_heads, pre_norm, **params):
    nested = {"attention": {name: params[name] for name in ("W_Q", "W_K", "W_V", "W_O")},
              "feed_forward": {name: params[name] for name in ("W_1", "b_1", "W_2", "b_2")},
              "norm_1": {"gamma": params["gamma_1"], "beta": params["beta_1"]},
              "norm_2": {"gamma": params["gamma_2"], "beta": params["beta_2"]}}
    mask = combine_masks(padding_mask(ids, 0), causal_mask(x.shape[-2]) if causal else None)
    return transformer_block(x, nested, n_heads, mask, pre_norm, ACTIVATIONS[activation])


OURS = {"block": our_block, "layer_norm": layer_norm, "gelu": gelu}


@pytest.mark.parametrize("case", parity.stored("block"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, OURS[case.function](**case.inputs))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("block"):
        parity.agrees(case, OURS[case.function](**case.inputs))


few = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 5)
seeds = st.integers(0, 1000)
leadings = st.sampled_from([(), (1,), (4,), (2, 3)])
both_norms = pytest.mark.parametrize("pre_norm", [False, True])
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def params_of(rng, d_model, n_heads, d_ff, d_k=None, d_v=None, dtype=np.float64):
    """Those of a block, with biases, gamma and beta that are not 0 and 1."""
    params = init_block(rng, d_model, n_heads, d_ff, d_k, d_v)
    for part in params.values():
        for name, p in part.items():
            part[name] = (p if p.ndim == 2 else p + rng.standard_normal(p.shape)).astype(dtype)
    return params


@st.composite
def blocks(draw):
    """Random words x (B, T, D), what else a block takes, and a generator for more."""
    B, T, D, H, F, d_k, d_v, seed = draw(st.tuples(*[sizes] * 7, seeds))
    rng = np.random.default_rng(seed)
    settings = {"params": params_of(rng, 2 * D, H, F, d_k, d_v), "n_heads": H,
                "activation": draw(st.sampled_from([relu, gelu])), "pre_norm": draw(st.booleans())}
    return rng.standard_normal((B, T, 2 * D)), settings, rng


def same(got, expected):
    return np.allclose(got, expected, rtol=1e-11, atol=1e-11)


# The block

@few
@given(blocks())
def test_reordering_the_words_reorders_the_outputs(drawn):
    x, settings, rng = drawn
    order = rng.permutation(x.shape[1])
    assert same(transformer_block(x[:, order], **settings), transformer_block(x, **settings)[:, order])


@few
@given(blocks())
def test_what_comes_later_changes_nothing_before_it(drawn):
    x, settings, rng = drawn
    t, mask = rng.integers(0, x.shape[1]), causal_mask(x.shape[1])
    other = x.copy()
    other[:, t + 1:] = 100 * rng.standard_normal(x[:, t + 1:].shape)
    got, expected = (transformer_block(y, **settings, mask=mask)[:, :t + 1] for y in (other, x))
    assert np.array_equal(got, expected)


@few
@given(blocks())
def test_what_padding_holds_changes_nothing(drawn):
    x, settings, rng = drawn
    ids = rng.integers(0, 3, x.shape[:2])
    other = np.where((ids == 0)[..., None], 100 * rng.standard_normal(x.shape), x)
    got, expected = (transformer_block(y, **settings, mask=padding_mask(ids, 0))[ids != 0] for y in (other, x))
    assert np.array_equal(got, expected)


@few
@given(blocks(), leadings)
def test_a_stack_of_sentences_gives_the_stack_of_outputs(drawn, leading):
    x, settings, rng = drawn
    x = rng.standard_normal((*leading, *x.shape[1:]))
    output = transformer_block(x, **settings)
    assert output.shape == x.shape
    for place in np.ndindex(leading):
        assert same(output[place], transformer_block(x[place], **settings))


@few
@given(blocks())
def test_it_adds_what_its_parts_say_to_what_came_in(drawn):
    x, settings, _ = drawn
    params, H, activation, pre_norm = (settings[name] for name in ("params", "n_heads", "activation", "pre_norm"))
    norm_1, norm_2 = (lambda y, name=name: layer_norm(y, **params[name]) for name in ("norm_1", "norm_2"))

    def attend(y):
        return multi_head_attention(y, y, **params["attention"], n_heads=H)[0]

    def think(y):
        return feed_forward(y, **params["feed_forward"], activation=activation)
    if pre_norm:
        middle = x + attend(norm_1(x))
        expected = middle + think(norm_2(middle))
    else:
        middle = norm_1(x + attend(x))
        expected = norm_2(middle + think(middle))
    assert same(transformer_block(x, **settings), expected)


@both_norms
@both_dtypes
def test_the_record_holds_the_weights_and_changes_no_output(pre_norm, dtype):
    rng = np.random.default_rng(0)
    params = params_of(rng, 8, 2, 12, dtype=dtype)
    x = rng.standard_normal((2, 3, 5, 8)).astype(dtype)
    record = {}
    output = transformer_block(x, params, 2, causal_mask(5), pre_norm, record=record)
    assert list(record) == ["attention"]
    assert record["attention"].shape == (2, 3, 2, 5, 5) and record["attention"].dtype == dtype
    assert np.allclose(record["attention"].sum(-1), 1) and not np.any(record["attention"][..., ~causal_mask(5)])
    assert np.array_equal(output, transformer_block(x, params, 2, causal_mask(5), pre_norm))


@both_norms
@both_dtypes
def test_a_row_that_may_look_at_nothing_stays_a_number(pre_norm, dtype):
    rng = np.random.default_rng(0)
    params, x = params_of(rng, 8, 2, 12, dtype=dtype), 100 * rng.standard_normal((2, 4, 8)).astype(dtype)
    record = {}
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        output = transformer_block(x, params, 2, np.zeros((4, 4), bool), pre_norm, record=record)
    assert np.all(np.isfinite(output)) and not np.any(record["attention"])


@both_norms
@both_dtypes
def test_the_dtype_stays_and_so_do_the_inputs(pre_norm, dtype):
    rng = np.random.default_rng(0)
    params = params_of(rng, 8, 2, 12, dtype=dtype)
    x = rng.standard_normal((3, 5, 8)).astype(dtype)
    mask = combine_masks(causal_mask(5), padding_mask(np.tri(3, 5, dtype=int), 0))
    inputs = [x, mask, *(p for part in params.values() for p in part.values())]
    before = [y.copy() for y in inputs]
    for activation in (relu, gelu):
        for rate, generator in ((0.0, None), (0.1, None), (0.1, rng)):
            record = {}
            output = transformer_block(x, params, 2, mask, pre_norm, activation, rate, generator, record)
            assert output.dtype == record["attention"].dtype == dtype
    assert all(np.array_equal(y, y_before) for y, y_before in zip(inputs, before, strict=True))


@both_dtypes
def test_the_dtype_stays_in_every_part_and_so_do_the_inputs(dtype):
    x = np.linspace(-3, 3, 12).reshape(3, 4).astype(dtype)
    ones, square = np.ones(4, dtype), np.eye(4, dtype=dtype)
    before = x.copy()
    for y in (relu(x), gelu(x), layer_norm(x, ones, ones), feed_forward(x, square, ones, square, ones, relu),
              feed_forward(x, square, ones, square, ones, gelu), dropout(x, 0.5, np.random.default_rng(0)),
              dropout(x, 0.5, None), dropout(x, 0, np.random.default_rng(0))):
        assert y.dtype == dtype and y.shape == x.shape
    assert np.array_equal(x, before)


# The signal through many blocks

def signals(pre_norm, seed, n_blocks=100):
    """The lengths of 2 x 10 vectors, before and after every block, drawn anew each time."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 10, 32), dtype=np.float32)
    lengths = [np.linalg.norm(x, axis=-1)]
    for _ in range(n_blocks):
        x = transformer_block(x, init_block(rng, 32, 4, 128), 4, pre_norm=pre_norm)
        lengths.append(np.linalg.norm(x, axis=-1))
    return np.array(lengths)


@pytest.mark.parametrize("seed", range(3))
def test_post_norm_keeps_every_vector_as_long_as_it_should_be(seed):
    assert np.allclose(signals(False, seed)[1:], math.sqrt(32), rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_pre_norm_lets_vectors_grow_slowly(seed):
    typical = np.sqrt(np.mean(signals(True, seed) ** 2, axis=(1, 2)) / 32)
    square_root = np.sqrt(1 + np.arange(101))        # every block adds about as much as any other, each its own way
    assert np.all(typical > 0.6 * square_root) and np.all(typical < 1.5 * square_root)


# Its parts

@few
@given(leadings, st.integers(2, 9), seeds)
def test_layer_norm_brings_every_vector_to_mean_0_and_variance_1(leading, d_model, seed):
    rng = np.random.default_rng(seed)
    x = 10 * rng.standard_normal((*leading, 3, d_model)) + 5
    y = layer_norm(x, np.ones(d_model), np.zeros(d_model), eps=0)
    assert same(y.mean(-1), 0) and np.allclose(y.var(-1), 1, rtol=1e-9)
    gamma, beta = rng.standard_normal((2, d_model))
    assert same(layer_norm(x, gamma, beta, eps=0), gamma * y + beta)
    for place in np.ndindex(*leading, 3):
        assert same(layer_norm(x[place], gamma, beta, eps=0), layer_norm(x, gamma, beta, eps=0)[place])


@few
@given(seeds, st.floats(0.5, 100), st.floats(-100, 100))
def test_layer_norm_forgets_scale_and_shift(seed, scale, shift):
    x = np.random.default_rng(seed).standard_normal((3, 8))
    gamma, beta = np.ones(8), np.zeros(8)
    got, expected = (layer_norm(y, gamma, beta, eps=0) for y in (scale * x + shift, x))
    assert np.allclose(got, expected, rtol=1e-9, atol=1e-9)


@both_dtypes
def test_layer_norm_of_a_constant_vector_is_beta(dtype):
    with np.errstate(all="raise"):
        y = layer_norm(np.full((2, 4), 3, dtype), np.ones(4, dtype), np.arange(4, dtype=dtype))
    assert np.array_equal(y, [[0, 1, 2, 3]] * 2)


@few
@given(leadings, sizes, sizes, sizes, seeds, st.sampled_from([relu, gelu]))
def test_every_position_thinks_by_itself(leading, length, d_model, d_ff, seed, activation):
    rng = np.random.default_rng(seed)
    shapes = (*leading, length, d_model), (d_model, d_ff), d_ff, (d_ff, d_model), d_model
    x, W_1, b_1, W_2, b_2 = (rng.standard_normal(shape) for shape in shapes)
    y = feed_forward(x, W_1, b_1, W_2, b_2, activation)
    assert y.shape == x.shape
    for place in np.ndindex(*leading, length):
        assert same(y[place], activation(x[place] @ W_1 + b_1) @ W_2 + b_2)


def test_feed_forward_bends_with_gelu_unless_told_otherwise():
    x, W, b = np.linspace(-1, 1, 6).reshape(3, 2), np.eye(2), np.zeros(2)
    assert np.array_equal(feed_forward(x, W, b, W, b), gelu(x))


@few
@given(leadings, seeds)
def test_activations_work_on_every_number_by_itself(leading, seed):
    x = np.random.default_rng(seed).standard_normal((*leading, 3))
    for place in np.ndindex(x.shape):
        assert relu(x)[place] == max(x[place], 0)
        assert same(gelu(x)[place], gelu(x[place]))


def test_gelu_is_within_its_word_of_the_exact_one():
    x = np.linspace(-10, 10, 2001)
    exact = [number * (1 + math.erf(number / math.sqrt(2))) / 2 for number in x]
    assert 0.0003 < np.max(np.abs(gelu(x) - exact)) < 0.0005


# Dropout

@few
@given(st.floats(0.05, 0.95), seeds)
def test_dropout_drops_its_share_and_keeps_the_mean(rate, seed):
    x = np.full((100, 200), 3.0)
    y = dropout(x, rate, np.random.default_rng(seed))
    assert np.mean(y == 0) == pytest.approx(rate, abs=0.02)
    assert np.allclose(y[y != 0], 3 / (1 - rate), rtol=1e-12)
    deviation = 3 * math.sqrt(rate / (1 - rate) / x.size)
    assert np.mean(y) == pytest.approx(3, abs=5 * deviation)


@few
@given(st.floats(0.1, 0.9), st.integers(1, 3), seeds)
def test_dropout_drops_every_number_by_itself(rate, axis, seed):
    dropped = dropout(np.ones((1, 30, 30, 30)), rate, np.random.default_rng(seed)) == 0
    neighbours = np.take(dropped, range(29), axis) & np.take(dropped, range(1, 30), axis)
    assert np.mean(neighbours) == pytest.approx(rate ** 2, abs=0.03)
    share_of_rows = dropped.mean(axis)
    assert np.std(share_of_rows) == pytest.approx(math.sqrt(rate * (1 - rate) / 30), rel=0.2)


@pytest.mark.parametrize("rate, rng", [(0.5, None), (0.0, np.random.default_rng(0)), (0, None)])
def test_without_a_generator_or_a_rate_nothing_is_dropped(rate, rng):
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert np.array_equal(dropout(x, rate, rng), x)


def test_the_same_seed_drops_the_same_and_another_draw_others():
    x, rng = np.ones((5, 20)), np.random.default_rng(7)
    first, second = dropout(x, 0.5, rng), dropout(x, 0.5, rng)
    assert np.array_equal(first, dropout(x, 0.5, np.random.default_rng(7)))
    assert not np.array_equal(first, second)


@both_norms
def test_a_block_drops_only_while_training_and_by_its_generator_alone(pre_norm):
    rng = np.random.default_rng(0)
    params, x = params_of(rng, 8, 2, 12), rng.standard_normal((3, 5, 8))

    def output(rate, generator):
        return transformer_block(x, params, 2, pre_norm=pre_norm, rate=rate, rng=generator)
    plain, trained = output(0.0, None), output(0.3, np.random.default_rng(1))
    assert np.array_equal(output(0.3, None), plain) and np.array_equal(output(0.0, np.random.default_rng(1)), plain)
    assert np.array_equal(output(0.3, np.random.default_rng(1)), trained)
    assert not np.allclose(trained, plain) and not np.allclose(output(0.3, np.random.default_rng(2)), trained)


def test_a_block_drops_from_what_each_part_adds_never_from_what_came_in():
    rng = np.random.default_rng(0)
    params, x = params_of(rng, 8, 2, 12), rng.standard_normal((50, 20, 8))
    output = transformer_block(x, params, 2, pre_norm=True, rate=0.6, rng=rng)
    assert np.mean(output == x) == pytest.approx(0.6 ** 2, abs=0.03)       # where both parts were dropped


# What init_* draws

def test_parameters_have_the_shapes_they_are_said_to_have():
    params = init_block(np.random.default_rng(0), 8, 2, 12, d_k=3, d_v=5)
    assert {name: {key: p.shape for key, p in part.items()} for name, part in params.items()} == {
        "attention": {"W_Q": (8, 6), "W_K": (8, 6), "W_V": (8, 10), "W_O": (10, 8)},
        "norm_1": {"gamma": (8,), "beta": (8,)},
        "feed_forward": {"W_1": (8, 12), "b_1": (12,), "W_2": (12, 8), "b_2": (8,)},
        "norm_2": {"gamma": (8,), "beta": (8,)}}
    assert {p.dtype for part in params.values() for p in part.values()} == {np.dtype(np.float32)}
    assert init_block(np.random.default_rng(0), 8, 2, 12)["attention"]["W_O"].shape == (8, 8)


def test_parameters_begin_without_a_shift_and_share_no_memory():
    params = init_block(np.random.default_rng(0), 8, 2, 12)
    assert not np.any(params["feed_forward"]["b_1"]) and not np.any(params["feed_forward"]["b_2"])
    for norm in (params["norm_1"], params["norm_2"]):
        assert np.all(norm["gamma"] == 1) and not np.any(norm["beta"])
    params["norm_1"]["gamma"][:] = 5
    assert np.all(params["norm_2"]["gamma"] == 1)


def test_the_same_seed_draws_the_same_parameters():
    first, second, third = (init_block(np.random.default_rng(seed), 4, 2, 6) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name][key], second[name][key]) for name in first for key in first[name])
    assert not np.array_equal(first["attention"]["W_Q"], third["attention"]["W_Q"])


# Bad input. A shape alone, without numbers: whatever begins to compute with it fails with another error.

def shaped(*shape):
    return SimpleNamespace(shape=shape)


X, RNG = shaped(2, 5, 4), np.random.default_rng(0)


def block(shape=(2, 5, 4), n_heads=2, mask=None, rate=0.0, record=None, **parts):
    params = init_block(RNG, 4, 2, 6) | parts
    return transformer_block(np.zeros(shape), params, n_heads, mask, rate=rate, record=record)


@pytest.mark.parametrize("call, message", [
    (lambda: feed_forward(X, shaped(3, 6), shaped(6), shaped(6, 4), shaped(4)),
     "W_1 must have shape (4, n_out), a row for each input; got (3, 6)"),
    (lambda: feed_forward(X, shaped(4, 6), shaped(4), shaped(6, 4), shaped(4)),
     "b_1 must have shape (6,), a number for each output; got (4,)"),
    (lambda: feed_forward(X, shaped(4, 6), shaped(6), shaped(4, 6), shaped(4)),
     "W_2 must have shape (6, n_out), a row for each input; got (4, 6)"),
    (lambda: feed_forward(X, shaped(4, 6), shaped(6), shaped(6, 4), shaped(1, 4)),
     "b_2 must have shape (4,), a number for each output; got (1, 4)"),
    (lambda: layer_norm(X, shaped(1), shaped(4)), "gamma must have shape (4,), the size of x's last axis; got (1,)"),
    (lambda: layer_norm(X, shaped(1, 4), X), "gamma must have shape (4,), the size of x's last axis; got (1, 4)"),
    (lambda: layer_norm(X, shaped(4), shaped(5)), "beta must have shape (4,), the size of x's last axis; got (5,)"),
    (lambda: dropout(X, -0.1, RNG), "rate must be at least 0 and below 1; got -0.1"),
    (lambda: dropout(X, 1, RNG), "rate must be at least 0 and below 1; got 1"),
    (lambda: dropout(X, 1.5, RNG), "rate must be at least 0 and below 1; got 1.5"),
    (lambda: dropout(X, math.nan, RNG), "rate must be at least 0 and below 1; got nan"),
    (lambda: dropout(X, "0.1", RNG), "rate must be at least 0 and below 1; got '0.1'"),
    (lambda: layer_norm(np.float64(1), X, X), "x must have at least 1 axis; got shape ()"),
    (lambda: dropout(X, 1.0, None), "rate must be at least 0 and below 1; got 1.0"),
    (lambda: init_feed_forward(RNG, 0, 4), "d_model must be a whole number, at least 1; got 0"),
    (lambda: init_feed_forward(RNG, 4, 2.5), "d_ff must be a whole number, at least 1; got 2.5"),
    (lambda: init_layer_norm(-1), "d_model must be a whole number, at least 1; got -1"),
    (lambda: init_block(RNG, 6, 4, 12), "d_model must be divisible by n_heads = 4; got 6"),
    (lambda: init_block(RNG, 6, 3, 0), "d_ff must be a whole number, at least 1; got 0"),
])
def test_bad_input_is_an_error_that_says_what_is_wrong_before_any_work(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("call, message", [
    (lambda: block(shape=(4,)), "x must have shape (..., length, size), neither of them 0; got (4,)"),
    (lambda: block(shape=(2, 0, 4)), "x must have shape (..., length, size), neither of them 0; got (2, 0, 4)"),
    (lambda: block(shape=(2, 5, 3)), "W_Q must have shape (3, n_out), a row for each input; got (4, 4)"),
    (lambda: block(n_heads=3), "the columns of W_Q must be divisible by n_heads = 3; got 4"),
    (lambda: block(mask=np.ones((2, 5, 5), bool)),
     "mask must have the shape (T, S) = (5, 5), or 4 axes, each of size 1 or as in (2, 2, 5, 5); got (2, 5, 5)"),
    (lambda: block(mask=np.ones((5, 5))),
     "mask must be an array of bool, True where a query may look; got dtype float64"),
    (lambda: block(norm_1=init_layer_norm(3)),
     "gamma of norm_1 must have shape (4,), the size of x's last axis; got (3,)"),
    (lambda: block(norm_2=init_layer_norm(3)),
     "gamma of norm_2 must have shape (4,), the size of x's last axis; got (3,)"),
    (lambda: block(feed_forward=init_feed_forward(RNG, 3, 6)),
     "W_1 must have shape (4, n_out), a row for each input; got (3, 6)"),
    (lambda: block(rate=1.0), "rate must be at least 0 and below 1; got 1.0"),
    (lambda: block(attention=init_block(RNG, 4, 2, 6)["attention"] | {"W_O": np.ones((4, 1))}),
     "W_O of attention must have 4 columns, as x has, to be added to it; got shape (4, 1)"),
    (lambda: block(feed_forward=init_feed_forward(RNG, 4, 6) | {"W_2": np.ones((6, 1)), "b_2": np.zeros(1)}),
     "W_2 must have 4 columns, as x has, to be added to it; got shape (6, 1)"),
    (lambda: transformer_block(X, {"attention": {}, "norm_1": {}, "norm_2": {}}, 2),
     "params must be a dict of attention, norm_1, feed_forward, norm_2; got attention, norm_1, norm_2"),
    (lambda: block(attention={"W_Q": X}), "attention must be a dict of W_Q, W_K, W_V, W_O; got W_Q"),
    (lambda: block(norm_2={}), "norm_2 must be a dict of gamma, beta; got nothing"),
    (lambda: block(rate=np.float64(0.1)), "rate must be a Python number"),
])
def test_a_block_says_what_is_wrong_as_its_parts_do(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("wrong", [{"rate": 1.5}, {"norm_2": init_layer_norm(3)}])
def test_a_block_refuses_before_any_work(wrong):
    record = {}
    with pytest.raises(ValueError):
        block(record=record, **wrong)
    assert not record
