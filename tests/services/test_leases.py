"""Leases are renewed while they are held."""

import dataclasses
import threading

from glancelite.services import recovery as recovery_module
from glancelite.services.leases import Leases
from glancelite.services.periodic import Periodic


def test_a_slow_sweep_does_not_delay_the_renewal_of_leases(core, monkeypatch):
    leases = Leases(core.layers.database, core.layers.host, seconds=0.04)
    slow, renewed = threading.Event(), threading.Event()
    monkeypatch.setattr(core.layers.database.images, 'unfinished', lambda **_: slow.wait() and ())
    monkeypatch.setattr(leases, 'renew', renewed.set)
    recovery = recovery_module.Recovery(dataclasses.replace(core.layers, leases=leases))
    leases._renewal = Periodic(leases.renew, leases.interval, 'renewal')

    recovery.start()
    leases.start()
    renewed.wait(5)
    renewed.clear()

    assert renewed.wait(5), 'the first sweep has not ended yet'
    slow.set()
    recovery.close()
    leases.close()
