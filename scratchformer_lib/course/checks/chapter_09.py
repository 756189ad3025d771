"""The exercises of chapter 09, gradients."""
import math
from types import SimpleNamespace

import numpy as np

from ...autograd import backward, exp_gradient, matmul_gradient, multiply_gradient, unbroadcast
from ...softmax import log_softmax, softmax
from ..answers.chapter_09 import descend, numerical_gradient
from ..exercise import Case, Difference, Exercise, compare, describe
from .chapter_05 import normal
from .chapter_08 import mistakes_in_steps


def wrong(exercise, sentence, **versions):
    """Register mistakes that the same sentence tells, by name."""
    for name, f in versions.items():
        f.__name__ = name
        exercise.mistake(sentence)(f)


# ---- numerical_gradient -------------------------------------------------------------------------------------------

class Formula:
    """A function of x that a card shows as it is written."""

    def __init__(self, text):
        self.text, self.f = text, eval(f"lambda x: {text}", {"np": np})

    def __call__(self, x):
        return self.f(x)

    def __repr__(self):
        return f"lambda x: {self.text}"


def numerical_gradient_inputs():
    return [
        Case("the example of the text", (Formula("np.sum(x * x)"), np.array([1.0, 2.0, 3.0])), axes="entry"),
        Case("a curve, and a large step", (Formula("np.sum(x**3)"), np.array([1.0, -2.0, 0.5, 3.0])), {"eps": 0.5},
             axes="entry"),
        Case("x of shape (2, 3), each row has its say", (Formula("np.sum(np.cumsum(x, axis=1) ** 2 * x[0])"),
                                                         normal(2, 3, seed=1)), {"eps": 0.1}, axes="row column"),
        Case("f looks at two of four entries", (Formula("x[1] ** 3 * x[2]"), normal(4, seed=2)), {"eps": 0.25},
             axes="entry"),
        Case("x of shape (3, 2), a transposed view", (Formula("np.sum(np.sin(np.cumsum(x)))"), normal(2, 3, seed=3).T),
             {"eps": 0.5}, axes="row column"),
        Case("three axes", (Formula("np.sum(x[0] * x[1] ** 3)"), normal(2, 3, 2, seed=4)), {"eps": 0.5}),
        Case("x is one number, of shape ()", (Formula("np.exp(2 * x)"), np.array(0.3)), {"eps": 0.2}),
    ]


NUMERICAL_GRADIENT = Exercise(numerical_gradient, numerical_gradient_inputs)


def by_slopes(slope):
    """An answer that computes slope(f, x, step, eps) for every entry; step is eps there and 0 elsewhere."""
    def answer(f, x, eps=1e-6):
        gradient = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[i] = eps
            gradient[i] = slope(f, x, step, eps)
        return gradient
    return answer


wrong(NUMERICAL_GRADIENT, "You step forward only. Where f is curved, that is the slope of a place half a step further "
      "on: compare a step forward with one back, over 2 eps.",
      forward_only=by_slopes(lambda f, x, h, eps: (f(x + h) - f(x)) / eps))
wrong(NUMERICAL_GRADIENT, "You step back only. Where f is curved, that is the slope of a place half a step behind: "
      "compare a step forward with one back, over 2 eps.",
      back_only=by_slopes(lambda f, x, h, eps: (f(x) - f(x - h)) / eps))
wrong(NUMERICAL_GRADIENT, "You compare a step forward with x itself, and divide by two steps: half the slope. The step "
      "back begins at x, too. (`minus = x` is another name for x: has x been moved forward before?)",
      one_step_over_two=by_slopes(lambda f, x, h, eps: (f(x + h) - f(x)) / (2 * eps)))
wrong(NUMERICAL_GRADIENT, "Your slopes are twice as large. From x - eps to x + eps it is 2 eps: divide by that.",
      divided_by_one_step=by_slopes(lambda f, x, h, eps: (f(x + h) - f(x - h)) / eps))
wrong(NUMERICAL_GRADIENT, "This is the difference of the heights. The slope is that over the way between: divide by "
      "2 eps.",
      not_divided=by_slopes(lambda f, x, h, eps: f(x + h) - f(x - h)))
wrong(NUMERICAL_GRADIENT, "You divide by 2, and not by eps. The way between the two places is 2 eps.",
      divided_by_2=by_slopes(lambda f, x, h, eps: (f(x + h) - f(x - h)) / 2))
wrong(NUMERICAL_GRADIENT, "`/ 2 * eps` divides by 2 and then *multiplies* by eps. Put brackets around the way between "
      "the places: `/ (2 * eps)`.",
      brackets_below=by_slopes(lambda f, x, h, eps: (f(x + h) - f(x - h)) / 2 * eps))
wrong(NUMERICAL_GRADIENT, "Without brackets only the second height is divided. First the difference, in brackets, then "
      "the division.",
      brackets_above=by_slopes(lambda f, x, h, eps: f(x + h) - f(x - h) / (2 * eps)))
wrong(NUMERICAL_GRADIENT, "You multiply by 2 eps. A slope is the difference of the heights *divided* by the way.",
      multiplied=by_slopes(lambda f, x, h, eps: (f(x + h) - f(x - h)) * (2 * eps)))
wrong(NUMERICAL_GRADIENT, "You divide by eps squared. The way between the two places is 2 eps.",
      divided_twice=by_slopes(lambda f, x, h, eps: (f(x + h) - f(x - h)) / (2 * eps**2)))
wrong(NUMERICAL_GRADIENT, "The sign is turned. Height ahead minus height behind: where f grows, the slope is above 0.",
      sign_turned=by_slopes(lambda f, x, h, eps: (f(x - h) - f(x + h)) / (2 * eps)))
wrong(NUMERICAL_GRADIENT, "You take the absolute value. A slope below 0 says that f falls there: keep its sign.",
      absolute=by_slopes(lambda f, x, h, eps: abs(f(x + h) - f(x - h)) / (2 * eps)))
wrong(NUMERICAL_GRADIENT, "You add the two heights. The slope is their difference over 2 eps.",
      added=by_slopes(lambda f, x, h, eps: (f(x + h) + f(x - h)) / (2 * eps)))
wrong(NUMERICAL_GRADIENT, "This is how much the slope changes, the second derivative. Asked for is the slope: the "
      "difference of two heights, over 2 eps.",
      second_derivative=by_slopes(lambda f, x, h, eps: (f(x + h) - 2 * f(x) + f(x - h)) / eps**2))
wrong(NUMERICAL_GRADIENT, "Your steps are of half the size. Go a whole eps forward and a whole eps back.",
      half_steps=by_slopes(lambda f, x, h, eps: (f(x + h / 2) - f(x - h / 2)) / eps))
wrong(NUMERICAL_GRADIENT, "You go half of eps each way, and divide by 2 eps: half the slope. Go a whole eps forward "
      "and a whole eps back.",
      half_steps_over_two=by_slopes(lambda f, x, h, eps: (f(x + h / 2) - f(x - h / 2)) / (2 * eps)))
wrong(NUMERICAL_GRADIENT, "You take a step of your own. The caller says how large it is: use the argument `eps`.",
      eps_ignored=lambda f, x, eps=1e-6: numerical_gradient(f, x),
      eps_of_a_thousandth=lambda f, x, eps=1e-6: numerical_gradient(f, x, 1e-3),
      eps_of_a_hundred_thousandth=lambda f, x, eps=1e-6: numerical_gradient(f, x, 1e-5))
wrong(NUMERICAL_GRADIENT, "Your step grows with the entry, `eps * x`. It is eps for every entry, large or small.",
      relative_step=by_slopes(lambda f, x, h, eps: (f(x + h * x) - f(x - h * x)) / (2 * eps)),
      relative_step_divided=by_slopes(lambda f, x, h, eps: (f(x + h * x) - f(x - h * x)) / (2 * np.sum(h * x))))
wrong(NUMERICAL_GRADIENT, "All entries are moved at once, and each gets the slope of all of them together. Move one "
      "entry at a time, the others stay.",
      all_at_once=by_slopes(lambda f, x, h, eps: (f(x + eps) - f(x - eps)) / (2 * eps)))
wrong(NUMERICAL_GRADIENT, "`x + eps` moves all entries at once, and gives one number. Asked for is a slope for every "
      "entry: move one at a time, in a loop.",
      one_number=lambda f, x, eps=1e-6: (f(x + eps) - f(x - eps)) / (2 * eps))
wrong(NUMERICAL_GRADIENT, "You add the slopes up. Each is an entry of the result, which has x's shape.",
      summed=lambda f, x, eps=1e-6: np.sum(numerical_gradient(f, x, eps)))
wrong(NUMERICAL_GRADIENT, "This is the slope of one entry only. Each entry has one: collect them in an array of x's "
      "shape.",
      only_the_last=lambda f, x, eps=1e-6: numerical_gradient(f, x, eps).flat[-1],
      only_the_first=lambda f, x, eps=1e-6: numerical_gradient(f, x, eps).flat[0])
wrong(NUMERICAL_GRADIENT, "You return a list. Asked for is an array of x's shape: make it first, with "
      "`np.zeros_like(x)`, and fill it.",
      a_list=lambda f, x, eps=1e-6: list(numerical_gradient(f, x, eps).flat),
      nested_lists=lambda f, x, eps=1e-6: numerical_gradient(f, x, eps).tolist())
wrong(NUMERICAL_GRADIENT, "All slopes stand in one row. The result has x's shape, with each slope at the index "
      "of its entry.",
      flat=lambda f, x, eps=1e-6: numerical_gradient(f, x, eps).ravel())
wrong(NUMERICAL_GRADIENT, "Only the first entry has been tried. Is `return` inside the loop? It comes after it.",
      returned_too_early=lambda f, x, eps=1e-6: np.where(np.arange(x.size).reshape(x.shape) == 0,
                                                         numerical_gradient(f, x, eps), 0))
wrong(NUMERICAL_GRADIENT, "`np.gradient` compares neighbors in an array of heights. Here the heights have to be found "
      "first: call f twice for every entry.",
      numpys_gradient=lambda f, x, eps=1e-6: np.gradient(x),
      numpys_gradient_with_eps=lambda f, x, eps=1e-6: np.gradient(x, eps),
      numpys_gradient_of_f=lambda f, x, eps=1e-6: np.gradient(f(x)))

MOVED_FOR_GOOD = ("You move x itself, and it is not moved back. Move a copy, `x.copy()`; `moved = x` is only another "
                  "name for x.")
ANOTHER_NAME = ("`moved = x` is no copy but another name for x. What you do to one happens to the other: `x.copy()`, "
                "or `x + step`.")
ONE_INDEX = ("One index leads to a whole row where x has two axes, and there are more entries than rows. "
             "`np.ndindex(x.shape)` gives an index for each entry, however many axes there are.")
TWO_LOOPS = ("Two loops, for rows and columns, are right for two axes only. `np.ndindex(x.shape)` runs through all "
             "entries, however many axes there are.")
ARRIVES_NOWHERE = ("`ravel`, `flatten` and `reshape(-1)` may give a copy: they do for a transposed array. What you "
                   "write into it does not arrive in the array itself. Use the index, `[i]`, or `.flat[k]`.")


@NUMERICAL_GRADIENT.mistake(MOVED_FOR_GOOD)
def not_moved_back(f, x, eps=1e-6):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        x[i] += eps
        ahead = f(x)
        x[i] -= 2 * eps
        gradient[i] = (ahead - f(x)) / (2 * eps)
    return gradient


@NUMERICAL_GRADIENT.mistake("An entry that was moved stays where it is while the next one is tried. Begin with a fresh "
                            "copy of x for each entry.")
def copied_once(f, x, eps=1e-6):
    return not_moved_back(f, x.copy(), eps)


