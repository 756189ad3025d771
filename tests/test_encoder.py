"""The encoder: against PyTorch, and by its properties."""
import re

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.attention import padding_mask
from scratchformer_lib.block import gelu, layer_norm, relu, transformer_block
from scratchformer_lib.embeddings import embed, positional_encoding
from scratchformer_lib.encoder import embed_sequence, encoder, encoder_layer, init_encoder

NORMS = ("norm_1", "norm_2")
both_norms = pytest.mark.parametrize("pre_norm", [False, True])
few = settings(max_examples=25, deadline=None)


def our_encoder(x, n_layers, n_heads, ids, pre_norm, activation, **params):
    nested = {f"layer_{i + 1}": {
        "attention": {name: params[name][i] for name in ("W_Q", "W_K", "W_V", "W_O")},
        "feed_forward": {name: params[name][i] for name in ("W_1", "b_1", "W_2", "b_2")},
        **{norm: {part: params[f"{part}_{norm[-1]}"][i] for part in ("gamma", "beta")} for norm in NORMS}}
        for i in range(n_layers)}
    if pre_norm:
        nested["norm"] = {"gamma": params["gamma"], "beta": params["beta"]}
    return encoder(x, nested, n_heads, padding_mask(ids, 0), pre_norm, {"relu": relu, "gelu": gelu}[activation])


@pytest.mark.parametrize("case", parity.stored("encoder"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, our_encoder(**case.inputs))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("encoder"):
        parity.agrees(case, our_encoder(**case.inputs))


@st.composite
def encoders(draw):
    """Random words x (B, S, D), and what else an encoder takes."""
    n_layers, B, S, D, H, F, seed = draw(st.tuples(*[st.integers(1, 4)] * 6, st.integers(0, 1000)))
    rng, pre_norm = np.random.default_rng(seed), draw(st.booleans())
    params = init_encoder(rng, n_layers, 2 * D, H, F, 3, 2, pre_norm)
    return rng.standard_normal((B, S, 2 * D)), {"params": params, "n_heads": H, "pre_norm": pre_norm}, rng


@few
@given(encoders())
def test_a_stack_is_its_layers_one_after_the_other(drawn):
    x, options, _ = drawn
    y, params, pre_norm = x, options["params"], options["pre_norm"]
    for i in range(len(params) - pre_norm):
        y = encoder_layer(y, params[f"layer_{i + 1}"], options["n_heads"], pre_norm=pre_norm)
    if pre_norm:
        y = layer_norm(y, **params["norm"])
    assert np.array_equal(encoder(x, **options), y)


@few
@given(encoders())
def test_without_positions_reordering_the_words_reorders_the_outputs(drawn):
    x, options, rng = drawn
    order = rng.permutation(x.shape[-2])
    assert np.allclose(encoder(x[:, order], **options), encoder(x, **options)[:, order], rtol=1e-9, atol=1e-9)


@few
@given(encoders())
def test_what_padding_holds_changes_nothing_to_the_bit(drawn):
    x, options, rng = drawn
    ids = np.ones(x.shape[:2], int)
    ids[:, rng.integers(1, x.shape[1] + 1):] = 0
    other = np.where(ids[..., None] == 0, 1e3 * rng.standard_normal(x.shape), x)
    before, after = (encoder(a, mask=padding_mask(ids, 0), **options) for a in (x, other))
    assert np.array_equal(before[ids == 1], after[ids == 1])


@both_norms
def test_the_length_of_padding_moves_the_last_digits_alone(pre_norm):
    rng = np.random.default_rng(0)
    params = init_encoder(rng, 3, 8, 2, 12, pre_norm=pre_norm)
    x, ids = rng.standard_normal((1, 9, 8)), np.array([[1, 1, 1, 1, 0, 0, 0, 0, 0]])
    padded = encoder(x, params, 2, padding_mask(ids, 0), pre_norm)[:, :4]
    assert np.allclose(padded, encoder(x[:, :4], params, 2, pre_norm=pre_norm), rtol=1e-12, atol=1e-12)


def test_the_layer_is_the_block():
    assert encoder_layer is transformer_block


@both_norms
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays_and_every_layer_is_recorded_by_name(pre_norm, dtype):
    rng, record = np.random.default_rng(0), {}
    params = init_encoder(rng, 2, 8, 4, 12, pre_norm=pre_norm)
    x = rng.standard_normal((2, 5, 8)).astype(dtype)
    kept = x.copy()
    y = encoder(x, params, 4, pre_norm=pre_norm, rate=0.2, rng=rng, record=record)
    assert (y.shape, y.dtype) == (x.shape, dtype) and np.array_equal(x, kept)
    assert {name: {part: weights.shape for part, weights in parts.items()} for name, parts in record.items()} == {
        "layer_1": {"attention": (2, 4, 5, 5)}, "layer_2": {"attention": (2, 4, 5, 5)}}
    assert not np.array_equal(record["layer_1"]["attention"], record["layer_2"]["attention"])


def test_dropout_needs_a_generator_and_then_a_seed_gives_the_same_again():
    rng = np.random.default_rng(0)
    params, x = init_encoder(rng, 2, 8, 2, 12), rng.standard_normal((5, 8))
    plain, *dropped = (encoder(x, params, 2, rate=0.5, rng=r) for r in
                       (None, np.random.default_rng(1), np.random.default_rng(1), np.random.default_rng(2)))
    assert np.array_equal(plain, encoder(x, params, 2))
    assert np.array_equal(dropped[0], dropped[1]) and not np.allclose(dropped[0], dropped[2])
    assert not np.allclose(dropped[0], plain)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 1, 4)])
