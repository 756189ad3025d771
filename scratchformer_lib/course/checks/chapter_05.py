"""The exercises of chapter 05, the block."""
import functools
import math
from dataclasses import replace

import numpy as np

from ...attention import causal_mask
from ...block import dropout, feed_forward, gelu, layer_norm, relu, transformer_block
from ...multi_head import linear, multi_head_attention
from ..exercise import Case, Difference, Exercise, compare

ROWS_IN_FRONT = ("`x` stands on the left: each row of x is multiplied by the matrix, `x @ W_1`. The other way round "
                 "the sizes do not fit.")
NOT_TURNED = ("The matrices have the shapes (D, F) and (F, D) already, a row for each input. Do not transpose them. "
              "(PyTorch keeps them the other way round.)")
W_2_FIRST = "`W_1` comes first: it leads from D numbers out to F. `W_2` leads back."
NOT_PYTHONS_MAX = ("Python's `max` compares two numbers, not arrays. The bend is handed to you: call "
                   "`activation(...)`.")

NOT_CALLED = ("`activation` is a function, and you take the function itself for numbers. Call it on what the first "
              "layer gives: `activation(...)`.")


def normal(*shape, seed=0, scale=1.0, around=0.0, dtype=np.float64):
    return drawn_once(shape, seed, scale, around, dtype).copy()


@functools.cache                        # a check asks for its cases a hundred times
def drawn_once(shape, seed, scale, around, dtype):
    return (around + scale * np.random.default_rng(seed).standard_normal(shape)).round(2).astype(dtype)


def layers(D, F, seed):
    """W_1, b_1, W_2, b_2"""
    return [normal(*size, seed=seed + i) for i, size in enumerate([(D, F), (F,), (F, D), (D,)])]


def feed_forward_inputs():
    x = np.array([[1.0, 2], [3, -1], [0, 1]])
    W_1, b_1 = np.array([[1.0, -1, 2, 0], [1, 1, -2, 1]]), np.array([0.0, 1, -1, -1])
    W_2, b_2 = np.array([[1.0, 0], [0, 1], [1, -1], [2, 1]]), np.array([10.0, 20])
    in_float32 = [w.astype(np.float32) for w in layers(4, 6, seed=21)]
    return [
        Case("small whole numbers and relu, T=3, D=2, F=4", (x, W_1, b_1, W_2, b_2), {"activation": relu}, axes="T D"),
        Case("gelu, which is the default; B=2, T=3, D=4, F=5", (normal(2, 3, 4, seed=1), *layers(4, 5, seed=2)),
             axes="B T D"),
        Case("relu and a batch", (normal(3, 2, 4, seed=6), *layers(4, 7, seed=7)), {"activation": relu}, axes="B T D"),
        Case("as many words as numbers in each", (normal(4, 4, seed=11), *layers(4, 4, seed=12)), axes="T D"),
        Case("two leading axes", (normal(2, 3, 5, 4, seed=16), *layers(4, 6, seed=17)), axes="A B T D"),
        Case("float32, a transposed view", (normal(4, 3, 2, seed=25).astype(np.float32).T, *in_float32), axes="B T D"),
    ]


FEED_FORWARD = Exercise(feed_forward, feed_forward_inputs)


@FEED_FORWARD.mistake("There is no bend between the two layers, and two matrices in a row are one matrix. Call "
                      "`activation` on what the first layer gives.")
def no_activation(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(linear(x, W_1, b_1), W_2, b_2)


@FEED_FORWARD.mistake("The bend comes after the second layer. It belongs between the two: there it keeps them from "
                      "being one matrix.")
def activation_at_the_end(x, W_1, b_1, W_2, b_2, activation=gelu):
    return activation(linear(linear(x, W_1, b_1), W_2, b_2))


@FEED_FORWARD.mistake("The bend comes twice. After the second layer there is none: what comes out is added to the "
                      "stream, and may be negative.")
def activation_after_both(x, W_1, b_1, W_2, b_2, activation=gelu):
    return activation(linear(activation(linear(x, W_1, b_1)), W_2, b_2))


@FEED_FORWARD.mistake("The bend is applied twice to the same numbers. Once, between the layers.")
def activation_twice(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(activation(linear(x, W_1, b_1))), W_2, b_2)


@FEED_FORWARD.mistake("You bend x before the first layer. The first layer sees x as it is; the bend comes after it.")
def activation_in_front(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(linear(activation(x), W_1, b_1), W_2, b_2)


@FEED_FORWARD.mistake("You bend x before the first layer, and again after it. Only what the first layer gives is bent.")
def activation_in_front_as_well(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(activation(x), W_1, b_1)), W_2, b_2)


@FEED_FORWARD.mistake("You bend the matrix `W_1`. The bend is for the numbers that the first layer gives.")
def matrix_bent(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(linear(x, activation(W_1), b_1), W_2, b_2)


@FEED_FORWARD.mistake("`b_1` is missing: it is added before the bend, and moves the point where each number bends.")
def first_bias_forgotten(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(x, W_1)), W_2, b_2)


@FEED_FORWARD.mistake("`b_2` is missing: the second layer has a bias as well.")
def second_bias_forgotten(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(x, W_1, b_1)), W_2)


@FEED_FORWARD.mistake("Both biases are missing: `linear` takes one as its third argument.")
def biases_forgotten(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(x, W_1)), W_2)


@FEED_FORWARD.mistake("`b_1` is added after the bend. It belongs to the first layer: add it, then bend.")
def first_bias_after_the_bend(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(x, W_1)) + b_1, W_2, b_2)


@FEED_FORWARD.mistake("This is always ReLU. The caller says which: use the argument `activation`.")
def always_relu(x, W_1, b_1, W_2, b_2, activation=gelu):
    return feed_forward(x, W_1, b_1, W_2, b_2, relu)


@FEED_FORWARD.mistake("This is always GELU. The caller says which: use the argument `activation`.")
def always_gelu(x, W_1, b_1, W_2, b_2, activation=gelu):
    return feed_forward(x, W_1, b_1, W_2, b_2, gelu)


@FEED_FORWARD.mistake("x is added to the result. That is the residual connection: `transformer_block` adds it, not "
                      "this function.")
def residual_inside(x, W_1, b_1, W_2, b_2, activation=gelu):
    return x + feed_forward(x, W_1, b_1, W_2, b_2, activation)


@FEED_FORWARD.mistake("You stop after the first layer, at F numbers. `W_2` leads back to D.")
def one_layer_only(x, W_1, b_1, W_2, b_2, activation=gelu):
    return activation(linear(x, W_1, b_1))


@FEED_FORWARD.mistake(W_2_FIRST)
def other_matrix_first(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(x, W_2, b_2)), W_1, b_1)


@FEED_FORWARD.mistake(W_2_FIRST)
def other_matrix_first_by_hand(x, W_1, b_1, W_2, b_2, activation=gelu):
    return activation(x @ W_2 + b_2) @ W_1 + b_1


@FEED_FORWARD.mistake("The biases have changed places: `b_1` has F numbers and goes with `W_1`, `b_2` has D and goes "
                      "with `W_2`.")
def biases_exchanged(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(x, W_1, b_2)), W_2, b_1)


@FEED_FORWARD.mistake(ROWS_IN_FRONT)
def matrix_in_front(x, W_1, b_1, W_2, b_2, activation=gelu):
    return activation(W_1 @ x + b_1) @ W_2 + b_2


@FEED_FORWARD.mistake(ROWS_IN_FRONT)
def matrix_in_front_of_linear(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(W_1, x, b_1)), W_2, b_2)


@FEED_FORWARD.mistake(NOT_TURNED)
def matrices_turned(x, W_1, b_1, W_2, b_2, activation=gelu):
    return activation(x @ W_1.T + b_1) @ W_2.T + b_2


@FEED_FORWARD.mistake(NOT_TURNED)
def matrices_turned_for_linear(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation(linear(x, W_1.T, b_1)), W_2.T, b_2)


@FEED_FORWARD.mistake("You transpose x, and then the layers mix positions. Each position thinks by itself: leave x as "
                      "it is, its D numbers last.")
def positions_mixed(x, W_1, b_1, W_2, b_2, activation=gelu):
    return np.swapaxes(linear(activation(linear(np.swapaxes(x, -1, -2), W_1, b_1)), W_2, b_2), -1, -2)


@FEED_FORWARD.mistake("You average over the positions: every word gets the same answer. Each position thinks by "
                      "itself, and only attention mixes them.")
def positions_averaged(x, W_1, b_1, W_2, b_2, activation=gelu):
    return feed_forward(np.broadcast_to(x.mean(axis=-2, keepdims=True), x.shape), W_1, b_1, W_2, b_2, activation)


