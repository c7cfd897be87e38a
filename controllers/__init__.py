"""The controllers of the control plane: one file each, a pure plan and the shared loop. `base.py` explains all of them.

`start` starts them; `_makers` is the table.
"""
from __future__ import annotations

if not __name__.startswith("kubelet_lite."):
    raise ImportError("import this package as kubelet_lite.controllers")

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubelet_lite.api import identity

if TYPE_CHECKING:
    import anyio

    from kubelet_lite.actors.environment import Environment
    from kubelet_lite.actors.supervisor import Supervisor
    from kubelet_lite.client.base import Client
    from kubelet_lite.controllers.base import Controller


def _table() -> Sequence[type[Controller[Any]]]:
    """Every controller, in the order in which they start."""
    from kubelet_lite.controllers.clusterrole_aggregation import ClusterRoleAggregation
    from kubelet_lite.controllers.deployment import DeploymentController
    from kubelet_lite.controllers.endpoints import EndpointsController, EndpointSliceController, EndpointSliceMirroring
    from kubelet_lite.controllers.node_lifecycle import NodeLifecycle
    from kubelet_lite.controllers.pod_gc import PodGarbageCollector
    from kubelet_lite.controllers.replicaset import ReplicaSetController, ReplicationControllerController
    from kubelet_lite.controllers.resource_claim import PodResourceClaims, ResourceClaimRelease
    from kubelet_lite.controllers.serviceaccount import ServiceAccountController
    from kubelet_lite.controllers.taint_eviction import TaintEviction

    return (
        ServiceAccountController,
        DeploymentController,
        ReplicaSetController,
        ReplicationControllerController,
        EndpointSliceController,
        EndpointSliceMirroring,
        EndpointsController,
        NodeLifecycle,
        TaintEviction,
        PodGarbageCollector,
        PodResourceClaims,
        ResourceClaimRelease,
        ClusterRoleAggregation,
    )


def start(
    supervisor: Supervisor, client: Client, environment: Environment, *, root_certificate: str = "",
) -> Sequence[tuple[str, anyio.Event]]:
    """Starts all controllers; each one's name and what is set when it is ready. `client`: of one who may act as everybody;
    `root_certificate`: PEM text of the authority that the API server's certificate comes from."""
    from kubelet_lite.client.cache import Informers
    from kubelet_lite.controllers.garbage_collector import GarbageCollector
    from kubelet_lite.controllers.loop import ControllerActor, InformersActor
    from kubelet_lite.controllers.namespace import NamespaceController
    from kubelet_lite.controllers.root_ca import RootCaPublisher

    informers = Informers(client.acting_as(identity.component("kube-controller-manager")), environment)
    actors: list[ControllerActor | GarbageCollector | NamespaceController] = [ControllerActor(controller(informers), client, environment) for controller in _table()]
    actors.append(ControllerActor(RootCaPublisher(informers, root_certificate), client, environment))
    actors += [GarbageCollector(informers, client, environment), NamespaceController(informers, client, environment)]
    supervisor.start(InformersActor(informers))
    for actor in actors:
        supervisor.start(actor)
    return [(actor.name, actor.ready) for actor in actors]
