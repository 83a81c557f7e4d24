/* The device af_xdp on an interface of two queues, each of them a lane's: two people in
 * Chromium and clients that count every number, all of them hosts at the far end of the wire,
 * see, hear and miss nothing, whichever queue their packets come by. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHROMIUM, Person, withBrowser } from './lib/browser.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';
import { withWire } from './lib/wire.mjs';

const QUEUES = 2;
const SUBSCRIBERS = 20;
const SECONDS = 4;
const FAULTS = ['lost', 'duplicates', 'misordered', 'corrupt', 'replayed', 'forged'];
const skip = process.getuid() === 0 ? false : 'a veth pair needs root';

async function callOverBothVersions(browser, node, wire) {
    const meeting = 'e2e-xdp';
    const [ada, grace] = await Promise.all(
        [['Ada Lovelace', 4], ['Grace Hopper', 6]].map(async ([name, version]) => {
            const token = await node.token({ meeting, name });
            const options = { name, meeting, token, codec: 'vp8', ip: version };
            const who = await Person.open(browser, node, options);

            who.version = version;
            await who.joined();
            return who;
        }),
    );

    await Promise.all([ada.receives(grace.name), grace.receives(ada.name)]);
    for (const who of [ada, grace]) {
        const { transports } = await who.stats();

        for (const direction of ['send', 'recv']) {
            const { remoteAddress, dtlsState } = transports[direction];

            assert.equal(dtlsState, 'connected', `${who.name}, ${direction}`);
            assert.equal(remoteAddress.replace(/[[\]]/g, ''), wire[`ipv${who.version}`]);
        }
    }
    return [ada, grace];
}

async function numbersAreComplete(t, node, wire) {
    const { status, result, err } = await loadgen(
        node,
        [
            ...['--publishers', '2', '--subscribers', `${SUBSCRIBERS}`, '--media', 'both'],
            ...['--rate', '60', '--seconds', `${SECONDS}`],
            '--no-feedback', /* else video may be held back for what this machine is late for */
        ],
        { behind: wire },
    );
    const drops = await node.kcsctl('drops');

    t.diagnostic(`${result?.verified} packets verified`);
    assert.equal(status, 0, `kcs-loadgen: ${err}\nthe node's drops:\n${drops}`);
    for (const fault of FAULTS) {
        assert.equal(result[fault], 0, `${fault}: ${drops}`);
    }
    assert.equal(result.streams_verified, 4 * SUBSCRIBERS);
}

test('two queues of af_xdp, two lanes: a call, and every number', { timeout: 90_000, skip }, (t) =>
    withWire(QUEUES, (wire) =>
        withNode({ name: 'xdp', devices: [wire.device], lanes: QUEUES }, async (node) => {
            await wire.forward(node);
            const chromium = wire.wrapper(node.dir, CHROMIUM);

            await withBrowser(async (browser) => {
                const people = await callOverBothVersions(browser, node, wire);
                const frames = async (who, from) =>
                    (await who.received(from.name, 'video')).framesDecoded;
                const [ada, grace] = people;
                const before = [await frames(ada, grace), await frames(grace, ada)];

                await numbersAreComplete(t, node, wire);
                assert.ok((await frames(ada, grace)) > before[0] + 20, 'the call goes on');
                assert.ok((await frames(grace, ada)) > before[1] + 20, 'the call goes on');
            }, chromium);
            const lanes = JSON.parse(await node.kcsctl('lanes', '--json'));

            assert.equal(lanes.length, QUEUES);
            const sums = lanes.reduce((sum, { udp6_sums }) => sum + udp6_sums, 0);
            assert.ok(sums > 20, `what went by IPv6 was summed here: ${sums}`);
            for (const { lane, rx_packets, tx_packets, handed_tx } of lanes) {
                t.diagnostic(`lane ${lane}: ${rx_packets} packets in, ${tx_packets} out`);
                assert.ok(rx_packets > 20, `lane ${lane} hears its queue: ${rx_packets}`);
                assert.ok(tx_packets > 1000, `lane ${lane} sends by its queue: ${tx_packets}`);
                assert.equal(handed_tx, 0, `lane ${lane} sends itself`);
            }
        }),
    ),
);

/* What the node says of its devices, to operators and to a balancer. */
async function untilState(node, state, ready) {
    const deadline = Date.now() + 10_000;

    for (;;) {
        const { devices } = JSON.parse(await node.kcsctl('node', '--json'));
        const response = await fetch(`${node.origin}/api/health/ready`);

        await response.body.cancel();
        if (devices[0].state === state && response.status === ready) {
            break;
        }
        assert.ok(Date.now() < deadline, `${devices[0].state} and ${response.status}`);
        await sleep(100);
    }
    const response = await fetch(`http://127.0.0.1:${node.metricsPort}/metrics`);
    const works = /^kcs_device_works{.*} (\d)$/m.exec(await response.text());

    assert.equal(works[1], state === 'works' ? '1' : '0');
}

test('an interface that goes is told of, once', { timeout: 60_000, skip }, () =>
    withWire(QUEUES, (wire) =>
        withNode({ name: 'xdp-gone', devices: [wire.device], lanes: QUEUES }, async (node) => {
            const link = (...args) => execFileSync('ip', ['link', ...args]);
            const said = (what) => readFileSync(node.dataplane.log, 'utf8').split(what).length - 1;

            await untilState(node, 'works', 200);
            link('set', wire.name, 'down');
            await untilState(node, 'down', 503);
            link('set', wire.name, 'up');
            await untilState(node, 'works', 200);
            link('delete', wire.name);
            await untilState(node, 'gone', 503);
            await sleep(2500);
            assert.equal(said(`af_xdp ${wire.name}: its interface is down`), 1);
            assert.equal(said(`af_xdp ${wire.name}: it works again`), 1);
            assert.equal(said(`af_xdp ${wire.name}: its interface is gone`), 1);
        }),
    ),
);
