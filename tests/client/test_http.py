"""The client over HTTP: what it asks, and what it makes of the answers."""
import contextlib

import anyio
import pytest
from aiohttp import web

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.authentication_v1 import TokenRequest
from kubelet_lite.api.autoscaling_v1 import Scale
from kubelet_lite.api.core_v1 import Binding, ConfigMap, Node, ObjectReference, Pod
from kubelet_lite.api.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
)
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta, Status
from kubelet_lite.api.requests import APPLY_PATCH, MERGE_PATCH, ListOptions
from kubelet_lite.api.resources import define
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.client.base import LogOptions, Preconditions
from kubelet_lite.client.http import HttpClient
from kubelet_lite.client.kubeconfig import Server
from tests.client.api_stub import lines, stub

POD = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "namespace": "n", "resourceVersion": "7"}}
CONFIG = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c", "namespace": "n"}, "data": {"a": "1"}}
WIDGETS = define(group="x.example.com", version="v1", plural="widgets", singular="widget", kind="Widget", namespaced=True, verbs=())


def status(code, reason, **more):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": f"{reason}!", **more}


async def test_an_object_is_read_typed():
    async with stub((200, POD)) as (client, asked):
        pod = await client.get(Pod, "p", namespace="n", resource_version="0")
    assert (type(pod), pod.metadata.resourceVersion) == (Pod, "7")
    assert (asked[0].method, asked[0].path, asked[0].query) == ("GET", "/api/v1/namespaces/n/pods/p", {"resourceVersion": "0"})
    assert asked[0].header("Authorization") == ["Bearer secret"]
    assert asked[0].header("User-Agent") == ["kubelet-lite"]


async def test_what_a_newer_server_adds_is_dropped():
    newer = {**CONFIG, "novelty": {"x": 1}, "metadata": {"name": "c", "shiny": True, "labels": None}}
    async with stub((200, newer), (200, {"kind": "ConfigMapList", "metadata": {"resourceVersion": "9"}, "items": [newer]})) as (client, _):
        assert await client.get(ConfigMap, "c", namespace="n") == ConfigMap(metadata=ObjectMeta(name="c"), data={"a": "1"})
        assert (await client.list(ConfigMap)).items == (ConfigMap(metadata=ObjectMeta(name="c"), data={"a": "1"}),)


