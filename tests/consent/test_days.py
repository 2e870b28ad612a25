"""What time alone brings: grants end by their date, requests open again on a birthday, and people are warned in time."""

from datetime import UTC, datetime, timedelta

import pytest

from consent import storage
from consent.handlers import days
from consent.handlers.tables import current_law
from tests.consent.callers import NURSE, Case, ahead, asked, today
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")
SCHOOL_ONLY = [asked(NURSE, "school", actions=("read",))]
BOTH = [asked(NURSE, "school", "health", actions=("read",))]


def noon(days_ahead: int) -> datetime:
    """The middle of a day to come, where the municipality is."""
    day = today() + timedelta(days=days_ahead)
    return datetime(day.year, day.month, day.day, 11, tzinfo=UTC)


async def look(case: Case, when: datetime) -> None:
    """What the leader does for this subject when it looks then; others are left alone."""
    async with case.desk.engine.begin() as conn:
        law = current_law()
        rows = await conn.execute(
            storage.subject.select().where(
                storage.subject.c.id == case.subject, storage.subject.c.due <= when.timestamp()
            )
        )
        if rows.first() is None:
            return
        await conn.execute(storage.subject.update().where(storage.subject.c.id != case.subject).values(due=None))
        await days.some(conn, law, 10, when)


async def test_a_grant_that_ends_by_its_date_raises_an_event(make_case: MakeCase) -> None:
    case = await (await make_case(15, cells=SCHOOL_ONLY, until=ahead(20))).everybody_agrees()
    await look(case, noon(0))
    told = len(await case.events())
    await look(case, noon(19))
    await case.desk.confirm()
    assert "consent.withdrawn.v1" not in (await case.events())[told:]
    await look(case, noon(22))
    await case.desk.confirm()
    assert (await case.events())[-1] == "consent.withdrawn.v1"
