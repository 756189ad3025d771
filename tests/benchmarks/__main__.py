"""How fast the library trains and writes: python tests/benchmarks, or make bench. Tables of ratios, in under 5 minutes.

Every variant has a process of its own, and they take turns: what else the machine does hits all of them. A ratio is of
two variants in the same round; the table has the medians of the rounds, and their quartiles. Rounds in which other
processes kept the machine busy do not count, as far as there are others.
"""
import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bpe
import generation
import numpy as np
import pretrain
import report
from shared import SIZES
from turns import CORETYPE, Worker, alternate, counted, quiet

AXES = {"length": ("T", (32, 64, 128, 256)), "width": ("D", (64, 128, 256, 512)), "batch": ("B", (6, 12, 24, 48))}
SECONDS = {"GPT": 50, "encoder-decoder": 30, "generation": 25, "growth": 30}
N_LOSSES, TOLERANCE = 8, 1e-5           # the first losses of all variants of a model must agree, or what they write
FREE = ", free"                          # the name of a variant without OPENBLAS_CORETYPE
BARE = ("bare, 2 threads", "ours, 2 threads")
COMPARED = [("PyTorch, 2 threads", "ours, 2 threads"), ("PyTorch, 1 thread", "ours, 1 thread"),
            ("PyTorch, 2 threads", "ours, workers=2"), BARE,
            ("bare, 1 thread", "ours, 1 thread"), ("ours, 1 thread", "ours, 2 threads"),
            ("ours, 2 threads", "ours, workers=2"), ("ours, 1 thread", "products, 1 thread"), *generation.COMPARED]


def variants(model, sizes, torch):
    """The workers of a model. "bare" is without the rules by hand. torch: a Python that has PyTorch, or None."""
    if model == generation.MODEL:
        return generation.variants(sizes, torch)
    workers = []
    for suffix, options in ("", {}), (FREE, {"unset": True}):
        if suffix and not os.environ.get(CORETYPE):
            continue
        for n, threads in (2, f"2 threads{suffix}"), (1, f"1 thread{suffix}"):
            workers.append(Worker(f"ours, {threads}", "ours", model, sizes, n, **options))
            workers.append(Worker(f"bare, {threads}", "ours", model, sizes, n, by_hand=False, **options))
        workers.append(Worker(f"ours, workers=2{suffix}", "ours", model, sizes, 2, workers=2, **options))
        workers.append(Worker(f"products, 1 thread{suffix}", "products", model, sizes, 1, **options))
    if torch:
        workers.append(Worker("PyTorch, 2 threads", "PyTorch", model, sizes, 2, torch))
        workers.append(Worker("PyTorch, 1 thread", "PyTorch", model, sizes, 1, torch))
    return workers


def pairs():
    """What is divided by what."""
    free = [(a if a.startswith("PyTorch") else a + FREE, b + FREE) for a, b in COMPARED]
    return [*COMPARED, *free, *((name, name + FREE) for name in ("ours, 2 threads", "ours, 1 thread"))]


def check_losses(model, workers):
    """Stop where the variants of a model do not do the same. Returns by how much the first losses differ at most."""
    n = len(generation.PROMPTS) if model == generation.MODEL else N_LOSSES
    losses = {worker.name: worker.ask("losses", n) for worker in workers if worker.kind != "products"}
    first = np.array(losses[workers[0].name])
    for name, values in losses.items():
        if not np.abs(values - first).max() <= TOLERANCE:
            sys.exit(f"{model}: what comes out is {first} ({workers[0].name}) and {np.array(values)} ({name}): "
                     f"it must agree to {TOLERANCE}")
    return float(max(np.abs(values - first).max() for values in losses.values()))


def row(model, of, over, unit, values, rounds):
    """A row of the table. values: the numbers of each of the two, by round. rounds: how many were quiet, and all."""
    low, middle, high = np.quantile(np.divide(*values), (0.25, 0.5, 0.75)).tolist()
    return {"model": model, "of": of, "over": over, "ratio": middle, "quartiles": [low, high],
            "medians": [float(np.median(value)) for value in values], "unit": unit, "rounds": rounds}


