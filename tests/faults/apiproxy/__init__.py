"""A fault proxy in front of an API server: the program under test gets a kubeconfig whose server is this proxy.

It speaks plain HTTP on loopback and authenticates upstream with the admin's kubeconfig. It numbers the writes and the watch
events that pass, keeps a log of them, and does what it was told to do to one of them. It knows paths, verbs and the two
shapes of an answer (an object or list; a stream of watch events), and nothing of who asks.

In a coroutine:

    proxy = ApiProxy(admin_kubeconfig, kill=process.kill)
    async with proxy:
        proxy.write_kubeconfig(path)
        proxy.at_write[3] = Kill(After)            # the third write is done, its answer is lost, the process is killed
        proxy.at_event["pods", 2] = Drop()         # the second event of the pods' watches never arrives

From a thread, for programs that are not asynchronous: `with running(admin_kubeconfig) as proxy: ...`; all of the proxy's
fields and methods that are no coroutines may then be used from any thread.

What can be done, to which:

    at_write[number]         to the write of this number, counted from 1 over the proxy's life
    at_event[plural, number] to the watch event of this number of that kind, bookmarks not counted
    rules.append(Rule(...))  to each request that a function picks, so many times
    cut()                    all connections are aborted now
    away = True              every request is answered by an aborted connection, counted in `refused`, until it is False
    past = snapshot          lists are answered from `await record()` (in a thread: `record_now()`), made earlier, and watches say
                             nothing; when it is None again the watches catch up from the version that their list had
"""

from apiproxy.faults import (
    After,
    Answer,
    Before,
    Cut,
    Drop,
    EventFault,
    Expire,
    Hold,
    HoldEvent,
    Kill,
    RequestFault,
    Rule,
    When,
    conflict,
    expired,
    failing,
    too_many,
)
from apiproxy.log import Event, Request
from apiproxy.past import Snapshot
from apiproxy.proxy import ApiProxy, running

__all__ = [
    "After",
    "Answer",
    "ApiProxy",
    "Before",
    "Cut",
    "Drop",
    "Event",
    "EventFault",
    "Expire",
    "Hold",
    "HoldEvent",
    "Kill",
    "Request",
    "RequestFault",
    "Rule",
    "Snapshot",
    "When",
    "conflict",
    "expired",
    "failing",
    "running",
    "too_many",
]
