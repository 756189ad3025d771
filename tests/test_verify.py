"""The instructor's desk: who solved what, whatever is in the files."""
import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import class_of_submissions as submitted
import numpy as np
import psutil
import pytest

from scratchformer_lib.course import checks, verify
from scratchformer_lib.course.exercise import attempts
from scratchformer_lib.course.verify import extract, plain, report, running, submissions

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = submitted.BENCH.names()
QUICK = running.Limits(seconds=4, memory=700)


def put(folder, expected):
    for one in expected:
        path = folder / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)


def command(*arguments, cwd):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SECRET_OF_THE_INSTRUCTOR": "secret"}
    return subprocess.run([sys.executable, "-m", "scratchformer_lib.course", "verify", *map(str, arguments)], cwd=cwd,
                          env=env, capture_output=True, text=True, encoding="utf-8")


def wrong_verdicts(records, expected):
    """What is not as it must be, one line each."""
    found = []
    for one in expected:
        own = [r for r in records if r["file"] == one.name or r["file"].startswith(f"{one.name}/")]
        found += [] if own else [f"{one.name} is missing"]
        for record in own:
            for name, outcome in one.outcomes.items():
                got = record["exercises"].get(name, {"outcome": record["problem"]})
                if got["outcome"] != outcome and (outcome or got["outcome"] == "passed"):
                    found.append(f"{one.name}, {name}: {outcome} expected, {got}")
            for name, sentence in one.sentences.items():
                got = record["exercises"].get(name, {"outcome": "", "mistake": "", "what": ""})
                if got["outcome"] not in ("wrong", "crashed", "timed out") or sentence not in got["mistake"]:
                    found.append(f"{one.name}, {name}: {sentence!r} expected, {got}")
            if one.problem not in record["problem"] or (record["problem"] and not one.problem):
                found.append(f"{one.name}: {one.problem!r} expected, {record['problem']!r}")
    return found


# ---- files and learners -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path, name", [
    ("ada/01_softmax.ipynb", "ada"), ("name_123_01_softmax(2).ipynb", "name"), ("ada/week 3/01_softmax.ipynb", "ada"),
    ("week3/ada_123_456_01_softmax-2.ipynb", "ada"), ("Ada L_4711_assignsubmission_file_/01_softmax.ipynb", "Ada L"),
    ("01_softmax_ada.ipynb", "ada"), ("ada.ipynb", "ada"), ("ada/My 01 softmax - Copy.ipynb", "ada"),
    ("ada_LATE_77_01-softmax.ipynb", "ada"), ("10234/03_attention.ipynb", "10234")])
def test_a_learner_is_found_in_folders_and_names(path, name, tmp_path):
    put(tmp_path / "submissions", [submitted.Expected(path, b"")])
    (found,) = submissions.find([tmp_path / "submissions"], CHAPTERS, 100)
    assert found.learner == name


def test_numbers_that_tell_learners_apart_stay(tmp_path):
    put(tmp_path / "submissions", [submitted.Expected(f"student_{n}_01_softmax.ipynb", b"") for n in (7, 8)])
    found = submissions.find([tmp_path / "submissions"], CHAPTERS, 100)
    assert [s.learner for s in found] == ["student_7", "student_8"]


@pytest.mark.parametrize("cells, number", [
    (['begin("03")', "def softmax(x): pass"], "03"), (["def softmax(x): pass", "def log_softmax(x): pass"], "01"),
    (["def softmax(x): pass"], None), (["import scratchformer_lib", "def softmax(x): pass"], "01"), (["x = 1"], None)])
def test_the_chapter_is_known_by_what_is_in_the_file(cells, number):
    assert extract.chapter_of([("", source) for source in cells], submitted.BENCH.exercises()) == number


# ---- what a submission runs with ----------------------------------------------------------------------------------

