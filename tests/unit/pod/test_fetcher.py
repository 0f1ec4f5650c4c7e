"""The fetcher of files by URL: each hop judged anew, pinned to a judged address, bounded, and silent about inner hosts."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_pod.addresses import networks
from wasession_pod.fetcher import Fetched, Fetcher, FetchError, filename, hop, next_hop
from wasession_pod.fetcher import resolve as system_resolve
from wasession_pod.web.client import Answer
from wasession_pod.web.wire import TooLargeError, WebError

pytestmark = pytest.mark.unit
NAMES = {
    "files.example": ["93.184.216.34"],
    "other.example": ["93.184.216.35"],
    "two.example": ["93.184.216.36", "2606:2800:220:1::1"],
    "inner.example": ["10.0.0.7"],
    "mixed.example": ["93.184.216.34", "10.0.0.7"],
    "metadata.example": ["169.254.169.254"],
    "169.254.169.254": ["169.254.169.254"],
    "nothing.example": [],
}


class World:
    """A resolver and the hosts behind it; `answers` by URL."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer | WebError] = {"https://files.example/a.pdf": Answer(200, {}, b"%PDF")}
        self.asked: list[tuple[str, str | None]] = []
        self.resolved: list[str] = []
        self.dead: set[str] = set()

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        self.resolved.append(host)
        if host not in NAMES:
            raise OSError(-2, "Name or service not known")
        return NAMES[host]

    async def request(self, method: str, url: str, *, seconds: float, max_bytes: int, address: str | None) -> Answer:
        assert (method, seconds) == ("GET", 60.0)
        self.asked.append((url, address))
        if address in self.dead:
            raise WebError(f"{address}: connection refused, with inner words")
        answer = self.answers[url]
        if isinstance(answer, WebError):
            raise answer
        if len(answer.body) > max_bytes:
            raise TooLargeError("inner words")
        return answer

    async def fetch(self, url: str, allowed: Sequence[str] = ()) -> Fetched:
        fetcher = Fetcher(max_bytes=100, allowed=networks(allowed), request=self.request, resolve=self.resolve)
        return await fetcher.fetch(url)

    def redirect(self, start: str, *locations: str, status: int = 302) -> None:
        for at, location in zip((start, *locations), locations, strict=False):
            self.answers[at] = Answer(status, {"location": location}, b"")


@pytest.fixture
def world() -> World:
    return World()


async def test_a_file_comes_from_the_one_address_that_was_judged(world: World) -> None:
    assert await world.fetch("https://files.example/a.pdf") == Fetched(b"%PDF", "a.pdf")
    assert world.asked == [("https://files.example/a.pdf", "93.184.216.34")]
    assert world.resolved == ["files.example"]


async def test_the_next_address_is_tried_when_one_is_dead(world: World) -> None:
    world.answers["http://two.example/x"] = Answer(200, {}, b"x")
    world.dead = {"93.184.216.36"}
    assert (await world.fetch("http://two.example/x")).data == b"x"
    assert [address for _, address in world.asked] == NAMES["two.example"]


@pytest.mark.parametrize("host", ["inner.example", "mixed.example", "metadata.example", "nothing.example"])
async def test_a_name_with_one_inner_address_is_not_asked(world: World, host: str) -> None:
    with pytest.raises(FetchError, match=r"\Aaddress not allowed\Z"):
        await world.fetch(f"http://{host}/x")
    assert world.asked == []


async def test_an_allowed_network_is_asked(world: World) -> None:
    world.answers["http://inner.example:8000/x"] = Answer(200, {}, b"x")
    assert (await world.fetch("http://inner.example:8000/x", ["10.0.0.0/24"])).data == b"x"


async def test_redirects_are_followed_and_the_name_is_the_first_urls(world: World) -> None:
    world.redirect("http://other.example/first.png", "/second", "//files.example/third", "https://files.example/a.pdf")
    world.answers["http://other.example/second"] = world.answers["/second"]
    world.answers["http://files.example/third"] = world.answers["//files.example/third"]
    assert await world.fetch("http://other.example/first.png#part") == Fetched(b"%PDF", "first.png")
    assert world.resolved == ["other.example", "other.example", "files.example", "files.example"]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://inner.example/x", "address not allowed"),
        ("https://169.254.169.254/latest/meta-data", "address not allowed"),
        ("http://files.example/a.pdf", "redirects from https to http"),
        ("ftp://files.example/a.pdf", "use http:// or https://"),
        ("file:///etc/passwd", "use http:// or https://"),
        ("https://user:secret@files.example/a.pdf", "must not hold a user or password"),
        ("https://[::1", "redirects to no URL"),
    ],
)
async def test_each_redirect_is_judged_as_the_first_url(world: World, location: str, words: str) -> None:
    world.redirect("https://other.example/x", location)
    with pytest.raises(FetchError, match=words):
        await world.fetch("https://other.example/x")
    assert [url for url, _ in world.asked] == ["https://other.example/x"]


