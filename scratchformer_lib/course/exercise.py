"""Exercises as data, and how an answer is judged. Nothing here displays, saves or raises.

An answer is judged in two steps, which may happen in two processes: `attempts` runs it on every case and keeps what
came back; `verdict` compares that with the reference and says which known mistake it is.
"""
import contextlib
import copy
import ctypes
import inspect
import io
import linecache
import re
import threading
import traceback
import warnings
from dataclasses import dataclass, field

import numpy as np

from .card import in_digits_that_tell_apart

MOST_PRINTED = 2000                     # characters of what an answer prints
TIME_LIMIT = 10.0                       # seconds for all cases of one check
TOLERANCE = {"float16": 1e-2, "float32": 1e-5, "complex64": 1e-5}     # relative to the largest entry; else 1e-9
ORDINALS = ["first", "second", "third", "fourth", "fifth"]
PASSED, WRONG, CRASHED, NOT_ATTEMPTED = "passed", "wrong", "crashed", "not attempted"


@dataclass(frozen=True)
class Case:
    """One call of the learner's function: f(*args, **options).

    title: what is special about it, in a few words.
    axes: the names of the result's axes, "T S"; for several results a tuple or dict of such strings.
    """
    title: str
    args: tuple
    options: dict = field(default_factory=dict)
    axes: object = ""


class Exercise:
    """What is asked, as data.

    reference: the right function or class; its name is the exercise's.
    inputs: () -> list of Cases, the same at every call.
    call: (f, case) -> what f makes of the case, a tree of arrays. It must not need the reference: the instructor's
        desk runs it in a process that has none.
    seen: (case, what call gave) -> what of it is judged, and compared with known mistakes.
    judge: (case, what is seen) -> None if it is right, else a Difference; where several answers are right.
    """

    def __init__(self, reference, inputs, call=None, judge=None, seen=None):
        self.reference, self.name, self.inputs = reference, reference.__name__, inputs
        self.call = call or (lambda f, case: f(*case.args, **case.options))
        self.seen = seen or (lambda case, output: output)
        self.judge = judge or self.compare_with_reference
        self.mistakes, self.alternatives = [], []           # (function, sentence); function
        self.number = None                                  # "3.4": set by checks.exercises, from its place

    def mistake(self, sentence):
        """Decorate a wrong version that people really write; the sentence says what is wrong and how to see it."""
        def register(f):
            self.mistakes.append((f, sentence))
            return f
        return register

    def alternative(self, f):
        """Decorate a different right version."""
        self.alternatives.append(f)
        return f

    def compare_with_reference(self, case, output):
        with quiet():
            expected = self.seen(case, self.call(self.reference, case))
        return compare(expected, output, case.axes)


# ---- running an answer --------------------------------------------------------------------------------------------

@dataclass
class Failure:
    """An exception as data: its type's name, its message, and the line of the answer that it came from."""
    kind: str
    message: str
    line: str = ""


@dataclass
class Attempt:
    """What an answer made of one case."""
    value: object = None
    error: Failure | None = None
    printed: str = ""
    changed: tuple = ()                 # names of the arguments that were modified


class TimedOut(BaseException):
    """The time limit is over. Not an Exception, so that an answer's own `except Exception` lets it through."""


def attempts(exercise, f, cases=None, seconds=None):
    """Run f on every case (or on copies of some), and keep what came back. One that runs out of time is the last."""
    cases, done = cases or exercise.inputs(), []
    untouched_cases = copy.deepcopy(cases)

    def run():
        for case, untouched in zip(cases, untouched_cases, strict=True):
            done.append(attempt(exercise, f, case, untouched))
            if done[-1].error and done[-1].error.kind == "TimedOut":
                break

    try:
        within(seconds or TIME_LIMIT, run)
    except TimedOut:                    # it came between two cases
        if len(done) < len(cases):
            done.append(Attempt(error=Failure("TimedOut", "")))
    return done


