"""A proxy is named in words, its password never."""

import pytest

from wasession_pod.proxies import Proxy

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("url", ["http://ana:p%40ss@proxy.example:3128", "socks5://ana:p%40ss@proxy.example:3128/"])
def test_an_error_names_the_proxy_and_no_secret(url: str) -> None:
    proxy = Proxy(url)
    words = proxy.explain(f"dial {url}: refused (p@ss, p%40ss)")
    assert words.startswith("through the proxy proxy.example:3128: dial ")
    assert "p@ss" not in words
    assert "p%40ss" not in words
    assert "ana" not in words


def test_a_proxy_without_a_password_has_no_secret() -> None:
    proxy = Proxy("http://proxy.example:3128")
    assert (proxy.secrets, proxy.where) == ((), "proxy.example:3128")
    assert proxy.explain("EOF") == "through the proxy proxy.example:3128: EOF"
