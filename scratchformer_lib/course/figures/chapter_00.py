"""Pictures of chapter 00: attention once before anything is explained, then shapes."""

import ipywidgets
import numpy as np

from . import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    KEY,
    MUTED,
    QUERY,
    SHARES,
    SOURCE,
    arrow,
    cells,
    interactive,
    shade,
    show,
    sketch,
    styled,
    tint,
)

WORDS = "the cat sat on the mat".split()

# What a word offers (keys) and what it looks for (queries), in four numbers:
# a thing | a word that ties things together | in the first half of the sentence | in the second half
KEYS = np.array([
    [0, 0, 1, 0],  # the
    [1, 0, 1, 0],  # cat
    [0, 1, 1, 0],  # sat
    [0, 1, 0, 1],  # on
    [0, 0, 0, 1],  # the
    [1, 0, 0, 1],  # mat
])
QUERIES = np.array([
    [4, 0, 4, 0],  # the: which thing? nearby
    [0, 4, 4, 0],  # cat: does what?
    [5, 0, 3, 0],  # sat: who? said before
    [4, 0, 0, 5],  # on: on what? said after
    [4, 0, 0, 4],  # the: which thing? nearby
    [0, 5, 0, 3],  # mat: what about it?
])


@styled()
def attention_by_hand():
    """Draw who looks at whom in a sentence, by queries and keys that were set by hand.

    Returns the weights, (T=6, T=6); each row adds up to 1.
    """
    weights = np.exp(QUERIES @ KEYS.T / np.sqrt(4))
    weights /= weights.sum(axis=-1, keepdims=True)

    fig, axes = sketch(7, 4.3)
    left, top, width, height = 1.9, 1.25, 0.76, 0.42
    title = "Who looks at whom: weights from numbers set by hand, not learned"
    axes.text(0.3, 0.35, title, fontsize=11.5, weight="bold")
    axes.text(left, top - 0.4, "the word looked at", color=shade(KEY))
    axes.text(left - 0.75, top + 3 * height, "the word\nthat looks", color=shade(QUERY), ha="right", va="center")
    for i, word in enumerate(WORDS):
        axes.text(left + (i + 0.5) * width, top - 0.12, word, color=shade(KEY), ha="center", weight="bold")
        axes.text(left - 0.12, top + (i + 0.5) * height, word, color=shade(QUERY), ha="right", va="center_baseline",
                  weight="bold")
    cells(axes, weights, left, top, (width, height), SHARES(weights), form="{:.2f}")
    axes.text(left, top + 6 * height + 0.3, "each row adds up to 1", color=MUTED)
    show(fig, "Attention weights of 'the cat sat on the mat', set by hand, not learned. "
              f"'sat' looks mostly at 'cat' ({weights[2, 1]:.2f}), 'on' at 'mat' ({weights[3, 5]:.2f}).")
    return weights


@styled()
def row_sums_picture(x, sums):
    """Draw a matrix and, at the end of each row, the row's sum.

    x: (T, D) numbers; sums: (T,), what the reader's function made of them.
    """
    x, sums = np.asarray(x), np.asarray(sums)
    if sums.shape != x.shape[:1]:
        raise ValueError(f"sums has shape {sums.shape}; one sum for each row of x would be {x.shape[:1]}")
    (T, D), (width, height) = x.shape, (0.62, 0.44)
    left, top = 1.95, 0.75
    right, bottom = left + D * width, top + T * height
    fig, axes = sketch(7, bottom + 0.35)
    cells(axes, x, left, top, (width, height), tint(ACCENT, 0.16))
    cells(axes, sums[:, None], right + 0.9, top, (0.8, height), tint(ACCENT, 0.85), weight="bold")
    for t in range(T):
        y = top + (t + 0.5) * height
        arrow(axes, (right + 0.1, y), (right + 0.8, y))
        axes.text(left - 0.12, y, f"word {t}", ha="right", va="center_baseline")
    axes.text(right + 1.3, top - 0.12, "its sum", ha="center", color=shade(ACCENT), weight="bold")
    _axis(axes, (left, top - 0.15), (right, top - 0.15), f"axis -1: D={D} numbers per word")
    _axis(axes, (left - 0.8, top), (left - 0.8, bottom), f"axis 0:\nT={T} words")
    axes.text(right + 1.3, bottom + 0.22, f"shape ({T},)", ha="center", color=MUTED)
    axes.text((left + right) / 2, bottom + 0.22, f"shape ({T}, {D})", ha="center", color=MUTED)
    show(fig, f"A matrix of T={T} rows and D={D} columns; an arrow leads along each row to its sum: "
              f"{', '.join(f'{s:g}' for s in sums)}.")


