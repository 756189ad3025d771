"""The exercises of chapter 14, miniGPT."""
import math
from types import SimpleNamespace

import numpy as np

from ...attention import causal_mask
from ...block import feed_forward, layer_norm, relu, transformer_block
from ...gpt import next_token_pair
from ...minigpt import CharTokenizer, ablate, bits_per_byte, estimate_loss, get_batch
from ...multi_head import multi_head_attention
from ...training import cross_entropy
from ..exercise import Case, Difference, Exercise, compare
from .chapter_05 import Seed, generator, normal, parameters
from .chapter_08 import mistakes_in_steps
from .chapter_10 import wrong_in

# ---- get_batch ----------------------------------------------------------------------------------------------------

def batch_inputs():
    def text(n, seed):
        """Ids of which no two are the same, so that every window can be told from the others."""
        return 100 + np.random.default_rng(seed).permutation(n)

    axes = ("B T", "B T")
    return [
        Case("the example of the text, two windows", (np.arange(5, 12), 2, 3, Seed(3)), axes=axes),
        Case("a text of N=10, so many windows that each place is drawn", (text(10, 1), 60, 4, Seed(1)), axes=axes),
        Case("room for a single place", (text(6, 2), 3, 5, Seed(2)), axes=axes),
        Case("windows of one token, ids that repeat", (np.array([7, 7, 8, 7, 9, 9]), 4, 1, Seed(4)), axes=axes),
        Case("as many rows as tokens in a row", (text(30, 3), 4, 4, Seed(5)), axes=axes),
        Case("a longer text, a view of every other id", (text(400, 4)[::2], 5, 8, Seed(6)), axes=axes),
    ]


def run_get_batch(f, case):
    *args, seed = case.args
    return f(*args, generator(seed))


def judge_batch(case, output):
    """As the reference draws; where it is other windows of the text, say so."""
    expected = run_get_batch(get_batch, case)
    found = compare(expected, output, case.axes)
    ids, n_rows, length, _ = case.args
    if not isinstance(output, (tuple, list)) or len(output) != 2:
        return found
    if found is None or compare([x.shape for x in expected], [np.shape(x) for x in output]) is not None:
        return found
    windows = {(*ids[i:i + length], *ids[i + 1:i + length + 1]) for i in range(len(ids) - length)}
    if all((*x, *y) in windows for x, y in zip(*(np.asarray(part).tolist() for part in output), strict=True)):
        return Difference("these are windows of the text with their labels, but other windows than `rng` draws",
                          advice="Draw all beginnings in one call, `rng.integers(..., size=n_rows)`, from all places "
                          "that leave room for the labels, and with no other generator.")
    return found


GET_BATCH = Exercise(get_batch, batch_inputs, call=run_get_batch, judge=judge_batch)


def given_to_batch(ids, n_rows, length, rng):
    return SimpleNamespace(ids=ids, n_rows=n_rows, length=length, rng=rng)


wrong_batch = wrong_in(mistakes_in_steps(GET_BATCH, given_to_batch, {
    "n": lambda g: len(g.ids) - g.length,
    "begin": lambda g: g.rng.integers(g.n, size=g.n_rows),
    "steps": lambda g: np.arange(g.length),
    "places": lambda g: g.begin[:, None] + g.steps,
    "inputs": lambda g: g.ids[g.places],
    "labels": lambda g: g.ids[g.places + 1],
    "result": lambda g: (g.inputs, g.labels)}))

LAST_PLACE = ("With N ids and windows of T, the last one begins at N - T - 1, since its labels reach one id further: "
              "there are N - T places.")
wrong_batch("Windows that begin near the end run out of the text. " + LAST_PLACE,
            up_to_the_end={"n": lambda g: len(g.ids)},
            up_to_the_last_id={"n": lambda g: len(g.ids) - 1},
            slices_to_the_end={"n": lambda g: len(g.ids),
                               "inputs": lambda g: np.stack([g.ids[i:i + g.length] for i in g.begin])},
            slices_to_the_last_id={"n": lambda g: len(g.ids) - 1,
                                   "inputs": lambda g: np.stack([g.ids[i:i + g.length] for i in g.begin]),
                                   "labels": lambda g: np.stack([g.ids[i + 1:i + g.length + 1] for i in g.begin])})
wrong_batch("The last of your places is one too far: its inputs have room, its last label has not. " + LAST_PLACE,
            one_too_far={"n": lambda g: len(g.ids) - g.length + 1},
            slices_one_too_far={"n": lambda g: len(g.ids) - g.length + 1,
                                "inputs": lambda g: np.stack([g.ids[i:i + g.length] for i in g.begin]),
                                "labels": lambda g: np.stack([g.ids[i + 1:i + g.length + 1] for i in g.begin])})
wrong_batch("The last place is never drawn: `integers` leaves out the upper limit already, and you subtract one more. "
            + LAST_PLACE,
            last_never={"n": lambda g: len(g.ids) - g.length - 1})
wrong_batch("The first place, 0, is never drawn. `rng.integers(n, size=...)` begins at 0 by itself.",
            first_never={"begin": lambda g: g.rng.integers(1, g.n, g.n_rows)})
