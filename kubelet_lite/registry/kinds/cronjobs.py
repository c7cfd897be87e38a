"""CronJobs. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.batch_v1 import CronJob, CronJobSpec
from kubelet_lite.api.cron_schedules import CronError, parse_schedule
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required
from kubelet_lite.api.time_zones import TimeZoneError, check_time_zone
from kubelet_lite.registry.kinds.ages import NONE, age, since
from kubelet_lite.registry.kinds.job_specs import validate_job_spec
from kubelet_lite.registry.kinds.jobs import job_spec_warnings
from kubelet_lite.registry.kinds.pods.defaulting import changed, default_pod_template
from kubelet_lite.registry.kinds.pods.templates import container_cells, name_warnings, selector_cell
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.go_values import wire_value
from kubelet_lite.registry.validation.numbers import nonnegative

CONCURRENCY_POLICIES: Final = ("Allow", "Forbid", "Replace")
SUCCESSFUL_KEPT: Final = 3
FAILED_KEPT: Final = 1
LONGEST_NAME: Final = 52
"""The names of its Jobs have 11 characters more, and must be labels."""


def default(obj: CronJob) -> CronJob:
    spec = obj.spec
    job = spec.jobTemplate
    return changed(obj, spec=changed(
        spec,
        concurrencyPolicy=spec.concurrencyPolicy or "Allow",
        suspend=False if spec.suspend is None else spec.suspend,
        successfulJobsHistoryLimit=SUCCESSFUL_KEPT if spec.successfulJobsHistoryLimit is None else spec.successfulJobsHistoryLimit,
        failedJobsHistoryLimit=FAILED_KEPT if spec.failedJobsHistoryLimit is None else spec.failedJobsHistoryLimit,
        jobTemplate=changed(job, spec=changed(job.spec, template=default_pod_template(job.spec.template))),
    ))


def _errors(obj: CronJob) -> Iterator[FieldError]:
    spec = obj.spec
    if not spec.schedule:
        yield required("spec.schedule")
    else:
        yield from _schedule("spec.schedule", spec)
    yield from nonnegative("spec.startingDeadlineSeconds", spec.startingDeadlineSeconds)
    yield from _time_zone("spec.timeZone", spec.timeZone)
    if not spec.concurrencyPolicy:
        yield required("spec.concurrencyPolicy")
    elif spec.concurrencyPolicy not in CONCURRENCY_POLICIES:
        yield not_supported("spec.concurrencyPolicy", spec.concurrencyPolicy, CONCURRENCY_POLICIES)
    job = spec.jobTemplate.spec
    yield from validate_job_spec("spec.jobTemplate.spec", job)
    if job.selector is not None:
        yield invalid("spec.jobTemplate.spec.selector", wire_value(job.selector), "`selector` will be auto-generated")
    if job.manualSelector:
        yield not_supported("spec.jobTemplate.spec.manualSelector", job.manualSelector, ("nil", "false"))
    yield from nonnegative("spec.successfulJobsHistoryLimit", spec.successfulJobsHistoryLimit)
    yield from nonnegative("spec.failedJobsHistoryLimit", spec.failedJobsHistoryLimit)
    if len(obj.metadata.name) > LONGEST_NAME:
        yield invalid("metadata.name", obj.metadata.name, f"must be no more than {LONGEST_NAME} characters")


def _schedule(path: str, spec: CronJobSpec) -> Iterator[FieldError]:
    try:
        parse_schedule(spec.schedule)
    except CronError as error:
        yield invalid(path, spec.schedule, str(error))
    if "TZ" in spec.schedule:
        yield invalid(path, spec.schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")


def _time_zone(path: str, zone: str | None) -> Iterator[FieldError]:
    if zone is None:
        return
    if not zone:
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
        return
    if zone.lower() == "local":
        yield invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
    try:
        check_time_zone(zone)
    except TimeZoneError as error:
        yield invalid(path, zone, str(error))


def _warnings(obj: CronJob, old: CronJob | None) -> Sequence[str]:
    if old is not None and obj.metadata.generation == old.metadata.generation:
        return ()
    return (*(name_warnings(obj.metadata.name) if old is None else ()), *job_spec_warnings("spec.jobTemplate.spec", obj.spec.jobTemplate.spec))


def _row(obj: CronJob, now: float) -> Sequence[Any]:
    spec, status, job = obj.spec, obj.status, obj.spec.jobTemplate.spec
    suspended = "<unset>" if spec.suspend is None else str(spec.suspend)
    return (
        obj.metadata.name, spec.schedule, NONE if spec.timeZone is None else spec.timeZone, suspended, len(status.active),
        since(status.lastScheduleTime, now) if status.lastScheduleTime else NONE, age(obj, now), *container_cells(job.template),
        selector_cell(job.selector),
    )


RULES: Final = KindRules(
    resource="cronjobs.batch",
    default=default,
    validate=lambda obj: tuple(_errors(obj)),
    warnings=_warnings,
    generation=True,
    row=_row,
)
