"""The exercises of chapter 07, the decoder."""
import functools
import inspect
import itertools
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from ...attention import causal_mask, combine_masks, padding_mask, scaled_dot_product_attention
from ...block import dropout, feed_forward, gelu, layer_norm, relu
from ...decoder import decoder, decoder_layer
from ...encoder import layers_of, record_of
from ...multi_head import multi_head_attention
from ...softmax import softmax
from ..answers.chapter_07 import cross_attention_inputs, future_leak
from ..exercise import Case, Difference, Exercise, compare, describe
from . import chapter_06
from .chapter_05 import Params, Seed, fits, generator, normal, parameters
from .chapter_06 import ALL_DROPPED, final_norm, run_encoder

# ---- cross_attention_inputs ---------------------------------------------------------------------------------------

def sequences(T, S, D, D_source, d_k, d_v, seed, leading=()):
    """target, source, W_Q, W_K, W_V"""
    sizes = [(*leading, T, D), (*leading, S, D_source), (D, d_k), (D_source, d_k), (D_source, d_v)]
    return tuple(normal(*size, seed=seed + i) for i, size in enumerate(sizes))


def cross_attention_cases():
    plain, batch = ("T d_k", "S d_k", "S d_v"), ("B T d_k", "B S d_k", "B S d_v")
    views = [(6, 4, 2), (5, 3, 2), (7, 6), (7, 5), (8, 5)]
    return [
        Case("small whole numbers; T=3, S=2, all other sizes 2",
             (np.array([[1.0, 0], [2, 1], [0, -1]]), np.array([[3.0, 1], [-2, 0]]), np.array([[1.0, 2], [0, 1]]),
              np.array([[0.0, 1], [-1, 2]]), np.array([[2.0, 0], [1, -3]])), axes=plain),
        Case("T=4, S=2, D=3, D_source=5, d_k=6, d_v=7", sequences(4, 2, 3, 5, 6, 7, seed=1), axes=plain),
        Case("sequences of the same size; T=S=4, D=D_source=5, d_k=d_v=3", sequences(4, 4, 5, 5, 3, 3, seed=10),
             axes=plain),
        Case("a batch, B=2", sequences(3, 4, 5, 6, 2, 7, seed=20, leading=(2,)), axes=batch),
        Case("a batch of as many as there are words", sequences(3, 3, 4, 4, 4, 4, seed=30, leading=(3,)), axes=batch),
        Case("two leading axes", sequences(2, 4, 5, 3, 6, 7, seed=40, leading=(3, 2)),
             axes=("A B T d_k", "A B S d_k", "A B S d_v")),
        Case("float32, transposed views",
             tuple(normal(*size, seed=50 + i, dtype=np.float32).T for i, size in enumerate(views)), axes=batch),
    ]


CROSS_ATTENTION_INPUTS = Exercise(cross_attention_inputs, cross_attention_cases)

OWN_MATRIX = ("Two of the three are made by the same matrix. Each role has its own: `W_Q` makes queries, `W_K` keys, "
              "`W_V` values.")
IN_THIS_ORDER = "The three stand in another order. The queries come first, then the keys, then the values: `q, k, v`."
K_AND_V = ("Keys and values have changed places, in the tuple or by their matrices. Second come the keys, `source @ "
           "W_K`; third the values, `source @ W_V`.")
THREE_THINGS = "Three things are asked for, `q, k, v`, and fewer come back."
ON_THE_RIGHT = ("The words are the rows of a sequence, so the matrix stands on the right: `target @ W_Q`, and so for "
                "the others.")
NOT_ATTENTION = ("You go on and attend. Asked for is what goes into attention, the tuple `q, k, v`; what comes out of "
                 "it is the next step.")
NOT_ONE_ARRAY = ("The three do not fit into one array: there are T queries, but S keys and values. Return a tuple, "
                 "`q, k, v`.")
NO_MATRICES = ("The sequences come back as they are. Each role has a matrix: what is asked is `target @ W_Q`, and so "
               "on.")
VALUES_OF_KEYS = ("The values are made of the keys. They are made of the source itself, as the keys are: `source @ "
                  "W_V`.")
SEQUENCE_ADDED = ("The sequence is added to what the matrix makes of it. Queries, keys and values are the products "
                  "alone; the sum with x belongs to the layer.")
KEYS_TURNED = ("The keys lie on their side, (..., d_k, S). Attention turns them itself when it makes the scores: a row "
               "for each word of the source.")
READS_ONLY_THE_SOURCE = ("Keys and values come from both sequences. Only the source is read here; among themselves, "
                         "the target's words look in self-attention.")


def wrong_products(sentence, *codes):
    """Register answers by what is multiplied: "tQ sK sV" is the right one."""
    for code in codes:
        def products(target, source, W_Q, W_K, W_V, code=code):
            sequence, matrix = {"t": target, "s": source}, {"Q": W_Q, "K": W_K, "V": W_V}
            return tuple(sequence[s] @ matrix[m] for s, m in code.split())
        products.__name__ = code.replace(" ", "_")
        CROSS_ATTENTION_INPUTS.mistake(sentence)(products)


wrong_products("The two sequences have changed places: here the source asks, and the target is asked. Whoever writes "
               "asks: the queries come from the target, keys and values from the source.", "sQ tK tV")
wrong_products("All three come from the target. That is self-attention, and the source is never read: keys and values "
               "come from it.", "tQ tK tV")
wrong_products("All three come from the source, and the words that are being written ask nothing. The queries come "
               "from the target.", "sQ sK sV")
wrong_products("The values come from the target. What is handed over belongs to who is asked: the source.", "tQ sK tV")
wrong_products("The keys come from the target. They are what the words of the source are found by.", "tQ tK sV")
wrong_products("The queries come from the source, and so do the values. Whoever writes asks, and whoever is read hands "
               "over: queries from the target, keys and values from the source.", "sQ tK sV")
wrong_products(K_AND_V, "tQ sV sK")
wrong_products("The matrices of queries and keys have changed places: `W_Q` makes queries, `W_K` keys.", "tK sQ sV")
wrong_products(IN_THIS_ORDER, "sK tQ sV", "sK sV tQ", "sV sK tQ", "sV tQ sK")
wrong_products("The three stand in another order, and the values come from the target. The queries come first, then "
               "the keys, then the values, which the source hands over.", "sK tQ tV")
wrong_products(OWN_MATRIX, "tQ sQ sV", "tQ sQ sQ", "tQ sK sK", "tQ sV sV", "tK sK sV")
wrong_products(THREE_THINGS, "tQ sK", "sK sV", "tQ")


@CROSS_ATTENTION_INPUTS.mistake(THREE_THINGS)
def queries_alone(target, source, W_Q, W_K, W_V):
    return target @ W_Q


@CROSS_ATTENTION_INPUTS.mistake("The matrices are (D, d_k), (D_source, d_k) and (D_source, d_v) already, with the "
                                "first size where `@` wants it. Do not transpose them.")
def matrices_turned(target, source, W_Q, W_K, W_V):
    return target @ W_Q.T, source @ W_K.T, source @ W_V.T


@CROSS_ATTENTION_INPUTS.mistake(ON_THE_RIGHT)
def matrices_on_the_left(target, source, W_Q, W_K, W_V):
    return W_Q @ target, W_K @ source, W_V @ source


@CROSS_ATTENTION_INPUTS.mistake(ON_THE_RIGHT)
def words_as_columns(target, source, W_Q, W_K, W_V):
    return tuple(W.T @ np.swapaxes(x, -1, -2) for x, W in ((target, W_Q), (source, W_K), (source, W_V)))


@CROSS_ATTENTION_INPUTS.mistake("`*` multiplies number by number. A projection is a matrix product: `target @ W_Q`.")
def number_by_number(target, source, W_Q, W_K, W_V):
    return target * W_Q, source * W_K, source * W_V


@CROSS_ATTENTION_INPUTS.mistake("You divide by the root of d_k. Attention does that itself; q is `target @ W_Q` as it "
                                "is.")
def divided_by_the_root(target, source, W_Q, W_K, W_V):
    return target @ W_Q / math.sqrt(W_Q.shape[1]), source @ W_K, source @ W_V


@CROSS_ATTENTION_INPUTS.mistake(KEYS_TURNED)
def keys_turned(target, source, W_Q, W_K, W_V):
    return target @ W_Q, np.swapaxes(source @ W_K, -1, -2), source @ W_V


@CROSS_ATTENTION_INPUTS.mistake(KEYS_TURNED)
def keys_turned_by_T(target, source, W_Q, W_K, W_V):
    return target @ W_Q, (source @ W_K).T, source @ W_V


@CROSS_ATTENTION_INPUTS.mistake(NOT_ATTENTION)
def output_and_weights(target, source, W_Q, W_K, W_V):
    return scaled_dot_product_attention(target @ W_Q, source @ W_K, source @ W_V)


@CROSS_ATTENTION_INPUTS.mistake(NOT_ATTENTION)
def output(target, source, W_Q, W_K, W_V):
    return output_and_weights(target, source, W_Q, W_K, W_V)[0]


@CROSS_ATTENTION_INPUTS.mistake(NOT_ATTENTION)
def scores(target, source, W_Q, W_K, W_V):
    return target @ W_Q @ np.swapaxes(source @ W_K, -1, -2)


@CROSS_ATTENTION_INPUTS.mistake(NOT_ONE_ARRAY)
def as_one_array(target, source, W_Q, W_K, W_V):
    return np.array([target @ W_Q, source @ W_K, source @ W_V])


@CROSS_ATTENTION_INPUTS.mistake(NOT_ONE_ARRAY)
def stacked(target, source, W_Q, W_K, W_V):
    return np.stack([target @ W_Q, source @ W_K, source @ W_V])


@CROSS_ATTENTION_INPUTS.mistake(NOT_ONE_ARRAY)
def side_by_side(target, source, W_Q, W_K, W_V):
    return np.concatenate([target @ W_Q, source @ W_K, source @ W_V], axis=-1)


@CROSS_ATTENTION_INPUTS.mistake("This is a dict. Return a tuple, `q, k, v`.")
def as_a_dict(target, source, W_Q, W_K, W_V):
    return {"q": target @ W_Q, "k": source @ W_K, "v": source @ W_V}


@CROSS_ATTENTION_INPUTS.mistake(NO_MATRICES)
def sequences_themselves(target, source, W_Q, W_K, W_V):
    return target, source, source


@CROSS_ATTENTION_INPUTS.mistake(NO_MATRICES)
def only_queries_made(target, source, W_Q, W_K, W_V):
    return target @ W_Q, source, source


@CROSS_ATTENTION_INPUTS.mistake(READS_ONLY_THE_SOURCE)
def both_are_read(target, source, W_Q, W_K, W_V):
    both = np.concatenate([source, target], axis=-2)
    return target @ W_Q, both @ W_K, both @ W_V


@CROSS_ATTENTION_INPUTS.mistake(READS_ONLY_THE_SOURCE)
def both_are_read_target_first(target, source, W_Q, W_K, W_V):
    both = np.concatenate([target, source], axis=-2)
    return target @ W_Q, both @ W_K, both @ W_V


@CROSS_ATTENTION_INPUTS.mistake(VALUES_OF_KEYS)
def source_overwritten(target, source, W_Q, W_K, W_V):
    q = target @ W_Q
    source = k = source @ W_K
    return q, k, source @ W_V


@CROSS_ATTENTION_INPUTS.mistake(VALUES_OF_KEYS)
def values_of_keys(target, source, W_Q, W_K, W_V):
    k = source @ W_K
    return target @ W_Q, k, k @ W_V.T


@CROSS_ATTENTION_INPUTS.mistake("The values are the source as it is. They have a matrix as well: `source @ W_V`.")
def source_for_values(target, source, W_Q, W_K, W_V):
    return target @ W_Q, source @ W_K, source


@CROSS_ATTENTION_INPUTS.mistake("There is a softmax too many. Attention has one, over the scores; q, k and v are the "
                                "products as they are.")
def softmax_of_the_queries(target, source, W_Q, W_K, W_V):
    return softmax(target @ W_Q), source @ W_K, source @ W_V


@CROSS_ATTENTION_INPUTS.mistake("Where there are axes in front, einsum needs three dots for them: "
                                "`np.einsum(\"...td,dk->...tk\", target, W_Q)`.")
def einsum_without_dots(target, source, W_Q, W_K, W_V):
    return tuple(np.einsum("td,dk->tk", x, W) for x, W in ((target, W_Q), (source, W_K), (source, W_V)))


