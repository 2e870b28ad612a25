"""What anybody may read without logging in: the district, its services, and its guide. Never a member of staff."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from directory import model, storage
from directory.handlers.districts import revision
from directory.model.contact import words


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for. after: the id of the last service already seen."""

    district: str | None
    age: int | None
    text: str
    after: str
    limit: int


async def services(conn: AsyncConnection, question: Question, today: date) -> tuple[list[dict[str, Any]], str | None]:
    """Services that fit, by id, and the id to go on after (None: that was all)."""
    agencies = {row["id"]: row["body"]["names"] for row in await storage.listed(conn, "agency", active=None)}
    wanted = words([question.text])
    fitting = []
    for row in await storage.listed(conn, "service", district=question.district):
        service = model.service_from(row["id"], row["body"])
        names = agencies.get(service.agency, {})
        if row["id"] > question.after and model.matching(service, age=question.age, wanted=wanted, agency_names=names):
            fitting.append(_shown(service, row, names, today))
    page = fitting[: question.limit]
    return page, page[-1]["id"] if len(fitting) > len(page) else None


async def service(conn: AsyncConnection, id_: str, today: date) -> dict[str, Any]:
    """One service. model.Unknown when there is none."""
    row = await storage.find(conn, "service", id_)
    if row is None or not row["active"]:
        raise model.Unknown
    agency = await storage.find(conn, "agency", row["body"]["agency"])
    return _shown(model.service_from(id_, row["body"]), row, {} if agency is None else agency["body"]["names"], today)


def _shown(service_: model.Service, row: RowMapping, agency_names: Mapping[str, str], today: date) -> dict[str, Any]:
    shown: dict[str, Any] = model.plain(service_)
    return {
        **shown, "district": row["district"], "agency_names": dict(agency_names), "version": row["version"],
        "ages": {"from": service_.ages.first, "to": service_.ages.last},
        "stale": model.stale(service_.review_due, today),
    }  # fmt: skip


async def guide(conn: AsyncConnection, district: str, version: int | None, today: date) -> dict[str, Any]:
    """The district's guide: the current one, or the version a log was opened under. model.Unknown without any."""
    row = await storage.newest_guide(conn, district, version)
    if row is None:
        raise model.Unknown
    ages = row["body"]["ages"]
    return {
        **row["body"], "district": district, "version": row["version"], "since": row["since"],
        "ages": {"from": ages["first"], "to": ages["last"]},
        "stale": model.stale(date.fromisoformat(row["body"]["review_due"]), today),
    }  # fmt: skip


async def district(conn: AsyncConnection, id_: str) -> dict[str, Any]:
    """The district with its categories and agencies. model.Unknown when there is none."""
    row = await storage.find(conn, "district", id_)
    if row is None:
        raise model.Unknown
    services_ = await storage.listed(conn, "service", district=id_)
    used = {one["body"]["agency"] for one in services_}
    agencies = [
        {"id": one["id"], **{name: one["body"][name] for name in ("orgnr", "sector", "parent", "names")}}
        for one in await storage.listed(conn, "agency")
        if one["district"] == id_ or one["id"] in used
    ]
    categories = [{"id": one["id"], **one["body"]} for one in await storage.listed(conn, "category")]
    return {
        "id": id_, **row["body"], "agencies": agencies, "categories": categories, "revision": await revision(conn, id_),
    }  # fmt: skip
