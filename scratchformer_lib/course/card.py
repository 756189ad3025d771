"""Cards: short messages, rich in Jupyter and plain elsewhere."""
import html
import re
from dataclasses import dataclass, field

import numpy as np

COLOR = {"passed": "#009E73", "wrong": "#D55E00", "crashed": "#CC79A7", "not attempted": "#808080", "note": "#0072B2"}
MOST = 8                                # rows and columns of a matrix that are drawn


@dataclass
class Card:
    """kind: a key of COLOR. lines: paragraphs, in which `x` is code and **x** is bold. drawing: HTML, or nothing.
    folded: pairs (title, text): what is worth a click, not a glance; shown as code."""
    kind: str
    title: str
    lines: list = field(default_factory=list)
    drawing: str = ""
    folded: list = field(default_factory=list)

    def __str__(self):
        folded = [f"{title}:\n{text}" for title, text in self.folded]
        kind = "" if self.kind == "note" else f" ({self.kind})"
        return "\n".join([f"{self.title}{kind}", *map(plain, self.lines), *folded])

    __repr__ = __str__

    def _repr_html_(self):
        color = COLOR[self.kind]
        chip = f"<span style='background:{color};color:#fff;border-radius:3px;padding:1px 7px;font-size:85%;" \
               f"margin-right:8px'>{self.kind}</span>" if self.kind != "note" else ""
        body = "".join(f"<p style='margin:5px 0'>{rich(line)}</p>" for line in self.lines)
        folded = "".join(f"<details style='margin:5px 0'><summary>{rich(title)}</summary>"
                         f"<pre style='margin:5px 0;white-space:pre;overflow:auto'>{html.escape(text)}</pre></details>"
                         for title, text in self.folded)
        return (f"<div style='border-left:5px solid {color};padding:6px 14px;margin:2px 0;line-height:1.45;"
                f"max-width:760px'><div>{chip}<b>{rich(self.title)}</b></div>{body}{self.drawing}{folded}</div>")


def show(card):
    """Display a card in a notebook, print it elsewhere."""
    if shell() is None:
        print(card)
    else:
        from IPython.display import display
        display(card)


def shell():
    """The running IPython, or None."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def plain(line):
    parts = re.split(r"(`[^`]+`)", line)
    parts[::2] = [part.replace("**", "") for part in parts[::2]]
    return "".join(parts)


def rich(line):
    parts = [html.escape(part) for part in re.split(r"`([^`]+)`", line)]         # text, code, text, code, ...
    parts[::2] = [re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", part) for part in parts[::2]]
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    return "".join(parts)


def side_by_side(expected, got, wrong):
    """Two arrays as tables, the entries of `got` that are wrong outlined; of a stack, the first matrix that has one.
    HTML: it needs no plotting library."""
    where = np.unravel_index(np.argmax(wrong), wrong.shape)[:-2]
    expected, got, wrong = (np.atleast_2d(array[where]) for array in (expected, got, wrong))
    index = f"[{', '.join(map(str, where))}]" if where else ""
    texts = in_digits_that_tell_apart(expected, got, wrong)
    tables = table(f"expected{index}", texts[0], np.zeros_like(wrong)) + table(f"yours{index}", texts[1], wrong)
    return f"<div style='display:flex;gap:28px;flex-wrap:wrap;margin:6px 0'>{tables}</div>"


def in_digits_that_tell_apart(a, b, where):
    """The numbers of two arrays as texts, in as few digits as tell them apart `where` they differ."""
    for digits in (4, 7, 10, 13, 17):
        texts = [np.vectorize(lambda v, digits=digits: number(v, digits), otypes=[object])(x) for x in (a, b)]
        if np.all(texts[0][where] != texts[1][where]):
            break
    return texts


def number(value, digits):
    return f"{value:.{digits}g}" if np.asarray(value).dtype.kind == "f" else str(value)


def table(title, values, marked):
    """values: (rows, columns) texts; marked: which of them are wrong."""
    rows = "".join(
        "<tr>" + "".join(cell(v, m) for v, m in zip(row, row_marked, strict=True)) + "</tr>"
        for row, row_marked in zip(values[:MOST, :MOST], marked[:MOST, :MOST], strict=True))
    cut = "" if max(values.shape) <= MOST else f" (the first {MOST} rows and columns)"
    return (f"<table style='border-collapse:separate;border-spacing:2px;font-variant-numeric:tabular-nums;margin:0'>"
            f"<caption style='text-align:left;caption-side:top'>{title}{cut}</caption>{rows}</table>")


def cell(text, marked):
    mark = f"outline:2px solid {COLOR['wrong']};font-weight:bold;" if marked else ""
    return f"<td style='text-align:right;padding:2px 7px;background:rgba(128,128,128,.12);{mark}'>{text}</td>"
