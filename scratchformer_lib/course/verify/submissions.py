"""Which files were submitted, by whom, and what is in them. Nothing here runs anything of theirs."""
import io
import json
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

MOST_FILES = 5000                       # notebooks in one zip file
NOBODY = re.compile(r"(?i)(chapter|notebook|submission|solution|assignment|homework|week|unit|session|hw|ws|task|"
                    r"download|upload|exercise)e?s?[\s_-]*\d*|scratchformer.*|my|copy( of)?|final|new|draft|untitled|"
                    r"src|content|files?|late|tmp|\W*\d?\d?\W*")
ENDINGS = re.compile(r"(?i)(?<=.)[\s_-]+(\d+|late|assignsubmission|onlinetext|file|)$")      # as platforms append


class Unreadable(Exception):
    """Why there is no notebook in a file."""


@dataclass(frozen=True)
class Submission:
    """A notebook, on disk or in a zip file. inner: its name in that, and before it those of zip files in between."""
    learner: str
    label: str
    path: Path
    inner: tuple = ()
    problem: str = ""                   # why it cannot be read, where that is known already

    def read(self, limit):
        """Its bytes. Raises Unreadable; so it does where there are more than `limit`."""
        if self.problem:
            raise Unreadable(self.problem)
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise Unreadable("it is not an ordinary file")
            with self.path.open("rb") as file:
                return inside(file, self.inner, limit)
        except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, KeyError, zlib.error) as error:
            raise Unreadable(f"it cannot be read: {error}") from None


def inside(file, names, limit):
    if not names:
        data = file.read(limit + 1)
        if len(data) > limit:
            raise Unreadable(f"it is larger than {limit / 1e6:.0f} MB")
        return data
    with zipfile.ZipFile(file) as archive, archive.open(names[0]) as member:
        return inside(member if len(names) == 1 else io.BytesIO(inside(member, (), limit)), names[1:], limit)


# ---- where they are, and whose ------------------------------------------------------------------------------------

def find(paths, chapters, limit):
    """The submissions in files, folders and zip files. chapters: {number: name of its file}."""
    found = []
    for path in map(Path, paths):
        top = path.absolute()
        files = sorted(p for p in top.rglob("*") if wanted(p.relative_to(top))) if top.is_dir() else [top]
        for file in files:
            folders = [top.name if top.is_dir() else top.parent.name, *file.relative_to(top).parts[:-1]]
            label = file.relative_to(top).as_posix() if top.is_dir() else file.name
            found += in_file(file, (), folders, label, chapters, limit)
    return [replace(one, learner=name) for one, name in zip(found, told_apart(found), strict=True)]


def told_apart(found):
    """The learners' names without the numbers that a platform has appended, unless these tell two learners apart."""
    whole = {cleaned(one.learner): set() for one in found}
    for one in found:
        whole[cleaned(one.learner)].add(one.learner)
    return [one.learner if len(whole[cleaned(one.learner)]) > 1 else cleaned(one.learner) for one in found]


def wanted(path):
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in (".ipynb", ".zip") and not hidden


def in_file(path, inner, folders, label, chapters, limit):
    """The submissions in one file, which may be a zip file; in a zip file again, but no deeper."""
    name = PurePosixPath(inner[-1]).name if inner else path.name
    if not name.lower().endswith(".zip"):
        return [] if path.is_dir() and not inner else [Submission(learner(folders, name, chapters), label, path, inner)]
    folders = [*folders, PurePosixPath(name).stem]
    try:
        data = io.BytesIO(Submission("", label, path, inner).read(limit)) if inner else path
        with zipfile.ZipFile(data) as archive:
            infos = [i for i in archive.infolist() if wanted(PurePosixPath(i.filename)) and not i.is_dir()]
        names = [info.filename for info in infos]
        if len(names) > MOST_FILES or sum(info.file_size for info in infos) > 20 * limit or len(inner) > 1:
            raise Unreadable("there is too much in it, or zip files in zip files")
    except (Unreadable, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as error:
        return [Submission(learner(folders, name, chapters), label, path, inner, f"it cannot be unpacked: {error}")]
    return [submission for n in names for submission in in_file(
        path, (*inner, n), [*folders, *PurePosixPath(n).parts[:-1]], f"{label}/{n}", chapters, limit)]


def learner(folders, name, chapters):
    """Whose a file is: what its name has in front of the chapter's; or the nearest folder that is called after
    somebody; or what comes behind the chapter's name; or its name."""
    stem = re.sub(r"(?i)(\s*\(\d+\)|[-_ ]copy\d*|-\d+)+$", "", name.rpartition(".")[0] or name)
    match = None
    for number, title in chapters.items():
        words = re.sub("[_ ]", "[_ -]?", title.partition("_")[2])
        match = match or re.search(rf"(?i)(?<!\d)(0?{int(number)}[_ -]?{words})(?![a-z])", stem)
    before, behind = (stem[:match.start()], stem[match.end():]) if match else ("", "")
    names = [before, *reversed(folders), behind, stem]
    return next((n.strip("_- ") for n in names if not nobody(n, chapters)), stem) or name


def nobody(text, chapters):
    text = cleaned(text).strip("_- ")
    return bool(NOBODY.fullmatch(text)) or text in chapters.values()


def cleaned(text):
    while ENDINGS.search(text):
        text = ENDINGS.sub("", text)
    return text


# ---- what is in them ----------------------------------------------------------------------------------------------

def code_cells(data):
    """[(id, source)] of a notebook's code cells, of any version of the format. Raises Unreadable."""
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError, MemoryError) as error:
        what = "it is empty" if not data.strip() else f"it is not JSON: {str(error) or type(error).__name__}"
        raise Unreadable(what[:200]) from None
    sheets = notebook.get("worksheets") if isinstance(notebook, dict) else None        # until version 3 of the format
    parts = sheets if isinstance(sheets, list) else [notebook]
    cells = [cell for part in parts if isinstance(part, dict) and isinstance(part.get("cells"), list)
             for cell in part["cells"] if isinstance(cell, dict)]
    if not cells and not (isinstance(notebook, dict) and "nbformat" in notebook):
        raise Unreadable("it is JSON, but not a notebook")
    found = []
    for cell in cells:
        source = cell.get("source", cell.get("input"))
        source = "".join(map(str, source)) if isinstance(source, list) else source
        if cell.get("cell_type") == "code" and isinstance(source, str):
            found.append((str(cell.get("id", "")), source.replace("\r\n", "\n").replace("\0", "")))
    return found
