"""Training: the tasks, the optimizers against PyTorch, and a loop that can be stopped, killed, and go on to the bit."""
import contextlib
import functools
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import parity
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_files import same_trees

from scratchformer_lib import training
from scratchformer_lib.autograd import value_and_grad
from scratchformer_lib.block import dropout, gelu
from scratchformer_lib.embeddings import Vocabulary
from scratchformer_lib.multi_head import linear
from scratchformer_lib.support import files
from scratchformer_lib.support.files import load_model, save_model
from scratchformer_lib.support.number_words import in_english, in_german
from scratchformer_lib.support.trees import flat, nested
from scratchformer_lib.support.workers import shared_out
from scratchformer_lib.training import (
    SGD,
    AdamW,
    Run,
    adamw_step,
    clip_by_norm,
    copy_task,
    cross_entropy,
    exact_match,
    letters_task,
    noam,
    numbers_task,
    reverse_task,
    shift_task,
    training_step,
    warmup_cosine,
)
from scratchformer_lib.transformer import TransformerConfig, init_transformer, transformer

fit = functools.partial(training.fit, ignore_id=Vocabulary.pad_id)
PAD, START, END = Vocabulary.pad_id, Vocabulary.start_id, Vocabulary.end_id
RULE = np.random.default_rng(7).standard_normal((4, 5))
few = settings(max_examples=25, deadline=None)
expected_warnings = pytest.mark.filterwarnings("ignore:going on after", "ignore:stopped by hand", "ignore:at step")


# Something small to learn: which column of RULE each vector likes best

def draw(rng, n=8):
    """Rows of three vectors, and their labels, 1 to 5; of some rows only the first count."""
    x = rng.standard_normal((n, 3, 4))
    return x, np.where(np.arange(3) < rng.integers(1, 4, (n, 1)), 1 + np.argmax(x @ RULE, axis=-1), PAD)


def start(dtype=np.float64):
    rng = np.random.default_rng(5)
    shapes = {"hidden/W": (4, 8), "hidden/b": 8, "output/W": (8, 6)}
    return nested({name: rng.standard_normal(shape).astype(dtype) / 2 for name, shape in shapes.items()})


def loss_without_dropout(params, x, labels, rng=None, rate=0.0):
    hidden = gelu(linear(x.astype(params["hidden"]["W"].dtype), **params["hidden"]))
    return cross_entropy(linear(dropout(hidden, rate, rng), **params["output"]), labels, PAD)


def loss(params, x, labels, rng=None):
    return loss_without_dropout(params, x, labels, rng, 0.3)


def validate(params):
    return loss(params, *draw(np.random.default_rng(99)))


def rising(params):
    return -validate(params)


def trained(n_steps=12, seed=0, **options):
    options = {"loss": loss, "params": start(), "draw": draw, "every": 4, "rate": 0.1} | options
    return fit(n_steps=n_steps, rng=np.random.default_rng(seed), **options)


@functools.cache
def undisturbed(n_steps=12):
    """A training, and the params after each step, 0 for those at the beginning."""
    params = {0: start()}
    run = trained(n_steps, validate=validate, on_step=lambda step: params.update({step.step: step.params}))
    return run, params


def same(a, b):
    """Whether two trainings are the same to the bit."""
    return same_trees(a.params, b.params) and a.losses == b.losses and a.validations == b.validations


# The optimizers

def steps_of(optimizer, W, b, dW, db, rates):
    """Each parameter after each step, and the state after the last."""
    params, history = {"layer": {"W": W}, "b": b}, []
    state = optimizer.start(params)
    for dW_, db_, rate in zip(dW, db, rates, strict=True):
        before = [x.copy() for x in (*flat(params).values(), *flat(state).values()) if isinstance(x, np.ndarray)]
        new, new_state = optimizer.step(params, {"layer": {"W": dW_}, "b": db_}, state, rate)
        after = [x for x in (*flat(params).values(), *flat(state).values()) if isinstance(x, np.ndarray)]
        assert all(map(np.array_equal, after, before)), "the old ones have changed"
        params, state = new, new_state
        history.append(params)
    return [np.stack([step["layer"]["W"] for step in history]), np.stack([step["b"] for step in history])], state


def our_adamw(W, b, dW, db, rates, **options):
    history, state = steps_of(AdamW(**options), W, b, dW, db, rates)
    assert state["step"] == 5
    return [*history, *(flat(state[kind])[name] for name in ("layer/W", "b") for kind in ("mean", "square"))]


def our_adamw_step(W, b, dW, db, rates, betas, eps, weight_decay):
    found = []
    for x, slopes, decay in ((W, dW, weight_decay), (b, db, 0.0)):
        mean, square, history = np.zeros_like(x), np.zeros_like(x), []
        for i, rate in enumerate(rates):
            x, mean, square = adamw_step(x, slopes[i], mean, square, i + 1, rate, betas, eps, decay)
            history.append(x)
        found.append((np.stack(history), mean, square))
    return [found[0][0], found[1][0], *found[0][1:], *found[1][1:]]


def our_clip(W, b, max_norm):
    clipped = clip_by_norm({"a": {"W": W}, "b": b}, max_norm)
    return clipped["a"]["W"], clipped["b"]


