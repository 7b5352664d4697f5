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
AGREED = {"terms_version": "1", "privacy_version": "1"}
# What the document can't list or describe: currencies, time zones, roles, permissions, passwords that are hard to guess.
MEANT = AGENCY | AGREED | {
    "email": "somebody@fuzz.example", "role": "viewer", "default_role": "viewer", "password": "violet kettle marching 41", "new": "violet kettle marching 41",
}

signed_in("/api/v1/sign-up", GUEST | AGENCY | AGREED)


MADE_OF_MEANT = {"signUp", "createInvitation", "acceptInvitation", "forgetPassword", "resetPassword", "changePassword", "agreeToTerms"}

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
    if operation_of(case) in MADE_OF_MEANT and isinstance(case.body, dict):
        # Whoever signs up has an e-mail of their own.
        own = {"email"} if operation_of(case) == "signUp" else set()
        meant = {name: value for name, value in MEANT.items() if name not in own}
        case.body |= {name: value for name, value in meant.items() if isinstance(case.body.get(name), str)}
    # A cursor is one that the list gave out.
    if case.query and "cursor" in case.query:
        case.query["cursor"] = cursors.get(operation_of(case), "")


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code == 200 and b'"next_cursor":"' in response.content:
        cursors[operation_of(case)] = response.json()["next_cursor"]
