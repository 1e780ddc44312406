"""Options that make a policy, shared by all commands that take one."""

import json
from collections.abc import Callable
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from aldgate.cli.errors import CliError

LIMITS = ("rpm", "tpm", "tpd", "concurrency")


def policy_of(
    scope: Annotated[list[str] | None, typer.Option(help="What may be done, like chat or embed; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model that may be called, or a pattern; repeatable.")] = None,
    provider: Annotated[list[str] | None, typer.Option(help="A provider that may answer, or a pattern; repeatable.")] = None,
    endpoint: Annotated[list[str] | None, typer.Option(help="A path that may be called, or a pattern; repeatable.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="An address or network calls may come from; repeatable.")] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests per minute.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens per minute.")] = None,
    tpd: Annotated[int | None, typer.Option(min=1, help="Tokens per day.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls at once.")] = None,
    budget: Annotated[list[str] | None, typer.Option(help="Dollars per period, like 10.00/month; one for each period.")] = None,
    max_output_tokens: Annotated[int | None, typer.Option(min=1, help="Most output tokens of an answer.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends, like 30d, 12h or 90m from now.")] = None,
    policy: Annotated[Path | None, typer.Option(help="JSON file of a whole policy; the options above go before it.")] = None,
) -> dict[str, Any]:
    """The policy that these options mean, as the gate takes it; empty if there are none."""
    said: dict[str, Any] = {} if policy is None else read_policy(policy)
    lists = {"scopes": scope, "models": model, "providers": provider, "endpoints": endpoint, "networks": network}
    said |= {field: value for field, value in {**lists, "budgets": budget}.items() if value}
    single = {"max_output_tokens": max_output_tokens, "expires": expires}
    said |= {field: value for field, value in single.items() if value is not None}
    given = dict(zip(LIMITS, (rpm, tpm, tpd, concurrency), strict=True))
    limits = {field: value for field, value in given.items() if value is not None}
    if limits:
        said["limits"] = {**said.get("limits", {}), **limits}
    return said


def read_policy(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CliError: There is none.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CliError(f"{path} holds no policy: {error}", hint='write a JSON object, like {"models": ["gpt-4.1"]}') from None
    if not isinstance(said, dict):
        raise CliError(f"{path} holds no policy", hint='write a JSON object, like {"models": ["gpt-4.1"]}')
    return cast(dict[str, Any], said)


def takes_policy(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; what they mean reaches it as `policy`. Options of its own go before ours of that name."""
    own = [each for name, each in signature(command).parameters.items() if name != "policy"]
    options = {name: each for name, each in signature(policy_of).parameters.items() if name not in {each.name for each in own}}

    def run(**given: Any) -> None:
        said = policy_of(**{name: given.pop(name) for name in options})
        command(**given, policy=said)

    parameters = [*own, *options.values()]
    run.__signature__ = Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess] - what `inspect` and so Typer read
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run
