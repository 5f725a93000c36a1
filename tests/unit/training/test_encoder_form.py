"""The form of an encoder: the better one of two, or the one that is asked for."""

from __future__ import annotations

import pytest

from rtrecon.core.errors import UserError
from rtrecon.encoder.checkpoint import save_checkpoint
from rtrecon.training.compact.fit import EpochProgress, TrainingRecipe
from rtrecon.training.encoder_form import FittedEncoder, choose_better
from rtrecon.training.train import TrainingOptions, validate_training
from tests.support.convolutional_world import make_encoder
from tests.support.trained_encoder import make_untrained_checkpoint

EPOCHS = [EpochProgress(1, 2.0, 0.2)]


@pytest.mark.parametrize(("r", "best"), [(0.3, "convolutional"), (0.1, "compact")])
def test_the_form_that_predicts_better_is_chosen(tmp_path, r, best):
    compact = make_untrained_checkpoint(tmp_path / "a", [1, 2], (20, 30)).encoder
    fitted = {
        "convolutional": FittedEncoder(make_encoder(2), [], {"convolutional": r}),
        "compact": FittedEncoder(compact, EPOCHS, {"compact": 0.2}),
    }
    chosen = choose_better(*fitted.values())
    assert chosen.encoder is fitted[best].encoder
    assert chosen.history == fitted[best].history
    assert chosen.validation_r == {"convolutional": r, "compact": 0.2}
    assert chosen.describe_choice().startswith(f"the {best} encoder is saved: it ")


def test_a_core_and_the_convolutional_form_exclude_each_other(tmp_path):
    core = make_untrained_checkpoint(tmp_path / "core.safetensors", [1], (20, 30))
    save_checkpoint(core)
    options = TrainingOptions(
        core_checkpoint=core.card.path, encoder_form="convolutional"
    )
    with pytest.raises(UserError, match="a core can be taken over by a compact enco"):
        validate_training(tmp_path / "new.safetensors", TrainingRecipe(), options)
