"""Which patterns a slide's differential fits: published rules held against intervals. Pure."""
