import multiprocessing
import zipfile
from pathlib import Path

from deeplake_mmdet.lake.source.pinning import handle_of

ARCHIVE = Path(__file__).resolve().parents[1] / "data" / "v3_lake.zip"


def unpack_v3(folder):
    """A lake in format v3, see tests/data/make_v3_lake.py; its path."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder / "v3_lake")
    return str(folder / "v3_lake")


def read_cells(resolved, column, credentials=None):
    handle = handle_of(resolved, credentials)
    return [cell.tolist() for cell in handle[column][0 : len(handle)]]


def _send(pipe, *asked):
    try:
        pipe.send(read_cells(*asked))
    except Exception as error:
        pipe.send(str(error))


def cells_in_child(method, resolved, column, credentials=None):
    """What another process reads of a column; or the text of its error."""
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=_send, args=(there, resolved, column, credentials))
    child.start()
    there.close()
    found = here.recv()
    child.join(60)
    assert child.exitcode == 0
    return found


def _report_rows(pipe, source, credentials):
    try:
        pipe.send(len(handle_of(source, credentials)))
    except Exception as error:
        pipe.send(str(error))


def rows_in_child(method, resolved, credentials=None):
    """How many rows another process sees; or the text of its error."""
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=_report_rows, args=(there, resolved, credentials))
    child.start()
    there.close()
    found = here.recv()
    child.join(60)
    assert child.exitcode == 0
    return found
