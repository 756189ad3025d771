"""The exercises of chapter 01, softmax."""
import math

import numpy as np

from ...softmax import log_softmax, softmax
from ..answers.chapter_01 import surprise, with_temperature
from ..exercise import Case, Exercise

LOST_AXIS = ("`np.max` and `np.sum` drop the axis they work along, and their result no longer lines up with x. Keep "
             "that axis, with size 1: `keepdims=True`.")
WHOLE_NUMBERS = ("The integer scores gave zeros or ones: your `np.zeros_like(x)`, or `dtype=x.dtype`, holds whole "
                 "numbers there, and cuts off every share. Take the dtype from the exponentials.")
NEVER_ZERO = ("You keep the shares away from 0 by a smallest number. That hides the -inf and loses the answer: -1000 "
              "is a logarithm like any other. Use the formula, which never forms the share.")


def scores(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).round(2)        # readable where a card shows them


def softmax_inputs():
    return [
        Case("three scores", (np.array([2.0, 1.0, 0.1]),), axes="S"),
        Case("scores of shape (T=3, S=4)", (scores(3, 4),), axes="T S"),
        Case("the same along the columns", (scores(3, 4),), {"axis": 0}, axes="T S"),
        Case("large scores, and rows far apart",
             (np.array([[1000.0, 1001.0, 999.0], [-1000.0, -1001.0, -1002.0], [0.0, 800.0, 1600.0]]),), axes="T S"),
        Case("scores far below zero", (np.array([[0.0, -1.0, -2.0], [-1000.0, -1001.0, -1002.0]]),), axes="T S"),
        Case("a stack, along its middle axis", (scores(2, 3, 4),), {"axis": 1}, axes="B T S"),
        Case("a score of -inf", (np.array([[2.0, -np.inf, 0.1], [-np.inf, 0.0, -np.inf]]),), axes="T S"),
        Case("a row of -inf only, which has no answer", (np.array([[1.0, 2.0], [-np.inf, -np.inf]]),), axes="T S"),
        Case("integer scores", (np.array([[1, 2, 3], [3, 1, 0]]),), axes="T S"),
        Case("float32 scores, a transposed view", (scores(5, 4, 3, 2).astype(np.float32).T,), axes="B H T S"),
    ]


SOFTMAX = Exercise(softmax, softmax_inputs)


@SOFTMAX.mistake("Your columns add up to 1; the rows should. This is the sum over the wrong axis: each row is one "
                 "question, and its answers share 100%. Sum along `axis`, keeping the dimension so that it still "
                 "lines up with the row.")
def always_first_axis(x, axis=-1):
    e = np.exp(x - np.max(x, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


@SOFTMAX.mistake("You always work along the last axis. The caller may ask for another one: use the argument `axis`.")
def always_last_axis(x, axis=-1):
    return softmax(x)


@SOFTMAX.mistake("All entries together add up to 1. Every row should by itself: give `np.max` and `np.sum` the axis.")
def over_everything(x, axis=-1):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


@SOFTMAX.mistake("All entries together add up to 1. Every row should by itself: give `np.sum` the axis.")
def over_everything_naive(x, axis=-1):
    return np.exp(x) / np.sum(np.exp(x))


@SOFTMAX.mistake("e to the power of 1000 is too big for a float and becomes inf, and inf / inf is nan. Subtract the "
                 "largest score of each row first; the shares stay the same.")
def naive(x, axis=-1):
    e = np.exp(x)
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("You subtract the largest score of the whole array. A row far below it becomes exp(-2000) = 0 "
                 "everywhere, and 0 / 0 is nan. Each row needs its own largest score.")
def one_maximum_for_all(x, axis=-1):
    e = np.exp(x - np.max(x))
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake(LOST_AXIS)
def no_keepdims_in_max(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis))
    return e / np.sum(e, axis=axis)


@SOFTMAX.mistake(LOST_AXIS)
def no_keepdims_in_sum(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis)


@SOFTMAX.mistake(LOST_AXIS)
def no_keepdims_naive(x, axis=-1):
    return np.exp(x) / np.sum(np.exp(x), axis=axis)


@SOFTMAX.mistake("You divide the scores themselves by their sum. With a negative score that makes negative shares: "
                 "take the exponential first.")
def without_exp(x, axis=-1):
    return x / np.sum(x, axis=axis, keepdims=True)


@SOFTMAX.mistake("The largest entry of each row is 1: these are the exponentials. Divide them by their sum.")
def without_sum(x, axis=-1):
    return np.exp(x - np.max(x, axis=axis, keepdims=True))


@SOFTMAX.mistake("You subtract the largest score above the fraction and not below it, or the other way round. It "
                 "cancels only if both have it.")
def shifted_below_only(x, axis=-1):
    return np.exp(x) / np.sum(np.exp(x - np.max(x, axis=axis, keepdims=True)), axis=axis, keepdims=True)


@SOFTMAX.mistake("You subtract the largest score above the fraction and not below it, or the other way round. It "
                 "cancels only if both have it.")
def shifted_above_only(x, axis=-1):
    return np.exp(x - np.max(x, axis=axis, keepdims=True)) / np.sum(np.exp(x), axis=axis, keepdims=True)


@SOFTMAX.mistake("This is the sigmoid: it looks at each score alone, and a row does not add up to 1. Softmax compares "
                 "the scores of a row.")
def sigmoid(x, axis=-1):
    return 1 / (1 + np.exp(-x))


@SOFTMAX.mistake("These are the logarithms of the shares (exercise 1.2 asks for them). Shares lie between 0 and 1.")
def logarithms(x, axis=-1):
    return log_softmax(x, axis)


@SOFTMAX.mistake("`x -= ...` writes into the caller's array. Make a new one: `shifted = x - ...`.")
def in_place(x, axis=-1):
    x -= np.max(x, axis=axis, keepdims=True)
    return softmax(x, axis)


@SOFTMAX.mistake("e to the power of 1000 is too big for a float and becomes inf; its logarithm is inf too. Subtract "
                 "the largest score of each row first; the shares stay the same.")
def naive_in_logarithms(x, axis=-1):
    return np.exp(x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True)))


