"""Deletes: at once, with grace, held by finalizers; and what they leave to the garbage collector."""
from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import ConfigMap, Namespace, Pod
from kubelet_lite.api.errors import Conflict, Invalid, NotFound
from kubelet_lite.api.meta_v1 import DeleteOptions, ObjectMeta, Status
from kubelet_lite.api.requests import MERGE_PATCH, ListOptions
from kubelet_lite.client.base import Preconditions
from kubelet_lite.registry.deletion import Deletion, plan
from kubelet_lite.registry.rules import KindRules
from tests.registry.world import World, config_map, in_world, names, pod, refused

NOW = 1_767_225_600.0
GRACEFUL = KindRules(
    resource="pods", grace_period_seconds=lambda pod: pod.spec.terminationGracePeriodSeconds,
    prepare_graceful_delete=lambda pod, grace: (grace or 0) if pod.spec.nodeName else 0,
)
PLAIN = KindRules(resource="configmaps")
ORPHANING = KindRules(resource="jobs.batch", default_propagation="orphan")


def scheduled(**metadata: Any) -> Pod:
    made = pod(node="n", uid="u", generation=1, **metadata)
    return replace(made, spec=replace(made.spec, terminationGracePeriodSeconds=30))


def marked(result: Deletion) -> ObjectMeta:
    assert result.mark is not None
    meta: ObjectMeta = result.mark.metadata
    return meta


def test_a_plain_object_goes_at_once() -> None:
    assert plan(config_map(), DeleteOptions(), PLAIN, NOW) == Deletion(None, True)


def test_a_running_pod_is_given_its_grace_period() -> None:
    result = plan(scheduled(), DeleteOptions(), GRACEFUL, NOW)
    assert not result.remove
    meta = marked(result)
    assert (meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.generation) == ("2026-01-01T00:00:30Z", 30, 2)


@pytest.mark.parametrize(("asked", "until"), [(5, "2026-01-01T00:00:05Z"), (-3, "2026-01-01T00:00:01Z")])
def test_a_grace_period_may_be_asked_for(asked: int, until: str) -> None:
    assert marked(plan(scheduled(), DeleteOptions(gracePeriodSeconds=asked), GRACEFUL, NOW)).deletionTimestamp == until


def test_a_pod_of_no_node_goes_at_once_after_it_was_marked() -> None:
    result = plan(replace(scheduled(), spec=replace(scheduled().spec, nodeName="")), DeleteOptions(), GRACEFUL, NOW)
    assert result.remove
    assert marked(result).deletionGracePeriodSeconds == 0


def test_a_grace_period_can_only_become_shorter() -> None:
    ending = marked(plan(scheduled(), DeleteOptions(), GRACEFUL, NOW))
    terminating = replace(scheduled(), metadata=ending)
    assert plan(terminating, DeleteOptions(gracePeriodSeconds=60), GRACEFUL, NOW + 5) == Deletion(None, False)
    assert plan(terminating, DeleteOptions(), GRACEFUL, NOW + 5) == Deletion(None, False)
    assert marked(plan(terminating, DeleteOptions(gracePeriodSeconds=10), GRACEFUL, NOW + 5)).deletionTimestamp == "2026-01-01T00:00:10Z"
    at_once = plan(terminating, DeleteOptions(gracePeriodSeconds=0), GRACEFUL, NOW + 5)
    assert at_once.remove
    assert marked(at_once).generation == 2


def test_finalizers_hold_an_object() -> None:
    result = plan(config_map(finalizers=("a/b",), generation=3), DeleteOptions(), PLAIN, NOW)
    assert not result.remove
    meta = marked(result)
    assert (meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.generation) == ("2026-01-01T00:00:00Z", 0, 4)


@pytest.mark.parametrize(("rules", "options", "present", "finalizers"), [
    (PLAIN, {}, (), ()),
    (PLAIN, {"propagationPolicy": "Foreground"}, (), ("foregroundDeletion",)),
    (PLAIN, {"propagationPolicy": "Orphan"}, (), ("orphan",)),
    (PLAIN, {"orphanDependents": True}, (), ("orphan",)),
    (PLAIN, {"propagationPolicy": "Background"}, ("orphan", "a/b"), ("a/b",)),
    (PLAIN, {}, ("foregroundDeletion",), ("foregroundDeletion",)),
    (ORPHANING, {}, (), ("orphan",)),
    (ORPHANING, {"propagationPolicy": "Background"}, (), ()),
])
def test_the_propagation_policy_becomes_a_finalizer(
    rules: KindRules, options: dict[str, object], present: tuple[str, ...], finalizers: tuple[str, ...],
) -> None:
    result = plan(config_map(finalizers=present), DeleteOptions(**options), rules, NOW)  # type: ignore[arg-type]
    assert (result.mark.metadata.finalizers if result.mark is not None else ()) == finalizers
    assert result.remove == (not finalizers)


