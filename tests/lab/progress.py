# SPDX-License-Identifier: GPL-3.0-or-later
"""One line at the bottom of a terminal, which says what is going on and for how long; nothing where nobody looks."""

from __future__ import annotations

import sys
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

_PAUSE = 0.5  # seconds
_CLEAR = "\r\x1b[K"


class Progress:
    """Tells it while its block runs: `what` is the words, or a function that finds them anew each time."""

    def __init__(self, what: str | Callable[[], str], stream: t.TextIO = sys.stderr) -> None:
        self._what = what if callable(what) else lambda: what
        self._stream = stream
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> Progress:
        self._began = time.monotonic()
        if self._stream.isatty():
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def say(self, text: str) -> None:
        """Print what stays, above the line."""
        with self._lock:
            if self._thread.is_alive():
                self._write(_CLEAR)
            print(text, flush=True)

    def _show(self) -> None:
        while not self._ended.wait(_PAUSE):
            with self._lock:
                minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
                self._write(f"{_CLEAR}{minutes}:{seconds:02} {self._what()}"[:120])
        self._write(_CLEAR)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