@SOFTMAX.mistake("Subtract the largest score, not the smallest or the mean: only then is no exponent above zero. (And "
                 "where a score is -inf, so are the smallest and the mean.)")
def smallest_subtracted(x, axis=-1):
    e = np.exp(x - np.min(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("Subtract the largest score, not the smallest or the mean: only then is no exponent above zero. (And "
                 "where a score is -inf, so are the smallest and the mean.)")
def mean_subtracted(x, axis=-1):
    e = np.exp(x - np.mean(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("You subtract the largest absolute value. In a row of negative scores it is far from the largest "
                 "score, and all exponentials become 0. Take `np.max` of x itself.")
def largest_absolute_value(x, axis=-1):
    e = np.exp(x - np.max(np.abs(x), axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("You subtract the same constant from every score. No constant suits all scores: each row needs its "
                 "own largest one.")
def constant_subtracted(x, axis=-1):
    e = np.exp(x - 1000)
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("You divide by the sum of the scores. Divide by the sum of their exponentials.")
def sum_of_scores(x, axis=-1):
    return np.exp(x) / np.sum(x, axis=axis, keepdims=True)


@SOFTMAX.mistake("These are the scores minus the largest one. What is missing is the exponential, and the division by "
                 "its sum.")
def shifted_scores(x, axis=-1):
    return x - np.max(x, axis=axis, keepdims=True)


for size in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9):
    @SOFTMAX.mistake("Something small is added to the sum. It is not needed: the largest exponential is 1, so the sum "
                     "is never 0; and with it the shares add up to a little less than 1.")
    def with_epsilon(x, axis=-1, epsilon=size):
        e = np.exp(x - np.max(x, axis=axis, keepdims=True))
        return e / (np.sum(e, axis=axis, keepdims=True) + epsilon)


@SOFTMAX.mistake("Python's own `max` and `sum` run along the first axis and compare whole rows. Use `np.max` and "
                 "`np.sum`, with the axis.")
def python_max_and_sum(x, axis=-1):
    e = np.exp(x - max(x))
    return e / sum(e)


@SOFTMAX.mistake("Your sum runs along the first axis always (Python's own `sum` does). Use `np.sum` with the axis.")
def python_sum(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / sum(e)


@SOFTMAX.mistake("These are powers of 2. Softmax takes powers of e: `np.exp`.")
def powers_of_two(x, axis=-1):
    return softmax(x * np.float32(np.log(2)) if x.dtype == np.float32 else x * np.log(2), axis)


@SOFTMAX.mistake("These are percentages. Shares add up to 1, not to 100.")
def percentages(x, axis=-1):
    return 100 * softmax(x, axis)


@SOFTMAX.mistake("The shares are rounded, and no longer add up to 1. Return them as they are.")
def rounded(x, axis=-1):
    return softmax(x, axis).round(3)


@SOFTMAX.mistake("`[..., None]` puts the axis back at the end, which is right only for axis=-1. `keepdims=True` "
                 "leaves it where it was.")
def axis_put_back_at_the_end(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis)[..., None])
    return e / np.sum(e, axis=axis)[..., None]


@SOFTMAX.mistake("Right for axis -1 and for axis 0, but there are others: the stack asks for axis=1. Hand `axis` on "
                 "to `np.max` and `np.sum`.")
def two_axes_only(x, axis=-1):
    return softmax(x.T, -1).T if axis == 0 else softmax(x, -1)


@SOFTMAX.mistake("You subtract the largest score only when the scores are large. Scores far below zero need it as "
                 "well: all their exponentials are 0. Subtract it always.")
def subtracted_when_large(x, axis=-1):
    if np.max(x) > 100:
        return softmax(x, axis)
    e = np.exp(x)
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("The sign is turned: `np.max(x) - x` makes the highest score the smallest. Subtract the largest "
                 "score from x.")
def turned_around(x, axis=-1):
    return softmax(-x, axis)


@SOFTMAX.mistake("The largest score is each row's own, but the sum runs over everything. Give `np.sum` the axis, too.")
def sum_of_everything(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e)


@SOFTMAX.mistake("The sum runs along `axis`, the maximum always along the last one. Give `np.max` the axis, too.")
def maximum_along_the_last_axis(x, axis=-1):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("You work along axis 1, which three scores in a row do not have. The caller says which axis: use the "
                 "argument `axis`.")
def always_axis_1(x, axis=-1):
    return softmax(x, 1)


@SOFTMAX.mistake("Brackets are missing: `np.exp(x) - m` takes m from the exponentials. Write `np.exp(x - m)`.")
def brackets_missing(x, axis=-1):
    e = np.exp(x) - np.max(x, axis=axis, keepdims=True)
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("`math.exp` takes one number. `np.exp` takes a whole array.")
def one_number_at_a_time(x, axis=-1):
    e = math.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake("The option is called `keepdims`, with an s.")
def keepdim(x, axis=-1):
    return np.exp(x - np.max(x, axis=axis, keepdim=True))


@SOFTMAX.mistake(WHOLE_NUMBERS)
def exponentials_cut_to_whole_numbers(x, axis=-1):
    e = np.zeros_like(x)
    e[...] = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@SOFTMAX.mistake(WHOLE_NUMBERS)
def cut_to_whole_numbers(x, axis=-1):
    return softmax(x, axis).astype(x.dtype)


@SOFTMAX.mistake("A row of nothing but -inf has no right answer, and you make one up. Leave it NaN, so that whoever "
                 "forbade everything finds out.")
def zeros_for_nan(x, axis=-1):
    return np.nan_to_num(softmax(x, axis))


@SOFTMAX.mistake("A row of nothing but -inf has no right answer, and you make one up. Leave it NaN, so that whoever "
                 "forbade everything finds out.")
def large_number_for_infinity(x, axis=-1):
    return softmax(np.where(np.isneginf(x), np.asarray(-1e9, x.dtype), x), axis)


@SOFTMAX.alternative
def row_by_row(x, axis=-1):
    def one(row):
        e = np.exp(row - row.max())
        return e / e.sum()
    return np.apply_along_axis(one, axis, x)


@SOFTMAX.alternative
def axis_moved_to_the_end(x, axis=-1):
    x = np.moveaxis(x, axis, -1)
    e = np.exp(x - x.max(-1)[..., None])
    return np.moveaxis(e / np.einsum("...s->...", e)[..., None], -1, axis)


@SOFTMAX.alternative
def by_the_logarithm_of_the_sum(x, axis=-1):
    return np.exp(x - np.logaddexp.reduce(x, axis=axis, keepdims=True))


def log_softmax_inputs():
    return [
        Case("three scores", (np.array([2.0, 1.0, 0.1]),), axes="S"),
        Case("scores of shape (T=3, S=4)", (scores(3, 4, seed=2),), axes="T S"),
        Case("the same along the columns", (scores(3, 4, seed=2),), {"axis": 0}, axes="T S"),
        Case("scores far apart", (np.array([[0.0, -1000.0, -2000.0], [0.0, -1.0, -1500.0]]),), axes="T S"),
        Case("large scores, and rows far apart", (np.array([[1000.0, 1001.0, 999.0], [-1000.0, -1001.0, -1002.0]]),),
             axes="T S"),
        Case("scores far below zero", (np.array([[0.0, -1.0, -2.0], [-1000.0, -1001.0, -1002.0]]),), axes="T S"),
        Case("a stack, along its middle axis", (scores(2, 3, 4, seed=3),), {"axis": 1}, axes="B T S"),
        Case("a score of -inf", (np.array([[2.0, -np.inf, 0.1], [-np.inf, 0.0, -np.inf]]),), axes="T S"),
        Case("integer scores", (np.array([[1, 2, 3], [3, 1, 0]]),), axes="T S"),
        Case("float32 scores, a transposed view", (scores(5, 4, 3, 2).astype(np.float32).T,), axes="B H T S"),
    ]


LOG_SOFTMAX = Exercise(log_softmax, log_softmax_inputs)


@LOG_SOFTMAX.mistake("You take the logarithm of a share that was rounded to 0, and get -inf. Use the formula, which "
                     "never forms the share: the scores minus the logarithm of the sum.")
def log_of_softmax(x, axis=-1):
    return np.log(softmax(x, axis))


@LOG_SOFTMAX.mistake("A sum of exponentials over- or underflows for scores around 1000. Subtract the largest score of "
                     "each row first.")
def log_without_shift(x, axis=-1):
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


@LOG_SOFTMAX.mistake("You subtract the largest score inside the sum only. Subtract it from x as well, so that it "
                     "cancels.")
def shifted_in_sum_only(x, axis=-1):
    return x - np.log(np.sum(np.exp(x - np.max(x, axis=axis, keepdims=True)), axis=axis, keepdims=True))


@LOG_SOFTMAX.mistake("You subtract the largest score of the whole array. In a row far below it all exponentials "
                     "become 0. Each row needs its own largest score.")
def log_one_maximum(x, axis=-1):
    shifted = x - np.max(x)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


@LOG_SOFTMAX.mistake("These are the shares; their logarithms are asked for.")
def just_softmax(x, axis=-1):
    return softmax(x, axis)


@LOG_SOFTMAX.mistake("The sign is turned: the logarithm of a share below 1 is below 0.")
def negated(x, axis=-1):
    return -log_softmax(x, axis)


@LOG_SOFTMAX.mistake("This is the logarithm to the base 2. The natural logarithm is `np.log`.")
def base_two(x, axis=-1):
    return log_softmax(x, axis) / np.log(2)


@LOG_SOFTMAX.mistake("You sum along the first axis always; use the argument `axis`.")
def log_first_axis(x, axis=-1):
    return log_softmax(x, 0)


@LOG_SOFTMAX.mistake("You always work along the last axis. The caller may ask for another one: use the argument "
                     "`axis`.")
def log_last_axis(x, axis=-1):
    return log_softmax(x)


@LOG_SOFTMAX.mistake("All entries share one sum. Every row has its own: give `np.sum` the axis.")
def log_over_everything(x, axis=-1):
    shifted = x - np.max(x)
    return shifted - np.log(np.sum(np.exp(shifted)))


@LOG_SOFTMAX.mistake(LOST_AXIS)
def log_no_keepdims_in_max(x, axis=-1):
    shifted = x - np.max(x, axis=axis)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis))


@LOG_SOFTMAX.mistake(LOST_AXIS)
def log_no_keepdims_in_sum(x, axis=-1):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis))


@LOG_SOFTMAX.mistake("You return the shifted scores. What is left to subtract is the logarithm of the sum of their "
                     "exponentials.")
def only_shifted(x, axis=-1):
    return x - np.max(x, axis=axis, keepdims=True)


@LOG_SOFTMAX.mistake("You subtract the sum of the exponentials. Its logarithm is to be subtracted.")
def without_log(x, axis=-1):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.sum(np.exp(shifted), axis=axis, keepdims=True)


@LOG_SOFTMAX.mistake("This is the logarithm to the base 10. The natural logarithm is `np.log`.")
def base_ten(x, axis=-1):
    return log_softmax(x, axis) / np.log(10)


@LOG_SOFTMAX.mistake("You add up logarithms. The formula wants the logarithm of the sum of the exponentials: first "
                     "`np.exp`, then `np.sum`, then `np.log`.")
def sum_of_logarithms(x, axis=-1):
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.sum(np.log(np.exp(shifted)), axis=axis, keepdims=True)


@LOG_SOFTMAX.mistake("You subtract the logarithms of the shares from the scores. Subtract the logarithm of the *sum* "
                     "of the exponentials.")
def minus_log_of_softmax(x, axis=-1):
    return x - np.log(softmax(x, axis))


@LOG_SOFTMAX.mistake("You took softmax first, and its logarithm of softmax: shares are no scores. Start from x.")
def of_the_shares(x, axis=-1):
    return log_softmax(softmax(x, axis), axis)


for size in (1e-12, 1e-10, 1e-9, 1e-8):
    @LOG_SOFTMAX.mistake(NEVER_ZERO)
    def something_small_added(x, axis=-1, epsilon=size):
        return np.log(softmax(x, axis) + np.asarray(epsilon, np.result_type(x, np.float32)))


@LOG_SOFTMAX.mistake(NEVER_ZERO)
def clipped(x, axis=-1):
    return np.log(np.maximum(softmax(x, axis), 1e-300))


@LOG_SOFTMAX.mistake("You cut the logarithms off at a smallest number. A score of -inf means never, and its logarithm "
                     "is -inf.")
def cut_off(x, axis=-1):
    return np.maximum(log_softmax(x, axis), np.asarray(-1e9, np.result_type(x, np.float32)))


@LOG_SOFTMAX.mistake("`x -= ...` writes into the caller's array. Make a new one: `shifted = x - ...`.")
def log_in_place(x, axis=-1):
    x -= np.max(x, axis=axis, keepdims=True)
    return log_softmax(x, axis)


@LOG_SOFTMAX.mistake("You subtract the largest score only when the scores are large. Scores far below zero need it as "
                     "well: the sum of their exponentials is 0. Subtract it always.")
def log_subtracted_when_large(x, axis=-1):
    if np.max(x) > 100:
        return log_softmax(x, axis)
    return x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True))


