"""The exercises of chapter 00, welcome."""
import numpy as np

from ..answers.chapter_00 import add_to_each_row, batch_matmul, row_sums
from ..exercise import Case, Exercise


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).round(2)        # readable where a card shows them


def row_sums_inputs():
    return [
        Case("a matrix of shape (T=3, D=4)", (np.array([[1.5, 0, 2, 1], [3, 1, 0, 2], [0, 5, 1.5, 1]]),), axes="T"),
        Case("as many rows as columns", (normal(3, 3),), axes="T"),
        Case("a stack of shape (B=3, T=2, D=4)", (normal(3, 2, 4),), axes="B T"),
        Case("a transposed view", (normal(5, 3).T,), axes="T"),
    ]


ROW_SUMS = Exercise(row_sums, row_sums_inputs)


@ROW_SUMS.mistake("You summed over the words: axis 0 went away, and one sum for each column is left. The axis that "
                  "you name is the one that disappears.")
def over_axis_0(x):
    return x.sum(axis=0)


@ROW_SUMS.mistake("In a matrix the numbers of a row lie along axis 1. In a stack (B, T, D) they do not: axis 1 is T "
                  "there. Count from the end.")
def over_axis_1(x):
    return x.sum(axis=1)


@ROW_SUMS.mistake("This is the sum of everything. Name the axis to sum over, and the others stay.")
def over_everything(x):
    return x.sum()


@ROW_SUMS.mistake("`keepdims=True` leaves the axis in place with size 1. Here it has to go: one number for each row, "
                  "shape (T,).")
def with_keepdims(x):
    return x.sum(axis=-1, keepdims=True)


@ROW_SUMS.mistake("This is the mean of each row. The sum is asked for.")
def mean(x):
    return x.mean(axis=-1)


@ROW_SUMS.mistake("You summed over axis -2, the words. The numbers of a row lie along axis -1.")
def over_axis_minus_2(x):
    return x.sum(axis=-2)


@ROW_SUMS.mistake("These are running sums, in the shape of x. Only the last one of each row is asked for.")
def running(x):
    return np.cumsum(x, axis=-1)


@ROW_SUMS.mistake("`for row in x` gives the rows of a matrix. In a stack it gives whole matrices, and you summed "
                  "those. Name the axis instead of looping.")
def row_by_row(x):
    return np.array([row.sum() for row in x])


@ROW_SUMS.mistake("Axes are counted from 0, so a matrix has no axis 2. Counted from the end the last axis is -1, for "
                  "a matrix and for a stack.")
def over_axis_2(x):
    return x.sum(axis=2)


@ROW_SUMS.mistake("Your running total is never set back to 0: each row's sum contains the rows before it.")
def total_not_reset(x):
    return np.cumsum(x.sum(axis=-1), axis=-1)


@ROW_SUMS.alternative
def times_ones(x):
    return x @ np.ones(x.shape[-1])


@ROW_SUMS.alternative
def by_einsum(x):
    return np.einsum("...d->...", x)


@ROW_SUMS.alternative
def column_by_column(x):
    total = x[..., 0].copy()
    for d in range(1, x.shape[-1]):
        total += x[..., d]
    return total


def add_inputs():
    return [
        Case("a matrix of shape (T=3, D=4)",
             (np.array([[1.0, 0, 2, 1], [3, 1, 0, 2], [0, 5, 1, 1]]), np.array([100.0, 200, 300])), axes="T D"),
        Case("as many rows as columns", (normal(3, 3, seed=1), normal(3, seed=2)), axes="T D"),
        Case("a stack of shape (B=2, T=3, D=4)", (normal(2, 3, 4, seed=3), normal(2, 3, seed=4)), axes="B T D"),
        Case("as many items as rows", (normal(3, 3, 4, seed=5), normal(3, 3, seed=6)), axes="B T D"),
        Case("transposed views", (normal(5, 2, seed=7).T, normal(4, seed=8)[::2]), axes="T D"),
    ]


ADD_TO_EACH_ROW = Exercise(add_to_each_row, add_inputs)


@ADD_TO_EACH_ROW.mistake("(T, D) and (T,) are aligned at the right, so T meets D. Give `b` a last axis of size 1: "
                         "then it has one number for each row, stretched along it.")
def no_new_axis(x, b):
    return x + b


@ADD_TO_EACH_ROW.mistake("The new axis stands in front: (1, T) still has its T under the D of x. Put the axis of size "
                         "1 last.")
def new_axis_in_front(x, b):
    return x + b[None, :]


