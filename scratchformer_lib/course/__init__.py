"""What makes a notebook a course: begin, check, solution, progress, watch.

Everything here runs from a second package object over the same folder, `scratchformer_reference`. A check therefore
always meets the course's own functions, whatever a learner's code has put in the place of the library's.
"""
import importlib
import importlib.util
import sys
from pathlib import Path

__all__ = ["begin", "check", "progress", "solution", "watch"]


def begin(chapter, mine=False):
    """Open a chapter: show the map with today's part, what is solved, and whose code is in use.

    chapter: its number as a string, "03".
    mine: True to run the library on your own functions wherever they pass their checks.
    """
    reference("learner").begin(chapter, mine)


def check(f):
    """Check your answer to an exercise: check(softmax). Raises NotPassed unless it passes."""
    reference("checker").check(f)


def solution(f):
    """Show the worked answer to an exercise: solution(softmax), or by name, solution("softmax")."""
    reference("checker").solution(f)


def progress():
    """Show the map of the Transformer with everything lit that you have solved."""
    reference("learner").progress()


def watch():
    """Show a training while it runs, and when it is over: fit(..., on_step=watch())."""
    return reference("watching").watch()


def reference(name):
    """The module course/<name>.py of the second package object."""
    if "scratchformer_reference" not in sys.modules:
        folder = Path(__file__).resolve().parents[1]
        spec = importlib.util.spec_from_file_location("scratchformer_reference", folder / "__init__.py",
                                                      submodule_search_locations=[str(folder)])
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return importlib.import_module(f"scratchformer_reference.course.{name}")
