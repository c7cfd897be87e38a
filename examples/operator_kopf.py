"""An operator written with kopf, for the custom resource of `website-crd.yaml`: a Website becomes a ConfigMap and a Deployment.

Against any cluster of the current kubeconfig, `kubelet-lite up` among them:

    kubectl apply -f examples/website-crd.yaml
    kopf run --all-namespaces examples/operator_kopf.py
    kubectl apply -f examples/website.yaml

In virtual time, under a seed: `tests/simulation/test_operators.py`.
"""
from __future__ import annotations

import hashlib
from typing import Any

import kopf
import kr8s
from kr8s.asyncio.objects import ConfigMap, Deployment, new_class

GROUP = "examples.kubelet-lite.dev"
OWNER_LABEL = f"{GROUP}/website"
Website = new_class("Website", f"{GROUP}/v1")


@kopf.on.login()
def login(**arguments: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    settings.posting.enabled = False
    memo.api = await kr8s.asyncio.api()


@kopf.on.create(GROUP, "websites")
@kopf.on.resume(GROUP, "websites")
@kopf.on.update(GROUP, "websites", field="spec")
async def make_children(name: str, namespace: str, spec: kopf.Spec, patch: kopf.Patch, memo: kopf.Memo, **_: Any) -> None:
    """The children as they should be. Garbage collection deletes them after their Website."""
    digest = hashlib.sha256(spec["page"].encode()).hexdigest()[:16]
    for child in (page(name, namespace, spec), deployment(name, namespace, spec, digest)):
        kopf.adopt(child)
        await apply(child, memo.api)
    patch.status["page"] = digest


@kopf.on.event("apps", "v1", "deployments", labels={OWNER_LABEL: kopf.PRESENT})
async def report(labels: kopf.Labels, namespace: str, status: kopf.Status, type: str | None, memo: kopf.Memo, **_: Any) -> None:
    """How many replicas are ready, into the status of the Website."""
    if type == "DELETED":
        return  # and the Website as well
    website = await Website({"metadata": {"name": labels[OWNER_LABEL], "namespace": namespace}}, api=memo.api)
    try:
        await website.patch({"status": {"readyReplicas": status.get("readyReplicas", 0)}}, subresource="status")
    except kr8s.NotFoundError:
        return  # it is being deleted, and its Deployment follows


def page(name: str, namespace: str, spec: kopf.Spec) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-page", "namespace": namespace, "labels": {OWNER_LABEL: name}},
        "data": {"index.html": spec["page"]},
    }


def deployment(name: str, namespace: str, spec: kopf.Spec, digest: str) -> dict[str, Any]:
    labels = {OWNER_LABEL: name}
    container = {"name": "web", "image": "nginx:1", "volumeMounts": [{"name": "page", "mountPath": "/usr/share/nginx/html"}]}
    template = {
        "metadata": {"labels": labels, "annotations": {f"{GROUP}/page": digest}},
        "spec": {"containers": [container], "volumes": [{"name": "page", "configMap": {"name": f"{name}-page"}}]},
    }
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"replicas": spec["replicas"], "selector": {"matchLabels": labels}, "template": template},
    }


async def apply(wanted: dict[str, Any], api: Any) -> None:
    """Creates the child, or changes what is not as wanted."""
    kind = {"ConfigMap": ConfigMap, "Deployment": Deployment}[wanted["kind"]]
    child = await kind(wanted, api=api)
    if await child.exists():
        await child.patch({field: wanted[field] for field in ("data", "spec") if field in wanted})
    else:
        await child.create()
