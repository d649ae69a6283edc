"""What failed safety checks found, and what users can do: one sentence or two for each."""

from __future__ import annotations

#: names of the bits of ``incompatible_features`` that hypervisors may not know, and how
#: qemu-img switches them off
QCOW2_FEATURES = {4: ('extended_l2', ' -o extended_l2=off')}
#: texts in the boot sector of a file system, their offsets, and the file system
FILE_SYSTEMS = ((3, b'NTFS    ', 'an NTFS'), (3, b'EXFAT   ', 'an exFAT'),
                (3, b'-FVE-FS-', 'a BitLocker'), (54, b'FAT', 'a FAT'), (82, b'FAT32', 'a FAT'))


def explain(kind: str, check: str, reason: str, head: bytes) -> str:
    """Return the text for one failed check.

    :param kind: name of the format that the content was checked as.
    :param check: name of the check.
    :param reason: what the check said.
    :param head: the beginning of the content.
    """
    match kind, check:
        case 'qcow2', 'backing_file':
            return f'It needs another file, its backing file. Merge them: {_convert("qcow2")}.'
        case 'qcow2', 'data_file':
            return f'It keeps its data in another file. Merge them: {_convert("qcow2")}.'
        case 'qcow2', 'unknown_features':
            return _qcow2(head)
        case 'qed', _:
            return f'QED is not supported. Convert it: {_convert("qcow2")}.'
        case 'vmdk', _:
            return (f'{_sentence(reason)} It must be one file of the type monolithicSparse or '
                    f'streamOptimized: {_convert("vmdk -o subformat=streamOptimized")}.')
        case 'luks', 'version':
            return (f'{_sentence(reason)} Convert it with "cryptsetup convert FILE --type luks1", '
                    'or encrypt it anew as version 1.')
        case 'gpt', 'mbr':
            return (f'{_boot_sector(reason, head)} Operators can accept such images with '
                    '"gpt_safety_checks_nonfatal = mbr" in [image_format].')
    return _sentence(reason)


def not_as_declared(found: str, declared: str | None) -> str:
    """Return the text for content of another format than ``disk_format``."""
    if found != 'raw':
        name = 'a disk with a partition table' if found == 'gpt' else f"'{found}'"
        right = 'raw' if found in ('gpt', 'luks') else found
        return (f"The content is {name} and not '{declared}'. "
                f"Set disk_format to '{right}', or convert the data.")
    if declared == 'vhd':
        return ("The content has no 'vhd' header at its beginning. VHDs of fixed size have none "
                f'and are not supported: {_convert("vpc -o subformat=dynamic")} makes a dynamic '
                "one, and disk_format 'raw' accepts the data as it is.")
    return (f"The content is 'raw' and not '{declared}': it has no header of this format. "
            "Set disk_format to the format of the data, or convert the data.")


def _convert(output: str) -> str:
    return f'"qemu-img convert -O {output} OLD NEW"'


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip('.') + '.'


def _qcow2(head: bytes) -> str:
    version = int.from_bytes(head[4:8], 'big')
    if version not in (2, 3):
        return (f'Its version is {version}; 2 and 3 are supported. '
                f'Convert it: {_convert("qcow2")}.')
    features = int.from_bytes(head[72:80], 'big')
    bits = [bit for bit in range(4, 64) if features >> bit & 1]
    named = ', '.join(f'{QCOW2_FEATURES[bit][0]} (bit {bit})' if bit in QCOW2_FEATURES
                      else f'bit {bit}' for bit in bits)
    options = ''.join(QCOW2_FEATURES[bit][1] for bit in bits if bit in QCOW2_FEATURES)
    return (f'It uses features that not every hypervisor knows: {named}. '
            f'Convert it: {_convert("qcow2" + options)}.')


def _boot_sector(reason: str, head: bytes) -> str:
    for offset, text, name in FILE_SYSTEMS:
        if head.startswith(text, offset):
            return (f'It is {name} volume without a partition table. Make the image of a whole '
                    'disk with its partition table.')
    if 'no partitions' in reason:
        return ('It has a boot signature and no partitions. Make the image of a whole disk with '
                "its partition table; a kernel or ramdisk has the disk_format 'aki' or 'ari'.")
    return (f'Its partition table is wrong ({reason}). Write it anew, such as with sgdisk or '
            'sfdisk.')
