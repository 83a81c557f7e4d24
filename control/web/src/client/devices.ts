/* Camera, microphone, speaker: which there are, and opening them.  Each is asked for on its
 * own when both together fail, so that a person without a camera can talk. */

export type Thing = 'camera' | 'microphone';

export interface Wanted {
    height: number; /* wanted height of the picture; the width follows at 16:9 */
    microphone?: string; /* ids; else the browser's choice */
    camera?: string;
}

/* A device is not to be had; `code` says why: insecure, denied, not_found, busy, impossible,
 * no_codec, device_failed. */
export class DeviceError extends Error {
    constructor(
        readonly code: string,
        detail: string,
        readonly thing?: Thing,
    ) {
        super(detail);
        this.name = 'DeviceError';
    }
}

export interface Opened {
    audio: MediaStreamTrack | undefined;
    video: MediaStreamTrack | undefined;
    problems: DeviceError[]; /* empty when all that was wanted was had */
}

function codeOf(error: unknown): string {
    switch (error instanceof DOMException ? error.name : '') {
        case 'NotAllowedError':
        case 'SecurityError':
            return 'denied';
        case 'NotFoundError':
            return 'no_device';
        case 'NotReadableError':
        case 'AbortError':
            return 'busy';
        case 'OverconstrainedError':
            return 'impossible';
        default:
            return 'device_failed';
    }
}

function constraints(thing: Thing, wanted: Wanted): MediaTrackConstraints {
    const { height } = wanted;
    const id = wanted[thing];

    return {
        ...(id === undefined ? {} : { deviceId: { exact: id } }),
        ...(thing === 'microphone'
            ? {}
            : {
                  width: { ideal: Math.round((height * 16) / 9) },
                  height: { ideal: height },
                  frameRate: { ideal: 30 },
              }),
    };
}

/* Opens one device; any, if the one that is named has gone.  Rejects with DeviceError. */
export async function openDevice(thing: Thing, wanted: Wanted): Promise<MediaStreamTrack> {
    const kind = thing === 'camera' ? 'video' : 'audio';

    if (!navigator.mediaDevices?.getUserMedia) {
        throw new DeviceError('insecure', '', thing);
    }
    try {
        const stream = await navigator.mediaDevices.getUserMedia({
            [kind]: constraints(thing, wanted),
        });
        const track = stream.getTracks()[0];
        if (track === undefined) {
            throw new Error('no track');
        }
        return track;
    } catch (error) {
        if (wanted[thing] !== undefined && codeOf(error) === 'impossible') {
            return openDevice(thing, { ...wanted, [thing]: undefined });
        }
        throw new DeviceError(codeOf(error), String(error), thing);
    }
}

/* Opens what is wanted and to be had; never rejects. */
export async function openDevices(
    which: { audio: boolean; video: boolean },
    wanted: Wanted,
): Promise<Opened> {
    const result: Opened = { audio: undefined, video: undefined, problems: [] };

    if (which.audio && which.video && navigator.mediaDevices?.getUserMedia) {
        try {
            /* both at once: the browser asks the person only once */
            const stream = await navigator.mediaDevices.getUserMedia({
                audio: constraints('microphone', wanted),
                video: constraints('camera', wanted),
            });
            result.audio = stream.getAudioTracks()[0];
            result.video = stream.getVideoTracks()[0];
            return result;
        } catch {
            /* one of them is missing: find out which, below */
        }
    }
    for (const kind of ['audio', 'video'] as const) {
        if (which[kind]) {
            try {
                result[kind] = await openDevice(
                    kind === 'audio' ? 'microphone' : 'camera',
                    wanted,
                );
            } catch (error) {
                result.problems.push(error as DeviceError);
            }
        }
    }
    return result;
}

/* The devices of the machine.  They have names only once one of them was allowed. */
export async function listDevices(): Promise<MediaDeviceInfo[]> {
    try {
        return await navigator.mediaDevices.enumerateDevices();
    } catch {
        return []; /* not a secure page */
    }
}
