"""Server-side apply: merging, conflicts, removal, and its laws against a naive model."""
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api import encoding
from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import ConfigMap, Service
from kubelet_lite.api.errors import ApiError, BadRequest, Conflict
from kubelet_lite.api.meta_v1 import ManagedFieldsEntry, ObjectMeta
from kubelet_lite.api.resources import resource_of
from kubelet_lite.registry.patch.managed_fields import updated
from kubelet_lite.registry.patch.server_side_apply import LAST_APPLIED, apply

T0, T1 = 1_000_000_000.0, 1_000_000_060.0


def config(kind, spec=None, **rest):
    resource = resource_of(kind)
    value = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "x", **rest.pop("metadata", {})}, **rest}
    return value if spec is None else {**value, "spec": spec}


def applied(live, kind, value, manager="alice", force=False, now=T0, subresource=""):
    """The object as it would be stored (without defaulting)."""
    result = apply(live, value, manager=manager, force=force, now=now, resource=resource_of(kind), subresource=subresource)
    obj = live if result.value is None else encoding.from_json(kind, result.value)
    meta = msgspec.structs.replace(obj.metadata, uid="u", managedFields=result.managed_fields)
    return msgspec.structs.replace(obj, metadata=meta)


def owned(obj):
    return {e.manager: json.loads(bytes(e.fieldsV1)) for e in obj.metadata.managedFields}


def template(*containers):
    return {"selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": list(containers)}}}


def containers(obj):
    return [(c.name, c.image) for c in obj.spec.template.spec.containers]


def test_a_creation_is_the_configuration_and_all_of_it_is_owned():
    made = applied(None, Deployment, config(Deployment, {**template({"name": "a", "image": "a:1", "ports": [{"containerPort": 80}]}), "replicas": 2}))
    assert made.spec.replicas == 2
    (entry,) = made.metadata.managedFields
    assert (entry.manager, entry.operation, entry.apiVersion, entry.time) == ("alice", "Apply", "apps/v1", "2001-09-09T01:46:40Z")
    assert owned(made) == {"alice": {"f:spec": {
        "f:replicas": {}, "f:selector": {}, "f:template": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:containers": {
            'k:{"name":"a"}': {".": {}, "f:image": {}, "f:name": {}, "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}},
        }}},
    }}}


def test_quantities_and_ports_may_be_written_as_numbers():
    container = {"name": "a", "resources": {"limits": {"cpu": 1, "memory": 1.5}}}
    made = apply(None, config(Deployment, template(container)), manager="m", force=False, now=T0, resource=resource_of(Deployment))
    assert made.value["spec"]["template"]["spec"]["containers"] == [container]
    ports = [{"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "http"}]
    assert apply(None, config(Service, {"ports": ports}), manager="m", force=False, now=T0, resource=resource_of(Service)).value["spec"]["ports"] == ports


def test_another_manager_adds_its_items_after_the_live_ones():
    made = applied(None, Deployment, config(Deployment, template({"name": "a", "image": "a:1"})))
    both = applied(made, Deployment, config(Deployment, template({"name": "b", "image": "b:1"})), "bob")
    assert containers(both) == [("a", "a:1"), ("b", "b:1")]
    assert set(owned(both)) == {"alice", "bob"}


def test_a_conflict_names_the_manager_and_the_field():
    made = applied(None, Deployment, config(Deployment, template({"name": "a", "image": "a:1"})))
    with pytest.raises(Conflict) as caught:
        applied(made, Deployment, config(Deployment, template({"name": "a", "image": "a:2"})), "bob")
    assert caught.value.to_status() == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": 'Apply failed with 1 conflict: conflict with "alice": .spec.template.spec.containers[name="a"].image', "reason": "Conflict",
        "details": {"causes": [{
            "reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": '.spec.template.spec.containers[name="a"].image',
        }]}, "code": 409,
    }


def test_several_conflicts_are_listed_by_manager():
    made = applied(None, ConfigMap, config(ConfigMap, data={"a": "1", "b": "1"}))
    other = msgspec.structs.replace(made, data={"a": "1", "b": "2"})
    entries = updated(made, other, manager="kubectl-edit", now=T0, resource=resource_of(ConfigMap))
    other = msgspec.structs.replace(other, metadata=msgspec.structs.replace(other.metadata, managedFields=entries))
    with pytest.raises(Conflict) as caught:
        applied(other, ConfigMap, config(ConfigMap, data={"a": "9", "b": "9"}), "bob")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "alice":\n- .data.a\nconflicts with "kubectl-edit" using v1:\n- .data.b'
    )


