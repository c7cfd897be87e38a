"""Validation of what belongs to Windows, and of what a pod of the other operating system must not set.

https://kubernetes.io/docs/concepts/windows/
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import PodSpec, WindowsSecurityContextOptions
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.registry.kinds.pods.visiting import containers_with_paths

OPERATING_SYSTEMS: Final = ("linux", "windows")
LONGEST_CREDENTIAL_SPEC: Final = 64 * 1024
LONGEST_DOMAIN: Final = 256
LONGEST_USER: Final = 104
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NET_BIOS: Final = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DNS_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS: Final = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_BAD_USER: Final = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_DOTS_AND_SPACES: Final = re.compile(r"[. ]+")
_POD_LINUX_FIELDS: Final = (
    "appArmorProfile", "seLinuxOptions", "hostUsers", "hostPID", "hostIPC", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls",
    "shareProcessNamespace", "runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy",
)
_CONTAINER_LINUX_FIELDS: Final = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)
"""In the order in which Kubernetes looks at them."""


def validate_windows_options(path: str, options: WindowsSecurityContextOptions | None) -> Iterator[FieldError]:
    if options is None:
        return
    if options.gmsaCredentialSpecName is not None:
        for message in names.dns1123_subdomain(options.gmsaCredentialSpecName):
            yield invalid(f"{path}.gmsaCredentialSpecName", options.gmsaCredentialSpecName, message)
    spec = options.gmsaCredentialSpec
    if spec is not None:
        if not spec:
            yield invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string")
        elif len(spec.encode()) > LONGEST_CREDENTIAL_SPEC:
            yield invalid(f"{path}.gmsaCredentialSpec", spec, f"gmsaCredentialSpec size must be under {LONGEST_CREDENTIAL_SPEC // 1024} KiB")
    if options.runAsUserName is not None:
        for message in _user_name(options.runAsUserName):
            yield invalid(f"{path}.runAsUserName", options.runAsUserName, message)


def _user_name(name: str) -> Iterator[str]:
    if not name:
        yield "runAsUserName cannot be an empty string"
        return
    if _CONTROL.search(name):
        yield "runAsUserName cannot contain control characters"
        return
    if name.count("\\") > 1:
        yield "runAsUserName cannot contain more than one backslash"
        return
    domain, backslash, user = name.rpartition("\\")
    if len(domain) >= LONGEST_DOMAIN:
        yield f"runAsUserName's Domain length must be under {LONGEST_DOMAIN} characters"
    if backslash and not (_NET_BIOS.fullmatch(domain) or _DNS.fullmatch(domain)):
        yield "runAsUserName's Domain doesn't match the NetBios nor the DNS format"
    if not user:
        yield "runAsUserName's User cannot be empty"
    elif len(user) > LONGEST_USER:
        yield f"runAsUserName's User length must not be longer than {LONGEST_USER} characters"
    if _DOTS_AND_SPACES.fullmatch(user):
        yield "runAsUserName's User cannot contain only periods or spaces"
    if _BAD_USER.search(user):
        yield r"""runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"""


def validate_host_process(path: str, spec: PodSpec) -> Iterator[FieldError]:
    options = spec.securityContext.windowsOptions if spec.securityContext is not None else None
    of_pod = options.hostProcess if options is not None else None
    count = total = 0
    for at, container in containers_with_paths(path, spec):
        total += 1
        context = container.securityContext
        own = context.windowsOptions.hostProcess if context is not None and context.windowsOptions is not None else None
        if of_pod is not None and own is not None and of_pod != own:
            yield invalid(f"{at}.securityContext.windowsOptions.hostProcess", own,
                          f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}")
        if own or (own is None and of_pod):
            count += 1
    if not count:
        return
    if count != total:
        yield invalid(path, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers")
    if not spec.hostNetwork:
        yield invalid(f"{path}.hostNetwork", False, "hostNetwork must be true if pod contains any hostProcess containers")


def validate_operating_system(path: str, spec: PodSpec) -> Iterator[FieldError]:
    if spec.os is None:
        return
    if not spec.os.name:
        yield required(f"{path}.os.name")
    elif spec.os.name not in OPERATING_SYSTEMS:
        yield not_supported(f"{path}.os", spec.os.name, OPERATING_SYSTEMS)
    elif spec.os.name == "linux":
        yield from _linux(path, spec)
    else:
        yield from _windows(path, spec)


def _linux(path: str, spec: PodSpec) -> Iterator[FieldError]:
    contexts = [(f"{path}.securityContext", spec.securityContext),
                *((f"{at}.securityContext", container.securityContext) for at, container in containers_with_paths(path, spec))]
    for at, context in contexts:
        if context is not None and context.windowsOptions is not None:
            yield forbidden(f"{at}.windowsOptions", "windows options cannot be set for a linux pod")


def _windows(path: str, spec: PodSpec) -> Iterator[FieldError]:
    if spec.securityContext is not None:
        for field in _POD_LINUX_FIELDS:
            of_spec = hasattr(spec, field)
            value = getattr(spec if of_spec else spec.securityContext, field)
            if value not in (None, False, ()) or (field in ("hostUsers", "shareProcessNamespace") and value is not None):
                yield forbidden(f"{path}.{field}" if of_spec else f"{path}.securityContext.{field}", "cannot be set for a windows pod")
    for at, container in containers_with_paths(path, spec):
        for field in _CONTAINER_LINUX_FIELDS:
            if container.securityContext is not None and getattr(container.securityContext, field) is not None:
                yield forbidden(f"{at}.securityContext.{field}", "cannot be set for a windows pod")
