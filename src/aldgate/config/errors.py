"""The one error of configuration. Light to import: client commands raise it too."""


class ConfigError(Exception):
    """The settings cannot be used.

    Args:
        message: What is wrong and where it was set. Holds no secret.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
