"""The exercises of chapter 08, the Transformer."""
import contextlib
import functools
import io
import itertools
import math
import operator
from collections import namedtuple
from types import SimpleNamespace

import numpy as np

from ...attention import causal_mask, combine_masks, padding_mask
from ...block import dropout, gelu, relu
from ...decoder import decoder
from ...embeddings import Vocabulary, embed
from ...encoder import embed_sequence, encoder, record_of
from ...multi_head import linear
from ...softmax import log_softmax, softmax
from ...support.arguments import check_pair
from ...support.files import flat, nested
from ...training import cross_entropy, teacher_forcing_pair
from ...transformer import TransformerConfig, greedy_decode, init_transformer, tables_of, transformer
from ..exercise import Case, Difference, Exercise, compare
from .chapter_05 import Params, Seed, generator, normal

PAD, START, END = Vocabulary.pad_id, Vocabulary.start_id, Vocabulary.end_id


def mistakes_in_steps(exercise, given, steps):
    """A function that registers mistakes of an answer that goes straight on.

    given: makes a namespace of the arguments. steps: a right answer, {name: function of the namespace}; each adds its
    result under its name, and the last one's is returned. A mistake has some other steps.
    """
    def wrong(name, sentence, **other_steps):
        def answer(*args, **options):
            known = given(*args, **options)
            for step, make in (steps | other_steps).items():
                setattr(known, step, make(known))
            return getattr(known, step)
        answer.__name__ = name
        exercise.mistake(sentence)(answer)
    return wrong


# ---- transformer --------------------------------------------------------------------------------------------------

class Config(TransformerConfig):
    """A card names it and does not print it."""

    def __repr__(self):
        return "config"


class Watched:
    """A generator that writes down the shape of what each draw gives."""

    def __init__(self, rng):
        self.rng, self.shapes = rng, []

    def __getattr__(self, name):
        def draw(*args, **options):
            drawn = getattr(self.rng, name)(*args, **options)
            self.shapes.append(np.shape(drawn))
            return drawn
        return draw


@functools.cache
def parameters_once(config, seed, dtype):
    shapes = {name: x.shape for name, x in flat(init_transformer(np.random.default_rng(0), config)).items()}
    arrays = {name: normal(*shape, seed=seed + i, scale=0.6, around=float(name.endswith("gamma")), dtype=dtype)
              for i, (name, shape) in enumerate(shapes.items())}
    for x in arrays.values():
        x.flags.writeable = False
    return arrays


def parameters(config, seed, dtype=np.float64):
    """Arrays of order 1, gammas, betas and biases too; the same ones at every call, so they cannot be written to."""
    return Params(nested(parameters_once(config, seed, dtype)))


ORDER_OF_DRAWS = "training at rate 0.5: the order in which dropout draws"

SIZES = {"n_src_vocab": 7, "n_tgt_vocab": 9, "d_model": 6, "n_heads": 2, "d_ff": 8, "n_encoder_layers": 1,
         "n_decoder_layers": 1, "max_length": 8}
D, GELU_PRE = SIZES["d_model"], {"activation": "gelu", "pre_norm": True}
POST, PRE = Config(**SIZES), Config(**SIZES, **GELU_PRE)
SHARED = Config(**SIZES | {"n_src_vocab": 9}, scale_embeddings=False, shared_embeddings=True, tied_output=True)
TIED = Config(**SIZES, **GELU_PRE, tied_output=True)
ALL_DROPPED, HALF_DROPPED = Config(**SIZES, **GELU_PRE, dropout=0.999999999), Config(**SIZES, dropout=0.5)


def transformer_inputs():
    of_post, of_pre = parameters(POST, 100), parameters(PRE, 200)
    of_tied = Params(of_pre | {"output": {"b": of_pre["output"]["b"]}})
    of_shared = Params(of_post | {"source_table": of_post["target_table"], "output": {"b": of_post["output"]["b"]}})
    del of_shared["target_table"]
    src = np.array([[4, 6, 5, 4, 3], [5, 3, 6, 6, 4], [6, 3, 3, 5, 4]])
    tgt = np.array([[1, 8, 4, 8], [1, 5, 7, 4], [1, 6, 5, 2]])
    some_src = np.array([[4, 6, 5, 4, 3], [5, 3, 6, 0, 0], [6, 0, 0, 0, 0]])
    some_tgt = np.array([[1, 8, 0, 0], [0, 1, 5, 8], [1, 0, 7, 4]])
    axes = "B T n_tgt_vocab"
    recorded = {"logits": axes, "record": {
        "encoder": {"layer_1": {"attention": "B H S S"}},
        "decoder": {"layer_1": {"self_attention": "B H T T", "cross_attention": "B H T S"}}}}
    return [
        Case("no padding; B=3, S=5, T=4", (of_post, POST, src, tgt), axes=axes),
        Case("sources that end with padding", (of_post, POST, some_src, tgt), axes=axes),
        Case("targets with padding at the end, at the start, in the middle", (of_post, POST, src, some_tgt), axes=axes),
        Case("pre-norm, gelu, padding on both sides; S=4, T=5",
             (of_pre, PRE, np.array([[3, 5, 0, 0], [6, 5, 6, 4], [4, 4, 5, 0]]),
              np.array([[1, 7, 3, 2, 0], [1, 4, 4, 8, 6], [1, 2, 0, 0, 0]])), axes=axes),
        Case("one table for all, words not scaled", (of_shared, SHARED, src, tgt), axes=axes),
        Case("pre-norm, the target's table as the last matrix, the weights recorded",
             (of_tied, TIED, some_src, some_tgt), {"record": {}}, axes=recorded),
        Case("pre-norm, float32, ids as a transposed view",
             (parameters(PRE, 200, np.float32), PRE, some_src.astype(np.int32).T.copy().T, some_tgt), axes=axes),
        Case("training at a rate so close to 1 that all is dropped, the weights recorded",
             (of_pre, ALL_DROPPED, some_src, some_tgt), {"rng": Seed(1), "record": {}}, axes=recorded),
        Case(ORDER_OF_DRAWS, (of_post, HALF_DROPPED, src, tgt), {"rng": Seed(2)}, axes=axes),
    ]


def run_transformer(f, case):
    """f's logits, with the record if one was given. Where the order of the draws is asked for: the shapes of what was
    drawn, which are the same however the reader's own dropout draws."""
    options = dict(case.options)
    if "rng" in options:
        options["rng"] = Watched(generator(options["rng"]))
    if "record" in options:
        options["record"] = {}
    logits = f(*case.args, **options)
    if case.title == ORDER_OF_DRAWS:
        return options["rng"].shapes
    return {"logits": logits, "record": options["record"]} if "record" in options else logits


@functools.cache                        # a check asks for it a hundred times
def right_outputs():
    return {case.title: run_transformer(transformer, case) for case in transformer_inputs()}


def judge_transformer(case, output):
    expected = right_outputs()[case.title]
    if case.title != ORDER_OF_DRAWS:
        return alone(compare(expected, output, case.axes), output, "logits")
    if output == expected or any(len(shape) != 3 for shape in output):      # a dropout that draws number by number
        return None
    _, config, src, tgt = case.args
    names = {(*src.shape, config.d_model): "S", (*tgt.shape, config.d_model): "T"}
    wanted, got = (" ".join(names.get(shape, str(shape)) for shape in shapes) for shapes in (expected, output))
    return Difference(f"dropout should draw for arrays of the source (S) and of the target (T) in the order {wanted}; "
                      f"yours draws {got or 'nothing'}",
                      advice="Embed the source, encode, embed the target, decode: each of the four drops out.")


def alone(difference, output, what):
    """Where a tuple came back, say what should have."""
    if isinstance(output, tuple):
        difference.advice = f"Return the {what} alone."
    return difference


TRANSFORMER = Exercise(transformer, transformer_inputs, call=run_transformer, judge=judge_transformer)


def given_to_transformer(params, config, src, tgt, rng=None, record=None):
    source_table, target_table, W = tables_of(params, config)
    options = {"n_heads": config.n_heads, "pre_norm": config.pre_norm, "rate": config.dropout, "rng": rng,
               "activation": {"relu": relu, "gelu": gelu}[config.activation]}

    def embedded(ids, table):
        return drop(embed_sequence(ids, table, config.scale_embeddings))

    def drop(x):
        return dropout(x, config.dropout, rng)

    embedded.__qualname__ = "transformer.<locals>.embedded"     # so that error messages are those of a reader's
    return SimpleNamespace(params=params, config=config, src=src, tgt=tgt, record=record, options=options, drop=drop,
                           embedded=embedded, source_table=source_table, target_table=target_table, W=W,
                           b=params["output"]["b"])


def encoded(g, **other):
    """The right call of the encoder; or with other arguments."""
    record = {} if "record" in other else {"record": record_of(g.record, "encoder")}
    return encoder(**{"x": g.source, "params": g.params["encoder"], "mask": g.source_mask, **g.options, **record,
                      **other})


def decoded(g, **other):
    record = {} if "record" in other else {"record": record_of(g.record, "decoder")}
    return decoder(**{"x": g.target, "memory": g.memory, "params": g.params["decoder"], "mask": g.target_mask,
                      "memory_mask": g.memory_mask, **g.options, **record, **other})


wrong_transformer = mistakes_in_steps(TRANSFORMER, given_to_transformer, {
    "source_mask": lambda g: padding_mask(g.src, PAD),
    "causal": lambda g: causal_mask(g.tgt.shape[-1]),
    "target_mask": lambda g: combine_masks(g.causal, padding_mask(g.tgt, PAD)),
    "memory_mask": lambda g: g.source_mask,
    "source": lambda g: g.embedded(g.src, g.source_table),
    "memory": encoded,
    "target": lambda g: g.embedded(g.tgt, g.target_table),
    "x": decoded,
    "logits": lambda g: linear(g.x, g.W, g.b)})

SOURCE_FOR_X = ("The decoder's x has S rows, as the source has. Its x is the target, embedded; what the encoder "
                "returned comes second, as memory.")
FOUR_AXES = ("A mask of padding needs axes for heads and for queries, (B, 1, 1, length), so that every query of a row "
             "gets it. `padding_mask(ids, Vocabulary.pad_id)` makes it.")
LENGTH_OF_TARGET = "`causal_mask` takes a length, here T, how many words a row of the target has: `tgt.shape[-1]`."
RECORD_IN_HALVES = ("The record has two halves, and each goes to the one it names: `record_of(record, \"encoder\")` to "
                    "the encoder, `record_of(record, \"decoder\")` to the decoder.")
WITHOUT_RECORD = ("`record` may be None, which means that nothing is recorded. `record_of(record, name)` takes care of "
                  "that.")
OPTIONS_MISSING = ("Encoder and decoder need all of `options`: heads, norms, activation, dropout and `rng`. Hand them "
                   "on with two stars: `**options`.")
W_AS_IT_IS = "`W` is (D, n_tgt_vocab) and stands on the right: `linear(x, W, b)` is x @ W + b. Do not transpose it."
OTHER_PARAMETERS = ("Encoder and decoder have parameters of their own: `params[\"encoder\"]` and "
                    "`params[\"decoder\"]`, each as one dict.")
THREE_IN_FRONT = ("`decoder` takes x, what has been embedded of the target; then memory, what the encoder returned; "
                  "then its parameters. The masks follow by name.")
ONCE_TOO_OFTEN = ("Dropout comes once too often. `embedded` drops out what it embeds, the layers what they add; "
                  "nothing else is dropped.")
PADDING_LOOKS = ("Padding cannot look around any more. A position that holds padding looks around like any other; a "
                 "mask of padding is about what is looked at, the keys: (B, 1, 1, length).")
LATER_WORDS = ("The causal mask lets a word look at later ones. Row t allows the columns 0 to t, itself among them, as "
               "`causal_mask` does.")
MASK_OF_BOOLS = ("A mask is an array of bools, and yours holds numbers. `causal_mask` and `padding_mask` make bools; "
                 "by hand, `dtype=bool`.")
IDS_FIRST = ("Ids are wanted, and vectors come. `embedded(ids, table)` takes the ids first, then the table; "
             "`padding_mask` takes ids, `src` or `tgt` as they were given.")
LOGITS_ALONE = "Two things come back. Return the logits alone."
NAME_OF_A_MASK = ("The mask has another name there. `encoder` takes `mask`; `decoder` takes `mask`, for the target, "
                  "and `memory_mask`, for the source.")
ONE_ARRAY = "`encoder` and `decoder` return one array each: the weights are in the record. Take it as it is."
RATE_AND_RNG = ("Encoder and decoder drop out as well while training: both need `rate` and `rng`, which `options` "
                "has.")
BIAS_OF_OUTPUT = ("The bias is one array in the dict `params[\"output\"]`: `linear(x, W, params[\"output\"][\"b\"])`.")

