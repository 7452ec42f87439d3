"""The review of a slide: its states, and what may follow on what."""
