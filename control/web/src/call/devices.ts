/* Camera and microphone: asks for them, and says in words why one is not to be had.
 * Each is asked for on its own when both together fail, so that a person without a
 * camera can talk. */

export interface Wanted {
    audio: boolean;
    video: boolean;
    height: number; /* wanted height of the picture; the width follows at 16:9 */
}

export interface Devices {
    audio: MediaStreamTrack | undefined;
    video: MediaStreamTrack | undefined;
    problems: string[]; /* sentences for the person, empty when all wanted was had */
}

type Thing = 'camera' | 'microphone';

function inWords(thing: Thing, error: unknown): string {
    const name = error instanceof DOMException ? error.name : '';

    switch (name) {
        case 'NotAllowedError':
        case 'SecurityError':
            return (
                `Your browser does not let this page use the ${thing}. ` +
                'Allow it in the address bar, then turn it on here.'
            );
        case 'NotFoundError':
            return `No ${thing} was found. You can still see and hear the others.`;
        case 'NotReadableError':
        case 'AbortError':
            return `The ${thing} is in use by another program or does not answer.`;
        case 'OverconstrainedError':
            return `The ${thing} cannot do what was asked of it.`;
        default:
            return `The ${thing} could not be opened (${name || String(error)}).`;
    }
}

function videoConstraints(height: number): MediaTrackConstraints {
    return {
        width: { ideal: Math.round((height * 16) / 9) },
        height: { ideal: height },
        frameRate: { ideal: 30 },
    };
}

/* Opens one device.  Rejects with an Error whose message is for the person. */
export async function openDevice(thing: Thing, height: number): Promise<MediaStreamTrack> {
    if (!navigator.mediaDevices?.getUserMedia) {
        throw new Error(
            `The ${thing} needs a secure page: open the https:// link, or use localhost.`,
        );
    }
    try {
        const stream = await navigator.mediaDevices.getUserMedia(
            thing === 'camera' ? { video: videoConstraints(height) } : { audio: true },
        );
        const track = stream.getTracks()[0];
        if (track === undefined) {
            throw new Error('no track');
        }
        return track;
    } catch (error) {
        throw new Error(inWords(thing, error));
    }
}

/* Opens what is wanted and to be had; never rejects. */
export async function openDevices(wanted: Wanted): Promise<Devices> {
    const result: Devices = { audio: undefined, video: undefined, problems: [] };

    if (wanted.audio && wanted.video && navigator.mediaDevices?.getUserMedia) {
        try {
            /* both at once: the browser asks the person only once */
            const stream = await navigator.mediaDevices.getUserMedia({
                audio: true,
                video: videoConstraints(wanted.height),
            });
            result.audio = stream.getAudioTracks()[0];
            result.video = stream.getVideoTracks()[0];
            return result;
        } catch {
            /* one of them is missing: find out which, below */
        }
    }
    if (wanted.audio) {
        try {
            result.audio = await openDevice('microphone', wanted.height);
        } catch (error) {
            result.problems.push((error as Error).message);
        }
    }
    if (wanted.video) {
        try {
            result.video = await openDevice('camera', wanted.height);
        } catch (error) {
            result.problems.push((error as Error).message);
        }
    }
    return result;
}