@in_world
async def test_what_a_second_delete_frees_of_its_finalizer_goes_without_it(world: World) -> None:
    await world.client.create(config_map())
    await world.client.delete(ConfigMap, "a", namespace="default", propagation="Foreground")
    assert (await world.client.get(ConfigMap, "a", namespace="default")).metadata.finalizers == ("foregroundDeletion",)
    await world.client.delete(ConfigMap, "a", namespace="default", propagation="Background")
    assert isinstance(await refused(world.client.get(ConfigMap, "a", namespace="default")), NotFound)
    before = plan(config_map(finalizers=("foregroundDeletion",)), DeleteOptions(propagationPolicy="Background"), PLAIN, NOW)
    assert before.remove
    assert marked(before).finalizers == ()


@in_world
async def test_a_delete_answers_with_a_status_or_with_the_object(world: World) -> None:
    made = await world.client.create(config_map())
    status = await world.client.delete(ConfigMap, "a", namespace="default")
    assert isinstance(status, Status)
    assert status.details is not None
    assert (status.status, status.details.kind, status.details.uid) == ("Success", "configmaps", made.metadata.uid)
    await world.client.create(pod())
    assert isinstance(await world.client.delete(Pod, "p", namespace="default"), Pod)
    assert isinstance(await refused(world.client.delete(Pod, "p", namespace="default")), NotFound)


@in_world
async def test_preconditions_protect_another_object_of_the_name(world: World) -> None:
    made = await world.client.create(config_map())
    for conditions, word in ((Preconditions(uid="other"), "UID"), (Preconditions(resource_version="1"), "ResourceVersion")):
        error = await refused(world.client.delete(ConfigMap, "a", namespace="default", preconditions=conditions))
        assert isinstance(error, Conflict)
        assert f"the {word} in the precondition" in error.message
    await world.client.delete(ConfigMap, "a", namespace="default", preconditions=Preconditions(uid=made.metadata.uid))


@in_world
async def test_contradicting_options_are_refused(world: World) -> None:
    await world.client.create(config_map())
    error = await refused(world.client.delete(ConfigMap, "a", namespace="default", propagation="Sometimes"))  # type: ignore[arg-type]
    assert isinstance(error, Invalid)
    assert error.message.startswith('DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sometimes"')


@in_world
async def test_the_last_finalizer_taken_away_deletes(world: World) -> None:
    await world.client.create(config_map(finalizers=("a/a", "a/b")))
    await world.client.delete(ConfigMap, "a", namespace="default")
    for left in (["a/b"], None):
        await world.client.patch(ConfigMap, "a", {"metadata": {"finalizers": left}}, namespace="default", content_type=MERGE_PATCH)
    assert isinstance(await refused(world.client.get(ConfigMap, "a", namespace="default")), NotFound)


@in_world
async def test_no_finalizer_is_added_to_what_is_being_deleted(world: World) -> None:
    await world.client.create(config_map(finalizers=("a/a",)))
    await world.client.delete(ConfigMap, "a", namespace="default")
    patch = {"metadata": {"finalizers": ["a/a", "a/b"]}}
    error = await refused(world.client.patch(ConfigMap, "a", patch, namespace="default", content_type=MERGE_PATCH))
    assert 'found new finalizers []string{"a/b"}' in error.message


@in_world
async def test_a_namespace_is_marked_first_and_goes_with_its_own_finalizer(world: World) -> None:
    await world.client.create(Namespace(metadata=ObjectMeta(name="n")))
    deleted = await world.client.delete(Namespace, "n")
    assert (deleted.status.phase, deleted.spec.finalizers) == ("Terminating", ("kubernetes",))
    await world.client.update(replace(deleted, spec=replace(deleted.spec, finalizers=())), subresource="finalize")
    assert isinstance(await refused(world.client.get(Namespace, "n")), NotFound)


@in_world
async def test_a_collection_is_deleted_by_its_selector(world: World) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        await world.client.create(config_map(name, labels={"l": label}))
    await world.client.delete_collection(ConfigMap, namespace="default", options=ListOptions(label_selector="l=x"))
    assert names((await world.client.list(ConfigMap)).items) == ["c"]
