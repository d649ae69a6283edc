"""The inspector ``format`` refuses dangerous content however early it ends."""

import json
import subprocess

import pytest

from glancelite import contract
from glancelite.plugins.inspector.format import FormatInspector
from glancelite.testing.contracts.inspector import image
from tests.plugins.inspector import images
from tests.servers import programs

#: a descriptor of VMDK as short as qemu reads it; ``version`` may follow any comment
TINY = b'version=1\nCID=1\nparentCID=0\ncreateType="vmfs"\nRW 9 VMFS "other"\n'

#: dangerous content, and the number of bytes from which on it is
SAMPLES = {
    'qcow2, a backing file at 1': (images.qcow2(version=2, backing=1), 16),
    'qcow2, a backing file at 512': (images.qcow2(backing=512), 15),
    'qcow2, a data file': (images.qcow2(features=1 << 2), 80),
    'qcow2, unknown features': (images.qcow2(features=1 << 63), 73),
    'qcow2, the old version': (images.qcow2(version=1), 8),
    'qed': (images.qed(), 4),
    'luks, version 2': (images.luks(version=2)[:1100], 8),
    'vmdk, an extent elsewhere': (images.vmdk(extents=['RW 8 FLAT "/etc/passwd" 0'])[:700], 4),
    'vmdk, a delta disk': (b'COWD\1\0\0\0'.ljust(600, b'\0'), 4),
    'vmdk, only a descriptor': (TINY, TINY.index(b'="vmfs"')),
    'vmdk, a long descriptor': (images.vmdk_descriptor('monolithicFlat', more=['# x'] * 300),
                                images.vmdk_descriptor().index(b'="mono')),
    'a boot signature without partitions': (images.gpt()[:1100], 512),
}


@pytest.fixture
def refused(make_plugin):
    """Tells whether an upload is refused."""
    plugins = {lenient: make_plugin(FormatInspector, require_image_format_match=not lenient)
               for lenient in (False, True)}

    def ask(disk_format, data, *, lenient):
        inspection = plugins[lenient].open(image(disk_format))
        try:
            inspection.feed(data)
            inspection.finish()
        except contract.WrongContent:
            return True
        return False
    return ask


@pytest.mark.parametrize('name', SAMPLES)
def test_dangerous_content_is_refused_wherever_it_ends(refused, name):
    data, dangerous = SAMPLES[name]
    # each length in the headers and around the sizes of their ends, some between these
    lengths = {*range(100), *range(100, 1200, 37), *range(505, 520), *range(585, 600),
               *range(1020, 1030), len(data)}

    accepted = [length for length in sorted(lengths) if dangerous <= length <= len(data)
                and not refused('raw', data[:length], lenient=True)]

    assert accepted == []


@pytest.mark.parametrize('disk_format', ['raw', 'ami', 'ploop', 'qcow2', 'vmdk', 'custom', None])
@pytest.mark.parametrize('name', SAMPLES)
def test_the_shortest_dangerous_content_is_refused_whatever_is_declared(
        refused, name, disk_format):
    data, dangerous = SAMPLES[name]

    for length in (dangerous, len(data)):
        for lenient in (False, True):
            assert refused(disk_format, data[:length], lenient=lenient)


@pytest.mark.parametrize('start', [b'QFI\xfb\0\0\0\2', b'conectix', b'KDMV', b'LUKS\xba\xbe\0\1',
                                   b'vhdxfile', images.vdi()[:68]], ids=lambda start: start[-8:])
def test_a_header_that_ends_early_is_refused_and_said_to_be_truncated(make_plugin, start):
    for disk_format in ('raw', 'qcow2'):
        inspection = make_plugin(FormatInspector).open(image(disk_format))
        inspection.feed(start)
        with pytest.raises(contract.WrongContent, match=r'cannot be (parsed.* truncated|read)'):
            inspection.finish()


@pytest.mark.parametrize('data', [
    b'', b'Q', b'QFI', b'version=1', b'# comment\nversion=1\n', b'# Disk DescriptorFile\n',
    b'createType="vmfs"', b'x' * 511, b'\n' * 1000, b'# ' * 500, bytes(510) + b'\x55'],
    ids=lambda data: ascii(data[:20]))
