"""Errors that are the user's to mend: the command line prints their message and exits with a non-zero status."""


class InputError(ValueError):
    """A file, line or value that the user gave cannot be used; the message names it and says what would be."""


class AudioError(InputError):
    """An audio file that is missing, damaged, empty or of an unknown kind."""


class Interruption(BaseException):
    """A signal stopped the work; everything is saved, and the message says how to go on."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
