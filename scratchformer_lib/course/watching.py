"""Watch a training while it runs: how far it is, how fast, and a picture of its loss."""
import time

import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib.ticker import MaxNLocator
from tqdm import tqdm

from . import figures
from .figures import ACCENT, FAINT, INK, MUTED, running_mean, tint

EVERY = 0.5                             # seconds from one drawing to the next, at least
MOST = 1000                             # points of a line that are drawn
LEFT, RIGHT, TOP, BOTTOM = 0.75, 6.6, 1.1, 2.6         # of the losses in the picture, in inches


def watch():
    """A function for `fit` to call after every step. It shows the training in one display and keeps that up to date;
    the last picture stays in the notebook. Outside of a notebook it is a progress bar in the terminal."""
    return Watch() if hasattr(get_ipython(), "kernel") else Bar()


class Bar:
    """A training as a progress bar in the terminal; nothing where the output goes to a file."""

    def __init__(self):
        self.bar, self.last = None, None

    def __call__(self, step):
        if self.bar is None or step.n_steps != self.last.n_steps or step.step <= self.last.step:
            self.bar = tqdm(total=step.n_steps, initial=step.step, unit=" steps", disable=None)
        else:
            self.bar.update(step.step - self.last.step)
        if step.validation is not None or self.last is None:
            self.validation = step.validation
        self.bar.set_postfix_str(", ".join(_numbers(step.loss, self.validation)), refresh=False)
        self.last = step
        if step.step == step.n_steps:
            self.bar.close()


