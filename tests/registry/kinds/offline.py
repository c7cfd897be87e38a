"""Measures kind rules against the recorded mutations without a server: decode, default, prepare, validate, compare.

It stands in for the pipeline's part (metadata, body decoding) only as far as the comparison needs it, and leaves out the
mutations of kind, apiVersion and metadata that the pipeline alone answers. `python -m tests.registry.kinds.offline NAME…`
"""
from __future__ import annotations

import argparse
import collections
import importlib
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import encoding, reading
from kubelet_lite.api.canonical import canonicalise
from kubelet_lite.registry.conversion import CONVERSIONS
from kubelet_lite.registry.registry import DEPRECATED

RECORDED = Path(__file__).parents[2] / "recorded"
sys.path.insert(0, str(RECORDED))
replay = importlib.import_module("replay")

PIPELINE_PATHS = re.compile(r"^/(kind|apiVersion|metadata)(/|$)")
STAND_INS = {"<uid>": "8b3ed549-a178-4fd5-8b0e-67b22fc53d46", "<rv>": "7", "<time>": "2026-01-01T00:00:00Z", "<ip>": "10.96.1.2", "<nodePort>": 30555,
             "kube-api-access-<random>": "kube-api-access-abcde"}


class Undecodable(Exception):
    """What Go's decoder would refuse."""


def decoded(kind: type, value: Any, unknown: list[str]) -> Any:
    """The value as Go would decode it; `unknown` gets what is said of unknown fields."""
    try:
        text, problems = reading.read(kind, reading.parse(json.dumps(value)))
        unknown += problems
        return canonicalise(encoding.decode(kind, text))
    except (reading.DecodingError, msgspec.ValidationError, ValueError) as error:
        raise Undecodable(str(error)) from error


def to_stored(resource: Any, obj: Any) -> Any:
    conversion = CONVERSIONS.get((resource.api_version, resource.plural))
    return conversion.to_stored(obj) if conversion is not None else obj


def to_served(resource: Any, obj: Any) -> Any:
    conversion = CONVERSIONS.get((resource.api_version, resource.plural))
    return conversion.to_served(obj) if conversion is not None else obj


def unmasked(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: unmasked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unmasked(v) for v in value]
    return STAND_INS.get(value, value) if isinstance(value, str) else value


def masked(value: Any, sent: frozenset[Any]) -> Any:
    """As replay's normalise; and a stand-in address is an address of the service range already."""
    return replay.normalise(value, None, sent)


