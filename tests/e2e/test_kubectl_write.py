"""What kubectl changes: create and its generators, apply, diff, patch, replace, label, scale, set, delete, edit, kustomize."""
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2'}\n"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("configmap x --from-literal=a=b", "configmap/x"),
        ("secret generic x --from-literal=a=b", "secret/x"),
        ("serviceaccount x", "serviceaccount/x"),
        ("deployment x --image=busybox --replicas=0", "deployment.apps/x"),
        ("service clusterip x --tcp=80:8080", "service/x"),
        ("service nodeport x --tcp=80", "service/x"),
        ("service externalname x --external-name example.com", "service/x"),
        ("role x --verb=get,list --resource=pods", "role.rbac.authorization.k8s.io/x"),
        ("rolebinding x --role=x --serviceaccount=default:default", "rolebinding.rbac.authorization.k8s.io/x"),
        ("quota x --hard=pods=10", "resourcequota/x"),
        ("poddisruptionbudget x --selector=app=x --min-available=1", "poddisruptionbudget.policy/x"),
        ("ingress x --rule=example.com/*=web:80", "ingress.networking.k8s.io/x"),
        ("job x --image=busybox -- true", "job.batch/x"),
        ("cronjob x --image=busybox --schedule='* * * * *'", "cronjob.batch/x"),
    ],
)
def test_create_with_a_generator(kubectl, command, name):
    assert kubectl(f"create {command}").out.strip() == f"{name} created"
    assert kubectl(f"get {name} -o name").out.strip() == name
    again = kubectl.run(f"create {command}")
    assert "already exists" in again.err
    assert again.code == 1


def test_apply_again_changes_only_what_differs(kubectl):
    kubectl.write("c.yaml", CONFIG)
    assert kubectl("apply -f c.yaml").out.strip() == "configmap/c created"
    assert kubectl("apply -f c.yaml").out.strip() == "configmap/c unchanged"
    kubectl.write("c.yaml", CONFIG.replace("b: '2'", "d: '3'"))
    assert "+  d: \"3\"" in kubectl.run("diff -f c.yaml").out
    assert kubectl("apply -f c.yaml").out.strip() == "configmap/c configured"
    assert kubectl("get cm c -o jsonpath={.data}").json == {"a": "1", "d": "3"}
    assert kubectl.run("diff -f c.yaml").code == 0


def test_server_side_apply_keeps_owners_apart(kubectl):
    kubectl.write("c.yaml", CONFIG)
    assert kubectl("apply --server-side -f c.yaml").out.strip() == "configmap/c serverside-applied"
    kubectl.write("c.yaml", CONFIG.replace("'1'", "'9'"))
    conflict = kubectl.run("apply --server-side --field-manager other -f c.yaml")
    assert 'conflict with "kubectl": .data.a' in conflict.err
    kubectl("apply --server-side --field-manager other --force-conflicts -f c.yaml")
    assert kubectl("get cm c -o jsonpath={.data.a}").out == "9"


def test_strict_validation_names_the_unknown_field(kubectl):
    refused = kubectl.run("create -f -", CONFIG + "nosuch: 1\n")
    assert 'unknown field "nosuch"' in refused.err
    assert refused.code == 1
    assert kubectl("create --validate=warn -f -", CONFIG + "nosuch: 1\n").out.strip() == "configmap/c created"


def test_patch_in_its_three_kinds(kubectl):
    kubectl("create deployment web --image=busybox --replicas=0")
    kubectl("""patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}'""")
    assert kubectl("get deployment web -o jsonpath={.spec.template.spec.containers[*].name}").out.split() == ["side", "busybox"]
    kubectl("""patch deployment web --type merge -p '{"metadata":{"labels":{"x":"y"}}}'""")
    kubectl("""patch deployment web --type json -p '[{"op":"replace","path":"/spec/revisionHistoryLimit","value":3}]'""")
    assert kubectl("get deployment web -o jsonpath={.metadata.labels.x}-{.spec.revisionHistoryLimit}").out == "y-3"
    assert kubectl.run("""patch deployment web --type json -p '[{"op":"remove","path":"/nosuch"}]'""").code == 1


def test_replace_label_annotate_and_their_refusals(kubectl):
    kubectl("create -f -", CONFIG)
    assert kubectl("replace -f -", CONFIG.replace("'1'", "'5'")).out.strip() == "configmap/c replaced"
    kubectl("label cm c tier=back")
    assert "'tier' already has a value" in kubectl.run("label cm c tier=front").err
    kubectl("label cm c tier=front --overwrite")
    kubectl("annotate cm c note='a b'")
    assert kubectl("get cm c -o jsonpath={.metadata.labels.tier}/{.metadata.annotations.note}").out == "front/a b"
    kubectl("label cm c tier-")
    assert kubectl("get cm c -o jsonpath={.metadata.labels}").out == ""


def test_set_and_scale_change_a_template(kubectl):
    kubectl("create deployment web --image=busybox --replicas=0")
    kubectl("set image deployment/web busybox=busybox:1.29")
    kubectl("set env deployment/web A=1")
    kubectl("set resources deployment/web --requests=cpu=10m")
    spec = kubectl("get deployment web -o json").json["spec"]["template"]["spec"]["containers"][0]
    assert (spec["image"], spec["env"], spec["resources"]) == ("busybox:1.29", [{"name": "A", "value": "1"}], {"requests": {"cpu": "10m"}})
    assert kubectl("scale deployment web --replicas=2").out.strip() == "deployment.apps/web scaled"
    assert kubectl("get deployment web -o jsonpath={.spec.replicas}").out == "2"


def test_edit_with_a_scripted_editor(kubectl):
    kubectl("create -f -", CONFIG)
    kubectl.write("edit.sh", "sed -i 's/a: \"1\"/a: \"7\"/' \"$1\"\n")
    assert kubectl("edit cm c").out.strip() == "configmap/c edited"
    assert kubectl("get cm c -o jsonpath={.data.a}").out == "7"


def test_kustomize_applies_a_folder(kubectl):
    kubectl.write("k/kustomization.yaml", "resources: [c.yaml]\nnamePrefix: my-\nconfigMapGenerator:\n- {name: g, literals: [x=y]}\n")
    kubectl.write("k/c.yaml", CONFIG)
    created = kubectl("apply -k k").lines
    assert "configmap/my-c created" in created
    assert any(line.startswith("configmap/my-g-") for line in created)


def test_dry_run_leaves_nothing_behind(kubectl):
    assert kubectl("create -f - --dry-run=server", CONFIG).out.strip() == "configmap/c created (server dry run)"
    assert kubectl.run("get cm c").code == 1


def test_namespaces_take_their_content_with_them(kubectl):
    name = f"{kubectl.namespace}-two"[-60:].strip("-")
    kubectl(f"create namespace {name}")
    kubectl(f"create cm x -n {name}")
    kubectl(f"delete namespace {name}")
    assert kubectl.run(f"get namespace {name}").code == 1


def test_proxy_serves_the_api_locally(kubectl):
    import re
    import urllib.request

    proxy = kubectl.start("proxy --port=0")
    assert proxy.stdout is not None
    found = re.search(r"127\.0\.0\.1:\d+", proxy.stdout.readline())
    assert found is not None
    with urllib.request.urlopen(f"http://{found[0]}/api/v1/namespaces/{kubectl.namespace}/configmaps") as answer:
        assert b"ConfigMapList" in answer.read()
    proxy.terminate()
    proxy.communicate()
