"""What an administrator does to the broker of a test.

usage: broker.py BROKERS topics | password USER PASSWORD
"""

import sys

from confluent_kafka.admin import (AdminClient, NewTopic, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialUpsertion)

admin = AdminClient({"bootstrap.servers": sys.argv[1]})
if sys.argv[2] == "topics":
    names = ("kcs.facts.v1", "kcs.quality.v1", "kcs.dead.v1")
    made = admin.create_topics([NewTopic(name, num_partitions=3) for name in names])
else:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    made = admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(sys.argv[3], info, sys.argv[4].encode())])
for future in made.values():
    future.result(30)
