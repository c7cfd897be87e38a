"""Manifests: what a source is, and the objects in it."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubelet_lite.api.core_v1 import Namespace
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.manifests import is_path, read

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
VALUE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


@pytest.mark.parametrize(("source", "path"), [
    (Path("a\nb"), True), ("a.yaml", True), ("some folder", True), (MAP, False), (' {"kind": "List"}', False), ("{}", False),
])
def test_a_source_of_one_line_is_a_path_unless_it_begins_like_json(source: str | Path, path: bool) -> None:
    assert is_path(source) is path


def test_text_files_folders_values_and_objects_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MAP)
    (tmp_path / "b.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')
    (tmp_path / "README").write_text("no manifest")
    assert read(tmp_path) == read(f"{MAP}---\n---\n{MAP}") == [VALUE, VALUE]
    assert read([str(tmp_path / "a.yaml"), VALUE, Namespace(metadata=ObjectMeta(name="n"))]) == [
        VALUE, VALUE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "spec": {}, "status": {}},
    ]


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MAP)
    (tmp_path / "b.yaml").write_text("a: [")
    with pytest.raises(BadRequest, match=r"/b\.yaml: not a manifest: yaml: "):
        read(tmp_path)


def test_the_items_of_a_list_may_leave_their_kind_to_it() -> None:
    assert read({"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "a"}}]}) == [VALUE]
    assert read('{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]}') == [VALUE]


def test_scalars_mean_what_they_mean_to_kubectl() -> None:
    (value,) = read(f"{MAP}data: {{day: 2024-01-01, time: 1:30, mode: 0644, on: yes}}\n")
    assert value["data"] == {"day": "2024-01-01", "time": "1:30", "mode": 420, "true": True}


@pytest.mark.parametrize(("source", "message"), [
    ("a: [\n", "not a manifest: yaml: "),
    ("{a", "not a manifest: yaml: "),
    (f"{MAP}---\nkind: Pod\n", r"objects\[1\]: a manifest needs apiVersion and kind, there is no apiVersion: {'kind': 'Pod'}"),
    ("- 1\n", r"objects\[0\]: a manifest needs apiVersion and kind, there is no apiVersion and no kind: \[1\]"),
    ({"kind": "List", "apiVersion": "v1", "items": [VALUE, {}]}, r"objects\[1\]: .* there is no apiVersion and no kind: {}"),
])
def test_what_is_no_manifest_is_named_by_its_place(source: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=f"^{message}"):
        read(source)
