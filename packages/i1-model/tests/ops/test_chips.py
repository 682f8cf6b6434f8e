"""What is known of chips."""

from i1_model.ops.chips import CHIPS, PEAK_FLOPS, chip_name, peak_flops


def test_peaks_are_those_of_the_longest_name_that_fits():
    assert peak_flops("TPU v5 lite") == 197e12
    assert peak_flops("TPU v5p") == 459e12
    assert peak_flops("NVIDIA H200") == 989e12
    assert peak_flops("cpu") is None


def test_a_topology_and_a_device_name_the_same_chip():
    for kind, name in {"TPU v5": "v5p", "TPU v5p": "v5p", "TPU v6 lite": "v6e", "TPU v6e": "v6e"}.items():
        assert chip_name(kind) == name
        assert CHIPS[name].peak == PEAK_FLOPS[kind]
