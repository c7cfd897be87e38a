"""Subresources that may change only a part of a pod or of a certificate signing request."""
from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from kubelet_lite.api.certificates_v1 import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
)
from kubelet_lite.api.core_v1 import Container, EphemeralContainer, Pod, ResourceRequirements
from kubelet_lite.api.errors import Invalid
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.subresources import approval
from tests.registry.world import World, in_world, pod, refused

METADATA = ObjectMeta(name="r", resourceVersion="1")
DEBUGGER = EphemeralContainer(name="debug", image="x", imagePullPolicy="Always", terminationMessagePolicy="File")


def sized(requests: Mapping[str, str], *, image: str = "x") -> Pod:
    made = pod(node="n")
    return replace(made, spec=replace(made.spec, containers=(Container(name="c", image=image, resources=ResourceRequirements(requests=requests)),)))


@in_world
async def test_ephemeral_containers_are_added_and_nothing_else(world: World) -> None:
    made = await world.client.create(pod(node="n"))
    wanted = replace(made, metadata=replace(made.metadata, labels={"a": "b"}), spec=replace(made.spec, nodeName="m", ephemeralContainers=(DEBUGGER,)))
    new = await world.client.update(wanted, subresource="ephemeralcontainers")
    assert [container.name for container in new.spec.ephemeralContainers] == ["debug"]
    assert (new.spec.nodeName, new.metadata.labels, new.metadata.generation) == ("n", {}, 2)


@in_world
async def test_an_ephemeral_container_stays(world: World) -> None:
    made = await world.client.create(pod(node="n"))
    made = await world.client.update(replace(made, spec=replace(made.spec, ephemeralContainers=(DEBUGGER,))), subresource="ephemeralcontainers")
    for containers, word in (((), "removed"), ((replace(DEBUGGER, image="y"),), "changed")):
        error = await refused(world.client.update(replace(made, spec=replace(made.spec, ephemeralContainers=containers)), subresource="ephemeralcontainers"))
        assert isinstance(error, Invalid)
        assert f'existing ephemeral containers "debug" may not be {word}' in error.message


@in_world
async def test_a_resize_changes_cpu_and_memory(world: World) -> None:
    made = await world.client.create(sized({"cpu": "100m"}))
    wanted = sized({"cpu": "200m"}, image="other")
    new = await world.client.update(wanted, subresource="resize")
    (container,) = new.spec.containers
    assert (container.resources.requests, container.image, new.metadata.generation) == ({"cpu": "200m"}, "x", made.metadata.generation + 1)


@pytest.mark.parametrize(("requests", "message"), [
    ({}, "Pod QOS Class may not change as a result of resizing"),
    ({"memory": "1Mi"}, "resource requests cannot be removed"),
    ({"cpu": "100m", "ephemeral-storage": "1Gi"}, "only cpu and memory resources are mutable"),
])
def test_a_resize_has_limits(requests: Mapping[str, str], message: str) -> None:
    @in_world
    async def check(world: World) -> None:
        await world.client.create(sized({"cpu": "100m"}))
        assert message in (await refused(world.client.update(sized(requests), subresource="resize"))).message

    check()


def request(*conditions: CertificateSigningRequestCondition) -> CertificateSigningRequest:
    return CertificateSigningRequest(
        metadata=METADATA, spec=CertificateSigningRequestSpec(signerName="example.com/s", request=b"x"),
        status=CertificateSigningRequestStatus(conditions=conditions),
    )


def condition(kind: str, since: str | None = None) -> CertificateSigningRequestCondition:
    return CertificateSigningRequestCondition(type=kind, status="True", lastTransitionTime=since, lastUpdateTime=since)


def test_an_approval_is_dated_and_touches_nothing_else() -> None:
    wanted = replace(request(condition("Approved")), spec=CertificateSigningRequestSpec(signerName="other", request=b"y"))
    new = approval.prepare(wanted, request(), 1_767_225_600.0)
    assert new.spec.signerName == "example.com/s"
    assert new.status.conditions == (condition("Approved", "2026-01-01T00:00:00Z"),)


def test_an_approval_is_not_taken_back() -> None:
    check = approval.errors(lambda _: ())
    (error,) = check(request(), request(condition("Approved", "2026-01-01T00:00:00Z")))
    assert str(error) == 'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'
