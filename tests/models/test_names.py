import subprocess
import sys

import pytest
import torchvision

from xray_tui.errors import UserError
from xray_tui.models.names import BACKBONES, TORCHVISION, check_name

# Families without a feature map (N, C, H, W) at every image size; see the module's docstring.
LEFT_OUT = ("vit_", "maxvit_")


def published_by_torchvision() -> set[str]:
    names = torchvision.models.list_models(module=torchvision.models)
    return {name for name in names if hasattr(torchvision.models.get_model_weights(name), "IMAGENET1K_V1")}


def test_the_list_is_what_torchvision_publishes() -> None:
    offered = {name for name in published_by_torchvision() if not name.startswith(LEFT_OUT)}
    listed = set(TORCHVISION)
    if listed != offered:
        # Another release of torchvision is no fault of ours; a missing name is reported when it is asked for.
        pytest.skip(f"torchvision {torchvision.__version__} differs by {sorted(listed ^ offered)}")


def test_the_list_has_no_name_twice_and_knows_the_defaults() -> None:
    assert len(set(BACKBONES)) == len(BACKBONES)
    assert {"resnet50", "efficientnet_lite0"} <= set(BACKBONES)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("resnet5", "resnet50"), ("EfficientNet-Lite0", "efficientnet_lite0"), ("densnet121", "densenet121")],
)
def test_an_unknown_name_is_told_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UserError) as caught:
        check_name(wrong)
    assert wrong in caught.value.message
    assert right in caught.value.hint


def test_a_hopeless_name_is_told_examples() -> None:
    with pytest.raises(UserError, match="resnet50"):
        check_name("?")


def test_names_are_had_without_torch() -> None:
    code = "import sys, xray_tui.models.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