def agrees(case):
    match case.function:
        case "adamw":
            ours = our_adamw(**case.inputs)
            parity.agrees(case, *our_adamw_step(**case.inputs))
        case "sgd":
            inputs = dict(case.inputs)
            ours = steps_of(SGD(inputs.pop("momentum")), **inputs)[0]
        case "clip":                                    # PyTorch adds 1e-6 to the length
            for x, theirs in zip(our_clip(**case.inputs), case.expected, strict=True):
                assert parity.relative_error(x, theirs) < 1e-6 and str(x.dtype) == case.dtype
            return
    for x, theirs in zip(ours, case.expected, strict=True):
        assert parity.relative_error(x, theirs) < 1e-6
    parity.agrees(case, *ours)


@pytest.mark.parametrize("case", parity.stored("training"), ids=str)
def test_steps_agree_with_what_pytorch_once_took(case):
    agrees(case)


@pytest.mark.slow
def test_steps_agree_with_those_pytorch_takes():
    pytest.importorskip("torch", reason=parity.WITHOUT_TORCH)
    for case in parity.live("training"):
        agrees(case)


def test_the_first_step_of_adamw_is_the_one_of_the_text():
    x, mean, square = adamw_step(np.array(1.0), np.array(4.0), np.array(0.0), np.array(0.0), 1, 0.1)
    assert np.allclose([x, mean, square], [0.9, 0.4, 0.016])


def test_vectors_do_not_decay():
    params = {"table": np.ones((2, 3)), "gamma": np.ones(3), "cube": np.ones((1, 2, 2)), "scale": np.ones(())}
    optimizer, still = AdamW(weight_decay=0.1), {name: np.zeros_like(x) for name, x in params.items()}
    new, _ = optimizer.step(params, still, optimizer.start(params), 0.5)
    assert np.allclose(new["table"], 0.95) and np.allclose(new["cube"], 0.95)
    assert np.array_equal(new["gamma"], np.ones(3)) and new["scale"] == 1


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.floats(1e-3, 1e3), st.integers(0, 99))
@few
def test_clipping_shortens_to_the_limit_and_keeps_the_direction(sizes, max_norm, seed):
    rng = np.random.default_rng(seed)
    gradients = {"a": {str(n): 10 * rng.standard_normal((size, 2)) for n, size in enumerate(sizes)}}
    before = {name: dx.copy() for name, dx in flat(gradients).items()}
    clipped = flat(clip_by_norm(gradients, max_norm))
    norm, length = (math.sqrt(sum(np.sum(dx**2) for dx in some.values())) for some in (before, clipped))
    assert list(clipped) == list(before) and same_trees(gradients, nested(before))
    assert length == pytest.approx(min(norm, max_norm), rel=1e-12)
    for name, dx in clipped.items():
        expected = before[name] if norm <= max_norm else before[name] * (max_norm / norm)
        assert np.allclose(dx, expected, rtol=1e-12) and (norm > max_norm or np.array_equal(dx, before[name]))


# The schedules

@pytest.mark.parametrize("step, rate", [(1, 1.74693e-7), (100, 1.74693e-5), (4000, 6.98771e-4), (100_000, 1.39754e-4)])
def test_noam_is_the_rate_of_the_paper(step, rate):
    assert noam(step, 512, 4000) == pytest.approx(rate, rel=1e-5) and type(noam(step, 512, 4000)) is float


def test_noam_is_largest_at_the_end_of_the_warm_up():
    rates = [noam(step, 64, 50) for step in range(1, 301)]
    assert np.argmax(rates) == 49 and rates[49] == pytest.approx((64 * 50) ** -0.5)
    assert np.allclose(np.diff(rates[:50]), rates[0]) and rates[199] == pytest.approx(rates[49] / 2)


def test_a_cosine_goes_from_nothing_to_the_peak_to_the_lowest():
    rates = [warmup_cosine(step, 0.3, 10, 110, 0.1) for step in range(1, 111)]
    assert np.allclose(rates[:10], np.arange(1, 11) * 0.03) and rates[109] == pytest.approx(0.1)
    assert rates[59] == pytest.approx(0.2) and rates[34] == pytest.approx(0.2 + 0.1 * math.sqrt(0.5))
    assert np.all(np.diff(rates[9:]) < 0) and type(rates[50]) is float
    assert warmup_cosine(110, 0.3, 10, 110) == 0 and warmup_cosine(1, 0.3, 0, 10) < 0.3


# A step, and many

def test_a_step_differentiates_clips_and_lets_the_optimizer_step():
    params, (x, labels), seen = start(), draw(np.random.default_rng(0)), []

    def differentiate(params, *batch, rng):
        seen.append((batch, rng))
        return value_and_grad(loss)(params, *batch, rng=rng)
    rng, optimizer = np.random.default_rng(3), SGD(0.9)
    value, new, state = training_step(differentiate, params, optimizer.start(params), (x, labels), optimizer, 0.5, 0.01,
                                      rng)
    assert len(seen) == 1 and seen[0][1] is rng and seen[0][0][0] is x and seen[0][0][1] is labels
    assert value == loss(params, x, labels, np.random.default_rng(3)) != loss(params, x, labels)
    moved = [(new[part][name] - p) / -0.5 for part in params for name, p in params[part].items()]
    assert math.sqrt(sum(np.sum(dx**2) for dx in moved)) == pytest.approx(0.01)
    assert same_trees(params, start()) and np.allclose(state["velocity"]["hidden"]["b"], moved[1])


