"""The whole system on one machine: the `hemaline` command."""
