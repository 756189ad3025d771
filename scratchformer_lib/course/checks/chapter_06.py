"""The exercises of chapter 06, the encoder."""
import functools
import math
from dataclasses import dataclass

import numpy as np

from ...attention import causal_mask, padding_mask
from ...block import dropout, feed_forward, gelu, layer_norm, relu
from ...embeddings import embed, positional_encoding
from ...encoder import embed_sequence, encoder, encoder_layer, layers_of, record_of
from ...multi_head import multi_head_attention
from ...softmax import log_softmax, softmax
from ..answers.chapter_06 import fill_blank, hop
from ..exercise import Case, Difference, Exercise, describe, shape_text
from .chapter_05 import Params, Seed, generator, normal, parameters

# ---- hop: many answers are right, so what is judged is where the questions get to ---------------------------------

LAYERS = 3


@dataclass(frozen=True)
class Story(Case):
    """hop(*args, **options), to be tried on rows of names: whom each asks about, is about, points to; None: nobody."""
    rows: tuple = ()


def hints(*pairs):
    return [(None, about, points) for about, points in pairs]


def question(name):
    return [(name, None, None)]


def hop_inputs():
    return [
        Story("four names in a chain, as in the text", (4,), rows=(*hints((0, 1), (1, 2), (2, 3)), *question(0))),
        Story("three names in a ring, the hints shuffled", (3,), rows=(*hints((1, 0), (0, 2), (2, 1)), *question(2))),
        Story("five names in a ring, two questions among the hints", (5,),
              rows=(*question(3), *hints((2, 4), (0, 2), (3, 0)), *question(1), *hints((1, 3), (4, 1)))),
        Story("six names, and three hints that point to the same one", (6,),
              rows=(*hints((5, 0), (3, 1), (1, 5), (4, 1), (2, 1)), *question(2))),
        Story("two names that point to each other", (2,), rows=(*hints((0, 1), (1, 0)), *question(1))),
        Story("sharpness 0: every row counts the same", (4,), {"sharpness": 0.0},
              rows=(*hints((2, 3), (0, 1)), *question(0), *hints((1, 2)))),
    ]


def laid_out(case):
    """The rows as an array (T, 3, n)."""
    x = np.zeros((len(case.rows), 3, case.args[0]))
    for row, names in zip(x, case.rows, strict=True):
        for part, name in zip(row, names, strict=True):
            if name is not None:
                part[name] = 1
    return x


def asking(case):
    return [t for t, names in enumerate(case.rows) if names[0] is not None]


def misshapen(case, shapes):
    """What is wrong with the four matrices; None if nothing is. shapes: of each by name, or words for what is there."""
    n = case.args[0]
    if not isinstance(shapes, dict) or set(shapes) != {"W_Q", "W_K", "W_V", "W_O"}:
        got = shapes if isinstance(shapes, str) else f"a dict of {', '.join(shapes) or 'nothing'}"
        return Difference(f"expected a dict of W_Q, W_K, W_V and W_O, got {got}")
    for name in ("W_Q", "W_K", "W_V", "W_O"):
        expected, axes = ((n, 3 * n), "n 3n") if name == "W_O" else ((3 * n, n), "3n n")
        if isinstance(shapes[name], str):
            return Difference(f"{name}: expected an array, got {shapes[name]}")
        if shapes[name] != expected:
            return Difference(f"{name}: expected shape {shape_text(expected, axes)}, got {shape_text(shapes[name])}")
    return None


def followed(case, matrices):
    """What becomes of the rows in three layers of this head; where the shapes of its matrices are wrong, the shapes.

    In float16, so that heads that do the same count as alike, whichever matrix has the sharpness.
    """
    if isinstance(matrices, dict):
        shapes = {str(k): W.shape if isinstance(W, np.ndarray) else describe(W) for k, W in matrices.items()}
    else:
        shapes = describe(matrices)
    if misshapen(case, shapes):
        return {"shapes": shapes}
    parts, asks, looks = laid_out(case), [], []
    x, n = parts.reshape(len(parts), -1), case.args[0]
    for _ in range(LAYERS):
        output, weights = multi_head_attention(x, x, **matrices, n_heads=1)
        x = x + output
        looks.append(weights[0])
        asks.append(x[asking(case), :n])
    seen = {"asks": np.stack(asks, axis=1),                 # (question, layer, name)
            "is about": x[:, n:2 * n], "points to": x[:, 2 * n:], "weights of layer 1": looks[0]}
    return {what: array.astype(np.float16) for what, array in seen.items()}


def judge_hops(case, seen):
    if "shapes" in seen:
        return misshapen(case, seen["shapes"])
    before = laid_out(case)
    for i, part in ((1, "is about"), (2, "points to")):
        off = ~(np.abs(seen[part] - before[:, i]) <= 0.05)
        if off.any():
            t = int(np.argmax(off.any(axis=1)))
            text = (f"the part \"{part}\" of row {t} changed on the way. A hop changes whom a row asks about, and "
                    f"nothing else (below, that part of all rows after {LAYERS} layers)")
            return Difference(text, before[:, i], seen[part].astype(float).round(3) + 0.0, off)
    if case.options.get("sharpness") == 0:
        return judge_even(case, before, seen["asks"])
    leads_to = {about: points for _, about, points in case.rows}
    expected = np.zeros(seen["asks"].shape)
    for i, t in enumerate(asking(case)):
        name = case.rows[t][0]
        for layer in range(LAYERS):
            name = leads_to[name]
            expected[i, layer, name] = 1
    off = ~(np.abs(seen["asks"] - expected) <= 0.05)
    if off.any():
        i, layer = (int(index) for index in np.argwhere(off)[0][:2])
        name = int(np.argmax(expected[i, layer]))
        asks = seen["asks"].astype(float).round(3) + 0.0
        found = asks[i, layer]
        largest = int(np.argmax(np.nan_to_num(np.abs(found), nan=-1)))
        text = (f"a question that began at name {case.rows[asking(case)[i]][0]} should ask about name {name} alone "
                f"after layer {layer + 1}: 1 there, 0 elsewhere. Yours has {found[name]:.3g} there"
                + (f", and {found[largest]:.3g} at name {largest}" if largest != name else "")
                + " (rows: after each layer; columns: names)")
        return Difference(text, expected, asks, off)
    return None


def judge_even(case, before, asks):
    value = (before[:, 2] - before[:, 1]).mean(axis=0)
    expected = before[asking(case), 0][:, None] + np.arange(1, LAYERS + 1)[:, None] * value
    off = ~(np.abs(asks - expected) <= 0.05)
    text = ("where all scores are 0, every row gets the same weight, and the mean of all values is added. Not so here "
            "(rows: after each layer; columns: names)")
    return Difference(text, expected, asks.astype(float).round(3) + 0.0, off) if off.any() else None


HOP = Exercise(hop, hop_inputs, judge=judge_hops, seen=followed)

NAMES_OF_FOUR = ("The caller writes `**hop(n)`, so the result has to be a dict, with the four names as keys: "
                 "`{\"W_Q\": W_Q, \"W_K\": W_K, \"W_V\": W_V, \"W_O\": W_O}`.")
ON_TOP = ("x @ W needs a row of W for each of the 3n numbers of a row of x. Put the three blocks on top of each other: "
          "`np.vstack`.")
ACROSS = ("W_O stands the wrong way: it takes n numbers and writes into 3n columns, (n, 3n). Put its three blocks side "
          "by side: `np.hstack`.")
WRITES_ELSEWHERE = ("W_O writes into another part than \"asks about\". That part comes first in a row, so the identity "
                    "is the first of the three blocks side by side.")
NOT_SHARP = ("The right row gets more weight than the others, but not nearly all of it. Multiply W_Q or W_K by "
             "`sharpness`.")
SIGN_TURNED = ("The sign of what is added is turned: it is \"is about\" minus \"points to\", by W_V or by W_O. The "
               "question is to lose the first and to win the second.")
OWN_SHARPNESS = "You take a sharpness of your own. The caller says which: use the argument."
SHARP_VALUES = ("What is found is multiplied by the sharpness, too. It makes the scores larger; the value is passed on "
                "as it is, so W_V and W_O have no part in it.")


def matrices(n, sharpness=30.0, Q="100", K="010", V="0-+", O="100"):                # noqa: E741
    """The four matrices by the blocks that they are made of: 1 or + is the identity, - its opposite, 0 zeros."""
    block = {"0": np.zeros((n, n)), "1": np.eye(n), "+": np.eye(n), "-": -np.eye(n)}
    W_Q, W_K, W_V, W_O = ([block[sign] for sign in signs] for signs in (Q, K, V, O))
    return {"W_Q": sharpness * np.vstack(W_Q), "W_K": np.vstack(W_K), "W_V": np.vstack(W_V), "W_O": np.hstack(W_O)}


