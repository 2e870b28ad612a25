"""Topic and type to handler: credentials from the provisioner, and the horizon from consent."""

import logging
from collections.abc import Callable
from datetime import datetime

from faststream.kafka import KafkaMessage, KafkaRouter
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.consuming import of_type
from chassis.events import BadEvent
from chassis.inbox import first_time
from chassis.kafka import make_router, subscription
from directory import messages, storage
from directory.handlers import attachments, confirming
from directory.messages import AttachmentProvisioned, HorizonPassed
from directory.settings import Settings

GROUP = "directory"
_log = logging.getLogger(__name__)


def make_subscribers(settings: Settings, engine: AsyncEngine, now: Callable[[], datetime]) -> KafkaRouter:
    """A fresh router: one serves only the last broker that it was included in.

    One subscriber for both topics: two would be two members of the group under the same static id, and throw each
    other out for ever.
    """
    router = make_router()
    topics = (messages.PROVISIONER_TOPIC, messages.CONSENT_TOPIC)
    heard: DefaultSubscriber = router.subscriber(*topics, title="directory.heard", **subscription(settings, GROUP))

    @heard(filter=of_type(messages.PROVISIONED_TYPE))
    async def provisioned(body: AttachmentProvisioned, message: KafkaMessage) -> None:
        async with engine.begin() as conn:
            if await first_time(conn, storage.inbox, _id(message), "provisioned"):
                kept = await attachments.provisioned(conn, body.attachment, body.user, body.sealed, now())
                if not kept:
                    _log.warning("a credential for no live attachment", extra={"attachment": body.attachment})

    @heard(filter=of_type(messages.HORIZON_TYPE))
    async def horizon_passed(body: HorizonPassed) -> None:
        async with engine.begin() as conn:
            await confirming.horizon_passed(conn, body)

    @heard
    async def other(message: KafkaMessage) -> None:
        """Grants, withdrawals, and types that came later than this code: not for us."""

    return router


def _id(message: KafkaMessage) -> str:
    found = message.headers.get("ce_id")
    if not found:
        raise BadEvent("ce_id is missing")
    return str(found)
