"""The Guru Meditation Report: what a process is doing, told when somebody asks.

Source: oslo.reports, with its options and its text.
"""

import importlib.metadata

SERVICE = 'glancelite-api'


class Version:
    """As oslo.reports wants to be told it."""

    def vendor_string(self):
        return 'glancelite'

    def product_string(self):
        return SERVICE

    def version_string_with_package(self):
        return importlib.metadata.version('glancelite')


def attend(conf):
    """From now on report when the file changes that the configuration names, if it does.

    :returns: what to call on SIGUSR2; does nothing where a file is watched instead.
    """
    if conf.oslo_reports.file_event_handler:
        _report(conf).setup_autorun(Version(), SERVICE, conf=conf, setup_signal=False)
        return lambda number, frame: None
    return lambda number, frame: _report(conf).handle_signal(
        Version(), SERVICE, conf.oslo_reports.log_dir, frame)


def _report(conf):
    # imported when it is needed: it brings a template engine
    from oslo_reports import guru_meditation_report
    from oslo_reports.generators import conf as generator

    class Report(guru_meditation_report.TextGuruMeditation):
        persistent_sections = [
            ('Configuration of the service', generator.ConfigReportGenerator(conf))]

    return Report
