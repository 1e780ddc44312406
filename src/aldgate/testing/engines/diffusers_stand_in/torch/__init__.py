"""What the child of the Diffusers engine uses of torch, without any of it."""

from typing import Any

float16, bfloat16, float32 = "float16", "bfloat16", "float32"


class OutOfMemoryError(RuntimeError):
    """As `torch.OutOfMemoryError`."""


class Generator:
    """Holds a seed."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seed = 0

    def manual_seed(self, seed: int) -> "Generator":
        """Take a seed."""
        self.seed = seed
        return self


class _Absent:
    @staticmethod
    def is_available() -> bool:
        return False


cuda = _Absent
backends: Any = type("backends", (), {"mps": _Absent})
