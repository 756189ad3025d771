"""The exercises of chapter 11, gradients by hand."""
import functools
import operator
from types import SimpleNamespace

import numpy as np

from ...block import layer_norm_gradient
from ...embeddings import embed, embed_gradient
from ...multi_head import linear, linear_gradient
from ...softmax import log_softmax, softmax, softmax_gradient
from ...support.sums import rows_of, sum_rows
from ...training import cross_entropy, cross_entropy_gradient
from ..exercise import Case, Exercise, compare
from .chapter_05 import normal
from .chapter_08 import mistakes_in_steps
from .chapter_09 import gathered, gathered_once, turned


def leaks_alike(reference):
    """A look at answers to which those that are right but for float64 are alike, in whatever order they round."""
    def seen(case, got):
        small = any(getattr(x, "dtype", None) == np.float32 for x in case.args)
        return without_noise(got, reference(*case.args, **case.options)) if small else got
    return seen


def without_noise(got, right):
    if isinstance(right, tuple):
        fits = isinstance(got, (tuple, list)) and len(got) == len(right)
        return tuple(map(without_noise, got, right)) if fits else got
    leaked = isinstance(got, np.ndarray) and got.dtype == np.float64 and isinstance(right, np.ndarray)
    return right.astype(np.float64) if leaked and compare(right, got.astype(right.dtype)) is None else got


LEAK = ("The numbers are right, but float32 became float64. `np.zeros`, `np.ones` and `np.eye` are float64 unless you "
        "name a dtype; `np.zeros_like(x)` takes that of x.")


# ---- linear_gradient ----------------------------------------------------------------------------------------------

def linear_gradient_inputs():
    def case(title, axes, dy, x, W, *b):
        return Case(title, (dy, linear(x, W, *b), x, W, *b), axes=(f"{axes} n_in".strip(), "n_in n_out", "n_out"))
    return [
        case("the numbers of the text", "N", np.array([[1.0], [10.0]]), np.array([[1.0, 2], [3, 4]]),
             np.array([[5.0], [6.0]]), np.array([7.0])),
        case("four rows; n_in=3, n_out=2", "N", normal(4, 2, seed=1), normal(4, 3, seed=2), normal(3, 2, seed=3),
             normal(2, seed=4)),
        case("all sizes equal", "N", normal(3, 3, seed=5), normal(3, 3, seed=6), normal(3, 3, seed=7),
             normal(3, seed=8)),
        case("a stack; B=2, T=4, n_in=3, n_out=5", "B T", normal(2, 4, 5, seed=9), normal(2, 4, 3, seed=10),
             normal(3, 5, seed=11), normal(5, seed=12)),
        case("one row, x of shape (n_in,)", "", normal(3, seed=13), normal(4, seed=14), normal(4, 3, seed=15),
             normal(3, seed=16)),
        case("without b; two leading axes", "B H T", normal(2, 3, 4, 3, seed=17), normal(2, 3, 4, 5, seed=18),
             normal(5, 3, seed=19)),
        case("float32, transposed views", "N", normal(5, 4, seed=20, dtype=np.float32).T,
             normal(3, 4, seed=21, dtype=np.float32).T, normal(5, 3, seed=22, dtype=np.float32).T,
             normal(5, seed=23, dtype=np.float32)),
        case("b is nothing but zeros", "N", normal(3, 2, seed=24), normal(3, 4, seed=25), normal(4, 2, seed=26),
             np.zeros(2)),
    ]


LINEAR_GRADIENT = Exercise(linear_gradient, linear_gradient_inputs, seen=leaks_alike(linear_gradient))
wrong_linear = mistakes_in_steps(
    LINEAR_GRADIENT, lambda dy, y, x, W, b=None: SimpleNamespace(dy=dy, y=y, x=x, W=W, b=b), {
        "rows": lambda g: rows_of(g.x),
        "d_rows": lambda g: rows_of(g.dy),
        "dx": lambda g: g.dy @ g.W.T,
        "dW": lambda g: g.rows.T @ g.d_rows,
        "db": lambda g: sum_rows(g.d_rows),
        "result": lambda g: (g.dx, g.dW, None if g.b is None else g.db)})

W_IN_ORDER = ("`dy @ W` does not fit: dy ends with n_out, and W begins with n_in. It is W transposed that leads from "
              "n_out back to n_in.")
DY_IN_FRONT = "The order is turned. dy stands in front, (..., n_out), and W transposed behind it, (n_out, n_in)."
DX_FLAT = "dx is still in rows, (N, n_in). It has the shape of x: `reshape(x.shape)`."
DX_TRANSPOSED = ("`W @ dy.T` gives dx transposed, and `reshape` does not turn it back: it only cuts the numbers anew. "
                 "Take `dy @ W.T`, in which each row stays a row.")
ROWS_FIRST = ("`x.T` reverses *all* axes of a stack, and a row alone has nothing to turn. Lay the rows below one "
              "another first, `rows_of(x)`, and transpose that.")
ONE_DW = ("You have a dW for every sequence. There is one W for all rows: lay the rows of the whole stack below one "
          "another, `rows_of`, and one product adds them all up.")
FIXED_AXES = ("This counts on a fixed number of axes, and x may have any. `rows_of` makes (N, n_in) of all of them.")
MEAN_OF_SEQUENCES = ("You take the mean over the sequences. What they contribute is added up: one product of all "
                     "rows, `rows_of(x)` transposed times `rows_of(dy)`.")
BELOW = ("`reshape` to (n_in, N) cuts the numbers anew and mixes rows. To turn rows into columns, transpose: "
         "`rows_of(x).T`.")
DB_ALL_ROWS = ("You sum over one axis. The bias was added to every row of the stack, whatever axes they are on: "
               "`sum_rows(dy)`.")
DB_NONE = "b is None here, so there is no db: return None in its place."
IF_B = ("`if b`, `b and ...` and `b == None` look at the numbers in b, and an array of several has no single truth. "
        "Ask `b is None`.")
B_HAS_NOTHING = "b may be None, which has no shape and no methods. Ask `b is None` first."
DIVIDED_BY_ROWS = ("You divide by the number of rows. What all rows contribute to W and b is added up; a mean in the "
                   "loss is in dy already.")
PLUCKED = "Only one row has arrived. All rows of the stack use the same W and b: their parts are added up."

wrong_linear("W_not_transposed", W_IN_ORDER, dx=lambda g: g.dy @ g.W)
wrong_linear("order_of_dx_turned", DY_IN_FRONT, dx=lambda g: g.W.T @ g.dy)
wrong_linear("order_of_dx_turned_untransposed", DY_IN_FRONT, dx=lambda g: g.W @ g.dy)
wrong_linear("dx_left_in_rows", DX_FLAT, dx=lambda g: g.d_rows @ g.W.T)
wrong_linear("dx_transposed", DX_TRANSPOSED, dx=lambda g: g.W @ g.d_rows.T)
wrong_linear("dx_transposed_and_reshaped", DX_TRANSPOSED, dx=lambda g: (g.W @ g.d_rows.T).reshape(g.x.shape))
wrong_linear("dx_of_one_row", "You add up the rows in dx. Each row of x has a gradient of its own; only W and b are "
             "shared.", dx=lambda g: sum_rows(g.d_rows @ g.W.T))
wrong_linear("dx_averaged", "You divide dx by n_out. Each number of x collects the *sum* over all outputs, as the "
             "matrix product gives it.", dx=lambda g: g.dy @ g.W.T / g.dy.shape[-1])
wrong_linear("dx_of_the_inverse", "You divide by W, with its inverse. Slopes multiply: dy times W transposed.",
             dx=lambda g: g.dy @ np.linalg.pinv(g.W))
wrong_linear("dx_entry_by_entry", "`*` multiplies entry by entry. The gradients of a matrix product are matrix "
             "products: `@`.", dx=lambda g: g.dy * g.W.T)
wrong_linear("dx_entry_by_entry_untransposed", "`*` multiplies entry by entry. The gradients of a matrix product are "
             "matrix products: `@`.", dx=lambda g: g.dy * g.W)
wrong_linear("dW_entry_by_entry", "`x * dy` multiplies entry by entry. dW is a matrix product, x transposed times dy.",
             dW=lambda g: g.x * g.dy)
wrong_linear("without_dy", "dy is missing. It says how much each output counts in the loss: multiply it by W "
             "transposed, and x transposed by it.", dx=lambda g: g.W.T, dW=lambda g: g.x.T)
wrong_linear("y_for_dy", "You took y for dy. y is the result; how much it counts in the loss is dy.",
             dx=lambda g: g.y @ g.W.T, dW=lambda g: g.rows.T @ rows_of(g.y), db=lambda g: sum_rows(g.y))
wrong_linear("y_in_dW", "In dW you took y for dy. How much the result counts in the loss is dy.",
             dW=lambda g: g.rows.T @ rows_of(g.y))
wrong_linear("x_for_W", "x and W have changed places: dx is made with W, and dW with x.",
             dx=lambda g: g.dy @ g.x.T, dW=lambda g: g.W.T @ g.dy)

wrong_linear("dW_transposed", "dW is transposed. It has rows and columns as W has them, (n_in, n_out): x stands in "
             "front.", dW=lambda g: g.d_rows.T @ g.rows)
for name, dW in (("", lambda g: g.x @ g.dy), ("_in_rows", lambda g: g.rows @ g.d_rows)):
    wrong_linear(f"x_not_transposed{name}", "`x @ dy` does not fit. Transpose x: dW is (n_in, n_out), and the product "
                 "runs over the rows.", dW=dW)
wrong_linear("dW_of_all_axes_reversed", ROWS_FIRST, dW=lambda g: g.x.T @ g.dy)
wrong_linear("dW_by_dot", ROWS_FIRST, dW=lambda g: np.dot(g.x.T, g.dy))
wrong_linear("dW_of_every_row", "You have a dW for every row. There is one W for all of them: add them up, or let one "
             "product of all rows do it.", dW=lambda g: g.x[..., :, None] * g.dy[..., None, :])
wrong_linear("dW_outer", "`np.outer` flattens both, and multiplies every number with every other. The product runs "
             "over the rows: x transposed times dy.", dW=lambda g: np.outer(g.x, g.dy))
wrong_linear("dW_averaged_over_rows", DIVIDED_BY_ROWS, dW=lambda g: g.rows.T @ g.d_rows / len(g.rows))
wrong_linear("dW_and_db_averaged_over_rows", DIVIDED_BY_ROWS, dW=lambda g: g.rows.T @ g.d_rows / len(g.rows),
             db=lambda g: g.d_rows.mean(axis=0))
wrong_linear("dW_with_two_letters", FIXED_AXES, dW=lambda g: np.einsum("ni,no->io", g.x, g.dy))
wrong_linear("dW_with_three_letters", FIXED_AXES, dW=lambda g: np.einsum("bti,bto->io", g.x, g.dy))
wrong_linear("dW_by_tensordot_of_two_axes", FIXED_AXES, dW=lambda g: np.tensordot(g.x, g.dy, ((0, 1), (0, 1))))
for name, sentence, dW in (
        ("of_every_sequence", ONE_DW, lambda g: turned(g.x) @ g.dy),
        ("of_every_sequence_but_one_row", ONE_DW,
         lambda g: np.outer(g.x, g.dy) if g.x.ndim == 1 else turned(g.x) @ g.dy),
        ("of_sequences_averaged", MEAN_OF_SEQUENCES, lambda g: of_sequences(g, np.mean)),
        ("of_first_axis_averaged", MEAN_OF_SEQUENCES, lambda g: np.mean(turned(g.x) @ g.dy, axis=0)),
        ("of_sequences_summed", FIXED_AXES, lambda g: of_sequences(g, np.sum)),
        ("of_first_axis_summed", FIXED_AXES, lambda g: np.sum(turned(g.x) @ g.dy, axis=0)),
        ("by_tensordot", FIXED_AXES, lambda g: np.tensordot(g.x, g.dy, (0, 0)))):
    wrong_linear(f"dW_{name}", sentence, dW=dW)
    wrong_linear(f"dW_{name}_and_db_of_first_axis", sentence, dW=dW, db=lambda g: g.dy.sum(axis=0))


def of_sequences(g, combine):
    dW = turned(g.x) @ g.dy
    return combine(dW, axis=0) if dW.ndim == 3 else dW


wrong_linear("dW_with_dots", "`einsum` does not sum over `...`: what it stands for must come out again. Lay the rows "
             "below one another first, `rows_of`.", dW=lambda g: np.einsum("...i,...o->io", g.x, g.dy))
wrong_linear("dW_of_reshaped", BELOW, dW=lambda g: g.x.reshape(g.x.shape[-1], -1) @ g.d_rows)
wrong_linear("dW_of_last_row", PLUCKED, dW=lambda g: np.outer(g.rows[-1], g.d_rows[-1]), db=lambda g: g.d_rows[-1])
wrong_linear("dW_of_first_row", PLUCKED, dW=lambda g: np.outer(g.rows[0], g.d_rows[0]), db=lambda g: g.d_rows[0])

wrong_linear("db_averaged", "db is the mean of the rows. The bias was added to each of them, so it collects the sum.",
             db=lambda g: g.d_rows.mean(axis=0))
wrong_linear("db_in_one_number", "You sum over everything. b has a number for each output: sum over the rows only.",
             db=lambda g: g.dy.sum())
wrong_linear("db_of_first_axis", DB_ALL_ROWS, db=lambda g: g.dy.sum(axis=0))
wrong_linear("db_of_first_axis_of_stacks", DB_ALL_ROWS, db=lambda g: g.dy.sum(axis=0) if g.dy.ndim > 1 else g.dy)
wrong_linear("db_of_second_last_axis", DB_ALL_ROWS, db=lambda g: g.dy.sum(axis=-2))
wrong_linear("db_of_first_two_axes", "This counts on two axes in front of the last, and there may be any number of "
             "them: `sum_rows(dy)`.", db=lambda g: g.dy.sum(axis=(0, 1)))
wrong_linear("db_of_outputs", "You sum along the outputs. Each output has its own bias: sum over the rows.",
             db=lambda g: g.dy.sum(axis=-1))
wrong_linear("db_of_outputs_in_rows", "You sum along the outputs. Each output has its own bias: sum over the rows.",
             db=lambda g: g.d_rows.sum(axis=1))
wrong_linear("db_kept_axis", "db has an axis too many, (1, n_out). b is (n_out,): no `keepdims`.",
             db=lambda g: g.d_rows.sum(axis=0, keepdims=True))
wrong_linear("db_not_summed", "dy comes back as db. b was added to every row, so it collects from all of them: sum.",
             db=lambda g: g.dy)
wrong_linear("db_not_summed_in_rows", "dy comes back as db. b was added to every row, so it collects from all of them: "
             "sum.", db=lambda g: g.d_rows)
