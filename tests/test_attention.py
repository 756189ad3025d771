"""Attention and its masks: against PyTorch, and by their properties."""
import re
from types import SimpleNamespace

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.attention import (
    causal_attention,
    causal_mask,
    combine_masks,
    padding_mask,
    scaled_dot_product_attention,
    self_attention,
)
from scratchformer_lib.course.answers.chapter_03 import previous_word_head, soft_lookup
from scratchformer_lib.embeddings import Vocabulary, embed, init_embedding, positional_encoding


@pytest.mark.parametrize("case", parity.stored("attention"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, *scaled_dot_product_attention(**case.inputs))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("attention"):
        parity.agrees(case, *scaled_dot_product_attention(**case.inputs))


few = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 6)


@st.composite
def sentences(draw, n_batch=sizes):
    """What random words and weights there are: x (B, T, D), W_Q, W_K, W_V, and a generator for more."""
    B, T, D, d_k, d_v, seed = draw(st.tuples(n_batch, sizes, sizes, sizes, sizes, st.integers(0, 1000)))
    rng = np.random.default_rng(seed)
    return rng.standard_normal((B, T, D)), [rng.standard_normal((D, d)) for d in (d_k, d_k, d_v)], rng


def same(got, expected):
    return np.allclose(got, expected, rtol=1e-12, atol=1e-12)


@few
@given(sentences())
def test_every_query_gives_out_one_whole(drawn):
    x, W, rng = drawn
    mask = (rng.random((x.shape[1], x.shape[1])) < 0.5) | np.eye(x.shape[1], dtype=bool)
    weights = self_attention(x, *W, mask)[1]
    assert same(weights.sum(-1), 1)
    assert np.all(weights >= 0)
    assert not np.any(weights[:, ~mask])


@few
@given(sentences())
def test_the_output_is_what_the_weights_blend(drawn):
    x, (W_Q, W_K, W_V), _ = drawn
    output, weights = self_attention(x, W_Q, W_K, W_V)
    assert same(output, np.einsum("bts,bsd->btd", weights, x @ W_V))
    q, k = x[0, -1] @ W_Q, x[0] @ W_K
    assert same(output[0, -1], soft_lookup(q / np.sqrt(len(q)), k, x[0] @ W_V))


@few
@given(sentences())
def test_reordering_the_words_reorders_the_outputs(drawn):
    x, W, rng = drawn
    order = rng.permutation(x.shape[1])
    (output, weights), (output_of, weights_of) = self_attention(x, *W), self_attention(x[:, order], *W)
    assert same(output_of, output[:, order])
    assert same(weights_of, weights[:, order][:, :, order])


@few
@given(sentences())
def test_what_comes_later_changes_nothing_before_it(drawn):
    x, W, rng = drawn
    t = rng.integers(0, x.shape[1])
    other = x.copy()
    other[:, t + 1:] = 100 * rng.standard_normal(x[:, t + 1:].shape)
    for got, expected in zip(causal_attention(other, *W), causal_attention(x, *W), strict=True):
        assert np.array_equal(got[:, :t + 1], expected[:, :t + 1])
    assert same(causal_attention(x[:, :t + 1], *W)[0], causal_attention(x, *W)[0][:, :t + 1])


@few
@given(sentences())
def test_what_padding_holds_changes_nothing(drawn):
    x, W, rng = drawn
    ids = rng.integers(0, 3, x.shape[:2])
    ids[:, 0] = 1
    mask = padding_mask(ids, pad_id=0)[:, 0]
    other = np.where((ids == 0)[..., None], 100 * rng.standard_normal(x.shape), x)
    for got, expected in zip(self_attention(other, *W, mask), self_attention(x, *W, mask), strict=True):
        assert np.array_equal(got[ids != 0], expected[ids != 0])


@few
@given(sentences(), sizes)
def test_more_padding_changes_nothing(drawn, more):
    x, W, rng = drawn
    B, T, D = x.shape
    longer = np.concatenate([x, rng.standard_normal((B, more, D))], axis=1)
    mask = padding_mask(np.repeat([[1] * T + [0] * more], B, axis=0), pad_id=0)[:, 0]
    assert same(self_attention(longer, *W, mask)[0][:, :T], self_attention(x, *W)[0])


