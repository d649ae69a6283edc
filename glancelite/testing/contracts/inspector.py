"""What every inspector must do.  Subclass ``InspectorContract`` and say how to make yours.

What is accepted is the operator's choice; that a verdict is one, is not.
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
#: how images begin that an inspector may fall for
BEGINNINGS = (
    b'', b'\0', b'QFI\xfb', b'QFI\xfb\0\0\0\3' + b'\xff' * 600, b'KDMV' + b'\xff' * 600,
    b'# Disk DescriptorFile\ncreateType="' + b'x' * 600, b'vhdxfile' + b'\xff' * 300_000,
    b'conectix' + b'\xff' * 600, b'QED\0' + b'\xff' * 600, b'LUKS\xba\xbe' + b'\xff' * 600,
    b'\0' * 510 + b'\x55\xaa' + b'\0' * 600, b'\0' * 32_769 + b'CD001' + b'\xff' * 4000,
    b'\xff' * 40_000, 'ü'.encode() * 2_000,
)


def image(disk_format='raw', container_format='bare', **fields):
    return Image('11111111-2222-4333-8444-555555555555', status='saving',
                 disk_format=disk_format, container_format=container_format, **fields)


def verdict(inspector, image, chunks):
    """``('fine', facts)``, or the error's class; None if the image is of no interest."""
    tap = inspector.open(image, ctx=contract.Context())
    if tap is None:
        return None
    try:
        for chunk in chunks:
            tap.feed(chunk)
        return 'fine', dict(tap.finish())
    except contract.Error as error:
        return type(error)
    finally:
        tap.close()


def cut(data, length):
    return (data[start:start + length] for start in range(0, len(data), length))


class InspectorContract:

    @pytest.fixture
    def inspector(self):
        raise NotImplementedError('override the `inspector` fixture')

    @pytest.mark.parametrize('container', CONTAINERS)
    @pytest.mark.parametrize('disk_format', FORMATS)
    def test_open_returns_an_inspection_or_none(self, inspector, disk_format, container):
        tap = inspector.open(image(disk_format, container))

        assert tap is None or isinstance(tap, contract.Inspection)

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    @pytest.mark.parametrize('start', BEGINNINGS, ids=lambda start: ascii(start[:8]))
    def test_hostile_content_gets_a_result(self, inspector, start, disk_format):
        said = verdict(inspector, image(disk_format), cut(start + b'x' * 100_000, 65_536))

        if isinstance(said, tuple):
            assert said[1].keys() <= set(contract.IMAGE_FIELDS)
        else:
            assert said in (None, contract.WrongContent)

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    def test_the_sizes_of_chunks_do_not_matter(self, inspector, disk_format):
        for start in BEGINNINGS:
            data = start + b'x' * 1000

            said = [verdict(inspector, image(disk_format), cut(data, length))
                    for length in (511, 4096, 65_536, len(data))]

            assert said == said[:1] * 4

    @pytest.mark.parametrize('disk_format', FORMATS[:8])
    def test_memoryviews_get_the_same_result_if_declared(self, inspector, disk_format):
        for start in BEGINNINGS:
            data = start + b'x' * 100_000
            tap = inspector.open(image(disk_format))
            kind = memoryview if tap is not None and tap.ACCEPTS_MEMORYVIEW else bytes

            said = verdict(inspector, image(disk_format), map(kind, cut(data, 65_536)))

            assert said == verdict(inspector, image(disk_format), cut(data, 65_536))

    def test_an_empty_upload_gets_a_result(self, inspector):
        said = verdict(inspector, image('raw'), [])

        assert said is None or said[0] == 'fine'

    def test_concurrent_inspections_do_not_mix(self, inspector):
        contents = [b'x' * size for size in (10, 700_000)]

        alone = [verdict(inspector, image(), [data]) for data in contents]
        taps = [inspector.open(image()) for _ in contents]
        for tap, data in zip(taps, contents, strict=True):
            if tap is not None:
                tap.feed(data)
        mixed = [tap and ('fine', dict(tap.finish())) for tap in taps]

        assert mixed == alone

    def test_an_inspection_can_be_closed_at_any_time(self, inspector):
        for chunks in ([], [b'x'], [b'x'] * 3):
            tap = inspector.open(image())
            if tap is not None:
                for chunk in chunks:
                    tap.feed(chunk)
                assert tap.close() is None

    def test_many_uploads_at_once(self, inspector):
        contents = [random.Random(seed).randbytes(200_000 + seed) for seed in range(16)]
        alone = [verdict(inspector, image(), [data]) for data in contents]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            together = list(pool.map(
                lambda data: verdict(inspector, image(), cut(data, 10_000)), contents))

        assert together == alone

    def test_memory_does_not_grow_with_the_image(self, inspector):
        chunk = random.Random(0).randbytes(MIB)
        verdict(inspector, image(), [chunk])
        tracemalloc.start()

        try:
            verdict(inspector, image(), itertools.repeat(chunk, 64))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert peak < 24 * MIB