@LOG_SOFTMAX.mistake("NumPy's natural logarithm is called `np.log`.")
def called_ln(x, axis=-1):
    return np.ln(softmax(x, axis))


@LOG_SOFTMAX.mistake("The integer scores gave whole numbers: your `np.zeros_like(x)`, or `dtype=x.dtype`, cuts off "
                     "the fractions there. Take the dtype from the exponentials.")
def log_cut_to_whole_numbers(x, axis=-1):
    return log_softmax(x, axis).astype(x.dtype)


@LOG_SOFTMAX.alternative
def by_logaddexp(x, axis=-1):
    return x - np.logaddexp.reduce(x, axis=axis, keepdims=True)


@LOG_SOFTMAX.alternative
def log_row_by_row(x, axis=-1):
    def one(row):
        largest = row.max()
        return row - (largest + np.log(np.exp(row - largest).sum()))
    return np.apply_along_axis(one, axis, x)


@LOG_SOFTMAX.alternative
def by_the_surprise_of_the_leader(x, axis=-1):
    largest = x.max(axis=axis, keepdims=True)
    return (x - largest) + np.log(softmax(x, axis).max(axis=axis, keepdims=True))


def temperature_inputs():
    return [
        Case("temperature 2", (np.array([2.0, 1.0, 0.1]), 2.0), axes="S"),
        Case("temperature 0.5, scores of shape (T=3, S=4)", (scores(3, 4, seed=4), 0.5), axes="T S"),
        Case("temperature 3 along the columns", (scores(3, 4, seed=4), 3.0), {"axis": 0}, axes="T S"),
        Case("temperature 1, which is softmax", (scores(2, 3, 4, seed=5), 1.0), axes="B T S"),
        Case("a high temperature, scores far apart", (np.array([0.0, -1000.0, -2000.0]), 1000.0), axes="S"),
        Case("a low temperature", (np.array([2.0, 1.0, 0.1]), 0.001), axes="S"),
        Case("float32 scores", (scores(3, 4, seed=6).astype(np.float32), 0.7), axes="T S"),
    ]


