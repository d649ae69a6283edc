"""The suite for quota enforcers.  Subclass ``QuotaContract`` and override ``quota``.

The suite does not require how much is granted, only that the answers are consistent.
"""

from __future__ import annotations

import concurrent.futures

import pytest

from glancelite import contract
from glancelite.contract import Context, QuotaRequest

COUNTS = ('images', 'properties', 'tags', 'members', 'locations')
STEPS = (0, 1, 2, 9, 10, 11, 100, 128, 129, 10_000, 1 << 31, 1 << 62)
CALLER = Context(user='u', project='p', roles=frozenset({'member'}))


class QuotaContract:

    @pytest.fixture
    def quota(self):
        raise NotImplementedError('override the `quota` fixture')

    def _grants(self, quota, request):
        try:
            quota.check(CALLER, request)
        except contract.QuotaExceeded:
            return False
        return True

    def test_an_empty_request_is_granted(self, quota):
        assert quota.check(CALLER, QuotaRequest('get_image', 'p')) is None

    @pytest.mark.parametrize('field', COUNTS)
    def test_a_larger_count_is_not_granted_where_a_smaller_one_is_refused(self, quota, field):
        granted = [self._grants(quota, QuotaRequest('modify_image', 'p', **{field: step}))
                   for step in STEPS]

        assert granted == sorted(granted, reverse=True)
        assert granted[0]

    def test_more_bytes_are_not_granted_where_fewer_are_refused(self, quota):
        granted = [self._grants(quota, QuotaRequest('upload_image', 'p', bytes=step))
                   for step in STEPS]

        assert granted == sorted(granted, reverse=True)

    @pytest.mark.parametrize('announced', [None, 0, 1, 1000, 1 << 30])
    def test_a_granted_upload_may_have_the_announced_size(self, quota, announced):
        try:
            limit = quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=announced))
        except contract.QuotaExceeded:
            return

        assert limit is None or limit >= max(announced or 0, 0)

    @pytest.mark.parametrize('field', COUNTS)
    def test_only_uploads_get_a_limit(self, quota, field):
        for step in STEPS:
            try:
                assert quota.check(
                    CALLER, QuotaRequest('modify_image', 'p', **{field: step})) is None
            except contract.QuotaExceeded:
                break

    def test_requests_without_a_project_are_decided(self, quota):
        for request in (QuotaRequest('upload_image', bytes=1), QuotaRequest('upload_image'),
                        QuotaRequest('add_image', images=1)):
            assert self._grants(quota, request) in (True, False)

    def test_many_can_ask_at_once(self, quota):
        request = QuotaRequest('upload_image', 'p', bytes=1)
        expected = self._grants(quota, request)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self._grants(quota, request), range(40)))

        assert answers == [expected] * 40
