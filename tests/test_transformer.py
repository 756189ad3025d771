"""The whole Transformer, how it writes, and its loss: against PyTorch, and by their properties."""
import dataclasses
import functools
import inspect
import itertools
import math
import re

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchformer_lib.attention import causal_mask
from scratchformer_lib.block import dropout, gelu, relu
from scratchformer_lib.decoder import decoder
from scratchformer_lib.embeddings import Vocabulary
from scratchformer_lib.encoder import embed_sequence, encoder
from scratchformer_lib.support.files import flat, nested
from scratchformer_lib.support.shapes import OnlyShapes
from scratchformer_lib.training import cross_entropy, teacher_forcing_pair
from scratchformer_lib.transformer import (
    Transformer,
    TransformerConfig,
    beam_search,
    greedy_decode,
    init_transformer,
    transformer,
)

PAD, START, END = Vocabulary.pad_id, Vocabulary.start_id, Vocabulary.end_id
few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 1000)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def our_transformer(src, tgt, n_heads, pre_norm, activation, scale, **params):
    params = nested(params)
    n_target, D = params.get("target_table", params["source_table"]).shape
    layers = [sum(name.startswith("layer") for name in params[part]) for part in ("encoder", "decoder")]
    config = TransformerConfig(len(params["source_table"]), n_target, D, n_heads, 12, *layers, activation=activation,
                               pre_norm=pre_norm, scale_embeddings=scale,
                               shared_embeddings="target_table" not in params, tied_output="W" not in params["output"])
    return Transformer(config, params)(src, tgt)


OURS = {"transformer": our_transformer, "cross_entropy": cross_entropy}


@pytest.mark.parametrize("case", parity.stored("transformer"), ids=str)
def test_it_agrees_with_what_pytorch_once_said(case):
    parity.agrees(case, OURS[case.function](**case.inputs))


@pytest.mark.slow
def test_it_agrees_with_pytorch_itself():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("transformer"):
        parity.agrees(case, OURS[case.function](**case.inputs))


def drawn_model(seed, dtype=np.float64, **fields):
    """A small Transformer, with numbers that say something, and biases, gamma and beta that are not 0 and 1."""
    config = TransformerConfig(**{"n_src_vocab": 9, "n_tgt_vocab": 7, "d_model": 8, "n_heads": 2, "d_ff": 12,
                                  "n_encoder_layers": 2, "n_decoder_layers": 1, "max_length": 12} | fields)
    rng = np.random.default_rng(seed)
    params = flat(init_transformer(rng, config))
    for name, p in params.items():
        louder = 3 * p if "output" in name or "table" in name else p
        params[name] = (louder if p.ndim == 2 else p + 0.3 * rng.standard_normal(p.shape)).astype(dtype)
    return Transformer(config, nested(params))


def batch(rng, n_vocab, B, length, least=3):
    """Ids of B sentences of different lengths, filled up with <PAD>."""
    lengths = rng.integers(1, length + 1, (B, 1))
    return np.where(np.arange(length) < lengths, rng.integers(least, n_vocab, (B, length)), PAD)


@st.composite
def models(draw):
    """A Transformer, ids of sources (B, S) and of targets (B, T), and a generator for more."""
    B, S, T, seed = draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), seeds))
    rng = np.random.default_rng(seed)
    model = drawn_model(seed, **{name: draw(st.booleans()) for name in ("pre_norm", "scale_embeddings")},
                        activation=draw(st.sampled_from(["relu", "gelu"])), n_decoder_layers=draw(st.integers(1, 2)))
    return model, batch(rng, 9, B, S), batch(rng, 7, B, T, least=1), rng


# The config

def test_a_config_is_the_papers_base_model_unless_told_otherwise():
    assert dataclasses.asdict(TransformerConfig(10, 11)) == {
        "n_src_vocab": 10, "n_tgt_vocab": 11, "d_model": 512, "n_heads": 8, "d_ff": 2048, "n_encoder_layers": 6,
        "n_decoder_layers": 6, "d_k": None, "d_v": None, "max_length": 512, "activation": "relu", "pre_norm": False,
        "dropout": 0.1, "scale_embeddings": True, "shared_embeddings": False, "tied_output": False}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TransformerConfig)])
def test_a_config_cannot_be_changed(field):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(TransformerConfig(10, 10), field, 5)


NUMBERS = ("d_model", "n_heads", "d_ff", "n_encoder_layers", "n_decoder_layers", "max_length", "d_k", "d_v")