async def test_cluster_scoped_objects_have_no_namespace_in_their_path_and_names_are_escaped():
    async with stub((200, {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a:b"}}), (200, {**CONFIG, "kind": "Deployment"})) as (client, asked):
        await client.get(Node, "a:b", namespace="ignored")
        with contextlib.suppress(ApiError):
            await client.get(Deployment, "d", namespace="n", subresource="status")
    assert [a.path for a in asked] == ["/api/v1/nodes/a%3Ab", "/apis/apps/v1/namespaces/n/deployments/d/status"]


async def test_a_list_is_a_page_and_the_query_says_which():
    page = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9", "continue": "more", "remainingItemCount": 3}, "items": [{"metadata": {"name": "p"}}]}
    async with stub((200, page), (200, {"kind": "PodList", "metadata": {}, "items": None})) as (client, asked):
        found = await client.list(Pod, namespace="n", options=ListOptions(label_selector="a=b,c", limit=1, continue_="x y", resource_version_match="Exact"))
        assert ([p.metadata.name for p in found.items], found.resource_version, found.continue_, found.remaining) == (["p"], "9", "more", 3)
        assert (await client.list(Pod)).items == ()
    assert asked[0].query == {"labelSelector": "a=b,c", "limit": "1", "continue": "x y", "resourceVersionMatch": "Exact"}
    assert (asked[1].path, asked[1].query) == ("/api/v1/pods", {})


async def test_writes_carry_manager_validation_and_dry_run():
    async with stub((201, CONFIG), (200, CONFIG), (200, CONFIG), (200, CONFIG)) as (client, asked):
        config = ConfigMap(metadata=ObjectMeta(name="c", namespace="n"), data={"a": "1"})
        assert (await client.create(config)).data == {"a": "1"}
        await client.update(config, dry_run=True)
        await client.patch(ConfigMap, "c", {"data": None}, content_type=MERGE_PATCH, namespace="n")
        await client.patch(ConfigMap, "c", config, content_type=APPLY_PATCH, namespace="n", force=True)
    assert [(a.method, a.path) for a in asked] == [("POST", "/api/v1/namespaces/n/configmaps")] + [
        (method, "/api/v1/namespaces/n/configmaps/c") for method in ("PUT", "PATCH", "PATCH")
    ]
    assert [a.query for a in asked] == [
        {"fieldValidation": "Ignore", "fieldManager": "tests"}, {"fieldValidation": "Ignore", "fieldManager": "tests", "dryRun": "All"},
        {"fieldValidation": "Ignore", "fieldManager": "tests"}, {"fieldValidation": "Ignore", "fieldManager": "tests", "force": "true"},
    ]
    assert asked[0].body == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c", "namespace": "n"}, "data": {"a": "1"}}
    assert asked[2].body == {"data": None}
    assert [a.header("Content-Type") for a in asked[1:]] == [["application/json"], [MERGE_PATCH], [APPLY_PATCH]]


async def test_a_delete_says_how_and_answers_with_the_object_or_a_status():
    async with stub((200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}), (202, POD)) as (client, asked):
        answer = await client.delete(
            Pod, "p", namespace="n", propagation="Foreground", grace_period_seconds=0, preconditions=Preconditions(uid="u", resource_version="3"),
        )
        assert (type(answer), answer.status) == (Status, "Success")
        assert type(await client.delete(Pod, "p", namespace="n")) is Pod
    assert asked[0].body == {
        "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": "u", "resourceVersion": "3"},
        "propagationPolicy": "Foreground",
    }


async def test_a_collection_is_deleted_by_selector():
    async with stub((200, {"kind": "PodList", "items": []})) as (client, asked):
        await client.delete_collection(Pod, namespace="n", options=ListOptions(label_selector="a=b"))
    assert (asked[0].method, asked[0].path, asked[0].query) == ("DELETE", "/api/v1/namespaces/n/pods", {"labelSelector": "a=b"})


async def test_subresources_of_another_kind_are_posted_to_their_owner():
    token = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "status": {"token": "t"}}
    async with stub((201, {"kind": "Status", "apiVersion": "v1", "status": "Success"}), (201, token)) as (client, asked):
        await client.create(Binding(metadata=ObjectMeta(name="p"), target=ObjectReference(kind="Node", name="n1")), namespace="n", subresource="binding")
        assert (await client.create(TokenRequest(), namespace="n", name="sa", subresource="token")).status.token == "t"
    assert [a.path for a in asked] == ["/api/v1/namespaces/n/pods/p/binding", "/api/v1/namespaces/n/serviceaccounts/sa/token"]


async def test_a_scale_is_a_scale_whatever_it_is_of():
    scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 2}}
    async with stub((200, scale), (200, scale)) as (client, _):
        assert (await client.get(Deployment, "d", namespace="n", subresource="scale")) == Scale(metadata=ObjectMeta(name="d"), spec=Scale().spec.__class__(replicas=2))
        patched = await client.patch(Deployment, "d", {"spec": {"replicas": 2}}, content_type=MERGE_PATCH, namespace="n", subresource="scale")
        assert type(patched) is Scale


async def test_bindings_answer_each_for_itself():
    async def answer(request):
        if "/p1/" in request.path:
            return web.json_response(status(409, "Conflict"), status=409)
        return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"}, status=201)

    async with stub(*[answer] * 3) as (client, _):
        answers = await client.bind([Binding(metadata=ObjectMeta(name=f"p{i}", namespace="n"), target=ObjectReference(name="x")) for i in range(3)])
    assert [type(a) for a in answers] == [type(None), Conflict, type(None)]


async def test_custom_resources_are_found_by_kind_and_kept_as_they_are():
    widget = {"kind": "Widget", "apiVersion": "x.example.com/v1", "metadata": {"name": "w", "namespace": "n"}, "spec": {"size": 1, "free": None}}
    discovery = {"kind": "APIResourceList", "resources": [
        {"name": "widgets/status", "kind": "Widget", "namespaced": True}, {"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": ["get"]},
    ]}
    async with stub((200, discovery), (201, widget), (200, widget), (200, {"kind": "WidgetList", "metadata": {}, "items": [widget]})) as (client, asked):
        made = await client.create(Unstructured(kind="Widget", apiVersion="x.example.com/v1", metadata=ObjectMeta(name="w", namespace="n"), fields={"spec": {"size": 1}}))
        assert (made.metadata.name, made.fields["spec"]["size"]) == ("w", 1)
        assert (await client.get(WIDGETS, "w", namespace="n")).kind == "Widget"
        assert (await client.list(WIDGETS)).items[0].fields["spec"]["size"] == 1
    assert [a.path for a in asked] == [
        "/apis/x.example.com/v1", "/apis/x.example.com/v1/namespaces/n/widgets", "/apis/x.example.com/v1/namespaces/n/widgets/w",
        "/apis/x.example.com/v1/widgets",
    ]


