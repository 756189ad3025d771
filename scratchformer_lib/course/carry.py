"""From the cells of a notebook to one file: a definition, with the notebook functions and imports that it names."""
import ast
import builtins
import inspect
import symtable
from types import CodeType

BUILTINS = set(dir(builtins)) - {"display", "get_ipython"}      # which a notebook adds, and a file does not have
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class NotCarried(Exception):
    """Why a definition cannot leave its notebook."""


def carried(name, cells, namespace):
    """Return the text of a file that defines `name` by itself.

    cells: sources of the executed cells, the earliest first.
    namespace: the notebook's variables.
    Raises NotCarried where the definition leans on anything but functions, classes and imports.
    """
    imports, definitions, visiting = [], {}, set()

    def add(wanted, user):
        if wanted in visiting:
            return
        visiting.add(wanted)
        cell, statement = find(wanted, cells, namespace, user)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            imports.append(import_of(wanted, statement))
            return
        text = source_of(statement, cell)
        for other in sorted(free_names(text) - {wanted}):
            if other in namespace or other not in BUILTINS:
                add(other, wanted)
        definitions[wanted] = text

    add(name, name)
    head = "\n".join(sorted(imports)) + "\n\n\n" if imports else ""
    return head + "\n\n\n".join(definitions.values()) + "\n"


def find(name, cells, namespace, user):
    """The statement that gave `name` the value it has now, and its cell."""
    for cell in reversed(cells):
        try:
            body = ast.parse(cell).body
        except SyntaxError:
            continue
        for statement in reversed(body):
            if name not in bound_names(statement):
                continue
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                return cell, statement
            if not is_definition(statement):
                if callable(namespace.get(name)) and name != user:
                    continue            # this statement failed, or gave the name to something that is gone
                raise NotCarried(f"it uses `{name}`, a variable of this notebook. Make it an argument, or write it "
                                 "inside the function" if name != user else f"`{name}` is not written with `def`")
            if is_live(namespace.get(name), name, source_of(statement, cell)):
                return cell, statement
    if name not in namespace:
        raise NotCarried(f"`{user}` uses `{name}`, which is not defined")
    raise NotCarried(f"`{name}` was not defined in a cell of this notebook" +
                     (" (a star import hides where names come from)" if any("import *" in c for c in cells) else ""))


def is_definition(statement):
    """def, class, or `name = lambda ...`."""
    return isinstance(statement, DEFINITION) or (
        isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Lambda) and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name))


def bound_names(statement):
    """Every name that a top-level statement may bind."""
    if isinstance(statement, DEFINITION):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    table = symtable.symtable(ast.unparse(statement), "<cell>", "exec")
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


def source_of(statement, cell):
    text = ast.get_source_segment(cell, statement)
    decorators = getattr(statement, "decorator_list", [])
    above = cell.split("\n")[decorators[0].lineno - 1:statement.lineno - 1] if decorators else []
    return "\n".join([*above, text])


def is_live(value, name, text):
    """Is this text what the notebook runs? A cell that failed before its definition left an older one alive."""
    if isinstance(value, type):
        return is_live_class(value, text)
    code = getattr(inspect.unwrap(value), "__code__", None) if callable(value) else None
    if code is None:
        return value is not None
    return fingerprint(code) in map(fingerprint, functions_in(compile(text, "<cell>", "exec")))


def is_live_class(value, text):
    """Has the class the methods that are written in this text?"""
    parts = [getattr(part, "__func__", getattr(part, "fget", part)) for part in vars(value).values()]
    live = [fingerprint(f.__code__) for f in map(inspect.unwrap, parts) if hasattr(f, "__code__")]
    bodies = [code for code in functions_in(compile(text, "<cell>", "exec")) if code.co_name == value.__name__]
    written = [code for body in bodies for code in functions_in(body) if not code.co_name.startswith("<")]
    return all(fingerprint(code) in live for code in written)


def functions_in(code):
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def fingerprint(code):
    plain = [c for c in code.co_consts if not isinstance(c, CodeType)]
    return code.co_code, code.co_names, code.co_varnames, repr(plain), *map(fingerprint, functions_in(code))


def import_of(name, statement):
    """The import of one name alone."""
    for alias in statement.names:
        if name == (alias.asname or alias.name.split(".")[0]):
            source = getattr(statement, "module", None) or alias.name
            if source.startswith("scratchformer_lib.course"):
                raise NotCarried(f"it uses `{name}`, a tool of the course and not of the library")
            whole = isinstance(statement, ast.Import)
            if source == "scratchformer_lib" or (whole and source.startswith("scratchformer_lib.")):
                raise NotCarried(f"it uses the module `{name}`; import what you need of it by name, "
                                 "`from scratchformer_lib.softmax import softmax`")
            return ast.unparse(type(statement)(**{**vars(statement), "names": [alias]}))


def free_names(text):
    """The global names that a definition refers to, its decorators and default values included."""
    top = symtable.symtable(text, "<answer>", "exec")
    names = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}

    def visit(table):
        names.update(symbol.get_name() for symbol in table.get_symbols() if symbol.is_global())
        for child in table.get_children():
            visit(child)

    for child in top.get_children():
        visit(child)
    return names
