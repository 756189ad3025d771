"""check takes whatever it is given, and says something useful."""
import time

import numpy as np
import pytest

from scratchformer_lib.course import check, reference, solution

exercise = reference("exercise")
checker = reference("checker")
Case, Exercise = exercise.Case, exercise.Exercise


def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def shown(f, capsys):
    """What check shows outside of a notebook, and whether it passed."""
    try:
        check(f)
    except checker.NotPassed as error:
        return capsys.readouterr().out, str(error)
    return capsys.readouterr().out, "passed"


def named_softmax(f):
    f.__name__ = "softmax"
    return f


def test_a_right_answer_passes(capsys):
    text, end = shown(softmax, capsys)
    assert end == "passed"
    assert "softmax is right (passed)" in text


class Returned:
    """An answer that ignores its input and returns a thing."""

    def __init__(self, thing):
        self.thing, self.__name__ = thing, "softmax"

    def __call__(self, x, axis=-1):
        return self.thing


@pytest.mark.parametrize("thing, words", [
    (None, "got None. Does it end in `return`?"),
    ([0.659, 0.242, 0.099], "Expected an array of shape (S=3,), got a list of 3. `np.array` makes an array"),
    ("shares", "got a str"),
    (0.5, "got a single number, 0.5"),
    ({}, "got a dict of 0"),
    (np.zeros((3, 1)), "Expected shape (S=3,), got (3, 1)"),
    (np.zeros((1, 3)), "Expected shape (S=3,), got (1, 3)"),
    (np.zeros(3, np.float32), "3 of 3 numbers differ"),
    (np.zeros(3, complex), "Expected dtype float64, got complex128"),
    (np.array([None, None, None]), "Expected dtype float64, got object"),
    (np.full(3, np.nan), "got nan"),
    (np.array([0.659, 0.242, np.inf]), "got inf"),
    (np.ma.masked_all(3), "numbers differ"),
        ((x for x in "abc"), "got a generator"),
    (Returned, "got a type"),
])
def test_a_strange_result_is_wrong_and_named(thing, words, capsys):
    text, end = shown(Returned(thing), capsys)
    assert end == "softmax: wrong"
    assert words in text


@pytest.mark.parametrize("thing, words", [
    (None, "This is None"),
    (np.zeros((2, 3)), "This is an array of shape (2, 3)"),
    (3, "This is a single number, 3"),
    ("softmax", "without quotes"),
    (print, "There is no exercise called print"),
    (lambda x: x, "A lambda needs the name of its exercise"),
    (type("softmax", (), {})(), "This is a softmax"),
])
def test_what_is_no_answer_is_named(thing, words, capsys):
    text, end = shown(thing, capsys)
    assert words in text
    assert end != "passed"


def test_the_worst_entry_is_told(capsys):
    @named_softmax
    def off_by_a_little(x, axis=-1):
        y = softmax(x, axis)
        y.reshape(-1)[-1] += 0.01 * (y.size == 12)
        return y
    text, _ = shown(off_by_a_little, capsys)
    assert "Case 2 of 10, scores of shape (T=3, S=4): `softmax(x)`" in text
    assert "1 of 12 numbers differs, at T 2, S 3: expected" in text


def without_np(x, axis=-1):
    return exp(x)                       # noqa: F821


def without_the_cell_above(x, axis=-1):
    return differentiable(x)            # noqa: F821


@pytest.mark.parametrize("f, words", [
    (lambda: 0, "It is called as `softmax(x)`, and yours takes `()`. Keep the parameters that the exercise gives: "
                "`softmax(x, axis=-1)`."),
    (lambda x: softmax(x), "It is called as `softmax(x, axis=0)`, and yours takes `(x)`"),
    (lambda x, dim=-1: softmax(x, dim), "and yours takes `(x, dim=-1)`"),
    (lambda x, axis=-1: 1 / 0, "`ZeroDivisionError`: division by zero."),
    (lambda x, axis=-1: undefined, "`NameError`: name 'undefined' is not defined."),      # noqa: F821
    (without_np, "Did you mean `np.exp`?"),             # a card shows the line of the answer, so they stand elsewhere
    (without_the_cell_above, "The chapter makes `differentiable` in a cell above: run that one first."),
    (lambda x, axis=-1: exit(3), "SystemExit"),
    (lambda x, axis=-1: x[..., None] + 1 / 0, "In your line `(lambda x, axis=-1: x[..., None] + 1 / 0,"),
])
def test_a_crash_is_told_with_its_error(f, words, capsys):
    text, end = shown(named_softmax(f), capsys)
    assert end == "softmax: crashed"
    assert words in text


