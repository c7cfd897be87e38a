"""Bodies to objects: field validation, nulls, wrong types, YAML."""
from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api import encoding, reading, yaml_text
from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition
from kubelet_lite.api.core_v1 import ConfigMap, Pod, Secret
from kubelet_lite.api.decoding import decode_body, decode_unstructured, from_value
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.meta_v1 import DeleteOptions
from kubelet_lite.api.resources import find_kind
from kubelet_lite.api.unstructured import Unstructured

MUTATIONS = sorted((Path(__file__).resolve().parents[1] / "recorded" / "mutations").glob("*.jsonl"))
TIME = "2026-01-02T03:04:05Z"


def unmasked(value: Any) -> Any:
    """A recorded object with times that can be read."""
    if isinstance(value, dict):
        return {key: unmasked(v) for key, v in value.items()}
    if isinstance(value, list):
        return [unmasked(v) for v in value]
    return TIME if value == "<time>" else value


def mutated(obj: Any, record: dict[str, Any]) -> Any:
    obj = copy.deepcopy(obj)
    *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in record["path"].split("/")[1:]]
    at = obj
    for part in parents:
        at = at[int(part)] if isinstance(at, list) else at[part]
    key = int(last) if isinstance(at, list) else last
    if record["op"] == "remove":
        del at[key]
    elif record["op"] == "duplicate":
        at[key] = at[key] + [copy.deepcopy(at[key][0])]
    else:
        at[key] = record["value"]
    return obj


def recorded(path: Path) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """(type, record, the object that was sent)."""
    with path.open() as file:
        base = json.loads(next(file))["base"]
        resource = find_kind(base["object"]["apiVersion"], base["object"]["kind"])
        assert resource is not None
        for line in file:
            record = json.loads(line)
            yield resource.type, record, mutated(base["object"] if record["verb"] == "create" else unmasked(base["updated"]), record)


@pytest.mark.parametrize("path", MUTATIONS, ids=lambda path: path.stem)
def test_exactly_what_kubernetes_could_not_decode_is_refused_and_unknown_fields_are_named(path: Path) -> None:
    for kind, record, sent in recorded(path):
        answer = record["answer"]
        message = answer.get("message", "") if answer["status"] == 400 else ""
        refusal = message if message == "<decode error>" or "cannot be handled as" in message else ""
        message, problems = "", tuple[str, ...]()
        try:
            problems = decode_body(kind, json.dumps(sent).encode(), field_validation="Strict" if record.get("strict") else "Warn").problems
        except BadRequest as error:
            message = error.message
        assert message == refusal or (message and refusal == "<decode error>"), record
        if message:
            continue
        warnings = [w.removeprefix('299 - "').removesuffix('"').replace('\\"', '"') for w in answer.get("warnings", ())]
        assert list(problems) == [w for w in warnings if w.startswith(("unknown field", "duplicate field"))], record


@pytest.mark.parametrize("path", MUTATIONS, ids=lambda path: path.stem)
def test_what_kubernetes_answered_is_written_again_byte_for_byte(path: Path) -> None:
    with path.open() as file:
        base = json.loads(next(file))["base"]
    for name in ("created", "updated"):
        if name in base:
            want = unmasked(base[name])
            resource = find_kind(want["apiVersion"], want["kind"])
            assert resource is not None
            decoded = from_value(resource.type, want)
            assert not decoded.problems
            assert encoding.encode(decoded.object) == json.dumps(want, separators=(",", ":"), ensure_ascii=False).encode()


BODY = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"fv","bogus":1},"data":{"a":"1","a":"2"},"extra":{"x":1}}'


def test_strict_validation_names_every_unknown_and_repeated_field_in_order() -> None:
    with pytest.raises(BadRequest) as refused:
        decode_body(ConfigMap, BODY, field_validation="Strict")
    assert refused.value.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'unknown field "metadata.bogus", duplicate field "data.a", unknown field "extra"'
    )


def test_warnings_are_what_strict_validation_would_refuse_and_ignoring_is_silent() -> None:
    warned = decode_body(ConfigMap, BODY, field_validation="Warn")
    assert warned.problems == ('unknown field "metadata.bogus"', 'duplicate field "data.a"', 'unknown field "extra"')
    assert warned.object.data == {"a": "2"}
    assert decode_body(ConfigMap, BODY, field_validation="Ignore") == (warned.object, ())


def test_a_repeated_field_alone_is_found() -> None:
    assert decode_body(ConfigMap, b'{"data":{},"data":{"a":"b"}}').problems == ('duplicate field "data"',)


def test_nulls_are_zero_values() -> None:
    body = b'{"kind":null,"metadata":null,"spec":{"containers":[null,{"name":"a","env":null,"resources":{"limits":{"cpu":null}}}],"nodeName":null}}'
    pod = decode_body(Pod, body).object
    assert encoding.encode(pod) == (
        b'{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{"containers":[{"name":"","resources":{}},'
        b'{"name":"a","resources":{"limits":{"cpu":"0"}}}]},"status":{}}'
    )


def test_a_number_stands_for_a_quantity() -> None:
    pod = decode_body(Pod, b'{"spec":{"containers":[],"overhead":{"cpu":1.50,"memory":1024,"x":1e3}}}').object
    assert pod.spec.overhead == {"cpu": "1500m", "memory": "1024", "x": "1e3"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"{]", b'{"kind":7}', b'{"a":NaN}', b"\xff", b'{"a":' * 100_000])
