"""managedFields after creates and updates."""
import json
import random
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import (
    ConfigMap,
    Container,
    ContainerPort,
    EnvVar,
    HostIP,
    Node,
    Pod,
    PodCondition,
    PodIP,
    PodSecurityContext,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Toleration,
)
from kubelet_lite.api.meta_v1 import LabelSelector, ManagedFieldsEntry, ObjectMeta, OwnerReference
from kubelet_lite.api.resources import find, resource_of
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.registry.patch import managed_fields
from kubelet_lite.registry.patch.managed_fields import MAX_UPDATE_MANAGERS, unchanged_but_times, updated
from kubelet_lite.registry.patch.shape import shape_of

T0, T1 = 1_000_000_000.0, 1_000_000_060.0
POD = Pod(
    metadata=ObjectMeta(name="p", namespace="n", labels={"app": "p"}, finalizers=("example.com/f",)),
    spec=PodSpec(
        containers=(Container(name="c", image="i", ports=(ContainerPort(containerPort=80, protocol="TCP"),), env=(EnvVar(name="X", value="1"),)),),
        tolerations=(Toleration(key="k"),), nodeSelector={"a": "b"},
    ),
)


def write(live, new, manager="m", now=T0, subresource=""):
    """`new` as stored after a write by `manager`."""
    entries = updated(live, new, manager=manager, now=now, subresource=subresource, resource=resource_of(type(new)))
    return msgspec.structs.replace(new, metadata=msgspec.structs.replace(new.metadata, managedFields=entries))


def owned(obj):
    """manager (and subresource) → what it owns."""
    return {
        f"{e.manager}/{e.subresource}" if e.subresource else e.manager: json.loads(bytes(e.fieldsV1)) for e in obj.metadata.managedFields
    }


def config_map(data, **metadata):
    return ConfigMap(metadata=ObjectMeta(name="c", namespace="n", **metadata), data=data)


def change(obj, **metadata):
    return msgspec.structs.replace(obj, metadata=msgspec.structs.replace(obj.metadata, **metadata))


def test_a_creator_owns_what_it_sets_by_the_kinds_list_types():
    assert owned(write(None, POD)) == {"m": {
        "f:metadata": {"f:finalizers": {".": {}, 'v:"example.com/f"': {}}, "f:labels": {".": {}, "f:app": {}}},
        "f:spec": {
            "f:containers": {'k:{"name":"c"}': {
                ".": {}, "f:env": {".": {}, 'k:{"name":"X"}': {".": {}, "f:name": {}, "f:value": {}}}, "f:image": {}, "f:name": {},
                "f:ports": {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}}},
                "f:resources": {},
            }},
            "f:nodeSelector": {}, "f:tolerations": {},
        },
    }}


