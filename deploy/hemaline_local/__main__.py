"""`python -m hemaline_local`."""

from hemaline_local.cli import app

if __name__ == "__main__":
    app()
