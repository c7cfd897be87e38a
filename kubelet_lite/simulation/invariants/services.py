"""What Services promise: addresses and ports of their own, and endpoints that can answer.

https://kubernetes.io/docs/concepts/services-networking/service/
"""
from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from kubelet_lite.api.core_v1 import Pod, Service
from kubelet_lite.api.discovery_v1 import EndpointConditions, EndpointSlice
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.debts import Debts
from kubelet_lite.simulation.invariants.facts import STALE_SECONDS, is_ready, matches_labels
from kubelet_lite.simulation.snapshot import Place, Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

CONTROLLER: Final = "endpointslice-controller"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
MANAGER: Final = "endpointslice-controller.k8s.io"
SERVICE_LABEL: Final = "kubernetes.io/service-name"


class _Unique(Invariant):
    """No two objects hold the same thing at one time."""

    what = ""

    def __init__(self) -> None:
        self._held: dict[Any, Place] = {}

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        place = (event.key.namespace, event.key.name)
        old = tuple(self.things(event.previous)) if event.previous is not None else ()
        new = tuple(self.things(event.object)) if event.object is not None else ()
        if old == new:
            return ()
        for thing in old:
            if self._held.get(thing) == place:
                del self._held[thing]
        wrong = []
        for thing in new:
            other = self._held.setdefault(thing, place)
            if other != place:
                wrong.append(f"{event.key} has at revision {event.revision} the {self.what} {thing} that {other[0]}/{other[1]} has")
        return wrong

    def things(self, obj: Any) -> Iterable[Any]:
        """What an object holds."""
        raise NotImplementedError


class UniqueClusterIP(_Unique):
    """No two Services have the same cluster IP."""

    name = "UniqueClusterIP"
    resources = ("services",)
    what = "cluster IP"

    def things(self, obj: Any) -> Iterable[Any]:
        return [ip for ip in obj.spec.clusterIPs if ip not in ("", "None")]


class UniqueNodePort(_Unique):
    """No two Services have the same node port, whatever its protocol; a Service's own ports may share one if their protocols differ."""

    name = "UniqueNodePort"
    resources = ("services",)
    what = "node port"

    def things(self, obj: Any) -> Iterable[Any]:
        ports = [port.nodePort for port in obj.spec.ports if port.nodePort]
        return dict.fromkeys((*ports, obj.spec.healthCheckNodePort) if obj.spec.healthCheckNodePort else ports)


