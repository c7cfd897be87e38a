"""The spec of a Job, by itself and inside a CronJob's template.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobSpec
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.batch_v1 import (
    JobSpec,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
    SuccessPolicyRule,
)
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required, too_long, too_many
from kubelet_lite.registry.kinds.pods.templates import validate_pod_template
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.named import qualified_name
from kubelet_lite.registry.validation.numbers import nonnegative

COMPLETION_MODES: Final = ("NonIndexed", "Indexed")
REPLACEMENT_POLICIES: Final = ("Failed", "TerminatingOrFailed")
ACTIONS: Final = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS: Final = ("In", "NotIn")
CONDITION_STATUSES: Final = ("False", "True", "Unknown")
LONGEST_MANAGER: Final = 63
MOST_RULES: Final = 20
MOST_PATTERNS: Final = 20
MOST_EXIT_CODES: Final = 255
LONGEST_INDEXES: Final = 64 * 1024
MOST_INDEXED: Final = 100_000
"""Parallelism, failed indexes, and completions beyond which stricter limits hold."""
MOST_OF_MANY: Final = 10_000
"""Parallelism and failed indexes of a Job with more than MOST_INDEXED completions."""


def validate_job_spec(path: str, spec: JobSpec) -> Iterator[FieldError]:
    """All but the selector."""
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex",
                  "maxFailedIndexes"):
        yield from nonnegative(f"{path}.{field}", getattr(spec, field))
    if spec.maxFailedIndexes is not None and spec.backoffLimitPerIndex is None:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if spec.managedBy is not None:
        yield from _managed_by(f"{path}.managedBy", spec.managedBy)
    yield from _completion_mode(path, spec)
    if spec.podFailurePolicy is not None:
        yield from _pod_failure_policy(f"{path}.podFailurePolicy.rules", spec, spec.podFailurePolicy.rules)
    if spec.successPolicy is not None:
        if spec.completionMode != "Indexed":
            yield invalid(f"{path}.successPolicy", go_value(spec.successPolicy), "requires indexed completion mode")
        else:
            yield from _success_policy(f"{path}.successPolicy.rules", spec, spec.successPolicy.rules)
    yield from _replacement_policy(f"{path}.podReplacementPolicy", spec)
    yield from validate_pod_template(f"{path}.template", spec.template)
    policy, at = spec.template.spec.restartPolicy, f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        yield required(at, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(at, policy, ("OnFailure", "Never"))
    elif spec.podFailurePolicy is not None and policy != "Never":
        yield invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _managed_by(path: str, manager: str) -> Iterator[FieldError]:
    if not manager:
        yield required(path)
    else:
        for part, message in names.domain_prefixed_path(manager):
            yield invalid(path, part, message)
    if len(manager) > LONGEST_MANAGER:
        yield too_long(path, LONGEST_MANAGER)


def _completion_mode(path: str, spec: JobSpec) -> Iterator[FieldError]:
    mode = spec.completionMode
    if mode is not None and mode not in COMPLETION_MODES:
        yield not_supported(f"{path}.completionMode", mode, COMPLETION_MODES)
    if mode == "Indexed":
        yield from _indexed(path, spec)
    elif mode in (None, "NonIndexed"):
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if (value := getattr(spec, field)) is not None:
                yield invalid(f"{path}.{field}", value, "requires indexed completion mode")


def _indexed(path: str, spec: JobSpec) -> Iterator[FieldError]:
    completions, parallelism, failed = spec.completions, spec.parallelism, spec.maxFailedIndexes
    if completions is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > MOST_INDEXED:
        yield invalid(f"{path}.parallelism", parallelism, f"must be less than or equal to {MOST_INDEXED} when completion mode is Indexed")
    if completions is not None and failed is not None and failed > completions:
        yield invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > MOST_INDEXED:
        yield invalid(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {MOST_INDEXED}")
    if completions is None or completions <= MOST_INDEXED or spec.backoffLimitPerIndex is None:
        return
    if failed is None:
        yield required(f"{path}.maxFailedIndexes", f"must be specified when completions is above {MOST_INDEXED}")
    limit = f"must be less than or equal to {MOST_OF_MANY} when completions are above {MOST_INDEXED} and used with backoff limit per index"
    if parallelism is not None and parallelism > MOST_OF_MANY:
        yield invalid(f"{path}.parallelism", parallelism, limit)
    if failed is not None and failed > MOST_OF_MANY:
        yield invalid(f"{path}.maxFailedIndexes", failed, limit)


# ---- pod failure policy


def _pod_failure_policy(path: str, spec: JobSpec, rules: tuple[PodFailurePolicyRule, ...]) -> Iterator[FieldError]:
    if len(rules) > MOST_RULES:
        yield too_many(path, len(rules), MOST_RULES)
    pod = spec.template.spec
    containers = {container.name for container in (*pod.containers, *pod.initContainers)}
    for i, rule in enumerate(rules):
        yield from _failure_rule(f"{path}[{i}]", rule, spec, containers)


def _failure_rule(path: str, rule: PodFailurePolicyRule, spec: JobSpec, containers: set[str]) -> Iterator[FieldError]:
    if not rule.action:
        yield required(f"{path}.action", _valid_values(ACTIONS))
    elif rule.action == "FailIndex" and spec.backoffLimitPerIndex is None:
        yield invalid(f"{path}.action", rule.action, "requires the backoffLimitPerIndex to be set")
    elif rule.action not in ACTIONS:
        yield not_supported(f"{path}.action", rule.action, ACTIONS)
    if rule.onExitCodes is not None:
        yield from _exit_codes(f"{path}.onExitCodes", rule.onExitCodes, containers)
    yield from _conditions(f"{path}.onPodConditions", rule.onPodConditions)
    if rule.onExitCodes is not None and rule.onPodConditions:
        yield _without_value(path, "specifying both OnExitCodes and OnPodConditions is not supported")
    if rule.onExitCodes is None and not rule.onPodConditions:
        yield _without_value(path, "specifying one of OnExitCodes and OnPodConditions is required")


def _valid_values(values: tuple[str, ...]) -> str:
    quoted = " ".join(f'"{value}"' for value in values)
    return f"valid values: [{quoted}]"


def _without_value(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, f"Invalid value: {detail}")


def _exit_codes(path: str, codes: PodFailurePolicyOnExitCodesRequirement, containers: set[str]) -> Iterator[FieldError]:
    if not codes.operator:
        yield required(f"{path}.operator", _valid_values(OPERATORS))
    elif codes.operator not in OPERATORS:
        yield not_supported(f"{path}.operator", codes.operator, OPERATORS)
    if codes.containerName is not None and codes.containerName not in containers:
        yield invalid(f"{path}.containerName", codes.containerName, "must be one of the container or initContainer names in the pod template")
    if not codes.values:
        yield invalid(f"{path}.values", go_value(codes)["Values"], "at least one value is required")
    elif len(codes.values) > MOST_EXIT_CODES:
        yield too_many(f"{path}.values", len(codes.values), MOST_EXIT_CODES)
    seen: set[int] = set()
    for i, value in enumerate(codes.values):
        if codes.operator == "In" and value == 0:
            yield invalid(f"{path}.values[{i}]", value, "must not be 0 for the In operator")
        if value in seen:
            yield duplicate(f"{path}.values[{i}]", value)
        seen.add(value)
    if list(codes.values) != sorted(codes.values):
        yield invalid(f"{path}.values", list(codes.values), "must be ordered")


def _conditions(path: str, patterns: tuple[PodFailurePolicyOnPodConditionsPattern, ...]) -> Iterator[FieldError]:
    if len(patterns) > MOST_PATTERNS:
        yield too_many(path, len(patterns), MOST_PATTERNS)
    for i, pattern in enumerate(patterns):
        yield from qualified_name(f"{path}[{i}].type", pattern.type)
        if not pattern.status:
            yield required(f"{path}[{i}].status", _valid_values(CONDITION_STATUSES))
        elif pattern.status not in CONDITION_STATUSES:
            yield not_supported(f"{path}[{i}].status", pattern.status, CONDITION_STATUSES)


def _replacement_policy(path: str, spec: JobSpec) -> Iterator[FieldError]:
    policy = spec.podReplacementPolicy
    allowed = REPLACEMENT_POLICIES if spec.podFailurePolicy is None else ("Failed",)
    if policy is not None and policy not in allowed:
        yield not_supported(path, policy, allowed)


# ---- success policy


def _success_policy(path: str, spec: JobSpec, rules: tuple[SuccessPolicyRule, ...]) -> Iterator[FieldError]:
    if not rules:
        yield required(path, "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > MOST_RULES:
        yield too_many(path, len(rules), MOST_RULES)
    for i, rule in enumerate(rules):
        yield from _success_rule(f"{path}[{i}]", rule, spec.completions or 0)


def _success_rule(path: str, rule: SuccessPolicyRule, completions: int) -> Iterator[FieldError]:
    count, indexes = rule.succeededCount, rule.succeededIndexes
    if count is None and indexes is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    total = 0
    if indexes is not None:
        if len(indexes) > LONGEST_INDEXES:
            yield too_long(f"{path}.succeededIndexes", LONGEST_INDEXES)
        try:
            total = count_indexes(indexes, completions)
        except ValueError as error:
            yield invalid(f"{path}.succeededIndexes", indexes, f"error parsing succeededIndexes: {error}")
    if count is None:
        return
    at = f"{path}.succeededCount"
    yield from nonnegative(at, count)
    if count > completions:
        yield invalid(at, count, f"must be less than or equal to {completions} (the number of specified completions)")
    if indexes is not None and count > total:
        yield invalid(at, count, f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)")


def count_indexes(text: str, completions: int) -> int:
    """How many indexes `0-2,5` names. Raises ValueError for what is no increasing list of indexes below `completions`."""
    if not text:
        return 0
    total, last = 0, -1
    for interval in text.split(","):
        ends = interval.split("-")
        if len(ends) > 2:
            raise ValueError(f'the fragment "{interval}" violates the requirement that an index interval can have at most two parts separated by \'-\'')
        numbers = [_index(end, completions) for end in ends]
        first, end = numbers[0], numbers[-1]
        if len(numbers) == 2 and first >= end:
            raise ValueError(f"non-increasing order, previous: {first}, current: {end}")
        if last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
        total += end - first + 1
        last = end
    return total


def _index(text: str, completions: int) -> int:
    if not (text.isascii() and text.lstrip("+").isdigit()):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)
