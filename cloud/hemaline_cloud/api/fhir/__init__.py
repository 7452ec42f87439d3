"""FHIR R4: what was found on a slide, in the words that hospital systems read."""
