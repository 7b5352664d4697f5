"""What happens around the requests that schemathesis makes up: what no document can tell it about them."""

import os
import uuid

import schemathesis
from browser import COOKIE, signed_in

SESSION = os.environ["CLP_FUZZ_SESSION"]
# They end the session that asks. Each is asked with a new one, of an agency that has nothing else to lose.
ENDS_THE_SESSION = {"signOut", "revokeSession", "switchOrganisation"}
GUEST = {"email": "guest@fuzz.example", "password": "a guest of the fuzzer"}
AGENCY = {"name": "Guest", "organisation_name": "Guests", "reporting_currency": "EUR", "time_zone": "Europe/Berlin"}

signed_in("/api/v1/sign-up", GUEST | AGENCY)


keys = set()
cursors = {}


def operation_of(case):
    return case.operation.definition.raw.get("operationId")


def is_meant_well(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


@schemathesis.hook
def before_call(context, case, kwargs):
    if operation_of(case) in ENDS_THE_SESSION and (case.cookies or {}).get(COOKIE) == SESSION:
        case.cookies[COOKIE] = signed_in("/api/v1/session", GUEST)
    key = (case.headers or {}).get("Idempotency-Key")
    known = key in keys
    keys.add(key)
    if not is_meant_well(case):
        return
    # A key names one request, and schemathesis likes to repeat itself.
    if key is not None and known:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    # The document can't list all currencies and time zones.
    if operation_of(case) == "signUp" and isinstance(case.body, dict):
        case.body |= {name: AGENCY[name] for name in ("reporting_currency", "time_zone") if name in case.body}
    # A cursor is one that the list gave out.
    if case.query and "cursor" in case.query:
        case.query["cursor"] = cursors.get(operation_of(case), "")


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code == 200 and b'"next_cursor":"' in response.content:
        cursors[operation_of(case)] = response.json()["next_cursor"]
