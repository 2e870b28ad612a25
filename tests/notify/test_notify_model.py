"""The rules of notices without any I/O, and the settings that stop the start."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from notify.model import Contact, Language, State, first_state, mail, message_id, next_try
from notify.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LANGUAGES: tuple[Language, ...] = get_args(Language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_e_mail_says_only_that_there_is_a_message(language: Language) -> None:
    first = mail(Contact("a@b.test", language, "each"), "notice-1", "log@samlogg.test")
    other = mail(Contact("a@b.test", language, "each"), "notice-2", "log@samlogg.test")
    assert (first.subject, first.body) == (other.subject, other.body)
    assert "http" not in first.body
    assert "www" not in first.body
    assert not any(letter.isdigit() for letter in first.subject + first.body)
    assert first.message_id != other.message_id


def test_the_words_differ_between_languages() -> None:
    bodies = {mail(Contact("a@b.test", one, "each"), "n", "log@samlogg.test").body for one in LANGUAGES}
    assert len(bodies) == 4


def test_a_message_id_is_the_same_for_every_copy() -> None:
    assert message_id("7d9f", "log@samlogg.test") == message_id("7d9f", "log@samlogg.test") == "<7d9f@samlogg.test>"


@pytest.mark.parametrize(
    ("contact", "state"),
    [
        (None, "no-contact"),
        (Contact(None, "nb", "each"), "no-contact"),
        (Contact("a@b.test", "nb", "each"), "waiting"),
        (Contact("a@b.test", "nb", "off"), "turned-off"),
        (Contact(None, "nb", "off"), "turned-off"),
    ],
)
def test_where_a_notice_begins(contact: Contact | None, state: State) -> None:
    assert first_state(contact) == state


def test_waits_grow_and_end_after_about_two_days() -> None:
    waits: list[float] = []
    tries = 1
    while (at := next_try(tries, NOW)) is not None:
        waits.append((at - NOW).total_seconds())
        tries += 1
    assert waits == sorted(set(waits))
    assert waits[0] <= 5
    assert 36 * 3_600 <= sum(waits) <= 72 * 3_600


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"mode": "production", "smtp_host": "mail.example.test", "smtp_tls": "none"}, "needs TLS"),
        ({"key_encryption_key": ""}, "32 bytes"),
        ({"hash_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "zeros"),
        ({"smtp_from": "Log\r\nBcc: x@y.test"}, "pattern"),
        ({"smtp_host": ""}, "at least 1"),
    ],
)
def test_unsafe_settings_stop_the_start(make_settings: Callable[..., Settings], more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        make_settings(**more)


def test_mail_beyond_this_machine_is_encrypted_unless_said_otherwise(
    make_settings: Callable[..., Settings],
) -> None:
    assert make_settings(smtp_host="mail.example.test").tls == "starttls"
    assert make_settings(smtp_host="127.0.0.1").tls == "none"
    assert make_settings(smtp_host="mailbox", smtp_tls="none").tls == "none"
