/* What the browser measures about a call, gathered from getStats() of both transports;
 * the stats line and the test hook show the same figures.  Counters are since the track
 * began. */
import type { KcsClient } from './client';
import type { Direction, Kind } from './protocol';

export interface ReceivedStats {
    producerId: string;
    person: string; /* id */
    name: string;
    kind: Kind;
    codec: string; /* "VP8", "opus"; empty until the first packet */
    packetsReceived: number;
    packetsLost: number;
    bytesReceived: number;
    jitterMs: number;
    framesDecoded?: number; /* these seven for video */
    width?: number;
    height?: number;
    keyFramesDecoded?: number;
    framesDropped?: number;
    freezeCount?: number;
    totalFreezesDuration?: number; /* s */
    totalAudioEnergy?: number; /* this for audio */
}

export interface SentStats {
    kind: Kind;
    codec: string;
    packetsSent: number;
    bytesSent: number;
    framesEncoded?: number;
    width?: number;
    height?: number;
    retransmittedPacketsSent: number;
}

export interface TransportStats {
    state: string; /* RTCPeerConnectionState */
    dtlsState: string;
    dtlsCipher: string;
    srtpCipher: string;
    tlsVersion: string;
    remoteAddress: string; /* the selected candidate: where the node is */
    remotePort: number;
    roundTripMs: number | null;
}

export interface CallStats {
    received: ReceivedStats[];
    sent: SentStats[];
    transports: Partial<Record<Direction, TransportStats>>;
}

type Entry = Record<string, unknown> & { id: string; type: string };

function num(value: unknown): number {
    return typeof value === 'number' ? value : 0;
}

function str(value: unknown): string {
    return typeof value === 'string' ? value : '';
}

function entries(report: RTCStatsReport): Map<string, Entry> {
    const found = new Map<string, Entry>();

    report.forEach((value: Entry) => found.set(value.id, value));
    return found;
}

function codecOf(all: Map<string, Entry>, entry: Entry): string {
    return str(all.get(str(entry['codecId']))?.['mimeType']).split('/')[1] ?? '';
}

function transportOf(all: Map<string, Entry>, state: string): TransportStats {
    const list = [...all.values()];
    const transport = list.find((entry) => entry.type === 'transport');
    const pair =
        all.get(str(transport?.['selectedCandidatePairId'])) ??
        list.find(
            (entry) => entry.type === 'candidate-pair' && entry['nominated'] === true,
        );
    const remote = all.get(str(pair?.['remoteCandidateId']));
    const roundTrip = pair?.['currentRoundTripTime'];

    return {
        state,
        dtlsState: str(transport?.['dtlsState']),
        dtlsCipher: str(transport?.['dtlsCipher']),
        srtpCipher: str(transport?.['srtpCipher']),
        tlsVersion: str(transport?.['tlsVersion']),
        remoteAddress: str(remote?.['address']),
        remotePort: num(remote?.['port']),
        roundTripMs: typeof roundTrip === 'number' ? roundTrip * 1000 : null,
    };
}

function sentOf(all: Map<string, Entry>): SentStats[] {
    return [...all.values()]
        .filter((entry) => entry.type === 'outbound-rtp')
        .map((entry) => ({
            kind: str(entry['kind']) as Kind,
            codec: codecOf(all, entry),
            packetsSent: num(entry['packetsSent']),
            bytesSent: num(entry['bytesSent']),
            retransmittedPacketsSent: num(entry['retransmittedPacketsSent']),
            ...(entry['kind'] === 'video' && {
                framesEncoded: num(entry['framesEncoded']),
                width: num(entry['frameWidth']),
                height: num(entry['frameHeight']),
            }),
        }));
}

function receivedOf(
    all: Map<string, Entry>,
    trackId: string,
    who: { producerId: string; person: string; name: string; kind: Kind },
): ReceivedStats {
    const entry = [...all.values()].find(
        (candidate) =>
            candidate.type === 'inbound-rtp' && candidate['trackIdentifier'] === trackId,
    );
    const common = {
        ...who,
        codec: entry === undefined ? '' : codecOf(all, entry),
        packetsReceived: num(entry?.['packetsReceived']),
        packetsLost: num(entry?.['packetsLost']),
        bytesReceived: num(entry?.['bytesReceived']),
        jitterMs: num(entry?.['jitter']) * 1000,
    };

    return who.kind === 'audio'
        ? { ...common, totalAudioEnergy: num(entry?.['totalAudioEnergy']) }
        : {
              ...common,
              framesDecoded: num(entry?.['framesDecoded']),
              keyFramesDecoded: num(entry?.['keyFramesDecoded']),
              framesDropped: num(entry?.['framesDropped']),
              freezeCount: num(entry?.['freezeCount']),
              totalFreezesDuration: num(entry?.['totalFreezesDuration']),
              width: num(entry?.['frameWidth']),
              height: num(entry?.['frameHeight']),
          };
}

export async function collectStats(client: KcsClient): Promise<CallStats> {
    const result: CallStats = { received: [], sent: [], transports: {} };
    const { send, recv } = client.media?.transports() ?? {};

    if (send !== undefined && !send.closed) {
        const all = entries(await send.getStats());
        result.transports.send = transportOf(all, send.connectionState);
        result.sent = sentOf(all);
    }
    if (recv !== undefined && !recv.closed) {
        const all = entries(await recv.getStats());
        result.transports.recv = transportOf(all, recv.connectionState);
        for (const person of client.room.value.people.values()) {
            for (const media of person.media.values()) {
                if (media.track !== undefined) {
                    result.received.push(
                        receivedOf(all, media.track.id, {
                            producerId: media.producerId,
                            person: person.id,
                            name: person.name,
                            kind: media.kind,
                        }),
                    );
                }
            }
        }
    }
    return result;
}
