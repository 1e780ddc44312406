"""`aldgate generate`: have something made, wait for it, and save it."""

import json
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from aldgate.cli.chat import first_model, text_of
from aldgate.cli.client import Client, connect
from aldgate.cli.errors import CliError
from aldgate.cli.following import check_success, follow, made_by, part, path_of
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say, say_bytes, say_json
from aldgate.cli.saving import FORMATS, check_free, odd_suffix, places, save

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


class What(StrEnum):
    """What is to be made."""

    image = "image"
    video = "video"
    audio = "audio"
    music = "music"
    speech = "speech"
    mesh = "mesh"
    text = "text"


def generate(
    what: Annotated[What, typer.Argument(help="What to make.")],
    prompt: Annotated[str, typer.Argument(help="Of what; of speech, what to say. `-` reads standard input.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File or folder; `-` is standard output.")] = None,
    model: Annotated[str, typer.Option(help="As in engine/model, or an alias; else the first that can.")] = "",
    engine: Annotated[str, typer.Option(help="Who is to make it.")] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10, help="How many.")] = 1,
    size: Annotated[str | None, typer.Option(help="Pixels, like 1024x768.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same one makes the same.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="More are slower and better.")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, help="How strictly to follow the prompt.")] = None,
    strength: Annotated[float | None, typer.Option(min=0, max=1, help="How far to leave the input behind.")] = None,
    duration: Annotated[float | None, typer.Option(min=0, help="Seconds.")] = None,
    voice: Annotated[str | None, typer.Option(help="Who speaks.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.25, max=4, help="Of speech.")] = None,
    language: Annotated[str | None, typer.Option(help="Like en or pt-BR.")] = None,
    negative: Annotated[str, typer.Option(help="What not to make.")] = "",
    lyrics: Annotated[str, typer.Option(help="What to sing.")] = "",
    form: Annotated[str | None, typer.Option("--format", help="Like png, mp4, wav or glb; else by the file's name.")] = None,
    option: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="The engine's own; repeatable.")] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="[ROLE=]FILE", help="What to begin with, like mask=hole.png; repeatable."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for it, or print the job's id.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Have a picture, film, sound, song, speech, mesh or text made, and save it. Prints where."""
    prompt = sys.stdin.read() if prompt == "-" else prompt
    to_stdout = output == Path("-")
    if to_stdout and (count > 1 or as_json):
        raise typer.BadParameter("standard output takes one thing alone", param_hint="-o -")
    if wait and output is not None and not to_stdout and not output.is_dir():
        check_free(places(output, count, "", ()), force=force)
    client = connect(url)
    if what is What.text and wait and not engine and not inputs:
        return _text(client, prompt, model, output, seed=seed, force=force, as_json=as_json)
    suffix = "" if output is None or to_stdout else output.suffix[1:].lower()
    width, height = _size(size)
    asked: dict[str, Any] = {
        "operation": "chat" if what is What.text else what.value,
        "model": "/".join(filter(None, (engine, model.removeprefix(f"{engine}/") if engine else model))),
        "prompt": prompt,
        "negative_prompt": negative,
        "lyrics": lyrics,
        "count": count if count > 1 else None,
        "seed": seed,
        "width": width,
        "height": height,
        "steps": steps,
        "guidance": guidance,
        "strength": strength,
        "duration_s": duration,
        "voice": voice,
        "speed": speed,
        "language": language,
        "format": form or (None if what is What.text else FORMATS.get(suffix)),
        "options": _options(option or []),
        "inputs": [_input(client, given) for given in inputs or []],
    }
    job = client.call("POST", "/v1/jobs", body={name: value for name, value in asked.items() if value not in (None, "", {}, [])})
    if not wait:
        return say_json(job) if as_json else say(job["id"])
    ended = _followed(client, job)
    if to_stdout:
        return _to_stdout(client, ended)
    _saved(client, ended, output, force=force, as_json=as_json)


def _followed(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """The job when it was done; whoever interrupts has it stopped."""
    try:
        ended = follow(client, job)
    except KeyboardInterrupt:
        stopped = client.call("DELETE", path_of(job["id"]))
        note(f"{job['id']} {'is being stopped' if stopped['state'] in ('scheduled', 'running') else stopped['state']}")
        raise
    check_success(ended)
    return ended


def _to_stdout(client: Client, job: dict[str, Any]) -> None:
    made = made_by(job)
    if not made:
        return say(part(job, "result").get("text") or "")
    for left in made[1:]:
        note(f"left at the gate: {left['id']}")
    say_bytes(client.fetch(made[0]["url"], accept="*/*"))


def _saved(client: Client, job: dict[str, Any], output: Path | None, *, force: bool, as_json: bool) -> None:
    made = made_by(job)
    if not made:
        return _kept_text(part(job, "result").get("text") or "", output, force=force, as_json=as_json, facts=job)
    files = places(output, len(made), job["id"], [each["mime"] for each in made])
    check_free(files, force=force)
    for each, file in zip(made, files, strict=True):
        save(client.fetch(each["url"], accept="*/*"), file, force=force)
        if remark := odd_suffix(file, each):
            note(remark)
        if not as_json:
            say(str(file))
    if as_json:
        say_json({**job, "files": [str(file) for file in files]})


def _text(client: Client, prompt: str, model: str, output: Path | None, *, seed: int | None, force: bool, as_json: bool) -> None:
    """Text of any model, providers' included."""
    model = model or first_model(client)
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True}
    found = "".join(
        text_of(event) for event in client.stream("/v1/chat/completions", body if seed is None else {**body, "seed": seed})
    )
    _kept_text(
        found, None if output == Path("-") else output, force=force, as_json=as_json, facts={"model": model, "text": found}
    )


def _kept_text(text: str, output: Path | None, *, force: bool, as_json: bool, facts: dict[str, Any]) -> None:
    if output is None or output.is_dir():
        return say_json(facts) if as_json else say(text)
    save([text.encode()], output, force=force)
    say_json({**facts, "files": [str(output)]}) if as_json else say(str(output))


def _size(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise typer.BadParameter("write it like 1024x768", param_hint="--size")
    return int(found[1]), int(found[2])


def _options(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise typer.BadParameter(f"`{text}` is not like name=value", param_hint="--option")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _input(client: Client, text: str) -> dict[str, Any]:
    """A file, uploaded; or an artifact that is there, by its id."""
    role, sign, name = text.partition("=")
    if not sign or Path(text).exists():
        role, name = "", text
    wanted = {"role": role} if role else {}
    if name.startswith("art-") and not Path(name).exists():
        return {"artifact": name, **wanted}
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        raise CliError(f"{name} cannot be read: {error.strerror or error}", hint="name a picture, film, sound or mesh") from None
    kept = client.send("/v1/artifacts", data, kind="application/octet-stream", query=[("name", Path(name).name)])
    return {"artifact": kept["id"], **wanted}
