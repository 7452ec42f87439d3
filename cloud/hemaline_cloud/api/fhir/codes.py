"""The codes of FHIR resources: LOINC where a code means exactly that, our own word otherwise.

LOINC codes and their check digits: loinc.org. A smear gives shares of the leukocytes and no counts
of a volume, so only codes "per 100 leukocytes" are used.
"""

from typing import Any

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
OUR_CLASSES = "urn:hemaline:cell-class"
OUR_MEASURES = "urn:hemaline:measure"
ACCESSION = "urn:hemaline:accession"
SLIDE_NAME = "urn:hemaline:slide-name"
BARCODE = "urn:hemaline:barcode"
PATIENT = "urn:hemaline:patient-identifier"
URI = "urn:ietf:rfc:3986"

RESEARCH_USE_ONLY = "For Research Use Only. Not for use in diagnostic procedures."
"""21 CFR 809.10(c)(2)(i)."""

_SHARES = {
    "blast": "26446-5",
    "neutrophil": "26511-6",
    "neutrophil-segmented": "26505-8",
    "neutrophil-band": "26508-2",
    "lymphocyte": "26478-8",
    "lymphocyte-variant": "13046-8",
    "monocyte": "26485-3",
    "eosinophil": "26450-7",
    "basophil": "30180-4",
    "metamyelocyte": "28541-1",
    "myelocyte": "26498-6",
    "promyelocyte": "26524-9",
}
COUNTS = {
    "wbc": ("6690-2", "Leukocytes per volume of blood"),
    "hb": ("718-7", "Haemoglobin, mass per volume of blood"),
    "hb-mol": ("59260-0", "Haemoglobin, amount of substance per volume of blood"),
    "plt": ("777-3", "Platelets per volume of blood"),
}
"""What an order brings; a smear gives none of it."""
_PANEL = "24318-8"


def class_share(label: str) -> dict[str, Any]:
    """Return the concept "share of this class among the leukocytes"."""
    ours = _ours(OUR_CLASSES, label)
    loinc = _SHARES.get(label)
    coding = [ours] if loinc is None else [{"system": LOINC, "code": loinc}, ours]
    return {"coding": coding, "text": f"{in_words(label)} per 100 leukocytes"}


def counted(name: str, unit: str) -> dict[str, Any]:
    """Return the concept of a part of the blood count: `wbc`, `hb` or `plt`."""
    code, text = COUNTS["hb-mol" if (name, unit) == ("hb", "mmol/L") else name]
    return {"coding": [{"system": LOINC, "code": code}], "text": text}


def differential() -> dict[str, Any]:
    """Return the concept of a differential of leukocytes as a whole."""
    return {
        "coding": [{"system": LOINC, "code": _PANEL}, _ours(OUR_MEASURES, "differential")],
        "text": "Differential of leukocytes on a blood smear",
    }


def measure(word: str, text: str) -> dict[str, Any]:
    """Return a concept of our own."""
    return {"coding": [_ours(OUR_MEASURES, word)], "text": text}


def category() -> dict[str, Any]:
    """Return the category by which systems file what a laboratory says."""
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {"coding": [{"system": system, "code": "laboratory"}]}


def section() -> dict[str, Any]:
    """Return the department that a report comes from."""
    system = "http://terminology.hl7.org/CodeSystem/v2-0074"
    return {"coding": [{"system": system, "code": "HM"}], "text": "Hematology"}


def percent(fraction: float) -> dict[str, Any]:
    """Return a share as a quantity."""
    return {"value": round(100 * fraction, 2), "unit": "%", "system": UCUM, "code": "%"}


def per_hundred(cells: float) -> dict[str, Any]:
    """Return cells that stand beside the differential as a quantity."""
    return {
        "value": round(cells, 2),
        "unit": "/100 leukocytes",
        "system": UCUM,
        "code": "/100{WBCs}",
    }


def in_words(label: str) -> str:
    """Return a label as a person writes it."""
    return label.replace("-", " ").capitalize()


def _ours(system: str, word: str) -> dict[str, Any]:
    return {"system": system, "code": word, "display": in_words(word)}
