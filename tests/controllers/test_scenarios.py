"""Deployments and ReplicaSets at work together, in virtual time."""
from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.errors import Forbidden
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.controllers.deployment.history import HISTORY, REVISION
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from tests.controllers.objects import LABELS, deployment
from tests.controllers.stage import Stage, on_stage


def web(replicas: int = 3, **more: Any) -> Deployment:
    """As a user writes it."""
    obj = deployment(replicas, **more)
    return replace(obj, metadata=ObjectMeta(name="web", namespace="default"), status=Deployment().status)


def alive(stage: Stage) -> list[int]:
    """How many pods there were after each change of the pods."""
    counts, now = [], 0
    with stage.store.watch("pods", after=0) as channel:
        for event in channel.poll(100_000):
            was = event.previous is not None and event.previous.metadata.deletionTimestamp is None
            is_now = event.object is not None and event.object.metadata.deletionTimestamp is None
            now += is_now - was
            counts.append(now)
    return counts


@on_stage
async def test_a_deployment_comes_up(stage: Stage) -> None:
    await stage.client.create(web())
    await stage.until(stage.rolled_out)
    assert await stage.sizes() == {"x:1": 3}
    assert await stage.condition("Progressing") == (
        "True", "NewReplicaSetAvailable", f'ReplicaSet "{(await stage.all(ReplicaSet))[0].metadata.name}" has successfully progressed.',
    )
    assert (await stage.get(Deployment)).metadata.generation == 1


@on_stage
async def test_a_rollout_never_has_more_than_max_surge_extra_pods(stage: Stage) -> None:
    await stage.client.create(web(8, surge=2, unavailable=1))
    await stage.until(stage.rolled_out)
    await stage.set_image("x:2")
    await stage.until(stage.rolled_out)
    await stage.environment.sleep(5)
    assert await stage.sizes() == {"x:1": 0, "x:2": 8}
    assert max(alive(stage)) <= 10
    assert min(alive(stage)[8:]) >= 7


@on_stage
async def test_a_rollout_to_a_bad_image_stops_and_is_undone(stage: Stage) -> None:
    stage.ready = lambda image: image != "bad"
    await stage.client.create(web(4, deadline=60, annotations={"kubernetes.io/change-cause": "first"}))
    await stage.until(stage.rolled_out)
    await stage.set_image("bad")
    await stage.environment.sleep(30)
    assert await stage.sizes() == {"x:1": 3, "bad": 2}
    assert (await stage.condition("Progressing"))[1] == "ReplicaSetUpdated"
    await stage.environment.sleep(60)
    name = next(rs.metadata.name for rs in await stage.all(ReplicaSet) if rs.spec.template.spec.containers[0].image == "bad")
    assert await stage.condition("Progressing") == ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
    assert (await stage.condition("Available"))[0] == "True"
    await stage.set_image("x:1")
    await stage.until(stage.rolled_out)
    await stage.environment.sleep(5)
    assert await stage.sizes() == {"x:1": 4, "bad": 0}
    first = next(rs for rs in await stage.all(ReplicaSet) if rs.spec.replicas == 4)
    assert (first.metadata.annotations[REVISION], first.metadata.annotations[HISTORY]) == ("3", "1")
    assert (await stage.get(Deployment)).metadata.annotations[REVISION] == "3"


@on_stage
async def test_a_deployment_in_the_middle_of_a_rollout_scales_in_proportion(stage: Stage) -> None:
    stage.ready = lambda image: image == "x:1"
    await stage.client.create(web(10))
    await stage.until(stage.rolled_out)
    await stage.set_image("x:2")
    await stage.environment.sleep(10)
    assert await stage.sizes() == {"x:1": 8, "x:2": 5}
    await stage.patch({"spec": {"replicas": 20}})
    await stage.environment.sleep(10)
    assert await stage.sizes() == {"x:1": 15, "x:2": 10}
    stage.ready = lambda image: True
    await stage.until(stage.rolled_out)
    assert await stage.sizes() == {"x:1": 0, "x:2": 20}


@on_stage
async def test_a_refused_pod_is_told_up_to_the_deployment_until_it_is_made(stage: Stage) -> None:
    create, allowed = stage.registry.create, False

    async def guarded(ctx: Any, resource: Any, *args: Any, **more: Any) -> Any:
        if resource.qualified == "pods" and not allowed:
            raise Forbidden('pods "web-" is forbidden: exceeded quota: q')
        return await create(ctx, resource, *args, **more)

    stage.registry.create = guarded  # type: ignore[method-assign]
    await stage.client.create(web())
    await stage.environment.sleep(5)
    assert await stage.condition("ReplicaFailure") == ("True", "FailedCreate", 'pods "web-" is forbidden: exceeded quota: q')
    assert set(await stage.messages("FailedCreate")) == {'Error creating: pods "web-" is forbidden: exceeded quota: q'}
    allowed = True
    await stage.until(stage.rolled_out)
    await stage.environment.sleep(1)
    assert "ReplicaFailure" not in [c.type for c in (await stage.get(Deployment)).status.conditions]


