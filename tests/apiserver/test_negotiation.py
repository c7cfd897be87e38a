import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from kubelet_lite.apiserver import negotiation

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(("accept", "media_type", "transform"), [
    ("", "application/json", ""), ("*/*", "application/json", ""), ("application/yaml", "application/yaml", ""),
    ("application/xml, application/json;q=0.5", "application/json", ""), (f"{TABLE},application/json", "application/json", "Table"),
    ("application/vnd.kubernetes.protobuf,application/json", "application/json", ""),
    ("application/json;q=0.1,application/yaml", "application/yaml", ""),
])
def test_the_best_that_is_accepted_and_offered(accept, media_type, transform):
    found = negotiation.negotiate(accept, transforms=True)
    assert (found.media_type, found.transform) == (media_type, transform)


@pytest.mark.parametrize("accept", ["text/html", "application/json;as=Nope;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf"])
def test_nothing_that_is_accepted_is_offered(accept):
    with pytest.raises(NotAcceptable):
        negotiation.negotiate(accept, transforms=True)


def test_what_a_body_may_be():
    assert negotiation.body_type("application/json; charset=utf-8") == "application/json"
    assert negotiation.body_type("") == "application/json"
    with pytest.raises(UnsupportedMediaType):
        negotiation.body_type("text/plain")


JSON = st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2))


@given(JSON)
def test_what_nests_little_passes(value):
    negotiation.check_nesting(json.dumps(value).encode())


def test_what_nests_too_deep_is_refused_and_brackets_in_strings_do_not_count():
    negotiation.check_nesting(b'{"a": "' + b"[" * 5000 + b'\\""}')
    with pytest.raises(BadRequest):
        negotiation.check_nesting(b'{"a":' * 1001 + b"1" + b"}" * 1001)
