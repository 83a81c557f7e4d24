/* WHIP and WHEP by their rules (RFC 9725, draft-ietf-wish-whep): each by status code and
 * headers, asked with fetch. What media does is in foreign.test.mjs. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';
import { ask, connect, next } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';

const OFFER = readFileSync(new URL('../vectors/sdp/pion.sdp', import.meta.url), 'utf8');
const RECEIVES = readFileSync(
    new URL('../vectors/sdp/chromium-recvonly.sdp', import.meta.url),
    'utf8',
);
const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';
const STUN = 'stun:stun.example.org:3478';
const TURN = 'turn:turn.example.org:3478?transport=udp';
const TURNS = 'turns:turn.example.org:5349'; /* shares a secret */
/* of the ICE session that OFFER begins */
const TRICKLE = [
    'a=ice-ufrag:NWNiOTxliPhQLZSY',
    'a=ice-pwd:WitMOgQpgnGlbGaXAQTsPDGxLfzwZnNm',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=mid:0',
    'a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host',
    'a=candidate:2 1 udp 2122260222 8a1f7c02-0000-4000-8000-0000000000.local 61764 typ host',
    'a=candidate:3 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active',
    'a=end-of-candidates',
    '',
].join('\r\n');
const RESTART = 'a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n';

describe('WHIP and WHEP', { timeout: 120_000 }, () => {
    let node;
    let release;
    let finished;
    let meetings = 0;
    let meeting = '';
    const sockets = [];
    const tokens = new Map();

    before(async () => {
        await new Promise((ready, failed) => {
            finished = withNode(
                {
                    name: 'whip',
                    devices: ['udp'],
                    control: `ice_servers:
  - url: ${STUN}
  - url: ${TURN}
    username: kcs
    credential: pass
  - url: ${TURNS}
    secret: north
`,
                },
                (started) => {
                    node = started;
                    ready();
                    return new Promise((done) => (release = done));
                },
            );
            finished.catch(failed);
        });
    });
    after(async () => {
        for (const socket of sockets) {
            socket.close();
        }
        release?.();
        await finished;
    });

    const check = (title, body) =>
        test(title, async () => {
            meeting = `e2e-whip-${++meetings}`;
            try {
                await body();
            } catch (error) {
                node.showLogs();
                throw error;
            }
        });

    /* one a meeting and role: kcsctl makes each its own user */
    async function tokenOf(role) {
        const key = `${meeting} ${role}`;
        if (!tokens.has(key)) {
            tokens.set(key, await node.token({ meeting, role }));
        }
        return tokens.get(key);
    }

    async function send(method, path, { token, role, type, match, body, redirect } = {}) {
        const headers = {};

        if (token !== null) {
            const made = token ?? (await tokenOf(role ?? 'presenter'));
            headers.authorization = `Bearer ${made}`;
        }
        if (type !== undefined) {
            headers['content-type'] = type;
        }
        if (match !== undefined) {
            headers['if-match'] = match;
        }
        const response = await fetch(`${node.origin}${path}`, {
            method,
            headers,
            body,
            redirect: redirect ?? 'manual',
        });
        response.body_text = await response.text();
        return response;
    }
    const post = (options = {}) =>
        send('POST', `/api/${options.kind ?? 'whip'}/${meeting}${options.query ?? ''}`, {
            type: SDP,
            body: OFFER,
            ...options,
        });

    /* Publishes; resolves with the session's path and answer. */
    async function publish(options = {}) {
        const response = await post(options);
        assert.equal(response.status, 201, response.body_text);
        return {
            path: response.headers.get('location'),
            etag: response.headers.get('etag'),
            answer: response.body_text,
            response,
        };
    }

    /* A refusal: problem+json with the fields of docs/api.md, readable by pages. */
    function refused(response, status, code) {
        const text = `${response.status} ${response.body_text}`;
        assert.equal(response.status, status, text);
        assert.equal(response.headers.get('content-type'), 'application/problem+json', text);
        assert.equal(response.headers.get('access-control-allow-origin'), '*', text);
        const problem = JSON.parse(response.body_text);
        assert.equal(problem.code, code, text);
        assert.equal(problem.status, status, text);
        assert.equal(problem.success, false, text);
        assert.ok(problem.message.length > 0 && problem.request_id.length > 0, text);
        assert.ok(Array.isArray(problem.errors), text);
        return problem.message;
    }

    check('an offer is answered 201 with Location, ETag and Link', async () => {
        const { path, etag, answer, response } = await publish();

        assert.equal(response.headers.get('content-type'), SDP);
        assert.match(path, new RegExp(`^/api/whip/${meeting}/[\\w-]{32}$`));
        assert.match(etag, /^"[\w-]+"$/);
        assert.equal(response.headers.get('accept-patch'), FRAGMENT);
        const [stun, turn, turns] = response.headers.get('link').split(', ');
        assert.equal(stun, `<${STUN}>; rel="ice-server"`);
        const tail = '; credential-type="password"';
        assert.equal(
            turn,
            `<${TURN}>; rel="ice-server"; username="kcs"; credential="pass"${tail}`,
        );
        const [, until, user] = /; username="(\d+):([\w-]+)"/.exec(turns);
        assert.ok(Math.abs(until - Date.now() / 1000 - 86_400) < 60, turns);
        const password = createHmac('sha1', 'north').update(`${until}:${user}`).digest('base64');
        assert.equal(
            turns,
            `<${TURNS}>; rel="ice-server"; username="${until}:${user}"; ` +
                `credential="${password}"${tail}`,
        );
        assert.equal(response.headers.get('access-control-allow-origin'), '*');
        assert.match(
            response.headers.get('access-control-expose-headers'),
            /ETag.*Location.*Link/,
        );
        for (const line of [
            'a=ice-lite',
            'a=ice-options:trickle ice2',
            'a=group:BUNDLE 0 1',
            'm=audio 9 UDP/TLS/RTP/SAVPF 111',
            'm=video 9 UDP/TLS/RTP/SAVPF 96 97',
            'a=setup:passive',
            'a=recvonly',
            'a=rtcp-mux',
            'a=end-of-candidates',
        ]) {
            assert.ok(answer.includes(`${line}\r\n`), `${line} stands in\n${answer}`);
        }
        assert.match(answer, /a=candidate:\S+ 1 udp \d+ \S+ \d+ typ host\r\n/);
        assert.equal((await send('DELETE', path)).status, 200);
    });

    for (const [setup, answered] of [
        ['active', 'passive'],
        ['passive', 'active'],
    ]) {
        check(`setup:${setup} is answered with setup:${answered}`, async () => {
            const body = OFFER.replaceAll('setup:actpass', `setup:${setup}`);
            const { path, answer } = await publish({ body });

            assert.ok(answer.includes(`a=setup:${answered}\r\n`), answer);
            await send('DELETE', path);
        });
    }

    check('a publisher is a participant that Socket.IO people see', async () => {
        const socket = await connect(node, await node.token({ meeting }));
        sockets.push(socket);
        const room = await ask(socket, 'room:join', {
            meeting_id: meeting,
            display_name: 'Ada',
        });
        assert.equal(room.ok, true);
        assert.deepEqual(
            room.ice_servers.map(({ urls }) => urls),
            [[STUN], [TURN], [TURNS]],
        );
        const { username, credential } = room.ice_servers[2];
        assert.match(username, new RegExp(`^\\d+:${room.user_id}$`));
        assert.equal(
            credential,
            createHmac('sha1', 'north').update(username).digest('base64'),
        );
        const came = next(socket, 'participant:joined');
        const heard = [];
        socket.on('new-producer', (producer) => heard.push(producer));
        const { path } = await publish({ query: '?name=Studio' });
        const person = await came;

        assert.equal(person.display_name, 'Studio');
        while (heard.length < 2) {
            await next(socket, 'new-producer').catch(() => assert.fail('two producers'));
        }
        assert.deepEqual(heard.map((producer) => producer.kind).sort(), ['audio', 'video']);
        assert.ok(heard.every((entry) => entry.participant_id === person.participant_id));
        const transport = await ask(socket, 'transport:create', { direction: 'recv' });
        const consumer = await ask(socket, 'consume', {
            transport_id: transport.transport_id,
            producer_id: heard.find((entry) => entry.kind === 'video').producer_id,
            rtp_capabilities: room.rtp_capabilities,
        });
        assert.equal(consumer.ok, true, JSON.stringify(consumer));
        const left = next(socket, 'participant:left');
        assert.equal((await send('DELETE', path)).status, 200);
        assert.equal((await left).participant_id, person.participant_id);
    });

    check('GET has an empty 2xx, of endpoint and session', async () => {
        const { path } = await publish();

        for (const each of [`/api/whip/${meeting}`, path]) {
            for (const method of ['GET', 'HEAD']) {
                const response = await send(method, each, { token: null });
                assert.equal(response.status, 204);
                assert.equal(response.body_text, '');
            }
        }
        const whep = await send('HEAD', `/api/whep/${meeting}`, { token: null });
        assert.equal(whep.status, 200);
        assert.equal(whep.headers.get('content-type'), SDP);
        await send('DELETE', path);
    });

    check('DELETE ends the session, whatever If-Match says; then it is unknown', async () => {
        const { path, etag } = await publish();

        const response = await send('DELETE', path, { match: '"other"' });
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('access-control-allow-origin'), '*');
        refused(await send('DELETE', path), 404, 'not_found');
        refused(
            await send('PATCH', path, { type: FRAGMENT, match: etag, body: TRICKLE }),
            404,
            'not_found',
        );
        assert.equal((await send('GET', path)).status, 404);
    });

    check('OPTIONS says Accept-Post and CORS, without a token', async () => {
        const { path } = await publish();
        const endpoint = await send('OPTIONS', `/api/whip/${meeting}`, { token: null });

        assert.equal(endpoint.status, 200);
        assert.equal(endpoint.headers.get('accept-post'), SDP);
        assert.equal(endpoint.headers.get('access-control-allow-origin'), '*');
        assert.match(endpoint.headers.get('access-control-allow-methods'), /POST/);
        assert.match(
            endpoint.headers.get('access-control-allow-headers'),
            /Authorization.*Content-Type.*If-Match/,
        );
        assert.equal(endpoint.headers.get('accept-patch'), null);
        const session = await send('OPTIONS', path, { token: null });
        assert.equal(session.status, 200);
        assert.equal(session.headers.get('accept-post'), SDP);
        assert.equal(session.headers.get('accept-patch'), FRAGMENT);
        const viewer = `/api/whep/${meeting}/${'x'.repeat(32)}`;
        const any = await send('OPTIONS', viewer, { token: null });
        assert.equal(any.headers.get('accept-patch'), `${FRAGMENT}, application/json`);
        assert.match(session.headers.get('access-control-allow-methods'), /PATCH, DELETE/);
        await send('DELETE', path);
    });

    check('the token: 401 without, 401 when bad, 403 for who may not, 404 elsewhere', async () => {
        for (const token of [null, 'x.y.z']) {
            const response = await post({ token });
            refused(response, 401, token === null ? 'token_missing' : 'jwt_malformed');
            assert.equal(response.headers.get('www-authenticate'), 'Bearer');
        }
        refused(await post({ role: 'guest' }), 403, 'forbidden');
        refused(
            await post({ token: await node.token({ meeting: 'another' }) }),
            404,
            'not_found',
        );
        const { path } = await publish();
        refused(await send('DELETE', path, { token: null }), 401, 'token_missing');
        refused(
            await send('DELETE', path, {
                token: await node.token({ meeting, name: 'Somebody else' }),
            }),
            403,
            'forbidden',
        );
        assert.equal((await send('GET', path)).status, 204, 'the session lives');
        await send('DELETE', path);
    });

    check('trickle: 204 without ETag; candidates that cannot be used do not matter', async () => {
        const { path, etag } = await publish();
        const response = await send('PATCH', path, { type: FRAGMENT, match: etag, body: TRICKLE });

        assert.equal(response.status, 204, response.body_text);
        assert.equal(response.headers.get('etag'), null);
        assert.equal(response.body_text, '');
        await send('DELETE', path);
    });

    check('PATCH: 428 without If-Match, 412 with another, 415, 400, 422', async () => {
        const { path, etag } = await publish();
        const patch = (options) =>
            send('PATCH', path, { type: FRAGMENT, match: etag, body: TRICKLE, ...options });

        refused(await patch({ match: undefined }), 428, 'precondition_required');
        refused(await patch({ match: '"old"' }), 412, 'precondition_failed');
        const typed = await patch({ type: 'text/plain' });
        refused(typed, 415, 'unsupported_media_type');
        assert.equal(typed.headers.get('accept-patch'), FRAGMENT);
        assert.equal(typed.headers.get('accept-post'), null);
        refused(await patch({ type: 'application/json' }), 415, 'unsupported_media_type');
        refused(await patch({ type: SDP }), 415, 'unsupported_media_type');
        refused(await patch({ body: 'a=candidate:1\r\n' }), 400, 'malformed');
        refused(await patch({ body: 'hello' }), 400, 'malformed');
        refused(await patch({ body: RESTART.replace(/a=ice-pwd.*\r\n/, '') }), 422, 'invalid');
        assert.equal((await patch({})).status, 204, 'and the session lives');
        await send('DELETE', path);
    });

    check('new credentials are an ICE restart with the ETag of now too, not with an old one', async () => {
        const { path, etag, answer } = await publish();
        const patch = (match, body) => send('PATCH', path, { type: FRAGMENT, match, body });
        const restarted = await patch(etag, RESTART);

        assert.equal(restarted.status, 200, restarted.body_text);
        assert.notEqual(restarted.headers.get('etag'), etag);
        for (const line of ['a=ice-lite', 'a=ice-options:trickle ice2', 'a=mid:0']) {
            assert.ok(restarted.body_text.includes(`${line}\r\n`), restarted.body_text);
            assert.ok(answer.includes(`${line}\r\n`), answer);
        }
        refused(await patch(etag, RESTART.replace('ysXw', 'ysXy')), 412, 'precondition_failed');
        const now = restarted.headers.get('etag');
        assert.equal((await patch(now, RESTART)).status, 204, 'the same again is none');
        await send('DELETE', path);
    });

    check('ICE restart: 200, new credentials, new ETag; the old one is void', async () => {
        const { path, etag, answer } = await publish();
        const ufrag = (text) => /a=ice-ufrag:(\S+)/.exec(text)[1];

        for (const match of ['"*"', '*']) {
            const body = RESTART.replace('ysXw', match === '*' ? 'ysXx' : 'ysXw');
            const response = await send('PATCH', path, { type: FRAGMENT, match, body });
            assert.equal(response.status, 200, response.body_text);
            assert.equal(response.headers.get('content-type'), FRAGMENT);
            assert.notEqual(response.headers.get('etag'), etag);
            assert.match(response.headers.get('etag'), /^"[\w-]+"$/);
            assert.notEqual(ufrag(response.body_text), ufrag(answer));
            assert.match(response.body_text, /a=ice-pwd:\S{22,}/);
            assert.match(response.body_text, /a=candidate:/);
        }
        refused(
            await send('PATCH', path, { type: FRAGMENT, match: etag, body: TRICKLE }),
            412,
            'precondition_failed',
        );
        const again = RESTART.replace('ysXw', 'ysXx');
        refused(
            await send('PATCH', path, { type: FRAGMENT, match: '"*"', body: again }),
            422,
            'invalid',
        );
        refused(
            await send('PATCH', path, { type: FRAGMENT, match: '"*"', body: 'a=ice-lite\r\n' }),
            422,
            'invalid',
        );
        await send('DELETE', path);
    });

    check('methods that are reserved: 405 with Allow', async () => {
        const { path } = await publish();

        for (const [method, each] of [
            ['PUT', `/api/whip/${meeting}`],
            ['DELETE', `/api/whip/${meeting}`],
            ['PATCH', `/api/whip/${meeting}`],
            ['PUT', path],
            ['POST', path],
        ]) {
            const response = await send(method, each, { body: method === 'DELETE' ? undefined : 'x' });
            refused(response, 405, 'method_not_allowed');
            assert.match(response.headers.get('allow'), /OPTIONS, GET, HEAD/);
        }
        await send('DELETE', path);
    });

    check('a redirect is 307, and keeps method and body', async () => {
        const response = await send('POST', `/api/whip/${meeting}/`, { type: SDP, body: OFFER });
        assert.equal(response.status, 307);
        assert.equal(response.headers.get('location'), `/api/whip/${meeting}`);
        const query = '?name=Ada%20%26%20Bob%3D%C3%A4&participant=x&flag';
        const asked = await send('POST', `/api/whip/${meeting}/${query}`, { type: SDP, body: OFFER });
        assert.equal(asked.status, 307);
        assert.equal(asked.headers.get('location'), `/api/whip/${meeting}${query}`);
        const followed = await send('POST', `/api/whip/${meeting}/`, {
            type: SDP,
            body: OFFER,
            redirect: 'follow',
        });
        assert.equal(followed.status, 201, followed.body_text);
        await send('DELETE', followed.headers.get('location'));
    });

    check('what is no path of ours, or a body without length, is refused readably too', async () => {
        for (const path of [
            `/api/whip/${'m'.repeat(300)}`,
            `/api/whip/${meeting}%01`,
            `/api/whip/${meeting}/${'s'.repeat(33)}`,
            `/api/whep/${meeting}/${'s'.repeat(32)}/more`,
        ]) {
            refused(await send('POST', path, { type: SDP, body: OFFER }), 404, 'not_found');
        }
        const cut = await send('POST', `/api/whip/${meeting}%0d`, { type: SDP, body: OFFER });
        assert.equal(cut.status, 400, cut.body_text);
        const chunked = await fetch(`${node.origin}/api/whip/${meeting}`, {
            method: 'POST',
            headers: { authorization: 'Bearer x', 'content-type': SDP },
            body: new Blob([OFFER]).stream(),
            duplex: 'half',
        });
        assert.equal(chunked.status, 411);
        assert.equal(chunked.headers.get('access-control-allow-origin'), '*');
        const large = await post({ body: OFFER.padEnd(3_000_000, 'a=x\r\n') });
        assert.equal(large.status, 413);
        assert.equal(large.headers.get('access-control-allow-origin'), '*');
    });

    for (const [title, status, code, reason, spoil] of [
        ['another type', 415, 'unsupported_media_type', /application\/sdp/, { type: 'text/plain' }],
        ['an empty body', 400, 'malformed', /empty/, { body: '' }],
        ['no SDP', 400, 'malformed', /line 1: .*v=0/, { body: 'hello' }],
        ['a broken line', 400, 'malformed', /line \d+: candidate/, [/a=mid:0/, 'a=candidate:x']],
        ['no BUNDLE', 422, 'invalid', /BUNDLE/, [/a=group:BUNDLE 0 1\r\n/, '']],
        ['no fingerprint', 422, 'invalid', /fingerprint/, [/a=fingerprint/, 'a=x']],
        ['an unknown hash', 422, 'invalid', /hash/, [/sha-256/, 'md5']],
        ['a bad fingerprint', 422, 'invalid', /fingerprint/, [/sha-256 10:/, 'sha-256 1:']],
        ['a long MID', 422, 'invalid', /16 characters/, [/a=mid:0/, `a=mid:${'0'.repeat(17)}`]],
        ['five fingerprints', 422, 'invalid', /four/, [/t=0 0\r\n/, `t=0 0\r\n${'a=fingerprint:sha-256 10:20\r\n'.repeat(5)}`]],
        ['a payload type of RTCP', 422, 'invalid', /rtcp-mux/, [/SAVPF 111/, 'SAVPF 95 111']],
        ['plain RTP', 422, 'invalid', /DTLS-SRTP/, [/UDP\/TLS\/RTP\/SAVPF/g, 'RTP/AVP']],
        ['a profile that only looks so', 422, 'invalid', /DTLS-SRTP/, [/UDP\/TLS\/RTP\/SAVPF/g, 'UDP/TLS/RTP/SAVPFX']],
        ['a client that is ICE-lite, as the node', 422, 'unsupported', /ice-lite/, [/t=0 0\r\n/, 't=0 0\r\na=ice-lite\r\n']],
        ['no rtcp-mux', 422, 'invalid', /rtcp-mux/, [/a=rtcp-mux\r\n/, '']],
        ['no codec in common', 422, 'unsupported', /audio\/speex/, [/opus/, 'speex']],
        ['only receiving', 422, 'invalid', /sendonly/, [/a=sendonly/, 'a=recvonly']],
        ['simulcast without rid lines', 422, 'invalid', /a=rid:h send/, [/a=mid:1/, 'a=mid:1\r\na=rid:l send\r\na=simulcast:send l;h']],
        ['all sections disabled', 422, 'invalid', /disabled/, [/m=(audio|video) 9/g, 'm=$1 0']],
        ['a data channel', 422, 'invalid', /only audio and video/, [/m=audio/, 'm=application']],
        ['two MediaStreams', 422, 'invalid', /MediaStream/, [/a=msid:kcs audio/, 'a=msid:b audio']],
        ['two audio tracks', 422, 'invalid', /two audio/, [/m=video/, 'm=audio']],
        ['two video tracks', 422, 'invalid', /two video/, [/m=audio/, 'm=video']],
        ['not UTF-8', 422, 'unsupported', /\?/, [/opus/, 'opus\u00e4']],
    ]) {
        check(`refused: ${title}`, async () => {
            const options = Array.isArray(spoil)
                ? { body: OFFER.replace(spoil[0], spoil[1]) }
                : spoil;
            const response = await post(options);

            assert.match(refused(response, status, code), reason);
            if (status === 415) {
                assert.equal(response.headers.get('accept-post'), SDP);
            }
        });
    }

    /* What nobody in good faith sends is refused in one line, at once, and costs the others
     * nothing. */
    const lines = (n, line) => Array.from({ length: n }, (_, i) => line(i)).join('');
    for (const [title, statuses, body] of [
        ['more bytes than a description may have', [400, 413], OFFER + 'a=x:'.padEnd(70_000, 'y') + '\r\n'],
        ['more bytes than a request may have', [413], OFFER.padEnd(3_000_000, 'a=x\r\n')],
        ['more lines than a description may have', [400], OFFER + lines(5_000, () => 'a=x\r\n')],
        ['a thousand sections', [400], OFFER + lines(1_000, (i) => `m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:${i + 2}\r\n`)],
        ['a thousand small sections', [400], OFFER + lines(1_000, () => 'm=a 9 b c\r\n')],
        ['a hundred codecs', [400, 422], OFFER.replace(/m=video .*/, `m=video 9 UDP/TLS/RTP/SAVPF ${lines(100, (i) => `${i} `)}`)],
        ['one MID twice', [400, 422], OFFER.replace('a=mid:1', 'a=mid:0')],
        ['a MID twice in the group', [400, 422], OFFER.replaceAll('a=mid:1', 'a=mid:0').replace('BUNDLE 0 1', 'BUNDLE 0 0')],
        ['a thousand SSRCs', [400], OFFER + lines(1_000, (i) => `a=ssrc:${i + 1} cname:x\r\n`)],
        ['a thousand RIDs', [400], OFFER + lines(1_000, (i) => `a=rid:r${i} send\r\n`)],
        ['a thousand fingerprints', [400], OFFER + lines(1_000, () => `${/a=fingerprint:.*/.exec(OFFER)[0]}\r\n`)],
        ['a NUL in the midst', [400], OFFER.replace('a=mid:1', 'a=mid:\0')],
        ['no end of line', [400], OFFER.replaceAll('\r\n', ' ')],
        ['an endless MID', [422], OFFER.replaceAll('a=mid:1', `a=mid:${'1'.repeat(5_000)}`)],
        ['an endless ufrag', [400, 422], OFFER.replaceAll(/a=ice-ufrag:.*/g, `a=ice-ufrag:${'u'.repeat(5_000)}`)],
    ]) {
        check(`hostile: ${title}`, async () => {
            const began = Date.now();
            const response = await post({ body });

            assert.ok(statuses.includes(response.status), `${response.status} ${response.body_text}`);
            assert.equal(response.headers.get('content-type'), 'application/problem+json');
            assert.ok(response.body_text.length < 2_000, 'the answer is short');
            assert.ok(Date.now() - began < 5_000);
        });
    }

    for (const [title, body] of [
        ['ten thousand parameters', OFFER.replace(/a=fmtp:111 .*/, `a=fmtp:111 ${lines(10_000, (i) => `p${i}=1;`)}`)],
        ['one endless parameter', OFFER.replace(/a=fmtp:111 .*/, `a=fmtp:111 minptime=${'9'.repeat(30_000)}`)],
        ['a thousand header extensions', OFFER + lines(1_000, (i) => `a=extmap:${i % 300} urn:x:${i}\r\n`)],
        ['a thousand candidates', OFFER + lines(1_000, (i) => `a=candidate:${i} 1 udp 1 192.0.2.1 ${1024 + i} typ host\r\n`)],
        ['a thousand kinds of feedback', OFFER + lines(1_000, (i) => `a=rtcp-fb:96 x${i}\r\n`)],
    ]) {
        check(`too much of what may be dropped: ${title}`, async () => {
            const response = await post({ body });

            if (response.status === 201) {
                assert.ok(response.body_text.length < 20_000, 'the answer does not grow with it');
                await send('DELETE', response.headers.get('location'));
            } else {
                assert.ok([400, 422].includes(response.status), response.body_text);
            }
        });
    }

    check('an SSRC of another publisher is no matter; twice in one offer it is refused', async () => {
        const first = await publish();
        const second = await publish(); /* the same offer, so the same SSRCs */
        await send('DELETE', first.path);
        await send('DELETE', second.path);
        const ssrcs = [...new Set([...OFFER.matchAll(/a=ssrc:(\d+) /g)].map((found) => found[1]))];
        if (ssrcs.length > 1) {
            const body = OFFER.replaceAll(new RegExp(`\\b${ssrcs.at(-1)}\\b`, 'g'), ssrcs[0]);
            refused(await post({ body }), 422, 'invalid');
        }
    });

    check("another session's credentials are good for nothing", async () => {
        const mine = await publish();
        const other = await publish({ body: OFFER.replaceAll('NWNiOTxliPhQLZSY', 'anotheranother12') });
        const fragment = TRICKLE.replace('NWNiOTxliPhQLZSY', 'anotheranother12');
        const patch = (path, match, body) => send('PATCH', path, { type: FRAGMENT, match, body });

        refused(await patch(mine.path, other.etag, TRICKLE), 412, 'precondition_failed');
        /* a list of entity-tags is compared whole, weak ones never */
        refused(await patch(mine.path, `W/${mine.etag}`, TRICKLE), 412, 'precondition_failed');
        refused(await patch(mine.path, mine.etag.slice(1, -1), TRICKLE), 412, 'precondition_failed');
        assert.equal((await patch(mine.path, `"x", ${mine.etag}`, TRICKLE)).status, 204);
        assert.equal((await patch(other.path, other.etag, fragment)).status, 204);
        const moved = mine.path.replace(meeting, `${meeting}-x`);
        assert.equal((await send('GET', moved)).status, 404, 'under another meeting it is unknown');
        assert.equal((await send('GET', mine.path.replace('/whip/', '/whep/'))).status, 404);
        const both = await Promise.all([send('DELETE', mine.path), send('DELETE', mine.path)]);
        assert.deepEqual(both.map(({ status }) => status).sort(), [200, 404]);
        await send('DELETE', other.path);
    });

    check('what a publisher has in its place of a socket is not taken for one', async () => {
        const legacy = io(node.origin, {
            auth: { token: await node.token({ meeting }) },
            forceNew: true,
            reconnection: false,
        });
        sockets.push(legacy);
        await next(legacy, 'connect');
        await new Promise((done) => legacy.emit('join-room', { room_id: meeting }, done));
        const line = /a=fingerprint:.*/.exec(OFFER)[0];
        const four = Array.from({ length: 4 }, (_, i) =>
            `a=fingerprint:sha-512 ${Array(64).fill(`4${i + 1}`).join(':')}`);
        const { path } = await publish({ body: OFFER.replaceAll(line, four.join('\r\n')) });
        assert.equal((await send('DELETE', path)).status, 200);
        assert.equal((await fetch(`${node.origin}/api/health/live`)).status, 200);
    });

    check('nobody hears of an offer that was refused', async () => {
        const socket = await connect(node, await node.token({ meeting }));
        sockets.push(socket);
        const joined = next(socket, 'room:joined'); /* the answer once more: after the ack */
        await ask(socket, 'room:join', { meeting_id: meeting, display_name: 'Ada' });
        await joined;
        const heard = [];
        socket.onAny((event) => heard.push(event));
        await post({ body: OFFER.replace(/opus/, 'speex') });
        await post({ role: 'guest' });
        const came = next(socket, 'participant:joined');
        const { path } = await publish();
        await came;
        assert.equal(heard[0], 'participant:joined');
        assert.equal(heard.filter((event) => event === 'participant:joined').length, 1);
        await send('DELETE', path);
    });

    check('WHEP: 409 with Retry-After while there is nothing to watch', async () => {
        const response = await post({ kind: 'whep', body: RECEIVES });

        refused(response, 409, 'nothing_to_watch');
        assert.match(response.headers.get('retry-after'), /^\d+$/);
    });

    check('WHEP: an offer is answered with what is published', async () => {
        const { path } = await publish();
        const response = await post({ kind: 'whep', body: RECEIVES, role: 'guest' });
        const answer = response.body_text;

        assert.equal(response.status, 201, answer);
        assert.match(
            response.headers.get('location'),
            new RegExp(`^/api/whep/${meeting}/[\\w-]{32}$`),
        );
        assert.match(response.headers.get('etag'), /^"[\w-]+"$/);
        assert.match(response.headers.get('link'), /rel="ice-server"/);
        assert.match(answer, /m=audio 9 UDP\/TLS\/RTP\/SAVPF 111\r\n/);
        /* all that both have, not what is sent now alone */
        assert.match(answer, /m=video 9 UDP\/TLS\/RTP\/SAVPF 96 97( \d+)+\r\n/);
        for (const codec of ['VP8', 'VP9', 'H264', 'AV1']) {
            assert.match(answer, new RegExp(`a=rtpmap:\\d+ ${codec}/90000\r\n`));
        }
        assert.match(answer, /a=sendonly\r\n/);
        assert.match(answer, /a=ssrc-group:FID \d+ \d+\r\n/);
        assert.match(answer, /a=msid:/);
        const watching = response.headers.get('location');
        assert.equal((await send('GET', watching, { token: null })).status, 204);
        assert.equal((await send('OPTIONS', watching, { token: null })).status, 200);
        const trickled = await send('PATCH', watching, {
            role: 'guest',
            type: FRAGMENT,
            match: response.headers.get('etag'),
            body: 'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n',
        });
        assert.equal(trickled.status, 204, trickled.body_text);
        assert.equal((await send('DELETE', watching, { role: 'guest' })).status, 200);
        await send('DELETE', path);
    });

    check('WHEP: a participant can be chosen; who sends nothing cannot', async () => {
        const { path } = await publish();
        const query = '?participant=nobody';

        refused(await post({ kind: 'whep', body: RECEIVES, query }), 409, 'nothing_to_watch');
        refused(
            await post({ kind: 'whep', body: OFFER }),
            422,
            'invalid',
        );
        await send('DELETE', path);
    });

    check('WHEP: 406 with an offer of the node, which a PATCH answers', async () => {
        const { path } = await publish();
        const body = RECEIVES.replaceAll('VP8/90000', 'H265/90000');
        const response = await post({ kind: 'whep', body });
        const offer = response.body_text;

        assert.equal(response.status, 406, offer);
        assert.equal(response.headers.get('content-type'), SDP);
        assert.equal(response.headers.get('accept-patch'), SDP);
        assert.match(offer, /m=video 9 UDP\/TLS\/RTP\/SAVPF 101 102 103 104 105 106 107 108 109 110\r\n/);
        assert.match(offer, /a=setup:actpass\r\n/);
        assert.match(offer, /a=ice-options:trickle ice2\r\n/);
        const watching = response.headers.get('location');
        const fingerprint = /a=fingerprint:.*/.exec(RECEIVES)[0];
        const answer = [
            'v=0',
            'o=- 1 1 IN IP4 127.0.0.1',
            's=-',
            't=0 0',
            'a=group:BUNDLE 0 1',
            ...offer
                .split(/\r\n(?=m=)/)
                .slice(1)
                .map((section, i) =>
                    [
                        /m=.*/.exec(section)[0],
                        `a=mid:${i}`,
                        'a=ice-ufrag:abcd',
                        'a=ice-pwd:abcdefghijklmnopqrstuvwx',
                        fingerprint,
                        'a=setup:active',
                        'a=recvonly',
                        'a=rtcp-mux',
                        ...section.match(/a=(rtpmap|fmtp):.*/g),
                    ].join('\r\n'),
                ),
            '',
        ].join('\r\n');
        const typed = await send('PATCH', watching, { type: FRAGMENT, match: '*', body: RESTART });
        refused(typed, 415, 'unsupported_media_type');
        assert.equal(typed.headers.get('accept-patch'), SDP);
        const options = await send('OPTIONS', watching, { token: null });
        assert.equal(options.headers.get('accept-patch'), SDP);
        refused(
            await send('PATCH', watching, {
                type: SDP,
                body: answer.replaceAll('recvonly', 'sendonly'),
            }),
            422,
            'invalid',
        );
        refused(
            await send('PATCH', watching, {
                type: SDP,
                body: answer.replaceAll('setup:active', 'setup:actpass'),
            }),
            422,
            'invalid',
        );
        const taken = await send('PATCH', watching, {
            type: SDP,
            match: response.headers.get('etag'),
            body: answer,
        });
        assert.equal(taken.status, 204, taken.body_text);
        const after = await send('OPTIONS', watching, { token: null });
        assert.equal(after.headers.get('accept-patch'), `${FRAGMENT}, application/json`);
        assert.equal((await send('DELETE', watching)).status, 200);
        await send('DELETE', path);
    });

    check('sessions that nobody connects are bounded for each user, and expire', async () => {
        const paths = [];
        let last;

        for (let i = 0; i < 257; i++) {
            last = await post();
            if (last.status === 201) {
                paths.push(last.headers.get('location'));
            }
        }
        assert.equal(paths.length, 256);
        refused(last, 503, 'too_many');
        assert.match(last.headers.get('retry-after'), /^\d+$/);
        const other = await publish({ token: await node.token({ meeting, name: 'Else' }) });
        assert.equal((await send('GET', other.path)).status, 204, 'others are not concerned');
        assert.equal((await send('DELETE', paths.pop())).status, 200);
        paths.push((await publish()).path);
        await sleep(32_000);
        for (const path of [...paths, other.path]) {
            assert.equal((await send('GET', path)).status, 404, 'it has expired');
        }
        await send('DELETE', (await publish()).path);
    });

    check('rtcp-mux-only says as much as rtcp-mux', async () => {
        const { path, answer } = await publish({
            body: OFFER.replaceAll('a=rtcp-mux\r\n', 'a=rtcp-mux-only\r\n'),
        });

        assert.match(answer, /a=rtcp-mux\r\na=rtcp-mux-only\r\n/);
        await send('DELETE', path);
    });

    check('WHEP: conditions and ICE restart are those of WHIP', async () => {
        const { path } = await publish();
        const response = await post({ kind: 'whep', body: RECEIVES });
        const watching = response.headers.get('location');
        const etag = response.headers.get('etag');
        /* without credentials: of the ICE session that is */
        const later = 'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n';
        const fragment = (match, body) =>
            send('PATCH', watching, { type: FRAGMENT, match, body });

        assert.equal(response.status, 201, response.body_text);
        refused(await fragment(undefined, later), 428, 'precondition_required');
        refused(await fragment('"other"', later), 412, 'precondition_failed');
        assert.equal((await fragment(etag, later)).status, 204);
        const restarted = await fragment('"*"', RESTART);
        assert.equal(restarted.status, 200, restarted.body_text);
        assert.match(restarted.body_text, /a=ice-ufrag:\S+\r\na=ice-pwd:\S{22,}/);
        assert.notEqual(restarted.headers.get('etag'), etag);
        refused(await fragment(etag, later), 412, 'precondition_failed');
        assert.equal((await fragment(restarted.headers.get('etag'), later)).status, 204);
        refused(await fragment('"*"', RESTART), 422, 'invalid');
        assert.equal((await send('DELETE', watching)).status, 200);
        await send('DELETE', path);
    });

    check('who was muted or removed by a host does not come back by another POST', async () => {
        const socket = await connect(node, await tokenOf('host'));
        sockets.push(socket);
        const told = (event, payload) =>
            ask(socket, event, { meeting_id: meeting, ...payload });
        const { sub } = JSON.parse(
            Buffer.from((await tokenOf('attendee')).split('.')[1], 'base64url'),
        );
        assert.ok((await told('room:join', { display_name: 'Ada' })).ok);
        const settings = { allow_attendee_media: true };
        assert.ok((await told('room:update', { settings })).ok);

        const { path } = await publish({ role: 'attendee' });
        const muted = await told('participant:mute', { target_user_id: sub, kind: 'audio' });
        assert.ok(muted.ok, JSON.stringify(muted));
        await send('DELETE', path, { role: 'attendee' });
        refused(await post({ role: 'attendee' }), 403, 'muted_by_host');
        const video = OFFER.replace(/m=audio 9/, 'm=audio 0').replace('BUNDLE 0 1', 'BUNDLE 1');
        const seen = await publish({ role: 'attendee', body: video }); /* but only that */
        const left = next(socket, 'participant:left');
        const removed = await told('participant:remove', { target_user_id: sub, ban: true });
        assert.ok(removed.ok, JSON.stringify(removed));
        assert.equal((await left).reason, 'banned');
        assert.equal((await send('GET', seen.path, { token: null })).status, 404);
        refused(await post({ role: 'attendee' }), 403, 'banned');
    });

    check('whom the meeting does not let in is refused 403, with the reason', async () => {
        const socket = await connect(node, await tokenOf('host'));
        sockets.push(socket);
        const told = (event, payload) =>
            ask(socket, event, { meeting_id: meeting, ...payload });
        assert.ok((await told('room:join', { display_name: 'Ada' })).ok);

        assert.ok((await told('room:lock')).ok);
        refused(await post(), 403, 'locked');
        assert.ok((await told('room:unlock')).ok);
        const settings = { waiting_room_enabled: true };
        assert.ok((await told('room:update', { settings })).ok);
        refused(await post(), 403, 'waiting_room');
        assert.ok((await told('room:update', { settings: { waiting_room_enabled: false } })).ok);
        await send('DELETE', (await publish()).path);
    });

    check('503 with Retry-After while the dataplane is away', async () => {
        const dead = node.dataplane; /* it stays away: this is the last test */
        dead.asked = true;
        dead.kill('SIGKILL');
        node.processes.splice(node.processes.indexOf(dead), 1);
        let response = await post();
        for (let i = 0; i < 100 && response.status === 201; i++) {
            await sleep(50);
            response = await post();
        }
        refused(response, 503, 'media_unavailable');
        assert.match(response.headers.get('retry-after'), /^\d+$/);
    });
});
