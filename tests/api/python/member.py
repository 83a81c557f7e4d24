"""A member of a meeting on python-socketio: joins, writes, hears itself answered, leaves.

usage: member.py ORIGIN TOKEN MEETING; prints what it was answered, as one line of JSON.
"""
import json
import sys

import socketio

origin, token, meeting = sys.argv[1:]
client = socketio.SimpleClient()
client.connect(
    origin,
    namespace="/meeting",
    auth={"token": token},
    transports=["polling", "websocket"],
    wait_timeout=8,
)
joined = client.call("room:join", {"meeting_id": meeting, "display_name": "Py"}, timeout=8)
sent = client.call("chat:send", {"message": "from Python", "client_message_id": "p1"}, timeout=8)
refused = client.call("room:lock", {}, timeout=8)
event = client.receive(timeout=8)
while event[0] != "chat:message" or event[1]["message"] != "to Python":
    event = client.receive(timeout=8)
left = client.call("room:leave", {"meeting_id": meeting}, timeout=8)
carrier = client.client.transport()
client.disconnect()
print(
    json.dumps(
        {
            "joined": joined,
            "sent": sent,
            "refused": refused,
            "heard": event[1],
            "left": left,
            "carrier": carrier,
        }
    )
)
