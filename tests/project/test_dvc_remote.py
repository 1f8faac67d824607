"""DVC's remote: does the README say whether one is configured?"""

import configparser

from tests.support.places import ROOT


def test_the_readme_says_that_no_remote_is_configured() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc" / "config")
    remotes = [section for section in config.sections() if "remote" in section]
    assert not remotes, "say in README.md and data/README.md which one `dvc pull` asks"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    after = text[text.index("    dvc pull && mahals publish") :]
    assert "No DVC remote is configured" in after[:700] and "`dvc remote add -d " in after[:700]
