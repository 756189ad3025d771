"""The exercises of chapter 12, GPT."""
import functools
import math
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from ...attention import causal_mask, padding_mask, scaled_dot_product_attention
from ...block import dropout, gelu, layer_norm, relu, transformer_block
from ...embeddings import embed, positional_encoding
from ...encoder import embed_sequence, encoder, layers_of, record_of
from ...gpt import (
    GPTConfig,
    attend_with_cache,
    block_options,
    embed_tokens,
    init_transformer_lm,
    next_token_pair,
    perplexity,
    rank,
    top_k,
    top_p,
    transformer_lm,
)
from ...multi_head import linear, merge_heads, multi_head_attention, split_heads
from ...softmax import log_softmax, softmax
from ...support.arguments import check_cache, check_multi_head
from ...support.trees import flat, nested
from ...training import cross_entropy
from ..exercise import Case, Difference, Exercise, compare
from .chapter_04 import matrices
from .chapter_05 import Params, Seed, generator, normal
from .chapter_08 import Watched, alone, mistakes_in_steps, of_targets, whole_numbers

# ---- transformer_lm -----------------------------------------------------------------------------------------------

class Config(GPTConfig):
    """A card names it and does not print it."""

    def __repr__(self):
        return "config"


@functools.cache
def parameters_once(config, seed, dtype):
    shapes = {name: x.shape for name, x in flat(init_transformer_lm(np.random.default_rng(0), config)).items()}
    arrays = {name: normal(*shape, seed=seed + i, scale=0.6, around=float(name.endswith("gamma")), dtype=dtype)
              for i, (name, shape) in enumerate(shapes.items())}
    for x in arrays.values():
        x.flags.writeable = False
    return arrays


def parameters(config, seed, dtype=np.float64):
    """Arrays of order 1, gammas, betas and biases too; the same ones at every call, so they cannot be written to."""
    return Params(nested(parameters_once(config, seed, dtype)))


NUMBER_OF_DRAWS = "training at rate 0.5: how often dropout draws"

SIZES = {"n_vocab": 9, "d_model": 6, "n_heads": 2, "n_layers": 1, "d_ff": 8, "max_length": 7}
GPT = Config(**SIZES)
PAPER = Config(**SIZES, positions="sinusoidal", activation="relu", pre_norm=False, tied_output=False)
DEEP = Config(**SIZES | {"n_layers": 2}, activation="relu", tied_output=False)
ALL_DROPPED, HALF_DROPPED = Config(**SIZES, dropout=0.999999999), Config(**SIZES, pre_norm=False, dropout=0.5)


def transformer_lm_inputs():
    axes = "B T n_vocab"
    recorded = {"logits": axes, "record": {f"layer_{i}": {"attention": "B H T T"} for i in (1, 2)}}
    ids = np.array([[4, 0, 5, 4], [8, 3, 6, 6], [2, 0, 0, 1]])
    return [
        Case("as in GPT-2: pre-norm, gelu, learned positions, the table as the last matrix; B=3, T=4",
             (parameters(GPT, 100), GPT, ids), axes=axes),
        Case("as in 2017: post-norm, relu, sinusoids; and a last matrix of its own; B=2, T=5",
             (parameters(PAPER, 200), PAPER, np.array([[3, 5, 0, 7, 3], [6, 1, 8, 4, 0]])), axes=axes),
        Case("two layers, the weights recorded; B=2, T=3",
             (parameters(DEEP, 300), DEEP, np.array([[5, 2, 5], [1, 0, 7]])), {"record": {}}, axes=recorded),
        Case("as many tokens as the model can look back on, T=7",
             (parameters(GPT, 100), GPT, np.array([[4, 6, 5, 4, 3, 0, 8], [5, 3, 6, 6, 4, 1, 1], [2] * 7])), axes=axes),
        Case("float32, ids as a transposed view",
             (parameters(DEEP, 300, np.float32), DEEP, ids.astype(np.int32).T.copy().T), axes=axes),
        Case("training at a rate so close to 1 that all is dropped, the weights recorded",
             (parameters(ALL_DROPPED, 100), ALL_DROPPED, ids.copy()), {"rng": Seed(1), "record": {}}, axes=recorded),
        Case(NUMBER_OF_DRAWS, (parameters(HALF_DROPPED, 100), HALF_DROPPED, ids.copy()), {"rng": Seed(2)}, axes=axes),
    ]


def run_transformer_lm(f, case):
    """f's logits, with the record if one was given. Where the number of draws is asked for: the shapes of what was
    drawn, which are the same however the reader's own dropout draws."""
    options = dict(case.options)
    if "rng" in options:
        options["rng"] = Watched(generator(options["rng"]))
    if "record" in options:
        options["record"] = {}
    logits = f(*case.args, **options)
    if case.title == NUMBER_OF_DRAWS:
        return options["rng"].shapes
    return {"logits": logits, "record": options["record"]} if "record" in options else logits


@functools.cache                        # a check asks for it a hundred times
def right_logits():
    return {case.title: run_transformer_lm(transformer_lm, case) for case in transformer_lm_inputs()}


def judge_transformer_lm(case, output):
    expected = right_logits()[case.title]
    if case.title != NUMBER_OF_DRAWS:
        return alone(compare(expected, output, case.axes), output, "logits")
    if output == expected or any(len(shape) != 3 for shape in output):      # a dropout that draws number by number
        return None
    return Difference(f"dropout should draw {len(expected)} times for an array of shape {expected[0]}: for what is "
                      f"embedded, and twice in the block; yours draws for the shapes {output or 'of nothing'}")


TRANSFORMER_LM = Exercise(transformer_lm, transformer_lm_inputs, call=run_transformer_lm, judge=judge_transformer_lm)


def given_to_transformer_lm(params, config, ids, rng=None, record=None):
    W = params["table"].T if config.tied_output else params["output"]
    return SimpleNamespace(params=params, config=config, ids=ids, rng=rng, record=record, W=W)


def stacked(g, **other):
    """The right call of the encoder; or with other arguments."""
    return encoder(**{"x": g.x, "params": g.params["blocks"], "mask": g.mask, "rate": g.config.dropout, "rng": g.rng,
                      "record": g.record, **block_options(g.config), **other})


wrong_lm = mistakes_in_steps(TRANSFORMER_LM, given_to_transformer_lm, {
    "embedded": lambda g: embed_tokens(g.params, g.config, g.ids),
    "x": lambda g: dropout(g.embedded, g.config.dropout, g.rng),
    "mask": lambda g: causal_mask(g.ids.shape[1]),
    "y": stacked,
    "logits": lambda g: linear(g.y, g.W)})

LENGTH_OF_IDS = "`causal_mask` takes a length, here T, how many tokens a row has: `ids.shape[1]`."
LATER_TOKENS = ("The mask lets a token look at later ones. Row t allows the columns 0 to t, itself among them, as "
                "`causal_mask` does.")
MASK_OF_BOOLS = "A mask is an array of bools, and yours has numbers. `causal_mask` makes bools; by hand, `dtype=bool`."
THE_BLOCKS = ("The stack takes its own part of the parameters, as one dict without stars: `params[\"blocks\"]`.")
TURNED_ALREADY = ("`W` is (D, n_vocab), the table turned around already where it is tied: `linear(x, W)`. The table "
                  "itself, or `W.T`, does not fit.")
OPTIONS_WITH_STARS = ("`block_options(config)` makes a dict of options, and two stars hand them on by name: "
                      "`**block_options(config)`.")
ORDER_OF_ARGUMENTS = "`embed_tokens` takes the parameters first, then the config, then the ids."
EMBEDDED_BY_HAND = ("Positions may be learned, or sinusoids; only with these are tokens scaled. `embed_tokens(params, "
                    "config, ids)` does what the config says.")
ONE_ARRAY = "`encoder` returns one array: the weights are in the record. Take it as it is."
BY_LAYER = ("`encoder` makes the parts for the layers by itself. Hand on `record` as it is.")
NORM_INSIDE = "`encoder` ends with the final norm already, where there is one. Once is right."
PARTS_OF_THE_STACK = ("`params[\"blocks\"]` holds the layers, and for pre-norm a last \"norm\". `encoder` sends x "
                      "through all of them.")
ONE_ROW_OF_IDS = "ids are a batch, (B, T), and all functions here take a batch. Hand on `ids` as they are."

wrong_lm("no_mask", "There is no mask: every token sees the answer. `mask=causal_mask(T)` hides what comes later.",
         mask=lambda g: None)
wrong_lm("transposed", LATER_TOKENS, mask=lambda g: causal_mask(g.ids.shape[1]).T)
wrong_lm("one_ahead", LATER_TOKENS, mask=lambda g: np.tri(g.ids.shape[1], k=1, dtype=bool))
wrong_lm("turned_around", "The mask is turned around: a token looks at later ones, and not at itself. True stands "
         "where it may look; leave `~` away.", mask=lambda g: ~causal_mask(g.ids.shape[1]))
wrong_lm("strict", "A token cannot look at itself. Row t of the mask allows t as well, as `causal_mask` does.",
         mask=lambda g: np.tri(g.ids.shape[1], k=-1, dtype=bool))
wrong_lm("only_itself", "A token sees nothing but itself. Row t of the mask allows all columns from 0 to t, as "
         "`causal_mask` does.", mask=lambda g: np.eye(g.ids.shape[1], dtype=bool))
for name, length in (("batch", lambda g: len(g.ids)), ("config", lambda g: g.config.max_length),
                     ("vectors", lambda g: g.x.shape[-1]), ("ids", lambda g: g.ids), ("shape", lambda g: g.ids.shape),
                     ("x", lambda g: g.x), ("vocabulary", lambda g: g.config.n_vocab), ("size", lambda g: g.ids.size)):
    wrong_lm(f"mask_of_{name}", LENGTH_OF_IDS, mask=lambda g, length=length: causal_mask(length(g)))
wrong_lm("mask_as_a_function", "`causal_mask` is a function, and you hand on the function itself. Call it with the "
         "length: `causal_mask(ids.shape[1])`.", mask=lambda g: causal_mask)
for name, dtype in (("fractions", float), ("whole_numbers", int)):
    wrong_lm(f"mask_of_{name}", MASK_OF_BOOLS, mask=lambda g, dtype=dtype: np.tri(g.ids.shape[1], dtype=dtype))
wrong_lm("for_padding", "You hide the id 0, as padding. Here it is a token like any other: the causal mask alone.",
         mask=lambda g: causal_mask(g.ids.shape[1]) & padding_mask(g.ids, 0))
wrong_lm("padding_only", "The mask is one for padding, and there is none here. What has to be hidden is what comes "
         "later: `causal_mask`.", mask=lambda g: padding_mask(g.ids, 0))
wrong_lm("mask_in_third_place", "The third argument of `encoder` is `n_heads`, which `block_options` has. Hand on the "
         "mask by name: `mask=...`.", y=lambda g: encoder(g.x, g.params["blocks"], g.mask, rate=g.config.dropout,
                                                          rng=g.rng, record=g.record, **block_options(g.config)))

wrong_lm("learned_positions_twice", "The positions are added twice: `embed_tokens` does it already.",
         embedded=lambda g: embed_tokens(g.params, g.config, g.ids) + g.params["positions"][:g.ids.shape[1]])
for name, waves in (
        ("waves_twice", lambda g: positional_encoding(g.ids.shape[1], g.config.d_model, g.params["table"].dtype)),
        ("waves_of_float32_twice", lambda g: positional_encoding(g.ids.shape[1], g.config.d_model))):
    wrong_lm(name, "Sinusoids are added to what has its positions already. `embed_tokens` does all of it.",
             embedded=lambda g, waves=waves: embed_tokens(g.params, g.config, g.ids) + waves(g))
wrong_lm("no_positions", "The positions are missing, without which the order of what came before is lost. "
         "`embed_tokens` adds them.", embedded=lambda g: embed(g.ids, g.params["table"]))
wrong_lm("indexed", "The positions are missing, without which the order of what came before is lost. "
         "`embed_tokens` adds them.", embedded=lambda g: g.params["table"][g.ids])
wrong_lm("always_waves", EMBEDDED_BY_HAND, embedded=lambda g: embed_sequence(g.ids, g.params["table"]))
wrong_lm("waves_without_scale", EMBEDDED_BY_HAND, embedded=lambda g: embed_sequence(g.ids, g.params["table"], False))
wrong_lm("always_learned", EMBEDDED_BY_HAND, embedded=lambda g: (
    g.params["table"][g.ids] + g.params["positions"][:g.ids.shape[1]]))
wrong_lm("scaled_again", "What is embedded is multiplied by the root of D. With sinusoids `embed_tokens` does it, "
         "with learned positions nobody.", embedded=lambda g: math.sqrt(g.config.d_model) * embed_tokens(
             g.params, g.config, g.ids))
wrong_lm("from_position_1", "Your positions begin at 1. The first token stands at position 0, as `embed_tokens` has it "
         "unless told otherwise.", embedded=lambda g: embed_tokens(g.params, g.config, g.ids, 1))
wrong_lm("ids_not_embedded", "The stack gets ids. It takes vectors: `embed_tokens(params, config, ids)`.",
         embedded=lambda g: g.ids)
wrong_lm("ids_first", ORDER_OF_ARGUMENTS, embedded=lambda g: embed_tokens(g.ids, g.params, g.config))
wrong_lm("config_first", ORDER_OF_ARGUMENTS, embedded=lambda g: embed_tokens(g.config, g.params, g.ids))
wrong_lm("ids_second", ORDER_OF_ARGUMENTS, embedded=lambda g: embed_tokens(g.params, g.ids, g.config))
wrong_lm("config_forgotten", ORDER_OF_ARGUMENTS, embedded=lambda g: embed_tokens(g.params, g.ids))
wrong_lm("table_for_params", "`embed_tokens` takes all parameters, and finds the table and the positions in them.",
         embedded=lambda g: embed_tokens(g.params["table"], g.config, g.ids))
wrong_lm("ids_in_one_row", ONE_ROW_OF_IDS, embedded=lambda g: embed_tokens(g.params, g.config, g.ids.reshape(-1)))
wrong_lm("first_row", ONE_ROW_OF_IDS, embedded=lambda g: embed_tokens(g.params, g.config, g.ids[0]))
wrong_lm("last_token_cut_off", "You cut the last token off. Whoever calls has done it where it is needed: take `ids` "
         "as they are.", embedded=lambda g: embed_tokens(g.params, g.config, g.ids[:, :-1]),
         mask=lambda g: causal_mask(g.ids.shape[1] - 1))

FORGOTTEN = {
    "embedding": "What is embedded is not dropped out: `x = dropout(x, config.dropout, rng)`, before the stack.",
    "rate": "The blocks do not drop out: they need both `rate=config.dropout` and `rng=rng`.",
    "record": "The weights are not recorded: hand on `record=record`. (An empty record counts as false: ask `record is "
              "not None`, if at all.)"}
A_TENTH = "The rate is always 0.1. The config has it: `config.dropout`."
NOTHING_DROPPED = ("Nothing is dropped out: neither what is embedded, by `dropout`, nor what the blocks add, by `rate` "
                   "and `rng`.")


def generator_of(g, seed):
    g.rng = g.rng or np.random.default_rng(seed)
    return g.rng


for forgotten in ("embedding",), ("rate",), ("record",), ("embedding", "record"), ("rate", "record"):
    wrong_lm(f"without_{'_'.join(forgotten)}", " ".join(FORGOTTEN[part] for part in forgotten),
             x=lambda g, no="embedding" in forgotten: (
                 g.embedded if no else dropout(g.embedded, g.config.dropout, g.rng)),
             y=lambda g, no=forgotten: stacked(g, rate=0.0 if "rate" in no else g.config.dropout,
                                               record=None if "record" in no else g.record))
wrong_lm("dropout_thrown_away", FORGOTTEN["embedding"],
         x=lambda g: [dropout(g.embedded, g.config.dropout, g.rng), g.embedded][1])
for seed in (0, 42):
    wrong_lm(f"generator_of_its_own_{seed}", "You make a generator where the caller gives none. `rng=None` means: not "
             "training, and nothing is dropped out.", x=lambda g, seed=seed: dropout(
                 g.embedded, g.config.dropout, generator_of(g, seed)))
wrong_lm("without_rng", FORGOTTEN["rate"], y=lambda g: stacked(g, rng=None))
wrong_lm("nothing_dropped", NOTHING_DROPPED, x=lambda g: g.embedded, y=lambda g: stacked(g, rate=0.0))
wrong_lm("nothing_handed_on", "Neither `rate` and `rng` nor `record` are used. What is embedded is dropped out, and "
         "the stack takes all three.", x=lambda g: g.embedded, y=lambda g: stacked(g, rate=0.0, record=None))
wrong_lm("rate_by_another_name", "`encoder` calls it `rate`: `rate=config.dropout`.",
         y=lambda g: stacked(g, dropout=g.config.dropout))
wrong_lm("dropped_twice", "What is embedded is dropped out twice. Once is right.",
         x=lambda g: dropout(dropout(g.embedded, g.config.dropout, g.rng), g.config.dropout, g.rng))
wrong_lm("result_dropped", "What the stack returns is dropped out. Only what is embedded is, and what the blocks add.",
         logits=lambda g: linear(dropout(g.y, g.config.dropout, g.rng), g.W))
wrong_lm("dropped_after_the_stack", "Dropout comes after the stack, and belongs in front of it: what is embedded is "
         "dropped out.", x=lambda g: g.embedded,
         logits=lambda g: linear(dropout(g.y, g.config.dropout, g.rng), g.W))
