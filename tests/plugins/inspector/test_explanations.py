"""A refusal says what was found, and what users can do."""

import re

import pytest

from glancelite import contract
from glancelite.plugins.inspector.format import FormatInspector
from glancelite.testing.contracts.inspector import image
from tests.plugins.inspector import images

#: disk_format, content, and what the refusal says
REFUSALS = {
    'a backing file': ('qcow2', images.qcow2(backing=512), r'backing file.*qemu-img'),
    'a data file': ('qcow2', images.qcow2(features=4), r'data in another file.*convert -O qcow2'),
    'extended_l2': ('qcow2', images.qcow2(features=16), r'_l2 \(bit 4\).*extended_l2=off'),
    'unknown features': ('qcow2', images.qcow2(features=3 << 40), r'bit 40, bit 41\..*-O qcow2'),
    'old qcow2': ('qcow2', images.qcow2(version=1), r'version is 1; 2 and 3 are supported.*conv'),
    'qed': ('qed', images.qed(), r'QED is not supported.*qemu-img'),
    'LUKS2': ('luks', images.luks(version=2), r'LUKS version 2 is not supported.*--type luks1'),
    'LUKS2 as raw': ('raw', images.luks(version=2), r'LUKS version 2 is not supp.*--type luks1'),
    'fixed VHD': ('vhd', b'\x33' * 4096 + images.vhd()[:512],
                  r"no 'vhd' header at its beginning.*subformat=dynamic.*'raw' accepts"),
    'NTFS': ('raw', images.volume(b'NTFS    '), r'an NTFS volume without a partition.*whole disk'),
    'exFAT': ('raw', images.volume(b'EXFAT   '), r'an exFAT volume without.*whole disk'),
    'BitLocker': ('raw', images.volume(b'-FVE-FS-'), r'a BitLocker volume without.*whole disk'),
    'FAT 16': ('raw', images.volume(b'FAT16', 54), r'a FAT volume without.*whole disk'),
    'FAT 32': ('raw', images.volume(b'FAT32', 82), r'a FAT volume without.*whole disk'),
    'kernel': ('raw', images.gpt(), r"boot signature and no partitions.*'aki' or 'ari'"),
    'bad GPT': ('raw', images.gpt(images.PROTECTIVE, images.LINUX),
                r'partition table is wrong \(GPT MBR defines invalid extra.*sfdisk'),
    'flat VMDK': ('vmdk', images.vmdk('monolithicFlat'), r'Unsupported subformat.*qemu-img'),
    'extent': ('vmdk', images.vmdk(extents=['RW 8 FLAT "/a" 0']), r'Invalid extent.*qemu-img'),
    'parent': ('vmdk', images.vmdk(more=['parentFileNameHint="x"']), r'parent file .*qemu-img'),
    'descriptor': ('vmdk', images.vmdk_descriptor(), r'only a descriptor.*other files.*qemu'),
    'descriptor as raw': ('raw', b'version=1\ncreateType="vmfs"', r'only a descriptor.*qemu-img'),
    'delta disk': ('vmdk', b'COWD' + bytes(600), r'delta disk.*qemu-img convert'),
    'truncated VMDK': ('vmdk', b'KDMV', r'descriptor cannot be read.*qemu-img'),
    'footer': ('vmdk', images.vmdk(directory=(1 << 64) - 1) + images.vmdk_footer(marker=0),
               r'Footer marker is invalid.*qemu-img'),
    'truncated': ('qcow2', images.qcow2()[:100], r"'qcow2' content.*truncated.*create it anew"),
    'another format': ('qcow2', images.vdi(), r"'vdi' and not 'qcow2'. Set disk_format to 'vdi'"),
    'a partition table': ('qcow2', images.gpt(images.LINUX),
                          r"partition table and not 'qcow2'. Set disk_format to 'raw'"),
    'LUKS': ('qcow2', images.luks(), r"'luks' and not 'qcow2'. Set disk_format to 'raw'"),
    'no format': ('qcow2', b'x' * 1000, r"'raw' and not 'qcow2': .*Set disk_format to the format"),
    'two formats': ('iso', images.iso(before=images.qcow2()), r'looks like iso and qcow2'),
    'size': ('qcow2', images.qcow2(size=1 << 63), r'virtual size 9223372036854775808.* the most'),
}


def refusal(plugin, disk_format, data):
    inspection = plugin.open(image(disk_format))
    try:
        inspection.feed(data)
        inspection.finish()
    except contract.WrongContent as error:
        return str(error)
    return 'accepted'


@pytest.mark.parametrize('name', REFUSALS)
def test_refusals_say_what_was_found_and_what_helps(make_plugin, name):
    disk_format, data, said = REFUSALS[name]

    text = refusal(make_plugin(FormatInspector), disk_format, data)

    assert re.search(said, text), text
    assert re.fullmatch(r'[A-Z][^\n]*[^.\n]\.', text), 'one line of whole sentences'


def test_types_of_vmdk_that_the_service_accepts_are_named(make_plugin):
    plugin = make_plugin(FormatInspector, vmdk_allowed_types=['streamOptimized'])

    assert '"monolithicsparse" is not one of' in refusal(plugin, 'vmdk', images.vmdk())


def test_a_volume_that_the_operator_allows_is_accepted(make_plugin):
    plugin = make_plugin(FormatInspector, gpt_safety_checks_nonfatal=['mbr'])
    inspection = plugin.open(image('raw'))

    inspection.feed(images.volume(b'NTFS    '))

    assert inspection.finish() == {'virtual_size': len(images.volume(b'NTFS    '))}
