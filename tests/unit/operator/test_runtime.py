"""What kopf must not keep or copy: it would for each of thirty thousand objects."""

import kopf
import pytest

from wasession_operator.main import ForgetfulMemories, kopf_settings

pytestmark = pytest.mark.unit
POD = {"metadata": {"name": "one", "namespace": "here", "uid": "uid-1"}, "spec": {"nodeName": "n1"}}


async def test_no_object_is_remembered() -> None:
    memories = ForgetfulMemories()
    first = await memories.recall(POD, noticed_by_listing=True, memobase=None)
    assert await memories.recall(POD) is not first
    assert not list(memories.iter_all_memories())


def test_no_object_is_copied() -> None:
    settings = kopf_settings()
    body = kopf.Body(POD)  # type: ignore[arg-type]
    assert settings.persistence.diffbase_storage.fetch(body=body) is None
    assert settings.persistence.diffbase_storage.build(body=body) == {}
    essence = settings.persistence.progress_storage.clear(essence={"spec": {}})
    assert essence == {"spec": {}}


def test_lists_come_in_pages() -> None:
    assert kopf_settings().watching.chunk_size
