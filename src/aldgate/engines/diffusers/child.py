"""What runs Diffusers: a script for a Python that has torch, which need not have Aldgate. Standard library, torch and diffusers.

It reads orders from stdin, a JSON object a line, and answers on what was stdout when it began; anything that libraries print
goes to stderr. When stdin ends, whoever gave the orders is gone, and it ends at once. https://huggingface.co/docs/diffusers
"""

import gc
import json
import os
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any


class Cancelled(Exception):
    """The work under way is no longer wanted."""


class Pipelines:
    """The one pipeline that is loaded, if any."""

    def __init__(self) -> None:
        self._model = ""
        self._kind = ""
        self._pipeline: Any = None

    def unload(self) -> None:
        """Give the memory back."""
        if self._pipeline is None:
            return
        self._pipeline, self._model = None, ""
        gc.collect()
        torch: Any = __import__("torch")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def loaded(self, order: dict[str, Any]) -> Any:
        """The pipeline of an order's model, on its device."""
        kind = "AutoPipelineForImage2Image" if order.get("image") else "AutoPipelineForText2Image"
        if (self._model, self._kind) != (order["model"], kind):
            self.unload()
            self._pipeline = _load(kind, order)
            self._model, self._kind = order["model"], kind
        return self._pipeline


class Worker:
    """Does one order after the other; a thread of its own reads them, so that one can be cancelled while it is done."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._orders: Queue[dict[str, Any]] = Queue()
        self._cancelled: set[str] = set()
        self._pipelines = Pipelines()

    def run(self) -> None:
        """Until stdin ends."""
        threading.Thread(target=self._read, daemon=True).start()
        self._answer({"event": "ready"})
        while True:
            order = self._orders.get()
            try:
                self._do(order)
            except Cancelled:
                self._answer({"id": order["id"], "event": "cancelled"})
            except Exception as error:
                self._answer({"id": order["id"], "event": "error", "kind": type(error).__name__, "message": str(error)[:1000]})

    def _read(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "cancel":
                self._cancelled.add(order["id"])
            else:
                self._orders.put(order)
        os._exit(0)

    def _do(self, order: dict[str, Any]) -> None:
        if order["do"] == "unload":
            self._pipelines.unload()
            self._answer({"id": order["id"], "event": "unloaded"})
            return
        pipeline = self._pipelines.loaded(order)
        self._check(order)
        made = pipeline(**self._arguments(order))
        self._check(order)
        files: list[str] = []
        for number, image in enumerate(made.images):
            path = Path(order["folder"]) / f"image-{number + 1}.png"
            image.save(str(path))
            files.append(path.name)
        flagged = getattr(made, "nsfw_content_detected", None)
        self._answer({"id": order["id"], "event": "done", "files": files, "flagged": bool(flagged and any(flagged))})

    def _check(self, order: dict[str, Any]) -> None:
        if order["id"] in self._cancelled:
            raise Cancelled

    def _arguments(self, order: dict[str, Any]) -> dict[str, Any]:
        torch: Any = __import__("torch")
        steps = int(order["arguments"].get("num_inference_steps", 0))

        def after_step(_: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            self._check(order)
            self._answer({"id": order["id"], "event": "progress", "step": step + 1, "steps": steps})
            return values

        device = _device(order)
        generators = [
            torch.Generator("cpu" if device == "mps" else device).manual_seed(order["seed"] + number)
            for number in range(order["arguments"]["num_images_per_prompt"])
        ]
        arguments = {**order["arguments"], "generator": generators, "callback_on_step_end": after_step}
        if order.get("image"):
            images: Any = __import__("diffusers.utils", fromlist=["load_image"])
            arguments["image"] = images.load_image(order["image"])
        return arguments

    def _answer(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def _load(kind: str, order: dict[str, Any]) -> Any:
    torch: Any = __import__("torch")
    diffusers: Any = __import__("diffusers")
    device = _device(order)
    precision = torch.float32 if device == "cpu" else getattr(torch, order["precision"])
    source: str = order["source"]
    if source.endswith(".safetensors"):
        name = "StableDiffusionXLImg2ImgPipeline" if "Image2Image" in kind else "StableDiffusionXLPipeline"
        pipeline = getattr(diffusers, name).from_single_file(source, torch_dtype=precision)
    else:
        pipeline = getattr(diffusers, kind).from_pretrained(source, torch_dtype=precision, local_files_only=order["offline"])
    if order["offload"] and device != "cpu":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _device(order: dict[str, Any]) -> str:
    if order["torch_device"]:
        return order["torch_device"]
    torch: Any = __import__("torch")
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


if __name__ == "__main__":
    Worker().run()
