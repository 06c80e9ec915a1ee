from django.urls import path

from analytics.consumers import LiveConsumer

websocket_urlpatterns = [path("ws/t/<slug:slug>/live/", LiveConsumer.as_asgi())]