def test_what_is_no_object_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_body(ConfigMap, body)


@pytest.mark.parametrize(("names", "message"), [
    ({"kind": "Podx"}, 'Podx in version "v1" cannot be handled as a Pod: no kind "Podx" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
    ({"apiVersion": "v2"}, 'Pod in version "v2" cannot be handled as a Pod: no kind "Pod" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30"'),
    ({"kind": "ConfigMap"}, 'ConfigMap in version "v1" cannot be handled as a Pod: converting (v1.ConfigMap) to (v1.Pod): unknown conversion'),
])
def test_an_object_of_another_kind_is_refused(names: dict[str, str], message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode_body(Pod, json.dumps(names).encode())
    assert refused.value.message == message


def test_options_may_come_in_any_version() -> None:
    body = b'{"kind":"DeleteOptions","apiVersion":"apps/v1","gracePeriodSeconds":0}'
    assert decode_body(DeleteOptions, body, any_version=True).object.gracePeriodSeconds == 0
    with pytest.raises(BadRequest):
        decode_body(DeleteOptions, body)


def test_broken_text_is_mended_as_go_does() -> None:
    assert decode_body(ConfigMap, b'{"data":{"a":"\\ud800","b":"\xff"}}').object.data == {"a": "\ufffd", "b": "\ufffd"}
    assert decode_body(Secret, b'{"data":{"a":"YQ\\n=="}}').object.data == {"a": b"a"}


def test_a_decoded_object_has_its_types_own_kind() -> None:
    pod = decode_body(Pod, b'{"kind":"Pod","apiVersion":"v1"}').object
    assert pod.kind is Pod().kind
    assert encoding.encode_item(pod) == b'{"metadata":{},"spec":{"containers":null},"status":{}}'


def test_yaml_is_read_by_gos_rules() -> None:
    text = "a: 0777\nb: 1:30\nc: 1e3\nd: ~\ne: 'yes'\nf: !!str 5\ng: y\nh: 0x1F\n1: 2\ntrue: x\ni: 2020-01-01\nj: &x [1]\nk: *x\nl: {<<: {m: 1}, o: 2}\n"
    assert yaml_text.load(text) == ({
        "a": 511, "b": "1:30", "c": 1000.0, "d": None, "e": "yes", "f": "5", "g": True, "h": 31, "1": 2, "true": "x", "i": "2020-01-01",
        "j": [1], "k": [1], "l": {"m": 1, "o": 2},
    }, [])


def test_a_yaml_body_is_decoded_and_its_repeated_keys_are_found() -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fv}\ndata: {a: x}\ndata: {b: '1'}\nbogus: 1\n"
    decoded = decode_body(ConfigMap, body, "application/yaml")
    assert decoded.object.data == {"b": "1"}
    assert decoded.problems == ('yaml: unmarshal errors:\n  line 5: key "data" already set in map', 'unknown field "bogus"')


def test_aliases_that_mean_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_text, "MOST_VALUES", 1000)
    text = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"{c}: &{c} [{','.join([f'*{chr(ord(c) - 1)}'] * 9)}]\n" for c in "bcdefg")
    with pytest.raises(yaml_text.YamlError, match="excessive aliasing"):
        yaml_text.load(text)
    with pytest.raises(yaml_text.YamlError, match="contains itself"):
        yaml_text.load("a: &a [*a]")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-10 ** 6, 10 ** 6) | st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029\ufeff", exclude_categories=("Cc", "Cs")), max_size=12)
    | st.sampled_from(["y", "no", "null", "~", "1:30", "2020-01-01", "0x1", "1e3", "a\nb\n", " a", "a: b", "- x", "#", "'", "\t"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from("ab1:-#"), max_size=4), inner, max_size=3), max_leaves=12,
)


@given(json_values)
def test_what_is_written_as_yaml_reads_as_the_same_value(value: Any) -> None:
    assert yaml_text.load(yaml_text.dump(value))[0] == value


@given(json_values)
def test_what_is_parsed_slowly_is_what_json_means(value: Any) -> None:
    assert reading.plain(reading.parse(json.dumps(value))) == value


def test_a_custom_resource_has_typed_metadata_and_plain_fields() -> None:
    body = b'{"apiVersion":"e.com/v1","kind":"W","metadata":{"name":"w","x":1},"spec":{"a":[1.5,null],"b":1,"b":2}}'
    decoded = decode_unstructured(body, kind="W", api_version="e.com/v1")
    assert decoded.object.metadata.name == "w"
    assert decoded.object.fields == {"spec": {"a": [1.5, None], "b": 2}}
    assert decoded.problems == ('duplicate field "spec.b"', 'unknown field "metadata.x"')
    assert encoding.from_json(Unstructured, encoding.to_json(decoded.object)) == decoded.object


def test_a_client_reads_a_newer_servers_answer() -> None:
    text = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","new":{}},"data":null,"shiny":[1]}'
    assert encoding.decode_lenient(ConfigMap, text).metadata.name == "a"


def test_a_schema_without_numbers_of_its_own_keeps_whole_numbers_whole() -> None:
    body = {"spec": {"group": "g", "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"maximum": 5.0, "minimum": 0.5}}}]}}
    crd = decode_body(CustomResourceDefinition, json.dumps(body).encode()).object
    assert b'"maximum":5,"minimum":0.5' in encoding.encode(crd)