def answer(resource: Any, rules: Any, base: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """What the rules make of one mutation, in the shape of a recorded answer."""
    from kubelet_lite.api.encoding import to_json
    from kubelet_lite.api.errors import ApiError, Invalid

    create = record["verb"] == "create"
    value = replay.set_path(base["object"] if create else base["stored"], record["path"], record)
    unknown: list[str] = []
    out: dict[str, Any] = {}
    sent = frozenset(replay.leaves(base["object"])) | frozenset(replay.leaves(record.get("value")))
    try:
        new = decoded(resource.type, value, unknown)
        if unknown and record.get("strict"):
            return {"status": 400}
        new = rules.default(to_stored(resource, new))
        old = None if create else rules.default(to_stored(resource, decoded(resource.type, base["stored"], [])))
        new = settled(resource, rules, new, old)
        errors = [*rules.validate(new), *rules.validate_create(new)] if old is None else update_errors(rules, new, old)
        if errors:
            raise Invalid.of(resource.group, resource.kind, new.metadata.name, errors)
        out["warnings"] = [f'299 - {json.dumps(w)}' for w in [*unknown, *rules.warnings(new, old)]]
        out["status"] = 201 if create else 200
        result = masked(replay.strip(to_json(to_served(resource, new))), sent)
        for name in ("resourceVersion", "uid", "creationTimestamp"):
            reference = base["created" if create else "updated"]["metadata"]
            result["metadata"].pop(name, None)
            if name in reference:
                result["metadata"][name] = reference[name]
        out["diff"] = replay.diff(base["created" if create else "updated"], result)
    except Undecodable:
        return {"status": 400}
    except ApiError as error:
        out["status"] = error.code
        out["reason"], out["message"] = error.reason, error.message
        if error.causes:
            out["causes"] = [msgspec.to_builtins(c) for c in error.causes]
        out = replay.normalise(out, None, sent)
    if rules.resource in DEPRECATED:
        out["warnings"] = [f"299 - {json.dumps(DEPRECATED[rules.resource])}", *out.get("warnings", ())]
    if not out.get("warnings"):
        out.pop("warnings", None)
    return out


def settled(resource: Any, rules: Any, new: Any, old: Any) -> Any:
    """The part of the pipeline between defaulting and validation."""
    replace = msgspec.structs.replace
    has_status = resource.subresource("status") is not None
    if old is None:
        if has_status and getattr(rules, "status_type", True):
            new = replace(new, status=type(new)().status)
        new = replace(new, metadata=replace(new.metadata, generation=1 if rules.generation else 0, uid=STAND_INS["<uid>"],
                                             creationTimestamp=STAND_INS["<time>"], namespace=new.metadata.namespace or ("default" if resource.namespaced else "")))
        new = allocated(rules, admitted(resource, new, None), None)
        return rules.prepare_create(new)
    metadata = replace(new.metadata, creationTimestamp=old.metadata.creationTimestamp, uid=old.metadata.uid, generation=old.metadata.generation,
                       namespace=old.metadata.namespace)
    new = replace(new, metadata=metadata)
    if has_status:
        new = replace(new, status=old.status)
    new = allocated(rules, admitted(resource, new, old), old)
    new = rules.prepare_update(new, old)
    if rules.generation and rules.generation_moves(new, old):
        new = replace(new, metadata=replace(new.metadata, generation=old.metadata.generation + 1))
    return new


def update_errors(rules: Any, new: Any, old: Any) -> list[Any]:
    transition = list(rules.validate_update(new, old))
    match rules.validate_on_update:
        case "before":
            return [*rules.validate(new), *transition]
        case "after":
            return [*transition, *rules.validate(new)]
    return transition


def allocated(rules: Any, new: Any, old: Any) -> Any:
    """With the addresses that an allocator of a cluster without Services hands out."""
    if rules.allocator is None:
        return new
    allocator = rules.allocator(EmptyView(), Environment.real())
    if old is not None:
        allocator.written(None, old)
    return allocator.allocate(new, old, True)


def admitted(resource: Any, new: Any, old: Any) -> Any:
    """A pod with what the admission plug-ins of an empty cluster add; other kinds as they are."""
    from kubelet_lite.api.identity import Identity
    from kubelet_lite.api.requests import RequestContext
    from kubelet_lite.registry.admission import default_toleration_seconds, priority, service_account
    from kubelet_lite.registry.admission.chain import Admission
    from kubelet_lite.registry.admission.plugin import Review

    if resource.qualified != "pods":
        return new
    world = types.SimpleNamespace(view=EmptyView(), environment=Environment.real())
    review = Review(context=RequestContext(identity=Identity(name="admin")), resource=resource, operation="CREATE" if old is None else "UPDATE",
                    namespace=new.metadata.namespace, name=new.metadata.name, old=old)
    chain = Admission(world, (service_account.PLUGIN, priority.PODS, default_toleration_seconds.PLUGIN))  # type: ignore[arg-type]
    return chain.mutate(new, review)


class EmptyView:
    """A store with nothing in it but the range of Services and the default account."""

    def get(self, resource: str, namespace: str, name: str) -> Any:
        if (resource, name) == ("serviceaccounts", "default"):
            from kubelet_lite.api.core_v1 import ServiceAccount

            return ServiceAccount()
        return None

    def list(self, resource: str, namespace: str = "") -> tuple[Any, ...]:
        if resource == "servicecidrs.networking.k8s.io":
            from kubelet_lite.api.networking_v1 import ServiceCIDR, ServiceCIDRSpec

            return (ServiceCIDR(spec=ServiceCIDRSpec(cidrs=("10.96.0.0/16",))),)
        return ()

    def changed(self, *resources: str) -> int:
        return 1


def run(name: str, show: int, only: str = "") -> tuple[int, int, int]:
    """(same, compared, left to the pipeline) of one mutation file."""
    from kubelet_lite.api import resources
    from kubelet_lite.registry.kinds import RULES
    from kubelet_lite.registry.rules import DEFAULT_RULES

    head, *records = [json.loads(line) for line in (RECORDED / "mutations" / f"{name}.jsonl").read_text().splitlines()]
    base = head["base"]
    base["stored"] = unmasked(base.get("updated") or base["created"])
    base["stored"]["metadata"]["resourceVersion"] = "7"
    resource = resources.find_kind(base["object"]["apiVersion"], base["object"]["kind"])
    assert resource is not None
    conversion = CONVERSIONS.get((resource.api_version, resource.plural))
    rules = RULES.get((conversion.stored if conversion is not None else resource).qualified, DEFAULT_RULES)
    same = compared = 0
    for record in records:
        if PIPELINE_PATHS.match(record["path"]) or not re.search(only, f"{record['verb']} {record['path']}"):
            continue
        compared += 1
        want = record["answer"]
        got = answer(resource, rules, base, record)
        if want["status"] == 400 and got["status"] == 400:
            same += 1
            continue
        found = replay.differences(want, got)
        if not found:
            same += 1
        elif show > 0:
            show -= 1
            print(f"{name}: {record['verb']} {record['op']} {record['path']} {json.dumps(record.get('value'))[:70] if record['op'] == 'set' else ''}")
            for where, what, value in found[:4]:
                print(f"    {where} {what} GOT {json.dumps(value)[:300]} WANT {wanted(want, where)[:400]}")
    return same, compared, len(records) - compared


def wanted(value: Any, where: str) -> str:
    try:
        return json.dumps(replay.at(value, where))
    except (KeyError, IndexError, TypeError):
        return "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--show", type=int, default=5)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    total = collections.Counter[str]()
    for name in args.names or sorted(p.stem for p in (RECORDED / "mutations").glob("*.jsonl")):
        same, compared, left = run(name, args.show, args.only)
        total.update(same=same, compared=compared)
        print(f"{name:40} {same:5} / {compared:5} {100 * same / max(1, compared):6.1f} %  ({left} left to the pipeline)")
    print(f"{'together':40} {total['same']:5} / {total['compared']:5} {100 * total['same'] / max(1, total['compared']):6.1f} %")


if __name__ == "__main__":
    main()
