"""What schemathesis cannot know of the service: who is signed in, and which ids there are.

The user "fuzz" has a token that is live when a call is made, because many of the calls end it. Where a
call is meant to be good, half of the time the ids in its path exist, and its body has what opens the door."""

import os
import random

import requests
import schemathesis

API, ADMIN = os.environ["DEVICEGATE_API"], os.environ["DEVICEGATE_ADMIN"]
NAME, PASSWORD = "fuzz", "not in any example of the page"


def make_user():
    answer = requests.post(ADMIN + "/admin/users", json={"name": NAME, "password": PASSWORD}, timeout=30)
    if answer.status_code not in (201, 409):
        raise SystemExit("making the user: %s" % answer.text)


def sign_in():
    answer = requests.post(API + "/api/token", json={"username": NAME, "password": PASSWORD}, timeout=30)
    answer.raise_for_status()
    return answer.json()


def is_live(token):
    return requests.post(API + "/api/token/verify", json={"token": token}, timeout=30).status_code == 200


make_user()
current = sign_in()
chance = random.Random()  # its own: the generator watches over the shared one


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case, ctx):
        global current
        if case.path.startswith("/admin"):
            return None
        if not is_live(current["access"]):
            current = sign_in()
        return current["access"]

    def set(self, case, data, ctx):
        if data:
            case.headers = {**(case.headers or {}), "Authorization": "Bearer " + data}


def known_ids(case):
    if case.path.startswith("/admin/devices"):
        return [d["device_uid"] for d in requests.get(ADMIN + "/admin/devices", timeout=30).json()["results"]]
    if case.path.startswith("/admin"):
        users = requests.get(ADMIN + "/admin/users", timeout=30).json()["results"]
        return [u["id"] for u in users if u["name"] != NAME]  # the user of these calls stays as he is
    devices = requests.get(API + "/trusted-devices", timeout=30, headers={"Authorization": "Bearer " + current["access"]})
    return [d["device_uid"] for d in devices.json()] if devices.ok else []


def reset_token():
    users = requests.get(ADMIN + "/admin/users", params={"name": NAME}, timeout=30).json()["results"]
    return requests.post(ADMIN + "/admin/users/%s/password-reset" % users[0]["id"], timeout=30).json()["reset_token"]


# What a body has to say to be taken. A password stays what it was, because every later call needs it.
def good_body(path):
    if path == "/api/token":
        return {"username": NAME, "password": PASSWORD}
    if path in ("/api/token/refresh", "/api/token/revoke"):
        return {"refresh": sign_in()["refresh"]}
    if path == "/api/token/verify":
        return {"token": chance.choice((current["access"], current["refresh"]))}
    if path == "/api/password":
        return {"current_password": PASSWORD, "new_password": PASSWORD}
    if path == "/api/password/reset":
        return {"reset_token": reset_token(), "new_password": PASSWORD}
    return {}


@schemathesis.hook
def before_call(context, case, **kwargs):
    if not case.meta or not case.meta.generation.mode.is_positive or chance.random() < 0.5:
        return
    if isinstance(case.body, dict):
        case.body.update(good_body(case.operation.path))
    if case.path_parameters:
        known = known_ids(case)
        for name in case.path_parameters:
            if known:
                case.path_parameters[name] = chance.choice(known)