@pytest.mark.parametrize("number", submitted.BENCH.exercises())
def test_no_answer_of_a_chapter_is_on_its_bench(number, tmp_path):
    submitted.BENCH.set_up(number, tmp_path)
    texts = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.py")}
    everything = "\n".join(texts.values())
    for name, source in submitted.solutions(number).items():
        body = source.split('"""')[2] if '"""' in source else source
        lines = [line.strip() for line in body.split("\n") if len(line.strip()) > 25]
        answers = [line for line in lines if line not in submitted.stub(number, name)]
        assert not (answers and all(line in everything for line in answers)), name
    modules = [text for path, text in texts.items() if "checks" in path.parts]
    assert not any(".mistake(" in text or ".alternative" in text for text in modules)


@pytest.mark.parametrize("value", [
    3, 2.5, True, None, "x", b"x", 1j, np.float32(2), np.arange(6.0).reshape(2, 3).T, np.array(["a"]),
    [1, (2, {"a": 3})],
    {(1, 2): {3}}, range(3), float("inf"), np.zeros((0, 3), bool), np.array(1.5)])
def test_what_an_answer_gives_comes_back_as_it_was(value):
    back = plain.unpack(json.loads(json.dumps(plain.pack(value, [100]))))
    assert type(back) is type(value)
    assert np.array_equal(back, value) if isinstance(value, np.ndarray) else back == value


@pytest.mark.parametrize("value", [iter([]), print, type, np.array([None]), object()])
def test_what_is_no_data_comes_back_as_its_type_name(value):
    back = plain.unpack(json.loads(json.dumps(plain.pack(value, [100]))))
    assert type(back).__name__ == type(value).__name__


@pytest.mark.parametrize("text", ["[]", "null", "3", '{"a": 1}', '[{"value": 1}]', "[[1]]", "", "[" * 10_000])
def test_forged_results_never_pass(text):
    asked = checks.exercises("01")["softmax"]
    assert verify.judged(asked, extract.Answer("x"), text, None)["outcome"] == "crashed"


def test_results_of_fewer_cases_do_not_pass():
    asked = checks.exercises("01")["softmax"]
    done = plain.packed(attempts(asked, asked.reference)[:3])
    assert verify.judged(asked, extract.Answer("x"), json.dumps(done), None)["outcome"] == "crashed"


# ---- the command --------------------------------------------------------------------------------------------------

