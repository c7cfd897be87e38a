"""`kubelet-lite explain-scheduling` against a served cluster."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from kubelet_lite import Cluster
from kubelet_lite.cli import explain_scheduling
from kubelet_lite.cli.main import _parser

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  nodeSelector: {kubernetes.io/hostname: WHERE}
  containers: [{name: c, image: "web:1", resources: {requests: {cpu: CPU}}}]
"""


def manifest(name: str, where: str, cpu: str = "1m") -> str:
    return POD.replace("NAME", name).replace("WHERE", where).replace("CPU", cpu)


async def explained(folder: Path, *arguments: str) -> dict[str, Any] | int:
    options = _parser().parse_args(["explain-scheduling", "--kubeconfig", str(folder / "kubeconfig"), *arguments])
    return await explain_scheduling._explain(options)


def test_a_pod_with_a_node_one_without_and_one_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with Cluster(nodes=2, runtime="fake", serve=True) as cluster:
            (tmp_path / "kubeconfig").write_text(cluster.kubeconfig)
            (tmp_path / "new.yaml").write_text(manifest("new", "node-2", "9999"))
            await cluster.apply(manifest("runs", "node-1"))
            await cluster.wait("pod/runs", "condition=Ready")
            await cluster.apply(manifest("waits", "mars"))
            await cluster.wait("pod/waits", "condition=PodScheduled=false")
            await explained(tmp_path, "runs", "-o", "json")
            found = json.loads(capsys.readouterr().out)
            assert found["best"] == ["node-1"]
            assert found["cuts"][0]["plugin"] == "NodeAffinity"
            assert found["cuts"][0]["nodes"] == ["node-2"]
            await explained(tmp_path, "waits")
            text = " ".join(capsys.readouterr().out.split())
            assert "none of 2 nodes takes it" in text
            assert "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector." in text
            await explained(tmp_path, "-f", str(tmp_path / "new.yaml"), "-o", "json")
            found = json.loads(capsys.readouterr().out)
            assert {cut["plugin"] for cut in found["cuts"]} == {"NodeAffinity", "NodeResourcesFit"}
            assert found["best"] == []

    anyio.run(main)


def test_what_cannot_be_explained_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = _parser().parse_args(["explain-scheduling", "x", "--kubeconfig", str(tmp_path / "nowhere")])
    assert explain_scheduling.explain_scheduling(options) == 1
    assert "no kubeconfig" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        _parser().parse_args(["explain-scheduling", "x", "-f", "y"])
