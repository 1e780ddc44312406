"""As much of `diffusers.utils` as its work asks for."""

from typing import Any


def load_image(image: Any) -> str:
    """As diffusers has it, but for the image."""
    return f"image of {image.width}x{image.height}"
