/* Names for parts of the node's interface. All of it is in api.gen.ts, which kcs-schema makes
 * of the table that the node itself checks by. */
import type * as api from '../api.gen';

export type Kind = api.Producer['kind'];
export type Source = api.Producer['source'];
export type Role = api.Participant['role'];
export type Direction = api.TransportCreate['direction'];
export type Media = api.MediaToggle['kind'];
export type Layout = api.Layout['layout'];
