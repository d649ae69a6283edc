"""Downloads go on after a broken connection, if the data is certainly the same."""

import hashlib

import pytest

from glancelite import contract
from glancelite.plugins.importer import download
from glancelite.plugins.importer.web_download import WebDownload
from glancelite.testing.contracts.importer import InterruptedJob
from glancelite.testing.contracts.store.toolbox import pattern

MIB = 1 << 20
DATA = pattern(MIB + 12_345)
OTHER = pattern(MIB + 12_345)[::-1]
#: bytes after which a connection breaks in most tests
DROP = 300_000
DATE = 'Sat, 28 Nov 2026 12:00:00 GMT'


@pytest.fixture
def importer(make_importer):
    return make_importer(WebDownload, http_read_timeout=10)


@pytest.fixture
def fetch(importer, make_job):
    """Fetch from a server; return the job."""
    def call(server, **named):
        job = make_job(named.pop('arguments', {'uri': f'{server.url}/x'}), **named)
        importer.fetch(job)
        return job
    return call


@pytest.fixture
def interrupted(importer, tmp_path):
    """Fetch a part of what a server has, as if the process died; return the job."""
    def call(server, arguments=None):
        server.site.drop, server.site.drops = DROP, 1
        job = InterruptedJob(tmp_path, arguments=arguments or {'uri': f'{server.url}/x'},
                             part_size=1, chunks=1)
        with pytest.raises((contract.Gone, contract.Unavailable)):
            importer.fetch(job)
        server.site.drops = 0
        assert 0 < job.staged_size < len(DATA)
        return job
    return call


def ranges(server):
    return [each.get('range') for each in server.requests]


# --- within one process

