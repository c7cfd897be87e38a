"""What a cluster that was killed left on disk."""
import os
import signal
import subprocess
import sys
import tempfile

import pytest

from kubelet_lite.runtimes.folders import PREFIX, Folder, remove_abandoned

HOLD = """
import sys
from kubelet_lite.runtimes.folders import Folder
folder = Folder()
(folder.path / "token").touch()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_of_a_killed_cluster_goes_and_that_of_a_living_one_stays(temporary):
    mine = Folder()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    other = subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        theirs = other.stdout.readline().strip()
        assert remove_abandoned() == 0
        assert sorted(str(path) for path in temporary.iterdir()) == sorted([str(mine.path), theirs])
    finally:
        other.send_signal(signal.SIGKILL)
        other.communicate()
    assert remove_abandoned() == 1
    assert list(temporary.iterdir()) == [mine.path]
    mine.remove()
    assert not list(temporary.iterdir())


def test_what_only_looks_alike_stays(temporary):
    for name, mode in ((f"{PREFIX}notes", 0o700), (f"{PREFIX}abcdefgh", 0o755), ("kubelet-lite", 0o700)):
        (temporary / name).mkdir()
        (temporary / name).chmod(mode)
    (temporary / "there").mkdir(mode=0o700)
    (temporary / f"{PREFIX}a_linked").symlink_to("there")
    (temporary / f"{PREFIX}a_file_8").touch()
    before = sorted(temporary.iterdir())
    assert remove_abandoned() == 0
    assert sorted(temporary.iterdir()) == before
