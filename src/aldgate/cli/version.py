"""`aldgate version`."""

from aldgate import __version__
from aldgate.cli.output import say


def version() -> None:
    """Print the version."""
    say(f"aldgate {__version__}")