wrong_lm("logits_dropped", "The logits are dropped out. Only what is embedded is, and what the blocks add.",
         logits=lambda g: dropout(linear(g.y, g.W), g.config.dropout, g.rng))
wrong_lm("dropout_without_rng", "`dropout` takes three arguments: `dropout(x, config.dropout, rng)`.",
         x=lambda g: dropout(g.embedded, g.config.dropout))
wrong_lm("dropout_turned", "`dropout` takes the rate first, then `rng`: `dropout(x, config.dropout, rng)`.",
         x=lambda g: dropout(g.embedded, g.rng, g.config.dropout))
wrong_lm("rate_of_a_tenth", A_TENTH, x=lambda g: dropout(g.embedded, 0.1, g.rng), y=lambda g: stacked(g, rate=0.1))
wrong_lm("embedded_at_a_tenth", A_TENTH, x=lambda g: dropout(g.embedded, 0.1, g.rng))
wrong_lm("blocks_at_a_tenth", "The rate of the blocks is always 0.1. The config has it: `rate=config.dropout`.",
         y=lambda g: stacked(g, rate=0.1))

wrong_lm("part_of_the_record", BY_LAYER, y=lambda g: stacked(g, record=record_of(g.record, "blocks")))
wrong_lm("another_part_of_the_record", BY_LAYER, y=lambda g: stacked(g, record=record_of(g.record, "encoder")))
wrong_lm("part_by_key", BY_LAYER, y=lambda g: stacked(g, record=g.record["blocks"]))

wrong_lm("all_params", THE_BLOCKS, y=lambda g: stacked(g, params=g.params))
wrong_lm("params_of_an_encoder", THE_BLOCKS, y=lambda g: stacked(g, params=g.params["encoder"]))
wrong_lm("params_with_stars", THE_BLOCKS, y=lambda g: encoder(
    g.x, **g.params["blocks"], mask=g.mask, rate=g.config.dropout, rng=g.rng, record=g.record,
    **block_options(g.config)))
wrong_lm("all_params_with_stars", THE_BLOCKS, y=lambda g: encoder(
    g.x, **g.params, mask=g.mask, rate=g.config.dropout, rng=g.rng, record=g.record, **block_options(g.config)))
wrong_lm("no_stack", "The stack is missing: no token has looked at any other. Send x through `encoder`, and keep "
         "what it returns.",
         y=lambda g: g.x)
wrong_lm("heads_only", "The stack does not know its form: post-norm or pre-norm, relu or gelu. "
         "`**block_options(config)` says so.", y=lambda g: encoder(
             g.x, g.params["blocks"], g.config.n_heads, g.mask, rate=g.config.dropout, rng=g.rng, record=g.record))
wrong_lm("no_options", OPTIONS_WITH_STARS, y=lambda g: encoder(
    g.x, g.params["blocks"], mask=g.mask, rate=g.config.dropout, rng=g.rng, record=g.record))
wrong_lm("options_as_heads", OPTIONS_WITH_STARS, y=lambda g: encoder(
    g.x, g.params["blocks"], block_options(g.config), mask=g.mask, rate=g.config.dropout, rng=g.rng, record=g.record))
wrong_lm("options_by_name", OPTIONS_WITH_STARS, y=lambda g: encoder(
    g.x, g.params["blocks"], mask=g.mask, rate=g.config.dropout, rng=g.rng, record=g.record,
    options=block_options(g.config)))
wrong_lm("options_not_called", OPTIONS_WITH_STARS, y=lambda g: encoder(
    g.x, g.params["blocks"], mask=g.mask, rate=g.config.dropout, rng=g.rng, record=g.record, **block_options))
wrong_lm("options_of_nothing", "`block_options` reads them from the config: `block_options(config)`.",
         y=lambda g: stacked(g, **block_options()))
wrong_lm("always_pre_norm", "The norms are pre-norm whatever the config says. `**block_options(config)` has the form.",
         y=lambda g: stacked(g, pre_norm=True))
wrong_lm("always_post_norm", "The norms are post-norm whatever the config says. `**block_options(config)` has the "
         "form.", y=lambda g: stacked(g, pre_norm=False))
wrong_lm("always_gelu", "The bend is always gelu. `**block_options(config)` has the one that the config names.",
         y=lambda g: stacked(g, activation=gelu))
wrong_lm("always_relu", "The bend is always relu. `**block_options(config)` has the one that the config names.",
         y=lambda g: stacked(g, activation=relu))
wrong_lm("one_head", "The blocks have one head whatever the config says. `**block_options(config)` has the number.",
         y=lambda g: stacked(g, n_heads=1))
wrong_lm("first_of_the_stack", ONE_ARRAY, y=lambda g: stacked(g)[0])
wrong_lm("two_of_the_stack", ONE_ARRAY, y=lambda g: first_of_two(stacked(g)))
wrong_lm("norm_twice", NORM_INSIDE, y=lambda g: layer_norm(stacked(g), **g.params["blocks"]["norm"]))
wrong_lm("norm_twice_where_there_is_one", NORM_INSIDE, y=lambda g: (
    layer_norm(stacked(g), **g.params["blocks"]["norm"]) if g.config.pre_norm else stacked(g)))


def first_of_two(pair):
    first, _ = pair
    return first


def in_a_loop(g, layers, part):
    """Blocks by hand, with no norm at the end. part: of the record, for a layer."""
    x = g.x
    for name, layer in layers:
        x = transformer_block(x, layer, mask=g.mask, rate=g.config.dropout, rng=g.rng, record=part(name),
                              **block_options(g.config))
    return x


wrong_lm("norm_as_a_layer", PARTS_OF_THE_STACK, y=lambda g: in_a_loop(
    g, g.params["blocks"].items(), lambda name: record_of(g.record, name)))
wrong_lm("no_norm_at_the_end", PARTS_OF_THE_STACK, y=lambda g: in_a_loop(
    g, layers_of(g.params["blocks"]), lambda name: record_of(g.record, name)))
for name, block in (("blocks_for_a_layer", lambda blocks: blocks), ("first_block", lambda blocks: blocks["layer_1"])):
    wrong_lm(name, "This is one block. `params[\"blocks\"]` is a stack of them: `encoder`.",
             y=lambda g, block=block: in_a_loop(g, [("", block(g.params["blocks"]))], lambda _: g.record))
wrong_lm("first_layer_only", "Only the first layer is used. `encoder` sends x through all of them.",
         y=lambda g: stacked(g, params={name: part for name, part in g.params["blocks"].items()
                                        if name in ("layer_1", "norm")}))

wrong_lm("always_tied", "The last matrix is the table whatever the config says. `W` is the right one in both cases.",
         logits=lambda g: linear(g.y, g.params["table"].T))
wrong_lm("never_tied", "With a tied output there is no `params[\"output\"]`: it is the table, turned around. `W` is "
         "the right one in both cases.", logits=lambda g: linear(g.y, g.params["output"]))
wrong_lm("table_as_it_is", TURNED_ALREADY, logits=lambda g: linear(g.y, g.params["table"]))
wrong_lm("W_turned", TURNED_ALREADY, logits=lambda g: linear(g.y, g.W.T))
wrong_lm("W_turned_by_hand", TURNED_ALREADY, logits=lambda g: g.y @ g.W.T)
wrong_lm("W_first", "The arguments of `linear` have changed places: x first, then `W`.",
         logits=lambda g: linear(g.W, g.y))
wrong_lm("with_a_bias", "There is no bias here: `linear(x, W)` is all.",
         logits=lambda g: linear(g.y, g.W, g.params["output"]["b"]))
wrong_lm("no_last_matrix", "These are D numbers a position, as the stack returns them. `linear(x, W)` makes of "
         "them a score for every token.", logits=lambda g: g.y)
wrong_lm("divided_by_the_root", "The logits are divided by the root of D. That belongs to the scores of attention; "
         "here `linear` is all.", logits=lambda g: linear(g.y, g.W) / math.sqrt(g.config.d_model))
for name, end in (("softmax", softmax), ("log_softmax", log_softmax)):
    wrong_lm(f"{name}_at_the_end", "Asked for are the scores as `linear` gives them: no softmax, no logarithm. The "
             "loss makes shares of them, and so does whoever draws.", logits=lambda g, end=end: end(linear(g.y, g.W)))
wrong_lm("best_tokens", "These are ids, the best token at each position. Asked for are the scores of all tokens.",
         logits=lambda g: linear(g.y, g.W).argmax(axis=-1))
wrong_lm("last_position", "Only the last position has scores. Asked for are those of all positions: in training each "
         "of them is asked.", logits=lambda g: linear(g.y[:, -1], g.W))
wrong_lm("last_position_with_its_axis", "Only the last position has scores. Asked for are those of all positions: in "
         "training each of them is asked.", logits=lambda g: linear(g.y[:, -1:], g.W))
wrong_lm("made_float64", "float32 became float64. Something in your function makes it: a `dtype=float`, `np.zeros` "
         "without a dtype, or a root by `np.sqrt`.", logits=lambda g: linear(g.y, g.W).astype(np.float64))
for name, second in (("record", lambda g: g.record), ("vectors", lambda g: g.y)):
    wrong_lm(f"logits_and_{name}", "Two things come back. Return the logits alone.",
             logits=lambda g, second=second: (linear(g.y, g.W), second(g)))


@TRANSFORMER_LM.alternative
def by_position(params, config, ids, rng=None, record=None):
    W = params["table"].T if config.tied_output else params["output"]
    x = dropout(embed_tokens(params, config, ids), config.dropout, rng)
    mask = np.tril(np.ones((len(ids[0]), len(ids[0])), dtype=bool))
    return encoder(x, params["blocks"], config.n_heads, mask, config.pre_norm,
                   {"relu": relu, "gelu": gelu}[config.activation], config.dropout, rng, record) @ W


@TRANSFORMER_LM.alternative
def mask_in_full(params, config, ids, rng=None, record=None):
    g = given_to_transformer_lm(params, config, ids, rng, record)
    (B, T), place = ids.shape, np.arange(ids.shape[1])
    g.x = dropout(embed_tokens(params, config, ids), config.dropout, rng)
    g.mask = np.broadcast_to(place[:, None] >= place, (B, config.n_heads, T, T))
    return np.einsum("btd,dn->btn", stacked(g), g.W)


@TRANSFORMER_LM.alternative
def layer_by_layer(params, config, ids, rng=None, record=None):
    g = given_to_transformer_lm(params, config, ids, rng, record)
    g.x = dropout(embed_tokens(params, config, ids), config.dropout, rng)
    g.mask = causal_mask(ids.shape[-1])[None, None]
    x = in_a_loop(g, layers_of(params["blocks"]), lambda name: record_of(record, name))
    return linear(layer_norm(x, **params["blocks"]["norm"]) if config.pre_norm else x, g.W)


@TRANSFORMER_LM.alternative
def with_a_record_of_its_own(params, config, ids, rng=None, record=None):
    g, seen = given_to_transformer_lm(params, config, ids, rng, record), {}
    x = params["table"][ids]
    if config.positions == "learned":
        x = x + params["positions"][:ids.shape[1]]
    else:
        x = embed_sequence(ids, params["table"])
    g.x, g.mask = dropout(x, config.dropout, rng), causal_mask(ids.shape[1])
    y = stacked(g, record=seen)
    if record is not None:
        record.update(seen)
    return linear(y, params["table"].T if config.tied_output else params["output"])


@TRANSFORMER_LM.alternative
def dropped_by_coins(params, config, ids, rng=None, record=None):
    g = given_to_transformer_lm(params, config, ids, rng, record)
    g.x, g.mask = embed_tokens(params, config, ids), causal_mask(ids.shape[1])
    if rng is not None:
        g.x = np.where(rng.binomial(1, config.dropout, g.x.shape), 0, g.x / (1 - config.dropout))
    return linear(stacked(g), g.W)


# ---- next_token_pair ----------------------------------------------------------------------------------------------

def next_token_inputs():
    axes = ("n_rows T", "n_rows T")
    return [
        Case("the example of the text", (np.arange(5, 15), 4), axes=axes),
        Case("12 ids in rows of 4: the last row has no last label", (np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]), 4),
             axes=axes),
        Case("13 ids in rows of 4: just enough", (np.array([2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9]), 4), axes=axes),
        Case("a single row, just long enough", (np.array([6, 0, 6, 3, 1, 0]), 5), axes=axes),
        Case("rows of one token", (np.array([7, 7, 0, 9, 4]), 1), axes=axes),
        Case("as many rows as tokens in each, and two left over", (np.array([1, 6, 1, 8, 0, 3, 3, 9, 8, 8, 7, 4]), 3),
             axes=axes),
        Case("int32, every second id of a longer array", (np.arange(60, 20, -1, dtype=np.int32)[::2], 6), axes=axes),
    ]


def judge_next_token_pair(case, output):
    if isinstance(output, list):
        return Difference(f"expected a tuple of 2, got a list of {len(output)}")
    return NEXT_TOKEN_PAIR.compare_with_reference(case, output)


NEXT_TOKEN_PAIR = Exercise(next_token_pair, next_token_inputs, call=lambda f, case: whole_numbers(f(*case.args)),
                           judge=judge_next_token_pair)

LAST_LABEL_LOST = ("You cut rows of length + 1 that share nothing, and the last label of a row is never given to the "
                   "next. The next row begins with it: step on by length, not by length + 1.")
EVERY_POSITION = ("A row begins at every position, so that every token is given many times. Rows stand one after the "
                  "other: the next one begins `length` further on.")
NO_LABEL_FOR_THE_LAST = ("Where the stream is a multiple of length, the last token has no label, and the last row is "
                         "not complete. The rows must leave one id over for it: (N - 1) // length of them.")
ONE_ROW_TOO_FEW = ("The last row is missing where the stream just suffices. n rows need n * length + 1 ids, so there "
                   "are (N - 1) // length.")
BY_COLUMNS = ("The stream runs down the columns. A row is a piece of the text: `reshape(n_rows, length)`, and no "
              "transpose.")
SAME_TWICE = ("Both are the same: the model would be asked for the very token that it is given. The labels begin one "
              "id later in the stream.")
LABELS_OF_A_ROW = ("The rows have lost a token each. All `length` tokens of a row have a label; that of the last one "
                   "is the first token of the next row.")
ROLLED = ("`np.roll` brings what leaves at one end back in at the other: a last label is a token from the front. Take "
          "the labels from the stream, one id further on.")
UNEVEN_ROWS = "The last row is shorter than the others, and no array can hold it. It is left out."
FILLED_UP = ("The last row is filled up with padding. Asked for are rows as many as there are with all of their "
             "labels; the rest is left out.")
THESE_ARE_LISTS = "These are lists. Asked for are two arrays, (n_rows, length)."
ONE_LABEL = "Each row has one label only. Every token has one of its own, the id that comes next in the stream."
NEXT_ROW = ("The labels begin a whole row further on. The label of a token is the very next id: they begin one id "
            "later in the stream.")
MADE_UP = ("The last label of each row is made up. It is in the stream, as all others: the id that comes next, with "
           "which the next row begins.")
WHOLE_NUMBER_OF_ROWS = "`/` makes a fraction. A number of rows is whole: `//`."


def rows_of(ids, length):
    """As many whole rows as there are."""
    n_rows = len(ids) // length
    return ids[:n_rows * length].reshape(n_rows, length)


def right_pair(stream, length):
    return next_token_pair(stream, length)


def with_rows(n_rows):
    """An answer with another number of rows."""
    def pair(stream, length):
        n = n_rows(len(stream), length)
        return stream[:n * length].reshape(n, length), stream[1:n * length + 1].reshape(n, length)
    return pair


def with_any_rows(n_rows):
    """The same, but NumPy counts the rows."""
    def pair(stream, length):
        n = n_rows(len(stream), length) * length
        return stream[:n].reshape(-1, length), stream[1:n + 1].reshape(-1, length)
    return pair


def from_starts(starts):
    """An answer that cuts a row at each start."""
    def pair(stream, length):
        each = starts(len(stream), length)
        return (np.array([stream[i:i + length] for i in each]), np.array([stream[i + 1:i + 1 + length] for i in each]))
    return pair


def changed(change):
    """An answer that does something to the right rows."""
    return lambda stream, length: change(*right_pair(stream, length))


def windows(stream, length):
    return np.lib.stride_tricks.sliding_window_view(stream, length)


def with_last(inputs, filler):
    """What follows each token in its row, and a filler after the last."""
    return np.pad(inputs[:, 1:], ((0, 0), (0, 1)), constant_values=filler)


