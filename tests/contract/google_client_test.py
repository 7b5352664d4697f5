"""Google's own Python client against the sandbox: what Google's client accepts, ours may rely on.

SANDBOX_BIN names the binary. The discovery documents are those that ship with the client; every
answer is checked against their schemas, which the client itself does not do.

    python3 -m venv .venv && .venv/bin/pip install -r tests/contract/requirements.txt
    SANDBOX_BIN=target/debug/sandbox .venv/bin/python -m pytest tests/contract/google_client_test.py
"""

import base64
import csv
import hashlib
import http.client
import io
import json
import os
import pathlib
import secrets
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import googleapiclient.discovery_cache.documents as discovery_documents
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

SCOPES = [
    "https://www.googleapis.com/auth/display-video",
    "https://www.googleapis.com/auth/doubleclickbidmanager",
]
REDIRECT = "http://localhost:9/back"
START_DEADLINE_SECONDS = 30


class Sandbox:
    """A running sandbox and its admin API."""

    def __init__(self, folder: pathlib.Path, *arguments: str):
        binary = os.environ.get("SANDBOX_BIN")
        assert binary, "set SANDBOX_BIN to the sandbox binary"
        port_file = folder / "url"
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--port-file", str(port_file), *arguments],
            stderr=(folder / "log").open("w"),
        )
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not port_file.exists():
            assert self.process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the sandbox did not start"
            time.sleep(0.02)
        self.base = port_file.read_text()

    def admin(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.base}/admin/v1{path}", data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            text = answer.read().decode()
            if answer.headers["Content-Type"] == "application/x-ndjson":
                return [json.loads(line) for line in text.splitlines()]
            return json.loads(text)

    def advance(self, seconds: int):
        self.admin("POST", "/clock", {"advance_seconds": seconds})

    def consent(self, email: str) -> Credentials:
        """Walks the consent page as a person would and exchanges the code with PKCE."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        request = {
            "client_id": "sandbox-client",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "state": "xyz",
            "access_type": "offline",
            "prompt": "consent",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        page_url = f"{self.base}/o/oauth2/v2/auth?{urllib.parse.urlencode(request)}"
        page = urllib.request.urlopen(page_url).read().decode()
        assert email in page and 'lang="en"' in page
        host = self.base.removeprefix("http://")
        connection = http.client.HTTPConnection(host)
        form = urllib.parse.urlencode({**request, "account": email, "decision": "allow"})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/o/oauth2/v2/auth", form, headers)
        location = connection.getresponse().getheader("Location")
        answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
        assert answer["state"] == "xyz"
        form = urllib.parse.urlencode({
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": REDIRECT,
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "code_verifier": verifier,
        })
        tokens = json.load(urllib.request.urlopen(f"{self.base}/token", form.encode()))
        assert tokens["expires_in"] == 3599 and tokens["token_type"] == "Bearer"
        return Credentials(
            token=None,
            refresh_token=tokens["refresh_token"],
            client_id="sandbox-client",
            client_secret="sandbox-secret",
            token_uri=f"{self.base}/token",
        )

    def display_video(self, credentials: Credentials):
        options = {"api_endpoint": f"{self.base}/"}
        return build("displayvideo", "v4", credentials=credentials, static_discovery=True,
                     cache_discovery=False, client_options=options)

    def bid_manager(self, credentials: Credentials):
        options = {"api_endpoint": f"{self.base}/v2/"}
        return build("doubleclickbidmanager", "v2", credentials=credentials, static_discovery=True,
                     cache_discovery=False, client_options=options)


@pytest.fixture
def sandbox(tmp_path):
    running = Sandbox(tmp_path, "--seed", "7", "--clock-file", str(tmp_path / "clock"))
    yield running
    running.process.terminate()
    assert running.process.wait(timeout=10) == 0


@pytest.fixture
def planner(sandbox):
    return sandbox.consent("planner@agency.example")


def conforms(api: str, schema: str, value) -> None:
    """Fails when an answer does not fit the discovery document's schema."""
    folder = pathlib.Path(discovery_documents.__path__[0])
    schemas = json.loads((folder / f"{api}.json").read_text())["schemas"]

    def check(rule, value, at):
        if "$ref" in rule:
            rule = {"type": "object", **schemas[rule["$ref"]]}
        kind = rule.get("type")
        if kind == "object":
            assert isinstance(value, dict), at
            for name, child in value.items():
                assert name in rule["properties"], f"{at}.{name} is unknown"
                check(rule["properties"][name], child, f"{at}.{name}")
        elif kind == "array":
            assert isinstance(value, list) and value, f"{at}: empty lists are absent on the wire"
            for index, child in enumerate(value):
                check(rule["items"], child, f"{at}[{index}]")
        elif kind == "string":
            assert isinstance(value, str), at
            assert "enum" not in rule or value in rule["enum"], f"{at}: {value}"
            assert rule.get("format") != "int64" or value.lstrip("-").isdigit(), at
        elif kind == "integer":
            assert isinstance(value, int), at
        elif kind == "boolean":
            assert isinstance(value, bool), at

    check({"$ref": schema}, value, schema)


