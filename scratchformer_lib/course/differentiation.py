"""Which of a learner's functions a model can be trained on: those that have gradients, and are fast enough."""
import contextlib
import time
from dataclasses import replace

import numpy as np

from ..autograd import Tape, Tracked, backward, tree_map
from ..support.trees import flat
from ..transformer import TransformerConfig, init_transformer
from . import assemble, exercise
from .learner import FIRST_WITH_GRADIENTS

TOO_SLOW = 4                            # times the course's own step of training
TRAINED_LATER = {"transformer_lm"}      # of the chapters after the first with gradients, what has to be differentiable


def not_differentiable(answers, exercises):
    """{name: why} of the answers whose gradients are not those of the course's own function, or that have none."""
    problems = {}
    with assemble.trial(answers, assemble.shipped_modules(), assemble.SHIPPED) as function:
        for asked in exercises:
            trained = float(asked.number) < int(FIRST_WITH_GRADIENTS) or asked.name in TRAINED_LATER
            if asked.name in answers and trained:
                reason = assemble.failure_reason(of_gradients(asked), function)
                if reason:
                    problems[asked.name] = reason
    return problems


def of_gradients(asked):
    """An exercise of the same cases, as far as the course's own function can be differentiated there, which asks for
    the gradients of what the function returns, with respect to all arrays that it is given."""
    def call(f, case):
        tape, given = Tape(by_hand=False), []           # chapter 09 differentiates every step of a function

        def track(x):
            if isinstance(x, dict):
                return {key: track(part) for key, part in x.items()}
            if isinstance(x, (list, tuple)):
                return type(x)(map(track, x))
            if isinstance(x, np.ndarray) and x.dtype.kind == "f":
                given.append(tape.track(x))
                return given[-1]
            return x

        results = tracked_in(asked.call(f, replace(case, args=track(case.args), options=track(case.options))))
        rng = np.random.default_rng(0)
        found = backward(tape, {y.slot: rng.standard_normal(y.shape).astype(y.dtype) for y in results})
        found = [found.get(x.slot, np.zeros_like(x.value)) for x in given]
        exact = asked.judge == asked.compare_with_reference             # else there are several right answers
        return [dx if exact and dx.dtype == np.float64 else dx.shape for dx in found]

    def works(case):
        with exercise.quiet(), contextlib.suppress(Exception):
            call(asked.reference, case)
            return True
        return False

    return exercise.Exercise(asked.reference, call=call, inputs=lambda: [
        replace(case, axes="") for case in asked.inputs() if works(case)])


def tracked_in(tree):
    if isinstance(tree, dict):
        return tracked_in(list(tree.values()))
    if isinstance(tree, (list, tuple)):
        return [y for part in tree for y in tracked_in(part)]
    return [tree] if isinstance(tree, Tracked) else []


def too_slow(answers, exercises):
    """{name: why} of the answers with which a step of training takes too long, the slowest first."""
    slow, own = {}, step_time({}, exercises)
    if step_time(answers, exercises) > TOO_SLOW * own:
        alone = {name: step_time({name: answer}, exercises) / own for name, answer in answers.items()}
        for name in sorted(alone, key=alone.get, reverse=True):
            if step_time(assemble.all_but(answers, *slow), exercises) <= TOO_SLOW * own:
                break
            slow[name] = f"With it, a step of training takes {alone[name]:.0f} times as long"
    return slow


def step_time(answers, exercises):
    """The seconds of a small step of training with these answers in place, the best of three."""
    config = TransformerConfig(30, 30, d_model=32, n_heads=4, d_ff=64, n_encoder_layers=1, n_decoder_layers=1)
    rng = np.random.default_rng(0)
    params, src, tgt = init_transformer(rng, config), rng.integers(4, 30, (16, 10)), rng.integers(4, 30, (16, 11))
    with assemble.trial(answers, assemble.shipped_modules(), assemble.SHIPPED) as function:
        own = {asked.name: function(asked) for asked in exercises}

        def step():
            tape = Tape(by_hand=False)
            inputs, labels = own["teacher_forcing_pair"](tgt)
            tracked = tree_map(tape.track, params)
            loss = own["cross_entropy"](own["transformer"](tracked, config, src, inputs, rng), labels)
            found = backward(tape, {loss.slot: np.ones_like(loss.value)})
            dxs = flat(own["clip_by_norm"](tree_map(lambda x: found[x.slot], tracked), 1.0))
            for name, x in flat(params).items():
                own["adamw_step"](x, dxs[name], np.zeros_like(x), np.ones_like(x), 1, 0.001)

        def seconds():
            start = time.perf_counter()
            step()
            return time.perf_counter() - start

        return min(seconds() for _ in range(3))
