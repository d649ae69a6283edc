"""Imports whose tasks travel through RabbitMQ, with workers and brokers that go away."""

import random
import time

import pytest

from tests.durability import cluster as clusters
from tests.durability import imports, small_imports
from tests.durability.moments import Hold, Moments, kills

PHASES = imports.METHODS['web-download']


@pytest.fixture(scope='module')
def celery_cluster(run_server, postgres_url, rabbitmq_broker):
    with clusters.running(
            run_server, postgres_url(), workers=2, layers={'executor': 'celery'},
            DEFAULT={'transport_url': rabbitmq_broker.url},
            **{'executor:celery': {'poll_interval': 0.2}}) as running:
        yield running


@pytest.fixture
def cluster(celery_cluster, rabbitmq):
    celery_cluster.start()
    return celery_cluster


@pytest.fixture
def calm_cluster(celery_cluster, rabbitmq):
    celery_cluster.start(worker={'lease': 60})
    return celery_cluster


@pytest.mark.long
def test_many_imports_at_once_end_and_none_runs_twice(calm_cluster, small):
    image_ids = small_imports.begin(calm_cluster, small.url, 200)

    small_imports.succeeded(calm_cluster, image_ids)

    calm_cluster.check_clean()


@pytest.mark.long
def test_many_imports_end_although_workers_are_killed_all_the_time(cluster, small, capsys):
    rng, killed = random.Random(200), []
    image_ids = small_imports.begin(cluster, small.url, 200)

    def kill():
        worker = rng.choice(cluster.workers)
        if worker.runs and worker.is_ready and len(killed) < 20:
            time.sleep(rng.uniform(0, 0.5))
            worker.kill()
            killed.append(worker)
        worker.start()

    small_imports.succeeded(cluster, image_ids, once=False, meanwhile=kill)

    cluster.check_clean()
    attempts = cluster.rows('SELECT attempt FROM tasks WHERE image_id IN '
                            f'({small_imports.listed(image_ids)})')
    with capsys.disabled():
        print(f'\n{len(killed)} workers killed, {sum(row[0] > 1 for row in attempts)} of 200 '
              'imports continued by another')
    assert len(killed) > 3


@pytest.mark.parametrize(('phases', 'seeds'), [
    (['store'], range(1)), pytest.param(PHASES, range(1, 21), marks=pytest.mark.long)])
def test_an_import_whose_workers_are_killed_succeeds(cluster, web, phases, seeds):
    for seed in seeds:
        print(f'seed {seed}')
        watch = Moments(dict.fromkeys(phases, 0), kills(f'celery {seed}'))

        cluster.succeeded(imports.begin(cluster, 'web-download', web, watch), imports.DATA)

        assert sorted(watch.done) == sorted(phases)


@pytest.mark.long
def test_imports_go_on_while_the_broker_is_away_and_others_when_it_is_back(
        cluster, web, small, rabbitmq):
    hold = Hold()
    watch = Moments({'fetch': 0}, hold)
    task_id = imports.begin(cluster, 'web-download', web, watch)
    hold.wait()

    rabbitmq.stop()
    hold.release()
    waiting = small_imports.begin(cluster, small.url, 2)
    assert cluster.finished(task_id)['status'] == 'success'
    time.sleep(30)
    assert {cluster.task_of(image_id)['status'] for image_id in waiting} == {'pending'}
    rabbitmq.start()

    small_imports.succeeded(cluster, waiting)
    cluster.check_clean()