def test_a_sequence_is_its_scaled_words_and_their_positions(shape, dtype, tolerance):
    rng = np.random.default_rng(0)
    table, ids = rng.standard_normal((7, 6)).astype(dtype), rng.integers(0, 7, shape)
    x = embed_sequence(ids, table)
    assert x.dtype == dtype
    places = positional_encoding(4, 6, np.float64)
    assert np.allclose(x, np.sqrt(6) * embed(ids, table) + places, rtol=tolerance, atol=tolerance)
    assert np.allclose(embed_sequence(ids, table, scale=False), embed(ids, table) + places, rtol=tolerance,
                       atol=tolerance)


def test_init_encoder_names_its_layers_and_pre_norm_gets_one_norm_more():
    rng = np.random.default_rng(0)
    assert list(init_encoder(rng, 2, 8, 2, 12)) == ["layer_1", "layer_2"]
    params = init_encoder(rng, 11, 8, 2, 12, pre_norm=True)
    assert list(params) == [f"layer_{i}" for i in range(1, 12)] + ["norm"]
    assert not np.array_equal(params["layer_1"]["attention"]["W_Q"], params["layer_2"]["attention"]["W_Q"])


X = np.zeros((2, 5, 8))


@pytest.mark.parametrize("call, message", [
    (lambda: init_encoder(np.random.default_rng(0), 0, 8, 2, 12), "n_layers must be a whole number, at least 1; got 0"),
    (lambda: embed_sequence(np.array([[0, 9]]), X[0]), "ids must lie between 0 and 4, for a vocabulary of 5; got 9"),
    (lambda: embed_sequence(3, X[0]), "ids must have at least 1 axis; got shape ()"),
    (lambda: encoder(X, {}, 2), "params must be a dict with at least one layer, \"layer_1\"; got nothing"),
    (lambda: encoder(X, [{}], 2), "params must be a dict with at least one layer"),
    (lambda: encoder(X, {"layer_1": {}, "layer_3": {}}, 2), "in this order, with \"norm\" if pre_norm is true; got"),
    (lambda: encoder(X, {"layer_1": {}, "norm": {"gamma": X}}, 2, pre_norm=True),
     "norm must be a dict of gamma, beta; got gamma"),
    (lambda: encoder(X, init_encoder(np.random.default_rng(0), 1, 8, 2, 12), 2, pre_norm=True),
     "params must be a dict of norm, in this order, with \"norm\" if pre_norm is true; got layer_1"),
    (lambda: encoder(X, init_encoder(np.random.default_rng(0), 1, 8, 2, 12, pre_norm=True), 2),
     "params must be a dict of layer_1, layer_2, in this order, with \"norm\" if pre_norm is true; got layer_1, norm"),
    (lambda: encoder(X, init_encoder(np.random.default_rng(0), 1, 6, 2, 12), 2), "W_Q must have shape (8, n_out)"),
])
def test_bad_input_is_an_error_that_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
