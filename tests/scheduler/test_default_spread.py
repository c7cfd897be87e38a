"""By what pods are spread that do not say it."""
from __future__ import annotations

from typing import Any

import pytest

from kubelet_lite.api.apps_v1 import ReplicaSet, StatefulSet
from kubelet_lite.api.core_v1 import Pod, ReplicationController, Service
from kubelet_lite.api.encoding import from_json
from kubelet_lite.scheduler.default_spread import DefaultSpread
from kubelet_lite.scheduler.surroundings import Given

LABELS = {"app": "x", "tier": "y"}


def a_pod(owner: tuple[str, str] | None = None, *, controller: bool = True) -> Pod:
    references = [{"apiVersion": owner[0], "kind": owner[1], "name": "o", "uid": "u", "controller": controller}] if owner is not None else []
    return from_json(Pod, {"metadata": {"name": "p", "namespace": "default", "labels": LABELS, "ownerReferences": references}, "spec": {"containers": []}})


def a_service(name: str, namespace: str = "default", **selector: str) -> Service:
    return from_json(Service, {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": selector}})


def selectors(pod: Pod, *objects: Any) -> list[tuple[str, int, str]]:
    return [(s.topology_key, s.max_skew, str(s.selector)) for s in DefaultSpread(Given(objects)).spreads(pod)]


def test_services_that_select_the_pod_count_together() -> None:
    services = a_service("a", app="x"), a_service("b", tier="y"), a_service("c", app="z"), a_service("d", "other", app="x"), a_service("e")
    assert selectors(a_pod(), *services) == [("kubernetes.io/hostname", 3, "app=x,tier=y"), ("topology.kubernetes.io/zone", 5, "app=x,tier=y")]


@pytest.mark.parametrize(("kind", "version"), [(ReplicaSet, "apps/v1"), (StatefulSet, "apps/v1"), (ReplicationController, "v1")])
def test_so_does_what_the_controller_selects_by(kind: type[Any], version: str) -> None:
    selector = {"app": "x"} if kind is ReplicationController else {"matchLabels": {"app": "x"}}
    owner = from_json(kind, {"metadata": {"name": "o", "namespace": "default"}, "spec": {"selector": selector}})
    pod = a_pod((version, kind.__name__))
    assert {text for _, _, text in selectors(pod, owner)} == {"app=x"}
    assert {text for _, _, text in selectors(pod, owner, a_service("a", tier="y"))} == {"tier=y,app=x"}
    assert DefaultSpread(Given()).needs(pod) == (Service, kind)


def test_nothing_that_selects_the_pod_spreads_nothing() -> None:
    assert selectors(a_pod()) == []
    assert selectors(a_pod(("apps/v1", "ReplicaSet"))) == []
    assert selectors(a_pod(("apps/v1", "DaemonSet")), a_service("a", app="z")) == []
    assert selectors(a_pod(("apps/v1", "ReplicaSet"), controller=False)) == []