def attempt(exercise, f, case, untouched):
    result, printed = Attempt(), Kept()
    try:
        with quiet(), contextlib.redirect_stdout(printed):
            result.value = exercise.seen(untouched, exercise.call(f, case))
    except KeyboardInterrupt:           # the reader pressed stop
        raise
    except BaseException as error:
        result.error = failure(error, f)
    result.printed = printed.getvalue()
    names = parameter_names(exercise.reference, case)
    result.changed = tuple(name for name, before, now in zip(names, [*untouched.args, *untouched.options.values()],
                           [*case.args, *case.options.values()], strict=True) if compare(before, now) is not None)
    return result


class Kept(io.StringIO):
    """What an answer prints, as far as anybody will read it: a loop without end may print gigabytes."""

    def write(self, text):
        if self.tell() < MOST_PRINTED:
            super().write(text[:MOST_PRINTED])
        return len(text)


def failure(error, f):
    try:
        message = "" if isinstance(error, TimedOut) else str(error)
    except BaseException:               # an exception of the answer's own, with a broken __str__
        message = ""
    parts = vars(f).values() if inspect.isclass(f) else [inspect.unwrap(f) if callable(f) else f]
    files = {part.__code__.co_filename for part in parts if hasattr(part, "__code__")}
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in files]
    line = linecache.getline(own[-1].filename, own[-1].lineno).strip() if own else ""
    return Failure(type(error).__name__, message, line)


def parameter_names(reference, case):
    names = list(inspect.signature(reference).parameters)[:len(case.args)]
    names += [f"argument {i}" for i in range(len(names) + 1, len(case.args) + 1)]
    return [*names, *case.options]


@contextlib.contextmanager
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def within(seconds, run):
    """Call run(); raise TimedOut in it when the time is over, again every second until it gets through.

    It gets through between two steps of Python code: a loop is interrupted; one long call into compiled code (a huge
    matrix product, time.sleep) is only once it returns, and `while True: try: ... except: pass` never is.
    """
    thread, done, lock = threading.get_ident(), threading.Event(), threading.Lock()

    def throw(exception):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)

    def watch():
        pause = seconds
        while not done.wait(pause):
            with lock:
                if not done.is_set():
                    throw(ctypes.py_object(TimedOut))
            pause = 1.0

    try:                                # TimedOut may strike on the way out too, but not twice within a second,
        try:                            # so one of the two lines that set `done` is reached
            threading.Thread(target=watch, daemon=True).start()
            run()
        finally:
            done.set()
    finally:
        done.set()
        with lock:
            throw(None)                 # one that is still on its way


# ---- judging it ---------------------------------------------------------------------------------------------------

@dataclass
class Difference:
    """What first differs, in words; and where two arrays differ in their values, both of them."""
    text: str
    expected: object = None
    got: object = None
    wrong: object = None                # where they differ: a bool array
    advice: str = ""                    # what to try, for where the mistake is not known


@dataclass
class Verdict:
    outcome: str
    exercise: Exercise
    case: Case | None = None
    position: int = 0                   # of the case, from 1
    n_cases: int = 0
    attempt: Attempt | None = None
    difference: Difference | None = None
    sentence: str = ""                  # of the known mistake
    missing: str = ""                   # the number of another exercise that has to be solved first


def verdict(exercise, done):
    """Judge what `attempts` brought back."""
    cases = exercise.inputs()
    for i, (case, result) in enumerate(zip(cases, done, strict=False)):
        found = Verdict(PASSED, exercise, case, i + 1, len(cases), result)
        if result.error:
            stub = re.fullmatch(r"Exercise (\d+\.\d+)", result.error.message)
            if result.error.kind == "NotImplementedError" and stub:
                found.outcome = NOT_ATTEMPTED
                found.missing = "" if stub[1] == exercise.number else stub[1]
                return found
            found.outcome = CRASHED
        else:
            found.difference = difference(exercise, case, result)
            found.outcome = WRONG if found.difference else PASSED
        if found.outcome != PASSED:
            found.sentence = known_mistake(exercise, done, i)
            return found
    printed = next((result.printed for result in done if result.printed), "")
    return Verdict(PASSED, exercise, n_cases=len(cases), attempt=Attempt(printed=printed))


