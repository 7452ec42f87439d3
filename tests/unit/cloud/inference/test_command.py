"""`hemaline-cloud untrained-bundle DIR`."""

from typer.testing import CliRunner

from hemaline_cloud.cli import app
from hemaline_cloud.inference.bundle import load_bundle


def test_the_command_builds_a_bundle_that_loads(tmp_path):
    result = CliRunner().invoke(app, ["untrained-bundle", str(tmp_path / "bundle")])
    assert result.exit_code == 0, result.output
    assert not load_bundle(tmp_path / "bundle").manifest.trained
