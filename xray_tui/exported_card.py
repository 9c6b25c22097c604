"""The model card beside an exported network: what it is, where it comes from, how it did, how to load it."""

from collections.abc import Iterator

import xray_tui
from xray_tui.runs import about, report_tables, report_words
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import read
from xray_tui.runs.judged import judge
from xray_tui.runs.markdown import code, plain
from xray_tui.runs.record import RunRecord
from xray_tui.trained import Trained
from xray_tui.words import harmless, probability

LOAD_ONNX = """\
import json, numpy as np, onnxruntime
from PIL import Image, ImageOps

network = onnxruntime.InferenceSession("FILE")
card = json.loads(network.get_modelmeta().custom_metadata_map["xray_tui"])
side, image = card["image_size"], Image.open("film.jpeg")
image.draft("L", [card["resize"]] * 2)  # a large JPEG: a half of it, a quarter or an eighth
image = ImageOps.exif_transpose(image).convert("L")
size = [int(card["resize"] * edge / min(image.size)) for edge in image.size]
left, top = (round((edge - side) / 2) for edge in size)
middle = image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
pixels = np.asarray(middle)[None, None]
print(dict(zip(card["classes"], network.run(None, {"images": pixels})[0][0].tolist())))
"""
"""As README has it."""

_LOAD_PT2 = """\
import json, numpy as np, torch
from PIL import Image, ImageOps

extra = {"xray_tui.json": ""}
network = torch.export.load("FILE", extra_files=extra).module()
card = json.loads(extra["xray_tui.json"])
side, image = card["image_size"], Image.open("film.jpeg")
image.draft("L", [card["resize"]] * 2)  # a large JPEG: a half of it, a quarter or an eighth
image = ImageOps.exif_transpose(image).convert("L")
size = [int(card["resize"] * edge / min(image.size)) for edge in image.size]
left, top = (round((edge - side) / 2) for edge in size)
middle = image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
pixels = np.array(middle)[None, None]
print(dict(zip(card["classes"], network(torch.from_numpy(pixels))[0].tolist())))
"""


def card(directory: RunDirectory, trained: Trained, form: str, file: str, difference: float | None) -> str:
    """The card as Markdown.

    Args:
        form: ``onnx`` or ``pt2``.
        file: name of the exported file.
        difference: as of ``Exported``.
    """
    record = RunRecord.of(read(directory))
    started, judged = record.started, judge(record, directory)
    assert started is not None  # else there were no weights
    note = about.read(directory).note
    positive = trained.classes.index(trained.positive)
    lines = [f"# {plain(file)}", ""]
    lines += [*(f"> {plain(line)}" for line in note.splitlines()), ""] if note else []
    lines += [
        f"A network that tells {', '.join(map(plain, trained.classes))} apart on chest radiographs: "
        f"{plain(started.backbone)} ({plain(started.weights)}), fine-tuned by the run "
        f"{code(trained.run)}; the weights of its epoch {trained.epoch}, the best. "
        f"Written by xray-tui {xray_tui.__version__}.",
        "",
        f"**{report_words.NO_DEVICE.replace('this report', 'it')}**",
        "",
        "## What goes in and what comes out",
        "",
        *(f"* {line}" for line in _interface(trained)),
        f"* {_checked(form, difference)}",
        "",
        "## How to load it",
        "",
        "```python",
        (LOAD_ONNX if form == "onnx" else _LOAD_PT2).replace("FILE", harmless(file)).rstrip(),
        "```",
        "",
        "## What it was trained on",
        "",
        *report_tables.images(started),
        f"Split: {plain(started.split_note)}. {report_words.protocol(started)}".strip(),
        "",
    ]
    if judged:
        lines += ["## Numbers", "", *report_tables.scores(judged, positive)]
        lines += [report_words.how_judged(record, judged), ""]
    lines += ["## Limits", "", *(f"* {limit}" for limit in report_words.limits(started, record, judged)), ""]
    return "\n".join(lines)


def _interface(trained: Trained) -> Iterator[str]:
    side, resize = trained.settings.training.image_size, trained.settings.resize
    yield (
        f"In, `images`: uint8 (N, 1, {side}, {side}), any N; grey, black is 0, 255 is white. Scaling, "
        "repeating to the network's channels and normalisation are within."
    )
    yield (
        f"Before: the image upright and in grey, its short side resized to {resize} px (bilinear, with "
        f"antialiasing), the square of {side} px cut from its middle. The code below does that for "
        "8-bit images; deeper ones are scaled to 0 to 255 first (the whole range of their bits), DICOM "
        "by its own window, transparency is laid on black."
    )
    yield (
        "Out, `probabilities`: float32 (N, "
        f"{len(trained.classes)}), of {', '.join(map(plain, trained.classes))} in this order; they sum to 1."
    )
    if trained.temperature is not None:
        divided = f"divided by {trained.temperature:.4g}, fitted on validation"
        yield f"Calibrated: logits are {divided}; that is within."
    if trained.settings.evaluation.tta == "flip":
        yield "Each image is seen as it is and mirrored, and both probabilities are averaged; that is within."
    if trained.settings.hardware.precision == "bfloat16":
        yield (
            "Computed in float32, where the run judged in bfloat16: single probabilities differ from the "
            "run's in the second or third digit."
        )
    if trained.threshold is None:
        yield "What to call: the likeliest class."
    else:
        yield (
            f"What to call: {plain(trained.positive)} from a probability of "
            f"{probability(trained.threshold, 6)} on ({code(trained.rule)}, chosen on validation), "
            "else the likeliest of the others."
        )
    if not trained.is_settled:
        yield "The run ended before it chose an operating point or a temperature, as its settings want."
    yield (
        "The same as JSON within the file, under `xray_tui`: run, version, classes, positive, rule, "
        "threshold, temperature, resize, image_size, mirrored."
    )


def _checked(form: str, difference: float | None) -> str:
    if difference is None:
        return "Not checked: onnxruntime was not installed when it was written."
    by = "onnxruntime" if form == "onnx" else "torch.export.load"
    off = f"off by {difference:.1e} at most from torch in float32"
    return f"Checked with {by}, in batches of several sizes: {off}."