WITH_TEMPERATURE = Exercise(with_temperature, temperature_inputs)


@WITH_TEMPERATURE.mistake("You multiply by the temperature, so a high one makes the choice bolder. Divide: a high "
                          "temperature evens out.")
def multiplied(x, temperature, axis=-1):
    return softmax(x * temperature, axis)


@WITH_TEMPERATURE.mistake("You divide the shares, and they no longer add up to 1. Divide the scores, before softmax.")
def divided_late(x, temperature, axis=-1):
    return softmax(x, axis) / temperature


@WITH_TEMPERATURE.mistake("These are the shares at temperature 1, whatever the temperature. (Subtracting it from "
                          "every score changes nothing either: only differences count.) Divide the scores by it.")
def ignored(x, temperature, axis=-1):
    return softmax(x, axis)


@WITH_TEMPERATURE.mistake("Powers of the shares are right on paper, but a share that was rounded to 0 stays 0 at any "
                          "temperature. Divide the scores, before softmax.")
def power_of_shares(x, temperature, axis=-1):
    p = softmax(x, axis) ** (1 / temperature)
    return p / p.sum(axis=axis, keepdims=True)


@WITH_TEMPERATURE.mistake("You always work along the last axis: hand `axis` on to softmax.")
def axis_forgotten(x, temperature, axis=-1):
    return softmax(x / temperature)


