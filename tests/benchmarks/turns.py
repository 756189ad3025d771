"""Processes that take turns, a few steps each, and what counts of what they measure."""
import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

STAT = Path("/proc/stat")               # where Linux tells how busy the machine is
QUIET = 0.3                             # so much of a core others may take
CORETYPE = "OPENBLAS_CORETYPE"          # a variable that makes OpenBLAS compute as for another processor


class Worker:
    """A process with a variant in it, as worker.py makes it.

    python: the Python that runs it. unset: without OPENBLAS_CORETYPE.
    """
    def __init__(self, name, kind, model, sizes, threads, python=sys.executable, unset=False, **options):
        self.name, self.kind, self.n_steps = name, kind, None
        env = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        if unset:
            del env[CORETYPE]
        variant = {"kind": kind, "model": model, "sizes": dataclasses.asdict(sizes), "threads": threads, **options}
        self.process = subprocess.Popen([python, Path(__file__).with_name("worker.py"), json.dumps(variant)], env=env,
                                        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request, n=1):
        """What worker.py answers."""
        try:
            print(request, n, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name}: the process has ended; why, it says above")
        return json.loads(answer)

    def measure(self):
        """Milliseconds of a step, the median of 0.2 seconds of them; and how many cores others kept busy meanwhile."""
        if self.n_steps is None:
            self.n_steps = int(np.clip(0.2 / self.ask("time")[0], 2, 20))
        start, before = time.monotonic(), busy()
        seconds, own = self.ask("time", self.n_steps)
        return 1000 * seconds, (busy() - before - own) / (time.monotonic() - start)

    def end(self):
        self.process.kill()
        self.process.communicate()


def alternate(workers, seconds, least):
    """Rounds for so many seconds, and at least `least`. Returns by worker (rounds, 2): what `measure` says."""
    found, end = {worker.name: [] for worker in workers}, time.monotonic() + seconds
    while len(found[workers[0].name]) < least or time.monotonic() < end:
        for worker in workers:
            wait_for_quiet(until=min(end, time.monotonic() + 1))
            found[worker.name].append(worker.measure())
        workers = workers[::-1]
    return {name: np.array(rounds) for name, rounds in found.items()}


def wait_for_quiet(until, pause=0.1):
    """Wait while others keep the machine busy; at most until then."""
    while STAT.exists() and time.monotonic() < until:
        before = busy()
        time.sleep(pause)
        if busy() - before < QUIET * pause:
            return


def busy():
    """For how many seconds the cores have been busy, all together. 0 where the system does not tell."""
    if not STAT.exists():
        return 0.0
    ticks = [int(n) for n in STAT.read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")        # all but idle, and waiting for a disk


def quiet(*runs):
    """In which rounds all of the runs were left alone."""
    return np.all([run[:, 1] < QUIET for run in runs], axis=0)


def counted(*runs):
    """Which rounds count: the quiet ones; or all, if there are not three such."""
    alone = quiet(*runs)
    return alone if alone.sum() >= 3 else np.ones(len(alone), bool)
