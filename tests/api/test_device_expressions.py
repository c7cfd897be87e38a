"""Expressions about devices: what CEL says, with Kubernetes' own types."""
import pytest

from kubelet_lite.api import device_expressions
from kubelet_lite.api.device_expressions import CelMissing, ExpressionError, compiled, facts
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.resource_v1 import Device

GPU = facts("gpu.example.com", from_json(Device, {
    "name": "gpu-0",
    "attributes": {
        "model": {"string": "a100"}, "cores": {"int": 8}, "ecc": {"bool": True}, "driver": {"version": "1.10.0+build"},
        "other.org/rack": {"string": "r1"},
    },
    "capacity": {"memory": {"value": "40Gi"}, "other.org/lanes": {"value": "1500m"}},
}))
OWN, OTHER = 'device.attributes["gpu.example.com"]', 'device.attributes["other.org"]'
MEMORY = 'device.capacity["gpu.example.com"].memory'


@pytest.mark.parametrize("expression", [
    'device.driver == "gpu.example.com"',
    "!device.allowMultipleAllocations",
    f'{OWN}.model == "a100" && {OWN}.cores > 4 && {OWN}.ecc',
    f"{OWN}.ecc",
    f'{OTHER}.rack.startsWith("r")',
    f'{OWN}.model.lowerAscii().matches("^a[0-9]+$")',
    f'{OWN}.driver.isGreaterThan(semver("1.9.0"))',
    f'{OWN}.driver == semver("1.10.0") && {OWN}.driver.minor() == 10',
    f'{OWN}.driver.compareTo(semver("1.10.0-rc.1")) == 1',
    'semver("v1.2", true) == semver("1.2.0") && !isSemver("1.2")',
    'semver("1.0.0-alpha.2").isLessThan(semver("1.0.0-alpha.10"))',
    f'{MEMORY}.isGreaterThan(quantity("39Gi")) && {MEMORY}.isLessThan(quantity("41Gi"))',
    f'{MEMORY} == quantity("40960Mi") && {MEMORY}.compareTo(quantity("40Gi")) == 0 && {MEMORY}.sign() == 1',
    f'{MEMORY}.sub(quantity("39Gi")).asInteger() == 1073741824 && {MEMORY}.add(1).isGreaterThan({MEMORY})',
    'device.capacity["other.org"].lanes.asApproximateFloat() == 1.5 && !device.capacity["other.org"].lanes.isInteger()',
    'isQuantity("1Gi") && !isQuantity("1Xi")',
    f'!has({OWN}.speed) && {OWN}.?speed.orValue(7) == 7',
    'device.attributes["nobody.org"].?speed.orValue("none") == "none"',
    '!("nobody.org" in device.attributes) && !has(device.attributes["nobody.org"].speed)',
    f'cel.bind(own, {OWN}, own.cores == 8 && own.model in ["a100", "h100"])',
    f'{OWN}.model.find("[0-9]+") == "100" && {OWN}.model.findAll("0", 1) == ["0"]',
    'sets.contains(["a", "b"], ["a"]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 2], [2, 1])',
    f'{OWN}.exists(name, name == "cores")',
])
def test_what_is_true_of_the_device(expression: str) -> None:
    assert compiled(expression).matches(GPU) is True


@pytest.mark.parametrize(("expression", "words"), [
    (f"{OWN}.speed == 1", "no such key: speed"),
    ('device.attributes["nobody.org"].speed == 1', "no such key: speed"),
    (f"{OWN}.cores", "expected bool, got int"),
    ("1 / 0 == 1", "divide by zero"),
    ('quantity("1Xi").sign() == 1', "quantities must match the regular expression"),
    ('semver("1.2").major() == 1', "invalid semver '1.2'"),
    (f'{OWN}.model.find("[") == ""', "error parsing regexp"),
])
def test_what_has_no_value_is_an_error(expression: str, words: str) -> None:
    program = compiled(expression)
    with pytest.raises(ExpressionError, match=words.replace(".", r"\.")):
        program.matches(GPU)


@pytest.mark.parametrize(("expression", "words"), [
    ("1 +", r"compilation failed: ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>'"),
    ("device.drivers == 'x'", r"compilation failed: ERROR: <input>:1:7: undeclared reference to 'device.drivers'"),
    ("device.driver", "must evaluate to bool or the unknown type, not string"),
    ('quantity("1") > quantity("2")', r"'_>_' applied to '\(kubernetes.Quantity, kubernetes.Quantity\)'"),
    ("device.driver == 3", r"no matching overload for '_==_' applied to '\(string, int\)'"),
])
def test_what_makes_no_sense_does_not_compile(expression: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        compiled(expression)


def test_without_the_library_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise CelMissing(device_expressions.MISSING)

    monkeypatch.setattr(device_expressions, "_environment", missing)
    assert not device_expressions.available()
    with pytest.raises(CelMissing, match=r"pip install 'kubelet-lite\[cel\]'"):
        device_expressions.compiled.__wrapped__("true")
