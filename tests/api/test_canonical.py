"""The canonical form of whole objects."""
from __future__ import annotations

import pytest

from kubelet_lite.api.canonical import canonicalise
from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import Container, EmptyDirVolumeSource, Pod, PodSpec, ResourceRequirements, Volume
from kubelet_lite.api.meta_v1 import ManagedFieldsEntry, ObjectMeta
from kubelet_lite.api.quantities import QuantityError


def pod(cpu: str, size: str = "1Gi") -> Pod:
    limits = ResourceRequirements(limits={"cpu": cpu, "memory": "64Mi"})
    volume = Volume(name="v", emptyDir=EmptyDirVolumeSource(sizeLimit=size))
    return Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(containers=(Container(name="c", resources=limits),), volumes=(volume,)))


def test_quantities_anywhere_in_an_object_become_canonical() -> None:
    assert canonicalise(pod("0.5", "1024Mi")) == pod("500m", "1Gi")


def test_lists_of_resources_are_rounded_up_to_a_milli_other_quantities_are_not() -> None:
    assert canonicalise(pod("0.00001", "0.00001")) == pod("1m", "10u")


def test_a_canonical_object_is_given_back_itself() -> None:
    whole = pod("500m")
    assert canonicalise(whole) is whole


def test_what_did_not_change_is_shared() -> None:
    whole = pod("0.5")
    assert canonicalise(whole).metadata is whole.metadata
    assert canonicalise(whole).spec.volumes is whole.spec.volumes


def test_times_are_put_in_utc() -> None:
    meta = ObjectMeta(creationTimestamp="2026-01-02T03:04:05+01:00", managedFields=(ManagedFieldsEntry(time="2026-01-02T03:04:05.5Z"),))
    lease = canonicalise(Lease(metadata=meta, spec=LeaseSpec(renewTime="2026-01-02T03:04:05.000001+01:00")))
    assert lease.metadata.creationTimestamp == "2026-01-02T02:04:05Z"
    assert lease.metadata.managedFields[0].time == "2026-01-02T03:04:05Z"
    assert lease.spec.renewTime == "2026-01-02T02:04:05.000001Z"


def test_an_empty_quantity_is_an_error() -> None:
    with pytest.raises(QuantityError):
        canonicalise(pod("1", ""))
