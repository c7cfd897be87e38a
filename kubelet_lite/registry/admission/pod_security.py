"""PodSecurity: a namespace's labels say which Pod Security Standard its pods must meet, and which one to warn about.

The standard of the newest version is used for every version that a label names. https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Namespace, Pod, PodSpec
from kubelet_lite.api.errors import FieldError, Invalid, invalid
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.admission.plugin import Operation, Plugin, Review, World
from kubelet_lite.registry.admission.pod_security_standards import APPARMOR_PREFIX, violations
from kubelet_lite.registry.authorization.attributes import quoted

PREFIX: Final = "pod-security.kubernetes.io/"
MODES: Final = ("enforce", "audit", "warn")
LEVELS: Final = ("privileged", "baseline", "restricted")
"""From the weakest to the strongest."""
MAX_PODS_CHECKED: Final = 3000
"""Pods of a namespace that are looked at when its level rises: Kubernetes' own limit."""
_VERSION: Final = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")
_TEMPLATES: Final = frozenset((
    "podtemplates", "replicationcontrollers", "replicasets.apps", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch",
    "cronjobs.batch",
))


class Policy(msgspec.Struct, frozen=True):
    """One mode's level and version."""

    level: str
    version: str

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


def policy(labels: Mapping[str, str], mode: str) -> Policy:
    """What a namespace's labels ask for; a label that says nothing valid asks for `restricted` (fail closed)."""
    level = labels.get(PREFIX + mode, "privileged")
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    return Policy(level if level in LEVELS else "restricted", version if version == "latest" or _VERSION.fullmatch(version) else "latest")


def _handles(resource: str, subresource: str, operation: Operation) -> bool:
    if operation not in ("CREATE", "UPDATE"):
        return False
    if resource == "pods":
        return subresource in ("", "ephemeralcontainers")
    return not subresource and (resource == "namespaces" or resource in _TEMPLATES)


def _validate(new: Any, review: Review, world: World) -> None:
    if isinstance(new, Namespace):
        _validate_namespace(new, review, world)
        return
    namespace = world.view.get("namespaces", "", review.namespace)
    labels: Mapping[str, str] = namespace.metadata.labels if namespace is not None else {}
    if not any(PREFIX + mode in labels for mode in MODES):
        return
    if not isinstance(new, Pod):
        template = _template(new)
        if template is not None:
            _warn(labels, template.metadata, template.spec, review)
        return
    if review.operation == "UPDATE" and not _significant(new, review.old):
        return
    enforced = policy(labels, "enforce")
    found = violations(enforced.level, new.metadata, new.spec)
    if found:
        raise review.forbidden(f"violates PodSecurity {quoted(str(enforced))}: {', '.join(map(str, found))}", new)
    _warn(labels, new.metadata, new.spec, review)


def _warn(labels: Mapping[str, str], metadata: ObjectMeta, spec: PodSpec, review: Review) -> None:
    warned = policy(labels, "warn")
    found = violations(warned.level, metadata, spec)
    if found:
        review.context.warnings.append(f"would violate PodSecurity {quoted(str(warned))}: {', '.join(map(str, found))}")


def _template(new: Any) -> Any:
    if hasattr(new, "template"):
        return new.template
    spec = new.spec
    return spec.jobTemplate.spec.template if hasattr(spec, "jobTemplate") else spec.template


def _significant(new: Pod, old: Pod) -> bool:
    """Whether an update may change what the standards judge: not one of images, tolerations or metadata."""
    if new.spec is old.spec and new.metadata.annotations is old.metadata.annotations:
        return False
    if _judged_annotations(new) != _judged_annotations(old):
        return True
    return list(_judged(new.spec)) != list(_judged(old.spec))


def _judged_annotations(pod: Pod) -> dict[str, str]:
    return {key: value for key, value in pod.metadata.annotations.items() if key.startswith(APPARMOR_PREFIX)}


def _judged(spec: PodSpec) -> Iterator[Any]:
    for container in (*spec.initContainers, *spec.containers):
        yield replace(container, image="")
    for ephemeral in spec.ephemeralContainers:
        yield replace(ephemeral, image="")


# ---- namespaces


def _validate_namespace(new: Namespace, review: Review, world: World) -> None:
    errors = list(_label_errors(new.metadata.labels))
    if errors:
        raise Invalid.of("", "Namespace", new.metadata.name, errors)
    if review.operation != "UPDATE":
        return
    before, after = policy(review.old.metadata.labels, "enforce"), policy(new.metadata.labels, "enforce")
    if before == after or after.level == "privileged" or LEVELS.index(after.level) < LEVELS.index(before.level):
        return
    review.context.warnings.extend(_violating_pods(new.metadata.name, after, world))


def _label_errors(labels: Mapping[str, str]) -> Iterator[FieldError]:
    for mode in MODES:
        level = labels.get(PREFIX + mode)
        if level is not None and level not in LEVELS:
            yield invalid(f"metadata.labels[{PREFIX}{mode}]", level, f"must be one of {', '.join(LEVELS)}")
        version = labels.get(f"{PREFIX}{mode}-version")
        if version is not None and version != "latest" and not _VERSION.fullmatch(version):
            yield invalid(f"metadata.labels[{PREFIX}{mode}-version]", version, 'must be "latest" or "v1.x"')


def _violating_pods(namespace: str, enforced: Policy, world: World) -> list[str]:
    """One line for all pods that are refused for the same reasons, named after the first of them."""
    names: dict[str, list[str]] = {}
    for pod in world.view.list("pods", namespace)[:MAX_PODS_CHECKED]:
        found = violations(enforced.level, pod.metadata, pod.spec)
        if found:
            names.setdefault(", ".join(violation.reason for violation in found), []).append(pod.metadata.name)
    if not names:
        return []
    lines = [f"existing pods in namespace {quoted(namespace)} violate the new PodSecurity enforce level {quoted(str(enforced))}"]
    for reasons, pods in sorted(names.items(), key=lambda item: item[1][0]):
        others = len(pods) - 1
        more = f" (and {others} other pod{'s' if others > 1 else ''})" if others else ""
        lines.append(f"{pods[0]}{more}: {reasons}")
    return lines


PLUGIN: Final = Plugin(name="PodSecurity", handles=_handles, validate=_validate)
