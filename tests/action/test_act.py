"""The whole action in act, which reads action.yml and runs its steps as the runner does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

WORKFLOW = """\
name: Release
on: workflow_dispatch
jobs:
  release:
    runs-on: ubuntu-latest
    steps:
      - id: ship
        uses: plate/release@v1
        with:
          services: |
            plate-api=1.5.0
          dry-run: {dry_run}
          confirm: prod
          repository: {repository}
          token: ${{{{ secrets.GITOPS }}}}
          argocd-server: {argocd_server}
          argocd-token: ${{{{ secrets.ARGOCD }}}}
          image-check: "off"
          soak: 1s
      - if: always()
        env:
          OUTCOME: ${{{{ steps.ship.outputs.outcome }}}}
          COMMIT: ${{{{ steps.ship.outputs.commit }}}}
          SUMMARY: ${{{{ steps.ship.outputs.summary }}}}
        run: printf 'then outcome=%s commit=%s summary=%s.\\n' "$OUTCOME" "$COMMIT" "$SUMMARY"
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a commit of the action would hold; act packs whatever stands there."""
    folder = tmp_path_factory.mktemp("checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def act(folder: Path, checkout: Path, production: Any, *, dry_run: bool) -> str:
    workflows = folder / "caller" / ".github" / "workflows"
    workflows.mkdir(parents=True)
    given = {name: production.inputs[name] for name in ("repository", "argocd_server")}
    (workflows / "release.yml").write_text(
        WORKFLOW.format(dry_run="true" if dry_run else "false", **given)
    )
    # act looks for the caller's repository again and again where there is none.
    subprocess.run(["git", "init", "--quiet"], cwd=workflows.parents[1], check=True)
    command = [
        str(Path(sys.executable).with_name("act")),
        "workflow_dispatch",
        "--platform=ubuntu-latest=-self-hosted",
        "--action-offline-mode",
        "--no-cache-server",
        f"--local-repository=https://github.com/plate/release@v1={checkout}",
        "--secret=GITOPS",
        "--secret=ARGOCD",
    ]
    environ = os.environ | {
        "ARGOCD": production.inputs["argocd_token"],
        "ARGOCD_PLAINTEXT": "true",
        # The runner has the pinned uv; elsewhere the install step gets it.
        "PATH": f"{ROOT / '.tools/uv'}{os.pathsep}{os.environ['PATH']}",
        "GITOPS": production.inputs["token"],
        "KUBECONFIG": str(production.sandbox.kubeconfig),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    done = subprocess.run(
        command,
        cwd=workflows.parents[1],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("dry_run", "ended"), [(True, ("planned", "1.4.2")), (False, ("released", "1.5.0"))]
)
def test_act_runs_the_road(
    checkout: Path, production: Any, tmp_path: Path, dry_run: bool, ended: tuple[str, str]
) -> None:
    before, (outcome, tag) = production.head, ended
    log = act(tmp_path, checkout, production, dry_run=dry_run)
    assert production.tag == tag
    commit = "" if dry_run else production.head
    said = f"then outcome={outcome} commit={commit} summary={outcome}: plate-api 1.4.2 -> 1.5.0."
    assert said in log
    assert (production.head == before) is dry_run
    assert not re.search(rf"(?<!::add-mask::){production.inputs['token']}", log)
