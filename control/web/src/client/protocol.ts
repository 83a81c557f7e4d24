/* The part of the node's Socket.IO interface (namespace /meeting) that a call uses:
 * names and shapes exactly as on the wire.  Fields are snake_case; inside
 * mediasoup-client's own objects they stay camelCase.  Types only: nothing here runs. */
import type { types } from 'mediasoup-client';
import type { Breakouts, Poll, TalkEvents, TalkRequests } from './protocol_talk';

export type Kind = 'audio' | 'video';
export type Source = 'mic' | 'camera' | 'screen' | 'screen_audio';
export type Direction = 'send' | 'recv';

/* One person.  `participant_id` tells two tabs apart that came by the same invitation;
 * where a server knows only users, `user_id` stands for it (see personOf). */
export interface WithPerson {
    user_id: string;
    participant_id?: string;
}

/* Whether somebody needs a spatial layer of what we send. */
export interface LayerNeed {
    spatial: number;
    needed: boolean;
}

export interface Layer {
    spatial: number;
    temporal: number;
}

/* How a stream arrived in the last second. */
export interface Score {
    score: number;
    bitrate_bps?: number;
    loss?: number;
    jitter_ms?: number;
    rtt_ms?: number;
}

/* What a consumer is sent, and is to be sent. */
export interface LayersChanged {
    consumer_id: string;
    producer_id: string;
    current: Layer | null; /* nothing yet */
    target: Layer | null;
    reason: string;
}

export interface ParticipantInfo extends WithPerson {
    display_name?: string;
    name?: string;
    role?: string;
    hand_order?: number | null; /* rises with each hand; null while it is down */
}

export interface ProducerInfo extends WithPerson {
    producer_id: string;
    kind: Kind;
    source?: Source;
    paused?: boolean;
    display_name?: string;
}

export interface MeetingInfo {
    id?: string;
    meeting_id?: string;
    meeting_name?: string;
    settings?: MeetingSettings;
}

/* What a meeting allows; a node that cannot change it tells nothing. */
export interface MeetingSettings {
    meeting_name?: string;
    layout?: string;
    locked?: boolean;
    waiting_room_enabled?: boolean;
    features?: Record<string, boolean>;
    [name: string]: unknown;
}

export interface RoomJoined extends Partial<WithPerson> {
    meeting: MeetingInfo;
    your_role: string;
    permissions: string[] | Record<string, boolean>;
    participants: ParticipantInfo[];
    participant_count?: number;
    producers: ProducerInfo[];
    rtp_capabilities: types.RtpCapabilities;
    ice_servers: RTCIceServer[];
    resume_token?: string;
    settings?: MeetingSettings;
    spotlight?: string | null;
    polls?: Poll[];
    breakouts?: Breakouts | null;
    breakout_id?: string | null; /* the breakout room that one is in */
    /* true: one is in the lobby, and all else comes with lobby:admitted */
    waiting?: boolean;
    /* true: this is the participant that we were, with all it had, which is listed */
    resumed?: boolean;
    own_transports?: { transport_id: string; direction: Direction }[];
    own_producers?: { producer_id: string; paused?: boolean; layers?: LayerNeed[] }[];
    own_consumers?: { consumer_id: string; producer_id: string; paused: boolean }[];
}

export interface TransportCreated {
    transport_id: string;
    direction: Direction;
    ice_parameters: types.IceParameters;
    ice_candidates: types.IceCandidate[];
    dtls_parameters: types.DtlsParameters;
}

export interface ProducerCreated {
    producer_id: string;
    kind: Kind;
}

export interface ConsumerCreated extends WithPerson {
    consumer_id: string;
    producer_id: string;
    kind: Kind;
    rtp_parameters: types.RtpParameters;
    type: string;
    producer_paused: boolean;
}

/* Requests: event, what it takes, what its ack brings when ok. */
export interface Requests extends TalkRequests {
    'room:join': {
        payload: {
            meeting_id: string;
            display_name: string;
            rtp_capabilities?: types.RtpCapabilities;
            resume_token?: string;
        };
        reply: RoomJoined;
    };
    'room:leave': { payload: { meeting_id: string }; reply: object };
    'auth:refresh': { payload: { token: string }; reply: { expires_at: string } };
    'transport:create': { payload: { direction: Direction }; reply: TransportCreated };
    'transport:connect': {
        payload: { transport_id: string; dtls_parameters: types.DtlsParameters };
        reply: object;
    };
    'transport:restart-ice': {
        payload: { transport_id: string };
        reply: { ice_parameters: types.IceParameters };
    };
    'transport:close': { payload: { transport_id: string }; reply: object };
    produce: {
        payload: {
            transport_id: string;
            kind: Kind;
            rtp_parameters: types.RtpParameters;
            source: Source;
            paused?: boolean;
        };
        reply: ProducerCreated;
    };
    'produce:close': { payload: { producer_id: string }; reply: object };
    'produce:pause': { payload: { producer_id: string }; reply: object };
    'produce:resume': { payload: { producer_id: string }; reply: object };
    consume: {
        payload: {
            transport_id: string;
            producer_id: string;
            rtp_capabilities: types.RtpCapabilities;
        };
        reply: ConsumerCreated;
    };
    'consumer:resume': { payload: { consumer_id: string }; reply: object };
    'consumer:pause': { payload: { consumer_id: string }; reply: object };
    'consumer:close': { payload: { consumer_id: string }; reply: object };
    'consumer:layers': {
        payload: { consumer_id: string; spatial: number; temporal?: number };
        reply: LayersChanged;
    };
    'view:set': {
        payload: { visible: { producer_id: string; width: number; height: number }[] };
        reply: object;
    };
    'screen:start': { payload: { meeting_id: string }; reply: object };
    'screen:stop': { payload: { meeting_id: string }; reply: object };
}

/* What the server says unasked. */
export interface Events extends TalkEvents {
    'participant:joined': ParticipantInfo;
    'participant:left': WithPerson & { reason?: string };
    'new-producer': ProducerInfo;
    'producer:closed': { producer_id: string };
    'producer:paused': { producer_id: string };
    'producer:resumed': { producer_id: string };
    'consumer:closed': { consumer_id: string; reason?: string };
    'consumer:layers-changed': LayersChanged;
    'producer:layers': { producer_id: string; layers: LayerNeed[] };
    'consumer:score': Score & { consumer_id: string; producer_id: string };
    'speaker:active': { participant_id?: string | null; user_id?: string | null };
    'participant:updated': ParticipantInfo;
    'participant:role:changed': WithPerson & { new_role: string; permissions?: string[] };
    'participant:spotlighted': WithPerson & { on: boolean };
    'participant:count': { count: number };
    'roster:delta': {
        joined?: ParticipantInfo[];
        left?: WithPerson[];
        updated?: ParticipantInfo[];
    };
    'removed:from-meeting': { reason?: string | null };
    'screen:started': WithPerson;
    'screen:stopped': WithPerson;
    'lobby:admitted': Partial<RoomJoined>;
    'lobby:denied': { reason?: string | null };
    'room:updated': { settings: MeetingSettings };
    'room:closed': { reason?: string };
    'auth:expiring': { expires_at: string };
    error: { code?: string; message?: string; event?: string };
}

export function personOf(who: Partial<WithPerson>): string {
    return who.participant_id ?? who.user_id ?? '';
}
