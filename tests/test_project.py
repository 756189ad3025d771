"""The project around the course: what the library may import, the commands, and its one URL."""
import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "scratchformer_lib"
LIBRARY = [*PACKAGE.glob("*.py"), *(PACKAGE / "support").glob("*.py")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.name)
def test_the_library_imports_numpy_the_standard_library_and_itself(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for attempt in (node for node in ast.walk(tree) if isinstance(node, ast.Try)):      # what it can do without
        if [ast.unparse(handler.type) for handler in attempt.handlers] == ["ImportError"]:
            attempt.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 and not (node.module or "").startswith("course")
            continue
        else:
            continue
        assert all(name.partition(".")[0] in sys.stdlib_module_names | {"numpy"} for name in names)


def test_the_library_loads_numpy_and_nothing_else_of_weight():
    code = ("import sys, numpy; before = set(sys.modules); import scratchformer_lib.softmax; "
            "new = [name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names]; "
            "print(*sorted(new))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name.removeprefix("scratchformer_lib").lstrip(".") for name in done.stdout.split()] == [
        "", "autograd", "softmax", "support", "support.memory", "support.trees"]


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", ROOT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_text_files_are_utf_8_with_plain_line_ends():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, files):
        path = ROOT / name
        if path.suffix in (".png", ".npz") or not path.exists():
            continue
        assert b"\r" not in path.read_bytes(), name
        path.read_text(encoding="utf-8")


def run(*arguments, cwd=ROOT, **env):
    return subprocess.run([sys.executable, "-m", "scratchformer_lib.course", *arguments], cwd=cwd, capture_output=True,
                          text=True, env={**os.environ, **env})


def test_build_check_says_that_this_checkout_is_fresh():
    done = run("build", "--check")
    assert (done.returncode, done.stdout) == (0, "everything made is fresh\n"), done.stderr


def test_the_commands_say_what_is_wrong(tmp_path):
    assert "unrecognized arguments: --chekc" in run("build", "--chekc").stderr
    assert "there is no chapter 77" in run("build", "77").stderr
    done = run("export", cwd=tmp_path, SCRATCHFORMER_MY_CODE=str(tmp_path / "my_code"))
    assert done.returncode == 1 and "nothing to export" in done.stderr
    done = run("reset", "../x")
    assert done.returncode == 1 and "there is no chapter" in done.stderr


def test_build_without_its_packages_says_what_to_install():
    code = ("import sys; sys.modules['nbformat'] = None\n"
            "from scratchformer_lib.course.__main__ import main; main(['build'])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert 'nbformat is missing in this Python' in done.stderr and 'pip install -e ".[test]"' in done.stderr


def test_a_zip_of_the_answers_is_made(tmp_path):
    (tmp_path / "my_code").mkdir()
    (tmp_path / "my_code/softmax.py").write_text("def softmax(x, axis=-1):\n    return x\n", encoding="utf-8")
    done = run("export", cwd=tmp_path, SCRATCHFORMER_MY_CODE=str(tmp_path / "my_code"))
    assert "my_code.zip" in done.stdout and (tmp_path / "my_code.zip").stat().st_size > 0


def test_environment_yml_pins_python_exactly_and_installs_the_checkout():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert re.search(r"^ *- python=3\.12( |$)", text, re.M) and "-e .[course]" in text


def test_the_library_needs_numpy_only():
    assert PROJECT["dependencies"] == ["numpy>=2.0"]


EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["attention", "forward pass", "training", "generating"])
def test_an_example_of_the_readme_prints_what_its_comments_say(example, tmp_path):
    said = re.findall(r"^print\(.*\) +# (.*)$", example, re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert said and done.stdout.splitlines() == said, done.stderr
