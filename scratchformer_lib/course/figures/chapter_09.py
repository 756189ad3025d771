"""Pictures of chapter 09: a loss that falls, and a tape that is walked backwards."""

from functools import cache
from itertools import groupby, pairwise

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from . import (
    ACCENT,
    BAD,
    INK,
    MUTED,
    PAPER,
    boxed,
    end_labels,
    fitted,
    interactive,
    letters,
    place,
    plain,
    shade,
    show,
    sketch,
    styled,
    tint,
)


@styled()
def falling_picture(losses, floor, name):
    """Draw how a loss falls with the steps; a line shows the lowest value that it can reach.

    losses: (n + 1,), before the first step and after each of n; one that is infinite or NaN has no point.
    floor: the lowest value. name: says what it is.
    """
    losses = np.asarray(losses, dtype=float)
    n, known = max(len(losses) - 1, 0), np.where(np.isfinite(losses), losses, np.nan)
    low, high = np.nanmin([0, floor, *known]), np.nanmax([0.1, floor, *known])
    ends = f"{_loss(losses[-1]) if len(losses) else 'nothing'} after {n:,} steps", f"{name}: {_loss(floor)}"
    fig = Figure(figsize=(7, 2.6))
    axes = place(fig, 0.62, 0.15, 5.9 - max(map(letters, ends)), 1.85)
    axes.axhline(floor, color=MUTED, linestyle=(0, (5, 2)), linewidth=1.5)
    axes.plot(known, color=ACCENT, marker="o", markersize=3.5, markevery=range(min(len(known), 30)))
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)  # a logarithmic one, with 0
    axes.set_xticks(ticks := [t for t in (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000) if t <= max(n, 1)], ticks)
    axes.minorticks_off()
    axes.set(xlim=(-0.05, max(n, 1)), ylim=(low - 0.05 * (high - low), high + 0.05 * (high - low)), ylabel="loss")
    axes.set_xlabel("steps, on a logarithmic scale")
    axes.locator_params(axis="y", nbins=4)
    last = known[-1] if len(known) and np.isfinite(known[-1]) else high
    end_labels(axes, [(max(n, 1), floor, *plain(ends[1:]), MUTED), (max(n, 1), last, ends[0], ACCENT)])
    begins = f"from {_loss(losses[0])} before the first step " if len(losses) else ""
    show(fig, f"The loss by the number of steps, {begins}to {ends[0]}. A line marks {ends[1]}.")


def _loss(number):
    return "0" if number == 0 else f"{number:.3f}" if np.isfinite(number) else "not a finite number"


SIGNS = {"add": "+", "subtract": "\N{MINUS SIGN}", "negative": "\N{MINUS SIGN}", "multiply": "\N{MULTIPLICATION SIGN}",
         "divide": "\N{DIVISION SIGN}", "power": "^", "sqrt": "\N{SQUARE ROOT}", "absolute": "| |"}
ANY_ORDER = ("add", "multiply", "maximum", "minimum")  # a + b is b + a


def tape_widget(tape, names, values, result, backward):
    """Let the reader walk a tape backwards, a step a click, on a picture of what was computed.

    tape: steps (name, rule, slots of the inputs, a list of the output's slot); it is not emptied. The values are
    numbers; about 10 read well. names: a dict from a name ("a") to its slot. values: a dict from a slot to its number.
    result: the slot of the result.
    backward: takes a tape and a dict of gradients, returns the gradients; it is called with one step at a time.
    """
    steps, values = list(tape), {slot: float(value) for slot, value in values.items()}
    called = {slot: f"step {k}, {name}" for k, (name, _, _, (slot,)) in enumerate(steps, 1)}
    names = {slot: name for name, slot in names.items() if slot not in called}
    columns, chains = _graph(steps, [*names, result])
    called |= {slot: names.get(slot, f"slot {slot}") for slot in columns[0]}
    places, bottom = _places(columns, chains)
    width = min(0.62, 5.6 / len(columns) - 0.2)
    most = max((len(set(inputs) - {None}) for _, _, inputs, _ in steps), default=0)

    @cache
    def walk(back):
        """After some steps: the gradients that are left, all that there were, and what the last step did, in words."""
        if back == 0:
            return {result: np.float64(1)}, {result: np.float64(1)}, [("The result counts 1 in itself", True)]
        before, known, _ = walk(back - 1)
        after, said = _step_back(steps[-back], backward, before, called)
        return after, known | after, said

    def draw(back):
        _, gradients, said = walk(back)
        earlier, now = (walk(back - 1)[1], steps[-back][-1][0]) if back else ({}, None)
        fig, axes = sketch(7, bottom + 1.0 + 0.23 * most)
        axes.text(0.15, 0.25, "above: the value", va="center_baseline")
        axes.text(1.45, 0.25, "below: its gradient", va="center_baseline", color=shade(ACCENT), weight="bold")
        _lines(axes, steps, chains, places, width, now if now in gradients else None)
        _boxes(axes, steps, places, width, now)
        for slot in columns[0]:
            boxed(axes, called[slot], *places[slot], width, INK, facecolor=PAPER)
        for slot in called:
            x, y = places[slot]
            axes.text(x, y - 0.29, _short(values[slot]), ha="center", va="center_baseline")
            if slot in gradients:
                new = slot not in earlier or gradients[slot] != earlier[slot]
                axes.text(x, y + 0.29, _short(gradients[slot]), ha="center", va="center_baseline",
                          color=shade(ACCENT), weight="bold" if new else "normal")
        axes.text(places[result][0] + width / 2 + 0.06, places[result][1], "result", va="center_baseline")
        _tape(axes, [name for name, *_ in steps], len(steps) - back, bottom + 0.25)
        for i, (line, right) in enumerate(said):
            line, size = fitted(line, 7.2)
            axes.text(0.15, bottom + 0.7 + 0.23 * i, line, fontsize=size, va="center_baseline",
                      color=INK if right else shade(BAD), weight="normal" if i else "bold")
        return fig

    def alt(back):
        _, gradients, ((head, _), *said) = walk(back)
        numbers = [f"{called[slot]}: {_short(values[slot])}" for slot in sorted(called)]
        known = [f"{called[slot]}: {_short(gradients[slot])}" for slot in sorted(called) if slot in gradients]
        return (f"A graph of what was computed, from the inputs on the left to the result. The values: "
                f"{'; '.join(numbers)}. After {back} of {len(steps)} steps back: {head}{' ' * bool(said)}"
                f"{'; '.join(line for line, _ in said)}. The gradients so far: {'; '.join(known)}.")

    back = ipywidgets.ToggleButtons(options=list(range(len(steps) + 1)), description="steps back",
                                    style={"button_width": "44px"})
    interactive(draw, alt, back=back)


