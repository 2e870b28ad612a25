"""The real parts that tests run on: one PostgreSQL and one Kafka per test run, from packages or from containers.

SAMLOGG_TEST_STACK chooses: `local` (default) starts them as processes, `containers` starts them with Docker, and the
path of a JSON file names parts that already run (see `Running`). All three give the same two objects.
"""

import asyncio
import atexit
import json
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from local_stack import java, kafka, postgres
from local_stack.ports import any_port
from local_stack.processes import Child, until
from local_stack.trouble import Trouble

ROOT = Path(__file__).parents[1]
_PASSWORD = "tests-only"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL of the test run. `superuser_url` is plain (`postgresql://…`), as asyncpg takes it."""

    superuser_url: str

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of the database, as the superuser."""
        parts = urlsplit(self.superuser_url)
        return parts._replace(scheme="postgresql+asyncpg", path=f"/{database}").geturl()

    def fresh_database(self, name: str = "test") -> str:
        """Make an empty database whose name begins with `name`; its URL for SQLAlchemy (asyncpg)."""
        database = f"{name}_{secrets.token_hex(4)}"
        self.execute(f"CREATE DATABASE {database} STRATEGY file_copy")
        return self.url(database)

    def execute(self, statement: str) -> None:
        """Run one statement as the superuser, outside any transaction."""

        async def run() -> None:
            connection = await asyncpg.connect(self.superuser_url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        _apart(run)


@dataclass(frozen=True, slots=True)
class Kafka:
    """A Kafka of the test run, closed by default as the real one; `user` is its admin."""

    bootstrap: str
    agency_bootstrap: str
    user: str
    password: str
    _cache: list[AdminClient] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client, as the admin."""
        return {
            "bootstrap_servers": [self.bootstrap], "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": self.user, "sasl_plain_password": self.password,
        }  # fmt: skip

    @property
    def settings(self) -> dict[str, str]:
        """The fields of `chassis.settings.Settings` that lead here, as the admin."""
        return {"kafka_bootstrap": self.bootstrap, "kafka_user": self.user, "kafka_password": self.password}

    @property
    def admin(self) -> AdminClient:
        """A confluent-kafka admin client."""
        if not self._cache:
            self._cache.append(AdminClient({
                "bootstrap.servers": self.bootstrap, "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": self.user, "sasl.password": self.password,
                "log_level": 2,
            }))  # fmt: skip
        return self._cache[0]

    def fresh_topic(self, partitions: int = 1, config: Mapping[str, str] | None = None, *, name: str = "test") -> str:
        """Make an empty topic whose name begins with `name`; its name."""
        topic = f"{name}.{secrets.token_hex(4)}"
        self.make_topic(topic, partitions, config)
        return topic

    def make_topic(self, topic: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Make exactly this topic, and wait until it can be used."""
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
        self.admin.create_topics([wanted])[topic].result(20)
        if not until(lambda: topic in self.admin.list_topics(timeout=5).topics, 10):
            raise AssertionError(f"the topic {topic} was made but is not seen")


def _apart(run: Callable[[], Any]) -> None:
    """Run the coroutine in a thread of its own, so that it can be asked for from a test with a running loop."""
    from threading import Thread

    failed: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=work)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


class Local:
    """Parts from packages, as processes of this test run, in a temporary folder."""

    @contextmanager
    def postgres(self) -> Iterator[Postgres]:
        """A new cluster without fsync: the machine's crash is not what is tested."""
        with _folder() as folder:
            port = any_port()
            postgres.make(folder / "postgres", _PASSWORD)
            fast = {"fsync": "off", "max_connections": "300"}
            server = Child(postgres.command(folder / "postgres", port, folder / "postgres.log", fast))
            url = postgres.url(postgres.SUPERUSER, _PASSWORD, port, "postgres")
            try:
                _ready(server, lambda: postgres.answers(url))
                yield Postgres(url)
            finally:
                server.stop(signal.SIGINT)

    @contextmanager
    def kafka(self) -> Iterator[Kafka]:
        """A new broker; its jars and the archive of Java's classes are those of the checkout."""
        with _folder() as folder:
            shared = ROOT / ".samlogg"
            shared.mkdir(exist_ok=True)
            java.prepare(shared)
            for name in ("jars", "java"):
                (shared / name).mkdir(exist_ok=True)
                (folder / name).symlink_to(shared / name, target_is_directory=True)
            jars = java.fetch(folder, "kafka")
            doors = kafka.Doors(any_port(), any_port(), any_port())
            kafka.prepare(folder, doors, _PASSWORD, jars)
            broker = Child(kafka.command(folder, jars, folder / "kafka.log"))
            try:
                _ready(broker, lambda: kafka.answers(doors.agency))
                yield Kafka(f"127.0.0.1:{doors.internal}", f"127.0.0.1:{doors.agency}", kafka.ADMIN, _PASSWORD)
            finally:
                broker.stop()


