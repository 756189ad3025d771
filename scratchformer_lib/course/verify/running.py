"""Run a notebook under nbval in a process of its own, within limits, and leave nothing of it behind."""
import ctypes
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

try:
    import resource
except ImportError:                     # Windows
    resource = None

STARTING = 60                           # seconds for a kernel, on a busy machine
KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT")
CONFIG = "c.HistoryManager.enabled = False\nc.InteractiveShell.colors = 'nocolor'\n"


@dataclass(frozen=True)
class Limits:
    """Of one submission. seconds: for each exercise. memory, file, disk: in MB."""
    seconds: float = 10.0
    memory: int = 1024
    processes: int = 16
    file: int = 20
    disk: int = 100


def what_is_missing():
    """The limits that this platform does not have, in words."""
    missing = [] if resource else ["a file's size and the time of the processor are not limited while it runs"]
    if not sys.platform.startswith("linux"):
        missing.append("memory is watched, not limited; a process that leaves its group may live on")
    return missing


def adopt_orphans():
    """Become the parent of processes whose own parent has gone, so that they are found (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)                # PR_SET_CHILD_SUBREAPER


def descendants():
    return psutil.Process().children(recursive=True)


def end_all(group=None):
    """Kill every process below this one, however they left their group."""
    if group and hasattr(os, "killpg"):
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:                 # it is gone
            pass
    for _ in range(200):
        alive = descendants()
        for action in (psutil.Process.suspend, psutil.Process.kill):        # who is stopped makes no new ones
            for process in alive:
                try:
                    action(process)
                except psutil.Error:
                    pass
        if not psutil.wait_procs(alive, timeout=0.05)[1] and not descendants():
            return


def environment(scratch):
    """What a submission sees of the environment: none of the instructor's variables."""
    home = str(scratch / "home")
    return {**{name: os.environ[name] for name in KEPT if name in os.environ},
            **dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "IPYTHONDIR", "MPLCONFIGDIR",
                             "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "XDG_CACHE_HOME",
                             "XDG_CONFIG_HOME"), home),
            "PYTHONPATH": str(scratch / "course"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1",
            "PYTHONUTF8": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "JUPYTER_PLATFORM_DIRS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def run(notebook, scratch, names, limits):
    """Run a notebook that collects into scratch/home/results. Returns {name of the one that ended it: why}, or {}.

    names: of the exercises, in the order in which the notebook collects them.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "nbval.plugin", "-p", "no:cacheprovider", "--nbval-lax",
               "--nbval-current-env", f"--nbval-cell-timeout={3 * limits.seconds + 10:.0f}",
               f"--rootdir={scratch}", str(notebook)]
    threads = limit_of_threads(limits)
    with open(scratch / "pytest.txt", "wb") as output:
        process = subprocess.Popen(command, cwd=scratch / "home", env=environment(scratch), stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, start_new_session=True,
                                   preexec_fn=(lambda: limit(limits, len(names), threads)) if resource else None)
    try:
        why = watch(process, scratch, names, limits)
    finally:
        end_all(process.pid)
    left = [name for name in names if not (scratch / "home/results" / f"{name}.json").exists()]
    return {left[0]: why} if left and why else {}


def limit_of_threads(limits):
    """How many threads this user may have in all; None for root, whose are not limited."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return None
    mine = [p.info["num_threads"] or 1 for p in psutil.process_iter(["uids", "num_threads"])
            if p.info["uids"] and p.info["uids"].real == os.getuid()]
    return sum(mine) + 16 * limits.processes                # those of others that start meanwhile included


def limit(limits, n_exercises, threads):
    """Called in the new process, before anything else."""
    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_FSIZE, limits.file * 10**6)
    at_most(resource.RLIMIT_CPU, int(n_exercises * 2 * limits.seconds + STARTING))
    if sys.platform.startswith("linux"):
        at_most(resource.RLIMIT_AS, limits.memory * 10**6 + 10**9)             # what is reserved, and mostly not used
    if threads:
        at_most(resource.RLIMIT_NPROC, threads)
    os.nice(1)


def at_most(what, value):
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def watch(process, scratch, names, limits):
    """Wait until everything is collected. Returns "" or, as soon as something is beyond a limit, what it is."""
    results, kernel, done, began, looked = scratch / "home/results", None, -1, time.monotonic(), 0.0
    while True:
        now, count = time.monotonic(), sum((results / f"{name}.json").exists() for name in names)
        if count > done:
            done, began = count, now
        if done == len(names):
            return ""
        ready = kernel is None and read(results / "ready", 20)
        if ready and ready.isdigit():
            kernel, began = int(ready), now
        if process.poll() is not None:
            return "its process ended" if kernel else "no kernel started"
        if now - began > (2 * limits.seconds + 5 if kernel else STARTING):
            return "timed out" if kernel else "no kernel started"
        if now - looked > 0.2:
            looked = now
            problem = beyond(limits, kernel, scratch)
            if problem:
                return problem
        time.sleep(0.02)


def read(path, limit):
    """The bytes of a file that a submission may have replaced by anything; None if it is no ordinary file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
                             | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return file.read(limit + 1)


def beyond(limits, kernel, scratch):
    """Which limit is passed, in words; or that the kernel is gone."""
    used, alive = 0, []
    for process in descendants():
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process.pid)
                used += process.memory_info().rss
        except psutil.Error:
            pass                        # it has just ended
    if kernel and kernel not in alive:
        return "it ended its process"
    if len(alive) > limits.processes:
        return f"it started more than {limits.processes} processes"
    if used > limits.memory * 10**6:
        return f"it took more than {limits.memory} MB of memory"
    if disk(scratch) > limits.disk * 10**6:
        return f"it wrote more than {limits.disk} MB"
    return ""


def disk(folder):
    """The bytes of a folder's files."""
    total = 0
    for path in Path(folder).rglob("*"):
        try:
            total += path.lstat().st_blocks * 512 if hasattr(path.lstat(), "st_blocks") else path.lstat().st_size
        except OSError:
            pass                        # it has just gone
    return total
