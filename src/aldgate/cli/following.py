"""Following a job to its end, with a bar that moves while it does."""

import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from aldgate.cli.client import Client
from aldgate.cli.errors import CliError
from aldgate.cli.output import note, plain

Job = dict[str, Any]
LOOK_S = 1
"""So often the gate is asked how far it is; the end is told at once."""
ENDED = ("succeeded", "failed", "cancelled")


def path_of(job_id: str, below: str = "") -> str:
    """Where a job is."""
    return f"/v1/jobs/{quote(job_id, safe='')}{below}"


def follow(client: Client, job: Job) -> Job:
    """The job once it has ended; how far it is is shown meanwhile on standard error.

    Raises:
        CliError: The gate could not be asked any more; the job goes on.
    """
    with _showing(job) as show:
        while job["state"] not in ENDED:
            try:
                job = client.call("GET", path_of(job["id"]), query={"wait": str(LOOK_S)})
            except CliError as error:
                hint = f"the job goes on: `aldgate jobs watch {job['id']}` follows it again"
                raise CliError(error.message, hint=hint, status=error.status) from None
            show(job)
    return job


def part(job: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One of a job's objects, like `error`; empty where it has none."""
    found: dict[str, Any] = job.get(name) or {}
    return found


def made_by(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The artifacts that it made."""
    found: list[dict[str, Any]] = part(job, "result").get("artifacts") or []
    return found


def check_success(job: Job) -> None:
    """Refuse to go on with a job that came to nothing.

    Raises:
        CliError: It failed or was cancelled.
    """
    if job["state"] != "succeeded":
        reason = part(job, "error").get("message") or "it says no more"
        hint = f"`aldgate jobs show {job['id']}` tells more, `aldgate jobs retry {job['id']}` tries again"
        raise CliError(
            f"{job['id']} {job['state']}: {reason}" if job["state"] == "failed" else f"{job['id']} was cancelled", hint=hint
        )


def standing(job: Mapping[str, Any]) -> str:
    """How far it is, in a few words: `running 40 %, step 8/20`."""
    progress = part(job, "progress")
    parts = [] if progress.get("fraction") is None or job["state"] in ENDED else [f"{100 * progress['fraction']:.0f} %"]
    if progress.get("step") is not None and job["state"] not in ENDED:
        parts.append(f"step {progress['step']}/{progress['steps']}" if progress.get("steps") else f"step {progress['step']}")
    return " ".join([job["state"], ", ".join(parts)]).strip()


def why(job: Mapping[str, Any]) -> str:
    """Why it waits, or what its engine says."""
    return job.get("waits_for") or part(job, "progress").get("message") or ""


@contextmanager
def _showing(job: Job) -> Generator[Callable[[Job], None]]:
    if not sys.stderr.isatty():
        yield _lines(job)
        return
    # 80 ms that commands which show no bar need not pay.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[why]}", markup=False)
    began = time.time()
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(standing(job), total=None, why=plain(why(job)))

        def show(job: Job) -> None:
            fraction = part(job, "progress").get("fraction")
            said = plain(why(job)).replace("\n", " ")
            total = None if fraction is None else 1.0
            bar.update(task, refresh=True, description=standing(job), total=total, completed=fraction or 0.0, why=said)

        show(job)
        yield show
    note(f"{job['id']} ended after {time.time() - began:.0f} s")


def _lines(job: Job) -> Callable[[Job], None]:
    """Into a file or a pipe: a line where its state or the reason changes."""
    told: list[tuple[str, str]] = []

    def show(job: Job) -> None:
        now = (job["state"], job.get("waits_for") or "")
        if told[-1:] != [now]:
            told.append(now)
            note(": ".join(filter(None, (f"{job['id']} {job['state']}", now[1]))))

    show(job)
    return show
