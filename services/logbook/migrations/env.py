"""Alembic's environment: the connection comes from `chassis.storage.migrate`."""

from alembic import context

from chassis.storage import run_migrations
from logbook.storage import metadata

run_migrations(context, metadata)
