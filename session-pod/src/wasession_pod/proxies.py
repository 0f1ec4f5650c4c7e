"""The session's own way to WhatsApp: a proxy, whose password must not show up anywhere. Pure."""

from urllib.parse import unquote, urlsplit


class Proxy:
    """`http://[USER:PASSWORD@]HOST:PORT`, `https://...` or `socks5://...`.

    Attributes:
        url: all of it, for the client alone.
        where: `HOST:PORT`, for words.
        secrets: what must not be shown: the part before the `@`, and the password as it is written and as it is meant.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        credentials, _, self.where = parts.netloc.rpartition("@")
        password = parts.password or ""
        self.url = url
        self.secrets = tuple(dict.fromkeys(secret for secret in (credentials, password, unquote(password)) if secret))

    def explain(self, words: str) -> str:
        """An error of the client, which may hold the URL, as one that names the proxy and no secret."""
        for secret in self.secrets:
            words = words.replace(secret, "***")
        return f"through the proxy {self.where}: {words}"