@pytest.mark.parametrize("options", [{}, {"optimizer": SGD(0.9)}, {"workers": 2}, {"params": start(np.float32)},
                                     {"rate": lambda step: warmup_cosine(step, 0.1, 10, 100)}], ids=list)
def test_the_loss_falls(options):
    run = trained(200, **{"rate": 0.03} | options)
    assert np.mean(run.losses[-10:]) < 0.6 * np.mean(run.losses[:10]) and run.stopped == ""
    assert validate(run.params) < 0.6 * validate(start())


def test_a_training_is_its_steps_one_after_the_other():
    params, rng, optimizer = start(), np.random.default_rng(0), AdamW()
    state, differentiate, losses = optimizer.start(params), value_and_grad(loss), []
    for step in range(1, 6):
        value, params, state = training_step(differentiate, params, state, draw(rng), optimizer, 0.01 * step, 0.7, rng)
        losses.append(value)
    run = trained(5, rate=lambda step: 0.01 * step, max_norm=0.7)
    assert same(run, Run(params, losses, {}))


def test_what_happened_is_told_step_by_step():
    told, batches = [], []
    run = trained(10, validate=rising, on_step=told.append, rate=lambda step: 0.1 / step,
                  draw=lambda rng: batches.append(draw(rng)) or batches[-1])
    assert [step.step for step in told] == [*range(1, 11)] and {step.n_steps for step in told} == {10}
    assert [step.loss for step in told] == run.losses and {type(x) for x in run.losses} == {float}
    assert [step.rate for step in told] == [0.1 / step for step in range(1, 11)]
    assert [step.n_labels for step in told] == [np.count_nonzero(labels) for _, labels in batches]
    assert list(run.validations) == [4, 8, 10] and run.stopped == ""
    assert [step.validation for step in told] == [run.validations.get(step) for step in range(1, 11)]
    assert run.validations == {step: rising(told[step - 1].params) for step in (4, 8, 10)}
    assert run.validations[4] < run.validations[8]
    assert run.losses[0] == loss(start(), *batches[0], fresh_after_one_draw()) and len({*run.losses}) == 10


def fresh_after_one_draw():
    rng = np.random.default_rng(0)
    draw(rng)
    return rng


def frozen(tree):
    for x in flat(tree).values():
        x.flags.writeable = False
    return tree


@pytest.mark.parametrize("optimizer", [SGD(), SGD(0.9), AdamW()])
def test_the_params_that_it_is_given_stay_as_they_are(optimizer):
    params = frozen(start())
    run = trained(5, params=params, optimizer=optimizer, on_step=lambda step: frozen(step.params))
    assert same_trees(params, start()) and not same_trees(run.params, params)


@pytest.mark.parametrize("values, best", [([3, 1, 2, 5], 8), ([1, 2, 3, 4], 4), ([4, 3, 2, 1], 16), ([2, 2, 1, 9], 12),
                                          ([5, math.inf, 4, math.nan], 12), ([math.nan, 3, 2, 4], 12)])
def test_the_params_with_the_lowest_validation_are_kept(values, best):
    _, params = undisturbed(16)
    told = iter(values)
    run = trained(16, validate=lambda _: next(told))
    assert same_trees(run.params, params[best]) and str(list(run.validations.values())) == str([*map(float, values)])


def test_where_validation_rises_the_params_before_come_back():
    few_examples = draw(np.random.default_rng(1), 3)
    run = trained(300, draw=lambda rng: few_examples, validate=validate, every=10, loss=loss_without_dropout)
    best = min(run.validations, key=run.validations.get)
    assert best < 200 and run.validations[300] > 1.3 * run.validations[best] and run.losses[-1] < 0.05
    assert validate(run.params) == run.validations[best]


@pytest.mark.parametrize("options", [
    {}, {"optimizer": SGD(0.9)}, {"workers": 2}, {"rate": np.float64(0.1)}, {"rate": lambda step: 0.1 * np.cos(step)},
    {"max_norm": np.float64(0.1)}, {"rate": 1}], ids=list)
def test_float32_stays_float32(options):
    run = trained(3, params=start(np.float32), **options)
    assert {x.dtype for x in flat(run.params).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name, number", [("n_steps", 0), ("n_steps", 2.0), ("every", 0), ("workers", 0),
                                          ("max_norm", -1)])
def test_numbers_out_of_range_are_refused_by_name(name, number):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        trained(**{name: number})


# Workers

def batches():
    x, labels = draw(np.random.default_rng(0), 7)
    lopsided = np.where(np.arange(7)[:, None] < 5, labels, PAD)
    one = np.where(np.arange(21).reshape(7, 3) == 18, 4, PAD)
    return {"usual": (x, labels), "a-share-without-labels": (x, lopsided), "labels-in-one-row": (x, one),
            "two-rows": (x[:2], labels[:2]), "one-row": (x[:1], labels[:1])}


def n_labels(batch):
    return np.count_nonzero(batch[-1])


