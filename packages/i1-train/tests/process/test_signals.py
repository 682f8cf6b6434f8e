"""Signals as a request to stop."""

import io
import os
import signal
import sys

import jax
import pytest
from i1_train.process.signals import StopRequest, survive_closed_output
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_that_ends_a_process_asks_to_stop(number):
    with StopRequest() as stop:
        os.kill(os.getpid(), number)
        assert stop.at(1) == number.name


def test_a_signal_that_is_ignored_stays_ignored():
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.at(1) is None
    finally:
        signal.signal(signal.SIGHUP, usual)


def test_a_closed_pipe_is_told_once_and_the_rest_is_discarded():
    told = []
    read, write = os.pipe()
    usual = sys.stdout
    with os.fdopen(write, "w") as stream:
        sys.stdout = stream
        try:
            with survive_closed_output(lambda: told.append("closed")):
                print("first", flush=True)
                assert os.read(read, 100) == b"first\n"
                os.close(read)
                for _ in range(3):
                    print("later", flush=True)
                assert sys.stdout.encoding == stream.encoding
            assert sys.stdout is stream
        finally:
            sys.stdout = usual
    assert told == ["closed"]


def test_an_error_of_another_kind_is_not_hidden():
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    usual, sys.stdout = sys.stdout, Full()
    try:
        with survive_closed_output(list), pytest.raises(OSError, match="No space left"):
            print("x")
    finally:
        sys.stdout = usual
