"""One source per chapter, and what is made from it: solutions/NN_name.py -> library module, two notebooks.

Everything is parsed and checked before anything is written.
"""
import ast
import hashlib
import os
import re
import sys
import tempfile
import textwrap
import tomllib
from functools import cached_property
from pathlib import Path

import nbformat

from .carry import bound_names, free_names, is_definition, source_of
from .learner import write_aside

PACKAGE = "scratchformer_lib"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
DIRECTIVES = {"default_exp", "export", "export-only", "given", "setup"}

SETUP = '''#| setup
# Run this cell first. It finds the course (where it is missing, as on Colab, it installs it) and opens the chapter.
import importlib.util
import pathlib
import subprocess
import sys

if importlib.util.find_spec("scratchformer_lib") is None:
    above = [folder for folder in pathlib.Path.cwd().parents if (folder / "scratchformer_lib").is_dir()]
    if above:
        sys.path.insert(0, str(above[0]))
    else:
        course = "git+{url}"
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", course], check=True)
        importlib.invalidate_caches()

from scratchformer_lib.course import begin, check, progress, solution

begin("{number}")'''


class BuildError(Exception):
    """What is wrong with a source, naming chapter and cell."""


# ---- a source, taken apart ----------------------------------------------------------------------------------------

class Cell:
    """A cell of a source: its directives, the rest of its text, and the exercise that it asks or checks."""

    def __init__(self, chapter, position, kind, source):
        self.chapter, self.position, self.kind, self.source = chapter, position, kind, source
        lines = source.split("\n") if kind == "code" else []
        heads = [line for line in lines if line.startswith("#|")]
        self.directives = {}
        for head in heads:
            word, _, value = head[2:].strip().partition(" ")
            if word not in DIRECTIVES:
                raise self.error(f"unknown directive {head!r}; there are {', '.join(sorted(DIRECTIVES))}")
            self.directives[word] = value.strip()
        self.text = "\n".join(line for line in lines if line not in heads) if kind == "code" else source
        self.check_markers()
        self.checks = None
        if self.exported and not self.tree.body:
            raise self.error("an exported cell with nothing in it")
        if self.asks_something and self.asks is None:
            raise self.error("the solution markers are not inside a function or class")
        if self.exported:
            self.check_imports()
        if kind == "code" and "check(" in source:
            calls = [s.value for s in self.tree.body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
            names = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "check" and call.args]
            if len(names) > 1:
                raise self.error("more than one check; give each a cell of its own")
            self.checks = names[0] if names else None

    def error(self, message):
        first = next((line for line in self.source.split("\n") if line and not line.startswith("#|")), "")
        return BuildError(f"{self.chapter}, cell {self.position} ({first[:50]!r}): {message}")

    @property
    def exported(self):
        return "export" in self.directives or "export-only" in self.directives

    @property
    def only_imports(self):
        return all(is_import(statement) for statement in self.tree.body)

    @property
    def under(self):
        """The function that it adds a gradient to: by `f = differentiable(f)`, or by a decorator `@f.gradient`."""
        for statement in self.tree.body:
            if is_wrapping(statement):
                return statement.targets[0].id
            for decorator in getattr(statement, "decorator_list", []):
                if isinstance(decorator, ast.Attribute):
                    return ast.unparse(decorator.value)
        return None

    @property
    def asks_something(self):
        return self.kind == "code" and BEGIN in self.text

    def check_markers(self):
        inside = False
        for line in self.text.split("\n") if self.kind == "code" else []:
            if line.strip() not in (BEGIN, END):
                if re.match(r"(?i)\s*#+\s*(begin|end)\s+solution\b", line):
                    raise self.error(f"{line.strip()!r} is no marker; write {BEGIN!r} and {END!r}")
                continue
            if (line.strip() == BEGIN) == inside:
                raise self.error(f"{line.strip()!r} where {END if inside else BEGIN!r} must come: "
                                 "solution markers come in pairs and are not nested")
            inside = not inside
        if inside:
            raise self.error(f"{BEGIN!r} is never closed by {END!r}")

    def check_imports(self):
        """Exported imports are gathered and rewritten, so they must be of the plain kinds."""
        for node in ast.walk(self.tree):
            if not is_import(node):
                continue
            names = [alias.name for alias in node.names]
            ours = [name for name in [getattr(node, "module", None) or "", *names] if name.startswith(PACKAGE)]
            sharing = any(other is not node and other.lineno <= node.end_lineno and node.lineno <= other.end_lineno
                          for other in self.tree.body if node in self.tree.body)
            if sharing:
                raise self.error(f"`{ast.unparse(node)}` shares its line; give it a line of its own")
            if "*" in names or getattr(node, "level", 0) or getattr(node, "module", "") == "__future__":
                raise self.error(f"`{ast.unparse(node)}` cannot be exported; import by name from a full module name")
            if ours and (node not in self.tree.body or not isinstance(node, ast.ImportFrom) or node.module == PACKAGE):
                raise self.error(f"`{ast.unparse(node)}`: write `from {PACKAGE}.module import name`, "
                                 "outside of functions")

    @cached_property
    def tree(self):
        try:
            return ast.parse(self.text)
        except SyntaxError as error:
            magic = next((line for line in self.text.split("\n") if re.match(r"\s*[%!]", line)), None)
            if magic and self.exported:
                raise self.error(f"a magic in an exported cell: {magic.strip()!r}") from None
            if magic:
                return ast.parse("")            # fine in a notebook
            raise self.error(f"it does not parse: {error.msg}, line {error.lineno}") from None

    @cached_property
    def asks(self):
        """The name of the exercise: the top-level definition around the markers."""
        rows = [i + 1 for i, line in enumerate(self.text.split("\n")) if line.strip() == BEGIN]
        around = [next((s for s in self.tree.body if is_definition(s) and s.lineno < row <= s.end_lineno), None)
                  for row in rows]
        if None in around:
            return None
        if len(set(around)) > 1:
            raise self.error("two exercises in one cell; give each a cell of its own")
        return next(iter(bound_names(around[0])))

    @property
    def answered(self):
        """The text without the markers."""
        return "\n".join(line for line in self.text.split("\n") if line.strip() not in (BEGIN, END))

    def stub(self, number):
        """The text with every solution replaced by a stub."""
        pattern = rf"^([ \t]*){BEGIN}.*?{END}[ \t]*$"
        return re.sub(pattern, rf'\1raise NotImplementedError("Exercise {number}")', self.text, flags=re.M | re.S)