@pytest.mark.parametrize("name, batch", batches().items(), ids=batches())
@pytest.mark.parametrize("workers", [1, 2, 3, 7, 9])
def test_shares_put_together_are_the_whole(workers, name, batch):
    differentiate = value_and_grad(loss_without_dropout)
    expected, slopes = differentiate(start(), *batch)
    value, gradients = shared_out(differentiate, workers, n_labels)(start(), *batch)
    assert value == pytest.approx(expected, rel=1e-13) and list(flat(gradients)) == list(flat(slopes))
    for name, dx in flat(gradients).items():
        assert np.max(np.abs(dx - flat(slopes)[name])) < 1e-13 * np.max(np.abs(flat(slopes)[name])), name


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_several_workers_do_what_one_does(workers, n):
    def drawn_by(own):
        return lambda rng: draw(own, n)                 # workers draw from the rng, too
    run, expected = (trained(20, loss=loss_without_dropout, workers=k, optimizer=SGD(0.9),
                             draw=drawn_by(np.random.default_rng(3))) for k in (workers, 1))
    assert np.allclose(run.losses, expected.losses, rtol=1e-10)
    for name, x in flat(expected.params).items():
        assert np.max(np.abs(flat(run.params)[name] - x)) < 1e-10 * np.max(np.abs(x))


def test_labels_that_do_not_count_have_no_weight():
    def other_loss(params, x, labels, rng=None):
        return cross_entropy(linear(x, params["W"]), labels, 3)
    params = {"W": np.random.default_rng(0).standard_normal((4, 6))}
    x, labels = draw(np.random.default_rng(0))
    options = {"loss": other_loss, "params": params, "optimizer": SGD(), "ignore_id": 3, "n_steps": 5,
               "draw": lambda rng: (x, np.where(np.arange(8)[:, None] < 4, 3, labels))}
    one, two = (trained(**options, workers=workers).params["W"] for workers in (1, 2))
    assert np.allclose(one, two, rtol=1e-12)


@pytest.mark.parametrize("workers", [2, 3])
def test_shares_are_worked_on_at_the_same_time(workers):
    meeting = threading.Barrier(workers, timeout=10)        # nobody passes before all are there
    shapes, rngs = [], []

    def differentiate(params, x, labels, rng):
        meeting.wait()
        shapes.append(len(x))
        rngs.append(rng)
        return np.float64(1), params
    x, labels = np.ones((7, 3)), np.ones((7, 3), int)
    shared_out(differentiate, workers, n_labels)({"W": np.ones(2)}, x, labels, rng=np.random.default_rng(0))
    assert sum(shapes) == 7 and max(shapes) - min(shapes) <= 1 and len(shapes) == workers
    assert len({*map(id, rngs)}) == workers == len({rng.random() for rng in rngs}), "each has an rng of its own"


def test_each_share_has_one_thread_of_blas_and_afterwards_all_is_as_before():
    threadpoolctl, seen = pytest.importorskip("threadpoolctl"), []

    def n_threads():
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    def differentiate(params, x, labels, rng):
        seen.extend(n_threads())
        return np.float64(1), params
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        shared_out(differentiate, 2, n_labels)({"W": np.ones(2)}, np.ones((4, 3)), np.ones((4, 3), int))
        assert {*seen} <= {1} and {*n_threads()} <= {2} and len(seen) == 2 * len(n_threads())


def test_with_workers_too_all_randomness_comes_from_the_rng():
    runs = [trained(6, seed=seed, workers=2) for seed in (0, 0, 1)]
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


# Where it stops

class Trap:
    """Calls a function; its nth call ends in an error, before or after the function has done its work."""

    def __init__(self, f, nth, error, after=False):
        self.f, self.nth, self.error, self.after, self.calls = f, nth, error, after, 0

    def __call__(self, *args, **options):
        self.calls += 1
        if self.calls == self.nth and not self.after:
            raise self.error
        result = self.f(*args, **options)
        if self.calls == self.nth:
            raise self.error
        return result


PLACES = {"draw": draw, "loss": loss, "validate": validate, "on_step": lambda step: None}


@contextlib.contextmanager
def trapped(place, nth, error, after=False):
    """Options for `trained`, with a trap in this place."""
    with pytest.MonkeyPatch.context() as patch:
        if place == "save":
            patch.setattr(files.os, "replace", Trap(os.replace, nth, error, after))
            yield {}
        else:
            yield {place: Trap(PLACES[place], nth, error, after)}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("place, nth, n_done", [
    ("draw", 1, 0), ("draw", 2, 1), ("draw", 9, 8), ("loss", 1, 0), ("loss", 6, 5), ("on_step", 1, 1),
    ("on_step", 4, 4), ("on_step", 7, 7), ("on_step", 12, 12)])
def test_stopped_by_hand_it_gives_back_what_there_is(place, nth, n_done, after, workers):
    nth, all_params = nth * workers if place == "loss" else nth, {0: start()}
    whole = trained(12, workers=workers, on_step=lambda step: all_params.update({step.step: step.params}))
    with trapped(place, nth, KeyboardInterrupt, after) as options:
        with pytest.warns(UserWarning, match=f"^stopped by hand after step {n_done};") as warned:
            run = trained(workers=workers, **options)
    assert run.losses == whole.losses[:n_done] and run.validations == {} and same_trees(run.params, all_params[n_done])
    assert [warning.filename for warning in warned] == [__file__] and run.stopped == str(warned[0].message)


@expected_warnings
@pytest.mark.parametrize("place, nth, n_done", [
    ("validate", 2, 7), ("validate", 3, 11), ("on_step", 5, 5), ("draw", 10, 9)])
