"""What can be wrong with a request: one tree under ApiError, each with Kubernetes' reason and HTTP code.

    ApiError
    ├── BadRequest 400            ├── Conflict 409              ├── Invalid 422 (carries FieldErrors)
    ├── Unauthorized 401          ├── AlreadyExists 409         ├── TooManyRequests 429
    ├── Forbidden 403             ├── Expired / Gone 410        ├── InternalError 500
    ├── NotFound 404              ├── RequestEntityTooLarge 413 ├── NotImplementedHere 501
    ├── MethodNotAllowed 405      ├── UnsupportedMediaType 415  ├── ServiceUnavailable 503
    └── NotAcceptable 406                                       └── Timeout / ServerTimeout 504 / 500

Raised where the fact is known, rendered to a `Status` in one place (`ApiError.to_status`).
https://github.com/kubernetes/community/blob/main/contributors/devel/sig-architecture/api-conventions.md#response-status-kind
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self

import msgspec

MAX_SUPPORTED_SHOWN: Final = 64
"""How many supported values a NotSupported error lists: more would hide the value that was wrong."""


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of `details.causes`."""

    reason: str = ""
    message: str = ""
    field: str = ""


class FieldError(msgspec.Struct, frozen=True):
    """One offending path of an object, in the wording of Kubernetes' field.Error."""

    type: str
    """The cause's reason, e.g. FieldValueRequired."""
    field: str
    body: str
    """The message without the path, e.g. `Required value: name or generateName is required`."""

    def __str__(self) -> str:
        return f"{self.field}: {self.body}" if self.field else self.body


def shown(value: object) -> str:
    """A value as Kubernetes' messages show it: strings quoted, the rest as JSON."""
    if isinstance(value, bytes):
        return json.dumps(value.decode("utf-8", "replace"), ensure_ascii=False)
    if isinstance(value, (str, int, float, bool)) or value is None:
        return json.dumps(value, ensure_ascii=False)
    return msgspec.json.encode(value).decode()


def _with(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, _with("Required value", detail))


def invalid(field: str, value: object, detail: str = "") -> FieldError:
    return FieldError("FieldValueInvalid", field, _with(f"Invalid value: {shown(value)}", detail))


def type_invalid(field: str, value: object, detail: str = "") -> FieldError:
    return FieldError("FieldValueTypeInvalid", field, _with(f"Invalid value: {shown(value)}", detail))


def duplicate(field: str, value: object) -> FieldError:
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {shown(value)}")


