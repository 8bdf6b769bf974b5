"""Fits to rows that are spread over the workers of a Dask cluster: the model of one machine.

from dask.distributed import Client, LocalCluster
import fastgd.dask

client = Client(LocalCluster(n_workers=2))
model = fastgd.dask.fit(fastgd.GDClassifier(), X, y)   # dask arrays, frames or delayed sources
labels = fastgd.dask.predict(model, X)                 # a dask array
"""

from fastgd.dask.fits import fit
from fastgd.dask.predictions import decision_function, predict, predict_proba, score

__all__ = ["decision_function", "fit", "predict", "predict_proba", "score"]
