"""The fixtures `cluster` and `kube_server`, and the plugin under the ways in which async tests are run."""
import asyncio
import os
import stat
import subprocess

import pytest

from kubelet_lite.api.core_v1 import ConfigMap, Node, Pod
from kubelet_lite.client.http import HttpClient
from kubelet_lite.client.kubeconfig import load
from kubelet_lite.simulation.checked import WrongValue
from kubelet_lite.simulation.faults import CrashActor
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.testing import builders
from tests.conformance.servers import KUBECTL

pytest_plugins = ["pytester"]


@pytest.fixture
async def web(cluster):
    """A user's own fixture on top of ours."""
    await cluster.client.create(builders.deployment("web", 2))
    return await cluster.wait("deployment/web", "condition=Available")


@pytest.mark.cluster(nodes=2)
async def test_a_cluster_runs_in_the_loop_of_the_test(cluster, web):
    assert web.status.availableReplicas == 2
    assert len((await cluster.client.list(Node)).items) == 2
    assert "cluster of a test" in {task.get_name() for task in asyncio.all_tasks()}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_cluster_runs_in_the_loop_that_a_test_shares_with_others(cluster):
    await cluster.client.create(builders.pod("one"))
    await cluster.wait("pod/one", "condition=Ready")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_server_of_its_own(kube_server, turn):
    (mine,) = kube_server.apply([builders.configmap("mine", {"turn": str(turn)})])
    assert mine.data == {"turn": str(turn)}
    assert len(kube_server.call(lambda cluster: cluster.client.list(ConfigMap, namespace="default")).items) <= 2  # the other: kube-root-ca.crt


@pytest.mark.cluster(nodes=2)
def test_a_synchronous_test_has_kubectl_see_its_server(kube_server):
    kube_server.apply([builders.deployment("web", 2)])
    kube_server.wait("deployment/web", "condition=Available")
    assert os.environ["KUBECONFIG"] == str(kube_server.kubeconfig)
    assert stat.S_IMODE(kube_server.kubeconfig.stat().st_mode) == 0o600
    shown = subprocess.run([KUBECTL, "get", "pods,nodes", "-o", "name"], check=True, capture_output=True, text=True).stdout.split()
    assert [line.partition("/")[0] for line in shown] == ["pod", "pod", "node", "node"]


async def test_an_async_test_speaks_to_a_server_in_another_thread(kube_server):
    async with HttpClient(load(kube_server.kubeconfig)) as client:
        assert [node.metadata.name for node in (await client.list(Node)).items] == ["node-1"]


INNER = """
import pytest, pytest_asyncio
from kubelet_lite.testing import builders

@FIXTURE.fixture
async def web(cluster):
    await cluster.client.create(builders.deployment("web", 2))

MARK
@pytest.mark.cluster(nodes=1, components=("apiserver", "controllers"))
@pytest.mark.cluster(nodes=3)
async def test_a_cluster(cluster, web):
    await cluster.wait("deployment/web", "jsonpath={.status.replicas}=2")
    assert not cluster.kubelets

MARK
async def test_a_server(kube_server):
    assert kube_server.url.startswith("https://")

def test_a_wrong_one(cluster):
    pass

@pytest.mark.cluster(knots=3)
def test_a_wrong_argument(kube_server):
    pass
"""


ASYNCIO = ["-o", "asyncio_default_fixture_loop_scope=function", "-o"]


@pytest.mark.parametrize(("mark", "arguments"), [
    ("", [*ASYNCIO, "asyncio_mode=auto"]),
    ("@pytest.mark.asyncio", [*ASYNCIO, "asyncio_mode=strict", "-n", "1"]),
    ("@pytest.mark.anyio", ["-p", "no:asyncio"]),
    ("@pytest.mark.anyio", [*ASYNCIO, "asyncio_mode=strict"]),
], ids=["asyncio auto", "asyncio strict, xdist", "anyio alone", "anyio beside asyncio"])
def test_the_fixtures_work_however_async_tests_are_run(pytester, mark, arguments):
    pytester.makepyfile(INNER.replace("MARK", mark).replace("FIXTURE", "pytest_asyncio" if "asyncio" in mark else "pytest"))
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n")
    ran = pytester.runpytest_subprocess("-W", "error", "--strict-markers", *arguments)
    ran.assert_outcomes(passed=2, errors=2)
    ran.stdout.fnmatch_lines(["*a synchronous test takes `kube_server`*"])
    ran.stdout.fnmatch_lines(["*unexpected keyword argument 'knots'*"])