def test_stopped_by_hand_it_gives_back_the_best_so_far(place, nth, n_done):
    whole, params = undisturbed()
    with trapped(place, nth, KeyboardInterrupt) as options:
        run = trained(**{"validate": validate} | options)
    found = {step: value for step, value in whole.validations.items() if step <= n_done}
    assert run.losses == whole.losses[:n_done] and run.validations == found
    assert same_trees(run.params, params[min(found, key=found.get)])


@expected_warnings
@pytest.mark.parametrize("place, nth, n_done", [("validate", 1, 3), ("on_step", 2, 2), ("draw", 1, 0)])
def test_stopped_by_hand_before_the_first_validation_it_gives_back_the_last(place, nth, n_done):
    with trapped(place, nth, KeyboardInterrupt) as options:
        run = trained(**{"validate": validate} | options)
    assert len(run.losses) == n_done and run.validations == {} and same_trees(run.params, undisturbed()[1][n_done])


def test_another_error_is_not_swallowed():
    for place, nth in (("draw", 3), ("loss", 3), ("on_step", 3), ("validate", 1)):
        with trapped(place, nth, RuntimeError("its own")) as options, pytest.raises(RuntimeError, match="its own"):
            trained(**{"validate": validate} | options)


def loss_with(params, extras, x, labels, rng=None):
    """extras: (n, 2), a factor, which as 0 leaves the loss finite and makes its slope nan; and what is added."""
    W = params["output"]["W"]
    factor, added = np.mean(extras, axis=0)
    return loss(params, x, labels, rng) + np.sqrt(np.sum(W * W) * factor) / 100 + added


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("step", [1, 6])
@pytest.mark.parametrize("extras, said", [((np.nan, 0), "nan"), ((np.inf, 0), "inf"), ((0, 0), r"\d"),
                                          ((1, np.nan), "nan"), ((1, -np.inf), "-inf")])
def test_a_loss_or_a_slope_that_is_not_a_number_ends_the_training(tmp_path, extras, said, step, workers):
    count, all_params = itertools.count(1), {0: start()}

    def spoiled(rng, spoiled_step=step):
        x, labels = draw(rng)
        return np.tile(extras if next(count) == spoiled_step else (1.0, 0.0), (len(x), 1)), x, labels
    options = {"loss": loss_with, "workers": workers}
    whole = trained(8, **options, on_step=lambda step: all_params.update({step.step: step.params}),
                    draw=lambda rng: spoiled(rng, None))
    count = itertools.count(1)
    with pytest.warns(UserWarning, match=f"^at step {step} the loss is {said}") as warned:
        run = trained(8, **options, draw=spoiled, checkpoint=tmp_path / "a.npz")
    (warning,) = [warning for warning in warned if warning.category is UserWarning]         # the others are NumPy's
    assert warning.filename == __file__ and run.stopped == str(warning.message)
    assert run.losses == whole.losses[:step - 1] and same_trees(run.params, all_params[step - 1])
    assert all(np.isfinite(x).all() for x in flat(run.params).values())
    assert (tmp_path / "a.npz").exists() == (step > 4)


# Checkpoints

def resumed(path, **options):
    with pytest.warns(UserWarning, match="^going on after step"):
        return trained(checkpoint=path, **{"validate": validate} | options)


@expected_warnings
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("place", [*PLACES, "save"])
def test_an_interrupted_training_goes_on_to_the_bit(tmp_path, place, error, workers):
    whole = trained(validate=validate, workers=workers)
    moments = range(1, 4) if place in ("validate", "save") else (1, 4, 5, 11, 12)
    for nth, after in itertools.product(moments, (False, True)):
        path, nth = tmp_path / f"{nth}-{after}.npz", nth * workers if place == "loss" else nth
        with trapped(place, nth, error, after) as options, contextlib.suppress(RuntimeError):
            trained(**{"validate": validate, "workers": workers} | options, checkpoint=path)
        again = trained(validate=validate, checkpoint=path, workers=workers)
        assert same(again, whole) and again.stopped == ""
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz"}


interruptions = st.tuples(st.sampled_from([*PLACES, "save"]), st.integers(1, 7),
                          st.sampled_from([KeyboardInterrupt, RuntimeError]), st.booleans())


@expected_warnings
@few
@given(st.lists(interruptions, max_size=6), st.sampled_from([SGD(0.9), AdamW()]), st.integers(1, 5))
def test_however_often_it_is_interrupted_it_goes_on_to_the_bit(moments, optimizer, every):
    options = {"validate": validate, "every": every, "optimizer": optimizer}
    whole = trained(**options)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")                 # hypothesis runs each example on its own
        options["checkpoint"] = Path(folder, "file")
        for moment in moments:
            with trapped(*moment) as changed, contextlib.suppress(RuntimeError):
                trained(**options | changed)
        assert same(trained(**options), whole)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox,
                                  np.random.SFC64])
