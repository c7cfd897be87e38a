import json
from pathlib import Path

import pytest

from kubelet_lite.api.resources import RESOURCES
from kubelet_lite.apiserver.discovery import Discovery, aggregated_form

RECORDED = Path(__file__).parents[1] / "recorded"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.fixture
def discovery():
    return Discovery(lambda: RESOURCES, "127.0.0.1:6443")


@pytest.mark.parametrize("path", sorted((RECORDED / "scenarios").glob("discovery--*.json")), ids=lambda path: path.stem)
def test_each_group_version_is_as_recorded(discovery, path):
    for step in json.loads(path.read_text())["steps"]:
        assert json.loads(discovery.document(step["path"], "application/json").body) == step["answer"]["body"]


def test_all_at_once_is_as_recorded(discovery):
    items = [item for path in ("/api", "/apis") for item in json.loads(discovery.document(path, AGGREGATED).body)["items"]]
    for item in items:
        item["metadata"].pop("creationTimestamp", None)
    assert items == json.loads((RECORDED / "facts" / "discovery.json").read_text())


@pytest.mark.parametrize(("accept", "form"), [
    (AGGREGATED, "v2"),
    (f"{AGGREGATED.replace('v=v2', 'v=v2beta1')},application/json", "v2beta1"),
    ("application/json", ""),
    (f"application/json,{AGGREGATED}", ""),
    ("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json", ""),
])
def test_the_first_form_that_is_accepted_is_taken(accept, form):
    assert aggregated_form(accept) == form


async def test_documents_are_known_by_their_hash(http):
    first = await http.get("/apis", Accept=AGGREGATED)
    assert first.headers["Content-Type"] == AGGREGATED
    again = await http.get("/apis", Accept=AGGREGATED, If_None_Match=first.headers["Etag"])
    assert (again.status, again.body) == (304, b"")
