/* Pion clients (tests/e2e/pion) that publish or watch until they are told to end. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD } from './node.mjs';

const PION = join(BUILD, 'kcs-pion');
const WAIT_MS = 30_000;
const running = new Set();

process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export const noPion = existsSync(PION) ? false : `${PION} was not built (tools/test says why)`;

export class Pion {
    /* kind: publish or watch; resolves when it is connected. Ends with its node at the latest */
    static async start(node, kind, token, meeting, ...args) {
        const pion = new Pion();

        pion.token = token;
        pion.origin = node.origin;
        pion.child = spawn(
            PION,
            ['--stay', kind, '--origin', node.origin, '--meeting', meeting]
                .concat(['--token', token])
                .concat(args),
            { stdio: ['pipe', 'pipe', 'pipe'] },
        );
        running.add(pion.child);
        node.witnesses.push(pion.child);
        pion.lines = [];
        pion.err = '';
        pion.closed = new Promise((done) => pion.child.once('close', done));
        pion.closed.then(() => running.delete(pion.child));
        pion.child.stdin.on('error', () => {});
        pion.child.stderr.on('data', (text) => (pion.err += text));
        let rest = '';
        pion.child.stdout.on('data', (text) => {
            const parts = (rest + text).split('\n');

            rest = parts.pop();
            pion.lines.push(...parts.map((line) => JSON.parse(line)));
        });
        await pion.until('it is connected', () => pion.lines.length > 0);
        Object.assign(pion, pion.lines[0]);
        return pion;
    }

    async until(what, check) {
        const end = Date.now() + WAIT_MS;

        while (!check()) {
            if (Date.now() > end || this.child.exitCode !== null) {
                const lines = JSON.stringify(this.lines);
                throw new Error(`kcs-pion: in vain: ${what}: ${this.err} ${lines}`);
            }
            await new Promise((done) => setTimeout(done, 20));
        }
    }

    /* The sender whose packets of a kind came last. */
    from(kind) {
        return this.lines.filter((line) => line.kind === kind).at(-1)?.from;
    }

    sees(kind, tag) {
        return this.until(`${kind} of ${tag}`, () => this.from(kind) === tag);
    }

    say(line) {
        this.child.stdin.write(`${line}\n`);
    }

    async patch(headers, body) {
        const response = await fetch(this.session, {
            method: 'PATCH',
            headers: { authorization: `Bearer ${this.token}`, ...headers },
            body,
        });

        response.body_text = await response.text();
        return response;
    }

    /* A viewer chooses; null: whoever speaks. Resolves with the response. */
    choose(participant) {
        return this.patch(
            { 'content-type': 'application/json' },
            JSON.stringify({ participant }),
        );
    }

    /* Ends it; resolves with what it said last. */
    async end() {
        this.child.stdin.end();
        await this.closed;
        return this.lines.at(-1);
    }
}
