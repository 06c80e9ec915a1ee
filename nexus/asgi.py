"""The ASGI application: the data plane's edge in front, then WebSockets by Channels, then Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus.settings")
# Before anything imports a model.
django_app = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from analytics.routing import websocket_urlpatterns  # noqa: E402
from gateway import access, observing  # noqa: E402
from gateway.consumers import ChatConsumer  # noqa: E402
from gateway.edge import Edge  # noqa: E402
from gateway.sockets import Counted  # noqa: E402
from tenants import visits  # noqa: E402

if (write := access.finisher()) is not None:
    visits.on_finish(write)
if settings.METRICS:
    visits.on_finish(observing.observe)

# Pages are known by their cookie, so only our own pages may open these.
pages = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))

application = Edge(
    ProtocolTypeRouter(
        {
            "http": django_app,
            # Apps come with a key, from anywhere.
            "websocket": Counted(URLRouter([path("ws/chat", ChatConsumer.as_asgi()), re_path("", pages)])),
        }
    )
)
