"""Validation of security contexts: of the pod, of its containers, and what an operating system does not know.

https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long
from kubelet_lite.registry.kinds.pods.windows import validate_windows_options
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.paths import descending

PROFILE_TYPES: Final = ("Localhost", "RuntimeDefault", "Unconfined")
PROC_MOUNTS: Final = ("Default", "Unmasked")
FS_GROUP_CHANGE_POLICIES: Final = ("Always", "OnRootMismatch")
SUPPLEMENTAL_GROUPS_POLICIES: Final = ("Merge", "Strict")
SELINUX_CHANGE_POLICIES: Final = ("MountOption", "Recursive")
LONGEST_SYSCTL: Final = 253
LONGEST_PROFILE: Final = 4095
_SYSCTL_SEGMENT: Final = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SYSCTL: Final = rf"^({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}$"
_IPC_SYSCTLS: Final = re.compile(r"fs\.mqueue\..*|kernel\.(msgmax|msgmnb|msgmni|sem|shm.*)")


def _user(path: str, value: int | None) -> Iterator[FieldError]:
    if value is not None:
        for message in names.user_id(value):
            yield invalid(path, value, message)


def validate_pod_security(path: str, spec: PodSpec) -> Iterator[FieldError]:
    context = spec.securityContext
    if context is None:
        return
    yield from _user(f"{path}.fsGroup", context.fsGroup)
    yield from _user(f"{path}.runAsUser", context.runAsUser)
    yield from _user(f"{path}.runAsGroup", context.runAsGroup)
    for i, group in enumerate(context.supplementalGroups):
        yield from _user(f"{path}.supplementalGroups[{i}]", group)
    if spec.shareProcessNamespace and spec.hostPID:
        yield invalid(f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled")
    yield from _sysctls(f"{path}.sysctls", context, spec)
    if context.fsGroupChangePolicy is not None and context.fsGroupChangePolicy not in FS_GROUP_CHANGE_POLICIES:
        yield not_supported(f"{path}.fsGroupChangePolicy", context.fsGroupChangePolicy, FS_GROUP_CHANGE_POLICIES)
    yield from _seccomp(f"{path}.seccompProfile", context.seccompProfile)
    yield from validate_windows_options(f"{path}.windowsOptions", context.windowsOptions)
    yield from _app_armor(f"{path}.appArmorProfile", context.appArmorProfile)
    if context.supplementalGroupsPolicy is not None and context.supplementalGroupsPolicy not in SUPPLEMENTAL_GROUPS_POLICIES:
        yield not_supported(f"{path}.supplementalGroupsPolicy", context.supplementalGroupsPolicy, SUPPLEMENTAL_GROUPS_POLICIES)
    if context.seLinuxChangePolicy is not None and context.seLinuxChangePolicy not in SELINUX_CHANGE_POLICIES:
        yield not_supported(f"{path}.seLinuxChangePolicy", context.seLinuxChangePolicy, SELINUX_CHANGE_POLICIES)


def _sysctls(path: str, context: PodSecurityContext, spec: PodSpec) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, sysctl in enumerate(context.sysctls):
        at, name = f"{path}[{i}].name", sysctl.name
        if not name:
            yield required(at)
        elif len(name) > LONGEST_SYSCTL or not re.match(SYSCTL, name):
            yield invalid(at, name, f"must have at most {LONGEST_SYSCTL} characters and match regex {SYSCTL}")
        elif name in seen:
            yield duplicate(at, name)
        dotted = _dotted(name)
        if spec.hostNetwork and dotted.startswith("net."):
            yield invalid(at, name, "may not be specified when 'hostNetwork' is true")
        elif spec.hostIPC and _IPC_SYSCTLS.fullmatch(dotted):
            yield invalid(at, name, "may not be specified when 'hostIPC' is true")
        seen.add(name)


def _dotted(name: str) -> str:
    """With dots between the segments, however it is written: `net/ipv4/x` is `net.ipv4.x`."""
    first = re.search(r"[./]", name)
    if first is None or first[0] == ".":
        return name
    return name.translate({ord("."): "/", ord("/"): "."})


def _seccomp(path: str, profile: SeccompProfile | None) -> Iterator[FieldError]:
    if profile is None:
        return
    if not profile.type:
        yield required(f"{path}.type", "type is required when seccompProfile is set")
    elif profile.type not in PROFILE_TYPES:
        yield not_supported(f"{path}.type", profile.type, PROFILE_TYPES)
    if profile.type == "Localhost":
        if profile.localhostProfile is None:
            yield required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
        else:
            yield from descending(f"{path}.localhostProfile", profile.localhostProfile)
    elif profile.localhostProfile is not None:
        yield invalid(f"{path}.localhostProfile", go_value(profile), "can only be set when seccomp type is Localhost")


def _app_armor(path: str, profile: AppArmorProfile | None) -> Iterator[FieldError]:
    if profile is None:
        return
    at, local = f"{path}.localhostProfile", profile.localhostProfile
    match profile.type:
        case "Localhost":
            if not local:
                yield required(at, "must be set when AppArmor type is Localhost")
            elif local.strip() != local:
                yield invalid(at, local, "must not be padded with whitespace")
            if local and len(local) > LONGEST_PROFILE:
                yield too_long(at, LONGEST_PROFILE)
        case "RuntimeDefault" | "Unconfined":
            if local is not None:
                yield invalid(at, local, "can only be set when AppArmor type is Localhost")
        case "":
            yield required(f"{path}.type", "type is required when appArmorProfile is set")
        case unknown:
            yield not_supported(f"{path}.type", unknown, PROFILE_TYPES)


def validate_container_security(path: str, context: SecurityContext | None, *, host_users: bool) -> Iterator[FieldError]:
    if context is None:
        return
    yield from _user(f"{path}.runAsUser", context.runAsUser)
    yield from _user(f"{path}.runAsGroup", context.runAsGroup)
    if context.procMount is not None:
        if context.procMount not in PROC_MOUNTS:
            yield not_supported(f"{path}.procMount", context.procMount, PROC_MOUNTS)
        if host_users and context.procMount == "Unmasked":
            yield invalid(f"{path}.procMount", context.procMount, "`hostUsers` must be false to use `Unmasked`")
    yield from _seccomp(f"{path}.seccompProfile", context.seccompProfile)
    if context.allowPrivilegeEscalation is False:
        if context.privileged:
            yield invalid(path, go_value(context), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        added = context.capabilities.add if context.capabilities is not None else ()
        for capability in added:
            if capability == "CAP_SYS_ADMIN":
                yield invalid(path, go_value(context), "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
    yield from validate_windows_options(f"{path}.windowsOptions", context.windowsOptions)
    yield from _app_armor(f"{path}.appArmorProfile", context.appArmorProfile)


def validate_host_users(path: str, spec: PodSpec) -> Iterator[FieldError]:
    """A pod with users of its own cannot share the host's other namespaces."""
    if spec.hostUsers is not False or spec.securityContext is None:
        return
    if spec.hostNetwork:
        yield forbidden(f"{path}.hostNetwork", "when `pod.Spec.HostUsers` is false")
    if spec.hostPID:
        yield forbidden(f"{path}.HostPID", "when `pod.Spec.HostUsers` is false")
    if spec.hostIPC:
        yield forbidden(f"{path}.HostIPC", "when `pod.Spec.HostUsers` is false")
