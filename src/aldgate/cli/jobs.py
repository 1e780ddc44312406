"""`aldgate jobs`: what is being made, and having it stopped or tried again."""

import time
from typing import Annotated, Any

import typer

from aldgate.cli.client import Client, connect
from aldgate.cli.errors import CliError
from aldgate.cli.following import check_success, follow, made_by, part, path_of, standing, why
from aldgate.cli.group import group
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say, say_json, say_table

app = group("List, show, follow, cancel and retry jobs.")

Id = Annotated[str, typer.Argument(metavar="JOB", help="Its id, as in job-0123.")]


@app.command("list")
def list_jobs(
    state: Annotated[
        str | None, typer.Option(help="Only these: queued, scheduled, running, succeeded, failed, cancelled.")
    ] = None,
    operation: Annotated[str | None, typer.Option(help="Only these: image, video, audio, music, speech, mesh ...")] = None,
    engine: Annotated[str | None, typer.Option(help="Only jobs of this engine.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Jobs at most.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="JOB", help="Only older ones than this.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first: one's own, everybody's for administrators."""
    wanted = {"state": state, "operation": operation, "engine": engine, "limit": str(limit), "after": after}
    found = connect(url).call("GET", "/v1/jobs", query={name: value for name, value in wanted.items() if value})
    if as_json:
        return say_json(found)
    say_table(["id", "state", "makes", "model", "age", "cost", "why"], [_row(job) for job in found["data"]])
    if found.get("has_more"):
        note(f"there are more: --after {found['data'][-1]['id']}")


@app.command()
def show(job: Id, url: Url = None, as_json: Json = False) -> None:
    """Show one job."""
    found = connect(url).call("GET", path_of(job))
    if as_json:
        return say_json(found)
    say_table(["what", "is"], list(_facts(found)))


@app.command()
def watch(job: Id, url: Url = None, as_json: Json = False) -> None:
    """Follow a job to its end. Exits with 0 if it was done, with 1 if it failed or was cancelled."""
    client = connect(url)
    _follow(client, client.call("GET", path_of(job)), as_json)


@app.command()
def cancel(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs.")], url: Url = None, as_json: Json = False
) -> None:
    """Have jobs stopped. One that runs ends when its engine has stopped."""
    client = connect(url)
    found = [client.call("DELETE", path_of(job)) for job in jobs]
    if as_json:
        return say_json(found[0] if len(found) == 1 else found)
    for job in found:
        say(f"{job['id']} is being stopped" if job["state"] in ("scheduled", "running") else f"{job['id']} {_ending(job)}")


@app.command()
def retry(
    job: Id,
    wait: Annotated[bool, typer.Option("--watch", help="Follow the new job to its end.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make a job that failed or was cancelled once more, and print the new one's id."""
    client = connect(url)
    try:
        new = client.call("POST", path_of(job, "/retry"), body={})
    except CliError as error:
        if error.status == 405 or error.status == 404 and error.message.startswith("There is nothing at"):
            raise CliError("this gate cannot retry jobs", hint="it is older than this command: update it") from None
        raise
    if wait:
        return _follow(client, new, as_json)
    if as_json:
        return say_json(new)
    say(new["id"])


def _follow(client: Client, job: dict[str, Any], as_json: bool) -> None:
    ended = follow(client, job)
    if as_json:
        say_json(ended)
    check_success(ended)
    if as_json:
        return
    say(f"{ended['id']} succeeded")
    for made in made_by(ended):
        say(f"{made['id']}  {made['mime']}  {made['bytes']} bytes")
    if text := part(ended, "result").get("text"):
        say(text)


def _ending(job: dict[str, Any]) -> str:
    return "was cancelled" if job["state"] == "cancelled" else f"has {job['state']}" if job["state"] != "queued" else "is queued"


def _row(job: dict[str, Any]) -> tuple[Any, ...]:
    said = part(job, "error").get("message") or why(job)
    return (job["id"], standing(job), job["operation"], job["model"], _age(job["created_at"]), _usd(job), said or None)


def _facts(job: dict[str, Any]) -> list[tuple[str, Any]]:
    error = part(job, "error")
    facts: list[tuple[str, Any]] = [
        ("id", job["id"]),
        ("state", standing(job)),
        ("why", why(job) or None),
        ("makes", job["operation"]),
        ("engine", job["engine"]),
        ("model", job["model"]),
        ("made", _when(job["created_at"])),
        ("begun", _when(job.get("started_at"))),
        ("ended", _when(job.get("ended_at"))),
        ("attempts", job["attempts"]),
        ("cost", _usd(job)),
        ("error", f"{error['code']}: {error['message']}" if error else None),
        ("text", part(job, "result").get("text")),
    ]
    facts += [("artifact", f"{made['id']} {made['mime']} {made['bytes']} bytes") for made in made_by(job)]
    return [(name, value) for name, value in facts if value is not None]


def _usd(job: dict[str, Any]) -> str:
    # 40 ms that `--help` and `--json` need not pay.
    from aldgate.core.terms import format_usd

    return f"${format_usd(job.get('cost_microusd') or 0)}"


def _age(at: int) -> str:
    seconds = max(0, int(time.time() - at))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _when(at: int | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
