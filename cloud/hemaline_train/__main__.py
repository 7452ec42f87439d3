"""`python -m hemaline_train`."""

from hemaline_train.cli import main

if __name__ == "__main__":
    main()