@pytest.mark.parametrize("fields, message", [
    *(({name: 2}, f"{name} must be a whole number, at least 3; got 2") for name in ("n_src_vocab", "n_tgt_vocab")),
    *(({name: 0}, f"{name} must be a whole number, at least 1; got 0") for name in NUMBERS),
    *(({name: 4.0}, f"{name} must be a whole number, at least 1; got 4.0") for name in NUMBERS),
    *(({name: 1}, f"{name} must be True or False; got 1")
      for name in ("pre_norm", "scale_embeddings", "shared_embeddings", "tied_output")),
    ({"d_model": 10}, "d_model, where d_k is not given, must be divisible by n_heads = 8; got 10"),
    ({"d_model": 10, "d_k": 4}, "d_model, where d_v is not given, must be divisible by n_heads = 8; got 10"),
    ({"activation": "tanh"}, 'activation must be "relu" or "gelu"; got \'tanh\''),
    ({"activation": gelu}, 'activation must be "relu" or "gelu"; got <function gelu'),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1; got 1.0"),
    ({"dropout": -0.1}, "dropout must be at least 0 and below 1; got -0.1"),
    ({"dropout": np.float32(0.1)}, "dropout must be a Python number"),
    ({"shared_embeddings": True}, "n_tgt_vocab must be n_src_vocab = 10, where embeddings are shared; got 11"),
])
def test_a_config_that_does_not_fit_is_refused_by_name(fields, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        TransformerConfig(**{"n_src_vocab": 10, "n_tgt_vocab": 11} | fields)


def test_sizes_that_fit_are_taken():
    TransformerConfig(3, 3, d_model=10, d_k=4, d_v=3, shared_embeddings=True, tied_output=True, dropout=0)


# The parameters

def test_parameters_have_the_shapes_they_are_said_to_have():
    config = TransformerConfig(9, 7, 8, 2, 12, 2, 1, d_k=3, d_v=5)
    params = init_transformer(np.random.default_rng(0), config)
    assert list(params) == ["source_table", "target_table", "encoder", "decoder", "output"]
    shapes = {name: p.shape for name, p in flat(params).items() if "/" not in name or name.startswith("output")}
    assert shapes == {"source_table": (9, 8), "target_table": (7, 8), "output/W": (8, 7), "output/b": (7,)}
    assert (list(params["encoder"]), list(params["decoder"])) == (["layer_1", "layer_2"], ["layer_1"])
    for attention in (params["encoder"]["layer_2"]["attention"], params["decoder"]["layer_1"]["cross_attention"]):
        assert {name: W.shape for name, W in attention.items()} == {"W_Q": (8, 6), "W_K": (8, 6), "W_V": (8, 10),
                                                                   "W_O": (10, 8)}
    assert {p.dtype for p in flat(params).values()} == {np.dtype(np.float32)}
    assert not np.any(params["output"]["b"])
    again, other = (init_transformer(np.random.default_rng(seed), config) for seed in (0, 1))
    assert all(np.array_equal(p, flat(again)[name]) for name, p in flat(params).items())
    assert not np.array_equal(params["output"]["W"], other["output"]["W"])


def test_pre_norm_ends_both_stacks_in_a_norm():
    for pre_norm in (False, True):
        params = init_transformer(OnlyShapes(), TransformerConfig(9, 7, 8, 2, 12, 1, 1, pre_norm=pre_norm))
        assert ("norm" in params["encoder"]) == ("norm" in params["decoder"]) == pre_norm


def test_the_papers_base_model_has_63_082_632_parameters():
    config = TransformerConfig(37_000, 37_000, shared_embeddings=True, tied_output=True)
    assert sum(math.prod(p.shape) for p in flat(init_transformer(OnlyShapes(), config)).values()) == 63_082_632


@few
@given(st.tuples(*[st.integers(1, 4)] * 7), st.tuples(*[st.booleans()] * 3))
def test_the_number_of_parameters_is_the_sum_over_its_parts(sizes, choices):
    H, d_ff, n_encoder, n_decoder, d_k, d_v, words = sizes
    pre_norm, shared, tied = choices
    D, n_src, n_tgt = 2 * H + 1, words + 2, words + 2 + (not shared)
    model = drawn_model(0, n_src_vocab=n_src, n_tgt_vocab=n_tgt, d_model=D, n_heads=H, d_ff=d_ff, d_k=d_k, d_v=d_v,
                        n_encoder_layers=n_encoder, n_decoder_layers=n_decoder, pre_norm=pre_norm,
                        shared_embeddings=shared, tied_output=tied)
    attention, feed, norm = 2 * D * H * (d_k + d_v), 2 * D * d_ff + d_ff + D, 2 * D
    expected = n_encoder * (attention + feed + 2 * norm) + n_decoder * (2 * attention + feed + 3 * norm)
    expected += 2 * norm * pre_norm + n_src * D + n_tgt * D * ((not shared) + (not tied)) + n_tgt
    assert model.n_parameters == expected


@pytest.mark.parametrize("choices", [{}, {"pre_norm": True}, {"tied_output": True, "pre_norm": True}])
def test_the_summary_adds_up(choices):
    model = drawn_model(0, d_ff=512, n_decoder_layers=11, **choices)
    rows = [re.fullmatch(r"(.+?) +([\d,]+) +([\d.]+)%", line).groups() for line in model.summary().split("\n")]
    names, counts, shares = [row[0] for row in rows], [int(row[1].replace(",", "")) for row in rows], [
        float(row[2]) for row in rows]
    norms = [[f"{part}, norm"] if model.config.pre_norm else [] for part in ("encoder", "decoder")]
    assert names == ["source_table", "target_table", "encoder, layer_1", "encoder, layer_2", *norms[0],
                     *(f"decoder, layer_{i}" for i in range(1, 12)), *norms[1], "output", "all"]
    assert sum(counts[:-1]) == counts[-1] == model.n_parameters
    assert all(share == pytest.approx(100 * n / counts[-1], abs=0.06) for n, share in zip(counts, shares, strict=True))
    assert counts[2] == sum(p.size for p in flat(model.params["encoder"]["layer_1"]).values())


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_what_is_shared_or_tied_is_one_array(shared, tied):
    model = drawn_model(0, n_src_vocab=7, shared_embeddings=shared, tied_output=tied)
    given_names = flat(model.params)
    assert ("target_table" in given_names, "output/W" in given_names) == (not shared, not tied)
    src, tgt = np.array([[3, 4, 5]]), np.array([[1, 6, 3]])
    tables = {"source_table": model.params["source_table"]}
    tables["target_table"] = tables["source_table"] if shared else model.params["target_table"]
    W = tables["target_table"].T if tied else model.params["output"]["W"]
    apart = dataclasses.replace(model.config, shared_embeddings=False, tied_output=False)
    params = model.params | tables | {"output": {"W": W, "b": model.params["output"]["b"]}}
    assert np.allclose(model(src, tgt), transformer(params, apart, src, tgt), rtol=1e-12, atol=1e-12)
    words = {"source_table": {3, 4, 5} | ({1, 6} if shared else set())}    # what each table is asked for
    if not shared:
        words["target_table"] = {1, 6, 3}
    before = model(src, tgt)
    for name, asked in words.items():
        for word in range(7):
            model.params[name][word] += 1
            changed = model(src, tgt) != before
            model.params[name][word] -= 1
            says = tied and (shared or name == "target_table")
            assert changed.any() == (word in asked or says)
            assert word in asked or not says or (changed[..., word].all() and not np.delete(changed, word, -1).any())


# The model

@few
@given(models(), st.sampled_from([0.0, 0.3]))
def test_it_is_its_parts_one_after_the_other(drawn, rate):
    model, src, tgt, _ = drawn
    config, params = dataclasses.replace(model.config, dropout=rate), model.params
    rng = np.random.default_rng(5)
    options = {"n_heads": config.n_heads, "pre_norm": config.pre_norm, "rate": rate, "rng": rng,
               "activation": relu if config.activation == "relu" else gelu}

    def embedded(ids, name):
        return dropout(embed_sequence(ids, params[name], config.scale_embeddings), rate, rng)
    seen, length = (src != PAD)[:, None, None], tgt.shape[1]
    memory = encoder(embedded(src, "source_table"), params["encoder"], mask=seen, **options)
    mask = causal_mask(length) & (tgt != PAD)[:, None, None]
    y = decoder(embedded(tgt, "target_table"), memory, params["decoder"], mask=mask, memory_mask=seen, **options)
    expected = y @ params["output"]["W"] + params["output"]["b"]
    got = transformer(params, config, src, tgt, np.random.default_rng(5))
    assert got.shape == (*tgt.shape, 7) and np.allclose(got, expected, rtol=1e-12, atol=1e-12)


@few
@given(models())
def test_what_padding_holds_changes_nothing_to_the_bit(drawn):
    model, src, tgt, rng = drawn
    before = model(src, tgt)
    model.params["source_table"][PAD] = 1e3 * rng.standard_normal(8)
    assert np.array_equal(model(src, tgt), before)
    model.params["target_table"][PAD] = 1e3 * rng.standard_normal(8)
    assert np.array_equal(model(src, tgt)[tgt != PAD], before[tgt != PAD])


@few
@given(models())
def test_more_padding_moves_the_last_digits_alone(drawn):
    model, src, tgt, _ = drawn
    wider = [np.pad(ids, ((0, 0), (0, 4))) for ids in (src, tgt)]
    assert np.allclose(model(*wider)[:, :tgt.shape[1]], model(src, tgt), rtol=1e-9, atol=1e-9)


@few
@given(models())
def test_what_comes_later_in_the_target_changes_nothing_before_it(drawn):
    model, src, tgt, rng = drawn
    t = rng.integers(0, tgt.shape[1])
    other = tgt.copy()
    other[:, t + 1:] = rng.integers(0, 7, other[:, t + 1:].shape)
    assert np.array_equal(model(src, other)[:, :t + 1], model(src, tgt)[:, :t + 1])


@pytest.mark.parametrize("place", [0, 2, 4])
def test_every_position_reads_every_word_of_the_source_and_what_came_before(place):
    model, src, tgt = drawn_model(0), np.array([[3, 4, 5, 6, 7]]), np.array([[1, 4, 4, 5, 6]])
    other = src.copy()
    other[0, place] = 8
    assert np.all(np.abs(model(other, tgt) - model(src, tgt)).max(-1) > 1e-3)
    other = tgt.copy()
    other[0, place] = 3
    assert np.all(np.abs(model(src, other) - model(src, tgt)).max(-1)[:, place:] > 1e-3)


def test_the_order_of_words_matters():
    model = drawn_model(0)
    a, b = (model(np.array([src]), np.array([[1, 4]])) for src in ([3, 4, 5], [4, 3, 5]))
    assert not np.allclose(a, b)


@pytest.mark.parametrize("S, T", [(1, 1), (1, 12), (12, 1), (5, 5), (12, 12)])
def test_source_and_target_have_lengths_of_their_own(S, T):
    assert drawn_model(0)(np.full((2, S), 4), np.full((2, T), 4).tolist()).shape == (2, T, 7)


@both_dtypes
@pytest.mark.parametrize("pre_norm", [False, True])
def test_the_dtype_stays_so_do_the_inputs_and_everything_is_recorded(dtype, pre_norm):
    for activation, scale, rng in itertools.product(("relu", "gelu"), (False, True), (None, np.random.default_rng(0))):
        model = drawn_model(0, dtype, activation=activation, scale_embeddings=scale, pre_norm=pre_norm,
                            n_decoder_layers=2, n_heads=4)
        src, tgt, record = np.array([[3, 4, 5], [6, 0, 0]]), np.array([[1, 4, 5, 6], [1, 5, 0, 0]]), {}
        kept = [x.copy() for x in (src, tgt, *flat(model.params).values())]
        logits = model(src, tgt, rng, record)
        assert (logits.shape, logits.dtype) == ((2, 4, 7), dtype)
        expected = {f"encoder/layer_{i}/attention": (2, 4, 3, 3) for i in (1, 2)}
        expected |= {f"decoder/layer_{i}/{name}": (2, 4, 4, S) for i in (1, 2)
                     for name, S in (("self_attention", 4), ("cross_attention", 3))}
        assert {name: weights.shape for name, weights in flat(record).items()} == expected
        assert {weights.dtype for weights in flat(record).values()} == {np.dtype(dtype)}
        assert not np.any(record["encoder"]["layer_1"]["attention"][1, ..., 1:])
        assert not np.any(record["decoder"]["layer_2"]["cross_attention"][1, ..., 1:])
        after = (src, tgt, *flat(model.params).values())
        assert all(np.array_equal(a, b) for a, b in zip(kept, after, strict=True))
        if rng is None:
            assert np.array_equal(logits, model(src, tgt))


def test_dropout_needs_a_generator_and_then_a_seed_gives_the_same_again():
    model, src, tgt = drawn_model(0, dropout=0.5), np.array([[3, 4]]), np.array([[1, 4, 5]])
    first, again, other = (model(src, tgt, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.allclose(first, other) and not np.allclose(first, model(src, tgt))
    never = Transformer(dataclasses.replace(model.config, dropout=0.0), model.params)
    assert np.array_equal(never(src, tgt, np.random.default_rng(1)), model(src, tgt))


# How it writes

def toy(seed, n_vocab=5, ends=0.0):
    """A model for which every beginning is a case of its own. ends: added to the score of <END>."""
    @functools.cache
    def scores(words, beginning):
        logits = np.random.default_rng([seed, *words, 99, *beginning]).standard_normal(n_vocab)
        return 2 * logits + ends * (np.arange(n_vocab) == END)

    def model(src, tgt):
        rows = zip(np.asarray(src).tolist(), np.asarray(tgt).tolist(), strict=True)
        return np.array([[scores(tuple(word for word in words if word != PAD), tuple(ids[:t + 1]))
                          for t in range(len(ids))] for words, ids in rows])
    return model


def sentence_of(row):
    """The words of a row of ids, to its <END>."""
    row = row.tolist()
    return row[:row.index(END) + 1] if END in row else row


def log_p_of(model, words, sentence):
    """The log-probability of a sentence, word after word."""
    logits = model(np.array([words]), np.array([[START, *sentence[:-1]]]))[0].astype(np.float64)
    return sum(row[word] - math.log(sum(math.exp(x) for x in row)) for row, word in zip(logits, sentence, strict=True))


def score_of(model, words, sentence, length_penalty):
    return log_p_of(model, words, sentence) / ((5 + len(sentence)) / 6) ** length_penalty


def likeliest_step_by_step(model, words, max_length):
    beginning = [START]
    while len(beginning) <= max_length and beginning[-1] != END:
        beginning.append(int(np.argmax(model(np.array([words]), np.array([beginning]))[0, -1])))
    return beginning[1:]


def stands_alone(rows, sentences):
    """Each sentence, then <PAD>; no column more than the longest needs."""
    assert rows.shape == (len(sentences), max(map(len, sentences))) and rows.dtype.kind == "i"
    for row, sentence in zip(rows.tolist(), sentences, strict=True):
        assert row == sentence + [PAD] * (len(row) - len(sentence))


@few
@given(seeds, st.integers(1, 4), st.integers(1, 6))
def test_greedy_takes_the_likeliest_word_each_time_and_pads_what_has_ended(seed, B, max_length):
    model, src = toy(seed), batch(np.random.default_rng(seed), 9, B, 3)
    got = greedy_decode(model, src, max_length)
    stands_alone(got, [likeliest_step_by_step(model, row[row != PAD], max_length) for row in src])


def test_a_transformer_writes_for_a_batch_what_it_writes_for_each_sentence_alone():
    lengths = set()
    for seed in range(8):
        model, src = drawn_model(seed, pre_norm=True), batch(np.random.default_rng(seed), 9, 4, 5)
        alone = [likeliest_step_by_step(model, row[row != PAD], 12) for row in src]
        stands_alone(model.greedy_decode(src), alone)
        assert np.array_equal(model.greedy_decode(src), greedy_decode(model, src.tolist(), 12))
        assert np.array_equal(model.greedy_decode(src, 3), model.greedy_decode(src)[:, :3])
        lengths |= {len(sentence) for sentence in alone}
        for options in ((4, 1, 0), (6, 3, 2.0)):
            for ours, expected in zip(model.beam_search(src, *options), beam_search(model, src, *options), strict=True):
                assert np.array_equal(ours, expected)
        ids, scores = model.beam_search(src, 4, width=3, length_penalty=1)
        singles = [model.beam_search(row[None, row != PAD], 4, width=3, length_penalty=1) for row in src]
        stands_alone(ids, [sentence_of(single[0]) for single, _ in singles])
        assert np.allclose(scores, [score[0] for _, score in singles], rtol=1e-9)
        assert np.allclose(scores, [score_of(model, row[row != PAD], sentence_of(single[0]), 1)
                                    for row, (single, _) in zip(src, singles, strict=True)], rtol=1e-9)
    assert 12 in lengths and len(lengths) > 3                   # some end early, some never


def test_a_transformer_writes_as_many_words_as_its_config_allows_or_fewer_if_told_so():
    model = drawn_model(0, max_length=5)
    model.params["output"]["b"][:] = [0, 0, -1e9, 0, 0, 0, 0]   # it never ends
    assert model.greedy_decode([[4]]).shape == model.beam_search([[4]])[0].shape == (1, 5)
    assert model.greedy_decode([[4]], 2).shape == model.beam_search([[4]], 2)[0].shape == (1, 2)


@few
@given(seeds, st.integers(1, 4), st.integers(1, 5), st.sampled_from([0, 0.6, 2.0]))
def test_a_beam_of_one_is_greedy(seed, B, max_length, length_penalty):
    model, src = toy(seed), batch(np.random.default_rng(seed), 9, B, 3)
    ids, scores = beam_search(model, src, max_length, width=1, length_penalty=length_penalty)
    assert np.array_equal(ids, greedy_decode(model, src, max_length))
    expected = [score_of(model, row[row != PAD], sentence_of(one), length_penalty)
                for row, one in zip(src, ids, strict=True)]
    assert scores.dtype == np.float64 and np.allclose(scores, expected, rtol=1e-12)


@few
@given(seeds, st.integers(1, 5), st.sampled_from([0, 0.6, 2.0]))
def test_no_beam_does_worse_than_greedy_and_each_says_what_its_ids_score(seed, width, length_penalty):
    model, src = toy(seed), batch(np.random.default_rng(seed), 9, 3, 3)
    words = [row[row != PAD] for row in src]
    ids, scores = beam_search(model, src, 5, width, length_penalty)
    sentences = [sentence_of(row) for row in ids]
    stands_alone(ids, sentences)
    for one, sentence, score in zip(words, sentences, scores, strict=True):
        assert sentence[-1] == END or len(sentence) == 5
        assert score == pytest.approx(score_of(model, one, sentence, length_penalty), rel=1e-12)
        assert score >= score_of(model, one, likeliest_step_by_step(model, one, 5), length_penalty) - 1e-12


@pytest.mark.parametrize("length_penalty", [0, 0.6, 4.0])
@pytest.mark.parametrize("seed", range(15))
def test_a_beam_keeps_the_likeliest_beginnings_while_there_is_hope_and_the_best_of_what_ends(seed, length_penalty):
    model, words, width = toy(seed), [4, 5], 1 + seed % 3

    def score(sentence, n=None):
        return log_p_of(model, words, sentence) / ((5 + (n or len(sentence))) / 6) ** length_penalty
    kept, ends = [[]], [likeliest_step_by_step(model, words, 6)]
    best = -math.inf                                        # greedy's end is no reason to give up hope
    for n in range(6):
        longer = sorted(([*one, word] for one in kept for word in range(5)), key=score, reverse=True)[:width]
        ends += [one for one in longer if one[-1] == END or n == 5]
        best = max(map(score, ends[1:]), default=best)
        kept = [one for one in longer if one[-1] != END and score(one, 6) > best]
    assert beam_search(model, [words], 6, width, length_penalty)[0].tolist() == [max(ends, key=score)]


@few
@given(seeds, st.integers(1, 5))
def test_a_beam_for_a_batch_is_the_beam_for_each_sentence(seed, width):
    model, src = toy(seed), batch(np.random.default_rng(seed), 9, 4, 3)
    ids, scores = beam_search(model, src, 5, width)
    singles = [beam_search(model, row[None], 5, width) for row in src]
    stands_alone(ids, [sentence_of(single[0]) for single, _ in singles])
    assert np.allclose(scores, [score[0] for _, score in singles], rtol=1e-12)


def every_sentence(n_vocab, max_length):
    words = [word for word in range(n_vocab) if word != END]
    for n in range(max_length):
        yield from ([*beginning, END] for beginning in itertools.product(words, repeat=n))
    yield from map(list, itertools.product(words, repeat=max_length))


@few
@given(seeds, st.sampled_from([0, 0.6, 2.0]))
def test_a_beam_as_wide_as_there_are_sentences_finds_the_best(seed, length_penalty):
    model, sentences = toy(seed, 4), list(every_sentence(4, 3))
    best = max(sentences, key=lambda sentence: score_of(model, [4], sentence, length_penalty))
    ids, scores = beam_search(model, [[4]], 3, len(sentences), length_penalty)
    assert ids[0].tolist() == best
    assert scores[0] == pytest.approx(score_of(model, [4], best, length_penalty), rel=1e-12)


def chain(chances):
    """A model whose next word depends on the last one alone. chances: {word: {next word: chance}}."""
    n_vocab = 1 + max(word for row in chances.values() for word in row)
    table = np.full((n_vocab, n_vocab), -1e9)
    for word, row in chances.items():
        for following, chance in row.items():
            table[word, following] = math.log(chance)
    return lambda src, tgt: table[tgt]


@pytest.mark.parametrize("search", [beam_search, Transformer.beam_search])
def test_a_search_is_the_papers_unless_told_otherwise(search):
    parameters = inspect.signature(search).parameters
    assert (parameters["width"].default, parameters["length_penalty"].default) == (4, 0.6)


def test_a_beam_finds_what_greedy_misses():
    model = chain({START: {3: 0.6, 4: 0.4}, 3: {5: 0.4, 6: 0.3, 7: 0.3}, 4: {8: 1.0}, 5: {END: 1.0}, 8: {END: 1.0}})
    assert greedy_decode(model, [[5]], 9).tolist() == [[3, 5, END]]
    ids, scores = beam_search(model, [[5]], 9, width=2, length_penalty=0)
    assert ids.tolist() == [[4, 8, END]] and scores[0] == pytest.approx(math.log(0.4))


def test_a_beam_does_not_lose_what_greedy_finds():
    model = chain({START: {3: 0.4, 4: 0.35, 9: 0.25}, 3: {5: 0.3, **dict.fromkeys(range(6, 13), 0.1)}, 5: {END: 1.0},
                   4: {13: 0.5, 14: 0.5}, **dict.fromkeys((13, 14), dict.fromkeys(range(15, 25), 0.1)),
                   **dict.fromkeys(range(15, 25), {END: 1.0})})
    ids, scores = beam_search(model, [[5]], 9, width=2, length_penalty=0)   # which goes on with 4 13 and 4 14
    assert ids.tolist() == [[3, 5, END]] and scores[0] == pytest.approx(math.log(0.12))


def test_a_length_penalty_prefers_longer_sentences():
    model = chain({START: {END: 0.4, 3: 0.6}, 3: {4: 0.8, 6: 0.2}, 4: {5: 0.8, 6: 0.2}, 5: {END: 0.8, 6: 0.2},
                   6: {END: 1.0}})
    assert beam_search(model, [[5]], 9, 3, length_penalty=0)[0].tolist() == [[END]]
    assert beam_search(model, [[5]], 9, 3, length_penalty=1)[0].tolist() == [[3, 4, 5, END]]


@few
@given(seeds)
def test_the_larger_the_penalty_the_longer_the_best_sentence(seed):
    model = toy(seed, 4, ends=2.0)
    lengths = [beam_search(model, [[4]], 3, 60, penalty)[0].shape[1] for penalty in (0, 0.5, 1, 2, 4)]
    assert lengths == sorted(lengths)


def test_writing_stops_once_every_sentence_has_ended():
    calls = []

    def model(src, tgt):
        calls.append(np.shape(tgt))
        scores = np.zeros((*np.shape(tgt), 7))
        scores[..., END] = 30 if np.shape(tgt)[1] > 2 else -30      # three words, whatever they are
        return scores
    assert greedy_decode(model, [[4], [5]], 50).shape == (2, 3) and [T for _, T in calls] == [1, 2, 3]
    calls.clear()
    assert beam_search(model, [[4], [5]], 50, 4)[0].shape == (2, 3) and {T for _, T in calls} == {1, 2, 3}


def test_a_search_gives_up_what_can_no_longer_become_the_best():
    lengths = []
    ends = chain({START: {END: 0.6, 3: 0.4}, 3: {3: 0.9, END: 0.1}})

    def model(src, tgt):
        lengths.append(np.shape(tgt)[1])
        return ends(src, tgt)
    assert beam_search(model, [[4]], 50, 2, length_penalty=0)[0].tolist() == [[END]] and max(lengths) == 1
    lengths.clear()
    ids, scores = beam_search(model, [[4]], 10, 2, length_penalty=2)        # log 0.4 / 2.5**2 may still become better
    assert ids.tolist() == [[3] * 10] and max(lengths) == 10


def test_a_search_is_in_float64_even_for_a_model_in_float32():
    def model(src, tgt):
        return toy(0)(src, tgt).astype(np.float32)
    (ids,), (score,) = beam_search(model, [[4]], 6, width=3, length_penalty=0)
    assert score.dtype == np.float64 and score == pytest.approx(log_p_of(model, [4], sentence_of(ids)), rel=1e-13)


# Training

@few
@given(st.integers(1, 4), st.integers(2, 7), seeds)
def test_what_is_asked_is_what_comes_next(B, length, seed):
    ids = batch(np.random.default_rng(seed), 9, B, length)
    inputs, labels = teacher_forcing_pair(ids)
    assert inputs.shape == labels.shape == (B, length - 1)
    assert np.array_equal(np.hstack([inputs[:, :1], labels]), ids) and np.array_equal(inputs[:, 1:], labels[:, :-1])
    assert np.array_equal(teacher_forcing_pair(ids.tolist())[1], labels)


@few
@given(st.sampled_from([(), (3,), (2, 3), (2, 1, 4)]), st.integers(1, 6), st.floats(0, 0.9), seeds)
def test_the_loss_is_the_mean_surprise(shape, n_vocab, smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, targets = 3 * rng.standard_normal((*shape, n_vocab)), rng.integers(0, n_vocab, shape)
    surprises = []
    for place in np.ndindex(shape):
        log_p = logits[place] - math.log(sum(math.exp(x) for x in logits[place]))
        truth = (1 - smoothing) * (np.arange(n_vocab) == targets[place]) + smoothing / n_vocab
        surprises.append(-np.sum(truth * log_p))
    kept = [s for s, target in zip(surprises, targets.ravel(), strict=True) if target != 0]
    assert cross_entropy(logits, targets.tolist(), None, smoothing) == pytest.approx(np.mean(surprises), rel=1e-11)
    if kept:
        assert cross_entropy(logits, targets, 0, smoothing) == pytest.approx(np.mean(kept), rel=1e-11)


@both_dtypes
def test_the_loss_keeps_its_dtype_and_stays_a_number(dtype):
    logits, targets = 1e4 * np.eye(3, dtype=dtype), np.array([0, 2, 1])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        losses = [cross_entropy(logits, targets, ignore_id, smoothing) for ignore_id in (None, 0)
                  for smoothing in (0.0, 0.1)]
    assert all(loss.shape == () and loss.dtype == dtype and np.isfinite(loss) for loss in losses)
    assert losses[0] == pytest.approx(2e4 / 3) and losses[2] == pytest.approx(1e4)


def test_a_model_that_knows_nothing_is_as_surprised_as_there_are_words():
    assert cross_entropy(np.zeros((4, 5, 32)), np.ones((4, 5), int), 0, 0.1) == pytest.approx(math.log(32))


# Bad input. There are no parameters: whatever begins to compute fails with another error.

CONFIG = TransformerConfig(9, 7, 8, 2, 12, 1, 1, max_length=4)
SRC, TGT, LOGITS = np.array([[3, 8], [4, 0]]), np.array([[1, 4, 6], [1, 5, 0]]), np.zeros((2, 3, 7))


def never(src, tgt):
    raise AssertionError("the model was asked")


def asked(src=SRC, tgt=TGT):
    return transformer({}, CONFIG, src, tgt)


@pytest.mark.parametrize("call, message", [
    (lambda: asked(src=SRC + 1), "src must lie between 0 and 8, for a vocabulary of 9; got 9"),
    (lambda: asked(src=SRC - 1), "src must lie between 0 and 8, for a vocabulary of 9; got -1"),
    (lambda: asked(tgt=SRC), "tgt must lie between 0 and 6, for a vocabulary of 7; got 8"),
    (lambda: asked(src=SRC[0]), "src must be a batch of ids, (B, T); got shape (2,) (one sequence: ids[None])"),
    (lambda: asked(tgt=TGT[None]), "tgt must be a batch of ids, (B, T); got shape (1, 2, 3)"),
    (lambda: asked(src=SRC.astype(float)), "src must be whole numbers; got dtype float64"),
    (lambda: asked(tgt=TGT[:, :0]), "tgt must hold at least one id; got shape (2, 0)"),
    (lambda: asked(src=np.ones((2, 5), int)), "the length of src must be at most max_length = 4, as the config says"),
    (lambda: asked(tgt=np.ones((2, 5), int)), "the length of tgt must be at most max_length = 4, as the config says"),
    (lambda: asked(tgt=TGT[:1]), "src and tgt must have as many rows as each other, one for each sequence of the "
     "batch; got shapes (2, 2) and (1, 3)"),
    (lambda: greedy_decode(never, [3, 4], 5), "src must be a batch of ids, (B, T); got shape (2,)"),
    (lambda: greedy_decode(never, [[]], 5), "src must hold at least one id; got shape (1, 0)"),
    (lambda: greedy_decode(never, SRC, 0), "max_length must be a whole number, at least 1; got 0"),
    (lambda: greedy_decode(never, SRC, None), "max_length must be a whole number, at least 1; got None"),
    (lambda: beam_search(never, [3, 4], 5), "src must be a batch of ids, (B, T); got shape (2,)"),
    (lambda: beam_search(never, SRC, 2.5), "max_length must be a whole number, at least 1; got 2.5"),
    (lambda: beam_search(never, SRC, 5, width=0), "width must be a whole number, at least 1; got 0"),
    *((lambda x=x: beam_search(never, SRC, 5, length_penalty=x),
       f"length_penalty must be a number, at least 0; got {x}") for x in (-0.1, math.nan, math.inf, None)),
    *((lambda ids=ids: teacher_forcing_pair(ids),
       f"ids must be (B, L), L at least 2, from <START> to <END>; got shape {np.shape(ids)}")
      for ids in ([1, 4, 2], [[1]], [[[1, 4, 2]]])),
    (lambda: teacher_forcing_pair([["a", "b"]]), "ids must be whole numbers; got dtype <U1"),
    (lambda: cross_entropy(LOGITS, TGT[:, :2]),
     "targets must have shape (2, 3), an id for each row of logits; got (2, 2)"),
    (lambda: cross_entropy(LOGITS, TGT + 1), "targets must lie between 0 and 6, for a vocabulary of 7; got 7"),
    (lambda: cross_entropy(LOGITS, LOGITS[..., 0]), "targets must be whole numbers; got dtype float64"),
    (lambda: cross_entropy(np.float64(1), 0), "logits must have at least 1 axis; got shape ()"),
    (lambda: cross_entropy(LOGITS, 0 * TGT, 0),
     "targets must hold at least one id that counts; all of them are ignore_id = 0"),
    (lambda: cross_entropy(LOGITS, TGT, 0, 1.0), "label_smoothing must be at least 0 and below 1; got 1.0"),
    (lambda: cross_entropy(LOGITS, TGT, 0, -0.1), "label_smoothing must be at least 0 and below 1; got -0.1"),
    (lambda: cross_entropy(LOGITS, TGT, 0, np.float64(0.1)), "label_smoothing must be a Python number"),
])
def test_bad_input_is_an_error_that_says_what_is_wrong_before_any_work(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


@pytest.mark.parametrize("max_length, message", [
    (13, "max_length must be at most max_length = 12, as the config says; got 13"),
    (0, "max_length must be a whole number, at least 1; got 0"),
    (2.0, "max_length must be a whole number, at least 1; got 2.0"),
    ("5", "max_length must be a whole number, at least 1; got '5'"),
])
def test_a_transformer_writes_no_more_than_its_config_says(max_length, message):
    for write in (drawn_model(0).greedy_decode, drawn_model(0).beam_search):
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            write(SRC, max_length)


def test_a_transformer_refuses_a_source_of_another_vocabulary():
    for write in (drawn_model(0).greedy_decode, drawn_model(0).beam_search):
        with pytest.raises(ValueError, match="^src must lie between 0 and 8, for a vocabulary of 9; got 9"):
            write(SRC + 1)


@pytest.mark.parametrize("change, message", [
    (lambda p: p.pop("decoder/layer_1/norm_3/beta"),
     "params must hold decoder/layer_1/norm_3/beta, of shape (8,); it is missing"),
    (lambda p: p.update({"encoder/layer_2/norm_1/gamma": p["output/b"]}),
     "params must fit the config, which has no encoder/layer_2/norm_1/gamma"),
    (lambda p: p.update({"encoder/norm/gamma": p["output/b"]}),
     "params must fit the config, which has no encoder/norm/gamma"),
    (lambda p: p.update({"output/W": p["output/W"].T}), "output/W must have shape (8, 7), for this config; got (7, 8)"),
    (lambda p: p.update(source_table=p["target_table"]),
     "source_table must have shape (9, 8), for this config; got (7, 8)"),
    (lambda p: p.clear(), "params must hold source_table, of shape (9, 8); it is missing"),
    (lambda p: p.update({"output/b": p["output/b"].astype(float)}),
     "params must be arrays of floats, all of one dtype; got float"),
    (lambda p: p.update({name: x.astype(int) for name, x in p.items()}),
     "params must be arrays of floats, all of one dtype; got int64"),
    (lambda p: p.update({name: x.tolist() for name, x in p.items()}),
     "params must be arrays of floats, all of one dtype; got list"),
])
def test_parameters_that_do_not_fit_the_config_are_refused_by_name(change, message):
    params = flat(init_transformer(np.random.default_rng(0), CONFIG))
    Transformer(CONFIG, nested(params))
    change(params)
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        Transformer(CONFIG, nested(params))


@pytest.mark.parametrize("fields, name", [
    ({"n_encoder_layers": 2}, "encoder/layer_2/attention/W_Q"), ({"pre_norm": True}, "encoder/norm/gamma"),
    ({"shared_embeddings": True, "n_src_vocab": 7}, "target_table"), ({"tied_output": True}, "output/W"),
    ({"d_ff": 11}, "encoder/layer_1/feed_forward/W_1"), ({"d_v": 3}, "encoder/layer_1/attention/W_V"),
])
def test_parameters_of_another_config_are_refused_both_ways(fields, name):
    other = dataclasses.replace(CONFIG, **fields)
    for config, params in itertools.permutations((CONFIG, other)):
        with pytest.raises(ValueError, match=f"{name}|source_table must have shape"):
            Transformer(config, init_transformer(np.random.default_rng(0), params))
