"""Each mailbox against a naive model of its overflow policy, and what receiving and sending promise."""
from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.actors.mailbox import CoalescingMailbox, DroppingMailbox, Mailbox, MailboxFull, WaitingMailbox
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

Message = tuple[int, int]
# A message (key, number) is put; a number takes so many.
operations = st.lists(st.one_of(st.tuples(st.integers(0, 5), st.integers()), st.integers(1, 4)))
limits = st.integers(1, 5)


def taken(mailbox: Mailbox[Message], limit: int) -> list[Message]:
    """Only of a mailbox that is not empty."""
    return simulate(0, lambda _: mailbox.receive_batch(limit))


@given(operations, limits)
def test_a_coalescing_mailbox_keeps_the_newest_of_each_key_in_order_of_the_first(steps: list[Message | int], limit: int) -> None:
    mailbox = CoalescingMailbox[Message](lambda message: message[0], limit)
    model: dict[int, Message] = {}
    for step in steps:
        if isinstance(step, int):
            if model:
                assert taken(mailbox, step) == [model.pop(key) for key in list(model)[:step]]
        elif step[0] not in model and len(model) == limit:
            with pytest.raises(MailboxFull):
                mailbox.put(step)
        else:
            model[step[0]] = step
            mailbox.put(step)
        assert len(mailbox) == len(model) <= limit


@given(operations, limits)
def test_a_dropping_mailbox_keeps_the_newest_and_counts_the_others(steps: list[Message | int], limit: int) -> None:
    mailbox = DroppingMailbox[Message](limit)
    model: list[Message] = []
    dropped = 0
    for step in steps:
        if isinstance(step, int):
            if model:
                assert taken(mailbox, step) == model[:step]
                model = model[step:]
        else:
            mailbox.put(step)
            dropped += len(model) == limit
            model = [*model, step][-limit:]
        assert len(mailbox) == len(model)
    assert mailbox.statistics()["dropped"] == dropped


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), limits, st.integers(1, 4))
def test_a_waiting_mailbox_loses_nothing_and_keeps_each_senders_order(counts: list[int], limit: int, batch: int) -> None:
    async def main(environment: SimulatedEnvironment) -> list[Message]:
        mailbox = WaitingMailbox[Message](limit)
        received: list[Message] = []

        async def sender(key: int, count: int) -> None:
            for number in range(count):
                await mailbox.send((key, number))

        async with anyio.create_task_group() as tasks:
            for key, count in enumerate(counts):
                tasks.start_soon(sender, key, count)
            while len(received) < sum(counts):
                await environment.sleep(environment.random.choice((0.0, 0.1)))
                got = await mailbox.receive_batch(batch)
                assert 0 < len(got) <= batch
                assert len(mailbox) <= limit
                received += got
        return received

    received = simulate(0, main)
    for key, count in enumerate(counts):
        assert [number for each, number in received if each == key] == list(range(count))


def test_a_batch_costs_one_wake_up() -> None:
    async def main(environment: SimulatedEnvironment) -> list[int]:
        mailbox = DroppingMailbox[int]()
        sizes: list[int] = []

        async def reader() -> None:
            while sum(sizes) < 300:
                sizes.append(len(await mailbox.receive_batch()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader)
            for _ in range(3):
                await environment.sleep(1)
                for number in range(100):
                    mailbox.put(number)
        return sizes

    assert simulate(0, main) == [100, 100, 100]


@pytest.mark.parametrize("turns", range(6))
def test_a_cancelled_receive_loses_nothing(turns: int) -> None:
    async def main(environment: SimulatedEnvironment) -> list[int]:
        mailbox = DroppingMailbox[int]()
        received: list[int] = []

        async def reader() -> None:
            received.append(await mailbox.receive())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader)
            await environment.sleep(1)
            mailbox.put(1)
            for _ in range(turns):
                await environment.sleep(0)
            tasks.cancel_scope.cancel()
        return received + (mailbox._take(1) if len(mailbox) else [])

    assert simulate(0, main) == [1]


def test_a_cancelled_send_does_not_deliver() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        mailbox = WaitingMailbox[int](1)
        mailbox.put(1)
        with anyio.move_on_after(1):
            await mailbox.send(2)
        assert mailbox.statistics()["senders_waiting"] == 0
        assert await mailbox.receive_batch() == [1]
        assert len(mailbox) == 0

    simulate(0, main)


def test_a_full_waiting_mailbox_refuses_put() -> None:
    mailbox = WaitingMailbox[int](1)
    mailbox.put(1)
    with pytest.raises(MailboxFull):
        mailbox.put(2)


def test_statistics_count_what_went_through() -> None:
    mailbox = CoalescingMailbox[Message](lambda message: message[0])
    for message in ((1, 1), (2, 1), (1, 2)):
        mailbox.put(message)
    taken(mailbox, 1)
    assert mailbox.statistics() == {"waiting": 1, "limit": 10_000, "longest": 2, "received": 3, "taken": 1, "coalesced": 1}