SOURCE_MASK_MISSING = {
    ("encoder",): "The encoder looks at the source's padding. Hand it the mask: `mask=source_mask`, or what you call "
                  "it.",
    ("memory",): "The decoder looks at the source's padding. What the encoder could not look at is hidden from the "
                 "decoder, too: `memory_mask`.",
    ("encoder", "memory"): "Encoder and decoder look at the source's padding. Its mask goes to both: to the encoder as "
                           "`mask`, to the decoder as `memory_mask`."}
TARGET_MASK_MISSING = {
    ("causal",): "A target word looks at the words after it. When the model writes, they are not there: combine "
                 "`causal_mask` with the mask of padding.",
    ("padding",): "Padding in the target may be looked at. The causal mask does not hide it: combine it with "
                  "`padding_mask(tgt, ...)`.",
    ("causal", "padding"): "The decoder has no `mask`: a target word looks at padding, and at the words after it. It "
                           "takes both masks, combined."}
ALL_MISSING = ("There are no masks at all. The encoder needs one, the decoder two: `mask` for the target, "
               "`memory_mask` for the source.")
CAUSAL_ONLY = ("Padding may be looked at everywhere: the causal mask hides only what comes later. The source's mask "
               "goes to encoder and decoder (`mask`, `memory_mask`), the target's is combined with the causal one.")
for of_source, of_target in itertools.product([(), *SOURCE_MASK_MISSING], [(), *TARGET_MASK_MISSING]):
    missing = of_source + of_target
    if missing and not (of_source == ("encoder",) and "causal" in missing):      # which nobody writes
        sentence = " ".join(filter(None, [SOURCE_MASK_MISSING.get(of_source), TARGET_MASK_MISSING.get(of_target)]))
        sentence = ALL_MISSING if len(missing) == 4 else sentence
        sentence = CAUSAL_ONLY if missing == ("encoder", "memory", "padding") else sentence
        wrong_transformer(
            f"masks_missing_{'_'.join(missing)}", sentence,
            memory=lambda g, no="encoder" in missing: encoded(g, mask=None if no else g.source_mask),
            memory_mask=lambda g, no="memory" in missing: None if no else g.source_mask,
            target_mask=lambda g, missing=missing: combine_masks(
                None if "causal" in missing else g.causal, None if "padding" in missing else padding_mask(g.tgt, PAD)))

wrong_transformer("causal_encoder", "The encoder hides what comes after a word. The source is all there from the "
                  "start: only its padding is hidden.", memory=lambda g: encoded(
                      g, mask=combine_masks(causal_mask(g.src.shape[-1]), g.source_mask)))
wrong_transformer("causal_source_mask", "You combine the source's mask with a causal one. The source is all there from "
                  "the start, so only its padding is hidden, from encoder and decoder.",
                  source_mask=lambda g: combine_masks(causal_mask(g.src.shape[-1]), padding_mask(g.src, PAD)))
wrong_transformer("causal_memory", "Word t of the target sees only the first words of the source. All of the source "
                  "may be looked at, at every step: no causal mask in `memory_mask`.",
                  memory_mask=lambda g: g.source_mask & np.tri(g.tgt.shape[-1], g.src.shape[-1], dtype=bool))
for name, other in (("for_the_encoder", {"source_mask": lambda g: padding_mask(g.tgt, PAD)}),
                    ("for_the_memory", {"memory_mask": lambda g: padding_mask(g.tgt, PAD)}),
                    ("with_the_future", {"memory_mask": lambda g: g.target_mask})):
    wrong_transformer(f"mask_of_the_target_{name}", "Which words of the source may be looked at depends on the source: "
                      "`padding_mask(src, Vocabulary.pad_id)`, for the encoder and for `memory_mask`.", **other)
wrong_transformer("causal_with_source", "The causal mask is about the T words of the target, and cannot be combined "
                  "with a mask of the source. The target's is `padding_mask(tgt, ...)`; the source's mask is used as "
                  "it is.", target_mask=lambda g: combine_masks(g.causal, g.source_mask))
wrong_transformer("masks_exchanged", "What is looked at is the target, T words, and its mask is the source's. Into the "
                  "encoder goes the source, with the mask of its padding; `mask` of the decoder is the target's.",
                  x=lambda g: decoded(g, mask=g.source_mask, memory_mask=g.target_mask))
wrong_transformer("either_mask", "`|` allows what one of the masks allows. A word may look where both allow it: `&`, "
                  "or `combine_masks`.", target_mask=lambda g: g.causal | padding_mask(g.tgt, PAD))
wrong_transformer("pythons_and", "Python's `and` and `or` take one truth value, not an array of them. "
                  "`combine_masks` combines masks number by number.",
                  target_mask=lambda g: g.causal and padding_mask(g.tgt, PAD))
wrong_transformer("masks_in_a_list", "`combine_masks` takes the masks one after the other, without a list: "
                  "`combine_masks(a, b)`.", target_mask=lambda g: combine_masks([g.causal, padding_mask(g.tgt, PAD)]))
wrong_transformer("masks_turned_around", "The masks are turned around. In a mask, True stands where one may look: at "
                  "words, not at padding.", source_mask=lambda g: ~padding_mask(g.src, PAD),
                  target_mask=lambda g: g.causal & ~padding_mask(g.tgt, PAD))
wrong_transformer("not_itself", "A target word cannot look at itself. Row t of the causal mask allows t as well, as "
                  "`causal_mask` does.", causal=lambda g: np.tri(g.tgt.shape[-1], k=-1, dtype=bool))
wrong_transformer("causal_mask_turned_around", "The causal mask is turned around: a word looks at later words, and "
                  "not at itself. True stands where it may look; leave `~` away.",
                  causal=lambda g: ~causal_mask(g.tgt.shape[-1]))
wrong_transformer("causal_mask_transposed", LATER_WORDS, causal=lambda g: causal_mask(g.tgt.shape[-1]).T)
wrong_transformer("one_word_ahead", LATER_WORDS, causal=lambda g: np.tri(g.tgt.shape[-1], k=1, dtype=bool))
for name, length in (("batch", lambda g: len(g.tgt)), ("source", lambda g: g.src.shape[-1]),
                     ("config", lambda g: g.config.max_length), ("ids", lambda g: g.tgt),
                     ("shape", lambda g: g.tgt.shape)):
    wrong_transformer(f"causal_mask_of_{name}", LENGTH_OF_TARGET,
                      causal=lambda g, length=length: causal_mask(length(g)))
    wrong_transformer(f"causal_mask_of_{name}_by_hand", LENGTH_OF_TARGET, target_mask=lambda g, length=length: (
        causal_mask(length(g)) & padding_mask(g.tgt, PAD)))
for name, mask in (("two_axes", lambda ids: ids != PAD), ("three_axes", lambda ids: padding_mask(ids, PAD)[:, 0])):
    wrong_transformer(f"source_mask_of_{name}", FOUR_AXES, source_mask=lambda g, mask=mask: mask(g.src))
    wrong_transformer(f"target_mask_of_{name}", FOUR_AXES, target_mask=lambda g, mask=mask: combine_masks(
        g.causal, mask(g.tgt)))
for name, dtype in (("fractions", float), ("whole_numbers", int)):
    wrong_transformer(f"mask_of_{name}", MASK_OF_BOOLS, target_mask=lambda g, dtype=dtype: combine_masks(
        np.tri(g.tgt.shape[-1], dtype=dtype), padding_mask(g.tgt, PAD)))
    wrong_transformer(f"product_with_{name}", MASK_OF_BOOLS, target_mask=lambda g, dtype=dtype: np.tri(
        g.tgt.shape[-1], dtype=dtype) * padding_mask(g.tgt, PAD))
wrong_transformer("queries_for_keys", "The target's mask keeps padding from looking, not from being looked at. Rows "
                  "are queries, columns keys: the mask of padding needs the axes (B, 1, 1, T), as `padding_mask` "
                  "makes them.", target_mask=lambda g: g.causal & of_queries(g.tgt))
wrong_transformer("queries_as_well", PADDING_LOOKS, target_mask=lambda g: (
    g.causal & padding_mask(g.tgt, PAD) & of_queries(g.tgt)))
wrong_transformer("queries_of_the_encoder", PADDING_LOOKS, memory=lambda g: encoded(
    g, mask=g.source_mask & of_queries(g.src)))
wrong_transformer("queries_of_the_target", PADDING_LOOKS, target_mask=lambda g: (
    g.causal & padding_mask(g.tgt, PAD) & of_queries(g.tgt)), memory_mask=lambda g: g.source_mask & of_queries(g.tgt))
wrong_transformer("queries_everywhere", PADDING_LOOKS, memory=lambda g: encoded(
    g, mask=g.source_mask & of_queries(g.src)), target_mask=lambda g: (
        g.causal & padding_mask(g.tgt, PAD) & of_queries(g.tgt)))
wrong_transformer("padding_not_named", "`padding_mask` needs the id of padding, too: `padding_mask(src, "
                  "Vocabulary.pad_id)`.", source_mask=lambda g: padding_mask(g.src))
wrong_transformer("mask_of_vectors", IDS_FIRST, target_mask=lambda g: combine_masks(
    g.causal, padding_mask(g.embedded(g.tgt, g.target_table), PAD)))


def of_queries(ids):
    return (ids != PAD)[:, None, :, None]


wrong_transformer("sides_exchanged", "Source and target have changed places: the encoder reads `src`, and the decoder "
                  "writes `tgt`.", source_mask=lambda g: padding_mask(g.tgt, PAD),
                  causal=lambda g: causal_mask(g.src.shape[-1]),
                  target_mask=lambda g: combine_masks(g.causal, padding_mask(g.src, PAD)),
                  source=lambda g: g.embedded(g.tgt, g.target_table),
                  target=lambda g: g.embedded(g.src, g.source_table))
wrong_transformer("source_for_target", SOURCE_FOR_X, target=lambda g: g.embedded(g.src, g.source_table))
wrong_transformer("source_table_for_both", "The ids of the target are looked up in the source's table, which has other "
                  "words. Source: `source_table`; target: `target_table`.",
                  target=lambda g: g.embedded(g.tgt, g.source_table))
wrong_transformer("target_table_for_both", "The ids of the source are looked up in the target's table, which has other "
                  "words. Source: `source_table`; target: `target_table`.",
                  source=lambda g: g.embedded(g.src, g.target_table))
wrong_transformer("table_first", IDS_FIRST, source=lambda g: g.embedded(g.source_table, g.src))
wrong_transformer("no_table", "`embedded` takes two arguments: the ids, and the table in which to look them up.",
                  source=lambda g: g.embedded(g.src))
wrong_transformer("source_not_embedded", "The encoder gets ids. It takes vectors: `embedded(src, source_table)`.",
                  source=lambda g: g.src)
wrong_transformer("target_not_embedded", "The decoder gets ids. It takes vectors: `embedded(tgt, target_table)`.",
                  target=lambda g: g.tgt)
wrong_transformer("table_from_params", "Where source and target share a table, `params` has only one. `target_table` "
                  "is the right one in both cases.", target=lambda g: g.embedded(g.tgt, g.params["target_table"]))
for name, sentence, embedding in (
        ("positions_missing", "The positions are missing. `embedded(ids, table)` adds them, for source and target.",
         lambda g, ids, table: g.drop(embed(ids, table) * (math.sqrt(D) if g.config.scale_embeddings else 1))),
        ("looked_up_only", "The words are looked up, and nothing else: no scale, no positions, no dropout. "
                           "`embedded(ids, table)` does it all.", lambda g, ids, table: embed(ids, table)),
        ("always_scaled", "The words are scaled whatever the config says. `embedded(ids, table)` looks at "
                          "`config.scale_embeddings`.", lambda g, ids, table: g.drop(embed_sequence(ids, table))),
        ("scaled_as_by_default", "The words are scaled whatever the config says, and nothing is dropped. "
                                 "`embedded(ids, table)` does both as it should be.",
         lambda g, ids, table: embed_sequence(ids, table)),
        ("never_scaled", "The words are never scaled. `embedded(ids, table)` does it where the config says so.",
         lambda g, ids, table: g.drop(embed_sequence(ids, table, scale=False))),
        ("not_dropped", "What is embedded is not dropped out. `embedded(ids, table)` does both, for source and target.",
         lambda g, ids, table: embed_sequence(ids, table, g.config.scale_embeddings)),
        ("dropped_twice", ONCE_TOO_OFTEN, lambda g, ids, table: g.drop(g.embedded(ids, table)))):
    wrong_transformer(name, sentence, source=lambda g, make=embedding: make(g, g.src, g.source_table),
                      target=lambda g, make=embedding: make(g, g.tgt, g.target_table))

NOT_DROPPED = "What is embedded of the {} is not dropped out. `embedded(ids, table)` does it, for source and target."
wrong_transformer("source_not_dropped", NOT_DROPPED.format("source"), source=lambda g: embed_sequence(
    g.src, g.source_table, g.config.scale_embeddings))
wrong_transformer("target_not_dropped", NOT_DROPPED.format("target"), target=lambda g: embed_sequence(
    g.tgt, g.target_table, g.config.scale_embeddings))

