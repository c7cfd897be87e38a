"""`kubelet-lite up` as a process: how it starts, refuses to, and ends."""
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from kubelet_lite.cli.main import main
from kubelet_lite.cli.up import write_private

COMMAND = [sys.executable, "-m", "kubelet_lite.cli.main", "up", "--runtime", "fake"]


def run(folder, *arguments):
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environment, timeout=60)


def test_the_help_names_defaults_as_a_user_would_say_them(capsys):
    with pytest.raises(SystemExit):
        main(["up", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    defaults = re.findall(r"\(default: (.*?)\)", text)
    assert defaults == ["1", "subprocess", "6443", "the network's own range", "all", "the default profile", "auto", "auto", "~/.kube/kubelet-lite.config", "nowhere"]


def test_a_port_that_is_taken_is_said_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(tmp_path, "--port", str(port))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(rf"kubelet-lite: .*address already in use.* \(--port: {port} is taken; 0 takes a free one\)", line), line
    assert not done.stdout
    assert [path.name for path in tmp_path.rglob("*")] == [".kube"]


def test_a_service_range_that_is_too_small_is_refused(tmp_path):
    done = run(tmp_path, "--port", "0", "--service-cidr", "10.96.0.0/31")
    assert done.returncode == 1
    assert re.fullmatch("kubelet-lite: service_cidr='10.96.0.0/31' has 2 addresses: .*\n", done.stderr), done.stderr


@pytest.mark.parametrize("option", ["--kubeconfig", "--token-file"])
def test_a_file_that_cannot_be_written_is_found_before_the_start(tmp_path, option):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for name, problem in (("folder", "Is a directory"), ("file/x", "File exists|Not a directory")):
        done = run(tmp_path, "--port", "0", option, str(tmp_path / name))
        assert done.returncode == 1
        assert re.fullmatch(f"kubelet-lite: .*({problem}): '.*'\n", done.stderr), done.stderr
        assert not done.stdout
    assert not [path for path in tmp_path.rglob("*") if path.name not in ("folder", "file", ".kube")]


def test_a_private_file_that_cannot_take_its_place_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_private(tmp_path / "folder", "secret")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_start_under_way(tmp_path, number):
    command = [*COMMAND, "--runtime", "subprocess", "--nodes", "200", "--port", "0"]
    environment = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout.readline() == "apiserver is ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "the cluster is ready" not in out
    assert out.endswith("ended before the cluster was ready\n")
    assert not err
    assert [path.name for path in tmp_path.iterdir()] == [".kube"]
