"""scratchformer build: what it makes, what it refuses, and what it never loses."""
import shutil
from pathlib import Path

import nbformat
import pytest

from scratchformer_lib.course import reference

author = reference("author")
ROOT = Path(__file__).resolve().parents[1]

SOURCE = '''# %% [markdown]
# # 07 · Doubling: twice as much
#
# <!-- badges -->
# <!-- /badges -->

# %%
#| setup

# %%
#| default_exp doubling
#| export
import math
import os

import numpy as np
from scratchformer_lib.softmax import log_softmax, softmax

# %% [markdown]
# **Exercise 7.1.** Write `double(x)`.

# %%
#| export
def double(x):
    """Return twice x.

    x: any shape. Returns the same shape.
    """
    if np.ndim(x) > 9:
        raise ValueError("x has too many axes")
    ### BEGIN SOLUTION
    return x + x
    ### END SOLUTION

# %%
check(double)

# %%
#| given
print(double(np.array([1, 2])))

# %%
#| export-only
def softened(x):
    return softmax(double(x) * math.sqrt(4))

# %% [markdown]
# **Exercise 7.2.** Write `halve(x)`.

# %%
def helper(x):
    return x * math.pi / math.pi


def halve(x):
    """Return half of x.

    x: any shape. Returns the same shape.
    """
    ### BEGIN SOLUTION
    return helper(x) / 2
    ### END SOLUTION

# %%
check(halve)
'''

CHECKS = '''import numpy as np

from ...doubling import double
from ..answers.chapter_07 import halve
from ..exercise import Case, Exercise

DOUBLE = Exercise(double, lambda: [Case("three numbers", (np.arange(3.0),), axes="T")])
HALVE = Exercise(halve, lambda: [Case("three numbers", (np.arange(3.0),), axes="T")])
'''


def new_project(tmp_path):
    shutil.copytree(ROOT / "scratchformer_lib", tmp_path / "scratchformer_lib",
                    ignore=shutil.ignore_patterns("__pycache__", "chapter_*.py"))
    (tmp_path / "scratchformer_lib/course/checks/chapter_07.py").write_text(CHECKS, encoding="utf-8")
    (tmp_path / "solutions").mkdir()
    (tmp_path / "chapters").mkdir()
    (tmp_path / "solutions/07_doubling.py").write_text(SOURCE, encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "README.md").write_text("# Read me\n<!-- badges -->\n<!-- /badges -->\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def root(tmp_path):
    """A small project: the real package with the sources of one chapter, not yet built."""
    return new_project(tmp_path)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory):
    root = new_project(tmp_path_factory.mktemp("built"))
    author.build(root)
    return root


@pytest.fixture
def built(built_once, tmp_path):
    """The same, built."""
    return shutil.copytree(built_once, tmp_path / "project")


def source(root):
    return root / "solutions/07_doubling.py"