wrong_transformer("no_encoder", "The decoder reads the source's vectors as they were embedded. Send them through the "
                  "encoder first: what it returns is the memory.", memory=lambda g: g.source)
wrong_transformer("target_as_memory", "The decoder gets the target as memory, too. Its memory is what the encoder "
                  "returned.", x=lambda g: decoded(g, memory=g.target))
wrong_transformer("memory_first", SOURCE_FOR_X, x=lambda g: decoded(g, x=g.memory, memory=g.target))
wrong_transformer("params_before_memory", THREE_IN_FRONT,
                  x=lambda g: decoded(g, memory=g.params["decoder"], params=g.memory))
wrong_transformer("memory_forgotten", THREE_IN_FRONT, x=lambda g: decoder(
    g.target, g.params["decoder"], mask=g.target_mask, memory_mask=g.memory_mask, **g.options))
wrong_transformer("mask_in_third_place", "The third argument of `encoder` is `n_heads`, which `options` has. Hand on "
                  "the mask by name: `mask=...`.", memory=lambda g: encoder(
                      g.source, g.params["encoder"], g.source_mask, **g.options))
for name, part in (("all", lambda g: g.params), ("of_the_decoder", lambda g: g.params["decoder"])):
    wrong_transformer(f"encoder_params_{name}", OTHER_PARAMETERS, memory=lambda g, part=part: encoded(
        g, params=part(g)))
wrong_transformer("decoder_params_of_the_encoder", OTHER_PARAMETERS, x=lambda g: decoded(
    g, params=g.params["encoder"]))
wrong_transformer("params_with_stars", "`params[\"encoder\"]` goes to `encoder` as one dict, without stars. The stars "
                  "belong to `options`.", memory=lambda g: encoder(
                      g.source, **g.params["encoder"], mask=g.source_mask, **g.options))
wrong_transformer("no_options", OPTIONS_MISSING, memory=lambda g: encoder(
    g.source, g.params["encoder"], mask=g.source_mask))
for name, sentence, other in (
        ("options", OPTIONS_MISSING, {"pre_norm": False, "activation": gelu, "rng": None}),
        ("rng", RATE_AND_RNG, {"rng": None}),
        ("norms", "The norms are post-norm whatever the config says. `**options` has the form.", {"pre_norm": False}),
        ("relu", "The bend is always gelu. `**options` has the one that the config names.", {"activation": gelu}),
        ("gelu", "The bend is always relu. `**options` has the one that the config names.", {"activation": relu})):
    wrong_transformer(f"without_{name}", sentence, memory=lambda g, other=other: encoded(g, **other),
                      x=lambda g, other=other: decoded(g, **other))
wrong_transformer("encoder_without_rng", RATE_AND_RNG, memory=lambda g: encoded(g, rng=None))
wrong_transformer("decoder_without_rng", RATE_AND_RNG, x=lambda g: decoded(g, rng=None))
wrong_transformer("first_of_the_memory", ONE_ARRAY, memory=lambda g: encoded(g)[0])
wrong_transformer("two_of_the_encoder", ONE_ARRAY, memory=lambda g: first_of_two(encoded(g)))
for name in ("source_mask", "src_mask", "target_mask", "tgt_mask"):
    wrong_transformer(f"{name}_for_the_decoder", NAME_OF_A_MASK, x=lambda g, name=name: decoder(
        g.target, g.memory, g.params["decoder"], **g.options, **{name: g.source_mask}))
for name in ("source_mask", "src_mask"):
    wrong_transformer(f"{name}_for_the_encoder", NAME_OF_A_MASK, memory=lambda g, name=name: encoder(
        g.source, g.params["encoder"], **g.options, **{name: g.source_mask}))


def first_of_two(pair):
    first, _ = pair
    return first


TARGET_TOO_EARLY = ("The target is embedded before the encoder runs, and dropout draws in another order. The text "
                    "says: embed the source, encode, embed the target, decode.")
wrong_transformer("both_embedded_first", TARGET_TOO_EARLY,
                  source=lambda g: [g.embedded(g.src, g.source_table), g.embedded(g.tgt, g.target_table)],
                  memory=lambda g: encoded(g, x=g.source[0]), target=lambda g: g.source[1])
wrong_transformer("target_embedded_first", TARGET_TOO_EARLY,
                  source=lambda g: [g.embedded(g.tgt, g.target_table), g.embedded(g.src, g.source_table)],
                  memory=lambda g: encoded(g, x=g.source[1]), target=lambda g: g.source[0])
wrong_transformer("memory_dropped", ONCE_TOO_OFTEN, memory=lambda g: g.drop(encoded(g)))
wrong_transformer("result_dropped", ONCE_TOO_OFTEN, x=lambda g: g.drop(decoded(g)))

wrong_transformer("nothing_recorded", "The weights are not recorded. Hand on `record_of(record, \"encoder\")` and "
                  "`record_of(record, \"decoder\")`. (An empty record counts as false: ask `record is not None`, if at "
                  "all.)", memory=lambda g: encoded(g, record=None), x=lambda g: decoded(g, record=None))
wrong_transformer("encoder_not_recorded", RECORD_IN_HALVES, memory=lambda g: encoded(g, record=None))
wrong_transformer("decoder_not_recorded", RECORD_IN_HALVES, x=lambda g: decoded(g, record=None))
wrong_transformer("records_exchanged", RECORD_IN_HALVES, memory=lambda g: encoded(
    g, record=record_of(g.record, "decoder")), x=lambda g: decoded(g, record=record_of(g.record, "encoder")))
wrong_transformer("one_record_for_both", "Encoder and decoder write into the same record, and the layers of one hide "
                  "those of the other. Give each its part: `record_of(record, \"encoder\")`, `record_of(record, "
                  "\"decoder\")`.", memory=lambda g: encoded(g, record=g.record),
                  x=lambda g: decoded(g, record=g.record))
wrong_transformer("record_by_key", WITHOUT_RECORD, memory=lambda g: encoded(g, record=g.record["encoder"]))
wrong_transformer("record_set", WITHOUT_RECORD, memory=lambda g: operator.setitem(g.record, "encoder", {}))
wrong_transformer("record_of_turned", "`record_of` takes the record first, then the name of the part.",
                  memory=lambda g: encoded(g, record=record_of("encoder", g.record)))

wrong_transformer("no_bias", "The bias is missing: `linear` takes `params[\"output\"][\"b\"]` as its third argument.",
                  logits=lambda g: linear(g.x, g.W))
wrong_transformer("no_last_matrix", "These are D numbers a position, as the decoder returns them. The last matrix "
                  "makes a score for every word of them: `linear` with `W` and b.", logits=lambda g: g.x)
wrong_transformer("W_turned", W_AS_IT_IS, logits=lambda g: linear(g.x, g.W.T, g.b))
wrong_transformer("W_turned_by_hand", W_AS_IT_IS, logits=lambda g: g.x @ g.W.T + g.b)
wrong_transformer("W_first", "The arguments of `linear` have changed places: x first, then `W`, then the bias.",
                  logits=lambda g: linear(g.W, g.x, g.b))
wrong_transformer("dict_for_the_bias", BIAS_OF_OUTPUT, logits=lambda g: linear(g.x, g.W, g.params["output"]))
wrong_transformer("bias_of_params", BIAS_OF_OUTPUT, logits=lambda g: linear(g.x, g.W, g.params["b"]))
wrong_transformer("always_tied", "The last matrix is the target's table whatever the config says. `W` is the right one "
                  "in both cases.", logits=lambda g: linear(g.x, g.target_table.T, g.b))
wrong_transformer("divided_by_the_root", "The logits are divided by the root of D. That belongs to the scores of "
                  "attention; here `linear` is all.", logits=lambda g: linear(g.x, g.W, g.b) / math.sqrt(D))
wrong_transformer("W_from_params", "With a tied output there is no matrix in `params[\"output\"]`: it is the target's "
                  "table. `W` is the right one in both cases.",
                  logits=lambda g: linear(g.x, g.params["output"]["W"], g.b))
wrong_transformer("output_with_stars", "With a tied output `params[\"output\"]` has no W, only b. `W` is the right one "
                  "in both cases: `linear(x, W, params[\"output\"][\"b\"])`.",
                  logits=lambda g: linear(g.x, **g.params["output"]))
for name, end in (("softmax", softmax), ("log_softmax", log_softmax)):
    wrong_transformer(f"{name}_at_the_end", "Asked for are the scores as `linear` gives them: no softmax, no "
                      "logarithm. The loss makes shares of them, and whoever writes takes the best.",
                      logits=lambda g, end=end: end(linear(g.x, g.W, g.b)))
wrong_transformer("best_words", "These are ids, the best word at each position. Asked for are the scores of all words.",
                  logits=lambda g: linear(g.x, g.W, g.b).argmax(axis=-1))
wrong_transformer("last_position_only", "Only the last position has scores. Asked for are those of all positions: in "
                  "training each of them is asked.", logits=lambda g: linear(g.x[:, -1], g.W, g.b))
wrong_transformer("last_word_cut_off", "You cut the last word off the target. Whoever calls has done it where it is "
                  "needed: take `tgt` as it is.", target_mask=lambda g: combine_masks(
                      causal_mask(g.tgt.shape[-1] - 1), padding_mask(g.tgt[:, :-1], PAD)),
                  target=lambda g: g.embedded(g.tgt[:, :-1], g.target_table))
wrong_transformer("made_float64", "float32 became float64. Something in your function makes it: a `dtype=float`, "
                  "`np.zeros` without a dtype, or a root by `np.sqrt`.",
                  logits=lambda g: linear(g.x, g.W, g.b).astype(np.float64))
for name, second in (("record", lambda g: g.record), ("memory", lambda g: g.memory)):
    wrong_transformer(f"logits_and_{name}", LOGITS_ALONE, logits=lambda g, second=second: (
        linear(g.x, g.W, g.b), second(g)))


@TRANSFORMER.alternative
def masks_by_hand(params, config, src, tgt, rng=None, record=None):
    g = given_to_transformer(params, config, src, tgt, rng, record)
    source_mask = (src != 0)[:, None, None, :]
    target_mask = ((tgt != 0)[:, None, :] & np.tril(np.ones((tgt.shape[1], tgt.shape[1]), bool)))[:, None]
    memory = encoder(g.embedded(src, g.source_table), params["encoder"], config.n_heads, source_mask, config.pre_norm,
                     g.options["activation"], config.dropout, rng, record_of(record, "encoder"))
    x = decoder(g.embedded(tgt, g.target_table), memory, params["decoder"], config.n_heads, target_mask, source_mask,
                config.pre_norm, g.options["activation"], config.dropout, rng, record_of(record, "decoder"))
    return x @ g.W + params["output"]["b"]


@TRANSFORMER.alternative
def masks_in_full(params, config, src, tgt, rng=None, record=None):
    g = given_to_transformer(params, config, src, tgt, rng, record)
    (B, S), T, H = src.shape, tgt.shape[1], config.n_heads
    full = np.broadcast_to(padding_mask(src, PAD), (B, H, S, S))
    memory = encoder(g.embedded(src, g.source_table), params["encoder"], mask=full, **g.options,
                     record=record_of(record, "encoder"))
    target_mask = np.zeros((B, H, T, T), dtype=bool)
    for b, t in np.ndindex(B, T):
        target_mask[b, :, t, :t + 1] = tgt[b, :t + 1] != PAD
    memory_mask = np.repeat(padding_mask(src, PAD), T, axis=2)
    x = decoder(g.embedded(tgt, g.target_table), memory, params["decoder"], mask=target_mask, memory_mask=memory_mask,
                **g.options, record=record_of(record, "decoder"))
    return np.einsum("btd,dn->btn", x, g.W) + params["output"]["b"]


@TRANSFORMER.alternative
def with_a_record_of_its_own(params, config, src, tgt, rng=None, record=None):
    g = given_to_transformer(params, config, src, tgt, rng, record)
    seen = {"encoder": {}, "decoder": {}}
    x = g.embedded(src, g.source_table)
    memory = encoder(x, params["encoder"], mask=padding_mask(src, PAD), record=seen["encoder"], **g.options)
    x = g.embedded(tgt, g.target_table)
    mask = padding_mask(tgt, PAD) * causal_mask(len(tgt[0]))
    x = decoder(x, memory, params["decoder"], mask=mask, memory_mask=padding_mask(src, PAD), record=seen["decoder"],
                **g.options)
    if record is not None:
        record.update(seen)
    return linear(x, g.W) + params["output"]["b"]


def alternative_with_dropout(dropped):
    """Register a right answer whose dropout draws otherwise: dropped(shape, rate, rng) tells which numbers are."""
    def answer(params, config, src, tgt, rng=None, record=None):
        g = given_to_transformer(params, config, src, tgt, rng, record)

        def embedded(ids, table):
            x = embed_sequence(ids, table, config.scale_embeddings)
            return x if rng is None else np.where(dropped(x.shape, config.dropout, rng), 0, x / (1 - config.dropout))

        g.source_mask = g.memory_mask = padding_mask(src, PAD)
        g.target_mask = combine_masks(causal_mask(tgt.shape[1]), padding_mask(tgt, PAD))
        g.source = embedded(src, g.source_table)
        g.memory = encoded(g)
        g.target = embedded(tgt, g.target_table)
        return linear(decoded(g), g.W, g.b)
    answer.__name__ = dropped.__name__
    TRANSFORMER.alternative(answer)


