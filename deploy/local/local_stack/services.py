"""The five services, the provisioner and the example agency as processes: what each is told, and its secrets."""

import base64
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_stack import kafka, ledger, openid, postgres
from local_stack.ports import LOOPBACK
from local_stack.processes import Command
from local_stack.vault import Vault, write_private_bytes

SERVICES = ("consent", "directory", "logbook", "notify")
GATEWAYS = ("gateway-1", "gateway-2")
KEYED = ("consent", "logbook", "notify")
KAFKA_USERS = (*SERVICES, "gateway", "operator")
POLICE_CLIENT = "police-district"  # the example agency's id in the district that the story loads
_KEPT = ("PATH", "HOME", "USER", "TZ", "TMPDIR")


def databases() -> list[str]:
    """Every database, each with a role of the same name: wrapped keys live apart from what they open."""
    return [*SERVICES, "gateway", *(f"{name}_keys" for name in KEYED)]


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything is: folders, ports by name, and the secrets."""

    root: Path
    state: Path
    ports: Mapping[str, int]
    vault: Vault

    def url(self, name: str) -> str:
        """The address of a part that speaks HTTP."""
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def database(self, name: str, *, driver: str = "postgresql+asyncpg") -> str:
        """The URL of a database for its own role."""
        return postgres.url(name, self.vault.word(f"database-{name}"), self.ports["postgres"], name, driver=driver)

    @property
    def bootstrap(self) -> str:
        """Where our own services find Kafka."""
        return f"{LOOPBACK}:{self.ports['kafka']}"

    @property
    def agency_bootstrap(self) -> str:
        """Where agencies find Kafka."""
        return f"{LOOPBACK}:{self.ports['kafka-agency']}"

    @property
    def district(self) -> Path:
        """The district that the story loads."""
        return self.root / "deploy" / "district" / "gamlebyen.toml"

    def log(self, part: str) -> Path:
        """Where the part's output goes."""
        return self.state / "logs" / f"{part}.log"


def service(site: Site, name: str) -> Command:
    """How to start one of the services behind the gateway."""
    secrets = {
        **_common_secrets(site, name), "samlogg_database_url": site.database(name),
        "samlogg_inner_key": site.vault.key(f"inner-{name}"), "samlogg_hash_key": site.vault.key(f"hash-{name}"),
    }  # fmt: skip
    told = {**_common(site, name, "1"), "SAMLOGG_PORT": str(site.ports[name])}
    if name in KEYED:
        secrets["samlogg_keys_database_url"] = site.database(f"{name}_keys")
        secrets["samlogg_key_encryption_key"] = site.vault.key(f"encryption-{name}")
    if name == "consent":
        told |= {
            "SAMLOGG_LEADER_URL": site.url("consent"), "SAMLOGG_LEDGER_ORIGIN": ledger.ORIGIN,
            "SAMLOGG_WITNESS_URL": site.url("witness"), "SAMLOGG_WITNESS_KEY": ledger.witness_key(site.vault),
            "SAMLOGG_REGISTER_URL": site.url("register"),
        }  # fmt: skip
        secrets["samlogg_ledger_signing_key"] = site.vault.key("ledger")
    if name == "directory":
        secrets["samlogg_first_admin_code"] = site.vault.word("first-admin-code")
        secrets["samlogg_identity_key"] = site.vault.key("identity")
        told["SAMLOGG_AGENCY_BOOTSTRAP"] = site.agency_bootstrap
    if name == "notify":
        told |= {
            "SAMLOGG_SMTP_HOST": LOOPBACK, "SAMLOGG_SMTP_PORT": str(site.ports["mailbox"]),
            "SAMLOGG_SMTP_FROM": "samlogg@samlogg.example",
        }  # fmt: skip
    return _command(site, name, name, told, secrets)


def gateway(site: Site, replica: str) -> Command:
    """How to start one replica of the gateway; all have the same secrets and the same database."""
    issuers = openid.issuers(site.ports["openid"])
    secrets = {
        **_common_secrets(site, "gateway"), "samlogg_database_url": site.database("gateway"),
        **{f"samlogg_inner_key_{name}": site.vault.key(f"inner-{name}") for name in SERVICES},
        **{f"samlogg_{name}_key": site.vault.key(name) for name in ("handle", "session", "identity")},
        "samlogg_inner_key": site.vault.key("inner-gateway"), "samlogg_hash_key": site.vault.key("hash-gateway"),
        "samlogg_client_secret": site.vault.word("client-secret"),
    }  # fmt: skip
    told = {
        **_common(site, "gateway", replica.removeprefix("gateway-")),
        "SAMLOGG_PORT": str(site.ports[replica]), "SAMLOGG_OPERATIONS_PORT": str(site.ports[f"{replica}-operations"]),
        "SAMLOGG_CONSENT_URLS": site.url("consent"), "SAMLOGG_DIRECTORY_URL": site.url("directory"),
        "SAMLOGG_LOGBOOK_URL": site.url("logbook"), "SAMLOGG_NOTIFY_URL": site.url("notify"),
        "SAMLOGG_PUBLIC_URL": site.url(replica), "SAMLOGG_AUDIENCE": openid.AUDIENCE,
        "SAMLOGG_ISSUER_CITIZEN": issuers.citizen, "SAMLOGG_ISSUER_STAFF": issuers.staff,
        "SAMLOGG_ISSUER_MACHINE": issuers.machine, "SAMLOGG_CLIENT_ID": openid.CLIENT,
        "SAMLOGG_CONTRACTS": str(site.root / "services"),
    }  # fmt: skip
    return _command(site, replica, "gateway", told, secrets)


