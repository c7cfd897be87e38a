"""/metrics: what the parts count about themselves, in the Prometheus text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from kubelet_lite.registry.authorization.attributes import Attributes

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES: Final = 2048
"""Different requests that are counted apart (verb, resource, code); what comes after is counted under no name."""
_NOT_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")


class Requests(msgspec.Struct):
    """How often what was answered how."""

    counts: dict[tuple[str, str, int], int] = msgspec.field(default_factory=dict)

    def count(self, asked: Attributes | None, code: int) -> None:
        key = (asked.verb, asked.resource, code) if asked is not None else ("", "", code)
        found = self.counts.get(key)
        if found is None and len(self.counts) >= MAX_SERIES:
            key = ("", "", 0)
            found = self.counts.get(key, 0)
        self.counts[key] = (found or 0) + 1


def exposition(requests: Requests, statistics: Mapping[str, Mapping[str, float]]) -> str:
    """All series: `apiserver_request_total`, and one gauge for each number that an actor tells about itself."""
    return "\n".join([*_requests(requests), *_statistics(statistics)]) + "\n"


def _requests(requests: Requests) -> Iterator[str]:
    yield "# HELP apiserver_request_total Requests answered, by verb, resource and code."
    yield "# TYPE apiserver_request_total counter"
    for (verb, resource, code), count in sorted(requests.counts.items()):
        yield f'apiserver_request_total{{code="{code}",resource="{_escaped(resource)}",verb="{_escaped(verb)}"}} {count}'


def _statistics(statistics: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    names: dict[str, list[tuple[str, float]]] = {}
    for actor, numbers in statistics.items():
        for name, value in numbers.items():
            names.setdefault(name, []).append((actor, value))
    for name, rows in sorted(names.items()):
        metric = f"kubelet_lite_{_NOT_A_NAME.sub('_', name)}"
        yield f"# TYPE {metric} gauge"
        for actor, value in sorted(rows):
            yield f'{metric}{{actor="{_escaped(actor)}"}} {value:g}'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
