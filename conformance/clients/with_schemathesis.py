"""schemathesis invents requests from our own OpenAPI, right ones and wrong ones: no error of the server, no answer that
the description does not know.

    python with_schemathesis.py http://127.0.0.1:8080/fhir TOKEN
"""

import subprocess
import sys
from pathlib import Path

# Not ignored_auth: after some wrong tokens the answer is 429, as it should be.
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
base, token = sys.argv[1:]
command = [
    *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{base.removesuffix('/fhir')}/openapi.json"),
    *("--header", f"Authorization: Bearer {token}", "--max-examples", "4", "--seed", "1", "--no-color"),
    *("--phases", "coverage,fuzzing", "--continue-on-failure", "--checks", ",".join(CHECKS)),
]
done = subprocess.run(command, cwd=Path(sys.executable).parent, capture_output=True, text=True, check=False)
if done.returncode:
    sys.exit(done.stdout + done.stderr)