@alternative_with_dropout
def dropped_by_coins(shape, rate, rng):
    return rng.binomial(1, rate, shape)


@alternative_with_dropout
def dropped_number_by_number(shape, rate, rng):
    return np.array([rng.random() < rate for _ in range(math.prod(shape))]).reshape(shape)


# ---- teacher_forcing_pair -----------------------------------------------------------------------------------------

def whole_numbers(tree):
    """Integers of any size count as the same."""
    if isinstance(tree, (tuple, list)):
        return (list if isinstance(tree, list) else tuple)(map(whole_numbers, tree))
    return tree.astype(np.int64) if isinstance(tree, np.ndarray) and tree.dtype.kind in "iu" else tree


def pair_inputs():
    axes = ("B T", "B T")
    return [
        Case("the example of the text", (np.array([[1, 7, 8, 2], [1, 9, 2, 0]]),), axes=axes),
        Case("three sequences of different length",
             (np.array([[1, 5, 5, 8, 6, 2], [1, 2, 0, 0, 0, 0], [1, 7, 4, 2, 0, 0]]),), axes=axes),
        Case("as many sequences as ids in each", (np.array([[1, 6, 2], [1, 2, 0], [1, 9, 2]]),), axes=axes),
        Case("a single sequence, L=2", (np.array([[1, 2]]),), axes=axes),
        Case("int32, a transposed view", (np.array([[1, 1], [4, 2], [6, 0], [2, 0]], np.int32).T,), axes=axes),
    ]


def judge_pair(case, output):
    if isinstance(output, list):
        return Difference(f"expected a tuple of 2, got a list of {len(output)}")
    return TEACHER_FORCING_PAIR.compare_with_reference(case, output)


TEACHER_FORCING_PAIR = Exercise(teacher_forcing_pair, pair_inputs, call=lambda f, case: whole_numbers(f(*case.args)),
                                judge=judge_pair)

SAME_TWICE = ("Both are the same, so that the decoder is given the very word that it should say. The labels are one "
              "word ahead: without the first column. The inputs are without the last.")
TWO_AHEAD = ("The labels are two words ahead. The label of a position is the very next word: one column is cut off, "
             "the first.")
CUT_ROWS = ("You cut off a whole sequence. The first axis is the batch; the words of a sequence lie along the second: "
            "`ids[:, ...]`.")
THESE_ARE_LISTS = "These are lists. Cut the array itself: `ids[:, ...]` takes columns."
START_STAYS = "`<START>` is missing among the inputs. It stands in front: from it the model learns how to begin."
ONE_COLUMN = ("The labels are a single column. Every position has a label of its own, the word that comes next: all "
              "columns but the first.")
END_STAYS = ("You take `<END>` out of the inputs of the shorter rows. It does no harm there, because what is wanted "
             "after it is padding, which does not count. Asked for is the plain shift.")
ROLLED = ("`np.roll` brings what leaves at one end back in at the other, and L columns remain. Cut a column off "
          "instead, and L - 1 are left.")


END_IS_SAID = ("`<END>` is missing among the labels. It has to be said like any word, or the model never learns to "
               "stop.")
ONE_BEHIND = ("`np.roll` by +1 moves the words to the right, and the labels lie one word behind. Cut columns off "
              "instead: what comes next is one column further.")
START_TWICE = ("`<START>` stands in front twice. The sequences have it already: take `ids` as they are, without the "
               "last column for the inputs, without the first for the labels.")
FIRST_SEQUENCE = "`ids[0]` is the first sequence alone. Asked for are all of them: `ids[:, ...]`."
ONE_HOT = ("The labels are one-hot vectors. Asked for are ids, (B, L - 1): `cross_entropy` takes from each row the "
           "entry that the id names.")


def without_end(x):
    return np.where(x == END, PAD, x)


def with_start(x):
    return np.insert(x, 0, START, axis=1)


def one_hot(x, dtype=float):
    return np.eye(x.max() + 1, dtype=dtype)[x]


for name, sentence, pair in (
        ("not_shifted", SAME_TWICE, lambda ids: (ids, ids)),
        ("inputs_twice", SAME_TWICE, lambda ids: (ids[:, :-1], ids[:, :-1])),
        ("labels_twice", SAME_TWICE, lambda ids: (ids[:, 1:], ids[:, 1:])),
        ("exchanged", "The two have changed places: first what the decoder is given, from `<START>` on; then what it "
                      "should say.", lambda ids: (ids[:, 1:], ids[:, :-1])),
        ("a_list", "Asked for is a tuple: two values with a comma between them, and no square brackets.",
         lambda ids: [ids[:, :-1], ids[:, 1:]]),
        ("one_array", "The two are stacked into one array. Asked for is a tuple of two: `return inputs, labels`.",
         lambda ids: np.stack([ids[:, :-1], ids[:, 1:]])),
        ("a_dict", "Asked for is a tuple: `return inputs, labels`.",
         lambda ids: {"inputs": ids[:, :-1], "labels": ids[:, 1:]}),
        ("inputs_only", "Only the inputs come back. Asked for are both, `(inputs, labels)`.", lambda ids: ids[:, :-1]),
        ("labels_only", "Only the labels come back. Asked for are both, `(inputs, labels)`.", lambda ids: ids[:, 1:]),
        ("inputs_not_cut", "The inputs have L columns. The last word is given to nobody, for nothing comes after it: "
                           "without the last column.", lambda ids: (ids, ids[:, 1:])),
        ("labels_not_cut", "The labels have L columns. Nobody has to say the first word, `<START>`: without the first "
                           "column.", lambda ids: (ids[:, :-1], ids)),
        ("labels_cut_at_both_ends", "Both ends of the labels are cut off. Only the first word is nobody's label; "
                                    "`<END>` has to be said, too.", lambda ids: (ids[:, :-1], ids[:, 1:-1])),
        ("start_taken_from_both", START_STAYS, lambda ids: (ids[:, 1:-1], ids[:, 2:])),
        ("inputs_without_start", START_STAYS, lambda ids: (ids[:, 1:-1], ids[:, 1:])),
        ("two_words_ahead", TWO_AHEAD, lambda ids: (ids[:, :-2], ids[:, 2:])),
        ("labels_two_words_ahead", TWO_AHEAD, lambda ids: (ids[:, :-1], ids[:, 2:])),
        ("rows_cut", CUT_ROWS, lambda ids: (ids[:-1], ids[1:])),
        ("rows_cut_twice", CUT_ROWS, lambda ids: (ids[:-1, :], ids[1:, :])),
        ("rolled", ROLLED, lambda ids: (ids, np.roll(ids, -1, axis=1))),
        ("rolled_inputs", ROLLED, lambda ids: (np.roll(ids, 1, axis=1), ids)),
        ("rolled_without_axis", "`np.roll` without an axis runs on from row to row. Cut columns off instead.",
         lambda ids: (ids[:, :-1], np.roll(ids, -1)[:, 1:])),
        ("filled_up", "The labels are filled up with padding to L columns. Asked for are L - 1 in both: the last word "
                      "is cut off the inputs instead.", lambda ids: (ids, np.pad(ids[:, 1:], ((0, 0), (0, 1))))),
        ("last_word_as_label", ONE_COLUMN, lambda ids: (ids[:, :-1], ids[:, -1])),
        ("last_column_as_label", ONE_COLUMN, lambda ids: (ids[:, :-1], ids[:, -1:])),
        ("second_word_as_label", ONE_COLUMN, lambda ids: (ids[:, :-1], ids[:, 1])),
        ("first_column_as_label", ONE_COLUMN, lambda ids: (ids[:, :-1], ids[:, :1])),
        ("start_only", "The inputs are the first column alone. The decoder is given all words but the last.",
         lambda ids: (ids[:, 0], ids[:, 1:])),
        ("end_taken_out", END_STAYS, lambda ids: (without_end(ids[:, :-1]), ids[:, 1:])),
        ("end_taken_out_first", END_STAYS, lambda ids: (without_end(ids)[:, :-1], ids[:, 1:])),
        ("end_taken_out_of_labels", END_IS_SAID, lambda ids: (ids[:, :-1], without_end(ids[:, 1:]))),
        ("end_taken_out_of_both", END_IS_SAID, lambda ids: (without_end(ids)[:, :-1], without_end(ids)[:, 1:])),
        ("start_twice", START_TWICE, lambda ids: (with_start(ids), ids)),
        ("start_twice_and_cut", START_TWICE, lambda ids: (with_start(ids[:, :-1]), ids)),
        ("start_twice_and_labels_cut", START_TWICE, lambda ids: (with_start(ids), ids[:, 1:])),
        ("start_twice_and_both_cut", START_TWICE, lambda ids: (with_start(ids[:, :-1]), ids[:, 1:])),
        ("start_twice_and_end_twice", START_TWICE, lambda ids: (
            with_start(ids), np.insert(ids, ids.shape[1], END, axis=1))),
        ("start_twice_and_cut_twice", START_TWICE, lambda ids: (with_start(ids[:, :-2]), ids[:, 1:])),
        ("rolled_forwards", ONE_BEHIND, lambda ids: (ids, np.roll(ids, 1, axis=1))),
        ("rolled_forwards_and_cut", ONE_BEHIND, lambda ids: (ids[:, :-1], np.roll(ids, 1, axis=1)[:, :-1])),
        ("label_rows_cut", CUT_ROWS, lambda ids: (ids[:, :-1], ids[1:])),
        ("one_hot_labels", ONE_HOT, lambda ids: (ids[:, :-1], one_hot(ids)[:, 1:])),
        ("one_hot_whole_numbers", ONE_HOT, lambda ids: (ids[:, :-1], one_hot(ids, int)[:, 1:])),
        ("first_sequence", FIRST_SEQUENCE, lambda ids: (ids[0, :-1], ids[0, 1:])),
        ("first_sequence_whole", FIRST_SEQUENCE, lambda ids: (ids[0], ids[0])),
        ("padding_renamed", "You give padding another number in the labels, as PyTorch has it. Here it keeps its id: "
                            "`cross_entropy` is told which id does not count.",
         lambda ids: (ids[:, :-1], np.where(ids[:, 1:] == PAD, -100, ids[:, 1:]))),
        ("padding_cut_off", "The rows are lists of different length, without their padding. It stays, so that a batch "
                            "is one array.", lambda ids: tuple(
                                [list(row[row != PAD][part]) for row in ids] for part in (slice(-1), slice(1, None)))),
        ("lists_of_rows", THESE_ARE_LISTS, lambda ids: ([row[:-1] for row in ids], [row[1:] for row in ids])),
        ("lists_of_lists", THESE_ARE_LISTS, lambda ids: (ids[:, :-1].tolist(), ids[:, 1:].tolist())),
        ("made_float", "Ids are whole numbers, and yours have become fractions. `np.zeros` and `np.empty` are float64 "
                       "unless you name a dtype.", lambda ids: (ids[:, :-1].astype(float), ids[:, 1:].astype(float))),
        ("comma_forgotten", "With two numbers in brackets the comma counts: `ids[:, :-1]` takes columns, `ids[:-1]` "
                            "whole rows.", lambda ids: (ids[:-1], ids[:, 1:]))):
    pair.__name__ = name
    TEACHER_FORCING_PAIR.mistake(sentence)(pair)


@TEACHER_FORCING_PAIR.mistake("You write into the caller's array, which is still needed. Take parts of it: "
                              "`ids[:, ...]`.")
def end_taken_out_in_place(ids):
    ids[ids == END] = PAD
    return ids[:, :-1], ids[:, 1:]


@TEACHER_FORCING_PAIR.alternative
def by_lists(ids):
    return np.array([list(row)[:-1] for row in ids]), np.array([list(row)[1:] for row in ids])


@TEACHER_FORCING_PAIR.alternative
def with_names(ids):
    return Pair(ids[:, :-1], ids[:, 1:])


Pair = namedtuple("Pair", ["inputs", "labels"])


@TEACHER_FORCING_PAIR.alternative
def by_column_numbers(ids):
    columns = np.arange(ids.shape[1] - 1)
    return np.take(ids, columns, axis=1), np.take(ids, columns + 1, axis=-1)


@TEACHER_FORCING_PAIR.alternative
def columns_deleted(ids):
    return np.delete(ids, -1, axis=1), np.roll(ids, -1, axis=1)[..., :-1].copy()


@TEACHER_FORCING_PAIR.alternative
def by_windows(ids):
    windows = np.lib.stride_tricks.sliding_window_view(ids, 2, axis=1)
    return windows[..., 0], windows[..., 1]


