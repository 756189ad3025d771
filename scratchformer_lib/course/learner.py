"""The learner's own code: what is solved, where it lives, and whose functions are in use."""
import atexit
import inspect
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from .. import __version__
from ..support.files import aside
from . import assemble, card, checks
from .card import Card
from .carry import NotCarried, carried, find

SHIPPED = assemble.SHIPPED
DRIVE = Path("/content/drive/MyDrive")              # where Colab mounts it
FIRST_WITH_GRADIENTS = "09"
state = {"chapter": None}


def chapter():
    """The chapter that `begin` opened, or None."""
    return state["chapter"]


def namespace():
    """The notebook's variables."""
    running = card.shell()
    return running.user_ns if running else vars(sys.modules["__main__"])


def executed_cells():
    running = card.shell()
    return list(running.history_manager.input_hist_parsed) if running else []


# ---- where it lives -----------------------------------------------------------------------------------------------

def checkout():
    """The folder of the project, or None where only the package is installed."""
    root = SHIPPED.parent
    return root if (root / "chapters").is_dir() and (root / "pyproject.toml").is_file() else None


def home():
    """The folder my_code/. SCRATCHFORMER_MY_CODE names another."""
    if os.environ.get("SCRATCHFORMER_MY_CODE"):
        return Path(checkout() or Path.cwd(), Path(os.environ["SCRATCHFORMER_MY_CODE"]).expanduser())
    if on_colab() and DRIVE.is_dir():
        return DRIVE / "scratchformer_my_code"
    return (checkout() or Path.cwd()) / "my_code"


def on_colab():
    return "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules


def how_long():
    """How long my_code/ lives here, and how to keep it."""
    if on_colab() and home().is_relative_to(DRIVE):
        return "It is in your Google Drive and stays there."
    if on_colab():
        return ("It lasts until Colab takes this machine back. To keep it, run `from google.colab import drive; "
                "drive.mount('/content/drive')` before this cell, and it lives in your Drive; or download it: "
                "`!python -m scratchformer_lib.course export`, then `from google.colab import files; "
                "files.download('my_code.zip')`.")
    if "BINDER_SERVICE_HOST" in os.environ:
        return ("It lasts until this Binder session ends. To keep it, run `!python -m scratchformer_lib.course export` "
                "and download my_code.zip from the file browser.")
    return "They stay there until you delete them."


def saved_files():
    return {path.stem: path for path in sorted(home().glob("*.py"))}


def write_aside(path, text):
    """Write a text file, in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with aside(path) as file:
        file.write(text.encode("utf-8"))


def set_aside(path):
    """Move a file that cannot be used out of the way, and keep it. Returns a sentence that says where it is."""
    folder = path.parent / "set_aside"
    target = next(t for i in range(10**6) if not (t := folder / f"{path.stem}-{i}.py").exists())
    try:
        folder.mkdir(exist_ok=True)
        path.rename(target)
    except OSError as error:
        return f"It could not be moved away: {error.strerror}."
    return f"It is kept as {short(target)}."


def bring_to_drive():
    """On Colab, once Drive is there: copy what was solved before it was."""
    if on_colab() and home().is_relative_to(DRIVE):
        for path in (Path.cwd() / "my_code").glob("*.py"):
            if not (home() / path.name).exists():
                write_aside(home() / path.name, path.read_text(encoding="utf-8"))


# ---- saving -------------------------------------------------------------------------------------------------------

def save(exercise, f):
    """Save a passed answer from the executed cells. Returns lines for its card."""
    cells = executed_cells()
    if not cells:
        return []
    if getattr(f, "__module__", "__main__").startswith(("scratchformer_lib", "scratchformer_reference")):
        return ["It comes from the library and not from a cell of this notebook, so there is nothing to save."]
    names = [name for name, value in namespace().items() if value is f]
    if exercise.name not in names:
        return [f"Passed, but not carried into later chapters: it is not called `{exercise.name}` here."]
    try:
        text = carried(exercise.name, cells, namespace())
    except NotCarried as why:
        stays = " (What you saved before stays.)" if (home() / f"{exercise.name}.py").exists() else ""
        return [f"Passed, but not carried into later chapters: {why}.{stays}"]
    except RecursionError:
        return ["Passed, but not carried into later chapters: its definition is too deeply nested."]
    path = home() / f"{exercise.name}.py"
    head = f"# {exercise.name}: exercise {exercise.number} of ScratchFormer {__version__}, as it passed its check.\n"
    try:
        write_aside(path, head + text)
    except OSError as error:
        return [f"Passed, but not saved: {error}."]
    return [f"Saved to `{short(path)}`."]


def leans_on_unsolved(asked, f):
    """A line for the card where f calls the reader's answer to another exercise that has not passed its check."""
    used = names_used(f) - {asked.name}
    unsolved = [name for name in checks.exercises(state["chapter"] or "") if name in used and name in namespace()
                and getattr(namespace()[name], "__module__", "") == "__main__" and name not in saved_files()]
    return [f"It calls {in_a_row(unsolved)}, which has not passed its own check yet: look there first."
            ] if unsolved else []


