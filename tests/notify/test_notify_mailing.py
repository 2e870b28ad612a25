"""The mail worker on a real database and a real mail server: retries, doubles, kills and revocations in between."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from notify import storage
from notify.handlers import Given, SmtpMailer, change_contact, revoke_notice, take_notice
from notify.handlers.contacts import PLACE, id_of
from notify.messages import NoticeDue, NoticeRevoked
from notify.model import Mail, Outcome
from tests.notify.conftest import Desk, person
from tests.notify.mailbox import Mailbox, open_mailbox


async def give(desk: Desk, who: str, email: str = "ung@eksempel.test") -> None:
    sealed = await desk.keys.seal(id_of(who), email, PLACE)
    async with desk.engine.begin() as conn:
        await change_contact(conn, desk.keys, who, Given(sealed, "nb", "each"), None, desk.clock.now())


async def take(desk: Desk, who: str) -> str:
    notice = str(uuid4())
    due = NoticeDue(notice=notice, recipient=who, cause=str(uuid4()))
    async with desk.engine.begin() as conn:
        await take_notice(conn, due, str(uuid4()), desk.clock.now())
    return notice


async def test_notice_and_delivery_are_there_together_or_not_at_all(desk: Desk) -> None:
    due = NoticeDue(notice=str(uuid4()), recipient=person(), cause=str(uuid4()))
    with pytest.raises(RuntimeError):
        async with desk.engine.begin() as conn:
            await take_notice(conn, due, "event", desk.clock.now())
            raise RuntimeError
    counted = "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM notice), (SELECT count(*) FROM delivery)"
    assert tuple((await desk.rows(counted))[0]) == (0, 0, 0)
    another = due.model_copy(update={"notice": str(uuid4())})
    for one in (due, due, another):  # an event is known by its own id, whatever is in it
        async with desk.engine.begin() as conn:
            await take_notice(conn, one, "event", desk.clock.now())
    assert tuple((await desk.rows(counted))[0]) == (1, 1, 1)


async def test_many_notices_that_wait_for_one_person_make_one_e_mail(desk: Desk, box: Mailbox) -> None:
    who, other = person(), person()
    await give(desk, who)
    await give(desk, other, "annen@eksempel.test")
    notices = [await take(desk, who) for _ in range(5)]
    await take(desk, other)
    mailing = desk.mailing()
    while await mailing.send_next():
        pass
    assert sorted(box.to) == [["annen@eksempel.test"], ["ung@eksempel.test"]]
    assert f"<{notices[0]}@samlogg.test>" in [mail["Message-ID"] for mail in box.mails]
    assert set(await desk.states()) == {"sent"}
    told = await desk.rows("SELECT type, count(*) FROM outbox GROUP BY type")
    assert [tuple(row) for row in told] == [("notice.sent.v1", 6)]


async def test_a_mail_server_that_is_away_is_tried_again_with_growing_waits(desk: Desk, box: Mailbox) -> None:
    who = person()
    await give(desk, who)
    await take(desk, who)
    settings = desk.settings.model_copy(update={"smtp_port": 9})
    away = desk.mailing(SmtpMailer(settings))
    waits = []
    for _ in range(6):
        started = desk.clock.now()
        assert await away.send_next()
        assert not await away.send_next(), "it is not tried again before its time"
        (row,) = await desk.rows("SELECT next_at, reason FROM delivery")
        waits.append((row.next_at - started).total_seconds())
        assert row.reason == "smtp-away"
        desk.clock.ahead += timedelta(seconds=waits[-1] + 0.1)
    assert waits == sorted(waits)
    assert waits[-1] > 20 * waits[0]
    assert desk.health.reasons() == {"mail": "smtp-away"}
    assert await desk.mailing().send_next()
    assert len(box.raw) == 1
    assert desk.health.reasons() == {}


async def test_giving_up_is_a_state_and_is_told(desk: Desk, box: Mailbox) -> None:
    who = person()
    await give(desk, who)
    await take(desk, who)
    box.rcpt = "450 busy"
    mailing = desk.mailing()
    for _ in range(30):
        if not await mailing.send_next():
            break
        desk.clock.ahead += timedelta(days=2)
    (row,) = await desk.rows("SELECT state, reason FROM delivery")
    assert tuple(row) == ("failed", "gave-up")
    assert [tuple(one) for one in await desk.rows("SELECT type FROM outbox")] == [("notice.failed.v1",)]


@pytest.mark.parametrize(
    ("rcpt", "data", "state", "reason"),
    [
        ("550 no such user", "250 OK", "failed", "address-refused"),
        ("250 OK", "554 looks like spam", "failed", "message-refused"),
        ("450 busy", "250 OK", "waiting", "smtp-450"),
        ("250 OK", "451 later", "waiting", "smtp-451"),
    ],
)
async def test_what_the_mail_server_says_decides_what_happens_next(
    desk: Desk, box: Mailbox, rcpt: str, data: str, state: str, reason: str
) -> None:
    who = person()
    await give(desk, who)
    await take(desk, who)
    box.rcpt, box.data = rcpt, data
    await desk.mailing().send_next()
    (row,) = await desk.rows("SELECT state, reason FROM delivery")
    assert tuple(row) == (state, reason)


class SendsThenLosesTheDatabase:
    """Really sends; then the worker's session ends before it can commit, as if it had been killed."""

    def __init__(self, desk: Desk) -> None:
        self.real, self.desk = SmtpMailer(desk.settings), desk

    async def send(self, message: Mail) -> Outcome:
        outcome = await self.real.send(message)
        await self.desk.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return outcome


