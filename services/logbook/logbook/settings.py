"""Settings of the logbook, on top of those that every service has."""

from pydantic import SecretStr

from chassis import settings as chassis_settings
from chassis.settings import Key


class Settings(chassis_settings.Settings):
    """keys_database_url: where wrapped keys live, apart from what they open. hash_key: keyed hashes and cursors."""

    keys_database_url: SecretStr
    key_encryption_key: Key
    hash_key: Key
