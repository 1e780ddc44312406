"""Records of artifacts in every store: whose they are, how long they are kept, what holds them."""

import pytest
from msgspec.structs import replace

from aldgate.core.artifacts import Provenance, StoredArtifact
from aldgate.core.errors import Conflict, StorageFull
from aldgate.core.files import StoredFile
from aldgate.storage import Store
from tests.store.rows import NOON

MADE = StoredArtifact(
    id="art-1",
    account="key-1",
    sha256="ab" * 32,
    mime="image/png",
    bytes=5_000,
    name='a "día".png',
    created_at=NOON,
    provenance=Provenance(
        call_id="req-1",
        job_id="job-1",
        operation="image",
        engine="builtin",
        model="svg",
        seed=2**63 - 1,
        prompt_sha256="cd" * 32,
        cost_microusd=12,
        parents=("art-0",),
    ),
    facts={"width": 512, "nested": {"a": [1, None]}},
)
QUOTA = 12_000


async def test_one_comes_back_as_it_was_kept(store: Store):
    await store.add_artifact(MADE, None)
    assert await store.get_artifact("art-1", NOON) == MADE
    assert await store.get_artifact("art-2", NOON) is None
    with pytest.raises(Conflict):
        await store.add_artifact(MADE, None)


async def test_they_are_listed_newest_first(store: Store):
    kept = [replace(MADE, id=f"art-{number}", created_at=NOON + number // 2) for number in range(5)]
    for each in (*kept, replace(MADE, id="other", account="key-2")):
        await store.add_artifact(each, None)
    listed = await store.list_artifacts("key-1", NOON, after=None, limit=3)
    assert [each.id for each in listed] == ["art-4", "art-3", "art-2"]
    rest = await store.list_artifacts("key-1", NOON, after=listed[-1], limit=10)
    assert [each.id for each in rest] == ["art-1", "art-0"]


async def test_an_account_has_a_bound_that_what_was_made_may_pass(store: Store):
    await store.add_artifact(MADE, QUOTA)
    await store.add_artifact(replace(MADE, id="art-2"), QUOTA)
    with pytest.raises(StorageFull):
        await store.add_artifact(replace(MADE, id="art-3", bytes=0), QUOTA)
    await store.check_artifact_room("key-1", QUOTA)
    await store.add_artifact(replace(MADE, id="art-3"), None)
    with pytest.raises(StorageFull):
        await store.check_artifact_room("key-1", QUOTA)
    await store.check_artifact_room("key-2", QUOTA)


async def test_they_go_when_they_expire_or_are_deleted(store: Store):
    await store.add_artifact(replace(MADE, expires_at=NOON + 10), None)
    assert await store.get_artifact("art-1", NOON + 9.9) is not None
    assert await store.get_artifact("art-1", NOON + 10) is None
    assert await store.list_artifacts("key-1", NOON + 10, after=None, limit=9) == []
    assert await store.delete_expired_artifacts(NOON + 9) == 0
    assert await store.delete_expired_artifacts(NOON + 10) == 1
    await store.add_artifact(MADE, None)
    assert not await store.delete_artifact("key-2", "art-1")
    assert await store.delete_artifact("key-1", "art-1") and not await store.delete_artifact("key-1", "art-1")


async def test_what_is_held_stays(store: Store):
    await store.add_artifact(replace(MADE, expires_at=NOON + 10), None)
    assert await store.hold_artifacts("job-1", ["art-1", "gone"]) == {"art-1"}
    assert await store.hold_artifacts("job-1", ["art-1"]) == {"art-1"}
    assert await store.hold_artifacts("job-2", ["art-1"]) == {"art-1"}
    assert await store.hold_artifacts("job-2", []) == set()
    for holder in ("job-1", "job-2"):
        assert await store.delete_expired_artifacts(NOON + 20) == 0
        assert (await store.get_artifact("art-1", NOON + 20)) is not None
        with pytest.raises(Conflict):
            await store.delete_artifact("key-1", "art-1")
        await store.release_artifacts(holder)
    assert await store.delete_expired_artifacts(NOON + 20) == 1


async def test_contents_are_shared_by_files_and_artifacts(store: Store):
    await store.add_artifact(MADE, None)
    await store.add_file(StoredFile("file-1", "key-1", "vision", "a", 1, "ef" * 32, NOON), 10**6)
    assert await store.unused_contents([MADE.sha256, "ef" * 32, "00" * 32]) == {"00" * 32}
