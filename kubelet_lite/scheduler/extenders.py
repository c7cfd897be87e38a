"""Extenders: HTTP servers that have a say in where pods go, beside the plug-ins. They refuse and score nodes, choose victims, bind.

Each call carries ExtenderArgs and the like, fields named as Go writes them (`Pod`, `Nodes`, `NodeNames`); answers are read whatever
their case. https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/#kubescheduler-config-k8s-io-v1-Extender
"""
from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import numpy as np

from kubelet_lite.actors import logs
from kubelet_lite.api import encoding
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.scheduler.configuration import ExtenderConfiguration, ExtenderTLS
from kubelet_lite.scheduler.decision import Decisions, Feasible, Placement, Unschedulable
from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Rejection
from kubelet_lite.scheduler.node_table import NodeTable, Rows
from kubelet_lite.scheduler.nominations import Nomination
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.victims import best, nomination

if TYPE_CHECKING:
    import ssl

    import aiohttp

T = TypeVar("T")
NAME: Final = "Extender"
"""Stands for all of them where a plug-in's name is asked for."""
MAX_EXTENDER_PRIORITY: Final = 10
"""The highest score that an extender gives: it stands for 100."""
NO_CANDIDATE: Final = "preemption: no candidate node for preemption"
_log = logs.get_logger()


class ExtenderError(Exception):
    """An extender did not answer, or not as it should."""


class _Answer(msgspec.Struct, frozen=True):
    """What an extender says; field names in lower case."""


class _Meta(_Answer, frozen=True):
    name: str


class _Node(_Answer, frozen=True):
    metadata: _Meta


class _Nodes(_Answer, frozen=True):
    items: list[_Node] = []


class _FilterResult(_Answer, frozen=True):
    nodes: _Nodes | None = None
    nodenames: list[str] | None = None
    failednodes: dict[str, str] | None = None
    failedandunresolvablenodes: dict[str, str] | None = None
    error: str = ""


class _HostPriority(_Answer, frozen=True):
    host: str
    score: int


class _BindingResult(_Answer, frozen=True):
    error: str = ""


class _MetaPod(_Answer, frozen=True):
    uid: str


class _MetaVictims(_Answer, frozen=True):
    pods: list[_MetaPod] | None = None
    numpdbviolations: int = 0


class _PreemptionResult(_Answer, frozen=True):
    nodenametometavictims: dict[str, _MetaVictims] | None = None


class Refused(msgspec.Struct):
    """Nodes that extenders left out, and why."""

    resolvable: dict[str, str]
    lasting: dict[str, str]


