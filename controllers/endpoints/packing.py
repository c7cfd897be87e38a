"""Packs endpoints into slices of at most 100 with as few writes as may be, and each slice full rather than many half full. Pure.

An endpoint stays in the slice where it is. What is new goes into slices that are written anyway, the fullest first; what is left then
into one slice that has room for all of it, or into new ones. A slice that nobody needs any more becomes the one that is to be made.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.api.discovery_v1 import Endpoint, EndpointPort, EndpointSlice
from kubelet_lite.controllers.endpoints import ports as endpoint_ports

MAX_ENDPOINTS: Final = 100
"""maxEndpointsPerSlice."""

Ports = tuple[EndpointPort, ...]
Identity = tuple[tuple[str, ...], str, str, str]


class Changes(msgspec.Struct):
    """Slices to be made, changed and deleted; none is in two of them."""

    made: list[tuple[Ports, list[Endpoint]]] = msgspec.field(default_factory=list)
    changed: list[tuple[EndpointSlice, Ports, list[Endpoint]]] = msgspec.field(default_factory=list)
    gone: list[EndpointSlice] = msgspec.field(default_factory=list)


def identity(endpoint: Endpoint) -> Identity:
    """What makes an endpoint the same one, whatever else changes about it."""
    reference = endpoint.targetRef
    return (
        tuple(sorted(endpoint.addresses)), endpoint.hostname or "", reference.namespace if reference is not None else "",
        reference.name if reference is not None else "",
    )


def pack(wanted: Mapping[Ports, Sequence[Endpoint]], existing: Sequence[EndpointSlice], labels: Mapping[str, str]) -> Changes:
    """`wanted`: by their ports, in the order of a slice. Without any endpoint one slice stays, without endpoints and without ports."""
    known: dict[Ports, list[EndpointSlice]] = {}
    for slice_ in existing:
        known.setdefault(endpoint_ports.of_slice(slice_.ports), []).append(slice_)
    changes = Changes()
    for ports, endpoints in wanted.items():
        _pack_same_ports(ports, endpoints, known.pop(ports, []), labels, changes)
    changes.gone += [slice_ for slices in known.values() for slice_ in slices]
    if len(changes.gone) == len(existing) and not changes.made:
        if len(changes.gone) == 1 and _is_placeholder(changes.gone[0], labels):
            changes.gone.clear()
        else:
            changes.made.append(((), []))
    while changes.made and changes.gone:
        ports, made = changes.made.pop()
        changes.changed.append((changes.gone.pop(0), ports, made))
    return changes


def _is_placeholder(slice_: EndpointSlice, labels: Mapping[str, str]) -> bool:
    return not slice_.endpoints and not slice_.ports and slice_.metadata.labels == labels


def _pack_same_ports(
    ports: Ports, endpoints: Sequence[Endpoint], existing: Sequence[EndpointSlice], labels: Mapping[str, str], changes: Changes,
) -> None:
    missing = {identity(endpoint): endpoint for endpoint in endpoints}
    changed: list[tuple[EndpointSlice, list[Endpoint]]] = []
    unchanged: list[EndpointSlice] = []
    for slice_ in existing:
        here = [found for endpoint in slice_.endpoints if (found := missing.pop(identity(endpoint), None)) is not None]
        if here == list(slice_.endpoints) and slice_.metadata.labels == labels:
            unchanged.append(slice_)
        elif slice_.endpoints and not here:
            changes.gone.append(slice_)
        else:
            changed.append((slice_, here))
    rest = list(missing.values())
    for _, here in sorted(changed, key=lambda pair: -len(pair[1])):
        room = max(MAX_ENDPOINTS - len(here), 0)
        here += rest[:room]
        rest = rest[room:]
    while len(rest) >= MAX_ENDPOINTS:
        changes.made.append((ports, rest[:MAX_ENDPOINTS]))
        rest = rest[MAX_ENDPOINTS:]
    roomy = _closest_to_full(unchanged, len(rest))
    if rest and roomy is not None:
        changed.append((roomy, [*roomy.endpoints, *rest]))
    elif rest:
        changes.made.append((ports, rest))
    changes.changed += [(slice_, ports, here) for slice_, here in changed]


def _closest_to_full(slices: Sequence[EndpointSlice], number: int) -> EndpointSlice | None:
    """The slice that is fullest of those that have room for so many more."""
    fitting = [slice_ for slice_ in slices if len(slice_.endpoints) + number <= MAX_ENDPOINTS]
    return max(fitting, key=lambda slice_: len(slice_.endpoints), default=None)
