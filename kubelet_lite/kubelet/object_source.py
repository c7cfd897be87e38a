"""Fetches the objects that a pod's containers and volumes refer to."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubelet_lite.actors import logs
from kubelet_lite.api import claim_rules
from kubelet_lite.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestSpec
from kubelet_lite.api.core_v1 import ConfigMap, Container, Node, Pod, Secret, Service
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.resource_v1 import ResourceClaim
from kubelet_lite.client.base import Client
from kubelet_lite.kubelet import volumes
from kubelet_lite.kubelet.container_environment import Sources

_log = logs.get_logger()
Reference = tuple[type[Any], str]


class ObjectSource:
    """`services`: whether containers get service variables (a runtime whose containers see nothing does without)."""

    def __init__(self, client: Client, node: Callable[[], Node], *, services: bool) -> None:
        self._client = client
        self._node = node
        self._wants_services = services

    async def for_container(self, pod: Pod, container: Container) -> Sources:
        """What the container's environment refers to."""
        services = await self._services(pod) if self._wants_services else ()
        return await self._fetched(pod, _of_environment(container), services)

    async def for_volumes(self, pod: Pod) -> Sources:
        """What the pod's volumes are made of."""
        return await self._fetched(pod, _of_volumes(pod), ())

    async def tokens(self, pod: Pod) -> volumes.Tokens:
        """The tokens that the pod's volumes hold. Raises VolumeError."""
        bound = BoundObjectReference(kind="Pod", apiVersion="v1", name=pod.metadata.name, uid=pod.metadata.uid)
        found = {}
        for audience, seconds in volumes.wanted_tokens(pod):
            spec = TokenRequestSpec(audiences=(audience,) if audience else (), expirationSeconds=seconds, boundObjectRef=bound)
            try:
                answer = await self._client.create(
                    TokenRequest(spec=spec), namespace=pod.metadata.namespace, name=pod.spec.serviceAccountName or "default", subresource="token",
                )
            except ApiError as error:
                raise volumes.VolumeError(f"MountVolume.SetUp failed: failed to fetch token: {error.message}") from error
            found[audience, seconds] = answer.status.token
        return volumes.Tokens(found)

    async def claims(self, pod: Pod) -> Mapping[str, ResourceClaim | str]:
        """The pod's ResourceClaims by name, or why one could not be read."""
        found: dict[str, ResourceClaim | str] = {}
        for used in claim_rules.claims_of(pod):
            if used.name is not None:
                try:
                    found[used.name] = await self._client.get(ResourceClaim, used.name, namespace=pod.metadata.namespace)
                except ApiError as error:
                    found[used.name] = error.message
        return found

    async def _fetched(self, pod: Pod, references: Iterable[Reference], services: tuple[Service, ...]) -> Sources:
        found: dict[Reference, Any] = {}
        for reference in references:
            if reference not in found:
                found[reference] = await self._fetch(pod, *reference)
        return Sources(
            config_map=lambda name: found.get((ConfigMap, name)), secret=lambda name: found.get((Secret, name)), node=self._node(), services=services,
        )

    async def _fetch(self, pod: Pod, kind: type[Any], name: str) -> Any:
        try:
            return await self._client.get(kind, name, namespace=pod.metadata.namespace)
        except NotFound:
            return None
        except ApiError as error:
            _log.warning("reference_not_read", object=f"{pod.metadata.namespace}/{pod.metadata.name}", name=name, error=error.message)
            return None

    async def _services(self, pod: Pod) -> tuple[Service, ...]:
        """In the order in which later ones win: default/kubernetes, then those of the namespace."""
        found: list[Service] = []
        try:
            if pod.metadata.namespace != "default" or pod.spec.enableServiceLinks is False:
                found.append(await self._client.get(Service, "kubernetes", namespace="default"))
            if pod.spec.enableServiceLinks is not False:
                found += (await self._client.list(Service, namespace=pod.metadata.namespace)).items
        except ApiError as error:
            _log.warning("services_not_read", object=f"{pod.metadata.namespace}/{pod.metadata.name}", error=error.message)
        return tuple(found)


def _of_environment(container: Container) -> Iterable[Reference]:
    for source in container.envFrom:
        if source.configMapRef is not None:
            yield ConfigMap, source.configMapRef.name
        if source.secretRef is not None:
            yield Secret, source.secretRef.name
    for variable in container.env:
        if variable.valueFrom is not None and variable.valueFrom.configMapKeyRef is not None:
            yield ConfigMap, variable.valueFrom.configMapKeyRef.name
        if variable.valueFrom is not None and variable.valueFrom.secretKeyRef is not None:
            yield Secret, variable.valueFrom.secretKeyRef.name


def _of_volumes(pod: Pod) -> Iterable[Reference]:
    for volume in pod.spec.volumes:
        if volume.configMap is not None:
            yield ConfigMap, volume.configMap.name
        if volume.secret is not None:
            yield Secret, volume.secret.secretName
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.configMap is not None:
                yield ConfigMap, source.configMap.name
            if source.secret is not None:
                yield Secret, source.secret.name
