"""SOCKS5 (RFC 1928) with user and password (RFC 1929), CONNECT alone, to the emulator's own TLS listener.

Surprising: a client that offers to say who it is, is always asked, so that the log has the user even where none is needed.
"""

import asyncio
import ipaddress

from waemulator.proxy import Asked, Credentials, Proxy

VERSION, AUTH_VERSION = 5, 1
NO_AUTH, USER_PASSWORD, NO_METHOD = 0, 2, 0xFF
CONNECT = 1
ADDRESS_BYTES = {1: 4, 4: 16}
"""By address type: IPv4, IPv6."""
NAME = 3
REPLIES = {"connected": 0, "host": 2, "credentials": 2, "method": 7, "bad": 8}
"""By verdict: succeeded, not allowed, command not supported, address type not supported."""


class SocksProxy(Proxy):
    """Serves the connections of a SOCKS5 proxy."""

    protocol = "socks5"

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Hears who the client is and what it asks for, and answers; whether it is to be connected."""
        version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        if version != VERSION:
            self.record("bad", Asked(""))
            return False
        given = None
        if USER_PASSWORD in methods:
            writer.write(bytes([VERSION, USER_PASSWORD]))
            given = await _credentials(reader)
            right = self.needed in (None, given)
            writer.write(bytes([AUTH_VERSION, 0 if right else 1]))
        else:
            right = self.needed is None and NO_AUTH in methods
            writer.write(bytes([VERSION, NO_AUTH if right else NO_METHOD]))
        if not right:
            self.record("credentials", Asked("", given))
            return False
        verdict, asked = await self._request(reader, given)
        self.record(verdict, asked)
        writer.write(bytes([VERSION, REPLIES[verdict], 0, 1, 0, 0, 0, 0, 0, 0]))
        return verdict == "connected"

    async def _request(self, reader: asyncio.StreamReader, given: Credentials | None) -> tuple[str, Asked]:
        _, command, _, kind = await reader.readexactly(4)
        if kind == NAME:
            host = (await _counted(reader)).decode("latin-1")
        elif kind in ADDRESS_BYTES:
            host = str(ipaddress.ip_address(await reader.readexactly(ADDRESS_BYTES[kind])))
        else:
            return "bad", Asked("", given)
        port = int.from_bytes(await reader.readexactly(2), "big")
        asked = Asked(f"{host}:{port}", given)
        return ("method" if command != CONNECT else asked.verdict(self.needed)), asked


async def _credentials(reader: asyncio.StreamReader) -> Credentials:
    await reader.readexactly(1)  # the version
    return Credentials((await _counted(reader)).decode(errors="replace"), (await _counted(reader)).decode(errors="replace"))


async def _counted(reader: asyncio.StreamReader) -> bytes:
    """Bytes with their count in one byte in front."""
    (count,) = await reader.readexactly(1)
    return await reader.readexactly(count)
