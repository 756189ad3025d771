"""The exercises of chapter 03, attention."""
import functools
import math

import numpy as np

from ...attention import causal_mask, padding_mask, scaled_dot_product_attention, self_attention
from ...embeddings import positional_encoding, shift_matrix
from ...softmax import log_softmax, softmax
from ...support.arguments import check_projections
from ..answers.chapter_03 import previous_word_head, soft_lookup
from ..exercise import Case, Difference, Exercise, describe, shape_text

WRONG_ROOT = ("You take the root of another size. What grows with d_k is a sum of d_k products, so it is the root of "
              "d_k, the last axis of q and of k: `q.shape[-1]`.")
INVERTED = ("The mask is turned around: True is where a query *may* look. `np.where(mask, scores, ...)` keeps the "
            "scores where it is True.")
NOT_FOR_STACKS = ("This is right for matrices, and q, k and v may be stacks of them, with any number of axes in front. "
                  "Count the axes from the end (-1, -2), and let `@` go through the stack.")
ZERO_IS_NOT_NEVER = ("A masked score became 0, and 0 is a score like any other: the word still gets a share, often a "
                     "large one. *Never* is a score far below all others.")
SHARED_AMONG_FORBIDDEN = ("A query that may look at nothing shares its attention among words that are all forbidden: "
                          "where every score is equally low, softmax sees no difference. Multiply the weights by the "
                          "mask, and they are 0.")
NOT_LOW_ENOUGH = ("The number that stands for *never* is not low enough: here an allowed score is below it. Take -1e9, "
                  "or the lowest number of the dtype, `np.finfo(scores.dtype).min`.")
MASK_IS_NONE = ("`mask` may be None, which means that every query may look everywhere. Ask `if mask is None` first.")
MASK_IS_AN_ARRAY = ("The truth of a whole array is not defined. To ask whether there is a mask, write `mask is None` "
                    "or `mask is not None`, with `is`; to turn a mask around, `~mask`.")
FLOAT64_ROOT = ("Your numbers are right, but float32 became float64. `np.sqrt(d)` of a whole number is a float64 of "
                "NumPy's, and makes all float64. `math.sqrt(d)` is a plain Python number, and does not.")
FLOAT64_MASK = ("Where there is a mask, float32 becomes float64: `np.where(mask, 0.0, -1e9)`, or `(1 - mask) * -1e9`, "
                "is an array of float64. `np.where(mask, scores, -1e9)` has the dtype of the scores.")
OTHER_ORDER = "The two results are exchanged: first the output, then the weights."
OUTPUT_ONLY = "Two things are asked for: `return output, weights`."
NUMBER_BY_NUMBER = ("`*` multiplies number by number. What a query finds is a matrix product, the sum of all values "
                    "by their weights: `weights @ v`.")
LOWEST_IS_NOT_NEVER = ("A forbidden score became the lowest of the scores, or one just below it, and softmax gives "
                       "that a share like any other. *Never* is a score far below all others, such as -1e9.")
LOWEST_AND_ZEROS = ("You set forbidden scores to the lowest one, and the weights to 0 after softmax. What they had got "
                    "by then is lost, and the rows no longer add up to 1. *Never* is a score far below all others, "
                    "such as -1e9.")
INSIDE_ITSELF = ("You call `self_attention` inside itself; what you mean is `scaled_dot_product_attention`.")
NUMBERS_FOR_BOOL = ("Your mask holds numbers. It must hold True and False: `dtype=bool`, or a comparison, which gives "
                    "bool by itself.")
LOOKS_AHEAD = ("Every word looks at the word after it. A step of -1 belongs to the queries; on the keys, or with k = 1 "
               "or the matrix transposed, it turns around.")
LOOKS_AT_ITSELF = ("Every word looks at itself. The queries have to move one step back and the keys have to stay: if "
                   "neither moves, or both do, they fit where they are.")
NOT_SHARP = ("The right word is ahead, but not far: neighboring positions are much alike. Multiply W_Q or W_K by "
             "`sharpness`.")
ROOT_OF_SHARPNESS = ("The root of the sharpness is right only if both W_Q and W_K have it: a score is the product of "
                     "the two. On one of them alone, multiply by `sharpness` itself.")
ENCODING_FOR_MATRIX = ("An encoding says where the positions are. What W_Q and W_K need there is a matrix that acts on "
                       "it: `shift_matrix(-1, d_position)`, which moves it one step back, and `np.eye(d_position)`, "
                       "which leaves it.")
ALL_COLUMNS = ("The waves fill d_position columns of x, not all D: `shift_matrix(-1, d_position)`, with zeros for the "
               "words.")
ZERO_ROWS = ("Each matrix needs D = d_word + d_position rows, one for every column of x. Put a block of zeros, "
             "`np.zeros`, where a column is not to be read.")


@functools.cache
def drawn(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).round(2)        # readable where a card shows them


def normal(*shape, seed=0):
    return drawn(shape, seed).copy()


def float32(*shapes, seed):
    return [normal(*shape, seed=seed + i).astype(np.float32) for i, shape in enumerate(shapes)]


# ---- soft_lookup --------------------------------------------------------------------------------------------------

def soft_lookup_inputs():
    return [
        Case("the three keys of the text", (np.array([2.0, 1.0]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
                                            np.array([[10.0], [20.0], [30.0]])), axes="dv"),
        Case("S=5 keys of d=3, values of d_v=4", (normal(3, seed=1), normal(5, 3, seed=2), normal(5, 4, seed=3)),
             axes="dv"),
        Case("all sizes equal", (normal(3, seed=4), normal(3, 3, seed=5), normal(3, 3, seed=6)), axes="dv"),
        Case("keys as long as values", (normal(4, seed=7), normal(6, 4, seed=8), normal(6, 4, seed=9)), axes="dv"),
        Case("large scores", (np.array([900.0, 0.0]), np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0], [0.5, 0.0]]),
                              normal(4, 3, seed=10)), axes="dv"),
        Case("a query of zeros, which fits all alike", (np.zeros(3), normal(4, 3, seed=11), normal(4, 2, seed=12)),
             axes="dv"),
        Case("one key", (normal(3, seed=13), normal(1, 3, seed=14), normal(1, 2, seed=15)), axes="dv"),
        Case("transposed views", (normal(4, seed=16), normal(4, 5, seed=17).T, normal(3, 5, seed=18).T), axes="dv"),
        Case("float32", (*float32((3,), (5, 3), (5, 4), seed=19),), axes="dv"),
    ]


SOFT_LOOKUP = Exercise(soft_lookup, soft_lookup_inputs)


@SOFT_LOOKUP.mistake("These are the scores, one for each key. What is left: softmax, and the blend of the values.")
def scores_only(query, keys, values):
    return keys @ query


@SOFT_LOOKUP.mistake("These are the shares of the keys. What is left is the blend of the values: shares `@` values.")
def shares_only(query, keys, values):
    return softmax(keys @ query)


@SOFT_LOOKUP.mistake("You blend the values by the scores themselves. Scores may be negative and add up to anything; "
                     "softmax makes shares of them.")
def without_softmax(query, keys, values):
    return keys @ query @ values


@SOFT_LOOKUP.mistake("You divide the scores by their sum. They may be negative: softmax makes shares of them.")
def divided_by_the_sum(query, keys, values):
    scores = keys @ query
    return scores / scores.sum() @ values


@SOFT_LOOKUP.mistake("The best key took everything. That is the lookup with exact keys; the soft one blends all "
                     "values, each by its share.")
def best_key_only(query, keys, values):
    return values[np.argmax(keys @ query)]


@SOFT_LOOKUP.mistake("This is the plain average of the values, whatever the query. Each value counts by how well its "
                     "key fits.")
def plain_average(query, keys, values):
    return values.mean(axis=0)


@SOFT_LOOKUP.mistake("You blend the keys. They only say who is meant; what is found is made of `values`.")
def blend_of_keys(query, keys, values):
    return softmax(keys @ query) @ keys


@SOFT_LOOKUP.mistake("You compare the query with the values. It is compared with the keys; the values are what is "
                     "found.")
def values_compared(query, keys, values):
    return softmax(values @ query) @ values


@SOFT_LOOKUP.mistake("You divide by the root of d, which comes in exercise 3.2. Here the scores are used as they are.")
def scaled_already(query, keys, values):
    return softmax(keys @ query / math.sqrt(len(query))) @ values


@SOFT_LOOKUP.mistake("`query @ keys` meets the keys' axis S, not d. Each key has a row: `keys @ query`.")
def keys_on_the_right(query, keys, values):
    return softmax(query @ keys) @ values


@SOFT_LOOKUP.mistake("`values @ shares` meets d_v, not S. Turned around, `shares @ values` sums over the S values.")
def values_on_the_left(query, keys, values):
    return values @ softmax(keys @ query)


@SOFT_LOOKUP.mistake("`*` multiplies number by number. A score is the *sum* of such products: `keys @ query`.")
def products_not_summed(query, keys, values):
    return softmax(keys * query) @ values


@SOFT_LOOKUP.mistake("You summed over the keys (axis 0). A score sums over d: `axis=1`, or `keys @ query`.")
def summed_over_the_keys(query, keys, values):
    return softmax((keys * query).sum(axis=0)) @ values


for blend_by in (lambda shares, values: shares @ values, lambda shares, values: shares.T @ values,
                 lambda shares, values: (shares * values).sum(axis=0)):
    @SOFT_LOOKUP.mistake("The scores stand in a column, (S, 1), and softmax shares out along the last axis, where each "
                         "is alone: all shares are 1. `keys @ query` has the shape (S,).")
    def shares_all_1(query, keys, values, blend_by=blend_by):
        return blend_by(softmax(keys @ query[:, None]), values)


@SOFT_LOOKUP.mistake("Shares (S,) and values (S, d_v) do not line up for `*`, and what is asked for is a sum over the "
                     "keys: `shares @ values`.")
def shares_times_values(query, keys, values):
    return softmax(keys @ query) * values


@SOFT_LOOKUP.mistake("Each value is multiplied by its share; what is left is to add them up, over the keys (axis 0).")
def not_added_up(query, keys, values):
    return softmax(keys @ query)[:, None] * values


@SOFT_LOOKUP.mistake("You added up over the wrong axis. The sum runs over the keys, and leaves d_v numbers.")
def added_up_over_d_v(query, keys, values):
    return (softmax(keys @ query)[:, None] * values).sum(axis=1)


@SOFT_LOOKUP.mistake("You average over the keys after weighing. The shares add up to 1 already: take the sum.")
def mean_of_weighed(query, keys, values):
    return (softmax(keys @ query)[:, None] * values).mean(axis=0)


@SOFT_LOOKUP.mistake("Everything was added up to one number. The blend has d_v numbers: sum over the keys alone.")
def one_number(query, keys, values):
    return (softmax(keys @ query)[:, None] * values).sum()


