"""One module a revision, written once and never changed after a release."""