class Watch:
    """A training as a picture in a notebook.

    A new training begins, in a new display, where a call does not go on from the last one: its step is no later, it has
    another number of steps, or it comes from another cell.
    """

    def __init__(self):
        self.training, self.steps = None, []

    def __call__(self, step):
        now, training = time.perf_counter(), (step.n_steps, get_ipython().execution_count)
        if training != self.training or step.step <= self.steps[-1]:
            self.training, self.began, self.drawn, self.shown = training, now, -np.inf, None
            self.steps, self.losses, self.n_labels, self.validations = [], [], 0, {}
        else:
            self.n_labels += step.n_labels      # not those of the first step, whose time is not known
        self.steps.append(step.step)
        self.losses.append(step.loss)
        if step.validation is not None:
            self.validations[step.step] = step.validation
        if now - self.drawn >= EVERY or step.step == step.n_steps:
            self.show(step, now - self.began)
            self.drawn = time.perf_counter()

    def show(self, step, seconds):
        """Draw what is known into the display of this training. seconds: since its first step."""
        over, last = step.step == step.n_steps, next(reversed(self.validations.values()), None)
        numbers = ", ".join(_numbers(step.loss, last))
        speed = f"{self.n_labels / seconds:,.0f} tokens/s" if self.n_labels and seconds else "? tokens/s"
        meter = {"n": step.step, "total": step.n_steps, "elapsed": seconds, "initial": self.steps[0]}
        times = tqdm.format_meter(**meter, bar_format="in {elapsed}" if over else "{elapsed} gone, {remaining} left")
        with figures.styled():
            fig = self.picture(step, f"{speed}   {times}")
            image = figures.png(fig) if over else figures.quick_png(fig)
        alt = (f"A training after step {step.step:,} of {step.n_steps:,}, {times}: {numbers}. A line of its loss, from "
               f"{self.losses[0]:.3g} after step {self.steps[0]:,} on.")
        data = {"image/png": figures.base64_of(image),
                "text/plain": tqdm.format_meter(**meter, unit=" steps", ncols=110, postfix=f"{numbers}, {speed}")}
        metadata = {"image/png": {"alt": alt, **figures.size_of(fig)}}
        if self.shown is None:
            self.shown = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self.shown.update(data, metadata=metadata, raw=True)

    def picture(self, step, speed):
        """The progress, and under it the losses by step, on a sketch: axes of matplotlib take twice as long."""
        fig, axes = figures.sketch(7, 3.1)
        axes.text(0.15, 0.27, f"step {step.step:,} of {step.n_steps:,}", weight="bold", va="center_baseline")
        axes.text(6.85, 0.27, speed, ha="right", va="center_baseline")
        for color, share in ((FAINT, 1), (ACCENT, step.step / step.n_steps)):
            axes.plot([0.15, 0.15 + 6.7 * share], [0.5, 0.5], color=color, linewidth=6, solid_capstyle="butt")

        n = min(max(step.n_steps // 25, 5), 100)
        steps, losses = np.array(self.steps), np.where(np.isfinite(self.losses), self.losses, np.nan)
        means, validated = running_mean(losses, n), np.array(list(self.validations), dtype=int)
        validations = np.array(list(self.validations.values()), dtype=float)
        x, y = _scales(axes, steps[0], step.n_steps, np.concatenate([losses, means, validations]))
        every = -(-len(steps) // MOST)
        pale = {"color": tint(ACCENT, 0.4), "linewidth": 1}
        lines = [(f"loss {step.loss:.3g}", *_thinned(steps, losses, every), pale),
                 (f"mean of the last {n}: {means[-1]:.3g}", steps[::-every], means[::-every], {"color": ACCENT})]
        if self.validations:
            look = {"color": INK, "linewidth": 1, "marker": "D", "markersize": 4}
            lines.append((f"validation {validations[-1]:.3g}", validated, validations, look))
        for left, (name, at, values, look) in zip((0.15, 1.9, 4.85), lines, strict=False):
            axes.plot(x(at), y(values), **look)
            axes.plot([left, left + 0.15, left + 0.3], [0.84] * 3, markevery=[1], **look)
            axes.text(left + 0.4, 0.84, name, va="center_baseline")
        axes.plot(x(steps[-1]), y(means[-1]), "o", color=ACCENT, markersize=5)
        return fig


def _numbers(loss, validation):
    return [f"{name} {value:.3g}" for name, value in (("loss", loss), ("validation", validation)) if value is not None]


def _scales(axes, first, last, values):
    """Draw the scales of a picture on a sketch: the steps from first to last, and values, on a logarithmic scale if
    they span much. Returns the functions that place a step and a value."""
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (0, 1)
    logarithmic = low > 0 and high > 10 * low
    scale = np.log10 if logarithmic else np.asarray
    low, high = scale(low), scale(high)
    room = 0.05 * (high - low) or 0.1
    low, high = low - room, high + room

    def x(step):
        return LEFT + (RIGHT - LEFT) * (step - first) / max(last - first, 1)

    def y(value):
        return BOTTOM - (BOTTOM - TOP) * (scale(value) - low) / (high - low)

    if logarithmic:
        digits = (1, 3) if high - low < 2.5 else (1,)
        ticks = [digit * 10.0**power for power in range(int(low) - 1, int(high) + 1) for digit in digits]
    else:
        ticks = MaxNLocator(5).tick_values(low, high)
    for tick in ticks:
        if low <= scale(tick) <= high:
            axes.plot([LEFT, RIGHT], [y(tick), y(tick)], color=FAINT, linewidth=1)
            axes.text(LEFT - 0.08, y(tick), f"{tick:.4g}", ha="right", va="center_baseline")
    axes.plot([LEFT, LEFT, RIGHT], [TOP, BOTTOM, BOTTOM], color=MUTED, linewidth=1)
    for tick in MaxNLocator(6, integer=True).tick_values(first, last):
        if first <= tick <= last:
            axes.plot([x(tick), x(tick)], [BOTTOM, BOTTOM + 0.05], color=MUTED, linewidth=1)
            axes.text(x(tick), BOTTOM + 0.1, f"{tick:,.0f}", ha="center", va="top")
    axes.text((LEFT + RIGHT) / 2, 2.98, "step", ha="center")
    return x, y


def _thinned(steps, values, every):
    """A line of which only the lowest and the highest of so many neighbors are left."""
    if every == 1:
        return steps, values
    n = len(values) // every
    parts = values[:n * every].reshape(n, every)
    ends = np.stack([np.fmin.reduce(parts, axis=1), np.fmax.reduce(parts, axis=1)], axis=1)
    return np.repeat(steps[:n * every:every], 2), ends.ravel()