class Chapter:
    """A chapter's cells. path: solutions/NN_name.py. made: its source as a notebook. text: its source."""

    def __init__(self, path, made, text=""):
        self.path, self.text, self.number = path, text, path.stem[:2]
        self.cells = [Cell(path.stem, i + 1, cell.cell_type, cell.source) for i, cell in enumerate(made.cells)]
        self.module = next((c.directives["default_exp"] for c in self.cells if "default_exp" in c.directives), None)
        heading = next((line for c in self.cells if c.kind == "markdown" for line in c.source.split("\n")
                        if line.startswith("# ")), "")
        self.title = re.sub(r"^# (\d\d\W+)?", "", heading) or path.stem
        self.exercises = [cell.asks for cell in self.cells if cell.asks_something]

    @classmethod
    def from_source(cls, path, text):
        try:
            import jupytext  # for authors only
        except ImportError:
            raise BuildError('Jupytext is missing; install it with: python -m pip install -e ".[test]"') from None
        return cls(path, jupytext.reads(text, fmt="py:percent"), text)

    def number_of(self, name):
        return f"{int(self.number)}.{self.exercises.index(name) + 1}"

    def module_of(self, cell):
        module = cell.directives.get("export") or cell.directives.get("export-only") or self.module
        if not module:
            raise cell.error("`#| export` needs `#| default_exp module` in the chapter, or a module's name after it")
        return module

    def validate(self, known):
        """known: the exercises of the checks module, in order."""
        checked = [cell.checks for cell in self.cells if cell.checks]
        spoken = ""
        for cell in self.cells:
            if cell.kind == "markdown":
                spoken += cell.source
            if cell.exported and not cell.only_imports:
                self.module_of(cell)
            if cell.asks_something:
                if cell.asks not in checked:
                    raise cell.error(f"exercise {cell.asks} has no cell check({cell.asks})")
                if cell.asks not in known:
                    raise cell.error(f"exercise {cell.asks} is not in checks/chapter_{self.number}.py")
                if f"Exercise {self.number_of(cell.asks)}." not in spoken:
                    raise cell.error(f"no text above says 'Exercise {self.number_of(cell.asks)}.'")
            if cell.checks and cell.checks not in self.exercises:
                raise cell.error(f"check({cell.checks}), but no cell asks for {cell.checks} between solution markers")
        if known != self.exercises:
            raise BuildError(f"{self.path.stem}: checks/chapter_{self.number}.py has the exercises "
                             f"{', '.join(known)}; the text asks for {', '.join(self.exercises) or 'none'}. "
                             "They must be the same, in the same order")


