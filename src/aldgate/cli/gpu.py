"""`aldgate gpu`: what GPUs hold, and having it given back."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from aldgate.cli.client import connect
from aldgate.cli.errors import CliError
from aldgate.cli.group import Help
from aldgate.cli.options import Json, Url
from aldgate.cli.output import note, say, say_json, say_table

app = typer.Typer()


@app.callback(invoke_without_command=True, add_help_option=False)
def gpu(
    context: typer.Context,
    show_status: Annotated[bool, typer.Option("--status", "-s", help="The same as `aldgate gpu status`.")] = False,
    stop_model: Annotated[str, typer.Option("--stop", metavar="MODEL", help="The same as `aldgate gpu stop MODEL`.")] = "",
    stop_every: Annotated[bool, typer.Option("--stop-all", help="The same as `aldgate gpu stop-all`.")] = False,
    show_list: Annotated[bool, typer.Option("--list", "-l", help="Only the engines that work on GPUs.")] = False,
    url: Url = None,
    as_json: Json = False,
    show_help: Help = False,
) -> None:
    """Show what GPUs hold, and have engines give it back. Without a command or an option: the status."""
    del show_help
    if context.invoked_subcommand is not None:
        return
    if stop_model:
        stop(stop_model, url, as_json)
    if stop_every:
        stop_all(url, as_json)
    if show_list:
        list_engines(url, as_json)
    if show_status or not (stop_model or stop_every or show_list):
        status(url, as_json)


@app.command()
def status(url: Url = None, as_json: Json = False) -> None:
    """Show devices, who is resident, and which other programs are on them."""
    found = connect(url, admin=True).call("GET", "/gpu/status")
    if as_json:
        return say_json({name: found[name] for name in ("gpu", "loaded_models", "gpu_processes")})
    if found["gpu"] is None:
        return note("there is no GPU here, and none is declared in [devices]")
    rows = found["gpu"]["gpus"]
    columns = ["device", "name", "total", "used", "free", "busy", "others"]
    say_table(columns, [_device(each) for each in rows])
    residents = [(gpu["device"], each) for gpu in rows for each in gpu["residencies"]]
    if residents:
        say("")
        shown = [
            (device, each["engine"], each["state"], f"{each['memory_mb']} MiB", each["running"], each.get("reason", ""))
            for device, each in residents
        ]
        say_table(["device", "engine", "state", "memory", "jobs", "why"], shown)
    if found["gpu_processes"]:
        say("")
        say_table(["pid", "process", "memory"], [(each["pid"], each["name"], each["memory"]) for each in found["gpu_processes"]])


@app.command()
def stop(model: str, url: Url = None, as_json: Json = False) -> None:
    """Have an engine give its memory back, or with ENGINE/MODEL one of its models."""
    _told(connect(url, admin=True).call("POST", "/admin/gpu/stop", body={"model": model}), as_json)


@app.command("stop-all")
def stop_all(url: Url = None, as_json: Json = False) -> None:
    """Have all engines that work on nothing give their memory back. Exits with 1 if some did not."""
    _told(connect(url, admin=True).call("POST", "/admin/gpu/free", body={}), as_json)


@app.command()
def free(device: str, url: Url = None, as_json: Json = False) -> None:
    """Have the engines on one device that work on nothing give their memory back. Exits with 1 if some did not."""
    _told(connect(url, admin=True).call("POST", "/admin/gpu/free", body={"device": device}), as_json)


def list_engines(url: str | None, as_json: bool) -> None:
    """The engines that work on devices, whether they are resident or not."""
    found = connect(url, admin=True).call("GET", "/gpu/status")
    if as_json:
        return say_json({"engines": found["engines"], "loaded_models": found["loaded_models"]})
    loaded = set(found["loaded_models"])
    say_table(["engine", "loaded"], [(name, "yes" if name in loaded else "no") for name in found["engines"]])


def _device(gpu: Mapping[str, Any]) -> tuple[Any, ...]:
    busy = None if gpu["utilization"] is None else f"{gpu['utilization']} %"
    memory = (f"{gpu[name]} MiB" for name in ("total_mb", "used_mb", "free_mb"))
    return (gpu["device"], gpu["name"], *memory, busy, f"{gpu['foreign_mb']} MiB")


def _told(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(answer)
    else:
        for name in answer["stopped"]:
            say(f"{name} has left")
    left = answer.get("left", [])
    if left:
        raise CliError(f"still there: {', '.join(left)}", hint="`aldgate gpu status` shows who works; the gate's log says more")