class Extender:
    """One of them. Raises ExtenderError."""

    def __init__(self, configuration: ExtenderConfiguration, session: aiohttp.ClientSession) -> None:
        self.configuration = configuration
        self._session = session
        self._tls = _tls(configuration)
        self._server_name = configuration.tlsConfig.serverName or None if configuration.tlsConfig is not None else None
        self._managed = frozenset(resource.name for resource in configuration.managedResources)

    @property
    def url(self) -> str:
        return self.configuration.urlPrefix

    def is_interested(self, pod: Pod) -> bool:
        """In all pods, or in those that want a resource of its."""
        if not self._managed:
            return True
        containers = (*pod.spec.containers, *pod.spec.initContainers)
        return any(not self._managed.isdisjoint((*c.resources.requests, *c.resources.limits)) for c in containers)

    async def filter(self, pod: PodInfo, names: Sequence[str], nodes: NodeTable, refused: Refused) -> Sequence[str]:
        """Which of the nodes it leaves."""
        if not self.configuration.filterVerb:
            return names
        answer = await self._call(self.configuration.filterVerb, self._args(pod, names, nodes), _FilterResult)
        if answer.error:
            raise ExtenderError(answer.error)
        refused.resolvable.update(answer.failednodes or {})
        refused.lasting.update(answer.failedandunresolvablenodes or {})
        if self.configuration.nodeCacheCapable and answer.nodenames is not None:
            left = set(answer.nodenames)
        else:
            left = {node.metadata.name for node in answer.nodes.items} if answer.nodes is not None else set()
        unknown = left - set(names)
        if unknown:
            raise ExtenderError(f"claims a filtered node {sorted(unknown)[0]} which is not found in the input node list")
        return [name for name in names if name in left]

    async def prioritize(self, pod: PodInfo, names: Sequence[str], nodes: NodeTable) -> Mapping[str, int]:
        """Points by node, weighed."""
        if not self.configuration.prioritizeVerb:
            return {}
        answer = await self._call(self.configuration.prioritizeVerb, self._args(pod, names, nodes), list[_HostPriority])
        scale = self.configuration.weight * MAX_NODE_SCORE // MAX_EXTENDER_PRIORITY
        return {entry.host: entry.score * scale for entry in answer}

    async def bind(self, pod: PodInfo, node_name: str) -> str | None:
        """Why that failed."""
        meta = pod.pod.metadata
        args = {"PodName": meta.name, "PodNamespace": meta.namespace, "PodUID": meta.uid, "Node": node_name}
        try:
            answer = await self._call(self.configuration.bindVerb, args, _BindingResult)
        except ExtenderError as error:
            return str(error)
        return answer.error or None

    async def preempt(self, pod: PodInfo, candidates: Sequence[Nomination], nodes: NodeTable) -> Sequence[Nomination]:
        """Which nodes it would rather have, and with which victims."""
        args: dict[str, Any] = {"Pod": _as_json(pod.pod)}
        if self.configuration.nodeCacheCapable:
            args["NodeNameToMetaVictims"] = {c.node_name: _meta_victims(c) for c in candidates}
        else:
            args["NodeNameToVictims"] = {
                c.node_name: {"Pods": [_as_json(v.pod) for v in c.victims], "NumPDBViolations": c.violations} for c in candidates
            }
        answer = await self._call(self.configuration.preemptVerb, args, _PreemptionResult)
        found = []
        for name, victims in (answer.nodenametometavictims or {}).items():
            row = nodes.row_of.get(name)
            there = {other.pod.metadata.uid: other for other in nodes.placed_on(row)} if row is not None else {}
            uids = [victim.uid for victim in victims.pods or ()]
            if any(uid not in there for uid in uids):
                raise ExtenderError(f"names a victim that is not on node {name}")
            if uids:
                found.append(nomination(name, [there[uid] for uid in uids], victims.numpdbviolations))
        return found

    def _args(self, pod: PodInfo, names: Sequence[str], nodes: NodeTable) -> Mapping[str, Any]:
        if self.configuration.nodeCacheCapable:
            return {"Pod": _as_json(pod.pod), "Nodes": None, "NodeNames": list(names)}
        return {"Pod": _as_json(pod.pod), "Nodes": {"metadata": {}, "items": [_as_json(nodes.node(name)) for name in names]}, "NodeNames": None}

    async def _call(self, verb: str, args: Mapping[str, Any], kind: type[T]) -> T:
        import aiohttp

        url = f"{self.url.rstrip('/')}/{verb}"
        timeout = aiohttp.ClientTimeout(total=self.configuration.timeout_seconds)
        try:
            async with self._session.post(
                url, data=msgspec.json.encode(args), headers={"Content-Type": "application/json"}, timeout=timeout, ssl=self._tls,
                server_hostname=self._server_name,
            ) as response:
                body = await response.read()
                if response.status != 200:
                    raise ExtenderError(f"failed {verb} with extender at URL {url}, code {response.status}")
                return msgspec.convert(_lowered(msgspec.json.decode(body)), kind)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            raise ExtenderError(f"failed {verb} with extender at URL {url}: {str(error) or type(error).__name__}") from error


def _meta_victims(candidate: Nomination) -> Mapping[str, Any]:
    return {"Pods": [{"UID": victim.pod.metadata.uid} for victim in candidate.victims], "NumPDBViolations": candidate.violations}


def _as_json(obj: Any) -> msgspec.Raw:
    return msgspec.Raw(encoding.encode(obj))


def _lowered(value: Any, depth: int = 4) -> Any:
    """Field names in lower case, as far as the types of extenders go; those of nodes and pods are so anyway. (Names of nodes stay: they
    are lower case too.)"""
    if isinstance(value, dict):
        return {str(key).lower(): _lowered(inner, depth - 1) if depth else inner for key, inner in value.items()}
    if isinstance(value, list):
        return [_lowered(inner, depth - 1) if depth else inner for inner in value]
    return value


def _tls(configuration: ExtenderConfiguration) -> ssl.SSLContext | bool:
    """What it says; with `enableHTTPS` and without an authority nobody is verified, as in Kubernetes. True: as everywhere."""
    said = configuration.tlsConfig
    if said is None and not configuration.enableHTTPS:
        return True
    from kubelet_lite.wire.certificates import KeyPair, client_context

    said = said or ExtenderTLS()
    authority, certificate, key = _pem(said.caData, said.caFile), _pem(said.certData, said.certFile), _pem(said.keyData, said.keyFile)
    pair = KeyPair(certificate=certificate, key=key) if certificate is not None and key is not None else None
    return client_context(authority, pair, verify=not (said.insecure or (configuration.enableHTTPS and authority is None)))


def _pem(data: str, file: str) -> bytes | None:
    """The data, in base64, goes before the file."""
    return base64.b64decode(data) if data else Path(file).read_bytes() if file else None


