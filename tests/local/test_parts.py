"""The brought parts as the stack sets them up: secrets that stay, databases that keep each other out, honest tokens."""

import stat
from pathlib import Path

import asyncpg
import pytest

from local_stack import openid, services
from local_stack import postgres as cluster
from local_stack.parts import _issuer_port
from local_stack.ports import Ports, any_port
from local_stack.services import Site
from local_stack.trouble import Trouble
from local_stack.vault import Vault
from tests.stack import Postgres

ROOT = Path(__file__).parents[2]


def site(folder: Path) -> Site:
    ports = {name: any_port() for name in (
        "postgres", "kafka", "kafka-agency", "openid", "zipkin", "mailbox", "police", "witness", "register",
        *services.SERVICES, *services.GATEWAYS, *(f"{one}-operations" for one in services.GATEWAYS),
    )}  # fmt: skip
    return Site(ROOT, folder, ports, Vault(folder / "secrets"))


def test_secrets_are_made_once_and_only_their_user_can_read_them(tmp_path: Path) -> None:
    first = Vault(tmp_path / "secrets")
    key, word = first.key("handle"), first.word("database-consent")
    second = Vault(tmp_path / "secrets")
    assert (second.key("handle"), second.word("database-consent")) == (key, word)
    given = second.folder_of("consent", {"samlogg_inner_key": key})
    paths = [tmp_path / "secrets", *(tmp_path / "secrets").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert (given / "samlogg_inner_key").read_text() == key


def test_no_secret_is_in_the_environment_or_on_the_command_line_of_a_part(tmp_path: Path) -> None:
    here = site(tmp_path)
    commands = [services.service(here, name) for name in services.SERVICES]
    commands += [services.gateway(here, "gateway-1"), services.provisioner(here), services.police(here)]
    made = {path.read_text() for path in (tmp_path / "secrets" / "kept").iterdir()}
    assert len(made) > 20
    shown = [text for one in commands for text in (*one.argv, *one.environment.values())]
    assert not [secret for secret in made if any(secret in text for text in shown)]


def test_each_service_has_its_own_keys_and_the_gateway_one_for_each(tmp_path: Path) -> None:
    here = site(tmp_path)
    for name in services.SERVICES:
        services.service(here, name)
    services.gateway(here, "gateway-1")
    folder = tmp_path / "secrets"
    inner = {name: (folder / name / "samlogg_inner_key").read_text() for name in services.SERVICES}
    assert len(set(inner.values())) == len(inner)
    for name, key in inner.items():
        assert (folder / "gateway-1" / f"samlogg_inner_key_{name}").read_text() == key
    held = [path.name for path in (folder / "logbook").iterdir()]
    assert not {"samlogg_identity_key", "samlogg_handle_key", "samlogg_first_admin_code"} & set(held)


def test_the_example_agency_is_told_nothing_of_ours_but_the_doors(tmp_path: Path) -> None:
    told = services.police(site(tmp_path)).environment
    assert not [name for name in told if name.startswith(("SAMLOGG_", "OTEL_"))]


async def test_no_role_can_open_the_database_of_another(postgres: Postgres) -> None:
    databases = {name: f"password-of-{name}" for name in services.databases()}
    await _in_line(postgres.superuser_url, databases)
    await _in_line(postgres.superuser_url, databases)  # a second start finds everything
    address = postgres.superuser_url.rpartition("@")[2].partition("/")[0]
    opened = set()
    for role, password in databases.items():
        for database in (*databases, "postgres", "template1"):
            try:
                connection = await asyncpg.connect(f"postgresql://{role}:{password}@{address}/{database}")
            except asyncpg.InsufficientPrivilegeError:
                continue
            await connection.close()
            opened.add((role, database))
    assert opened == {(name, name) for name in databases}


async def _in_line(url: str, databases: dict[str, str]) -> None:
    await cluster._bring_in_line(url, databases)


async def test_a_role_without_its_password_does_not_come_in(postgres: Postgres) -> None:
    await _in_line(postgres.superuser_url, {"consent": "password-of-consent"})
    address = postgres.superuser_url.rpartition("@")[2].partition("/")[0]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://consent:wrong@{address}/consent")


def test_a_machine_token_names_the_organisation_of_its_registered_client_only() -> None:
    registered = openid.clients(ROOT / "deploy" / "district" / "gamlebyen.toml")
    assert services.POLICE_CLIENT in registered
    told = openid.configuration(registered, Path("p"))["tokenCallbacks"]
    [machines] = [one for one in told if one["issuerId"] == "maskinporten"]
    claims = {one["match"]: one["claims"] for one in machines["requestMappings"]}
    assert claims[services.POLICE_CLIENT]["consumer"] == {
        "authority": "iso6523-actorid-upis", "ID": f"0192:{registered[services.POLICE_CLIENT]}"
    }  # fmt: skip
    assert "*" not in claims


def test_the_page_to_log_in_at_loads_nothing_from_elsewhere() -> None:
    page = (ROOT / "deploy" / "local" / "login.html").read_text()
    assert "http" not in page
    assert "src=" not in page
    assert "<link" not in page
    assert "url(" not in page


def test_the_issuers_names_stay_the_same_or_the_start_says_why_not(tmp_path: Path) -> None:
    kept = tmp_path / "issuer-port"
    first, second = Ports(), Ports()
    _issuer_port(kept, first)
    port = first.given["openid"]
    with pytest.raises(Trouble, match=f"Port {port} is taken"):
        _issuer_port(kept, second)
    first.release()
    _issuer_port(kept, second)
    assert second.given["openid"] == port
    second.release()
