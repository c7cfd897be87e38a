"""JSONPath of printer columns."""
from __future__ import annotations

from typing import Any

import pytest

from kubelet_lite.api.json_path import PathError, compile_path

VALUE = {
    "spec": {"size": 3, "list": [{"a": 1}, {"a": 2}, {"b": 3}], "a.b": "dotted"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(("path", "found"), [
    (".spec.size", [3]), (".spec['a.b']", ["dotted"]), (r".spec.a\.b", ["dotted"]), (".spec.list[0].a", [1]), (".spec.list[-1].b", [3]),
    (".spec.list[*].a", [1, 2]), (".spec.list[0:2].a", [1, 2]), (".spec.list[::2]", [{"a": 1}, {"b": 3}]), (".spec.nothing.more", []),
    ('.status.conditions[?(@.type=="Ready")].status', ["True"]), (".status.conditions[?(@.type!='Ready')].status", ["False"]),
    (".spec.list[?(@.a>1)].a", [2]), (".spec.list[?(@.b)]", [{"b": 3}]), ("..type", ["Ready", "Other"]), (".spec.list[9]", []), (".spec.size[0]", []),
    (".spec.*", [3, VALUE["spec"]["list"], "dotted"]), ("spec.size", [3]), (".spec.list[?(@.a<'x')]", []),
])
def test_a_path_finds(path: str, found: list[Any]) -> None:
    assert list(compile_path(path)(VALUE)) == found


@pytest.mark.parametrize("path", [".spec[", ".spec[x]", ".spec[?(a)]", ".spec[]", ".list[?(@.a==b)]"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(PathError):
        compile_path(path)