async def test_a_ring_of_redirects_ends(world: World) -> None:
    world.redirect("https://other.example/x", "https://other.example/x")
    with pytest.raises(FetchError, match="more than 5 times"):
        await world.fetch("https://other.example/x")
    assert len(world.asked) == 6


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(404, {}, b"secret words"), "status 404"),
        (Answer(204, {}, b""), "status 204"),
        (Answer(302, {}, b""), "status 302"),
        (Answer(200, {}, b""), "is an empty file"),
        (Answer(200, {}, b"x" * 101), "too large: more than 100 bytes"),
        (WebError("inner words of 10.0.0.7"), "the host does not answer"),
    ],
)
async def test_a_failure_says_little_and_nothing_of_what_was_answered(world: World, answer: Answer | WebError, words: str) -> None:
    world.answers["https://files.example/a.pdf"] = answer
    with pytest.raises(FetchError, match=rf"\A{words}\Z"):
        await world.fetch("https://files.example/a.pdf")


async def test_a_name_that_does_not_resolve(world: World) -> None:
    with pytest.raises(FetchError, match=r"\Athe host's name does not resolve\Z"):
        await world.fetch("https://unknown.example/x")


async def test_a_host_that_never_ends_is_left(world: World) -> None:
    async def hang(_method: str, _url: str, *, seconds: float, max_bytes: int, address: str | None) -> Answer:  # noqa: ARG001
        await asyncio.Event().wait()
        raise AssertionError

    fetcher = Fetcher(max_bytes=100, request=hang, resolve=world.resolve, seconds=0.01)
    with pytest.raises(FetchError, match=r"within 0\.01 s"):
        await fetcher.fetch("https://files.example/a.pdf")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "files.example/a",
        "//files.example/a",
        "file:///etc/passwd",
        "gopher://files.example/",
        "data:image/png;base64,AAAA",
        "http://",
        "http:///x",
        "http://:80/x",
        "http://user@files.example/",
        "http://user:secret@files.example/",
        "http://:@files.example/",
        "http://files.example:0/",
        "http://files.example:99999/",
        "http://files.example:x/",
        "http://files.example\\@inner.example/",
        "http://files.example/a b",
        "http://files.example/\r\nX: y",
        "http://fe80::1%25eth0/",
        "http://[fe80::1%25eth0]/",
        "http://exa mple/",
        "http://a$b/",
        "https://files.example/" + "x" * 5000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(FetchError):
        hop(url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://files.example/a?b=c#d", "files.example", 80),
        ("HTTPS://Files.Example", "files.example", 443),
        ("https://[2606:2800:220:1::1]:8443/", "2606:2800:220:1::1", 8443),
        ("https://bücher.example/", "xn--bcher-kva.example", 443),
    ],
)
def test_a_web_address_is_taken_apart(url: str, host: str, port: int) -> None:
    found = hop(url)
    assert (found.host, found.port) == (host, port)
    assert "#" not in found.url


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_the_judge(url: str, location: str) -> None:
    for judge in (lambda: hop(url), lambda: hop(f"http://{url}"), lambda: next_hop(hop("https://files.example/"), location)):
        try:
            found = judge()
        except FetchError:
            continue
        assert found.scheme in {"http", "https"}
        assert "@" not in found.url.split("/")[2]


@given(st.text(max_size=300))
def test_a_file_name_is_one_part_without_control_characters(path: str) -> None:
    try:
        name = filename(f"https://files.example/{path}")
    except ValueError:
        return
    assert len(name) <= 255
    assert not set(name) & {"/", "\\", "\n", "\0"}


@pytest.mark.parametrize("disguise", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1", "::1", "0"])
async def test_numbers_that_mean_this_machine_are_seen_through(disguise: str) -> None:
    url = f"http://[{disguise}]/" if ":" in disguise else f"http://{disguise}/"
    with pytest.raises(FetchError, match="address not allowed"):
        await Fetcher(max_bytes=100, resolve=system_resolve).fetch(url)
