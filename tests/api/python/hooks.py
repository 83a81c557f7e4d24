"""What schemathesis is told of this interface: bodies that are no JSON are text, and a NUL in
a query is the end of the connection, by libwebsockets, before anybody could answer."""
import schemathesis

for media_type in ("application/sdp", "application/trickle-ice-sdpfrag"):
    schemathesis.serializer.alias(media_type, "text/plain")


@schemathesis.hook
def before_call(context, case, **kwargs):
    for name, value in (case.query or {}).items():
        if isinstance(value, str):
            case.query[name] = value.replace("\0", "\x01")
