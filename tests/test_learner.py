"""The learner's own code: from the notebook into my_code/, and from there into later chapters."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scratchformer_lib.course import reference

carry = reference("carry")
ROOT = Path(__file__).resolve().parents[1]

BEGIN = "from scratchformer_lib.course import begin, check, progress, solution\nbegin({})"
ONE = BEGIN.format('"01"')
MINE = BEGIN.format('"03", mine=True')
SOFTMAX = """
def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)"""

# A later module, for what learners write to be used by.
ATTENTION = '''"""A later chapter's module."""
import math

from .softmax import softmax


def weights_of(q, k):
    """q: (..., T, d_k). k: (..., S, d_k). Returns (..., T, S)."""
    return softmax(q @ k.swapaxes(-1, -2) * (1 / math.sqrt(q.shape[-1])))


class Table:
    """rows: (T, D)."""

    def __init__(self, rows):
        self.rows = rows

    def look_up(self, i):
        return self.rows[i]
'''
CHECKS = '''import numpy as np

from ...attention import Table, weights_of
from ..exercise import Case, Exercise


def inputs():
    rng = np.random.default_rng(0)
    return [Case("S=7", (rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 7, 5))), axes="B H T S")]


WEIGHTS = Exercise(weights_of, inputs)
TABLE = Exercise(Table, lambda: [Case("row 1", (np.arange(6.0).reshape(3, 2),), axes="D")],
                 call=lambda f, case: f(*case.args).look_up(1))
'''

DEMO = '''"""Run."""
import sys

import numpy as np

from ..softmax import softmax


def main(words):
    for word, share in zip(words, softmax(np.array([float(len(word)) for word in words]))):
        print(f"{word:>12} {share:6.1%}")


if __name__ == "__main__":
    main(sys.argv[1].split())
