"""Which addresses a caller may make this pod fetch from: the public Internet, and what the installation allows. Pure.

The pod sits inside a cluster and can reach what its callers must not: other pods, services, the cloud's metadata.
Surprising: Python's `is_global` is not enough. It calls multicast, 6to4 and NAT64 addresses global, and the last two hold
an IPv4 address that may be anything. For IPv6 the rule is therefore the other way round: only 2000::/3, the space that
IANA gives out, and what is embedded must be public too.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291, section 2.4, and the IANA registry
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052; 64:ff9b:1::/48 is for private use (RFC 8215) and stays outside
_REFUSED_V4 = (
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments; Oracle Cloud's metadata is in it
    IPv4Network("168.63.129.16/32"),  # Azure's host, a public address with what other clouds have at 169.254.169.254
)


def networks(cidrs: Sequence[str]) -> tuple[Network, ...]:
    """The networks that `cidrs` write. Raises ValueError."""
    return tuple(ip_network(cidr) for cidr in cidrs)


def may_fetch(address: str, allowed: Sequence[Network]) -> bool:
    """Whether a caller may fetch from `address`; `allowed`: networks that are, although they are not public."""
    try:
        found = ip_address(address)
    except ValueError:  # with a zone such as fe80::1%eth0, or no address at all
        return False
    plain = found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
    return is_public(plain) or any(plain.version == network.version and plain in network for network in allowed)


def is_public(address: Address) -> bool:
    """Whether `address` belongs to a host on the public Internet."""
    if isinstance(address, IPv4Address):
        refused = address.is_multicast or address.is_reserved or any(address in network for network in _REFUSED_V4)
        return address.is_global and not refused
    embedded = _embedded(address)
    if not all(is_public(inner) for inner in embedded):
        return False
    return bool(embedded) if address not in _GLOBAL_UNICAST else address.is_global


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()
