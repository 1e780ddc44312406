"""PostgreSQL's own ground: a server that is not there, or goes away and comes back."""

import socket

import pytest

from aldgate.core.errors import StoreUnavailable
from aldgate.store.stores import open_url

from .rows import KEY, ROW

on_postgres = pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)


async def test_no_server_is_unavailable():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        store = open_url(f"postgresql://nobody@127.0.0.1:{bound.getsockname()[1]}/none", "one")
        with pytest.raises(StoreUnavailable) as caught:
            await store.open()
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        await store.aclose()


@on_postgres
async def test_no_such_database_is_unavailable(url: str):
    store = open_url(url + "-missing", "one")
    with pytest.raises(StoreUnavailable):
        await store.open()
    await store.aclose()


@on_postgres
async def test_connections_the_server_dropped_are_replaced(url: str):
    store = open_url(url, "one")
    other = open_url(url, "two")
    await store.open()
    await other.open()
    await store.add_key(KEY, b"digest")
    async with other._database.write() as connection:
        await connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert await store.get_key("key-1") == KEY
    await store.record([ROW], [])
    await store.aclose()
    await other.aclose()
