"""What the facade relies on from the API server: uid preconditions, pages, expired versions."""

from collections.abc import AsyncIterator

import pytest
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
