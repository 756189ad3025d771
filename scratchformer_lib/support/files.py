"""Files that are whole or not there: written under another name, then renamed; models as .npz, read without pickle."""
import contextlib
import json
import os
from pathlib import Path

import numpy as np

from .trees import flat, nested

FORMAT = 1


@contextlib.contextmanager
def aside(path):
    """Open a file to write bytes to under a temporary name, and give it its name at the end.

    A reader sees the old file or the new one, never half of one; after an error the old one is still there.
    """
    temporary = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_model(path, kind, config, params):
    """Write a model to a file: what it is, its config, a dict of plain values, and params, nested dicts of arrays."""
    about = json.dumps({"format": FORMAT, "kind": kind, "config": config}, default=lambda x: x.tolist())   # NumPy's
    with aside(path) as file:
        np.savez(file, about=np.array(about), **flat(params))


def load_model(path, kind):
    """Read what save_model wrote: (config, params). Raises ValueError where the file is damaged, or something else."""
    with open(path, "rb") as file:
        try:
            archive = np.load(file)
            about = json.loads(str(archive["about"]))
            version, found, config = int(about["format"]), about["kind"], about["config"]
            arrays = {name: archive[name] for name in archive if name != "about"}
            if not all(isinstance(x, np.ndarray) for x in arrays.values()):
                raise ValueError("not all that it holds are arrays")
            params = nested(arrays)
        except Exception as error:      # what is damaged may fail in any way
            raise ValueError(f"{path} must be a model that this library saved; it is something else, or damaged "
                             f"({type(error).__name__})") from error
    check_kind(path, kind, version, found)
    return config, params


def save_json(path, kind, content):
    """Write a thing that is no model to a text file: what it is, and a dict of plain values."""
    about = {"format": FORMAT, "kind": kind, **content}
    with aside(path) as file:
        file.write(json.dumps(about, indent=0).encode("utf-8"))


def load_json(path, kind):
    """Read what save_json wrote: the dict. Raises ValueError where the file is damaged, or something else."""
    with open(path, "rb") as file:
        try:
            about = json.loads(file.read().decode("utf-8"))
            version, found = int(about.pop("format")), about.pop("kind")
        except Exception as error:      # what is damaged may fail in any way
            raise ValueError(f"{path} must be a {kind} that this library saved; it is something else, or damaged "
                             f"({type(error).__name__})") from error
    check_kind(path, kind, version, found)
    return about


def check_kind(path, kind, version, found):
    """A file of this kind, in a format that this version of the library knows."""
    if version > FORMAT:
        raise ValueError(f"{path} must be of format {FORMAT} or older; got {version}, which a newer version of this "
                         "library wrote")
    if found != kind:
        raise ValueError(f"{path} must hold a {kind}; it holds a {found}")
