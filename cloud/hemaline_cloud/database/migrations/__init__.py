"""The schema's history. Revisions only go forward: a step back could lose a patient's slide."""
