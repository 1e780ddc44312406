"""`aldgate chat`: talk to a model through the gate."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from aldgate.cli.client import Client, connect
from aldgate.cli.errors import CliError
from aldgate.cli.options import Url
from aldgate.cli.output import note, plain

Messages = list[dict[str, str]]


def chat(
    message: Annotated[str | None, typer.Argument(help="What to say; without it, standard input or a conversation.")] = None,
    model: Annotated[str | None, typer.Option(help="Which model; else the first that is listed.")] = None,
    url: Url = None,
) -> None:
    """Say something to a model and print its answer as it comes."""
    client = connect(url)
    if message is None and sys.stdin.isatty():
        return _converse(client, model or first_model(client))
    text = sys.stdin.read() if message is None else message
    if not text.strip():
        raise CliError("there is nothing to say", hint="give a message, like `aldgate chat 'hello'`, or pipe one in")
    _answer(client, model or first_model(client), [{"role": "user", "content": text}])


def _converse(client: Client, model: str) -> None:
    """Turn by turn until an empty line or the end of input. A turn that fails is forgotten, not the conversation."""
    note(f"Talking to {model}. An empty line ends it.")
    messages: Messages = []
    for line in _lines():
        messages.append({"role": "user", "content": line})
        try:
            messages.append({"role": "assistant", "content": _answer(client, model, messages)})
        except CliError as error:
            messages.pop()
            note(f"error: {error.message}\nhint: {error.hint}")


def _lines() -> Iterator[str]:
    while True:
        typer.echo("> ", nl=False, err=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        yield line


def _answer(client: Client, model: str, messages: Messages) -> str:
    """Print the answer piece by piece and return it whole."""
    pieces: list[str] = []
    show = plain if sys.stdout.isatty() else str
    try:
        for event in client.stream("/v1/chat/completions", {"model": model, "messages": messages, "stream": True}):
            piece = text_of(event)
            pieces.append(piece)
            sys.stdout.write(show(piece))
            sys.stdout.flush()
    finally:
        if pieces:
            sys.stdout.write("\n")
    return "".join(pieces)


def text_of(event: dict[str, Any]) -> str:
    """What an event of a streamed answer adds to it."""
    choices: list[dict[str, Any]] = event.get("choices") or []
    delta: dict[str, Any] = (choices[0].get("delta") if choices else None) or {}
    return delta.get("content") or ""


def first_model(client: Client) -> str:
    """The first that is listed.

    Raises:
        CliError: There is none.
    """
    models = client.call("GET", "/v1/models")["data"]
    if not models:
        raise CliError("the gate has no model", hint="set a provider's key, like OPENAI_API_KEY, or add one to aldgate.toml")
    note(f"model: {models[0]['id']}")
    return models[0]["id"]
