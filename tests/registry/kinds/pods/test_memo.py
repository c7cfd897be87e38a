"""What is remembered of a spec is what would be computed."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Container, PodSpec
from kubelet_lite.registry.kinds.pods import memo
from kubelet_lite.registry.kinds.pods.memo import SpecMemo


def spec(name: str) -> PodSpec:
    return PodSpec(containers=(Container(name=name, image="nginx"),))


def test_an_equal_spec_is_not_computed_again() -> None:
    seen: list[PodSpec] = []
    remembered: SpecMemo[int] = SpecMemo()
    first, same = spec("a"), spec("a")
    assert remembered.get(first, lambda s: len(seen)) == 0
    seen.append(first)
    assert remembered.get(same, lambda s: len(seen)) == 0
    assert remembered.get(replace(same, nodeName="n"), lambda s: len(seen)) == 1


def test_the_oldest_are_forgotten() -> None:
    remembered: SpecMemo[str] = SpecMemo()
    for i in range(memo.MOST_SPECS + 10):
        remembered.get(spec(f"c{i}"), lambda s: s.containers[0].name)
    assert remembered.get(spec("c0"), lambda s: "again") == "again"
    assert remembered.get(spec(f"c{memo.MOST_SPECS}"), lambda s: "again") == f"c{memo.MOST_SPECS}"