@CROSS_ATTENTION_INPUTS.mistake(SEQUENCE_ADDED)
def with_the_target_added(target, source, W_Q, W_K, W_V):
    return target + target @ W_Q, source @ W_K, source @ W_V


@CROSS_ATTENTION_INPUTS.mistake(SEQUENCE_ADDED)
def with_the_source_added(target, source, W_Q, W_K, W_V):
    return target @ W_Q, source + source @ W_K, source + source @ W_V


@CROSS_ATTENTION_INPUTS.mistake(SEQUENCE_ADDED)
def with_the_sequence_added(target, source, W_Q, W_K, W_V):
    return target + target @ W_Q, source + source @ W_K, source + source @ W_V


@CROSS_ATTENTION_INPUTS.mistake("float32 became float64. Something in your function makes it: a `dtype=float`, or "
                                "`np.zeros` without a dtype.")
def made_float64(target, source, W_Q, W_K, W_V):
    return tuple(y.astype(float) for y in cross_attention_inputs(target, source, W_Q, W_K, W_V))


@CROSS_ATTENTION_INPUTS.alternative
def by_matmul(target, source, W_Q, W_K, W_V):
    return [np.matmul(x, W) for x, W in ((target, W_Q), (source, W_K), (source, W_V))]


@CROSS_ATTENTION_INPUTS.alternative
def by_einsum(target, source, W_Q, W_K, W_V):
    q = np.einsum("...td,dk->...tk", target, W_Q)
    k, v = (np.einsum("...sd,dk->...sk", source, W) for W in (W_K, W_V))
    return q, k, v


@CROSS_ATTENTION_INPUTS.alternative
def keys_and_values_at_once(target, source, W_Q, W_K, W_V):
    k, v = np.split(source @ np.hstack([W_K, W_V]), [W_K.shape[1]], axis=-1)
    return target @ W_Q, k, v


@CROSS_ATTENTION_INPUTS.alternative
def by_dot(target, source, W_Q, W_K, W_V):
    return np.dot(target, W_Q), np.dot(source, W_K), np.tensordot(source, W_V, axes=1)


@CROSS_ATTENTION_INPUTS.alternative
def word_by_word(target, source, W_Q, W_K, W_V):
    def project(x, W):
        y = np.empty((*x.shape[:-1], W.shape[1]), x.dtype)
        for place in np.ndindex(x.shape[:-1]):
            y[place] = W.T @ x[place]
        return y
    return project(target, W_Q), project(source, W_K), project(source, W_V)


# ---- decoder_layer ------------------------------------------------------------------------------------------------

ALL_PARTS = ("self_attention", "cross_attention", "feed_forward")


def layer_parameters(*sizes, **options):
    drawn = layer_drawn_once(*sizes, **options)
    return Params({part: {name: W.copy() for name, W in matrices.items()} for part, matrices in drawn.items()})


@functools.cache                        # a check asks for its cases a hundred times
def layer_drawn_once(D, n_heads, d_k, d_v, F, seed, dtype=np.float64, D_memory=None):
    """D_memory: the size of the memory's vectors, where it is not D."""
    block, more = (parameters(D, n_heads, d_k, d_v, F, seed + i, dtype) for i in (0, 50))
    reads = more["attention"]
    for i, (name, d) in enumerate((("W_K", d_k), ("W_V", d_v)) if D_memory else ()):
        reads[name] = normal(D_memory, n_heads * d, seed=seed + 70 + i, scale=0.6, dtype=dtype)
    return {"self_attention": block["attention"], "norm_1": block["norm_1"], "cross_attention": reads,
            "norm_2": block["norm_2"], "feed_forward": block["feed_forward"], "norm_3": more["norm_1"]}


def apart(params):
    """The same parameters, but each part adds to two columns of its own, and none to the rest. The norms stretch and
    shift all columns alike."""
    new = {part: {name: W.copy() for name, W in matrices.items()} for part, matrices in params.items()}
    for i, part in enumerate(ALL_PARTS):
        for name in ("W_O", "W_2", "b_2"):
            if name in new[part]:
                new[part][name][..., [j for j in range(new[part][name].shape[-1]) if j // 2 != i]] = 0
        new[f"norm_{i + 1}"] = {"gamma": np.full(8, 1.5 - 0.3 * i), "beta": np.full(8, 0.1 * i - 0.2)}
    return Params(new)


def training_arguments():
    return normal(12, 8, seed=13), normal(3, 8, seed=14), apart(layer_parameters(8, 2, 2, 2, 5, seed=700)), 2


@functools.cache
def without_dropout(pre_norm):
    return decoder_layer(*training_arguments(), pre_norm=pre_norm)


def masks():
    """mask and memory_mask of a batch of two: no word looks ahead, and none at padding."""
    tgt, src = np.array([[3, 4, 4, 0], [3, 5, 0, 0]]), np.array([[5, 6, 7, 8, 0], [5, 6, 5, 0, 0]])
    return {"mask": combine_masks(causal_mask(4), padding_mask(tgt, 0)), "memory_mask": padding_mask(src, 0)}


def decoder_layer_inputs():
    small, large = layer_parameters(4, 2, 2, 2, 5, seed=100), layer_parameters(6, 3, 2, 2, 8, seed=200)
    free = layer_parameters(5, 2, 3, 4, 7, seed=400, D_memory=6)
    in_float32 = layer_parameters(6, 2, 3, 3, 9, seed=600, dtype=np.float32)
    recorded = {"x": "B T D", "record": {"self_attention": "B H T T", "cross_attention": "B H T S"}}
    some = {"memory_mask": np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0], [1, 1, 1]], dtype=bool)}
    return [
        Case("post-norm; T=3, S=5, D=4, H=2", (normal(3, 4, seed=1), normal(5, 4, seed=2), small, 2), axes="T D"),
        Case("pre-norm; T=3, S=5, D=4, H=2", (normal(3, 4, seed=1), normal(5, 4, seed=2), small, 2),
             {"pre_norm": True}, axes="T D"),
        Case("a batch under both masks, the weights recorded; B=2, T=4, S=5, D=6, H=3",
             (normal(2, 4, 6, seed=3), normal(2, 5, 6, seed=4), large, 3), {**masks(), "record": {}}, axes=recorded),
        Case("pre-norm, relu, both masks, the weights recorded; B=2, T=4, S=5, D=6, H=3",
             (normal(2, 4, 6, seed=5), normal(2, 5, 6, seed=6), large, 3),
             {**masks(), "pre_norm": True, "activation": relu, "record": {}}, axes=recorded),
        Case("a memory of longer vectors, d_k and d_v free, two leading axes; T=4, S=3, D=5, D_memory=6",
             (normal(2, 3, 4, 5, seed=7), normal(2, 3, 3, 6, seed=8), free, 2), some, axes="A B T D"),
        Case("pre-norm, a memory of longer vectors, d_k and d_v free; T=4, S=3, D=5, D_memory=6",
             (normal(4, 5, seed=9), normal(3, 6, seed=10), free, 2), {"pre_norm": True, **some}, axes="T D"),
        Case("float32, transposed views",
             (normal(6, 3, 2, seed=11, dtype=np.float32).T, normal(6, 4, 2, seed=12, dtype=np.float32).T, in_float32,
              2), {"activation": relu}, axes="B T D"),
        Case("training at rate 0.5; each part adds to two columns of its own", training_arguments(),
             {"pre_norm": False, "rate": 0.5, "rng": Seed(1)}, axes="T D"),
        Case("training at rate 0.5, pre-norm; each part adds to two columns of its own", training_arguments(),
             {"pre_norm": True, "rate": 0.5, "rng": Seed(1)}, axes="T D"),
    ]


class Times(dict):
    """What the numbers that parts add come back times: {"times": those of parts that are not right}. It is the same
    however the reader's own dropout draws. by_part: of each part, in words."""
    by_part = None


def run_layer(f, case):
    """f's x, with its record if one was given. Where f trains: its x without dropout, and with it."""
    if "rng" not in case.options:
        return run_encoder(f, case)
    return f(*case.args, pre_norm=case.options["pre_norm"]), run_encoder(f, case)


def seen_in_layer(case, output):
    """Where f trains: what the numbers that parts add come back times; or, if it is wrong without dropout already, its
    x without."""
    if "rng" not in case.options:
        return output
    x, y = output
    if compare(without_dropout(case.options["pre_norm"]), x) is not None:
        return x
    if not fits(y, x):
        return y
    by_part = dict(zip(CALLED, times_added(y, case), strict=True))
    seen = Times(times=sorted(set(by_part.values()) - {"0, 2"}))
    seen.by_part = by_part
    return seen


def times_added(y, case):
    """For each part, what the numbers that it adds come back times, in words: "0, 2". What was added is read off y, for
    each part has two columns of its own. In post-norm, y is stretched and shifted row by row: the last two columns, to
    which nobody adds, tell how."""
    x, memory, params, n_heads = case.args
    pre_norm = case.options["pre_norm"]
    for i, part in enumerate(ALL_PARTS):
        norm = functools.partial(layer_norm, **params[f"norm_{i + 1}"])
        look = norm(x) if pre_norm else x
        if part == "feed_forward":
            brought = feed_forward(look, **params[part], activation=gelu)
        else:
            seen = memory if part == "cross_attention" else look
            brought = multi_head_attention(look, seen, **params[part], n_heads=n_heads)[0]
        columns, (a, b) = slice(2 * i, 2 * i + 2), x.T[-2:, :, None]
        stretch = 1 if pre_norm else (y[:, -2:-1] - y[:, -1:]) / (a - b)
        total = x.copy()
        total[:, columns] = a + (y[:, columns] - y[:, -2:-1]) / stretch
        times = np.unique(((total - x)[:, columns] / brought[:, columns]).round(4) + 0.0)
        yield ", ".join(f"{t:.4g}" for t in times) if len(times) < 4 else "various numbers"
        x = total if pre_norm else norm(total)


def judge_layer(case, output):
    if "rng" not in case.options:
        return DECODER_LAYER.compare_with_reference(case, output)
    if not isinstance(output, Times):
        return compare(without_dropout(case.options["pre_norm"]), output, case.axes)
    if output["times"]:
        part, times = next((part, times) for part, times in output.by_part.items() if times != "0, 2")
        return Difference(f"what {part} adds should come back times 0 or times 2, for dropout drops half of it and "
                          f"doubles the rest; yours comes back times {times}")
    return None


DECODER_LAYER = Exercise(decoder_layer, decoder_layer_inputs, call=run_layer, judge=judge_layer,
                         seen=seen_in_layer)

PARTS = (("look", "norm_1"), ("read", "norm_2"), ("think", "norm_3"))
CALLED = ("self-attention", "cross-attention", "the feed-forward")


def with_parts(lines):
    """A full layer: the helpers that are given, then lines(x, g). g holds them, the arguments, and as `look` and `read`
    the two attentions as they should be called."""
    @functools.wraps(lines)
    def layer(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
              rng=None, record=None):
        def attend(x, memory, part, mask):
            output, weights = multi_head_attention(x, memory, **params[part], n_heads=n_heads, mask=mask)
            if record is not None:
                record[part] = weights
            return dropout(output, rate, rng)

        def think(x):
            return dropout(feed_forward(x, **params["feed_forward"], activation=activation), rate, rng)

        def norm(x, name):
            return layer_norm(x, **params[name])

        for part in (attend, think, norm):              # so that error messages are those of a reader's layer
            part.__qualname__ = f"decoder_layer.<locals>.{part.__name__}"
        return lines(x, SimpleNamespace(
            input=x, memory=memory, params=params, n_heads=n_heads, mask=mask, memory_mask=memory_mask,
            pre_norm=pre_norm, activation=activation, rate=rate, rng=rng, record=record,
            attend=attend, think=think, norm=norm,
            look=lambda x: attend(x, x, "self_attention", mask),
            read=lambda x: attend(x, memory, "cross_attention", memory_mask)))
    return layer


def step(x, part, name, g):
    return x + part(g.norm(x, name)) if g.pre_norm else g.norm(x + part(x), name)


def right(x, g, parts=PARTS, steps=3 * (step,)):
    for (part, name), add in zip(parts, steps, strict=True):
        x = add(x, getattr(g, part), name, g)
    return x


def but(g, **changes):
    return SimpleNamespace(**{**vars(g), **changes})


BOTH, EACH = ("both",), ("pre", "post")            # the forms in which something is wrong
ALL = BOTH + EACH