def rewrite(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def snapshot(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def relative(root, paths):
    return sorted(path.relative_to(root).as_posix() for path in paths)


def test_build_makes_module_answers_and_both_notebooks(built):
    assert author.stale_files(author.Project(built)) == []
    assert (built / "scratchformer_lib/doubling.py").read_text(encoding="utf-8") == '''\
"""Doubling: twice as much. Made from solutions/07_doubling.py: edit there."""
import math

import numpy as np

from .softmax import softmax


def double(x):
    """Return twice x.

    x: any shape. Returns the same shape.
    """
    if np.ndim(x) > 9:
        raise ValueError("x has too many axes")
    return x + x


def softened(x):
    return softmax(double(x) * math.sqrt(4))
'''
    answers = (built / "scratchformer_lib/course/answers/chapter_07.py").read_text(encoding="utf-8")
    assert "import math\n\n\ndef helper(x):" in answers and answers.endswith("return helper(x) / 2\n")
    solved = nbformat.read(built / "solutions/07_doubling.ipynb", as_version=4)
    chapter = author.Chapter.from_source(source(built), source(built).read_text(encoding="utf-8"))
    assert [cell.source for cell in solved.cells] == [cell.source for cell in chapter.cells]
    (printed,) = next(c for c in solved.cells if "print" in c.source).outputs
    assert printed.text == "[2 4]\n"
    assert "is right" in str(next(c for c in solved.cells if c.id == "07-double-check").outputs)


def test_the_learners_notebook_has_stubs_and_nothing_that_gives_the_answer_away(built):
    made = nbformat.read(built / "chapters/07_doubling.ipynb", as_version=4)
    nbformat.validate(made)
    text = "\n".join(cell.source for cell in made.cells)
    asked = next(cell for cell in made.cells if cell.id == "07-double")
    assert asked.source.endswith('        raise ValueError("x has too many axes")\n'
                                 '    raise NotImplementedError("Exercise 7.1")')
    assert 'raise NotImplementedError("Exercise 7.2")' in text
    assert not any(word in text for word in ("SOLUTION", "#|", "x + x", "softened", "helper(x) / 2"))
    assert all(not cell.get("outputs") for cell in made.cells)
    assert next(c for c in made.cells if "print(double" in c.source).metadata.jupyter.source_hidden


def test_ids_are_named_after_exercises_and_content_not_positions(built):
    def ids():
        return [cell.id for cell in nbformat.read(built / "chapters/07_doubling.ipynb", as_version=4).cells]

    before = ids()
    assert {"07-double", "07-double-check", "07-halve", "07-halve-check"} <= set(before)
    rewrite(source(built), "# %% [markdown]\n# **Exercise 7.1.**",
            "# %% [markdown]\n# A cell before.\n\n# %% [markdown]\n# **Exercise 7.1.**")
    author.build(built)
    assert set(before) < set(ids())


def test_building_again_changes_no_byte_and_runs_nothing(built, monkeypatch):
    before = snapshot(built)
    with monkeypatch.context() as patch:
        patch.setattr(author, "execute", lambda *_, **__: pytest.fail("a notebook was executed"))
        author.build(built)
    assert snapshot(built) == before
    author.build(built, force=True)
    assert {p: b for p, b in snapshot(built).items() if p.suffix != ".ipynb" or p.parent.name == "chapters"} == \
        {p: b for p, b in before.items() if p.suffix != ".ipynb" or p.parent.name == "chapters"}


def test_a_magic_in_a_cell_that_is_not_exported_is_fine(root):
    rewrite(source(root), "# %%\n#| given\n", "# %%\n# %matplotlib inline\n\n# %%\n#| given\n")
    author.build(root)
    assert "%matplotlib inline" in (root / "chapters/07_doubling.ipynb").read_text(encoding="utf-8")


def test_a_change_of_kind_or_of_a_directive_reaches_the_learners_notebook(built):
    rewrite(source(built), "#| given\n", "")
    assert "chapters/07_doubling.ipynb" in relative(built, author.stale_files(author.Project(built)))
    author.build(built)
    assert "source_hidden" not in (built / "chapters/07_doubling.ipynb").read_text(encoding="utf-8")


def test_made_files_without_a_source_are_named(built):
    before = author.orphans(author.Project(built))      # the library's modules came without their sources here
    source(built).unlink()
    (built / "scratchformer_lib/course/checks/chapter_07.py").unlink()
    named = [path for path in author.orphans(author.Project(built)) if path not in before]
    assert relative(built, named) == ["chapters/07_doubling.ipynb", "scratchformer_lib/course/answers/chapter_07.py",
                                      "scratchformer_lib/doubling.py", "solutions/07_doubling.ipynb"]


def test_line_ends_of_another_system_are_stale(built):
    text = source(built).read_bytes()
    source(built).write_bytes(text.replace(b"\n", b"\r\n"))
    assert relative(built, author.stale_files(author.Project(built))) == ["solutions/07_doubling.py"]
    author.build(built)
    assert source(built).read_bytes() == text


def test_long_import_lines_are_wrapped_and_sorted_like_the_rest():
    names = ["softmax", "Softmax", "LOST", *(f"a_rather_long_name_{i}" for i in range(6))]
    line = author.import_line(".module", sorted(names, key=author.as_ruff_sorts))
    assert max(map(len, line.split("\n"))) <= 120
    assert line.index("LOST") < line.index("Softmax") < line.index("a_rather_long_name_0") < line.index("softmax,")


def test_one_word_changed_is_named_as_stale(built):
    rewrite(source(built), "twice as much", "two times as much")
    assert relative(built, author.stale_files(author.Project(built))) == [
        "chapters/07_doubling.ipynb", "scratchformer_lib/course/answers/chapter_07.py", "scratchformer_lib/doubling.py",
        "solutions/07_doubling.ipynb"]


@pytest.mark.parametrize("path, stale", [
    ("scratchformer_lib/course/checks/chapter_07.py", ["solutions/07_doubling.ipynb"]),
    ("scratchformer_lib/softmax.py", ["solutions/07_doubling.ipynb"]),
    ("scratchformer_lib/course/card.py", []),
])
def test_an_executed_notebook_is_stale_when_what_it_imports_changes(built, path, stale):
    with open(built / path, "a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert relative(built, author.stale_files(author.Project(built))) == stale


def test_badges_and_setup_follow_the_one_url(built):
    rewrite(built / "pyproject.toml", "scratchformer/scratchformer", "someone/fork")
    stale = relative(built, author.stale_files(author.Project(built)))
    assert {"README.md", "chapters/07_doubling.ipynb", "solutions/07_doubling.py"} <= set(stale)
    author.build(built)
    for path in ("README.md", "chapters/07_doubling.ipynb", "solutions/07_doubling.py", "solutions/07_doubling.ipynb"):
        text = (built / path).read_text(encoding="utf-8")
        assert "github/someone/fork/blob/main/chapters/" in text and "scratchformer/scratchformer" not in text
    assert "git+https://github.com/someone/fork" in (built / "chapters/07_doubling.ipynb").read_text(encoding="utf-8")


REFUSED = {
    "unclosed markers": ("    ### END SOLUTION\n\n# %%\ncheck(double)", "\n# %%\ncheck(double)", "is never closed"),
    "nested markers": ("    return x + x\n", "    ### BEGIN SOLUTION\n    return x + x\n", "not nested"),
    "an end without a beginning": ("    ### BEGIN SOLUTION\n    return x + x", "    return x + x", "come in pairs"),
    "markers outside of a function": ("# %%\n#| given\n", "# %%\n### BEGIN SOLUTION\n### END SOLUTION\n", "not inside"),
    "a magic in an exported cell": ("#| export\ndef double", "#| export\n# %time\ndef double", "a magic in an"),
    "an exported cell that does not parse": ("    return x + x", "    return x +", "does not parse"),
    "an exercise without a check": ("# %%\ncheck(double)\n", "", "exercise double has no cell check(double)"),
    "a check without an exercise": ("# %%\ncheck(double)\n", "# %%\ncheck(double)\n\n# %%\ncheck(triple)\n",
                                    "no cell asks for triple"),
    "an exercise that the text calls by another number": ("Exercise 7.2.", "Exercise 7.3.", "'Exercise 7.2.'"),
    "markers that are nearly right": ("    ### END SOLUTION\n\n# %%\ncheck(halve)",
                                      "    ### End solution\n\n# %%\ncheck(halve)", "is no marker"),
    "markers after a function": ("### BEGIN SOLUTION\n    return x + x\n    ### END SOLUTION\n",
                                 "return x + x\n### BEGIN SOLUTION\n### END SOLUTION\n", "not inside a function"),
    "two exercises in one cell": ("# %%\ncheck(double)\n", "def other(x):\n    ### BEGIN SOLUTION\n    return x\n"
                                  "    ### END SOLUTION\n\n# %%\ncheck(double)\n", "two exercises in one cell"),
    "two checks in one cell": ("check(double)\n", "check(double)\ncheck(halve)\n", "more than one check"),
    "an import that shares its line": ("import math\n", "import math; PI = 3\n", "shares its line"),
    "a star import": ("import math\n", "from math import *\n", "`from math import *` cannot be exported"),
    "a whole module of the library": ("import math\n", "import math\nfrom scratchformer_lib import softmax as s\n",
                                      "write `from scratchformer_lib.module import name`"),
    "an import of the library inside a function": (
        "    return softmax(double", "    from scratchformer_lib.softmax import softmax\n    return softmax(double",
        "outside of functions"),
    "an unknown directive": ("#| given", "#| gvien", "unknown directive '#| gvien'"),
    "an export without a module": ("#| default_exp doubling\n", "", "needs `#| default_exp module`"),
    "a name exported twice in a chapter": ("def softened(x):", "def double(x):", "exports double, which 07_doubling"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_source_is_refused_by_chapter_and_cell_and_nothing_is_written(root, case):
    old, new, words = REFUSED[case]
    rewrite(source(root), old, new)
    before = snapshot(root)
    with pytest.raises(author.BuildError) as error:
        author.build(root)
    assert "07_doubling, cell " in str(error.value)
    assert words in str(error.value)
    assert snapshot(root) == before


def test_an_exercise_that_the_checks_do_not_know_is_refused(root):
    rewrite(root / "scratchformer_lib/course/checks/chapter_07.py", "HALVE = ", "halve_ = lambda: ")
    with pytest.raises(author.BuildError, match="exercise halve is not in checks/chapter_07.py"):
        author.Project(root)


def test_an_exercise_of_the_checks_that_no_text_asks_for_is_refused(root):
    with open(root / "scratchformer_lib/course/checks/chapter_07.py", "a", encoding="utf-8") as file:
        file.write("TREBLE = Exercise(treble, lambda: [])\n")
    with pytest.raises(author.BuildError, match="has the exercises double, halve, treble; the text asks for double, "):
        author.Project(root)


def test_two_chapters_that_export_one_name_are_refused(root):
    other = SOURCE.replace("Exercise 7.", "Exercise 8.").replace("_exp doubling", "_exp other").replace("halve", "part")
    (root / "solutions/08_other.py").write_text(other, encoding="utf-8")
    checks = root / "scratchformer_lib/course/checks"
    (checks / "chapter_08.py").write_text(CHECKS.replace("halve", "part"), encoding="utf-8")
    with pytest.raises(author.BuildError, match=r"08_other, cell \d+ .*: exports double, which 07_doubling exports"):
        author.build(root)
    assert not (root / "scratchformer_lib/doubling.py").exists()
    rewrite(root / "solutions/08_other.py", "part", "halve")
    rewrite(checks / "chapter_08.py", "part", "halve")
    with pytest.raises(author.BuildError, match=r"08_other, cell \d+ .*: asks for halve, which 07_doubling has"):
        author.build(root)


def test_a_chapter_can_append_to_another_chapters_module(built):
    (built / "solutions/08_more.py").write_text('''# %% [markdown]
# # 08 · More

# %%
#| export doubling
import numpy as np
from scratchformer_lib.doubling import double

def fourfold(x):
    return double(double(np.add(x, 0)))
''', encoding="utf-8")
    author.build(built, ["08"])
    text = (built / "scratchformer_lib/doubling.py").read_text(encoding="utf-8")
    assert text.startswith('"""Doubling: twice as much. Made from solutions/07_doubling.py and solutions/08_more.py: ')
    assert text.endswith("def fourfold(x):\n    return double(double(np.add(x, 0)))\n")
    assert "from .doubling" not in text


def test_a_learners_edited_notebook_is_never_overwritten(built):
    path = built / "chapters/07_doubling.ipynb"
    rewrite(path, 'raise NotImplementedError(\\"Exercise 7.1\\")', "return x * 2")
    mine = path.read_bytes()
    author.build(built)                     # nothing to do: the notebook stems from this very source
    assert author.stale_files(author.Project(built)) == []
    rewrite(source(built), "twice as much", "two times as much")
    before = snapshot(built)
    with pytest.raises(author.BuildError, match="07_doubling.ipynb in chapters/ holds a learner's work"):
        author.build(built)
    assert snapshot(built) == before
    assert path.read_bytes() == mine


def test_outputs_and_an_empty_last_cell_are_no_edit(built):
    path = built / "chapters/07_doubling.ipynb"
    made = nbformat.read(path, as_version=4)
    made.cells[1].outputs = [nbformat.v4.new_output("stream", text="something")]
    made.cells.append(nbformat.v4.new_code_cell(""))
    nbformat.write(made, path)
    assert author.stale_files(author.Project(built)) == []
    rewrite(source(built), "twice as much", "two times as much")
    author.build(built)


def test_an_executed_notebook_edited_apart_from_its_source_is_refused_and_can_be_synchronized(built):
    path = built / "solutions/07_doubling.ipynb"
    rewrite(path, "return x + x", "return 2 * x")
    assert relative(built, author.stale_files(author.Project(built))) == ["solutions/07_doubling.ipynb"]
    before = snapshot(built)
    with pytest.raises(author.BuildError, match="jupytext --sync solutions/07_doubling.ipynb"):
        author.build(built)
    assert snapshot(built) == before
    shutil.copy(ROOT / "solutions/jupytext.toml", built / "solutions")
    from jupytext.cli import jupytext
    jupytext(["--sync", str(path), "--quiet"])
    assert "return 2 * x" in source(built).read_text(encoding="utf-8")
    author.build(built)
    assert author.stale_files(author.Project(built)) == []


def test_a_failing_cell_is_told_and_the_old_notebook_stays(built):
    path = built / "solutions/07_doubling.ipynb"
    old = path.read_bytes()
    rewrite(source(built), "print(double(np.array([1, 2])))", "print(double(np.array([1, 2])) / nothing)")
    with pytest.raises(author.BuildError) as error:
        author.build(built)
    assert "chapter 07, cell " in str(error.value)
    assert "print(double(np.array([1, 2])) / nothing)" in str(error.value)
    assert "NameError: name 'nothing' is not defined" in str(error.value)
    assert path.read_bytes() == old


def test_a_file_that_is_no_notebook_is_named(built):
    (built / "chapters/07_doubling.ipynb").write_text("<<<<<<< HEAD", encoding="utf-8")
    with pytest.raises(author.BuildError, match="07_doubling.ipynb is not a notebook"):
        author.build(built)


def test_an_unknown_chapter_is_named(built):
    with pytest.raises(author.BuildError, match="there is no chapter 42 in solutions/"):
        author.build(built, ["42"])


def test_a_new_chapter_builds_at_once(root):
    author.new_chapter(root, "19", "pooling")
    author.build(root, ["19"])
    assert "def pooling(x):" in (root / "scratchformer_lib/pooling.py").read_text(encoding="utf-8")
    assert all("07" in path or "doubling" in path for path in relative(root, author.stale_files(author.Project(root))))
    with pytest.raises(author.BuildError, match="chapter 19 exists already: solutions/19_pooling.py"):
        author.new_chapter(root, "19", "other")
    with pytest.raises(author.BuildError, match="two digits, then a name"):
        author.new_chapter(root, "7", "Pooling")


def test_everything_in_this_checkout_is_fresh():
    assert author.stale_files(author.Project(ROOT)) == []