def judge(exercise, f):
    """Run and judge an answer in this process."""
    return verdict(exercise, attempts(exercise, f))


def difference(exercise, case, result):
    if result.changed:
        nothing = ", and returned nothing" if result.value is None else ""
        return Difference(f"your function changed its argument `{result.changed[0]}`, which the caller still needs"
                          + nothing)
    try:
        return exercise.judge(case, result.value)
    except Exception as error:          # a judge of properties may stumble over a strange answer
        return Difference(f"the answer could not be judged: {type(error).__name__}: {error}")


def known_mistake(exercise, done, first):
    """The sentence of the mistake that behaves as this answer does: on its first wrong case, and on more than half of
    those where one of the two is wrong. (On one small case, different mistakes may look the same.)"""
    best, most = "", 0
    cases = exercise.inputs()
    for wrong, sentence in exercise.mistakes:
        if not alike(attempts(exercise, wrong, copy.deepcopy(cases[first:first + 1]))[0], done[first]):
            continue
        theirs = attempts(exercise, wrong)
        same = list(map(alike, theirs, done))
        judged = [s for s, case, a, b in zip(same, cases, theirs, done, strict=False)
                  if not s or a.error or difference(exercise, case, b)]
        if 2 * sum(judged) > len(judged) and sum(same) > most:
            best, most = sentence, sum(same)
    return best


def alike(a, b):
    if a.error or b.error:
        return bool(a.error and b.error) and a.error.kind == b.error.kind and what(a.error) == what(b.error)
    try:
        return a.changed == b.changed and compare(a.value, b.value) is None
    except Exception:                   # values of types that cannot be compared
        return False


def what(error):
    """The message of a Failure, without addresses, and without the modules that functions come from. A library function
    that has a gradient by hand counts as a function, which it is where chapter 11 is not there yet."""
    message = error.message.replace("'differentiable'", "'function'")
    return re.sub(r" at 0x\w+|\b(\w+\.)+(?=\w+\(\))", "", message)


def compare(expected, got, axes="", where=""):
    """What first differs between two trees of arrays: structure, shape, values, then dtype. None if nothing does.

    Values come before the dtype: whoever took the mean of integers needs to hear of the mean, not of float64.
    """
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray) and expected.dtype == got.dtype \
            and expected.dtype.kind in "biuf" and np.array_equal(expected, got):
        return None                     # the usual case: an argument that nobody changed
    if isinstance(expected, (tuple, list, dict)):
        return compare_trees(expected, got, axes, where)
    if not isinstance(expected, (np.ndarray, np.generic, int, float, complex)):
        by_value = isinstance(expected, (str, bytes, set, frozenset, range, type(None)))      # a Generator: by type
        same = type(got) is type(expected) and (got == expected or not by_value)
        return None if same else Difference(f"{where}expected {expected!r}, got {describe(got)}")
    expected = np.asarray(expected)
    is_number = isinstance(got, (np.generic, int, float, complex))
    python_number = is_number and not isinstance(got, np.generic)
    if not isinstance(got, np.ndarray) and not (is_number and expected.ndim == 0):
        hint = "Does it end in `return`?" if got is None else ""
        if isinstance(got, (list, tuple)):
            hint = "`np.array` makes an array of numbers, `np.stack` one of arrays."
        return Difference(f"{where}expected {described(expected, axes)}, got {describe(got)}", advice=hint)
    if np.shape(got) != expected.shape:
        return Difference(f"{where}expected shape {shape_text(expected.shape, axes)}, got {shape_text(np.shape(got))}")
    got = np.asarray(got)
    comparable = got.dtype.kind in "biuf" or got.dtype.kind == expected.dtype.kind
    found = compare_values(expected, got, axes, where) if comparable else None
    as_good = python_number and got.dtype.kind == expected.dtype.kind
    if found is None and got.dtype != expected.dtype and not as_good:
        why = about_dtype(expected.dtype, got.dtype)
        return Difference(f"{where}expected dtype {expected.dtype}, got {got.dtype}", advice=why)
    return found


