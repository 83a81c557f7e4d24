/* The descriptions of the interface, by public linters; and a client made of one of them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import SwaggerParser from '@apidevtools/swagger-parser';
import { Parser } from '@asyncapi/parser';
import openapiTypescript, { astToString } from 'openapi-typescript';
import { withNode } from '../e2e/lib/node.mjs';
import { user } from '../e2e/lib/rest.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const UDP = { devices: ['udp:127.0.0.1'] };

const document = async (node, name) => (await fetch(`${node.origin}/api/${name}`)).json();

test('OpenAPI and AsyncAPI are sound', { timeout: 180_000 }, () =>
    withNode({ name: 'api-documents', ...UDP }, async (node) => {
        const openapi = await document(node, 'openapi.json');
        assert.equal(openapi.openapi.slice(0, 3), '3.1');
        await SwaggerParser.validate(structuredClone(openapi));
        assert.equal(openapi.paths['/api/meeting/{id}'].get.responses[304].content, undefined);

        const asyncapi = await document(node, 'asyncapi.json');
        const { diagnostics } = await new Parser().parse(asyncapi);
        const wrong = diagnostics.filter(({ severity }) => severity <= 1);
        assert.deepEqual(wrong.map(({ message, path }) => `${path.join('.')}: ${message}`), []);
        assert.equal(asyncapi.asyncapi, '3.0.0');
    }));

/* What a developer elsewhere would write, on types made by openapi-typescript. The names and
 * the shapes are the compiler's to check; that they are true, the node's. */
const CLIENT = `
import type { paths } from './api.js';

type Json<R> = R extends { content: { 'application/json': infer T } } ? T : never;
type Made = Json<paths['/api/meeting']['post']['responses'][201]>;
type New = NonNullable<paths['/api/meeting']['post']['requestBody']>['content']['application/json'];
type Read = Json<paths['/api/meeting/{id}']['get']['responses'][200]>;

export async function make(origin: string, token: string): Promise<[string, string, number]> {
    const body: New = { meeting_name: 'Typed', waiting_room_enabled: true };
    const headers = { authorization: \`Bearer \${token}\`, 'content-type': 'application/json' };
    const made: Made = await (await fetch(\`\${origin}/api/meeting\`,
        { method: 'POST', headers, body: JSON.stringify(body) })).json();
    const read: Read = await (await fetch(\`\${origin}/api/meeting/\${made.data.id}\`,
        { headers })).json();

    return [read.data.meeting_name, read.data.meeting_status, read.data.version];
}
`;

test('a client of types made by openapi-typescript makes a meeting', { timeout: 180_000 }, () =>
    withNode({ name: 'api-client', ...UDP }, async (node) => {
        const dir = mkdtempSync(join(here, '.client-'));
        const tsc = join(here, 'node_modules/typescript/bin/tsc');
        const options = ['--strict', '--target', 'es2022', '--module', 'nodenext',
            '--lib', 'es2022,dom', '--skipLibCheck'];
        const compile = (source) => {
            writeFileSync(join(dir, 'client.mts'), source);
            execFileSync(process.execPath, [tsc, ...options, 'client.mts'], { cwd: dir });
        };

        try {
            const types = await openapiTypescript(await document(node, 'openapi.json'));

            writeFileSync(join(dir, 'api.ts'), astToString(types));
            assert.throws(() => compile(CLIENT.replace('meeting_name:', 'meeting_nam:')));
            compile(CLIENT);
            const { make } = await import(join(dir, 'client.mjs'));
            assert.deepEqual(await make(node.origin, user(node, 'ada')),
                ['Typed', 'scheduled', 1]);
        } finally {
            rmSync(dir, { recursive: true });
        }
    }));
