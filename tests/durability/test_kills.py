"""An import succeeds, and leaves nothing, whenever the process that runs it is killed."""

import random

import pytest

from tests.durability import imports
from tests.durability.cluster import MIB
from tests.durability.moments import Moments, kills

SEEDS = 20
PHASES = [(method, phase) for method, phases in imports.METHODS.items() for phase in phases]


def starts(web):
    """Return where each request to the web server begins."""
    return [int(request.get('range', 'bytes=0-')[6:-1]) for request in web.requests]


@pytest.mark.parametrize(('method', 'phases'), [
    ('glance-direct', ('fetch', 'store')),      # the others are those of web-download
    ('web-download', imports.METHODS['web-download']),
    ('copy-image', imports.METHODS['copy-image'])])
def test_an_import_that_is_killed_in_each_phase_succeeds(cluster, web, sizes, method, phases):
    rng = random.Random(method)
    # less passes in a phase that another process has begun
    plan = {phase: rng.randrange(size // 4) for phase, size in sizes[method].items()
            if phase in phases}
    if method == 'web-download':
        plan['fetch'] = sizes[method]['fetch'] * 3 // 4
    watch = Moments(plan, kills(method))

    cluster.succeeded(imports.begin(cluster, method, web, watch), imports.DATA)

    assert sorted(watch.done) == sorted(phases)
    if method == 'web-download':
        check_requests(web, watch)
        assert starts(web)[-1] >= MIB


def check_requests(web, watch):
    """Each download has gone on behind the last part that was staged."""
    assert starts(web) == sorted(starts(web))
    assert set(starts(web)) <= set(watch.claims)


@pytest.mark.long
@pytest.mark.parametrize(('method', 'phase'), PHASES)
def test_an_import_that_is_killed_at_a_random_moment_of_a_phase_succeeds(
        cluster, web, sizes, method, phase):
    went_on = False
    for seed in range(SEEDS):
        print(f'seed {seed}')
        moment = random.Random(f'{method} {phase} {seed}').randrange(sizes[method][phase])
        watch = Moments({phase: moment}, kills(f'{method} {phase} {seed}'))
        web.requests.clear()

        cluster.succeeded(imports.begin(cluster, method, web, watch), imports.DATA)

        if method == 'web-download':
            check_requests(web, watch)
            went_on |= starts(web)[-1] > 0
    assert went_on == (method == 'web-download' and phase == 'fetch')
