"""Settings from the command line: a discriminator is left out by ``None``."""

import pytest

from stillspeak.config import DISCRIMINATORS, Config
from stillspeak.errors import RunError
from stillspeak.training.overrides import overridden


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("spelled", ["two words", "one word"])
def test_a_discriminator_that_is_none_is_left_out_and_nothing_else_changes(name: str, spelled: str):
    config = overridden("synchronised", ["--sound.steps", "7"])
    options = [f"--{name}", "None"] if spelled == "two words" else [f"--{name}=None"]
    dropped = overridden("synchronised", [*options, "--sound.steps", "7"])
    assert isinstance(dropped, Config)
    assert getattr(dropped, name) is None
    assert {field for field in vars(config) if vars(config)[field] != vars(dropped)[field]} == {name}


@pytest.mark.parametrize("options", [["--sequence", "nonsense"], ["--loss", "None"], ["--frame"]])
def test_none_is_no_value_of_what_a_preset_cannot_do_without(options: list[str]):
    with pytest.raises(RunError, match="not a setting"):
        overridden("tiny", options)
