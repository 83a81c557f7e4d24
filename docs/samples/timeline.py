#!/usr/bin/env python3
"""Rebuilds the timeline of one meeting from Kafka: who was there when, what was shared, said and
decided. A sample for analysts; needs confluent-kafka (pip install confluent-kafka).

usage: timeline.py BROKERS MEETING [--json]

What it does is all that a reader of kcs.facts.v1 has to do: events may come more than once and
are known by ce_id; one meeting's are in one partition, and their order is (ce_epoch, ce_seq).
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

TOPIC = "kcs.facts.v1"


def facts(brokers, meeting):
    """The meeting's events up to now, each once and in order: (headers, data)."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "timeline",
                         "enable.auto.commit": False, "enable.partition.eof": True,
                         "isolation.level": "read_committed"})
    topic = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC]
    if topic.error:
        raise KafkaException(topic.error)
    left = set(topic.partitions)
    consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in left])
    seen = {}
    while left:
        message = consumer.poll(10)
        if message is None:
            raise TimeoutError(f"{brokers} gives no more of {TOPIC}")
        if message.error():  # the end of a partition
            left.discard(message.partition())
            continue
        headers = {name: value.decode() for name, value in message.headers()}
        if message.key().decode() == meeting and headers["ce_id"] not in seen:
            seen[headers["ce_id"]] = (headers, json.loads(message.value()))
    consumer.close()
    return sorted(seen.values(), key=lambda f: (int(f[0]["ce_epoch"]), int(f[0]["ce_seq"])))


def timeline(events):
    """{people, screens, messages, moments}: presence from join to leave, by participant."""
    people, screens, moments, messages = {}, [], [], 0
    epoch, last = None, None
    for headers, data in events:
        kind, at = headers["ce_type"], headers["ce_time"]
        if headers["ce_epoch"] != epoch:  # the node had lost the room, and who was there
            for left in [*people.values(), *screens]:
                if left["to"] is None:
                    left.update(to=last, reason="node lost")
        epoch, last = headers["ce_epoch"], at
        if headers.get("ce_dataschema", "").startswith("urn:kcs:event:kcs.erased:"):
            continue  # it was about somebody who has been erased
        if kind == "kcs.participant.joined":
            people[data["participant_id"]] = {"name": data["display_name"], "from": at,
                                              "to": None, "role": data["role"]}
        elif kind == "kcs.participant.left":
            person = people.get(data["participant_id"], {})
            person.update(to=at, reason=data["reason"])
        elif kind == "kcs.media.screen.started":
            screens.append({"who": data["participant_id"], "from": at, "to": None})
        elif kind == "kcs.media.screen.stopped":
            for screen in screens:
                if screen["who"] == data["participant_id"] and screen["to"] is None:
                    screen["to"] = at
        elif kind == "kcs.chat.message":
            messages += 1
        moments.append({"at": at, "type": kind, "who": data.get("user_id")})
    return {"people": list(people.values()), "screens": screens, "messages": messages,
            "moments": moments}


def main():
    brokers, meeting = sys.argv[1:3]
    found = timeline(facts(brokers, meeting))
    if "--json" in sys.argv[3:]:
        print(json.dumps(found, indent=2))
        return
    for moment in found["moments"]:
        print(moment["at"], moment["type"], moment["who"] or "")
    for person in found["people"]:
        print(f"{person['name']} ({person['role']}): {person['from']} to {person['to']}")
    print(f"{found['messages']} messages, {len(found['screens'])} screens shared")


if __name__ == "__main__":
    main()