def _axis(axes, start, end, name):
    arrow(axes, start, end, INK, linewidth=1)
    if start[1] == end[1]:
        axes.text((start[0] + end[0]) / 2, start[1] - 0.12, name, ha="center")
    else:
        axes.text(start[0] - 0.12, (start[1] + end[1]) / 2, name, ha="right", va="center")


@styled()
def pairing_picture(a, b, product):
    """Draw which items of two stacks `@` multiplies with each other.

    a: (B, T, D); b: (B, D, S); small whole numbers read best.
    product: (B, T, S), what the reader's function made of them.
    """
    a, b, product = np.asarray(a), np.asarray(b), np.asarray(product)
    (B, T, D), S, (width, height) = a.shape, b.shape[-1], (0.46, 0.36)
    gap, slab = 0.75, max(T, D) * height + 0.55
    lefts = 1.0 + np.cumsum([0, D * width + gap, S * width + gap])
    fig, axes = sketch(max(7, lefts[2] + S * width + 0.8), 0.5 + B * slab)
    colors = [ACCENT, SOURCE, KEY, MUTED]

    names = (f"(B={B}, T={T}, D={D})", f"(B={B}, D={D}, S={S})", f"(B={B}, T={T}, S={S})")
    for left, columns, name in zip(lefts, (D, S, S), names, strict=True):
        axes.text(left + columns * width / 2, 0.32, name, ha="center", weight="bold")
    for i in range(B):
        middle = 0.55 + i * slab + max(T, D) * height / 2
        color = tint(colors[i % 4], 0.3)
        axes.text(lefts[0] - 0.15, middle, f"item {i}", ha="right", va="center_baseline")
        for left, stack in zip(lefts, (a, b, product), strict=True):
            cells(axes, stack[i], left, middle - stack.shape[1] * height / 2, (width, height), color)
        for left, sign in zip(lefts[1:], "@=", strict=True):
            axes.text(left - gap / 2, middle, sign, ha="center", va="center_baseline", fontsize=13)
        if i + 1 < B:
            y, x = middle + slab / 2, lefts[1] - gap / 2
            for slope in (-0.3, 0.3):
                axes.plot([x - 0.3, x + 0.3], [y - slope, y + slope], color=MUTED, linestyle=":")
            axes.text(x - 0.45, y, "never across", color=shade(BAD), ha="right", va="center_baseline")
    show(fig, f"Two stacks of B={B} matrices: @ multiplies item i of the first with item i of the second, never "
              f"across; shapes {names[0]} @ {names[1]} give {names[2]}.")


SHAPES = [(), (3,), (4,), (3, 1), (1, 4), (3, 4), (4, 3), (2, 3, 1), (2, 1, 4)]


def broadcasting_widget(add=np.add, a=(3, 4), b=(4,)):
    """Let the reader choose two shapes and see how they broadcast, or why they do not.

    add: adds two arrays; a, b: the first two shapes, from SHAPES.
    """
    options = [(str(shape), shape) for shape in SHAPES]
    interactive(
        lambda a, b: _broadcasting(add, a, b),
        _broadcasting_in_words,
        a=ipywidgets.Dropdown(options=options, value=a, description="shape of a"),
        b=ipywidgets.Dropdown(options=options, value=b, description="shape of b"),
    )


def _verdicts(a, b):
    """Align two shapes at the right; for each axis: its size in a and in b (None if missing), and what happens."""
    ndim = max(len(a), len(b))
    for m, n in zip((None,) * (ndim - len(a)) + a, (None,) * (ndim - len(b)) + b, strict=True):
        if m == n:
            yield m, n, "equal"
        elif m is None or (m == 1 and n is not None):
            yield m, n, "a stretches"
        elif n in (None, 1):
            yield m, n, "b stretches"
        else:
            yield m, n, "clash"


def _broadcasting_in_words(a, b):
    words = [f"axis {i - max(len(a), len(b))}: {verdict}" for i, (_, _, verdict) in enumerate(_verdicts(a, b))]
    return f"Shapes {a} and {b} aligned at the right; {', '.join(words) or 'two single numbers'}."


