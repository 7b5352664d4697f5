"""A browser, as far as signing in goes."""

import json
import os
import urllib.request

URL = os.environ["CLP_URL"]
COOKIE = "clp_session"


def signed_in(path, body):
    """Signs up or in; the token of the session."""
    headers = {"Content-Type": "application/json", "X-Requested-With": "clp"}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers["Set-Cookie"].split(";")[0].removeprefix(COOKIE + "=")
