"""A learner's answers, taken out of their notebook: each with the helpers, variables and imports that it needs."""
import ast
import re
import warnings
from dataclasses import dataclass

from ..carry import BUILTINS, DEFINITION, bound_names, free_names, is_definition, source_of
from ..exercise import Failure

RUNS_ITS_CELL = re.compile(r"\s*%%(time|timeit|capture|prun)\b[^\n]*\n")
MAGIC = re.compile(r"^([ \t]*)([%!?][^\n]*|[\w. ,]+=[ \t]*[%!][^\n]*|[\w.]+\?\??[ \t]*)$", re.M)
REACHING = re.compile(r"scratchformer_reference|solutions[/\\'\"]|course\.(answers|checks)|course import \(?[\w, ]*"
                      r"(reference|solution|answers|checks)|\b(reference|solution)\(")


@dataclass(eq=False)
class Statement:
    """A top-level statement that gives names a meaning. cell: its position; -1 in the chapter as it is handed out."""
    node: ast.AST
    text: str
    cell: int
    names: frozenset


@dataclass
class Answer:
    """The text of an answer with all that it needs; or why it cannot be run. Neither, where there is none."""
    text: str = ""
    failure: Failure | None = None


def statements(cells, first=0):
    """The Statements of cells, and [(cell, source, error)] of those that are not Python. cells: [(id, source)]."""
    found, broken = [], []
    for i, (_, source) in enumerate(cells):
        text = RUNS_ITS_CELL.sub("", source, count=1)
        if text.lstrip().startswith("%%"):
            continue                    # another language
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")             # an invalid escape in a string of theirs
                tree, text = without_magics(text)
                for node in tree.body:
                    names = bound_names(node)
                    if names:
                        found.append(Statement(node, source_of(node, text), first + i, frozenset(names)))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            broken.append((first + i, text, error))
    return found, broken


def without_magics(text):
    """A cell's syntax tree and text, without the lines that only IPython understands, where there are such."""
    try:
        return ast.parse(text), text
    except SyntaxError:
        text = MAGIC.sub(r"\1pass", text)
        return ast.parse(text), text


def answers(cells, chapter_cells, names):
    """{name: Answer} of the exercises `names`, from the learner's cells and the chapter's as they are handed out."""
    theirs, broken = statements(cells)
    ours = [Statement(s.node, s.text, -1, s.names) for s in statements(chapter_cells)[0]]
    stubs = {name: {plain(s.node) for s in ours if name in s.names} for name in names}
    book = Book(theirs, ours, stubs)
    return {name: book.answer(name, broken) for name in names}


class Book:
    def __init__(self, theirs, ours, stubs):
        self.theirs, self.ours, self.stubs = theirs, ours, stubs

    def answer(self, name, broken):
        last = self.attempt(name)
        if last is None:
            return not_python(name, broken)
        try:
            return Answer(self.with_needs(last))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Answer(failure=Failure(type(error).__name__, str(error)))

    def attempt(self, name):
        """The last statement of the learner's that gives an exercise's name a meaning, and is not the stub; where there
        is none, the last that imports it."""
        known = [s for s in self.theirs if name in s.names and plain(s.node) not in self.stubs[name]]
        return next((s for s in reversed(known) if not is_import(s.node)), known[-1] if known else None)

    def meaning(self, name, cell):
        """The statement that gives a name its meaning for a definition in a cell: the last one up to there, or the
        first one below; functions, classes and imports before variables of the same name; or the chapter's own. A
        variable that something is called for has to stand above: whoever forgets an argument must not be given the
        result of some later cell that happens to have its name."""
        if name in self.stubs and self.attempt(name):
            return self.attempt(name)
        known = [s for s in self.theirs if name in s.names]
        known = [s for s in known if is_definition(s.node) or is_import(s.node)] or known
        above, below = ([s for s in known if (s.cell <= cell) == side] for side in (True, False))
        ours = [s for s in self.ours if name in s.names]
        fitting = [*reversed(above), *filter(needs_nothing, [*below, *reversed(ours)])]
        return fitting[0] if fitting else None

    def with_needs(self, wanted):
        """A statement's text, after those of all that it needs."""
        done, texts, unknown = set(), [], False

        def add(statement):
            nonlocal unknown
            if statement in done:
                return
            done.add(statement)
            if not is_import(statement.node):
                for name in sorted(free_names(statement.text)):
                    other = before(statement, name) if name in statement.names else self.meaning(name, statement.cell)
                    if other:
                        add(other)
                    elif name not in BUILTINS and name not in statement.names:
                        unknown = True
            texts.append(statement.text)

        def before(statement, name):
            """What a name meant before a statement that gives it a new meaning: f = timed(f)."""
            if isinstance(statement.node, DEFINITION) and not statement.node.decorator_list:
                return None
            everything = [*self.ours, *self.theirs]
            return next((s for s in reversed(everything[:everything.index(statement)]) if name in s.names), None)

        add(wanted)
        stars = [s.text for s in self.theirs if "*" in s.names] if unknown else []
        return "\n\n".join([*stars, *texts]) + "\n"


def not_python(name, broken):
    """The Answer where none is to be found: it may stand in a cell that is not Python."""
    for _, text, error in reversed(broken):
        if re.search(rf"^((async )?def|class) {name}\b|^{name} *=", text, re.M):
            number = getattr(error, "lineno", None) or 0
            line = dict(enumerate(text.split("\n"), 1)).get(number, "").strip()
            return Answer(failure=Failure(type(error).__name__, getattr(error, "msg", "") or str(error), line))
    return Answer()


def needs_nothing(statement):
    node = statement.node
    return is_definition(node) or is_import(node) or not any(isinstance(part, ast.Call) for part in ast.walk(node))


def is_import(node):
    return isinstance(node, (ast.Import, ast.ImportFrom))


def plain(node):
    """A statement in a form in which comments and docstrings do not count."""
    try:
        return ast.dump(without_docstrings(node))
    except RecursionError:
        return None


def without_docstrings(node):
    for part in ast.walk(node):
        body = getattr(part, "body", None)
        if isinstance(part, DEFINITION) and body and isinstance(body[0], ast.Expr) \
                and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            part.body = body[1:]
    return node


def reaches(text):
    """Does an answer's text ask for the course's own answers? Comments and docstrings do not count."""
    try:
        return bool(REACHING.search(ast.unparse(without_docstrings(ast.parse(text)))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


# ---- which chapter ------------------------------------------------------------------------------------------------

def chapter_of(cells, exercises, file_number=None):
    """The number of the chapter that a notebook is of, or None.

    exercises: {number: names}. file_number: what its file's name says. Trusted in this order: its `begin("NN")`, the
    ids of its cells, the names that it defines. One name that it shares with a chapter is no sign, unless the file's
    name or a mention of the course is another.
    """
    code = "\n".join(source for _, source in cells)
    begun = [n for n in re.findall(r"^[ \t]*begin\(\s*[\"'](\d\d)[\"']", code, re.M) if n in exercises]
    if begun:
        return begun[0]
    ids = [id[:2] for id, _ in cells for n, names in exercises.items()
           if id[:2] == n and id[3:].removesuffix("-check") in names]
    if ids:
        return max(ids, key=ids.count)
    defined = {name for s in statements(cells)[0] if not is_import(s.node) for name in s.names}
    best = max(exercises, key=lambda n: (len(defined.intersection(exercises[n])), n == file_number))
    shared = len(defined.intersection(exercises[best]))
    ours = "scratchformer" in code or best == file_number
    if shared >= (1 if ours else 2):
        return best
    return file_number if "scratchformer" in code else None
