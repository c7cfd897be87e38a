"""The Pod Security Standards: what the levels `baseline` and `restricted` forbid, each check a pure function of the pod.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import Container, EphemeralContainer, PodSpec, SELinuxOptions
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.authorization.attributes import quoted

DEFAULT_CAPABILITIES: Final = frozenset((
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
    "SYS_CHROOT",
))
SAFE_SYSCTLS: Final = frozenset((
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
))
SELINUX_TYPES: Final = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
UNRESTRICTED_VOLUMES: Final = frozenset((
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret", "image",
))
APPARMOR_PREFIX: Final = "container.apparmor.security.beta.kubernetes.io/"

AnyContainer = Container | EphemeralContainer


class Violation(msgspec.Struct, frozen=True):
    """What one check objects to."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[ObjectMeta, PodSpec], Violation | None]


def _containers(spec: PodSpec) -> Iterator[AnyContainer]:
    yield from spec.initContainers
    yield from spec.containers
    yield from spec.ephemeralContainers


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def _named(names: list[str], word: str = "container") -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{word if len(names) == 1 else word + 's'} {_quoted(names)}"


def _security(container: AnyContainer) -> Any:
    return container.securityContext


def _windows(spec: PodSpec) -> bool:
    return spec.os is not None and spec.os.name == "windows"


# ---- baseline


