"""Nothing of a laboratory leaves it: not even what a library would report of itself."""

import os
import subprocess
import sys


def test_onnx_runtime_writes_no_id_and_reports_to_nobody(tmp_path):
    script = (
        "import hemaline_cloud.inference.runtime, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    env = {name: text for name, text in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    env |= {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []
