"""What stands in kubelet_lite/api/_generated is what the generator writes, and nothing of the facts is missing from it."""
from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from kubelet_lite.api import encoding, resources
from kubelet_lite.api._generated import canonical_fields, defaults, enums, lists, protobuf, required

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "scripts" / "facts"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator(generate: ModuleType) -> Any:
    return generate.Generator()


NOT_SERVED = ("GroupResource", "WatchEvent")
"""Types of meta/v1 that only groups use which Kubernetes does not serve by default, or that have no fields of their own."""


def types(generate: ModuleType, generator: Any) -> list[tuple[str, str, Any]]:
    """(definition, key in the tables, Struct) of every type."""
    found = []
    for package, module in generate.MODULES.items():
        for definition in generator.types_of(package):
            short = definition.rpartition(".")[2]
            found.append((definition, f"{module}.{short}", getattr(importlib.import_module(f"kubelet_lite.api.{module}"), short)))
    return found


def test_the_generated_files_are_what_the_generator_writes(generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    have = generate.TARGET
    monkeypatch.setattr(generate, "TARGET", tmp_path)
    generate.main()
    assert {f.name for f in tmp_path.glob("*.py")} == {f.name for f in have.glob("*.py")}
    for written in tmp_path.glob("*.py"):
        assert written.read_text() == (have / written.name).read_text(), written.name


def test_every_definition_of_every_served_group_is_a_type(generate: ModuleType, generator: Any) -> None:
    known = {definition for definition, _, _ in types(generate, generator)}
    for definition in generator.definitions:
        package, _, short = definition.rpartition(".")
        if package in generate.MODULES and definition not in generate.SCALARS and short not in (*generate.NOT_WRITTEN, *NOT_SERVED):
            assert definition in known


def test_every_field_of_the_definitions_and_of_go_is_there_in_gos_order(generate: ModuleType, generator: Any) -> None:
    for definition, _, kind in types(generate, generator):
        have = [f.encode_name for f in msgspec.structs.fields(kind)]
        want = [name for name, _, _ in generator.flat_fields(definition)]
        assert [name for name in have if name not in ("kind", "apiVersion") or name in want] == want, definition
        assert set(generator.definitions.get(definition, {}).get("properties", {})) <= set(have), definition


def test_an_empty_object_writes_exactly_the_fields_that_go_does_not_omit(generate: ModuleType, generator: Any) -> None:
    for definition, _, kind in types(generate, generator):
        written = set(msgspec.json.decode(encoding.encode_value(kind())))
        facts = {name: (fact, annotation) for name, fact, annotation in generator.flat_fields(definition)}
        for field in msgspec.structs.fields(kind):
            fact, annotation = facts.get(field.encode_name, ({}, ""))
            if not fact or annotation in ("Any", "Raw") or annotation.startswith("Mapping"):
                continue  # kind and apiVersion go by the way of encoding; maps and raw values are left out when empty
            struct = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
            struct = struct or (annotation in ("Time", "MicroTime", "Quantity", "IntOrString") and not fact["go"].startswith("*"))
            omitted = bool(fact.get("omitzero") if struct else fact.get("omitempty") or fact.get("omitzero"))
            assert (field.encode_name not in written) is omitted, f"{definition}.{field.encode_name}"


def test_a_field_at_its_zero_value_is_written_only_where_go_does_not_omit_it() -> None:
    from kubelet_lite.api.core_v1 import Container, Pod, ServicePort

    assert encoding.encode_value(Container(name="")) == b'{"name":"","resources":{}}'
    assert encoding.encode_value(ServicePort()) == b'{"port":0,"targetPort":0}'
    assert encoding.encode(Pod()) == b'{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{"containers":null},"status":{}}'


def test_list_and_patch_facts_are_those_of_the_definitions(generate: ModuleType, generator: Any) -> None:
    for definition, key, _ in types(generate, generator):
        for name, schema in generator.definitions.get(definition, {}).get("properties", {}).items():
            want = (
                schema.get("x-kubernetes-list-type", ""), tuple(schema.get("x-kubernetes-list-map-keys", ())),
                schema.get("x-kubernetes-patch-strategy", ""), schema.get("x-kubernetes-patch-merge-key", ""), schema.get("x-kubernetes-map-type", ""),
            )
            assert lists.LISTS.get(key, {}).get(name, ("", (), "", "", "")) == want, f"{key}.{name}"


def test_protobuf_numbers_defaults_enumerations_and_required_fields_are_those_of_the_facts(generate: ModuleType, generator: Any) -> None:
    for definition, key, _ in types(generate, generator):
        facts = generator.openapi.get(definition, {})
        assert required.REQUIRED.get(key, ()) == tuple(facts.get("required", ()))
        for name, fact in facts.items():
            if isinstance(fact, dict):
                assert defaults.DEFAULTS.get(key, {}).get(name) == fact.get("default")
                assert enums.ENUMS.get(key, {}).get(name, ()) == tuple(fact.get("enum", ()))
        for name, fact in generator.fields[definition].items():
            if "protobuf" in fact and not fact.get("inline"):
                assert protobuf.PROTOBUF[key][name] == tuple(fact["protobuf"])


def test_every_resource_of_discovery_has_its_scope_verbs_names_and_subresources() -> None:
    count = 0
    for group in json.loads((FACTS / "discovery.json").read_text()):
        for version in group["versions"]:
            for served in version["resources"]:
                resource = resources.find(group["metadata"].get("name", ""), version["version"], served["resource"])
                assert resource is not None
                count += 1
                assert resource.kind == served["responseKind"]["kind"]
                assert resource.singular == served["singularResource"]
                assert resource.namespaced is (served["scope"] == "Namespaced")
                assert resource.verbs == tuple(served["verbs"])
                assert resource.short_names == tuple(served.get("shortNames", ()))
                assert resource.categories == tuple(served.get("categories", ()))
                assert [s.name for s in resource.subresources] == [s["subresource"] for s in served.get("subresources", ())]
                assert resource.type().kind == resource.kind
                assert resource.type().apiVersion == resource.api_version
    assert count == len(resources.RESOURCES)


def test_every_table_column_of_the_facts_is_there() -> None:
    columns = json.loads((FACTS / "columns.json").read_text())
    for resource in resources.RESOURCES:
        want = columns.get(f"{resource.api_version}/{resource.plural}", [])
        assert [(c.name, c.type, c.priority) for c in resource.columns] == [(c["name"], c["type"], c.get("priority", 0)) for c in want]


def test_the_canonical_table_names_only_fields_that_exist() -> None:
    for key, fields in canonical_fields.FIELDS.items():
        module, _, short = key.partition(".")
        kind = getattr(importlib.import_module(f"kubelet_lite.api.{module}"), short)
        assert set(fields) <= set(kind.__struct_fields__)
