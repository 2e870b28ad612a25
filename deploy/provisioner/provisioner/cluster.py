"""Kafka itself: what there is, and the changes that bring it in line. Every call says how long it may take."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic

from provisioner.model import Rule, Topic

_SECONDS = 20
_ITERATIONS = 4096  # passwords are 256 random bits: more rounds protect nothing
_log = logging.getLogger(__name__)
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
    "broker": ResourceType.BROKER,
}
_OPERATIONS = {one.name.lower(): one for one in AclOperation}


class OutOfLine(Exception):
    """Kafka has what the provisioner must not change by itself; the text says what a person has to decide."""


class Cluster:
    """The admin's hands. All methods are idempotent and raise KafkaException when Kafka cannot do them now."""

    def __init__(self, options: Mapping[str, Any], replicas: int) -> None:
        self._admin = AdminClient({**options, "log_level": 2})
        self._replicas = replicas

    def bring_topics(self, wanted: Iterable[Topic]) -> int:
        """Make what is missing and set what differs; how many were changed. A topic that is not wanted is left alone:
        deleting data is for people. OutOfLine when a topic has another number of partitions.
        """
        topics = {topic.name: topic for topic in wanted}
        there = self._admin.list_topics(timeout=_SECONDS).topics
        missing = [topic for name, topic in topics.items() if name not in there]
        for topic in (topics[name] for name in topics.keys() & there.keys()):
            found = len(there[topic.name].partitions)
            if found != topic.partitions:
                raise OutOfLine(f"{topic.name} has {found} partitions, not {topic.partitions}: keys would move.")
        if missing:
            made = [NewTopic(one.name, one.partitions, self._replicas, config=dict(one.config)) for one in missing]
            _wait(self._admin.create_topics(made, operation_timeout=_SECONDS))
            self._wait_for_leaders({one.name for one in missing})
        return len(missing) + self._set_configs([topics[name] for name in topics.keys() & there.keys()])

    def _wait_for_leaders(self, names: set[str]) -> None:
        """Until every partition of the topics is led by a broker: before that its first reader would be refused."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            there = self._admin.list_topics(timeout=_SECONDS).topics
            parts = [part for name in names & there.keys() for part in there[name].partitions.values()]
            if names <= there.keys() and parts and all(part.leader >= 0 for part in parts):
                return
            time.sleep(0.05)
        raise TimeoutError("new topics have no leader")

    def _set_configs(self, topics: Iterable[Topic]) -> int:
        wanted = {topic.name: topic for topic in topics}
        if not wanted:
            return 0
        asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in wanted]
        changes = []
        for resource, answer in self._admin.describe_configs(asked, request_timeout=_SECONDS).items():
            found = answer.result(_SECONDS)
            differing = [
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in wanted[resource.name].config
                if name not in found or found[name].value != value
            ]
            if differing:
                changes.append(ConfigResource(ConfigResource.Type.TOPIC, resource.name, incremental_configs=differing))
        if changes:
            _wait(self._admin.incremental_alter_configs(changes, request_timeout=_SECONDS))
        return len(changes)

    def users(self) -> set[str]:
        """Every SCRAM user."""
        answer: Any = self._admin.describe_user_scram_credentials(request_timeout=_SECONDS)
        return set(answer.result(_SECONDS))

    def set_passwords(self, passwords: Mapping[str, str]) -> None:
        """Make the users, or give them these passwords."""
        if passwords:
            info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
            _wait(
                self._admin.alter_user_scram_credentials(
                    [UserScramCredentialUpsertion(user, info, word.encode()) for user, word in passwords.items()],
                    request_timeout=_SECONDS,
                )
            )

    def remove_users(self, users: Iterable[str]) -> None:
        """They cannot log in any more. Their open connections lose every right by the rules."""
        gone: list[UserScramCredentialAlteration] = [
            UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512) for user in users
        ]
        if gone:
            _wait(self._admin.alter_user_scram_credentials(gone, request_timeout=_SECONDS))

    def rules(self) -> set[Rule | AclBinding]:
        """Every rule there is; one that we would never write stays as Kafka's own object."""
        anything: Any = None
        everything = AclBindingFilter(
            ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        found = self._admin.describe_acls(everything, request_timeout=_SECONDS).result(_SECONDS)
        return {_rule(binding) for binding in found}

    def bring_rules(self, wanted: set[Rule], managed: Callable[[str], bool]) -> int:
        """Make what is missing, delete what a managed user may do beyond it; how many were changed."""
        there = self.rules()
        surplus = {one for one in there - wanted if managed(_user(one))}
        if surplus:
            filters = [_filter(_binding(one) if isinstance(one, Rule) else one) for one in surplus]
            _wait(self._admin.delete_acls(filters, request_timeout=_SECONDS))
        missing = [_binding(rule) for rule in sorted(wanted - there)]
        if missing:
            _wait(self._admin.create_acls(missing, request_timeout=_SECONDS))
        return len(surplus) + len(missing)


def _wait(answers: Mapping[Any, "Future[Any]"]) -> None:
    for answer in answers.values():
        answer.result(_SECONDS)


def _binding(rule: Rule) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if rule.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _KINDS[rule.kind], rule.name, pattern, f"User:{rule.user}", "*", _OPERATIONS[rule.operation],
        AclPermissionType.ALLOW,
    )  # fmt: skip


def _rule(binding: AclBinding) -> Rule | AclBinding:
    kind = next((name for name, kind in _KINDS.items() if kind == binding.restype), None)
    prefixed = binding.resource_pattern_type == ResourcePatternType.PREFIXED
    ours = prefixed or binding.resource_pattern_type == ResourcePatternType.LITERAL
    plain = binding.host == "*" and binding.permission_type == AclPermissionType.ALLOW
    if kind is None or not ours or not plain or not binding.principal.startswith("User:"):
        return binding
    return Rule(_user(binding), kind, binding.name, AclOperation(binding.operation).name.lower(), prefixed)


def _user(one: Rule | AclBinding) -> str:
    return one.user if isinstance(one, Rule) else str(one.principal).removeprefix("User:")


def _filter(one: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation, one.permission_type
    )
