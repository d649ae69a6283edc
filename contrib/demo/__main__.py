"""make demo: a new server, real images, unmodified clients."""

import argparse
import contextlib
import hashlib
import pathlib
import sys
import tempfile
import urllib.request

from contrib.demo import clients, images
from contrib.demo.steps import Failed, Steps, expect
from tests.servers import live, process

OTHER_PROJECT = '0f5c4b7ea8d94cf2b1e6a7d3c2f10e98'


class Demo:
    """The steps of the demo, in order."""

    def __init__(self, steps, url, files, folder):
        self._step = steps.step
        self._url = url
        self._files = files
        self._folder = folder
        self._openstack = clients.openstack_client(url)
        self._glance = clients.glance_client(url)
        self._sdk = clients.sdk(url)
        self._ids = {}

    def run(self):
        try:
            self.upload()
            self.find()
            self.describe()
            self.share()
            self.download()
            self.deactivate()
            self.reject()
            self.delete()
        finally:
            self._sdk.close()

    def upload(self):
        for name in 'memtest86+', 'grub-rescue':
            self._create_and_check('openstack', name, self._create_with_openstack)
        for name in 'ipxe', 'memtest86+ disk':
            self._create_and_check('glance', name, self._create_with_glance)
        for name in 'debian-kernel', 'debian-initrd':
            self._create_and_check('openstacksdk', name, self._create_with_sdk)
        with self._step('openstacksdk: the virtual size of the disk was detected'):
            disk = self._sdk.image.get_image(self._ids['memtest86+ disk'])
            memtest = self._files['memtest86+'].size
            expect('virtual size', disk.virtual_size, -(-memtest // 512) * 512)

    def find(self):
        with self._step('openstack: list all images'):
            names = {image['Name'] for image in self._openstack.json('image', 'list')}
            expect('names', names, set(self._files))
        with self._step('openstack: list by tag and by property'):
            for option in ('--tag', 'rescue'), ('--property', 'os_type=none'):
                names = [image['Name'] for image in self._openstack.json(
                    'image', 'list', *option, '--sort', 'name:desc')]
                expect(option, names, ['memtest86+', 'grub-rescue'])
        with self._step('glance: list by name and format'):
            output = self._glance('image-list', '--property-filter', 'disk_format=iso',
                                  '--property-filter', 'name=ipxe')
            expect('ipxe is listed', self._ids['ipxe'] in output, True)
            expect('rows of the table', output.count('\n|'), 2)
        with self._step('openstacksdk: list page by page, the largest first'):
            sizes = [image.size for image in self._sdk.image.images(sort='size:desc', limit=2)]
            expect('sizes', sizes, sorted(
                (file.size for file in self._files.values()), reverse=True))

    def describe(self):
        grub = self._ids['grub-rescue']
        with self._step('openstack: rename, set properties, add a tag'):
            self._openstack('image', 'set', '--name', 'grub rescue', '--property',
                            'hw_firmware_type=bios', '--tag', 'boots', '--min-ram', 64, grub)
            image = self._sdk.image.get_image(grub)
            expect('name', image.name, 'grub rescue')
            expect('property', image.properties['hw_firmware_type'], 'bios')
            expect('tags', sorted(image.tags), ['boots', 'rescue'])
            expect('memory', image.min_ram, 64)
        with self._step('openstack: remove a property and a tag'):
            self._openstack('image', 'unset', '--property', 'os_type', '--tag', 'rescue', grub)
            image = self._sdk.image.get_image(grub)
            expect('tags', image.tags, ['boots'])
            expect('property', image.os_type, None)
        with self._step('glance: tag and untag'):
            self._glance('image-tag-update', grub, 'v2.06')
            self._glance('image-tag-delete', grub, 'boots')
            expect('tags', self._sdk.image.get_image(grub).tags, ['v2.06'])
        with self._step('openstack: set the kernel and the ramdisk of a disk image'):
            disk = self._ids['memtest86+ disk']
            self._openstack('image', 'set', '--kernel-id', self._ids['debian-kernel'],
                            '--ramdisk-id', self._ids['debian-initrd'], disk)
            expect('kernel', self._sdk.image.get_image(disk).kernel_id, self._ids['debian-kernel'])

    def share(self):
        ipxe = self._ids['ipxe']
        with self._step('glance: share an image with another project'):
            self._glance('image-update', '--visibility', 'shared', ipxe)
            self._glance('member-create', ipxe, OTHER_PROJECT)
            output = self._glance('member-list', '--image-id', ipxe)
            expect('the member is pending', OTHER_PROJECT in output and 'pending' in output, True)
        with self._step('openstacksdk: remove the member'):
            members = [member.member_id for member in self._sdk.image.members(ipxe)]
            expect('members', members, [OTHER_PROJECT])
            self._sdk.image.remove_member(image=ipxe, member=OTHER_PROJECT)
            expect('members', list(self._sdk.image.members(ipxe)), [])

    def download(self):
        with self._step('openstack: download and compare'):
            self._openstack('image', 'save', '--file', self._folder / 'a', self._ids['memtest86+'])
            self._compare('a', 'memtest86+')
        with self._step('glance: download with a progress bar, and compare'):
            self._glance('image-download', '--progress', '--file', self._folder / 'b',
                         self._ids['memtest86+ disk'])
            self._compare('b', 'memtest86+ disk')
        with self._step('openstacksdk: download as a stream, and compare'):
            reply = self._sdk.image.download_image(self._ids['debian-initrd'], stream=True)
            digest = hashlib.sha512()
            for chunk in reply.iter_content(1 << 20):
                digest.update(chunk)
            expect('sha512', digest.hexdigest(), self._files['debian-initrd'].digest('sha512'))
        with self._step('openstacksdk: read a range, the volume descriptor of an ISO'):
            reply = self._sdk.image.get(f'/images/{self._ids["ipxe"]}/file',
                                        headers={'Range': 'bytes=32768-34815'})
            expect('status', reply.status_code, 206)
            expect('content range', reply.headers['Content-Range'],
                 f'bytes 32768-34815/{self._files["ipxe"].size}')
            expect('descriptor', reply.content[:6], b'\x01CD001')
            with self._files['ipxe'].path.open('rb') as source:
                source.seek(32768)
                expect('bytes', reply.content, source.read(2048))

    def deactivate(self):
        memtest = self._ids['memtest86+']
        with self._step('glance: deactivate and reactivate'):
            self._glance('image-deactivate', memtest)
            expect('status', self._sdk.image.get_image(memtest).status, 'deactivated')
            self._glance('image-reactivate', memtest)
            expect('status', self._sdk.image.get_image(memtest).status, 'active')
        with self._step('openstack: deactivate and activate'):
            self._openstack('image', 'set', '--deactivate', memtest)
            expect('status', self._sdk.image.get_image(memtest).status, 'deactivated')
            self._openstack('image', 'set', '--activate', memtest)
            expect('status', self._sdk.image.get_image(memtest).status, 'active')

    def reject(self):
        with self._step('openstacksdk: an ISO that is declared as qcow2 is rejected'):
            image = self._sdk.image.create_image(
                'wrong', disk_format='qcow2', container_format='bare', allow_duplicates=True)
            reply = self._sdk.image.put(f'/images/{image.id}/file', headers={
                'Content-Type': 'application/octet-stream',
            }, data=self._files['memtest86+'].path.read_bytes())
            expect('status code', reply.status_code, 415)
            expect('status', self._sdk.image.get_image(image.id).status, 'queued')
            self._sdk.image.delete_image(image.id)
        with self._step('openstack: a protected image cannot be deleted'):
            self._openstack('image', 'set', '--protected', self._ids['ipxe'])
            self._openstack('image', 'delete', self._ids['ipxe'], check=False)
            self._openstack('image', 'set', '--unprotected', self._ids['ipxe'])

    def delete(self):
        ids = list(self._ids.values())
        with self._step('openstack: delete two images'):
            self._openstack('image', 'delete', *ids[:2])
            output = self._openstack('image', 'show', ids[0], check=False)
            expect('the image is deleted', 'No Image found' in output, True)
        with self._step('glance: delete two images'):
            self._glance('image-delete', *ids[2:4])
        with self._step('openstacksdk: delete the other images'):
            for image_id in ids[4:]:
                self._sdk.image.delete_image(image_id, ignore_missing=False)
            expect('images', list(self._sdk.image.images()), [])

    def _create_and_check(self, client, name, create):
        file = self._files[name]
        with self._step(f'{client}: create and upload {name} '
                        f'({file.disk_format}, {file.size / 1e6:.1f} MB)'):
            create(file)
            image = self._sdk.image.find_image(name, ignore_missing=False)
            self._ids[name] = image.id
            expect('status', image.status, 'active')
            expect('size', image.size, file.size)
            expect('format', image.disk_format, file.disk_format)
            expect('md5', image.checksum, file.digest('md5'))
            expect('hash', image.hash_value, file.digest(image.hash_algo))

    def _create_with_openstack(self, file):
        self._openstack('image', 'create', '--progress', '--file', file.path, '--disk-format',
                        file.disk_format, '--container-format', file.container_format,
                        '--property', 'os_type=none', '--tag', 'rescue', file.name)

    def _create_with_glance(self, file):
        self._glance('image-create', '--progress', '--file', file.path, '--disk-format',
                     file.disk_format, '--container-format', file.container_format,
                     '--name', file.name)

    def _create_with_sdk(self, file):
        self._sdk.image.create_image(
            file.name, filename=str(file.path), disk_format=file.disk_format,
            container_format=file.container_format, validate_checksum=True, wait=True)

    def _compare(self, saved, name):
        path = self._folder / saved
        expect('bytes', images.File(name, '', path).digest('sha512'),
             self._files[name].digest('sha512'))
        path.unlink()


def main():
    parser = argparse.ArgumentParser(prog='make demo', description=__doc__)
    parser.add_argument('--url', help='a server without images; by default, the demo starts '
                        'one, and stops it at the end')
    arguments = parser.parse_args()
    steps = Steps()
    with contextlib.ExitStack() as cleanup:
        folder = pathlib.Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        try:
            with steps.step('Debian: find or download bootable images'):
                files = images.collect(folder)
            with steps.step('glancelite-api: start without configuration'):
                url = arguments.url or cleanup.enter_context(live.server(executable=True)).url
                with urllib.request.urlopen(f'{url}/v2/images') as reply:
                    expect('status', reply.status, 200)
            Demo(steps, url, files, folder).run()
        except (Failed, images.Unavailable, process.DidNotStart) as error:
            print(f'\n{error}', file=sys.stderr)
            return 1
    steps.end()
    return 0


sys.exit(main())