@FEED_FORWARD.mistake(NOT_PYTHONS_MAX)
def pythons_max(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(max(linear(x, W_1, b_1), 0), W_2, b_2)


@FEED_FORWARD.mistake(NOT_PYTHONS_MAX)
def pythons_max_zero_first(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(max(0, linear(x, W_1, b_1)), W_2, b_2)


@FEED_FORWARD.mistake(NOT_CALLED)
def activation_not_called(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(activation, W_2, b_2)


@FEED_FORWARD.mistake(NOT_CALLED)
def activation_not_called_by_hand(x, W_1, b_1, W_2, b_2, activation=gelu):
    return activation @ W_2 + b_2


@FEED_FORWARD.mistake(NOT_CALLED)
def multiplied_by_activation(x, W_1, b_1, W_2, b_2, activation=gelu):
    return linear(linear(x, W_1, b_1) * activation, W_2, b_2)


@FEED_FORWARD.alternative
def by_matrix_products(x, W_1, b_1, W_2, b_2, activation=gelu):
    hidden = activation(x @ W_1 + b_1)
    return hidden @ W_2 + b_2


@FEED_FORWARD.alternative
def by_einsum(x, W_1, b_1, W_2, b_2, activation=gelu):
    return np.einsum("...f,fd->...d", activation(np.einsum("...d,df->...f", x, W_1) + b_1), W_2) + b_2


@FEED_FORWARD.alternative
def position_by_position(x, W_1, b_1, W_2, b_2, activation=gelu):
    new = np.empty_like(x)
    for position in np.ndindex(x.shape[:-1]):
        new[position] = activation(x[position] @ W_1 + b_1) @ W_2 + b_2
    return new


def plain(D):
    return np.ones(D), np.zeros(D)


def layer_norm_inputs():
    return [
        Case("four words, gamma 1 and beta 0",
             (np.array([[1.0, 3, 1, 3, 2], [0, 6, 0, 6, 3], [2, 2, 2, 2, 7], [-1, 0, 1, 2, 3]]), *plain(5)),
             axes="T D"),
        Case("gamma and beta, x of shape (B=2, T=3, D=4)",
             (normal(2, 3, 4, seed=1), normal(4, seed=2), normal(4, seed=3)), axes="B T D"),
        Case("all sizes equal", (normal(3, 3, 3, seed=4), normal(3, seed=5), normal(3, seed=6)), axes="B T D"),
        Case("a single vector", (np.array([2.0, -1, 0.5, 4]), np.array([1.0, 2, 3, 4]), normal(4, seed=7)), axes="D"),
        Case("vectors of equal numbers, variance 0",
             (np.array([[0.5, 0.5, 0.5, 0.5], [-2, -2, -2, -2]]), normal(4, seed=8), normal(4, seed=9)), axes="T D"),
        Case("small numbers, where eps counts", (0.01 * normal(3, 4, seed=10), *plain(4)), axes="T D"),
        Case("eps = 0.5", (normal(2, 3, 4, seed=11), normal(4, seed=12), normal(4, seed=13)), {"eps": 0.5},
             axes="B T D"),
        Case("numbers far from 0", (1e5 + normal(3, 4, seed=14), *plain(4)), axes="T D"),
        Case("two leading axes", (normal(2, 3, 5, 4, seed=15), normal(4, seed=16), normal(4, seed=17)), axes="A B T D"),
        Case("float32, a transposed view", (normal(4, 3, 2, seed=18).astype(np.float32).T,
                                            normal(4, seed=19).astype(np.float32),
                                            normal(4, seed=20).astype(np.float32)), axes="B T D"),
    ]


LAYER_NORM = Exercise(layer_norm, layer_norm_inputs)

KEEP_THE_AXIS = ("`np.mean` and `np.var` drop the axis they work along, and their result no longer lines up with x. "
                 "Keep that axis, with size 1: `keepdims=True`.")
EPS_AS_A_FLOOR = ("eps replaces a variance, or a root, that is smaller. It is added to every variance, small or large: "
                  "`np.sqrt(variance + eps)`.")
BRACKETS_MISSING = ("Brackets are missing: only the mean is divided. Subtract first, `(x - mean)`, then divide, and "
                    "only then gamma and beta.")
FIRST_SIZE = ("`len(x)`, or `x.shape[0]`, is the size of the first axis: words, or sentences. A vector has D numbers, "
              "`x.shape[-1]`; or let `np.mean` count.")
ROOT_OF_THE_SUM = ("This is the root of the sum of the squares, as `np.linalg.norm` gives it. The variance is the mean "
                   "of the squares, and eps is added before the root.")
IN_PLACE = "`x -= ...` writes into the caller's array. Make a new one: `centered = x - ...`."


def mean_of(x, axis=-1):
    return np.mean(x, axis=axis, keepdims=True)


def variance_of(x, axis=-1):
    return np.var(x, axis=axis, keepdims=True)


@LAYER_NORM.mistake("You normalize over the positions: the columns have mean 0. Each position's own vector should: "
                    "the last axis.")
def over_positions(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x, -2)) / np.sqrt(variance_of(x, -2) + eps) + beta


@LAYER_NORM.mistake("You normalize along axis 0, over the items of a batch (or over the words, where there is none). "
                    "That is batch normalization. Each position's own vector has mean 0: the last axis.")
def over_the_batch(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x, 0)) / np.sqrt(variance_of(x, 0) + eps) + beta


@LAYER_NORM.mistake("You normalize along axis 1: the last one of a matrix, but T in a batch. Count from the end: "
                    "axis -1.")
def over_axis_1(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x, 1)) / np.sqrt(variance_of(x, 1) + eps) + beta


@LAYER_NORM.mistake("One mean and one variance for all numbers together. Each position has its own: name the last "
                    "axis.")
def over_everything(x, gamma, beta, eps=1e-5):
    return gamma * (x - np.mean(x)) / np.sqrt(np.var(x) + eps) + beta


@LAYER_NORM.mistake("One mean and one variance for a whole text. Each position has its own: the last axis alone.")
def over_the_text(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x, (-2, -1))) / np.sqrt(variance_of(x, (-2, -1)) + eps) + beta


