"""InfoGAN by default, its start alone, and as published.

``python benchmarks/infogan_and_its_start.py --data mnist --seeds 0-4`` prints, per seed, the rows

- "default": InfoGANClustering with its defaults;
- "the start alone": the partition that the same fit began with;
- "as published": from scratch, no noise on what is judged, no term of ours, the paper's rates;
  with images, ``--convolutional`` adds the paper's networks, which take far longer to a step.

Beside accuracy stands "information", the lower bound on the mutual information of the cluster
and generated rows, in nats: at most log K. ``--rows`` chooses among default (with its start) and
published; ``--max-epochs`` bounds the published row. ``--unbalanced 20000`` draws that many rows
with shares of the classes from 2 % to 25 %. ``--pretrained FOLDER`` keeps auto-encoders there;
``--starts METHOD`` takes the starts of that method's fits that ``single_and_ensemble.py`` kept
there. No label is used but to count.
"""

import argparse
from functools import partial
from pathlib import Path

from compare import parse_seeds
from datasets import load
from pretrained import SharedPretraining, kept_start
from scipy import sparse
from seeds import NOT_TIMED, over_seeds, timed
from vade_and_its_start import draw

from skdeepcluster import InfoGANClustering
from skdeepcluster.modules.gan_networks import conv_discriminator, conv_generator

#: The paper's way, of what the estimator lets one choose.
PUBLISHED = {
    "init": None,
    "instance_noise": 0.0,
    "continuous_weight": 0.1,
    "learning_rate": 2e-4,
    "generator_learning_rate": 1e-3,
}


class InfoGAN(SharedPretraining, InfoGANClustering):
    """InfoGANClustering whose fits with one seed share their pretraining."""


def begun(data, seed, options):
    """Return what the options say of where a fit begins, as parameters."""
    if not options.starts:
        return {}
    return {"init": kept_start(options.pretrained, data, seed, options.starts)}


def fitted(data, seed, settings):
    """Return a fitted InfoGAN, and what its row says beside its labels."""
    gan = InfoGAN(
        data.n_clusters, accept_sparse=sparse.issparse(data.X), random_state=seed, **settings
    )
    _, seconds = timed(gan.fit, data.X)
    information = float(gan.code_report()["information"][0])
    further = {"score": gan.score(data.X), "seconds": seconds, "information": information}
    return gan, further | {"precision": gan.precision}


def rows(data, seed, options):
    """Yield (row, labels, further entries of the record)."""
    shared = {"precision": options.precision}
    if "default" in options.rows:
        gan, further = fitted(data, seed, shared | begun(data, seed, options))
        yield "the start alone", gan.start_labels_, NOT_TIMED
        yield "default", gan.labels_, further
    if "published" in options.rows:
        shared |= PUBLISHED | {"max_epochs": options.max_epochs or "auto"}
        gan, further = fitted(data, seed, shared)
        yield "as published", gan.labels_, further
        if options.convolutional:
            shape = {"image_shape": (1, *data.image_shape)}
            networks = {
                "generator": partial(conv_generator, **shape),
                "discriminator": partial(conv_discriminator, **shape),
                "hidden_layer_sizes": (1024, 1024),
            }
            gan, further = fitted(data, seed, shared | networks)
            yield "as published, convolutional", gan.labels_, further


def parser():
    """Return the parser of what can be asked for."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--data", default="mnist")
    asked.add_argument("--seeds", default="0-4")
    kinds = ["default", "published"]
    asked.add_argument("--rows", nargs="+", choices=kinds, default=kinds)
    asked.add_argument("--convolutional", action="store_true", help="the paper's networks, too")
    asked.add_argument("--max-epochs", type=int, help="of the published rows")
    asked.add_argument("--precision", default="float32", choices=["float32", "bfloat16", "auto"])
    add_where_fits_begin(asked)
    asked.add_argument("--unbalanced", type=int, help="draw so many rows, classes of 2 to 25 %%")
    asked.add_argument("--results", type=Path, help="file to append JSON lines to")
    return asked


def add_where_fits_begin(parser):
    """Add the options of what fits may take over from others."""
    parser.add_argument("--pretrained", type=Path, help="folder of auto-encoders and fits")
    parser.add_argument("--starts", metavar="METHOD", help="whose starts to take")


def share_pretraining(folder):
    """Keep auto-encoders in a folder, if one is given."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        InfoGAN.folder = folder


def main():
    """Run the seeds one after another, a JSON line for each row, then a summary."""
    options = parser().parse_args()
    share_pretraining(options.pretrained)
    data = load(options.data)
    size = options.unbalanced
    over_seeds(
        parse_seeds(options.seeds),
        lambda seed: draw(data, size, seed) if size else data,
        partial(rows, options=options),
        options.results,
    )


if __name__ == "__main__":
    main()
