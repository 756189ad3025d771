"""How fast the library trains: python tests/benchmarks, or make bench. Prints a table of ratios, in under 5 minutes.

Every variant has a process of its own, and they take turns, a few steps each: what else the machine does hits all of
them. A ratio is of two variants in the same round; the table has the medians of all rounds, and their quartiles.
"""
import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import report
from shared import SIZES

HERE = Path(__file__).resolve().parent
AXES = {"length": ("T", (32, 64, 128, 256)), "width": ("D", (64, 128, 256, 512)), "batch": ("B", (6, 12, 24, 48))}
N_LOSSES, TOLERANCE = 8, 1e-3           # the first steps of all variants of a model must have the same losses
CORETYPE = "OPENBLAS_CORETYPE"          # makes OpenBLAS compute as for another processor
UNSET = f", {CORETYPE} unset"
TWO, ONE = "ours, 2 threads", "ours, 1 thread"
COMPARED = [(f"PyTorch, {TWO[6:]}", TWO), (f"PyTorch, {ONE[6:]}", ONE), (f"PyTorch, {TWO[6:]}", "ours, workers=2"),
            ("bare, 2 threads", TWO), ("bare, 1 thread", ONE), (ONE, TWO), (TWO, "ours, workers=2"),
            (ONE, "products, 1 thread")]


class Worker:
    """A process with a variant in it."""

    def __init__(self, name, kind, model, sizes, threads, python=sys.executable, unset=False, **options):
        self.name, self.kind, self.n_steps = name, kind, None
        env = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        if unset:
            del env[CORETYPE]
        variant = {"kind": kind, "model": model, "sizes": dataclasses.asdict(sizes), "threads": threads, **options}
        self.process = subprocess.Popen([python, HERE / "worker.py", json.dumps(variant)], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request, n=1):
        """See worker.py."""
        print(request, n, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.name}: the process has ended, with what it says above")
        return json.loads(answer)

    def milliseconds(self):
        """Of a step: the median of as many as 0.2 seconds have time for, but at least two."""
        if self.n_steps is None:
            self.n_steps = int(np.clip(0.2 / self.ask("time")[0], 2, 20))
        return 1000 * statistics.median(self.ask("time", self.n_steps))

    def end(self):
        self.process.kill()
        self.process.communicate()


def alternate(workers, seconds, least):
    """Milliseconds of a step by worker, one number for each round: rounds for so many seconds, and at least `least`."""
    times, end = {worker.name: [] for worker in workers}, time.monotonic() + seconds
    while len(times[workers[0].name]) < least or time.monotonic() < end:
        for worker in workers:
            times[worker.name].append(worker.milliseconds())
        workers = workers[::-1]
    return times


def variants(model, sizes, torch):
    """The workers of a model. torch: a Python that has PyTorch, or None."""
    def some(suffix="", **options):
        for threads, called in ((2, f"2 threads{suffix}"), (1, f"1 thread{suffix}")):
            yield Worker(f"ours, {called}", "ours", model, sizes, threads, **options)
            yield Worker(f"bare, {called}", "ours", model, sizes, threads, by_hand=False, **options)
        yield Worker(f"ours, workers=2{suffix}", "ours", model, sizes, 2, workers=2, **options)
        yield Worker(f"products, 1 thread{suffix}", "products", model, sizes, 1, **options)

    workers = [*some()]
    if torch:
        workers += [Worker(name, "PyTorch", model, sizes, n, torch)
                    for name, n in (("PyTorch, 2 threads", 2), ("PyTorch, 1 thread", 1))]
    if os.environ.get(CORETYPE):
        workers += some(UNSET, unset=True)
    return workers


def check_losses(model, workers):
    """Stop where the variants of a model do not do the same. Returns the largest difference."""
    losses = {worker.name: worker.ask("losses", N_LOSSES) for worker in workers if worker.kind != "products"}
    first = np.array(losses[workers[0].name])
    for name, values in losses.items():
        if not np.abs(values - first).max() <= TOLERANCE:
            sys.exit(f"{model}: the first losses of {workers[0].name} are {first}; of {name} {values}")
    return max(np.abs(values - first).max() for values in losses.values())


def ratio(model, upper, lower, ratios, unit, values):
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75)).tolist()
    return {"model": model, "of": upper, "over": lower, "ratio": middle, "quartiles": [low, high],
            "unit": unit, "values": [float(np.median(value)) for value in values]}


