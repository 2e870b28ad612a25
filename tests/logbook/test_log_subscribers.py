"""Consent events become participants, once each, in whatever order they come; the directory's state becomes guides."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import causes, events
from chassis.clock import rfc3339
from logbook import messages, storage
from logbook.handlers import participation as participation_handler
from logbook.model import Guide, Guides
from logbook.storage.tables import inbox, participation
from logbook.subscribers import take_directory_record, to_told
from tests.logbook.callers import NURSE, SCHOOL, Door, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOW = datetime.now(UTC)


@dataclass
class Bus:
    """The real handlers on the real database; what is told together comes as one batch."""

    engine: AsyncEngine
    waiting: list[Any] = field(default_factory=list)

    async def bring(self) -> None:
        """Hand over what waits."""
        batch, self.waiting = self.waiting, []
        read = [found for record in batch if (found := to_told(record)) is not None]
        async with self.engine.begin() as conn:
            await participation_handler.take(conn, read)


@pytest.fixture
def broker(engine: AsyncEngine) -> Bus:
    return Bus(engine)


def granted(subject: str, service: str = SCHOOL, **more: Any) -> dict[str, Any]:
    return {
        "grant": str(uuid4()), "subject": subject, "recipient": f"service:{service}", "categories": ["school"],
        "actions": ["read", "contribute"], "from": rfc3339(NOW - timedelta(hours=1)), "until": None, "version": 3,
    } | more  # fmt: skip


def withdrawn(grant: dict[str, Any]) -> dict[str, Any]:
    kept = {name: grant[name] for name in ("grant", "subject", "recipient", "categories")}
    return kept | {"version": 4, "change": str(uuid4())}


async def tell(broker: Bus, kind: str, data: dict[str, Any], event: str | None = None, *, more: bool = False) -> None:
    """One event; more: it comes with the next."""
    made = events.Event(event or str(uuid4()), kind, "/samlogg/consent", data["subject"], NOW, data)
    broker.waiting.append(
        ConsumerRecord(
            messages.CONSENT_EVENTS, 0, 0, 0, 0, made.key.encode(), events.value(made), None, 0, 0,
            tuple(events.headers(made)),
        )
    )  # fmt: skip
    if not more:
        await broker.bring()


async def taking_part(engine: AsyncEngine, subject: str, at: datetime = NOW) -> list[str]:
    async with engine.connect() as conn:
        return [found.recipient for found in await storage.participants(conn, subject, at)]


@pytest.mark.requirement("F037")
async def test_a_service_takes_part_from_its_grant_to_its_withdrawal(
    broker: Bus, engine: AsyncEngine, door: Door
) -> None:
    await door.open(staff(NURSE))
    assert await taking_part(engine, door.subject) == []
    grant = granted(door.subject)
    await tell(broker, messages.CONSENT_GRANTED, grant)
    assert await taking_part(engine, door.subject) == [f"service:{SCHOOL}"]
    seen = await door.get("log", staff(NURSE))
    assert [each["id"] for each in seen["participants"]] == [SCHOOL]
    await tell(broker, messages.CONSENT_WITHDRAWN, withdrawn(grant))
    assert await taking_part(engine, door.subject) == []
    assert (await door.get("log", staff(NURSE)))["participants"] == []


async def test_a_doubled_event_has_one_effect(broker: Bus, engine: AsyncEngine) -> None:
    subject, event = str(uuid4()), str(uuid4())
    grant = granted(subject)
    for _ in range(3):
        await tell(broker, messages.CONSENT_GRANTED, grant, event)
    async with engine.connect() as conn:
        kept = await conn.scalar(select(func.count()).select_from(inbox).where(inbox.c.event == event))
        rows = (await conn.execute(select(participation).where(participation.c.subject == subject))).all()
    assert (kept, len(rows)) == (1, 1)


async def test_a_grant_that_comes_after_its_own_withdrawal_does_not_come_back_to_life(
    broker: Bus, engine: AsyncEngine
) -> None:
    subject = str(uuid4())
    grant = granted(subject)
    await tell(broker, messages.CONSENT_WITHDRAWN, withdrawn(grant))
    await tell(broker, messages.CONSENT_GRANTED, grant)
    assert await taking_part(engine, subject) == []
    another = granted(subject)
    await tell(broker, messages.CONSENT_GRANTED, another)
    assert await taking_part(engine, subject) == [f"service:{SCHOOL}"]


async def test_in_one_batch_each_event_has_its_effect_and_what_is_doubled_has_one(
    broker: Bus, engine: AsyncEngine
) -> None:
    first, second, event = str(uuid4()), str(uuid4()), str(uuid4())
    over, going_on, other = granted(first), granted(first), granted(second)
    await tell(broker, messages.CONSENT_GRANTED, over, event)
    for grant, id_ in ((over, event), (going_on, None), (other, None)):
        await tell(broker, messages.CONSENT_GRANTED, grant, id_, more=True)
    await tell(broker, "consent.denied.v1", {"request": "r", "subject": first, "by": "p"}, more=True)
    await tell(broker, messages.CONSENT_WITHDRAWN, withdrawn(over), event := str(uuid4()), more=True)
    await tell(broker, messages.CONSENT_WITHDRAWN, withdrawn(over), event)
    async with engine.connect() as conn:
        rows = await conn.execute(select(participation).where(participation.c.subject.in_((first, second))))
        found = {str(row.grant): row.withdrawn_at for row in rows}
    assert {grant: at is None for grant, at in found.items()} == {
        over["grant"]: False, going_on["grant"]: True, other["grant"]: True,
    }  # fmt: skip


async def test_a_grant_counts_in_its_own_interval_only(broker: Bus, engine: AsyncEngine) -> None:
    subject, hour = str(uuid4()), timedelta(hours=1)
    begins, ends = NOW + hour, NOW + 3 * hour
    await tell(broker, messages.CONSENT_GRANTED, granted(subject, **{"from": rfc3339(begins), "until": rfc3339(ends)}))
    asked = (NOW, NOW + 2 * hour, NOW + 4 * hour)
    assert [len(await taking_part(engine, subject, at)) for at in asked] == [0, 1, 0]


async def test_types_that_are_not_for_us_and_new_fields_are_passed_over(broker: Bus, engine: AsyncEngine) -> None:
    subject = str(uuid4())
    await tell(broker, "consent.denied.v1", {"request": "r", "subject": subject, "by": "p"})
    await tell(broker, "consent.something-new.v7", {"subject": subject})
    await tell(broker, messages.CONSENT_GRANTED, granted(subject, novelty={"deep": [1]}))
    assert await taking_part(engine, subject) == [f"service:{SCHOOL}"]


async def test_an_event_without_what_is_relied_on_is_not_taken_and_its_reason_holds_no_input(
    broker: Bus, engine: AsyncEngine
) -> None:
    subject = str(uuid4())
    broken = granted(subject, recipient="Ola Nordmann")
    with pytest.raises(Exception) as error:
        await tell(broker, messages.CONSENT_GRANTED, broken)
    why = causes.reason(error.value)
    assert "recipient" in why
    assert "Ola" not in why
    assert not causes.caused_by_a_part(error.value)
    assert await taking_part(engine, subject) == []


async def test_the_inbox_row_and_the_effect_are_one_transaction(
    broker: Bus, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two: neither is there, and the next delivery does both."""
    subject, event = str(uuid4()), str(uuid4())
    grant = granted(subject)

    async def dies(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(storage, "keep_grants", dies)
        with pytest.raises(RuntimeError):
            await tell(broker, messages.CONSENT_GRANTED, grant, event)
    async with engine.connect() as conn:
        assert await conn.scalar(select(func.count()).select_from(inbox).where(inbox.c.event == event)) == 0
    await tell(broker, messages.CONSENT_GRANTED, grant, event)
    assert await taking_part(engine, subject) == [f"service:{SCHOOL}"]


def directory_record(guides: Guides, body: dict[str, Any] | bytes | None, key: str = "district:gamlebyen") -> None:
    kind = "consent.barrier.v1" if key == "!barrier" else messages.DIRECTORY_CHANGED
    made = events.Event(str(uuid4()), kind, "/samlogg/directory", key, NOW, body if isinstance(body, dict) else {})
    value = events.value(made) if isinstance(body, dict) else body
    take_directory_record(guides, key.encode(), value, events.headers(made))


async def test_the_directorys_state_says_which_levels_a_district_has() -> None:
    guides = Guides()
    body = {
        "version": 2, "kind": "district", "id": "gamlebyen", "levels": [0, 1, 2],
        "settings": {"log_from_level": 2, "method_name": "BTI"}, "names": {"nb": "Gamlebyen"},
    }  # fmt: skip
    directory_record(guides, {"version": 1, "kind": "staff", "id": "x"}, "staff:x")
    directory_record(guides, {"epoch": 1}, "!barrier")
    assert guides.of("gamlebyen") is None
    directory_record(guides, body)
    assert guides.of("gamlebyen") == Guide("gamlebyen", 2, (0, 1, 2), 2, ("stafettlogg",))
    directory_record(guides, body | {"version": 1, "levels": [0]})
    assert guides.of("gamlebyen") == Guide("gamlebyen", 2, (0, 1, 2), 2, ("stafettlogg",))


@pytest.mark.parametrize("broken", [None, b"{", b"[]", b'{"version": 3}', b'{"kind": "district", "id": "x"}'])
async def test_a_district_whose_record_cannot_be_read_is_closed_and_no_other(broken: bytes | None) -> None:
    guides = Guides()
    for name in ("gamlebyen", "other"):
        body = {"version": 2, "kind": "district", "id": name, "levels": [0, 1], "settings": {}}
        directory_record(guides, body, f"district:{name}")
    directory_record(guides, broken)
    assert guides.of("gamlebyen") is None
    assert guides.of("other") is not None


async def test_a_slice_refuses_what_it_relies_on_and_nothing_else() -> None:
    good = granted("subject-1")
    assert messages.ConsentGranted.model_validate(good).grant == good["grant"]
    for name in ("grant", "subject", "recipient", "categories", "actions", "from"):
        with pytest.raises(ValidationError):
            messages.ConsentGranted.model_validate({key: value for key, value in good.items() if key != name})
