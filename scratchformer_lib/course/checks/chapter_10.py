"""The exercises of chapter 10, training."""
import copy
import math
import operator
from types import SimpleNamespace

import numpy as np

from ...autograd import value_and_grad
from ...block import dropout
from ...support.files import flat, nested
from ...training import SGD, AdamW, adamw_step, clip_by_norm, noam, training_step
from ..exercise import Case, Difference, Exercise, describe
from .chapter_05 import Params, Seed, generator, normal
from .chapter_08 import mistakes_in_steps
from .chapter_09 import wrong


def wrong_in(register):
    """A function that registers mistakes which the same sentence tells, each by the steps that are different in it."""
    def wrong_steps(sentence, **versions):
        for name, steps in versions.items():
            register(name, sentence, **steps)
    return wrong_steps


# ---- adamw_step ---------------------------------------------------------------------------------------------------

def adamw_inputs():
    def case(title, shape, seed, step, rate, axes, turned=False, dtype=np.float64, **options):
        x, dx, mean, square = (normal(*shape, seed=seed + i, dtype=dtype) for i in range(4))
        arrays = [x, dx, mean, (np.abs(square) + 0.1).astype(dtype)]
        return Case(title, (*(a.T if turned else a for a in arrays), step, rate), options, axes=(axes,) * 3)

    return [
        Case("the example of the text, arrays of shape ()",
             (np.array(1.0), np.array(4.0), np.array(0.0), np.array(0.0), 1, 0.1)),
        Case("the first step of four numbers, one of which has a gradient of 0",
             (np.array([1.0, -2.0, 3.0, 0.5]), np.array([2.0, -0.5, 0.0, 0.25]), np.zeros(4), np.zeros(4), 1, 0.5),
             axes=("entry",) * 3),
        case("the second step, shape (2, 3)", (2, 3), 10, 2, 0.5, "row column"),
        case("the seventh step, with weight decay", (5,), 20, 7, 0.5, "entry", weight_decay=0.2),
        case("a large eps", (2, 3), 30, 3, 0.5, "row column", eps=0.5),
        case("other betas, and a large rate", (4,), 40, 3, 2.0, "entry", betas=(0.8, 0.95)),
        case("step 1000, shape (2, 3, 4), transposed views", (4, 3, 2), 50, 1000, 0.5, "A B C", turned=True),
        case("float32, with all options", (3, 2), 60, 4, 0.5, "row column", dtype=np.float32, betas=(0.7, 0.9),
             eps=0.125, weight_decay=0.3),
    ]


def run_adamw(f, case):
    """f's arrays; a float64 one that came of float32 in few digits, so that all ways to it look alike."""
    result = f(*case.args, **case.options)
    if case.args[0].dtype == np.float32 and isinstance(result, (tuple, list)):
        return [np.round(y, 5) if getattr(y, "dtype", None) == np.float64 else y for y in result]
    return result


ADAMW_STEP = Exercise(adamw_step, adamw_inputs, call=run_adamw)


