"""`aldgate explain`: what would become of a call, and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from aldgate.cli.client import connect
from aldgate.cli.options import Json, Url
from aldgate.cli.output import say, say_json, say_table

OPERATIONS = ("chat", "complete", "embed", "moderate", "rerank")


def explain(
    model: Annotated[str, typer.Argument(help="A model, route or alias.")],
    operation: Annotated[str, typer.Option(help="What for: chat, complete, embed, moderate, rerank.")] = "chat",
    message: Annotated[str, typer.Option(help="What would be sent.")] = "Hello",
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The bound on the answer's tokens.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Id of the key that would call; for admins.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what would become of a call, without making it."""
    if operation not in OPERATIONS:
        raise typer.BadParameter(f"`{operation}` is none of {', '.join(OPERATIONS)}", param_hint="--operation")
    body: dict[str, Any] = {"operation": operation, "model": model, **_request(operation, message)}
    body |= {} if max_tokens is None else {"max_tokens": max_tokens}
    body |= {} if key is None else {"key_id": key}
    told = connect(url, admin=key is not None).call("POST", "/v1/explain", body=body)
    if as_json:
        return say_json(told)
    say_table(["verdict", told["verdict"]], [row for row in _summary(told) if row[1]])
    rows = [_row(each) for each in _candidates(told)]
    if rows:
        say("")
        say_table(["order", "deployment", "verdict", "request", "for", "against"], rows)


def _request(operation: str, message: str) -> dict[str, Any]:
    match operation:
        case "chat":
            return {"messages": [{"role": "user", "content": message}]}
        case "complete":
            return {"prompt": message}
        case "rerank":
            return {"query": message, "documents": [message]}
        case _:
            return {"input": message}


def _summary(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    who, model, estimate = told["who"], told["model"], told["estimate"]
    for reason in told["reasons"]:
        yield "because", f"{reason['status']} {reason['code']}: {reason['message']}"
    yield "key", f"{who['name']} ({who['id']})"
    yield "scopes", " ".join(who["scopes"]) or "none"
    if model is not None:
        yield "model", f"{model['asked']}: {model['matched'] or 'not known'}"
    for limit in told["limits"]:
        reset = "" if limit["reset_s"] is None else f", all again in {limit['reset_s']:g} s"
        yield limit["what"], f"{limit['left']} of {limit['limit']} left{reset}"
    for budget in told["budgets"]:
        whose = f" of {budget['level']}" if budget["level"] else ""
        needed = f", this call needs up to ${budget['needed']['usd']}" if budget["needed"] else ""
        cut = "; its output would be cut" if budget["cuts_output"] else ""
        yield f"budget{whose}", f"${budget['free']['usd']} of ${budget['limit']['usd']} free in {budget['period']}{needed}{cut}"
    if estimate is not None:
        yield "tokens", f"about {estimate['input_tokens']} in, {estimate['output_tokens']} out"
        yield "cost", _cost(estimate, _order(told))


def _order(told: Mapping[str, Any]) -> list[str]:
    """Those that would be asked, one after the other."""
    return [each["deployment"] for each in sorted(_candidates(told), key=lambda each: each["order"] or 0) if each["order"]]


def _cost(estimate: Mapping[str, Any], asked: Sequence[str]) -> str:
    """What the call would cost at the first of those `asked`, and at the dearest of them."""
    whose = (f" ({asked[0]})", " (the dearest)") if len(asked) > 1 else ("", "")
    told = zip(("about", "at most"), ("expected", "most"), whose, strict=True)
    return " ".join(f"{name} ${estimate[field]['usd']}{who}" for name, field, who in told if estimate[field] is not None)


def _candidates(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    route = told["route"]
    if route is not None:
        yield from route["candidates"]
        for stage in route["fallbacks"]:
            yield from stage["candidates"]


def _row(candidate: Mapping[str, Any]) -> list[Any]:
    translation = candidate["translation"]
    request = None
    if translation is not None:
        denied, left_out = translation["denial"], ", ".join(translation["left_out"])
        request = denied["message"] if denied else translation["how"] + (f", without {left_out}" if left_out else "")
    reasons = ("; ".join(candidate[side]) or None for side in ("for", "against"))
    return [candidate["order"], candidate["deployment"], candidate["verdict"], request, *reasons]
