"""Lowering the own priority is a courtesy: where it is refused, the work goes on."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from stillspeak.serving import worker
from stillspeak.serving.service import _stand_back


def _refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def _missing(*_: object) -> None:
    raise AttributeError("module 'os' has no attribute 'setpriority'")


def _not_there(*_: object) -> None:
    raise OSError(38, "Function not implemented")


@pytest.mark.parametrize("refusal", [_refuse, _missing, _not_there])
def test_a_thread_that_may_not_stand_back_works_on(monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., None]):
    for name in ("getpriority", "setpriority"):
        monkeypatch.setattr(os, name, refusal)
    with ThreadPoolExecutor(1, initializer=_stand_back) as pool:
        assert pool.submit(lambda: 1).result() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
def test_a_thread_stands_back_and_one_that_stands_further_back_stays_there():
    def niceness(before: int) -> int:
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, before)
        _stand_back()
        return os.getpriority(os.PRIO_PROCESS, thread)

    here = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(niceness, here).result() == max(here, 10)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(niceness, 15).result() == 15


@pytest.mark.parametrize("refusal", [_refuse, _missing, _not_there])
def test_a_worker_that_may_not_stand_back_takes_its_job(monkeypatch: pytest.MonkeyPatch, refusal: Callable[..., None]):
    monkeypatch.setattr(os, "nice", refusal, raising=False)
    monkeypatch.setattr(worker.json, "load", lambda _: (_ for _ in ()).throw(KeyError("asked")))
    with pytest.raises(KeyError, match="asked"):
        worker.main()
