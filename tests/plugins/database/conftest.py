"""SQL databases for tests: one per backend and session, emptied before each test."""

import pytest
from oslo_config import cfg

from glancelite.plugins.database.sql import SQLDatabase
from glancelite.plugins.database.sql.connection import Connection

#: dependent tables first
TABLES = ('metadef_tags', 'metadef_objects', 'metadef_properties',
          'metadef_namespace_resource_types', 'metadef_namespaces', 'metadef_resource_types',
          'task_info', 'tasks', 'image_members', 'image_locations', 'image_tags',
          'image_properties', 'images')


@pytest.fixture
def make_sql(make_plugin):
    """Builds the plugin for a URL; options of ``[database]`` by name."""
    def make(url, **options):
        own = {opt.dest: options.pop(opt.dest) for opt in SQLDatabase.OPTS
               if opt.dest in options}
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        for register in SQLDatabase.LIBRARY_OPTS:
            register(conf)
        for name, value in {'connection': url, 'max_retries': 0, **options}.items():
            conf.set_override(name, value, 'database')
        return make_plugin(SQLDatabase, conf=conf, **own)
    return make


@pytest.fixture
def emptied(make_sql, synced):
    """Builds the plugin for a URL, with empty tables."""
    def make(url, **options):
        database = make_sql(url, **options)
        if url not in synced:
            database.sync()
            synced[url] = {}
        # compiling the same statements again for each test takes longer than running them
        database._engine._statements = synced[url].setdefault((*options.items(),), {})
        database._engine.transaction(
            lambda connection: [connection.execute(f'DELETE FROM {table}') for table in TABLES])
        return database
    return make


@pytest.fixture(scope='session')
def synced():
    """URLs of databases that have the tables -> options -> compiled statements."""
    return {}


@pytest.fixture(scope='session')
def one_postgres(postgres_url):
    return postgres_url()


@pytest.fixture(scope='session')
def one_mariadb(mariadb_url):
    return mariadb_url()


@pytest.fixture(scope='session')
def one_sqlite(tmp_path_factory):
    return f'sqlite:///{tmp_path_factory.mktemp("sqlite")}/test.sqlite'


@pytest.fixture
def statements(monkeypatch):
    """The statements that were executed; clear the list to begin anew."""
    seen = []
    for name in ('execute', 'execute_many'):
        inner = getattr(Connection, name)

        def counted(self, sql, *parameters, inner=inner):
            seen.append(sql)
            return inner(self, sql, *parameters)
        monkeypatch.setattr(Connection, name, counted)
    return seen
