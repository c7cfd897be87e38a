import asyncio
import contextlib
import gzip
import io
import json
import ssl

import aiohttp
import pytest
import yaml

from kubelet_lite.apiserver.server import refused_origin
from tests.apiserver.conftest import CONFIG_MAPS, config_map

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def test_an_object_is_created_read_changed_and_deleted(http):
    created = await http.post(CONFIG_MAPS, config_map("a", x="1"))
    assert created.status == 201
    got = await http.get(f"{CONFIG_MAPS}/a")
    assert got.json == created.json
    assert got.body.startswith(b'{"kind":"ConfigMap","apiVersion":"v1",')
    patched = await http("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": "2"}}, Content_Type="application/merge-patch+json")
    assert patched.json["data"] == {"x": "2"}
    applied = await http("PATCH", f"{CONFIG_MAPS}/b?fieldManager=me", config_map("b"), Content_Type="application/apply-patch+yaml")
    assert applied.status == 201
    assert (await http("DELETE", f"{CONFIG_MAPS}/a")).json["status"] == "Success"
    assert (await http.get(f"{CONFIG_MAPS}/a")).status == 404


async def test_a_task_cancelled_by_somebody_else_is_a_crash_and_the_server_comes_back(http):
    [task] = [task for task in asyncio.all_tasks() if task.get_name().endswith("_close_at_end")]
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError, aiohttp.ClientError):
                assert (await http.get("/api/v1/namespaces")).status == 200
                return
            await asyncio.sleep(0.05)


async def test_every_answer_says_which_request_and_which_flow_it_was(http):
    answer = await http.get("/api/v1/namespaces", Audit_Id="my-id")
    assert answer.headers["Audit-Id"] == "my-id"
    assert answer.headers["Cache-Control"] == "no-cache, private"
    assert len(answer.headers["X-Kubernetes-Pf-Flowschema-Uid"]) == 36
    assert len(answer.headers["X-Kubernetes-Pf-Prioritylevel-Uid"]) == 36


