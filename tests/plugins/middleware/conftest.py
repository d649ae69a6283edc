"""Middleware with options in sections of oslo.middleware."""

import pytest
from oslo_config import cfg


@pytest.fixture
def make_middleware(make_plugin):
    """``make_middleware(CORS, cors={'allowed_origin': ['*']})``."""
    def make(kind, **sections):
        conf = cfg.ConfigOpts()
        conf([])
        for register in kind.LIBRARY_OPTS:
            register(conf)
        for section, values in sections.items():
            for name, value in values.items():
                conf.set_override(name, value, group=section)
        return make_plugin(kind, conf=conf)
    return make