def _app_armor(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    setters: list[str] = []
    values: set[str] = set()

    def bad(context: Any) -> bool:
        profile = context.appArmorProfile if context is not None else None
        if profile is None or profile.type in ("RuntimeDefault", "Localhost"):
            return False
        values.add(profile.type)
        return True

    if bad(spec.securityContext):
        setters.append("pod")
    names = [container.name for container in _containers(spec) if bad(_security(container))]
    if names:
        setters.append(_named(names))
    annotations = sorted(
        f"{key}={quoted(value)}" for key, value in metadata.annotations.items()
        if key.startswith(APPARMOR_PREFIX) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    details = [f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(sorted(values))}"] if setters else []
    if annotations:
        details.append(f"annotation{'s' if len(annotations) > 1 else ''} {', '.join(annotations)}")
    if not details:
        return None
    return Violation("forbidden AppArmor profile" + ("s" if len(values) + len(annotations) > 1 else ""), "; ".join(details))


def _default_capabilities(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    found = _added_capabilities(spec, DEFAULT_CAPABILITIES)
    return Violation("non-default capabilities", found) if found else None


def _added_capabilities(spec: PodSpec, allowed: frozenset[str]) -> str:
    names, added = [], set()
    for container in _containers(spec):
        context = container.securityContext
        wrong = set(context.capabilities.add) - allowed if context is not None and context.capabilities is not None else set()
        if wrong:
            names.append(container.name)
            added |= wrong
    return f"{_named(names)} must not include {_quoted(sorted(added))} in securityContext.capabilities.add" if names else ""


def _host_namespaces(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if getattr(spec, name)]
    return Violation("host namespaces", ", ".join(used)) if used else None


def _host_path_volumes(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    names = [volume.name for volume in spec.volumes if volume.hostPath is not None]
    return Violation("hostPath volumes", _named(names, "volume")) if names else None


def _host_ports(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    names, ports = [], set()
    for container in _containers(spec):
        used = {str(port.hostPort) for port in container.ports if port.hostPort}
        if used:
            names.append(container.name)
            ports |= used
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    return Violation("hostPort", f"{_named(names)} {uses} hostPort{'s' if len(ports) > 1 else ''} {', '.join(sorted(ports))}")


def _probe_hosts(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    names, hosts = [], set()
    for container in _containers(spec):
        used = {host for host in _hosts(container) if host}
        if used:
            names.append(container.name)
            hosts |= used
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    what = f"probe or lifecycle host{'s' if len(hosts) > 1 else ''}"
    return Violation("probe or lifecycle host", f"{_named(names)} {uses} {what} {_quoted(sorted(hosts))}")


def _hosts(container: AnyContainer) -> Iterator[str]:
    handlers: list[Any] = [container.livenessProbe, container.readinessProbe, container.startupProbe]
    if container.lifecycle is not None:
        handlers += [container.lifecycle.postStart, container.lifecycle.preStop]
    for handler in handlers:
        if handler is not None:
            yield from (action.host for action in (handler.httpGet, handler.tcpSocket) if action is not None)


def _privileged(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    names = [c.name for c in _containers(spec) if c.securityContext is not None and c.securityContext.privileged]
    return Violation("privileged", f"{_named(names)} must not set securityContext.privileged=true") if names else None


def _proc_mount(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    if spec.hostUsers is False:
        return None
    names, values = [], set()
    for container in _containers(spec):
        mount = container.securityContext.procMount if container.securityContext is not None else None
        if mount not in (None, "Default"):
            names.append(container.name)
            values.add(str(mount))
    return Violation("procMount", f"{_named(names)} must not set securityContext.procMount to {_quoted(sorted(values))}") if names else None


def _se_linux(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    types: set[str] = set()
    flags: set[str] = set()

    def bad(options: SELinuxOptions | None) -> bool:
        if options is None:
            return False
        wrong = options.type not in SELINUX_TYPES
        if wrong:
            types.add(options.type)
        flags.update(word for word, value in (("user", options.user), ("role", options.role)) if value)
        return wrong or bool(options.user or options.role)

    setters = ["pod"] if spec.securityContext is not None and bad(spec.securityContext.seLinuxOptions) else []
    names = [c.name for c in _containers(spec) if c.securityContext is not None and bad(c.securityContext.seLinuxOptions)]
    if names:
        setters.append(_named(names))
    if not setters:
        return None
    data = [_named(sorted(types), "type")] if types else []
    data += [f"{word} may not be set" for word in ("user", "role") if word in flags]
    return Violation("seLinuxOptions", f"{' and '.join(setters)} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")


def _seccomp_baseline(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    return _seccomp(spec, explicit_only=True)


def _seccomp(spec: PodSpec, *, explicit_only: bool) -> Violation | None:
    values: set[str] = set()

    def state(context: Any) -> str:
        profile = context.seccompProfile if context is not None else None
        if profile is None:
            return "unset"
        if profile.type in ("RuntimeDefault", "Localhost"):
            return "good"
        values.add(profile.type)
        return "bad"

    pod = state(spec.securityContext)
    states = [(container.name, state(_security(container))) for container in _containers(spec)]
    setters = ["pod"] if pod == "bad" else []
    explicit = [name for name, found in states if found == "bad"]
    if explicit:
        setters.append(_named(explicit))
    if setters:
        return Violation("seccompProfile", f"{' and '.join(setters)} must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}")
    implicit = [name for name, found in states if found == "unset"]
    if explicit_only or pod == "good" or not implicit:
        return None
    return Violation("seccompProfile", f'pod or {_named(implicit)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"')


def _sysctls(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    used = {sysctl.name for sysctl in spec.securityContext.sysctls} if spec.securityContext is not None else set()
    wrong = sorted(used - SAFE_SYSCTLS)
    return Violation("forbidden sysctls", ", ".join(wrong)) if wrong else None


def _windows_host_process(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    def bad(context: Any) -> bool:
        return context is not None and context.windowsOptions is not None and bool(context.windowsOptions.hostProcess)

    setters = ["pod"] if bad(spec.securityContext) else []
    names = [container.name for container in _containers(spec) if bad(_security(container))]
    if names:
        setters.append(_named(names))
    return Violation("hostProcess", f"{' and '.join(setters)} must not set securityContext.windowsOptions.hostProcess=true") if setters else None


# ---- restricted


def _privilege_escalation(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    if _windows(spec):
        return None
    names = [c.name for c in _containers(spec) if c.securityContext is None or c.securityContext.allowPrivilegeEscalation is not False]
    if not names:
        return None
    return Violation("allowPrivilegeEscalation != false", f"{_named(names)} must set securityContext.allowPrivilegeEscalation=false")


def _no_capabilities(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    if _windows(spec):
        return None
    keeping = [
        c.name for c in _containers(spec)
        if c.securityContext is None or c.securityContext.capabilities is None or "ALL" not in c.securityContext.capabilities.drop
    ]
    details = [f'{_named(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    added = _added_capabilities(spec, frozenset(("NET_BIND_SERVICE",)))
    if added:
        details.append(added)
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def _restricted_volumes(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    names, types = [], set()
    for volume in spec.volumes:
        source = next((f for f in volume.__struct_fields__ if f != "name" and getattr(volume, f) is not None), "unknown")
        if source not in UNRESTRICTED_VOLUMES:
            names.append(volume.name)
            types.add(source)
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    return Violation(
        "restricted volume types", f"{_named(names, 'volume')} {uses} restricted volume type{'s' if len(types) > 1 else ''} {_quoted(sorted(types))}",
    )


def _run_as_non_root(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    pod = spec.securityContext.runAsNonRoot if spec.securityContext is not None else None
    own = [(c.name, c.securityContext.runAsNonRoot if c.securityContext is not None else None) for c in _containers(spec)]
    setters = ["pod"] if pod is False else []
    explicit = [name for name, value in own if value is False]
    if explicit:
        setters.append(_named(explicit))
    if setters:
        return Violation("runAsNonRoot != true", f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false")
    implicit = [name for name, value in own if value is None]
    if pod is True or not implicit:
        return None
    return Violation("runAsNonRoot != true", f"pod or {_named(implicit)} must set securityContext.runAsNonRoot=true")


def _run_as_user(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    setters = ["pod"] if spec.securityContext is not None and spec.securityContext.runAsUser == 0 else []
    names = [c.name for c in _containers(spec) if c.securityContext is not None and c.securityContext.runAsUser == 0]
    if names:
        setters.append(_named(names))
    return Violation("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0") if setters else None


def _seccomp_restricted(metadata: ObjectMeta, spec: PodSpec) -> Violation | None:
    return None if _windows(spec) else _seccomp(spec, explicit_only=False)


_BASELINE_ALWAYS: Final[tuple[Check, ...]] = (
    _host_namespaces, _host_ports, _probe_hosts, _privileged, _proc_mount, _se_linux, _sysctls, _windows_host_process,
)
CHECKS: Final[dict[str, tuple[Check, ...]]] = {
    "privileged": (),
    "baseline": (
        _app_armor, _default_capabilities, _host_namespaces, _host_path_volumes, _host_ports, _probe_hosts, _privileged, _proc_mount, _se_linux,
        _seccomp_baseline, _sysctls, _windows_host_process,
    ),
    "restricted": (
        _app_armor, *_BASELINE_ALWAYS,
        _privilege_escalation, _no_capabilities, _restricted_volumes, _run_as_non_root, _run_as_user, _seccomp_restricted,
    ),
}
"""In the order in which violations are listed; a check of `restricted` stands for its weaker form in `baseline`."""


def violations(level: str, metadata: ObjectMeta, spec: PodSpec) -> list[Violation]:
    """All that a level forbids of a pod."""
    return [violation for check in CHECKS[level] if (violation := check(metadata, spec)) is not None]
