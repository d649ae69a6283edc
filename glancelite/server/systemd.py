"""Tells systemd when the service is ready, reloads or stops; for units with ``Type=notify``."""

from __future__ import annotations

import contextlib
import os
import socket
import time


class ServiceManager:
    """The process that started this one, if it asks for messages.

    Source: sd_notify(3).
    """

    def __init__(self) -> None:
        # removed, so that gunicorn does not report that it is ready before its workers are
        self._address = os.environ.pop('NOTIFY_SOCKET', '')
        self._state = ''

    def ready(self) -> None:
        """All workers serve requests, at first or after a reload."""
        self._report('READY=1')

    def reloading(self) -> None:
        """A new configuration is read; the former one is in use until ``ready``."""
        self._report('RELOADING=1', f'\nMONOTONIC_USEC={time.monotonic_ns() // 1000}')

    def stopping(self) -> None:
        """The service ends."""
        self._report('STOPPING=1')

    def _report(self, state: str, details: str = '') -> None:
        if not self._address or state == self._state:
            return
        self._state = state
        address = self._address
        if address.startswith('@'):     # an abstract address of Linux
            address = f'\0{address[1:]}'
        # the service runs on, also if systemd does not hear of it
        with contextlib.suppress(OSError), \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(f'{state}{details}'.encode(), address)
