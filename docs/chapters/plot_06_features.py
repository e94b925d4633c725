r"""
Features: what the classifier sees
==================================

The pipeline: extract features, run them through the classifier, get predictions. A linear classifier of pixels sees one
template per class; histograms of gradients (HOG) count, in each small cell of the picture, how many edges run in which
direction. They forget where exactly an edge lies, and so survive small shifts. The
formula stays :math:`a = W \phi(\text{picture}) + b`; only :math:`\phi` changes.
"""

import numpy as np
from sklearn.datasets import load_digits

from linearhead import SoftmaxClassifier
from linearhead.charts import bar_chart
from linearhead.features import make

digits = load_digits()
small = np.round(digits.images * (255 / 16)).astype(np.uint8)
pictures = small.repeat(4, axis=1).repeat(4, axis=2)[..., None]  # 32 x 32
accuracy = {}
for name in ["pixels", "hog"]:
    # fit learns what an extractor needs of the training pictures, here little more than their size
    phi = make(name).fit(pictures[:200]).transform(pictures)
    model = SoftmaxClassifier(alpha=1e-3, standardize=True).fit(phi[:200], digits.target[:200])
    accuracy[name] = float(np.mean(model.predict(phi[1000:]) == digits.target[1000:]))
    print(f"{name:<7} {phi.shape[1]:4d} numbers, accuracy {accuracy[name]:.1%}")
bar_chart(list(accuracy), list(accuracy.values()), title="Accuracy after 200 training pictures", limit=1.0)

# %%
# **Weights as pictures.** Where features are pixels, each class's row of weights has the shape of a picture: bright where
# ink speaks for the class, dark where it speaks against it.
import base64
import io

from PIL import Image


class Templates:
    """The rows of W, each rescaled to grey values, shown side by side."""

    def __init__(self, W):
        self.rows = [np.interp(w, (w.min(), w.max()), (0, 255)).astype(np.uint8) for w in W]

    def _repr_html_(self):
        out = []
        for label, grey in enumerate(self.rows):
            file = io.BytesIO()
            Image.fromarray(grey).resize((64, 64), Image.Resampling.NEAREST).save(file, "PNG")
            source = base64.b64encode(file.getvalue()).decode()
            out.append(f'<img src="data:image/png;base64,{source}" alt="weights of {label}" width="64" height="64">')
        return " ".join(out)


templates = SoftmaxClassifier(alpha=0.01).fit(digits.data / 16, digits.target).coef_.reshape(10, 8, 8)
Templates(templates)

# %%
# **Exercise.** How many weights does a classifier of ten classes have on these pixels, intercepts included? Think
# first; the answer below is checked when this page is built.
answer = 10 * (32 * 32 + 1)
model = SoftmaxClassifier().fit(make("pixels").fit(pictures[:50]).transform(pictures[:50]), digits.target[:50])
assert model.coef_.size + model.intercept_.size == answer
print(answer)
