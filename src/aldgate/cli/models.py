"""`aldgate models`: what can be asked for."""

from typing import Annotated, Any

import typer

from aldgate.cli.client import connect
from aldgate.cli.group import group
from aldgate.cli.options import Json, Url
from aldgate.cli.output import say_json, say_table

_LONG = ["model", "owned by", "context", "most output", "$/M in", "$/M out", "can", "ends"]

app = group("See what models there are.")


@app.command("list")
def list_models(
    url: Url = None,
    as_json: Json = False,
    is_long: Annotated[bool, typer.Option("--long", "-l", help="Also show what is known of each.")] = False,
) -> None:
    """List the models this key can ask for."""
    answer = connect(url).call("GET", "/v1/models")
    if as_json:
        return say_json(answer)
    if is_long:
        return say_table(_LONG, [_known(model) for model in answer["data"]])
    say_table(["model", "owned by"], [[model["id"], model.get("owned_by")] for model in answer["data"]])


def _known(model: dict[str, Any]) -> list[Any]:
    told: dict[str, Any] = model.get("capabilities") or {}
    can = ", ".join(word for word, is_there in told.items() if is_there is True)
    prices: dict[str, Any] = model.get("prices") or {}
    ends = model.get("shutdown_date") or ("deprecated" if model.get("deprecated") else None)
    figures = [model.get("context_window"), model.get("max_output_tokens"), prices.get("input"), prices.get("output")]
    return [model["id"], model.get("owned_by"), *figures, can or None, ends]
