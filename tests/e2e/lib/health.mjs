/* How a node answers whoever asks how it does, while it has much to do. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 20;
const MOST_MS = 100;

const p99 = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length * 0.99)];

/* Asks for the node's health until `until` has come; resolves with how long it took, and how
 * late this process was itself, in ms. */
export async function askForHealth(node, until) {
    const agent = new http.Agent({ keepAlive: true });
    const took = [];
    const late = [];
    let over = false;
    const ask = () =>
        new Promise((done, failed) => {
            const since = performance.now();

            http.get(`${node.origin}/api/health/live`, { agent }, (res) => {
                res.resume().on('end', () => done([res.statusCode, performance.now() - since]));
            }).on('error', failed);
        });

    void until.finally(() => (over = true));
    while (!over) {
        const due = performance.now() + EVERY_MS;
        await sleep(EVERY_MS);
        late.push(performance.now() - due);
        const [status, ms] = await ask();
        assert.equal(status, 200);
        took.push(ms);
    }
    agent.destroy();
    return { n: took.length, took: p99(took), late: p99(late), most: Math.max(...took) };
}

/* What is the machine's is not the node's: how late somebody is who only sleeps, and what
 * the answer takes when there is nothing else to do. */
export function assertResponsive(t, name, idle, loaded) {
    const ms = (x) => x.toFixed(1);

    t.diagnostic(`${name}: health p99 ${ms(loaded.took)} ms, most ${ms(loaded.most)}, of ` +
        `${loaded.n}; idle ${ms(idle.took)}; we ourselves were late by ${ms(loaded.late)}`);
    assert.ok(loaded.n >= 50, `${loaded.n} questions`);
    assert.ok(loaded.took - Math.max(loaded.late, idle.took) <= MOST_MS,
        `${name}: health p99 ${ms(loaded.took)} ms, idle ${ms(idle.took)}, ` +
        `ourselves ${ms(loaded.late)}`);
}