@NUMERICAL_GRADIENT.mistake("The entries that came before are still moved when the next one is tried, so their slopes "
                            "are added to its own. Begin with a fresh copy, or fresh zeros, *inside* the loop.")
def moved_further(f, x, eps=1e-6):
    gradient, step = np.zeros_like(x), np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step[i] = eps
        gradient[i] = (f(x + step) - f(x - step)) / (2 * eps)
    return gradient


@NUMERICAL_GRADIENT.mistake(ANOTHER_NAME)
def two_names(f, x, eps=1e-6):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        plus, minus = x, x
        plus[i] += eps
        minus[i] -= eps
        gradient[i] = (f(plus) - f(minus)) / (2 * eps)
    return gradient


@NUMERICAL_GRADIENT.mistake(MOVED_FOR_GOOD)
def another_name_for_the_step_back(f, x, eps=1e-6):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        plus, minus = x.copy(), x
        plus[i] += eps
        minus[i] -= eps
        gradient[i] = (f(plus) - f(minus)) / (2 * eps)
    return gradient


def rows_and_columns(x):
    n_rows, n_columns = x.shape
    return np.ndindex(n_rows, n_columns)


def row_by_row(indices):
    """An answer that runs through some other indices."""
    def answer(f, x, eps=1e-6):
        gradient = np.zeros_like(x)
        for i in indices(x):
            step = np.zeros_like(x)
            step[i] = eps
            gradient[i] = (f(x + step) - f(x - step)) / (2 * eps)
        return gradient
    return answer


wrong(NUMERICAL_GRADIENT, "You go along the first axis only, and move a whole row at once where there are two axes. "
      "`np.ndindex(x.shape)` gives an index for each entry.",
      rows=row_by_row(lambda x: range(len(x))), rows_of_the_shape=row_by_row(lambda x: range(x.shape[0])),
      along_the_list=row_by_row(lambda x: [i for i, _ in enumerate(x)]),
      one_slope_a_row=lambda f, x, eps=1e-6: row_by_row(lambda x: range(len(x)))(f, x, eps)[
          (slice(None), *[0] * (x.ndim - 1))])
wrong(NUMERICAL_GRADIENT, ONE_INDEX, one_index=row_by_row(lambda x: range(x.size)),
      one_index_in_a_tuple=row_by_row(lambda x: np.ndindex(x.size)))
wrong(NUMERICAL_GRADIENT, TWO_LOOPS,
      two_loops=row_by_row(lambda x: [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]),
      rows_and_columns=row_by_row(rows_and_columns))
wrong(NUMERICAL_GRADIENT, "`for i in x` runs through the numbers in x, not through their places. "
      "`np.ndindex(x.shape)` gives an index for each entry.", numbers_as_places=row_by_row(lambda x: x))


@NUMERICAL_GRADIENT.mistake("f is called with one entry of x. It takes the whole array, in which this one entry is "
                            "moved.")
def entry_alone(f, x, eps=1e-6):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        gradient[i] = (f(x[i] + eps) - f(x[i] - eps)) / (2 * eps)
    return gradient


@NUMERICAL_GRADIENT.mistake("f gets x in one long row. It takes an array of x's shape: bring it back with "
                            "`reshape(x.shape)` before you call f.")
def f_of_a_row(f, x, eps=1e-6):
    return numerical_gradient(f, x.flatten(), eps).reshape(x.shape)


@NUMERICAL_GRADIENT.mistake("An array of steps in one long row, such as a row of `np.eye`, lines up with an x of one "
                            "axis only. Give it x's shape: `np.zeros_like(x)`.")
def steps_in_a_row(f, x, eps=1e-6):
    steps = eps * np.eye(x.size)
    return np.array([(f(x + step) - f(x - step)) / (2 * eps) for step in steps]).reshape(x.shape)


@NUMERICAL_GRADIENT.mistake(ARRIVES_NOWHERE)
def written_into_a_copy(f, x, eps=1e-6):
    gradient = np.zeros_like(x)
    slopes, row = gradient.reshape(-1), numerical_gradient(f, x, eps).flatten()
    for k, slope in enumerate(row):
        slopes[k] = slope
    return gradient


@NUMERICAL_GRADIENT.mistake(ARRIVES_NOWHERE)
def a_copy_is_moved(f, x, eps=1e-6):
    gradient, row = np.zeros_like(x), x.ravel()
    for k in range(x.size):
        kept, heights = row[k], []
        for moved in (kept + eps, kept - eps):
            row[k] = moved
            heights.append(f(x))
        row[k] = kept
        gradient.flat[k] = (heights[0] - heights[1]) / (2 * eps)
    return gradient


@NUMERICAL_GRADIENT.alternative
def moved_and_put_back(f, x, eps=1e-6):
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + eps
        ahead = f(x)
        x[i] = kept - eps
        gradient[i] = (ahead - f(x)) / (2 * eps)
        x[i] = kept
    return gradient


@NUMERICAL_GRADIENT.alternative
def moved_to_and_fro(f, x, eps=1e-6):
    gradient, moved = np.zeros(x.shape), x.copy()
    for i, _ in np.ndenumerate(x):
        moved[i] += eps
        ahead = f(moved)
        moved[i] -= 2 * eps
        behind = f(moved)
        moved[i] += eps
        gradient[i] = (ahead - behind) / eps / 2
    return gradient


@NUMERICAL_GRADIENT.alternative
def by_rows_of_the_identity(f, x, eps=1e-6):
    steps = eps * np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([f(x + step) - f(x - step) for step in steps]).reshape(x.shape) / (2 * eps)


@NUMERICAL_GRADIENT.alternative
def mean_of_both_sides(f, x, eps=1e-6):
    return by_slopes(lambda f, x, h, eps: ((f(x + h) - f(x)) / eps + (f(x) - f(x - h)) / eps) / 2)(f, x, eps)


@NUMERICAL_GRADIENT.alternative
def in_a_row_of_its_own(f, x, eps=1e-6):
    slopes = []
    for k in range(x.size):
        plus, minus = x.flatten(), x.flatten()
        plus[k] += eps
        minus[k] -= eps
        slopes.append(0.5 * (f(plus.reshape(x.shape)) - f(minus.reshape(x.shape))) / eps)
    return np.reshape(slopes, x.shape)


@NUMERICAL_GRADIENT.alternative
def by_iterator(f, x, eps=1e-6):
    gradient, places = np.empty_like(x), np.nditer(x, flags=["multi_index"])
    for _ in places:
        step = np.where(np.arange(x.size).reshape(x.shape) == np.ravel_multi_index(places.multi_index, x.shape)
                        if x.ndim else True, eps, 0.0)
        gradient[places.multi_index] = np.divide(np.subtract(f(x + step), f(x - step)), 2 * eps)
    return gradient


# ---- descend ------------------------------------------------------------------------------------------------------

def descend_inputs():
    def case(title, table, inputs, labels, rate):
        return Case(title, (table, np.array(inputs), np.array(labels), rate), axes="n_vocab n_vocab")
    return [
        case("three words, all scores 0, one pair", np.zeros((3, 3)), [0], [1], 1.0),
        case("three pairs, no input twice; n_vocab=4", normal(4, 4, seed=11), [2, 0, 3], [1, 1, 0], 0.5),
        case("inputs that occur several times; N=7, n_vocab=5", normal(5, 5, seed=12), [1, 4, 1, 0, 1, 4, 2],
             [0, 3, 2, 1, 0, 1, 2], 2.0),
        case("the same pair three times", normal(4, 4, seed=13), [2, 2, 2], [3, 3, 3], 1.5),
        case("as many pairs as words", normal(4, 4, seed=14), [3, 0, 3, 1], [1, 2, 0, 0], 20.0),
        case("scores far apart", 1000 * normal(3, 3, seed=15), [0, 2, 0, 1, 0], [1, 1, 2, 0, 1], 0.1),
        case("float32, a transposed view", normal(6, 6, seed=16, dtype=np.float32).T, [5, 2, 5, 1], [0, 0, 3, 5], 2.5),
    ]


DESCEND = Exercise(descend, descend_inputs)


def less_one(p, *place):
    p = p.copy()
    p[place] -= 1
    return p


def gathered(table, place, d):
    """Zeros like the table, to which d is added at a place, every time."""
    gradient = np.zeros_like(table)
    np.add.at(gradient, place, d)
    return gradient


def gathered_once(table, place, d):
    gradient = np.zeros_like(table)
    gradient[place] += d
    return gradient


wrong_descend = mistakes_in_steps(
    DESCEND, lambda table, inputs, labels, rate: SimpleNamespace(table=table, inputs=inputs, labels=labels, rate=rate,
                                                                 n=len(labels), pairs=np.arange(len(labels))), {
        "p": lambda g: softmax(g.table[g.inputs]),
        "d": lambda g: less_one(g.p, g.pairs, g.labels),
        "shares": lambda g: g.d / g.n,
        "gradient": lambda g: gathered(g.table, g.inputs, g.shares),
        "new": lambda g: g.table - g.rate * g.gradient})

UPHILL = ("You go uphill: the words that came have lower scores than before. The gradient is p - y, and it is "
          "*subtracted*.")
NOT_THE_CALLERS = ("The old table was changed. Make a new one, `table - rate * gradient`: neither `-=` nor an item "
                   "assignment.")
COLUMNS = ("The shares add up to 1 down the columns. A row of the table holds the scores after one word: softmax along "
           "the last axis, which it does by itself.")
LEAK = ("The numbers are right, but a float32 table became float64. `np.zeros(shape)` and `np.eye(n)` are float64 "
        "unless you name a dtype: `np.zeros_like(table)` takes the table's.")
ONE_ROW_EACH = ("You work on the whole table, a row for each word, and a pair that occurs twice counts once. Take a "
                "row for each *pair*: `softmax(table[inputs])`, (N, n_vocab).")
PICKED_BY_PAIRS = ("A label belongs to one pair. Index with two arrays, the numbers of the pairs and the labels: "
                   "`d[np.arange(len(labels)), labels]`.")
RETURNS_NONE = "`np.add.at` writes into its first argument and returns None. Do not assign what it returns."

wrong_descend("repeated_counted_once", "A word that occurs as input several times counted once: `gradient[inputs] += "
              "d` adds one of its pairs only. `np.add.at` adds all of them.",
              gradient=lambda g: gathered_once(g.table, g.inputs, g.shares))
wrong_descend("repeated_counted_once_in_a_copy", "A word that occurs as input several times counted once: "
              "`gradient[inputs] += d` adds one of its pairs only. `np.add.at` adds all of them.",
              new=lambda g: g.table + gathered_once(g.table, g.inputs, -g.rate * g.shares))
wrong_descend("not_divided", "The gradients of the pairs are added up, which belongs to the *sum* of the surprises. "
              "Their mean is asked for: divide by N, the number of pairs.", shares=lambda g: g.d)
wrong_descend("divided_by_words", "You divide by the number of words. The mean is over the N pairs: `len(labels)`.",
              shares=lambda g: g.d / len(g.table))
wrong_descend("divided_twice", "You divide by N twice, perhaps by a mean as well. Once.",
              shares=lambda g: g.d / g.n / g.n)
wrong_descend("divided_by_all_scores", "You divide by the number of all scores, N times n_vocab. The loss is a mean "
              "over the N pairs.", shares=lambda g: g.d / g.d.size)
wrong_descend("divided_by_each_words_count", "Each row is divided by how often its word occurs. The loss is the mean "
              "over all N pairs: divide everything by N, so that a frequent word counts more.",
              shares=lambda g: g.d / np.bincount(g.inputs)[g.inputs][:, None].astype(g.d.dtype))
wrong_descend("divided_by_different_inputs", "You divide by the number of *different* inputs. Every pair counts: N is "
              "`len(labels)`.", shares=lambda g: g.d / len(set(g.inputs.tolist())))