def test_the_plugin_loads_next_to_nothing(pytester):
    pytester.makepyfile("""
        import sys
        def test_it():
            ours = {name for name in sys.modules if name.startswith("kubelet_lite.")}
            assert ours <= {"kubelet_lite.testing", "kubelet_lite.testing.plugin", "kubelet_lite.testing.asyncio_fixtures"}
            assert "aiohttp" not in sys.modules
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.simulation_seeds(5, 7)
@pytest.mark.simulation_schedule(CrashActor(at=1, part="default-scheduler"), id="scheduler")
@pytest.mark.simulation_schedule(CrashActor(at=1, part="deployment-controller"), id="controller")
def test_a_simulation_runs_under_each_seed_and_schedule(simulation, request):
    run = simulation(two_pods, setting=Setting(nodes=2))
    name = f"{run.steps[0].part.rpartition('-')[2] if 'scheduler' in run.steps[0].part else 'controller'}-seed{run.seed}"
    assert request.node.name == f"test_a_simulation_runs_under_each_seed_and_schedule[{name}]"
    assert run.fired == (1,)


async def two_pods(simulation):
    await simulation.client.create(builders.deployment("web", 2))
    await simulation.until(lambda snapshot: len(snapshot.list(Pod)) == 2)


INNER_SIMULATION = """
import pytest
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.testing import builders

async def scenario(simulation):
    await simulation.client.create(builders.deployment("web", 2))
    await simulation.until(lambda snapshot: len(snapshot.list(Pod)) == 2)
    assert simulation.tape.seed % 2 == 0, "odd"

@pytest.mark.simulation_seeds(1)
def test_it(simulation):
    simulation(scenario, setting=Setting(nodes=1), shrink_budget=5)
"""


def test_seeds_and_files_of_failures_are_given_on_the_command_line(pytester):
    pytester.makepyfile(test_it=INNER_SIMULATION)
    failed = pytester.runpytest_subprocess("--simulation-seeds", "10:12")
    failed.assert_outcomes(passed=1, failed=1)
    failed.stdout.fnmatch_lines(["*AssertionError: odd*", "*creates deployment default/web*", "*replay: kubelet-lite replay .simulations/scenario-11.json*"])
    again = pytester.runpytest_subprocess("--simulation-replay", ".simulations/scenario-11.json")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*played from .simulations/scenario-11.json*"])


def test_a_failure_shows_the_test_the_scenario_and_the_story_and_nothing_of_ours(pytester):
    pytester.makepyfile(test_it=INNER_SIMULATION)
    lines = pytester.runpytest_subprocess("--simulation-seeds", "11:12").outlines
    assert not [line for line in lines if "kubelet_lite/" in line]
    assert [line for line in lines if line.startswith(">")] == [
        ">       simulation(scenario, setting=Setting(nodes=1), shrink_budget=5)",
        '>       assert simulation.tape.seed % 2 == 0, "odd"',
    ]
    assert "E       AssertionError: odd (seed 11)" in lines
    assert "kubelet_lite/testing/running.py" in pytester.runpytest_subprocess("--simulation-seeds", "11:12", "--full-trace").stdout.str()


@pytest.mark.parametrize(("marker", "message"), [
    ("simulation_seeds(0)", "simulation_seeds(0): a number of seeds, or a range, or several seeds, and nothing else"),
    ("simulation_seeds(True)", "simulation_seeds(True): a number of seeds, *"),
    ("simulation_seeds('many')", "simulation_seeds('many'): a number of seeds, *"),
    ("simulation_seeds(3, first=1)", "simulation_seeds(3, first=1): a number of seeds, *"),
    ("simulation_schedule('crash')", "simulation_schedule('crash'): 'crash' is no fault and no call, *"),
    ("simulation_schedule([])", "simulation_schedule([[]]): [[]] is no fault and no call, *"),
    ("simulation_schedule(name='a')", "simulation_schedule(name='a'): by name it takes id, a string, alone"),
])
def test_a_bad_marker_fails_its_test_alone(pytester, marker, message):
    pytester.makepyfile(test_it=f"""
        import pytest

        @pytest.mark.{marker}
        def test_bad(simulation):
            raise AssertionError("it runs")

        @pytest.mark.simulation_seeds(2)
        def test_good(simulation):
            assert simulation.seed in (0, 1)
    """)
    ran = pytester.runpytest()
    ran.assert_outcomes(passed=2, errors=1)
    ran.stdout.fnmatch_lines([f"{message}"])
    assert "it runs" not in ran.stdout.str()


@pytest.mark.parametrize(("option", "message"), [
    ("--simulation-seeds=many", "*--simulation-seeds: 'many': a number of seeds (1000), or from one up to another (1000:2000), and at least one"),
    ("--simulation-seeds=5:2", "*--simulation-seeds: '5:2': a number of seeds*"), ("--simulation-seeds=0", "*--simulation-seeds: '0': a number of seeds*"),
    ("--simulation-replay=nosuch.json", "*--simulation-replay: 'nosuch.json': there is no such file"), ("--simulation-replay=.", "*: '.': there is no such file"),
])
def test_a_bad_option_is_said(pytester, option, message):
    pytester.runpytest_subprocess(option).stderr.fnmatch_lines([message])


@pytest.mark.parametrize(("ask", "words"), [
    (lambda server: server.call(5), "KubeServer.call: function=5: a function of 1 argument"), (lambda server: server.apply(5), "KubeServer.apply: source=5: "),
    (lambda server: server.wait("pod/a", "create", timeout_seconds="long"), "KubeServer.wait: timeout_seconds='long': a number from 0"),
])
def test_what_a_server_is_told_is_checked(kube_server, ask, words):
    with pytest.raises(WrongValue, match=words):
        ask(kube_server)


@pytest.mark.parametrize(("marker", "message"), [
    ("nodes='x'", "nodes='x': a whole number from 0 on is wanted"), ("port=-1", "port=-1: a whole number"), ("components='apiserver'", "components='apiserver': a list"),
])
def test_a_cluster_with_a_bad_argument_says_so(pytester, marker, message):
    pytester.makepyfile(f"import pytest\n@pytest.mark.cluster({marker})\ndef test_it(kube_server): ...")
    pytester.runpytest().stdout.fnmatch_lines([f"*ValueError: {message}*"])
