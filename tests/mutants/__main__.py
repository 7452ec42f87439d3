"""`make mutants`: change core modules a little, by chance from a seed, and run their own tests.

The changes are Cosmic Ray's, made on a copy of the checkout. A change that no test notices is
printed as a diff: it is a missing test, or equal to the original (a reader decides).
"""

import argparse
import difflib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutants.modules import CORE

_ROOT = Path(__file__).parents[2]
_GOAL = 0.85
_LIMIT_S = 300
# Python itself refuses most of the others in type hints and keyword arguments.
_LEFT_OUT = (
    "Variable",
    "BitOr",
    "MatMult",
    "RShift",
    "LShift",
    "BitXor",
    "Pow",
    "Is_",
    "IsNot",
    "UAdd",
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong change: of what kind, and the module's text with it."""

    operator: str
    code: str


def main() -> int:
    """Try so many changes a module; 0 when enough of them were noticed."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("modules", nargs="*", help="parts of module names; all, if none is given")
    parser.add_argument("--each", type=int, default=8, help="changes a module")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chosen = [m for m in CORE if not options.modules or any(n in m for n in options.modules)]
    noticed = tried = 0
    with tempfile.TemporaryDirectory(prefix="hemaline-mutants-") as folder:
        copy = _copy(Path(folder) / "checkout")
        for module in chosen:
            outcomes = list(_try(copy, module, options.each, options.seed))
            _say(f"{sum(outcomes)} of {len(outcomes)} noticed: {module}")
            noticed, tried = noticed + sum(outcomes), tried + len(outcomes)
    _say(f"{noticed} of {tried} noticed ({noticed / max(1, tried):.0%}; goal {_GOAL:.0%})")
    return 0 if noticed >= _GOAL * tried else 1


def _copy(to: Path) -> Path:
    leave = shutil.ignore_patterns(".git", ".venv", ".tools", "build", ".*_cache", "__pycache__")
    shutil.copytree(_ROOT, to, ignore=leave)
    return to


def _try(copy: Path, module: str, each: int, seed: int) -> Iterator[bool]:
    file = copy / module
    original = file.read_text()
    if not _passes(copy, module):
        sys.exit(f"the tests of {module} fail without any change: {' '.join(CORE[module])}")
    mutants = list(_mutants(original))
    random.Random(f"{seed} {module}").shuffle(mutants)
    for mutant in mutants[:each]:
        file.write_text(mutant.code)
        noticed = not _passes(copy, module)
        file.write_text(original)
        if not noticed:
            _show(module, original, mutant)
        yield noticed


def _mutants(original: str) -> Iterator[Mutant]:
    for name in operator_names():
        if any(part in name for part in _LEFT_OUT):
            continue
        operator = get_operator(name)()
        occurrence = 0
        while (code := mutate_code(original, operator, occurrence)) is not None:
            yield Mutant(name, code)
            occurrence += 1


def _passes(copy: Path, module: str) -> bool:
    packages = ("shared", "edge", "cloud", "deploy", "tests")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(copy / part) for part in packages)}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    python = _ROOT / ".venv" / "bin" / "python"
    command = [python, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, *CORE[module]],
            cwd=copy,
            env=env,
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False  # a loop without an end is noticed, too
    return done.returncode == 0


def _show(module: str, original: str, mutant: Mutant) -> None:
    lines = difflib.unified_diff(
        original.splitlines(), mutant.code.splitlines(), module, mutant.operator, lineterm="", n=1
    )
    _say("\n".join(lines))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
