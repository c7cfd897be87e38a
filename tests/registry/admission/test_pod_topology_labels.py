"""A bound pod knows where its node stands."""
from __future__ import annotations

from kubelet_lite.api.core_v1 import Binding, Node, ObjectReference, Pod
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.admission import pod_topology_labels
from kubelet_lite.registry.admission.chain import Admission
from kubelet_lite.registry.admission.plugin import World as AdmissionWorld
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from tests.registry.world import World, in_world, pod

ZONE = "topology.kubernetes.io/zone"


@in_world
async def test_a_pod_takes_over_the_labels_of_its_node(world: World) -> None:
    await world.client.create(Node(metadata=ObjectMeta(name="n", labels={ZONE: "z1", "other": "x"})))
    view = world.registry.view
    world.registry.admission = Admission(
        AdmissionWorld(view=view, environment=world.environment, authorizer=ClusterAuthorizer(view), write=world.registry.write),
        (pod_topology_labels.PLUGIN,),
    )
    await world.client.create(pod("bound", labels={ZONE: "mine", "app": "web"}))
    binding = Binding(metadata=ObjectMeta(name="bound", namespace="default"), target=ObjectReference(kind="Node", name="n"))
    await world.client.create(binding, subresource="binding")
    assert (await world.client.get(Pod, "bound", namespace="default")).metadata.labels == {ZONE: "z1", "app": "web"}
    assert (await world.client.create(pod("named", node="n"))).metadata.labels == {ZONE: "z1"}
    assert (await world.client.create(pod("lost", node="gone"))).metadata.labels == {}
