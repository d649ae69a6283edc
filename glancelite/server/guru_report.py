"""The Guru Meditation Report: what a process is doing, written on demand.

Source: oslo.reports, with its options and its text.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import threading
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

LOG = logging.getLogger('glancelite.server')

SERVICE = 'glancelite-api'


class Version:
    """The version, with the interface that oslo.reports requires."""

    def vendor_string(self) -> str:
        return 'glancelite'

    def product_string(self) -> str:
        return SERVICE

    def version_string_with_package(self) -> str:
        return importlib.metadata.version('glancelite')


def install(conf: cfg.ConfigOpts) -> Callable[[int, Any], None]:
    """Start watching the file that triggers reports, if one is configured.

    :returns: the handler of SIGUSR2; it does nothing if a file is watched instead.  It
        never fails, because that would end the process wherever the signal met it.
    """
    if conf.oslo_reports.file_event_handler:
        _report(conf).setup_autorun(Version(), SERVICE, conf=conf, setup_signal=False)
        return lambda number, frame: None
    is_free = threading.Lock()

    def report(number: int, frame: Any) -> None:
        # signals that arrive during a report would run into modules that are half imported
        if not is_free.acquire(blocking=False):
            return
        try:
            _report(conf).handle_signal(Version(), SERVICE, conf.oslo_reports.log_dir, frame)
        except Exception as exc:
            with contextlib.suppress(Exception):
                LOG.error('a report could not be written: %r', exc)
        finally:
            is_free.release()

    return report


def _report(conf: cfg.ConfigOpts) -> Any:
    # imported on use, because they import a template engine
    from oslo_reports import guru_meditation_report
    from oslo_reports.generators import conf as generator

    class Report(guru_meditation_report.TextGuruMeditation):
        persistent_sections = [
            ('Configuration of the service', generator.ConfigReportGenerator(conf))]

    return Report
