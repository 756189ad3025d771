"""Pictures of chapter 10: ways down a valley, lines by step, and where a model looks while it learns."""

from functools import cache
from itertools import zip_longest
from textwrap import fill

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from . import (
    ACCENT,
    BAD,
    FAINT,
    GOOD,
    INK,
    MUTED,
    PAPER,
    SHARES,
    SOURCE,
    TARGET,
    boxed,
    end_labels,
    fitted,
    interactive,
    letters,
    place,
    plain,
    room,
    running_mean,
    shade,
    show,
    sketch,
    styled,
    tint,
    whole_percent,
    word_map,
)
from .chapter_05 import LOOKS

COLORS = ACCENT, INK, SOURCE, MUTED


@styled()
def valley_picture(paths):
    """Draw ways down the valley f = x^2 + 30 y^2, one under the other.

    paths: a dict from a name to a list of places (x, y), in order; places far outside of the valley are not drawn.
    """
    n = len(paths)
    reach = np.nan_to_num(np.concatenate([[(-1, -1), (1, 1)], *paths.values()]), posinf=12, neginf=-12)
    (left, right), high = np.clip([reach[:, 0].min(), reach[:, 0].max()], -12, 12) * 1.1, np.abs(reach[:, 1]).max()
    low, high = -min(1.15 * high, 3), min(1.15 * high, 3)
    x, y = np.linspace(left, right, 200), np.linspace(low, high, 100)
    fig = Figure(figsize=(7, 0.55 + 1.25 * n))
    for i, (name, path) in enumerate(paths.items()):
        axes = place(fig, 0.55, 0.1 + 1.25 * i, 5.2, 1.12)
        levels = [level for level in (0, 0.5, 3, 10, 25, 50, 90, 150, 250) if level < 300]
        axes.contourf(x, y, x**2 + 30 * y[:, None]**2, levels, extend="max",
                      colors=[tint(MUTED, 0.04 + 0.05 * k) for k in range(len(levels))])
        axes.contour(x, y, x**2 + 30 * y[:, None]**2, levels[1:], colors=PAPER, linewidths=1)
        axes.plot(0, 0, "+", color=INK, markersize=12, markeredgewidth=1.5)
        color = COLORS[i % len(COLORS)]
        axes.plot(*np.reshape(path, (-1, 2)).T, color=color, linewidth=1.3, marker="o", markersize=3)
        axes.set(xlim=(left, right), ylim=(low, high), ylabel="y")
        axes.locator_params(axis="y", nbins=3)
        axes.tick_params(labelbottom=i == n - 1)
        axes.text(1.03, 0.5, *plain([name]), transform=axes.transAxes, color=shade(color), weight="bold", va="center")
    axes.set_xlabel("x; the cross marks the lowest place")
    ends = "; ".join(f"{name}: {len(path)} places, the last at x = {path[-1][0]:.2f}, y = {path[-1][1]:.2f}"
                     for name, path in paths.items())
    show(fig, f"Ways down a valley that is steep in y and flat in x. {ends}. "
              "The lowest place is at 0, 0.")


@styled()
def lines_picture(lines, x, y, smooth=1):
    """Draw lines of numbers by step, each with its name at its end.

    lines: a dict from a name to numbers, those of the steps from 1 on; one that is infinite or NaN has no point. Names
    that are the same up to a comma get the same color. x, y: names of the axes.
    smooth: draw the mean of so many last numbers, over a pale line of the numbers themselves.
    """
    names = {name: fill(name, 20, break_on_hyphens=False) for name in lines}
    wide = max(letters(line) for name in names.values() for line in name.splitlines())
    fig = Figure(figsize=(7, 2.9))
    axes = place(fig, 0.72, 0.15, 5.75 - wide, 2.2)
    ends, used = [], {}
    for name, values in lines.items():
        kind = name.split(",")[0]
        dashed = kind in used
        color = used.setdefault(kind, LOOKS.get(kind, COLORS[len(used) % len(COLORS):])[0])
        values = np.asarray(values, dtype=float)
        steps, values = np.arange(1, len(values) + 1), np.where(np.isfinite(values), values, np.nan)
        if smooth > 1:
            axes.plot(steps, values, color=tint(color, 0.35), linewidth=1, zorder=1)
            values = running_mean(values, smooth)
        axes.plot(steps, values, color=color, linestyle=(0, (4, 1.5)) if dashed else "-")
        known = np.flatnonzero(np.isfinite(values))
        ends += [(steps[i], values[i], *plain([names[name]]), color) for i in known[-1:]]
    longest = max(map(len, lines.values()))
    axes.set(xlim=(1, max(longest, 2)), ylabel=y)
    axes.set_xlabel(f"{x}; thick: the mean of the last {smooth}" if smooth > 1 else x)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    ticks = MaxNLocator(8, integer=True).tick_values(1, longest)
    axes.set_xticks([1, *(tick for tick in ticks if 0.1 * longest < tick <= longest)])
    axes.locator_params(axis="y", nbins=5)
    axes.grid(True, axis="y")
    end_labels(axes, ends, gap=0.36 if any("\n" in name for name in names.values()) else 0.19)
    said = "; ".join(f"{name}: {_course(np.asarray(values, dtype=float), smooth)}" for name, values in lines.items())
    show(fig, f"Lines by {x}, of the {y}. {said}.")


def _course(values, smooth):
    values = running_mean(values, smooth)
    values = values[np.isfinite(values)]
    if not len(values):
        return "no finite number"
    return f"from {values[0]:.3g} to {values[-1]:.3g}, between {values.min():.3g} and {values.max():.3g}"


