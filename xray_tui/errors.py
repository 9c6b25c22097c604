"""The one exception a person can cause."""


class UserError(Exception):
    """Something a person can mend: what is wrong, and what to do about it.

    The command line and the dashboard show it alike, without a traceback. Everything else that is
    raised is a bug and crashes loudly.

    Args:
        message: what is wrong, in one line.
        hint: what to do, in one to three short lines.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message
