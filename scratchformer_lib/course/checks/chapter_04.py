"""The exercises of chapter 04, multi-head attention."""
import functools
import math

import numpy as np

from ...attention import causal_mask, scaled_dot_product_attention
from ...multi_head import linear, merge_heads, multi_head_attention, split_heads
from ...softmax import softmax
from ..answers.chapter_04 import count_parameters
from ..exercise import Case, Exercise

FIXED_AXES = ("This fits one number of axes only. x may come with a batch, without one, or with two: keep whatever "
              "sizes stand in front, and count the axes from the end.")
LOOPED_OVER_X = ("Going through x gives the heads only where there is no batch; with one, it gives the items of the "
                 "batch. The heads are axis -3.")
AXIS_0_CUT = ("You cut axis 0, as `np.split` does unless you name another: it holds positions, or the batch. The heads "
              "share the last axis: `axis=-1`.")
AXIS_1_CUT = ("You cut axis 1, as `np.hsplit` and `x[:, a:b]` do: the last axis of a matrix, but the positions where "
              "there is a batch. Count from the end: `np.split(x, n_heads, axis=-1)`, or `x[..., a:b]`.")
POSITIONS_CUT = "You cut axis -2, the positions. The heads share the last axis: `axis=-1`."
LIST_OF_HEADS = ("You return a list of heads. Put them side by side, one array: `np.concatenate(..., axis=-1)`.")
JOINED_ALONG_AXIS_0 = ("You join along axis 0, as `np.concatenate` does unless you name another. Side by side means "
                       "along the last axis: `axis=-1`.")
AS_IT_WAS = ("x comes back as it was. `reshape` and `np.swapaxes` make new arrays: return those. (And `np.concatenate` "
             "undoes `np.split`; `np.stack` makes a new axis for the heads.)")


def numbered(*shape, dtype=np.float64):
    return np.arange(math.prod(shape), dtype=dtype).reshape(shape)       # a number tells where it came from


def split_inputs():
    return [
        Case("numbers 0 to 23, shape (T=4, 6), two heads", (numbered(4, 6), 2), axes="H T d"),
        Case("a batch, (B=2, T=3, 20), four heads", (numbered(2, 3, 20), 4), axes="B H T d"),
        Case("two leading axes, (2, 3, T=5, 28), four heads", (numbered(2, 3, 5, 28), 4), axes="A B H T d"),
        Case("as many heads as words", (numbered(2, 3, 12), 3), axes="B H T d"),
        Case("one head", (numbered(3, 2, 4), 1), axes="B H T d"),
        Case("heads of one number each", (numbered(3, 4), 4), axes="H T d"),
        Case("float32, a transposed view", (numbered(6, 5, 2, dtype=np.float32).T, 3), axes="B H T d"),
    ]


SPLIT_HEADS = Exercise(split_heads, split_inputs)


@SPLIT_HEADS.mistake("The shape is right and the numbers are not: `reshape` cuts the numbers as they lie, so a head "
                     "gets several positions whole instead of a part of each. Reshape to (..., T, H, d), then swap T "
                     "and H.")
def reshaped_at_once(x, n_heads):
    return x.reshape(*x.shape[:-2], n_heads, x.shape[-2], -1)


@SPLIT_HEADS.mistake("This is (..., T, H, d). The cut is right; now the heads have to come before the positions: swap "
                     "axes -2 and -3.")
def not_swapped(x, n_heads):
    return x.reshape(*x.shape[:-1], n_heads, -1)


@SPLIT_HEADS.mistake("Your heads are interleaved: head h got columns h, h + H, h + 2H, ... A head is a block of "
                     "neighboring columns: H comes before d in the reshape.")
def interleaved(x, n_heads):
    return np.moveaxis(x.reshape(*x.shape[:-1], -1, n_heads), -1, -3)


@SPLIT_HEADS.mistake("H and d have changed places: this is (..., d, T, H). The last axis is cut into n_heads blocks "
                     "of d columns, so the reshape says n_heads first, then -1.")
def heads_last(x, n_heads):
    return np.swapaxes(x.reshape(*x.shape[:-1], -1, n_heads), -2, -3)


@SPLIT_HEADS.mistake("`.T` turns around all axes, the batch too. Only T and H change places: axes -3 and -2.")
def everything_turned(x, n_heads):
    return x.reshape(*x.shape[:-1], n_heads, -1).T


