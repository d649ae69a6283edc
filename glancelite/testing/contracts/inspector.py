"""The suite for inspectors.  Subclass ``InspectorContract`` and override ``inspector``.

The suite does not require which content is accepted, only that the results are valid.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import random
import tracemalloc

import pytest

from glancelite import contract
from glancelite.contract import Image

MIB = 1 << 20
FORMATS = ('raw', 'qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'iso', 'ploop', 'ami', 'aki', 'ari',
           'x-unheard-of', None)
CONTAINERS = ('bare', 'ovf', 'ova', 'docker', 'x-unheard-of', None)
#: first bytes of images that a parser may fail on
BEGINNINGS = (
    b'', b'\0', b'QFI\xfb', b'QFI\xfb\0\0\0\3' + b'\xff' * 600, b'KDMV' + b'\xff' * 600,
    b'# Disk DescriptorFile\ncreateType="' + b'x' * 600, b'vhdxfile' + b'\xff' * 300_000,
    b'conectix' + b'\xff' * 600, b'QED\0' + b'\xff' * 600, b'LUKS\xba\xbe' + b'\xff' * 600,
    b'\0' * 510 + b'\x55\xaa' + b'\0' * 600, b'\0' * 32_769 + b'CD001' + b'\xff' * 4000,
    b'\xff' * 40_000, 'ü'.encode() * 2_000,
)

#: lengths of content that ends in the header of a format, or behind it
ENDS = (1, 4, 7, 8, 16, 63, 64, 72, 104, 111, 511, 512, 591, 592, 600)


def image(disk_format='raw', container_format='bare', **fields):
    return Image('11111111-2222-4333-8444-555555555555', status='saving',
                 disk_format=disk_format, container_format=container_format, **fields)


def result(inspector, image, chunks):
    """Return ``('accepted', properties)`` or the error's class; None without an inspection."""
    inspection = inspector.open(image, ctx=contract.Context())
    if inspection is None:
        return None
    try:
        for chunk in chunks:
            inspection.feed(chunk)
        return 'accepted', dict(inspection.finish())
    except contract.Error as error:
        return type(error)
    finally:
        inspection.close()


def cut(data, length):
    return (data[start:start + length] for start in range(0, len(data), length))


class InspectorContract:

    @pytest.fixture
    def inspector(self):
        raise NotImplementedError('override the `inspector` fixture')

    @pytest.mark.parametrize('container', CONTAINERS)
    @pytest.mark.parametrize('disk_format', FORMATS)
    def test_open_returns_an_inspection_or_none(self, inspector, disk_format, container):
        inspection = inspector.open(image(disk_format, container))

        assert inspection is None or isinstance(inspection, contract.Inspection)

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    @pytest.mark.parametrize('start', BEGINNINGS, ids=lambda start: ascii(start[:8]))
    def test_hostile_content_gets_a_result(self, inspector, start, disk_format):
        outcome = result(inspector, image(disk_format), cut(start + b'x' * 100_000, 65_536))

        if isinstance(outcome, tuple):
            for name, value in outcome[1].items():
                assert type(value) is int
                assert 0 <= value <= contract.inspector.FACTS[name]
        else:
            assert outcome in (None, contract.WrongContent)

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    def test_content_gets_a_result_wherever_it_ends(self, inspector, disk_format):
        for start in BEGINNINGS:
            for length in ENDS:
                outcome = result(inspector, image(disk_format), [start[:length]])

                assert isinstance(outcome, tuple) or outcome in (None, contract.WrongContent)

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    def test_the_sizes_of_chunks_do_not_matter(self, inspector, disk_format):
        for start in BEGINNINGS:
            data = start + b'x' * 1000

            outcomes = [result(inspector, image(disk_format), cut(data, length))
                        for length in (511, 4096, 65_536, len(data))]

            assert outcomes == outcomes[:1] * 4

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    def test_memoryviews_get_the_same_result_if_declared(self, inspector, disk_format):
        for start in BEGINNINGS:
            data = start + b'x' * 100_000
            inspection = inspector.open(image(disk_format))
            declared = inspection is not None and inspection.ACCEPTS_MEMORYVIEW
            kind = memoryview if declared else bytes

            outcome = result(inspector, image(disk_format), map(kind, cut(data, 65_536)))

            assert outcome == result(inspector, image(disk_format), cut(data, 65_536))

    def test_an_empty_upload_gets_a_result(self, inspector):
        outcome = result(inspector, image('raw'), [])

        assert outcome is None or outcome[0] == 'accepted'

    def test_concurrent_inspections_do_not_mix(self, inspector):
        contents = [b'x' * size for size in (10, 700_000)]

        alone = [result(inspector, image(), [data]) for data in contents]
        inspections = [inspector.open(image()) for _ in contents]
        for inspection, data in zip(inspections, contents, strict=True):
            if inspection is not None:
                inspection.feed(data)
        mixed = [each and ('accepted', dict(each.finish())) for each in inspections]

        assert mixed == alone

    def test_an_inspection_can_be_closed_at_any_time(self, inspector):
        for chunks in ([], [b'x'], [b'x'] * 3):
            inspection = inspector.open(image())
            if inspection is not None:
                for chunk in chunks:
                    inspection.feed(chunk)
                assert inspection.close() is None

    def test_many_uploads_at_once(self, inspector):
        contents = [random.Random(seed).randbytes(200_000 + seed) for seed in range(16)]
        alone = [result(inspector, image(), [data]) for data in contents]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            together = list(pool.map(
                lambda data: result(inspector, image(), cut(data, 10_000)), contents))

        assert together == alone

    def test_memory_does_not_grow_with_the_image(self, inspector):
        chunk = random.Random(0).randbytes(MIB)
        result(inspector, image(), [chunk])
        tracemalloc.start()

        try:
            result(inspector, image(), itertools.repeat(chunk, 64))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert peak < 24 * MIB
