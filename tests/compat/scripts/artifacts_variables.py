"""Artifacts of every kind and variables."""

import json

from prefect import flow
from prefect.artifacts import (
    Artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.variables import Variable


@flow
def report() -> None:
    create_markdown_artifact("# Rivers", key="rivers", description="what runs")
    create_markdown_artifact("# Rivers, again", key="rivers")
    create_table_artifact([{"river": "Ruhr", "km": 219}], key="lengths")
    create_link_artifact("https://example.org", key="more")
    progress = create_progress_artifact(0.0, description="milling")
    update_progress_artifact(progress, progress=50.0)


report()
Variable.set("wheel", {"diameter": 4.5}, tags=["mill"])
Variable.set("wheel", {"diameter": 5}, overwrite=True)
assert Variable.get("wheel") == {"diameter": 5}
assert Variable.get("none", default="nothing") == "nothing"
Variable.set("gone", "soon")
Variable.unset("gone")
assert Artifact.get("rivers").data == "# Rivers, again"
print(json.dumps({"wheel": Variable.get("wheel")}))
