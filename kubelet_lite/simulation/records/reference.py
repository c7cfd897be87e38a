"""Functions and classes by name, so that a replay file can say which ones a run was made of.

A reference is a module and a name in it; a `functools.partial` is a reference and its arguments. What is defined inside a function
has no such name, nor has an object of a class: of them only a description is kept.
"""
from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

ELSEWHERE: Final = "replay it in the directory in which the run was made, or say --scenario FILE.py:NAME"


class NotFoundAgain(ValueError):
    """What is referred to cannot be found; the message says why."""


class Reference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str = ""
    """`package.module:Class.method`; "": it has no name."""
    file: str = ""
    """Where the module is, for modules that cannot be imported by name; relative to the working directory where it is below it."""
    about: str = ""
    """What to call it in messages."""
    arguments: tuple[Argument, ...] = ()
    named: Mapping[str, Argument] = {}


class Argument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`of` where the value is a function or class, else plain JSON."""

    value: Any = None
    of: Reference | None = None


def refer(thing: Callable[..., Any], about: str = "") -> Reference:
    """Never fails; `name` is empty where a part of it has none."""
    if isinstance(thing, partial):
        inner = refer(thing.func)
        arguments, named = [_argument(a) for a in thing.args], {name: _argument(a) for name, a in thing.keywords.items()}
        whole = inner.name and all(a.of is None or a.of.name for a in (*arguments, *named.values()))
        about = about or str(thing.keywords.get("name") or inner.about)
        return Reference(name=inner.name if whole else "", file=inner.file, about=about, arguments=tuple(arguments), named=named)
    module = sys.modules.get(getattr(thing, "__module__", ""))
    about = about or str(getattr(thing, "__qualname__", type(thing).__qualname__))
    name = _name_in(module, thing) if module is not None else ""
    if module is None or not name:
        return Reference(about=about)
    file = _shortened(module.__file__) if getattr(module, "__file__", None) and not module.__name__.startswith("kubelet_lite.") else ""
    return Reference(name=f"{_module_name(module)}:{name}", file=file, about=about)


def resolve(reference: Reference) -> Any:
    """What it refers to. Raises NotFoundAgain."""
    if not reference.name:
        unnamed = next((a.of for a in (*reference.arguments, *reference.named.values()) if a.of is not None and not a.of.name), None)
        if unnamed is not None:
            raise NotFoundAgain(
                f"{reference.about} has an argument that cannot be found again, {unnamed.about}: only plain JSON values and what stands in a module can"
            )
        raise NotFoundAgain(f"{reference.about} is defined inside a function: only what stands in a module can be found again")
    module_name, _, path = reference.name.partition(":")
    found: Any = _module(module_name, reference.file)
    for part in path.split("."):
        if not hasattr(found, part):
            raise NotFoundAgain(f"there is no {path} in {module_name}")
        found = getattr(found, part)
    if not reference.arguments and not reference.named:
        return found
    return partial(found, *map(_resolved, reference.arguments), **{name: _resolved(a) for name, a in reference.named.items()})


def rooted(reference: Reference, folder: Path) -> Reference:
    """With the files in it relative to a folder, and no more to the working directory."""
    def value(argument: Argument) -> Argument:
        return argument if argument.of is None else replace(argument, of=rooted(argument.of, folder))

    return replace(
        reference, file=str(folder / reference.file) if reference.file else "", arguments=tuple(map(value, reference.arguments)),
        named={name: value(argument) for name, argument in reference.named.items()},
    )


def parse(text: str) -> Reference:
    """`package.module:name`, or `folder/file.py:name`. Raises NotFoundAgain."""
    where, colon, name = text.rpartition(":")
    if colon and name and where.endswith(".py"):
        return Reference(name=f"{Path(where).stem}:{name}", file=where, about=text)
    if not colon or not name or not all(part.isidentifier() for part in where.split(".")):
        raise NotFoundAgain(f"{text!r}: say MODULE:NAME or FILE.py:NAME")
    return Reference(name=text, about=text)


def _argument(value: Any) -> Argument:
    if callable(value):
        return Argument(of=refer(value))
    return Argument(value=value) if _is_plain(value) else Argument(of=Reference(about=f"a value of type {type(value).__qualname__}"))


def _is_plain(value: Any) -> bool:
    """Whether JSON holds it (a tuple comes back as a list)."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _resolved(argument: Argument) -> Any:
    return argument.value if argument.of is None else resolve(argument.of)


def _name_in(module: Any, thing: Any) -> str:
    """By its own name, or by the variable that holds it (a lambda's); "" where neither leads to it."""
    path: str = getattr(thing, "__qualname__", "")
    found: Any = module
    for part in path.split(".") if path else ():
        found = getattr(found, part, None)
    if found is thing:
        return path
    return next((name for name, value in vars(module).items() if value is thing), "")


def _module_name(module: Any) -> str:
    """The program's own module has another name for whoever imports it."""
    if module.__name__ != "__main__":
        return str(module.__name__)
    spec = getattr(module, "__spec__", None)
    return spec.name if spec is not None else Path(getattr(module, "__file__", "") or "__main__").stem


def _shortened(file: str | None) -> str:
    path = Path(file or "").resolve()
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _module(name: str, file: str) -> Any:
    """The module by name if it is the one in `file`, else by the file."""
    path = Path(file).resolve() if file else None
    main = sys.modules["__main__"]
    if path is not None and getattr(main, "__file__", None) and Path(str(main.__file__)).resolve() == path:
        return main
    why = ""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        why = str(error)
    else:
        if path is None or _is_at(module, path) or not path.exists():
            return module
    if path is None or not path.exists():
        raise NotFoundAgain(f"module {name} cannot be imported ({why})" + (f", and {file} is not there: {ELSEWHERE}" if file else ""))
    return _from_file(name, path)


def _is_at(module: Any, path: Path) -> bool:
    return bool(getattr(module, "__file__", None)) and Path(module.__file__).resolve() == path


def _from_file(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    shadowed: Sequence[Any] = [sys.modules[name]] if name in sys.modules else []
    sys.modules[name] = module
    beside = str(path.parents[min(name.count("."), len(path.parents) - 1)])
    sys.path.append(beside)  # what it imports may be there, as it was when the run was made
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if shadowed:
            sys.modules[name] = shadowed[0]
        raise NotFoundAgain(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(beside)
    return module
