"""What processes and the machine use, from /proc: https://man7.org/linux/man-pages/man5/proc.5.html

A container is the tree of processes below the one that was started: its session, and their descendants wherever these went.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

NANOSECONDS_PER_TICK: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Used(msgspec.Struct, frozen=True):
    """CPU time so far, and the working set now."""

    cpu_nanoseconds: int
    memory_bytes: int


class _Process(msgspec.Struct, frozen=True, gc=False):
    pid: int
    parent: int
    session: int
    ticks: int
    """With those of its children that ended and were waited for."""
    resident_bytes: int


def of_trees(leaders: Iterable[int]) -> dict[int, Used]:
    """By the PID of each leader, which leads a session; all of them in one look at the machine's processes."""
    leader_of: dict[int, int] = {pid: pid for pid in leaders}
    if not leader_of:
        return {}
    ticks, memory = dict.fromkeys(leader_of, 0), dict.fromkeys(leader_of, 0)
    processes = {process.pid: process for process in _all()}
    for process in processes.values():
        leader = _leader(process, processes, leader_of)
        if leader:
            ticks[leader] += process.ticks
            memory[leader] += _proportional_bytes(process.pid) or process.resident_bytes
    return {pid: Used(ticks[pid] * NANOSECONDS_PER_TICK, memory[pid]) for pid in ticks}


def of_machine() -> Used:
    """Everything that is not idle; of the memory what is not free, without file pages that nobody has touched lately."""
    with open("/proc/stat", "rb") as file:
        user, nice, system, _idle, _waiting, *interrupts = map(int, file.readline().split()[1:8])
    memory = {}
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            name, _, rest = line.partition(b":")
            memory[name] = int(rest.split()[0]) * 1024
    held = memory[b"MemTotal"] - memory[b"MemFree"] - memory.get(b"Inactive(file)", 0)
    return Used((user + nice + system + sum(interrupts)) * NANOSECONDS_PER_TICK, held)


def _all() -> Iterator[_Process]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        yield _Process(int(name), int(fields[1]), int(fields[3]), sum(map(int, fields[11:15])), int(fields[21]) * PAGE_BYTES)


def _leader(process: _Process, processes: dict[int, _Process], leader_of: dict[int, int]) -> int:
    """Whose tree it belongs to; 0: none. Fills `leader_of` with what it found on its way up."""
    way = []
    at: _Process | None = process
    found = 0
    while at is not None:
        found = leader_of.get(at.pid, 0) if at.pid in leader_of else leader_of.get(at.session, 0)
        if found or at.pid in leader_of:
            break
        way.append(at.pid)
        at = processes.get(at.parent)
    for pid in way:
        leader_of[pid] = found
    return found


def _proportional_bytes(pid: int) -> int:
    """What a process holds, of shared pages its share; 0 where that is not to be known (processes of others)."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
