"""Attaching an agency: its opaque name, its sealed credential, and its end."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.permit import Actor
from directory import storage
from directory.handlers import attachments
from tests.directory.conftest import Door

AGENCY = "police-district"


@pytest.fixture
def body(public_key: dict[str, Any]) -> dict[str, Any]:
    """What the police attach with."""
    return {"services": ["police-prevention"], "public_key": public_key, "ports": ["listen", "contribute"]}


def _machine(agency: str = AGENCY) -> Actor:
    return Actor("machine", str(uuid4()), ("police-prevention",), None, agency, "high")


async def test_an_attachment_says_nothing_of_its_agency_in_what_the_bus_shows(
    door: Door, engine: AsyncEngine, document: dict[str, Any], body: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put("/districts/gamlebyen", json=document)
        answer = await admin.post(f"/agencies/{AGENCY}/attachments", json=body)
        assert answer.status_code == 201
        made = answer.json()
        assert made["provisioned"] is False and made["status"] == "pending" and made["active"] is True
        other = (await admin.post(f"/agencies/{AGENCY}/attachments", json=body)).json()
        assert len(made["opaque"]) == 16 and made["opaque"] != other["opaque"]
        assert (await admin.get(f"/attachments/{made['id']}")).json() == made


@pytest.mark.parametrize(
    ("agency", "change", "status"),
    [
        ("nowhere", {}, 404),
        (AGENCY, {"services": ["gamlebyen-school"]}, 422),
        (AGENCY, {"services": []}, 422),
        (AGENCY, {"ports": ["answer"]}, 422),
        (AGENCY, {"ports": ["listen", "listen"]}, 422),
        (AGENCY, {"public_key": {"kty": "oct", "n": "AA", "e": "AQAB"}}, 422),
    ],
)
async def test_an_attachment_that_does_not_fit_is_refused(
    door: Door, document: dict[str, Any], body: dict[str, Any], agency: str, change: dict[str, Any], status: int
) -> None:
    async with await door.admin() as admin:
        await admin.put("/districts/gamlebyen", json=document)
        answer = await admin.post(f"/agencies/{agency}/attachments", json={**body, **change})
    assert answer.status_code == status


async def test_a_repeated_request_under_one_key_makes_one_attachment(
    door: Door, engine: AsyncEngine, document: dict[str, Any], body: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put("/districts/gamlebyen", json=document)
        answers = [
            await admin.post(f"/agencies/{AGENCY}/attachments", json=body, headers={"Idempotency-Key": "k"})
            for _ in range(2)
        ]
    assert answers[0].json() == answers[1].json() and answers[1].status_code == 201
    async with engine.connect() as conn:
        assert len(await storage.listed(conn, "attachment")) == 1


async def test_only_the_agency_itself_gets_its_credential_and_only_once_it_is_made(
    door: Door, engine: AsyncEngine, document: dict[str, Any], body: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put("/districts/gamlebyen", json=document)
        made = (await admin.post(f"/agencies/{AGENCY}/attachments", json=body)).json()
        path = f"/attachments/{made['id']}/credential"
        async with door.as_(_machine()) as police:
            waiting = await police.get(path)
            assert (waiting.status_code, waiting.json()["type"]) == (404, "urn:samlogg:problem:not-provisioned")
            assert waiting.headers["Retry-After"] == "1"
        async with engine.begin() as conn:
            when = (await storage.find(conn, "attachment", made["id"]))["changed_at"]  # type: ignore[index]
            assert await attachments.provisioned(conn, made["id"], f"agency.{made['opaque']}", "sealed", when)
            assert not await attachments.provisioned(conn, str(uuid4()), "agency.x", "sealed", when)
        async with door.as_(_machine()) as police:
            assert (await police.get(path)).json() == {
                "user": f"agency.{made['opaque']}", "sealed": "sealed", "bootstrap": "kafka.example:9094",
                "feed": f"agency.{made['opaque']}.feed.v1", "inbox": f"agency.{made['opaque']}.inbox.v1",
            }  # fmt: skip
        for stranger in (_machine("education-agency"), Actor("staff", str(uuid4()), (), "admin", AGENCY, "high")):
            async with door.as_(stranger) as client:
                assert (await client.get(path)).json()["type"] == "urn:samlogg:problem:not-found"
        assert (await admin.get(f"/attachments/{made['id']}")).json()["provisioned"] is True


async def test_detaching_takes_the_credential_away_and_is_pending_until_everybody_knows(
    door: Door, engine: AsyncEngine, document: dict[str, Any], body: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put("/districts/gamlebyen", json=document)
        made = (await admin.post(f"/agencies/{AGENCY}/attachments", json=body)).json()
        async with engine.begin() as conn:
            when = (await storage.find(conn, "attachment", made["id"]))["changed_at"]  # type: ignore[index]
            await attachments.provisioned(conn, made["id"], "agency.x", "sealed", when)
        still = await admin.put("/districts/gamlebyen", json=_without_police(document))
        assert {"where": "services", "what": "still-attached"} in still.json()["errors"]
        for _ in range(2):
            ended = await admin.post(f"/attachments/{made['id']}/detachment")
            assert (ended.status_code, ended.json()["active"], ended.json()["status"]) == (202, False, "pending")
        async with engine.begin() as conn:
            assert not await attachments.provisioned(conn, made["id"], "agency.x", "late", when)
        async with door.as_(_machine()) as police:
            assert (await police.get(f"/attachments/{made['id']}/credential")).status_code == 404
        assert (await admin.put("/districts/gamlebyen", json=_without_police(document))).status_code == 200


def _without_police(document: dict[str, Any]) -> dict[str, Any]:
    services = [one for one in document["services"] if one["agency"] != AGENCY]
    staff = [one for one in document["staff"] if one["services"] != ["police-prevention"]]
    agencies = [one for one in document["agencies"] if one["id"] != AGENCY]
    return {**document, "services": services, "staff": staff, "agencies": agencies}
