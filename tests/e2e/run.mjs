/* Runs the end-to-end tests: node run.mjs [FILE…] (all of *.test.mjs). One file at a
 * time: each has browsers that want the CPUs to themselves. KCS_BUILD names the build
 * directory. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const asked = process.argv.slice(2);
const files =
    asked.length > 0
        ? asked
        : readdirSync(here).filter((name) => name.endsWith('.test.mjs'));
let failed = false;

for (const file of files.sort()) {
    const { status } = spawnSync(process.execPath, ['--test', file], {
        cwd: here,
        stdio: 'inherit',
    });
    failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
