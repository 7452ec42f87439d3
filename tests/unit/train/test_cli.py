"""`hemaline-train` where not all is installed that it needs."""

import pytest

from hemaline_train import cli


def without(module, monkeypatch):
    def app():
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(cli, "app", app)


def test_a_part_that_is_not_installed_is_named_with_what_brings_it(monkeypatch, capsys):
    without("sklearn.metrics", monkeypatch)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "needs sklearn.metrics" in told
    assert "make setup-train" in told


def test_a_part_of_our_own_that_is_missing_is_a_defect(monkeypatch):
    without("hemaline_train.nowhere", monkeypatch)
    with pytest.raises(ModuleNotFoundError):
        cli.main()
