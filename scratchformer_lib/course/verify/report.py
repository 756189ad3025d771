"""Who solved what: as a table in the terminal, as CSV, as one HTML page."""
import csv
import html
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .. import card

MARKS = {"passed": "+", "wrong": "W", "crashed": "C", "not attempted": ".", "timed out": "T"}
WIDTH, NAME = 120, 28
MOST_MISTAKES = 12
COLUMNS = ["learner", "file", "chapter", "number", "exercise", "outcome", "mistake", "what"]


@dataclass
class Row:
    """A notebook in the table of its chapter: results of its exercises, in order."""
    name: str
    record: dict

    @property
    def results(self):
        return list(self.record["exercises"].items())

    @property
    def passed(self):
        return sum(result["outcome"] == "passed" for _, result in self.results)


def shown(text):
    """Text of a submission as a line that does nothing to a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def by_chapter(records):
    """{number: Rows by name}. The same notebook twice is shown once; two of one learner are both shown, with files."""
    rows = {}
    for record in records:
        if record["chapter"]:
            rows.setdefault(record["chapter"], {}).setdefault((record["learner"], record["key"]), record)
    found = {}
    for number in sorted(rows):
        several = Counter(learner for learner, _ in rows[number])
        found[number] = [Row(shown(f"{who}: {Path(record['file']).name}" if several[who] > 1 else who), record)
                         for (who, _), record in rows[number].items()]
        found[number].sort(key=lambda row: row.name.lower())
    return found


def mistakes(records):
    """[(count, "3.4 causal_mask", sentence)] of the mistakes that were recognized, the most frequent first. Each counts
    once for a learner."""
    made = {(record["learner"], number_of(record, name), result["mistake"]) for record in records
            for name, result in record["exercises"].items() if result["mistake"]}
    counted = Counter((where, sentence) for _, where, sentence in sorted(made))
    return [(count, *found) for found, count in counted.most_common(MOST_MISTAKES)]


def number_of(record, name):
    return f"{int(record['chapter'])}.{list(record['exercises']).index(name) + 1} {name}"


def total(rows):
    counts = Counter(result["outcome"] for row in rows for _, result in row.results)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in MARKS if counts[outcome])


# ---- in the terminal ----------------------------------------------------------------------------------------------

def table(records, titles):
    """The report as text. titles: {number of a chapter: its title}."""
    lines = []
    for number, rows in by_chapter(records).items():
        names = [name for name, _ in rows[0].results]
        width = min(max(len(row.name) for row in rows), NAME)
        heads = [f"{int(number)}.{i + 1}" for i in range(len(names))]
        lines += [f"Chapter {number}, {titles[number]}", "  ".join(["".ljust(width), *heads, "passed"])]
        for row in rows:
            marks = [MARKS[result["outcome"]].center(len(head)) for head, (_, result) in zip(heads, row.results,
                                                                                             strict=True)]
            lines.append("  ".join([row.name[:width].ljust(width), *marks, f"{row.passed} of {len(names)}"]))
        lines += wrapped(", ".join(f"{head} {name}" for head, name in zip(heads, names, strict=True)))
        lines += [total(rows), ""]
    lines.append("   ".join(f"{mark} {outcome}" for outcome, mark in MARKS.items()))
    told = [line for rows in by_chapter(records).values() for row in rows for line in details(row)]
    lines += ["", "In detail", *told] if told else []
    common = mistakes(records)
    if common:
        lines += ["", "The most frequent mistakes (learners)"]
        for count, where, sentence in common:
            lines += wrapped(f"{count:3}  {where}: {sentence}", "     ")
    strange = [record for record in records if record["problem"]]
    if strange:
        lines += ["", "Files without a verdict on any exercise"]
        for record in strange:
            lines += wrapped(f"{shown(record['file'])}: {shown(record['problem'])}", "    ")
    return "\n".join(lines)


def details(row):
    lines = []
    for name, result in row.results:
        said = [shown(part) for part in (result["mistake"], result["what"]) if part]
        if said:
            lines += wrapped(f"{row.name}, {number_of(row.record, name)}: {result['outcome']}. {cut(said[0])}", "    ")
            lines += wrapped(f"    {cut(said[1])}", "    ") if len(said) > 1 else []
    return lines


def cut(text, most=400):
    return text if len(text) <= most else text[:most] + " ..."


def wrapped(text, indent=""):
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


# ---- in files -----------------------------------------------------------------------------------------------------

def write_csv(path, records):
    with open(path, "w", newline="", encoding="utf-8-sig") as file:         # spreadsheets know it by the mark
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for record in records:
            start = [record["learner"], record["file"], record["chapter"] or ""]
            rows = [[*start, number_of(record, name).split()[0], name, result["outcome"], result["mistake"],
                     result["what"]] for name, result in record["exercises"].items()]
            for row in rows or [[*start, "", "", "", "", record["problem"]]]:
                writer.writerow(["'" + cell if cell[:1] in "=+-@\t\r" and cell else cell for cell in map(shown, row)])


def write_html(path, records, titles):
    Path(path).write_text(page(records, titles), encoding="utf-8")


STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #d8dee4; --muted: #57606a; --row: #f6f8fa;
  --passed: #00734f; --wrong: #b34700; --crashed: #9c3d75; --not-attempted: #6e7781; --timed-out: #005a9c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #14181d; --faint: #30363d; --muted: #9aa4af;
  --row: #1c2128; --passed: #3fc59a; --wrong: #ff9a57; --crashed: #e29cc6; --not-attempted: #9aa4af;
  --timed-out: #6cb6ff; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; } p { margin: .3rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--faint);
  text-align: left; vertical-align: top; } thead th { font-size: .85rem; color: var(--muted); font-weight: 600; }
tbody tr:hover { background: var(--row); } tbody th { font-weight: 600; min-width: 9rem; max-width: 18rem; }
th, td { overflow-wrap: break-word; }
td.count { text-align: right; } .muted, small { color: var(--muted); }
.chip { white-space: nowrap; font-weight: 600; }
.passed { color: var(--passed); } .wrong { color: var(--wrong); } .crashed { color: var(--crashed); }
.not-attempted { color: var(--not-attempted); font-weight: 400; } .timed-out { color: var(--timed-out); }
code { font-size: .92em; } details summary { cursor: pointer; }
details p { max-width: 34rem; font-size: .9rem; }
"""


