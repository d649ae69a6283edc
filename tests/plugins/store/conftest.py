"""Stores for tests."""

import pytest
from oslo_config import cfg

from glancelite import loader
from glancelite.plugins.store.file import FileStore
from glancelite.plugins.store.rbd import RBDStore


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


@pytest.fixture
def make_bridge(host, tmp_path):
    """Builds the store ``glance_store`` called ``old`` from the text of a configuration."""
    living = []

    def make(text, name='old'):
        path = tmp_path / 'glancelite-api.conf'
        path.write_text(text)
        host.conf = cfg.ConfigOpts()
        host.conf(['--config-file', str(path)], project='glancelite')
        living.append(loader.load(host.conf, host, 'store', 'glance_store', instance=name))
        return living[-1]

    yield make
    for store in living:
        store.close()


@pytest.fixture
def make_rbd(make_plugin, ceph):
    """Builds a store in a pool of the cluster; the most used options without their prefix."""
    def make(name='test', user='images', pool='images', conf=None, chunk_size=8, **options):
        return make_plugin(RBDStore, name=name, rbd_store_user=user, rbd_store_pool=pool,
                           rbd_store_ceph_conf=conf or ceph.conf,
                           rbd_store_chunk_size=chunk_size, **options)
    return make
