"""Values that are checked when they are given: a field or an argument that is not as its annotation wants it is an error at once.

The annotations are those of Python and msgspec (`Annotated[float, Meta(ge=0)]`), so that a replay file is held to the same; a `Meta` may
say in words what is wanted. `Checked` is for data, `checked` for functions.
https://jcristharif.com/msgspec/constraints.html
"""
from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, lru_cache, wraps
from itertools import chain, repeat
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, ParamSpec, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta
from msgspec.structs import fields, force_setattr

P = ParamSpec("P")
T = TypeVar("T")

MOST_NODES: Final = 10_000
"""Twice as many as Kubernetes is tested with."""
MOST_SECONDS: Final = 1e9
"""Thirty years: more is a mistake, and neither infinite nor no number at all can be played."""

Seconds = Annotated[float, Meta(ge=0, le=MOST_SECONDS)]
"""Of virtual time."""
Period = Annotated[float, Meta(gt=0, le=MOST_SECONDS)]
Shift = Annotated[float, Meta(ge=-MOST_SECONDS, le=MOST_SECONDS)]
"""Forwards or backwards."""
Chance = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Nodes = Annotated[int, Meta(ge=0, le=MOST_NODES)]
Name = Annotated[str, Meta(min_length=1)]
"""Or a pattern of names: an empty one finds nothing."""

OURS: Final = "kubelet_lite."
"""Modules whose annotations can be told at run time; those of others may name what only a type checker sees."""
SHOWN: Final = 120
"""Characters of a wrong value: a manifest or a dump would bury the message."""
REMEMBERED: Final = 1024
"""Functions of which it is known what they can be called with: finding out takes longer than many a run."""
_LISTS: Final[Mapping[Any, type]] = {
    tuple: Sequence, list: Sequence, Sequence: Sequence, set: Collection, frozenset: Collection, Collection: Collection, Iterable: Iterable,
}
"""What is taken for each; never a text, nor a mapping, which give their letters and keys one by one."""
_WORDS: Final[Mapping[Any, str]] = {
    int: "a whole number", float: "a number", str: "a text", bool: "True or False", NoneType: "None", Mapping: "a mapping", dict: "a mapping",
    **dict.fromkeys(_LISTS, "a list"),
}


class WrongValue(TypeError, ValueError):
    """What was given is not what is wanted; the message names it, shows it, and says what is. Both, as it may be of another type or too large."""


class Misfit(NamedTuple):
    """A value that is not as it is wanted, and where it is."""

    where: str
    value: Any
    wanted: Any

    def __str__(self) -> str:
        return f"{self.where}={shown(self.value)}: {_words(self.wanted)} is wanted{_meant(self.value, self.wanted)}"


def check(where: str, value: Any, wanted: Any) -> None:
    """Raises WrongValue for a value that an annotation does not allow."""
    found = _misfit(where, value, wanted)
    if found is not None:
        raise WrongValue(str(found))


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """A function whose arguments are held to their annotations when it is called. The error names the function and the argument.

    A Callable has to take as many arguments as its annotation says, and to be async only where that has an Awaitable.
    """
    who = function.__qualname__.removesuffix(".__init__").removesuffix(".__call__")
    named: dict[Any, list[str]] = {}
    for parameter in inspect.signature(function).parameters.values():
        named.setdefault(parameter.kind, []).append(parameter.name)
    placed = [name for kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in named.get(kind, ())]
    (others,), (more,) = (named.get(kind, [""]) for kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD))

    @cache
    def wanted() -> Mapping[str, Any]:
        return inspect.get_annotations(function, eval_str=True)

    @wraps(function)
    def held(*args: P.args, **kwargs: P.kwargs) -> T:
        annotations = wanted()
        for name, value in zip(chain(placed, repeat(others)), args):  # noqa: B905  one of them has no end
            if name in annotations:
                check(f"{who}: {name}", value, annotations[name])
        for name, value in kwargs.items():
            if name in annotations or more in annotations:
                check(f"{who}: {name}", value, annotations.get(name, annotations.get(more)))
        return function(*args, **kwargs)

    return held


def check_class(kind: type) -> None:
    """Holds the attributes of a class to what our own among its bases annotate as ClassVar."""
    for base in kind.__mro__:
        for name, wanted in _attributes(base).items() if base.__module__.startswith(OURS) else ():
            check(f"{kind.__name__}.{name}", getattr(kind, name), wanted)


@cache
def _attributes(kind: type) -> Mapping[str, Any]:
    found: Mapping[str, Any] = inspect.get_annotations(kind, eval_str=True)
    return {name: get_args(wanted)[0] for name, wanted in found.items() if get_origin(wanted) == ClassVar}