@on_stage
async def test_min_ready_seconds_hold_a_rollout_back(stage: Stage) -> None:
    await stage.client.create(web(2, min_ready=30))
    began = stage.environment.now()
    await stage.until(stage.rolled_out)
    assert 30 <= stage.environment.now() - began <= 33
    await stage.set_image("x:2")
    await stage.until(stage.rolled_out)
    assert 90 <= stage.environment.now() - began <= 100


@on_stage
async def test_a_pod_that_is_labelled_away_is_released_and_replaced(stage: Stage) -> None:
    await stage.client.create(web(2))
    await stage.until(stage.rolled_out)
    victim = (await stage.all(Pod))[0]
    relabelled = replace(victim, metadata=replace(victim.metadata, labels={**victim.metadata.labels, "app": "debug"}))
    await stage.client.update(relabelled)
    await stage.environment.sleep(5)
    pods = {pod.metadata.name: pod for pod in await stage.all(Pod)}
    assert pods[victim.metadata.name].metadata.ownerReferences == ()
    assert sum(pod.metadata.labels["app"] == "web" for pod in pods.values()) == 2


@on_stage
async def test_an_orphaned_replica_set_is_adopted_by_a_deployment_of_its_template(stage: Stage) -> None:
    await stage.client.create(web(2))
    await stage.until(stage.rolled_out)
    (rs,) = await stage.all(ReplicaSet)
    await stage.client.delete(Deployment, "web", namespace="default", propagation="Orphan")
    orphan = replace(rs, metadata=replace(rs.metadata, ownerReferences=(), resourceVersion=""))
    await stage.client.update(orphan)
    gone = await stage.get(Deployment)
    await stage.client.update(replace(gone, metadata=replace(gone.metadata, finalizers=())))
    await stage.client.create(web(2))
    await stage.until(stage.rolled_out)
    (adopted,) = await stage.all(ReplicaSet)
    assert adopted.metadata.uid == rs.metadata.uid
    assert adopted.metadata.ownerReferences[0].uid == (await stage.get(Deployment)).metadata.uid


@on_stage
async def test_a_hash_that_is_taken_is_passed_over(stage: Stage) -> None:
    await stage.client.create(web(1))
    await stage.until(stage.rolled_out)
    (first,) = await stage.all(ReplicaSet)
    await stage.client.delete(Deployment, "web", namespace="default", propagation="Orphan")
    gone = await stage.get(Deployment)
    await stage.client.update(replace(gone, metadata=replace(gone.metadata, finalizers=())))
    rival = replace(first, metadata=replace(first.metadata, ownerReferences=(), labels={}, resourceVersion=""))
    await stage.client.update(rival)
    await stage.client.create(web(1))
    await stage.until(stage.rolled_out)
    assert (await stage.get(Deployment)).status.collisionCount == 1
    assert len(await stage.all(ReplicaSet)) == 2
    assert not await stage.messages("ReplicaSetCreateError")


@on_stage
async def test_recreate_never_mixes_revisions(stage: Stage) -> None:
    await stage.client.create(web(3, recreate=True))
    await stage.until(stage.rolled_out)
    await stage.set_image("x:2")
    await stage.until(stage.rolled_out)
    with stage.store.watch("pods", after=0) as channel:
        present: dict[str, str] = {}
        for event in channel.poll(10_000):
            if event.object is None:
                del present[event.key.name]
            else:
                present[event.key.name] = event.object.spec.containers[0].image
            assert len(set(present.values())) <= 1


async def rolled_while_crashing(environment: SimulatedEnvironment) -> None:
    stage = Stage(environment)

    async def scenario(stage: Stage) -> None:
        await stage.client.create(web(3, surge=1, unavailable=1))
        await stage.environment.sleep(3)
        await stage.set_image("x:2")
        await stage.environment.sleep(2)
        await stage.patch({"spec": {"replicas": 5}})
        await stage.until(stage.rolled_out)
        await stage.environment.sleep(15)
        assert await stage.rolled_out()
        assert await stage.sizes() == {"x:1": 0, "x:2": 5}
        assert all(pod.metadata.labels["app"] == LABELS["app"] for pod in await stage.all(Pod))

    await stage.play(scenario)
    assert max(alive(stage)) <= 6


@pytest.mark.parametrize("actor", ["deployment-controller", "replicaset-controller", "controllers' informers"])
def test_a_rollout_survives_a_crash_anywhere_and_keeps_within_its_surge(actor: str) -> None:
    assert crash_at_every_step(5, actor, rolled_while_crashing, stride=2) > 3