class Extenders:
    """All of a scheduler, in order."""

    def __init__(self, extenders: Sequence[Extender], nodes: NodeTable) -> None:
        self._extenders = tuple(extenders)
        self._nodes = nodes

    def interested(self, pod: PodInfo) -> bool:
        return any(extender.is_interested(pod.pod) for extender in self._extenders)

    def binder(self, pod: PodInfo) -> Extender | None:
        """Who binds the pod instead of plug-ins."""
        return next((extender for extender in self._extenders if extender.configuration.bindVerb and extender.is_interested(pod.pod)), None)

    async def decide(self, decisions: Decisions, pod: PodInfo, rng: random.Random) -> Placement | Unschedulable:
        """As `Decisions.decide` does, with their say. The cluster may change meanwhile: what they left is looked at again. Raises ExtenderError."""
        found = decisions.feasible(pod)
        if isinstance(found, Unschedulable):
            return found
        names: Sequence[str] = [self._nodes.name(row) for row in found.rows.tolist()]
        refused, points = Refused({}, {}), dict[str, int]()
        interested = [extender for extender in self._extenders if extender.is_interested(pod.pod)]
        for extender in interested:
            if names:
                names = await self._filter(extender, pod, names, refused)
        for extender in interested if len(names) > 1 else ():
            for name, score in (await self._prioritize(extender, pod, names)).items():
                points[name] = points.get(name, 0) + score
        found = decisions.feasible(pod)
        if isinstance(found, Unschedulable):
            return found
        rows = found.rows[np.isin(found.rows, self._rows(names))]
        if rows.size == 0:
            return await self._unplaced(decisions, pod, found, refused, rng)
        extra = np.array([points.get(self._nodes.name(row), 0) for row in rows.tolist()], np.int64)
        return decisions.pick(pod, msgspec.structs.replace(found, rows=rows), rng, extra)

    async def _filter(self, extender: Extender, pod: PodInfo, names: Sequence[str], refused: Refused) -> Sequence[str]:
        try:
            return await extender.filter(pod, names, self._nodes, refused)
        except ExtenderError as error:
            if not extender.configuration.ignorable:
                raise
            _log.info("extender_ignored", extender=extender.url, error=str(error))
            return names

    async def _prioritize(self, extender: Extender, pod: PodInfo, names: Sequence[str]) -> Mapping[str, int]:
        """An error here is no reason not to place the pod."""
        try:
            return await extender.prioritize(pod, names, self._nodes)
        except ExtenderError as error:
            _log.warning("extender_failed", extender=extender.url, error=str(error))
            return {}

    async def _unplaced(self, decisions: Decisions, pod: PodInfo, found: Feasible, refused: Refused, rng: random.Random) -> Unschedulable:
        groups: dict[Rejection, list[str]] = {}
        for reasons, resolvable in ((refused.resolvable, True), (refused.lasting, False)):
            for name, reason in reasons.items():
                if resolvable and name in refused.lasting:
                    continue
                groups.setdefault(Rejection(NAME, (reason,), resolvable), []).append(name)
        refusals = [(rejection, rows) for rejection, names in groups.items() if (rows := self._rows(names, among=found.rows)).size]
        outcome = decisions.unplaced(pod, found.promised, rng, refusals)
        candidates = outcome.attempt.candidates
        for extender in self._extenders:
            if candidates and extender.configuration.preemptVerb and extender.is_interested(pod.pod):
                candidates = await self._preempt(extender, pod, candidates)
        if candidates == outcome.attempt.candidates:
            return outcome
        attempt = outcome.attempt
        if candidates:
            attempt = msgspec.structs.replace(attempt, nomination=best(candidates, rng), candidates=tuple(candidates))
        else:
            attempt = msgspec.structs.replace(attempt, nomination=None, candidates=(), words=", ".join(filter(None, (attempt.words, NO_CANDIDATE))))
        return msgspec.structs.replace(outcome, attempt=attempt)

    async def _preempt(self, extender: Extender, pod: PodInfo, candidates: Sequence[Nomination]) -> Sequence[Nomination]:
        try:
            return await extender.preempt(pod, candidates, self._nodes)
        except ExtenderError as error:
            if not extender.configuration.ignorable:
                raise
            _log.info("extender_ignored", extender=extender.url, error=str(error))
            return candidates

    def _rows(self, names: Sequence[str], among: Rows | None = None) -> Rows:
        rows = np.array(sorted(row for name in names if (row := self._nodes.row_of.get(name)) is not None), np.intp)
        return rows if among is None else rows[np.isin(rows, among)]


@asynccontextmanager
async def opened(configurations: Sequence[ExtenderConfiguration], nodes: NodeTable) -> AsyncIterator[Extenders | None]:
    """None without any: then nothing is loaded for them."""
    if not configurations:
        yield None
        return
    import aiohttp

    async with aiohttp.ClientSession() as session:
        yield Extenders([Extender(configuration, session) for configuration in configurations], nodes)
