"""`aldgate usage`: what was used and what it cost."""

from typing import Annotated

import typer

from aldgate.cli.client import connect
from aldgate.cli.options import Json, Url
from aldgate.cli.output import say_json, say_table

GROUPS = ("key", "model", "day")
COUNTS = {
    "calls": "calls",
    "errors": "errors",
    "prompt_tokens": "input tokens",
    "completion_tokens": "output tokens",
    "cached_tokens": "cached",
}


def usage(
    by: Annotated[str, typer.Option(help="What to sum by: any of key, model, day, separated by commas.")] = "key,model,day",
    since: Annotated[str | None, typer.Option(help="First day or time (UTC), like 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Day or time to stop before.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Sum calls, tokens and cost."""
    groups = [group.strip() for group in by.split(",") if group.strip()]
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise typer.BadParameter(f"`{unknown[0]}` is none of key, model, day", param_hint="--by")
    asked = {"group_by": ",".join(groups), "since": since, "until": until}
    query = {name: value for name, value in asked.items() if value is not None}
    answer = connect(url).call("GET", "/v1/usage", query=query)
    if as_json:
        return say_json(answer)
    # 40 ms that `--help` and `--json` need not pay.
    from aldgate.core.terms import format_usd

    rows = [
        [*(row.get(group) for group in groups), *(row[name] for name in COUNTS), f"${format_usd(row['cost_microusd'])}"]
        for row in answer["data"]
    ]
    say_table([*groups, *COUNTS.values(), "cost"], rows)
