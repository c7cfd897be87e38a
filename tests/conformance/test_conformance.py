"""A figure of docs/conformance.md may only rise: each suite is replayed and no file may fall below what stands there."""
import gc

import pytest

from tests.conformance import table
from tests.conformance.suites import SUITES

TIMING = 0.03
"""Scripts that wait for processes and controllers differ a little from run to run: together they may lose this share."""


@pytest.fixture
def leaves_sockets():
    """The programs that came with the recordings leave their connections to the collector: here, not in the test after."""
    yield
    gc.collect()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("leaves_sockets")
@pytest.mark.parametrize("suite", SUITES)
def test_no_figure_falls(suite):
    differences = []
    figures = {figure.file: figure for figure in SUITES[suite]("", differences.append)}
    floor = {name: figure for name, figure in table.read().items() if name.startswith(f"{suite}/")}
    assert figures.keys() == floor.keys()
    if suite in ("scenarios", "mutations", "scheduling"):
        fallen = {name: f"{figures[name].same}, was {floor[name].same}" for name in floor if figures[name].same < floor[name].same}
        assert not fallen, "\n".join([f"{fallen}", *(d for d in differences if d.startswith(tuple(f"{name}:" for name in fallen)))][:20])
    for what, pattern, wanted in table.REQUIRED:
        same, total = table.together(figures.values(), pattern)
        assert 100 * same >= wanted * total, f"{what}: {same} of {total}\n" + "\n".join(differences[:40])
    same, total = table.together(figures.values(), "")
    was, _ = table.together(floor.values(), "")
    assert same >= was - TIMING * total, "\n".join(differences[:40])