def all_line_items(service, advertiser_id: str, page_size: int):
    line_items = service.advertisers().lineItems()
    request = line_items.list(advertiserId=advertiser_id, pageSize=page_size)
    pages, found = 0, []
    while request is not None:
        answer = request.execute()
        conforms("displayvideo.v4", "ListLineItemsResponse", answer)
        found += answer.get("lineItems", [])
        pages += 1
        request = line_items.list_next(request, answer)
    return pages, found


def test_it_lists_everything_that_the_person_can_see(sandbox, planner):
    service = sandbox.display_video(planner)
    partners = service.partners().list().execute()
    conforms("displayvideo.v4", "ListPartnersResponse", partners)
    partner_id = partners["partners"][0]["partnerId"]
    advertisers = service.advertisers().list(partnerId=partner_id).execute()
    conforms("displayvideo.v4", "ListAdvertisersResponse", advertisers)
    assert len(advertisers["advertisers"]) == 3
    total = 0
    for advertiser in advertisers["advertisers"]:
        advertiser_id = advertiser["advertiserId"]
        conforms("displayvideo.v4", "Advertiser", service.advertisers().get(advertiserId=advertiser_id).execute())
        campaigns = service.advertisers().campaigns().list(advertiserId=advertiser_id).execute()
        conforms("displayvideo.v4", "ListCampaignsResponse", campaigns)
        orders = service.advertisers().insertionOrders().list(advertiserId=advertiser_id).execute()
        conforms("displayvideo.v4", "ListInsertionOrdersResponse", orders)
        pages, line_items = all_line_items(service, advertiser_id, 5)
        assert pages == 3
        assert len({line_item["lineItemId"] for line_item in line_items}) == len(line_items)
        total += len(line_items)
    assert total == 42


def test_a_patch_changes_one_field_and_is_recorded_once(sandbox, planner):
    service = sandbox.display_video(planner)
    advertiser_id = sandbox.admin("GET", "/world")["advertisers"][0]["advertiser_id"]
    _, line_items = all_line_items(service, advertiser_id, 200)
    before = line_items[0]
    after = service.advertisers().lineItems().patch(
        advertiserId=advertiser_id,
        lineItemId=before["lineItemId"],
        updateMask="pacing.dailyMaxMicros",
        body={"pacing": {"dailyMaxMicros": "10257770"}},
    ).execute()
    conforms("displayvideo.v4", "LineItem", after)
    assert after["pacing"]["dailyMaxMicros"] == "10250000"
    assert after["updateTime"] > before["updateTime"]
    changed = {**after, "pacing": before["pacing"], "updateTime": before["updateTime"]}
    assert changed == before
    read = service.advertisers().lineItems().get(advertiserId=advertiser_id, lineItemId=before["lineItemId"]).execute()
    assert read == after
    writes = sandbox.admin("GET", "/writes")["writes"]
    assert [write["after"] for write in writes] == [{"pacing.dailyMaxMicros": "10250000"}]


def test_an_error_has_the_body_that_the_client_reads(sandbox, planner):
    service = sandbox.display_video(planner)
    advertiser_id = sandbox.admin("GET", "/world")["advertisers"][0]["advertiser_id"]
    _, line_items = all_line_items(service, advertiser_id, 200)
    with pytest.raises(HttpError) as caught:
        service.advertisers().lineItems().patch(
            advertiserId=advertiser_id,
            lineItemId=line_items[0]["lineItemId"],
            updateMask="pacing.dailyMaximum",
            body={},
        ).execute()
    assert caught.value.status_code == 400
    assert caught.value.reason == "Request contains an invalid argument."
    violations = caught.value.error_details[0]["fieldViolations"]
    assert violations[0]["field"] == "updateMask" and "pacing.dailyMaximum" in violations[0]["description"]
    error = json.loads(caught.value.content)["error"]
    assert error["status"] == "INVALID_ARGUMENT" and error["code"] == 400


def test_someone_without_access_is_refused(sandbox):
    service = sandbox.display_video(sandbox.consent("intern@agency.example"))
    with pytest.raises(HttpError) as caught:
        service.partners().list().execute()
    assert caught.value.status_code == 403
    assert json.loads(caught.value.content)["error"]["status"] == "PERMISSION_DENIED"


def test_a_revoked_consent_ends_the_refresh_token(sandbox, planner):
    service = sandbox.display_video(planner)
    service.partners().list().execute()
    sandbox.admin("POST", "/users/planner@agency.example/revoke")
    with pytest.raises(RefreshError) as caught:
        service.partners().list().execute()
    assert "invalid_grant" in str(caught.value)


