"""What a command ends with when it cannot go on: a message, a hint and an exit code of 1."""


class CliError(Exception):
    """A command failed.

    Args:
        message: What went wrong; holds no secret.
        hint: What to do about it.
        status: What the gate answered, if it did.
    """

    def __init__(self, message: str, *, hint: str, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
