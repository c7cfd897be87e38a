"""Image names and the image map: what stands for an image on this machine.

NAME of a map entry is a repository with or without tag (`busybox`, `docker.io/library/busybox:1.29`) or `*`; COMMAND is the
image's entrypoint, split into words and run without a shell; an empty one: this machine's own programs stand for the image.
https://kubernetes.io/docs/concepts/containers/images/#image-names
"""
from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from typing import Final

import msgspec

from kubelet_lite.runtimes.base import Image, RuntimeFailure

ANY: Final = "*"
DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_REFERENCE: Final = re.compile(
    r"(?P<repository>(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9.-]*[a-zA-Z0-9])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)


class Reference(msgspec.Struct, frozen=True):
    """A whole image name: `docker.io/library/busybox`, `1.29`."""

    repository: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse(name: str) -> Reference:
    """Raises RuntimeFailure("InvalidImageName") for what cannot be an image's name."""
    found = _REFERENCE.fullmatch(name)
    if found is None:
        raise RuntimeFailure("InvalidImageName", f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {_trouble(name)}')
    repository = found["repository"]
    first, slash, rest = repository.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        first, rest = DEFAULT_REGISTRY, repository
    if first == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"library/{rest}"
    return Reference(f"{first}/{rest}", found["tag"] or ("" if found["digest"] else DEFAULT_TAG), found["digest"] or "")


def _trouble(name: str) -> str:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        rest = name if slash else f"library/{name}"
    repository = rest.partition(":")[0]
    if repository != repository.lower():
        return f"invalid reference format: repository name ({repository}) must be lowercase"
    return "invalid reference format"


class ImageMap:
    """Which command stands for an image. The entry with the tag counts before the one without, `*` comes last."""

    def __init__(self, images: Mapping[str, str]) -> None:
        self._commands: dict[tuple[str, str], tuple[str, ...]] = {}
        for name, command in images.items():
            if name == ANY:
                key = ANY, ""
            else:
                try:
                    reference = parse(name)
                except RuntimeFailure:
                    raise ValueError(f"image {name!r}: not an image name") from None
                key = reference.repository, reference.tag if ":" in name.rpartition("/")[2] else ""
            try:
                self._commands[key] = tuple(shlex.split(command))
            except ValueError as error:
                raise ValueError(f"image {name!r}: command {command!r}: {error}") from None

    def entrypoint(self, reference: Reference) -> tuple[str, ...] | None:
        """None for an image that the map does not name."""
        for key in ((reference.repository, reference.tag), (reference.repository, ""), (ANY, "")):
            if key in self._commands:
                return self._commands[key]
        return None

    def entrypoint_of(self, name: str) -> tuple[str, ...]:
        """The words of the image's command; empty where the machine's own programs stand for it."""
        return self.entrypoint(parse(name)) or ()

    def image(self, name: str) -> Image | None:
        reference = parse(name)
        entrypoint = self.entrypoint(reference)
        if entrypoint is None:
            return None
        digest = hashlib.sha256("\0".join((str(reference), *entrypoint)).encode()).hexdigest()
        return Image(id=f"sha256:{digest}", names=(str(reference),))

    def pull(self, name: str) -> Image:
        image = self.image(name)
        if image is None:
            short = name.partition("@")[0]
            raise RuntimeFailure(
                "ErrImagePull",
                f'failed to pull image "{name}": nothing stands for it on this machine: map it to a command with --image {short}=COMMAND '
                f'(Cluster(images={{"{short}": "COMMAND"}})), or with an empty COMMAND to this machine\'s own programs',
            )
        return image
