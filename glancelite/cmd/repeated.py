"""Leaves out log lines of workers that the start of the service has logged already."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator

Line = tuple[str, int, str]


def _line(record: logging.LogRecord) -> Line:
    return record.name, record.levelno, record.getMessage()


class Record(logging.Handler):
    """Keeps what is logged: the name of the logger, the level and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[Line] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.add(_line(record))


@contextlib.contextmanager
def recorded() -> Iterator[Collection[Line]]:
    """Record the lines that are logged in the block."""
    record = Record()
    root = logging.getLogger()
    root.addHandler(record)
    try:
        yield record.lines
    finally:
        root.removeHandler(record)


@contextlib.contextmanager
def left_out(lines: Collection[Line]) -> Iterator[None]:
    """Log none of these lines in the block, unless they are errors.

    Every worker builds the plugins anew, and each would repeat the warnings.
    """
    def is_new(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING or _line(record) not in lines

    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(is_new)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(is_new)
