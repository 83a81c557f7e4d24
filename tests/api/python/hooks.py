"""What schemathesis is told of this interface: bodies that are no JSON are text, and what
libwebsockets does to requests before anybody could answer. A NUL in a query ends the
connection; and a header whose name is the beginning of one that the library knows ("m", "ho")
hides the next, so that those that are not declared have names that begin like none."""
import schemathesis

for media_type in ("application/sdp", "application/trickle-ice-sdpfrag"):
    schemathesis.serializer.alias(media_type, "text/plain")

DECLARED = {"authorization", "content-type", "idempotency-key", "if-match", "if-none-match"}


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
    for name in [name for name in case.headers or {} if name.lower() not in DECLARED]:
        case.headers["fuzz-" + name] = case.headers.pop(name)
