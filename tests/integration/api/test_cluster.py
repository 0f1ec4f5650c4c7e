"""What the facade relies on from the API server: uid preconditions, pages, expired versions."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from facade_support import Kube

from wasession_api import cluster as cluster_module
from wasession_api.changes import manifest
from wasession_api.cluster import Cluster
from wasession_api.errors import ExpiredError, KubernetesRefusedError
from wasession_api.reflector import Put, Removed
from wasession_api.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
async def cluster(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """The client of the test's namespace."""
    monkeypatch.setenv("KUBECONFIG", str(kube.kubeconfig))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    cluster = Cluster(kube.namespace)
    await cluster.open()
    yield cluster
    await cluster.close()


async def test_only_the_object_that_is_meant_is_touched(cluster: Cluster, kube: Kube) -> None:
    kube.apply("a", {})
    for change in (cluster.delete("a", "other"), cluster.patch("a", "other", {"spec": {"restartedAt": "2026-01-01T00:00:00Z"}})):
        with pytest.raises(KubernetesRefusedError) as refused:
            await change
        assert refused.value.status == 409
    obj = kube.get("a")
    assert obj is not None
    assert "restartedAt" not in obj["spec"]
    await cluster.delete("a", obj["metadata"]["uid"])
    assert await cluster.get("a") is None
    await cluster.delete("a", obj["metadata"]["uid"])


async def test_a_long_list_comes_page_by_page(cluster: Cluster, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "PAGE", 2)
    for n in range(5):
        kube.apply(f"s{n}", {})
    found, version = await cluster.list_all()
    assert [session.metadata.name for session in found] == ["s0", "s1", "s2", "s3", "s4"]
    assert version.isdigit()


async def test_changes_since_a_version(cluster: Cluster) -> None:
    _, version = await cluster.list_all()
    made = await cluster.create(manifest("Mi Bot", Settings(internal_key=b"k" * 16)))
    await cluster.delete(made.metadata.name, made.metadata.uid)
    changes = cluster.watch(version)
    first, second = await anext(changes), await anext(changes)
    await changes.aclose()
    assert isinstance(first, Put)
    assert first.session.session_id == "Mi Bot"
    assert isinstance(second, Removed)
    assert second.name == made.metadata.name
    assert int(version) < int(first.version) < int(second.version)


async def test_a_version_that_is_too_old_is_expired(cluster: Cluster) -> None:
    with pytest.raises(ExpiredError):
        await anext(cluster.watch("1"))


async def test_a_refusal_is_in_the_api_servers_words(cluster: Cluster) -> None:
    body = manifest("a", Settings(internal_key=b"k" * 16, session_timeout=1))
    body["spec"]["idle"]["timeoutSeconds"] = 0
    with pytest.raises(KubernetesRefusedError, match=r"spec\.idle\.timeoutSeconds") as refused:
        await cluster.create(body)
    assert refused.value.status == 422


@pytest.fixture
async def busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Cluster, list[int]]]:
    """The client of an API server that answers with these codes, one after the other."""
    codes: list[int] = []

    async def answer(_: web.Request) -> web.Response:
        code = codes.pop(0)
        items = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "7"}, "items": []}
        return web.json_response(items if code == 200 else {"message": "too many requests"}, status=code, headers={"Retry-After": "0"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    cluster_of = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    kubeconfig = {"clusters": [cluster_of], "users": [{"name": "u", "user": {}}], "contexts": [context], "current-context": "c"}
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    cluster = Cluster("default")
    await cluster.open()
    yield cluster, codes
    await cluster.close()
    await runner.cleanup()


async def test_a_busy_api_server_is_asked_again(busy: tuple[Cluster, list[int]]) -> None:
    cluster, codes = busy
    codes += [429, 429, 429, 200]
    assert await cluster.list_all() == ([], "7")
    assert codes == []


async def test_one_that_stays_busy_is_a_refusal(busy: tuple[Cluster, list[int]]) -> None:
    cluster, codes = busy
    codes += [429] * 5
    with pytest.raises(KubernetesRefusedError, match="429"):
        await cluster.list_all()
    assert len(codes) == 1, "four tries"
