"""Whether the tests notice fifty mistakes, each made in a copy of the package.

    OMP_NUM_THREADS=1 python benchmarks/trust/mutants.py --out results.jsonl

A mistake is killed if the tests named beside it fail, or take longer than the limit. These are
few of all tests, so that each mistake takes seconds.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parse, parser
from lib.records import complete

ROOT = Path(__file__).resolve().parents[2]
#: What a copy holds.
COPIED = "skdeepcluster", "tests", "pyproject.toml", "setup.cfg"
#: Options of pytest: stop at the first failure, and write nothing.
PYTEST = "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"
#: Mistakes: the file, text that occurs once in it, the text in its place, and tests.
MUTANTS = [
    (
        "vade.py",
        "(log_gamma.exp() * (log_gamma - expected)).sum(-1)",
        "(log_gamma.exp() * -expected).sum(-1)",
        "test_vade.py::test_published_divergence_is_equation_12",
    ),
    (
        "vade.py",
        "return -self.log_joint((mean, std), self.prior.mixture).logsumexp(-1)",
        "return -self.log_joint((mean, std), self.prior.mixture).amax(-1)",
        "test_vade.py::test_optimal_divergence_is_the_least_over_gamma "
        "test_vade.py::test_one_cluster_with_a_unit_prior_is_the_vae "
        "test_vade.py::test_samples_of_a_cluster_fall_into_it "
        "test_vade.py::test_scores_are_bounds_at_the_best_gamma",
    ),
    (
        "dac.py",
        '{"mixture": called_real(real), "codes": called_fake(fake)}',
        '{"mixture": called_fake(real), "codes": called_real(fake)}',
        "test_dac.py",
    ),
    (
        "dac.py",
        '"mixture": -self.mixture_weight * log_code.mean()',
        '"mixture": self.mixture_weight * log_code.mean()',
        "test_dac.py",
    ),
    (
        "infogan.py",
        "(2 * ranks - 1) / is_member.sum() - 1",
        "2 * ranks / is_member.sum() - 1",
        "test_infogan.py",
    ),
    (
        "catgan.py",
        'terms["fake"] = -self.fake_weight * entropy',
        'terms["fake"] = self.fake_weight * entropy',
        "test_catgan.py",
    ),
    (
        "catgan.py",
        '"balance": -entropy(marginal(log_p)),',
        '"balance": entropy(marginal(log_p)),',
        "test_catgan.py",
    ),
    (
        "vae.py",
        "sets.logsumexp(1).mean(0) - math.log(n_samples)",
        "sets.logsumexp(1).mean(0) - math.log(n_points)",
        "test_vae.py::test_bounds_rise_to_the_exact_likelihood",
    ),
    (
        "vae.py",
        "weights = torch.cat(log_ratios).softmax(0)",
        "weights = (0 * torch.cat(log_ratios)).softmax(0)",
        "input/test_missing_values.py::test_imputed_values_are_conditional_means",
    ),
    (
        "nn/model.py",
        "self.information_weight * (uncertainty - balance)",
        "self.information_weight * (uncertainty + balance)",
        "functional/test_losses.py",
    ),
    (
        "nn/model.py",
        "kl_divergence(log_p, log_resp(x_std + step)).mean()",
        "kl_divergence(log_resp(x_std + step), log_p).mean()",
        "functional/test_losses.py",
    ),
    (
        "nn/model.py",
        "torch.stack(distances).amin(0)",
        "torch.stack(distances).amax(0)",
        "deep/test_outliers.py",
    ),
    (
        "nn/likelihood.py",
        "decoded).masked_fill(x.isnan(), 0.0).sum(-1)",
        "decoded).nan_to_num(0.0).sum(-1)",
        "input/test_missing_values.py::test_densities_are_those_of_the_observed_features",
    ),
    (
        "nn/likelihood.py",
        "(constant + log_var + squares) - log_scale",
        "(constant + log_var + squares)",
        "nn/test_likelihood.py",
    ),
    (
        "functional/losses.py",
        "log_sum - math.log(len(log_p))",
        "log_sum - math.log(log_p.shape[1])",
        "functional/test_losses.py",
    ),
    (
        "functional/gaussian.py",
        "return resp, weight @ log_likelihood",
        "return resp, log_likelihood.sum()",
        "functional/test_gaussian.py",
    ),
    (
        "functional/gaussian.py",
        "covariance = squares - of_means",
        "covariance = squares",
        "functional/test_gaussian.py",
    ),
    (
        "mixture/em.py",
        "about = mixture.center()",
        "about = 0 * mixture.center()",
        "test_gaussian_mixture.py",
    ),
    (
        "mixture/em.py",
        "return mixture, float(bound) / rows.total",
        "return mixture, float(bound) / len(rows.weight)",
        "test_gaussian_mixture.py",
    ),
    (
        "mixture/em.py",
        "weight = np.bincount(place.ravel(), weight)",
        "weight = np.bincount(place.ravel())",
        "test_gaussian_mixture.py",
    ),
    (
        "gaussian_mixture.py",
        "n_clusters * (n_features + 1) - 1",
        "n_clusters * (n_features + 1)",
        "test_gaussian_mixture.py",
    ),
    (
        "gaussian_mixture.py",
        'np.argsort(empty, kind="stable")',
        'np.argsort(~empty, kind="stable")',
        "test_gaussian_mixture.py",
    ),
    (
        "input/imputer.py",
        "donors[order[:: -(-len(order) // MAX_DONORS)]]",
        "donors[order[:MAX_DONORS]]",
        "input/test_missing_values.py::test_missing_values_are_means_over_the_nearest_samples "
        "input/test_missing_values.py::test_donors_are_from_the_whole_range",
    ),
    (
        "partition/selection.py",
        "if expected >= winner.expected_score:",
        "if expected <= winner.expected_score:",
        "partition/test_selection.py",
    ),
    (
        "partition/selection.py",
        "return weights / (agreement.clip(0) ** SHARING).sum(1)",
        "return weights",
        "partition/test_selection.py",
    ),
    (
        "partition/criterion/score.py",
        "near = np.nan_to_num(self.score(smooth)) * agreement",
        "near = np.nan_to_num(self.score(smooth))",
        "partition/test_answers.py::test_a_few_wrong_labels_cost_what_they_are_worth",
    ),
    (
        "partition/selection.py",
        "stability[match] += share * both / either.clip(1e-12)",
        "stability[match] += share * both / common.sum(1).clip(1e-12)",
        "partition/test_selection.py",
    ),
    (
        "partition/number.py",
        "max(last) < WORTH * max(several)",
        "min(last) < WORTH * max(several)",
        "partition/test_number_and_tree.py::test_the_number_taken_is_near_the_peak_of_the_curve "
        "partition/test_number_and_tree.py::test_numbers_around_the_best_are_tried_afterwards "
        "partition/test_number_and_tree.py::test_the_number_with_the_most_evidence_is_taken "
        "partition/test_number_and_tree.py::test_two_low_scores_end_the_search",
    ),
    (
        "partition/number.py",
        "(found.expected_score - scores[is_same]) / 2",
        "(found.expected_score - scores[is_same])",
        "partition/test_number_and_tree.py::test_the_number_taken_is_near_the_peak_of_the_curve "
        "partition/test_number_and_tree.py::test_numbers_around_the_best_are_tried_afterwards "
        "partition/test_number_and_tree.py::test_the_number_with_the_most_evidence_is_taken "
        "partition/test_number_and_tree.py::test_a_full_search_counts_half_of_the_evidence",
    ),
    (
        "partition/candidates.py",
        "(weights * (highest + np.log(total))).sum() / weights.sum()",
        "(highest + np.log(total)).mean()",
        "partition/test_candidates.py",
    ),
    (
        "partition/candidates.py",
        "constant = np.log(sizes / sizes.sum()) - constant / 2",
        "constant = -constant / 2",
        "partition/test_candidates.py",
    ),
    (
        "input/scaler.py",
        "shares[i] = 1 - left * (n_samples - 1) / freedom",
        "shares[i] = 1 - left",
        "input/test_categories.py::test_categories_weigh_what_other_columns_explain",
    ),
    (
        "input/scaler.py",
        "np.delete(same, shares[same].argmax())",
        "np.delete(same, shares[same].argmin())",
        "input/test_kinds.py::test_columns_that_tell_each_other_are_one_fact "
        "input/test_kinds.py::test_the_best_explained_column_of_a_fact_counts",
    ),
    (
        "input/numbers.py",
        "reach[place] * (2 * marks - 1)",
        "reach[place] * marks",
        "input/test_kinds.py::test_ordinal_numbers_fill_the_gaps_between_their_levels",
    ),
    (
        "input/numbers.py",
        "np.exp(sign * X[:, j] / scale + center)",
        "np.exp(X[:, j] / scale + center)",
        "input/test_kinds.py::test_tables_are_restored "
        "input/test_kinds.py::test_restored_values_keep_steps_and_ranges "
        "input/test_kinds.py::test_skewed_numbers_become_symmetric",
    ),
    (
        "input/kinds.py",
        "counts.total() < MIN_REPEATS * len(counts)",
        "counts.total() > MIN_REPEATS * len(counts)",
        "input/test_kinds.py::test_identifiers_are_left_out",
    ),
    (
        "input/tables.py",
        "n_read[best] < MIN_SHARE * counts.total()",
        "n_read[best] < MIN_SHARE * len(counts)",
        "input/test_cells.py",
    ),
    (
        "input/checks.py",
        "kept = np.flatnonzero(weights)",
        "kept = np.arange(len(weights))",
        "input/test_preparation.py::test_weights_are_copies "
        "input/test_preparation.py::test_samples_of_weight_zero_change_nothing",
    ),
    (
        "input/labels.py",
        "else 1 - contamination",
        "else contamination",
        "deep/test_outliers.py::test_the_offset_leaves_the_share_asked_for",
    ),
    (
        "input/labels.py",
        "indicator.sum(0)[:, None] + member.sum(0) - both",
        "indicator.sum(0)[:, None] + member.sum(0)",
        "test_ensemble.py::test_agreement_and_stability_equal_a_direct_computation",
    ),
    (
        "metrics.py",
        "return clusters, agreement * (partition != -1).mean()",
        "return clusters, (partition != -1).mean()",
        "partition/test_answers.py::test_equal_samples_are_all_read",
    ),
    (
        "comparison.py",
        'check_labels("labels", np.maximum(labels, -1), _num_samples(X))',
        'check_labels("labels", labels, _num_samples(X))',
        "test_comparison.py",
    ),
    (
        "deep/codes.py",
        "float(np.exp(best.x)) if best.fun < cross_entropy(0.0) else 1.0",
        "float(np.exp(best.x))",
        "deep/test_temperature.py::test_the_temperature_is_recovered "
        "deep/test_temperature.py::test_a_model_that_is_too_unsure_keeps_its_probabilities",
    ),
    (
        "persistence.py",
        "trusted=[*TRUSTED, *trusted]",
        "trusted=[*TRUSTED]",
        "test_persistence.py::test_functions_need_trust",
    ),
    (
        "neighbors/search.py",
        "near = order[: max(NEAR_CELLS, n_least)]",
        "near = order[: min(NEAR_CELLS, n_least)]",
        "neighbors/test_search.py",
    ),
    (
        "neighbors/graph.py",
        "is_wide = total > np.log2(count + 1)",
        "is_wide = total > np.log2(count)",
        "neighbors/test_graph.py",
    ),
    (
        "neighbors/samples.py",
        "np.maximum(weights, priority[order[n_drawn]])",
        "np.maximum(weights, priority[order[n_drawn - 1]])",
        "partition/test_partition.py::test_drawn_samples_have_unbiased_weights "
        "partition/test_partition.py::test_weights_of_many_draws_are_unbiased",
    ),
    (
        "neighbors/augmented.py",
        "distances[:, 1:][is_again] = np.inf",
        "distances[:, :-1][is_again] = np.inf",
        "neighbors/test_views.py",
    ),
]


def copy(folder):
    """Copy what the tests need into a folder."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)


