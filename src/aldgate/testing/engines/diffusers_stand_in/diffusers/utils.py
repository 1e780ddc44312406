"""What the child of the Diffusers engine uses of `diffusers.utils`."""


def load_image(path: str) -> str:
    """As diffusers has it, but for the image."""
    return f"image at {path}"
