"""House rules that a machine can check."""
import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = [p for folder in ("kubelet_lite", "controllers", "runtimes", "proxy") for p in (ROOT / folder).rglob("*.py") if not p.is_symlink()]
LIGHT = {"kubelet_lite"}
"""All that `import kubelet_lite` may load of ours …"""
HEAVY = ("aiohttp", "numpy", "cryptography", "yaml", "structlog", "rich", "msgspec")
"""… and what it may not load of others."""
EXPORTED = [
    "ApiError", "Behaviour", "Client", "Cluster", "Conflict", "HttpClient", "Identity", "Invalid", "ListOptions", "NotFound", "Unstructured",
    "WatchEvent",
]


def modules_loaded_by(statement):
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout.split())


def test_importing_the_package_loads_next_to_nothing():
    loaded = modules_loaded_by("import kubelet_lite")
    assert {m for m in loaded if m.startswith("kubelet_lite")} == LIGHT
    assert not [m for m in loaded if m.split(".")[0] in HEAVY]


def test_an_embedded_cluster_loads_what_it_uses_when_it_uses_it():
    """Not before it starts: any kind's rules, any other package but msgspec and anyio. Not by its start either: what servers, remote
    clients and log records need, and the rules of kinds that no part has written."""
    loaded = modules_loaded_by("import kubelet_lite; kubelet_lite.Cluster")
    assert not [m for m in loaded if m.split(".")[0] in HEAVY and m.split(".")[0] != "msgspec"]
    assert not [m for m in loaded if m.startswith("kubelet_lite.registry.kinds.")]
    started = modules_loaded_by("import asyncio, kubelet_lite\nasync def main():\n async with kubelet_lite.Cluster(nodes=3): pass\nasyncio.run(main())")
    assert not [m for m in started if m.split(".")[0] in ("aiohttp", "cryptography", "httptools", "yaml", "structlog", "rich")]
    assert not [m for m in started if m.startswith(("kubelet_lite.registry.kinds.services", "kubelet_lite.registry.kinds.jobs", "kubelet_lite.apiserver"))]


def test_the_exported_names_are_these():
    import kubelet_lite

    assert sorted(kubelet_lite.__all__) == EXPORTED
    assert all(getattr(kubelet_lite, name) is not None for name in EXPORTED)


@pytest.mark.parametrize("folder", ["controllers", "runtimes", "proxy"])
def test_the_linked_folders_refuse_their_short_names(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, folder, raising=False)
    with pytest.raises(ImportError, match=f"kubelet_lite.{folder}"):
        importlib.import_module(folder)


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_says_what_it_is(path):
    text = path.read_text()
    assert text == "" or ast.get_docstring(ast.parse(text)), "a file opens with a docstring"


def test_no_file_is_dead():
    """Every module is imported by another one, or run by name."""
    text = "\n".join(p.read_text() for p in (*CODE, *(ROOT / "tests").rglob("*.py"), ROOT / "pyproject.toml"))
    table = (ROOT / "kubelet_lite/registry/kinds/__init__.py").read_text()
    dead = []
    for path in CODE:
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts if parts[0] == "kubelet_lite" else ("kubelet_lite", *parts))
        if path.name == "__init__.py" or "_generated" in parts or re.fullmatch(r"kubelet_lite\.api\.\w+_v\d", name):
            continue
        package, _, module = name.rpartition(".")
        if package == "kubelet_lite.registry.kinds" and f'"{module}' in table:
            continue
        used = re.search(rf"\b{re.escape(name)}\b|from {re.escape(package)} import [^\n]*\b{module}\b|from {re.escape(package)} import \([^)]*\b{module}\b", text)
        if not used and f'"{name.removeprefix("kubelet_lite.")}"' not in text:
            dead.append(name)
    assert not dead


def test_no_machine_path_or_registry_host_is_committed():
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split("\n")
    for name in filter(None, files):
        path = ROOT / name
        if path.is_symlink() or name.startswith("tests/recorded/") or name == "tests/house/test_rules.py":
            continue
        text = path.read_text(errors="replace")
        assert not re.search(r"/work/(main|shared|\.library)\b|\.pyenv/|/opt/pypi", text), name
