"""Which of a learner's functions have gradients: the engine of chapter 09, tried on the cases of their exercises."""
import contextlib
from dataclasses import replace

import numpy as np

from ..autograd import Tape, Tracked, backward
from . import assemble, exercise


def not_differentiable(answers, exercises):
    """{name: why} of the answers whose gradients are not those of the course's own function, or that have none."""
    problems = {}
    with assemble.trial(answers, assemble.shipped_modules(), assemble.SHIPPED) as function:
        for asked in exercises:
            if asked.name in answers and asked.reference.__module__ != Tape.__module__:      # not the engine itself
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