wrong_descend("uphill", UPHILL, new=lambda g: g.table + g.rate * g.gradient)
wrong_descend("y_minus_p", UPHILL, d=lambda g: -less_one(g.p, g.pairs, g.labels))
wrong_descend("one_added", "You add 1 where the label is. The slope is p - y: subtract 1 there.",
              d=lambda g: -less_one(-g.p, g.pairs, g.labels))
wrong_descend("only_p", "y is missing: every score goes down, that of the word that came as well. Subtract 1 at the "
              "label of each pair.", d=lambda g: g.p)
wrong_descend("only_y", "p is missing: this counts the pairs, whatever the model has said. The slope is p - y.",
              d=lambda g: less_one(0 * g.p, g.pairs, g.labels))
wrong_descend("only_the_label", "Only the score of the word that came is moved. The others have a slope, too: their "
              "share p, so that they go down.",
              gradient=lambda g: gathered(g.table, (g.inputs, g.labels), g.shares[g.pairs, g.labels]))
wrong_descend("one_from_all", "You subtract 1 from every share. y is 1 for the word that came, and 0 for the others.",
              d=lambda g: g.p - 1)
wrong_descend("ids_subtracted", "You subtract the ids themselves. y is a row of 0, with a 1 in the place that the "
              "label names: one such row for each pair.", d=lambda g: g.p - g.labels)
wrong_descend("ones_of_the_inputs", "You subtract 1 at the word that was read. y is 1 for the word that came *after* "
              "it: labels.", d=lambda g: less_one(g.p, g.pairs, g.inputs))
wrong_descend("labels_for_inputs", "The gradient arrives in the rows of the labels. The scores were read in the rows "
              "of the inputs, and there their slopes belong.", gradient=lambda g: gathered(g.table, g.labels, g.shares))
wrong_descend("exchanged", "Inputs and labels have changed places: inputs name the rows, labels the words that came.",
              p=lambda g: softmax(g.table[g.labels]), d=lambda g: less_one(g.p, g.pairs, g.inputs),
              gradient=lambda g: gathered(g.table, g.labels, g.shares))
wrong_descend("into_columns", "The gradient arrives in the columns. Row i is for what comes after word i: index the "
              "first axis, `gradient[inputs]`.", gradient=lambda g: gathered(g.table.T, g.inputs, g.shares).T)
wrong_descend("logarithms", "You take the logarithms of the shares, `log_softmax`. p is the shares themselves, "
              "`softmax`.", p=lambda g: log_softmax(g.table[g.inputs]))
wrong_descend("no_softmax", "You take the scores for shares. p is what softmax makes of them.",
              p=lambda g: g.table[g.inputs])
wrong_descend("exp_by_itself", "Large scores overflow in `np.exp`, and the result is nan. `softmax` knows what to do "
              "about that: use it.",
              p=lambda g: np.exp(g.table[g.inputs]) / np.exp(g.table[g.inputs]).sum(axis=-1, keepdims=True))
wrong_descend("exponentials", "The exponentials are not divided by their sum. p is shares, which add up to 1: "
              "`softmax`.", p=lambda g: np.exp(g.table[g.inputs]))
wrong_descend("softmax_down_the_table", COLUMNS, p=lambda g: softmax(g.table, axis=0)[g.inputs])
wrong_descend("softmax_over_the_pairs", "The pairs compete with each other: you take the softmax along axis 0. The "
              "words of a row do: the last axis.", p=lambda g: softmax(g.table[g.inputs], axis=0))
wrong_descend("columns_for_rows", "You read columns, `table[:, inputs]`. Row i holds the scores after word i: "
              "`table[inputs]`.", p=lambda g: softmax(g.table[:, g.inputs].T))
wrong_descend("columns_for_rows_unturned", "You read columns, `table[:, inputs]`. Row i holds the scores after word i: "
              "`table[inputs]`.", p=lambda g: softmax(g.table[:, g.inputs]))
wrong_descend("ones_in_whole_columns", "`d[:, labels]` subtracts from these columns in every row. " + PICKED_BY_PAIRS,
              d=lambda g: less_one(g.p, slice(None), g.labels))
wrong_descend("ones_in_whole_rows", "`d[labels]` subtracts from whole rows. " + PICKED_BY_PAIRS,
              d=lambda g: less_one(g.p, g.labels))
wrong_descend("whole_table", ONE_ROW_EACH, p=lambda g: softmax(g.table), d=lambda g: less_one(g.p, g.inputs, g.labels),
              gradient=lambda g: g.shares)
wrong_descend("whole_table_all_ones", "Every row of the table moves, as if each word were read once for each pair. "
              "Only rows that were inputs have a slope, and each time they were: `softmax(table[inputs])`, (N, "
              "n_vocab).",
              p=lambda g: softmax(g.table), d=lambda g: gathered(g.table, (g.inputs, g.labels), 1) / g.n,
              gradient=lambda g: g.p - g.d, shares=lambda g: None)
wrong_descend("averaged", "You average over the pairs, and every row gets the same. Each pair's p - y belongs to the "
              "row of its own input.", gradient=lambda g: gathered_once(g.table, g.inputs, g.shares.sum(axis=0)))
wrong_descend("both_indices", "inputs and labels together pick single scores, and d has whole rows. Add each row of d "
              "to the row of its input: `np.add.at(gradient, inputs, d)`.",
              gradient=lambda g: gathered(g.table, (g.inputs, g.labels), g.shares))
wrong_descend("rate_ignored", "`rate` is missing: the caller says how large a step is.",
              new=lambda g: g.table - g.gradient)
wrong_descend("divided_by_rate", "You divide by `rate`. It is how large the step is: multiply.",
              new=lambda g: g.table - g.gradient / g.rate)
wrong_descend("rate_on_the_table", "You multiply the table by `rate` as well. Only the gradient is: `table - rate * "
              "gradient`.", new=lambda g: g.rate * (g.table - g.gradient))
wrong_descend("only_the_gradient", "This is the gradient. Asked for is the new table: the old one minus `rate` times "
              "the gradient.", new=lambda g: g.gradient)
for name, sign in (("step", 1), ("step_down", -1)):
    wrong_descend(f"only_the_{name}", "This is the step by itself. Asked for is the table after it.",
                  new=lambda g, sign=sign: sign * g.rate * g.gradient)
wrong_descend("table_and_gradient", "You return more than the new table. It alone is asked for.",
              new=lambda g: (g.table - g.rate * g.gradient, g.gradient))
wrong_descend("rows_only", "You return the rows of the inputs alone. The whole table is asked for, with the rows that "
              "no pair has touched.", new=lambda g: g.table[g.inputs] - g.rate * g.shares)
wrong_descend("float64_gradient", LEAK, gradient=lambda g: gathered(g.table.astype(float), g.inputs, g.shares))
wrong_descend("float64_y_and_gradient", LEAK, d=lambda g: g.p - np.eye(len(g.table))[g.labels],
              gradient=lambda g: gathered(g.table.astype(float), g.inputs, g.shares))
wrong_descend("float64_ones", LEAK, gradient=lambda g: np.eye(len(g.table))[g.inputs].T @ g.shares)
wrong_descend("nothing_from_add_at", RETURNS_NONE, gradient=lambda g: None)


@DESCEND.mistake(RETURNS_NONE)
def nothing_from_add_at_returned(table, inputs, labels, rate):
    return np.add.at(table.copy(), inputs, -rate * softmax(table[inputs]))


@DESCEND.mistake(NOT_THE_CALLERS)
def table_changed(table, inputs, labels, rate):
    table[...] = descend(table, inputs, labels, rate)
    return table


@DESCEND.mistake(NOT_THE_CALLERS)
def table_changed_for_nothing(table, inputs, labels, rate):
    table[...] = descend(table, inputs, labels, rate)


@DESCEND.mistake(NOT_THE_CALLERS)
def rows_changed_once(table, inputs, labels, rate):
    table[inputs] -= rate * less_one(softmax(table[inputs]), np.arange(len(labels)), labels) / len(labels)
    return table


@DESCEND.mistake("You change the table after each pair, and the next pair sees the new scores. One step: all pairs see "
                 "the old table, and their gradients are added up first.")
def pair_by_pair(table, inputs, labels, rate):
    for i in range(len(labels)):
        table = table - (table - descend(table, inputs[i:i + 1], labels[i:i + 1], rate)) / len(labels)
    return table


@DESCEND.alternative
def by_products_of_ones(table, inputs, labels, rate):
    ones = np.eye(len(table), dtype=table.dtype)
    X, Y = ones[inputs], ones[labels]
    return table - rate / len(inputs) * (X.T @ (softmax(X @ table) - Y))


@DESCEND.alternative
def in_a_loop(table, inputs, labels, rate):
    new = table.copy()
    for word, label in zip(inputs, labels, strict=True):
        p = softmax(table[word])
        p[label] -= 1
        new[word] -= rate * p / len(inputs)
    return new


@DESCEND.alternative
def by_counts(table, inputs, labels, rate):
    counts = np.zeros_like(table)
    np.add.at(counts, (inputs, labels), 1)
    slopes = counts.sum(axis=1, keepdims=True) * softmax(table) - counts
    return (table - rate * slopes / counts.sum()).astype(table.dtype)


@DESCEND.alternative
def subtracted_at_once(table, inputs, labels, rate):
    new, y = np.array(table), labels[:, None] == np.arange(table.shape[1])
    np.subtract.at(new, inputs, np.asarray(rate * (np.exp(log_softmax(table[inputs], axis=-1)) - y) / inputs.size,
                                           table.dtype))
    return new


# ---- multiply_gradient --------------------------------------------------------------------------------------------

def multiply_gradient_inputs():
    def case(title, dy, a, b, axes):
        return Case(title, (dy, a * b, a, b), axes=(axes, axes))
    return [
        case("the example of the text", 2.0, 3.0, 5.0, ""),
        case("four numbers, some of them 0", np.array([1.0, -2, 0.5, 3]), np.array([2.0, 0, -1, 4]),
             np.array([3.0, 5, 0, -2]), "T"),
        case("shape (T=2, D=3)", normal(2, 3, seed=21), normal(2, 3, seed=22), normal(2, 3, seed=23), "T D"),
        case("shape (B=2, T=4, D=3)", normal(2, 4, 3, seed=24), normal(2, 4, 3, seed=25), normal(2, 4, 3, seed=26),
             "B T D"),
        case("square, of transposed views", *(normal(3, 3, seed=27 + i).T for i in range(3)), "T D"),
        case("float32", *(normal(2, 3, seed=31 + i, dtype=np.float32) for i in range(3)), "T D"),
    ]


MULTIPLY_GRADIENT = Exercise(multiply_gradient, multiply_gradient_inputs)


@MULTIPLY_GRADIENT.mistake("`*=` writes into dy, which others still need. `dy * b` makes a new array.")
def dy_changed(dy, y, a, b):
    da = dy
    da *= b
    return da, dy * a


wrong(MULTIPLY_GRADIENT, "The two have changed places. If a grows a little, y grows b times as much: da has b in it, "
      "and db has a.",
      exchanged=lambda dy, y, a, b: (dy * a, dy * b))
wrong(MULTIPLY_GRADIENT, "dy is missing. These are the slopes of y; how much y counts in the loss is dy: "
      "multiply by it.",
      without_dy=lambda dy, y, a, b: (b, a))
wrong(MULTIPLY_GRADIENT, "dy is missing in one of the two. Each slope is multiplied by dy.",
      dy_in_the_first_only=lambda dy, y, a, b: (dy * b, a), dy_in_the_second_only=lambda dy, y, a, b: (b, dy * a))
wrong(MULTIPLY_GRADIENT, "You return a and b themselves. Asked for is what each counts in the loss: dy times the "
      "*other* one.", the_inputs=lambda dy, y, a, b: (a, b))