def replace(path, old, new):
    """Replace text that occurs once in a file."""
    text = path.read_text()
    if text.count(old) != 1:
        raise ValueError(f"{path.name} has {text.count(old)} times, not once: {old}")
    path.write_text(text.replace(old, new))


def fails(folder, tests, limit):
    """Return whether tests of a copy fail, or take longer than ``limit`` seconds."""
    places = [f"tests/{test}" for test in tests.split()]
    command = [sys.executable, *PYTEST, *places]
    paths = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | paths, capture_output=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout.decode() + done.stderr.decode())
    return done.returncode == 1


def measure(name, old, new, tests, limit):
    """Return whether a mistake is killed, and the seconds that the tests took."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        copy(folder)
        replace(folder / "skdeepcluster" / name, old, new)
        started = time.perf_counter()
        killed = fails(folder, tests, limit)
        return {"killed": killed, "seconds": round(time.perf_counter() - started, 1)}


def main(arguments=None):
    """Run the tests of all mistakes, then print those that survive, and how many do not."""
    made = parser(__doc__)
    made.add_argument("--limit", type=float, default=240, help="seconds (%(default)s)")
    options = parse(made, arguments)
    tasks = (
        (
            {"row": mutant[0], "old": mutant[1], "new": mutant[2]},
            partial(measure, *mutant, options.limit),
            None,
        )
        for mutant in MUTANTS
    )
    found = complete(options.out, ("row", "old", "new"), tasks)
    for record in found:
        if not record["killed"]:
            print(f"survives: {record['row']}: {record['new']}")
    print(f"{sum(record['killed'] for record in found)} of {len(found)} killed")


if __name__ == "__main__":
    main()