def test_64_mib_in_pieces_of_3_mib_are_one_pass(fetch, serve):
    data = bytes(MIB) * 64
    server = serve(data, drop=3 * MIB)

    job = fetch(server)

    connections = -(-64 // 3)
    assert hashlib.sha256(job.data).digest() == hashlib.sha256(data).digest()
    assert len(server.requests) == connections
    assert server.sent <= len(data) + connections * download.CHUNK
    assert {each.get('if-range') for each in server.requests[1:]} == {'"one"'}


@pytest.mark.parametrize('reset', [False, True])
def test_a_broken_connection_is_mended(fetch, serve, reset):
    server = serve(DATA, drop=DROP, reset=reset)

    assert fetch(server).data == DATA


def test_a_server_that_sends_short_ranges_only_is_asked_again(fetch, serve):
    server = serve(DATA, drop=DROP, drops=1, pages=DROP)

    assert fetch(server).data == DATA
    assert server.sent == len(DATA)


def test_chunked_data_goes_on_with_the_size_of_the_range(fetch, serve):
    server = serve(DATA, drop=DROP, drops=1, chunked=True)

    assert fetch(server).data == DATA


def test_without_progress_there_is_a_pause(fetch, serve):
    server = serve(DATA, drop=download.PROGRESS - 1)

    with pytest.raises(contract.Unavailable, match='incomplete'):
        fetch(server)

    assert len(server.requests) == 1


@pytest.mark.parametrize('changes', [
    {'etag': '"two"', 'data': OTHER}, {'etag': '"two"', 'data': OTHER, 'if_range': False},
    {'ranges': False}, {'total': '9999999'}, {'total': '*', 'etag': '"two"'}])
def test_other_data_is_not_appended_but_downloaded_next_time(importer, make_job, serve, changes):
    server = serve(DATA, drop=DROP, drops=1)
    job = make_job({'uri': f'{server.url}/x'}, part_size=1)
    job.report = lambda done, total: vars(server.site).update(changes)

    with pytest.raises(contract.Unavailable, match='The data has changed, or'):
        importer.fetch(job)
    assert DATA.startswith(job.data)
    assert job.data

    importer.fetch(job)
    assert job.data == server.site.data


# --- in another process

@pytest.mark.parametrize('validator', [
    {}, {'etag': None, 'changed': DATE}, {'etag': '"é"'}, {'if_range': False},
    {'etag': None, 'changed': DATE, 'if_range': False}])
def test_another_process_goes_on_at_the_last_byte(fetch, interrupted, serve, validator):
    server = serve(DATA, **validator)
    first = interrupted(server)
    done = first.staged_size

    assert fetch(server, first=first).data == DATA
    assert ranges(server)[-1] == f'bytes={done}-'
    assert server.requests[-1]['if-range'] == (validator.get('changed')
                                               or validator.get('etag', '"one"'))


@pytest.mark.parametrize('changes', [
    {'etag': '"two"'}, {'etag': '"two"', 'if_range': False},
    {'etag': 'W/"one"', 'if_range': False}, {'ranges': False},
    {'data': OTHER[:1000], 'etag': '"two"'},
    {'data': OTHER[:1000], 'if_range': False}, {'total': '7777777'}])
def test_another_process_begins_again_if_the_data_may_have_changed(fetch, interrupted, serve,
                                                                   changes):
    server = serve(DATA)
    first = interrupted(server)
    for name, value in {'data': OTHER, **changes}.items():
        setattr(server.site, name, value)

    job = fetch(server, first=first)

    assert job.data == server.site.data


def test_a_changed_date_begins_again_even_if_the_server_ignores_it(fetch, interrupted, serve):
    server = serve(DATA, etag=None, changed=DATE, if_range=False)
    first = interrupted(server)
    server.site.data, server.site.changed = OTHER, 'Sun, 29 Nov 2026 12:00:00 GMT'

    assert fetch(server, first=first).data == OTHER


@pytest.mark.parametrize('validator', [
    {'etag': None}, {'etag': 'W/"one"'}, {'etag': 'W/"one"', 'changed': DATE},
    {'etag': None, 'changed': 'Mon, 30 Nov 2026 12:00:00 GMT'}])     # the date of the response
def test_without_a_strong_validator_data_is_downloaded_again(fetch, interrupted, serve, validator):
    server = serve(DATA, **validator)
    first = interrupted(server)
    server.site.data = OTHER

    assert fetch(server, first=first).data == OTHER
    assert set(ranges(server)) == {None}


def test_complete_data_is_not_requested_again(fetch, serve):
    server = serve(DATA)

    second = fetch(server, first=fetch(server))

    assert second.data == DATA
    assert len(server.requests) == 1


def test_a_url_that_does_not_work_any_more_ends_the_import(fetch, interrupted, serve):
    server = serve(DATA)
    first = interrupted(server)
    server.site.statuses = [403]

    with pytest.raises(contract.Invalid, match='403'):
        fetch(server, first=first)


# --- with an expected hash

def hashed(server, data=DATA):
    return {'uri': f'{server.url}/x', 'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest()}


@pytest.mark.parametrize('etag', ['"one"', None])
def test_a_hash_covers_what_another_process_has_staged(fetch, interrupted, serve, etag):
    server = serve(DATA, etag=etag)
    first = interrupted(server, arguments=hashed(server))

    assert fetch(server, first=first, arguments=hashed(server)).data == DATA
    assert ranges(server)[-1] is not None


def test_a_hash_finds_a_mixture_which_is_downloaded_again(fetch, interrupted, serve):
    server = serve(DATA, etag=None)
    first = interrupted(server, arguments=hashed(server, OTHER))
    server.site.data = OTHER

    with pytest.raises(contract.Unavailable, match='has changed'):
        fetch(server, first=first, arguments=hashed(server, OTHER))
    assert first.staged_size == 0
    assert fetch(server, first=first, arguments=hashed(server, OTHER)).data == OTHER


def test_a_wrong_hash_is_final_if_the_data_is_certainly_of_one_version(fetch, interrupted, serve):
    server = serve(DATA)
    first = interrupted(server, arguments=hashed(server, OTHER))

    with pytest.raises(contract.WrongContent):
        fetch(server, first=first, arguments=hashed(server, OTHER))


# --- lengths that are not true

def test_less_data_than_announced_is_never_complete(importer, make_job, serve):
    server = serve(DATA, length=len(DATA) + 1000)
    job = make_job({'uri': f'{server.url}/x'})

    for _ in range(3):
        with pytest.raises(contract.Unavailable):
            importer.fetch(job)


def test_more_data_than_announced_is_cut(fetch, serve):
    server = serve(DATA, length=len(DATA) - 1000)

    assert fetch(server).data == DATA[:-1000]


def test_a_range_longer_than_announced_is_refused(fetch, interrupted, serve):
    server = serve(DATA)
    first = interrupted(server)
    server.site.data = DATA + bytes(1000)
    server.site.total = str(len(DATA))

    with pytest.raises(contract.WrongContent, match='sends more'):
        fetch(server, first=first)


# --- limits

class Clock:
    """A clock that moves when something sleeps."""

    def __init__(self):
        self.time = 100.0
        self.naps = []

    def __call__(self):
        return self.time

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.time += seconds


def make_limits(clock, checks, **limits):
    return download.Limits(lambda: checks.append(clock.time), clock=clock, sleep=clock.sleep,
                           **limits)


def test_a_rate_is_kept_on_average():
    clock, checks = Clock(), []
    limits = make_limits(clock, checks, max_rate=1000)

    for _ in range(10):
        limits.add(limits.amount)

    assert clock.time == pytest.approx(110)
    assert limits.amount == 1000


def test_a_long_pause_checks_the_job_each_second():
    clock, checks = Clock(), []

    make_limits(clock, checks, max_rate=10).add(100)

    assert checks == [101 + second for second in range(10)]
    assert max(clock.naps) == 1


def test_without_a_rate_there_are_no_pauses():
    clock = Clock()
    limits = make_limits(clock, [])

    limits.add(1 << 40)

    assert clock.naps == []
    assert limits.amount == download.CHUNK


def test_a_download_ends_with_its_time():
    clock = Clock()
    limits = make_limits(clock, [], time_limit=60)
    limits.check()
    clock.time += 61

    with pytest.raises(contract.Invalid, match='stopped after 60 seconds'):
        limits.check()


def test_a_rate_applies_to_a_download(make_importer, make_job, serve):
    server = serve(DATA)
    job = make_job({'uri': f'{server.url}/x'})

    make_importer(WebDownload, max_rate=1 << 22).fetch(job)

    assert job.data == DATA


def test_a_download_ends_with_its_job_while_the_server_is_silent(importer, make_job, hostile):
    job = make_job({'uri': f'{hostile.url}/stalls'})
    job.report = lambda done, total: setattr(job, 'ended', True)

    with pytest.raises(contract.Gone):
        importer.fetch(job)
