"""Apache Kafka in one process (KRaft), closed by default: SCRAM everywhere, an authorizer, no topic made by use."""

import socket
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack import java
from local_stack.ports import LOOPBACK
from local_stack.processes import Command
from local_stack.trouble import Trouble

ADMIN = "admin"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_LOG4J = """\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
"""
# An agency's wrong password or a topic that is not there yet is no warning of the broker's.


@dataclass(frozen=True, slots=True)
class Doors:
    """The ports: for our own services, for the agencies, and the controller's own."""

    internal: int
    agency: int
    controller: int


def properties(doors: Doors, password: str, data: str, *, bind: str = LOOPBACK) -> str:
    """`server.properties`. The broker's own user is the only one who is asked nothing."""
    jaas = f'{_SCRAM} required username="{ADMIN}" password="{password}";'
    controller = f'{_PLAIN} required username="{ADMIN}" password="{password}" user_{ADMIN}="{password}";'
    listeners = {"INTERNAL": doors.internal, "AGENCY": doors.agency}
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        # Voters by configuration, not by metadata: the ports may be others at the next start.
        "controller.quorum.voters": f"1@{LOOPBACK}:{doors.controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join(f"{name}://{bind}:{port}" for name, port in listeners.items())
        + f",CONTROLLER://{LOOPBACK}:{doors.controller}",
        "advertised.listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items()),
        "listener.security.protocol.map": "INTERNAL:SASL_PLAINTEXT,AGENCY:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
        "inter.broker.listener.name": "INTERNAL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.internal.scram-sha-512.sasl.jaas.config": jaas,
        "listener.name.agency.scram-sha-512.sasl.jaas.config": jaas,
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": controller,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN}",
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "log.dirs": data,
        "log.segment.bytes": str(64 * 2**20),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # A single broker that starts after SIGKILL must not wait for its own old session to run out.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def prepare(state: Path, doors: Doors, password: str, jars: Sequence[Path]) -> None:
    """Write the settings for these ports, and format the storage with the admin's user unless that was done."""
    folder = state / "kafka"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = folder / "server.properties"
    settings.touch(mode=0o600)
    settings.write_text(properties(doors, password, "kafka/data"))
    (folder / "log4j2.properties").write_text(_LOG4J)
    if (folder / "data" / "meta.properties").exists():
        return
    command = [
        *java.command(state, jars, "kafka.tools.StorageTool", heap="96m", options=_options(), stays=False),
        "format", "-t", "SamloggOneMachine00000", "-c", "kafka/server.properties",
        "--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={password}]",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=state, env=java.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
    )  # fmt: skip
    if done.returncode != 0:
        said = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\tat "))
        raise Trouble(f"Kafka's storage could not be formatted:\n{said}")


def command(state: Path, jars: Sequence[Path], log: Path, *, heap: str = "320m") -> Command:
    """How to start the broker."""
    argv = [*java.command(state, jars, "kafka.Kafka", heap=heap, options=_options()), "kafka/server.properties"]
    return Command(argv, state, java.environment(), log)


def _options() -> list[str]:
    return ["-Dlog4j2.configurationFile=kafka/log4j2.properties", "-Xss512k", "-XX:MaxMetaspaceSize=128m"]


def answers(port: int) -> bool:
    """The broker serves requests: it answers ApiVersions (api key 18, version 0), which needs no user."""
    request = struct.pack(">hhih", 18, 0, 7, 7) + b"samlogg"
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.settimeout(1)
            connection.sendall(struct.pack(">i", len(request)) + request)
            return connection.recv(8, socket.MSG_WAITALL)[4:] == struct.pack(">i", 7)
    except OSError:
        return False
