"""Small charts of a device's hours, drawn by the server as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hemaline_cloud.api.words import in_bytes
from hemaline_cloud.database.reading.device_history import HourRow


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of a chart: `height` is a part of the highest; None: nothing is known."""

    hour: datetime
    height: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars from the oldest hour to this one."""

    name: str
    summary: str
    bars: list[Bar]


def charts_of(hours: Sequence[HourRow]) -> list[Chart]:
    """Return the charts of a device's page; `hours` has no gap, the newest last."""
    captured = [float(hour.captured) for hour in hours]
    waiting = [float(hour.spool_bytes) for hour in hours]
    blur = [hour.blur for hour in hours]
    known = [value for value in blur if value is not None]
    return [
        _chart(
            "Frames captured an hour",
            f"{sum(captured):,.0f} in {len(hours)} hours",
            hours,
            captured,
            [f"{value:,.0f} frames" for value in captured],
        ),
        _chart(
            "Waiting in the spool",
            f"at most {in_bytes(int(max(waiting, default=0)))}",
            hours,
            waiting,
            [
                f"{in_bytes(hour.spool_bytes)}, {hour.spool_frames:,} frames at most"
                for hour in hours
            ],
        ),
        _chart(
            "Blur, in percent of a red cell",
            f"{min(known):.1f} to {max(known):.1f}" if known else "no frame was judged",
            hours,
            blur,
            ["no frame" if value is None else f"{value:.2f}" for value in blur],
        ),
    ]


def _chart(
    name: str,
    summary: str,
    hours: Sequence[HourRow],
    values: Sequence[float | None],
    texts: Sequence[str],
) -> Chart:
    highest = max((value for value in values if value is not None), default=0.0) or 1.0
    bars = [
        Bar(hour.hour, None if value is None else value / highest, text)
        for hour, value, text in zip(hours, values, texts, strict=True)
    ]
    return Chart(name, summary, bars)
