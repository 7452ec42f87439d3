"""The API process: puts its parts together and serves them until SIGTERM."""

import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import uvicorn
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from hemaline_cloud.api import problems
from hemaline_cloud.api.changes import ChangeFeed
from hemaline_cloud.api.context import ApiContext
from hemaline_cloud.api.field_images import FieldImageReader
from hemaline_cloud.api.headers import HeadersAndMetrics
from hemaline_cloud.api.pages import install_pages
from hemaline_cloud.api.read_audit import ReadAudit
from hemaline_cloud.api.routes import (
    comments,
    events,
    fhir,
    fields,
    images,
    labels,
    ledger,
    operations,
    slides,
)
from hemaline_cloud.api.routes.uploads import upload_router
from hemaline_cloud.api.views import API
from hemaline_cloud.audit.sealing import AuditSealer
from hemaline_cloud.database.engine import make_engine
from hemaline_cloud.objects.store import ObjectStore, open_store
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
    sealer = AuditSealer(engine, store)
    context = ApiContext(
        engine=engine.execution_options(postgresql_readonly=True),
        writing_engine=engine,
        reads=ReadAudit(engine),
        images=FieldImageReader(store.get),
        changes=ChangeFeed(engine),
        store_problem=store.problem,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
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
        openapi_url=f"{API}/openapi.json",
        responses=problems.documented(HTTPStatus.UNPROCESSABLE_ENTITY),
    )
    app.state.context = context
    app.add_middleware(HeadersAndMetrics, on_fault=problems.on_fault)
    problems.install(app)
    for module in (slides, fields, images, labels, comments, ledger, events, operations, fhir):
        app.include_router(module.router)
    _add_uploads(app, settings, store)
    install_pages(app)
    return app


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
