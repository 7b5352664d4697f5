"""Signs the demo's admin in and lets schemathesis ask the API: run.py SECONDS."""

import os
import sys
from pathlib import Path

from browser import URL, signed_in

admin = {"email": "ana@demo-agency.example", "password": os.environ["CLP_DEMO_PASSWORD"]}
os.environ["CLP_FUZZ_SESSION"] = signed_in("/api/v1/session", admin)
os.environ["SCHEMATHESIS_HOOKS"] = "hooks"
folder = Path(__file__).parent
os.environ["PYTHONPATH"] = str(folder)
arguments = ["--config-file", str(folder / "schemathesis.toml"), "run", "--no-color", "--max-time", sys.argv[1]]
schemathesis = Path(sys.executable).parent / "schemathesis"
os.execv(schemathesis, ["schemathesis", *arguments, *sys.argv[2:], URL + "/api/v1/openapi.json"])
