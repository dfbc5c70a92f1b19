"""Redis as it stands in production, from the server of the wheel: a cluster of three with replicas, or Sentinel's trio.

Everything is told to each server at its start instead of found out by it, so a set stands within a second or two. Times
after which a server counts as dead are a second.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from bot.adapters.embedded import redis_binary
from tests.acceptance.world import PATIENCE, free_port, is_free

DEAD_AFTER_MS = 1000
MASTERS = 3
SLOTS = 16384
BUS = 10_000
"""What Redis adds to a node's port for the talk between the nodes."""
FIRST_OUTGOING = 32_768
"""Where the system's ports for outgoing connections begin."""
SERVICE = "main"


class Server:
    """One process on a port of loopback; killed as often as one likes, and started again."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        self.port = port
        self.folder = folder / str(port)
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen([redis_binary(), *self._line()], stdout=subprocess.DEVNULL)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, *words: Any) -> Any:
        with Redis(port=self.port, decode_responses=True, socket_timeout=5.0) as client:
            return client.execute_command(*words)

    def answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except RedisError:
            return False

    def _line(self) -> list[str]:
        basic = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        return [*basic, "--logfile", str(self.folder / "log"), *self._arguments]


class Watchman(Server):
    """A sentinel."""

    def __init__(self, folder: Path, port: int, configuration: str) -> None:
        super().__init__(folder, port)
        self._configuration = configuration

    def _line(self) -> list[str]:
        file = self.folder / "sentinel.conf"
        file.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nlogfile {self.folder / 'log'}\n")
        with file.open("a") as lines:
            lines.write(self._configuration)
        return [str(file), "--sentinel"]


class Watched:
    """A master with a replica, and three sentinels that promote the replica when the master is gone."""

    def __init__(self, folder: Path) -> None:
        ports = [free_port() for _ in range(5)]
        usual = ("--repl-ping-replica-period", "1", "--repl-diskless-sync-delay", "0")
        self.first = Server(folder, ports[0], *usual)
        self.second = Server(folder, ports[1], *usual, "--replicaof", "127.0.0.1", str(ports[0]))
        self.sentinels = [Watchman(folder, port, _watching(port, ports[2:], ports[0], ports[1])) for port in ports[2:]]
        self.url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports[2:])}/{SERVICE}/0"

    def servers(self) -> list[Server]:
        return [self.first, self.second, *self.sentinels]

    def start(self) -> None:
        for server in self.servers():
            server.start()
        for server in self.servers():
            wait_for(server.answers, f"the server on port {server.port} answers")
        wait_for(lambda: "master_link_status:up" in replication(self.second), "the replica has its master's data")
        wait_for(lambda: all(map(self._ready, self.sentinels)), "the sentinels see each other and the replica")

    def master(self) -> Server:
        """The master as the sentinels see it now."""
        port = int(self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        return next(server for server in (self.first, self.second) if server.port == port)

    def healthy(self) -> bool:
        """There is a master that answers, with a replica that has its data."""
        pair = {replication(self.first).count("role:master"), replication(self.second).count("role:master")}
        linked = any("master_link_status:up" in replication(server) for server in (self.first, self.second))
        return pair == {0, 1} and linked and all(map(self._ready, self.sentinels))

    def rejoin(self, lost: Server) -> None:
        """Make a former master a replica; the sentinels would do that, too, but after ten seconds."""
        wait_for(lost.answers, f"the server on port {lost.port} answers")
        lost.ask("REPLICAOF", "127.0.0.1", self.master().port)

    def name(self, master: Server) -> None:
        """Tell the sentinels which server is the master, without anything else that belongs to a failover."""
        for sentinel in self.sentinels:
            sentinel.ask("SENTINEL", "REMOVE", SERVICE)
            sentinel.ask("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", master.port, 2)

    def flush(self) -> None:
        self.master().ask("FLUSHALL")

    def _ready(self, sentinel: Server) -> bool:
        """It may lead a failover: enough others, and a replica that it has heard of."""
        heard = "'master-link-status': 'ok'" in str(_tried(sentinel, "SENTINEL", "REPLICAS", SERVICE))
        return heard and "usable" in str(_tried(sentinel, "SENTINEL", "CKQUORUM", SERVICE))


class Clustered:
    """Three masters with a replica each."""

    def __init__(self, folder: Path) -> None:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(DEAD_AFTER_MS)]
        options += ["--cluster-replica-validity-factor", "0", "--repl-ping-replica-period", "1"]
        options += ["--repl-diskless-sync-delay", "0"]
        self.nodes = [Server(folder, _node_port(), *options) for _ in range(2 * MASTERS)]
        self.masters, self.replicas = self.nodes[:MASTERS], self.nodes[MASTERS:]
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes[:2])}"

    def servers(self) -> list[Server]:
        return self.nodes

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for place, node in enumerate(self.nodes):
            wait_for(node.answers, f"the node on port {node.port} answers")
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port)
        for place, master in enumerate(self.masters):
            first, end = place * SLOTS // MASTERS, (place + 1) * SLOTS // MASTERS
            master.ask("CLUSTER", "ADDSLOTS", *range(first, end))
        wait_for(lambda: all(self._knows_all(node) for node in self.nodes), "the nodes know each other")
        for master, replica in zip(self.masters, self.replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", master.ask("CLUSTER", "MYID"))
        wait_for(self.healthy, "the cluster is whole")

    def healthy(self) -> bool:
        """Every slot has a master that answers, and every replica its master's data."""
        return all(
            "cluster_state:ok" in str(_tried(node, "CLUSTER", "INFO"))
            and "master_link_status:down" not in replication(node)
            and str(_tried(self.nodes[0], "CLUSTER", "NODES")).count(" slave ") == MASTERS
            for node in self.nodes
        )

    def rejoin(self, lost: Server) -> None:
        """A former master finds out by itself that it is a replica now."""
        wait_for(lost.answers, f"the server on port {lost.port} answers")

    def flush(self) -> None:
        for master in self.masters_now():
            master.ask("FLUSHALL")

    def masters_now(self) -> list[Server]:
        """The owners of slots, as a node that lives sees it."""
        ports = {entry[2][1] for entry in self._slots()}
        return [node for node in self.nodes if node.port in ports]

    def owner(self, key: str) -> Server:
        """The master of a key, as a node that lives sees it."""
        slot = int(self._living().ask("CLUSTER", "KEYSLOT", key))
        port = next(master[1] for first, last, master, *_ in self._slots() if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    def _slots(self) -> list[Any]:
        found: list[Any] = self._living().ask("CLUSTER", "SLOTS")
        return found

    def _living(self) -> Server:
        return next(node for node in self.nodes if node.answers())

    def _knows_all(self, node: Server) -> bool:
        return f"cluster_known_nodes:{len(self.nodes)}" in str(_tried(node, "CLUSTER", "INFO"))


@contextmanager
def standing(servers: Watched | Clustered) -> Iterator[None]:
    """They run inside, and nothing of them outlives it."""
    try:
        servers.start()
        yield
    finally:
        for server in servers.servers():
            server.kill()


def replication(server: Server) -> str:
    with suppress(RedisError), Redis(port=server.port, socket_timeout=5.0) as client:
        return "".join(f"{name}:{value}\n" for name, value in client.info("replication").items())
    return "master_link_status:down"


def wait_for(holds: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"did not come true: {what}"
        time.sleep(0.01)


def _tried(server: Server, *words: Any) -> Any:
    try:
        return server.ask(*words)
    except RedisError as error:
        return str(error)


def _watching(port: int, sentinels: list[int], master: int, replica: int) -> str:
    """The configuration of one sentinel that knows everybody from the start."""
    lines = [
        f"sentinel myid {_identity(port)}",
        f"sentinel monitor {SERVICE} 127.0.0.1 {master} 2",
        f"sentinel down-after-milliseconds {SERVICE} {DEAD_AFTER_MS}",
        f"sentinel failover-timeout {SERVICE} 2000",
        f"sentinel known-replica {SERVICE} 127.0.0.1 {replica}",
    ]
    lines += [
        f"sentinel known-sentinel {SERVICE} 127.0.0.1 {other} {_identity(other)}"
        for other in sentinels
        if other != port
    ]
    return "\n".join(lines) + "\n"


def _identity(port: int) -> str:
    return f"{port:040x}"


def _node_port() -> int:
    while True:
        port = free_port()
        if port + BUS < FIRST_OUTGOING and is_free(port + BUS):
            return port