class UniquePodIP(Invariant):
    """No two running pods have the same address for long: a status may say for a while what is over already, no longer than STALE_SECONDS
    after the last fault. Pods on the host's network, and those that are finished, share."""

    name = "UniquePodIP"
    resources = ("pods",)

    def __init__(self) -> None:
        self._holders: dict[str, dict[Place, None]] = {}
        self._shared: dict[str, float] = {}
        """Addresses that several pods have, and since when."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        place = (event.key.namespace, event.key.name)
        old, new = _pod_ips(event.previous), _pod_ips(event.object)
        if old == new:
            return ()
        for ip in old:
            holders = self._holders[ip]
            holders.pop(place, None)
            if len(holders) < 2:
                self._shared.pop(ip, None)
        for ip in new:
            holders = self._holders.setdefault(ip, {})
            holders[place] = None
            if len(holders) > 1:
                self._shared.setdefault(ip, revision.time)
        return ()

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        for ip, since in self._shared.items():
            if now - max(since, snapshot.calm_since("kubelet-*")) > STALE_SECONDS:
                yield self._said(ip)

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        yield from map(self._said, self._shared)

    def _said(self, ip: str) -> str:
        return f"{' and '.join('/'.join(place) for place in self._holders[ip])} have the address {ip}"


def _pod_ips(pod: Pod | None) -> tuple[str, ...]:
    if pod is None or pod.spec.hostNetwork or pod.status.phase in FINISHED:
        return ()
    return tuple(ip.ip for ip in pod.status.podIPs)


class _Endpoints(Invariant):
    """Judges the endpoints of the controller's slices by the pods that they are of, again with each change of either.

    Of slices that somebody else keeps nothing is promised.
    """

    resources = ("pods", "services", "endpointslices.discovery.k8s.io")

    def __init__(self) -> None:
        self._wrong = Debts(CONTROLLER)
        """By slice and pod's UID."""
        self._of: dict[Place, dict[Hashable, None]] = {}
        """By slice, what of it is wrong."""
        self._refers: dict[Place, dict[Place, None]] = {}
        """By pod: the slices that may have it."""
        self._touched: dict[Place, None] = {}
        """Slices to be looked at."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        place = (event.key.namespace, event.key.name)
        if event.key.resource == "pods":
            new, old = event.object, event.previous
            if new is None or old is None or is_ready(new) != is_ready(old) or new.metadata.deletionTimestamp != old.metadata.deletionTimestamp:
                self._touched.update(self._refers.get(place, {}))
        elif event.key.resource == "services":
            self._touched.update({
                (s.metadata.namespace, s.metadata.name): None for s in before.list(EndpointSlice, place[0])
                if s.metadata.labels.get(SERVICE_LABEL) == place[1]
            })
        else:
            self._touched[place] = None
            for endpoint in event.object.endpoints if event.object is not None else ():
                if endpoint.targetRef is not None:
                    self._refers.setdefault((place[0], endpoint.targetRef.name), {})[place] = None
        return ()

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        yield from self._wrong.late(snapshot, now)
        touched, self._touched = self._touched, {}
        for place in touched:
            found: dict[Hashable, str] = {(place, uid): why for uid, why in self._look(snapshot, place)}
            for thing in {**self._of.get(place, {}), **found}:
                self._wrong.note(thing, found.get(thing, ""), now)
            self._of[place] = dict.fromkeys(found)

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        yield from self._wrong.wrong()

    def _look(self, snapshot: Snapshot, place: Place) -> Iterator[tuple[str, str]]:
        slice_ = snapshot.get(EndpointSlice, place[1], place[0])
        if slice_ is None or slice_.metadata.labels.get(MANAGED_BY) != MANAGER:
            return
        service = snapshot.get(Service, slice_.metadata.labels.get(SERVICE_LABEL, ""), place[0])
        for endpoint in slice_.endpoints:
            target = endpoint.targetRef
            if target is None or service is None:
                continue
            pod = snapshot.get(Pod, target.name, place[0])
            why = self.judge(endpoint.conditions, pod if pod is not None and pod.metadata.uid == target.uid else None, service)
            if why:
                yield target.uid, f"EndpointSlice {place[0]}/{place[1]} says that pod {place[0]}/{target.name} {why}"

    def judge(self, conditions: EndpointConditions, pod: Pod | None, service: Service) -> str:
        """What a slice says of an endpoint, and why it is wrong."""
        raise NotImplementedError


class EndpointsSubsetOfReadyPods(_Endpoints):
    """An endpoint that is said to be ready is a pod that exists, is ready and is not being deleted: but for a moment, in which the
    controller follows. A Service that publishes what is not ready promises nothing."""

    name = "EndpointsSubsetOfReadyPods"

    def judge(self, conditions: EndpointConditions, pod: Pod | None, service: Service) -> str:
        if conditions.ready is False or service.spec.publishNotReadyAddresses:
            return ""
        if pod is None:
            return "is ready, which is gone"
        if pod.metadata.deletionTimestamp is not None:
            return "is ready, which is being deleted"
        return "" if is_ready(pod) else "is ready, which is not"


class EndpointConditionsAgree(_Endpoints):
    """An endpoint's conditions are its pod's, but for a moment: it serves if the pod is ready, terminates if the pod is being deleted,
    and is ready if it serves and does not terminate, or if the Service publishes what is not ready."""

    name = "EndpointConditionsAgree"

    def judge(self, conditions: EndpointConditions, pod: Pod | None, service: Service) -> str:
        if pod is None:
            return ""
        serving, terminating = is_ready(pod), pod.metadata.deletionTimestamp is not None
        wanted = (bool(service.spec.publishNotReadyAddresses) or (serving and not terminating), serving, terminating)
        if (conditions.ready, conditions.serving, conditions.terminating) == wanted:
            return ""
        words = {"ready": conditions.ready, "serving": conditions.serving, "terminating": conditions.terminating}
        wrong = (f"{word} is {said}" for (word, said), right in zip(words.items(), wanted, strict=True) if said != right)
        return f"has other conditions than it has: {', '.join(wrong)}"


def expected_endpoints(snapshot: Snapshot, service: Service) -> Mapping[str, bool]:
    """The pods that a Service's slices must have when nothing moves any more, by UID, and whether they are ready."""
    if not service.spec.selector or service.spec.type == "ExternalName":
        return {}
    return {
        pod.metadata.uid: service.spec.publishNotReadyAddresses or (is_ready(pod) and pod.metadata.deletionTimestamp is None)
        for pod in snapshot.list(Pod, service.metadata.namespace)
        if matches_labels(service.spec.selector, pod.metadata.labels) and pod.status.podIPs and pod.status.phase not in FINISHED
        and (snapshot.get("nodes", pod.spec.nodeName) is not None or service.spec.publishNotReadyAddresses)
    }
