"""The Guru Meditation Report: what a process is doing, written on demand.

Source: oslo.reports, with its options and its text.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

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

    :returns: the handler of SIGUSR2; it does nothing if a file is watched instead.
    """
    if conf.oslo_reports.file_event_handler:
        _report(conf).setup_autorun(Version(), SERVICE, conf=conf, setup_signal=False)
        return lambda number, frame: None
    return lambda number, frame: _report(conf).handle_signal(
        Version(), SERVICE, conf.oslo_reports.log_dir, frame)


def _report(conf: cfg.ConfigOpts) -> Any:
    # imported on use, because they import a template engine
    from oslo_reports import guru_meditation_report
    from oslo_reports.generators import conf as generator

    class Report(guru_meditation_report.TextGuruMeditation):
        persistent_sections = [
            ('Configuration of the service', generator.ConfigReportGenerator(conf))]

    return Report
