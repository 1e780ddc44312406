"""What llama-cpp-python does in its process. It imports nothing of Aldgate, and the library by name: it is not Aldgate's to have.

Calls: https://llama-cpp-python.readthedocs.io/en/latest/api-reference/.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any


class Work:
    """Holds the model that was last wanted.

    Args:
        settings: `n_ctx` and `n_gpu_layers`, as the library takes them.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._library: Any = import_module("llama_cpp")
        self._settings = {name: settings[name] for name in ("n_ctx", "n_gpu_layers")}
        self._file = ""
        self._model: Any = None

    def run(
        self, asked: dict[str, Any], inputs: list[bytes], tell: Callable[..., None], save: Callable[..., None]
    ) -> dict[str, Any]:
        """Write, telling each piece."""
        if self._file != asked["file"]:
            tell(message=f"loading {asked['model']}")
            if self._model is not None:
                self._model.close()
            self._file, self._model = "", None
            self._model = self._library.Llama(model_path=asked["file"], verbose=False, **self._settings)
            self._file = asked["file"]
        sampling: dict[str, Any] = asked["sampling"]
        if asked["messages"]:
            events = self._model.create_chat_completion(messages=asked["messages"], stream=True, **sampling)
        else:
            events = self._model.create_completion(prompt=asked["prompt"], stream=True, **sampling)
        reason, count = None, 0
        for event in events:
            choice = event["choices"][0]
            text = choice["delta"].get("content") if "delta" in choice else choice["text"]
            reason = choice.get("finish_reason") or reason
            if text:
                count += 1
                tell(text=text)
        return {"finish_reason": reason, "completion_tokens": count}
