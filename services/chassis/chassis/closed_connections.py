"""aiokafka on uvloop: writing to a connection that is gone is an error of Kafka's, so that the client connects anew.

uvloop raises RuntimeError where asyncio's own loop drops the bytes. aiokafka waits for OSError alone, and what it does
not know ends its own tasks for good: a consumer then reads nothing any more and only looks idle, a producer turns down
every record, until the process is started again (aiokafka issue 1038).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_WRITING = ("send", "_send_sasl_token")


def mend() -> None:
    """For every Kafka client of this process. A second time it does nothing."""
    for name in _WRITING:
        write = getattr(AIOKafkaConnection, name)
        if not hasattr(write, "__wrapped__"):
            setattr(AIOKafkaConnection, name, _told_as_kafka_does(write))


def _told_as_kafka_does(write: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(write)
    def written(self: AIOKafkaConnection, *given: Any, **more: Any) -> Any:
        try:
            return write(self, *given, **more)
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError("the connection is gone") from error

    return written
