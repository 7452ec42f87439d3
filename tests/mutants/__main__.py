"""`make mutants`: change core modules a little, by chance from a seed, and run their own tests.

The changes are Cosmic Ray's, made on a copy of the checkout. A change that no test notices is a
missing test, or it changes nothing that anyone could see and stands in `equal.py` with the reason.
"""

import argparse
import ast
import difflib
import hashlib
import itertools
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names
from parso.tree import NodeOrLeaf

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutants.equal import EQUAL
from mutants.modules import CORE
from mutants.runs import Runs

_ROOT = Path(__file__).parents[2]
_NOTICED = _ROOT / "build" / "mutants-noticed.txt"
_GOAL = 0.85
# Any test notices most of these, since no float has bits; `_Is` asks about the same None otherwise.
_LEFT_OUT = ("Variable", "Bit", "MatMult", "Shift", "Pow", "UAdd", "Invert", "_Is")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong change: of what kind, and the module's text with it."""

    operator: str
    code: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many changes of a module were tried, noticed, and are equal to the original."""

    tried: int
    noticed: int
    equal: int

    @property
    def enough(self) -> bool:
        """Whether the goal is met and nothing is left to explain."""
        return self.noticed >= _GOAL * self.tried and self.noticed + self.equal == self.tried


def main() -> int:
    """Try so many changes a module; 0 when enough were noticed and the rest is explained."""
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("modules", nargs="*", help="parts of module names; all, if none is given")
    parser.add_argument("--each", type=int, default=12, help="changes a module")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chosen = [m for m in CORE if not options.modules or any(n in m for n in options.modules)]
    tallies = []
    with tempfile.TemporaryDirectory(prefix="hemaline-mutants-") as folder:
        copy = _copy(Path(folder) / "checkout")
        for module in chosen:
            tally = _try(copy, module, options.each, options.seed)
            _say(f"| `{module}` | {tally.tried} | {tally.noticed} | {tally.equal} |")
            tallies.append(tally)
    total = Tally(*(sum(getattr(t, part) for t in tallies) for part in Tally.__slots__))
    share = total.noticed / max(1, total.tried)
    _say(f"| all: {share:.0%} noticed | {total.tried} | {total.noticed} | {total.equal} |")
    return 0 if total.enough else 1


def _copy(to: Path) -> Path:
    leave = shutil.ignore_patterns(".git", ".venv", ".tools", "build", ".*_cache", "__pycache__")
    shutil.copytree(_ROOT, to, ignore=leave)
    return to


def _try(copy: Path, module: str, each: int, seed: int) -> Tally:
    file = copy / module
    original = file.read_text()
    mutants = list(_mutants(original, each, f"{seed} {module}"))
    noticed = equal = 0
    with Runs(copy, CORE[module]) as runs:
        for mutant in mutants:
            if _is_noticed(runs, file, original, mutant):
                noticed += 1
                continue
            why = _why_equal(module, original, mutant)
            equal += why is not None
            _show(module, original, mutant, why or "not noticed")
    return Tally(len(mutants), noticed, equal)


def _is_noticed(runs: Runs, file: Path, original: str, mutant: Mutant) -> bool:
    """Run the tests, if they did not notice this change before (`build/mutants-noticed.txt`)."""
    name = hashlib.sha256(f"{file.name} {mutant.code}".encode()).hexdigest()
    if _NOTICED.exists() and name in _NOTICED.read_text().splitlines():
        return True
    runs.must_pass()
    file.write_text(mutant.code)
    noticed = not runs.passes()
    file.write_text(original)
    if noticed:
        _NOTICED.parent.mkdir(exist_ok=True)
        with _NOTICED.open("a") as names:
            names.write(f"{name}\n")
    return noticed


def _mutants(original: str, each: int, seed: str) -> Iterator[Mutant]:
    """Yield so many changes of all that are possible, or all if they are fewer."""
    nodes = list(ast_nodes(parso.parse(original)))
    places = [(name, at) for name in operator_names() for at in range(_places(nodes, name))]
    random.Random(seed).shuffle(places)
    codes = ((name, _code(original, name, occurrence)) for name, occurrence in places)
    mutants = (Mutant(name, code) for name, code in codes if code is not None)
    return itertools.islice(mutants, each)


def _code(original: str, operator_name: str, occurrence: int) -> str | None:
    """Return the changed text; None if it is no Python, which would not be noticed by a test."""
    try:
        code: str = mutate_code(original, get_operator(operator_name)(), occurrence)
        ast.parse(code)
    except (AttributeError, SyntaxError):  # the first: Cosmic Ray knows no dotted exceptions
        return None
    return code


def _places(nodes: list[NodeOrLeaf], operator_name: str) -> int:
    if any(part in operator_name for part in _LEFT_OUT):
        return 0
    operator: Operator = get_operator(operator_name)()
    return sum(len(list(operator.mutation_positions(node))) for node in nodes)


def _why_equal(module: str, original: str, mutant: Mutant) -> str | None:
    changed = _changed(original, mutant.code)
    return next(
        (e.why for e in EQUAL if e.module == module and (e.line, e.change) == changed), None
    )


def _changed(original: str, code: str) -> tuple[str, str]:
    lines = list(difflib.ndiff(original.splitlines(), code.splitlines()))
    before, after = ([one[2:].strip() for one in lines if one[0] == sign] for sign in "-+")
    return " ".join(before), " ".join(after)


def _show(module: str, original: str, mutant: Mutant, verdict: str) -> None:
    lines = difflib.unified_diff(
        original.splitlines(), mutant.code.splitlines(), module, verdict, lineterm="", n=1
    )
    _say("\n".join(lines))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