async def test_a_long_list_comes_in_slices_and_compressed_for_who_accepts_it(http):
    for number in range(12):
        await http.post(CONFIG_MAPS, config_map(f"c{number:02}", text="x" * 50_000))
    plain = await http.get(CONFIG_MAPS)
    assert plain.headers["Transfer-Encoding"] == "chunked"
    packed = await http.get(CONFIG_MAPS, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(plain.json["items"]) == 12
    assert yaml.safe_load((await http.get(CONFIG_MAPS, Accept="application/yaml")).body) == plain.json
    pretty = await http.get(f"{CONFIG_MAPS}?pretty=1")
    assert pretty.json == plain.json
    assert pretty.body.startswith(b'{\n  "kind": "ConfigMapList"')


async def test_a_page_leads_to_the_next(http):
    for name in "abc":
        await http.post(CONFIG_MAPS, config_map(name))
    first = (await http.get(f"{CONFIG_MAPS}?limit=2")).json
    assert first["metadata"]["remainingItemCount"] == 1
    second = (await http.get(f"{CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}")).json
    assert [item["metadata"]["name"] for item in first["items"] + second["items"]] == ["a", "b", "c"]


async def test_a_watch_tells_every_change_in_order_and_ends_in_time(http):
    start = (await http.get(CONFIG_MAPS)).json["metadata"]["resourceVersion"]
    watching = asyncio.create_task(http.get(f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={start}"))
    await http.post(CONFIG_MAPS, config_map("a"))
    await http("PATCH", f"{CONFIG_MAPS}/a", {"data": {"n": "1"}}, Content_Type="application/merge-patch+json")
    await http("DELETE", f"{CONFIG_MAPS}/a")
    events = (await watching).lines
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert all(event["object"]["kind"] == "ConfigMap" for event in events)


async def test_a_watch_from_the_past_beyond_memory_says_gone(http):
    await http.post(CONFIG_MAPS, config_map("a"))
    store = http.served.registry.store
    store.compact(store.revision)
    events = (await http.get(f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=1")).lines
    assert [(event["type"], event["object"]["code"], event["object"]["reason"]) for event in events] == [("ERROR", 410, "Expired")]


async def test_tables_carry_as_much_of_the_object_as_was_asked(http):
    await http.post(CONFIG_MAPS, config_map("a", x="1"))
    table = (await http.get(CONFIG_MAPS, Accept=TABLE)).json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert (await http.get(f"{CONFIG_MAPS}?includeObject=Object", Accept=TABLE)).json["rows"][0]["object"]["data"] == {"x": "1"}
    assert (await http.get(f"{CONFIG_MAPS}?includeObject=None", Accept=TABLE)).json["rows"][0]["object"] is None


async def test_what_is_not_there_and_what_is_not_allowed(http):
    assert (await http.get("/api/v1/nothing")).json["details"] == {}
    assert (await http.get("/apis/nothing.example.com/v1/things")).body == b"404 page not found\n"
    assert (await http("PUT", CONFIG_MAPS, {})).json["reason"] == "MethodNotAllowed"
    assert (await http("HEAD", CONFIG_MAPS)).status == 405
    assert (await http("HEAD", "/healthz")).status == 200
    assert (await http.post(CONFIG_MAPS, b"{", Content_Type="text/plain")).status == 415
    assert (await http.get(f"{CONFIG_MAPS}/a", Accept="text/html")).status == 406
    assert (await http.post(CONFIG_MAPS, io.BytesIO(b" " * 4 * 1024 * 1024))).status == 413
    assert (await http.post(CONFIG_MAPS, b"[" * 2000)).status == 400


async def test_streams_to_containers_say_that_they_come_later(http):
    for subresource in ("exec", "attach", "portforward", "proxy"):
        answer = await http.get(f"/api/v1/namespaces/default/pods/web/{subresource}")
        assert (answer.status, answer.json["reason"]) == (501, "NotImplemented")


async def test_a_wrong_token_is_refused_and_none_is_nobody(http):
    wrong = await http.get(CONFIG_MAPS, Authorization="Bearer wrong")
    assert (wrong.status, wrong.message) == (401, "Unauthorized")
    nobody = await http.get(CONFIG_MAPS, token=False)
    assert nobody.message == (
        'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"'
    )
    assert (await http.get("/version", token=False)).status == 200


async def test_who_may_can_act_for_another(http):
    forbidden = await http.get(CONFIG_MAPS, Impersonate_User="jane")
    assert forbidden.status == 403
    assert 'User "jane" cannot list' in forbidden.message
    twice = await http.get(CONFIG_MAPS, token=False, Impersonate_User="jane")
    assert twice.message.startswith('users "jane" is forbidden: User "system:anonymous" cannot impersonate resource "users"')


async def test_a_client_certificate_is_an_identity_and_wins_over_a_token(http):
    authority = http.served.authority
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    from kubelet_lite.wire.certificates import _load_chain

    _load_chain(context, authority.issue_client(http.served.registry.environment.now(), "jane", ["dev"]))
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    async with http.session.post(
        f"{http.served.url}/apis/authentication.k8s.io/v1/selfsubjectreviews", data=json.dumps(review), ssl=context,
        headers={"Authorization": "Bearer wrong", "Content-Type": "application/json"},
    ) as answer:
        user = (await answer.json())["status"]["userInfo"]
    assert (user["username"], user["groups"]) == ("jane", ["dev", "system:authenticated"])


async def test_requests_on_one_connection_are_answered_in_order(http):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", http.served.server.port, ssl=ssl.create_default_context(cadata=http.served.authority.certificate.decode()),
    )
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {http.served.token}\r\n"
    writer.write(f"GET /healthz HTTP/1.1\r\n{head}\r\nGET /version HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    assert text.index("\r\n\r\nok") < text.index('"gitVersion":"v1.36.0"')


@pytest.mark.parametrize(("host", "origin", "refused"), [
    (b"127.0.0.1:6443", b"", False), (b"[::1]:6443", b"", False), (b"localhost", b"", False), (b"kubernetes.default.svc", b"", False),
    (b"evil.example.com", b"", True), (b"127.0.0.1:6443", b"https://127.0.0.1:6443", False), (b"127.0.0.1:6443", b"https://evil.example.com", True),
])
def test_pages_from_elsewhere_and_rebound_names_are_refused(host, origin, refused):
    assert bool(refused_origin(host, origin)) is refused


async def test_metrics_count_what_was_answered(http):
    await http.get(f"{CONFIG_MAPS}/none")
    text = (await http.get("/metrics")).body.decode()
    assert 'apiserver_request_total{code="404",resource="configmaps",verb="get"} 1' in text
    assert 'kubelet_lite_connections{actor="apiserver"} 1' in text
