"""The API process: puts its parts together and serves them until SIGTERM."""

import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from fastapi.concurrency import run_in_threadpool

from hemaline_cloud.api import problems
from hemaline_cloud.api.authentication import authenticate
from hemaline_cloud.api.authenticator import Authenticator
from hemaline_cloud.api.bodies import BoundedBodies
from hemaline_cloud.api.changes import ChangeFeed
from hemaline_cloud.api.context import ApiContext
from hemaline_cloud.api.field_images import FieldImageReader
from hemaline_cloud.api.hashing import HashingSlots
from hemaline_cloud.api.headers import HeadersAndMetrics
from hemaline_cloud.api.hosts import LOOPBACK, AllowedHosts
from hemaline_cloud.api.pages import install_pages
from hemaline_cloud.api.rate_limits import RateLimit
from hemaline_cloud.api.read_audit import ReadAudit
from hemaline_cloud.api.routes import (
    account,
    added_cells,
    cells_csv,
    comments,
    configuration,
    device_commands,
    devices,
    events,
    fhir,
    fhir_orders,
    fields,
    find,
    images,
    labels,
    ledger,
    log_in,
    morphology,
    operations,
    orders,
    overrides,
    pages,
    reference_cells,
    reports,
    review,
    session,
    slides,
    specimens,
    timeline,
)
from hemaline_cloud.api.routes.oidc import oidc_router
from hemaline_cloud.api.routes.uploads import upload_router
from hemaline_cloud.audit.sealing import AuditSealer
from hemaline_cloud.database.engine import make_engine, of_principal
from hemaline_cloud.erasing import finish_erasures
from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.orders.identity import identity_keys
from hemaline_cloud.people.log_in import LocalLogIn
from hemaline_cloud.people.oidc import IdentityProvider
from hemaline_cloud.people.oidc_log_in import OidcLogIn
from hemaline_cloud.people.passwords import Passwords
from hemaline_cloud.principal import service
from hemaline_cloud.settings import ApiSettings, DirectoryObjects
from hemaline_shared.listening import listen

logger = logging.getLogger(__name__)

_CONNECTIONS = 10
_STATEMENT_TIMEOUT_S = 15
_GRACE_S = 10
_ABOUT = (
    "What the pipeline stored (slides, fields, cells, results, the ledger of frames), and what "
    "people say of it. "
    "For Research Use Only. Not for use in diagnostic procedures."
)

_OF_EVERY_ROUTE: dict[str, Any] = {
    "dependencies": [Depends(authenticate)],
    "responses": problems.documented(*problems.OF_ANY_REQUEST),
}


def run(settings: ApiSettings) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what was asked and close."""
    # Before anything else is opened: a taken port is told at once.
    listener = listen(settings.host, settings.port, what="the API", setting="HEMALINE_")
    server = make_server(settings)
    # uvicorn stops on these and then raises them once more, for handlers such as ours.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, server.handle_exit)  # a terminal that is closed
    logger.info("serving http://%s:%d", settings.host, listener.getsockname()[1])
    server.run(sockets=[listener])


def make_server(settings: ApiSettings) -> uvicorn.Server:
    """Return the server of `make_app`; it listens once it runs."""
    app = make_app(settings)
    context: ApiContext = app.state.context
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # addresses of uploads are signed, and signatures are secrets
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return _Server(config, context.changes)


def make_app(settings: ApiSettings) -> FastAPI:
    """Return the API and the pages; nothing is connected until the app starts."""
    store = open_store(settings.objects)
    engine = make_engine(
        settings.database_url.get_secret_value(),
        pool_size=_CONNECTIONS,
        statement_timeout_s=_STATEMENT_TIMEOUT_S,
        prepared=False,
    )
    people = of_principal(engine, service("people"))
    sealer = AuditSealer(engine, store)
    context = ApiContext(
        engine=engine.execution_options(postgresql_readonly=True),
        writing_engine=engine,
        reads=ReadAudit(engine),
        images=FieldImageReader(store.get),
        changes=ChangeFeed(engine),
        store_problem=store.problem,
        finish_erasures=partial(finish_erasures, engine, store),
        authenticator=Authenticator(
            people,
            round(settings.session_idle_minutes * 60),
            RateLimit(settings.requests_per_minute // 3, settings.requests_per_minute / 60),
        ),
        local_log_in=LocalLogIn(people, Passwords(), round(settings.session_hours * 3600)),
        hashing=HashingSlots(),
        log_in_limit=RateLimit(settings.log_ins_per_minute, settings.log_ins_per_minute / 60),
        identity_keys=identity_keys(settings),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(context.finish_erasures)  # of a process that was killed
        context.changes.start()
        sealer.start()
        yield
        await run_in_threadpool(context.changes.stop)
        await run_in_threadpool(sealer.stop)
        engine.dispose()

    app = FastAPI(
        title="Hemaline",
        description=_ABOUT,
        version="1",
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
        openapi_url=None,  # a route of ours, so that it wants a principal, too
        routes=_routes().routes,
        **_OF_EVERY_ROUTE,
    )
    app.state.context = context
    app.state.settings = settings
    app.add_middleware(BoundedBodies)
    app.add_middleware(AllowedHosts, hosts=_hosts(settings), refuse=problems.answer)
    app.add_middleware(HeadersAndMetrics, on_fault=problems.on_fault)
    problems.install(app)
    _add_uploads(app, settings, store)
    if settings.oidc:
        provider = IdentityProvider(settings.oidc, f"{settings.public_url}log-in/oidc/callback")
        lifetime_s = round(settings.session_hours * 3600)
        app.include_router(
            oidc_router(OidcLogIn(context.authenticator.engine, provider, lifetime_s))
        )
    install_pages(app)
    return app


@cache
def _routes() -> APIRouter:
    """Return what every app serves: FastAPI needs half a second to work the routes out."""
    router = APIRouter(**_OF_EVERY_ROUTE)
    for module in (
        slides,
        cells_csv,
        find,
        fields,
        images,
        labels,
        added_cells,
        comments,
        morphology,
        review,
        orders,
        reports,
        overrides,
        reference_cells,
        timeline,
        specimens,
        ledger,
        configuration,
        device_commands,
        events,
        session,
        operations,
        fhir,
        fhir_orders,
        log_in,
        account,
        pages,
        devices,
    ):
        router.include_router(module.router)
    return router


def _hosts(settings: ApiSettings) -> set[str]:
    public = settings.public_url
    named = {settings.host} | settings.allowed_hosts | ({public.host} if public else set())
    return {host for host in named if host} | set(LOOPBACK)


def _add_uploads(app: FastAPI, settings: ApiSettings, store: ObjectStore) -> None:
    objects = settings.objects
    if isinstance(objects, DirectoryObjects) and objects.upload_secret:
        app.include_router(upload_router(store, objects.upload_secret))


class _Server(uvicorn.Server):
    """Ends the streams of changes first: uvicorn would wait for pages that never hang up."""

    def __init__(self, config: uvicorn.Config, changes: ChangeFeed) -> None:
        super().__init__(config)
        self._changes = changes

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.shutdown`."""
        self._changes.end_streams()
        await super().shutdown(sockets)
