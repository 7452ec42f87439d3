"""Writes deploy/grafana/dashboards/*.json (`make dashboards`): what is asked stands here alone."""

import json
from pathlib import Path
from typing import TypeAlias

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

FOLDER = Path(__file__).with_name("dashboards")

_Panel: TypeAlias = stat.Panel | statetimeline.Panel | timeseries.Panel

_SOURCE = DataSourceRef(type_val="prometheus", uid="hemaline")
_CHOSEN = '{site=~"$site", device=~"$device"}'
_DEVICE = "{{site}}/{{device}}"
_WIDTH = 24
_RUNBOOK = "docs/operations.md says what each word means, and what to do."


def fleet() -> dashboard.Dashboard:
    """Return what an operator of microscopes asks first."""
    made = _dashboard("hemaline-fleet", "Hemaline: microscopes")
    made.with_variable(_variable("site", "label_values(hemaline_device_state, site)"))
    of_site = 'label_values(hemaline_device_state{site=~"$site"}, device)'
    made.with_variable(_variable("device", of_site))
    states = f"hemaline:device_state:max{_CHOSEN}"
    attention = f"hemaline:device_attention:max{_CHOSEN}"
    captured = f"hemaline:device_captured_frames:rate1h{_CHOSEN} * 3600"
    well = states.replace("}", ', state=~"working|idle"}')
    _row(
        made,
        "Now",
        _number("Devices", f"sum({states})"),
        _number("Neither working nor idle", f"sum({states}) - sum({well})", red_from=1),
        _number("Want a look", f"sum(max by (site, device) ({attention}))", red_from=1),
        _number("Frames captured in the last hour", f"sum({captured})"),
        height=4,
    )
    _row(
        made,
        "What each is doing",
        _words("State", f"{states} == 1", f"{_DEVICE}: {{{{state}}}}"),
        _words("Why one wants a look", f"{attention} == 1", f"{_DEVICE}: {{{{attention}}}}"),
        height=10,
    )
    age = f"hemaline:device_telemetry_age_seconds:min{_CHOSEN}"
    _row(
        made,
        "Heard and captured",
        _lines("Since the last telemetry", "s", {_DEVICE: age}),
        _lines("Frames captured an hour", "short", {_DEVICE: captured}),
        _lines(
            "Rejected or quarantined of the captured, in an hour",
            "percentunit",
            {_DEVICE: f"{_ended('rejected|quarantined')} / {_ended('captured')}"},
        ),
    )
    filled = f"{_told('spool_bytes')} / {_told('spool_quota_bytes')}"
    drift = f"max by (site, device, measure) (hemaline_device_drift_ratio{_CHOSEN})"
    _row(
        made,
        "Spool and computer",
        _lines("Frames that wait", "short", {_DEVICE: _told("spool_frames")}),
        _lines("Spool filled", "percentunit", {_DEVICE: filled}),
        _lines("Free on its disk", "bytes", {_DEVICE: _told("disk_free_bytes")}),
        _lines("Temperature", "celsius", {_DEVICE: _told("temperature_celsius")}),
        _lines("Clock ahead of the server's", "s", {_DEVICE: _told("clock_ahead_seconds")}),
        _lines(
            "Drift from its own past, in standard deviations",
            "short",
            {f"{_DEVICE}: {{{{measure}}}}": drift},
        ),
    )
    return made


def servers() -> dashboard.Dashboard:
    """Return what whoever runs the servers asks first."""
    made = _dashboard("hemaline-servers", "Hemaline: servers")
    oldest, refused = (
        "max(hemaline_infer_queue_oldest_seconds)",
        "hemaline_ingest_quarantined_total",
    )
    _row(
        made,
        "Now",
        _number("Processes up", "sum(up)"),
        _number("Processes down", "count(up) - sum(up)", red_from=1),
        _number("Oldest field in the queue", oldest, unit="s", red_from=1800),
        _number(
            "Messages refused in a day", f"sum(increase({refused}[1d])) or vector(0)", red_from=1
        ),
        height=4,
    )
    _row(
        made,
        "Ingest",
        _lines("Messages a second", "ops", {"{{channel}}": _rate("ingest_received", "channel")}),
        _lines("From arrival to receipt, within", "s", _within("ingest_seconds")),
        _lines(
            "Refused in an hour, by reason",
            "short",
            {"{{reason}}": f"sum by (reason) (increase({refused}[1h]))"},
        ),
        _lines(
            "Memory held for messages",
            "bytes",
            {"{{instance}}": "sum by (instance) (hemaline_ingest_held_bytes)"},
        ),
    )
    _row(
        made,
        "Inference",
        _lines(
            "Fields in the queue",
            "short",
            {
                "all": "max(hemaline_infer_queue_depth)",
                "held by a worker": "max(hemaline_infer_queue_leased)",
                "for another version": "max(hemaline_infer_queue_parked)",
            },
        ),
        _lines("Cells a second", "ops", {"{{instance}}": _rate("infer_cells", "instance")}),
        _lines("Fields a second", "ops", {"{{outcome}}": _rate("infer_fields", "outcome")}),
    )
    _row(
        made,
        "Pages, API and audit",
        _lines("Requests a second", "ops", {"{{status}}": _rate("api_requests", "status")}),
        _lines("Answered within", "s", _within("api_request_seconds")),
        _lines(
            "Attempts a second that met trouble that passes",
            "ops",
            {"{{waiting}}: {{reason}}": _rate("retries", "waiting, reason")},
        ),
        _lines(
            "Audit events a second",
            "ops",
            {
                "sealed": "sum(rate(hemaline_audit_events_sealed_total[5m]))",
                "seconds in which sealing failed": (
                    "sum(rate(hemaline_audit_sealing_failures_total[5m]))"
                ),
            },
        ),
    )
    return made


