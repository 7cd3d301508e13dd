"""The switchboard over HTTP, for scenarios that run in another process."""

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from plate_release.sandbox.cache import Pace
from plate_release.sandbox.faults import Fault

if TYPE_CHECKING:
    from plate_release.sandbox.sandbox import Sandbox


def admin_app(sandbox: "Sandbox") -> Starlette:
    """Return the HTTP application.

    POST /faults {kind, matching, times, status, body, ...}; DELETE /faults; POST /controller,
    /repo-server and /argocd {"up": bool}; POST /pace {namespace, lag, apply}; POST /apply with a
    manifest; GET /requests; GET /state.
    """

    async def inject(request: Request) -> Response:
        sandbox.faults.append(Fault(**await request.json()))
        return JSONResponse({})

    async def heal(request: Request) -> Response:
        del request
        sandbox.faults.clear()
        return JSONResponse({})

    async def controller(request: Request) -> Response:
        running = sandbox.controller.parts.running
        (running.set if (await request.json())["up"] else running.clear)()
        return JSONResponse({})

    async def repo_server(request: Request) -> Response:
        sandbox.renderer.down = not (await request.json())["up"]
        return JSONResponse({})

    async def argocd(request: Request) -> Response:
        server = sandbox.argocd_server
        await (server.start() if (await request.json())["up"] else server.stop())
        return JSONResponse({})

    async def pace(request: Request) -> Response:
        body = await request.json()
        sandbox.controller.cache.paces[body.pop("namespace")] = Pace(**body)
        return JSONResponse({})

    async def apply(request: Request) -> Response:
        sandbox.apply_here(await request.json())
        return JSONResponse({})

    async def requests(request: Request) -> Response:
        del request
        return JSONResponse(sandbox.requests)

    async def state(request: Request) -> Response:
        del request
        return JSONResponse(
            {
                "now": sandbox.clock.now(),
                "factor": sandbox.clock.factor,
                "password": sandbox.accounts.password,
            }
        )

    return Starlette(
        routes=[
            Route("/faults", inject, methods=["POST"]),
            Route("/faults", heal, methods=["DELETE"]),
            Route("/controller", controller, methods=["POST"]),
            Route("/repo-server", repo_server, methods=["POST"]),
            Route("/argocd", argocd, methods=["POST"]),
            Route("/pace", pace, methods=["POST"]),
            Route("/apply", apply, methods=["POST"]),
            Route("/requests", requests),
            Route("/state", state),
        ]
    )
