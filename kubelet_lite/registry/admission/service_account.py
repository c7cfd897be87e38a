"""ServiceAccount: a pod runs as `default` unless it says otherwise, and gets a volume with a token that the kubelet keeps fresh.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-admission-controller
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import (
    ConfigMapProjection,
    Container,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    KeyToPath,
    LocalObjectReference,
    ObjectFieldSelector,
    Pod,
    PodSpec,
    ProjectedVolumeSource,
    ServiceAccount,
    ServiceAccountTokenProjection,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from kubelet_lite.api.encoding import encode_value
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on
from kubelet_lite.registry.sharing import by_identity

DEFAULT_NAME: Final = "default"
MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"
ENFORCE_SECRETS_ANNOTATION: Final = "kubernetes.io/enforce-mountable-secrets"
MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX: Final = "kube-api-access-"
TOKEN_LIFETIME_SECONDS: Final = 3607
"""An hour and a little: the number by which Kubernetes knows tokens that it asked for itself."""
SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH: Final = 5
MAX_SPECS: Final = 1024
"""Specs whose changed form is remembered."""

_TOKEN_SOURCE: Final = ProjectedVolumeSource(
    sources=(
        VolumeProjection(serviceAccountToken=ServiceAccountTokenProjection(expirationSeconds=TOKEN_LIFETIME_SECONDS, path="token")),
        VolumeProjection(configMap=ConfigMapProjection(name="kube-root-ca.crt", items=(KeyToPath(key="ca.crt", path="ca.crt"),))),
        VolumeProjection(downwardAPI=DownwardAPIProjection(items=(
            DownwardAPIVolumeFile(path="namespace", fieldRef=ObjectFieldSelector(apiVersion="v1", fieldPath="metadata.namespace")),
        ))),
    ),
    defaultMode=0o644,
)


def _mutate(pod: Pod, review: Review, world: World) -> Pod:
    if MIRROR_ANNOTATION in pod.metadata.annotations:
        return pod
    spec = pod.spec
    name = spec.serviceAccountName or DEFAULT_NAME
    account = _account(pod, name, review, world)
    new = _run_as(spec)(name, _mounts_token(account, pod), account.imagePullSecrets)
    return pod if new is spec else replace(pod, spec=new)


@by_identity(MAX_SPECS)
def _run_as(spec: PodSpec) -> Callable[[str, bool, tuple[LocalObjectReference, ...]], PodSpec]:
    """The spec as an account changes it, remembered: pods of one template share the spec that they end up with."""

    @cache
    def changed(name: str, mounts_token: bool, pull_secrets: tuple[LocalObjectReference, ...]) -> PodSpec:
        changes: dict[str, Any] = {}
        if not spec.serviceAccountName:
            changes["serviceAccountName"] = changes["serviceAccount"] = name
        if mounts_token:
            changes.update(_mounted(spec))
        if not spec.imagePullSecrets and pull_secrets:
            changes["imagePullSecrets"] = pull_secrets
        return replace(spec, **changes) if changes else spec

    return changed


def _account(pod: Pod, name: str, review: Review, world: World) -> ServiceAccount:
    account: ServiceAccount | None = world.view.get("serviceaccounts", review.namespace, name)
    if account is None:
        raise review.forbidden(f'error looking up service account {review.namespace}/{name}: serviceaccount "{name}" not found', pod)
    return account


def _mounts_token(account: ServiceAccount, pod: Pod) -> bool:
    if pod.spec.automountServiceAccountToken is not None:
        return pod.spec.automountServiceAccountToken
    return account.automountServiceAccountToken is not False


def _mounted(spec: PodSpec) -> dict[str, Any]:
    """The fields of the spec that change: every container without something at the path gets the token's volume."""
    present = next((volume.name for volume in spec.volumes if volume.name.startswith(VOLUME_PREFIX)), "")
    name = present or VOLUME_PREFIX + _suffix(spec)
    mount = VolumeMount(name=name, readOnly=True, mountPath=MOUNT_PATH)
    changes: dict[str, Any] = {}
    for field in ("initContainers", "containers"):
        before: tuple[Container, ...] = getattr(spec, field)
        if any(_lacks_mount(container) for container in before):
            changes[field] = tuple(
                replace(container, volumeMounts=(*container.volumeMounts, mount)) if _lacks_mount(container) else container
                for container in before
            )
    if changes and not present:
        changes["volumes"] = (*spec.volumes, Volume(name=name, projected=_TOKEN_SOURCE))
    return changes


def _suffix(spec: PodSpec) -> str:
    """Letters that look random, as Kubernetes' are, and follow from the spec: equal specs stay equal."""
    number = int.from_bytes(hashlib.sha256(encode_value(spec)).digest()[:8])
    letters = []
    for _ in range(SUFFIX_LENGTH):
        number, letter = divmod(number, len(SUFFIX_LETTERS))
        letters.append(SUFFIX_LETTERS[letter])
    return "".join(letters)


def _lacks_mount(container: Container) -> bool:
    return all(mount.mountPath != MOUNT_PATH for mount in container.volumeMounts)


def _validate(pod: Pod, review: Review, world: World) -> None:
    if MIRROR_ANNOTATION in pod.metadata.annotations:
        _validate_mirror(pod, review)
        return
    account = _account(pod, pod.spec.serviceAccountName or DEFAULT_NAME, review, world)
    if account.metadata.annotations.get(ENFORCE_SECRETS_ANNOTATION, "").lower() in ("true", "1", "t"):
        _validate_secrets(pod, account, review)


def _validate_mirror(pod: Pod, review: Review) -> None:
    if pod.spec.serviceAccountName:
        raise review.forbidden("a mirror pod may not reference service accounts", pod)
    for volume in pod.spec.volumes:
        if volume.secret is not None:
            raise review.forbidden("a mirror pod may not reference secrets", pod)
        if volume.projected is not None and any(source.serviceAccountToken is not None for source in volume.projected.sources):
            raise review.forbidden("a mirror pod may not use ServiceAccountToken volume projections", pod)


def _validate_secrets(pod: Pod, account: ServiceAccount, review: Review) -> None:
    allowed = {secret.name for secret in account.secrets}
    for volume in pod.spec.volumes:
        if volume.secret is not None and volume.secret.secretName not in allowed:
            raise review.forbidden(
                f'volume with secret.secretName="{volume.secret.secretName}" is not allowed because service account {account.metadata.name}'
                " does not reference that secret", pod,
            )
    for kind, containers in (("init container", pod.spec.initContainers), ("container", pod.spec.containers)):
        for container in containers:
            for variable in container.env:
                reference = variable.valueFrom.secretKeyRef if variable.valueFrom is not None else None
                if reference is not None and reference.name not in allowed:
                    raise review.forbidden(
                        f'{kind} {container.name} with envVar {variable.name} referencing secret.secretName="{reference.name}" is not allowed'
                        f" because service account {account.metadata.name} does not reference that secret", pod,
                    )
    pulls = {secret.name for secret in account.imagePullSecrets}
    for index, secret in enumerate(pod.spec.imagePullSecrets):
        if secret.name not in pulls:
            raise review.forbidden(
                f'imagePullSecrets[{index}].name="{secret.name}" is not allowed because service account {account.metadata.name}'
                " does not reference that imagePullSecret", pod,
            )


PLUGIN: Final = Plugin(name="ServiceAccount", handles=on("pods", "CREATE"), mutate=_mutate, validate=_validate)
