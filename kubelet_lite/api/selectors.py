"""Selectors: the text that `labelSelector` and `fieldSelector` parameters carry, and the LabelSelector of objects.

Both become a `LabelSelector`-free value that matches label maps: a Requirements tuple. Errors are in Kubernetes' words.
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from kubelet_lite.api import names
from kubelet_lite.api.errors import shown
from kubelet_lite.api.meta_v1 import LabelSelector

Operator = Literal["=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt"]
BINARY_OPERATORS: Final = ("in", "notin", "=", "==", "!=", "gt", "lt")
MOST_KEPT: Final = 4096
"""Parsed selectors kept: controllers and watchers use few, again and again."""
_SPECIAL: Final = "=!(),><"
_TOKENS: Final = (")", ",", "!", "==", "=", ">", "<", "!=", "(")
_SPACE: Final = " \t\r\n"
_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)


class SelectorError(ValueError):
    """The text is no selector."""


class Requirement(msgspec.Struct, frozen=True):
    """One condition on one label."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case _:
                have, want = integer(value or ""), integer(self.values[0])
                if have is None or want is None:
                    return False
                return have > want if self.operator == "gt" else have < want

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


class Selector(msgspec.Struct, frozen=True):
    """All requirements must hold; none: everything matches. `nothing`: nothing ever matches (a null LabelSelector)."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements and not self.nothing

    def exact(self, key: str) -> str | None:
        """The one value that a matching object's label must have."""
        for requirement in self.requirements:
            if requirement.key == key and requirement.operator in ("=", "==", "in") and len(requirement.values) == 1:
                return requirement.values[0]
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING: Final = Selector()
NOTHING: Final = Selector(nothing=True)


def integer(text: str) -> int | None:
    """An int64 as Go's strconv reads it."""
    if _INTEGER.fullmatch(text) is None or len(text) > 20:
        return None
    value = int(text)
    return value if -(2 ** 63) <= value < 2 ** 63 else None


# ---- label selectors as text


@lru_cache(maxsize=MOST_KEPT)
def parse_labels(text: str) -> Selector:
    """`env in (prod,dev),tier!=web,!old,n>3`. Raises SelectorError."""
    if not text:
        return EVERYTHING
    return Selector(tuple(sorted(_Parser(text).requirements(), key=lambda requirement: requirement.key)))


class _Token(msgspec.Struct, frozen=True):
    kind: str
    """`word`, `end`, `error`, `in`, `notin`, or the symbol itself."""
    text: str


