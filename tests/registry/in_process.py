"""The recorded exchanges played against a Registry in this process, without HTTP: `python -m tests.registry.in_process mutations/services.jsonl`.

It stands where replay.py's connection stands, for writes and reads of single objects; what only a server does (tables, lists,
watches, discovery) is left to the replay against one.
"""
from __future__ import annotations

import argparse
import asyncio
import collections
import importlib
import json
import sys
import urllib.parse
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import core_v1, resources
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.identity import ADMIN
from kubelet_lite.api.meta_v1 import DeleteOptions, ObjectMeta
from kubelet_lite.api.requests import Body, RequestContext
from kubelet_lite.apiserver.routes import resource_path
from kubelet_lite.registry.admission.chain import Admission
from kubelet_lite.registry.admission.plugin import World
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.registry.bootstrap import bootstrap
from kubelet_lite.registry.custom.lifecycle import Lifecycle
from kubelet_lite.registry.registry import Registry
from kubelet_lite.registry.upkeep import Upkeep
from kubelet_lite.store import Store

RECORDED = Path(__file__).parents[1] / "recorded"
sys.path.insert(0, str(RECORDED))
replay = importlib.import_module("replay")


class InProcess(replay.Server):  # type: ignore[misc,name-defined]
    """What replay.py takes for a server."""

    def __init__(self) -> None:
        environment = Environment.real()
        self.registry = Registry(Store(now=environment.now), environment)
        view = self.registry.view
        world = World(view=view, environment=environment, authorizer=ClusterAuthorizer(view), write=lambda resource, obj: None)
        self.registry.admission = Admission(world)
        self.upkeep = Upkeep(self.registry)
        self.definitions = Lifecycle(self.registry)
        self.loop = asyncio.new_event_loop()
        bootstrap(self.registry, service_cidr="10.96.0.0/16")
        self._create(core_v1.ServiceAccount(metadata=ObjectMeta(name="default", namespace="default")))

    def close(self) -> None:
        self.loop.close()

    def _create(self, obj: Any) -> None:
        resource = resources.resource_of(type(obj))
        self.loop.run_until_complete(self.registry.create(RequestContext(identity=ADMIN), resource, obj.metadata.namespace, obj))

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", accept: str = "", headers: Any = None, token: bool = True,
    ) -> tuple[int, dict[str, Any], Any]:
        location, _, query = path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        ctx = RequestContext(
            identity=msgspec.structs.replace(ADMIN, user_agent="recorder/1.0"), dry_run="dryRun" in asked,
            field_validation=asked.get("fieldValidation", "Warn"), field_manager=asked.get("fieldManager", ""),  # type: ignore[arg-type]
        )
        ours = resource_path(location)
        assert ours is not None
        resource = self.registry.find(ours.group, ours.version, ours.plural)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        try:
            status, answer = self.loop.run_until_complete(self._answer(ctx, method, ours, resource, data, content_type, asked))
            self.loop.run_until_complete(self._settle())
        except ApiError as error:
            status, answer = error.code, error.to_status()
        warnings = [f"299 - {json.dumps(text)}" for text in dict.fromkeys(ctx.warnings)]
        return status, {"type": "application/json", "warnings": warnings}, answer

    async def _settle(self) -> None:
        await self.upkeep.settle_flow_schemas()
        await self.upkeep.settle_api_services()
        await self.definitions.settle()

    async def _answer(
        self, ctx: RequestContext, method: str, path: Any, resource: Any, data: Any, content_type: str, asked: dict[str, str],
    ) -> tuple[int, Any]:
        where = (ctx, resource, path.namespace)
        if resource is None:
            return 404, {}
        match method:
            case "GET" if path.name:
                return 200, to_json(await self.registry.get(*where, path.name, subresource=path.subresource))
            case "POST":
                return 201, to_json(await self.registry.create(*where, Body(data, content_type), name=path.name, subresource=path.subresource))
            case "PUT":
                new, created = await self.registry.update(*where, path.name, Body(data, content_type), subresource=path.subresource)
                return 201 if created else 200, to_json(new)
            case "PATCH":
                new, created = await self.registry.patch(*where, path.name, Body(data), content_type, subresource=path.subresource)
                return 201 if created else 200, to_json(new)
            case "DELETE" if path.name:
                options = msgspec.json.decode(data, type=DeleteOptions) if data else DeleteOptions()
                if "gracePeriodSeconds" in asked:
                    options = msgspec.structs.replace(options, gracePeriodSeconds=int(asked["gracePeriodSeconds"]))
                if "propagationPolicy" in asked:
                    options = msgspec.structs.replace(options, propagationPolicy=asked["propagationPolicy"])
                return 200, to_json(await self.registry.delete(*where, path.name, options))
        return 501, {}


def wanted(value: Any, where: str) -> str:
    try:
        return json.dumps(replay.at(value, where))
    except (KeyError, IndexError, TypeError):
        return "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="mutation files without their ending; none: all")
    parser.add_argument("--show", type=int, default=5)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    total: collections.Counter[str] = collections.Counter()
    same: collections.Counter[str] = collections.Counter()
    for name in args.names or sorted(path.stem for path in (RECORDED / "mutations").glob("*.jsonl")):
        file = RECORDED / "mutations" / f"{name}.jsonl"
        records = [json.loads(line) for line in file.read_text().splitlines()][1:]
        answers: dict[str, Any] = {f"{r['verb']} {r['op']} {r['path']} {json.dumps(r.get('value'))[:60] if r['op'] == 'set' else ''}": r["answer"] for r in records}
        shown = 0

        def report(group: str, label: str, found: Any, name: str = name, answers: dict[str, Any] = answers) -> None:
            nonlocal shown
            total[name] += 1
            if not found:
                same[name] += 1
            elif shown < args.show:
                shown += 1
                print(f"{name}: {label}")
                for where, what, value in found[:4]:
                    print(f"    {where} {what} GOT {json.dumps(value)[:400]} WANT {wanted(answers.get(label), where)[:400]}")

        with closing(InProcess()) as server:
            replay.replay_mutations(server, file, report, args.only)
        print(f"{name:40} {same[name]:5} / {total[name]:5} {100 * same[name] / max(1, total[name]):6.1f} %")
    print(f"{'together':40} {same.total():5} / {total.total():5} {100 * same.total() / max(1, total.total()):6.1f} %")


if __name__ == "__main__":
    main()
