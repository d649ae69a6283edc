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


class Books:
    """What projects hold; counts how often it is asked."""

    def __init__(self, held=0):
        self.held = held
        self.asked = 0
        self._lock = threading.Lock()

    def add(self, count):
        with self._lock:
            self.held += count

    def __call__(self, project):
        assert project == 'p'
        self.asked += 1
        return Usage(bytes=self.held)


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def host(books):
    return FakeHost(books)


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
    def test_a_negative_limit_is_none(self, make_plugin, name):
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

    def test_the_size_cap_is_about_uploads_not_about_copies_elsewhere(self, quota):
        assert quota.check(CALLER, QuotaRequest('add_image_location', 'p', bytes=TIB + 1)) == TIB

    def test_usage_is_not_asked_where_no_quota_is_set(self, quota, books):
        quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=1))

        assert books.asked == 0


class TestStorageQuota:

    @pytest.fixture
    def quota(self, make_plugin):
        return make_plugin(Limits, user_storage_quota='1000')

    def test_usage_is_asked_once_and_only_about_bytes(self, quota, books):
        quota.check(CALLER, QuotaRequest('modify_image', 'p', tags=3))
        quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=3))

        assert books.asked == 1

    def test_what_this_upload_promised_is_in_the_usage_already(self, quota, books):
        books.held = 400 + 300      # others', and our promise

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=300)) == 600

    def test_the_last_byte_is_granted_and_one_more_is_not(self, quota, books):
        books.held = 1000
        assert quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=300)) == 300

        books.held = 1001
        with pytest.raises(contract.QuotaExceeded) as refused:
            quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=301))

        assert refused.value.details == {'what': 'user_storage_quota', 'limit': 1000, 'left': 300}

    @pytest.mark.parametrize(('held', 'left'), [(0, 1000), (999, 1)])
    def test_an_unknown_size_may_have_what_is_left(self, quota, books, held, left):
        books.held = held

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p')) == left

    @pytest.mark.parametrize('held', [1000, 5000])
    def test_an_unknown_size_is_refused_when_nothing_is_left(self, quota, books, held):
        books.held = held

        with pytest.raises(contract.QuotaExceeded):
            quota.check(CALLER, QuotaRequest('upload_image', 'p'))

    def test_an_empty_image_fits_into_a_full_project(self, quota, books):
        books.held = 1000

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=0)) == 0

    def test_the_size_cap_holds_beside_the_quota(self, make_plugin):
        quota = make_plugin(Limits, user_storage_quota='1000', image_size_cap=10)

        assert quota.check(CALLER, QuotaRequest('upload_image', 'p')) == 10

    def test_what_nobody_pays_for_has_no_quota(self, quota, books):
        assert quota.check(CALLER, QuotaRequest('upload_image', None, bytes=5000)) == TIB
        assert books.asked == 0

    def test_uploads_that_race_never_exceed_it_together(self, quota, books):
        """Write, then check, then undo: as the use case does it."""
        starting = threading.Barrier(20)
        kept = []

        def upload(number):
            starting.wait()
            books.add(100)
            try:
                quota.check(CALLER, QuotaRequest('upload_image', 'p', bytes=100))
            except contract.QuotaExceeded:
                books.add(-100)
            else:
                kept.append(number)

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            list(pool.map(upload, range(20)))

        assert len(kept) <= 10
        assert books.held == 100 * len(kept)


@pytest.mark.parametrize(('text', 'count'), [
    ('0', 0), ('7', 7), ('7B', 7), ('1KB', 1024), ('2 MB', 2 << 20), ('3gb', 3 << 30),
    (' 1TB ', TIB)])
def test_a_storage_quota_may_have_a_unit(make_plugin, books, text, count):
    quota = make_plugin(Limits, user_storage_quota=text, image_size_cap=1 << 62)

    assert quota.check(CALLER, QuotaRequest('upload_image', 'p')) == (count or 1 << 62)


@pytest.mark.parametrize('text', ['', '1 PB', '-1', '1.5GB', 'GB', '1GiB', '٣'])
def test_a_storage_quota_that_is_none_stops_the_start(make_plugin, text):
    with pytest.raises(contract.Misconfigured, match='user_storage_quota'):
        make_plugin(Limits, user_storage_quota=text)
