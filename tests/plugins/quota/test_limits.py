"""The quota ``limits`` keeps the contract; its figures are exact."""

import concurrent.futures
import threading

import pytest

from glancelite import contract
from glancelite.contract import Context, QuotaRequest, Usage
from glancelite.plugins.quota.limits import Limits
from glancelite.testing.contracts.quota import QuotaContract
from glancelite.testing.fakes import FakeHost

CALLER = Context(user='u', project='p')
TIB = 1 << 40


class FakeUsage:
    """The usage of a project; counts how often it is read."""

    def __init__(self, held=0):
        self.held = held
        self.calls = 0
        self._lock = threading.Lock()

    def add(self, count):
        with self._lock:
            self.held += count

    def __call__(self, project):
        assert project == 'p'
        self.calls += 1
        return Usage(bytes=self.held)


@pytest.fixture
def usage():
    return FakeUsage()


@pytest.fixture
def host(usage):
    return FakeHost(usage)


class TestLimits(QuotaContract):

    @pytest.fixture
    def quota(self, make_plugin):
        return make_plugin(Limits)

    @pytest.mark.parametrize(('field', 'limit'), [
        ('properties', 128), ('tags', 128), ('members', 128), ('locations', 10)])
    def test_the_limit_itself_is_granted_and_one_more_is_not(self, quota, field, limit):
        quota.check(CALLER, QuotaRequest('modify_image', 'p', **{field: limit}))

        with pytest.raises(contract.QuotaExceeded) as refused:
            quota.check(CALLER, QuotaRequest('modify_image', 'p', **{field: limit + 1}))

        assert refused.value.details == {'what': field, 'attempted': limit + 1, 'limit': limit}

    @pytest.mark.parametrize('name', ['property', 'tag', 'member', 'location'])
    def test_a_negative_limit_is_no_limit(self, make_plugin, name):
        quota = make_plugin(Limits, **{f'image_{name}_quota': -1})
        field = {'property': 'properties'}.get(name, f'{name}s')

        assert quota.check(CALLER, QuotaRequest('modify_image', 'p', **{field: 10**9})) is None

    def test_the_limit_zero_is_a_limit(self, make_plugin):
        quota = make_plugin(Limits, image_tag_quota=0)

        with pytest.raises(contract.QuotaExceeded):
            quota.check(CALLER, QuotaRequest('modify_image', 'p', tags=1))

    def test_an_upload_may_have_the_size_cap(self, quota):
        assert quota.check(CALLER, QuotaRequest('upload_image', 'p')) == TIB
        assert quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=TIB)) == TIB
        with pytest.raises(contract.QuotaExceeded):
            quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=TIB + 1))

    def test_the_size_cap_does_not_apply_to_added_locations(self, quota):
        assert quota.check(CALLER, QuotaRequest('add_image_location', 'p', bytes=TIB + 1)) == TIB

    def test_usage_is_not_read_without_a_storage_quota(self, quota, usage):
        quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=1))

        assert usage.calls == 0


class TestStorageQuota:

    @pytest.fixture
    def quota(self, make_plugin):
        return make_plugin(Limits, user_storage_quota='1000')

    def test_usage_is_read_once_and_for_bytes_only(self, quota, usage):
        quota.check(CALLER, QuotaRequest('modify_image', 'p', tags=3))
        quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=3))

        assert usage.calls == 1

    def test_the_usage_includes_the_reservation_of_the_upload(self, quota, usage):
        usage.held = 400 + 300      # of other images, and our reservation

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=300)) == 600

    def test_the_last_byte_is_granted_and_one_more_is_not(self, quota, usage):
        usage.held = 1000
        assert quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=300)) == 300

        usage.held = 1001
        with pytest.raises(contract.QuotaExceeded) as refused:
            quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=301))

        assert refused.value.details == {'what': 'user_storage_quota', 'limit': 1000, 'left': 300}

    @pytest.mark.parametrize(('held', 'left'), [(0, 1000), (999, 1)])
    def test_an_unknown_size_may_use_what_remains(self, quota, usage, held, left):
        usage.held = held

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p')) == left

    @pytest.mark.parametrize('held', [1000, 5000])
    def test_an_unknown_size_is_refused_when_nothing_remains(self, quota, usage, held):
        usage.held = held

        with pytest.raises(contract.QuotaExceeded):
            quota.check(CALLER, QuotaRequest('upload_image', 'p'))

    def test_an_empty_image_fits_into_a_full_project(self, quota, usage):
        usage.held = 1000

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=0)) == 0

    def test_the_size_cap_applies_in_addition_to_the_quota(self, make_plugin):
        quota = make_plugin(Limits, user_storage_quota='1000', image_size_cap=10)

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p')) == 10

    def test_an_upload_without_a_project_has_no_quota(self, quota, usage):
        assert quota.check(CALLER, QuotaRequest('upload_image', None, bytes=5000)) == TIB
        assert usage.calls == 0

    def test_concurrent_uploads_never_exceed_it_together(self, quota, usage):
        """Reserve, check, withdraw if refused: as the use case does it."""
        starting = threading.Barrier(20)
        kept = []

        def upload(number):
            starting.wait()
            usage.add(100)
            try:
                quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=100))
            except contract.QuotaExceeded:
                usage.add(-100)
            else:
                kept.append(number)

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(upload, range(20)))

        assert len(kept) <= 10
        assert usage.held == 100 * len(kept)


@pytest.mark.parametrize(('text', 'count'), [
    ('0', 0), ('7', 7), ('7B', 7), ('1KB', 1024), ('2 MB', 2 << 20), ('3gb', 3 << 30),
    (' 1TB ', TIB)])
def test_a_storage_quota_may_have_a_unit(make_plugin, usage, text, count):
    quota = make_plugin(Limits, user_storage_quota=text, image_size_cap=1 << 62)

    assert quota.check(CALLER, QuotaRequest('upload_image', 'p')) == (count or 1 << 62)


@pytest.mark.parametrize('text', ['', '1 PB', '-1', '1.5GB', 'GB', '1GiB', '٣'])
def test_an_invalid_storage_quota_prevents_the_start(make_plugin, text):
    with pytest.raises(contract.Misconfigured, match='user_storage_quota'):
        make_plugin(Limits, user_storage_quota=text)