_END: Final = _Token("end", "")


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        if text[position] in _SPACE:
            position += 1
            continue
        start = position
        if text[position] not in _SPECIAL:
            while position < len(text) and text[position] not in _SPECIAL and text[position] not in _SPACE:
                position += 1
            word = text[start:position]
            yield _Token(word if word in ("in", "notin") else "word", word)
            continue
        found = ""
        while position < len(text) and text[position] in _SPECIAL:
            longer = text[start:position + 1]
            if longer in _TOKENS:
                found = longer
            elif found:
                break
            position += 1
        yield _Token(found, found)
    yield _END


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    def _peek(self) -> _Token:
        """The next token where a value may stand: there, `in` and `notin` are words."""
        token = self._tokens[self._position]
        return _Token("word", token.text) if token.kind in ("in", "notin") else token

    def _take(self) -> _Token:
        token = self._peek()
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def _take_operator(self) -> _Token:
        token = self._tokens[self._position]
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def requirements(self) -> Iterator[Requirement]:
        while True:
            token = self._peek()
            if token.kind == "end":
                return
            if token.kind not in ("word", "!"):
                raise SelectorError(f"found '{token.text}', expected: !, identifier, or 'end of string'")
            try:
                yield self._requirement()
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            token = self._take()
            if token.kind == "end":
                return
            if token.kind != ",":
                raise SelectorError(f"found '{token.text}', expected: ',' or 'end of string'")
            after = self._peek()
            if after.kind not in ("word", "!"):
                raise SelectorError(f"found '{after.text}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        token = self._take()
        absent = token.kind == "!"
        if absent:
            token = self._take()
        if token.kind != "word":
            raise SelectorError(f"found '{token.text}', expected: identifier")
        if wrong := names.label_key(token.text):
            raise SelectorError(f"<nil>: Invalid value: {shown(token.text)}: {'; '.join(wrong)}")
        if absent:
            return requirement(token.text, "!", ())
        if self._peek().kind in ("end", ","):
            return requirement(token.text, "exists", ())
        operator = self._take_operator()
        match operator.kind:
            case "in" | "notin":
                return requirement(token.text, "in" if operator.kind == "in" else "notin", self._set())
            case "=" | "==" | "!=":
                return requirement(token.text, operator.kind, self._exact())
            case ">" | "<":
                return requirement(token.text, "gt" if operator.kind == ">" else "lt", self._exact())
            case _:
                raise SelectorError(f"found '{operator.text}', expected: {', '.join(BINARY_OPERATORS)}")

    def _exact(self) -> tuple[str, ...]:
        if self._peek().kind in ("end", ","):
            return ("",)
        token = self._take()
        if token.kind != "word":
            raise SelectorError(f"found '{token.text}', expected: identifier")
        return (token.text,)

    def _set(self) -> tuple[str, ...]:
        token = self._take()
        if token.kind != "(":
            raise SelectorError(f"found '{token.text}' expected: '('")
        first = self._peek()
        if first.kind == ")":
            self._take()
            return ("",)
        if first.kind not in ("word", ","):
            raise SelectorError(f"found '{first.text}', expected: ',', ')' or identifier")
        values = self._list()
        self._take()
        return values

    def _list(self) -> tuple[str, ...]:
        """Up to the closing parenthesis, which stays; where a value is missing, it is the empty one."""
        values: dict[str, None] = {}
        while True:
            token = self._take()
            if token.kind == "word":
                values[token.text] = None
                after = self._peek()
                if after.kind == ")":
                    return tuple(sorted(values))
                if after.kind != ",":
                    raise SelectorError(f"found '{after.text}', expected: ',' or ')'")
            elif token.kind == ",":
                if not values:
                    values[""] = None
                after = self._peek()
                if after.kind == ")":
                    values[""] = None
                    return tuple(sorted(values))
                if after.kind == ",":
                    self._take()
                    values[""] = None
            else:
                raise SelectorError(f"found '{token.text}', expected: ',', or identifier")


def requirement(key: str, operator: Operator, values: tuple[str, ...]) -> Requirement:
    """One condition, checked. Raises SelectorError with all that is wrong."""
    wrong = [f"key: Invalid value: {shown(key)}: {'; '.join(messages)}" for messages in (names.label_key(key),) if messages]
    if operator in ("in", "notin") and not values:
        wrong.append("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    if operator in ("gt", "lt"):
        wrong += [
            f"values[{i}]: Invalid value: {shown(value)}: for 'Gt', 'Lt' operators, the value must be an integer"
            for i, value in enumerate(values) if integer(value) is None
        ]
    for i, value in enumerate(values):
        if messages := names.label_value(value):
            wrong.append(f"values[{i}][{key}]: Invalid value: {shown(value)}: {'; '.join(messages)}")
    if wrong:
        wrong = list(dict.fromkeys(wrong))
        raise SelectorError(wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
    return Requirement(key, operator, values)


# ---- LabelSelector


_OPERATORS: Final[Mapping[str, Operator]] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def from_label_selector(selector: LabelSelector | None) -> Selector:
    """None matches nothing, an empty one everything. Raises SelectorError for one that validation would have refused."""
    if selector is None:
        return NOTHING
    if not selector.matchLabels and not selector.matchExpressions:
        return EVERYTHING
    return _from_label_selector(tuple(selector.matchLabels.items()), selector.matchExpressions)


@lru_cache(maxsize=MOST_KEPT)
def _from_label_selector(labels: tuple[tuple[str, str], ...], expressions: tuple[object, ...]) -> Selector:
    found = [requirement(key, "=", (value,)) for key, value in labels]
    for expression in expressions:
        key, operator, values = expression.key, expression.operator, expression.values  # type: ignore[attr-defined]
        if operator not in _OPERATORS:
            raise SelectorError(f'"{operator}" is not a valid label selector operator')
        found.append(requirement(key, _OPERATORS[operator], tuple(values)))
    return Selector(tuple(sorted(found, key=lambda r: r.key)))


def from_labels(labels: Mapping[str, str]) -> Selector:
    """A map of labels as a selector (Services, ReplicationControllers). Nothing is checked; an empty map matches everything."""
    return Selector(tuple(Requirement(key, "=", (labels[key],)) for key in sorted(labels)))


def label_selector_text(selector: LabelSelector | None) -> str:
    """As kubectl and `status.selector` of scale show it: `<none>` for null, empty for everything."""
    return "<none>" if selector is None else str(from_label_selector(selector))


# ---- field selectors


class FieldRequirement(msgspec.Struct, frozen=True):
    """`field=value`, or `field!=value` where `equal` is False."""

    field: str
    value: str
    equal: bool = True


@lru_cache(maxsize=MOST_KEPT)
def parse_fields(text: str) -> Sequence[FieldRequirement]:
    """`metadata.name=a,status.phase!=Running`. Which fields there are is the resource's business. Raises SelectorError."""
    found = []
    for part in sorted(text.split(",")):
        if not part:
            continue
        for operator in ("!=", "==", "="):
            pieces = part.split(operator)
            if len(pieces) == 2:
                found.append(FieldRequirement(pieces[0], pieces[1], operator != "!="))
                break
        else:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
    return tuple(found)


def fields_match(requirements: Sequence[FieldRequirement], fields: Mapping[str, str]) -> bool:
    """Whether an object with these selectable fields is selected. A field that is not there counts as empty."""
    return all((fields.get(r.field, "") == r.value) == r.equal for r in requirements)
