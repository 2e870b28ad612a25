"""Logs, their levels, holders, handovers and participants: the few queries they need. Nothing here commits."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, and_, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Permit
from logbook import model
from logbook.model import Author, Holder, LevelChange, Log, Offer, Participation
from logbook.storage.tables import handover, holder, level_change, log, participation


async def lock_log(conn: AsyncConnection, subject: str) -> Log:
    """The open log of the subject, locked until the transaction ends; NoSuchLog.

    Every write goes through here, so numbers and events of one subject come in the order of their commits.
    """
    await conn.execute(select(log.c.id).where(log.c.subject == subject, log.c.closed_at.is_(None)).with_for_update())
    found = await current_log(conn, subject)
    if found is None:
        raise model.NoSuchLog
    return found


async def current_log(conn: AsyncConnection, subject: str) -> Log | None:
    """The open log of the subject with its holder."""
    query = (
        select(log, holder.c.service, holder.c.staff, holder.c.since)
        .join(holder, and_(holder.c.id == log.c.holder, holder.c.until.is_(None)))
        .where(log.c.subject == subject, log.c.closed_at.is_(None))
    )
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        return None
    held = Holder(row["holder"], row["service"], row["staff"], row["since"])
    return Log(row["id"], subject, row["plan_type"], row["guide"], row["level"], held, row["number"])


async def add_log(conn: AsyncConnection, found: Log, now: datetime) -> None:
    """Insert the log with its first holder; LogAlreadyOpen when the subject has one, also when two come at once.

    Its numbers go on where those of an earlier log of the subject ended.
    """
    before = select(func.coalesce(func.max(log.c.number), 0)).where(log.c.subject == found.subject).scalar_subquery()
    row = await conn.execute(
        upsert(log)
        .values(
            id=found.id,
            subject=found.subject,
            plan_type=found.plan_type,
            guide=found.guide,
            level=found.level,
            number=before,
            holder=found.holder.id,
            opened_at=now,
        )
        .on_conflict_do_nothing()
        .returning(log.c.id)
    )
    if row.first() is None:
        raise model.LogAlreadyOpen
    await _add_holder(conn, found.id, found.holder)


async def _add_holder(conn: AsyncConnection, log_id: str, turn: Holder) -> None:
    values = {"id": turn.id, "log": log_id, "service": turn.service, "staff": turn.staff, "since": turn.since}
    await conn.execute(insert(holder).values(values))


async def next_number(conn: AsyncConnection, found: Log) -> int:
    """Count one more change in the log; the caller has locked it."""
    changed = update(log).where(log.c.id == found.id).values(number=log.c.number + 1).returning(log.c.number)
    return int((await conn.execute(changed)).scalar_one())


async def add_level(conn: AsyncConnection, log_id: str, number: int, change: LevelChange, reason: bytes) -> None:
    """Set the level and keep the change in the history."""
    await conn.execute(update(log).where(log.c.id == log_id).values(level=change.level, guide=change.guide))
    await conn.execute(
        insert(level_change).values(
            id=change.id,
            log=log_id,
            number=number,
            level=change.level,
            guide=change.guide,
            guide_version=change.guide_version,
            at=change.at,
            reason=reason,
            categories=list(change.categories),
            **author_columns(change.by),
        )
    )


async def level_history(conn: AsyncConnection, permit: Permit, log_id: str) -> list[tuple[LevelChange, bytes]]:
    """Level changes that the permit leaves, oldest first, each with its sealed reason (b"" where that is not seen)."""
    rows = (
        await conn.execute(
            select(level_change)
            .join(log, log.c.id == level_change.c.log)
            .where(level_change.c.log == log_id, log.c.subject == permit.subject)
            .order_by(level_change.c.number)
        )
    ).mappings()
    found = []
    for row in rows:
        change = LevelChange(
            row["id"],
            row["level"],
            row["at"],
            author_of(row),
            row["guide"],
            row["guide_version"],
            None,
            tuple(row["categories"]),
        )
        if model.change_is_seen(permit, change):
            found.append((change, bytes(row["reason"]) if model.reason_is_seen(permit, change) else b""))
    return found


async def holders(conn: AsyncConnection, permit: Permit, log_id: str) -> list[Holder]:
    """Every turn with the baton, oldest first. Earlier holders are participants: the caller's cut decides on them."""
    query = (
        select(holder)
        .join(log, log.c.id == holder.c.log)
        .where(holder.c.log == log_id, log.c.subject == permit.subject)
        .order_by(holder.c.since, holder.c.id)
    )
    rows = (await conn.execute(query)).mappings()
    return [Holder(row["id"], row["service"], row["staff"], row["since"], row["until"]) for row in rows]


