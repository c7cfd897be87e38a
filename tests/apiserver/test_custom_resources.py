"""Custom resources over HTTP: paths, discovery, OpenAPI, tables, and what is told to who asks for what is not there."""
from __future__ import annotations

import asyncio

import pytest

from kubelet_lite.api.encoding import to_json
from kubelet_lite.apiserver.openapi.custom import as_version_2
from tests.registry.custom.things import GROUP, SPEC, definition, version

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = f"/apis/{GROUP}/v1/namespaces/default/things"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
COLUMNS = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}, {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1}]
SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def thing(name="t", **spec):
    return {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": name}, "spec": {"size": 1, **spec}}


@pytest.fixture
async def things(http):
    """A server on which a definition is established."""
    names = {"shortNames": ["th"], "categories": ["all"]}
    made = definition(version(subresources={"status": {}, "scale": SCALE}, additionalPrinterColumns=COLUMNS), version("v2beta1", storage=False), names=names)
    assert (await http.post(DEFINITIONS, to_json(made))).status == 201
    for _ in range(200):
        if (await http.get(f"/apis/{GROUP}")).status == 200:
            return http
        await asyncio.sleep(0.01)
    raise AssertionError("not served")


async def test_a_group_and_its_versions_are_found(things):
    group = (await things.get(f"/apis/{GROUP}")).json
    assert [v["version"] for v in group["versions"]] == ["v1", "v2beta1"]
    assert GROUP in [g["name"] for g in (await things.get("/apis")).json["groups"]]
    rows = {row["name"]: row for row in (await things.get(f"/apis/{GROUP}/v1")).json["resources"]}
    assert rows["things"]["shortNames"] == ["th"]
    assert rows["things"]["categories"] == ["all"]
    assert rows["things/scale"] == {
        "name": "things/scale", "singularName": "", "namespaced": True, "group": "autoscaling", "version": "v1", "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }
    (found,) = [item for item in (await things.get("/apis", Accept=AGGREGATED)).json["items"] if item["metadata"]["name"] == GROUP]
    assert [part["subresource"] for part in found["versions"][0]["resources"][0]["subresources"]] == ["status", "scale"]
    hashes = {(await things.get(f"/apis/{GROUP}/{name}")).json["resources"][0]["storageVersionHash"] for name in ("v1", "v2beta1")}
    assert len(hashes) == 1  # both are stored as one


async def test_discovery_follows_within_the_request_after(things):
    await things("DELETE", f"{DEFINITIONS}/things.{GROUP}")
    for _ in range(200):
        if (await things.get(f"{DEFINITIONS}/things.{GROUP}")).status == 404:
            break
        await asyncio.sleep(0.01)
    assert (await things.get(f"/apis/{GROUP}")).body == b"404 page not found\n"
    assert GROUP not in (await things.get("/apis")).body.decode()
    assert f"apis/{GROUP}/v1" not in (await things.get("/openapi/v3")).json["paths"]
    assert (await things.get(THINGS)).status == 404


async def test_open_api_says_what_the_schema_says(things):
    index = (await things.get("/openapi/v3")).json["paths"]
    document = (await things.get(index[f"apis/{GROUP}/v1"]["serverRelativeURL"])).json
    found = document["components"]["schemas"]["com.example.stable.v1.Thing"]
    assert found["x-kubernetes-group-version-kind"] == [{"group": GROUP, "kind": "Thing", "version": "v1"}]
    assert found["properties"]["spec"] == SPEC
    assert found["properties"]["metadata"]["allOf"] == [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]
    assert document["components"]["schemas"]["com.example.stable.v1.ThingList"]["properties"]["items"]["items"]["$ref"].endswith("v1.Thing")
    patch = document["paths"][f"/apis/{GROUP}/v1/namespaces/{{namespace}}/things/{{name}}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    second = (await things.get("/openapi/v2")).json["definitions"]["com.example.stable.v1.Thing"]
    assert second["properties"]["spec"]["properties"]["size"] == {"type": "integer", "minimum": 1}
    assert (await things.get("/openapi/v2", Accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")).status == 200


def test_version_two_leaves_out_what_it_cannot_say():
    schema = {"type": "object", "nullable": True, "properties": {"p": {"x-kubernetes-int-or-string": True, "type": "string", "anyOf": [{}]}}}
    assert as_version_2(schema) == {"properties": {"p": {"x-kubernetes-int-or-string": True}}}


async def test_rows_have_the_printer_columns(things):
    await things.post(THINGS, thing(size=3))
    table = (await things.get(THINGS, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")).json
    assert [(c["name"], c["priority"]) for c in table["columnDefinitions"]] == [("Name", 0), ("Size", 0), ("Color", 1)]
    assert table["rows"][0]["cells"] == ["t", 3, "red"]
    table = (await things.get(f"/apis/{GROUP}/v2beta1/things", Accept="application/json;as=Table;v=v1;g=meta.k8s.io")).json
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Age"]


async def test_a_list_names_the_version_of_the_request(things):
    await things.post(THINGS, thing())
    found = (await things.get(f"/apis/{GROUP}/v2beta1/things")).json
    assert (found["kind"], found["apiVersion"], found["metadata"]["continue"]) == ("ThingList", f"{GROUP}/v2beta1", "")
    assert found["items"][0]["apiVersion"] == f"{GROUP}/v2beta1"


async def test_what_is_not_there(things):
    await things.post(THINGS, thing())
    for path in (f"/apis/{GROUP}/v9/things", f"/apis/{GROUP}/v1/others", f"/apis/{GROUP}/v9"):
        assert (await things.get(path)).body == b"404 page not found\n"
    assert (await things.get(f"{THINGS}/t/nothing")).message == f'things.{GROUP} "t" not found'
    assert (await things.get(f"{THINGS}/other")).message == f'things.{GROUP} "other" not found'


async def test_bodies_that_are_no_such_object(things):
    answer = await things.post(THINGS, {"metadata": {"name": "t"}, "spec": {"size": 1}})
    assert answer.status == 400
    assert answer.message.startswith('Thing in version "v1" cannot be handled as a Thing: Object \'Kind\' is missing in')
    assert (await things.post(THINGS, {**thing(), "apiVersion": f"{GROUP}/v2beta1"})).message == (
        f"the API version in the data ({GROUP}/v2beta1) does not match the expected API version ({GROUP}/v1)"
    )
    assert (await things.post(THINGS, {**thing(), "kind": "Other"})).message == f'Thing.{GROUP} "t" is invalid: kind: Invalid value: "Other": must be Thing'
    answer = await things("PATCH", f"{THINGS}/t", {}, Content_Type="application/strategic-merge-patch+json")
    assert answer.json == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "UnsupportedMediaType", "code": 415,
        "message": "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
        "application/merge-patch+json, application/apply-patch+yaml",
    }
    answer = await things.post(THINGS, b"k8s\x00", Content_Type="application/vnd.kubernetes.protobuf")
    assert (answer.status, answer.message.rpartition(": ")[2]) == (415, "application/json, application/yaml")


async def test_a_body_nested_beyond_the_limit_is_refused_in_words(things):
    value = {}
    for _ in range(400):
        value = {"a": value}
    assert "must not be nested deeper than" in (await things.post(THINGS, thing(free=value))).message
    rules = {"type": "object"}
    for _ in range(200):
        rules = {"type": "object", "properties": {"a": rules}}
    answer = await things.post(DEFINITIONS, to_json(definition(version(spec=rules), plural="deeps", kind="Deep")))
    assert answer.status == 422
    assert "must not be nested deeper than" in answer.message
    for _ in range(200):
        rules = {"type": "object", "properties": {"a": rules}}
    definitely = to_json(definition(plural="deeps", kind="Deep"))
    definitely["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = rules
    assert "exceeded max depth" in (await things.post(DEFINITIONS, definitely)).message
