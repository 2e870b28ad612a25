"""One round of bringing Kafka in line, and the watch that goes on doing so."""

import contextlib
import logging
import threading
from collections.abc import Iterable
from datetime import UTC, datetime

from aiokafka.errors import KafkaError as AioKafkaError
from confluent_kafka import KafkaException

from provisioner import bus, credentials, model, quotas
from provisioner.cluster import Cluster, OutOfLine
from provisioner.declared import Declarations, Unreadable
from provisioner.model import AGENCY, Attachment, Standing
from provisioner.settings import Settings

_log = logging.getLogger(__name__)
_PATIENCE = 60.0
__all__ = ["OutOfLine", "Provisioner", "once", "watch"]

PASSING = (KafkaException, AioKafkaError, quotas.QuotaRefused, OSError, TimeoutError)
"""What Kafka being away or starting looks like: worth another round."""


class Provisioner:
    """Holds the admin's hands and what is declared; keeps no password beyond the call that makes it."""

    def __init__(self, settings: Settings, declared: Declarations) -> None:
        self._settings, self._declared = settings, declared
        self._cluster = Cluster(settings.confluent, settings.replicas)
        self._refused: set[str] = set()
        self._given: set[str] = set()  # users whose password this process has set

    def house(self) -> None:
        """Our own topics, users and rules. Nothing is taken away: the directory has not been read yet."""
        changed = self._cluster.bring_topics(model.topics(self._declared, (), self._settings.replicas))
        missing = set(self._declared.users) - (self._cluster.users() & self._given)
        self._cluster.set_passwords({user: self._password(user) for user in sorted(missing)})
        self._given |= missing
        changed += self._cluster.bring_rules(model.rules(self._declared, ()), managed=lambda _: False)
        if changed or missing:
            _log.info("topics, users and rules of the house are in line, %d changed", changed)

    def _password(self, user: str) -> str:
        try:
            found = (self._settings.users / user).read_text().strip()
        except OSError as error:
            raise Unreadable(f"no password for the user {user} in {self._settings.users}") from error
        if len(found) < 16:
            raise Unreadable(f"the password of the user {user} is shorter than 16 characters")
        return found

    def agencies(self, reader: bus.Reader) -> None:
        """Topics, rules, quotas and users of every attachment; what has ended loses its user.

        The event is the last: whoever reads it finds everything in place. A crash before it makes a new password.
        """
        attachments = reader.directory.attachments()
        changed = self._cluster.bring_topics(model.topics(self._declared, attachments, self._settings.replicas))
        wanted = model.rules(self._declared, attachments)
        changed += self._cluster.bring_rules(wanted, lambda user: model.managed(user, self._declared))
        limits = {name: float(value) for name, value in self._declared.agency.quota.model_dump().items()}
        living = {one.user for one in attachments if one.standing is not Standing.ENDED}
        changed += quotas.bring(self._settings.aiokafka, dict.fromkeys(sorted(living), limits), AGENCY)
        users = self._cluster.users()
        ended = {one.user for one in attachments if one.standing is Standing.ENDED} & users
        self._cluster.remove_users(sorted(ended))
        new = self._provide(attachments, users, reader)
        if changed or ended or new:
            _log.info("attachments are in line: %d changed, %d ended, %d new", changed, len(ended), new)

    def _provide(self, attachments: Iterable[Attachment], users: set[str], reader: bus.Reader) -> int:
        """Give a credential to every open attachment that has none for the key it brought; how many got one."""
        count = 0
        for one in attachments:
            if one.standing is not Standing.OPEN:
                continue
            try:
                key = credentials.public_key(one.public_key)
            except credentials.BadKey as error:
                if one.id not in self._refused:
                    _log.error("attachment %s gets no user: %s", one.id, error)
                self._refused.add(one.id)
                continue
            if one.user in users and reader.sealed.get(one.id) == key.thumbprint():
                continue
            password = credentials.new_password()
            self._cluster.set_passwords({one.user: password})
            sealed = credentials.seal(password, key)
            bus.publish(self._settings.confluent, credentials.provisioned(one.id, one.user, sealed, datetime.now(UTC)))
            reader.sealed[one.id] = key.thumbprint()
            count += 1
        return count


def once(settings: Settings, declared: Declarations) -> None:
    """Bring everything in line and return."""
    provisioner = Provisioner(settings, declared)
    provisioner.house()
    with contextlib.closing(bus.Reader(settings.confluent)) as reader:
        reader.begin()
        reader.read(0)
        provisioner.agencies(reader)


def watch(settings: Settings, declared: Declarations, stop: threading.Event) -> None:
    """Keep everything in line until told to stop: at every change of an attachment, and every so often as a whole."""
    if settings.ready_file is not None:
        settings.ready_file.unlink(missing_ok=True)
    provisioner, wait = Provisioner(settings, declared), 0.2
    while not stop.is_set():
        try:
            provisioner.house()
            if settings.ready_file is not None:
                settings.ready_file.touch()
            with contextlib.closing(bus.Reader(settings.confluent)) as reader:
                _follow(provisioner, reader, settings, stop)
        except PASSING as error:
            _log.warning("Kafka cannot be brought in line now: %s; again in %.1f s", type(error).__name__, wait)
            stop.wait(wait)
            wait = min(wait * 2, 10.0)
        else:
            wait = 0.2


def _follow(provisioner: Provisioner, reader: bus.Reader, settings: Settings, stop: threading.Event) -> None:
    """Until the next whole look is due. The whole look reads everything anew and finds what others have changed."""
    reader.begin()
    reader.read(0)
    provisioner.agencies(reader)
    looks = max(1, round(settings.every / 0.5))
    for _ in range(looks):
        if stop.is_set():
            return
        if reader.read(0.5):
            provisioner.agencies(reader)
