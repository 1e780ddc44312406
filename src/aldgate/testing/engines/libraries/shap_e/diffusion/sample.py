"""Latents are numbers."""

from typing import Any

import stand_in_faults  # pyright: ignore[reportMissingImports] - beside it, in the process
import torch  # pyright: ignore[reportMissingImports]


def sample_latents(*, batch_size: int, model_kwargs: dict[str, Any], karras_steps: int, **_: Any) -> list[int]:
    """As many numbers as are wanted, after as many steps."""
    from tqdm.auto import tqdm  # pyright: ignore[reportMissingModuleSource, reportUnknownVariableType]

    prompts: list[Any] = model_kwargs.get("texts") or [""]
    faults: Any = stand_in_faults
    for step in tqdm(range(karras_steps)):
        if step == karras_steps // 2:
            faults.obey(str(prompts[0]))
    seeds: list[int] = torch.seeds  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return [seeds[-1] + number for number in range(batch_size)]
