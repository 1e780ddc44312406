"""What openai-python's `files` and `batches` get."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types import Batch, FileDeleted, FileObject

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.clients.openai_python import Sdk
from tests.jobs.running import CHAT, jsonl, line

pytestmark = pytest.mark.anyio
ENDED = ("completed", "failed", "expired", "cancelled")


async def ended(sdk: Sdk, batch: Batch) -> Batch:
    def retrieve(client: Any) -> Any:
        return client.batches.retrieve(batch.id)

    async with asyncio.timeout(20):
        while batch.status not in ENDED:
            batch = await sdk.call(retrieve)
    return batch


async def begun(sdk: Sdk, content: bytes, **more: Any) -> tuple[FileObject, Batch]:
    file = await sdk.call(lambda client: client.files.create(file=("in.jsonl", content), purpose="batch"))
    wanted: dict[str, Any] = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h", **more}
    return file, await sdk.call(lambda client: client.batches.create(**wanted))


async def test_files(sdk: Sdk) -> None:
    made = await sdk.call(
        lambda client: client.files.create(
            file=("notes.txt", b"some notes", "text/plain"),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
    )
    assert isinstance(made, FileObject)
    assert (made.filename, made.bytes, made.purpose, made.status) == ("notes.txt", 10, "user_data", "processed")
    assert made.expires_at == made.created_at + 3_600
    assert await sdk.call(lambda client: client.files.retrieve(made.id)) == made
    assert await sdk.call(lambda client: client.files.wait_for_processing(made.id)) == made
    content = await sdk.call(lambda client: client.files.content(made.id))
    assert content.content == b"some notes"
    more = [await sdk.call(lambda client: client.files.create(file=b"x", purpose="evals")) for _ in range(4)]
    listed = await sdk.stream(lambda client: client.files.list(limit=2, order="asc"))
    assert [file.id for file in listed] == [made.id, *(file.id for file in more)]
    gone = await sdk.call(lambda client: client.files.delete(made.id))
    assert gone == FileDeleted(id=made.id, deleted=True, object="file")
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.call(lambda client: client.files.content(made.id))
    assert caught.value.code == "not_found"


async def test_a_batch(sdk: Sdk, upstream: FakeUpstream) -> None:
    file, batch = await begun(sdk, jsonl([line("a"), line("b", model="nobody/knows")]), metadata={"run": "1"})
    assert isinstance(batch, Batch) and batch.status == "validating" and batch.input_file_id == file.id
    done = await ended(sdk, batch)
    assert (done.status, done.metadata, done.errors) == ("completed", {"run": "1"}, None)
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (2, 1, 1)
    assert done.usage.total_tokens == 15
    output = (await sdk.call(lambda client: client.files.content(done.output_file_id))).text
    (answer,) = [json.loads(each) for each in output.splitlines()]
    assert openai.types.chat.ChatCompletion.model_validate(answer["response"]["body"]).usage.total_tokens == 15
    errors = (await sdk.call(lambda client: client.files.content(done.error_file_id))).text
    assert json.loads(errors)["response"]["body"]["error"]["code"] == "model_not_found"
    assert [each.id for each in await sdk.stream(lambda client: client.batches.list(limit=1))] == [batch.id]


async def test_a_bad_batch(sdk: Sdk, upstream: FakeUpstream) -> None:
    _, batch = await begun(sdk, b"no json\n")
    failed = await ended(sdk, batch)
    assert (failed.status, failed.errors.data[0].code, failed.errors.data[0].line) == ("failed", "invalid_json_line", 1)
    with pytest.raises(openai.ConflictError):
        await sdk.call(lambda client: client.with_options(max_retries=0).batches.cancel(batch.id))


async def test_a_cancelled_batch(sdk: Sdk, upstream: FakeUpstream) -> None:
    valve = Valve()
    upstream.script(faults.hang_before_head(valve))
    _, batch = await begun(sdk, jsonl([line("a")]))
    async with asyncio.timeout(5):
        await upstream.saw_requests(1)
    cancelling = await sdk.call(lambda client: client.batches.cancel(batch.id))
    assert cancelling.status == "cancelling"
    valve.open()
    cancelled = await ended(sdk, cancelling)
    assert (cancelled.status, cancelled.request_counts.completed) == ("cancelled", 1)
