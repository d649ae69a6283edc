"""File stores for tests."""

import pytest

from glancelite.plugins.store.file import FileStore


@pytest.fixture
def make_store(make_plugin, tmp_path):
    """Builds a store in ``tmp_path``; options without their prefix."""
    def make(**options):
        named = {f'filesystem_store_{key}': value for key, value in options.items()
                 if key != 'thin'}
        if 'datadirs' not in options:
            named.setdefault('filesystem_store_datadir', str(tmp_path))
        return make_plugin(FileStore, filesystem_thin_provisioning=options.get('thin', False),
                           **named)
    return make
