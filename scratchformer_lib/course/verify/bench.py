"""What a submission runs with: the library as it is when its chapter begins, the cases of the chapter's exercises, and
the chapter with the learner's answers in it.

No answer of this chapter or of a later one is in there, nor any mistake or judge.
"""
import ast
import compileall
import re
import shutil
from pathlib import Path

import nbformat

from .. import author
from ..assemble import SHIPPED, one_by_one
from ..carry import bound_names, free_names, is_definition, source_of

WHOLE = ["__init__.py", "course/__init__.py", "course/exercise.py", "course/card.py", "course/checks/__init__.py",
         "course/verify/inside.py", "course/verify/plain.py"]
OUT_OF_REACH = "this is the course's own answer, which is out of reach here"
NOT_NEEDED = 'raise ImportError("jsonschema does without, and it takes more than a second to load")\n'

BEGIN = '''import importlib.util
import sys

spec = importlib.util.spec_from_file_location("scratchformer_desk", {init!r}, submodule_search_locations=[{package!r}])
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])

from scratchformer_desk.course.verify import inside

inside.begin({chapter!r}, {results!r}, {home!r}, {closed!r}, {seconds!r})
del importlib, inside, spec, sys'''
COLLECT = '''from scratchformer_desk.course.verify import inside

inside.collect({name!r})'''


class Bench:
    """All chapters that have a solution notebook."""

    def __init__(self, root):
        self.root = Path(root)
        paths = sorted((self.root / "solutions").glob("[0-9][0-9]_*.ipynb"))
        self.notebooks = {path.stem[:2]: author.read_notebook(path) for path in paths}
        self.chapters = {path.stem[:2]: author.Chapter(path, self.notebooks[path.stem[:2]]) for path in paths}
        self.cells = {number: author.learner_notebook(chapter).cells for number, chapter in self.chapters.items()}

    def names(self):
        """{number of a chapter: name of its file}"""
        return {number: chapter.path.stem for number, chapter in self.chapters.items()}

    def exercises(self):
        """{number of a chapter: names of its exercises}"""
        return {number: chapter.exercises for number, chapter in self.chapters.items() if chapter.exercises}

    def code_cells(self, number):
        """[(id, source)] of the chapter as it is handed out, but for the cell that finds the course."""
        return [(cell.id, cell.source) for cell in self.cells[number] if cell.cell_type == "code"][1:]

    def set_up(self, number, folder):
        """Write the package that chapter `number` runs with into a folder."""
        package = folder / "scratchformer_lib"
        shutil.copytree(SHIPPED / "support", package / "support", ignore=shutil.ignore_patterns("__pycache__"))
        texts = {name: (SHIPPED / name).read_text(encoding="utf-8") for name in WHOLE}
        texts["course/verify/__init__.py"] = ""
        texts |= {f"course/checks/chapter_{n}.py": text for n, text in cases(number, SHIPPED / "course/checks").items()}
        texts |= {path.relative_to(SHIPPED).as_posix(): text for path, text in self.library(number).items()}
        for name, text in texts.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text, encoding="utf-8")
        (folder / "rfc3987_syntax.py").write_text(NOT_NEEDED)
        compileall.compile_dir(package, quiet=2)

    def library(self, number):
        """{path: text} of the modules that chapters up to this one make, with its answers taken out."""
        until = [chapter for n, chapter in self.chapters.items() if n < number]
        emptied = nbformat.from_dict(self.notebooks[number])
        for cell in emptied.cells:
            if cell.cell_type == "code":
                cell.source = re.sub(rf"^([ \t]*){author.BEGIN}.*?{author.END}[ \t]*$",
                                     rf'\1{author.BEGIN}\n\1raise LookupError("{OUT_OF_REACH}")\n\1{author.END}',
                                     cell.source, flags=re.M | re.S)
        made = author.Project(self.root, [*until, author.Chapter(self.chapters[number].path, emptied)]).modules
        return {SHIPPED / path.relative_to(self.root / "scratchformer_lib"): text for path, text in made.items()}

    def notebook(self, number, answers, **begin):
        """The chapter with answers in it: instead of its checks there is what collects their results.

        answers: {name: text}. What only shows something, and everything below the last exercise, is left out.
        begin: arguments of inside.begin.
        """
        new = nbformat.v4.new_code_cell
        cells = [new(BEGIN.format(chapter=number, **begin))]
        for cell in self.cells[number]:
            name = cell.id[3:].removesuffix("-check")
            if cell.cell_type == "markdown":
                cells.append(nbformat.v4.new_markdown_cell(cell.source, id=cell.id))
            elif name in answers:
                source = COLLECT.format(name=name) if cell.id.endswith("-check") else answers[name]
                cells.append(new(source, id=cell.id))
        return nbformat.v4.new_notebook(cells=cells)


# ---- the cases, without what tells the answers --------------------------------------------------------------------

def cases(number, folder):
    """{number: text} of the modules of checks that a chapter's cases need: of every exercise `inputs` and `call`, and
    what these need."""
    wanted, texts = {number: None}, {}
    while set(wanted) - set(texts):
        n = max(set(wanted) - set(texts))                   # modules of checks import from earlier ones
        texts[n], needed = carve((folder / f"chapter_{n}.py").read_text(encoding="utf-8"), wanted[n])
        for module, names in needed.items():
            wanted[module] = wanted.get(module, set()) | names
    return texts


def carve(text, wanted):
    """A module of checks with what the names `wanted` need; its exercises, without judges, where these are None.

    Returns (text, {number of another such module: names that are needed of it}).
    """
    kept, bound, needed = {}, {}, {}
    for position, statement in enumerate(ast.parse(text).body):
        decorators = [ast.unparse(d) for d in getattr(statement, "decorator_list", [])]
        if any(re.match(r"\w+\.(mistake|alternative)\b", d) for d in decorators):
            continue
        for name in bound_names(statement):
            bound.setdefault(name, []).append((position, statement))
        asked = isinstance(statement, ast.Assign) and ast.unparse(statement.value).startswith("Exercise(")
        if wanted is None and asked:
            call = statement.value
            call.keywords = [keyword for keyword in call.keywords if keyword.arg == "call"]
            kept[position] = ast.unparse(statement)
    todo = set(wanted or {name for source in kept.values() for name in free_names(source)})
    done = set()
    while todo - done:
        name = (todo - done).pop()
        done.add(name)
        for position, statement in bound.get(name, []):
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                kept[position] = "\n".join(filter(None, [kept.get(position), one_by_one(statement)[name]]))
                other = re.fullmatch(r"chapter_(\d\d)", getattr(statement, "module", None) or "")
                if other:
                    needed.setdefault(other[1], set()).add(name)
            elif position not in kept:
                kept[position] = source_of(statement, text) if is_definition(statement) else ast.unparse(statement)
                todo |= free_names(kept[position])
    return "\n\n\n".join(kept[position] for position in sorted(kept)) + "\n", needed
