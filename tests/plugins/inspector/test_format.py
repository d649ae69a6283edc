"""The inspector ``format`` keeps the contract and the table of the Image API."""

import struct
import subprocess
import time

import pytest
from oslo_utils.imageutils import format_inspector

from glancelite import contract
from glancelite.plugins.inspector.format import HEAD_SIZE, FormatInspector
from glancelite.testing.contracts.inspector import InspectorContract, cut, image
from tests.plugins.inspector import images
from tests.servers import programs

MIB = 1 << 20
#: value in the header of a VMDK: see the footer
AT_END = 0xffffffffffffffff
GPT, MBR = images.gpt(images.PROTECTIVE), images.gpt(images.LINUX)
#: a boot signature without partitions, as Linux kernels have
KERNEL = images.gpt()


class TestFormatInspector(InspectorContract):

    @pytest.fixture
    def inspector(self, make_plugin):
        return make_plugin(FormatInspector)


@pytest.fixture
def inspect(make_plugin):
    """Inspects content; returns the result."""
    def show(disk_format, data, *, container='bare', length=65_536, **options):
        inspection = make_plugin(FormatInspector, **options).open(image(disk_format, container))
        for chunk in cut(data, length):
            inspection.feed(chunk)
        return dict(inspection.finish())
    return show


# --- the table

@pytest.mark.parametrize(('disk_format', 'data', 'virtual_size'), [
    ('qcow2', images.qcow2(), 64 * MIB),
    ('qcow2', images.qcow2(version=2, size=1), 1),
    ('vmdk', images.vmdk(), 64 * MIB),
    ('vmdk', images.vmdk('streamOptimized', sectors=2), 1024),
    ('vdi', images.vdi(), 64 * MIB),
    ('vhd', images.vhd(), 64 * MIB),
    ('iso', images.iso(), 500 * 2048),
    ('iso', images.iso(before=GPT), 500 * 2048),
    ('luks', images.luks(), 6000),
    ('raw', b'x' * 1000, 1000),
    ('raw', b'x' * (3 * MIB), 3 * MIB),
])
def test_matching_content_has_a_virtual_size(inspect, disk_format, data, virtual_size):
    assert inspect(disk_format, data) == {'virtual_size': virtual_size}


@pytest.mark.parametrize('disk_format', ['ami', 'aki', 'ari', 'ploop', 'custom'])
def test_formats_without_an_inspector_are_accepted(inspect, disk_format):
    assert inspect(disk_format, b'x' * 10_000) == {}


@pytest.mark.parametrize('data', [
    images.qcow2(), images.vmdk(), images.vdi(), images.vhd(), images.iso(),
    images.iso(before=GPT), GPT, MBR, images.luks()], ids=len)
def test_any_format_may_be_declared_as_raw(inspect, data, caplog):
    assert inspect('raw', data) == {'virtual_size': len(data)}

    assert 'declared as raw' in caplog.text


@pytest.mark.parametrize(('disk_format', 'data'), [
    ('qcow2', b'x' * 10_000), ('qcow2', b''), ('qcow2', images.qcow2()[:500]),
    ('qcow2', images.vmdk()), ('vmdk', images.qcow2()), ('vhdx', images.vhd()),
    ('vhd', b'x' * 10_000), ('iso', GPT), ('iso', images.qcow2()), ('vdi', MBR),
    ('ami', images.qcow2()), ('ploop', images.vmdk()), ('custom', GPT), ('aki', MBR),
    ('qcow2', images.iso(before=GPT)), ('iso', images.iso(before=images.qcow2())),
    ('vhd', images.vhd()[:100]), ('qcow2', images.qcow2(size=1 << 63)),
    ('vmdk', images.vmdk(version=9))])
def test_another_format_is_refused_or_logged(inspect, caplog, disk_format, data):
    with pytest.raises(contract.WrongContent):
        inspect(disk_format, data)

    if disk_format != 'vmdk' or b'KDMV' not in data:    # a VMDK that cannot be parsed is unsafe
        assert inspect(disk_format, data, require_image_format_match=False) == {}
        assert 'virtual size stays unknown' in caplog.text


@pytest.mark.parametrize('container', ['ovf', 'ova', 'docker', 'compressed', 'aki', None])
def test_only_bare_images_are_inspected(make_plugin, container):
    assert make_plugin(FormatInspector).open(image('qcow2', container)) is None