def names_used(f, found=()):
    """The names that a function or class uses, and those that the notebook's own functions and classes use for it."""
    parts = vars(f).values() if inspect.isclass(f) else [inspect.unwrap(f) if callable(f) else f]
    found = {*found}
    for name in {name for part in parts if hasattr(part, "__code__") for name in part.__code__.co_names} - found:
        found.add(name)
        value = namespace().get(name)
        if callable(value) and getattr(value, "__module__", "") == "__main__" and name not in saved_files():
            found |= names_used(value, found)
    return found


def older_than_its_cell(name, f):
    """A line for the card where the last cell that defines f did not run through: what was judged is the one before."""
    definition = re.compile(rf"^((def|class) {name}\b|{name} *= *lambda\b)", re.M)
    last = next((cell for cell in reversed(executed_cells()) if definition.search(cell)), None)
    if last is None:
        return []
    try:
        find(name, [last], {name: f}, name)
    except NotCarried:
        why = f"**The last cell that defines** `{name}` **did not run through.**"
        return [f"{why} This is about the version before it."]
    return []


def short(path):
    """A path as the reader knows it: from my_code/ on."""
    return path.relative_to(home().parent).as_posix()


def where():
    """The folder my_code/: in full where it is not in the project's folder, or where the reader has put it."""
    expected = "SCRATCHFORMER_MY_CODE" in os.environ or (checkout() and home().parent == checkout())
    return f"`{home().name}/`" if expected else f"`{home()}`"


def exported_exercises():
    """The exercises whose functions belong to the library, in the order of the course."""
    return {name: asked for name, asked in checks.all_exercises().items()
            if ".course." not in asked.reference.__module__}


def usable_answers(wanted):
    """Read my_code/. Returns ({name: Answer}, {name: why it was set aside})."""
    answers, problems = {}, {}
    for name, path in saved_files().items():
        known = checks.all_exercises().get(name)
        try:
            if known is None and not path.read_bytes().startswith(b"# " + name.encode() + b": exercise "):
                continue                # not one of ours
            if known is None:
                raise assemble.Broken(f"version {__version__} of the course has no exercise of this name")
            answer = assemble.read_answer(path)
        except assemble.Broken as why:
            problems[name] = f"set aside. {why}. {set_aside(path)}"
        else:
            if name in wanted:
                answers[name] = answer
    in_order = {name: answers[name] for name in wanted if name in answers}
    return in_order, problems