@SOFT_LOOKUP.mistake("You blend first and take softmax afterwards. The scores become shares, and then the values are "
                     "blended.")
def softmax_at_the_end(query, keys, values):
    return softmax(keys @ query @ values)


@SOFT_LOOKUP.mistake("Softmax was taken of the query or of the keys. It belongs to the scores, `keys @ query`.")
def softmax_of_the_query(query, keys, values):
    return keys @ softmax(query) @ values


@SOFT_LOOKUP.mistake("Softmax was taken of the query or of the keys. It belongs to the scores, `keys @ query`.")
def softmax_of_the_keys(query, keys, values):
    return softmax(keys) @ query @ values


@SOFT_LOOKUP.mistake("These are distances, or their opposite. Here a key fits well where its product with the query "
                     "is large: `keys @ query`.")
def by_distance(query, keys, values):
    return softmax(-np.sum((keys - query) ** 2, axis=-1)) @ values


@SOFT_LOOKUP.mistake("These are distances, or their opposite. Here a key fits well where its product with the query "
                     "is large: `keys @ query`.")
def by_root_of_distance(query, keys, values):
    return softmax(-np.sqrt(np.sum((keys - query) ** 2, axis=-1))) @ values


@SOFT_LOOKUP.mistake("The sign is turned: the key that fits worst got the largest share.")
def sign_turned(query, keys, values):
    return softmax(-(keys @ query)) @ values


@SOFT_LOOKUP.mistake("You made query and keys as long as 1 first. Here they are used as they are.")
def of_length_one(query, keys, values):
    lengths = np.sqrt(np.sum(keys ** 2, axis=-1)) * np.sqrt(np.sum(query ** 2))
    return softmax(keys @ query / lengths) @ values


@SOFT_LOOKUP.mistake("There is one query here, and the blend has the shape (d_v,): no axis in front.")
def an_axis_in_front(query, keys, values):
    return softmax(query[None] @ keys.T) @ values


@SOFT_LOOKUP.mistake("Only the blend is asked for.")
def blend_and_shares(query, keys, values):
    shares = softmax(keys @ query)
    return shares @ values, shares


@SOFT_LOOKUP.mistake("Only the blend is asked for.")
def shares_and_blend(query, keys, values):
    return blend_and_shares(query, keys, values)[::-1]


@SOFT_LOOKUP.mistake("Your own exponentials overflow for large scores. Use `softmax`, which subtracts the largest "
                     "score first.")
def exponentials_that_overflow(query, keys, values):
    e = np.exp(keys @ query)
    return e / e.sum() @ values


@SOFT_LOOKUP.mistake("float32 became float64. Something in your function makes it: `np.zeros` without a dtype, or a "
                     "float64 to start the sum with.")
def made_float64(query, keys, values):
    blend = np.zeros(values.shape[1])
    for share, value in zip(softmax(keys @ query), values, strict=True):
        blend += share * value
    return blend


@SOFT_LOOKUP.alternative
def key_by_key(query, keys, values):
    shares = softmax(np.array([np.dot(query, key) for key in keys]))
    return sum(share * value for share, value in zip(shares, values, strict=True))


@SOFT_LOOKUP.alternative
def by_einsum(query, keys, values):
    return np.einsum("s,sv->v", softmax(np.einsum("d,sd->s", query, keys)), values)


@SOFT_LOOKUP.alternative
def by_sums(query, keys, values):
    shares = softmax((keys * query).sum(axis=1))
    return (shares[:, None] * values).sum(axis=0)


# ---- scaled_dot_product_attention ---------------------------------------------------------------------------------

@functools.cache
def drawn_mask(shape, seed):
    return drawn(shape, seed) > np.median(drawn(shape, seed), axis=-1, keepdims=True)


def random_mask(*shape, seed):
    """In every row, some may be looked at and some may not."""
    return drawn_mask(shape, seed).copy()


def attention_inputs():
    plain, stack, heads = ("T dv", "T S"), ("B T dv", "B T S"), ("B H T dv", "B H T S")
    many = [[normal(2, 3, 4, 6, seed=30), normal(2, 3, 5, 6, seed=31), normal(2, 3, 5, 7, seed=32)] for _ in range(3)]
    small = [float32((2, 4, 6), (2, 5, 6), (2, 5, 3), seed=33) for _ in range(2)]
    views = [x.swapaxes(1, 2) for x in float32((2, 4, 3, 6), (2, 5, 3, 6), (2, 5, 3, 2), seed=36)]
    return [
        Case("by hand: T=2 queries, S=3 keys, d_k=4, d_v=2",
             (np.array([[2.0, 0, 0, 0], [0, 2, 0, 0]]), np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]]),
              np.array([[10.0, 0], [0, 10], [10, 10]])), axes=plain),
        Case("T=3, S=5, d_k=6, d_v=4", (normal(3, 6, seed=39), normal(5, 6, seed=40), normal(5, 4, seed=41)),
             axes=plain),
        Case("a stack of B=2", (normal(2, 4, 3, seed=42), normal(2, 5, 3, seed=43), normal(2, 5, 6, seed=44)),
             axes=stack),
        Case("stacks of B=2 and H=3", (*many[0],), axes=heads),
        Case("a stack of B=1", (normal(1, 3, 2, seed=27), normal(1, 4, 2, seed=28), normal(1, 4, 3, seed=29)),
             axes=stack),
        Case("more queries than keys", (normal(6, 3, seed=24), normal(2, 3, seed=25), normal(2, 4, seed=26)),
             axes=plain),
        Case("all sizes equal", (normal(3, 3, 3, seed=45), normal(3, 3, 3, seed=46), normal(3, 3, 3, seed=47)),
             axes=stack),
        Case("a mask of shape (T=3, S=4)",
             (normal(3, 2, seed=48), normal(4, 2, seed=49), normal(4, 3, seed=50),
              np.array([[True, False, False, True], [False, True, True, False], [True, False, True, True]])),
             axes=plain),
        Case("one mask of shape (T=4, S=5) for a stack of B=2",
             (normal(2, 4, 3, seed=51), normal(2, 5, 3, seed=52), normal(2, 5, 2, seed=53),
              random_mask(4, 5, seed=54)), axes=stack),
        Case("a mask of shape (B=2, 1, 1, S=5), as padding makes it",
             (*many[1], np.array([[True, True, True, True, False], [True, True, False, False, False]])[:, None, None]),
             axes=heads),
        Case("a mask of the full shape (B=2, H=3, T=4, S=5)", (*many[2], random_mask(2, 3, 4, 5, seed=55)), axes=heads),
        Case("float32", (*small[0],), axes=stack),
        Case("float32 and a mask", (*small[1], random_mask(4, 5, seed=62)), axes=stack),
        Case("float32, transposed views", (*views, random_mask(2, 1, 4, 5, seed=63)), axes=heads),
        Case("float32, one query", (*float32((1, 3), (4, 3), (4, 2), seed=64),), axes=plain),
        Case("a query that may look at nothing",
             (normal(3, 2, seed=56), normal(4, 2, seed=57), normal(4, 3, seed=58),
              np.array([[True, True, False, False], [False] * 4, [True] * 4])), axes=plain),
        Case("large scores", (50 * normal(3, 4, seed=59), 50 * normal(5, 4, seed=60), normal(5, 2, seed=61)),
             axes=plain),
        Case("large scores and a mask that forbids the largest",
             (np.array([[200.0, 0.0], [0.0, 300.0]]), np.array([[-300.0, 0.0], [0.0, -200.0], [200.0, 100.0]]),
              np.array([[1.0], [2.0], [4.0]]), np.array([[True, False, False], [True, True, False]])), axes=plain),
    ]


SCALED_DOT_PRODUCT_ATTENTION = Exercise(scaled_dot_product_attention, attention_inputs)


def products(q, k):
    return q @ np.swapaxes(k, -1, -2)


def scaled(q, k):
    return products(q, k) / math.sqrt(q.shape[-1])


def masked_softmax(scores, mask):
    if mask is None:
        return softmax(scores)
    return softmax(np.where(mask, scores, np.finfo(scores.dtype).min)) * mask


def blend(scores, v, mask):
    """What is right from the scores on."""
    weights = masked_softmax(scores, mask)
    return weights @ v, weights


def forbid(scores, mask, lowest):
    return scores if mask is None else np.where(mask, scores, lowest)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The scores are not divided by the root of d_k. Sums of d_k products grow with "
                                      "it, and softmax gives nearly everything to one word.")
