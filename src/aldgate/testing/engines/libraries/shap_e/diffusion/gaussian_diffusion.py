"""Diffusion is its configuration."""


def diffusion_from_config(config: str) -> str:
    """The same."""
    return config
