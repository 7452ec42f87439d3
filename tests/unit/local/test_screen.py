"""The tables on the terminal show every name as it is spelt."""

import io

import pytest
from rich.console import Console

from hemaline_local.results import SlideReport
from hemaline_local.screen import results_table


@pytest.mark.parametrize("label", ["[/b]", "[red]", "smear 3"])
def test_a_slide_may_be_called_anything(label):
    report = SlideReport.unseen("id", "S-00000001", label, "scope-1", 3)
    console = Console(file=io.StringIO(), width=100)
    console.print(results_table([report]))
    assert f"scope-1 · {label}" in console.file.getvalue()
