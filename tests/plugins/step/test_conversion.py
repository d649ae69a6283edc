"""The step ``conversion`` with the real qemu-img."""

import contextlib
import os
import struct

import pytest
from oslo_config import cfg

from glancelite import contract, loader
from glancelite.plugins.step.conversion import Conversion
from glancelite.plugins.step.qemu_img import FORMATS, source
from glancelite.testing.contracts import StepContract
from glancelite.testing.contracts.step import SAMPLES, Sample
from glancelite.testing.fakes import FakeHost, FakeJob
from tests.plugins.inspector import images
from tests.plugins.inspector.test_format import HOSTILE
from tests.plugins.step import disks

MIB = 1 << 20
OUTPUTS = ('qcow2', 'raw', 'vmdk')

pytestmark = pytest.mark.requires('qemu-img')


def image_of(disk_format, container_format='bare', **fields):
    return contract.Image('11111111-2222-4333-8444-555555555555', disk_format=disk_format,
                          container_format=container_format, **fields)


@pytest.fixture
def step(make_plugin):
    """Builds the step; no space is reserved, unless a test says so."""
    return lambda **options: make_plugin(Conversion, **{'reserved_space': 0, **options})


@pytest.fixture
def job(tmp_path):
    """Builds a job with data of a format."""
    return lambda data, disk_format='qcow2', container='bare', **named: FakeJob(
        tmp_path, data, image=image_of(disk_format, container), **named)


def disk_of(job, folder):
    """The content of the disk that is staged."""
    staged, raw = folder / 'result', folder / 'result.raw'
    staged.write_bytes(job.data)
    disks.qemu_img('convert', '-O', 'raw', source(str(staged), job.image.disk_format), raw)
    return raw.read_bytes()


