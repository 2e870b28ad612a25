"""The witness over HTTP: one route, `POST /add-checkpoint` (C2SP tlog-witness)."""

import logging
import time
from collections.abc import Callable, Iterable

from aiohttp import web

from samlogg_witness import notes
from samlogg_witness.notes import Key
from samlogg_witness.rules import Refused, judge
from samlogg_witness.store import Store

_LARGEST_BODY = 64 * 1024
_log = logging.getLogger(__name__)


def create_app(
    name: str, keys: Iterable[Key], store: Store, now: Callable[[], float] = time.time
) -> tuple[web.Application, Key]:
    """The application, and the key it signs with under this name."""
    private, seen = store.key(), store.read()
    own = Key(name, notes.WITNESS, private.public_key().public_bytes_raw())
    trusted: dict[str, list[Key]] = {}
    for key in keys:
        trusted.setdefault(key.name, []).append(key)

    async def add_checkpoint(request: web.Request) -> web.Response:
        try:
            posted = notes.posted(await request.read())
        except (notes.Malformed, web.HTTPRequestEntityTooLarge) as error:
            why = str(error) if isinstance(error, notes.Malformed) else "this is too long"
            return web.Response(status=400, text=f"{why}\n")
        # Nothing is awaited from here to the answer: two that come at once cannot both be judged by the same past.
        verdict = judge(posted, trusted, seen)
        if isinstance(verdict, Refused):
            return _refusal(verdict)
        after = seen | {posted.checkpoint.origin: verdict}
        store.write(after)
        seen.update(after)
        return web.Response(text=notes.cosign(posted.checkpoint, private, own, int(now())))

    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_post("/add-checkpoint", add_checkpoint)
    return app, own


def _refusal(refused: Refused) -> web.Response:
    _log.warning("not signed: %s (%d)", refused.why, refused.status)
    if refused.seen is None:
        return web.Response(status=refused.status, text=f"{refused.why}\n")
    return web.Response(status=refused.status, body=b"%d\n" % refused.seen, content_type="text/x.tlog.size")
