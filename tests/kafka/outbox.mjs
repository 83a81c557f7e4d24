/* A node whose events go to a broker: how it is configured, when all has left it. */
import { execFileSync } from 'node:child_process';

export const FACTS = 'kcs.facts.v1';

export async function drained(node) {
    await node.until('the outbox is empty', async () =>
        (await node.metric('kcs_event_oldest_seconds', 'kafka')) === 0 &&
        waiting(node) === 0, 60_000);
}

function waiting(node) {
    return JSON.parse(execFileSync('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
print(db.execute("SELECT COUNT(*) FROM event WHERE position > (SELECT acked FROM outbox)").fetchone()[0])`,
    node.storePath], { encoding: 'utf8' }));
}

export function kafkaYaml(broker, more = '') {
    return `events:
  kafka:
    brokers: ${broker.address}
${more}`;
}
