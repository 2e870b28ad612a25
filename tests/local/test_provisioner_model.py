"""What there should be on Kafka follows from topics.toml and the directory alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from provisioner import credentials, declared, model
from provisioner.directory import Directory
from provisioner.model import Attachment, Rule, Standing

ROOT = Path(__file__).parents[2]
DECLARED = declared.read(ROOT / "deploy" / "topics.toml")
OPEN = Attachment("a1", "zzzz1111", Standing.OPEN, frozenset({"listen", "contribute"}), {})


def record(**fields: object) -> bytes:
    whole = {
        "version": 1, "kind": "attachment", "id": "a1", "agency": "police", "opaque": "zzzz1111", "services": ["x"],
        "public_key": {}, "ports": ["listen"], "active": True, **fields,
    }  # fmt: skip
    return json.dumps(whole).encode()


def agency(*, version: int = 1, active: bool = True) -> bytes:
    return json.dumps({"version": version, "kind": "agency", "id": "police", "active": active}).encode()


def known(*records: tuple[bytes, bytes]) -> Directory:
    directory = Directory()
    for key, value in records:
        directory.apply(key, "directory.state.v1", value)
    return directory


def standing(directory: Directory) -> Standing:
    return directory.attachments()[0].standing


def test_topics_that_are_keyed_by_subject_share_twelve_partitions() -> None:
    by_subject = {name: topic for name, topic in DECLARED.topic.items() if topic.key.startswith("subject")}
    assert len(by_subject) >= 4
    assert {topic.partitions for topic in by_subject.values()} == {12}


def test_state_topics_are_compacted_after_an_hour_at_the_earliest_and_have_no_dead_letters() -> None:
    for name in ("consent.state.v1", "directory.state.v1"):
        topic = next(one for one in model.topics(DECLARED, (), 1) if one.name == name)
        assert dict(topic.config)["cleanup.policy"] == "compact"
        assert int(dict(topic.config)["min.compaction.lag.ms"]) >= 3_600_000
        assert not DECLARED.topic[name].dead_letters


def test_three_copies_need_two_that_agree() -> None:
    assert all(dict(topic.config)["min.insync.replicas"] == "2" for topic in model.topics(DECLARED, (OPEN,), 3))


def test_an_attachment_that_only_listens_may_write_nothing() -> None:
    mine = {
        rule for rule in model.rules(DECLARED, [replace(OPEN, ports=frozenset({"listen"}))]) if rule.user == OPEN.user
    }
    assert mine == {
        Rule(OPEN.user, "topic", OPEN.feed, "read"), Rule(OPEN.user, "group", OPEN.user, "read", prefixed=True)
    }  # fmt: skip


def test_an_attachment_that_has_ended_or_is_closed_may_do_nothing() -> None:
    for state in (Standing.ENDED, Standing.CLOSED):
        assert not {r for r in model.rules(DECLARED, [replace(OPEN, standing=state)]) if r.user == OPEN.user}


def test_a_user_that_is_not_declared_stops_the_provisioner(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "topics.toml").read_text().replace('readers = ["consent"]', 'readers = ["somebody"]')
    (tmp_path / "topics.toml").write_text(text)
    with pytest.raises(declared.Unreadable, match="somebody"):
        declared.read(tmp_path / "topics.toml")


def test_an_attachment_of_an_agency_that_nobody_has_told_of_is_closed() -> None:
    assert standing(known((b"attachment:a1", record()))) is Standing.CLOSED


def test_an_attachment_of_an_active_agency_is_open_and_follows_what_is_said_of_both() -> None:
    directory = known((b"agency:police", agency()), (b"attachment:a1", record()))
    assert standing(directory) is Standing.OPEN
    directory.apply(b"agency:police", "directory.state.v1", agency(version=2, active=False))
    assert standing(directory) is Standing.CLOSED
    directory.apply(b"attachment:a1", "directory.state.v1", record(version=2, active=False))
    assert standing(directory) is Standing.ENDED


def test_an_unreadable_record_closes_its_key_until_one_that_is_not_older_comes() -> None:
    directory = known((b"agency:police", agency()), (b"attachment:a1", record(version=5)))
    assert directory.apply(b"attachment:a1", "directory.state.v1", b"{")
    assert standing(directory) is Standing.CLOSED
    directory.apply(b"attachment:a1", "directory.state.v1", record(version=4))
    assert standing(directory) is Standing.CLOSED
    directory.apply(b"attachment:a1", "directory.state.v1", record(version=5))
    assert standing(directory) is Standing.OPEN
    assert directory.unreadable == 1


def test_an_unknown_type_on_the_state_topic_closes_its_key_and_a_barrier_does_not() -> None:
    directory = known((b"agency:police", agency()), (b"attachment:a1", record()))
    assert not directory.apply(b"!barrier", "consent.barrier.v1", b'{"epoch": 1}')
    assert standing(directory) is Standing.OPEN
    assert directory.apply(b"attachment:a1", "directory.state.v2", record(version=9))
    assert standing(directory) is Standing.CLOSED


def test_a_sealed_password_is_opened_by_its_agency_alone_and_says_for_which_key_it_is() -> None:
    theirs, other = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
    sealed = credentials.seal("a password", credentials.public_key(theirs.as_dict(private=False)))
    assert credentials.sealed_to(sealed) == theirs.thumbprint()
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
    assert jwe.decrypt_compact(sealed, theirs, registry=registry).plaintext == b"a password"
    with pytest.raises(JoseError):
        jwe.decrypt_compact(sealed, other, registry=registry)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"kty": "RSA"},
        RSAKey.generate_key(2048).as_dict(private=True),
        ECKey.generate_key("P-256").as_dict(private=False),
        {**RSAKey.generate_key(2048).as_dict(private=False), "use": "sig"},
        {**RSAKey.generate_key(2048).as_dict(private=False), "alg": "RSA1_5"},
    ],
    ids=["empty", "no numbers", "a private key", "another kind", "for signing", "another algorithm"],
)
def test_a_key_that_no_password_should_be_sealed_to_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(credentials.BadKey):
        credentials.public_key(given)