def provisioner(site: Site) -> Command:
    """How to start the provisioner: it alone has the admin's password, and every user's to set it."""
    users = site.vault.folder_of("kafka-users", {user: site.vault.word(f"kafka-{user}") for user in KAFKA_USERS})
    told = {
        "SAMLOGG_KAFKA_BOOTSTRAP": site.bootstrap, "SAMLOGG_KAFKA_USER": kafka.ADMIN,
        "SAMLOGG_TOPICS": str(site.root / "deploy" / "topics.toml"), "SAMLOGG_USERS": str(users),
        "SAMLOGG_REPLICAS": "1", "SAMLOGG_READY_FILE": str(provisioned(site)),
    }  # fmt: skip
    secrets = {"samlogg_kafka_password": site.vault.word("kafka-admin")}
    return _command(site, "provisioner", "provisioner", told, secrets, "watch")


def provisioned(site: Site) -> Path:
    """The file that the provisioner makes when topics, users and rules are in line."""
    return site.state / "provisioned"


def mailbox(site: Site) -> Command:
    """How to start the mailbox."""
    argv = [sys.executable, "-m", "local_stack.mailbox", str(site.ports["mailbox"]), str(site.state / "mail")]
    return Command(argv, site.state, _environment(), site.log("mailbox"))


def witness(site: Site) -> Command:
    """How to start the witness. Its key is made here, so that consent knows it before the witness runs."""
    folder = site.state / "witness"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        (folder / "seen.json").write_text("{}")
        write_private_bytes(folder / "key", base64.b64decode(site.vault.key("witness")))
    argv = [
        sys.executable, "-m", "samlogg_witness", "--name", ledger.WITNESS, "--folder", str(folder),
        "--ledger", ledger.ledger_key(site.vault), "--host", LOOPBACK, "--port", str(site.ports["witness"]),
    ]  # fmt: skip
    return Command(argv, site.state, _environment(), site.log("witness"))


def police(site: Site) -> Command:
    """How to start the example agency's own service: what it is told are our doors, and nothing else of ours."""
    told = {
        "POLICE_FOLDER": str(police_folder(site)), "POLICE_GATEWAY": ",".join(site.url(one) for one in GATEWAYS),
        "POLICE_ISSUER": openid.issuers(site.ports["openid"]).machine, "POLICE_CLIENT_ID": POLICE_CLIENT,
        "POLICE_AUDIENCE": openid.AUDIENCE, "POLICE_SCOPE": openid.AUDIENCE,
        "POLICE_STATUS_PORT": str(site.ports["police"]),
    }  # fmt: skip
    police_folder(site).mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = [sys.executable, "-m", "police", "run"]
    return Command(argv, site.state, {**_environment(), **told}, site.log("police"))


def police_folder(site: Site) -> Path:
    """The example agency's own folder."""
    return site.state / "police"


def answers(url: str) -> bool:
    """The address answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  loopback
            return bool(answer.status == 200)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _common(site: Site, user: str, replica: str) -> dict[str, str]:
    return {
        "SAMLOGG_MODE": "synthetic", "SAMLOGG_HOST": LOOPBACK, "SAMLOGG_REPLICA": replica,
        "SAMLOGG_KAFKA_BOOTSTRAP": site.bootstrap, "SAMLOGG_KAFKA_USER": user,
        "OTEL_TRACES_EXPORTER": "zipkin", "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT": f"{site.url('zipkin')}/api/v2/spans",
    }  # fmt: skip


def _common_secrets(site: Site, user: str) -> dict[str, str]:
    return {"samlogg_kafka_password": site.vault.word(f"kafka-{user}")}


def _environment() -> dict[str, str]:
    """A clean environment: the terminal's own SAMLOGG_*, OTEL_* and PYTHON* do not reach the parts."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"}


def _command(
    site: Site, part: str, module: str, told: Mapping[str, str], secrets: Mapping[str, str], *arguments: str
) -> Command:
    folder = site.vault.folder_of(part, secrets)
    environment = {**_environment(), **told, "SAMLOGG_SECRETS_DIR": str(folder)}
    return Command([sys.executable, "-m", module, *arguments], site.state, environment, site.log(part))
