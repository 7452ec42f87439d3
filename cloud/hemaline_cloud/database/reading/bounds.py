"""What keeps a list's time the same, however many rows there are."""

from sqlalchemy import BindParameter, bindparam

MANY = 1000
"""Where counting stops: to count millions takes longer than to show a page of them."""


def written_out(value: str) -> BindParameter[str]:
    """Write a word of ours into the statement: the planner must see which partial index serves."""
    return bindparam(None, value, literal_execute=True)
