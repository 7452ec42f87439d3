"""Real servers for the tests, on free ports."""
