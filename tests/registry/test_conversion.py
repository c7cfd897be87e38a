"""One stored object, two faces: Events and HorizontalPodAutoscalers."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api import autoscaling_v1, autoscaling_v2, core_v1, events_v1
from kubelet_lite.api.core_v1 import ObjectReference
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.registry.conversion import events, horizontalpodautoscalers
from tests.registry.world import World, in_world

METADATA = ObjectMeta(name="e", namespace="default")
POD = ObjectReference(kind="Pod", namespace="default", name="p")


@in_world
async def test_an_event_is_read_by_either_name(world: World) -> None:
    made = await world.client.create(events_v1.Event(
        metadata=METADATA, regarding=POD, reason="R", action="A", note="n", type="Warning", eventTime="2026-01-01T00:00:00.000000Z",
        reportingController="example.com/c", reportingInstance="i",
    ))
    assert made.metadata.managedFields[0].apiVersion == "events.k8s.io/v1"
    other = await world.client.get(core_v1.Event, "e", namespace="default")
    assert (other.involvedObject, other.message, other.reportingComponent) == (POD, "n", "example.com/c")
    assert (await world.client.list(events_v1.Event)).items == (made,)
    assert (await world.client.list(core_v1.Event)).items == (other,)


@in_world
async def test_a_watch_serves_the_form_it_was_asked_for(world: World) -> None:
    options = ListOptions(resource_version=str(world.store.revision), timeout_seconds=1)
    await world.client.create(core_v1.Event(metadata=METADATA, involvedObject=POD, reason="R", message="m"))
    async with world.client.watch(events_v1.Event, options=options) as batches:
        (event,) = await anext(batches)
    assert isinstance(event.object, events_v1.Event)
    assert event.object.note == "m"


@given(st.builds(
    core_v1.Event, metadata=st.just(METADATA), involvedObject=st.builds(ObjectReference, kind=st.text(), name=st.text()), reason=st.text(),
    message=st.text(), count=st.integers(0, 9), type=st.text(), action=st.text(), reportingComponent=st.text(), reportingInstance=st.text(),
    series=st.none() | st.builds(core_v1.EventSeries, count=st.integers(0, 9)),
))
def test_an_event_survives_both_conversions(event: core_v1.Event) -> None:
    assert events.CONVERSION.to_stored(events.CONVERSION.to_served(event)) == event


def metric(name: str) -> st.SearchStrategy[autoscaling_v2.MetricSpec]:
    target = st.one_of(
        st.builds(autoscaling_v2.MetricTarget, type=st.just("Utilization"), averageUtilization=st.integers(1, 100)),
        st.builds(autoscaling_v2.MetricTarget, type=st.just("AverageValue"), averageValue=st.just("5")),
    )
    resource = st.builds(autoscaling_v2.ResourceMetricSource, name=st.just(name), target=target)
    return st.builds(autoscaling_v2.MetricSpec, type=st.just("Resource"), resource=resource)


@given(st.lists(metric("memory"), max_size=2), st.none() | st.integers(0, 3))
def test_an_autoscaler_survives_v1(metrics: list[autoscaling_v2.MetricSpec], replicas: int | None) -> None:
    target = autoscaling_v2.CrossVersionObjectReference(kind="Deployment", name="web", apiVersion="apps/v1")
    stored = autoscaling_v2.HorizontalPodAutoscaler(metadata=METADATA, spec=autoscaling_v2.HorizontalPodAutoscalerSpec(
        scaleTargetRef=target, minReplicas=replicas, maxReplicas=5, metrics=tuple(metrics),
    ))
    conversion = horizontalpodautoscalers.CONVERSION
    assert conversion.to_stored(conversion.to_served(stored)) == stored


@in_world
async def test_v1_s_cpu_target_is_a_metric_of_v2(world: World) -> None:
    target = autoscaling_v1.CrossVersionObjectReference(kind="Deployment", name="web", apiVersion="apps/v1")
    made = await world.client.create(autoscaling_v1.HorizontalPodAutoscaler(metadata=METADATA, spec=autoscaling_v1.HorizontalPodAutoscalerSpec(
        scaleTargetRef=target, minReplicas=1, maxReplicas=5, targetCPUUtilizationPercentage=60,
    )))
    assert made.spec.targetCPUUtilizationPercentage == 60
    (cpu,) = (await world.client.get(autoscaling_v2.HorizontalPodAutoscaler, "e", namespace="default")).spec.metrics
    assert cpu.resource is not None
    assert cpu.resource.target.averageUtilization == 60