def test_the_command_reports_writes_and_skips_what_is_unchanged(tmp_path):
    solved = submitted.solved("00")
    wrong = submitted.solved("00", {"row_sums": "def row_sums(x):\n    return x.sum(axis=0)"})
    tells = "import os\ndef row_sums(x):\n    raise ValueError(sorted(os.environ))"
    secret = submitted.solved("00", {"row_sums": tells})
    put(tmp_path / "in", [submitted.Expected("ada/00_welcome.ipynb", submitted.data(solved)),
                          submitted.Expected("=bob_00_welcome.ipynb", submitted.data(wrong)),
                          submitted.Expected("<b>eve/00_welcome.ipynb", submitted.data(secret)),
                          submitted.Expected("cut/00_welcome.ipynb", b"{")])
    options = ["in", "--csv", "out.csv", "--html", "out.html"]
    done = command(*options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ada      +    +    +   3 of 3" in done.stdout
    assert "1  0.1 row_sums: You summed over the words" in done.stdout
    assert "cut/00_welcome.ipynb: it is not JSON" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120
    results = (tmp_path / "verify_results.jsonl").read_text()
    assert "SECRET_OF_THE_INSTRUCTOR" not in results and "PYTHONPATH" in results
    rows = list(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8-sig")))
    assert len(rows) == 3 * 3 + 1 and {row["learner"] for row in rows} == {"ada", "'=bob", "<b>eve", "cut"}
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;eve" in page and "<b>eve" not in page and "http" not in page

    began = time.monotonic()
    again = command(*options, "--strict", cwd=tmp_path)
    assert again.returncode == 1 and again.stdout == done.stdout
    (tmp_path / "in/ada/00_welcome.ipynb").write_bytes(submitted.data(wrong))
    assert command(*options, cwd=tmp_path).stdout.count("W    .    .") == 2
    assert time.monotonic() - began < 60


def test_the_command_says_what_it_cannot_find(tmp_path):
    done = command("nowhere", cwd=tmp_path)
    assert done.returncode == 1 and "there is no nowhere" in done.stderr


# ---- plain nbval --------------------------------------------------------------------------------------------------

def nbval(made, tmp_path):
    (tmp_path / "01_softmax.ipynb").write_bytes(submitted.data(made))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SCRATCHFORMER_MY_CODE": str(tmp_path / "my_code")}
    return subprocess.run([sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env",
                           "--nbval-cell-timeout=60",
                           "-p", "no:cacheprovider", "01_softmax.ipynb"], cwd=tmp_path, env=env, capture_output=True,
                          text=True)


def test_plain_nbval_passes_a_notebook_whose_checks_pass(tmp_path):
    done = nbval(submitted.solved("01"), tmp_path)
    assert done.returncode == 0, done.stdout


def test_plain_nbval_fails_a_notebook_with_one_check_that_does_not(tmp_path):
    answers = submitted.solutions("01") | {"surprise": "def surprise(x, truth):\n    return x"}
    done = nbval(submitted.solved("01", answers), tmp_path)
    assert done.returncode == 1
    assert "surprise: wrong" in done.stdout


# ---- the whole class ----------------------------------------------------------------------------------------------

@pytest.mark.slow
@pytest.mark.parametrize("number", submitted.BENCH.exercises())
def test_mistakes_are_recognized_from_another_process(number, tmp_path):
    """References, alternatives and each tenth mistake run on the cases of a chapter's bench, in one process."""
    submitted.BENCH.set_up(number, tmp_path / "bench")
    done = subprocess.run([sys.executable, "-c", ALL_ANSWERS, number, str(ROOT / "scratchformer_lib")], cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(tmp_path / "bench")}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    given = json.loads((tmp_path / "given.json").read_text())
    for name, asked in checks.exercises(number).items():
        wanted = [sentence for _, sentence in asked.mistakes[::10]] + [None] * (len(asked.alternatives) + 1)
        for data, sentence in zip(given[name], wanted, strict=True):
            found = verify.judged(asked, extract.Answer("x"), data, None)
            if sentence is None:
                assert found["outcome"] == "passed", (name, found)
            elif found["outcome"] != "timed out":       # a loop without end is one, whatever the mistake
                assert (found["outcome"] in ("wrong", "crashed"), found["mistake"]) == (True, sentence), (name, found)


ALL_ANSWERS = """
import importlib.util, json, pathlib, sys
from scratchformer_lib.course import checks
from scratchformer_lib.course.exercise import attempts
from scratchformer_lib.course.verify.plain import packed
number, folder = sys.argv[1:]
spec = importlib.util.spec_from_file_location("whole", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["whole"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["whole"])
whole = importlib.import_module("whole.course.checks").exercises(number)
given = {}
for name, asked in checks.exercises(number).items():
    answers = [f for f, _ in whole[name].mistakes[::10]] + whole[name].alternatives + [whole[name].reference]
    given[name] = [json.dumps(packed(attempts(asked, f))) for f in answers]
pathlib.Path("given.json").write_text(json.dumps(given))
"""


@pytest.mark.slow
def test_a_class_is_judged_without_a_wrong_verdict_and_nothing_is_left_behind(tmp_path):
    marker = tmp_path / "tampered.txt"
    expected = [*submitted.right(), *submitted.broken(), *submitted.hostile(marker)]
    for number in ("00", "01", "02", "04"):
        expected += submitted.mistakes(number)
    put(tmp_path / "class", expected)
    before = {process.pid for process in psutil.process_iter()}
    began = time.monotonic()
    records = verify.verify(ROOT, [tmp_path / "class"], tmp_path / "results.jsonl", limits=QUICK)
    seconds = time.monotonic() - began
    print(f"{len(records)} submissions in {seconds:.0f} s")
    assert not wrong_verdicts(records, expected), "\n".join(wrong_verdicts(records, expected))
    assert all(record["judged"] for record in records)
    assert not marker.exists()
    left = [process for process in psutil.process_iter(["pid", "cmdline"]) if process.info["pid"] not in before
            and "scratchformer_desk" in str(process.info["cmdline"])]
    assert not left
    assert report.table(records, verify.titles(ROOT))
    if psutil.getloadavg()[0] < 3:      # a machine that does something else besides tells nothing
        assert seconds < 300