DASHBOARDS = {"fleet": fleet, "servers": servers}


def as_json(made: dashboard.Dashboard) -> str:
    """Return a dashboard as Grafana imports it, the same text each time."""
    encoded = json.loads(JSONEncoder().encode(made.build()))
    for number, panel in enumerate(encoded["panels"], 1):
        panel["id"] = number
    return json.dumps(encoded, sort_keys=True, indent=1) + "\n"


def _told(what: str) -> str:
    """Return what a device told last; several API processes tell the same of it."""
    return f"max by (site, device) (hemaline_device_{what}{_CHOSEN})"


def _ended(outcomes: str) -> str:
    """Return the frames of a device in an hour that had one of these outcomes."""
    chosen = _CHOSEN.replace("}", f', outcome=~"{outcomes}"}}')
    increase = f"increase(hemaline_device_frames_total{chosen}[1h])"
    return f"sum by (site, device) (max by (site, device, outcome) ({increase}))"


def _rate(counter: str, by: str) -> str:
    return f"sum by ({by}) (rate(hemaline_{counter}_total[5m]))"


def _within(histogram: str) -> dict[str, str]:
    rates = f"sum by (le) (rate(hemaline_{histogram}_bucket[5m]))"
    shares = {"half of them": 0.5, "95 of 100": 0.95}
    return {name: f"histogram_quantile({share}, {rates})" for name, share in shares.items()}


def _dashboard(uid: str, title: str) -> dashboard.Dashboard:
    others = dashboard.DashboardLink("Hemaline").type(DashboardLinkType.DASHBOARDS)
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(["hemaline"])
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .link(others.tags(["hemaline"]))
    )


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(_SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _row(made: dashboard.Dashboard, title: str, *panels: _Panel, height: int = 8) -> None:
    """Add panels side by side; five or six of them make two lines."""
    made.with_row(dashboard.Row(title))
    span = _WIDTH // (len(panels) if len(panels) <= 4 else 3)
    for panel in panels:
        made.with_panel(panel.height(height).span(span))


def _number(
    title: str, expr: str, unit: str = "short", red_from: float | None = None
) -> stat.Panel:
    steps = [Threshold(value=None, color="text")]
    if red_from is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=red_from, color="red")]
    thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    return (
        stat.Panel()
        .title(title)
        .datasource(_SOURCE)
        .unit(unit)
        .decimals(0)
        .no_value("nothing heard")
        .color_mode(BigValueColorMode.VALUE)
        .thresholds(thresholds)
        .with_target(prometheus.Dataquery().expr(expr).ref_id("A").instant())
    )


def _words(title: str, expr: str, legend: str) -> statetimeline.Panel:
    """Return a bar for each word, as long as it is true."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(_RUNBOOK)
        .datasource(_SOURCE)
        .no_value("nothing to tell")
        .with_target(_in_time(expr, legend, "A"))
    )


def _lines(title: str, unit: str, asked: dict[str, str]) -> timeseries.Panel:
    """Return a line for each series of queries, by the names of their series."""
    below = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(_SOURCE)
        .unit(unit)
        .no_value("nothing heard")
        .legend(below)
    )
    if unit == "ops":
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(30)
    for ref_id, (legend, expr) in zip("ABCDEF", asked.items(), strict=False):
        panel.with_target(_in_time(expr, legend, ref_id))
    return panel


def _in_time(expr: str, legend: str, ref_id: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref_id).range()


def main() -> None:
    """Write each dashboard."""
    for name, make in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(as_json(make()))


if __name__ == "__main__":
    main()