def test_a_crash_names_the_line(capsys):
    @named_softmax
    def f(x, axis=-1):
        helper = x.no_such_thing
        return helper
    text, _ = shown(f, capsys)
    assert "In your line `helper = x.no_such_thing`." in text


def test_endless_recursion_is_a_crash(capsys):
    @named_softmax
    def f(x, axis=-1):
        return f(x, axis)
    assert shown(f, capsys)[1] == "softmax: crashed"


def test_a_crash_that_a_known_mistake_has_too_gets_its_sentence(capsys):
    @named_softmax
    def f(x, axis=-1):
        e = np.exp(x - np.max(x, axis=axis))
        return e / np.sum(e, axis=axis)
    text, end = shown(f, capsys)
    assert end == "softmax: crashed"
    assert "keepdims=True" in text


def test_a_changed_input_is_told(capsys):
    @named_softmax
    def f(x, axis=-1):
        x[...] = softmax(x, axis)
        return x
    text, end = shown(f, capsys)
    assert end == "softmax: wrong"
    assert "changed its argument `x`, which the caller still needs" in text


def test_a_view_of_the_input_is_judged_by_its_values(capsys):
    def row_sums(x):
        return x.T[0].T
    text, end = shown(row_sums, capsys)
    assert end == "row_sums: wrong"
    assert "the worst, at T 2: expected 7.5, got 0" in text


def test_what_it_prints_is_folded_into_the_card(capsys):
    @named_softmax
    def f(x, axis=-1):
        print("x is", x.shape)
        return x
    text, _ = shown(f, capsys)
    assert "What your function printed:\nx is (3,)" in text
    assert "passed" not in text and text.index("not yet") < text.index("x is (3,)")


def test_what_a_right_answer_prints_is_shown_too(capsys):
    @named_softmax
    def f(x, axis=-1):
        print("hello")
        return softmax(x, axis)
    text, end = shown(f, capsys)
    assert end == "passed" and "What your function printed:\nhello" in text


def test_the_dtype_comes_after_the_values(capsys):
    text, _ = shown(named_softmax(lambda x, axis=-1: softmax(x.astype(np.float64), axis)), capsys)
    assert "Expected dtype float32, got float64. The numbers are right, but" in text


def test_numbers_are_told_in_as_many_digits_as_tell_them_apart(capsys):
    text, _ = shown(named_softmax(lambda x, axis=-1: softmax(x, axis) * (1 + 1e-7)), capsys)
    assert "expected 0.6590011, got 0.6590012." in text


def test_a_case_can_be_pasted_into_a_cell(capsys):
    text, _ = shown(named_softmax(lambda x, axis=-1: x if np.isneginf(x).any() else softmax(x, axis)), capsys)
    code = text.partition("to try it yourself:\n")[2]
    assert "-np.inf" in code
    scope = {"np": np, "softmax": softmax}
    exec(code, scope)
    assert scope["x"].shape == (2, 3)


@pytest.mark.parametrize("loop", ["while True: pass", "while True:\n  try: 1\n  except Exception: pass"])
def test_a_loop_without_end_is_interrupted(loop, capsys, monkeypatch):
    monkeypatch.setattr(exercise, "TIME_LIMIT", 0.3)
    scope = {}
    exec(f"def softmax(x, axis=-1):\n {loop.replace(chr(10), chr(10) + ' ')}", scope)
    start = time.monotonic()
    text, end = shown(scope["softmax"], capsys)
    assert end == "softmax: crashed"
    assert "is there a loop that does not end?" in text.lower()
    assert time.monotonic() - start < 5


