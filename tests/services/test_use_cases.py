"""The use cases are wired with the options of the configuration."""

import dataclasses

from glancelite.api import options as api_options
from glancelite.services import options
from glancelite.services.use_cases import Options


def test_the_defaults_of_use_cases_are_those_of_the_configuration():
    defaults = {opt.dest: opt.default for opt in (*options.OPTS, *api_options.OPTS)}

    assert dataclasses.asdict(Options()) == {
        field.name: defaults[field.name] for field in dataclasses.fields(Options)}
