"""The checks are checked: every mistake is told by its own sentence, every alternative passes."""
import inspect

import numpy as np
import pytest

from scratchformer_lib.course import reference

EXERCISES = reference("checks").all_exercises()
judge = reference("exercise").judge

MISTAKES = [pytest.param(e, f, sentence, id=f"{e.name}-{f.__name__}")
            for e in EXERCISES.values() for f, sentence in e.mistakes]
ALTERNATIVES = [pytest.param(e, f, id=f"{e.name}-{f.__name__}") for e in EXERCISES.values() for f in e.alternatives]
ALL = [pytest.param(e, id=e.name) for e in EXERCISES.values()]


@pytest.mark.parametrize("exercise, f, sentence", MISTAKES)
def test_a_mistake_is_rejected_with_its_own_sentence(exercise, f, sentence):
    found = judge(exercise, f)
    assert found.outcome in ("wrong", "crashed")
    assert found.sentence == sentence


@pytest.mark.parametrize("exercise, f", ALTERNATIVES)
def test_a_right_answer_written_another_way_passes(exercise, f):
    found = judge(exercise, f)
    assert found.outcome == "passed", found.difference or found.attempt.error


@pytest.mark.parametrize("exercise", ALL)
def test_the_reference_passes(exercise):
    assert judge(exercise, exercise.reference).outcome == "passed"


@pytest.mark.parametrize("exercise", ALL)
def test_a_stub_is_not_attempted_and_another_ones_stub_names_it(exercise):
    def stub(*args, **kwargs):
        raise NotImplementedError(f"Exercise {exercise.number}")

    def other(*args, **kwargs):
        raise NotImplementedError("Exercise 98.7")

    assert (judge(exercise, stub).outcome, judge(exercise, stub).missing) == ("not attempted", "")
    assert (judge(exercise, other).outcome, judge(exercise, other).missing) == ("not attempted", "98.7")


@pytest.mark.parametrize("exercise", ALL)
def test_there_are_enough_mistakes_and_alternatives(exercise):
    assert len({sentence for _, sentence in exercise.mistakes}) >= 3
    assert len(exercise.alternatives) >= 2


@pytest.mark.parametrize("exercise", ALL)
def test_cases_are_the_same_at_every_call(exercise):
    compare = reference("exercise").compare
    for a, b in zip(exercise.inputs(), exercise.inputs(), strict=True):
        assert compare(a.args, b.args) is None
        arrays = [[x for x in case.args if isinstance(x, np.ndarray)] for case in (a, b)]
        assert not any(np.shares_memory(x, y) for x, y in zip(*arrays, strict=True))


@pytest.mark.parametrize("exercise", ALL)
def test_what_is_asked_has_a_docstring_that_gives_its_shapes(exercise):
    methods = vars(exercise.reference).values() if inspect.isclass(exercise.reference) else []
    text = "\n".join([inspect.getdoc(exercise.reference), *(m.__doc__ or "" for m in methods if inspect.isroutine(m))])
    assert "Returns" in text
    assert all(name in text for name in inspect.signature(exercise.reference).parameters)
