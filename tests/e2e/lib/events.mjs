/* Events that leave the node, held to the schemas that it gives out for them. Closed ones: a
 * field that is sent and not described is wrong, though readers have to pass over it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

let made; /* of this process's build */

function closed(schema) {
    if (schema === null || typeof schema !== 'object') {
        return schema;
    }
    if (Array.isArray(schema)) {
        return schema.map(closed);
    }
    const out = Object.fromEntries(Object.entries(schema).map(([k, v]) => [k, closed(v)]));

    return schema.type === 'object' ? { ...out, additionalProperties: false } : out;
}

/* The schemas of a build: {ofId: validators, types: all that may be seen}. */
export function eventSchemas(build) {
    if (made === undefined) {
        const { schemas } = JSON.parse(execFileSync(join(build, 'kcs-schema'), ['events']));
        const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strict: true });

        addFormats(ajv);
        ajv.addKeyword('x-max-bytes');
        made = {
            ofId: new Map(Object.values(schemas).map((s) => [s.$id, ajv.compile(closed(s))])),
            types: Object.keys(schemas),
        };
    }
    return made;
}

/* event: as in structured mode. What is wrong with it; undefined if nothing is. */
export function wrongWith(build, event) {
    const check = eventSchemas(build).ofId.get(event.dataschema);

    if (check === undefined) {
        return `${event.type}: no schema ${event.dataschema}`;
    }
    if (!event.dataschema.startsWith(`urn:kcs:event:${event.type}:`) &&
        !event.dataschema.startsWith('urn:kcs:event:kcs.erased:')) {
        return `${event.type} has the schema of another, ${event.dataschema}`;
    }
    return check(event.data) ? undefined
        : `${event.type} ${JSON.stringify(event.data)}: ${check.errors
            .map((e) => `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`).join('; ')}`;
}

/* text: JSON lines. */
export function assertEvents(build, text) {
    const lines = text.split('\n').filter((line) => line !== '');
    const wrong = lines.map((line) => wrongWith(build, JSON.parse(line)));

    assert.deepEqual(wrong.filter((each) => each !== undefined).slice(0, 5), []);
    return lines.length;
}