def wrong_blocks(sentence, **blocks):
    """Register a head that is wrong in these blocks alone."""
    def head(n, sharpness=30.0):
        return matrices(n, sharpness, **blocks)
    head.__name__ = "_".join(["blocks", *(f"{name}_{signs}" for name, signs in blocks.items())])
    HOP.mistake(sentence)(head)


wrong_blocks("The question asks about two names now: the new one was added, and the old one is still there. Adding bob "
             "minus ann takes ann away: W_V needs a minus in the block that reads \"is about\".", V="00+")
wrong_blocks("You take away what the row that was found *asks* about, and that is nobody. What the question asks about "
             "is what the found row *is* about: the minus belongs in the second block of W_V.", V="-0+")
wrong_blocks(SIGN_TURNED, V="0+-")
wrong_blocks(SIGN_TURNED, O="-00")
wrong_blocks("The value is \"is about\", which is the name that the question has already. It gains where that row "
             "*points to*.", V="0+0")
wrong_blocks("The old name is taken away, and no new one comes: the block of W_V that reads \"points to\" is zero.",
             V="0-0")
wrong_blocks("You add both names of the row that was found. The one that it is about has to be subtracted: a minus in "
             "the second block of W_V.", V="0++")
wrong_blocks("The value reads all three parts. Only two matter: \"points to\", minus \"is about\".", V="1-+")
wrong_blocks("The value reads all three parts. Only two matter: \"points to\", minus \"is about\".", V="111")
wrong_blocks("The value is whom the found row asks about, and a hint asks about nobody. What is to be added is "
             "\"points to\", minus \"is about\".", V="100")
wrong_blocks("The keys are whom a row points to, so the question finds a hint that leads *to* its name, not on from "
             "it. The key is \"is about\".", K="001")
wrong_blocks("The keys are whom a row asks about, so the question finds itself. The key is \"is about\".", K="100")
wrong_blocks("The keys read two parts, and a hint that leads to the name fits as well as the one that leads on from "
             "it. Only \"is about\" is the key.", K="011")
wrong_blocks("The query is whom the row is about, and the question is about nobody: all its scores are 0. The query is "
             "\"asks about\".", Q="010")
wrong_blocks("The query is whom the row points to, and the question points to nobody: all its scores are 0. The query "
             "is \"asks about\".", Q="001")
wrong_blocks("W_Q and W_K have changed places. The query is \"asks about\" (what I look for), the key is \"is about\" "
             "(what I can be found by).", Q="010", K="100")
wrong_blocks("The chain is followed backwards: the keys are \"points to\", and the value is \"is about\" minus "
             "\"points to\". The question looks for the row that *is about* its name.", K="001", V="0+-")
wrong_blocks(WRITES_ELSEWHERE, O="010")
wrong_blocks(WRITES_ELSEWHERE, O="001")
wrong_blocks("W_O adds the value to all three parts, and the hints lose what they say. Only \"asks about\" may change: "
             "zeros in the other two blocks.", O="111")
wrong_blocks("W_O adds the value to \"asks about\" and takes it away elsewhere. Only \"asks about\" may change: zeros "
             "in the other two blocks.", O="1-0")
wrong_blocks("W_O is all zeros, so nothing is added. It passes the value on: the identity in the block for \"asks "
             "about\".", O="000")
wrong_blocks("The three parts stand in the opposite order. A row of x begins with \"asks about\", then \"is about\", "
             "then \"points to\".", Q="001", K="010", V="+-0", O="001")
wrong_blocks("The blocks of W_V stand one place too early: they read \"is about\" minus \"asks about\". The parts of a "
             "row are, in this order, \"asks about\", \"is about\", \"points to\".", V="-+0")


@HOP.mistake(NOT_SHARP)
def no_sharpness(n, sharpness=30.0):
    return matrices(n, 1.0)


@HOP.mistake("The sharpness stands in W_V, where it makes the value larger and not the scores. Multiply W_Q or W_K by "
             "it.")
def sharpness_on_the_values(n, sharpness=30.0):
    four = matrices(n, 1.0)
    return four | {"W_V": sharpness * four["W_V"]}


@HOP.mistake(OWN_SHARPNESS)
def sharpness_of_30(n, sharpness=30.0):
    return matrices(n)


@HOP.mistake(OWN_SHARPNESS)
def sharpness_of_1000(n, sharpness=30.0):
    return matrices(n, 1000.0)


@HOP.mistake(SHARP_VALUES)
def sharpness_on_the_values_too(n, sharpness=30.0):
    four = matrices(n, sharpness)
    return four | {"W_V": sharpness * four["W_V"]}


@HOP.mistake(SHARP_VALUES)
def sharpness_everywhere(n, sharpness=30.0):
    return {name: sharpness * W for name, W in matrices(n, 1.0).items()}


@HOP.mistake("You divide by the sharpness, and all weights come out nearly even. It multiplies the scores.")
def divided_by_sharpness(n, sharpness=30.0):
    return matrices(n, 1 / (sharpness or np.nan))


@HOP.mistake("You added the sharpness to every number of the matrix. It is a factor: `sharpness *`.")
def sharpness_added(n, sharpness=30.0):
    four = matrices(n, 1.0)
    return four | {"W_Q": sharpness + four["W_Q"]}


@HOP.mistake("The sign of the scores is turned: the row that fits got the least weight.")
def sign_of_the_scores(n, sharpness=30.0):
    return matrices(n, -sharpness)


@HOP.mistake("`np.ones` adds all names up, so that each is taken for every other. The identity, `np.eye`, keeps them "
             "apart.")
def ones_for_identity(n, sharpness=30.0):
    one, zero = np.ones((n, n)), np.zeros((n, n))
    return {"W_Q": sharpness * np.vstack([one, zero, zero]), "W_K": np.vstack([zero, one, zero]),
            "W_V": np.vstack([zero, -one, one]), "W_O": np.hstack([one, zero, zero])}


@HOP.mistake(ACROSS)
def W_O_turned(n, sharpness=30.0):
    return hop(n, sharpness) | {"W_O": np.vstack([np.eye(n), np.zeros((n, n)), np.zeros((n, n))])}


@HOP.mistake("W_O is (n, n), and the n numbers of the value have no place in a row of 3n. Two blocks of zeros beside "
             "the identity, `np.hstack`, say that they go to the first part.")
def W_O_of_one_block(n, sharpness=30.0):
    return hop(n, sharpness) | {"W_O": np.eye(n)}


@HOP.mistake(ON_TOP)
def side_by_side(n, sharpness=30.0):
    return {name: W if name == "W_O" else W.T for name, W in hop(n, sharpness).items()}


@HOP.mistake("`np.vstack` and `np.hstack` have changed places. x @ W needs a row of W for each of the 3n numbers of x: "
             "W_Q, W_K and W_V are stacked on top of each other, and W_O, which writes 3n numbers, side by side.")
def all_turned(n, sharpness=30.0):
    return {name: W.T for name, W in hop(n, sharpness).items()}


@HOP.mistake("Each matrix reads one part only, (n, n). A row of x has 3n numbers: zeros, `np.zeros`, for the parts "
             "that it does not read.")
def single_blocks(n, sharpness=30.0):
    return {name: np.eye(n) for name in ("W_Q", "W_K", "W_V", "W_O")}


@HOP.mistake("Your matrices are (3n, 3n). A query, a key and a value have n numbers each, one for every name: n "
             "columns in W_Q, W_K and W_V, n rows in W_O.")
def too_many_columns(n, sharpness=30.0):
    return {name: np.eye(3 * n) for name in ("W_Q", "W_K", "W_V", "W_O")}


@HOP.mistake(NAMES_OF_FOUR)
def a_tuple(n, sharpness=30.0):
    return tuple(hop(n, sharpness).values())


@HOP.mistake(NAMES_OF_FOUR)
def a_list(n, sharpness=30.0):
    return list(hop(n, sharpness).values())


@HOP.mistake("The keys have other names than `multi_head_attention` has for its arguments: W_Q, W_K, W_V, W_O.")
def other_names(n, sharpness=30.0):
    return {name[-1]: W for name, W in hop(n, sharpness).items()}


@HOP.mistake("The keys have other names than `multi_head_attention` has for its arguments: W_Q, W_K, W_V, W_O.")
def small_names(n, sharpness=30.0):
    return {name.lower(): W for name, W in hop(n, sharpness).items()}


@HOP.mistake("W_O is missing. Without it, the value has no way into the part \"asks about\".")
def no_W_O(n, sharpness=30.0):
    return {name: W for name, W in hop(n, sharpness).items() if name != "W_O"}


@HOP.mistake("`np.zeros(n, n)` takes the second number for the dtype. The shape is one argument, a tuple: "
             "`np.zeros((n, n))`.")
def shape_without_brackets(n, sharpness=30.0):
    return np.zeros(n, n)


