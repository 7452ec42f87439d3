"""Read what `torch.save` wrote."""

from pathlib import Path
from typing import Any

import torch

from hemaline_shared.errors import PermanentError


def read_tensors(file: Path, reason: str, wanted: str) -> dict[str, Any]:
    """Read a file of named tensors and plain values; nothing else is let in.

    Args:
        file: As `torch.save` writes it.
        reason: Of the error.
        wanted: What the file should be, for the message: "a checkpoint".

    Raises:
        PermanentError: The file is missing, damaged or something else.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise PermanentError(
            reason, f"{file} cannot be read as {wanted}: {error.strerror}."
        ) from error
    except Exception as error:
        # On a text file the unpickler raises whatever it trips over: KeyError, IndexError, …
        raise PermanentError(reason, f"{file} is not {wanted}, or it is damaged.") from error
    if not isinstance(state, dict):
        raise PermanentError(reason, f"{file} is not {wanted}.")
    return state
