/* Every field of every event and of every body, wrong in each way that its own description
 * allows to think of: the answer names the field, and nothing has changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { io } from 'socket.io-client';
import { claimsFor, signToken } from '../e2e/lib/jwt.mjs';
import { withNode } from '../e2e/lib/node.mjs';
import { rest, user } from '../e2e/lib/rest.mjs';

const UDP = {
    devices: ['udp:127.0.0.1'],
    control: 'limits: {requests_per_address: 0, requests_per_user: 0}\n',
};

/* The schema itself, and whether null is a value of it. */
function resolve(schema, document) {
    const any = schema.anyOf?.find((each) => each.type !== 'null') ?? schema;
    const nullable = schema.anyOf?.some((each) => each.type === 'null') ?? false;
    const { $ref } = any;
    const found =
        $ref === undefined
            ? any
            : $ref.slice(2).split('/').reduce((at, key) => at[key], document);
    const types = [found.type].flat();

    return {
        schema: { ...found, type: types.find((type) => type !== 'null') },
        nullable: nullable || types.includes('null') || [schema.type].flat().includes('null'),
    };
}

const OF_OTHER_TYPES = {
    string: [7, true, {}, ['x']],
    integer: ['7', 1.5, true, {}],
    number: ['7', true, {}],
    boolean: ['true', 1, {}],
    array: ['x', {}, 1],
    object: ['x', ['x'], 1],
};

/* Values that a field may not have. */
function wrongs({ schema, nullable }) {
    const all = [...(OF_OTHER_TYPES[schema.type] ?? [])];

    if (schema.type !== undefined && !nullable) {
        all.push(null);
    }
    if (schema.maxLength !== undefined) {
        all.push('x'.repeat(schema.maxLength + 1));
    }
    if (schema.minLength > 0) {
        all.push('');
    }
    if (schema.enum !== undefined) {
        all.push('no-such-word');
    }
    if (schema.format === 'date-time') {
        all.push('yesterday', '2026-02-30T00:00:00Z');
    }
    if (schema.minimum !== undefined) {
        all.push(schema.minimum - 1);
    }
    if (schema.maximum !== undefined && schema.maximum < 1e15) {
        all.push(schema.maximum + 1);
    }
    if (schema.minItems > 0) {
        all.push([]);
    }
    return all;
}

/* [pointer, payload] of each way in which an object of this schema can be wrong; of what is in
 * it too, as deep as there are names. */
function* mutations(schema, document, depth = 0) {
    for (const name of schema.required ?? []) {
        yield [`/${name}`, {}];
    }
    for (const [name, described] of Object.entries(schema.properties ?? {})) {
        const field = resolve(described, document);

        for (const value of wrongs(field)) {
            yield [`/${name}`, { [name]: value }];
        }
        if (field.schema.properties !== undefined && depth < 3) {
            for (const [path, value] of mutations(field.schema, document, depth + 1)) {
                yield [`/${name}${path}`, { [name]: value }];
            }
        }
        if (field.schema.items !== undefined && depth < 3) {
            const item = resolve(field.schema.items, document);
            const list = (value) => Array(Math.max(1, field.schema.minItems ?? 0)).fill(value);

            for (const value of wrongs(item)) {
                yield [`/${name}/0`, { [name]: list(value) }];
            }
            for (const [path, value] of mutations(item.schema, document, depth + 1)) {
                yield [`/${name}/0${path}`, { [name]: list(value) }];
            }
        }
    }
}

