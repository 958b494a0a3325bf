"""The example configuration of nginx, with a real nginx: no request is lost between it and gunicorn."""

from __future__ import annotations

import os
import random
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.long.database_server import DatabaseServer
from tests.long.installation import Browser, Installation
from tests.long.local_machine import ROOT, eventually
from tests.long.test_local_demo import free_port

CONFIGURATION = ROOT / "provisioning" / "deployment" / "nginx.conf"
# Seconds that an idle connection is kept: gunicorn's as the configuration says, both shortened alike.
NGINX_KEEPS, GUNICORN_KEEPS = 1, 3
PEOPLE, POSTS = 8, 40


def configuration() -> str:
    """The text of the example."""
    return CONFIGURATION.read_text()


def test_gunicorn_keeps_connections_longer_than_nginx_in_the_example() -> None:
    nginx = re.search(r"^\s+keepalive_timeout (\d+)s;", configuration(), re.MULTILINE)
    gunicorn = re.search(r"--keep-alive (\d+)", configuration())
    assert nginx
    assert gunicorn
    assert int(gunicorn[1]) >= 2 * int(nginx[1])


@pytest.fixture
def nginx(installation: Installation, tmp_path: Path) -> Iterator[Installation]:
    """The installation behind a real nginx with the example's configuration; its browsers ask nginx."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    installation.environment |= {"PROVISIONING_DEMO": "1", "BEHIND_PROXY": "true"}
    installation.start_web(
        *["--workers", "2", "--threads", "8", "--keep-alive", str(GUNICORN_KEEPS)],
        *["--max-requests", "100", "--max-requests-jitter", "20", "--graceful-timeout", "30"],
    )
    web_port, installation.port = installation.port, free_port()
    text = configuration().replace("listen 80;", f"listen 127.0.0.1:{installation.port};")
    text = text.replace("server 127.0.0.1:8000;", f"server 127.0.0.1:{web_port};")
    text = text.replace("keepalive_timeout 30s;", f"keepalive_timeout {NGINX_KEEPS}s;")
    text = text.replace("server_name setup.example.com;", "server_name localhost;")
    folders = "".join(
        f"{name}_temp_path {tmp_path}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = tmp_path / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    main.write_text(
        f"daemon off; {user} pid {tmp_path}/nginx.pid; error_log {tmp_path}/errors.log;"
        f"events {{}} http {{ access_log off; {folders} {text} }}"
    )
    installation.start("nginx", program, "-c", str(main), "-e", f"{tmp_path}/errors.log")
    eventually(installation.accepts, "nginx answers")
    yield installation
    installation.end("nginx")


def test_no_post_ends_in_a_502_while_connections_idle_and_workers_are_replaced(nginx: Installation) -> None:
    """People pause around the times at which either side gives an idle connection up."""

    def walk(number: int) -> Counter[int]:
        chance, found = random.Random(number), Counter[int]()
        browser = Browser(nginx)
        for _ in range(POSTS):
            page = browser.get("/sign-in/")
            token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
            fields = [("csrfmiddlewaretoken", token), ("email", f"person{number}@example.com")]
            found[page.status] += 1
            pause = chance.choice([0, 0, 0, NGINX_KEEPS, GUNICORN_KEEPS]) * chance.uniform(0.9, 1.1)
            threading.Event().wait(pause)
            found[browser.post("/sign-in/", fields).status] += 1
        return found

    with ThreadPoolExecutor(PEOPLE) as pool:
        found = sum(pool.map(walk, range(PEOPLE)), Counter[int]())
    assert found == {200: 2 * PEOPLE * POSTS}
    assert (nginx.folder / "errors.log").read_text().count("upstream") == 0


def test_the_products_own_503_comes_through(nginx: Installation, database: DatabaseServer) -> None:
    browser = Browser(nginx)
    page = browser.get("/sign-in/")
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    database.stop()
    lost = browser.post("/sign-in/", [("csrfmiddlewaretoken", token), ("email", "sam@partner.example")])
    assert (lost.status, lost.headers["Retry-After"]) == (503, "5")
    assert ("email", "sam@partner.example") in lost.fields()
    database.start()
    assert browser.send_again(lost).status == 200
