import pytest

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestSpec
from kubelet_lite.api.errors import BadRequest, Conflict, Invalid
from kubelet_lite.registry.authorization.tokens import ISSUER, ServiceAccountTokens, TokenError
from kubelet_lite.wire.service_account_key import ServiceAccountKey
from tests.registry.authorization.objects import Objects, made, pod


class Clock(Environment):
    """The real environment with a clock that is set by hand."""

    def __init__(self):
        self._real = Environment.real()
        self.time = 1_800_000_000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time

    def hold_port(self, *arguments, **more):
        return self._real.hold_port(*arguments, **more)

    def secret_bits(self, count):
        return self._real.secret_bits(count)

    @property
    def random(self):
        return self._real.random


@pytest.fixture
def tokens():
    account = made({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa", "namespace": "default", "uid": "u1"}})
    bound = pod("web", serviceAccountName="sa", nodeName="n1")
    return ServiceAccountTokens(ServiceAccountKey(), Objects(account, bound), Clock())


def request(**spec):
    return TokenRequest(spec=TokenRequestSpec(**spec))


def test_a_token_authenticates_its_account_for_its_audience_alone(tokens):
    issued = tokens.issue("default", "sa", request())
    found = tokens.authenticate(issued.status.token)
    assert found.identity.name == "system:serviceaccount:default:sa"
    assert found.identity.uid == "u1"
    assert found.audiences == (ISSUER,)
    with pytest.raises(TokenError, match="invalid for the target audiences"):
        tokens.authenticate(issued.status.token, ("vault",))


def test_a_token_ends(tokens):
    issued = tokens.issue("default", "sa", request(expirationSeconds=600))
    tokens._environment.time += 601
    with pytest.raises(TokenError, match="has expired"):
        tokens.authenticate(issued.status.token)


def test_a_token_ends_with_the_pod_it_is_bound_to(tokens):
    reference = BoundObjectReference(kind="Pod", apiVersion="v1", name="web")
    issued = tokens.issue("default", "sa", request(boundObjectRef=reference))
    assert tokens.authenticate(issued.status.token).identity.extra["authentication.kubernetes.io/pod-name"] == ("web",)
    del tokens._view._objects["pods", "default", "web"]
    with pytest.raises(TokenError, match="invalidated"):
        tokens.authenticate(issued.status.token)


def test_a_token_for_a_kubelet_holds_longer_than_it_says(tokens):
    reference = BoundObjectReference(kind="Pod", apiVersion="v1", name="web")
    issued = tokens.issue("default", "sa", request(boundObjectRef=reference, expirationSeconds=3607))
    tokens._environment.time += 7200
    assert tokens.authenticate(issued.status.token) is not None


def test_what_cannot_be_asked_for(tokens):
    with pytest.raises(Invalid, match="less than 10 minutes"):
        tokens.issue("default", "sa", request(expirationSeconds=1))
    with pytest.raises(BadRequest, match="Kind=Widget"):
        tokens.issue("default", "sa", request(boundObjectRef=BoundObjectReference(kind="Widget", apiVersion="v1", name="x")))
    with pytest.raises(Conflict, match="does not match the UID in record"):
        tokens.issue("default", "sa", request(boundObjectRef=BoundObjectReference(kind="Pod", apiVersion="v1", name="web", uid="other")))


def test_other_texts_are_no_tokens_of_this_cluster(tokens):
    other = ServiceAccountKey().sign({"iss": ISSUER})
    assert [tokens.authenticate(text) for text in ("bogus", "a.b.c", other, "x" * 100_000)] == [None] * 4
