"""What Diffusers does in its process. It imports nothing of Aldgate, and the libraries by name: they are not Aldgate's to have.

Calls: https://huggingface.co/docs/diffusers.
"""

import gc
import io
from collections.abc import Callable
from importlib import import_module
from typing import Any


class Work:
    """Holds the one pipeline that was last wanted.

    Args:
        settings: `device`, as PyTorch names it, empty chooses; `precision`, `offload` and `offline` as in the engine's table.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._torch: Any = import_module("torch")
        self._diffusers: Any = import_module("diffusers")
        self._settings = settings
        self._device = settings["device"] or self._usual_device()
        self._held = ("", "")
        self._pipeline: Any = None

    def run(
        self, asked: dict[str, Any], inputs: list[bytes], tell: Callable[..., None], save: Callable[..., None]
    ) -> dict[str, Any]:
        """Make pictures, as PNG."""
        kind = "AutoPipelineForImage2Image" if inputs else "AutoPipelineForText2Image"
        pipeline = self._loaded(kind, asked["model"], tell)
        steps = asked["arguments"]["num_inference_steps"]

        def after_step(_: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            tell(step=step + 1, steps=steps)
            return values

        arguments = {**asked["arguments"], "generator": self._generators(asked), "callback_on_step_end": after_step}
        if inputs:
            arguments["image"] = _picture(inputs[0])
        made = pipeline(**arguments)
        for number, image in enumerate(made.images):
            written = io.BytesIO()
            image.save(written, "PNG")
            save(written.getvalue(), mime="image/png", name=f"image-{number + 1}.png")
        flagged = getattr(made, "nsfw_content_detected", None)
        return {"flagged": bool(flagged and any(flagged))}

    def _loaded(self, kind: str, model: str, tell: Callable[..., None]) -> Any:
        if self._held != (kind, model):
            tell(message=f"loading {model}")
            self._unload()
            self._pipeline = self._load(kind, model)
            self._held = (kind, model)
        return self._pipeline

    def _unload(self) -> None:
        if self._pipeline is not None:
            self._pipeline, self._held = None, ("", "")
            gc.collect()
            if self._torch.cuda.is_available():
                self._torch.cuda.empty_cache()

    def _load(self, kind: str, model: str) -> Any:
        is_cpu = self._device == "cpu"
        precision = self._torch.float32 if is_cpu else getattr(self._torch, self._settings["precision"])
        if model.endswith(".safetensors"):
            name = "StableDiffusionXLImg2ImgPipeline" if "Image2Image" in kind else "StableDiffusionXLPipeline"
            pipeline = getattr(self._diffusers, name).from_single_file(model, torch_dtype=precision)
        else:
            local = self._settings["offline"]
            pipeline = getattr(self._diffusers, kind).from_pretrained(model, torch_dtype=precision, local_files_only=local)
        if self._settings["offload"] and not is_cpu:
            pipeline.enable_model_cpu_offload(device=self._device)
        else:
            pipeline.to(self._device)
        return pipeline

    def _generators(self, asked: dict[str, Any]) -> list[Any]:
        device = "cpu" if self._device == "mps" else self._device
        count: int = asked["arguments"]["num_images_per_prompt"]
        return [self._torch.Generator(device).manual_seed(asked["seed"] + number) for number in range(count)]

    def _usual_device(self) -> str:
        if self._torch.cuda.is_available():
            return "cuda"
        return "mps" if self._torch.backends.mps.is_available() else "cpu"


def _picture(data: bytes) -> Any:
    image: Any = import_module("PIL.Image")
    utils: Any = import_module("diffusers.utils")
    return utils.load_image(image.open(io.BytesIO(data)))
