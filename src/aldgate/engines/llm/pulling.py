"""How far a model of Ollama's has been fetched."""

from aldgate.core.generation import Progress


class Pulling:
    """Layers are announced one by one, so that what is to come is known only in part: the share never goes back for it.

    Attributes:
        is_done: It said so; nothing else means that all is there.
    """

    def __init__(self) -> None:
        self.is_done = False
        self._layers: dict[str, tuple[int, int]] = {}
        self._fraction = 0.0

    def look(self, status: str, digest: str, completed: int, total: int) -> Progress:
        """Take in a line of the reply. Sizes are bytes."""
        self.is_done = status == "success"
        if digest and total > 0:
            self._layers[digest] = (min(completed, total), total)
        wanted = sum(total for _, total in self._layers.values())
        fetched = sum(completed for completed, _ in self._layers.values())
        if self.is_done:
            self._fraction = 1.0
        elif wanted:
            self._fraction = max(self._fraction, fetched / wanted)
        return Progress(fraction=self._fraction, message=status)
