"""Jobs and their attempts as rows."""

from typing import Any

import msgspec
from sqlalchemy import Row

from aldgate.core.generation import Generated, Progress
from aldgate.core.jobs import Attempt, Hold, Job, JobError, Made, Owner, Work, encoded
from aldgate.store.job_tables import job_attempts, jobs

_JSON: dict[str, Any] = {
    "owner": Owner,
    "hold": Hold,
    "progress": Progress,
    "error": JobError | None,
    "extras": dict[str, Any],
    "made": tuple[Made, ...],
    "done": Work,
    "result": Generated | None,
}
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in _JSON.items()}
_BYTES = frozenset({"result"})

PRIORITY = (-jobs.c.rank).label("priority")
JOB = tuple(PRIORITY if name == "priority" else jobs.c[name] for name in Job.__struct_fields__)
BRIEF = tuple(column for column in JOB if column.name != "asked")
ATTEMPT = tuple(job_attempts.c[name] for name in Attempt.__struct_fields__)
_attempt_error = _DECODERS["error"]


def columns(job: Job) -> dict[str, Any]:
    """A new job as a row."""
    fields = msgspec.structs.asdict(job)
    for name in _JSON:
        value = fields[name]
        fields[name] = None if value is None else text(name, value)
    fields["rank"] = -fields.pop("priority")
    return fields | {"account": job.owner.account, "lease_until": 0.0, "preview": None, "preview_mime": None}


def text(name: str, value: Any) -> Any:
    """A field that is kept as JSON, as its column takes it."""
    if value is None:
        return None
    said = encoded(value)
    return said if name in _BYTES else said.decode()


def job_of(row: Row[*tuple[Any, ...]]) -> Job:
    """A job of the columns `JOB` or `BRIEF`."""
    fields: dict[str, Any] = {}
    for name, value in row._mapping.items():  # pyright: ignore[reportPrivateUsage]
        decoder = _DECODERS.get(str(name))
        fields[str(name)] = value if decoder is None or value is None else decoder.decode(value)
    return Job(**fields)


def attempt_of(row: Row[*tuple[Any, ...]]) -> Attempt:
    """An attempt of the columns `ATTEMPT`."""
    fields = dict(zip(Attempt.__struct_fields__, row, strict=True))
    fields["error"] = fields["error"] and _attempt_error.decode(fields["error"])
    return Attempt(**fields)


def attempt_columns(attempt: Attempt) -> dict[str, Any]:
    """A new attempt as a row."""
    return msgspec.structs.asdict(attempt) | {"error": text("error", attempt.error)}
