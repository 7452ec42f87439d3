"""`python -m hemaline_cloud`."""

from hemaline_cloud.cli import app

if __name__ == "__main__":
    app()
