from kubelet_lite.controllers.base import Key
from kubelet_lite.controllers.endpoints.trigger_times import TriggerTimes
from tests.controllers.endpoints.objects import pod, service

KEY = Key("ns", "web")
MADE = "2026-01-01T00:00:00Z"


def test_the_first_look_tells_when_the_service_was_made():
    assert TriggerTimes().look(KEY, service(), [pod(0)]) == MADE


def test_later_looks_tell_the_earliest_change_of_readiness_since():
    times = TriggerTimes()
    times.look(KEY, service(), [pod(0, since="2026-01-01T00:01:00Z")])
    assert times.look(KEY, service(), [pod(0, since="2026-01-01T00:01:00Z")]) == ""
    later = [pod(0, since="2026-01-01T00:03:00Z"), pod(1, since="2026-01-01T00:02:00Z")]
    assert times.look(KEY, service(), later) == "2026-01-01T00:02:00Z"
    assert times.look(KEY, service(), later[:1]) == ""


def test_what_was_seen_of_a_service_goes_with_it():
    times = TriggerTimes()
    times.look(KEY, service(), [])
    assert times.look(KEY, service(), []) == ""
    times.forget(KEY)
    assert times.look(KEY, service(), []) == MADE