@ADD_TO_EACH_ROW.mistake("`b[:, None]` puts the new axis second. For a stack, (B, T) becomes (B, 1, T), and T meets D "
                         "again. `b[..., None]` puts it last, however many there are.")
def new_axis_second(x, b):
    return x + b[:, None]


@ADD_TO_EACH_ROW.mistake("`reshape(-1, 1)` makes one long column of all of b, and a stack loses its items. Add a last "
                         "axis instead: `b[..., None]`.")
def one_long_column(x, b):
    return x + b.reshape(-1, 1)


@ADD_TO_EACH_ROW.mistake("`.T` turns around all axes. That is right for a matrix and wrong for a stack. Give `b` a "
                         "new last axis instead.")
def by_transposing(x, b):
    return (x.T + b).T


@ADD_TO_EACH_ROW.mistake("`b[:, :, None]` is right for a stack, where b has two axes. For a matrix it has one. "
                         "`b[..., None]` fits both.")
def new_axis_third(x, b):
    return x + b[:, :, None]


@ADD_TO_EACH_ROW.mistake("Your loop runs along the first axis. That is the rows of a matrix, but in a stack it is the "
                         "batch. `b[..., None]` needs no loop.")
def loop_over_the_first_axis(x, b):
    new = x.copy()
    for t in range(len(b)):
        new[t] += b[t]
    return new


@ADD_TO_EACH_ROW.mistake("You subtracted. Each row's number is to be added.")
def subtracted(x, b):
    return x - b[..., None]


@ADD_TO_EACH_ROW.mistake("Two new axes are one too many: (T, 1, 1) next to (T, D) makes (T, T, D). One new axis, at "
                         "the end.")
def two_new_axes(x, b):
    return x + b[..., None, None]


@ADD_TO_EACH_ROW.mistake("You assign into `x`, which is the caller's array, and return nothing. Work on `x.copy()`, "
                         "or make a new array with `+`; then `return` it.")
def assigned_into_x(x, b):
    for t in np.ndindex(b.shape):
        x[t] = x[t] + b[t]


@ADD_TO_EACH_ROW.mistake("`x += ...` and `x[0] = ...` write into the caller's array. Make a new one, `x + ...`, or "
                         "work on `x.copy()`.")
def in_place(x, b):
    x += b[..., None]
    return x


@ADD_TO_EACH_ROW.mistake("You multiplied. Each row's number is to be added.")
def multiplied(x, b):
    return x * b[..., None]


@ADD_TO_EACH_ROW.mistake("You added the sum of b to everything. Each row has a number of its own.")
def sum_of_b(x, b):
    return x + b.sum()


@ADD_TO_EACH_ROW.mistake("x comes back as it was. `x[i] + b[i]` makes a new row and forgets it, unless you store it "
                         "in the array that you return.")
def sum_forgotten(x, b):
    for i in range(len(b)):
        x[i] + b[i][..., None]
    return x


@ADD_TO_EACH_ROW.mistake("`b[..., 0]` takes the first number of b for all rows. `b[..., None]` makes a new axis.")
def first_number_only(x, b):
    return x + b[..., 0]


@ADD_TO_EACH_ROW.alternative
def by_expand_dims(x, b):
    return x + np.expand_dims(b, -1)


@ADD_TO_EACH_ROW.alternative
def by_reshape(x, b):
    return b.reshape(*b.shape, 1) + x


@ADD_TO_EACH_ROW.alternative
def by_swapping_axes(x, b):
    return np.swapaxes(np.swapaxes(x, -1, -2) + b[..., None, :], -1, -2)


@ADD_TO_EACH_ROW.alternative
def by_a_loop(x, b):
    new = x.copy()
    for row in np.ndindex(b.shape):
        new[row] += b[row]
    return new


def matmul_inputs():
    return [
        Case("small whole numbers", (np.array([[[1.0, 2]], [[3, 0]]]),
                                     np.array([[[5.0, 0, 1], [1, 3, 2]], [[2, 1, 1], [0, 4, 1]]])), axes="B T S"),
        Case("stacks (B=2, T=3, D=4) and (B=2, D=4, S=5)", (normal(2, 3, 4, seed=9), normal(2, 4, 5, seed=10)),
             axes="B T S"),
        Case("all sizes equal", (normal(3, 3, 3, seed=11), normal(3, 3, 3, seed=12)), axes="B T S"),
        Case("a batch of one", (normal(1, 3, 4, seed=13), normal(1, 4, 2, seed=14)), axes="B T S"),
        Case("a transposed view", (normal(2, 3, 4, seed=15), normal(2, 5, 4, seed=16).swapaxes(1, 2)), axes="B T S"),
    ]


