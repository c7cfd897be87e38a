"""The subresource `log` of pods: which container of which node is meant.

https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#read-log-pod-v1-core
"""
from __future__ import annotations

from kubelet_lite.api.core_v1 import Pod, PodLogOptions
from kubelet_lite.api.errors import BadRequest, FieldError, Invalid, forbidden, invalid, not_supported
from kubelet_lite.api.timestamps import parse_time
from kubelet_lite.wire.node_connection import LogQuery


def check(options: PodLogOptions, name: str) -> None:
    """Raises Invalid for options that make no sense."""
    wrong: list[FieldError] = []
    if options.tailLines is not None and options.tailLines < 0:
        wrong.append(invalid("tailLines", options.tailLines, "must be greater than or equal to 0"))
    if options.limitBytes is not None and options.limitBytes < 1:
        wrong.append(invalid("limitBytes", options.limitBytes, "must be greater than 0"))
    if options.sinceSeconds is not None and options.sinceTime is not None:
        wrong.append(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif options.sinceSeconds is not None and options.sinceSeconds < 1:
        wrong.append(invalid("sinceSeconds", options.sinceSeconds, "must be greater than 0"))
    if options.stream is not None and options.stream not in ("All", "Stdout", "Stderr"):
        wrong.append(not_supported("stream", options.stream, ("All", "Stderr", "Stdout")))
    if wrong:
        raise Invalid.of("", "PodLogOptions", name, wrong)


def query(pod: Pod, options: PodLogOptions, now: float) -> LogQuery:
    """What a node is asked. Raises BadRequest when it is not clear which container is meant."""
    since = parse_time(options.sinceTime) if options.sinceTime else now - options.sinceSeconds if options.sinceSeconds else None
    return LogQuery(
        container=_container(pod, options.container), follow=options.follow, previous=options.previous, timestamps=options.timestamps,
        since_time=since, tail_lines=options.tailLines, limit_bytes=options.limitBytes, stream=options.stream or "All",
    )


def _container(pod: Pod, wanted: str) -> str:
    spec, name = pod.spec, pod.metadata.name
    if wanted:
        names = [container.name for container in (*spec.initContainers, *spec.containers)]
        names += [container.name for container in spec.ephemeralContainers]
        if wanted not in names:
            raise BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(spec.containers) == 1:
        return spec.containers[0].name
    why = f"a container name must be specified for pod {name}"
    if spec.containers:
        why += f", choose one of: [{' '.join(container.name for container in spec.containers)}]"
        if spec.initContainers:
            why += f" or one of the init containers: [{' '.join(container.name for container in spec.initContainers)}]"
    raise BadRequest(why)
