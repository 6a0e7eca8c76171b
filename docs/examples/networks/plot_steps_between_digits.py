"""
Steps from one digit to another
===============================

The codes of a network form a space. Each row leads from one real digit to
another one: the images between them are decoded from points on the straight line between both
codes.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skdeepcluster import DACClustering
from skdeepcluster.display import SamplesDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
dac = DACClustering(10, random_state=0).fit(X)

codes = dac.transform(X)
sure = dac.predict_proba(X).max(axis=1)
clear = [np.argmax(np.where(y == digit, sure, 0)) for digit in range(10)]
pairs = [(0, 6), (1, 7), (3, 8), (4, 9), (5, 2)]
walks = []
for first, last in pairs:
    between = np.linspace(codes[clear[first]], codes[clear[last]], 10)
    walks.append(dac.inverse_transform(between))
names = np.repeat([f"{first} to {last}" for first, last in pairs], 10)
display = SamplesDisplay(np.concatenate(walks), names, image_shape=(8, 8), name="walks").plot()
display.ax_.set_ylabel("")
plt.show()