class Checked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Raises WrongValue that names the class and the field. What counts as the same is taken for it: 1 for 1.0, a list for a tuple."""

    def __post_init__(self) -> None:
        for name in _fields(type(self)):
            value = getattr(self, name)
            converted = self.check_field(name, value)
            if type(converted) is not type(value):
                force_setattr(self, name, converted)

    @classmethod
    def check_field(cls, name: str, value: Any) -> Any:
        """What a field is with this value. Raises WrongValue."""
        wanted = _fields(cls)[name]
        try:
            return msgspec.convert(value, wanted, dec_hook=_itself)
        except (msgspec.ValidationError, OverflowError) as error:
            where = f"{cls.__name__}.{name}"
            raise WrongValue(str(_misfit(where, value, wanted) or f"{where}={shown(value)}: {error}")) from None


@cache
def _fields(kind: type[Checked]) -> Mapping[str, Any]:
    """The type of each."""
    return {field.name: field.type for field in fields(kind)}


def _itself(wanted: Any, value: Any) -> Any:
    """For types that msgspec does not know."""
    if _misfit("", value, wanted) is not None:
        raise ValueError(_words(wanted))
    return value


# ---- what fits


def _misfit(where: str, value: Any, wanted: Any) -> Misfit | None:
    """The first place within a value at which it is not as wanted."""
    kind, inside = get_origin(wanted) or wanted, get_args(wanted)
    here = Misfit(where, value, wanted)
    if kind is Annotated:
        found = _misfit(where, value, inside[0])
        if found is not None and found.where != where:
            return found
        return None if found is None and all(_allows(meta, value) for meta in inside[1:]) else here
    if kind in (Union, UnionType):
        found_in = [_misfit(where, value, each) for each in inside]
        return None if None in found_in else next((found for found in found_in if found is not None and found.where != where), here)
    if not _is_a(value, kind, inside):
        return here
    return next(filter(None, (_misfit(*part) for part in _parts(where, value, kind, inside))), None)


def _is_a(value: Any, kind: Any, inside: Sequence[Any]) -> bool:
    """Of a value as a whole."""
    if kind in (Any, object) or isinstance(kind, TypeVar) or getattr(kind, "_is_protocol", False):
        return True
    if kind is Literal:
        return any(value == each and type(value) is type(each) for each in inside)
    if kind is Callable:
        return callable(value) and (not inside or (_takes(value, inside[0]) and (not _is_async(value) or _awaited(inside[1]))))
    if kind is type:
        return isinstance(value, type) and (not inside or issubclass(value, _class(inside[0])))
    if kind in (int, float):
        return isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
    if kind in _LISTS:
        return isinstance(value, _LISTS[kind]) and not isinstance(value, str | bytes | Mapping)
    return isinstance(value, NoneType if kind is None else kind)


def _class(wanted: Any) -> type:
    """What a type[…] is of."""
    found: type = wanted.__bound__ or object if isinstance(wanted, TypeVar) else wanted
    return found


def _parts(where: str, value: Any, kind: Any, inside: Sequence[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Place, value and what is wanted of each that stands in a list or a mapping; what can be gone through only once stays as it is."""
    if kind in _LISTS and inside and isinstance(value, list | tuple | set | frozenset):
        for position, each in enumerate(value):
            yield f"{where}[{position}]", each, inside[0]
    elif isinstance(value, Mapping) and inside:
        for key, each in value.items():
            yield f"{where}: key", key, inside[0]
            yield f"{where}[{key!r}]", each, inside[1]


def _allows(meta: Any, value: Any) -> bool:
    """Whether a value is within the bounds that stand beside its type. No number at all is within none."""
    if not isinstance(meta, Meta):
        return True
    return (
        (meta.ge is None or value >= meta.ge) and (meta.gt is None or value > meta.gt) and (meta.le is None or value <= meta.le)
        and (meta.min_length is None or len(value) >= meta.min_length)
    )


def _takes(function: Callable[..., object], arguments: Any) -> bool:
    """Whether it can be called with these, as far as it says."""
    count = len(arguments) if isinstance(arguments, Sequence) else -1
    try:
        return count < 0 or _takes_so_many(function, count)
    except TypeError:  # one without a hash
        return _takes_so_many.__wrapped__(function, count)


@lru_cache(maxsize=REMEMBERED)
def _takes_so_many(function: Callable[..., object], count: int) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # many a built-in one does not say
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _awaited(answer: Any) -> bool:
    return answer is Any or get_origin(answer) in (Awaitable, Coroutine)


# ---- words


def shown(value: Any) -> str:
    """A value in a message; a function by its name, as its address is another one in every process."""
    text = str(value.__qualname__) if inspect.isroutine(value) else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _words(wanted: Any) -> str:
    kind, inside = get_origin(wanted) or wanted, get_args(wanted)
    if kind is Annotated:
        metas = [meta for meta in inside[1:] if isinstance(meta, Meta)]
        return next((meta.description for meta in metas if meta.description), f"{_words(inside[0])}{''.join(map(_bounds, metas))}")
    if kind in (Union, UnionType):
        return " or ".join(map(_words, inside))
    if kind is Literal:
        return f"one of {', '.join(map(repr, inside))}" if len(inside) > 1 else repr(inside[0])
    if kind is Callable:
        count = len(inside[0]) if inside and isinstance(inside[0], Sequence) else -1
        said = "a function" if count < 0 else f"a function of {count} argument{'s' * (count != 1)}"
        return said if not inside or _awaited(inside[1]) else f"{said}, not async,"
    if kind is type:
        return f"a class of {_class(inside[0]).__name__}" if inside else "a class"
    if kind in _WORDS:
        return _WORDS[kind]
    name = getattr(kind, "__name__", repr(kind))
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _bounds(meta: Meta) -> str:
    if meta.min_length is not None:
        return " that is not empty"
    lowest = f" above {meta.gt:g}" if meta.gt is not None else f" from {meta.ge:g}" if meta.ge is not None else ""
    if meta.le is not None:
        return f"{lowest} {'to' if meta.ge is not None else 'up to'} {meta.le:g}"
    return f"{lowest} on" if meta.ge is not None else lowest


def _meant(value: Any, wanted: Any) -> str:
    """The name that was meant, perhaps."""
    names = [each for each in get_args(wanted) if isinstance(each, str)] if get_origin(wanted) is Literal else []
    close = get_close_matches(value, names, n=1) if isinstance(value, str) else []
    return f" (did you mean {close[0]!r}?)" if close else ""
