"""Numbers that are not finite are named wherever arrays are read or written."""

import io

import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.arrays.archive import Archive
from i1_model.arrays.finite import check_finite, is_finite
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.npz import npz_arrays
from i1_model.arrays.safetensors import safetensors_arrays
from i1_model.arrays.safetensors_writer import write_safetensors

DTYPES = [np.float64, np.float32, np.float16, jnp.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [1, 7, 2**18, 2**18 + 1])
def test_one_bad_number_is_found_anywhere(dtype, bad: float, size: int):
    values = np.zeros(size, dtype)
    values[:] = jnp.finfo(dtype).max
    assert is_finite(values)
    values[:] = jnp.finfo(dtype).tiny
    assert is_finite(values)
    for place in (0, size // 2, size - 1):
        values[place] = bad
        assert not is_finite(values)
        values[place] = 0


def test_shapes_and_integers():
    assert is_finite(np.zeros((0, 3), np.float32))
    assert is_finite(np.float32(2) * np.ones(()))
    assert is_finite(np.full(3, 0x7F80, np.uint16))
    wrong = np.ones((4, 6), np.float32)
    wrong[3, 1] = np.nan
    for view in (wrong, wrong.T, wrong[::-1, ::-1], wrong[:, 1:2], np.asfortranarray(wrong)):
        assert not is_finite(view)


def test_the_message_counts_and_names():
    with pytest.raises(UserError, match=r"a\.pt: w: 2 of 6 numbers are not finite, the first is -inf; "):
        check_finite(np.array([[1, -np.inf, 2], [np.nan, 3, 4]], np.float32), "a.pt: w")


def test_what_is_read_is_checked(tmp_path):
    values = np.array([1, 2, np.nan], np.float32)
    np.savez(tmp_path / "a.npz", **{"params/w": values, "params/ok": values[:2]})
    with Archive(tmp_path / "a.npz") as archive:
        arrays = npz_arrays(archive, "params/")
        np.testing.assert_array_equal(np.asarray(arrays["ok"]), [1, 2])
        for read in (np.asarray, lambda array: array.copy_to(np.empty(3, jnp.bfloat16))):
            with pytest.raises(UserError, match=r"a\.npz: params/w: 1 of 3 numbers are not"):
                read(arrays["w"])
        with pytest.raises(UserError, match=r"a\.npz: params/w: "):
            np.asarray(arrays["w"].transpose((0,)))


def test_numbers_that_another_dtype_does_not_hold_are_named(tmp_path):
    with (tmp_path / "a.safetensors").open("wb") as file:
        write_safetensors(file, {"w": LazyArray.of(np.array([1e30, 1], np.float32))}, {})
    array = safetensors_arrays(tmp_path / "a.safetensors")["w"]
    assert np.asarray(array)[0] == np.float32(1e30)
    with pytest.raises(UserError, match=r"a\.safetensors: w: 1 of 2 numbers are not"):
        np.asarray(array.astype(np.float16))


def test_what_is_written_is_checked():
    array = LazyArray.of(np.array([np.inf], np.float32), "model/w")
    with pytest.raises(UserError, match="model/w: 1 of 1 numbers are not finite"):
        write_safetensors(io.BytesIO(), {"w": array}, {})