wrong(MULTIPLY_GRADIENT, "You add up the gradients of a and b. Each argument has its own: return two.",
      added=lambda dy, y, a, b: dy * b + dy * a)
wrong(MULTIPLY_GRADIENT, "This is the gradient of a alone. Return two, `(da, db)`.", only_a=lambda dy, y, a, b: dy * b)
wrong(MULTIPLY_GRADIENT, "This is the gradient of b alone. Return two, `(da, db)`.", only_b=lambda dy, y, a, b: dy * a)
wrong(MULTIPLY_GRADIENT, "Both are the same. da has b in it, and db has a.",
      b_for_both=lambda dy, y, a, b: (dy * b, dy * b), a_for_both=lambda dy, y, a, b: (dy * a, dy * a))
wrong(MULTIPLY_GRADIENT, "Right on paper, since y / a is b; but where a or b is 0, it is 0 / 0. The other factor is "
      "among the arguments: take it from there.",
      by_division=lambda dy, y, a, b: (dy * y / a, dy * y / b),
      by_division_of_numbers=lambda dy, y, a, b: (np.divide(y, a) * dy, np.divide(y, b) * dy))
wrong(MULTIPLY_GRADIENT, "dy * y has both factors in it. y changes with a by b alone: da is dy times b.",
      times_y=lambda dy, y, a, b: (dy * y, dy * y))
wrong(MULTIPLY_GRADIENT, "You took y for dy. y is the result; how much it counts in the loss is dy.",
      y_for_dy=lambda dy, y, a, b: (y * b, y * a))
wrong(MULTIPLY_GRADIENT, "You add dy. Slopes in a row multiply: `dy * b`.",
      dy_added=lambda dy, y, a, b: (dy + b, dy + a))
wrong(MULTIPLY_GRADIENT, "You divide by the other factor. Slopes in a row multiply: `dy * b`.",
      divided=lambda dy, y, a, b: (dy / b, dy / a), divided_by_itself=lambda dy, y, a, b: (dy / a, dy / b))
wrong(MULTIPLY_GRADIENT, "dy is handed on as it is, which is the rule for a + b. For a product, da is dy times b.",
      of_a_sum=lambda dy, y, a, b: (dy, dy))
wrong(MULTIPLY_GRADIENT, "You sum over all entries. A gradient has the shape of its array: one number for each.",
      summed=lambda dy, y, a, b: (np.sum(dy * b), np.sum(dy * a)))
wrong(MULTIPLY_GRADIENT, "Two gradients are asked for, one after the other, and not an array or a dict of both: "
      "`return da, db`.",
      in_an_array=lambda dy, y, a, b: np.array([dy * b, dy * a]),
      in_a_dict=lambda dy, y, a, b: {"da": dy * b, "db": dy * a})
wrong(MULTIPLY_GRADIENT, "`@` is the matrix product. y = a * b is entry by entry, and so is its gradient: `*`.",
      matrix_product=lambda dy, y, a, b: (dy @ b, dy @ a),
      matrix_product_transposed=lambda dy, y, a, b: (dy @ b.T, a.T @ dy),
      matrix_product_swapped=lambda dy, y, a, b: (dy @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ dy))


@MULTIPLY_GRADIENT.alternative
def multiplied_by_numpy(dy, y, a, b):
    return np.multiply(b, dy), np.multiply(a, dy)


@MULTIPLY_GRADIENT.alternative
def as_a_list(dy, y, a, b):
    return [dy * other for other in (b, a)]


@MULTIPLY_GRADIENT.alternative
def into_copies(dy, y, a, b):
    da, db = np.array(dy), np.array(dy)
    da *= b
    db *= a
    return da, db


@MULTIPLY_GRADIENT.alternative
def multiplied_by_einsum(dy, y, a, b):
    return np.einsum("...,...->...", dy, b), np.einsum("...,...->...", dy, a)


# ---- exp_gradient -------------------------------------------------------------------------------------------------

def exp_gradient_inputs():
    def case(title, dy, x, axes):
        return Case(title, (dy, np.exp(x), x), axes=axes)
    return [
        case("three numbers", np.array([1.0, 2.0, -3.0]), np.array([0.0, 1.0, -1.0]), "T"),
        case("shape (T=2, D=3)", normal(2, 3, seed=41), normal(2, 3, seed=42), "T D"),
        case("shape (B=2, T=4, D=3)", normal(2, 4, 3, seed=43), normal(2, 4, 3, seed=44), "B T D"),
        case("one number, of shape ()", np.array(2.0), np.array(1.5), ""),
        case("x far below 0, where exp(x) is rounded to 0", np.array([1.0, -2.0]), np.array([-1000.0, -0.5]), "T"),
        case("square, of transposed views", normal(3, 3, seed=45).T, normal(3, 3, seed=46).T, "T D"),
        case("float32", normal(2, 3, seed=47, dtype=np.float32), normal(2, 3, seed=48, dtype=np.float32), "T D"),
    ]


EXP_GRADIENT = Exercise(exp_gradient, exp_gradient_inputs)


@EXP_GRADIENT.mistake("`*=` writes into an array that others still need. `dy * y` makes a new one.")
def dy_multiplied_in_place(dy, y, x):
    dy *= y
    return dy


@EXP_GRADIENT.mistake("`*=` writes into an array that others still need. `dy * y` makes a new one.")
def y_multiplied_in_place(dy, y, x):
    y *= dy
    return y


wrong(EXP_GRADIENT, "You take exp of dy. The slope is exp of x; dy is multiplied as it is.",
      exp_of_dy=lambda dy, y, x: dy * np.exp(dy))
wrong(EXP_GRADIENT, "You take exp of dy, and multiply that by x or y. The slope is exp of x, and dy is multiplied as "
      "it is.", exp_of_dy_times_y=lambda dy, y, x: np.exp(dy) * y, exp_of_dy_times_x=lambda dy, y, x: np.exp(dy) * x)
wrong(EXP_GRADIENT, "This is exp of dy. The slope is exp of x, and it is multiplied by dy.",
      only_exp_of_dy=lambda dy, y, x: np.exp(dy))
wrong(EXP_GRADIENT, "dy is missing. This is the slope of exp; multiply it by what y counts in the loss, dy.",
      without_dy=lambda dy, y, x: y, without_dy_computed=lambda dy, y, x: np.exp(x))
wrong(EXP_GRADIENT, "You multiply by x. The slope of exp is exp(x), which is y.",
      times_x=lambda dy, y, x: dy * x, times_log_y=lambda dy, y, x: dy * np.log(y))
wrong(EXP_GRADIENT, "You take exp twice: y is exp(x) already.", exp_twice=lambda dy, y, x: dy * np.exp(y))
wrong(EXP_GRADIENT, "There is an x too many. The slope of exp is exp itself: dx is dy times y.",
      times_x_and_y=lambda dy, y, x: dy * y * x, product_rule=lambda dy, y, x: dy * (y + x * y),
      x_and_y=lambda dy, y, x: x * y)
wrong(EXP_GRADIENT, "This is the rule for powers of x. In exp(x), x is the exponent, and the slope is exp(x) itself.",
      as_a_power=lambda dy, y, x: dy * x * np.exp(x - 1))
wrong(EXP_GRADIENT, "You add. Slopes in a row multiply: dy *times* the slope.",
      added=lambda dy, y, x: dy + y)
wrong(EXP_GRADIENT, "dy comes back as it is. It has to be multiplied by the slope of exp.",
      handed_on=lambda dy, y, x: dy)
wrong(EXP_GRADIENT, "This is the rule for the logarithm. The slope of exp is exp itself.",
      of_log=lambda dy, y, x: dy / x)
wrong(EXP_GRADIENT, "You divide by y. Slopes in a row multiply: dy *times* the slope.",
      divided=lambda dy, y, x: dy / y, divided_the_other_way=lambda dy, y, x: y / dy)
wrong(EXP_GRADIENT, "This is the rule for another function. The slope of exp is exp itself, with nothing taken off.",
      of_a_sigmoid=lambda dy, y, x: dy * y * (1 - y), of_tanh=lambda dy, y, x: dy * (1 - y * y),
      of_softmax=lambda dy, y, x: y * (dy - np.sum(dy * y, axis=-1, keepdims=True) if y.ndim else 0 * dy))
wrong(EXP_GRADIENT, "The sign is turned. exp grows everywhere, so dx has the sign of dy.",
      sign_turned=lambda dy, y, x: -dy * y)
wrong(EXP_GRADIENT, "You sum over all entries. The gradient has x's shape: one number for each.",
      summed=lambda dy, y, x: np.sum(dy * y))
wrong(EXP_GRADIENT, "exp has one argument, so there is one gradient: return dx itself, in no tuple or list.",
      in_a_tuple=lambda dy, y, x: (dy * y,), in_a_list=lambda dy, y, x: [dy * y],
      with_a_none=lambda dy, y, x: (dy * y, None))
wrong(EXP_GRADIENT, "`@` is the matrix product. exp works entry by entry, and so does its rule: `*`.",
      matrix_product=lambda dy, y, x: dy @ y, product_by_dot=lambda dy, y, x: np.dot(dy, y))
wrong(EXP_GRADIENT, "`math.exp` takes one number. For arrays there is `np.exp`; but y has it ready.",
      of_math=lambda dy, y, x: dy * math.exp(x))


@EXP_GRADIENT.alternative
def computed_again(dy, y, x):
    return dy * np.exp(x)


@EXP_GRADIENT.alternative
def multiplied_the_other_way(dy, y, x):
    return np.multiply(y, dy)


@EXP_GRADIENT.alternative
def as_a_product_with_one(dy, y, x):
    return multiply_gradient(dy, y, np.ones_like(y), y)[0]


@EXP_GRADIENT.alternative
def exp_by_einsum(dy, y, x):
    return np.einsum("...,...->...", dy, y)


# ---- matmul_gradient ----------------------------------------------------------------------------------------------

def matmul_gradient_inputs():
    def case(title, a, b, axes_of_a, axes_of_b, dy=None):
        y = a @ b
        dy = normal(*y.shape, seed=int(y.size), dtype=y.dtype) if dy is None else dy
        return Case(title, (dy, y, a, b), axes=(axes_of_a, axes_of_b))
    return [
        case("small whole numbers, T=2, D=3, F=4", np.array([[1.0, 2, 0], [0, -1, 3]]),
             np.array([[1.0, 0, 2, 1], [0, 1, -1, 1], [2, 1, 0, 0]]), "T D", "D F",
             np.array([[1.0, 0, 0, 2], [0, 3, -1, 0]])),
        case("a batch of each, B=2", normal(2, 3, 4, seed=51), normal(2, 4, 5, seed=52), "B T D", "B D F"),
        case("b is one matrix for the whole batch; its gradient keeps the axis B", normal(2, 3, 4, seed=53),
             normal(4, 5, seed=54), "B T D", "B D F"),
        case("heads: two leading axes", normal(2, 3, 4, 5, seed=55), normal(2, 3, 5, 6, seed=56), "B H T D", "B H D F"),
        case("a is one matrix for the whole batch; its gradient keeps the axis B", normal(4, 2, seed=57),
             normal(3, 2, 5, seed=58), "B T D", "B D F"),
        case("leading axes (2, 1) and (3,); both gradients keep dy's, (2, 3)", normal(2, 1, 4, 5, seed=59),
             normal(3, 5, 6, seed=60), "B H T D", "B H D F"),
        case("all sizes equal", normal(3, 3, 3, seed=61), normal(3, 3, 3, seed=62), "B T D", "B D F"),
        case("float32, transposed views", normal(4, 3, 2, seed=63, dtype=np.float32).T,
             np.swapaxes(normal(2, 5, 4, seed=64, dtype=np.float32), 1, 2), "B T D", "B D F"),
    ]


MATMUL_GRADIENT = Exercise(matmul_gradient, matmul_gradient_inputs)


