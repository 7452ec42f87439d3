"""`python -m hemaline_train`."""

from hemaline_train.cli import app

if __name__ == "__main__":
    app()
