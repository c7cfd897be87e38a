"""Quantities: exact values and Kubernetes' canonical text."""
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api import quantities
from kubelet_lite.api.quantities import (
    QuantityError,
    canonical,
    canonical_milli,
    milli,
    of_int,
    of_milli,
    parse,
    read,
    to_int,
    total,
    written,
)

suffixes = st.sampled_from([*quantities.DECIMAL_SUFFIXES, *quantities.BINARY_SUFFIXES, "e3", "E-2", "e+6", "e0"])
texts = st.builds(
    lambda sign, whole, fraction, suffix: f"{sign}{whole}{fraction}{suffix}",
    st.sampled_from(["", "-", "+"]), st.integers(0, 10 ** 12).map(str), st.sampled_from(["", ".", ".5", ".25", ".000001", ".0"]), suffixes,
)


@pytest.mark.parametrize(("text", "want"), [
    ("0", "0"), ("1Ki", "1Ki"), ("1024Mi", "1Gi"), ("1000M", "1G"), (".001Ki", "1024m"), (".000001Ki", "1024u"), (".000000000001Ki", "2n"),
    ("1.5", "1500m"), ("1.5Gi", "1536Mi"), ("1000m", "1"), ("0.5", "500m"), ("2000000000", "2G"), ("12e6", "12e6"), ("1e3", "1e3"),
    ("10e2", "1e3"), ("8Ei", "9223372036854775807"), ("0Ki", "0"), ("-5", "-5"), ("0.9n", "1n"), ("1000E", "1e21"), ("m", "0"), ("1.1Ki", "1126400m"),
])
def test_a_quantity_is_written_with_the_largest_suffix_that_loses_nothing(text: str, want: str) -> None:
    assert canonical(text) == want


@pytest.mark.parametrize("text", ["", "x", "1Gix", "1.2.3", "1 ", " 1", "1Gi ", "１"])
def test_what_is_no_quantity_is_refused_in_kubernetes_words(text: str) -> None:
    with pytest.raises(QuantityError, match=r"quantities must match the regular expression"):
        canonical(text)


@pytest.mark.parametrize("text", ["1e", "e", "1K", "1iK", "--1", "1e99999999999"])
def test_an_unknown_suffix_is_refused_in_kubernetes_words(text: str) -> None:
    with pytest.raises(QuantityError, match="unable to parse quantity's suffix"):
        canonical(text)


def test_numbers_round_up_away_from_zero() -> None:
    assert (to_int("1.1"), to_int("-1.1"), to_int("100m"), milli("0.0001"), milli("1500m"), milli("2")) == (2, -2, 1, 1, 1500, 2000)


def test_a_resource_list_is_rounded_up_to_a_milli() -> None:
    assert canonical_milli("1.00001") == "1001m"
    assert canonical_milli("1024Mi") == "1Gi"


def test_sums_keep_the_first_style() -> None:
    assert total(["0", "512Mi", "512M"]) == "1024288Ki"
    assert total(["512Mi", "512Mi"]) == "1Gi"
    assert total([]) == "0"
    assert (of_int(2048, "binary"), of_int(2000), of_milli(1500)) == ("2Ki", "2k", "1500m")


@given(texts)
def test_the_canonical_text_has_the_same_value(text: str) -> None:
    assert parse(canonical(text)) == parse(text)


@given(texts)
def test_the_canonical_text_is_its_own_canonical_text(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(texts)
def test_whole_and_milli_units_are_the_least_that_are_enough(text: str) -> None:
    value = abs(parse(text))
    assert value <= abs(to_int(text)) < value + 1
    assert value <= Fraction(abs(milli(text)), 1000) < value + Fraction(1, 1000)


@given(st.integers(-10 ** 30, 10 ** 30), st.sampled_from(["decimal", "binary", "exponent"]))
def test_every_amount_can_be_written_and_read(nanos: int, style: quantities.Style) -> None:
    found = read(written(nanos, style)).nanos
    assert found == nanos or (style == "binary" and abs(nanos) > quantities.MAX_BINARY)


@given(st.lists(texts, max_size=5))
def test_a_total_is_exact(many: list[str]) -> None:
    assert parse(total(many)) == sum(map(parse, many)) or any(t.endswith("i") for t in many)
