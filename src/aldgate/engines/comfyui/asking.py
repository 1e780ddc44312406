"""Which workflow a generation is for, and what goes into its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from aldgate.core.errors import InvalidRequest, ModelNotFound
from aldgate.core.generation import Generation, Input
from aldgate.engines.comfyui.workflow import Workflow

_PLAIN = ("prompt", "negative_prompt", "lyrics", "width", "height", "steps", "guidance", "strength", "duration_s", "language")


def workflow_for(asked: Generation, workflows: Mapping[str, Workflow], allowed: list[str] | None) -> tuple[Workflow, str]:
    """The workflow, and the checkpoint if that was asked for instead.

    Args:
        asked: Whose `model` names a workflow, or a checkpoint for the shipped ones, or nothing: then it is the first workflow
            that makes this, and takes a picture if there is one.
        workflows: By name, the likeliest first.
        allowed: What may be asked for; None: everything.

    Raises:
        ModelNotFound: It may not be asked for.
        InvalidRequest: It makes something else, or nothing here makes this.
    """
    if asked.model and allowed is not None and asked.model not in allowed:
        raise ModelNotFound(f"`{asked.model}` is not among the models of this engine.", param="model")
    wanted = asked.model or next((name for name in allowed or () if _fits(workflows.get(name), asked)), "")
    if wanted in workflows:
        workflow = workflows[wanted]
        if workflow.operation != asked.operation:
            raise InvalidRequest(f"The workflow `{wanted}` makes {workflow.operation}, not {asked.operation}.", param="model")
        return workflow, ""
    found = next((each for each in _candidates(workflows, checkpoint=wanted) if _fits(each, asked)), None)
    if found is None:
        raise InvalidRequest(f"This engine has no workflow that makes {asked.operation} of this.", param="model")
    return found, wanted


def values_for(asked: Generation, workflow: Workflow, seed: int) -> dict[str, Any]:
    """What goes into the inputs, except for pictures and checkpoint. It is checked that the workflow has them all.

    Raises:
        InvalidRequest: It has not.
    """
    values = {name: value for name in _PLAIN if (value := getattr(asked, name)) not in (None, "")}
    if asked.seed is not None or "seed" in workflow.inputs:
        values["seed"] = seed
    if asked.count > 1 or "count" in workflow.inputs:
        values["count"] = asked.count
    for name in asked.options:
        if name in values or name in ("seed", "image", "mask"):
            raise InvalidRequest(f"`{name}` is no option; it has a field of its own.", param=name)
    values |= asked.options
    if workflow.needs_image and not any(given.role == "image" for given in asked.inputs):
        raise InvalidRequest(f"The workflow `{workflow.name}` begins with a picture.", param="image")
    workflow.check(values | dict.fromkeys((name for name, _ in named_pictures(asked)), ""))
    return values


def named_pictures(asked: Generation) -> Iterator[tuple[str, Input]]:
    """The pictures of a generation by the names of the inputs they go into: `image`, `image_2` ..., `mask`."""
    counts: dict[str, int] = {}
    for given in asked.inputs:
        counts[given.role] = count = counts.get(given.role, 0) + 1
        yield given.role if count == 1 else f"{given.role}_{count}", given


def checkpoint_for(wanted: str, known: list[str], engine: str) -> str:
    """The file of a checkpoint that was asked for, with or without its ending; empty takes one for SDXL, or any.

    Raises:
        ModelNotFound: It is not installed, or none is.
    """
    if not wanted:
        found = next((name for name in known if "xl" in name.lower()), known[0] if known else None)
    else:
        found = next((name for name in known if wanted in (name, PurePath(name).stem)), None)
    if found is None:
        missing = f"no checkpoint `{wanted}`" if wanted else "no checkpoint"
        raise ModelNotFound(f"The engine `{engine}` has {missing}.", param="model")
    return found


def _candidates(workflows: Mapping[str, Workflow], *, checkpoint: str) -> Iterator[Workflow]:
    return (each for each in workflows.values() if not checkpoint or "checkpoint" in each.inputs)


def _fits(workflow: Workflow | None, asked: Generation) -> bool:
    has_image = any(given.role == "image" for given in asked.inputs)
    return workflow is not None and workflow.operation == asked.operation and workflow.needs_image == has_image
