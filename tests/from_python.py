"""README's example of the library, as a person would have it in a file; mypy --strict reads it too."""

from pathlib import Path

from xray_tui import configure, events, fit, open_run

settings = configure(
    "~/chest_xray", backbone="efficientnet_lite0", limit=300, frozen_epochs=2, unfrozen_epochs=1
)
for event in fit(settings):  # a run as any other: journal, TensorBoard, report
    if isinstance(event, events.EpochEnded):
        print(event.epoch, event.train_loss, event.validation_loss, event.accuracy)

run = open_run()  # the newest; or its name, how that begins, its folder
if run.best is not None:
    print(f"best epoch {run.best.epoch}: AUC {run.best.auc}")
found = run.validation_predictions()  # of the best epoch, as numpy arrays
print(found.probabilities.shape, found.losses.mean(), found.images.paths[0])

model = run.model()  # the best weights; no other image is needed
for prediction in model.predict(Path("new").glob("*.jpeg")):
    if prediction.predicted is not None:
        print(prediction.path, model.classes[prediction.predicted], prediction.probabilities)
    else:
        print(prediction.path, prediction.unreadable)
