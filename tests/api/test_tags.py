"""Operations on one tag."""


def tags(app, image):
    return app.get(f'/v2/images/{image}').json['tags']


def test_adding_a_tag_twice_changes_nothing(app, new):
    image = new()

    for _ in range(2):
        answer = app.put(f'/v2/images/{image}/tags/blue', status=204)

    assert answer.body == b''
    assert tags(app, image) == ['blue']


def test_a_tag_may_be_any_text_without_a_slash(app, new):
    image = new()

    app.put(f'/v2/images/{image}/tags/gr%C3%BCn%20%3F;v1.0', status=204)
    app.put(f'/v2/images/{image}/tags/a%2Fb', status=404)

    assert tags(app, image) == ['grün ?;v1.0']


def test_a_tag_can_be_removed_once(app, new):
    image = new(tags=['blue', 'red'])

    app.delete(f'/v2/images/{image}/tags/blue', status=204)
    app.delete(f'/v2/images/{image}/tags/blue', status=404)

    assert tags(app, image) == ['red']


def test_a_tag_has_at_most_255_characters(app, new):
    image = new()

    app.put(f'/v2/images/{image}/tags/{"%C3%BC" * 255}', status=204)
    app.put(f'/v2/images/{image}/tags/{"x" * 256}', status=400)


def test_tags_of_other_projects_cannot_be_changed(admin, other, new):
    image = new(visibility='private')
    public = admin.post_json('/v2/images', {'visibility': 'public'}).json['id']

    other.put(f'/v2/images/{image}/tags/t', status=404)
    other.put(f'/v2/images/{public}/tags/t', status=403)
