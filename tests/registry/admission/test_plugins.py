"""Each plug-in on its own: what it changes and what it refuses. The recorded scenarios check the wording of the rest."""
import pytest

from kubelet_lite.api import identity
from kubelet_lite.api.errors import Forbidden, Invalid, NotFound
from kubelet_lite.api.identity import Identity
from kubelet_lite.registry.admission import (
    default_toleration_seconds,
    device_admin_access,
    limit_ranger,
    namespace_lifecycle,
    node_restriction,
    pod_security,
    priority,
    rbac_escalation,
    resource_quota,
    service_account,
)
from tests.registry.authorization.objects import made, namespace, pod, review, world

ADMIN_CLAIM = made({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "c", "namespace": "default"}, "spec": {"devices": {
    "requests": [{"name": "r", "exactly": {"deviceClassName": "gpu", "adminAccess": True}}],
}}})
ACCOUNT = made({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}})


def mutate(plugin, obj, *objects, **more):
    return plugin.mutate(obj, review(obj, **more), world(*objects))


def validate(plugin, obj, *objects, **more):
    plugin.validate(obj, review(obj, **more), world(*objects))


def test_nothing_is_created_in_a_namespace_that_is_absent_or_ending():
    with pytest.raises(NotFound, match='namespaces "default" not found'):
        mutate(namespace_lifecycle.PLUGIN, pod())
    ending = namespace(deletionTimestamp="2026-01-01T00:00:00Z")
    with pytest.raises(Forbidden, match="because it is being terminated"):
        mutate(namespace_lifecycle.PLUGIN, pod(), ending)


def test_a_pod_gets_its_account_and_a_volume_with_the_token():
    new = mutate(service_account.PLUGIN, pod(), ACCOUNT)
    assert new.spec.serviceAccountName == new.spec.serviceAccount == "default"
    assert new.spec.volumes[0].name.startswith("kube-api-access-")
    assert new.spec.containers[0].volumeMounts[0].mountPath == service_account.MOUNT_PATH


def test_a_container_that_mounts_something_there_keeps_it():
    container = {"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": service_account.MOUNT_PATH}]}
    new = mutate(service_account.PLUGIN, pod(containers=[container]), ACCOUNT)
    assert new.spec.volumes == ()


def test_a_pod_without_its_account_is_refused():
    with pytest.raises(Forbidden, match='error looking up service account default/default: serviceaccount "default" not found'):
        mutate(service_account.PLUGIN, pod())


def test_default_tolerations_leave_those_that_are_there():
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists"}
    new = mutate(default_toleration_seconds.PLUGIN, pod(tolerations=[own]))
    assert [t.key for t in new.spec.tolerations] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    assert new.spec.tolerations[0].tolerationSeconds is None


def test_a_priority_class_becomes_a_number():
    high = made({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 7})
    assert mutate(priority.PODS, pod(priorityClassName="high"), high).spec.priority == 7
    assert mutate(priority.PODS, pod()).spec.priority == 0
    with pytest.raises(Forbidden, match="no PriorityClass with name low was found"):
        mutate(priority.PODS, pod(priorityClassName="low"), high)
    with pytest.raises(Forbidden, match="must not be provided in pod spec"):
        mutate(priority.PODS, pod(priority=3))


def limit_range(**limits):
    return made({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l", "namespace": "default"}, "spec": {"limits": [limits]},
    })


def test_limit_ranges_fill_in_and_refuse():
    limits = limit_range(type="Container", default={"cpu": "1"}, defaultRequest={"cpu": "500m"}, max={"cpu": "1"})
    new = mutate(limit_ranger.PLUGIN, pod(), limits)
    assert new.spec.containers[0].resources.limits == {"cpu": "1"}
    assert new.metadata.annotations[limit_ranger.ANNOTATION] == "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    big = pod(containers=[{"name": "c", "image": "x", "resources": {"limits": {"cpu": "2"}}}])
    with pytest.raises(Forbidden, match="maximum cpu usage per Container is 1, but limit is 2"):
        validate(limit_ranger.PLUGIN, big, limits)


def quota(hard, used):
    return made({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default"},
        "spec": {"hard": hard}, "status": {"hard": hard, "used": used},
    })


