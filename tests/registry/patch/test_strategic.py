"""Strategic merge patch: lists by key, directives, and Kubernetes' answers to bad ones."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import Pod, ServiceAccount
from kubelet_lite.api.errors import ApiError, BadRequest
from kubelet_lite.registry.patch import apply_strategic

POD = {
    "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}},
    "spec": {
        "containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"}],
        "volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"a": "b"}, "tolerations": [{"key": "k"}],
    },
}


def spec(patch, kind=Pod, current=POD):
    return apply_strategic(current, {"spec": patch}, kind)["spec"]


def names(items):
    return [item["name"] for item in items]


def test_items_are_merged_by_their_key():
    assert spec({"containers": [{"name": "a", "image": "a:2"}]})["containers"] == [
        {"name": "a", "image": "a:2", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "b:1"},
    ]


def test_new_items_come_before_the_live_ones_that_are_not_named():
    assert names(spec({"containers": [{"name": "c"}]})["containers"]) == ["c", "a", "b"]


def test_lists_without_a_key_are_replaced():
    assert spec({"tolerations": [{"key": "other"}]})["tolerations"] == [{"key": "other"}]


def test_an_item_is_deleted_by_directive():
    assert names(spec({"containers": [{"name": "a", "$patch": "delete"}]})["containers"]) == ["b"]


def test_a_list_is_replaced_by_directive():
    assert spec({"containers": [{"$patch": "replace"}, {"name": "c", "image": "x"}]})["containers"] == [{"name": "c", "image": "x"}]


def test_a_map_is_replaced_or_emptied_by_directive():
    assert spec({"nodeSelector": {"$patch": "replace", "z": "z"}})["nodeSelector"] == {"z": "z"}
    assert spec({"nodeSelector": {"$patch": "delete"}})["nodeSelector"] == {}


def test_what_is_not_retained_goes():
    patched = spec({"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]})
    assert patched["volumes"] == [{"name": "v", "configMap": {"name": "c"}}]


def test_retained_keys_must_name_what_the_patch_sets():
    with pytest.raises(BadRequest, match="invalid patch format of retainKeys"):
        spec({"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}, Deployment, {"spec": {"strategy": {"type": "Recreate"}}})


def test_null_deletes_and_is_otherwise_nothing():
    patched = spec({"volumes": [{"name": "v", "emptyDir": None, "hostPath": {"path": "/x"}}], "hostname": None})
    assert patched["volumes"] == [{"name": "v", "hostPath": {"path": "/x"}}]
    assert "hostname" not in patched


def test_the_order_of_a_list_can_be_set():
    patched = spec({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "b", "image": "b:9"}]})
    assert [(c["name"], c["image"]) for c in patched["containers"]] == [("b", "b:9"), ("a", "a:1")]


def test_an_order_that_the_patch_does_not_follow_is_refused():
    with pytest.raises(ApiError, match="The order in patch list") as caught:
        spec({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b"}, {"name": "a"}]})
    assert (caught.value.code, caught.value.reason) == (500, "")


def finalizers(patch):
    return apply_strategic(POD, {"metadata": patch}, Pod)["metadata"].get("finalizers")


def test_lists_of_primitives_are_united_deleted_from_and_ordered():
    assert finalizers({"finalizers": ["c"]}) == ["c", "a", "b"]
    assert finalizers({"$deleteFromPrimitiveList/finalizers": ["a"]}) == ["b"]
    assert finalizers({"$setElementOrder/finalizers": ["b", "a"]}) == ["b", "a"]
    assert finalizers({"finalizers": None}) is None


@pytest.mark.parametrize(("patch", "message"), [
    ({"containers": [{"name": "a", "$patch": "nonsense"}]}, r"unknown patch type: nonsense in map: map\[\$patch:nonsense name:a\]"),
    ({"containers": [{"image": "x"}]}, r"map: map\[image:x\] does not contain declared merge key: name"),
    ({"containers": [{"name": "a", "$patch": "merge"}]}, "merging lists cannot yet be specified in the patch"),
    ({"containers": [1]}, "list element types are not identical"),
    ({"nodeSelector": {"$patch": "x"}}, "unknown patch type: x"),
])
def test_a_bad_patch_is_a_500_as_in_kubernetes(patch, message):
    with pytest.raises(ApiError, match=message) as caught:
        spec(patch)
    assert caught.value.code == 500


def test_what_the_type_does_not_know_is_left_to_decoding():
    assert spec({"$bogus": 1, "bogus": {"x": 1}})["bogus"] == {"x": 1}


def test_an_unknown_field_that_is_already_there_cannot_be_merged():
    with pytest.raises(ApiError, match="unable to find api field in struct PodSpec for the json field"):
        spec({"bogus": {"y": 2}}, Pod, {"spec": {"bogus": {"x": 1}}})


ITEMS = st.lists(st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"namespace": st.sampled_from("xy")}), unique_by=lambda i: i["name"])


@given(ITEMS, ITEMS)
def test_a_patch_applied_twice_is_applied_once(live, patch):
    once = apply_strategic({"secrets": live}, {"secrets": patch}, ServiceAccount)
    assert apply_strategic(once, {"secrets": patch}, ServiceAccount) == once


@given(ITEMS, ITEMS)
def test_nothing_live_is_lost_and_everything_patched_is_there(live, patch):
    merged = apply_strategic({"secrets": live}, {"secrets": patch}, ServiceAccount)["secrets"]
    assert sorted(names(merged)) == sorted({*names(live), *names(patch)})
    assert [n for n in names(merged) if n in names(patch)] == names(patch)