@few
@given(sentences(), st.sampled_from([(), (1,), (4,), (2, 3)]))
def test_a_stack_of_sentences_gives_the_stack_of_outputs(drawn, leading):
    (_, T, D), (W_Q, W_K, W_V), rng = drawn[0].shape, *drawn[1:]
    x = rng.standard_normal((*leading, T, D))
    q, k, v = x @ W_Q, x @ W_K, x @ W_V
    mask = rng.random((*leading, T, T)) < 0.7
    together = scaled_dot_product_attention(q, k, v, mask)
    by_itself, causal = self_attention(x, W_Q, W_K, W_V, mask), causal_attention(x, W_Q, W_K, W_V)
    for place in np.ndindex(leading):
        alone = scaled_dot_product_attention(q[place], k[place], v[place], mask[place])
        for got, whole, expected in zip(together, by_itself, alone, strict=True):
            assert same(got[place], expected) and same(whole[place], expected)
        assert same(causal[0][place], causal_attention(x[place], W_Q, W_K, W_V)[0])


def test_queries_may_look_into_one_memory_that_all_share():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal(shape) for shape in ((3, 2, 5, 4), (7, 4), (7, 6)))
    output, weights = scaled_dot_product_attention(q, k, v)
    assert output.shape == (3, 2, 5, 6) and weights.shape == (3, 2, 5, 7)
    assert same(output[1, 1], scaled_dot_product_attention(q[1, 1], k, v)[0])


# Masks

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_that_may_look_at_nothing_gets_zeros(dtype):
    rng = np.random.default_rng(0)
    q, k, v = (scale * rng.standard_normal((2, 4, 3)).astype(dtype) for scale in (1000, 1000, 1))
    mask = np.tri(4, k=-1, dtype=bool)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        output, weights = scaled_dot_product_attention(q, k, v, mask)
    assert not np.any(output[:, 0]) and not np.any(weights[:, 0])
    assert np.all(np.isfinite(output))
    assert np.allclose(weights[:, 1:].sum(-1), 1)
    assert not np.any(scaled_dot_product_attention(q, k, v, np.zeros((4, 4), bool))[0])


def test_a_mask_of_true_is_no_mask():
    q, k, v = np.random.default_rng(0).standard_normal((3, 2, 4, 3))
    for mask in (np.ones((4, 4), bool), np.ones((1, 1), bool), np.ones((2, 4, 4), bool)):
        for got, expected in zip(scaled_dot_product_attention(q, k, v, mask), scaled_dot_product_attention(q, k, v),
                                 strict=True):
            assert np.array_equal(got, expected)


def test_causal_means_itself_and_what_came_before():
    mask = causal_mask(3)
    assert mask.dtype == bool
    assert np.array_equal(mask, [[1, 0, 0], [1, 1, 0], [1, 1, 1]])


def test_padding_is_what_nobody_may_look_at():
    mask = padding_mask(np.array([[5, 7, 9], [5, 9, 9]]), pad_id=9)
    assert mask.dtype == bool and mask.shape == (2, 1, 1, 3)
    assert np.array_equal(mask[:, 0, 0], [[1, 1, 0], [1, 0, 0]])
    assert padding_mask(np.array([5, 9]), pad_id=9).shape == (1, 1, 2)


@few
@given(sizes, sizes, st.integers(0, 1000))
def test_combined_masks_allow_what_every_mask_allows(B, T, seed):
    ids = np.random.default_rng(seed).integers(0, 3, (B, T))
    both = combine_masks(padding_mask(ids, 0), None, causal_mask(T))
    assert both.shape == (B, 1, T, T) and both.dtype == bool
    for b, t, s in np.ndindex(B, T, T):
        assert both[b, 0, t, s] == (ids[b, s] != 0 and s <= t)
    assert np.array_equal(combine_masks(causal_mask(T), padding_mask(ids, 0)), both)


def test_no_masks_are_no_mask_and_one_is_itself():
    assert combine_masks() is None and combine_masks(None, None) is None
    assert np.array_equal(combine_masks(None, causal_mask(3)), causal_mask(3))


# Proofs by experiment

def the_cat_sat_on_the_mat():
    vocabulary = Vocabulary("the cat sat on the mat".split())
    rng = np.random.default_rng(0)
    x = embed(vocabulary.encode("the cat sat on the mat"), init_embedding(rng, len(vocabulary), 8).astype(float))
    return 3 * x, rng.standard_normal((3, 8, 8))


def test_without_positions_the_same_word_is_the_same_wherever_it_stands():
    x, W = the_cat_sat_on_the_mat()
    output, weights = self_attention(x, *W)
    assert same(output[4], output[0]) and same(weights[4], weights[0])
    assert not np.allclose(output[1], output[0], atol=0.1)