def _step_back(step, backward, before, called):
    """Let backward walk a tape of one step: the gradients after it; what happened, lines with whether it is right.

    before: the gradients before it. called: a dict from a slot to its name.
    """
    name, rule, inputs, (output,) = step
    answers = []

    def overheard(*dys):
        answers.append(rule(*dys))
        return answers[-1]

    after = backward([(name, overheard, list(inputs), [output])], dict(before))
    if not isinstance(after, dict):
        raise TypeError(f"backward returned {type(after).__name__}, not the dict of gradients")
    for slot, dx in after.items():
        if dx is None or np.ndim(dx):
            raise ValueError(f"backward left {dx!r} as the gradient of slot {slot}, not a number")
    title = called[output].capitalize()
    if output not in before:
        return after, [(f"{title}: no gradient arrives, so it hands on nothing", True)]
    if not answers:
        return after, [(f"{title}: {_short(before[output])} arrives, but backward does not ask its rule", False)]
    said = [(f"{title}: {_short(before[output])} arrives, and it hands on", True)]
    for slot in dict.fromkeys(slot for slot in inputs if slot is not None):
        parts = [dx for other, dx in zip(inputs, answers[-1], strict=True) if other == slot]
        line = f"to {called[slot]}: {' and '.join(_product(before[output], dx) for dx in parts)}"
        total = sum(parts, before.get(slot, 0))
        right = slot in after and bool(np.isclose(after[slot], total, equal_nan=True))
        if slot not in after:
            line += ", but it does not arrive"
        elif not right:
            it = f"It had {_short(before[slot])}, so it" if slot in before else "It"
            line += f". {it} should have {_short(total)} now, and has {_short(after[slot])}"
        elif slot in before:
            line += f", added to the {_short(before[slot])} that it had: {_short(total)}"
        elif len(parts) > 1:
            line += f", together {_short(total)}"
        said.append((line, right))
    return after, said


def _product(dy, dx):
    """How dx comes of dy, in words."""
    if not dy or not np.isfinite(dx / dy):
        return _short(dx)
    return f"{_short(dy)} {SIGNS['multiply']} {_short(dx / dy)} = {_short(dx)}"


def _short(number):
    return f"{float(number) + 0.0:.3g}"  # no "-0"


def _graph(steps, slots):
    """Put the slots of a tape into columns, what a step makes to the right of what it reads.

    slots: more of them, which no step need have read or made.
    Returns (columns, chains). A chain is a line from a slot to one that was made of it: the two, and between them a
    bend, which is a tuple, for each column that the line crosses.
    """
    depth = {}
    for _, _, inputs, (output,) in steps:
        depth[output] = 1 + max((depth.setdefault(slot, 0) for slot in inputs if slot is not None), default=0)
    for slot in slots:
        depth.setdefault(slot, 0)
    columns = [[slot for slot in depth if depth[slot] == column] for column in range(max(depth.values()) + 1)]
    chains = []
    for _, _, inputs, (output,) in steps:
        for i, slot in enumerate(inputs):
            if slot is not None:
                bends = [(output, i, column) for column in range(depth[slot] + 1, depth[output])]
                for bend in bends:
                    columns[bend[-1]].append(bend)
                chains.append([slot, *bends, output])
    return columns, chains


