"""PodTemplates. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-template-v1/"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubelet_lite.api.core_v1 import PodTemplate
from kubelet_lite.registry.kinds.ages import labels_text
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import container_cells, validate_pod_template
from kubelet_lite.registry.kinds.pods.warnings import template_warnings
from kubelet_lite.registry.rules import KindRules


def _row(obj: PodTemplate, now: float) -> Sequence[Any]:
    return obj.metadata.name, *container_cells(obj.template), labels_text(obj.template.metadata.labels)


RULES: Final = KindRules(
    resource="podtemplates",
    default=lambda obj: changed(obj, template=default_pod_template(obj.template)),
    validate=lambda obj: tuple(validate_pod_template("template", obj.template)),
    warnings=lambda obj, old: template_warnings("template", obj.template),
    generation=True,
    generation_moves=lambda new, old: bool(new.template != old.template),
    row=_row,
)
