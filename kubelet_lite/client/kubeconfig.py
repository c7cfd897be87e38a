"""Which server to talk to and as whom: from a kubeconfig file, or from what a pod is given.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""
from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from kubelet_lite.wire.certificates import KeyPair

POD_CREDENTIALS: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_PATH: Final = "~/.kube/config"


class KubeconfigError(ValueError):
    """The configuration says nothing that can be used; a retry does not mend it."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One API server, and what to authenticate with there."""

    url: str
    """Without a slash at its end."""
    namespace: str = "default"
    authority: bytes | None = None
    """PEM; None: the system's authorities."""
    verify: bool = True
    server_name: str = ""
    """The name to expect in the server's certificate, where it is not the URL's."""
    token: str = ""
    token_file: Path | None = None
    """Read again now and then, since tokens in pods are renewed."""
    pair: KeyPair | None = None
    username: str = ""
    password: str = ""
    proxy: str = ""
    acting_as: str = ""
    acting_as_uid: str = ""
    acting_as_groups: tuple[str, ...] = ()


def load(path: str | Path = "", context: str = "") -> Server:
    """The server of a context (default: the current one) of a file (default: those of $KUBECONFIG, or ~/.kube/config)."""
    paths = [Path(path)] if path else [Path(p) for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p] or [Path(DEFAULT_PATH).expanduser()]
    found = _merged([p for p in paths if p.exists()])
    if not found.files:
        raise KubeconfigError(f"no kubeconfig: {', '.join(map(str, paths))} does not exist")
    return found.server(context)


def in_cluster(environ: Mapping[str, str] = os.environ, folder: Path = POD_CREDENTIALS) -> Server:
    """The server of the cluster whose pod this program runs in."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    token, authority, namespace = folder / "token", folder / "ca.crt", folder / "namespace"
    if not host or not port or not token.exists():
        raise KubeconfigError("not in a cluster: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and a service account token are needed")
    return Server(
        url=f"https://{f'[{host}]' if ':' in host else host}:{port}", token_file=token,
        authority=authority.read_bytes() if authority.exists() else None,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


class _Named(msgspec.Struct, frozen=True):
    value: Mapping[str, Any]
    folder: Path
    """Which relative paths in it are relative to."""


class _Kubeconfig(msgspec.Struct, frozen=True):
    files: tuple[Path, ...]
    current: str
    contexts: Mapping[str, _Named]
    clusters: Mapping[str, _Named]
    users: Mapping[str, _Named]

    def server(self, context: str) -> Server:
        name = context or self.current
        if not name:
            raise KubeconfigError("the kubeconfig has no current context")
        chosen = _get(self.contexts, name, "context").value
        cluster = _get(self.clusters, str(chosen.get("cluster", "")), "cluster")
        user = _get(self.users, str(chosen["user"]), "user") if chosen.get("user") else _Named({}, Path())
        url = str(cluster.value.get("server", "")).rstrip("/")
        if not url.startswith(("https://", "http://")):
            raise KubeconfigError(f"cluster {chosen['cluster']!r}: server must be an http or https URL, not {url!r}")
        return _server(url, str(chosen.get("namespace") or "default"), cluster, user)


def _get(named: Mapping[str, _Named], name: str, kind: str) -> _Named:
    if name not in named:
        raise KubeconfigError(f"the kubeconfig has no {kind} {name!r}")
    return named[name]


def _merged(paths: list[Path]) -> _Kubeconfig:
    """As kubectl does: what the first file says of a name holds."""
    import yaml  # imported here: only programs with a kubeconfig need it

    current = ""
    sections: dict[str, dict[str, _Named]] = {"contexts": {}, "clusters": {}, "users": {}}
    for path in paths:
        try:
            content = yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            raise KubeconfigError(f"{path} is no YAML: {error}") from error
        if content is None:
            continue
        if not isinstance(content, dict):
            raise KubeconfigError(f"{path} is no kubeconfig")
        current = current or str(content.get("current-context") or "")
        for section, known in sections.items():
            for entry in content.get(section) or ():
                known.setdefault(str(entry.get("name", "")), _Named(entry.get(section.removesuffix("s")) or {}, path.parent))
    return _Kubeconfig(tuple(paths), current, sections["contexts"], sections["clusters"], sections["users"])


def _server(url: str, namespace: str, cluster: _Named, user: _Named) -> Server:
    for unusable in ("exec", "auth-provider"):
        if user.value.get(unusable):
            raise KubeconfigError(f"the kubeconfig asks for credentials of a program ({unusable}): put a token or a certificate there instead")
    certificate, key = _data(user, "client-certificate"), _data(user, "client-key")
    if (certificate is None) != (key is None):
        raise KubeconfigError("a client certificate and its key belong together")
    token_file = user.value.get("tokenFile")
    return Server(
        url=url, namespace=namespace, authority=_data(cluster, "certificate-authority"),
        verify=not cluster.value.get("insecure-skip-tls-verify", False), server_name=str(cluster.value.get("tls-server-name") or ""),
        proxy=str(cluster.value.get("proxy-url") or ""), token=str(user.value.get("token") or ""),
        token_file=user.folder / str(token_file) if token_file and not user.value.get("token") else None,
        pair=KeyPair(certificate=certificate, key=key) if certificate is not None and key is not None else None,
        username=str(user.value.get("username") or ""), password=str(user.value.get("password") or ""),
        acting_as=str(user.value.get("as") or ""), acting_as_uid=str(user.value.get("as-uid") or ""),
        acting_as_groups=tuple(map(str, user.value.get("as-groups") or ())),
    )


def _data(named: _Named, field: str) -> bytes | None:
    """What stands in the file itself, or in the file that it names."""
    inline, path = named.value.get(f"{field}-data"), named.value.get(field)
    if inline:
        try:
            return base64.b64decode(str(inline), validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"{field}-data is no base64") from error
    if not path:
        return None
    try:
        return (named.folder / str(path)).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{field}: {error}") from error


def admin_kubeconfig(url: str, token: str, authority: bytes | None, name: str = "kubelet-lite") -> str:
    """The text of a kubeconfig with one cluster and one user, who has a token alone: a client certificate would win over a wrong one."""
    trusted = () if authority is None else (f"    certificate-authority-data: {base64.b64encode(authority).decode()}",)
    return "\n".join((
        "apiVersion: v1", "kind: Config", "clusters:", f"- name: {name}", "  cluster:", f"    server: {url}",
        *trusted, "users:", "- name: admin", "  user:", f"    token: {token}", "contexts:", f"- name: {name}",
        "  context:", f"    cluster: {name}", "    user: admin", "    namespace: default", f"current-context: {name}", "",
    ))