@pytest.fixture(scope='module')
def disk_samples(tmp_path_factory):
    folder, data = tmp_path_factory.mktemp('disks'), disks.content(MIB // 4)
    return [Sample(disks.image(folder, disk_format, data), disk_format)
            for disk_format in ('vmdk', 'qcow2')]


class TestConversion(StepContract):

    @pytest.fixture
    def step(self, step):
        return step(output_format='qcow2')

    @pytest.fixture
    def samples(self, disk_samples):
        return *SAMPLES[:3], *disk_samples


# --- every pair of formats

@pytest.mark.parametrize('output', OUTPUTS)
@pytest.mark.parametrize('disk_format', sorted(FORMATS))
def test_every_format_becomes_every_output_with_the_same_content(
        step, job, tmp_path, disk_format, output):
    data = disks.content()
    work = job(disks.image(tmp_path, disk_format, data), disk_format, 'ovf')

    step(output_format=output).run(work)

    same = disk_format == output
    assert work.image.disk_format == output
    assert work.image.container_format == ('ovf' if same else 'bare')
    assert work.image.virtual_size == len(data)
    assert disk_of(work, tmp_path) == data
    (tmp_path / 'a').write_bytes(data)
    (tmp_path / 'b').write_bytes(work.data)
    assert 'identical' in disks.qemu_img('compare', '-f', 'raw', '-F', output,
                                         tmp_path / 'a', tmp_path / 'b')
    assert bool(work.reports) is not same


@pytest.mark.parametrize('output', OUTPUTS)
def test_an_image_in_the_output_format_is_not_changed(step, job, tmp_path, output):
    data = disks.image(tmp_path, output, disks.content())
    work = job(data, output)

    step(output_format=output).run(work)

    assert work.data == data
    assert work.image.virtual_size == 4 * MIB


@pytest.mark.parametrize(('disk_format', 'container', 'data'), [
    ('iso', 'bare', images.iso()), ('iso', 'bare', images.iso(before=images.gpt(images.LINUX))),
    ('aki', 'aki', b'x' * 5000), ('ari', 'ari', b'x' * 5000), ('ami', 'ami', b'x' * 5000),
    ('vmdk', 'ova', b'a tar archive'), ('raw', 'docker', b'a tar archive'),
    ('qcow2', 'compressed', b'\x1f\x8b\x08')])
def test_what_is_not_a_disk_stays_as_it_is(step, job, disk_format, container, data):
    work = job(data, disk_format, container)

    step().run(work)

    assert work.data == data
    assert (work.image.disk_format, work.image.container_format) == (disk_format, container)


def test_a_hidden_partition_table_does_not_matter(step, job, tmp_path):
    data = images.gpt(images.LINUX).ljust(MIB, b'\0')
    work = job(data, 'raw')

    step(output_format='qcow2').run(work)

    assert disk_of(work, tmp_path) == data


def test_a_disk_with_an_iso_can_become_raw(step, job, tmp_path):
    data = images.iso(before=images.gpt(images.LINUX)).ljust(MIB, b'\0')
    work = job(disks.image(tmp_path, 'qcow2', data))

    step().run(work)

    assert work.data == data


# --- content that is refused

@pytest.mark.parametrize('output', ['raw', 'qcow2'])
@pytest.mark.parametrize('honest', [True, False], ids=['honest', 'as raw'])
@pytest.mark.parametrize('name', HOSTILE)
def test_dangerous_content_never_reaches_qemu(step, job, monkeypatch, name, honest, output):
    disk_format, data = HOSTILE[name]
    work = job(data, disk_format if honest else 'raw')
    monkeypatch.setenv('PATH', '/nowhere')

    with pytest.raises((contract.WrongContent, contract.Invalid)) as raised:
        step(output_format=output).run(work)

    assert 'no program' not in str(raised.value)
    assert work.data == data


@pytest.mark.parametrize(('disk_format', 'data'), [
    ('raw', images.qcow2()), ('raw', images.vmdk()), ('raw', images.vdi()), ('raw', images.vhd()),
    ('raw', images.iso()), ('qcow2', images.vmdk()), ('qcow2', b'x' * 5000), ('qcow2', b''),
    ('vmdk', images.qcow2()), ('iso', images.qcow2()), ('vhd', b'x' * 5000)])
@pytest.mark.parametrize('output', OUTPUTS)
def test_content_of_another_format_than_declared_is_refused(
        step, job, output, disk_format, data):
    with pytest.raises(contract.WrongContent, match='content'):
        step(output_format=output).run(job(data, disk_format))


@pytest.mark.parametrize('disk_format', ['ploop', 'custom', None])
def test_a_format_that_qemu_does_not_know_is_refused(step, job, disk_format):
    with pytest.raises(contract.Invalid, match="cannot be converted to 'raw'"):
        step().run(job(b'x' * 5000, disk_format))


def test_an_encrypted_image_is_refused(step, job, tmp_path):
    path = tmp_path / 'encrypted'
    disks.qemu_img('create', '-f', 'qcow2', '--object', 'secret,id=key,data=0123456789abcdef',
                   '-o', 'encrypt.format=aes,encrypt.key-secret=key', path, '1M')

    with pytest.raises(contract.WrongContent, match='encrypted'):
        step().run(job(path.read_bytes()))


def test_a_type_of_vmdk_that_the_service_does_not_accept_is_refused(tmp_path, job):
    conf = cfg.ConfigOpts()
    (tmp_path / 'conf').write_text('[image_format]\nvmdk_allowed_types = monolithicSparse\n')
    conf(['--config-file', str(tmp_path / 'conf')], project='glancelite')
    host = FakeHost(conf=conf)
    with contextlib.closing(host):
        conversion = loader.load(conf, host, 'step', 'conversion')

        with pytest.raises(contract.WrongContent, match='streamoptimized'):
            conversion.run(job(disks.image(tmp_path, 'vmdk', disks.content()), 'vmdk'))


def test_what_is_hidden_in_a_disk_is_refused_as_raw(step, job, tmp_path):
    inner = images.qcow2(backing=512).ljust(MIB, b'\0')
    work = job(disks.image(tmp_path, 'qcow2', inner))
    data = work.data

    with pytest.raises(contract.WrongContent, match="image of the format 'qcow2'"):
        step().run(work)

    assert work.data == data
    assert work.image.disk_format == 'qcow2'


@pytest.mark.parametrize('inner', ['qcow2', 'vdi', 'vmdk', 'vhdx'])
def test_an_image_in_an_image_is_refused_as_raw(step, job, tmp_path, inner):
    (tmp_path / 'inner').mkdir()
    hidden = disks.image(tmp_path / 'inner', inner, disks.content())
    work = job(disks.image(tmp_path, 'qcow2', hidden))

    with pytest.raises(contract.WrongContent, match=f"image of the format '{inner}'"):
        step().run(work)


@pytest.mark.parametrize('disk_format', sorted(FORMATS.keys() - {'raw'}))
def test_damaged_images_end_with_a_text_without_paths(step, job, tmp_path, disk_format):
    whole = bytearray(disks.image(tmp_path, disk_format, disks.content()))
    spoiled = bytes(whole[:1024]) + b'\xff' * (len(whole) - 1024)

    for data in (bytes(whole[:len(whole) // 2]), bytes(whole[:2000]), spoiled):
        with contextlib.suppress(contract.WrongContent):    # some readers take zeros for the rest
            work = job(data, disk_format)
            step().run(work)
            assert work.image.virtual_size == 4 * MIB
            continue
        with pytest.raises(contract.WrongContent) as raised:
            step().run(job(data, disk_format))
        assert str(tmp_path) not in str(raised.value)
        assert 'json' not in str(raised.value)


def test_the_reason_of_qemu_is_shown_without_paths(step, job, tmp_path):
    data = bytearray(disks.image(tmp_path, 'qcow2', disks.content()))
    struct.pack_into('>Q', data, 40, 12345)      # the table of clusters is not aligned

    with pytest.raises(contract.WrongContent) as raised:
        step().run(job(bytes(data)))

    assert 'qemu-img check' in str(raised.value)
    assert 'cannot be converted: ' in str(raised.value)
    assert '/' not in str(raised.value)


# --- limits

def bomb(folder, size='1T'):
    path = folder / 'bomb'
    disks.qemu_img('create', '-q', '-f', 'qcow2', path, size)
    return path.read_bytes()


def test_a_bomb_is_refused_before_it_is_written(step, job, tmp_path, monkeypatch):
    work = job(bomb(tmp_path), size_limit=1 << 30)

    with pytest.raises(contract.QuotaExceeded, match=f'{1 << 40} bytes or more'):
        step().run(work)

    assert work.image.disk_format == 'qcow2'


@pytest.mark.parametrize('output', ['vmdk', 'raw'])
def test_output_is_limited_while_it_is_written(step, tmp_path, output):
    sizes = []

    class Measuring(FakeJob):
        @contextlib.contextmanager
        def new_file(self):
            with super().new_file() as path:
                try:
                    yield path
                finally:
                    sizes.append(os.path.getsize(path) if os.path.exists(path) else 0)

    data = disks.image(tmp_path, 'qcow2', b'a' * (16 * MIB), '-c')
    work = Measuring(tmp_path, data, image=image_of('qcow2'), size_limit=8 * MIB)

    with pytest.raises(contract.QuotaExceeded):
        step(output_format=output).run(work)

    assert work.data == data
    assert max(sizes) <= 8 * MIB


def test_a_quota_that_shrinks_ends_the_conversion(step, job, tmp_path):
    class Shrinking(FakeJob):
        asked = 0

        @property
        def size_limit(self):
            self.asked += 1
            return 1 << 30 if self.asked < 3 else 10

        @size_limit.setter
        def size_limit(self, value):
            pass

    data = disks.image(tmp_path, 'qcow2', disks.content())
    work = Shrinking(tmp_path, data, image=image_of('qcow2'))

    with pytest.raises(contract.QuotaExceeded, match='10 are allowed'):
        step().run(work)


def test_a_sparse_disk_takes_no_space_while_it_is_converted(step, job, tmp_path):
    class Watching(FakeJob):
        taken = None

        def replace_by_file(self, path, **changes):
            self.taken = os.stat(path)
            self.change(**changes)

    work = Watching(tmp_path, bomb(tmp_path, '64G'), image=image_of('qcow2'))

    step().run(work)

    assert work.taken.st_size == 64 << 30
    assert work.taken.st_blocks * 512 < MIB
    assert work.image.virtual_size == 64 << 30


@pytest.mark.parametrize(('options', 'sentence'), [
    ({'memory_limit': 1}, 'more memory than allowed'),
    ({'cpu_time': 0}, 'longer than allowed')])
def test_the_program_has_limits(step, job, tmp_path, options, sentence):
    data = disks.image(tmp_path, 'qcow2', disks.content())

    with pytest.raises(contract.Error, match=sentence):
        step(**options).run(job(data))


def test_a_conversion_waits_while_there_is_little_space(step, job, tmp_path):
    work = job(disks.image(tmp_path, 'qcow2', disks.content()))

    with pytest.raises(contract.Unavailable, match='no space'):
        step(reserved_space=1 << 40).run(work)


def test_a_missing_program_is_named(step, job, tmp_path, monkeypatch):
    conversion, work = step(), job(disks.image(tmp_path, 'qcow2', disks.content()))
    assert conversion.health().startswith('qemu-img version ')
    monkeypatch.setenv('PATH', str(tmp_path))

    for call in (conversion.health, lambda: conversion.run(work)):
        with pytest.raises(contract.Unavailable, match='no program qemu-img'):
            call()


# --- interruptions

def test_nothing_is_left_of_a_conversion_whose_image_was_deleted(step, tmp_path):
    class Ending(FakeJob):
        def report(self, done, total=None):
            raise contract.Gone('The image was deleted.')

    data = disks.image(tmp_path, 'qcow2', disks.content())
    before = {path.name for path in tmp_path.iterdir()}

    with pytest.raises(contract.Gone):
        step().run(Ending(tmp_path, data, image=image_of('qcow2')))

    assert {path.name for path in tmp_path.iterdir()} == before
