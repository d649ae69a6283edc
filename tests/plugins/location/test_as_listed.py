"""The strategy ``as_listed`` keeps the contract."""

import pytest

from glancelite import assembly, config
from glancelite.contract import Location
from glancelite.plugins.location.as_listed import AsListed
from glancelite.plugins.location.by_weight import ByWeight
from glancelite.testing import service
from glancelite.testing.contracts.location import LocationContract


class TestAsListed(LocationContract):

    @pytest.fixture
    def location(self, make_plugin):
        return make_plugin(AsListed)

    def test_weights_are_ignored(self, location):
        given = Location('a', {'store': 'cold'}), Location('b', {'store': 'fast'})

        assert tuple(location.order(given, {'fast': 9, 'cold': 1})) == given


@pytest.mark.parametrize(('old', 'kind'), [('location_order', AsListed),
                                           ('store_type', ByWeight)])
def test_the_names_of_glance_are_accepted(old, kind, tmp_path):
    core = service.build(tmp_path, service.MEMORY.replace(
        '[DEFAULT]', f'[DEFAULT]\nlocation_strategy = {old}'))

    try:
        assert [type(each) for each in core.plugins if each.LAYER == 'location'] == [kind]
    finally:
        core.close()

    notice, = assembly.notices(config.load([
        '--config-file', str(tmp_path / 'glancelite-api.conf')]))
    assert notice.startswith('[DEFAULT] location_strategy is deprecated; set [layers] location = ')
    assert notice.endswith(f' instead of {old}')