def forbidden(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueForbidden", field, _with("Forbidden", detail))


def not_found(field: str, value: object) -> FieldError:
    return FieldError("FieldValueNotFound", field, f"Not found: {shown(value)}")


def not_supported(field: str, value: object, supported: Iterable[str]) -> FieldError:
    """`supported` is shown in the order given (Kubernetes sorts: callers pass it sorted)."""
    values = [json.dumps(v, ensure_ascii=False) for v in supported][:MAX_SUPPORTED_SHOWN]
    return FieldError("FieldValueNotSupported", field, _with(f"Unsupported value: {shown(value)}", f"supported values: {', '.join(values)}" if values else ""))


def too_long(field: str, max_bytes: int) -> FieldError:
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {max_bytes} bytes" if max_bytes >= 0 else "Too long: value is too long")


def too_many(field: str, actual: int, maximum: int) -> FieldError:
    return FieldError("FieldValueTooMany", field, f"Too many: {actual}: must have at most {maximum} items")


class ApiError(Exception):
    """The caller was wrong, or may not: a Status with Kubernetes' reason and code.

    `details` holds name, group, kind, uid, retryAfterSeconds as in StatusDetails (given empty, they stand empty in the Status);
    `causes` its causes.
    """

    code: int = 500
    reason: str = "Unknown"

    def __init__(
        self, message: str, *, details: Mapping[str, Any] | None = None, causes: Sequence[Cause] = (),
        code: int | None = None, reason: str | None = None, retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.detailed = details is not None
        self.causes = tuple(causes)
        if code is not None:
            self.code = code
        if reason is not None:
            self.reason = reason
        if retry_after_seconds is not None:
            self.details["retryAfterSeconds"] = retry_after_seconds

    def to_status(self) -> dict[str, Any]:
        """The Status object as plain JSON values, in Kubernetes' field order."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        details = dict(self.details)
        if self.causes:
            details["causes"] = [msgspec.to_builtins(cause) for cause in self.causes]
        if details or self.detailed or self.reason in _ALWAYS_DETAILED:
            status["details"] = details
        status["code"] = self.code
        return status

    @classmethod
    def from_status(cls, status: Mapping[str, Any], code: int = 500) -> ApiError:
        """The error that a server's Status (or any failure answer) stands for."""
        reason, code = str(status.get("reason", "")), int(status.get("code") or code)
        details = dict(status["details"]) if status.get("details") is not None else None
        raw_causes = (details.pop("causes", None) if details else None) or ()
        causes = tuple(Cause(reason=c.get("reason", ""), message=c.get("message", ""), field=c.get("field", "")) for c in raw_causes)
        kind = _BY_REASON.get(reason) or _BY_CODE.get(code) or ApiError
        error = kind.__new__(kind)
        ApiError.__init__(error, str(status.get("message", "")), details=details, causes=causes, code=code, reason=reason)
        if isinstance(error, Expired):
            error.continue_ = str((status.get("metadata") or {}).get("continue", ""))
        return error


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", **more: Any) -> None:
        super().__init__(message, **more)


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, group: str, plural: str, name: str) -> Self:
        """`pods "web" not found`, with StatusDetails."""
        qualified = f"{plural}.{group}" if group else plural
        return cls(f'{qualified} "{name}" not found', details=_details(group, plural, name))


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class Conflict(ApiError):
    code, reason = 409, "Conflict"

    @classmethod
    def of(cls, group: str, plural: str, name: str, why: str) -> Self:
        qualified = f"{plural}.{group}" if group else plural
        return cls(f'Operation cannot be fulfilled on {qualified} "{name}": {why}', details=_details(group, plural, name))


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, group: str, plural: str, name: str) -> Self:
        qualified = f"{plural}.{group}" if group else plural
        return cls(f'{qualified} "{name}" already exists', details=_details(group, plural, name))


class Gone(ApiError):
    code, reason = 410, "Gone"


class Expired(Gone):
    """The revision asked for was compacted: list again, or go on with `continue_` from a newer state."""

    code, reason = 410, "Expired"
    continue_: str = ""

    def __init__(self, message: str, *, continue_: str = "", **more: Any) -> None:
        super().__init__(message, **more)
        self.continue_ = continue_

    def to_status(self) -> dict[str, Any]:
        status = super().to_status()
        if self.continue_:
            status["metadata"] = {"continue": self.continue_}
        return status


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, group: str, kind: str, name: str, errors: Sequence[FieldError]) -> Self:
        """All offending paths at once: `Pod "web" is invalid: [spec.x: …, spec.y: …]`."""
        qualified = f"{kind}.{group}" if group else kind
        unique = list(dict.fromkeys(str(error) for error in errors))
        text = unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"
        causes = tuple(Cause(reason=e.type, message=e.body, field=e.field) for e in errors)
        return cls(f'{qualified} "{name}" is invalid: {text}' if errors else f'{qualified} "{name}" is invalid', details=_details(group, kind, name), causes=causes)


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServerTimeout(ApiError):
    code, reason = 500, "ServerTimeout"


class NotImplementedHere(ApiError):
    """Honestly not built: says so."""

    code, reason = 501, "NotImplemented"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


def _details(group: str, kind: str, name: str) -> dict[str, Any]:
    details = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind
    return details


_ALWAYS_DETAILED: Final = frozenset({"Forbidden"})
_KINDS: Final[tuple[type[ApiError], ...]] = (
    BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, Conflict, AlreadyExists, Gone, Expired,
    RequestEntityTooLarge, UnsupportedMediaType, Invalid, TooManyRequests, InternalError, ServerTimeout, NotImplementedHere,
    ServiceUnavailable, Timeout,
)
_BY_REASON: Final = {kind.reason: kind for kind in _KINDS}
_BY_CODE: Final = {kind.code: kind for kind in reversed(_KINDS)}
