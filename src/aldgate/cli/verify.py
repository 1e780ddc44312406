"""`aldgate verify`: sees that what callers need works, from outside.

Options and exit codes are those of the Local AI Gateway's tools.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from aldgate.cli.client import DEFAULT_URL
from aldgate.cli.errors import CliError
from aldgate.cli.group import group
from aldgate.cli.output import note, say
from aldgate.cli.probe import Answer, Probe
from aldgate.config.environment import merged_environment
from aldgate.config.secret import is_reference, resolve_reference

app = group("See that what callers need works, from outside.")

GENERATE_S = 120.0
LOOK_S = 20.0
LEAST_IMAGE = 20
"""Characters of base64 that a picture has at least."""
KEYS = ("ALDGATE_API_KEY", "ALDGATE_ADMIN_KEY", "GATEWAY_BEARER_TOKEN", "GATEWAY_BEARER_TOKENS")
PICTURE: dict[str, Any] = {"prompt": "a picture to see whether pictures are made", "size": "256x256", "n": 1}


class _Failed(Exception):
    """A check found what should not be."""


@app.command()
def images(
    gateway_base_url: Annotated[
        str | None, typer.Option(help=f"Where the gate answers; else ALDGATE_URL, else {DEFAULT_URL}.")
    ] = None,
    token: Annotated[
        str, typer.Option(help="Key to ask with; else ALDGATE_API_KEY, ALDGATE_ADMIN_KEY or GATEWAY_BEARER_TOKEN(S).")
    ] = "",
    also_check_a1111: Annotated[
        str, typer.Option("--also-check-a1111", metavar="A1111_BASE_URL", help="Have AUTOMATIC1111 make one, too.")
    ] = "",
    also_check_openai_images: Annotated[
        str, typer.Option(metavar="IMAGES_BASE_URL", help="Have a server like OpenAI's make one, too.")
    ] = "",
    openai_images_model: Annotated[str, typer.Option(help="What that server is to make it with.")] = "",
    check_ui: Annotated[bool, typer.Option("--check-ui", help="Also ask for one as the web page does, without a key.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Accept any certificate.")] = False,
) -> None:
    """Have one picture made, and look at what comes. Exits 0 if all is well, 2 if not."""
    environment = merged_environment(Path.cwd())
    base = gateway_base_url or environment.get("ALDGATE_URL") or DEFAULT_URL
    key = token.strip() or _key(environment)

    def probe(url: str, timeout_s: float = GENERATE_S) -> Probe:
        return Probe(url.rstrip("/"), timeout_s=timeout_s, is_verified=not insecure)

    try:
        if also_check_a1111:
            said = "it answers, its API is on, and it made a picture"
            _checked("[1/3]", f"AUTOMATIC1111 at {also_check_a1111}", said, lambda: _check_a1111(probe, also_check_a1111))
        if also_check_openai_images:
            if not openai_images_model:
                raise _Failed("--also-check-openai-images needs --openai-images-model")
            asked = {**PICTURE, "model": openai_images_model, "response_format": "b64_json"}
            where, said = f"the images server at {also_check_openai_images}", "it answers, and gave a picture as b64_json"
            _checked("[1/3]", where, said, lambda: _check_pictures(probe(also_check_openai_images), asked, ""))
        asked = {**PICTURE, "response_format": "b64_json"}
        if key:
            said = "/v1/images/generations gave a picture as b64_json"
            _checked("[2/3]", f"pictures at {base}", said, lambda: _check_pictures(probe(base), asked, key))
        else:
            say("Skipping /v1/images/generations: there is no key (--token)")
        if check_ui:
            said = "/ui/api/image gave a picture as b64_json"
            _checked("[3/3]", f"the page's way at {base}", said, lambda: _check_pictures(probe(base), asked, "", "/ui/api/image"))
    except (_Failed, CliError) as error:
        note(f"ERROR: {error.message if isinstance(error, CliError) else error}")
        raise typer.Exit(2) from None


def _key(environment: Any) -> str:
    for name in KEYS:
        for each in environment.get(name, "").split(","):
            if each.strip():
                return resolve_reference(each.strip(), environment) if is_reference(each.strip()) else each.strip()
    return ""


def _checked(place: str, what: str, said: str, check: Callable[[], None]) -> None:
    say(f"{place} Checking {what} ...")
    check()
    say(f"OK: {said}")


def _check_a1111(probe: Callable[..., Probe], url: str) -> None:
    listed = _value(_good(probe(url, LOOK_S).ask("GET", "/sdapi/v1/sd-models"), "GET /sdapi/v1/sd-models"))
    if not isinstance(listed, list):
        raise _Failed("AUTOMATIC1111 gave no list of models")
    asked: dict[str, Any] = {"prompt": PICTURE["prompt"], "width": 256, "height": 256, "steps": 1, "batch_size": 1, "n_iter": 1}
    asked |= {"seed": 1, "override_settings": {}}
    made = _good(_post(probe(url), "/sdapi/v1/txt2img", asked, ""), "POST /sdapi/v1/txt2img").json().get("images")
    if not (isinstance(made, list) and made and _is_picture(made[0])):  # pyright: ignore[reportUnknownArgumentType] - JSON
        raise _Failed("AUTOMATIC1111 gave no picture")


def _check_pictures(probe: Probe, asked: dict[str, Any], key: str, path: str = "/v1/images/generations") -> None:
    data = _good(_post(probe, path, asked, key), f"POST {path}").json().get("data")
    first: Any = data[0] if isinstance(data, list) and data else None  # pyright: ignore[reportUnknownVariableType] - JSON
    if not (isinstance(first, dict) and _is_picture(first.get("b64_json"))):  # pyright: ignore[reportUnknownMemberType] - JSON
        raise _Failed(f"{probe.url}{path} gave no picture as b64_json")


def _post(probe: Probe, path: str, asked: dict[str, Any], key: str) -> Answer:
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    return probe.ask("POST", path, headers, json.dumps(asked).encode())


def _good(answer: Answer, what: str) -> Answer:
    if answer.status != 200:
        said = answer.body[:500].decode("utf-8", "replace")
        raise _Failed(f"{what} was answered with {answer.status}: {said}" if answer.status else f"{what} was not answered")
    return answer


def _value(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _is_picture(text: Any) -> bool:
    return isinstance(text, str) and len(text) > LEAST_IMAGE
