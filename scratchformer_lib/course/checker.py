"""check and solution: an answer in, a card out."""
import ast
import inspect
import re
import sys

import numpy as np

from . import card, checks, exercise, learner
from .card import Card
from .exercise import CRASHED, NOT_ATTEMPTED, PASSED


class NotPassed(Exception):
    """A check that did not pass. The card has said why: in a notebook only one line is shown, no traceback."""

    def _render_traceback_(self):
        return [str(self)]


def check(f):
    """Judge the answer f, show a card, and raise NotPassed unless it is right."""
    asked = find_exercise(f)
    if isinstance(asked, Card):
        card.show(asked)
        raise NotPassed(card.plain(asked.title))
    found = exercise.judge(asked, f)
    shown = card_of(found, f)
    shown.lines = [*learner.older_than_its_cell(asked.name, f), *shown.lines]
    if found.outcome == PASSED:
        shown.lines += learner.save(asked, f)
    else:
        shown.lines += learner.leans_on_unsolved(asked, f)
    card.show(shown)
    if found.outcome != PASSED:
        raise NotPassed(f"{asked.name}: {found.outcome}")


def solution(f):
    """Show the worked answer to the exercise f."""
    asked = checks.all_exercises().get(f) if isinstance(f, str) else find_exercise(f)
    if not isinstance(asked, exercise.Exercise):
        card.show(asked or unknown(f))
        return
    text = inspect.getsource(asked.reference).rstrip()
    card.show(Card("note", f"{asked.name}: one way to write it", [], folded=[("Show the answer", text)]))


def find_exercise(f):
    """The exercise that f answers, or a card that says why there is none. The name that the notebook gives to f
    counts first: `softmax = lambda x: ...` is called <lambda>."""
    known = checks.exercises(learner.chapter()) if learner.chapter() else {}
    known = {**known, **checks.all_exercises(), **known}
    if isinstance(f, str) and f in known:
        return Card("note", f"Write check({f}), without quotes", ["`check` takes the function itself, not its name."])
    if not callable(f):
        what, bound = exercise.describe(f), [name for name, value in learner.namespace().items() if value is f]
        gone = [name for name in bound if name in known]
        if gone:
            return Card("note", f"{gone[0]} is no longer your function", [
                f"Something has been assigned to the name: it is {what} now. Run the cell of the function again."])
        example = next(iter(known))
        return Card("note", f"This is {what}", [
            f"`check` takes the function itself, not what it returns: `check({example})`, not `check({example}(x))`."])
    names = [name for name, value in learner.namespace().items() if value is f and name in known]
    own = getattr(f, "__name__", "")
    name = own if own in names or not names else names[0]
    return known.get(name) or unknown(name)


def unknown(name):
    here = ", ".join(f"`{name}`" for name in (checks.exercises(learner.chapter()) if learner.chapter() else
                                              checks.all_exercises()))
    advice = "Keep the name that the exercise gives."
    if name == "<lambda>":
        advice = "A lambda needs the name of its exercise: `softmax = lambda x, axis=-1: ...`."
    return Card("note", f"There is no exercise called {name or 'so'}", [f"{advice} Exercises here: {here}."])


def card_of(found, f):
    """The card for a verdict: which case, what first differs, which known mistake it is."""
    name, case, tried = found.exercise.name, found.case, found.attempt
    if found.outcome == PASSED:
        shown = Card(PASSED, f"{name} is right", [f"All {found.n_cases} cases pass."])
        return with_prints(shown, found.attempt)
    if found.outcome == NOT_ATTEMPTED:
        if found.missing:
            return Card(NOT_ATTEMPTED, f"{name}: solve {found.missing} first",
                        [f"It calls the function of exercise {found.missing}, which is still to be written."])
        return Card(NOT_ATTEMPTED, f"{name}: still to be written", [
            f"Replace the line `raise NotImplementedError(\"Exercise {found.exercise.number}\")` by your answer, "
            "run that cell, then this one. (If your answer stands there, it comes to that line all the same.)"])
    lines = [f"Case {found.position} of {found.n_cases}, {case.title}: {call_text(found)}"]
    if found.outcome == CRASHED:
        lines += crash_lines(found, f)
    else:
        lines += [" ".join(filter(None, [sentence(found.difference.text),
                                         "" if found.sentence else found.difference.advice]))]
    if found.sentence:
        lines += [found.sentence]
    elif found.attempt.changed:
        lines += [how_to_leave_it(found)]
    lines += other_defaults(found, f)
    shown = Card(found.outcome, f"{name}: not yet", lines)
    if found.difference and np.ndim(found.difference.expected) >= 1:
        shown.drawing = card.side_by_side(found.difference.expected, found.difference.got, found.difference.wrong)
    inputs = input_text(found)
    if inputs:
        shown.folded.append(("This case, to try it yourself", inputs))
    return with_prints(shown, tried)


