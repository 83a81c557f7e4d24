/* A card of several queues and the hosts beyond it, for the device af_xdp: a veth pair whose
 * far end is in a network namespace of its own. Clients that are started there have no other
 * way to the node's media; signaling is 127.0.0.1 at the same port as outside, through two
 * forwarders and a socket in the file system. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/* In the namespace: what comes to 127.0.0.1 goes to the socket. */
const INSIDE = `
const net = require('node:net');
const [port, path] = process.argv.slice(1);
net.createServer((near) => {
    const far = net.createConnection(path);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
}).listen(port, '127.0.0.1', () => console.log('ready'));
`;

/* Runs `body` with a wire of so many queues each way, on both ends; nothing of it is left. */
export async function withWire(queues, body) {
    const wire = new Wire();

    try {
        await wire.make(queues);
        return await body(wire);
    } finally {
        wire.end();
    }
}

class Wire {
    constructor() {
        let number = randomInt(100, 250);

        while (existsSync(`/sys/class/net/kcsx${number}`)) {
            number = randomInt(100, 250);
        }
        this.number = number;
        this.name = `kcsx${number}`;
        this.device = `af_xdp:${this.name}`;
        this.ipv4 = `10.79.${number}.1`;
        this.ipv6 = `fd79:6b63:73${number.toString(16)}::1`;
        this.children = [];
    }

    async make(queues) {
        const far = `${this.name}p`;
        const ends = ['numrxqueues', `${queues}`, 'numtxqueues', `${queues}`];
        const v6 = this.ipv6.slice(0, -1);

        this.holder = this.child('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 600']);
        await this.says(this.holder, 'ready');
        ip('link', 'add', this.name, ...ends, 'type', 'veth', 'peer', 'name', far, ...ends);
        ip('link', 'set', far, 'netns', `${this.holder.pid}`);
        ip('address', 'add', `${this.ipv4}/24`, 'dev', this.name);
        ip('address', 'add', `${this.ipv6}/64`, 'dev', this.name, 'nodad');
        ip('link', 'set', this.name, 'up');
        this.inside('ip', 'link', 'set', 'lo', 'up');
        this.inside('ip', 'address', 'add', `10.79.${this.number}.2/24`, 'dev', far);
        this.inside('ip', 'address', 'add', `${v6}2/64`, 'dev', far, 'nodad');
        this.inside('ip', 'link', 'set', far, 'up');
        for (const way of ['rx', 'tx']) {
            const has = readdirSync(`/sys/class/net/${this.name}/queues`)
                .filter((name) => name.startsWith(way));

            assert.equal(has.length, queues, `${way} queues of ${this.name}`);
        }
    }

    /* The node's page and signaling are from now on to be had in the namespace. */
    async forward(node) {
        const path = join(node.dir, 'wire.sock');

        this.server = createServer((near) => {
            const far = createConnection(node.httpPort, '127.0.0.1');

            near.on('error', () => far.destroy()).on('close', () => far.destroy());
            far.on('error', () => near.destroy()).on('close', () => near.destroy());
            near.pipe(far).pipe(near);
        });
        await new Promise((done) => this.server.listen(path, done));
        await this.says(
            this.child(...this.entered(process.execPath, '-e', INSIDE, `${node.httpPort}`, path)),
            'ready',
        );
    }

    /* A command, its arguments: to be spawned in the namespace. */
    entered(command, ...args) {
        return ['nsenter', [`--net=/proc/${this.holder.pid}/ns/net`, command, ...args]];
    }

    /* A program in `dir` that starts another one in the namespace. */
    wrapper(dir, program) {
        const path = join(dir, 'enter');
        const [command, args] = this.entered(program);

        writeFileSync(path, `#!/bin/sh\nexec ${command} ${args.join(' ')} "$@"\n`, { mode: 0o755 });
        return path;
    }

    inside(command, ...args) {
        execFileSync(...this.entered(command, ...args));
    }

    child(command, args) {
        const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });

        this.children.push(child);
        child.said = '';
        child.stdout.on('data', (text) => (child.said += text));
        return child;
    }

    async says(child, word) {
        for (let i = 0; i < 200 && !child.said.includes(word); i++) {
            assert.equal(child.exitCode, null, `${child.spawnfile} ended`);
            await sleep(20);
        }
        assert.ok(child.said.includes(word), `${child.spawnfile} says ${word}`);
    }

    end() {
        this.server?.close();
        /* first: it goes with the namespace, which ends some time after its last process */
        if (existsSync(`/sys/class/net/${this.name}`)) {
            ip('link', 'del', this.name);
        }
        for (const child of this.children) {
            child.kill('SIGKILL');
        }
    }
}

function ip(...args) {
    execFileSync('ip', args);
}