def test_an_interrupt_that_comes_too_late_hurts_nobody():
    def count(n):
        for _ in range(n):
            pass

    interrupted = 0
    for i in range(300):
        try:
            exercise.within(0.0002, lambda n=4000 * i: count(n))
        except exercise.TimedOut:
            interrupted += 1
        count(100)                      # one that is still on its way would strike here
    assert 0 < interrupted < 300


def test_a_flood_of_prints_is_not_kept(capsys):
    @named_softmax
    def f(x, axis=-1):
        for _ in range(10_000):
            print("x" * 100)
        return x
    text, _ = shown(f, capsys)
    assert len(text) < 5000 and text.endswith("...\n")


def test_an_exception_with_a_broken_text_is_a_crash(capsys):
    class Odd(Exception):
        def __str__(self):
            raise ValueError

    @named_softmax
    def f(x, axis=-1):
        raise Odd
    text, end = shown(f, capsys)
    assert end == "softmax: crashed" and "`Odd`: (no message)." in text


def test_one_small_case_alone_does_not_make_a_known_mistake():
    """Different mistakes look the same on a case of size 1: most of the wrong cases must agree."""
    cases = [np.zeros((1, 3)), np.eye(2), np.eye(3), np.eye(4)]
    asked = Exercise(softmax, lambda: [Case("some", (x.copy(),)) for x in cases])
    asked.mistake("You return nothing but zeros.")(lambda x: np.zeros_like(x))
    assert exercise.judge(asked, lambda x: np.zeros_like(x)).sentence == "You return nothing but zeros."
    assert exercise.judge(asked, lambda x: np.zeros_like(x) + (len(x) > 1)).sentence == ""


def test_an_alias_is_judged_as_what_it_is_called(monkeypatch):
    def log_softmax(x, axis=-1):
        return x
    monkeypatch.setattr(reference("learner"), "namespace", lambda: {"softmax": log_softmax, "log_softmax": log_softmax})
    assert checker.find_exercise(log_softmax).name == "log_softmax"
    log_softmax.__name__ = "<lambda>"
    assert checker.find_exercise(log_softmax).name == "softmax"


@pytest.mark.parametrize("right, wrong", [
    (np.array([1j]), np.array([5j])), (1j, 9j), (np.array(["a"]), np.array(["b"])), ({1, 2}, {3}), (b"ab", b"cd"),
    ([(b"a", b"b")], [(b"x", b"y")]), (range(3), range(9)), ("a", "b"), (True, False),
    (np.zeros(2), np.array([0, 1e-3])),
])
def test_values_of_every_kind_are_compared(right, wrong):
    assert exercise.compare(right, right) is None
    assert exercise.compare(right, wrong) is not None


def test_where_zero_is_expected_a_rounding_error_is_no_mistake():
    assert exercise.compare(np.zeros(2), np.array([0, 1e-17])) is None


def test_another_exercises_stub_says_what_to_solve_first(capsys):
    def log_softmax(x, axis=-1):
        raise NotImplementedError("Exercise 1.1")
    text, end = shown(log_softmax, capsys)
    assert end == "log_softmax: not attempted"
    assert "solve 1.1 first" in text


def test_its_own_stub_says_what_to_do(capsys):
    def log_softmax(x, axis=-1):
        raise NotImplementedError("Exercise 1.2")
    text, end = shown(log_softmax, capsys)
    assert end == "log_softmax: not attempted"
    assert 'raise NotImplementedError("Exercise 1.2")' in text


def test_a_not_implemented_error_that_is_no_stub_is_a_crash(capsys):
    def softmax(x, axis=-1):
        raise NotImplementedError("later")
    assert shown(softmax, capsys)[1] == "softmax: crashed"


def test_a_judge_of_properties_may_stumble():
    asked = Exercise(softmax, lambda: [Case("any", (np.zeros(3),))], judge=lambda case, y: y["no"])
    assert "could not be judged" in exercise.judge(asked, softmax).difference.text


