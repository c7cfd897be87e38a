import pytest

from kubelet_lite.api.errors import BadRequest, Invalid
from kubelet_lite.api.requests import APPLY_PATCH
from kubelet_lite.apiserver import query


def test_a_flag_is_true_but_for_false_and_zero():
    values = query.parameters("a=true&b=false&c=0&d=&e=1&f=False")
    assert [query.flag(values, name) for name in "abcdefg"] == [True, False, False, True, True, False, None]


@pytest.mark.parametrize("text", ["abc", "", "1.5", "0x1", " 1", "١"])
def test_what_is_no_number_is_said_as_go_says_it(text):
    with pytest.raises(BadRequest, match=r"strconv.ParseInt: parsing .*: invalid syntax"):
        query.list_options(f"limit={text}")


@pytest.mark.parametrize(("raw", "message"), [
    ("dryRun=Nope", 'dryRun: Unsupported value: ["Nope"]: supported values: "All"'),
    ("fieldValidation=Loud", 'fieldValidation: Unsupported value: "Loud": supported values: "", "Ignore", "Strict", "Warn"'),
    (f"fieldManager={'m' * 129}", "fieldManager: Too long: may not be more than 128 bytes"),
    ("fieldManager=a%01", "should only contain printable characters"),
    ("force=true", "force: Forbidden: may not be specified for non-apply patch"),
])
def test_options_that_are_not_offered(raw, message):
    with pytest.raises(Invalid) as refused:
        query.write_options(raw, "PatchOptions")
    assert message in refused.value.message
    assert refused.value.details["kind"] == "PatchOptions"


def test_apply_needs_a_manager():
    with pytest.raises(Invalid, match="is required for apply patch"):
        query.write_options("", "PatchOptions", APPLY_PATCH)
    assert query.write_options("fieldManager=me&force=true", "PatchOptions", APPLY_PATCH).force


def test_delete_options_come_from_the_query_when_there_is_no_body():
    options = query.delete_options("gracePeriodSeconds=0&propagationPolicy=Orphan&dryRun=All&orphanDependents=false")
    assert (options.gracePeriodSeconds, options.propagationPolicy, options.dryRun, options.orphanDependents) == (0, "Orphan", ("All",), False)
