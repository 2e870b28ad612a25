"""The witness is asked for the newest checkpoint, and only its own signature of that very note is kept."""

import base64
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from consent import storage
from consent.handlers import proofs
from consent.handlers.witnessing import NotWitnessed, Witness
from tests.consent.callers import settings_for
from tests.consent.test_checkpoints import SIGNER, own, sign
from tests.consent.test_ledger import append, record
from tests.consent.test_model_notes import cosignature, the_witness
from tests.consent.test_model_tree import consistent

pytestmark = pytest.mark.asyncio(loop_scope="session")
__all__ = ["own"]
_, KEY = the_witness()


class Elsewhere:
    """A witness as C2SP tlog-witness describes it: it takes a checkpoint that its last one is proved to be within."""

    def __init__(self) -> None:
        self.size, self.root = 0, b""
        self.bodies: list[str] = []

    async def add(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        self.bodies.append(body)
        head, _, note = body.partition("\n\n")
        first, *lines = head.split("\n")
        made = SIGNER.read(note)
        if first != f"old {self.size}":
            return web.Response(status=409, body=b"%d\n" % self.size, content_type="text/x.tlog.size")
        proof = [base64.b64decode(line) for line in lines]
        if not consistent(self.size, made.size, self.root, made.root, proof):
            return web.Response(status=422)
        self.size, self.root = made.size, made.root
        return web.Response(text=cosignature(note))


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere() -> AsyncIterator[tuple[Elsewhere, str]]:
    there, app = Elsewhere(), web.Application()
    app.router.add_post("/add-checkpoint", there.add)
    async with TestServer(app) as server:
        yield there, str(server.make_url("/"))


async def ask(witness: Witness) -> bool:
    async with aiohttp.ClientSession() as session:
        return await witness.tick(session)


async def cosigned(engine: AsyncEngine) -> Any:
    async with engine.connect() as conn:
        return await storage.newest_cosigned(conn)


async def more(engine: AsyncEngine, count: int) -> None:
    await append(engine, *(record(str(uuid4())) for _ in range(count)))
    await sign(engine)


async def test_the_witnesss_line_is_kept_with_the_checkpoint_and_shown(own: AsyncEngine, elsewhere: Any) -> None:
    there, url = elsewhere
    witness = Witness(own, Clock(), url, KEY)
    assert await ask(witness) is False  # nothing was signed yet
    await sign(own)
    assert await ask(witness) is True
    found = await cosigned(own)
    assert found.size == 3
    assert found.note.startswith(SIGNER.checkpoint(3, found.root).note + "— witness.test ")
    async with own.connect() as conn:
        said = await proofs.ledger(conn, SIGNER)
        assert said["checkpoint"] == said["witnessed"] == found.note
        assert SIGNER.read(said["checkpoint"]).size == 3
    assert await ask(witness) is False
    assert len(there.bodies) == 1


async def test_each_next_checkpoint_comes_with_its_proof_from_the_last(own: AsyncEngine, elsewhere: Any) -> None:
    there, url = elsewhere
    witness = Witness(own, Clock(), url, KEY)
    for count in (1, 2, 300):
        await more(own, count)
        assert await ask(witness) is True
    assert there.size == 306
    assert [body.split("\n")[0] for body in there.bodies] == ["old 0", "old 4", "old 6"]
    assert (await cosigned(own)).size == 306


async def test_a_replica_or_a_restart_goes_on_from_where_the_witness_is(own: AsyncEngine, elsewhere: Any) -> None:
    there, url = elsewhere
    first, second = Witness(own, Clock(), url, KEY), Witness(own, Clock(), url, KEY)
    await sign(own)
    assert await ask(first) is True
    await more(own, 1)
    assert await ask(second) is True
    await more(own, 1)
    assert await ask(first) is True  # it thinks of 3, is told 4, and goes on from there
    assert (there.size, len(there.bodies)) == (5, 4)
    assert (await cosigned(own)).size == 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (web.Response(status=404), "status-404"), (web.Response(status=422), "status-422"),
        (web.Response(status=409, text="seven"), "conflict-without-size"),
        (web.Response(status=409, text="9\n"), "ahead"),
        (web.Response(status=409, text="1\n"), "status-409"), (web.Response(text="signed!\n"), "wrong-signature"),
        (web.Response(text=cosignature(SIGNER.checkpoint(9, b"x" * 32).note)), "wrong-signature"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "status-302"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_not_its_signature_is_not_kept(
    own: AsyncEngine, elsewhere: Any, answer: web.Response, reason: str
) -> None:
    there, url = elsewhere
    witness = Witness(own, Clock(), url, KEY)
    await sign(own)
    status, headers = answer.status, {name: value for name, value in answer.headers.items() if name == "Location"}

    async def again(_: web.Request) -> web.Response:
        return web.Response(status=status, text=answer.text, headers=headers)

    app = web.Application()
    app.router.add_post("/add-checkpoint", again)
    async with TestServer(app) as server:
        with pytest.raises(NotWitnessed, match=f"^{reason}$"):
            await ask(Witness(own, Clock(), str(server.make_url("/")), KEY))
    assert await cosigned(own) is None
    assert await ask(witness) is True  # and then the right one
    assert there.size == 3


async def test_a_witness_that_is_away_is_tried_again(own: AsyncEngine) -> None:
    await sign(own)
    with pytest.raises(aiohttp.ClientError):
        await ask(Witness(own, Clock(), "http://127.0.0.1:1", KEY))
    assert await cosigned(own) is None


@pytest.mark.parametrize(
    "given",
    [
        {"witness_url": "https://witness.test"}, {"witness_key": KEY.text},
        {"witness_url": "https://witness.test", "witness_key": SIGNER.key.text},
        {"witness_url": "https://witness.test", "witness_key": "witness"},
        {"witness_url": "file:///etc", "witness_key": KEY.text}, {"ledger_origin": "two words"},
        {"ledger_origin": "a+b"}, {"ledger_signing_key": "short"},
    ],
)  # fmt: skip
async def test_settings_that_cannot_be_used_stop_the_start(given: dict[str, str]) -> None:
    url = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"
    with pytest.raises(ValidationError):
        settings_for(url, url, **given)
    settings_for(url, url, witness_url="https://witness.test/a", witness_key=KEY.text)
