"""Log lines say once what failed."""

import logging

import pytest

from glancelite import config


@pytest.fixture
def logged(tmp_path):
    """``logged(log)`` sets up logging, calls ``log`` while an error is handled, returns lines."""
    root = logging.getLogger()
    handlers, levels = list(root.handlers), root.level
    file = tmp_path / 'glancelite-api.conf'
    file.write_text(f'[DEFAULT]\nlog_file = {tmp_path}/api.log\n')
    config.set_up_logging(config.load(['--config-file', str(file)]))

    def lines(log):
        try:
            raise OSError('the disk is gone')
        except OSError as error:
            log(error)
        return (tmp_path / 'api.log').read_text().splitlines()

    yield lines
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(levels)


@pytest.mark.parametrize('level', [logging.WARNING, logging.ERROR])
def test_a_warning_about_an_error_names_it_once(logged, level):
    line, = logged(lambda error: logging.getLogger('glancelite.x').log(level, 'no: %s', error))

    assert line.endswith('] no: the disk is gone')
    assert ' glancelite.x [' in line


def test_a_traceback_keeps_its_summary(logged):
    lines = logged(lambda error: logging.getLogger('glancelite.x').exception('it failed'))

    assert lines[0].endswith(' it failed: OSError: the disk is gone')
    assert any('Traceback' in line for line in lines)


def test_lines_of_libraries_stay_as_they_are(logged):
    line, = logged(lambda error: logging.getLogger('library').error('it failed'))

    assert line.endswith(' it failed: OSError: the disk is gone')
