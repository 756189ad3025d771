"""What a learner takes home: one file of their own functions, or all their answers as a zip."""
import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import assemble, learner

DEMO = Path(__file__).with_name("demo.py")


def single_file(path="my_transformer.py"):
    """Write the learner's functions, with the course's where there are none yet, as one file that runs.

    Returns (the path, the names that are the learner's, {name: why it was set aside}).
    """
    demo = DEMO.read_text(encoding="utf-8")
    admitted, problems = learner.admitted_answers(differentiated="..training" in demo)
    modules = assemble.shipped_modules()
    text = assemble.put_in_place(flattened(modules | {"demo": demo}), admitted, assemble.owners(modules))
    text = assemble.without(text, assemble.shortcuts(modules, admitted))
    names = learner.exported_exercises()
    theirs = ", ".join(name for name in names if name not in admitted)
    head = (f'"""A Transformer in NumPy. Mine: {", ".join(admitted) or "nothing yet"}. '
            f'The course\'s: {theirs or "nothing"}."""\n')
    path = Path(path)
    text = head + text
    with tempfile.TemporaryDirectory() as folder:       # it must run by itself before it takes anything's place
        trial = Path(folder, path.name)
        trial.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-I", trial, "the cat"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the file would not run, so nothing is written: {done.stderr.strip().splitlines()[-1]}")
    if path.exists() and path.read_bytes() != text.encode():
        kept = next(p for i in range(1, 10**6) if not (p := path.with_stem(f"{path.stem}_{i}")).exists())
        path.rename(kept)
        problems[path.name] = f"it was there already. It is kept as {kept.name}"
    learner.write_aside(path, text)
    return path, list(admitted), problems


def flattened(modules):
    """All modules in one text: imports on top, definitions in the order in which they need each other."""
    imports, bodies = {"np": "import numpy as np"}, []
    for text in modules.values():
        tree, lines = ast.parse(text), text.split("\n")
        cut = [(1, tree.body[0].end_lineno)] if ast.get_docstring(tree) is not None else []
        for statement in tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                cut.append((statement.lineno, statement.end_lineno))
                if not getattr(statement, "level", 0):
                    imports |= assemble.one_by_one(statement)
                else:
                    lines += [f"{alias.asname} = {alias.name}" for alias in statement.names if alias.asname]
        for first, last in reversed(cut):
            del lines[first - 1:last]
        bodies.append("\n".join(lines).strip())
    return "\n".join(sorted(imports.values())) + "\n\n\n" + "\n\n\n".join(body for body in bodies if body) + "\n"


def archive(path="my_code.zip"):
    """Write all of my_code/ as a zip. Returns its path."""
    if not learner.saved_files():
        raise SystemExit(f"nothing to export: {learner.home()} holds no solved exercise yet")
    with tempfile.TemporaryDirectory() as folder:       # the archive may be wanted inside of what it holds
        made = shutil.make_archive(str(Path(folder, "my_code")), "zip", learner.home())
        return Path(shutil.move(made, path))
