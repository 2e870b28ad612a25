"""Topic and type to handler: notices from the gateway."""

from collections.abc import Callable
from datetime import datetime

from faststream.kafka import KafkaMessage, KafkaRouter
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.consuming import event_of, of_type
from chassis.kafka import make_router, subscription
from chassis.settings import Settings
from notify import handlers
from notify.messages import NOTICE_DUE, NOTICE_REVOKED, NOTICES, NoticeDue, NoticeRevoked

GROUP = "notify"


def make_subscribers(
    settings: Settings, engine: AsyncEngine, now: Callable[[], datetime], wake: Callable[[], None]
) -> KafkaRouter:
    """A fresh router. `wake` is called after a notice was committed."""
    router = make_router()
    take: DefaultSubscriber = router.subscriber(NOTICES, title=NOTICES, **subscription(settings, GROUP))

    @take(filter=of_type(NOTICE_DUE))
    async def notice_due(body: NoticeDue, message: KafkaMessage) -> None:
        async with engine.begin() as conn:
            await handlers.take_notice(conn, body, event_of(message).id, now())
        wake()

    @take(filter=of_type(NOTICE_REVOKED))
    async def notice_revoked(body: NoticeRevoked, message: KafkaMessage) -> None:
        async with engine.begin() as conn:
            await handlers.revoke_notice(conn, body, event_of(message).id, now())

    @take
    async def unknown(message: KafkaMessage) -> None:
        """A type that came later than this code: not for us."""

    return router
