"""`python -m hemaline_train`, and the command of that name."""

from hemaline_shared.interrupting import ending_at_interrupt


def main() -> None:
    """Import the command, then run it."""
    with ending_at_interrupt():
        from hemaline_train.cli import app  # noqa: PLC0415  # takes a second or more
    app()


if __name__ == "__main__":
    main()
