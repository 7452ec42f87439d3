"""`python -m hemaline_edge`."""

from hemaline_edge.cli import app

if __name__ == "__main__":
    app()
