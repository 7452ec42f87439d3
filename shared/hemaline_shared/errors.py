"""The two kinds of failure: one that passes with time, and one that never will."""


class HemalineError(Exception):
    """A failure with a stable reason for machines and a sentence for people.

    Attributes:
        reason: kebab-case word that metrics, receipts and quarantine entries carry.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TransientError(HemalineError):
    """Worth another try: the network, a full disk, a server that restarts."""


class PermanentError(HemalineError):
    """No retry helps: the input itself is wrong and belongs in quarantine."""