def page(records, titles):
    """The report as one HTML page that needs nothing else. All text of submissions is escaped."""
    learners = len({record["learner"] for record in records})
    body = [f"<h1>ScratchFormer: who solved what</h1><p>{learners} learners, {len(records)} files.</p>"]
    for number, rows in by_chapter(records).items():
        heads = "".join(f"<th>{int(number)}.{i + 1}<br>{html.escape(name)}</th>"
                        for i, (name, _) in enumerate(rows[0].results))
        body.append(f"<h2>Chapter {number}, {html.escape(titles[number])}</h2><p class=muted>{total(rows)}</p>"
                    f"<div class=scroll><table><thead><tr><th>learner</th>{heads}<th>passed</th></tr></thead><tbody>")
        for row in rows:
            cells = "".join(f"<td>{cell(result)}</td>" for _, result in row.results)
            body.append(f"<tr><th title='{html.escape(shown(row.record['file']), quote=True)}'>{html.escape(row.name)}"
                        f"</th>{cells}<td class=count>{row.passed} of {len(row.results)}</td></tr>")
        body.append("</tbody></table></div>")
    common = mistakes(records)
    if common:
        body.append("<h2>The most frequent mistakes</h2><table><thead><tr><th>learners</th><th>exercise</th>"
                    "<th>mistake</th></tr></thead><tbody>")
        body += [f"<tr><td class=count>{count}</td><td>{html.escape(where)}</td><td>{card.rich(sentence)}</td></tr>"
                 for count, where, sentence in common]
        body.append("</tbody></table>")
    strange = [record for record in records if record["problem"]]
    if strange:
        body.append("<h2>Files without a verdict on any exercise</h2><table><thead><tr><th>learner</th><th>file</th>"
                    "<th>why</th></tr></thead><tbody>")
        parts = ("learner", "file", "problem")
        body += ["<tr>" + "".join(f"<td>{html.escape(shown(record[part]))}</td>" for part in parts) + "</tr>"
                 for record in strange]
        body.append("</tbody></table>")
    return ("<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>ScratchFormer: who solved what</title><style>{STYLE}</style></head><body>" + "\n".join(body)
            + "</body></html>\n")


def cell(result):
    kind = result["outcome"].replace(" ", "-")
    chip = f"<span class='chip {kind}'>{result['outcome']}</span>"
    said = [cut(shown(part)) for part in (result["mistake"], result["what"]) if part]
    if not said:
        return chip
    return f"<details><summary>{chip}</summary>{''.join(f'<p>{card.rich(line)}</p>' for line in said)}</details>"
