"""GPT, how it chooses and writes, and its memory: against PyTorch, against naive loops, and by its properties."""
import copy
import dataclasses
import itertools
import math
import re

import numpy as np
import parity
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_by_hand import agree, both_ways

from scratchformer_lib import gpt
from scratchformer_lib.attention import causal_mask
from scratchformer_lib.autograd import check_gradients, value_and_grad
from scratchformer_lib.block import dropout, gelu, relu, transformer_block
from scratchformer_lib.course import weights
from scratchformer_lib.embeddings import Vocabulary, positional_encoding
from scratchformer_lib.encoder import encoder, init_encoder
from scratchformer_lib.gpt import (
    GPTConfig,
    TransformerLM,
    attend_with_cache,
    block_with_cache,
    generate,
    generate_text,
    hidden_with_cache,
    init_transformer_lm,
    length_of,
    lm_with_cache,
    next_token_pair,
    perplexity,
    rank,
    sample,
    stack_with_cache,
    top_k,
    top_p,
    transformer_lm,
)
from scratchformer_lib.multi_head import init_multi_head, multi_head_attention
from scratchformer_lib.support.files import save_model
from scratchformer_lib.support.shapes import OnlyShapes
from scratchformer_lib.support.steps import Cache
from scratchformer_lib.support.trees import flat, nested
from scratchformer_lib.training import cross_entropy
from scratchformer_lib.transformer import Transformer, TransformerConfig

few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 1000)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
both_positions = pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
WORDS = Vocabulary("one two three four five six seven".split())


# Against PyTorch

def our_transformer_lm(ids, n_heads, pre_norm, activation, **params):
    params = nested(params)
    config = GPTConfig(*params["table"].shape, n_heads, 2, 12, max_length=7, activation=activation, pre_norm=pre_norm,
                       positions="learned" if "positions" in params else "sinusoidal",
                       tied_output="output" not in params)
    return TransformerLM(config, params)(ids)


def gradients_of(case, by_hand):
    def loss(floats):
        inputs = case.inputs | floats
        labels, ignore_id = inputs.pop("labels"), inputs.pop("ignore_id")
        return cross_entropy(our_transformer_lm(**inputs), labels, ignore_id) * parity.weights_like(np.ones(()))
    floats = {name: x for name, x in case.inputs.items() if parity.is_float(x)}
    return value_and_grad(loss, by_hand)(floats)[1]


@pytest.mark.parametrize("case", parity.stored("gpt"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, our_transformer_lm(**case.inputs))


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize("case", parity.stored("gpt_gradients"), ids=str)
def test_its_gradients_agree_with_what_pytorch_once_said(case, by_hand):
    parity.gradients_agree(case, gradients_of(case, by_hand))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("gpt"):
        parity.agrees(case, our_transformer_lm(**case.inputs))
    for case, by_hand in itertools.product(parity.live("gpt_gradients"), (True, False)):
        parity.gradients_agree(case, gradients_of(case, by_hand))


# The config and the parameters

SMALL = {"n_vocab": 11, "d_model": 8, "n_heads": 2, "n_layers": 2, "d_ff": 12, "max_length": 12, "dropout": 0.0}


def drawn_model(seed=0, dtype=np.float64, **fields):
    """A small GPT, with numbers that say something, and biases, gamma and beta that are not 0 and 1."""
    config = GPTConfig(**SMALL | fields)
    rng = np.random.default_rng(seed)
    params = flat(init_transformer_lm(rng, config))
    for name, p in params.items():
        louder = 3 * p if "/" not in name else p
        params[name] = (louder if p.ndim == 2 else p + 0.3 * rng.standard_normal(p.shape)).astype(dtype)
    return TransformerLM(config, nested(params))


choices = st.fixed_dictionaries({"positions": st.sampled_from(["learned", "sinusoidal"]), "pre_norm": st.booleans(),
                                 "activation": st.sampled_from(["relu", "gelu"]), "tied_output": st.booleans()})


def test_a_config_is_gpt_2_the_small_one_unless_told_otherwise():
    assert dataclasses.asdict(GPTConfig(50257)) == {
        "n_vocab": 50257, "d_model": 768, "n_heads": 12, "n_layers": 12, "d_ff": None, "max_length": 1024,
        "positions": "learned", "activation": "gelu", "pre_norm": True, "dropout": 0.1, "tied_output": True,
        "end_id": None}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(GPTConfig)])
def test_a_config_cannot_be_changed(field):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(GPTConfig(10), field, 5)


NUMBERS = ("n_vocab", "d_model", "n_heads", "n_layers", "d_ff", "max_length")


