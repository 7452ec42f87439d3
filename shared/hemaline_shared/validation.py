"""What is wrong with a document, as sentences for whoever wrote it."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MOST = 5


def sentences(error: ValidationError, whole: str, part: str) -> str:
    """Return what is wrong, a sentence for each place, in one text.

    Args:
        error: As pydantic raised it.
        whole: What the document is called, where no place in it is wrong but all of it.
        part: What a place in it is called: a setting, an argument.
    """
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(_sentence(problem, whole, part) for problem in problems[:_MOST])[:1000]


def _sentence(problem: ErrorDetails, whole: str, part: str) -> str:
    where = ".".join(map(str, problem["loc"])) or whole
    if problem["type"] == "extra_forbidden":
        return f"{where}: there is no such {part}"
    return f"{where}: {problem['msg']}"
