"""DefaultTolerationSeconds: a pod stays for five minutes on a node that is not ready or not reachable, unless it says otherwise.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#defaulttolerationseconds
"""
from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Pod, PodSpec, Toleration
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on
from kubelet_lite.registry.sharing import by_identity

DEFAULT_SECONDS: Final = 300
MAX_SPECS: Final = 1024
"""Specs whose changed form is remembered: pods of one template share the spec that they end up with."""
_DEFAULTS: Final = tuple(
    Toleration(key=key, operator="Exists", effect="NoExecute", tolerationSeconds=DEFAULT_SECONDS)
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
)


def _mutate(pod: Pod, review: Review, world: World) -> Pod:
    spec = _tolerating(pod.spec)
    return pod if spec is pod.spec else replace(pod, spec=spec)


@by_identity(MAX_SPECS)
def _tolerating(spec: PodSpec) -> PodSpec:
    present = spec.tolerations
    added = tuple(default for default in _DEFAULTS if not any(_tolerates(toleration, default.key) for toleration in present)) if present else _DEFAULTS
    return replace(spec, tolerations=(*present, *added)) if added else spec


def _tolerates(toleration: Toleration, key: str) -> bool:
    return toleration.key in (key, "") and toleration.effect in ("NoExecute", "")


PLUGIN: Final = Plugin(name="DefaultTolerationSeconds", handles=on("pods", "CREATE", "UPDATE"), mutate=_mutate)
