/* A bad link between one client and the node: tests/support/relay.c, in real time. The
 * client is told the relay's port instead of the node's candidates (Person.open, `relay`). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BUILD } from './node.mjs';

/* An address of this host that the node's device 'udp' listens on. */
function hostAddress() {
    const all = Object.values(networkInterfaces()).flat();
    const found = all.find(({ family, internal }) => family === 'IPv4' && !internal);

    assert.ok(found !== undefined, 'the host has an IPv4 address');
    return found.address;
}

export class Relay {
    /* node: with the device 'udp'. link: how it is at first, in the relay's words
     * ("both loss=0.05 delay=20"); nothing is a perfect wire. */
    static async start(node, { seed = 1, link = '', address = hostAddress() } = {}) {
        const relay = new Relay();
        const program = join(BUILD, 'tests/relay');
        const words = link === '' ? [] : link.split(' ');

        assert.ok(existsSync(program), `${program} is missing: build it`);
        relay.child = spawn(
            program,
            ['--to', `${address}:${node.mediaPort}`, '--seed', String(seed), ...words],
            { stdio: ['pipe', 'pipe', 'inherit'] },
        );
        node.witnesses.push(relay.child); /* it ends with its node, if the test fails */
        relay.ended = new Promise((done) => relay.child.once('exit', done));
        relay.lines = createInterface({ input: relay.child.stdout })[Symbol.asyncIterator]();
        const { value } = await relay.lines.next();
        assert.match(value ?? '', /^port [0-9]+$/, 'the relay says its port');
        relay.port = Number(value.split(' ')[1]);
        return relay;
    }

    /* Changes the link: "down rate=500000 queue=60000", "both clear". */
    set(line) {
        this.child.stdin.write(`${line}\n`);
    }

    /* What went through, by direction. */
    async stats() {
        this.set('stats');
        const { value } = await this.lines.next();
        return JSON.parse(value);
    }

    async stop() {
        this.child.stdin.end();
        assert.equal(await this.ended, 0, 'the relay ends cleanly');
    }
}
