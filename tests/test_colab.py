"""The chapters with Colab's versions, where the course was never installed; the stand-in is an environment of pins."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from scratchformer_lib.course import reference

author = reference("author")
ROOT = Path(__file__).resolve().parents[1]

RUN = """
import json, sys, nbclient, nbformat
for path in sys.argv[1:]:
    made = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(made, timeout=120, kernel_name="python3").execute()
    nbformat.write(made, path)
"""


def python_313():
    """A Python 3.13, or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions").glob("3.13*/bin/python")
    for candidate in [sys.executable, shutil.which("python3.13"), *map(str, pyenv)]:
        if candidate:
            code = "import sys; sys.exit(sys.version_info[:2] != (3, 13))"
            if subprocess.run([candidate, "-c", code], capture_output=True).returncode == 0:
                return candidate
    return None


@pytest.mark.slow
@pytest.mark.skipif(python_313() is None, reason="no Python 3.13, which Colab has, on this machine")
def test_solved_chapters_run_on_colab(tmp_path):
    python = tmp_path / "colab" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python_313(), "-m", "venv", tmp_path / "colab"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", ROOT / "tests/colab_pins.txt"], check=True)

    repository = tmp_path / "repository"            # what pip is to install from, as from a public URL
    shutil.copytree(ROOT / "scratchformer_lib", repository / "scratchformer_lib")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, repository)
    git = ["git", "-C", repository, "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)

    project, content = author.Project(ROOT), tmp_path / "content"
    content.mkdir()
    for chapter in project.chapters:
        answers = {cell.id: cell.source for cell in project.solution_notebook(chapter).cells}
        made = author.learner_notebook(chapter)
        for cell in made.cells:
            if "NotImplementedError" in cell.source and cell.cell_type == "code":
                cell.source = answers[cell.id]
            cell.source = cell.source.replace(f"git+{project.url}", f"git+{repository.as_uri()}")
        nbformat.write(made, content / f"{chapter.path.stem}.ipynb")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "SCRATCHFORMER"))}
    paths = sorted(content.glob("*.ipynb"))
    subprocess.run([python, "-c", RUN, *paths], cwd=content, check=True,
                   env={**env, "COLAB_RELEASE_TAG": "test", "IPYTHONDIR": str(tmp_path / "ipython")})

    for path in paths:
        text = json.dumps(nbformat.read(path, as_version=4))
        assert "It lasts until Colab takes this machine back." in text
        assert text.count("image/png") >= 5 and "widget-view" in text
    names = {path.stem for path in (content / "my_code").glob("*.py")}
    assert names == {name for chapter in project.chapters for name in chapter.exercises}