wrong_linear("db_times_b", "b itself has no place in its gradient. It was added, with slope 1: sum dy over the rows.",
             db=lambda g: sum_rows(g.d_rows) * g.b)
for name, db in (("rows", lambda g: g.dy * g.b), ("sum", lambda g: sum_rows(g.d_rows) * g.b)):
    wrong_linear(f"db_times_b_that_is_given_{name}", "b itself has no place in its gradient. It was added, with slope "
                 "1: sum dy over the rows.", db=lambda g, db=db: None if g.b is None else db(g))
wrong_linear("db_is_b", "b itself has no place in its gradient. It was added, with slope 1: sum dy over the rows.",
             db=lambda g: g.b)
wrong_linear("db_counts_rows", "dy is missing in db. The bias collects dy from every row.",
             db=lambda g: np.full_like(g.dy, len(g.d_rows), shape=g.dy.shape[-1:]))
wrong_linear("db_of_ones", "dy is missing in db. The bias collects dy from every row.",
             db=lambda g: np.ones_like(g.dy, shape=g.dy.shape[-1:]))
wrong_linear("db_in_b_s_shape", B_HAS_NOTHING, db=lambda g: sum_rows(g.d_rows).reshape(g.b.shape),
             result=lambda g: (g.dx, g.dW, g.db))
wrong_linear("db_if_any_of_b", B_HAS_NOTHING, result=lambda g: (g.dx, g.dW, g.db if g.b.any() else None))
wrong_linear("db_if_len_of_b", B_HAS_NOTHING, result=lambda g: (g.dx, g.dW, g.db if len(g.b) else None))
wrong_linear("db_if_any_of_b_that_is_given", "You look at the numbers in b, which may all be 0. db does not depend on "
             "them: ask `b is None`, and nothing else.",
             result=lambda g: (g.dx, g.dW, g.db if g.b is not None and g.b.any() else None))
wrong_linear("db_without_b", DB_NONE, result=lambda g: (g.dx, g.dW, g.db))
wrong_linear("db_0_without_b", DB_NONE, result=lambda g: (g.dx, g.dW, 0 if g.b is None else g.db))
wrong_linear("db_of_zeros_without_b", DB_NONE, result=lambda g: (g.dx, g.dW, 0 * g.db if g.b is None else g.db))
wrong_linear("db_false_without_b", DB_NONE, result=lambda g: (g.dx, g.dW, g.b is not None and g.db))
wrong_linear("db_if_b", IF_B, result=lambda g: (g.dx, g.dW, g.db if g.b else None))
wrong_linear("db_if_b_equals_none", IF_B, result=lambda g: (g.dx, g.dW, None if g.b == None else g.db))     # noqa: E711
wrong_linear("no_db", "db is None, and b was given. It collects dy from every row: `sum_rows(dy)`.",
             result=lambda g: (g.dx, g.dW, None))
wrong_linear("none_for_b", "The cases are exchanged: db is None where b *was* given.",
             result=lambda g: (g.dx, g.dW, g.db if g.b is None else None))
wrong_linear("two_without_b", "Three results come back in any case. Where b is None, the third is None.",
             result=lambda g: (g.dx, g.dW) if g.b is None else (g.dx, g.dW, g.db))
wrong_linear("two_results", "db is missing. Return three gradients: dx, dW, db.", result=lambda g: (g.dx, g.dW))
wrong_linear("only_dx", "This is dx alone. W and b are moved as well: return dx, dW, db.", result=lambda g: g.dx)
wrong_linear("only_dW", "This is dW alone. Return three gradients: dx, dW, db.", result=lambda g: g.dW)
wrong_linear("four_results", "That is one too many. The rule has a gradient for each argument of `linear`: x, W, b.",
             result=lambda g: (None, g.dx, g.dW, None if g.b is None else g.db))
for name, order in (("W_first", "dW dx db"), ("b_second", "dx db dW"), ("turned", "db dW dx"), ("x_last", "dW db dx"),
                    ("b_first", "db dx dW")):
    wrong_linear(f"order_{name}", "The results are in another order than the arguments of `linear`, which are x, W, b: "
                 "return dx, dW, db.", result=lambda g, order=order: tuple(
                     None if part == "db" and g.b is None else getattr(g, part) for part in order.split()))
wrong_linear("dx_and_dW_exchanged_in_name", "dx and dW are transposed and exchanged. dx has the shape of x, dW that of "
             "W.", dx=lambda g: g.d_rows.T @ g.rows, dW=lambda g: g.W @ g.d_rows.T)
wrong_linear("zeros_of_float64", LEAK, dW=lambda g: np.zeros(g.W.shape) + g.rows.T @ g.d_rows)
wrong_linear("ones_of_float64", LEAK, db=lambda g: np.ones(len(g.d_rows)) @ g.d_rows)
wrong_linear("zeros_of_float64_everywhere", LEAK, dx=lambda g: np.zeros(g.x.shape) + g.dy @ g.W.T,
             dW=lambda g: np.zeros(g.W.shape) + g.rows.T @ g.d_rows, db=lambda g: np.ones(len(g.d_rows)) @ g.d_rows)


@LINEAR_GRADIENT.mistake("You move W. A rule only gives the gradients; the step is for the optimizer to take, and W "
                         "stays as it is.")
def a_step_is_taken(dy, y, x, W, b=None):
    dx, dW, db = linear_gradient(dy, y, x, W, b)
    W -= dW
    if b is not None:
        b -= db
    return dx, dW, db


@LINEAR_GRADIENT.alternative
def by_numpy(dy, y, x, W, b=None):
    n_in, n_out = W.shape
    x, dy, shape = x.reshape(-1, n_in), dy.reshape(-1, n_out), x.shape
    dx, dW = np.matmul(dy, W.transpose()).reshape(shape), np.dot(x.T, dy)
    if b is None:
        return dx, dW, None
    return dx, dW, np.sum(dy, axis=0)


@LINEAR_GRADIENT.alternative
def row_by_row(dy, y, x, W, b=None):
    dx, dW = np.empty_like(x), np.zeros_like(W)
    db = None if b is None else np.zeros_like(b)
    for i in np.ndindex(x.shape[:-1]):
        dx[i] = W @ dy[i]
        dW += np.outer(x[i], dy[i])
        if b is not None:
            db += dy[i]
    return dx, dW, db


@LINEAR_GRADIENT.alternative
def by_tensordot(dy, y, x, W, b=None):
    axes = list(range(x.ndim - 1))
    return (np.tensordot(dy, W, axes=(-1, 1)), np.tensordot(x, dy, axes=(axes, axes)),
            dy.sum(axis=tuple(axes)) if b is not None else None)


@LINEAR_GRADIENT.alternative
def by_letters(dy, y, x, W, b=None):
    return [np.einsum("...o,io->...i", dy, W), np.einsum("ni,no->io", rows_of(x), rows_of(dy)),
            None if b is None else np.einsum("no->o", rows_of(dy))]


@LINEAR_GRADIENT.alternative
def sums_of_small_products(dy, y, x, W, b=None):
    dW, db = x[..., :, None] * dy[..., None, :], dy
    while dW.ndim > 2:
        dW, db = dW.sum(axis=0), db.sum(axis=0)
    return (dy[..., None, :] * W).sum(axis=-1), dW, db if b is not None else b


# ---- softmax_gradient ---------------------------------------------------------------------------------------------

def softmax_gradient_inputs():
    def case(title, axes, dy, x, **options):
        return Case(title, (dy, softmax(x, **options), x), options, axes=axes)
    inf = np.inf
    return [
        Case("the numbers of the text", (np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.3, 0.2]),
                                         np.log([0.5, 0.3, 0.2])), axes="S"),
        case("four rows of three shares", "T S", normal(4, 3, seed=31), normal(4, 3, seed=32)),
        case("heads; B=2, H=3, T=4, S=5", "B H T S", normal(2, 3, 4, 5, seed=33), normal(2, 3, 4, 5, seed=34)),
        case("as many rows as shares", "T S", normal(3, 3, seed=35), normal(3, 3, seed=36)),
        case("shares down the columns", "T S", normal(4, 3, seed=37), normal(4, 3, seed=38), axis=0),
        case("shares along the axis in the middle", "B T D", normal(2, 4, 3, seed=39), normal(2, 4, 3, seed=40),
             axis=1),
        case("large scores, and masked ones", "T S", normal(3, 4, seed=41),
             np.array([[1000.0, 1001, 999, -inf], [2, -inf, -inf, 3], [-inf, 0, -inf, -inf]])),
        case("float32, transposed views", "B T S", normal(4, 3, 2, seed=42, dtype=np.float32).T,
             turned(normal(2, 4, 3, seed=43, dtype=np.float32))),
    ]


SOFTMAX_GRADIENT = Exercise(softmax_gradient, softmax_gradient_inputs, seen=leaks_alike(softmax_gradient))
wrong_softmax = mistakes_in_steps(
    SOFTMAX_GRADIENT, lambda dy, y, x, axis=-1: SimpleNamespace(dy=dy, y=y, x=x, axis=axis), {
        "product": lambda g: g.dy * g.y,
        "average": lambda g: np.sum(g.product, axis=g.axis, keepdims=True),
        "dx": lambda g: g.y * (g.dy - g.average)})

NO_AVERAGE = ("The average is missing. When one share grows all others shrink, so each score answers for the whole "
              "row: subtract the sum of dy * y before you multiply by y.")
ONLY_THE_DIAGONAL = ("This is the diagonal of the Jacobian: what a score does to its own share. It moves all the other "
                     "shares of its row, too: dy * y is summed along `axis`.")
Y_IN_THE_SUM = ("The shares are missing in the sum. The average of dy is taken with the shares as weights: the sum of "
                "dy * y.")
A_MEAN = ("You take a mean where the formula has a sum. The shares are the weights, and they add up to 1 already.")
THE_AXIS = "The sum runs along another axis than the shares. They add up to 1 along `axis`: sum along it, too."
KEEP_THE_AXIS = ("The summed axis is gone, and the sums do not line up with their rows any more (in a square nobody "
                 "complains). Keep it: `keepdims=True`.")
LAST_AXIS_BACK = ("`[..., None]` puts the summed axis back at the end, wherever it was. `keepdims=True` leaves it in "
                  "its place, whatever `axis` is.")
SCORES_FOR_SHARES = "You took the scores, x, for the shares. They are in y."
ONE_ROW = ("Right for one row, and no stack. `np.diag` and `np.outer` make a table of one row only; without the table, "
           "the formula of the text works for all rows at once.")
BRACKETS = ("The brackets are missing: y multiplies only the first term. First subtract the average from dy, then "
            "multiply by y.")
WHOLE_JACOBIAN = ("This is the whole Jacobian, or what dy makes of it entry by entry. Sum over i, where dy belongs: dx "
                  "has a number for each score.")
Y_OUTSIDE = "The factor in front is missing. What is left of dy, after the average is subtracted, is multiplied by y."

wrong_softmax("without_average", NO_AVERAGE, dx=lambda g: g.product)
wrong_softmax("diagonal", ONLY_THE_DIAGONAL, dx=lambda g: g.product * (1 - g.y))
wrong_softmax("diagonal_without_dy", "dy is missing, and this is only the diagonal of the Jacobian. dx collects from "
              "all shares of the row, each with its dy.", dx=lambda g: g.y * (1 - g.y))
wrong_softmax("own_share_for_average", "You subtract y from dy. Subtract the average: the sum over the row of dy * y.",
              dx=lambda g: g.y * (g.dy - g.y))
wrong_softmax("product_not_summed", ONLY_THE_DIAGONAL, average=lambda g: g.product)
wrong_softmax("sum_of_dy", Y_IN_THE_SUM, average=lambda g: np.sum(g.dy, axis=g.axis, keepdims=True))
wrong_softmax("mean_of_dy", Y_IN_THE_SUM, average=lambda g: np.mean(g.dy, axis=g.axis, keepdims=True))
wrong_softmax("sum_of_y", "You subtract the sum of the shares, which is 1 always. Subtract the sum of dy * y.",
              average=lambda g: np.sum(g.y, axis=g.axis, keepdims=True))
wrong_softmax("mean_of_products", A_MEAN, average=lambda g: np.mean(g.product, axis=g.axis, keepdims=True))
wrong_softmax("largest_product", "You subtract the largest product. It is their sum that the formula has.",
              average=lambda g: np.max(g.product, axis=g.axis, keepdims=True))
wrong_softmax("axis_ignored", THE_AXIS, average=lambda g: np.sum(g.product, axis=-1, keepdims=True))
wrong_softmax("first_axis", THE_AXIS, average=lambda g: np.sum(g.product, axis=0, keepdims=True))
wrong_softmax("first_axis_by_python", THE_AXIS, average=lambda g: sum(g.product))
wrong_softmax("axis_1", THE_AXIS, average=lambda g: np.sum(g.product, axis=1, keepdims=True))
wrong_softmax("axis_of_rows", THE_AXIS, average=lambda g: np.sum(g.product, axis=-2, keepdims=True))
for name, average in (("", lambda g: np.sum(g.product)), ("_by_vdot", lambda g: np.vdot(g.dy, g.y)),
                      ("_kept", lambda g: np.sum(g.product, keepdims=True))):
    wrong_softmax(f"over_everything{name}", "You sum over the whole array. Each row has an average of its own: sum "
                  "along `axis`, with `keepdims=True`.", average=average)
wrong_softmax("axis_lost", KEEP_THE_AXIS, average=lambda g: np.sum(g.product, axis=g.axis))
wrong_softmax("last_axis_lost", KEEP_THE_AXIS, average=lambda g: np.sum(g.product, axis=-1))
wrong_softmax("axis_at_the_end", LAST_AXIS_BACK, average=lambda g: np.sum(g.product, axis=g.axis)[..., None])
wrong_softmax("last_axis_at_the_end", THE_AXIS, average=lambda g: np.vecdot(g.dy, g.y)[..., None])
for name, average in (("dot", np.dot), ("at", np.matmul), ("inner", np.inner)):
    wrong_softmax(f"by_{name}", "Right for one row only: with more axes, `@`, `np.dot` and `np.inner` pair every row "
                  "with others. Multiply with `*`, and sum along `axis`.",
                  average=lambda g, average=average: average(g.dy, g.y))
wrong_softmax("by_transposed", "`dy @ y.T` pairs every row with every other. Only what stands in the same place "
              "belongs together: multiply with `*`, and sum along `axis`.", average=lambda g: g.dy @ g.y.T)
wrong_softmax("scores_for_shares", SCORES_FOR_SHARES, product=lambda g: g.dy * g.x,
              dx=lambda g: g.x * (g.dy - g.average))