BATCH_MATMUL = Exercise(batch_matmul, matmul_inputs)


@BATCH_MATMUL.mistake("Every item of the first stack met every item of the second, sentences with strangers: `np.dot` "
                      "and `np.tensordot` do that. `@` pairs item i with item i.")
def by_dot(a, b):
    return np.dot(a, b)


@BATCH_MATMUL.mistake("You summed over the batch as well: the products of all items were added together. Keep the "
                      "axis of the batch in the result.")
def summed_over_the_batch(a, b):
    return np.einsum("btd,bds->ts", a, b)


@BATCH_MATMUL.mistake("`*` multiplies number by number. A matrix product multiplies rows by columns: `@`.")
def number_by_number(a, b):
    return a * b


@BATCH_MATMUL.mistake("Only item 0 was multiplied. The result needs one product for each item.")
def first_item_only(a, b):
    return a[0] @ b[0]


@BATCH_MATMUL.mistake("You return a list of products. Make one array of them: `np.stack`.")
def a_list(a, b):
    return [x @ y for x, y in zip(a, b, strict=True)]


@BATCH_MATMUL.mistake("`b` has the shape (B, D, S) already, with D where `@` wants it. Do not swap its axes.")
def swapped(a, b):
    return a @ b.swapaxes(-1, -2)


@BATCH_MATMUL.mistake("Each product came out transposed: rows of `a` belong to the rows of the product, so T comes "
                      "before S.")
def transposed(a, b):
    return (a @ b).swapaxes(-1, -2)


@BATCH_MATMUL.mistake("Every item of `a` was multiplied with item 0 of `b`. Item i belongs to item i.")
def always_the_first_matrix(a, b):
    return a @ b[0]


@BATCH_MATMUL.mistake("`np.concatenate` puts the products one below the other in one tall matrix. `np.stack` makes a "
                      "new axis for the batch.")
def concatenated(a, b):
    return np.concatenate([x @ y for x, y in zip(a, b, strict=True)])


@BATCH_MATMUL.mistake("An axis of size 1 was removed. A batch of one, or a text of one word, keeps its axis: leave "
                      "`squeeze` away.")
def squeezed(a, b):
    return np.squeeze(a @ b)


@BATCH_MATMUL.mistake("The axis of the batch came out second. `np.stack` puts it first by itself: leave `axis=1` "
                      "away.")
def stacked_second(a, b):
    return np.stack([x @ y for x, y in zip(a, b, strict=True)], axis=1)


@BATCH_MATMUL.mistake("`.T` turns around all three axes, the batch too. `b` needs no transposing: it has the shape "
                      "(B, D, S) already.")
def all_axes_turned(a, b):
    return a @ b.T


@BATCH_MATMUL.mistake("A matrix product depends on the order: `a` comes first.")
def other_order(a, b):
    return b @ a


@BATCH_MATMUL.mistake("Each item of `a` was multiplied with all items of `b`, and the products were added. Use the "
                      "same letter for the batch in both terms.")
def summed_over_the_other_batch(a, b):
    return np.einsum("btd,cds->bts", a, b)


@BATCH_MATMUL.mistake("`range` needs a number. The number of items is `len(a)`.")
def range_of_an_array(a, b):
    return np.stack([a[i] @ b[i] for i in range(a)])


@BATCH_MATMUL.mistake("`for i in len(a)`: a number cannot be looped over. `range(len(a))` counts up to it.")
def loop_over_a_number(a, b):
    return np.stack([a[i] @ b[i] for i in len(a)])


@BATCH_MATMUL.mistake("Two loops, one inside the other, pair every item with every item. Go through both stacks "
                      "together: `zip(a, b)`.")
def nested_loops(a, b):
    return np.stack([x @ y for x in a for y in b])


@BATCH_MATMUL.mistake("Only the first product came back. Is `return` inside the loop? It must come after it.")
def returned_inside_the_loop(a, b):
    return np.stack([a[0] @ b[0]])


@BATCH_MATMUL.alternative
def with_a_loop(a, b):
    return np.stack([a[i] @ b[i] for i in range(len(a))])


@BATCH_MATMUL.alternative
def by_einsum_(a, b):
    return np.einsum("btd,bds->bts", a, b)


@BATCH_MATMUL.alternative
def by_broadcasting(a, b):
    return (a[..., None] * b[:, None]).sum(axis=-2)