async def waiting_offer(conn: AsyncConnection, log_id: str) -> Offer | None:
    """The handover that waits for an answer."""
    query = select(handover).where(handover.c.log == log_id, handover.c.ended_at.is_(None))
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else Offer(row["id"], row["to_service"], author_of(row), row["offered_at"])


async def add_offer(conn: AsyncConnection, log_id: str, offer: Offer) -> None:
    """Keep the offer; one that waited is ended by it."""
    await _end_offer(conn, log_id, offer.at, accepted=0)
    values = {"id": offer.id, "log": log_id, "to_service": offer.to_service, "offered_at": offer.at}
    await conn.execute(insert(handover).values(values | author_columns(offer.by)))


async def hand_over(conn: AsyncConnection, log_id: str, ended: Holder, begun: Holder) -> None:
    """End one turn, begin the next and point the log to it; the constraint on `log` sees to it at commit."""
    await _end_offer(conn, log_id, begun.since, accepted=1)
    await conn.execute(update(holder).where(holder.c.id == ended.id).values(until=ended.until))
    await _add_holder(conn, log_id, begun)
    await conn.execute(update(log).where(log.c.id == log_id).values(holder=begun.id))


async def _end_offer(conn: AsyncConnection, log_id: str, at: datetime, *, accepted: int) -> None:
    waiting = and_(handover.c.log == log_id, handover.c.ended_at.is_(None))
    await conn.execute(update(handover).where(waiting).values(ended_at=at, accepted=accepted))


async def participants(conn: AsyncConnection, subject: str, now: datetime) -> list[Participation]:
    """Who has a live grant at `now`, as far as the log has been told."""
    live = select(participation).where(
        participation.c.subject == subject,
        participation.c.withdrawn_at.is_(None),
        participation.c.since <= now,
        or_(participation.c.until.is_(None), participation.c.until > now),
    )
    rows = (await conn.execute(live.order_by(participation.c.since, participation.c.grant))).mappings()
    return [
        Participation(row["grant"], row["recipient"], tuple(row["categories"]), tuple(row["actions"]), row["since"])
        for row in rows
    ]


async def has_left(conn: AsyncConnection, subject: str, recipient: str, now: datetime) -> bool:
    """Has the log been told of grants to this recipient, and has the last of them ended? What is not known has not."""
    known = select(participation.c.grant).where(
        participation.c.subject == subject, participation.c.recipient == recipient
    )
    live = known.where(
        participation.c.withdrawn_at.is_(None), or_(participation.c.until.is_(None), participation.c.until > now)
    )
    row = (await conn.execute(select(known.exists().label("known"), live.exists().label("live")))).one()
    return bool(row.known) and not row.live


async def granted_to(conn: AsyncConnection, grants: Iterable[str]) -> dict[str, str]:
    """Recipient by grant, for those that the log has been told of."""
    query = select(participation.c.grant, participation.c.recipient).where(participation.c.grant.in_(list(grants)))
    return {row.grant: row.recipient for row in await conn.execute(query)}


async def keep_grants(conn: AsyncConnection, began: Sequence[tuple[str, Participation, datetime | None]]) -> None:
    """Grants have come into force: of whom, what, until when. An end that was heard of before stays: grants are
    immutable and end once."""
    query = upsert(participation)
    names = ("subject", "recipient", "categories", "actions", "since", "until")
    kept = query.on_conflict_do_update(index_elements=["grant"], set_={name: query.excluded[name] for name in names})
    rows = [
        {
            "grant": found.grant, "subject": subject, "recipient": found.recipient,
            "categories": list(found.categories), "actions": list(found.actions), "since": found.since, "until": until,
        }
        for subject, found, until in began
    ]  # fmt: skip
    if rows:
        await conn.execute(kept, rows)


async def end_grants(conn: AsyncConnection, ended: Mapping[str, tuple[str, str, datetime]]) -> None:
    """Grants have ended, whether or not their beginning has been heard of: by grant subject, recipient and when."""
    query = upsert(participation)
    kept = query.on_conflict_do_update(index_elements=["grant"], set_={"withdrawn_at": query.excluded.withdrawn_at})
    rows = [
        {
            "grant": grant, "subject": subject, "recipient": recipient, "categories": [], "actions": [],
            "withdrawn_at": at,
        }
        for grant, (subject, recipient, at) in ended.items()
    ]  # fmt: skip
    if rows:
        await conn.execute(kept, rows)


def author_columns(by: Author) -> dict[str, str | None]:
    """Who did it, as columns."""
    return {"by_kind": by.kind, "by_id": by.id, "by_service": by.service}


def author_of(row: RowMapping) -> Author:
    """Who did it, from a row with those columns."""
    return Author(row["by_kind"], row["by_id"], row["by_service"])
