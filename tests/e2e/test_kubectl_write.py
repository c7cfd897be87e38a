"""What kubectl changes: create and its generators, apply, diff, patch, replace, label, scale, set, delete, edit, kustomize."""
import re
import urllib.request
from datetime import datetime, timedelta

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2'}\n"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("configmap x --from-literal=a=b", "configmap/x"),
        ("secret generic x --from-literal=a=b", "secret/x"),
        ("secret docker-registry x --docker-username=u --docker-password=p", "secret/x"),
        ("serviceaccount x", "serviceaccount/x"),
        ("deployment x --image=busybox --replicas=0", "deployment.apps/x"),
        ("service clusterip x --tcp=80:8080", "service/x"),
        ("service nodeport x --tcp=80", "service/x"),
        ("service loadbalancer x --tcp=80", "service/x"),
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


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("namespace {}", "namespace/{}"),
        ("clusterrole {} --verb=get --resource=nodes", "clusterrole.rbac.authorization.k8s.io/{}"),
        ("clusterrole {} --verb=get --non-resource-url=/version", "clusterrole.rbac.authorization.k8s.io/{}"),
        ("clusterrolebinding {} --clusterrole=view --user=jane", "clusterrolebinding.rbac.authorization.k8s.io/{}"),
        ("priorityclass {} --value=5", "priorityclass.scheduling.k8s.io/{}"),
    ],
)
def test_create_with_a_generator_of_the_whole_cluster(kubectl, command, name):
    own = f"{kubectl.namespace[-40:].strip('-')}-x"
    assert kubectl(f"create {command.format(own)}").out.strip() == f"{name.format(own)} created"
    assert kubectl(f"delete {name.format(own)}").out.startswith(f'{name.format(own).partition("/")[0]} "{own}" deleted')


def test_create_a_secret_for_tls(kubectl):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web")])
    now = datetime(2026, 1, 1)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=9999)).sign(key, hashes.SHA256())
    kubectl.write("tls.crt", certificate.public_bytes(serialization.Encoding.PEM).decode())
    kubectl.write("tls.key", key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
    ).decode())
    assert kubectl("create secret tls x --cert=tls.crt --key=tls.key").out.strip() == "secret/x created"
    assert kubectl("get secret x").words[1][:3] == ["x", "kubernetes.io/tls", "2"]


def test_create_a_token_that_the_server_takes(kubectl):
    token = kubectl("create token default").out.strip()
    assert ["Username", f"system:serviceaccount:{kubectl.namespace}:default"] in kubectl(f"auth whoami --token={token}").words


def test_apply_again_changes_only_what_differs(kubectl):
    kubectl.write("c.yaml", CONFIG)
    assert kubectl("apply -f c.yaml").out.strip() == "configmap/c created"
    assert kubectl("apply -f c.yaml").out.strip() == "configmap/c unchanged"
    kubectl.write("c.yaml", CONFIG.replace("b: '2'", "d: '3'"))
    different = kubectl.run("diff -f c.yaml")
    assert {"-  b: \"2\"", "+  d: \"3\""} <= {line.rstrip() for line in different.lines}
    assert different.code == 1
    assert kubectl("apply -f c.yaml").out.strip() == "configmap/c configured"
    assert kubectl("get cm c -o jsonpath={.data}").json == {"a": "1", "d": "3"}
    assert kubectl.run("diff -f c.yaml").code == 0


def test_server_side_apply_keeps_owners_apart(kubectl):
    kubectl.write("c.yaml", CONFIG)
    assert kubectl("apply --server-side -f c.yaml").out.strip() == "configmap/c serverside-applied"
    kubectl.write("c.yaml", CONFIG.replace("'1'", "'9'"))
    conflict = kubectl.run("apply --server-side --field-manager other -f c.yaml")
    assert 'conflict with "kubectl": .data.a' in conflict.err
    assert conflict.code == 1
    assert kubectl("apply --server-side --field-manager other --force-conflicts -f c.yaml").out.strip() == "configmap/c serverside-applied"
    assert kubectl("get cm c -o jsonpath={.data.a}").out == "9"


def test_strict_validation_names_the_unknown_field(kubectl):
    refused = kubectl.run("create -f -", CONFIG + "nosuch: 1\n")
    assert 'unknown field "nosuch"' in refused.err
    assert refused.code == 1
    assert kubectl("create --validate=warn -f -", CONFIG + "nosuch: 1\n").out.strip() == "configmap/c created"


def test_patch_in_its_three_kinds(kubectl):
    kubectl("create deployment web --image=busybox --replicas=0")
    patched = "deployment.apps/web patched"
    two = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox"}]}}}}'
    assert kubectl(f"patch deployment web -p '{two}'").out.strip() == patched
    assert kubectl("get deployment web -o jsonpath={.spec.template.spec.containers[*].name}").out.split() == ["side", "busybox"]
    assert kubectl(f"patch deployment web -p '{two}'").out.strip() == f"{patched} (no change)"
    assert kubectl("""patch deployment web --type merge -p '{"metadata":{"labels":{"x":"y"}}}'""").out.strip() == patched
    limit = '[{"op":"replace","path":"/spec/revisionHistoryLimit","value":3}]'
    assert kubectl(f"patch deployment web --type json -p '{limit}'").out.strip() == patched
    assert kubectl("get deployment web -o jsonpath={.metadata.labels.x}-{.spec.revisionHistoryLimit}").out == "y-3"


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        ("""--type json -p '[{"op":"remove","path":"/nosuch"}]'""", "The request is invalid: the server rejected our request"),
        ("""-p '{"spec":{"replicas":"x"}}'""", 'The request is invalid: patch: Invalid value: "map[spec:map[replicas:x]]": unrecognized type: int32'),
        ("""-p '{"spec":{"replicas":-1}}'""", 'The Deployment "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'),
        ("""-p '{"spec":{"selector":{"matchLabels":{"a":"b"}}}}'""", "field is immutable"),
        ("""-p '{"metadata":{"resourceVersion":"1"}}'""", 'Operation cannot be fulfilled on deployments.apps "web": the object has been modified'),
    ],
)
def test_a_patch_that_cannot_be(kubectl, patch, error):
    kubectl("create deployment web --image=busybox --replicas=0")
    refused = kubectl.run(f"patch deployment web {patch}")
    assert error in refused.err
    assert refused.code == 1