def padded(stream, length, filler):
    full = np.concatenate([stream, np.full(-(len(stream) - 1) % length, filler)])
    return with_rows(lambda N, T: (N - 1) // T)(full, length)


for name, sentence, pair in (
        ("rows_that_do_not_share", LAST_LABEL_LOST, lambda stream, length: (
            rows_of(stream, length + 1)[:, :-1], rows_of(stream, length + 1)[:, 1:])),
        ("steps_of_length_and_one", LAST_LABEL_LOST, from_starts(lambda N, T: range(0, N - T, T + 1))),
        ("windows", EVERY_POSITION, lambda stream, length: (windows(stream[:-1], length), windows(stream[1:], length))),
        ("cut_at_every_position", EVERY_POSITION, from_starts(lambda N, T: range(N - T - 1))),
        ("windows_that_share_more", "A row begins before the one in front of it is over. Two rows share one id only, "
         "the last label of the first: the next one begins `length` further on.",
         from_starts(lambda N, T: range(0, N - T, max(1, T - 1)))),
        ("not_shifted", SAME_TWICE, lambda stream, length: (rows_of(stream, length), rows_of(stream, length))),
        ("inputs_twice", SAME_TWICE, changed(lambda inputs, labels: (inputs, inputs.copy()))),
        ("labels_twice", SAME_TWICE, changed(lambda inputs, labels: (labels, labels.copy()))),
        ("counted_on", "You add 1 to the ids. In the example that is the id that comes next; in a text it is not: the "
         "labels stand one place further on.", changed(lambda inputs, labels: (inputs, inputs + 1))),
        ("exchanged", "The two have changed places: first what the model is given; then what comes next.",
         changed(lambda inputs, labels: (labels, inputs))),
        ("as_many_as_fit", NO_LABEL_FOR_THE_LAST, with_rows(lambda N, T: N // T)),
        ("as_many_as_fit_counted", NO_LABEL_FOR_THE_LAST, with_any_rows(lambda N, T: N // T)),
        ("cut_as_many_as_fit", NO_LABEL_FOR_THE_LAST, from_starts(lambda N, T: range(0, N - T + 1, T))),
        ("each_cut_by_itself", "Where the stream is a multiple of length, you have one row of inputs more than of "
         "labels. A row without its last label is left out.",
         lambda stream, length: (rows_of(stream, length), rows_of(stream[1:], length))),
        ("one_row_too_few", ONE_ROW_TOO_FEW, with_rows(lambda N, T: (N - 2) // T)),
        ("one_row_too_few_cut", ONE_ROW_TOO_FEW, from_starts(lambda N, T: range(0, N - T - 1, T))),
        ("always_one_row_too_few", "The last row is missing. There are (N - 1) // length rows, which count from 0 to "
         "one less than that.", with_rows(lambda N, T: (N - 1) // T - 1)),
        ("less_one_after_the_division", "A row is missing where something is left over. Take one id off first, and "
         "then divide: (N - 1) // length.", with_rows(lambda N, T: N // T - 1)),
        ("as_if_nothing_were_shared", "Rows are missing: you count as if each took length + 1 ids for itself. Two of "
         "them share one, so n rows need n * length + 1.", with_rows(lambda N, T: N // (T + 1))),
        ("one_row", "There is only one row. Asked for are as many as the stream has, one after the other.",
         with_rows(lambda N, T: 1)),
        ("always_two_rows", "There are always two rows, as in the example. How many there are follows from the stream.",
         with_rows(lambda N, T: 2)),
        ("rows_of_4", "A row always has 4 ids, as in the example. `length` says how many.",
         lambda stream, length: right_pair(stream, 4)),
        ("one_row_too_many", "There is one row more than the stream has labels for. (N - 1) // length is the number.",
         with_rows(lambda N, T: (N - 1) // T + 1)),
        ("length_for_n_rows", "`length` is the number of columns, not of rows: `reshape(n_rows, length)`.",
         lambda stream, length: tuple(x.reshape(x.shape[::-1]) for x in right_pair(stream, length))),
        ("down_the_columns", BY_COLUMNS, lambda stream, length: tuple(
            x.ravel().reshape(x.shape, order="F") for x in right_pair(stream, length))),
        ("columns_for_rows", BY_COLUMNS, changed(lambda inputs, labels: (inputs.T, labels.T))),
        ("not_in_rows", "Both are one long row. Cut them: `reshape(n_rows, length)`.",
         changed(lambda inputs, labels: (inputs.ravel(), labels.ravel()))),
        ("the_whole_stream", "These are the stream without its last id and without its first, in one long row each. "
         "Cut them into rows of `length`.", lambda stream, length: (stream[:-1], stream[1:])),
        ("not_cut_to_size", "What is left at the end does not fill a row, and `reshape` refuses. Take the first "
         "n_rows * length ids.", lambda stream, length: (
             stream[:-1].reshape(-1, length), stream[1:].reshape(-1, length))),
        ("not_cut_to_size_but_counted", "What is left at the end does not fill a row, and `reshape` refuses. Take the "
         "first n_rows * length ids.", lambda stream, length: tuple(
             x.reshape((len(stream) - 1) // length, length) for x in (stream[:-1], stream[1:]))),
        ("labels_within_the_row", LABELS_OF_A_ROW, lambda stream, length: (
            rows_of(stream, length)[:, :-1], rows_of(stream, length)[:, 1:])),
        ("labels_within_the_right_rows", LABELS_OF_A_ROW, changed(lambda inputs, labels: (
            inputs[:, :-1], inputs[:, 1:]))),
        ("inputs_kept_whole", "The labels have one column less than the inputs. The last token of a row has a label, "
         "too: the first of the next row.", changed(lambda inputs, labels: (inputs, inputs[:, 1:]))),
        ("next_row_as_label", NEXT_ROW, lambda stream, length: (
            rows_of(stream, length)[:-1], rows_of(stream, length)[1:])),
        ("a_row_further_on", NEXT_ROW, lambda stream, length: (
            right_pair(stream, length)[0], stream[length:].reshape(-1, length))),
        ("a_row_further_on_and_counted", NEXT_ROW, lambda stream, length: tuple(
            stream[start:start + n].reshape(n // length, length) for start, n in (
                (0, (len(stream) - 1) // length * length), (length, (len(stream) - 1) // length * length)))),
        ("last_label_0", MADE_UP, changed(lambda inputs, labels: (inputs, with_last(inputs, 0)))),
        ("last_label_minus_1", MADE_UP, changed(lambda inputs, labels: (inputs, with_last(inputs, -1)))),
        ("rolled_in_the_row", ROLLED, changed(lambda inputs, labels: (inputs, np.roll(inputs, -1, axis=1)))),
        ("rolled", ROLLED, changed(lambda inputs, labels: (inputs, np.roll(inputs, -1)))),
        ("rolled_whole", ROLLED, lambda stream, length: (
            rows_of(stream, length), np.roll(rows_of(stream, length), -1))),
        ("rolled_stream", ROLLED, lambda stream, length: (
            rows_of(stream, length), rows_of(np.roll(stream, -1), length))),
        ("rolled_whole_rows", ROLLED, lambda stream, length: (
            rows_of(stream, length), np.roll(rows_of(stream, length), -1, axis=1))),
        ("rolled_forwards", "The labels are the tokens that came before. They come one id later in the stream, not "
         "earlier.", changed(lambda inputs, labels: (inputs, np.roll(inputs, 1)))),
        ("two_ahead", "The labels are two ids ahead. The label of a token is the very next id.",
         lambda stream, length: tuple(rows_of(x, length)[:(len(stream) - 2) // length]
                                      for x in (stream[:-1], stream[2:]))),
        ("rest_in_front", "You leave out what is too much at the front of the stream. The rows begin with its first "
         "id; the rest at the end is left out.", lambda stream, length: right_pair(
             stream[(len(stream) - 1) % length:], length)),
        ("uneven", UNEVEN_ROWS, from_starts(lambda N, T: range(0, N, T))),
        ("uneven_labels", UNEVEN_ROWS, from_starts(lambda N, T: range(0, N - 1, T))),
        ("uneven_lists", UNEVEN_ROWS, lambda stream, length: (
            [stream[i:i + length] for i in range(0, len(stream) - 1, length)],
            [stream[i + 1:i + 1 + length] for i in range(0, len(stream) - 1, length)])),
        ("filled_with_0", FILLED_UP, lambda stream, length: padded(stream, length, 0)),
        ("filled_with_minus_100", FILLED_UP, lambda stream, length: padded(stream, length, -100)),
        ("resized", "`np.resize` fills up a short row with the stream's first ids. Asked for are rows as many as there "
         "are with all of their labels.", lambda stream, length: tuple(
             np.resize(x, (-(-len(x) // length), length)) for x in (stream[:-1], stream[1:]))),
        ("last_label_only", ONE_LABEL, changed(lambda inputs, labels: (inputs, labels[:, -1]))),
        ("last_label_with_its_axis", ONE_LABEL, changed(lambda inputs, labels: (inputs, labels[:, -1:]))),
        ("a_fraction_of_rows", WHOLE_NUMBER_OF_ROWS, with_rows(lambda N, T: (N - 1) / T)),
        ("not_taken_apart", "These are rows of length + 1, inputs and labels in one. Take them apart: all columns but "
         "the last are the inputs, all but the first the labels.", lambda stream, length: (
             windows(stream, length + 1)[::length].copy())),
        ("stacked", "The two are stacked into one array. Asked for is a tuple of two: `return inputs, labels`.",
         changed(lambda inputs, labels: np.stack([inputs, labels]))),
        ("a_list", "Asked for is a tuple: two values with a comma between them, and no square brackets.",
         changed(lambda inputs, labels: [inputs, labels])),
        ("inputs_only", "Only the inputs come back. Asked for are both, `(inputs, labels)`.",
         changed(lambda inputs, labels: inputs)),
        ("labels_only", "Only the labels come back. Asked for are both, `(inputs, labels)`.",
         changed(lambda inputs, labels: labels)),
        ("pairs", "These are pairs of rows, one for each place. Asked for are two arrays: all inputs, and all labels.",
         changed(lambda inputs, labels: list(zip(inputs, labels, strict=True)))),
        ("lists_of_rows", THESE_ARE_LISTS, changed(lambda inputs, labels: (list(inputs), list(labels)))),
        ("lists_of_lists", THESE_ARE_LISTS, changed(lambda inputs, labels: (inputs.tolist(), labels.tolist()))),
        ("made_float", "Ids are whole numbers, and yours have become fractions. `np.zeros` and `np.empty` are float64 "
         "unless you name a dtype.", changed(lambda inputs, labels: (inputs.astype(float), labels.astype(float))))):
    pair.__name__ = name
    NEXT_TOKEN_PAIR.mistake(sentence)(pair)


@NEXT_TOKEN_PAIR.alternative
def row_by_row(stream, length):
    starts = range(0, len(stream) - length, length)
    return np.array([stream[i:i + length] for i in starts]), np.stack([stream[i + 1:i + 1 + length] for i in starts])


@NEXT_TOKEN_PAIR.alternative
def by_places(stream, length):
    place = np.arange((len(stream) - 1) // length)[:, None] * length + np.arange(length)
    return stream[place], np.take(stream, place + 1)


@NEXT_TOKEN_PAIR.alternative
def windows_of_one_more(stream, length):
    rows = windows(stream, length + 1)[::length]
    return Pair(rows[:, :-1], rows[:, 1:])


Pair = namedtuple("Pair", ["inputs", "labels"])


@NEXT_TOKEN_PAIR.alternative
def cut_and_resized(stream, length):
    kept = (len(stream) - 1) // length * length
    inputs, labels = np.delete(stream, -1)[:kept], np.roll(stream, -1)[:kept]
    return np.resize(inputs, (kept // length, length)), labels.reshape(-1, length).copy()


@NEXT_TOKEN_PAIR.alternative
def into_empty_arrays(stream, length):
    n_rows = -(-len(stream) // length) - 1
    inputs, labels = np.empty((n_rows, length), np.uint16), np.empty((n_rows, length), np.int64)
    for row in range(n_rows):
        for t in range(length):
            inputs[row, t], labels[row, t] = stream[row * length + t], stream[row * length + t + 1]
    return inputs, labels


# ---- perplexity ---------------------------------------------------------------------------------------------------

def perplexity_inputs():
    example = np.log([[0.25, 0.5, 0.125, 0.125], [0.5, 0.125, 0.25, 0.125]])
    return [
        Case("the example of the text: shares of 1/2 and 1/8", (example, np.array([1, 3]))),
        Case("a batch with padding; B=2, T=4, n_vocab=5",
             (normal(2, 4, 5, seed=1), np.array([[3, 1, 2, 4], [2, 0, 0, 0]])), {"ignore_id": 0}),
        Case("a batch in which every token counts; B=3, T=2, n_vocab=4",
             (normal(3, 2, 4, seed=2), np.array([[0, 3], [3, 0], [1, 1]]))),
        Case("a model that knows nothing, n_vocab=6", (np.zeros((4, 6)), np.array([5, 0, 2, 2]))),
        Case("a model that is nearly sure, large logits",
             (np.array([[1000.0, 1004.0, 998.0], [-1000.0, -1006.0, -1007.0]]), np.array([1, 0]))),
        Case("padding with another id; B=3, T=2, n_vocab=6",
             (normal(3, 2, 6, seed=3), np.array([[5, 1], [0, 5], [5, 5]])), {"ignore_id": 5}),
        Case("float32, transposed views, padding",
             (normal(5, 4, 2, seed=5, dtype=np.float32).T, np.array([[3, 1], [2, 0], [4, 0], [1, 0]], np.int32).T),
             {"ignore_id": 0}),
    ]


def run_perplexity(f, case):
    """f's number, of whatever type it is: in the precision of the logits."""
    result = f(*case.args, **case.options)
    is_number = isinstance(result, (int, float, np.integer, np.floating)) or (
        isinstance(result, np.ndarray) and result.ndim == 0 and result.dtype.kind in "iuf")
    return case.args[0].dtype.type(result) if is_number else result


PERPLEXITY = Exercise(perplexity, perplexity_inputs, call=run_perplexity)


def given_to_perplexity(logits, targets, ignore_id=None):
    return SimpleNamespace(logits=logits, targets=targets, ignore_id=ignore_id)


def mean_of_rows(g, of=lambda x: x):
    """For each row of the batch what `of` makes of the mean surprise of what counts in it; then the mean of all."""
    rows = zip(*(np.atleast_2d(x) for x in (g.surprise, g.counts)), strict=True)
    return np.mean([of(np.mean(surprise[counts])) for surprise, counts in rows if counts.any()])


wrong_perplexity = mistakes_in_steps(PERPLEXITY, given_to_perplexity, {
    "surprise": lambda g: -of_targets(log_softmax(g.logits), g.targets),
    "counts": lambda g: g.targets != g.ignore_id,
    "loss": lambda g: np.mean(g.surprise[g.counts]),
    "result": lambda g: np.exp(g.loss)})

LOGITS_AS_THEY_ARE = ("`cross_entropy` takes logits, and makes the logarithms of shares itself. Give it the logits as "
                      "they are.")
NOT_THE_MEAN_OF_NUMBERS = ("You turn each surprise into a number of tokens, and take the mean of these. First the mean "
                           "of the surprises, then e to its power: 4 in the example, not 5.")
PADDING_COUNTS = "Padding counts. Hand on `ignore_id` to `cross_entropy`."
ALL_TOKENS_ALIKE = ("Each row counts the same, however many tokens it has. Take one mean over all tokens that count, "
                    "as `cross_entropy` does.")
IN_BITS = "This is a power of 2. Here surprises are in nats, by the natural logarithm: `np.exp` turns them around."
ONE_NUMBER = "Asked for is one number, for all tokens together: e to the power of their mean surprise."

wrong_perplexity("the_loss", "This is the loss itself, the mean surprise. Perplexity is e to that power: `np.exp`.",
                 result=lambda g: g.loss)
wrong_perplexity("power_of_2", IN_BITS, result=lambda g: 2 ** g.loss)
wrong_perplexity("exp2", IN_BITS, result=lambda g: np.exp2(g.loss))
wrong_perplexity("power_of_10", "This is a power of 10. The surprise is measured by the natural logarithm: `np.exp` "
                 "turns it around.", result=lambda g: 10 ** g.loss)
wrong_perplexity("bits_in_exp", "The loss is turned into bits, and then e is taken to its power. In nats, as "
                 "`cross_entropy` gives it, it is right.", result=lambda g: np.exp(g.loss / math.log(2)))
wrong_perplexity("mean_of_exps", NOT_THE_MEAN_OF_NUMBERS, result=lambda g: np.mean(np.exp(g.surprise[g.counts])))
wrong_perplexity("mean_of_exps_with_padding", NOT_THE_MEAN_OF_NUMBERS, result=lambda g: np.mean(np.exp(g.surprise)))
wrong_perplexity("row_by_row", NOT_THE_MEAN_OF_NUMBERS, result=lambda g: np.mean(
    [np.exp(cross_entropy(*row, g.ignore_id)) for row in zip(g.logits, g.targets, strict=True)]))
wrong_perplexity("one_over_the_mean_share", "You divide 1 by the mean share of the right tokens. It is the surprises, "
                 "the logarithms, whose mean is taken.", result=lambda g: 1 / np.mean(np.exp(-g.surprise[g.counts])))
wrong_perplexity("exp_of_the_sum", "You add up the surprises. It is their mean that is turned around: the perplexity "
                 "of a long text is not larger than that of a short one.",
                 result=lambda g: np.exp(np.sum(g.surprise[g.counts])))
wrong_perplexity("sign", "The sign is turned: this is the share that the right tokens have, in the mean. A perplexity "
                 "is at least 1; the loss is a surprise already, so no minus.", result=lambda g: np.exp(-g.loss))
wrong_perplexity("logarithm", "A logarithm comes in where a power of e is wanted: `np.exp`.",
                 result=lambda g: np.log(g.loss))
wrong_perplexity("less_one", "One is missing: `np.expm1` takes 1 off. Use `np.exp`.", result=lambda g: np.expm1(g.loss))
wrong_perplexity("times_e", "You multiply by e. The loss is the power to which e is taken: `np.exp`.",
                 result=lambda g: math.e * g.loss)
wrong_perplexity("square", "The loss is the base, and e the power. It is the other way round: `np.exp`.",
                 result=lambda g: g.loss ** math.e)
wrong_perplexity("loss_squared", "The loss is squared. It is the power to which e is taken: `np.exp`.",
                 result=lambda g: g.loss ** 2)
wrong_perplexity("median", "This is the median of the surprises. The mean is what is turned around.",
                 loss=lambda g: np.median(g.surprise[g.counts]))
wrong_perplexity("padding", PADDING_COUNTS, counts=lambda g: np.ones(g.targets.shape, bool))
wrong_perplexity("divided_by_all", "What does not count is left out of the sum, but you divide by all. Divide by the "
                 "number of tokens that count, or leave it to `cross_entropy`.",
                 loss=lambda g: np.sum(g.surprise * g.counts) / g.targets.size)
wrong_perplexity("always_0", "0 is always taken for padding. The caller says which id does not count, if any: "
                 "`ignore_id`.", counts=lambda g: g.targets != 0)
wrong_perplexity("ignore_id_as_smoothing", "`ignore_id` has got into another place. `cross_entropy(logits, targets, "
                 "ignore_id)` takes it third; by name it cannot go wrong.",
                 result=lambda g: np.exp(cross_entropy(g.logits, g.targets, None, g.ignore_id)))
wrong_perplexity("label_smoothing", "The labels are smoothed. That is for training; here it is asked how surprised the "
                 "model is at the right tokens alone.",
                 result=lambda g: np.exp(cross_entropy(g.logits, g.targets, g.ignore_id, 0.1)))
wrong_perplexity("targets_first", "The arguments have changed places: `cross_entropy` takes the logits first.",
                 result=lambda g: np.exp(cross_entropy(g.targets, g.logits, g.ignore_id)))
wrong_perplexity("mean_of_rows_first", ALL_TOKENS_ALIKE, loss=mean_of_rows)
wrong_perplexity("mean_over_rows", ALL_TOKENS_ALIKE, result=lambda g: mean_of_rows(g, np.exp))
wrong_perplexity("for_each_token", ONE_NUMBER, result=lambda g: np.exp(g.surprise))
wrong_perplexity("for_each_token_that_counts", ONE_NUMBER, result=lambda g: np.exp(g.surprise[g.counts]))
wrong_perplexity("for_each_row", ONE_NUMBER, result=lambda g: np.exp(np.mean(g.surprise, axis=-1)))
wrong_perplexity("in_an_array", ONE_NUMBER, result=lambda g: np.exp([g.loss]))
wrong_perplexity("shares_for_logits", LOGITS_AS_THEY_ARE, result=lambda g: np.exp(
    cross_entropy(softmax(g.logits), g.targets, g.ignore_id)))
wrong_perplexity("powers_for_logits", LOGITS_AS_THEY_ARE, result=lambda g: np.exp(
    cross_entropy(np.exp(g.logits), g.targets, g.ignore_id)))
wrong_perplexity("turned_twice", "You take e to the power of the perplexity once more. Once is right.",
                 result=lambda g: np.exp(np.exp(g.loss)))
for name, of in (("", lambda g: g.counts), ("_with_padding", lambda g: ...)):
    wrong_perplexity(f"uncertainty{name}", "This is the model's own uncertainty, over all tokens. What counts is how "
                     "surprised it is at the right ones, the targets: `cross_entropy`.",
                     result=lambda g, of=of: np.exp(np.mean(
                         -np.sum(softmax(g.logits) * log_softmax(g.logits), axis=-1)[of(g)])))
wrong_perplexity("accuracy", "This is the share of tokens that the model gets right. Asked for is e to the power of "
                 "its mean surprise.", result=lambda g: np.mean((g.logits.argmax(-1) == g.targets)[g.counts]))
wrong_perplexity("divided_by_n_vocab", "You divide by the number of tokens there are. The number between which the "
                 "model hesitates is asked for as it is.", result=lambda g: np.exp(g.loss) / g.logits.shape[-1])
wrong_perplexity("whole_number", "You round. Between how many tokens a model hesitates may be a fraction.",
                 result=lambda g: round(float(np.exp(g.loss))))
wrong_perplexity("rounded", "You round. Return the number as it is.", result=lambda g: np.exp(g.loss).round(2))
wrong_perplexity("by_naive_shares", "Your own exponentials overflow for large logits. `cross_entropy` subtracts the "
                 "largest one first.", surprise=lambda g: -np.log(of_targets(
                     np.exp(g.logits) / np.exp(g.logits).sum(-1, keepdims=True), g.targets)))
wrong_perplexity("loss_as_well", "Two things come back. Return the perplexity alone.",
                 result=lambda g: (np.exp(g.loss), g.loss))


@PERPLEXITY.alternative
def by_math(logits, targets, ignore_id=None):
    return math.exp(cross_entropy(logits, targets, ignore_id=ignore_id))


@PERPLEXITY.alternative
def as_a_power_of_e(logits, targets, ignore_id=None):
    return np.e ** cross_entropy(logits, targets, ignore_id, 0.0)


@PERPLEXITY.alternative
def in_bits(logits, targets, ignore_id=None):
    return 2 ** (cross_entropy(logits, targets, ignore_id) / np.log(2))


@PERPLEXITY.alternative
def geometric_mean_of_shares(logits, targets, ignore_id=None):
    shares = of_targets(softmax(logits), targets)[targets != ignore_id]
    return 1 / np.prod(shares) ** (1 / len(shares))


@PERPLEXITY.alternative
def token_by_token(logits, targets, ignore_id=None):
    surprises = [-log_softmax(logits[place])[targets[place]] for place in np.ndindex(targets.shape)
                 if targets[place] != ignore_id]
    return float(np.exp(sum(surprises) / len(surprises)))


@PERPLEXITY.alternative
def in_float64(logits, targets, ignore_id=None):
    return np.float64(np.exp(float(cross_entropy(logits, targets, ignore_id))))


@PERPLEXITY.alternative
def by_weights(logits, targets, ignore_id=None):
    counts = np.where(targets == ignore_id, 0.0, 1.0) if ignore_id is not None else np.ones(targets.shape)
    return np.array(np.exp(np.sum(-of_targets(log_softmax(logits), targets) * counts) / np.sum(counts)))


# ---- top_k --------------------------------------------------------------------------------------------------------

FEW_VALUES = np.array([0.5, 2.0, 1.0, 2.0, -1.0, 1.0, 0.5, 2.0, 1.0, 1.0, 0.5, -1.0])


def of_few_values():
    """Two rows of 36 logits, of which many are equal."""
    return np.stack([np.tile(FEW_VALUES, 3), np.tile(FEW_VALUES[::-1], 3)])


def top_k_inputs():
    some = normal(3, 6, seed=1)
    return [
        Case("the example of the text", (np.array([1.0, 3.0, 2.0, 3.0]), 2), axes="n_vocab"),
        Case("three rows", (some, 2), axes="B n_vocab"),
        Case("equal logits, of which not all can stay",
             (np.array([[1.0, 2.0, 2.0, 0.5, 2.0], [3.0, 3.0, 3.0, 3.0, 3.0], [-1.0, -4.0, -4.0, -4.0, -1.0]]), 3),
             axes="B n_vocab"),
        Case("negative logits, k=1", (np.array([[-3.0, -1.0, -2.0], [-0.5, -7.0, -0.25]]), 1), axes="B n_vocab"),
        Case("k is n_vocab", (np.array([[0.5, -2.0, 0.0, 2.0], [1.0, 1.0, 3.0, -1.0]]), 4), axes="B n_vocab"),
        Case("k is larger than n_vocab", (normal(2, 4, seed=2), 6), axes="B n_vocab"),
        Case("tokens that are out already, -inf", (np.array([[-np.inf, 2.0, 0.0, 1.0, -1.0],
                                                            [0.0, -np.inf, -np.inf, -2.0, -np.inf]]), 3),
             axes="B n_vocab"),
        Case("many tokens, few different logits", (of_few_values(), 11), axes="B n_vocab"),
        Case("float32, a transposed view, two leading axes", (normal(5, 3, 2, seed=3, dtype=np.float32).T, 2),
             axes="B T n_vocab"),
    ]


TOP_K = Exercise(top_k, top_k_inputs)

TIES_STAY = ("You keep whatever is as large as the k-th, and of equal logits too many stay. Exactly k are kept, and of "
             "equal ones those with the smaller id: compare ranks, not logits.")
ABOVE_THE_KTH = ("The k-th largest logit goes as well: only what is larger stays. And with equal logits a threshold "
                 "cannot work: compare ranks.")
LARGER_IDS = ("Of equal logits you keep those with the larger id. Ascending order turned around turns equal ones "
              "around as well. `rank` has the right order.")
UNSTABLE = ("Of equal logits, some that stay have a larger id than some that go. `np.argsort` keeps their order only "
            "with `kind=\"stable\"`, and `np.argpartition` never; `rank` does.")
PARTITION = ("`np.argpartition` keeps any of equal logits, and refuses where k is n_vocab or more. `rank` gives every "
             "token its place.")
ONE_MORE = "One too many is kept. Ranks count from 0: those of the first k are 0 to k - 1."
ONE_LESS = "One too few is kept. Ranks count from 0: those of the first k are 0 to k - 1."
OTHER_WAY_ROUND = "It is the other way round: the k largest are kept, and the others become -inf."
MINUS_INFINITY = "What is not kept is `-np.inf`: after softmax, exactly 0. A zero is a logit like any other."
NO_SMALL_NUMBER = "What is not kept is `-np.inf`, not a very small number: after softmax its share is exactly 0."
SHARES_RETURNED = "These are shares. Asked for are the logits as they came in, and -inf: whoever draws makes shares."
ORDER_NOT_UNDONE = ("The logits come back sorted, and a logit has lost its token. Each stays at its own id: `rank` "
                    "says how likely it is, and moves nothing.")
ROWS_FOR_TOKENS = ("This works for a single row. With more axes, an index by itself takes rows, not tokens. `rank` "
                   "works along the last axis, whatever is in front.")
ANY_AXES = ("This takes two axes for granted, rows and tokens. There may be one, or three: the tokens lie along the "
            "last one, whatever is in front.")
ALL_ROWS_TOGETHER = "The rows compete with each other. Each row keeps its own: work along the last axis."
FIRST_AXIS = "You compare the rows with each other, token by token. The tokens of a row lie along the last axis."
PLACES_NOT_RANKS = ("You take ids for ranks, or ranks for ids. `np.argsort` says which id stands at a place of the "
                    "sorted list; `rank`, at which place an id stands.")
RANKS_CUT = ("`[:k]` cuts off the ranks of the first k ids. Every token has a rank: the k likeliest have the smallest "
             "ones, wherever they stand.")
OTHERS_LOGITS = ("The right ids are kept, with the logits of others. Each token keeps its own: `np.where` takes it "
                 "from the same place of `logits`.")
RANK_NOT_CALLED = "`rank` is a function, and you compare the function itself. Call it: `rank(logits)`."
THREE_FOR_WHERE = ("`np.where` takes three things here: the condition, what stands where it is true, and what stands "
                   "elsewhere.")
NO_TRUTH = "An array has no single truth value, and `if` wants one. `np.where` chooses place by place."
KEPT_ALONE = "Only what is kept comes back. Asked for is the same shape: the others are `-np.inf`."
K_MAY_BE_LARGE = "k may be larger than the number of tokens. Then all of them are kept."
PUT_RETURNS_NOTHING = ("`np.put_along_axis` writes into the array it is given, and returns None. Return the array.")
INPUT_CHANGED = ("You write into the logits of the caller, who still needs them. Make a new array: `np.where` does, or "
                 "a copy.")
TURNED_FLOAT64 = ("float32 became float64: `np.full` and `np.zeros` make float64 unless you name a dtype. "
                  "`np.where(..., logits, -np.inf)` leaves float32 as it is.")


def ids_down(logits, axis=-1):
    return np.argsort(-logits, axis=axis, kind="stable")


def kept_at(logits, ids, others=-np.inf, axis=-1):
    """The logits at these ids, along the axis."""
    kept = np.full_like(logits, others)
    np.put_along_axis(kept, ids, np.take_along_axis(logits, ids, axis=axis), axis=axis)
    return kept


def in_sorted_order(logits, kept):
    """What is kept, as a list from the largest down, with -inf behind it."""
    return np.take_along_axis(kept, ids_down(kept), axis=-1)


def largest_k(logits, k):
    return np.sort(logits, axis=-1)[..., ::-1][..., :k]


def k_of_rows(logits, k):
    """Right for one row of logits: what these lines do with more of them is another thing."""
    kept, order = np.full_like(logits, -np.inf), ids_down(logits)[:k]
    kept[order] = logits[order]
    return kept


def k_of_rows_at_the_end(logits, k):
    kept, order = np.full_like(logits, -np.inf), ids_down(logits)[..., :k]
    kept[order] = logits[order]
    return kept


def k_of_columns(logits, k):
    kept, order = np.full_like(logits, -np.inf), ids_down(logits)[..., :k]
    kept[..., order] = logits[..., order]
    return kept


def others_removed(logits, k):
    logits[ids_down(logits)[k:]] = -np.inf
    return logits


def removed_in_place(logits, k):
    np.put_along_axis(logits, ids_down(logits)[..., k:], -np.inf, axis=-1)
    return logits


def removed_in_place_by_value(logits, k):
    logits[logits < np.sort(logits, axis=-1)[..., -k, None]] = -np.inf
    return logits


def sorted_in_place(logits, k):
    logits.sort(axis=-1)
    return logits


def put_and_returned(logits, k):
    order, kept = ids_down(logits)[..., :k], np.full_like(logits, -np.inf)
    return np.put_along_axis(kept, order, np.take_along_axis(logits, order, axis=-1), axis=-1)


def row_after_row(logits, k):
    return np.array([top_k(row, k) for row in logits])


def removed_and_nothing_returned(logits, k):
    np.put_along_axis(logits, ids_down(logits)[..., k:], -np.inf, axis=-1)


def put_without_taking(logits, k):
    kept = np.full_like(logits, -np.inf)
    np.put_along_axis(kept, ids_down(logits)[..., :k], logits, axis=-1)
    return kept


def first_logits_put(logits, k):
    kept = np.full_like(logits, -np.inf)
    np.put_along_axis(kept, ids_down(logits)[..., :k], logits[..., :k], axis=-1)
    return kept


def k_refused(logits, k):
    assert k <= logits.shape[-1]
    return top_k(logits, k)


def in_a_loop_over_rows(logits, k):
    kept = logits.copy()
    for row in kept:
        row[np.argsort(-row, kind="stable")[k:]] = -np.inf
    return kept


def in_two_sizes(logits, k):
    B, n_vocab = logits.shape
    return top_k(logits.reshape(B, n_vocab), k)


def by_row_numbers(logits, k):
    rows, order, kept = np.arange(len(logits))[:, None], ids_down(logits)[..., :k], np.full_like(logits, -np.inf)
    kept[rows, order] = logits[rows, order]
    return kept


for name, sentence, wrong in (
        ("by_threshold", TIES_STAY, lambda logits, k: np.where(
            logits >= np.sort(logits, axis=-1)[..., -k, None], logits, -np.inf)),
        ("by_threshold_of_a_partition", TIES_STAY, lambda logits, k: np.where(
            logits >= np.partition(logits, -k, axis=-1)[..., -k, None], logits, -np.inf)),
        ("by_threshold_that_is_there", TIES_STAY, lambda logits, k: np.where(
            logits >= largest_k(logits, k)[..., -1:], logits, -np.inf)),
        ("above_threshold", ABOVE_THE_KTH, lambda logits, k: np.where(
            logits > largest_k(logits, k)[..., -1:], logits, -np.inf)),
        ("above_threshold_by_k", ABOVE_THE_KTH, lambda logits, k: np.where(
            logits > np.sort(logits, axis=-1)[..., -k, None], logits, -np.inf)),
        ("larger_ids", LARGER_IDS, lambda logits, k: kept_at(
            logits, np.argsort(logits, axis=-1, kind="stable")[..., -k:])),
        ("partition", PARTITION, lambda logits, k: kept_at(logits, np.argpartition(-logits, k, axis=-1)[..., :k])),
        ("partition_less_one", PARTITION, lambda logits, k: kept_at(
            logits, np.argpartition(-logits, k - 1, axis=-1)[..., :k])),
        ("partition_upwards", PARTITION, lambda logits, k: kept_at(
            logits, np.argpartition(logits, -k, axis=-1)[..., -k:])),
        ("partition_within_bounds", UNSTABLE, lambda logits, k: kept_at(logits, np.argpartition(
            -logits, min(k, logits.shape[-1]) - 1, axis=-1)[..., :k])),
        ("unstable", UNSTABLE, lambda logits, k: kept_at(logits, np.argsort(-logits, axis=-1)[..., :k])),
        ("unstable_and_turned", LARGER_IDS, lambda logits, k: kept_at(
            logits, np.argsort(logits, axis=-1)[..., ::-1][..., :k])),
        ("smallest", "You keep the k smallest. `rank(logits)` counts from the largest down; `np.argsort` by itself "
         "sorts upwards.", lambda logits, k: np.where(rank(-logits) < k, logits, -np.inf)),
        ("largest_taken_out", OTHER_WAY_ROUND, lambda logits, k: np.where(rank(logits) >= k, logits, -np.inf)),
        ("largest_and_one_taken_out", OTHER_WAY_ROUND, lambda logits, k: np.where(rank(logits) > k, logits, -np.inf)),
        ("one_more", ONE_MORE, lambda logits, k: np.where(rank(logits) <= k, logits, -np.inf)),
        ("one_less", ONE_LESS, lambda logits, k: np.where(rank(logits) < k - 1, logits, -np.inf)),
        ("one_of_them", "Only the token with rank k is kept. Asked for are the k likeliest: all ranks below k.",
         lambda logits, k: np.where(rank(logits) == k, logits, -np.inf)),
        ("last_of_them", "Only the k-th token is kept. Asked for are all that are as likely or likelier.",
         lambda logits, k: np.where(rank(logits) == k - 1, logits, -np.inf)),
        ("rank_of_a_comparison", "You compare the logits with k, inside the brackets of `rank`. It is the ranks that "
         "are compared.", lambda logits, k: np.where(rank(logits < k), logits, -np.inf)),
        ("rank_not_called", RANK_NOT_CALLED, lambda logits, k: np.where(rank < k, logits, -np.inf)),
        ("rank_with_k", "`rank` takes the logits alone. k is what its ranks are compared with.",
         lambda logits, k: np.where(rank(logits, k), logits, -np.inf)),
        ("ranks_as_truths", "A rank is a number, and any but 0 counts as true. Compare it with k.",
         lambda logits, k: np.where(rank(logits), logits, -np.inf)),
        ("ranks_cut", RANKS_CUT, lambda logits, k: np.where(rank(logits)[:k], logits, -np.inf)),
        ("ranks_cut_and_compared", RANKS_CUT, lambda logits, k: np.where(rank(logits)[..., :k] < k, logits, -np.inf)),
        ("ranks_cut_as_index", RANKS_CUT, lambda logits, k: logits[rank(logits)[:k]]),
        ("ranks_cut_alone", RANKS_CUT, lambda logits, k: rank(logits)[..., :k]),
        ("ranks_for_ids", PLACES_NOT_RANKS, lambda logits, k: kept_at(logits, rank(logits)[..., :k])),
        ("logits_of_others", OTHERS_LOGITS, lambda logits, k: np.where(
            rank(logits) < k, np.take_along_axis(logits, rank(logits), axis=-1), -np.inf)),
        ("ranks_returned", "These are ranks. Asked for are the logits, with -inf where nothing is kept.",
         lambda logits, k: np.where(rank(logits) < k, rank(logits), -np.inf)),
        ("where_of_one", THREE_FOR_WHERE, lambda logits, k: np.where(rank(logits) < k)),
        ("where_of_two", THREE_FOR_WHERE, lambda logits, k: np.where(rank(logits) < k, logits)),
        ("by_if", NO_TRUTH, lambda logits, k: logits if rank(logits) < k else -np.inf),
        ("kept_alone", KEPT_ALONE, lambda logits, k: logits[rank(logits) < k]),
        ("k_refused", K_MAY_BE_LARGE, k_refused),
        ("zeros", MINUS_INFINITY, lambda logits, k: kept_at(logits, ids_down(logits)[..., :k], 0)),
        ("times_a_mask", MINUS_INFINITY, lambda logits, k: logits * (rank(logits) < k)),
        ("plus_infinity", "What is not kept is `-np.inf`, with a minus: a logit of inf takes all.",
         lambda logits, k: kept_at(logits, ids_down(logits)[..., :k], np.inf)),
        ("nan", "What is not kept is `-np.inf`. With nan nothing can be computed any more.",
         lambda logits, k: kept_at(logits, ids_down(logits)[..., :k], np.nan)),
        ("minus_1e9", NO_SMALL_NUMBER, lambda logits, k: kept_at(logits, ids_down(logits)[..., :k], -1e9)),
        ("minus_1e10", NO_SMALL_NUMBER, lambda logits, k: kept_at(logits, ids_down(logits)[..., :k], -1e10)),
        ("smallest_number", NO_SMALL_NUMBER, lambda logits, k: kept_at(
            logits, ids_down(logits)[..., :k], np.finfo(logits.dtype).min)),
        ("shares", SHARES_RETURNED, lambda logits, k: softmax(top_k(logits, k))),
        ("shares_of_all", SHARES_RETURNED, lambda logits, k: top_k(softmax(logits), k)),
        ("shares_or_0", SHARES_RETURNED, lambda logits, k: np.where(
            np.isfinite(top_k(logits, k)), softmax(logits), 0)),
        ("logarithms", "These are logarithms of shares. Asked for are the logits as they came in.",
         lambda logits, k: log_softmax(top_k(logits, k))),
        ("logarithms_of_all", "These are logarithms of shares. Asked for are the logits as they came in.",
         lambda logits, k: top_k(log_softmax(logits), k)),
        ("sorted_", ORDER_NOT_UNDONE, lambda logits, k: in_sorted_order(logits, top_k(logits, k))),
        ("sorted_upwards", ORDER_NOT_UNDONE, lambda logits, k: np.sort(top_k(logits, k), axis=-1)),
        ("k_values", "Only k numbers a row come back. Asked for is the same shape: the others are `-np.inf`.",
         largest_k),
        ("k_ids", "These are the ids of the k largest. Asked for are logits of the same shape, -inf where not kept.",
         lambda logits, k: ids_down(logits)[..., :k]),
        ("a_mask", "These are True and False. Asked for are the logits, with -inf where nothing is kept.",
         lambda logits, k: rank(logits) < k),
        ("one_index", ROWS_FOR_TOKENS, k_of_rows),
        ("cut_by_rows", ROWS_FOR_TOKENS, lambda logits, k: kept_at(logits, ids_down(logits)[:k])),
        ("one_index_at_the_end", ROWS_FOR_TOKENS, k_of_rows_at_the_end),
        ("columns_of_all_rows", "A token that one row keeps is kept in all rows. Each row keeps its own: `rank` counts "
         "in every row for itself.", k_of_columns),
        ("rows_only", ANY_AXES, row_after_row),
        ("in_a_loop_over_rows", ANY_AXES, in_a_loop_over_rows),
        ("columns", ANY_AXES, lambda logits, k: kept_at(logits, ids_down(logits)[:, :k])),
        ("columns_unstable", ANY_AXES, lambda logits, k: kept_at(logits, np.argsort(-logits, axis=-1)[:, :k])),
        ("in_two_sizes", ANY_AXES, in_two_sizes),
        ("by_row_numbers", ANY_AXES, by_row_numbers),
        ("all_together", ALL_ROWS_TOGETHER, lambda logits, k: top_k(logits.reshape(-1), k).reshape(logits.shape)),
        ("all_together_by_threshold", ALL_ROWS_TOGETHER, lambda logits, k: np.where(
            logits >= np.sort(logits, axis=None)[-min(k, logits.size)], logits, -np.inf)),
        ("along_the_first_axis", FIRST_AXIS, lambda logits, k: np.moveaxis(
            top_k(np.moveaxis(logits, 0, -1), k), -1, 0)),
        ("along_axis_1", "You work along axis 1: the last one of a batch, but a single row has none, and more axes may "
         "stand in front. Count from the end: axis -1.", lambda logits, k: kept_at(
             logits, np.take(ids_down(logits, 1), range(min(k, logits.shape[1])), axis=1), axis=1)),
        ("places_for_ranks", PLACES_NOT_RANKS, lambda logits, k: np.where(ids_down(logits) < k, logits, -np.inf)),
        ("k_as_a_threshold", "k is a number of tokens, and you compare logits with it.",
         lambda logits, k: np.where(logits >= k, logits, -np.inf)),
        ("the_first_ids", "You keep the first k ids. Asked for are the k largest logits: sort first.",
         lambda logits, k: np.where(np.arange(logits.shape[-1]) < k, logits, -np.inf)),
        ("likeliest_only", "Only the likeliest token is kept. Asked for are k of them.",
         lambda logits, k: top_k(logits, 1)),
        ("nothing_put", PUT_RETURNS_NOTHING, put_and_returned),
        ("put_without_taking", "You put whole rows at the places of k tokens. `np.take_along_axis(logits, order, "
         "axis=-1)` reads what stands at these ids.", put_without_taking),
        ("first_logits_put", OTHERS_LOGITS, first_logits_put),
        ("removed_in_place", INPUT_CHANGED, removed_in_place),
        ("removed_and_nothing_returned", INPUT_CHANGED, removed_and_nothing_returned),
        ("removed_in_place_by_value", INPUT_CHANGED, removed_in_place_by_value),
        ("others_removed", INPUT_CHANGED, others_removed),
        ("sorted_in_place", INPUT_CHANGED, sorted_in_place),
        ("made_float64", TURNED_FLOAT64, lambda logits, k: top_k(logits, k).astype(np.float64)),
        ("list_of_rows", "This is a list. Asked for is an array of the same shape.",
         lambda logits, k: list(top_k(logits, k)))):
    wrong.__name__ = name
    TOP_K.mistake(sentence)(wrong)


@TOP_K.alternative
def largest_after_largest(logits, k):
    left, kept = logits.copy(), np.zeros(logits.shape, dtype=bool)
    for _ in range(min(k, logits.shape[-1])):
        best = np.where(kept, -np.inf, left).argmax(axis=-1)[..., None]
        np.put_along_axis(kept, best, True, axis=-1)
    return np.where(kept, logits, -np.inf)


@TOP_K.alternative
def at_the_ids(logits, k):
    return kept_at(logits, ids_down(logits)[..., :k])


@TOP_K.alternative
def by_ranks(logits, k):
    return logits + np.where(rank(logits) < k, 0, -np.inf).astype(logits.dtype)


@TOP_K.alternative
def others_by_ranks(logits, k):
    kept = logits.copy()
    kept[~(rank(logits) <= k - 1)] = -np.inf
    return kept


@TOP_K.alternative
def ranks_of_each_row(logits, k):
    def one(row):
        return np.where(np.isin(rank(row), range(k)), row, row.dtype.type("-inf"))
    return np.apply_along_axis(one, -1, logits)


@TOP_K.alternative
def others_overwritten(logits, k):
    kept = np.array(logits)
    np.put_along_axis(kept, ids_down(logits)[..., k:], -np.inf, axis=-1)
    return kept


@TOP_K.alternative
def by_pythons_sort(logits, k):
    def one(row):
        ids = sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
        return [x if i in ids else -np.inf for i, x in enumerate(row)]
    return np.apply_along_axis(one, -1, logits).astype(logits.dtype)


@TOP_K.alternative
def rows_in_a_loop(logits, k):
    rows = logits.reshape(-1, logits.shape[-1])
    kept = np.full(rows.shape, -np.inf, rows.dtype)
    for i, row in enumerate(rows):
        order = np.lexsort((np.arange(len(row)), -row))[:k]
        kept[i, order] = row[order]
    return kept.reshape(logits.shape)


@TOP_K.alternative
def by_counting(logits, k):
    ids = np.arange(logits.shape[-1])
    larger = (logits[..., None, :] > logits[..., :, None]).sum(axis=-1)
    equal_before = ((logits[..., None, :] == logits[..., :, None]) & (ids < ids[:, None])).sum(axis=-1)
    return np.where(larger + equal_before < k, logits, np.asarray(-np.inf, logits.dtype))


# ---- top_p --------------------------------------------------------------------------------------------------------

def top_p_inputs():
    out = -np.inf
    return [
        Case("the example of the text", (np.log([0.5, 0.25, 0.15, 0.1]), 0.6), axes="n_vocab"),
        Case("three rows, not sorted", (np.log([[0.1, 0.4, 0.05, 0.3, 0.15], [0.02, 0.03, 0.9, 0.01, 0.04],
                                                [0.2, 0.15, 0.15, 0.24, 0.26]]) + 1, 0.75), axes="B n_vocab"),
        Case("a token that reaches p by itself", (np.array([[0.0, 0.5, 6.0, -1.0], [-2.0, -3.0, -1.0, 4.0]]), 0.45),
             axes="B n_vocab"),
        Case("shares that reach p exactly", (np.array([[1.0, 1.0, 1.0, 1.0], [2.0, out, 2.0, out]]), 0.5),
             axes="B n_vocab"),
        Case("equal logits, of which not all are needed",
             (np.array([[1.0, 2.0, 2.0, 0.5, 2.0], [-1.0, -4.0, -1.0, -1.0, -4.0]]), 0.45), axes="B n_vocab"),
        Case("p = 1, which keeps all", (normal(20, 5, seed=1), 1), axes="B n_vocab"),
        Case("a small p", (normal(3, 5, seed=2), 0.01), axes="B n_vocab"),
        Case("tokens that are out already, -inf", (np.array([[out, 2.0, 0.0, 1.5, -1.0], [0.25, out, out, 0.0, out]]),
                                                   0.8), axes="B n_vocab"),
        Case("large logits", (np.array([[1000.0, 1001.0, 999.5, 1001.25], [-1000.0, -999.0, -1001.0, -998.0]]), 0.7),
             axes="B n_vocab"),
        Case("many tokens, few different logits", (of_few_values(), 0.4), axes="B n_vocab"),
        Case("float32, a transposed view, two leading axes", (normal(5, 3, 2, seed=3, dtype=np.float32).T, 0.6),
             axes="B T n_vocab"),
    ]


TOP_P = Exercise(top_p, top_p_inputs)


def given_to_top_p(logits, p):
    return SimpleNamespace(logits=logits, p=p)


def put(values, ids):
    """The same values, each at the id that stands at its place of the sorted list."""
    placed = np.zeros_like(values)
    np.put_along_axis(placed, ids, values, axis=-1)
    return placed


def counted(g):
    return np.sum(g.first, axis=-1, keepdims=True)


def along_the_first_axis(all_shares, g):
    order, keep = ids_down(g.logits, axis=0), np.zeros(g.logits.shape, dtype=bool)
    shares = np.take_along_axis(all_shares, order, axis=0)
    np.put_along_axis(keep, order, np.cumsum(shares, axis=0) - shares < g.p, axis=0)
    return np.where(keep, g.logits, -np.inf)


wrong_top_p = mistakes_in_steps(TOP_P, given_to_top_p, {
    "order": lambda g: ids_down(g.logits),
    "all_shares": lambda g: softmax(g.logits),
    "shares": lambda g: np.take_along_axis(g.all_shares, g.order, axis=-1),
    "reached": lambda g: np.cumsum(g.shares, axis=-1),
    "first": lambda g: g.reached - g.shares < g.p,
    "keep": lambda g: put(g.first, g.order),
    "kept": lambda g: np.where(g.keep, g.logits, -np.inf)})

CROSSING_LEFT_OUT = ("The token with which p is reached is left out, and where one token has it all, nothing is left. "
                     "A token is kept if those before it have not reached p: `cumsum - shares < p`.")
ONE_BY_FORCE = ("The likeliest always stays, but else the token with which p is reached is left out. It is kept, too: "
                "ask what those before it have together.")
NOT_SORTED = ("You add up the shares in the order of the ids. Sort them first, the largest in front.")
SMALLEST_FIRST = ("You begin with the smallest shares, and the likeliest come first. `np.sort` and `np.argsort` sort "
                  "upwards: turn that around along the last axis, `[..., ::-1]`.")
NOT_SHARES = ("You add up logits. What is added up to p are shares: `softmax`.")
BACK_TO_THE_IDS = ("What is kept is known for the places of the sorted list, and you use it for the ids. Count how "
                   "many are kept: these are the smallest of `rank(logits)`.")
TAKEN_FOR_PUT = ("`np.take_along_axis` reads at the ids, and so sorts what is sorted already once more. "
                 "`np.put_along_axis` writes there, which brings it back.")
SINGLE_ROW = ("This works for a single row. With more axes, `x[order]`, `x[::-1]` and `len(x)` are about rows, not "
              "tokens: name the last axis, `[..., ::-1]`, and take by `np.take_along_axis`.")
THRESHOLD_KEEPS_TIES = ("You keep whatever is as large as the last that is needed, and of equal logits too many stay. "
                        "Keep ranks, not values.")
SHARE_AGAINST_P = ("You compare each share with p by itself. It is the sum, from the largest down, that reaches p.")
BY_COUNT = ("You keep a share of the tokens, by their number. p is a share of what softmax gives: `np.cumsum` adds up "
            "how much the likeliest have together.")
NOTHING_REMOVED = ("Nothing is taken away. What comes after p is reached becomes `-np.inf`. (What is negative, as "
                   "logarithms are, never reaches p: add up shares.)")
SOFTMAX_OVER_ROWS = ("Softmax runs over the first axis: rows compete with each other. The tokens lie along the last "
                     "one.")
SUM_DOWN_THE_ROWS = "You add up along the first axis, from row to row. Each row has its own sum: `axis=-1`."
COUNT_OF_EACH_ROW = ("Your count is one a row, and does not line up with the ranks of its tokens. Keep the axis, of "
                     "size 1: `keepdims=True`.")
COUNT_OF_ALL_ROWS = "You count in all rows together. Each row has its own number: count along the last axis, `axis=-1`."
ONE_K = "`top_k` takes one k for all rows, and each row has its own here. Compare ranks, as there, with its count."
NO_TRUE_IN_IT = ("`np.argmax` finds the first place where p is reached, and 0 where there is none: for p = 1, and sums "
                 "that are 1 but for rounding. Ask for each token whether those before it have reached p.")

for name, before in (("at_most", lambda g: g.reached <= g.p), ("below", lambda g: g.reached < g.p)):
    wrong_top_p(f"crossing_left_out_{name}", CROSSING_LEFT_OUT, first=before)
    wrong_top_p(f"likeliest_by_force_{name}", ONE_BY_FORCE, first=lambda g, before=before: (
        before(g) | (np.arange(g.logits.shape[-1]) == 0)))
wrong_top_p("reached_exactly", "Where p is reached exactly, you keep one more. Two tokens of 25% reach 50%, and that "
            "is enough: the comparison is `<`, not `<=`.", first=lambda g: g.reached - g.shares <= g.p)
wrong_top_p("one_more", "One too many is kept. The token with which p is reached is the last; and ranks count from 0.",
            keep=lambda g: rank(g.logits) <= counted(g))
wrong_top_p("counts_not_lined_up", COUNT_OF_EACH_ROW, keep=lambda g: rank(g.logits) < np.sum(g.first, axis=-1))
wrong_top_p("counts_of_all_rows", COUNT_OF_ALL_ROWS, keep=lambda g: rank(g.logits) < np.sum(g.first))
wrong_top_p("counts_down_the_rows", COUNT_OF_ALL_ROWS,
            keep=lambda g: rank(g.logits) < np.sum(g.first, axis=0, keepdims=True))
wrong_top_p("not_counted", "`before < p` says for each place whether it is kept. How many there are is the sum along "
            "the row.", keep=lambda g: rank(g.logits) < g.first)
wrong_top_p("least_likely", "You keep the least likely tokens. `rank` counts from the likeliest down: give it the "
            "logits as they are.", keep=lambda g: rank(-g.logits) < counted(g))
wrong_top_p("the_rest_counted", "You count the places where p is reached already. Those before are the "
            "ones that are kept.", keep=lambda g: rank(g.logits) < np.sum(~g.first, axis=-1, keepdims=True))
wrong_top_p("shares_for_a_count", "You add up shares where tokens are to be counted. `before < p` is True for each "
            "that is kept, and `np.sum` counts these.", keep=lambda g: rank(g.logits) < np.sum(g.shares[g.first]))
wrong_top_p("rank_not_called", RANK_NOT_CALLED, keep=lambda g: rank < counted(g))
for name, count in (("", lambda g: counted(g)), ("_without_its_axis", lambda g: np.sum(g.first, axis=-1))):
    wrong_top_p(f"top_k_of_counts{name}", ONE_K, kept=lambda g, count=count: top_k(g.logits, count(g)))
wrong_top_p("searched_in_all_rows", "`np.searchsorted` takes one sorted row. For any number of them, count along the "
            "last axis.", kept=lambda g: np.where(rank(g.logits) <= np.searchsorted(g.reached, g.p), g.logits, -np.inf))
for name, before in (("", lambda g: g.reached - g.shares < g.p), ("_below", lambda g: g.reached < g.p)):
    for kind, sentence, steps in (
            ("upwards", SMALLEST_FIRST, {"shares": lambda g: np.sort(g.all_shares, axis=-1)}),
            ("not_sorted", NOT_SORTED, {"shares": lambda g: g.all_shares}),
            ("logits", NOT_SHARES, {"shares": lambda g: np.sort(g.logits, axis=-1)[..., ::-1]}),
            ("rows_turned", SINGLE_ROW, {"shares": lambda g: np.sort(g.all_shares, axis=-1)[::-1]})):
        wrong_top_p(f"{kind}_and_counted{name}", sentence, **steps, first=before,
                    keep=lambda g: rank(g.logits) < counted(g))
    wrong_top_p(f"only_the_order_sorted{name}", NOT_SORTED, shares=lambda g: g.all_shares, first=before)
wrong_top_p("shares_below_p_counted", SHARE_AGAINST_P,
            keep=lambda g: rank(g.logits) < np.sum(g.shares < g.p, axis=-1, keepdims=True))
wrong_top_p("softmax_over_rows_and_counted", SOFTMAX_OVER_ROWS, all_shares=lambda g: softmax(g.logits, axis=0),
            shares=lambda g: np.sort(g.all_shares, axis=-1)[..., ::-1], keep=lambda g: rank(g.logits) < counted(g))
wrong_top_p("sum_down_the_rows_and_counted", SUM_DOWN_THE_ROWS, reached=lambda g: np.cumsum(g.shares, axis=0),
            keep=lambda g: rank(g.logits) < counted(g))
wrong_top_p("along_the_first_axis", FIRST_AXIS, kept=lambda g: along_the_first_axis(softmax(g.logits), g))
wrong_top_p("all_along_the_first_axis", FIRST_AXIS, kept=lambda g: along_the_first_axis(softmax(g.logits, axis=0), g))
for axis in (0, -1):
    wrong_top_p(f"counted_along_the_first_axis_{axis}", FIRST_AXIS,
                shares=lambda g, axis=axis: np.sort(softmax(g.logits, axis=axis), axis=0)[::-1],
                reached=lambda g: np.cumsum(g.shares, axis=0),
                keep=lambda g: rank(g.logits) < np.sum(g.first, axis=0, keepdims=True))
wrong_top_p("without_the_first", "`np.diff`, or a sum from the second on, loses a place: the likeliest token is "
            "missing.", first=lambda g: (g.reached - g.shares < g.p) & (np.arange(g.logits.shape[-1]) > 0))
wrong_top_p("after_p", "It is the other way round: you keep what comes after p is reached.",
            first=lambda g: g.reached - g.shares >= g.p)
wrong_top_p("after_p_by_the_sum", "It is the other way round: you keep what comes after p is reached.",
            first=lambda g: g.reached >= g.p)
wrong_top_p("not_sorted", NOT_SORTED, keep=lambda g: np.cumsum(g.all_shares, axis=-1) - g.all_shares < g.p)
wrong_top_p("not_sorted_without_crossing", NOT_SORTED, keep=lambda g: np.cumsum(g.all_shares, axis=-1) <= g.p)
wrong_top_p("not_sorted_below", NOT_SORTED, keep=lambda g: np.cumsum(g.all_shares, axis=-1) < g.p)
wrong_top_p("smallest_first", SMALLEST_FIRST, order=lambda g: np.argsort(g.logits, axis=-1, kind="stable"))
wrong_top_p("smallest_first_without_crossing", SMALLEST_FIRST, first=lambda g: g.reached <= g.p,
            order=lambda g: np.argsort(g.logits, axis=-1, kind="stable"))
wrong_top_p("smallest_first_and_one_less", "You go up from the smallest, and keep what comes after p. The tail that "
            "goes has 1 - p together, not p.", order=lambda g: np.argsort(g.logits, axis=-1, kind="stable"),
            first=lambda g: g.reached > g.p)
wrong_top_p("share_of_the_tail", "You keep a share of 1 - p. Asked for is p.",
            first=lambda g: g.reached - g.shares < 1 - g.p)
wrong_top_p("logits_added_up", NOT_SHARES, all_shares=lambda g: g.logits)
wrong_top_p("logits_added_up_without_crossing", NOT_SHARES, all_shares=lambda g: g.logits,
            first=lambda g: g.reached <= g.p)
wrong_top_p("powers_added_up", "You add up e to the power of the logits. Shares are these divided by their sum: "
            "`softmax`.", all_shares=lambda g: np.exp(g.logits))
wrong_top_p("logarithms_added_up", NOTHING_REMOVED, all_shares=lambda g: log_softmax(g.logits))
wrong_top_p("softmax_twice", "Softmax is taken twice. Shares of shares are all nearly alike: once is right.",
            all_shares=lambda g: softmax(softmax(g.logits)))
wrong_top_p("softmax_of_the_batch", "All rows together share 100%. Each row has its own: `softmax(logits)`, along the "
            "last axis.", all_shares=lambda g: softmax(g.logits.ravel()).reshape(g.logits.shape))
wrong_top_p("softmax_over_rows", SOFTMAX_OVER_ROWS, all_shares=lambda g: softmax(g.logits, axis=0))
wrong_top_p("naive_shares", "Your own exponentials overflow for large logits. `softmax` subtracts the largest one "
            "first.", all_shares=lambda g: np.exp(g.logits) / np.exp(g.logits).sum(axis=-1, keepdims=True))
wrong_top_p("sum_over_the_batch", "Without an axis, `np.cumsum` runs on through all rows, and from the second row on "
            "nothing is kept. Each row begins at 0: `axis=-1`.",
            reached=lambda g: np.cumsum(g.shares).reshape(g.shares.shape))
wrong_top_p("flat_sum", "Without an axis, `np.cumsum` gives one long row. `axis=-1` adds up along each row.",
            reached=lambda g: np.cumsum(g.shares))
wrong_top_p("sum_down_the_rows", SUM_DOWN_THE_ROWS, reached=lambda g: np.cumsum(g.shares, axis=0))
wrong_top_p("sorted_down_the_rows", "You sort along the first axis, row against row. Sort the tokens of each row: "
            "`axis=-1`.", order=lambda g: ids_down(g.logits, axis=0))
wrong_top_p("one_sum", "`np.sum` has only the whole, which is 1. `np.cumsum` adds up step by step.",
            reached=lambda g: np.broadcast_to(np.sum(g.shares, axis=-1, keepdims=True), g.shares.shape))
wrong_top_p("larger_ids", LARGER_IDS, order=lambda g: np.argsort(g.logits, axis=-1, kind="stable")[..., ::-1])
wrong_top_p("unstable_and_turned", LARGER_IDS, order=lambda g: np.argsort(g.logits, axis=-1)[..., ::-1])
wrong_top_p("unstable", UNSTABLE, order=lambda g: np.argsort(-g.logits, axis=-1))
wrong_top_p("order_not_undone", BACK_TO_THE_IDS, keep=lambda g: g.first)
wrong_top_p("order_not_undone_without_crossing", BACK_TO_THE_IDS, keep=lambda g: g.reached <= g.p)
wrong_top_p("taken_for_put", TAKEN_FOR_PUT, keep=lambda g: np.take_along_axis(g.first, g.order, axis=-1))
wrong_top_p("sorted_logits", ORDER_NOT_UNDONE, kept=lambda g: np.where(
    g.first, np.take_along_axis(g.logits, g.order, axis=-1), -np.inf))
wrong_top_p("put_and_returned", PUT_RETURNS_NOTHING, kept=lambda g: np.put_along_axis(
    np.full_like(g.logits, -np.inf), g.order, g.logits, axis=-1))
wrong_top_p("put_for_the_condition", PUT_RETURNS_NOTHING, keep=lambda g: None)
wrong_top_p("one_index", SINGLE_ROW, keep=lambda g: indexed(g.first, g.order))
wrong_top_p("one_index_for_all", SINGLE_ROW, keep=lambda g: g.first[np.argsort(g.order)])
wrong_top_p("rows_only", ANY_AXES, kept=lambda g: np.array([top_p(row, g.p) for row in g.logits]))
wrong_top_p("in_two_sizes", ANY_AXES, order=lambda g: in_two_sizes(ids_down(g.logits), g.logits.shape[-1]))
wrong_top_p("by_row_numbers", ANY_AXES, all_shares=lambda g: g.logits[np.arange(len(g.logits))[:, None], g.order],
            shares=lambda g: np.take_along_axis(softmax(g.logits), g.order, axis=-1))
wrong_top_p("single_row", SINGLE_ROW, order=lambda g: np.argsort(g.logits, kind="stable")[::-1])
wrong_top_p("single_row_of_shares", SINGLE_ROW, shares=lambda g: g.all_shares[g.order])
wrong_top_p("single_row_by_threshold", SINGLE_ROW, shares=lambda g: np.sort(g.all_shares)[::-1],
            kept=lambda g: np.where(g.all_shares >= g.shares[np.argmax(np.cumsum(g.shares) >= g.p)], g.logits, -np.inf))
wrong_top_p("columns", ANY_AXES, order=lambda g: np.argsort(g.logits, axis=-1, kind="stable")[:, ::-1])
wrong_top_p("by_threshold", THRESHOLD_KEEPS_TIES, keep=lambda g: g.all_shares >= np.min(
    np.where(g.first, g.shares, np.inf), axis=-1, keepdims=True))
wrong_top_p("above_threshold", "The last token that is needed to reach p goes as well: only what is larger stays.",
            keep=lambda g: g.all_shares > np.min(np.where(g.first, g.shares, np.inf), axis=-1, keepdims=True))
wrong_top_p("shares_of_p", SHARE_AGAINST_P, keep=lambda g: g.all_shares >= g.p)
wrong_top_p("shares_above_p", SHARE_AGAINST_P, keep=lambda g: g.all_shares > g.p)
wrong_top_p("shares_below_p", SHARE_AGAINST_P, keep=lambda g: g.all_shares < g.p)
wrong_top_p("shares_of_the_rest", SHARE_AGAINST_P, keep=lambda g: g.all_shares >= 1 - g.p)
wrong_top_p("share_of_the_largest", "You keep what has p times the share of the likeliest. It is the sum, from the "
            "largest down, that reaches p.", keep=lambda g: g.all_shares >= g.p * g.all_shares.max(-1, keepdims=True))
wrong_top_p("by_count", BY_COUNT, kept=lambda g: top_k(g.logits, max(1, int(g.p * g.logits.shape[-1]))))
wrong_top_p("by_count_rounded_up", BY_COUNT, kept=lambda g: top_k(g.logits, math.ceil(g.p * g.logits.shape[-1])))
wrong_top_p("count_of_the_first_row", "The number of tokens that stay is that of one row. Each row has its own.",
            kept=lambda g: top_k(g.logits, int(np.sum(g.first.reshape(-1, g.logits.shape[-1])[0]))))
wrong_top_p("count_of_the_longest", "The number of tokens that stay is the same for all rows. Each row has its own.",
            kept=lambda g: top_k(g.logits, int(np.max(np.sum(g.first, axis=-1)))))
for name, crossing in (("at_least", lambda g: g.reached >= g.p), ("above", lambda g: g.reached > g.p)):
    wrong_top_p(f"argmax_of_{name}", NO_TRUE_IN_IT, first=lambda g, crossing=crossing: (
        np.arange(g.logits.shape[-1]) <= np.argmax(crossing(g), axis=-1)[..., None]))
for name, number in (("", lambda g: 1), ("_by_p", lambda g: g.p), ("_by_a_sum_of_shares", lambda g: np.sum(
        g.shares, axis=-1, keepdims=True, where=g.first))):
    wrong_top_p(f"likeliest_only{name}", "Only the likeliest token is kept. Go on down the list until p is reached. "
                "Ranks count tokens: neither p nor a sum of shares can be compared with them.",
                keep=lambda g, number=number: rank(g.logits) < number(g))
wrong_top_p("nothing_removed", NOTHING_REMOVED, kept=lambda g: g.logits.copy())
for name, sentence, others in (("zeros", MINUS_INFINITY, 0), ("minus_1e9", NO_SMALL_NUMBER, -1e9),
                               ("minus_1e10", NO_SMALL_NUMBER, -1e10),
                               ("plus_infinity", "What is not kept is `-np.inf`, with a minus: a logit of inf takes "
                                "all.", np.inf),
                               ("nan", "What is not kept is `-np.inf`. With nan nothing can be computed any more.",
                                np.nan)):
    wrong_top_p(name, sentence, kept=lambda g, others=others: np.where(g.keep, g.logits, others))
wrong_top_p("times_a_mask", MINUS_INFINITY, kept=lambda g: g.logits * g.keep)
wrong_top_p("smallest_number", NO_SMALL_NUMBER,
            kept=lambda g: np.where(g.keep, g.logits, np.finfo(g.logits.dtype).min))
wrong_top_p("shares_or_0", SHARES_RETURNED, kept=lambda g: np.where(g.keep, g.all_shares, 0))
wrong_top_p("shares_or_minus_infinity", SHARES_RETURNED, kept=lambda g: np.where(g.keep, g.all_shares, -np.inf))
wrong_top_p("shares_of_what_is_kept", SHARES_RETURNED, kept=lambda g: softmax(top_p(g.logits, g.p)))
wrong_top_p("logarithms", "These are logarithms of shares. Asked for are the logits as they came in.",
            kept=lambda g: np.where(g.keep, log_softmax(g.logits), -np.inf))
wrong_top_p("logarithms_of_what_is_kept", "These are logarithms of shares. Asked for are the logits as they came in.",
            kept=lambda g: log_softmax(top_p(g.logits, g.p)))
wrong_top_p("a_mask", "These are True and False. Asked for are the logits, with -inf where nothing is kept.",
            kept=lambda g: g.keep)
wrong_top_p("kept_alone", KEPT_ALONE, kept=lambda g: g.logits[g.keep])
wrong_top_p("ids", "These are ids. Asked for are logits of the same shape, -inf where not kept.",
            kept=lambda g: g.order[g.first])
wrong_top_p("in_place", INPUT_CHANGED, kept=lambda g: overwritten(g.logits, ~g.keep))
wrong_top_p("made_float64", TURNED_FLOAT64, kept=lambda g: np.where(g.keep, g.logits, np.float64(-np.inf)))


def indexed(first, order):
    keep = np.zeros_like(first)
    keep[order] = first
    return keep


def overwritten(logits, where):
    logits[where] = -np.inf
    return logits


@TOP_P.alternative
def token_after_token(logits, p):
    kept = np.full_like(logits, -np.inf)
    for place in np.ndindex(logits.shape[:-1]):
        row, total = softmax(logits[place]), 0.0
        for i in sorted(range(len(row)), key=lambda i: (-row[i], i)):
            if total >= p:
                break
            kept[place][i] = logits[place][i]
            total += row[i]
    return kept


@TOP_P.alternative
def shifted_sums(logits, p):
    order = ids_down(logits)
    reached = np.cumsum(np.take_along_axis(softmax(logits), order, axis=-1), axis=-1)
    out = np.concatenate([np.zeros_like(reached[..., :1]), reached[..., :-1]], axis=-1) >= p
    kept = logits.copy()
    np.put_along_axis(kept, order, np.where(out, -np.inf, np.take_along_axis(logits, order, axis=-1)), axis=-1)
    return kept


@TOP_P.alternative
def by_counting_places(logits, p):
    order = ids_down(logits)
    reached = np.sort(softmax(logits), axis=-1)[..., ::-1].cumsum(axis=-1)
    n = 1 + np.sum(reached < p, axis=-1, keepdims=True)
    return np.where(np.argsort(order, axis=-1) < n, logits, np.array(-np.inf, logits.dtype))


@TOP_P.alternative
def at_the_ids_of_the_order(logits, p):
    order = ids_down(logits)
    shares = np.take_along_axis(softmax(logits), order, axis=-1)
    return np.where(put(np.cumsum(shares, axis=-1) - shares < p, order), logits, -np.inf)


@TOP_P.alternative
def looked_up_by_rank(logits, p):
    shares = softmax(-np.sort(-logits, axis=-1))
    reached = np.cumsum(shares, axis=-1)
    return np.where(np.take_along_axis(reached - shares, rank(logits), axis=-1) < p, logits, -np.inf)


@TOP_P.alternative
def top_k_row_by_row(logits, p):
    rows = logits.reshape(-1, logits.shape[-1])
    reached = np.cumsum(-np.sort(-softmax(rows), axis=-1), axis=-1)
    n = 1 + np.count_nonzero(reached[:, :-1] < p, axis=-1)
    return np.stack([top_k(row, int(k)) for row, k in zip(rows, n, strict=True)]).reshape(logits.shape)


@TOP_P.alternative
def tail_from_the_other_end(logits, p):
    order = ids_down(logits)[..., ::-1]
    tail = np.cumsum(np.take_along_axis(softmax(logits), order, axis=-1), axis=-1) <= 1 - p
    return np.where(put(tail, order), -np.inf, logits)


@TOP_P.alternative
def by_searchsorted(logits, p):
    def one(row):
        order = ids_down(row)
        n = np.searchsorted(np.cumsum(np.exp(log_softmax(row))[order]), p) + 1
        return np.where(np.isin(np.arange(len(row)), order[:n]), row, -np.inf)
    return np.apply_along_axis(one, -1, logits)


# ---- attend_with_cache --------------------------------------------------------------------------------------------

class Cache(dict):
    """A card names it and does not print it."""

    def __repr__(self):
        return "cache" if self else "{}"


@dataclass(frozen=True)
class Calls(Case):
    """attend_with_cache, one call after another with the same cache. lengths: how many positions each has."""
    lengths: tuple = ()


def cached(B, n_heads, S, d_k, d_v, seed, dtype=np.float64):
    k, v = normal(B, n_heads, S, d_k, seed=seed), normal(B, n_heads, S, d_v, seed=seed + 1)
    return Cache(k=k.astype(dtype), v=v.astype(dtype))


def attend_inputs():
    def case(title, x, *args, mask=None, **options):
        cache = {"k": "B H S+T d_k", "v": "B H S+T d_v"}
        kind = Calls if "lengths" in options else Case
        return kind(title, (x, *args), {} if mask is None else {"mask": mask},
                    {"output": "B T D_out", "cache": cache}, **options)

    length = np.array([6, 4, 1])                            # of three rows, whose padding stands on the left
    seen = (np.arange(6) >= 6 - length[:, None])[:, None, None] & np.tri(2, 6, 4, dtype=bool)
    return [
        case("an empty cache; B=2, T=4, H=3, d_k=2, d_v=6, D=5, D_out=7",
             normal(2, 4, 5, seed=1), *matrices(5, 3, 2, 6, seed=2, D_out=7), 3, Cache()),
        case("a cache of S=4 positions, a single new one, T=1; B=3, H=2, d_k=6, d_v=5",
             normal(3, 1, 7, seed=6), *matrices(7, 2, 6, 5, seed=7), 2, cached(3, 2, 4, 6, 5, seed=11)),
        case("a cache of S=3 positions and two new ones, T=2, under a causal mask",
             normal(3, 2, 7, seed=13), *matrices(7, 4, 6, 5, seed=14), 4, cached(3, 4, 3, 6, 5, seed=18),
             mask=np.tri(2, 5, 3, dtype=bool)),
        case("padding on the left, of different length; S=4, T=2",
             normal(3, 2, 5, seed=20), *matrices(5, 2, 4, 3, seed=21), 2, cached(3, 2, 4, 4, 3, seed=25), mask=seen),
        case("three calls, of 2, 1 and 3 positions, from an empty cache", normal(2, 6, 5, seed=27),
             *matrices(5, 3, 2, 4, seed=28), 3, Cache(), mask=causal_mask(6), lengths=(2, 1, 3)),
        case("two calls, of one position each, after S=2", normal(3, 2, 7, seed=32), *matrices(7, 2, 3, 4, seed=33), 2,
             cached(3, 2, 2, 3, 4, seed=37), lengths=(1, 1)),
        case("the usual sizes, d_k = d_v = D / H; S=3, T=2", normal(2, 2, 12, seed=39),
             *matrices(12, 3, 4, 4, seed=40), 3, cached(2, 3, 3, 4, 4, seed=44)),
        case("as many new positions as old ones, S = T = 3", normal(2, 3, 6, seed=46),
             *matrices(6, 2, 3, 3, seed=47), 2, cached(2, 2, 3, 3, 3, seed=51), mask=np.tri(3, 6, 3, dtype=bool)),
        case("one head; B=2, S=3, T=2", normal(2, 2, 4, seed=53), *matrices(4, 1, 4, 4, seed=54), 1,
             cached(2, 1, 3, 4, 4, seed=58)),
        case("float32, x as a transposed view", normal(4, 2, 3, seed=60, dtype=np.float32).T,
             *(W.astype(np.float32) for W in matrices(4, 2, 3, 5, seed=61)), 2,
             cached(3, 2, 2, 3, 5, seed=65, dtype=np.float32)),
    ]


def run_attend(f, case):
    """What f returns, and the cache after it; for several calls, a list of what it returns."""
    x, *weights, n_heads, cache = case.args
    cache, outputs, end = dict(cache), [], 0
    mask, S = case.options.get("mask"), cache["k"].shape[-2] if cache else 0
    for length in getattr(case, "lengths", (x.shape[-2],)):
        start, end = end, end + length
        options = {} if mask is None else {"mask": mask[..., start:end, :S + end]}
        outputs.append(f(x[..., start:end, :], *weights, n_heads, cache, **options))
    return {"output": outputs if isinstance(case, Calls) else outputs[0], "cache": cache}


def judge_attend(case, output):
    expected = run_attend(attend_with_cache, case)
    if isinstance(case, Calls):
        for i, (wanted, got) in enumerate(zip(expected["output"], output["output"], strict=True)):
            found = compare(wanted, got, case.axes["output"], f"in what call {i + 1} returns, ")
            if found:
                return alone(found, got, "output")
    else:
        found = compare(expected["output"], output["output"], case.axes["output"])
        if found:
            return alone(found, output["output"], "output")
    if set(output["cache"]) != {"k", "v"}:
        holds = ", ".join(f'"{name}"' for name in output["cache"])
        others = [ABOUT_NAMES.get(name, TWO_NAMES) for name in output["cache"] if name not in ("k", "v")]
        return Difference(f'the cache should hold "k" and "v" afterwards; yours holds {holds or "nothing"}',
                          advice=others[0] if others else "")
    return compare(expected["cache"], output["cache"], case.axes["cache"], "in the cache afterwards, ")


ATTEND_WITH_CACHE = Exercise(attend_with_cache, attend_inputs, call=run_attend, judge=judge_attend)


def given_to_attend(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None):
    check_multi_head(x, x, W_Q, W_K, W_V, W_O, n_heads)
    check_cache(cache, x, W_K, W_V, n_heads)
    return SimpleNamespace(x=x, W_Q=W_Q, W_K=W_K, W_V=W_V, W_O=W_O, n_heads=n_heads, cache=cache, mask=mask)


def projected(g, W, x=None):
    return split_heads(linear(g.x if x is None else x, W), g.n_heads)


def longer(g, name, new, join=lambda old, new: np.concatenate([old, new], axis=-2)):
    """The cached array of that name with the new ones behind it."""
    return join(g.cache[name], new) if g.cache else new


def both(join):
    """Steps of an answer that joins old keys and values with new ones in its own way."""
    return {"k": lambda g: longer(g, "k", g.new_k, join), "v": lambda g: longer(g, "v", g.new_v, join)}


wrong_attend = mistakes_in_steps(ATTEND_WITH_CACHE, given_to_attend, {
    "q": lambda g: projected(g, g.W_Q),
    "new_k": lambda g: projected(g, g.W_K),
    "new_v": lambda g: projected(g, g.W_V),
    "k": lambda g: longer(g, "k", g.new_k),
    "v": lambda g: longer(g, "v", g.new_v),
    "stored": lambda g: g.cache.update(k=g.k, v=g.v),
    "pair": lambda g: scaled_dot_product_attention(g.q, g.k, g.v, g.mask),
    "output": lambda g: linear(merge_heads(g.pair[0]), g.W_O)})

ALONG_POSITIONS = ("Keys are (B, H, S, d_k), and it is the positions that become more: `np.concatenate([old, new], "
                   "axis=-2)`. The other axes stay as they are.")
BEHIND = "The new ones belong behind the old ones, as they stand in the text: `np.concatenate([old, new], axis=-2)`."
NOT_UPDATED = ("The cache is not updated, and the next call knows nothing of these positions. Write the longer keys "
               "and values into the dict that came: `cache[\"k\"] = k`. (A new dict is not the caller's.)")
ONLY_NEW_STORED = ("Only the new keys and values are in the cache, and the old ones are lost for the next call. Keep "
                   "the longer ones: old and new.")
ONLY_NEW_SEEN = ("The new positions look only at themselves. What came before is in the cache: put the new keys and "
                 "values behind it, and let the queries look at all of them.")
EMPTY_AT_FIRST = ("At the beginning the cache is empty and has no \"k\". Ask first, `if cache:`; then the new ones are "
                  "all there is.")
TWO_NAMES = "The cache has two names, \"k\" for the keys and \"v\" for the values, and nothing else."
EXCHANGED_IN_THE_CACHE = ("Keys and values have changed places in the cache: the keys under \"k\", the values under "
                          "\"v\".")
SPLIT_FIRST = ("The cache holds keys and values of every head, (B, H, S, d_k): split into heads first, then put them "
               "behind the old ones.")
PROJECT_FIRST = ("The cache holds x itself. It is keys and values that are kept, after W_K and W_V: that saves the "
                 "work.")
ONE_LIST = "`np.concatenate` takes one list of arrays, and then the axis: `np.concatenate([old, new], axis=-2)`."
NO_APPEND = ("Arrays have no `append` and no `extend`. `np.concatenate([old, new], axis=-2)` makes a longer one.")
NO_STACK = ("`np.stack` makes a new axis. The positions have one already, which grows: `np.concatenate([old, new], "
            "axis=-2)`.")
A_PAIR = ("`scaled_dot_product_attention` returns two things, the output and the weights. Unpack them: `output, _ = "
          "...`.")
NO_QUERIES_KEPT = ("Queries are not kept: a query is asked once, by its own position, when it is new. Only the T new "
                   "ones ask.")
KEYS_AND_VALUES = ("Keys and values have changed places: `W_K` and `W_V`, or k and v in the call. Keys are compared "
                   "with the queries, values are what is blended.")
NO_WEIGHTS_KEPT = ("The weights are in the cache. It holds keys and values alone: where a position has looked, no "
                   "later one asks.")
ONE_OF_THE_TWO = "Only one of the two is in the cache. It holds both: the keys under \"k\", the values under \"v\"."
LISTS = "The cache holds lists. Keep one array of all keys and one of all values, made by `np.concatenate`."
CACHE_FLOAT64 = ("The cache became float64, and all that comes after. `np.zeros` and `np.empty` are float64 unless you "
                 "name a dtype; `np.concatenate` keeps it.")
NOTHING_TO_LOOK_AT = ("A row in which a position may look at nothing gives zeros, as `scaled_dot_product_attention` "
                      "does. In yours, softmax makes nan of it, or equal weights.")
ABOUT_NAMES = {"q": NO_QUERIES_KEPT, "x": PROJECT_FIRST, "w": NO_WEIGHTS_KEPT, "weights": NO_WEIGHTS_KEPT}
MASK_AS_IT_IS = "The mask has a column for each old and each new position already. Hand it on as it is."
MERGE_MISSING = "`merge_heads` is missing: `W_O` takes rows of H * d_v numbers, all heads of a position side by side."

wrong_attend("not_updated", NOT_UPDATED, stored=lambda g: None)
wrong_attend("updated_only_where_there_is_one", "An empty cache stays empty: you store only where there was something "
             "before. The first keys and values are kept, too.",
             stored=lambda g: g.cache.update(k=g.k, v=g.v) if g.cache else None)
wrong_attend("stored_only_at_first", "The cache is filled only where it is empty, and then never grows. Store the "
             "longer keys and values at every call.",
             stored=lambda g: None if g.cache else g.cache.update(k=g.k, v=g.v))
wrong_attend("only_new_stored", ONLY_NEW_STORED, stored=lambda g: g.cache.update(k=g.new_k, v=g.new_v))
wrong_attend("only_new_seen", ONLY_NEW_SEEN, pair=lambda g: scaled_dot_product_attention(g.q, g.new_k, g.new_v, g.mask))
wrong_attend("only_new_seen_and_stored", ONLY_NEW_SEEN, k=lambda g: g.new_k, v=lambda g: g.new_v)
wrong_attend("no_cache_at_all", "The cache is neither read nor filled: this is `multi_head_attention` of x with "
             "itself. The new positions look at the old ones as well, whose keys and values the cache holds.",
             k=lambda g: g.new_k, v=lambda g: g.new_v, stored=lambda g: None)
wrong_attend("as_multi_head_attention", "The cache is neither read nor filled: this is `multi_head_attention` of x "
             "with itself. The new positions look at the old ones as well, whose keys and values the cache holds.",
             output=lambda g: multi_head_attention(g.x, g.x, g.W_Q, g.W_K, g.W_V, g.W_O, g.n_heads, g.mask)[0],
             k=lambda g: g.new_k, v=lambda g: g.new_v, stored=lambda g: None, pair=lambda g: None)
wrong_attend("mask_of_the_new", "The new positions look only at themselves, and the mask is cut to fit. Put the new "
             "keys and values behind the old ones, and hand on the mask as it is.",
             pair=lambda g: scaled_dot_product_attention(g.q, g.new_k, g.new_v, None if g.mask is None else g.mask[
                 ..., -g.x.shape[-2]:]))
wrong_attend("only_old_seen", "The new positions look only at what came before. They look at themselves, too: hand the "
             "longer keys and values to attention.", pair=lambda g: scaled_dot_product_attention(
                 g.q, g.cache["k"][..., :-g.x.shape[-2], :], g.cache["v"][..., :-g.x.shape[-2], :], g.mask))
wrong_attend("keys_only", "The values are those of the new positions alone. Each key has its value: both grow.",
             v=lambda g: g.new_v)
wrong_attend("values_only", "The keys are those of the new positions alone. Each value has its key: both grow.",
             k=lambda g: g.new_k)
wrong_attend("keys_stored_alone", ONE_OF_THE_TWO, stored=lambda g: g.cache.update(k=g.k))
wrong_attend("values_stored_alone", ONE_OF_THE_TWO, stored=lambda g: g.cache.update(v=g.v))
wrong_attend("new_before_old", BEHIND, **both(lambda old, new: np.concatenate([new, old], axis=-2)))
wrong_attend("new_keys_before_old", BEHIND, k=lambda g: longer(
    g, "k", g.new_k, lambda old, new: np.concatenate([new, old], axis=-2)))
wrong_attend("new_values_before_old", BEHIND, v=lambda g: longer(
    g, "v", g.new_v, lambda old, new: np.concatenate([new, old], axis=-2)))
for axis in (-1, 0, 1, -3, 3):
    wrong_attend(f"along_axis_{axis}", ALONG_POSITIONS, **both(
        lambda old, new, axis=axis: np.concatenate([old, new], axis=axis)))
wrong_attend("stored_along_another_axis", ALONG_POSITIONS, stored=lambda g: g.cache.update(
    k=longer(g, "k", g.new_k, lambda old, new: np.concatenate([old, new], axis=1)),
    v=longer(g, "v", g.new_v, lambda old, new: np.concatenate([old, new], axis=1))))
wrong_attend("concatenated_without_a_list", ONE_LIST, **both(lambda old, new: np.concatenate(old, new, axis=-2)))
wrong_attend("concatenated_without_a_list_or_name", ONE_LIST, **both(lambda old, new: np.concatenate(old, new, -2)))
wrong_attend("stacked", NO_STACK, **both(lambda old, new: np.stack([old, new])))
wrong_attend("stacked_along_positions", NO_STACK, **both(lambda old, new: np.stack([old, new], axis=-2)))
wrong_attend("appended", NO_APPEND, **both(lambda old, new: old.append(new)))
wrong_attend("extended", NO_APPEND, **both(lambda old, new: old.extend(new)))
wrong_attend("appended_flat", "Without an axis, `np.append` makes one long row of both. Name the axis of positions, "
             "-2.", **both(np.append))
wrong_attend("put_into_a_list", LISTS, stored=lambda g: g.cache.update(k=[g.k], v=[g.v]))
wrong_attend("a_list_that_grows", LISTS, stored=lambda g: None, **{name: lambda g, name=name: np.concatenate(
    appended(g.cache, name, getattr(g, f"new_{name}")), axis=-2) for name in ("k", "v")})
wrong_attend("added", "`+` adds numbers; it puts nothing behind anything. `np.concatenate([old, new], axis=-2)` does.",
             **both(lambda old, new: old + new))
for name, join in (("added_in_place", np.ndarray.__iadd__), ("written_over", lambda old, new: overwrite(old, new))):
    wrong_attend(name, "You write into the old arrays, which the caller may still hold. Make new, longer ones: "
                 "`np.concatenate([old, new], axis=-2)`.", **both(join))
wrong_attend("stored_twice", "The new keys and values are in the cache twice. You put them behind those that hold them "
             "already.", stored=lambda g: g.cache.update(
                 k=np.concatenate([g.k, g.new_k], axis=-2), v=np.concatenate([g.v, g.new_v], axis=-2)))
wrong_attend("put_behind_twice", "The new keys and values are in the cache twice. You put them behind those that hold "
             "them already.", k=lambda g: np.concatenate([longer(g, "k", g.new_k), g.new_k], axis=-2),
             v=lambda g: np.concatenate([longer(g, "v", g.new_v), g.new_v], axis=-2))
wrong_attend("exchanged_in_the_cache", EXCHANGED_IN_THE_CACHE, stored=lambda g: g.cache.update(k=g.v, v=g.k))
wrong_attend("read_exchanged", EXCHANGED_IN_THE_CACHE, k=lambda g: longer(g, "v", g.new_k),
             v=lambda g: longer(g, "k", g.new_v))
wrong_attend("read_and_stored_exchanged", EXCHANGED_IN_THE_CACHE, k=lambda g: longer(g, "v", g.new_k),
             v=lambda g: longer(g, "k", g.new_v), stored=lambda g: g.cache.update(k=g.v, v=g.k))
wrong_attend("keys_for_both", "The values in the cache are keys. Under \"v\" go the values, x W_V.",
             stored=lambda g: g.cache.update(k=g.k, v=g.k))
wrong_attend("not_asked", EMPTY_AT_FIRST, **{name: lambda g, name=name: np.concatenate(
    [g.cache[name], getattr(g, f"new_{name}")], axis=-2) for name in ("k", "v")})
wrong_attend("got_by_name", EMPTY_AT_FIRST, **{name: lambda g, name=name: np.concatenate(
    [g.cache.get(name), getattr(g, f"new_{name}")], axis=-2) for name in ("k", "v")})
wrong_attend("got_with_a_list", EMPTY_AT_FIRST, **{name: lambda g, name=name: np.concatenate(
    [g.cache.get(name, []), getattr(g, f"new_{name}")], axis=-2) for name in ("k", "v")})
wrong_attend("truth_of_an_array", "An array has no truth value. Ask whether the cache holds anything, `if cache:`, or "
             "`if \"k\" in cache:`.", k=lambda g: longer(g, "k", g.new_k) if g.cache.get("k") else g.new_k)
for name, keys in (("longer_names", ("keys", "values")), ("capital_letters", ("K", "V"))):
    stored = {"stored": lambda g, keys=keys: g.cache.update(zip(keys, (g.k, g.v), strict=True))}
    wrong_attend(name, TWO_NAMES, **stored)
    wrong_attend(f"{name}_read_too", TWO_NAMES, k=lambda g, keys=keys: longer(g, keys[0], g.new_k),
                 v=lambda g, keys=keys: longer(g, keys[1], g.new_v), **stored)
wrong_attend("queries_stored_too", NO_QUERIES_KEPT, stored=lambda g: g.cache.update(q=g.q, k=g.k, v=g.v))
wrong_attend("queries_read_too", NO_QUERIES_KEPT, q=lambda g: longer(g, "q", projected(g, g.W_Q)),
             stored=lambda g: g.cache.update(q=g.q, k=g.k, v=g.v))
for name in ("w", "weights"):
    wrong_attend(f"{name}_stored", NO_WEIGHTS_KEPT, pair=lambda g, name=name: kept_weights(
        g.cache, name, scaled_dot_product_attention(g.q, g.k, g.v, g.mask)))
wrong_attend("x_read_by_name", PROJECT_FIRST, new_k=lambda g: g.cache.update(x=longer(g, "x", g.x)),
             k=lambda g: projected(g, g.W_K, g.cache["x"]), v=lambda g: projected(g, g.W_V, g.cache["x"]),
             stored=lambda g: None)
wrong_attend("x_stored", PROJECT_FIRST, stored=lambda g: g.cache.update(k=g.x, v=g.x))
wrong_attend("x_stored_by_name", PROJECT_FIRST, stored=lambda g: g.cache.update(x=g.x))
wrong_attend("x_stored_split", PROJECT_FIRST, new_k=lambda g: g.x, new_v=lambda g: g.x,
             pair=lambda g: scaled_dot_product_attention(g.q, projected(g, g.W_K, g.k), projected(g, g.W_V, g.v),
                                                         g.mask))
wrong_attend("x_stored_alone", PROJECT_FIRST, k=lambda g: g.new_k, v=lambda g: g.new_v,
             stored=lambda g: g.cache.update(x=g.x))
wrong_attend("stored_unsplit", SPLIT_FIRST, stored=lambda g: g.cache.update(k=linear(g.x, g.W_K), v=linear(g.x, g.W_V)))
wrong_attend("split_last", SPLIT_FIRST, new_k=lambda g: linear(g.x, g.W_K), new_v=lambda g: linear(g.x, g.W_V),
             pair=lambda g: scaled_dot_product_attention(g.q, split_heads(g.k, g.n_heads), split_heads(g.v, g.n_heads),
                                                         g.mask))
wrong_attend("stored_merged", SPLIT_FIRST, stored=lambda g: g.cache.update(k=merge_heads(g.k), v=merge_heads(g.v)))
wrong_attend("not_split", SPLIT_FIRST, q=lambda g: linear(g.x, g.W_Q), new_k=lambda g: linear(g.x, g.W_K),
             new_v=lambda g: linear(g.x, g.W_V))
wrong_attend("not_split_not_merged", SPLIT_FIRST, q=lambda g: linear(g.x, g.W_Q), new_k=lambda g: linear(g.x, g.W_K),
             new_v=lambda g: linear(g.x, g.W_V), output=lambda g: linear(g.pair[0], g.W_O))
wrong_attend("cached_keys_projected_again", "What is in the cache is multiplied by W_K once more. Its keys and values "
             "are ready: only x is new.", k=lambda g: longer(g, "k", g.new_k, lambda old, new: np.concatenate(
                 [split_heads(linear(merge_heads(old), g.W_K), g.n_heads), new], axis=-2)))
wrong_attend("number_of_heads_forgotten", "`split_heads` needs to know how many: `split_heads(..., n_heads)`.",
             q=lambda g: split_heads(linear(g.x, g.W_Q)))
wrong_attend("no_projections", "You cut x itself into heads, and never multiply by W_Q, W_K and W_V. Project first, "
             "`linear`, then split.", q=lambda g: split_heads(g.x, g.n_heads),
             new_k=lambda g: split_heads(g.x, g.n_heads), new_v=lambda g: split_heads(g.x, g.n_heads))

wrong_attend("all_queries", NO_QUERIES_KEPT, pair=lambda g: scaled_dot_product_attention(
    longer(g, "k", g.q), g.k, g.v, g.mask), k=lambda g: g.new_k if not g.cache else longer(g, "k", g.new_k),
    stored=lambda g: None)
wrong_attend("keys_and_values_exchanged", KEYS_AND_VALUES, new_k=lambda g: projected(g, g.W_V),
             new_v=lambda g: projected(g, g.W_K))
wrong_attend("exchanged_in_the_call", KEYS_AND_VALUES,
             pair=lambda g: scaled_dot_product_attention(g.q, g.v, g.k, g.mask))
wrong_attend("queries_and_keys_exchanged", "`W_Q` and `W_K` have changed places: x W_Q makes the queries, x W_K the "
             "keys.", q=lambda g: projected(g, g.W_K), new_k=lambda g: projected(g, g.W_Q))
for name, sentence, other in (
        ("keys_with_W_Q", "The keys are made with `W_Q`, and `W_K` is never used.",
         {"new_k": lambda g: projected(g, g.W_Q)}),
        ("values_with_W_K", "The values are made with `W_K`, and `W_V` is never used.",
         {"new_v": lambda g: projected(g, g.W_K)}),
        ("queries_with_W_K", "The queries are made with `W_K`, and `W_Q` is never used.",
         {"q": lambda g: projected(g, g.W_K)})):
    wrong_attend(name, sentence, **other)
wrong_attend("mask_dropped", "The mask has no effect. Hand it on to `scaled_dot_product_attention`.",
             pair=lambda g: scaled_dot_product_attention(g.q, g.k, g.v))
wrong_attend("mask_inverted", "The mask is turned around: True means that a query may look. Hand it on as it is.",
             pair=lambda g: scaled_dot_product_attention(g.q, g.k, g.v, None if g.mask is None else ~g.mask))
for name, hidden in (("minus_infinity", lambda scores, mask: np.where(mask, scores, -np.inf)),
                     ("minus_1e9", lambda scores, mask: np.where(mask, scores, -1e9)),
                     ("minus_1e9_added", lambda scores, mask: scores + np.where(mask, 0, -1e9))):
    for kind, root in (("", math.sqrt), ("_and_numpys_root", np.sqrt)):     # NumPy's makes float64 of float32
        wrong_attend(f"by_hand_with_{name}{kind}", NOTHING_TO_LOOK_AT,
                     pair=lambda g, hidden=hidden, root=root: by_hand(g.q, g.k, g.v, g.mask, hidden, root))
wrong_attend("always_causal", "You make a causal mask, (T, T). Which positions may be looked at is for the caller to "
             "say, by `mask`, and it has S + T columns.", pair=lambda g: scaled_dot_product_attention(
                 g.q, g.k, g.v, causal_mask(g.x.shape[-2])))
wrong_attend("causal_where_there_is_none", "You make a causal mask where the caller gives none. None means that all "
             "may be looked at: hand it on as it is.", pair=lambda g: scaled_dot_product_attention(
                 g.q, g.k, g.v, last_rows(g) if g.mask is None else g.mask))
wrong_attend("last_rows_of_a_causal_mask", "You make the mask yourself, and the caller's has no effect. `mask` says "
             "which positions may be looked at, padding included.",
             pair=lambda g: scaled_dot_product_attention(g.q, g.k, g.v, last_rows(g)))
wrong_attend("mask_cut", MASK_AS_IT_IS, pair=lambda g: scaled_dot_product_attention(
    g.q, g.k, g.v, None if g.mask is None else g.mask[..., :g.x.shape[-2]]))
wrong_attend("mask_cut_at_the_end", MASK_AS_IT_IS, pair=lambda g: scaled_dot_product_attention(
    g.q, g.k, g.v, None if g.mask is None else g.mask[..., -g.x.shape[-2]:]))
wrong_attend("mask_with_an_axis", MASK_AS_IT_IS, pair=lambda g: scaled_dot_product_attention(
    g.q, g.k, g.v, None if g.mask is None else g.mask[None]))
wrong_attend("pair_not_unpacked", A_PAIR, output=lambda g: linear(merge_heads(g.pair), g.W_O))
wrong_attend("weights_for_output", "You go on with the weights. The output comes first: `output, _ = "
             "scaled_dot_product_attention(...)`.", output=lambda g: linear(merge_heads(g.pair[1]), g.W_O))
wrong_attend("without_W_O", "The heads are merged, and that is where you stop: `W_O` is missing. It mixes what the "
             "heads found.", output=lambda g: merge_heads(g.pair[0]))
wrong_attend("not_merged", MERGE_MISSING, output=lambda g: linear(g.pair[0], g.W_O))
wrong_attend("not_merged_by_hand", MERGE_MISSING, output=lambda g: g.pair[0] @ g.W_O)
wrong_attend("heads_stay", "The heads are neither merged nor sent through W_O. `linear(merge_heads(output), W_O)` "
             "brings them together.", output=lambda g: g.pair[0])
wrong_attend("merged_by_reshape", "The heads are put together by a reshape alone, and the numbers of different "
             "positions mix. `merge_heads` swaps H and T first.",
             output=lambda g: linear(g.pair[0].reshape(*g.x.shape[:-1], -1), g.W_O))
wrong_attend("W_O_turned", "`W_O` has a row for each of the H * d_v numbers already. Do not transpose it.",
             output=lambda g: linear(merge_heads(g.pair[0]), g.W_O.T))
wrong_attend("W_O_turned_by_hand", "`W_O` has a row for each of the H * d_v numbers already. Do not transpose it.",
             output=lambda g: merge_heads(g.pair[0]) @ g.W_O.T)
wrong_attend("scaled_twice", "The scores are divided by the root of d_k twice. `scaled_dot_product_attention` does it "
             "already.", q=lambda g: projected(g, g.W_Q) / math.sqrt(g.W_Q.shape[1] // g.n_heads))
wrong_attend("residual_inside", "x is added to the output. That is the residual connection: the block adds it, not "
             "this function.", output=lambda g: g.x + linear(merge_heads(g.pair[0]), g.W_O))
for name, second in (("weights", lambda g: g.pair[1]), ("cache", lambda g: g.cache)):
    wrong_attend(f"output_and_{name}", "Two things come back. Return the output alone: the cache is filled in its "
                 "place, and the weights are not asked for.",
                 output=lambda g, second=second: (linear(merge_heads(g.pair[0]), g.W_O), second(g)))
wrong_attend("cache_returned", "The cache comes back. Return the output: the cache is filled in its place.",
             output=lambda g: g.cache)
wrong_attend("last_position_only", "Only the last of the new positions has an output. Return that of all T.",
             output=lambda g: linear(merge_heads(g.pair[0]), g.W_O)[:, -1:])
wrong_attend("made_float64", "float32 became float64. Something in your function makes it, such as `np.zeros` without "
             "a dtype, or a root by `np.sqrt`.", output=lambda g: linear(merge_heads(g.pair[0]), g.W_O).astype(float))
wrong_attend("cache_stored_as_float64", CACHE_FLOAT64,
             stored=lambda g: g.cache.update(k=g.k.astype(float), v=g.v.astype(float)))
wrong_attend("cache_made_float64", CACHE_FLOAT64,
             k=lambda g: longer(g, "k", g.new_k).astype(float),
             v=lambda g: longer(g, "v", g.new_v).astype(float))


def by_hand(q, k, v, mask, hidden, root):
    """Attention of one's own: the output and the weights."""
    scores = q @ np.swapaxes(k, -1, -2) / root(q.shape[-1])
    weights = softmax(scores if mask is None else hidden(scores, mask))
    return weights @ v, weights


def appended(cache, name, new):
    cache.setdefault(name, []).append(new)
    return cache[name]


def kept_weights(cache, name, pair):
    cache[name] = pair[1]
    return pair


def overwrite(old, new):
    old[..., -new.shape[-2]:, :] = new[..., -old.shape[-2]:, :]
    return old


def last_rows(g):
    """The last rows of a causal mask over old and new positions."""
    T, both = g.q.shape[-2], g.k.shape[-2]
    return np.tri(T, both, both - T, dtype=bool)


@ATTEND_WITH_CACHE.alternative
def from_empty_arrays(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None):
    def new(W):
        return split_heads(x @ W, n_heads)
    nothing = {"k": new(W_K)[..., :0, :], "v": new(W_V)[..., :0, :]}
    for name, W in (("k", W_K), ("v", W_V)):
        cache[name] = np.append(cache.get(name, nothing[name]), new(W), axis=2)
    output = scaled_dot_product_attention(new(W_Q), cache["k"], cache["v"], mask)[0]
    return merge_heads(output) @ W_O


@ATTEND_WITH_CACHE.alternative
def by_try(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None):
    q, k, v = (linear(x, W).reshape(*x.shape[:2], n_heads, -1).transpose(0, 2, 1, 3) for W in (W_Q, W_K, W_V))
    try:
        k, v = np.concatenate((cache["k"], k), 2), np.concatenate((cache["v"], v), 2)
    except KeyError:
        pass
    cache.update({"v": v, "k": k})
    weights = softmax(np.where(True if mask is None else mask, q @ np.swapaxes(k, -1, -2) / math.sqrt(k.shape[-1]),
                               np.finfo(q.dtype).min))
    weights = weights if mask is None else weights * mask
    return np.einsum("bhts,bhsv,hvd->btd", weights, v, W_O.reshape(n_heads, -1, W_O.shape[1]))


@ATTEND_WITH_CACHE.alternative
def head_after_head(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None):
    heads = [split_heads(x @ W, n_heads) for W in (W_Q, W_K, W_V)]
    if "k" in cache:
        heads[1:] = [np.concatenate([cache[name], new], axis=-2) for name, new in zip("kv", heads[1:], strict=True)]
    q, cache["k"], cache["v"] = heads
    outputs = [scaled_dot_product_attention(q[:, h], cache["k"][:, h], cache["v"][:, h], (
        mask if mask is None or mask.ndim == 2 else mask[:, min(h, mask.shape[1] - 1)]))[0] for h in range(n_heads)]
    return np.concatenate(outputs, axis=-1) @ W_O


@ATTEND_WITH_CACHE.alternative
def into_longer_arrays(x, W_Q, W_K, W_V, W_O, n_heads, cache, mask=None):
    S, T = cache["k"].shape[2] if cache else 0, x.shape[1]
    for name, W in (("k", W_K), ("v", W_V)):
        new = split_heads(linear(x, W), n_heads)
        grown = np.zeros((len(x), n_heads, S + T, new.shape[-1]), dtype=x.dtype)
        if S:
            grown[:, :, :S] = cache[name]
        grown[:, :, S:] = new
        cache[name] = grown
    q = split_heads(linear(x, W_Q), n_heads)
    mask = np.ones((T, S + T), dtype=bool) if mask is None else mask
    output, _ = scaled_dot_product_attention(q, cache["k"], cache["v"], mask)
    return linear(merge_heads(output), W_O)