def exercises_in(path):
    """The names of the exercises in a checks module, in order, read without running it."""
    if not path.exists():
        return []
    calls = [node.value for node in ast.parse(path.read_text(encoding="utf-8")).body
             if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    return [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "Exercise"]


# ---- what is made from them ---------------------------------------------------------------------------------------

class Project:
    """All sources of a checkout, and everything that is made from them, in memory."""

    def __init__(self, root, chapters=None):
        """chapters: those that it is made of, where these are not all sources in solutions/."""
        self.root = Path(root)
        self.package = self.root / "scratchformer_lib"
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self.url = project["urls"]["Repository"].rstrip("/")
        sources = sorted((self.root / "solutions").glob("[0-9][0-9]_*.py"))
        self.chapters = chapters or [
            Chapter.from_source(path, self.stamped(path.read_text(encoding="utf-8"), path.stem)) for path in sources]
        for chapter in self.chapters:
            chapter.validate(exercises_in(self.package / "course" / "checks" / f"chapter_{chapter.number}.py"))
        self.owner = self.exported_names()
        self.modules = self.made_modules()

    def stamped(self, text, name):
        """The text with its badges and its setup cell as they must be."""
        text = re.sub(r"(# )?<!-- badges -->.*?<!-- /badges -->",
                      lambda found: badges(self.url, name, found[1] or ""), text, flags=re.S)
        setup = SETUP.format(url=self.url, number=name[:2])
        return re.sub(r"^#\| setup$.*?(?=\n*^# %%|\s*\Z)", lambda _: setup, text, count=1, flags=re.M | re.S)

    def readme(self):
        path = self.root / "README.md"
        return path, self.stamped(path.read_text(encoding="utf-8"), "00_welcome")

    def exported_names(self):
        """{exported name: module}. No two cells may export the same name."""
        owner, first = {}, {}
        for chapter in self.chapters:
            for cell in chapter.cells:
                if cell.asks_something and not cell.exported:
                    if cell.asks in first:
                        raise cell.error(f"asks for {cell.asks}, which {first[cell.asks]} has already")
                    first[cell.asks] = chapter.path.stem
        for chapter in self.chapters:
            for cell in chapter.cells:
                for statement in cell.tree.body if cell.exported else []:
                    for name in bound_names(statement) if not (is_import(statement) or is_wrapping(statement)) else []:
                        if name in first:
                            raise cell.error(f"exports {name}, which {first[name]} exports already")
                        owner[name], first[name] = chapter.module_of(cell), chapter.path.stem
        return owner

    def made_modules(self):
        """{path: text} of the library's modules and of the answers that belong to no module."""
        contributions = {}
        for chapter in self.chapters:
            for cell in chapter.cells:
                if cell.exported and not cell.only_imports:     # imports go where they are needed
                    contributions.setdefault(chapter.module_of(cell), []).append((chapter, cell))
        made = {}
        for module, parts in contributions.items():
            parts = in_reading_order(parts)
            chapters = sorted({chapter for chapter, _ in parts}, key=lambda chapter: chapter.number)
            imports = [cell for chapter in chapters for cell in chapter.cells if cell.exported and cell.only_imports]
            bodies = [cell.answered for _, cell in parts]
            used = {name for body in bodies for name in free_names(body)}
            others = [f"from scratchformer_lib.{self.owner[name]} import {name}" for name in used & self.owner.keys()]
            made[self.package / f"{module}.py"] = module_text(
                module, ["\n".join(others), *(cell.answered for cell in imports), *bodies], chapters,
                lambda m, own=module: "" if m == own else f".{m}")
        for chapter in self.chapters:
            text = self.answers_text(chapter)
            if text:
                made[self.package / "course" / "answers" / f"chapter_{chapter.number}.py"] = text
        return made

    def answers_text(self, chapter):
        """The answers of exercises that the library does not need, with what they use from their notebook."""
        asked = [cell for cell in chapter.cells if cell.asks_something and not cell.exported]
        if not asked:
            return ""
        given = {name: source_of(statement, cell.answered) for cell in chapter.cells if cell.kind == "code"
                 for statement in (ast.parse(cell.answered).body if cell.tree.body else []) if is_definition(statement)
                 for name in bound_names(statement)}
        imports = [statement for cell in chapter.cells if cell.kind == "code" and "setup" not in cell.directives
                   for statement in cell.tree.body if is_import(statement)]
        wanted, library = {}, set()

        def add(name):
            if name in wanted or name in library:
                return
            if name in self.owner:
                library.add(name)
            elif name in given:
                wanted[name] = None
                for other in sorted(free_names(given[name]) - {name}):
                    add(other)
                wanted[name] = wanted.pop(name) or given[name]

        for cell in asked:
            add(cell.asks)
        lines = [ast.unparse(statement) for statement in imports]
        lines += [f"from scratchformer_lib.{self.owner[name]} import {name}" for name in sorted(library)]
        return module_text(chapter.module, ["\n".join(lines), *wanted.values()], [chapter], lambda m: f"...{m}")

    def solution_notebook(self, chapter):
        """The whole source as a notebook, not yet executed."""
        cells, used = [], {}
        for cell in chapter.cells:
            new = nbformat.v4.new_code_cell if cell.kind == "code" else nbformat.v4.new_markdown_cell
            cells.append(new(cell.source, id=cell_id(chapter, cell, used)))
        return notebook(cells, chapter=chapter.number, made_from=self.made_from(chapter),
                        inputs=digest(*[cell.source for cell in cells]))

    def made_from(self, chapter):
        """Hash of the source and of what its notebook imports: library, checks, figures, and trained models."""
        course = self.package / "course"
        todo = [course / "checks" / f"chapter_{chapter.number}.py"]
        for cell in chapter.cells:
            todo += imported_files(cell.tree, self.package, self.package.parent / "x.py") if cell.kind == "code" else []
        seen = {}
        while todo:
            path = todo.pop()
            inside = path.is_relative_to(course)
            if path in seen or (inside and path.parent.name not in ("checks", "figures", "answers", "weights")):
                continue
            text = self.modules.get(path) or (path.read_text(encoding="utf-8") if path.exists() else None)
            if text is not None:
                seen[path] = text + "".join(model.read_bytes().hex() for model in sorted(path.parent.glob("*.npz")))
                todo += imported_files(ast.parse(text), self.package, path)
        return digest(chapter.text, *[seen[path] for path in sorted(seen)])

    def chapters_path(self, chapter):
        return self.root / "chapters" / f"{chapter.path.stem}.ipynb"


def in_reading_order(parts):
    """As the chapters have them; but a gradient stands under its function. parts: pairs of chapter and cell."""
    ordered = []
    for chapter, cell in parts:
        before = [i for i, (_, other) in enumerate(ordered) if cell.under and
                  cell.under in {other.under, *(name for part in other.tree.body for name in bound_names(part))}]
        ordered.insert(before[-1] + 1 if before else len(ordered), (chapter, cell))
    return ordered


def learner_notebook(chapter):
    """The notebook that the learner gets: answers removed, nothing executed."""
    cells, used = [], {}
    for cell in chapter.cells:
        if "export-only" in cell.directives:
            continue
        text = cell.stub(chapter.number_of(cell.asks)) if cell.asks_something else cell.text
        made = nbformat.v4.new_code_cell(text.strip("\n")) if cell.kind == "code" else \
            nbformat.v4.new_markdown_cell(cell.source)
        if "given" in cell.directives:
            made.metadata = {"jupyter": {"source_hidden": True}}
        made.id = cell_id(chapter, cell, used)
        cells.append(made)
    return notebook(cells, chapter=chapter.number, made_from=digest(nbformat.writes(notebook(cells))),
                    inputs=digest(*[cell.source for cell in cells]))


def is_import(statement):
    return isinstance(statement, (ast.Import, ast.ImportFrom))


def is_wrapping(statement):
    """f = wrapper(f)"""
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call) and \
        ast.unparse(statement.targets) == ast.unparse(statement.value.args)