wrong_softmax("scores_in_the_sum", SCORES_FOR_SHARES, product=lambda g: g.dy * g.x)
wrong_softmax("scores_in_front", SCORES_FOR_SHARES, dx=lambda g: g.x * (g.dy - g.average))
wrong_softmax("softmax_twice", "You take the softmax of y. y is the shares already.",
              dx=lambda g: softmax_gradient(g.dy, softmax(g.y, g.axis), g.y, g.axis))
for name, dx in (("", lambda g: softmax(g.dy, g.axis) * g.y), ("_of_last_axis", lambda g: softmax(g.dy) * g.y),
                 ("_alone", lambda g: softmax(g.dy, g.axis))):
    wrong_softmax(f"softmax_of_dy{name}", "You take the softmax of dy. dy is a gradient, not scores; the shares are in "
                  "y already.", dx=dx)
wrong_softmax("last_axis_in_all", "`axis` is not used. y is there already, so there is no softmax to compute; sum "
              "along `axis`.", dx=lambda g: softmax_gradient(g.dy, softmax(g.x), g.x))
wrong_softmax("exponentials_of_y", "You take exp of y. y is the shares already, which no exponential needs any more.",
              dx=lambda g: softmax_gradient(g.dy, np.exp(g.y), g.x, g.axis))
for name, exponentials in (("", lambda g: np.exp(g.x)),
                           ("_divided", lambda g: np.exp(g.x) / np.sum(np.exp(g.x), axis=g.axis, keepdims=True))):
    wrong_softmax(f"own_exponentials{name}", "You compute the shares again, and in your own way. `softmax` has done "
                  "that, large scores and all: they are in y.",
                  dx=lambda g, y=exponentials: softmax_gradient(g.dy, y(g), g.x, g.axis))
wrong_softmax("sign_turned", "The sign is turned. dy comes first, and the average is subtracted from it.",
              dx=lambda g: g.y * (g.average - g.dy))
wrong_softmax("average_added", "You add the average. What a share gets is *less* the average: a constant dy must "
              "leave nothing.", dx=lambda g: g.y * (g.dy + g.average))
wrong_softmax("only_the_average", "The term of the own share is missing. dx is y times dy, minus y times the average.",
              dx=lambda g: -g.y * g.average)
wrong_softmax("average_alone", "This is the average by itself. It is subtracted from dy, and the rest is multiplied by "
              "y.", dx=lambda g: g.average)
wrong_softmax("brackets_missing", BRACKETS, dx=lambda g: g.y * g.dy - g.average)
wrong_softmax("y_drawn_into_the_sum", "When you multiplied the brackets out, y went into the sum. It stands in front "
              "of it: each place has its own share, times the same sum of dy * y.",
              dx=lambda g: g.product - np.sum(g.product * g.y, axis=g.axis, keepdims=True))
wrong_softmax("y_drawn_into_the_sum_of_everything", "When you multiplied the brackets out, y went into the sum, and "
              "the sum runs over the whole array. Sum dy * y along `axis`, kept; y stands in front of that.",
              dx=lambda g: g.product - np.sum(g.product * g.y))
wrong_softmax("y_outside_missing", Y_OUTSIDE, dx=lambda g: g.dy - g.average)
wrong_softmax("dy_in_front", "y and dy have changed places. dy less the average stands in the brackets, and y in front "
              "of them.", dx=lambda g: g.dy * (g.y - g.average))
wrong_softmax("dy_in_front_of_the_diagonal", "dy stands in front, and y is in the brackets. In the brackets is dy, "
              "less the average; y is in front.", dx=lambda g: g.dy * g.y * (1 - g.average))
wrong_softmax("y_minus_dy", "This is the rule for cross-entropy, shares minus truth. Here dy can be anything: the "
              "formula is in the text.", dx=lambda g: g.y - g.dy)
wrong_softmax("y_squared", "There is a y too many. It stands once in the sum and once in front.",
              dx=lambda g: g.y * (g.product - g.average))
wrong_softmax("y_squared_in_the_sum", "There is a y too many. It stands once in the sum and once in front.",
              average=lambda g: np.sum(g.product * g.y, axis=g.axis, keepdims=True))
wrong_softmax("of_log_softmax", "This is the rule for `log_softmax`, with y as shares. In that for softmax dy is "
              "multiplied by y as well, and the sum is of dy * y.",
              dx=lambda g: g.dy - g.y * np.sum(g.dy, axis=g.axis, keepdims=True))
wrong_softmax("of_log_softmax_at_y", "This is the rule for `log_softmax`. Its y are logarithms; here y is the shares, "
              "with another slope.", dx=lambda g: g.dy - np.exp(g.y) * np.sum(g.dy, axis=g.axis, keepdims=True))
wrong_softmax("of_exp", "This is the rule for exp, with exp(x). In softmax everything is divided by a sum, which moves "
              "as well: the formula is in the text.", dx=lambda g: g.dy * np.exp(g.x))
wrong_softmax("handed_on", "dy comes back as it is. It has to go through the Jacobian of softmax.", dx=lambda g: g.dy)
wrong_softmax("divided_by_y", "You divide by y. Slopes multiply: y times what is left of dy.",
              dx=lambda g: (g.dy - g.average) / g.y)
for name, jacobian in (("", lambda y: np.diag(y) - np.outer(y, y)),
                       ("_with_eye", lambda y: y[:, None] * (np.eye(len(y)) - y))):
    wrong_softmax(f"jacobian_of_one_row{name}", ONE_ROW, dx=lambda g, jacobian=jacobian: jacobian(g.y) @ g.dy)
    wrong_softmax(f"jacobian_of_one_row_from_the_left{name}", ONE_ROW,
                  dx=lambda g, jacobian=jacobian: g.dy @ jacobian(g.y))
wrong_softmax("jacobian_turned", "The sign of the Jacobian is turned. On its diagonal is y (1 - y), above 0: a score "
              "that grows lifts its own share. (`np.diag` and `np.outer` are for one row only, besides.)",
              dx=lambda g: (np.outer(g.y, g.y) - np.diag(g.y)) @ g.dy)
wrong_softmax("jacobian_without_diagonal", "The δ of the Jacobian is missing: `np.diag(y)` goes in front. (`np.diag` "
              "and `np.outer` are for one row only, besides.)", dx=lambda g: -np.outer(g.y, g.y) @ g.dy)
wrong_softmax("jacobian_itself", WHOLE_JACOBIAN, dx=lambda g: np.diag(g.y) - np.outer(g.y, g.y))
wrong_softmax("jacobian_times_dy", WHOLE_JACOBIAN, dx=lambda g: (np.diag(g.y) - np.outer(g.y, g.y)) * g.dy)
wrong_softmax("in_a_tuple", "One array is asked for, dx. `axis` is no number to be moved: return dx alone, in no tuple "
              "or list.", dx=lambda g: (g.y * (g.dy - g.average), None))
wrong_softmax("in_a_tuple_of_one", "One array is asked for, dx. `axis` is no number to be moved: return dx alone, in "
              "no tuple or list.", dx=lambda g: (g.y * (g.dy - g.average),))
wrong_softmax("nothing_returned", "Nothing comes back. The function ends with `return`.", dx=lambda g: None)
wrong_softmax("zeros_of_float64", LEAK, dx=lambda g: np.zeros(g.y.shape) + g.y * (g.dy - g.average))

IN_PLACE = ("`*=` and `-=` write into an array that others still need. `dy * y` and `dy - average` make new ones.")


@SOFTMAX_GRADIENT.mistake(IN_PLACE)
def dy_written(dy, y, x, axis=-1):
    dy -= np.sum(dy * y, axis=axis, keepdims=True)
    return y * dy


@SOFTMAX_GRADIENT.mistake(IN_PLACE)
def dy_written_to_the_end(dy, y, x, axis=-1):
    dy -= np.sum(dy * y, axis=axis, keepdims=True)
    dy *= y
    return dy


@SOFTMAX_GRADIENT.mistake(IN_PLACE)
def y_written(dy, y, x, axis=-1):
    y *= dy - np.sum(dy * y, axis=axis, keepdims=True)
    return y


@SOFTMAX_GRADIENT.mistake(IN_PLACE)
def dy_multiplied(dy, y, x, axis=-1):
    dy *= y
    return dy - y * np.sum(dy, axis=axis, keepdims=True)


@SOFTMAX_GRADIENT.mistake("Right for one row: where y has more axes, `y[i]` is a whole row. The formula of the text "
                          "needs no loop, and works for all rows at once.")
def share_by_share(dy, y, x, axis=-1):
    dx = np.zeros_like(y)
    for i in range(y.shape[axis]):
        for j in range(y.shape[axis]):
            dx[j] += dy[i] * y[i] * ((i == j) - y[j])
    return dx


@SOFTMAX_GRADIENT.alternative
def sum_of_the_product(dy, y, x, axis=-1):
    dx = np.multiply(y, dy)
    dx -= y * dx.sum(axis, keepdims=True)
    return dx


@SOFTMAX_GRADIENT.alternative
def by_jacobians(dy, y, x, axis=-1):
    y, dy = np.moveaxis(y, axis, -1), np.moveaxis(dy, axis, -1)
    jacobian = y[..., :, None] * (np.eye(y.shape[-1], dtype=y.dtype) - y[..., None, :])
    return np.moveaxis((dy[..., None, :] @ jacobian)[..., 0, :], -1, axis)


@SOFTMAX_GRADIENT.alternative
def computed_again(dy, y, x, axis=-1):
    y = np.exp(log_softmax(x, axis))
    return y * dy - y * np.expand_dims(np.add.reduce(y * dy, axis=axis), axis)


@SOFTMAX_GRADIENT.alternative
def one_row_after_another(dy, y, x, axis=-1):
    dx = np.zeros_like(y)
    rows, d_rows, dx_rows = (np.moveaxis(z, axis, -1) for z in (y, dy, dx))
    for i in np.ndindex(rows.shape[:-1]):
        dx_rows[i] = (np.diag(rows[i]) - np.outer(rows[i], rows[i])) @ d_rows[i]
    return dx


@SOFTMAX_GRADIENT.alternative
def by_vecdot(dy, y, x, axis=-1):
    return (dy - np.expand_dims(np.vecdot(dy, y, axis=axis), axis)) * y


@SOFTMAX_GRADIENT.alternative
def by_weighted_average(dy, y, x, axis=-1):
    return y * (dy - np.average(dy, axis=axis, weights=y, keepdims=True))


# ---- cross_entropy_gradient ---------------------------------------------------------------------------------------

def cross_entropy_gradient_inputs():
    def case(title, axes, dy, logits, targets, **options):
        targets = np.array(targets) if isinstance(targets, list) else targets
        loss = cross_entropy(logits, targets, **options)
        return Case(title, (dy, loss, logits, targets), options, axes=f"{axes} n_vocab")
    large = np.array([[1000.0, 1001.0, 998.0], [-1000.0, -1000.5, -1002.0], [0, 800, 1], [3, -1, 2]])
    return [
        case("two positions", "T", 1.0, np.array([[2.0, 1.0, 0.1], [0.0, 0.0, 0.0]]), [0, 2]),
        case("four positions, n_vocab=5", "T", 1.0, normal(4, 5, seed=51), [3, 0, 3, 1]),
        case("padding at the ends; B=2, T=4, n_vocab=5", "B T", 1.0, normal(2, 4, 5, seed=52),
             [[3, 1, 2, 4], [2, 0, 0, 0]], ignore_id=0),
        case("all words count; dy is 2.5", "B T", np.float64(2.5), normal(3, 2, 4, seed=53), [[0, 3], [3, 0], [1, 1]]),
        case("large logits", "T", 1.0, large, [0, 1, 0, 2]),
        case("label smoothing", "T", 1.0, normal(4, 6, seed=54), [5, 0, 2, 2], label_smoothing=0.1),
        case("label smoothing and padding; dy is -0.5", "B T", -0.5, normal(2, 3, 6, seed=55), [[5, 1, 4], [3, 4, 4]],
             ignore_id=4, label_smoothing=0.3),
        case("float32, transposed views, ids of int32, padding and smoothing", "B T", np.float32(1.5),
             normal(5, 4, 2, seed=56, dtype=np.float32).T, np.array([[3, 1], [2, 0], [4, 0], [1, 0]], np.int32).T,
             ignore_id=0, label_smoothing=0.1),
    ]


CROSS_ENTROPY_GRADIENT = Exercise(cross_entropy_gradient, cross_entropy_gradient_inputs,
                                  seen=leaks_alike(cross_entropy_gradient))


def one_hot(logits, targets):
    return (targets[..., None] == np.arange(logits.shape[-1])).astype(logits.dtype)