@HOP.mistake("`np.vstack` and `np.hstack` take one argument, a list of arrays: `np.vstack([a, b, c])`.")
def no_list_for_vstack(n, sharpness=30.0):
    return np.vstack(np.eye(n), np.zeros((n, n)), np.zeros((n, n)))


@HOP.mistake("`np.vstack` and `np.hstack` take one argument, a list of arrays: `np.vstack([a, b, c])`.")
def no_list_for_hstack(n, sharpness=30.0):
    return np.hstack(np.eye(n), np.zeros((n, n)), np.zeros((n, n)))


@HOP.alternative
def sharpness_on_the_keys(n, sharpness=30.0):
    W_Q, W_K, W_V = np.zeros((3, 3 * n, n))
    W_Q[:n] = W_K[n:2 * n] = W_V[2 * n:] = np.eye(n)
    W_V[n:2 * n] -= np.eye(n)
    return {"W_O": np.eye(n, 3 * n), "W_Q": W_Q, "W_K": sharpness * W_K, "W_V": W_V}


@HOP.alternative
def signs_in_W_O(n, sharpness=30.0):
    return matrices(n, -sharpness, K="0-0", V="0+-", O="-00")


@HOP.alternative
def scaled_values_undone(n, sharpness=30.0):
    four = {name: W.astype(np.float32) for name, W in hop(n, 1.0).items()}
    root = math.sqrt(sharpness)
    return four | {"W_Q": root * four["W_Q"], "W_K": root * four["W_K"], "W_V": 4 * four["W_V"], "W_O": four["W_O"] / 4}


@HOP.alternative
def turned_by_any_rotation(n, sharpness=30.0):
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    four = hop(n, sharpness * math.sqrt(n))
    return {name: turn.T @ W if name == "W_O" else W @ turn for name, W in four.items()}


@HOP.alternative
def by_columns(n, sharpness=30.0):
    asks, about, points = np.split(np.eye(3 * n, dtype=int), 3, axis=1)
    return {"W_Q": sharpness * asks, "W_K": about, "W_V": points - about, "W_O": asks.T}


# ---- embed_sequence -----------------------------------------------------------------------------------------------

def embed_sequence_inputs():
    small = np.array([[1.0, 2, 3, 4], [0, 0, 0, 0], [-1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], [2, -2, 2, -2]])
    return [
        Case("three words, D=4", (np.array([2, 0, 4]), small), axes="T D"),
        Case("the same without scale", (np.array([2, 0, 4]), small), {"scale": False}, axes="T D"),
        Case("a batch, B=2, T=3, D=6", (np.array([[3, 1, 0], [2, 4, 4]]), normal(5, 6, seed=61)), axes="B T D"),
        Case("as many texts as words in each", (np.array([[3, 1, 0], [2, 4, 4], [1, 1, 1]]), normal(5, 6, seed=62)),
             axes="B T D"),
        Case("one text in a batch, without scale", (np.array([[5, 1, 0, 2]]), normal(7, 6, seed=63)), {"scale": False},
             axes="B T D"),
        Case("odd D, and a word that is repeated", (np.array([1, 1, 2, 1, 0, 2]), normal(3, 5, seed=64)), axes="T D"),
        Case("two leading axes", (np.arange(12).reshape(2, 2, 3) % 5, normal(5, 8, seed=65)), axes="A B T D"),
        Case("as many words as numbers in each", (np.array([1, 0, 5, 2, 2, 4]), normal(6, 6, seed=66)), axes="T D"),
        Case("a table of float32", (np.array([[2, 0, 1, 6], [1, 3, 3, 5]]), normal(7, 10, seed=67, dtype=np.float32)),
             axes="B T D"),
        Case("float32 without scale, transposed views",
             (np.array([[2, 0], [1, 3], [6, 5]], np.int32).T, normal(6, 7, seed=68, dtype=np.float32).T),
             {"scale": False}, axes="B T D"),
    ]


EMBED_SEQUENCE = Exercise(embed_sequence, embed_sequence_inputs)

ANY_AXES = ("ids may be one text (T,), a batch (B, T), or have more axes in front. The length is the last one: "
            "`np.shape(ids)[-1]`.")
OTHER_ROOT = "You take the root of another size. It is D, the last axis of the table: `table.shape[-1]`."
FLOAT64_ROOT = ("Your numbers are right, but a float32 table gives float64. `np.sqrt(D)` of a whole number is a "
                "float64 of NumPy's, and makes all float64. `math.sqrt(D)` is a plain Python number, and does not.")


def sizes(ids, table):
    return np.shape(ids)[-1], table.shape[-1]


def factor(scale, size):
    return math.sqrt(size) if scale else 1.0


def places(ids, table):
    return positional_encoding(*sizes(ids, table), table.dtype)


@EMBED_SEQUENCE.mistake("The words are not scaled. Where `scale` is true, multiply them by the root of D before the "
                        "positions are added.")
def never_scaled(ids, table, scale=True):
    return embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.mistake("You scale always. Where `scale` is False, the words' vectors are taken as they are.")
def always_scaled(ids, table, scale=True):
    return embed_sequence(ids, table)


@EMBED_SEQUENCE.mistake("`scale` is turned around: you multiply where it is False.")
def scaled_where_it_is_not_asked(ids, table, scale=True):
    return embed_sequence(ids, table, not scale)


@EMBED_SEQUENCE.mistake("`scale` is True or False, which count as 1 and 0 in a product: without scale your words "
                        "vanish. Choose the factor: `math.sqrt(D) if scale else 1.0`.")
def scale_as_a_number(ids, table, scale=True):
    return scale * math.sqrt(table.shape[-1]) * embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.mistake("`scale` is True or False, not the factor itself, and True counts as 1. The factor is the root "
                        "of D: `math.sqrt(D) if scale else 1.0`.")
def scale_as_the_factor(ids, table, scale=True):
    return scale * embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.mistake("You divide by the root of D. The words are made larger, so that the positions do not drown "
                        "them: multiply.")
def divided_by_the_root(ids, table, scale=True):
    return embed(ids, table) / factor(scale, table.shape[-1]) + places(ids, table)


@EMBED_SEQUENCE.mistake("You multiply by D. It is the root of D: `math.sqrt(D)`.")
def without_the_root(ids, table, scale=True):
    return embed(ids, table) * (table.shape[-1] if scale else 1) + places(ids, table)


@EMBED_SEQUENCE.mistake(OTHER_ROOT)
def root_of_the_length(ids, table, scale=True):
    return factor(scale, np.shape(ids)[-1]) * embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.mistake(OTHER_ROOT)
def root_of_n_vocab(ids, table, scale=True):
    return factor(scale, len(table)) * embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.mistake("The sum is scaled, and with it the positions. Only the words' vectors are; the positions are "
                        "added afterwards.")
