"""Which services take part: one look, and for each of them the one call that removes it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor, Permit
from consent.handlers.grant_views import grants_for
from consent.model.law import Law


async def services_for(
    conn: AsyncConnection, law: Law, permit: Permit, actor: Actor, wishes: Sequence[str], now: datetime
) -> dict[str, Any]:
    """The services that hold a grant by consent that the reader is shown, by name, and how many they are."""
    shown = await grants_for(conn, law, permit, actor, wishes, now)
    by_service: dict[str, list[Mapping[str, Any]]] = {}
    for item in shown["items"]:
        if item["kind"] == "consent" and item["recipient"].startswith("service:"):  # a person who is let see is none
            by_service.setdefault(item["recipient"], []).append(item)
    items = sorted((_taking_part(found) for found in by_service.values()), key=lambda item: item["name"])
    return {"items": items, "next": None, "services": shown["services"]}


def _taking_part(grants: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = grants[0]
    ends = [grant["until"] for grant in grants]
    since = min(grant["from"] for grant in grants)
    return {
        "kind": "service", "at": since, "service": first["recipient"].removeprefix("service:"),
        "name": first["name"] or "", "categories": _all(grants, "categories"), "since": since,
        "until": None if None in ends else max(ends),
        "may": [
            {
                "grant": grant["id"], "categories": grant["categories"], "actions": grant["actions"],
                "until": grant["until"], "state": grant["state"],
            }
            for grant in grants
        ],
        "end": next((grant["end"] for grant in grants if grant["end"] is not None), None),
    }  # fmt: skip


def _all(grants: Iterable[Mapping[str, Any]], field: str) -> list[str]:
    return sorted({one for grant in grants for one in grant[field]})
