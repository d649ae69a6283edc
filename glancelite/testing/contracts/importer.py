"""The suites for importers.  Subclass one and override ``importer``.

``ImporterContract`` sends requests that may be wrong, and needs no data.  ``FetchContract``
also fetches: override ``method``, a request that the importer accepts, and ``data``.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import json
import types
from typing import Any

import pytest

from glancelite import contract
from glancelite.testing.fakes import FakeJob

IMAGE = contract.Image('11111111-2222-4333-8444-555555555555', owner='project',
                       disk_format='raw', container_format='bare')
#: values of a request that are wrong for most arguments
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, '', ' ', 'x' * 100_000, '\0', 'ü\ud800', [], ['a'], {}, {'a': 1},
    'http://', 'file:///etc/passwd', 'http://169.254.169.254/', '../../etc/passwd')
#: names of arguments that importers have
ARGUMENTS = ('uri', 'os_hash_algo', 'os_hash_value', 'glance_region', 'glance_image_id',
             'glance_service_interface', 'x-unheard-of')
PART = 10_000


class InterruptedJob(FakeJob):
    """A job that ends after a number of chunks, as if its process had died."""

    def __init__(self, *args, chunks, **named):
        super().__init__(*args, **named)
        self._chunks = chunks

    def append(self, chunks, *, total=None):
        def counted():
            for number, chunk in enumerate(chunks):
                self.ended = number >= self._chunks
                yield chunk
        super().append(counted(), total=total)


class ImporterContract:

    @pytest.fixture
    def importer(self):
        raise NotImplementedError('override the `importer` fixture')

    @pytest.fixture
    def caller(self, context):
        """A caller whose request is accepted."""
        return context()

    @pytest.fixture
    def image(self, importer):
        """An image with the status that the method needs."""
        where = (contract.Location('x://y'),) if importer.STARTS_FROM == 'active' else ()
        return dataclasses.replace(IMAGE, status=importer.STARTS_FROM, locations=where)

    def test_declares_what_the_core_needs(self, importer):
        assert importer.STARTS_FROM in contract.STATUSES
        assert isinstance(importer.ACTION, str)
        assert importer.ACTION
        assert isinstance(importer.STAGES, bool)
        assert isinstance(importer.NEEDS_TOKEN, bool)
        assert isinstance(importer.SECRETS, frozenset)
        assert all(isinstance(name, str) for name in importer.SECRETS)

    def test_a_method_without_arguments_gets_an_answer(self, importer, caller, image):
        answer(importer, caller, image, {'name': importer.name})

    @pytest.mark.parametrize('name', ARGUMENTS)
    def test_odd_arguments_get_an_answer(self, importer, caller, image, name):
        for value in ODD:
            answer(importer, caller, image, {'name': importer.name, name: value})

    def test_a_caller_without_a_token_gets_an_answer(self, importer, image):
        answer(importer, contract.Context(), image, {'name': importer.name})


class FetchContract(ImporterContract):

    @pytest.fixture
    def method(self, importer):
        """The value of ``method`` in a request that is accepted."""
        raise NotImplementedError('override the `method` fixture')

    @pytest.fixture
    def data(self):
        """The data that the method brings into the staging area, of more than 200 KB."""
        raise NotImplementedError('override the `data` fixture')

    @pytest.fixture
    def secrets(self):
        """Texts in the request that other users must not see."""
        return ()

    @pytest.fixture
    def make_job(self, importer, caller, image, method, data, tmp_path):
        """Build a job for the request; arguments are those of ``FakeJob``."""
        def make(kind=FakeJob, **named):
            if importer.STARTS_FROM == 'uploading':
                named.setdefault('parts', [data])
            return kind(tmp_path, ctx=caller, part_size=PART,
                        image=dataclasses.replace(image, size=len(data)
                                                  if importer.STARTS_FROM != 'queued' else None),
                        arguments=answer(importer, caller, image, method), **named)
        return make

    @pytest.fixture
    def expected(self, importer, data):
        """The staged data at the end."""
        return data if importer.STAGES else b''

    def test_odd_values_of_each_argument_get_an_answer(self, importer, caller, image, method):
        for name, value in itertools.product(method, ODD):
            answer(importer, caller, image, {**method, name: value})

    def test_the_request_is_accepted_as_long_as_it_is_the_same(self, importer, caller, image,
                                                                method):
        assert (answer(importer, caller, image, method)
                == answer(importer, caller, image, method) is not None)

    def test_what_users_see_has_no_secrets(self, importer, caller, image, method, secrets):
        arguments = importer.check(caller, image, method)

        shown = json.dumps({name: value for name, value in arguments.items()
                            if name not in importer.SECRETS})
        assert [secret for secret in (*secrets, caller.token) if secret and secret in shown] == []

    def test_the_data_is_staged(self, importer, make_job, expected):
        job = make_job()

        importer.fetch(job)

        assert job.data == expected

    def test_a_second_fetch_changes_nothing(self, importer, make_job, expected):
        job = make_job()

        importer.fetch(job)
        importer.fetch(job)

        assert job.data == expected

    @pytest.mark.parametrize('chunks', [0, 1, 2])
    def test_an_interrupted_fetch_is_completed_by_another_process(self, importer, make_job,
                                                                  expected, chunks):
        first = make_job(InterruptedJob, chunks=chunks)
        try:
            importer.fetch(first)
        except contract.Gone:
            assert first.data == expected[:len(first.data)]

        second = make_job(parts=first.parts, memory=first.memory)
        importer.fetch(second)

        assert second.data == expected

    def test_a_job_that_ended_stays_as_it_is(self, importer, make_job, expected):
        job = make_job()
        before = list(job.parts)
        job.ended = True
        try:
            importer.fetch(job)
        except contract.Gone:
            pass
        else:
            assert job.data == expected

        assert job.parts == before

    def test_more_data_than_allowed_is_refused(self, importer, make_job, data):
        if importer.STAGES and importer.STARTS_FROM == 'queued':
            with pytest.raises(contract.TooLarge):
                importer.fetch(make_job(size_limit=len(data) - 1))

        job = make_job(size_limit=len(data))
        importer.fetch(job)

        assert job.staged_size <= len(data)

    def test_many_fetches_at_once(self, importer, make_job, expected):
        jobs = [make_job() for _ in range(8)]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(importer.fetch, jobs))

        assert all(job.data == expected for job in jobs)


def answer(importer, caller, image, method):
    """Return what ``check`` returns, in its recorded form; None if it refuses the request."""
    try:
        returned = importer.check(caller, image, types.MappingProxyType(method))
    except (contract.Invalid, contract.Conflict):
        return None
    assert isinstance(returned, types.MappingProxyType | dict)
    recorded = json.loads(json.dumps(dict(returned)))
    assert recorded == dict(returned)
    return recorded