def sum_scaled(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * (embed(ids, table) + places(ids, table))


@EMBED_SEQUENCE.mistake("You scale the positions. It is the words' vectors that are multiplied by the root of D.")
def positions_scaled(ids, table, scale=True):
    return embed(ids, table) + factor(scale, table.shape[-1]) * places(ids, table)


@EMBED_SEQUENCE.mistake("The positions are missing: add `positional_encoding`, or nobody can tell the order of the "
                        "words.")
def no_positions(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(ids, table)


@EMBED_SEQUENCE.mistake("The words are missing: only the positions come back.")
def positions_alone(ids, table, scale=True):
    return np.broadcast_to(places(ids, table), (*np.shape(ids), table.shape[-1]))


@EMBED_SEQUENCE.mistake("The positions are subtracted. They are added.")
def positions_subtracted(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(ids, table) - places(ids, table)


@EMBED_SEQUENCE.mistake("The words are multiplied by the positions. They are added.")
def positions_multiplied(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(ids, table) * places(ids, table)


@EMBED_SEQUENCE.mistake("The positions stand beside the words, so the vectors are twice as long. They are added, "
                        "number by number.")
def positions_beside(ids, table, scale=True):
    words = factor(scale, table.shape[-1]) * embed(ids, table)
    return np.concatenate([words, np.broadcast_to(places(ids, table), words.shape)], axis=-1)


@EMBED_SEQUENCE.mistake("Your positions begin at 1. The first word stands at position 0.")
def positions_from_1(ids, table, scale=True):
    length, D = sizes(ids, table)
    return factor(scale, D) * embed(ids, table) + positional_encoding(length + 1, D, table.dtype)[1:]


@EMBED_SEQUENCE.mistake("The positions run backwards: the first word got the last one.")
def positions_backwards(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(ids, table) + places(ids, table)[::-1]


@EMBED_SEQUENCE.mistake("You look the positions up by the words' ids, so a word gets the same one wherever it stands. "
                        "Where it stands in the text counts: `positional_encoding(T, D)` as it is, row by row.")
def positions_by_id(ids, table, scale=True):
    waves = positional_encoding(len(table), table.shape[-1], table.dtype)
    return factor(scale, table.shape[-1]) * embed(ids, table) + waves[ids]


@EMBED_SEQUENCE.mistake("All words got the same position. Each has its own row of `positional_encoding(T, D)`.")
def one_position_for_all(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(ids, table) + places(ids, table)[-1]


@EMBED_SEQUENCE.mistake("All words got the same position. Each has its own row of `positional_encoding(T, D)`.")
def first_position_for_all(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(ids, table) + places(ids, table)[0]


@EMBED_SEQUENCE.mistake("Each text of the batch got one position for all of its words: the positions run along the "
                        "batch. They run along the text, the last axis of ids.")
def positions_of_texts(ids, table, scale=True):
    words = factor(scale, table.shape[-1]) * embed(ids, table)
    if np.ndim(ids) == 1:
        return words + places(ids, table)
    return words + positional_encoding(ids.shape[-2], table.shape[-1], table.dtype)[:, None]


@EMBED_SEQUENCE.mistake("`len(ids)` is the number of texts where there is a batch. The number of words is the last "
                        "axis: `np.shape(ids)[-1]`.")
def as_many_positions_as_texts(ids, table, scale=True):
    D = table.shape[-1]
    return factor(scale, D) * embed(ids, table) + positional_encoding(len(ids), D, table.dtype)


@EMBED_SEQUENCE.mistake("`ids.size` counts the words of all texts together. Positions begin anew in each text: the "
                        "last axis, `np.shape(ids)[-1]`.")
def as_many_positions_as_ids(ids, table, scale=True):
    D = table.shape[-1]
    return factor(scale, D) * embed(ids, table) + positional_encoding(np.size(ids), D, table.dtype)


@EMBED_SEQUENCE.mistake("The positions go on from one text to the next. They begin anew in each text.")
def positions_go_on(ids, table, scale=True):
    D = table.shape[-1]
    waves = positional_encoding(np.size(ids), D, table.dtype).reshape(*np.shape(ids), D)
    return factor(scale, D) * embed(ids, table) + waves


@EMBED_SEQUENCE.mistake("There is one row of positions for each row of the table. There is one for each word of the "
                        "text: the length comes from ids.")
def as_many_positions_as_rows(ids, table, scale=True):
    D = table.shape[-1]
    return factor(scale, D) * embed(ids, table) + positional_encoding(len(table), D, table.dtype)


@EMBED_SEQUENCE.mistake("The arguments of `positional_encoding` have changed places: the length comes first, then D.")
def sizes_exchanged(ids, table, scale=True):
    length, D = sizes(ids, table)
    return factor(scale, D) * embed(ids, table) + positional_encoding(D, length, table.dtype)


@EMBED_SEQUENCE.mistake("The arguments of `positional_encoding` have changed places: the length comes first, then D.")
def sizes_exchanged_and_turned(ids, table, scale=True):
    length, D = sizes(ids, table)
    return factor(scale, D) * embed(ids, table) + positional_encoding(D, length, table.dtype).T


@EMBED_SEQUENCE.mistake("`positional_encoding` takes the number of positions, not the ids.")
def ids_for_length(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(ids, table) + positional_encoding(ids, table.shape[-1], table.dtype)


@EMBED_SEQUENCE.mistake("The arguments of `embed` have changed places: the ids come first, then the table.")
def table_first(ids, table, scale=True):
    return factor(scale, table.shape[-1]) * embed(table, ids) + places(ids, table)


@EMBED_SEQUENCE.mistake(ANY_AXES)
def two_axes_expected(ids, table, scale=True):
    B, T = ids.shape
    return factor(scale, table.shape[-1]) * embed(ids, table) + positional_encoding(T, table.shape[-1], table.dtype)


@EMBED_SEQUENCE.mistake(ANY_AXES)
def length_is_axis_1(ids, table, scale=True):
    D = table.shape[-1]
    return factor(scale, D) * embed(ids, table) + positional_encoding(ids.shape[1], D, table.dtype)


@EMBED_SEQUENCE.mistake("`len(table)` is the number of words in the vocabulary. D is the other axis: "
                        "`table.shape[-1]`.")
def n_vocab_for_D(ids, table, scale=True):
    length, n_vocab = np.shape(ids)[-1], len(table)
    return factor(scale, n_vocab) * embed(ids, table) + positional_encoding(length, n_vocab, table.dtype)


@EMBED_SEQUENCE.mistake(FLOAT64_ROOT)
def root_by_numpy(ids, table, scale=True):
    root = np.sqrt(table.shape[-1]) if scale else 1.0
    return root * embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.mistake(FLOAT64_ROOT)
def root_by_numpy_and_scale_by_where(ids, table, scale=True):
    return np.where(scale, np.sqrt(table.shape[-1]), 1.0) * embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.mistake("`positional_encoding` makes float32 unless you name a dtype, so a float64 table gets "
                        "positions that are right to seven digits only. Give it the table's: `table.dtype`.")
def positions_in_float32(ids, table, scale=True):
    length, D = sizes(ids, table)
    return factor(scale, D) * embed(ids, table) + positional_encoding(length, D)


@EMBED_SEQUENCE.mistake("You ask `positional_encoding` for float64, and a float32 table gives float64. Ask for the "
                        "table's own: `table.dtype`.")
def positions_in_float64(ids, table, scale=True):
    length, D = sizes(ids, table)
    return factor(scale, D) * embed(ids, table) + positional_encoding(length, D, np.float64)


@EMBED_SEQUENCE.mistake("You ask `positional_encoding` for the dtype of ids, and whole numbers cannot hold waves. Ask "
                        "for the table's: `table.dtype`.")
def positions_in_whole_numbers(ids, table, scale=True):
    length, D = sizes(ids, table)
    return factor(scale, D) * embed(ids, table) + positional_encoding(length, D, ids.dtype)


@EMBED_SEQUENCE.mistake("The result is always float32. It has the dtype of the table.")
def always_float32(ids, table, scale=True):
    return embed_sequence(ids, table.astype(np.float32), scale)


@EMBED_SEQUENCE.mistake("The result is always float32. It has the dtype of the table.")
def made_float32_at_the_end(ids, table, scale=True):
    return embed_sequence(ids, table, scale).astype(np.float32)


@EMBED_SEQUENCE.mistake("You scale the table itself, and at the next call its rows would be scaled again. Scale what "
                        "`embed` returns.")
def table_scaled(ids, table, scale=True):
    if scale:
        table *= math.sqrt(table.shape[-1])
    return embed(ids, table) + places(ids, table)


@EMBED_SEQUENCE.alternative
def step_by_step(ids, table, scale=True):
    x = table[ids]
    if scale:
        x *= np.sqrt(x.shape[-1])
    x += positional_encoding(x.shape[-2], x.shape[-1], np.float64)
    return x


@EMBED_SEQUENCE.alternative
def table_scaled_in_a_copy(ids, table, scale=True):
    rows = table * table.shape[1] ** 0.5 if scale else table
    return places(ids, table) + rows[ids]


@EMBED_SEQUENCE.alternative
def word_by_word(ids, table, scale=True):
    x = np.empty((*ids.shape, table.shape[1]), table.dtype)
    waves = places(ids, table)
    for place in np.ndindex(ids.shape):
        x[place] = (table.shape[1] ** 0.5) ** int(scale) * table[ids[place]] + waves[place[-1]]
    return x


# ---- encoder ------------------------------------------------------------------------------------------------------

def stack_of(n_layers, D, n_heads, d, F, seed, dtype=np.float64, final=False):
    layers = {f"layer_{i + 1}": parameters(D, n_heads, d, d, F, seed + 20 * i, dtype) for i in range(n_layers)}
    return Params(layers | (final_norm(D, seed + 500, dtype) if final else {}))


def final_norm(D, seed, dtype=np.float64):
    return {"norm": {"gamma": normal(D, seed=seed, scale=0.3, around=1.5, dtype=dtype),
                     "beta": normal(D, seed=seed + 1, dtype=dtype)}}


ALL_DROPPED = {"rate": 0.999999999, "rng": Seed(1)}         # the same however the reader's own dropout draws


def encoder_inputs():
    two, three = stack_of(2, 4, 2, 2, 5, seed=1000), stack_of(3, 6, 3, 2, 8, seed=2000)
    two_and_norm, three_and_norm = (Params(layers | final_norm(D, seed)) for layers, D, seed in
                                    ((two, 4, 1500), (three, 6, 2500)))
    in_float32 = stack_of(2, 6, 3, 2, 7, seed=3000, dtype=np.float32, final=True)
    mask = padding_mask(np.array([[5, 6, 7, 0], [5, 6, 0, 0]]), 0)
    recorded = {"x": "B S D", "record": {name: {"attention": "B H S S"} for name in three}}
    return [
        Case("two layers, post-norm; S=3, D=4, H=2", (normal(3, 4, seed=1), two, 2), axes="S D"),
        Case("two layers, pre-norm; S=3, D=4, H=2", (normal(3, 4, seed=1), two_and_norm, 2), {"pre_norm": True},
             axes="S D"),
        Case("three layers, a batch with padding; B=2, S=4, D=6, H=3", (normal(2, 4, 6, seed=2), three, 3),
             {"mask": mask}, axes="B S D"),
        Case("three layers, pre-norm, relu, a causal mask, the weights recorded",
             (normal(2, 4, 6, seed=3), three_and_norm, 3),
             {"mask": causal_mask(4), "pre_norm": True, "activation": relu, "record": {}}, axes=recorded),
        Case("three layers, the weights recorded", (normal(2, 4, 6, seed=4), three, 3), {"record": {}}, axes=recorded),
        Case("one layer, relu", (normal(2, 4, seed=5), Params(layer_1=two["layer_2"]), 2), {"activation": relu},
             axes="S D"),
        Case("float32, pre-norm, a transposed view", (normal(6, 3, 2, seed=6, dtype=np.float32).T, in_float32, 3),
             {"pre_norm": True}, axes="B S D"),
        Case("rate 0.5 without rng: nothing is dropped", (normal(3, 4, seed=7), two, 2), {"rate": 0.5}, axes="S D"),
        Case("training at a rate so close to 1 that all that layers add is dropped", (normal(3, 4, seed=8), two, 2),
             dict(ALL_DROPPED), axes="S D"),
        Case("training at a rate so close to 1 that all that layers add is dropped, pre-norm",
             (normal(3, 4, seed=9), two_and_norm, 2), {"pre_norm": True, **ALL_DROPPED}, axes="S D"),
    ]


def run_encoder(f, case):
    """f's x, with its record if one was given."""
    options = dict(case.options)
    if "rng" in options:
        options["rng"] = generator(options["rng"])
    if "record" in options:
        options["record"] = {}
    x = f(*case.args, **options)
    return {"x": x, "record": options["record"]} if "record" in options else x


ENCODER = Exercise(encoder, encoder_inputs, call=run_encoder)

NO_FINAL_NORM = ("`params[\"norm\"]` is there only for pre-norm. Unless `pre_norm` is true, nothing comes after the "
                 "last layer: its own norm was the last step.")
ONE_SET = ("Every layer works with the parameters of the same one. Each has its own: in the loop, take the layer that "
           "goes with the name.")
TOO_EARLY = ("The stack ends after its first layer: `return` stands inside the loop. Move it to the left, so that it "
             "comes after the last layer.")
NOT_DROPPED = ("Nothing is dropped while training: a layer needs both, `rate` and `rng`. Hand on what `encoder` was "
               "given.")
NOTHING_RECORDED = ("The record stays without weights. Each layer writes them into what it gets: hand on "
                    "`record_of(record, name)`, which is also the layer's place in the record.")
OTHER_ORDER = ("The arguments stand in another order than `encoder_layer` takes them: x, params, n_heads, mask, "
               "pre_norm, activation, rate, rng, record. With names it does not matter: `mask=mask`.")
WITHOUT_RECORD = ("`record` may be None, which means that nothing is recorded. `record_of(record, name)` takes care of "
                  "that.")
LAYERS_ONLY = ("`params` of a pre-norm stack holds \"norm\" as well, which is no layer. `layers_of(params)` gives the "
               "layers alone.")
PAIRS = ("`layers_of(params)` gives pairs. Take them apart in the loop: `for name, layer in layers_of(params)`, and "
         "hand on `layer`.")
REVERSED = "The layers run in the opposite order. The first comes first, as `layers_of` gives them."


def with_given(lines):
    """A full encoder: lines(x, names, run, end) puts it together. run(x, name, **other): one layer, with all that
    `encoder` was given, or with something other. end(x): the final norm, if there is one."""
    @functools.wraps(lines)
    def encoder(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
        def run(x, name, **other):
            given = {"n_heads": n_heads, "mask": mask, "pre_norm": pre_norm, "activation": activation, "rate": rate,
                     "rng": rng, "record": record_of(record, name)}
            return encoder_layer(x, params[name], **(given | other))

        def end(x):
            return layer_norm(x, **params["norm"]) if pre_norm else x

        return lines(x, [name for name, _ in layers_of(params)], run, end)
    return encoder


def wrong_stack(sentence):
    """Register lines as a mistake."""
    def register(lines):
        ENCODER.mistake(sentence)(with_given(lines))
        return lines
    return register


def wrong_end(sentence):
    """Register lines(x, params, pre_norm) as a mistake: what comes after the layers."""
    def register(lines):
        @functools.wraps(lines)
        def encoder_with_end(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                             record=None):
            for name, layer in layers_of(params):
                x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
            return lines(x, params, pre_norm)
        ENCODER.mistake(sentence)(encoder_with_end)
        return lines
    return register


def through(x, names, run, **other):
    for name in names:
        x = run(x, name, **other)
    return x


@wrong_stack("Each layer gets the stack's input, and only the last one's result comes back. Call both x, the input and "
             "the result: `x = encoder_layer(x, ...)`.")
def not_carried_on(x, names, run, end):
    for name in names:
        y = run(x, name)
    return end(y)


@wrong_stack("What the layers return is not used: x leaves the loop as it came. Keep it: `x = encoder_layer(x, ...)`.")
def results_thrown_away(x, names, run, end):
    for name in names:
        run(x, name)
    return end(x)


@wrong_stack(TOO_EARLY)
def return_in_the_loop(x, names, run, end):
    for name in names:
        return run(x, name)


@wrong_stack(TOO_EARLY)
def return_in_the_loop_after_the_norm(x, names, run, end):
    for name in names:
        return end(run(x, name))


@wrong_stack(REVERSED)
def in_the_opposite_order(x, names, run, end):
    return end(through(x, names[::-1], run))


@wrong_stack("The first layer is left out. `layers_of(params)` gives all of them, from `layer_1` on.")
def without_the_first(x, names, run, end):
    return end(through(x, names[1:], run))


@wrong_stack("The last layer is left out. `layers_of(params)` gives all of them: go through it to its end.")
def without_the_last(x, names, run, end):
    return end(through(x, names[:-1], run))


@wrong_stack("You add up what the layers return. The result of one is the input of the next, and what comes back is "
             "the last one's alone: each block adds to its input by itself.")
def results_added_up(x, names, run, end):
    total = 0
    for name in names:
        x = run(x, name)
        total = total + x
    return end(total)


@wrong_stack("x is added to what a layer returns. The block has its residual connections inside: `x = encoder_layer(x, "
             "...)`, and no sum.")
def added_once_more(x, names, run, end):
    for name in names:
        x = x + run(x, name)
    return end(x)


@wrong_stack("`x += ...` adds a second time, for the block has its residual connections inside, and it writes into the "
             "caller's array. Write `x = encoder_layer(x, ...)`.")
def added_in_place(x, names, run, end):
    for name in names:
        x += run(x, name)
    return end(x)


@wrong_stack("The stack's input is added at the end. The blocks have their residual connections inside, and the stack "
             "has none of its own.")
def residual_around_the_stack(x, names, run, end):
    return end(x + through(x, names, run))


@wrong_stack("A list of what all layers returned comes back. Asked for is what the last one returns.")
def all_results(x, names, run, end):
    results = []
    for name in names:
        x = run(x, name)
        results.append(x)
    return results


@wrong_stack("You normalize before the first layer. The final norm comes after the last one.")
def norm_in_front(x, names, run, end):
    return through(end(x), names, run)


@wrong_stack("You normalize before the first layer as well. The norm comes once, after the last one.")
def norm_on_both_sides(x, names, run, end):
    return end(through(end(x), names, run))


@wrong_stack("The final norm comes after every layer. It comes once, after the last one: take it out of the loop.")
def norm_in_the_loop(x, names, run, end):
    for name in names:
        x = end(run(x, name))
    return x


@wrong_stack("One vector comes back, the mean over the positions. Asked for is a vector for every position.")
def mean_over_positions(x, names, run, end):
    return end(through(x, names, run)).mean(axis=-2)


@wrong_stack("`mask` reaches the first layer only. Every layer needs it.")
def mask_for_the_first_only(x, names, run, end):
    x = run(x, names[0])
    return end(through(x, names[1:], run, mask=None))


for option, default, sentence in (
        ("mask", None, "`mask` does not reach the layers: everybody looks at padding, too. Hand it on: `mask=mask`."),
        ("pre_norm", False, "`pre_norm` does not reach the layers, which stay post-norm. Hand it on: "
                            "`pre_norm=pre_norm`."),
        ("pre_norm", True, "The layers are pre-norm whatever the caller says. Hand on the argument: "
                           "`pre_norm=pre_norm`."),
        ("activation", gelu, "`activation` does not reach the layers, which bend with gelu. Hand it on: "
                             "`activation=activation`."),
        ("activation", relu, "The layers bend with relu whatever the caller says. Hand on the argument: "
                             "`activation=activation`."),
        ("rate", 0.0, NOT_DROPPED),
        ("rng", None, NOT_DROPPED),
        ("n_heads", 1, "The layers have one head whatever the caller says. Hand on the argument, `n_heads`."),
        ("n_heads", 8, "The layers have eight heads whatever the caller says. Hand on the argument, `n_heads`.")):
    @wrong_stack(sentence)
    def own_option(x, names, run, end, option=option, default=default):
        return end(through(x, names, run, **{option: default}))


@wrong_stack(NOTHING_RECORDED)
def part_of_record_not_handed_on(x, names, run, end):
    return end(through(x, names, run, record=None))


@ENCODER.mistake("The layers get x, their parameters and `n_heads`, and nothing else. Hand on all that `encoder` was "
                 "given: `mask`, `pre_norm`, `activation`, `rate`, `rng`, and the layer's part of the record.")
def little_handed_on(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for _, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(NOTHING_RECORDED)
def record_not_handed_on(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                         record=None):
    for _, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("All layers write into the record itself, so each overwrites the one before. Give each its own part: "
                 "`record_of(record, name)`.")
def one_record_for_all(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                       record=None):
    for _, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("What the layers return stands in the record. What belongs there are the attention weights, and a "
                 "layer writes them itself: hand on `record_of(record, name)`.")
def results_recorded(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng)
        if record is not None:
            record[name] = x
    return layer_norm(x, **params["norm"]) if pre_norm else x


for first in (0, 1):
    @ENCODER.mistake("The parts of the record are numbered. Each has the name of its layer, as `layers_of` gives it: "
                     "`record_of(record, name)`.")
    def record_by_number(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                         record=None, first=first):
        for i, (_, layer) in enumerate(layers_of(params), first):
            x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, i))
        return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(WITHOUT_RECORD)
def record_written_into(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                        record=None):
    for name, layer in layers_of(params):
        record[name] = {}
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record[name])
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(WITHOUT_RECORD)
def record_set_by_default(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                          record=None):
    for name, layer in layers_of(params):
        part = record.setdefault(name, {})
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, part)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(ONE_SET)
def first_parameters_for_all(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                             record=None):
    for name, _ in layers_of(params):
        x = encoder_layer(x, params["layer_1"], n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(ONE_SET)
def last_parameters_for_all(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                            record=None):
    layers = layers_of(params)
    for name, _ in layers:
        x = encoder_layer(x, layers[-1][1], n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("You hand all of `params` to a layer. In the loop, take the layer's own: `for name, layer in "
                 "layers_of(params)`, then `encoder_layer(x, layer, ...)`.")
def all_parameters(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name, _ in layers_of(params):
        x = encoder_layer(x, params, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("You hand a layer its name. It needs its parameters: the second of each pair of `layers_of(params)`, "
                 "or `params[name]`.")
def name_for_parameters(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                        record=None):
    for name in params:
        x = encoder_layer(x, name, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(PAIRS)
def pair_for_parameters(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                        record=None):
    for layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, None)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(PAIRS)
def pair_for_name(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name in layers_of(params):
        x = encoder_layer(x, params[name], n_heads, mask, pre_norm, activation, rate, rng, None)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(PAIRS)
def pairs_as_a_dict(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name, layer in layers_of(params).items():
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(LAYERS_ONLY)
def norm_as_a_layer(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name, layer in params.items():
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(LAYERS_ONLY)
def as_many_as_params(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for i in range(len(params)):
        name = f"layer_{i + 1}"
        x = encoder_layer(x, params[name], n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("The layers' names are numbered from 1. `layers_of(params)` gives them, so that you need not count.")
def numbered_from_0(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for i in range(len(params)):
        x = encoder_layer(x, params[f"layer_{i}"], n_heads, mask, pre_norm, activation, rate, rng, record)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("A layer's parameters go to `encoder_layer` as one dict, without `**`.")
def unpacked(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name, layer in layers_of(params):
        x = encoder_layer(x, **layer, n_heads=n_heads, mask=mask, pre_norm=pre_norm, activation=activation, rate=rate,
                          rng=rng, record=record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(OTHER_ORDER)
def pre_norm_before_mask(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                         record=None):
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, pre_norm, mask, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(OTHER_ORDER)
def rng_before_rate(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rng, rate, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(OTHER_ORDER)
def without_activation_in_its_place(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                                    record=None):
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake(OTHER_ORDER)
def without_pre_norm_in_its_place(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                                  record=None):
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("You drop numbers of x before the first layer. The layers drop what they add, and x itself stays "
                 "whole.")
def input_dropped(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    return encoder(dropout(x, rate, rng), params, n_heads, mask, pre_norm, activation, rate, rng, record)


@ENCODER.mistake("You drop numbers of what the layers return, and with them x itself. The layers drop what they add; "
                 "no more is needed.")
def results_dropped(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for name, layer in layers_of(params):
        x = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
        x = dropout(x, rate, rng)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("You make a generator of your own where none is given, and numbers are dropped though nobody is "
                 "training. Hand on `rng` as it is, None as well.")
def own_generator(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    rng = np.random.default_rng(0) if rng is None else rng
    return encoder(x, params, n_heads, mask, pre_norm, activation, rate, rng, record)


@ENCODER.mistake("The result is always float64. It has the dtype of x: leave `dtype` away.")
def made_float64(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    x = np.array(x, dtype=np.float64)
    return encoder(x, params, n_heads, mask, pre_norm, activation, rate, rng, record)


@wrong_end("The final norm is missing, or what it returns is not used. With pre-norm nothing has normalized the "
           "stream, so `layer_norm` with `params[\"norm\"]` comes after the last layer.")
def never_normalized(x, params, pre_norm):
    return x


@wrong_end(NO_FINAL_NORM)
def always_normalized(x, params, pre_norm):
    return layer_norm(x, **params["norm"])


@wrong_end("The final norm comes in the wrong one of the two forms: it belongs to pre-norm, whose stream was never "
           "normalized.")
def normalized_unless_pre_norm(x, params, pre_norm):
    return x if pre_norm else layer_norm(x, **params["norm"])


@wrong_end("Unless `pre_norm` is true nothing comes back: `return x` is missing there.")
def returned_for_pre_norm_only(x, params, pre_norm):
    if pre_norm:
        return layer_norm(x, **params["norm"])


@wrong_end("For pre-norm nothing comes back: `return` is missing there.")
def returned_for_post_norm_only(x, params, pre_norm):
    if pre_norm:
        x = layer_norm(x, **params["norm"])
    else:
        return x


@wrong_end("`layer_norm` takes gamma and beta, and `params[\"norm\"]` is a dict of both. Two stars take it apart: "
           "`layer_norm(x, **params[\"norm\"])`.")
def norm_without_stars(x, params, pre_norm):
    return layer_norm(x, params["norm"]) if pre_norm else x


@wrong_end("The final norm works with the last layer's `norm_2`. It has its own: `params[\"norm\"]`.")
def norm_2_of_the_last(x, params, pre_norm):
    return layer_norm(x, **layers_of(params)[-1][1]["norm_2"]) if pre_norm else x


@wrong_end("The final norm has no gamma and no beta. They are in `params[\"norm\"]`.")
def norm_without_parameters(x, params, pre_norm):
    return layer_norm(x, np.ones(x.shape[-1], x.dtype), np.zeros(x.shape[-1], x.dtype)) if pre_norm else x


@wrong_end("What is normalized at the end is added to x once more. The final norm has no residual connection.")
def residual_around_the_norm(x, params, pre_norm):
    return x + layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.mistake("Two things come back. Asked for is x alone: the weights are in the record.")
def x_and_record(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    return encoder(x, params, n_heads, mask, pre_norm, activation, rate, rng, record), record


@ENCODER.mistake("`encoder_layer` returns x alone. The weights go to the record.")
def result_taken_apart(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                       record=None):
    for name, layer in layers_of(params):
        x, weights = encoder_layer(x, layer, n_heads, mask, pre_norm, activation, rate, rng, record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.alternative
def with_names_for_all(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                       record=None):
    given = {"n_heads": n_heads, "mask": mask, "pre_norm": pre_norm, "activation": activation, "rate": rate, "rng": rng}
    for name in dict(layers_of(params)):
        x = encoder_layer(x, params=params[name], record=record_of(record, name), **given)
    if "norm" in params:
        return layer_norm(x, params["norm"]["gamma"], params["norm"]["beta"])
    return x


@ENCODER.alternative
def by_reduce(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    def layer(x, pair):
        return encoder_layer(x, pair[1], n_heads, mask, pre_norm, activation, rate, rng, record_of(record, pair[0]))
    x = functools.reduce(layer, layers_of(params), x)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@ENCODER.alternative
def counted(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    for i in range(len(params) - ("norm" in params)):
        name = f"layer_{i + 1}"
        part = None if record is None else {}
        x = encoder_layer(x, params[name], n_heads, mask, pre_norm, activation, rate, rng, part)
        if record is not None:
            record[name] = part
    if pre_norm:
        x = layer_norm(x, **params["norm"])
    return x


@ENCODER.alternative
def with_a_dropout_that_draws_otherwise(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0,
                                        rng=None, record=None):
    def drop(y):
        return y if rng is None or rate == 0 else y * rng.binomial(1, 1 - rate, y.shape) / (1 - rate)
    for name, p in layers_of(params):
        look = layer_norm(x, **p["norm_1"]) if pre_norm else x
        added, weights = multi_head_attention(look, look, **p["attention"], n_heads=n_heads, mask=mask)
        if record is not None:
            record[name] = {"attention": weights}
        x = x + drop(added)
        x = x if pre_norm else layer_norm(x, **p["norm_1"])
        think = layer_norm(x, **p["norm_2"]) if pre_norm else x
        x = x + drop(feed_forward(think, **p["feed_forward"], activation=activation))
        x = x if pre_norm else layer_norm(x, **p["norm_2"])
    return layer_norm(x, **params["norm"]) if pre_norm else x


# ---- fill_blank ---------------------------------------------------------------------------------------------------

def fill_blank_inputs():
    table, W = normal(7, 4, seed=71), normal(4, 7, seed=72)
    in_float32 = [normal(*shape, seed=75, dtype=np.float32) for shape in ((5, 4), (4, 5))]
    params = stack_of(2, 4, 2, 2, 5, seed=4000, final=True)
    wide = stack_of(1, 6, 3, 2, 8, seed=5000, final=True)
    small = stack_of(1, 4, 1, 4, 5, seed=6000, dtype=np.float32, final=True)
    padded = np.array([3, 4, 5, 2, 0, 0])

    def case(title, ids, blank_id=3, table=table, params=params, n_heads=2, W=W, **options):
        return Case(title, (np.array(ids), blank_id, table.copy(), params, n_heads), {"W": W.copy(), **options}, "word")

    return [
        case("the blank in the middle; T=5, D=4, 7 words", [5, 1, 3, 6, 2]),
        case("the blank at the start", [3, 4, 0, 1, 5, 4]),
        case("the blank at the end", [4, 6, 1, 3]),
        case("a causal mask", [2, 5, 3, 1, 4], mask=causal_mask(5)),
        case("padding and its mask; the blank has another id", padded, 5, mask=padding_mask(padded, 0)),
        case("as many words in the text and in the vocabulary as numbers in each", [2, 4, 1, 3, 5, 2], 3,
             normal(6, 6, seed=73), wide, 3, normal(6, 6, seed=74)),
        case("large scores", [1, 3, 2], W=1000 * W),
        case("float32", [4, 3, 1, 2, 2], 3, in_float32[0], small, 1, in_float32[1]),
    ]


FILL_BLANK = Exercise(fill_blank, fill_blank_inputs)

NOT_THE_BLANK = ("You take the first word that is *not* the blank. `np.argmax(ids == blank_id)` is the place of the "
                 "only True; `argmin`, or `!=`, finds the others.")
ID_IS_NO_PLACE = ("`blank_id` is a number of the vocabulary, not a place in the text. Where it stands is "
                  "`np.argmax(ids == blank_id)`.")
AN_AXIS_LEFT = ("An axis of size 1 is left: an array of bools, or of places, picks a *matrix* of rows, if only of one. "
                "A single number picks one row: `np.argmax(ids == blank_id)`.")
NOT_TURNED = "W is (D, n_vocab) already: a vector of D numbers stands on its left, `vector @ W`."
ALL_SHARES = ("These are shares for every position, (T, n_vocab). Asked for are those at the blank: take its row.")
WHERE_IS_THE_BLANK = ("Arrays have no `index` and no `find`. Where `ids == blank_id` is True, there is the blank: "
                      "`np.argmax` finds the first True.")


def read(ids, table, params, n_heads, mask=None):
    return encoder(embed_sequence(ids, table), params, n_heads, mask, pre_norm=True)


def blank_of(ids, blank_id):
    return int(np.argmax(ids == blank_id))


@FILL_BLANK.mistake("These are the scores. Softmax makes shares of them.")
def scores_only(ids, blank_id, table, params, n_heads, W, mask=None):
    return read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)] @ W


@FILL_BLANK.mistake("Softmax runs over the positions (axis 0), and what comes back does not add up to 1. It runs over "
                    "the words, the last axis.")
def softmax_over_positions(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask) @ W, axis=0)[blank_of(ids, blank_id)]


@FILL_BLANK.mistake("These are the logarithms of the shares. Asked for are the shares: `softmax`.")
def logarithms(ids, blank_id, table, params, n_heads, W, mask=None):
    return log_softmax(scores_only(ids, blank_id, table, params, n_heads, W, mask))


@FILL_BLANK.mistake("This is the best word. Asked for are the shares of all words; the caller takes `argmax`.")
def best_word(ids, blank_id, table, params, n_heads, W, mask=None):
    return np.argmax(scores_only(ids, blank_id, table, params, n_heads, W, mask))


@FILL_BLANK.mistake("This is the share of one word. Asked for are the shares of all.")
def share_of_the_best(ids, blank_id, table, params, n_heads, W, mask=None):
    return fill_blank(ids, blank_id, table, params, n_heads, W, mask).max()


@FILL_BLANK.mistake("This is the share of one word. Asked for are the shares of all.")
def share_of_the_blank(ids, blank_id, table, params, n_heads, W, mask=None):
    return fill_blank(ids, blank_id, table, params, n_heads, W, mask)[blank_id]


@FILL_BLANK.mistake(ALL_SHARES)
def shares_everywhere(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask) @ W)


@FILL_BLANK.mistake("Softmax is taken of the vector, before W. W makes the scores, and softmax makes shares of those.")
def softmax_before_W(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)]) @ W


@FILL_BLANK.mistake("Softmax is taken twice. Shares of shares are all nearly alike: once is right.")
def softmax_twice(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(fill_blank(ids, blank_id, table, params, n_heads, W, mask))


@FILL_BLANK.mistake("You divide the scores by their sum. They may be negative: softmax makes shares of them.")
def divided_by_the_sum(ids, blank_id, table, params, n_heads, W, mask=None):
    scores = scores_only(ids, blank_id, table, params, n_heads, W, mask)
    return scores / scores.sum()


@FILL_BLANK.mistake("You divide the scores by the root of D. That belongs to attention; here they are used as they "
                    "are.")
def scores_divided(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(scores_only(ids, blank_id, table, params, n_heads, W, mask) / math.sqrt(len(W)))


@FILL_BLANK.mistake("Your own exponentials overflow for large scores. Use `softmax`, which subtracts the largest score "
                    "first.")
def exponentials_that_overflow(ids, blank_id, table, params, n_heads, W, mask=None):
    e = np.exp(scores_only(ids, blank_id, table, params, n_heads, W, mask))
    return e / e.sum()


@FILL_BLANK.mistake("You take the vector of the first position, as one does to judge a whole text. The one at the "
                    "blank is asked for: `np.argmax(ids == blank_id)` is its place.")
def first_position(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[0] @ W)


@FILL_BLANK.mistake("You take the vector of the last position, as one does to guess the next word. The one at the "
                    "blank is asked for: `np.argmax(ids == blank_id)` is its place.")
def last_position(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[-1] @ W)


@FILL_BLANK.mistake("You take the mean of the vectors of all positions. The one at the blank is asked for.")
def mean_of_vectors(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask).mean(axis=0) @ W)


@FILL_BLANK.mistake("You add up the vectors of all positions. The one at the blank is asked for.")
def sum_of_vectors(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask).sum(axis=0) @ W)


@FILL_BLANK.mistake("You take the mean of the shares of all positions. Those at the blank are asked for.")
def mean_of_shares(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask) @ W).mean(axis=0)


@FILL_BLANK.mistake("You take the position before the blank. What the encoder has read about the blank stands at its "
                    "own place.")
def one_before(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id) - 1] @ W)


@FILL_BLANK.mistake(NOT_THE_BLANK)
def by_argmin(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[np.argmin(ids == blank_id)] @ W)


@FILL_BLANK.mistake(NOT_THE_BLANK)
def by_unequal(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[np.argmax(ids != blank_id)] @ W)


@FILL_BLANK.mistake("`np.argmax(ids)` is the place of the largest id. The place of the blank is that of the only True "
                    "in `ids == blank_id`.")
def place_of_the_largest(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[np.argmax(ids)] @ W)


@FILL_BLANK.mistake("`np.max` of bools is True, not the place where it stands. That is `np.argmax`.")
def by_max(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[int(np.max(ids == blank_id))] @ W)


@FILL_BLANK.mistake(ID_IS_NO_PLACE)
def id_as_place(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[blank_id] @ W)


@FILL_BLANK.mistake("`ids[blank_id]` is the word at that place, not the place of the blank. That is "
                    "`np.argmax(ids == blank_id)`.")
def word_at_the_id(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[ids[blank_id]] @ W)


@FILL_BLANK.mistake("This is the blank's own row of the table, put through W. What the encoder returns at the blank's "
                    "place in the text is asked for.")
def row_of_the_table(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(table[blank_id] @ W)


@FILL_BLANK.mistake("The encoder is missing: the vector at the blank has read nothing of what stands around it.")
def no_encoder(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(embed_sequence(ids, table)[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("Only the words' vectors go in, without scale and positions. `embed_sequence` does all three.")
def embedded_without_positions(ids, blank_id, table, params, n_heads, W, mask=None):
    x = encoder(embed(ids, table), params, n_heads, mask, pre_norm=True)
    return softmax(x[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("The positions are missing. `embed_sequence` adds them.")
def scaled_without_positions(ids, blank_id, table, params, n_heads, W, mask=None):
    x = encoder(embed(ids, table) * math.sqrt(table.shape[1]), params, n_heads, mask, pre_norm=True)
    return softmax(x[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("The words are not scaled. `embed_sequence(ids, table)` scales them unless told not to.")
def embedded_without_scale(ids, blank_id, table, params, n_heads, W, mask=None):
    x = encoder(embed_sequence(ids, table, scale=False), params, n_heads, mask, pre_norm=True)
    return softmax(x[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("The positions are added twice: `embed_sequence` does it already.")
def positions_twice(ids, blank_id, table, params, n_heads, W, mask=None):
    x = embed_sequence(ids, table) + positional_encoding(*sizes(ids, table), table.dtype)
    return softmax(encoder(x, params, n_heads, mask, pre_norm=True)[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("The ids themselves go into the encoder. It takes vectors: `embed_sequence(ids, table)` makes "
                    "them.")
def ids_not_embedded(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(encoder(ids, params, n_heads, mask, pre_norm=True)[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("The arguments of `embed_sequence` have changed places: the ids come first, then the table.")
def table_for_ids(ids, blank_id, table, params, n_heads, W, mask=None):
    x = encoder(embed_sequence(table, ids), params, n_heads, mask, pre_norm=True)
    return softmax(x[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("Your encoder is post-norm. These are parameters of a pre-norm one: `pre_norm=True`.")
def post_norm(ids, blank_id, table, params, n_heads, W, mask=None):
    x = encoder(embed_sequence(ids, table), params, n_heads, mask)
    return softmax(x[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("`mask` does not reach the encoder. Hand it on.")
def mask_not_handed_on(ids, blank_id, table, params, n_heads, W, mask=None):
    return fill_blank(ids, blank_id, table, params, n_heads, W)


@FILL_BLANK.mistake("After n_heads, `encoder` takes the mask first, and then pre_norm. With a name it cannot go wrong: "
                    "`pre_norm=True`.")
def pre_norm_as_mask(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(encoder(embed_sequence(ids, table), params, n_heads, True, mask)[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("You hide what comes after a word. An encoder reads both sides; only the caller's mask counts.")
def always_causal(ids, blank_id, table, params, n_heads, W, mask=None):
    return fill_blank(ids, blank_id, table, params, n_heads, W, causal_mask(len(ids)))


@FILL_BLANK.mistake("You hide the blank from attention. It is a word like the others, and the others may look at it; "
                    "only the caller's mask counts.")
def blank_masked(ids, blank_id, table, params, n_heads, W, mask=None):
    return fill_blank(ids, blank_id, table, params, n_heads, W, padding_mask(ids, blank_id))


@FILL_BLANK.mistake("The encoder has one head whatever the caller says. Hand on `n_heads`.")
def one_head(ids, blank_id, table, params, n_heads, W, mask=None):
    return fill_blank(ids, blank_id, table, params, 1, W, mask)


@FILL_BLANK.mistake("The blank is taken out before the encoder reads, and with it the place where its vector would "
                    "stand. Leave it in: it is a word like the others.")
def blank_taken_out(ids, blank_id, table, params, n_heads, W, mask=None):
    x = read(ids[ids != blank_id], table, params, n_heads, mask)
    return softmax(x[blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake("Only the blank goes into the encoder. It takes the whole text, so that the blank can read what "
                    "stands around it.")
def blank_alone(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids[ids == blank_id], table, params, n_heads)[0] @ W)


@FILL_BLANK.mistake("You stop reading at the blank. What comes after it counts as well: that is what the encoder is "
                    "for.")
def text_cut_off(ids, blank_id, table, params, n_heads, W, mask=None):
    T = blank_of(ids, blank_id) + 1
    return softmax(read(ids[:T], table, params, n_heads, mask if mask is None else mask[..., :T, :T])[-1] @ W)


@FILL_BLANK.mistake("The blank's own share is set to 0. Here all words have one, and the blank is a word like the "
                    "others.")
def without_share_of_the_blank(ids, blank_id, table, params, n_heads, W, mask=None):
    shares = fill_blank(ids, blank_id, table, params, n_heads, W, mask)
    shares[blank_id] = 0
    return shares


@FILL_BLANK.mistake("The blank's own share is set to 0, and the others are enlarged. Here all words have one, and the "
                    "blank is a word like the others.")
def shares_of_the_other_words(ids, blank_id, table, params, n_heads, W, mask=None):
    shares = without_share_of_the_blank(ids, blank_id, table, params, n_heads, W, mask)
    return shares / shares.sum()


@FILL_BLANK.mistake(AN_AXIS_LEFT)
def by_bools(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[ids == blank_id] @ W)


@FILL_BLANK.mistake(AN_AXIS_LEFT)
def by_argwhere(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[np.argwhere(ids == blank_id)] @ W)


@FILL_BLANK.mistake("`x[:, place]` takes a column of x, one number of each position. A position is a row: `x[place]`.")
def column_for_row(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[:, blank_of(ids, blank_id)] @ W)


@FILL_BLANK.mistake(WHERE_IS_THE_BLANK)
def by_index_of_a_list(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[ids.index(blank_id)] @ W)


@FILL_BLANK.mistake(WHERE_IS_THE_BLANK)
def by_find(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[ids.find(blank_id)] @ W)


@FILL_BLANK.mistake(NOT_TURNED)
def W_turned(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)] @ W.T)


@FILL_BLANK.mistake(NOT_TURNED)
def W_in_front(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(W @ read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)])


@FILL_BLANK.mistake("You multiply by the table turned around. Many models do; here W makes the scores.")
def table_for_W(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)] @ table.T)


@FILL_BLANK.mistake("W is missing: these are D numbers of the vector. Multiplied by W, it gives a score for each of "
                    "the n_vocab words.")
def no_W(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)])


@FILL_BLANK.mistake("`*` multiplies number by number. A score is a sum of products: `vector @ W`.")
def star_for_product(ids, blank_id, table, params, n_heads, W, mask=None):
    return softmax(read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)] * W)


@FILL_BLANK.mistake("float32 became float64. Something in your function makes it: a `dtype=float`, or `np.zeros` "
                    "without a dtype.")
def made_float64_on_the_way(ids, blank_id, table, params, n_heads, W, mask=None):
    vector = np.zeros(len(W))
    vector[:] = read(ids, table, params, n_heads, mask)[blank_of(ids, blank_id)]
    return softmax(vector @ W)


@FILL_BLANK.alternative
def row_of_all_shares(ids, blank_id, table, params, n_heads, W, mask=None):
    shares = softmax(read(ids, table, params, n_heads, mask) @ W)
    return shares[list(ids).index(blank_id)]


@FILL_BLANK.alternative
def by_nonzero(ids, blank_id, table, params, n_heads, W, mask=None):
    x = encoder(embed_sequence(ids, table), params, n_heads, mask=mask, pre_norm=True)
    return np.exp(log_softmax(x[np.nonzero(ids == blank_id)[0][0]] @ W))


@FILL_BLANK.alternative
def by_bools_and_a_sum(ids, blank_id, table, params, n_heads, W, mask=None):
    x = read(ids, table, params, n_heads, mask)
    return softmax((x * (ids == blank_id)[:, None]).sum(axis=0) @ W)


@FILL_BLANK.alternative
def by_bools_and_the_only_row(ids, blank_id, table, params, n_heads, W, mask=None):
    [vector] = read(ids, table, params, n_heads, mask)[ids == blank_id]
    return softmax(W.T @ vector)


@FILL_BLANK.alternative
def as_a_batch_of_one(ids, blank_id, table, params, n_heads, W, mask=None):
    mask = mask if mask is None or mask.ndim == 2 else mask[None]
    return softmax(read(ids[None], table, params, n_heads, mask)[0, blank_of(ids, blank_id)] @ W)
