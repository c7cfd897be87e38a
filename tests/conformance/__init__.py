"""Replays the recorded Kubernetes (tests/recorded) against this one and keeps the table in docs/conformance.md.

    python -m tests.conformance [--write] [--only REGEX] [--show N]
"""
