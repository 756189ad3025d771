"""The results: a table of ratios, the same as JSON, and a picture of the growth."""
import json
import os
import platform
from pathlib import Path

import bpe
import numpy as np
import pretrain
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from scratchformer_lib.course.figures import QUERY, TARGET, VALUE, png, styled

COLORS, MARKERS = {"length": QUERY, "width": TARGET, "batch": VALUE}, {"length": "o", "width": "s", "batch": "^"}


def machine():
    """What this runs on."""
    cpuinfo, processor = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"processor": processor, "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}",
            "load at the start": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
            "Python": platform.python_version(), "NumPy": np.__version__, "BLAS": f"{blas['name']} {blas['version']}",
            "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE") or "unset"}


def table(results):
    """All that was found, in Markdown."""
    about, models = results["machine"], results["models"]
    versions = {name: version for model in models.values() for name, version in model["versions"].items()}
    torch = next((version for name, version in versions.items() if name.startswith("PyTorch")), "left out")
    blas = {("unset" if name.endswith("free") else about["OPENBLAS_CORETYPE"]): version
            for name, version in versions.items() if not name.startswith("PyTorch")}
    lines = [f"{about['processor']}, {about['cores']} cores, {about['system']}, load {about['load at the start']} "
             "at the start.",
             f"Python {about['Python']}, NumPy {about['NumPy']} with {about['BLAS']}, PyTorch {torch}.",
             *(f"OPENBLAS_CORETYPE {coretype}: {version}." for coretype, version in blas.items())]
    for model, facts in models.items():
        sizes = ", ".join(f"{name} {n}" for name, n in results["sizes"][model].items())
        same = "All variants write the same tokens." if model == "generation" else \
            f"The first losses of all variants differ by {facts['losses differ by']:.0e} at most."
        lines.append(f"{model}: {sizes}. {same}")
    lines += [bpe.sentence(results["tokenizer"]), pretrain.sentence(results["training"])]
    lines += [*ratios("step", results["rows"]), *ratios("200 tokens", results["generation"])]
    lines += ["", "A ratio above 1: the first takes longer. Ours: the library, gradients by hand. Bare: without these.",
              "Products: the matrix products of a step alone. Free: without OPENBLAS_CORETYPE, where it is set.",
              "Where fewer than three rounds were quiet, all count.",
              "", "| GPT step, 1 thread, by | sizes | time | slope | peak memory | slope |",
              "|---|---|---|---:|---|---:|"]
    for axis, curve in results["growth"].items():
        sizes, ms, megabytes = (", ".join(f"{x:.0f}" for x in curve[key]) for key in ("sizes", "ms", "MB"))
        lines.append(f"| {axis} {curve['letter']} | {sizes} | {ms} ms | {curve['slopes']['ms']:.2f} | "
                     f"{megabytes} MB | {curve['slopes']['MB']:.2f} |")
    return "\n".join(lines) + "\n"


def ratios(what, rows):
    """The lines of a table of ratios. what: that which is measured."""
    lines = ["", f"| {what} | of | over | ratio | quartiles | medians | quiet rounds |",
             "|---|---|---|---:|---|---|---|"]
    for row in rows:
        (low, high), (upper, lower) = row["quartiles"], row["medians"]
        rounds = "{} of {}".format(*row["rounds"]) if row["rounds"] else ""
        lines.append(f"| {row['model']} | {row['of']} | {row['over']} | {row['ratio']:.2f} | {low:.2f} to {high:.2f} | "
                     f"{upper:.1f} and {lower:.1f} {row['unit']} | {rounds} |")
    return lines


@styled()
def picture(growth):
    """Time and memory by length, width and batch, on logarithmic scales: a PNG."""
    fig = Figure(figsize=(8, 3.6))
    panels = fig.subplots(1, 2, gridspec_kw={"left": 0.08, "right": 0.98, "top": 0.88, "bottom": 0.16, "wspace": 0.25})
    for ax, unit, title in zip(panels, ("ms", "MB"), ("milliseconds of a step", "megabytes at its peak"), strict=True):
        for axis, curve in growth.items():
            times = [n / curve["base"] for n in curve["sizes"]]
            ax.loglog(times, curve[unit], color=COLORS[axis], marker=MARKERS[axis],
                      label=f"{axis} {curve['letter']} (base {curve['base']}): slope {curve['slopes'][unit]:.2f}")
        ticks = sorted({n / curve["base"] for curve in growth.values() for n in curve["sizes"]})
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        for scale in (ax.xaxis, ax.yaxis):
            scale.set_minor_locator(NullLocator())
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.35)   # room for the names
        ax.set_xlabel("size, as a multiple of the base")
        ax.set_title(title)
        ax.legend()
    return png(fig)


def write(results, folder):
    """Print the table, and write it into a folder: benchmark.md, benchmark.json and growth.png."""
    folder.mkdir(parents=True, exist_ok=True)
    text = table(results)
    (folder / "benchmark.md").write_text(text, encoding="utf-8")
    (folder / "benchmark.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (folder / "growth.png").write_bytes(picture(results["growth"]))
    print(text)
    print(f"This table, benchmark.json and growth.png are in {folder}.")
