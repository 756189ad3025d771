"""The library with a learner's functions in the place of its own: as modules for later chapters, or as one file."""
import ast
import contextlib
import importlib
import importlib.util
import itertools
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import exercise as exercises_
from .carry import DEFINITION, bound_names, free_names, is_definition, source_of

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
        text = path.read_text(encoding="utf-8-sig")
        body = ast.parse(text).body
    except OSError as error:
        raise Broken(f"it cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:     # ValueError: not UTF-8, or null bytes
        raise Broken(f"it is not Python: {error or type(error).__name__}") from None
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

def shipped_modules(folder=SHIPPED):
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

    owner: {name: module} of the whole library. module: this one's name, or None where all stand in one file.
    """
    tree, lines = ast.parse(text), text.split("\n")
    taken = {}                          # imported name -> its import
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            taken |= one_by_one(statement)
    new_imports = []
    for statement in reversed(tree.body):
        name = next(iter(bound_names(statement))) if is_definition(statement) else None
        if name in answers:
            imports, parts = fitted(answers[name], answers, owner, module, taken)
            new_imports += imports
            first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
            lines[first - 1:statement.end_lineno] = "\n\n\n".join(parts).split("\n")
    after_docstring = tree.body[0].end_lineno if ast.get_docstring(tree) is not None else 0
    lines[after_docstring:after_docstring] = new_imports
    return "\n".join(lines)


def fitted(answer, answers, owner, module, taken):
    """An answer's imports and definitions as they fit into a module.

    A helper gets the answer's name appended, so that it meets no other's; but a helper that is an answer itself is the
    library's by now. An import gets it where its name means something else here (`taken`, to which it is added).
    """
    parts, imports, new_imports = dict(answer.definitions), dict(answer.imports), []
    for name in answer.definitions:
        if name == answer.name:
            continue
        if name in answers and name in owner:
            del parts[name]
            imports[name] = f"from scratchformer_lib.{owner[name]} import {name}"
        else:
            parts = renamed(parts, name, f"{name}_{answer.name}")
    for name, text in imports.items():
        source = re.match(r"from scratchformer_lib\.([\w.]+) import (\w+)", text)
        if source and module in (None, source[1]):
            parts = renamed(parts, name, source[2])             # it stands in this very text
            continue
        text = text.replace("from scratchformer_lib.", "from .")
        if taken.get(name, text) != text and not text.startswith(f"import {name}."):
            fresh = f"{name}_{answer.name}"
            parts, text, name = renamed(parts, name, fresh), f"{text.split(' as ')[0]} as {fresh}", fresh
        if text not in taken.values():
            new_imports.append(text)
            taken[name] = text
    return new_imports, list(parts.values())


def renamed(parts, old, new):
    """{name: text} of definitions, with a global name renamed in all of them."""
    if old == new:
        return parts
    return {new if name == old else name: rename(text, old, new) for name, text in parts.items()}


def rename(text, old, new):
    """Rename a global name in a definition, and nothing else of its text."""
    tree, spots = ast.parse(text), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == old:
            if not isinstance(node.ctx, ast.Load) and node not in getattr(tree.body[0], "targets", []):
                raise Broken(f"`{old}` means two things in it; rename one")
            spots.append((node.lineno, node.col_offset))
        elif isinstance(node, DEFINITION) and node.name == old and node in tree.body:
            keyword = {ast.FunctionDef: "def ", ast.AsyncFunctionDef: "async def ", ast.ClassDef: "class "}[type(node)]
            spots.append((node.lineno, node.col_offset + len(keyword)))
        elif old in (getattr(node, "arg", ""), getattr(node, "name", "")) or old in getattr(node, "names", []):
            if not isinstance(node, ast.keyword):               # f(old=1) is the callee's name
                raise Broken(f"`{old}` means two things in it; rename one")
    lines = [line.encode() for line in text.split("\n")]
    for row, column in sorted(spots, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + new.encode() + line[column + len(old.encode()):]
    return b"\n".join(lines).decode()


def shortcuts(modules, answers):
    """The faster ways that would go past an answer: {name of the definition}.

    `@f.fused` stands in for f, and for all that f calls, while gradients are wanted, and `@f.shortcut` while text is
    written. Where f or one of those is the learner's, theirs has to run.
    """
    bodies, found = {}, {}
    for text in modules.values():
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.FunctionDef):
                bodies[statement.name] = source_of(statement, text)
                for decorator in statement.decorator_list:
                    if isinstance(decorator, ast.Attribute) and decorator.attr in ("fused", "shortcut"):
                        found[statement.name] = decorator.value.id
    past, before = set(answers), None
    while past != before:
        before = set(past)
        past |= {f for f, body in bodies.items() if free_names(body) & past}
    return {name for name, f in found.items() if f in past}


def without(text, names):
    """A module's text without some of its functions."""
    lines = text.split("\n")
    for statement in reversed(ast.parse(text).body):
        if getattr(statement, "name", None) in names:
            first = min([statement.lineno, *(d.lineno for d in statement.decorator_list)])
            while first > 1 and not lines[first - 2]:
                first -= 1
            lines[first - 1:statement.end_lineno] = []
    return "\n".join(lines)


# ---- who is admitted ----------------------------------------------------------------------------------------------

def write_modules(folder, answers, modules):
    """Write the modules that change into a folder. Returns {file name: text}."""
    owner, past = owners(modules), shortcuts(modules, answers)
    written = {}
    for module in sorted({owner[name] for name in [*answers, *past]}):
        mine = {name: answer for name, answer in answers.items() if owner[name] == module}
        written[f"{module}.py"] = without(put_in_place(modules[module], mine, owner, module), past)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return written


def admit(answers, exercises, shipped=SHIPPED):
    """Keep the answers with which every exercise of the library passes its cases.

    answers: {name: Answer}. exercises: those of the library, in the order of the course.
    Returns (the answers admitted, {name: why not}).
    """
    modules, admitted, refused = shipped_modules(shipped), {}, {}
    for name, answer in answers.items():                # its own faults are nobody else's
        own = [asked for asked in exercises if asked.name == name]
        failing = first_failure({name: answer}, own, modules, shipped)
        if failing:
            refused[name] = failing[1]
        else:
            admitted[name] = answer
    while admitted:
        failing = first_failure(admitted, exercises, modules, shipped)
        if failing is None:
            break
        asked, reason = failing
        if not passes(asked, {}, modules, shipped):     # the course's own fault
            exercises = [other for other in exercises if other is not asked]
            continue
        culprit = next((name for name in admitted if passes(asked, all_but(admitted, name), modules, shipped)),
                       asked.name if asked.name in admitted else list(admitted)[-1])
        where = "" if culprit == asked.name else f"With it, `{asked.name}` no longer works: "
        refused[culprit] = where + reason
        del admitted[culprit]
    return admitted, refused


def all_but(answers, *names):
    return {key: answer for key, answer in answers.items() if key not in names}


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
    except (Exception, SystemExit) as error:            # raised while the module was imported
        return f"{type(error).__name__}: {error}"
    cases, done = asked.inputs(), exercises_.attempts(asked, f)
    for case, result in zip(cases, done, strict=False):
        if result.error:
            line = f" (in the line `{result.error.line}`)" if result.error.line else ""
            return f"{case.title}: {result.error.kind} {result.error.message}".strip() + line
        different = exercises_.difference(asked, case, result)
        if different:
            return f"{case.title}: {different.text}"
    return ""


@contextlib.contextmanager
def trial(answers, modules, shipped):
    """A package of its own over the assembled and the shipped modules, thrown away afterwards.
    Gives a function from an exercise to what the package has under its name."""
    name = f"scratchformer_trial_{next(trials)}"
    problem = None
    with tempfile.TemporaryDirectory(prefix="scratchformer_") as folder:
        try:
            write_modules(Path(folder), answers, modules)
        except Broken as error:
            problem = error
        load_package(name, shipped, [folder, str(shipped)])

        def function(asked):
            if problem:
                raise problem
            module = asked.reference.__module__.rpartition(".")[2]
            return getattr(importlib.import_module(f"{name}.{module}"), asked.name)

        yield function
    for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[loaded]


def load_package(name, folder, path):
    """Load a package under a name of its own, looking for its modules along `path`."""
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=path)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
