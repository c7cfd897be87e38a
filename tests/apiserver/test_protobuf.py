import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.errors import BadRequest, UnsupportedMediaType
from kubelet_lite.apiserver import protobuf


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(*fields):
    """(number, int | bytes | str | message) → bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def body(api_version, kind, raw):
    return b"k8s\0" + message((1, message((1, api_version), (2, kind))), (2, raw))


def test_a_pod_with_inlined_messages_maps_quantities_and_times():
    volume = message((1, "v"), (2, message((19, message((1, message((1, "m"))))))))  # volumeSource.configMap.localObjectReference
    limits = message((1, message((1, "cpu"), (2, message((1, "500m"))))))
    probe = message((1, message((2, message((1, "/x"), (2, message((1, 1), (3, "http"))))))), (3, 7))
    container = message((1, "c"), (2, "web"), (8, limits), (10, probe))
    meta = message((1, "p"), (8, b""), (11, message((1, "app"), (2, "web"))))
    found = protobuf.to_json(body("v1", "Pod", message((1, meta), (2, message((1, volume), (2, container), (4, 0))))))
    assert found == {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "web"}},
        "spec": {
            "volumes": [{"name": "v", "configMap": {"name": "m"}}],
            "containers": [{
                "name": "c", "image": "web", "resources": {"limits": {"cpu": "500m"}},
                "livenessProbe": {"httpGet": {"path": "/x", "port": "http"}, "timeoutSeconds": 7},
            }],
            "terminationGracePeriodSeconds": 0,
        },
    }


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=40), max_size=4))
def test_secrets_keep_their_bytes(data):
    raw = message(*((2, message((1, key), (2, value))) for key, value in data.items()))
    found = protobuf.to_json(body("v1", "Secret", raw))
    assert {key: base64.b64decode(value) for key, value in found.get("data", {}).items()} == data


@given(st.binary(max_size=200))
def test_rubbish_is_refused_and_never_a_crash(data):
    for tried in (data, b"k8s\0" + data, body("v1", "Pod", data)):
        with contextlib.suppress(BadRequest, UnsupportedMediaType):
            protobuf.to_json(tried)


def test_an_unknown_kind_is_said():
    with pytest.raises(UnsupportedMediaType, match='no kind "Nope"'):
        protobuf.to_json(body("v1", "Nope", b""))
