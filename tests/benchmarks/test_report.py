"""The command line that all benchmarks share."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as every
from benchmarks.report import Row, main, readable
from benchmarks.scheduling import own

WORKLOADS = {
    "fast": lambda: [Row("fast", "creates", 1234.5, "1/s", "in process")],
    "slow": lambda: [Row("slow", "creates", 0.1234, "1/s")],
}


def test_the_named_workloads_are_run_and_their_rows_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main("example", WORKLOADS, ["slow", "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [{k: row[k] for k in ("workload", "metric", "value", "unit")} for row in rows] == [
        {"workload": "slow", "metric": "creates", "value": 0.1234, "unit": "1/s"},
    ]
    assert "0.123" in capsys.readouterr().out


def test_without_names_all_are_run(capsys: pytest.CaptureFixture[str]) -> None:
    main("example", WORKLOADS, [])
    assert {"fast", "slow"} <= set(capsys.readouterr().out.split())


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(SystemExit):
        main("example", WORKLOADS, ["other"])


def test_numbers_are_shown_with_the_digits_that_count() -> None:
    assert [readable(v) for v in (1234567.8, 100.4, 3.14159, 0.0012345, 7.0)] == ["1,234,568", "100", "3.14", "0.00123", "7"]


def test_every_benchmark_is_found() -> None:
    assert "scheduling" in every.names()


def test_the_scheduler_decides_for_every_pod_of_a_small_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "NODES", 20)
    rows = list(own.decide("small", [own.demanding(i) for i in range(40)]))
    assert [row.metric for row in rows] == ["decisions", "longest decision", "filling the node table"]
