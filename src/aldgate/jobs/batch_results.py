"""Writing a batch's result files once its lines have ended."""

from __future__ import annotations

from collections.abc import Callable

from aldgate.core.batches import UNDONE, Status, StoredBatch, unanswered
from aldgate.jobs.files import Files, Incoming
from aldgate.storage import BatchStore

PAGE = 16
"""Results held at once; a single one may be `server.max_reply_bytes` long."""
UNBOUNDED = 1 << 60


async def write_results(store: BatchStore, files: Files, batch: StoredBatch, status: Status, now: Callable[[], float]) -> None:
    """Write output and error file, and end the batch with this status.

    Raises:
        LeaseLost: Another worker has it.
        StoreUnavailable: Disk or database did not take it; nothing has changed.
    """
    output = await files.begin(UNBOUNDED)
    errors = await files.begin(UNBOUNDED)
    try:
        await _write_ended(store, batch, output, errors)
        undone = await _write_undone(store, batch, status, errors)
        async with files.turn:
            kept = [
                await files.described(
                    incoming,
                    account=batch.account,
                    purpose="batch_output",
                    filename=f"{batch.id}_{name}.jsonl",
                    lives_s=batch.output_lifetime_s,
                )
                for name, incoming in (("output", output), ("error", errors))
            ]
            await store.finish_batch(batch, status, now(), kept, failed=undone)
    finally:
        output.abort()
        errors.abort()


async def _write_ended(store: BatchStore, batch: StoredBatch, output: Incoming, errors: Incoming) -> None:
    after = 0
    while results := await store.line_results(batch.id, after, PAGE):
        for incoming, is_good in ((output, True), (errors, False)):
            lines = [result.text for result in results if result.is_good is is_good]
            if lines:
                await incoming.write(b"\n".join(lines) + b"\n")
        after = results[-1].line


async def _write_undone(store: BatchStore, batch: StoredBatch, status: Status, errors: Incoming) -> int:
    """Say of the lines that were never called why; returns how many."""
    after = count = 0
    while status in UNDONE and (lines := await store.waiting_lines(batch.id, after, PAGE)):
        said = [unanswered(batch.id, line, *UNDONE[status]) for line in lines]
        await errors.write(b"\n".join(said) + b"\n")
        after, count = lines[-1].line, count + len(lines)
    return count
