import pytest

from waemulator import noise
from waemulator.errors import ProtocolViolationError
from waemulator.keys import KeyPair, verify
from waemulator.proto import messages

pytestmark = pytest.mark.unit
CHAIN = b"certificate chain"


class Initiator(noise.Responder):
    """The client's side, by the same primitives in the other order."""

    def __init__(self, static: KeyPair) -> None:
        super().__init__(static, b"")

    def client_hello(self) -> bytes:
        self._mix_hash(self._ephemeral.public)
        hello = messages.HandshakeMessage()
        hello.clientHello.ephemeral = self._ephemeral.public
        return bytes(hello.SerializeToString())

    def finish(self, server_hello: bytes, payload: bytes) -> tuple[bytes, bytes, bytes]:
        """The server's static key and payload, and the second message."""
        hello = messages.HandshakeMessage.FromString(server_hello).serverHello
        self._mix_hash(hello.ephemeral)
        self._mix_key(self._ephemeral.agree(hello.ephemeral))
        theirs = self._decrypt(hello.static)
        self._mix_key(self._ephemeral.agree(theirs))
        chain = self._decrypt(hello.payload)
        finish = messages.HandshakeMessage()
        finish.clientFinish.static = self._encrypt(self._static.public)
        self._mix_key(self._static.agree(hello.ephemeral))
        finish.clientFinish.payload = self._encrypt(payload)
        send, receive = noise._hkdf(self._salt, b"")
        self._receive, self._send = noise._Cipher(receive), noise._Cipher(send)
        return theirs, chain, bytes(finish.SerializeToString())


def shake_hands() -> tuple[Initiator, noise.Responder, KeyPair]:
    server_static, client_static = KeyPair.generate(), KeyPair.generate()
    server, client = noise.Responder(server_static, CHAIN), Initiator(client_static)
    static, chain, finish = client.finish(server.server_hello(client.client_hello()), b"payload")
    assert (static, chain) == (server_static.public, CHAIN)
    assert server.client_finish(finish) == b"payload"
    return client, server, client_static


def test_both_sides_agree_and_the_server_knows_the_clients_static_key() -> None:
    client, server, client_static = shake_hands()
    assert server.client_static == client_static.public
    for text in (b"one", b"two", b""):
        assert server.open(client.seal(text)) == text
        assert client.open(server.seal(text)) == text


def test_a_frame_that_was_changed_or_is_out_of_order_is_refused() -> None:
    client, server, _ = shake_hands()
    first, second = client.seal(b"first"), client.seal(b"second")
    with pytest.raises(ProtocolViolationError, match="does not decrypt"):
        server.open(second)
    with pytest.raises(ProtocolViolationError, match="does not decrypt"):
        server.open(first[:-1] + bytes([first[-1] ^ 1]))


@pytest.mark.parametrize("hello", [b"\xff\xff", b"", messages.HandshakeMessage().SerializeToString()])
def test_a_bad_hello_is_refused(hello: bytes) -> None:
    with pytest.raises(ProtocolViolationError):
        noise.Responder(KeyPair.generate(), CHAIN).server_hello(hello)


def test_nothing_is_sealed_or_opened_before_the_handshake() -> None:
    server = noise.Responder(KeyPair.generate(), CHAIN)
    with pytest.raises(ProtocolViolationError, match="not finished"):
        server.seal(b"x")
    with pytest.raises(ProtocolViolationError, match="not finished"):
        server.open(b"x")


def test_a_signature_holds_for_its_key_and_message_alone() -> None:
    keys = KeyPair.generate()
    signature = keys.sign(b"message")
    assert verify(keys.public, b"message", signature)
    assert not verify(keys.public, b"massage", signature)
    assert not verify(KeyPair.generate().public, b"message", signature)
