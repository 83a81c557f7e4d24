/* Signaling and page over TLS: 1.2 and 1.3 are spoken, 1.1 is refused. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { ask, connect } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';

/* An agent of one version of TLS that notes what was spoken. */
class OneVersion extends Agent {
    constructor(version) {
        super({ minVersion: version, maxVersion: version, rejectUnauthorized: false });
        this.spoken = new Set();
    }

    createConnection(...args) {
        const socket = super.createConnection(...args);
        socket.once('secureConnect', () => this.spoken.add(socket.getProtocol()));
        return socket;
    }
}

function fetchWith(agent, url) {
    return new Promise((done, failed) => {
        get(url, { agent }, (response) => {
            let text = '';
            response.on('data', (data) => (text += data));
            response.on('end', () => done({ response, text }));
        }).once('error', failed);
    });
}

test('page and signaling over TLS 1.2 and 1.3, not 1.1', { timeout: 60_000 }, () =>
    withNode({ name: 'tls', devices: ['udp'], tls: true }, async (node) => {
        const origin = `https://127.0.0.1:${node.httpsPort}`;

        for (const version of ['TLSv1.2', 'TLSv1.3']) {
            const agent = new OneVersion(version);
            const { response, text } = await fetchWith(agent, `${origin}/`);
            assert.equal(response.statusCode, 200, version);
            assert.match(response.headers['content-type'], /^text\/html/);
            assert.match(text, /<html/i);

            for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
                const meeting = `e2e-tls-${version}`;
                const token = await node.token({ meeting });
                const socket = await connect({ origin }, token, {
                    ...{ transports, agent, rejectUnauthorized: false },
                });
                const reply = await ask(socket, 'room:join', {
                    meeting_id: meeting,
                    display_name: 'Safe',
                });
                assert.equal(reply.ok, true, `${version} ${transports}`);
                socket.close();
            }
            assert.deepEqual([...agent.spoken], [version]);
            agent.destroy();
        }

        const refused = await new Promise((done, failed) => {
            const socket = tlsConnect({
                ...{ port: node.httpsPort, host: '127.0.0.1', rejectUnauthorized: false },
                ...{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' },
                ciphers: 'DEFAULT:@SECLEVEL=0',
            });
            socket.once('secureConnect', () => failed(new Error(socket.getProtocol())));
            socket.once('error', done);
        });
        assert.match(refused.code, /PROTOCOL_VERSION|ECONNRESET/, 'by the server');
    }),
);

/* The fingerprint of the certificate that a new connection is shown. */
function shown(port) {
    return new Promise((done, failed) => {
        const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false });
        socket.once('secureConnect', () => {
            done(socket.getPeerX509Certificate().fingerprint256);
            socket.destroy();
        });
        socket.once('error', failed);
    });
}

test('SIGHUP has a renewed certificate shown, and a bad one refused', { timeout: 60_000 }, () =>
    withNode({ name: 'tls-renewed', devices: ['udp'], tls: true }, async (node) => {
        const before = await shown(node.httpsPort);
        const origin = `https://127.0.0.1:${node.httpsPort}`;
        const token = await node.token({ meeting: 'e2e-renewed' });
        const socket = await connect({ origin }, token, { rejectUnauthorized: false });
        const says = (event) => readFileSync(node.control.log, 'utf8').includes(event);

        const { cert } = node.makeCertificate();
        const { fingerprint256: renewed } = new X509Certificate(readFileSync(cert));
        node.control.kill('SIGHUP');
        await node.until('it is read', () => says('certificate_renewed'));
        assert.notEqual(renewed, before);
        assert.equal(await shown(node.httpsPort), renewed);

        writeFileSync(cert, 'half a certi');
        node.control.kill('SIGHUP');
        await node.until('it is refused', () => says('certificate_refused'));
        assert.equal(await shown(node.httpsPort), renewed);
        assert.ok(socket.connected, 'who was there stays');
        socket.close();
    }),
);
