"""linear, the splitting into heads, and multi_head_attention: against PyTorch, and by their properties."""
import re
from types import SimpleNamespace

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.attention import causal_mask, combine_masks, padding_mask, self_attention
from scratchformer_lib.multi_head import (
    init_linear,
    init_multi_head,
    linear,
    merge_heads,
    multi_head_attention,
    split_heads,
)


def ours(x, ids, causal=False, **inputs):
    return multi_head_attention(
        x, mask=combine_masks(padding_mask(ids, 0), causal_mask(x.shape[-2]) if causal else None), **inputs)


@pytest.mark.parametrize("case", parity.stored("multi_head"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, *ours(**case.inputs))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("multi_head"):
        parity.agrees(case, *ours(**case.inputs))


few = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 5)
leadings = st.sampled_from([(), (1,), (4,), (2, 3)])


class Drawn(SimpleNamespace):
    """Random words x (B, T, D), weights of n_heads heads with d_k and d_v, and a generator for more."""


@st.composite
def sentences(draw):
    B, T, D, H, d_k, d_v, seed = draw(st.tuples(*[sizes] * 6, st.integers(0, 1000)))
    rng = np.random.default_rng(seed)
    weights = {name: W.astype(float) for name, W in init_multi_head(rng, D, H, d_k, d_v).items()}
    return Drawn(x=rng.standard_normal((B, T, D)), W=weights, n_heads=H, rng=rng)


def same(got, expected):
    return np.allclose(got, expected, rtol=1e-12, atol=1e-12)


@few
@given(sentences())
def test_many_heads_are_one_after_the_other(drawn):
    x, W, H = drawn.x, drawn.W, drawn.n_heads
    mask = np.eye(x.shape[1], dtype=bool) | (drawn.rng.random((len(x), H, x.shape[1], x.shape[1])) < 0.5)
    output, weights = multi_head_attention(x, x, **W, n_heads=H, mask=mask)
    expected = 0
    for h in range(H):
        d_k, d_v = W["W_Q"].shape[1] // H, W["W_V"].shape[1] // H
        columns, columns_v = slice(h * d_k, (h + 1) * d_k), slice(h * d_v, (h + 1) * d_v)
        head, weights_of_head = self_attention(x, W["W_Q"][:, columns], W["W_K"][:, columns], W["W_V"][:, columns_v],
                                               mask[:, h])
        expected = expected + head @ W["W_O"][columns_v]
        assert same(weights[:, h], weights_of_head)
    assert same(output, expected)


@few
@given(sentences())
def test_every_query_of_every_head_gives_out_one_whole(drawn):
    weights = multi_head_attention(drawn.x, drawn.x, **drawn.W, n_heads=drawn.n_heads)[1]
    assert weights.shape == (len(drawn.x), drawn.n_heads, drawn.x.shape[1], drawn.x.shape[1])
    assert same(weights.sum(-1), 1) and np.all(weights >= 0)


@few
@given(sentences())
def test_reordering_the_words_reorders_the_outputs(drawn):
    x, order = drawn.x, drawn.rng.permutation(drawn.x.shape[1])
    output, weights = multi_head_attention(x, x, **drawn.W, n_heads=drawn.n_heads)
    output_of, weights_of = multi_head_attention(x[:, order], x[:, order], **drawn.W, n_heads=drawn.n_heads)
    assert same(output_of, output[:, order]) and same(weights_of, weights[..., order, :][..., order])
    assert same(multi_head_attention(x, x[:, order], **drawn.W, n_heads=drawn.n_heads)[0], output)


@few
@given(sentences())
def test_what_comes_later_changes_nothing_before_it(drawn):
    x, rng, length = drawn.x, drawn.rng, drawn.x.shape[1]
    t = rng.integers(0, length)
    other = x.copy()
    other[:, t + 1:] = 100 * rng.standard_normal(x[:, t + 1:].shape)
    first, second = (multi_head_attention(y, y, **drawn.W, n_heads=drawn.n_heads, mask=causal_mask(length))
                     for y in (x, other))
    assert np.array_equal(first[0][:, :t + 1], second[0][:, :t + 1])
    assert np.array_equal(first[1][..., :t + 1, :], second[1][..., :t + 1, :])


@few
@given(sentences())
def test_what_padding_holds_changes_nothing(drawn):
    x, rng = drawn.x, drawn.rng
    ids = rng.integers(0, 3, x.shape[:2])
    memory = rng.standard_normal(x.shape)
    other = np.where((ids == 0)[..., None], 100 * rng.standard_normal(x.shape), memory)
    first, second = (multi_head_attention(x, y, **drawn.W, n_heads=drawn.n_heads, mask=padding_mask(ids, 0))
                     for y in (memory, other))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])