def test_all_that_it_takes_to_go_on_is_in_the_file(tmp_path, kind):
    """Not in the params and the rng that it is given: they are others."""
    whole = fit(loss, start(), draw, 10, np.random.Generator(kind(0)), rate=0.1, every=3)
    fit(loss, start(), draw, 6, np.random.Generator(kind(0)), rate=0.1, every=3, checkpoint=tmp_path / "a")
    other = nested({name: 0 * x for name, x in flat(start()).items()})
    with pytest.warns(UserWarning, match="^going on after step 6, from .*a; to begin anew, delete it$"):
        run = fit(loss, other, draw, 10, np.random.Generator(kind(1)), rate=0.1, every=3, checkpoint=tmp_path / "a")
    assert same(run, whole) and run.losses[:6] == whole.losses[:6]


def test_the_best_so_far_is_in_the_file_too(tmp_path):
    whole = trained(validate=rising)
    trained(9, validate=rising, checkpoint=tmp_path / "a")
    run = resumed(tmp_path / "a", validate=rising)
    assert same_trees(run.params, whole.params) and min(whole.validations, key=whole.validations.get) == 4


def test_float32_comes_back_as_float32(tmp_path):
    options = {"params": start(np.float32), "validate": validate}
    trained(6, **options, checkpoint=tmp_path / "a")
    run = resumed(tmp_path / "a", **options)
    assert {x.dtype for x in flat(run.params).values()} == {np.dtype(np.float32)}


def test_a_finished_training_takes_no_step_more(tmp_path):
    path = tmp_path / "a"
    whole = trained(validate=validate, checkpoint=path)
    again = resumed(path, draw=lambda rng: pytest.fail("it took a step"))
    assert same(again, whole) and len(again.losses) == 12


@expected_warnings
@pytest.mark.parametrize("place, nth, n_done", [("draw", 3, 2), ("loss", 7, 6), ("on_step", 9, 9), ("validate", 2, 7)])
def test_stopped_by_hand_it_is_saved_at_the_last_step(tmp_path, place, nth, n_done):
    with trapped(place, nth, KeyboardInterrupt) as options:
        run = trained(**{"validate": validate} | options, checkpoint=tmp_path / "a")
    about, arrays = load_model(tmp_path / "a", "checkpoint")
    assert about["step"] == n_done == len(arrays["losses"]) and list(arrays["losses"]) == run.losses


@expected_warnings
def test_stopped_by_hand_before_the_first_step_it_saves_nothing(tmp_path):
    with trapped("loss", 1, KeyboardInterrupt) as options:
        run = trained(**options, checkpoint=tmp_path / "a")
    assert run.losses == [] and [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("optimizer", [SGD(), AdamW()])
def test_it_is_written_every_so_many_steps_and_after_the_last(tmp_path, optimizer):
    path, there = tmp_path / "a", []
    with pytest.raises(RuntimeError):
        with trapped("on_step", 6, RuntimeError) as options:
            trained(10, checkpoint=path, optimizer=optimizer, draw=lambda rng: there.append(path.exists()) or draw(rng),
                    **options)
    assert there == [False] * 4 + [True] * 2 and load_model(path, "checkpoint")[0]["step"] == 4
    with pytest.warns(UserWarning, match="^going on after step 4"):
        trained(10, checkpoint=path, optimizer=optimizer)
    assert load_model(path, "checkpoint")[0]["step"] == 10


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The bytes of one."""
    path = tmp_path_factory.mktemp("checkpoint") / "a.npz"
    trained(4, validate=validate, checkpoint=path)
    return path.read_bytes()


def rewritten(content, change, kind="checkpoint"):
    """A checkpoint of which something else has been made."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.npz")
        path.write_bytes(content)
        about, arrays = load_model(path, "checkpoint")
        change(about, arrays)
        save_model(path, kind, about, arrays)
        return path.read_bytes()


def of_a_newer_version(content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "FORMAT", files.FORMAT + 1)
        return rewritten(content, lambda about, arrays: None)


DAMAGES = {
    "empty": lambda content: b"", "text": lambda content: b"These are my notes.\n",
    **{f"cut-at-{share}": lambda content, share=share: content[:int(share * len(content))]
       for share in (0.01, 0.1, 0.5, 0.9999)},
    "newer": of_a_newer_version, "model": lambda content: rewritten(content, lambda about, arrays: None, "Transformer"),
    **{f"without-{name}": lambda content, name=name: rewritten(content, lambda about, arrays: about.pop(name))
       for name in ("step", "rng", "settings", "validations")},
    **{f"without-{name}": lambda content, name=name: rewritten(content, lambda about, arrays: arrays.pop(name))
       for name in ("params", "best", "state", "losses")},
    **{f"{name}-of-another": lambda content, name=name: rewritten(content, lambda _, arrays: arrays[name].popitem())
       for name in ("params", "best")},
    "state-of-another": lambda content: rewritten(content, lambda about, arrays: arrays["state"]["mean"].popitem()),
    "state-without-squares": lambda content: rewritten(content, lambda about, arrays: arrays["state"].pop("square")),
    "rng-of-another": lambda content: rewritten(content, lambda about, arrays: about["rng"].pop("bit_generator")),
    "step-in-words": lambda content: rewritten(content, lambda about, arrays: about.update(step="four"))}


