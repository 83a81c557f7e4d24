/* The media of one stay in a room: the device, a transport for each direction, own
 * producers and consumers of the others'.  Made anew after every join, closed with it; kept
 * when a stay is resumed.  own.ts keeps the tracks and says what to send, roster.ts what to
 * receive.
 *
 * The transports are created at once but connect lazily, when first used
 * (mediasoup-client). */
import { Device, type types } from 'mediasoup-client';
import { DeviceError } from './devices';
import { encodingsFor, svcEncoding, type CodecName } from './encodings';
import type { LayerNeed, Producer, RoomJoined } from '../api.gen';
import type { Direction, Kind, Source } from './protocol';
import type { Signaling } from './signaling';

const START_KBPS = 1_000; /* before the first estimate; Chrome's own start is 300 */

export interface Remote {
    consumerId: string;
    producerId: string;
    track: MediaStreamTrack;
}

export class Media {
    private readonly device: Device;
    private readonly producers = new Map<Source, types.Producer>();
    private readonly consumers = new Map<string, types.Consumer>(); /* by producer id */
    private readonly held = new Set<string>(); /* producers that are not wanted now */
    private send: types.Transport | undefined;
    private recv: types.Transport | undefined;
    private closed = false;

    private constructor(
        private readonly signaling: Signaling,
        private readonly onTransportState: (direction: Direction, state: string) => void,
    ) {
        this.device = new Device();
    }

    /* Loads the router's capabilities and creates both transports.  Rejects with
     * SignalError, or with mediasoup-client's UnsupportedError where the browser has no
     * WebRTC. */
    static async open(
        signaling: Signaling,
        room: RoomJoined,
        onTransportState: (direction: Direction, state: string) => void,
    ): Promise<Media> {
        const media = new Media(signaling, onTransportState);

        try {
            await media.device.load({ routerRtpCapabilities: room.rtp_capabilities });
            [media.send, media.recv] = await Promise.all([
                media.createTransport('send', room.ice_servers),
                media.createTransport('recv', room.ice_servers),
            ]);
        } catch (error) {
            media.close();
            throw error;
        }
        return media;
    }

    /* Brings both sides in line after a lost connection: what the server has and we do not
     * know is closed there, what it has not is forgotten here. Resolves with false if what
     * we send or receive on is gone there: then all must be made anew. */
    async resume(room: RoomJoined): Promise<boolean> {
        const theirs = new Set(room.own_transports?.map((entry) => entry.transport_id));
        const ours = new Set([this.send?.id, this.recv?.id]);
        const producers = room.own_producers ?? [];
        const consumers = room.own_consumers ?? [];

        for (const producer of this.producers.values()) {
            if (!producers.some((entry) => entry.producer_id === producer.id)) {
                return false;
            }
        }
        for (const { transport_id } of room.own_transports ?? []) {
            if (!ours.has(transport_id)) {
                await this.signaling.request('transport:close', { transport_id });
            }
        }
        for (const direction of ['send', 'recv'] as const) {
            const transport = this[direction];
            if (transport !== undefined && theirs.has(transport.id)) {
                continue;
            }
            /* one that was never used has nothing to lose */
            if (transport !== undefined && transport.connectionState !== 'new') {
                return false;
            }
            transport?.close();
            this[direction] = await this.createTransport(direction, room.ice_servers);
        }
        for (const { producer_id, paused, layers } of producers) {
            const producer = this.findProducer(producer_id);
            if (producer !== undefined && layers !== undefined) {
                await this.setLayers(producer_id, layers);
            }
            if (producer === undefined) {
                await this.signaling.request('produce:close', { producer_id });
            } else if (producer.paused !== (paused === true)) {
                await this.signaling.request(
                    producer.paused ? 'produce:pause' : 'produce:resume',
                    { producer_id },
                );
            }
        }
        for (const { consumer_id, producer_id, paused } of consumers) {
            if (this.consumers.get(producer_id)?.id !== consumer_id) {
                await this.signaling.request('consumer:close', { consumer_id });
            } else if (paused !== this.held.has(producer_id)) {
                await this.signaling.request(
                    paused ? 'consumer:resume' : 'consumer:pause',
                    { consumer_id },
                );
            }
        }
        for (const [producerId, consumer] of [...this.consumers]) {
            if (!consumers.some((entry) => entry.consumer_id === consumer.id)) {
                this.dropConsumer(producerId);
            }
        }
        return true;
    }

