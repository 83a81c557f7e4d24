/* kcs-client: a meeting without a page around it.  docs/client.md shows how to use it. */
export { KcsClient } from './client';
export type { ClientEvents, ClientOptions } from './context';
export { DeviceError, listDevices, openDevice, openDevices } from './devices';
export type { Opened, Thing, Wanted } from './devices';
export { Emitter, Observable } from './emitter';
export { CODECS } from './encodings';
export type { CodecName } from './encodings';
export type { OwnMedia, OwnOptions, OwnTracks } from './own';
export type { Direction, Kind, Layout, Media, Role, Source } from './protocol';
export type * as api from '../api.gen';
export { findMedia, isHere, nameOf } from './room';
export type { Notice, Person, Quality, RemoteMedia, Room, Status } from './room';
export type { Shown } from './roster';
export { SignalError } from './signaling';
export { newId } from './talk';
export { collectStats } from './stats';
export type { CallStats, ReceivedStats, SentStats, TransportStats } from './stats';
