"""Who may be asked for a file: the public Internet and what the installation allows, in every disguise of an address."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_pod.addresses import is_public, may_fetch, networks

pytestmark = pytest.mark.unit

INNER = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")
inner = st.one_of([st.ip_addresses(v=4, network=cidr) for cidr in INNER])


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "64:ff9b::8.8.8.8", "2002:808:808::1"])
def test_the_internet_may_be_asked(address: str) -> None:
    assert may_fetch(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104  an address to refuse
        "10.96.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.8.8.8",
        "168.63.129.16",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001:0:808:808:0:0:f5ff:fffe",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "",
    ],
)
def test_what_is_not_public_may_not(address: str) -> None:
    assert not may_fetch(address, ())


@given(inner)
def test_no_disguise_makes_an_inner_address_public(address: IPv4Address) -> None:
    number = int(address)
    disguises = [
        IPv6Address(0xFFFF << 32 | number),  # IPv4-mapped
        IPv6Address(number),  # IPv4-compatible
        IPv6Address((0x64FF9B << 96) | number),  # NAT64
        IPv6Address(0x2002 << 112 | number << 80 | 1),  # 6to4
        IPv6Address(0x20010000 << 96 | number << 64 | 0xF7F7F7F7),  # Teredo, as the server
        IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | number ^ 0xFFFFFFFF),  # Teredo, as the client
    ]
    assert [str(each) for each in [address, *disguises] if is_public(each)] == []


@given(st.ip_addresses())
def test_what_is_public_is_so_for_python_too(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        assert address.is_global or getattr(address, "ipv4_mapped", None)
        assert not address.is_multicast
        assert not address.is_private or getattr(address, "ipv4_mapped", None)


def test_an_allowed_network_may_be_asked_and_nothing_beside_it() -> None:
    allowed = networks(["10.1.0.0/16", "fd12::/32"])
    assert may_fetch("10.1.2.3", allowed)
    assert may_fetch("::ffff:10.1.2.3", allowed)
    assert may_fetch("fd12::1", allowed)
    assert not may_fetch("10.2.0.1", allowed)
    assert not may_fetch("fd13::1", allowed)
    assert may_fetch("8.8.8.8", allowed)
    assert ip_address("10.1.2.3") in allowed[0]
