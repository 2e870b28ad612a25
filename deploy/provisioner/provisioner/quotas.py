"""Quotas of users: the two requests of Kafka's admin protocol that confluent-kafka lacks, sent through aiokafka."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.struct import Schema
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, String

_API_KEY = 49
_TEXT = String("utf-8")
_ENTITY = ("entity", Array(("entity_type", _TEXT), ("entity_name", _TEXT)))
_ANY_NAMED = 2

Limits = Mapping[str, float]


class QuotaRefused(Exception):
    """Kafka did not take the quotas; the text holds its error code."""


class _Answer(Response):  # type: ignore[misc]
    API_KEY = _API_KEY
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("entries", Array(("error_code", Int16), ("error_message", _TEXT), _ENTITY))
    )


class _Alter(RequestStruct):  # type: ignore[misc]
    API_KEY = _API_KEY
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("entries", Array(_ENTITY, ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean))))),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_Alter]):  # type: ignore[misc]
    API_KEY = _API_KEY

    def __init__(self, entries: list[Any]) -> None:
        self._entries = entries

    def build(self, request_struct_class: type[_Alter]) -> _Alter:
        return request_struct_class(self._entries, False)


def bring(options: Mapping[str, Any], wanted: Mapping[str, Limits], prefix: str) -> int:
    """Set the quotas of these users, and remove those of other users whose name begins with `prefix`.

    options: of an aiokafka client. How many users were changed; QuotaRefused if Kafka says no.
    """
    return asyncio.run(_bring(options, wanted, prefix))


async def _bring(options: Mapping[str, Any], wanted: Mapping[str, Limits], prefix: str) -> int:
    client = AIOKafkaAdminClient(**options)
    await client.start()
    try:
        there = await _there(client)
        entries = []
        for user, limits in wanted.items():
            if there.get(user, {}) != dict(limits):
                entries.append(_entry(user, limits, there.get(user, {}).keys() - limits.keys()))
        gone = [user for user in there.keys() - wanted.keys() if user.startswith(prefix)]
        entries += [_entry(user, {}, there[user].keys()) for user in gone]
        if entries:
            answer = (await client._send_request(_AlterClientQuotas(entries))).to_object()  # noqa: SLF001
            if failed := [one["error_code"] for one in answer["entries"] if one["error_code"]]:
                raise QuotaRefused(f"error {failed[0]}")
        return len(entries)
    finally:
        await client.close()


async def _there(client: AIOKafkaAdminClient) -> dict[str, dict[str, float]]:
    request = DescribeClientQuotasRequest([("user", _ANY_NAMED, None)], strict=True)
    answer = (await client._send_request(request)).to_object()  # noqa: SLF001
    if answer["error_code"]:
        raise QuotaRefused(f"error {answer['error_code']}")
    return {
        str(entry["entity"][0]["entity_name"]): {value["name"]: value["value"] for value in entry["values"]}
        for entry in answer["entries"] or []
    }


def _entry(user: str, limits: Limits, gone: Any) -> tuple[list[tuple[str, str]], list[tuple[str, float, bool]]]:
    ops = [(name, float(value), False) for name, value in limits.items()] + [(name, 0.0, True) for name in gone]
    return [("user", user)], ops
