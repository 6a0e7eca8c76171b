"""
Clusters in other programs: ONNX
================================

:func:`~skdeepcluster.export.to_onnx` writes a pipeline to a file that onnxruntime runs in C++, in
a browser or on a phone, without Python, torch or this package. Labels and probabilities are the
same.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import GaussianMixtureEM
from skdeepcluster.export import to_onnx

X = load_iris().data[:, 2:]
pipeline = make_pipeline(StandardScaler(), GaussianMixtureEM(3, random_state=0)).fit(X)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "iris.onnx"
    to_onnx(pipeline, path)
    session = onnxruntime.InferenceSession(path)
    print(f"{path.stat().st_size / 1024:.1f} KiB")
outputs = [output.name for output in session.get_outputs()]
print(outputs)

# %%
# The plane by the file: the color is the cluster, the strength its probability.

x, y = np.meshgrid(np.linspace(0.5, 7.5, 250), np.linspace(-0.2, 2.9, 150))
plane = np.column_stack([x.ravel(), y.ravel()])
feed = {session.get_inputs()[0].name: plane.astype(np.float32)}
result = dict(zip(outputs, session.run(None, feed), strict=True))
print(f"equal labels: {(result['labels'] == pipeline.predict(plane)).mean():.2%}")
colors = plt.get_cmap("viridis")([0.1, 0.5, 0.85])[:, :3]
shades = 1 - result["probabilities"] @ (1 - colors)
figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
ax.imshow(shades.reshape(*x.shape, 3), origin="lower", extent=(0.5, 7.5, -0.2, 2.9), alpha=0.4)
ax.scatter(*X.T, c=colors[pipeline.predict(X)], edgecolors="white", linewidths=0.5)
ax.set(xlabel="petal length (cm)", ylabel="petal width (cm)", aspect="auto")
plt.show()
