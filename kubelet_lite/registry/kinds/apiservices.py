"""APIServices. https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.apiregistration_v1 import APIService
from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import ALL_OF_METADATA, KindRules
from kubelet_lite.registry.validation import callouts
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import dns1035_label, dns_subdomain

MAX_GROUP_PRIORITY: Final = 20000
MAX_VERSION_PRIORITY: Final = 1000
DEFAULT_PORT: Final = 443


def _default(found: APIService) -> APIService:
    service = found.spec.service
    if service is None or service.port is not None:
        return found
    return replace(found, spec=replace(found.spec, service=replace(service, port=DEFAULT_PORT)))


@collected
def _validate(found: APIService) -> Iterator[FieldError]:
    spec, name = found.spec, found.metadata.name
    wanted = f"{spec.version}.{spec.group}"
    if name and name != wanted:
        yield invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if not spec.group and spec.version != "v1":
        yield required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    if spec.group:
        yield from dns_subdomain("spec.group", spec.group)
    yield from dns1035_label("spec.version", spec.version)
    if not 0 < spec.groupPriorityMinimum <= MAX_GROUP_PRIORITY:
        yield invalid("spec.groupPriorityMinimum", spec.groupPriorityMinimum, f"must be positive and less than {MAX_GROUP_PRIORITY}")
    if not 0 < spec.versionPriority <= MAX_VERSION_PRIORITY:
        yield invalid("spec.versionPriority", spec.versionPriority, f"must be positive and less than {MAX_VERSION_PRIORITY}")
    if spec.service is None:
        if spec.caBundle:
            yield invalid("spec.caBundle", f"{len(spec.caBundle)} bytes", "local APIServices may not have a caBundle")
        if spec.insecureSkipTLSVerify:
            yield invalid("spec.insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify")
        return
    service = spec.service
    yield from callouts.service("spec.service", ("namespace", service.namespace), ("name", service.name), None, service.port)
    if spec.insecureSkipTLSVerify and spec.caBundle:
        yield invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def _row(found: APIService, now: float) -> Sequence[Any]:
    service = found.spec.service
    condition = next((condition for condition in found.status.conditions if condition.type == "Available"), None)
    available = "Unknown"
    if condition is not None:
        available = condition.status if condition.status == "True" else f"{condition.status} ({condition.reason})"
    return found.metadata.name, "Local" if service is None else f"{service.namespace}/{service.name}", available, age(found, now)


RULES: Final = KindRules(
    resource="apiservices.apiregistration.k8s.io", default=_default, status_update_keeps=ALL_OF_METADATA, validate=_validate, name_errors=names.path_segment_name_or_prefix,
    storage_path="/apiregistration.k8s.io/apiservices", row=_row,
)
