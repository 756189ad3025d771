"""The instructor's desk: who solved what, whatever is in the files.

A submission is taken apart without running it (extract), its answers are put into a fresh copy of the chapter and run
by nbval in a process that has no answers of the course (bench, running, inside), and what they give comes back as plain
data (plain) and is judged here. So nothing that a submission prints, raises or patches can make a verdict.
"""
import copy
import hashlib
import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import astuple
from multiprocessing.connection import wait
from pathlib import Path

import psutil
from tqdm import tqdm

from .. import checks
from ..author import digest
from ..exercise import CRASHED, NOT_ATTEMPTED, PASSED, Failure, quiet, verdict
from . import extract, plain, running, submissions
from .bench import OUT_OF_REACH, Bench

TIMED_OUT = "timed out"
LARGEST = 200 * 10**6                   # bytes of a file that is read at all
ROOM = 2 * 10**9                        # bytes of memory for reading and judging one
REACHES = "It reaches for the course's own answers, which are out of reach here."
PATIENCE = 60                           # a submission gets as many times the seconds of an exercise


def verify(root, paths, results, jobs=2, limits=None):
    """Judge all submissions in files, folders and zip files. Returns their records, in order.

    results: a file to which each record is added as soon as it is there, and from which those are taken that are known.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))             # so that what was begun is ended
    limits, bench, course = limits or running.Limits(), Bench(root), fingerprint(root)
    found = submissions.find(paths, bench.names(), LARGEST)
    known = read_records(results)
    keys = [key(submission, course, limits) for submission in found]
    records = [known.get(k) and {**known[k], **whose(s)} for k, s in zip(keys, found, strict=True)]
    todo = [i for i, record in enumerate(records) if record is None]
    patience = PATIENCE * (limits.seconds + 5)
    with tempfile.TemporaryDirectory(prefix="scratchformer_desk_", ignore_cleanup_errors=True) as base, \
            open(results, "a", encoding="utf-8") as file, tqdm(total=len(found), initial=len(found) - len(todo),
                                                               unit=" notebooks", disable=None) as bar:
        closed = closed_folders(root, paths, base)
        tasks = [(bench, found[i], Path(base), i, limits, closed) for i in todo]
        for i, record in zip_as_they_come(todo, tasks, max(1, jobs), patience):
            records[i] = {"key": keys[i], **whose(found[i]), **record}
            file.write(json.dumps(records[i]) + "\n")
            file.flush()
            bar.update()
    if fingerprint(root) != course:
        raise Tampered("THE COURSE'S OWN FILES HAVE CHANGED during the run. Do not trust its results: restore the "
                       f"files (`git -C {root} status` names them), delete {results}, and judge strangers' files in a "
                       "container (INSTRUCTORS.md).")
    return records


class Tampered(Exception):
    """The course is not what it was when the run began."""


def titles(root):
    """{number of a chapter: its title}"""
    return {number: chapter.title for number, chapter in Bench(root).chapters.items()}


def whose(submission):
    return {"learner": submission.learner, "file": submission.label}


def fingerprint(root):
    """A hash of all that verdicts depend on."""
    files = [p for folder in ("scratchformer_lib", "solutions") for p in sorted((root / folder).rglob("*"))
             if p.suffix in (".py", ".npz", ".ipynb")]
    return digest(*[f"{p} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in files])


def key(submission, course, limits):
    """What a verdict depends on: the bytes of the file, the course, the limits."""
    try:
        data = hashlib.sha256(submission.read(LARGEST)).hexdigest()
    except submissions.Unreadable as why:
        data = str(why)
    return digest(data, course, repr(astuple(limits)))


def read_records(path):
    """{key: record} of a results file; one that was cut off or could not be judged does not count."""
    known = {}
    if Path(path).exists():
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
                known |= {record["key"]: record} if record["judged"] else {}
            except (ValueError, KeyError, TypeError):
                pass
    return known


def closed_folders(root, paths, base):
    """Where submissions may not read: the course, and other submissions; but Python has to read its own files."""
    folders = [root / name for name in ("scratchformer_lib", "solutions", "tests", ".git")]
    folders += [Path(path).absolute() for path in paths if Path(path).is_dir()]
    needed = [Path(path).resolve() for path in (sys.prefix, sys.base_prefix, sys.executable, base)]
    return [str(folder) for folder in folders if not any(path.is_relative_to(folder.resolve()) for path in needed)]


# ---- many at once -------------------------------------------------------------------------------------------------

def zip_as_they_come(names, tasks, jobs, patience):
    """Pairs of a name and the record of its task, each task in a process of its own, so many at a time."""
    waiting, busy = list(zip(names, tasks, strict=True))[::-1], {}
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                name, task = waiting.pop()
                ours, theirs = multiprocessing.Pipe(duplex=False)
                process = multiprocessing.Process(target=work, args=(theirs, *task))
                process.start()
                theirs.close()
                busy[ours] = name, process, time.monotonic()
            ready = wait(list(busy), timeout=1)
            late = [c for c, (_, _, began) in busy.items() if time.monotonic() - began > patience and c not in ready]
            for connection in [*ready, *late]:
                name, process, _ = busy.pop(connection)
                yield name, record_from(connection, process, connection in late)
    finally:
        for _, process, _ in busy.values():
            end(process)


def record_from(connection, process, late):
    try:
        record = nothing(None, "it could not be judged in time", judged=False) if late else connection.recv()
    except EOFError:
        process.join()
        record = nothing(None, f"the process that judges it ended with code {process.exitcode}", judged=False)
    end(process)
    return record


def end(process):
    """End a process of `work`, with all below it."""
    if process.is_alive():
        process.join(5)
    if process.is_alive():
        below = psutil.Process(process.pid).children(recursive=True)
        for one in [process, *below]:
            one.kill()
    process.join()


def work(connection, bench, submission, base, i, limits, closed):
    """One submission, from its file to its record."""
    if running.resource and sys.platform.startswith("linux"):
        running.at_most(running.resource.RLIMIT_AS, psutil.Process().memory_info().vms + ROOM)
    running.adopt_orphans()
    scratch = base / f"submission-{i}"
    try:
        record = examine(bench, submission, base, scratch, limits, closed)
    except (MemoryError, RecursionError) as error:
        record = nothing(None, f"it cannot be read: {type(error).__name__}")
    finally:
        running.end_all()
        shutil.rmtree(scratch, ignore_errors=True)
    connection.send(record)


# ---- one submission -----------------------------------------------------------------------------------------------

def examine(bench, submission, base, scratch, limits, closed):
    began, exercises = time.monotonic(), bench.exercises()
    try:
        cells = submissions.code_cells(submission.read(LARGEST))
    except submissions.Unreadable as why:
        return nothing(None, str(why))
    in_name = next((n for n, title in bench.names().items() if n in exercises and title in submission.label), None)
    number = extract.chapter_of(cells, exercises, in_name)
    if number is None:
        return nothing(None, "it is not a chapter of this course" if cells else "there is no code in it")
    answers = extract.answers(cells, bench.code_cells(number), exercises[number])
    todo = {name: answer.text for name, answer in answers.items() if answer.text}
    given, ended = collected(bench, number, todo, base, scratch, limits, closed) if todo else ({}, {})
    found = {name: judged(checks.exercises(number)[name], answer, given.get(name), ended.get(name))
             for name, answer in answers.items()}
    return {"chapter": number, "problem": "", "judged": True, "exercises": found,
            "seconds": round(time.monotonic() - began, 1)}


def nothing(number, problem, judged=True):
    """The record of a file that has no answers to judge."""
    return {"chapter": number, "problem": problem, "judged": judged, "exercises": {}, "seconds": 0.0}


def collected(bench, number, todo, base, scratch, limits, closed):
    """What the answers `todo` give, {name: data}, and {name: why} of those that ended their process.

    The others run again without those. Where it ended in an answer that was not the first, that one is the first of the
    next process: one before it may have broken this one.
    """
    course, home = base / number, scratch / "home"
    if not course.exists():
        made = Path(tempfile.mkdtemp(dir=base))
        bench.set_up(number, made)
        try:
            made.rename(course)
        except OSError:                 # another process was faster
            shutil.rmtree(made)
    given, ended, left = {}, {}, dict(todo)
    while left:
        shutil.rmtree(scratch, ignore_errors=True)
        (home / "results").mkdir(parents=True)
        shutil.copytree(course, scratch / "course")
        profile = home / "profile_default"
        profile.mkdir()
        (profile / "ipython_config.py").write_text(running.CONFIG)
        notebook = home / f"{bench.names()[number]}.ipynb"
        notebook.write_text(json.dumps(bench.notebook(
            number, left, init=str(scratch / "course/scratchformer_lib/__init__.py"), home=str(home), closed=closed,
            package=str(scratch / "course/scratchformer_lib"), results=str(home / "results"), seconds=limits.seconds)))
        order = [name for name in bench.chapters[number].exercises if name in left]
        culprit = running.run(notebook, scratch, order, limits)
        got = {}
        for name in order:
            data = running.read(home / "results" / f"{name}.json", limits.file * 10**6)
            if data is None:
                break                   # they come in order: a later one was not written by the collector
            got[name] = data
        given |= got
        if not got:
            ended[order[0]] = culprit.get(order[0], "it gave no result")
        left = {name: text for name, text in left.items() if name not in given and name not in ended}
    return given, ended


def judged(asked, answer, data, why):
    """{"outcome", "what", "mistake"} of one exercise. data: what came back. why: what ended it, if something did."""
    if answer.failure:
        return about(CRASHED, in_words(answer.failure))
    if not answer.text:
        return about(NOT_ATTEMPTED)
    reaching = REACHES if extract.reaches(answer.text) else ""
    if why == TIMED_OUT:
        return about(TIMED_OUT, "it had not finished, and could not be interrupted", reaching)
    try:
        done = seen(asked, plain.unpacked(json.loads(data)))
    except Exception as error:          # nothing, or something else than the collector writes
        return about(CRASHED, why or f"what came back cannot be read ({type(error).__name__})", reaching)
    if len(done) > len(asked.inputs()) or (len(done) < len(asked.inputs()) and not (done and done[-1].error)):
        return about(CRASHED, "results of other cases came back", reaching)
    found = verdict(through_data(asked), done)
    error = found.attempt.error
    if error and (OUT_OF_REACH in error.message or "course's own files" in error.message):
        reaching = REACHES
    if found.outcome == PASSED:
        return about(PASSED, reaching and "right, though its text mentions the course's own answers")
    if found.outcome == NOT_ATTEMPTED:
        return about(NOT_ATTEMPTED, found.missing and f"it calls the function of {found.missing}, which is still to be "
                                                      "written")
    case = f"Case {found.position} of {found.n_cases}, {found.case.title}: "
    if error and error.kind == "TimedOut":
        return about(TIMED_OUT, case + in_words(error), reaching)
    what = in_words(error) if error else found.difference.text
    return about(found.outcome, case + what, reaching or found.sentence)


def about(outcome, what="", mistake=""):
    return {"outcome": outcome, "what": what or "", "mistake": mistake}


def in_words(error):
    if error.kind == "TimedOut":
        return "it had not finished, and was interrupted" + (f" in the line `{error.line}`" if error.line else "")
    return f"{error.kind}: {error.message}".rstrip(": ") + (f" (in the line `{error.line}`)" if error.line else "")


def seen(asked, done):
    """Attempts with what is judged of their values, as it would have been in one process."""
    for case, attempt in zip(asked.inputs(), done, strict=False):
        if not attempt.error:
            try:
                with quiet():
                    attempt.value = asked.seen(case, attempt.value)
            except Exception as error:
                attempt.error = Failure(type(error).__name__, str(error))
    return done


def through_data(asked):
    """The exercise, with known mistakes run here giving what they would give from another process."""
    def call(f, case):
        return plain.unpack(json.loads(json.dumps(plain.pack(asked.call(f, case), [plain.MOST_ITEMS]))))

    like = copy.copy(asked)
    like.call = call
    return like
