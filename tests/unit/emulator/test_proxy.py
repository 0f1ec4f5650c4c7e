import pytest

from waemulator.proxy import ANSWERS, judge

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("head", "verdict", "target"),
    [
        (b"CONNECT web.whatsapp.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", "connected", "web.whatsapp.com:443"),
        (b"CONNECT mmg.whatsapp.net:443 HTTP/1.1\r\n\r\n", "connected", "mmg.whatsapp.net:443"),
        (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", "host", "example.org:443"),
        (b"CONNECT web.whatsapp.com.example.org:443 HTTP/1.1\r\n\r\n", "host", "web.whatsapp.com.example.org:443"),
        (b"CONNECT web.whatsapp.com:22 HTTP/1.1\r\n\r\n", "host", "web.whatsapp.com:22"),
        (b"CONNECT 10.0.0.1 HTTP/1.1\r\n\r\n", "host", "10.0.0.1"),
        (b"GET http://web.whatsapp.com/ HTTP/1.1\r\n\r\n", "method", "http://web.whatsapp.com/"),
        (b"\xff\xfe\r\n\r\n", "bad", ""),
        (b"\r\n\r\n", "bad", ""),
    ],
)
def test_only_whatsapps_hosts_are_connected(head: bytes, verdict: str, target: str) -> None:
    assert judge(head) == (verdict, target)
    assert ANSWERS[verdict].startswith(b"HTTP/1.1 ")