def test_it_is_so_to_the_bit_where_all_rows_are_added_up_in_one_order():
    """float16 is multiplied by NumPy's own loop; BLAS may add up two rows of a product in different orders."""
    x, W = the_cat_sat_on_the_mat()
    output, weights = self_attention(x.astype(np.float16), *W.astype(np.float16))
    assert output.dtype == np.float16
    assert np.array_equal(output[4], output[0]) and np.array_equal(weights[4], weights[0])
    assert not np.array_equal(output[1], output[0])


def test_with_positions_the_same_word_is_another_in_another_place():
    x, W = the_cat_sat_on_the_mat()
    output, weights = self_attention(x + positional_encoding(6, 8), *W)
    assert np.max(np.abs(output[4] - output[0])) > 0.1 and np.max(np.abs(weights[4] - weights[0])) > 0.01


def test_the_last_word_knows_what_came_before_it_but_not_in_which_order():
    x, W = the_cat_sat_on_the_mat()
    order = [3, 0, 2, 1, 4, 5]
    assert same(causal_attention(x[order], *W)[0][-1], causal_attention(x, *W)[0][-1])
    assert not same(causal_attention(x[[0, 1, 1, 3, 4, 5]], *W)[0][-1], causal_attention(x, *W)[0][-1])


def test_two_causal_layers_know_the_order():
    x, W = the_cat_sat_on_the_mat()
    order = [3, 0, 2, 1, 4, 5]
    last, last_of = (causal_attention(causal_attention(y, *W)[0], *W)[0][-1] for y in (x, x[order]))
    assert np.max(np.abs(last - last_of)) > 0.01


@few
@given(st.integers(2, 30), st.integers(4, 8).map(lambda half: 2 * half), st.integers(0, 1000))
def test_a_head_set_by_hand_looks_at_the_word_before(length, d_position, seed):
    words = np.random.default_rng(seed).standard_normal((length, 5))
    x = np.concatenate([words, positional_encoding(length, d_position, np.float64)], axis=1)
    output, weights = self_attention(x, *previous_word_head(5, d_position))
    assert np.all(np.diagonal(weights, -1) > 0.99)
    assert np.allclose(output[1:], words[:-1], atol=0.1)


# Dtypes and inputs

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_the_dtype_stays_and_so_do_the_inputs(dtype, masked):
    rng = np.random.default_rng(0)
    x, *W = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 5, 4), (4, 3), (4, 3), (4, 2)))
    mask = combine_masks(causal_mask(5), padding_mask(np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]]), 0)[:, 0])
    masks = (mask,) if masked else ()
    inputs = [x, *W, mask]
    before = [y.copy() for y in inputs]
    for outputs in (self_attention(x, *W, *masks), causal_attention(x, *W),
                    scaled_dot_product_attention(x, x, x, *masks)):
        assert [y.dtype for y in outputs] == [dtype, dtype]
    assert all(np.array_equal(y, y_before) for y, y_before in zip(inputs, before, strict=True))


# Bad input. A shape alone, without numbers: whatever begins to compute with it fails with another error.

def shaped(*shape):
    return SimpleNamespace(shape=shape)


def mask_of(*shape):
    return np.ones(shape, bool)


attend = scaled_dot_product_attention
X, W_2, W_3 = shaped(2, 5, 4), shaped(4, 2), shaped(4, 3)
STACK = shaped(2, 2, 5, 4)       # with as many heads as sentences
ROWS = "must have shape (..., length, size), neither of them 0; got"
BOOL = "mask must be an array of bool, True where a query may look; got"
FIT = "mask must have the shape (T, S) = (5, 5), or 3 axes, each of size 1 or as in (2, 5, 5); got"


