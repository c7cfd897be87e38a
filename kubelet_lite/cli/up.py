"""`kubelet-lite up`: one cluster in the foreground, served over HTTPS, until Ctrl-C or SIGTERM."""
from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio

from kubelet_lite.cluster import Cluster


def up(options: argparse.Namespace) -> int:
    try:
        _run(_serve(options))
    except (ValueError, TimeoutError) as error:
        print(f"kubelet-lite: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        hint = f" (--port: {options.port} is taken; 0 takes a free one)" if error.errno == errno.EADDRINUSE else ""
        print(f"kubelet-lite: {error}{hint}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _run(main: Any) -> None:
    """On uvloop where the extra `fast` has installed it."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    path = options.kubeconfig.expanduser()
    token_path = options.token_file.expanduser() if options.token_file is not None else None
    for wanted in (path, token_path):
        if wanted is not None:
            check_writable(wanted)
    configuration = None
    if options.scheduler_config is not None:
        from kubelet_lite.scheduler.configuration import load, without_effect

        configuration = load(options.scheduler_config.expanduser())
        for note in without_effect(configuration, metrics=options.metrics):
            say(f"{options.scheduler_config}: without effect here: {note}")
    with anyio.CancelScope() as starting:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, starting.cancel)
        cluster = Cluster(
            nodes=options.nodes, runtime=options.runtime, images=dict(options.image), network=options.network, isolation=options.isolation,
            serve=True, port=options.port, components=options.components, service_cidr=options.service_cidr, proxy_in_child=True,
            on_ready=lambda part: say(f"{part} is ready"), scheduler_config=configuration, scheduler_plugins=options.scheduler_plugin,
            metrics=options.metrics,
        )
        async with cluster:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop.set)
            write_private(path, cluster.kubeconfig)
            if token_path is not None:
                write_private(token_path, cluster.token)
            say(f"the cluster is ready at {cluster.url}; Ctrl-C ends it")
            say(f"export KUBECONFIG={path}")
            gc.collect()
            gc.freeze()  # what is there now stays: a collection need not look at it (with 150,000 pods 6 ms instead of 26)
            await stop.wait()
            say("ending")
    if starting.cancelled_caught:
        say("ended before the cluster was ready")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def check_writable(path: Path) -> None:
    """Raises OSError for a path that `write_private` could not write."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    descriptor, fresh = _fresh(path)
    os.close(descriptor)
    fresh.unlink()


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, all at once or not at all."""
    descriptor, fresh = _fresh(path)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _fresh(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    return os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), fresh
