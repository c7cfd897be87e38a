"""The page of a run in a browser: Chromium opens the file, and a person clicks. Skipped where there is no Chromium (Debian's package of that name)."""
from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.simulation.records import timeline
from kubelet_lite.simulation.simulation import Simulation, play
from tests.simulation.stories import failed_run

CHROMIUM = shutil.which("chromium")
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
"""A machine of tests runs as root and has no network."""
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
Opens = Callable[[str], Page]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of a run that failed and of one whose objects hold HTML."""
    async def scenario(simulation: Simulation) -> None:
        await simulation.client.create(ConfigMap(metadata=ObjectMeta(name="evil", namespace="default"), data={"a": EVIL}))

    made = tmp_path_factory.mktemp("runs")
    timeline.write(failed_run(), made / "failed.html")
    timeline.write(play(scenario), made / "evil.html")
    return made


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Browser]:
    """Once the runs are over: while Playwright is open no simulation can be played."""
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES) as launched:
        yield launched


@pytest.fixture
def opens(browser: Browser, folder: Path) -> Iterator[Opens]:
    """Opens a page. Whatever it complains about fails the test."""
    complaints: list[str] = []
    with browser.new_page(viewport={"width": 1200, "height": 800}) as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: None if request.url.startswith("file:") else complaints.append(request.url))

        def opened(name: str) -> Page:
            page.goto((folder / f"{name}.html").as_uri())
            return page

        yield opened
    assert complaints == []


@pytest.fixture
def page(opens: Opens) -> Page:
    return opens("failed")


def story_line(page: Page, text: str) -> Any:
    return page.locator("#story li").filter(has_text=text)


def detail(page: Page, selector: str) -> Any:
    return page.locator(f"#detail {selector}")


def test_it_opens_at_what_led_to_the_failure(page: Page) -> None:
    expect(page.locator("h1.failed")).to_have_text("AtMostFour: deployment default/web has 17 pods (seed 1, +7.770 s)")
    expect(page.locator("#story li.chosen")).to_have_count(1)
    expect(page.locator("#story li").last).to_have_class(re.compile("chosen"))
    expect(page.locator("#story li").last).to_be_in_viewport()
    expect(detail(page, ".head")).to_have_text("deployment default/web")


def test_the_story_tells_calls_faults_and_changes_and_a_click_shows_the_difference(page: Page) -> None:
    assert page.locator("#story li.call .said").all_inner_texts() == [f"scales deployment default/web to {count}" for count in (2, 3, 17)]
    assert page.locator("#story li.fault").all_inner_texts() == ["+3.000 s\nfault scheduler idles\nfor 4.25 s"]
    line = story_line(page, "spec.replicas: 3 → 17")
    line.click()
    expect(line).to_have_class(re.compile("chosen"))
    expect(detail(page, ".sub")).to_contain_text("+7.770 s · user updates it · revision")
    expect(detail(page, ".field").filter(has_text="spec.replicas")).to_have_text("spec.replicas3→17")
    expect(detail(page, ".quiet .field").filter(has_text="metadata.resourceVersion")).to_have_count(1)


def test_one_goes_from_change_to_change_of_an_object_and_of_everything(page: Page) -> None:
    story_line(page, "user creates deployment default/web").click()
    expect(detail(page, ".whole.create")).to_contain_text("replicas: 3\n")
    expect(detail(page, "button").first).to_be_disabled()
    detail(page, "button").last.click()
    expect(detail(page, ".sub")).to_contain_text("change 2 of 17")
    detail(page, "button").first.click()
    expect(detail(page, ".sub")).to_contain_text("change 1 of 17")
    page.locator("#scroll").press("ArrowRight")
    expect(detail(page, ".head")).not_to_have_text("deployment default/web")
    page.locator("#scroll").press("ArrowLeft")
    expect(detail(page, ".head")).to_have_text("deployment default/web")


def test_a_line_of_the_story_goes_to_its_moment(page: Page) -> None:
    for _ in range(6):
        page.get_by_label("zoom in").click()

    def middle() -> float:
        """The virtual second in the middle of the chart."""
        return float(page.evaluate(
            "() => { const box = $('scroll'), x = box.scrollLeft + (box.clientWidth - LABEL) / 2 - PAD;"
            " return model.instants.reduce((a, b) => Math.abs(model.places.get(b).x - x) < Math.abs(model.places.get(a).x - x) ? b : a); }"
        ))

    for text, moment in (("scales deployment default/web to 2", 2.37), ("spec.replicas: 3 → 17", 7.77), ("fault scheduler idles", 3.0)):
        line = story_line(page, text).first
        line.click()
        expect(line).to_have_class(re.compile("chosen"))
        assert middle() == pytest.approx(moment)


def test_a_mark_of_the_chart_tells_what_it_is_and_shows_it(page: Page) -> None:
    page.get_by_role("button", name="Everything").click()
    page.get_by_label("Find").fill("ScalingReplicaSet")
    x, y, what = page.evaluate(
        "() => { const mark = model.marks[0], lane = model.lanes.find(l => l.name === mark.lane), box = $('scroll').getBoundingClientRect();"
        " return [box.left + axis(mark.x), box.top + lane.y - $('scroll').scrollTop + ROW / 2, mark.change.object]; }"
    )
    page.mouse.move(x, y)
    expect(page.locator("#tip")).to_be_visible()
    expect(page.locator("#tip")).to_contain_text(what)
    page.mouse.click(x, y)
    expect(detail(page, ".head")).to_have_text(what)


def test_lanes_are_objects_or_actors_and_what_is_sought(page: Page) -> None:
    def lanes() -> list[str]:
        return list(page.evaluate("() => model.lanes.map(lane => lane.name)"))

    assert lanes()[0] == "deployment default/web"
    page.get_by_role("button", name="Actors").click()
    assert {"user", "deployment-controller", "kubelet-node-1"} <= set(lanes())
    page.get_by_role("button", name="Even time").click()
    page.get_by_label("Find").fill("kubelet-node-1")
    assert lanes() == ["kubelet-node-1"]
    page.get_by_label("Find").fill("nothing of that name")
    assert lanes() == []
    page.get_by_label("light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_what_objects_contain_is_shown_as_text(opens: Opens) -> None:
    page = opens("evil")
    story_line(page, "creates configmap default/evil").click()
    expect(detail(page, ".whole")).to_contain_text(EVIL)
