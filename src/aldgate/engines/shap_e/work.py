"""What Shap-E does in its process. It imports nothing of Aldgate, and PyTorch and Shap-E by name: they are not Aldgate's to have.

Calls and numbers: https://github.com/openai/shap-e/blob/main/shap_e/examples/sample_text_to_3d.ipynb.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

MODELS = {"text": "text300M", "image": "image300M"}
GUIDANCE = {"text": 15.0, "image": 3.0}


class Work:
    """Holds what was loaded: what decodes, and each model from when it is first wanted.

    Args:
        settings: `device`, as PyTorch names it; empty chooses.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._torch: Any = import_module("torch")
        self._device = self._torch.device(settings["device"] or ("cuda" if self._torch.cuda.is_available() else "cpu"))
        self._load: Any = import_module("shap_e.models.download")
        self._decoder = self._load.load_model("transmitter", device=self._device)
        diffusion: Any = import_module("shap_e.diffusion.gaussian_diffusion")
        self._diffusion = diffusion.diffusion_from_config(self._load.load_config("diffusion"))
        self._models: dict[str, Any] = {}

    def run(
        self, asked: dict[str, Any], inputs: list[bytes], tell: Callable[..., None], save: Callable[..., None]
    ) -> dict[str, Any]:
        """Make `count` meshes, as PLY, z upwards."""
        kind = "image" if inputs else "text"
        if kind not in self._models:
            tell(message=f"loading {MODELS[kind]}")
            self._models[kind] = self._load.load_model(MODELS[kind], device=self._device)
        self._torch.manual_seed(asked["seed"])
        with watched(tell):
            latents = self._sampled(kind, asked, inputs)
        notebooks: Any = import_module("shap_e.util.notebooks")
        for number, latent in enumerate(latents):
            tell(message=f"mesh {number + 1} of {len(latents)}")
            written = io.BytesIO()
            notebooks.decode_latent_mesh(self._decoder, latent).tri_mesh().write_ply(written)
            save(written.getvalue(), mime="model/ply", name=f"mesh-{number + 1}.ply")
        return {"model": MODELS[kind], "device": str(self._device)}

    def _sampled(self, kind: str, asked: dict[str, Any], inputs: list[bytes]) -> Any:
        sample: Any = import_module("shap_e.diffusion.sample")
        count = asked["count"]
        given = {"texts": [asked["prompt"]] * count} if kind == "text" else {"images": [_picture(inputs[0])] * count}
        return sample.sample_latents(
            batch_size=count,
            model=self._models[kind],
            diffusion=self._diffusion,
            guidance_scale=GUIDANCE[kind] if asked["guidance"] is None else asked["guidance"],
            model_kwargs=given,
            progress=True,
            clip_denoised=True,
            use_fp16=self._device.type != "cpu",
            use_karras=True,
            karras_steps=asked["steps"],
            sigma_min=1e-3,
            sigma_max=160,
            s_churn=0,
        )


class watched:
    """While this holds, the bars that Shap-E would show on a terminal tell `tell`, which may end the work by raising."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._bars: Any = import_module("tqdm.auto")
        self._shown = self._bars.tqdm

    def __enter__(self) -> None:
        """Put the telling in their place."""
        self._bars.tqdm = self._told

    def __exit__(self, *_: object) -> None:
        """Put them back."""
        self._bars.tqdm = self._shown

    def _told(self, steps: Iterable[Any], **_: Any) -> Iterator[Any]:
        known = list(steps)
        for step, each in enumerate(known):
            self._tell(step=step, steps=len(known))
            yield each


def _picture(data: bytes) -> Any:
    image: Any = import_module("PIL.Image")
    return image.open(io.BytesIO(data)).convert("RGBA")
