"""What the service itself appends, signs and gives away passes the verifier; what its superuser changes does not."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.storage import make_engine, migrate
from consent.app import MIGRATIONS
from consent.handlers import ledger, proofs
from tests.stack import Postgres
from tests.verify.desk import Desk, kinds
from tests.verify.real import NAMES, SIGNER, append, document


@pytest_asyncio.fixture
async def engine(postgres: Postgres) -> AsyncIterator[AsyncEngine]:
    found = make_engine(postgres.fresh_database("verified"), pool_size=2)
    await migrate(found, MIGRATIONS)
    yield found
    await found.dispose()


async def test_what_the_service_gives_away_passes_and_holds_no_id_that_services_use(
    engine: AsyncEngine, desk: Desk
) -> None:
    me, other = str(uuid4()), str(uuid4())
    await append(engine, me, other, me, other, me)
    saved = await document(engine, lambda conn: proofs.receipt(conn, SIGNER, NAMES, me))
    await append(engine, other, me)
    looks = await document(engine, lambda conn: proofs.export(conn, SIGNER, NAMES, me))
    grown = await document(engine, lambda conn: proofs.consistency(conn, SIGNER, 5, 7))
    one = await document(
        engine, lambda conn: proofs.look(conn, SIGNER, NAMES, me, looks["items"][2]["entry"]["record"]["id"])
    )
    assert me not in json.dumps([saved, looks, grown, one])
    files = [desk.file(name, found) for name, found in (("looks", looks), ("saved", saved), ("grown", grown))]
    code, said = desk.said("list", files[0], "--receipt", files[1], "--proof", files[2], "--key", SIGNER.key.text)
    assert (code, said["found"]) == (0, [])
    assert any(text.startswith("Entry 4 is newer than your receipt.") for text in said["not_covered"])
    assert desk.said("look", desk.file("one", one), "--key", SIGNER.key.text)[0] == 0
    assert desk.said("checkpoints", files[2], "--key", SIGNER.key.text)[0] == 0


async def test_after_erasure_the_tree_and_the_list_s_places_still_verify(engine: AsyncEngine, desk: Desk) -> None:
    me, other = str(uuid4()), str(uuid4())
    await append(engine, me, other, me)
    saved = desk.file("saved", await document(engine, lambda conn: proofs.receipt(conn, SIGNER, NAMES, me)))
    theirs = desk.file("theirs", await document(engine, lambda conn: proofs.receipt(conn, SIGNER, NAMES, other)))
    async with engine.begin() as conn:
        assert await ledger.erase(conn, NAMES, me) == 2
    await append(engine, me, other)
    grown = desk.file("grown", await document(engine, lambda conn: proofs.consistency(conn, SIGNER, 3, 5)))
    for subject, receipt in ((me, saved), (other, theirs)):
        asked = await document(engine, lambda conn, subject=subject: proofs.export(conn, SIGNER, NAMES, subject))
        code, said = desk.said("list", desk.file("looks", asked), "--receipt", receipt, "--proof", grown)
        assert (code, said["found"]) == (0, [])
        assert any("erased: entry 1, 2" in text for text in said["not_covered"]) == (subject == me)


async def test_the_table_refuses_what_its_superuser_can_do_and_the_receipt_finds(
    engine: AsyncEngine, desk: Desk
) -> None:
    me = str(uuid4())
    await append(engine, me, me, me)
    saved = desk.file("saved", await document(engine, lambda conn: proofs.receipt(conn, SIGNER, NAMES, me)))
    other = "convert_to(replace(convert_from(canonical, 'UTF8'), 'answered', 'refused'), 'UTF8')"
    change = f"UPDATE ledger SET canonical = {other} WHERE index = 1"
    with pytest.raises(DBAPIError, match="only ever added"):
        async with engine.begin() as conn:
            await conn.execute(text(change))
    async with engine.begin() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        await conn.execute(text(change))
    asked = desk.file("looks", await document(engine, lambda conn: proofs.export(conn, SIGNER, NAMES, me)))
    code, said = desk.said("list", asked, "--receipt", saved)
    assert (code, kinds(said)) == (1, {"edited", "swapped"})
    assert "Entry 2" in said["found"][0]["text"]
