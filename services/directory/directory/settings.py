"""Settings of the directory, on top of those that every service has."""

from pydantic import Field, SecretStr, field_validator

from chassis import settings as chassis

_SHORTEST_CODE = 20


class Settings(chassis.Settings):
    """hash_key keys the hashes of invitation codes and cursors; agency_bootstrap is what agencies are told of Kafka."""

    hash_key: chassis.Key
    first_admin_code: SecretStr | None = None
    agency_bootstrap: str | None = None
    confirmation_seconds: float = Field(default=5.0, ge=0.0, le=30.0)
    invitation_days: int = Field(default=14, ge=1, le=90)

    @field_validator("first_admin_code")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _SHORTEST_CODE:
            raise ValueError(f"must have at least {_SHORTEST_CODE} characters")
        return value