async def test_an_e_mail_sent_twice_after_a_kill_carries_the_same_id(desk: Desk, box: Mailbox) -> None:
    who = person()
    await give(desk, who)
    notice = await take(desk, who)
    with pytest.raises((SQLAlchemyError, OSError)):
        await desk.mailing(SendsThenLosesTheDatabase(desk)).send_next()
    assert await desk.states() == ["waiting"]
    assert await desk.mailing().send_next()
    assert [mail["Message-ID"] for mail in box.mails] == [f"<{notice}@samlogg.test>"] * 2
    assert [tuple(one) for one in await desk.rows("SELECT type FROM outbox")] == [("notice.sent.v1",)]


async def test_four_workers_tell_of_each_notice_once(desk: Desk, box: Mailbox) -> None:
    for number in range(10):
        who = person()
        await give(desk, who, f"u{number}@eksempel.test")
        for _ in range(3):
            await take(desk, who)

    async def work() -> None:
        mailing = desk.mailing()
        while await mailing.send_next():
            pass

    await asyncio.gather(*(work() for _ in range(4)))
    assert {tuple(to) for to in box.to} == {(f"u{number}@eksempel.test",) for number in range(10)}
    ids = [mail["Message-ID"] for mail in box.mails]
    assert len(ids) == len(set(ids)) <= 30
    told = await desk.rows("SELECT convert_from(payload, 'UTF8'), count(*) FROM outbox GROUP BY 1")
    assert sorted(row[1] for row in told) == [1] * 30


async def test_a_revocation_during_the_sending_comes_after_it(desk: Desk, box: Mailbox) -> None:
    who = person()
    await give(desk, who)
    notice = await take(desk, who)
    sending = asyncio.Event()

    class Slow:
        async def send(self, message: Mail) -> Outcome:
            sending.set()
            await asyncio.sleep(0.5)
            return await SmtpMailer(desk.settings).send(message)

    async def revoke() -> None:
        await sending.wait()
        async with desk.engine.begin() as conn:
            await revoke_notice(conn, NoticeRevoked(notice=notice, recipient=who), "event", desk.clock.now())

    await asyncio.gather(desk.mailing(Slow()).send_next(), revoke())
    assert await desk.states() == ["sent"]
    assert len(box.raw) == 1


async def test_a_destroyed_key_ends_in_no_contact_and_not_in_a_loop(desk: Desk, box: Mailbox) -> None:
    who = person()
    await give(desk, who)
    await take(desk, who)
    await desk.keys.destroy(id_of(who))
    assert await desk.mailing().send_next()
    assert not await desk.mailing().send_next()
    assert await desk.states() == ["no-contact"]
    assert box.raw == []


async def test_an_old_notice_is_not_sent_when_a_contact_point_comes_late(desk: Desk, box: Mailbox) -> None:
    who = person()
    await take(desk, who)
    desk.clock.ahead = timedelta(days=8)
    await give(desk, who)
    assert not await desk.mailing().send_next()
    assert box.raw == []


async def test_the_worker_goes_on_when_the_mail_server_comes_back(desk: Desk, box: Mailbox) -> None:
    who = person()
    await give(desk, who)
    await take(desk, who)
    async with open_mailbox() as free:
        port = free.port
    settings = desk.settings.model_copy(update={"smtp_port": port})
    task = asyncio.create_task(desk.mailing(SmtpMailer(settings)).run())
    try:
        await asyncio.sleep(1.0)
        assert await desk.states() == ["waiting"]
        async with open_mailbox(port) as back:
            for _ in range(200):
                if back.raw:
                    break
                await asyncio.sleep(0.05)
            assert len(back.raw) == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_address_is_kept_sealed(desk: Desk) -> None:
    who = person()
    await give(desk, who, "ung@eksempel.test")
    (row,) = await desk.rows("SELECT email FROM contact")
    assert b"eksempel" not in bytes(row.email)
    async with desk.engine.connect() as conn:
        kept: Any = await storage.find_contact(conn, who)
        await conn.execute(text("SELECT 1"))
    assert await desk.keys.open(id_of(who), kept.email, PLACE) == "ung@eksempel.test"