# --- dangerous content

HOSTILE = {
    'a backing file': ('qcow2', images.qcow2(backing=512)),
    'a backing file, version 2': ('qcow2', images.qcow2(version=2, backing=512)),
    'a data file': ('qcow2', images.qcow2(features=1 << 2)),
    'unknown features': ('qcow2', images.qcow2(features=1 << 5)),
    'unknown high features': ('qcow2', images.qcow2(features=1 << 63)),
    'an unknown version': ('qcow2', images.qcow2(version=4)),
    'the old version': ('qcow2', images.qcow2(version=1)),
    'an extent elsewhere': ('vmdk', images.vmdk(extents=['RW 8 FLAT "/etc/passwd" 0'])),
    'no extents': ('vmdk', images.vmdk(extents=[])),
    'a flat kind': ('vmdk', images.vmdk('monolithicFlat')),
    'a kind with several files': ('vmdk', images.vmdk('twoGbMaxExtentSparse')),
    'a line that is nothing': ('vmdk', images.vmdk(more=['include /etc/passwd'])),
    'a descriptor alone': ('vmdk', images.vmdk_descriptor('monolithicFlat', [
        'RW 8 FLAT "/etc/passwd" 0'], more=['# ' + 'x' * 512])),
    'a small descriptor alone': ('vmdk', images.vmdk_descriptor(extents=[
        'RW 8 FLAT "../x" 0'])),
    'a descriptor alone that names a neighbour': ('vmdk', images.vmdk_descriptor(extents=[
        'RW 8 FLAT "other-image" 0'])),
    'a descriptor somewhere else': ('vmdk', images.vmdk(at=7)),
    'a footer with another descriptor': (
        'vmdk', images.vmdk(directory=AT_END) + bytes(MIB) + images.vmdk_footer(at=9)),
    'a footer that names a footer': (
        'vmdk', images.vmdk(directory=AT_END) + images.vmdk_footer(directory=AT_END)),
    'a footer without its mark': (
        'vmdk', images.vmdk(directory=AT_END) + bytes(3 * MIB) + images.vmdk_footer(marker=0)),
    'bytes after the footer': (
        'vmdk', images.vmdk(directory=AT_END) + images.vmdk_footer(end=b'\1' * 512)),
    'no footer': ('vmdk', images.vmdk(directory=AT_END)),
    'a partition table with a strange flag': ('raw', images.gpt((0x42, 0x83, b'\0\2\0', 1))),
    'GPT with more partitions': ('raw', images.gpt(images.PROTECTIVE, images.LINUX)),
    'GPT that begins elsewhere': ('raw', images.gpt((0, 0xee, b'\0\2\0', 34))),
    'a boot signature without partitions': ('raw', KERNEL),
    'QED': ('qed', images.qed()),
    'LUKS 2': ('luks', images.luks(version=2)),
}


@pytest.mark.parametrize('lenient', [True, False], ids=['lenient', 'strict'])
@pytest.mark.parametrize('honest', [True, False], ids=['honest', 'as raw'])
@pytest.mark.parametrize('name', HOSTILE)
def test_dangerous_content_is_refused_whatever_is_declared(inspect, name, honest, lenient):
    disk_format, data = HOSTILE[name]

    with pytest.raises(contract.WrongContent):
        inspect(disk_format if honest else 'raw', data, require_image_format_match=not lenient)


def test_two_formats_in_one_are_both_checked(inspect):
    both = bytearray(images.iso(before=images.qcow2(backing=512)))

    with pytest.raises(contract.WrongContent):
        inspect('iso', bytes(both), require_image_format_match=False)


def test_a_good_footer_is_found_at_the_end(inspect):
    data = images.vmdk('streamOptimized', directory=AT_END) + bytes(3 * MIB) + images.vmdk_footer()

    for length in (1000, 65_536, len(data)):
        assert inspect('vmdk', data, length=length) == {'virtual_size': 64 * MIB}


@pytest.mark.parametrize(('allowed', 'kind', 'fine'), [
    ([], 'monolithicSparse', False), (['streamOptimized'], 'monolithicSparse', False),
    (['STREAMoptimized'], 'streamOptimized', True), (['monolithicFlat'], 'monolithicFlat', False)])