@few
@given(sentences(), leadings, sizes)
def test_a_stack_of_sentences_gives_the_stack_of_outputs(drawn, leading, S):
    _, T, D = drawn.x.shape
    x, memory = (drawn.rng.standard_normal((*leading, length, D)) for length in (T, S))
    together = multi_head_attention(x, memory, **drawn.W, n_heads=drawn.n_heads)
    for place in np.ndindex(leading):
        alone = multi_head_attention(x[place], memory[place], **drawn.W, n_heads=drawn.n_heads)
        for got, expected in zip(together, alone, strict=True):
            assert same(got[place], expected)


@few
@given(leadings, sizes, sizes, sizes, st.integers(0, 1000))
def test_linear_is_a_product_for_every_row(leading, length, n_in, n_out, seed):
    rng = np.random.default_rng(seed)
    x, W, b = (rng.standard_normal(shape) for shape in ((*leading, length, n_in), (n_in, n_out), n_out))
    assert same(linear(x, W), x @ W)
    assert same(linear(x, W, b), x @ W + b)
    for place in np.ndindex(*leading, length):
        assert same(linear(x, W, b)[place], linear(x[place], W, b))


@few
@given(leadings, sizes, sizes, sizes)
def test_splitting_and_merging_undo_each_other(leading, length, n_heads, d):
    x = np.arange(np.prod([*leading, length, n_heads, d])).reshape(*leading, length, n_heads * d)
    heads = split_heads(x, n_heads)
    assert heads.shape == (*leading, n_heads, length, d)
    assert np.array_equal(merge_heads(heads), x)
    assert np.array_equal(split_heads(merge_heads(heads), n_heads), heads)
    for h in range(n_heads):
        assert np.array_equal(heads[..., h, :, :], x[..., h * d:(h + 1) * d])
    for place in np.ndindex(leading):
        assert np.array_equal(split_heads(x[place], n_heads), heads[place])
        assert np.array_equal(merge_heads(heads[place]), x[place])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_that_may_look_at_nothing_gets_zeros(dtype):
    rng = np.random.default_rng(0)
    x = 100 * rng.standard_normal((2, 4, 6)).astype(dtype)
    W = {name: W.astype(dtype) for name, W in init_multi_head(rng, 6, 2).items()}
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        output, weights = multi_head_attention(x, x, **W, n_heads=2, mask=padding_mask(np.array([[0] * 4, [1] * 4]), 0))
    assert not np.any(output[0]) and not np.any(weights[0])
    assert np.all(np.isfinite(output)) and np.any(output[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_the_dtype_stays_and_so_do_the_inputs(dtype, masked):
    rng = np.random.default_rng(0)
    x, memory = rng.standard_normal((2, 3, 5, 6)).astype(dtype)
    W = {name: W.astype(dtype) for name, W in init_multi_head(rng, 6, 2).items()}
    mask = combine_masks(causal_mask(5), padding_mask(np.tri(3, 5, dtype=int), 0)) if masked else None
    inputs = [x, memory, *W.values(), np.array(mask)]
    before = [y.copy() for y in inputs]
    outputs = [*multi_head_attention(x, memory, **W, n_heads=2, mask=mask), linear(x, W["W_Q"]),
               linear(x, W["W_Q"], W["W_K"][0]), split_heads(x, 2), merge_heads(x)]
    assert {y.dtype for y in outputs} == {np.dtype(dtype)}
    assert all(np.array_equal(y, y_before) for y, y_before in zip(inputs, before, strict=True))


@pytest.mark.parametrize("d_k, d_v, columns, columns_v", [(None, None, 8, 8), (3, None, 6, 8), (None, 5, 8, 10),
                                                          (3, 5, 6, 10)])
def test_weights_have_the_shapes_they_are_said_to_have(d_k, d_v, columns, columns_v):
    W = init_multi_head(np.random.default_rng(0), 8, 2, d_k, d_v)
    shapes = {"W_Q": (8, columns), "W_K": (8, columns), "W_V": (8, columns_v), "W_O": (columns_v, 8)}
    assert {name: matrix.shape for name, matrix in W.items()} == shapes
    assert {matrix.dtype for matrix in W.values()} == {np.dtype(np.float32)}


def test_heads_need_not_share_the_model_evenly_where_their_sizes_are_given():
    assert init_multi_head(np.random.default_rng(0), 7, 3, d_k=2, d_v=4)["W_O"].shape == (12, 7)


def test_linear_weights_are_as_large_as_glorot_and_bengio_want_them():
    W = init_linear(np.random.default_rng(0), 100, 300)
    assert W.shape == (100, 300) and W.dtype == np.float32
    assert np.mean(W) == pytest.approx(0, abs=0.002)
    assert np.var(W) == pytest.approx(2 / 400, rel=0.05)
    assert np.array_equal(W, init_linear(np.random.default_rng(0), 100, 300))


# Bad input. A shape alone, without numbers: whatever begins to compute with it fails with another error.

def shaped(*shape):
    return SimpleNamespace(shape=shape)


X, W, W_BACK = shaped(2, 5, 4), shaped(4, 6), shaped(6, 4)
ROWS = "must have shape (..., length, size), neither of them 0; got"
FIT = "mask must have the shape (T, S) = (5, 5), or 4 axes, each of size 1 or as in (2, 2, 5, 5); got"


def attend(x=X, memory=X, W_Q=W, W_K=W, W_V=W, W_O=W_BACK, n_heads=2, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)


@pytest.mark.parametrize("call, message", [
    (lambda: attend(x=shaped(4)), f"x {ROWS} (4,)"),
    (lambda: attend(x=shaped(2, 0, 4)), f"x {ROWS} (2, 0, 4)"),
    (lambda: attend(memory=shaped(0, 4)), f"memory {ROWS} (0, 4)"),
    (lambda: attend(memory=shaped(3, 5, 4)),
     "x and memory must agree in all axes but the last two; got shapes (2, 5, 4), (3, 5, 4)"),
    (lambda: attend(W_Q=shaped(3, 6)), "W_Q must have shape (4, n_out), a row for each input; got (3, 6)"),
    (lambda: attend(memory=shaped(2, 5, 3)), "W_K must have shape (3, n_out), a row for each input; got (4, 6)"),
    (lambda: attend(W_V=shaped(2, 4, 6)), "W_V must have shape (4, n_out), a row for each input; got (2, 4, 6)"),
    (lambda: attend(W_O=shaped(4, 6)), "W_O must have shape (6, n_out), a row for each input; got (4, 6)"),
    (lambda: attend(W_K=shaped(4, 8)), "W_K must have as many columns as W_Q, 6; got shape (4, 8)"),
    (lambda: attend(n_heads=4), "the columns of W_Q must be divisible by n_heads = 4; got 6"),
    (lambda: attend(W_V=shaped(4, 5)), "the columns of W_V must be divisible by n_heads = 2; got 5"),
    (lambda: attend(n_heads=0), "n_heads must be a whole number, at least 1; got 0"),
    (lambda: attend(n_heads=2.0), "n_heads must be a whole number, at least 1; got 2.0"),
    (lambda: attend(mask=np.ones((5, 5), np.int64)),
     "mask must be an array of bool, True where a query may look; got dtype int64"),
    (lambda: attend(mask=np.ones((2, 5, 5), bool)), f"{FIT} (2, 5, 5)"),
    (lambda: attend(mask=np.ones((3, 1, 5, 5), bool)), f"{FIT} (3, 1, 5, 5)"),
    (lambda: attend(mask=np.ones((2, 3, 5, 5), bool)), f"{FIT} (2, 3, 5, 5)"),
    (lambda: attend(mask=np.ones((6, 5), bool)), f"{FIT} (6, 5)"),
    (lambda: linear(X, shaped(3, 4)), "W must have shape (4, n_out), a row for each input; got (3, 4)"),
    (lambda: linear(X, shaped(4)), "W must have shape (4, n_out), a row for each input; got (4,)"),
    (lambda: linear(X, W, shaped(1)), "b must have shape (6,), a number for each output; got (1,)"),
    (lambda: linear(X, W, shaped(5, 6)), "b must have shape (6,), a number for each output; got (5, 6)"),
    (lambda: split_heads(X, 3), "the last axis of x must be divisible by n_heads = 3; got 4"),
    (lambda: split_heads(shaped(4), 2), "x must have at least 2 axes; got shape (4,)"),
    (lambda: merge_heads(shaped(3, 4)), "x must have at least 3 axes; got shape (3, 4)"),
    (lambda: linear(np.float64(1), W), "x must have at least 1 axis; got shape ()"),
    (lambda: init_linear(None, 0, 0), "n_in must be a whole number, at least 1; got 0"),
    (lambda: split_heads(X, 0), "n_heads must be a whole number, at least 1; got 0"),
    (lambda: init_multi_head(None, 6, 4), "d_model must be divisible by n_heads = 4; got 6"),
    (lambda: init_multi_head(None, 6, 4, d_k=2), "d_model must be divisible by n_heads = 4; got 6"),
    (lambda: init_multi_head(None, 6, 4, d_v=2), "d_model must be divisible by n_heads = 4; got 6"),
    (lambda: init_multi_head(None, 0, 2), "d_model must be a whole number, at least 1; got 0"),
    (lambda: init_multi_head(None, 6, 0), "n_heads must be a whole number, at least 1; got 0"),
    (lambda: init_multi_head(None, 6, 2, d_k=0), "d_k must be a whole number, at least 1; got 0"),
    (lambda: init_multi_head(None, 6, 2, d_v=1.5), "d_v must be a whole number, at least 1; got 1.5"),
])
def test_bad_input_is_an_error_that_says_what_is_wrong_before_any_work(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
