"""The scripts of the pages can be read by a browser."""

import subprocess
from pathlib import Path

import hemaline_cloud.api
import hemaline_edge
from parts.node import node

READ = "for (const f of process.argv.slice(1)) new vm.Script(fs.readFileSync(f, 'utf8'), f)"


def test_every_script_is_one():
    packages = (hemaline_cloud.api, hemaline_edge)
    scripts = [file for one in packages for file in Path(one.__path__[0]).rglob("*.js")]
    assert len(scripts) > 3
    read = subprocess.run(
        [node(), "-e", READ, *map(str, scripts)], capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr
