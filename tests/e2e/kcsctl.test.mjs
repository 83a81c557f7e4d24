/* kcsctl without a node: it says so, and shells complete what it takes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUILD } from './lib/node.mjs';

const KCSCTL = join(BUILD, 'kcsctl');
const run = (program, ...args) => spawnSync(program, args, { encoding: 'utf8' });

test('what needs a node fails with 3 and the reason, without one', () => {
    const asked = ['status', 'peers', 'drain', 'undrain', 'loglevel info', 'audit', 'backup x'];
    for (const command of asked) {
        const { status, stderr } = run(KCSCTL, '--socket', '/nowhere/admin.sock', ...command.split(' '));
        assert.equal(status, 3, command);
        assert.match(stderr, /no node answers on \/nowhere\/admin.sock \(No such file/);
    }
    assert.equal(run(KCSCTL, 'drain', '--deadline', '2d').status, 2);
    assert.equal(run(KCSCTL, 'loglevel', 'loud').status, 2);
});

test('bash and zsh complete every command and option', () => {
    const { stdout: help } = run(KCSCTL, '--help');
    const commands = [...help.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    const complete = (words) =>
        run('bash', '-c', `source <(${KCSCTL} completion bash); COMP_WORDS=(kcsctl ${words}); ` +
            'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _kcsctl; echo ${COMPREPLY[@]}').stdout.trim();

    assert.ok(commands.includes('drain') && commands.length > 10);
    for (const name of commands) {
        assert.ok(complete(name).split(' ').includes(name), name);
    }
    for (const [option] of help.matchAll(/--[a-z-]+/g)) {
        assert.ok(complete(`status ${option}`).split(' ').includes(option), option);
    }
    assert.equal(complete('loglevel w'), 'warn');
    assert.equal(complete('token --role pres'), 'presenter');
    const dir = mkdtempSync(join(tmpdir(), 'kcs-zsh-')); /* what it remembers */
    const script = `source <(${KCSCTL} completion zsh) && echo $_comps[kcsctl]`;
    const zsh = spawnSync('zsh', ['-fc', script], {
        encoding: 'utf8',
        env: { ...process.env, ZDOTDIR: dir },
    });
    rmSync(dir, { recursive: true });
    assert.equal(zsh.stderr, '');
    assert.match(zsh.stdout, /_bash_complete/);
});
