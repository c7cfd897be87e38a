"""The command line: `kubelet-lite up` and `kubelet-lite version`."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

DEFAULT_KUBECONFIG: Final = "~/.kube/kubelet-lite.config"
PARTS: Final = ("apiserver", "controllers", "scheduler", "kubelet", "proxy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 when the cluster could not start or ended by an error; argparse itself exits with 2."""
    options = _parser().parse_args(arguments)
    if options.command == "version":
        from kubelet_lite.cli.version import text

        print(text())  # noqa: T201
        return 0
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
    up.add_argument("--network", choices=("auto", "loopback"), default="auto", help="the pod network (default: %(default)s)")
    up.add_argument("--isolation", choices=("auto", "host"), default="auto", help="how processes are kept apart (default: %(default)s)")
    up.add_argument("--kubeconfig", type=Path, default=Path(DEFAULT_KUBECONFIG), metavar="PATH", help="where to write the kubeconfig (default: %(default)s)")
    up.add_argument("--token-file", type=Path, default=None, metavar="PATH", help="where to write the admin's bearer token (default: nowhere)")
    return parser


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


def _components(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'} is no part: say some of {', '.join(PARTS)}")
    return parts


if __name__ == "__main__":
    sys.exit(main())
