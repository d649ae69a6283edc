"""Leases are renewed while they are held."""

import dataclasses
import datetime
import threading

import pytest

from glancelite.services.leases import Leases
from glancelite.services.periodic import Periodic
from glancelite.services.recovery import Recovery


@pytest.fixture
def renewed(core, reread, expire):
    """Return whether ``renew`` renews the expired lease of an image."""
    def renew(image):
        expire(image)
        core.layers.leases.renew()
        return reread(image).lease_until > core.layers.host.now()
    return renew


@pytest.fixture
def saving(core, queued):
    return core.layers.database.images.update(queued(), {'status': 'saving'})


def test_a_lease_is_renewed_only_while_it_is_held(core, saving, renewed):
    assert not renewed(saving)
    with core.layers.leases.hold(saving):
        assert renewed(saving)
    assert not renewed(saving)


def test_a_lease_that_is_held_twice_is_renewed_until_both_have_ended(core, saving, renewed):
    with core.layers.leases.hold(saving):
        with core.layers.leases.hold(saving):
            assert renewed(saving)
        assert renewed(saving)
    assert not renewed(saving)


def test_a_lease_is_not_held_after_an_exception(core, saving, renewed):
    with pytest.raises(ZeroDivisionError), core.layers.leases.hold(saving):
        raise ZeroDivisionError
    assert not renewed(saving)


def test_the_lease_is_renewed_during_the_upload(core, ctx, queued, reread, expire):
    image, leases = queued(), []

    def source():
        yield b'some'
        expire(image)
        core.layers.leases.renew()
        leases.append(reread(image).lease_until)
        yield b'more'

    core.use_cases.uploads.receive(ctx, image.id, source())

    assert leases[0] > core.layers.host.now()


def test_a_lease_is_renewed_four_times_before_it_expires(core):
    leases = Leases(core.layers.database, core.layers.host, seconds=120)

    assert leases.interval == 30
    assert leases.duration == datetime.timedelta(seconds=120)


def test_a_slow_sweep_does_not_delay_the_renewal_of_leases(core, monkeypatch):
    leases = Leases(core.layers.database, core.layers.host, seconds=0.04)
    release, renewed = threading.Event(), threading.Event()
    monkeypatch.setattr(core.layers.database.images, 'unfinished',
                        lambda **_: release.wait() and ())
    monkeypatch.setattr(leases, 'renew', renewed.set)
    recovery = Recovery(dataclasses.replace(core.layers, leases=leases))
    leases._renewal = Periodic(leases.renew, leases.interval, 'renewal')

    recovery.start()
    leases.start()
    renewed.wait(5)
    renewed.clear()

    assert renewed.wait(5), 'the first sweep has not ended yet'
    release.set()
    recovery.close()
    leases.close()
