"""Manifests to objects: YAML or JSON text, files, folders, plain values; and applying them to a cluster."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from kubelet_lite.api import encoding, yaml_text
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.requests import APPLY_PATCH
from kubelet_lite.client.base import Client
from kubelet_lite.client.waiting import wait

SUFFIXES: Final = (".yaml", ".yml", ".json")
FIRST: Final = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "ConfigMap", "Secret")
"""Kinds that others may need, applied before them."""
ESTABLISHED_SECONDS: Final = 30.0
"""How long objects wait for a definition that is applied together with them."""
Source = str | Path | Mapping[str, Any] | msgspec.Struct | Iterable[Any]
"""A path of a file or folder, YAML or JSON text, one object (typed or plain), or several of these."""


def is_path(source: str | Path) -> bool:
    """Whether it is no text: one line that does not begin like JSON."""
    return isinstance(source, Path) or ("\n" not in source and not source.lstrip().startswith("{"))


def read(source: Source) -> list[dict[str, Any]]:
    """The objects of a source as plain JSON values, Lists opened. Raises BadRequest for what is no object, OSError for no file."""
    found = list(_objects(source))
    for number, value in enumerate(found):
        missing = [name for name in ("apiVersion", "kind") if not isinstance(value, dict) or not value.get(name)]
        if missing:
            raise BadRequest(f"objects[{number}]: a manifest needs apiVersion and kind, there is no {' and no '.join(missing)}: {str(value)[:200]}")
    return found


def _objects(source: Source) -> Iterator[Any]:
    if isinstance(source, msgspec.Struct):
        yield encoding.to_json(source)
    elif isinstance(source, Mapping):
        yield from _opened(dict(source))
    elif isinstance(source, Path):
        files = sorted(p for p in source.iterdir() if p.suffix in SUFFIXES) if source.is_dir() else [source]
        for file in files:
            try:
                yield from _parsed(file.read_text())
            except BadRequest as error:
                raise BadRequest(f"{file}: {error.message}") from error
    elif isinstance(source, str):
        yield from _objects(Path(source)) if is_path(source) else _parsed(source)
    elif isinstance(source, Iterable):
        for part in source:
            yield from _objects(part)
    else:
        raise BadRequest(f"{source!r} is no manifest: say a path, YAML or JSON text, an object, or several of these")


def _parsed(text: str) -> Iterator[Any]:
    if text.lstrip().startswith("{"):
        with suppress(msgspec.DecodeError):
            yield from _opened(msgspec.json.decode(text))
            return
    try:
        for document in yaml_text.load_all(text):
            yield from _opened(document)
    except yaml_text.YamlError as error:
        raise BadRequest(f"not a manifest: {error}") from error


def _opened(value: Any) -> Iterator[Any]:
    """With the items of Lists, which may name their kind for all of them."""
    kind = str(value.get("kind", "")) if isinstance(value, dict) else ""
    if not kind.endswith("List") or not isinstance(value.get("items"), list):
        yield value
        return
    named = {"kind": kind.removesuffix("List"), "apiVersion": value.get("apiVersion", "")} if kind != "List" else {}
    for item in value["items"]:
        yield {**named, **item} if isinstance(item, dict) else item


async def apply(client: Client, source: Source, *, namespace: str = "default") -> tuple[Any, ...]:
    """Server-side apply of every object, in an order in which each finds what it needs; the applied objects in the order of the source."""
    objects = read(source)
    answers: dict[int, Any] = {}
    for position in sorted(range(len(objects)), key=lambda i: _rank(objects[i])):
        value = objects[position]
        resource = await client.find_kind(value["apiVersion"], value["kind"])
        if resource is None and (definition := _definition_of(value, objects)):
            await wait(client, f"customresourcedefinition/{definition}", "condition=Established", timeout_seconds=ESTABLISHED_SECONDS)
            resource = await client.find_kind(value["apiVersion"], value["kind"])
        if resource is None:
            raise BadRequest(f'no matches for kind "{value["kind"]}" in version "{value["apiVersion"]}"')
        metadata = value.get("metadata") or {}
        name = metadata.get("name", "")
        if not name:
            raise BadRequest(f'{value["kind"]}: metadata.name is needed to apply an object')
        place = metadata.get("namespace", namespace) if resource.namespaced else ""
        answers[position] = await client.patch(resource, name, value, content_type=APPLY_PATCH, namespace=place, force=True)
    return tuple(answers[position] for position in range(len(objects)))


def _definition_of(value: Mapping[str, Any], objects: Iterable[Mapping[str, Any]]) -> str:
    """The name of the definition among these objects that makes an object's kind; "" where there is none."""
    group = value["apiVersion"].rpartition("/")[0]
    for other in objects:
        spec = other.get("spec") if other["kind"] == "CustomResourceDefinition" else None
        if isinstance(spec, Mapping) and spec.get("group") == group and (spec.get("names") or {}).get("kind") == value["kind"]:
            return str((other.get("metadata") or {}).get("name", ""))
    return ""


def _rank(value: Mapping[str, Any]) -> int:
    return FIRST.index(value["kind"]) if value["kind"] in FIRST else len(FIRST)
