"""The library with a learner's functions in the place of its own: as modules for later chapters, or as one file."""
import ast
import importlib
import importlib.util
import itertools
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import exercise as exercises_
from .carry import bound_names, is_definition, source_of

SHIPPED = Path(__file__).resolve().parents[1]
trials = itertools.count()


class Broken(Exception):
    """Why a learner's file cannot be used."""


@dataclass
class Answer:
    """A learner's file, taken apart. definitions: {name: text}, the answer itself last."""
    name: str
    imports: dict                       # bound name -> statement
    definitions: dict


def read_answer(path):
    """Take a file of my_code/ apart. Raises Broken, saying why, if it is not what `save` writes."""
    name = path.stem
    try:
        text = path.read_text(encoding="utf-8")
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:      # ValueError: bytes that are not UTF-8, or null bytes
        raise Broken(f"it is not Python: {error}") from None
    answer = Answer(name, {}, {})
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            answer.imports |= one_by_one(statement)
        elif is_definition(statement):
            (bound,) = bound_names(statement)
            answer.definitions[bound] = source_of(statement, text)
        else:
            raise Broken(f"line {statement.lineno} is neither an import nor a definition")
    if name not in answer.definitions:
        raise Broken(f"it does not define `{name}`")
    return answer


def one_by_one(statement):
    """{bound name: import of that name alone} of an import statement."""
    return {alias.asname or alias.name.split(".")[0]:
            ast.unparse(type(statement)(**{**vars(statement), "names": [alias]})) for alias in statement.names}


# ---- the library's modules ----------------------------------------------------------------------------------------