'''

RUNNER = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
shell = InteractiveShell.instance(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
for cell in json.loads(sys.argv[1]):
    result = shell.run_cell(cell, store_history=True, silent=False)
"""


@pytest.fixture
def whole_course(tmp_path):
    """The package in a folder of its own; nothing is solved yet."""
    shutil.copytree(ROOT / "scratchformer_lib", tmp_path / "scratchformer_lib",
                    ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def course(whole_course):
    """The same, as far as chapter 01, and one small chapter more."""
    library = whole_course / "scratchformer_lib"
    for path in [*library.glob("[a-z]*.py"), *library.glob("course/checks/chapter_*.py")]:
        if path.stem not in ("softmax", "autograd", "chapter_00", "chapter_01"):
            path.unlink()
    (library / "attention.py").write_text(ATTENTION, encoding="utf-8")
    (library / "course/checks/chapter_03.py").write_text(CHECKS, encoding="utf-8")
    (library / "course/demo.py").write_text(DEMO, encoding="utf-8")
    return whole_course


def run(course, *cells):
    """Run cells in a fresh IPython, as a notebook would; return all that it prints."""
    env = {**os.environ, "PYTHONPATH": str(course), "SCRATCHFORMER_MY_CODE": str(course / "my_code"),
           "IPYTHONDIR": str(course / "ipython"), "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"}
    cells = json.dumps(["import numpy as np", *cells])
    done = subprocess.run([sys.executable, "-c", RUNNER, cells], cwd=course, env=env, capture_output=True, text=True,
                          encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def whose(printed, owner):
    """The functions that begin calls "Yours" or "The course's"."""
    return re.findall(r"`(\w+)`", "".join(re.findall(rf"^{owner}: (.*)$", printed, re.M)))


def saved(course, name):
    return (course / "my_code" / f"{name}.py").read_text(encoding="utf-8")


def test_a_passed_function_is_saved_and_used_by_later_modules(course):
    printed = run(course, ONE, SOFTMAX.replace("    e =", "    # my own words\n    e ="), "check(softmax)")
    assert "softmax is right" in printed and "Saved to `my_code/softmax.py`." in printed
    assert saved(course, "softmax").startswith("# softmax: exercise 1.1 of ScratchFormer ")
    printed = run(course, MINE, "import inspect\nfrom scratchformer_lib import attention\n"
                  "print(inspect.getsource(attention.softmax))",
                  "print(attention.weights_of(np.eye(2), np.eye(2)).sum())")
    assert whose(printed, "Yours") == ["softmax"] and "log_softmax" in whose(printed, "The course's")
    assert "# my own words" in printed and "2.0" in printed


def test_a_wrong_answer_is_not_saved(course):
    printed = run(course, ONE, "def softmax(x, axis=-1):\n    return x", "check(softmax)")
    assert "NotPassed" in printed or "softmax: wrong" in printed
    assert not (course / "my_code").exists()


def test_a_class_is_saved_and_used(course):
    run(course, BEGIN.format('"03"'), "from dataclasses import dataclass",
        "@dataclass\nclass Table:\n    rows: object\n    def look_up(self, i):\n        return self.rows[i, :]",
        "check(Table)")
    assert "from dataclasses import dataclass" in saved(course, "Table")
    printed = run(course, MINE, "from scratchformer_lib.attention import Table\nprint(Table(np.eye(2)))")
    assert whose(printed, "Yours") == ["Table"] and "Table(rows=array" in printed


def test_helpers_and_imports_of_other_cells_come_along(course):
    run(course, ONE, "import numpy as numpy_by_another_name\nfrom math import exp as unused, inf",
        "def largest(x, axis):\n    return numpy_by_another_name.max(x, axis=axis, keepdims=True)",
        "shifted = lambda x, axis: x - largest(x, axis) + (0 if inf else 1)",
        "def softmax(x, axis=-1):\n    # my own words\n    e = np.exp(shifted(x, axis))\n"
        "    return e / e.sum(axis, keepdims=True)", "check(softmax)")
    text = saved(course, "softmax")
    assert "import numpy as numpy_by_another_name" in text and "from math import inf" in text
    assert "unused" not in text and "# my own words" in text
    assert text.index("def largest") < text.index("shifted = lambda") < text.index("def softmax")
    assert whose(run(course, MINE), "Yours") == ["softmax"]


def test_a_solved_function_that_another_one_uses_is_not_copied_into_the_library_twice(course):
    run(course, ONE, SOFTMAX, "check(softmax)",
        "def log_softmax(x, axis=-1):\n    m = x.max(axis, keepdims=True)\n"
        "    return x - m + np.log(softmax(x, axis).max(axis, keepdims=True))", "check(log_softmax)")
    printed = run(course, MINE, "import inspect, scratchformer_lib.softmax as module\nprint(inspect.getsource(module))")
    assert len(whose(printed, "Yours")) == 2
    assert printed.count("def softmax(") == 1


def test_two_helpers_of_one_name_are_kept_apart(course):
    run(course, ONE, "def helper(x, axis):\n    return x - x.max(axis, keepdims=True)",
        "def softmax(x, axis=-1):\n    e = np.exp(helper(x, axis))\n    return e / e.sum(axis, keepdims=True)",
        "check(softmax)")
    run(course, ONE, "def helper(x, axis):\n    return np.logaddexp.reduce(x, axis=axis, keepdims=True)",
        "def log_softmax(x, axis=-1):\n    return x - helper(x, axis)", "check(log_softmax)")
    printed = run(course, MINE, "import inspect, scratchformer_lib.softmax as module\nprint(inspect.getsource(module))")
    assert len(whose(printed, "Yours")) == 2
    assert "def helper_softmax(x, axis):" in printed and "def helper_log_softmax(x, axis):" in printed
    assert "return x - helper_log_softmax(x, axis)" in printed


def test_a_class_in_a_cell_that_failed_before_it_does_not_count(course):
    table = "class Table:\n    def __init__(self, rows):\n        self.rows = rows\n    def look_up(self, i):\n"
    right, never = table + "        return self.rows[i]", "1 / 0\n" + table + "        return 'never ran'"
    run(course, BEGIN.format('"03"'), right, never, "check(Table)")
    assert "return self.rows[i]" in saved(course, "Table")


@pytest.mark.parametrize("helper, use", [
    ("def weights_of(x):\n    return np.exp(x)", "weights_of(m)"),             # the name of a library function
    ("def max(x):\n    return np.exp(x)", "max(m)"),                           # of a builtin
    ("def main(x):\n    return np.exp(x)", "main(m)"),                         # of what the single file has
    ("import numpy.linalg\ndef helper(x):\n    return numpy.exp(x)", "helper(m)"),
    ("helper = lambda x: np.exp(x)", "helper(m)"),
    ("def helper(x, n=1):\n    return helper(x, 0) if n else np.exp(x)", "helper(m)"),
])
def test_helpers_of_many_kinds_come_along_and_meet_nobody_elses(course, helper, use):
    run(course, ONE, helper, f"def softmax(x, axis=-1):\n    m = x - x.max(axis, keepdims=True)\n    e = {use}\n"
        "    return e / e.sum(axis, keepdims=True)", "check(softmax)",
        "later = [helper for helper in range(3)]", "check(softmax)")
    assert whose(run(course, MINE), "Yours") == ["softmax"]
    env = {**os.environ, "PYTHONPATH": str(course), "SCRATCHFORMER_MY_CODE": str(course / "my_code")}
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "export", "--single"], cwd=course, env=env,
                          capture_output=True, text=True)
    assert "with your softmax" in done.stdout, done.stderr


def test_a_right_answer_is_not_blamed_for_the_faults_of_others(course):
    run(course, ONE, SOFTMAX, "check(softmax)")
    for name in ("log_softmax", "weights_of"):
        (course / f"my_code/{name}.py").write_text(f"import not_there\n\n\ndef {name}(x):\n    return x\n",
                                                   encoding="utf-8")
    printed = run(course, MINE)
    assert "softmax" in whose(printed, "Yours")
    assert printed.count("set aside. ModuleNotFoundError: No module named 'not_there'") == 2


def test_a_name_that_means_two_things_is_refused_and_not_garbled():
    rename = reference("assemble").rename
    assert rename("def f(x):\n    return h(x, h=1) + x.h", "h", "g") == "def f(x):\n    return g(x, h=1) + x.h"
    for text in ("def f(h):\n    return h", "def f(x):\n    global h\n    return h", "class C:\n    h = h",
                 "def f(x):\n    def h(): pass\n    return h"):
        with pytest.raises(reference("assemble").Broken, match="means two things"):
            rename(text, "h", "g")


def test_an_edited_single_file_is_kept(course):
    (course / "my_transformer.py").write_text("edited", encoding="utf-8")
    run(course, ONE, SOFTMAX, "check(softmax)")
    env = {**os.environ, "PYTHONPATH": str(course), "SCRATCHFORMER_MY_CODE": str(course / "my_code")}
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "export", "--single"], cwd=course, env=env,
                          capture_output=True, text=True)
    assert "It is kept as my_transformer_1.py" in done.stdout.replace("it was there already. ", ""), done.stderr
    assert (course / "my_transformer_1.py").read_text(encoding="utf-8") == "edited"


@pytest.mark.parametrize("cells, words", [
    (["scale = 1.0", "def softmax(x, axis=-1):\n    e = np.exp((x - x.max(axis, keepdims=True)) * scale)\n"
      "    return e / e.sum(axis, keepdims=True)"], "it uses `scale`, a variable of this notebook"),
    (["def softmax(x, axis=-1):\n    return solution and _softmax(x, axis)",
      SOFTMAX.replace("def softmax", "def _softmax")], "it uses `solution`, a tool of the course and not of"),
    (["from numpy import *", "def softmax(x, axis=-1):\n    e = exp(x - x.max(axis, keepdims=True))\n"
      "    return e / e.sum(axis, keepdims=True)"], "a star import hides where names come from"),
    (["import functools", SOFTMAX.replace("softmax", "other"), "softmax = functools.partial(other)"],
     "`softmax` is not written with `def`"),
    ([SOFTMAX, "def f(x, axis=-1):\n    return softmax(x, axis)\nf.__name__ = 'softmax'", "check(f)"],
     "it is not called `softmax` here"),
])
def test_what_cannot_be_carried_is_passed_and_told_so(course, cells, words):
    printed = run(course, ONE, *cells, *([] if "check(f)" in cells else ["check(softmax)"]))
    assert "softmax is right" in printed and "Passed, but not carried into later chapters: " in printed
    assert words in printed
    assert not (course / "my_code").exists()


def test_the_courses_own_function_is_not_taken_for_the_learners(course):
    printed = run(course, ONE, "from scratchformer_lib.softmax import softmax", "check(softmax)")
    assert "It comes from the library" in printed
    assert not (course / "my_code").exists()


def test_a_cell_that_failed_before_its_definition_does_not_count(course):
    run(course, ONE, SOFTMAX, "1 / 0\ndef softmax(x, axis=-1):\n    return 'never ran'", "check(softmax)")
    assert "never ran" not in saved(course, "softmax")


def test_a_cell_that_did_not_run_through_is_told_on_the_card(course):
    printed = run(course, ONE, "def softmax(x, axis=-1):\n    return x", "def softmax(x, axis=-1):\n    return (x",
                  "check(softmax)")
    assert "The last cell that defines `softmax` did not run through." in printed
    printed = run(course, ONE, SOFTMAX, "def softmax(x, axis=-1):\n    return (x", "check(softmax)",
                  "softmax = softmax(np.zeros(3))", "check(softmax)")
    assert printed.index("did not run through.") < printed.index("All 10 cases pass.")
    assert "softmax is no longer your function" in printed


def test_a_lambda_takes_the_place_of_a_cell_that_did_not_run_through(course):
    powers = "def powers(x, axis):\n    return np.exp(x - x.max(axis, keepdims=True))"
    one_line = "softmax = lambda x, axis=-1: powers(x, axis) / np.sum(powers(x, axis), axis, keepdims=True)"
    printed = run(course, ONE, "import numpy as np", powers, "def softmax(x):\n    return x", one_line,
                  "check(softmax)")
    assert "did not run through" not in printed and "Saved to" in printed


def test_an_answer_that_calls_one_that_has_not_passed_is_told_to_look_there_first(course):
    wrong = "def softmax(x, axis=-1):\n    return np.exp(x)"
    leaning = "def log_softmax(x, axis=-1):\n    return np.log(softmax(x, axis))"
    line = "It calls `softmax`, which has not passed its own check yet: look there first."
    assert line in run(course, ONE, "import numpy as np", wrong, leaning, "check(log_softmax)")
    assert line not in run(course, ONE, "import numpy as np", SOFTMAX, "check(softmax)", leaning, "check(log_softmax)")


def test_to_look_first_is_also_told_where_a_class_of_the_notebook_calls_it(course):
    wrong = "def softmax(x, axis=-1):\n    return np.exp(x)"
    through = "class Shares:\n    def of(self, x):\n        return softmax(x)"
    leaning = "def log_softmax(x, axis=-1):\n    return np.log(Shares().of(x))"
    line = "It calls `softmax`, which has not passed its own check yet: look there first."
    assert line in run(course, ONE, "import numpy as np", wrong, through, leaning, "check(log_softmax)")


@pytest.mark.parametrize("text, words", [
    (b"def softmax(x, axis=-1:\n", "it is not Python"),
    (b"# softmax: exercise 1.1 of ScratchFormer 0.1.0\nimport numpy as np\n\n\ndef soft", "it is not Python"),
    (b"", "it does not define `softmax`"),
    (b"\xff\xfe\x00", "it is not Python"),
    (b"import sys\n\n\ndef softmax(x, axis=sys.exit(3)):\n    return x\n", "SystemExit: 3"),
    (b"import numpy as np\nprint('hello')\n", "line 2 is neither an import nor a definition"),
    (b"import no_such_module\n\n\ndef softmax(x, axis=-1):\n    return x\n", "No module named 'no_such_module'"),
    (b"def softmax(x, axis=-1):\n    return x\n", "three scores: 3 of 3 numbers differ"),
    (b"# softmax: exercise 1.1 of ScratchFormer 0.0.3, as it passed its check.\ndef softmax(x):\n    return x\n",
     "It was saved by version 0.0.3 of the course."),
])
def test_a_broken_stale_or_half_written_file_is_named_and_set_aside(course, text, words):
    (course / "my_code").mkdir()
    (course / "my_code/softmax.py").write_bytes(text)
    printed = run(course, MINE, "from scratchformer_lib.softmax import softmax\nprint(softmax(np.zeros(4)))")
    assert "`softmax`: set aside." in printed and words in printed
    assert "softmax" in whose(printed, "The course's") and "[0.25 0.25 0.25 0.25]" in printed
    assert (course / "my_code/set_aside/softmax-0.py").read_bytes() == text


def test_an_exercise_that_the_course_no_longer_has_is_named(course):
    (course / "my_code").mkdir()
    head = "# old_exercise: exercise 1.7 of ScratchFormer 0.0.1, as it passed its check.\n"
    (course / "my_code/old_exercise.py").write_text(f"{head}def old_exercise(x):\n    return x\n", encoding="utf-8")
    (course / "my_code/notes.py").write_text("import this\n", encoding="utf-8")
    printed = run(course, MINE)
    assert "`old_exercise`: set aside." in printed and "of the course has no exercise of this name" in printed
    assert "notes" not in printed and (course / "my_code/notes.py").exists()


def test_a_function_that_passes_its_check_and_breaks_a_later_module_is_named(course):
    run(course, ONE, SOFTMAX.replace("def softmax(x, axis=-1):", "def softmax(x, axis=-1):\n    if x.shape[-1] == 7:\n"
                                     "        return x"), "check(softmax)")
    printed = run(course, MINE, "from scratchformer_lib import attention\nprint(attention.softmax(np.zeros(7)).sum())")
    assert "`softmax`: set aside. With it, `weights_of` no longer works: S=7: 168 of 168 numbers differ" in printed
    assert "softmax" in whose(printed, "The course's")


def test_nobody_is_blamed_for_an_exercise_that_fails_by_itself(course):
    checks = course / "scratchformer_lib/course/checks/chapter_03.py"
    checks.write_text(CHECKS.replace("call=lambda f, case:", "call=lambda f, case: 1 / 0 or"), encoding="utf-8")
    run(course, ONE, SOFTMAX, "check(softmax)")
    printed = run(course, MINE)
    assert whose(printed, "Yours") == ["softmax"] and "set aside" not in printed


def test_a_check_meets_the_courses_functions_and_not_the_learners(course):
    """A wrong softmax in the library's place must not make a wrong answer pass."""
    printed = run(course, ONE, "import scratchformer_lib.softmax as library", "library.softmax = lambda x, axis=-1: x",
                  "def softmax(x, axis=-1):\n    return x", "check(softmax)")
    assert "softmax: not yet" in printed


def test_begin_is_idempotent_and_says_when_it_is_too_late(course):
    run(course, ONE, SOFTMAX, "check(softmax)")
    printed = run(course, MINE, MINE, "import scratchformer_lib.softmax", MINE, BEGIN.format('"03"'))
    assert whose(printed, "Yours") == ["softmax"] * 3
    assert printed.count("Restart the kernel") == 1         # the last cell, which wants the course's functions back
    printed = run(course, "import scratchformer_lib.softmax", MINE)
    assert "Restart the kernel" in printed and "The library is loaded already" in printed
    assert not whose(printed, "Yours")


def test_the_switch_is_not_kept(course):
    run(course, ONE, SOFTMAX, "check(softmax)")
    run(course, MINE)
    printed = run(course, BEGIN.format('"03"'), "from scratchformer_lib import softmax\nprint(softmax.__file__)")
    assert "scratchformer_mine" not in printed


def test_an_unknown_chapter_is_named(course):
    assert "a chapter is two digits, such as \"03\", not 3" in run(course, BEGIN.format("3"))


def test_progress_tells_what_is_solved(course):
    printed = run(course, ONE, SOFTMAX, "check(softmax)", "progress()")
    assert "1 of 9 exercises solved" in printed and "softmax solved, log_softmax" in printed


def test_one_file_of_the_learners_own_functions_runs(course):
    run(course, ONE, "import numpy as xp", SOFTMAX.replace("np.", "xp."), "check(softmax)")
    env = {**os.environ, "PYTHONPATH": str(course), "SCRATCHFORMER_MY_CODE": str(course / "my_code")}
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "export", "--single"], cwd=course, env=env,
                          capture_output=True, text=True)
    assert "with your softmax" in done.stdout, done.stderr
    file = course / "my_transformer.py"
    text = file.read_text(encoding="utf-8")
    assert "e = xp.exp(x" in text and "import scratchformer" not in text and "from ." not in text
    ran = subprocess.run([sys.executable, "-I", str(file), "the cat"], capture_output=True, text=True, cwd="/")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["the", "50.0%", "cat", "50.0%"]


def test_chapter_05_runs_on_the_learners_own_functions_of_01_to_04(whole_course):
    author = reference("author")
    project = author.Project(ROOT)
    chapters = {chapter.number: chapter for chapter in project.chapters}

    def leaving_a_trace(cell):
        if not cell.asks_something:
            return cell.answered
        line = f'np.called = {{*getattr(np, "called", ()), "{cell.asks}"}}'
        return cell.text.replace(author.BEGIN, line).replace(author.END, "")

    wanted = []
    for number in ("01", "02", "03", "04"):
        cells = [cell for cell in chapters[number].cells if cell.exported or cell.checks in project.owner]
        wanted += [cell.checks for cell in cells if cell.checks]
        printed = run(whole_course, BEGIN.format(f'"{number}"'), *map(leaving_a_trace, cells))
        assert printed.count("Saved to `my_code/") == sum(bool(cell.checks) for cell in cells), printed
    cells = [cell.answered for cell in chapters["05"].cells if cell.exported or "record = {}" in cell.text]
    printed = run(whole_course, BEGIN.format('"05", mine=True'), "np.called = set()", *cells,
                  "print('called', *np.called)")
    assert len(wanted) == 13 and whose(printed, "Yours") == wanted
    assert "transformer_block" in whose(printed, "The course's") and "Error" not in printed
    assert {*printed[printed.index("called ") + 7:].split()} == {
        "softmax", "scaled_dot_product_attention", "causal_mask", "split_heads", "merge_heads", "multi_head_attention"}

    env = {**os.environ, "PYTHONPATH": str(whole_course), "SCRATCHFORMER_MY_CODE": str(whole_course / "my_code")}
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "export", "--single"], cwd=whole_course,
                          env=env, capture_output=True, text=True)
    assert all(name in done.stdout for name in wanted), done.stdout + done.stderr


def test_from_chapter_09_on_the_courses_function_stands_in_where_there_is_no_gradient(whole_course):
    one_by_one = """
def softmax(x, axis=-1):
    def one(row):
        e = np.exp(row - row.max())
        return e / e.sum()
    return np.apply_along_axis(one, axis, x)"""
    assert "Saved to" in run(whole_course, ONE, one_by_one, "check(softmax)")
    assert whose(run(whole_course, BEGIN.format('"08", mine=True')), "Yours") == ["softmax"]
    printed = run(whole_course, BEGIN.format('"09", mine=True'))
    assert whose(printed, "Yours") == [] and "softmax" in whose(printed, "The course's")
    assert "np.apply_along_axis cannot be differentiated" in printed
    assert "(in the line `return np.apply_along_axis(one, axis, x)`)" in printed
    assert "apply_along_axis" in saved(whole_course, "softmax")


@pytest.mark.slow
def test_from_chapter_09_on_the_courses_function_stands_in_where_training_would_take_too_long(whole_course):
    row_by_row = """
def softmax(x, axis=-1):
    x = np.moveaxis(x, axis, -1)
    rows = [np.exp(row - np.max(row)) for row in x.reshape(-1, x.shape[-1])]
    return np.moveaxis(np.stack([row / np.sum(row) for row in rows]).reshape(x.shape), -1, axis)"""
    by_logs = "def log_softmax(x, axis=-1):\n    return x - np.log(np.exp(x - x.max(axis, keepdims=True)).sum(axis, " \
              "keepdims=True)) - x.max(axis, keepdims=True)"
    assert "Saved to" in run(whole_course, ONE, row_by_row, "check(softmax)", by_logs, "check(log_softmax)")
    assert whose(run(whole_course, BEGIN.format('"08", mine=True')), "Yours") == ["softmax", "log_softmax"]
    printed = run(whole_course, BEGIN.format('"10", mine=True'))
    assert whose(printed, "Yours") == ["log_softmax"], printed
    assert re.search(r"`softmax`: the course's stands in .* With it, a step of training takes \d+ times", printed)


def test_where_a_function_is_the_learners_no_gradient_by_hand_goes_past_it(whole_course):
    assert "Saved to" in run(whole_course, ONE, SOFTMAX, "check(softmax)")
    step = """
from scratchformer_lib.autograd import value_and_grad
from scratchformer_lib import softmax as module, attention, multi_head, block
for f in (module.softmax, attention.scaled_dot_product_attention, multi_head.multi_head_attention, block.layer_norm):
    print("by hand", f.__name__, f.forward is not None)
q = np.random.default_rng(0).standard_normal((2, 3, 4))
print("slope", value_and_grad(lambda q: np.sum(np.sin(attention.scaled_dot_product_attention(q, q, q)[0])))(q)[1].sum())
"""
    mine, shipped = (run(whole_course, BEGIN.format(begin), step) for begin in ('"10", mine=True', '"10"'))
    by_hand = [line.split()[-1] for line in mine.splitlines() if line.startswith("by hand")]
    assert by_hand == ["True", "False", "False", "True"] and shipped.count("True") == 4
    slopes = [float(re.search(r"slope (.*)", printed)[1]) for printed in (mine, shipped)]
    assert abs(slopes[0] - slopes[1]) < 1e-9


SPY = """
taken, quick = [], gpt.hidden_with_cache.quick

def spy(*args):
    result = quick(*args)
    taken.append(result is not None)
    return result

gpt.hidden_with_cache.quick = spy
"""
FAST = f"""
from scratchformer_lib import gpt
from scratchformer_lib.course import weights
{SPY}
np.called = []
print("wrote", weights.write(np.random.default_rng(1), 5), weights.write(np.random.default_rng(2)))
print("fast", sum(taken), "of", len(taken), "called", len(np.called), hasattr(gpt, "next_hidden"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number, name, dropped, per_token", [
    ("01", "softmax", True, 3), ("05", "layer_norm", True, 5), ("12", "attend_with_cache", True, 2),
    ("12", "top_k", False, 0)])
def test_where_a_function_is_the_learners_text_is_written_by_it_and_no_fast_way_goes_past_it(
        whole_course, number, name, dropped, per_token):
    author = reference("author")
    (chapter,) = (chapter for chapter in author.Project(ROOT).chapters if chapter.number == number)
    trace = 'np.called = [*getattr(np, "called", ()), 1]'
    cells = [cell.text.replace(author.BEGIN, trace).replace(author.END, "") if cell.asks_something and
             cell.asks == name else cell.answered for cell in chapter.cells if cell.exported]
    printed = run(whole_course, BEGIN.format(f'"{number}"'), *cells, f"check({name})")
    assert "Saved to" in printed, printed
    mine, shipped = run(whole_course, BEGIN.format('"13", mine=True'), FAST), run_script(whole_course, FAST)
    assert whose(mine, "Yours") == [name]
    n = int(re.search(r"fast \d+ of (\d+)", shipped)[1])
    assert mine.split("wrote ")[1].splitlines()[0] == shipped.split("wrote ")[1].splitlines()[0]
    assert f"fast {n - 2} of {n} called 0 True" in shipped          # the two beginnings are no steps
    fast = f"fast 0 of {n} called {n * per_token} False" if dropped else f"fast {n - 2} of {n} called 0 True"
    assert fast in mine, mine


CALLED_BY_A_STEP = {"softmax", "embed", "positional_encoding", "scaled_dot_product_attention", "split_heads",
                    "merge_heads", "feed_forward", "layer_norm", "attend_with_cache"}


def test_the_fast_way_is_dropped_for_all_that_a_step_calls_and_for_nothing_else():
    assemble = reference("assemble")
    modules, names = assemble.shipped_modules(), {*reference("learner").exported_exercises()}
    assert names > CALLED_BY_A_STEP and "next_hidden" not in assemble.shortcuts(modules, names - CALLED_BY_A_STEP)
    for name in CALLED_BY_A_STEP:
        assert "next_hidden" in assemble.shortcuts(modules, {name}), name


def test_the_single_file_writes_in_the_fast_way_where_nothing_of_the_learners_is_in_it(whole_course):
    env = {**os.environ, "PYTHONPATH": str(whole_course), "SCRATCHFORMER_MY_CODE": str(whole_course / "my_code")}
    steps = f"""
import my_transformer as gpt
model = gpt.TransformerLM.random(gpt.GPTConfig(9, 8, 2, 2, max_length=8), np.random.default_rng(0))
{SPY}
fast = model.generate([[3], [4, 5]], 9)
gpt.hidden_with_cache.quick = lambda *args: None
print(np.array_equal(fast, model.generate([[3], [4, 5]], 9)), *taken, 'scratchformer_lib' in sys.modules)"""
    by_hand = "def log_softmax(x, axis=-1):\n    x = x - x.max(axis, keepdims=True)\n" \
              "    return x - np.log(np.exp(x).sum(axis, keepdims=True))"
    assert "Saved to" in run(whole_course, ONE, by_hand, "check(log_softmax)")
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "export", "--single"], cwd=whole_course,
                          env=env, capture_output=True, text=True)
    assert "with your log_softmax" in done.stdout, done.stdout + done.stderr
    text = (whole_course / "my_transformer.py").read_text(encoding="utf-8")
    assert "class Steps:" in text and "@hidden_with_cache.shortcut" in text
    same, *taken, library = run_script(whole_course, steps).split()
    assert (same, library) == ("True", "False") and taken == ["False", *["True"] * 6, *["False"] * 2]


def test_right_answers_of_all_chapters_have_the_gradients_of_the_courses_own():
    differentiation, every = reference("differentiation"), reference("checks").all_exercises()
    tried = 0
    for asked in every.values():
        if ".course." not in asked.reference.__module__ and not isinstance(asked.reference, type):
            of_gradients = differentiation.of_gradients(asked)
            tried += bool(of_gradients.inputs())
            assert not reference("assemble").failure_reason(of_gradients, lambda asked: asked.reference), asked.name
    assert tried > 15


def test_reset_backs_up_and_restores(tmp_path):
    for folder in ("scratchformer_lib", "chapters", "solutions"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "chapters/01_softmax.ipynb"
    fresh = path.read_bytes()
    path.write_text("my work", encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    env.pop("SCRATCHFORMER_MY_CODE", None)
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "reset", "01"], cwd=tmp_path, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == fresh
    (backup,) = (tmp_path / "my_code/notebooks").glob("01_softmax-*.ipynb")
    assert backup.read_text(encoding="utf-8") == "my work"
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "reset", "77"], cwd=tmp_path, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 1 and "there is no chapter '77'" in done.stderr


def test_on_colab_drive_takes_over_what_was_solved_before_it_was_there(tmp_path, monkeypatch):
    learner = reference("learner")
    monkeypatch.setattr(learner, "checkout", lambda: None)
    monkeypatch.setattr(learner, "DRIVE", tmp_path / "drive")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "test")
    monkeypatch.delenv("SCRATCHFORMER_MY_CODE", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_code").mkdir()
    (tmp_path / "my_code/softmax.py").write_text("solved", encoding="utf-8")
    assert learner.home() == tmp_path / "my_code" and "drive.mount" in learner.how_long()
    (tmp_path / "drive").mkdir()
    learner.bring_to_drive()
    assert learner.saved_files()["softmax"].read_text(encoding="utf-8") == "solved"
    assert learner.saved_files()["softmax"].is_relative_to(tmp_path / "drive") and "Drive" in learner.how_long()


def test_free_names_are_those_of_the_module_and_not_of_the_function():
    text = "@decorated\ndef f(a, b=default):\n    c = a + helper(b)\n    return [c * d for d in outer] + [len(c)]"
    assert carry.free_names(text) - {"f"} == {"decorated", "default", "helper", "outer", "len"}


def test_a_library_import_under_another_name_is_kept_in_the_single_file(course):
    path = course / "scratchformer_lib/attention.py"
    path.write_text(ATTENTION.replace("import softmax", "import softmax as shares").replace("return softmax(",
                    "return shares(") + "\n\nONES = weights_of\nprint(weights_of.__name__)\n", encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(course), "SCRATCHFORMER_MY_CODE": str(course / "my_code")}
    subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "export", "--single"], cwd=course, env=env,
                   capture_output=True, text=True, check=True)
    code = "import numpy as np, my_transformer as m; print(m.weights_of(np.eye(2), np.eye(2)).sum())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=course, capture_output=True, text=True)
    assert ran.stdout.endswith("2.0\n"), ran.stderr


# The whole Transformer on a learner's functions. Each leaves its name in np.called.

def solve(course, *numbers):
    """Solve the exported exercises of chapters in their notebooks. Returns their names."""
    author = reference("author")
    project = author.Project(ROOT)
    solved = []
    for chapter in (chapter for chapter in project.chapters if chapter.number in numbers):
        cells = []
        for cell in (cell for cell in chapter.cells if cell.exported or cell.checks in project.owner):
            trace = f'np.called = {{*getattr(np, "called", ()), "{cell.asks if cell.asks_something else ""}"}}'
            cells.append(cell.text.replace(author.BEGIN, trace).replace(author.END, ""))
            solved += [cell.checks] if cell.checks else []
        printed = run(course, BEGIN.format(f'"{chapter.number}"'), *cells)
        assert printed.count("Saved to `my_code/") == sum("check(" in cell for cell in cells), printed
    return solved


@pytest.fixture(scope="module")
def solved_course(tmp_path_factory):
    """The package in a folder of its own, with chapters 01 to 07 solved; and the names of what is solved."""
    folder = tmp_path_factory.mktemp("solved")
    shutil.copytree(ROOT / "scratchformer_lib", folder / "scratchformer_lib",
                    ignore=shutil.ignore_patterns("__pycache__"))
    return folder, solve(folder, *(f"{number:02}" for number in range(1, 8)))


MODEL = """
config = TransformerConfig(9, 7, 8, 2, 12, 2, 2, pre_norm=True, activation="gelu", dropout=0.2)
model = Transformer(config, init_transformer(np.random.default_rng(0), config))
"""
QUESTIONS = """
src, tgt = np.array([[3, 4, 5, 8], [6, 7, 0, 0], [4, 0, 0, 0]]), np.array([[1, 4, 5], [1, 6, 0], [1, 5, 5]])
logits, trained = model(src, tgt), model(src, tgt, np.random.default_rng(1))
loss = cross_entropy(trained[:, :-1], teacher_forcing_pair(tgt)[1], 0, 0.1)
said = [logits, trained, loss, model.greedy_decode(src, 5), *model.beam_search(src, 5)]
print("said", [(str(x.dtype), x.tolist()) for x in said])
"""
USED = {"softmax", "log_softmax", "embed", "positional_encoding", "scaled_dot_product_attention", "causal_mask",
        "padding_mask", "split_heads", "merge_heads", "multi_head_attention", "feed_forward", "layer_norm", "dropout",
        "transformer_block", "embed_sequence", "encoder", "decoder_layer", "decoder"}


def run_script(course, text):
    env = {**os.environ, "PYTHONPATH": str(course)}
    done = subprocess.run([sys.executable, "-c", f"import sys\nimport numpy as np\n{text}"], cwd=course, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def the_library_says(course):
    """What the shipped library answers; its model is saved as model.npz."""
    imports = "from scratchformer_lib.training import *\nfrom scratchformer_lib.transformer import *\n"
    return run_script(course, imports + MODEL + "model.save('model.npz')\n" + QUESTIONS)


def test_chapter_08_runs_on_the_learners_own_functions_of_01_to_07(solved_course):
    course, solved = solved_course
    (chapter,) = (chapter for chapter in reference("author").Project(ROOT).chapters if chapter.number == "08")
    cells = [cell.answered for cell in chapter.cells if cell.exported]
    printed = run(course, BEGIN.format('"08", mine=True'), *cells, MODEL, "np.called = set()", QUESTIONS,
                  "print('called', *np.called)")
    assert len(solved) == 21 and whose(printed, "Yours") == solved and "Error" not in printed, printed
    others = [name for name in reference("learner").exported_exercises() if name not in solved]
    assert whose(printed, "The course's") == others
    assert others[:4] == ["transformer", "teacher_forcing_pair", "cross_entropy", "greedy_decode"]
    assert {*printed[printed.index("called ") + 7:].split()} == USED
    assert the_library_says(course) in printed


@pytest.mark.slow
def test_one_file_of_all_the_learners_functions_holds_the_same_transformer(solved_course, tmp_path):
    course = tmp_path / "course"
    shutil.copytree(solved_course[0], course)
    solved = solved_course[1] + solve(course, "08")
    env = {**os.environ, "PYTHONPATH": str(course), "SCRATCHFORMER_MY_CODE": str(course / "my_code")}
    done = subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "export", "--single"], cwd=course, env=env,
                          capture_output=True, text=True)
    assert f"with your {', '.join(solved)};" in done.stdout, done.stdout + done.stderr
    assert "@hidden_with_cache.shortcut" not in (course / "my_transformer.py").read_text(encoding="utf-8")
    expected = the_library_says(course)
    shutil.rmtree(course / "scratchformer_lib")
    start = "from my_transformer import *\nmodel = Transformer.load('model.npz')\nnp.called = set()\n"
    printed = run_script(course, start + QUESTIONS + "print(*np.called)\nprint('scratchformer_lib' in sys.modules)")
    said, called, library = printed.splitlines()
    assert f"{said}\n" == expected and library == "False"
    assert {*called.split()} == USED | {"transformer", "teacher_forcing_pair", "cross_entropy", "greedy_decode"}
    ran = subprocess.run([sys.executable, "-I", "my_transformer.py", "the cat"], cwd=course, capture_output=True,
                         text=True)
    first, *texts = ran.stdout.splitlines()
    assert first.startswith("3,488 parameters, 400 steps: loss") and len(texts) == 3, ran.stderr
    assert {*texts} <= {"the cat sat on the mat", "the cat ran fast"}
    ran = subprocess.run([sys.executable, "-I", "my_transformer.py", "a horse"], cwd=course, capture_output=True,
                         text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith("it does not know 'a'; it knows: the cat sat on mat ran fast dog")


@pytest.mark.slow
def test_the_tokenizer_runs_on_the_learners_own_functions(whole_course):
    solved = solve(whole_course, "13")
    text = """
from scratchformer_lib.tokenizer import train_bpe
text = "the cat sat on the mat, and the other cats sat on the other mats: 猫, 猫. " * 3
tokenizer = train_bpe(text, 300, special=("<END>",))
print("said", tokenizer.merges, tokenizer.encode(text).tolist(), tokenizer.decode(tokenizer.encode(text)) == text)
"""
    printed = run(whole_course, BEGIN.format('"13", mine=True'), "np.called = set()", text,
                  "print('called', *sorted(np.called))")
    assert solved == ["count_pairs", "merge", "learn_merges", "apply_merges"]
    assert whose(printed, "Yours") == solved and "set aside" not in printed, printed
    assert run_script(whole_course, text) in printed and "True" in printed
    assert {*printed[printed.index("called ") + 7:].split()} == {*solved}
