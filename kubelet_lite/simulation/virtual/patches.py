"""Functions of the standard library stand aside for others: in chosen threads, for a while, wherever somebody holds them.

A *visited* thread is one in which a world is active; to all other threads every function stays what it is. Three ways, since there are
three ways to hold a function: a name in a module (`from os import urandom`) is bound anew in every module, an attribute of a class is
set, and a C function that default arguments keep (`timer=time.monotonic`) gets another body behind its back.
"""
from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, Generic, TypeVar

World = TypeVar("World")

TPFLAGS_IMMUTABLETYPE: Final = 1 << 8
"""https://docs.python.org/3/c-api/typeobj.html#c.Py_TPFLAGS_IMMUTABLETYPE"""
METH_NOARGS: Final = 0x0004
"""https://docs.python.org/3/c-api/structures.html#c.METH_NOARGS"""
MISSING: Final = object()
ENGINE: Final = f"{__package__}."


class Visits(Generic[World]):
    """Which thread is in which world."""

    def __init__(self) -> None:
        self._worlds: dict[int, World] = {}

    def here(self) -> World | None:
        """The world of this thread."""
        return self._worlds.get(threading.get_ident())

    @contextmanager
    def visit(self, world: World) -> Iterator[None]:
        """Within the block this thread is in that world."""
        thread = threading.get_ident()
        before = self._worlds.get(thread)
        self._worlds[thread] = world
        try:
            yield
        finally:
            if before is None:
                del self._worlds[thread]
            else:
                self._worlds[thread] = before


class Patch(ABC):
    """Something that stands aside while it is installed."""

    @abstractmethod
    def install(self) -> None: ...

    @abstractmethod
    def remove(self) -> None: ...


class Patches:
    """Some patches together, installed while anybody needs them."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = tuple(patches)
        self._lock = threading.Lock()
        self._users = 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                for patch in self._patches:
                    patch.install()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    for patch in reversed(self._patches):
                        patch.remove()


class _StandIn(Generic[World]):
    """A function that is another one for visited threads. Not a function itself: as an attribute of a class it takes no `self`."""

    def __init__(self, original: Callable[..., Any], visits: Visits[World], virtual: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self._original = original
        self._here = visits.here
        self._virtual = virtual

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        world = self._here()
        return self._original(*args, **kwargs) if world is None else self._virtual(world, *args, **kwargs)


class Names(Patch, Generic[World]):
    """Functions, and what they are for visited threads (called with the world first), under whatever name a module has them.

    Modules imported meanwhile take the stand-ins for the functions, and get the functions in the end. The engine keeps what it has.
    """

    def __init__(self, visits: Visits[World], functions: Mapping[Callable[..., Any], Callable[..., Any]]) -> None:
        pairs = [(original, _StandIn(original, visits, virtual)) for original, virtual in functions.items()]
        self._pairs = {id(each): pair for pair in pairs for each in pair}
        """By the address of either."""
        self._slots: list[tuple[dict[str, Any], str, Any, Any]] = []
        """Namespace, name, function and stand-in: all and only those of the modules seen."""
        self._modules: list[ModuleType] = []
        """All that there were the last time."""
        self._looked_at: dict[str, ModuleType] = {}
        """By name: those of them that had no more to come."""
        self._growing: list[ModuleType] = []
        """The others."""

    def install(self) -> None:
        self._look_at_new_modules()
        for namespace, name, original, stand_in in self._slots:
            if namespace.get(name) is original:
                namespace[name] = stand_in

    def remove(self) -> None:
        self._look_at_new_modules()
        for namespace, name, original, stand_in in self._slots:
            if namespace.get(name) is stand_in:
                namespace[name] = original

    def _look_at_new_modules(self) -> None:
        modules = list(sys.modules.values())
        if modules != self._modules:  # most often they are the same ones, and comparing takes 10 µs
            self._modules = modules
            new = {name: module for name, module in list(sys.modules.items()) if self._looked_at.get(name) is not module}
            mine = {name: module for name, module in new.items() if isinstance(module, ModuleType) and not name.startswith(ENGINE)}
            self._growing = [module for name, module in mine.items() if _grows(name, module)]
            self._looked_at.update((name, module) for name, module in mine.items() if not _grows(name, module))
            for module in mine.values():
                self._look_at(module.__dict__)
        for module in self._growing:
            self._look_at(module.__dict__)

    def _look_at(self, namespace: dict[str, Any]) -> None:
        pairs = self._pairs
        found = [(name, pairs[id(value)]) for name, value in list(namespace.items()) if id(value) in pairs]
        self._slots = [slot for slot in self._slots if slot[0] is not namespace] if found else self._slots
        self._slots += [(namespace, name, *pair) for name, pair in found]


def _grows(name: str, module: ModuleType) -> bool:
    """A program's main module may run right now, as may one that is being imported."""
    return name == "__main__" or bool(getattr(module.__spec__, "_initializing", False))