def test_an_access_token_ends_with_virtual_time(sandbox, planner):
    service = sandbox.display_video(planner)
    service.partners().list().execute()
    token = planner.token
    sandbox.advance(3600)
    service.partners().list().execute()
    assert planner.token != token


def run_report(sandbox, credentials, query_body):
    service = sandbox.bid_manager(credentials)
    query = service.queries().create(body=query_body).execute()
    conforms("doubleclickbidmanager.v2", "Query", query)
    report = service.queries().run(queryId=query["queryId"]).execute()
    conforms("doubleclickbidmanager.v2", "Report", report)
    assert report["metadata"]["status"]["state"] == "QUEUED"
    assert "googleCloudStoragePath" not in report["metadata"]
    sandbox.advance(120)
    report = service.queries().reports().get(
        queryId=query["queryId"], reportId=report["key"]["reportId"]
    ).execute()
    conforms("doubleclickbidmanager.v2", "Report", report)
    assert report["metadata"]["status"]["state"] == "DONE"
    sandbox.advance(2)
    listed = service.queries().reports().list(queryId=query["queryId"], orderBy="key.reportId desc").execute()
    assert listed["reports"][0]["key"] == report["key"]
    return urllib.request.urlopen(report["metadata"]["googleCloudStoragePath"]).read().decode()


def daily_query(advertiser_id: str):
    return {
        "metadata": {"title": "daily", "dataRange": {"range": "LAST_7_DAYS"}, "format": "CSV"},
        "params": {
            "type": "STANDARD",
            "groupBys": ["FILTER_DATE", "FILTER_ADVERTISER", "FILTER_LINE_ITEM", "FILTER_LINE_ITEM_NAME"],
            "filters": [{"type": "FILTER_ADVERTISER", "value": advertiser_id}],
            "metrics": ["METRIC_IMPRESSIONS", "METRIC_REVENUE_ADVERTISER"],
        },
        "schedule": {"frequency": "ONE_TIME"},
    }


def test_a_report_says_what_the_ledger_says(sandbox, planner):
    advertiser_id = sandbox.admin("GET", "/world")["advertisers"][0]["advertiser_id"]
    text = run_report(sandbox, planner, daily_query(advertiser_id))
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["Date", "Advertiser ID", "Line Item ID", "Line Item", "Impressions",
                       "Revenue (Advertiser Currency)"]
    end = rows.index([])
    body, totals, footer = rows[1:end - 1], rows[end - 1], rows[end + 1:]
    assert totals[:4] == ["", "", "", ""]
    assert sum(int(row[4]) for row in body) == int(totals[4])
    report_time = next(line[1] for line in footer if line[0] == "Report Time:")
    as_of = report_time.replace("/", "-").replace(" GMT", ":00Z").replace(" ", "T")
    ledger = sandbox.admin("GET", f"/ledger?as_of={as_of}&advertiser={advertiser_id}")
    expected = {(row["day"], row["line_item_id"]): row for row in ledger}
    for row in body:
        true = expected[row[0].replace("/", "-"), row[2]]
        assert int(row[4]) == true["impressions"]
        assert int(row[5].replace(".", "")) == true["revenue_micros"]
    assert len(body) == 7 * 14


def test_a_signed_address_expires_and_cannot_be_changed(sandbox, planner):
    advertiser_id = sandbox.admin("GET", "/world")["advertisers"][0]["advertiser_id"]
    service = sandbox.bid_manager(planner)
    query = service.queries().create(body=daily_query(advertiser_id)).execute()
    key = service.queries().run(queryId=query["queryId"]).execute()["key"]
    sandbox.advance(120)
    report = service.queries().reports().get(queryId=key["queryId"], reportId=key["reportId"]).execute()
    address = report["metadata"]["googleCloudStoragePath"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address.replace(".csv", "0.csv"))
    assert caught.value.code == 403
    sandbox.advance(3601)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address)
    assert caught.value.code == 400 and b"ExpiredToken" in caught.value.read()


def test_too_many_calls_are_refused_with_429(sandbox, planner):
    service = sandbox.bid_manager(planner)
    with pytest.raises(HttpError) as caught:
        for _ in range(10):
            service.queries().list().execute()
    assert caught.value.status_code == 429
    assert json.loads(caught.value.content)["error"]["status"] == "RESOURCE_EXHAUSTED"
    sandbox.advance(2)
    service.queries().list().execute()


def test_the_clients_own_retries_get_through_a_planned_fault(sandbox, planner):
    service = sandbox.display_video(planner)
    sandbox.admin("POST", "/faults", {
        "match": {"method": "GET", "path_contains": "/v4/partners"},
        "times": 1,
        "action": {"kind": "status", "status": 503},
    })
    assert service.partners().list().execute(num_retries=2)["partners"]
    assert sandbox.admin("GET", "/calls")["totals"]["GET /v4/partners"] == 2
