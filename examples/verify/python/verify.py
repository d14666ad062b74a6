"""A backend behind devicegate that answers nobody but those whom the gate let pass.

It verifies the assertion of each request, and fails closed: without the gate's keys it answers nobody.

    pip install -r requirements.txt
    python verify.py http://127.0.0.1:9282/.well-known/jwks.json devicegate app.example 9000
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt


class Verifier:
    """Holds what this backend knows: the gate's keys and its tokens.issuer, and under which name it is asked itself.

    The host is never read from a request.
    """

    def __init__(self, jwks_url, issuer, host):
        # A key that was retired at once verifies for a minute more, not for the five that PyJWT keeps keys otherwise.
        self.keys, self.issuer, self.host = jwt.PyJWKClient(jwks_url, lifespan=60, timeout=5), issuer, host

    def verify(self, assertion):
        """Returns who an assertion says that passed. Every jwt.PyJWTError refuses."""
        key = self.keys.get_signing_key_from_jwt(assertion)
        token = jwt.decode_complete(
            assertion, key, algorithms=["EdDSA", "ES256"], issuer=self.issuer, audience=self.host, leeway=5,
            options={"require": ["exp", "iat", "iss", "aud", "sub"], "strict_aud": True},
        )
        if token["header"].get("typ") != "assertion+jwt":
            raise jwt.InvalidTokenError("the token is no assertion")  # an access token, for one
        claims = token["payload"]
        return {name: claims[name] for name in ("sub", "username", "device_uid", "roles")}


class Handler(BaseHTTPRequestHandler):
    """Answers with who asks."""

    verifier = None

    def do_GET(self):
        try:
            status, answer = 200, self.verifier.verify(self.headers.get("Remote-Assertion", ""))
        except (jwt.PyJWTError, KeyError) as why:
            print(f"refused: {str(why)!r:.200}", file=sys.stderr)  # the client is told nothing
            status, answer = 403, {"detail": "this request did not come through the gate"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: verify.py JWKS_URL ISSUER HOST PORT, such as in the text above this program")
    jwks_url, issuer, host, port = sys.argv[1:]
    Handler.verifier = Verifier(jwks_url, issuer, host)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
