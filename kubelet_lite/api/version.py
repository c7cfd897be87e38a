"""The Kubernetes that this stands for. https://kubernetes.io/releases/"""
from __future__ import annotations

from typing import Final

MAJOR: Final = "1"
MINOR: Final = "36"
GIT_VERSION: Final = f"v{MAJOR}.{MINOR}.0"