def turned(x):
    return np.swapaxes(x, -1, -2)


NO_TRANSPOSE = ("`dy @ b` does not fit: dy ends with F, and b begins with D. Transpose b, and in db transpose a: the "
                "shapes of dA and dB remember it for you.")
ORDER = ("The order is turned. dy stands in front in da, (T, F) times (F, D), and behind in db, (D, T) times (T, F).")
ALL_AXES = ("`.T` and `np.transpose` reverse *all* axes: of a stack (B, D, F) they make (F, D, B). Only the last two "
            "change places: `np.swapaxes(b, -1, -2)`.")
LAST_TWO = ("You count the two axes from the front. Stacks have more or fewer axes there: count from the end, -1 and "
            "-2.")
ALL_PLACES = ("`transpose` takes the places of *all* axes, and stacks have any number of them. `np.swapaxes(b, -1, "
              "-2)` names only the two that change places.")
NOT_YET_SUMMED = ("You sum over leading axes already. Here they stay as dy has them: `unbroadcast`, the next exercise, "
                  "sums them.")
STACKS_PAIRED = ("`np.dot` and `np.tensordot` combine every matrix of one stack with every one of the other. `@` and "
                 "`np.matmul` go through the two stacks side by side.")
SOME_AXES = ("Your letters name a fixed number of axes. There may be any number of axes in front, none too: in "
             "`einsum`, `...` stands for them.")
NOT_ENTRYWISE = ("`*` multiplies entry by entry, and dy and b have different shapes. The gradients of a matrix product "
                 "are matrix products: `@`.")

wrong(MATMUL_GRADIENT, NO_TRANSPOSE,
      not_transposed=lambda dy, y, a, b: (dy @ b, a @ dy),
      b_not_transposed=lambda dy, y, a, b: (dy @ b, turned(a) @ dy),
      not_transposed_with_matmul=lambda dy, y, a, b: (np.dot(dy, b), np.dot(a, dy)))
wrong(MATMUL_GRADIENT, "da is right. In db, a has to be transposed as well: (D, T) times (T, F).",
      a_not_transposed=lambda dy, y, a, b: (dy @ turned(b), a @ dy))
wrong(MATMUL_GRADIENT, ORDER,
      order_turned=lambda dy, y, a, b: (turned(b) @ dy, dy @ turned(a)),
      order_of_da_turned=lambda dy, y, a, b: (turned(b) @ dy, turned(a) @ dy),
      order_turned_untransposed=lambda dy, y, a, b: (b @ dy, dy @ a),
      order_of_da_turned_untransposed=lambda dy, y, a, b: (b @ dy, a @ dy))
wrong(MATMUL_GRADIENT, "da is right. In db, the order is turned: a stands in front, (D, T) times (T, F).",
      order_of_db_turned=lambda dy, y, a, b: (dy @ turned(b), dy @ turned(a)),
      order_of_db_turned_untransposed=lambda dy, y, a, b: (dy @ turned(b), dy @ a))
wrong(MATMUL_GRADIENT, ALL_AXES,
      all_axes_reversed=lambda dy, y, a, b: (dy @ b.T, a.T @ dy),
      all_axes_of_b_reversed=lambda dy, y, a, b: (dy @ b.T, turned(a) @ dy),
      all_axes_of_a_reversed=lambda dy, y, a, b: (dy @ turned(b), a.T @ dy))
wrong(MATMUL_GRADIENT, LAST_TWO,
      first_two_axes=lambda dy, y, a, b: (dy @ np.swapaxes(b, 0, 1), np.swapaxes(a, 0, 1) @ dy),
      axes_1_and_2=lambda dy, y, a, b: (dy @ np.swapaxes(b, 1, 2), np.swapaxes(a, 1, 2) @ dy))
wrong(MATMUL_GRADIENT, ALL_PLACES,
      places_of_two_axes=lambda dy, y, a, b: (dy @ b.transpose(1, 0), a.transpose(1, 0) @ dy),
      places_of_three_axes=lambda dy, y, a, b: (dy @ b.transpose(0, 2, 1), a.transpose(0, 2, 1) @ dy),
      places_of_four_axes=lambda dy, y, a, b: (dy @ b.transpose(0, 1, 3, 2), a.transpose(0, 1, 3, 2) @ dy))
wrong(MATMUL_GRADIENT, STACKS_PAIRED,
      by_dot=lambda dy, y, a, b: (np.dot(dy, turned(b)), np.dot(turned(a), dy)),
      by_dot_of_all_axes=lambda dy, y, a, b: (np.dot(dy, b.T), np.dot(a.T, dy)),
      by_tensordot=lambda dy, y, a, b: (np.tensordot(dy, b, (-1, -1)), np.tensordot(a, dy, (-2, -2))))
wrong(MATMUL_GRADIENT, "The two results have changed places: first da, of a's size, then db.",
      exchanged=lambda dy, y, a, b: matmul_gradient(dy, y, a, b)[::-1],
      exchanged_and_all_axes_reversed=lambda dy, y, a, b: (a.T @ dy, dy @ b.T))
wrong(MATMUL_GRADIENT, "Your results are transposed. da has rows and columns as a has them, (T, D), and db as b.",
      results_transposed=lambda dy, y, a, b: (b @ turned(dy), turned(dy) @ a))
wrong(MATMUL_GRADIENT, "da is right, and db is transposed. It has rows and columns as b has them, (D, F).",
      db_transposed=lambda dy, y, a, b: (dy @ turned(b), turned(dy) @ a))
wrong(MATMUL_GRADIENT, NOT_ENTRYWISE,
      entry_by_entry=lambda dy, y, a, b: multiply_gradient(dy, y, a, b),
      entry_by_entry_transposed=lambda dy, y, a, b: (dy * turned(b), turned(a) * dy))
wrong(MATMUL_GRADIENT, "dy is missing. Entry by entry, it says how much y counts in the loss: multiply it by b "
      "transposed, and a transposed by it.",
      without_dy=lambda dy, y, a, b: (turned(b), turned(a)), without_dy_untransposed=lambda dy, y, a, b: (b, a))
wrong(MATMUL_GRADIENT, "You took y for dy. y is the result; how much it counts in the loss is dy.",
      y_for_dy=lambda dy, y, a, b: matmul_gradient(y, y, a, b))
wrong(MATMUL_GRADIENT, NOT_YET_SUMMED,
      summed=lambda dy, y, a, b: tuple(map(unbroadcast, matmul_gradient(dy, y, a, b), (a.shape, b.shape))),
      db_summed=lambda dy, y, a, b: (dy @ turned(b), unbroadcast(turned(a) @ dy, b.shape)),
      rows_of_all_summed=lambda dy, y, a, b: (dy @ turned(b), a.reshape(-1, a.shape[-1]).T @ dy.reshape(
          -1, dy.shape[-1]) if b.ndim == 2 else turned(a) @ dy))
wrong(MATMUL_GRADIENT, SOME_AXES,
      two_letters=lambda dy, y, a, b: (np.einsum("tf,df->td", dy, b), np.einsum("td,tf->df", a, dy)),
      three_letters=lambda dy, y, a, b: (np.einsum("btf,bdf->btd", dy, b), np.einsum("btd,btf->bdf", a, dy)))
wrong(MATMUL_GRADIENT, "This is the gradient of a alone. Return two, `(da, db)`.",
      only_a=lambda dy, y, a, b: dy @ turned(b))
wrong(MATMUL_GRADIENT, "The two gradients have different shapes and do not fit into one array. Return both: `da, db`.",
      in_an_array=lambda dy, y, a, b: np.array(matmul_gradient(dy, y, a, b)))
wrong(MATMUL_GRADIENT, "The two gradients have different shapes, and belong to different arguments: do not add them. "
      "Return both.", added=lambda dy, y, a, b: dy @ turned(b) + turned(a) @ dy)
wrong(MATMUL_GRADIENT, "You divide by the matrix, with its inverse. Slopes multiply: by b transposed.",
      by_inverse=lambda dy, y, a, b: (dy @ np.linalg.inv(b), np.linalg.inv(a) @ dy),
      by_pseudoinverse=lambda dy, y, a, b: (dy @ np.linalg.pinv(b), np.linalg.pinv(a) @ dy))
wrong(MATMUL_GRADIENT, "You divide by a size. Each entry collects a *sum*, as the matrix product gives it, not a mean.",
      averaged=lambda dy, y, a, b: (dy @ turned(b) / dy.shape[-1], turned(a) @ dy / dy.shape[-2]),
      averaged_over_rows=lambda dy, y, a, b: (dy @ turned(b), turned(a) @ dy / dy.shape[-2]))


@MATMUL_GRADIENT.alternative
def with_letters(dy, y, a, b):
    return np.einsum("...tf,...df->...td", dy, b), np.einsum("...td,...tf->...df", a, dy)


@MATMUL_GRADIENT.alternative
def transposed_twice(dy, y, a, b):
    return np.matrix_transpose(b @ dy.mT), np.moveaxis(np.matmul(np.moveaxis(dy, -2, -1), a), -1, -2)


@MATMUL_GRADIENT.alternative
def by_sums(dy, y, a, b):
    return [np.sum(dy[..., :, None, :] * b[..., None, :, :], axis=-1),
            np.sum(a[..., :, :, None] * dy[..., :, None, :], axis=-3)]


@MATMUL_GRADIENT.alternative
def matrix_by_matrix(dy, y, a, b):
    stack = dy.shape[:-2]
    a, b = (np.broadcast_to(x, stack + x.shape[-2:]) for x in (a, b))
    da, db = np.empty(a.shape, dy.dtype), np.empty(b.shape, dy.dtype)
    for i in np.ndindex(stack):
        da[i], db[i] = np.dot(dy[i], b[i].T), np.dot(a[i].T, dy[i])
    return da, db


