/* Events a second through the outbox to a real Kafka, beside a bare producer (bench_kafka.c).
 *
 * usage: tools/bench kafka [EVENTS [ROUNDS]] */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { BUILD } from '../../tests/e2e/lib/node.mjs';
import { withBroker } from '../../tests/kafka/broker.mjs';

await withBroker(async (broker) => {
    await broker.makeTopics();
    const { status } = spawnSync(join(BUILD, 'tools/benchmarks/bench-kafka'),
        [broker.address, broker.dir, ...process.argv.slice(2)], { stdio: 'inherit' });

    process.exitCode = status ?? 1;
});
