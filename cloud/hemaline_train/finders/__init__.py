"""How well leukocyte finders find."""
