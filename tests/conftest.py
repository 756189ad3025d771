"""Nothing is left out silently: the closing lines of a run say what was skipped, and why."""

import os
from collections import Counter

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:                 # as many processes as cores: one BLAS thread in each
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

slow_tests_left_out = set()


def pytest_deselected(items):
    slow_tests_left_out.update(item.nodeid for item in items if item.get_closest_marker("slow"))


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["slow_tests_left_out"] = list(slow_tests_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):                          # one of the processes has ended
    slow_tests_left_out.update(getattr(node, "workeroutput", {}).get("slow_tests_left_out", []))


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    terminalreporter.section("left out")
    if reasons:
        terminalreporter.line(f"skipped: {len(skipped)}")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"  {count} x {reason}")
    else:
        terminalreporter.line("nothing was skipped")
    if slow_tests_left_out:
        terminalreporter.line(f"slow tests: {len(slow_tests_left_out)}, which make test-slow runs (or pytest -m slow)")