@MATMUL_GRADIENT.alternative
def with_axes_named(dy, y, a, b):
    def swapped(x):
        return x.transpose(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    return np.matmul(dy, swapped(b)), np.matmul(swapped(a), dy)


# ---- unbroadcast --------------------------------------------------------------------------------------------------

def unbroadcast_inputs():
    return [
        Case("three rows that one bias was added to", (np.array([[1.0, 0], [2, 5], [3, 0]]), (2,)), axes="F"),
        Case("the example of the text", (np.ones((3, 4, 5)), (4, 1)), axes="row column"),
        Case("a stretched axis in the middle", (normal(2, 3, 4, seed=71), (2, 1, 4)), axes="B T D"),
        Case("two axes in front", (normal(2, 3, 4, seed=72), (4,)), axes="D"),
        Case("nothing was stretched", (normal(2, 3, 4, seed=73), (2, 3, 4)), axes="B T D"),
        Case("two axes stretched", (normal(2, 3, 4, seed=74), (1, 3, 1)), axes="B T D"),
        Case("an axis in front, and two stretched", (normal(2, 4, 3, 5, seed=75), (1, 3, 1)), axes="B T D"),
        Case("a square, its rows summed", (normal(3, 3, seed=76), (3,)), axes="D"),
        Case("a square, its columns summed", (normal(3, 3, seed=77), (3, 1)), axes="T D"),
        Case("an axis that was of size 1 all along", (normal(4, 3, 1, 2, seed=78), (3, 1, 2)), axes="T H D"),
        Case("down to one number, of shape (1,)", (normal(3, 4, seed=79), (1,))),
        Case("down to one number, of shape ()", (normal(2, 3, 4, seed=80), ())),
        Case("float32, a transposed view", (normal(4, 3, 2, seed=81, dtype=np.float32).T, (3, 1)), axes="T D"),
    ]


UNBROADCAST = Exercise(unbroadcast, unbroadcast_inputs)


def in_front(dx, shape):
    """The axes that broadcasting put in front."""
    return tuple(range(dx.ndim - len(shape)))


def ones(shape):
    """The axes of size 1."""
    return tuple(i for i, n in enumerate(shape) if n == 1)


def front_summed(dx, shape):
    return np.sum(dx, axis=in_front(dx, shape))


def ones_summed(dx, shape):
    return np.sum(dx, axis=ones(shape), keepdims=True)


TAKES_A_TUPLE = "`np.sum` takes one axis or a *tuple* of axes. Make one of yours: `tuple(...)`."
MOVED_UP = ("When an axis is summed away, all later ones move up by one, and your next number means another axis. Sum "
            "axis 0 again and again, or all of them in one call, with a tuple.")
FROM_THE_END = ("Broadcasting lines shapes up from the *end*: what is new stands in front. So the front axes are "
                "summed away, the first `dx.ndim - len(shape)`.")
ONES_KEPT = ("The stretched axes are gone. They had size 1 and keep it: `keepdims=True`.")
NOT_BY_SIZE = ("You find axes by their sizes, and two axes may have the same. Go by their places: shapes are lined up "
               "from the end.")
PICKED = ("You take one of the copies. All of them were used, so their gradients are added up: `np.sum`.")
DOES_NOT_FIT = ("Other shapes hold other numbers of entries, so `reshape` cannot make one of the other. What was "
                "stretched has to be summed.")

wrong(UNBROADCAST, ONES_KEPT,
      ones_dropped=lambda dx, shape: np.sum(front_summed(dx, shape), axis=ones(shape)),
      squeezed=lambda dx, shape: np.squeeze(unbroadcast(dx, shape)))
wrong(UNBROADCAST, "Axes in front are summed, and stretched ones are not. Where `shape` has size 1, sum as well, and "
      "keep the axis.", front_only=front_summed)
wrong(UNBROADCAST, "Stretched axes are summed, and the new ones in front are still there. Sum those away first, "
      "without `keepdims`.",
      stretched_only_from_the_front=ones_summed,
      stretched_only=lambda dx, shape: np.sum(dx, axis=tuple(dx.ndim - len(shape) + i for i in ones(shape)),
                                              keepdims=True))
wrong(UNBROADCAST, "The axes in front are kept, with size 1. The array did not have them: no `keepdims` there.",
      front_kept=lambda dx, shape: unbroadcast(dx, (1,) * (dx.ndim - len(shape)) + shape),
      front_kept_and_places_not_moved=lambda dx, shape: ones_summed(np.sum(dx, axis=in_front(dx, shape),
                                                                           keepdims=True), shape))
wrong(UNBROADCAST, "This is the mean. The array was used in every copy, so it collects the gradients of all: the sum.",
      averaged=lambda dx, shape: unbroadcast(dx, shape) / (dx.dtype.type(dx.size / max(np.prod(shape), 1))),
      stretched_averaged=lambda dx, shape: np.mean(np.mean(dx, axis=in_front(dx, shape)), axis=ones(shape),
                                                   keepdims=True))
wrong(UNBROADCAST, "The axes in front are averaged, and the stretched ones summed. Sum both.",
      front_averaged=lambda dx, shape: unbroadcast(np.mean(dx, axis=in_front(dx, shape)), shape))
wrong(UNBROADCAST, "The axes in front are summed, and the stretched ones averaged. Sum both.",
      ones_averaged=lambda dx, shape: np.mean(front_summed(dx, shape), axis=ones(shape), keepdims=True))
wrong(UNBROADCAST, DOES_NOT_FIT,
      reshaped=lambda dx, shape: dx.reshape(shape), reshaped_by_numpy=lambda dx, shape: np.reshape(dx, shape),
      front_summed_then_reshaped=lambda dx, shape: front_summed(dx, shape).reshape(shape))
wrong(UNBROADCAST, "`np.broadcast_to` only stretches. The way back is a sum over what was stretched.",
      broadcast=lambda dx, shape: np.broadcast_to(dx, shape))
wrong(UNBROADCAST, PICKED,
      first_copy=lambda dx, shape: dx[(0,) * len(in_front(dx, shape))][tuple(slice(n) for n in shape)],
      cut_off=lambda dx, shape: np.resize(dx, shape))
wrong(UNBROADCAST, "You take the largest of the copies. Their gradients are added up: `np.sum`.",
      largest=lambda dx, shape: np.max(np.max(dx, axis=in_front(dx, shape)), axis=ones(shape), keepdims=True))
wrong(UNBROADCAST, "You sum over everything. Only over what was stretched: along the other axes each entry has its own "
      "gradient.",
      all_summed=lambda dx, shape: np.sum(dx), all_summed_into_shape=lambda dx, shape: np.full(shape, np.sum(dx)))
wrong(UNBROADCAST, "Places in `shape` and places in dx differ by the number of axes in front. Sum the front axes "
      "first; then the two agree.",
      places_not_moved=lambda dx, shape: front_summed(ones_summed(dx, shape), shape),
      places_not_moved_in_one_sum=lambda dx, shape: np.sum(dx, axis=in_front(dx, shape) + ones(shape),
                                                           keepdims=True).reshape(shape))
wrong(UNBROADCAST, "`axis` takes places, and `shape` holds sizes. Sum over the places where it has a 1.",
      sizes_for_places=lambda dx, shape: np.sum(dx, axis=shape),
      sizes_for_places_kept=lambda dx, shape: np.sum(dx, axis=shape, keepdims=True))
wrong(UNBROADCAST, "You sum axis 0 and nothing else. Sum every axis in front, and every one where `shape` has a 1.",
      axis_0=lambda dx, shape: dx if dx.shape == shape else np.sum(dx, axis=0),
      axis_0_always=lambda dx, shape: np.sum(dx, axis=0))
wrong(UNBROADCAST, FROM_THE_END,
      last_axes=lambda dx, shape: ones_summed(np.sum(dx, axis=tuple(range(len(shape), dx.ndim))), shape),
      from_the_start=lambda dx, shape: np.sum(np.sum(dx, axis=tuple(
          i for i, (n, m) in enumerate(zip(dx.shape, shape, strict=False)) if n != m), keepdims=True), axis=tuple(
              range(len(shape), dx.ndim))))
wrong(UNBROADCAST, "You sum one axis in front, and there may be several: `dx.ndim - len(shape)` of them.",
      one_in_front=lambda dx, shape: ones_summed(np.sum(dx, axis=0) if dx.ndim > len(shape) else dx, shape))
wrong(UNBROADCAST, "You sum one stretched axis, and there may be several. Take all places where `shape` has a 1.",
      one_stretched=lambda dx, shape: np.sum(front_summed(dx, shape), axis=ones(shape)[:1], keepdims=True))
wrong(UNBROADCAST, NOT_BY_SIZE,
      by_size=lambda dx, shape: np.sum(dx, axis=tuple(
          i for i, n in enumerate(dx.shape) if n not in shape)).reshape(shape))
wrong(UNBROADCAST, TAKES_A_TUPLE,
      axes_in_a_list=lambda dx, shape: np.sum(dx, axis=list(in_front(dx, shape))),
      axes_in_a_range=lambda dx, shape: np.sum(dx, axis=range(dx.ndim - len(shape))))
wrong(UNBROADCAST, "Where nothing was stretched, dx itself is the answer: `return dx`.",
      nothing_for_equal_shapes=lambda dx, shape: None if dx.shape == shape else unbroadcast(dx, shape))
wrong(UNBROADCAST, "You sum where `shape` is *not* 1. Stretched are the axes that had size 1.",
      others_summed=lambda dx, shape: np.sum(front_summed(dx, shape), keepdims=True, axis=tuple(
          i for i, n in enumerate(shape) if n != 1)))


@UNBROADCAST.mistake(MOVED_UP)
def front_axes_in_turn(dx, shape):
    for i in range(dx.ndim - len(shape)):
        dx = np.sum(dx, axis=i)
    return unbroadcast(dx, shape)


@UNBROADCAST.mistake(MOVED_UP)
def stretched_axes_in_turn(dx, shape):
    dx = front_summed(dx, shape)
    for i in ones(shape):
        dx = np.sum(dx, axis=i)
    return np.reshape(dx, shape)


@UNBROADCAST.alternative
def axis_by_axis(dx, shape):
    while dx.ndim > len(shape):
        dx = dx.sum(axis=0)
    for i, (n, m) in enumerate(zip(dx.shape, shape, strict=True)):
        if n != m:
            dx = dx.sum(axis=i, keepdims=True)
    return dx


@UNBROADCAST.alternative
def in_one_sum(dx, shape):
    full = (1,) * (dx.ndim - len(shape)) + tuple(shape)
    return np.sum(dx, axis=tuple(i for i, n in enumerate(full) if n < dx.shape[i]), keepdims=True).reshape(shape)


@UNBROADCAST.alternative
def entry_by_entry(dx, shape):
    result, new = np.zeros(shape, dx.dtype), dx.ndim - len(shape)
    for place in np.ndindex(dx.shape):
        result[tuple(i if n > 1 else 0 for i, n in zip(place[new:], shape, strict=True))] += dx[place]
    return result


@UNBROADCAST.alternative
def stretched_first(dx, shape):
    for i in range(-len(shape), 0):
        if shape[i] == 1:
            dx = np.add.reduce(dx, axis=i, keepdims=True)
    return dx.reshape(-1, *shape).sum(axis=0)


@UNBROADCAST.alternative
def by_letters(dx, shape):
    letters = "abcdefgh"[:dx.ndim]
    kept = [letter for letter, n in zip(letters[dx.ndim - len(shape):], shape, strict=True) if n != 1]
    return np.reshape(np.einsum(f"{letters}->{''.join(kept)}", dx), shape)


# ---- backward -----------------------------------------------------------------------------------------------------

class Steps(tuple):
    """A tape, of which each call gets one of its own. A card shows it without its rules."""

    def __repr__(self):
        return "[" + ", ".join(f'("{name}", rule, {ins}, {outs})' for name, _, ins, outs in self) + "]"


class Given(dict):
    """The gradients to begin with. A card shows numbers, and arrays as dy."""

    def __repr__(self):
        return "{" + ", ".join(f"{slot}: {'dy' if dy.ndim else dy}" for slot, dy in self.items()) + "}"


def product(a, b):
    return lambda dy: [dy * b, dy * a]


def slope(s):
    """The rule of a step with one input, of slope s."""
    return lambda dy: [dy * s]


def handed_to_both(dy):
    return [dy, dy]


def spread(*shape):
    """The rule of a sum: its gradients cannot be written into."""
    return lambda dy: [np.broadcast_to(dy, shape)]


def two_halves(*shape):
    """The rule of a split in two along the first axis."""
    def rule(first, second):
        halves = [np.zeros(shape) if half is None else half for half in (first, second)]
        return [np.concatenate(halves)]
    return rule


def backward_inputs():
    def case(title, gradients, *steps):
        return Case(title, (Steps(steps), Given(gradients)))

    def numbers(i, *shape, dtype=np.float64):
        return normal(*(shape or (2, 3)), seed=90 + i, dtype=dtype)

    yes, one, three, x32 = numbers(7) > 0, np.float64(1), np.float64(3), numbers(11, 4, dtype=np.float32)
    return [
        case("the example of the text, x * x + x for x = 3", {2: one},
             ("multiply", product(three, three), [0, 0], [1]), ("add", handed_to_both, [1, 0], [2])),
        case("a chain, of arrays", {3: one}, ("exp", slope(numbers(0)), [0], [1]),
             ("tanh", slope(numbers(1)), [1], [2]), ("sum", spread(2, 3), [2], [3])),
        case("a number that is not tracked, and has no slot", {5: numbers(2)},
             ("multiply", product(numbers(3), three), [4, None], [0]),
             ("subtract", lambda dy: [dy, -dy], [None, 0], [5])),
        case("slot 0 is used in every step", {3: numbers(4, 3)}, ("exp", slope(numbers(5, 3)), [0], [1]),
             ("multiply", product(numbers(5, 3), numbers(6, 3)), [1, 0], [2]), ("add", handed_to_both, [2, 0], [3])),
        case("a rule that has no gradient for one of its inputs", {4: numbers(8)},
             ("where", lambda dy: [None, dy * yes, dy * ~yes], [0, 1, 2], [3]), ("negative", slope(-1.0), [3], [4])),
        case("steps that the result does not depend on", {2: numbers(9)}, ("log", slope(numbers(0)), [0], [1]),
             ("multiply", product(numbers(1), numbers(2)), [0, 0], [2]), ("exp", slope(numbers(3)), [4], [5]),
             ("add", handed_to_both, [2, 5], [6])),
        case("a step with two outputs, of which only the second counts", {3: one},
             ("split", two_halves(1, 3), [0], [1, 2]), ("sum", spread(1, 3), [2], [3])),
        case("a step with two outputs that both count", {7: numbers(10, 1, 3)},
             ("split", two_halves(1, 3), [0], [6, 2]), ("exp", slope(numbers(12, 1, 3)), [6], [3]),
             ("multiply", product(numbers(13, 1, 3), numbers(14, 1, 3)), [2, 3], [7])),
        case("an addition, whose rule gives both inputs the same array", {4: numbers(15)},
             ("exp", slope(numbers(16)), [0], [2]), ("add", handed_to_both, [0, 1], [3]),
             ("multiply", product(numbers(17), numbers(18)), [3, 2], [4])),
        case("sum(x * x) + sum(x)", {4: one}, ("multiply", product(numbers(19), numbers(19)), [0, 0], [1]),
             ("sum", spread(2, 3), [1], [2]), ("sum", spread(2, 3), [0], [3]), ("add", handed_to_both, [2, 3], [4])),
        case("a gradient that is 0, which is a gradient, too", {3: one}, ("exp", slope(three), [0], [1]),
             ("multiply", product(three, np.float64(0)), [1, 2], [3])),
        case("float32", {2: numbers(20, 4, dtype=np.float32)}, ("multiply", product(x32, x32), [0, 0], [1]),
             ("add", handed_to_both, [1, 0], [2])),
        case("an empty tape", {0: numbers(21)}),
    ]


def guarded(name, rule, n_outputs):
    """The rule, that says so when it is called with something else than it takes."""
    def guard(*dys):
        if len(dys) != n_outputs:
            raise TypeError(f"the rule of {name} takes {n_outputs} gradient{'s' * (n_outputs > 1)}, one for each "
                            f"output; it got {len(dys)}")
        strange = [dy for dy in dys if dy is not None and not isinstance(dy, (np.ndarray, np.generic))]
        if strange:
            raise TypeError(f"the rule of {name} takes the gradient of an output, an array or None; it got "
                            f"{describe(strange[0])}")
        if all(dy is None for dy in dys):
            raise ValueError(f"the rule of {name} was called without any gradient: all it got is None")
        return rule(*dys)
    return guard


def walk(f, case):
    """What f makes of a tape of its own: what it returns, what is left, which gradients it was given and changed."""
    steps, given = case.args
    tape = [(name, guarded(name, rule, len(outputs)), list(inputs), list(outputs))
            for name, rule, inputs, outputs in steps]
    gradients = {slot: dy.copy() for slot, dy in given.items()}
    handed_in = dict(gradients)
    returned = f(tape, gradients)
    return {"gradients": returned, "left": len(tape),
            "changed": [slot for slot, dy in handed_in.items() if not np.array_equal(dy, given[slot])]}


def judge_walk(case, seen):
    expected, got = walk(backward, case)["gradients"], seen["gradients"]
    made_by = {slot: name for name, _, _, outputs in case.args[0] for slot in outputs}
    if not isinstance(got, dict):
        hint = "Does it end in `return gradients`?" if got is None else ""
        return Difference(f"expected the dict of gradients, got {describe(got)}", advice=hint)
    if None in got:
        return Difference("the dict has a gradient under None, which is no slot")
    for slot in [slot for slot in got if slot not in expected]:
        why = f"the step `{made_by[slot]}` has made it" if slot in made_by else "the result does not change with it"
        return Difference(f"there is still a gradient of slot {slot} in the dict: {why}. Expected are gradients of "
                          f"slot {' and '.join(map(str, expected))} alone")
    for slot in expected:
        if slot not in got:
            return Difference(f"there is no gradient of slot {slot} in the dict")
        found = compare(expected[slot], got[slot], "", f"the gradient of slot {slot}: ")
        if found:
            return found
    if seen["left"]:
        left = "a step is" if seen["left"] == 1 else f"{seen['left']} steps are"
        return Difference(f"the gradients are right, but {left} still on the tape")
    if seen["changed"]:
        return Difference(f"the gradients are right, but the array that was handed in for slot {seen['changed'][0]} "
                          "has been changed")
    return None


BACKWARD = Exercise(backward, backward_inputs, call=walk, judge=judge_walk)


def off_the_end(tape):
    while tape:
        yield tape.pop()


def off_the_start(tape):
    while tape:
        yield tape.pop(0)


def handed_on(gradients, slot, dx):
    gradients[slot] = gradients[slot] + dx if slot in gradients else dx


RIGHT = {
    "steps": off_the_end,
    "unpacked": lambda step: step,                          # name, rule, inputs, outputs
    "dys": lambda gradients, outputs: [gradients.pop(slot, None) for slot in outputs],
    "nothing": lambda dys: all(dy is None for dy in dys),
    "dxs": lambda rule, dys: rule(*dys),
    "pairs": lambda inputs, dxs: zip(inputs, dxs, strict=True),
    "wanted": lambda slot, dx: slot is not None and dx is not None,
    "hand_on": handed_on,
    "returned": lambda gradients: gradients,
}


def wrong_backward(sentence, **versions):
    """Register walks in which these parts are different from the right ones."""
    for name, parts in versions.items():
        def answer(tape, gradients, parts=parts):
            p = SimpleNamespace(**RIGHT | parts)
            for step in p.steps(tape):
                _, rule, inputs, outputs = p.unpacked(step)
                dys = p.dys(gradients, outputs)
                if not p.nothing(dys):
                    for slot, dx in p.pairs(inputs, p.dxs(rule, dys)):
                        if p.wanted(slot, dx):
                            p.hand_on(gradients, slot, dx)
            return p.returned(gradients)
        wrong(BACKWARD, sentence, **{name: answer})


def in_place(gradients, slot, dx):
    if slot in gradients:
        gradients[slot] += dx
    else:
        gradients[slot] = dx


def with_a_default(default):
    """Hand on, added to what is there or to a default."""
    def hand_on(gradients, slot, dx):
        gradients[slot] = gradients.get(slot, default) + dx
    return hand_on


def never_there(gradients, slot, dx):
    gradients[slot] = gradients[slot] + dx


def never_there_in_place(gradients, slot, dx):
    gradients[slot] += dx


def half_of_the_steps(tape):
    for _ in tape:
        yield tape.pop()


def mixed_up(*order):
    return lambda step: [step[i] for i in order]


TRUTH = ("Python cannot say whether a whole array is true. Ask for what you mean: `dy is None`, and `all(dy is None "
         "for dy in dys)`.")
OUTPUTS_OUT = ("The gradients of outputs are still in the dict. A step takes them out, `gradients.pop(slot, None)`: "
               "once the step is done, nobody needs them.")
FROM_THE_END_OF_THE_TAPE = ("You begin at the start of the tape, where no gradient has arrived yet. It arrives from "
                            "the result: take the last step first, `tape.pop()`.")
SLOT_OF_ZERO = ("Slot 0 counts as false in Python, and so does a gradient of 0. Ask `is not None`.")
NONE_FOR_NONE = ("An output that has no gradient got a number in its place. The rule takes None for it: "
                 "`gradients.pop(slot, None)`.")
ALL_OUTPUTS = ("A step may have several outputs. The rule takes the gradients of all of them, in one call and in their "
               "order, None among them.")
FIRST_ONE = ("The first gradient that comes to a slot finds nothing there to be added to. Add where there is one "
             "already, else put it there.")
STILL_ON_THE_TAPE = ("The steps are still on the tape, with all the arrays that they keep, so no memory is freed. Take "
                     "each one off: `tape.pop()`.")
PLACES_IN_A_STEP = ("A step is `(name, rule, inputs, outputs)`, in this order. Unpack it so.")
STAR = ("The rule takes the gradients one by one, not a list of them. A star spreads the list: `rule(*dys)`.")

wrong_backward("Each gradient that arrives replaces the one before. A value that is used twice has two effects: add "
               "them.", overwritten={"hand_on": lambda g, slot, dx: g.update({slot: dx})})
wrong_backward("Only the first gradient that arrives is kept. A value that is used twice has two effects: add them.",
               only_the_first={"hand_on": lambda g, slot, dx: g.setdefault(slot, dx)})
wrong_backward("Where a slot is used several times, only the last gradient within a step counts: a dict has each slot "
               "once. Go through inputs and gradients side by side, with `zip`.",
               inputs_as_a_dict={"pairs": lambda inputs, dxs: dict(zip(inputs, dxs, strict=True)).items()})
wrong_backward("Where an input occurs twice in a step, it got one gradient only. x * x has two, one for each x: go "
               "through all inputs, `zip(inputs, dxs)`.",
               inputs_as_a_set={"pairs": lambda inputs, dxs: [(slot, dxs[inputs.index(slot)])
                                                              for slot in dict.fromkeys(inputs)]})
wrong_backward("`+=` writes into the array, and another slot, or the caller, may hold the same one. Make a new one: "
               "`gradients[slot] = gradients[slot] + dx`.", in_place={"hand_on": in_place})
wrong_backward("You multiply the gradients that arrive at a slot. Slopes in a row multiply, and the rules do that; "
               "effects side by side add up.",
               multiplied={"hand_on": lambda g, slot, dx: g.update({slot: g[slot] * dx if slot in g else dx})},
               multiplied_from_one={"hand_on": lambda g, slot, dx: g.update({slot: g.get(slot, 1) * dx})})
wrong_backward("The first gradient of each slot is counted twice. Where there is none yet, put dx there; only where "
               "there is one, add.",
               doubled={"hand_on": lambda g, slot, dx: g.update({slot: g.get(slot, dx) + dx})})
wrong_backward("You take the mean of what arrives. Each use of a value has its effect: add them.",
               averaged={"hand_on": lambda g, slot, dx: g.update({slot: (g[slot] + dx) / 2 if slot in g else dx})})
wrong_backward("The gradient of a slot goes missing when a second one arrives: the sum has to be put back into the "
               "dict, `gradients[slot] = ...`.",
               taken_out={"hand_on": lambda g, slot, dx: g.pop(slot) + dx if slot in g else g.update({slot: dx})})
wrong_backward(FIRST_ONE, key_error={"hand_on": never_there}, key_error_in_place={"hand_on": never_there_in_place},
               none_plus={"hand_on": with_a_default(None)},
               the_wrong_way_round={"hand_on": lambda g, slot, dx: g.update({slot: dx if slot in g else g[slot] + dx})})
wrong_backward("The numbers are right, but float32 became float64. An array of zeros to add to is float64, unless it "
               "is `np.zeros_like(dx)`.",
               float64_zeros={"hand_on": lambda g, slot, dx: g.update({slot: g.get(slot, np.zeros(dx.shape)) + dx})})
wrong_backward(FROM_THE_END_OF_THE_TAPE, from_the_start={"steps": off_the_start}, along_the_tape={"steps": iter})
wrong_backward("You take steps off the tape while a `for` runs along it, and it ends half way. `while tape:` goes on "
               "as long as there are steps.", half_of_the_steps={"steps": half_of_the_steps})
wrong_backward("Only one step was walked. Is `return` inside the loop? It comes after it.",
               one_step={"steps": lambda tape: [tape.pop()] if tape else []})
wrong_backward("You take one step, the last. A loop, `while tape:`, takes them all (and none, where the tape is "
               "empty).",
               last_step={"steps": lambda tape: [tape.pop()]})
wrong_backward("The first step of the tape is left out. It counts as well: `while tape:`, until none is left.",
               first_step_left={"steps": lambda tape: iter(lambda: tape.pop() if len(tape) > 1 else None, None)},
               first_step_skipped={"steps": lambda tape: reversed([*off_the_start(tape)][1:])})
wrong_backward("The last step is left out. It is the first that you need.",
               last_step_skipped={"steps": lambda tape: [*off_the_end(tape)][1:]})
wrong_backward(STILL_ON_THE_TAPE, reversed_tape={"steps": reversed}, turned_copy={"steps": lambda tape: tape[::-1]},
               popped_from_a_copy={"steps": lambda tape: off_the_end(list(tape))})
wrong_backward(OUTPUTS_OUT, outputs_left={"dys": lambda g, outputs: [g.get(slot) for slot in outputs]},
               outputs_left_checked={"dys": lambda g, outputs: [g[slot] if slot in g else None for slot in outputs]})
wrong_backward("A KeyError: this output has no gradient, since nothing that matters came out of it. Give `pop` "
               "something to return then: `gradients.pop(slot, None)`.",
               no_default={"dys": lambda g, outputs: [g.pop(slot) for slot in outputs]},
               no_default_and_left={"dys": lambda g, outputs: [g[slot] for slot in outputs]})
wrong_backward("The rule of a step was called although none of its outputs has a gradient. The result does not depend "
               "on that step: `continue` with the next.", dead_steps_walked={"nothing": lambda dys: False})
wrong_backward("A step is left out when *one* of its outputs has no gradient. The others may have one: go on only when "
               "`all` of them are None.",
               any_none={"nothing": lambda dys: any(dy is None for dy in dys)},
               first_none={"nothing": lambda dys: dys[0] is None})
wrong_backward(TRUTH, none_in_dys={"nothing": lambda dys: None in dys}, any_dys={"nothing": lambda dys: not any(dys)},
               not_the_first={"nothing": lambda dys: not dys[0]}, equal_none={"nothing": lambda dys: dys == [None]},
               each_equal_none={"nothing": lambda dys: all(dy == None for dy in dys)},                 # noqa: E711
               if_dx={"wanted": lambda slot, dx: slot is not None and dx},
               if_get={"hand_on": lambda g, slot, dx: g.update({slot: g[slot] + dx if g.get(slot) else dx})},
               counted_none={"nothing": lambda dys: dys.count(None) == len(dys)})
wrong_backward(SLOT_OF_ZERO, slot_0_skipped={"wanted": lambda slot, dx: slot and dx is not None},
               gradient_0_skipped={"wanted": lambda slot, dx: slot is not None and dx is not None and np.any(dx)},
               nothing_but_0={"nothing": lambda dys: not any(np.any(dy) for dy in dys if dy is not None)})
wrong_backward("An input without a slot got a gradient, under None. It is a constant: go on with the next input.",
               slot_none={"wanted": lambda slot, dx: dx is not None})
wrong_backward("A gradient that is None went into the dict. The rule says by it that this input has none: go on with "
               "the next.", gradient_none={"wanted": lambda slot, dx: slot is not None})
wrong_backward("Neither slots nor gradients that are None are left out. A slot of None is a constant, a gradient of "
               "None means that there is none: go on with the next input.",
               none_kept={"wanted": lambda slot, dx: True})
for name, default in (("0", 0), ("0_point_0", 0.0), ("1", 1), ("1_point_0", 1.0)):
    wrong_backward(NONE_FOR_NONE, **{f"default_of_{name}": {"dys": lambda g, outputs, d=default: [
        g.pop(slot, d) for slot in outputs]}})
wrong_backward(STAR, no_star={"dxs": lambda rule, dys: rule(dys)},
               no_star_but_a_tuple={"dxs": lambda rule, dys: rule(tuple(dys))})
wrong_backward(ALL_OUTPUTS, first_output={"dxs": lambda rule, dys: rule(dys[0])},
               none_left_out={"dxs": lambda rule, dys: rule(*[dy for dy in dys if dy is not None])},
               outputs_turned={"dxs": lambda rule, dys: rule(*dys[::-1])})
wrong_backward("`outputs` is a list of slots, and a list cannot be a key. Take the gradient of each slot in it: "
               "`[gradients.pop(slot, None) for slot in outputs]`.",
               list_as_key={"dys": lambda g, outputs: [g.pop(outputs, None)]})
wrong_backward("The rule gives the gradients in the order of the inputs: the first for the first. Yours are handed on "
               "in another order.",
               gradients_turned={"pairs": lambda inputs, dxs: zip(inputs, dxs[::-1], strict=True)},
               inputs_turned={"pairs": lambda inputs, dxs: zip(inputs[::-1], dxs, strict=True)})
wrong_backward("Only one input gets its gradient. The rule gives one for each: go through all of them, `zip(inputs, "
               "dxs)`.",
               first_input={"pairs": lambda inputs, dxs: [(inputs[0], dxs[0])]},
               last_input={"pairs": lambda inputs, dxs: [(inputs[-1], dxs[-1])]})
wrong_backward("You use slots as places in the list that the rule gives. Its first gradient is for the first input, "
               "whatever the slot: `zip(inputs, dxs)`.",
               slots_as_places={"pairs": lambda inputs, dxs: [
                   (slot, dxs[slot]) for slot in inputs if slot is not None]})
wrong_backward("Every input got the whole list that the rule gives. The first gradient is for the first input, and so "
               "on: `zip(inputs, dxs)`.",
               whole_list={"pairs": lambda inputs, dxs: [(slot, dxs) for slot in inputs]},
               whole_array={"pairs": lambda inputs, dxs: [(slot, np.array(dxs)) for slot in inputs]})
wrong_backward("The gradient of the output is handed on as it is. What the inputs get, the rule says.",
               rule_not_used={"dxs": lambda rule, dys: dys, "pairs": lambda inputs, dxs: [
                   (slot, dxs[0]) for slot in inputs]})
wrong_backward("Inputs and outputs have changed places. On the way back a step takes the gradients of its outputs, and "
               "hands on those of its inputs. (A step is `name, rule, inputs, outputs`.)",
               sides_exchanged={"unpacked": mixed_up(0, 1, 3, 2)})
wrong_backward(PLACES_IN_A_STEP, rule_first={"unpacked": mixed_up(1, 0, 2, 3)},
               name_last={"unpacked": mixed_up(1, 2, 3, 0)})
wrong_backward("A step has four parts, `(name, rule, inputs, outputs)`. The name is not needed, but it has its place "
               "when you unpack.", three_parts={"unpacked": mixed_up(1, 2, 3)})
wrong_backward("You return nothing, or one gradient. The dict is asked for: `return gradients`, after the loop.",
               nothing_returned={"returned": lambda g: None}, one_returned={"returned": lambda g: g.get(0)},
               values_returned={"returned": lambda g: list(g.values())})


@BACKWARD.mistake("The walk ends at the first step that has no gradient. The steps before it may have one: `continue`, "
                  "not `break` or `return`.")
def ends_at_a_dead_step(tape, gradients):
    while tape:
        name, rule, inputs, outputs = tape.pop()
        dys = [gradients.pop(slot, None) for slot in outputs]
        if all(dy is None for dy in dys):
            break
        for slot, dx in zip(inputs, rule(*dys), strict=True):
            if slot is not None and dx is not None:
                handed_on(gradients, slot, dx)
    return gradients


@BACKWARD.mistake("An input that is None ends the loop over the inputs. Those after it need their gradients: "
                  "`continue`, not `break`.")
def ends_at_a_constant(tape, gradients):
    for _, rule, inputs, outputs in off_the_end(tape):
        dys = [gradients.pop(slot, None) for slot in outputs]
        if any(dy is not None for dy in dys):
            for slot, dx in zip(inputs, rule(*dys), strict=True):
                if slot is None or dx is None:
                    break
                handed_on(gradients, slot, dx)
    return gradients


@BACKWARD.mistake("A KeyError: you delete the gradients of all outputs, and one of them had none. `gradients.pop(slot, "
                  "None)` takes a gradient out, and gives None where there is none.")
def outputs_deleted(tape, gradients):
    for _, rule, inputs, outputs in off_the_end(tape):
        dys = [gradients.get(slot) for slot in outputs]
        if any(dy is not None for dy in dys):
            for slot, dx in zip(inputs, rule(*dys), strict=True):
                if slot is not None and dx is not None:
                    handed_on(gradients, slot, dx)
            for slot in outputs:
                del gradients[slot]
    return gradients


@BACKWARD.mistake(ALL_OUTPUTS)
def output_by_output(tape, gradients):
    for _, rule, inputs, outputs in off_the_end(tape):
        for output in outputs:
            dy = gradients.pop(output, None)
            if dy is not None:
                for slot, dx in zip(inputs, rule(dy), strict=True):
                    if slot is not None and dx is not None:
                        handed_on(gradients, slot, dx)
    return gradients


@BACKWARD.mistake(ALL_OUTPUTS)
def one_output_expected(tape, gradients):
    for _, rule, inputs, outputs in off_the_end(tape):
        dy = gradients.pop(outputs[0], None)
        if dy is not None:
            for slot, dx in zip(inputs, rule(dy), strict=True):
                if slot is not None and dx is not None:
                    handed_on(gradients, slot, dx)
    return gradients


@BACKWARD.alternative
def emptied_at_the_end(tape, gradients):
    for step in reversed(tape):
        rule, inputs, outputs = step[1:]
        if any(slot in gradients for slot in outputs):
            dxs = rule(*(gradients.pop(slot, None) for slot in outputs))
            for slot, dx in zip(inputs, dxs, strict=False):
                if slot is None or dx is None:
                    continue
                gradients[slot] = gradients.get(slot, 0) + dx
    tape.clear()
    return gradients


@BACKWARD.alternative
def a_new_dict(tape, gradients):
    gradients = dict(gradients)
    for _ in range(len(tape)):
        _, rule, inputs, outputs = tape[-1]
        dys = [gradients.get(slot) for slot in outputs]
        if sum(dy is not None for dy in dys):
            for slot in outputs:
                gradients.pop(slot, None)
            dxs = rule(*dys)
            for i in range(len(inputs)):
                if inputs[i] is not None and dxs[i] is not None:
                    gradients[inputs[i]] = np.add(dxs[i], gradients[inputs[i]]) if inputs[i] in gradients else dxs[i]
        del tape[-1]
    return gradients


@BACKWARD.alternative
def into_copies_of_its_own(tape, gradients):
    while len(tape) > 0:
        _, rule, inputs, outputs = tape.pop(-1)
        dys = []
        for slot in outputs:
            dys.append(gradients.pop(slot) if slot in gradients else None)
        if not [dy for dy in dys if dy is not None]:
            continue
        for slot, dx in zip(inputs, rule(*dys), strict=True):
            if slot is not None and dx is not None:
                if slot in gradients:
                    dx = np.array(dx)
                    dx += gradients[slot]
                gradients[slot] = dx
    return gradients


@BACKWARD.alternative
def step_after_step(tape, gradients):
    if not tape:
        return gradients
    _, rule, inputs, outputs = tape.pop()
    dys = tuple(gradients.pop(slot, None) for slot in outputs)
    arrived = rule(*dys) if any(dy is not None for dy in dys) else []
    for slot, dx in zip(inputs, arrived, strict=False):
        if slot is not None and dx is not None:
            gradients |= {slot: sum(g for g in (gradients.get(slot), dx) if g is not None)}
    return step_after_step(tape, gradients)