class Containers:
    """The same from the published images; needs a Docker engine on this machine.

    A third image, testcontainers' reaper, ends what a killed run has left (not with TESTCONTAINERS_RYUK_DISABLED=true).
    """

    POSTGRES = "postgres:18-alpine"
    KAFKA = "apache/kafka:4.2.0"
    _PATIENT = {"timeout": 600}

    def __init__(self) -> None:
        """Fetch the images that are missing: they take longer than a test may. Trouble if they cannot be had."""
        from docker.errors import APIError, DockerException, ImageNotFound
        from testcontainers.core.config import testcontainers_config as config
        from testcontainers.core.docker_client import DockerClient

        try:
            engine = DockerClient(**self._PATIENT).client
        except DockerException as error:
            raise Trouble(f"STACK=containers needs a Docker engine; none answers here: {_reason(error)}.") from error
        reaper = [] if config.ryuk_disabled else [config.ryuk_image]
        for image in (config.hub_image_name_prefix + name for name in (self.POSTGRES, self.KAFKA, *reaper)):
            try:
                engine.images.get(image)
            except ImageNotFound:
                print(f"fetching the image {image}", flush=True)
                try:
                    engine.images.pull(image)
                except APIError as error:
                    raise Trouble(f"The image {image} cannot be fetched: {error.explanation}") from error
        engine.close()

    @contextmanager
    def postgres(self) -> Iterator[Postgres]:
        """The official image, with the collation that the local cluster has."""
        from testcontainers.community.postgres import PostgresContainer

        container = (
            PostgresContainer(
                self.POSTGRES, username=postgres.SUPERUSER, password=_PASSWORD, dbname="postgres", driver=None,
                docker_client_kw=self._PATIENT,
            )
            .with_env("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C.UTF-8")
            .with_command("postgres -c fsync=off -c max_connections=300")
        )  # fmt: skip
        with self._started(container):
            yield Postgres(container.get_connection_url())

    @contextmanager
    def kafka(self) -> Iterator[Kafka]:
        """Apache's own image with the settings that the local broker has; its ports are the same inside and outside."""
        from testcontainers.core.container import DockerContainer

        doors = kafka.Doors(any_port(), any_port(), any_port())
        # Inside the container only. Copied, not mounted: not every engine sees this machine's temporary folder.
        settings = kafka.properties(doors, _PASSWORD, "/tmp/kafka-data", bind="0.0.0.0")
        script = (
            "/opt/kafka/bin/kafka-storage.sh format -t SamloggOneMachine00000 -c /tmp/server.properties"
            f" --add-scram 'SCRAM-SHA-512=[name={kafka.ADMIN},password={_PASSWORD}]'"
            " && exec /opt/kafka/bin/kafka-server-start.sh /tmp/server.properties"
        )
        container = (
            DockerContainer(self.KAFKA, docker_client_kw=self._PATIENT)
            .with_env("KAFKA_HEAP_OPTS", "-Xmx320m")
            .with_env("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
            .with_copy_into_container(settings.encode(), "/tmp/server.properties")
            .with_bind_ports(doors.internal, doors.internal)
            .with_bind_ports(doors.agency, doors.agency)
            .with_kwargs(entrypoint=["sh", "-c", script])
        )
        with self._started(container):
            if not until(lambda: kafka.answers(doors.agency), 60):
                lines = b"".join(container.get_logs()).decode("utf-8", "replace").splitlines()[-15:]
                raise AssertionError("the container's Kafka does not answer:\n" + "\n".join(lines))
            yield Kafka(f"127.0.0.1:{doors.internal}", f"127.0.0.1:{doors.agency}", kafka.ADMIN, _PASSWORD)

    @contextmanager
    def _started(self, container: Any) -> Iterator[None]:
        """Started now, stopped at the end, and deleted when this process ends.

        A run leaves a hundred thousand files of databases: to delete them may take longer than a test may.
        """
        atexit.register(container.stop)
        container.start()
        try:
            yield
        finally:
            container.get_wrapped_container().stop(timeout=0)


class Running:
    """Parts that somebody else started and stops, named in a JSON file:

    {"postgres": {"asyncpg": url}, "kafka": {"bootstrap", "agency_bootstrap", "user", "password"}}
    """

    def __init__(self, described: Path) -> None:
        self._parts = json.loads(described.read_text())

    @contextmanager
    def postgres(self) -> Iterator[Postgres]:
        """The PostgreSQL of the file."""
        yield Postgres(self._parts["postgres"]["asyncpg"])

    @contextmanager
    def kafka(self) -> Iterator[Kafka]:
        """The Kafka of the file."""
        part = self._parts["kafka"]
        yield Kafka(part["bootstrap"], part["agency_bootstrap"], part["user"], part["password"])


def provider() -> Local | Containers | Running:
    """What SAMLOGG_TEST_STACK asks for; Trouble, in one sentence, if that cannot be had."""
    chosen = os.environ.get("SAMLOGG_TEST_STACK", "local")
    if chosen == "local":
        return Local()
    if chosen == "containers":
        return Containers()
    if not Path(chosen).is_file():
        raise Trouble(f"STACK={chosen} is neither local nor containers nor a file that names running parts.")
    return Running(Path(chosen))


@contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="samlogg-test-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        yield path


def _reason(error: BaseException) -> str:
    """What the system said first; what libraries have wrapped around it says less."""
    while error.__context__ is not None:
        error = error.__context__
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _ready(child: Child, check: Callable[[], bool]) -> None:
    if not until(check, 60, child):
        raise AssertionError("a part did not start:\n" + "\n".join(child.last_lines()))
