"""The step ``decompression``."""

import functools
import gzip
import io
import itertools
import lzma
import random
import struct
import subprocess
import zipfile
import zlib

import pytest

from glancelite import contract
from glancelite.plugins.step import decompression
from glancelite.plugins.step.decompression import Decompression
from glancelite.testing.contracts import StepContract
from glancelite.testing.contracts.step import SAMPLES, Sample
from glancelite.testing.fakes import FakeJob
from tests.servers import programs

MIB = 1 << 20
DISK = random.Random(1).randbytes(150_000) + bytes(MIB)
zstd = decompression._zstd()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', method) as archive:
        for number, data in enumerate(members):
            archive.writestr(f'disk{number}.raw', data)
    return file.getvalue()


def with_checksum(data):
    """As the program zstd does it."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


COMPRESSED = {
    'gzip': gzip.compress, 'xz': functools.partial(lzma.compress, preset=1), 'zip': zipped,
    'zstd': with_checksum,
    'stored zip': lambda data: zipped(data, method=zipfile.ZIP_STORED),
}
STREAMS = ('gzip', 'xz', 'zstd')
INNER = gzip.compress(DISK)
#: a disk in each compression, and one that is compressed twice
OF_STEP = (*SAMPLES, *(Sample(compress(data)) for compress in COMPRESSED.values()
                       for data in (DISK, INNER)))


class TestDecompression(StepContract):

    @pytest.fixture
    def step(self, make_plugin):
        return make_plugin(Decompression)

    @pytest.fixture
    def samples(self):
        return OF_STEP


@pytest.fixture
def unpacked(make_plugin, tmp_path):
    """Returns the data of an image after the step."""
    def run(data, *, container='bare', part=100_000, size_limit=None, **options):
        job = FakeJob(tmp_path, size_limit=size_limit, parts=[
            data[start:start + part] for start in range(0, len(data), part)],
            image=contract.Image('11111111-2222-4333-8444-555555555555', disk_format='raw',
                                 container_format=container))
        before = job.image
        try:
            make_plugin(Decompression, **options).run(job)
        except contract.Error:
            assert job.data == data
            raise
        assert job.image == before
        return job.data
    return run


# --- what is unpacked

@pytest.mark.parametrize('kind', COMPRESSED)
@pytest.mark.parametrize('part', [1000, 100_000, 10 * MIB])
def test_compressed_data_is_unpacked(unpacked, kind, part):
    assert unpacked(COMPRESSED[kind](DISK), part=part) == DISK


@pytest.mark.parametrize('kind', COMPRESSED)
def test_an_empty_disk_is_unpacked(unpacked, kind):
    assert unpacked(COMPRESSED[kind](b'')) == b''


@pytest.mark.parametrize('kind', COMPRESSED)
def test_what_comes_out_is_not_unpacked_once_more(unpacked, kind):
    assert unpacked(COMPRESSED[kind](INNER)) == INNER


@pytest.mark.parametrize('kind', STREAMS)
@pytest.mark.parametrize(('count', 'part'), [(2, 1), (100, 7), (100, 100_000)])
def test_several_streams_in_a_row_are_one(unpacked, kind, count, part):
    parts = [b'%d ' % number for number in range(count)]

    assert unpacked(b''.join(map(COMPRESSED[kind], parts)), part=part) == b''.join(parts)


@pytest.mark.parametrize('kind', STREAMS)
def test_zeros_after_the_data_are_padding(unpacked, kind):
    data = COMPRESSED[kind](DISK)

    assert unpacked(data + bytes(100_000)) == DISK
    assert unpacked(data + bytes(512) + data) == DISK * 2


def test_gzip_with_all_parts_of_a_header_is_unpacked(unpacked):
    header = b'\x1f\x8b\x08\x1e\0\0\0\0\0\3' + struct.pack('<H', 3) + b'xyz' + b'name\0comment\0'
    header += struct.pack('<H', zlib.crc32(header) & 0xffff)

    assert unpacked(header + gzip.compress(DISK, mtime=0)[10:], part=3) == DISK


@pytest.mark.parametrize(('program', 'arguments'), [
    ('gzip', ['-9']), ('xz', ['-9e']), ('xz', ['--check=sha256', '--block-size=100000']),
    ('zstd', ['-19']), ('zstd', ['--long=27'])], ids=str)
def test_what_the_programs_write_is_unpacked(unpacked, program, arguments):
    done = subprocess.run([programs.require(program), '-c', *arguments], input=DISK, check=True,
                          capture_output=True)

    assert unpacked(done.stdout) == DISK


def test_frames_of_pzstd_are_unpacked(unpacked):
    frames = [zstd.compress(DISK[start:start + MIB]) for start in range(0, len(DISK), MIB)]
    data = b''.join(struct.pack('<III', 0x184d2a50, 4, len(frame)) + frame for frame in frames)

    assert unpacked(data) == DISK


def test_a_zip_with_its_sizes_behind_the_data_is_unpacked(unpacked):
    class Pipe(io.RawIOBase):
        """Cannot seek, so the sizes are written at the end."""

        def __init__(self):
            self.data = b''

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('disk', DISK)

    assert unpacked(pipe.data) == DISK


# --- what stays as it is

@pytest.mark.parametrize('data', [
    b'', b'\x1f', b'\x1f\x8b', b'PK', b'PK\5\6' + bytes(18), DISK, b'QFI\xfb' + DISK,
    b'\0' + gzip.compress(DISK), b'BZh9' + DISK, b'xx-lhx-' + DISK], ids=len)
def test_other_data_stays_as_it_is(unpacked, data):
    assert unpacked(data) == data


@pytest.mark.parametrize('kind', COMPRESSED)
def test_the_container_format_compressed_keeps_the_data(unpacked, kind):
    data = COMPRESSED[kind](DISK)

    assert unpacked(data, container='compressed') == data
    for container in ('bare', 'ovf', 'docker'):
        assert unpacked(data, container=container) == DISK


# --- what is refused

@pytest.mark.parametrize('kind', STREAMS)
def test_data_whose_end_is_missing_is_refused(unpacked, kind):
    data = COMPRESSED[kind](DISK)

    for length in (16, 100, len(data) // 2, len(data) - 9, len(data) - 1):
        with pytest.raises(contract.WrongContent, match=f'The {kind} data is incomplete'):
            unpacked(data[:length])


@pytest.mark.parametrize('kind', COMPRESSED)
def test_damaged_data_is_refused(unpacked, kind):
    data = bytearray(COMPRESSED[kind](DISK))
    data[len(data) // 2] ^= 0xff

    with pytest.raises(contract.WrongContent, match='damaged'):
        unpacked(bytes(data))


@pytest.mark.parametrize('kind', STREAMS)
def test_bytes_after_the_data_are_refused(unpacked, kind):
    for garbage in (b'garbage' * 10, bytes(100) + b'garbage' * 10):
        with pytest.raises(contract.WrongContent, match='followed by bytes that do not belong'):
            unpacked(COMPRESSED[kind](DISK) + garbage)


def test_random_bytes_in_any_place_end_with_an_error_of_the_contract(unpacked):
    chance = random.Random(5)
    disk = DISK[:10_000] + bytes(10_000)
    for kind, compress in COMPRESSED.items():
        for _ in range(50):
            data = bytearray(compress(disk))
            for _ in range(chance.randrange(1, 5)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                found = unpacked(bytes(data))
            except (contract.WrongContent, contract.Invalid):
                continue
            # headers have bytes that do not matter; without a magic it is not compressed
            assert found in (disk, bytes(data)), kind


@pytest.mark.parametrize('members', [
    [], [DISK, DISK], [b''] * 40_000], ids=['none', 'two', 'many'])
def test_a_zip_without_exactly_one_member_is_refused(unpacked, members):
    data = zipped(*members)
    if not data.startswith(b'PK\3\4'):
        assert unpacked(data) == data
        return
    with pytest.raises(contract.WrongContent, match='not have exactly one file'):
        unpacked(data)


def test_a_zip_of_a_directory_is_refused(unpacked):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.mkdir('folder')

    with pytest.raises(contract.WrongContent, match='not have exactly one file'):
        unpacked(file.getvalue())


def test_a_zip_with_a_large_table_is_refused_without_reading_it(unpacked):
    data = bytearray(zipped(DISK) + bytes(3 * MIB))
    data += struct.pack('<4s4H2LH', b'PK\5\6', 0, 0, 1, 1, 3 * MIB, len(data) - 3 * MIB, 0)

    with pytest.raises(contract.WrongContent, match='not have exactly one file'):
        unpacked(bytes(data))


def test_an_encrypted_zip_is_refused(unpacked):
    data = bytearray(zipped(DISK))
    data[6] |= 1
    data[data.rindex(b'PK\1\2') + 8] |= 1

    with pytest.raises(contract.Invalid, match='encrypted'):
        unpacked(bytes(data))


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_cannot_be_unpacked_in_bounded_memory_is_refused(unpacked, method):
    with pytest.raises(contract.Invalid, match='not supported'):
        unpacked(zipped(DISK, method=method))


@pytest.mark.parametrize('method', range(8))
def test_lha_is_named_and_refused(unpacked, method):
    with pytest.raises(contract.Invalid, match='compressed with lha, which this service cannot'):
        unpacked(b'\x20\x11-lh%d-' % method + DISK)


# --- limits

@pytest.mark.parametrize('kind', ['gzip', 'xz', 'zip', 'zstd'])
def test_a_bomb_ends_at_the_limit(unpacked, kind):
    data = COMPRESSED[kind](bytes(16 * MIB))
    assert len(data) < MIB / 10

    with pytest.raises(contract.TooLarge):
        unpacked(data, size_limit=MIB)


@pytest.mark.parametrize('kind', ['gzip', 'xz', 'zip', 'zstd'])
def test_a_bomb_is_unpacked_in_small_pieces(make_plugin, tmp_path, kind):
    sizes = []

    class Measuring(FakeJob):
        def replace(self, chunks):
            sizes.extend(map(len, chunks))

    data = COMPRESSED[kind](bytes(16 * MIB))

    make_plugin(Decompression).run(Measuring(tmp_path, data))

    assert sum(sizes) == 16 * MIB
    assert max(sizes) <= MIB


@pytest.mark.parametrize(('kind', 'data'), [
    ('xz', lzma.compress(DISK[:100], filters=[
        {'id': lzma.FILTER_LZMA2, 'preset': 0, 'dict_size': 128 << 20}])),
    # a frame of one block that asks for a window of 256 MiB
    ('zstd', b'\x28\xb5\x2f\xfd\0' + bytes([18 << 3]) + (100 << 3 | 1).to_bytes(3, 'little')
     + DISK[:100])])
def test_memory_is_limited(unpacked, kind, data):
    with pytest.raises(contract.Invalid, match='more memory than the service allows'):
        unpacked(data, memory_limit=64)
    assert unpacked(data, memory_limit=512) == DISK[:100]


def test_many_tiny_streams_take_little_time_for_each(make_plugin, tmp_path):
    """Without a bound of its pieces this takes hours: see streams.PIECE."""
    job = FakeJob(tmp_path, gzip.compress(b'') * 20_000)

    make_plugin(Decompression).run(job)

    assert job.data == b''


def test_the_end_of_the_work_is_noticed_while_nothing_comes_out(make_plugin, tmp_path):
    class Ending(FakeJob):
        def replace(self, chunks):
            self.ended = True
            super().replace(chunks)

    with pytest.raises(contract.Gone):
        make_plugin(Decompression).run(Ending(tmp_path, gzip.compress(b'') * 1000))


# --- libraries

def test_without_the_library_of_zstd_such_data_is_refused(make_plugin, tmp_path, monkeypatch):
    monkeypatch.setattr(decompression, 'ZSTD', ('no_such_library',))
    step = make_plugin(Decompression)

    assert step.health() == 'unpacks gzip, xz and zip; for zstd install glancelite[zstd]'
    with pytest.raises(contract.Invalid, match='compressed with zstd, which this service cannot'):
        step.run(FakeJob(tmp_path, zstd.compress(DISK)))
    job = FakeJob(tmp_path, gzip.compress(DISK))
    step.run(job)
    assert job.data == DISK


def test_health_names_what_is_unpacked(make_plugin):
    assert make_plugin(Decompression).health() == 'unpacks gzip, xz, zip and zstd'


def test_a_former_attempt_that_replaced_the_data_is_recognised(make_plugin, tmp_path):
    first = FakeJob(tmp_path, gzip.compress(INNER))
    step = make_plugin(Decompression)

    for job in itertools.accumulate(
            range(3), lambda job, _: FakeJob(tmp_path, parts=job.parts, memory=job.memory),
            initial=first):
        step.run(job)
        assert job.data == INNER
