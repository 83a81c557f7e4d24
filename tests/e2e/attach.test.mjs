/* How the processes hold on to each other: who connects to the dataplane's socket and says
 * nothing keeps no control waiting; whoever ends last, in whatever order, leaves no key in the
 * vault. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const TIMEOUT = { timeout: 60_000 };
const DEVICES = ['udp:127.0.0.1'];
const MOST_MS = 4_000; /* one silent connection alone has a second; there are always 20 */

/* Keeps 20 connections open, each again when it was closed; a half of them says something that
 * is no hello, after a while. */
const SILENT = `
import socket, sys, time
held = {}
while True:
    while len(held) < 20:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(2)
        try:
            s.connect(sys.argv[1])
        except OSError:
            s.close()
            break
        s.setblocking(False)
        held[s] = time.monotonic()
    print(len(held), flush=True)
    time.sleep(0.02)
    for i, (s, since) in enumerate(list(held.items())):
        try:
            if i % 2 and time.monotonic() - since > 0.5:
                s.send(b"hm")
            if len(s.recv(4096)) >= 0:
                raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            s.close()
            del held[s]
`;

test('connections to the attach socket that say nothing keep neither process waiting', TIMEOUT, (t) =>
    withNode({ name: 'attach-silent', devices: DEVICES }, async (node) => {
        const child = spawn('python3', ['-c', SILENT, node.dataplaneSocket], {
            stdio: ['ignore', 'pipe', 'inherit'],
        });
        const ready = async () => (await fetch(`${node.origin}/api/health/ready`)).status === 200;
        let most = 0;

        node.witnesses.push(child);
        child.stdout.on('data', (text) => {
            most = Math.max(most, ...`${text}`.trim().split('\n').map(Number));
        });
        await node.until('the silent are there', () => most >= 16);
        for (const victim of ['kcs-control', 'kcs-dataplane', 'kcs-control']) {
            const since = Date.now();

            await node.crash(victim);
            await node.until(`it is noticed that ${victim} is dead`, () => ready().then((yes) => !yes, () => true));
            await node.until(`${victim} is back`, ready);
            const took = Date.now() - since;
            t.diagnostic(`${victim} was back after ${took} ms`);
            assert.ok(took < MOST_MS, `${victim} was back after ${took} ms`);
        }
    }),
);

/* The memory of the vault, which is there for as long as we hold it. */
function openVault(dataplane) {
    const dir = `/proc/${dataplane.pid}/fd`;
    const name = readdirSync(dir).find((fd) =>
        readlinkSync(`${dir}/${fd}`).startsWith('/memfd:kcs-vault'),
    );

    return openSync(`${dir}/${name}`, 'r');
}

/* How many bytes of its records, which are behind the header's page, are not 0. */
function written(fd) {
    const piece = Buffer.alloc(1 << 20);
    const none = Buffer.alloc(1 << 20);
    const { size } = fstatSync(fd);
    let n = 0;

    for (let at = 4096; at < size; at += piece.length) {
        const len = readSync(fd, piece, 0, piece.length, at);

        if (piece.compare(none, 0, len, 0, len) !== 0) {
            n += piece.subarray(0, len).filter((byte) => byte !== 0).length;
        }
    }
    return n;
}

test('who restarts in order finds the vault as it was, again and again', TIMEOUT, () =>
    withNode({ name: 'attach-keep', devices: DEVICES }, async (node) => {
        const fd = openVault(node.dataplane);

        try {
            void loadgen(node, ['--subscribers', '4', '--seconds', '50', '--resume']);
            await node.until('keys are in the vault', async () => {
                const peers = JSON.parse(await node.kcsctl('peers', '--json'));
                return peers.filter(({ state }) => state === 'connected').length >= 4;
            });
            await sleep(200);
            for (let i = 0; i < 12; i++) {
                const before = written(fd);

                await (i % 2 === 0 ? node.restartControl() : node.restartDataplane());
                await node.until('it is ready', async () => {
                    const response = await fetch(`${node.origin}/api/health/ready`);
                    return response.status === 200;
                });
                assert.ok(written(fd) > before / 2, `${written(fd)} bytes of ${before}`);
            }
        } finally {
            closeSync(fd);
        }
    }),
);

const ORDERS = {
    'control first': async (node) => {
        assert.deepEqual(await node.terminate(node.control), []);
        assert.deepEqual(await node.terminate(node.dataplane), []);
    },
    'the dataplane first': async (node) => {
        assert.deepEqual(await node.terminate(node.dataplane), []);
        assert.deepEqual(await node.terminate(node.control), []);
    },
    'both at once': async (node) => {
        const ends = [node.terminate(node.dataplane), node.terminate(node.control)];

        assert.deepEqual(await Promise.all(ends), [[], []]);
    },
};

for (const [order, end] of Object.entries(ORDERS)) {
    test(`the last to end wipes the vault: ${order}`, TIMEOUT, () =>
        withNode({ name: 'attach-wipe', devices: DEVICES }, async (node) => {
            const fd = openVault(node.dataplane);

            try {
                void loadgen(node, ['--subscribers', '4', '--seconds', '30']); /* ends with it */

                await node.until('keys are in the vault', async () => {
                    const peers = JSON.parse(await node.kcsctl('peers', '--json'));
                    return peers.filter(({ state }) => state === 'connected').length >= 4;
                });
                await sleep(200);
                assert.ok(written(fd) > 4 * 100, 'it has records');
                await end(node);
                assert.equal(written(fd), 0, 'bytes are left');
            } finally {
                closeSync(fd);
            }
        }),
    );
}
