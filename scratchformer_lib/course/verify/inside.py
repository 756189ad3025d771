"""In the process that runs a submission: collect what its answers give, and refuse what they have no business with.

This process has no reference answers, no mistakes and no judge. What is written down here is data for another one.
"""
import json
import os
import re
import sys
from pathlib import Path

from IPython import get_ipython

from ..checks import exercises
from ..exercise import Attempt, Failure, attempts, failure
from .plain import packed

REFUSED = {
    "opens a connection": {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
                           "socket.gethostbyname"},
    "starts another process": {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
                               "os.forkpty", "pty.spawn", "os.startfile"},
    "stops a process": {"os.kill", "os.killpg", "signal.pthread_kill"},
}
WRITES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
          "os.chown", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
COMMON = re.compile(r"builtins|math|json|os|numpy(\.(linalg|random))?|scratchformer_\w+\..*")     # to all answers
state = {}
leave = os._exit


class Refused(PermissionError):
    """Something that an answer has no business with."""


def begin(chapter, results, home, closed, seconds):
    """results: the folder for what is collected. home: the only one that may be written to. closed: folders that may
    not be read. seconds: for each exercise."""
    state.update(chapter=chapter, results=Path(results), seconds=seconds, refused=[], error=None)
    get_ipython().events.register("post_run_cell", remember)
    exercises(chapter)                  # whatever has to be imported, before the guard stands
    state["modules"] = {name: (module, dict(vars(module))) for name, module in sys.modules.items()
                        if COMMON.fullmatch(name) and module is not None}
    del state["modules"]["builtins"][1]["input"]            # the kernel makes a new one for every cell
    (Path(results) / "ready").write_text(str(os.getpid()))
    sys.addaudithook(guard(os.path.realpath(home), [os.path.realpath(path) for path in closed], state["refused"]))


def guard(home, closed, refused):
    """An audit hook: Python calls it before it does such things. It is a fence and no wall, and shows who climbs."""
    reasons = {event: reason for reason, events in REFUSED.items() for event in events}
    fspath, realpath, writes, writing, separator = os.fspath, os.path.realpath, WRITES, WRITING, os.sep

    def inside(path, folder):
        return path == folder or path.startswith(folder + separator)

    def hook(event, args):
        reason = reasons.get(event)
        if reason is None and (event == "open" or event in writes):
            for path in args[:1 if event == "open" else 2]:
                if not isinstance(path, (str, bytes)) and not hasattr(path, "__fspath__"):
                    continue            # a number: a file that is open already, a mode
                path = fspath(path)
                path = realpath(path.decode(errors="replace") if isinstance(path, bytes) else path)
                if (event != "open" or args[2] & writing) and not inside(path, home) and path != "/dev/null":
                    reason = "writes outside its folder"
                elif any(inside(path, folder) for folder in closed) and not inside(path, home):
                    reason = "reads the course's own files"
        if reason:
            refused.append(reason)
            raise Refused(f"a submission that {reason} is stopped")
    return hook


def remember(result):
    """The error of the cell that has just run; and where it says so, that it was refused something."""
    state["error"] = result.error_before_exec or result.error_in_exec


def collect(name):
    """Run the answer called `name` on its cases, and write down what it gives."""
    asked, error = exercises(state["chapter"])[name], state["error"]
    if error is not None:
        done = [Attempt(error=failure(error, None))]
    else:
        try:
            done = attempts(asked, get_ipython().user_ns[name], seconds=state["seconds"])
        except BaseException as stop:   # KeyboardInterrupt, which is the reader's elsewhere
            done = [Attempt(error=failure(stop, None))]
    if state["refused"]:                # also where the answer went on as if nothing had been
        done = [Attempt(error=Failure("Refused", state["refused"][0]))]
        state["refused"].clear()
    target = state["results"] / f"{name}.json"
    with open(target.with_suffix(".part"), "w", encoding="utf-8") as file:
        json.dump(packed(done), file)
    os.replace(target.with_suffix(".part"), target)
    if patched():
        leave(0)                        # the other answers get a process that is as it should be


def patched():
    """Has an answer replaced something in a module that others use, too?"""
    return any(sys.modules.get(name) is not module or vars(module).get(key, module) is not value
               for name, (module, before) in state["modules"].items() for key, value in before.items())