@LAYER_NORM.mistake("Each position has its own mean, but one variance for all. Give the variance the axis, too.")
def one_variance_for_all(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(np.var(x) + eps) + beta


@LAYER_NORM.mistake("Each position has its own variance, but one mean for all. Give the mean the axis, too.")
def one_mean_for_all(x, gamma, beta, eps=1e-5):
    return gamma * (x - np.mean(x)) / np.sqrt(variance_of(x) + eps) + beta


@LAYER_NORM.mistake("eps stands outside the root. It is added to the variance, and then the root is taken: `variance "
                    "+ eps` inside.")
def eps_outside_the_root(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / (np.sqrt(variance_of(x)) + eps) + beta


@LAYER_NORM.mistake("eps is missing. A vector of equal numbers has variance 0, and 0 / 0 is nan: add eps to the "
                    "variance.")
def no_eps(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(variance_of(x)) + beta


@LAYER_NORM.mistake("You add eps squared. eps itself is added to the variance.")
def eps_squared(x, gamma, beta, eps=1e-5):
    return layer_norm(x, gamma, beta, eps * eps)


@LAYER_NORM.mistake("eps is fixed at 1e-5. The caller may ask for another: use the argument `eps`.")
def eps_fixed(x, gamma, beta, eps=1e-5):
    return layer_norm(x, gamma, beta)


@LAYER_NORM.mistake(EPS_AS_A_FLOOR)
def eps_as_a_floor(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(np.maximum(variance_of(x), np.asarray(eps, x.dtype))) + beta


@LAYER_NORM.mistake(EPS_AS_A_FLOOR)
def eps_as_a_floor_of_the_root(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.maximum(np.sqrt(variance_of(x)), np.asarray(eps, x.dtype)) + beta


@LAYER_NORM.mistake("This is the result without eps, except where the variance is 0. eps is added to every variance, "
                    "just as it is given: `np.sqrt(variance + eps)`.")
def zero_replaced(x, gamma, beta, eps=1e-5):
    variance = variance_of(x)
    return gamma * (x - mean_of(x)) / np.sqrt(np.where(variance == 0, x.dtype.type(eps), variance)) + beta


@LAYER_NORM.mistake("eps is added to the result. It belongs under the root, added to the variance: `np.sqrt(variance + "
                    "eps)`.")
def eps_added_to_the_result(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(variance_of(x)) + eps + beta


@LAYER_NORM.mistake("eps is subtracted. It is added to the variance, so that what you divide by is never 0.")
def eps_subtracted(x, gamma, beta, eps=1e-5):
    return layer_norm(x, gamma, beta, -eps)


@LAYER_NORM.mistake("You divide by D - 1, as for a sample (`ddof=1`). The vector is all there is: divide by D, as "
                    "`np.var` does by itself.")
def divided_by_D_minus_1(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(np.var(x, axis=-1, ddof=1, keepdims=True) + eps) + beta


@LAYER_NORM.mistake("You divide by the variance. Divide by its root: then the variance of the result is 1.")
def without_the_root(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / (variance_of(x) + eps) + beta


@LAYER_NORM.mistake("You take the root twice: `np.std` is the root of the variance already.")
def root_twice(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(np.std(x, axis=-1, keepdims=True) + eps) + beta


@LAYER_NORM.mistake("You multiply by the root of the variance. Divide by it.")
def multiplied_by_the_root(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) * np.sqrt(variance_of(x) + eps) + beta


@LAYER_NORM.mistake("gamma and beta have changed places: gamma stretches (`*`), beta shifts (`+`).")
def gamma_and_beta_exchanged(x, gamma, beta, eps=1e-5):
    return layer_norm(x, beta, gamma, eps)


@LAYER_NORM.mistake("gamma and beta are missing: stretch the normalized vector by gamma, then add beta.")
def no_gamma_no_beta(x, gamma, beta, eps=1e-5):
    return layer_norm(x, np.ones_like(gamma), np.zeros_like(beta), eps)


@LAYER_NORM.mistake("gamma is missing: the normalized vector is stretched by it, number by number.")
def no_gamma(x, gamma, beta, eps=1e-5):
    return layer_norm(x, np.ones_like(gamma), beta, eps)


@LAYER_NORM.mistake("beta is missing: it is added at the end.")
def no_beta(x, gamma, beta, eps=1e-5):
    return layer_norm(x, gamma, np.zeros_like(beta), eps)


@LAYER_NORM.mistake("You shift first and then stretch, so beta is stretched as well. First times gamma, then plus "
                    "beta.")
def shifted_before_stretched(x, gamma, beta, eps=1e-5):
    return gamma * (layer_norm(x, np.ones_like(gamma), np.zeros_like(beta), eps) + beta)


@LAYER_NORM.mistake("You stretch and shift x before normalizing, which takes most of it away again. Normalize first, "
                    "then gamma and beta.")
def stretched_before_normalized(x, gamma, beta, eps=1e-5):
    return layer_norm(gamma * x + beta, np.ones_like(gamma), np.zeros_like(beta), eps)


@LAYER_NORM.mistake("You divide by gamma. It stretches: multiply.")
def divided_by_gamma(x, gamma, beta, eps=1e-5):
    return (x - mean_of(x)) / np.sqrt(variance_of(x) + eps) / gamma + beta


@LAYER_NORM.mistake("The mean is not subtracted: the result is around 0 only if x is.")
def mean_not_subtracted(x, gamma, beta, eps=1e-5):
    return gamma * x / np.sqrt(variance_of(x) + eps) + beta


@LAYER_NORM.mistake(BRACKETS_MISSING)
def brackets_missing(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x) / np.sqrt(variance_of(x) + eps)) + beta


@LAYER_NORM.mistake(BRACKETS_MISSING)
def brackets_missing_after_gamma(x, gamma, beta, eps=1e-5):
    return gamma * x - mean_of(x) / np.sqrt(variance_of(x) + eps) + beta


@LAYER_NORM.mistake(BRACKETS_MISSING)
def brackets_missing_before_gamma(x, gamma, beta, eps=1e-5):
    return x - mean_of(x) / np.sqrt(variance_of(x) + eps) * gamma + beta


@LAYER_NORM.mistake(FIRST_SIZE)
def divided_by_the_first_size(x, gamma, beta, eps=1e-5):
    centered = x - np.sum(x, axis=-1, keepdims=True) / len(x)
    return gamma * centered / np.sqrt(np.sum(centered * centered, axis=-1, keepdims=True) / len(x) + eps) + beta


@LAYER_NORM.mistake(FIRST_SIZE)
def variance_by_the_first_size(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(variance_of(x) * x.shape[-1] / len(x) + eps) + beta


@LAYER_NORM.mistake("`x.size` counts the numbers of all vectors together. One vector has D, `x.shape[-1]`; or let "
                    "`np.mean` count.")
def variance_by_the_size(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(variance_of(x) * x.shape[-1] / x.size + eps) + beta


@LAYER_NORM.mistake("`x.shape[1]` is D in a matrix, and T in a batch. Count from the end: `x.shape[-1]`.")
def variance_by_the_second_size(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(variance_of(x) * x.shape[-1] / x.shape[1] + eps) + beta


@LAYER_NORM.mistake(ROOT_OF_THE_SUM)
def divided_by_the_norm(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / np.linalg.norm(centered, axis=-1, keepdims=True) + beta


@LAYER_NORM.mistake(ROOT_OF_THE_SUM)
def divided_by_the_norm_and_eps(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / (np.linalg.norm(centered, axis=-1, keepdims=True) + eps) + beta


@LAYER_NORM.mistake("`np.linalg.norm` is the root of the sum of the squares, and you take a root again. The variance "
                    "is the mean of the squares.")
def root_of_the_norm(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / np.sqrt(np.linalg.norm(centered, axis=-1, keepdims=True) + eps) + beta


@LAYER_NORM.mistake("You divide by one number for all vectors together, the root of the sum of all squares. Each "
                    "vector has a variance of its own: the mean of its squares, along the last axis.")
def one_norm_for_all(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / np.linalg.norm(centered) + beta


@LAYER_NORM.mistake("You multiply by beta. It shifts: add it.")
def multiplied_by_beta(x, gamma, beta, eps=1e-5):
    return layer_norm(x, gamma, np.zeros_like(beta), eps) * beta


@LAYER_NORM.mistake("You square the mean of what is left, and that mean is 0. First square, then take the mean.")
def mean_before_the_square(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / np.sqrt(mean_of(centered) ** 2 + eps) + beta


@LAYER_NORM.mistake("You divide by the root mean square of x itself and subtract nothing: that is RMSNorm, which newer "
                    "models use. Layer normalization subtracts the mean first.")
def root_mean_square(x, gamma, beta, eps=1e-5):
    return gamma * x / np.sqrt(mean_of(x * x) + eps) + beta


@LAYER_NORM.mistake("The mean is subtracted, but the variance is taken around 0: the mean of x². Square what is left "
                    "after the mean is gone.")
def variance_around_0(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(mean_of(x * x) + eps) + beta


@LAYER_NORM.mistake("You only center: the vectors have mean 0, and whatever variance they had. Divide by its root.")
def only_centered(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) + beta


@LAYER_NORM.mistake("These are the sums of the squares. The variance is their mean.")
def sum_for_mean(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / np.sqrt(np.sum(centered * centered, axis=-1, keepdims=True) + eps) + beta


@LAYER_NORM.mistake("You divide by the mean distance from the mean. It is the root of the mean square: square, mean, "
                    "root.")
def mean_distance(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / (mean_of(np.abs(centered)) + eps) + beta


@LAYER_NORM.mistake("You stretch each vector to reach from 0 to 1. Asked for are mean 0 and variance 1.")
def from_0_to_1(x, gamma, beta, eps=1e-5):
    low, high = np.min(x, axis=-1, keepdims=True), np.max(x, axis=-1, keepdims=True)
    return gamma * (x - low) / (high - low + eps) + beta


@LAYER_NORM.mistake("The mean of x² minus the square of the mean is the variance on paper. Far from 0 both are huge, "
                    "and their difference loses its digits: subtract the mean first, then square.")
def difference_of_squares(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(mean_of(x * x) - mean_of(x) ** 2 + eps) + beta


@LAYER_NORM.mistake(KEEP_THE_AXIS)
def no_keepdims(x, gamma, beta, eps=1e-5):
    return gamma * (x - x.mean(axis=-1)) / np.sqrt(x.var(axis=-1) + eps) + beta


@LAYER_NORM.mistake(KEEP_THE_AXIS)
def no_keepdims_in_the_variance(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(x.var(axis=-1) + eps) + beta


@LAYER_NORM.mistake(KEEP_THE_AXIS)
def no_keepdims_in_the_mean_of_squares(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / np.sqrt((centered ** 2).mean(axis=-1) + eps) + beta


@LAYER_NORM.mistake(IN_PLACE)
def in_place(x, gamma, beta, eps=1e-5):
    x -= mean_of(x)
    return gamma * x / np.sqrt(variance_of(x) + eps) + beta


@LAYER_NORM.mistake(IN_PLACE)
def all_in_place(x, gamma, beta, eps=1e-5):
    x -= mean_of(x)
    x /= np.sqrt(variance_of(x) + eps)
    x *= gamma
    x += beta
    return x


@LAYER_NORM.mistake("float32 goes in and float64 comes out: somewhere a float64 number or array takes part, such as "
                    "`np.float64`, `np.ones(D)` or `np.array(..., dtype=float)`. Python's own numbers do no harm.")
def in_float64(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(variance_of(x) + np.float64(eps)) + beta


@LAYER_NORM.mistake("The option is called `keepdims`, with an s.")
def keepdim(x, gamma, beta, eps=1e-5):
    return x - np.mean(x, axis=-1, keepdim=True)


@LAYER_NORM.mistake("`math.sqrt` takes one number. `np.sqrt` takes an array, and makes the root of each.")
def root_of_one_number(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / math.sqrt(variance_of(x) + eps) + beta


@LAYER_NORM.mistake("`^` does not raise to a power in Python: it compares the bits of whole numbers. Write `** 2`.")
def bits_for_a_square(x, gamma, beta, eps=1e-5):
    centered = x - mean_of(x)
    return gamma * centered / np.sqrt(mean_of(centered ^ 2) + eps) + beta


@LAYER_NORM.alternative
def with_var(x, gamma, beta, eps=1e-5):
    return (x - mean_of(x)) / np.sqrt(variance_of(x) + eps) * gamma + beta


@LAYER_NORM.alternative
def with_a_power(x, gamma, beta, eps=1e-5):
    centered = x - x.mean(-1)[..., None]
    return gamma * (centered * ((centered ** 2).mean(-1) + eps)[..., None] ** -0.5) + beta


@LAYER_NORM.alternative
def with_the_standard_deviation(x, gamma, beta, eps=1e-5):
    return gamma * (x - mean_of(x)) / np.sqrt(x.std(axis=-1, keepdims=True) ** 2 + eps) + beta


@LAYER_NORM.alternative
def vector_by_vector(x, gamma, beta, eps=1e-5):
    new = np.empty_like(x)
    for position in np.ndindex(x.shape[:-1]):
        centered = x[position] - x[position].sum() / x.shape[-1]
        new[position] = gamma * centered / np.sqrt(centered @ centered / x.shape[-1] + eps) + beta
    return new


# ---- dropout: many answers are right, so what is judged is what many draws have in common ------------------------

class Seed(int):
    """Stands in a case for the generator that `call` makes of it, fresh for every call."""

    def __repr__(self):
        return f"np.random.default_rng({int(self)})"


class Draws(dict):
    """What many draws have in common. It is the same however an answer draws: so a mistake is known by it.

    times: what the numbers that stay are multiplied by; in words, if there is no one such number.
    shape: in words, where it changes from draw to draw; then nothing else can be said.
    difference: of the first draw that has a number other than 0 and x / (1 - rate), or another shape or dtype.
    share: of zeros.
    """
    difference = share = None


def never_0(*shape, seed=0):
    return normal(*shape, seed=seed) + 0.005


def dropout_inputs():
    return [
        Case("eight numbers, rate 0.5", (np.arange(1.0, 9).reshape(2, 4), 0.5, Seed(0)), axes="T D"),
        Case("no rng, so not training", (never_0(2, 3, 4, seed=1), 0.5, None), axes="B T D"),
        Case("rate 0.2, (B=10, T=20, D=12)", (never_0(10, 20, 12, seed=2), 0.2, Seed(1)), axes="B T D"),
        Case("rate 0.75, a single vector", (never_0(2000, seed=3), 0.75, Seed(2)), axes="D"),
        Case("rate 0", (never_0(2, 3, seed=4), 0.0, Seed(3)), axes="T D"),
        Case("float32, a transposed view, rate 0.1", (never_0(50, 40, seed=5).astype(np.float32).T, 0.1, Seed(4)),
             axes="T D"),
    ]


def draw(f, case):
    """What f makes of x: by one generator, by others, and by the first one again."""
    x, rate, seed = case.args
    before = x.copy()
    first = f(x, rate, generator(seed))
    others = [f(before.copy(), rate, generator(seed, i)) for i in range(1, 20 if x.size < 100 else 4)]
    return first, others, f(before.copy(), rate, generator(seed))


def in_common(case, drawn):
    """The first draw as it is, where nothing is dropped; else what many draws have in common."""
    (before, rate, _), (first, others, again) = case.args, drawn
    fit = all(fits(y, before) for y in (first, again, *others))
    every = np.stack([first, *others]) if fit else None
    if every is None and len({getattr(y, "shape", None) for y in (first, *others)}) > 1:
        seen = Draws(shape="another in every draw")
        seen.difference = compare(before, next(y for y in (first, *others) if not fits(y, before)), case.axes)
        return seen
    if every is None or (is_identity(case) and np.all(every == every[0])):
        return first
    kept = every != 0
    dropped, expected = 1 - kept.mean(), rate + 5 * np.sqrt(rate * (1 - rate) / kept.size) * np.array([-1, 1])
    names = ["draw", *case.axes.split()]
    alike = [name for axis, name in enumerate(names) if np.all(kept == kept.take([0], axis))]
    seen = Draws(
        dropped="all" if dropped == 1 else "none" if dropped == 0 else "some",
        times=factor(every, before, rate),
        dtype=str(every.dtype),
        alike=alike,
        repeats=bool(np.all(first == again)),
        share="" if alike else "right" if expected[0] <= dropped <= expected[1] else round(float(dropped), 1),
        same_number=len({int(one.sum()) for one in kept}) == 1)
    seen.share = dropped
    seen.difference = next(filter(None, (compare(np.where(y != 0, before / (1 - rate), 0).astype(before.dtype), y,
                                                 case.axes) for y in (first, *others))), None)
    return seen


def factor(every, x, rate):
    kept = every != 0
    if is_one_number((every / x)[kept]):
        return round(float((every / x)[kept][0]), 4)
    if is_one_number(every[kept]):
        return "x is not in it"
    if all(is_one_number((y / x)[y != 0]) for y in every if y.any()):
        return "one for each draw"
    two = sorted({round(float(ratio), 4) for ratio in (every / x)[kept].flat})
    if len(two) == 2:
        return f"{two[0]} or {two[1]}"
    return "various, from 0 up" if np.all(0 <= every / x) and np.all(every / x <= 1 / (1 - rate)) else "various"


def is_one_number(values):
    return values.size > 0 and np.allclose(values, values[0], rtol=1e-4, atol=0)


def generator(seed, i=0):
    return None if seed is None else np.random.default_rng(int(seed) + 1000 * i)


def fits(y, x):
    return isinstance(y, np.ndarray) and y.shape == x.shape and y.dtype.kind in "fiub"


def is_identity(case):
    x, rate, seed = case.args
    return seed is None or rate == 0


def judge_draws(case, seen):
    x, rate, seed = case.args
    if not isinstance(seen, Draws):
        return compare(dropout(x, rate, generator(seed)), seen, case.axes)
    if "shape" in seen:
        return seen.difference
    if is_identity(case):
        why = "rng is None: this is not training" if seed is None else "the rate is 0"
        return Difference(f"expected x as it is, for {why}; yours differs from call to call")
    if seen["dropped"] != "some":
        what = "every number became 0" if seen["dropped"] == "all" else "no number became 0"
        return Difference(f"{what} in many draws; expected about {rate:.0%} of them")
    if seen.difference:
        found = seen.difference
        if found.wrong is not None:
            note = "where yours is 0, 0 is expected: which numbers are dropped is up to you"
            return replace(found, text=f"{found.text} ({note})")
        return found
    if "draw" in seen["alike"]:
        return Difference("two generators of different seeds dropped the same numbers")
    if not seen["repeats"]:
        return Difference("two generators of the same seed dropped different numbers")
    if seen["alike"]:
        return Difference(f"all numbers along {seen['alike'][0]} are dropped together, or stay together; expected a "
                          "chance of its own for each")
    if seen["share"] != "right":
        return Difference(f"{seen.share:.1%} of the numbers became 0 in many draws; expected about {rate:.0%}")
    if seen["same_number"]:
        return Difference("every draw has exactly as many zeros; expected a chance of its own for each number")
    return None


DROPOUT = Exercise(dropout, dropout_inputs, call=draw, judge=judge_draws, seen=in_common)

ONE_COIN = ("One throw decides for everything. Each number has a chance of its own: draw as many as x has, "
            "`rng.random(x.shape)`.")
ALWAYS_HALF = ("Half of the numbers are dropped whatever the rate says, as with `rng.integers(0, 2)`, or 0.5 for rate. "
               "Compare `rng.random(x.shape)` with rate.")
IN_PLACE_DROPOUT = "You write zeros into the caller's array. Make a new one: `x * keep`, or work on `x.copy()`."


def zeros_and_ones(x, rate, rng):
    """True where a number stays"""
    return rng.random(x.shape) >= rate


def unless_training(f):
    """A full answer: f does what is done while training."""
    @functools.wraps(f)
    def dropout(x, rate, rng):
        return x if rng is None or rate == 0 else f(x, rate, rng)
    return dropout


@DROPOUT.mistake("The numbers that stay are not enlarged, so the mean falls. Divide them by 1 - rate.")
@unless_training
def not_scaled(x, rate, rng):
    return x * zeros_and_ones(x, rate, rng)


@DROPOUT.mistake("The numbers that stay are multiplied by 1 - rate, which makes them smaller still. Divide: the mean "
                 "has to stay.")
@unless_training
def multiplied_by_what_stays(x, rate, rng):
    return x * zeros_and_ones(x, rate, rng) * (1 - rate)


@DROPOUT.mistake("The numbers that stay are divided by rate. A share of 1 - rate is left, so divide by 1 - rate.")
@unless_training
def divided_by_rate(x, rate, rng):
    return x * zeros_and_ones(x, rate, rng) / rate


@DROPOUT.mistake("The numbers that stay are multiplied by rate. A share of 1 - rate is left, so divide by 1 - rate.")
@unless_training
def multiplied_by_rate(x, rate, rng):
    return x * zeros_and_ones(x, rate, rng) * rate


@DROPOUT.mistake("The numbers that stay are multiplied by 1 + rate. Divide by 1 - rate: of four, three stay at rate "
                 "1/4, and each has to count 4/3.")
@unless_training
def multiplied_by_one_plus_rate(x, rate, rng):
    return x * zeros_and_ones(x, rate, rng) * (1 + rate)


@DROPOUT.mistake("A number stays with chance `rate`. It is dropped with that chance: it stays where the random number "
                 "is at least rate.")
@unless_training
def kept_with_chance_rate(x, rate, rng):
    return x * (rng.random(x.shape) < rate) / (1 - rate)


@DROPOUT.mistake("You take rate as the chance to stay, in the zeros and in the division. It is the chance to be "
                 "dropped.")
@unless_training
def rate_as_the_chance_to_stay(x, rate, rng):
    return x * (rng.random(x.shape) < rate) / rate


@DROPOUT.mistake(ALWAYS_HALF)
@unless_training
def always_one_half(x, rate, rng):
    return x * (rng.random(x.shape) >= 0.5) / (1 - rate)


@DROPOUT.mistake("Half of the numbers are dropped whatever the rate says, and the rest is doubled. Use `rate`.")
@unless_training
def rate_ignored(x, rate, rng):
    return x * (rng.random(x.shape) >= 0.5) * 2


@DROPOUT.mistake("`rng.standard_normal` draws from a bell curve, so another share lies below rate. `rng.random` draws "
                 "evenly between 0 and 1.")
@unless_training
def from_a_bell_curve(x, rate, rng):
    return x * (rng.standard_normal(x.shape) >= rate) / (1 - rate)


@DROPOUT.mistake(ALWAYS_HALF)
@unless_training
def half_by_rounding(x, rate, rng):
    return x * (rng.integers(0, 2, x.shape) == 1) / (1 - rate) * 1.0


@DROPOUT.mistake("x is dropped though there is no rng: that means the model is not training, and x comes back as it "
                 "is.")
def drops_without_rng(x, rate, rng):
    rng = np.random.default_rng() if rng is None else rng
    return x * zeros_and_ones(x, rate, rng) / (1 - rate)


@DROPOUT.mistake("Where rng is None there is nothing to draw from: return x as it is, before you draw.")
def none_not_expected(x, rate, rng):
    keep = rng.random(x.shape) >= rate
    return x * keep / (1 - rate)


@DROPOUT.mistake("Where rng is None there is nothing to draw from: return x as it is, before you draw.")
def none_not_expected_by_binomial(x, rate, rng):
    keep = rng.binomial(1, 1 - rate, x.shape) == 1
    return x * keep / (1 - rate)


@DROPOUT.mistake("Where rng is None there is nothing to draw from: return x as it is, before you draw.")
def none_not_expected_by_choice(x, rate, rng):
    keep = rng.choice([False, True], x.shape, p=[rate, 1 - rate])
    return x * keep / (1 - rate)


@DROPOUT.mistake("Without rng, x is enlarged as well. Nothing is dropped then, so nothing needs to be made up for: "
                 "return x.")
def enlarged_without_rng(x, rate, rng):
    return x / (1 - rate) if rng is None else x * zeros_and_ones(x, rate, rng) / (1 - rate)


@DROPOUT.mistake("Without rng, x is made smaller. The numbers that stay are enlarged while training, so that x can "
                 "come back as it is afterwards.")
def made_smaller_without_rng(x, rate, rng):
    return x * (1 - rate) if rng is None else x * zeros_and_ones(x, rate, rng) / (1 - rate)


@DROPOUT.mistake("This is dropout as it was first published: zeros while training, everything times 1 - rate "
                 "afterwards. Here it is done the other way: divide by 1 - rate while training, and return x as it is "
                 "without rng.")
def as_first_published(x, rate, rng):
    return x * (1 - rate) if rng is None else x * zeros_and_ones(x, rate, rng)


@DROPOUT.mistake("Without rng nothing comes back but zeros. It means that nothing is dropped: return x.")
def zeros_without_rng(x, rate, rng):
    return np.zeros_like(x) if rng is None else x * zeros_and_ones(x, rate, rng) / (1 - rate)


@DROPOUT.mistake("Without rng nothing comes back: `return x` is missing there.")
def nothing_without_rng(x, rate, rng):
    if rng is not None:
        return x * zeros_and_ones(x, rate, rng) / (1 - rate)


@DROPOUT.mistake("Whole rows are dropped: you drew one number for each. Draw one for each number of x, "
                 "`rng.random(x.shape)`.")
@unless_training
def whole_rows(x, rate, rng):
    return x * (rng.random((*x.shape[:-1], 1)) >= rate) / (1 - rate)


@DROPOUT.mistake("All rows lose the same columns: you drew one row of random numbers. Draw one for each number of x, "
                 "`rng.random(x.shape)`.")
@unless_training
def whole_columns(x, rate, rng):
    return x * (rng.random(x.shape[-1]) >= rate) / (1 - rate)


@DROPOUT.mistake("All items of the batch lose the same numbers. Draw one for each number of x, `rng.random(x.shape)`.")
@unless_training
def the_same_for_the_batch(x, rate, rng):
    return x * (rng.random(x.shape[-2:]) >= rate) / (1 - rate)


@DROPOUT.mistake(ONE_COIN)
@unless_training
def one_coin(x, rate, rng):
    return x * (rng.random() >= rate) / (1 - rate)


@DROPOUT.mistake(ONE_COIN)
@unless_training
def one_coin_with_an_if(x, rate, rng):
    return np.zeros_like(x) if rng.random() < rate else x / (1 - rate)


AS_MANY_AS_ROWS = ("`rng.random(len(x))` draws one number for each row. Draw one for each number of x, "
                   "`rng.random(x.shape)`.")
ONE_LONG_ROW = ("`rng.random(x.size)` draws enough numbers, in one long row, which does not line up with x. Draw them "
                "in the shape of x: `rng.random(x.shape)`.")


@DROPOUT.mistake(AS_MANY_AS_ROWS)
@unless_training
def as_many_as_rows(x, rate, rng):
    return x * (rng.random(len(x)) >= rate) / (1 - rate)


@DROPOUT.mistake(AS_MANY_AS_ROWS)
@unless_training
def as_many_as_rows_first(x, rate, rng):
    return (rng.random(len(x)) >= rate) * x / (1 - rate)


@DROPOUT.mistake(ONE_LONG_ROW)
@unless_training
def one_long_row(x, rate, rng):
    return x * (rng.random(x.size) >= rate) / (1 - rate)


@DROPOUT.mistake(ONE_LONG_ROW)
@unless_training
def one_long_row_first(x, rate, rng):
    return (rng.random(x.size) >= rate) * x / (1 - rate)


@DROPOUT.mistake(ONE_LONG_ROW)
@unless_training
def one_long_row_as_a_choice(x, rate, rng):
    return np.where(rng.random(x.size) >= rate, x / (1 - rate), 0)


@DROPOUT.mistake(ONE_LONG_ROW)
@unless_training
def one_long_row_as_places(x, rate, rng):
    return x[rng.random(x.size) >= rate] / (1 - rate)


@DROPOUT.mistake(ONE_COIN)
@unless_training
def one_coin_of_two_sides(x, rate, rng):
    return x * rng.integers(0, 2) / (1 - rate)


@DROPOUT.mistake("Half of the numbers are dropped whatever the rate says, and the rest is not enlarged. Compare "
                 "`rng.random(x.shape)` with rate, and divide by 1 - rate.")
@unless_training
def half_and_not_scaled(x, rate, rng):
    return x * rng.integers(0, 2, x.shape)


@DROPOUT.mistake("Every number becomes 0. (`rng.integers(0, 1)` draws zeros alone: its upper end is left out.) Compare "
                 "`rng.random(x.shape)` with rate: a number stays where it is at least rate.")
@unless_training
def all_dropped(x, rate, rng):
    return x * rng.integers(0, 1, x.shape)


@DROPOUT.mistake("Here a number stays with chance `rate`, and is not enlarged. It is dropped with that chance, and "
                 "what stays is divided by 1 - rate.")
@unless_training
def kept_with_chance_rate_and_not_scaled(x, rate, rng):
    return x * (rng.random(x.shape) < rate)


@DROPOUT.mistake("A fixed number of zeros is dealt out. Each number has a chance of its own, so their count varies: "
                 "compare `rng.random(x.shape)` with rate.")
@unless_training
def dealt_out(x, rate, rng):
    return x * (rng.permutation(x.size).reshape(x.shape) >= round(rate * x.size)) / (1 - rate)


@DROPOUT.mistake("You divide by the share that happened to stay in this draw. Divide by 1 - rate, the share that stays "
                 "on average: a fixed number.")
@unless_training
def by_the_share_of_this_draw(x, rate, rng):
    keep = zeros_and_ones(x, rate, rng)
    return x * keep / max(keep.mean(dtype=x.dtype), x.dtype.type(1e-9))


@DROPOUT.mistake("You draw with a seed of your own (in `default_rng`, or `np.random.seed`), so the same numbers are "
                 "dropped in every step. Draw from `rng`.")
@unless_training
def own_seed(x, rate, rng):
    return x * zeros_and_ones(x, rate, np.random.default_rng(0)) / (1 - rate)


@DROPOUT.mistake("Your random numbers do not come from `rng`, but from NumPy's own or from a generator that you made: "
                 "nobody can repeat the run. Draw from `rng`.")
@unless_training
def own_generator(x, rate, rng):
    return x * zeros_and_ones(x, rate, np.random.default_rng()) / (1 - rate)


@DROPOUT.mistake("This is the pattern of what stays, not x. Multiply x by it.")
@unless_training
def the_pattern_alone(x, rate, rng):
    return (zeros_and_ones(x, rate, rng) / (1 - rate)).astype(x.dtype)


@DROPOUT.mistake("Nothing is dropped: x comes back as it was, while training as well.")
def nothing_dropped(x, rate, rng):
    return x


@DROPOUT.mistake("Nothing is dropped: x is made larger. Multiply by the zeros and ones first.")
@unless_training
def nothing_dropped_but_enlarged(x, rate, rng):
    return x / (1 - rate)


@DROPOUT.mistake("You multiply by the random numbers themselves. Compare them with rate: a number stays whole, or "
                 "goes.")
@unless_training
def random_numbers_themselves(x, rate, rng):
    return x * rng.random(x.shape, dtype=x.dtype) / (1 - rate)


@DROPOUT.mistake("Some numbers are enlarged and the others stay as they are: none becomes 0. What is dropped is 0: "
                 "`np.where(keep, x / (1 - rate), 0)`.")
@unless_training
def x_for_zero(x, rate, rng):
    return np.where(zeros_and_ones(x, rate, rng), x / (1 - rate), x)


@DROPOUT.mistake("This is the pattern of what stays, not x. Multiply x by it.")
@unless_training
def the_bools_alone(x, rate, rng):
    return zeros_and_ones(x, rate, rng)


@DROPOUT.mistake("`x[keep]` takes out the numbers that stay, one after the other, and the shape is lost. Multiply, `x "
                 "* keep`: then the others become 0.")
@unless_training
def taken_out(x, rate, rng):
    return x[zeros_and_ones(x, rate, rng)] / (1 - rate)


@DROPOUT.mistake(IN_PLACE_DROPOUT)
@unless_training
def in_place_zeros(x, rate, rng):
    x[rng.random(x.shape) < rate] = 0
    return x / (1 - rate)


@DROPOUT.mistake(IN_PLACE_DROPOUT)
@unless_training
def in_place_product(x, rate, rng):
    x *= zeros_and_ones(x, rate, rng)
    x /= 1 - rate
    return x


@DROPOUT.mistake("float32 goes in and float64 comes out: something of 64 bits takes part, such as zeros and ones from "
                 "`rng.binomial`, `np.round` or `astype(int)`, or an array from `np.zeros(x.shape)`. What a comparison "
                 "makes is bool and does no harm: `rng.random(x.shape) >= rate`.")
@unless_training
def zeros_and_ones_in_int64(x, rate, rng):
    return x * rng.binomial(1, 1 - rate, x.shape) / (1 - rate)


@DROPOUT.mistake("A generator has no `rand`. Its method is called `random` and takes the shape as one tuple: "
                 "`rng.random(x.shape)`.")
@unless_training
def called_rand(x, rate, rng):
    return x * (rng.rand(*x.shape) >= rate) / (1 - rate)


@DROPOUT.mistake("`rng.random` takes a shape, not the array: `rng.random(x.shape)`.")
@unless_training
def array_for_shape(x, rate, rng):
    return x * (rng.random(x) >= rate) / (1 - rate)


@DROPOUT.mistake("The shape is one tuple: `rng.random(x.shape)`, without the star.")
@unless_training
def shape_unpacked(x, rate, rng):
    return x * (rng.random(*x.shape) >= rate) / (1 - rate)


@DROPOUT.mistake("`rng` is the generator itself, not a function. Call its method: `rng.random(x.shape)`.")
@unless_training
def generator_called(x, rate, rng):
    return x * (rng(x.shape) >= rate) / (1 - rate)


@DROPOUT.alternative
def where(x, rate, rng):
    if rng is None:
        return x.copy()
    return np.where(rng.random(x.shape) < rate, 0, x / (1 - rate)).astype(x.dtype)


@DROPOUT.alternative
@unless_training
def greater_than(x, rate, rng):
    return x / (1 - rate) * (rng.random(x.shape) > rate)


@DROPOUT.alternative
@unless_training
def by_binomial(x, rate, rng):
    return x * rng.binomial(1, 1 - rate, size=x.shape).astype(x.dtype) / (1 - rate)


@DROPOUT.alternative
@unless_training
def by_choice(x, rate, rng):
    return x * rng.choice([False, True], size=x.shape, p=[rate, 1 - rate]) * (1 / (1 - rate))


@DROPOUT.alternative
@unless_training
def zeros_written_into_a_copy(x, rate, rng):
    new = x / (1 - rate)
    new[rng.uniform(size=x.shape) < rate] = 0
    return new


@DROPOUT.alternative
@unless_training
def in_float32(x, rate, rng):
    return x * (rng.random(x.shape, dtype=np.float32) < 1 - rate) / (1 - rate)


@DROPOUT.alternative
@unless_training
def number_by_number(x, rate, rng):
    new = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        if rng.random() >= rate:
            new[i] = x[i] / (1 - rate)
    return new


# ---- the block ----------------------------------------------------------------------------------------------------

class Params(dict):
    """The parameters of a block. A card names them and does not print them."""

    def __repr__(self):
        return "params"


def parameters(D, n_heads, d_k, d_v, F, seed, dtype=np.float64, silent=()):
    """silent: the parts that add nothing: their last matrix and its bias are 0."""
    def draw(*shape, of=0.6, around=0.0):
        nonlocal seed
        seed += 1
        return normal(*shape, seed=seed, scale=of, around=around, dtype=dtype)
    p = Params(
        attention={"W_Q": draw(D, n_heads * d_k), "W_K": draw(D, n_heads * d_k), "W_V": draw(D, n_heads * d_v),
                   "W_O": draw(n_heads * d_v, D)},
        norm_1={"gamma": draw(D, of=0.3, around=1.5), "beta": draw(D)},
        feed_forward={"W_1": draw(D, F), "b_1": draw(F), "W_2": draw(F, D), "b_2": draw(D)},
        norm_2={"gamma": draw(D, of=0.3, around=0.7), "beta": draw(D)})
    for part, name in (("attention", "W_O"), ("feed_forward", "W_2"), ("feed_forward", "b_2")):
        if part in silent:
            p[part][name] *= 0
    return p


ONLY_ATTENTION = "training at rate 0.5, pre-norm; the feed-forward adds 0"


def block_inputs():
    both = ("attention", "feed_forward")
    ids = np.array([[5, 6, 7, 0], [5, 6, 0, 0]])
    recorded = {"x": "B T D", "record": {"attention": "B H T T"}}
    return [
        Case("post-norm, T=3, D=4, H=2", (normal(3, 4, seed=1), parameters(4, 2, 2, 2, 5, seed=100), 2), axes="T D"),
        Case("pre-norm, T=3, D=4, H=2", (normal(3, 4, seed=1), parameters(4, 2, 2, 2, 5, seed=100), 2),
             {"pre_norm": True}, axes="T D"),
        Case("a batch under a causal mask, the weights recorded; B=2, T=4, D=6, H=3",
             (normal(2, 4, 6, seed=2), parameters(6, 3, 2, 2, 8, seed=200), 3),
             {"mask": causal_mask(4), "record": {}}, axes=recorded),
        Case("pre-norm, a padding mask, relu, the weights recorded; B=2, T=4, D=6, H=3",
             (normal(2, 4, 6, seed=3), parameters(6, 3, 2, 2, 8, seed=300), 3),
             {"mask": (ids != 0)[:, None, None], "pre_norm": True, "activation": relu, "record": {}}, axes=recorded),
        Case("d_k and d_v free, two leading axes", (normal(2, 3, 4, 5, seed=4), parameters(5, 2, 3, 4, 7, seed=400), 2),
             axes="A B T D"),
        Case("pre-norm, d_k and d_v free, two leading axes",
             (normal(2, 3, 4, 5, seed=5), parameters(5, 2, 3, 4, 7, seed=500), 2), {"pre_norm": True}, axes="A B T D"),
        Case("float32, a transposed view",
             (normal(6, 3, 2, seed=6).astype(np.float32).T, parameters(6, 2, 3, 3, 9, seed=600, dtype=np.float32), 2),
             axes="B T D"),
        Case("pre-norm, float32, a transposed view",
             (normal(6, 3, 2, seed=7).astype(np.float32).T, parameters(6, 2, 3, 3, 9, seed=700, dtype=np.float32), 2),
             {"pre_norm": True}, axes="B T D"),
        Case("training at rate 0.5, both parts add 0",
             (normal(3, 4, seed=8), parameters(4, 2, 2, 2, 5, seed=800, silent=both), 2), {"rate": 0.5, "rng": Seed(1)},
             axes="T D"),
        Case("training at rate 0.5, pre-norm; both parts add 0",
             (normal(3, 4, seed=9), parameters(4, 2, 2, 2, 5, seed=900, silent=both), 2),
             {"pre_norm": True, "rate": 0.5, "rng": Seed(2)}, axes="T D"),
        Case(ONLY_ATTENTION,
             (normal(20, 4, seed=10), parameters(4, 2, 2, 2, 5, seed=1000, silent=["feed_forward"]), 2),
             {"pre_norm": True, "rate": 0.5, "rng": Seed(3)}, axes="T D"),
    ]


def run_block(f, case):
    """f's x, with its record if one was given."""
    options = dict(case.options)
    if "rng" in options:
        options["rng"] = generator(options["rng"])
    if "record" in options:
        options["record"] = {}
    y = f(*case.args, **options)
    return {"x": y, "record": options["record"]} if "record" in options else y


def seen_in_block(case, y):
    """Where attention alone adds something: what its numbers come back times, which is the same however the reader's
    own dropout draws."""
    if case.title == ONLY_ATTENTION and fits(y, case.args[0]):
        x = case.args[0]
        added = transformer_block(*case.args, pre_norm=True) - x
        return {"times": sorted({round(float(t), 6) + 0.0 for t in ((y - x) / added).ravel()})}
    return y


def judge_block(case, output):
    if case.title != ONLY_ATTENTION:
        return TRANSFORMER_BLOCK.compare_with_reference(case, output)
    if not isinstance(output, dict):
        return compare(transformer_block(*case.args, pre_norm=True), output, case.axes)
    if output["times"] != [0, 2]:
        times = ", ".join(f"{t:.4g}" for t in output["times"][:4]) + (", ..." if len(output["times"]) > 4 else "")
        return Difference("what attention adds should come back times 0 or times 2, for dropout drops half of it and "
                          f"doubles the rest; yours comes back times {times}")
    return None


TRANSFORMER_BLOCK = Exercise(transformer_block, block_inputs, call=run_block, judge=judge_block,
                             seen=seen_in_block)


def with_parts(lines):
    """A full block: the helpers that are given, then `lines`, which puts them together."""
    @functools.wraps(lines)
    def block(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
        def attend(x):
            output, weights = multi_head_attention(x, x, **params["attention"], n_heads=n_heads, mask=mask)
            if record is not None:
                record["attention"] = weights
            return dropout(output, rate, rng)

        def think(x):
            return dropout(feed_forward(x, **params["feed_forward"], activation=activation), rate, rng)

        def norm(x, name):
            return layer_norm(x, **params[name])

        for part in (attend, think, norm):              # so that error messages are those of a reader's block
            part.__qualname__ = f"transformer_block.<locals>.{part.__name__}"
        return lines(x, attend, think, norm, pre_norm)
    return block


def right(x, attend, think, norm, pre_norm):
    if pre_norm:
        x = x + attend(norm(x, "norm_1"))
        return x + think(norm(x, "norm_2"))
    x = norm(x + attend(x), "norm_1")
    return norm(x + think(x), "norm_2")


def wrong_lines(sentence, either=True):
    """Register lines as a mistake: where they are wrong in both forms of the block, also each alone."""
    def register(lines):
        TRANSFORMER_BLOCK.mistake(sentence)(with_parts(lines))
        for form in (True, False) if either else ():
            @functools.wraps(lines)
            def in_one_form(x, attend, think, norm, pre_norm, form=form):
                return (lines if pre_norm == form else right)(x, attend, think, norm, pre_norm)
            TRANSFORMER_BLOCK.mistake(sentence)(with_parts(in_one_form))
        return lines
    return register


@wrong_lines("Nothing is added to what came in. Each part's result is added to its input, `x + ...`: that is the "
             "residual connection, which carries x, and its gradient, through many blocks.")
def no_residual(x, attend, think, norm, pre_norm):
    if pre_norm:
        return think(norm(attend(norm(x, "norm_1")), "norm_2"))
    return norm(think(norm(attend(x), "norm_1")), "norm_2")


@wrong_lines("Attention's result replaces x. It is added to x, as the feed-forward's is.")
def attention_without_residual(x, attend, think, norm, pre_norm):
    if pre_norm:
        x = attend(norm(x, "norm_1"))
        return x + think(norm(x, "norm_2"))
    x = norm(attend(x), "norm_1")
    return norm(x + think(x), "norm_2")


@wrong_lines("The feed-forward's result replaces x. It is added to x, as attention's is.")
def thinking_without_residual(x, attend, think, norm, pre_norm):
    if pre_norm:
        x = x + attend(norm(x, "norm_1"))
        return think(norm(x, "norm_2"))
    x = norm(x + attend(x), "norm_1")
    return norm(think(x), "norm_2")


@wrong_lines("You normalize what a part gives, and add it to x afterwards. Post-norm normalizes the sum, `x + "
             "attend(x)`; pre-norm what goes into the part.")
def norm_of_the_part(x, attend, think, norm, pre_norm):
    x = x + norm(attend(x), "norm_1")
    return x + norm(think(x), "norm_2")


@wrong_lines("Post-norm and pre-norm have changed places: with `pre_norm=True` you normalize the sums, without it what "
             "goes in.", either=False)
def forms_exchanged(x, attend, think, norm, pre_norm):
    return right(x, attend, think, norm, not pre_norm)


@wrong_lines("This is always post-norm. With `pre_norm=True`, normalize what goes into each part, and leave the sums "
             "as they are.", either=False)
def always_post_norm(x, attend, think, norm, pre_norm):
    return right(x, attend, think, norm, False)


@wrong_lines("This is always pre-norm. Unless `pre_norm` is True, normalize each sum instead of what goes in.",
             either=False)
def always_pre_norm(x, attend, think, norm, pre_norm):
    return right(x, attend, think, norm, True)


@wrong_lines("`norm_1` is used twice, and `norm_2` never: each of the two has its own gamma and beta.")
def norm_1_twice(x, attend, think, norm, pre_norm):
    return right(x, attend, think, lambda x, name: norm(x, "norm_1"), pre_norm)


@wrong_lines("`norm_2` is used twice, and `norm_1` never: each of the two has its own gamma and beta.", either=False)
def norm_2_twice(x, attend, think, norm, pre_norm):
    return right(x, attend, think, lambda x, name: norm(x, "norm_2"), pre_norm)


@wrong_lines("The norms have changed places: `norm_1` goes with attention, `norm_2` with the feed-forward.",
             either=False)
def norms_exchanged(x, attend, think, norm, pre_norm):
    return right(x, attend, think, lambda x, name: norm(x, {"norm_1": "norm_2", "norm_2": "norm_1"}[name]), pre_norm)


@wrong_lines("In pre-norm, what is added to is the normalized x. Keep x as it was for the sum; only the part sees the "
             "normalized one: `x + attend(norm(x, ...))`.", either=False)
def residual_of_the_normalized(x, attend, think, norm, pre_norm):
    if not pre_norm:
        return right(x, attend, think, norm, pre_norm)
    x = norm(x, "norm_1")
    x = x + attend(x)
    x = norm(x, "norm_2")
    return x + think(x)


@wrong_lines("In pre-norm, attention's result is added to the normalized x. Keep x as it was for the sum; only the "
             "part sees the normalized one.", either=False)
def first_residual_of_the_normalized(x, attend, think, norm, pre_norm):
    if not pre_norm:
        return right(x, attend, think, norm, pre_norm)
    x = norm(x, "norm_1")
    x = x + attend(x)
    return x + think(norm(x, "norm_2"))


@wrong_lines("In pre-norm, the feed-forward's result is added to the normalized x. Keep x as it was for the sum; only "
             "the part sees the normalized one.", either=False)
def second_residual_of_the_normalized(x, attend, think, norm, pre_norm):
    if not pre_norm:
        return right(x, attend, think, norm, pre_norm)
    x = x + attend(norm(x, "norm_1"))
    x = norm(x, "norm_2")
    return x + think(x)


@wrong_lines("The second sum starts from the block's input again, and forgets what attention added. Go on from the "
             "first sum.")
def second_sum_from_the_input(x, attend, think, norm, pre_norm):
    if pre_norm:
        y = x + attend(norm(x, "norm_1"))
        return x + think(norm(y, "norm_2"))
    y = norm(x + attend(x), "norm_1")
    return norm(x + think(y), "norm_2")


@wrong_lines("The feed-forward reads the block's input, beside attention instead of after it. It thinks about what "
             "attention has brought: give it the first sum.")
def parallel(x, attend, think, norm, pre_norm):
    if pre_norm:
        return x + attend(norm(x, "norm_1")) + think(norm(x, "norm_2"))
    y = norm(x + attend(x), "norm_1")
    return norm(y + think(x), "norm_2")


@wrong_lines("The feed-forward comes before attention. First the words look at each other, then each thinks.",
             either=False)
def thinking_first(x, attend, think, norm, pre_norm):
    if pre_norm:
        x = x + think(norm(x, "norm_1"))
        return x + attend(norm(x, "norm_2"))
    x = norm(x + think(x), "norm_1")
    return norm(x + attend(x), "norm_2")


@wrong_lines("The feed-forward comes before attention, each with the norm of its own. First the words look at each "
             "other, then each thinks.", either=False)
def thinking_first_with_its_norm(x, attend, think, norm, pre_norm):
    if pre_norm:
        x = x + think(norm(x, "norm_2"))
        return x + attend(norm(x, "norm_1"))
    x = norm(x + think(x), "norm_2")
    return norm(x + attend(x), "norm_1")


@wrong_lines("You call `attend` in both halves, and `think` never. The second half is the feed-forward's.",
             either=False)
def attention_in_both_halves(x, attend, think, norm, pre_norm):
    return right(x, attend, attend, norm, pre_norm)


@wrong_lines("You call `think` in both halves, and `attend` never: no word sees another. The first half is "
             "attention's.", either=False)
def thinking_in_both_halves(x, attend, think, norm, pre_norm):
    return right(x, think, think, norm, pre_norm)


@wrong_lines("The block stops after attention, or what comes after it is not kept, as in `x = ...`: the feed-forward, "
             "with its sum and its norm.")
def first_half_only(x, attend, think, norm, pre_norm):
    return x + attend(norm(x, "norm_1")) if pre_norm else norm(x + attend(x), "norm_1")


ATTENTION_MISSING = ("Attention is missing, or its result is not kept, as in `x = x + ...`. The block's first half "
                     "adds what the words get from each other.")


@wrong_lines(ATTENTION_MISSING)
def second_half_only(x, attend, think, norm, pre_norm):
    return x + think(norm(x, "norm_2")) if pre_norm else norm(x + think(x), "norm_2")


@wrong_lines(ATTENTION_MISSING)
def sum_not_kept(x, attend, think, norm, pre_norm):
    if pre_norm:
        x + attend(norm(x, "norm_1"))                       # noqa: B018
        return x + think(norm(x, "norm_2"))
    x + attend(x)                                           # noqa: B018
    x = norm(x, "norm_1")
    return norm(x + think(x), "norm_2")


@wrong_lines("`attend` runs twice, on the result of itself. It runs once, on what comes in.", either=False)
def attention_of_attention(x, attend, think, norm, pre_norm):
    return right(x, lambda x: attend(attend(x)), think, norm, pre_norm)


@wrong_lines("There is no norm. Post-norm has one around each sum; pre-norm has one around what goes into each part.")
def no_norm(x, attend, think, norm, pre_norm):
    x = x + attend(x)
    return x + think(x)


@wrong_lines("The first norm is missing: `norm_1` belongs to attention's half, as `norm_2` does to the feed-forward's.")
def first_norm_forgotten(x, attend, think, norm, pre_norm):
    return right(x, attend, think, lambda x, name: x if name == "norm_1" else norm(x, name), pre_norm)


@wrong_lines("The second norm is missing: `norm_2` belongs to the feed-forward's half, as `norm_1` does to "
             "attention's.")
def second_norm_forgotten(x, attend, think, norm, pre_norm):
    return right(x, attend, think, lambda x, name: x if name == "norm_2" else norm(x, name), pre_norm)


NORM_AFTER_PRE_NORM = ("Pre-norm has no norm at its end: x itself goes on to the next block. (One norm comes after the "
                       "last block of all.)")


@wrong_lines(NORM_AFTER_PRE_NORM, either=False)
def norm_after_pre_norm(x, attend, think, norm, pre_norm):
    x = right(x, attend, think, norm, pre_norm)
    return norm(x, "norm_2") if pre_norm else x


@wrong_lines(NORM_AFTER_PRE_NORM, either=False)
def first_norm_after_pre_norm(x, attend, think, norm, pre_norm):
    x = right(x, attend, think, norm, pre_norm)
    return norm(x, "norm_1") if pre_norm else x


BOTH_IN_A_ROW = ("Both forms run, one after the other: where the lines of the first end without `return`, those of the "
                 "second follow. Return there, or write `else`.")


@wrong_lines(BOTH_IN_A_ROW, either=False)
def post_norm_after_pre_norm(x, attend, think, norm, pre_norm):
    if pre_norm:
        x = right(x, attend, think, norm, True)
    return right(x, attend, think, norm, False)


@wrong_lines(BOTH_IN_A_ROW, either=False)
def pre_norm_after_post_norm(x, attend, think, norm, pre_norm):
    if not pre_norm:
        x = right(x, attend, think, norm, False)
    return right(x, attend, think, norm, True)


ATTEND_TWICE = ("The output is right and the record is not: `attend` ran for both forms, and left the weights of the "
                "wrong one. Ask for `pre_norm` first, and call `attend` once.")


@wrong_lines(ATTEND_TWICE, either=False)
def both_and_then_a_choice(x, attend, think, norm, pre_norm):
    pre, post = right(x, attend, think, norm, True), right(x, attend, think, norm, False)
    return pre if pre_norm else post


@wrong_lines(ATTEND_TWICE, either=False)
def both_the_other_way_round_and_then_a_choice(x, attend, think, norm, pre_norm):
    post, pre = right(x, attend, think, norm, False), right(x, attend, think, norm, True)
    return pre if pre_norm else post


NORM_OF_X_ALONE = ("You normalize x alone, and add to that. Post-norm normalizes the sum, `norm(x + attend(x), ...)`; "
                   "pre-norm what goes into the part, `x + attend(norm(x, ...))`.")


@wrong_lines(NORM_OF_X_ALONE)
def norm_of_x_alone(x, attend, think, norm, pre_norm):
    x = norm(x, "norm_1") + attend(x)
    return norm(x, "norm_2") + think(x)


@wrong_lines(NORM_OF_X_ALONE, either=False)
def post_norm_of_the_input(x, attend, think, norm, pre_norm):
    if pre_norm:
        return right(x, attend, think, norm, pre_norm)
    x = norm(x, "norm_1")
    x = x + attend(x)
    x = norm(x, "norm_2")
    return x + think(x)


@wrong_lines("You normalize what goes in and the sums as well. It is one or the other: `pre_norm` says which.")
def norms_on_both_sides(x, attend, think, norm, pre_norm):
    x = norm(x + attend(norm(x, "norm_1")), "norm_1")
    return norm(x + think(norm(x, "norm_2")), "norm_2")


@wrong_lines("x is added twice: the sum is normalized and then added to x once more. Post-norm is the norm of the sum, "
             "and no more.", either=False)
def added_twice(x, attend, think, norm, pre_norm):
    if pre_norm:
        return right(x, attend, think, norm, pre_norm)
    x = x + norm(x + attend(x), "norm_1")
    return x + norm(x + think(x), "norm_2")


@wrong_lines("The parts are subtracted from x. They are added.", either=False)
def subtracted(x, attend, think, norm, pre_norm):
    return right(x, lambda x: -attend(x), lambda x: -think(x), norm, pre_norm)


@wrong_lines("x is multiplied by what a part gives. It is added.", either=False)
def multiplied(x, attend, think, norm, pre_norm):
    if pre_norm:
        x = x * attend(norm(x, "norm_1"))
        return x * think(norm(x, "norm_2"))
    x = norm(x * attend(x), "norm_1")
    return norm(x * think(x), "norm_2")


@wrong_lines("`x += ...` writes into the caller's array. Make a new one: `x = x + ...`.")
def in_place_sum(x, attend, think, norm, pre_norm):
    if pre_norm:
        x += attend(norm(x, "norm_1"))
        return x + think(norm(x, "norm_2"))
    x += attend(x)
    return norm(norm(x, "norm_1") + think(norm(x, "norm_1")), "norm_2")


def also_given(lines):
    """Lines that use params, rate and rng themselves."""
    @functools.wraps(lines)
    def transformer_block(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                          record=None):
        @functools.wraps(lines)
        def with_given(x, attend, think, norm, pre_norm):
            return lines(x, attend, think, norm, pre_norm, params, rate, rng)
        return with_parts(with_given)(x, params, n_heads, mask, pre_norm, activation, rate, rng, record)
    return transformer_block


@TRANSFORMER_BLOCK.mistake("You drop numbers once more: `attend` and `think` do it already, on what they return.")
@also_given
def dropped_twice(x, attend, think, norm, pre_norm, params, rate, rng):
    return right(x, lambda x: dropout(attend(x), rate, rng), lambda x: dropout(think(x), rate, rng), norm, pre_norm)


@TRANSFORMER_BLOCK.mistake("You drop numbers of the sum, and with them x itself. Only what a part adds is dropped, and "
                           "`attend` and `think` do that already.")
@also_given
def sums_dropped(x, attend, think, norm, pre_norm, params, rate, rng):
    if pre_norm:
        x = dropout(x + attend(norm(x, "norm_1")), rate, rng)
        return dropout(x + think(norm(x, "norm_2")), rate, rng)
    x = norm(dropout(x + attend(x), rate, rng), "norm_1")
    return norm(dropout(x + think(x), rate, rng), "norm_2")


@TRANSFORMER_BLOCK.mistake("You drop numbers of what the norms return. Only what a part adds is dropped, and `attend` "
                           "and `think` do that already.")
@also_given
def norms_dropped(x, attend, think, norm, pre_norm, params, rate, rng):
    return right(x, attend, think, lambda x, name: dropout(norm(x, name), rate, rng), pre_norm)


NAME_MISSING = "`norm` needs the name of its parameters, in quotes: \"norm_1\" or \"norm_2\"."


@wrong_lines(NAME_MISSING, either=False)
def name_missing(x, attend, think, norm, pre_norm):
    return norm(x)


@wrong_lines(NAME_MISSING, either=False)
def name_without_quotes(x, attend, think, norm, pre_norm):
    return norm(x, norm_1)                                  # noqa: F821


@wrong_lines(NAME_MISSING, either=False)
def number_for_name(x, attend, think, norm, pre_norm):
    return norm(x, 1)


@wrong_lines("`norm` takes x first, then the name.", either=False)
def name_first(x, attend, think, norm, pre_norm):
    return norm("norm_1", x)


@TRANSFORMER_BLOCK.mistake("`norm` finds the parameters by itself. Give it their name, in quotes: \"norm_1\" or "
                           "\"norm_2\".")
@also_given
def parameters_for_name(x, attend, think, norm, pre_norm, params, rate, rng):
    return norm(x, params["norm_1"])


@wrong_lines("`attend` takes x alone: queries, keys and values all come from it.", either=False)
def attend_with_memory(x, attend, think, norm, pre_norm):
    return x + attend(x, x)


@wrong_lines("`attend` returns the output alone, so there is nothing to unpack. The weights went to `record`.")
def attend_unpacked(x, attend, think, norm, pre_norm):
    def first_of_two(x):
        output, weights = attend(x)
        return output
    return right(x, first_of_two, think, norm, pre_norm)


@wrong_lines("`attend` takes x alone: queries, keys and values all come from it.", either=False)
def attend_with_keys_and_values(x, attend, think, norm, pre_norm):
    return x + attend(x, x, x)


@wrong_lines("`attend` returns the output alone: `[0]` takes its first row, or the first item of the batch. Leave "
             "`[0]` away.")
def first_of_attend(x, attend, think, norm, pre_norm):
    return right(x, lambda x: attend(x)[0], think, norm, pre_norm)


@TRANSFORMER_BLOCK.mistake("Return x alone. `attend` fills the record, and the caller has it.")
def record_returned(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None, record=None):
    return transformer_block(x, params, n_heads, mask, pre_norm, activation, rate, rng, record), record


@TRANSFORMER_BLOCK.alternative
@with_parts
def with_names_for_all(x, attend, think, norm, pre_norm):
    if not pre_norm:
        after_attention = norm(attend(x) + x, "norm_1")
        return norm(think(after_attention) + after_attention, "norm_2")
    after_attention = attend(norm(x, "norm_1")) + x
    return think(norm(after_attention, "norm_2")) + after_attention


@TRANSFORMER_BLOCK.alternative
@with_parts
def in_a_loop(x, attend, think, norm, pre_norm):
    for part, name in ((attend, "norm_1"), (think, "norm_2")):
        x = x + part(norm(x, name)) if pre_norm else norm(x + part(x), name)
    return x


@TRANSFORMER_BLOCK.alternative
@with_parts
def into_a_copy(x, attend, think, norm, pre_norm):
    x = x.copy()
    x += attend(norm(x, "norm_1") if pre_norm else x)
    x = x if pre_norm else norm(x, "norm_1")
    y = x + think(norm(x, "norm_2") if pre_norm else x)
    return y if pre_norm else norm(y, "norm_2")


@TRANSFORMER_BLOCK.alternative
def without_the_helpers(x, params, n_heads, mask=None, pre_norm=False, activation=gelu, rate=0.0, rng=None,
                        record=None):
    def drop(y):
        if rng is None or rate == 0:
            return y
        return y * (rng.binomial(1, 1 - rate, y.shape) == 1) / (1 - rate)
    n_1, n_2 = params["norm_1"], params["norm_2"]
    look = layer_norm(x, **n_1) if pre_norm else x
    added, weights = multi_head_attention(look, look, **params["attention"], n_heads=n_heads, mask=mask)
    if record is not None:
        record["attention"] = weights
    x = x + drop(added)
    x = x if pre_norm else layer_norm(x, **n_1)
    x = x + drop(feed_forward(layer_norm(x, **n_2) if pre_norm else x, **params["feed_forward"], activation=activation))
    return x if pre_norm else layer_norm(x, **n_2)
