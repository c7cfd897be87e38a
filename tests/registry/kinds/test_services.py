"""Addresses and node ports of Services, through the registry."""
from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Service, ServicePort, ServiceSpec
from kubelet_lite.api.errors import ApiError, Invalid, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.networking_v1 import ServiceCIDR, ServiceCIDRSpec
from tests.registry.world import World, in_world, refused

NETWORK = ipaddress.ip_network("10.0.0.0/28")
HIGHEST_NODE_PORT = 32767


def service(name: str = "s", **spec: Any) -> Service:
    spec = {"ports": (ServicePort(port=80),), **spec}
    return Service(metadata=ObjectMeta(name=name, namespace="default"), spec=ServiceSpec(**spec))


async def with_ranges(world: World, *cidrs: str) -> None:
    await world.client.create(ServiceCIDR(metadata=ObjectMeta(name="kubernetes"), spec=ServiceCIDRSpec(cidrs=cidrs)))


async def changed(world: World, name: str, **spec: Any) -> Service:
    old = await world.client.get(Service, name, namespace="default")
    return await world.client.update(replace(old, spec=replace(old.spec, **spec)))


@in_world
async def test_an_address_comes_from_the_cluster_s_range(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    made = await world.client.create(service())
    assert ipaddress.ip_address(made.spec.clusterIP) in NETWORK
    assert made.spec.clusterIPs == (made.spec.clusterIP,)
    assert (made.spec.ipFamilies, made.spec.ipFamilyPolicy) == (("IPv4",), "SingleStack")


@in_world
async def test_an_address_that_is_asked_for_is_given_once(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    assert (await world.client.create(service(clusterIP="10.0.0.9"))).spec.clusterIPs == ("10.0.0.9",)
    error = await refused(world.client.create(service("t", clusterIP="10.0.0.9")))
    assert error.message.endswith('spec.clusterIPs: Invalid value: ["10.0.0.9"]: failed to allocate IP 10.0.0.9: provided IP is already allocated')


@pytest.mark.parametrize(("address", "why"), [
    ("10.1.0.1", "the provided network does not match the current range"),
    ("10.0.0.0", "the provided IP (10.0.0.0) is not in the valid range. The range of valid IPs is 10.0.0.0/28"),
    ("10.0.0.15", "the provided IP (10.0.0.15) is not in the valid range. The range of valid IPs is 10.0.0.0/28"),
])
def test_an_address_outside_the_range_is_refused(address: str, why: str) -> None:
    @in_world
    async def test(world: World) -> None:
        await with_ranges(world, str(NETWORK))
        assert (await refused(world.client.create(service(clusterIP=address)))).message.endswith(why)

    test()


@in_world
async def test_a_deleted_service_frees_its_address_and_ports(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    port = ServicePort(port=80, nodePort=30100)
    for _ in range(2):
        await world.client.create(service(type="NodePort", clusterIP="10.0.0.9", ports=(port,)))
        await world.client.delete(Service, "s", namespace="default")


@in_world
async def test_a_full_range_refuses_and_a_dry_run_takes_nothing(world: World) -> None:
    await with_ranges(world, "10.0.0.0/29")  # of 8 addresses, 6 can be given
    for number in range(6):
        await world.client.create(service("dry"), dry_run=True)
        await world.client.create(service(f"s{number}"))
    error = await refused(world.client.create(service("one-more")))
    assert error.message == "Internal error occurred: failed to allocate a serviceIP: range is full"


@in_world
async def test_what_a_refused_service_would_have_had_stays_free(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    error = await refused(world.client.create(service(clusterIP="10.0.0.9", sessionAffinity="nope")))
    assert isinstance(error, Invalid)
    assert (await world.client.create(service(clusterIP="10.0.0.9"))).spec.clusterIP == "10.0.0.9"


@in_world
async def test_two_ranges_make_two_addresses_for_those_who_prefer_them(world: World) -> None:
    await with_ranges(world, str(NETWORK), "fd00::/120")
    made = await world.client.create(service(ipFamilyPolicy="PreferDualStack"))
    assert made.spec.ipFamilies == ("IPv4", "IPv6")
    assert [ipaddress.ip_address(address).version for address in made.spec.clusterIPs] == [4, 6]
    one = await changed(world, "s", ipFamilyPolicy="SingleStack")
    assert one.spec.clusterIPs == made.spec.clusterIPs[:1]
    assert one.spec.ipFamilies == ("IPv4",)


@in_world
async def test_an_external_name_gives_its_address_back(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    await world.client.create(service(clusterIP="10.0.0.9"))
    made = await changed(world, "s", type="ExternalName", externalName="example.com", clusterIP="", clusterIPs=())
    assert made.spec.clusterIPs == ()
    await world.client.create(service("t", clusterIP="10.0.0.9"))


@in_world
async def test_ports_of_one_number_share_a_node_port(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    ports = (ServicePort(name="a", port=53, protocol="UDP"), ServicePort(name="b", port=53, protocol="TCP"), ServicePort(name="c", port=80))
    made = await world.client.create(service(type="NodePort", ports=ports))
    first, second, third = [port.nodePort for port in made.spec.ports]
    assert first == second != third
    assert {first, third} <= set(range(30000, HIGHEST_NODE_PORT + 1))


@in_world
async def test_a_node_port_outside_the_range_is_refused(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    error = await refused(world.client.create(service(type="NodePort", ports=(ServicePort(port=80, nodePort=80),))))
    assert error.message.endswith("provided port is not in the valid range. The range of valid ports is 30000-32767")


STEPS = st.lists(st.tuples(st.sampled_from(("create", "claim", "delete", "headless", "external", "node port")), st.integers(0, 5)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_never_two_services_with_one_address_or_node_port(steps: list[tuple[str, int]]) -> None:
    @in_world
    async def test(world: World) -> None:
        await with_ranges(world, str(NETWORK))
        for what, number in steps:
            try:
                await step(world, what, number)
            except ApiError:
                continue
            found = (await world.client.list(Service)).items
            addresses = [address for s in found for address in s.spec.clusterIPs if address != "None"]
            ports = [port.nodePort for s in found for port in s.spec.ports if port.nodePort]
            assert len(addresses) == len(set(addresses))
            assert len(ports) == len(set(ports))
            assert all(ipaddress.ip_address(address) in NETWORK for address in addresses)

    test()


async def step(world: World, what: str, number: int) -> None:
    name = f"s{number}"
    match what:
        case "create":
            await world.client.create(service(name))
        case "claim":
            await world.client.create(service(name, clusterIP=f"10.0.0.{number + 1}", type="NodePort"))
        case "headless":
            await world.client.create(service(name, clusterIP="None"))
        case "delete":
            await world.client.delete(Service, name, namespace="default")
        case "external":
            await changed(world, name, type="ExternalName", externalName="example.com", clusterIP="", clusterIPs=())
        case "node port":
            await changed(world, name, type="NodePort")


@in_world
async def test_services_that_another_writer_stored_are_seen(world: World) -> None:
    await with_ranges(world, str(NETWORK))
    first = await world.client.create(service())
    world.registry.write("services", replace(first, metadata=replace(first.metadata, name="other"), spec=replace(first.spec, clusterIPs=("10.0.0.9",))))
    error = await refused(world.client.create(service("t", clusterIP="10.0.0.9")))
    assert "already allocated" in error.message


@in_world
async def test_a_service_that_is_not_there_frees_nothing(world: World) -> None:
    assert isinstance(await refused(world.client.delete(Service, "s", namespace="default")), NotFound)