def given_to_adamw(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    return SimpleNamespace(x=x, dx=dx, mean=mean, square=square, step=step, rate=rate, betas=betas, eps=eps,
                           decay=weight_decay)


wrong_adamw = wrong_in(mistakes_in_steps(ADAMW_STEP, given_to_adamw, {
    "betas": lambda g: g.betas,
    "rate": lambda g: g.rate,
    "beta_1": lambda g: g.betas[0],
    "beta_2": lambda g: g.betas[1],
    "gradient": lambda g: g.dx,
    "m": lambda g: g.beta_1 * g.mean + (1 - g.beta_1) * g.gradient,
    "v": lambda g: g.beta_2 * g.square + (1 - g.beta_2) * g.gradient * g.gradient,
    "m_right": lambda g: g.m / (1 - g.beta_1**g.step),
    "v_right": lambda g: g.v / (1 - g.beta_2**g.step),
    "direction": lambda g: g.m_right / (np.sqrt(g.v_right) + g.eps),
    "new": lambda g: g.x - g.rate * (g.direction + g.decay * g.x),
    "result": lambda g: (g.new, g.m, g.v)}))


def share(beta, t):
    return 1 - beta**t


def all_of_it(beta, t):
    return 1


def divided(m=share, v=share):
    """Steps that divide the means by something else."""
    return {"m_right": lambda g: g.m / m(g.beta_1, g.step), "v_right": lambda g: g.v / v(g.beta_2, g.step)}


wrong_adamw("The bias correction is missing. Both means began at 0 and are too small: divide each by 1 - beta**step, "
            "with its own beta.", no_correction=divided(all_of_it, all_of_it))
wrong_adamw("The mean of the gradients is not corrected, that of the squares is. Both began at 0: divide both, each "
            "with its own beta.", mean_not_corrected=divided(m=all_of_it))
wrong_adamw("The mean of the squares is not corrected, that of the gradients is. Both began at 0: divide both, each "
            "with its own beta.", square_not_corrected=divided(v=all_of_it))
for name, other_share, sentence in (
    ("step_from_0", lambda beta, t: 1 - beta**(t - 1),
     "You count the steps from 0 in the correction. The first has the number 1, and step is that already: "
     "1 - beta**step."),
    ("step_from_2", lambda beta, t: 1 - beta**(t + 1),
     "You take step + 1 in the correction. step is 1 for the first step already: 1 - beta**step."),
    ("no_power", lambda beta, t: 1 - beta,
     "You divide by 1 - beta, which is right for the first step only. The means fill up with every step: "
     "1 - beta**step."),
    ("times_step", lambda beta, t: 1 - beta * t,
     "You multiply beta by step in the correction. It is a power, with two stars: 1 - beta**step."),
    ("step_to_beta", lambda beta, t: 1 - t**beta,
     "Base and exponent have changed places. What fades with every step is beta, multiplied by itself: `beta**step`."),
    ("brackets", lambda beta, t: (1 - beta)**t,
     "The brackets are wrong: `(1 - beta)**step`. Take the power of beta alone, and subtract it from 1."),
    ("one_minus_forgotten", lambda beta, t: beta**t,
     "You divide by beta**step. That is the share which is missing; the means hold the rest, 1 - beta**step."),
    ("multiplied", lambda beta, t: 1 / (1 - beta**t),
     "You multiply by 1 - beta**step. The means are too small, and that makes them smaller still: divide."),
    ("by_step", lambda beta, t: t,
     "You divide a mean by the number of steps. The formulas have made it a mean already; what it lacks is a share "
     "of 1 - beta**step."),
    ("caret", lambda beta, t: 1 - beta ^ t,
     "`^` is no power in Python but an operation on bits. A power has two stars: `beta**step`."),
):
    wrong_adamw(sentence, **{name: divided(other_share, other_share)})
    if name in ("no_power", "brackets", "one_minus_forgotten"):         # which are easily overlooked in one line
        wrong_adamw(sentence, **{f"{name}_of_mean": divided(m=other_share),
                                 f"{name}_of_square": divided(v=other_share)})
wrong_adamw("The sign is turned: beta**step - 1 is below 0, and has no root. The share that the means hold is "
            "1 - beta**step.", sign_turned=divided(*[lambda beta, t: beta**t - 1] * 2))
wrong_adamw("Without brackets only the 1 stands below the line. Write `mean / (1 - beta_1**step)`, and the square like "
            "that.",
            brackets_below={"m_right": lambda g: g.m / 1 - g.beta_1**g.step,
                            "v_right": lambda g: g.v / 1 - g.beta_2**g.step})
wrong_adamw("You correct the means before they take in the new gradient. First the two running means, then the "
            "correction.",
            corrected_too_early={
                "m": lambda g: g.beta_1 * g.mean / share(g.beta_1, g.step) + (1 - g.beta_1) * g.dx,
                "v": lambda g: g.beta_2 * g.square / share(g.beta_2, g.step) + (1 - g.beta_2) * g.dx * g.dx,
                **divided(all_of_it, all_of_it)})
wrong_adamw("You return a mean with its correction in it, and the next step would correct it again. Keep the corrected "
            "ones under names of their own, and return those of the formula.",
            both_kept={"result": lambda g: (g.new, g.m_right, g.v_right)},
            mean_kept={"result": lambda g: (g.new, g.m_right, g.v)},
            square_kept={"result": lambda g: (g.new, g.m, g.v_right)})

wrong_adamw("The two betas have changed places. The first is for the gradients, the second for their squares: "
            "`beta_1, beta_2 = betas`.",
            betas_swapped={"beta_1": lambda g: g.betas[1], "beta_2": lambda g: g.betas[0]})
wrong_adamw("Both corrections have the same beta, or the wrong one. The mean of the gradients has beta_1 in its "
            "correction, the mean of the squares beta_2.",
            first_beta_in_corrections={"v_right": lambda g: g.v / share(g.beta_1, g.step)},
            second_beta_in_corrections={"m_right": lambda g: g.m / share(g.beta_2, g.step)},
            betas_swapped_in_corrections={"m_right": lambda g: g.m / share(g.beta_2, g.step),
                                          "v_right": lambda g: g.v / share(g.beta_1, g.step)})
wrong_adamw("Both means have the same beta, or the wrong one. The mean of the gradients fades with beta_1, the mean of "
            "the squares with beta_2.",
            first_beta_everywhere={"beta_2": lambda g: g.betas[0]},
            second_beta_everywhere={"beta_1": lambda g: g.betas[1]},
            first_beta_in_means={"v": lambda g: g.beta_1 * g.square + (1 - g.beta_1) * g.dx * g.dx},
            second_beta_in_means={"m": lambda g: g.beta_2 * g.mean + (1 - g.beta_2) * g.dx},
            betas_swapped_in_means={"m": lambda g: g.beta_2 * g.mean + (1 - g.beta_2) * g.dx,
                                    "v": lambda g: g.beta_1 * g.square + (1 - g.beta_1) * g.dx * g.dx})
wrong_adamw("`betas` is a pair, and its places count from 0: `betas[0]` and `betas[1]`.",
            betas_from_1={"beta_2": lambda g: g.betas[2]})
wrong_adamw("`betas` is a pair, no number. Take it apart first: `beta_1, beta_2 = betas`.",
            betas_as_a_number={"beta_1": lambda g: 1 - g.betas})

WRONG_MEANS = {
    "share_of_new_forgotten": (
        "A new gradient goes into a mean whole. It gets the share that the old mean gives up: 1 - beta, so that both "
        "shares make 1.",
        lambda beta, old, new: beta * old + new),
    "shares_swapped": (
        "The shares have changed places. beta is large, and says how much of the *old* mean is kept; the new gradient "
        "gets 1 - beta.",
        lambda beta, old, new: (1 - beta) * old + beta * new),
    "nothing_fades": (
        "The old mean is kept whole, and grows with every step. It keeps a share of beta.",
        lambda beta, old, new: old + (1 - beta) * new),
    "sum": (
        "You add up all gradients. A running mean keeps a share of beta of the old, and takes 1 - beta of the new.",
        lambda beta, old, new: old + new),
    "old_forgotten": (
        "The old mean is left out: this step's gradient is all that counts. Keep a share of beta of the old mean.",
        lambda beta, old, new: (1 - beta) * new),
    "subtracted": (
        "The new gradient is subtracted from a mean. Both shares are added.",
        lambda beta, old, new: beta * old - (1 - beta) * new),
    "same_share": (
        "The old mean and the new gradient both get a share of beta. The new one gets the rest, 1 - beta.",
        lambda beta, old, new: beta * old + beta * new),
}
for name, (sentence, mixed) in WRONG_MEANS.items():
    of_mean = {"m": lambda g, mixed=mixed: mixed(g.beta_1, g.mean, g.dx)}
    of_square = {"v": lambda g, mixed=mixed: mixed(g.beta_2, g.square, g.dx * g.dx)}
    wrong_adamw(sentence, **{f"{name}_in_both": of_mean | of_square})
    if name in ("share_of_new_forgotten", "shares_swapped", "nothing_fades"):
        wrong_adamw(sentence, **{f"{name}_in_mean": of_mean, f"{name}_in_square": of_square})


def with_square_of(new):
    return {"v": lambda g: g.beta_2 * g.square + (1 - g.beta_2) * new(g)}


wrong_adamw("The gradient is not squared. The second mean is that of the squares: `dx * dx`.",
            not_squared=with_square_of(lambda g: g.dx), absolute=with_square_of(lambda g: np.abs(g.dx)))
wrong_adamw("The share is squared as well. Square the gradient first: `(1 - beta_2) * dx * dx`.",
            share_squared={"v": lambda g: g.beta_2 * g.square + ((1 - g.beta_2) * g.dx)**2})
wrong_adamw("You square the running mean. The second mean is that of the squares of dx itself.",
            mean_squared=with_square_of(lambda g: g.m * g.m), old_mean_squared=with_square_of(lambda g: g.mean**2))
wrong_adamw("You square the distance of dx from its mean. Adam takes the square of dx itself.",
            distance_from_mean=with_square_of(lambda g: (g.dx - g.m)**2),
            distance_from_old_mean=with_square_of(lambda g: (g.dx - g.mean)**2))
wrong_adamw("The second mean takes in the first one times dx. It is the mean of the squares: `dx * dx`.",
            mean_times_gradient=with_square_of(lambda g: g.m * g.dx))
wrong_adamw("One size is made of all gradients together. Every number of x has its own: square each number of dx, `dx "
            "* dx`, and sum nothing up.",
            summed=with_square_of(lambda g: np.sum(g.dx * g.dx)),
            averaged=with_square_of(lambda g: np.mean(g.dx * g.dx)),
            norm=with_square_of(lambda g: np.linalg.norm(g.dx)),
            dot=with_square_of(lambda g: np.dot(g.dx, g.dx)), vdot=with_square_of(lambda g: np.vdot(g.dx, g.dx)),
            at=with_square_of(lambda g: g.dx @ g.dx), at_transposed=with_square_of(lambda g: g.dx @ g.dx.T))
wrong_adamw("`^` is no power in Python but an operation on bits. Write `dx * dx`, or `dx**2`.",
            caret_for_square=with_square_of(lambda g: g.dx ^ 2))
wrong_adamw("The step is made of an old mean, from before this gradient. Renew both means first, and go on with the "
            "new ones.",
            both_old={"m_right": lambda g: g.mean / share(g.beta_1, g.step),
                      "v_right": lambda g: g.square / share(g.beta_2, g.step)},
            old_mean={"m_right": lambda g: g.mean / share(g.beta_1, g.step)},
            old_square={"v_right": lambda g: g.square / share(g.beta_2, g.step)})
wrong_adamw("Not the mean of the gradients is divided, but this gradient alone. The step goes along the running mean.",
            gradient_for_mean={"m_right": lambda g: g.dx},
            corrected_gradient_for_mean={"m_right": lambda g: g.dx / share(g.beta_1, g.step)})

wrong_adamw("eps stands inside the root, where it becomes far larger: the root of 1e-8 is 1e-4. Add it to the root.",
            eps_inside={"direction": lambda g: g.m_right / np.sqrt(g.v_right + g.eps)},
            eps_inside_as_well={"direction": lambda g: g.m_right / (np.sqrt(g.v_right + g.eps) + g.eps)})
wrong_adamw("eps is missing. Where all gradients have been 0, you divide 0 by 0: add eps to the root.",
            no_eps={"direction": lambda g: g.m_right / np.sqrt(g.v_right)})
wrong_adamw("Without brackets, eps is added to the fraction, or to x. It belongs below: `/ (np.sqrt(...) + eps)`.",
            eps_after={"direction": lambda g: g.m_right / np.sqrt(g.v_right) + g.eps},
            eps_added_to_x={"new": lambda g: g.x - g.rate * (g.m_right / np.sqrt(g.v_right) + g.decay * g.x) + g.eps})
wrong_adamw("eps is added to the root of the uncorrected square. First correct, then take the root, then add eps.",
            eps_to_the_uncorrected={"direction": lambda g: g.m_right * math.sqrt(share(g.beta_2, g.step))
                                    / (np.sqrt(g.v) + g.eps)})
wrong_adamw("eps is a lower limit of yours, `np.maximum`. The formula adds it to the root.",
            eps_as_a_limit={"direction": lambda g: g.m_right / np.maximum(np.sqrt(g.v_right), g.eps)})
wrong_adamw("eps is subtracted from the root. It is added, so that the root gets away from 0.",
            eps_subtracted={"direction": lambda g: g.m_right / (np.sqrt(g.v_right) - g.eps)})
wrong_adamw("You take an eps of your own. The caller says how large it is: use the argument `eps`.",
            eps_ignored={"direction": lambda g: g.m_right / (np.sqrt(g.v_right) + 1e-8)})
wrong_adamw("You take betas of your own. The caller says what they are: use the argument `betas`.",
            betas_ignored={"beta_1": lambda g: 0.9, "beta_2": lambda g: 0.999})
wrong_adamw("The root is missing: you divide by the mean of the squares itself. Its root has the size of a gradient: "
            "`np.sqrt`.",
            no_root={"direction": lambda g: g.m_right / (g.v_right + g.eps)})
wrong_adamw("The root is taken of the whole fraction. Only the mean of the squares stands under it.",
            root_of_all={"direction": lambda g: np.sqrt(g.m_right / (g.v_right + g.eps))},
            root_of_both={"direction": lambda g: np.sqrt(g.m_right) / (np.sqrt(g.v_right) + g.eps)})
wrong_adamw("You multiply by the root. The mean is *divided* by it, so that the step does not depend on how large the "
            "gradients are.",
            multiplied_by_root={"direction": lambda g: g.m_right * (np.sqrt(g.v_right) + g.eps)})
wrong_adamw("The fraction is upside down. The mean of the gradients stands above, the root below.",
            upside_down={"direction": lambda g: (np.sqrt(g.v_right) + g.eps) / g.m_right})
wrong_adamw("The mean of the gradients is not divided by anything. Divide it by the root of the mean of the squares, "
            "plus eps.",
            not_divided={"direction": lambda g: g.m_right})
wrong_adamw("The step goes by the sign alone. It is the corrected mean over the root: where gradients come and go, "
            "that is less than 1.",
            sign={"direction": lambda g: np.sign(g.m)})
wrong_adamw("`math.sqrt` takes one number. `np.sqrt` takes a whole array.",
            math_sqrt={"direction": lambda g: g.m_right / (math.sqrt(g.v_right) + g.eps)})
wrong_adamw("The step is made of one size for all. Every number of x has its own: divide by an array, entry by entry.",
            one_size={"direction": lambda g: g.m_right / (np.sqrt(np.mean(g.v_right)) + g.eps)},
            one_size_by_norm={"direction": lambda g: g.m_right / (np.sqrt(np.sum(g.v_right)) + g.eps)})

DECAYED = "The weights shrink by rate times weight_decay of themselves: `rate * (... + weight_decay * x)`."
wrong_adamw("The decay goes into the gradient, and Adam divides it like one. That is what AdamW changed: the means see "
            "dx alone, and `weight_decay * x` is added to the finished fraction.",
            decay_in_the_gradient={"gradient": lambda g: g.dx + g.decay * g.x,
                                   "new": lambda g: g.x - g.rate * g.direction},
            decay_in_both={"gradient": lambda g: g.dx + g.decay * g.x},
            decay_divided={"direction": lambda g: (g.m_right + g.decay * g.x) / (np.sqrt(g.v_right) + g.eps),
                           "new": lambda g: g.x - g.rate * g.direction})
for name, sentence, new in (
    ("no_decay", "The weight decay is missing. " + DECAYED, lambda g: g.x - g.rate * g.direction),
    ("decay_without_rate", "The decay is not multiplied by the rate. Put the fraction and the decay in one pair of "
     "brackets: `rate * (... + weight_decay * x)`.", lambda g: g.x - g.rate * g.direction - g.decay * g.x),
    ("decay_outside_the_brackets", "Without brackets the decay is added to x, and the weights grow. " + DECAYED,
     lambda g: g.x - g.rate * g.direction + g.decay * g.x),
    ("decay_of_the_whole", "The whole step shrinks x, and so the step itself is decayed as well. " + DECAYED,
     lambda g: (g.x - g.rate * g.direction) * (1 - g.decay)),
    ("decay_after_the_step", "The decay takes its share of the new x. It is that of the x before this step: `x - rate "
     "* (... + weight_decay * x)`.", lambda g: (g.x - g.rate * g.direction) * (1 - g.rate * g.decay)),
    ("decay_turned", "The sign of the decay is turned, and the weights grow. Both parts are in the brackets with a "
     "plus: x minus rate times the two.", lambda g: g.x - g.rate * (g.direction - g.decay * g.x)),
    ("decay_without_x", "The decay does not depend on x. It is a share of x: `weight_decay * x`.",
     lambda g: g.x - g.rate * (g.direction + g.decay)),
    ("decay_of_x_kept", "x itself is multiplied by weight_decay, and what is left of it is lost. " + DECAYED,
     lambda g: g.decay * g.x - g.rate * g.direction if g.decay else g.x - g.rate * g.direction),
    ("decay_of_direction", "The fraction decays, not x. " + DECAYED,
     lambda g: g.x - g.rate * (g.direction + g.decay * g.direction)),
    ("decay_of_gradient", "The gradient decays, not x. " + DECAYED,
     lambda g: g.x - g.rate * (g.direction + g.decay * g.dx)),
    ("decay_of_squares", "You take the square of x, which is the penalty in the loss. Its slope is a share of x "
     "itself: `weight_decay * x`.", lambda g: g.x - g.rate * (g.direction + g.decay * g.x**2)),
    ("decay_times_rate_twice", "The decay is multiplied by the rate twice. " + DECAYED,
     lambda g: g.x - g.rate * (g.direction + g.rate * g.decay * g.x)),
    ("decay_for_matrices", "You decide which parameters decay. The caller does, by `weight_decay`: here every x "
     "decays.", lambda g: g.x - g.rate * (g.direction + (g.decay * g.x if g.x.ndim > 1 else 0))),
    ("uphill", "You go uphill. The gradient says which way the loss grows: *subtract* rate times the brackets.",
     lambda g: g.x + g.rate * (g.direction + g.decay * g.x)),
    ("uphill_but_decayed", "You go uphill. The gradient says which way the loss grows: subtract rate times the "
     "fraction, too.", lambda g: g.x + g.rate * (g.direction - g.decay * g.x)),
    ("no_rate", "The rate is missing: it says how long the step is. Multiply by it what is subtracted from x.",
     lambda g: g.x - (g.direction + g.decay * g.x)),
    ("divided_by_rate", "You divide by the rate. It says how long the step is: multiply.",
     lambda g: g.x - (g.direction + g.decay * g.x) / g.rate),
    ("rate_by_step", "You divide the rate by the number of the step. How the rate changes is the caller's business; "
     "here step is for the bias correction alone.", lambda g: g.x - g.rate / g.step * (g.direction + g.decay * g.x)),
    ("times_step", "You multiply the step's length by its number. step is for the bias correction alone.",
     lambda g: g.x - g.step * g.rate * (g.direction + g.decay * g.x)),
):
    wrong_adamw(sentence, **{name: {"new": new}})

wrong_adamw("You return how far x moves, not where it gets to. Subtract that from x.",
            only_the_direction={"result": lambda g: (g.direction, g.m, g.v)},
            only_the_way={"result": lambda g: (g.x - g.new, g.m, g.v)},
            minus_the_way={"result": lambda g: (g.new - g.x, g.m, g.v)})
wrong_adamw("x comes back as it was. What you make of it has to be returned.",
            old_x={"result": lambda g: (g.x, g.m, g.v)})
wrong_adamw("An old mean comes back. Return the new ones: the next step goes on from them.",
            old_means={"result": lambda g: (g.new, g.mean, g.square)},
            old_mean_back={"result": lambda g: (g.new, g.mean, g.v)},
            old_square_back={"result": lambda g: (g.new, g.m, g.square)})
wrong_adamw("Asked for are three things: `return x, mean, square`. The caller has to hand the two means to the next "
            "step.",
            x_alone={"result": lambda g: g.new}, without_square={"result": lambda g: (g.new, g.m)},
            with_step={"result": lambda g: (g.new, g.m, g.v, g.step + 1)}, nothing={"result": lambda g: None},
            as_a_dict={"result": lambda g: {"x": g.new, "mean": g.m, "square": g.v}},
            pair_in_a_pair={"result": lambda g: (g.new, (g.m, g.v))})
wrong_adamw("The three come back in another order. It is `x, mean, square`.",
            x_last={"result": lambda g: (g.m, g.v, g.new)}, square_first={"result": lambda g: (g.new, g.v, g.m)},
            mean_first={"result": lambda g: (g.m, g.new, g.v)})


def written(x, new, place=...):
    x[place] = new
    return x


wrong_adamw("`mean *= ...`, `x -= ...` and `x[...] = ...` write into the caller's arrays. Make new ones: `mean = "
            "beta_1 * mean + ...`.",
            x_in_place={"new": lambda g: written(g.x, g.x - g.rate * (g.direction + g.decay * g.x))},
            mean_in_place={"m": lambda g: written(g.mean, g.beta_1 * g.mean + (1 - g.beta_1) * g.dx)},
            square_in_place={"v": lambda g: written(g.square, g.beta_2 * g.square + (1 - g.beta_2) * g.dx**2)},
            means_in_place={"m": lambda g: written(g.mean, g.beta_1 * g.mean + (1 - g.beta_1) * g.dx),
                            "v": lambda g: written(g.square, g.beta_2 * g.square + (1 - g.beta_2) * g.dx**2)},
            all_in_place={"result": lambda g: tuple(map(written, (g.x, g.mean, g.square), (g.new, g.m, g.v)))},
            gradient_in_place={"gradient": lambda g: written(g.dx, g.dx + g.decay * g.x),
                               "new": lambda g: g.x - g.rate * g.direction})
wrong_adamw("`[:]` needs an axis, and x may be a single number, of shape (). Make new arrays by plain arithmetic: "
            "`mean = beta_1 * mean + ...`.",
            colon_in_means={"m": lambda g: written(g.mean, g.beta_1 * g.mean + (1 - g.beta_1) * g.dx, slice(None)),
                            "v": lambda g: written(g.square, g.beta_2 * g.square + (1 - g.beta_2) * g.dx**2,
                                                   slice(None))},
            colon_in_all={"result": lambda g: tuple(written(old, new, slice(None)) for old, new in (
                (g.mean, g.m), (g.square, g.v), (g.x, g.new)))})
wrong_adamw("The numbers are right, but float32 became float64. A float64 from NumPy wins over float32: `np.sqrt` or "
            "`np.power` of a Python number makes one, and so do `np.array(betas)` and `np.zeros(shape)`. A Python "
            "number (`math.sqrt`, `**`) does not.",
            numpy_power=divided(*[lambda beta, t: 1 - np.power(beta, t)] * 2),
            numpy_root={"direction": lambda g: g.m_right / (np.sqrt(g.v) / np.sqrt(share(g.beta_2, g.step)) + g.eps)},
            array_of_betas={"betas": lambda g: np.array(g.betas), "beta_1": lambda g: g.betas[0],
                            "beta_2": lambda g: g.betas[1]},
            rate_of_numpy={"rate": lambda g: np.float64(g.rate)},
            means_of_zeros={"m": lambda g: np.zeros(g.x.shape) + (g.beta_1 * g.mean + (1 - g.beta_1) * g.dx),
                            "v": lambda g: np.zeros(g.x.shape) + (g.beta_2 * g.square + (1 - g.beta_2) * g.dx**2)},
            float64_returned={"result": lambda g: tuple(np.asarray(y, np.float64) for y in (g.new, g.m, g.v))})


@ADAMW_STEP.mistake("You go through x in a loop, which ends at arrays of other shapes: x may be one number, or a "
                    "matrix. No loop is needed: NumPy does it for all entries at once.")
def number_by_number(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    new = [adamw_step(*four, step, rate, betas, eps, weight_decay) for four in zip(x, dx, mean, square, strict=True)]
    return tuple(np.array(part) for part in zip(*new, strict=True))


@ADAMW_STEP.alternative
def decay_first(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    x = x * (1 - rate * weight_decay)
    mean = mean + (1 - betas[0]) * (dx - mean)
    square = square - (1 - betas[1]) * (square - dx**2)
    root = np.sqrt(square) / math.sqrt(1 - betas[1]**step) + eps
    return x - rate / (1 - betas[0]**step) * mean / root, mean, square


@ADAMW_STEP.alternative
def in_copies(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    x, mean, square = x.copy(), mean.copy(), square.copy()
    mean *= betas[0]
    mean += (1 - betas[0]) * dx
    square *= betas[1]
    square += (1 - betas[1]) * np.square(dx)
    x -= rate * weight_decay * x
    x -= rate * (mean / (1 - math.pow(betas[0], step))) / (np.sqrt(square / (1 - math.pow(betas[1], step))) + eps)
    return [x, mean, square]


@ADAMW_STEP.alternative
def entry_by_entry(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    new = [np.empty_like(x) for _ in range(3)]
    for i in np.ndindex(x.shape):
        m, v = (beta * old[i] + (1 - beta) * dx[i]**power for beta, old, power in zip(betas, (mean, square), (1, 2),
                                                                                      strict=True))
        way = m / (1 - betas[0]**step) / (math.sqrt(v / (1 - betas[1]**step)) + eps) + weight_decay * x[i]
        for array, value in zip(new, (x[i] - rate * way, m, v), strict=True):
            array[i] = value
    return tuple(new)


@ADAMW_STEP.alternative
def in_float64_and_back(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    slope = np.asarray(dx, dtype=np.float64)
    m, v = (np.average([old, new], axis=0, weights=[beta, 1 - beta])
            for old, new, beta in zip((mean, square), (slope, slope * slope), betas, strict=True))
    m_right, v_right = (y / (1 - np.power(beta, step)) for y, beta in zip((m, v), betas, strict=True))
    new = np.subtract(x, rate * (np.divide(m_right, np.sqrt(v_right) + eps) + weight_decay * x))
    return tuple(y.astype(x.dtype) for y in (new, m, v))


@ADAMW_STEP.alternative
def with_the_smaller_eps(x, dx, mean, square, step, rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    b_1, b_2 = betas
    mean, square = mean * b_1 + dx * (1 - b_1), square * b_2 + dx * dx * (1 - b_2)
    root = (1 - b_2**step)**0.5
    adam = mean * (rate * root / (1 - b_1**step)) / (square**0.5 + eps * root)
    return x - weight_decay * rate * x - adam, mean, square


# ---- noam ---------------------------------------------------------------------------------------------------------

def noam_inputs():
    return [Case(title, args) for title, args in [
        ("the example of the text, on the way up", (100, 512, 4000)),
        ("the peak", (4000, 512, 4000)),
        ("on the way down", (9000, 512, 4000)),
        ("the first step", (1, 64, 10)),
        ("the last step before the peak", (9, 64, 10)),
        ("the first step after the peak", (11, 30, 10)),
        ("far on the way down", (100000, 30, 7)),
        ("a warm-up of one step", (3, 5, 1)),
    ]]


def judge_noam(case, output):
    found = NOAM.compare_with_reference(case, output)
    if found is None and isinstance(output, (np.generic, np.ndarray)):
        return Difference(f"the number is right, but expected a Python float, got a NumPy {output.dtype}",
                          advice="`float(...)` makes a Python number.")
    return found


NOAM = Exercise(noam, noam_inputs, judge=judge_noam)


def rising(d_model, step, warmup):
    return d_model**-0.5 * step * warmup**-1.5


def falling(d_model, step, warmup):
    return d_model**-0.5 * step**-0.5


EXPONENT = "The exponent of {} is {}, with the minus: {}."
TWO_NAMES = "{} and {} have changed places. `noam(step, d_model, warmup)`: step is counted, at warmup is the peak."
UP_AND_DOWN = "The smaller of the two is the rate: `step * warmup**-1.5` up to the peak, `step**-0.5` after it."

wrong(NOAM, "You take the larger of the two: the rate falls during the warm-up and rises after it. " + UP_AND_DOWN,
      largest=lambda step, d_model, warmup: max(rising(d_model, step, warmup), falling(d_model, step, warmup)),
      condition_turned=lambda step, d_model, warmup: (rising if step > warmup else falling)(d_model, step, warmup))
wrong(NOAM, "The rate rises for ever. After the warm-up it falls, with `step**-0.5`: the smaller of the two.",
      only_up=lambda step, d_model, warmup: rising(d_model, step, warmup))
wrong(NOAM, "The rate only falls. Up to the peak it rises, `step * warmup**-1.5`, with the minus: the smaller of the "
      "two.",
      only_down=lambda step, d_model, warmup: falling(d_model, step, warmup),
      **{f"warmup_to_plus_{i}": lambda step, d_model, warmup, power=power: d_model**-0.5 * min(
          step**-0.5, step * warmup**power) for i, power in enumerate((0, 0.5, 1, 1.5))})
wrong(NOAM, "You add the two, or take their mean. " + UP_AND_DOWN,
      added=lambda step, d_model, warmup: rising(d_model, step, warmup) + falling(d_model, step, warmup),
      averaged=lambda step, d_model, warmup: (rising(d_model, step, warmup) + falling(d_model, step, warmup)) / 2)
wrong(NOAM, "You multiply the two. " + UP_AND_DOWN,
      multiplied=lambda step, d_model, warmup: d_model**-0.5 * step**-0.5 * step * warmup**-1.5)
wrong(NOAM, TWO_NAMES.format("step", "warmup"), step_and_warmup=lambda step, d_model, warmup: noam(
    warmup, d_model, step), step_and_warmup_below=lambda step, d_model, warmup: d_model**-0.5 * min(
    warmup**-0.5, warmup * step**-1.5))
wrong(NOAM, TWO_NAMES.format("step", "d_model"), step_and_d_model=lambda step, d_model, warmup: noam(
    d_model, step, warmup))
wrong(NOAM, TWO_NAMES.format("d_model", "warmup"), d_model_and_warmup=lambda step, d_model, warmup: noam(
    step, warmup, d_model))
wrong(NOAM, "You count the steps from 0. The first is 1 already: take step as it is.",
      from_0=lambda step, d_model, warmup: noam(step - 1, d_model, warmup))
wrong(NOAM, "You add 1 to step. The first is 1 already: take step as it is.",
      from_2=lambda step, d_model, warmup: noam(step + 1, d_model, warmup))
wrong(NOAM, "You turn the rate into a whole number, which is 0. It is a fraction.",
      whole=lambda step, d_model, warmup: int(noam(step, d_model, warmup)),
      rounded_to_whole=lambda step, d_model, warmup: round(noam(step, d_model, warmup)),
      whole_division=lambda step, d_model, warmup: 1 // d_model * min(step**-0.5, step * warmup**-1.5))
wrong(NOAM, "The rate is rounded. Return it as it is.",
      **{f"rounded_to_{n}": lambda step, d_model, warmup, n=n: round(noam(step, d_model, warmup), n)
         for n in (4, 5, 6, 7, 8)})
wrong(NOAM, "`np.sqrt`, `np.minimum` and `np.power` give a np.float64, which wins over float32: with such a rate, "
      "parameters would become float64. Use `min` and `**`, or `float(...)` at the end.",
      of_numpy=lambda step, d_model, warmup: np.float64(noam(step, d_model, warmup)))
wrong(NOAM, "A list or an array comes back. One number is asked for: Python's `min` of the two.",
      a_list=lambda step, d_model, warmup: [noam(step, d_model, warmup)],
      an_array=lambda step, d_model, warmup: np.array([noam(step, d_model, warmup)]))
wrong(NOAM, "Nothing comes back. Print nothing, return the rate.", nothing=lambda step, d_model, warmup: None)
wrong(NOAM, EXPONENT.format("d_model", "-0.5", "the rate is lower for wider models"),
      d_model_root=lambda step, d_model, warmup: d_model * noam(step, d_model, warmup),
      d_model_inverse=lambda step, d_model, warmup: d_model**-0.5 * noam(step, d_model, warmup),
      d_model_to_minus_1_5=lambda step, d_model, warmup: noam(step, d_model, warmup) / d_model)
wrong(NOAM, "`d_model**-0.5` is missing: it stands in front of the smaller of the two.",
      no_d_model=lambda step, d_model, warmup: min(step**-0.5, step * warmup**-1.5))
wrong(NOAM, "`d_model**-0.5` is a factor of one of the two only. It stands in front of `min(...)`.",
      d_model_going_down=lambda step, d_model, warmup: min(falling(d_model, step, warmup), step * warmup**-1.5),
      d_model_going_up=lambda step, d_model, warmup: min(step**-0.5, rising(d_model, step, warmup)))
wrong(NOAM, EXPONENT.format("step", "-0.5", "after the warm-up the rate falls"),
      step_root=lambda step, d_model, warmup: d_model**-0.5 * min(step**0.5, step * warmup**-1.5),
      step_inverse=lambda step, d_model, warmup: d_model**-0.5 * min(1 / step, step * warmup**-1.5),
      step_to_minus_1_5=lambda step, d_model, warmup: d_model**-0.5 * min(step**-1.5, step * warmup**-1.5))
wrong(NOAM, "step is missing on the way up. The rate rises in a straight line: `step * warmup**-1.5`.",
      no_step=lambda step, d_model, warmup: d_model**-0.5 * min(step**-0.5, warmup**-1.5),
      constant_warmup=lambda step, d_model, warmup: d_model**-0.5 * min(step**-0.5, warmup**-0.5))
for name, power in (("minus_root", -0.5), ("minus_1", -1), ("minus_2", -2)):
    wrong(NOAM, EXPONENT.format("warmup", "-1.5", "so that both are the same at the peak"),
          **{f"warmup_to_{name}": lambda step, d_model, warmup, power=power: d_model**-0.5 * min(
              step**-0.5, step * warmup**power)})
wrong(NOAM, "`step * warmup` is taken to the power as a whole. Only warmup is: `step * warmup**-1.5`.",
      power_of_both=lambda step, d_model, warmup: d_model**-0.5 * min(step**-0.5, (step * warmup)**-1.5))
wrong(NOAM, "`min` compares the wrong things: its brackets close too early. It takes two, `step**-0.5` and `step * "
      "warmup**-1.5`.",
      brackets=lambda step, d_model, warmup: d_model**-0.5 * min(step**-0.5, step) * warmup**-1.5,
      step_and_warmup_compared=lambda step, d_model, warmup: d_model**-0.5 * min(step, warmup)**-0.5)
wrong(NOAM, "After the peak the rate stays as high as it is. It falls there, and what falls with the steps is "
      "`step**-0.5`: this is the other of the two.",
      level=lambda step, d_model, warmup: d_model**-0.5 * min(warmup**-0.5, step * warmup**-1.5),
      smaller_of_the_two_steps=lambda step, d_model, warmup: d_model**-0.5 * min(step, warmup) * warmup**-1.5)
wrong(NOAM, "The exponent -1.5 stands at the wrong name. On the way up the rate is a straight line in step, which has "
      "no exponent there: `step * warmup**-1.5`.",
      exponent_at_step=lambda step, d_model, warmup: d_model**-0.5 * min(step**-0.5, step**-1.5 * warmup))
wrong(NOAM, "512 and 4000 are the numbers of one example, and you have written one of them, or both, into the formula. "
      "The caller says what they are: `d_model` and `warmup`.",
      width_of_512=lambda step, d_model, warmup: noam(step, 512, warmup),
      warmup_of_4000=lambda step, d_model, warmup: noam(step, d_model, 4000),
      both_of_the_example=lambda step, d_model, warmup: noam(step, 512, 4000))
wrong(NOAM, "A power binds closer than `/`: `x**-1/2` is (1 / x) / 2. Write `x**-0.5`, or put brackets around the "
      "exponent.",
      halves=lambda step, d_model, warmup: d_model**-1 / 2 * min(step**-1 / 2, step * warmup**-3 / 2),
      half_of_d_model=lambda step, d_model, warmup: d_model**-1 / 2 * min(step**-0.5, step * warmup**-1.5),
      half_of_step=lambda step, d_model, warmup: d_model**-0.5 * min(step**-1 / 2, step * warmup**-1.5),
      half_of_warmup=lambda step, d_model, warmup: d_model**-0.5 * min(step**-0.5, step * warmup**-3 / 2))
wrong(NOAM, "The rate rises to 1 and not to the peak of the formula. At step = warmup it is `d_model**-0.5 * "
      "warmup**-0.5`.",
      up_to_1=lambda step, d_model, warmup: step / warmup if step < warmup else falling(d_model, step, warmup),
      up_to_1_and_down_from_it=lambda step, d_model, warmup: min(step / warmup, (warmup / step)**0.5))
wrong(NOAM, "One star multiplies. A power has two: `d_model**-0.5`.",
      one_star=lambda step, d_model, warmup: d_model * -0.5 * min(step * -0.5, step * warmup * -1.5),
      one_star_in_front=lambda step, d_model, warmup: d_model * -0.5 * min(step**-0.5, step * warmup**-1.5))
wrong(NOAM, "The minus has no place to go: `-x**0.5` is the negative of the root. A root below the line is `x**-0.5`.",
      minus_in_front=lambda step, d_model, warmup: -noam(step, d_model, warmup),
      minus_in_front_of_d_model=lambda step, d_model, warmup: -d_model**0.5 * min(step**-0.5, step * warmup**-1.5),
      minus_in_front_of_step=lambda step, d_model, warmup: d_model**-0.5 * min(-step**0.5, step * warmup**-1.5))
wrong(NOAM, "`^` is no power in Python but an operation on bits. A power has two stars: `d_model**-0.5`.",
      caret=lambda step, d_model, warmup: d_model ^ -0.5)
wrong(NOAM, "`np.min` and NumPy's powers want arrays; the second argument of `np.min` is an axis. Python's own `min` "
      "takes two numbers.",
      axis_of_min=lambda step, d_model, warmup: d_model**-0.5 * np.min(step**-0.5, step * warmup**-1.5))


@NOAM.alternative
def in_two_branches(step, d_model, warmup):
    if step < warmup:
        return step / warmup / math.sqrt(d_model * warmup)
    return 1 / math.sqrt(d_model * step)


@NOAM.alternative
def by_math_pow(step, d_model, warmup):
    return math.pow(d_model, -0.5) * sorted([math.pow(step, -1 / 2), step * math.pow(warmup, -3 / 2)])[0]


@NOAM.alternative
def by_logarithms(step, d_model, warmup):
    exponents = -0.5 * math.log(step), math.log(step) - 1.5 * math.log(warmup)
    return math.exp(min(exponents) - math.log(d_model) / 2)


@NOAM.alternative
def of_numpy_and_back(step, d_model, warmup):
    return float(np.minimum(1 / np.sqrt(step), step / (warmup * np.sqrt(warmup))) / np.sqrt(d_model))


@NOAM.alternative
def as_a_share_of_the_peak(step, d_model, warmup):
    return (d_model * warmup)**-0.5 * min((warmup / step)**0.5, step / warmup)


# ---- clip_by_norm -------------------------------------------------------------------------------------------------

class Gradients(dict):
    """Gradients of many parameters. A card names them and does not print them."""

    def __repr__(self):
        return "gradients"


def nested_gradients(seed, scale=1.0, dtype=np.float64):
    """In float32 whole numbers, so that all ways to their length give the same."""
    def draw(*shape, i):
        x = normal(*shape, seed=seed + i, scale=scale, dtype=dtype)
        return np.asarray(x if dtype == np.float64 else np.round(x))
    return Gradients(table=draw(5, 3, i=0), gain=draw(i=1),
                     encoder={"layer_1": {"attention": {"W_Q": draw(3, 4, i=2), "W_K": draw(4, 3, i=3).T},
                                          "norm_1": {"gamma": draw(3, i=4)}},
                              "norm": {"beta": np.zeros(3, dtype)}},
                     output={"b": draw(2, i=5)})


def clip_inputs():
    def example():
        return {"a": np.array([3.0]), "b": np.array([4.0, 0.0])}

    return [
        Case("the example of the text", (example(), 1.0)),
        Case("a length of 5 and a limit of 5", (example(), 5)),
        Case("a length of 5 and a limit of 10", (example(), 10.0)),
        Case("nested dicts", (nested_gradients(70), 3.0)),
        Case("each array is shorter than the limit, all together are longer",
             ({"W": np.array([[2.0, -2.0], [1.0, 4.0]]), "b": np.array([4.0, -2.0, 4.0])}, 7)),
        Case("nested dicts, whose length is below the limit", (nested_gradients(80, scale=0.2), 50.0)),
        Case("gradients of nothing but zeros", ({"W": np.zeros((2, 3)), "b": np.zeros(2)}, 1.0)),
        Case("float32, nested dicts", (nested_gradients(90, scale=3.0, dtype=np.float32), 0.5)),
        Case("float32, whose length is below the limit", (nested_gradients(90, scale=2.0, dtype=np.float32), 50.0)),
    ]


def judge_clip(case, output):
    """A part in a million does not count: many add something tiny to the length, so that nobody divides by 0."""
    found = CLIP_BY_NORM.compare_with_reference(case, output)
    return None if found and nearly(clip_by_norm(*case.args), output) else found


def nearly(expected, got):
    if isinstance(expected, dict):
        return isinstance(got, dict) and set(got) == set(expected) and all(nearly(expected[k], got[k]) for k in got)
    alike = isinstance(got, (np.ndarray, np.generic)) and (got.shape, got.dtype) == (expected.shape, expected.dtype)
    return alike and np.allclose(got, expected, rtol=1e-6, atol=0)


CLIP_BY_NORM = Exercise(clip_by_norm, clip_inputs, judge=judge_clip)


def length_of(*arrays):
    return math.sqrt(sum(float(np.sum(dx * dx)) for dx in arrays))


def length_with(size, of=list):
    """The step "norm" with another size of the arrays."""
    return {"norm": lambda g: float(size([of(dx) for dx in g.arrays.values()]))}


def with_factor(scale):
    return {"scale": scale}


def each_by_itself(wrong_one):
    return {"shortened": lambda g: {name: wrong_one(dx, g) for name, dx in g.arrays.items()}}


wrong_clip = wrong_in(mistakes_in_steps(
    CLIP_BY_NORM, lambda gradients, max_norm: SimpleNamespace(gradients=gradients, max_norm=max_norm), {
        "arrays": lambda g: flat(g.gradients),
        "norm": lambda g: length_of(*g.arrays.values()),
        "scale": lambda g: min(1.0, g.max_norm / g.norm) if g.norm else 1.0,
        "shortened": lambda g: {name: g.scale * dx for name, dx in g.arrays.items()},
        "result": lambda g: nested(g.shortened)}))


def shortened(dx, norm, limit):
    return dx * (limit / norm) if norm > limit else dx


wrong_clip("Every array is shortened by itself, and the direction of the whole changes. There is one length, over all "
           "arrays together, and one factor for all.",
           each_array=each_by_itself(lambda dx, g: shortened(dx, length_of(dx), g.max_norm)),
           each_array_always=each_by_itself(lambda dx, g: dx * (g.max_norm / np.sqrt(np.sum(dx * dx)))),
           each_array_unless_0=each_by_itself(lambda dx, g: dx * min(1.0, g.max_norm / (length_of(dx) + 1e-6))))


def lengths_of_rows(dx):
    return np.sqrt(np.sum(dx * dx, axis=-1, keepdims=True))


wrong_clip("Every row is shortened by itself, and the direction of the whole changes. There is one length, over all "
           "rows of all arrays: sum the squares without an axis.",
           each_row=each_by_itself(lambda dx, g: dx * np.minimum(1.0, g.max_norm / lengths_of_rows(dx))),
           each_row_always=each_by_itself(lambda dx, g: dx * (g.max_norm / lengths_of_rows(dx))),
           each_row_but_numbers=each_by_itself(lambda dx, g: dx * np.minimum(1.0, g.max_norm / (
               lengths_of_rows(dx) if dx.ndim else np.abs(dx)))),
           each_row_of_long_ones=each_by_itself(lambda dx, g: dx * np.minimum(1.0, g.max_norm / lengths_of_rows(dx))
                                                if g.norm > g.max_norm else dx),
           each_row_by_norm=each_by_itself(lambda dx, g: dx * np.minimum(1.0, g.max_norm / np.linalg.norm(
               dx, axis=-1, keepdims=True))),
           each_row_of_axis_1=each_by_itself(lambda dx, g: dx * np.minimum(1.0, g.max_norm / np.linalg.norm(
               dx, axis=1, keepdims=True))))


def part_by_part(part, max_norm):
    arrays = [dx for dx in part.values() if not isinstance(dx, dict)]
    return {name: part_by_part(dx, max_norm) if isinstance(dx, dict) else shortened(dx, length_of(*arrays), max_norm)
            for name, dx in part.items()}


wrong_clip("Each inner dict is shortened by itself. There is one length, over all arrays of all dicts: `flat` brings "
           "them together.",
           each_dict={"result": lambda g: part_by_part(g.gradients, g.max_norm)},
           each_part={"result": lambda g: {name: clip_by_norm(part, g.max_norm) if isinstance(part, dict) else
                                           shortened(part, length_of(part), g.max_norm)
                                           for name, part in g.gradients.items()}})
wrong_clip("You add up the lengths of the arrays. Lengths do not add up, squares do: the root of the sum of all "
           "squares.", sum_of_norms=length_with(sum, length_of),
           root_of_sum_of_norms=length_with(lambda norms: math.sqrt(sum(norms)), length_of))
wrong_clip("The root is missing: this is the square of the length. `math.sqrt` of the sum.",
           no_root=length_with(sum, lambda dx: np.sum(dx * dx)))
wrong_clip("You take the longest array. The length is that of all of them together: the root of the sum of all "
           "squares.", longest_array=length_with(max, length_of))
wrong_clip("You take the largest entry for the length. It is the root of the sum of all squares.",
           largest_entry=length_with(max, lambda dx: np.max(np.abs(dx))),
           largest_entry_signed=length_with(max, np.max))
wrong_clip("You add up the entries without squaring them. The length is the root of the sum of their squares.",
           sum_of_sizes=length_with(sum, lambda dx: np.sum(np.abs(dx))), sum_of_entries=length_with(sum, np.sum),
           size_of_the_sum=length_with(lambda sums: abs(sum(sums)), np.sum))
wrong_clip("You square the sum of each array. First square every entry, then sum: `np.sum(dx * dx)`.",
           squares_of_sums=length_with(lambda sums: math.sqrt(sum(x * x for x in sums)), np.sum))
wrong_clip("You take a mean of squares. The length is the root of their *sum*, however many there are.",
           mean_square=length_with(lambda parts: math.sqrt(np.mean(np.concatenate(parts))), lambda dx: dx.ravel()**2),
           mean_of_each=length_with(lambda means: math.sqrt(sum(means)), lambda dx: np.mean(dx * dx)),
           mean_of_sums=length_with(lambda sums: math.sqrt(np.mean(sums)), lambda dx: np.sum(dx * dx)),
           mean_of_norms=length_with(np.mean, length_of))
wrong_clip("The length is that of one array alone. In a loop, add to what you have: `total = total + ...`, and begin "
           "with 0 before it.",
           last_alone=length_with(lambda norms: norms[-1], length_of),
           first_alone=length_with(lambda norms: norms[0], length_of))
wrong_clip("`np.linalg.norm(dx, 2)` is something else for a matrix: its largest singular value. Without the 2, it is "
           "the root of the sum of the squares.",
           spectral=length_with(lambda norms: length_of(*norms), lambda dx: np.linalg.norm(dx, 2)))
wrong_clip("'fro' is for matrices alone. Without it, `np.linalg.norm(dx)` is the root of the sum of the squares for "
           "arrays of any shape.",
           frobenius=length_with(lambda norms: length_of(*norms), lambda dx: np.linalg.norm(dx, "fro")))

wrong_clip("Everything gets a length of max_norm, short gradients, too. Those that are short enough stay as they are: "
           "a factor of at most 1.",
           always=with_factor(lambda g: g.max_norm / np.float64(g.norm)),
           always_but_0=with_factor(lambda g: g.max_norm / (g.norm or 1)),
           always_python=with_factor(lambda g: g.max_norm / g.norm))
wrong_clip("You compare the square of the length with max_norm, and so gradients that are short enough may grow. Take "
           "the root before you compare.",
           square_compared=with_factor(lambda g: g.max_norm / g.norm if g.norm**2 > g.max_norm else 1.0))
wrong_clip("The wrong way round: short gradients grow, and long ones stay as they are. Shorten where the length is "
           "above max_norm: the smaller of 1 and `max_norm / norm`.",
           larger_factor=with_factor(lambda g: max(1.0, g.max_norm / g.norm) if g.norm else 1.0),
           condition_turned=with_factor(lambda g: g.max_norm / g.norm if 0 < g.norm < g.max_norm else 1.0))
wrong_clip("The factor is upside down, `norm / max_norm`. What is too long would get longer: it is `max_norm / norm`.",
           upside_down=with_factor(lambda g: g.norm / g.max_norm if g.norm > g.max_norm else 1.0),
           upside_down_always=with_factor(lambda g: g.norm / g.max_norm),
           upside_down_at_most_1=with_factor(lambda g: min(1.0, g.norm / g.max_norm)),
           upside_down_at_least_1=with_factor(lambda g: max(1.0, g.norm / g.max_norm)))
wrong_clip("Long gradients get a length of 1. The limit is max_norm: multiply by `max_norm / norm`.",
           to_length_1=with_factor(lambda g: 1 / g.norm if g.norm > g.max_norm else 1.0),
           to_length_1_above_1=with_factor(lambda g: 1 / g.norm if g.norm > 1 else 1.0))
wrong_clip("Long gradients are multiplied by max_norm alone. Divide by their length as well: `max_norm / norm`.",
           not_divided=with_factor(lambda g: g.max_norm if g.norm > g.max_norm else 1.0))
wrong_clip("The factor has a square or a root too many. It is `max_norm / norm`, with the length, which is a root "
           "already.",
           square_of_factor=with_factor(lambda g: min(1.0, g.max_norm / g.norm)**2 if g.norm else 1.0),
           root_of_factor=with_factor(lambda g: min(1.0, g.max_norm / g.norm)**0.5 if g.norm else 1.0),
           root_below=with_factor(lambda g: min(1.0, g.max_norm / g.norm**0.5) if g.norm else 1.0))
wrong_clip("Nothing is shortened. Multiply every array by `max_norm / norm` where the length is above max_norm, and "
           "return the new arrays.",
           nothing_shortened={"result": lambda g: g.gradients})
wrong_clip("Gradients that are too long are thrown away. Shorten them: their direction is good.",
           zeros=with_factor(lambda g: 0.0 if g.norm > g.max_norm else 1.0))
wrong_clip("You subtract from the entries. To keep the direction, *multiply* all of them by the same factor.",
           subtracted=each_by_itself(lambda dx, g: dx - max(0.0, g.norm - g.max_norm)))
wrong_clip("You cut single entries off at the limit, and the direction changes. The limit is for the length of all "
           "together: one factor for all.",
           entries=each_by_itself(lambda dx, g: np.clip(dx, -g.max_norm, g.max_norm)),
           entries_above=each_by_itself(lambda dx, g: np.minimum(dx, np.asarray(g.max_norm, dx.dtype))),
           entries_of_long_ones=each_by_itself(lambda dx, g: np.clip(dx, -g.max_norm, g.max_norm)
                                               if g.norm > g.max_norm else dx))
wrong_clip("The squares come back. They are for the length alone: shorten the gradients themselves.",
           squares=each_by_itself(lambda dx, g: g.scale * dx * dx))
wrong_clip("The signs are lost. They are half of the direction: shorten the gradients themselves, not their sizes.",
           sizes=each_by_itself(lambda dx, g: g.scale * np.abs(dx)))
wrong_clip("Gradients of nothing but zeros have a length of 0, and you divide by it. They are short enough: nothing "
           "has to be done.",
           division_by_0=with_factor(lambda g: min(1.0, g.max_norm / g.norm)),
           division_of_0=each_by_itself(lambda dx, g: dx / np.asarray(g.norm, dx.dtype)
                                        * min(float(g.norm), g.max_norm)),
           division_of_0_by_numpy=with_factor(lambda g: np.minimum(g.norm, g.max_norm).astype(
               g.arrays[next(iter(g.arrays))].dtype) / g.norm),
           division_for_both=each_by_itself(lambda dx, g: dx * (min(g.norm, g.max_norm) / g.norm)))
wrong_clip("Something is added to the length that is too large to be overlooked. Where the length is 0, nothing needs "
           "to be shortened; nowhere else is it needed.",
           **{f"eps_{i}": with_factor(lambda g, eps=eps: min(1.0, g.max_norm / (g.norm + eps)))
              for i, eps in enumerate((1.0, 1e-2, 1e-3, 1e-4))})

wrong_clip("One flat dict comes back, with names like `a/b`. Its form should be that of what came in: `nested(...)` "
           "makes it.",
           flat={"result": lambda g: g.shortened})
wrong_clip("Return the gradients alone, nested dicts of the form that came in.",
           list_of_arrays={"result": lambda g: list(g.shortened.values())},
           values={"result": lambda g: g.shortened.values()}, norm_alone={"result": lambda g: g.norm},
           factor_alone={"result": lambda g: g.scale}, with_norm={"result": lambda g: (nested(g.shortened), g.norm)},
           norm_first={"result": lambda g: (g.norm, nested(g.shortened))}, nothing={"result": lambda g: None},
           one_array={"result": lambda g: np.concatenate([dx.ravel() for dx in g.shortened.values()])})
wrong_clip("Only one array comes back. Is `return` inside the loop? It comes after it.",
           first_array={"result": lambda g: nested(dict(list(g.shortened.items())[:1]))},
           first_array_alone={"result": lambda g: next(iter(g.shortened.values()))},
           last_array={"result": lambda g: nested(dict(list(g.shortened.items())[-1:]))},
           last_array_alone={"result": lambda g: list(g.shortened.values())[-1]})
wrong_clip("`nested` takes a dict, such as `{name: scale * dx for name, dx in arrays.items()}`. It needs the names.",
           names_lost={"result": lambda g: nested([g.scale * dx for dx in g.arrays.values()])})
wrong_clip("A dict cannot be multiplied. Multiply each array in it: `{name: scale * dx for name, dx in "
           "arrays.items()}`.",
           dict_multiplied={"result": lambda g: g.scale * g.gradients},
           dict_multiplied_from_behind={"result": lambda g: g.gradients * g.scale})
wrong_clip("`for dx in arrays` runs through the names of a dict. `arrays.values()` gives the arrays, `arrays.items()` "
           "names and arrays.",
           names_squared={"norm": lambda g: sum(dx * dx for dx in g.arrays)},
           names_to_the_power={"norm": lambda g: sum(np.sum(dx**2) for dx in g.arrays)},
           names_in_norm={"norm": lambda g: sum(np.linalg.norm(dx) for dx in g.arrays)},
           names_in_vdot={"norm": lambda g: sum(np.vdot(dx, dx) for dx in g.arrays)},
           names_shortened={"shortened": lambda g: g.arrays if g.scale == 1 else [g.scale * dx for dx in g.arrays]},
           names_always_shortened={"shortened": lambda g: [g.scale * dx for dx in g.arrays]},
           not_unpacked={"shortened": lambda g: {name: dx for name, dx in g.arrays}})
wrong_clip("The values of the outer dict may be dicts themselves. `flat(gradients)` gives one dict whose values are "
           "all arrays, however deep they were.",
           dict_times_dict={"arrays": lambda g: g.gradients, "norm": lambda g: length_of(*g.arrays.values())},
           power_of_dict={"norm": lambda g: math.sqrt(sum(np.sum(dx**2) for dx in g.gradients.values()))},
           norm_of_dict={"norm": lambda g: np.linalg.norm([np.linalg.norm(dx) for dx in g.gradients.values()])},
           vdot_of_dict={"norm": lambda g: math.sqrt(sum(np.vdot(dx, dx) for dx in g.gradients.values()))},
           square_of_dict={"norm": lambda g: math.sqrt(sum(np.sum(np.square(dx)) for dx in g.gradients.values()))},
           shortened_dict={"result": lambda g: {name: dx * g.scale for name, dx in g.gradients.items()}},
           dict_shortened={"result": lambda g: {name: g.scale * dx for name, dx in g.gradients.items()}},
           shortened_dict_or_1={"result": lambda g: {name: dx * (1 if g.scale == 1 else g.scale)
                                                     for name, dx in g.gradients.items()}},
           dict_shortened_or_1={"result": lambda g: {name: (1 if g.scale == 1 else g.scale) * dx
                                                     for name, dx in g.gradients.items()}},
           two_levels={"arrays": lambda g: {(a, b): dx for a, part in g.gradients.items() for b, dx in part.items()}},
           two_levels_of_values={"norm": lambda g: length_of(*(dx for part in g.gradients.values()
                                                               for dx in part.values()))})
wrong_clip("The arrays have different shapes and do not make one array. Take the sum of the squares of each, "
           "`np.sum(dx * dx)`, which is a number, and add these up.",
           array_of_arrays={"norm": lambda g: np.sqrt(np.sum(np.array(list(g.arrays.values()))**2))},
           norm_of_values={"norm": lambda g: np.linalg.norm(g.arrays.values())},
           norm_of_list={"norm": lambda g: np.linalg.norm(list(g.arrays.values()))},
           concatenated={"norm": lambda g: np.linalg.norm(np.concatenate(list(g.arrays.values())))},
           stacked={"norm": lambda g: np.linalg.norm(np.stack(list(g.arrays.values())))},
           squares_added={"norm": lambda g: np.sqrt(sum(dx * dx for dx in g.arrays.values())),
                          "scale": lambda g: min(1.0, g.max_norm / g.norm)},
           squares_added_by_math={"norm": lambda g: math.sqrt(sum(dx * dx for dx in g.arrays.values()))},
           squares_added_by_numpy={"norm": lambda g: np.sqrt(sum(dx * dx for dx in g.arrays.values())),
                                   "scale": lambda g: np.minimum(1.0, g.max_norm / g.norm)},
           python_sums={"norm": lambda g: math.sqrt(sum(sum(dx * dx) for dx in g.arrays.values()))},
           python_sums_of_powers={"norm": lambda g: math.sqrt(sum(sum(dx**2) for dx in g.arrays.values()))})
wrong_clip("`@` and `np.dot` multiply matrices. The sum of the squares is `np.sum(dx * dx)`, or `np.vdot(dx, dx)`.",
           at={"norm": lambda g: math.sqrt(sum(dx @ dx for dx in g.arrays.values()))},
           at_transposed={"norm": lambda g: math.sqrt(sum(dx @ dx.T for dx in g.arrays.values()))},
           dot={"norm": lambda g: math.sqrt(sum(np.dot(dx, dx) for dx in g.arrays.values()))},
           dot_transposed={"norm": lambda g: math.sqrt(sum(np.dot(dx, dx.T) for dx in g.arrays.values()))})
WRITTEN = ("`dx *= scale` and `gradients[name] = ...` write into what the caller gave. Make new arrays, in a new dict: "
           "`scale * dx`.")
wrong_clip(WRITTEN,
           in_place=each_by_itself(lambda dx, g: written(dx, g.scale * dx)),
           **{f"in_place_with_eps_{i}": each_by_itself(lambda dx, g, eps=eps: written(
               dx, min(1.0, g.max_norm / (g.norm + eps)) * dx)) for i, eps in enumerate((1e-6, 1e-8))},
           into_the_dict={"result": lambda g: g.gradients.update(nested(g.shortened)) or g.gradients},
           into_the_dict_by_flat_names={"result": lambda g: g.gradients.update(g.shortened) or g.gradients},
           into_the_dict_by_flat_names_and_nested={"result": lambda g: nested(
               g.gradients.update(g.shortened) or g.gradients)},
           in_place_and_nothing={"result": lambda g: [written(dx, g.scale * dx) for dx in g.arrays.values()] and None})


def name_by_name(times, norm=None, only_long=False):
    """Steps that write into the outer dict under each of its names, and stumble over the inner ones."""
    def result(g):
        if g.norm > g.max_norm or not only_long:
            for name in g.gradients:
                g.gradients[name] = times(g.gradients[name], g.scale)
        return g.gradients
    return {"result": result} | ({"norm": lambda g: math.sqrt(sum(map(norm, g.gradients.values())))} if norm else {})


for i, times in enumerate((operator.mul, lambda dx, scale: scale * dx, operator.imul)):
    wrong_clip(WRITTEN, **{f"name_by_name_{i}": name_by_name(times),
                           f"name_by_name_{i}_of_long_ones": name_by_name(times, only_long=True)})
for i, norm in enumerate((lambda dx: np.sum(dx * dx), lambda dx: np.sum(dx**2), lambda dx: np.vdot(dx, dx),
                          lambda dx: np.sum(np.square(dx)), lambda dx: np.linalg.norm(dx)**2)):
    wrong_clip(WRITTEN, **{f"name_by_name_with_norm_{i}": name_by_name(operator.mul, norm)})
wrong_clip("The numbers are right, but float32 became float64. `np.sqrt` of a Python number is a np.float64, which "
           "wins over float32. `math.sqrt(...)` or `float(...)` makes a Python number, which does not.",
           numpy_root={"norm": lambda g: np.float64(length_of(*g.arrays.values()))},
           numpy_minimum={"scale": lambda g: np.minimum(1.0, g.max_norm / np.float64(g.norm))},
           float64_arrays=each_by_itself(lambda dx, g: g.scale * dx.astype(np.float64)))


@CLIP_BY_NORM.alternative
def one_long_vector(gradients, max_norm):
    arrays = flat(gradients)
    norm = float(np.linalg.norm(np.concatenate([np.ravel(dx) for dx in arrays.values()])))
    if norm <= max_norm:
        return gradients
    return nested({name: (dx * (max_norm / norm)).astype(dx.dtype) for name, dx in arrays.items()})


@CLIP_BY_NORM.alternative
def recursively(gradients, max_norm):
    def squares(part):
        return sum(map(squares, part.values())) if isinstance(part, dict) else float((part**2).sum())

    def scaled(part, factor):
        if isinstance(part, dict):
            return {name: scaled(inner, factor) for name, inner in part.items()}
        return part.copy() if factor >= 1 else part * factor

    total = squares(gradients)
    return scaled(gradients, max_norm / math.sqrt(total) if total > max_norm**2 else 1)


@CLIP_BY_NORM.alternative
def as_pytorch(gradients, max_norm):
    arrays, norms = flat(gradients), []
    for dx in arrays.values():
        norms.append(np.linalg.norm(dx))
    factor = float(max_norm / (np.linalg.norm(norms) + 1e-6))
    if factor < 1:
        for name in arrays:
            arrays[name] = arrays[name] * factor
    return nested(arrays)


@CLIP_BY_NORM.alternative
def divided(gradients, max_norm):
    arrays = flat(gradients)
    total = 0
    for dx in arrays.values():
        total += np.einsum("i,i->", dx.reshape(-1), dx.reshape(-1))
    times_too_long = max(1.0, float(np.sqrt(total)) / max_norm)
    return nested({name: np.divide(dx, times_too_long) for name, dx in arrays.items()})


@CLIP_BY_NORM.alternative
def by_the_norms_of_the_arrays(gradients, max_norm):
    arrays = flat(gradients)
    norm = math.hypot(*(np.linalg.norm(dx) for dx in arrays.values()))
    return nested({name: np.asarray(min(max_norm / max(norm, 1e-12), 1) * dx) for name, dx in arrays.items()})


# ---- training_step ------------------------------------------------------------------------------------------------

class Differentiate:
    """What value_and_grad makes of a small loss, by hand: how far x @ W + b is from what else is in the batch, with
    dropout for x. A card names it."""

    def __repr__(self):
        return "differentiate"

    def __call__(self, params, *batch, rng=None):
        strange = [tuple(x) if isinstance(x, Arrays) else x for x in batch if not isinstance(x, np.ndarray)]
        if strange or not batch:
            raise TypeError("differentiate takes params, and then the arrays of a batch, one after the other; it got "
                            + (describe(strange[0]) if strange else "none"))
        x, *others = dropout(batch[0], 0.5, rng), *batch[1:]
        error = x @ params["layer"]["W"] + params["layer"]["b"] - sum(others)
        return np.sum(error * error), {"layer": {"W": x.T @ (2 * error), "b": np.sum(2 * error, axis=0)}}

    __call__.__qualname__ = "differentiate"     # for error messages


class Arrays(tuple):
    """A batch. A card names it."""

    def __repr__(self):
        return "batch"


class State(dict):
    """What an optimizer keeps in mind. A card names it."""

    def __repr__(self):
        return "state"


class Damped(AdamW):
    """An optimizer with the options and the state of AdamW that goes by a formula of its own: adamw_step is an exercise
    of this chapter."""

    def step(self, params, gradients, state, rate):
        dxs, means, squares = flat(gradients), flat(state["mean"]), flat(state["square"])
        means = {name: self.betas[0] * means[name] + dx for name, dx in dxs.items()}
        squares = {name: self.betas[1] * squares[name] + dx * dx for name, dx in dxs.items()}
        new = {name: x - rate * (means[name] / (1 + squares[name]) + self.weight_decay * x)
               for name, x in flat(params).items()}
        return nested(new), {"step": state["step"] + 1, "mean": nested(means), "square": nested(squares)}


def training_inputs():
    """The gradients are so long that something tiny which the reader's clip_by_norm adds to their length is lost."""
    def layer(seed, dtype, squares=False):
        W, b = normal(3, 2, seed=seed, dtype=dtype), normal(2, seed=seed + 1, dtype=dtype)
        return {"layer": {"W": W * W + dtype(0.5), "b": b * b} if squares else {"W": W, "b": b}}

    def case(title, seed, optimizer, rate, n_arrays=2, steps=0, dtype=np.float64, **options):
        batch = [normal(4, 3, seed=seed, scale=20.0, dtype=dtype)]
        batch += [normal(4, 2, seed=seed + i, scale=100.0, dtype=dtype) for i in range(1, n_arrays)]
        params = Params(layer(seed + 10, dtype))
        state, axes = State(optimizer.start(params)), {"layer": {"W": "D K", "b": "K"}}
        for i, name in enumerate(state):
            if name == "step":
                state[name] = steps
            elif steps:                 # as if it had stepped so often
                state[name] = layer(seed + 20 + i, dtype, squares=name == "square")
        return Case(title, (Differentiate(), params, state, Arrays(batch), optimizer, rate), options,
                    axes=("", axes, {name: "" if name == "step" else axes for name in state}))

    return [
        case("plain steps, and gradients far below the limit", 100, SGD(), 0.001, max_norm=1e6),
        case("gradients longer than max_norm, whose default is 1", 130, SGD(), 2.0),
        case("momentum, after some steps; a limit of 0.25", 160, SGD(0.75), 0.5, steps=3, max_norm=0.25),
        case("running means, after two steps", 190, Damped((0.8, 0.9), weight_decay=0.5), 0.25, steps=2, max_norm=2.0),
        case("a batch of three arrays", 220, SGD(0.5), 0.5, n_arrays=3, steps=1, max_norm=3.0),
        case("a batch of one array", 250, SGD(), 1.0, n_arrays=1, max_norm=0.5),
        case("dropout", 280, SGD(), 0.5, max_norm=0.75, rng=Seed(3)),
        case("float32, dropout", 310, Damped(), 0.5, steps=4, dtype=np.float32, max_norm=0.5, rng=Seed(4)),
    ]


def run_training_step(f, case):
    options = dict(case.options)
    if "rng" in options:
        options["rng"] = generator(options["rng"])
    return f(*case.args, **options)


TRAINING_STEP = Exercise(training_step, training_inputs, call=run_training_step)


def given_to_training(differentiate, params, state, batch, optimizer, rate, max_norm=1.0, rng=None):
    return SimpleNamespace(differentiate=differentiate, params=params, state=state, batch=batch, optimizer=optimizer,
                           rate=rate, max_norm=max_norm, rng=rng)


wrong_training = wrong_in(mistakes_in_steps(TRAINING_STEP, given_to_training, {
    "params": lambda g: g.params,
    "batch": lambda g: g.batch,
    "optimizer": lambda g: g.optimizer,
    "found": lambda g: g.differentiate(g.params, *g.batch, rng=g.rng),
    "loss": lambda g: g.found[0],
    "gradients": lambda g: g.found[1],
    "clipped": lambda g: clip_by_norm(g.gradients, g.max_norm),
    "made": lambda g: g.optimizer.step(g.params, g.clipped, g.state, g.rate),
    "new": lambda g: g.made[0],
    "new_state": lambda g: g.made[1],
    "result": lambda g: (g.loss, g.new, g.new_state)}))


def stepped_with(**other):
    """Steps in which the optimizer gets something else."""
    return {"made": lambda g: g.optimizer.step(*({"params": g.params, "gradients": g.clipped, "state": g.state,
                                                  "rate": g.rate} | {k: v(g) for k, v in other.items()}).values())}


def in_two(g):
    x, y = g.batch
    return x, y


def in_three(g):
    src, inputs, labels = g.batch
    return src, inputs, labels


def overwritten(old, new):
    old.update(new)
    return old


def by_hand(g):
    old, slopes = flat(g.params), flat(g.clipped)
    return nested({name: x - g.rate * slopes[name] for name, x in old.items()})


wrong_training("The gradients are not clipped, or what `clip_by_norm` returns is not kept. It makes new ones, for the "
               "optimizer: `gradients = clip_by_norm(gradients, max_norm)`.",
               not_clipped={"clipped": lambda g: g.gradients})
wrong_training("The limit is always 1. The caller says what it is: `clip_by_norm(gradients, max_norm)`.",
               limit_of_1={"clipped": lambda g: clip_by_norm(g.gradients, 1.0)})
wrong_training("`clip_by_norm` takes two things: the gradients and max_norm.",
               no_limit={"clipped": lambda g: clip_by_norm(g.gradients)})
wrong_training("`clip_by_norm` takes the gradients first, then max_norm.",
               limit_first={"clipped": lambda g: clip_by_norm(g.max_norm, g.gradients)})
wrong_training("You clip the parameters. The gradients are clipped, before the optimizer gets them.",
               params_clipped={"clipped": lambda g: g.gradients, "new": lambda g: clip_by_norm(g.made[0], g.max_norm)},
               params_clipped_as_well={"new": lambda g: clip_by_norm(g.made[0], g.max_norm)},
               old_params_clipped={"clipped": lambda g: g.gradients,
                                   "params": lambda g: clip_by_norm(g.params, g.max_norm)})
wrong_training("The limit is multiplied by the rate, or the rate is used where the limit belongs. max_norm is for "
               "`clip_by_norm`, the rate for the optimizer.",
               rate_as_limit={"clipped": lambda g: clip_by_norm(g.gradients, g.rate)},
               limit_times_rate={"clipped": lambda g: clip_by_norm(g.gradients, g.max_norm * g.rate)},
               exchanged={"clipped": lambda g: clip_by_norm(g.gradients, g.rate),
                          "made": lambda g: g.optimizer.step(g.params, g.clipped, g.state, g.max_norm)})
wrong_training("Each array is clipped by itself. `clip_by_norm` takes all gradients together, the nested dicts.",
               clipped_one_by_one={"clipped": lambda g: nested({
                   name: shortened(dx, length_of(dx), g.max_norm) for name, dx in flat(g.gradients).items()})})
wrong_training("You cut off single entries, `np.clip`. Call `clip_by_norm`: it shortens all together and keeps the "
               "direction.",
               entries_clipped={"clipped": lambda g: nested({
                   name: np.clip(dx, -g.max_norm, g.max_norm) for name, dx in flat(g.gradients).items()})})
wrong_training("You clip what the rate has been multiplied into. The gradients are clipped as they are; the optimizer "
               "takes the rate.",
               rate_before_clip={"clipped": lambda g: clip_by_norm(nested({
                   name: g.rate * dx for name, dx in flat(g.gradients).items()}), g.max_norm)})

wrong_training("`rng` is not handed on, and there is no dropout: `differentiate(params, *batch, rng=rng)`.",
               no_rng={"found": lambda g: g.differentiate(g.params, *g.batch)})
wrong_training("rng goes by its name, `rng=rng`: without it, it would be one more array of the batch.",
               rng_as_an_array={"found": lambda g: g.differentiate(g.params, *g.batch, g.rng)},
               rng_before_the_batch={"found": lambda g: g.differentiate(g.params, g.rng, *g.batch)})
wrong_training("You make a generator of your own. Hand on the one that the caller gives, which may be None: "
               "`rng=rng`.",
               **{f"rng_of_its_own_{seed}": {"found": lambda g, seed=seed: g.differentiate(
                   g.params, *g.batch, rng=np.random.default_rng(seed))} for seed in (0, 1, 42)})
wrong_training("The batch goes in as one tuple. Its arrays go in one after the other, by a star: "
               "`differentiate(params, *batch, rng=rng)`.",
               no_star={"found": lambda g: g.differentiate(g.params, g.batch, rng=g.rng)})
wrong_training("One star, not two: the arrays of a batch have no names. `differentiate(params, *batch, rng=rng)`.",
               two_stars={"found": lambda g: g.differentiate(g.params, **g.batch, rng=g.rng)})
wrong_training("Only the first array of the batch goes in. It takes all of them: `*batch`.",
               first_array={"found": lambda g: g.differentiate(g.params, g.batch[0], rng=g.rng)})
wrong_training("A batch has as many arrays as the loss takes: two, or three, or one. `*batch` hands on all of them.",
               two_arrays={"found": lambda g: g.differentiate(g.params, g.batch[0], g.batch[1], rng=g.rng)},
               first_two={"found": lambda g: g.differentiate(g.params, *g.batch[:2], rng=g.rng)},
               three_arrays={"found": lambda g: g.differentiate(g.params, g.batch[0], g.batch[1], g.batch[2],
                                                                rng=g.rng)},
               taken_apart_in_two={"batch": in_two}, taken_apart_in_three={"batch": in_three})
wrong_training("`differentiate` takes the parameters first, as one dict, then the batch: `differentiate(params, "
               "*batch, rng=rng)`.",
               no_params={"found": lambda g: g.differentiate(*g.batch, rng=g.rng)},
               params_last={"found": lambda g: g.differentiate(*g.batch, g.params, rng=g.rng)},
               params_unpacked={"found": lambda g: g.differentiate(*g.params, *g.batch, rng=g.rng)},
               params_by_name={"found": lambda g: g.differentiate(*g.batch, params=g.params, rng=g.rng)},
               params_with_stars={"found": lambda g: g.differentiate(**g.params, rng=g.rng)})
wrong_training("`differentiate` is what `value_and_grad` has made. Call it as it is: `differentiate(params, *batch, "
               "rng=rng)`.",
               differentiated_twice={"found": lambda g: value_and_grad(g.differentiate)(g.params, *g.batch,
                                                                                        rng=g.rng)})
wrong_training("`differentiate` returns two things, `loss, gradients`, in this order. Take them apart.",
               turned={"loss": lambda g: g.found[1], "gradients": lambda g: g.found[0]},
               not_taken_apart={"gradients": lambda g: g.found},
               not_taken_apart_nor_clipped={"gradients": lambda g: g.found, "clipped": lambda g: g.gradients},
               loss_clipped={"gradients": lambda g: g.found[0]},
               loss_without_gradients={"loss": lambda g: g.found})
for name, size in (("product", lambda dx: dx * dx), ("power", lambda dx: dx**2), ("square", np.square),
                   ("norm", np.linalg.norm), ("vdot", lambda dx: np.vdot(dx, dx)), ("ravel", lambda dx: dx.ravel())):
    wrong_training("`differentiate` returns two things, `loss, gradients`, in this order. Take them apart.",
                   **{f"not_taken_apart_{name}": {"clipped": lambda g, size=size: size(g.found)}})
wrong_training("You differentiate twice, for the loss and for the gradients. Dropout draws anew the second time, so "
               "the two do not belong together: call it once, `loss, gradients = ...`.",
               called_twice={"gradients": lambda g: g.differentiate(g.params, *g.batch, rng=g.rng)[1]})
wrong_training("The loss is that after the step. Asked for is the one before it, which `differentiate` has returned "
               "with the gradients.",
               loss_after={"result": lambda g: (g.differentiate(g.new, *g.batch, rng=g.rng)[0], g.new, g.new_state)},
               loss_after_without_dropout={"result": lambda g: (g.differentiate(g.new, *g.batch)[0], g.new,
                                                                g.new_state)})
wrong_training("The loss is divided by the size of the batch, or multiplied by it. It is a mean already: return it as "
               "it came.",
               loss_divided={"loss": lambda g: g.found[0] / len(g.batch[0])},
               loss_divided_by_arrays={"loss": lambda g: g.found[0] / len(g.batch)},
               loss_multiplied={"loss": lambda g: g.found[0] * len(g.batch[0])})
wrong_training("The gradients are divided by the size of the batch. The loss is a mean, and its gradients are right "
               "for it as they are.",
               gradients_divided={"gradients": lambda g: nested({
                   name: dx / len(g.batch[0]) for name, dx in flat(g.found[1]).items()})})

wrong_training("You go uphill. The optimizer subtracts: give it the gradients and the rate as they are.",
               rate_turned=stepped_with(rate=lambda g: -g.rate),
               gradients_turned=stepped_with(gradients=lambda g: nested({
                   name: -dx for name, dx in flat(g.clipped).items()})))
wrong_training("You step by hand. That is plain descent, whatever the optimizer is: call `optimizer.step(...)`, which "
               "knows momentum and means.",
               by_hand={"made": lambda g: (by_hand(g), g.state)},
               by_hand_without_flat={"new": lambda g: {name: x - g.rate * g.clipped[name]
                                                       for name, x in g.params.items()}},
               by_hand_after_the_optimizer={"new": by_hand})
wrong_training("The rate is multiplied into the gradients, and the optimizer multiplies it once more. Give it the "
               "gradients as `clip_by_norm` returned them.",
               rate_twice=stepped_with(gradients=lambda g: nested({
                   name: g.rate * dx for name, dx in flat(g.clipped).items()})))
wrong_training("The optimizer gets a rate of your own. The caller says how large it is: `rate`.",
               **{f"rate_{i}": stepped_with(rate=lambda g, rate=rate: rate)
                  for i, rate in enumerate((1.0, 0.1, 0.01, 0.001))})
wrong_training("`rate` is a number, that of this step. Hand it on as it is, and do not call it.",
               rate_called=stepped_with(rate=lambda g: g.rate()),
               rate_called_with_step=stepped_with(rate=lambda g: g.rate(1)))
wrong_training("`optimizer.step(params, gradients, state, rate)` takes these four, in this order.",
               no_rate={"made": lambda g: g.optimizer.step(g.params, g.clipped, g.state)},
               no_state={"made": lambda g: g.optimizer.step(g.params, g.clipped, g.rate)},
               gradients_alone={"made": lambda g: g.optimizer.step(g.clipped)},
               params_and_gradients={"made": lambda g: g.optimizer.step(g.params, g.clipped)},
               gradients_first={"made": lambda g: g.optimizer.step(g.clipped, g.params, g.state, g.rate)},
               state_second={"made": lambda g: g.optimizer.step(g.params, g.state, g.clipped, g.rate)},
               state_first={"made": lambda g: g.optimizer.step(g.state, g.params, g.clipped, g.rate)},
               rate_third={"made": lambda g: g.optimizer.step(g.params, g.clipped, g.rate, g.state)},
               rate_first={"made": lambda g: g.optimizer.step(g.rate, g.params, g.clipped, g.state)},
               gradients_without_params={"made": lambda g: g.optimizer.step(g.clipped, g.state, g.rate)},
               limit_as_well={"made": lambda g: g.optimizer.step(g.params, g.clipped, g.state, g.rate, g.max_norm)},
               learning_rate={"made": lambda g: g.optimizer.step(g.params, g.clipped, g.state, lr=g.rate)})
wrong_training("The optimizer's step is called `optimizer.step(...)`.",
               optimizer_called={"made": lambda g: g.optimizer(g.params, g.clipped, g.state, g.rate)},
               update={"made": lambda g: g.optimizer.update(g.params, g.clipped, g.state, g.rate)},
               apply={"made": lambda g: g.optimizer.apply(g.params, g.clipped, g.state, g.rate)})
wrong_training("Gradients are not kept in the parameters here, and there is nothing to set to zero. `differentiate` "
               "returns new ones every time.",
               zero_grad={"found": lambda g: g.optimizer.zero_grad()},
               backward={"loss": lambda g: g.found[0].backward()})
wrong_training("The optimizer begins anew in every step, and forgets what it has gathered. Hand it the `state` that "
               "you were given.",
               new_start=stepped_with(state=lambda g: g.optimizer.start(g.params)))
wrong_training("You take a new optimizer. The caller has one, with options of its own: `optimizer.step(...)`.",
               adamw_of_its_own={"optimizer": lambda g: AdamW()}, sgd_of_its_own={"optimizer": lambda g: SGD()},
               momentum_of_its_own={"optimizer": lambda g: SGD(0.9)},
               its_own_of_the_same_kind={"optimizer": lambda g: type(g.optimizer)()})
wrong_training("You take two steps. One is asked for: the caller has the loop.",
               two_steps={"result": lambda g: (g.loss, *g.optimizer.step(g.new, g.clipped, g.new_state, g.rate))},
               two_whole_steps={"result": lambda g: (g.loss, *training_step(
                   g.differentiate, g.new, g.new_state, g.batch, g.optimizer, g.rate, g.max_norm, g.rng)[1:])})

OLD = "The old {} back. `optimizer.step` changes nothing but returns new ones: `params, state = optimizer.step(...)`."
wrong_training(OLD.format("params come"), old_params={"result": lambda g: (g.loss, g.params, g.new_state)})
wrong_training(OLD.format("state comes"), old_state={"result": lambda g: (g.loss, g.new, g.state)})
wrong_training(OLD.format("params and the old state come"),
               both_old={"result": lambda g: (g.loss, g.params, g.state)})
wrong_training("`optimizer.step` returns two things, `params, state`, in this order. Take them apart.",
               step_not_taken_apart={"result": lambda g: (g.loss, g.made, g.state)},
               step_in_both={"result": lambda g: (g.loss, g.made, g.made)},
               step_in_params={"result": lambda g: (g.loss, g.made, g.new_state)},
               step_in_state={"result": lambda g: (g.loss, g.params, g.made)},
               pair_in_a_pair={"result": lambda g: (g.loss, g.made)},
               taken_apart_turned={"result": lambda g: (g.loss, g.new_state, g.new)})
wrong_training("Three things are asked for, in this order: `return loss, params, state`.",
               loss_last={"result": lambda g: (g.new, g.new_state, g.loss)},
               state_before_loss={"result": lambda g: (g.new, g.loss, g.new_state)},
               loss_alone={"result": lambda g: g.loss}, without_loss={"result": lambda g: (g.new, g.new_state)},
               params_alone={"result": lambda g: g.new}, without_state={"result": lambda g: (g.loss, g.new)},
               nothing={"result": lambda g: None},
               gradients_as_well={"result": lambda g: (g.loss, g.gradients, g.new, g.new_state)},
               gradients_for_params={"result": lambda g: (g.loss, g.clipped, g.new_state)},
               unclipped_for_params={"result": lambda g: (g.loss, g.gradients, g.new_state)},
               as_a_dict={"result": lambda g: {"loss": g.loss, "params": g.new, "state": g.new_state}})
wrong_training("The loss is turned into a whole number or rounded. Return it as it came.",
               whole={"loss": lambda g: int(g.found[0])}, rounded={"loss": lambda g: round(float(g.found[0]), 2)},
               **{f"rounded_to_{n}": {"loss": lambda g, n=n: round(float(g.found[0]), n)} for n in (0, 1, 3, 4)})
wrong_training("You write into the dicts of the caller, `params.update(...)` or `params[name] = ...`. Give new names, "
               "and return what the optimizer made.",
               params_updated={"result": lambda g: (g.loss, overwritten(g.params, g.new), g.new_state)},
               state_updated={"result": lambda g: (g.loss, g.new, overwritten(g.state, g.new_state))},
               both_updated={"result": lambda g: (g.loss, overwritten(g.params, g.new),
                                                  overwritten(g.state, g.new_state))},
               both_updated_alone={"result": lambda g: (g.loss, g.params.update(g.new), g.state.update(
                   g.new_state))[0]})


@TRAINING_STEP.alternative
def in_two_lines(differentiate, params, state, batch, optimizer, rate, max_norm=1.0, rng=None):
    loss, gradients = differentiate(params, *batch, rng=rng)
    return loss, *optimizer.step(params, clip_by_norm(gradients, max_norm), state, rate)


@TRAINING_STEP.alternative
def by_name_and_place(differentiate, params, state, batch, optimizer, rate, max_norm=1.0, rng=None):
    found = differentiate(params, *list(batch), **{"rng": rng})
    shorter = clip_by_norm(max_norm=max_norm, gradients=found[1])
    made = optimizer.step(rate=rate, state=state, gradients=shorter, params=params)
    return [float(found[0]), made[0], made[1]]


@TRAINING_STEP.alternative
def clipped_by_hand(differentiate, params, state, batch, optimizer, rate, max_norm=1.0, rng=None):
    loss, gradients = differentiate(params, *batch, rng=rng)
    arrays = flat(gradients)
    norm = math.sqrt(sum(float((dx * dx).sum()) for dx in arrays.values()))
    if norm > max_norm:
        gradients = nested({name: dx * (max_norm / norm) for name, dx in arrays.items()})
    new_params, new_state = optimizer.step(params, gradients, state, rate)
    return np.asarray(loss), new_params, new_state


@TRAINING_STEP.alternative
def with_copies(differentiate, params, state, batch, optimizer, rate, max_norm=1.0, rng=None):
    params, state = copy.deepcopy(params), copy.deepcopy(state)
    value, slopes = differentiate(params, *[np.copy(x) for x in batch], rng=rng)
    params, state = optimizer.step(params, clip_by_norm(slopes, max_norm), state, rate)
    return value, params, state
