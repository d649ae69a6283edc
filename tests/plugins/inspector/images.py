"""Beginnings of valid and hostile images, written from the specifications."""

import struct

MIB = 1 << 20


def qcow2(*, version=3, backing=0, features=0, size=64 * MIB):
    header = struct.pack('>4sIQIIQ', b'QFI\xfb', version, backing, 20 if backing else 0, 16, size)
    return header.ljust(72, b'\0') + struct.pack('>Q', features).ljust(1000, b'\0')


def vmdk_descriptor(kind='monolithicSparse', extents=('RW 131072 SPARSE "disk.vmdk"',),
                    more=()):
    lines = ['# Disk DescriptorFile', 'version=1', 'CID=12345678', f'createType="{kind}"',
             *extents, 'ddb.virtualHWVersion = "4"', *more]
    return '\n'.join(lines).encode()


def vmdk(kind='monolithicSparse', *, sectors=131_072, version=1, at=1, directory=21, **parts):
    header = struct.pack('<4sIIQQQQIQQ', b'KDMV', version, 3, sectors, 128, at, 20, 512, 0,
                         directory)
    return header.ljust(512, b'\0') + vmdk_descriptor(kind, **parts).ljust(20 * 512, b'\0')


def vmdk_footer(*, at=1, directory=21, marker=3, end=b'\0' * 512):
    footer = struct.pack('<4sIIQQQQIQQ', b'KDMV', 1, 3, 131_072, 128, at, 20, 512, 0, directory)
    return struct.pack('<QII', 1, 0, marker).ljust(512, b'\0') + footer.ljust(512, b'\0') + end


def gpt(*partitions):
    """An MBR with ``(boot flag, type, first CHS, first sector)`` per partition."""
    table = b''.join(struct.pack('<B3sB3sII', boot, chs, kind, b'\xff' * 3, first, 2000)
                     for boot, kind, chs, first in partitions)
    return bytes(446) + table.ljust(64, b'\0') + b'\x55\xaa' + bytes(4096)


PROTECTIVE = (0, 0xee, b'\0\2\0', 1)
LINUX = (0x80, 0x83, b'\0\2\0', 2048)


def volume(name, offset=3):
    """The boot sector of a file system without a partition table."""
    sector = bytearray(b'\xfa\x33' * 255 + b'\x55\xaa' + bytes(4096))
    sector[offset:offset + len(name)] = name
    return bytes(sector)


def iso(*, blocks=500, before=b''):
    volume = b'\1CD001\1'.ljust(80, b'\0') + struct.pack('<L', blocks)
    volume = volume.ljust(128, b'\0') + struct.pack('<H', 2048)
    return before[:32_768].ljust(32_768, b'\0') + volume.ljust(4096, b'\0')


def vdi(size=64 * MIB):
    return (bytes(64) + struct.pack('<I', 0xbeda107f)).ljust(368, b'\0') + struct.pack(
        '<Q', size).ljust(200, b'\0')


def vhd(size=64 * MIB):
    return b'conectix'.ljust(40, b'\0') + struct.pack('>Q', size).ljust(600, b'\0')


def luks(*, version=1, payload=4096):
    header = struct.pack('>6sH32s32s32sII', b'LUKS\xba\xbe', version, b'aes', b'xts-plain64',
                         b'sha256', payload, 64)
    return header.ljust(4096 * 512, b'\0') + b'secret' * 1000


def qed():
    return b'QED\0'.ljust(1024, b'\0')
