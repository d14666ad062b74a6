"""A Django project with SimpleJWT and django-trusted-devices, as small as one can be, for the tests beside it.

    python project.py FOLDER

FOLDER/settings.json says what differs between two of them; the database lands in FOLDER as well. Once it serves,
on a free port of 127.0.0.1, its first line says so in JSON. It ends when its standard input does, so that it
cannot outlive the test, and at the latest after ten minutes. A second one may go on with what the first has left.
"""

import importlib.metadata
import json
import os
import sys
import threading
from datetime import timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

FOLDER = Path(sys.argv[1])
THIS = json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))
LIFETIMES = {"ACCESS_TOKEN_LIFETIME", "REFRESH_TOKEN_LIFETIME"}


def nowhere(ip):
    """The place of an address: nobody is asked for it here."""
    return {}


sys.modules["project"] = sys.modules[__name__]
settings.configure(
    SECRET_KEY=THIS["SECRET_KEY"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="project",
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt",
        "rest_framework_simplejwt.token_blacklist",
        "trusted_devices",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}},
    # Nothing is counted, so that the fixed throttle of five sign-ins a minute is no part of the tests.
    CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["trusted_devices.authentication.TrustedDeviceAuthentication"],
        "EXCEPTION_HANDLER": "trusted_devices.handlers.trusted_device_exception_handler",
    },
    TRUSTED_DEVICE={"GEOLOCATION_BACKEND": "project.nowhere", "DELETE_DELAY_MINUTES": 0},
    SIMPLE_JWT={k: timedelta(seconds=v) if k in LIFETIMES else v for k, v in THIS["SIMPLE_JWT"].items()},
)
django.setup()

# What follows needs the settings.
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer  # noqa: E402
from rest_framework_simplejwt.tokens import RefreshToken  # noqa: E402
from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView  # noqa: E402
from trusted_devices.serializers import TrustedDeviceTokenObtainPairSerializer  # noqa: E402
from trusted_devices.views import TrustedDeviceTokenObtainPairView  # noqa: E402


class Named(TrustedDeviceTokenObtainPairSerializer):
    """Says the username, as projects do whose other services want to show it."""

    @classmethod
    def get_token(cls, user):
        token = super().get_token(user)
        token["username"] = user.username
        return token


class Respelled(TrustedDeviceTokenObtainPairSerializer):
    """Spells the device as other systems write a UUID."""

    @staticmethod
    def spell(uid):
        raise NotImplementedError

    def validate(self, attrs):
        data = super().validate(attrs)
        refresh = RefreshToken(data["refresh"])
        refresh["device_uid"] = self.spell(data["device_uid"])
        return data | {"refresh": str(refresh), "access": str(refresh.access_token)}


class Upper(Respelled):
    """DEVICE_UID in capitals."""

    @staticmethod
    def spell(uid):
        return uid.upper()


class Bare(Respelled):
    """A UUID without its dashes."""

    @staticmethod
    def spell(uid):
        return uid.replace("-", "")


class Loud(Respelled):
    """Both."""

    @staticmethod
    def spell(uid):
        return uid.upper().replace("-", "")


@csrf_exempt
def activity(request, name, active):
    """Does what the box "active" of the admin pages does."""
    changed = get_user_model().objects.filter(username=name).update(is_active=active == "on")
    return JsonResponse({"changed": changed})


def signing_in(serializer):
    return TrustedDeviceTokenObtainPairView.as_view(serializer_class=serializer)


urlpatterns = [
    path("", include("trusted_devices.urls")),
    path("api/token/blacklist", TokenBlacklistView.as_view()),
    path("named/api/token", signing_in(Named)),
    path("upper/api/token", signing_in(Upper)),
    path("bare/api/token", signing_in(Bare)),
    path("loud/api/token", signing_in(Loud)),
    # SimpleJWT alone, without django-trusted-devices: no device.
    path("plain/api/token", TokenObtainPairView.as_view(serializer_class=TokenObtainPairSerializer)),
    path("users/<str:name>/active/<str:active>", activity),
]


class Server(ThreadingMixIn, WSGIServer):
    """One thread a request."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """Does not write a line for each request."""

    def log_message(self, *args):
        pass


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    threading.Thread(target=end_with_input, daemon=True).start()
    limit = threading.Timer(600, os._exit, [1])
    limit.daemon = True
    limit.start()
    call_command("migrate", verbosity=0)
    for name in THIS["USERS"]:
        if not get_user_model().objects.filter(username=name).exists():
            get_user_model().objects.create_user(name, password=THIS["PASSWORD"])
    server = make_server("127.0.0.1", 0, get_wsgi_application(), server_class=Server, handler_class=Quiet)
    versions = {name: importlib.metadata.version(name) for name in ("djangorestframework-simplejwt", "pyjwt", "django-trusted-devices")}
    print(json.dumps({"port": server.server_port, "versions": versions}), flush=True)
    server.serve_forever()


main()
