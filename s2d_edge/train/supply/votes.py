"""People's votes as the targets of a training, where its settings ask for them."""

from __future__ import annotations

from dataclasses import replace

from s2d_edge.core.errors import ConfigError
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.split_names import TRAIN
from s2d_edge.train.plan.plan import Plan


def with_targets(dataset: Dataset, plan: Plan) -> Dataset:
    """The dataset with what the plan trains towards: votes, and undecided clips, only where it takes them.

    Raises:
        ConfigError: a stage takes votes, and no training clip has any.
    """
    if not plan.uses_votes:
        samples = tuple(replace(sample, votes=None) for sample in dataset.samples)
        return replace(dataset, samples=samples, undecided=())
    if all(sample.votes is None for sample in dataset.split(TRAIN)):
        stage = next(stage for stage in plan.labelled_stages if plan.stage_settings(stage).targets == "votes")
        raise ConfigError(
            f"{stage}.targets='votes' needs people's votes on the training clips, and dataset "
            f"{dataset.name!r} has labels alone; give a set with votes, such as ferplus:ROOT, or "
            f"{stage}.targets='labels'"
        )
    return dataset if plan.settings.undecided else replace(dataset, undecided=())
