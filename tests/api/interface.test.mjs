/* docs/api.md against the node's own description: what stands there exists, and what exists
 * stands there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { withNode } from '../e2e/lib/node.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const PAGE = readFileSync(join(here, '../../docs/api.md'), 'utf8');

test('every event has its place in docs/api.md, and none other has', { timeout: 60_000 }, () =>
    withNode({ name: 'api-interface', devices: ['udp:127.0.0.1'] }, async (node) => {
        const asyncapi = await (await fetch(`${node.origin}/api/asyncapi.json`)).json();
        const { messages } = asyncapi.channels.meeting;
        const events = new Set(Object.values(messages).map(({ name }) => name));
        const extra = Object.values(asyncapi.operations)
            .flatMap((each) => [each['x-paired'], /Alias: (\S+)/.exec(each.description)?.[1]])
            .filter((name) => name !== undefined);
        const named = new Set([...PAGE.matchAll(/`([a-z-]+(?::[a-z-]+)+)`/g)].map(([, name]) => name));

        assert.ok(events.size > 100, `${events.size} events`);
        assert.deepEqual([...events].filter((name) => !PAGE.includes(`\`${name}\``)), []);
        assert.deepEqual(
            [...named].filter((name) => !events.has(name) && !extra.includes(name)),
            [],
        );
        /* what is not built is said to be so */
        const later = PAGE.slice(PAGE.indexOf('### Named, not built yet'));
        for (const each of Object.values(asyncapi.operations)) {
            const { name } = messages[each.messages[0].$ref.split('/').at(-1)];

            assert.equal(
                later.slice(0, later.indexOf('### The legacy')).includes(`\`${name}\``) &&
                    name !== 'server:draining',
                each['x-not-implemented'] === true,
                name,
            );
        }
    }));