@pytest.mark.parametrize("fields, message", [
    *(({name: wrong}, f"{name} must be a whole number, at least 1; got {wrong!r}")
      for name in NUMBERS for wrong in (0, 4.0, True, "4")),
    *(({name: 1}, f"{name} must be True or False; got 1") for name in ("pre_norm", "tied_output")),
    ({"d_model": 10}, "d_model must be divisible by n_heads = 12; got 10"),
    ({"positions": "none"}, 'positions must be "learned" or "sinusoidal"; got \'none\''),
    ({"activation": gelu}, 'activation must be "relu" or "gelu"; got <function gelu'),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1; got 1.0"),
    ({"dropout": np.float32(0.1)}, "dropout must be a Python number"),
    ({"end_id": 10}, "end_id must lie between 0 and 9, for a vocabulary of 10; got 10"),
    *(({"end_id": wrong}, f"end_id must be a whole number, at least 0; got {wrong!r}")
      for wrong in (-1, 2.0, True, "2", [2])),
])
def test_a_config_that_does_not_fit_is_refused_by_name(fields, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        GPTConfig(**{"n_vocab": 10} | fields)


def test_sizes_that_fit_are_taken():
    GPTConfig(1, d_model=np.int64(3), n_heads=3, n_layers=1, d_ff=1, max_length=1, dropout=0, end_id=0)
    GPTConfig(12, end_id=np.int64(11))


def test_parameters_have_the_shapes_they_are_said_to_have():
    config = GPTConfig(11, 8, 2, 2, max_length=5, tied_output=False)
    params = init_transformer_lm(np.random.default_rng(0), config)
    assert list(params) == ["table", "positions", "blocks", "output"]
    assert [params[name].shape for name in ("table", "positions", "output")] == [(11, 8), (5, 8), (8, 11)]
    assert list(params["blocks"]) == ["layer_1", "layer_2", "norm"]
    assert params["blocks"]["layer_2"]["feed_forward"]["W_1"].shape == (8, 32)
    assert {p.dtype for p in flat(params).values()} == {np.dtype(np.float32)}
    again, other = (flat(init_transformer_lm(np.random.default_rng(seed), config)) for seed in (0, 1))
    assert all(np.array_equal(p, again[name]) for name, p in flat(params).items())
    assert not np.array_equal(params["output"], other["output"])
    rows = np.concatenate([params["table"], params["positions"]])
    assert len(np.unique(rows, axis=0)) == 16 and np.mean(np.sum(rows * rows, axis=-1)) == pytest.approx(1, rel=0.3)
    less = dataclasses.replace(config, positions="sinusoidal", tied_output=True, pre_norm=False, d_ff=7)
    params = init_transformer_lm(OnlyShapes(), less)
    assert (list(params), list(params["blocks"])) == (["table", "blocks"], ["layer_1", "layer_2"])
    assert params["blocks"]["layer_1"]["feed_forward"]["W_1"].shape == (8, 7)


def test_with_the_biases_of_its_attention_gpt_2_has_124_439_808_parameters():
    config = GPTConfig(50257)
    n = sum(math.prod(p.shape) for p in flat(init_transformer_lm(OnlyShapes(), config)).values())
    assert n + 4 * config.d_model * config.n_layers == 124_439_808


@few
@given(st.tuples(*[st.integers(1, 4)] * 6), choices)
def test_the_number_of_parameters_is_the_sum_over_its_parts(sizes, chosen):
    n_vocab, H, times, n_layers, F, max_length = sizes
    D = H * times
    model = drawn_model(n_vocab=n_vocab, d_model=D, n_heads=H, n_layers=n_layers, d_ff=F, max_length=max_length,
                        **chosen)
    expected = n_layers * (4 * D * D + 2 * D * F + F + D + 4 * D) + 2 * D * chosen["pre_norm"]
    expected += n_vocab * D * (1 + (not chosen["tied_output"])) + max_length * D * (chosen["positions"] == "learned")
    assert model.n_parameters == expected


def test_the_summary_lists_the_blocks_and_adds_up():
    model = drawn_model(n_layers=11, tied_output=False)
    rows = [re.fullmatch(r"(.+?) +([\d,]+) +([\d.]+)%", line).groups() for line in model.summary().split("\n")]
    counts = [int(n.replace(",", "")) for _, n, _ in rows]
    assert [name for name, _, _ in rows] == ["table", "positions", *(f"blocks, layer_{i}" for i in range(1, 12)),
                                             "blocks, norm", "output", "all"]
    assert sum(counts[:-1]) == counts[-1] == model.n_parameters and counts[0] == counts[-2] == 88
    assert all(float(share) == pytest.approx(100 * n / counts[-1], abs=0.06) for (*_, share), n
               in zip(rows, counts, strict=True))


@pytest.mark.parametrize("change, message", [
    (lambda p: p.pop("positions"), "params must hold positions, of shape (12, 8); it is missing"),
    (lambda p: p.pop("blocks/layer_2/norm_2/beta"), "params must hold blocks/layer_2/norm_2/beta, of shape (8,)"),
    (lambda p: p.update(output=p["table"].T), "params must fit the config, which has no output"),
    (lambda p: p.update(table=p["table"].T), "table must have shape (11, 8), for this config; got (8, 11)"),
    (lambda p: p.update(table=p["table"].astype(np.float32)), "params must be arrays of floats, all of one dtype"),
    (lambda p: p.update({name: x.tolist() for name, x in p.items()}), "params must be arrays of floats"),
])
def test_parameters_that_do_not_fit_the_config_are_refused_by_name(change, message):
    params = flat(drawn_model().params)
    change(params)
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        TransformerLM(GPTConfig(**SMALL), nested(params))


# The model

@few
@given(choices, seeds, st.integers(1, 3), st.integers(1, 12), st.sampled_from([0.0, 0.3]))
def test_it_is_its_parts_one_after_the_other(chosen, seed, B, T, rate):
    model = drawn_model(seed, dropout=rate, **chosen)
    ids, rng = np.random.default_rng(seed).integers(0, 11, (B, T)), np.random.default_rng(5)
    table, waves = model.params["table"], positional_encoding(T, 8, float)
    x = table[ids] + model.params["positions"][:T] if "positions" in model.params else math.sqrt(8) * table[ids] + waves
    x = encoder(dropout(x, rate, rng), model.params["blocks"], 2, causal_mask(T), chosen["pre_norm"],
                {"relu": relu, "gelu": gelu}[chosen["activation"]], rate, rng)
    W = table.T if chosen["tied_output"] else model.params["output"]
    got = transformer_lm(model.params, model.config, ids, np.random.default_rng(5))
    assert got.shape == (B, T, 11) and np.allclose(got, x @ W, rtol=1e-11, atol=1e-11)
    assert np.array_equal(got, model(ids.tolist(), np.random.default_rng(5)))


@few
@given(choices, seeds, st.integers(1, 11))
def test_what_comes_later_changes_nothing_before_it_to_the_bit(chosen, seed, t):
    model, rng = drawn_model(seed, **chosen), np.random.default_rng(seed)
    ids = rng.integers(0, 11, (3, 12))
    other = np.hstack([ids[:, :t], (ids[:, t:] + rng.integers(1, 11, (3, 12 - t))) % 11])
    a, b = model(ids), model(other)
    assert np.array_equal(a[:, :t], b[:, :t]) and np.all(np.abs(a - b).max(-1)[:, t:] > 1e-6)


@both_positions
def test_every_position_reads_what_came_before_and_where_it_was(positions):
    model = drawn_model(positions=positions)
    ids = np.array([[3, 4, 5, 6, 7]])
    for place in range(5):
        other = ids.copy()
        other[0, place] = 8
        assert np.all(np.abs(model(other) - model(ids)).max(-1)[0, place:] > 1e-3)
    assert not np.allclose(model(ids[:, [1, 0, 2, 3, 4]])[:, 2:], model(ids)[:, 2:], atol=1e-3)


@both_dtypes
@both_positions
def test_the_dtype_stays_so_do_the_inputs_and_everything_is_recorded(dtype, positions):
    for pre_norm, tied, rng in itertools.product((False, True), (False, True), (None, np.random.default_rng(0))):
        model = drawn_model(0, dtype, positions=positions, pre_norm=pre_norm, tied_output=tied, dropout=0.2)
        ids, record = np.array([[3, 4, 5], [6, 0, 0]]), {}
        kept = [x.copy() for x in (ids, *flat(model.params).values())]
        logits = model(ids, rng, record)
        assert (logits.shape, logits.dtype) == ((2, 3, 11), dtype)
        assert {name: (w.shape, w.dtype) for name, w in flat(record).items()} == {
            f"layer_{i}/attention": ((2, 2, 3, 3), dtype) for i in (1, 2)}
        assert not np.any(np.triu(record["layer_2"]["attention"], 1))
        assert all(np.array_equal(a, b) for a, b in zip(kept, (ids, *flat(model.params).values()), strict=True))


def test_dropout_needs_a_generator_and_then_a_seed_gives_the_same_again():
    model, ids = drawn_model(dropout=0.5), np.array([[3, 4, 5]])
    first, again, other = (model(ids, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.allclose(first, other) and not np.allclose(first, model(ids))


IDS = np.array([[3, 4, 3, 8, 3, 3, 10], [6, 6, 6, 6, 6, 0, 0], [4, 0, 10, 1, 2, 5, 9]])


def writing(dtype=np.float64, **fields):
    """A loss of a small GPT, and its parameters."""
    model = drawn_model(0, dtype, dropout=0.3, **fields)

    def loss(params, seed=None):
        rng = None if seed is None else np.random.default_rng(seed)
        return cross_entropy(transformer_lm(params, model.config, IDS[:, :-1], rng), IDS[:, 1:], 0)
    return loss, model.params


@pytest.mark.parametrize("fields", [
    {"pre_norm": pre_norm, "positions": positions, "tied_output": tied} for pre_norm in (False, True)
    for positions in ("learned", "sinusoidal") for tied in (False, True)], ids=str)
@pytest.mark.parametrize("seed", [None, 3])
def test_gradients_by_hand_are_those_of_the_bare_functions_also_with_dropout(fields, seed):
    for activation in ("relu", "gelu"):
        loss, params = writing(activation=activation, **fields)
        (value, gradients), (expected, theirs) = both_ways(loss, params, seed)
        agree(gradients, theirs)
        assert np.isclose(value, expected, rtol=1e-13) and loss(params, seed=3) != loss(params)
        if "positions" in params:
            assert not np.any(gradients["positions"][6:]) and np.all(np.any(gradients["positions"][:6], axis=-1))


@pytest.mark.parametrize("fields", [{"tied_output": False}, {"pre_norm": False}, {"positions": "sinusoidal"}], ids=str)
def test_with_a_fixed_draw_of_dropout_the_gradients_are_what_small_steps_say(fields):
    loss, params = writing(**fields)
    errors = check_gradients(lambda params: loss(params, seed=3), params, n_entries=3)
    assert max(errors.values()) < 1e-5 and len(errors) == len(flat(params))


@both_positions
@pytest.mark.parametrize("by_hand", [True, False])
def test_float32_has_gradients_in_float32(positions, by_hand):
    loss, params = writing(np.float32, positions=positions, tied_output=False)
    value, gradients = value_and_grad(loss, by_hand)(params, seed=3)
    assert {x.dtype for x in (value, *flat(gradients).values())} == {np.dtype(np.float32)}


# What it is trained on, and how it is judged

@few
@given(st.integers(2, 60), st.integers(1, 59), seeds)
def test_the_label_of_a_token_is_the_token_after_it(N, length, seed):
    assume(N > length)
    stream = np.random.default_rng(seed).integers(0, 9, N)
    inputs, labels = next_token_pair(stream, length)
    n_rows = (N - 1) // length
    assert inputs.shape == labels.shape == (n_rows, length)
    for row, column in np.ndindex(n_rows, length):
        place = row * length + column
        assert (inputs[row, column], labels[row, column]) == (stream[place], stream[place + 1])
    assert N - 1 - n_rows * length < length                 # no row more would have fitted
    assert np.array_equal(next_token_pair(stream.tolist(), length)[1], labels)


@few
@given(st.sampled_from([(3,), (2, 3)]), st.integers(2, 6), seeds)
def test_perplexity_is_one_over_the_geometric_mean_of_the_chances_of_the_right_tokens(shape, n_vocab, seed):
    rng = np.random.default_rng(seed)
    logits, targets = 3 * rng.standard_normal((*shape, n_vocab)), rng.integers(0, n_vocab, shape)
    targets.flat[0] = 1
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    right = np.take_along_axis(chances, targets[..., None], axis=-1)[..., 0]
    for ignore_id, counts in ((None, right.ravel()), (0, right[targets != 0])):
        got = perplexity(logits, targets.tolist(), ignore_id)
        assert got == pytest.approx(np.prod(counts) ** (-1 / len(counts)), rel=1e-10) and got >= 1


@both_dtypes
def test_a_model_that_knows_nothing_hesitates_between_all_tokens(dtype):
    got = perplexity(np.zeros((4, 5, 32), dtype), np.ones((4, 5), int))
    assert got == pytest.approx(32) and got.dtype == dtype


# How it chooses

def kept_by_k(row, k):
    """The places of the k largest; of equal ones, the first."""
    return set(sorted(range(len(row)), key=lambda i: (-row[i], i))[:k])


def kept_by_p(row, p):
    """The places of the fewest that have a share of p together; and how near the next place came to another answer."""
    total, so_far, kept, gap = math.fsum(math.exp(x) for x in row), 0.0, set(), 1.0
    for i in sorted(range(len(row)), key=lambda i: (-row[i], i)):
        gap = min(gap, abs(so_far / total - p))
        if so_far / total < p:
            kept.add(i)
        so_far += math.exp(row[i])
    return kept, gap


@st.composite
def scores(draw, dims=3):
    """Logits, often with equal ones among them."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=dims)))
    rng = np.random.default_rng(draw(seeds))
    return draw(st.sampled_from([2 * rng.standard_normal(shape), rng.integers(-2, 3, shape).astype(float)]))


def check_kept(got, logits, kept):
    """What is kept is as it was, and the rest is -inf."""
    assert (got.shape, got.dtype) == (logits.shape, logits.dtype)
    for row, before, places in zip(got.reshape(-1, got.shape[-1]), logits.reshape(-1, got.shape[-1]), kept,
                                   strict=True):
        assert row.tolist() == [x if i in places else -math.inf for i, x in enumerate(before.tolist())]


@given(scores())
def test_the_rank_of_a_token_is_the_number_of_those_before_it(logits):
    got = rank(logits)
    assert got.shape == logits.shape
    for ranks, row in zip(got.reshape(-1, got.shape[-1]), logits.reshape(-1, got.shape[-1]), strict=True):
        assert ranks.tolist() == [sum((-other, j) < (-x, i) for j, other in enumerate(row)) for i, x in enumerate(row)]


@given(scores(), st.integers(1, 6), st.sampled_from([np.float32, np.float64]))
def test_top_k_keeps_the_k_largest_and_of_equal_ones_the_first(logits, k, dtype):
    logits = logits.astype(dtype)
    before = logits.copy()
    check_kept(top_k(logits, k), logits, [kept_by_k(row, k) for row in logits.reshape(-1, logits.shape[-1])])
    assert np.array_equal(logits, before)


@given(scores(), st.floats(0.01, 0.999), st.sampled_from([np.float32, np.float64]))
def test_top_p_keeps_the_fewest_that_have_the_share_and_of_equal_ones_the_first(logits, p, dtype):
    logits = logits.astype(dtype)
    before = logits.copy()
    kept, gaps = zip(*(kept_by_p(row.tolist(), p) for row in logits.reshape(-1, logits.shape[-1])), strict=True)
    assume(min(gaps) > 1e-5)                                # where rounding does not decide
    check_kept(top_p(logits, p), logits, kept)
    assert np.array_equal(logits, before)


def test_a_share_that_is_reached_exactly_is_enough():
    assert np.isfinite(top_p(np.zeros(4), 0.5)).tolist() == [True, True, False, False]


def test_the_likeliest_token_is_always_kept():
    logits = np.array([[0.0, 3.0, 1.0], [2.0, 2.0, 2.0]])
    for kept in (top_p(logits, 1e-9), top_k(logits, 1)):
        assert np.isfinite(kept).tolist() == [[False, True, False], [True, False, False]]
    assert np.array_equal(top_k(logits, 99), logits) and np.array_equal(top_p(logits, 1.0), logits)


class Fixed:
    """A generator that draws what it was given."""
    def __init__(self, u):
        self.u = u

    def random(self, shape):
        assert np.shape(self.u) == shape
        return self.u


@given(scores(dims=2), st.sampled_from([0.3, 1.0, 2.5]), st.none() | st.integers(1, 5), st.none() | st.floats(0.05, 1),
       seeds)
def test_a_token_is_drawn_by_its_share_of_what_is_kept(logits, temperature, k, p, seed):
    logits = np.repeat(np.atleast_2d(logits), 20, axis=0)
    u = np.random.default_rng(seed).random((len(logits), 1))
    got = sample(logits, Fixed(u), temperature, k, p)
    assert got.shape == (len(logits),)
    for token, row, (chance,) in zip(got, (logits / temperature).tolist(), u, strict=True):
        kept = kept_by_k(row, len(row) if k is None else k)
        row = [x if i in kept else -math.inf for i, x in enumerate(row)]
        if p is not None and p < 1:
            kept_too, gap = kept_by_p(row, p)
            assume(gap > 1e-9)
            kept &= kept_too
        total, so_far = math.fsum(math.exp(row[i]) for i in kept), 0.0
        for i in sorted(kept):
            so_far += math.exp(row[i]) / total
            if so_far > chance:
                break
        assert token == i


def test_temperature_comes_first_then_k_then_p_of_what_is_left():
    logits, u = np.log([[0.4, 0.3, 0.2, 0.1]] * 50), np.arange(50)[:, None] / 50
    for options, kept in (({"k": 2, "p": 0.5}, 1), ({"k": 2, "p": 0.6}, 2), ({"p": 0.5}, 2), ({"k": 3, "p": 0.75}, 2),
                          ({"temperature": 0.5, "p": 0.5}, 1), ({"temperature": 5.0, "p": 0.6}, 3)):
        assert set(sample(logits, Fixed(u), **options)) == set(range(kept)), options


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-9, 1e-310, 5e-324])
@pytest.mark.parametrize("options", [{}, {"k": 3}, {"p": 0.9}], ids=str)
def test_a_tiny_temperature_is_greedy(temperature, options):
    logits, u = np.random.default_rng(0).standard_normal((50, 7)), np.arange(50)[:, None] / 50
    for x in (logits, 1e4 * logits, logits.astype(np.float32), np.where(logits < 0, -np.inf, logits)):
        assert np.array_equal(sample(x, Fixed(u), temperature, **options), np.argmax(x, axis=-1))
    tied = sample(np.array([[1.0, 2.0, 2.0, 0.0]] * 50), Fixed(u), temperature)
    assert set(tied) == {1, 2}                              # only 0 takes always the first


def test_a_share_of_1_keeps_all_that_can_be_drawn():
    logits = np.array([[-40.0, 0.0]])                       # in float64 the share of the second rounds to 1
    for p in (1, 1.0, None):
        assert sample(logits, Fixed(np.zeros((1, 1))), p=p) == [0]
    assert sample(logits, Fixed(np.zeros((1, 1))), p=np.nextafter(1, 0)) == [1]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("row", [[math.nan, 1.0, 2.0], [1.0, 2.0, math.nan], [-math.inf] * 3, [1.0, math.inf, 2.0]])
@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
def test_logits_that_are_no_numbers_are_an_error(row, rng):
    for options in ({}, {"temperature": 0}, {"k": 1}, {"p": 0.5}):
        with pytest.raises(ValueError, match="^logits must be numbers, one in each row above -inf; got NaN"):
            sample(np.array([[1.0, 2.0, 3.0], row]), rng, **options)


def test_a_model_that_diverged_does_not_write():
    model = drawn_model()
    model.params["blocks"]["norm"]["beta"][3] = math.nan
    for options in ({}, {"use_cache": False}, {"rng": np.random.default_rng(0), "top_k": 1}):
        with pytest.raises(ValueError, match="^logits must be numbers"):
            generate(model, [3, 4], 5, **options)


def test_shares_are_added_up_in_float64():
    u = (np.arange(1000)[:, None] + 1e-6) / 1000            # just after the end of the token before
    assert np.array_equal(sample(np.zeros((1000, 1000), np.float32), Fixed(u)), np.arange(1000))


@pytest.mark.parametrize("u", [0.0, np.nextafter(1, 0)])
def test_no_draw_brings_a_token_that_was_not_kept(u):
    logits = np.array([[9.0, 1.0, 2.0, 0.0, 9.0], [0.0, 1e4, -1e4, 1e4, 0.0]], np.float32)
    kept = top_k(logits - 20 * (logits == 9), 2)            # neither the first nor the last
    for token, row in zip(sample(kept, Fixed(np.full((2, 1), u))), kept, strict=True):
        assert np.isfinite(row[token])
    for options in ({"k": 3}, {"p": 0.9}, {"k": 3, "p": 0.9}):
        tokens = sample(kept, Fixed(np.full((2, 1), u)), 0.7, **options)
        assert all(np.isfinite(row[token]) for token, row in zip(tokens, kept, strict=True))


@pytest.mark.parametrize("options, kept", [({}, range(11)), ({"temperature": 2.0}, range(11)), ({"top_k": 3}, 3),
                                           ({"top_p": 0.9, "temperature": 1.5}, None)], ids=str)
def test_many_draws_have_the_shares_of_softmax(options, kept):
    model, n, temperature = drawn_model(4), 4000, options.get("temperature", 1.0)
    row = (model([[3, 4]])[0, -1] / temperature).tolist()
    kept = kept_by_p(row, options["top_p"])[0] if kept is None else kept_by_k(row, 3) if kept == 3 else set(kept)
    chances = np.array([math.exp(x) if i in kept else 0 for i, x in enumerate(row)])
    expected = n * chances / chances.sum()
    drawn = generate(model, [[3, 4]] * n, 1, rng=np.random.default_rng(1), **options)
    found = np.bincount(drawn[:, 0], minlength=11)
    assert not np.any(found[expected == 0]) and len(kept) > 2
    square = np.sum((found - expected)[expected > 0] ** 2 / expected[expected > 0])
    assert square < 30                                      # of 10 degrees of freedom at most: once in a thousand


# Its memory

@st.composite
def cuts(draw, T):
    """The places at which a sequence of T tokens is cut into pieces."""
    return [0, *sorted(draw(st.sets(st.integers(1, T - 1)))), T]


@few
@given(seeds, st.integers(1, 3), st.integers(1, 3), st.data())
def test_attention_in_pieces_is_attention_of_the_whole(seed, B, H, data):
    rng, T, D, d_k, d_v = np.random.default_rng(seed), 6, 5, 3, 4
    params = {name: W.astype(float) for name, W in init_multi_head(rng, D, H, d_k, d_v).items()}
    x, cache, got = rng.standard_normal((B, T, D)), {}, []
    for start, end in itertools.pairwise(data.draw(cuts(T))):
        mask = causal_mask(T)[start:end, :end]
        got.append(attend_with_cache(x[:, start:end], **params, n_heads=H, cache=cache, mask=mask))
        assert (cache["k"].shape, cache["v"].shape) == ((B, H, end, d_k), (B, H, end, d_v))
    expected, _ = multi_head_attention(x, x, **params, n_heads=H, mask=causal_mask(T))
    assert np.allclose(np.concatenate(got, axis=1), expected, rtol=1e-12, atol=1e-12)
    assert np.allclose(cache["k"][:, -1], (x @ params["W_K"])[..., -d_k:])      # of the last head


@few
@given(seeds, st.booleans(), st.sampled_from([relu, gelu]), st.data())
def test_a_stack_in_pieces_is_the_encoder_with_a_causal_mask(seed, pre_norm, activation, data):
    rng, T = np.random.default_rng(seed), 6
    params = nested({name: p + 0.3 * rng.standard_normal(p.shape) for name, p in flat(
        init_encoder(rng, 2, 8, 2, 12, pre_norm=pre_norm)).items()})
    x, cache, alone, got, once = rng.standard_normal((2, T, 8)), {}, {}, [], []
    options = {"n_heads": 2, "pre_norm": pre_norm, "activation": activation}
    for start, end in itertools.pairwise(data.draw(cuts(T))):
        mask = causal_mask(T)[start:end, :end]
        got.append(stack_with_cache(x[:, start:end], params, cache, mask, **options))
        once.append(block_with_cache(x[:, start:end], params["layer_1"], cache=alone, mask=mask, **options))
    expected = encoder(x, params, mask=causal_mask(T), **options)
    assert np.allclose(np.concatenate(got, axis=1), expected, rtol=1e-11, atol=1e-11)
    first = transformer_block(x, params["layer_1"], mask=causal_mask(T), **options)
    assert np.allclose(np.concatenate(once, axis=1), first, rtol=1e-11, atol=1e-11)
    assert list(cache) == ["layer_1", "layer_2"] and np.array_equal(cache["layer_1"]["k"], alone["k"])


@few
@given(choices, seeds, st.data())
def test_a_model_with_its_cache_says_what_it_says_without_also_at_the_end(chosen, seed, data):
    model, cache, got = drawn_model(seed, **chosen), {}, []
    ids = np.random.default_rng(seed).integers(0, 11, (3, 12))
    for start, end in itertools.pairwise(data.draw(cuts(12))):
        assert length_of(cache) == start
        got.append(lm_with_cache(model.params, model.config, ids[:, start:end], cache))
    assert np.allclose(np.concatenate(got, axis=1), model(ids), rtol=1e-10, atol=1e-10)


@few
@given(choices, seeds, st.integers(1, 4))
def test_what_padding_holds_cannot_be_seen_to_the_bit_and_positions_begin_after_it(chosen, seed, n_new):
    model, rng = drawn_model(seed, **chosen), np.random.default_rng(seed)
    n_pad, ids = np.array([0, 3, 5]), rng.integers(0, 11, (3, 7 + n_new))
    padding = np.arange(7 + n_new) < n_pad[:, None]
    other, got = np.where(padding, rng.integers(0, 11, ids.shape), ids), []
    for rows in (ids, other):
        cache = {}
        got.append(np.concatenate([lm_with_cache(model.params, model.config, piece, cache, n_pad)
                                   for piece in (rows[:, :7], rows[:, 7:])], axis=1))
    assert np.array_equal(got[0][~padding], got[1][~padding])
    for row, logits, n in zip(ids, got[0], n_pad, strict=True):
        assert np.allclose(logits[n:], model(row[None, n:])[0], rtol=1e-10, atol=1e-10)


@both_dtypes
@both_positions
def test_with_a_cache_the_dtype_stays_and_so_does_what_was_given(dtype, positions):
    for pre_norm, n_pad in itertools.product((False, True), (None, np.array([0, 2]))):
        model, cache = drawn_model(0, dtype, positions=positions, pre_norm=pre_norm), {}
        kept = [x.copy() for x in flat(model.params).values()]
        for ids in (np.array([[3, 4, 5], [6, 1, 0]]), np.array([[2], [3]])):
            assert lm_with_cache(model.params, model.config, ids, cache, n_pad).dtype == dtype
        assert {x.dtype for x in flat(cache).values()} == {np.dtype(dtype)}
        assert all(np.array_equal(a, b) for a, b in zip(kept, flat(model.params).values(), strict=True))


def test_a_mask_of_other_columns_is_refused_and_the_cache_stays_as_it_was():
    rng = np.random.default_rng(0)
    params = {name: W.astype(float) for name, W in init_multi_head(rng, 8, 2).items()}
    x, cache = rng.standard_normal((2, 5, 8)), {}
    attend_with_cache(x[:, :3], **params, n_heads=2, cache=cache, mask=causal_mask(3))
    kept = dict(cache)
    for shape in ((2, 2), (2, 3), (2, 4), (2, 6), (2, 2, 2, 4)):
        with pytest.raises(ValueError, match="^mask must have a column for each of the 3 positions in the cache and "
                           "the 2 new ones, 5; got shape " + re.escape(str(shape))):
            attend_with_cache(x[:, 3:], **params, n_heads=2, cache=cache, mask=np.ones(shape, bool))
    for mask in (np.ones((3, 5), bool), np.ones((2, 5))):                  # of other rows, and not of bool
        with pytest.raises(ValueError, match="^mask must"):
            attend_with_cache(x[:, 3:], **params, n_heads=2, cache=cache, mask=mask)
    assert list(cache) == ["k", "v"] and all(cache[name] is kept[name] for name in kept)
    got = attend_with_cache(x[:, 3:], **params, n_heads=2, cache=cache, mask=causal_mask(5)[3:])
    expected, _ = multi_head_attention(x, x, **params, n_heads=2, mask=causal_mask(5))
    assert np.allclose(got, expected[:, 3:], rtol=1e-12, atol=1e-12)


# Its fast way, one token more in each row

ALL_KINDS = [dict(zip(("positions", "pre_norm", "activation", "tied_output"), kind, strict=True)) for kind in
             itertools.product(("learned", "sinusoidal"), (True, False), ("relu", "gelu"), (True, False))]
CLOSE = {np.float32: 1e-6, np.float64: 1e-12}
NEXT = np.random.default_rng(7).integers(0, 11, (3, 14))


def check_close(got, expected, dtype):
    """The same shape and dtype; no number off by more than its share of the largest, or of 1."""
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype) == (expected.shape, dtype)
    assert np.max(np.abs(got - expected)) <= CLOSE[dtype] * max(1, np.max(np.abs(expected)))


def check_steps(model, dtype, B, n_pad=None, start=6):
    """The fast way and the plain one, side by side from a prompt to config.max_length, and not beyond it."""
    params, config = model.params, model.config
    quick, plain = Cache(), {}
    for cache in (quick, plain):
        lm_with_cache(params, config, NEXT[:B, :start], cache, n_pad)
    assert quick.steps is None                              # nobody needs them yet
    for n in range(start, config.max_length):
        ids = NEXT[:B, n:n + 1]
        expected = hidden_with_cache.f(params, config, ids, plain, n_pad)
        got = hidden_with_cache.quick(params, config, ids, quick, n_pad)
        check_close(got, expected, dtype)
        W = gpt.last_matrix(params, config)
        check_close(got[:, -1] @ W, expected[:, -1] @ W, dtype)
        assert list(quick) == list(plain) and length_of(quick) == n + 1
        for (name, mine), (other, theirs) in zip(flat(quick).items(), flat(plain).items(), strict=True):
            assert name == other
            check_close(mine, theirs, dtype)
    assert hidden_with_cache.quick(params, config, NEXT[:B, :1], quick, n_pad) is None
    for cache in (quick, plain):
        with pytest.raises(ValueError, match="^the length of ids and cache together must be at most max_length = 12"):
            hidden_with_cache(params, config, NEXT[:B, :1], cache, n_pad)


@both_dtypes
@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_the_fast_way_gives_what_the_plain_one_does(kind, dtype):
    for seed, (B, n_pad) in itertools.product(range(3), ((1, None), (3, None), (3, np.array([0, 2, 5])))):
        check_steps(drawn_model(seed, dtype, **kind), dtype, B, n_pad)


def test_the_fast_way_knows_all_sizes():
    for fields in ({"n_heads": 1}, {"n_heads": 4}, {"n_heads": 8}, {"n_layers": 1}, {"n_layers": 11},
                   {"d_model": 12, "n_heads": 3, "d_ff": 5}, {"d_model": 6, "d_ff": None}):
        for B, n_pad in ((1, None), (3, np.array([4, 0, 1]))):
            check_steps(drawn_model(**fields), np.float64, B, n_pad, start=5)
    check_steps(drawn_model(), np.float64, 3, start=1)


@pytest.mark.filterwarnings("error")
@both_dtypes
def test_the_fast_way_bears_large_scores_and_large_vectors(dtype):
    """Of float64: in float32 the plain way itself is off by more; there, that all are numbers has to do."""
    for name in ("W_Q", "W_V"):
        for pre_norm in (True, False):
            model = drawn_model(2, dtype, pre_norm=pre_norm)
            for layer in ("layer_1", "layer_2"):
                model.params["blocks"][layer]["attention"][name] *= 1000
            cache = Cache()
            lm_with_cache(model.params, model.config, NEXT[:, :4], cache)
            assert np.isfinite(lm_with_cache(model.params, model.config, NEXT[:, 4:5], cache)).all()
            if dtype == np.float64 and name == "W_Q":
                check_steps(model, dtype, 3)


def test_the_fast_way_changes_neither_the_model_nor_the_ids():
    for kind in ALL_KINDS:
        model, ids = drawn_model(0, **kind), NEXT.copy()
        kept = [x.copy() for x in flat(model.params).values()]
        check_steps(model, np.float64, 3, np.array([1, 0, 2]))
        assert all(np.array_equal(a, b) for a, b in zip(kept, flat(model.params).values(), strict=True))
        assert np.array_equal(ids, NEXT)


def test_what_it_gave_before_does_not_change():
    model, cache = drawn_model(), Cache()
    lm_with_cache(model.params, model.config, NEXT[:, :3], cache)
    given = [hidden_with_cache(model.params, model.config, NEXT[:, n:n + 1], cache) for n in range(3, 9)]
    kept, keys = [x.copy() for x in given], cache["layer_2"]["k"]
    before = keys.copy()
    hidden_with_cache(model.params, model.config, NEXT[:, 9:10], cache)
    assert all(np.array_equal(a, b) for a, b in zip(given, kept, strict=True)) and np.array_equal(keys, before)


def ways(monkeypatch):
    """A list that receives, for each time that the model is asked, "fast" or "plain"."""
    taken, quick = [], hidden_with_cache.quick

    def spy(*args):
        result = quick(*args)
        taken.append("plain" if result is None else "fast")
        return result
    monkeypatch.setattr(hidden_with_cache, "quick", spy)
    return taken


def test_the_fast_way_is_for_one_token_more_in_the_cache_of_a_generation(monkeypatch):
    taken, model = ways(monkeypatch), drawn_model()
    for cache, expected in ((Cache(), ["plain", "fast", "plain", "plain", "plain"]), ({}, ["plain"] * 5)):
        for start, end in itertools.pairwise((0, 3, 4, 6, 9, 11)):
            lm_with_cache(model.params, model.config, NEXT[:, start:end], cache)
        assert taken == expected
        taken.clear()
    lm_with_cache(model.params, model.config, NEXT[:, :1], Cache())
    assert taken == ["plain"]                               # there is nothing before it


@few
@given(choices, seeds, st.booleans(), st.data())
def test_a_cache_that_made_steps_may_be_used_in_any_pieces_afterwards(chosen, seed, padded, data):
    model, n_pad = drawn_model(seed, **chosen), np.array([0, 2, 1]) if padded else None
    quick, plain = Cache(), {}
    for start, end in itertools.pairwise([0, 3, 4, 5, *(5 + cut for cut in data.draw(cuts(7))[1:])]):
        got, expected = (lm_with_cache(model.params, model.config, NEXT[:, start:end], cache, n_pad)
                         for cache in (quick, plain))
        check_close(got, expected, np.float64)
    for name, x in flat(plain).items():
        check_close(flat(quick)[name], x, np.float64)


def test_a_copy_of_a_cache_goes_on_by_itself():
    model, cache = drawn_model(), Cache()
    for start, end in itertools.pairwise((0, 3, 4, 5)):
        lm_with_cache(model.params, model.config, NEXT[:, start:end], cache)
    other = copy.deepcopy(cache)
    said = {}
    for n in range(5, 9):
        for name, rows, its in (("one", NEXT, cache), ("other", NEXT[::-1], other)):
            said[name] = lm_with_cache(model.params, model.config, rows[:, n:n + 1], its)
    for name, rows in (("one", NEXT), ("other", NEXT[::-1])):
        expected = model(np.hstack([NEXT[:, :5], rows[:, 5:9]]))[:, -1:]
        check_close(said[name], expected, np.float64)


# How it writes

PROMPTS = [[3], [4, 5, 6, 4, 4], [7, 8, 0]]
SAMPLED = {"temperature": 1.2, "top_k": 8, "top_p": 0.95}


def written_naively(model, prompts, n, rng=None, temperature=1.0, top_k=None, top_p=None):
    """Every row by itself, everything computed again for every token, from the last max_length tokens."""
    rows = [list(prompt) for prompt in prompts]
    for _ in range(n):
        last = [transformer_lm(model.params, model.config, [row[-model.config.max_length:]])[0, -1] for row in rows]
        for row, token in zip(rows, sample(np.array(last), rng, temperature, top_k, top_p), strict=True):
            row.append(int(token))
    return np.array([row[len(prompt):] for row, prompt in zip(rows, prompts, strict=True)])


WAYS = ("fast", "plain", "without a cache")


def written(way, model, prompts, n, seed=None, **options):
    """What generate writes in one of the WAYS."""
    with pytest.MonkeyPatch.context() as patch:
        if way == "plain":
            patch.setattr(hidden_with_cache, "quick", lambda *args: None)
        return generate(model, prompts, n, rng=None if seed is None else np.random.default_rng(seed),
                        use_cache=way != "without a cache", **options)


@both_positions
@pytest.mark.parametrize("max_length", [203, 30])           # all but one fit; most do not
@pytest.mark.parametrize("options, seed", [({}, None), (SAMPLED, 1)], ids=["greedy", "sampled"])
def test_fast_plain_without_a_cache_and_row_by_row_it_writes_the_same_200_tokens(positions, max_length, options, seed):
    model = drawn_model(10, positions=positions, max_length=max_length, tied_output=False)
    expected = written_naively(model, PROMPTS, 200, seed and np.random.default_rng(seed), **options)
    for way in WAYS:
        got = written(way, model, PROMPTS, 200, seed, **options)
        assert got.shape == (3, 200) and got.dtype.kind == "i" and np.array_equal(got, expected)
    assert min(len(set(row)) for row in expected.tolist()) > 5


@few
@given(choices, seeds, st.lists(st.integers(1, 8), min_size=1, max_size=4), st.integers(1, 6), st.booleans())
def test_whatever_the_model_and_the_lengths_it_writes_what_a_naive_loop_does(chosen, seed, lengths, max_length, drawn):
    model, rng = drawn_model(seed, max_length=max_length, **chosen), np.random.default_rng(seed)
    prompts = [rng.integers(0, 11, n) for n in lengths]
    expected = written_naively(model, prompts, 8, np.random.default_rng(seed) if drawn else None)
    for way in WAYS:
        assert np.array_equal(written(way, model, prompts, 8, seed if drawn else None), expected), way


def test_in_float32_too_it_writes_the_same_with_a_cache_and_without():
    model = drawn_model(10, np.float32, max_length=256, tied_output=False)
    for options, seed in (({}, None), (SAMPLED, 1)):
        fast, *others = (written(way, model, PROMPTS, 100, seed, **options) for way in WAYS)
        assert all(np.array_equal(fast, other) for other in others)


def test_while_the_text_fits_its_steps_are_fast_and_the_prompt_and_what_is_longer_are_not(monkeypatch):
    taken, model = ways(monkeypatch), drawn_model(max_length=8)
    for prompts, expected in (([3, 4], ["plain"] + ["fast"] * 6 + ["plain"] * 3),
                              ([[3, 4, 5, 6], [3]], ["plain"] + ["fast"] * 4 + ["plain"] * 5)):
        generate(model, prompts, 10)
        assert taken == expected
        taken.clear()
    generate(model, [3, 4], 4, use_cache=False)
    assert taken == ["plain"] * 4


@both_positions
def test_logits_are_computed_for_the_last_position_alone_and_stay_of_the_models_dtype(monkeypatch, positions):
    asked, real = [], gpt.linear

    def linear(x, W):
        asked.append((x.shape, x.dtype) if W.shape[1] == 11 else None)
        return real(x, W)
    monkeypatch.setattr(gpt, "linear", linear)
    for dtype, way in itertools.product((np.float32, np.float64), WAYS):
        asked.clear()
        written(way, drawn_model(0, dtype, positions=positions), PROMPTS, 3)
        assert [x for x in asked if x] == [((3, 8), dtype)] * 3


def test_a_model_writes_by_itself_too():
    model = drawn_model(5)
    options = {"temperature": 1.3, "top_k": 5, "top_p": 0.9, "use_cache": False}
    assert np.array_equal(model.generate(PROMPTS, 9), generate(model, PROMPTS, 9))
    assert np.array_equal(model.generate(PROMPTS, 9, rng=np.random.default_rng(2), **options),
                          generate(model, PROMPTS, 9, rng=np.random.default_rng(2), **options))
    assert model.generate([3, 4], max_length=3).shape == (3,)


def asked(monkeypatch):
    """A list that receives, for each time the model is asked, the shape of the ids and the length of the cache."""
    calls, real = [], gpt.hidden_with_cache

    def hidden(params, config, ids, cache, n_pad=None):
        calls.append((ids.shape, length_of(cache)))
        return real(params, config, ids, cache, n_pad)
    monkeypatch.setattr(gpt, "hidden_with_cache", hidden)
    return calls


def test_with_a_cache_the_model_is_asked_for_new_tokens_alone_and_in_the_end_for_all_it_can_see(monkeypatch):
    calls, model = asked(monkeypatch), drawn_model(max_length=6)
    generate(model, [[3, 4, 5, 6], [3]], 5)
    assert calls == [((2, 4), 0), ((2, 1), 4), ((2, 1), 5), ((2, 6), 0), ((2, 6), 0)]
    calls.clear()
    generate(model, [3, 4], 3, use_cache=False)
    assert calls == [((1, 2), 0), ((1, 3), 0), ((1, 4), 0)]


def until_the_end(row, end_id):
    return row[:row.index(end_id) + 1] if end_id in row else row


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("use_cache", [True, False])
def test_a_row_ends_at_end_id_and_is_filled_up_with_it(drawn, use_cache):
    lengths = set()
    for seed in range(12):
        model = drawn_model(seed, end_id=2, max_length=9)
        rng, again = (np.random.default_rng(seed) if drawn else None for _ in range(2))
        rows = [until_the_end(row, 2) for row in written_naively(model, PROMPTS, 15, rng).tolist()]
        expected = [row + [2] * (max(map(len, rows)) - len(row)) for row in rows]
        assert generate(model, PROMPTS, 15, rng=again, use_cache=use_cache).tolist() == expected
        lengths |= set(map(len, rows))
    assert 15 in lengths and len(lengths) > 2               # some end, some never


def test_writing_stops_once_every_row_has_ended(monkeypatch):
    model = drawn_model(end_id=2)
    model = TransformerLM(dataclasses.replace(model.config, tied_output=False),
                          model.params | {"output": np.zeros((8, 11))})
    calls = asked(monkeypatch)
    model.params["output"][0, 2] = 1e3                      # of two tokens, one is sure
    model.params["blocks"]["norm"]["gamma"][0] = 0.0
    model.params["blocks"]["norm"]["beta"][0] = 1.0
    assert generate(model, [[2], [4, 2]], 10).tolist() == [[2], [2]] and len(calls) == 1     # not that of the prompt
    assert generate(model, [4], 10).tolist() == [2]
    without = TransformerLM(dataclasses.replace(model.config, end_id=None), model.params)
    assert generate(without, [4], 10).tolist() == [2] * 10


@pytest.mark.parametrize("prompt, shape", [([3, 4], (5,)), ((3, 4), (5,)), (np.array([3], np.uint8), (5,)),
                                           ([[3, 4]], (1, 5)), (np.array([[3], [4]]), (2, 5)),
                                           ([np.array([3, 4]), [5]], (2, 5)), (([3], (4, 5), [6]), (3, 5))])
def test_one_prompt_gives_one_row_and_several_give_several(prompt, shape):
    assert generate(drawn_model(), prompt, 5).shape == shape


def test_greedy_is_without_a_generator_or_at_temperature_0_or_from_one_token_alone():
    model = drawn_model(5)
    expected = written_naively(model, PROMPTS, 20)
    rng = np.random.default_rng
    for options in ({"temperature": 0}, {"temperature": 1}, {"rng": rng(0), "temperature": 0},
                    {"rng": rng(0), "temperature": 0.0, "top_k": 3, "top_p": 0.5}, {"rng": rng(0), "top_k": 1},
                    {"rng": rng(0), "top_p": 1e-9}, {"rng": rng(0), "temperature": 1e-6},
                    {"rng": rng(0), "temperature": 1e-310}):
        assert np.array_equal(generate(model, PROMPTS, 20, **options), expected), options
    assert not np.array_equal(generate(model, PROMPTS, 20, rng=rng(0)), expected)


def test_a_batch_is_its_rows_and_the_longer_text_begins_with_the_shorter():
    model = drawn_model(5)
    together = generate(model, PROMPTS, 20)
    for prompt, row in zip(PROMPTS, together, strict=True):
        assert np.array_equal(generate(model, prompt, 20), row)
        assert np.array_equal(generate(model, prompt, 7), row[:7])
    assert np.array_equal(generate(model, PROMPTS[::-1], 20), together[::-1])


def test_a_seed_writes_the_same_again_and_another_seed_something_else():
    model = drawn_model(5)
    first, again, other = (generate(model, PROMPTS, 20, rng=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_writing_changes_neither_the_prompt_nor_the_model_and_uses_no_dropout():
    model, prompt = drawn_model(dropout=0.5), np.array([[3, 4], [5, 6]])
    kept = [x.copy() for x in (prompt, *flat(model.params).values())]
    expected = written_naively(drawn_model(), prompt, 9, np.random.default_rng(0))
    assert np.array_equal(generate(model, prompt, 9, rng=np.random.default_rng(0)), expected)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (prompt, *flat(model.params).values()), strict=True))


# How it writes in words

def texts_of(prompts, rows, end_id):
    """Prompts, and what was written from <START> and them, up to the end."""
    rows = [row[:row.index(end_id)] if end_id in row else row for row in rows]
    return [" ".join([*prompt.split(), *(WORDS.words[i] for i in row)])
            for prompt, row in zip(prompts, rows, strict=True)]


@pytest.mark.parametrize("end_id", [None, WORDS.end_id, WORDS.ids["four"], WORDS.pad_id])
def test_a_text_is_its_prompt_and_what_was_written(end_id):
    prompts = ["", "one two", "three", "seven six  five four"]
    starts = [[WORDS.start_id, *map(WORDS.ids.get, prompt.split())] for prompt in prompts]
    for seed in range(6):
        model = drawn_model(seed, end_id=end_id)
        expected = texts_of(prompts, generate(model, starts, 9).tolist(), end_id)
        assert generate_text(model, WORDS, prompts, 9) == expected
        assert [generate_text(model, WORDS, prompt, 9) for prompt in prompts] == expected
        assert generate_text(model, WORDS, max_length=9) == expected[0]
        assert generate_text(model, WORDS, prompts) == texts_of(
            prompts, generate(model, starts, 12).tolist(), end_id)
        options = SAMPLED | {"max_length": 9}
        a, b = np.random.default_rng(seed), np.random.default_rng(seed)
        assert generate_text(model, WORDS, prompts, rng=a, **options) == texts_of(
            prompts, generate(model, starts, rng=b, **options).tolist(), end_id)


@pytest.mark.parametrize("prompt, word", [("one eight", "eight"), (["one", "two One"], "One"), *(
    (f"one {word}", word) for word in WORDS.SPECIAL)])
def test_a_word_that_the_model_does_not_know_is_refused_by_name(prompt, word):
    with pytest.raises(ValueError, match=f"^prompt must be of words that the model knows; got '{word}'"):
        generate_text(drawn_model(), WORDS, prompt)


@pytest.mark.parametrize("seed", range(4))
def test_the_writer_writes_sentences_of_its_language(seed):
    sentences = {f"the {animal} {does}" for animal in ("cat", "dog") for does in ("sat on the mat", "ran fast")}
    written = generate_text(*weights.writer(), [""] * 100, rng=np.random.default_rng(seed))
    assert set(written) >= sentences and sum(text in sentences for text in written) >= 95
    assert generate_text(*weights.writer(), "the dog ran") == "the dog ran fast"
    by_chance = generate_text(*weights.writer(trained=False), [""] * 100, rng=np.random.default_rng(seed))
    assert sum(text in sentences for text in by_chance) < 5


# Files

@both_dtypes
def test_what_is_saved_comes_back(tmp_path, dtype):
    for fields in ({"end_id": 2}, {"positions": "sinusoidal", "tied_output": False, "d_ff": None}):
        model = drawn_model(0, dtype, **fields)
        model.save(tmp_path / "gpt.npz")
        again = TransformerLM.load(tmp_path / "gpt.npz")
        assert again.config == model.config and list(flat(again.params)) == list(flat(model.params))
        for name, p in flat(model.params).items():
            assert np.array_equal(flat(again.params)[name], p) and flat(again.params)[name].dtype == dtype
        assert np.array_equal(generate(again, PROMPTS, 9), generate(model, PROMPTS, 9))


def refused(path, message, cls=TransformerLM):
    with pytest.raises(ValueError, match=re.escape(f"{path} must ") + ".*" + re.escape(message)):
        cls.load(path)


def test_a_file_of_another_model_is_refused(tmp_path):
    path, config = tmp_path / "model.npz", TransformerConfig(9, 7, 8, 2, 12, 1, 1)
    Transformer.random(config, np.random.default_rng(0)).save(path)
    refused(path, "hold a TransformerLM; it holds a Transformer")
    drawn_model().save(path)
    refused(path, "hold a Transformer; it holds a TransformerLM", Transformer)
    refused(weights.FOLDER / "writer.npz", "hold a TransformerLM; it holds a writer")


def test_a_file_that_is_damaged_or_does_not_fit_is_refused(tmp_path):
    path, model = tmp_path / "model.npz", drawn_model()
    model.save(path)
    whole = path.read_bytes()
    for damaged in (b"", b"a text", whole[:len(whole) // 2], whole[:2000] + b"0" + whole[2001:]):
        path.write_bytes(damaged)
        refused(path, "something else, or damaged")
    config = dataclasses.asdict(model.config)
    for wrong in ({"n_layers": 3}, {"n_heads": 3}, {"positions": "sinusoidal"}, {"new": 1}, {"d_model": "8"}):
        save_model(path, "TransformerLM", config | wrong, model.params)
        refused(path, "hold a TransformerLM that fits its config: ")


# Bad input

MODEL = drawn_model(max_length=4)
W = {name: matrix.astype(float) for name, matrix in init_multi_head(np.random.default_rng(0), 8, 2).items()}
X = np.ones((2, 1, 8))


BAD_IDS = [
    ([[11], [3]], "ids must lie between 0 and 10, for a vocabulary of 11; got 11"),
    ([[-1], [3]], "ids must lie between 0 and 10, for a vocabulary of 11; got -1"),
    ([[3.0], [4.0]], "ids must be whole numbers; got dtype float64"),
    ([3, 4], "ids must be a batch of ids, (B, T); got shape (2,)"),
    ([[3]], "the cache's k must have shape (1, 2, 1, 4); got (2, 2, 1, 4)"),
]


def with_cache(ids, n_before=1, n_rows=2, model=MODEL, cache=None):
    """Ask a model that has seen n_before tokens in n_rows rows."""
    cache = {} if cache is None else cache
    if n_before:
        lm_with_cache(MODEL.params, MODEL.config, np.ones((n_rows, n_before), int), cache)
    return lm_with_cache(model.params, model.config, np.array(ids), cache)


def writes(prompt=(3, 4), max_length=3, **options):
    return generate(MODEL, prompt, max_length, **{"rng": np.random.default_rng(0)} | options)


@pytest.mark.parametrize("call, message", [
    (lambda: MODEL([[3, 11]]), "ids must lie between 0 and 10, for a vocabulary of 11; got 11"),
    (lambda: MODEL([[3, -1]]), "ids must lie between 0 and 10, for a vocabulary of 11; got -1"),
    (lambda: MODEL([3, 4]), "ids must be a batch of ids, (B, T); got shape (2,) (one sequence: ids[None])"),
    (lambda: MODEL([[3.0]]), "ids must be whole numbers; got dtype float64"),
    (lambda: MODEL(np.ones((2, 0), int)), "ids must hold at least one id; got shape (2, 0)"),
    (lambda: MODEL([[1] * 5]), "the length of ids must be at most max_length = 4, as the config says; got 5"),
    *((lambda x=x: next_token_pair(x, 2), "stream must be one row of more than 2 ids")
      for x in ([1, 2], [[1, 2, 3]], 5)),
    (lambda: next_token_pair(["a", "b", "c"], 2), "stream must be whole numbers; got dtype <U1"),
    (lambda: next_token_pair([], 2), "stream must hold at least one id; got shape (0,)"),
    (lambda: next_token_pair([1, 2, 3], 0), "length must be a whole number, at least 1; got 0"),
    (lambda: perplexity(np.zeros((2, 3)), [1]), "targets must have shape (2,), an id for each row of logits; got (1,)"),
    (lambda: perplexity(np.zeros((2, 3)), [1, 3]), "targets must lie between 0 and 2, for a vocabulary of 3; got 3"),
    (lambda: perplexity(np.zeros((2, 3)), [1, 1], 1), "targets must hold at least one id that counts"),
    *((lambda k=k: top_k(np.zeros(3), k), f"k must be a whole number, at least 1; got {k!r}")
      for k in (0, -1, 1.0, True, None)),
    *((lambda p=p: top_p(np.zeros(3), p), f"p must be a share above 0, at most 1; got {p!r}")
      for p in (0, -0.1, 1.1, math.nan, "a", None)),
    *((lambda prompt=prompt: writes(prompt), "prompt must be ids (T,), at least one, such as that of <START>, or a "
       f"list of such rows; got {prompt!r}") for prompt in ("a text", [], (), 5, None, {3: 4}, np.array([], int))),
    (lambda: writes(["one two"]), "each prompt must be whole numbers; got dtype <U7"),
    (lambda: writes([[3], "one"]), "each prompt must be a row of ids; got 'one'"),
    (lambda: writes([[3], None]), "each prompt must be a row of ids; got None"),
    (lambda: writes([[3], [3, [4]]]), "each prompt must be a row of ids; got [3, [4]]"),
    (lambda: writes([[]]), "each prompt must hold at least one id; got shape (0,)"),
    (lambda: writes([[3], []]), "each prompt must hold at least one id; got shape (0,)"),
    (lambda: writes([[[3, 4]]]), "each prompt must be a row of ids; got [[3, 4]]"),
    (lambda: writes([[3], 4]), "each prompt must be a row of ids; got 4"),
    (lambda: writes([3.0, 4.0]), "each prompt must be whole numbers; got dtype float64"),
    (lambda: writes([[3], [11]]), "each prompt must lie between 0 and 10, for a vocabulary of 11; got 11"),
    (lambda: writes([-1]), "each prompt must lie between 0 and 10, for a vocabulary of 11; got -1"),
    *((lambda n=n: writes(max_length=n), f"max_length must be a whole number, at least 1; got {n!r}")
      for n in (0, -1, 2.0, None)),
    *((lambda x=x: writes(temperature=x), f"temperature must be a number, at least 0; got {x!r}")
      for x in (-0.1, math.inf, math.nan, None, "1")),
    *((lambda k=k: writes(top_k=k), f"top_k must be a whole number, at least 1; got {k!r}") for k in (0, 2.0, True)),
    *((lambda p=p: writes(top_p=p), f"top_p must be a share above 0, at most 1; got {p!r}")
      for p in (0, 1.5, math.nan)),
    *((lambda choice=choice: writes(rng=None, **choice),
       "rng must be a np.random.Generator where temperature, top_k or top_p is given")
      for choice in ({"temperature": 0.7}, {"top_k": 3}, {"top_p": 0.9}, {"top_p": 1.0},
                     {"temperature": 0, "top_k": 3})),
    *((lambda rng=rng: writes(rng=rng), "rng must be a np.random.Generator, as np.random.default_rng(0) makes it; got "
       f"{rng!r}") for rng in (0, 1, True, "a", np.random.RandomState(0))),
    (lambda: MODEL.generate([3, 4], 3, top_k=3), "rng must be a np.random.Generator where"),
    (lambda: generate_text(MODEL, WORDS, "one", top_k=3), "rng must be a np.random.Generator where"),
    (lambda: generate_text(MODEL, WORDS, "one", rng=0), "rng must be a np.random.Generator, as"),
    (lambda: generate_text(MODEL, WORDS, "one", 0), "max_length must be a whole number, at least 1; got 0"),
    (lambda: generate_text(MODEL, WORDS, []), "prompt must be"),
    *((lambda x=x, y=y: generate_text(MODEL, WORDS, x), f"prompt must be a text, or a list of texts; got {y!r}")
      for x, y in (([5], 5), (5, 5), (None, None), (["one", ["two"]], ["two"]))),
    (lambda: generate_text(MODEL, Vocabulary(["one"]), "one"),
     "vocabulary must be the model's, of 11 words; got one of 5"),
    (lambda: with_cache([[3, 4, 5, 6], [3, 4, 5, 6]]),
     "the length of ids and cache together must be at most max_length = 4, as the config says; got 5"),
    (lambda: with_cache([[3], [4]], 4), "the length of ids and cache together must be at most max_length = 4"),
    (lambda: with_cache([[11], [3]]), "ids must lie between 0 and 10, for a vocabulary of 11; got 11"),
    (lambda: with_cache([3, 4]), "ids must be a batch of ids, (B, T); got shape (2,)"),
    (lambda: with_cache([[3]]), "the cache's k must have shape (1, 2, 1, 4); got (2, 2, 1, 4)"),
    (lambda: with_cache([[3], [4]], model=drawn_model(n_heads=4)),
     "the cache's k must have shape (2, 4, 1, 2); got (2, 2, 1, 4)"),
    (lambda: with_cache([[3], [4]], model=drawn_model(d_model=4, d_ff=3)),
     "the cache's k must have shape (2, 2, 1, 2); got (2, 2, 1, 4)"),
    (lambda: attend_with_cache(X, **W, n_heads=2, cache={"k": X}), "cache must be a dict of k, v; got k"),
    (lambda: attend_with_cache(X, **W, n_heads=2, cache={"k": np.ones((2, 2, 3, 4)), "v": np.ones((2, 2, 2, 4))}),
     "the cache's v must have shape (2, 2, 3, 4); got (2, 2, 2, 4)"),
    (lambda: attend_with_cache(X, **W, n_heads=3, cache={}), "the columns of W_Q must be divisible by n_heads = 3"),
    (lambda: attend_with_cache(X[..., :4], **W, n_heads=2, cache={}), "W_Q must have shape (4, n_out)"),
    (lambda: attend_with_cache(X, **W, n_heads=2, cache={}, mask=np.ones((1, 2), bool)),
     "mask must have a column for each of the 0 positions in the cache and the 1 new ones, 1; got shape (1, 2)"),
    (lambda: attend_with_cache(X, **W, n_heads=2, cache={}, mask=np.ones((2, 1), bool)), "mask must have the shape"),
    (lambda: attend_with_cache(X, **W, n_heads=2, cache={}, mask=[[True]]), "mask must be an array of bool"),
    *((lambda ids=ids: with_cache(ids, cache=Cache()), message) for ids, message in BAD_IDS),
])
def test_bad_input_is_an_error_that_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()