def test_short_content_of_no_format_is_raw(refused, data):
    for disk_format in ('raw', 'ami', 'aki', 'ploop', 'custom'):
        assert not refused(disk_format, data, lenient=False)


# --- descriptors of VMDK that only hypervisors recognise

PARENT = ['parentCID=1', 'parentFileNameHint="other"']
DESCRIPTORS = {
    'text that is not ASCII': '# ü\n'.encode() + TINY,
    'a byte that is not ASCII, later': TINY + b'# ' + b'x' * 600 + b'\xff',
    'an unprintable character': b'# \1\n' + TINY,
    'zeros behind it': TINY + bytes(600),
    'a long comment': b'#' * 70_000 + b'\n' + TINY,
    'blank lines': b' \r\n\r\n  \n' + TINY,
    'another sign after the type': TINY.replace(b'="vmfs', b'=:vmfs'),
    'other lines': TINY.replace(b'\n', b'\r\n'),
    'a parent': images.vmdk(more=PARENT),
    'a parent in a comment': images.vmdk(more=[PARENT[0], '# ' + PARENT[1]]),
    'a parent behind what the header says': images.vmdk(
        more=['# ' + 'x' * 600, *PARENT]).replace(b'\x14' + bytes(7), b'\1' + bytes(7), 1),
    'two types': images.vmdk(sectors=0, more=['createType="monolithicFlat"']),
}


@pytest.mark.parametrize('disk_format', ['raw', 'vmdk', 'ami'])
@pytest.mark.parametrize('name', DESCRIPTORS)
def test_descriptors_are_read_as_hypervisors_read_them(refused, name, disk_format):
    for lenient in (False, True):
        assert refused(disk_format, DESCRIPTORS[name], lenient=lenient)


def test_any_text_with_a_type_is_a_descriptor_if_vmdk_is_declared(refused):
    text = b'words\ncreateType="vmfs"\n\xff'

    assert refused('vmdk', text, lenient=True)
    assert not refused('raw', text, lenient=True)


# --- what qemu says

@pytest.fixture
def others(tmp_path):
    """Returns the other files that qemu opens for content."""
    program = programs.require('qemu-img')
    (tmp_path / 'other').write_bytes(bytes(9 * 512))

    def ask(data):
        path = tmp_path / 'image'
        path.write_bytes(data)
        shown = subprocess.run([program, 'info', '-U', '--output=json', 'image'], cwd=tmp_path,
                               capture_output=True, check=False)
        found = json.loads(shown.stdout) if shown.returncode == 0 else {}
        special = found.get('format-specific', {}).get('data', {})
        files = {found.get('backing-filename'), special.get('data-file'),
                 *(extent['filename'] for extent in special.get('extents', ()))}
        return files - {None, 'image'}
    return ask


def qcow2_for_qemu(tmp_path, *options):
    program = programs.require('qemu-img')
    subprocess.run([program, 'create', '-q', '-f', 'qcow2', '-u', '-F', 'raw', *options, 'made',
                    '1M'], check=True, cwd=tmp_path)
    return (tmp_path / 'made').read_bytes()


def test_qemu_opens_another_file_for_short_qcow2_and_each_is_refused(others, refused, tmp_path):
    data = qcow2_for_qemu(tmp_path, '-b', 'other', '-o', 'compat=0.10')
    dangerous = [length for length in (72, 96, 100, 101, 112, 200, 511, 512, 700)
                 if others(data[:length])]

    assert dangerous[0] < 112
    assert dangerous[-1] == 700
    assert all(refused('raw', data[:length], lenient=True) for length in dangerous)


@pytest.mark.parametrize('name', [
    'text that is not ASCII', 'another sign after the type', 'zeros behind it', 'a parent',
    'a parent in a comment', 'a parent behind what the header says'])
def test_qemu_opens_another_file_for_these_descriptors(others, name):
    assert others(DESCRIPTORS[name])