def wrong_lines(sentence, forms=EACH):
    """Register lines as a mistake in these forms of the layer. Post-norm has more cases: its sentence is told as well
    where both forms are wrong, unless some of its cases do not show the mistake."""
    def register(lines):
        for form in forms:
            @functools.wraps(lines)
            def in_this_form(x, g, form=form):
                is_wrong = form in ("both", "pre" if g.pre_norm else "post")
                return lines(x, g) if is_wrong else right(x, g)
            DECODER_LAYER.mistake(sentence)(with_parts(in_this_form))
        return lines
    return register


def wrong_step(sentence, of_one="", forms=EACH, places=(0, 1, 2)):
    """Register a step as a mistake: in all these places and, where there is a sentence of one, in each alone."""
    def register(wrong):
        for here in [places, *((place,) for place in places if of_one)]:
            told = sentence if len(here) > 1 else of_one.format(part=CALLED[here[0]], name=f"\"{PARTS[here[0]][1]}\"")

            @wrong_lines(told[:1].upper() + told[1:], forms)
            @functools.wraps(wrong)
            def lines(x, g, here=here):
                return right(x, g, steps=[wrong if i in here else step for i in range(3)])
        return wrong
    return register


def wrong_parts(sentence, *parts, forms=BOTH):
    """Register other parts, or another order of them, as a mistake: "213 123" has parts 2, 1, 3 with norms 1, 2, 3."""
    for digits in parts:
        order = [(PARTS[int(part) - 1][0], f"norm_{norm}") for part, norm in zip(*digits.split(), strict=True)]

        @wrong_lines(sentence, forms)
        def with_other_parts(x, g, order=order):
            return right(x, g, order, len(order) * (step,))


def wrong_attention(sentence, forms=BOTH, **calls):
    """Register other calls of `attend` as a mistake. look, read: (x, g), for self-attention and cross-attention."""
    @wrong_lines(sentence, forms)
    def attends(x, g):
        return right(x, but(g, **{part: functools.partial(call, g=g) for part, call in calls.items()}))


@wrong_step("Nothing is added to what came in. What each part brings is added to its input, `x + ...`: that is the "
            "residual connection.",
            "what {part} brings replaces x. It is added to x, like what the other two bring.")
def not_added(x, part, name, g):
    return part(g.norm(x, name)) if g.pre_norm else g.norm(part(x), name)


@wrong_step("There is no norm. Post-norm has one around each sum; pre-norm has one around what goes into each part.",
            "the norm that goes with {part} is missing, {name}. There are three: each part has one.")
def not_normalized(x, part, name, g):
    return x + part(x)


@wrong_step("In pre-norm, what the parts bring is added to the normalized x. Keep x as it was for the sum; only the "
            "part sees the normalized one: `x + think(norm(x, ...))`.",
            "in pre-norm, what {part} brings is added to the normalized x. Keep x as it was for the sum; only the part "
            "sees the normalized one.", forms=["pre"])
def added_to_the_normalized(x, part, name, g):
    x = g.norm(x, name)
    return x + part(x)


for place in range(3):
    missing = f"{CALLED[place].capitalize()} is missing, or what it brings is not kept, as in `x = x + ...`."

    @wrong_lines(missing)
    def left_out(x, g, place=place):
        return right(x, g, [part for i, part in enumerate(PARTS) if i != place], 2 * (step,))

    @wrong_lines(missing, forms=BOTH)
    def not_kept(x, g, place=place):
        return right(x, but(g, **{PARTS[place][0]: lambda x: 0}))


@wrong_lines("The layer stops after self-attention, or what comes after it is not kept, as in `x = ...`. "
             "Cross-attention and the feed-forward follow.")
def self_attention_alone(x, g):
    return right(x, g, PARTS[:1], (step,))


@wrong_step("The sums after the first start from the layer's input again, and forget what was added before. Go on from "
            "the sum before.",
            "the sum of {part} starts from the layer's input again, and forgets what was added before. Go on from the "
            "sum before.", places=(1, 2))
def sum_from_the_input(x, part, name, g):
    return g.input + part(g.norm(x, name)) if g.pre_norm else g.norm(g.input + part(x), name)


@wrong_step("All parts get the layer's input, beside each other instead of one after the other. Give each the sum so "
            "far.",
            "{part} gets the layer's input, not what has been added to it since. Give it the sum so far.",
            forms=ALL, places=(1, 2))
def part_of_the_input(x, part, name, g):
    return x + part(g.norm(g.input, name)) if g.pre_norm else g.norm(x + part(g.input), name)


@wrong_step("You normalize what a part brings, and add it to x afterwards. Post-norm normalizes the sum, pre-norm what "
            "goes into the part.")
def norm_of_the_part(x, part, name, g):
    return x + g.norm(part(x), name)


NORM_OF_X_ALONE = ("You normalize x alone, and add to that. Post-norm normalizes the sum, `norm(x + think(x), ...)`; "
                   "pre-norm what goes into the part, `x + think(norm(x, ...))`.")


@wrong_step(NORM_OF_X_ALONE, forms=ALL)
def norm_of_x_alone(x, part, name, g):
    return g.norm(x, name) + part(x)


@wrong_step(NORM_OF_X_ALONE, forms=["post"])
def post_norm_of_the_input(x, part, name, g):
    x = g.norm(x, name)
    return x + part(x)


@wrong_step("You normalize what goes in and the sums as well. It is one or the other: `pre_norm` says which.",
            forms=ALL)
def norms_on_both_sides(x, part, name, g):
    return g.norm(x + part(g.norm(x, name)), name)


@wrong_step("x is added twice: the sum is normalized and then added to x once more. Post-norm is the norm of the sum, "
            "and no more.", forms=["post"])
def added_twice(x, part, name, g):
    return x + g.norm(x + part(x), name)


@wrong_step("What the parts bring is subtracted from x. It is added.", forms=BOTH)
def subtracted(x, part, name, g):
    return step(x, lambda x: -part(x), name, g)


@wrong_step("`x += ...` writes into the caller's array. Make a new one: `x = x + ...`.", forms=ALL)
def in_place_sum(x, part, name, g):
    if g.pre_norm:
        x += part(g.norm(x, name))
        return x
    x += part(x)
    return g.norm(x, name)


@wrong_lines("Post-norm and pre-norm have changed places: with `pre_norm=True` you normalize the sums, without it what "
             "goes in.", forms=BOTH)
def forms_exchanged(x, g):
    return right(x, but(g, pre_norm=not g.pre_norm))


@wrong_lines("This is always post-norm. With `pre_norm=True`, normalize what goes into each part, and leave the sums "
             "as they are.", forms=BOTH)
def always_post_norm(x, g):
    return right(x, but(g, pre_norm=False))


@wrong_lines("This is always pre-norm. Unless `pre_norm` is true, normalize each sum instead of what goes in.",
             forms=BOTH)
def always_pre_norm(x, g):
    return right(x, but(g, pre_norm=True))


BOTH_IN_A_ROW = ("Both forms run, one after the other: where the lines of the first end without `return`, those of the "
                 "second follow. Return there, or write `else`.")
ATTEND_TWICE = ("The output is right and the record is not: `attend` ran for both forms, and left the weights of the "
                "wrong one. Ask for `pre_norm` first.")

for first in (True, False):
    @wrong_lines(BOTH_IN_A_ROW, forms=BOTH)
    def both_in_a_row(x, g, first=first):
        x = right(x, but(g, pre_norm=first)) if g.pre_norm == first else x
        return right(x, but(g, pre_norm=not first))

    @wrong_lines(ATTEND_TWICE, forms=BOTH)
    def both_and_then_a_choice(x, g, first=first):
        found = {form: right(x, but(g, pre_norm=form)) for form in (first, not first)}
        return found[g.pre_norm]


@wrong_lines("Pre-norm has no norm at its end: x itself goes on to the next layer. (One norm comes after the last "
             "layer of all.)", forms=["pre"])
def norm_after_pre_norm(x, g):
    return g.norm(right(x, g), "norm_3")


@wrong_lines("For one of the two forms nothing comes back: `return` is missing there.")
def nothing_returned(x, g):
    right(x, g)


wrong_parts("Cross-attention comes before self-attention. First the words look at each other, then at the source.",
            "213 123", "213 213")
wrong_parts("The feed-forward comes before an attention. It comes last, and thinks about what both have brought.",
            "132 123", "312 123")
wrong_parts("x looks at itself twice, and never at `memory`. The second time it reads: `attend(x, memory, "
            "\"cross_attention\", memory_mask)`.", "113 123")
wrong_parts("x reads `memory` twice, and never looks at itself. The first time it is `attend(x, x, \"self_attention\", "
            "mask)`.", "223 123")
wrong_parts("`think` is never called: an attention runs twice. The third part is the feed-forward.", "122 123")
wrong_parts("Cross-attention is missing, or what it brings is not kept, as in `x = x + ...`.", "13 12", forms=EACH)
wrong_parts("One norm serves for all three parts. Each part has its own: \"norm_1\", \"norm_2\" and \"norm_3\", in "
            "this order.", "123 111", forms=EACH)
wrong_parts("\"norm_3\" is never used: there are three norms, one more than in the block. It goes with the "
            "feed-forward.", "123 112", "123 122", forms=EACH)
wrong_parts("\"norm_2\" is never used, and another norm serves for two parts. It goes with cross-attention.",
            "123 113", "123 133", forms=EACH)
wrong_parts("\"norm_1\" is never used, and another norm serves for two parts. It goes with self-attention.",
            "123 223", forms=EACH)
wrong_parts("The norms stand in another order: \"norm_1\" goes with self-attention, \"norm_2\" with cross-attention, "
            "\"norm_3\" with the feed-forward.", "123 132", "123 213")


ASKS_AND_IS_ASKED = ("In cross-attention, `memory` asks. It is asked, and x asks: `attend(x, memory, ...)`, which "
                     "brings a row for each word of x.")
MASKS_EXCHANGED = ("A mask is at the wrong place. `mask` says which target words a target word may look at: it goes "
                   "with self-attention. `memory_mask` says it for the source: cross-attention.")
PARAMETERS_EXCHANGED = ("An attention works with the parameters of the other. Each has its own: \"self_attention\" "
                        "where x looks at itself, \"cross_attention\" where it looks at `memory`.")
OTHER_TRIANGLE = ("You hand on a triangle of your own. The caller says what may be looked at: hand on `mask` and "
                  "`memory_mask`.")
MEMORY_NORMALIZED = ("You normalize `memory`. It is left as it is, because the encoder ends in a norm of its own.")
LOOKS_AT_MEMORY = ("In self-attention x looks at `memory`. There it looks at itself: `attend(x, x, \"self_attention\", "
                   "mask)`.")

wrong_attention(ASKS_AND_IS_ASKED, read=lambda x, g: g.attend(g.memory, x, "cross_attention", g.memory_mask))
wrong_attention(ASKS_AND_IS_ASKED, read=lambda x, g: g.attend(g.memory, g.memory, "cross_attention", g.memory_mask))
for name in ("memory_mask", "mask"):
    wrong_attention("In cross-attention x looks at itself again. There it looks at `memory`: `attend(x, memory, "
                    "\"cross_attention\", memory_mask)`.", forms=ALL,
                    read=lambda x, g, name=name: g.attend(x, x, "cross_attention", getattr(g, name)))
wrong_attention(LOOKS_AT_MEMORY, look=lambda x, g: g.attend(x, g.memory, "self_attention", g.mask))
wrong_attention(PARAMETERS_EXCHANGED, read=lambda x, g: g.attend(x, g.memory, "self_attention", g.memory_mask))
wrong_attention(PARAMETERS_EXCHANGED, look=lambda x, g: g.attend(x, x, "cross_attention", g.mask))
wrong_attention(PARAMETERS_EXCHANGED, look=lambda x, g: g.attend(x, x, "cross_attention", g.mask),
                read=lambda x, g: g.attend(x, g.memory, "self_attention", g.memory_mask))
wrong_attention("`memory_mask` does not reach cross-attention: everybody looks at padding, too. It is the last "
                "argument of `attend` there.",
                forms=ALL, read=lambda x, g: g.attend(x, g.memory, "cross_attention", None))
wrong_attention("`mask` does not reach self-attention: words look at those after them. It is the last argument of "
                "`attend` there.", forms=ALL, look=lambda x, g: g.attend(x, x, "self_attention", None))
