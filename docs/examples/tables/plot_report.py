"""
What sets each cluster apart?
=============================

:class:`~skdeepcluster.inspection.ClusterReport` takes a pipeline and the table that goes into it,
and describes each cluster in the units of the table.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import NeighborClustering
from skdeepcluster.inspection import ClusterReport, compare_features

table = load_wine(as_frame=True).data
clusterer = make_pipeline(StandardScaler(), NeighborClustering(3, random_state=0)).fit(table)
report = ClusterReport.from_estimator(clusterer, table, random_state=0)
report

# %%
# ``print(report)`` writes the same as text, and ``report.to_html("clusters.html")`` a page. The
# numbers make a picture of one's own, too.

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", sharex=True)
for k, (ax, found) in enumerate(zip(axes, compare_features(table, report.labels), strict=True)):
    ax.barh(found.names[::-1], found.differences[::-1], color=f"C{k}")
    ax.axvline(0, color="0.3", lw=0.8)
    ax.set_title(f"cluster {k}: {report.sizes[k]} samples")
figure.supxlabel("difference from all other samples, in standard deviations", fontsize="medium")
plt.show()