async def test_a_kind_that_the_server_does_not_have_is_not_found():
    async with stub((200, {"kind": "APIResourceList", "resources": []})) as (client, _):
        with pytest.raises(NotFound, match='no matches for kind "W" in version'):
            await client.create(Unstructured(kind="W", apiVersion="x.example.com/v2"))


async def test_a_discovered_kind_is_not_asked_for_again():
    discovery = {"kind": "APIResourceList", "resources": [{"name": "widgets", "kind": "Widget", "namespaced": True}]}
    widget = Unstructured(kind="Widget", apiVersion="x.example.com/v1", metadata=ObjectMeta(name="w", namespace="n"))
    answer = {"kind": "Widget", "apiVersion": "x.example.com/v1", "metadata": {"name": "w"}}
    async with stub((200, discovery), (201, answer), (200, answer)) as (client, _):
        await client.create(widget)
        await client.update(widget)


@pytest.mark.parametrize(("code", "reason", "kind"), [
    (404, "NotFound", NotFound), (409, "AlreadyExists", AlreadyExists), (409, "Conflict", Conflict), (410, "Expired", Expired),
])
async def test_a_status_is_raised_as_its_error(code, reason, kind):
    async with stub((code, status(code, reason, details={"name": "p", "causes": [{"reason": "R", "message": "m", "field": "f"}]}))) as (client, _):
        with pytest.raises(kind, match=f"{reason}!") as caught:
            await client.get(Pod, "p", namespace="n")
    assert (caught.value.code, caught.value.details, caught.value.causes[0].field) == (code, {"name": "p"}, "f")


async def test_a_failure_without_a_status_is_an_error_of_its_code():
    async with stub((502, b"bad gateway"), (404, b"")) as (client, _):
        with pytest.raises(ApiError, match="bad gateway"):
            await client.get(Pod, "p", namespace="n")
        with pytest.raises(NotFound):
            await client.get(Pod, "p", namespace="n")


async def test_a_request_is_repeated_when_the_server_says_when():
    async with stub((429, status(429, "TooManyRequests"), {"Retry-After": "0"}), (503, b"", {"Retry-After": "0"}), (200, POD)) as (client, asked):
        assert (await client.get(Pod, "p", namespace="n")).metadata.name == "p"
    assert len(asked) == 3


async def test_a_refusal_without_a_time_is_final():
    async with stub((429, status(429, "TooManyRequests"))) as (client, _):
        with pytest.raises(TooManyRequests):
            await client.get(Pod, "p", namespace="n")


async def test_a_server_that_is_not_there_is_unavailable():
    async with HttpClient(Server(url="http://127.0.0.1:9")) as client:
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            await client.get(Pod, "p", namespace="n")


async def broken(request: web.BaseRequest) -> web.StreamResponse:
    """The server is gone before it has answered."""
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("write", ["delete", "update"])
async def test_a_write_whose_connection_breaks_is_not_sent_again(write):
    async with stub((200, CONFIG), broken) as (client, asked):
        config = await client.get(ConfigMap, "c", namespace="n")
        with pytest.raises(ServiceUnavailable, match="cannot be reached: "):
            await (client.delete(ConfigMap, "c", namespace="n") if write == "delete" else client.update(config))
    assert [a.method for a in asked] == ["GET", {"delete": "DELETE", "update": "PUT"}[write]]


async def test_a_read_whose_connection_breaks_is_sent_again():
    async with stub((200, CONFIG), broken, (200, CONFIG)) as (client, asked):
        await client.get(ConfigMap, "c", namespace="n")
        assert (await client.get(ConfigMap, "c", namespace="n")).data == {"a": "1"}
    assert len(asked) == 3


