"""Builds the web door: the FHIR routes, intake, operations, health, inside the guard."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from gateway.api.bulk_export import BulkExport
from gateway.api.document import Documents
from gateway.api.fhir_operations import FhirOperations
from gateway.api.guard import Guard, http_error
from gateway.api.hl7v2 import Hl7v2
from gateway.api.intake import Intake
from gateway.api.lastn import LastN
from gateway.api.match import Matching
from gateway.api.meta import Labels
from gateway.api.openapi import OpenApi
from gateway.api.operations import Operations
from gateway.api.people import People
from gateway.api.process_message import ProcessMessage
from gateway.api.rest import Rest
from gateway.api.services import Services
from gateway.api.shelved import Shelved
from gateway.api.soap import Soap
from gateway.api.subscriptions import Subscriptions
from gateway.api.terminology import Terminology
from gateway.api.writing import Writing

COMPRESSED = 16 * 1024  # bytes of an answer from which gzip is worth its time to who takes it (Accept-Encoding)


def create(services: Services) -> Starlette:
    """The application for uvicorn. /openapi.json describes it to whoever has a token; there is no /docs."""
    app = Starlette(
        middleware=[
            Middleware(Guard, services=services),
            Middleware(GZipMiddleware, minimum_size=COMPRESSED, compresslevel=1),
            Middleware(Shelved, services=services),
        ],
        exception_handlers={HTTPException: http_error},
    )
    app.router.redirect_slashes = False
    writing = Writing(services)
    app.router.routes.extend(writing.root())
    app.router.routes.extend(BulkExport(services, writing.waiting).routes())
    app.router.routes.extend(Matching(services, writing.waiting).routes())
    app.router.routes.extend(Documents(services, writing.waiting).routes())
    app.router.routes.extend(ProcessMessage(services, writing.waiting).routes())
    app.router.routes.extend(LastN(services, writing.waiting).routes())
    app.router.routes.extend(Labels(services, writing.waiting).routes())
    app.router.routes.extend(Hl7v2(services, writing.waiting).routes())
    app.router.routes.extend(Subscriptions(services, writing.waiting).routes())
    app.router.routes.extend(FhirOperations(services, writing.waiting).routes())
    app.router.routes.extend(Terminology(services, writing.waiting).routes())
    app.router.routes.extend(Rest(services).routes())
    app.router.routes.extend(writing.routes())
    intake = Intake(services)
    app.router.routes.append(Route("/intake/{channel}", intake.post, methods=["POST"]))
    app.router.routes.append(Route("/intake/{channel}/{name:path}", intake.post, methods=["PUT", "POST"]))
    soap = Soap(intake)
    app.router.routes.append(Route("/soap/{channel}", soap.describe, methods=["GET"]))
    app.router.routes.append(Route("/soap/{channel}", soap.post, methods=["POST"]))
    app.router.routes.extend(Operations(services).routes())
    app.router.routes.extend(People(services).routes())
    app.router.routes.append(OpenApi(app.routes, services.version).route())
    return app
