"""The page of a run: it needs nothing from elsewhere, holds what it shows, and whatever an object contains stays data."""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.simulation.records import timeline
from kubelet_lite.simulation.records.timeline import NOISE
from kubelet_lite.simulation.simulation import Run, Simulation, play
from tests.simulation.stories import failed_run


def data_of(page: str) -> Any:
    found = re.search(r"const DATA = (.*);\n", page)
    assert found is not None
    return json.loads(found[1])


@pytest.fixture(scope="module")
def run() -> Run:
    return failed_run()


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return timeline.html(run)


def test_it_needs_nothing_else(page: str) -> None:
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|https?://""", page.split("const DATA")[0])
    assert "fetch(" not in page
    assert page.count("<script") == page.count("</script>") == 1


def test_it_shows_every_change_since_the_cluster_was_ready(run: Run, page: str) -> None:
    changes = data_of(page)["changes"]
    assert [change["rev"] for change in changes] == [r.event.revision for r in run.archive.revisions if r.event.revision > run.archive.ready]
    scaled = next(change for change in changes if ["spec.replicas", 3, 17] in change.get("diff", ()))
    assert (scaled["t"], scaled["actor"], scaled["object"], scaled["near"]) == (pytest.approx(7.77), "user", "deployment default/web", 0)
    assert {change["near"] for change in changes if change["object"].startswith("event")} == {NOISE}


def test_steps_are_bars_with_a_beginning_and_an_end(page: str) -> None:
    steps = data_of(page)["steps"]
    assert [(step["kind"], step["t"], step["end"]) for step in steps][1] == ("fault", pytest.approx(3), pytest.approx(7.25))
    assert data_of(page)["failure"] == {"time": pytest.approx(7.77), "text": "AtMostFour: deployment default/web has 17 pods"}


def test_what_objects_contain_stays_data(tmp_path: Path) -> None:
    text = "</script><script>alert(1)</script><!-- \u2028"

    async def scenario(simulation: Simulation) -> None:
        await simulation.client.create(ConfigMap(metadata=ObjectMeta(name="evil", namespace="default"), data={"a": text}))

    path = timeline.write(play(scenario), tmp_path / "new" / "page.html")
    page = path.read_text()
    assert page.count("<script") == page.count("</script>") == 1
    assert next(c for c in data_of(page)["changes"] if "evil" in c["object"])["whole"]["data"] == {"a": text}
