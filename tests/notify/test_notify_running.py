"""The whole of notify: from an event on the bus to an e-mail in a mailbox."""

import json
import logging
from uuid import uuid4

import pytest

from notify.messages import NOTICES
from tests.bus import until
from tests.notify.conftest import Running, person

CANARIES = {
    "name": "Ylva Kanarifugl", "national_id": "13897512345", "category": "barnevern-kanari", "service": "politi-kanari",
    "text": "kanari skrev dette",
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("nb", "Du har en melding i loggen"),
        ("nn", "Du har ei melding i loggen"),
        ("en", "You have a message in the log"),
        ("se", "Dus lea diehtu loggas"),
    ],
)
async def test_a_notice_becomes_one_e_mail_in_the_persons_language(running: Running, language: str, words: str) -> None:
    who = person()
    await running.doors.contact(who, "ung@eksempel.test", language)
    notice = await running.due(who)
    await running.until_states(who, ["sent"])
    (mail,) = running.box.mails
    assert running.box.to == [["ung@eksempel.test"]]
    assert mail["Subject"] == words
    assert words in mail.get_content()
    assert (mail["From"], mail["Auto-Submitted"]) == ("loggen@samlogg.test", "auto-generated")
    assert mail["Message-ID"] == f"<{notice}@samlogg.test>"
    assert mail["Content-Language"] == language
    assert await running.told(who, 1) == [("notice.sent.v1", {"notice": notice})]


async def test_nothing_of_what_it_is_about_comes_into_the_e_mail_the_log_or_the_bus(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    who, subject = person(), str(uuid4())
    await running.doors.contact(who, "ung@eksempel.test")
    notice = await running.due(who, subject=subject, **CANARIES)
    await running.due(who, **(CANARIES | {"cause": None}))  # a bad one, for the dead letter's reason
    await running.until_states(who, ["sent"])
    (raw,) = running.box.raw
    told = json.dumps(await running.told(who, 1))
    (letter,) = await running.bus.records(
        f"{NOTICES}.dlq", 1, wanted=lambda one: one.key == who.partition(":")[2].encode()
    )
    reason = dict(letter.headers)["dlq_reason"].decode()
    log = "\n".join(one.getMessage() for one in caplog.records if one.name != "mail.log")  # the mail server's own
    seen = {"mail": raw.decode(), "log": log, "events": told, "reason": reason}
    for place, words in seen.items():
        for canary in (*CANARIES.values(), subject, "Kanari", "kanari"):
            assert canary not in words, f"{canary} in the {place}"
    assert "eksempel" not in log
    assert who.partition(":")[2] not in raw.decode(), "the e-mail does not carry the person's id either"
    assert reason == "string_type at body.cause"
    assert notice in raw.decode()


async def test_a_doubled_event_and_a_doubled_notice_make_one_e_mail(running: Running) -> None:
    who = person()
    await running.doors.contact(who, "ung@eksempel.test")
    event = str(uuid4())
    notice = await running.due(who, event=event)
    await running.due(who, notice=notice, event=event)
    await running.due(who, notice=notice)
    last = await running.due(who)
    await until(lambda: any(last in str(mail["Message-ID"]) for mail in running.box.mails) or len(running.box.raw) > 1)
    await running.until_states(who, ["sent", "sent"])
    ids = [mail["Message-ID"] for mail in running.box.mails]
    assert len(ids) == len(set(ids)) <= 2


async def test_a_notice_without_contact_point_is_shown_and_sent_when_one_comes(running: Running) -> None:
    who = person()
    for _ in range(3):
        await running.due(who)
    await running.until_states(who, ["no-contact"] * 3)
    assert running.box.raw == []
    await running.doors.contact(who, "ung@eksempel.test")
    await running.until_states(who, ["sent", "no-contact", "no-contact"])
    assert len(running.box.raw) == 1


async def test_who_turned_notices_off_gets_no_e_mail_and_sees_them_all_the_same(running: Running) -> None:
    who = person()
    await running.doors.contact(who, "ung@eksempel.test", notices="off")
    await running.due(who)
    await running.until_states(who, ["turned-off"])
    assert running.box.raw == []


async def test_a_notice_revoked_while_it_waits_is_never_sent(running: Running) -> None:
    who = person()
    running.box.rcpt = "451 later"
    await running.doors.contact(who, "ung@eksempel.test")
    notice = await running.due(who)
    await running.until_states(who, ["waiting"])
    await running.revoked(who, notice)
    await running.until_states(who, ["revoked"])
    running.box.rcpt = "250 OK"
    after = await running.due(who)
    await until(lambda: running.box.raw)
    assert [mail["Message-ID"] for mail in running.box.mails] == [f"<{after}@samlogg.test>"]


async def test_a_revocation_that_comes_first_wins_and_one_that_comes_late_changes_nothing(running: Running) -> None:
    who, early = person(), str(uuid4())
    await running.doors.contact(who, "ung@eksempel.test")
    await running.revoked(who, early)
    await running.due(who, notice=early)
    late = await running.due(who)
    await running.until_states(who, ["sent", "revoked"])
    await running.revoked(who, late)
    last = await running.due(who)
    await running.until_states(who, ["sent", "sent", "revoked"])
    assert [mail["Message-ID"] for mail in running.box.mails] == [f"<{one}@samlogg.test>" for one in (late, last)]


async def test_an_address_that_is_refused_is_shown_as_failed_and_told(running: Running) -> None:
    who = person()
    running.box.rcpt = "550 no such user"
    await running.doors.contact(who, "feil@eksempel.test")
    notice = await running.due(who)
    await running.until_states(who, ["failed"])
    assert (await running.doors.notices(who))[0]["reason"] == "address-refused"
    told = await running.told(who, 1)
    assert told == [("notice.failed.v1", {"notice": notice, "reason": "address-refused"})]


async def test_a_staff_member_is_told_like_anybody_else(running: Running) -> None:
    who = f"staff:{uuid4()}"
    await running.doors.contact(who, "lerer@skole.test", "nn")
    await running.due(who)
    await running.until_states(who, ["sent"])
    assert running.box.to == [["lerer@skole.test"]]