@expected_warnings
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_damaged_or_something_else_is_refused_by_name_and_left_alone(tmp_path, checkpoint, damage):
    path, content = tmp_path / "of_mine.npz", DAMAGES[damage](checkpoint)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        trained(checkpoint=path, draw=lambda rng: pytest.fail("it took a step"))
    assert path.read_bytes() == content and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("options, words", [
    ({"optimizer": SGD()}, "its settings are (None, AdamW("), ({"optimizer": AdamW((0.9, 0.99))}, "betas=(0.9, 0.99)"),
    ({"params": start() | {"more": np.ones(3)}}, "more"), ({"params": {"hidden": start()["hidden"]}}, "output/W"),
    ({"params": start() | {"output": {"W": np.ones((8, 7))}}}, "output/W must have shape (8, 7)"),
    ({"rng": np.random.Generator(np.random.MT19937(0))}, "its random numbers are from PCG64")],
    ids=["sgd", "betas", "more", "fewer", "other-shape", "other-rng"])
def test_the_checkpoint_of_another_training_is_refused(tmp_path, checkpoint, options, words):
    path = tmp_path / "of_mine.npz"
    path.write_bytes(checkpoint)
    options = {"loss": loss, "params": start(), "draw": draw, "n_steps": 12, "rng": np.random.default_rng(0)} | options
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        fit(**options, checkpoint=path)
    assert str(path) in str(error.value) and path.read_bytes() == checkpoint


def half_a_file(file, **arrays):
    file.write(b"half of")
    raise OSError("No space left on device")


def no_permission(*_):
    raise PermissionError("Permission denied")


@pytest.mark.parametrize("module, name, fails", [(os, "replace", no_permission), (np, "savez", half_a_file)])
def test_where_writing_fails_it_says_so_and_the_old_file_is_whole(tmp_path, monkeypatch, checkpoint, module, name,
                                                                  fails):
    path = tmp_path / "a.npz"
    path.write_bytes(checkpoint)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, fails)
        with pytest.raises(OSError, match="No space|Permission"), pytest.warns(UserWarning, match="^going on"):
            trained(checkpoint=path, validate=validate)
    assert path.read_bytes() == checkpoint and [*tmp_path.iterdir()] == [path]
    assert same(resumed(path), undisturbed()[0])


# The tasks

RULES = {"copy": lambda row: row, "reverse": lambda row: row[::-1], "shift": lambda row: row[-1:] + row[:-1],
         "swap": lambda row: [row[j ^ 1] if j ^ 1 < len(row) else row[j] for j in range(len(row))]}
TASKS = {"copy": copy_task, "reverse": reverse_task, "shift": shift_task,
         "swap": functools.partial(letters_task, lambda j, n: np.where(j ^ 1 < n, j ^ 1, j))}


@pytest.mark.parametrize("options", [{}, {"shortest": 1, "longest": 12, "n_letters": 26}, {"shortest": 4, "longest": 4},
                                     {"n_letters": 1, "n_rows": 3}], ids=str)
@pytest.mark.parametrize("name", RULES)
def test_targets_of_letters_follow_the_rule(name, options):
    task = TASKS[name](**options)
    shortest, longest, n_letters = (options.get(key, value) for key, value in (
        ("shortest", 3), ("longest", 8), ("n_letters", 16)))
    src, tgt = task.draw(np.random.default_rng(0), 500)
    assert src.shape == (500, longest) and tgt.shape == (500, longest + 2)
    letters = [chr(ord("a") + i) for i in range(n_letters)]
    for row, source, target in zip(src, task.source.decode(src), task.target.decode(tgt), strict=True):
        source = source.split()
        assert target.split() == ["<START>", *RULES[name](source), "<END>"]
        assert not row[len(source):].any() and {*source} <= {*letters}
    lengths = np.count_nonzero(src, axis=1)
    assert {*lengths} == {*range(shortest, longest + 1)} and len(np.unique(src[src != PAD])) == n_letters
    assert np.array_equal(np.count_nonzero(tgt, axis=1), lengths + 2)
    assert np.array_equal(tgt == PAD, np.arange(longest + 2) >= lengths[:, None] + 2)
    assert task.source.words == task.target.words == [*Vocabulary.SPECIAL, *letters]


def test_a_batch_of_a_task_is_what_fit_takes():
    task = reverse_task(n_rows=5)
    src, inputs, labels = task.batch(np.random.default_rng(3))
    expected, tgt = task.draw(np.random.default_rng(3), 5)
    assert np.array_equal(src, expected) and len(src) == 5
    assert np.array_equal(inputs, tgt[:, :-1]) and np.array_equal(labels, tgt[:, 1:]) and copy_task().n_rows == 64


def test_the_draw_comes_from_the_rng_alone():
    for task in (copy_task(), numbers_task(range(50))):
        draws = [task.draw(np.random.default_rng(seed), 9) for seed in (0, 0, 1)]
        assert np.array_equal(draws[0][1], draws[1][1]) and not np.array_equal(draws[0][1], draws[2][1])


@pytest.mark.parametrize("numbers", [[7], [0, 999, 21, 100], range(300, 340), np.arange(1, 1000, 9)], ids=str)
def test_only_the_given_numbers_are_drawn(numbers):
    task = numbers_task(numbers, n_rows=4)
    src, tgt = task.draw(np.random.default_rng(0), 2000)
    drawn = {*zip(task.source.decode(src), task.target.decode(tgt), strict=True)}
    assert drawn == {(in_english(int(n)), f"<START> {in_german(int(n))} <END>") for n in numbers}
    assert len(task.batch(np.random.default_rng(0))[0]) == 4
    assert (len(task.source), len(task.target)) == (4 + 29, 4 + 31)     # they know all numbers all the same
    assert Vocabulary.unk_id not in (*src.flat, *tgt.flat)


