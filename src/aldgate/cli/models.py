"""`aldgate models`: what can be asked for."""

from aldgate.cli.client import connect
from aldgate.cli.group import group
from aldgate.cli.options import Json, Url
from aldgate.cli.output import say_json, say_table

app = group("See what models there are.")


@app.command("list")
def list_models(url: Url = None, as_json: Json = False) -> None:
    """List the models this key can ask for."""
    answer = connect(url).call("GET", "/v1/models")
    if as_json:
        return say_json(answer)
    say_table(["model", "owned by"], [[model["id"], model.get("owned_by")] for model in answer["data"]])
