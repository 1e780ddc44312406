"""As much of PyTorch as the work of Shap-E and Diffusers asks for."""

from types import SimpleNamespace

float16, bfloat16, float32 = "float16", "bfloat16", "float32"
cuda = SimpleNamespace(is_available=lambda: False)
backends = SimpleNamespace(mps=cuda)
seeds: list[int] = []


class device:
    """A device by its name."""

    def __init__(self, name: str) -> None:
        self.type = name

    def __str__(self) -> str:
        return self.type


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


def manual_seed(seed: int) -> None:
    """Keep it."""
    seeds.append(seed)
