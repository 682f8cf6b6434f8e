"""Both notebooks run from first cell to last, in an empty folder, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1]
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def test_both_notebooks_are_here():
    assert [path.name for path in NOTEBOOKS] == ["plugin.ipynb", "quickstart.ipynb"]


@pytest.mark.filterwarnings("default")  # those of Jupyter's own packages
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_its_pictures(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "commit notebooks without outputs"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.get("data", {}) for cell in code for output in cell.outputs]
    pictures = [data for data in shown if "image/png" in data]
    assert len(pictures) == sum(".resize(" in cell.source for cell in code)
