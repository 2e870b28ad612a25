"""The service, the witness and the verifier: three programs that know one another by their formats alone."""

from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy import text

from chassis.clock import Clock
from chassis.storage import make_engine, migrate
from consent.app import MIGRATIONS
from consent.handlers import proofs
from consent.handlers.witnessing import NotWitnessed, Witness
from consent.model import notes as ours
from samlogg_witness import notes
from samlogg_witness.app import create_app
from samlogg_witness.store import Store
from tests.stack import Postgres
from tests.verify.desk import Desk
from tests.verify.real import NAMES, SIGNER, append, document


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


async def test_the_witness_signs_for_the_service_and_refuses_when_its_database_was_rewritten(
    postgres: Postgres, desk: Desk
) -> None:
    engine, me = make_engine(postgres.fresh_database("witnessed"), pool_size=2), str(uuid4())
    await migrate(engine, MIGRATIONS)
    with Store(desk.folder / "witness") as store:
        app, key = create_app("witness.test", [notes.key(SIGNER.key.text)], store)
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            witness = Witness(engine, Clock(), str(server.make_url("/")), ours.key(key.text))
            for _ in range(3):
                await append(engine, me, str(uuid4()))
                assert await witness.tick(session)
            looks = await document(engine, lambda conn: proofs.export(conn, SIGNER, NAMES, me))
            file = desk.file("looks", looks)
            code, said = desk.said("export", file, "--key", SIGNER.key.text, "--witness-key", key.text)
            assert code == 0
            assert any("The witness witness.test saw this checkpoint" in told for told in said["proved"])
            async with engine.begin() as conn:
                await conn.execute(text("SET LOCAL session_replication_role = replica"))
                for table in ("ledger", "ledger_tile", "ledger_cosignature", "ledger_checkpoint"):
                    await conn.execute(text(f"DELETE FROM {table}"))
                await conn.execute(text("UPDATE ledger_tree SET size = 0, edge = ''"))
            await append(engine, *[me] * 9)  # another history, longer than the one that was seen
            with pytest.raises(NotWitnessed, match="status-422"):
                await witness.tick(session)
    await engine.dispose()
