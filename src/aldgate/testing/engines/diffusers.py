"""Stand-ins for torch and diffusers, for a Python that has neither."""

from pathlib import Path

from aldgate.testing.engines.programs import FakeProgram


class FakeDiffusers(FakeProgram):
    """With its `environment`, the child of the Diffusers engine finds the stand-ins."""

    faults = frozenset({"out_of_memory", "fails", "missing", "dies", "deaf", "no_images"})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.folder / "is_stand_in").touch()

    @property
    def environment(self) -> dict[str, str]:
        """For an engine's table."""
        stand_in = Path(__file__).with_name("diffusers_stand_in")
        return {"PYTHONPATH": f"{stand_in}:{self.folder}", "PYTHONDONTWRITEBYTECODE": "1"}
