"""IngressClasses. https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required, too_long
from kubelet_lite.api.networking_v1 import IngressClass, IngressClassParametersReference
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.kinds.ingresses import local_reference
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import dns_label
from kubelet_lite.registry.validation.numbers import IMMUTABLE

LONGEST_CONTROLLER: Final = 250
SCOPES: Final = ("Cluster", "Namespace")


def _default(found: IngressClass) -> IngressClass:
    parameters = found.spec.parameters
    if parameters is None or parameters.scope is not None:
        return found
    return replace(found, spec=replace(found.spec, parameters=replace(parameters, scope="Cluster")))


@collected
def _validate(found: IngressClass) -> Iterator[FieldError]:
    controller = found.spec.controller
    if len(controller) > LONGEST_CONTROLLER:
        yield too_long("spec.controller", LONGEST_CONTROLLER)
    if not controller:
        yield required("spec.controller")
    else:
        for part, message in names.domain_prefixed_path(controller):
            yield invalid("spec.controller", part, message)
    if found.spec.parameters is not None:
        yield from _parameters("spec.parameters", found.spec.parameters)


def _parameters(path: str, parameters: IngressClassParametersReference) -> Iterator[FieldError]:
    yield from local_reference(path, parameters)
    match parameters.scope:
        case None:
            yield required(f"{path}.scope")
        case "Namespace":
            if parameters.namespace is None:
                yield required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'")
            else:
                yield from dns_label(f"{path}.namespace", parameters.namespace)
        case "Cluster":
            if parameters.namespace is not None:
                yield forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'")
        case unknown:
            yield not_supported(f"{path}.scope", unknown, SCOPES)


@collected
def _validate_update(new: IngressClass, old: IngressClass) -> Iterator[FieldError]:
    if new.spec.controller != old.spec.controller:
        yield invalid("spec.controller", new.spec.controller, IMMUTABLE)


def _row(found: IngressClass, now: float) -> Sequence[Any]:
    parameters, shown = found.spec.parameters, NONE
    if parameters is not None:
        kind = parameters.kind if parameters.apiGroup is None else f"{parameters.kind}.{parameters.apiGroup}"
        shown = f"{kind}/{parameters.name}"
    return found.metadata.name, found.spec.controller, shown, age(found, now)


RULES: Final = KindRules(
    resource="ingressclasses.networking.k8s.io", default=_default, validate=_validate, validate_update=_validate_update,
    validate_on_update="after", generation=True, row=_row,
)
