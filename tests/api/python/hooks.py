"""What schemathesis is told of this interface: bodies that are no JSON are text, and a NUL in
a query is the end of the connection, by libwebsockets, before anybody could answer."""
import schemathesis

for media_type in ("application/sdp", "application/trickle-ice-sdpfrag"):
    schemathesis.serializer.alias(media_type, "text/plain")


def without_nul(value):
    if isinstance(value, str):
        return value.replace("\0", "\x01")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):  # of which requests sends the names
        return {without_nul(name): without_nul(item) for name, item in value.items()}
    return value


@schemathesis.hook
def before_call(context, case, **kwargs):
    if case.query:
        case.query = without_nul(case.query)