@pytest.mark.parametrize("f, arguments, message", [
    (attend, (shaped(4), X, X), f"q {ROWS} (4,)"),
    (attend, (shaped(2, 0, 4), X, X), f"q {ROWS} (2, 0, 4)"),
    (attend, (X, shaped(0, 4), X), f"k {ROWS} (0, 4)"),
    (attend, (X, X, shaped(0, 4)), f"v {ROWS} (0, 4)"),
    (attend, (X, shaped(2, 5, 3), X), "k must have rows as long as those of q, d_k = 4; got shape (2, 5, 3)"),
    (attend, (X, X, shaped(2, 6, 4)), "v must have one row for each key, S = 5; got shape (2, 6, 4)"),
    (attend, (X, shaped(3, 5, 4), X),
     "q and k and v must agree in all axes but the last two; got shapes (2, 5, 4), (3, 5, 4), (2, 5, 4)"),
    (attend, (X, X, X, np.ones((5, 5), np.int64)), f"{BOOL} dtype int64"),
    (attend, (X, X, X, np.ones((5, 5))), f"{BOOL} dtype float64"),
    (attend, (X, X, X, [[True]]), f"{BOOL} list"),
    (attend, (X, X, X, mask_of(5)), f"{FIT} (5,)"),
    (attend, (X, X, X, mask_of(5, 6)), f"{FIT} (5, 6)"),
    (attend, (X, X, X, mask_of(3, 5, 5)), f"{FIT} (3, 5, 5)"),
    (attend, (X, X, X, mask_of(2, 1, 5, 5)), f"{FIT} (2, 1, 5, 5)"),
    (attend, (STACK, STACK, STACK, mask_of(2, 5, 5)),
     "mask must have the shape (T, S) = (5, 5), or 4 axes, each of size 1 or as in (2, 2, 5, 5); got (2, 5, 5)"),
    (attend, (shaped(5, 4), shaped(7, 4), shaped(7, 4), mask_of(5, 5)),
     "mask must have the shape (T, S) = (5, 7); got (5, 5)"),
    (attend, (shaped(1, 4), shaped(7, 4), shaped(7, 4), mask_of(5, 7)),
     "mask must have the shape (T, S) = (1, 7); got (5, 7)"),
    (self_attention, (shaped(4), W_3, W_3, W_2), f"x {ROWS} (4,)"),
    (self_attention, (shaped(2, 0, 4), W_3, W_3, W_2), f"x {ROWS} (2, 0, 4)"),
    (self_attention, (X, shaped(3, 4), W_3, W_2), "W_Q must have shape (4, n_out), a row for each input; got (3, 4)"),
    (self_attention, (X, W_3, shaped(4), W_2), "W_K must have shape (4, n_out), a row for each input; got (4,)"),
    (self_attention, (X, W_3, W_3, STACK), "W_V must have shape (4, n_out), a row for each input; got (2, 2, 5, 4)"),
    (self_attention, (X, W_3, W_2, W_2), "W_K must have as many columns as W_Q, 3; got shape (4, 2)"),
    (self_attention, (X, W_3, W_3, W_2, mask_of(2, 1, 1, 5)), f"{FIT} (2, 1, 1, 5)"),
    (causal_attention, (X, W_3, W_2, W_2), "W_K must have as many columns as W_Q, 3; got shape (4, 2)"),
    (causal_mask, (0,), "length must be a whole number, at least 1; got 0"),
    (causal_mask, (2.5,), "length must be a whole number, at least 1; got 2.5"),
    (padding_mask, (np.ones((2, 3)), 0), "ids must be whole numbers; got dtype float64"),
    (padding_mask, (mask_of(2, 3), 0), "ids must be whole numbers; got dtype bool"),
    (padding_mask, (np.ones((2, 0), int), 0), "ids must hold at least one id; got shape (2, 0)"),
    (combine_masks, (mask_of(5, 5), np.ones((5, 5))), f"{BOOL} dtype float64"),
    (combine_masks, (mask_of(5, 5), mask_of(6, 6)),
     "masks must be (T, S), or have 2 axes as the largest has, and fit it; got shapes (5, 5), (6, 6)"),
    (combine_masks, (mask_of(2, 1, 1, 5), mask_of(2, 5, 5)),
     "masks must be (T, S), or have 4 axes as the largest has, and fit it; got shapes (2, 1, 1, 5), (2, 5, 5)"),
])
def test_bad_input_is_an_error_that_says_what_is_wrong_before_any_work(f, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        f(*arguments)


def test_ids_of_a_padding_mask_may_be_a_list():
    assert padding_mask([[1, 0]], 0).tolist() == [[[[True, False]]]]


def test_values_with_more_leading_axes_do_not_let_a_mask_enlarge_the_scores():
    q, v = np.ones((5, 4)), np.ones((3, 5, 4))
    assert scaled_dot_product_attention(q, q, v)[0].shape == (3, 5, 4)
    with pytest.raises(ValueError, match="mask must have the shape"):
        scaled_dot_product_attention(q, q, v, np.ones((3, 5, 5), bool))


@pytest.mark.parametrize("x", [np.ones(4), np.ones((0, 4))])
def test_causal_attention_names_x_where_it_has_no_words(x):
    with pytest.raises(ValueError, match="x must have shape"):
        causal_attention(x, *np.ones((3, 4, 2)))