def admitted_answers(differentiated=False):
    """The learner's functions that the library runs on, and {name: why not} for the others.

    differentiated: only those that have gradients.
    """
    exercises = exported_exercises()
    answers, problems = usable_answers(exercises)
    admitted, refused = assemble.admit(answers, list(exercises.values()))
    for name, why in refused.items():
        path = saved_files()[name]
        version = re.search(r"ScratchFormer (\S+),", path.read_text(encoding="utf-8"))
        stale = f"It was saved by version {version[1]} of the course. " if version and version[1] != __version__ else ""
        problems[name] = f"set aside. {why}. {stale}{set_aside(path)}"
    if differentiated:
        from . import differentiation  # it needs the engine, which is made
        for unfit in (differentiation.not_differentiable, differentiation.too_slow):
            for name, why in unfit(admitted, exercises.values()).items():
                problems[name] = f"the course's stands in for it here, where models are trained. {why}"
                del admitted[name]
    return admitted, problems


# ---- begin and progress -------------------------------------------------------------------------------------------

def begin(number, mine=False):
    if number not in checks.chapters() and not re.fullmatch(r"\d\d", str(number)):
        raise ValueError(f"begin: a chapter is two digits, such as \"03\", not {number!r}")
    state["chapter"] = number
    bring_to_drive()
    lines = [f"Your answers are saved in {where()}. {how_long()}"]
    lines += use_mine() if mine else use_shipped()
    show_map(number)
    names = checks.exercises(number)
    solved = sum(name in saved_files() for name in names)
    card.show(Card("note", f"Chapter {number}: {solved} of {len(names)} exercises solved", lines))


def use_shipped():
    if in_front():
        return ["**Restart the kernel** to go back to the course's functions: yours are loaded already."]
    return []


def use_mine():
    """Put the learner's functions in front of the library's, and say whose is whose."""
    admitted, problems = admitted_answers(chapter() >= FIRST_WITH_GRADIENTS)
    lines = [f"`{name}`: {why}" for name, why in problems.items()]
    modules = assemble.shipped_modules()
    folder = tempfile.mkdtemp(prefix="scratchformer_mine_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    texts = assemble.write_modules(Path(folder), admitted, modules)
    package = sys.modules["scratchformer_lib"]
    names = [f"{package.__name__}.{name}" for name in modules]
    loaded = [name for name in names if name in sys.modules]
    current = in_front() or {}
    if texts != current and (loaded or current):
        return [*lines, "**Restart the kernel** and run this cell first. The library is loaded already, and your "
                "functions cannot take its functions' places any more."]
    if texts != current:
        package.__path__.insert(0, folder)
    others = [name for name in exported_exercises() if name not in admitted]
    lines += ["The library now runs on these functions."]
    lines += [f"Yours: {in_a_row(admitted)}." if admitted else "Yours: none yet. What passes its check is saved."]
    return lines + ([f"The course's: {in_a_row(others)}."] if others else [])


def in_a_row(names):
    return ", ".join(f"`{name}`" for name in names)


def in_front():
    """The assembled modules that stand in front of the library, {file name: text}; None if there are none."""
    first = Path(sys.modules["scratchformer_lib"].__path__[0])
    if first.resolve() == SHIPPED:
        return None
    return {path.name: path.read_text(encoding="utf-8") for path in first.glob("*.py")}


def progress():
    show_map(None)
    lines = []
    for number in checks.chapters():
        names = [f"**{name}** solved" if name in saved_files() else name for name in checks.exercises(number)]
        lines.append(f"{number}: {', '.join(names)}")
    done = sum(name in saved_files() for name in checks.all_exercises())
    card.show(Card("note", f"{done} of {len(checks.all_exercises())} exercises solved", lines))


def show_map(today):
    """The map of the Transformer: what is solved is lit, today's part outlined. Only where pictures can be shown."""
    if card.shell() is None:
        return
    from IPython.display import display

    from .figures.map import PARTS, in_words, transformer_map
    lit = {}
    for part, number in PARTS.items():
        names = checks.exercises(number) if number in checks.chapters() else []
        lit[part] = sum(name in saved_files() for name in names) / len(names) if names else 0
    here = next((part for part, number in PARTS.items() if number == today), None)
    display({"image/svg+xml": transformer_map(lit, here), "text/plain": in_words(lit, here)}, raw=True)