@TEACHER_FORCING_PAIR.alternative
def number_by_number(ids):
    B, L = ids.shape
    inputs, labels = np.zeros((2, B, L - 1), dtype=int)
    for b, t in np.ndindex(B, L - 1):
        inputs[b, t], labels[b, t] = ids[b, t], ids[b, t + 1]
    return inputs, labels


# ---- cross_entropy ------------------------------------------------------------------------------------------------

def cross_entropy_inputs():
    example = np.array([[2.0, 1.0, 0.1], [0.0, 0.0, 0.0]])
    large = np.array([[1000.0, 1001.0, 998.0], [-1000.0, -1000.5, -1002.0]])
    far_apart = np.array([[1000.0, 0.0, -1000.0], [0.0, 800.0, 1.0], [3.0, -1.0, 2.0]])
    return [
        Case("the example of the text", (example.copy(), np.array([0, 2]))),
        Case("the example of the text, with ignore_id=2", (example.copy(), np.array([0, 2])), {"ignore_id": 2}),
        Case("a batch with padding; B=2, T=4, n_vocab=5",
             (normal(2, 4, 5, seed=1), np.array([[3, 1, 2, 4], [2, 0, 0, 0]])), {"ignore_id": 0}),
        Case("a batch in which every word counts; B=3, T=2, n_vocab=4",
             (normal(3, 2, 4, seed=2), np.array([[0, 3], [3, 0], [1, 1]]))),
        Case("large logits", (large, np.array([0, 1]))),
        Case("right words that are most unlikely", (far_apart, np.array([2, 0, 1]))),
        Case("label smoothing", (normal(4, 6, seed=3), np.array([5, 0, 2, 2])), {"label_smoothing": 0.1}),
        Case("label smoothing and padding; B=2, T=3, n_vocab=6",
             (normal(2, 3, 6, seed=4), np.array([[5, 1, 4], [3, 4, 4]])), {"ignore_id": 4, "label_smoothing": 0.3}),
        Case("float32, transposed views, padding and smoothing",
             (normal(5, 4, 2, seed=5, dtype=np.float32).T, np.array([[3, 1], [2, 0], [4, 0], [1, 0]], np.int32).T),
             {"ignore_id": 0, "label_smoothing": 0.1}),
    ]


def run_loss(f, case):
    """f's number; a float64 that came of float32 in few digits, so that all ways to it look alike."""
    loss = f(*case.args, **case.options)
    leaked = isinstance(loss, np.float64) and case.args[0].dtype == np.float32
    return np.float64(f"{loss:.6g}") if leaked else loss


CROSS_ENTROPY = Exercise(cross_entropy, cross_entropy_inputs, call=run_loss)


def given_to_cross_entropy(logits, targets, ignore_id=None, label_smoothing=0.0):
    return SimpleNamespace(logits=logits, targets=targets, ignore_id=ignore_id, eps=label_smoothing,
                           n_vocab=logits.shape[-1])


def of_targets(x, targets):
    """From each row the entry that targets names."""
    return np.take_along_axis(x, targets[..., None], axis=-1)[..., 0]


def mixed(g):
    return (1 - g.eps) * g.surprise + g.eps * g.even


wrong_loss = mistakes_in_steps(CROSS_ENTROPY, given_to_cross_entropy, {
    "log_p": lambda g: log_softmax(g.logits),
    "surprise": lambda g: -of_targets(g.log_p, g.targets),
    "even": lambda g: -np.mean(g.log_p, axis=-1),
    "loss": lambda g: mixed(g) if g.eps else g.surprise,
    "counts": lambda g: g.targets != g.ignore_id,
    "result": lambda g: np.mean(g.loss[g.counts])})


def mean_surprise(g):
    return np.mean(g.surprise)


def of_one_sequence(g):
    return -g.log_p[np.arange(len(g.targets)), g.targets]


def one_hot_sum(g):
    """Over all words, with 0 for those that are not the right one."""
    return -np.sum((np.arange(g.n_vocab) == g.targets[..., None]) * g.log_p, axis=-1)


def smoothed_shares(g):
    return -np.log((1 - g.eps) * of_targets(softmax(g.logits), g.targets) + g.eps / g.n_vocab)


def without_smoothing(name, sentence, **other_steps):
    """Register a mistake, and once more for readers who have not come to label smoothing yet."""
    wrong_loss(name, sentence, **other_steps)
    wrong_loss(f"{name}_unsmoothed", sentence, **other_steps, loss=lambda g: g.surprise)


EVERY_WORD_WITH_EVERY_TARGET = ("`log_p[..., targets]` takes all targets from every row. Each row gives one number, "
                                "that of its own target: `np.take_along_axis`, or `log_p[rows, targets]`.")
FOR_ONE_SEQUENCE = ("Right for one sequence. Logits may have more axes, (B, T, n_vocab): `np.take_along_axis` takes "
                    "any, or bring both to one row of positions by `reshape`.")
NOT_THE_FORMULA = ("You take the logarithm of a share that was rounded to 0. `log_softmax` never forms the share, so "
                   "that it is right for large logits, too.")
NEVER_0 = ("You keep the shares away from 0 by a smallest number. That hides the infinity and loses the answer: a "
           "surprise of 2000 is a number like any other, and `log_softmax` gives it.")
OTHER_AXIS = "The softmax runs along the wrong axis. The shares of the words add up to 1 in each row: the last axis."
OVERFLOW = "Your own exponentials overflow for large logits. `log_softmax` subtracts the largest logit first."
OVER_EVERYTHING = ("The softmax runs over all numbers at once, so that only all positions together add up to 1. Each "
                   "position has its own: the last axis, `axis=-1`, with `keepdims=True` by hand.")
AXIS_OF_SIZE_1 = ("`np.take_along_axis` leaves an axis of size 1, and what is combined with it makes all pairs of "
                  "positions, or does not fit. Take the axis off: `[..., 0]`.")
FLOAT64_NUMBER = ("The number is right, but float32 logits give a float64. Dividing by a whole number of NumPy's makes "
                  "it, as `np.sum(counts)` is one: `np.mean` does not. So do `np.eye` and `np.zeros` without a dtype.")
MEAN_OF_MEANS = ("You average every row by itself, and then the rows. So a word in a short row counts more than one in "
                 "a long row. One mean, over all positions that count.")
STILL_AN_ARRAY = "A loss for each row comes back. Asked for is one number, the mean over all axes."

without_smoothing("summed", "This is the sum. Asked for is the mean over the positions that count.",
                  result=lambda g: np.sum(g.loss[g.counts]))
wrong_loss("no_sign", "The sign is turned. A surprise is never negative: it is minus the logarithm.",
           result=lambda g: -np.mean(g.loss[g.counts]))
wrong_loss("loss_of_each_position", "The losses of all positions come back. Asked for is one number, their mean.",
           result=lambda g: g.loss)
without_smoothing("losses_that_count", "The losses of all positions come back. Asked for is one number, their mean.",
                  result=lambda g: g.loss[g.counts])
without_smoothing("mean_of_each_row", STILL_AN_ARRAY, result=lambda g: np.mean(g.loss, axis=-1))
without_smoothing("mean_of_each_row_that_counts", STILL_AN_ARRAY,
                  result=lambda g: np.sum(g.loss * g.counts, axis=-1) / np.sum(g.counts, axis=-1))
without_smoothing("mean_of_each_row_counted_below", STILL_AN_ARRAY, result=lambda g: np.mean(
    np.where(g.counts, g.loss, 0), axis=-1))
wrong_loss("number_in_an_array", "The number comes back in an array with axes of size 1. `np.mean` without `axis` and "
           "`keepdims` gives the number itself.", result=lambda g: np.mean(g.loss[g.counts], keepdims=True))
wrong_loss("surprise_only", "Padding counts like the other words, and `label_smoothing` is not used. Leave out what is "
           "`ignore_id` first: `loss[targets != ignore_id]`.", result=mean_surprise)
wrong_loss("surprise_of_one_sequence_only", "Padding counts like the other words, and `label_smoothing` is not used. "
           "Leave out what is `ignore_id` first: `loss[targets != ignore_id]`.",
           surprise=of_one_sequence, result=mean_surprise)
wrong_loss("with_the_number_of_words", "Two numbers come back. Asked for is the mean alone.",
           result=lambda g: (np.mean(g.loss[g.counts]), g.counts.sum()))
wrong_loss("perplexity", "This is e to the power of the loss, the perplexity. Asked for is the loss itself.",
           result=lambda g: np.exp(np.mean(g.loss[g.counts])))
without_smoothing("mean_of_means", MEAN_OF_MEANS, result=lambda g: np.mean(
    np.sum(g.loss * g.counts, axis=-1) / np.sum(g.counts, axis=-1)))
without_smoothing("mean_of_means_row_by_row", MEAN_OF_MEANS, result=lambda g: np.mean(
    [np.mean(loss[counts]) for loss, counts in zip(np.atleast_2d(g.loss), np.atleast_2d(g.counts), strict=True)]))

wrong_loss("nothing_ignored", "Positions with `ignore_id` count like the others. Leave them out: `loss[targets "
           "!= ignore_id]`.", counts=lambda g: np.ones(g.targets.shape, bool))
without_smoothing("counted_below", "Padding is set to 0 above the line, but still counted below. Divide by the number "
                  "of positions that count.", result=lambda g: np.mean(g.loss * g.counts))
for name, unasked in (("", False), ("_where_it_is_given", True)):
    wrong_loss(f"ignored_only{name}", "Only the padding counts: the comparison is turned around. What is not "
               "`ignore_id` counts.", counts=lambda g, unasked=unasked: (
                   np.full(g.targets.shape, unasked) if g.ignore_id is None else g.targets == g.ignore_id))
LOGITS_OF_PADDING = ("You change the logits of the word `ignore_id`, which changes every position. What does not count "
                     "are positions: those whose target is `ignore_id`.")
for name, lowest in (("a_low_number", -1e9), ("minus_infinity", -np.inf)):
    for how, chosen in (("in_a_copy", np.copy), ("in_place", np.asarray)):
        wrong_loss(f"logits_of_padding_{name}_{how}", LOGITS_OF_PADDING,
                   log_p=lambda g, n=lowest, x=chosen: log_softmax(without_word(x(g.logits), g.ignore_id, n)))
    without_smoothing(f"logits_of_padding_{name}_and_no_more", LOGITS_OF_PADDING,
                      log_p=lambda g, n=lowest: log_softmax(without_word(np.copy(g.logits), g.ignore_id, n)),
                      result=lambda g: np.mean(g.loss))
without_smoothing("if_ignore_id", "`if ignore_id` is false for the id 0, which is padding's. Ask `ignore_id is not "
                  "None`, or compare without asking: `targets != ignore_id` is true everywhere for None.",
                  counts=lambda g: g.targets != (g.ignore_id or None))
without_smoothing("always_padding", "The id 0 is left out whatever `ignore_id` says. None means that every position "
                  "counts.", counts=lambda g: g.targets != PAD)
wrong_loss("padding_for_none", "Where `ignore_id` is None you leave out the id 0. None means that every position "
           "counts.", counts=lambda g: g.targets != (g.ignore_id or PAD))
wrong_loss("if_with_an_array", "`if` and `not` take one truth value, not an array of them. `targets != ignore_id` is "
           "an array of bools: use it as an index.", counts=lambda g: not g.targets == g.ignore_id)
wrong_loss("best_word_ignored", "You leave out positions where the best word is `ignore_id`. It is the right word, "
           "the target, that decides.", counts=lambda g: np.argmax(g.logits, axis=-1) != g.ignore_id)
wrong_loss("divided_by_rows", "You divide by the number of rows. Divide by the number of positions that count.",
           result=lambda g: np.sum(g.loss * g.counts) / len(g.targets))
wrong_loss("targets_written", "You write into `targets`, which the caller still needs. Compare, and leave it as it is: "
           "`targets != ignore_id`.", counts=lambda g: written(g.targets, g.targets != g.ignore_id))


def written(targets, counts):
    targets[~counts] = 1
    return counts


def without_word(logits, word, lowest):
    if word is not None:
        logits[..., word] = lowest
    return logits


wrong_loss("no_logarithm", "These are shares with a minus sign. The surprise is minus their logarithm: `log_softmax`.",
           log_p=lambda g: softmax(g.logits))
wrong_loss("one_minus_p", "You take 1 - p. The surprise is -log p, which has no upper end.",
           surprise=lambda g: 1 - of_targets(softmax(g.logits), g.targets))
wrong_loss("mean_share", "This is the mean share of the right words. The loss is the mean of -log p.",
           result=lambda g: np.mean(of_targets(softmax(g.logits), g.targets)[g.counts]))
wrong_loss("logarithm_of_the_mean", "The mean comes before the logarithm. First the surprise of each position, then "
           "the mean.", result=lambda g: -np.log(np.mean(of_targets(softmax(g.logits), g.targets)[g.counts])))
wrong_loss("logits_as_they_are", "These are the logits with a minus sign. They become logarithms of shares by "
           "`log_softmax`.", log_p=lambda g: g.logits)
