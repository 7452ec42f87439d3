"""What may happen to a slide under review, as a table: all that is not in it is refused."""

import pytest

from hemaline_cloud.review.states import ReviewState, Transition, after, states_before
from hemaline_shared.errors import PermanentError

TABLE = {
    ("receiving", "frames-complete"): "ready",
    ("receiving", "frames-quiet"): "ready",
    ("receiving", "call-unfit"): "unfit",
    ("ready", "begin-review"): "in-review",
    ("ready", "call-unfit"): "unfit",
    ("in-review", "leave-review"): "ready",
    ("in-review", "sign"): "signed",
    ("in-review", "ask-second-reader"): "awaiting-second-reader",
    ("in-review", "call-unfit"): "unfit",
    ("awaiting-second-reader", "compare-readings"): "in-review",
    ("awaiting-second-reader", "call-unfit"): "unfit",
    ("signed", "amend"): "amended",
    ("amended", "amend"): "amended",
}


@pytest.mark.parametrize("transition", Transition)
@pytest.mark.parametrize("state", ReviewState)
def test_a_transition_leads_where_the_table_says_or_is_refused(state, transition):
    expected = TABLE.get((state.value, transition.value))
    if expected:
        assert after(state, transition) == expected
        assert state in states_before(transition)
        return
    with pytest.raises(PermanentError) as refused:
        after(state, transition)
    assert refused.value.reason == "not-now"
    assert state not in states_before(transition)


def test_a_refusal_says_what_is_possible():
    with pytest.raises(PermanentError, match=r"that is signed takes no begin review; .*: amend"):
        after(ReviewState.SIGNED, Transition.BEGIN_REVIEW)


def test_what_is_signed_never_becomes_unsigned():
    reached, open_states = set(), {ReviewState.SIGNED}
    while open_states:
        state = open_states.pop()
        reached.add(state)
        possible = {after(state, one) for one in Transition if state in states_before(one)}
        open_states |= possible - reached
    assert reached == {ReviewState.SIGNED, ReviewState.AMENDED}