async def test_impersonation_says_whom_and_shares_the_connection():
    async with stub((200, POD)) as (client, asked):
        other = client.acting_as(Identity(
            name="system:node:n1", uid="u", groups=("system:nodes", "g"), extra={"k/e y": ("1", "2")}, user_agent="kubelet/1",
        ))
        await other.get(Pod, "p", namespace="n")
    assert asked[0].header("Impersonate-User") == ["system:node:n1"]
    assert asked[0].header("Impersonate-Uid") == ["u"]
    assert asked[0].header("Impersonate-Group") == ["system:nodes", "g"]
    assert asked[0].header("Impersonate-Extra-k%2Fe%20y") == ["1", "2"]
    assert asked[0].header("User-Agent") == ["kubelet/1"]
    assert asked[0].header("Authorization") == ["Bearer secret"]


async def watched(client, batches=None, **options):
    batches = [] if batches is None else batches
    async with client.watch(Pod, namespace="n", options=ListOptions(resource_version="7", **options)) as events:
        async for batch in events:
            batches += batch
    return [(e.type, e.object.metadata.name, e.object.metadata.resourceVersion) for e in batches]


def event(kind, name, revision):
    return {"type": kind, "object": {**POD, "metadata": {"name": name, "resourceVersion": revision}}}


async def test_a_watch_gives_events_in_order_bookmarks_included():
    sent = [event("ADDED", "a", "8"), event("MODIFIED", "a", "9"), event("DELETED", "a", "10"), event("BOOKMARK", "", "20")]
    async with stub(lines(*sent)) as (client, asked):
        assert await watched(client, allow_watch_bookmarks=True, send_initial_events=False, timeout_seconds=5) == [
            ("ADDED", "a", "8"), ("MODIFIED", "a", "9"), ("DELETED", "a", "10"), ("BOOKMARK", "", "20"),
        ]
    assert asked[0].query == {
        "watch": "true", "resourceVersion": "7", "allowWatchBookmarks": "true", "sendInitialEvents": "false", "timeoutSeconds": "5",
    }


async def test_a_watch_that_is_too_old_raises_expired_after_what_came_before():
    async with stub(lines(event("ADDED", "a", "8"), {"type": "ERROR", "object": status(410, "Expired")})) as (client, _):
        seen = []
        with pytest.raises(Expired):
            await watched(client, seen)
        assert [e.type for e in seen] == ["ADDED"]


async def test_a_watch_that_is_refused_raises_at_once():
    async with stub((410, status(410, "Expired"))) as (client, _):
        with pytest.raises(Expired):
            await watched(client)


async def test_a_watch_that_breaks_is_unavailable():
    async def broken(request):
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n{"type":')
        request.transport.close()
        return response

    async with stub(broken) as (client, _):
        with pytest.raises(ServiceUnavailable, match="cannot be reached"):
            await watched(client)


async def test_a_watch_can_be_left_at_any_time():
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
        await anyio.Event().wait()

    async with stub(endless) as (client, _), client.watch(Pod, namespace="n") as events:
        async for batch in events:
            assert batch[0].object.metadata.name == "a"
            break


async def test_logs_are_streamed_as_they_come():
    async with stub(lines(b"one\n", b"two\n")) as (client, asked):
        found = b"".join([chunk async for chunk in client.logs("p", namespace="n", options=LogOptions(container="c", follow=True, tail_lines=0))])
    assert found == b"one\ntwo\n"
    assert (asked[0].path, asked[0].query) == ("/api/v1/namespaces/n/pods/p/log", {"container": "c", "follow": "true", "tailLines": "0"})


async def test_logs_of_no_pod_are_not_found():
    async with stub((404, status(404, "NotFound"))) as (client, _):
        with pytest.raises(NotFound):
            [chunk async for chunk in client.logs("p", namespace="n")]


async def test_a_user_with_a_password_is_asked_for_nothing_else():
    async with stub((200, POD), token="", username="u", password="p") as (client, asked):
        await client.get(Pod, "p", namespace="n")
    assert asked[0].header("Authorization") == ["Basic dTpw"]


async def test_a_token_file_is_read_again_when_it_is_old(tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")
    async with stub((200, POD), (200, POD), (200, POD), token="", token_file=file) as (client, asked):
        await client.get(Pod, "p", namespace="n")
        file.write_text("second")
        await client.get(Pod, "p", namespace="n")
        client._transport._token_read -= 61
        await client.get(Pod, "p", namespace="n")
    assert [a.header("Authorization") for a in asked] == [["Bearer first"], ["Bearer first"], ["Bearer second"]]