wrong_loss("softmax_twice", "The softmax comes twice: `log_softmax` takes logits, not shares.",
           log_p=lambda g: log_softmax(softmax(g.logits)))
wrong_loss("log_softmax_of_logarithms", "You take the logarithm of what `log_softmax` gives, which has it already.",
           log_p=lambda g: np.log(log_softmax(g.logits)))
for name, base in (("2", 2), ("10", 10)):
    wrong_loss(f"logarithm_of_base_{name}", "This is a logarithm of another base. The surprise is in nats, by the "
               "natural one: `np.log`, as in `log_softmax`.",
               log_p=lambda g, base=base: log_softmax(g.logits) / math.log(base))
without_smoothing("log_of_softmax", NOT_THE_FORMULA, log_p=lambda g: np.log(softmax(g.logits)))
wrong_loss("log_of_softmax_always_mixed", NOT_THE_FORMULA, log_p=lambda g: np.log(softmax(g.logits)), loss=mixed)
wrong_loss("log_of_softmax_in_a_sum", NOT_THE_FORMULA, log_p=lambda g: np.log(softmax(g.logits)), surprise=one_hot_sum)
for name, log_p in (
        ("exponentials", lambda x: np.log(np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True))),
        ("sum", lambda x: x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True)))):
    log_p = functools.partial(lambda g, f: f(g.logits), f=log_p)
    without_smoothing(f"naive_{name}", OVERFLOW, log_p=log_p)
    wrong_loss(f"naive_{name}_always_mixed", OVERFLOW, log_p=log_p, loss=mixed)
    wrong_loss(f"naive_{name}_one_hot", OVERFLOW, log_p=log_p, surprise=one_hot_sum)
for size in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 1e-20, 1e-30):
    wrong_loss(f"with_{size}", NEVER_0, log_p=lambda g, size=size: np.log(softmax(g.logits) + size))
    wrong_loss(f"clipped_at_{size}", NEVER_0, log_p=lambda g, size=size: np.log(np.clip(softmax(g.logits), size, 1)))
without_smoothing("first_axis", OTHER_AXIS, log_p=lambda g: log_softmax(g.logits, axis=0))
without_smoothing("axis_of_positions", OTHER_AXIS, log_p=lambda g: log_softmax(g.logits, axis=-2))
without_smoothing("axis_1", OTHER_AXIS, log_p=lambda g: log_softmax(g.logits, axis=1))
without_smoothing("sum_of_everything", OVER_EVERYTHING,
                  log_p=lambda g: g.logits - np.logaddexp.reduce(g.logits, axis=None))
without_smoothing("sum_of_everything_by_hand", OVER_EVERYTHING,
                  log_p=lambda g: g.logits - np.log(np.exp(g.logits).sum()))
wrong_loss("logits_written", "`logits -= ...` writes into the caller's array. `log_softmax` makes a new one.",
           log_p=lambda g: log_softmax(np.subtract(g.logits, g.logits.max(axis=-1, keepdims=True), out=g.logits)))

for name, entries in (("of_every_row", lambda g: -g.log_p[..., g.targets]),
                      ("along_axis_1", lambda g: -g.log_p[:, g.targets])):
    wrong_loss(f"every_target_{name}", EVERY_WORD_WITH_EVERY_TARGET, surprise=entries)
    wrong_loss(f"every_target_{name}_and_no_more", EVERY_WORD_WITH_EVERY_TARGET, surprise=entries, result=mean_surprise)
wrong_loss("targets_as_rows", "`log_p[targets]` takes whole rows. From each row one number is wanted, that of its "
           "target: `np.take_along_axis`, or `log_p[rows, targets]`.", surprise=lambda g: -g.log_p[g.targets])
without_smoothing("one_sequence_only", FOR_ONE_SEQUENCE, surprise=of_one_sequence)
without_smoothing("position_by_position_of_one_sequence", FOR_ONE_SEQUENCE, result=lambda g: np.mean(
    [loss for loss, target in zip(g.loss, g.targets, strict=True) if target != g.ignore_id]))
wrong_loss("axis_of_targets_missing", "`np.take_along_axis` needs as many axes in both: `targets[..., None]`.",
           surprise=lambda g: -np.take_along_axis(g.log_p, g.targets, axis=-1))
for name, loss in (("", lambda g: mixed(g) if g.eps else g.surprise), ("_always_mixed", mixed),
                   ("_mean_first", lambda g: g.eps * g.even + (1 - g.eps) * g.surprise)):
    wrong_loss(f"axis_of_size_1_left{name}", AXIS_OF_SIZE_1, loss=loss,
               surprise=lambda g: -np.take_along_axis(g.log_p, g.targets[..., None], axis=-1))
wrong_loss("axis_of_size_1_times_counts", AXIS_OF_SIZE_1, loss=lambda g: g.surprise,
           surprise=lambda g: -np.take_along_axis(g.log_p, g.targets[..., None], axis=-1),
           result=lambda g: np.sum(g.loss * g.counts) / int(np.sum(g.counts)))
wrong_loss("best_words_surprise", "You take the largest log p, which belongs to the model's best word. The right word "
           "is in `targets`.", surprise=lambda g: -np.max(g.log_p, axis=-1))
wrong_loss("share_of_errors", "This is the share of positions where the best word is wrong. The loss is the surprise "
           "at the right word.", surprise=lambda g: np.argmax(g.logits, axis=-1) != g.targets)
wrong_loss("entropy", "This is the entropy of what the model says, which does not ask for the right word. Take -log p "
           "of the word in `targets`.", surprise=lambda g: -np.sum(np.exp(g.log_p) * g.log_p, axis=-1))
wrong_loss("squares", "These are squares of differences, as for measured numbers. The surprise at the right word is "
           "asked for: -log p.",
           surprise=lambda g: np.sum((np.exp(g.log_p) - np.eye(g.n_vocab)[g.targets]) ** 2, axis=-1))
wrong_loss("mean_over_words", "You divide by the number of words as well. Of each position only the right word's "
           "surprise counts: sum over the words, then take the mean over the positions.",
           surprise=lambda g: -of_targets(g.log_p, g.targets) / g.n_vocab)

wrong_loss("no_smoothing", "`label_smoothing` is not used. With it, the loss is (1 - ε) times the surprise, plus ε "
           "times the mean of -log p over all words.", loss=lambda g: g.surprise)
wrong_loss("always_smoothed", "You smooth by 0.1 whatever the caller says. Use the argument, which is 0.0 by default.",
           loss=lambda g: 0.9 * g.surprise + 0.1 * g.even)
wrong_loss("smoothing_added", "You add ε times the mean, and leave the surprise whole. The shares of the two add up to "
           "1: (1 - ε) times the surprise.", loss=lambda g: g.surprise + g.eps * g.even)
wrong_loss("smoothing_half", "The surprise is multiplied by 1 - ε, but what ε stands for is missing: plus ε times the "
           "mean of -log p over all words.", loss=lambda g: (1 - g.eps) * g.surprise)
wrong_loss("shares_exchanged", "The two shares have changed places. The surprise at the right word gets 1 - ε, the "
           "mean over all words ε.",
           loss=lambda g: g.eps * g.surprise + (1 - g.eps) * g.even if g.eps else g.surprise)
wrong_loss("shares_exchanged_always", "The two shares have changed places: with ε = 0 nothing is left of the surprise. "
           "The surprise at the right word gets 1 - ε, the mean over all words ε.",
           loss=lambda g: g.eps * g.surprise + (1 - g.eps) * g.even)
wrong_loss("sign_of_the_mean", "The mean over all words has the wrong sign. It is a surprise as well: the mean of "
           "minus log p.", loss=lambda g: (1 - g.eps) * g.surprise - g.eps * g.even)
wrong_loss("sum_over_words", "You add up -log p over all words. ε is shared among them: take the mean.",
           even=lambda g: -np.sum(g.log_p, axis=-1))
wrong_loss("share_of_the_right_word_lost", "The right word gets 1 - ε and each other ε / n_vocab, which is not 1 in "
           "all. The right word has its part of ε as well: ε times the mean over all words.",
           loss=lambda g: (1 - g.eps) * g.surprise + g.eps * (g.even - g.surprise / g.n_vocab))
for name, fewer in (("others", 1), ("others_but_padding", 2)):
    wrong_loss(f"spread_over_{name}", "You share ε among the other words only. It is spread evenly over all words, the "
               "right one among them: (1 - ε) times the surprise, plus ε times the mean of -log p.",
               loss=lambda g, fewer=fewer: (
                   (1 - g.eps) * g.surprise + g.eps * (g.even * g.n_vocab - g.surprise) / (g.n_vocab - fewer)))
for name, result in (
        ("a_mean", lambda g: (1 - g.eps) * np.mean(g.surprise[g.counts]) + g.eps * np.mean(g.even)),
        ("a_sum", lambda g: np.sum((1 - g.eps) * g.surprise * g.counts + g.eps * g.even) / int(np.sum(g.counts)))):
    wrong_loss(f"padding_in_{name}", "The mean of -log p is taken over all positions, padding among them. What is left "
               "out counts nowhere: mix first, then leave out.", result=result)
wrong_loss("mean_of_logits", "The mean is of the logits. It is of -log p, what `log_softmax` makes of them.",
           even=lambda g: -np.mean(g.logits, axis=-1))
wrong_loss("smoothed_shares", "You smooth the model's shares, and take the logarithm then. What is smoothed is the "
           "truth: the loss is (1 - ε) times the surprise, plus ε times the mean of -log p.",
           loss=lambda g: smoothed_shares(g) if g.eps else g.surprise)
wrong_loss("smoothed_shares_always", "You smooth the model's shares, and take the logarithm then. What is smoothed is "
           "the truth: the loss is (1 - ε) times the surprise, plus ε times the mean of -log p.", loss=smoothed_shares)
wrong_loss("mean_of_right_words", "You mix in the mean of the surprises at the right words. The other mean is over all "
           "words of a row: `np.mean(log_p, axis=-1)`, with a minus.", even=lambda g: np.mean(g.surprise))
without_smoothing("mean_of_all_words", "This is the mean of -log p over all words. Of each position, that of the right "
                  "word is asked for: the entry of `log_p` that `targets` names.",
                  surprise=lambda g: -np.mean(g.log_p, axis=-1))
wrong_loss("shares_in_the_mean", "The mean is of the shares, which is always 1 / n_vocab. It is of -log p.",
           even=lambda g: np.mean(np.exp(g.log_p), axis=-1))
wrong_loss("smoothed_logits", "You mix the logits. The loss is mixed: (1 - ε) times the surprise, plus ε times the "
           "mean of -log p over all words.", loss=lambda g: -of_targets(log_softmax(
               (1 - g.eps) * g.logits + g.eps / g.n_vocab), g.targets))
wrong_loss("divided_by_a_sum", FLOAT64_NUMBER, result=lambda g: np.sum(g.loss * g.counts) / np.sum(g.counts))
wrong_loss("one_hot_of_float64", FLOAT64_NUMBER,
           surprise=lambda g: -np.sum(np.eye(g.n_vocab)[g.targets] * g.log_p, axis=-1))


@CROSS_ENTROPY.alternative
def in_one_row(logits, targets, ignore_id=None, label_smoothing=0.0):
    log_p, targets = log_softmax(logits.reshape(-1, logits.shape[-1])), targets.reshape(-1)
    loss = -(1 - label_smoothing) * log_p[np.arange(len(targets)), targets]
    loss -= label_smoothing * log_p.mean(axis=1)
    return loss[targets != ignore_id].mean()


@CROSS_ENTROPY.alternative
def smoothed_labels(logits, targets, ignore_id=None, label_smoothing=0.0):
    n_vocab = logits.shape[-1]
    q = np.full(logits.shape, label_smoothing / n_vocab, dtype=logits.dtype)
    q += (1 - label_smoothing) * (np.arange(n_vocab) == targets[..., None])
    loss = -np.einsum("...n,...n->...", q, log_softmax(logits))
    return np.average(loss, weights=(targets != ignore_id).astype(loss.dtype))


@CROSS_ENTROPY.alternative
def position_by_position(logits, targets, ignore_id=None, label_smoothing=0.0):
    total, n = 0.0, 0
    for place in np.ndindex(targets.shape):
        if ignore_id is None or targets[place] != ignore_id:
            log_p = log_softmax(logits[place])
            total -= (1 - label_smoothing) * log_p[targets[place]] + label_smoothing * sum(log_p) / len(log_p)
            n += 1
    return total / n


@CROSS_ENTROPY.alternative
def as_a_python_number(logits, targets, ignore_id=None, label_smoothing=0.0):
    x = logits.astype(np.float64)
    log_sum = np.logaddexp.reduce(x, axis=-1)
    loss = log_sum - (1 - label_smoothing) * of_targets(x, targets) - label_smoothing * x.mean(axis=-1)
    return float(np.nanmean(np.where(targets == ignore_id, np.nan, loss)))


