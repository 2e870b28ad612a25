"""The parts of the stack: what each needs, how it is made ready, and which port it usually has."""

import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from local_stack import java, kafka, openid, postgres, services, zipkin
from local_stack.ports import Ports, is_free
from local_stack.processes import Command
from local_stack.services import GATEWAYS, SERVICES, Site
from local_stack.supervisor import Part
from local_stack.trouble import Trouble
from local_stack.vault import Vault

_USUAL = {
    "gateway-1": 8080, "gateway-2": 8081, "gateway-1-operations": 8090, "gateway-2-operations": 8091,
    "consent": 8101, "directory": 8102, "logbook": 8103, "notify": 8104, "police": 8110,
    "postgres": 5432, "kafka": 9092, "kafka-controller": 9093, "kafka-agency": 9094, "zipkin": 9411, "mailbox": 1025,
    "witness": 8070, "register": 8071,
}  # fmt: skip
_ISSUER_PORTS = range(20_000, 32_000)


def site(root: Path, state: Path, ports: Ports) -> Site:
    """Find a free port for everything, and open the vault. The ports are reserved as long as `ports` lives."""
    vault = Vault(state / "secrets")
    _issuer_port(state / "issuer-port", ports)
    for name, usual in _USUAL.items():
        ports.find(name, usual)
    return Site(root, state, ports.given, vault)


def _issuer_port(kept: Path, ports: Ports) -> None:
    """The OpenID provider's port. It is part of the issuers' names, which staff's logins are tied to in `directory`:
    so it is found once, where nobody usually is, and kept with the data. Trouble if somebody has taken it since.
    """
    if kept.exists():
        port = int(kept.read_text())
        if not ports.take("openid", port):
            raise Trouble(
                f"Port {port} is taken. The staff's logins are tied to the OpenID provider's address there: "
                "free the port, or begin anew with `make clean`."
            )
        return
    for port in random.sample(_ISSUER_PORTS, 100):
        if ports.take("openid", port):
            kept.write_text(str(port))
            return
    raise Trouble("No free port for the OpenID provider.")


def parts(site: Site, compiled: Callable[[], None]) -> list[Part]:
    """All of them, in the order in which they are shown. The services wait until `compiled` returns."""
    return [*_brought(site), *_own(site, compiled)]


def _brought(site: Site) -> list[Part]:
    """What others have made: PostgreSQL, Kafka, the OpenID provider, Zipkin."""
    state, vault = site.state, site.vault
    superuser = postgres.url(postgres.SUPERUSER, vault.word("postgres"), site.ports["postgres"], "postgres")
    doors = kafka.Doors(site.ports["kafka"], site.ports["kafka-agency"], site.ports["kafka-controller"])
    one_at_a_time = threading.Lock()

    def jars(part: str) -> list[Path]:
        with one_at_a_time:
            java.prepare(state)
        return java.fetch(state, part)

    def make_postgres() -> Command:
        postgres.make(state / "postgres", vault.word("postgres"))
        return postgres.command(state / "postgres", site.ports["postgres"], site.log("postgres"))

    def make_databases() -> None:
        postgres.bring_in_line(superuser, {name: vault.word(f"database-{name}") for name in services.databases()})

    def make_kafka() -> Command:
        found = jars("kafka")
        kafka.prepare(state, doors, vault.word("kafka-admin"), found)
        return kafka.command(state, found, site.log("kafka"))

    def make_openid() -> Command:
        return openid.command(state, jars("openid"), site.ports["openid"], site.district, site.log("openid"))

    def make_zipkin() -> Command:
        return zipkin.command(state, jars("zipkin"), site.ports["zipkin"], site.log("zipkin"))

    return [
        Part(
            "postgres", make_postgres, lambda: postgres.answers(superuser), after=make_databases,
            asks=signal.SIGINT, last=True,
        ),
        Part("kafka", make_kafka, lambda: kafka.answers(doors.agency), patience=120, grace=30, last=True),
        Part("openid", make_openid, lambda: openid.answers(site.ports["openid"]), grace=30),
        Part("zipkin", make_zipkin, lambda: services.answers(f"{site.url('zipkin')}/health"), grace=30),
    ]  # fmt: skip


def _own(site: Site, compiled: Callable[[], None]) -> list[Part]:
    """What is ours: mailbox, witness, provisioner, the services, the gateway twice, and the example agency."""
    done = services.provisioned(site)

    def make_provisioner() -> Command:
        done.unlink(missing_ok=True)
        return services.provisioner(site)

    def calling(make: Callable[[Site, str], Command], name: str) -> Callable[[], Command]:
        def made() -> Command:
            compiled()
            return make(site, name)

        return made

    needs = ("postgres", "provisioner")
    found = [
        Part("mailbox", lambda: services.mailbox(site), lambda: _accepts(site.ports["mailbox"])),
        Part("witness", lambda: services.witness(site), lambda: _accepts(site.ports["witness"])),
        Part("provisioner", make_provisioner, done.exists, needs=("kafka",)),
    ]
    for name in SERVICES:
        found += [Part(name, calling(services.service, name), _ready(site.url(name)), needs)]
    for replica in GATEWAYS:
        operations = site.url(f"{replica}-operations")
        found.append(Part(replica, calling(services.gateway, replica), _ready(operations), needs))
    alive = f"{site.url('police')}/live"
    return [*found, Part("police", lambda: services.police(site), lambda: services.answers(alive), ("gateway-1",))]


def _ready(address: str) -> Callable[[], bool]:
    return lambda: services.answers(f"{address}/ready")


def _accepts(port: int) -> bool:
    return not is_free(port)
