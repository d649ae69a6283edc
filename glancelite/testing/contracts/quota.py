"""The suite for quota enforcers.  Subclass ``QuotaContract`` and override ``quota``.

The suite does not require how much is granted, only that the answers are consistent.
"""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest

from glancelite import contract
from glancelite.contract import Context, Image, QuotaRequest

COUNTS = ('images', 'properties', 'tags', 'members', 'locations')
STEPS = (0, 1, 2, 9, 10, 11, 100, 128, 129, 10_000, 1 << 31, 1 << 62)
IMAGE = Image('11111111-2222-4333-8444-555555555555', owner='p', visibility='public',
              disk_format='raw', container_format='bare', properties={'os_distro': 'x'})
#: every action, with the smallest request that the core makes
ACTIONS: dict[str, dict[str, Any]] = {
    'add_image': {'images': 1, 'tags': 0, 'properties': 1}, 'modify_image': {'properties': 1},
    'upload_image': {'bytes': 1}, 'add_member': {'members': 1},
    'set_image_location': {'locations': 1}, 'add_image_location': {'bytes': 1},
}
CALLER = Context(user='u', project='p', roles=frozenset({'member'}))


def count(field: str, number: int) -> dict[str, Any]:
    return {field: number}


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
        granted = [self._grants(quota, QuotaRequest('modify_image', 'p', **count(field, step)))
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
                    CALLER, QuotaRequest('modify_image', 'p', **count(field, step))) is None
            except contract.QuotaExceeded:
                break

    def test_requests_without_a_project_are_decided(self, quota):
        for request in (QuotaRequest('upload_image', bytes=1), QuotaRequest('upload_image'),
                        QuotaRequest('add_image', images=1)):
            assert self._grants(quota, request) in (True, False)

    @pytest.mark.parametrize('action', ACTIONS)
    def test_the_image_that_is_asked_for_may_be_known(self, quota, action):
        for image in (None, IMAGE):
            request = QuotaRequest(action, 'p', **ACTIONS[action], image=image)
            assert self._grants(quota, request) in (True, False)

    def test_a_change_without_counts_is_decided(self, quota):
        request = QuotaRequest('modify_image', 'p', image=IMAGE)

        try:
            assert quota.check(CALLER, request) is None
        except contract.QuotaExceeded:
            return

    @pytest.mark.parametrize('action', ACTIONS)
    def test_many_can_ask_at_once(self, quota, action):
        request = QuotaRequest(action, 'p', **ACTIONS[action], image=IMAGE)
        expected = self._grants(quota, request)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self._grants(quota, request), range(40)))

        assert answers == [expected] * 40