    private findProducer(id: string): types.Producer | undefined {
        return [...this.producers.values()].find((entry) => entry.id === id);
    }

    /* Stops sending what nobody needs, and goes on with what somebody does.  Simulcast:
     * streams go off; SVC: the one stream has fewer layers, the lower ones as they were. */
    async setLayers(producerId: string, layers: LayerNeed[]): Promise<void> {
        const producer = this.findProducer(producerId);
        const top = Math.max(0, ...layers.filter((l) => l.needed).map((l) => l.spatial));
        const encodings = producer?.rtpSender?.getParameters().encodings ?? [];

        if (producer === undefined || encodings.length === 0) {
            return;
        }
        try {
            if (encodings.length > 1) {
                await producer.setMaxSpatialLayer(top);
            } else if (layers.length > 1) {
                await producer.setRtpEncodingParameters(
                    svcEncoding(layers.length, top + 1) as RTCRtpEncodingParameters,
                );
            }
        } catch {
            /* the sender ends just now, or cannot: then it sends more than is needed */
        }
    }

    canSend(kind: Kind): boolean {
        return this.device.canProduce(kind);
    }

    isSending(source: Source): boolean {
        return this.producers.has(source);
    }

    /* Starts to send a track; with `paused`, tells the room so from the beginning.  The
     * track stays the caller's: it is not stopped by close(). */
    async produce(
        track: MediaStreamTrack,
        source: Source,
        paused: boolean,
        codec?: CodecName,
        layers = 1,
    ): Promise<void> {
        const kind = track.kind as Kind;
        if (this.send === undefined) {
            throw new Error('no transport to send on');
        }
        const wanted =
            codec === undefined || kind === 'audio' ? undefined : this.findCodec(codec);
        if (source === 'screen') {
            track.contentHint = 'detail';
        }
        const producer = await this.send.produce({
            track,
            codec: wanted,
            encodings:
                kind === 'audio' ? undefined : encodingsFor(source, codec ?? 'vp8', layers),
            codecOptions:
                kind === 'audio'
                    ? source === 'screen_audio'
                        ? { opusStereo: true, opusFec: true, opusNack: true }
                        : { opusDtx: true, opusFec: true, opusNack: true }
                    : { videoGoogleStartBitrate: START_KBPS },
            stopTracks: false,
            disableTrackOnPause: false,
            appData: { source, paused },
        });
        if (paused) {
            producer.pause();
        }
        this.producers.set(source, producer);
    }

    /* Ends what was sent of 'source', if it was. */
    async stopProducing(source: Source): Promise<void> {
        const producer = this.producers.get(source);

        if (producer !== undefined) {
            this.producers.delete(source);
            producer.close();
            await this.signaling.request('produce:close', { producer_id: producer.id });
        }
    }

    /* Swaps the track of a producer without telling the others; null sends nothing. */
    async replaceTrack(source: Source, track: MediaStreamTrack | null): Promise<void> {
        await this.producers.get(source)?.replaceTrack({ track });
    }

    async setPaused(source: Source, paused: boolean): Promise<void> {
        const producer = this.producers.get(source);

        if (producer === undefined || producer.paused === paused) {
            return;
        }
        if (paused) {
            producer.pause();
        } else {
            producer.resume();
        }
        await this.signaling.request(paused ? 'produce:pause' : 'produce:resume', {
            producer_id: producer.id,
        });
    }

    /* Receives a remote producer.  Resolves with null when the room closed meanwhile. */
    async consume(info: Producer): Promise<Remote | null> {
        if (this.recv === undefined || this.consumers.has(info.producer_id)) {
            return null;
        }
        const reply = await this.signaling.request('consume', {
            transport_id: this.recv.id,
            producer_id: info.producer_id,
            rtp_capabilities: this.device.recvRtpCapabilities,
        });
        const consumer = await this.recv.consume({
            id: reply.consumer_id,
            producerId: reply.producer_id,
            kind: reply.kind,
            rtpParameters: reply.rtp_parameters,
            streamId: info.participant_id /* one stream a person: lips in step */,
        });
        if (this.closed) {
            consumer.close();
            return null;
        }
        this.consumers.set(info.producer_id, consumer);
        if (!this.held.has(info.producer_id)) {
            await this.signaling.request('consumer:resume', {
                consumer_id: reply.consumer_id,
            });
        }
        return {
            consumerId: reply.consumer_id,
            producerId: reply.producer_id,
            track: consumer.track,
        };
    }

