"""Rows of the database as FHIR R4 resources.

Ids are ours: a report is its slide, an Observation is `{slide}.{what}`, a Media its field, a Device
a bundle's SHA-256 or an id made of a microscope's name. A report that nobody has signed is
`partial`, its observations `preliminary`: R4's `preliminary` report would mean verified results.
Once somebody has signed, it tells of what was signed, whatever came later.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from hemaline_cloud.api.fhir import codes
from hemaline_cloud.api.fhir.reported import Reported
from hemaline_cloud.database.reading.devices import DeviceRow
from hemaline_cloud.database.reading.fields import FieldRow
from hemaline_cloud.database.reading.ledger import BundleRow
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.summary import BesideShare, BlastShare, ClassShare, SlideSummary
from hemaline_shared.ids import accession

Resource = dict[str, Any]

DIFFERENTIAL = "differential"
_SHORT = re.compile(r"[A-Za-z0-9.-]{1,27}")


def diagnostic_report(told: Reported) -> Resource:
    """Return the report of a slide; before its first result it is `registered` and empty."""
    slide, summary = told.slide, told.summary
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "id": str(slide.slide_id),
        "identifier": _identifiers(slide),
        "status": told.report_status if summary else "registered",
        "category": [codes.section()],
        "code": codes.differential(),
        "specimen": [reference("Specimen", slide.specimen_id)],
        "effectiveDateTime": time_of(slide.opened_at),
        **_about(told),
    }
    if summary:
        report["meta"] = _meta(told)
        report["issued"] = time_of(told.issued)
        if told.signed:
            names = [told.signed.signed_by_name]
            names += [reading.reader_name for reading in told.signed.readings]
            report["resultsInterpreter"] = [{"display": name} for name in dict.fromkeys(names)]
        names = [DIFFERENTIAL, *_names(summary)]
        report["result"] = [reference("Observation", _id(slide, name)) for name in names]
        said = [*(flag.text for flag in summary.flags), *told.pattern_words]
        report["conclusion"] = " ".join([*said, told.by_whom, codes.RESEARCH_USE_ONLY])
    return report


def observations(told: Reported) -> list[Resource]:
    """Return the differential of a slide as a whole, then each of its parts."""
    summary = told.summary
    if not summary:
        return []
    parts = list(_parts(told, summary))
    return [_differential(told, summary, parts), *parts]


def specimen(slide: SlideRow, *, knows: bool) -> Resource:
    """Return the specimen that a slide was made of.

    Args:
        slide: One of its slides.
        knows: Whether whoever asks may know whose blood it is.
    """
    ordered: Resource = {}
    if slide.order_id:
        ordered["accessionIdentifier"] = {"system": codes.BARCODE, "value": slide.barcode}
        ordered["request"] = [reference("ServiceRequest", slide.order_id)]
    if slide.patient_id and knows:
        ordered["subject"] = reference("Patient", slide.patient_id)
    return {
        **ordered,
        "resourceType": "Specimen",
        "id": str(slide.specimen_id),
        "identifier": [{"system": codes.URI, "value": f"urn:uuid:{slide.specimen_id}"}],
        "status": "available",
        "type": {"text": "Blood, smeared and stained on a slide"},
        "receivedTime": time_of(slide.opened_at),
    }


def media(slide: SlideRow, field: FieldRow, base: str) -> Resource:
    """Return one field of view as a photo; `base` is the address of our own API."""
    return {
        "resourceType": "Media",
        "id": str(field.frame_id),
        "status": "completed",
        "type": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/media-type", "code": "image"}
            ]
        },
        "subject": reference("Specimen", slide.specimen_id),
        "createdDateTime": time_of(field.captured_at),
        "issued": time_of(field.captured_at),
        "device": reference("Device", microscope_id(slide.site, slide.device)),
        "width": field.width,
        "height": field.height,
        "content": {
            "contentType": "image/jpeg",
            "url": f"{base}/api/v1/fields/{field.frame_id}/image",
            "title": f"Field {field.sequence} of {accession(slide.slide_id)}",
        },
        "note": [{"text": f"{field.um_per_px:.4f} µm a pixel ({field.scale_source})."}],
    }


def model_device(bundle: BundleRow) -> Resource:
    """Return a model bundle as a device: its id is its hash."""
    trained = "" if bundle.trained else " Untrained: it counts and names nothing."
    return {
        "resourceType": "Device",
        "id": bundle.sha256,
        "identifier": [{"system": codes.URI, "value": f"urn:hemaline:bundle:{bundle.sha256}"}],
        "status": "active",
        "deviceName": [{"name": bundle.bundle_id, "type": "model-name"}],
        "type": {"text": "Model bundle"},
        "version": [{"value": bundle.sha256}],
        "note": [{"text": f"{codes.RESEARCH_USE_ONLY}{trained}"}],
    }


def microscope_device(row: DeviceRow) -> Resource:
    """Return a microscope as a device; `status` does not say whether it is connected."""
    return {
        "resourceType": "Device",
        "id": microscope_id(row.site, row.device),
        "identifier": [{"system": "urn:hemaline:device", "value": f"{row.site}/{row.device}"}],
        "status": "active",
        "deviceName": [{"name": f"{row.site}/{row.device}", "type": "user-friendly-name"}],
        "type": {"text": "Microscope with edge agent"},
        "version": [{"type": {"text": "edge agent"}, "value": row.edge_version}],
    }


def microscope_id(site: str, device: str) -> str:
    """Return the id of a microscope; its own name may be too long for one."""
    return str(uuid5(NAMESPACE_URL, f"urn:hemaline:device:{site}/{device}"))


def provenance(told: Reported) -> Resource | None:
    """Return what made the report of a slide; None before its first result."""
    slide, summary = told.slide, told.summary
    if not summary:
        return None
    participant = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    made_by = summary.made_by
    software = [*made_by.pixel_pipelines, *made_by.finders]
    said = f"edge agents {', '.join(made_by.edge_versions)}; {', '.join(software)}"
    return {
        "resourceType": "Provenance",
        "id": str(slide.slide_id),
        "meta": _meta(told),
        "target": [reference("DiagnosticReport", slide.slide_id)],
        "recorded": time_of(told.issued),
        "activity": {"text": f"Counted and classified by a model. {told.by_whom}"},
        "agent": [
            *_signers(told, participant),
            *(
                {
                    "type": {"coding": [{"system": participant, "code": "assembler"}]},
                    "who": {
                        "reference": f"Device/{bundle.sha256}",
                        "display": f"{bundle.bundle_id}, {bundle.cells} cells",
                    },
                }
                for bundle in made_by.bundles
            ),
        ]
        or [{"who": reference("Device", microscope_id(slide.site, slide.device))}],
        "entity": [{"role": "source", "what": {"display": said}}],
    }


def _signers(told: Reported, participant: str) -> list[Resource]:
    if not told.signed:
        return []
    kind = {"coding": [{"system": participant, "code": "verifier"}]}
    return [{"type": kind, "who": {"display": told.signed.signed_by_name}}]


def _differential(told: Reported, summary: SlideSummary, parts: list[Resource]) -> Resource:
    panel = _observation(told, DIFFERENTIAL, codes.differential())
    counting = summary.counting
    counted = counting.counted if counting else summary.cells
    words = [f"{counted} of {summary.cells} cells counted."]
    if counting and counting.unclassified:
        words.append(f"{counting.unclassified} of them got no class.")
    if told.perhaps:
        likely = ", ".join(
            f"{codes.in_words(name)} {cells}" for name, cells in told.perhaps.items()
        )
        words.append(f"Of these some are more likely than not, and not counted as: {likely}.")
    panel["note"] = [{"text": " ".join([*words, told.by_whom, codes.RESEARCH_USE_ONLY])}]
    if parts:
        panel["hasMember"] = [reference("Observation", part["id"]) for part in parts]
    else:
        unknown = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        panel["dataAbsentReason"] = {"coding": [{"system": unknown, "code": "not-performed"}]}
    return panel


def _parts(told: Reported, summary: SlideSummary) -> Iterator[Resource]:
    for share in summary.differential or ():
        part = _observation(told, share.label, codes.class_share(share.label))
        part["valueQuantity"] = codes.percent(share.fraction)
        part["component"] = _interval(share, codes.percent)
        part["note"] = [{"text": f"{share.cells} cells were called so. {told.interval_words}"}]
        yield part
    for beside in summary.beside:
        text = f"{codes.in_words(beside.label)} per 100 leukocytes, counted beside them"
        part = _observation(told, beside.label, codes.measure(beside.label, text))
        part["valueQuantity"] = codes.per_hundred(beside.per_100)
        part["component"] = _interval(beside, codes.per_hundred)
        yield part
    if summary.blasts:
        yield _blasts(told, summary.blasts)


def _blasts(told: Reported, blasts: BlastShare) -> Resource:
    """All labels that count as blasts together, held against the thresholds."""
    text = "Blasts per 100 leukocytes, all kinds together"
    part = _observation(told, _ALL_BLASTS, codes.measure(_ALL_BLASTS, text))
    part["valueQuantity"] = codes.percent(blasts.fraction)
    verdicts = [
        {
            "code": codes.measure("threshold", f"{held.name}, {held.fraction:.0%}"),
            "valueString": f"{held.verdict}{' (provisional)' if blasts.provisional else ''}",
        }
        for held in blasts.thresholds
    ]
    part["component"] = [*_interval(blasts, codes.percent), *verdicts]
    words = f"{blasts.cells} of {blasts.leukocytes} named leukocytes; "
    part["note"] = [{"text": f"{words}{blasts.unclassified} got no class. {told.interval_words}"}]
    return part


_ALL_BLASTS = "all-blasts"


def _interval(
    share: ClassShare | BesideShare | BlastShare, quantity: Callable[[float], Resource]
) -> list[Resource]:
    ends = (("interval-low", "Low", share.low), ("interval-high", "High", share.high))
    return [
        {
            "code": codes.measure(word, f"{text} end of the 95 % interval"),
            "valueQuantity": quantity(value),
        }
        for word, text, value in ends
    ]


def _names(summary: SlideSummary) -> list[str]:
    shares = [share.label for share in summary.differential or ()]
    beside = [share.label for share in summary.beside]
    return [*shares, *beside, *([_ALL_BLASTS] if summary.blasts else [])]


def _observation(told: Reported, name: str, code: Resource) -> Resource:
    slide, result = told.slide, told.slide.result
    assert result
    return {
        "resourceType": "Observation",
        "id": _id(slide, name),
        "meta": _meta(told),
        "status": told.observation_status,
        "category": [codes.category()],
        "code": code,
        "effectiveDateTime": time_of(slide.opened_at),
        "issued": time_of(told.issued),
        "specimen": reference("Specimen", slide.specimen_id),
        "device": {"reference": f"Device/{result.bundle_sha256}", "display": result.bundle_id},
        **_about(told),
    }


def _about(told: Reported) -> Resource:
    """Return the order and, for those who may know, the patient."""
    about: Resource = {}
    if told.order_id:
        about["basedOn"] = [reference("ServiceRequest", told.order_id)]
    if told.patient_id:
        about["subject"] = reference("Patient", told.patient_id)
    return about


def _identifiers(slide: SlideRow) -> list[Resource]:
    named = [{"system": codes.ACCESSION, "value": accession(slide.slide_id)}]
    if slide.slide_name:
        named.append({"system": codes.SLIDE_NAME, "value": slide.slide_name})
    return named


def _id(slide: SlideRow, name: str) -> str:
    """Name an Observation; FHIR's ids are short, and a bundle may call its classes as it likes."""
    word = name if _SHORT.fullmatch(name) else uuid5(NAMESPACE_URL, name).hex[:27]
    return f"{slide.slide_id}.{word}"


def _meta(told: Reported) -> Resource:
    return {"versionId": told.version, "lastUpdated": time_of(told.issued)}


def reference(kind: str, name: UUID | str) -> Resource:
    """Return a reference to a resource of ours."""
    return {"reference": f"{kind}/{name}"}


def time_of(at: datetime) -> str:
    """Return a moment as FHIR spells it."""
    return at.isoformat(timespec="milliseconds")
