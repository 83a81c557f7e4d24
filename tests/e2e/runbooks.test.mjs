/* Each command line of docs/runbooks.md, as an operator would type it, on a node with a call. Its
 * ports, ids and socket are put in place of the defaults; of systemctl and journalctl, which need a
 * systemd, only that the units exist is looked at. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadgen } from './lib/loadgen.mjs';
import { BUILD, withNode } from './lib/node.mjs';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '../..');
const MEETING = 'load';

/* The indented lines, which are commands here and nothing else. */
function commands() {
    const text = readFileSync(join(TOP, 'docs/runbooks.md'), 'utf8');
    return [...new Set([...text.matchAll(/^ {4,}(?!\d\.)(\S.*)$/gm)].map(([, line]) => line))]
        .filter((line) => /^(kcsctl|curl|systemctl|journalctl|ss|df|grep) /.test(line));
}

function unitsExist(line) {
    for (const [unit] of line.matchAll(/kcs-[a-z]+(\.[a-z]+)?/g)) {
        const file = unit.includes('.') ? unit : `${unit}.service`;
        assert.ok(existsSync(join(TOP, 'conf/systemd', file)), line);
    }
}

test('every command line of the runbooks works', { timeout: 120_000 }, () => {
    const recordings = mkdtempSync(join(tmpdir(), 'kcs-runbooks-'));
    const control = `recording:\n  directory: ${recordings}\n`;

    return withNode({ name: 'runbooks', devices: ['udp:127.0.0.1'], control }, async (node) => {
        const lines = commands();
        const stop = new AbortController();
        const call = loadgen(node, ['--publishers', '1', '--subscribers', '1', '--media', 'both',
            '--seconds', '60'], { patience: 90, meeting: MEETING, signal: stop.signal });
        let peers = [];

        await node.until('they call', async () => {
            peers = JSON.parse(await node.kcsctl('peers', '--json'));
            return peers.filter(({ state }) => state === 'connected').length === 2;
        });
        writeFileSync(join(node.dir, 'rc'), `
            kcsctl() {
                case $1 in
                check) command kcsctl "$@" "${node.dir}/$2.yaml" ;;
                token) command kcsctl "$@" ;;
                *) command kcsctl --socket "${node.adminSocket}" "$@" ;;
                esac
            }
        `);
        const inPlace = (line) => line
            .replace('127.0.0.1:9090', `127.0.0.1:${node.metricsPort}`)
            .replaceAll('MEETING', MEETING).replaceAll('WHO', peers[0].participant_id)
            .replaceAll('TRANSPORT', peers[0].transport_id)
            .replaceAll('SECRET', node.secretFile).replaceAll('COPY', join(node.dir, 'copy.db'));

        assert.ok(lines.length > 25, `${lines.length} command lines`);
        for (const line of lines) {
            if (/^(systemctl|journalctl)/.test(line)) {
                unitsExist(line);
                continue;
            }
            const { code, out, err } = await new Promise((done) => {
                execFile('bash', ['-o', 'pipefail', '-c', `. "${node.dir}/rc"; ${inPlace(line)}`], {
                    env: { ...process.env, PATH: `${BUILD}:${process.env.PATH}` },
                    timeout: 20_000,
                }, (error, stdout, stderr) =>
                    done({ code: error?.code ?? 0, out: stdout, err: stderr }));
            });
            /* doctor fails for what this machine lacks; it has told it */
            assert.ok(code === 0 || line.startsWith('kcsctl doctor'), `${line}: ${code} ${err}`);
            assert.notEqual(out, '', `${line}: says nothing`);
        }
        stop.abort();
        await call;
    }).finally(() => rmSync(recordings, { recursive: true }));
});
