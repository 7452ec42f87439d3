"""What the command line asks of the package: one module for each group of commands."""
