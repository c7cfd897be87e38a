"""Where the server is and who one is there."""
import base64

import pytest
import yaml

from kubelet_lite.client.kubeconfig import KubeconfigError, in_cluster, load


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def write(path, *, user=None, cluster=None, context=None, **more):
    path.write_text(yaml.safe_dump({
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **(context or {})}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://example.com:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}], **more,
    }))
    return path


def test_a_context_is_a_server_and_a_user(tmp_path):
    server = load(write(
        tmp_path / "config", user={"token": "t", "as": "jane", "as-groups": ["g"]}, context={"namespace": "n"},
        cluster={"certificate-authority-data": encoded("CA"), "tls-server-name": "kubernetes", "proxy-url": "http://proxy:1"},
    ))
    assert (server.url, server.namespace, server.token, server.authority) == ("https://example.com:6443", "n", "t", b"CA")
    assert (server.server_name, server.proxy, server.acting_as, server.acting_as_groups) == ("kubernetes", "http://proxy:1", "jane", ("g",))
    assert server.verify


def test_paths_are_relative_to_the_file(tmp_path):
    for name in ("ca.crt", "client.crt", "client.key"):
        (tmp_path / name).write_text(name)
    server = load(write(
        tmp_path / "config", user={"client-certificate": "client.crt", "client-key": "client.key", "tokenFile": "token"},
        cluster={"certificate-authority": "ca.crt", "insecure-skip-tls-verify": True},
    ))
    assert (server.authority, server.pair.certificate, server.pair.key) == (b"ca.crt", b"client.crt", b"client.key")
    assert (server.token_file, server.verify) == (tmp_path / "token", False)


def test_another_context_can_be_asked_for(tmp_path):
    path = write(tmp_path / "config", contexts=[{"name": "there", "context": {"cluster": "c"}}, {"name": "here", "context": {"cluster": "absent"}}])
    assert load(path, "there").url == "https://example.com:6443"
    with pytest.raises(KubeconfigError, match="no cluster 'absent'"):
        load(path)
    with pytest.raises(KubeconfigError, match="no context 'nowhere'"):
        load(path, "nowhere")


def test_files_of_the_environment_are_merged_and_the_first_wins(tmp_path, monkeypatch):
    first = tmp_path / "first"
    first.write_text(yaml.safe_dump({"users": [{"name": "u", "user": {"token": "mine"}}]}))
    second = write(tmp_path / "second", user={"token": "theirs"})
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'absent'}:{second}")
    assert load().token == "mine"


@pytest.mark.parametrize(("more", "message"), [
    ({"user": {"exec": {"command": "aws"}}}, "credentials of a program"),
    ({"user": {"client-certificate-data": encoded("x")}}, "belong together"),
    ({"user": {"client-certificate": "absent.crt"}}, "client-certificate: "),
    ({"cluster": {"certificate-authority-data": "*"}}, "no base64"),
    ({"cluster": {"server": "ftp://x"}}, "http or https"),
    ({"current-context": ""}, "no current context"),
])
def test_what_cannot_be_used_is_said(tmp_path, more, message):
    with pytest.raises(KubeconfigError, match=message):
        load(write(tmp_path / "config", **more))


def test_no_file_and_no_yaml_are_said(tmp_path):
    with pytest.raises(KubeconfigError, match="does not exist"):
        load(tmp_path / "absent")
    (tmp_path / "bad").write_text("a: [")
    with pytest.raises(KubeconfigError, match="is no YAML"):
        load(tmp_path / "bad")
    (tmp_path / "list").write_text("[]")
    with pytest.raises(KubeconfigError, match="is no kubeconfig"):
        load(tmp_path / "list")


def test_a_pod_knows_its_cluster(tmp_path):
    for name, text in (("token", "t"), ("ca.crt", "CA"), ("namespace", "n\n")):
        (tmp_path / name).write_text(text)
    server = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert (server.url, server.token_file, server.authority, server.namespace) == ("https://[fd00::1]:443", tmp_path / "token", b"CA", "n")
    with pytest.raises(KubeconfigError, match="not in a cluster"):
        in_cluster({}, tmp_path)
