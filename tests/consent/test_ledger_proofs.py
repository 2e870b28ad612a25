"""What a person and anybody else can check: looks, lists, receipts and growth, against the formats of LEDGER.md."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.http import canonical as written
from chassis.permit import Actor, Cell, Permit
from consent.handlers import checkpoints, ledger, proofs
from consent.handlers.ledger import LedgerStopped, Record
from consent.model.ledger import canonical
from consent.model.notes import Signer
from consent.model.tree import EMPTY_ROOT, node_hash, proved
from tests.consent.callers import NAMES, Desk, person, problem, staff
from tests.consent.test_ledger import append, record
from tests.consent.test_model_tree import consistent, rebuilt

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIGNER = Signer("samlogg.test/ledger", b"l" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def sign(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await checkpoints.sign(conn, SIGNER, NOW)


def permit(subject: str) -> Permit:
    return Permit(subject, "read", "insight", (Cell("looks", str(uuid4())),))


async def get(desk: Desk, path: str, actor: Actor, subject: str | None = None) -> httpx.Response:
    given = None if subject is None else permit(subject)
    return await desk.ask("GET", path, actor, subject=subject, permit=given)


def raw(text_: str) -> bytes:
    return base64.b64decode(text_, validate=True)


def checkpoint_of(note: str) -> tuple[int, bytes]:
    made = SIGNER.read(note)
    return made.size, made.root


def leaf_of(item: dict[str, Any]) -> bytes:
    return hashlib.sha256(b"\x00" + raw(item["salt"]) + canonical(item["entry"])).digest()


def receipt_of(note: str) -> list[str]:
    """The lines of a receipt whose signature holds: it is the one that this key makes of the same text."""
    lines = note[: note.rindex("\n\n") + 1].split("\n")
    assert note == SIGNER._signed("\n".join(lines))
    return lines


def check_list(document: dict[str, Any]) -> list[bytes]:
    """Every entry of a list is in the signed tree, in its order and bound to the one before; the leaves."""
    size, root = checkpoint_of(document["checkpoint"])
    leaves: list[bytes] = []
    given = {(level, index): raw(found) for level, index, found in document["nodes"]}
    for number, item in enumerate(document["items"], 1):
        if item.get("erased"):
            assert (item.keys(), item["sequence"]) == ({"index", "sequence", "leaf", "erased"}, number)
            leaf = raw(item["leaf"])
        else:
            entry = item["entry"]
            assert (entry["chain"], entry["sequence"]) == (document["chain"], number)
            assert entry["previous"] == (leaves[-1].hex() if leaves else None)
            leaf = leaf_of(item)
        leaves.append(leaf)
        assert given.setdefault((0, item["index"]), leaf) == leaf
    assert (rebuilt(size, given) if size else EMPTY_ROOT) == root
    lines = receipt_of(document["receipt"])
    assert lines[:5] == [
        "samlogg.test/ledger receipt", str(size), base64.b64encode(root).decode(), document["chain"], str(len(leaves)),
    ]  # fmt: skip
    assert raw(lines[5]) == (leaves[-1] if leaves else b"")
    return leaves


async def export(engine: AsyncEngine, subject: str) -> dict[str, Any]:
    async with engine.connect() as conn:
        document: dict[str, Any] = json.loads(written(await proofs.export(conn, SIGNER, NAMES, subject)))
    return document


@pytest_asyncio.fixture(loop_scope="session")
async def listed(engine: AsyncEngine) -> tuple[str, Sequence[Record]]:
    """Somebody with seven looks among those of others, and a checkpoint over them."""
    subject = str(uuid4())
    own = [record(subject, subject) for _ in range(7)]
    for one in own:
        await append(engine, one, *(record(str(uuid4())) for _ in range(5)))
    await sign(engine)
    return subject, own


async def test_anybody_is_told_the_key_and_the_newest_checkpoint(engine: AsyncEngine, desk: Desk) -> None:
    await append(engine, record(str(uuid4())))
    await sign(engine)
    answer = await desk.ask("GET", "/ledger", Actor("gateway", None))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["key"], said["origin"], said["witnessed"]) == (SIGNER.key.text, "samlogg.test/ledger", None)
    async with engine.connect() as conn:
        size = (await conn.execute(text("SELECT size FROM ledger_tree"))).scalar()
    assert checkpoint_of(said["checkpoint"])[0] == size


async def test_the_subject_gets_one_look_with_its_proof(listed: Any, desk: Desk) -> None:
    subject, own = listed
    for one in own:
        answer = await get(desk, f"/subjects/{subject}/looks/{one.id}/proof", person(subject), subject)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert (said["kind"], said["version"], said["key"]) == ("samlogg-look", 1, SIGNER.key.text)
        assert (said["entry"]["record"]["id"], said["entry"]["chain"]) == (one.id, NAMES.of(subject))
        size, root = checkpoint_of(said["checkpoint"])
        assert proved(said["index"], size, leaf_of(said), [raw(part) for part in said["proof"]], root)
        assert not proved(said["index"] + 1, size, leaf_of(said), [raw(part) for part in said["proof"]], root)


@pytest.mark.parametrize("end", ["{look}/proof", "receipt"])
async def test_nobody_but_the_subject_gets_proof_or_receipt(listed: Any, desk: Desk, end: str) -> None:
    subject, own = listed
    path = f"/subjects/{subject}/looks/{end.format(look=own[0].id)}"
    assert (await get(desk, path, person(subject), subject)).status_code == 200
    for other in (person(str(uuid4())), staff("police"), Actor("machine", subject)):
        assert problem(await get(desk, path, other, subject)) == (404, "not-found")
    assert problem(await desk.ask("GET", path, person(subject), subject=subject)) == (404, "not-found")


async def test_a_look_of_somebody_else_and_one_that_is_not_there_look_alike(listed: Any, desk: Desk) -> None:
    _, own = listed
    somebody = str(uuid4())
    for id_ in (own[0].id, str(uuid4()), "x" * 300):
        path = f"/subjects/{somebody}/looks/{id_}/proof"
        assert problem(await get(desk, path, person(somebody), somebody)) == (404, "not-found")


async def test_a_look_that_no_checkpoint_covers_yet_is_told_as_that(
    engine: AsyncEngine, listed: Any, desk: Desk
) -> None:
    subject, _ = listed
    late = record(subject, subject)
    await append(engine, late)
    path = f"/subjects/{subject}/looks/{late.id}/proof"
    assert problem(await get(desk, path, person(subject), subject)) == (409, "not-in-checkpoint")
    await sign(engine)
    assert (await get(desk, path, person(subject), subject)).status_code == 200


async def test_a_receipt_says_how_long_the_list_is_in_the_newest_checkpoint(
    engine: AsyncEngine, listed: Any, desk: Desk
) -> None:
    subject, _ = listed
    await append(engine, record(subject, subject))  # not yet in a checkpoint
    answer = await get(desk, f"/subjects/{subject}/looks/receipt", person(subject), subject)
    said = answer.json()
    assert (said["kind"], said["version"], said["key"]) == ("samlogg-receipt", 1, SIGNER.key.text)
    size, root = checkpoint_of(said["checkpoint"])
    lines = receipt_of(said["receipt"])
    assert lines[1:5] == [str(size), base64.b64encode(root).decode(), NAMES.of(subject), "7"]
    async with engine.connect() as conn:
        query = text("SELECT leaf FROM ledger WHERE chain = :c AND sequence = 7")
        assert raw(lines[5]) == (await conn.execute(query, {"c": NAMES.of(subject)})).scalar()


async def test_somebody_without_looks_has_a_receipt_that_says_so(listed: Any, desk: Desk) -> None:
    nobody = str(uuid4())
    answer = await get(desk, f"/subjects/{nobody}/looks/receipt", person(nobody), nobody)
    assert receipt_of(answer.json()["receipt"])[3:] == [NAMES.of(nobody), "0", "", ""]


async def test_no_receipt_is_signed_for_an_entry_that_is_not_in_the_tree(engine: AsyncEngine, listed: Any) -> None:
    subject, _ = listed
    async with engine.connect() as conn, conn.begin() as undone:
        await conn.exec_driver_sql("ALTER TABLE ledger DISABLE TRIGGER only_add")
        chain = NAMES.of(subject)
        change = text("UPDATE ledger SET leaf = sha256('x') WHERE chain = :c AND sequence = 7")
        await conn.execute(change, {"c": chain})
        with pytest.raises(LedgerStopped, match="not in the tree"):
            await proofs.receipt(conn, SIGNER, NAMES, subject)
        with pytest.raises(LedgerStopped, match="not in the tree"):
            await proofs.export(conn, SIGNER, NAMES, subject)
        await undone.rollback()


# -- two checkpoints -----------------------------------------------------------------------------------------------


async def sizes(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as conn:
        return list((await conn.execute(text("SELECT size FROM ledger_checkpoint ORDER BY size"))).scalars())


async def test_any_two_checkpoints_are_proved_to_be_of_one_growing_tree(engine: AsyncEngine, desk: Desk) -> None:
    for count in (1, 3, 300):
        await append(engine, *(record(str(uuid4())) for _ in range(count)))
        await sign(engine)
    known = await sizes(engine)
    for one, other in ((-4, -1), (-3, -2), (-1, -1), (0, -1)):
        first, second = known[one], known[other]
        answer = await desk.ask("GET", f"/ledger/consistency?first={first}&second={second}", Actor("gateway", None))
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert (said["kind"], said["version"], said["key"]) == ("samlogg-consistency", 1, SIGNER.key.text)
        (m, old), (n, new) = checkpoint_of(said["first"]), checkpoint_of(said["second"])
        assert (m, n) == (first, second)
        proof = [raw(part) for part in said["proof"]]
        assert consistent(m, n, old, new, proof)
        if 0 < first < second:
            assert not consistent(m, n, node_hash(old, old), new, proof)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("first={signed}&second={unsigned}", (404, "no-such-checkpoint")),
        ("first={unsigned}&second={signed}", (422, "wrong-order")),
        ("first={signed}", (422, "invalid")), ("first=-1&second={signed}", (422, "invalid")),
        ("first=x&second={signed}", (422, "invalid")),
        ("first={signed}&second=99999999999999999999", (422, "invalid")),
    ],
)  # fmt: skip
async def test_a_size_that_was_never_signed_is_told_plainly(
    engine: AsyncEngine, desk: Desk, query: str, told: tuple[int, str]
) -> None:
    await append(engine, record(str(uuid4())))
    await sign(engine)
    signed = (await sizes(engine))[-1]
    asked = query.format(signed=signed, unsigned=signed + 1)
    assert problem(await desk.ask("GET", f"/ledger/consistency?{asked}", Actor("gateway", None))) == told


# -- a whole list --------------------------------------------------------------------------------------------------


async def test_a_whole_list_is_proved_at_once(engine: AsyncEngine, listed: Any) -> None:
    subject, own = listed
    document = await export(engine, subject)
    assert (document["kind"], document["version"], document["chain"]) == ("samlogg-looks", 1, NAMES.of(subject))
    assert [item["entry"]["record"]["id"] for item in document["items"]] == [one.id for one in own]
    check_list(document)
    assert subject not in json.dumps(document)


async def test_a_list_without_entries_is_proved_to_be_of_the_tree(engine: AsyncEngine, listed: Any) -> None:
    document = await export(engine, str(uuid4()))
    assert document["items"] == []
    assert len(document["nodes"]) == 1
    check_list(document)


async def test_what_came_after_the_checkpoint_is_not_in_the_list(engine: AsyncEngine, listed: Any) -> None:
    subject, own = listed
    await append(engine, record(subject, subject))
    assert len(check_list(await export(engine, subject))) == len(own)
    await sign(engine)
    assert len(check_list(await export(engine, subject))) == len(own) + 1


async def test_a_list_goes_on_being_proved_after_erasure_of_it_and_of_others(engine: AsyncEngine) -> None:
    gone, stays = str(uuid4()), str(uuid4())
    await append(engine, *(record(chain, chain) for chain in (gone, stays) * 4))
    await sign(engine)
    before = {subject: check_list(await export(engine, subject)) for subject in (gone, stays)}
    async with engine.begin() as conn:
        await ledger.erase(conn, NAMES, gone)
    await append(engine, record(gone, gone))
    await sign(engine)
    after = await export(engine, gone)
    assert [item.get("erased", False) for item in after["items"]] == [True] * 4 + [False]
    assert check_list(after)[:4] == before[gone]
    assert check_list(await export(engine, stays)) == before[stays]


async def test_an_erased_look_has_no_proof_of_its_own(engine: AsyncEngine, desk: Desk) -> None:
    subject = str(uuid4())
    one = record(subject, subject)
    await append(engine, one)
    await sign(engine)
    async with engine.begin() as conn:
        await ledger.erase(conn, NAMES, subject)
    path = f"/subjects/{subject}/looks/{one.id}/proof"
    assert problem(await get(desk, path, person(subject), subject)) == (404, "not-found")


async def test_a_list_of_many_thousand_looks_takes_seconds_and_not_minutes(engine: AsyncEngine) -> None:
    subject = str(uuid4())
    for _ in range(10):
        batch = [record(subject if n % 2 else str(uuid4()), subject if n % 2 else None) for n in range(2_000)]
        await append(engine, *batch)
    await sign(engine)
    async with engine.connect() as conn:
        began = time.perf_counter()
        document = await proofs.export(conn, SIGNER, NAMES, subject)
        assert time.perf_counter() - began < 5.0
    assert len(check_list(json.loads(written(document)))) == 10_000


@pytest_asyncio.fixture(loop_scope="session")
async def torn(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as conn:
        await conn.begin()
        yield conn
        await conn.rollback()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger SET canonical = regexp_replace(encode(canonical, 'escape'), 'id.:...', 'id\":\"z')::bytea WHERE",
        "UPDATE ledger SET salt = sha256(salt)::bytea WHERE", "DELETE FROM ledger WHERE sequence = 3 AND",
        "UPDATE ledger SET sequence = 100 - sequence WHERE", "DELETE FROM ledger WHERE sequence = 7 AND",
    ],
)  # fmt: skip
async def test_what_somebody_with_the_database_does_shows_in_the_list(
    torn: AsyncConnection, listed: Any, change: str
) -> None:
    subject, _ = listed
    saved = receipt_of((await proofs.receipt(torn, SIGNER, NAMES, subject))["receipt"])
    await torn.exec_driver_sql("ALTER TABLE ledger DISABLE TRIGGER only_add")
    await torn.exec_driver_sql("ALTER TABLE ledger ALTER COLUMN salt TYPE bytea")
    changed = await torn.exec_driver_sql(f"{change} chain = '{NAMES.of(subject)}'")
    assert changed.rowcount
    document = json.loads(written(await proofs.export(torn, SIGNER, NAMES, subject)))
    try:
        leaves = check_list(document)
    except (AssertionError, KeyError):
        return
    assert len(leaves) < int(saved[4])  # whole in itself, and shorter than what was saved says