def compare(model, sizes, torch, seconds, least):
    """The rows of a model, and what there is to say about them."""
    workers = variants(model, sizes, torch)
    try:
        differ = check_losses(model, workers)
        times = alternate(workers, seconds, least)
        pairs = COMPARED + [tuple(name if name.startswith("PyTorch") else name + UNSET for name in pair)
                            for pair in COMPARED] + [(TWO, TWO + UNSET), (ONE, ONE + UNSET)]
        rows = [ratio(model, a, b, np.divide(times[a], times[b]), "ms", (times[a], times[b]))
                for a, b in pairs if a in times and b in times]
        bytes_of = {worker.name: worker.ask("memory") for worker in workers if worker.name in (TWO, "bare, 2 threads")}
        megabytes = [bytes_of[name] / 1e6 for name in ("bare, 2 threads", TWO)]
        rows.append(ratio(model, "bare, peak memory", "ours, peak memory", [megabytes[0] / megabytes[1]], "MB",
                          megabytes))
        about = {worker.name: worker.ask("versions") for worker in workers}
    finally:
        for worker in workers:
            worker.end()
    return rows, {"rounds": len(times[TWO]), "losses differ by": float(differ), "versions": about}


def growth(sizes, axes, seconds, least):
    """Time and memory of a GPT step on 1 thread as it grows along each axis: {axis: sizes, ms, MB and slopes}."""
    def resized(letter, n):
        return dataclasses.replace(sizes, **{letter: n})

    wanted = {str(size): size for letter, numbers in axes.values() for size in (resized(letter, n) for n in numbers)}
    workers = [Worker(name, "ours", "GPT", size, 1) for name, size in wanted.items()]
    try:
        times = alternate(workers, seconds, least)
        megabytes = {worker.name: worker.ask("memory") / 1e6 for worker in workers}
    finally:
        for worker in workers:
            worker.end()
    curves = {}
    for axis, (letter, numbers) in axes.items():
        names = [str(resized(letter, n)) for n in numbers]
        curve = {"ms": [float(np.median(times[name])) for name in names], "MB": [megabytes[name] for name in names]}
        slopes = {unit: float(np.polyfit(np.log(numbers), np.log(y), 1)[0]) for unit, y in curve.items()}
        curves[axis] = {"letter": letter, "base": getattr(sizes, letter), "sizes": list(numbers), **curve,
                        "slopes": slopes}
    return curves


def with_torch(python):
    """The Python to use for PyTorch; None where it cannot import it."""
    done = subprocess.run([python, "-c", "import numpy, torch"], capture_output=True, text=True)
    if done.returncode:
        print(f"PyTorch is left out: {python} says {done.stderr.strip().splitlines()[-1]!r}; --torch names another")
    return None if done.returncode else python


def main():
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="a Python that has PyTorch")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="the folder for table, JSON and picture")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two rounds, no PyTorch: does it run at all?")
    arguments = parser.parse_args()
    models, axes, least, seconds = SIZES, AXES, 3, {"GPT": 90, "encoder-decoder": 60, "growth": 60}
    if arguments.quick:
        models = {name: dataclasses.replace(sizes, B=4, T=8, D=16, n_layers=1) for name, sizes in SIZES.items()}
        axes = {"length": ("T", (4, 8, 16)), "width": ("D", (8, 16, 32)), "batch": ("B", (2, 4, 8))}
        least, seconds = 2, dict.fromkeys(seconds, 0)
    torch = None if arguments.quick else with_torch(arguments.torch)
    machine, rows, runs = report.machine(), [], {}
    for model, sizes in models.items():
        print(f"{model}: steps for about {seconds[model]} seconds ...", file=sys.stderr)
        more, runs[model] = compare(model, sizes, torch, seconds[model], least)
        rows += more
    print(f"growth of the GPT's step: for about {seconds['growth']} seconds ...", file=sys.stderr)
    curves = growth(models["GPT"], axes, seconds["growth"], least)
    results = {"machine": machine, "sizes": {name: dataclasses.asdict(sizes) for name, sizes in models.items()},
               "runs": runs, "rows": rows, "growth": curves}
    report.write(results, arguments.out)


if __name__ == "__main__":
    main()
