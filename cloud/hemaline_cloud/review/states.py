"""The states of a slide's review, and the named transitions between them. Pure."""

from enum import StrEnum

from hemaline_shared.errors import PermanentError


class ReviewState(StrEnum):
    """How far the review of a slide is."""

    RECEIVING = "receiving"
    READY = "ready"
    IN_REVIEW = "in-review"
    AWAITING_SECOND_READER = "awaiting-second-reader"
    SIGNED = "signed"
    AMENDED = "amended"
    UNFIT = "unfit"


class Transition(StrEnum):
    """What happens to a slide. The first two are the pipeline's, all others a person's."""

    FRAMES_COMPLETE = "frames-complete"
    """Its device has ended it, and each of its frames is settled."""
    FRAMES_QUIET = "frames-quiet"
    """No frame came for a while, and each that came is settled."""
    BEGIN_REVIEW = "begin-review"
    LEAVE_REVIEW = "leave-review"
    """The reader gives it back unsigned."""
    SIGN = "sign"
    ASK_SECOND_READER = "ask-second-reader"
    """The first reader has read it."""
    COMPARE_READINGS = "compare-readings"
    """The second has, too: it is signed at once where they agree, else reviewed once more."""
    AMEND = "amend"
    CALL_UNFIT = "call-unfit"
    """Nothing can be said of it: a new slide of the same specimen is wanted."""


_S, _T = ReviewState, Transition
_AFTER: dict[ReviewState, dict[Transition, ReviewState]] = {
    _S.RECEIVING: {
        _T.FRAMES_COMPLETE: _S.READY,
        _T.FRAMES_QUIET: _S.READY,
        _T.CALL_UNFIT: _S.UNFIT,
    },
    _S.READY: {_T.BEGIN_REVIEW: _S.IN_REVIEW, _T.CALL_UNFIT: _S.UNFIT},
    _S.IN_REVIEW: {
        _T.SIGN: _S.SIGNED,
        _T.ASK_SECOND_READER: _S.AWAITING_SECOND_READER,
        _T.LEAVE_REVIEW: _S.READY,
        _T.CALL_UNFIT: _S.UNFIT,
    },
    _S.AWAITING_SECOND_READER: {
        _T.COMPARE_READINGS: _S.IN_REVIEW,
        _T.CALL_UNFIT: _S.UNFIT,
    },
    _S.SIGNED: {_T.AMEND: _S.AMENDED},
    _S.AMENDED: {_T.AMEND: _S.AMENDED},
    _S.UNFIT: {},
}


def after(state: ReviewState, transition: Transition) -> ReviewState:
    """Return the state that follows.

    Raises:
        PermanentError: `not-now`; this does not happen to a slide in that state.
    """
    following = _AFTER[state].get(transition)
    if following is None:
        possible = ", ".join(_AFTER[state]) or "nothing"
        raise PermanentError(
            "not-now",
            f"A slide that is {_said(state)} takes no {_said(transition)}; possible: {possible}.",
        )
    return following


def states_before(transition: Transition) -> tuple[ReviewState, ...]:
    """Return the states in which something may happen."""
    return tuple(state for state, possible in _AFTER.items() if transition in possible)


def _said(word: ReviewState | Transition) -> str:
    return word.replace("-", " ")
