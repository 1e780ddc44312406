"""Which of the pictures of work under way are handed on, where a caller wants so many."""


class Partials:
    """Spreads them over the work: of three, one from each of the first three quarters.

    Args:
        most: How many are wanted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.given = 0

    def wants(self, fraction: float | None) -> bool:
        """Whether a picture of work that is so far (0 to 1) is one of them. None, not known: it is, while any is wanted."""
        if self.given >= self._most:
            return False
        return fraction is None or fraction >= (self.given + 1) / (self._most + 1)

    def give(self) -> int:
        """Count one as handed on; its place among them, from 0."""
        self.given += 1
        return self.given - 1
