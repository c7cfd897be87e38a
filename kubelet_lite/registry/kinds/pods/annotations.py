"""Annotations of a pod that Kubernetes gives a meaning, and what they say beside the fields that replaced them.

https://kubernetes.io/docs/reference/labels-annotations-taints/
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import AppArmorProfile, Pod, PodSpec, SeccompProfile, SecurityContext, Toleration
from kubelet_lite.api.errors import FieldError, forbidden, invalid
from kubelet_lite.registry.kinds.pods.scheduling import validate_tolerations
from kubelet_lite.registry.kinds.pods.visiting import containers_with_paths
from kubelet_lite.registry.validation.paths import descending

MIRROR: Final = "kubernetes.io/config.mirror"
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
TOLERATIONS: Final = "scheduler.alpha.kubernetes.io/tolerations"
SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER: Final = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_LOCAL: Final = "localhost/"
_MEANINGFUL: Final = (MIRROR, DELETION_COST, TOLERATIONS, SECCOMP_POD, SECCOMP_CONTAINER, APP_ARMOR)
_INIT_CONTAINERS: Final = tuple(f"pod.{stage}.kubernetes.io/{name}" for stage in ("beta", "alpha") for name in ("init-containers", "init-container-statuses"))


def without_init_containers(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """Old clients wrote init containers as annotations: these are never kept."""
    if not any(key in annotations for key in _INIT_CONTAINERS):
        return annotations
    return {key: value for key, value in annotations.items() if key not in _INIT_CONTAINERS}


def meaningful(annotations: Mapping[str, str]) -> bool:
    """Whether there is anything in them to look at."""
    return any(key.startswith(_MEANINGFUL) for key in annotations)


def validate_pod_annotations(path: str, annotations: Mapping[str, str], spec: PodSpec) -> Iterator[FieldError]:
    if not meaningful(annotations):
        return
    if MIRROR in annotations and not spec.nodeName:
        yield invalid(f"{path}[{MIRROR}]", annotations[MIRROR], "must set spec.nodeName if mirror pod annotation is set")
    if annotations.get(TOLERATIONS):
        yield from _tolerations(path, annotations[TOLERATIONS])
    if DELETION_COST in annotations and not _is_int32(annotations[DELETION_COST]):
        yield invalid(f"{path}[{DELETION_COST}]", annotations[DELETION_COST], "must be a 32bit integer")
    for key in sorted(annotations):
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            yield from _seccomp(f"{path}.{key}", annotations[key])
    names = {container.name for _, container in containers_with_paths("", spec)}
    for key in sorted(annotations):
        if key.startswith(APP_ARMOR):
            container, profile = key.removeprefix(APP_ARMOR), annotations[key]
            if container not in names:
                yield invalid(f"{path}[{key}]", container, "container not found")
            if profile not in ("", "runtime/default", "unconfined") and not profile.startswith(_LOCAL):
                yield invalid(f"{path}[{key}]", profile, f'invalid AppArmor profile name: "{profile}"')


def _is_int32(text: str) -> bool:
    """Written as Go reads it: no plus sign, no zeros in front."""
    try:
        value = int(text)
    except ValueError:
        return False
    return str(value) == text and -2 ** 31 <= value < 2 ** 31


def _tolerations(path: str, text: str) -> Iterator[FieldError]:
    try:
        tolerations = msgspec.json.decode(text, type=tuple[Toleration, ...])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        yield invalid(path, TOLERATIONS, str(error))
        return
    yield from validate_tolerations(f"{path}.{TOLERATIONS}", tolerations)


def _seccomp(path: str, profile: str) -> Iterator[FieldError]:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return
    if profile.startswith(_LOCAL):
        yield from descending(path, profile.removeprefix(_LOCAL))
    else:
        yield invalid(path, profile, "must be a valid seccomp profile")


def validate_profiles_match(annotations: Mapping[str, str], spec: PodSpec, path: str) -> Iterator[FieldError]:
    """Where an annotation and the field that replaced it are both set, they must say the same."""
    if not meaningful(annotations):
        return
    context = spec.securityContext
    if context is not None and context.seccompProfile is not None and SECCOMP_POD in annotations:
        yield from _seccomp_matches(f"{path}.securityContext.seccompProfile", annotations[SECCOMP_POD], context.seccompProfile)
    for at, container in containers_with_paths(path, spec):
        own = container.securityContext
        annotation = annotations.get(SECCOMP_CONTAINER + container.name)
        if own is not None and own.seccompProfile is not None and annotation is not None:
            yield from _seccomp_matches(f"{at}.securityContext.seccompProfile", annotation, own.seccompProfile)
    if spec.os is not None and spec.os.name == "windows":
        return
    for at, container in containers_with_paths(path, spec):
        own = container.securityContext
        profile = own.appArmorProfile if own is not None else None
        if profile is None and context is not None:
            profile = context.appArmorProfile
        annotation = annotations.get(APP_ARMOR + container.name)
        if profile is not None and annotation is not None:
            yield from _profile_matches(f"{at}.securityContext.appArmorProfile", annotation, profile, "apparmor", ("runtime/default",))


def _seccomp_matches(path: str, annotation: str, profile: SeccompProfile) -> Iterator[FieldError]:
    yield from _profile_matches(path, annotation, profile, "seccomp", ("runtime/default", "docker/default"))


def _profile_matches(
    path: str, annotation: str, profile: SeccompProfile | AppArmorProfile, what: str, defaults: tuple[str, ...],
) -> Iterator[FieldError]:
    local = annotation.removeprefix(_LOCAL)
    match profile.type:
        case "Unconfined":
            same = annotation == "unconfined"
        case "RuntimeDefault":
            same = annotation in defaults
        case "Localhost":
            same = annotation.startswith(_LOCAL)
            if same and profile.localhostProfile != local:
                yield forbidden(f"{path}.localhostProfile", f"{what} profile in annotation and field must match")
        case _:
            same = True
    if not same:
        yield forbidden(f"{path}.type", f"{what} type in annotation and field must match")


def app_armor_fields(pod: Pod) -> Pod:
    """A new pod whose containers have AppArmor annotations gets the fields that these stand for."""
    spec, annotations = pod.spec, pod.metadata.annotations
    if not any(key.startswith(APP_ARMOR) for key in annotations) or (spec.os is not None and spec.os.name == "windows"):
        return pod
    of_pod = spec.securityContext.appArmorProfile if spec.securityContext is not None else None

    def with_field(container: Any) -> Any:
        own = container.securityContext or SecurityContext()
        profile = _app_armor_field(annotations.get(APP_ARMOR + container.name))
        if own.appArmorProfile is not None or profile is None or profile == of_pod:
            return container
        return replace(container, securityContext=replace(own, appArmorProfile=profile))

    return replace(pod, spec=replace(spec, containers=tuple(map(with_field, spec.containers)), initContainers=tuple(map(with_field, spec.initContainers))))


def _app_armor_field(annotation: str | None) -> AppArmorProfile | None:
    match annotation:
        case "unconfined":
            return AppArmorProfile(type="Unconfined")
        case "runtime/default":
            return AppArmorProfile(type="RuntimeDefault")
        case str() if annotation.startswith(_LOCAL) and annotation.removeprefix(_LOCAL).strip():
            return AppArmorProfile(type="Localhost", localhostProfile=annotation.removeprefix(_LOCAL))
    return None


def app_armor_warnings(pod: Pod) -> Iterator[str]:
    context = pod.spec.securityContext
    for _, container in containers_with_paths("", pod.spec):
        key, own = APP_ARMOR + container.name, container.securityContext
        fields = (context.appArmorProfile if context is not None else None, own.appArmorProfile if own is not None else None)
        if key in pod.metadata.annotations and not any(fields):
            yield f'metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'


def validate_annotation_updates(path: str, new: Mapping[str, str], old: Mapping[str, str]) -> Iterator[FieldError]:
    if new is old or (not meaningful(new) and not meaningful(old)):
        return
    for key in sorted(old):
        if new.get(key) != old[key]:
            if key.startswith(APP_ARMOR):
                yield forbidden(f"{path}[{key}]", "may not remove or update AppArmor annotations")
            if key == MIRROR:
                yield forbidden(f"{path}[{key}]", "may not remove or update mirror pod annotation")
    for key in sorted(new):
        if key not in old:
            if key.startswith(APP_ARMOR):
                yield forbidden(f"{path}[{key}]", "may not add AppArmor annotations")
            if key == MIRROR:
                yield forbidden(f"{path}[{key}]", "may not add mirror pod annotation")