@CROSS_ENTROPY.alternative
def zeros_for_padding(logits, targets, ignore_id=None, label_smoothing=0.0):
    loss = -of_targets(log_softmax(logits), targets)
    if label_smoothing > 0:
        loss = loss + label_smoothing * (-log_softmax(logits).mean(-1) - loss)
    loss[targets == ignore_id] = 0
    return np.asarray(loss.sum() / int((targets != ignore_id).sum()))


# ---- greedy_decode ------------------------------------------------------------------------------------------------

class Talker:
    """A model that knows what to say to each source, and whose config allows `longest` words. Off its track, and after
    <END>, it says other words.

    says: {source: the words to say}.
    """
    N_VOCAB, PATIENCE = 9, 200

    def __init__(self, says, longest):
        self.tracks = {src: (START, *words) for src, words in says.items()}
        self.config = TransformerConfig(self.N_VOCAB, self.N_VOCAB, max_length=longest)
        self.question, self.repeated = None, 0

    def __repr__(self):
        return "model"

    def __call__(self, src, tgt):
        check_pair(self.config, src, tgt)
        src, tgt = np.asarray(src).tolist(), np.asarray(tgt).tolist()
        self.repeated = self.repeated + 1 if self.question == (src, tgt) else 0
        self.question = src, tgt
        if self.repeated == self.PATIENCE:
            raise ValueError(f"the model has been asked the same {self.PATIENCE} times; is there an endless loop?")
        best = np.array([[self.next_word(tuple(row), tuple(words[:t + 1])) for t in range(len(words))]
                         for row, words in zip(src, tgt, strict=True)])
        offset = np.arange(len(src))[:, None] - np.arange(len(tgt[0]))              # which changes no share
        return offset[..., None] - 0.5 * ((np.arange(self.N_VOCAB) - best[..., None]) % self.N_VOCAB)

    __call__.__qualname__ = "model"     # for error messages

    def next_word(self, src, begun):
        track, n = self.tracks.get(src, ()), len(begun)
        return track[n] if n < len(track) and begun == track[:n] else 4 + (sum(src) + sum(begun) + n) % 5


def greedy_inputs():
    def case(title, says, max_length, longest, dtype=int):
        return Case(title, (Talker(says, longest), np.array(list(says), dtype), max_length), axes="B n")

    for_ever = (4, 7, 7, 5, 8, 6, 4, 4, 5, 6, 7, 8)
    return [
        case("one source; the model says 5 7 4 <END>", {(4, 5, 6): (5, 7, 4, END)}, 8, 12),
        case("three sources, whose targets end at different times; one has <END> alone",
             {(4, 5, 6, 0): (6, 4, END), (7, 0, 0, 0): (END,), (8, 4, 4, 5): (7, 7, 5, 8, END)}, 8, 12),
        case("two that end together, before max_length", {(5, 5, 8): (4, 6, END), (6, 5, 0): (6, 8, END)}, 9, 12),
        case("one never ends, and one with the last word that is allowed",
             {(6, 5): for_ever, (4, 8): (8, 5, 4, 7, END), (8, 8): (6, END)}, 5, 12),
        case("max_length=1", {(4, 4): (END,), (5, 6): (5, 6, END), (7, 4): (8, END)}, 1, 6),
        case("a model that takes no target longer than max_length", {(6, 7, 8): for_ever, (5, 7, 4): (5, END)}, 4, 4),
        case("a model that says <PAD> before <END>", {(6, 6, 5): (5, PAD, 7, END), (7, 8, 0): (END,)}, 6, 12),
        case("<END> at once for all, ids of int32", {(5, 6, 7, 8): (END,), (8, 7, 6, 5): (END,)}, 4, 12, np.int32),
    ]


DRAWN = "something else each time"


def run_greedy(f, case):
    """f's ids; or DRAWN, if it is asked twice and does not say the same."""
    ids = whole_numbers(f(*case.args))
    if case.title == greedy_inputs()[0].title:
        with contextlib.redirect_stdout(io.StringIO()):
            again = whole_numbers(f(*case.args))
        return ids if compare(ids, again) is None else DRAWN
    return ids


def judge_greedy(case, output):
    if isinstance(output, str) and output == DRAWN:
        return Difference(f"called twice with the same arguments, yours writes {DRAWN}",
                          advice="The best word is asked for, always the same: `np.argmax`, and nothing is drawn.")
    return alone(GREEDY_DECODE.compare_with_reference(case, output), output, "ids")


GREEDY_DECODE = Exercise(greedy_decode, greedy_inputs, call=run_greedy, judge=judge_greedy)

STEPS = {
    "more": lambda g: g.ids.shape[1] <= g.max_length and not g.done.all(),
    "logits": lambda g: g.model(g.src, g.ids),
    "word": lambda g: np.argmax(g.logits[:, -1], axis=-1),
    "filled": lambda g: np.where(g.done, PAD, g.word),
    "ids": lambda g: np.hstack([g.ids, g.filled[:, None]]),
    "done": lambda g: g.done | (g.filled == END),
}


def wrong_decode(name, sentence, start=lambda g: np.full((len(g.src), 1), START), result=lambda g: g.ids[:, 1:],
                 **other_steps):
    """Register an answer as a mistake: the right one, but for some of its steps."""
    steps = STEPS | other_steps

    def answer(model, src, max_length):
        g = SimpleNamespace(model=model, src=src, max_length=max_length, done=np.zeros(len(src), bool))
        g.ids, g.n = start(g), 0
        while steps["more"](g):
            g.n += 1
            for step in ("logits", "word", "filled", "ids", "done"):
                setattr(g, step, steps[step](g))
        return result(g)

    answer.__name__ = name
    GREEDY_DECODE.mistake(sentence)(answer)


def drawn_words(g):
    g.rng = np.random.default_rng(0) if g.n == 1 else g.rng
    return np.array([g.rng.choice(scores.size, p=softmax(scores)) for scores in g.logits[:, -1]])


ONE_ROW = ("Right for one row. `word` has a word for each row, and whether a row has ended is a truth value for each: "
           "keep them in arrays of B.")
NEW_COLUMN = ("The new words are B numbers, and have to become a column, (B, 1), to be put beside (B, T): `word[:, "
              "None]`, and `np.hstack` or `axis=1`.")
END_LOST = ("`<END>` is missing. It is a word that the model says, and stays in the result: only what comes after it "
            "is padding.")
BEGIN_WITH_START = ("The targets do not begin with `<START>`. Every row does, with that one id: (B, 1), full of "
                    "`Vocabulary.start_id`.")
START_FOR_EACH = ("The targets need a row for each source, and one id in each: (B, 1), full of `Vocabulary.start_id`.")
BEST_POSITION = ("You look for the best position of a word. The axes are (B, T, n_vocab): take the last position, "
                 "`logits[:, -1]`, and of its scores the best word, `axis=-1`.")
START_ALONE = ("The scores that you take have seen `<START>` alone, and say the same for ever. Give the model all that "
               "has been written, and take its last position: `logits[:, -1]`.")
UNEVEN_ROWS = ("The rows are lists of different length. Fill them up with `<PAD>`, so that the result is one array, "
               "(B, n).")
PAST_THE_END = ("The rows go on past their `<END>`, to max_length. A row that has said `Vocabulary.end_id` is done: it "
                "gets `<PAD>` from then on, and when all rows are done, stop.")


def uneven_rows(g):
    return [[i for i in row if i != PAD] for row in g.ids[:, 1:]]


wrong_decode("start_included", "`<START>` stands in front. It was given, not written: return `ids[:, 1:]`.",
             result=lambda g: g.ids)
wrong_decode("last_cut_off", "`<START>` stands in front, and the last word is missing. It is the first column that has "
             "to go: `ids[:, 1:]`.", result=lambda g: g.ids[:, :-1])
wrong_decode("both_cut_off", "The last word is missing as well. Only the first column has to go: `ids[:, 1:]`.",
             result=lambda g: g.ids[:, 1:-1])
wrong_decode("row_cut_off", "You cut off the first row, not the first column: `ids[:, 1:]`.",
             result=lambda g: g.ids[1:])
wrong_decode("last_words_only", "Only the last word of each row comes back. Asked for are all that were added.",
             result=lambda g: g.ids[:, -1])
wrong_decode("end_replaced", END_LOST, result=lambda g: np.where(g.ids == END, PAD, g.ids)[:, 1:])
wrong_decode("end_not_added", END_LOST, result=lambda g: without_empty_columns(
    np.where(g.ids == END, PAD, g.ids)[:, 1:]))
wrong_decode("done_too_early", END_LOST, filled=lambda g: np.where(g.done | (g.word == END), PAD, g.word),
             done=lambda g: g.done | (g.word == END))
wrong_decode("rows_without_padding", UNEVEN_ROWS, result=uneven_rows)
wrong_decode("array_of_uneven_rows", UNEVEN_ROWS, result=lambda g: np.array(uneven_rows(g)))
wrong_decode("list_of_rows", "A list of lists comes back. Asked for is an array, (B, n): `np.array(...)`.",
             result=lambda g: g.ids[:, 1:].tolist())
wrong_decode("on_its_side", "The result lies on its side: a row for each step. It has a row for each source: put the "
             "steps side by side, `np.stack(words, axis=1)`.", result=lambda g: g.ids[:, 1:].T)
wrong_decode("all_in_one_row", "All words of all rows stand in one row. Asked for is (B, n): a row for each source.",
             result=lambda g: g.ids[:, 1:].ravel())
IDS_ALONE = "Two things come back. Return the ids alone."
COLUMN_LOST = ("A column is missing in the middle: there the model says `<PAD>`, and the other rows have ended. Before "
               "its `<END>` a row keeps whatever the model says.")
wrong_decode("ids_and_done", IDS_ALONE, result=lambda g: (g.ids[:, 1:], g.done))
wrong_decode("ids_and_logits", IDS_ALONE, result=lambda g: (g.ids[:, 1:], g.logits))
wrong_decode("list_of_arrays", "A list of arrays comes back. Asked for is one array, (B, n), a row for each source: "
             "`np.stack`.", result=lambda g: list(g.ids[:, 1:]))
wrong_decode("list_of_steps", "A list comes back, with an array for each step. Put them side by side: `np.stack(words, "
             "axis=1)`, (B, n).", result=lambda g: list(g.ids[:, 1:].T))
wrong_decode("empty_columns_left_out", COLUMN_LOST, result=lambda g: g.ids[:, 1:][:, (g.ids[:, 1:] != PAD).any(axis=0)])


def without_empty_columns(ids):
    return ids[:, :max(1, (ids != PAD).sum(axis=1).max())]


wrong_decode("first_position", START_ALONE, word=lambda g: np.argmax(g.logits[:, 0], axis=-1))
wrong_decode("last_row", "You take the last row of the batch, not the last position. The axes are (B, T, n_vocab): "
             "`logits[:, -1]`.", word=lambda g: np.argmax(g.logits[-1], axis=-1))
wrong_decode("last_word_of_vocabulary", BEST_POSITION, word=lambda g: np.argmax(g.logits[..., -1], axis=-1))
wrong_decode("axis_of_positions", BEST_POSITION, word=lambda g: np.argmax(g.logits, axis=1)[:, -1])
wrong_decode("all_positions_added", "You add the best words of all positions. Only the last one's is new: `logits[:, "
             "-1]`.", filled=lambda g: np.argmax(g.logits, axis=-1), ids=lambda g: np.hstack([g.ids, g.filled]),
             done=lambda g: (g.ids == END).any(axis=1))
wrong_decode("all_positions", "You take the best words of all positions. Only the last one's is new: `logits[:, -1]`.",
             word=lambda g: np.argmax(g.logits, axis=-1))
wrong_decode("mean_of_positions", "You average the scores of all positions. What comes next stands at the last alone: "
             "`logits[:, -1]`.", word=lambda g: np.argmax(g.logits.mean(axis=1), axis=-1))
wrong_decode("axis_of_rows", "`argmax` runs along the wrong axis. Of (B, n_vocab) it should give a word for each row: "
             "`axis=-1`.", word=lambda g: np.argmax(g.logits[:, -1], axis=0))
wrong_decode("no_axis", "`argmax` without an axis gives one place in the whole array. A word for each row is wanted: "
             "`axis=-1`.", word=lambda g: np.argmax(g.logits[:, -1]))
wrong_decode("one_word_for_all", "Every row gets the word of the first one. Each has its own: `np.argmax(logits[:, "
             "-1], axis=-1)`.", word=lambda g: np.full(len(g.src), np.argmax(g.logits[0, -1])))
wrong_decode("score_for_word", "`np.max` gives the best score. The word is its place: `np.argmax`.",
             word=lambda g: np.max(g.logits[:, -1], axis=-1))
wrong_decode("worst_word", "These are the worst words. `np.argsort` begins with the lowest score; `np.argmax` gives "
             "the place of the highest.", word=lambda g: np.argsort(g.logits[:, -1], axis=-1)[:, 0])