def test_a_keys_default_stands_for_the_missing_key():
    pod = msgspec.structs.replace(POD, spec=PodSpec(containers=(Container(name="c", ports=(ContainerPort(containerPort=80),)),)))
    assert 'k:{"containerPort":80,"protocol":"TCP"}' in owned(write(None, pod))["m"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:ports"]


def test_an_entry_is_complete():
    (entry,) = write(None, POD).metadata.managedFields
    assert (entry.manager, entry.operation, entry.apiVersion, entry.time, entry.fieldsType, entry.subresource) == (
        "m", "Update", "v1", "2001-09-09T01:46:40Z", "FieldsV1", "",
    )


def test_status_is_not_owned_through_the_main_resource_nor_spec_through_status():
    pod = msgspec.structs.replace(POD, status=PodStatus(phase="Running"))
    created = write(None, pod)
    assert "f:status" not in owned(created)["m"]
    condition = PodCondition(type="Ready", status="True")
    other_spec = msgspec.structs.replace(POD.spec, hostname="x")
    changed = msgspec.structs.replace(created, spec=other_spec, status=PodStatus(phase="Failed", conditions=(condition,)))
    assert owned(write(created, changed, "kubelet", subresource="status"))["kubelet/status"] == {"f:status": {
        "f:conditions": {".": {}, 'k:{"type":"Ready"}': {
            ".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {},
        }},
        "f:phase": {},
    }}


def test_a_change_moves_ownership_and_a_removal_ends_it():
    live = write(None, config_map({"a": "1", "b": "2", "c": "3"}))
    after = write(live, msgspec.structs.replace(live, data={"a": "9", "b": "2", "d": "4"}), "other", T1)
    assert owned(after) == {"m": {"f:data": {".": {}, "f:b": {}}}, "other": {"f:data": {"f:a": {}, "f:d": {}}}}


def test_a_manager_that_owns_nothing_more_has_no_entry():
    live = write(None, config_map({"a": "1"}))
    assert owned(write(live, msgspec.structs.replace(live, data={}), "other")) == {}


def test_time_moves_when_the_manager_changes_a_value_and_only_then():
    live = write(None, config_map({"a": "1"}))
    changed = write(live, msgspec.structs.replace(live, data={"a": "2"}), now=T1)
    assert [e.time for e in changed.metadata.managedFields] == ["2001-09-09T01:47:40Z"]
    removed = write(write(None, config_map({"a": "1", "b": "1"})), config_map({"a": "1"}), now=T1)
    assert [e.time for e in removed.metadata.managedFields] == ["2001-09-09T01:46:40Z"]


def test_a_write_that_changes_nothing_keeps_the_entries_themselves():
    live = write(None, POD)
    again = updated(live, msgspec.structs.replace(live), manager="other", now=T1, resource=resource_of(Pod))
    assert all(a is b for a, b in zip(again, live.metadata.managedFields, strict=True))


def test_managers_without_entries_stay_untracked():
    live = config_map({"a": "1"}, uid="u")
    assert owned(write(live, msgspec.structs.replace(live, data={"a": "2"}))) == {}


def test_one_empty_entry_takes_all_managers_away():
    live = write(None, config_map({"a": "1"}))
    assert owned(write(live, change(live, managedFields=(ManagedFieldsEntry(),)))) == {}


def test_what_the_request_says_of_managers_counts_unless_it_is_nonsense_or_of_a_subresource():
    live = write(None, POD)
    mine = (ManagedFieldsEntry(manager="sent", operation="Update", apiVersion="v1", fieldsType="FieldsV1", fieldsV1=msgspec.Raw(b'{"f:spec":{}}')),)
    assert owned(write(live, change(live, managedFields=mine), "x")) == {"sent": {"f:spec": {}}}
    assert owned(write(live, change(live, managedFields=()), "x")) == owned(live)
    nonsense = (msgspec.structs.replace(mine[0], fieldsV1=msgspec.Raw(b'{"x":1}')),)
    assert owned(write(live, change(live, managedFields=nonsense), "x")) == owned(live)
    assert owned(write(live, change(live, managedFields=mine), "x", subresource="status")) == owned(live)


def test_a_creation_with_managers_takes_their_fields():
    sent = config_map({"a": "1"}, managedFields=(
        ManagedFieldsEntry(manager="old", operation="Apply", apiVersion="v1", fieldsType="FieldsV1", fieldsV1=msgspec.Raw(b'{"f:data":{"f:a":{},"f:z":{}}}')),
    ))
    assert owned(write(None, sent)) == {"old": {"f:data": {"f:z": {}}}, "m": {"f:data": {".": {}, "f:a": {}}}}


def test_entries_are_ordered_by_operation_time_and_name():
    live = write(None, config_map({"a": "1"}), "z", T1)
    live = change(live, managedFields=(*live.metadata.managedFields, ManagedFieldsEntry(
        manager="late", operation="Apply", apiVersion="v1", time="2030-01-01T00:00:00Z", fieldsType="FieldsV1", fieldsV1=msgspec.Raw(b'{"f:data":{"f:q":{}}}'),
    )))
    after = write(live, msgspec.structs.replace(live, data={"a": "1", "b": "2"}), "b", T0)
    assert [e.manager for e in after.metadata.managedFields] == ["late", "b", "z"]


def test_the_oldest_updates_beyond_the_limit_become_one_entry():
    live = write(None, config_map({"k": "0"}), "m0", T0)
    for i in range(1, MAX_UPDATE_MANAGERS + 3):
        live = write(live, msgspec.structs.replace(live, data={**live.data, f"k{i}": "x"}), f"m{i}", T0 + 10 * i)
    names = [e.manager for e in live.metadata.managedFields]
    assert len(names) == MAX_UPDATE_MANAGERS
    assert names[0] == "ancient-changes"
    assert owned(live)["ancient-changes"] == {"f:data": {".": {}, "f:k": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}}


def test_scale_has_no_time():
    deployment = write(None, Deployment(metadata=ObjectMeta(name="d", uid="u"), spec=msgspec.structs.replace(Deployment().spec, replicas=1)))
    scaled = msgspec.structs.replace(deployment, spec=msgspec.structs.replace(deployment.spec, replicas=2))
    assert [(e.manager, e.subresource, e.time) for e in write(deployment, scaled, "s", subresource="scale").metadata.managedFields] == [("s", "scale", None)]


def test_custom_resources_are_merged_by_what_they_are():
    resource = msgspec.structs.replace(find("", "v1", "configmaps"), group="x.example.com", plural="ws", kind="W", api_version="x.example.com/v1", module="")
    made = Unstructured(kind="W", apiVersion="x.example.com/v1", metadata=ObjectMeta(name="w", labels={"a": "b"}), fields={"spec": {"a": 1, "l": [1]}})
    (entry,) = updated(None, made, manager="m", now=T0, resource=resource)
    assert json.loads(bytes(entry.fieldsV1)) == {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {".": {}, "f:a": {}, "f:l": {}}}


def test_versions_are_compared_in_their_own_form():
    resource = find("autoscaling", "v2", "horizontalpodautoscalers")
    live, new = config_map({"a": "1"}, uid="u"), config_map({"a": "2"}, uid="u")
    entry = ManagedFieldsEntry(manager="old", operation="Update", apiVersion="autoscaling/v1", fieldsType="FieldsV1", fieldsV1=msgspec.Raw(b'{"f:data":{"f:a":{}}}'))
    live = change(live, managedFields=(entry,))
    kept = updated(live, change(new, managedFields=(entry,)), manager="m", now=T0, resource=resource, convert=lambda obj, version: live)
    assert [e.manager for e in kept] == ["old", "m"]
    gone = updated(live, change(new, managedFields=(entry,)), manager="m", now=T0, resource=resource, convert=lambda obj, version: None)
    assert [e.manager for e in gone] == ["m"]


def test_equal_shapes_are_owned_alike_and_share_their_entries():
    other = msgspec.structs.replace(POD, metadata=msgspec.structs.replace(POD.metadata, name="q", labels={"app": "q"}))
    assert shape_of(other) == shape_of(POD)
    assert write(None, other).metadata.managedFields is write(None, POD).metadata.managedFields


@pytest.mark.parametrize("other", [
    change(POD, labels={"app": "p", "b": "c"}),
    change(POD, finalizers=("example.com/g",)),
    msgspec.structs.replace(POD, spec=msgspec.structs.replace(POD.spec, containers=(Container(name="d", image="i"),))),
    msgspec.structs.replace(POD, spec=msgspec.structs.replace(POD.spec, hostname="h")),
    msgspec.structs.replace(POD, spec=msgspec.structs.replace(POD.spec, tolerations=())),
])
def test_other_shapes_are_other_keys(other):
    assert shape_of(other) != shape_of(POD)


def test_only_times_differ():
    live = write(None, config_map({"a": "1"}))
    later = change(live, managedFields=tuple(msgspec.structs.replace(e, time="2030-01-01T00:00:00Z") for e in live.metadata.managedFields))
    assert unchanged_but_times(live, later)
    assert not unchanged_but_times(live, msgspec.structs.replace(later, data={"a": "2"}))
    assert not unchanged_but_times(live, change(live, managedFields=()))


def test_a_list_with_an_item_twice_can_still_be_owned():
    double = msgspec.structs.replace(POD, spec=PodSpec(containers=(Container(name="c", env=(EnvVar(name="X"), EnvVar(name="X"))),)))
    assert owned(write(None, double))["m"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:env"] == {".": {}, 'k:{"name":"X"}': {}}


def test_a_lease_renewal_keeps_the_set():
    lease = write(None, Lease(metadata=ObjectMeta(name="l"), spec=LeaseSpec(holderIdentity="h", renewTime="2026-01-01T00:00:00.000000Z")))
    renewed = write(lease, msgspec.structs.replace(lease, spec=msgspec.structs.replace(lease.spec, renewTime="2026-01-01T00:00:09.000000Z")), now=T1)
    assert owned(renewed) == owned(lease)
    assert renewed.metadata.managedFields[0].time == "2001-09-09T01:47:40Z"


def test_what_is_owned_is_exactly_what_any_order_of_writes_left():
    """Whatever was written by whomever: each present key belongs to who wrote its value last."""
    chance = random.Random(1)
    for _ in range(50):
        live = write(None, config_map({"a": "0"}), "first")
        last = {"a": "first"}
        for step in range(12):
            data = dict(live.data)
            name, who = chance.choice("abcd"), chance.choice(["x", "y", "z"])
            if chance.random() < 0.3 and len(data) > 1:
                data.pop(name, None)
                last.pop(name, None)
            else:
                data[name] = str(step + 1)
                last[name] = who
            live = write(live, msgspec.structs.replace(live, data=data), who)
        found = {f.removeprefix("f:"): who for who, tree in owned(live).items() for f in tree.get("f:data", {}) if f != "."}
        assert found == last


def test_atomic_maps_are_owned_as_a_whole():
    deployment = Deployment(metadata=ObjectMeta(name="d"), spec=msgspec.structs.replace(Deployment().spec, selector=LabelSelector(matchLabels={"a": "b"})))
    assert owned(write(None, deployment))["m"]["f:spec"] == {"f:selector": {}}


def test_sets_of_a_node_are_owned_by_value():
    node = Node(metadata=ObjectMeta(name="n"), spec=msgspec.structs.replace(Node().spec, podCIDRs=("10.0.0.0/24",)))
    assert owned(write(None, node))["m"]["f:spec"] == {"f:podCIDRs": {".": {}, 'v:"10.0.0.0/24"': {}}}


NAMES, TEXTS = st.sampled_from("abc"), st.sampled_from(["", "x", "y"])
MAPS = st.dictionaries(NAMES, TEXTS, max_size=2)
ENVIRONMENTS = st.lists(st.builds(EnvVar, name=NAMES, value=TEXTS), max_size=3).map(tuple)
PORTS = st.lists(st.builds(ContainerPort, containerPort=st.sampled_from([80, 81]), protocol=st.sampled_from(["", "TCP", "UDP"]), name=TEXTS), max_size=2).map(tuple)
RESOURCES = st.builds(ResourceRequirements, limits=MAPS, requests=MAPS)
CONTAINERS = st.lists(
    st.builds(Container, name=NAMES, image=TEXTS, args=st.sampled_from([(), ("a",), ("b",)]), env=ENVIRONMENTS, ports=PORTS, resources=RESOURCES), max_size=2,
).map(tuple)
SPECS = st.builds(
    PodSpec, containers=CONTAINERS, nodeSelector=MAPS, hostname=TEXTS, terminationGracePeriodSeconds=st.sampled_from([None, 0, 1]),
    securityContext=st.sampled_from([None, PodSecurityContext(), PodSecurityContext(runAsUser=0)]),
    tolerations=st.sampled_from([(), (Toleration(key="k"),), (Toleration(key="l"),)]),
)
METADATA = st.builds(ObjectMeta, name=NAMES, labels=MAPS, annotations=MAPS, finalizers=st.sampled_from([(), ("f",), ("f", "g")]))
PODS = st.builds(Pod, metadata=METADATA, spec=SPECS)


@settings(max_examples=300)
@given(PODS, PODS, st.sampled_from(["m", "other"]), st.sampled_from(["", "status"]))
def test_what_is_remembered_by_shape_is_what_would_be_worked_out(live, new, manager, subresource):
    live = write(None, live)
    new = change(new, managedFields=live.metadata.managedFields)
    for _ in range(3):  # the second time it is remembered
        remembered = updated(live, new, manager=manager, now=T1, resource=resource_of(Pod), subresource=subresource)
    for known in (managed_fields._STEPS, managed_fields._SHAPES, managed_fields._LATEST):
        known.clear()
    assert write(None, change(live, managedFields=())).metadata.managedFields == live.metadata.managedFields
    assert updated(live, new, manager=manager, now=T1, resource=resource_of(Pod), subresource=subresource) == remembered


ADDRESSES = st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=2, unique=True)
OWNERS = st.lists(st.sampled_from(["10.0.0.1", "u"]), max_size=2, unique=True)


@st.composite
def named(draw):
    """A pod whose status and owners have keys of their own."""
    pod_ips, host_ips = draw(ADDRESSES), draw(ADDRESSES)
    status = PodStatus(
        phase=draw(st.sampled_from(["Pending", "Running"])), podIPs=tuple(PodIP(ip=ip) for ip in pod_ips), hostIPs=tuple(HostIP(ip=ip) for ip in host_ips),
    )
    owners = tuple(OwnerReference(apiVersion="v1", kind="Node", name=uid, uid=uid) for uid in draw(OWNERS))
    return msgspec.structs.replace(POD, metadata=ObjectMeta(name="p", ownerReferences=owners), status=status)


def with_other_names(pod):
    """The same with other addresses and UIDs."""
    return msgspec.json.decode(msgspec.json.encode(pod).replace(b"10.0.0.", b"10.9.9.").replace(b'"uid":"u"', b'"uid":"v"'), type=Pod)


@given(named(), named(), named(), st.sampled_from(["", "status"]))
def test_what_is_remembered_of_other_addresses_and_owners_serves_these(first, second, third, subresource):
    def written(*pods):
        live = write(None, pods[0])
        for pod in pods[1:]:
            new = change(pod, managedFields=live.metadata.managedFields)
            live = write(live, new, manager="kubelet", now=T1, subresource=subresource)
        return live.metadata.managedFields

    pods = first, second, third
    for _ in range(3):
        written(*map(with_other_names, pods))
    remembered = written(*pods)
    with mock.patch.object(managed_fields, "_remembered_steps", return_value=None):
        assert remembered == written(*pods)


def test_what_is_remembered_of_a_status_write_serves_pods_of_other_owners_and_leaves_their_sets():
    def written(uid, phase, ip):
        owner = OwnerReference(apiVersion="apps/v1", kind="ReplicaSet", name="r", uid=uid)
        pod = write(None, msgspec.structs.replace(POD, metadata=msgspec.structs.replace(POD.metadata, ownerReferences=(owner,))))
        before = pod.metadata.managedFields[0]
        status = PodStatus(phase=phase, podIP=ip, podIPs=(PodIP(ip=ip),))
        pod = write(pod, msgspec.structs.replace(pod, status=status), manager="kubelet", now=T1, subresource="status")
        assert next(e for e in pod.metadata.managedFields if e.manager == "m") is before
        return owned(pod)

    managed_fields._STEPS.clear()
    first, second = written("a", "Running", "10.0.0.1"), written("b", "Failed", "10.0.0.1")
    steps = len(managed_fields._STEPS._values)
    third = written("c", "Pending", "10.0.0.1")
    assert (steps, len(managed_fields._STEPS._values)) == (1, 1)
    assert first["kubelet/status"] == second["kubelet/status"] == third["kubelet/status"]
    assert list(third["m"]["f:metadata"]["f:ownerReferences"]) == [".", 'k:{"uid":"c"}']
    other = written("c", "Pending", "10.0.0.2")
    assert 'k:{"ip":"10.0.0.2"}' in other["kubelet/status"]["f:status"]["f:podIPs"]