def test_allowed_types_of_vmdk_are_an_option(inspect, allowed, kind, fine):
    if fine:
        assert inspect('vmdk', images.vmdk(kind), vmdk_allowed_types=allowed)
    else:
        with pytest.raises(contract.WrongContent):
            inspect('vmdk', images.vmdk(kind), vmdk_allowed_types=allowed)


def test_checks_of_partition_tables_only_can_be_ignored(inspect):
    ignored = {'gpt_safety_checks_nonfatal': ['mbr', 'backing_file']}

    assert inspect('raw', KERNEL, **ignored) == {'virtual_size': len(KERNEL)}
    with pytest.raises(contract.WrongContent):
        inspect('raw', images.qcow2(backing=1), **ignored)


@pytest.mark.parametrize('disk_format', ['aki', 'ari'])
def test_kernels_may_have_a_boot_signature(inspect, disk_format):
    assert inspect(disk_format, KERNEL) == {}


def test_a_header_that_cannot_be_parsed_is_refused(inspect, monkeypatch):
    def broken(self):
        raise struct.error('unpack requires a buffer of 8 bytes')
    monkeypatch.setattr(format_inspector.VHDInspector, 'virtual_size', property(broken))

    with pytest.raises(contract.WrongContent):
        inspect('vhd', images.vhd())
    assert inspect('vhd', images.vhd(), require_image_format_match=False) == {}


def test_text_that_is_not_ascii_is_no_vmdk(inspect):
    text = b'#!/bin/sh\n' + b'# plain text\n' * 100 + 'ünïcode'.encode() * 1000

    assert inspect('raw', text) == {'virtual_size': len(text)}
    with pytest.raises(contract.WrongContent):
        inspect('vmdk', text)


# --- time and cost

def test_wrong_content_is_refused_early(make_plugin):
    inspection = make_plugin(FormatInspector).open(image('qcow2'))

    for _ in range(HEAD_SIZE // MIB):
        inspection.feed(b'x' * MIB)
    with pytest.raises(contract.WrongContent):
        inspection.feed(b'x' * MIB)


@pytest.mark.parametrize('length', [1 << 14, 1 << 16, MIB])
def test_a_large_image_takes_little_time(make_plugin, length):
    chunk = b'x' * length
    times = []

    for _ in range(3):
        inspection = make_plugin(FormatInspector).open(image('raw'))
        start = time.thread_time()
        for _ in range((256 * MIB) // length):
            inspection.feed(chunk)
        inspection.finish()
        times.append(time.thread_time() - start)

    assert min(times) < 0.1    # seconds; hashing takes 0.6


# --- images of qemu

@pytest.fixture
def create(tmp_path):
    """Makes an empty image of 64 MiB with qemu-img; returns its content."""
    program = programs.require('qemu-img')

    def make(kind, *options):
        path = tmp_path / 'image'
        subprocess.run([program, 'create', '-q', '-f', kind, *options, str(path), '64M'],
                       check=True, cwd=tmp_path)
        return path.read_bytes()
    return make


@pytest.mark.parametrize(('disk_format', 'kind', 'options'), [
    ('qcow2', 'qcow2', ()), ('qcow2', 'qcow2', ('-o', 'compat=0.10')), ('vmdk', 'vmdk', ()),
    ('vmdk', 'vmdk', ('-o', 'subformat=streamOptimized')), ('vdi', 'vdi', ()),
    ('vhdx', 'vhdx', ()), ('raw', 'raw', ())])
@pytest.mark.parametrize('length', [4096, MIB, 64 * MIB])
def test_images_of_qemu_are_accepted(inspect, create, disk_format, kind, options, length):
    data = create(kind, *options)

    assert inspect(disk_format, data, length=length) == {'virtual_size': 64 * MIB}


@pytest.mark.parametrize(('kind', 'options'), [
    ('qcow2', ('-o', 'data_file=data')), ('qcow2', ('-b', '/etc/hostname', '-F', 'raw', '-u')),
    ('vmdk', ('-o', 'subformat=monolithicFlat')), ('qed', ())])
def test_dangerous_images_of_qemu_are_refused(inspect, create, kind, options):
    data = create(kind, *options)

    for disk_format in (kind, 'raw'):
        with pytest.raises(contract.WrongContent):
            inspect(disk_format, data)
