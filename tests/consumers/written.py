"""Write a batch as the worker's second thread does, and wait for it."""

from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.chains import DEFAULT_PIECE_BYTES
from afterword_consumers.ingest.inserter import Inserter
from afterword_consumers.ingest.sink import Sink
from afterword_schemas.backoff import Backoff


def write(batch: Batch, sink: Sink, *, piece_bytes: int = DEFAULT_PIECE_BYTES) -> None:
    """Write a batch; an error of the store is tried again at once."""
    inserter = Inserter(sink, Backoff(first_s=0.001, max_s=0.004), piece_bytes=piece_bytes)
    inserter.submit(batch)
    assert inserter.wait(60)
    assert inserter.finished() == [batch]
    inserter.abandon()