wrong_batch("Windows begin at multiples of the length only. Here they may begin anywhere: that is what is new compared "
            "with `next_token_pair`.",
            multiples={"begin": lambda g: g.rng.integers(max(1, g.n // g.length), size=g.n_rows) * g.length},
            rows_of_the_text={"begin": lambda g: g.length * g.rng.integers((len(g.ids) - 1) // g.length,
                                                                           size=g.n_rows)},
            rows_of_the_text_to_the_end={"begin": lambda g: np.minimum(
                g.rng.integers(len(g.ids) // g.length, size=g.n_rows) * g.length, g.n - 1)})
wrong_batch("Nothing is drawn: these are the first windows of the text, always the same. Where each begins comes from "
            "`rng.integers`.",
            in_order={"begin": lambda g: np.arange(g.n_rows) * g.length % g.n},
            one_by_one={"begin": lambda g: np.arange(g.n_rows) % g.n},
            cut_in_order={"result": lambda g: tuple(x[:g.n_rows] for x in next_token_pair(g.ids, g.length))})
wrong_batch("All rows are the same window. Draw a beginning for each of them: `size=n_rows`.",
            one_beginning={"begin": lambda g: np.full(g.n_rows, g.rng.integers(g.n))})
wrong_batch("You draw one beginning, and one row comes back. A batch has n_rows of them: `size=n_rows`.",
            one_row={"begin": lambda g: g.rng.integers(g.n), "places": lambda g: g.begin + g.steps},
            one_row_in_a_batch={"begin": lambda g: g.rng.integers(g.n, size=1)})
wrong_batch("Every token is drawn by itself, and what stands side by side did not stand so in the text. Draw where a "
            "window begins; the rest of it follows.",
            tokens_drawn={"places": lambda g: g.rng.integers(g.n, size=(g.n_rows, g.length))})
wrong_batch("No place is drawn twice. Each window is drawn by itself, whatever the others are; and a short text has "
            "fewer places than a batch has rows.",
            without_replacement={"begin": lambda g: g.rng.choice(g.n, g.n_rows, replace=False)},
            permuted={"begin": lambda g: g.rng.permutation(g.n)[:g.n_rows]})
wrong_batch("The beginnings are sorted. Leave them as they are drawn.",
            in_ascending_order={"begin": lambda g: np.sort(g.rng.integers(g.n, size=g.n_rows))})
wrong_batch("`rng.integers(n, n_rows)` draws one number between n and n_rows: its second argument is the upper limit. "
            "How "
            "many has a name, `size=n_rows`.",
            size_for_limit={"begin": lambda g: g.rng.integers(g.n, g.n_rows)},
            size_for_limit_in_an_array={"begin": lambda g: np.atleast_1d(g.rng.integers(g.n, g.n_rows))})
wrong_batch("You make a generator of your own. Each batch would be the same one. Draw with the `rng` that is given.",
            **{f"own_generator_{seed}": {"rng": lambda g, seed=seed: np.random.default_rng(seed)}
               for seed in (0, 1, 42, 1337)})
wrong_batch("A generator has no `randint`. Its method is called `integers`.",
            randint={"begin": lambda g: g.rng.randint(g.n, size=g.n_rows)},
            randint_from_0={"begin": lambda g: g.rng.randint(0, g.n, g.n_rows)})
wrong_batch("`rng` is the generator itself, not a function. Call its method: `rng.integers(...)`.",
            generator_called={"begin": lambda g: g.rng(g.n, size=g.n_rows)})
wrong_batch("You round numbers between 0 and 1. That draws places just as well, but other ones than `rng.integers` "
            "does, "
            "which the exercise asks for.",
            of_fractions={"begin": lambda g: (g.rng.random(g.n_rows) * g.n).astype(int)})
wrong_batch("n_rows beginnings and `length` steps do not line up. Make the beginnings a column, `begin[:, None]`, and "
            "each of them meets each step.",
            no_column={"places": lambda g: g.begin + g.steps},
            slice_of_arrays={"result": lambda g: g.ids[g.begin:g.begin + g.length]})
wrong_batch("Rows and columns are exchanged: (length, n_rows). A row is one window.",
            turned={"places": lambda g: g.begin + g.steps[:, None]},
            turned_at_the_end={"result": lambda g: (g.inputs.T, g.labels.T)})

wrong_batch("The labels are the inputs. They are the ids one place further on: what comes *next*.",
            no_shift={"labels": lambda g: g.inputs})
wrong_batch("The labels are the ids one place *before* the inputs. What comes next is one place further on.",
            shifted_back={"labels": lambda g: g.ids[g.places - 1]})
wrong_batch("The labels are two places further on. It is one.", shifted_by_two={
            "labels": lambda g: g.ids[np.minimum(g.places + 2, len(g.ids) - 1)]},
            shifted_by_two_to_the_end={"labels": lambda g: g.ids[g.places + 2]})
wrong_batch("The last label of each row is its own first token: `np.roll` brings it round. It is the id that comes "
            "next in "
            "the text.", rolled={"labels": lambda g: np.roll(g.inputs, -1, axis=1)})
wrong_batch("1 is added to the ids. The labels stand one *place* further on: `ids[places + 1]`.",
            ids_plus_one={"labels": lambda g: g.inputs + 1})
wrong_batch("The labels are a whole window further on. They are the ids one place further on.",
            next_window={"labels": lambda g: g.ids[g.places + g.length]},
            next_window_by_slices={"labels": lambda g: np.array([g.ids[i + g.length:i + 2 * g.length]
                                                                 for i in g.begin])})
wrong_batch("There is a single label for each row, what comes after its end. Every position has one: the same window, "
            "one "
            "place further on.",
            last_label={"labels": lambda g: g.ids[g.begin + g.length]},
            last_label_in_a_column={"labels": lambda g: g.ids[g.begin + g.length][:, None]})
wrong_batch("The rows are one token short: a window of `length` was cut into inputs and labels. It takes `length + 1` "
            "ids to "
            "have both.",
            one_short={"inputs": lambda g: g.ids[g.places[:, :-1]], "labels": lambda g: g.ids[g.places[:, 1:]]})
wrong_batch("The rows are one token too long. `np.arange(length)` has `length` steps.",
            one_long={"steps": lambda g: np.arange(min(g.length + 1, len(g.ids) - 1)),
                      "begin": lambda g: np.minimum(g.rng.integers(g.n, size=g.n_rows), max(g.n - 2, 0))},
            one_long_to_the_end={"steps": lambda g: np.arange(g.length + 1)},
            inputs_one_long={"inputs": lambda g: g.ids[g.begin[:, None] + np.arange(g.length + 1)]})
wrong_batch("Each window begins one place too late: places in the text, and steps in a window, count from 0.",
            steps_from_1={"steps": lambda g: np.arange(1, g.length + 1)},
            places_from_1={"begin": lambda g: g.rng.integers(1, g.n + 1, g.n_rows)})
wrong_batch("These are places in the text. The ids that stand there are asked for: `ids[places]`.",
            places_for_ids={"result": lambda g: (g.places, g.places + 1)})
wrong_batch("Labels first, then inputs. It is the other way round.",
            exchanged={"result": lambda g: (g.labels, g.inputs)})
wrong_batch("Nothing comes back. Print nothing, return both: `return inputs, labels`.",
            nothing={"result": lambda g: None})
wrong_batch("Inputs and labels come back in one array. They are asked for as two: `return inputs, labels`.",
            in_one_array={"result": lambda g: np.stack([g.inputs, g.labels])},
            row_by_row_in_one_array={"result": lambda g: np.stack([g.inputs, g.labels], axis=1)})
wrong_batch("Two arrays are asked for: `return inputs, labels`.",
            inputs_alone={"result": lambda g: g.inputs}, labels_alone={"result": lambda g: g.labels},
            with_beginnings={"result": lambda g: (g.inputs, g.labels, g.begin)},
            pairs={"result": lambda g: list(zip(g.inputs, g.labels, strict=True))})
wrong_batch("The rows are put one behind the other. Keep them apart: (n_rows, length).",
            one_long_row={"result": lambda g: (g.inputs.ravel(), g.labels.ravel())})
wrong_batch("Lists of arrays come back. `np.stack` makes one array of each.",
            lists={"result": lambda g: (list(g.inputs), list(g.labels))})


@GET_BATCH.alternative
def by_slices(ids, n_rows, length, rng):
    begin = rng.integers(0, len(ids) - length, n_rows)
    return (np.stack([ids[i:i + length] for i in begin]), np.stack([ids[i + 1:i + 1 + length] for i in begin]))


@GET_BATCH.alternative
def longer_windows(ids, n_rows, length, rng):
    places = rng.integers(len(ids) - length, size=(n_rows, 1)) + np.arange(length + 1)
    windows = ids[places]
    return windows[:, :-1], windows[:, 1:]


@GET_BATCH.alternative
def from_all_windows(ids, n_rows, length, rng):
    windows = np.lib.stride_tricks.sliding_window_view(ids, length + 1)
    drawn = windows[rng.integers(len(windows), size=n_rows)]
    return [drawn[:, :length].copy(), drawn[:, 1:].copy()]


@GET_BATCH.alternative
def row_by_row(ids, n_rows, length, rng):
    inputs, labels = np.empty((n_rows, length), ids.dtype), np.empty((n_rows, length), ids.dtype)
    for row, i in enumerate(rng.integers(0, len(ids) - length - 1, size=n_rows, endpoint=True)):
        inputs[row], labels[row] = ids[i:i + length], ids[i + 1:i + length + 1]
    return inputs, labels


@GET_BATCH.alternative
def by_choice_and_take(ids, n_rows, length, rng):
    begin = rng.choice(len(ids) - length, size=n_rows)
    places = np.add.outer(begin, np.arange(length))
    return np.take(ids, places), np.take(ids, places + 1)


# ---- estimate_loss ------------------------------------------------------------------------------------------------

OTHER_TEXT = "the inputs are not of `ids`: the table of scores has no such rows"


class BigramLoss:
    """The loss of a table of scores; with an rng, as while training, many of its scores are gone."""

    def __init__(self, kind=float):
        self.kind = kind

    def __call__(self, params, inputs, labels, rng=None):
        if np.max(inputs, initial=0) >= len(params["table"]):
            raise ValueError(OTHER_TEXT)
        logits = params["table"][inputs]
        if rng is not None:
            logits = logits * (rng.random(logits.shape) < 0.5)
        return self.kind(cross_entropy(logits, labels))

    def __repr__(self):
        return "loss"


class Table(dict):
    """Parameters that a card names and does not print."""

    def __repr__(self):
        return "params"


def estimate_inputs():
    def case(title, n, of, n_rows, length, kind=float, **options):
        ids = np.random.default_rng(of).integers(0, 6, n)
        return Case(title, (BigramLoss(kind), Table(table=normal(6, 6, seed=of, scale=2.0)), ids, n_rows, length),
                    options)

    return [
        case("three batches of B=2, T=5", 40, 1, 2, 5, n_batches=3),
        case("a single batch", 40, 2, 3, 4, n_batches=1, seed=7),
        case("neither n_batches nor seed given", 60, 3, 2, 3),
        case("four batches, another seed", 60, 4, 3, 5, n_batches=4, seed=11),
        case("a loss in float32", 50, 5, 5, 2, np.float32, n_batches=5, seed=3),
    ]


AGAIN = "another number in every call"


def run_estimate(f, case):
    """What f returns; of a NumPy number its type too; a text, if two calls with the same arguments do not agree."""
    first, second = (f(*case.args, **case.options) for _ in range(2))
    if isinstance(first, (float, np.floating)) and isinstance(second, (float, np.floating)) and first != second:
        return AGAIN
    return (float(first), f"NumPy {first.dtype}") if isinstance(first, np.generic) else first


def judge_estimate(case, output):
    if isinstance(output, str) and output == AGAIN:
        return Difference("two calls with the same arguments gave two different numbers",
                          advice="All that is drawn comes from `np.random.default_rng(seed)`, made anew in each call.")
    kind = ""
    if isinstance(output, tuple) and output and isinstance(output[-1], str):
        output, kind = output
    elif isinstance(output, np.ndarray) and output.ndim == 0:
        kind = f"NumPy array of {output.dtype}"
    found = ESTIMATE_LOSS.compare_with_reference(case, output)
    if found and case.args[0].kind is np.float32 and isinstance(output, float):
        expected = run_estimate(estimate_loss, case)        # who adds in float32 is right to about seven digits
        found = None if abs(output - expected) < 1e-6 * abs(expected) else found
    if found is None and kind:
        return Difference(f"the number is right, but expected a Python float, got a {kind}",
                          advice="`float(...)` makes a Python number.")
    return found


ESTIMATE_LOSS = Exercise(estimate_loss, estimate_inputs, call=run_estimate, judge=judge_estimate)


def given_to_estimate(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    return SimpleNamespace(loss=loss, params=params, ids=ids, n_rows=n_rows, length=length, n_batches=n_batches,
                           seed=seed)


wrong_estimate = wrong_in(mistakes_in_steps(ESTIMATE_LOSS, given_to_estimate, {
    "ids": lambda g: g.ids,
    "n": lambda g: g.n_batches,
    "rng": lambda g: np.random.default_rng(g.seed),
    "draw": lambda g: lambda: get_batch(g.ids, g.n_rows, g.length, g.rng),
    "ask": lambda g: lambda batch: float(g.loss(g.params, *batch)),
    "losses": lambda g: [g.ask(g.draw()) for _ in range(g.n)],
    "mean": lambda g: sum(g.losses) / len(g.losses),
    "result": lambda g: float(g.mean)}))

DROPPED = ("The loss gets a generator, and drops out as if it were training. Leave the rng away: `loss(params, inputs, "
           "labels)`.")
wrong_estimate(DROPPED,
               rng_for_the_loss={"ask": lambda g: lambda batch: float(g.loss(g.params, *batch, g.rng))},
               new_rng_for_the_loss={"ask": lambda g: lambda batch: float(g.loss(
                   g.params, *batch, rng=np.random.default_rng(g.seed)))},
               all_drawn_first={"losses": lambda g: [float(g.loss(g.params, *batch, g.rng))
                                                     for batch in [g.draw() for _ in range(g.n)]]})
wrong_estimate("Only the first batch counts. Either it is drawn before the loop, or each is drawn by a new generator, "
               "and all are the same; or `return` is in the loop. Make the generator before the loop, draw in it, "
               "return after it.",
               first_alone={"mean": lambda g: g.losses[0]},
               share_of_the_first={"mean": lambda g: g.losses[0] / g.n},
               generator_in_the_loop={"draw": lambda g: lambda: get_batch(
                   g.ids, g.n_rows, g.length, np.random.default_rng(g.seed))},
               one_batch_again={"losses": lambda g: g.n * [g.ask(g.draw())]})
wrong_estimate("Each batch has a seed of its own, seed + i. One generator, made from the seed, draws them all.",
               seed_by_batch={"losses": lambda g: [g.ask(get_batch(
                   g.ids, g.n_rows, g.length, np.random.default_rng(g.seed + i))) for i in range(g.n)]})
wrong_estimate("`np.random.default_rng()` without the seed draws other windows in every call. Two models would be "
               "asked "
               "different questions: `np.random.default_rng(seed)`.",
               no_seed={"rng": lambda g: np.random.default_rng()})
wrong_estimate("The seed is not used. The caller says which windows to ask about: `np.random.default_rng(seed)`.",
               **{f"seed_of_{seed}": {"rng": lambda g, seed=seed: np.random.default_rng(seed)}
                  for seed in (0, 1, 42, 1337)})
wrong_estimate("The windows are of another text than the one that the function is given, of `training_ids` perhaps. "
               "Its name in the function is `ids`.",
               another_text={"ids": lambda g: 100 + np.arange(60)})
wrong_estimate("`get_batch` draws with a generator, and you hand it the seed. Make one of it first: "
               "`np.random.default_rng(seed)`.",
               seed_for_rng={"rng": lambda g: g.seed})
wrong_estimate("Only the last batch counts: each loss takes the place of the one before. Keep them in a list, or add "
               "them up.",
               last_alone={"mean": lambda g: g.losses[-1]})
wrong_estimate("This is the sum. For the mean, divide by the number of batches.",
               summed={"mean": lambda g: sum(g.losses)})
wrong_estimate("You divide by more than the number of batches. The loss of a batch is a mean already: over its rows "
               "and "
               "its tokens there is nothing left to divide.",
               by_rows={"mean": lambda g: sum(g.losses) / g.n_rows},
               by_rows_too={"mean": lambda g: sum(g.losses) / (g.n * g.n_rows)},
               by_tokens={"mean": lambda g: sum(g.losses) / (g.n_rows * g.length)},
               by_tokens_too={"mean": lambda g: sum(g.losses) / (g.n * g.n_rows * g.length)},
               by_length={"mean": lambda g: sum(g.losses) / g.length},
               by_ids={"mean": lambda g: sum(g.losses) / len(g.ids)})
wrong_estimate("This is the median. The mean is asked for, which every batch moves.",
               median={"mean": lambda g: np.median(g.losses)})
wrong_estimate("The best or the worst batch is no estimate of all: take the mean.",
               lowest={"mean": lambda g: min(g.losses)}, highest={"mean": lambda g: max(g.losses)})
wrong_estimate("This is the perplexity. The loss itself is asked for, in nats.",
               perplexity={"mean": lambda g: math.exp(sum(g.losses) / g.n)},
               mean_perplexity={"mean": lambda g: np.mean(np.exp(g.losses))})
wrong_estimate("One batch too many is drawn. `range(n_batches)` has n_batches of them.",
               one_too_many={"n": lambda g: g.n_batches + 1})
wrong_estimate("One batch is missing. `range(n_batches)` has n_batches of them, from 0 on.",
               one_too_few={"n": lambda g: g.n_batches - 1},
               from_1={"n": lambda g: g.n_batches - 1, "mean": lambda g: sum(g.losses) / g.n_batches})
wrong_estimate("The number of batches is yours, not the caller's. It is `n_batches`.",
               ten={"n": lambda g: 10}, twenty={"n": lambda g: 20})
wrong_estimate("All windows of the text in their order are one way to do it. Asked for are n_batches batches of "
               "`get_batch`, which cost the same however long the text is.",
               in_order={"losses": lambda g: [g.ask(next_token_pair(g.ids, g.length))]},
               in_portions={"losses": lambda g: [g.ask([x[i:i + g.n_rows] for x in next_token_pair(g.ids, g.length)])
                                                 for i in range(0, g.n * g.n_rows, g.n_rows)
                                                 if i < (len(g.ids) - 1) // g.length]})
wrong_estimate("n_rows and length have changed places. It is `get_batch(ids, n_rows, length, rng)`.",
               sizes_exchanged={"draw": lambda g: lambda: get_batch(g.ids, g.length, g.n_rows, g.rng)})
wrong_estimate("Each batch has one row. It has n_rows.",
               one_row={"draw": lambda g: lambda: get_batch(g.ids, 1, g.length, g.rng)})
wrong_estimate("n_batches is no size of a batch: a batch has n_rows rows, and there are n_batches of them.",
               batches_for_rows={"draw": lambda g: lambda: get_batch(g.ids, g.n_batches, g.length, g.rng)})
wrong_estimate("Inputs and labels have changed places on the way to the loss.",
               exchanged={"ask": lambda g: lambda batch: float(g.loss(g.params, batch[1], batch[0]))})
wrong_estimate("The inputs are given as labels too. The labels are the second that `get_batch` returns.",
               inputs_twice={"ask": lambda g: lambda batch: float(g.loss(g.params, batch[0], batch[0]))})
wrong_estimate("The loss takes three things one by one, the parameters first: `loss(params, inputs, labels)`. A batch "
               "is a pair: `inputs, labels = get_batch(...)`, or `*batch`.",
               batch_in_one={"ask": lambda g: lambda batch: float(g.loss(g.params, batch))},
               no_params={"ask": lambda g: lambda batch: float(g.loss(*batch))},
               params_last={"ask": lambda g: lambda batch: float(g.loss(*batch, g.params))})
wrong_estimate("`np.mean` and NumPy's own numbers are np.float64 or np.float32. A Python float is asked for: "
               "`float(...)`.",
               of_numpy={"result": lambda g: np.mean(g.losses)},
               in_float32={"result": lambda g: np.float32(g.mean)},
               numpy_number={"result": lambda g: np.float64(g.mean)},
               sum_of_numpy={"result": lambda g: sum(g.loss(g.params, *batch) for batch in [
                   get_batch(g.ids, g.n_rows, g.length, rng) for rng in [np.random.default_rng(g.seed)]
                   for _ in range(g.n)]) / g.n})
wrong_estimate("One number is asked for, the mean. How much the batches differ is another question.",
               all_of_them={"result": lambda g: g.losses}, as_an_array={"result": lambda g: np.array(g.losses)},
               with_spread={"result": lambda g: (float(g.mean), float(np.std(g.losses)))})
wrong_estimate("Nothing comes back. Print nothing, return the mean.", nothing={"result": lambda g: None})
wrong_estimate("The mean is rounded. Return it as it is.",
               **{f"rounded_to_{n}": {"result": lambda g, n=n: round(g.mean, n)} for n in (2, 3, 4)})
wrong_estimate("You call the loss without having drawn anything: on all of the text as one row, and the text as its "
               "own "
               "label. It takes the two arrays of a batch.",
               text_itself={"losses": lambda g: [float(g.loss(g.params, g.ids, g.ids))]},
               text_shifted={"losses": lambda g: [float(g.loss(g.params, g.ids[:-1], g.ids[1:]))]})


@ESTIMATE_LOSS.alternative
def in_one_line(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    rng = np.random.default_rng(seed)
    return float(np.mean([loss(params, *get_batch(ids, n_rows, length, rng)) for _ in range(n_batches)],
                         dtype=np.float64))


@ESTIMATE_LOSS.alternative
def added_up(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    rng, total = np.random.default_rng(seed), 0.0
    for _ in range(n_batches):
        inputs, labels = get_batch(ids, n_rows, length, rng)
        total += float(loss(params, inputs, labels, rng=None)) / n_batches
    return total


@ESTIMATE_LOSS.alternative
def drawn_first(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    rng = np.random.default_rng(seed)
    batches = [get_batch(ids, n_rows, length, rng) for _ in range(n_batches)]
    return math.fsum(float(loss(params, x, y)) for x, y in batches) / len(batches)


@ESTIMATE_LOSS.alternative
def in_one_large_batch(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    inputs, labels = get_batch(ids, n_rows * n_batches, length, np.random.default_rng(seed))
    parts = zip(np.split(inputs, n_batches), np.split(labels, n_batches), strict=True)
    return np.mean([float(loss(params, *part)) for part in parts]).item()


@ESTIMATE_LOSS.alternative
def all_rows_at_once(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    inputs, labels = get_batch(ids, n_rows * n_batches, length, np.random.default_rng(seed))
    return float(loss(params, inputs, labels))


@ESTIMATE_LOSS.alternative
def mean_of_what_the_loss_returns(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    rng = np.random.default_rng(seed)
    return float(np.mean([loss(params, *get_batch(ids, n_rows, length, rng)) for _ in range(n_batches)]))


@ESTIMATE_LOSS.alternative
def sum_of_what_the_loss_returns(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    rng = np.random.default_rng(seed)
    return float(sum(loss(params, *get_batch(ids, n_rows, length, rng)) for _ in range(n_batches))) / n_batches


@ESTIMATE_LOSS.alternative
def added_up_in_a_loop(loss, params, ids, n_rows, length, n_batches=10, seed=0):
    total, rng = 0.0, np.random.default_rng(seed)
    for _ in range(n_batches):
        total += loss(params, *get_batch(ids, n_rows, length, rng))
    return float(total / n_batches)


# ---- ablate -------------------------------------------------------------------------------------------------------

ALL = ("attention", "heads", "feed_forward", "residuals", "norm")


def ablate_inputs():
    def case(title, pieces, seed, dtype=np.float64, sizes=(2, 4, 6), H=3):
        x = normal(*sizes, seed=seed, dtype=dtype)
        return Case(title, (x, parameters(sizes[-1], H, 2, 2, 8, seed=100 * seed, dtype=dtype), H, pieces), axes="B T "
        "D")

    return [
        case("no piece", (), 1),
        case("attention alone, B=2, T=4, D=6", ("attention",), 2),
        case("attention with its heads, H=3", ("attention", "heads"), 3),
        case("and a feed-forward", ("attention", "heads", "feed_forward"), 4),
        case("and residuals", ("attention", "heads", "feed_forward", "residuals"), 5),
        case("all five", ALL, 6),
        case("a feed-forward alone", ("feed_forward",), 7),
        case("no attention, the other four", ("heads", "feed_forward", "residuals", "norm"), 8),
        case("no heads, the other four", ("attention", "feed_forward", "residuals", "norm"), 9),
        case("no feed-forward, the other four", ("attention", "heads", "residuals", "norm"), 10),
        case("no residuals, the other four, in another order", ("norm", "feed_forward", "heads", "attention"), 11),
        case("residuals and norm, and nothing for them", ("residuals", "norm"), 12),
        case("all five, float32, B=3, T=2", ALL, 13, np.float32, (3, 2, 8), 4),
    ]


ABLATE = Exercise(ablate, ablate_inputs)


def given_to_ablate(x, params, n_heads, pieces):
    return SimpleNamespace(x=x, params=params, n_heads=n_heads, pieces=pieces)


def both_parts(g):
    """x through the parts that are there, as the other steps say."""
    x = g.x
    for piece, norm, part in g.parts:
        if g.there(piece):
            z = g.before(x, norm)
            x = g.after(x, part(z), z, norm)
    return x


wrong_ablate = wrong_in(mistakes_in_steps(ABLATE, given_to_ablate, {
    "x": lambda g: g.x,
    "there": lambda g: lambda piece: piece in g.pieces,
    "heads": lambda g: g.n_heads if g.there("heads") else 1,
    "mask": lambda g: causal_mask(g.x.shape[-2]),
    "norm": lambda g: lambda x, name: layer_norm(x, **g.params[name]),
    "look": lambda g: lambda z: multi_head_attention(z, z, **g.params["attention"], n_heads=g.heads, mask=g.mask),
    "attend": lambda g: lambda z: g.look(z)[0],
    "think": lambda g: lambda z: feed_forward(z, **g.params["feed_forward"]),
    "parts": lambda g: [("attention", "norm_1", g.attend), ("feed_forward", "norm_2", g.think)],
    "before": lambda g: lambda x, norm: g.norm(x, norm) if g.there("norm") else x,
    "after": lambda g: lambda x, y, z, norm: x + y if g.there("residuals") else y,
    "result": both_parts}))

wrong_ablate("The mask is missing: each position sees what comes after it, and the loss would be a fraud. "
             "`mask=causal_mask(T)`.", no_mask={"mask": lambda g: None})
wrong_ablate("The mask is turned around: positions see the future, and not the past. `causal_mask(T)` as it is.",
             mask_turned={"mask": lambda g: causal_mask(g.x.shape[-2]).T},
             mask_denied={"mask": lambda g: ~causal_mask(g.x.shape[-2])})
wrong_ablate("T is the second axis of x, `x.shape[-2]`. The first is B, the batch; the last is D.",
             mask_of_the_batch={"mask": lambda g: causal_mask(len(g.x))},
             mask_of_the_size={"mask": lambda g: causal_mask(g.x.shape[-1])})
wrong_ablate("Attention always has n_heads heads. Without the piece \"heads\" it has one.",
             always_heads={"heads": lambda g: g.n_heads})
wrong_ablate("Attention always has one head. With the piece \"heads\" it has n_heads.",
             never_heads={"heads": lambda g: 1})
wrong_ablate("Heads are the wrong way round: with the piece \"heads\" n_heads of them, without it one.",
             heads_turned={"heads": lambda g: 1 if "heads" in g.pieces else g.n_heads})
wrong_ablate("There is attention wherever there are heads. Whether there is any is said by \"attention\" alone.",
             heads_bring_attention={"there": lambda g: lambda piece: piece in g.pieces or (
                 piece == "attention" and "heads" in g.pieces)})
wrong_ablate("There is no attention without heads. The piece \"attention\" alone brings attention with one head.",
             attention_needs_heads={"there": lambda g: lambda piece: piece in g.pieces and (
                 piece != "attention" or "heads" in g.pieces)})
wrong_ablate("`multi_head_attention` returns two things, the output and the weights. You need the first: `[0]`.",
             pair={"attend": lambda g: g.look})
wrong_ablate("These are the attention weights. The output is the first of the two that come back: `[0]`.",
             weights={"attend": lambda g: lambda z: g.look(z)[1]})
wrong_ablate("Queries come from the normalized x, keys and values from x itself. In self-attention all three come "
             "from the "
             "same, which went through the norm.",
             memory_not_normalized={"result": lambda g: both_parts(SimpleNamespace(**vars(g) | {
                 "parts": [("attention", "norm_1", lambda z: multi_head_attention(
                     z, g.x, **g.params["attention"], n_heads=g.heads, mask=g.mask)[0]), g.parts[1]]}))})
wrong_ablate("The feed-forward bends with relu. Here it is GELU, as `feed_forward` does by itself.",
             with_relu={"think": lambda g: lambda z: feed_forward(z, **g.params["feed_forward"], activation=relu)})

wrong_ablate("Added is what came out of the norm. The residual connection goes around the norm as well: add x as it "
             "was "
             "before.",
             normalized_added={"after": lambda g: lambda x, y, z, norm: z + y if g.there("residuals") else y})
wrong_ablate("There are residuals, whatever is asked for. Without this piece, what a part returns takes the place of "
             "x.",
             always_residuals={"after": lambda g: lambda x, y, z, norm: x + y})
wrong_ablate("There are no residuals. With this piece, add x to what a part returns.",
             never_residuals={"after": lambda g: lambda x, y, z, norm: y})
wrong_ablate("Residuals are the wrong way round: x is added where the piece is missing.",
             residuals_turned={"after": lambda g: lambda x, y, z, norm: y if g.there("residuals") else x + y})
wrong_ablate("There is a residual around attention only. The feed-forward has one too.",
             residual_of_attention={"after": lambda g: lambda x, y, z, norm: (
                 x + y if g.there("residuals") and norm == "norm_1" else y)})
wrong_ablate("There is a residual around the feed-forward only. Attention has one too.",
             residual_of_feed_forward={"after": lambda g: lambda x, y, z, norm: (
                 x + y if g.there("residuals") and norm == "norm_2" else y)})
wrong_ablate("After the feed-forward you add the x from the very beginning. Add what went into this part: x after "
             "attention.",
             first_x_added={"after": lambda g: lambda x, y, z, norm: g.x + y if g.there("residuals") else y})
wrong_ablate("x is added once, at the end. Each part has a residual connection of its own.",
             residual_at_the_end={"after": lambda g: lambda x, y, z, norm: y,
                                  "result": lambda g: g.x + both_parts(g) if g.there("residuals") and (
                                      g.there("attention") or g.there("feed_forward")) else both_parts(g)})
wrong_ablate("x is added even where there is no part: x + x. Where a part is missing, x goes on as it is.",
             x_twice={"result": lambda g: both_parts(g) if g.there("attention") and g.there("feed_forward") else
                      both_parts(g) + g.x if g.there("residuals") else both_parts(g)},
             x_for_missing_parts={"after": lambda g: lambda x, y, z, norm: x + y if g.there("residuals") else y,
                                  "there": lambda g: lambda piece: piece in g.pieces or (
                                      piece in ("attention", "feed_forward") and "residuals" in g.pieces),
                                  "attend": lambda g: lambda z: (g.look(z)[0] if "attention" in g.pieces else z),
                                  "think": lambda g: lambda z: (feed_forward(z, **g.params["feed_forward"])
                                                                if "feed_forward" in g.pieces else z)})
wrong_ablate("The norm is always there. Without this piece, a part gets x itself.",
             always_norm={"before": lambda g: lambda x, norm: g.norm(x, norm)})
wrong_ablate("The norm is never there. With this piece, a part gets `layer_norm(x, ...)` instead of x.",
             never_norm={"before": lambda g: lambda x, norm: x})
wrong_ablate("The norm is the wrong way round: it is there where the piece is missing.",
             norm_turned={"before": lambda g: lambda x, norm: x if g.there("norm") else g.norm(x, norm)})
wrong_ablate("Both parts use norm_1. The feed-forward has its own, norm_2.",
             norm_1_twice={"before": lambda g: lambda x, norm: g.norm(x, "norm_1") if g.there("norm") else x})
wrong_ablate("Both parts use norm_2. Attention has its own, norm_1.",
             norm_2_twice={"before": lambda g: lambda x, norm: g.norm(x, "norm_2") if g.there("norm") else x})
wrong_ablate("The norms have changed places: norm_1 belongs to attention, norm_2 to the feed-forward.",
             norms_exchanged={"parts": lambda g: [("attention", "norm_2", g.attend), ("feed_forward", "norm_1",
                                                                                       g.think)]})
wrong_ablate("There is a norm before attention only. The feed-forward has one too, norm_2.",
             norm_before_attention={"before": lambda g: lambda x, norm: (
                 g.norm(x, norm) if g.there("norm") and norm == "norm_1" else x)})
wrong_ablate("There is a norm before the feed-forward only. Attention has one too, norm_1.",
             norm_before_feed_forward={"before": lambda g: lambda x, norm: (
                 g.norm(x, norm) if g.there("norm") and norm == "norm_2" else x)})
wrong_ablate("This is post-norm: the norm comes after the sum. Here it comes before each part, pre-norm.",
             post_norm={"before": lambda g: lambda x, norm: x, "after": lambda g: lambda x, y, z, norm: (
                 g.norm(x + y if g.there("residuals") else y, norm) if g.there("norm") else
                 x + y if g.there("residuals") else y)},
             post_norm_block={"result": lambda g: transformer_block(g.x, g.params, g.n_heads, g.mask)
                              if set(g.pieces) == set(ALL) else both_parts(g)})
wrong_ablate("The norm is applied to what a part returns. It comes before the part: to what goes in.",
             norm_of_what_comes_out={"before": lambda g: lambda x, norm: x, "after": lambda g: lambda x, y, z, norm: (
                 (g.norm(y, norm) if g.there("norm") else y) + (x if g.there("residuals") else 0))})
wrong_ablate("x is normalized for good, `x = layer_norm(x, ...)`, and so it is missing as it was for the sum. Give the "
             "normalized x another name.",
             norm_without_parts={"result": lambda g: normalized_anyway(g)})
wrong_ablate("x is normalized once before everything, and then again in each part. The norm stands before a part only, "
             "and what is added to is x as it was.",
             norm_before_everything={"x": lambda g: layer_norm(g.x, **g.params["norm_1"]) if "norm" in g.pieces else
                                     g.x})
wrong_ablate("There is one more norm at the end. It belongs to the model, not to each block.",
             norm_at_the_end={"result": lambda g: g.norm(both_parts(g), "norm_2") if g.there("norm") else
                               both_parts(g)})


def normalized_anyway(g):
    """x is overwritten by its norm before each part, whether that is there or not."""
    x = g.x
    for piece, norm, part in g.parts:
        x = g.before(x, norm)
        if g.there(piece):
            x = g.after(x, part(x), x, norm)
    return x


wrong_ablate("The feed-forward comes first. First the words look around, then each thinks: attention, then "
             "feed-forward.",
             feed_forward_first={"parts": lambda g: [("feed_forward", "norm_2", g.think), ("attention", "norm_1",
                                                                                          g.attend)]})
wrong_ablate("Attention and feed-forward both read the x that came in. The feed-forward gets what attention has made "
             "of it.",
             side_by_side={"result": lambda g: side_by_side(g)})
wrong_ablate("There is a feed-forward only where there is no attention: `elif`. Both may be there: `if`, twice.",
             either_or={"there": lambda g: lambda piece: piece in g.pieces and (
                 piece != "feed_forward" or "attention" not in g.pieces)})
wrong_ablate("There is a feed-forward only where there is attention. It is a piece of its own: its `if` does not stand "
             "inside the other.",
             nested={"there": lambda g: lambda piece: piece in g.pieces and (
                 piece != "feed_forward" or "attention" in g.pieces)})
wrong_ablate("The feed-forward never runs. Its piece is called \"feed_forward\", with an underscore.",
             hyphen={"there": lambda g: lambda piece: piece in g.pieces and piece != "feed_forward"})
wrong_ablate("The feed-forward always runs. It does where \"feed_forward\" is among the pieces.",
             always_feed_forward={"there": lambda g: lambda piece: piece in g.pieces or piece == "feed_forward"})
wrong_ablate("Attention always runs. It does where \"attention\" is among the pieces.",
             always_attention={"there": lambda g: lambda piece: piece in g.pieces or piece == "attention"})
wrong_ablate("All pieces are there, whatever is asked for. `\"norm\" in pieces` says whether one is.",
             everything={"there": lambda g: lambda piece: True},
             the_whole_block={"result": lambda g: transformer_block(g.x, g.params, g.n_heads, g.mask, pre_norm=True)})
wrong_ablate("x comes back as it is. What a part returns has to be given a name, `x = ...`, and returned.",
             x_as_it_is={"result": lambda g: g.x})
wrong_ablate("`pieces == \"attention\"` compares all pieces with one name. Ask `\"attention\" in pieces`.",
             compared={"there": lambda g: lambda piece: tuple(g.pieces) == (piece,)})
wrong_ablate("Nothing comes back where there is no piece. x goes on as it is: `return x` stands at the end, outside of "
             "every `if`.",
             nothing_without_pieces={"result": lambda g: both_parts(g) if g.there("attention") or g.there(
                 "feed_forward") else None},
             nothing_without_feed_forward={"result": lambda g: both_parts(g) if g.there("feed_forward") else None},
             nothing_without_attention={"result": lambda g: both_parts(g) if g.there("attention") else None},
             zeros_without_pieces={"result": lambda g: both_parts(g) if g.there("attention") or g.there(
                 "feed_forward") else np.zeros_like(g.x)})
wrong_ablate("Nothing comes back. Return x at the end.", nothing={"result": lambda g: None})
wrong_ablate("`x += y` writes into the caller's x. `x = x + y` makes a new array.",
             in_place={"result": lambda g: added_in_place(g)})
wrong_ablate("float32 became float64. Something in your function makes it: a `dtype=float`, or `np.zeros` without a "
             "dtype.",
             in_float64={"result": lambda g: both_parts(g).astype(np.float64)})
wrong_ablate("The weights of attention come back as well. The output alone is asked for, (B, T, D).",
             with_weights={"result": lambda g: (both_parts(g), None)})


def side_by_side(g):
    parts = [part(g.before(g.x, norm)) for piece, norm, part in g.parts if g.there(piece)]
    return sum(parts, g.x if g.there("residuals") else 0) if parts else g.x


def added_in_place(g):
    x = g.x
    for piece, norm, part in g.parts:
        if g.there(piece):
            y = part(g.before(x, norm))
            if g.there("residuals"):
                x += y
            else:
                x = y
    return x


@ABLATE.alternative
def spelled_out(x, params, n_heads, pieces):
    if "attention" in pieces:
        z = layer_norm(x, **params["norm_1"]) if "norm" in pieces else x
        y, _ = multi_head_attention(z, z, **params["attention"], n_heads=n_heads if "heads" in pieces else 1,
                                    mask=causal_mask(x.shape[1]))
        x = x + y if "residuals" in pieces else y
    if "feed_forward" in pieces:
        z = layer_norm(x, **params["norm_2"]) if "norm" in pieces else x
        y = feed_forward(z, **params["feed_forward"])
        x = x + y if "residuals" in pieces else y
    return x


@ABLATE.alternative
def by_numbers(x, params, n_heads, pieces):
    attention, heads, think, residuals, norm = (piece in pieces for piece in ALL)
    for i, on in enumerate((attention, think)):
        if not on:
            continue
        old, z = x, x
        if norm:
            z = layer_norm(x, *(params[f"norm_{i + 1}"][name] for name in ("gamma", "beta")))
        x = feed_forward(z, **params["feed_forward"]) if i else multi_head_attention(
            z, z, **params["attention"], n_heads=n_heads**heads, mask=np.tri(x.shape[-2], dtype=bool))[0]
        if residuals:
            x = x + old
    return x


@ABLATE.alternative
def with_functions(x, params, n_heads, pieces):
    def same(x, **params):
        return x

    before = layer_norm if "norm" in pieces else same
    around = np.add if "residuals" in pieces else lambda x, y: y
    if "attention" in pieces:
        z = before(x, **params["norm_1"])
        x = around(x, multi_head_attention(z, z, n_heads=n_heads if "heads" in pieces else 1,
                                           mask=causal_mask(x.shape[-2]), **params["attention"])[0])
    if "feed_forward" in pieces:
        x = around(x, feed_forward(before(x, **params["norm_2"]), **params["feed_forward"]))
    return x


@ABLATE.alternative
def whole_block_where_all_are_there(x, params, n_heads, pieces):
    if set(ALL) <= set(pieces):
        return transformer_block(x, params, n_heads, causal_mask(x.shape[-2]), pre_norm=True)
    return ablate(x, params, n_heads, pieces)


# ---- bits_per_byte ------------------------------------------------------------------------------------------------

class Pieces:
    """A tokenizer that cuts after every so many characters. The ids count up."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return 50

    def encode(self, text):
        return np.arange(7, 7 + -(-len(text) // self.size))

    def __repr__(self):
        return "tokenizer"


class Characters(CharTokenizer):
    """A card names it and does not print it."""

    def __repr__(self):
        return "tokenizer"


class LongText(str):
    """A card names it and does not print it."""

    def __repr__(self):
        return "text"


def bits_inputs():
    fruits = "die Äpfel, die Bananen: \N{BANANA}"
    return [Case(title, args) for title, args in [
        ("the example of the text", (1.4, "banana", Pieces(2))),
        ("a token for each byte", (math.log(2), "the cat sat", Pieces(1))),
        ("characters of several bytes, a token for each", (1.5, "naïve 猫 🐈", Pieces(1))),
        ("tokens of three characters, in lines", (4.25, "the cat sat\non the mat,\nä ö ü\n", Pieces(3))),
        ("the tokenizer of this chapter", (2.5, fruits, Characters(fruits))),
        ("a loss of 0", (0.0, "the mat", Pieces(2))),
        ("a text of 3,000 characters", (4.0, LongText("the cat, sat. " * 214 + "mäh."), Pieces(2))),
    ]]


def judge_bits(case, output):
    found = BITS_PER_BYTE.compare_with_reference(case, output)
    if found is None and isinstance(output, (np.generic, np.ndarray)):
        return Difference(f"the number is right, but expected a Python float, got a NumPy {output.dtype}",
                          advice="`float(...)` makes a Python number.")
    return found


BITS_PER_BYTE = Exercise(bits_per_byte, bits_inputs, judge=judge_bits)


def given_to_bits(loss, text, tokenizer):
    return SimpleNamespace(loss=loss, text=text, tokenizer=tokenizer)


wrong_bits = wrong_in(mistakes_in_steps(BITS_PER_BYTE, given_to_bits, {
    "tokens": lambda g: len(g.tokenizer.encode(g.text)),
    "bytes": lambda g: len(g.text.encode("utf-8")),
    "nats": lambda g: g.loss * g.tokens,
    "bits": lambda g: g.nats / math.log(2),
    "result": lambda g: g.bits / g.bytes}))

wrong_bits("These are nats per byte. A bit is ln 2 nats: divide by `math.log(2)`. (`math.log2(2)` is 1.)",
           in_nats={"bits": lambda g: g.nats}, log2_of_2={"bits": lambda g: g.nats / math.log2(2)})
wrong_bits("You multiply by ln 2. A bit is *less* than a nat, so there are more of them: divide.",
           multiplied={"bits": lambda g: g.nats * math.log(2)})
wrong_bits("You divide by 2. A bit is ln 2 nats, 0.693: `math.log(2)`.", halved={"bits": lambda g: g.nats / 2})
wrong_bits("`math.log10(2)` is the logarithm to base 10. A loss in nats is one to base e: `math.log(2)`.",
           base_10={"bits": lambda g: g.nats / math.log10(2)})
wrong_bits("You take a logarithm of the loss, which is one already. Nats become bits by a division: `/ math.log(2)`.",
           log2_of_loss={"bits": lambda g: g.tokens * (math.log2(g.loss) if g.loss else 0.0)},
           log_of_loss={"bits": lambda g: g.tokens * (math.log(g.loss) if g.loss else 0.0)},
           log2_of_loss_of_0={"bits": lambda g: math.log2(g.loss) * g.tokens},
           log2_of_all={"bits": lambda g: math.log2(g.nats)})
wrong_bits("The shares of all tokens are multiplied, and for a long text no number holds the product. Work with "
           "logarithms: add them up, that is loss times the number of tokens, and divide by `math.log(2)`.",
           log2_of_a_power={"bits": lambda g: math.log2(math.exp(g.loss)**g.tokens)},
           log2_of_an_exponential={"bits": lambda g: math.log2(math.exp(g.loss * g.tokens))},
           log2_of_a_power_of_numpy={"bits": lambda g: np.log2(np.exp(g.loss)**g.tokens)},
           log2_of_a_small_product={"bits": lambda g: -math.log2(math.exp(-g.loss)**g.tokens)},
           log2_of_a_small_exponential={"bits": lambda g: -math.log2(math.exp(-g.loss * g.tokens))})
wrong_bits("You count one token less. The loss is a mean over all tokens of the text: multiply by all of them.",
           one_token_less={"tokens": lambda g: len(g.tokenizer.encode(g.text)) - 1})
wrong_bits("The tokenizer takes a text, and you give it bytes. The bytes are only for what you divide by: "
           "`tokenizer.encode(text)`.",
           bytes_to_the_tokenizer={"tokens": lambda g: len(g.tokenizer.encode(g.text.encode("utf-8")))})
wrong_bits("You make a perplexity of the loss. Nats become bits by a division: `/ math.log(2)`.",
           perplexity={"nats": lambda g: math.exp(g.loss) * g.tokens},
           perplexity_of_2={"bits": lambda g: 2**g.loss * g.tokens})
wrong_bits("These are bits per *character*. In UTF-8 a character may have several bytes: "
           "`len(text.encode(\"utf-8\"))`.",
           by_characters={"bytes": lambda g: len(g.text)})
wrong_bits("These are bits per token. Multiplied by the number of tokens, `len(tokenizer.encode(text))`, they are "
           "those of the text; then divide by the number of its bytes.",
           by_tokens={"result": lambda g: g.loss / math.log(2)},
           characters_for_both={"tokens": lambda g: len(g.text), "bytes": lambda g: len(g.text)},
           bytes_for_both={"tokens": lambda g: len(g.text.encode("utf-8"))})
wrong_bits("The number of tokens is missing. The loss is that of one token: multiply by how many there are.",
           no_tokens={"nats": lambda g: g.loss})
wrong_bits("These are the bits of the whole text. Divide by the number of its bytes.",
           of_all={"result": lambda g: g.bits})
wrong_bits("Tokens and bytes have changed places. The loss is multiplied by the number of tokens and divided by the "
           "number "
           "of bytes.",
           exchanged={"result": lambda g: g.loss / math.log(2) * g.bytes / g.tokens})
wrong_bits("You multiply by the number of bytes. Per byte means: divide.",
           multiplied_by_bytes={"result": lambda g: g.bits * g.bytes})
wrong_bits("You divide by both numbers. The loss of one token times the number of tokens is that of the text; only "
           "then "
           "divide, by the number of bytes.",
           divided_by_tokens={"nats": lambda g: g.loss / g.tokens})
wrong_bits("`len(tokenizer)` is how many tokens it knows. Those of the text are `tokenizer.encode(text)`.",
           size_of_vocabulary={"tokens": lambda g: len(g.tokenizer)})
wrong_bits("You count *different* tokens. Each counts as often as it comes.",
           different_tokens={"tokens": lambda g: len(set(g.tokenizer.encode(g.text).tolist()))},
           largest_id={"tokens": lambda g: g.tokenizer.encode(g.text).max() + 1})
wrong_bits("You add up the ids, which are only numbers of rows. How many there are counts: `len(...)`.",
           sum_of_ids={"tokens": lambda g: sum(g.tokenizer.encode(g.text).tolist())})
wrong_bits("You multiply by the ids themselves. How many there are counts: `len(tokenizer.encode(text))`.",
           ids_themselves={"tokens": lambda g: g.tokenizer.encode(g.text)})
wrong_bits("You count characters for tokens. The tokens are `tokenizer.encode(text)`.",
           characters_for_tokens={"tokens": lambda g: len(g.text)})
wrong_bits("You count words. The tokens are `tokenizer.encode(text)`.",
           words_for_tokens={"tokens": lambda g: len(g.text.split())},
           words_for_bytes={"bytes": lambda g: len(g.text.split())})
wrong_bits("The text has letters that ASCII does not know. UTF-8 has all: `text.encode(\"utf-8\")`.",
           in_ascii={"bytes": lambda g: len(g.text.encode("ascii"))},
           in_latin={"bytes": lambda g: len(g.text.encode("latin-1"))},
           ascii_only={"bytes": lambda g: len(g.text.encode("ascii", "ignore"))})
wrong_bits("These are the bytes of UTF-16, or of UTF-32. UTF-8 is asked for.",
           in_utf_16={"bytes": lambda g: len(g.text.encode("utf-16"))},
           in_utf_16_le={"bytes": lambda g: len(g.text.encode("utf-16-le"))},
           in_utf_32={"bytes": lambda g: len(g.text.encode("utf-32"))})
wrong_bits("`bytes(text)` has to be told how to write characters: `text.encode(\"utf-8\")`.",
           bytes_of_text={"bytes": lambda g: len(bytes(g.text))})
wrong_bits("`text.encode(...)` gives the bytes themselves. `len` counts them.",
           not_counted={"bytes": lambda g: g.text.encode("utf-8")})
wrong_bits("A str has no `nbytes`. `len(text.encode(\"utf-8\"))` counts its bytes.",
           nbytes={"bytes": lambda g: g.text.nbytes})
wrong_bits("`sys.getsizeof` is what Python needs for the object, and more than the text. Count "
           "`text.encode(\"utf-8\")`.",
           size_of_object={"bytes": lambda g: g.text.__sizeof__()})
wrong_bits("These are bits per bit: a byte has eight, but here it is only the unit of text by which you divide.",
           by_eight={"result": lambda g: g.bits / g.bytes / 8})
wrong_bits("You divide by 8, which is for bytes made of bits. Here the loss is in nats, and a bit is ln 2 of them: "
           "divide by `math.log(2)`.",
           eight_below={"bits": lambda g: g.nats / 8})
wrong_bits("You multiply by 8. The bits are counted already, by ln 2.",
           times_eight={"result": lambda g: g.bits * 8 / g.bytes},
           eight_for_ln_2={"result": lambda g: g.nats * 8 / g.bytes})
wrong_bits("The fraction is upside down: bytes per bit.",
           upside_down={"result": lambda g: g.bytes / g.bits if g.bits else 0.0},
           upside_down_of_0={"result": lambda g: g.bytes / g.bits})
wrong_bits("`//` throws the fraction away. Divide with `/`.", whole={"result": lambda g: g.bits // g.bytes},
           whole_number={"result": lambda g: int(g.bits / g.bytes)})
wrong_bits("The result is rounded. Return it as it is.",
           **{f"rounded_to_{n}": {"result": lambda g, n=n: round(g.bits / g.bytes, n)} for n in (1, 2, 3, 4)})
wrong_bits("NumPy's functions give a np.float64. A Python float is asked for: `math.log`, or `float(...)` at the end.",
           of_numpy={"result": lambda g: np.float64(g.bits / g.bytes)})
wrong_bits("One number is asked for.", as_a_list={"result": lambda g: [g.bits / g.bytes]},
           with_nats={"result": lambda g: (g.bits / g.bytes, g.nats)})
wrong_bits("Nothing comes back. Print nothing, return the number.", nothing={"result": lambda g: None})


@BITS_PER_BYTE.alternative
def bits_first(loss, text, tokenizer):
    bits_per_token = loss / math.log(2)
    return bits_per_token * len(tokenizer.encode(text)) / len(text.encode())


@BITS_PER_BYTE.alternative
def by_log2_of_e(loss, text, tokenizer):
    tokens_per_byte = tokenizer.encode(text).size / len(bytes(text, "utf-8"))
    return loss * math.log2(math.e) * tokens_per_byte


@BITS_PER_BYTE.alternative
def byte_by_byte(loss, text, tokenizer):
    n_bytes = sum(len(character.encode("utf-8")) for character in text)
    return float(np.sum(np.full(len(tokenizer.encode(text)), loss)) / np.log(2) / n_bytes)


@BITS_PER_BYTE.alternative
def by_bytes_per_token(loss, text, tokenizer):
    bytes_per_token = len(text.encode("utf8")) / sum(1 for _ in tokenizer.encode(text))
    return loss / (bytes_per_token * math.log(2))
