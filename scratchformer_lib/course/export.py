"""What a learner takes home: one file of their own functions, or all their answers as a zip."""
import ast
import shutil
from pathlib import Path

from . import assemble, learner

DEMO = '''

def main(words):
    """Turn scores into shares. The scores are set by hand: the number of letters of each word."""
    scores = np.array([float(len(word)) for word in words])
    for word, share in zip(words, softmax(scores)):
        print(f"{word:>12} {share:6.1%}")


if __name__ == "__main__":
    import sys
    main(" ".join(sys.argv[1:]).split() or ["the", "cat", "sat"])
'''


def single_file(path="my_transformer.py"):
    """Write the learner's functions, with the course's where there are none yet, as one file that runs.

    Returns (the path, the names that are the learner's, {name: why it was set aside}).
    """
    admitted, problems = learner.admitted_answers()
    modules = assemble.library_modules()
    text = assemble.put_in_place(flattened(modules), admitted, assemble.owners(modules))
    names = learner.library_exercises()
    theirs = ", ".join(name for name in names if name not in admitted)
    head = (f'"""A Transformer in NumPy. Mine: {", ".join(admitted) or "nothing yet"}. '
            f'The course\'s: {theirs or "nothing"}."""\n')
    learner.write_aside(Path(path), head + text + DEMO)
    return Path(path), list(admitted), problems


def flattened(modules):
    """All modules in one text: imports on top, definitions in the order in which they need each other."""
    imports, bodies = {"np": "import numpy as np"}, []
    for text in modules.values():
        tree, lines = ast.parse(text), text.splitlines()
        cut = [(1, tree.body[0].end_lineno)] if ast.get_docstring(tree) is not None else []
        for statement in tree.body:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                cut.append((statement.lineno, statement.end_lineno))
                if not getattr(statement, "level", 0):
                    imports |= assemble.one_by_one(statement)
        for first, last in reversed(cut):
            del lines[first - 1:last]
        bodies.append("\n".join(lines).strip())
    return "\n".join(sorted(imports.values())) + "\n\n\n" + "\n\n\n".join(body for body in bodies if body) + "\n"


def archive(path="my_code.zip"):
    """Write all of my_code/ as a zip. Returns its path."""
    if not learner.saved_files():
        raise SystemExit(f"nothing to export: {learner.home()} holds no solved exercise yet")
    return Path(shutil.make_archive(str(Path(path).with_suffix("")), "zip", learner.home()))
