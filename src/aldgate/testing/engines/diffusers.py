"""Stand-ins for torch and diffusers, for a Python that has neither."""

from pathlib import Path

from aldgate.testing.engines import libraries
from aldgate.testing.engines.programs import FakeProgram


class FakeDiffusers(FakeProgram):
    """With its `library_path`, the process of the Diffusers engine finds the stand-ins."""

    faults = frozenset({"out_of_memory", "fails", "missing", "dies", "deaf", "no_images"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.folder / "is_stand_in").touch()

    @property
    def library_path(self) -> list[str]:
        """For an engine's table."""
        return [str(Path(libraries.__file__).parent), str(self.folder)]
