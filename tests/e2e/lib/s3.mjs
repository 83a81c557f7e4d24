/* An object store for a test: S3 as far as recordings need it, in memory, bounded. It makes
 * every signature again by itself, of what it was really sent, and refuses what is not so. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

const ALL_MAX = 128 << 20;
const PART_MIN = 5 << 20;
const PAGE = 2; /* parts in one answer of ListParts: so that there is more than one page */
const LATE_MS = 15 * 60_000;

const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const strict = (text) => encodeURIComponent(text)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

class Refusal extends Error {
    constructor(status, code) {
        super(code);
        this.status = status;
    }
}

function timeOf(stamp) {
    return Date.parse(stamp?.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

export class ObjectStore {
    constructor({ access, secret, region, bucket }) {
        Object.assign(this, { access, secret, region, bucket });
        this.objects = new Map(); /* by key: bytes */
        this.uploads = new Map(); /* by id: {key, parts} */
        this.asked = []; /* "METHOD key?query" of what was not refused */
        this.refused = []; /* codes */
        this.bytes = 0;
        /* Of a test: is shown each request before its body is read; true: it has taken it. */
        this.fault = () => false;
        this.server = createServer((request, response) => {
            this.#answer(request, response).catch((error) => {
                if (!response.destroyed) {
                    this.refused.push(error.message);
                    response.writeHead(error.status ?? 500, { connection: 'close' });
                    response.end(`<?xml version="1.0"?>\n<Error><Code>${error.message}</Code></Error>`);
                }
            });
        });
    }

    async listen() {
        this.server.listen(0, '127.0.0.1');
        await once(this.server, 'listening');
        this.origin = `http://127.0.0.1:${this.server.address().port}`;
    }

    close() {
        this.server.closeAllConnections();
        this.server.close();
    }

    #sign({ method, path, query, headers, names, body, stamp, scope }) {
        const canonical = [
            method, path, query,
            ...names.map((name) => `${name}:${headers[name].trim()}`), '',
            names.join(';'), body,
        ].join('\n');
        const text = ['AWS4-HMAC-SHA256', stamp, scope, sha256(canonical)].join('\n');
        const key = scope.split('/').reduce((k, word) => hmac(k, word), `AWS4${this.secret}`);

        return hmac(key, text).toString('hex');
    }

    #scope(credential, stamp) {
        const [access, ...scope] = credential.split('/');

        if (access !== this.access) {
            throw new Refusal(403, 'InvalidAccessKeyId');
        }
        if (scope.join('/') !== `${stamp.slice(0, 8)}/${this.region}/s3/aws4_request`) {
            throw new Refusal(403, 'AuthorizationHeaderMalformed');
        }
        return scope.join('/');
    }

    /* By the header, or by the URL. */
    #check(request, url, body) {
        const pairs = [...url.searchParams].filter(([name]) => name !== 'X-Amz-Signature');
        const query = pairs.map(([name, value]) => `${strict(name)}=${strict(value)}`).sort().join('&');
        const common = { method: request.method, path: url.pathname, query, headers: request.headers };
        let given, made;

        if (url.searchParams.has('X-Amz-Signature')) {
            const of = (name) => url.searchParams.get(`X-Amz-${name}`);
            const stamp = of('Date');

            given = of('Signature');
            made = this.#sign({
                ...common, names: of('SignedHeaders').split(';'), stamp, body: 'UNSIGNED-PAYLOAD',
                scope: this.#scope(of('Credential'), stamp),
            });
            if (Date.now() > timeOf(stamp) + Number(of('Expires')) * 1000) {
                throw new Refusal(403, 'AccessDenied');
            }
        } else {
            const [, credential, names, signature] = /^AWS4-HMAC-SHA256 Credential=(\S+?),\s*SignedHeaders=(\S+?),\s*Signature=(\w+)$/
                .exec(request.headers.authorization ?? '') ?? [];
            const stamp = request.headers['x-amz-date'];
            const hash = request.headers['x-amz-content-sha256'];

            if (credential === undefined || !['host', 'x-amz-content-sha256', 'x-amz-date']
                .every((name) => names.split(';').includes(name))) {
                throw new Refusal(403, 'AccessDenied');
            }
            if (hash !== sha256(body)) {
                throw new Refusal(400, 'XAmzContentSHA256Mismatch');
            }
            if (!(Math.abs(Date.now() - timeOf(stamp)) < LATE_MS)) {
                throw new Refusal(403, 'RequestTimeTooSkewed');
            }
            given = signature;
            made = this.#sign({
                ...common, names: names.split(';'), stamp, body: hash,
                scope: this.#scope(credential, stamp),
            });
        }
        if (given?.length !== made.length || !timingSafeEqual(Buffer.from(given), Buffer.from(made))) {
            throw new Refusal(403, 'SignatureDoesNotMatch');
        }
    }

    async #answer(request, response) {
        const url = new URL(request.url, this.origin);
        const chunks = [];

        if (this.fault(request, url, response)) {
            return;
        }
        for await (const chunk of request) {
            chunks.push(chunk);
            this.bytes += chunk.length;
            if (this.bytes > ALL_MAX) {
                throw new Refusal(507, 'TooMuchForATest');
            }
        }
        const body = Buffer.concat(chunks);
        this.#check(request, url, body);
        const [, bucket, ...names] = decodeURI(url.pathname).split('/');
        if (bucket !== this.bucket) {
            throw new Refusal(404, 'NoSuchBucket');
        }
        const key = names.join('/');
        this.asked.push(`${request.method} ${key}${url.search.replace(/X-Amz-.*/, '')}`);
        const [status, headers, answer] = this.#do(request, url, key, body);
        response.writeHead(status, headers);
        response.end(request.method === 'HEAD' ? undefined : answer);
    }

    #upload(url, key) {
        const upload = this.uploads.get(url.searchParams.get('uploadId'));

        if (upload?.key !== key) {
            throw new Refusal(404, 'NoSuchUpload');
        }
        return upload;
    }

    #do(request, url, key, body) {
        const has = (name) => url.searchParams.has(name);
        const etag = `"${createHash('md5').update(body).digest('hex')}"`;

        switch (request.method) {
        case 'POST':
            return has('uploads') ? this.#begin(key) : this.#complete(this.#upload(url, key), url, body);
        case 'PUT':
            if (has('uploadId')) {
                this.#upload(url, key).parts.set(Number(url.searchParams.get('partNumber')), { body, etag });
            } else {
                this.objects.set(key, body);
            }
            return [200, { etag }, ''];
        case 'DELETE':
            if (has('uploadId')) {
                this.#upload(url, key);
                this.uploads.delete(url.searchParams.get('uploadId'));
            } else if (!this.objects.delete(key)) {
                throw new Refusal(404, 'NoSuchKey');
            }
            return [204, {}, ''];
        default:
            return has('uploadId') ? this.#list(this.#upload(url, key), url) : this.#get(request, key);
        }
    }

    #begin(key) {
        const id = `up/${key.length}+&=${this.uploads.size + 1}`; /* to be encoded */

        this.uploads.set(id, { key, parts: new Map() });
        return [200, {}, '<?xml version="1.0" encoding="UTF-8"?>\n<InitiateMultipartUploadResult>'
            + `<Key>${key}</Key><UploadId>${id.replace('&', '&amp;')}</UploadId></InitiateMultipartUploadResult>`];
    }

    #list(upload, url) {
        const after = Number(url.searchParams.get('part-number-marker') ?? 0);
        const rest = [...upload.parts].sort(([a], [b]) => a - b).filter(([n]) => n > after);
        const page = rest.slice(0, PAGE);

        return [200, {}, '<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            + `<PartNumberMarker>${after}</PartNumberMarker>`
            + `<NextPartNumberMarker>${page.at(-1)?.[0] ?? 0}</NextPartNumberMarker>`
            + `<IsTruncated>${rest.length > PAGE}</IsTruncated>`
            + page.map(([n, { body, etag }]) => `<Part><PartNumber>${n}</PartNumber>`
                + `<ETag>${etag.replaceAll('"', '&quot;')}</ETag><Size>${body.length}</Size></Part>`).join('')
            + '</ListPartsResult>'];
    }

    /* Says 200 before it knows, as S3 may. */
    #complete(upload, url, body) {
        const wanted = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>(.*?)<\/ETag>/g)]
            .map(([, n, etag]) => ({ n: Number(n), etag, part: upload.parts.get(Number(n)) }));
        const wrong = wanted.length === 0 || wanted.some(({ n, etag, part }, i) =>
            n !== i + 1 || part?.etag !== etag
            || (i + 1 < wanted.length && part.body.length < PART_MIN));

        if (wrong) {
            return [200, {}, '<Error><Code>InvalidPart</Code></Error>'];
        }
        this.objects.set(upload.key, Buffer.concat(wanted.map(({ part }) => part.body)));
        this.uploads.delete(url.searchParams.get('uploadId'));
        return [200, {}, '<CompleteMultipartUploadResult><ETag>&quot;x&quot;</ETag></CompleteMultipartUploadResult>'];
    }

    #get(request, key) {
        const body = this.objects.get(key);
        const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];

        if (body === undefined) {
            throw new Refusal(404, 'NoSuchKey');
        }
        if (from === undefined) {
            return [200, { 'accept-ranges': 'bytes' }, body];
        }
        const part = body.subarray(Number(from), to === '' ? undefined : Number(to) + 1);
        return [206, {
            'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${body.length}`,
        }, part];
    }
}
