"""scheduler_perf's workloads, made small: each operation is played, each measured pod finds a node."""
from __future__ import annotations

from io import StringIO
from pathlib import Path

import anyio
import msgspec
import pytest
from rich.console import Console

from benchmarks import __main__ as every
from benchmarks import scheduling
from benchmarks.scheduling import WORKLOADS, How, both, small_and_large
from benchmarks.scheduling.cases import Workload, workloads
from benchmarks.scheduling.decisions import Table
from benchmarks.scheduling.end_to_end import Transport, in_process, opened
from benchmarks.scheduling.interpreter import playing
from benchmarks.scheduling.meter import Meter
from benchmarks.scheduling.progress import shown

FIRST_OF_CASE = {name.partition("/")[0]: workload for name, workload in reversed(workloads().items())}
SMALL = {"initNodes": 8, "normalNodes": 8, "taintNodes": 2, "nodes": 8, "initNamespaces": 2, "initPodsPerNamespace": 2, "initPods": 3}


def small(workload: Workload) -> Workload:
    """At most 8 nodes; 4 pods wherever there are many."""
    return msgspec.structs.replace(workload, parameters={
        name: SMALL.get(name, min(value, 4)) if isinstance(value, int) else "0.2s" if name == "duration" else value for name, value in workload.parameters.items()
    })


@pytest.mark.parametrize("case", sorted(FIRST_OF_CASE))
def test_every_measured_pod_is_placed(case: str) -> None:
    workload = small(FIRST_OF_CASE[case])

    async def play() -> None:
        in_table = Meter()
        async with playing(workload, Table(in_table)):
            pass
        with anyio.fail_after(30):
            end_to_end = Meter()
            async with in_process(end_to_end) as api, playing(workload, api):
                pass
        if case.startswith("SteadyState"):
            assert min(len(in_table.times), len(end_to_end.times)) >= 10
        else:
            assert len(in_table.times) == len(end_to_end.times) == 4

    anyio.run(play)


@pytest.mark.parametrize("transport", [Transport(https=True), Transport(kubelets=True)])
def test_the_api_server_may_be_another_process_and_kubelets_may_run_the_pods(transport: Transport) -> None:
    async def play() -> None:
        meter = Meter()
        with anyio.fail_after(60):
            async with opened(transport, meter) as api, playing(small(FIRST_OF_CASE["SchedulingBasic"]), api):
                pass
        assert len(meter.times) == 4

    anyio.run(play)


def test_workloads_are_named_as_upstream_and_have_a_threshold() -> None:
    found = workloads()["SchedulingBasic/5000Nodes_10000Pods"]
    assert found.threshold == 270
    assert found.name in WORKLOADS
    assert all(w.threshold > 0 for w in workloads().values() if w.name != "Scale/5000Nodes_150000Pods")


def test_a_workload_is_run_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        every.main(["scheduling", "SchedulingBasic/1Node"])
    assert "no workload SchedulingBasic/1Node" in capsys.readouterr().err


def test_throughput_over_time_is_drawn(tmp_path: Path) -> None:
    workload = small(FIRST_OF_CASE["SchedulingBasic"])
    rows = list(both(workload, How(pictures=tmp_path / "new")))
    assert {"end to end", "decision only"} <= {row.metric for row in rows}
    (picture,) = (tmp_path / "new").iterdir()
    assert picture.name == f"{workload.name.replace('/', '_')}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_small_and_a_large_cluster_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small(FIRST_OF_CASE["SchedulingBasic"])
    monkeypatch.setattr(scheduling, "on_nodes", lambda nodes: msgspec.structs.replace(whole, parameters={**whole.parameters, "initNodes": nodes}))
    rows = list(small_and_large(sizes=(2, 8)))
    value = {(i, row.metric): row.value for i, row in enumerate(rows)}
    small_mean, large_mean = [v for (_, metric), v in value.items() if metric == "end to end"]
    assert next(v for (_, metric), v in value.items() if metric == "end to end, kept") == large_mean / small_mean
    assert "on 8 nodes as a part of that on 2" in rows[-1].note


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_shows_how_many_are_done_in_a_terminal_alone(terminal: bool) -> None:
    out = StringIO()
    with shown("a run", 300, Console(file=out, force_terminal=terminal, width=100)) as bar:
        meter = Meter(bar)
        with meter.measuring():
            for _ in range(300):
                meter.done(0.001)
    assert ("100/300" in out.getvalue()) == terminal
    assert ("preparing" in out.getvalue()) == terminal


def test_measured_pods_are_known_beforehand() -> None:
    assert workloads()["SchedulingBasic/5000Nodes_10000Pods"].measured == 10_000
