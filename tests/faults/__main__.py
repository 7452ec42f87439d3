"""`make faults`: so many kills over so many frames; a table, build/faults.json, and an exit status.

Two legs: one stores in SeaweedFS, which is killed, too; one in a directory, whose disk is filled
and fails. Real PostgreSQL with fsync, real Mosquitto, a process each; kills are SIGKILL.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.counting import Account, fingerprint, settled, take_account
from faults.faults import Disks, Faults, build_eio
from faults.pictures import lay_out
from faults.replay import Witness, replay
from faults.system import Agent, Campground, Service, Supervisor, storage_env
from hemaline_cloud.settings import DirectoryObjects
from hemaline_local.broker import find_mosquitto, mosquitto_command
from parts.appointed import appointed
from parts.broker import BrokerPart
from parts.bundles import tiny_trained
from parts.postgres import PostgresPart
from parts.seaweedfs import SeaweedPart

_ROOT = Path(__file__).parents[2]
_DEVICES = 4
_CLOCKS = {2: "+3d", 3: "-3d"}
_SPOOL_DISK_MB = 24
_STORE_DISK_MB = 3000
_TROUBLE_EVERY = 10
_LEG_LIMIT_S = 1800

console = Console()


def main() -> int:
    """Run both legs; 0 when every frame of both is accounted for."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    legs = [
        run_leg(name, options.frames // 2, options.kills // 2, options.seed + number)
        for number, name in enumerate(("SeaweedFS", "directory"))
    ]
    report = {
        "frames": sum(leg["account"]["pictures"] for leg in legs),
        "kills": sum(leg["kills"] for leg in legs),
        "seconds": round(time.monotonic() - started),
        "sound": all(leg["sound"] for leg in legs),
        "legs": legs,
    }
    _tell(report)
    return 0 if report["sound"] else 1


