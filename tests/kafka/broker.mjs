/* A real Kafka broker of one node (KRaft) for a test: started, killed, asked with kcat.
 * KCS_KAFKA_LIB is the directory of its jars (see pom.xml). */
import assert from 'node:assert/strict';
import { execFile, spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BUILD, freeTcp } from '../e2e/lib/node.mjs';

const here = dirname(fileURLToPath(import.meta.url));
export const PYTHON = join(BUILD, 'foreign/bin/python'); /* has confluent-kafka */
const LIB = process.env.KCS_KAFKA_LIB ?? join(BUILD, 'kafka-lib');
const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512'];
const START_MS = 60_000;
const BUFFER = 1 << 30; /* bytes of what kcat prints */

export class Broker {
    constructor() {
        this.dir = mkdtempSync(join(tmpdir(), 'kcs-kafka-'));
        process.on('exit', () => this.child?.kill('SIGKILL'));
    }

    get address() {
        return `127.0.0.1:${this.port}`;
    }

    /* What the listener 'veiled' shows; it has signed itself, so it is its own authority. */
    makeCertificate() {
        const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(this.dir, name));

        execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
            '-subj', '/CN=kafka', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
        { stdio: 'ignore' });
        this.authority = cert;
        writeFileSync(join(this.dir, 'both.pem'), readFileSync(key, 'utf8') + readFileSync(cert, 'utf8'));
    }

    /* more: further lines of server.properties; user: with a password, whom listeners of their
     * own ask for, at 'guarded' and, over TLS, at 'veiled' */
    async create(more = [], user = { name: 'nobody', password: 'none' }) {
        const [controller, guarded, veiled] = [await freeTcp(), await freeTcp(), await freeTcp()];
        const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required ' +
            `user_${user.name}="${user.password}";`;

        this.port = await freeTcp();
        this.guarded = `127.0.0.1:${guarded}`;
        this.veiled = `127.0.0.1:${veiled}`;
        this.makeCertificate();
        writeFileSync(join(this.dir, 'server.properties'), [
            'process.roles=broker,controller',
            'node.id=1',
            `listeners=PLAINTEXT://${this.address},SASL_PLAINTEXT://${this.guarded},` +
                `SASL_SSL://${this.veiled},CONTROLLER://127.0.0.1:${controller}`,
            `advertised.listeners=PLAINTEXT://${this.address},SASL_PLAINTEXT://${this.guarded},` +
                `SASL_SSL://${this.veiled}`,
            'ssl.keystore.type=PEM',
            `ssl.keystore.location=${join(this.dir, 'both.pem')}`,
            `sasl.enabled.mechanisms=PLAIN,${SCRAM.join()}`,
            ...SCRAM.map((name) => `listener.name.sasl_plaintext.${name.toLowerCase()}.sasl.jaas.config=` +
                'org.apache.kafka.common.security.scram.ScramLoginModule required;'),
            'listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN',
            ...['plaintext', 'ssl'].map((name) => `listener.name.sasl_${name}.plain.sasl.jaas.config=${plain}`),
            'controller.listener.names=CONTROLLER',
            `controller.quorum.bootstrap.servers=127.0.0.1:${controller}`,
            'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,' +
                'SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT',
            'inter.broker.listener.name=PLAINTEXT',
            `log.dirs=${join(this.dir, 'log')}`,
            'num.partitions=3',
            'auto.create.topics.enable=false',
            'offsets.topic.replication.factor=1',
            'transaction.state.log.replication.factor=1',
            'transaction.state.log.min.isr=1',
            'share.coordinator.state.topic.replication.factor=1',
            'share.coordinator.state.topic.min.isr=1',
            'group.initial.rebalance.delay.ms=0',
            ...more,
            '',
        ].join('\n'));
        execFileSync('java', [
            ...['-cp', `${LIB}/*`, 'kafka.tools.StorageTool', 'format', '--standalone'],
            ...['-t', 'MkU3OEVBNTcwNTJENDM2Qk', '-c', join(this.dir, 'server.properties')],
            /* brokers keep passwords of SCRAM themselves; those of PLAIN stand in the file above */
            ...SCRAM.flatMap((name) => ['--add-scram', `${name}=[name=${user.name},password=${user.password}]`]),
        ], { stdio: ['ignore', 'ignore', 'inherit'] });
    }

    async start() {
        const log = openSync(join(this.dir, 'broker.log'), 'a');

        this.child = spawn('java', [
            ...['-Xms128m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
            ...['-cp', `${LIB}/*`, 'kafka.Kafka', join(this.dir, 'server.properties')],
        ], { stdio: ['ignore', log, log] });
        closeSync(log);
        const until = Date.now() + START_MS;
        while (!(await this.answers())) {
            assert.ok(Date.now() < until && this.child.exitCode === null,
                `the broker starts: ${readFileSync(join(this.dir, 'broker.log'), 'utf8').slice(-2000)}`);
            await sleep(200);
        }
    }

    async answers() {
        return promisify(execFile)('kcat', ['-b', this.address, '-L', '-J', '-m', '2'])
            .then(({ stdout }) => JSON.parse(stdout).brokers.length > 0, () => false);
    }

    /* SIGKILL: as if the power had gone. */
    async kill() {
        if (this.child?.exitCode === null && this.child.signalCode === null) {
            const gone = once(this.child, 'exit');
            this.child.kill('SIGKILL');
            await gone;
        }
    }

    async close() {
        await this.kill();
        rmSync(this.dir, { recursive: true, force: true });
    }

    async makeTopics() {
        await promisify(execFile)(PYTHON, [join(here, 'topics.py'), this.address]);
    }

    /* All that a topic holds: [{key, headers, body, partition, offset}], by partition. */
    async read(topic) {
        const { stdout } = await promisify(execFile)('kcat', [
            ...['-b', this.address, '-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-J'],
            ...['-X', 'isolation.level=read_committed'],
        ], { maxBuffer: BUFFER });

        return stdout.split('\n').filter((line) => line !== '').map((line) => {
            const { key, headers, payload, partition, offset } = JSON.parse(line);
            const pairs = [];

            for (let i = 0; i < headers.length; i += 2) {
                pairs.push([headers[i], headers[i + 1]]);
            }
            return { key, headers: Object.fromEntries(pairs), body: JSON.parse(payload),
                partition, offset };
        });
    }
}

/* Runs `body` with a broker that is there. */
export async function withBroker(body, more, user) {
    const broker = new Broker();

    try {
        await broker.create(more, user);
        await broker.start();
        return await body(broker);
    } finally {
        await broker.close();
    }
}