def test_replace_label_annotate_and_their_refusals(kubectl):
    kubectl("create -f -", CONFIG)
    assert kubectl("replace -f -", CONFIG.replace("'1'", "'5'")).out.strip() == "configmap/c replaced"
    assert kubectl("label cm c tier=back").out.strip() == "configmap/c labeled"
    assert "'tier' already has a value (back), and --overwrite is false" in kubectl.run("label cm c tier=front").err
    assert kubectl("label cm c tier=front --overwrite").out.strip() == "configmap/c labeled"
    assert kubectl("label cm c tier=front --overwrite").out.strip() == "configmap/c not labeled"
    assert kubectl("annotate cm c note='a b'").out.strip() == "configmap/c annotated"
    assert kubectl("get cm c -o jsonpath={.metadata.labels.tier}/{.metadata.annotations.note}").out == "front/a b"
    assert kubectl("label cm c tier-").out.strip() == "configmap/c unlabeled"
    assert kubectl("get cm c -o jsonpath={.metadata.labels}").out == ""
    assert kubectl("annotate cm --all more=yes").lines == ["configmap/c annotated", "configmap/kube-root-ca.crt annotated"]
    assert "configmaps \"nosuch\" not found" in kubectl.run("label cm nosuch a=b").err


def test_set_and_scale_change_a_template(kubectl):
    kubectl("create deployment web --image=busybox --replicas=0")
    assert kubectl("set image deployment/web busybox=busybox:1.29").out.strip() == "deployment.apps/web image updated"
    assert "unable to find container named \"nosuch\"" in kubectl.run("set image deployment/web nosuch=x").err
    assert kubectl("set env deployment/web A=1").out.strip() == "deployment.apps/web env updated"
    assert kubectl("set env deployment/web --list").lines == ["# Deployment web, container busybox", "A=1"]
    assert kubectl("set resources deployment/web --requests=cpu=10m").out.strip() == "deployment.apps/web resource requirements updated"
    spec = kubectl("get deployment web -o json").json["spec"]["template"]["spec"]["containers"][0]
    assert (spec["image"], spec["env"], spec["resources"]) == ("busybox:1.29", [{"name": "A", "value": "1"}], {"requests": {"cpu": "10m"}})
    assert kubectl("set serviceaccount deployment/web default").out.strip() == "deployment.apps/web serviceaccount updated"
    assert kubectl("scale deployment web --replicas=2").out.strip() == "deployment.apps/web scaled"
    assert kubectl("get deployment web -o jsonpath={.spec.replicas}").out == "2"


def test_delete_says_what_it_deletes(kubectl):
    kubectl("create -f -", CONFIG)
    assert kubectl("delete cm c --dry-run=server").out.strip() == f'configmap "c" deleted from {kubectl.namespace} namespace (server dry run)'
    assert kubectl("delete cm c").out.strip() == f'configmap "c" deleted from {kubectl.namespace} namespace'
    assert kubectl.run("delete cm c").err.strip() == 'Error from server (NotFound): configmaps "c" not found'
    assert kubectl("delete cm c --ignore-not-found").out == ""
    assert kubectl("delete pods --all").out.strip() == "No resources found"


def test_edit_with_a_scripted_editor(kubectl):
    kubectl("create -f -", CONFIG)
    kubectl.write("edit.sh", "sed -i 's/a: \"1\"/a: \"7\"/' \"$1\"\n")
    assert kubectl("edit cm c").out.strip() == "configmap/c edited"
    assert kubectl("get cm c -o jsonpath={.data.a}").out == "7"
    kubectl.write("edit.sh", "true\n")
    assert kubectl.run("edit cm c").err.strip() == "Edit cancelled, no changes made."


def test_kustomize_applies_a_folder(kubectl):
    kubectl.write("k/kustomization.yaml", "resources: [c.yaml]\nnamePrefix: my-\nconfigMapGenerator:\n- {name: g, literals: [x=y]}\n")
    kubectl.write("k/c.yaml", CONFIG)
    created = kubectl("apply -k k").lines
    assert "configmap/my-c created" in created
    assert any(re.fullmatch("configmap/my-g-[a-z0-9]{10} created", line) for line in created)
    assert "name: my-c" in kubectl("kustomize k").out
    assert all(line.endswith("unchanged") for line in kubectl("apply -k k").lines)
    assert len(kubectl("delete -k k").lines) == 2


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
    proxy = kubectl.start("proxy --port=0")
    assert proxy.stdout is not None
    found = re.search(r"127\.0\.0\.1:\d+", proxy.stdout.readline())
    assert found is not None
    with urllib.request.urlopen(f"http://{found[0]}/api/v1/namespaces/{kubectl.namespace}/configmaps") as answer:
        assert b"ConfigMapList" in answer.read()
    proxy.terminate()
    proxy.communicate()
