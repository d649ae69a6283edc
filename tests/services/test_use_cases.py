"""The use cases are wired with the options of the configuration."""

from glancelite import config
from glancelite.assembly.build import use_case_options
from glancelite.services.use_cases import Options


def test_the_defaults_of_use_cases_are_those_of_the_configuration(tmp_path):
    path = tmp_path / 'empty.conf'
    path.write_text('')

    assert use_case_options(config.load(['--config-file', str(path)])) == Options()