wrong_attention("Neither mask reaches an attention. `mask` is for self-attention, `memory_mask` for cross-attention.",
                look=lambda x, g: g.attend(x, x, "self_attention", None),
                read=lambda x, g: g.attend(x, g.memory, "cross_attention", None))
wrong_attention(MASKS_EXCHANGED, look=lambda x, g: g.attend(x, x, "self_attention", g.memory_mask))
wrong_attention(MASKS_EXCHANGED, read=lambda x, g: g.attend(x, g.memory, "cross_attention", g.mask))
wrong_attention(OTHER_TRIANGLE,
                look=lambda x, g: g.attend(x, x, "self_attention", causal_mask(x.shape[-2])))
wrong_attention(MEMORY_NORMALIZED, forms=ALL, read=lambda x, g: g.attend(
    x, g.norm(g.memory, "norm_2"), "cross_attention", g.memory_mask))


@wrong_lines("In self-attention, only the query is normalized. x looks at itself: it stands at both places of "
             "`attend`, normalized.", forms=["pre"])
def only_the_query_normalized(x, g):
    x = x + g.attend(g.norm(x, "norm_1"), x, "self_attention", g.mask)
    return right(x, g, PARTS[1:], 2 * (step,))


@wrong_lines("In self-attention, the query is not normalized. x looks at itself: it stands at both places of "
             "`attend`, normalized.", forms=["pre"])
def the_query_not_normalized(x, g):
    x = x + g.attend(x, g.norm(x, "norm_1"), "self_attention", g.mask)
    return right(x, g, PARTS[1:], 2 * (step,))


@wrong_lines("In cross-attention, you normalize `memory` instead of x. x is what the norm is for; `memory` is left as "
             "it is.", forms=["pre"])
def memory_normalized_for_x(x, g):
    x = right(x, g, PARTS[:1], (step,))
    x = x + g.attend(x, g.norm(g.memory, "norm_2"), "cross_attention", g.memory_mask)
    return right(x, g, PARTS[2:], (step,))


for name in ("norm_1", "norm_3"):
    @wrong_lines(MEMORY_NORMALIZED, forms=["pre"])
    def memory_normalized_otherwise(x, g, name=name):
        return right(x, but(g, read=lambda x: g.attend(
            x, g.norm(g.memory, name), "cross_attention", g.memory_mask)))


def normalized_before(asked=0, anew=False, thinks=None):
    """Pre-norm lines in which cross-attention asks with the x that was normalized for part `asked`, and `think` gets
    that of part `thinks`, perhaps normalized once more; None: as it should be."""
    def lines(x, g):
        h = [g.norm(x, "norm_1")]
        x = x + g.look(h[0])
        for part, name, stale in ((g.read, "norm_2", asked), (g.think, "norm_3", thinks)):
            h += [g.norm(x, name) if stale is None else g.norm(h[stale], name) if anew else h[stale]]
            x = x + part(h[-1])
        return x
    return lines


for asked, thinks in ((0, None), (None, 0), (0, 0), (None, 1), (0, 1)):
    for anew in (False, True):
        if anew or (asked, thinks) != (0, 1):           # h[1] is h[0] then
            wrong_lines("A normalized x goes into a second part. It was made before the first one added anything: "
                        "normalize the sum so far, for each part anew.", forms=["pre"])(
                normalized_before(asked, anew, thinks))


@wrong_lines("What cross-attention brings is added to `memory`. It is added to x, which asked.", forms=BOTH)
def added_to_memory(x, g):
    x = right(x, g, PARTS[:1], (step,))
    return g.memory + g.read(g.norm(x, "norm_2") if g.pre_norm else x)


@wrong_lines("You drop numbers a second time: `attend` and `think` have dropped already.", forms=ALL)
def dropped_twice(x, g):
    def again(part):
        return lambda x: dropout(part(x), g.rate, g.rng)
    return right(x, but(g, look=again(g.look), read=again(g.read), think=again(g.think)))


@wrong_lines("What a part brings is not dropped while training. `attend` and `think` take care of that: call these, "
             "instead of `multi_head_attention` and `feed_forward`.", forms=ALL)
def never_dropped(x, g):
    return right(x, but(g, think=functools.partial(feed_forward, **g.params["feed_forward"], activation=g.activation)))


DROPPED_ELSEWHERE = ("You drop numbers of the sums, or of what goes into a part. Only what a part brings is dropped, "
                     "and `attend` and `think` do that already.")


@wrong_step(DROPPED_ELSEWHERE, forms=ALL)
def sums_dropped(x, part, name, g):
    if g.pre_norm:
        return dropout(step(x, part, name, g), g.rate, g.rng)
    return g.norm(dropout(x + part(x), g.rate, g.rng), name)


@wrong_lines(DROPPED_ELSEWHERE, forms=ALL)
def norms_dropped(x, g):
    return right(x, but(g, norm=lambda x, name: dropout(g.norm(x, name), g.rate, g.rng)))


@wrong_lines(DROPPED_ELSEWHERE, forms=["post"])
def last_sum_dropped(x, g):
    x = right(x, g, PARTS[:2], 2 * (step,))
    return g.norm(dropout(x + g.think(x), g.rate, g.rng), "norm_3")


def by_feed_forward(x, g, drops):
    y = feed_forward(x, **g.params["feed_forward"])
    return dropout(y, g.rate, g.rng) if drops else y


for drops in (True, False):
    wrong_attention("You call `feed_forward` yourself, and it bends with gelu whatever the caller says. `think` hands "
                    "on `activation`, and drops numbers while training.", forms=ALL,
                    think=functools.partial(by_feed_forward, drops=drops))

for last in (["norm_1"], ["norm_3"], ["norm_1", "norm_2", "norm_3"]):
    @wrong_lines("All three parts stand in one sum, which is normalized at its end. Each part has a sum and a norm of "
                 "its own, and the next part gets what comes out of it.", forms=["post"])
    def one_sum_for_all(x, g, last=last):
        return functools.reduce(g.norm, last, x + g.look(x) + g.read(x) + g.think(x))


FOUR_THINGS = ("`attend` takes four things, in this order: who asks, who is asked, the name of the part, the mask. "
               "None can be left away.")
PART_NAME = ("`attend` finds the parameters by the name of the part: \"self_attention\" or \"cross_attention\", in "
             "quotes.")
NORM_NAME = "`norm` takes x, then the name of its parameters, in quotes: \"norm_1\", \"norm_2\" or \"norm_3\"."
ARRAY_FOR_NAME = ("An array stands where a name is expected. `attend` takes who asks, who is asked, the name of the "
                  "part, the mask; `norm` takes x, then the name.")
PARAMETERS_FOR_NAME = ("`attend` and `norm` find the parameters themselves. Give them the name alone, in quotes: "
                       "\"self_attention\", \"norm_1\".")
CALL_ATTEND = ("You call `multi_head_attention` yourself. `attend` does that, and more: it keeps the weights for the "
               "record, drops numbers while training, and returns the output alone.")

for sentence, call in (
        (FOUR_THINGS, lambda x, g: g.attend(x, x, "self_attention")),
        (FOUR_THINGS, lambda x, g: g.attend(x, "self_attention")),
        (FOUR_THINGS, lambda x, g: g.attend(x, x, g.mask, "self_attention")),
        (ARRAY_FOR_NAME, lambda x, g: g.attend("self_attention", x, x, g.mask)),
        (PART_NAME, lambda x, g: g.attend(x, x, self_attention, g.mask)),                       # noqa: F821
        (PARAMETERS_FOR_NAME, lambda x, g: g.attend(x, x, g.params["self_attention"], g.mask)),
        (PART_NAME, lambda x, g: g.attend(x, x, "attention", g.mask)),
        (CALL_ATTEND, lambda x, g: x + multi_head_attention(x, x, **g.params["self_attention"], n_heads=g.n_heads,
                                                            mask=g.mask)),
        (NORM_NAME, lambda x, g: g.norm(x)),
        (NORM_NAME, lambda x, g: g.norm(x, norm_1)),                                            # noqa: F821
        (ARRAY_FOR_NAME, lambda x, g: g.norm("norm_1", x)),
        (PARAMETERS_FOR_NAME, lambda x, g: g.norm(x, g.params["norm_1"])),
        ("You call `layer_norm` yourself. The helper `norm` finds gamma and beta by their name: `norm(x, \"norm_1\")`.",
         lambda x, g: layer_norm(x, "norm_1")),
        ("`think` takes x alone.", lambda x, g: g.think(x, g.params["feed_forward"]))):
    @wrong_lines(sentence, forms=BOTH)
    def wrong_call(x, g, call=call):
        return call(x, g)


def multi_head_itself(x, memory, part, mask, g):
    return multi_head_attention(x, memory, **g.params[part], n_heads=g.n_heads, mask=mask)[0]


CALLS = {"look": lambda x, g: multi_head_itself(x, x, "self_attention", g.mask, g),
         "read": lambda x, g: multi_head_itself(x, g.memory, "cross_attention", g.memory_mask, g)}
for calls in (CALLS, {"look": CALLS["look"]}, {"read": CALLS["read"]}):
    wrong_attention(CALL_ATTEND, forms=ALL, **calls)
wrong_attention("`attend` returns the output alone: `[0]` takes its first row, or the first item of the batch. Leave "
                "`[0]` away.", look=lambda x, g: g.look(x)[0], read=lambda x, g: g.read(x)[0])


@wrong_lines("`attend` returns the output alone, so there is nothing to unpack. The weights went to `record`.",
             forms=BOTH)
def attend_unpacked(x, g):
    def first_of_two(x):
        output, weights = g.look(x)
        return output
    return right(x, but(g, look=first_of_two))


@wrong_lines("Return x alone. `attend` fills the record, and the caller has it.", forms=BOTH)
def record_returned(x, g):
    return right(x, g), g.record


@wrong_lines("Return x alone. The memory stays as it is, and the caller has it.", forms=BOTH)
def memory_returned(x, g):
    return right(x, g), g.memory


@wrong_lines("The result is always float64. It has the dtype of x: leave `dtype` away.", forms=BOTH)
def made_float64_in_the_layer(x, g):
    return right(x, g).astype(np.float64)


@DECODER_LAYER.alternative
@with_parts
def with_names_for_all(x, g):
    if not g.pre_norm:
        looked = g.norm(g.attend(x=x, memory=x, part="self_attention", mask=g.mask) + x, "norm_1")
        read = g.norm(looked + g.attend(looked, g.memory, "cross_attention", mask=g.memory_mask), name="norm_2")
        return g.norm(read + g.think(read), "norm_3")
    looked = x + g.attend(g.norm(x, "norm_1"), g.norm(x, "norm_1"), "self_attention", g.mask)
    read = looked + g.attend(g.norm(looked, "norm_2"), g.memory, "cross_attention", g.memory_mask)
    return read + g.think(g.norm(read, "norm_3"))


@DECODER_LAYER.alternative
@with_parts
def in_a_loop(x, g):
    for name, part in (("norm_1", g.look), ("norm_2", g.read), ("norm_3", g.think)):
        x = x + part(g.norm(x, name)) if g.pre_norm else g.norm(x + part(x), name)
    return x


@DECODER_LAYER.alternative
@with_parts
def into_a_copy(x, g):
    before, after = (g.norm, lambda x, name: x) if g.pre_norm else (lambda x, name: x, g.norm)
    x = np.array(x)
    x += g.look(before(x, "norm_1"))
    x = after(x, "norm_1")
    y = x.copy()
    y += g.read(before(x, "norm_2"))
    y = after(y, "norm_2")
    return after(np.add(y, g.think(before(y, "norm_3"))), "norm_3")


@DECODER_LAYER.alternative
def without_the_helpers(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu,
                        rate=0.0, rng=None, record=None):
    def drop(y):
        if rng is None or rate == 0:
            return y
        return y * (rng.binomial(1, 1 - rate, y.shape) == 1) / (1 - rate)

    def brought(y, part):
        if part == "feed_forward":
            return drop(feed_forward(y, **params[part], activation=activation))
        seen, allowed = (memory, memory_mask) if part == "cross_attention" else (y, mask)
        output, weights = multi_head_attention(y, seen, **params[part], n_heads=n_heads, mask=allowed)
        if record is not None:
            record.update({part: weights})
        return drop(output)

    for i, part in enumerate(ALL_PARTS):
        norm = functools.partial(layer_norm, **params[f"norm_{i + 1}"])
        x = x + brought(norm(x), part) if pre_norm else norm(x + brought(x, part))
    return x


# ---- decoder ------------------------------------------------------------------------------------------------------

