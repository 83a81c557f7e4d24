"""Makes the topics of events, as an administrator would.

usage: topics.py BROKERS
"""

import sys

from confluent_kafka.admin import AdminClient, NewTopic

names = ("kcs.facts.v1", "kcs.quality.v1", "kcs.dead.v1")
admin = AdminClient({"bootstrap.servers": sys.argv[1]})
made = admin.create_topics([NewTopic(name, num_partitions=3) for name in names])
for future in made.values():
    future.result(30)
