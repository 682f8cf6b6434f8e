"""Signals as a request to stop."""

import os
import signal

import jax
from i1_train.process.signals import StopRequest
from jax.experimental import multihost_utils


def test_a_signal_is_noted_and_a_second_one_has_its_usual_effect():
    usual = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert stop.at(1) is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.at(2) == "SIGTERM"
        assert signal.getsignal(signal.SIGTERM) is usual


def test_on_several_hosts_all_stop_at_the_step_they_agreed_on(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "reached_preemption_sync_point", lambda step: step == 4)
    usual = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert signal.getsignal(signal.SIGTERM) is usual
        assert [stop.at(step) for step in (2, 3, 4)] == [None, None, "SIGTERM"]


def test_on_several_hosts_ctrl_c_asks_all(monkeypatch):
    sent = []
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with StopRequest():
        handler = signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(os, "kill", lambda *arguments: sent.append(arguments))
        handler(signal.SIGINT, None)
        assert signal.getsignal(signal.SIGINT) is not handler
    assert sent == [(os.getpid(), signal.SIGTERM)]