def no_root(q, k, v, mask=None):
    return blend(products(q, k), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You multiply by the root of d_k. That makes large scores larger still: divide.")
def times_root(q, k, v, mask=None):
    return blend(products(q, k) * math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You divide by d_k itself (or by its root twice), and the weights come out "
                                      "nearly even. Divide by the root, once.")
def divided_by_d(q, k, v, mask=None):
    return blend(products(q, k) / q.shape[-1], v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Brackets are missing: `d ** 1 / 2` is (d ** 1) / 2, half of d. Write "
                                      "`math.sqrt(d)`, or `d ** 0.5`.")
def half_of_d(q, k, v, mask=None):
    return blend(products(q, k) / (q.shape[-1] / 2), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Brackets are missing: `scores / d ** 1 / 2` divides by d, and then by 2. Write "
                                      "`math.sqrt(d)`, or `d ** 0.5`.")
def d_and_then_2(q, k, v, mask=None):
    return blend(products(q, k) / q.shape[-1] / 2, v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("2 is the root of 4, the d_k of the example. Here d_k is another: take the root "
                                      "of `q.shape[-1]`.")
def root_of_the_example(q, k, v, mask=None):
    return blend(products(q, k) / 2, v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("2 is the root of 4, the d_k of the example. Here d_k is another: take the root "
                                      "of `q.shape[-1]`.")
def root_of_the_example_for_matrices(q, k, v, mask=None):
    return blend(q @ k.T / 2, v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(WRONG_ROOT)
def root_of_t(q, k, v, mask=None):
    return blend(products(q, k) / math.sqrt(q.shape[-2]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(WRONG_ROOT)
def root_of_s(q, k, v, mask=None):
    return blend(products(q, k) / math.sqrt(k.shape[-2]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(WRONG_ROOT)
def root_of_d_v(q, k, v, mask=None):
    return blend(products(q, k) / math.sqrt(v.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(WRONG_ROOT)
def root_of_the_first_axis_of_q(q, k, v, mask=None):
    return blend(products(q, k) / math.sqrt(len(q)), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(WRONG_ROOT)
def root_of_the_first_axis_of_k(q, k, v, mask=None):
    return blend(products(q, k) / math.sqrt(len(k)), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`shape[1]` is d_k as long as q is a matrix. In a stack it is another axis: "
                                      "`q.shape[-1]`, from the end, is d_k always.")
def root_of_axis_1(q, k, v, mask=None):
    return blend(products(q, k) / math.sqrt(q.shape[1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You divide by the root after softmax, and the weights no longer add up to 1. "
                                      "Divide the scores, before.")
def root_after_softmax(q, k, v, mask=None):
    weights = masked_softmax(products(q, k), mask) / math.sqrt(q.shape[-1])
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The weights of each *key* add up to 1 (look at the columns). Each *query* has "
                                      "100% to give, to the keys: softmax along the last axis, S.")
def softmax_over_queries(q, k, v, mask=None):
    scores = forbid(scaled(q, k), mask, -1e9)
    weights = softmax(scores, axis=-2)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Softmax runs along the first axis. Each query shares 100% among the keys, "
                                      "which are the last axis: leave `axis` at -1.")
def softmax_over_the_first_axis(q, k, v, mask=None):
    weights = softmax(forbid(scaled(q, k), mask, -1e9), axis=0)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`axis=1` is the keys as long as the scores are a matrix. In a stack it is not: "
                                      "leave `axis` at -1.")
def softmax_over_axis_1(q, k, v, mask=None):
    weights = softmax(forbid(scaled(q, k), mask, -1e9), axis=1)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("All weights together add up to 1. Each query has 100% of its own: softmax "
                                      "along the last axis.")
def softmax_over_everything(q, k, v, mask=None):
    weights = softmax(forbid(scaled(q, k), mask, -1e9), axis=None)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The weights are scores still: softmax is missing.")
def no_softmax(q, k, v, mask=None):
    scores = scaled(q, k) if mask is None else scaled(q, k) * mask
    return scores @ v, scores


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Softmax was taken twice. Weights are no scores: a second time evens them out.")
def softmax_twice(q, k, v, mask=None):
    weights = softmax(softmax(forbid(scaled(q, k), mask, -1e9)))
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Softmax came last. The scores become weights first, and the weights blend the "
                                      "values.")
def softmax_of_the_output(q, k, v, mask=None):
    scores = forbid(scaled(q, k), mask, 0.0)
    return softmax(scores @ v), scores


@SCALED_DOT_PRODUCT_ATTENTION.mistake("These are logarithms of weights. Use `softmax`, not `log_softmax`.")
def logarithms_of_weights(q, k, v, mask=None):
    weights = log_softmax(forbid(scaled(q, k), mask, -1e9))
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Your own exponentials overflow for large scores. Use `softmax`, which "
                                      "subtracts the largest score first.")
def exponentials_that_overflow_(q, k, v, mask=None):
    e = np.exp(scaled(q, k))
    e = e if mask is None else e * mask
    total = e.sum(axis=-1, keepdims=True)
    weights = e / np.where(total == 0, 1, total)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The maximum or the sum of each row has lost its axis, and no longer lines up "
                                      "with the row. `keepdims=True` keeps it; or use `softmax`.")
def lost_axis(q, k, v, mask=None):
    e = np.exp(forbid(scaled(q, k), mask, -1e9))
    weights = e / e.sum(axis=-1)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The maximum or the sum of each row has lost its axis, and no longer lines up "
                                      "with the row. `keepdims=True` keeps it; or use `softmax`.")
def lost_axis_of_the_maximum(q, k, v, mask=None):
    scores = scaled(q, k)
    e = np.exp(scores - scores.max(axis=-1))
    return e / e.sum(axis=-1)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`q @ k` pairs d_k with S. Every query meets every key in `q @` k *transposed*: "
                                      "`np.swapaxes(k, -1, -2)`.")
def k_not_transposed(q, k, v, mask=None):
    return blend(q @ k / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`q * k` multiplies number by number. Every query meets every key in a matrix "
                                      "product: `q @ np.swapaxes(k, -1, -2)`.")
def number_by_number(q, k, v, mask=None):
    return blend(q * k / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`k.T` turns around all axes. That is right for a matrix and wrong for a stack: "
                                      "exchange the last two alone, `np.swapaxes(k, -1, -2)`.")
def all_axes_turned(q, k, v, mask=None):
    return blend(q @ k.T / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`np.dot` pairs every item of the first stack with every item of the second, "
                                      "sentences with strangers. `@` pairs item i with item i.")
def by_dot(q, k, v, mask=None):
    weights = masked_softmax(np.dot(q, np.swapaxes(k, -1, -2)) / math.sqrt(q.shape[-1]), mask)
    return np.dot(weights, v), weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`np.dot` pairs every item of the first stack with every item of the second, "
                                      "sentences with strangers. `@` pairs item i with item i.")
def scores_by_dot(q, k, v, mask=None):
    return blend(np.dot(q, np.swapaxes(k, -1, -2)) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`np.dot` pairs every item of the first stack with every item of the second, "
                                      "sentences with strangers. `@` pairs item i with item i.")
def output_by_dot(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return np.dot(weights, v), weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`np.dot` pairs every item of the first stack with every item of the second, "
                                      "sentences with strangers. `@` pairs item i with item i.")
def by_dot_and_t(q, k, v, mask=None):
    return blend(np.dot(q, k.T) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def transposed_for_a_stack(q, k, v, mask=None):
    return blend(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def transposed_for_heads(q, k, v, mask=None):
    return blend(q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def axes_1_and_2_swapped(q, k, v, mask=None):
    return blend(q @ np.swapaxes(k, 1, 2) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def axes_0_and_1_swapped(q, k, v, mask=None):
    return blend(q @ np.swapaxes(k, 0, 1) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def einsum_for_a_stack(q, k, v, mask=None):
    return blend(np.einsum("btd,bsd->bts", q, k) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def einsum_for_heads(q, k, v, mask=None):
    return blend(np.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def einsum_for_matrices(q, k, v, mask=None):
    return blend(np.einsum("td,sd->ts", q, k) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def query_by_query(q, k, v, mask=None):
    scores = np.stack([k @ query for query in q]) / math.sqrt(q.shape[-1])
    return blend(scores, v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_FOR_STACKS)
def two_loops_over_rows(q, k, v, mask=None):
    scores = np.array([[np.dot(query, key) for key in k] for query in q]) / math.sqrt(q.shape[-1])
    return blend(scores, v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Queries and keys are exchanged: the rows of the scores belong to the queries, "
                                      "the columns to the keys, so q stands on the left.")
def exchanged(q, k, v, mask=None):
    return blend(products(k, q) / math.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The weights (T, S) stand transposed before the values. `weights @ v` sums over "
                                      "the S keys as they are.")
def weights_transposed(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return np.swapaxes(weights, -1, -2) @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The values stand on the left. `weights @ v`: (T, S) times (S, d_v) sums over "
                                      "the keys.")
def values_first(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return v @ weights, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NUMBER_BY_NUMBER)
def weights_times_values(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return weights * v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NUMBER_BY_NUMBER)
def values_times_weights(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return v * weights, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("An axis of size 1 was removed. A stack of one keeps its axis: leave `squeeze` "
                                      "away.")
def squeezed(q, k, v, mask=None):
    return [np.squeeze(x) for x in blend(scaled(q, k), v, mask)]


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You blend the keys. They only say who is meant; what a query finds is made of "
                                      "the values, `weights @ v`.")
def keys_blended(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return weights @ k, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You blend the queries. What a query finds is made of the values, `weights @ "
                                      "v`.")
def queries_blended(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return weights @ q, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The keys are compared with the values. The scores are of queries and keys.")
def values_compared_(q, k, v, mask=None):
    return blend(scaled(v, k), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Both results are the weights. The output is the blend of the values: `weights "
                                      "@ v`.")
def values_not_used(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask)
    return weights, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake(OTHER_ORDER)
def weights_first(q, k, v, mask=None):
    return blend(scaled(q, k), v, mask)[::-1]


@SCALED_DOT_PRODUCT_ATTENTION.mistake(OUTPUT_ONLY)
def output_only(q, k, v, mask=None):
    return blend(scaled(q, k), v, mask)[0]


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You return the weights alone. What they blend out of the values comes first: "
                                      "`return output, weights`.")
def weights_only(q, k, v, mask=None):
    return masked_softmax(scaled(q, k), mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The second result is the scores. The weights are asked for, which softmax has "
                                      "made of them.")
def scores_for_weights(q, k, v, mask=None):
    scores = scaled(q, k)
    return blend(scores, v, mask)[0], scores


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The second result is the scores. The weights are asked for, which softmax has "
                                      "made of them.")
def products_for_weights(q, k, v, mask=None):
    return blend(scaled(q, k), v, mask)[0], products(q, k)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The weights are rounded, and so is what they blend. Return them as they are.")
def rounded(q, k, v, mask=None):
    weights = masked_softmax(scaled(q, k), mask).round(3)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The mask is not used: words that are forbidden have weights above 0.")
def mask_ignored(q, k, v, mask=None):
    return blend(scaled(q, k), v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(INVERTED)
def inverted(q, k, v, mask=None):
    return blend(scaled(q, k), v, None if mask is None else ~mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(INVERTED)
def inverted_by_infinity(q, k, v, mask=None):
    return blend(forbid(scaled(q, k), None if mask is None else ~mask, -np.inf), v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You masked after softmax, and the rows no longer add up to 1: what the "
                                      "forbidden words got is lost. Mask the scores, and the others share all of it.")
def masked_after_softmax(q, k, v, mask=None):
    weights = softmax(scaled(q, k))
    weights = weights if mask is None else weights * mask
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You masked after softmax and divided by what was left. Where nothing is left, "
                                      "or so little that it was rounded to 0, that is 0 / 0. Mask the scores instead.")
def shared_out_again(q, k, v, mask=None):
    weights = softmax(scaled(q, k))
    weights = weights if mask is None else weights * mask
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Right on paper: masked after softmax, and the rest shared out again. But next "
                                      "to a large forbidden score all allowed shares are rounded to 0, and nothing is "
                                      "left to share. Mask the scores instead.")
def shared_out_again_without_nan(q, k, v, mask=None):
    weights = softmax(scaled(q, k))
    weights = weights if mask is None else weights * mask
    weights = np.nan_to_num(weights / weights.sum(axis=-1, keepdims=True))
    return weights @ v, weights


for tiny in (1e-10, 1e-9, 1e-8, 1e-6):
    @SCALED_DOT_PRODUCT_ATTENTION.mistake("You masked after softmax and divided by what was left, with something small "
                                          "added. The rows add up to a little less than 1. Mask the scores instead.")
    def shared_out_again_with_epsilon(q, k, v, mask=None, tiny=tiny):
        weights = softmax(scaled(q, k))
        if mask is not None:
            weights = weights * mask
            weights = weights / (weights.sum(axis=-1, keepdims=True) + tiny)
        return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake(ZERO_IS_NOT_NEVER)
def mask_multiplied_into_scores(q, k, v, mask=None):
    return blend(scaled(q, k) if mask is None else scaled(q, k) * mask, v, None)


for axis in (None, -1):
    for below in (0, 1):
        @SCALED_DOT_PRODUCT_ATTENTION.mistake(LOWEST_IS_NOT_NEVER)
        def lowest_score(q, k, v, mask=None, axis=axis, below=below):
            scores = scaled(q, k)
            return blend(forbid(scores, mask, scores.min(axis=axis, keepdims=True) - below), v, None)

    @SCALED_DOT_PRODUCT_ATTENTION.mistake(LOWEST_AND_ZEROS)
    def lowest_score_and_zeros(q, k, v, mask=None, axis=axis):
        scores = scaled(q, k)
        lowest = scores.min(axis=axis, keepdims=True)
        weights = softmax(forbid(scores, mask, lowest)) * (True if mask is None else mask)
        return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You added the mask as it is, and True counts as 1: an allowed word's score "
                                      "rises by 1, a forbidden one's stays. A forbidden score must fall far below all "
                                      "others.")
def mask_added(q, k, v, mask=None):
    return blend(scaled(q, k) if mask is None else scaled(q, k) + mask, v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The weights were returned from before the mask. They must be those that "
                                      "blended the values: 0 where the mask says no.")
def weights_before_the_mask(q, k, v, mask=None):
    return blend(scaled(q, k), v, mask)[0], softmax(scaled(q, k))


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The weights are masked and the output is not: it was made before the mask, or "
                                      "of other weights than you return.")
def output_before_the_mask(q, k, v, mask=None):
    return softmax(scaled(q, k)) @ v, masked_softmax(scaled(q, k), mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("A query that may look at nothing got NaN: where all scores are -inf, softmax "
                                      "has no answer. It is to have zeros. Use a large negative number, and multiply "
                                      "the weights by the mask; or replace these rows.")
def nan_where_nothing_is_allowed(q, k, v, mask=None):
    return blend(forbid(scaled(q, k), mask, -np.inf), v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You replaced the NaN in one of the two results, and the other still has it. "
                                      "Replace it in the weights before they blend the values.")
def nan_in_the_output(q, k, v, mask=None):
    output, weights = blend(forbid(scaled(q, k), mask, -np.inf), v, None)
    return output, np.nan_to_num(weights)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You replaced the NaN in one of the two results, and the other still has it. "
                                      "Replace it in the weights before they blend the values.")
def nan_in_the_weights(q, k, v, mask=None):
    output, weights = blend(forbid(scaled(q, k), mask, -np.inf), v, None)
    return np.nan_to_num(output), weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake(SHARED_AMONG_FORBIDDEN)
def shared_evenly(q, k, v, mask=None):
    return blend(forbid(scaled(q, k), mask, -1e9), v, None)


for low in (1e9, 1e10, 1e12):
    @SCALED_DOT_PRODUCT_ATTENTION.mistake(SHARED_AMONG_FORBIDDEN)
    def low_number_added(q, k, v, mask=None, low=low):
        return blend(scaled(q, k) if mask is None else scaled(q, k) - np.where(mask, 0, low).astype(q.dtype), v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_LOW_ENOUGH)
def not_low_enough(q, k, v, mask=None):
    return blend(forbid(scaled(q, k), mask, -1e4), v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(NOT_LOW_ENOUGH)
def not_low_enough_and_zeros(q, k, v, mask=None):
    weights = softmax(forbid(scaled(q, k), mask, -1e4)) * (True if mask is None else mask)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You use a triangle of your own, whatever the mask. The caller says what may be "
                                      "looked at: use the argument `mask`.")
def always_causal(q, k, v, mask=None):
    scores = scaled(q, k)
    return blend(scores, v, np.tri(*scores.shape[-2:], dtype=bool))


@SCALED_DOT_PRODUCT_ATTENTION.mistake("You use a triangle of your own, whatever the mask. The caller says what may be "
                                      "looked at: use the argument `mask`.")
def causal_when_masked(q, k, v, mask=None):
    scores = scaled(q, k)
    return blend(scores, v, mask if mask is None else np.tri(*scores.shape[-2:], dtype=bool))


@SCALED_DOT_PRODUCT_ATTENTION.mistake("Your mask stands transposed: its rows are queries and its columns keys, as "
                                      "those of the scores. Use it as it is.")
def mask_transposed(q, k, v, mask=None):
    return blend(scaled(q, k), v, mask if mask is None else np.swapaxes(mask, -1, -2))


@SCALED_DOT_PRODUCT_ATTENTION.mistake("An index of bool needs the shape of the array, and a mask may have axes of "
                                      "size 1, or fewer axes. `np.where(mask, scores, ...)` broadcasts.")
def assigned_by_index(q, k, v, mask=None):
    scores = scaled(q, k)
    if mask is not None:
        scores[~mask] = -1e9
    return blend(scores, v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("An index of bool needs the shape of the array, and a mask may have axes of "
                                      "size 1, or fewer axes. `np.where(mask, scores, ...)` broadcasts.")
def assigned_by_index_and_nan(q, k, v, mask=None):
    scores = scaled(q, k)
    if mask is not None:
        scores[~mask] = -np.inf
    return blend(scores, v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(MASK_IS_NONE)
def none_turned_around(q, k, v, mask=None):
    return blend(np.where(~mask, -1e9, scaled(q, k)), v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(MASK_IS_NONE)
def none_subtracted(q, k, v, mask=None):
    return blend(scaled(q, k) + (1 - mask) * -1e9, v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(MASK_IS_NONE)
def none_as_a_condition(q, k, v, mask=None):
    return blend(np.where(mask, scaled(q, k), -1e9), v, None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(MASK_IS_NONE)
def none_multiplied(q, k, v, mask=None):
    weights = softmax(np.where(mask, scaled(q, k), -1e9)) * mask
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.mistake(MASK_IS_NONE)
def none_everything_forbidden(q, k, v, mask=None):
    return blend(np.where(mask, scaled(q, k), -np.inf), v, None)


for name in ("any", "all", "astype", "sum", "shape", "ndim", "dtype"):
    @SCALED_DOT_PRODUCT_ATTENTION.mistake(MASK_IS_NONE)
    def asked_of_none(q, k, v, mask=None, name=name):
        getattr(mask, name)
        return blend(scaled(q, k), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(MASK_IS_AN_ARRAY)
def if_mask(q, k, v, mask=None):
    return blend(scaled(q, k), v, mask if mask else None)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("NumPy turns bools around with `~mask`, not with a minus sign.")
def minus_mask(q, k, v, mask=None):
    return blend(scaled(q, k) if mask is None else np.where(-mask, -1e9, scaled(q, k)), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(FLOAT64_ROOT)
def root_of_float64(q, k, v, mask=None):
    return blend(products(q, k) / np.sqrt(q.shape[-1]), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("The root as a float32 is too coarse for float64 input; `math.sqrt` fits both.")
def root_of_float32(q, k, v, mask=None):
    return blend(products(q, k) / np.sqrt(np.float32(q.shape[-1])), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake(FLOAT64_MASK)
def mask_of_float64(q, k, v, mask=None):
    return blend(scaled(q, k) if mask is None else scaled(q, k) + np.where(mask, 0.0, -1e9), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`q /= ...` writes into the caller's array, which is still needed. Divide the "
                                      "scores: they are an array of your own.")
def in_place(q, k, v, mask=None):
    q /= math.sqrt(q.shape[-1])
    return blend(products(q, k), v, mask)


@SCALED_DOT_PRODUCT_ATTENTION.mistake("`math.sqrt` is missing its module: write `math.sqrt(...)`.")
def sqrt_without_math(q, k, v, mask=None):
    return blend(products(q, k) / sqrt(q.shape[-1]), v, mask)                                   # noqa: F821


@SCALED_DOT_PRODUCT_ATTENTION.alternative
def by_einsum_(q, k, v, mask=None):
    weights = masked_softmax(np.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5, mask)
    return np.einsum("...ts,...sv->...tv", weights, v), weights


@SCALED_DOT_PRODUCT_ATTENTION.alternative
def minus_infinity_and_no_nan(q, k, v, mask=None):
    scores = np.matmul(q, np.moveaxis(k, -1, -2)) / math.sqrt(k.shape[-1])
    weights = np.nan_to_num(softmax(forbid(scores, mask, -np.inf)))
    return np.matmul(weights, v), weights


@SCALED_DOT_PRODUCT_ATTENTION.alternative
def rows_of_nothing_replaced(q, k, v, mask=None):
    mask = np.array(True) if mask is None else mask
    weights = softmax(np.where(mask, scaled(q, k), -np.inf))
    weights = np.where(np.any(mask, axis=-1, keepdims=True) if mask.ndim else True, weights, 0)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.alternative
def a_large_number_added(q, k, v, mask=None):
    axes = *range(k.ndim - 2), k.ndim - 1, k.ndim - 2
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(axes)
    if mask is None:
        weights = softmax(scores)
    else:
        weights = softmax(scores + np.where(mask, 0, -1e9).astype(scores.dtype)) * mask
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.alternative
def softmax_of_its_own(q, k, v, mask=None):
    scores = scaled(q, k)
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    largest = np.max(scores, axis=-1, keepdims=True, where=allowed, initial=np.finfo(scores.dtype).min)
    positive = np.where(allowed, np.exp(np.minimum(scores - largest, 0)), 0)
    total = positive.sum(axis=-1, keepdims=True)
    weights = positive / np.where(total > 0, total, 1)
    return weights @ v, weights


@SCALED_DOT_PRODUCT_ATTENTION.alternative
def query_by_query_in_any_stack(q, k, v, mask=None):
    weights = np.zeros((*q.shape[:-1], k.shape[-2]), q.dtype)
    allowed = np.broadcast_to(True if mask is None else mask, weights.shape)
    for t in np.ndindex(q.shape[:-1]):
        some = allowed[t]
        if some.any():
            weights[t][some] = softmax(k[t[:-1]][some] @ q[t] / math.sqrt(q.shape[-1]))
    return weights @ v, weights


# ---- self_attention -----------------------------------------------------------------------------------------------

def self_attention_inputs():
    plain, stack = ("T dv", "T T"), ("B T dv", "B T T")
    matrices = [[normal(5, 3, seed=70), normal(5, 3, seed=71), normal(5, 2, seed=72)] for _ in range(4)]
    square = [[normal(4, 4, seed=73), normal(4, 4, seed=74), normal(4, 4, seed=75)] for _ in range(2)]
    repeated = normal(3, 4, seed=76)[[0, 1, 2, 0]]
    return [
        Case("T=2 words of D=3, d_k=2, d_v=1",
             (np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
              np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]), np.array([[10.0], [20.0], [0.0]])), axes=plain),
        Case("T=4, D=5, d_k=3, d_v=2", (normal(4, 5, seed=77), *matrices[0]), axes=plain),
        Case("all sizes equal, and a word that comes twice", (repeated, *square[0]), axes=plain),
        Case("a stack of B=2", (normal(2, 4, 5, seed=78), *matrices[1]), axes=stack),
        Case("a mask of shape (T=4, T=4)", (normal(4, 5, seed=79), *matrices[2], np.tri(4, dtype=bool)), axes=plain),
        Case("all sizes equal, and a mask",
             (normal(4, 4, seed=80), *square[1], random_mask(4, 4, seed=81)), axes=plain),
        Case("a mask for each of B=2",
             (normal(2, 4, 5, seed=82), *matrices[3], random_mask(2, 4, 4, seed=83)), axes=stack),
        Case("float32, transposed views, and a mask",
             (*(x.T for x in float32((5, 4, 3), (2, 5), (2, 5), (6, 5), seed=84)), np.tri(4, dtype=bool)),
             axes=stack),
    ]


SELF_ATTENTION = Exercise(self_attention, self_attention_inputs)


@SELF_ATTENTION.mistake("Queries and keys are made by the same matrix, so what a word asks is what it offers, and the "
                        "scores turn symmetric. The queries are x @ W_Q, the keys x @ W_K.")
def w_q_twice(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_Q, W_Q, W_V, mask)


@SELF_ATTENTION.mistake("Queries and keys are made by the same matrix, so what a word asks is what it offers, and the "
                        "scores turn symmetric. The queries are x @ W_Q, the keys x @ W_K.")
def w_k_twice(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_K, W_K, W_V, mask)


@SELF_ATTENTION.mistake("Queries and keys are exchanged: q is x @ W_Q, k is x @ W_K, and q comes first.")
def q_and_k_exchanged(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_K, W_Q, W_V, mask)


@SELF_ATTENTION.mistake("Keys and values are exchanged: q, then k, then v.")
def k_and_v_exchanged(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x @ W_Q, x @ W_V, x @ W_K, mask)


@SELF_ATTENTION.mistake("Mask and values are exchanged in the call: q, k, v, and the mask last.")
def mask_and_v_exchanged(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x @ W_Q, x @ W_K, mask, x @ W_V)


for how in ("", " while calling a Python object", " in comparison", " in __instancecheck__"):
    @SELF_ATTENTION.mistake(INSIDE_ITSELF)
    def self_without_end(x, W_Q, W_K, W_V, mask=None, how=how):
        raise RecursionError(f"maximum recursion depth exceeded{how}")       # Python says how, by chance


@SELF_ATTENTION.mistake(INSIDE_ITSELF)
def self_of_q_k_v(x, W_Q, W_K, W_V, mask=None):
    check_projections(x, x, W_Q, W_K, W_V, mask)
    return self_of_q_k_v(x @ W_Q, x @ W_K, x @ W_V, mask)


@SELF_ATTENTION.mistake(INSIDE_ITSELF)
def self_of_q_k_v_by_name(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x @ W_Q, x @ W_K, x @ W_V, mask=mask)


@SELF_ATTENTION.mistake(INSIDE_ITSELF)
def self_of_x_q_k_v(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, x @ W_Q, x @ W_K, x @ W_V, mask)


@SELF_ATTENTION.mistake("You blend the words themselves. What a word gives when it is found is `x @ W_V`.")
def x_for_values(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x @ W_Q, x @ W_K, x, mask)


@SELF_ATTENTION.mistake("You blend the keys. What a word gives when it is found is `x @ W_V`.")
def keys_for_values(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x @ W_Q, x @ W_K, x @ W_K, mask)


@SELF_ATTENTION.mistake("You blend the queries. What a word gives when it is found is `x @ W_V`.")
def queries_for_values(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x @ W_Q, x @ W_K, x @ W_Q, mask)


@SELF_ATTENTION.mistake("x plays all three roles itself. Each role has a matrix: `x @ W_Q`, `x @ W_K`, `x @ W_V`.")
def no_matrices(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x, x, x, mask)


@SELF_ATTENTION.mistake("The matrices went in as queries, keys and values. They make those out of x: `x @ W_Q` and so "
                        "on.")
def matrices_alone(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(W_Q, W_K, W_V, mask)


@SELF_ATTENTION.mistake("The matrix stands on the left. The words are rows of x, so it stands on the right: `x @ "
                        "W_Q`.")
def matrices_on_the_left(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(W_Q @ x, W_K @ x, W_V @ x, mask)


@SELF_ATTENTION.mistake("The matrices are (D, d_k) and (D, d_v) already, with D where `@` wants it. Do not transpose "
                        "them.")
def matrices_transposed(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x @ W_Q.T, x @ W_K.T, x @ W_V.T, mask)


@SELF_ATTENTION.mistake("`*` multiplies number by number. A projection is a matrix product, `x @ W_Q`.")
def number_by_number_(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x * W_Q, x * W_K, x * W_V, mask)


@SELF_ATTENTION.mistake("You project the output once more. W_V has done its work on the values already.")
def output_projected_again(x, W_Q, W_K, W_V, mask=None):
    output, weights = self_attention(x, W_Q, W_K, W_V, mask)
    return output @ W_V, weights


@SELF_ATTENTION.mistake("You write the projected queries into the name x, and the keys are then made of those. Keep "
                        "x, and give each result a name of its own.")
def x_overwritten(x, W_Q, W_K, W_V, mask=None):
    x = x @ W_Q
    q = x
    x = x @ W_K
    k = x
    return scaled_dot_product_attention(q, k, x @ W_V, mask)


@SELF_ATTENTION.mistake("The mask is not handed on. It is the fourth argument of `scaled_dot_product_attention`.")
def mask_not_handed_on(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_Q, W_K, W_V)


@SELF_ATTENTION.mistake("You hand on a triangle of your own. The caller says what may be looked at: hand on `mask`.")
def causal_always(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_Q, W_K, W_V, causal_mask(x.shape[-2]))


@SELF_ATTENTION.mistake("The mask was turned around on the way. It means the same to both functions: hand it on as it "
                        "is.")
def mask_turned_around(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_Q, W_K, W_V, None if mask is None else ~mask)


@SELF_ATTENTION.mistake("Divided by the root twice: `scaled_dot_product_attention` does it already.")
def root_twice(x, W_Q, W_K, W_V, mask=None):
    return scaled_dot_product_attention(x @ W_Q / math.sqrt(W_Q.shape[1]), x @ W_K, x @ W_V, mask)


@SELF_ATTENTION.mistake("The scores are not divided by the root of d_k. `scaled_dot_product_attention` does that for "
                        "you.")
def self_without_root(x, W_Q, W_K, W_V, mask=None):
    return blend(products(x @ W_Q, x @ W_K), x @ W_V, mask)


@SELF_ATTENTION.mistake("You look up query by query, as in `soft_lookup`, where scores are used as they are. Here they "
                        "are scaled and masked, and x may be a stack: `scaled_dot_product_attention` does all that.")
def query_by_query_without_root(x, W_Q, W_K, W_V, mask=None):
    q, k, v = x @ W_Q, x @ W_K, x @ W_V
    weights = np.array([softmax(k @ query) for query in q])
    return weights @ v, weights


@SELF_ATTENTION.mistake("You look up query by query, as in `soft_lookup`, where scores are used as they are. Here they "
                        "are scaled and masked, and x may be a stack: `scaled_dot_product_attention` does all that.")
def lists_query_by_query_without_root(x, W_Q, W_K, W_V, mask=None):
    return tuple(map(list, query_by_query_without_root(x, W_Q, W_K, W_V)))


@SELF_ATTENTION.mistake("You look up query by query, as in `soft_lookup`, where scores are used as they are. Here they "
                        "are scaled and masked, and x may be a stack: `scaled_dot_product_attention` does all that.")
def blends_query_by_query_without_root(x, W_Q, W_K, W_V, mask=None):
    return np.array([soft_lookup(query, x @ W_K, x @ W_V) for query in x @ W_Q])


@SELF_ATTENTION.mistake("You take the root of D, the size of x. The queries and keys have d_k numbers; "
                        "`scaled_dot_product_attention` takes the right root for you.")
def root_of_d_model(x, W_Q, W_K, W_V, mask=None):
    return blend(products(x @ W_Q, x @ W_K) / math.sqrt(x.shape[-1]), x @ W_V, mask)


@SELF_ATTENTION.mistake("The weights of each *key* add up to 1. Each *query* has 100% to give: softmax along the last "
                        "axis. `scaled_dot_product_attention` does all that for you.")
def self_softmax_over_queries(x, W_Q, W_K, W_V, mask=None):
    weights = softmax(forbid(scaled(x @ W_Q, x @ W_K), mask, -1e9), axis=-2)
    return weights @ x @ W_V, weights


@SELF_ATTENTION.mistake(OUTPUT_ONLY)
def self_output_only(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_Q, W_K, W_V, mask)[0]


@SELF_ATTENTION.mistake(OTHER_ORDER)
def self_other_order(x, W_Q, W_K, W_V, mask=None):
    return self_attention(x, W_Q, W_K, W_V, mask)[::-1]


@SELF_ATTENTION.mistake("`scaled_dot_product_attention` returns a pair, and you packed that pair into another one. "
                        "Return what it returns.")
def a_pair_in_a_pair(x, W_Q, W_K, W_V, mask=None):
    output = self_attention(x, W_Q, W_K, W_V, mask)
    return output, output[1]


@SELF_ATTENTION.mistake("You added x to the output. Attention returns what was found, and nothing else; the sum with "
                        "x comes in chapter 05.")
def with_x_added(x, W_Q, W_K, W_V, mask=None):
    output, weights = self_attention(x, W_Q, W_K, W_V, mask)
    return x + output, weights


@SELF_ATTENTION.mistake("float32 became float64. `np.sqrt(d)` of a whole number is a float64 of NumPy's, and makes "
                        "all float64; `scaled_dot_product_attention` knows what to do about that.")
def self_root_of_float64(x, W_Q, W_K, W_V, mask=None):
    return blend(products(x @ W_Q, x @ W_K) / np.sqrt(W_Q.shape[1]), x @ W_V, mask)


@SELF_ATTENTION.alternative
def one_role_at_a_time(x, W_Q, W_K, W_V, mask=None):
    q, k, v = (np.matmul(x, W) for W in (W_Q, W_K, W_V))
    output, weights = scaled_dot_product_attention(q, k, v, mask=mask)
    return output, weights


@SELF_ATTENTION.alternative
def all_roles_at_once(x, W_Q, W_K, W_V, mask=None):
    d_k = W_Q.shape[1]
    qkv = x @ np.hstack([W_Q, W_K, W_V])
    return scaled_dot_product_attention(qkv[..., :d_k], qkv[..., d_k:2 * d_k], qkv[..., 2 * d_k:], mask)


@SELF_ATTENTION.alternative
def values_projected_late(x, W_Q, W_K, W_V, mask=None):
    scores = x @ (W_Q @ W_K.T) @ np.swapaxes(x, -1, -2) / math.sqrt(W_Q.shape[1])
    output, weights = blend(scores, x, mask)
    return output @ W_V, weights


# ---- causal_mask --------------------------------------------------------------------------------------------------

def causal_mask_inputs():
    return [
        Case("3 positions", (3,), axes="T T"),
        Case("2 positions", (2,), axes="T T"),
        Case("6 positions", (6,), axes="T T"),
        Case("1 position", (1,), axes="T T"),
        Case("5 positions", (5,), axes="T T"),
    ]


CAUSAL_MASK = Exercise(causal_mask, causal_mask_inputs)


@CAUSAL_MASK.mistake("Each position looks at itself and at what comes *after* it. Row i is True for the columns up to "
                     "i: the lower triangle.")
def upper_triangle(length):
    return causal_mask(length).T


@CAUSAL_MASK.mistake("The mask is turned around: you marked what may *not* be looked at. True is where row i may "
                     "look.")
def turned_around(length):
    return ~causal_mask(length)


@CAUSAL_MASK.mistake("No position looks at itself, and the first one at nothing. The diagonal belongs to the mask.")
def without_diagonal(length):
    return np.tri(length, k=-1, dtype=bool)


@CAUSAL_MASK.mistake("Each position sees one step ahead. Row i ends with column i: `k=0`.")
def one_step_ahead(length):
    return np.tri(length, k=1, dtype=bool)


@CAUSAL_MASK.mistake(NUMBERS_FOR_BOOL)
def of_floats(length):
    return np.tri(length)


@CAUSAL_MASK.mistake(NUMBERS_FOR_BOOL)
def of_small_floats(length):
    return np.tri(length, dtype=np.float32)


@CAUSAL_MASK.mistake(NUMBERS_FOR_BOOL)
def of_whole_numbers(length):
    return np.tri(length, dtype=int)


@CAUSAL_MASK.mistake("These are numbers to add to scores, 0 and -inf. Here a mask says yes or no: bool, True where "
                     "row i may look.")
def to_be_added(length):
    return np.where(causal_mask(length), 0.0, -np.inf)


@CAUSAL_MASK.mistake("These are numbers to add to scores, 0 and -inf. Here a mask says yes or no: bool, True where "
                     "row i may look.")
def large_number_to_be_added(length):
    return np.where(causal_mask(length), 0.0, -1e9)


@CAUSAL_MASK.mistake("These are averages over the past, rows that add up to 1. The mask says only who may look at "
                     "whom: True or False.")
def averages(length):
    return np.tri(length) / np.arange(1, length + 1)[:, None]


@CAUSAL_MASK.mistake("The mask has an axis too many. It is one matrix, (T, T), for every sentence of a batch: "
                     "broadcasting sees to that.")
def with_a_batch(length):
    return causal_mask(length)[None]


@CAUSAL_MASK.mistake("The mask has an axis too many. It is one matrix, (T, T), for every sentence of a batch: "
                     "broadcasting sees to that.")
def with_batch_and_heads(length):
    return causal_mask(length)[None, None]


@CAUSAL_MASK.mistake("Everybody may look everywhere. Row i ends with column i.")
def everything_allowed(length):
    return np.ones((length, length), dtype=bool)


@CAUSAL_MASK.mistake("Each position looks at itself only. What came before belongs to the mask as well.")
def itself_only(length):
    return np.eye(length, dtype=bool)


@CAUSAL_MASK.mistake("The triangle lies in the wrong corner: row 0 is the first position, and may look at column 0 "
                     "alone.")
def upside_down(length):
    return causal_mask(length)[::-1]


@CAUSAL_MASK.mistake("The triangle lies in the wrong corner: row 0 is the first position, and may look at column 0 "
                     "alone.")
def mirrored(length):
    return causal_mask(length)[:, ::-1]


@CAUSAL_MASK.mistake("You return a list. Make an array of it: `np.array`.")
def a_list(length):
    return [[j <= i for j in range(length)] for i in range(length)]


@CAUSAL_MASK.mistake("This is one row. Compare a column of numbers with a row of them, `[:, None]`, and they "
                     "broadcast to a matrix.")
def one_row(length):
    return np.arange(length) >= np.arange(length)


@CAUSAL_MASK.mistake("`np.ones(length, length)` takes the second number for the dtype. The shape is one argument, a "
                     "tuple: `np.ones((length, length))`.")
def shape_without_brackets(length):
    return np.tril(np.ones(length, length))


@CAUSAL_MASK.mistake("`np.tril` cuts a triangle out of a matrix that you give it, and `length` is a number. `np.tri` "
                     "draws one.")
def triangle_of_a_number(length):
    return np.tril(length)


@CAUSAL_MASK.alternative
def by_comparing(length):
    return np.arange(length)[:, None] >= np.arange(length)


@CAUSAL_MASK.alternative
def cut_out_of_ones(length):
    return np.tril(np.ones((length, length), dtype=bool))


@CAUSAL_MASK.alternative
def what_is_not_ahead(length):
    return np.logical_not(np.triu(np.ones((length, length)), k=1))


@CAUSAL_MASK.alternative
def row_by_row(length):
    mask = np.zeros((length, length), bool)
    for i in range(length):
        mask[i, :i + 1] = True
    return mask


# ---- padding_mask -------------------------------------------------------------------------------------------------

def padding_mask_inputs():
    return [
        Case("two sentences, B=2, S=3", (np.array([[5, 6, 0], [7, 0, 0]]), 0), axes="B H T S"),
        Case("padding has the id 9", (np.array([[9, 4, 0, 9], [0, 2, 9, 9], [3, 1, 5, 0]]), 9), axes="B H T S"),
        Case("padding in front", (np.array([[0, 0, 5, 6, 7], [0, 8, 5, 5, 1]]), 0), axes="B H T S"),
        Case("no padding", (np.array([[4, 5], [6, 7], [8, 4]]), 0), axes="B H T S"),
        Case("nothing but padding in one sentence", (np.array([[3, 3, 3, 3], [4, 3, 5, 3]]), 3), axes="B H T S"),
        Case("as many sentences as words", (np.array([[4, 1, 1], [4, 5, 1], [1, 1, 4]]), 1), axes="B H T S"),
        Case("one sentence", (np.array([[4, 5, 2, 2]]), 2), axes="B H T S"),
        Case("ids without a batch, shape (S=4,)", (np.array([4, 0, 5, 0]), 0), axes="H T S"),
    ]


PADDING_MASK = Exercise(padding_mask, padding_mask_inputs)


@PADDING_MASK.mistake("The mask is turned around: you marked the padding. True is where there is a word: `ids != "
                      "pad_id`.")
def padding_marked(ids, pad_id):
    return ~padding_mask(ids, pad_id)


@PADDING_MASK.mistake("Two axes of size 1 are missing. Scores have the shape (B, H, T, S), so the mask needs (B, 1, "
                      "1, S): `[..., None, None, :]`.")
def no_new_axes(ids, pad_id):
    return ids != pad_id


@PADDING_MASK.mistake("One axis is missing: (B, 1, S). Scores have two axes between B and S, one for heads and one "
                      "for queries.")
def one_new_axis(ids, pad_id):
    return (ids != pad_id)[..., None, :]


@PADDING_MASK.mistake("S stands in the place of the queries, (B, 1, S, 1), and you forbid padded *queries*. It is the "
                      "keys that must not be looked at: S comes last.")
def queries_masked(ids, pad_id):
    return (ids != pad_id)[..., None, :, None]


@PADDING_MASK.mistake("The new axes stand at the end. They belong between B and S: (B, 1, 1, S).")
def new_axes_at_the_end(ids, pad_id):
    return (ids != pad_id)[..., None, None]


@PADDING_MASK.mistake("The new axes stand in front. They belong between B and S: (B, 1, 1, S).")
def new_axes_in_front(ids, pad_id):
    return (ids != pad_id)[None, None]


@PADDING_MASK.mistake("The mask has the axis T in full. A size of 1 is enough, since all queries have the same "
                      "padding; it broadcasts.")
def repeated_for_every_query(ids, pad_id):
    return np.repeat(padding_mask(ids, pad_id), ids.shape[-1], axis=-2)


@PADDING_MASK.mistake("You masked the padded queries as well. Mask the keys alone: what a padded query finds is not "
                      "used later on, and a row of nothing but False is a trouble of its own.")
def keys_and_queries(ids, pad_id):
    word = ids != pad_id
    return (word[..., None, :] & word[..., :, None])[..., None, :, :]


@PADDING_MASK.mistake("You compare with 0. Padding has the id that the caller says: use `pad_id`.")
def compared_with_0(ids, pad_id):
    return padding_mask(ids, 0)


@PADDING_MASK.mistake("You compare by size, and ids have none: 0 may be a word where padding is 9. Every id but one "
                      "is a word: `!=`.")
def larger_ids_only(ids, pad_id):
    return (ids > pad_id)[..., None, None, :]


@PADDING_MASK.mistake("You compare by size, and ids have none: 0 may be a word where padding is 9. Every id but one "
                      "is a word: `!=`.")
def smaller_ids_forbidden(ids, pad_id):
    return (ids >= pad_id)[..., None, None, :]


@PADDING_MASK.mistake("You cut each sentence off at its first padding (or count its words). Padding may stand in "
                      "front: look at each id by itself.")
def up_to_the_first_padding(ids, pad_id):
    return np.logical_and.accumulate(ids != pad_id, axis=-1)[..., None, None, :]


@PADDING_MASK.mistake("You cut each sentence off at its first padding (or count its words). Padding may stand in "
                      "front: look at each id by itself.")
def as_many_as_there_are_words(ids, pad_id):
    n_words = (ids != pad_id).sum(axis=-1, keepdims=True)
    return (np.arange(ids.shape[-1]) < n_words)[..., None, None, :]


@PADDING_MASK.mistake(NUMBERS_FOR_BOOL)
def whole_numbers(ids, pad_id):
    return padding_mask(ids, pad_id).astype(int)


@PADDING_MASK.mistake(NUMBERS_FOR_BOOL)
def floats(ids, pad_id):
    return padding_mask(ids, pad_id).astype(float)


@PADDING_MASK.mistake("These are numbers to add to scores, 0 and -inf. Here a mask says yes or no: bool, True where "
                      "there is a word.")
def added_to_scores(ids, pad_id):
    return np.where(padding_mask(ids, pad_id), 0.0, -np.inf)


@PADDING_MASK.mistake("These are the ids, with new axes. The mask says of each whether it is a word: `ids != pad_id`.")
def ids_themselves(ids, pad_id):
    return ids[..., None, None, :]


@PADDING_MASK.mistake("`is not` asks whether two names stand for the same object, and gives one bool. `!=` compares "
                      "each id.")
def is_not(ids, pad_id):
    return (ids is not pad_id)[..., None, None, :]


@PADDING_MASK.mistake("`not` asks for the truth of the whole array, which is not defined. Compare with `!=`; or turn "
                      "an array of bool around with `~`.")
def not_equal_by_not(ids, pad_id):
    return (not ids == pad_id)[..., None, None, :]


@PADDING_MASK.mistake("`[:, None, None, :]` is made for a batch. Ids without one, shape (S,), become (1, 1, S): "
                      "`[..., None, None, :]` fits both.")
def for_a_batch_only(ids, pad_id):
    return (ids != pad_id)[:, None, None, :]


@PADDING_MASK.mistake("`len(ids)` is B only where there is a batch. Ids without one, shape (S,), become (1, 1, S): "
                      "`[..., None, None, :]` fits both.")
def reshaped_for_a_batch(ids, pad_id):
    return (ids != pad_id).reshape(len(ids), 1, 1, -1)


@PADDING_MASK.mistake("`B, S = ids.shape` asks for two axes. Ids without a batch, shape (S,), become (1, 1, S): "
                      "`[..., None, None, :]` fits both.")
def two_axes_unpacked(ids, pad_id):
    B, S = ids.shape
    return (ids != pad_id).reshape(B, 1, 1, S)


@PADDING_MASK.mistake("`ids.shape[1]` is there only with a batch. Ids without one, shape (S,), become (1, 1, S): "
                      "`[..., None, None, :]` fits both.")
def axis_1_asked_for(ids, pad_id):
    return (ids != pad_id).reshape(ids.shape[0], 1, 1, ids.shape[1])


@PADDING_MASK.mistake("Counted from the front, the new axes come after S where there is no batch. Count from the end, "
                      "`axis=(-3, -2)`, and they come before S always.")
def axes_1_and_2_new(ids, pad_id):
    return np.expand_dims(ids != pad_id, axis=(1, 2))


@PADDING_MASK.alternative
def by_expand_dims(ids, pad_id):
    return np.expand_dims(np.not_equal(ids, pad_id), (-2, -3))


@PADDING_MASK.alternative
def by_reshape(ids, pad_id):
    return ~(ids == pad_id).reshape(*ids.shape[:-1], 1, 1, ids.shape[-1])


@PADDING_MASK.alternative
def id_by_id(ids, pad_id):
    mask = np.zeros((*ids.shape[:-1], 1, 1, ids.shape[-1]), bool)
    for place in np.ndindex(ids.shape):
        mask[(*place[:-1], 0, 0, place[-1])] = ids[place] != pad_id
    return mask


# ---- previous_word_head -------------------------------------------------------------------------------------------

SENTENCE = np.array([0, 1, 2, 0, 0, 3, 1])                  # which word stands where; T = 7


def previous_word_head_inputs():
    return [
        Case("3 different words, d_position = 8", (3, 8)),
        Case("5 different words, d_position = 16", (5, 16)),
        Case("d_word and d_position equal", (10, 10)),
        Case("few waves, and more sharpness", (4, 4), {"sharpness": 1000.0}),
        Case("sharpness 0, which makes all scores 0", (6, 8), {"sharpness": 0.0}),
    ]


def words_and_positions(d_word, d_position):
    """A sentence of 7 words: one-hot rows on the left, positions on the right."""
    return np.hstack([np.eye(d_word)[SENTENCE % d_word], positional_encoding(len(SENTENCE), d_position, np.float64)])


def misshapen(case, matrices):
    """What is wrong with the shapes of the three matrices; None if nothing is."""
    d_word, d_position = case.args
    if not isinstance(matrices, (tuple, list)) or len(matrices) != 3:
        return Difference(f"expected three matrices, W_Q, W_K, W_V, got {describe(matrices)}")
    for name, W, n, axes in zip(("W_Q", "W_K", "W_V"), matrices, (d_position, d_position, d_word),
                                ("D d_position", "D d_position", "D d_word"), strict=True):
        if not isinstance(W, np.ndarray):
            return Difference(f"{name}: expected an array, got {describe(W)}")
        if W.shape != (d_word + d_position, n):
            expected = shape_text((d_word + d_position, n), axes)
            return Difference(f"{name}: expected shape {expected}, got {shape_text(W.shape)}")
    return None


def attended(case, matrices):
    """What attention makes of the sentence with these matrices; where their shapes are wrong, the matrices.

    In float16, so that heads that do the same count as alike, whichever matrix has the sharpness.
    """
    if misshapen(case, matrices):
        return {"matrices": matrices}
    output, weights = self_attention(words_and_positions(*case.args), *matrices)
    return {"output": output.astype(np.float16), "weights": weights.astype(np.float16)}


def in_2_digits(text, expected, got, wrong):
    """A Difference whose numbers are short enough to be compared at a glance."""
    return Difference(text, *(x.astype(float).round(2) + 0.0 for x in (expected, got)), wrong)      # + 0.0: no -0


def judge_head(case, result):
    if "matrices" in result:
        return misshapen(case, result["matrices"])
    output, weights = result["output"], result["weights"]
    if case.options.get("sharpness") == 0:
        even = np.full_like(weights, 1 / len(SENTENCE))
        off = ~(np.abs(weights - even) <= 0.01)
        text = f"where all scores are 0, every word should get the same weight, 1/{len(SENTENCE)}. Yours do not"
        return in_2_digits(text, even, weights, off) if off.any() else None
    missed = ~(np.diag(weights, -1) > 0.95)                 # of the positions from 1 on
    if missed.any():
        t = int(np.argmax(missed)) + 1
        most = int(np.argmax(weights[t]))
        text = (f"position {t} gives the position before it, {t - 1}, a weight of {weights[t, t - 1]:.2f}; above 0.95 "
                f"is asked for. Its largest weight, {weights[t, most]:.2f}, is at position {most} (rows: positions 1 "
                f"to {len(SENTENCE) - 1}, columns: where they look)")
        before = np.eye(len(SENTENCE), k=-1)[1:]
        return in_2_digits(text, before, weights[1:], missed[:, None] & ~(np.abs(weights[1:] - before) <= 0.05))
    words = words_and_positions(*case.args)[:-1, :case.args[0]]
    off = ~(np.abs(output[1:] - words) <= 0.05)
    if off.any():
        t = int(np.argmax(off.any(axis=1))) + 1
        text = (f"position {t} looks at position {t - 1}, as it should, and finds something else than the word there, "
                f"which is the first d_word columns of x (rows: what positions 1 to {len(SENTENCE) - 1} find)")
        return in_2_digits(text, words, output[1:], off)
    return None


PREVIOUS_WORD_HEAD = Exercise(previous_word_head, previous_word_head_inputs, judge=judge_head, seen=attended)


def head(d_word, d_position, on_queries=None, on_keys=None, on_values=None):
    """The three matrices, made of the blocks that read the positions (queries, keys) and the words (values)."""
    nothing = np.zeros((d_word, d_position))
    return (np.vstack([nothing, np.eye(d_position) if on_queries is None else on_queries]),
            np.vstack([nothing, np.eye(d_position) if on_keys is None else on_keys]),
            np.vstack([np.eye(d_word) if on_values is None else on_values, np.zeros((d_position, d_word))]))


@PREVIOUS_WORD_HEAD.mistake(LOOKS_AHEAD)
def one_step_on(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * shift_matrix(1, d_position))


@PREVIOUS_WORD_HEAD.mistake(LOOKS_AHEAD)
def keys_one_step_back(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * np.eye(d_position), shift_matrix(-1, d_position))


@PREVIOUS_WORD_HEAD.mistake(LOOKS_AT_ITSELF)
def no_step(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * np.eye(d_position))


for steps in (-2, 2):
    @PREVIOUS_WORD_HEAD.mistake("Every word looks two steps away. The queries move one step back and the keys stay; if "
                                "both move, against each other, the steps add up.")
    def two_steps(d_word, d_position, sharpness=100.0, steps=steps):
        return head(d_word, d_position, sharpness * shift_matrix(steps, d_position))


@PREVIOUS_WORD_HEAD.mistake(NOT_SHARP)
def no_sharpness(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, shift_matrix(-1, d_position))


@PREVIOUS_WORD_HEAD.mistake(NOT_SHARP)
def sharpness_on_the_values(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, shift_matrix(-1, d_position), None, sharpness * np.eye(d_word))


@PREVIOUS_WORD_HEAD.mistake("You divide by the sharpness, and all weights come out nearly even. It multiplies the "
                            "scores.")
def divided_by_sharpness(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, shift_matrix(-1, d_position) / (sharpness or np.nan))


@PREVIOUS_WORD_HEAD.mistake("You take a sharpness of your own. The caller says which: use the argument.")
def sharpness_of_100(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, 100.0 * shift_matrix(-1, d_position))


@PREVIOUS_WORD_HEAD.mistake("You take a sharpness of your own. The caller says which: use the argument.")
def sharpness_of_1000(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, 1000.0 * shift_matrix(-1, d_position))


@PREVIOUS_WORD_HEAD.mistake(ROOT_OF_SHARPNESS)
def root_of_sharpness(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, math.sqrt(sharpness) * shift_matrix(-1, d_position))


@PREVIOUS_WORD_HEAD.mistake(ENCODING_FOR_MATRIX)
def encoding_in_queries(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * positional_encoding(d_position, d_position))


@PREVIOUS_WORD_HEAD.mistake(ENCODING_FOR_MATRIX)
def encoding_in_all_rows_of_queries(d_word, d_position, sharpness=100.0):
    W_Q = sharpness * positional_encoding(d_word + d_position, d_position)
    return W_Q, *previous_word_head(d_word, d_position, sharpness)[1:]


@PREVIOUS_WORD_HEAD.mistake(ENCODING_FOR_MATRIX)
def encoding_of_minus_1(d_word, d_position, sharpness=100.0):
    return positional_encoding(-1, d_position), None, None


@PREVIOUS_WORD_HEAD.mistake(ENCODING_FOR_MATRIX)
def encoding_in_keys(d_word, d_position, sharpness=100.0):
    pe = positional_encoding(d_position, d_position)
    return head(d_word, d_position, sharpness * shift_matrix(-1, d_position), pe)


@PREVIOUS_WORD_HEAD.mistake(ENCODING_FOR_MATRIX)
def encoding_in_both(d_word, d_position, sharpness=100.0):
    pe = positional_encoding(d_position, d_position)
    return head(d_word, d_position, sharpness * pe, pe)


@PREVIOUS_WORD_HEAD.mistake(ENCODING_FOR_MATRIX)
def encoding_in_keys_alone(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * np.eye(d_position), positional_encoding(d_position, d_position))


@PREVIOUS_WORD_HEAD.mistake("The values are multiplied by the sharpness, too. It makes the scores larger; what is "
                            "found is the word as it is.")
def sharpness_everywhere(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * shift_matrix(-1, d_position), None, sharpness * np.eye(d_word))


@PREVIOUS_WORD_HEAD.mistake("You added the sharpness to every number of the matrix. It is a factor: `sharpness *`.")
def sharpness_added(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness + shift_matrix(-1, d_position))


@PREVIOUS_WORD_HEAD.mistake("The sign of the scores is turned: the position that fits best got the least.")
def sign_of_the_scores(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, -sharpness * shift_matrix(-1, d_position))


@PREVIOUS_WORD_HEAD.mistake("Words and positions are exchanged. In x the words come first, so the first d_word rows "
                            "of each matrix are those that read a word.")
def positions_first(d_word, d_position, sharpness=100.0):
    return tuple(np.vstack([W[d_word:], W[:d_word]]) for W in previous_word_head(d_word, d_position, sharpness))


@PREVIOUS_WORD_HEAD.mistake("Words and positions are exchanged. In x the words come first, so the first d_word rows "
                            "of each matrix are those that read a word.")
def positions_first_in_values(d_word, d_position, sharpness=100.0):
    W_Q, W_K, W_V = previous_word_head(d_word, d_position, sharpness)
    return W_Q, W_K, np.vstack([W_V[d_word:], W_V[:d_word]])


@PREVIOUS_WORD_HEAD.mistake("Words and positions are exchanged. In x the words come first, so the first d_word rows "
                            "of each matrix are those that read a word.")
def positions_first_in_queries_and_keys(d_word, d_position, sharpness=100.0):
    W_Q, W_K, W_V = previous_word_head(d_word, d_position, sharpness)
    return np.vstack([W_Q[d_word:], W_Q[:d_word]]), np.vstack([W_K[d_word:], W_K[:d_word]]), W_V


@PREVIOUS_WORD_HEAD.mistake("Your queries and keys read the words as well, so that words that are alike find each "
                            "other. Only the position decides here: zeros in the first d_word rows of W_Q and W_K.")
def words_read_too(d_word, d_position, sharpness=100.0):
    words = np.eye(d_word, d_position)
    return (np.vstack([sharpness * words, sharpness * shift_matrix(-1, d_position)]),
            np.vstack([words, np.eye(d_position)]), np.vstack([np.eye(d_word), np.zeros((d_position, d_word))]))


@PREVIOUS_WORD_HEAD.mistake("Your queries and keys read the words as well, so that words that are alike find each "
                            "other. Only the position decides here: zeros in the first d_word rows of W_Q and W_K.")
def ones_for_zeros(d_word, d_position, sharpness=100.0):
    W_Q, W_K, W_V = previous_word_head(d_word, d_position, sharpness)
    W_Q[:d_word] = W_K[:d_word] = 1
    return W_Q, W_K, W_V


@PREVIOUS_WORD_HEAD.mistake("What is found holds more than the word: W_V reads the positions, too. Zeros in its last "
                            "d_position rows.")
def values_read_positions_too(d_word, d_position, sharpness=100.0):
    W_Q, W_K, W_V = previous_word_head(d_word, d_position, sharpness)
    return W_Q, W_K, np.vstack([np.eye(d_word), np.eye(d_position, d_word)])


@PREVIOUS_WORD_HEAD.mistake("The values bring nothing home. W_V passes the word on: the identity, `np.eye`, in its "
                            "first d_word rows.")
def values_of_zeros(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * shift_matrix(-1, d_position), None, np.zeros((d_word, d_word)))


@PREVIOUS_WORD_HEAD.mistake("`np.ones` adds all numbers of the word up into each column. The identity, `np.eye`, "
                            "passes it on as it is.")
def values_of_ones(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * shift_matrix(-1, d_position), None, np.ones((d_word, d_word)))


@PREVIOUS_WORD_HEAD.mistake("`np.ones` makes one number of each key, the sum of its waves, and most words look at the "
                            "same place. The identity, `np.eye`, passes the position on as it is.")
def keys_of_ones(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * shift_matrix(-1, d_position), np.ones((d_position, d_position)))


@PREVIOUS_WORD_HEAD.mistake("`np.eye(n, k=-1)` moves the *columns* of the encoding, not the position. "
                            "`shift_matrix(-1, d_position)` does.")
def columns_moved(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * np.eye(d_position, k=-1))


@PREVIOUS_WORD_HEAD.mistake("`np.eye(n, k=-1)` moves the *columns* of the encoding, not the position. "
                            "`shift_matrix(-1, d_position)` does.")
def columns_moved_on(d_word, d_position, sharpness=100.0):
    return head(d_word, d_position, sharpness * np.eye(d_position, k=1))


@PREVIOUS_WORD_HEAD.mistake(ALL_COLUMNS)
def waves_in_all_columns(d_word, d_position, sharpness=100.0):
    shift = shift_matrix(-1, d_word + d_position)
    return sharpness * shift, np.eye(d_word + d_position), np.eye(d_word + d_position, d_word)


@PREVIOUS_WORD_HEAD.mistake(ALL_COLUMNS)
def waves_in_all_columns_of_the_queries(d_word, d_position, sharpness=100.0):
    return sharpness * shift_matrix(-1, d_word + d_position), *previous_word_head(d_word, d_position, sharpness)[1:]


@PREVIOUS_WORD_HEAD.mistake(ALL_COLUMNS)
def waves_in_all_columns_below_zeros(d_word, d_position, sharpness=100.0):
    return np.vstack([np.zeros((d_word, d_position)), sharpness * shift_matrix(-1, d_word + d_position)]), None, None


@PREVIOUS_WORD_HEAD.mistake(ALL_COLUMNS)
def waves_in_all_columns_and_the_first_taken(d_word, d_position, sharpness=100.0):
    W_Q = sharpness * shift_matrix(-1, d_word + d_position)[:, :d_position]
    return W_Q, *previous_word_head(d_word, d_position, sharpness)[1:]


@PREVIOUS_WORD_HEAD.mistake(ALL_COLUMNS)
def waves_in_all_columns_and_the_last_taken(d_word, d_position, sharpness=100.0):
    W_Q = sharpness * shift_matrix(-1, d_word + d_position)[:, d_word:]
    return W_Q, *previous_word_head(d_word, d_position, sharpness)[1:]


@PREVIOUS_WORD_HEAD.mistake("A block of zeros has its sizes exchanged. In W_Q and W_K it is (d_word, d_position), in "
                            "W_V (d_position, d_word): what stands on top of each other has equally many columns.")
def zeros_turned(d_word, d_position, sharpness=100.0):
    W_Q = np.vstack([np.zeros((d_position, d_word)), sharpness * shift_matrix(-1, d_position)])
    return W_Q, *previous_word_head(d_word, d_position, sharpness)[1:]


@PREVIOUS_WORD_HEAD.mistake(ZERO_ROWS)
def no_zeros(d_word, d_position, sharpness=100.0):
    return sharpness * shift_matrix(-1, d_position), np.eye(d_position), np.eye(d_word)


@PREVIOUS_WORD_HEAD.mistake(ZERO_ROWS)
def no_zeros_in_values(d_word, d_position, sharpness=100.0):
    return *previous_word_head(d_word, d_position, sharpness)[:2], np.eye(d_word)


@PREVIOUS_WORD_HEAD.mistake("W_V is (D, d_word): d_word columns, since what is found is a word. Yours keeps all of x.")
def values_keep_everything(d_word, d_position, sharpness=100.0):
    return *previous_word_head(d_word, d_position, sharpness)[:2], np.eye(d_word + d_position)


@PREVIOUS_WORD_HEAD.mistake("The matrices stand transposed. x @ W needs a row of W for each column of x: (D, "
                            "d_position). Put the blocks on top of each other, `np.vstack`.")
def transposed(d_word, d_position, sharpness=100.0):
    return tuple(W.T for W in previous_word_head(d_word, d_position, sharpness))


@PREVIOUS_WORD_HEAD.mistake("`np.hstack` puts the blocks side by side. The zeros and the rest stand on top of each "
                            "other: `np.vstack`.")
def side_by_side(d_word, d_position, sharpness=100.0):
    return np.hstack([np.zeros((d_word, d_position)), sharpness * shift_matrix(-1, d_position)]), None, None


@PREVIOUS_WORD_HEAD.mistake("`np.zeros(m, n)` takes the second number for the dtype. The shape is one argument, a "
                            "tuple: `np.zeros((m, n))`.")
def shape_without_brackets_(d_word, d_position, sharpness=100.0):
    return np.zeros(d_word, d_position)


@PREVIOUS_WORD_HEAD.mistake("`np.vstack` takes one argument, a list of arrays: `np.vstack([a, b])`.")
def no_list_for_vstack(d_word, d_position, sharpness=100.0):
    return np.vstack(np.zeros((d_word, d_position)), np.eye(d_position))


@PREVIOUS_WORD_HEAD.mistake("The order is W_Q, W_K, W_V.")
def values_first_(d_word, d_position, sharpness=100.0):
    return previous_word_head(d_word, d_position, sharpness)[::-1]


@PREVIOUS_WORD_HEAD.mistake("W_V is missing, or not returned. Three matrices are asked for.")
def no_values(d_word, d_position, sharpness=100.0):
    return previous_word_head(d_word, d_position, sharpness)[:2]


@PREVIOUS_WORD_HEAD.alternative
def keys_one_step_on(d_word, d_position, sharpness=100.0):
    W_Q, W_K = np.zeros((2, d_word + d_position, d_position))
    W_Q[d_word:] = np.eye(d_position)
    W_K[d_word:] = sharpness * shift_matrix(1, d_position, np.float64)
    return W_Q, W_K, np.eye(d_word + d_position, d_word)


@PREVIOUS_WORD_HEAD.alternative
def sharpness_on_both(d_word, d_position, sharpness=100.0):
    root, nothing = math.sqrt(sharpness), np.zeros((d_word, d_position), np.float32)
    return [np.concatenate([nothing, root * shift_matrix(-1, d_position)]),
            np.concatenate([nothing, root * np.eye(d_position, dtype=np.float32)]),
            np.pad(np.eye(d_word, dtype=np.float32), ((0, d_position), (0, 0)))]


@PREVIOUS_WORD_HEAD.alternative
def without_the_root(d_word, d_position, sharpness=100.0):
    factor = sharpness * math.sqrt(d_position)
    return head(d_word, d_position, factor * shift_matrix(1, d_position).T)


@PREVIOUS_WORD_HEAD.alternative
def turned_by_any_rotation(d_word, d_position, sharpness=100.0):
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((d_position, d_position)))[0]
    return head(d_word, d_position, sharpness * shift_matrix(-1, d_position) @ turn, turn)