def imported_files(tree, package, importer):
    """The files of the package that a module or cell may import by its import statements."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.append(package.parent.joinpath(*alias.name.split(".")).with_suffix(".py"))
            continue
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = importer.parents[node.level - 1]
        elif (node.module or "").partition(".")[0] == package.name:
            base = package.parent
        else:
            continue
        target = base.joinpath(*(node.module or "").split("."))
        found += [target.with_suffix(".py"), target / "__init__.py"]
        found += [target / f"{alias.name}.py" for alias in node.names]
        found += [target / alias.name / "__init__.py" for alias in node.names]
    return found


def badges(url, name, comment):
    """The badges that open a notebook in the cloud; `comment` starts each line of a source."""
    if not re.fullmatch(r"https://github\.com/[^/]+/[^/]+", url):
        raise BuildError(f"pyproject.toml: Repository must be https://github.com/OWNER/NAME, not {url!r}")
    repository, path = url.removeprefix("https://github.com/"), f"chapters/{name}.ipynb"
    lines = ["<!-- badges -->",
             "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
             f"(https://colab.research.google.com/github/{repository}/blob/main/{path})",
             "[![Open in Binder](https://mybinder.org/badge_logo.svg)]"
             f"(https://mybinder.org/v2/gh/{repository}/main?labpath={path})",
             "<!-- /badges -->"]
    return "\n".join(comment + line for line in lines)


def module_text(module, texts, chapters, relative):
    """One module from several cells: docstring, imports gathered on top, then everything else.

    relative: from a library module's name to how it is imported from here ("" for this very module).
    """
    bodies, plain, named = [], set(), {}
    for text in texts:
        tree, lines = ast.parse(text), text.split("\n")
        for statement in reversed(tree.body):
            if not is_import(statement):
                continue
            lines[statement.lineno - 1:statement.end_lineno] = []
            for alias in statement.names:
                as_text = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                if isinstance(statement, ast.Import):
                    plain.add(as_text)
                    continue
                source = statement.module
                if source.startswith("scratchformer_lib."):
                    source = relative(source.removeprefix("scratchformer_lib."))
                if source:
                    named.setdefault(source, set()).add(as_text)
        body = "\n".join(lines).strip("\n")
        if body:
            bodies.append(body)
    body = "\n\n\n".join(bodies)
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}

    def needed(as_text):
        return as_text.split(" as ")[-1].split(".")[0] in used

    statements = [(name.split(".")[0], f"import {name}") for name in sorted(plain) if needed(name)]
    for source, names in sorted(named.items()):
        wanted = sorted(filter(needed, names), key=as_ruff_sorts)
        alone = [[name] for name in wanted if " as " in name]
        together = [name for name in wanted if " as " not in name]
        statements += [(source, import_line(source, some)) for some in [together, *alone] if some]
    groups = [[], [], []]               # standard library, third party, our own
    for source, statement in statements:
        group = 2 if source.startswith(".") else 0 if source.partition(".")[0] in sys.stdlib_module_names else 1
        groups[group].append(statement)
    head = "\n\n".join("\n".join(group) for group in groups if group)
    files = " and ".join(f"solutions/{chapter.path.stem}.py" for chapter in chapters)
    own = [chapter.title for chapter in chapters if chapter.module == module]
    title = own[0] if own else module.capitalize()
    docstring = textwrap.fill(f'"""{title}. Made from {files}: edit there."""', 119, break_on_hyphens=False)
    return "\n".join([docstring, head, "\n", body]) + "\n" if head else f"{docstring}\n\n\n{body}\n"


def as_ruff_sorts(name):
    """CONSTANTS, then Classes, then functions."""
    return not name.isupper(), not name[:1].isupper(), name.lower(), name


def import_line(source, names):
    line = f"from {source} import {', '.join(names)}"
    return line if len(line) <= 120 else f"from {source} import (\n" + "".join(f"    {n},\n" for n in names) + ")"


def cell_id(chapter, cell, used):
    """Named after the exercise, or after the content: never after the position."""
    if cell.asks_something:
        name = f"{chapter.number}-{cell.asks}"
    elif cell.checks:
        name = f"{chapter.number}-{cell.checks}-check"
    else:
        name = f"{chapter.number}-{digest(cell.source)[:8]}"
    used[name] = used.get(name, 0) + 1
    return name if used[name] == 1 else f"{name}-{used[name]}"


def notebook(cells, **about):
    made = nbformat.v4.new_notebook(cells=cells, metadata={
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}, "scratchformer": about})
    made.nbformat_minor = 5
    return made


def written(made):
    return nbformat.writes(made) + "\n"


def digest(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def inputs_digest(made):
    """Hash of a notebook's cells. An empty one at the end, which Jupyter adds by itself, does not count."""
    sources = [cell.source for cell in made.cells]
    while sources and not sources[-1].strip():
        sources.pop()
    return digest(*sources)


