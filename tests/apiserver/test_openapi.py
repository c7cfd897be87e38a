import importlib
import json

import msgspec
import pytest

from kubelet_lite.api.core_v1 import Container, Pod
from kubelet_lite.api.resources import RESOURCES
from kubelet_lite.apiserver.openapi import schemas
from kubelet_lite.apiserver.openapi.descriptions import described
from kubelet_lite.apiserver.openapi.documents import OpenApi

REFERENCE = "#/components/schemas/"


def references(value):
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "$ref" and isinstance(part, str):
                yield part
            else:
                yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


@pytest.mark.parametrize("path", ["api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1", "apis/resource.k8s.io/v1"])
def test_every_reference_of_a_document_leads_somewhere(path):
    document = json.loads(OpenApi().v3(path).body)
    names = {f"{REFERENCE}{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= names


def test_every_kind_has_a_schema_that_says_which_kind_it_is():
    for resource in RESOURCES:
        kinds = schemas.schema(resource.type).get("x-kubernetes-group-version-kind", [])
        assert {"group": resource.group, "version": resource.version, "kind": resource.kind} in kinds


def test_a_schema_says_what_patches_need_to_know():
    properties = schemas.schema(Container)["properties"]
    assert properties["env"]["x-kubernetes-patch-merge-key"] == "name"
    assert properties["ports"]["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert properties["imagePullPolicy"]["enum"] == ["Always", "IfNotPresent", "Never"]
    assert schemas.schema(Pod)["type"] == "object"


def test_fields_and_their_types_are_those_of_the_definitions():
    """What the package kubernetes-validate knows of each type (without the fields that are not served by default)."""
    wrong = []
    modules = sorted({resource.type.__module__ for resource in RESOURCES})
    for module in modules:
        for kind in vars(importlib.import_module(module)).values():
            known = described().get(schemas.name_of(kind)) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None
            if not known or kind.__name__ == "Base":
                continue
            for name, found in schemas.schema(kind).get("properties", {}).items():
                wanted = known.get("properties", {}).get(name, {}).get("type")
                wanted = wanted[0] if isinstance(wanted, list) else wanted
                if wanted and found.get("type", wanted) != wanted:
                    wrong.append((kind.__name__, name, wanted, found["type"]))
    assert not wrong


async def test_the_index_leads_to_documents_that_never_change(http):
    index = (await http.get("/openapi/v3")).json["paths"]
    url = index["apis/apps/v1"]["serverRelativeURL"]
    document = await http.get(url)
    assert document.headers["Cache-Control"] == "public, immutable"
    assert document.json["openapi"] == "3.0.0"
    assert "patch" in document.json["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]


async def test_version_two_is_offered_as_json_and_as_protobuf(http):
    document = (await http.get("/openapi/v2")).json
    assert document["swagger"] == "2.0"
    assert "io.k8s.api.core.v1.Pod" in document["definitions"]
    binary = await http.get("/openapi/v2", Accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert binary.body.startswith(b"\x0a\x032.0")