@WITH_TEMPERATURE.mistake("You divided the scores and stopped: now they need softmax.")
def no_softmax(x, temperature, axis=-1):
    return x / temperature


@WITH_TEMPERATURE.mistake("You used `//`, which rounds down. Divide with `/`.")
def floor_division(x, temperature, axis=-1):
    return softmax(x // temperature, axis)


@WITH_TEMPERATURE.mistake("The divided scores were rounded to whole numbers. Keep their fractions.")
def whole_numbers(x, temperature, axis=-1):
    return softmax((x / temperature).astype(int), axis)


@WITH_TEMPERATURE.mistake("A low temperature makes large scores, and their exponentials overflow. Your `softmax` "
                          "knows what to do about that: use it, and run `check(softmax)` again.")
def exp_by_itself(x, temperature, axis=-1):
    e = np.exp(x / temperature)
    return e / e.sum(axis=axis, keepdims=True)


@WITH_TEMPERATURE.mistake("These are the logarithms of the shares. The shares themselves are asked for: `softmax`.")
def logarithms_of_shares(x, temperature, axis=-1):
    return log_softmax(x / temperature, axis)


@WITH_TEMPERATURE.mistake("Powers of shares do not add up to 1. Divide the scores instead, before softmax.")
def powers_that_do_not_add_up(x, temperature, axis=-1):
    return softmax(x, axis) ** (1 / temperature)


@WITH_TEMPERATURE.alternative
def by_log_softmax(x, temperature, axis=-1):
    return np.exp(log_softmax(x / temperature, axis=axis))


@WITH_TEMPERATURE.alternative
def by_differences(x, temperature, axis=-1):
    lead = (x - x.max(axis=axis, keepdims=True)) * (1 / temperature)
    e = np.exp(lead)
    return e / e.sum(axis=axis, keepdims=True)


def surprise_inputs():
    return [
        Case("two predictions among three words",
             (np.array([[2.0, 1.0, 0.1], [2.0, 1.0, 0.1]]), np.array([0, 2])), axes="T"),
        Case("scores of shape (T=5, n_vocab=4)", (scores(5, 4, seed=7), np.array([3, 0, 0, 2, 1])), axes="T"),
        Case("a truth that was called next to impossible",
             (np.array([[0.0, -1000.0, 1.0], [800.0, 0.0, 0.0]]), np.array([1, 2])), axes="T"),
        Case("as many predictions as words", (scores(4, 4, seed=8), np.array([1, 1, 3, 0])), axes="T"),
        Case("one prediction", (scores(1, 6, seed=9), np.array([4])), axes="T"),
    ]


SURPRISE = Exercise(surprise, surprise_inputs)


@SURPRISE.mistake("The minus sign is missing: a logarithm of a share is below 0, a surprise is above.")
def no_minus(x, truth):
    return -surprise(x, truth)


@SURPRISE.mistake("You take the logarithm of a share that was rounded to 0. `log_softmax` never forms the share.")
def through_softmax(x, truth):
    return -np.log(softmax(x)[np.arange(len(truth)), truth])


@SURPRISE.mistake("`[:, truth]` takes all of these columns from every row. Pick one entry of each row: index with the "
                  "row numbers and with truth, two arrays of length T.")
def all_columns(x, truth):
    return -log_softmax(x)[:, truth]


@SURPRISE.mistake("`[truth]` picks whole rows. Pick one entry of each row: index with the row numbers and with truth.")
def whole_rows(x, truth):
    return -log_softmax(x)[truth]


@SURPRISE.mistake("This is the average over all predictions. One surprise for each prediction is asked for, shape "
                  "(T,).")
def averaged(x, truth):
    return np.mean(surprise(x, truth))


@SURPRISE.mistake("This is the sum over all predictions. One surprise for each prediction is asked for, shape (T,).")
def summed(x, truth):
    return np.sum(surprise(x, truth))


@SURPRISE.mistake("This is the surprise about the model's favorite word, not about the word that came: use truth.")
def favorite(x, truth):
    return -log_softmax(x).max(axis=-1)


@SURPRISE.mistake("This is in bits (logarithm to the base 2). In nats it is the natural logarithm.")
def in_bits(x, truth):
    return surprise(x, truth) / np.log(2)


@SURPRISE.mistake("These are the shares of the words that came. The surprise is minus their logarithm.")
def share_itself(x, truth):
    return softmax(x)[np.arange(len(truth)), truth]


@SURPRISE.mistake("This is 1 - p. It stops at 1 however wrong the model was; minus the logarithm of p has no end.")
def one_minus_share(x, truth):
    return 1 - softmax(x)[np.arange(len(truth)), truth]


@SURPRISE.mistake("These are the scores with the sign turned. They have to become logarithms of shares first: "
                  "`log_softmax`.")
def minus_score(x, truth):
    return -x[np.arange(len(truth)), truth]


@SURPRISE.mistake("You normalized down the columns. Each row is one prediction: its shares add up to 1 along the last "
                  "axis.")
def wrong_axis_of_surprise(x, truth):
    return -log_softmax(x, axis=0)[np.arange(len(truth)), truth]


@SURPRISE.mistake("`np.take_along_axis` keeps the axis, with size 1. Take that away again: `[:, 0]`.")
def column_kept(x, truth):
    return -np.take_along_axis(log_softmax(x), truth[:, None], axis=-1)


@SURPRISE.mistake("`[0, truth]` reads all entries from the first prediction. Each has its own row: the row numbers "
                  "are `np.arange(len(truth))`.")
def first_row_only(x, truth):
    return -log_softmax(x)[0, truth]


@SURPRISE.mistake("There is one row for each prediction, `x.shape[0]` or `len(truth)` of them. `x.shape[1]` is the "
                  "number of words.")
def as_many_rows_as_words(x, truth):
    return -log_softmax(x)[np.arange(x.shape[1]), truth]


@SURPRISE.mistake("The row comes first, then the column: `[rows, truth]`.")
def columns_first(x, truth):
    return -log_softmax(x)[truth, np.arange(len(truth))]


@SURPRISE.mistake("You take the logarithm of the scores. They have to become shares first; `log_softmax` does both.")
def log_of_scores(x, truth):
    return -np.log(x[np.arange(len(truth)), truth])


@SURPRISE.mistake("`log_softmax` gives logarithms already; you take the logarithm once more.")
def logarithm_twice(x, truth):
    return -np.log(log_softmax(x)[np.arange(len(truth)), truth])


@SURPRISE.mistake("You pick the scores first and then make them compete with each other. Each prediction's words "
                  "compete: `log_softmax` of all of x, then pick.")
def picked_too_early(x, truth):
    return -log_softmax(x[np.arange(len(truth)), truth])


@SURPRISE.mistake("`np.zeros_like(truth)` holds whole numbers, as the ids are, and cuts off the fractions. Use "
                  "`np.zeros(len(truth))`.")
def cut_off_fractions(x, truth):
    return surprise(x, truth).astype(truth.dtype)


@SURPRISE.alternative
def taken_along_the_axis(x, truth):
    return -np.take_along_axis(log_softmax(x), truth[:, None], axis=-1)[:, 0]


@SURPRISE.alternative
def prediction_by_prediction(x, truth):
    return np.array([-log_softmax(row)[word] for row, word in zip(x, truth, strict=True)])


@SURPRISE.alternative
def by_one_hot_rows(x, truth):
    one_hot = np.eye(x.shape[-1], dtype=x.dtype)[truth]
    return -np.sum(one_hot * log_softmax(x), axis=-1)
