"""Any moment of a recording, read through the API: in process and over HTTPS the same registry answers."""
from __future__ import annotations

import anyio
import pytest

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.authorization_v1 import ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec
from kubelet_lite.api.core_v1 import Binding, ConfigMap, ObjectReference, Pod
from kubelet_lite.api.errors import Gone, MethodNotAllowed
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH, ListOptions
from kubelet_lite.simulation.records.past import Past
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.snapshot import Snapshot
from tests.simulation.stories import failed_run


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.of(failed_run())


def position(recording: Recording, replicas: int) -> int:
    """Behind the write that asks for so many."""
    return next(
        number for number, revision in enumerate(recording.archive.revisions, 1)
        if revision.event.key.resource == "deployments.apps" and revision.object.spec.replicas == replicas
    )


async def test_every_moment_is_what_it_was(recording: Recording) -> None:
    revisions = recording.archive.revisions
    async with Past(recording) as past:
        for place in (len(revisions), 10, len(revisions) // 2, len(revisions) // 2 + 7, 0, len(revisions) - 1):
            past.go(place)
            snapshot = Snapshot.of(revisions[:place])
            pods = await past.client.list(Pod)
            assert {pod.metadata.uid: pod for pod in pods.items} == {pod.metadata.uid: pod for pod in snapshot.list(Pod)}
            assert int(pods.resource_version) == (revisions[place - 1].event.revision if place else 1)


async def test_going_forwards_delivers_and_going_back_ends_a_watch(recording: Recording) -> None:
    async with Past(recording) as past:
        past.go(position(recording, 2))
        version = (await past.client.list(Deployment)).resource_version
        async with past.client.watch(Deployment, options=ListOptions(resource_version=version)) as watch:
            past.go(position(recording, 17))
            seen = []
            while not seen or seen[-1].object.spec.replicas != 17:
                seen += await anext(watch)
            assert [event.type for event in seen] == ["MODIFIED"] * len(seen)
            past.go(position(recording, 2))
            with pytest.raises(Gone):
                await anext(watch)


async def test_writes_are_refused_and_questions_answered(recording: Recording) -> None:
    async with Past(recording) as past:
        client = past.client
        web = await client.get(Deployment, "web", namespace="default")
        with pytest.raises(MethodNotAllowed, match="it can be read, not changed"):
            await client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default")))
        with pytest.raises(MethodNotAllowed):
            await client.update(web)
        with pytest.raises(MethodNotAllowed):
            await client.patch(Deployment, "web", {"spec": {"replicas": 0}}, content_type=MERGE_PATCH, namespace="default")
        with pytest.raises(MethodNotAllowed):
            await client.delete(Deployment, "web", namespace="default")
        with pytest.raises(MethodNotAllowed):
            await client.bind([Binding(metadata=ObjectMeta(name="web", namespace="default"), target=ObjectReference(kind="Node", name="node-1"))])
        asked = SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(resourceAttributes=ResourceAttributes(verb="get", resource="pods")))
        assert (await client.create(asked)).status.allowed
        assert past.store.revision == recording.archive.revisions[-1].event.revision


async def test_nothing_happens_by_itself(recording: Recording) -> None:
    async with Past(recording) as past:
        past.go(position(recording, 17))
        await anyio.sleep(0.05)
        assert past.store.revision == recording.archive.revisions[position(recording, 17) - 1].event.revision


async def test_a_position_that_is_none_is_refused(recording: Recording) -> None:
    async with Past(recording) as past:
        with pytest.raises(ValueError, match="position -1: there are 0 to"):
            past.go(-1)
        with pytest.raises(ValueError, match="there are 0 to"):
            past.go(past.length + 1)
