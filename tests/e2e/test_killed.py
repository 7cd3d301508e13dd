"""`kill -9` at every boundary of a release, then another run: settled, nothing lost or twice."""
from pathlib import Path
from tests.e2e.conftest import SHORT, Team
from tests.gitops.killing import Killer

def test_discover(team: Team, tmp_path: Path) -> None:
    killer = Killer(tmp_path / "bin", "git", "helm")
    for tag in ("1.5.0", "1.6.0-bad"):
        ended = team.deploy(f"{team.service}={tag}", PATH=killer.path)
        print(tag, ended.status, ended.stderr[-300:], killer.calls)
        killer.disarm()
    assert 0
