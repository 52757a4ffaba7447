"""A server that is read through a replica some answers behind."""

from __future__ import annotations

from support.fault_proxy import Answer

__all__ = ["Behind"]


class Behind:
    """Makes what a proxy answers to one kind of request be that from before the latest write, so many times."""

    def __init__(self, proxy, kinds, times):
        self.proxy, self.times, self.left = proxy, times, {}
        self.before = {}
        for kind in ("save", "delete"):
            proxy.on(kind, self.writes)
        for kind in kinds:
            proxy.on(kind, self.reads)
        self.kinds = kinds
        self.last = {}

    def writes(self, exchange):
        answer = exchange.forward()
        self.before = dict(self.last)
        self.left = dict.fromkeys(self.before, self.times)
        exchange.answer(answer)

    def reads(self, exchange):
        place = exchange.path
        answer = exchange.forward()
        if self.left.get(place):
            self.left[place] -= 1
            answer = self.before[place]
        else:
            self.last[place] = Answer(answer.status, answer.headers, answer.body)
        exchange.answer(answer)