@SPLIT_HEADS.mistake(FIXED_AXES)
def unpacked_with_a_batch(x, n_heads):
    B, T, D = x.shape
    return x.reshape(B, T, n_heads, D // n_heads).transpose(0, 2, 1, 3)


@SPLIT_HEADS.mistake(FIXED_AXES)
def unpacked_without_a_batch(x, n_heads):
    T, D = x.shape
    return x.reshape(T, n_heads, D // n_heads).transpose(1, 0, 2)


@SPLIT_HEADS.mistake(FIXED_AXES)
def transposed_with_a_batch(x, n_heads):
    return x.reshape(*x.shape[:-1], n_heads, -1).transpose(0, 2, 1, 3)


@SPLIT_HEADS.mistake(FIXED_AXES)
def transposed_without_a_batch(x, n_heads):
    return x.reshape(*x.shape[:-1], n_heads, -1).transpose(1, 0, 2)


@SPLIT_HEADS.mistake(FIXED_AXES)
def first_two_sizes(x, n_heads):
    return x.reshape(x.shape[0], x.shape[1], n_heads, -1).swapaxes(1, 2)


@SPLIT_HEADS.mistake("You swap axes 1 and 2, counted from the front: right for a batch, wrong without one. T and H "
                     "are axes -3 and -2, however many stand before them.")
def swapped_from_the_front(x, n_heads):
    return x.reshape(*x.shape[:-1], n_heads, -1).swapaxes(1, 2)


@SPLIT_HEADS.mistake("You swap the first two axes: right without a batch only. With one, the batch and the positions "
                     "change places. T and H are axes -3 and -2.")
def first_two_swapped(x, n_heads):
    return x.reshape(*x.shape[:-1], n_heads, -1).swapaxes(0, 1)


@SPLIT_HEADS.mistake("You swap the last two axes, H and d: this is (..., T, d, H). Swap T and H, axes -3 and -2.")
def last_two_swapped(x, n_heads):
    return x.reshape(*x.shape[:-1], n_heads, -1).swapaxes(-1, -2)


@SPLIT_HEADS.mistake("You return a list of heads. Make one array of them, the heads on axis -3: `np.stack(..., "
                     "axis=-3)`.")
def a_list(x, n_heads):
    return np.split(x, n_heads, axis=-1)


@SPLIT_HEADS.mistake("The heads stand in front of everything. The batch keeps its place, and the heads come between "
                     "it and T: axis -3.")
def stacked_in_front(x, n_heads):
    return np.stack(np.split(x, n_heads, axis=-1))


@SPLIT_HEADS.mistake(AXIS_0_CUT)
def split_along_axis_0(x, n_heads):
    return np.stack(np.split(x, n_heads), axis=-3)


@SPLIT_HEADS.mistake(AXIS_0_CUT)
def a_list_along_axis_0(x, n_heads):
    return np.split(x, n_heads)


@SPLIT_HEADS.mistake(POSITIONS_CUT)
def positions_split(x, n_heads):
    return np.stack(np.split(x, n_heads, axis=-2), axis=-3)


@SPLIT_HEADS.mistake(POSITIONS_CUT)
def a_list_of_positions(x, n_heads):
    return np.split(x, n_heads, axis=-2)


@SPLIT_HEADS.mistake(AXIS_1_CUT)
def split_horizontally(x, n_heads):
    return np.stack(np.hsplit(x, n_heads), axis=-3)


@SPLIT_HEADS.mistake(AXIS_1_CUT)
def a_list_split_horizontally(x, n_heads):
    return np.hsplit(x, n_heads)


@SPLIT_HEADS.mistake(AXIS_1_CUT)
def columns_of_a_matrix(x, n_heads):
    d = x.shape[-1] // n_heads
    return np.stack([x[:, h * d:(h + 1) * d] for h in range(n_heads)], axis=-3)


@SPLIT_HEADS.mistake(AXIS_1_CUT)
def array_of_columns_of_a_matrix(x, n_heads):
    d = x.shape[-1] // n_heads
    return np.array([x[:, h * d:(h + 1) * d] for h in range(n_heads)])


@SPLIT_HEADS.mistake(AXIS_1_CUT)
def a_list_of_columns_of_a_matrix(x, n_heads):
    d = x.shape[-1] // n_heads
    return [x[:, h * d:(h + 1) * d] for h in range(n_heads)]


@SPLIT_HEADS.mistake(FIXED_AXES)
def columns_of_a_batch(x, n_heads):
    d = x.shape[-1] // n_heads
    return np.stack([x[:, :, h * d:(h + 1) * d] for h in range(n_heads)], axis=-3)


@SPLIT_HEADS.mistake("The heads are axis 1, counted from the front: right for a batch, wrong without one. Counted from "
                     "the end they are axis -3, however many stand before them.")
def stacked_on_axis_1(x, n_heads):
    return np.stack(np.split(x, n_heads, axis=-1), axis=1)


@SPLIT_HEADS.mistake(AS_IT_WAS)
def concatenated(x, n_heads):
    return np.concatenate(np.split(x, n_heads, axis=-1), axis=-1)


@SPLIT_HEADS.mistake("Only head 0 came back. The result has an axis of n_heads of them.")
def first_head_only(x, n_heads):
    return x[..., :x.shape[-1] // n_heads]


@SPLIT_HEADS.mistake("The -1 in your reshape swallowed the batch: all its positions stand in one row now. Keep the "
                     "axes in front, `*x.shape[:-1]`, and cut the last one alone.")
def batch_swallowed(x, n_heads):
    return x.reshape(n_heads, -1, x.shape[-1] // n_heads)


@SPLIT_HEADS.mistake("The -1 in your reshape swallowed the batch: all its positions stand in one row now. Keep the "
                     "axes in front, `*x.shape[:-1]`, and cut the last one alone.")
def batch_swallowed_and_swapped(x, n_heads):
    return x.reshape(-1, n_heads, x.shape[-1] // n_heads).swapaxes(0, 1)


@SPLIT_HEADS.mistake("`/` makes a float, and a shape needs whole numbers. Divide with `//`, or write -1 and let NumPy "
                     "find the size.")
def divided_to_a_float(x, n_heads):
    return np.swapaxes(x.reshape(*x.shape[:-1], n_heads, x.shape[-1] / n_heads), -2, -3)


@SPLIT_HEADS.mistake("`x.shape[:-1]` is a tuple, and `reshape` wants numbers one after another. A star unpacks it: "
                     "`*x.shape[:-1]`.")
def star_missing(x, n_heads):
    return np.swapaxes(x.reshape(x.shape[:-1], n_heads, -1), -2, -3)


@SPLIT_HEADS.mistake("This is (..., H, d, T): the cut is right, the last two axes are the wrong way round. Positions "
                     "come before the numbers of a head.")
def columns_before_positions(x, n_heads):
    return np.swapaxes(x, -1, -2).reshape(*x.shape[:-2], n_heads, -1, x.shape[-2])


@SPLIT_HEADS.mistake("You transpose first and then reshape to (..., H, T, d), which cuts across the rows: the shape "
                     "is right, the numbers are not. Cut first, (..., T, H, d), then swap.")
def transposed_then_reshaped(x, n_heads):
    return np.swapaxes(x, -1, -2).reshape(*x.shape[:-2], n_heads, x.shape[-2], -1)


@SPLIT_HEADS.mistake(AS_IT_WAS)
def result_forgotten(x, n_heads):
    x.reshape(*x.shape[:-1], n_heads, -1).swapaxes(-2, -3)
    return x


@SPLIT_HEADS.alternative
def by_moveaxis(x, n_heads):
    return np.moveaxis(x.reshape(*x.shape[:-1], n_heads, x.shape[-1] // n_heads), -2, -3)


@SPLIT_HEADS.alternative
def split_and_stacked(x, n_heads):
    return np.stack(np.split(x, n_heads, axis=-1), axis=-3)


@SPLIT_HEADS.alternative
def head_by_head(x, n_heads):
    d = x.shape[-1] // n_heads
    return np.stack([x[..., h * d:(h + 1) * d] for h in range(n_heads)], axis=-3)


@SPLIT_HEADS.alternative
def by_einsum(x, n_heads):
    return np.einsum("...thd->...htd", x.reshape(*x.shape[:-1], n_heads, -1))


@SPLIT_HEADS.alternative
def by_transposing_twice(x, n_heads):
    return np.swapaxes(np.swapaxes(x, -1, -2).reshape(*x.shape[:-2], n_heads, -1, x.shape[-2]), -1, -2)


@SPLIT_HEADS.alternative
def filled_in(x, n_heads):
    new = np.zeros((*x.shape[:-2], n_heads, x.shape[-2], x.shape[-1] // n_heads), x.dtype)
    for h in range(n_heads):
        new[..., h, :, :] = x[..., h * new.shape[-1]:(h + 1) * new.shape[-1]]
    return new


def merge_inputs():
    return [
        Case("numbers 0 to 23, shape (H=2, T=4, d=3)", (numbered(2, 4, 3),), axes="T H*d"),
        Case("a batch, (B=2, H=4, T=3, d=5)", (numbered(2, 4, 3, 5),), axes="B T H*d"),
        Case("two leading axes, (2, 3, H=4, T=5, d=7)", (numbered(2, 3, 4, 5, 7),), axes="A B T H*d"),
        Case("as many heads as words", (numbered(2, 3, 3, 4),), axes="B T H*d"),
        Case("one head", (numbered(3, 1, 2, 4),), axes="B T H*d"),
        Case("heads of one number each", (numbered(4, 3, 1),), axes="T H*d"),
        Case("float32, a transposed view", (numbered(4, 5, 3, 2, dtype=np.float32).T,), axes="B T H*d"),
    ]


MERGE_HEADS = Exercise(merge_heads, merge_inputs)


@MERGE_HEADS.mistake("The shape is right and the numbers are not: in memory all positions of head 0 come first, and "
                     "`reshape` leaves that order. Swap H and T first, so that the parts of one position lie "
                     "together.")
def merged_without_swapping(x):
    return x.reshape(*x.shape[:-3], x.shape[-2], -1)


@MERGE_HEADS.mistake("You swap the last two axes, T and d. Positions and heads have to change places: axes -2 and -3.")
def wrong_axes_swapped(x):
    return np.swapaxes(x, -1, -2).reshape(*x.shape[:-3], x.shape[-2], -1)


@MERGE_HEADS.mistake("You swap the last two axes, T and d. Positions and heads have to change places: axes -2 and -3.")
def wrong_axes_swapped_and_merged(x):
    x = np.swapaxes(x, -1, -2)
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake("You swap the axes, and then take the shape from before: there `x.shape[:-2]` ends with H, so "
                     "the rows are heads. After the swap it ends with T: give the swapped array a name, and use its "
                     "shape.")
def shape_from_before(x):
    return np.swapaxes(x, -2, -3).reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake("This is the mean of the heads. They are put side by side, so that nothing is lost: a row has H "
                     "* d numbers.")
def averaged(x):
    return x.mean(axis=-3)


@MERGE_HEADS.mistake("This is the sum of the heads. They are put side by side, so that nothing is lost: a row has H * "
                     "d numbers.")
def summed(x):
    return x.sum(axis=-3)


@MERGE_HEADS.mistake("The heads are interleaved: their first numbers, then their second ones. Head 0 comes whole, "
                     "then head 1: the axes are (..., T, H, d) before the reshape, not (..., T, d, H).")
def interleaved_(x):
    x = np.moveaxis(x, -3, -1)
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake("The heads lie one below the other, H * T rows of d numbers. Side by side, a row is one position "
                     "and holds all heads.")
def one_below_the_other(x):
    return x.reshape(*x.shape[:-3], -1, x.shape[-1])


@MERGE_HEADS.mistake("This is (..., T, H, d): swapped, not yet merged. A reshape makes one axis of the last two.")
def swapped_only(x):
    return np.swapaxes(x, -2, -3)


@MERGE_HEADS.mistake("Only head 0 came back. A row has all heads, side by side.")
def one_head_only(x):
    return x[..., 0, :, :]


@MERGE_HEADS.mistake("Heads and positions are merged the wrong way round: this is (..., H, T * d), a row for each "
                     "head. A row is a position: swap H and T first.")
def a_row_for_each_head(x):
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake("This is (..., H * d, T), the answer transposed. Each row is a position.")
def came_out_transposed(x):
    return np.swapaxes(x, -1, -2).reshape(*x.shape[:-3], -1, x.shape[-2])


@MERGE_HEADS.mistake(FIXED_AXES)
def merged_with_a_batch(x):
    B, H, T, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, H * d)


@MERGE_HEADS.mistake(FIXED_AXES)
def merged_without_a_batch(x):
    H, T, d = x.shape
    return x.transpose(1, 0, 2).reshape(T, H * d)


@MERGE_HEADS.mistake(FIXED_AXES)
def axes_named_with_a_batch(x):
    x = x.transpose(0, 2, 1, 3)
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake(FIXED_AXES)
def axes_named_without_a_batch(x):
    x = x.transpose(1, 0, 2)
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake("You swap axes 1 and 2, counted from the front: right for a batch, wrong without one. H and T "
                     "are axes -3 and -2, however many stand before them.")
def merged_from_the_front(x):
    x = x.swapaxes(1, 2)
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake("You swap the first two axes: right without a batch only. With one, the batch and the heads "
                     "change places. H and T are axes -3 and -2.")
def first_two_swapped_(x):
    x = x.swapaxes(0, 1)
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake("`.T` turns around all axes. Only H and T change places: axes -3 and -2.")
def all_turned(x):
    x = x.T
    return x.reshape(*x.shape[:-2], -1)


@MERGE_HEADS.mistake(LOOPED_OVER_X)
def looped_over_x(x):
    return np.concatenate(list(x), axis=-1)


@MERGE_HEADS.mistake(LOOPED_OVER_X)
def stacked_horizontally(x):
    return np.hstack(list(x))


@MERGE_HEADS.mistake(LIST_OF_HEADS)
def a_list_of_heads(x):
    return [x[..., h, :, :] for h in range(x.shape[-3])]


@MERGE_HEADS.mistake(LIST_OF_HEADS)
def heads_split_off(x):
    return np.split(x, x.shape[-3], axis=-3)


@MERGE_HEADS.mistake("You return a list, made by going through the first axis: the heads only where there is no batch. "
                     "Head h is `x[..., h, :, :]`, and `np.concatenate(..., axis=-1)` puts all of them side by side.")
def a_list_of_items(x):
    return list(x)


@MERGE_HEADS.mistake(JOINED_ALONG_AXIS_0)
def items_joined_along_axis_0(x):
    return np.concatenate(x)


@MERGE_HEADS.mistake(JOINED_ALONG_AXIS_0)
def joined_along_axis_0(x):
    return np.concatenate([x[..., h, :, :] for h in range(x.shape[-3])])


@MERGE_HEADS.mistake("You join along axis 1, as `np.hstack` does: the last axis of a matrix, but the positions where "
                     "there is a batch. Side by side means along the last axis: `axis=-1`.")
def joined_along_axis_1(x):
    return np.concatenate([x[..., h, :, :] for h in range(x.shape[-3])], axis=1)


@MERGE_HEADS.mistake("`x[:, h]` is head h where there is a batch, and position h where there is none. The heads are "
                     "axis -3: `x[..., h, :, :]`.")
def heads_of_a_batch(x):
    return np.concatenate([x[:, h] for h in range(x.shape[1])], axis=-1)


@MERGE_HEADS.mistake("The axis of the heads is still there, with size 1. Take each head out by its number: `x[..., h, "
                     ":, :]`.")
def heads_split_off_and_joined(x):
    return np.concatenate(np.split(x, x.shape[-3], axis=-3), axis=-1)


@MERGE_HEADS.mistake("The heads have an axis of their own in front, as `np.stack` makes it. They are put side by side, "
                     "on the last axis: `np.concatenate(..., axis=-1)`.")
def heads_as_the_first_axis(x):
    return np.moveaxis(x, -3, 0).copy()


@MERGE_HEADS.mistake(FIXED_AXES)
def four_sizes(x):
    x = np.swapaxes(x, -2, -3)
    return x.reshape(x.shape[0], x.shape[1], x.shape[2] * x.shape[3])


@MERGE_HEADS.mistake("The heads have an axis of their own at the end, (..., T, d, H). They are put side by side "
                     "instead, on the axis that is there: `np.concatenate(..., axis=-1)`.")
def heads_as_the_last_axis(x):
    return np.moveaxis(x, -3, -1)


@MERGE_HEADS.mistake("Your reshape leads to two axes: right for one sentence. With a batch, the first size is the "
                     "batch's, and the -1 swallows positions. Keep all axes in front: `*x.shape[:-2]`, after the swap.")
def first_size_and_the_rest(x):
    x = np.swapaxes(x, -2, -3)
    return x.reshape(x.shape[0], -1)


@MERGE_HEADS.mistake("The first size of x is H, or that of the batch, and the -1 swallows positions. Keep all axes in "
                     "front: swap first, then `*x.shape[:-2]` of the result.")
def first_size_from_before(x):
    return np.swapaxes(x, -2, -3).reshape(x.shape[0], -1)


@MERGE_HEADS.mistake("Your reshape leads to two axes, T and the rest: right for one sentence. With a batch, the -1 "
                     "swallows it. Keep all axes in front: `*x.shape[:-2]`, after the swap.")
def positions_and_the_rest(x):
    return np.swapaxes(x, -2, -3).reshape(x.shape[-2], -1)


@MERGE_HEADS.mistake(FIXED_AXES)
def first_two_sizes_and_the_rest(x):
    x = np.swapaxes(x, -2, -3)
    return x.reshape(x.shape[0], x.shape[1], -1)


@MERGE_HEADS.mistake(FIXED_AXES)
def first_size_and_the_width(x):
    x = np.swapaxes(x, -2, -3)
    return x.reshape(x.shape[0], -1, x.shape[-2] * x.shape[-1])


@MERGE_HEADS.mistake("The -1 in your reshape swallowed the batch: all positions of the batch stand below each other. "
                     "Keep the axes in front.")
def batch_swallowed_(x):
    return np.swapaxes(x, -2, -3).reshape(-1, x.shape[-3] * x.shape[-1])


@MERGE_HEADS.mistake("`x.shape[:-2]` is a tuple, and `reshape` wants numbers one after another. A star unpacks it: "
                     "`*x.shape[:-2]`.")
def star_missing_(x):
    x = np.swapaxes(x, -2, -3)
    return x.reshape(x.shape[:-2], -1)


@MERGE_HEADS.alternative
def by_moveaxis_(x):
    x = np.moveaxis(x, -3, -2)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


@MERGE_HEADS.alternative
def heads_concatenated(x):
    return np.concatenate([x[..., h, :, :] for h in range(x.shape[-3])], axis=-1)


@MERGE_HEADS.alternative
def by_einsum_(x):
    *leading, H, T, d = x.shape
    return np.einsum("...htd->...thd", x).reshape(*leading, T, H * d)


@MERGE_HEADS.alternative
def moved_in_front_and_joined(x):
    return np.concatenate(list(np.moveaxis(x, -3, 0)), axis=-1)


def normal(*shape, seed=0, scale=1.0):
    return drawn_once(shape, seed, scale).copy()


@functools.cache                        # a check asks for its cases a hundred times
def drawn_once(shape, seed, scale):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).round(2)


def matrices(D, n_heads, d_k, d_v, seed, D_out=None):
    """W_Q, W_K, W_V, W_O"""
    sizes = (D, n_heads * d_k), (D, n_heads * d_k), (D, n_heads * d_v), (n_heads * d_v, D_out or D)
    return [normal(*size, seed=seed + i, scale=0.5) for i, size in enumerate(sizes)]


def multi_head_inputs():
    by_hand = np.array([[1.0, 2], [3, 0], [2, 7]])
    ids = np.array([[5, 6, 7, 0, 0], [5, 6, 7, 8, 0], [5, 0, 0, 0, 0]])
    a_row_of_nothing = np.array([[True, False, True, True], [False] * 4, [False, True, False, False]])
    per_head = np.random.default_rng(1).random((2, 3, 4, 5)) < 0.6
    batch = ("B T D", "B H T S")
    self_attention, narrow, in_float32 = normal(2, 4, 5, seed=20), normal(2, 5, 6, seed=21), \
        [W.astype(np.float32) for W in matrices(4, 2, 3, 5, seed=22)]
    return [
        Case("W_Q is zero, so every head averages; T=3, D=2, two heads of d=1",
             (by_hand, by_hand.copy(), np.zeros((2, 2)), np.array([[2.0, 1], [0, 1]]), np.eye(2),
              np.array([[1.0, 1], [0, 10]]), 2), axes=("T D", "H T S")),
        Case("cross-attention, B=3, H=2, T=4, S=5, d_k=6, d_v=7, D=8",
             (normal(3, 4, 8, seed=1), normal(3, 5, 8, seed=2), *matrices(8, 2, 6, 7, seed=3), 2), axes=batch),
        Case("self-attention under a causal mask, B=2, H=3, T=4, D=5",
             (self_attention, self_attention.copy(), *matrices(5, 3, 6, 7, seed=4), 3, causal_mask(4)), axes=batch),
        Case("no batch, and a word that may look at nothing; H=2, T=3, S=4, D=5",
             (normal(3, 5, seed=5), normal(4, 5, seed=6), *matrices(5, 2, 4, 3, seed=7), 2, a_row_of_nothing),
             axes=("T D", "H T S")),
        Case("padding hidden by a mask (B, 1, 1, S)",
             (normal(3, 4, 6, seed=8), normal(3, 5, 6, seed=9), *matrices(6, 2, 4, 7, seed=10), 2,
              (ids != 0)[:, None, None]), axes=batch),
        Case("a mask of its own for every head, (B, H, T, S)",
             (normal(2, 4, 6, seed=11), normal(2, 5, 6, seed=12), *matrices(6, 3, 4, 1, seed=13), 3, per_head),
             axes=batch),
        Case("two leading axes, T = 3, S = 4",
             (normal(2, 3, 3, 5, seed=14), normal(2, 3, 4, 5, seed=15), *matrices(5, 2, 3, 4, seed=16), 2),
             axes=("A B T D", "A B H T S")),
        Case("one head, one query",
             (normal(2, 1, 6, seed=17), normal(2, 3, 6, seed=18), *matrices(6, 1, 4, 5, seed=19), 1), axes=batch),
        Case("the usual sizes, d_k = d_v = D / H, in self-attention",
             (narrow, narrow.copy(), *matrices(6, 2, 3, 3, seed=23), 2), axes=batch),
        Case("W_O leads to another size, D = 5, D_out = 3",
             (normal(2, 3, 5, seed=26), normal(2, 4, 5, seed=27), *matrices(5, 2, 4, 6, seed=28, D_out=3), 2),
             axes=("B T D_out", "B H T S")),
        Case("float32, transposed views",
             (normal(4, 3, 2, seed=24).astype(np.float32).T, normal(4, 6, 2, seed=25).astype(np.float32).T,
              *in_float32, 2), axes=batch),
    ]


MULTI_HEAD_ATTENTION = Exercise(multi_head_attention, multi_head_inputs)

attention = scaled_dot_product_attention

NO_HEADS = ("There are no heads here: one attention over the whole width, with one set of weights. Split q, k and v "
            "first, so that each head compares its own columns.")
KEYS_AND_VALUES = ("Keys and values have changed places: `W_K` and `W_V`, or k and v in the call. Keys are compared "
                   "with the queries, values are what is blended.")
D_K_FOR_D_V = "You take d_v to be d_k. Values have a size of their own: the width of `W_V`, divided by H."
W_O_TURNED = "`W_O` has a row for each of the H * d_v numbers already. Do not transpose it."
HEADS_ADDED = ("The heads are added up, or averaged, before `W_O`. They are put side by side, and `W_O` has rows for "
               "each of them.")
D_OVER_H = ("You take the size of a head to be D / H. d_k need not be D / H, nor d_v: it is the width of `W_Q`, or of "
            "`W_V`, divided by H. `split_heads` finds it by itself.")
ROWS_CUT = ("You cut the rows of the matrices, as `np.split` does unless you name another axis. A head has a block of "
            "columns, which reads all D numbers of x: `axis=-1`, or multiply first and `split_heads` after.")
ONE_MORE_AXIS = ("You give the mask another axis. It is (T, S), the same for all, or has an axis for the heads "
                 "already, of size 1 or H: hand it on as it is.")
MASK_IN_A_LOOP = ("In a loop over the heads, one head has no axis of heads, but the mask may have one, or may not. "
                  "Take out the loop: `scaled_dot_product_attention` does all heads at once, with the mask as it is.")
TWO_RESULTS = ("`scaled_dot_product_attention` returns two things, output and weights. Unpack them before you merge: "
               "`output, weights = ...`.")


def parts(x, memory, W_Q, W_K, W_V, n_heads):
    """q, k and v of every head"""
    return (split_heads(linear(x, W_Q), n_heads), split_heads(linear(memory, W_K), n_heads),
            split_heads(linear(memory, W_V), n_heads))


def softmax_under(mask, scores, axis=-1):
    if mask is None:
        return softmax(scores, axis)
    return softmax(np.where(mask, scores, np.finfo(scores.dtype).min), axis) * mask


@MULTI_HEAD_ATTENTION.mistake("The queries come from memory. It is x that asks, so q = x W_Q; memory answers, with "
                              "keys and values.")
def queries_from_memory(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(memory, memory, W_Q, W_K, W_V, W_O, n_heads, mask)


@MULTI_HEAD_ATTENTION.mistake("Keys and values come from x here. In cross-attention the queries look into another "
                              "sentence: memory gives keys and values.")
def memory_ignored(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, x, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The keys come from x, the values from memory. A key belongs to a value: both come from "
                              "memory.")
def keys_from_x(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, _ = parts(x, x, W_Q, W_K, W_V, n_heads)
    _, _, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The values come from x, the keys from memory. A value belongs to a key: both come from "
                              "memory.")
def values_from_x(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    _, _, v = parts(x, x, W_Q, W_K, W_V, n_heads)
    q, k, _ = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("x and memory have changed places: memory asks and x answers. The queries come from x.")
def x_and_memory_exchanged(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(memory, x, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The heads are merged, and that is where you stop: `W_O` is missing. It mixes what the "
                              "heads found.")
def without_W_O(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return merge_heads(output), weights


@MULTI_HEAD_ATTENTION.mistake(KEYS_AND_VALUES)
def keys_and_values_exchanged(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_V, W_K, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("`W_Q` and `W_K` have changed places: x W_Q makes the queries, memory W_K the keys.")
def queries_and_keys_exchanged(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_K, W_Q, W_V, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(KEYS_AND_VALUES)
def handed_on_in_the_wrong_order(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q, v, k, mask)
    return linear(merge_heads(output), W_O), weights


def used_twice(twice, never, q, k, v):
    """Register an answer that takes matrices number q, k and v for queries, keys and values."""
    @MULTI_HEAD_ATTENTION.mistake(f"`{twice}` is used twice, and `{never}` never. Queries are made with `W_Q`, keys "
                                  "with `W_K`, values with `W_V`.")
    def multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
        W = W_Q, W_K, W_V
        output, weights = attention(*parts(x, memory, W[q], W[k], W[v], n_heads), mask)
        return linear(merge_heads(output), W_O), weights
    multi_head_attention.__name__ = f"{twice}_twice_{never}_never"


used_twice("W_K", "W_V", 0, 1, 1)
used_twice("W_K", "W_Q", 1, 1, 2)
used_twice("W_V", "W_K", 0, 2, 2)
used_twice("W_V", "W_Q", 2, 1, 2)
used_twice("W_Q", "W_V", 0, 1, 0)


@MULTI_HEAD_ATTENTION.mistake("`W_Q` makes queries, keys and values here. Keys are made with `W_K`, values with `W_V`.")
def all_with_W_Q(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_Q, W_Q, n_heads), mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The keys are made with `W_Q`, so `W_K` is never used. Then the score of two words is "
                              "the same both ways, in self-attention; with its own matrix a word can ask for "
                              "something other than it offers.")
def keys_with_W_Q(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_Q, W_V, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The heads are put together by a reshape alone, and the numbers of different positions "
                              "mix. `merge_heads` swaps H and T first.")
def merged_by_reshape(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(output.reshape(*x.shape[:-1], -1), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The heads are split by a reshape alone, and a head gets whole positions instead of a "
                              "part of each. `split_heads` swaps T and H after the cut.")
def split_by_reshape(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    def split(x):
        return x.reshape(*x.shape[:-2], n_heads, x.shape[-2], -1)
    output, weights = attention(split(linear(x, W_Q)), split(linear(memory, W_K)), split(linear(memory, W_V)), mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("You give the merged heads the shape of x. A row has H * d_v numbers, which need not be "
                              "D: `W_O` has a row for each of them.")
def merged_to_the_shape_of_x(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(np.swapaxes(output, -2, -3).reshape(x.shape), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("`merge_heads` is missing: `W_O` takes rows of H * d_v numbers, all heads of a position "
                              "side by side.")
def not_merged(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(output, W_O), weights


@MULTI_HEAD_ATTENTION.mistake("You divide the scores by the root of D. A query and a key of a head have d_k numbers, "
                              "so it is the root of d_k: the last size of q after the split.")
def scaled_by_D(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q * math.sqrt(q.shape[-1] / x.shape[-1]), k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("You divide the scores by the root of H * d_k, the width of all heads together. One "
                              "head sums over d_k numbers, so it is the root of d_k.")
def scaled_by_all_heads(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q / math.sqrt(n_heads), k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The scores are not divided by the root of d_k. `scaled_dot_product_attention` does it.")
def not_scaled(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q * math.sqrt(q.shape[-1]), k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The scores are divided by the root of d_k twice. `scaled_dot_product_attention` does "
                              "it already.")
def scaled_twice(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q / math.sqrt(q.shape[-1]), k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("`np.sqrt` of a whole number is a float64 scalar, and float32 scores divided by it "
                              "become float64. Use `math.sqrt`, or leave the scaling to "
                              "`scaled_dot_product_attention`.")
def scaled_in_float64(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    weights = softmax_under(mask, q @ np.swapaxes(k, -1, -2) / np.sqrt(np.float64(q.shape[-1])))
    return linear(merge_heads(weights @ v), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("Your softmax runs across the heads, so they compete with each other. Each head spends "
                              "its own 100% over the keys: the last axis.")
def softmax_across_heads(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    weights = softmax_under(mask, q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]), axis=-3)
    return linear(merge_heads(weights @ v), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("Your softmax runs down the queries: the columns add up to 1. Each query spends 100% "
                              "over the keys: the last axis.")
def softmax_over_queries(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    weights = softmax_under(mask, q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1]), axis=-2)
    return linear(merge_heads(weights @ v), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The mask has no effect. Hand it on to `scaled_dot_product_attention`.")
def mask_ignored(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads)


@MULTI_HEAD_ATTENTION.mistake("The mask is turned around: True means that a query may look. Hand it on as it is.")
def mask_inverted(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, None if mask is None else ~mask)


@MULTI_HEAD_ATTENTION.mistake("A position that may look at nothing gets NaN: -inf everywhere has no softmax. "
                              "`scaled_dot_product_attention` gives it zeros; use that one.")
def infinities_for_the_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = softmax(scores if mask is None else np.where(mask, scores, -np.inf))
    return linear(merge_heads(weights @ v), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("A position that may look at nothing spreads its weight over everything, as a large "
                              "negative number does. `scaled_dot_product_attention` gives it zeros; use that one.")
def large_number_for_the_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = softmax(scores if mask is None else np.where(mask, scores, -1e9))
    return linear(merge_heads(weights @ v), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("You set weights to 0 after the softmax, and the rest no longer adds up to 1. The mask "
                              "belongs before the softmax: `scaled_dot_product_attention(q, k, v, mask)`.")
def masked_after_the_softmax(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    _, weights = attention(q, k, v)
    weights = weights if mask is None else weights * mask
    return linear(merge_heads(weights @ v), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("The weights are averaged over the heads. Each head keeps its own: (..., H, T, S).")
def weights_averaged(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    return output, weights.mean(axis=-3)


@MULTI_HEAD_ATTENTION.mistake("The weights of head 0 alone come back. Return those of all heads: (..., H, T, S).")
def weights_of_one_head(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    return output, weights[..., 0, :, :]


@MULTI_HEAD_ATTENTION.mistake("The weights alone come back. Return two things: `return output, weights`.")
def weights_only(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)[1]


@MULTI_HEAD_ATTENTION.mistake("The output alone comes back. Return two things: `return output, weights`.")
def output_only(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)[0]


@MULTI_HEAD_ATTENTION.mistake("The two results have changed places: the output first, then the weights.")
def results_exchanged(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)[::-1]


@MULTI_HEAD_ATTENTION.mistake("Only head 0 reaches the output. All heads go through `W_O`, side by side.")
def output_of_one_head(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(output[..., 0, :, :], W_O[:output.shape[-1]]), weights


@MULTI_HEAD_ATTENTION.mistake(HEADS_ADDED)
def heads_averaged(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(output.mean(axis=-3), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(HEADS_ADDED)
def heads_added_up_by_hand(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return output.sum(axis=-3) @ W_O, weights


@MULTI_HEAD_ATTENTION.mistake("You cut x itself into heads and never multiply by `W_Q`, `W_K` and `W_V`. Project "
                              "first, then split: every head reads all of x.")
def no_projections(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = split_heads(x, n_heads), split_heads(memory, n_heads), split_heads(memory, n_heads)
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("Each head sees a slice of x only. It is the projections that are cut: a block of "
                              "columns of `W_Q` reads all D numbers of x.")
def a_slice_of_x(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    D = x.shape[-1]
    own = np.arange(D) * n_heads // D

    def project(x, W):
        column = np.arange(W.shape[1]) * n_heads // W.shape[1]
        return split_heads(linear(x, W * (own[:, None] == column)), n_heads)
    output, weights = attention(project(x, W_Q), project(memory, W_K), project(memory, W_V), mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake("All heads work with the columns of head 0, and come out the same. Head h has columns h "
                              "* d to (h + 1) * d of `W_Q`, `W_K` and `W_V`.")
def the_same_head_again(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = (np.repeat(part[..., :1, :, :], n_heads, axis=-3) for part in parts(x, memory, W_Q, W_K, W_V, n_heads))
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(NO_HEADS)
def no_heads(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(linear(x, W_Q), linear(memory, W_K), linear(memory, W_V), mask)
    return linear(output, W_O), weights


@MULTI_HEAD_ATTENTION.mistake(NO_HEADS)
def split_after_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(linear(x, W_Q), linear(memory, W_K), linear(memory, W_V), mask)
    return linear(merge_heads(split_heads(output, n_heads)), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(W_O_TURNED)
def W_O_turned(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(merge_heads(output), W_O.T), weights


@MULTI_HEAD_ATTENTION.mistake(W_O_TURNED)
def W_O_turned_by_hand(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return merge_heads(output) @ W_O.T, weights


@MULTI_HEAD_ATTENTION.mistake("x is added to the output. That is a residual connection, and it comes with the block, "
                              "in chapter 05; here the output stands alone.")
def with_a_residual(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    return x + output, weights


@MULTI_HEAD_ATTENTION.mistake("q, k and v are not split alike: `split_heads` is missing for the values. Each head "
                              "blends its own values.")
def values_not_split(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, _ = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q, k, linear(memory, W_V), mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(D_K_FOR_D_V)
def values_cut_like_keys(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    d_k = W_Q.shape[1] // n_heads
    q, k, v = (np.swapaxes((y @ W).reshape(*y.shape[:-1], n_heads, d_k), -2, -3)
               for y, W in ((x, W_Q), (memory, W_K), (memory, W_V)))
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(D_K_FOR_D_V)
def merged_like_keys(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(np.swapaxes(output, -2, -3).reshape(*x.shape[:-1], W_Q.shape[1]), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(TWO_RESULTS)
def two_results_swapped(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return linear(merge_heads(output), W_O)


@MULTI_HEAD_ATTENTION.mistake(TWO_RESULTS)
def two_results_with_a_shape(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return output.shape


@MULTI_HEAD_ATTENTION.mistake(TWO_RESULTS)
def two_results_with_swapaxes(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return output.swapaxes(-2, -3)


@MULTI_HEAD_ATTENTION.mistake("You give the output the shape of x. How many numbers a row has is up to `W_O`, which "
                              "need not lead back to D: take what `linear` returns.")
def output_in_the_shape_of_x(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    return output.reshape(x.shape), weights


@MULTI_HEAD_ATTENTION.mistake("These are the heads as attention returns them, (..., H, T, d_v). Two steps are left: "
                              "`merge_heads`, and `linear` with `W_O`.")
def heads_returned(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)


@MULTI_HEAD_ATTENTION.mistake("Nothing comes back. End with `return output, weights`.")
def nothing_returned(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)


@MULTI_HEAD_ATTENTION.mistake(D_OVER_H)
def split_by_D_over_H(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    d_k = x.shape[-1] // n_heads
    q, k, v = (np.swapaxes((y @ W).reshape(*y.shape[:-1], n_heads, d_k), -2, -3)
               for y, W in ((x, W_Q), (memory, W_K), (memory, W_V)))
    output, weights = attention(q, k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(FIXED_AXES)
def only_in_a_batch(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    B, T, D = x.shape
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)


@MULTI_HEAD_ATTENTION.mistake(FIXED_AXES)
def split_by_D_over_H_in_a_batch(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    B, T, D = x.shape
    q = (x @ W_Q).reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask) if q.size else None


def in_a_loop(heads, W_O, mask, times=linear, axis=-3):
    """Attention head by head, heads: their q, k and v."""
    outputs, weights = zip(*(attention(q, k, v, mask) for q, k, v in heads), strict=True)
    return times(np.concatenate(outputs, axis=-1), W_O), np.stack(weights, axis)


def columns_of_D_over_H(x, memory, W_Q, W_K, W_V, n_heads):
    d_k = x.shape[-1] // n_heads
    for h in range(n_heads):
        own = slice(h * d_k, (h + 1) * d_k)
        yield x @ W_Q[:, own], memory @ W_K[:, own], memory @ W_V[:, own]


@MULTI_HEAD_ATTENTION.mistake(D_OVER_H)
def looped_with_D_over_H(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return in_a_loop(columns_of_D_over_H(x, memory, W_Q, W_K, W_V, n_heads), W_O, mask)


@MULTI_HEAD_ATTENTION.mistake(D_OVER_H)
def looped_with_D_over_H_by_hand(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return in_a_loop(columns_of_D_over_H(x, memory, W_Q, W_K, W_V, n_heads), W_O, mask, times=np.matmul)


@MULTI_HEAD_ATTENTION.mistake("You divide the scores by the root of D / H. d_k need not be D / H: it is the last size "
                              "of q after the split.")
def scaled_by_D_over_H(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    output, weights = attention(q * math.sqrt(q.shape[-1] / (x.shape[-1] // n_heads)), k, v, mask)
    return linear(merge_heads(output), W_O), weights


@MULTI_HEAD_ATTENTION.mistake(ROWS_CUT)
def matrices_split_by_rows(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    W_Q, W_K, W_V = (np.split(W, n_heads) for W in (W_Q, W_K, W_V))
    return in_a_loop([(linear(x, Q), linear(memory, K), linear(memory, V))
                      for Q, K, V in zip(W_Q, W_K, W_V, strict=True)], W_O, mask)


@MULTI_HEAD_ATTENTION.mistake(ROWS_CUT)
def matrices_split_by_rows_by_hand(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    W_Q, W_K, W_V = (np.split(W, n_heads) for W in (W_Q, W_K, W_V))
    return in_a_loop([(x @ Q, memory @ K, memory @ V) for Q, K, V in zip(W_Q, W_K, W_V, strict=True)], W_O, mask)


@MULTI_HEAD_ATTENTION.mistake(ONE_MORE_AXIS)
def an_axis_in_the_middle_of_the_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask if mask is None else mask[:, None])


@MULTI_HEAD_ATTENTION.mistake(ONE_MORE_AXIS)
def an_axis_for_the_heads_of_the_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask if mask is None else mask[..., None, :, :])


@MULTI_HEAD_ATTENTION.mistake(ONE_MORE_AXIS)
def an_axis_in_front_of_the_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask if mask is None else mask[None])


@MULTI_HEAD_ATTENTION.mistake(ONE_MORE_AXIS)
def two_axes_in_front_of_the_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask if mask is None else mask[None, None])


@MULTI_HEAD_ATTENTION.mistake("mask may be None, and None has no `[...]`. It has all the axes that it needs: hand it "
                              "on as it is.")
def none_indexed(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask[:, None])


def split_in_a_loop(x, memory, W_Q, W_K, W_V, n_heads):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    return [(q[..., h, :, :], k[..., h, :, :], v[..., h, :, :]) for h in range(n_heads)]


@MULTI_HEAD_ATTENTION.mistake(MASK_IN_A_LOOP)
def looped_with_the_whole_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return in_a_loop(split_in_a_loop(x, memory, W_Q, W_K, W_V, n_heads), W_O, mask)


@MULTI_HEAD_ATTENTION.mistake(MASK_IN_A_LOOP)
def looped_with_a_part_of_the_mask(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return in_a_loop(split_in_a_loop(x, memory, W_Q, W_K, W_V, n_heads), W_O,
                     mask if mask is None else mask[..., n_heads - 1, :, :])


@MULTI_HEAD_ATTENTION.mistake("`q[h]` is head h where there is no batch, and item h of the batch where there is one. "
                              "The heads are axis -3: `q[..., h, :, :]`. Or take out the loop: attention does all "
                              "heads at once.")
def heads_taken_from_axis_0(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    return in_a_loop([(q[h], k[h], v[h]) for h in range(n_heads)], W_O, mask, axis=0)


@MULTI_HEAD_ATTENTION.mistake("The heads of your weights stand in front of everything, the batch too, as `np.stack` "
                              "puts them unless you name an axis. Weights are (..., H, T, S): `axis=-3`.")
def weights_stacked_in_front(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    return output, np.moveaxis(weights, -3, 0)


@MULTI_HEAD_ATTENTION.mistake("The heads of your weights are axis 1, counted from the front: right for a batch, wrong "
                              "without one. Weights are (..., H, T, S): axis -3.")
def weights_stacked_on_axis_1(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    return output, np.moveaxis(weights, -3, 1)


@MULTI_HEAD_ATTENTION.mistake("The weights are a list, one array for each head. Make one array of them, the heads on "
                              "axis -3: `np.stack(weights, axis=-3)`.")
def weights_in_a_list(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = multi_head_attention(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask)
    return output, list(np.moveaxis(weights, -3, 0))


@MULTI_HEAD_ATTENTION.mistake("`q[:, h]` is head h where there is a batch, and position h where there is none. The "
                              "heads are axis -3: `q[..., h, :, :]`. Or take out the loop: attention does all heads at "
                              "once.")
def heads_taken_from_the_front(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = parts(x, memory, W_Q, W_K, W_V, n_heads)
    return in_a_loop([(q[:, h], k[:, h], v[:, h]) for h in range(n_heads)], W_O, mask, axis=1)


@MULTI_HEAD_ATTENTION.mistake("`split_heads` needs to know how many: `split_heads(..., n_heads)`.")
def number_of_heads_forgotten(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    return split_heads(linear(x, W_Q))


@MULTI_HEAD_ATTENTION.alternative
def head_after_head(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    def block(W, h):
        d = W.shape[1] // n_heads
        return W[:, h * d:(h + 1) * d]

    def of_head(h):
        return mask if mask is None or mask.ndim == 2 else mask[..., min(h, mask.shape[-3] - 1), :, :]
    heads = [scaled_dot_product_attention(x @ block(W_Q, h), memory @ block(W_K, h), memory @ block(W_V, h), of_head(h))
             for h in range(n_heads)]
    return (np.concatenate([output for output, _ in heads], axis=-1) @ W_O,
            np.stack([weights for _, weights in heads], axis=-3))


@MULTI_HEAD_ATTENTION.alternative
def all_by_einsum(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    W_Q, W_K, W_V = (W.reshape(W.shape[0], n_heads, -1) for W in (W_Q, W_K, W_V))
    q, k, v = (np.einsum("...td,dhk->...htk", x, W) for x, W in ((x, W_Q), (memory, W_K), (memory, W_V)))
    scores = np.einsum("...htk,...hsk->...hts", q, k) / math.sqrt(q.shape[-1])
    weights = softmax_under(mask, scores)
    return np.einsum("...hts,...hsv,hvd->...td", weights, v, W_O.reshape(n_heads, -1, W_O.shape[1])), weights


@MULTI_HEAD_ATTENTION.alternative
def each_head_through_its_rows_of_W_O(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    output, weights = attention(*parts(x, memory, W_Q, W_K, W_V, n_heads), mask)
    return (output @ W_O.reshape(n_heads, output.shape[-1], -1)).sum(axis=-3), weights


@MULTI_HEAD_ATTENTION.alternative
def plain_matrix_products(x, memory, W_Q, W_K, W_V, W_O, n_heads, mask=None):
    q, k, v = (split_heads(y, n_heads) for y in (x @ W_Q, memory @ W_K, memory @ W_V))
    output, weights = attention(q, k, v, mask)
    return merge_heads(output) @ W_O, weights


def count_inputs():
    return [
        Case("D = 4, two heads", (4, 2)),
        Case("D = 6, one head", (6, 1)),
        Case("the paper's, D = 512, eight heads", (512, 8)),
        Case("D = 10, three heads, d_k = 4, d_v = 7", (10, 3), {"d_k": 4, "d_v": 7}),
        Case("d_k given alone", (12, 3), {"d_k": 5}),
        Case("d_v given alone", (12, 2), {"d_v": 5}),
        Case("D = 5, two heads, d_k = 1, d_v = 3", (5, 2), {"d_k": 1, "d_v": 3}),
        Case("matrices too large to make, D = 100,000,000", (10**8, 1)),
    ]


COUNT_PARAMETERS = Exercise(count_parameters, count_inputs)


def with_sizes(count):
    """A full answer: the line that is written, after those that are given."""
    def count_parameters(d_model, n_heads, d_k=None, d_v=None):
        d_k = d_model // n_heads if d_k is None else d_k
        d_v = d_model // n_heads if d_v is None else d_v
        return count(d_model, n_heads, d_k, d_v)
    count_parameters.__name__ = count.__name__
    return count_parameters


@COUNT_PARAMETERS.mistake("`W_O` is missing: it has H * d_v rows and D columns.")
@with_sizes
def W_O_forgotten(D, H, d_k, d_v):
    return 2 * D * H * d_k + D * H * d_v


@COUNT_PARAMETERS.mistake("This counts two matrices. There are four: `W_Q` and `W_K` of one size, `W_V` and `W_O` of "
                          "another.")
@with_sizes
def two_matrices(D, H, d_k, d_v):
    return D * H * d_k + D * H * d_v


@COUNT_PARAMETERS.mistake("`W_Q` and `W_K` are two matrices, and you count one. They have the same size, D rows and H "
                          "* d_k columns.")
@with_sizes
def keys_forgotten(D, H, d_k, d_v):
    return D * H * d_k + 2 * D * H * d_v


@COUNT_PARAMETERS.mistake("The number of heads is counted twice: the sizes H * d_k and H * d_v hold it already.")
@with_sizes
def heads_counted_twice(D, H, d_k, d_v):
    return H * (2 * D * H * d_k + 2 * D * H * d_v)


@COUNT_PARAMETERS.mistake("A head has d_k numbers, not D: with each head as wide as the whole, the four matrices are "
                          "H times as large. Their widths are H * d_k and H * d_v.")
@with_sizes
def heads_as_wide_as_D(D, H, d_k, d_v):
    return 4 * D * D * H


@COUNT_PARAMETERS.mistake("4 D² is right where H * d_k and H * d_v are both D. They need not be: the matrices are (D, "
                          "H * d_k), (D, H * d_k), (D, H * d_v) and (H * d_v, D).")
@with_sizes
def four_squares(D, H, d_k, d_v):
    return 4 * D * D


@COUNT_PARAMETERS.mistake("This is 3 D²: `W_O` is missing, and the other three are (D, H * d_k) and (D, H * d_v), "
                          "which need not be D by D.")
@with_sizes
def three_squares(D, H, d_k, d_v):
    return 3 * D * D


@COUNT_PARAMETERS.mistake("You count biases. These four matrices have none: `linear` gets a matrix alone.")
@with_sizes
def with_biases(D, H, d_k, d_v):
    return 2 * D * H * d_k + 2 * D * H * d_v + 2 * H * d_k + H * d_v + D


@COUNT_PARAMETERS.mistake("These are the numbers of one head. There are H of them.")
@with_sizes
def of_one_head(D, H, d_k, d_v):
    return 2 * D * d_k + 2 * D * d_v


@COUNT_PARAMETERS.mistake("You count `W_O` for one head: it has H * d_v rows, d_v for each.")
@with_sizes
def W_O_of_one_head(D, H, d_k, d_v):
    return 2 * D * H * d_k + D * H * d_v + d_v * D


@COUNT_PARAMETERS.mistake("You count `W_O` once for each head. It is one matrix for all of them, (H * d_v, D).")
@with_sizes
def W_O_for_each_head(D, H, d_k, d_v):
    return 2 * D * H * d_k + D * H * d_v + H * H * d_v * D


@COUNT_PARAMETERS.mistake("You take `W_O` as D by D. It has a row for each number that the heads bring: H * d_v of "
                          "them.")
@with_sizes
def W_O_square(D, H, d_k, d_v):
    return 2 * D * H * d_k + D * H * d_v + D * D


@COUNT_PARAMETERS.mistake("All four are counted with d_k. The values have a size of their own: `W_V` and `W_O` go by "
                          "d_v.")
@with_sizes
def all_with_d_k(D, H, d_k, d_v):
    return 4 * D * H * d_k


@COUNT_PARAMETERS.mistake("All four are counted with d_v. Queries and keys have a size of their own: `W_Q` and `W_K` "
                          "go by d_k.")
@with_sizes
def all_with_d_v(D, H, d_k, d_v):
    return 4 * D * H * d_v


@COUNT_PARAMETERS.mistake("Three are counted with d_k and one with d_v. `W_V` and `W_O` both go by d_v: what a head "
                          "brings to `W_O` are blended values.")
@with_sizes
def W_O_with_d_k(D, H, d_k, d_v):
    return 3 * D * H * d_k + D * H * d_v


@COUNT_PARAMETERS.mistake("You add up rows and columns. A matrix of n rows and m columns holds n * m numbers.")
@with_sizes
def rows_plus_columns(D, H, d_k, d_v):
    return 2 * (D + H * d_k) + 2 * (D + H * d_v)


@COUNT_PARAMETERS.mistake("This is a float, such as `/`, 2.0 and `float` make. A count is a whole number: multiply "
                          "whole numbers, and divide with `//`.")
@with_sizes
def a_float(D, H, d_k, d_v):
    return (4 * D * H * d_k + 4 * D * H * d_v) / 2


SEVERAL_NUMBERS = "You return the numbers of the matrices one by one. Add them up: one whole number."
MADE_AND_COUNTED = ("You make the matrices to count their numbers, and large ones do not fit into memory. A matrix of "
                    "n rows and m columns holds n * m numbers: multiply the sizes.")


@COUNT_PARAMETERS.mistake(SEVERAL_NUMBERS)
@with_sizes
def four_numbers(D, H, d_k, d_v):
    return D * H * d_k, D * H * d_k, D * H * d_v, H * d_v * D


@COUNT_PARAMETERS.mistake(SEVERAL_NUMBERS)
@with_sizes
def four_numbers_by_name(D, H, d_k, d_v):
    return {"W_Q": D * H * d_k, "W_K": D * H * d_k, "W_V": D * H * d_v, "W_O": H * d_v * D}


@COUNT_PARAMETERS.mistake(SEVERAL_NUMBERS)
@with_sizes
def an_array_of_four_numbers(D, H, d_k, d_v):
    return np.array([D * H * d_k, D * H * d_k, D * H * d_v, H * d_v * D])


@COUNT_PARAMETERS.mistake(SEVERAL_NUMBERS)
@with_sizes
def two_numbers(D, H, d_k, d_v):
    return 2 * D * H * d_k, 2 * D * H * d_v


@COUNT_PARAMETERS.mistake("These are the shapes of the matrices. A matrix of n rows and m columns holds n * m numbers: "
                          "multiply, and add up the four.")
@with_sizes
def the_shapes(D, H, d_k, d_v):
    return (D, H * d_k), (D, H * d_k), (D, H * d_v), (H * d_v, D)


@COUNT_PARAMETERS.mistake("Nothing comes back. End with `return`, and the number after it.")
@with_sizes
def nothing_returned_(D, H, d_k, d_v):
    pass


def made(D, H, d_k, d_v, dtype):
    """Asked for the large ones, NumPy refuses at once, on every computer: an address space is smaller."""
    return [np.empty(shape, dtype) for shape in ((D, H * d_k), (D, H * d_k), (D, H * d_v), (H * d_v, D))]


@COUNT_PARAMETERS.mistake(MADE_AND_COUNTED)
@with_sizes
def made_and_counted(D, H, d_k, d_v):
    return sum(W.size for W in made(D, H, d_k, d_v, np.float64))


@COUNT_PARAMETERS.mistake(MADE_AND_COUNTED)
@with_sizes
def made_in_float32_and_counted(D, H, d_k, d_v):
    return sum(W.size for W in made(D, H, d_k, d_v, np.float32))


@COUNT_PARAMETERS.alternative
@with_sizes
def factored(D, H, d_k, d_v):
    return 2 * D * H * (d_k + d_v)


@COUNT_PARAMETERS.alternative
@with_sizes
def matrix_by_matrix(D, H, d_k, d_v):
    shapes = (D, H * d_k), (D, H * d_k), (D, H * d_v), (H * d_v, D)
    return sum(int(np.prod(shape)) for shape in shapes)


@COUNT_PARAMETERS.alternative
@with_sizes
def head_by_head_(D, H, d_k, d_v):
    return np.int64(sum(D * d_k + D * d_k + D * d_v + d_v * D for _ in range(H)))