def how_to_leave_it(found):
    """What to do instead of changing an argument."""
    names = exercise.parameter_names(found.exercise.reference, found.case)
    changed = dict(zip(names, [*found.case.args, *found.case.options.values()], strict=True))[found.attempt.changed[0]]
    if isinstance(changed, (dict, list)) and not any(isinstance(part, (np.ndarray, dict)) for part in (
            changed.values() if isinstance(changed, dict) else changed)):
        return "Methods such as `pop` and `append` change what they are called on: call them on a copy."
    return "`x = x + 1` makes a new array; `x += 1` and `x[0] = 1` write into the old one."


def with_prints(shown, tried):
    if tried.printed:
        cut = "\n..." if len(tried.printed) >= exercise.MOST_PRINTED else ""
        shown.folded.append(("What your function printed", tried.printed + cut))
    return shown


def crash_lines(found, f):
    error = found.attempt.error
    if error.kind == "TimedOut":
        return [f"It had not finished after {exercise.TIME_LIMIT:.0f} seconds and was interrupted. Is there a loop "
                "that does not end?" + (f" It was at the line `{error.line}`." if error.line else "")]
    arity = arity_line(found, f)
    where = f" In your line `{error.line}`." if error.line else ""
    message = error.message.strip() or "(no message)"
    stop = "" if message.endswith((".", "!", "?")) else "."
    return [arity] if arity else [f"`{error.kind}`: {message}{stop}{where}{meant(found)}"]


def meant(found):
    """A guess at the name that was meant, where one is missing."""
    error = found.attempt.error
    missing = re.match(r"name '(\w+)' is not defined", error.message) if error.kind == "NameError" else None
    if missing and hasattr(sys.modules[found.exercise.reference.__module__], missing[1]):
        return f" The chapter makes `{missing[1]}` in a cell above: run that one first."
    if missing and hasattr(np, missing[1]):
        return f" Did you mean `np.{missing[1]}`?"
    return ""


def other_defaults(found, f):
    """A line for each parameter whose default is not the exercise's."""
    try:
        mine = inspect.signature(f).parameters
    except (TypeError, ValueError):
        return []
    asked = inspect.signature(found.exercise.reference).parameters
    return [f"Your default is `{name}={in_code(mine[name].default)}`; the exercise gives "
            f"`{name}={in_code(asked[name].default)}`."
            for name in asked if name in mine and in_code(mine[name].default) != in_code(asked[name].default)
            and inspect.Parameter.empty not in (mine[name].default, asked[name].default)]


def arity_line(found, f):
    """Does f take other arguments than the exercise says? Python's own message names neither."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):     # built in: no signature to see
        return ""
    try:
        signature.bind(*found.case.args, **found.case.options)
    except TypeError:
        asked = inspect.signature(found.exercise.reference)
        return (f"It is called as {call_text(found)}, and yours takes `{in_code(signature)}`. Keep the parameters "
                f"that the exercise gives: `{found.exercise.name}{in_code(asked)}`.")
    return ""


def call_text(found):
    names = exercise.parameter_names(found.exercise.reference, found.case)
    values = [*found.case.args, *found.case.options.values()]
    shown = [name if isinstance(value, np.ndarray) else in_code(value)
             for name, value in zip(names, values, strict=True)]
    shown = [f"{name}={text}" if name in found.case.options else text
             for name, text in zip(names, shown, strict=True)]
    return f"`{found.exercise.name}({', '.join(shown)})`"


def in_code(value):
    """A value or a signature as one would write it: functions by their names."""
    text = str(value) if isinstance(value, inspect.Signature) else repr(value)
    text = re.sub(r"<class 'numpy\.(\w+)'>", r"np.\1", text)
    return re.sub(r"<function (?:\w+\.|<locals>\.)*(\w+) at 0x\w+>", r"\1", text)


def input_text(found):
    """The case as code to paste into a cell; nothing where it is too big to read, or holds what cannot be written."""
    names, call = exercise.parameter_names(found.exercise.reference, found.case), call_text(found).strip("`")
    arrays = {name: value for name, value in zip(names, [*found.case.args, *found.case.options.values()], strict=True)
              if isinstance(value, np.ndarray)}
    if not arrays or sum(a.size for a in arrays.values()) > 60 or any_unwritten(call, set(names) - set(arrays)):
        return ""
    with np.printoptions(precision=17, linewidth=110, suppress=True):
        text = [f"{name} = np.{np.array_repr(a)}".replace("dtype=", "dtype=np.") for name, a in arrays.items()]
    text = [re.sub(r"\b(inf|nan)\b", r"np.\1", line) for line in text]
    return "\n".join([*text, call])


def any_unwritten(call, names):
    """Whether a call stands for one of its arguments by its name alone."""
    try:
        return not names.isdisjoint(node.id for node in ast.walk(ast.parse(call)) if isinstance(node, ast.Name))
    except SyntaxError:
        return True


def sentence(text):
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