# ---- the command --------------------------------------------------------------------------------------------------

def read_notebook(path):
    """The notebook at path, or None if there is none."""
    if not path.exists():
        return None
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:          # nbformat raises many kinds
        raise BuildError(f"{path.name} is not a notebook: {type(error).__name__}: {error}") from None


def about(made):
    return made.metadata.get("scratchformer", {}) if made else {}


def stale_files(project):
    """Every made file that is not what its sources now make. Runs nothing."""
    stale = [chapter.path for chapter in project.chapters if chapter.path.read_bytes() != chapter.text.encode()]
    readme, text = project.readme()
    stale += [readme] if readme.read_text(encoding="utf-8") != text else []
    stale += [path for path, text in project.modules.items()
              if not path.exists() or path.read_text(encoding="utf-8") != text]
    for chapter in project.chapters:
        made = read_notebook(project.chapters_path(chapter))
        if about(made).get("made_from") != about(learner_notebook(chapter))["made_from"]:
            stale.append(project.chapters_path(chapter))
        executed, path = read_notebook(chapter.path.with_suffix(".ipynb")), chapter.path.with_suffix(".ipynb")
        wanted = project.solution_notebook(chapter)
        if about(executed).get("made_from") != about(wanted)["made_from"] or \
                inputs_digest(executed) != inputs_digest(wanted):
            stale.append(path)
    return stale


