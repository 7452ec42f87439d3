"""Make one bundle of the networks of several, calibrated together."""

from collections.abc import Sequence
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import Bundle, check_new, read_bundle, write_bundle
from hemaline_train.bundles.judging_samples import judging_samples
from hemaline_train.bundles.together import calibrated_together, judged_by
from hemaline_train.data.prepare import prepare
from hemaline_train.learning.run import Places


def join(folders: Sequence[Path], places: Places, folder: Path) -> None:
    """Write a bundle of all networks of others that answer the same.

    Each may have been exported by itself, on a machine of its own; temperatures, weights, operating
    points and the confusion are those of all together, as `export` would set them.

    Args:
        folders: Of bundles whose runs kept the same samples from training.
        places: Where the data are.
        folder: Of the new bundle.

    Raises:
        PermanentError: A bundle or the data cannot be read, `other-bundle`: they answer otherwise
            or two networks have one name, `bundle-exists` or `bundle-name`.
    """
    check_new(folder)
    bundles = [read_bundle(one) for one in folders]
    first = bundles[0]
    networks = [network for bundle in bundles for network in bundle.networks]
    if len({network.name for network in networks}) < len(networks):
        raise PermanentError("other-bundle", "Two of the networks have the same name.")
    if other := [one.bundle_id for one in bundles if one.tasks != first.tasks]:
        raise PermanentError(
            "other-bundle",
            f"{', '.join(other)} does not answer the tasks of {first.bundle_id} in its order.",
        )
    runs = [run for bundle in bundles for run in bundle.provenance.get("runs", ())]
    bundle = Bundle(folder.name, first.tasks, tuple(networks), {"runs": runs})
    unseen = judging_samples(bundle, places.data)
    pixels = prepare(unseen, places.cache)
    judged = [judged_by(task, unseen) for task in first.tasks]
    write_bundle(folder, calibrated_together(bundle, judged, bundle.logits(pixels, places.cache)))