def run_leg(name: str, frames: int, kills: int, seed: int) -> dict[str, Any]:
    """Run one leg of the campaign and return what is to be told of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hemaline-faults-")))
        folder.chmod(0o755)  # PostgreSQL's own user, where we are root
        ground, disks = _set_up(stack, name, folder)
        data = os.environ.get("HEMALINE_DATA")
        folders = [agent.pictures for agent in ground.agents]
        real = lay_out(folders, frames, Path(data) if data else None)
        console.print(f"{name}: {frames} pictures, {real} of them real; {kills} kills …")
        faults = Faults(ground, seed, disks)
        witness = stack.enter_context(Witness(ground.broker.settings))
        started = time.monotonic()
        _start(stack, ground)
        _campaign(ground, faults, frames, kills)
        _drain(ground, frames)
        account = take_account(ground, frames)
        replayed = _replay(ground, witness)
        seconds = round(time.monotonic() - started)
        console.print(f"{name}: {seconds} s, {'sound' if account.sound else 'NOT SOUND'}")
        return {
            "store": name,
            "seconds": seconds,
            "real": real,
            "kills": sum(n for what, n in faults.done.items() if _is_kill(what)),
            "done": dict(sorted(faults.done.items())),
            "clocks": sorted(_CLOCKS.values()) if _faketime() else [],
            "account": asdict(account),
            **replayed,
            "sound": account.sound and replayed["replay_changed_nothing"],
        }


def _set_up(stack: ExitStack, name: str, folder: Path) -> tuple[Campground, Disks]:
    mosquitto = find_mosquitto()
    if not mosquitto:
        sys.exit("the campaign needs mosquitto: install it (apt install mosquitto)")
    broker = BrokerPart(
        folder / "broker", lambda at, port, extra: mosquitto_command(mosquitto, at, port, extra)
    )
    broker.config_extra = "max_queued_messages 100000\n"
    postgres = PostgresPart(folder / "postgres", durable=True)
    broker.start()
    stack.callback(broker.stop)
    postgres.start()
    stack.callback(postgres.stop)
    database_url = postgres.create_migrated()
    seaweed = SeaweedPart(folder / "seaweedfs") if name == "SeaweedFS" else None
    small, failing, preload = _disks(stack, folder, with_store=seaweed is None)
    if seaweed:
        seaweed.start()
        stack.callback(seaweed.stop)
    objects = seaweed.settings if seaweed else DirectoryObjects(path=folder / "store" / "objects")
    common = {"HEMALINE_DATABASE_URL": database_url, **storage_env(objects)}
    ingest_env = common | {"HEMALINE_BROKER__PORT": str(broker.settings.port)}
    if preload and seaweed is None:
        ingest_env |= _preload(preload, folder / "store", folder / "store-eio")
    bundle = tiny_trained(folder / "bundle")
    appointed(database_url, bundle)
    infer_env = common | {
        "HEMALINE_BUNDLE": str(bundle),
        "HEMALINE_LEASE_S": "6",
    }
    agents = [_agent(number, folder, broker) for number in range(_DEVICES)]
    if preload:
        agents[0].more_env |= _preload(preload, agents[0].spool.parent, folder / "spool-eio")
    services = [
        Service("ingest", folder / "ingest.log", ingest_env),
        Service("infer", folder / "infer.log", infer_env),
    ]
    supervisor = Supervisor(services, agents)
    ground = Campground(
        folder, broker, postgres, objects, seaweed, *services, agents, database_url, supervisor
    )
    return ground, Disks(small, failing)


def _agent(number: int, folder: Path, broker: BrokerPart) -> Agent:
    agent = Agent(f"scope-{number}", folder / f"scope-{number}", broker)
    if number in _CLOCKS and (library := _faketime()):
        agent.more_env |= {
            "LD_PRELOAD": str(library),
            "FAKETIME": _CLOCKS[number],
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    return agent


def _faketime() -> Path | None:
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def _disks(
    stack: ExitStack, folder: Path, *, with_store: bool
) -> tuple[dict[str, Path], dict[str, Path], Path | None]:
    """Give one spool, and the store, disks of their own where that is allowed here."""
    small: dict[str, Path] = {}
    sizes = {"scope-1/spool": _SPOOL_DISK_MB} | ({"store": _STORE_DISK_MB} if with_store else {})
    for name, megabytes in sizes.items():
        mount = folder / name
        mount.mkdir(parents=True, exist_ok=True)
        if stack.enter_context(_mounted(mount, megabytes)):
            small["store's disk" if name == "store" else "spool's disk"] = mount
    library = build_eio(folder)
    failing = {"spool's disk": folder / "spool-eio"} if library else {}
    if library and with_store:
        failing["store's disk"] = folder / "store-eio"
    return small, failing, library


@contextmanager
def _mounted(mount: Path, megabytes: int) -> Iterator[bool]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(mount)]
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(command, check=False, capture_output=True).returncode
    )
    if not mounted:
        console.print(f"no disk of its own for {mount.name}: that needs root; it is not filled")
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(mount)], check=True)


def _preload(library: Path, below: Path, flag: Path) -> dict[str, str]:
    return {"LD_PRELOAD": str(library), "EIO_BELOW": str(below), "EIO_WHILE": str(flag)}


def _start(stack: ExitStack, ground: Campground) -> None:
    for agent in ground.agents:
        stack.enter_context(agent.line)
    for part in (ground.ingest, ground.infer, *ground.agents):
        part.start()
        stack.callback(part.kill)
    ground.supervisor.start()
    stack.callback(ground.supervisor.stop)


def _campaign(ground: Campground, faults: Faults, frames: int, kills: int) -> None:
    """Kill something each time that so many more frames were captured, or some seconds went by."""
    last, seen = time.monotonic(), 0
    for number in range(kills):
        while True:
            captured = sum(agent.captured for agent in ground.agents)
            if captured - seen >= frames / kills or time.monotonic() - last > 6:
                break
            time.sleep(0.1)
        seen, last = captured, time.monotonic()
        faults.kill_something()
        if number % _TROUBLE_EVERY == 0:
            faults.make_trouble()
        if number % 20 == 0:
            console.print(f"  {number} kills, {captured} of {frames} captured")


def _drain(ground: Campground, frames: int) -> None:
    deadline = time.monotonic() + _LEG_LIMIT_S
    while not (all(agent.drained for agent in ground.agents) and settled(ground, frames)):
        if time.monotonic() > deadline:
            console.print("not drained in time: frames are stuck; the counts tell where")
            return
        time.sleep(0.5)


def _replay(ground: Campground, witness: Witness) -> dict[str, Any]:
    before = fingerprint(ground)
    replayed = replay(ground, witness, times=3)
    return {"replayed": replayed, "replay_changed_nothing": fingerprint(ground) == before}


def _bound(report: dict[str, Any]) -> str:
    kills, frames, seconds = report["kills"], report["frames"], report["seconds"]
    return (
        f"{kills} kills over {frames} frames in {seconds} s. None lost in so many means: less than "
        f"{3 / frames:.2%} are lost (95 %, rule of three)."
    )


def _is_kill(what: str) -> bool:
    return what.startswith(("kill", "crash", "restart"))


def _tell(report: dict[str, Any]) -> None:
    accounts = [Account(**leg["account"]) for leg in report["legs"]]
    done: Counter[str] = Counter()
    for leg in report["legs"]:
        done.update(leg["done"])
    lines = ["| what was done | times |", "|---|---|"]
    lines += [f"| {what} | {times} |" for what, times in sorted(done.items())]
    lines += ["", "| counted | frames |", "|---|---|"]
    lines += [f"| pictures in the devices' folders | {report['frames']} |"]
    for state in ("result", "rejected", "quarantined", "pending"):
        lines += [f"| {state} | {sum(a.states.get(state, 0) for a in accounts)} |"]
    for field in ("lost", "double", "wrong_objects", "blamed", "miscounted"):
        told = field.replace("_", " ")
        lines += [f"| {told} | {sum(getattr(account, field) for account in accounts)} |"]
    lines += ["", _bound(report)]
    console.print("\n".join(lines), highlight=False, markup=False)
    file = _ROOT / "build" / "faults.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