def _places(columns, chains):
    """Where the slots and the bends go, a dict of (x, y) in inches, and how far down they reach."""
    links = [link for chain in chains for link in pairwise(chain)]
    beside = {key: [a if b == key else b for a, b in links if key in (a, b)] for column in columns for key in column}
    rng, shortest = np.random.default_rng(0), np.inf
    for _ in range(12):  # from several random beginnings, everything is pulled towards what it is linked to
        y = {key: rng.random() for key in beside}
        for _ in range(12):
            for column in columns:
                pulled = {key: np.mean([y[other] for other in beside[key] or [key]]) for key in column}
                order = sorted(column, key=pulled.get)
                y |= zip(order, _apart([pulled[key] for key in order], [_room(key) for key in order]), strict=True)
        length = sum(abs(y[a] - y[b]) for a, b in links)
        if length < shortest - 1e-6:
            shortest, heights = length, y
    if heights[columns[0][0]] > heights[columns[0][-1]]:  # the first name at the top
        heights = {key: -y for key, y in heights.items()}
    top = min(y - _room(key) for key, y in heights.items()) - 0.4
    step = min(1.3, 5.6 / max(len(columns) - 1, 1))
    left = 3.25 - step * (len(columns) - 1) / 2
    places = {key: (left + step * i, heights[key] - top) for i, column in enumerate(columns) for key in column}
    return places, max(y + _room(key) for key, (_, y) in places.items())


def _room(key):
    """The inches above and below the middle of a slot, or of a bend."""
    return 0.14 if isinstance(key, tuple) else 0.46


def _apart(wanted, rooms):
    """Heights in ascending order, near the wanted ones, and as far apart as the rooms of two neighbors."""
    heights, gaps = np.array(wanted), np.add(rooms[1:], rooms[:-1])
    for _ in range(30):
        push = np.maximum(gaps - np.diff(heights), 0) / 2
        heights[1:] += push
        heights[:-1] -= push
    return heights


def _lines(axes, steps, chains, places, width, now):
    """Draw who feeds whom; those lines stand out, with arrows, on which the slot `now` hands its gradient back."""
    kind = {output: name for name, _, _, (output,) in steps}
    paths, back = {True: [], False: []}, []
    for output, group in groupby(chains, key=lambda chain: chain[-1]):
        group = list(group)
        if kind[output] in ANY_ORDER:
            group.sort(key=lambda chain: places[chain[-2]][1])
        for i, (slot, *bends, _) in enumerate(group):
            corners = [places[slot] + np.array([width / 2, 0])]
            corners += [places[bend] + np.array([away, 0]) for bend in bends for away in (-width / 3, width / 3)]
            corners.append(places[output] + np.array([-width / 2, 0.16 * (i - (len(group) - 1) / 2)]))
            path = [corners[0]]
            for (x, y), (right, end) in pairwise(corners):
                path += [((x + right) / 2, y), ((x + right) / 2, end), (right, end)]
            paths[output == now].append(Path(path, [Path.MOVETO] + [Path.CURVE4] * (len(path) - 1)))
            back += [corners[0] + [0.05, 0]] if output == now else []
    for here, look in ((False, {"edgecolor": tint(MUTED, 0.6), "linewidth": 1.3}),
                       (True, {"edgecolor": ACCENT, "linewidth": 3})):
        axes.add_patch(PathPatch(Path.make_compound_path(*paths[here]), fill=False, **look))
    axes.plot(*np.reshape(back, (-1, 2)).T, "<", color=ACCENT, markersize=9)


def _boxes(axes, steps, places, width, now):
    """Draw the operations; the one that makes the slot `now` stands out."""
    for k, (name, _, _, (slot,)) in enumerate(steps, 1):
        x, y = places[slot]
        look = {"linewidth": 2.5} if slot == now else {"facecolor": tint(MUTED, 0.12)}
        boxed(axes, SIGNS.get(name, name), x, y, width, ACCENT if slot == now else MUTED,
              size=14 if name in SIGNS else 10, **look)
        axes.text(x - width / 2 + 0.04, y - 0.09, k, fontsize=7, color=MUTED, va="center", zorder=4)


def _tape(axes, names, left, y):
    """Draw at the height y the first steps of the tape, those that are left, and the one after them: it is done now."""
    width = min(6.0 / max(len(names), 1), 1.1)
    for form in ("{0} {1}", "{0} {2}", "{0}"):  # the first that fits
        words = [form.format(k, name, SIGNS.get(name, name)) for k, name in enumerate(names, 1)]
        if max(map(letters, words), default=0) < (width - 0.14) * 10 / 8:
            break
    axes.text(0.15, y, "tape", va="center_baseline")
    for k, word in enumerate(words[:left + 1]):
        look = {"linewidth": 2.5} if k == left else {"facecolor": tint(MUTED, 0.12)}
        boxed(axes, word, 0.85 + (k + 0.5) * width, y, width - 0.06, ACCENT if k == left else MUTED, 0.3, **look)
