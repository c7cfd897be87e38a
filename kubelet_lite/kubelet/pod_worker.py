"""One pod of a node: writes its status and carries out what `next_actions` says. Thin: it holds no opinions."""
from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from kubelet_lite.actors import logs
from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Container, Pod, PodStatus
from kubelet_lite.api.errors import ApiError, Conflict, NotFound
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.client.base import Preconditions
from kubelet_lite.client.events import EventType
from kubelet_lite.kubelet import actions, claims, probes, volumes
from kubelet_lite.kubelet.admission import rejection
from kubelet_lite.kubelet.container_environment import ConfigError, environment, expand
from kubelet_lite.kubelet.memory import PodMemory, ProbeFacts, Reason
from kubelet_lite.kubelet.node_agent import NodeAgent
from kubelet_lite.kubelet.object_source import ObjectSource
from kubelet_lite.kubelet.prober import Prober
from kubelet_lite.kubelet.restart import next_back_off
from kubelet_lite.kubelet.status import OWN_CONDITIONS, phase_of, pod_status
from kubelet_lite.kubelet.status_patch import difference
from kubelet_lite.runtimes.base import ContainerSpec, PodState, RuntimeFailure, SandboxSpec

MAX_PASSES: Final = 20
"""Passes over an immediate pod without a pause; each makes something happen, so this many means that something is wrong."""
VOLUME_RETRY_SECONDS: Final = 2.0
CLAIM_RETRY_SECONDS: Final = 10.0
VOLUME_REFRESH_SECONDS: Final = 60.0
"""How often the files of ConfigMaps and Secrets follow their objects."""
CONTRADICT_SECONDS: Final = 10.0
"""What somebody else writes into a pod's status is put right once in so long: two writers of whom each knows better would never rest."""
REMARK_SECONDS: Final = 3.0
"""After a container's start its runtime is asked for remarks: time enough for a server to begin to listen."""
MAX_HOSTNAME: Final = 63
FORCED_GRACE_SECONDS: Final = 1
"""What a container gets whose pod was deleted by force."""
_log = logs.get_logger()