def about_dtype(expected, got):
    if expected == np.float32 and got == np.float64:
        return ("The numbers are right, but float64 takes a big model twice the time and memory. Something in your "
                "function makes it: a dtype you ask for, or `np.zeros(n)`, which is float64 unless you name a dtype.")
    if expected.kind == "b":
        return "True and False come from a comparison, or from `dtype=bool`."
    return "Whole numbers cannot hold fractions: leave the dtype away." if got.kind in "iu" else ""


def compare_trees(expected, got, axes, where):
    keys = list(expected) if isinstance(expected, dict) else range(len(expected))
    if isinstance(expected, dict):
        if not isinstance(got, dict) or set(got) != set(keys):
            return Difference(f"{where}expected a dict with keys {sorted(map(str, keys))}, got {describe(got)}")
    elif not isinstance(got, (tuple, list)) or len(got) != len(expected):
        hint = "Does it end in `return`?" if got is None else ""
        return Difference(f"{where}expected {len(expected)} values, got {describe(got)}", advice=hint)
    for key in keys:
        few = not isinstance(expected, dict) and len(keys) <= len(ORDINALS)
        part = f"in the {ORDINALS[key]} result" if few else f"in [{key!r}]"
        found = compare(expected[key], got[key], axes[key] if axes else "", f"{where}{part}, ")
        if found:
            return found
    return None


def compare_values(expected, got, axes, where):
    if expected.dtype.kind not in "fc":
        off = np.asarray(got != expected)
        worst = off
    else:
        with quiet():
            finite = np.isfinite(expected)
            largest = np.max(np.abs(expected[finite]), initial=0)
            same = (got == expected) | (np.isnan(got) & np.isnan(expected))
            error = np.where(same, 0, np.abs(got - expected))
            error = np.where(np.isnan(error), np.inf, error)
            tolerance = max(TOLERANCE.get(str(dtype), 1e-9) for dtype in (expected.dtype, got.dtype))
            off = error > tolerance * (largest or 1)
            worst = error
    if not off.any():
        return None
    index = np.unravel_index(np.argmax(worst), expected.shape)
    names = axes.split() if isinstance(axes, str) else []
    if len(names) == 2 and names[0] == names[1]:
        names = ["row", "column"]
    place = ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=True)) if len(names) == expected.ndim else \
        str(list(map(int, index)))
    what = "the number differs:"
    if expected.ndim:
        differ = "differs," if off.sum() == 1 else "differ; the worst,"
        what = f"{off.sum()} of {off.size} numbers {differ} at {place}:"
    wanted, given = in_digits_that_tell_apart(*(np.atleast_1d(x[index]) for x in (expected, got)), np.array([True]))
    return Difference(f"{where}{what} expected {wanted[0]}, got {given[0]}", expected, got, off)


def shape_text(shape, axes=""):
    """(2, 3) with axes "T S" is written (T=2, S=3)."""
    names = axes.split() if isinstance(axes, str) else []
    if len(names) != len(shape) or not shape:
        return str(tuple(map(int, shape)))
    named = [f"{name}={n}" for name, n in zip(names, shape, strict=True)]
    return f"({named[0]},)" if len(named) == 1 else f"({', '.join(named)})"


def described(array, axes=""):
    return f"an array of shape {shape_text(array.shape, axes)}" if array.ndim else "a number"


def describe(value):
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return described(value)
    if isinstance(value, (tuple, list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, (np.generic, int, float, complex)):
        return f"a single number, {value:.6g}"
    return f"a {type(value).__name__}"