test('every field of every event', { timeout: 240_000 }, () =>
    withNode({ name: 'api-event-fields', ...UDP }, async (node) => {
        const asyncapi = await (await fetch(`${node.origin}/api/asyncapi.json`)).json();
        const meeting = 'fields';
        const claims = { ...claimsFor(meeting), role: 'host', scope: 'caption' };
        const socket = io(`${node.origin}/meeting`, {
            auth: { token: signToken(claims, node.secret) }, forceNew: true, reconnection: false });
        const asking = (event, payload) => socket.timeout(8_000).emitWithAck(event, payload);
        let n = 0;

        const joined = await asking('room:join', { meeting_id: meeting, display_name: 'N' });
        assert.equal(joined.ok, true, JSON.stringify(joined));
        for (const operation of Object.values(asyncapi.operations)) {
            if (operation.action !== 'receive' || operation['x-not-implemented']) {
                continue;
            }
            const message = asyncapi.channels.meeting.messages[
                operation.messages[0].$ref.split('/').at(-1)];
            const { schema } = resolve(message.payload, asyncapi);
            const all = [...mutations(schema, asyncapi)];
            const answers = await Promise.all(
                all.map(([, payload]) => asking(message.name, payload)));

            for (const [i, [path, payload]] of all.entries()) {
                const told = `${message.name} ${JSON.stringify(payload).slice(0, 200)}: ` +
                    JSON.stringify(answers[i]).slice(0, 400);

                assert.equal(answers[i].error?.code, 'invalid', told);
                const found = answers[i].error.errors.find((each) => each.path === path);
                assert.ok(found?.reason.length > 0, `${path}: ${told}`);
                n++;
            }
            for (const payload of ['text', 7, ['x'], true]) {
                const answer = await asking(message.name, payload);

                assert.equal(answer.error?.code, 'invalid', `${message.name} ${payload}`);
            }
        }
        assert.ok(n > 800, `${n} payloads`);

        /* and nothing has happened */
        const after = await asking('room:sync', { since_seq: joined.seq });
        assert.deepEqual([after.epoch, after.seq, after.facts], [joined.epoch, joined.seq, []]);
        socket.close();
    }));

const BROKEN = [
    '', '{', 'NaN', '{"a":NaN}', '{"a":1e999}', '{"a":123456789012345678901234567890}',
    '{"a":1,"a":2}', '['.repeat(64) + ']'.repeat(64), '{"a":'.repeat(64) + '1' + '}'.repeat(64),
    Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), '"text"', '[]', 'null',
];

test('every field of every body', { timeout: 240_000 }, () =>
    withNode({ name: 'api-body-fields', ...UDP }, async (node) => {
        const openapi = await (await fetch(`${node.origin}/api/openapi.json`)).json();
        const token = user(node, 'root', { role: 'admin' });
        const { body: made } = await rest(node, 'POST', '/meeting',
            { token, body: { meeting_name: 'm' } });
        const { id } = made.data;
        let n = 0;

        for (const [path, methods] of Object.entries(openapi.paths)) {
            for (const [method, operation] of Object.entries(methods)) {
                const described = operation.requestBody?.content?.['application/json']?.schema;
                const where = path.replace('/api', '').replace('{id}', id).replace('{user_id}', 'u');
                const headers = method === 'put' ? { 'if-match': '*' } : {};

                /* a login needs no rights, and is bounded otherwise */
                if (described === undefined || /\/whep\/|\/auth\//.test(path)) {
                    continue;
                }
                const { schema } = resolve(described, openapi);
                for (const [pointer, body] of mutations(schema, openapi)) {
                    const answer = await rest(node, method.toUpperCase(), where,
                        { token, headers, body });
                    const told = `${method} ${path} ${JSON.stringify(body).slice(0, 200)}: ` +
                        `${answer.status} ${JSON.stringify(answer.body).slice(0, 400)}`;

                    assert.equal(answer.status, 400, told);
                    assert.ok(answer.body.errors.some((each) => each.path === pointer &&
                        each.reason.length > 0), `${pointer}: ${told}`);
                    n++;
                }
                for (const body of BROKEN) {
                    if (body === '' && schema.required.length === 0) {
                        continue; /* nothing need be said */
                    }
                    const response = await fetch(`${node.origin}/api${where}`, {
                        method: method.toUpperCase(), body,
                        headers: { authorization: `Bearer ${token}`,
                            'content-type': 'application/json', ...headers } });

                    assert.equal(response.status, 400, `${method} ${path} ${body}`);
                }
            }
        }
        assert.ok(n > 150, `${n} bodies`);
        const { body: after } = await rest(node, 'GET', `/meeting/${id}`, { token });
        assert.deepEqual(after.data, made.data);
    }));
