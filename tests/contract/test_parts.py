"""The servers that the tests and the one-machine system start: each comes up, and goes."""

import psycopg

from hemaline_local.ports import answers
from parts.broker import BrokerPart
from parts.seaweedfs import SeaweedPart


def test_a_broker_comes_back_on_its_port_after_a_kill(any_broker: BrokerPart):
    any_broker.kill()
    assert not answers(any_broker.settings.port)
    any_broker.start()
    assert answers(any_broker.settings.port)


def test_a_fresh_database_has_no_table(empty_database_url: str):
    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute("select count(*) from pg_tables where schemaname = 'public'")
        assert tables.fetchone() == (0,)


def test_s3_listens_where_its_settings_say(seaweedfs: SeaweedPart):
    assert answers(int(seaweedfs.settings.endpoint.rpartition(":")[2]))
