"""A report on paper: whole, the same each time, and nobody's name is more than a name."""

import io
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pypdf import PdfReader

from hemaline_cloud.api.report_pdf import signed_pdf, unreviewed_pdf
from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.orders.order import BloodCount
from hemaline_cloud.patterns.counted import ReadCount, counted_by_model
from hemaline_cloud.patterns.judging import judge
from hemaline_cloud.patterns.result import SlidePatterns
from hemaline_cloud.patterns.rules import shipped_rules
from hemaline_cloud.review.report import SignedLabel, SignedOrder, SignedReport

AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
_SHARE = {"fraction": 0.31, "low": 0.2, "high": 0.4}
SUMMARY = {
    "version": 2,
    "trained": True,
    "fields": 12,
    "cells": 130,
    "cells_by_class": {"blast": 30, "neutrophil": 70, "unclassified": 10},
    "urgency": 2,
    "flags": [{"code": "blasts-near-who-threshold", "text": "Blasts may be over 20 %."}],
    "counting": {
        "found": 130,
        "counted": 110,
        "excluded": {"cut-by-border": 20},
        "named": 100,
        "unclassified": 10,
    },
    "differential": [
        {"label": "neutrophil", "cells": 70, "fraction": 0.69, "low": 0.6, "high": 0.8},
        {"label": "blast", "cells": 30, **_SHARE},
    ],
    "beside": [{"label": "smudge", "cells": 4, "per_100": 4.0, "low": 1.0, "high": 8.0}],
    "blasts": {
        "cells": 30,
        "leukocytes": 100,
        "unclassified": 10,
        "provisional": False,
        **_SHARE,
        "thresholds": [
            {"name": "WHO 2022", "fraction": 0.2, "verdict": "undecided"},
            {"name": "ICC 2022", "fraction": 0.1, "verdict": "above"},
        ],
    },
    "made_by": {
        "bundles": [],
        "pixel_pipelines": ["pixels-7"],
        "finders": ["red-cells-2"],
        "edge_versions": ["0.1.0"],
    },
}
FACTS = {
    "accession": "S-12345678",
    "slide_name": "B-17",
    "site": "north",
    "device": "scope-1",
    "simulated": False,
    "revision": 3,
    "computed_at": AT,
    "bundle_id": "smears-1",
    "bundle_sha256": "0" * 64,
    "order": None,
}


def report(**changes):
    signed = {
        **FACTS,
        "signature_id": UUID(int=1),
        "slide_id": UUID(int=2),
        "specimen_id": UUID(int=3),
        "trained": True,
        "result": SUMMARY,
        "cells_by_model": {"neutrophil": 70, "blast": 30, "unclassified": 10},
        "cells_by_reader": {"neutrophil": 70, "blast": 30, "unclassified": 10},
        "labels": (),
        "policy_version": 4,
        "cells_to_see": {"class": 30, "lot": 10},
        "signed_by": "p",
        "signed_by_name": "Ada Adler",
        "signed_at": AT,
    }
    return SignedReport.model_validate(signed | changes).model_dump_json()


def text_of(pdf):
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
    return " ".join(" ".join(pages).split())


def test_a_signed_report_tells_who_stands_behind_which_numbers():
    told = text_of(signed_pdf(report()))
    for said in (
        "Signed report Signed by Ada Adler, 04 May 2026 09:30 UTC.",
        "Accession: S-12345678",
        "Blasts may be over 20 %.",
        "Blast 30 30 31.0 % 20.0 % to 40.0 %",
        "Perhaps over WHO 2022's 20 %.",
        "Over ICC 2022's 10 %.",
        "Cut by the border: 20 not counted",
        "Smudge: 4.0 per 100 white cells (4).",
        "(version 4) asked for: 30 of a class that must be seen, 10 drawn by lot.",
        "smears-1, SHA-256 0000",
        "Red cells and platelets Not assessed.",
    ):
        assert said in told, said


def test_red_cells_and_platelets_stand_as_they_were_graded():
    said = {
        "red_cells": {"schistocytes": 1, "target-cells": 2, "spherocytes": 0},
        "platelet_estimate": "decreased",
    }
    told = text_of(signed_pdf(report(morphology=said)))
    assert "Red cells: target cells 2+, schistocytes 1+, none of spherocytes." in told
    assert "Platelets: decreased by eye." in told
    assert "What is not named was not assessed." in told


def test_finer_names_of_the_reader_stand_within_their_line():
    label = SignedLabel(cell_id=UUID(int=9), label="neutrophil-band", by="p", by_name="P")
    read = {"neutrophil": 66, "neutrophil-band": 4, "blast": 30, "unclassified": 10}
    told = text_of(signed_pdf(report(cells_by_reader=read, labels=(label.model_dump(),))))
    assert "Neutrophil (of which neutrophil band 4) 70 70 70.0 %" in told
    assert told.count("eutrophil band") == 1


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "They agree about each blast and each threshold"),
        ({"blasts_differing": (UUID(int=4),)}, "Their readings differ: Ada Adler has decided."),
    ],
)
def test_two_readings_are_told_with_how_far_they_agree(changes, outcome):
    readings = [
        {
            "reader": name,
            "reader_name": name,
            "finished_at": AT,
            "revision": 3,
            "cells_by_reader": {"blast": 30},
            "looked_before": name == "Bob Birch",
        }
        for name in ("Ada Adler", "Bob Birch")
    ]
    agreement = {
        "kappa": {"blast": 0.875, "monocyte": None},
        "cells_differing": (UUID(int=4),),
        "blasts_differing": (),
        "thresholds_differing": (),
        "same_revision": True,
    } | changes
    told = text_of(signed_pdf(report(readings=readings, agreement=agreement)))
    for said in (
        "First reader: Ada Adler, 04 May 2026 09:30 UTC.",
        "Second reader: Bob Birch, 04 May 2026 09:30 UTC, without knowing what",
        "the audit shows that they had opened it before",
        "Named differently by the two: 1 cell. Cohen's kappa: blast 0.88, monocyte undefined.",
        outcome,
    ):
        assert said in told, said


