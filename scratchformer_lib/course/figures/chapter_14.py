"""Pictures of chapter 14: what each piece is worth, samples across checkpoints, and an overlap."""

from functools import cache

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import MaxNLocator

from . import (
    ACCENT,
    BAD,
    FAINT,
    INK,
    MUTED,
    SOURCE,
    end_labels,
    interactive,
    place,
    plain,
    running_mean,
    show,
    sketch,
    styled,
    tint,
)


@styled()
def ladder_picture(rungs, to_first=False):
    """Draw the validation loss of several models as bars.

    rungs: a dict from a name to a loss. to_first: compare each loss with the first one, else with the one before.
    """
    names, losses = list(rungs), np.array(list(rungs.values()), dtype=float)
    most = np.max(losses, where=np.isfinite(losses), initial=1e-9)
    fig, axes = sketch(7, 0.4 + 0.36 * len(rungs))
    axes.text(1.95, 0.2, "validation loss, in nats per character", color=MUTED, va="center_baseline")
    said = []
    for i, name in enumerate(names):
        y, known = 0.5 + 0.36 * i, bool(np.isfinite(losses[i]))
        width = 3.6 * max(losses[i], 0) / most if known else 0
        axes.text(1.8, y, *plain([name]), ha="right", va="center_baseline", weight="bold")
        axes.barh(y, width, 0.2, 1.95, color=ACCENT if known else FAINT)
        number = f"{losses[i]:.2f}" if known else "not finite"
        other = losses[0 if to_first else i - 1]
        if i and known and np.isfinite(other):
            number += f"   ({round(losses[i] - other, 2) or 0:+.2f})".replace("-", "\N{MINUS SIGN}")
        axes.text(2.05 + width, y, number, va="center_baseline")
        said.append(f"{name}: {number}")
    against = f"'{names[0]}'" if to_first else "the bar above"
    show(fig, f"Bars of validation losses; in brackets the difference to {against}. {'; '.join(said)}.")


def one_line(text, most):
    """The beginning of a text in one line: ends of lines become signs, and so does what cannot be drawn."""
    text = text.replace("\n", "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}")
    return "".join(letter if drawable(letter) else "\N{WHITE SQUARE}" for letter in text[:most])


@cache
def drawable(letter):
    """Whether the font of fixed width has a letter; for one that it lacks, matplotlib would warn."""
    return letter.isprintable() and get_font(findfont("monospace")).get_char_index(ord(letter)) != 0


LINES, COLUMNS = 7, 88


def checkpoints_widget(losses, kept):
    """Let the reader go through a training, and see what the model writes.

    losses: one for each step. kept: a dict from a step to (validation loss, sample).
    """
    losses, steps = np.asarray(losses, dtype=float), list(kept)
    smooth = running_mean(np.where(np.isfinite(losses), losses, np.nan), 20)

    def draw(step):
        fig = Figure(figsize=(7, 4.2))
        axes = place(fig, 0.6, 0.45, 6.2, 1.55)
        axes.plot(np.arange(1, len(losses) + 1), smooth, color=tint(ACCENT, 0.5))
        axes.plot(steps, [loss for loss, _ in kept.values()], "D", color=INK, markersize=4)
        axes.plot(step, kept[step][0], "o", color=BAD, markersize=9, markerfacecolor="none", markeredgewidth=2)
        axes.set(xlim=(-0.015 * max(len(losses), 1), 1.015 * max(len(losses), 1)), xlabel="step", ylabel="loss")
        axes.text(0.98, 0.9, "line: training, the mean of the last 20 steps; diamonds: validation", color=MUTED,
                  ha="right", va="top", transform=axes.transAxes)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.grid(True, axis="y")
        fig.text(0.6 / 7, 1 - 0.25 / 4.2, f"after {step:,} steps: validation loss {kept[step][0]:.2f}", weight="bold",
                 fontsize=12, va="center_baseline")
        for i, line in enumerate(wrapped(kept[step][1])):
            fig.text(0.15 / 7, 1 - (2.72 + 0.2 * i) / 4.2, *plain([line]), family="monospace", fontsize=9)
        return fig

    def alt(step):
        return (f"After {step:,} steps the validation loss is {kept[step][0]:.2f}, and the model writes: "
                f"'{one_line(kept[step][1], 200)}'. Above, the loss of training falls from {losses[0]:.2f} to "
                f"{smooth[-1]:.2f}.")

    step = ipywidgets.SelectionSlider(options=steps, value=steps[-1], description="step", layout={"width": "420px"})
    interactive(draw, alt, step=step)


def wrapped(text):
    """A text as lines of at most COLUMNS letters, LINES of them; ends of lines stay."""
    lines = [one_line(line[i:i + COLUMNS], COLUMNS) for line in text.strip("\n").split("\n")
             for i in range(0, max(len(line), 1), COLUMNS)]
    return lines[:LINES]


@styled()
def overlap_picture(curves):
    """Draw losses by step on several texts.

    curves: a dict from a name to a dict from a step to a loss.
    """
    colors = (SOURCE, ACCENT, BAD, MUTED)
    fig = Figure(figsize=(7, 2.9))
    axes = place(fig, 0.6, 0.2, 4.4, 2.15)
    ends = []
    for (name, curve), color in zip(curves.items(), colors, strict=False):
        steps, losses = list(curve), np.array(list(curve.values()), dtype=float)
        axes.plot(steps, losses, color=color)
        ends.append((steps[-1], losses[-1], *plain([name]), color))
    axes.set(xlabel="step", ylabel="loss")
    axes.set_ylim(bottom=0)
    axes.grid(True, axis="y")
    end_labels(axes, [end for end in ends if np.isfinite(end[1])])
    said = "; ".join(f"{name}: from {next(iter(curve.values())):.2f} to {list(curve.values())[-1]:.2f}, lowest "
                     f"{min(curve.values()):.2f}" for name, curve in curves.items())
    show(fig, f"Lines by step, of the loss on several texts. {said}.")
