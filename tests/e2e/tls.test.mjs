/* Signaling and page over TLS: 1.2 and 1.3 are spoken, 1.1 is refused. */
import assert from 'node:assert/strict';
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