class Attribute(Patch, Generic[World]):
    """A method of a class, or a class method, called with the world first and the object or class second by visited threads."""

    def __init__(self, visits: Visits[World], owner: type, name: str, virtual: Callable[..., Any]) -> None:
        self._owner = owner
        self._name = name
        self._before = owner.__dict__.get(name, MISSING)
        """MISSING: inherited."""
        of_class = isinstance(self._before, classmethod)
        original = getattr(owner, name).__func__ if of_class else getattr(owner, name)

        @functools.wraps(original)
        def method(this: Any, *args: Any, **kwargs: Any) -> Any:
            world = visits.here()
            return original(this, *args, **kwargs) if world is None else virtual(world, this, *args, **kwargs)

        self._method: Any = classmethod(method) if of_class else method

    def install(self) -> None:
        _set(self._owner, self._name, self._method)

    def remove(self) -> None:
        if self._before is MISSING:
            delattr(self._owner, self._name)
        else:
            _set(self._owner, self._name, self._before)


def _set(owner: type, name: str, value: object) -> None:
    """As setattr; C classes that nobody is to change (locks) too."""
    if not owner.__flags__ & TPFLAGS_IMMUTABLETYPE:
        setattr(owner, name, value)
        return
    namespace: Any = gc.get_referents(owner.__dict__)[0]
    namespace[name] = value
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))


class Replaced(Patch):
    """A name of one module that is something else for every thread."""

    def __init__(self, module: ModuleType, name: str, value: object) -> None:
        self._namespace = module.__dict__
        self._name = name
        self._value = value
        self._before = self._namespace[name]

    def install(self) -> None:
        self._namespace[self._name] = self._value

    def remove(self) -> None:
        self._namespace[self._name] = self._before


class _MethodDef(ctypes.Structure):
    """https://docs.python.org/3/c-api/structures.html#c.PyMethodDef"""

    _fields_ = (("name", ctypes.c_char_p), ("body", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))
    name: bytes
    body: int
    flags: int


_Body: Final = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p)


class Builtin(Patch, Generic[World]):
    """A C function without arguments, by its body: everybody sees it who holds the function, wherever.

    A body in Python cannot hand on an error: what `virtual` raises comes to the caller right behind the call (CPython calls that asynchronous).
    """

    def __init__(self, visits: Visits[World], function: Callable[[], Any], virtual: Callable[[World], Any]) -> None:
        pointer = ctypes.c_void_p.from_address(id(function) + object.__basicsize__).value  # PyCFunctionObject.m_ml
        self._definition = ctypes.cast(ctypes.c_void_p(pointer), ctypes.POINTER(_MethodDef)).contents
        name = getattr(function, "__name__", "")
        if self._definition.name.decode() != name or self._definition.flags != METH_NOARGS:
            raise RuntimeError(f"this Python ({sys.version}) keeps {name} in another way: clocks cannot be moved on it")
        self._original = self._definition.body
        original = _Body(self._original)

        def body(module: int, nothing: int) -> Any:
            world = visits.here()
            if world is None:
                return original(module, nothing)
            try:
                return virtual(world)
            except BaseException as error:
                value, soon = original(module, nothing), _thrown_later(error)
            [_] = map(_throw, (threading.get_ident(),), (soon,))  # without a call here, behind which Python would raise it at once
            return value

        self._body = _Body(body)

    def install(self) -> None:
        self._definition.body = ctypes.cast(self._body, ctypes.c_void_p).value or 0

    def remove(self) -> None:
        self._definition.body = self._original


def _thrown_later(error: BaseException) -> type[BaseException]:
    """What to throw is a class to Python, which calls it."""
    kind = type(error)
    return type(kind.__name__, (kind,), {"__new__": lambda cls: error, "__module__": kind.__module__})


_throw: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc
"""https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc"""
_throw.argtypes = (ctypes.c_ulong, ctypes.py_object)
