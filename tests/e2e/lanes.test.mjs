/* Several lanes: payloads are complete and in order for everybody, wherever publisher and
 * subscribers are placed, and while they are moved from lane to lane. The whole suite runs on
 * as many lanes as KCS_E2E_LANES says. KCS_LONG=1 moves for longer, on more lanes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { readCounters } from './lib/counters.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const LONG = Boolean(process.env.KCS_LONG);
const SUBSCRIBERS = 20;
const SECONDS = LONG ? 20 : 5;
const KILLS = LONG ? 20 : 4;
const FAULTS = ['lost', 'duplicates', 'misordered', 'corrupt', 'replayed', 'forged'];
const TIMEOUT = { timeout: LONG ? 120_000 : 60_000 };
const ROOT = process.getuid() === 0;

function peersOf(node) {
    return node.kcsctl('peers', '--json').then((text) => JSON.parse(text));
}

/* Moves transports to and fro until `running` is done; control may be `away` meanwhile. Resolves
 * with how many moved. */
async function moveAbout(node, lanes, running, away = false) {
    let done = false;
    let moves = 0;

    running.finally(() => (done = true));
    while (!done) {
        const peers = await peersOf(node).catch((error) => {
            assert.ok(away, error.message);
            return [];
        });
        const senders = peers.filter(({ direction }) => direction === 'send');

        for (let i = 0; i < 6 && !done && peers.length > 0; i++) {
            const list = i % 2 === 0 ? senders : peers;
            const { transport_id, lane } = list[Math.floor(Math.random() * list.length)];
            const to = (lane + 1 + Math.floor(Math.random() * (lanes - 1))) % lanes;

            try {
                await node.kcsctl('lanes', 'move', transport_id, `${to}`);
                moves++;
            } catch (error) {
                /* gone meanwhile, or still on its way */
                assert.match(error.message, away ? /./ : /no such transport|on the move/);
            }
        }
        await sleep(20);
    }
    return moves;
}

for (const lanes of [2, 4]) {
    for (const device of LONG ? ['udp', 'veth'] : [lanes === 2 ? 'udp' : 'veth']) {
        const skip = device === 'veth' && !ROOT ? 'the device veth needs root' : false;
        const title = `${lanes} lanes, peers move all the time, nothing is lost: ${device}`;

        test(title, { ...TIMEOUT, skip }, (t) =>
            withNode({ name: `lanes-${lanes}-${device}`, devices: [device], lanes }, async (node) => {
                const running = loadgen(
                    node,
                    [
                        ...['--publishers', '2', '--subscribers', `${SUBSCRIBERS}`],
                        ...['--media', 'both', '--rate', '90', '--seconds', `${SECONDS}`],
                    ],
                    { patience: SECONDS + 40 },
                );
                await node.until('media flows', async () => {
                    const counters = [...(await readCounters(node)).values()];
                    return (
                        counters.length === 4 &&
                        counters.every(
                            ({ packets, subscribers }) =>
                                packets > 0 && subscribers.size === SUBSCRIBERS,
                        )
                    );
                });
                const before = await peersOf(node);
                assert.ok(
                    new Set(before.map(({ lane }) => lane)).size > 1,
                    'they were placed on several lanes',
                );
                const moves = await moveAbout(node, lanes, running);
                const { status, result, err } = await running;

                t.diagnostic(`${moves} moves, ${result?.verified} packets verified`);
                assert.equal(status, 0, `kcs-loadgen: ${err}`);
                for (const fault of FAULTS) {
                    assert.equal(result[fault], 0, fault);
                }
                assert.equal(result.streams_verified, 4 * SUBSCRIBERS);
                assert.ok(moves >= 10 * SECONDS, `${moves} moves`);
            }),
        );
    }
}

for (const lanes of LONG ? [2, 4] : [4]) {
    const title = `${lanes} lanes, peers move all the time, control is killed: nothing is lost`;

    test(title, TIMEOUT, (t) =>
        withNode(
            { name: `lanes-crash-${lanes}`, devices: [ROOT ? 'veth' : 'udp'], lanes },
            async (node) => {
                const stop = new AbortController();
                const running = loadgen(
                    node,
                    [
                        ...['--publishers', '2', '--subscribers', `${SUBSCRIBERS}`, '--resume'],
                        ...['--media', 'both', '--rate', '90', '--seconds', '100', '--hold', '1'],
                        '--no-feedback', /* else video may be held back */
                    ],
                    { patience: 110, signal: stop.signal },
                );
                const clients = SUBSCRIBERS + 2;

                await node.until('media flows', async () => (await readCounters(node)).size === 4);
                /* who is not in yet when control dies cannot resume */
                await node.until('all have what they came for', async () => {
                    const { lanes: rows } = JSON.parse(await node.kcsctl('node', '--json'));
                    return rows.reduce((n, row) => n + row.subscriptions, 0) >= 4 * SUBSCRIBERS;
                });
                const moving = moveAbout(node, lanes, running, true);
                for (let i = 0; i < KILLS; i++) {
                    await sleep(300 + Math.random() * 700);
                    await node.crash('kcs-control');
                    await node.until(
                        'all have returned',
                        async () => (await node.metric('kcs_websocket_open')) >= clients,
                    );
                }
                stop.abort();
                const { status, result, err } = await running;
                const drops = await node.kcsctl('drops');

                t.diagnostic(`${await moving} moves, ${result?.verified} packets verified`);
                assert.equal(status, 0, `kcs-loadgen: ${err}\nthe node's drops:\n${drops}`);
                for (const fault of FAULTS) {
                    assert.equal(result[fault], 0, `${fault}: ${drops}`);
                }
                assert.equal(result.streams_verified, 4 * SUBSCRIBERS);
                assert.equal(result.resumed, KILLS * clients, err);
            },
        ),
    );
}

test('two people on 4 lanes see and hear each other, moved or not', TIMEOUT, () =>
    withNode(
        { name: 'lanes-call', devices: [ROOT ? 'veth' : 'udp'], lanes: 4 },
        (node) =>
            withBrowser(async (browser) => {
                const people = [];

                for (const name of ['Ada Lovelace', 'Grace Hopper']) {
                    const token = await node.token({ meeting: 'e2e-lanes', name });
                    const options = { name, meeting: 'e2e-lanes', token, codec: 'vp8' };
                    const who = await Person.open(browser, node, options);
                    people.push(who);
                    await who.joined();
                }
                const [ada, grace] = people;
                await Promise.all([ada.receives(grace.name), grace.receives(ada.name)]);
                for (let round = 0; round < 4; round++) {
                    for (const { transport_id } of await peersOf(node)) {
                        await node.kcsctl('lanes', 'move', transport_id, `${round}`);
                    }
                    await node.until('all are on one lane', async () =>
                        (await peersOf(node)).every(({ lane }) => lane === round),
                    );
                    const then = await ada.received(grace.name, 'video');
                    await ada.until(
                        'the picture goes on',
                        async (wanted) => {
                            const { received } = await window.kcs.stats();
                            return received.some(
                                ({ kind, framesDecoded }) =>
                                    kind === 'video' && framesDecoded > wanted,
                            );
                        },
                        then.framesDecoded + 5,
                    );
                }
            }),
    ),
);