@styled()
def looks_picture(maps):
    """Draw where models look in the source, side by side.

    maps: a dict from a title to (weights, source, target): (T, S), and the S and T words.
    """
    n = len(maps)
    longest = max(letters(word) for _, _, target in maps.values() for word in target)
    cell = min((6.6 / n - longest - 0.2) / max(len(source) for _, source, _ in maps.values()), 0.32)
    above = 0.4 + max(room(source, cell) for _, source, _ in maps.values())
    fig = Figure(figsize=(7, above + cell * max(len(target) for _, _, target in maps.values()) + 0.42))
    for i, (title, (weights, source, target)) in enumerate(maps.items()):
        left, height, width = 0.45 + 6.6 / n * i + longest, cell * len(target), cell * len(source)
        axes = place(fig, left, above, width, height)
        word_map(axes, weights, target, source, (cell, cell))
        _name_sides(axes)
        axes.text(0, 1 + (above - 0.3) / height, title, transform=axes.transAxes, fontsize=11, weight="bold")
        if i == 0:
            axes.set_ylabel("about to be written", color=shade(TARGET))
        axes.text(0.5, -0.12 / height, "the source", transform=axes.transAxes, color=shade(SOURCE), ha="center",
                  va="top")
    said = "; ".join(f"{title}: {_looks(*looks)}" for title, looks in maps.items())
    show(fig, "Maps of cross-attention, a row for each word that is about to be written, a column for each word of the "
              f"source. Most of each row lies so. {said}.")


def _name_sides(axes):
    for side, color in (("x", SOURCE), ("y", TARGET)):
        axes.tick_params(axis=side, labelcolor=shade(color))


def _looks(weights, source, target):
    most = zip(target, np.argmax(weights, axis=1), np.max(weights, axis=1), strict=True)
    return ", ".join(f"'{word}' at '{source[s]}' {whole_percent(weight)}" for word, s, weight in most)


READ_IT_SO = """A row for each word that is
about to be written, after the
right ones before it. The darker,
the more it looks at that word
of the source."""


def scrub_widget(seen_at, steps):
    """Let the reader go through a training, and see where the model looks and what it writes.

    seen_at: takes a step, returns (weights, source, wanted, written): (T, S), the S words of the source, the T words
    that should be written, and those that are.
    steps: whole numbers to choose from.
    """
    seen_at, steps = cache(seen_at), list(steps)

    def draw(step):
        weights, source, wanted, written = seen_at(step)
        pairs = list(zip_longest(wanted, written))
        right = sum(word == other for word, other in pairs)
        fig, axes = sketch(7, 4.6)
        axes.text(0.15, 0.28, f"after {step:,} steps", fontsize=12, weight="bold", va="center_baseline")
        axes.text(2.1, 0.28, f"{right} of {len(pairs)} words right", va="center_baseline")
        _map(axes, weights, source, wanted)
        _compared(axes, pairs)
        return fig

    def alt(step):
        weights, source, wanted, written = seen_at(step)
        return (f"After {step:,} steps: wanted is '{' '.join(wanted)}', the model writes '{' '.join(written)}'. "
                f"A map of the cross-attention; most of each row lies so: {_looks(weights, source, wanted)}.")

    step = ipywidgets.SelectionSlider(options=steps, value=steps[len(steps) // 4], description="step",
                                      layout={"width": "420px"})
    interactive(draw, alt, step=step)


def _map(axes, weights, source, wanted):
    """The map on the left of a sketch, and on the right how to read it."""
    names, top = min(max(map(letters, wanted)), 1.0), 0.95
    left, width = 0.6 + names, min(max(0.4, *(letters(word) + 0.08 for word in source)), 3.4 / len(source))
    height = min(0.35, 2.4 / len(wanted))
    x, y = left + width * np.arange(len(source) + 1), top + height * np.arange(len(wanted) + 1)
    axes.pcolormesh(x, y, weights, cmap=SHARES, vmin=0, vmax=1, edgecolors=FAINT, linewidth=1)
    middle = (y[0] + y[-1]) / 2
    axes.text(x.mean(), top - 0.33, "the source", color=shade(SOURCE), ha="center", va="center_baseline")
    axes.text(0.3, middle, "about to be written", color=shade(TARGET), rotation=90, ha="center", va="center")
    for s, word in enumerate(source):
        word, size = fitted(word, width)
        axes.text(x[s] + width / 2, top - 0.1, word, fontsize=size, color=shade(SOURCE), ha="center")
    for t, word in enumerate(wanted):
        word, size = fitted(word, names)
        axes.text(left - 0.1, y[t] + height / 2, word, fontsize=size, color=shade(TARGET), ha="right",
                  va="center_baseline")
    axes.text(x[-1] + 0.3, middle, READ_IT_SO, va="center", linespacing=1.5)


def _compared(axes, pairs):
    """What is wanted and what is written in boxes on a sketch, and under each pair whether they are the same."""
    left, step = 0.95, min(5.9 / len(pairs), 0.9)
    size = min(fitted(word, step - 0.15)[1] for pair in pairs for word in pair if word)
    for y, title, look in ((3.65, "wanted", 0), (4.05, "written", 1)):
        axes.text(0.15, y, title, va="center_baseline", weight="bold")
        for t, pair in enumerate(pairs):
            x, word = left + step * (t + 0.5), pair[look]
            wrong = look and pair[0] != pair[1]
            style = {"facecolor": PAPER, "edgecolor": BAD, "linestyle": "--"} if wrong else {}
            if word is not None or wrong:
                boxed(axes, word or "", x, y, step - 0.07, TARGET, 0.32, size, **style)
    for t, (word, other) in enumerate(pairs):
        mark, color = ("\N{CHECK MARK}", GOOD) if word == other else ("\N{BALLOT X}", BAD)
        axes.text(left + step * (t + 0.5), 4.4, mark, color=color, ha="center", va="center_baseline", fontsize=12)
