"""`make bench`: every benchmark, or those named in ARGS; a table, and build/bench.json."""

import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

_ROOT = Path(__file__).parents[2]
_BENCHMARKS = {
    "worker": "worker, spooled queue of crops, over raw ONNX Runtime",
    "ingest": "ingest of 100 KB fields, over a bare paho subscriber",
    "sweep": "a sweep over 50,000 captured files, over looking at each",
    "edge": "edge, frame to durable spool, over bare decode + finding + encode",
    "latency": "capture to readable result, over its goal of 2 x bare stages + 200 ms",
    "thin_line": "a backlog over lines 2, 8 and 32 times too thin, over the bare bytes",
    "lists": "lists at 1,000,000 slides, 95th percentile, over the same at 10,000",
    "reads": "slides read a second by eight clients, over a bare route with query and audit insert",
    "size": "bytes of the database a cell, beside its answers as JSON",
    "fleet": "200 devices against one ingest, over one that stores nothing",
}
_SMALLER_IS_BETTER = {"sweep", "edge", "latency", "thin_line", "lists", "size"}


def main() -> None:
    """Measure, show, write."""
    console = Console()
    names = sys.argv[1:] or list(_BENCHMARKS)
    if unknown := set(names) - set(_BENCHMARKS):
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(_BENCHMARKS)}")
    machine = _machine()
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        console.print(f"measuring {name}: {_BENCHMARKS[name]} …")
        rows[name] = importlib.import_module(f"benchmarks.{name}").measure() | {"machine": machine}
    console.print(_table(rows, machine))
    _write(rows, console)


def _table(rows: dict[str, dict[str, Any]], machine: str) -> Table:
    table = Table(title=f"Measured on {machine}", title_justify="left")
    table.add_column("benchmark", overflow="fold")
    for column in ("ours", "baseline", "ratio", "goal"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in rows.items():
        unit = row["unit"]
        table.add_row(
            f"{name}: {_BENCHMARKS[name]}",
            f"{row['ours']:.1f} {unit}",
            f"{row['baseline']:.1f} {unit}",
            f"{row['ratio']:.2f}",
            _goal(name, row),
        )
    return table


def _goal(name: str, row: dict[str, Any]) -> str:
    if row["goal"] is None:
        return "none"
    sign = "≤" if name in _SMALLER_IS_BETTER else "≥"
    met = row["ratio"] <= row["goal"] if sign == "≤" else row["ratio"] >= row["goal"]
    return f"[{'green' if met else 'red'}]{sign} {row['goal']}[/]"


def _write(rows: dict[str, dict[str, Any]], console: Console) -> None:
    file = _ROOT / "build" / "bench.json"
    file.parent.mkdir(exist_ok=True)
    earlier = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(earlier | rows, indent=2) + "\n")
    console.print(f"written: {file.relative_to(_ROOT)}")


def _machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
