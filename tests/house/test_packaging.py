"""The wheel made from the tree and the wheel made from the source distribution hold the same files: ours, and each once."""
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(source, kind, out):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)], cwd=source, check=True, capture_output=True)
    return next(Path(out).iterdir())


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if ".dist-info/" not in name)


@pytest.mark.slow
def test_both_wheels_hold_the_whole_package(tmp_path):
    from_tree = names(build(ROOT, "wheel", tmp_path / "a"))
    source = build(ROOT, "sdist", tmp_path / "b")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "c", filter="data")
    from_source = names(build(next((tmp_path / "c").iterdir()), "wheel", tmp_path / "d"))
    assert from_tree == from_source
    assert len(set(from_tree)) == len(from_tree)
    tracked = subprocess.run(["git", "ls-files", "kubelet_lite", "controllers", "runtimes", "proxy"], cwd=ROOT, check=True, capture_output=True, text=True)
    ours = {name if name.startswith("kubelet_lite/") else f"kubelet_lite/{name}" for name in tracked.stdout.split() if not (ROOT / name).is_symlink()}
    assert ours <= set(from_tree)
