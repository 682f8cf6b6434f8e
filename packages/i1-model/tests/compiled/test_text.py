"""What is read in the text of a compiled program."""

import pytest
from i1_model.compiled.cycles import estimated_cycles, unestimated_bytes
from i1_model.compiled.hlo import parse_module
from i1_model.compiled.traffic import axes_of, first_group, traffic

TEXT = """HloModule jit_f, is_scheduled=true

%fused_computation.1 (p: bf16[8,16], q: bf16[16,32]) -> bf16[8,32] {
  %p = bf16[8,16]{1,0:T(8,128)(2,1)} parameter(0)
  %q = bf16[16,32]{1,0:T(8,128)(2,1)} parameter(1)
  ROOT %convolution.1 = bf16[8,32]{1,0:T(8,128)(2,1)} convolution(%p, %q), dim_labels=bf_io->bf
}

%all-reduce-scatter (input: f32[64,32]) -> f32[16,32] {
  %input = f32[64,32]{1,0:T(8,128)} parameter(0)
  %all-reduce.1 = f32[64,32]{1,0:T(8,128)} all-reduce(%input), channel_id=1, replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%add
  ROOT %dynamic-slice.1 = f32[16,32]{1,0:T(8,128)} dynamic-slice(%all-reduce.1, %c, %c), dynamic_slice_sizes={16,32}
}

%body (t: (s32[], bf16[8,16])) -> (s32[], bf16[8,16]) {
  %t = (s32[], bf16[8,16]{1,0}) parameter(0)
  %x = bf16[8,16]{1,0} get-tuple-element(%t), index=1
  %w = bf16[16,32]{1,0} all-gather(%x), channel_id=2, replica_groups=mesh['axis_0'=2,'axis_1'=4] {'axis_1'}, dimensions={0}
  %fusion.1 = bf16[8,32]{1,0} fusion(%x, %w), kind=kOutput, calls=%fused_computation.1, backend_config={"window_config":{"estimated_cycles":"100"}}
  %copy.1 = bf16[8,16]{0,1} copy(%x), backend_config={"window_config":{"estimated_cycles":"7"}}
  ROOT %tuple.1 = (s32[], bf16[8,16]{1,0}) tuple(%i, %copy.1)
}

ENTRY %main.1_spmd (a: bf16[8,16]) -> f32[16,32] {
  %a = bf16[8,16]{1,0} parameter(0)
  %while.1 = (s32[], bf16[8,16]{1,0}) while(%a), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %add.1 = f32[64,32]{1,0} add(%a, %a), frontend_attributes={kernel_metadata={
"metadata":"{}"
}}, backend_config={"window_config":{"estimated_cycles":"3"}}
  %reshape.1 = bf16[16,8]{1,0} reshape(%a), backend_config={}
  ROOT %fusion.2 = f32[16,32]{1,0} fusion(%add.1), kind=kCustom, calls=%all-reduce-scatter
}
"""  # noqa: E501 (a program's own lines)
MESH = {"data": 2, "fsdp": 4, "context": 1, "tensor": 1}


KNOWN = ', backend_config={"known_trip_count":{"n":"5"}}'
CONDITION = """
%cond (c: (s32[], bf16[8,16])) -> pred[] {
  %c = (s32[], bf16[8,16]{1,0}) parameter(0)
  %number = s32[]{:T(128)} get-tuple-element(%c), index=0
LIMITS  ROOT %lt = pred[]{:T(512)} compare(%number, %limit), direction=LT
}
"""
LIMIT = "  %limit = s32[]{:T(128)} constant(7)\n"


@pytest.mark.parametrize(
    ("limits", "trips", "matrix"), [(LIMIT, 7, 700), ("", None, 100), (LIMIT + LIMIT, None, 100)]
)
def test_a_loop_runs_as_often_as_its_condition_says(limits, trips, matrix):
    assert KNOWN in TEXT
    module = parse_module(CONDITION.replace("LIMITS", limits) + TEXT.replace(KNOWN, ""))
    assert [i.trips for i, _ in module.running() if i.opcode == "while"] == [trips]
    assert estimated_cycles(module)["matrix"] == matrix


def test_cycles_are_summed_by_kind_as_often_as_they_run():
    assert estimated_cycles(parse_module(TEXT)) == {"matrix": 500, "copy": 35, "collective": 0, "other": 3}


def test_moves_without_an_estimate_are_counted_in_bytes():
    assert unestimated_bytes(parse_module(TEXT)) == 2 * (8 * 16 * 2)


def test_traffic_is_counted_by_axis():
    gathered = 5 * (16 * 32 * 2) * 3 / 4
    scattered = 64 * 32 * 4 * 3 / 4
    assert traffic(parse_module(TEXT), MESH) == {"fsdp": gathered + scattered}


@pytest.mark.parametrize(("pairs", "sent"), [("{{0,0},{1,2}}", 64 * 32 * 4), ("{{0,0},{1,1}}", 0)])
def test_a_permutation_sends_what_leaves_its_device(pairs, sent):
    text = """
ENTRY %main.1 (x: f32[64,32]) -> f32[64,32] {
  %x = f32[64,32]{1,0} parameter(0)
  ROOT %moved = f32[64,32]{1,0} collective-permute(%x), channel_id=1, source_target_pairs=PAIRS, metadata={}
}
"""
    assert traffic(parse_module(text.replace("PAIRS", pairs)), MESH) == ({"fsdp": sent} if sent else {})


@pytest.mark.parametrize(
    ("groups", "axes"),
    [
        ("{{0,4},{1,5},{2,6},{3,7}}", "data"),
        ("{{0,0},{1,2},{2,3}}", "fsdp"),
        ("{{0,0},{1,1}}", ""),
        ("[2,4]<=[8]", "fsdp"),
        ("[4,2]<=[2,4]T(1,0)", "data"),
        ("[1,8]<=[8]", "data+fsdp"),
        ("mesh['axis_0'=2,'axis_1'=4] {'axis_0'}", "data"),
        ("mesh['axis_0'=2,'axis_1'=4] {'axis_0','axis_1'}", "data+fsdp"),
        ("mesh['a'=8] {'a':(1)2}", "data"),
        ("{}", "data+fsdp"),
    ],
)
def test_groups_of_devices_are_named_by_the_axes_they_span(groups, axes):
    assert axes_of(first_group(groups, MESH), MESH) == axes
