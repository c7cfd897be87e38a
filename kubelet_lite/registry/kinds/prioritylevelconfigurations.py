"""PriorityLevelConfigurations. https://kubernetes.io/docs/concepts/cluster-administration/flow-control/"""
from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.api.flowcontrol_v1 import (
    LimitedPriorityLevelConfiguration,
    LimitResponse,
    PriorityLevelConfiguration,
    QueuingConfiguration,
)
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import ALL_OF_METADATA, KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.numbers import in_range

DEFAULT_SHARES: Final = 30
DEFAULT_QUEUES: Final = 64
DEFAULT_HAND_SIZE: Final = 8
DEFAULT_QUEUE_LENGTH: Final = 50
MAX_QUEUES: Final = 10_000_000
MAX_ENTROPY_BITS: Final = 60
"""A hand is dealt from a 64-bit hash."""
EXEMPT: Final = "exempt"


def _default(level: PriorityLevelConfiguration) -> PriorityLevelConfiguration:
    limited, exempt = level.spec.limited, level.spec.exempt
    if limited is not None:
        response = limited.limitResponse
        if response.queuing is not None:
            response = replace(response, queuing=_default_queuing(response.queuing))
        limited = replace(
            limited, limitResponse=response, lendablePercent=limited.lendablePercent or 0,
            nominalConcurrencyShares=DEFAULT_SHARES if limited.nominalConcurrencyShares is None else limited.nominalConcurrencyShares,
        )
    if exempt is not None:
        exempt = replace(exempt, nominalConcurrencyShares=exempt.nominalConcurrencyShares or 0, lendablePercent=exempt.lendablePercent or 0)
    return replace(level, spec=replace(level.spec, limited=limited, exempt=exempt))


def _default_queuing(queuing: QueuingConfiguration) -> QueuingConfiguration:
    return replace(
        queuing, queues=queuing.queues or DEFAULT_QUEUES, handSize=queuing.handSize or DEFAULT_HAND_SIZE,
        queueLengthLimit=queuing.queueLengthLimit or DEFAULT_QUEUE_LENGTH,
    )


@collected
def _validate(level: PriorityLevelConfiguration) -> Iterator[FieldError]:
    spec = level.spec
    match spec.type:
        case "Exempt":
            if level.metadata.name != EXEMPT:
                yield invalid("spec.type", spec.type, "type must be 'Limited' if metadata.name is not 'exempt'")
            if spec.limited is not None:
                yield forbidden("spec.limited", "must be nil if the type is not Limited")
        case "Limited":
            if level.metadata.name == EXEMPT:
                yield invalid("spec.type", spec.type, "type must be 'Exempt' if metadata.name is 'exempt'")
            if spec.exempt is not None:
                yield forbidden("spec.exempt", "must be nil if the type is Limited")
            if spec.limited is None:
                yield required("spec.limited", "must not be empty when type is Limited")
            else:
                yield from _limited("spec.limited", spec.limited)
        case unknown:
            yield not_supported("spec.type", unknown, ["Exempt", "Limited"])


def _limited(path: str, limited: LimitedPriorityLevelConfiguration) -> Iterator[FieldError]:
    shares = limited.nominalConcurrencyShares or 0
    if shares < 0:
        yield invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")
    yield from _response(f"{path}.limitResponse", limited.limitResponse)
    if limited.lendablePercent is not None:
        yield from in_range(f"{path}.lendablePercent", limited.lendablePercent, 0, 100)
    if limited.borrowingLimitPercent is not None and limited.borrowingLimitPercent < 0:
        yield invalid(f"{path}.borrowingLimitPercent", limited.borrowingLimitPercent, "if specified, must be a non-negative integer")


def _response(path: str, response: LimitResponse) -> Iterator[FieldError]:
    match response.type:
        case "Reject":
            if response.queuing is not None:
                yield forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
        case "Queue":
            if response.queuing is None:
                yield required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
            else:
                yield from _queuing(f"{path}.queuing", response.queuing)
        case unknown:
            yield not_supported(f"{path}.type", unknown, ["Queue", "Reject"])


def _queuing(path: str, queuing: QueuingConfiguration) -> Iterator[FieldError]:
    queues, hand = queuing.queues, queuing.handSize
    if queuing.queueLengthLimit <= 0:
        yield invalid(f"{path}.queueLengthLimit", queuing.queueLengthLimit, "must be positive")
    if queues <= 0:
        yield invalid(f"{path}.queues", queues, "must be positive")
    elif queues > MAX_QUEUES:
        yield invalid(f"{path}.queues", queues, f"must not be greater than {MAX_QUEUES}")
    if hand <= 0:
        yield invalid(f"{path}.handSize", hand, "must be positive")
    elif hand > queues:
        yield invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})")
    elif math.ceil(math.log2(queues) * hand) > MAX_ENTROPY_BITS:
        yield invalid(
            f"{path}.handSize", hand, f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_ENTROPY_BITS}",
        )


def _row(level: PriorityLevelConfiguration, now: float) -> Sequence[Any]:
    limited = level.spec.limited
    queuing = limited.limitResponse.queuing if limited is not None else None
    sizes = (NONE, NONE, NONE) if queuing is None else (queuing.queues, queuing.handSize, queuing.queueLengthLimit)
    return (level.metadata.name, level.spec.type, NONE if limited is None else limited.nominalConcurrencyShares, *sizes, age(level, now))


RULES: Final = KindRules(
    resource="prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", default=_default, status_update_keeps=ALL_OF_METADATA, validate=_validate, validate_on_update="instead",
    generation=True, row=_row,
)
