"""Files that callers keep with the gate."""

from typing import Literal

import msgspec

Purpose = Literal["assistants", "batch", "evals", "fine-tune", "user_data", "vision"]
"""What a caller may keep a file for; results of batches are `batch_output`."""

DAY_S = 86_400
LEAST_LIFETIME_S, MOST_LIFETIME_S = 3_600, 30 * DAY_S
"""What `expires_after` may say (https://platform.openai.com/docs/api-reference/files/create)."""
LONGEST_NAME = 255


class StoredFile(msgspec.Struct, frozen=True):
    """What is known of a file; its content is the artifact named `sha256`. Times in Unix seconds."""

    id: str
    account: str
    purpose: str
    filename: str
    bytes: int
    sha256: str
    created_at: float
    expires_at: float | None = None


def lifetime_s(purpose: str) -> int | None:
    """How long a file lives when nothing was said: batches and their results 30 days, all else until it is deleted.

    https://platform.openai.com/docs/api-reference/files/create, https://platform.openai.com/docs/guides/batch
    """
    return MOST_LIFETIME_S if purpose in ("batch", "batch_output") else None


def plain_name(name: str) -> str:
    """A file's name without the path that some clients send with it (RFC 7578, 4.2), and without control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME]
    return "" if kept in (".", "..") else kept