def stack_of(n_layers, D, n_heads, d, F, seed, dtype=np.float64, D_memory=None):
    return Params({f"layer_{i + 1}": layer_parameters(D, n_heads, d, d, F, seed + 100 * i, dtype, D_memory=D_memory)
                   for i in range(n_layers)})


WITHOUT_RNG = "rate 0.5 without rng: nothing is dropped"


def decoder_inputs():
    two, three = stack_of(2, 4, 2, 2, 5, seed=1000), stack_of(3, 6, 3, 2, 8, seed=2000)
    in_float32 = stack_of(2, 6, 3, 2, 7, seed=3000, dtype=np.float32, D_memory=5)
    two_and_norm, three_and_norm, in_float32 = (
        Params(layers | final_norm(D, seed, dtype)) for layers, D, seed, dtype in
        ((two, 4, 1500, np.float64), (three, 6, 2500, np.float64), (in_float32, 6, 3500, np.float32)))
    of_layer = {"self_attention": "B H T T", "cross_attention": "B H T S"}
    recorded = {"x": "B T D", "record": dict.fromkeys(three, of_layer)}
    ten = Params(stack_of(10, 3, 1, 1, 1, seed=4000) | final_norm(3, 5500))
    ends = {"pre_norm": True, **ALL_DROPPED}
    return [
        Case("two layers, post-norm; T=3, S=5, D=4, H=2", (normal(3, 4, seed=1), normal(5, 4, seed=2), two, 2),
             axes="T D"),
        Case("two layers, pre-norm; T=3, S=5, D=4, H=2",
             (normal(3, 4, seed=1), normal(5, 4, seed=2), two_and_norm, 2), {"pre_norm": True}, axes="T D"),
        Case("three layers, a batch under both masks; B=2, T=4, S=5, D=6, H=3",
             (normal(2, 4, 6, seed=3), normal(2, 5, 6, seed=4), three, 3), masks(), axes="B T D"),
        Case("three layers, pre-norm, relu, both masks, the weights recorded",
             (normal(2, 4, 6, seed=5), normal(2, 5, 6, seed=6), three_and_norm, 3),
             {**masks(), "pre_norm": True, "activation": relu, "record": {}}, axes=recorded),
        Case("three layers, the weights recorded", (normal(2, 4, 6, seed=7), normal(2, 3, 6, seed=8), three, 3),
             {"record": {}}, axes=recorded),
        Case("one layer, relu", (normal(2, 4, seed=9), normal(3, 4, seed=10), Params(layer_1=two["layer_2"]), 2),
             {"activation": relu}, axes="T D"),
        Case("float32, pre-norm, transposed views, a memory of shorter vectors",
             (normal(6, 3, 2, seed=11, dtype=np.float32).T, normal(5, 4, 2, seed=12, dtype=np.float32).T, in_float32,
              3), {"pre_norm": True}, axes="B T D"),
        Case("ten layers, pre-norm; T=1, S=1, D=3, H=1", (normal(1, 3, seed=19), normal(1, 3, seed=20), ten, 1),
             {"pre_norm": True}, axes="T D"),
        Case(WITHOUT_RNG, (normal(3, 4, seed=13), normal(5, 4, seed=14), two, 2), {"rate": 0.5}, axes="T D"),
        Case("training at a rate so close to 1 that all that layers add is dropped",
             (normal(3, 4, seed=15), normal(5, 4, seed=16), two, 2), dict(ALL_DROPPED), axes="T D"),
        Case("training at a rate so close to 1 that all that layers add is dropped, pre-norm",
             (normal(3, 4, seed=17), normal(5, 4, seed=18), two_and_norm, 2), ends, axes="T D"),
    ]


def run_decoder(f, case):
    """f's x, with its record if one was given. Where nothing is to be dropped, but f drops by a generator of its own,
    this is said in words, which are the same however it draws."""
    x = run_encoder(f, case)
    if case.title != WITHOUT_RNG or compare(f(*case.args), x) is None:
        return x
    return "other numbers than at rate 0"


def judge_decoder(case, output):
    if isinstance(output, str):
        return Difference(f"rng is None, so nothing is dropped whatever the rate; yours gives {output}")
    return DECODER.compare_with_reference(case, output)


DECODER = Exercise(decoder, decoder_inputs, call=run_decoder, judge=judge_decoder)


def with_given(lines):
    """A full decoder: lines(x, names, run, end) puts it together, as chapter 06's puts an encoder together."""
    @functools.wraps(lines)
    def stack(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
              rng=None, record=None):
        def run(x, name, **other):
            given = {"memory": memory, "n_heads": n_heads, "mask": mask, "memory_mask": memory_mask,
                     "pre_norm": pre_norm, "activation": activation, "rate": rate, "rng": rng,
                     "record": record_of(record, name)}
            return decoder_layer(x, params=params[name], **(given | other))

        def end(x):
            return layer_norm(x, **params["norm"]) if pre_norm else x

        return lines(x, [name for name, _ in layers_of(params)], run, end)
    return stack


def with_end(lines):
    """A full decoder: lines(x, params, pre_norm) is what comes after the layers."""
    @functools.wraps(lines)
    def stack(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
              rng=None, record=None):
        for name, layer in layers_of(params):
            x = decoder_layer(x, memory, layer, n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                              record_of(record, name))
        return lines(x, params, pre_norm)
    return stack


class InTheLoop(SimpleNamespace):
    """What is at hand for a layer. Its part of the record is made only where it is asked for."""

    @property
    def part(self):
        return record_of(self.record, self.name)


def with_call(call):
    """A full decoder: call(g) is what is done for each layer, and makes the next x. g holds the arguments, and what is
    at hand in the loop. The right one is `decoder_layer(*g.given, g.part)`."""
    @functools.wraps(call)
    def stack(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
              rng=None, record=None):
        def end(x):
            return layer_norm(x, **params["norm"]) if pre_norm else x

        for name, layer in layers_of(params):
            g = InTheLoop(x=x, memory=memory, params=params, n_heads=n_heads, mask=mask, memory_mask=memory_mask,
                          pre_norm=pre_norm, activation=activation, rate=rate, rng=rng, record=record, name=name,
                          layer=layer, end=end)
            g.start, g.options = (x, memory, layer, n_heads), (pre_norm, activation, rate, rng)
            g.given = (*g.start, mask, memory_mask, *g.options)
            x = call(g)
        return end(x)
    return stack


def for_the_decoder(sentence):
    """What chapter 06 says about an encoder, as it is for a decoder."""
    for old, new in (("encoder", "decoder"), ("block", "layer"), ("decoder_layer(x, ", "decoder_layer(x, memory, "),
                     ("everybody looks at padding, too", "target words look at those after them")):
        sentence = sentence.replace(old, new)
    return sentence


for wrong, sentence in chapter_06.ENCODER.mistakes:             # what goes wrong in one stack goes wrong in the other
    lines = getattr(wrong, "__wrapped__", None)
    if lines and lines is not chapter_06.norm_2_of_the_last:
        complete = with_given if "names" in inspect.signature(lines).parameters else with_end
        DECODER.mistake(for_the_decoder(sentence))(complete(lines))


def wrong_stack(sentence):
    """Register lines as a mistake."""
    def register(lines):
        DECODER.mistake(sentence)(with_given(lines))
        return lines
    return register


def through(x, names, run, **other):
    for name in names:
        x = run(x, name, **other)
    return x


@wrong_stack("`memory` is not handed on: each layer reads x where it should read the source. `decoder_layer` takes x, "
             "then `memory`.")
def x_for_memory(x, names, run, end):
    for name in names:
        x = run(x, name, memory=x)
    return end(x)


@wrong_stack("Every layer reads the target as it came in. It reads `memory`, which is the same for all of them.")
def input_for_memory(x, names, run, end):
    return end(through(x, names, run, memory=x))


@wrong_stack("What a layer returns is the next one's x, and here it is its memory as well. The memory is the same for "
             "all layers.")
def memory_carried_on(x, names, run, end):
    x = run(x, names[0])
    for name in names[1:]:
        x = run(x, name, memory=x)
    return end(x)


@wrong_stack("What a layer returns is written into `memory`, and x stays as it came. It is the other way round: `x = "
             "decoder_layer(x, memory, ...)`.")
def results_for_memory(x, names, run, end):
    memory = run(x, names[0])
    for name in names[1:]:
        memory = run(x, name, memory=memory)
    return end(memory)


@wrong_stack("Nothing comes back: `return` is missing after the last layer.")
def nothing_comes_back(x, names, run, end):
    end(through(x, names, run))


for names_in_code in (["layer_1", "layer_2"], ["layer_1", "layer_2", "layer_3"]):
    @wrong_stack("You name the layers one by one. There may be any number of them: go through `layers_of(params)`.")
    def named_one_by_one(x, names, run, end, names_in_code=names_in_code):
        return end(through(x, names_in_code, run))


@wrong_stack("`sorted` goes by letters, and puts layer_10 before layer_2. `layers_of` gives the layers in order.")
def sorted_by_name(x, names, run, end):
    return end(through(x, sorted(names), run))


@wrong_stack("You hand on a triangle of your own. The caller says what may be looked at: hand on `mask`.")
def own_triangle(x, names, run, end):
    return end(through(x, names, run, mask=causal_mask(x.shape[-2])))


@wrong_stack("`memory_mask` does not reach the layers: everybody looks at the source's padding, too. Hand it on after "
             "`mask`.")
def memory_mask_not_handed_on(x, names, run, end):
    return end(through(x, names, run, memory_mask=None))


@wrong_stack("Neither mask reaches the layers. Hand on `mask` and `memory_mask`.")
def no_mask_handed_on(x, names, run, end):
    return end(through(x, names, run, mask=None, memory_mask=None))


@wrong_stack("`memory_mask` reaches the first layer only. Every layer needs it.")
def memory_mask_for_the_first_only(x, names, run, end):
    return end(through(run(x, names[0]), names[1:], run, memory_mask=None))


@wrong_stack("The masks reach the first layer only. Every layer needs both.")
def masks_for_the_first_only(x, names, run, end):
    return end(through(run(x, names[0]), names[1:], run, mask=None, memory_mask=None))


TOLD = {wrong.__name__: for_the_decoder(sentence) for wrong, sentence in chapter_06.ENCODER.mistakes}
IN_ORDER = ("The arguments stand in another order than `decoder_layer` takes them: x, memory, params, n_heads, mask, "
            "memory_mask, pre_norm, activation, rate, rng, record. With names it does not matter: `mask=mask`.")
DECODER_LAYERS = ("The layers of this stack are those of a decoder: `decoder_layer(x, memory, layer, ...)`.")
MEMORY_LEFT_OUT = "`memory` is missing. `decoder_layer` takes x, then `memory`, then the layer's parameters."
ONE_PART_FOR_ALL = ("All layers write over each other in the record. Give each its own part: `record_of(record, "
                    "name)`, with the name that `layers_of` gives.")
NORMALIZED_MEMORY = ("You normalize `memory`. The encoder ends in a norm of its own; `params[\"norm\"]` is for the x "
                     "that leaves this stack.")


def with_layer(g, layer):
    return decoder_layer(g.x, g.memory, layer, *g.given[3:], g.part)


def numbered(first):
    return lambda g: decoder_layer(*g.given, record_of(g.record, list(g.params).index(g.name) + first))


