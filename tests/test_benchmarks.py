"""The benchmark, with tiny models and few rounds: the whole of it runs, and its table says what its JSON says."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).with_name("benchmarks")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    env = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}                # as found; and unset
    done = subprocess.run([sys.executable, BENCHMARKS, "--quick", "--out", folder], capture_output=True, text=True,
                          env=env)
    assert done.returncode == 0, done.stderr
    table = (folder / "benchmark.md").read_text(encoding="utf-8")
    assert table in done.stdout
    return table, json.loads((folder / "benchmark.json").read_text(encoding="utf-8")), folder


def cells_of(table, first):
    """The rows of the table whose head begins with this cell, as lists of cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    heads = [i for i, row in enumerate(rows) if set("".join(row)) <= set("-: ")] + [len(rows) + 1]
    return next(rows[i + 1:after - 1] for i, after in zip(heads, heads[1:], strict=False) if rows[i - 1][0] == first)


def test_every_comparison_is_there_for_both_models(results):
    rows = {(row["model"], row["of"], row["over"]) for row in results[1]["rows"]}
    for model in ("GPT", "encoder-decoder"):
        for end in ("", ", free"):
            assert {(model, f"bare, 2 threads{end}", f"ours, 2 threads{end}"),
                    (model, f"bare, 1 thread{end}", f"ours, 1 thread{end}"),
                    (model, f"ours, 1 thread{end}", f"ours, 2 threads{end}"),
                    (model, f"ours, 2 threads{end}", f"ours, workers=2{end}"),
                    (model, f"ours, 1 thread{end}", f"products, 1 thread{end}")} <= rows
        assert {(model, "ours, 2 threads", "ours, 2 threads, free"),
                (model, "bare, peak memory", "ours, peak memory")} <= rows
    assert len(rows) == len(results[1]["rows"]) == 2 * (5 + 5 + 2 + 1)


def test_table_and_json_agree(results):
    table, found, _ = results
    rows = cells_of(table, "step")
    assert len(rows) == len(found["rows"])
    for cells, row in zip(rows, found["rows"], strict=True):
        assert cells[:3] == [row["model"], row["of"], row["over"]]
        assert cells[3:5] == [f"{row['ratio']:.2f}", "{:.2f} to {:.2f}".format(*row["quartiles"])]
        assert row["quartiles"][0] <= row["ratio"] <= row["quartiles"][1] and min(row["medians"]) > 0
    rows = cells_of(table, "GPT step, 1 thread, by")
    assert [cells[0] for cells in rows] == ["length T", "width D", "batch B"]
    for cells, curve in zip(rows, found["growth"].values(), strict=True):
        assert cells[1] == ", ".join(map(str, curve["sizes"])) and len(curve["ms"]) == len(curve["MB"]) >= 3
        assert [cells[3], cells[5]] == [f"{curve['slopes'][unit]:.2f}" for unit in ("ms", "MB")]


def test_writing_is_compared_with_a_cache_and_without(results):
    table, found, _ = results
    rows = cells_of(table, "200 tokens")
    assert [cells[1:3] for cells in rows] == [[row["of"], row["over"]] for row in found["generation"]]
    assert [cells[3] for cells in rows] == [f"{row['ratio']:.2f}" for row in found["generation"]]
    assert ["ours without a cache, 1 thread", "ours, 1 thread"] in [cells[1:3] for cells in rows]


def test_the_tokenizer_and_a_whole_training_are_measured(results):
    table, found, _ = results
    assert 0 < found["tokenizer"]["merges"] <= 1000 and found["tokenizer"]["tokens"] < 20_000
    assert f"{found['tokenizer']['merges']:,} merges learned" in table
    assert f"validation {found['training']['validation']:.3f} nats per character" in table


def test_the_machine_is_named(results):
    table, found, _ = results
    for name in ("processor", "cores", "Python", "NumPy", "BLAS"):
        assert found["machine"][name] and str(found["machine"][name]) in table
    assert "OPENBLAS_CORETYPE Haswell: " in table and "OPENBLAS_CORETYPE unset: " in table
    assert "PyTorch left out" in table


def test_the_growth_is_drawn(results):
    assert (results[2] / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_variants_that_do_not_do_the_same_stop_it(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import importlib.util
    spec = importlib.util.spec_from_file_location("benchmark", BENCHMARKS / "__main__.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)

    class Variant:
        kind = "ours"

        def __init__(self, name, losses):
            self.name, self.losses = name, losses

        def ask(self, request, n):
            return self.losses

    right = Variant("right", [4.0, 3.0])
    assert benchmark.check_losses("GPT", [right, Variant("nearly", [4.0, 3.000005])]) == pytest.approx(0.000005)
    for losses in ([4.0, 3.00002], [4.0, float("nan")]):
        with pytest.raises(SystemExit, match="wrong"):
            benchmark.check_losses("GPT", [right, Variant("wrong", losses)])
