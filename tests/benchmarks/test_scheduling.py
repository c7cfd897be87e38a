"""scheduler_perf's workloads, made small: each operation is played, each measured pod finds a node."""
from __future__ import annotations

import anyio
import msgspec
import pytest

from benchmarks import __main__ as every
from benchmarks.scheduling import WORKLOADS
from benchmarks.scheduling.cases import Workload, workloads
from benchmarks.scheduling.decisions import Table
from benchmarks.scheduling.end_to_end import Transport, in_process, opened
from benchmarks.scheduling.interpreter import playing
from benchmarks.scheduling.meter import Meter

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
