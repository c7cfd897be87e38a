import os

import pytest

from kubelet_lite.api.core_v1 import (
    ConfigMap,
    ConfigMapVolumeSource,
    Container,
    EmptyDirVolumeSource,
    KeyToPath,
    NFSVolumeSource,
    Node,
    Pod,
    PodSpec,
    Secret,
    SecretVolumeSource,
    Volume,
    VolumeMount,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.kubelet import volumes
from kubelet_lite.kubelet.container_environment import ConfigError, Sources


def sources(maps=None, secrets=None):
    return Sources(config_map=(maps or {}).get, secret=(secrets or {}).get, node=Node(), services=())


def pod(*volumes_):
    return Pod(metadata=ObjectMeta(name="p", namespace="ns"), spec=PodSpec(volumes=volumes_))


NO_TOKENS = volumes.Tokens({})
CONFIG = Volume(name="v", configMap=ConfigMapVolumeSource(name="m", defaultMode=0o440))


def test_files_of_a_config_map_follow_it_all_at_once(tmp_path):
    paths = volumes.make(tmp_path, pod(CONFIG), sources({"m": ConfigMap(data={"a": "1", "b": "2"})}), NO_TOKENS)
    folder = tmp_path / "v"
    assert paths == {"v": str(folder)}
    assert ((folder / "a").read_text(), (folder / "b").stat().st_mode & 0o777) == ("1", 0o440)
    before = os.readlink(folder / "..data")
    volumes.make(tmp_path, pod(CONFIG), sources({"m": ConfigMap(data={"a": "1", "b": "2"})}), NO_TOKENS)
    assert os.readlink(folder / "..data") == before
    volumes.make(tmp_path, pod(CONFIG), sources({"m": ConfigMap(data={"a": "9", "c": "3"})}), NO_TOKENS)
    assert sorted(p.name for p in folder.iterdir() if not p.name.startswith("..")) == ["a", "c"]
    assert (folder / "a").read_text() == "9"


def test_items_choose_keys_paths_and_modes(tmp_path):
    items = (KeyToPath(key="k", path="deep/er/file", mode=0o600),)
    volume = Volume(name="s", secret=SecretVolumeSource(secretName="x", items=items))
    volumes.make(tmp_path, pod(volume), sources(secrets={"x": Secret(data={"k": b"hush", "other": b""})}), NO_TOKENS)
    file = tmp_path / "s" / "deep" / "er" / "file"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"hush", 0o600)
    assert not (tmp_path / "s" / "other").exists()


def test_what_is_missing_fails_unless_it_is_optional(tmp_path):
    with pytest.raises(volumes.VolumeError, match=r'^MountVolume\.SetUp failed for volume "v" : configmap "m" not found'):
        volumes.make(tmp_path, pod(CONFIG), sources(), NO_TOKENS)
    optional = Volume(name="v", configMap=ConfigMapVolumeSource(name="m", optional=True))
    volumes.make(tmp_path, pod(optional), sources(), NO_TOKENS)
    assert (tmp_path / "v").is_dir()


def test_a_volume_of_another_kind_says_that_it_is_not_offered(tmp_path):
    with pytest.raises(volumes.VolumeError, match="volumes of kind nfs are not offered"):
        volumes.make(tmp_path, pod(Volume(name="n", nfs=NFSVolumeSource(server="s", path="/"))), sources(), NO_TOKENS)


def test_sub_paths_are_made_and_may_not_lead_outside(tmp_path):
    one = pod(Volume(name="e", emptyDir=EmptyDirVolumeSource()))
    paths = volumes.make(tmp_path, one, sources(), NO_TOKENS)
    mount = VolumeMount(name="e", mountPath="/data", subPathExpr="sub-$(N)")
    found = volumes.mounts(Container(name="c", volumeMounts=(mount,)), paths, {"N": "p"})
    assert (found[0].host_path, found[0].container_path) == (str(tmp_path / "e" / "sub-p"), "/data")
    with pytest.raises(ConfigError):
        volumes.mounts(Container(name="c", volumeMounts=(VolumeMount(name="e", mountPath="/d", subPath="../x"),)), paths, {})
