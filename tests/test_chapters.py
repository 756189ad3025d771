"""The chapters themselves: unsolved they say so, solved they are the solution notebooks, under nbval too."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

from scratchformer_lib.course import reference

author = reference("author")
ROOT = Path(__file__).resolve().parents[1]
PROJECT = author.Project(ROOT)
CHAPTERS = [pytest.param(chapter, id=chapter.path.stem) for chapter in PROJECT.chapters]
CODE = [cell for chapter in PROJECT.chapters for cell in chapter.cells if cell.kind == "code"]
ids_of_exercises = {f"{chapter.number}-{name}" for chapter in PROJECT.chapters for name in chapter.exercises}


def run_to_the_end(made, tmp_path, folder="chapters"):
    """Run a notebook past its failing cells, as nbval does."""
    env = {**os.environ, "SCRATCHFORMER_MY_CODE": str(tmp_path / "my_code"), "PYTHONPATH": str(ROOT),
           "IPYTHONDIR": str(tmp_path)}
    client = nbclient.NotebookClient(made, timeout=60, kernel_name="python3", allow_errors=True, coalesce_streams=True,
                                     resources={"metadata": {"path": str(ROOT / folder)}})
    client.execute(env=env)
    return made


def errors(cell):
    return [(output.ename, output.evalue) for output in cell.outputs if output.output_type == "error"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_unsolved_chapter_is_not_attempted_everywhere(chapter, tmp_path):
    made = run_to_the_end(author.learner_notebook(chapter), tmp_path)
    for cell in made.cells:
        if cell.cell_type != "code":
            continue
        if cell.id.endswith("-check"):
            name = cell.id.removeprefix(f"{chapter.number}-").removesuffix("-check")
            assert errors(cell) == [("NotPassed", f"{name}: not attempted")]
        else:
            assert all(name == "NotImplementedError" and re.fullmatch(r"Exercise \d+\.\d+", value)
                       for name, value in errors(cell)), cell.source
    assert not (tmp_path / "my_code").exists()


def comparable(cell):
    """A cell's outputs, without what differs from run to run: widget ids, durations, memory, pictures of times."""
    outputs = [output for output in cell.outputs if not re.search("tokens/s|milliseconds", str(output))]
    text = json.dumps([{key: value for key, value in output.items() if key != "execution_count"}
                       for output in outputs], sort_keys=True)
    text = re.sub(r'"application/vnd.jupyter.widget-view\+json": \{.*?\}, ?', "", text)
    return re.sub(r"[\d.]+ (ms|s|days|times|MB)\b", r"... \1", text)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_with_the_solutions_pasted_in_a_chapter_is_its_solution_notebook(chapter, tmp_path):
    solved = run_to_the_end(PROJECT.solution_notebook(chapter), tmp_path / "solution", "solutions")
    texts = {cell.id: cell.source for cell in solved.cells}
    made = author.learner_notebook(chapter)
    for cell in made.cells:
        if cell.id in ids_of_exercises:
            cell.source = texts[cell.id]
    pasted = run_to_the_end(made, tmp_path / "pasted")
    solved_cells = {cell.id: cell for cell in solved.cells}
    assert not any(errors(cell) for cell in pasted.cells if cell.cell_type == "code")
    for cell in pasted.cells:
        if cell.cell_type == "code":
            assert comparable(cell) == comparable(solved_cells[cell.id]), cell.source


def test_the_solution_notebooks_pass_under_nbval(tmp_path):
    env = {**os.environ, "SCRATCHFORMER_MY_CODE": str(tmp_path / "my_code")}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax",
                           "--nbval-current-env", "--nbval-cell-timeout=60", "solutions/"],
                          cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(CODE)} passed" in done.stdout


def test_under_nbval_an_unsolved_chapter_fails_at_every_check(tmp_path):
    env = {**os.environ, "SCRATCHFORMER_MY_CODE": str(tmp_path / "my_code")}
    nbformat.write(author.learner_notebook(PROJECT.chapters[-1]), tmp_path / "unsolved.ipynb")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax",
                           "--nbval-current-env", "--nbval-cell-timeout=60", str(tmp_path)],
                          cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    for name in PROJECT.chapters[-1].exercises:
        assert f"{name}: not attempted" in done.stdout


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_chapter_runs_from_any_working_directory(chapter, tmp_path):
    """Its first cell finds the course, and running it twice does no harm."""
    (cell,) = [cell for cell in chapter.cells if "setup" in cell.directives]
    env = {**os.environ, "SCRATCHFORMER_MY_CODE": str(tmp_path / "my_code")}
    done = subprocess.run([sys.executable, "-c", cell.text + "\n\n" + cell.text], cwd=tmp_path, env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"Chapter {chapter.number}: 0 of ") == 2


def test_a_kernel_without_the_course_finds_the_checkout_above_it(tmp_path):
    (cell,) = [cell for cell in PROJECT.chapters[0].cells if "setup" in cell.directives]
    bare = "import sys, importlib.util\nsys.path = [p for p in sys.path if 'scratchformer' not in p and p]\n" \
           "sys.meta_path = [f for f in sys.meta_path if 'scratchformer' not in str(f)]\n"
    hidden = "sys.path = [p for p in sys.path if not __import__('pathlib').Path(p, 'scratchformer_lib').is_dir()]\n"
    code = bare + hidden + "assert importlib.util.find_spec('scratchformer_lib') is None\n" + cell.text
    env = {**os.environ, "SCRATCHFORMER_MY_CODE": str(tmp_path / "my_code")}
    env.pop("PYTHONPATH", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "chapters", env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Chapter 00" in done.stdout


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_picture_says_in_words_what_it_shows(chapter):
    executed = nbformat.read(chapter.path.with_suffix(".ipynb"), as_version=4)
    pictures = [output for cell in executed.cells for output in cell.get("outputs", [])
                if "image/png" in output.get("data", {})]
    assert pictures
    for output in pictures:
        assert len(output.metadata["image/png"]["alt"]) > 20
        assert not output.data["text/plain"].startswith("<Figure")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_links_to_other_chapters_lead_somewhere(chapter):
    text = "\n".join(cell.source for cell in chapter.cells if cell.kind == "markdown")
    for target in re.findall(r"\]\((\w+\.ipynb)\)", text):
        assert (ROOT / "chapters" / target).is_file(), target
