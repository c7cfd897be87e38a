"""The command line: `kubelet-lite up`, `replay`, `compare` and `version`."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

DEFAULT_KUBECONFIG: Final = "~/.kube/kubelet-lite.config"
REPLAY_KUBECONFIG: Final = "~/.kube/kubelet-lite-replay.config"
PARTS: Final = ("apiserver", "controllers", "scheduler", "kubelet", "proxy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 when the cluster could not start or ended by an error; argparse itself exits with 2."""
    options = _parser().parse_args(arguments)
    if options.command == "version":
        from kubelet_lite.cli.version import text

        print(text())  # noqa: T201
        return 0
    if options.command in ("replay", "compare"):
        from kubelet_lite.cli import replay

        return replay.replay(options) if options.command == "replay" else replay.compare(options)
    if options.command == "explain-scheduling":
        from kubelet_lite.cli.explain_scheduling import explain_scheduling

        return explain_scheduling(options)
    from kubelet_lite.cli.up import up

    return up(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubelet-lite", description="A whole Kubernetes in one Python process.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("version", help="print the versions of kubelet-lite and of the Kubernetes that it stands for")
    up = commands.add_parser("up", help="run a cluster in the foreground until Ctrl-C")
    up.add_argument("--nodes", type=_count, default=1, metavar="N", help="how many nodes (default: %(default)s)")
    up.add_argument("--runtime", choices=("fake", "subprocess"), default="subprocess", help="pods as real processes, or as pretended ones (default: %(default)s)")
    up.add_argument("--port", type=_port, default=6443, metavar="PORT", help="of the API server on 127.0.0.1; 0: a free one (default: %(default)s)")
    up.add_argument("--service-cidr", default="", metavar="CIDR", help="where Services get their addresses (default: the network's own range)")
    up.add_argument(
        "--image", action="append", default=[], type=_image, metavar="NAME=COMMAND",
        help="what stands for an image: its entrypoint, or nothing for this machine's own programs; may be given again",
    )
    up.add_argument("--components", type=_components, default=PARTS, metavar="PART,...", help=f"which parts to start, of {', '.join(PARTS)} (default: all)")
    up.add_argument("--scheduler-config", type=Path, default=None, metavar="FILE", help="a KubeSchedulerConfiguration (default: the default profile)")
    _add_plugins(up)
    up.add_argument("--metrics", action="store_true", help="serve metrics.k8s.io: what nodes and pods use (kubectl top)")
    up.add_argument("--network", choices=("auto", "loopback"), default="auto", help="the pod network (default: %(default)s)")
    up.add_argument("--isolation", choices=("auto", "host"), default="auto", help="how processes are kept apart (default: %(default)s)")
    up.add_argument("--kubeconfig", type=Path, default=Path(DEFAULT_KUBECONFIG), metavar="PATH", help="where to write the kubeconfig (default: %(default)s)")
    up.add_argument("--token-file", type=Path, default=None, metavar="PATH", help="where to write the admin's bearer token (default: nowhere)")
    _add_replay(commands.add_parser("replay", help="show what happened in a simulated run: a replay file or a recording"))
    _add_explain(commands.add_parser("explain-scheduling", help="say which nodes a pod could go to, why not to the others, and how these score"))
    compare = commands.add_parser("compare", help="say where two simulated runs part; each a replay file or a recording")
    compare.add_argument("first", type=Path, metavar="FIRST")
    compare.add_argument("second", type=Path, metavar="SECOND")
    return parser


def _add_replay(replay: argparse.ArgumentParser) -> None:
    replay.add_argument("file", type=Path, metavar="FILE", help="a replay file, which is played again, or a recording")
    replay.add_argument("--scenario", default="", metavar="MODULE:NAME", help="what to play, where the file's own scenario cannot be found again")
    replay.add_argument("--at", default="", metavar="WHEN", help="a revision (120), a time since the cluster was ready (+12.5s) or of the clock, start, ready or end")
    replay.add_argument("--step", action="store_true", help="step forwards and backwards by commands on standard input")
    replay.add_argument("--html", type=Path, metavar="PATH", help="write the timeline as a page")
    replay.add_argument("--export", type=Path, metavar="PATH", help="write the recording as JSON lines")
    replay.add_argument("--serve", action="store_true", help="serve that moment to kubectl, to be read")
    replay.add_argument("--port", type=_port, default=0, metavar="PORT", help="of the API server on 127.0.0.1 (default: a free one)")
    replay.add_argument("--kubeconfig", type=Path, default=Path(REPLAY_KUBECONFIG), metavar="PATH", help="where to write the kubeconfig (default: %(default)s)")


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of nodes")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _image(text: str) -> tuple[str, str]:
    from kubelet_lite.runtimes.images import ImageMap

    name, equals, command = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: say NAME=COMMAND")
    try:
        ImageMap({name: command})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name, command


def _add_plugins(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheduler-plugin", action="append", default=[], type=_plugin, metavar="MODULE:CLASS",
        help="a scheduler plug-in beside the default ones; may be given again",
    )


def _add_explain(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("pod", nargs="?", default="", metavar="POD", help="the name of a pod, whether it has a node or not")
    which.add_argument("-f", "--filename", type=Path, default=None, metavar="MANIFEST", help="a pod that is not there, or a workload; -: from the input")
    parser.add_argument("-n", "--namespace", default="", metavar="NAME", help="the pod's namespace (default: the context's)")
    parser.add_argument("--kubeconfig", type=Path, default=None, metavar="PATH", help="which cluster (default: $KUBECONFIG, or ~/.kube/config)")
    parser.add_argument("--context", default="", metavar="NAME", help="of the kubeconfig (default: its current one)")
    parser.add_argument("--scheduler-config", type=Path, default=None, metavar="FILE", help="that of the cluster's scheduler (default: the default profile)")
    _add_plugins(parser)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="how to print (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="every node, however many")


def _plugin(text: str) -> Any:
    """The class, found as Python finds modules, and in the current folder."""
    import importlib

    module, colon, name = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r}: say MODULE:CLASS")
    sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    finally:
        sys.path.remove("")
    from kubelet_lite.scheduler.framework import Plugin

    if not (isinstance(found, type) and issubclass(found, Plugin)):
        raise argparse.ArgumentTypeError(f"{text!r} is no class of kubelet_lite.scheduler.framework.Plugin")
    return found


def _components(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'} is no part: say some of {', '.join(PARTS)}")
    return parts


if __name__ == "__main__":
    sys.exit(main())
