"""mlflow with `mlflow.config.enable_async_logging()`: a thread of the process writes the rows."""

from __future__ import annotations

import logger_worker as worker
from logger_mlflow import MlflowLogger

if __name__ == "__main__":
    worker.main(MlflowLogger(is_async=True))
