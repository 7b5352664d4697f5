"""Signs the demo's admin in and lets schemathesis ask the API: run.py SECONDS."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from browser import URL, signed_in

FOLDER = Path(__file__).parent
DOCUMENT = URL + "/api/v1/openapi.json"
PROGRAM = Path(sys.executable).parent / "schemathesis"
SCHEMATHESIS = [PROGRAM, "--config-file", FOLDER / "schemathesis.toml", "run", "--no-color"]


def mutation():
    """A document that promises what no answer has must make a run fail, or one that passes proves nothing."""
    with urllib.request.urlopen(DOCUMENT, timeout=30) as answer:
        document = json.load(answer)
    document["components"]["schemas"]["Terms"]["required"].append("planted")
    broken = Path("broken.json")
    broken.write_text(json.dumps(document))
    narrow = ["--include-operation-id", "getTerms", "--phases", "fuzzing", "--max-examples", "1"]
    run = subprocess.run([*SCHEMATHESIS, *narrow, "--url", URL, broken], capture_output=True, text=True)
    if run.returncode != 1 or '"planted" is a required property' not in run.stdout:
        sys.exit(f"a broken document was not noticed ({run.returncode}):\n{run.stdout}\n{run.stderr}")
    print("a document that promises what no answer has: noticed", flush=True)


admin = {"email": "ana@demo-agency.example", "password": os.environ["CLP_DEMO_PASSWORD"]}
os.environ["CLP_FUZZ_SESSION"] = signed_in("/api/v1/session", admin)
mutation()
os.environ["SCHEMATHESIS_HOOKS"] = "hooks"
os.environ["PYTHONPATH"] = str(FOLDER)
os.execv(PROGRAM, [*SCHEMATHESIS, "--max-time", sys.argv[1], *sys.argv[2:], DOCUMENT])
