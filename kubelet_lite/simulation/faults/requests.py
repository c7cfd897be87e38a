"""What faults have in common that strike requests on their way through the gate: whose, which, how often, for how long."""
from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec.structs import fields

from kubelet_lite.api.resources import RESOURCES
from kubelet_lite.simulation.checked import Chance, Name
from kubelet_lite.simulation.gate import Obstacle, Request
from kubelet_lite.simulation.snapshot import Snapshot, UnknownKind
from kubelet_lite.simulation.step import Fault

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation


Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "bind"]
"""Of a request at the gate. Logs are got; `bind` places a pod."""
_ASKED: Final = {resource.qualified for resource in RESOURCES}
_GROUPS: Final = {resource.group for resource in RESOURCES}


class ResourceFault(Fault, frozen=True, kw_only=True):
    """Strikes requests for `resources` (qualified names), or with none for all. A custom resource may be defined after it has begun."""

    resources: tuple[Name, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.resources:
            if name not in _ASKED and name.partition(".")[2] in _GROUPS:
                raise UnknownKind(name, _ASKED, where=f"{type(self).__name__}.resources")

    def check_names(self, snapshot: Snapshot) -> None:
        for name in self.resources:
            if name not in _ASKED:
                snapshot.all(name)


class RequestFault(ResourceFault, frozen=True, kw_only=True):
    """Stands in the way for `seconds`, of requests with one of `verbs`; none: of all. `chance`: of each of them to be struck.

    The methods are an Obstacle's, which is given to them.
    """

    verbs: tuple[Verb, ...] = ()
    chance: Chance = 1.0

    @property
    def whom(self) -> str:
        """In a sentence: the part, and which of its requests where it is not all that such a fault strikes."""
        usual = next(field.default for field in fields(type(self)) if field.name == "verbs")
        scope = " ".join(", ".join(names) for names in (() if self.verbs == usual else self.verbs, self.resources) if names)
        return f"{self.part} ({scope})" if scope else self.part

    async def play(self, simulation: Simulation) -> None:
        standing = Standing(self, simulation)
        with simulation.gate.hindered(standing):
            self.begin(standing)
            await simulation.sleep(self.seconds)

    def begin(self, here: Standing) -> None:
        """What becomes of the watches that are open."""

    def concerns(self, request: Request) -> bool:
        return (
            (not self.verbs or request.verb in self.verbs) and (not self.resources or request.resource in self.resources)
            and request.is_of(self.part)
        )

    async def before(self, request: Request, here: Standing) -> None: ...

    async def after(self, request: Request, here: Standing) -> None: ...

    async def on_batch(self, request: Request, here: Standing) -> None: ...

    def frozen_at(self, request: Request, here: Standing) -> int | None:
        return None


class Standing(Obstacle):
    """A fault that stands in the way in one run."""

    def __init__(self, fault: RequestFault, simulation: Simulation) -> None:
        super().__init__()
        self._fault = fault
        self.simulation = simulation
        self.began_at = simulation.cluster.store.revision
        """The newest revision then."""
        self.counts: dict[str, int] = {}
        """Of whatever the fault counts, by actor."""

    def strikes(self) -> bool:
        """Whether the fault strikes this time: a decision."""
        fault, tape = self._fault, self.simulation.tape
        if fault.chance < 1 and not tape.happens(f"{type(fault).__name__} of {fault.part} at {fault.at:g}", fault.chance):
            return False
        self.simulation.struck(fault)
        return True

    def concerns(self, request: Request) -> bool:
        concerned = self._fault.concerns(request)
        self.simulation.asked(request, concerned)
        return concerned

    async def before(self, request: Request) -> None:
        await self._fault.before(request, self)

    async def after(self, request: Request) -> None:
        await self._fault.after(request, self)

    async def on_batch(self, request: Request) -> None:
        await self._fault.on_batch(request, self)

    def frozen_at(self, request: Request) -> int | None:
        return self._fault.frozen_at(request, self)
