"""Pictures of chapter 11: the Jacobian of softmax, and where the time of the way back goes."""
import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from . import ACCENT, INK, MUTED, SIGNED, heat, interactive, show, styled, tint

WORDS = ["cat", "dog", "mat"]


def jacobian_widget(softmax, softmax_gradient):
    """Let the reader move three scores, and see the shares and how each of them changes with each score.

    softmax: the function that makes shares. softmax_gradient: its rule (dy, y, x), which is called for each share.
    """
    def table(scores):
        x = np.array(scores)
        y = softmax(x)
        return y, np.array([softmax_gradient(dy, y, x) for dy in np.eye(len(x))])

    def draw(**scores):
        y, jacobian = table([*scores.values()])
        fig = Figure(figsize=(7, 2.6))
        left, right = fig.subplots(1, 2, gridspec_kw={"width_ratios": [1, 1.5], "left": 0.08, "right": 0.98,
                                                      "top": 0.74, "bottom": 0.06, "wspace": 0.3})
        left.barh(range(len(y)), y, color=ACCENT, height=0.7)
        for i, share in enumerate(y):
            left.text(share + 0.02, i, f"{share:.2f}", va="center", color=INK)
        left.set_xlim(0, 1.25)
        left.set_xticks([])
        left.set_yticks(range(len(y)), WORDS)
        left.invert_yaxis()
        left.set_title("shares")
        heat(right, jacobian, WORDS, WORDS, colors=SIGNED, limits=(-0.25, 0.25), form="{:+.2f}", size=11)
        right.set_title("how each share (row) changes", pad=22)
        return fig

    def alt(**scores):
        y, jacobian = table([*scores.values()])
        shares = ", ".join(f"{word} {share:.2f}" for word, share in zip(WORDS, y, strict=True))
        return (f"The Jacobian of softmax for the shares {shares}: a table of how each share changes with each score; "
                f"its largest entry is {np.abs(jacobian).max():.2f}.")

    interactive(draw, alt, **{
        word: ipywidgets.FloatSlider(value, min=-4, max=8, step=0.5, description=f"score of {word}")
        for word, value in zip(WORDS, (1.0, 0.5, 0.0), strict=True)})


@styled()
def profile_picture(profiles):
    """Draw where the time of the way back goes.

    profiles: {name: {operation: (how often, seconds)}}.
    """
    most = 7
    totals = {name: 1000 * sum(seconds for _, seconds in times.values()) for name, times in profiles.items()}
    fig = Figure(figsize=(8, 3.1))
    axes = fig.subplots(1, len(profiles), sharex=True, squeeze=False, gridspec_kw={
        "left": 0.17, "right": 0.97, "top": 0.86, "bottom": 0.16, "wspace": 0.7})[0]
    for ax, (name, times) in zip(axes, profiles.items(), strict=True):
        ordered = sorted(times.items(), key=lambda item: -item[1][1])
        bars = [(operation, 1000 * seconds) for operation, (_, seconds) in ordered[:most]]
        rest = [seconds for _, (_, seconds) in ordered[most:]]
        if rest:
            bars.append((f"{len(rest)} other{'s' * (len(rest) > 1)}", 1000 * sum(rest)))
        ax.barh(range(len(bars)), [time for _, time in bars],
                color=[ACCENT if i < most else tint(MUTED, 0.5) for i in range(len(bars))], height=0.7)
        ax.set_yticks(range(len(bars)), [shortened(operation) for operation, _ in bars])
        ax.set_ylim(most + 0.6, -0.6)
        ax.set_xlabel("milliseconds")
        ax.set_title(f"{name}: {totals[name]:.0f} ms")
    both = ", ".join(f"{name} {total:.0f} milliseconds" for name, total in totals.items())
    show(fig, f"Bars of the time that each operation takes on the way back. In all: {both}.")


def shortened(operation):
    """The name of an operation, as it fits beside a bar."""
    return operation if len(operation) <= 20 else operation[:17] + " ..."
