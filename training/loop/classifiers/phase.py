"""The phase after pre-training: every encoder gets its classifier, fitted at once or trained step by step."""

from collections.abc import Sequence

from lightning_fabric import Fabric

from cocon.training.data.frames import VideoFrames
from cocon.training.data.stretches.draws import steps_per_epoch
from cocon.training.loop.classifiers.classification import train_classifiers
from cocon.training.loop.classifiers.few_labels import with_few_labels
from cocon.training.loop.classifiers.fitting import fit_classifiers
from cocon.training.loop.timing import Forecast, Told
from cocon.training.methods.method import Method
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.warm_start import pretrained_aggregators

__all__ = ["make_classifiers"]


def make_classifiers(
    run: RunFolder,
    method: Method,
    labelled: VideoFrames,
    labels: Sequence[str],
    fabric: Fabric,
    told: Told,
    *,
    is_trained: bool,
    first_step: int,
) -> int:
    """Give the encoders of a method their classifiers.

    Args:
        run: what is trained, and where its journal is.
        method: the networks.
        labelled: labelled training videos.
        labels: class names in the order of the logits.
        fabric: devices and precision, launched.
        told: how it is told what is done.
        is_trained: whether the encoders are those that were pre-trained here.
        first_step: steps of pre-training, which the journal counts on from.

    Returns:
        For how many epochs they were trained; 0 where they were fitted.

    Raises:
        KeyboardInterrupt, CoconError, VideoError: as `fit_classifiers` and `train_classifiers`.
    """
    config = run.config
    labelled = with_few_labels(labelled, config)
    if config.classifier.is_fitted:
        with told.progress_bar("fitting classifiers") as bar:
            judged = labelled.for_judging()
            fit_classifiers(run, method.encoders, judged, labels, fabric, first_step=first_step, on_progress=bar)
        return 0
    per_epoch = steps_per_epoch(len(labelled), config.training.batch_size)
    with told.progress_bar("training classifiers", unit="steps") as bar:
        train_classifiers(
            run,
            method.encoders,
            labelled,
            labels,
            fabric,
            aggregators=pretrained_aggregators(config, method, is_trained=is_trained),
            first_step=first_step,
            on_progress=Forecast("training classifiers", per_epoch, bar, told.say),
            say=told.say_epoch,
        )
    return config.classifier.num_epochs(per_epoch)
