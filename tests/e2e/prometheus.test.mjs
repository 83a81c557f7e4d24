/* A real Prometheus scrapes a node while people call: its rules load, and each panel of
 * conf/grafana has data. KCS_PROMETHEUS names the program; without it one of the PATH is taken. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadgen } from './lib/loadgen.mjs';
import { freeTcp, withNode } from './lib/node.mjs';

const CONF = join(dirname(fileURLToPath(import.meta.url)), '../../conf');
const PROMETHEUS = process.env.KCS_PROMETHEUS ?? 'prometheus';
const PROMTOOL = process.env.KCS_PROMTOOL ?? 'promtool';

/* Names, units and help are as Prometheus wants them. */
async function assertClean(node) {
    const response = await fetch(`http://127.0.0.1:${node.metricsPort}/metrics`);
    const input = await response.text();
    const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'],
        { input, encoding: 'utf8' });

    assert.ok(input.split('\n').length > 300, 'promtool finds nothing wrong with nothing');
    assert.equal(status, 0, stdout + stderr);
    assert.equal(stdout + stderr, '');
}

/* Every series that rules and alerts are made of is told: without it they load, and never fire. */
async function assertTold(node) {
    const response = await fetch(`http://127.0.0.1:${node.metricsPort}/metrics`);
    const told = new Set((await response.text()).split('\n').map((line) => line.split(/[{ ]/)[0]));
    const rules = readFileSync(join(CONF, 'prometheus/kcs.rules.yml'), 'utf8').split('\n')
        .filter((line) => !line.includes('- name:')).join('\n');
    const wanted = new Set(rules.match(/\bkcs_[a-z0-9_]+/g));

    assert.ok(wanted.size > 20);
    assert.deepEqual([...wanted].filter((name) => !told.has(name)), []);
}

/* Every family is in the table of docs/api.md. There `_x` stands for what has the beginning of the
 * row's first. */
async function assertDescribed(node) {
    const response = await fetch(`http://127.0.0.1:${node.metricsPort}/metrics`);
    const families = [...(await response.text()).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
    const rows = readFileSync(join(CONF, '../docs/api.md'), 'utf8').split('\n')
        .filter((line) => line.startsWith('| `kcs_'));
    const described = new Set(rows.flatMap((row) => {
        const [, column] = row.split(' | ')[0].match(/^\| (.*)/);
        const names = [...column.matchAll(/`(\w+)`/g)].map(([, name]) => name);
        const words = names[0].split('_');

        return names.flatMap((name) => name.startsWith('_')
            ? words.map((_, i) => words.slice(0, i).join('_') + name) : [name]);
    }));

    assert.ok(families.length > 60);
    assert.deepEqual(families.filter((name) => !described.has(name)), []);
}

/* Every query of every panel, as Grafana fills it in. */
function queries() {
    return readdirSync(join(CONF, 'grafana')).flatMap((file) => {
        const { panels } = JSON.parse(readFileSync(join(CONF, 'grafana', file), 'utf8'));
        return panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({
            what: `${file}: ${title}: ${expr}`,
            expr: expr.replaceAll('$__rate_interval', '8s').replaceAll('$instance', '.*'),
        })));
    });
}

test('rules load and every panel has data while people call', { timeout: 120_000 }, () => {
    const dir = mkdtempSync(join(tmpdir(), 'kcs-prometheus-'));
    const control = `recording:\n  directory: ${join(dir, 'recordings')}\n`;

    return withNode({ name: 'prometheus', devices: ['udp:127.0.0.1'], tls: true, control }, async (node) => {
        const port = await freeTcp();
        writeFileSync(join(dir, 'prometheus.yml'), `global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ['${join(CONF, 'prometheus/kcs.rules.yml')}']
scrape_configs: [{job_name: kcs, static_configs: [{targets: ['127.0.0.1:${node.metricsPort}']}]}]
`);
        const prometheus = spawn(PROMETHEUS, [
            `--config.file=${join(dir, 'prometheus.yml')}`, `--storage.tsdb.path=${join(dir, 'data')}`,
            `--web.listen-address=127.0.0.1:${port}`, '--log.level=error',
        ], { stdio: 'inherit' });
        node.witnesses.push(prometheus);
        const ask = async (path) => {
            const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
            return (await response.json()).data;
        };
        let missing = queries();
        const without = ({ expr }) => ask(`query?query=${encodeURIComponent(expr)}`)
            .then(({ result }) => !result.some(({ value }) => Number.isFinite(Number(value[1]))));

        assert.ok(missing.length > 30);
        /* what is counted at a join has risen only for who has looked before it */
        await node.until('it has scraped', () => ask('query?query=count_over_time(up[20s])')
            .then(({ result }) => Number(result[0]?.value[1]) >= 2, () => false));
        const call = loadgen(node, ['--publishers', '2', '--subscribers', '3', '--media', 'both',
            '--seconds', '25'], { patience: 60 });
        /* quality is told each ten seconds: each query has its turn until it has had data */
        for (const end = Date.now() + 40_000; missing.length > 0 && Date.now() < end;) {
            const left = [];
            for (const query of missing) {
                if (await without(query)) {
                    left.push(query);
                }
            }
            missing = left;
            await new Promise((done) => setTimeout(done, 500));
        }
        assert.deepEqual(missing.map(({ what }) => what), []);
        await assertClean(node);
        await assertTold(node);
        await assertDescribed(node);
        const { groups } = await ask('rules');
        const rules = groups.flatMap((group) => group.rules);
        assert.ok(rules.length > 20);
        assert.deepEqual(rules.filter(({ health }) => health !== 'ok').map(({ name }) => name), []);
        const { status, err } = await call;
        assert.equal(status, 0, err);
        const ended = new Promise((done) => prometheus.once('exit', done));
        prometheus.kill('SIGTERM');
        await ended;
    }).finally(() => rmSync(dir, { recursive: true }));
});
