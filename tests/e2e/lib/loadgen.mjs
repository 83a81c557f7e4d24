/* kcs-loadgen for a test: many clients that number what they send and check what they get. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { BUILD } from './node.mjs';

/* Runs it in a meeting of the node. Resolves with its exit status, the JSON of its standard
 * output and its standard error. options: seconds it may take in all, meeting, and an
 * AbortSignal by which it ends early, as if its time were up; a Wire (wire.mjs) that it is
 * to be a host behind */
export function loadgen(node, args, options = {}) {
    const { patience = 40, meeting = 'load', signal, behind } = options;
    const program = join(BUILD, 'kcs-loadgen');
    const all = [
        ...['--url', node.origin, '--secret-file', node.secretFile],
        ...['--meeting', meeting, '--json', ...args],
        /* an address behind our own tap: loadgen does not see that it is of this machine */
        ...(behind || node.devices.includes(node.tap.device) ? ['--allow-remote'] : []),
    ];
    const [command, given] = behind ? behind.entered(program, ...all) : [program, all];
    const child = spawn(command, given, {
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: patience * 1_000,
        killSignal: 'SIGKILL',
    });
    let out = '';
    let err = '';

    node.witnesses.push(child); /* a test that fails does not wait for it */
    signal?.addEventListener('abort', () => child.kill('SIGINT'));
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
    return new Promise((done, failed) => {
        child.on('error', failed);
        child.on('close', (status) => {
            const result = out === '' ? undefined : JSON.parse(out);
            done({ status, result, err });
        });
    });
}
