"""/healthz, /livez and /readyz: each check by itself, or all together.

https://kubernetes.io/docs/reference/using-api/health-checks/
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

Check = Callable[[], str]
"""What is wrong, or ""."""
ENDPOINTS: Final = ("healthz", "livez", "readyz")


def answer(endpoint: str, rest: str, checks: Mapping[str, Check], values: Mapping[str, Sequence[str]]) -> tuple[int, str] | None:
    """(status, text) of an endpoint or of the one check that `rest` names; None when there is no such check."""
    if rest:
        check = checks.get(rest)
        if check is None:
            return None
        wrong = check()
        return (500, f"internal server error: {wrong}\n") if wrong else (200, "ok")
    excluded = set(values.get("exclude", ()))
    lines, failed = [], []
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
            continue
        wrong = check()
        if wrong:
            failed.append(name)
            lines.append(f"[-]{name} failed: reason withheld")
        else:
            lines.append(f"[+]{name} ok")
    unknown = sorted(excluded - checks.keys())
    if unknown:
        quoted = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
    report = "\n".join(lines) + "\n"
    if failed:
        return 500, f"{report}{endpoint} check failed\n"
    return 200, f"{report}{endpoint} check passed\n" if "verbose" in values else "ok"
