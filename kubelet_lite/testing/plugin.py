"""The pytest plugin: fixtures `cluster`, `kube_server` and `simulation`, and their markers and options. docs/simulation.md has examples.

pytest loads this file at its start wherever kubelet-lite is installed: what costs time is imported by the fixtures that need it.
"""
from __future__ import annotations

import argparse
import inspect
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from kubelet_lite.cluster import Cluster
    from kubelet_lite.simulation.step import Step
    from kubelet_lite.testing.running import SimulationRunner
    from kubelet_lite.testing.server import KubeServer, ServerThread

_CLUSTER_OF_ANYIO: Final = "_kubelet_lite_cluster_of_anyio"
CLUSTER_IN_LOOP: Final = "_kubelet_lite_cluster_in_{}_loop"
"""Of pytest-asyncio."""
_TELLERS: Final = ("kubelet_lite.testing.running", "kubelet_lite.testing.machine")
"""Modules that raise the failure of a run."""
_NOT_SHOWN: Final = ("kubelet_lite", "asyncio", "anyio")
"""Packages between the test and its scenario, or below it."""
MARKERS: Final = (
    "cluster(**options): what `cluster` and `kube_server` start, as arguments of kubelet_lite.Cluster: cluster(nodes=3)",
    "simulation_seeds(*seeds): under which seeds `simulation` runs the test, once under each: a number of them, or a range, or several seeds",
    "simulation_schedule(*steps, id=''): faults and calls that `simulation` plays; the test runs once for each of several such markers",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation", "simulated clusters (kubelet-lite)")
    group.addoption(
        "--simulation-seeds", metavar="SEEDS", type=_seeds, default=None,
        help="seeds for every test that uses `simulation`, whatever its marker says: a number of them (1000), or from one up to another (1000:2000)",
    )
    group.addoption(
        "--simulation-replay", metavar="FILE", type=_file, default=None, help="has tests that use `simulation` play what this file of a failure says",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if config.pluginmanager.has_plugin("asyncio"):
        from kubelet_lite.testing import asyncio_fixtures

        config.pluginmanager.register(asyncio_fixtures)


# ---- cluster


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """An embedded cluster with pretended pods (`@pytest.mark.cluster(...)` says more), in the event loop of the async test that asks for it."""
    test = request.function
    if not inspect.iscoroutinefunction(inspect.unwrap(getattr(getattr(test, "hypothesis", None), "inner_test", test))):
        pytest.fail("the fixture `cluster` lives in the event loop of an async test: a synchronous test takes `kube_server`", pytrace=False)
    made: Cluster = request.getfixturevalue(_cluster_fixture(request))
    return made


def _cluster_fixture(request: pytest.FixtureRequest) -> str:
    """Which plugin runs the test, and in which of its loops."""
    if "anyio_backend" in request.fixturenames:
        return _CLUSTER_OF_ANYIO
    if not request.config.pluginmanager.has_plugin("asyncio"):
        pytest.fail("the fixture `cluster` needs pytest-asyncio, or a test marked `anyio`", pytrace=False)
    marker = request.node.get_closest_marker("asyncio")
    scope = marker.kwargs.get("loop_scope") if marker is not None else None
    return CLUSTER_IN_LOOP.format(scope or request.config.getini("asyncio_default_test_loop_scope"))


async def running_cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """Held by a task of its own: the two halves of a fixture may run in different ones."""
    import asyncio

    from kubelet_lite.cluster import Cluster

    began: asyncio.Future[Cluster] = asyncio.get_running_loop().create_future()
    end = asyncio.Event()

    async def hold() -> None:
        async with Cluster(**cluster_options(request)) as cluster:
            began.set_result(cluster)
            await end.wait()

    task = asyncio.get_running_loop().create_task(hold(), name="cluster of a test")
    task.add_done_callback(lambda task: began.cancel())
    try:
        cluster = await began
    except asyncio.CancelledError:
        task.result()  # why there is none
        raise
    yield cluster
    end.set()
    await task


@pytest.fixture(name=_CLUSTER_OF_ANYIO)
async def _of_anyio(request: pytest.FixtureRequest, anyio_backend_name: str) -> AsyncIterator[Cluster]:
    if anyio_backend_name != "asyncio":
        pytest.fail(f"kubelet-lite runs on asyncio, not on {anyio_backend_name}: let the fixture `anyio_backend` say so", pytrace=False)
    async for cluster in running_cluster(request):
        yield cluster


def cluster_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of all `cluster` markers, those nearest to the test first."""
    found: dict[str, Any] = {}
    for marker in request.node.iter_markers("cluster"):
        if marker.args:
            pytest.fail("the marker `cluster` takes the arguments of kubelet_lite.Cluster by name", pytrace=False)
        found = {**marker.kwargs, **found}
    return found


# ---- kube_server


@pytest.fixture(scope="session")
def _kubelet_lite_servers() -> Iterator[ServerThread]:
    from kubelet_lite.testing.server import ServerThread

    with ServerThread() as thread:
        yield thread


@pytest.fixture
def kube_server(
    request: pytest.FixtureRequest, _kubelet_lite_servers: ServerThread, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[KubeServer]:
    """A fresh cluster behind HTTPS, for synchronous and async tests. $KUBECONFIG names it meanwhile, so that no client meets another one."""
    with _kubelet_lite_servers.serve(tmp_path_factory.mktemp("kube_server"), **cluster_options(request)) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        yield server


# ---- simulation


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "simulation" not in metafunc.fixturenames:
        return
    if metafunc.config.getoption("simulation_replay") is not None:
        return
    try:
        schedules = [_schedule(marker, number) for number, marker in enumerate(metafunc.definition.iter_markers("simulation_schedule"))]
        cases = [
            pytest.param((seed, steps), id="-".join(part for part in (name, f"seed{seed}") if part))
            for name, steps in schedules[::-1] or [("", ())] for seed in _seeds_of(metafunc)
        ]
    except _BadMarker as error:
        cases = [pytest.param(error, id="marker")]
    metafunc.parametrize("simulation", cases, indirect=True)


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> SimulationRunner:
    """Runs a scenario as `run_simulation` does, under the test's seed and schedule: `simulation(scenario, steps=…, invariants=…)`."""
    from kubelet_lite.testing.running import SimulationRunner

    given = getattr(request, "param", (0, ()))
    if isinstance(given, _BadMarker):
        pytest.fail(str(given), pytrace=False)
    seed, steps = given
    return SimulationRunner(seed, steps, request.config.getoption("simulation_replay"))


def _seeds_of(metafunc: pytest.Metafunc) -> Sequence[int]:
    given: Sequence[int] | None = metafunc.config.getoption("simulation_seeds")
    if given is not None:
        return given
    marker = metafunc.definition.get_closest_marker("simulation_seeds")
    if marker is None:
        return (0,)
    match () if marker.kwargs else marker.args:
        case [int(count)] if count > 0 and count is not True:
            return range(count)
        case [range() as seeds] if seeds:
            return seeds
        case [_, _, *_] if all(isinstance(seed, int) for seed in marker.args):
            return marker.args
    raise _BadMarker(f"{_said(marker)}: a number of seeds, or a range, or several seeds, and nothing else")


def _schedule(marker: pytest.Mark, number: int) -> tuple[str, Sequence[Step]]:
    """The name of a schedule, and its steps."""
    from kubelet_lite.simulation.step import Step

    name = marker.kwargs.get("id", "")
    if not isinstance(name, str) or set(marker.kwargs) - {"id"}:
        raise _BadMarker(f"{_said(marker)}: by name it takes id, a string, alone")
    for step in marker.args:
        if not isinstance(step, Step):
            raise _BadMarker(f"{_said(marker)}: {step!r} is no fault and no call, as CrashActor(at=1, part=…) is one: list them one by one")
    return name or f"schedule{number}", marker.args


def _said(marker: pytest.Mark) -> str:
    arguments = [*map(repr, marker.args), *(f"{name}={value!r}" for name, value in marker.kwargs.items())]
    return f"{marker.name}({', '.join(arguments)})"


class _BadMarker(Exception):
    """Fails the test that has it, and no other of its module."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """A failure of a simulated run shows the lines of the test and of the scenario, and then the story: ours are left out, unless pytest is
    told --full-trace."""
    found = call.excinfo
    if found is None or item.config.getoption("fulltrace"):
        return
    steps = [(step, str(step.tb_frame.f_globals.get("__name__"))) for step in _steps(found.tb)]
    if any(module in _TELLERS for _, module in steps):
        kept = None
        for step, module in reversed(steps):
            if module.partition(".")[0] not in _NOT_SHOWN:
                kept = TracebackType(kept, step.tb_frame, step.tb_lasti, step.tb_lineno)
        found.traceback = type(found.traceback)(kept or ())  # anew, since pytest goes by the links between frames


def _steps(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _seeds(text: str) -> range:
    """For --simulation-seeds."""
    first, colon, end = text.rpartition(":")
    try:
        seeds = range(int(first) if colon else 0, int(end))
    except ValueError:
        seeds = range(0)
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r}: a number of seeds (1000), or from one up to another (1000:2000), and at least one")
    return seeds


def _file(text: str) -> Path:
    """For --simulation-replay."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r}: there is no such file")
    return path
