"""Probes: when each is due and what its results mean (pure), and how one is carried out.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
"""
from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Mapping
from typing import Final, Literal

import anyio
import msgspec

from kubelet_lite.api.core_v1 import Container, HTTPGetAction, LifecycleHandler, Pod, Probe
from kubelet_lite.kubelet.memory import ProbeFacts
from kubelet_lite.runtimes.base import ContainerStatus, Foresight, Runtime, RuntimeFailure

Kind = Literal["Startup", "Readiness", "Liveness"]
KINDS: Final[tuple[Kind, ...]] = ("Startup", "Readiness", "Liveness")
MAX_OUTPUT_BYTES: Final = 10 * 1024
"""What is kept of a probe's answer."""
MAX_REDIRECTS: Final = 10


class Outcome(msgspec.Struct, frozen=True):
    """One probe's result."""

    success: bool
    output: str = ""


class ProbeState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One probe of one container instance: when it is due, and what it found so far."""

    container_id: str
    kind: Kind
    due_at: float
    """When it has to run next; infinite when it can teach nothing more."""
    tick_at: float
    """It runs at this time, and at whole periods from it."""
    last: bool | None = None
    run: int = 0
    """So many equal results in a row."""
    settled: bool = False
    """One more result like the last changes nothing, and nobody hears of it."""


def probe_of(container: Container, kind: Kind) -> Probe | None:
    if kind == "Startup":
        return container.startupProbe
    return container.readinessProbe if kind == "Readiness" else container.livenessProbe


def first(status: ContainerStatus, probe: Probe, kind: Kind) -> ProbeState:
    """The state of a probe whose container has just started."""
    start = status.started_at + probe.initialDelaySeconds
    return ProbeState(container_id=status.id, kind=kind, due_at=start, tick_at=start)


def may_run(container: Container, kind: Kind, facts: ProbeFacts) -> bool:
    """Whether its turn has come: readiness and liveness wait for the startup probe, which ends with its first success."""
    if kind == "Startup":
        return facts.started is None
    return container.startupProbe is None or facts.started is True


def learn(probe: Probe, state: ProbeState, outcome: Outcome, facts: ProbeFacts, now: float) -> tuple[ProbeState, ProbeFacts]:
    """What one result changes. A verdict changes after as many equal results as its threshold says."""
    run = state.run + 1 if state.last == outcome.success else 1
    threshold = (probe.successThreshold if outcome.success else probe.failureThreshold) or (1 if outcome.success else 3)
    tick = state.due_at + max(_ticks(state.due_at, now, probe), 1) * _period(probe)
    state = ProbeState(
        container_id=state.container_id, kind=state.kind, due_at=tick, tick_at=tick, last=outcome.success, run=run,
        settled=outcome.success and run >= threshold,
    )
    if run < threshold:
        return state, facts
    if state.kind == "Startup":
        return state, msgspec.structs.replace(facts, started=outcome.success, output=outcome.output)
    if state.kind == "Readiness":
        return state, msgspec.structs.replace(facts, ready=outcome.success, output=outcome.output)
    return state, msgspec.structs.replace(facts, alive=outcome.success, output=outcome.output)


def look_ahead(probe: Probe, state: ProbeState, foresight: Foresight | None, now: float) -> ProbeState:
    """The state with ticks left out whose results are known and would change nothing: what is learned, and when, stays the same."""
    if foresight is None or not state.settled or state.due_at <= now:
        return state
    first = max(_ticks(state.tick_at, now, probe), 0)
    if foresight.success != state.last:
        return msgspec.structs.replace(state, due_at=state.tick_at + first * _period(probe), settled=False)
    if math.isinf(foresight.until):
        return msgspec.structs.replace(state, due_at=math.inf)
    last_alike = math.floor((foresight.until - state.tick_at) / _period(probe))
    return msgspec.structs.replace(state, due_at=state.tick_at + max(first, last_alike) * _period(probe))


def _period(probe: Probe) -> int:
    return max(probe.periodSeconds, 1)


def _ticks(tick: float, now: float, probe: Probe) -> int:
    """How many periods after `tick` the first one that is not before `now` comes."""
    return math.ceil((now - tick) / _period(probe))


async def carry_out(runtime: Runtime, container: Container, container_id: str, probe: Probe, address: str) -> Outcome:
    """Never raises: what goes wrong is a failure with its text."""
    timeout = float(max(probe.timeoutSeconds, 1))
    if probe.exec is not None:
        return await _run(runtime, container_id, probe.exec.command, timeout)
    if probe.httpGet is not None:
        return await http_get(container, probe.httpGet, address, timeout)
    if probe.tcpSocket is not None:
        port = port_of(container, probe.tcpSocket.port)
        return await _tcp(probe.tcpSocket.host or address, port, timeout)
    return Outcome(False, "probes of this kind (grpc) are not offered")


async def carry_out_hook(runtime: Runtime, container: Container, container_id: str, hook: LifecycleHandler, address: str, timeout: float) -> Outcome:
    """A postStart or preStop hook."""
    if hook.exec is not None:
        return await _run(runtime, container_id, hook.exec.command, timeout)
    if hook.httpGet is not None:
        return await http_get(container, hook.httpGet, address, timeout)
    if hook.sleep is not None:
        with anyio.move_on_after(timeout):
            await anyio.sleep(hook.sleep.seconds)
        return Outcome(True)
    return Outcome(False, "hooks of this kind (tcpSocket) are not offered")


async def _run(runtime: Runtime, container_id: str, command: tuple[str, ...], timeout: float) -> Outcome:
    try:
        result = await runtime.exec(container_id, command, timeout)
    except RuntimeFailure as failure:
        return Outcome(False, failure.message)
    if result.timed_out:
        return Outcome(False, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s')
    return Outcome(result.exit_code == 0, result.output[:MAX_OUTPUT_BYTES].decode("utf-8", "replace"))


async def _tcp(host: str, port: int, timeout: float) -> Outcome:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except TimeoutError:
        return Outcome(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Outcome(False, f"dial tcp {host}:{port}: connect: {_words(error)}")
    return Outcome(True)


def _words(error: OSError) -> str:
    return "connection refused" if isinstance(error, ConnectionRefusedError) else (error.strerror or str(error)).lower()


async def http_get(container: Container, action: HTTPGetAction, address: str, timeout: float) -> Outcome:
    """A GET with redirects on the same host followed; success is a status from 200 to 399."""
    host, scheme = action.host or address, (action.scheme or "HTTP").lower()
    port = port_of(container, action.port)
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    headers.update({h.name: h.value for h in action.httpHeaders})
    url = f"{scheme}://{host}:{port}{path}"
    try:
        async with asyncio.timeout(timeout):
            for _ in range(MAX_REDIRECTS):
                answer = await _request(host, port, scheme, path, headers)
                if not 300 <= answer.status < 400 or not answer.location.startswith("/"):
                    break
                path = answer.location
    except TimeoutError:
        return Outcome(False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)')
    except (OSError, EOFError) as error:
        detail = f"dial tcp {host}:{port}: connect: {_words(error)}" if isinstance(error, OSError) else "EOF"
        return Outcome(False, f'Get "{url}": {detail}')
    text = bytes(answer.body[:MAX_OUTPUT_BYTES]).decode("utf-8", "replace")
    if 200 <= answer.status < 400:
        return Outcome(True, text)
    return Outcome(False, f"HTTP probe failed with statuscode: {answer.status}")


class _Answer:
    """Filled by the parser's callbacks."""

    def __init__(self) -> None:
        self.status = 0
        self.location = ""
        self.body = bytearray()
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if len(self.body) < MAX_OUTPUT_BYTES:
            self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def _request(host: str, port: int, scheme: str, path: str, headers: Mapping[str, str]) -> _Answer:
    """Raises OSError, and EOFError where no HTTP answer came."""
    import httptools  # most pods have no such probe

    context = None
    if scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        while not answer.complete:
            data = await reader.read(65536)
            if not data:
                break
            parser.feed_data(data)
            answer.status = parser.get_status_code()
    except httptools.HttpParserError as error:
        raise EOFError from error
    finally:
        writer.close()
    if not answer.status:
        raise EOFError
    return answer


def port_of(container: Container, port: int | str) -> int:
    """A port by number or by its name in the container."""
    if isinstance(port, int):
        return port
    named = next((p.containerPort for p in container.ports if p.name == port), 0)
    return named or (int(port) if port.isdigit() else 0)


def address_of(pod: Pod, addresses: tuple[str, ...], node_address: str) -> str:
    """Where a pod's probes go."""
    return node_address if pod.spec.hostNetwork or not addresses else addresses[0]