class PodWorker:
    """`pod` is the newest known object, `gone` whether the API has it no more."""

    def __init__(self, kubelet: NodeAgent, pod: Pod) -> None:
        self._kubelet = kubelet
        self.pod = pod
        self._stopping: dict[str, float] = {}
        """Containers that were asked to end, and how many seconds they were given."""
        self.gone = False
        self.memory = PodMemory(started_at=kubelet.environment.now())
        self.uid = pod.metadata.uid
        self._admitted = False
        self._ephemeral = len(pod.spec.ephemeralContainers)
        self._refused: frozenset[str] = frozenset()
        self._said: PodStatus | None = None
        """The status as it was right after it was written here."""
        self._may_contradict_at = 0.0
        self._busy = False
        self._again = False
        self._finished = False
        self._volume_paths: Mapping[str, str] = {}
        self._volumes_made_at = 0.0
        self._objects = ObjectSource(kubelet.client, lambda: kubelet.node, services=kubelet.runtime.has_files)
        self._prober = Prober(self, kubelet)

    @property
    def counts(self) -> bool:
        """Whether the pod takes up room on the node."""
        return not self.memory.rejected and self.pod.status.phase not in FINISHED and not self.gone

    # ---- passes

    def request_pass(self) -> None:
        """A pass in a task of its own, or one more when one is under way."""
        self._again = True
        if not self._busy:
            self._busy = True
            self._kubelet.spawn(self._passes)

    async def _passes(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._pass(write_first=True)
        finally:
            self._busy = False

    async def pass_over(self) -> None:
        """For an immediate runtime: passes until nothing is left to do, and one status for all of them."""
        for _ in range(MAX_PASSES):
            self._kubelet.unmark(self.uid)
            if not await self._pass(write_first=False):
                return
        _log.error("pod_not_settled", object=self._name, passes=MAX_PASSES)

    async def _pass(self, *, write_first: bool) -> bool:
        """Whether anything was done that calls for another pass."""
        kubelet = self._kubelet
        now = kubelet.environment.now()
        state = await kubelet.runtime.state(self.uid)
        if not self._admitted:
            self._admit(state)
        elif len(self.pod.spec.ephemeralContainers) != self._ephemeral:
            self._ephemeral = len(self.pod.spec.ephemeralContainers)
            self._say_refusals()
        pod = self._acting_pod()
        status = pod_status(pod, state, self.memory, node_address=kubelet.node_address, now=now)
        if write_first:
            await self._write(status)
        pod = msgspec.structs.replace(pod, status=status)
        over = self.memory.was_over or phase_of(pod, status.initContainerStatuses, status.containerStatuses, self.memory) in FINISHED
        plan = actions.next_actions(pod, state, self.memory, now, over=over)
        todo = tuple(action for action in plan.actions if not self._is_under_way(action))
        if not write_first and not self._changes(todo):
            await self._write(status)
        if plan.wake_at is not None:
            kubelet.wake_at(self.uid, plan.wake_at)
        await self._refresh_volumes(pod, now)
        self._prober.schedule(pod, state, now)
        await self._carry_out(pod, todo)
        return self._changes(todo)

    def _is_under_way(self, action: actions.Action) -> bool:
        """Whether it is a container's end that an immediate runtime has been asked for: it does not wait for one that takes its time, and is
        asked again only to give it less."""
        if not isinstance(action, actions.KillContainer) or not self._kubelet.runtime.immediate:
            return False
        return self._stopping.get(action.id, math.inf) <= action.grace_seconds

    @staticmethod
    def _changes(plan: Iterable[actions.Action]) -> bool:
        return any(not isinstance(action, (actions.HoldBack, actions.FinishPod)) for action in plan)

    def _admit(self, state: PodState) -> None:
        self._admitted = True
        pod = self.pod
        self._ephemeral = len(pod.spec.ephemeralContainers)
        if pod.status.startTime:
            self.memory = self.with_memory(started_at=timestamps.parse_time(pod.status.startTime))
        if pod.status.phase in FINISHED:
            self.memory = self.with_memory(was_over=True)
        self.memory = self.with_memory(probes=_known_probes(pod, state))
        if state.sandboxes or pod.status.startTime or pod.metadata.deletionTimestamp is not None or pod.status.phase in FINISHED:
            self._refused = frozenset(self._kubelet.runtime.refusals(pod))
            return
        ending = rejection(pod, self._kubelet.node, self._kubelet.other_pods(self.uid))
        if ending is not None:
            self.memory = self.with_memory(ending=ending, rejected=True)
            self.record("Warning", ending.reason, ending.message)
            return
        self._say_refusals()

    def _say_refusals(self) -> None:
        """Each once; ephemeral containers come later than the pod."""
        for sentence in self._kubelet.runtime.refusals(self.pod):
            if sentence not in self._refused:
                self._refused |= {sentence}
                self.record("Warning", "NotEnforced", sentence)

    def _acting_pod(self) -> Pod:
        """The pod; one that is gone from the API counts as deleted by force."""
        if not self.gone or (self.pod.metadata.deletionTimestamp is not None and self.pod.metadata.deletionGracePeriodSeconds):
            return self.pod
        metadata = msgspec.structs.replace(
            self.pod.metadata, deletionTimestamp=self.pod.metadata.deletionTimestamp or timestamps.format_time(self._kubelet.environment.now()),
            deletionGracePeriodSeconds=FORCED_GRACE_SECONDS,
        )
        return msgspec.structs.replace(self.pod, metadata=metadata)

    # ---- status

    async def _write(self, status: PodStatus) -> None:
        if self.gone or status == self.pod.status:
            return
        contradicts, now = self._contradicts(status), self._kubelet.environment.now()
        if contradicts and now < self._may_contradict_at:
            self._kubelet.wake_at(self.uid, self._may_contradict_at)
            return
        change = difference(self.pod.status, status)
        if not change:
            return
        patch = {"metadata": {"uid": self.uid}, "status": change}
        meta = self.pod.metadata
        try:
            self._take(await self._kubelet.client.patch(
                Pod, meta.name, patch, content_type=STRATEGIC_MERGE_PATCH, namespace=meta.namespace, subresource="status",
            ))
            self._said = self.pod.status
            if contradicts:
                self._may_contradict_at = now + CONTRADICT_SECONDS
            if self.pod.status != status and difference(self.pod.status, status):  # the answer shows what somebody else wrote meanwhile: no watch need bring it again
                self._kubelet.wake_at(self.uid, now + CONTRADICT_SECONDS)
        except ApiError as error:
            if isinstance(error, NotFound) or (isinstance(error, Conflict) and await self._is_another()):
                self.gone = True
                self._kubelet.mark(self.uid)
                return
            _log.warning("status_not_written", object=self._name, error=error.message)
            self._kubelet.wake_at(self.uid, self._kubelet.environment.now() + actions.RETRY_SECONDS)

    async def _is_another(self) -> bool:
        """Whether the pod of this name is another one by now, or none: a Conflict alone may mean that others write it, too."""
        try:
            found = await self._kubelet.client.get(Pod, self.pod.metadata.name, namespace=self.pod.metadata.namespace)
        except ApiError as error:
            return isinstance(error, NotFound)
        return found.metadata.uid != self.uid

    def _contradicts(self, status: PodStatus) -> bool:
        """Whether a status says nothing new: somebody else has changed what was written last."""
        return self._said is not None and self.pod.status != self._said and _own_part(status) == _own_part(self._said)

    def _take(self, pod: Pod) -> None:
        """The newest object of this pod: an answer may be older than what the watch has brought meanwhile. One that is newer than that may
        ask for something, to be deleted above all, and the watch will not bring it any more."""
        if pod.metadata.uid == self.uid and int(pod.metadata.resourceVersion) >= int(self.pod.metadata.resourceVersion):
            known, self.pod = self.pod, pod
            if _asked(known) != _asked(pod):
                self._kubelet.mark(self.uid)

    # ---- actions

    async def _carry_out(self, pod: Pod, plan: tuple[actions.Action, ...]) -> None:
        kills: list[actions.KillContainer] = []
        for action in plan:
            if isinstance(action, actions.KillContainer):
                kills.append(action)
                continue
            await self._kill_all(pod, kills)
            kills = []
            match action:
                case actions.MountVolumes():
                    await self._mount(pod)
                case actions.PrepareClaims():
                    await self._prepare_claims(pod)
                case actions.RunSandbox():
                    await self._run_sandbox(pod, action)
                case actions.StopSandbox():
                    await self._kubelet.runtime.stop_sandbox(action.sandbox.id)
                    self._kubelet.mark(self.uid)
                case actions.StartContainer():
                    await self._start(action)
                case actions.HoldBack():
                    self._hold_back(action)
                case actions.RemoveContainer():
                    await self._kubelet.runtime.remove_container(action.id)
                case actions.EndPod():
                    self.memory = self.with_memory(ending=action.ending)
                    self.record("Normal", action.ending.reason, action.ending.message)
                    self._kubelet.mark(self.uid)
                case actions.FinishPod():
                    await self._finish()
        await self._kill_all(pod, kills)

    async def _kill_all(self, pod: Pod, kills: list[actions.KillContainer]) -> None:
        if len(kills) == 1:
            await self._kill(pod, kills[0])
        elif kills:
            async with anyio.create_task_group() as tasks:
                for kill in kills:
                    tasks.start_soon(self._kill, pod, kill)

    async def _kill(self, pod: Pod, kill: actions.KillContainer) -> None:
        kubelet = self._kubelet
        self.record("Normal", "Killing", kill.message, kill.field_path)
        grace = kill.grace_seconds
        hook = kill.container.lifecycle.preStop if kill.container.lifecycle is not None else None
        if hook is not None and grace > 0 and kill.id not in self.memory.hook_failed:
            begun = kubelet.environment.monotonic()
            outcome = await probes.carry_out_hook(kubelet.runtime, kill.container, kill.id, hook, self._address(pod), grace)
            if not outcome.success:
                self.record("Warning", "FailedPreStopHook", "PreStopHook failed", kill.field_path)
            grace = max(grace - (kubelet.environment.monotonic() - begun), FORCED_GRACE_SECONDS)
        self._stopping[kill.id] = kill.grace_seconds
        await kubelet.runtime.stop_container(kill.id, grace)
        self.memory = self.with_memory(probes={id: facts for id, facts in self.memory.probes.items() if id != kill.id})
        kubelet.mark(self.uid)

    async def _run_sandbox(self, pod: Pod, action: actions.RunSandbox) -> None:
        meta = pod.metadata
        spec = SandboxSpec(
            namespace=meta.namespace, name=meta.name, uid=self.uid, attempt=action.attempt,
            hostname=hostname_of(pod, self._kubelet.node_name),
            host_network=bool(pod.spec.hostNetwork), pod=pod,
        )
        try:
            await self._kubelet.runtime.run_sandbox(spec)
        except RuntimeFailure as failure:
            self.record("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {failure.message}")
            self._kubelet.wake_at(self.uid, self._kubelet.environment.now() + actions.RETRY_SECONDS)
            return
        self._kubelet.mark(self.uid)

    def _hold_back(self, action: actions.HoldBack) -> None:
        """As Kubernetes' kubelet does: each pass says so in an event, and the status says so from the pass after it on; until then a crashed
        container is `terminated`."""
        name = action.container.name
        if action.reason.reason == "CrashLoopBackOff":
            pod = f"{self.pod.metadata.name}_{self.pod.metadata.namespace}({self.uid})"
            self.record("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {pod}", action.field_path)
        else:
            self.record("Normal", "BackOff", f'Back-off pulling image "{action.container.image}"', action.field_path)
            self.record("Warning", "Failed", "Error: ImagePullBackOff", action.field_path)
            self._again = self._again or (self._busy and self.memory.reasons.get(name) != action.reason)
        self.memory = self.with_memory(reasons={**self.memory.reasons, name: action.reason})

    async def _start(self, action: actions.StartContainer) -> None:
        container, path = action.container, action.field_path
        if action.back_off is not None:
            self.memory = self.with_memory(back_offs={**self.memory.back_offs, container.name: action.back_off})
        try:
            image_id = await self._ensure_image(container, path)
            pod = await self._pod_with_address()
            variables = environment(pod, container, await self._objects.for_container(pod, container))
            spec = self._container_spec(pod, container, image_id, action.attempt, variables)
        except ConfigError as error:
            self._failed(container, path, Reason("CreateContainerConfigError", str(error)), f"Error: {error}")
            return
        except RuntimeFailure as failure:
            self._failed(container, path, Reason(failure.reason, failure.message), f"Error: {failure.reason}")
            return
        runtime = self._kubelet.runtime
        sandbox = next((s for s in (await runtime.state(self.uid)).sandboxes if s.ready), None)
        if sandbox is None:
            self._kubelet.mark(self.uid)
            return
        try:
            container_id = await runtime.create_container(sandbox.id, spec)
        except RuntimeFailure as failure:
            self._failed(container, path, Reason(failure.reason, failure.message), f"Error: {failure.message}")
            return
        self.record("Normal", "Created", "Container created", path)
        hook = container.lifecycle.postStart if container.lifecycle is not None else None
        if hook is not None:
            self.memory = self.with_memory(starting=self.memory.starting | {container_id})
        try:
            await runtime.start_container(container_id)
        except RuntimeFailure as failure:
            self._failed(container, path, Reason(failure.reason, failure.message), f"Error: {failure.message}")
            self._kubelet.mark(self.uid)
            return
        self.record("Normal", "Started", "Container started", path)
        if not runtime.immediate:
            self._kubelet.spawn(self._remark)
        self.memory = self.with_memory(reasons={name: reason for name, reason in self.memory.reasons.items() if name != container.name})
        self._kubelet.mark(self.uid)
        if hook is not None:
            outcome = await probes.carry_out_hook(runtime, container, container_id, hook, self._address(pod), float("inf"))
            if not outcome.success:
                self.record("Warning", "FailedPostStartHook", "PostStartHook failed", path)
                self.memory = self.with_memory(hook_failed=self.memory.hook_failed | {container_id})
            self.memory = self.with_memory(starting=self.memory.starting - {container_id})

    async def _remark(self) -> None:
        """Once, a little after a container has started."""
        await self._kubelet.environment.sleep(REMARK_SECONDS)
        for remark in await self._kubelet.runtime.remarks(self.uid):
            self.record("Warning", "WildcardAddress", remark)

    def _failed(self, container: Container, path: str, reason: Reason, event: str) -> None:
        self.record("Warning", "Failed", event, path)
        self.memory = self.with_memory(reasons={**self.memory.reasons, container.name: reason})
        self._kubelet.wake_at(self.uid, self._kubelet.environment.now() + actions.RETRY_SECONDS)
        if not self._kubelet.runtime.immediate:
            self._again = self._again or (self._busy and self._shows_nothing(container))

    def _shows_nothing(self, container: Container) -> bool:
        """Whether the API does not say yet why the container waits."""
        reason = self.memory.reasons[container.name].reason
        statuses = (*self.pod.status.initContainerStatuses, *self.pod.status.containerStatuses)
        shown = next((s.state.waiting.reason for s in statuses if s.name == container.name and s.state.waiting is not None), "")
        return shown != reason

    async def _ensure_image(self, container: Container, path: str) -> str:
        """The image's id. Raises RuntimeFailure."""
        runtime, name = self._kubelet.runtime, container.image
        try:
            present = await runtime.image(name)
        except RuntimeFailure as failure:
            self.record("Warning", failure.reason, failure.message, path)
            raise
        policy = container.imagePullPolicy or "IfNotPresent"
        if present is not None and policy != "Always":
            self.record("Normal", "Pulled", f'Container image "{name}" already present on machine and can be accessed by the pod', path)
            return present.id
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            self.record("Warning", "ErrImageNeverPull", message, path)
            raise RuntimeFailure("ErrImageNeverPull", message)
        self.record("Normal", "Pulling", f'Pulling image "{name}"', path)
        begun = self._kubelet.environment.monotonic()
        try:
            image = await runtime.pull(name)
        except RuntimeFailure as failure:
            self.record("Warning", "Failed", f'Failed to pull image "{name}": {failure.message}', path)
            now = self._kubelet.environment.now()
            known = self.memory.image_back_offs.get(name)
            self.memory = self.with_memory(image_back_offs={**self.memory.image_back_offs, name: next_back_off(known, now, now)})
            raise
        took = round((self._kubelet.environment.monotonic() - begun) * 1000)
        self.memory = self.with_memory(image_back_offs={n: b for n, b in self.memory.image_back_offs.items() if n != name})
        self.record(
            "Normal", "Pulled",
            f'Successfully pulled image "{name}" in {took}ms ({took}ms including waiting). Image size: {image.size_bytes} bytes.', path,
        )
        return image.id

    def _container_spec(self, pod: Pod, container: Container, image_id: str, attempt: int, variables: Mapping[str, str]) -> ContainerSpec:
        folder = self._folder
        message_file = ""
        if self._kubelet.runtime.has_files:
            messages = folder / "termination" / container.name
            messages.mkdir(parents=True, exist_ok=True)
            file = messages / str(attempt)
            file.write_bytes(b"")
            file.chmod(0o666)
            message_file = str(file)
        user, group = _identity(pod, container)
        return ContainerSpec(
            name=container.name, image=container.image, image_id=image_id, attempt=attempt,
            command=tuple(expand(word, variables) for word in container.command),
            args=tuple(expand(word, variables) for word in container.args), working_directory=container.workingDir,
            environment=variables, hostname=hostname_of(pod, self._kubelet.node_name), pod_address=pod.status.podIP,
            mounts=volumes.mounts(container, self._volume_paths, variables) if self._kubelet.runtime.has_files else (),
            stop_signal=(container.lifecycle.stopSignal or "") if container.lifecycle is not None else "",
            run_as_user=user, run_as_group=group,
            supplemental_groups=pod.spec.securityContext.supplementalGroups if pod.spec.securityContext is not None else (),
            termination_message_path=container.terminationMessagePath or "/dev/termination-log", termination_message_file=message_file,
            message_from_logs=container.terminationMessagePolicy == "FallbackToLogsOnError",
            log_folder=str(folder / "logs" / container.name) if self._kubelet.runtime.has_files else "",
        )

    async def _finish(self) -> None:
        """Nothing of the pod runs any more: the API object may go, and then all traces of the pod here."""
        kubelet, meta = self._kubelet, self.pod.metadata
        if not self.gone and not self._finished:
            self._finished = True
            try:
                await kubelet.client.delete(
                    Pod, meta.name, namespace=meta.namespace, grace_period_seconds=0, preconditions=Preconditions(uid=self.uid),
                )
            except (NotFound, Conflict):
                self.gone = True
            except ApiError as error:
                self._finished = False
                _log.warning("pod_not_deleted", object=self._name, error=error.message)
                kubelet.wake_at(self.uid, kubelet.environment.now() + actions.RETRY_SECONDS)
        if self.gone:
            for sandbox in (await kubelet.runtime.state(self.uid)).sandboxes:
                await kubelet.runtime.remove_sandbox(sandbox.id)
            if kubelet.runtime.has_files:
                shutil.rmtree(self._folder, ignore_errors=True)
            kubelet.forget(self.uid)

    # ---- what containers need

    async def _pod_with_address(self) -> Pod:
        """The pod as its containers are to see it: with the addresses of its sandbox."""
        pod = self._acting_pod()
        state = await self._kubelet.runtime.state(self.uid)
        status = pod_status(pod, state, self.memory, node_address=self._kubelet.node_address, now=self._kubelet.environment.now())
        return msgspec.structs.replace(pod, status=status)

    async def _mount(self, pod: Pod) -> None:
        kubelet = self._kubelet
        now = kubelet.environment.now()
        try:
            if kubelet.runtime.has_files:
                self._volume_paths = await self._make_volumes(pod)
                self._volumes_made_at = now
        except (volumes.VolumeError, OSError) as error:
            self.record("Warning", "FailedMount", str(error))
            self.memory = self.with_memory(volumes_retry_at=now + VOLUME_RETRY_SECONDS)
        else:
            self.memory = self.with_memory(volumes_ready=True)
        kubelet.mark(self.uid)

    async def _prepare_claims(self, pod: Pod) -> None:
        kubelet = self._kubelet
        problem = claims.problem(pod, await self._objects.claims(pod), has_drivers=kubelet.runtime.has_device_drivers)
        if problem:
            self.record("Warning", "FailedPrepareDynamicResources", f"Failed to prepare dynamic resources: prepare dynamic resources: {problem}")
            self.memory = self.with_memory(claims_retry_at=kubelet.environment.now() + CLAIM_RETRY_SECONDS)
        else:
            self.memory = self.with_memory(claims_ready=True)
        kubelet.mark(self.uid)

    async def _make_volumes(self, pod: Pod) -> Mapping[str, str]:
        tokens = await self._objects.tokens(pod)
        return volumes.make(self._folder / "volumes", pod, await self._objects.for_volumes(pod), tokens)

    async def _refresh_volumes(self, pod: Pod, now: float) -> None:
        """Files follow their objects; what has vanished since stays as it was."""
        kubelet = self._kubelet
        if not kubelet.runtime.has_files or not self.memory.volumes_ready or not any(volumes.follows(v) for v in pod.spec.volumes):
            return
        due = self._volumes_made_at + VOLUME_REFRESH_SECONDS
        if now < due:
            kubelet.wake_at(self.uid, due)
            return
        self._volumes_made_at = now
        try:
            await self._make_volumes(pod)
        except (volumes.VolumeError, OSError) as error:
            _log.info("volumes_not_refreshed", object=self._name, error=str(error))

    def learn_probe(self, container_id: str, facts: ProbeFacts) -> None:
        """Takes over what the probes of a container have newly found."""
        self.memory = self.with_memory(probes={**self.memory.probes, container_id: facts})
        self._kubelet.mark(self.uid)

    # ---- small things

    @property
    def _name(self) -> str:
        return f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"

    @property
    def _folder(self) -> Path:
        return self._kubelet.folder / "pods" / self.uid

    def with_memory(self, **changes: Any) -> PodMemory:
        return msgspec.structs.replace(self.memory, **changes)

    def record(self, type: EventType, reason: str, message: str, field_path: str = "") -> None:
        self._kubelet.recorder.record(self.pod, type, reason, message, field_path=field_path)

    def _address(self, pod: Pod) -> str:
        return pod.status.podIP or self._kubelet.node_address


def _asked(pod: Pod) -> tuple[Any, ...]:
    """All of a pod that others write and a kubelet acts on."""
    meta = pod.metadata
    return pod.spec, meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.labels, meta.annotations


def _known_probes(pod: Pod, state: PodState) -> Mapping[str, ProbeFacts]:
    """What an earlier run of this kubelet found of containers that still run: its end changes no status, as in Kubernetes since 1.35."""
    running = {container.id for container in state.containers if container.state == "running"}
    return {
        told.containerID: ProbeFacts(started=told.started or None, ready=told.ready or None)
        for told in (*pod.status.initContainerStatuses, *pod.status.containerStatuses) if told.containerID in running
    }


def _own_part(status: PodStatus) -> PodStatus:
    """What of a status is the kubelet's own word: not others' conditions, nor since when its own stand."""
    conditions = tuple(
        msgspec.structs.replace(c, lastTransitionTime=None, lastProbeTime=None) for c in status.conditions if c.type in OWN_CONDITIONS
    )
    return msgspec.structs.replace(status, conditions=conditions)


def hostname_of(pod: Pod, node_name: str) -> str:
    """What the pod's containers see as their HOSTNAME; on the host's network that is the node's name."""
    if pod.spec.hostnameOverride:
        return pod.spec.hostnameOverride
    if pod.spec.hostNetwork:
        return node_name
    return (pod.spec.hostname or pod.metadata.name)[:MAX_HOSTNAME].rstrip("-.")


def _identity(pod: Pod, container: Container) -> tuple[int | None, int | None]:
    """The user and group that a container is to run as; the container's own wish counts before the pod's."""
    own, shared = container.securityContext, pod.spec.securityContext
    user = own.runAsUser if own is not None and own.runAsUser is not None else shared.runAsUser if shared is not None else None
    group = own.runAsGroup if own is not None and own.runAsGroup is not None else shared.runAsGroup if shared is not None else None
    return user, group