def orphans(project):
    """Made files whose source is gone."""
    names = {chapter.path.stem for chapter in project.chapters}
    left = [path for folder in ("chapters", "solutions") for path in sorted((project.root / folder).glob("*.ipynb"))
            if path.stem not in names and about(read_notebook(path)).get("chapter")]
    made = [*project.package.glob("*.py"), *(project.package / "course" / "answers").glob("*.py")]
    return left + [path for path in sorted(made) if path not in project.modules
                   and "Made from solutions/" in path.read_text(encoding="utf-8").partition("\n\n")[0]]


def refuse_to_lose_work(project, chapters):
    """Raise BuildError if building would overwrite what somebody wrote into a made notebook."""
    for chapter in chapters:
        path = project.chapters_path(chapter)
        made, wanted = read_notebook(path), learner_notebook(chapter)
        edited = made is not None and inputs_digest(made) != about(made).get("inputs")
        if edited and about(made).get("made_from") != about(wanted)["made_from"]:
            raise BuildError(f"{path.name} in chapters/ holds a learner's work and would be overwritten. Keep it by "
                             f"`scratchformer reset {chapter.number}`, which backs it up; then build again")
        path = chapter.path.with_suffix(".ipynb")
        executed = read_notebook(path)
        if executed is not None and inputs_digest(executed) not in (
                about(executed).get("inputs"), inputs_digest(project.solution_notebook(chapter))):
            raise BuildError(f"{path.name} in solutions/ was edited apart from {chapter.path.name}. Carry it over: "
                             f"`jupytext --sync solutions/{path.name}`; or delete the notebook. Then build again")


def build(root, numbers=(), force=False):
    """Make everything from the sources of the chapters `numbers` (all by default)."""
    from tqdm import tqdm

    project = Project(root)
    unknown = set(numbers) - {chapter.number for chapter in project.chapters}
    if unknown:
        raise BuildError(f"there is no chapter {', '.join(sorted(unknown))} in solutions/")
    chapters = [c for c in project.chapters if not numbers or c.number in numbers]
    refuse_to_lose_work(project, chapters)
    for path, text in [*[(c.path, c.text) for c in chapters], project.readme(), *project.modules.items()]:
        if not path.exists() or path.read_bytes() != text.encode():
            write_aside(path, text)
    for chapter in chapters:
        path, wanted = project.chapters_path(chapter), learner_notebook(chapter)
        if about(read_notebook(path)).get("made_from") != about(wanted)["made_from"]:
            write_aside(path, written(wanted))
    stale = stale_files(project)
    todo = [chapter for chapter in chapters if force or chapter.path.with_suffix(".ipynb") in stale]
    cells = sum(cell.kind == "code" for chapter in todo for cell in chapter.cells)
    with tqdm(total=cells, unit="cell", disable=not todo) as bar:
        for chapter in todo:
            bar.set_description(chapter.path.stem)
            executed = execute(project.solution_notebook(chapter), project.root, bar.update)
            write_aside(chapter.path.with_suffix(".ipynb"), written(executed))