for sentence, call in (
        (TOLD["one_record_for_all"], lambda g: decoder_layer(*g.given, g.record)),
        (ONE_PART_FOR_ALL, lambda g: decoder_layer(*g.given, record_of(g.record, "layer"))),
        (ONE_PART_FOR_ALL, lambda g: decoder_layer(*g.given, record_of(g.record, "layer_1"))),
        ("`record_of` takes the record, then the name of the layer.",
         lambda g: decoder_layer(*g.given, record_of(g.name, g.record))),
        ("`record_of` takes the layer's name, not its parameters: the first of each pair of `layers_of(params)`.",
         lambda g: decoder_layer(*g.given, record_of(g.record, g.layer))),
        (TOLD["record_written_into"], lambda g: decoder_layer(*g.given, g.record[g.name])),
        (TOLD["record_written_into"], lambda g: decoder_layer(*g.given, g.record.get(g.name))),
        (TOLD["record_by_number"], numbered(0)),
        (TOLD["record_by_number"], numbered(1)),
        (TOLD["record_written_into"], lambda g: g.record.__setitem__(g.name, {})),
        (TOLD["record_set_by_default"], lambda g: decoder_layer(*g.given, g.record.setdefault(g.name, {}))),
        (TOLD["first_parameters_for_all"], lambda g: with_layer(g, g.params["layer_1"])),
        (TOLD["last_parameters_for_all"], lambda g: with_layer(g, layers_of(g.params)[-1][1])),
        (TOLD["all_parameters"], lambda g: with_layer(g, g.params)),
        (TOLD["name_for_parameters"], lambda g: with_layer(g, g.name)),
        (TOLD["pair_for_parameters"], lambda g: with_layer(g, (g.name, g.layer))),
        (TOLD["pair_for_name"], lambda g: with_layer(g, g.params[g.name, g.layer])),
        (TOLD["pairs_as_a_dict"], lambda g: layers_of(g.params).items()),
        (TOLD["numbered_from_0"], lambda g: with_layer(g, g.params["layer_0"])),
        (TOLD["unpacked"], lambda g: decoder_layer(g.x, g.memory, **g.layer, n_heads=g.n_heads)),
        (TOLD["results_dropped"], lambda g: dropout(decoder_layer(*g.given, g.part), g.rate, g.rng)),
        ("The layers get x, the memory, their parameters and `n_heads`, and nothing else. Hand on all that `decoder` "
         "was given: both masks, `pre_norm`, `activation`, `rate`, `rng`, and the layer's part of the record.",
         lambda g: decoder_layer(g.x, g.memory, g.layer, g.n_heads)),
        (IN_ORDER, lambda g: decoder_layer(*g.start, g.memory_mask, g.mask, *g.options, g.part)),
        (IN_ORDER, lambda g: decoder_layer(*g.start, g.pre_norm, g.mask, g.memory_mask, *g.options[1:], g.part)),
        (IN_ORDER, lambda g: decoder_layer(*g.start, g.mask, *g.options, g.part)),
        (IN_ORDER, lambda g: decoder_layer(*g.start, g.mask, g.memory_mask, *g.options[1:], g.part)),
        (IN_ORDER, lambda g: decoder_layer(*g.start, g.mask, g.memory_mask, g.pre_norm, g.rate, g.rng, g.part)),
        (IN_ORDER, lambda g: decoder_layer(*g.start, g.mask, g.memory_mask, g.pre_norm, g.activation, g.rng, g.rate)),
        (IN_ORDER, lambda g: decoder_layer(g.x, g.layer, g.memory, *g.given[3:], g.part)),
        ("x and memory have changed places: here the source is written, and the target is read. "
         "`decoder_layer(x, memory, ...)`.", lambda g: decoder_layer(g.memory, g.x, *g.given[2:], g.part)),
        ("`mask` stands at both places. The second is that of `memory_mask`.",
         lambda g: decoder_layer(*g.start, g.mask, g.mask, *g.options, g.part)),
        (MEMORY_LEFT_OUT, lambda g: decoder_layer(g.x, *g.given[2:], g.part)),
        (MEMORY_LEFT_OUT, lambda g: decoder_layer(g.x, g.layer, g.n_heads)),
        (DECODER_LAYERS, lambda g: encoder_layer(g.x, g.layer, g.n_heads, g.mask)),                  # noqa: F821
        (DECODER_LAYERS, lambda g: transformer_block(g.x, g.layer, g.n_heads, g.mask)),              # noqa: F821
        (DECODER_LAYERS, lambda g: chapter_06.encoder_layer(g.x, g.layer, *g.given[3:5], *g.options, g.part)),
        (NORMALIZED_MEMORY, lambda g: decoder_layer(g.x, g.end(g.memory), *g.given[2:], g.part))):
    DECODER.mistake(sentence)(with_call(call))


@DECODER.mistake(TOLD["results_recorded"])
@with_call
def results_recorded(g):
    x = decoder_layer(*g.given)
    if g.record is not None:
        g.record[g.name] = x
    return x


@DECODER.mistake(TOLD["result_taken_apart"])
@with_call
def result_taken_apart(g):
    x, weights = decoder_layer(*g.given, g.part)
    return x


