/* How a camera and a screen are encoded: sizes, layers and bit rates. */
import type { types } from 'mediasoup-client';
import type { Source } from './protocol';

export const CODECS = ['vp8', 'vp9', 'h264', 'av1'] as const;
export type CodecName = (typeof CODECS)[number];

/* Bit rates of the picture in full, half and quarter size; a screen's. */
const LAYER_BPS = [2_000_000, 600_000, 180_000];
const SCREEN_BPS = 2_500_000;

/* Camera: VP8 and H264 in up to three sizes (simulcast), VP9 and AV1 in layers of one stream
 * (SVC).  Screen: one size, all of its detail; motion may be left out. */
export function encodingsFor(
    source: Source,
    codec: CodecName,
    layers: number,
): types.RtpEncodingParameters[] | undefined {
    if (source === 'screen') {
        return [
            {
                maxBitrate: SCREEN_BPS,
                ...(codec === 'h264' ? {} : { scalabilityMode: 'L1T3' }),
            },
        ];
    }
    if (layers < 2) {
        return undefined;
    }
    if (codec === 'vp9' || codec === 'av1') {
        return [svcEncoding(layers, layers)];
    }
    return Array.from({ length: layers }, (_, i) => ({
        scaleResolutionDownBy: 2 ** (layers - 1 - i),
        maxBitrate: LAYER_BPS[layers - 1 - i],
        ...(codec === 'vp8' ? { scalabilityMode: 'L1T3' } : {}),
    }));
}

/* The lowest `wanted` of `all` layers of one stream, each with the size and bit rate that it has
 * among all of them: a browser gives the whole picture to the highest that it is told to make. */
export function svcEncoding(
    all: number,
    wanted: number,
): {
    scalabilityMode: string;
    scaleResolutionDownBy: number;
    maxBitrate: number | undefined;
} {
    return {
        scalabilityMode: `L${wanted}T3${wanted > 1 ? '_KEY' : ''}`,
        scaleResolutionDownBy: 2 ** (all - wanted),
        maxBitrate: LAYER_BPS[all - wanted],
    };
}