def execute(made, root, ticked=lambda n: None, folder="solutions"):
    """Run a notebook against the package in `root`, with an empty my_code/. Raises BuildError at a failing cell."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    title = made.metadata.scratchformer["chapter"]
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1",       # the same digits on any number of cores
                       "SCRATCHFORMER_MY_CODE": str(Path(scratch) / "my_code"),
                       "PYTHONPATH": str(root), "IPYTHONDIR": scratch, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        client = NotebookClient(made, timeout=60, kernel_name="python3", record_timing=False, coalesce_streams=True,
                                extra_arguments=["--IPKernelApp.log_level=40"],
                                resources={"metadata": {"path": str(Path(root) / folder)}},
                                store_widget_state=False, on_cell_executed=lambda **_: ticked(1))
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            position = next((i for i, cell in reversed(list(enumerate(made.cells)))
                             if cell.cell_type == "code" and (cell.execution_count or cell.outputs)), 0)
            failed = made.cells[position]
            reason = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else str(error)
            raise BuildError(f"chapter {title}, cell {position + 1} ({failed.id}) fails. Its source:\n\n{failed.source}"
                             f"\n\n{reason}") from None
    for cell in made.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):       # a picture stands where no kernel runs
                output.data.pop("application/vnd.jupyter.widget-view+json", None)
    made.metadata.pop("widgets", None)
    made.metadata.language_info = {"name": "python"}
    return made


NEW_SOURCE = '''# %% [markdown]
# # {number} · {title}
#
# <!-- badges -->
# <!-- /badges -->
#
# The question that this chapter answers, what you will have built at its end, and how long it takes.

# %%
#| setup

# %%
#| default_exp {name}
import numpy as np

# %% [markdown]
# A small case by hand; the formula; then:
#
# **Exercise {short}.1.** Write `{name}(x)`. It takes an array of any shape and returns twice its entries:
# `{name}(np.array([1.0, 2.0]))` gives `[2.0, 4.0]`. It took us one line.
#
# <details><summary>Hint</summary>What is a number plus itself?</details>

# %%
#| export
def {name}(x):
    """Return twice x.

    x: any shape. Returns an array of the same shape.
    """
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %%
check({name})
'''

NEW_CHECKS = '''"""The exercises of chapter {number}."""
import numpy as np

from ...{name} import {name}
from ..exercise import Case, Exercise


def inputs():
    rng = np.random.default_rng({number_int})
    return [Case("three numbers", (rng.standard_normal(3),), axes="T"),
            Case("a matrix", (rng.standard_normal((2, 3)),), axes="T D")]


TWICE = Exercise({name}, inputs)


@TWICE.mistake("You squared it: 3 becomes 9, and should become 6.")
def squared(x):
    return x * x


@TWICE.mistake("You changed nothing: x came back as it was.")
def unchanged(x):
    return x


@TWICE.mistake("You halved it. Multiply by 2.")
def halved(x):
    return x / 2


@TWICE.alternative
def by_adding(x):
    return x + x


@TWICE.alternative
def by_dividing(x):
    return x / 0.5
'''


def new_chapter(root, number, name):
    """Write the smallest chapter that works: a source and its checks, to be copied over."""
    if not re.fullmatch(r"\d\d", number) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise BuildError("--new takes two digits, then a name in lower case, as in `--new 19 pooling`")
    root = Path(root)
    taken = sorted((root / "solutions").glob(f"{number}_*.py"))
    if taken:
        raise BuildError(f"chapter {number} exists already: solutions/{taken[0].name}")
    words = {"number": number, "short": int(number), "number_int": int(number), "name": name,
             "title": name.replace("_", " ").capitalize()}
    source = root / "solutions" / f"{number}_{name}.py"
    checks = root / "scratchformer_lib" / "course" / "checks" / f"chapter_{number}.py"
    write_aside(source, NEW_SOURCE.format(**words))
    write_aside(checks, NEW_CHECKS.format(**words))
    return source, checks