@DECODER.mistake(TOLD["norm_as_a_layer"])
def norm_as_a_layer(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                    rng=None, record=None):
    for name, layer in params.items():
        x = decoder_layer(x, memory, layer, n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                          record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@DECODER.mistake(TOLD["as_many_as_params"])
def as_many_as_params(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu,
                      rate=0.0, rng=None, record=None):
    for i in range(len(params)):
        name = f"layer_{i + 1}"
        x = decoder_layer(x, memory, params[name], n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                          record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


@DECODER.mistake("The memory grows from layer to layer. It is the same for all of them.")
def memory_grows(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                 rng=None, record=None):
    for name, layer in layers_of(params):
        x = decoder_layer(x, memory, layer, n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                          record_of(record, name))
        memory = np.concatenate([memory, x], axis=-2)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@DECODER.mistake("The record stays empty. Each layer writes its weights into what it gets: hand on `record_of(record, "
                 "name)`. (An empty dict counts as False, so `if record:` leaves it out.)")
def nothing_recorded(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                     rng=None, record=None):
    return decoder(x, memory, params, n_heads, mask, memory_mask, pre_norm, activation, rate, rng)


@DECODER.mistake("`pop` takes the norm out of the caller's dict. Leave it there: `layers_of(params)` gives the layers "
                 "alone, and `params[\"norm\"]` is the norm.")
def norm_taken_out(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                   rng=None, record=None):
    x = decoder(x, memory, params, n_heads, mask, memory_mask, pre_norm, activation, rate, rng, record)
    params.pop("norm", None)
    return x


@DECODER.mistake(TOLD["input_dropped"])
def input_dropped(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                  rng=None, record=None):
    return decoder(dropout(x, rate, rng), memory, params, n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                   record)


@DECODER.mistake(TOLD["own_generator"])
def own_generator(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                  rng=None, record=None):
    rng = np.random.default_rng(0) if rng is None else rng
    return decoder(x, memory, params, n_heads, mask, memory_mask, pre_norm, activation, rate, rng, record)


@DECODER.mistake(TOLD["own_generator"])
@with_call
def own_generator_for_each_layer(g):
    return decoder_layer(*g.given[:-1], np.random.default_rng(), g.part)


@DECODER.mistake(TOLD["made_float64"])
def made_float64_in_the_stack(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu,
                              rate=0.0, rng=None, record=None):
    x = np.array(x, dtype=np.float64)
    return decoder(x, memory, params, n_heads, mask, memory_mask, pre_norm, activation, rate, rng, record)


@DECODER.mistake(TOLD["x_and_record"])
def x_and_record(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                 rng=None, record=None):
    return decoder(x, memory, params, n_heads, mask, memory_mask, pre_norm, activation, rate, rng, record), record


@DECODER.mistake("Two things come back. Asked for is x alone: the memory stays as it is, and the caller has it.")
def x_and_memory(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
                 rng=None, record=None):
    return decoder(x, memory, params, n_heads, mask, memory_mask, pre_norm, activation, rate, rng, record), memory


@DECODER.mistake("`norm` lives inside `decoder_layer`. Here it is `layer_norm` with `params[\"norm\"]`.")
@with_end
def norm_of_the_layer(x, params, pre_norm):
    return norm(x, "norm") if pre_norm else x                                                       # noqa: F821


@DECODER.mistake("gamma and beta of the final norm have changed places. With two stars they find theirs: "
                 "`layer_norm(x, **params[\"norm\"])`.")
@with_end
def gamma_and_beta_exchanged(x, params, pre_norm):
    return layer_norm(x, params["norm"]["beta"], params["norm"]["gamma"]) if pre_norm else x


@DECODER.mistake("The final norm works with the last layer's `norm_3`. It has its own: `params[\"norm\"]`.")
@with_end
def norm_3_of_the_last(x, params, pre_norm):
    return layer_norm(x, **layers_of(params)[-1][1]["norm_3"]) if pre_norm else x


@DECODER.alternative
def with_names(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
               rng=None, record=None):
    given = {"n_heads": n_heads, "mask": mask, "memory_mask": memory_mask, "pre_norm": pre_norm,
             "activation": activation, "rate": rate, "rng": rng}
    for name in dict(layers_of(params)):
        x = decoder_layer(x, memory=memory, params=params[name], record=record_of(record, name), **given)
    if "norm" in params:
        return layer_norm(x, params["norm"]["gamma"], params["norm"]["beta"])
    return x


@DECODER.alternative
def by_reduce(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
              rng=None, record=None):
    def layer(x, pair):
        return decoder_layer(x, memory, pair[1], n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                             record_of(record, pair[0]))
    x = functools.reduce(layer, layers_of(params), x)
    return layer_norm(x, **params["norm"]) if pre_norm else x


@DECODER.alternative
def counted(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False, activation=gelu, rate=0.0,
            rng=None, record=None):
    for i in itertools.count(1):
        name = f"layer_{i}"
        if name not in params:
            break
        part = None if record is None else {}
        x = decoder_layer(x, memory, params[name], n_heads, mask, memory_mask, pre_norm, activation, rate, rng, part)
        if record is not None:
            record[name] = part
    if pre_norm:
        x = layer_norm(x, **params["norm"])
    return x


@DECODER.alternative
def with_a_layer_that_draws_otherwise(x, memory, params, n_heads, mask=None, memory_mask=None, pre_norm=False,
                                      activation=gelu, rate=0.0, rng=None, record=None):
    for name, layer in layers_of(params):
        x = without_the_helpers(x, memory, layer, n_heads, mask, memory_mask, pre_norm, activation, rate, rng,
                                record_of(record, name))
    return layer_norm(x, **params["norm"]) if pre_norm else x


# ---- future_leak --------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Question(Case):
    """Does f leak? The answer, and why."""
    leaks: bool = False
    why: str = ""


class Formula:
    """A function of x that a card can show and a reader can paste. Written so that whatever does not depend on later
    positions comes out the same to the last digit: no matrix products, whose rounding may depend on how x lies."""

    def __init__(self, text):
        self.text, self.f = text, eval(f"lambda x: {text}", {"np": np, "layer_norm": layer_norm})

    def __call__(self, *args, **options):               # whoever gives more than x is told so by Python, about <lambda>
        return self.f(*args, **options)

    def __repr__(self):
        return f"lambda x: {self.text}"


formula = functools.cache(Formula)      # a check asks for its cases a hundred times


class Readers:
    """A family of functions: in each, one of four positions reads one other, or itself."""

    def __call__(self, i, j):
        return formula(f"x + (np.arange(4) == {i})[:, None] * x[..., {j}:{j + 1}, :]")

    def __repr__(self):
        return "lambda x: x + (np.arange(4) == i)[:, None] * x[..., j:j + 1, :]"


def causal_attention(x):
    """Let each position look at itself and at what came before it; x is queries, keys and values."""
    products = np.sum(x[..., :, None, :] * x[..., None, :, :], axis=-1)
    weights = np.tril(np.exp(products))[..., None]
    return np.sum(weights * x[..., None, :, :], axis=-2) / np.sum(weights, axis=-2)


DRAWN = "the running sum once more: are the random numbers drawn from rng?"


def future_leak_inputs():
    normalized = "layer_norm(x, np.ones(4), np.zeros(4))"
    next_word = "np.where(np.arange(4)[:, None] == 3, x, np.roll(x, -1, axis=-2))"
    return [
        Question("the running sum", (formula("np.cumsum(x, axis=-2)"), normal(5, 3, seed=1), Seed(1)),
                 leaks=False, why="each position adds up itself and what came before it"),
        Question("every word minus the mean of all",
                 (formula("x - x.mean(axis=-2, keepdims=True)"), normal(5, 3, seed=2), Seed(2)),
                 leaks=True, why="the mean, which the first word loses as well, is made of the later words, too"),
        Question("sixteen functions: position i reads position j, for i and j from 0 to 3",
                 (Readers(), normal(4, 2, seed=3), Seed(3))),
        Question("the running sum, divided by the length of the text",
                 (formula("np.cumsum(x, axis=-2) / x.shape[-2]"), normal(4, 3, seed=4), Seed(4)),
                 leaks=False, why="it depends on how many words there are, but not on what the later ones are"),
        Question("causal attention", (causal_attention, normal(4, 3, seed=5), Seed(5)),
                 leaks=False, why="later words get the weight 0"),
        Question("the next word is read through layer_norm",
                 (formula(f"np.roll({normalized}, -1, axis=-2)"), normal(5, 4, seed=6, scale=10), Seed(6)),
                 leaks=True, why="every position reads the one after it"),
        Question("each word is normalized by itself", (formula(normalized), normal(5, 4, seed=7), Seed(7)),
                 leaks=False, why="no position reads another"),
        Question("a batch, turned views: texts read each other, at the same position; two columns of three come out",
                 (formula("np.cumsum(x + x[..., ::-1, :, :], axis=-2)[..., :2]"), normal(3, 4, 2, seed=8).T, Seed(8)),
                 leaks=False, why="what is read stands at the same position or before it, if in another text"),
        Question("a batch: in its last text the first word reads the second",
                 (formula("np.where(np.arange(8).reshape(2, 4, 1) == 4, np.roll(x, -1, axis=-2), x)"),
                  normal(2, 4, 3, seed=9), Seed(9)),
                 leaks=True, why="in one text, one position reads the one after it"),
        Question("a batch: the last word but one reads the last",
                 (formula("np.where(np.arange(4)[:, None] == 2, np.roll(x, -1, axis=-2), x)"),
                  normal(2, 4, 5, seed=10), Seed(10)),
                 leaks=True, why="one position reads the one after it"),
        Question("a thousandth of the next word is added",
                 (formula("x + 0.001 * np.roll(x, -1, axis=-2)"), normal(4, 3, seed=11, around=5), Seed(11)),
                 leaks=True, why="it is little, but it comes from the next word, and `np.allclose` sees it"),
        Question("the first column stays; the others are the next word's, one with its sign turned",
                 (formula("np.concatenate([x[..., :1], np.roll(x[..., 1:], -1, axis=-2) * np.array([1, -1])], "
                          "axis=-1)"),
                  normal(4, 2, seed=12), Seed(12)),
                 leaks=True, why="the second and the third column come from the next word"),
        Question("the words in the opposite order", (formula("x[..., ::-1, :]"), normal(4, 3, seed=13), Seed(13)),
                 leaks=True, why="the first word becomes the last one"),
        Question("the next word; x is all zeros", (formula("np.roll(x, -1, axis=-2)"), np.zeros((4, 3)), Seed(14)),
                 leaks=True, why="every position reads the one after it, whatever stands there now"),
        Question("the next word, and the last one as it is; x is all ones",
                 (formula(next_word), np.ones((4, 3)), Seed(16)),
                 leaks=True, why="every position but the last reads the one after it, whatever stands there now"),
        Question("the next word through layer_norm; x is all zeros",
                 (formula(f"np.roll({normalized}, -1, axis=-2)"), np.zeros((3, 4)), Seed(17)),
                 leaks=True, why="every position reads the one after it, but for a shift of all its numbers"),
        Question("a single position", (formula("x * x"), normal(1, 3, seed=15), Seed(15)),
                 leaks=False, why="there is no later position"),
        Question(DRAWN, (formula("np.cumsum(x, axis=-2)"), normal(3, 2, seed=18), Seed(18)),
                 leaks=False, why="each position adds up itself and what came before it"),
    ]


def ask(f, case):
    """f's answer; in the family of functions, all of them as an array (i, j). Several answers, or one that made no use
    of rng, in words, which are the same whatever the numbers."""
    function, x, seed = case.args
    if isinstance(function, Readers):
        return np.array([[f(function(i, j), x, generator(seed)) for j in range(4)] for i in range(4)])
    rng = generator(seed)
    answer = f(function, x, rng)
    if isinstance(answer, (list, tuple, np.ndarray)) and len(answer) and all(map(is_answer, answer)):
        return "several answers"
    if case.title == DRAWN and is_answer(answer) and not answer and unused(rng, seed):
        return "an answer without a number drawn from rng"
    return answer


def is_answer(value):
    return isinstance(value, (bool, np.bool_))


def unused(rng, seed):
    return rng.bit_generator.state == generator(seed).bit_generator.state


def judge_answer(case, answer):
    if not isinstance(case.args[0], Readers):
        if not is_answer(answer):
            what = answer if isinstance(answer, str) else describe(answer)
            return Difference(f"expected True or False, got {what}",
                              advice="Does it end in `return`?" if answer is None else "")
        return None if answer == case.leaks else Difference(f"expected {case.leaks}: {case.why}. Yours says {answer}")
    expected = np.arange(4) > np.arange(4)[:, None]
    off = answer != expected
    if not off.any():
        return None
    i, j = np.argwhere(off)[0]
    whom = "itself" if i == j else f"position {j}"
    return Difference(f"where position {i} reads {whom}, and no other is read, expected {expected[i, j]}, got "
                      f"{answer[i, j]} (below: rows, who reads; columns, who is read)", expected, answer, off)


FUTURE_LEAK = Exercise(future_leak, future_leak_inputs, call=ask, judge=judge_answer)

NEVER = ("It never finds a leak, whatever f does. Two outputs of f are to be compared: of x, and of the copy whose "
         "later positions were exchanged.")
FIRST_ALONE = ("Only the first position is watched, or `return` ends the loop in its first round. Every position may "
               "be the one that looks ahead: try every t, and return False after the loop.")
LAST_ALONE = ("In the end only the last position counts: you exchange that one alone, or each round overwrites the "
              "answer of the one before. Whichever round finds a leak, the answer is True.")
SOME_LATER = "Not all places are tried. For every t from 1 to T - 1, the positions from t on are exchanged once."
OUTPUTS_TOO_FEW = ("The output right before the exchanged positions is not compared, so who looks one word ahead is "
                   "not caught. Compare all outputs up to the last position that was not exchanged: where those from t "
                   "on were, `[..., :t, :]`.")
OUTPUTS_TOO_MANY = ("You compare outputs at positions that were exchanged themselves, and those may move. Compare all "
                    "outputs up to the last position that was not exchanged: where those from t on were, in a fresh "
                    "copy for every t, `[..., :t, :]`.")
EARLIER = ("You exchange the earlier positions, and then the later outputs move, as they should. Exchange the later "
           "ones, and watch the earlier ones.")
LENGTH = ("T is the size of the last axis but one, `x.shape[-2]`. The first axis may be a batch, and the last one is "
          "D.")
AXES_COUNTED = ("The number of axes is fixed: x may be one text (T, D) or a batch (B, T, D). T is `x.shape[-2]` "
                "however many there are.")
POSITIONS = ("The positions are the last axis but one, however many axes stand before it: `[..., t:, :]`. Without the "
             "three dots and the last colon, another axis is cut.")
INVISIBLE = ("Your change is invisible to some functions: layer_norm does not notice when a whole row is shifted or "
             "stretched, and rows of one number are all alike to it. Exchange the later positions for random numbers, "
             "each drawn by itself.")
NOT_EXCHANGED = ("What you put in place of the later positions may be what was there already: zeros stay zeros, or "
                 "ones ones. Exchange them for random numbers.")
NO_NUMBERS = ("nan and inf get through a weight of 0, for 0 times nan is nan, and a function that does not leak seems "
              "to. Exchange the later positions for ordinary random numbers.")
CUT_OFF = ("You cut the later positions off. A function may know how long the text is without looking ahead: keep the "
           "length, and exchange what stands there.")
X_ALONE = "f takes x alone. Masks and the like, if it has any, are inside of it."
FROM_RNG = "Draw from the `rng` that you were given: `rng.standard_normal(shape)`."
NOT_BY_NUMBER = ("Sums and means may stay while the numbers move. Compare number by number: `np.allclose` of the two "
                 "arrays.")
MORE_THAN_ONE_BOOL = ("`==` and `!=` compare arrays number by number, and give as many bools. One answer comes from "
                      "`np.allclose`, or from `.any()` of the numbers that moved.")
OF_THE_GENERATOR = ("`rng` is a `np.random.Generator`: `rng.standard_normal(shape)`, with the shape as a tuple, that "
                    "of the slice which is written to.")
TOO_SMALL = ("A small leak goes unseen: your tolerance is too large, or what you put in differs too little from what "
             "was there. `np.allclose` has a tolerance that fits; draw numbers of the size of those in x.")
NO_COPY = "You write into x, which the caller still needs. Work on a copy: `other = x.copy()`."
PART_OF_OUTPUT = ("Only a part of the output is compared: one text of the batch, or one column. A leak anywhere is a "
                  "leak: compare all of `[..., :t, :]`.")


def exchanged(x, t, rng):
    """A copy of x in which position t and all later ones are other numbers."""
    other = x.copy()
    other[..., t:, :] = rng.standard_normal(other[..., t:, :].shape)
    return other


def after_t(x, t, rng):
    """A copy of x in which the positions after t are other numbers."""
    return exchanged(x, t + 1, rng)


def one_exchanged(x, t, rng):
    """A copy of x in which position t alone is other numbers."""
    other = x.copy()
    other[..., t, :] = rng.standard_normal(other[..., t, :].shape)
    return other


def later_changed_to(change):
    """Like `exchanged`, with change(the later positions, rng) in their place."""
    def changed(x, t, rng):
        other = x.copy()
        other[..., t:, :] = change(other[..., t:, :], rng)
        return other
    return changed


def every(x):
    return range(1, x.shape[-2])


def before(y, t):
    return y[..., :t, :]


def differ(a, b, tolerance=1e-8):
    return not np.all(np.abs(a - b) <= tolerance + 1e-5 * np.abs(b))        # np.allclose, in a third of its time


def a_test(positions=every, change=exchanged, seen=before, differ=differ):
    """A test for leaks, put together from its parts."""
    def future_leak(f, x, rng):
        y = f(x)
        return any(differ(seen(f(change(x, t, rng)), t), seen(y, t)) for t in positions(x))
    return future_leak


def wrong_test(sentence, changes=(exchanged, one_exchanged), **parts):
    """Register tests that are wrong in these parts; with later positions exchanged together, and one at a time."""
    for change in changes:
        FUTURE_LEAK.mistake(sentence)(a_test(change=change, **parts))


def wrong_change(sentence, *changes):
    """Register tests that put these in place of the later positions: (the later positions, rng)."""
    for change in changes:
        FUTURE_LEAK.mistake(sentence)(a_test(change=later_changed_to(change)))


wrong_test(FIRST_ALONE, positions=lambda x: [1])
wrong_test(FIRST_ALONE, seen=lambda y, t: y[..., :1, :], changes=[exchanged])
wrong_test(LAST_ALONE, positions=lambda x: every(x)[-1:])
wrong_test("Only one place is tried, in the middle. A leak may be elsewhere: t goes through all positions from 1 to "
           "T - 1.", positions=lambda x: [x.shape[-2] // 2])
wrong_test("Only one place is tried, drawn by chance. A leak may be elsewhere: t goes through all positions from 1 to "
           "T - 1.", positions=lambda x: [np.random.default_rng(1).integers(1, x.shape[-2])])
wrong_test(SOME_LATER, positions=lambda x: every(x)[1:])
wrong_test(SOME_LATER, positions=lambda x: every(x)[:-1])
wrong_test(OUTPUTS_TOO_FEW, seen=lambda y, t: y[..., :t - 1, :])
wrong_test(OUTPUTS_TOO_MANY, seen=lambda y, t: y[..., :t + 1, :])
wrong_test(OUTPUTS_TOO_MANY, seen=lambda y, t: y)
wrong_test(OUTPUTS_TOO_MANY, seen=lambda y, t: y[..., t:, :])
wrong_test(OUTPUTS_TOO_MANY, seen=lambda y, t: y[..., t, :])
wrong_test(OUTPUTS_TOO_MANY, changes=[after_t], seen=lambda y, t: y)
wrong_test(OUTPUTS_TOO_MANY, changes=[after_t], positions=lambda x: range(x.shape[-2]), seen=lambda y, t: y)
wrong_test(OUTPUTS_TOO_FEW, changes=[after_t], positions=lambda x: range(x.shape[-2]))
wrong_test("Only neighbors are tried: one position is exchanged, and the output right before it compared. Who looks "
           "further ahead is not caught.", seen=lambda y, t: y[..., t - 1, :], changes=[one_exchanged])
wrong_test(LENGTH, positions=lambda x: range(1, len(x)))
wrong_test(LENGTH, positions=lambda x: range(1, min(x.shape[1], x.shape[-2])))
wrong_test(LENGTH, positions=lambda x: range(1, min(x.shape[-1], x.shape[-2])))
wrong_test(PART_OF_OUTPUT, seen=lambda y, t: y[0, :t] if y.ndim > 2 else y[:t])
wrong_test(PART_OF_OUTPUT, seen=lambda y, t: y[..., :t, 0])
wrong_test(NOT_BY_NUMBER, differ=lambda a, b: differ(a.sum(), b.sum()))
wrong_test(NOT_BY_NUMBER, differ=lambda a, b: differ(a.sum(axis=-1), b.sum(axis=-1)))
wrong_test("The answers have changed places: True where nothing moves. Asked for is whether it leaks.",
           differ=lambda a, b: not differ(a, b))
wrong_test("One number that stays is enough for you to say that nothing leaks. All numbers have to stay, as "
           "`np.allclose` says.", differ=lambda a, b: not np.any(np.isclose(a, b)))
wrong_test(TOO_SMALL, differ=lambda a, b: differ(a, b, tolerance=1e-1))
wrong_test(MORE_THAN_ONE_BOOL, differ=lambda a, b: bool(a != b))
wrong_test(NEVER, differ=lambda a, b: a.shape != b.shape)

wrong_change(NOT_EXCHANGED, lambda later, rng: 0 * later, lambda later, rng: -later,
             lambda later, rng: later * rng.standard_normal(later.shape), lambda later, rng: 1.0)
wrong_change(FROM_RNG, lambda later, rng: np.random.default_rng(0).standard_normal(later.shape),
             lambda later, rng: np.arange(later.size).reshape(later.shape))
wrong_change(INVISIBLE, lambda later, rng: later + 1, lambda later, rng: later + rng.standard_normal(),
             lambda later, rng: 2 * later, lambda later, rng: later + rng.standard_normal((*later.shape[:-1], 1)),
             lambda later, rng: rng.standard_normal(), lambda later, rng: rng.standard_normal((*later.shape[:-1], 1)),
             lambda later, rng: 5.0, lambda later, rng: 1e9, lambda later, rng: 1 - later,
             lambda later, rng: later ** 2 + 1)
wrong_change(NO_NUMBERS, lambda later, rng: np.nan, lambda later, rng: np.inf)
wrong_change("You only put the later positions into another order. A mean, for one, stays the same then: exchange them "
             "for other numbers.",
             lambda later, rng: rng.permutation(later, axis=-2), lambda later, rng: later[..., ::-1, :])
wrong_change(TOO_SMALL, lambda later, rng: later + 1e-3 * rng.standard_normal(later.shape),
             lambda later, rng: later + 1e-4 * rng.standard_normal(later.shape))
wrong_change("The change is too small: `np.allclose` takes numbers that differ so little for the same. Exchange the "
             "later positions for random numbers of ordinary size.",
             *(lambda later, rng, size=size: later + size * rng.standard_normal(later.shape)
               for size in (1e-5, 1e-6, 1e-8)))
wrong_change(OF_THE_GENERATOR, lambda later, rng: rng(later.shape), lambda later, rng: rng.randn(*later.shape),
             lambda later, rng: rng.rand(*later.shape), lambda later, rng: rng.standard_normal(*later.shape))
wrong_change(NEVER, lambda later, rng: later)


def earlier_exchanged(x, t, rng):
    other = x.copy()
    other[..., :t, :] = rng.standard_normal(other[..., :t, :].shape)
    return other


def columns_exchanged(x, t, rng):
    other = x.copy()
    other[..., t:] = rng.standard_normal(other[..., t:].shape)
    return other


def as_many_as_x(x, t, rng):
    other = x.copy()
    other[..., t:, :] = rng.standard_normal(x.shape)
    return other


def cut_along(axis):
    """The same test along an axis counted from the front."""
    def future_leak(f, x, rng):
        y, here = f(x), (slice(None),) * axis
        for t in range(1, x.shape[-2]):
            other = x.copy()
            other[(*here, slice(t, None))] = rng.standard_normal(other[(*here, slice(t, None))].shape)
            if differ(f(other)[(*here, slice(t))], y[(*here, slice(t))]):
                return True
        return False
    return future_leak


wrong_test(EARLIER, changes=[earlier_exchanged], seen=lambda y, t: y[..., t:, :])
wrong_test(OUTPUTS_TOO_MANY, changes=[earlier_exchanged])
wrong_test(OUTPUTS_TOO_MANY, changes=[columns_exchanged])
wrong_test(POSITIONS, changes=[columns_exchanged], seen=lambda y, t: y[..., :t])
wrong_test(POSITIONS, seen=lambda y, t: y[:t])
wrong_test(POSITIONS, seen=lambda y, t: y[0, :t])
wrong_test(POSITIONS, changes=[after_t], positions=lambda x: range(x.shape[-2]), seen=lambda y, t: y[0, :t + 1])
wrong_test(POSITIONS, changes=[after_t], seen=lambda y, t: y[0, :t + 1])
for axis in (0, 1):
    FUTURE_LEAK.mistake(POSITIONS)(cut_along(axis))
wrong_test(OUTPUTS_TOO_MANY, changes=[lambda x, t, rng: rng.standard_normal(x.shape)])
wrong_test(OF_THE_GENERATOR, changes=[as_many_as_x])


@FUTURE_LEAK.mistake(FIRST_ALONE)
def return_in_the_loop(f, x, rng):
    for t in every(x):
        return differ(before(f(exchanged(x, t, rng)), t), before(f(x), t))


@FUTURE_LEAK.mistake("Where nothing leaks, nothing comes back: `return False` is missing after the loop.")
def nothing_returned_at_the_end(f, x, rng):
    return future_leak(f, x, rng) or None


@FUTURE_LEAK.mistake("A leak counts for you only if every round finds one. One is enough: return True as soon as "
                     "outputs move.")
def all_rounds(f, x, rng):
    y = f(x)
    return all(differ(before(f(exchanged(x, t, rng)), t), before(y, t)) for t in every(x))


@FUTURE_LEAK.mistake("A leak counts for you only if every round finds one. One is enough: return True as soon as "
                     "outputs move.")
def all_rounds_and_at_least_one(f, x, rng):
    return len(every(x)) > 0 and all_rounds(f, x, rng)


@FUTURE_LEAK.mistake(OUTPUTS_TOO_MANY)
def copied_once(f, x, rng):
    y, other, found = f(x), x.copy(), False
    for t in every(x):
        other[..., t:, :] = rng.standard_normal(other[..., t:, :].shape)
        found = found or differ(before(f(other), t), before(y, t))
    return found


@FUTURE_LEAK.mistake(NO_COPY)
def written_into_x(f, x, rng):
    y = f(x)
    for t in every(x):
        x[..., t:, :] = rng.standard_normal(x[..., t:, :].shape)
        if differ(before(f(x), t), before(y, t)):
            return True
    return False


@FUTURE_LEAK.mistake(NO_COPY)
def written_into_a_second_name(f, x, rng):
    y = f(x).copy()
    for t in reversed(every(x)):
        other = x
        other[..., t:, :] = rng.standard_normal(other[..., t:, :].shape)
        if differ(before(f(other), t), before(y, t)):
            return True
    return False


@FUTURE_LEAK.mistake("You put x back, but an output may be a view into it, and changes along: `x[..., ::-1, :]` is "
                     "one. Work on a copy: `other = x.copy()`.")
def put_back(f, x, rng):
    y, kept, found = f(x), x.copy(), False
    for t in every(x):
        x[..., t:, :] = rng.standard_normal(x[..., t:, :].shape)
        found = found or differ(before(f(x), t), before(y, t))
        x[:] = kept
    return found


@FUTURE_LEAK.mistake(CUT_OFF)
def later_cut_off(f, x, rng):
    y = f(x)
    return any(differ(f(x[..., :t, :]), before(y, t)) for t in every(x))


@FUTURE_LEAK.mistake("You add words at the end. A function that looks ahead among the words of x itself is not caught: "
                     "exchange the later ones of these, and keep the length.")
def words_added(f, x, rng):
    longer = np.concatenate([x, rng.standard_normal(x.shape)], axis=-2)
    return differ(f(longer)[..., :x.shape[-2], :], f(x))


@FUTURE_LEAK.mistake("You compare the output with x. f may change every position by itself: compare with `f(x)`.")
def compared_with_x(f, x, rng):
    return any(differ(before(f(exchanged(x, t, rng)), t), before(x, t)) for t in every(x))


@FUTURE_LEAK.mistake(NEVER)
def inputs_compared(f, x, rng):
    return any(differ(before(exchanged(x, t, rng), t), before(x, t)) for t in every(x))


@FUTURE_LEAK.mistake("It says True even where there is no later position. Start from False, and return True only where "
                     "outputs moved.")
def always_true(f, x, rng):
    return True


@FUTURE_LEAK.mistake("Asked for is an answer, True or False, not where the leak is or how many there are.")
def number_of_leaks(f, x, rng):
    y = f(x)
    return sum(differ(before(f(exchanged(x, t, rng)), t), before(y, t)) for t in every(x))


@FUTURE_LEAK.mistake("Asked for is an answer, True or False, not where the leak is or how many there are.")
def places_of_leaks(f, x, rng):
    y = f(x)
    return [t for t in every(x) if differ(before(f(exchanged(x, t, rng)), t), before(y, t))]


@FUTURE_LEAK.mistake("You return a list, with an answer for every t. One is asked for: join them with `any`.")
def answers_in_a_list(f, x, rng):
    y = f(x)
    return [differ(before(f(exchanged(x, t, rng)), t), before(y, t)) for t in every(x)]


@FUTURE_LEAK.mistake(X_ALONE)
def mask_for_f(f, x, rng):
    return differ(f(x, np.tri(x.shape[-2])), f(x))


@FUTURE_LEAK.mistake(X_ALONE)
def mask_for_f_by_name(f, x, rng):
    return differ(f(x, mask=np.tri(x.shape[-2])), f(x))


@FUTURE_LEAK.mistake("The answer is the word True or False itself, not a text.")
def as_a_text(f, x, rng):
    return str(future_leak(f, x, rng))


@FUTURE_LEAK.mistake(AXES_COUNTED)
def two_axes_expected(f, x, rng):
    T, D = x.shape
    return future_leak(f, x, rng)


@FUTURE_LEAK.mistake(AXES_COUNTED)
def three_axes_expected(f, x, rng):
    B, T, D = x.shape
    return future_leak(f, x, rng)


@FUTURE_LEAK.alternative
def one_at_a_time(f, x, rng):
    y = f(x)
    for t in range(x.shape[-2]):
        other = x.copy()
        other[..., t, :] += rng.uniform(1, 2, size=x.shape[-1])
        if np.any(f(other)[..., :t, :] != y[..., :t, :]):
            return np.True_
    return np.False_


@FUTURE_LEAK.alternative
def from_the_end(f, x, rng):
    y, other = f(x).copy(), x.copy()
    for t in range(x.shape[-2] - 1, 0, -1):
        other[..., t, :] = rng.random(other[..., t, :].shape)
        if not np.array_equal(f(other)[..., :t, :], y[..., :t, :]):
            return True
    return False


@FUTURE_LEAK.alternative
def by_concatenation(f, x, rng):
    def stays(t):
        other = np.concatenate([x[..., :t, :], rng.normal(size=x[..., t:, :].shape)], axis=-2)
        return np.allclose(f(x)[..., :t, :], f(other)[..., :t, :])
    return not all(stays(t) for t in range(x.shape[-2] + 1))


@FUTURE_LEAK.alternative
def the_last_output_before(f, x, rng):
    T, y, leaks = x.shape[-2], f(x), []
    for t in range(T - 1):
        later = np.arange(T)[:, None] > t
        other = np.where(later, x + rng.standard_normal(x.shape), x)
        leaks.append(not np.isclose(f(other)[..., t, :], y[..., t, :]).all())
    return bool(np.any(leaks))


@FUTURE_LEAK.alternative
def all_at_once(f, x, rng):
    T = x.shape[-2]
    t = np.arange(T).reshape(-1, *np.ones(x.ndim, int))
    moved = np.abs(f(np.where(np.arange(T)[:, None] >= t, rng.integers(-9, 9, x.shape), x)) - f(x)) > 1e-9
    return bool(np.any(moved & (np.arange(T)[:, None] < t)))


@FUTURE_LEAK.alternative
def swapped_axes(f, x, rng):
    other, y = np.swapaxes(x, -1, -2), f(x)
    for t in range(1, x.shape[-2]):
        noise = np.swapaxes(rng.standard_normal(x.shape), -1, -2)
        changed = np.swapaxes(np.concatenate([other[..., :t], noise[..., t:]], axis=-1), -1, -2)
        if np.max(np.abs(f(changed) - y)[..., :t, :]) > 1e-12:
            return True
    return False
