"""Users of two projects with several roles: visibility, rights, and errors."""

import pytest
from openstack import exceptions

from tests.clients import case

OWNER, MEMBER, READER, ADMIN = 'alpha-member', 'beta-member', 'beta-reader', 'alpha-admin'


class TestSharing(case.WithKeystone, case.Case):
    """The project alpha owns the images, beta is the other one."""

    def setUp(self):
        super().setUp()
        self.ours = self.service.sdk(OWNER).image
        self.theirs = self.service.sdk(MEMBER).image
        self.beta = self.service.keystone.projects['beta']
        self.data = case.random_data(10_000)
        self.image_id = self.image(self.data, visibility='shared')

    def listed(self, proxy, **query):
        return self.image_id in [image.id for image in proxy.images(**query)]

    def test_an_image_that_is_not_shared_is_invisible(self):
        assert not self.listed(self.theirs)
        with pytest.raises(exceptions.NotFoundException, match='No image found with ID'):
            self.theirs.get_image(self.image_id)
        with pytest.raises(exceptions.NotFoundException):
            self.theirs.download_image(self.image_id)

    def test_an_accepted_image_is_in_the_list_of_the_other_project(self):
        added = self.ours.add_member(self.image_id, member=self.beta)
        waiting = self.listed(self.theirs, visibility='shared', member_status='pending')
        self.theirs.update_member(self.beta, self.image_id, status='accepted')

        assert (added.member_id, added.status) == (self.beta, 'pending')
        assert waiting
        assert self.listed(self.theirs)
        assert self.theirs.download_image(self.image_id).content == self.data
        assert [member.status for member in self.ours.members(self.image_id)] == ['accepted']

    def test_a_pending_image_can_be_read_by_its_id_only(self):
        self.ours.add_member(self.image_id, member=self.beta)

        assert not self.listed(self.theirs)
        assert self.theirs.get_image(self.image_id).id == self.image_id
        assert self.theirs.download_image(self.image_id).content == self.data

    def test_a_rejected_image_is_not_listed(self):
        self.ours.add_member(self.image_id, member=self.beta)
        self.theirs.update_member(self.beta, self.image_id, status='accepted')

        self.theirs.update_member(self.beta, self.image_id, status='rejected')

        assert not self.listed(self.theirs)
        assert self.listed(self.theirs, visibility='shared', member_status='rejected')

    def test_a_removed_member_no_longer_sees_the_image(self):
        self.ours.add_member(self.image_id, member=self.beta)
        self.theirs.update_member(self.beta, self.image_id, status='accepted')

        self.ours.remove_member(self.beta, self.image_id)

        assert not self.listed(self.theirs)
        with pytest.raises(exceptions.NotFoundException):
            self.theirs.get_image(self.image_id)

    def test_only_the_member_accepts_and_only_the_owner_changes(self):
        self.ours.add_member(self.image_id, member=self.beta)

        with pytest.raises(exceptions.ForbiddenException):
            self.ours.update_member(self.beta, self.image_id, status='accepted')
        with pytest.raises(exceptions.ForbiddenException):
            self.theirs.update_image(self.image_id, name='stolen')
        with pytest.raises(exceptions.ForbiddenException):
            self.theirs.delete_image(self.image_id)
        with pytest.raises(exceptions.ForbiddenException):
            self.theirs.add_member(self.image_id, member=self.service.keystone.projects['alpha'])


class TestRoles(case.WithKeystone, case.Case):

    def sdk(self, user):
        return self.service.sdk(user).image

    def download(self, user, image_id):
        """Return the bare response; ``download_image`` would hash an error page."""
        return self.sdk(user).get(f'/images/{image_id}/file')

    def test_a_reader_sees_images_but_cannot_change_or_download_them(self):
        image_id = self.image(b'data')
        reader = self.sdk('alpha-reader')

        assert reader.get_image(image_id).status == 'active'
        assert image_id in [image.id for image in reader.images()]
        for refused in (lambda: reader.create_image('mine', disk_format='raw', data=b'x',
                                                    allow_duplicates=True),
                        lambda: reader.update_image(image_id, name='other'),
                        lambda: reader.delete_image(image_id)):
            with pytest.raises(exceptions.ForbiddenException):
                refused()
        assert self.download('alpha-reader', image_id).status_code == 403
        assert reader.put(f'/images/{image_id}/tags/x').status_code == 403
        assert reader.post(f'/images/{image_id}/actions/deactivate').status_code == 403

    def test_only_an_administrator_may_publish(self):
        image_id = self.image(b'data')

        with pytest.raises(exceptions.ForbiddenException):
            self.sdk(OWNER).update_image(image_id, visibility='public')
        before = image_id in [image.id for image in self.sdk(READER).images()]
        self.sdk(ADMIN).update_image(image_id, visibility='public')
        self.addCleanup(self.remove, image_id, ADMIN)

        assert not before
        assert image_id in [image.id for image in self.sdk(READER).images(visibility='public')]
        assert self.sdk(MEMBER).download_image(image_id).content == b'data'
        assert self.download(READER, image_id).status_code == 403

    def test_a_community_image_is_listed_only_on_request(self):
        image_id = self.image(b'data', visibility='community')
        others = self.sdk(MEMBER)

        assert image_id not in [image.id for image in others.images()]
        assert image_id in [image.id for image in others.images(visibility='community')]
        assert others.download_image(image_id).content == b'data'

    def test_an_administrator_may_manage_images_of_all_projects(self):
        image_id = self.image(b'data')
        admin = self.sdk('beta-admin')

        admin.update_image(image_id, owner=self.service.keystone.projects['beta'])

        assert self.sdk(MEMBER).get_image(image_id).owner == \
            self.service.keystone.projects['beta']
        assert self.sdk(OWNER).find_image(image_id) is None
        admin.delete_image(image_id)

    def test_only_administrators_may_download_a_deactivated_image(self):
        image_id = self.image(b'data')
        self.sdk(ADMIN).deactivate_image(image_id)

        refused = self.download(OWNER, image_id)

        assert refused.status_code == 403
        assert 'has been deactivated' in refused.text
        assert self.sdk(ADMIN).download_image(image_id).content == b'data'


class TestIdentity(case.WithKeystone, case.Case):

    def test_a_revoked_token_is_refused(self):
        keystone = self.service.keystone
        token = keystone.token(OWNER)
        self.service.sdk(OWNER).session.delete(
            f'{keystone.url}/auth/tokens', headers={'X-Subject-Token': token})

        reply = self.request('GET', '/v2/images', token=token)

        assert reply.status == 401
        assert reply.getheader('WWW-Authenticate') == f'Keystone uri="{keystone.url}"'

    def test_an_invalid_token_is_refused_with_a_message(self):
        with pytest.raises(exceptions.HttpException, match='requires authentication') as refused:
            list(self.service.sdk(token='gAAAAA-none').image.images())

        assert refused.value.status_code == 401

    def test_an_image_belongs_to_the_project_of_its_creator(self):
        image = self.service.sdk(MEMBER).image.get_image(self.image(user=MEMBER))

        assert image.owner == self.service.keystone.projects['beta']

    def test_only_public_paths_require_no_token(self):
        for path, status in (('/', 300), ('/versions', 200), ('/healthcheck', 200),
                             ('/v2/images', 401), ('/v2/schemas/image', 401)):
            reply = self.request('GET', path, token='')
            assert reply.status == status, path