def test_trees_of_arrays_are_compared_in_order():
    expected = (np.zeros((2, 3)), {"weights": np.ones(4)})
    compare = exercise.compare
    axes = ("T D", {"weights": "S"})
    assert compare(expected, expected, axes) is None
    assert "expected 2 values, got an array" in compare(expected, np.zeros(2), axes).text
    found = compare(expected, (np.zeros((2, 3)), {}), axes)
    assert "in the second result, expected a dict with keys ['weights']" in found.text
    other = (np.zeros((2, 3)), {"weights": np.zeros(4)})
    assert "in the second result, in ['weights'], 4 of 4 numbers differ" in compare(expected, other, axes).text
    assert "expected shape (T=2, D=3), got (3, 2)" in compare(expected, (np.zeros((3, 2)), {}), axes).text


def test_errors_are_relative_to_the_tensor():
    tiny = np.array([1e-30, 2e-30])
    assert exercise.compare(tiny, tiny * 1.001)
    assert exercise.compare(tiny, tiny * (1 + 1e-12)) is None


def test_a_wrong_matrix_is_drawn_beside_the_right_one():
    found = exercise.judge(reference("checks").exercises("01")["softmax"], lambda x, axis=-1: x)
    for expected, n_wrong in ((np.eye(2), 2), (np.arange(3.0), 2), (np.arange(24.0).reshape(2, 3, 4), 11)):
        found.difference = exercise.compare(expected, np.zeros_like(expected))
        html = checker.card_of(found, softmax)._repr_html_()
        assert "<caption" in html and "expected" in html and "yours" in html
        assert html.count("outline:") == n_wrong


def test_a_default_that_is_not_the_exercises_is_told(capsys):
    def row_by_row(x, axis=0):
        return softmax(x, axis)
    text, _ = shown(named_softmax(row_by_row), capsys)
    assert "Your default is `axis=0`; the exercise gives `axis=-1`." in text


def test_code_on_a_card_keeps_its_stars():
    card = reference("card").Card("wrong", "x", ["In your line `e**x / sum(e**x)`: **no**"])
    assert "<code>e**x / sum(e**x)</code>: <b>no</b>" in card._repr_html_()
    assert "`e**x / sum(e**x)`: no" in str(card)


def test_a_card_shows_what_a_learner_wrote_as_text():
    card = reference("card").Card("wrong", "x", ["<script>alert(1)</script> `a<b`"])
    assert "<script>" not in card._repr_html_()
    assert "<code>a&lt;b</code>" in card._repr_html_()


def test_the_solution_is_shown_by_function_and_by_name(capsys):
    for asked in (softmax, "softmax"):
        solution(asked)
        text = capsys.readouterr().out
        assert "def softmax(x, axis=-1):" in text and "SOLUTION" not in text
    solution("nonsense")
    assert "There is no exercise called nonsense" in capsys.readouterr().out


def test_functions_on_a_card_are_called_by_their_names():
    exercise_ = reference("checks").exercises("05")["feed_forward"]
    found = exercise.judge(exercise_, lambda x, W_1, b_1: x)
    text = str(checker.card_of(found, lambda x, W_1, b_1: x))
    assert "b_2, activation=gelu)" in text and " at 0x" not in text


def test_a_crash_inside_a_class_names_its_line():
    class Vocabulary(reference("checks").exercises("02")["Vocabulary"].reference):
        def encode(self, text):
            return np.array([self.ids[word] for word in text.split()])

    found = exercise.judge(reference("checks").exercises("02")["Vocabulary"], Vocabulary)
    assert found.attempt.error.line == "return np.array([self.ids[word] for word in text.split()])"


def test_whole_numbers_where_bools_are_asked_hear_of_bools():
    found = exercise.judge(reference("checks").exercises("03")["causal_mask"], lambda length: np.tri(length, dtype=int))
    assert found.difference.text == "expected dtype bool, got int64"
    assert "True and False come from a comparison" in found.difference.advice
