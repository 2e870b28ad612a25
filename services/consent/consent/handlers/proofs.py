"""What anybody can check without trusting us: proofs of looks and of growth, receipts, and whole lists (LEDGER.md)."""

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from consent import storage
from consent.handlers.ledger import LedgerStopped
from consent.model import tree
from consent.model.errors import NoCheckpoint, NotInCheckpoint, Unseen, WrongOrder
from consent.model.ledger import Pseudonyms
from consent.model.notes import Checkpoint, Head, Signer
from consent.model.tree import Hashes, tiles_of
from consent.storage import EntryRow

NOT_IN_TREE = "the last entry of a list is not in the tree"
_VERSION = 1


def may_prove(actor: Actor, subject: str) -> bool:
    """May this reader be given proofs and receipts of the subject's list? Only the subject may.

    An entry holds its number and its place in the tree: whoever sees two of them knows how many looks lie between that
    they were not shown.
    """
    return actor.kind == "person" and actor.id == subject


async def newest(conn: AsyncConnection) -> Checkpoint:
    """The newest checkpoint; NoCheckpoint before the first one."""
    found = await storage.newest_checkpoint(conn)
    if found is None:
        raise NoCheckpoint
    return found


async def ledger(conn: AsyncConnection, signer: Signer) -> dict[str, Any]:
    """Whom to trust, and the newest checkpoints: with and, if it was not yet asked, without the witness."""
    last, witnessed = await storage.newest_checkpoint(conn), await storage.newest_cosigned(conn)
    return {
        "key": signer.key.text, "origin": signer.origin, "checkpoint": None if last is None else last.note,
        "witnessed": None if witnessed is None else witnessed.note,
    }  # fmt: skip


# -- proofs --------------------------------------------------------------------------------------------------------


async def proofs_for(conn: AsyncConnection, indexes: Collection[int], size: int) -> dict[int, list[bytes]]:
    """Inclusion proofs of these leaves in the tree of this size, made of each tile once. Those beyond it have none."""
    ranges = {index: tree.inclusion(index, size) for index in indexes if index < size}
    needed = tiles_of(one for each in ranges.values() for one in each)
    hashes = Hashes(await storage.tiles(conn, needed))
    return {index: [hashes.of(one) for one in each] for index, each in ranges.items()}


async def consistency_proof(conn: AsyncConnection, first: int, second: int) -> list[bytes]:
    """That the tree of size `second` begins with that of size `first`."""
    ranges = tree.consistency(first, second)
    hashes = Hashes(await storage.tiles(conn, tiles_of(ranges)))
    return [hashes.of(one) for one in ranges]


async def consistency(conn: AsyncConnection, signer: Signer, first: int, second: int) -> dict[str, Any]:
    """The document about two checkpoints. NoCheckpoint unless both were signed; WrongOrder."""
    if first > second:
        raise WrongOrder
    notes = [await storage.checkpoint_at(conn, size) for size in (first, second)]
    earlier, later = notes
    if earlier is None or later is None:
        raise NoCheckpoint
    proof = await consistency_proof(conn, first, second)
    return {
        "kind": "samlogg-consistency", "version": _VERSION, "key": signer.key.text, "first": earlier.note,
        "second": later.note, "proof": [_base64(one) for one in proof],
    }  # fmt: skip


# -- one person's looks --------------------------------------------------------------------------------------------


async def look(conn: AsyncConnection, signer: Signer, names: Pseudonyms, subject: str, id_: str) -> dict[str, Any]:
    """The document about one look. Unseen when the subject has none of this id; NotInCheckpoint for a moment."""
    found = await looks(conn, signer, names, subject, [id_])
    if id_ not in found:
        raise NotInCheckpoint
    return found[id_]


async def looks(
    conn: AsyncConnection, signer: Signer, names: Pseudonyms, subject: str, ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The documents about these looks by id, all for the newest checkpoint; without those that it does not cover yet.

    Unseen when one of them is not in the subject's list, or was erased. Entries are `msgspec.Raw`: JSON as it is kept.
    """
    checkpoint = await newest(conn)
    rows = await storage.entries_by_id(conn, names.of(subject), ids)
    if len(rows) < len(set(ids)) or any(row.salt is None for row in rows.values()):
        raise Unseen
    proofs = await proofs_for(conn, [row.place for row in rows.values()], checkpoint.size)
    return {
        id_: {
            "kind": "samlogg-look", "version": _VERSION, "key": signer.key.text, "checkpoint": checkpoint.note,
            **_item(row), "proof": [_base64(one) for one in proofs[row.place]],
        }
        for id_, row in rows.items() if row.place in proofs
    }  # fmt: skip


async def receipt(conn: AsyncConnection, signer: Signer, names: Pseudonyms, subject: str) -> dict[str, Any]:
    """What a person saves: the newest checkpoint, and signed with it how long their list is.

    NoCheckpoint, LedgerStopped.
    """
    checkpoint, chain = await newest(conn), names.of(subject)
    return await _receipt(conn, signer, checkpoint, chain, await storage.last_entry(conn, chain, checkpoint.size))


async def export(conn: AsyncConnection, signer: Signer, names: Pseudonyms, subject: str) -> dict[str, Any]:
    """The document about a person's whole list at the newest checkpoint, receipt and proof of every entry included.

    To be written with msgspec: entries are `msgspec.Raw`. 100,000 entries are some 60 MB. NoCheckpoint, LedgerStopped.
    """
    checkpoint, chain = await newest(conn), names.of(subject)
    rows = await storage.entries_of(conn, chain, checkpoint.size)
    nodes = tree.without(sorted({row.place for row in rows}), checkpoint.size)
    covered = [tree.covered(node, checkpoint.size) for node in nodes]
    hashes = Hashes(await storage.tiles(conn, tiles_of(covered)))
    made = await _receipt(conn, signer, checkpoint, chain, rows[-1] if rows else None)
    return {
        **made, "kind": "samlogg-looks", "chain": chain, "items": [_item(row) for row in rows],
        "nodes": [[*node, _base64(hashes.of(each))] for node, each in zip(nodes, covered, strict=True)],
    }  # fmt: skip


async def _receipt(
    conn: AsyncConnection, signer: Signer, checkpoint: Checkpoint, chain: str, last: EntryRow | None
) -> dict[str, Any]:
    head = Head(chain, 0, b"")
    if last is not None:
        [proof] = (await proofs_for(conn, [last.place], checkpoint.size)).values()
        if not tree.proved(last.place, checkpoint.size, last.leaf, proof, checkpoint.root):
            raise LedgerStopped(NOT_IN_TREE)  # the key must not vouch for an entry that is not in the signed tree
        head = Head(chain, last.sequence, last.leaf)
    return {
        "kind": "samlogg-receipt", "version": _VERSION, "key": signer.key.text, "checkpoint": checkpoint.note,
        "receipt": signer.receipt(checkpoint.size, checkpoint.root, head),
    }  # fmt: skip


def _item(row: EntryRow) -> Mapping[str, Any]:
    if row.salt is None or row.canonical is None:
        return {"index": row.place, "sequence": row.sequence, "leaf": _base64(row.leaf), "erased": True}
    return {"index": row.place, "salt": _base64(row.salt), "entry": msgspec.Raw(row.canonical)}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
