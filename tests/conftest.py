"""Nothing is left out silently: the closing lines of a run say what was skipped, and why."""

from collections import Counter

slow_tests_left_out = []


def pytest_deselected(items):
    slow_tests_left_out.extend(item for item in items if item.get_closest_marker("slow"))


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
