"""Make this checkout importable in the environment that runs this file, with its `mss` command.

An editable install would need the build backend on a machine that only wants the demo; a path file and a
four-line script do the same.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

Path(sysconfig.get_path("purelib"), "mss-server.pth").write_text(f"{CHECKOUT}\n")
script = Path(sysconfig.get_path("scripts"), "mss")
script.write_text(f"#!{sys.executable}\nfrom mss.cli.main import run\n\nrun()\n")
script.chmod(0o755)
