"""Artifacts: bytes that calls made or callers brought, named by their SHA-256, and what is known of where they are from."""

from collections.abc import Mapping
from typing import Any

import msgspec

from aldgate.core.generation import NO_OPTIONS

LONGEST_LINK_S = 7 * 86_400


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where an artifact is from. Nothing is set of one that was uploaded.

    Attributes:
        prompt_sha256: Of the prompt in UTF-8, in hex: whether two were made of the same, without keeping what that was.
        parents: Ids of the artifacts that it was made from.
    """

    call_id: str | None = None
    job_id: str | None = None
    operation: str | None = None
    engine: str | None = None
    model: str | None = None
    seed: int | None = None
    prompt_sha256: str | None = None
    cost_microusd: int = 0
    parents: tuple[str, ...] = ()


UPLOADED = Provenance()


class StoredArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an artifact; its content is kept under `sha256`. Times in Unix seconds.

    Attributes:
        account: Whose it is; to everybody else it is not there.
        mime: What its content was found to be.
        facts: Width, height, duration and so on, by the engine's names; made of what JSON has.
        expires_at: None: it is kept until it is deleted.
    """

    id: str
    account: str
    sha256: str
    mime: str
    bytes: int
    name: str
    created_at: float
    expires_at: float | None = None
    provenance: Provenance = UPLOADED
    facts: Mapping[str, Any] = NO_OPTIONS
