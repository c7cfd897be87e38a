"""The hash of a pod template: Kubernetes' own, and what depends on it."""
from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Container, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.controllers.deployment._generated import template_layout
from kubelet_lite.controllers.deployment.template_hash import template_hash

ROOT = Path(__file__).parents[2]


def template(image: str, *, policy: str = "IfNotPresent", cpu: str = "") -> PodTemplateSpec:
    """As the API server stores it, with its defaults."""
    container = Container(
        name="c", image=image, imagePullPolicy=policy, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File",
        resources=ResourceRequirements(requests={"cpu": cpu} if cpu else {}),
    )
    spec = PodSpec(
        containers=(container,), restartPolicy="Always", terminationGracePeriodSeconds=1, dnsPolicy="ClusterFirst",
        automountServiceAccountToken=False, securityContext=PodSecurityContext(), schedulerName="default-scheduler",
    )
    return PodTemplateSpec(metadata=ObjectMeta(labels={"app": "web"}), spec=spec)


@pytest.mark.parametrize(("obj", "hash"), [
    (template("x:1"), "79d899749d"),
    (template("x:2"), "c4dc5ddf9"),
    (template("x", policy="Always", cpu="100m"), "54fbbfd458"),
])
def test_the_hash_is_the_one_that_kubernetes_gives(obj: PodTemplateSpec, hash: str) -> None:
    assert template_hash(obj) == hash


def test_a_collision_gives_another_hash() -> None:
    hashes = {template_hash(template("x:1"), count) for count in (None, 0, 1, 2)}
    assert len(hashes) == 4


def test_the_order_of_labels_does_not_count() -> None:
    one, other = (replace(template("x"), metadata=ObjectMeta(labels=labels)) for labels in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}))
    assert template_hash(one) == template_hash(other)


def test_the_layout_is_what_the_generator_writes() -> None:
    spec = importlib.util.spec_from_file_location("generate_template_layout", ROOT / "scripts" / "generate_template_layout.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert Path(template_layout.__file__).read_text() == generator.layout()
