"""Cluster addresses and node ports: who has which, and the next free one.

What is taken is what the Services in the store hold, so there is nothing to release, repair or lose. Automatic choice starts at
random in the upper part of a range, which leaves the lower part to those who ask for an address.
https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
"""
from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Service, ServicePort
from kubelet_lite.api.errors import FieldError, InternalError, Invalid, invalid
from kubelet_lite.registry.kinds.services import kind_of
from kubelet_lite.registry.kinds.services.families import unchanged_preference, with_families
from kubelet_lite.registry.view import View

NODE_PORTS: Final = range(30000, 32768)
RANGES: Final = "servicecidrs.networking.k8s.io"
LEAST_RESERVED: Final = 16
MOST_RESERVED: Final = 256
RESERVED_PART: Final = 16
"""A sixteenth of a range, within these limits, is handed out automatically only when the rest is full."""
K = TypeVar("K", str, int)
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ServiceAllocator:
    """The allocator of one registry."""

    def __init__(self, view: View, environment: Environment) -> None:
        self._view, self._random = view, environment.random
        self._addresses: dict[str, int] = {}  # all and only cluster addresses of Services, with how many hold them
        self._ports: dict[int, int] = {}  # all and only node ports and health check ports of Services, likewise
        self._seen = -1  # the revision of the Services that both reflect

    def allocate(self, new: Service, old: Service | None, dry_run: bool = False) -> Service:
        self._look()
        if old is not None:
            new = _kept(new, old)
        new = _in_step(new, old)
        networks = self._networks()
        families = tuple(dict.fromkeys(f"IPv{network.version}" for network in networks))
        new = with_families(new, old, families)
        new = self._with_addresses(new, old, networks)
        return self._with_ports(new, old, _Ports(self, old, dry_run))

    def written(self, old: Service | None, new: Service | None) -> None:
        if self._seen < 0:
            return
        for service, step in ((old, -1), (new, 1)):
            if service is not None:
                self._count(service, step)
        self._seen = self._view.changed("services")

    def _look(self) -> None:
        """Counts anew when Services were written past `written`: at the start, or by another server."""
        revision = self._view.changed("services")
        if revision == self._seen:
            return
        self._addresses, self._ports, self._seen = {}, {}, revision
        for service in self._view.list("services"):
            self._count(service, 1)

    def _count(self, service: Service, step: int) -> None:
        for address in service.spec.clusterIPs:
            _add(self._addresses, address, step)
        for port in set(kind_of.node_ports(service)) | {service.spec.healthCheckNodePort} - {0}:
            _add(self._ports, port, step)

    def _networks(self) -> Sequence[_Network]:
        """The ranges, the cluster's own first."""
        ranges = sorted(self._view.list(RANGES), key=lambda found: found.metadata.name != "kubernetes")
        return [ipaddress.ip_network(cidr) for found in ranges if found.metadata.deletionTimestamp is None for cidr in found.spec.cidrs]

    # ---- addresses

    def _with_addresses(self, new: Service, old: Service | None, networks: Sequence[_Network]) -> Service:
        if new.spec.type == kind_of.EXTERNAL_NAME or kind_of.is_headless(new):
            return new
        held = 0  # how many of the first addresses stay as they are
        if old is not None and old.spec.type != kind_of.EXTERNAL_NAME:
            grows = len(old.spec.ipFamilies) == 1 and len(new.spec.ipFamilies) == 2
            if not grows or kind_of.is_headless(old) or unchanged_preference(new, old):
                return new
            held = 1
        addresses = list(new.spec.clusterIPs)
        for i, family in enumerate(new.spec.ipFamilies):
            wanted = addresses[i] if i < len(addresses) else ""
            if i >= held:
                wanted = self._claimed(new, wanted, networks) if wanted else self._next_address(family, networks)
            addresses[i:i + 1] = [wanted]
        return replace(new, spec=replace(new.spec, clusterIP=addresses[0] if addresses else "", clusterIPs=tuple(addresses)))

    def _claimed(self, service: Service, wanted: str, networks: Sequence[_Network]) -> str:
        address = names.address(wanted)
        assert address is not None
        network = next((n for n in networks if n.version == address.version and address in n), None)
        problem = ""
        if network is None:
            problem = "the provided network does not match the current range"
        elif not _first(network) <= int(address) <= _last(network):
            problem = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {network}"
        elif str(address) in self._addresses:
            problem = "provided IP is already allocated"
        if problem:
            raise _refused(service, invalid("spec.clusterIPs", service.spec.clusterIPs, f"failed to allocate IP {wanted}: {problem}"))
        return wanted

    def _next_address(self, family: str, networks: Sequence[_Network]) -> str:
        for network in networks:
            if f"IPv{network.version}" != family:
                continue
            first, last = _first(network), _last(network)
            reserved = _reserved(network)
            if first + reserved > last:  # a ServiceCIDR of one or two addresses
                continue
            start = self._random.randint(first + reserved, last)
            for part in (range(start, last + 1), range(first + reserved, start), range(first, first + reserved)):
                for number in part:
                    address = str(ipaddress.ip_address(number) if network.version == 4 else ipaddress.IPv6Address(number))
                    if address not in self._addresses:
                        return address
        raise InternalError("Internal error occurred: failed to allocate a serviceIP: range is full")

    # ---- ports

    def _with_ports(self, new: Service, old: Service | None, ports: _Ports) -> Service:
        if kind_of.needs_node_ports(new):
            new = _with_node_ports(new, ports) if old is None else _with_updated_node_ports(new, old, ports)
        checked_before = old is not None and kind_of.needs_health_check(old)
        if kind_of.needs_health_check(new) and not checked_before:
            wanted = new.spec.healthCheckNodePort
            if wanted and (problem := ports.claim(wanted)):
                raise InternalError(f"Internal error occurred: failed to allocate requested HealthCheck NodePort {wanted}: {problem}")
            new = replace(new, spec=replace(new.spec, healthCheckNodePort=wanted or ports.next()))
        return new

    def has_port(self, port: int) -> bool:
        return port in self._ports

    def any_port(self, but: Sequence[int]) -> int:
        """A free one, from the part that is not reserved for those who ask as long as there is one."""
        reserved = max(LEAST_RESERVED, min(128, len(NODE_PORTS) // 32))
        start = self._random.randrange(NODE_PORTS.start + reserved, NODE_PORTS.stop)
        first = NODE_PORTS.start
        for part in (range(start, NODE_PORTS.stop), range(first + reserved, start), range(first, first + reserved)):
            for port in part:
                if port not in self._ports and port not in but:
                    return port
        raise InternalError("Internal error occurred: failed to allocate a nodePort: range is full")


class _Ports:
    """What one request takes of the node ports."""

    def __init__(self, allocator: ServiceAllocator, old: Service | None, dry_run: bool) -> None:
        self._allocator, self._dry_run = allocator, dry_run
        self._taken: list[int] = []

    def claim(self, port: int) -> str:
        """Takes a port that was asked for; returns what is wrong."""
        if not self._dry_run and port not in NODE_PORTS:
            return f"provided port is not in the valid range. The range of valid ports is {NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
        if self._allocator.has_port(port) or port in self._taken:
            return "provided port is already allocated"
        self._taken.append(port)
        return ""

    def next(self) -> int:
        port = self._allocator.any_port(self._taken)
        self._taken.append(port)
        return port


def _with_node_ports(new: Service, ports: _Ports) -> Service:
    """At creation: ports of one number and several protocols share a node port."""
    by_port: dict[int, int] = {}
    done = []
    for i, port in enumerate(new.spec.ports):
        if not port.nodePort and not kind_of.allocates_node_ports(new):
            done.append(port)
            continue
        shared = by_port.get(port.port)
        if shared is None:
            wanted = next((p.nodePort for p in new.spec.ports if p.port == port.port and p.nodePort), 0)
            if wanted and (problem := ports.claim(wanted)):
                raise _refused(new, invalid(f"spec.ports[{i}].nodePort", wanted, problem))
            by_port[port.port] = shared = wanted or ports.next()
            port = replace(port, nodePort=shared)
        elif not port.nodePort:
            port = replace(port, nodePort=shared)
        elif port.nodePort != shared and (problem := ports.claim(port.nodePort)):
            raise _refused(new, invalid(f"spec.ports[{i}].nodePort", port.nodePort, problem))
        done.append(port)
    return _with(new, done)


def _with_updated_node_ports(new: Service, old: Service, ports: _Ports) -> Service:
    kept = list(kind_of.node_ports(old))
    held: list[tuple[str, int]] = []
    done = []
    for i, port in enumerate(new.spec.ports):
        if not port.nodePort and not kind_of.allocates_node_ports(new):
            done.append(port)
            continue
        if not port.nodePort:
            port = replace(port, nodePort=ports.next())
        elif port.nodePort not in kept:
            if problem := ports.claim(port.nodePort):
                raise _refused(new, invalid(f"spec.ports[{i}].nodePort", port.nodePort, problem))
            kept.append(port.nodePort)
        if (port.protocol, port.nodePort) in held:
            raise InternalError(f"Internal error occurred: duplicate nodePort: {{{port.protocol} {port.nodePort}}}")
        held.append((port.protocol, port.nodePort))
        done.append(port)
    return _with(new, done)


def _with(service: Service, ports: Sequence[ServicePort]) -> Service:
    return replace(service, spec=replace(service.spec, ports=tuple(ports)))


# ---- what a client did not say again


def _kept(new: Service, old: Service) -> Service:
    """Addresses and ports that an update leaves out are those which the Service has."""
    spec = new.spec
    if kind_of.needs_cluster_ip(new) and kind_of.needs_cluster_ip(old):
        if not spec.clusterIP:
            spec = replace(spec, clusterIP=old.spec.clusterIP)
        if not spec.clusterIPs and spec.clusterIP == old.spec.clusterIP:
            spec = replace(spec, clusterIPs=old.spec.clusterIPs)
    if kind_of.needs_node_ports(new) and kind_of.needs_node_ports(old):
        used = [port for port in kind_of.node_ports(old) if port in kind_of.node_ports(new)]
        by_name = {port.name: port.nodePort for port in old.spec.ports}
        ports = []
        for port in spec.ports:
            known = by_name.get(port.name, 0)
            if not port.nodePort and known and known not in used:
                used.append(known)
                port = replace(port, nodePort=known)
            ports.append(port)
        spec = replace(spec, ports=tuple(ports))
    if kind_of.needs_health_check(new) and kind_of.needs_health_check(old) and not spec.healthCheckNodePort:
        spec = replace(spec, healthCheckNodePort=old.spec.healthCheckNodePort)
    return replace(new, spec=spec)


def _in_step(new: Service, old: Service | None) -> Service:
    """clusterIPs follows clusterIP where a client knows only the latter."""
    spec = new.spec
    if old is None:
        follow = bool(spec.clusterIP) and not spec.clusterIPs
    else:
        if old.spec.clusterIPs and not spec.clusterIPs and spec.clusterIP == old.spec.clusterIP:
            spec = replace(spec, clusterIPs=old.spec.clusterIPs)
        follow = spec.clusterIP != old.spec.clusterIP and spec.clusterIPs == old.spec.clusterIPs
    if follow:
        spec = replace(spec, clusterIPs=(spec.clusterIP,) if spec.clusterIP else ())
    return replace(new, spec=spec)


# ---- ranges


def _first(network: _Network) -> int:
    return int(network.network_address) + 1


def _last(network: _Network) -> int:
    """The broadcast address of IPv4 is nobody's."""
    return int(network.broadcast_address) - (1 if network.version == 4 else 0)


def _reserved(network: _Network) -> int:
    size = network.num_addresses
    return 0 if size <= LEAST_RESERVED else min(MOST_RESERVED, max(LEAST_RESERVED, size // RESERVED_PART))


def _add(counts: dict[K, int], key: K, step: int) -> None:
    counts[key] = counts.get(key, 0) + step
    if not counts[key]:
        del counts[key]


def _refused(service: Service, error: FieldError) -> Invalid:
    return Invalid.of("", "Service", service.metadata.name, [error])
