"""Hosts as network namespaces of this machine, on one bridge: each with its own address, folder and processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NET = "10.77.0"
_BRIDGE = "spbr0"


def why_not() -> str:
    """Return why this machine can't make hosts, or ""."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if shutil.which("ip") is None:
        return "the program ip is not installed (apt install iproute2)"
    tried = subprocess.run(["ip", "netns", "add", "sp-probe"], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", "sp-probe"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespace can be made here: {tried.stderr.strip()}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Host:
    """One machine: ``name``, ``address`` and ``folder``. Nothing but the network leads from one to another."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name, self.address, self.folder = name, f"{NET}.{number}", folder / name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.space, self.cable = f"sp-{name}", f"spv{number}"
        self.running: list[subprocess.Popen[bytes]] = []

    def make(self) -> None:
        """Make the namespace and plug its cable in."""
        _run("ip", "netns", "add", self.space)
        _run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.space)
        _run("ip", "link", "set", self.cable, "master", _BRIDGE, "up")
        self.inside("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "link", "set", "lo", "up")

    def inside(self, *command: str) -> None:
        """Run a command on this host to its end."""
        _run("ip", "netns", "exec", self.space, *command)

    def start(self, command: list[str], environment: dict[str, str], *, cwd: Path | str = "/") -> None:
        """Start a process on this host, in a group of its own; what it writes is in the folder's ``log``."""
        with (self.folder / "log").open("ab") as log:
            self.running.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", self.space, *command],
                    env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )
            )  # fmt: skip

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to everything that runs on this host."""
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, number)

    def kill(self) -> None:
        """Switch the power off."""
        self.signal(signal.SIGKILL)
        for process in self.running:
            process.wait()
        self.running.clear()

    def freeze(self) -> None:
        """Stop everything in the middle of what it does."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let everything go on."""
        self.signal(signal.SIGCONT)

    def end(self) -> None:
        """Shut down in order."""
        self.signal(signal.SIGTERM)
        for process in self.running:
            process.wait(60)
        self.running.clear()

    def cut_off(self) -> None:
        """Pull the cable: what is sent gets lost, and nobody is told."""
        _run("ip", "link", "set", self.cable, "down")

    def rejoin(self) -> None:
        """Plug the cable in again."""
        _run("ip", "link", "set", self.cable, "up")

    def take(self, address: str) -> None:
        """Answer to one more address; the neighbours have to ``forget`` who had it."""
        self.inside("ip", "addr", "add", f"{address}/24", "dev", "eth0")

    def forget(self, address: str) -> None:
        """Forget what this host knows of a neighbour's hardware address."""
        subprocess.run(
            ["ip", "netns", "exec", self.space, "ip", "neigh", "flush", "to", address], check=False, capture_output=True
        )


def forget(address: str) -> None:
    """Forget what this machine knows of the hardware address of a host."""
    subprocess.run(["ip", "neigh", "flush", "to", address], check=False, capture_output=True)


@contextmanager
def network(folder: Path, names: list[str]) -> Iterator[dict[str, Host]]:
    """Make a bridge and these hosts; this machine has the address ``10.77.0.1`` on it."""
    hosts = {name: Host(name, number, folder) for number, name in enumerate(names, start=11)}
    _tear_down(hosts)
    try:
        _run("ip", "link", "add", _BRIDGE, "type", "bridge")
        _run("ip", "addr", "add", f"{NET}.1/24", "dev", _BRIDGE)
        _run("ip", "link", "set", _BRIDGE, "up")
        for host in hosts.values():
            host.make()
        yield hosts
    finally:
        for host in hosts.values():
            host.signal(signal.SIGCONT)
            host.kill()
        _tear_down(hosts)


def _tear_down(hosts: dict[str, Host]) -> None:
    for host in hosts.values():
        subprocess.run(["ip", "netns", "del", host.space], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True, check=False)
