"""The tables of devices. Times are Unix seconds by the database's clock, memory is MiB."""

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Integer, PrimaryKeyConstraint, Table, Text

from aldgate.store.job_tables import METADATA

devices = Table(
    "devices",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("total_mb", Integer, nullable=False),
    Column("foreign_mb", Integer, nullable=False),
    Column("foreign_processes", Text, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("token", BigInteger, nullable=False),
)

residencies = Table(
    "residencies",
    METADATA,
    Column("device", Text, ForeignKey("devices.name"), nullable=False),
    Column("engine", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("places", Integer, nullable=False),
    Column("idle_s", Double),
    Column("since", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("is_fixed", Boolean, nullable=False),
    PrimaryKeyConstraint("device", "engine"),
)

# What is known of engines beyond their residencies: the most they were seen to hold, what they keep after they have unloaded, and
# when they last worked on the device.
engine_memory = Table(
    "engine_memory",
    METADATA,
    Column("device", Text, ForeignKey("devices.name"), nullable=False),
    Column("engine", Text, nullable=False),
    Column("peak_mb", Integer, nullable=False),
    Column("rest_mb", Integer, nullable=False),
    Column("worked_at", Double, nullable=False),
    PrimaryKeyConstraint("device", "engine"),
)
