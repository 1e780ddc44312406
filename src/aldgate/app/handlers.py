"""What answers on a listener, by its faces."""

from __future__ import annotations

from aldgate.app.app import App
from aldgate.app.images import image_terms
from aldgate.config.check import is_on_loopback
from aldgate.config.settings import Settings
from aldgate.core.errors import GatewayError
from aldgate.gate.audit import Audit
from aldgate.gate.people import People
from aldgate.storage import Store
from aldgate.surfaces.admin.registration import Registration
from aldgate.surfaces.calls.face import Doors
from aldgate.surfaces.health import HealthFace
from aldgate.surfaces.http.asgi import Handler
from aldgate.surfaces.http.front import Front
from aldgate.surfaces.http.origins import Origins
from aldgate.surfaces.jobs.doors import JobDoors
from aldgate.surfaces.queued.shown import Shown
from aldgate.surfaces.responses.shelf import Shelf
from aldgate.surfaces.routes import SURFACES, every_path, health_paths


def handlers_of(
    settings: Settings, app: App, store: Store, doors: Doors, shelf: Shelf, people: People, audit: Audit
) -> dict[str, Handler]:
    """By faces: everything, or health and metrics alone."""
    gate, writer, identity = app.gate, app.writer, doors.identity

    async def reasons() -> list[str]:
        found = ["the gate is stopping"] if gate.is_draining else []
        if writer.is_failing:
            found.append("the ledger cannot be written")
        try:
            await store.ping()
        except GatewayError as error:
            found.append(error.message)
        return found

    health = HealthFace(gate, identity, reasons, app.exposed)

    def administration() -> Handler:
        return SURFACES.load("api")(
            store=store,
            identity=identity,
            committed=writer.committed,
            new_id=gate.new_id,
            files=app.files,
            archive=app.archive,
            link_s=settings.artifacts.link_s,
            batches=app.batches,
            reloader=app.reloader,
            in_flight=doors.in_flight,
            most_unfinished=settings.batches.max_unfinished,
            audit=audit,
            registration=Registration(settings.auth.open_registration, is_on_loopback(settings.server)),
            clients=app.clients,
            tell=app.neighbours.change,
            people=people,
            placing=app.placing,
            jobs=app.jobs,
            images=image_terms(settings, app.archive),
            tickets=app.tickets,
        ).app

    def watching() -> Handler:
        shown = Shown(app.archive.links, settings.artifacts.link_s)
        return SURFACES.load("job-socket")(app.jobs, identity, app.watch, app.tickets, shown, gate.new_id).serve

    making = JobDoors(app.jobs, app.archive, settings.artifacts.link_s, settings.artifacts.inline_bytes)
    origins = Origins(settings.server.cors_origins)
    return {
        "all": every_path(doors, shelf, health, app.clients, app.oidc, administration, watching, making, origins),
        "ops": Front(health_paths(health), new_id=gate.new_id),
    }