def compare(model, sizes, torch, seconds, least):
    """The rows of a model, and what else there is to say about its variants."""
    workers, rows = variants(model, sizes, torch), []
    try:
        about = {"losses differ by": check_losses(model, workers)}
        runs = alternate(workers, seconds, least)
        for of, over in pairs():
            if of in runs and over in runs:
                count, n_quiet = counted(runs[of], runs[over]), int(quiet(runs[of], runs[over]).sum())
                rows.append(row(model, of, over, "ms", [runs[name][count, 0] for name in (of, over)],
                                [n_quiet, len(count)]))
        if model != generation.MODEL:
            megabytes = {worker.name: worker.ask("memory") / 1e6 for worker in workers if worker.name in BARE}
            rows.append(row(model, "bare, peak memory", "ours, peak memory", "MB",
                            [megabytes[name] for name in BARE], None))
        about["versions"] = {worker.name: worker.ask("versions") for worker in workers}
    finally:
        for worker in workers:
            worker.end()
    return rows, about


def growth(base, axes, seconds, least):
    """How time and memory of a GPT step on 1 thread grow along each axis: sizes, ms, MB, and slopes on log scales."""
    sizes = {axis: [dataclasses.replace(base, **{letter: n}) for n in numbers]
             for axis, (letter, numbers) in axes.items()}
    workers = [Worker(size, "ours", "GPT", size, 1) for size in dict.fromkeys(sum(sizes.values(), []))]
    try:
        runs = alternate(workers, seconds, least)
        megabytes = {worker.name: worker.ask("memory") / 1e6 for worker in workers}
    finally:
        for worker in workers:
            worker.end()
    milliseconds = {size: float(np.median(run[counted(run), 0])) for size, run in runs.items()}
    found = {}
    for axis, (letter, numbers) in axes.items():
        curve = {"ms": [milliseconds[size] for size in sizes[axis]], "MB": [megabytes[size] for size in sizes[axis]]}
        slopes = {unit: float(np.polyfit(np.log(numbers), np.log(y), 1)[0]) for unit, y in curve.items()}
        found[axis] = {"letter": letter, "base": getattr(base, letter), "sizes": numbers, **curve, "slopes": slopes}
    return found


def has_torch(python):
    """Whether a Python can import PyTorch; where it cannot, that is said."""
    done = subprocess.run([python, "-c", "import numpy, torch"], capture_output=True, text=True)
    if done.returncode:
        print(f"PyTorch is left out: {python} says {done.stderr.strip().splitlines()[-1]!r}. --torch names another.")
    return not done.returncode


def main():
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="a Python that has PyTorch")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().with_name("results"), metavar="FOLDER",
                        help="for the table, the same as JSON, and the picture; tests/benchmarks/results by default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two rounds, no PyTorch: does it run at all?")
    arguments = parser.parse_args()
    if not shutil.which(arguments.torch):
        parser.error(f"--torch must name a Python that can be run; got {arguments.torch}")
    models, axes, seconds, least = SIZES | {generation.MODEL: generation.SIZES}, AXES, SECONDS, 3
    if arguments.quick:
        models = {name: dataclasses.replace(sizes, B=4, T=8, D=16, n_layers=1) for name, sizes in SIZES.items()}
        models[generation.MODEL] = dataclasses.replace(generation.SIZES, D=16, n_layers=1)
        axes = {"length": ("T", (4, 8, 16)), "width": ("D", (8, 16, 32)), "batch": ("B", (2, 4, 8))}
        seconds, least = dict.fromkeys(SECONDS, 0), 2
    torch = arguments.torch if not arguments.quick and has_torch(arguments.torch) else None
    results = {"machine": report.machine(), "sizes": {name: dataclasses.asdict(models[name]) for name in models},
               "models": {}, "rows": [], generation.MODEL: []}
    for model, sizes in models.items():
        print(f"{model}: {seconds[model]} seconds ...", file=sys.stderr)
        rows, results["models"][model] = compare(model, sizes, torch, seconds[model], least)
        results[generation.MODEL if model == generation.MODEL else "rows"] += rows
    print(f"growth: {seconds['growth']} seconds ...", file=sys.stderr)
    results["growth"] = growth(models["GPT"], axes, seconds["growth"], least)
    preset = pretrain.PRESETS["minute"]
    if arguments.quick:
        preset = dataclasses.replace(preset, n_layers=1, d_model=16, n_steps=4)
    print("tokenizer, and a training to its end: one or two minutes ...", file=sys.stderr)
    results["tokenizer"] = bpe.measure(*((20_000, 1) if arguments.quick else ()))
    results["training"] = pretrain.pretrain(preset)
    report.write(results, arguments.out)


if __name__ == "__main__":
    main()
