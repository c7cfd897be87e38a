"""Laws of Deployments, tried on a toy cluster in which ReplicaSets answer late, and pods become ready and fail at their own pace."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet, ReplicaSetStatus
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.controllers.base import Create, Delete, Patch, Plan, Record, Update
from kubelet_lite.controllers.deployment import amounts
from kubelet_lite.controllers.deployment.draft import DeploymentView
from kubelet_lite.controllers.deployment.plan import plan
from tests.controllers.objects import NOW, at, deployment, template

ENOUGH_ROUNDS = 200


class ToyCluster:
    """One Deployment. `ready`: pods of each ReplicaSet that are available now; what its status says may be older."""

    def __init__(self, obj: Deployment) -> None:
        self.deployment = obj
        self.sets: dict[str, ReplicaSet] = {}
        self.ready: dict[str, int] = {}
        self.time = 0.0

    def change(self, **spec: Any) -> None:
        metadata = replace(self.deployment.metadata, generation=self.deployment.metadata.generation + 1)
        self.deployment = replace(self.deployment, metadata=metadata, spec=replace(self.deployment.spec, **spec))

    def step(self) -> Plan:
        """Has the Deployment planned, and the plan carried out."""
        self.time += 1
        made = plan(DeploymentView(deployment=self.deployment, replica_sets=list(self.sets.values())), NOW + self.time)
        for action in made.actions:
            self._carry_out(action)
        return made

    def _carry_out(self, action: Any) -> None:
        match action:
            case Create():
                name = action.object.metadata.name
                assert name not in self.sets
                metadata = replace(action.object.metadata, uid=name, creationTimestamp=at(self.time), generation=1)
                self.sets[name] = replace(action.object, metadata=metadata)
                self.ready[name] = 0
            case Patch():
                name = action.object.metadata.name
                rs = self.sets[name]
                annotations = {**rs.metadata.annotations, **action.change.get("metadata", {}).get("annotations", {})}
                spec = action.change.get("spec", {})
                metadata = replace(rs.metadata, annotations=annotations, generation=rs.metadata.generation + bool(spec))
                self.sets[name] = replace(rs, metadata=metadata, spec=replace(rs.spec, **spec))
                self.ready[name] = min(self.ready[name], self.sets[name].spec.replicas or 0)
            case Delete():
                rs = self.sets.pop(action.object.metadata.name)
                assert not rs.spec.replicas
            case Update():
                metadata = action.object.metadata
                self.deployment = replace(self.deployment, metadata=metadata, status=action.object.status)
            case Record():
                pass

    def report(self, name: str) -> None:
        """Has a ReplicaSet say how it is."""
        rs, ready = self.sets[name], self.ready[name]
        self.sets[name] = replace(rs, status=ReplicaSetStatus(
            replicas=rs.spec.replicas or 0, readyReplicas=ready, availableReplicas=ready, terminatingReplicas=0,
            observedGeneration=rs.metadata.generation,
        ))

    def start(self, name: str, count: int) -> None:
        """So many more of its pods become available, if it has them."""
        self.ready[name] = min(self.ready[name] + count, self.sets[name].spec.replicas or 0)

    def settle(self) -> None:
        """Until nothing changes any more."""
        for _ in range(ENOUGH_ROUNDS):
            before = (self.deployment, dict(self.sets))
            for name in self.sets:
                self.start(name, 1000)
                self.report(name)
            made = self.step()
            if not made.actions and before == (self.deployment, self.sets):
                return
        raise AssertionError("does not come to rest")

    @property
    def available(self) -> int:
        """Pods that are available, as far as anybody was told."""
        return sum(min(self.ready[name], rs.status.availableReplicas) for name, rs in self.sets.items())

    @property
    def pods(self) -> int:
        return sum(rs.spec.replicas or 0 for rs in self.sets.values())


DEPLOYMENTS = st.builds(
    deployment, st.integers(1, 12), surge=st.sampled_from([0, 1, 3, "25%", "100%"]), unavailable=st.sampled_from([0, 1, 3, "25%", "60%"]),
)
STEPS = st.lists(st.tuples(st.sampled_from(["plan", "plan", "report", "start", "roll"]), st.integers(0, 5), st.integers(1, 4)), max_size=60)


def played(cluster: ToyCluster, steps: Sequence[tuple[str, int, int]]) -> None:
    """Plans, reports and starts as the steps say; after each the law holds that the caller is about."""
    images = 1
    for what, which, count in steps:
        names = list(cluster.sets)
        name = names[which % len(names)] if names else ""
        match what:
            case "plan":
                before = cluster.available
                cluster.step()
                fewest, most = amounts.fewest_available(cluster.deployment), amounts.most_pods(cluster.deployment)
                assert cluster.pods <= most
                assert cluster.available >= min(before, fewest)
            case "report" if name:
                cluster.report(name)
            case "start" if name:
                cluster.start(name, count)
            case "roll":
                images += 1
                cluster.change(template=template(f"x:{images % 4}"))


@settings(max_examples=200)
@given(DEPLOYMENTS, STEPS)
def test_never_more_than_max_surge_extra_pods_and_never_fewer_available_than_promised(obj: Deployment, steps: list[tuple[str, int, int]]) -> None:
    cluster = ToyCluster(obj)
    cluster.settle()
    played(cluster, steps)


@settings(max_examples=100)
@given(DEPLOYMENTS, STEPS, st.integers(0, 12), st.booleans())
def test_whatever_happened_it_comes_to_rest_with_the_newest_revision_alone(
    obj: Deployment, steps: list[tuple[str, int, int]], replicas: int, recreate: bool,
) -> None:
    cluster = ToyCluster(obj)
    played(cluster, steps)
    cluster.change(replicas=replicas, **({"strategy": deployment(recreate=True).spec.strategy} if recreate else {}))
    cluster.settle()
    sizes = [(rs.spec.template.spec, rs.spec.replicas) for rs in cluster.sets.values() if rs.spec.replicas]
    assert sizes == ([(cluster.deployment.spec.template.spec, replicas)] if replicas else [])
    status = cluster.deployment.status
    assert (status.replicas, status.updatedReplicas, status.availableReplicas, status.observedGeneration) == (
        replicas, replicas, replicas, cluster.deployment.metadata.generation,
    )
    assert {c.type: c.reason for c in status.conditions} == {"Available": "MinimumReplicasAvailable", "Progressing": "NewReplicaSetAvailable"}


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(0, 3))
def test_no_more_revisions_are_kept_than_the_limit_and_the_newest_has_the_highest_number(images: list[int], limit: int) -> None:
    cluster = ToyCluster(deployment(2, history=limit))
    for image in images:
        cluster.change(template=template(f"x:{image}"))
        cluster.settle()
    cluster.settle()
    assert len(cluster.sets) <= limit + 1
    numbers = {name: int(rs.metadata.annotations["deployment.kubernetes.io/revision"]) for name, rs in cluster.sets.items()}
    newest = max(numbers, key=lambda name: numbers[name])
    assert cluster.sets[newest].spec.replicas == 2
    assert len(set(numbers.values())) == len(numbers)
    assert cluster.deployment.metadata.annotations["deployment.kubernetes.io/revision"] == str(numbers[newest])


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_scaling_in_the_middle_of_a_rollout_keeps_within_the_surge(before: int, started: int, after: int) -> None:
    cluster = ToyCluster(deployment(before))
    cluster.settle()
    cluster.change(template=template("x:2"))
    cluster.step()
    for name in list(cluster.sets):
        cluster.start(name, started)
        cluster.report(name)
    cluster.step()
    cluster.change(replicas=after)
    cluster.step()
    assert cluster.pods <= max(amounts.most_pods(cluster.deployment), 0)
    cluster.settle()
    assert cluster.pods == after


def test_metadata_of_pods_alone_is_a_revision_too() -> None:
    cluster = ToyCluster(deployment())
    cluster.settle()
    cluster.change(template=replace(template(), metadata=ObjectMeta(labels={"app": "web"}, annotations={"kubectl.kubernetes.io/restartedAt": at(0)})))
    cluster.settle()
    assert sorted(rs.spec.replicas or 0 for rs in cluster.sets.values()) == [0, 3]
