"""How readers called the cells of signed slides, beside the model's: kept with each signature."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, exists, func, insert, select

from hemaline_cloud.database.reading.cells import CellRow
from hemaline_cloud.database.schema import Bundle, Signature, SignedClasses
from hemaline_cloud.review.overrides import SignedCells
from hemaline_cloud.review.report import NO_CLASS, SignedReport


def add_signed_classes(
    connection: Connection, report: SignedReport, cells: Sequence[CellRow]
) -> None:
    """Keep how a signed report calls the cells that count.

    Args:
        connection: In the transaction that signs it.
        report: As it was signed.
        cells: All of the slide, with what the model calls them.
    """
    said = {label.cell_id: label.label for label in report.labels}
    pairs = Counter(
        (
            cell.label or NO_CLASS,
            said.get(cell.cell_id) or (None if report.alone else cell.label) or NO_CLASS,
        )
        for cell in cells
        if cell.excluded is None
    )
    number = select(Bundle.number).where(Bundle.sha256 == report.bundle_sha256)
    about = {
        "signature_id": report.signature_id,
        "site": report.site,
        "device": report.device,
        "bundle": connection.scalar(number),
        "machine_hidden": report.alone,
        "signed_at": report.signed_at,
    }
    rows = [
        {**about, "model_class": model, "reader_class": reader, "cells": number_of}
        for (model, reader), number_of in pairs.items()
    ]
    if rows:
        connection.execute(insert(SignedClasses), rows)


def signed_cells(
    connection: Connection, within: timedelta, *, site: str | None = None, device: str | None = None
) -> list[SignedCells]:
    """Return how the cells of slides that were signed of late are called; each slide counts once.

    An untrained bundle called nothing anything, and is left out. Of what was amended, the newest
    signature counts.

    Args:
        connection: In a transaction.
        within: How long ago at most.
        site: Of this site alone.
        device: Of microscopes that are called so alone.
    """
    amended = exists().where(Signature.amends == SignedClasses.signature_id)
    pair = (SignedClasses.model_class, SignedClasses.reader_class)
    about = (
        SignedClasses.site,
        SignedClasses.device,
        Bundle.bundle_id,
        Bundle.sha256,
        SignedClasses.machine_hidden,
    )
    query = (
        select(*about, *pair, func.sum(SignedClasses.cells))
        .join(Bundle, Bundle.number == SignedClasses.bundle)
        .where(SignedClasses.signed_at > func.now() - within, ~amended, Bundle.trained)
        .group_by(*about, *pair)
        .order_by(*about, *pair)
    )
    if site is not None:
        query = query.where(SignedClasses.site == site)
    if device is not None:
        query = query.where(SignedClasses.device == device)
    return [SignedCells(*row) for row in connection.execute(query)]