def test_each_page_says_that_it_is_for_research():
    many = [{"code": f"c{number}", "text": f"Flag {number} " * 12} for number in range(60)]
    pdf = signed_pdf(report(result=SUMMARY | {"flags": many}))
    pages = PdfReader(io.BytesIO(pdf)).pages
    assert len(pages) > 1
    for page in pages:
        assert "For Research Use Only. Not for use in diagnostic procedures." in page.extract_text()


def test_the_same_report_is_the_same_bytes():
    assert signed_pdf(report()) == signed_pdf(report())


def test_an_amendment_names_what_it_takes_the_place_of_and_why():
    told = text_of(signed_pdf(report(amends=UUID(int=9), reason="Two fields came late.")))
    assert "Amended report" in told
    assert f"in the place of signature {UUID(int=9)}. Why: Two fields came late." in told


def test_what_a_reader_named_otherwise_stands_beside_what_the_model_said():
    label = SignedLabel(cell_id=UUID(int=5), label="promyelocyte", by="p", by_name="Ada Adler")
    changed = {"neutrophil": 70, "blast": 29, "promyelocyte": 1, "unclassified": 10}
    told = text_of(signed_pdf(report(labels=(label,), cells_by_reader=changed)))
    assert "Named by a person: 1 cell, by Ada Adler." in told
    assert "Promyelocyte 0 1" in told
    assert "Blast 30 29" in told


def test_the_order_is_named_by_its_code_and_brings_the_blood_count():
    counted = BloodCount.model_validate(
        {"wbc": {"value": 31.4}, "hb": {"value": 9.1, "unit": "g/dL"}}
    )
    order = SignedOrder(
        order_id=UUID(int=7), barcode="24-00017", patient_id=None, blood_count=counted
    )
    signed = text_of(signed_pdf(report(order=order)))
    unsigned = FACTS | {"order": order.model_dump()}
    unreviewed = text_of(unreviewed_pdf(unsigned, SlideSummary.model_validate(SUMMARY)))
    for told in (signed, unreviewed):
        assert "Order: 24-00017" in told
        assert "Blood count: white cells 31.4 10*9/L, haemoglobin 9.1 g/dL" in told
    assert "Order:" not in text_of(signed_pdf(report()))


def test_before_a_signature_it_says_that_nobody_has_looked():
    told = text_of(unreviewed_pdf(FACTS, SlideSummary.model_validate(SUMMARY)))
    assert "Not reviewed by a person" in told
    assert "revision 3 · not reviewed" in told
    assert "Signed" not in told


def test_without_a_learned_class_there_is_no_differential():
    untrained = SUMMARY | {"trained": False, "differential": [], "blasts": None}
    told = text_of(unreviewed_pdf(FACTS, SlideSummary.model_validate(untrained)))
    assert "No counted cell has a class that was learned" in told
    assert "No share can be told." in told


@pytest.mark.parametrize(
    "name",
    [
        '#eval("1+1") $x$ *b* _i_ `c` <l> @r \\ // /* ',
        "]]}}) #panic()",
        "Dr. " + "very long " * 40,
        'O\'Neil "Ada" & <script>',
    ],
)
def test_a_name_is_no_markup(name):
    told = text_of(signed_pdf(report(signed_by_name=name)))
    assert "".join(name.split()) in "".join(told.split())


@pytest.mark.parametrize(
    ("name", "shown"),
    [("李 Li", "[U+674E] Li"), ("Ada 🙂", "Ada [U+1F642]"), ("Ada\x07", "Ada[U+0007]")],
)
def test_what_no_font_has_is_spelled_by_number(name, shown):
    assert shown in text_of(signed_pdf(report(signed_by_name=name)))


def patterns(read=None):
    """What the model's count fits, and the reader's, as a signature keeps it."""
    loaded = shipped_rules()
    model = counted_by_model(SlideSummary.model_validate(SUMMARY))
    told = SlidePatterns(
        rules=loaded.used,
        model=judge(loaded.rules, model, BloodCount()),
        read=judge(loaded.rules, read, BloodCount()) if read else None,
    )
    return told.model_dump()


def test_a_pattern_stands_on_paper_only_where_the_reader_kept_it():
    shown = text_of(signed_pdf(report(patterns=patterns(), pattern_kept=False)))
    assert "atterns" not in shown
    kept = text_of(signed_pdf(report(patterns=patterns(), pattern_kept=True)))
    for said in (
        "Patterns that the reader kept May fit: Acute myeloid leukaemia (AML)",
        "(Blasts 20.0% to 40.0% (20% or more; WHO 2017: Swerdlow",
        "For research use only; no diagnosis. By rules 1 (SHA-256",
    ):
        assert said in kept, said


def test_where_people_named_cells_their_pattern_is_the_one_that_is_kept():
    read = ReadCount({"lymphocyte": 60, "neutrophil": 40}, 20)
    kept = text_of(signed_pdf(report(patterns=patterns(read), pattern_kept=True)))
    assert "Chronic lymphocytic leukaemia" in kept
    assert "Acute" not in kept
    assert "Provisional: people have named 20 of 100 cells, the others are the model's." in kept
