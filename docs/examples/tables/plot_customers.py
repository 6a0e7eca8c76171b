"""
Customers: from a table to a slide
==================================

A table of customers has numbers, categories and gaps. It goes in as it is: a DataFrame whose
texts and booleans are categories, with missing values where nothing is known. Here it is drawn,
so that its three groups are known; the city and the newsletter have nothing to do with them.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skdeepcluster import NeighborClustering
from skdeepcluster.inspection import ClusterReport
from skdeepcluster.metrics import match_labels

rng = np.random.default_rng(2)
group = rng.integers(3, size=600)
plan = np.where(rng.uniform(size=600) < 0.8, group, rng.integers(3, size=600))
customers = pd.DataFrame(
    {
        "age": rng.normal(np.array([25, 45, 65])[group], 6).round(),
        "spend": np.exp(rng.normal(np.array([3, 5, 4])[group], 0.6)).round(2),
        "visits": rng.poisson(np.array([12, 3, 6])[group]),
        "plan": np.array(["basic", "plus", "pro"])[plan],
        "city": rng.choice(["Basel", "Bern", "Chur", "Geneva"], 600),
        "newsletter": rng.uniform(size=600) < 0.5,
    }
)
customers.loc[::9, "spend"] = np.nan
customers.head()

# %%
# The number of segments is not known. ``alternatives_`` lists other good answers.

segments = NeighborClustering("auto", random_state=0).fit(customers)
print(f"{segments.n_clusters_} segments, expected score {segments.expected_score_:.2f}")
for other in segments.alternatives_:
    print(f"or {other.n_clusters} ({other.expected_score:.2f}): {other.changes}")
found = match_labels(group, segments.labels_) == group
print(f"{found.mean():.0%} of the customers are with their group")

# %%
# The report lists what sets each segment apart, and ``to_frame`` has the numbers for a slide.
# ``to_html`` writes a page with a map.

report = ClusterReport.from_estimator(segments, customers, random_state=0)
profile = report.to_frame().T
profile.round(2)

# %%
# Next month's customers get the segments of the fit, and a probability.

new = customers.sample(3, random_state=0).assign(city="Lugano")  # a city that is new, too
print(segments.predict(new), segments.predict_proba(new).max(1).round(2))

# %%
# A picture for the slide: the evidence for the number, and the segments' means.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
pd.DataFrame(segments.n_clusters_curve_).plot(x="n_clusters", marker="o", ax=left)
numbers = customers[["age", "spend", "visits"]]
means = numbers.groupby(segments.labels_).mean()
(means / numbers.mean()).T.plot.bar(ax=right, rot=0, ylabel="mean / mean of all customers")
right.legend([f"{k}: {size} customers" for k, size in enumerate(report.sizes)], title="segment")
right.axhline(1, color="0.3", lw=0.8)
plt.show()
