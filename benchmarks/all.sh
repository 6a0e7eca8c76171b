#!/usr/bin/env bash
# Makes every table of README.md, RESULTS.md and docs/benchmarks.md from the code as it is.
#
#   pip install -e ".[benchmark,rivals]" aeon tslearn active-semi-supervised-clustering
#   benchmarks/all.sh BATTERY            # a checkout of gagolews/clustering-data-v1
#
# Fits that benchmarks/results holds are not run again: empty the folder first for all of them, or
# go on with a run that was interrupted. It takes about 30 hours of one thread, most of them for
# the papers' own settings, which "papers" as a second argument adds.
set -euo pipefail
cd "$(dirname "$0")/.."
battery=$1
out=benchmarks/results
work=build/benchmarks
mkdir -p $work
export OMP_NUM_THREADS=1

run() {
  echo "$(date +%H:%M:%S) $*"
  python "benchmarks/$@" >> "$work/all.log"
}

run accuracy/views.py --out $out/views.jsonl
run accuracy/views.py --sets mnist --rows "CatGAN, convolutional" CatGAN InfoGAN VaDE DAC VAE --seeds 0-2 --out $out/views.jsonl
run accuracy/rivals.py --battery "$battery" --out $out/rivals.jsonl
run accuracy/choice.py --seeds 0-1 --battery "$battery" --out $work/choice_fits.jsonl
run accuracy/choice.py --rest --parts sets numbers --seeds 0-0 --battery "$battery" --out $work/choice_fits.jsonl --summary $out/choice.jsonl
run accuracy/index.py --battery "$battery" --out $out/index.jsonl
run accuracy/clusterers.py --sets eleven --seeds 0-2 --out $out/clusterers.jsonl
run accuracy/clusterers.py --sets large --seeds 0-0 --methods NeighborClustering KMeans EVoC "umap-learn + GMM" --out $out/clusterers_large.jsonl
run accuracy/samples.py --sets digits --out $out/samples.jsonl
run accuracy/samples.py --sets mnist_10k --augmented --methods VaDE DAC InfoGAN --seeds 0-0 --out $out/samples.jsonl
run accuracy/few_labels.py --out $out/few_labels.jsonl
run accuracy/missing_values.py --out $out/missing_values.jsonl
run accuracy/mixed_tables.py --out $out/mixed_tables.jsonl
run accuracy/pairs.py --sets iris wine digits --out $out/pairs.jsonl
for data in iris wine digits; do
  run accuracy/ensembles.py --data $data --out $out/ensembles.jsonl
done
for part in calibration outliers stability; do
  run accuracy/how_sure.py $part --out $out/how_sure_$part.jsonl
done
run trust/laws.py --out $out/laws.jsonl
run trust/separations.py --out $out/separations.jsonl

run speed/bare_loop.py --sets iris digits --out $out/speed_bare_loop.jsonl
run speed/prediction.py --out $out/speed_predict.jsonl
run speed/dask_workers.py --out $out/speed_dask_workers.jsonl
run speed/em_against_sklearn.py --out $out/speed_em_sklearn.jsonl
export OMP_NUM_THREADS=2
run speed/default_fits.py --sets iris digits_200 digits blobs stackoverflow --out $out/speed_default_fits.jsonl
run speed/growth.py --methods GaussianMixtureEM NeighborClustering CatGANClustering --out $out/speed_growth.jsonl --picture $out/speed_growth.png

if [ "${2:-}" = papers ]; then
  export OMP_NUM_THREADS=1
  run accuracy/papers.py InfoGAN "InfoGAN without information" --precision bfloat16 --out $out/papers.jsonl
  run accuracy/papers.py DAC CatGAN "CatGAN, 100 labels" VaDE VAE --out $out/papers.jsonl --picture $out/papers.png
  run accuracy/vae_likelihood.py --out $out/vae_likelihood.jsonl
fi
python benchmarks/lib/tables.py