    /* Stops or goes on receiving, without forgetting the consumer. One that is not there yet
     * begins so. */
    async setHeld(producerId: string, held: boolean): Promise<void> {
        const consumer = this.consumers.get(producerId);

        if (this.held.has(producerId) === held) {
            return;
        }
        this.held[held ? 'add' : 'delete'](producerId);
        if (consumer !== undefined) {
            await this.signaling.request(held ? 'consumer:pause' : 'consumer:resume', {
                consumer_id: consumer.id,
            });
        }
    }

    /* New ICE credentials for a path that has broken; what is sent and received stays. */
    async restartIce(direction: Direction): Promise<void> {
        const transport = this[direction];

        if (transport !== undefined && !transport.closed) {
            const { ice_parameters } = await this.signaling.request(
                'transport:restart-ice',
                { transport_id: transport.id },
            );
            await transport.restartIce({ iceParameters: ice_parameters });
        }
    }

    stateOf(direction: Direction): string {
        return this[direction]?.connectionState ?? 'new';
    }

    /* Forgets the consumer of a producer that is gone; unknown ids are ignored. */
    dropConsumer(producerId: string): void {
        this.consumers.get(producerId)?.close();
        this.consumers.delete(producerId);
        this.held.delete(producerId);
    }

    consumerOf(producerId: string): string | undefined {
        return this.consumers.get(producerId)?.id;
    }

    producerOfConsumer(consumerId: string): string | undefined {
        for (const [producerId, consumer] of this.consumers) {
            if (consumer.id === consumerId) {
                return producerId;
            }
        }
        return undefined;
    }

    /* For stats.ts. */
    transports(): { send?: types.Transport; recv?: types.Transport } {
        return { send: this.send, recv: this.recv };
    }

    receiving(): { producerId: string; consumer: types.Consumer }[] {
        return [...this.consumers].map(([producerId, consumer]) => ({
            producerId,
            consumer,
        }));
    }

    close(): void {
        this.closed = true;
        this.send?.close();
        this.recv?.close();
        this.producers.clear();
        this.consumers.clear();
    }

    private findCodec(name: CodecName): types.RtpCodecCapability {
        const codec = this.device.sendRtpCapabilities.codecs?.find(
            (entry) => entry.mimeType.toLowerCase() === `video/${name}`,
        );
        if (codec === undefined) {
            throw new DeviceError('no_codec', name.toUpperCase());
        }
        return codec;
    }

    private async createTransport(
        direction: Direction,
        iceServers: RTCIceServer[],
    ): Promise<types.Transport> {
        const reply = await this.signaling.request('transport:create', { direction });
        const options: types.TransportOptions = {
            id: reply.transport_id,
            iceParameters: reply.ice_parameters,
            iceCandidates: reply.ice_candidates,
            dtlsParameters: reply.dtls_parameters,
            iceServers,
        };
        const transport =
            direction === 'send'
                ? this.device.createSendTransport(options)
                : this.device.createRecvTransport(options);

        transport.on('connect', ({ dtlsParameters }, done, failed) => {
            this.signaling
                .request('transport:connect', {
                    transport_id: transport.id,
                    dtls_parameters: dtlsParameters,
                })
                .then(done, failed);
        });
        transport.on('produce', ({ kind, rtpParameters, appData }, done, failed) => {
            this.signaling
                .request('produce', {
                    transport_id: transport.id,
                    kind,
                    rtp_parameters: rtpParameters,
                    source: appData['source'] as Source,
                    paused: appData['paused'] === true,
                })
                .then((created) => done({ id: created.producer_id }), failed);
        });
        transport.on('connectionstatechange', (state) => {
            if (!this.closed) {
                this.onTransportState(direction, state);
            }
        });
        return transport;
    }
}
