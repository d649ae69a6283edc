"""The suite for steps.  Subclass ``StepContract`` and override ``step``, and ``samples``.

The suite does not know what a step does.  It requires that errors are those of the contract,
that a step which is run again has the same result, and that nothing is left behind.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import gzip
import itertools
import os
import pathlib
import random
import tracemalloc
from typing import Any

import pytest

from glancelite import contract
from glancelite.testing.contracts.inspector import BEGINNINGS, CONTAINERS, FORMATS, image
from glancelite.testing.fakes import FakeJob

MIB = 1 << 20
DISK = random.Random(0).randbytes(200_000)
#: what a step may set, beside properties
FIELDS = ('disk_format', 'container_format', 'virtual_size', 'min_disk', 'min_ram')


@dataclasses.dataclass(frozen=True)
class Sample:
    """Data that a step may get, and the formats of its image."""

    data: bytes
    disk_format: str | None = 'raw'
    container_format: str | None = 'bare'


#: samples for any step: nothing, a disk, and compressed disks
SAMPLES = (Sample(b''), Sample(DISK), Sample(gzip.compress(DISK)),
           Sample(gzip.compress(gzip.compress(DISK))), Sample(gzip.compress(DISK), 'qcow2'),
           Sample(gzip.compress(DISK), 'raw', 'compressed'))


class InterruptedJob(FakeJob):
    """A job whose process ends after so many calls; None for never.  ``called`` counts them."""

    def __init__(self, *args: Any, calls: int | None = None, **named: Any):
        super().__init__(*args, **named)
        self._calls = calls
        self.called = 0

    def check(self) -> None:
        self.called += 1
        if self._calls is not None and self.called > self._calls:
            raise contract.Gone('The process ends.')

    def report(self, done: int, total: int | None = None) -> None:
        self.check()
        super().report(done, total)


class LosingJob(InterruptedJob):
    """A job whose process loses the file that has replaced the data, when it ends.

    :ivar lost: the data and the image before; None if no file has replaced the data.
    """

    lost: tuple[list[bytes], contract.Image] | None = None

    def replace_by_file(self, path: str, **changes: object) -> None:
        before = list(self.parts), self.image
        super().replace_by_file(path, **changes)
        self.lost = self.lost or before


class FailingJob(FakeJob):
    """A job whose staging area fails when it is written."""

    def replace(self, chunks, **changes):
        next(iter(chunks), None)
        raise contract.Unavailable('The staging area does not answer.')


class LargeJob(FakeJob):
    """A job with ``count`` pieces of data that are made when they are read."""

    def __init__(self, folder: pathlib.Path, piece: bytes, count: int):
        super().__init__(folder)
        self._piece = piece
        self._count = count
        self.kept = 0

    @property
    def staged_size(self) -> int:
        return len(self._piece) * self._count

    def read(self):
        return (self._piece for _ in range(self._count))

    def replace(self, chunks, **changes):
        for chunk in chunks:
            self.kept += len(chunk)

    def local_file(self):
        path = self._folder / 'large'
        with path.open('wb') as file:
            file.writelines(itertools.repeat(self._piece, self._count))
        return _Path(path)


class _Path:
    """A context that returns a path, and removes the file."""

    def __init__(self, path: pathlib.Path):
        self._path = path

    def __enter__(self) -> str:
        return str(self._path)

    def __exit__(self, *error: object) -> None:
        self._path.unlink()


def outcome(step, job):
    """Run the step; returns the class of its error, or the data and the image that it left."""
    try:
        assert step.run(job) is None
    except contract.Error as error:
        return type(error)
    return job.data, job.image


def _some(numbers):
    """The first and the last of many numbers, and some in between."""
    if len(numbers) <= 12:
        return numbers
    between = random.Random(1).sample(numbers[4:-4], 4)
    return [*numbers[:4], *sorted(between), *numbers[-4:]]


class StepContract:

    @pytest.fixture
    def step(self):
        raise NotImplementedError('override the `step` fixture')

    @pytest.fixture
    def samples(self):
        """Data for the step; override it with data that the step changes."""
        return SAMPLES

    def job(self, folder, sample, kind=FakeJob, **named):
        return kind(folder, sample.data, image=image(
            sample.disk_format, sample.container_format, properties={'before': 'yes'}), **named)

    def test_health_is_a_few_words_or_an_error_of_the_contract(self, step):
        try:
            text = step.health()
        except contract.Error as error:
            text = str(error)

        assert isinstance(text, str)
        assert text

    def test_only_attributes_that_a_step_may_change_are_changed(self, step, samples, tmp_path):
        for sample in samples:
            job = self.job(tmp_path, sample)
            before = job.image

            outcome(step, job)

            free = dict.fromkeys((*FIELDS, 'properties'))
            assert dataclasses.replace(job.image, **free) == dataclasses.replace(before, **free)
            assert job.image.properties.keys() >= {'before'}
            assert not any(name.startswith('os_glance') for name in job.image.properties)

    @pytest.mark.parametrize('container', CONTAINERS)
    @pytest.mark.parametrize('disk_format', FORMATS)
    def test_every_format_gets_a_result(self, step, tmp_path, disk_format, container):
        for data in (DISK[:5000], gzip.compress(DISK)[:5000]):
            outcome(step, self.job(tmp_path, Sample(data, disk_format, container)))

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    @pytest.mark.parametrize('start', BEGINNINGS, ids=lambda start: ascii(start[:8]))
    def test_hostile_content_gets_a_result(self, step, tmp_path, start, disk_format):
        job = self.job(tmp_path, Sample(start + b'x' * 100_000, disk_format),
                       size_limit=10 * MIB)

        outcome(step, job)

        assert len(job.data) <= 10 * MIB

    def test_content_gets_a_result_wherever_it_ends(self, step, samples, tmp_path):
        for sample in samples:
            for length in {0, 1, 2, 10, 500, 5000, len(sample.data) // 2, len(sample.data) - 1}:
                outcome(step, self.job(tmp_path, dataclasses.replace(
                    sample, data=sample.data[:max(0, length)])))

    def test_the_sizes_of_parts_do_not_matter(self, step, samples, tmp_path):
        for sample in samples:
            outcomes = [outcome(step, self.job(tmp_path, sample, parts=[
                sample.data[start:start + length]
                for start in range(0, len(sample.data), length)]))
                for length in (999, 65_536, len(sample.data) + 1)]

            assert outcomes == outcomes[:1] * 3

    def test_a_step_that_is_run_again_has_the_same_result(self, step, samples, tmp_path):
        for sample in samples:
            job = self.job(tmp_path, sample)
            first = outcome(step, job)
            again = FakeJob(tmp_path, image=job.image, parts=job.parts, memory=job.memory)

            assert outcome(step, again) == first

    def test_a_step_that_was_interrupted_anywhere_has_the_same_result(
            self, step, samples, tmp_path):
        for sample in samples:
            counted = self.job(tmp_path, sample, InterruptedJob)
            whole = outcome(step, counted)
            for calls in _some(range(counted.called)):
                job = self.job(tmp_path, sample, InterruptedJob, calls=calls)
                if outcome(step, job) is contract.Gone:
                    job = FakeJob(tmp_path, image=job.image, parts=job.parts, memory=job.memory)
                    assert outcome(step, job) == whole

    def test_a_step_whose_file_was_lost_has_the_same_result(self, step, samples, tmp_path):
        for sample in samples:
            job = self.job(tmp_path, sample, LosingJob)
            whole = outcome(step, job)
            if job.lost is not None:
                parts, before = job.lost
                again = FakeJob(tmp_path, image=before, parts=parts, memory=job.memory)

                assert outcome(step, again) == whole

    def test_the_end_of_the_work_ends_the_step(self, step, samples, tmp_path):
        for sample in samples:
            job = self.job(tmp_path, sample)
            needed = outcome(step, self.job(tmp_path, sample)) != (job.data, job.image)
            job.ended = True

            found = outcome(step, job)

            assert found is contract.Gone or not needed

    def test_a_failure_of_the_staging_area_passes_through(self, step, samples, tmp_path):
        for sample in samples:
            found = outcome(step, self.job(tmp_path, sample, FailingJob))
            whole = outcome(step, self.job(tmp_path, sample))

            if isinstance(whole, tuple) and whole[0] != sample.data:
                assert found is contract.Unavailable

    def test_output_beyond_the_limit_ends_the_step(self, step, samples, tmp_path):
        for sample in samples:
            whole = outcome(step, self.job(tmp_path, sample))
            if not isinstance(whole, tuple) or whole[0] == sample.data or len(whole[0]) < 2:
                continue
            job = self.job(tmp_path, sample, size_limit=len(whole[0]) - 1)

            with pytest.raises(contract.TooLarge):
                step.run(job)

            assert job.data == sample.data

    def test_nothing_is_left_behind(self, step, samples, tmp_path):
        files = len(os.listdir('/proc/self/fd'))
        for sample in samples:
            for kind in (FakeJob, FailingJob):
                outcome(step, self.job(tmp_path, sample, kind))

        assert list(tmp_path.iterdir()) == []
        assert len(os.listdir('/proc/self/fd')) == files

    def test_many_jobs_at_once(self, step, samples, tmp_path):
        alone = [outcome(step, self.job(tmp_path, sample)) for sample in samples]

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            together = list(pool.map(
                lambda sample: outcome(step, self.job(tmp_path, sample)), [*samples] * 2))

        assert together == alone * 2

    @pytest.mark.parametrize(('piece', 'count'), [
        (DISK, 320), (gzip.compress(DISK, 1), 320), (gzip.compress(bytes(16 * MIB)), 8)],
        ids=['a disk', 'a compressed disk', 'compressed zeros'])
    def test_memory_does_not_grow_with_the_image(self, step, tmp_path, piece, count):
        outcome(step, LargeJob(tmp_path, piece, 1))
        tracemalloc.start()

        try:
            outcome(step, LargeJob(tmp_path, piece, count))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert peak < 24 * MIB
