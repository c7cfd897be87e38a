"""A definition and its objects through kubectl and through the Python client of others."""
import gc

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e"), pytest.mark.filterwarnings("ignore")]
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %(plural)s.e2e.example.com}
spec:
  group: e2e.example.com
  scope: Namespaced
  names: {plural: %(plural)s, singular: %(singular)s, kind: %(kind)s, shortNames: [%(short)s], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: how big}
              replicas: {type: integer}
              color: {type: string, enum: [red, blue], default: red}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [port]
                items: {type: object, required: [port], properties: {port: {type: integer}, name: {type: string}}}
          status:
            type: object
            properties:
              replicas: {type: integer}
              conditions: {type: array, items: {type: object, properties: {type: {type: string}, status: {type: string}}}}
"""
GADGETS = DEFINITION % {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "short": "gg"}
GADGET = "apiVersion: e2e.example.com/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {size: 3, replicas: 2, ports: [{port: 80}]}\n"


@pytest.fixture
def gadgets(kubectl):
    kubectl.write("crd.yaml", GADGETS)
    kubectl("apply -f crd.yaml")
    kubectl("wait --for=condition=Established crd/gadgets.e2e.example.com --timeout=20s")
    kubectl("apply -f -", stdin=GADGET)
    yield kubectl
    kubectl("delete -f crd.yaml")


def test_kubectl_treats_them_as_any_kind(gadgets):
    kubectl = gadgets
    assert kubectl("get gg").words == [["NAME", "SIZE", "READY"], ["g", "3"]]
    assert "gadget.e2e.example.com/g" in kubectl("get all -o name").lines
    assert "Color:  red" in kubectl("describe gadget g").out
    assert kubectl("scale gadget g --replicas=4").out == "gadget.e2e.example.com/g scaled\n"
    assert kubectl("get gadget g -o jsonpath={.spec.replicas},{.metadata.generation}").out == "4,2"
    kubectl("patch gadget g --subresource=status --type=merge -p '{\"status\": {\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}}'")
    kubectl("wait --for=condition=Ready gadget/g --timeout=10s")
    assert kubectl("get gg").words[1] == ["g", "3", "True"]
    assert "size\t<integer> -required-\n    how big" in kubectl("explain gadget.spec").out
    assert "size\t<integer> -required-" in kubectl("explain gadget.spec --output=plaintext-openapiv2").out
    assert kubectl("api-resources --api-group=e2e.example.com --no-headers").out.split() == ["gadgets", "gg", "e2e.example.com/v1", "true", "Gadget"]
    assert kubectl("delete gadget g").out.startswith('gadget.e2e.example.com "g" deleted')


def test_kubectl_is_told_what_is_wrong(gadgets):
    bad = GADGET.replace("size: 3", "size: 0, more: 1").replace("name: g", "name: bad")
    assert 'strict decoding error: unknown field "spec.more"' in gadgets.run("apply -f -", stdin=bad).err
    refused = gadgets.run("apply --validate=false -f -", stdin=bad)
    assert "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" in refused.err
    assert refused.code == 1


def test_managers_share_a_list_by_its_keys(gadgets):
    gadgets("apply --server-side --field-manager=one --force-conflicts -f -", stdin=GADGET)
    other = "apiVersion: e2e.example.com/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {size: 3, ports: [{port: 443}]}\n"
    gadgets("apply --server-side --field-manager=two -f -", stdin=other)
    assert gadgets("get gadget g -o jsonpath={.spec.ports[*].port}").out == "80 443"
    conflict = gadgets.run("apply --server-side --field-manager=two -f -", stdin=other.replace("size: 3", "size: 4"))
    assert 'conflict with "one": .spec.size' in conflict.err or "conflicts with" in conflict.err


def test_roles_name_them(gadgets):
    gadgets("create role reader --verb=get,list --resource=gadgets.e2e.example.com")
    gadgets(f"create rolebinding reads --role=reader --serviceaccount={gadgets.namespace}:default")
    who = f"system:serviceaccount:{gadgets.namespace}:default"
    assert gadgets(f"get gadgets --as={who} -o name").out == "gadget.e2e.example.com/g\n"
    refused = gadgets.run(f"delete gadget g --as={who}")
    assert 'cannot delete resource "gadgets" in API group "e2e.example.com"' in refused.err


def test_the_python_client(kubectl):
    from kubernetes import client, config, watch

    config.load_kube_config(str(kubectl.folder / "kubeconfig"))
    kubectl.write("crd.yaml", DEFINITION % {"plural": "widgets", "singular": "widget", "kind": "Widget", "short": "wd"})
    kubectl("apply -f crd.yaml")
    kubectl("wait --for=condition=Established crd/widgets.e2e.example.com --timeout=20s")
    api, where = client.CustomObjectsApi(), ("e2e.example.com", "v1", kubectl.namespace, "widgets")
    made = api.create_namespaced_custom_object(*where, {"apiVersion": "e2e.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}})
    assert made["spec"] == {"size": 1, "color": "red"}
    api.patch_namespaced_custom_object_status(*where, "w", {"status": {"replicas": 7}})
    assert api.get_namespaced_custom_object(*where, "w")["status"] == {"replicas": 7}
    assert [item["metadata"]["name"] for item in api.list_namespaced_custom_object(*where)["items"]] == ["w"]
    with pytest.raises(client.ApiException) as refused:
        api.patch_namespaced_custom_object(*where, "w", {"spec": {"size": "x"}})
    assert refused.value.status == 422
    seen, types = watch.Watch(), []
    for event in seen.stream(api.list_namespaced_custom_object, *where, timeout_seconds=20):
        types.append(event["type"])
        if event["type"] == "ADDED":
            kubectl("delete -f crd.yaml --wait=false")
        if event["type"] == "DELETED":
            seen.stop()
    assert types == ["ADDED", "DELETED"]
    kubectl("wait --for=delete crd/widgets.e2e.example.com --timeout=20s")
    gc.collect()
