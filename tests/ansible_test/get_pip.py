# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-test runs to bring pip: the one that comes with Python, instead of a download."""

from __future__ import annotations

import subprocess
import sys

# in a process of its own, because ensurepip turns pip's configuration off for its process
subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"])
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--upgrade", *arguments]))