def test_force_takes_the_field_and_only_the_field():
    made = applied(None, Deployment, config(Deployment, template({"name": "a", "image": "a:1"})))
    taken = applied(made, Deployment, config(Deployment, template({"name": "a", "image": "a:2"})), "bob", force=True)
    assert containers(taken) == [("a", "a:2")]
    assert owned(taken)["alice"]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"a"}'] == {".": {}, "f:name": {}}


def test_what_is_no_longer_applied_goes_unless_another_owns_it():
    made = applied(None, ConfigMap, config(ConfigMap, metadata={"labels": {"a": "1", "b": "2"}, "finalizers": ["example.com/f"]}))
    both = applied(made, ConfigMap, config(ConfigMap, metadata={"labels": {"b": "2"}, "finalizers": ["example.com/g"]}), "bob")
    assert both.metadata.finalizers == ("example.com/f", "example.com/g")
    less = applied(both, ConfigMap, config(ConfigMap, metadata={"labels": {"a": "1"}}))
    assert (less.metadata.labels, less.metadata.finalizers) == ({"a": "1", "b": "2"}, ("example.com/g",))
    none = applied(less, ConfigMap, config(ConfigMap), "bob")
    assert (none.metadata.labels, none.metadata.finalizers) == ({"a": "1"}, ())
    assert set(owned(none)) == {"alice"}


def test_what_others_updated_stays_when_the_applier_lets_go():
    made = applied(None, ConfigMap, config(ConfigMap, data={"a": "1", "b": "1"}))
    changed = msgspec.structs.replace(made, data={"a": "1", "b": "2"})
    entries = updated(made, changed, manager="editor", now=T1, resource=resource_of(ConfigMap))
    changed = msgspec.structs.replace(changed, metadata=msgspec.structs.replace(changed.metadata, managedFields=entries))
    assert applied(changed, ConfigMap, config(ConfigMap, data={"a": "1"})).data == {"a": "1", "b": "2"}


def test_atomic_lists_are_replaced_as_a_whole_and_conflict_as_a_whole():
    service = {"selector": {"a": "b"}, "ports": [{"port": 80, "name": "a"}], "loadBalancerSourceRanges": ["10.0.0.0/8"]}
    made = applied(None, Service, config(Service, service))
    with pytest.raises(Conflict, match="loadBalancerSourceRanges"):
        applied(made, Service, config(Service, {**service, "loadBalancerSourceRanges": ["10.1.0.0/16"]}), "bob")


def test_an_apply_that_changes_nothing_leaves_object_entry_and_time():
    made = applied(None, ConfigMap, config(ConfigMap, data={"a": "1"}))
    result = apply(made, config(ConfigMap, data={"a": "1"}), manager="alice", force=False, now=T1, resource=resource_of(ConfigMap))
    assert result.value is None
    assert result.managed_fields == made.metadata.managedFields


def test_a_manager_that_wants_what_is_there_shares_it():
    made = applied(None, ConfigMap, config(ConfigMap, data={"a": "1"}))
    shared = applied(made, ConfigMap, config(ConfigMap, data={"a": "1"}), "bob")
    assert owned(shared) == {"alice": {"f:data": {"f:a": {}}}, "bob": {"f:data": {"f:a": {}}}}
    assert applied(shared, ConfigMap, config(ConfigMap)).data == {"a": "1"}


def test_an_object_nobody_manages_is_owned_by_who_was_there_before():
    live = ConfigMap(metadata=ObjectMeta(name="x", uid="u"), data={"a": "1"})
    with pytest.raises(Conflict, match=r'conflict with "before-first-apply" using v1: \.data\.a'):
        applied(live, ConfigMap, config(ConfigMap, data={"a": "2"}))


