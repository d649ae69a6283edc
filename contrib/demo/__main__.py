"""make demo: a server from nothing, real images, unmodified clients."""

import argparse
import contextlib
import hashlib
import pathlib
import sys
import tempfile
import urllib.request

from contrib.demo import clients, images
from contrib.demo.story import Failed, Story, same
from tests.servers import live, process

OTHER_PROJECT = '0f5c4b7ea8d94cf2b1e6a7d3c2f10e98'


class Demo:
    """What people do with images, in the order in which they do it."""

    def __init__(self, story, url, files, folder):
        self._step = story.step
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
            self.refuse()
            self.delete()
        finally:
            self._sdk.close()

    def upload(self):
        for name in 'memtest86+', 'grub-rescue':
            self._created('openstack', name, self._create_with_openstack)
        for name in 'ipxe', 'memtest86+ disk':
            self._created('glance', name, self._create_with_glance)
        for name in 'debian-kernel', 'debian-initrd':
            self._created('openstacksdk', name, self._create_with_sdk)
        with self._step('openstacksdk: the size that the disk will have was recognised'):
            disk = self._sdk.image.get_image(self._ids['memtest86+ disk'])
            memtest = self._files['memtest86+'].size
            same('virtual size', disk.virtual_size, -(-memtest // 512) * 512)

    def find(self):
        with self._step('openstack: list all images'):
            names = {image['Name'] for image in self._openstack.json('image', 'list')}
            same('names', names, set(self._files))
        with self._step('openstack: list by tag and by property'):
            for filter_ in ('--tag', 'rescue'), ('--property', 'os_type=none'):
                found = [image['Name'] for image in self._openstack.json(
                    'image', 'list', *filter_, '--sort', 'name:desc')]
                same(filter_, found, ['memtest86+', 'grub-rescue'])
        with self._step('glance: list by name, format and size'):
            said = self._glance('image-list', '--property-filter', 'disk_format=iso',
                                '--property-filter', 'name=ipxe')
            same('ipxe is listed', self._ids['ipxe'] in said, True)
            same('nothing else is', said.count('\n|'), 2)
        with self._step('openstacksdk: list page by page, the largest first'):
            sizes = [image.size for image in self._sdk.image.images(sort='size:desc', limit=2)]
            same('sizes', sizes, sorted(
                (file.size for file in self._files.values()), reverse=True))

    def describe(self):
        grub = self._ids['grub-rescue']
        with self._step('openstack: rename, set properties, add a tag'):
            self._openstack('image', 'set', '--name', 'grub rescue', '--property',
                            'hw_firmware_type=bios', '--tag', 'boots', '--min-ram', 64, grub)
            image = self._sdk.image.get_image(grub)
            same('name', image.name, 'grub rescue')
            same('property', image.properties['hw_firmware_type'], 'bios')
            same('tags', sorted(image.tags), ['boots', 'rescue'])
            same('memory', image.min_ram, 64)
        with self._step('openstack: remove a property and a tag'):
            self._openstack('image', 'unset', '--property', 'os_type', '--tag', 'rescue', grub)
            image = self._sdk.image.get_image(grub)
            same('tags', image.tags, ['boots'])
            same('property', image.os_type, None)
        with self._step('glance: tag and untag'):
            self._glance('image-tag-update', grub, 'v2.06')
            self._glance('image-tag-delete', grub, 'boots')
            same('tags', self._sdk.image.get_image(grub).tags, ['v2.06'])
        with self._step('openstack: a kernel and its ramdisk belong to a disk'):
            disk = self._ids['memtest86+ disk']
            self._openstack('image', 'set', '--kernel-id', self._ids['debian-kernel'],
                            '--ramdisk-id', self._ids['debian-initrd'], disk)
            same('kernel', self._sdk.image.get_image(disk).kernel_id, self._ids['debian-kernel'])

    def share(self):
        ipxe = self._ids['ipxe']
        with self._step('glance: share an image with another project'):
            self._glance('image-update', '--visibility', 'shared', ipxe)
            self._glance('member-create', ipxe, OTHER_PROJECT)
            said = self._glance('member-list', '--image-id', ipxe)
            same('the member waits', OTHER_PROJECT in said and 'pending' in said, True)
        with self._step('openstacksdk: and no longer'):
            members = [member.member_id for member in self._sdk.image.members(ipxe)]
            same('members', members, [OTHER_PROJECT])
            self._sdk.image.remove_member(image=ipxe, member=OTHER_PROJECT)
            same('members', list(self._sdk.image.members(ipxe)), [])

    def download(self):
        with self._step('openstack: download, compare'):
            self._openstack('image', 'save', '--file', self._folder / 'a', self._ids['memtest86+'])
            self._compare('a', 'memtest86+')
        with self._step('glance: download with a progress bar, compare'):
            self._glance('image-download', '--progress', '--file', self._folder / 'b',
                         self._ids['memtest86+ disk'])
            self._compare('b', 'memtest86+ disk')
        with self._step('openstacksdk: download as a stream, compare'):
            reply = self._sdk.image.download_image(self._ids['debian-initrd'], stream=True)
            digest = hashlib.sha512()
            for chunk in reply.iter_content(1 << 20):
                digest.update(chunk)
            same('sha512', digest.hexdigest(), self._files['debian-initrd'].digest('sha512'))
        with self._step('openstacksdk: read a range, the volume descriptor of an ISO'):
            reply = self._sdk.image.get(f'/images/{self._ids["ipxe"]}/file',
                                        headers={'Range': 'bytes=32768-34815'})
            same('status', reply.status_code, 206)
            same('content range', reply.headers['Content-Range'],
                 f'bytes 32768-34815/{self._files["ipxe"].size}')
            same('descriptor', reply.content[:6], b'\x01CD001')
            with self._files['ipxe'].path.open('rb') as source:
                source.seek(32768)
                same('bytes', reply.content, source.read(2048))

    def deactivate(self):
        memtest = self._ids['memtest86+']
        with self._step('glance: deactivate and reactivate'):
            self._glance('image-deactivate', memtest)
            same('status', self._sdk.image.get_image(memtest).status, 'deactivated')
            self._glance('image-reactivate', memtest)
            same('status', self._sdk.image.get_image(memtest).status, 'active')
        with self._step('openstack: deactivate and activate'):
            self._openstack('image', 'set', '--deactivate', memtest)
            same('status', self._sdk.image.get_image(memtest).status, 'deactivated')
            self._openstack('image', 'set', '--activate', memtest)
            same('status', self._sdk.image.get_image(memtest).status, 'active')

    def refuse(self):
        with self._step('openstacksdk: an ISO that claims to be a qcow2 is refused'):
            image = self._sdk.image.create_image(
                'liar', disk_format='qcow2', container_format='bare', allow_duplicates=True)
            reply = self._sdk.image.put(f'/images/{image.id}/file', headers={
                'Content-Type': 'application/octet-stream',
            }, data=self._files['memtest86+'].path.read_bytes())
            same('status code', reply.status_code, 415)
            same('status', self._sdk.image.get_image(image.id).status, 'queued')
            self._sdk.image.delete_image(image.id)
        with self._step('openstack: a protected image cannot be deleted'):
            self._openstack('image', 'set', '--protected', self._ids['ipxe'])
            self._openstack('image', 'delete', self._ids['ipxe'], check=False)
            self._openstack('image', 'set', '--unprotected', self._ids['ipxe'])

    def delete(self):
        ids = list(self._ids.values())
        with self._step('openstack: delete two images'):
            self._openstack('image', 'delete', *ids[:2])
            said = self._openstack('image', 'show', ids[0], check=False)
            same('it is gone', 'No Image found' in said, True)
        with self._step('glance: delete two images'):
            self._glance('image-delete', *ids[2:4])
        with self._step('openstacksdk: delete the others; nothing is left'):
            for image_id in ids[4:]:
                self._sdk.image.delete_image(image_id, ignore_missing=False)
            same('images', list(self._sdk.image.images()), [])

    def _created(self, client, name, create):
        file = self._files[name]
        with self._step(f'{client}: create and upload {name} '
                        f'({file.disk_format}, {file.size / 1e6:.1f} MB)'):
            create(file)
            image = self._sdk.image.find_image(name, ignore_missing=False)
            self._ids[name] = image.id
            same('status', image.status, 'active')
            same('size', image.size, file.size)
            same('format', image.disk_format, file.disk_format)
            same('md5', image.checksum, file.digest('md5'))
            same('hash', image.hash_value, file.digest(image.hash_algo))

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
        same('bytes', images.File(name, '', path).digest('sha512'),
             self._files[name].digest('sha512'))
        path.unlink()


def main():
    parser = argparse.ArgumentParser(prog='make demo', description=__doc__)
    parser.add_argument('--url', help='use this server, which has no images yet; '
                        'without it one is started and ended')
    chosen = parser.parse_args()
    story = Story()
    with contextlib.ExitStack() as cleanup:
        folder = pathlib.Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        try:
            with story.step('Debian: find or download images that boot'):
                files = images.collect(folder)
            with story.step('glancelite-api: start with no configuration'):
                url = chosen.url or cleanup.enter_context(live.server()).url
                with urllib.request.urlopen(f'{url}/v2/images') as reply:
                    same('status', reply.status, 200)
            Demo(story, url, files, folder).run()
        except (Failed, images.Unavailable, process.DidNotStart) as error:
            print(f'\n{error}', file=sys.stderr)
            return 1
    story.end()
    return 0


sys.exit(main())