def library_modules(folder=SHIPPED):
    """The library's modules by name, each after those it imports; those of support/ as "support.name"."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}
    texts |= {f"support.{path.stem}": path.read_text(encoding="utf-8")
              for path in sorted((folder / "support").glob("*.py"))}
    texts = {name: text for name, text in texts.items() if "__init__" not in name}
    ordered = {}

    def add(name):
        if name in texts and name not in ordered:
            for other in relative_imports(ast.parse(texts[name]), name):
                add(other)
            ordered[name] = texts[name]

    for name in texts:
        add(name)
    return ordered


def relative_imports(tree, importer):
    inside = "support." if importer.startswith("support.") else ""
    return [inside + node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.level == 1]


def owners(modules):
    """{top-level name: module that defines it}."""
    return {name: module for module, text in modules.items() for statement in ast.parse(text).body
            if not isinstance(statement, (ast.Import, ast.ImportFrom)) for name in bound_names(statement)}


def put_in_place(text, answers, owner, module=None):
    """A module's text with the definitions of `answers` in the place of its own, all else kept to the letter.

    owner: {name: module} of the whole library: a helper with such a name is left to the library.
    module: its name, or None where all modules stand in one file.
    A helper or import whose name already means something else here gets the answer's name appended.
    """
    tree = ast.parse(text)
    taken = {name: source_of(statement, text) for statement in tree.body for name in bound_names(statement)}
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            taken |= one_by_one(statement)
    new_imports, lines = [], text.splitlines()
    replaced = [s for s in tree.body if is_definition(s) and next(iter(bound_names(s))) in answers]
    pieces = {}
    for statement in replaced:
        answer = answers[next(iter(bound_names(statement)))]
        parts = {name: part for name, part in answer.definitions.items() if name == answer.name or name not in owner}
        named = dict(answer.imports)
        for name in answer.definitions:         # a solved function that came along as a helper
            if name != answer.name and name in owner:
                named[name] = f"from scratchformer_lib.{owner[name]} import {name}"
        for name, import_text in named.items():
            local = import_text.startswith("from scratchformer_lib.")
            if local and (module is None or import_text.startswith(f"from scratchformer_lib.{module} ")):
                original = import_text.split()[3]
                if original != name:            # `from scratchformer_lib.softmax import softmax as s`
                    parts = {key: rename(part, name, original) for key, part in parts.items()}
                continue
            import_text = import_text.replace("from scratchformer_lib.", "from .")
            if taken.get(name, import_text) != import_text:
                fresh = f"{name}_{answer.name}"
                parts = {key: rename(part, name, fresh) for key, part in parts.items()}
                import_text = f"{import_text.split(' as ')[0]} as {fresh}"
                name = fresh
            if name not in taken:
                new_imports.append(import_text)
                taken[name] = import_text
        for name in [name for name in parts if name != answer.name]:
            if taken.get(name, parts[name]) != parts[name]:
                fresh = f"{name}_{answer.name}"
                parts = {fresh if key == name else key: rename(part, name, fresh) for key, part in parts.items()}
                taken[fresh] = parts[fresh]
            elif name in taken:
                del parts[name]                 # the very same helper is there already
            else:
                taken[name] = parts[name]
        pieces[statement] = "\n\n\n".join(parts.values())
    for statement in reversed(replaced):
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
        lines[first - 1:statement.end_lineno] = pieces[statement].split("\n")
    after_docstring = tree.body[0].end_lineno if ast.get_docstring(tree) is not None else 0
    lines[after_docstring:after_docstring] = new_imports
    return "\n".join(lines) + "\n"


def rename(text, old, new):
    """Rename a global name in a definition, and nothing else of its text."""
    tree = ast.parse(text)
    spots = [(node.lineno, node.col_offset) for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == old]
    for node in ast.walk(tree):
        own = isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == old
        if own and node in tree.body:
            keyword = "def " if isinstance(node, ast.FunctionDef) else "class "
            spots.append((node.lineno, node.col_offset + len(keyword)))
        elif own or (isinstance(node, ast.arg) and node.arg == old):
            raise Broken(f"`{old}` means two things in it; rename one")
    lines = [line.encode() for line in text.split("\n")]
    for row, column in sorted(spots, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + new.encode() + line[column + len(old.encode()):]
    return b"\n".join(lines).decode()


# ---- who is admitted ----------------------------------------------------------------------------------------------

def write_modules(folder, answers, modules):
    """Write the modules that change into a folder. Returns {file name: text}."""
    owner = owners(modules)
    written = {}
    for module in sorted({owner[name] for name in answers}):
        mine = {name: answer for name, answer in answers.items() if owner[name] == module}
        written[f"{module}.py"] = put_in_place(modules[module], mine, owner, module)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return written


def admit(answers, exercises, shipped=SHIPPED):
    """Keep the answers with which every exercise of the library passes its cases.

    answers: {name: Answer}. exercises: those of the library, in the order of the course.
    Returns (the answers admitted, {name: why not}).
    """
    modules, admitted, refused = library_modules(shipped), dict(answers), {}
    while admitted:
        failing = first_failure(admitted, exercises, modules, shipped)
        if failing is None:
            break
        asked, reason = failing
        culprit = next((name for name in admitted if passes(asked, without(admitted, name), modules, shipped)),
                       asked.name if asked.name in admitted else list(admitted)[-1])
        where = "" if culprit == asked.name else f"With it, `{asked.name}` no longer works: "
        refused[culprit] = where + reason
        del admitted[culprit]
    return admitted, refused


def without(answers, name):
    return {key: answer for key, answer in answers.items() if key != name}


def first_failure(answers, exercises, modules, shipped):
    """The first exercise that fails its cases in the library with these answers in place, and why; or None."""
    with trial(answers, modules, shipped) as function:
        for asked in exercises:
            reason = failure_reason(asked, function)
            if reason:
                return asked, reason
    return None


def passes(asked, answers, modules, shipped):
    with trial(answers, modules, shipped) as function:
        return not failure_reason(asked, function)


def failure_reason(asked, function):
    try:
        f = function(asked)
    except Broken as error:
        return str(error)
    except Exception as error:          # raised while the module was imported
        return f"{type(error).__name__}: {error}"
    cases, done = asked.inputs(), exercises_.attempts(asked, f)
    for case, result in zip(cases, done, strict=False):
        if result.error:
            return f"{case.title}: {result.error.kind} {result.error.message}".strip()
        different = exercises_.difference(asked, case, result)
        if different:
            return f"{case.title}: {different.text}"
    return ""


class trial:
    """A package of its own over the assembled and the shipped modules, thrown away afterwards.
    Gives a function from an exercise to what the package has under its name."""

    def __init__(self, answers, modules, shipped):
        self.answers, self.modules, self.shipped = answers, modules, shipped

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="scratchformer_")
        self.name = f"scratchformer_trial_{next(trials)}"
        self.problem = None
        try:
            write_modules(Path(self.folder.name), self.answers, self.modules)
        except Broken as error:
            self.problem = error
        load_package(self.name, self.shipped, [self.folder.name, str(self.shipped)])
        return self.function

    def function(self, asked):
        if self.problem:
            raise self.problem
        module = asked.reference.__module__.rpartition(".")[2]
        return getattr(importlib.import_module(f"{self.name}.{module}"), asked.name)

    def __exit__(self, *_):
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]
        self.folder.cleanup()


def load_package(name, folder, path):
    """Load a package under a name of its own, looking for its modules along `path`."""
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=path)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