wrong_decode("position_max_length", "The last position is not always `max_length - 1`: there are as many as have been "
             "written. `logits[:, -1]` is the last.",
             word=lambda g: np.argmax(g.logits[:, g.max_length - 1], axis=-1))
wrong_decode("drawn_with_a_seed", "You draw the words by their shares. Asked for is the best word: `np.argmax`.",
             word=drawn_words)
wrong_decode("last_word_fed", "The model gets the last word alone. It remembers nothing: give it all that has been "
             "written, from `<START>` on.", logits=lambda g: g.model(g.src, g.ids[:, -1:]))
wrong_decode("start_not_fed", "The model does not get `<START>`. Give it all that has been written, `<START>` first.",
             logits=lambda g: g.model(g.src, g.ids if g.ids.shape[1] == 1 else g.ids[:, 1:]))
wrong_decode("start_fed_for_ever", START_ALONE, logits=lambda g: g.model(g.src, g.ids[:, :1]))
wrong_decode("without_source", "The model needs the source as well: `model(src, ids)`.",
             logits=lambda g: g.model(g.ids))
wrong_decode("source_last", "The source comes first: `model(src, ids)`.", logits=lambda g: g.model(g.ids, g.src))
wrong_decode("source_for_target", "The model gets the source twice. The second argument is what has been written.",
             logits=lambda g: g.model(g.src, g.src))
wrong_decode("rows_one_by_one", "The model takes batches, (B, S) and (B, T). For a single row: `src[i:i + 1]`.",
             logits=lambda g: np.stack([g.model(one, ids) for one, ids in zip(g.src, g.ids, strict=True)]))

wrong_decode("stops_with_the_first", "You stop as soon as one row has its `<END>`. Go on until all have: `done.all()`.",
             more=lambda g: g.ids.shape[1] <= g.max_length and not g.done.any())
wrong_decode("stops_with_the_first_row", "You stop when the first row has its `<END>`. Go on until all have: "
             "`done.all()`.", more=lambda g: g.ids.shape[1] <= g.max_length and not g.done[0])
wrong_decode("never_ends", "Nothing stops the loop where a row has no `<END>`. At `max_length` words it is over.",
             more=lambda g: not g.done.all())
for name, filled in (("", STEPS["filled"]), ("_without_padding", lambda g: g.word)):
    wrong_decode(f"all_at_the_same_time{name}", "You wait until all rows say `<END>` at the same step. Keep for each "
                 "row whether it has ended: `done = done | (word == Vocabulary.end_id)`.",
                 filled=filled,
                 more=lambda g: g.ids.shape[1] <= g.max_length and not np.all(g.ids[:, -1] == END))
wrong_decode("to_the_limit", "The result goes on to max_length, with padding in all rows. Stop as soon as every row "
             "has its `<END>`: n is the length of the longest.", more=lambda g: g.ids.shape[1] <= g.max_length)
wrong_decode("one_too_many", "You add one word more than `max_length`. `<START>` is not one of them: that many steps, "
             "and no more.", more=lambda g: g.ids.shape[1] <= g.max_length + 1 and not g.done.all())
wrong_decode("one_too_few", "You add one word less than `max_length`. `<START>` is not one of them.",
             more=lambda g: g.ids.shape[1] < g.max_length and not g.done.all())
wrong_decode("one_step_after_the_end", "There is a column of padding at the end. Stop when the last row has its "
             "`<END>`, before another step.", result=lambda g: np.pad(g.ids[:, 1:], (
                 (0, 0), (0, 1 if g.done.all() and g.ids.shape[1] <= g.max_length else 0))))
wrong_decode("one_call_too_many", "The model is asked once more after the last word, with a target longer than it "
             "takes. Look at the length before you ask.", result=lambda g: (g.model(g.src, g.ids), g.ids[:, 1:])[1])
wrong_decode("words_after_the_end", "After its `<END>` a row goes on with words. What comes after it is `<PAD>`, "
             "whatever the model says.", filled=lambda g: g.word)
for name, filler in (("end", END), ("start", START), ("unknown", Vocabulary.unk_id), ("minus_one", -1), ("-100", -100)):
    wrong_decode(f"filled_with_{name}", "What comes after `<END>` is `<PAD>`: `Vocabulary.pad_id`.",
                 filled=lambda g, filler=filler: np.where(g.done, filler, g.word))
wrong_decode("end_forgotten", "A row that has ended wakes up again: `done` is made anew at each step. Once ended, "
             "ended: `done = done | (word == Vocabulary.end_id)`.", done=lambda g: g.filled == END)
wrong_decode("ended_by_padding", PAST_THE_END, done=lambda g: g.done | (g.filled == PAD))
wrong_decode("ended_by_padding_too", "A `<PAD>` that the model says does not end a row. Only `<END>` does: `done = "
             "done | (word == Vocabulary.end_id)`.", done=lambda g: g.done | (g.filled == END) | (g.filled == PAD))
BREAK_IN_ROWS = ("`break` leaves the loop over the rows, and the rows after one that has ended get no word. Go on with "
                 "the next row: `continue`.")
wrong_decode("break_at_a_row_that_has_ended", BREAK_IN_ROWS,
             filled=lambda g: np.where(np.logical_or.accumulate(g.done), PAD, g.word))
wrong_decode("break_at_end", BREAK_IN_ROWS, filled=lambda g: np.where(
    g.done | (np.cumsum(~g.done & (g.word == END)) > (g.word == END)), PAD, g.word))
wrong_decode("never_done", PAST_THE_END, done=lambda g: g.done, result=lambda g: g.ids)
wrong_decode("never_done_one_too_few", PAST_THE_END, done=lambda g: g.done,
             more=lambda g: g.ids.shape[1] < g.max_length)
wrong_decode("never_done_and_no_room", PAST_THE_END, done=lambda g: g.done, result=lambda g: g.ids[:, :-1])
wrong_decode("end_added_at_the_limit", "You close a row with `<END>` that never said it. At `max_length` it is just "
             "cut off.", result=lambda g: closed(g.ids[:, 1:].copy(), g.done))
wrong_decode("end_added_after_the_limit", "You close a row with `<END>` that never said it. At `max_length` it is just "
             "cut off.", result=lambda g: g.ids[:, 1:] if g.done.all() else np.hstack(
                 [g.ids[:, 1:], np.where(g.done, PAD, END)[:, None]]))
wrong_decode("fill_turned_around", "`np.where` has its two choices exchanged: `<PAD>` where a row is done, else the "
             "word.", filled=lambda g: np.where(g.done, g.word, PAD))
wrong_decode("if_for_an_array", ONE_ROW, done=lambda g: np.array([bool(g.word == END)]))
wrong_decode("number_of_an_array", ONE_ROW, filled=lambda g: np.array([g.word.item()]))
wrong_decode("int_of_an_array", ONE_ROW, filled=lambda g: np.array([int(g.word)]))


def closed(ids, done):
    ids[~done, -1] = END
    return ids


wrong_decode("begins_with_padding", BEGIN_WITH_START, start=lambda g: np.zeros((len(g.src), 1), int))
wrong_decode("begins_with_end", BEGIN_WITH_START, start=lambda g: np.full((len(g.src), 1), END))
wrong_decode("begins_with_nothing", BEGIN_WITH_START, start=lambda g: np.zeros((len(g.src), 0), int))
for name, more in (("", STEPS["more"]), ("_in_steps", lambda g: g.n < g.max_length and not g.done.all())):
    wrong_decode(f"begins_with_source{name}", BEGIN_WITH_START, start=lambda g: g.src, more=more)
    wrong_decode(f"starts_for_every_word{name}", "The targets begin with a row of `<START>`, as many as the source has "
                 "words. One is enough: (B, 1).", start=lambda g: np.full_like(g.src, START), more=more)
    wrong_decode(f"not_kept{name}", "The words are not kept: `np.hstack` and `np.append` change nothing, they return a "
                 "new array. Write `ids = np.hstack(...)`.", ids=lambda g: g.ids, more=more)
wrong_decode("start_without_an_axis", START_FOR_EACH, start=lambda g: np.full(len(g.src), START),
             more=lambda g: not g.done.all())
wrong_decode("one_start_for_all", START_FOR_EACH, start=lambda g: np.array([[START]]))
wrong_decode("starts_side_by_side", START_FOR_EACH, start=lambda g: np.full((1, len(g.src)), START))
for name, start in (("ones", np.ones), ("zeros", lambda shape: np.zeros(shape) + START)):
    wrong_decode(f"start_of_{name}", "Ids are whole numbers. `np.zeros`, `np.ones` and `np.empty` make float64 unless "
                 "you name a dtype; `np.full((B, 1), Vocabulary.start_id)` makes whole numbers.",
                 start=lambda g, start=start: start((len(g.src), 1)))
wrong_decode("no_column", NEW_COLUMN, ids=lambda g: np.hstack([g.ids, g.filled]))
wrong_decode("no_column_concatenated", NEW_COLUMN, ids=lambda g: np.concatenate([g.ids, g.filled], axis=1))
wrong_decode("added_below", NEW_COLUMN, ids=lambda g: np.concatenate([g.ids, g.filled[:, None]]))
wrong_decode("appended_flat", NEW_COLUMN, ids=lambda g: np.append(g.ids, g.filled))
wrong_decode("appended_flat_and_asked", NEW_COLUMN, ids=lambda g: np.append(g.ids, g.filled),
             more=lambda g: not g.done.all())
wrong_decode("appended_to_an_array", "Arrays have no `append`. `np.hstack` puts a column beside others and returns a "
             "new array.", ids=lambda g: g.ids.append(g.filled))
wrong_decode("no_loop", "Only one word is added. Ask again until every row has its `<END>`, or `max_length` words are "
             "there.", more=lambda g: g.ids.shape[1] == 1)


def wrong_lists(add, sentence):
    """Register an answer that keeps a list for each row as a mistake. add: (rows, words) adds the words to them."""
    def answer(model, src, max_length):
        rows = [[START] for _ in src]
        for _ in range(max_length):
            add(rows, model(src, np.array(rows))[:, -1].argmax(axis=-1))
            if all(END in row for row in rows):
                break
        return np.array([row[1:] for row in rows])
    answer.__name__ = add.__name__
    GREEDY_DECODE.mistake(sentence)(answer)


def break_after_the_word(rows, words):
    for row, word in zip(rows, words, strict=True):
        row.append(PAD if END in row else word)
        if word == END:
            break


def added_to_open_rows(rows, words):
    for row, word in zip(rows, words, strict=True):
        if END not in row:
            row.append(word)


wrong_lists(break_after_the_word, BREAK_IN_ROWS)
wrong_lists(added_to_open_rows, UNEVEN_ROWS)


@GREEDY_DECODE.alternative
def with_lists(model, src, max_length):
    rows = [[START] for _ in src]
    for _ in range(max_length):
        logits = model(src, np.array(rows))
        for row, scores in zip(rows, logits[:, -1], strict=True):
            row.append(PAD if END in row else int(scores.argmax()))
        if all(END in row for row in rows):
            break
    return np.array([row[1:] for row in rows])


@GREEDY_DECODE.alternative
def row_by_row(model, src, max_length):
    written = []
    for i in range(len(src)):
        row = []
        while len(row) < max_length and END not in row:
            shares = softmax(model(src[i:i + 1], [[START, *row]]))
            row.append(shares[0, -1].argmax())
        written.append(row)
    ids = np.zeros((len(src), max(map(len, written))), dtype=np.int32)
    for row, words in zip(ids, written, strict=True):
        row[:len(words)] = words
    return ids


@GREEDY_DECODE.alternative
def filled_in_and_trimmed(model, src, max_length):
    ids = np.full((len(src), max_length + 1), PAD)
    ids[:, 0] = START
    for t in range(max_length):
        open_rows = ~(ids == END).any(axis=1)
        if open_rows.any():
            ids[open_rows, t + 1] = np.log(softmax(model(src, ids[:, :t + 1])))[open_rows, -1].argmax(axis=1)
    longest = max(list(row).index(END) if END in row else max_length for row in ids)
    return ids[:, 1:longest + 1]


@GREEDY_DECODE.alternative
def asks_for_open_rows_alone(model, src, max_length):
    ids, still = np.full((len(src), 1), START), np.arange(len(src))
    while len(still) and ids.shape[1] <= max_length:
        word = np.full(len(src), PAD)
        word[still] = np.argsort(model(src[still], ids[still])[:, -1], axis=-1)[:, -1]
        ids = np.column_stack([ids, word])
        still = still[word[still] != END]
    return ids[:, 1:].astype(np.uint8)


@GREEDY_DECODE.alternative
def one_call_more_than_needed(model, src, max_length):
    ids, words = np.full((len(src), 1), START), []
    for _ in range(max_length):
        word = model(src, ids)[:, -1].argmax(-1) * (ids != END).all(axis=1)
        if (ids == END).any(axis=1).all():
            break
        words.append(word)
        ids = np.concatenate([ids, word.reshape(-1, 1)], axis=1)
    return np.stack(words, axis=1)
