"""As much of PyTorch as Shap-E's work asks for."""

from types import SimpleNamespace

cuda = SimpleNamespace(is_available=lambda: False)
seeds: list[int] = []


class device:
    """A device by its name."""

    def __init__(self, name: str) -> None:
        self.type = name

    def __str__(self) -> str:
        return self.type


def manual_seed(seed: int) -> None:
    """Keep it."""
    seeds.append(seed)