def test_only_whole_rows_are_exact(monkeypatch):
    tgt = np.array([[START, 5, 6, END, PAD]] * 8)
    written = np.array([[5, 6, END, PAD], [5, 6, END, 7], [5, 7, END, PAD], [5, END, PAD, PAD], [5, 6, 6, END],
                        [5, 6, PAD, END], [5, PAD, END, PAD], [6, 5, END, PAD]])    # the second: after its end
    calls = []

    def model(params, config, src, tgt):
        calls.append((params, config, src))
        return np.eye(8)[np.repeat(written[:, [tgt.shape[1] - 1]], tgt.shape[1], axis=1)]
    monkeypatch.setattr(training, "transformer", model)
    src = np.ones((8, 3), int)
    assert exact_match("params", "config", src, tgt) == 2 / 8 and type(exact_match(0, 0, src, tgt)) is float
    assert calls[0][:2] == ("params", "config") and calls[0][2] is src
    written = np.array([[5, 6, END, PAD]] * 8)          # all end early: no word is written after that
    assert exact_match(0, 0, src, tgt) == 1


# Slow: killed, and at length

KILLED = """
import sys

import numpy as np

from scratchformer_lib.block import dropout
from scratchformer_lib.multi_head import linear
from scratchformer_lib.support.files import save_model
from scratchformer_lib.training import cross_entropy, fit


def draw(rng):
    x = rng.standard_normal((8, 100))
    return x, np.argmax(x[:, :6], axis=1)


def loss(params, x, labels, rng=None):
    return cross_entropy(linear(dropout(np.tanh(linear(x, params["W_1"])), 0.3, rng), params["W_2"]), labels)


rng = np.random.default_rng(0)
params = {"W_1": rng.standard_normal((100, 300)), "W_2": rng.standard_normal((300, 6))}
run = fit(loss, params, draw, 1000, rng, every=5, checkpoint=sys.argv[1], ignore_id=None,
          on_step=lambda step: print(step.step, flush=True), validate=lambda params: float(np.sum(params["W_2"] ** 2)))
save_model(sys.argv[2], "end", {"losses": run.losses, "validations": run.validations}, run.params)
"""


def start_process(folder):
    command = [sys.executable, "-W", "ignore", "-c", KILLED, folder / "checkpoint.npz", folder / "end.npz"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})


def left_alone(folder):
    """What a training of its own ends in, and the step that it begins with."""
    said = start_process(folder).communicate()[0]
    return *load_model(folder / "end.npz", "end"), int(said.split()[0])


@pytest.mark.slow
@pytest.mark.parametrize("by_hand", [False, pytest.param(
    True, marks=pytest.mark.skipif(os.name == "nt", reason="Windows cannot send the signal of Ctrl+C to one process"))])
def test_a_training_that_is_killed_twenty_times_ends_as_one_that_was_left_alone(tmp_path, by_hand):
    (tmp_path / "alone").mkdir()
    about, params, first = left_alone(tmp_path / "alone")
    assert first == 1 and len(about["losses"]) == 1000
    rng, reached = np.random.default_rng(), 0
    for _ in range(20):
        process = start_process(tmp_path)
        for _ in range(rng.integers(1, 20)):            # it says how far it is; then a moment more
            step = int(process.stdout.readline())
        time.sleep(rng.uniform(0, 0.02))
        if by_hand:
            process.send_signal(signal.SIGINT)
        else:
            process.kill()
        process.communicate()
        assert (process.returncode == 0) == by_hand
        assert step > reached - 5, "it began anew"
        reached = step
    again, again_params, first = left_alone(tmp_path)
    assert first > 20 and again == about and same_trees(again_params, params)


def learned(task, n_steps):
    """A small Transformer that has learned a task: its params and config."""
    config = TransformerConfig(len(task.source), len(task.target), d_model=32, n_heads=4, d_ff=64, n_encoder_layers=1,
                               n_decoder_layers=1, max_length=16, pre_norm=True, dropout=0.0)
    rng = np.random.default_rng(0)

    def loss(params, src, inputs, labels, rng=None):
        return cross_entropy(transformer(params, config, src, inputs, rng), labels, PAD)
    run = fit(loss, init_transformer(rng, config), task.batch, n_steps, rng,
              rate=lambda step: warmup_cosine(step, 0.01, 50, n_steps))
    return run.params, config


@pytest.mark.slow
@pytest.mark.parametrize("make", [copy_task, reverse_task])
def test_rows_of_up_to_twelve_letters_are_learned(make):
    task = make(longest=12)
    assert len(task.source) == 20
    assert exact_match(*learned(task, 1200), *task.draw(np.random.default_rng(1), 1000)) > 0.99


@pytest.mark.slow
def test_numbers_never_seen_are_translated():
    shuffled = np.random.default_rng(0).permutation(np.arange(1, 1000))
    params, config = learned(numbers_task(shuffled[200:]), 500)
    task = numbers_task(range(1000))                    # the same words
    src = task.source.encode([in_english(int(n)) for n in shuffled[:200]])
    tgt = task.target.encode([f"<START> {in_german(int(n))} <END>" for n in shuffled[:200]])
    assert exact_match(params, config, src, tgt) > 0.95
