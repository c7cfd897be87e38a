"""Which devices claims get, plainly: all ways to satisfy all requests are written down in order, and the first that breaks no rule wins."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Devices = Sequence[Mapping[str, Any]]
"""Each with driver, pool, slice, name, n, kind, tainted, shared, memory, counter."""
Way = tuple[str, Mapping[str, Any], tuple[Mapping[str, Any], ...]]
"""The name of the request or alternative, what it asks for, and the devices."""
SELECTORS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    'device.attributes["d.io"].n > 1': lambda device: device["n"] > 1,
    'device.attributes["d.io"].n == 0': lambda device: device["n"] == 0,
    "true": lambda device: True,
}


def allocate(claims: Sequence[Mapping[str, Any]], devices: Devices, taken: Sequence[str], counters: int) -> list[tuple[int, str, str]] | None:
    """Claim, request and device, for each that is given away."""
    options = [[(number, way) for way in _ways(request, devices)] for number, claim in enumerate(claims) for request in claim["requests"]]
    for chosen in itertools.product(*options):
        if _holds(claims, chosen, devices, taken, counters):
            return [(number, name, device["name"]) for number, (name, _, given) in chosen for device in given]
    return None


def _ways(request: Mapping[str, Any], devices: Devices) -> Iterator[Way]:
    for name, asks in request["alternatives"]:
        fitting = [device for device in devices if SELECTORS[asks["selector"]](device) and (not asks["memory"] or asks["memory"] <= device["memory"])]
        if asks["count"] is None:
            if fitting:
                yield name, asks, tuple(fitting)
        else:
            yield from ((name, asks, given) for given in itertools.combinations(fitting, asks["count"]))


def _holds(claims: Sequence[Mapping[str, Any]], chosen: Sequence[tuple[int, Way]], devices: Devices, taken: Sequence[str], counters: int) -> bool:
    used: list[tuple[int, str, Mapping[str, Any], Mapping[str, Any]]] = []
    for number, (name, asks, given) in chosen:
        for device in given:
            same = [(other, more) for other, _, more, it in used if it is device]
            if device["tainted"] and not asks["tolerates"]:
                return False
            if asks["admin"]:
                if not device["shared"] and any(other == number for other, _ in same):
                    return False
            elif not device["shared"] and (device["name"] in taken or same):
                return False
            if device["shared"]:
                amounts = [(more["memory"] or device["memory"]) for _, more in same]
                if sum(amounts) + (asks["memory"] or device["memory"]) > device["memory"]:
                    return False
            used.append((number, name, asks, device))
    for number, claim in enumerate(claims):
        for kind, only in claim["constraints"]:
            values = [device["kind"] for other, name, _, device in used if other == number and (not only or name.partition("/")[0] in only)]
            if any(value is None for value in values):
                return False
            if len(set(values)) > 1 if kind == "match" else len(set(values)) < len(values):
                return False
    picked = [device["counter"] for _, _, _, device in used]
    return not any(picked) or sum(picked) + sum(device["counter"] for device in devices if device["name"] in taken) <= counters
