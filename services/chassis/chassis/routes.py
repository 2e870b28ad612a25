"""Routes are data: each service says with its routes how the gateway must decide them (design.md section 8)."""

from typing import Any, Literal

from fastapi import FastAPI

EXTRA = "x-samlogg"


def route(
    *,
    action: Literal["read", "contribute", "none"] = "none",
    basis: str = "grant",
    category: str = "any",
    lease: Literal["required", "none"] = "required",
    me: bool = False,
    record: bool | None = None,
) -> dict[str, Any]:
    """For `openapi_extra` of a FastAPI route.

    basis: grant, asked, asker, asked-or-asker, self, agency, authenticated, public or role:<role>[,<role>].
    category: any, item, fixed:<category> or body:<field>. me: the GET may be asked as /me/<rest>.
    """
    return {
        EXTRA: {
            "action": action, "basis": basis, "category": category, "lease": lease, "me": me, "record": record,
        }
    }  # fmt: skip


def route_table(app: FastAPI, service: str) -> list[dict[str, Any]]:
    """The service's public routes as the gateway reads them, sorted; routes without data are not public."""
    entries = [
        _entry(service, method, path, operation)
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        if EXTRA in operation
    ]
    return sorted(entries, key=lambda entry: (entry["path"], entry["method"]))


def _entry(service: str, method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    extra = dict(operation[EXTRA])
    has_subject = "{subject}" in path
    if extra.get("record") is None:  # FastAPI drops what is None
        extra["record"] = has_subject and extra["lease"] == "required"
    return {
        "id": f"{service}.{operation['operationId'].replace('_', '-')}",
        "service": service,
        "method": method.upper(),
        "path": path,
        "subject": "path" if has_subject else "none",
        **extra,
    }
