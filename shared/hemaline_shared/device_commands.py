"""What devices can be told to do: the one list of both ends, and how it travels."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import Name, Reason, Text100, WireModel
from hemaline_shared.validation import sentences

MOST_LINES = 400
LONGEST_LINE = 150
"""Four hundred lines of so many characters fit a broker that takes 128 KiB."""

Verb: TypeAlias = Literal[
    "start-slide",
    "end-slide",
    "name-slide",
    "more-fields",
    "recapture",
    "flush",
    "collect-logs",
    "restart",
    "discard-kept",
    "decommission",
]
RequestReason: TypeAlias = Literal[
    "few-cells", "out-of-focus", "thick-smear", "poor-stain", "edge-of-smear"
]
"""Why a reader asks for more: a closed list, for what is written freely could name a patient."""
_Said: TypeAlias = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
_Line: TypeAlias = Annotated[str, Field(max_length=LONGEST_LINE, pattern=r"^[^\x00]*$")]
Outcome: TypeAlias = Literal["received", "seen", "done", "refused", "expired", "failed"]


class _Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoArguments(_Arguments):
    """Nothing more is to be said."""


class StartSlide(_Arguments):
    """The slide that now lies under the microscope."""

    slide_name: Text100
    urgent: bool = False


class NameSlide(_Arguments):
    """The right name of the slide that was started."""

    slide_name: Text100


class MoreFields(_Arguments):
    """Somebody who reads a slide needs more of it.

    `cells` is about how many more white cells would decide.
    """

    slide_id: UUID
    reason: RequestReason
    cells: int | None = Field(default=None, ge=1, le=10_000)


class Recapture(_Arguments):
    """Somebody who reads a slide cannot use what was captured of it."""

    slide_id: UUID
    reason: RequestReason


class Decommission(_Arguments):
    """The device is emptied for good; what waits for the cloud is lost only where this says so."""

    discard_waiting: bool = False


Arguments: TypeAlias = NoArguments | StartSlide | NameSlide | MoreFields | Recapture | Decommission


class VerbRules(NamedTuple):
    """What a verb wants, and who must agree.

    Attributes:
        arguments: What is said with it.
        lasts: How long it waits for a device that is off, where nobody says otherwise.
        needs_approval: Whether a second operator must agree: what it deletes is gone.
        is_request: Whether it asks a person at the microscope, who answers.
    """

    arguments: type[Arguments]
    lasts: timedelta
    needs_approval: bool = False
    is_request: bool = False


_SOON = timedelta(minutes=15)
"""What belongs to the glass that lies there now is wrong an hour later."""
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
LONGEST = timedelta(days=30)

VERBS: Mapping[str, VerbRules] = MappingProxyType(
    {
        "start-slide": VerbRules(StartSlide, _SOON),
        "end-slide": VerbRules(NoArguments, _SOON),
        "name-slide": VerbRules(NameSlide, _SOON),
        "more-fields": VerbRules(MoreFields, _WEEK, is_request=True),
        "recapture": VerbRules(Recapture, _WEEK, is_request=True),
        "flush": VerbRules(NoArguments, _DAY),
        "collect-logs": VerbRules(NoArguments, _DAY),
        "restart": VerbRules(NoArguments, _DAY),
        "discard-kept": VerbRules(NoArguments, _DAY, needs_approval=True),
        "decommission": VerbRules(Decommission, _WEEK, needs_approval=True),
    }
)
"""All that a device does for somebody elsewhere."""


class Command(WireModel):
    """Told again and again until its result is heard; a device does it once.

    The times are the cloud's. Why it was asked stays there: that is written freely.
    """

    command_id: UUID
    verb: Name
    arguments: dict[str, JsonValue] = Field(default_factory=dict, max_length=8)
    asked_by: Text100
    sent_at: AwareDatetime
    expires_at: AwareDatetime


class CommandResult(WireModel):
    """What became of a command.

    `received`: it is kept on the device and under way, or waits for the person there. `seen`: that
    person has seen it. The others are final. `lines` is what was collected.
    """

    command_id: UUID
    outcome: Outcome
    reason: Reason | None = None
    detail: _Said | None = None
    lines: tuple[_Line, ...] = Field(default=(), max_length=MOST_LINES)


def read_arguments(verb: str, said: Mapping[str, Any]) -> Arguments:
    """Return what was said with a verb.

    Raises:
        PermanentError: `unknown-command`, or `invalid-arguments` with a sentence for each.
    """
    rules = VERBS.get(verb)
    if rules is None:
        raise PermanentError("unknown-command", f"{verb}: there is no such command here")
    try:
        return rules.arguments.model_validate(dict(said))
    except ValidationError as error:
        raise PermanentError("invalid-arguments", sentences(error, verb, "argument")) from None
