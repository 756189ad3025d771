"""The exercises of each chapter, as data: chapter_NN.py holds them in the order of the chapter's text."""
import functools
import importlib
import pkgutil

from ..exercise import Exercise


def chapters():
    """The numbers of the chapters that have exercises: ["00", "01", ...]."""
    return sorted(m.name.removeprefix("chapter_") for m in pkgutil.iter_modules(__path__) if "chapter_" in m.name)


@functools.cache
def exercises(chapter):
    """The exercises of one chapter by name, numbered in order."""
    if chapter not in chapters():
        return {}
    module = importlib.import_module(f"{__name__}.chapter_{chapter}")
    found = [value for value in vars(module).values() if isinstance(value, Exercise)]
    for i, exercise in enumerate(found):
        exercise.number = f"{int(chapter)}.{i + 1}"
    return {exercise.name: exercise for exercise in found}


def all_exercises():
    """Every exercise of the course by name, in the order of the course."""
    return {name: exercise for chapter in chapters() for name, exercise in exercises(chapter).items()}
