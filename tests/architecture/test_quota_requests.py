"""Every use case that uses more of something checks the quota, and stops if it is refused."""

import pytest

from glancelite import contract
from glancelite.testing import service

from .use_cases import GROWING, USE_CASES


class Refuses(contract.QuotaEnforcer):

    def __init__(self):
        self.asked = []

    def check(self, ctx, request):
        self.asked.append(request.action)
        raise contract.QuotaExceeded('the quota is used up')


@pytest.mark.parametrize('name', USE_CASES)
def test_checks_the_quota_if_and_only_if_it_uses_more(name, core, context):
    make, call = USE_CASES[name]
    admin = context('owner', roles=['admin', 'member', 'reader'], is_admin=True)
    image = make(core, admin) if make else None
    before = core.layers.database.images.get(image.id, viewer=None) if (
        isinstance(image, contract.Image)) else None
    quota = Refuses()
    refusing = service.exchange(core, quota=quota)

    if name not in GROWING:
        call(refusing, admin, image)
        assert quota.asked == []
        return
    with pytest.raises(contract.QuotaExceeded):
        call(refusing, admin, image)

    assert quota.asked == [GROWING[name]]
    if before is not None:
        after = core.layers.database.images.get(image.id, viewer=None)
        assert (after.status, after.size, after.tags, dict(after.properties)) == (
            before.status, before.size, before.tags, dict(before.properties))
        assert list(core.layers.database.members.list(image.id)) == []
