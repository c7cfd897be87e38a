"""What the kinds share that make pods: validation of a pod template, and the cells that show it."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import PodTemplateSpec
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.api.meta_v1 import LabelSelector
from kubelet_lite.api.selectors import SelectorError, from_label_selector
from kubelet_lite.registry.kinds.ages import NONE
from kubelet_lite.registry.kinds.pods.annotations import validate_pod_annotations, validate_profiles_match
from kubelet_lite.registry.kinds.pods.spec import template_spec_errors
from kubelet_lite.registry.kinds.pods.warnings import template_warnings
from kubelet_lite.registry.validation.annotations import annotation_map
from kubelet_lite.registry.validation.go_values import map_value, wire_value
from kubelet_lite.registry.validation.labels import label_map, label_selector


def validate_template_metadata(path: str, template: PodTemplateSpec) -> Iterator[FieldError]:
    meta = template.metadata
    yield from label_map(f"{path}.labels", meta.labels)
    yield from annotation_map(f"{path}.annotations", meta.annotations)
    yield from validate_pod_annotations(f"{path}.annotations", meta.annotations, template.spec)


def validate_pod_template(path: str, template: PodTemplateSpec) -> Iterator[FieldError]:
    meta, spec = template.metadata, template.spec
    yield from validate_template_metadata(path, template)
    yield from template_spec_errors(f"{path}.spec", spec)
    yield from validate_profiles_match(meta.annotations, spec, f"{path}.spec")
    if spec.ephemeralContainers:
        yield forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def validate_selector(path: str, selector: LabelSelector | None, empty: str) -> Iterator[FieldError]:
    """`spec.selector` of a workload; `empty` says what is wrong with one that selects everything."""
    if selector is None:
        yield required(path)
        return
    yield from label_selector(path, selector)
    if not selector.matchLabels and not selector.matchExpressions:
        yield invalid(path, wire_value(selector), empty)


def validate_selector_and_template(path: str, selector: LabelSelector | None, template: PodTemplateSpec, *, kind: str) -> Iterator[FieldError]:
    """That the selector selects what the template makes, and the template itself, which must be one that runs for good."""
    try:
        wanted = from_label_selector(selector)
    except SelectorError:
        yield invalid(f"{path}.selector", wire_value(selector), "invalid label selector")
        return
    if not wanted.empty and not wanted.matches(template.metadata.labels):
        yield labels_not_selected(f"{path}.template", template)
    yield from validate_pod_template(f"{path}.template", template)
    yield from validate_runs_for_good(f"{path}.template", template, kind=kind)


def labels_not_selected(path: str, template: PodTemplateSpec) -> FieldError:
    return invalid(f"{path}.metadata.labels", map_value(template.metadata.labels), "`selector` does not match template `labels`")


def validate_runs_for_good(path: str, template: PodTemplateSpec, *, kind: str) -> Iterator[FieldError]:
    if template.spec.restartPolicy != "Always":
        yield not_supported(f"{path}.spec.restartPolicy", template.spec.restartPolicy, ("Always",))
    if template.spec.activeDeadlineSeconds is not None:
        yield forbidden(f"{path}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")


def container_cells(template: PodTemplateSpec | None) -> Sequence[Any]:
    """The columns Containers and Images."""
    containers = template.spec.containers if template is not None else ()
    return ",".join(container.name for container in containers), ",".join(container.image for container in containers)


def selector_cell(selector: LabelSelector | None) -> str:
    if selector is None:
        return NONE
    try:
        return str(from_label_selector(selector)) or NONE
    except SelectorError:
        return NONE


def generation_warnings(
    path: str, template_of: Callable[[Any], PodTemplateSpec | None], *, of_name: bool = True,
) -> Callable[[Any, Any], Sequence[str]]:
    """The warnings of a workload: of its name when it is made, of its template also when an update moves its generation."""

    def warnings(obj: Any, old: Any) -> Sequence[str]:
        template = template_of(obj)
        if template is None or (old is not None and obj.metadata.generation == old.metadata.generation):
            return ()
        return (*(name_warnings(obj.metadata.name) if of_name and old is None else ()), *template_warnings(path, template))

    return warnings


def name_warnings(name: str) -> Sequence[str]:
    """Of a new workload whose pods are called after it."""
    messages = names.dns1123_label(name)
    if not messages:
        return ()
    return (
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: "
        f"[{' '.join(messages)}]",
    )