def test_a_quota_counts_what_is_created_and_refuses_what_exceeds_it():
    there = world(quota({"pods": "2", "requests.cpu": "1"}, {"pods": "0", "requests.cpu": "0"}))
    small = pod(containers=[{"name": "c", "image": "x", "resources": {"requests": {"cpu": "600m"}}}])
    resource_quota.PLUGIN.validate(small, review(small, dry_run=True), there)
    resource_quota.PLUGIN.validate(small, review(small), there)
    assert there.view.get("resourcequotas", "default", "q").status.used == {"pods": "1", "requests.cpu": "600m"}
    with pytest.raises(Forbidden, match=r"exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"):
        resource_quota.PLUGIN.validate(small, review(small), there)
    with pytest.raises(Forbidden, match=r"failed quota: q: must specify requests.cpu for: c"):
        resource_quota.PLUGIN.validate(pod(), review(pod()), there)


def test_a_quota_with_scopes_looks_at_the_pods_in_them_alone():
    scoped = made({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default"},
        "spec": {"hard": {"pods": "0"}, "scopes": ["NotBestEffort"]}, "status": {"hard": {"pods": "0"}, "used": {"pods": "0"}},
    })
    validate(resource_quota.PLUGIN, pod(), scoped)
    guaranteed = pod(containers=[{"name": "c", "image": "x", "resources": {"requests": {"cpu": "1"}}}])
    with pytest.raises(Forbidden, match="exceeded quota"):
        validate(resource_quota.PLUGIN, guaranteed, scoped)


RESTRICTED = namespace(labels={"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted"})


def test_pod_security_refuses_by_one_level_and_warns_by_another():
    with pytest.raises(Forbidden, match=r'violates PodSecurity "baseline:latest": host namespaces \(hostNetwork=true\)'):
        validate(pod_security.PLUGIN, pod(hostNetwork=True), RESTRICTED)
    asked = review(pod())
    pod_security.PLUGIN.validate(pod(), asked, world(RESTRICTED))
    assert asked.context.warnings[0].startswith('would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false')


def test_a_namespace_whose_level_rises_names_the_pods_that_do_not_meet_it():
    old, asked = namespace(), review(RESTRICTED, "UPDATE", old=namespace())
    pod_security.PLUGIN.validate(RESTRICTED, asked, world(old, pod("a", hostPID=True), pod("b", hostPID=True)))
    assert asked.context.warnings == [
        'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"', "a (and 1 other pod): host namespaces",
    ]
    with pytest.raises(Invalid, match="must be one of privileged, baseline, restricted"):
        validate(pod_security.PLUGIN, namespace(labels={"pod-security.kubernetes.io/enforce": "bogus"}))


KUBELET = identity.node("n1")


def node(name="n1", **more):
    return made({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, **more}})


def test_a_kubelet_changes_its_own_node_and_pods_alone():
    mutate(node_restriction.PLUGIN, node(), identity=KUBELET)
    with pytest.raises(Forbidden, match='node "n1" is not allowed to modify node "n2"'):
        mutate(node_restriction.PLUGIN, node("n2"), identity=KUBELET)
    with pytest.raises(Forbidden, match=r"is not allowed to set the following labels: node-restriction.kubernetes.io/x"):
        mutate(node_restriction.PLUGIN, node(labels={"node-restriction.kubernetes.io/x": "y"}), identity=KUBELET)
    bound = pod(nodeName="n2")
    with pytest.raises(Forbidden, match=r"can only update pod status for pods with spec.nodeName set to itself"):
        mutate(node_restriction.PLUGIN, bound, identity=KUBELET, operation="UPDATE", subresource="status", old=bound)
    with pytest.raises(Forbidden, match="can only create mirror pods"):
        mutate(node_restriction.PLUGIN, pod(nodeName="n1"), identity=KUBELET)


def test_nobody_grants_what_they_do_not_have():
    group = "rbac.authorization.k8s.io"
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    role = made({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "r", "namespace": "default"}, "rules": rules})
    jane = Identity(name="jane", groups=("system:authenticated",))
    with pytest.raises(Forbidden) as refused:
        mutate(rbac_escalation.ROLES, role, identity=jane)
    assert refused.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions'
        ' not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'
    )
    binding = made({
        "apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "b", "namespace": "default"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": group}], "roleRef": {"apiGroup": group, "kind": "Role", "name": "r"},
    })
    assert mutate(rbac_escalation.ROLES, role, role, binding, identity=jane) is role
    assert mutate(rbac_escalation.ROLES, role) is role


def test_administrative_access_to_devices_needs_the_label_of_the_namespace():
    with pytest.raises(Invalid, match=r"spec.devices.requests\[0\].exactly.adminAccess: Forbidden: admin access to devices requires the"):
        validate(device_admin_access.PLUGIN, ADMIN_CLAIM, namespace())
    validate(device_admin_access.PLUGIN, ADMIN_CLAIM, namespace(labels={"resource.kubernetes.io/admin-access": "true"}))