def _broadcasting(add, a_shape, b_shape):
    a = 10 * np.arange(1, 1 + np.prod(a_shape, dtype=int)).reshape(a_shape)
    b = np.arange(1, 1 + np.prod(b_shape, dtype=int)).reshape(b_shape)
    fig, axes = sketch(7, 4.0)
    _aligned(axes, a_shape, b_shape)
    try:
        result = np.asarray(add(a, b))
    except ValueError as error:
        _clash(axes, a_shape, b_shape, error)
        return fig
    axes.text(5.3, 0.9, f"a + b has shape\n{result.shape}", va="center", weight="bold")
    if result.ndim <= 2:
        _sum(axes, a, b, result)
    else:
        _stack(axes, result)
    return fig


def _aligned(axes, a, b):
    """The two shapes, one above the other, axis by axis."""
    top, width, height = 0.55, 1.15, 0.36
    for row, name in enumerate("ab"):
        axes.text(1.3, top + (row + 0.5) * height, f"shape of {name}", ha="right", va="center_baseline")
    columns = list(_verdicts(a, b))
    for i, (m, n, verdict) in enumerate(columns, start=-len(columns)):
        left = 5.0 + i * width
        axes.text(left + width / 2, top - 0.12, f"axis {i}", ha="center", color=MUTED)
        for row, (size, other) in enumerate(((m, n), (n, m))):
            stretched = size is None or (size == 1 and other not in (None, 1))
            word = f"{size or 'missing'} \N{RIGHTWARDS ARROW} {other}" if stretched else str(size)
            color = tint(BAD, 0.25) if verdict == "clash" else tint(ACCENT, 0.1 if stretched else 0.3)
            cells(axes, [[word]], left, top + row * height, (width, height), color)
        color = {"equal": shade(GOOD), "clash": shade(BAD)}.get(verdict, ACCENT)
        axes.text(left + width / 2, top + 2 * height + 0.25, verdict, ha="center", color=color)
    if not columns:
        axes.text(1.6, top + height, "two single numbers: no axis to align", va="center_baseline", color=MUTED)


def _clash(axes, a, b, error):
    clashes = [(i, m, n) for i, (m, n, verdict) in enumerate(_verdicts(a, b)) if verdict == "clash"]
    for line, (i, m, n) in enumerate(clashes):
        text = f"Axis {i - max(len(a), len(b))} clashes: {m} against {n}. Sizes must be equal, or one of them 1."
        axes.text(0.3, 2.25 + 0.3 * line, text)
    axes.text(0.3, 3.1, "NumPy says:", color=MUTED)
    axes.text(0.3, 3.4, str(error).strip(), family="DejaVu Sans Mono", fontsize=9.5, color=shade(BAD))


def _sum(axes, a, b, result):
    """The two grids and their sum; numbers that were only copied are pale."""
    width, height, gap, middle = 0.46, 0.4, 0.5, 2.75
    rows, columns = np.atleast_2d(result).shape
    left = (7 - 3 * columns * width - 2 * gap) / 2
    for grid, name, sign, color in ((a, "a", "+", ACCENT), (b, "b", "=", SOURCE), (result, "a + b", "", MUTED)):
        real = np.zeros((rows, columns, 1), bool)
        real[tuple(slice(n) for n in np.atleast_2d(grid).shape)] = True
        top = middle - rows * height / 2
        axes.text(left + columns * width / 2, top - 0.12, name, ha="center", weight="bold")
        copied = np.broadcast_to(grid, (rows, columns))
        cells(axes, copied, left, top, (width, height), np.where(real, tint(color, 0.4), tint(color, 0.1)))
        left += columns * width + gap
        axes.text(left - gap / 2, middle, sign, ha="center", va="center_baseline", fontsize=14)
    axes.text(3.5, 3.85, "pale: copies that broadcasting makes", ha="center", color=MUTED)


def _stack(axes, result):
    """The items of a stack of matrices, side by side."""
    (B, rows, columns), (width, height), gap = result.shape, (0.46, 0.4), 0.5
    left, top = (7 - B * columns * width - (B - 1) * gap) / 2, 2.75 - rows * height / 2
    for i in range(B):
        axes.text(left + columns * width / 2, top - 0.12, f"(a + b)[{i}]", ha="center", weight="bold")
        cells(axes, result[i], left, top, (width, height), tint(MUTED, 0.4))
        left += columns * width + gap