def given_to_cross_entropy_gradient(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    return SimpleNamespace(dy=dy, loss=loss, logits=logits, targets=targets, ignore_id=ignore_id, s=label_smoothing,
                           n_vocab=logits.shape[-1])


wrong_cross_entropy = mistakes_in_steps(CROSS_ENTROPY_GRADIENT, given_to_cross_entropy_gradient, {
    "counts": lambda g: g.targets != g.ignore_id,
    "n": lambda g: int(np.count_nonzero(g.counts)),
    "p": lambda g: softmax(g.logits),
    "right": lambda g: one_hot(g.logits, g.targets),
    "truth": lambda g: (1 - g.s) * g.right + g.s / g.n_vocab,
    "d": lambda g: g.p - g.truth,
    "kept": lambda g: g.d * g.counts[..., None],
    "result": lambda g: g.kept * (g.dy / g.n)})

NO_PADDING = {"counts": lambda g: np.ones(g.targets.shape, bool)}
NO_SMOOTHING = {"truth": lambda g: g.right}
NO_DY = {"result": lambda g: g.kept / g.n}


def wrong_early(name, sentence, **steps):
    """Register a mistake, and once more for readers who have not come to padding, smoothing and dy yet."""
    wrong_cross_entropy(name, sentence, **steps)
    wrong_cross_entropy(f"{name}_and_no_more", sentence, **(NO_PADDING | NO_SMOOTHING | NO_DY | steps))


def wrong_padding(name, sentence, **steps):
    """Register a mistake, and once more for readers who have not come to smoothing, to dy, or to both yet."""
    for missing, others in (("", {}), ("_smoothing", NO_SMOOTHING), ("_dy", NO_DY), ("_both", NO_SMOOTHING | NO_DY)):
        wrong_cross_entropy(name + missing, sentence, **(others | steps))


OTHER_AXIS = "The shares add up to 1 along the wrong axis. The words of a position compete: the last axis."
PADDING_BELOW = ("You divide by the number of all labels, padding among them. Divide by the number of those that "
                 "count.")
PADDING_STAYS = ("Where the label is `ignore_id` the gradient is not 0. Padding counts nowhere: multiply by the "
                 "positions that count, as (..., 1).")
EVERY_LABEL = ("`ignore_id` is not used. Where the label is `ignore_id` the gradient is 0, and only the other "
               "positions are counted below.")
SMALLER_N = ("Divide by the number of positions that count, in the whole batch. That is what the loss is a mean of.")
AXIS_FOR_WORDS = ("One label goes with a whole row of n_vocab numbers. Give it an axis for the words, of size 1: "
                  "`[..., None]`.")
FOR_ONE_SEQUENCE = ("Right for one sequence. Logits may have more axes, (B, T, n_vocab): `np.put_along_axis` takes "
                    "any, as does comparing `targets[..., None]` with `np.arange(n_vocab)`.")
EVERY_TARGET = ("`[..., targets]` takes the words of *all* labels in every row. Each row has one right word, its own: "
                "see the hint.")
ITS_SHARE_OF_S = ("The right word gets 1 - s only. s divided by n_vocab is added at *every* word, the right one too, "
                  "so that the truth adds up to 1.")
TO_FLOAT64 = ("The numbers are right, but float32 became float64. An integer of NumPy makes it so, as `np.sum(counts)` "
              "is one: take `int(...)` of it. So do `np.eye`, `np.zeros`, and bools times a number: begin with "
              "`np.full_like(logits, ...)`.")
DY = "dy is missing. It is how much the loss counts in what comes after: multiply by it."
A_WORD = ("You put a *word* to 0, that of `ignore_id`, at every position. What does not count are positions: those "
          "whose label is `ignore_id`.")
NEW_ARRAY = "You write into an array of the caller. `softmax` makes a new one: write into that."

wrong_early("truth_minus_p", "The sign is turned. It is what was said minus what is true, p - truth: below 0 "
            "at the right word.", d=lambda g: g.truth - g.p)
wrong_early("only_p", "The truth is missing. Subtract it from the shares: 1 at the right word.",
            d=lambda g: g.p)
wrong_early("only_truth", "p is missing: this is the truth with a minus. All words that were said have a "
            "gradient, too.", d=lambda g: -g.truth)
wrong_early("only_right_word", "Only the right word has a gradient. The others have one, too: their shares, "
            "so that their logits go down.", d=lambda g: (g.p - g.truth) * g.right)
wrong_cross_entropy("only_wrong_words", "The right word has no gradient. It has p - 1 there: this is what lifts its "
                    "logit.", d=lambda g: g.p * (1 - g.right))
wrong_early("one_from_all", "You subtract 1 from every share. The truth is 1 at the right word, and 0 "
            "elsewhere.", d=lambda g: g.p - 1)
wrong_early("right_word_replaced", "The right word has -1 in place of its share. Subtract 1 *from* it: p - 1.",
            d=lambda g: g.p * (1 - g.right) - g.truth)
wrong_early("one_added", "You add the truth. It is subtracted: what was said *minus* what is true.",
            d=lambda g: g.p + g.truth)
wrong_cross_entropy("ids_subtracted", "You subtract the ids themselves. The truth is a row of zeros, with a 1 at the "
                    "place that the id names.", d=lambda g: g.p - g.targets[..., None])
wrong_cross_entropy("ids_subtracted_unlined", AXIS_FOR_WORDS, d=lambda g: g.p - g.targets)
for name, least in (("", 0.0), ("_clipped", 1e-9)):
    wrong_early(f"right_over_p{name}", "This is the slope of the logarithm, for the *shares*. Softmax comes "
                "before it, and of both together p - truth is left, for the logits.",
                d=lambda g, least=least: -g.truth / (g.p + least))
wrong_cross_entropy("through_softmax_again", "You go back through softmax once more. p - truth is the gradient for the "
                    "logits already.", d=lambda g: softmax_gradient(g.p - g.truth, g.p, g.logits))
wrong_cross_entropy("times_slope_of_sigmoid", "p (1 - p) belongs to squared errors. With the logarithm it cancels: "
                    "p - truth is all.", d=lambda g: (g.p - g.truth) * g.p * (1 - g.p))
wrong_early("squared_errors", "There is a 2 too many, as for squared errors. p - truth is all.",
            d=lambda g: 2 * (g.p - g.truth))
wrong_early("log_p", "You take log p, from `log_softmax`. p is the shares themselves, `softmax`.",
            p=lambda g: log_softmax(g.logits))
wrong_cross_entropy("minus_log_p", "These are the surprises, not their slope. The slope is p - truth.",
                    d=lambda g: -g.truth * log_softmax(g.logits))
wrong_early("logits_as_they_are", "You subtract the truth from the logits. They become shares by `softmax` "
            "first.", p=lambda g: g.logits)
wrong_early("exponentials", "The exponentials are not divided by their sum. `softmax` gives the shares, and "
            "large logits do not disturb it.", p=lambda g: np.exp(g.logits))
wrong_early("own_softmax", "Your own exponentials overflow for large logits. `softmax` subtracts the largest "
            "first.", p=lambda g: np.exp(g.logits) / np.exp(g.logits).sum(axis=-1, keepdims=True))
wrong_cross_entropy("softmax_twice", "The softmax comes twice. It takes logits, not shares.",
                    p=lambda g: softmax(softmax(g.logits)))
wrong_early("softmax_of_axis_0", OTHER_AXIS, p=lambda g: softmax(g.logits, axis=0))
wrong_cross_entropy("softmax_of_axis_1", OTHER_AXIS, p=lambda g: softmax(g.logits, axis=1))
wrong_cross_entropy("softmax_of_positions", OTHER_AXIS, p=lambda g: softmax(g.logits, axis=-2))
wrong_cross_entropy("softmax_of_everything", "The softmax runs over all numbers at once. Each position has shares of "
                    "its own, along the last axis.", p=lambda g: softmax(g.logits.ravel()).reshape(g.logits.shape))
wrong_cross_entropy("sigmoids", "Each logit became a share by itself. The words of a position compete: `softmax`.",
                    p=lambda g: 1 / (1 + np.exp(-g.logits)))
wrong_cross_entropy("best_word_for_p", "You take the best word for all that was said. The model says shares: "
                    "`softmax(logits)`.", p=lambda g: one_hot(g.logits, g.logits.argmax(axis=-1)))
wrong_cross_entropy("best_word_for_truth", "You take the model's best word for the right one. The right word is in "
                    "`targets`.", right=lambda g: one_hot(g.logits, g.logits.argmax(axis=-1)))

wrong_early("not_divided", "The gradient belongs to the *sum* of the surprises. The loss is their mean: "
            "divide by the number of labels that count.", n=lambda g: 1)
wrong_padding("divided_by_all_labels", PADDING_BELOW, n=lambda g: g.targets.size)
wrong_early("divided_by_rows", "You divide by the number of rows, B. " + SMALLER_N,
            n=lambda g: len(g.targets))
wrong_cross_entropy("divided_by_positions", "You divide by the number of positions in a row, T. " + SMALLER_N,
                    n=lambda g: g.targets.shape[-1])
wrong_early("divided_by_all_numbers", "You divide by the number of all logits. " + SMALLER_N,
            n=lambda g: g.logits.size)
wrong_cross_entropy("divided_by_words_too", "You divide by n_vocab as well. " + SMALLER_N,
                    n=lambda g: int(np.count_nonzero(g.counts)) * g.n_vocab)
wrong_early("divided_by_words", "You divide by n_vocab. " + SMALLER_N, n=lambda g: g.n_vocab)
wrong_cross_entropy("divided_twice", "You divide twice by the number of labels. Once.",
                    n=lambda g: int(np.count_nonzero(g.counts)) ** 2)
wrong_cross_entropy("divided_row_by_row", "Each row is divided by its own number of words. The loss is one mean over "
                    "all positions of the batch: divide all of them by the same number.",
                    result=lambda g: g.kept * g.dy / np.sum(g.counts, axis=-1)[..., None, None].astype(g.kept.dtype))
wrong_cross_entropy("divided_by_padding", "You divide by the number of positions that are left out. " + SMALLER_N,
                    n=lambda g: int(np.sum(g.targets == g.ignore_id)))
wrong_cross_entropy("multiplied", "You multiply by the number of labels. The loss is a mean: divide.",
                    result=lambda g: g.kept * (g.dy * g.n))

wrong_padding("padding_not_zeroed", PADDING_STAYS, kept=lambda g: g.d)
wrong_padding("nothing_ignored", EVERY_LABEL, **NO_PADDING)
wrong_cross_entropy("padding_of_p_only", "Where the label is `ignore_id`, p is 0 and the truth is still subtracted. "
                    "Put the whole difference to 0.", d=lambda g: g.p * g.counts[..., None] - g.truth,
                    kept=lambda g: g.d)
wrong_cross_entropy("padding_of_truth_only", "Where the label is `ignore_id`, the truth is 0 and p is still there. Put "
                    "the whole difference to 0.", d=lambda g: g.p - g.truth * g.counts[..., None], kept=lambda g: g.d)
wrong_cross_entropy("padding_turned", "Only the padding has a gradient: the comparison is turned around. What is *not* "
                    "`ignore_id` counts.", kept=lambda g: g.d * (g.targets == g.ignore_id)[..., None])
wrong_cross_entropy("padding_turned_and_counted", "Only the padding counts: the comparison is turned around. What is "
                    "*not* `ignore_id` counts.", counts=lambda g: g.targets == g.ignore_id)
wrong_padding("if_ignore_id", "`if ignore_id` is false for the id 0, which is padding's. Ask `ignore_id is not "
              "None`, or compare without asking: `targets != ignore_id` is true everywhere for None.",
              counts=lambda g: g.targets != (g.ignore_id or None))
wrong_cross_entropy("always_padding", "The id 0 is left out whatever `ignore_id` says. None means that every position "
                    "counts.", counts=lambda g: g.targets != 0)
wrong_cross_entropy("padding_for_none", "Where `ignore_id` is None you leave out the id 0. None means that every "
                    "position counts.", counts=lambda g: g.targets != (g.ignore_id or 0))
wrong_cross_entropy("not_none", "You count no position where `ignore_id` is None. None means that all of them count: "
                    "`targets != None` is true everywhere.",
                    counts=lambda g: np.full(g.targets.shape, g.ignore_id is not None) & (g.targets != g.ignore_id))
wrong_cross_entropy("word_ignored", A_WORD, kept=lambda g: g.d * (np.arange(g.n_vocab) != g.ignore_id))
wrong_cross_entropy("word_ignored_in_p", A_WORD, p=lambda g: softmax(g.logits) * (np.arange(g.n_vocab) != g.ignore_id))
wrong_cross_entropy("counts_unlined", AXIS_FOR_WORDS, kept=lambda g: g.d * g.counts)
wrong_padding("padding_left_out", "Positions that do not count are left out of the result. It has the shape of "
              "logits: there they are 0.", kept=lambda g: g.d[g.counts])
wrong_cross_entropy("if_with_an_array", "`if`, `not` and `and` take one truth value, not an array of them. `targets != "
                    "ignore_id` is an array: multiply by it, or use it as an index.",
                    counts=lambda g: not g.targets == g.ignore_id)

wrong_cross_entropy("dy_ignored", DY, **NO_DY)
wrong_cross_entropy("dy_ignored_unsmoothed", DY, **NO_DY, **NO_SMOOTHING)
wrong_cross_entropy("divided_by_dy", "You divide by dy. Slopes multiply.", result=lambda g: g.kept / (g.dy * g.n))
wrong_cross_entropy("dy_added", "You add dy. Slopes in a row multiply.", result=lambda g: g.kept / g.n + g.dy)
wrong_cross_entropy("loss_for_dy", "You multiply by the loss. The gradient that arrives at it is dy; how large the "
                    "loss is does not matter.", result=lambda g: g.kept * (g.loss / g.n))
wrong_cross_entropy("loss_and_dy", "You multiply by the loss, too. How large the loss is does not matter: dy alone.",
                    result=lambda g: g.kept * (g.dy * g.loss / g.n))
wrong_cross_entropy("dy_as_a_stack", "dy is one number, the gradient of the loss. It has no axes to index.",
                    result=lambda g: g.kept * g.dy[..., None] / g.n)

wrong_cross_entropy("no_smoothing", "`label_smoothing` is not used. With it, the truth is 1 - s at the right word, and "
                    "s divided by n_vocab is added at every word.", **NO_SMOOTHING)
wrong_cross_entropy("always_smoothed", "You smooth by 0.1 whatever the caller says. Use the argument, which is 0.0 by "
                    "default.", truth=lambda g: 0.9 * g.right + 0.1 / g.n_vocab)
wrong_cross_entropy("smoothing_added", "The truth adds up to more than 1. The right word gives what is spread: 1 - s.",
                    truth=lambda g: g.right + g.s / g.n_vocab)
wrong_cross_entropy("smoothing_half", "What was taken from the right word goes missing. s divided by n_vocab is added "
                    "at every word.", truth=lambda g: (1 - g.s) * g.right)
wrong_cross_entropy("right_word_without_its_part", ITS_SHARE_OF_S,
                    truth=lambda g: np.where(g.right > 0, 1 - g.s, g.s / g.n_vocab).astype(g.p.dtype))
wrong_cross_entropy("spread_over_others", "You spread s over the n_vocab - 1 other words. It is spread over all "
                    "n_vocab words, the right one too.",
                    truth=lambda g: (1 - g.s) * g.right + g.s / (g.n_vocab - 1) * (1 - g.right))
wrong_cross_entropy("one_over_what_is_spread", "The right word gets all of 1, and the others have s divided by n_vocab "
                    "besides: more than 1 in all. It gets 1 - s, plus its part of s.",
                    truth=lambda g: np.where(g.right > 0, 1, g.s / g.n_vocab).astype(g.p.dtype))
wrong_cross_entropy("spread_over_one_less_but_at_the_right_word", "The wrong words get s divided by n_vocab - 1 each, "
                    "and the right one a part of s besides: more than 1 in all. Divide by n_vocab at every word.",
                    truth=lambda g: np.where(g.right > 0, 1 - g.s + g.s / g.n_vocab,
                                             g.s / (g.n_vocab - 1)).astype(g.p.dtype))
wrong_cross_entropy("spread_over_one_less", "You divide s by n_vocab - 1, and add it at every word: more than 1 in "
                    "all. Divide by n_vocab.", truth=lambda g: (1 - g.s) * g.right + g.s / (g.n_vocab - 1))
wrong_cross_entropy("s_undivided", "Every word gets all of s. It is spread evenly: s divided by n_vocab for each.",
                    truth=lambda g: (1 - g.s) * g.right + g.s)
wrong_cross_entropy("s_over_positions", "You divide s by the number of positions. It is spread over the words: divide "
                    "by n_vocab.", truth=lambda g: (1 - g.s) * g.right + g.s / g.targets.size)
wrong_cross_entropy("s_for_wrong_words", "The wrong words get all of s each, and the right one 1 - s. s is spread over "
                    "all words: divided by n_vocab, it is added at each.",
                    truth=lambda g: np.where(g.right > 0, 1 - g.s, g.s).astype(g.p.dtype))
wrong_cross_entropy("shares_exchanged", "The two parts have changed places. The right word has 1 - s, and s is spread.",
                    truth=lambda g: g.s * g.right + (1 - g.s) / g.n_vocab)
wrong_cross_entropy("s_subtracted", "You subtract s / n_vocab from the truth. It is *added*, at every word: the truth "
                    "adds up to 1.", truth=lambda g: (1 - g.s) * g.right - g.s / g.n_vocab)
wrong_cross_entropy("p_smoothed", "You smooth the difference, p with it. Only the truth is smoothed: p minus that.",
                    d=lambda g: (1 - g.s) * (g.p - g.right) + g.s / g.n_vocab)
wrong_cross_entropy("whole_smoothed", "The share 1 - s multiplies p, too, and what is spread is missing. Only the "
                    "truth is smoothed: p minus that.", d=lambda g: (1 - g.s) * (g.p - g.right))
wrong_cross_entropy("smoothed_shares", "You smooth p. What is smoothed is the truth.",
                    d=lambda g: (1 - g.s) * g.p + g.s / g.n_vocab - g.right)

for name, places in (("", lambda g: (..., g.targets)), ("_in_axis_1", lambda g: (slice(None), g.targets))):
    wrong_cross_entropy(f"every_target{name}", EVERY_TARGET,
                        d=lambda g, places=places: gathered_once(g.p, places(g), -1) + g.p)
wrong_cross_entropy("targets_as_rows", "`[targets]` takes whole rows, those with the numbers of the ids. From each row "
                    "one word is wanted: see the hint.", d=lambda g: gathered_once(g.p, g.targets, -1) + g.p)
wrong_cross_entropy("one_sequence", FOR_ONE_SEQUENCE,
                    right=lambda g: gathered_once(g.p, (np.arange(len(g.targets)), g.targets), 1))
wrong_cross_entropy("three_axes", "Right for a batch, (B, T). There may be fewer or more axes: `np.put_along_axis` "
                    "takes any, as does comparing `targets[..., None]` with `np.arange(n_vocab)`.",
                    right=lambda g: gathered_once(g.p, np.ix_(*map(range, g.p.shape[:2]))
                                                  + (g.targets.reshape(g.p.shape[:2]),), 1))
wrong_cross_entropy("targets_unlined", AXIS_FOR_WORDS,
                    right=lambda g: (g.targets == np.arange(g.n_vocab)).astype(g.p.dtype))
wrong_cross_entropy("put_unlined", "`np.put_along_axis` and `np.take_along_axis` need as many axes in both arrays: "
                    "`targets[..., None]`.", right=lambda g: np.take_along_axis(g.p, g.targets, axis=-1))
wrong_cross_entropy("put_unlined_writing", "`np.put_along_axis` and `np.take_along_axis` need as many axes in both "
                    "arrays: `targets[..., None]`.",
                    right=lambda g: np.put_along_axis(0 * g.p, g.targets, 1.0, axis=-1))
for name, truth in (("", lambda g, put: put), ("_times", lambda g, put: put * (1 - g.s)),
                    ("_times_from_the_left", lambda g, put: (1 - g.s) * put),
                    ("_plus", lambda g, put: put + g.s / g.n_vocab),
                    ("_plus_from_the_left", lambda g, put: g.s / g.n_vocab + put),
                    ("_multiplied", lambda g, put: operator.imul(put, 1 - g.s)),
                    ("_increased", lambda g, put: operator.iadd(put, g.s / g.n_vocab)),
                    ("_indexed", lambda g, put: put[g.counts])):
    wrong_cross_entropy(f"nothing_from_put{name}", "`np.put_along_axis` writes into its first argument and returns "
                        "None. Do not assign what it returns.", truth=lambda g, truth=truth: truth(
                            g, np.put_along_axis(0 * g.p, g.targets[..., None], 1.0, axis=-1)))

wrong_cross_entropy("one_number", "You add up the gradients of all logits. Each has its own: the shape of logits.",
                    result=lambda g: np.sum(g.kept) * g.dy / g.n)
wrong_cross_entropy("summed_over_positions", "You add up the positions. Each has a gradient for each of its logits: "
                    "the shape of logits.",
                    result=lambda g: rows_of(g.kept).sum(axis=0) * (g.dy / g.n))
wrong_cross_entropy("mean_of_positions", "You take the mean over the positions. Divide by their number, but do not add "
                    "them up: each has a gradient for each of its logits.",
                    result=lambda g: rows_of(g.d).mean(axis=0) * g.dy)
wrong_cross_entropy("left_in_rows", "The positions still lie below one another. The result has the shape of logits: "
                    "`reshape(logits.shape)`.", result=lambda g: rows_of(g.kept) * (g.dy / g.n))
wrong_cross_entropy("in_a_tuple", "One array is asked for, d_logits. ids are no numbers to be moved: return no tuple.",
                    result=lambda g: (g.kept * (g.dy / g.n), None))
wrong_cross_entropy("in_a_tuple_of_four", "One array is asked for, d_logits. ids are no numbers to be moved: return no "
                    "tuple.", result=lambda g: (g.kept * (g.dy / g.n), None, None, None))
wrong_cross_entropy("numpys_integer", TO_FLOAT64, n=lambda g: np.sum(g.counts))
wrong_cross_entropy("bools_divided", TO_FLOAT64, result=lambda g: g.d * (g.counts[..., None] / g.n * g.dy))
wrong_cross_entropy("ones_of_float64", TO_FLOAT64, right=lambda g: np.eye(g.n_vocab)[g.targets])


@CROSS_ENTROPY_GRADIENT.mistake(NEW_ARRAY)
def logits_written(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    logits -= np.max(logits, axis=-1, keepdims=True)
    return cross_entropy_gradient(dy, loss, logits, targets, ignore_id, label_smoothing)


@CROSS_ENTROPY_GRADIENT.mistake(NEW_ARRAY)
def gradient_in_logits(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    logits[...] = cross_entropy_gradient(dy, loss, logits, targets, ignore_id, label_smoothing)
    return logits


@CROSS_ENTROPY_GRADIENT.mistake("You write into `targets`, which the caller still needs. Compare, and leave it as it "
                                "is: `targets != ignore_id`.")
def targets_written(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    right = cross_entropy_gradient(dy, loss, logits, targets, ignore_id, label_smoothing)
    targets[targets == ignore_id] = 1
    return right


@CROSS_ENTROPY_GRADIENT.alternative
def written_into_p(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    d, ids = rows_of(softmax(logits)), targets.reshape(-1)
    d -= label_smoothing / d.shape[-1]
    d[np.arange(len(ids)), ids] -= 1 - label_smoothing
    d[ids == ignore_id] = 0
    return (d * dy / len(ids[ids != ignore_id])).reshape(logits.shape)


@CROSS_ENTROPY_GRADIENT.alternative
def by_comparing(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    words = np.arange(logits.shape[-1])
    low = label_smoothing / len(words)
    truth = np.where(targets[..., None] == words, 1 - label_smoothing + low, low)
    counts = np.ones(targets.shape, bool) if ignore_id is None else targets != ignore_id
    d = np.where(counts[..., None], np.exp(log_softmax(logits)) - truth, 0.0)
    return np.asarray(dy * d / np.mean(counts) / targets.size, logits.dtype)


@CROSS_ENTROPY_GRADIENT.alternative
def position_by_position(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    d, n = np.zeros_like(logits), sum(int(word) != ignore_id for word in targets.flat)
    for i in np.ndindex(targets.shape):
        if targets[i] != ignore_id:
            d[i] = softmax(logits[i]) - label_smoothing / logits.shape[-1]
            d[i][targets[i]] -= 1 - label_smoothing
    return d / n * dy


@CROSS_ENTROPY_GRADIENT.alternative
def by_ones_of_the_dtype(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    n_vocab, dtype = logits.shape[-1], logits.dtype
    truth = (1 - label_smoothing) * np.eye(n_vocab, dtype=dtype)[targets] + label_smoothing / n_vocab
    weights = (targets != ignore_id).astype(dtype)
    weights *= dy / np.sum(weights)
    return np.einsum("...n,...->...n", softmax(logits) - truth, weights)


@CROSS_ENTROPY_GRADIENT.alternative
def through_log_softmax(dy, loss, logits, targets, ignore_id=None, label_smoothing=0.0):
    d_log_p = np.full(logits.shape, -label_smoothing / logits.shape[-1])
    np.put_along_axis(d_log_p, targets[..., None], d_log_p[..., :1] + label_smoothing - 1, axis=-1)
    d_log_p *= dy * (targets != ignore_id)[..., None] / (targets != ignore_id).sum()
    d = d_log_p - softmax(logits) * d_log_p.sum(axis=-1, keepdims=True)
    return d.astype(logits.dtype)


# ---- layer_norm_gradient ------------------------------------------------------------------------------------------

def layer_norm_gradient_inputs():
    def case(title, axes, dy, x, gamma):
        scale = 1 / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)
        x_hat = (x - np.mean(x, axis=-1, keepdims=True)) * scale
        return Case(title, (dy, x_hat, scale, gamma), axes=(f"{axes} D".strip(), "D", "D"))
    small = np.array([[0.01, 0.02, -0.01, 0.0], [0.5, 0.5, 0.5, 0.5], [1.0, -2.0, 3.0, 0.5]])
    return [
        case("two rows of three numbers", "T", np.array([[1.0, 0, 0], [0, 2, -1]]), np.array([[1.0, 2, 6], [4, 0, -1]]),
             np.array([1.0, 2.0, -1.0])),
        case("four rows of five", "T", normal(4, 5, seed=61), normal(4, 5, seed=62, around=2), normal(5, seed=63)),
        case("a batch; B=2, T=4, D=3", "B T", normal(2, 4, 3, seed=64), normal(2, 4, 3, seed=65), normal(3, seed=66)),
        case("all sizes equal", "T", normal(3, 3, seed=67), normal(3, 3, seed=68), normal(3, seed=69)),
        case("one row, dy of shape (D,)", "", normal(4, seed=70), normal(4, seed=71), normal(4, seed=72)),
        case("two leading axes", "B H T", normal(2, 3, 2, 5, seed=73), normal(2, 3, 2, 5, seed=74, scale=3),
             normal(5, seed=75)),
        case("small numbers and a constant row, where ε counts", "T", normal(3, 4, seed=76), small, normal(4, seed=77)),
        case("float32, transposed views", "T", normal(4, 3, seed=78, dtype=np.float32).T,
             normal(4, 3, seed=79, dtype=np.float32).T, normal(4, seed=80, dtype=np.float32)),
    ]


LAYER_NORM_GRADIENT = Exercise(layer_norm_gradient, layer_norm_gradient_inputs, seen=leaks_alike(layer_norm_gradient))


def mean_last(x):
    return np.mean(x, axis=-1, keepdims=True)


wrong_norm = mistakes_in_steps(
    LAYER_NORM_GRADIENT, lambda dy, x_hat, scale, gamma: SimpleNamespace(dy=dy, x_hat=x_hat, scale=scale, gamma=gamma,
                                                                         D=dy.shape[-1]), {
        "d": lambda g: g.dy * g.gamma,
        "mean": lambda g: mean_last(g.d),
        "along": lambda g: mean_last(g.d * g.x_hat),
        "inner": lambda g: g.d - g.mean - g.x_hat * g.along,
        "dx": lambda g: g.scale * g.inner,
        "d_gamma": lambda g: sum_rows(g.dy * g.x_hat),
        "d_beta": lambda g: sum_rows(g.dy),
        "result": lambda g: (g.dx, g.d_gamma, g.d_beta)})

MEANS = ("You have a sum where the formula has a mean. `sum_last` and `dot_last` give sums: divide by D, "
         "`dy.shape[-1]`.")
BOTH_OF_D = ("In the means you took dy. All three terms are made of the same, dy * gamma: give it a name.")
KEEP_THE_ROWS = ("The axis of the means is gone, and they do not line up with their rows any more. Keep it, (..., 1): "
                 "`keepdims=True`, or `sum_last`.")
OWN_MEANS = ("You take a mean of everything. Each row was normalized by itself, and has means of its own: along the "
             "last axis, kept.")
EACH_ROW = "The means run along the wrong axis. Each row was normalized by itself: along the last one."
ALONG_X_HAT = ("The part along x_hat is a multiple of x_hat. The mean is a number for each row, and x_hat is "
               "multiplied by it.")
STILL_ALONG_X_HAT = ("The part along x_hat is still there. Subtract x_hat times the mean of dy * gamma * x_hat: first "
                     "the product, then its mean. (The mean of x_hat alone is 0.)")
SCALE_FOR_ALL = "scale stands in front of the brackets: it multiplies all three terms."
ONE_SCALE = "There is a scale too many: it stands once, in front of the brackets."
PARTS_ARE_SUBTRACTED = "You add a part that has to go. Both are *subtracted* from dy * gamma."
WHOLE_STACK = ("gamma and beta belong to all rows of the stack, on however many axes. `sum_rows` sums over all but the "
               "last.")

wrong_norm("naive", "Both means are missing. x moves the mean and the variance, too: without the part along a "
           "constant and that along x_hat, the rows of dx do not sum to 0.", inner=lambda g: g.d)
wrong_norm("without_mean", "The part along a constant is still there, so the rows of dx do not sum to 0. Subtract the "
           "mean of dy * gamma.", inner=lambda g: g.d - g.x_hat * g.along)
wrong_norm("without_along", STILL_ALONG_X_HAT, inner=lambda g: g.d - g.mean)
wrong_norm("sums", MEANS, mean=lambda g: g.d.sum(axis=-1, keepdims=True),
           along=lambda g: np.sum(g.d * g.x_hat, axis=-1, keepdims=True))
wrong_norm("sum_for_mean", "The first part is a sum, and it is a mean: divide by D, `dy.shape[-1]`.",
           mean=lambda g: g.d.sum(axis=-1, keepdims=True))
wrong_norm("sum_for_along", "The part along x_hat has a sum, and it is a mean: divide by D, `dy.shape[-1]`.",
           along=lambda g: np.sum(g.d * g.x_hat, axis=-1, keepdims=True))
wrong_norm("d_not_times_D", "You divide everything by D. With sums in place of means that is right only if dy * gamma "
           "is multiplied by D before.", inner=lambda g: (g.d - g.D * g.mean - g.D * g.x_hat * g.along) / g.D)
wrong_norm("D_times", "With sums in place of means, and D times the first term, the whole has to be divided by D.",
           inner=lambda g: g.D * g.d - g.D * g.mean - g.D * g.x_hat * g.along)
wrong_norm("one_less_than_D", "You divide by D - 1. The variance of layer norm divides by D, and so do both means.",
           mean=lambda g: g.d.sum(axis=-1, keepdims=True) / (g.D - 1),
           along=lambda g: np.sum(g.d * g.x_hat, axis=-1, keepdims=True) / (g.D - 1))
wrong_norm("along_by_one_less_than_D", "In the part along x_hat you divide by D - 1. The variance of layer norm "
           "divides by D.", along=lambda g: np.sum(g.d * g.x_hat, axis=-1, keepdims=True) / (g.D - 1))
wrong_norm("divided_by_rows", "You divide by the number of rows. A mean along a row divides by D, `dy.shape[-1]`.",
           mean=lambda g: g.d.sum(axis=-1, keepdims=True) / len(g.d),
           along=lambda g: np.sum(g.d * g.x_hat, axis=-1, keepdims=True) / len(g.d))
for name, powers in (("both_means", (0.5, 0.5)), ("mean", (0.5, 1)), ("along", (1, 0.5))):
    wrong_norm(f"root_of_D_below_{name}", "You divide by the root of D. A mean divides by D itself, `dy.shape[-1]`.",
               mean=lambda g, power=powers[0]: g.d.sum(axis=-1, keepdims=True) / g.D**power,
               along=lambda g, power=powers[1]: np.sum(g.d * g.x_hat, axis=-1, keepdims=True) / g.D**power)
wrong_norm("projected", "You divide by the length of x_hat squared, which is not quite D: ε is in scale. The formula "
           "has the mean, divided by D.", along=lambda g: np.sum(g.d * g.x_hat, axis=-1, keepdims=True) / np.sum(
               g.x_hat**2, axis=-1, keepdims=True))
wrong_norm("means_of_columns", EACH_ROW, mean=lambda g: g.d.mean(axis=0, keepdims=True),
           along=lambda g: np.mean(g.d * g.x_hat, axis=0, keepdims=True))
wrong_norm("means_of_positions", EACH_ROW, mean=lambda g: g.d.mean(axis=-2, keepdims=True),
           along=lambda g: np.mean(g.d * g.x_hat, axis=-2, keepdims=True))
wrong_norm("means_of_axis_1", EACH_ROW, mean=lambda g: g.d.mean(axis=1, keepdims=True),
           along=lambda g: np.mean(g.d * g.x_hat, axis=1, keepdims=True))
wrong_norm("means_of_everything", OWN_MEANS, mean=lambda g: g.d.mean(), along=lambda g: np.mean(g.d * g.x_hat))
wrong_norm("no_axis_at_all", OWN_MEANS, mean=lambda g: g.d.mean(), along=lambda g: np.mean(g.d * g.x_hat),
           d_gamma=lambda g: np.sum(g.dy * g.x_hat), d_beta=lambda g: np.sum(g.dy))
wrong_norm("mean_of_everything", OWN_MEANS, mean=lambda g: g.d.mean())
wrong_norm("along_of_everything", OWN_MEANS, along=lambda g: np.mean(g.d * g.x_hat))
wrong_norm("axis_lost", KEEP_THE_ROWS, mean=lambda g: g.d.mean(axis=-1),
           along=lambda g: np.mean(g.d * g.x_hat, axis=-1))
wrong_norm("axis_of_mean_lost", KEEP_THE_ROWS, mean=lambda g: g.d.mean(axis=-1))
wrong_norm("axis_of_along_lost", KEEP_THE_ROWS, along=lambda g: np.mean(g.d * g.x_hat, axis=-1))
wrong_norm("axis_of_scale_lost", "scale is (..., 1), and lines up with its rows as it is. Leave it so.",
           dx=lambda g: g.scale[..., 0] * g.inner)
wrong_norm("along_without_x_hat", ALONG_X_HAT, inner=lambda g: g.d - g.mean - g.along)
wrong_norm("along_not_summed", "The product dy * gamma * x_hat is not averaged. It takes the mean of each row first; "
           "x_hat is multiplied by that.", along=lambda g: g.d * g.x_hat)
wrong_norm("along_of_d", "The mean in the last term is of dy * gamma * x_hat. Yours has no x_hat in it.",
           along=lambda g: g.mean)
for name, along in (("d", lambda g: g.d * g.d), ("dy", lambda g: g.dy * g.dy), ("d_and_dy", lambda g: g.d * g.dy)):
    wrong_norm(f"along_of_squares_of_{name}", "The mean in the last term is of dy * gamma * x_hat. Yours has no x_hat "
               "in it.", along=lambda g, along=along: mean_last(along(g)))
wrong_norm("along_of_x_hat", STILL_ALONG_X_HAT, along=lambda g: mean_last(g.x_hat))
wrong_norm("product_of_means", STILL_ALONG_X_HAT, along=lambda g: g.mean * mean_last(g.x_hat))
wrong_norm("brackets_around_x_hat", "The brackets are in the wrong place. x_hat times its mean is one term; only then "
           "is it subtracted.", inner=lambda g: (g.d - g.mean - g.x_hat) * g.along)
wrong_norm("x_hat_squared", "There is an x_hat too many in the last term: once in the mean, once in front of it.",
           inner=lambda g: g.d - g.mean - g.x_hat**2 * g.along)
wrong_norm("mean_added", PARTS_ARE_SUBTRACTED, inner=lambda g: g.d + g.mean - g.x_hat * g.along)
wrong_norm("along_added", PARTS_ARE_SUBTRACTED, inner=lambda g: g.d - g.mean + g.x_hat * g.along)
wrong_norm("both_added", PARTS_ARE_SUBTRACTED, inner=lambda g: g.d + g.mean + g.x_hat * g.along)
wrong_norm("sign_turned", "The sign of dx is turned: dy * gamma has a plus, its two parts a minus.",
           dx=lambda g: -g.scale * g.inner)
wrong_norm("only_the_parts", "dy * gamma is missing: these are the parts that go. Subtract them from it.",
           inner=lambda g: -g.mean - g.x_hat * g.along)

wrong_norm("gamma_forgotten", "gamma is missing in dx. y is gamma * x_hat + beta, so what arrives at x_hat is dy * "
           "gamma.", d=lambda g: g.dy)
wrong_norm("gamma_after", "gamma comes last, and it has to come first: on the way back dy meets gamma, then the "
           "norm. The means are of dy * gamma.", d=lambda g: g.dy, dx=lambda g: g.gamma * g.scale * g.inner)
wrong_norm("gamma_twice", "gamma is in dx twice. It multiplies dy, and that is all.",
           dx=lambda g: g.gamma * g.scale * g.inner)
wrong_norm("divided_by_gamma", "You divide by gamma. Slopes multiply: dy * gamma.", d=lambda g: g.dy / g.gamma)
wrong_norm("gamma_added", "You add gamma. Slopes multiply: dy * gamma.", d=lambda g: g.dy + g.gamma)
wrong_norm("gamma_as_a_product", "`@` is the matrix product. gamma multiplies number by number, and so does its rule: "
           "`dy * gamma`.", d=lambda g: g.dy @ g.gamma)
wrong_norm("means_of_dy", BOTH_OF_D, mean=lambda g: mean_last(g.dy), along=lambda g: mean_last(g.dy * g.x_hat))
wrong_norm("mean_of_dy", BOTH_OF_D, mean=lambda g: mean_last(g.dy))
wrong_norm("along_of_dy", BOTH_OF_D, along=lambda g: mean_last(g.dy * g.x_hat))
wrong_norm("dy_in_front", "The first term is dy * gamma, like those in the means. Yours is dy.",
           inner=lambda g: g.dy - g.mean - g.x_hat * g.along)
wrong_norm("scale_forgotten", "scale is missing. x_hat is (x - mean) * scale, so dx is multiplied by it.",
           dx=lambda g: g.inner)
wrong_norm("divided_by_scale", "You divide by scale. It is 1 / sqrt(variance + ε) already: multiply.",
           dx=lambda g: g.inner / g.scale)
wrong_norm("scale_squared", ONE_SCALE, dx=lambda g: g.scale**2 * g.inner)
wrong_norm("scale_cubed", ONE_SCALE, dx=lambda g: g.scale**3 * g.inner)
wrong_norm("scale_in_the_last_term", ONE_SCALE, inner=lambda g: g.d - g.mean - g.scale * g.x_hat * g.along)
wrong_norm("scale_squared_in_the_last_term", ONE_SCALE, inner=lambda g: g.d - g.mean - g.scale**2 * g.x_hat * g.along)
wrong_norm("root_of_scale", "You take a root of scale. It is 1 / sqrt(variance + ε) already.",
           dx=lambda g: g.inner * np.sqrt(g.scale))
wrong_norm("divided_by_root_of_scale", "You take scale for the variance. It is 1 / sqrt(variance + ε) already: "
           "multiply.", dx=lambda g: g.inner / np.sqrt(g.scale + g.scale.dtype.type(1e-5)))
wrong_norm("divided_by_root_of_scale_alone", "You take scale for the variance. It is 1 / sqrt(variance + ε) already: "
           "multiply.", dx=lambda g: g.inner / np.sqrt(g.scale))
wrong_norm("scale_of_first_term", SCALE_FOR_ALL, dx=lambda g: g.scale * g.d - g.mean - g.x_hat * g.along)
wrong_norm("scale_of_two_terms", SCALE_FOR_ALL, dx=lambda g: g.scale * (g.d - g.mean) - g.x_hat * g.along)
wrong_norm("x_for_x_hat", "You undo the scale of x_hat. All formulas are in x_hat, as it is.",
           along=lambda g: mean_last(g.d * g.x_hat / g.scale), d_gamma=lambda g: sum_rows(g.dy * g.x_hat / g.scale),
           inner=lambda g: g.d - g.mean - g.x_hat / g.scale * g.along)
wrong_norm("normalized_again", "You normalize x_hat once more. It is normalized already, but for ε: use it as it is.",
           d=lambda g: renormalized(g), along=lambda g: mean_last(g.d * g.x_hat))


def renormalized(g):
    g.x_hat = (g.x_hat - mean_last(g.x_hat)) / np.sqrt(np.var(g.x_hat, axis=-1, keepdims=True) + 1e-5)
    return g.dy * g.gamma


wrong_norm("d_gamma_with_gamma", "gamma itself has no place in d_gamma. It multiplied x_hat: sum dy * x_hat.",
           d_gamma=lambda g: sum_rows(g.d * g.x_hat))
wrong_norm("d_gamma_times_gamma", "gamma itself has no place in d_gamma. It multiplied x_hat: sum dy * x_hat.",
           d_gamma=lambda g: sum_rows(g.dy * g.gamma))
wrong_norm("d_gamma_without_x_hat", "x_hat is missing in d_gamma. gamma multiplied it: sum dy * x_hat.",
           d_gamma=lambda g: sum_rows(g.dy))
wrong_norm("d_gamma_without_dy", "dy is missing in d_gamma. Sum dy * x_hat over all rows.",
           d_gamma=lambda g: sum_rows(g.x_hat))
for name, d_gamma in (("dy", lambda g: sum_rows(g.dy) * g.x_hat), ("x_hat", lambda g: g.dy * sum_rows(g.x_hat)),
                      ("both", lambda g: sum_rows(g.dy) * sum_rows(g.x_hat)),
                      ("dy_again", lambda g: sum_rows(sum_rows(g.dy) * g.x_hat))):
    wrong_norm(f"d_gamma_of_summed_{name}", "In d_gamma the sum comes too early. Each row of dy belongs to its own row "
               "of x_hat: multiply first, then sum.", d_gamma=d_gamma)
wrong_norm("d_gamma_of_x", "You undo the scale of x_hat. gamma multiplied x_hat itself: sum dy * x_hat.",
           d_gamma=lambda g: sum_rows(g.dy * g.x_hat / g.scale))
wrong_norm("d_gamma_of_dx", "You made d_gamma from dx. gamma comes before the norm on the way back: sum dy * x_hat.",
           d_gamma=lambda g: sum_rows(g.dx * g.x_hat))
wrong_norm("d_gamma_with_scale", "scale is in x_hat already. d_gamma is the sum of dy * x_hat.",
           d_gamma=lambda g: sum_rows(g.dy * g.x_hat * g.scale))
wrong_norm("d_beta_with_gamma", "gamma has no place in d_beta. beta was added after it: sum dy.",
           d_beta=lambda g: sum_rows(g.d))
wrong_norm("d_beta_with_x_hat", "x_hat has no place in d_beta. beta was added, with slope 1: sum dy.",
           d_beta=lambda g: sum_rows(g.dy * g.x_hat))
wrong_norm("d_both_with_gamma", "gamma has no place in d_gamma and d_beta. They are the sums of dy * x_hat and of dy.",
           d_gamma=lambda g: sum_rows(g.d * g.x_hat), d_beta=lambda g: sum_rows(g.d))
wrong_norm("d_beta_of_dx", "You made d_beta from dx. beta comes before the norm on the way back: sum dy.",
           d_beta=lambda g: sum_rows(g.dx))
wrong_norm("d_beta_of_ones", "dy is missing in d_beta. beta collects dy from every row.",
           d_beta=lambda g: np.full_like(g.gamma, g.dy.size // g.D))


def wrong_sums(name, sentence, summed):
    """Register a mistake in the sums over the rows, made in d_gamma, in d_beta and in both."""
    parts = {"d_gamma": lambda g: summed(g.dy * g.x_hat), "d_beta": lambda g: summed(g.dy)}
    wrong_norm(f"both_{name}", sentence, **parts)
    for part, step in parts.items():
        wrong_norm(f"{part}_{name}", sentence, **{part: step})


wrong_sums("along_rows", "You sum along the last axis. gamma and beta have a number for each of the D places: sum over "
           "the *rows*, and the last axis stays.", lambda x: x.sum(axis=-1))
wrong_sums("along_rows_kept", "You sum along the last axis. gamma and beta have a number for each of the D places: sum "
           "over the *rows*, and the last axis stays.", lambda x: x.sum(axis=-1, keepdims=True))
wrong_sums("averaged", "You take means over the rows. What all rows contribute to gamma and beta is added up.",
           lambda x: rows_of(x).mean(axis=0))
wrong_sums("in_one_number", "You sum over everything. gamma and beta have a number for each of the D places: sum over "
           "the rows only.", lambda x: x.sum())
wrong_sums("not_summed", "There is one gamma and one beta for all rows: sum what arrives over the rows. (D,) is what "
           "remains.", lambda x: x * 1)
wrong_sums("of_first_axis", WHOLE_STACK, lambda x: x.sum(axis=0))
wrong_sums("of_first_axis_of_stacks", WHOLE_STACK, lambda x: x.sum(axis=0) if x.ndim > 1 else x)
wrong_sums("of_first_two_axes", WHOLE_STACK, lambda x: x.sum(axis=(0, 1)))
wrong_sums("of_second_last_axis", WHOLE_STACK, lambda x: x.sum(axis=-2))
wrong_sums("with_an_axis_too_many", "The summed axes are kept, with size 1. gamma and beta are (D,): no `keepdims`.",
           lambda x: rows_of(x).sum(axis=0, keepdims=True))
wrong_sums("with_axes_too_many", "The summed axes are kept, with size 1. gamma and beta are (D,): no `keepdims`.",
           lambda x: x.sum(axis=tuple(range(x.ndim - 1)), keepdims=True))
wrong_sums("of_float64", LEAK, lambda x: np.ones(len(rows_of(x))) @ rows_of(x))
wrong_norm("dx_of_float64", LEAK, dx=lambda g: np.zeros(g.dy.shape) + g.scale * g.inner)
wrong_norm("all_of_float64", LEAK, result=lambda g: tuple(x.astype(float) for x in (g.dx, g.d_gamma, g.d_beta)))

wrong_norm("dx_in_rows", "dx is still in rows, (N, D). It has the shape of dy: `reshape(dy.shape)`.",
           dx=lambda g: rows_of(g.scale * g.inner))
wrong_norm("only_dx", "This is dx alone. gamma and beta are moved as well: return dx, d_gamma, d_beta.",
           result=lambda g: g.dx)
wrong_norm("two_results", "d_beta is missing. Return dx, d_gamma, d_beta.", result=lambda g: (g.dx, g.d_gamma))
wrong_norm("four_results", "That is one too many. ε has no gradient: return dx, d_gamma, d_beta.",
           result=lambda g: (g.dx, g.d_gamma, g.d_beta, None))
for name, order in (("beta_second", "dx d_beta d_gamma"), ("dx_last", "d_gamma d_beta dx"),
                    ("turned", "d_beta d_gamma dx"), ("gamma_first", "d_gamma dx d_beta"),
                    ("beta_first", "d_beta dx d_gamma")):
    wrong_norm(f"order_{name}", "The results are in another order. They follow the arguments of `layer_norm`: dx, "
               "d_gamma, d_beta.", result=lambda g, order=order: tuple(getattr(g, part) for part in order.split()))

NOT_INTO_DY = ("You write into an array that others still need. `*=` and `-=` do that, and `dx = dy` is only another "
               "name. `dx = dy * gamma` makes a new one: into that you may write.")


@LAYER_NORM_GRADIENT.mistake(NOT_INTO_DY)
def dy_written_at_the_end(dy, x_hat, scale, gamma):
    results = layer_norm_gradient(dy, x_hat, scale, gamma)
    dy *= gamma
    return results


@LAYER_NORM_GRADIENT.mistake(NOT_INTO_DY)
def x_hat_written(dy, x_hat, scale, gamma):
    results = layer_norm_gradient(dy, x_hat, scale, gamma)
    x_hat *= mean_last(dy * gamma * x_hat)
    return results


@LAYER_NORM_GRADIENT.mistake(NOT_INTO_DY)
def x_hat_written_before_d_gamma(dy, x_hat, scale, gamma):
    dx = layer_norm_gradient(dy, x_hat, scale, gamma)[0]
    x_hat *= mean_last(dy * gamma * x_hat)
    return dx, sum_rows(dy * x_hat), sum_rows(dy)


@LAYER_NORM_GRADIENT.mistake(NOT_INTO_DY)
def x_hat_written_as_a_sum(dy, x_hat, scale, gamma):
    dx = layer_norm_gradient(dy, x_hat, scale, gamma)[0]
    x_hat *= np.sum(dy * gamma * x_hat, axis=-1, keepdims=True)
    return dx, sum_rows(dy * x_hat), sum_rows(dy)


@LAYER_NORM_GRADIENT.mistake(NOT_INTO_DY)
def x_hat_times_d_written(dy, x_hat, scale, gamma):
    results = layer_norm_gradient(dy, x_hat, scale, gamma)
    x_hat *= dy * gamma
    return results


@LAYER_NORM_GRADIENT.mistake("`dy *= gamma` writes into dy, which the caller still needs, and you as well: d_gamma and "
                             "d_beta are made of what dy was before. `dx = dy * gamma` makes a new array.")
def dy_written_at_the_start(dy, x_hat, scale, gamma):
    dy *= gamma
    return layer_norm_gradient(dy, x_hat, scale, np.ones_like(gamma))


@LAYER_NORM_GRADIENT.mistake(NOT_INTO_DY)
def dx_another_name(dy, x_hat, scale, gamma):
    dx, d_gamma, d_beta = layer_norm_gradient(dy, x_hat, scale, gamma)
    dy[...] = dx
    return dy, d_gamma, d_beta


@LAYER_NORM_GRADIENT.alternative
def with_np_mean(dy, x_hat, scale, gamma):
    d = dy * gamma
    dx = scale * (d - d.mean(-1, keepdims=True) - x_hat * (d * x_hat).mean(-1, keepdims=True))
    rows = tuple(range(dy.ndim - 1))
    return dx, np.sum(dy * x_hat, axis=rows), np.sum(dy, axis=rows)


@LAYER_NORM_GRADIENT.alternative
def with_sums(dy, x_hat, scale, gamma):
    D, d = dy.shape[-1], gamma * dy
    inner = D * d - np.sum(d, axis=-1, keepdims=True) - x_hat * np.einsum("...d,...d->...", d, x_hat)[..., None]
    return (scale / D * inner, np.einsum("nd,nd->d", rows_of(dy), rows_of(x_hat)), rows_of(dy).sum(axis=0))


@LAYER_NORM_GRADIENT.alternative
def through_mean_and_variance(dy, x_hat, scale, gamma):
    d, D, centered = dy * gamma, len(gamma), x_hat / scale
    d_variance = np.sum(d * centered, axis=-1, keepdims=True) * -0.5 * scale * scale * scale
    d_mean = -np.sum(d * scale, axis=-1, keepdims=True)
    dx = d * scale + d_variance * 2 * centered / D + d_mean / D
    return [dx, (dy * x_hat).reshape(-1, D).sum(0), dy.reshape(-1, D).sum(0)]


@LAYER_NORM_GRADIENT.alternative
def row_after_row(dy, x_hat, scale, gamma):
    dx, d_gamma, d_beta = np.empty_like(dy), np.zeros_like(gamma), np.zeros_like(gamma)
    for i in np.ndindex(dy.shape[:-1]):
        d = dy[i] * gamma
        dx[i] = (d - sum(d) / len(d) - x_hat[i] * np.dot(d, x_hat[i]) / len(d)) * scale[i]
        d_gamma += dy[i] * x_hat[i]
        d_beta += dy[i]
    return dx, d_gamma, d_beta


@LAYER_NORM_GRADIENT.alternative
def by_matrices(dy, x_hat, scale, gamma):
    D = dy.shape[-1]
    removed = (1 + x_hat[..., :, None] * x_hat[..., None, :]) / D
    dx = scale * ((np.eye(D, dtype=dy.dtype) - removed) @ (dy * gamma)[..., None])[..., 0]
    d_gamma, d_beta = dy * x_hat, dy
    while d_beta.ndim > 1:
        d_gamma, d_beta = d_gamma.sum(axis=0), d_beta.sum(axis=0)
    return dx, d_gamma, d_beta


@LAYER_NORM_GRADIENT.alternative
def centered_at_the_end(dy, x_hat, scale, gamma):
    d = np.multiply(dy, gamma)
    d = scale * (d - x_hat * np.mean(d * x_hat, axis=-1, keepdims=True))
    return d - np.mean(d, axis=-1, keepdims=True), sum_rows(dy * x_hat), sum_rows(dy)


# ---- embed_gradient -----------------------------------------------------------------------------------------------

def embed_gradient_inputs():
    def case(title, dy, ids, table):
        return Case(title, (dy, embed(ids, table), ids, table), axes=("", "n_vocab D"))
    return [
        case("id 1 stands twice, id 3 never", np.array([[1.0], [10.0], [100.0]]), np.array([1, 2, 1]),
             np.array([[5.0], [6.0], [7.0], [8.0]])),
        case("no id stands twice", normal(3, 2, seed=91), np.array([4, 0, 2]), normal(6, 2, seed=92)),
        case("one sequence; T=5, n_vocab=4, D=3", normal(5, 3, seed=93), np.array([2, 0, 2, 1, 2]),
             normal(4, 3, seed=94)),
        case("a batch; B=2, T=4, D=3", normal(2, 4, 3, seed=95), np.array([[5, 1, 5, 0], [1, 1, 2, 5]]),
             normal(7, 3, seed=96)),
        case("always the same id", normal(4, 2, seed=97), np.array([1, 1, 1, 1]), normal(3, 2, seed=98)),
        case("all sizes equal", normal(3, 3, seed=99), np.array([2, 0, 2]), normal(3, 3, seed=100)),
        case("one id, of shape ()", normal(3, seed=101), np.array(2), normal(4, 3, seed=102)),
        case("three axes, ids of int32", normal(2, 3, 2, 4, seed=103),
             np.array([[[1, 1], [0, 3], [3, 1]], [[0, 1], [4, 4], [1, 0]]], np.int32), normal(6, 4, seed=104)),
        case("float32, transposed views", normal(3, 4, 2, seed=105, dtype=np.float32).T,
             np.array([[1, 3], [3, 1], [0, 3], [1, 1]]).T, normal(3, 5, seed=106, dtype=np.float32).T),
    ]


EMBED_GRADIENT = Exercise(embed_gradient, embed_gradient_inputs, seen=leaks_alike(embed_gradient))
wrong_embed = mistakes_in_steps(
    EMBED_GRADIENT, lambda dy, y, ids, table: SimpleNamespace(dy=dy, y=y, ids=ids, table=table), {
        "flat": lambda g: np.ravel(g.ids),
        "rows": lambda g: rows_of(g.dy),
        "d_table": lambda g: gathered(g.table, g.flat, g.rows),
        "result": lambda g: (None, g.d_table)})


def counts_of(g):
    """How often each row was picked, (n_vocab, 1); 1 where it was not."""
    counts = np.bincount(g.flat, minlength=len(g.table))
    return np.maximum(counts, 1).astype(g.table.dtype)[:, None]


def put(array, place, values):
    """Zeros like the array, with values written at a place."""
    zeros = np.zeros_like(array)
    zeros[place] = values
    return zeros


ADDED_ONCE = ("A row that was picked several times got one part only: the last one overwrites the others, with `=` and "
              "with `d_table[ids] += dy`. Equal ids add up: `np.add.at` adds every time.")
TWO_RESULTS = "Two results are asked for, one for each argument of `embed`: `(None, d_table)`."
IDS_HAVE_NONE = "ids are no numbers to be moved, and have no gradient. Return None for them: `(None, d_table)`."
ONE_AXIS = ("Right for one sequence. ids may have any shape: `np.ravel(ids)`, with dy in as many rows, makes one of "
            "all of them.")
BOTH_FLAT = ("Only one of the two was flattened. `np.ravel(ids)` goes with dy in rows, (N, D); ids as they are go with "
             "dy as it is.")
TABLE_ITSELF = ("The numbers of the table are in your result. They have no place in its gradient: begin with zeros, "
                "`np.zeros_like(table)`.")
ALL_WORDS = ("The gradient has a row for every word of the table, picked or not: `np.zeros_like(table)` has the right "
             "shape.")
TURNED = ("Turn the one-hot rows, (N, n_vocab), on their side: transposed, they lead from N rows of dy to the n_vocab "
          "rows of the table.")
UNSORTED = ("`np.add.reduceat` adds up rows that lie side by side. Sort first, ids and rows of dy by the *same* order: "
            "`order = np.argsort(ids)`.")

wrong_embed("overwritten", ADDED_ONCE, d_table=lambda g: put(g.table, g.flat, g.rows))
wrong_embed("first_kept", "A row that was picked several times keeps what came first. Equal ids add up.",
            d_table=lambda g: put(g.table, g.flat[::-1], g.rows[::-1]))
wrong_embed("added_once", ADDED_ONCE, d_table=lambda g: gathered_once(g.table, g.flat, g.rows))
wrong_embed("averaged", "You take the mean of what arrives at a row. Each use has its effect: add them up.",
            d_table=lambda g: gathered(g.table, g.flat, g.rows) / counts_of(g))
wrong_embed("divided_by_all", "You divide by the number of ids. What arrives is added up; a mean in the loss is in dy "
            "already.", d_table=lambda g: gathered(g.table, g.flat, g.rows) / len(g.flat))
wrong_embed("counted_twice", "You multiply by how often a row was picked, and add up as well. Adding up is all.",
            d_table=lambda g: gathered(g.table, g.flat, g.rows) * counts_of(g))
wrong_embed("last_times_count", "You multiply one part by how often its row was picked. The parts differ: add them up.",
            d_table=lambda g: put(g.table, g.flat, g.rows) * counts_of(g))
wrong_embed("largest", "You keep the largest of what arrives at a row. Equal ids add up.",
            d_table=lambda g: maximum_of(g))


def maximum_of(g):
    largest = np.full_like(g.table, -np.inf)
    np.maximum.at(largest, g.flat, g.rows)
    return np.where(np.isfinite(largest), largest, 0).astype(g.table.dtype)


ROW_0 = "Row 0 is a row like any other; whether padding counts was decided at the loss."
wrong_embed("padding_left_out", ROW_0, d_table=lambda g: gathered(g.table, g.flat[g.flat != 0], g.rows[g.flat != 0]))
wrong_embed("padding_left_out_of_added_once", ROW_0, d_table=lambda g: gathered_once(
    g.table, g.flat[g.flat != 0], g.rows[g.flat != 0]))
wrong_embed("counts", "These are counts, and dy is missing. Add up the rows of dy.",
            d_table=lambda g: gathered(g.table, g.flat, 1))
wrong_embed("ones", "These are ones, and dy is missing. Add up the rows of dy.",
            d_table=lambda g: put(g.table, g.flat, 1))
wrong_embed("y_for_dy", "You took y for dy. y is the rows of the table; how much they count in the loss is dy.",
            d_table=lambda g: gathered(g.table, g.flat, rows_of(g.y)))
wrong_embed("times_y", "You multiply by y. Picking a row has slope 1: dy as it is.",
            d_table=lambda g: gathered(g.table, g.flat, rows_of(g.dy * g.y)))
wrong_embed("sign_turned", "The sign is turned. This is a gradient, no step: dy is added.",
            d_table=lambda g: gathered(g.table, g.flat, -g.rows))
wrong_embed("onto_the_table", TABLE_ITSELF, d_table=lambda g: g.table + gathered(g.table, g.flat, g.rows))
wrong_embed("onto_the_table_overwritten", TABLE_ITSELF, d_table=lambda g: np.where(
    counts_in(g) > 0, put(g.table, g.flat, g.rows), g.table))
wrong_embed("off_the_table", "You take a step, `table - ...`. A rule only gives the gradient; begin with zeros.",
            d_table=lambda g: g.table - gathered(g.table, g.flat, g.rows))
wrong_embed("onto_ones", "You begin with ones. Rows that nobody picked have a gradient of 0: `np.zeros_like(table)`.",
            d_table=lambda g: 1 + gathered(g.table, g.flat, g.rows))


def counts_in(g):
    return np.bincount(g.flat, minlength=len(g.table))[:, None]


wrong_embed("dy_as_it_is", "dy comes back as it is, with a row for each id. The gradient has the table's shape: a row "
            "for each word.", d_table=lambda g: g.dy)
wrong_embed("picked_again", "You pick rows of dy, `dy[ids]`. It is the other way round: each row of dy goes *to* the "
            "row that its id names.", d_table=lambda g: g.dy[g.ids])
wrong_embed("picked_from_the_table", "You pick rows of the table, which is the way forward. On the way back each "
            "row of dy goes *to* the row that its id names.", d_table=lambda g: g.table[g.ids])
wrong_embed("picked_rows_only", ALL_WORDS, d_table=lambda g: gathered(g.table, g.flat, g.rows)[np.unique(g.flat)])
wrong_embed("rows_up_to_the_largest_id", ALL_WORDS, d_table=lambda g: gathered(g.table, g.flat, g.rows)[
    :g.flat.max() + 1])
wrong_embed("shape_of_ids", "You begin with zeros of the shape of ids. The gradient has the table's shape.",
            d_table=lambda g: gathered(g.ids, g.ids, 1) * 1.0)
wrong_embed("zeros_like_dy", "You begin with zeros of the shape of dy. The gradient has the table's shape: "
            "`np.zeros_like(table)`.", d_table=lambda g: gathered(g.dy, g.ids, g.dy))
wrong_embed("everywhere_the_sum", "Every row gets the sum of all rows of dy. Each row of dy belongs to the one row "
            "that its id names.", d_table=lambda g: np.zeros_like(g.table) + sum_rows(g.rows))
wrong_embed("picked_rows_the_sum", "Every row that was picked gets the sum of all rows of dy. Each row of dy belongs "
            "to the one row that its id names.", d_table=lambda g: put(g.table, g.flat, sum_rows(g.rows)))
wrong_embed("columns_for_rows", "You write into columns, `[:, ids]`. ids name rows of the table: the first axis.",
            d_table=lambda g: gathered(g.table.T, g.flat, g.rows).T)
wrong_embed("into_columns", "You write into columns, `[:, ids]`. ids name rows of the table: the first axis.",
            d_table=lambda g: gathered(g.table, (slice(None), g.flat), g.rows.T))
wrong_embed("transposed", "d_table is transposed. It has the table's shape, (n_vocab, D).",
            d_table=lambda g: gathered(g.table, g.flat, g.rows).T)
wrong_embed("one_number_a_row", "You add up the numbers of each row. Each of the D numbers has a gradient of its own.",
            d_table=lambda g: gathered(g.table, g.flat, g.rows).sum(axis=-1))
wrong_embed("ids_flat_only", BOTH_FLAT, d_table=lambda g: gathered(g.table, g.flat, g.dy))
wrong_embed("dy_flat_only", BOTH_FLAT, d_table=lambda g: gathered(g.table, g.ids, g.rows))
wrong_embed("dy_in_one_row", "`np.ravel(dy)` tears its rows apart. Only the axes in front become one: "
            "`reshape(-1, dy.shape[-1])`.", d_table=lambda g: gathered(g.table, g.flat, g.dy.ravel()))
wrong_embed("dy_in_columns", "`reshape(D, -1)` does not turn dy around, it cuts it anew. Rows of D numbers are "
            "`reshape(-1, dy.shape[-1])`.", rows=lambda g: g.dy.reshape(g.dy.shape[-1], -1).T)
wrong_embed("nothing_from_add_at", "`np.add.at` writes into its first argument and returns None. Do not return or "
            "assign what it returns.", d_table=lambda g: None)
wrong_embed("by_product_unturned", TURNED, d_table=lambda g: one_hot(g.table.T, g.ids) @ g.dy)
wrong_embed("by_product_unturned_in_rows", TURNED, d_table=lambda g: one_hot(g.table.T, g.flat) @ g.rows)
wrong_embed("by_product_all_axes_turned", "One-hot rows of a stack have three axes, and `.T` reverses them all. "
            "Flatten first: `np.ravel(ids)`, and dy in rows.", d_table=lambda g: one_hot(g.table.T, g.ids).T @ g.dy)
wrong_embed("by_product_of_each_sequence", "You have a table of gradients for each sequence. There is one table for "
            "all of them: flatten first, `np.ravel(ids)` and dy in rows.",
            d_table=lambda g: turned(one_hot(g.table.T, g.ids)) @ g.dy)
ANY_SHAPE = "ids may have any shape, and these letters are for one of them. Flatten first: `np.ravel(ids)`, dy in rows."
DOTS = ("`einsum` does not sum over `...`: what it stands for must come out again. Flatten first: `np.ravel(ids)`, dy "
        "in rows.")
for name, sentence, axes in (("one_sequence", ANY_SHAPE, "n"), ("a_batch", ANY_SHAPE, "bt"), ("dots", DOTS, "...")):
    wrong_embed(f"letters_of_{name}", sentence, d_table=lambda g, axes=axes: np.einsum(
        f"{axes}v,{axes}d->vd", one_hot(g.table.T, g.ids), g.dy))
    wrong_embed(f"letters_of_{name}_dy_first", sentence, d_table=lambda g, axes=axes: np.einsum(
        f"{axes}d,{axes}v->vd", g.dy, one_hot(g.table.T, g.ids)))
wrong_embed("letters_for_ids", "`einsum` multiplies by ids as if they were amounts. They are names of rows: make "
            "one-hot rows of them first, or add with `np.add.at`.",
            d_table=lambda g: np.einsum("n,nd->nd", g.ids, g.dy))
wrong_embed("letter_from_nowhere", "The letter `v` comes out of `einsum` and goes in nowhere. Make one-hot rows of ids "
            "first, (N, n_vocab): they bring it in.", d_table=lambda g: np.einsum("n,nd->vd", g.ids, g.dy))
wrong_embed("one_hot_of_float64", LEAK, d_table=lambda g: np.eye(len(g.table))[g.flat].T @ g.rows)
wrong_embed("zeros_of_float64", LEAK, d_table=lambda g: np.zeros(g.table.shape) + gathered(g.table, g.flat, g.rows))
wrong_embed("zeros_of_integers", "You begin with zeros of ids, which are integers: they cannot hold fractions. "
            "`np.zeros_like(table)` has the right shape and dtype.",
            d_table=lambda g: gathered(g.table.astype(int), g.flat, g.rows))
wrong_embed("eye_of_D", "`np.eye` of the wrong size: a one-hot row has a place for each word, n_vocab, `len(table)`.",
            d_table=lambda g: np.eye(g.table.shape[1], dtype=g.table.dtype)[g.flat].T @ g.rows)
wrong_embed("eye_of_N", "`np.eye` of the wrong size: a one-hot row has a place for each word, n_vocab, `len(table)`.",
            d_table=lambda g: np.eye(len(g.flat), dtype=g.table.dtype)[g.flat].T @ g.rows)


def by_reduceat(order_of_ids, order_of_rows):
    """An answer that sorts, or should."""
    def d_table(g):
        ids, rows = g.flat[order_of_ids(g.flat)], g.rows[order_of_rows(g.flat)]
        found, first = np.unique(ids, return_index=True)
        return put(g.table, found, np.add.reduceat(rows, first))
    return d_table


def unsorted(ids):
    return slice(None)


wrong_embed("rows_unsorted", UNSORTED, d_table=by_reduceat(np.argsort, unsorted))
wrong_embed("ids_unsorted", UNSORTED, d_table=by_reduceat(unsorted, np.argsort))
wrong_embed("both_unsorted", UNSORTED, d_table=by_reduceat(unsorted, unsorted))

wrong_embed("only_d_table", TWO_RESULTS, result=lambda g: g.d_table)
wrong_embed("only_d_table_added_once", TWO_RESULTS, d_table=lambda g: gathered_once(g.table, g.flat, g.rows),
            result=lambda g: g.d_table)
wrong_embed("in_a_tuple_of_one", TWO_RESULTS, result=lambda g: (g.d_table,))
wrong_embed("exchanged", "The two results have changed places. `embed` takes ids first, then the table: `(None, "
            "d_table)`.", result=lambda g: (g.d_table, None))
wrong_embed("nothing_returned", "Nothing comes back. The function ends with `return None, d_table`.",
            result=lambda g: None)
for name, d_ids in (("zeros", lambda g: np.zeros_like(g.ids)), ("zeros_of_float64", lambda g: np.zeros(g.ids.shape)),
                    ("zeros_like_dy", lambda g: np.zeros_like(g.dy)), ("0", lambda g: 0), ("ids", lambda g: g.ids),
                    ("dy", lambda g: g.dy), ("sum", lambda g: g.dy.sum(axis=-1)), ("d_table", lambda g: g.d_table)):
    result = functools.partial(lambda g, d_ids: (d_ids(g), g.d_table), d_ids=d_ids)
    wrong_embed(f"{name}_for_ids", IDS_HAVE_NONE, result=result)
    wrong_embed(f"{name}_for_ids_and_added_once", IDS_HAVE_NONE, result=result,
                d_table=lambda g: gathered_once(g.table, g.flat, g.rows))
wrong_embed("three_results", "That is one too many: ids and table, `(None, d_table)`.",
            result=lambda g: (None, None, g.d_table))


@EMBED_GRADIENT.mistake(ONE_AXIS)
def along_one_sequence(dy, y, ids, table):
    d_table = np.zeros_like(table)
    for i, word in enumerate(ids):
        d_table[word] += dy[i]
    return None, d_table


@EMBED_GRADIENT.mistake(ONE_AXIS)
def along_one_sequence_by_number(dy, y, ids, table):
    d_table = np.zeros_like(table)
    for i in range(len(ids)):
        d_table[ids[i]] += dy[i]
    return None, d_table


def pair_by_pair(name, pairs, add):
    @EMBED_GRADIENT.mistake(BOTH_FLAT)
    def answer(dy, y, ids, table):
        d_table = np.zeros_like(table)
        for i, d in pairs(ids, dy):
            add(d_table, i, d)
        return None, d_table
    answer.__name__ = name


def increase(d_table, i, d):
    d_table[i] += d


def replace_by_sum(d_table, i, d):
    d_table[i] = d_table[i] + d


for name, add in (("increased", increase), ("replaced", replace_by_sum)):
    pair_by_pair(f"ids_flat_only_{name}", lambda ids, dy: zip(ids.ravel(), dy, strict=False), add)
    pair_by_pair(f"ids_flat_only_{name}_by_number",
                 lambda ids, dy: ((i, dy[n]) for n, i in enumerate(ids.ravel())), add)
    pair_by_pair(f"dy_flat_only_{name}", lambda ids, dy: zip(ids, rows_of(dy), strict=False), add)


@EMBED_GRADIENT.mistake("`sum()` without an axis makes one number of all that arrives at a row. Add up the rows, and "
                        "keep their D numbers: `sum(axis=0)`.")
def axis_of_the_sum_forgotten(dy, y, ids, table):
    d_table = np.zeros_like(table)
    for i in range(len(table)):
        d_table[i] = dy[ids == i].sum()
    return None, d_table


@EMBED_GRADIENT.mistake("`dy[i]`, with an id for i, is the row of dy at *place* i. Go through the places: the first "
                        "row of dy belongs to the first id.")
def ids_for_places(dy, y, ids, table):
    d_table = np.zeros_like(table)
    for i in ids:
        d_table[i] += dy[i]
    return None, d_table


@EMBED_GRADIENT.mistake("Two loops, for a batch and its positions, are right for two axes only. `np.ravel(ids)`, "
                        "with dy in as many rows, makes one of any number.")
def along_a_batch(dy, y, ids, table):
    d_table = np.zeros_like(table)
    B, T = ids.shape
    for b in range(B):
        for t in range(T):
            d_table[ids[b, t]] += dy[b, t]
    return None, d_table


@EMBED_GRADIENT.mistake("You write into the table, which is still needed. Add up in an array of zeros: "
                        "`np.zeros_like(table)`.")
def table_written(dy, y, ids, table):
    np.add.at(table, ids, dy)
    return None, table


@EMBED_GRADIENT.mistake("You write into the table, which is still needed. Add up in an array of zeros: "
                        "`np.zeros_like(table)`.")
def table_written_once(dy, y, ids, table):
    table[ids] += dy
    return None, table


@EMBED_GRADIENT.mistake("`table[:] = 0` empties the table itself, which is still needed. `np.zeros_like(table)` makes "
                        "a new one.")
def table_emptied(dy, y, ids, table):
    table[...] = 0
    np.add.at(table, ids, dy)
    return None, table


@EMBED_GRADIENT.alternative
def by_add_at(dy, y, ids, table):
    d_table = np.zeros(table.shape, dtype=table.dtype)
    np.add.at(d_table, ids, dy)
    return None, d_table


@EMBED_GRADIENT.alternative
def by_one_hot_rows(dy, y, ids, table):
    rows = np.eye(len(table), dtype=dy.dtype)[np.ravel(ids)]
    return [None, rows.T @ dy.reshape(-1, table.shape[1])]


@EMBED_GRADIENT.alternative
def id_by_id(dy, y, ids, table):
    d_table = table * 0
    for place in np.ndindex(ids.shape):
        d_table[ids[place]] += dy[place]
    return None, d_table


@EMBED_GRADIENT.alternative
def word_by_word(dy, y, ids, table):
    return None, np.stack([np.sum(dy[ids == word], axis=0) for word in range(len(table))])


@EMBED_GRADIENT.alternative
def by_counts_of_columns(dy, y, ids, table):
    ids, rows = ids.flatten(), dy.reshape(ids.size, -1)
    columns = [np.bincount(ids, weights=column, minlength=table.shape[0]) for column in rows.T]
    return None, np.column_stack(columns).astype(table.dtype)


@EMBED_GRADIENT.alternative
def by_tensordot_of_ones(dy, y, ids, table):
    axes = tuple(range(ids.ndim))
    return None, np.tensordot(np.equal(ids[..., None], np.arange(len(table))).astype(dy.dtype), dy, (axes, axes))
