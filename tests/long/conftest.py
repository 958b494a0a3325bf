"""What the long tests share: a data folder with the product's tables, made once for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.long.database_server import DatabaseServer, a_folder
from tests.long.installation import Installation


@pytest.fixture(scope="session")
def migrated() -> Iterator[Path]:
    """A folder with the data of a server that was migrated and stopped."""
    with a_folder() as folder:
        server = DatabaseServer(folder)
        server.make()
        server.start()
        try:
            Installation(folder, server.url).manage("migrate", "--verbosity=0")
        finally:
            server.end()
        yield folder


@pytest.fixture
def database(migrated: Path) -> Iterator[DatabaseServer]:
    """A server of this test's own, with the product's tables."""
    with a_folder() as folder:
        server = DatabaseServer(folder)
        server.copy(migrated)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def installation(database: DatabaseServer, tmp_path: Path) -> Iterator[Installation]:
    """The product on that server; nothing of it runs yet."""
    installation = Installation(tmp_path, database.url)
    try:
        yield installation
    finally:
        installation.end_all()