def test_status_is_not_owned_by_applying_the_object():
    made = applied(None, Deployment, config(Deployment, template({"name": "a"}), status={"replicas": 3}))
    assert "f:status" not in owned(made)["alice"]
    assert owned(applied(made, Deployment, config(Deployment, status={"replicas": 3}), "st", subresource="status"))["st"] == {"f:status": {"f:replicas": {}}}


def test_scale_is_applied_to_its_parent():
    made = applied(None, Deployment, config(Deployment, {**template({"name": "a"}), "replicas": 1}))
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 5}}
    scaled = applied(made, Deployment, scale, "hpa", force=True, subresource="scale")
    assert scaled.spec.replicas == 5
    assert owned(scaled)["hpa"] == {"f:spec": {"f:replicas": {}}}
    with pytest.raises(Conflict, match=r'conflict with "hpa" with subresource "scale": \.spec\.replicas'):
        applied(scaled, Deployment, config(Deployment, {**template({"name": "a"}), "replicas": 1}))


@pytest.mark.parametrize(("value", "code", "message"), [
    (config(Deployment, template({"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 80}]})), 500,
     'failed to create typed patch object (/x; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="a"].ports: '
     'duplicate entries for key [containerPort=80,protocol="TCP"]'),
    (config(Deployment, template({"name": "a"}, {"name": "a"}), metadata={"namespace": "n"}), 500,
     'failed to create typed patch object (n/x; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="a"]'),
    (config(Deployment, template({"image": "a"})), 500,
     'failed to create typed patch object (/x; apps/v1, Kind=Deployment): .spec.template.spec.containers: element 0: associative list with keys has an '
     'element that omits key field "name" (and doesn\'t have default value)'),
    (config(Deployment, {"replica": 1}), 500, "failed to create typed patch object (/x; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema"),
    (config(Deployment, {"replicas": "1", "paused": 1, "strategy": []}), 500,
     "failed to create typed patch object (/x; apps/v1, Kind=Deployment): errors:\n  .spec.replicas: expected numeric (int or float), got string\n"
     "  .spec.paused: expected boolean, got &{1}\n  .spec.strategy: expected map, got &{[]}"),
    (config(Deployment, metadata={"labels": {"a": 1}}), 500,
     "failed to create typed patch object (/x; apps/v1, Kind=Deployment): .metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}"),
    (config(Deployment, template({"name": "a", "resources": {"limits": {"cpu": {"x": 1}}}})), 500,
     'failed to create typed patch object (/x; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="a"].resources.limits.cpu: '
     "expected any scalar, got &{map[x:1]}"),
    (config(Deployment, metadata={"managedFields": []}), 400, "metadata.managedFields must be nil"),
    (config(ConfigMap), 400, "invalid object type: /v1, Kind=ConfigMap"),
    ([], 400, "error decoding YAML: json: cannot unmarshal into Go value of type map[string]interface {}"),
])
def test_a_bad_configuration_is_refused_in_kubernetes_words(value, code, message):
    with pytest.raises(ApiError) as caught:
        applied(None, Deployment, value)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_unreadable_managed_fields_are_our_fault_not_ignored():
    live = ConfigMap(metadata=ObjectMeta(name="x", managedFields=(ManagedFieldsEntry(manager="m", operation="Update", fieldsV1=msgspec.Raw(b"[]")),)))
    with pytest.raises(ApiError, match="failed to decode managed fields"):
        applied(live, ConfigMap, config(ConfigMap))


def test_kubectl_takes_over_what_it_applied_from_the_client_before():
    before = config(ConfigMap, data={"a": "1", "b": "1"})
    live = ConfigMap(metadata=ObjectMeta(name="x", annotations={LAST_APPLIED: json.dumps(before)}), data={"a": "1", "b": "1"})
    entries = updated(None, live, manager="kubectl-client-side-apply", now=T0, resource=resource_of(ConfigMap))
    live = msgspec.structs.replace(live, metadata=msgspec.structs.replace(live.metadata, managedFields=entries))
    taken = applied(live, ConfigMap, config(ConfigMap, data={"a": "2", "b": "1"}), "kubectl")
    assert taken.data == {"a": "2", "b": "1"}
    assert json.loads(taken.metadata.annotations[LAST_APPLIED]) == config(ConfigMap, data={"a": "2", "b": "1"})
    with pytest.raises(Conflict):
        applied(live, ConfigMap, config(ConfigMap, data={"a": "2", "b": "1"}), "somebody")


KEYS, VALUES = st.sampled_from("abc"), st.sampled_from("12")
STEPS = st.lists(
    st.tuples(st.sampled_from(["apply", "force", "update"]), st.sampled_from(["alice", "bob", "carol"]), st.dictionaries(KEYS, VALUES, max_size=3)),
    min_size=1, max_size=8,
)


@settings(max_examples=200)
@given(STEPS)
def test_ownership_is_that_of_the_naive_model(steps):
    live, values, owners = None, {}, {}
    for verb, who, data in steps:
        if verb == "update":
            if live is None:
                continue
            who = f"{who}-edit"
            changed = {k for k in values if values[k] != data.get(k)} | {k for k in data if k not in values}
            new = msgspec.structs.replace(live, data=data)
            entries = updated(live, new, manager=who, now=T0, resource=resource_of(ConfigMap))
            live = msgspec.structs.replace(new, metadata=msgspec.structs.replace(new.metadata, managedFields=entries))
            tracked = any(owners.values())
            for held in owners.values():
                held -= changed
            if tracked:
                owners.setdefault(who, set()).update(changed & data.keys())
            values = dict(data)
        else:
            others = {k for name, held in owners.items() if name != who for k in held}
            contested = {k for k, v in data.items() if k in others and values.get(k) != v}
            untracked = values and not any(owners.values())
            if untracked:
                return
            try:
                live = applied(live, ConfigMap, config(ConfigMap, **({"data": data} if data else {})), who, force=verb == "force")
            except Conflict as error:
                refused = (verb, {c.field for c in error.causes})
            else:
                refused = None
            assert refused == (("apply", {f".data.{k}" for k in contested}) if contested and verb == "apply" else None)
            if refused:
                continue
            for name, held in owners.items():
                if name != who:
                    held -= {k for k, v in data.items() if values.get(k) != v}
            kept = {k for name, held in owners.items() if name != who for k in held}
            dropped = owners.get(who, set()) - data.keys() - kept
            values = {k: v for k, v in values.items() if k not in dropped} | data
            owners[who] = set(data)
        assert dict(live.data) == values
        found = {name: {f[2:] for f in tree.get("f:data", {}) if f != "."} for name, tree in owned(live).items()}
        assert {name: held for name, held in found.items() if held} == {name: held for name, held in owners.items() if held}


ITEMS = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)


@given(ITEMS, ITEMS)
def test_applying_twice_is_applying_once(first, second):
    live = applied(None, Deployment, config(Deployment, template(*({"name": n, "image": n} for n in first))))
    value = config(Deployment, template(*({"name": n, "image": n} for n in second)))
    once = applied(live, Deployment, value, "bob")
    result = apply(once, value, manager="bob", force=False, now=T1, resource=resource_of(Deployment))
    assert result.value is None
    assert result.managed_fields == once.metadata.managedFields


@given(ITEMS, ITEMS)
def test_the_applied_order_is_kept_and_nothing_of_others_is_lost(first, second):
    live = applied(None, Deployment, config(Deployment, template(*({"name": n, "image": n} for n in first))))
    both = applied(live, Deployment, config(Deployment, template(*({"name": n, "image": n} for n in second))), "bob")
    found = [name for name, _ in containers(both)]
    assert sorted(found) == sorted({*first, *second})
    assert [n for n in found if n in second] == second


@given(ITEMS, ITEMS)
def test_a_removal_removes_only_what_nobody_else_owns(first, second):
    live = applied(None, Deployment, config(Deployment, template(*({"name": n, "image": n} for n in first))))
    both = applied(live, Deployment, config(Deployment, template(*({"name": n, "image": n} for n in second))), "bob")
    left = applied(both, Deployment, config(Deployment, template()), "alice")
    assert sorted(n for n, _ in containers(left)) == sorted(second)


def test_a_bad_body_is_a_bad_request():
    with pytest.raises(BadRequest):
        apply(None, "x", manager="m", force=False, now=T0, resource=resource_of(ConfigMap))
