/* Keys of the call: space held down talks, Ctrl+D is the microphone, Ctrl+E the camera. */
import type { KcsClient } from '../client';

/* Where a space is a letter or a press of a button. */
function takesSpace(target: EventTarget | null): boolean {
    return (
        target instanceof Element &&
        target.closest('input, textarea, select, button, summary, a, [contenteditable]') !==
            null
    );
}

export function installKeys(current: () => KcsClient | undefined): void {
    let held = false; /* the space bar, by which the microphone was opened */
    const inCall = (): KcsClient | undefined => {
        const client = current();
        return client?.room.value.status === 'joined' ? client : undefined;
    };
    const release = (): void => {
        if (held) {
            held = false;
            void whenFree(inCall);
        }
    };

    window.addEventListener('keydown', (event) => {
        const client = inCall();
        const key = event.key.toLowerCase();

        if (client === undefined) {
            return;
        }
        if (event.ctrlKey && !event.altKey && !event.metaKey && (key === 'd' || key === 'e')) {
            event.preventDefault();
            if (!event.repeat) {
                const kind = key === 'd' ? 'audio' : 'video';
                void client.own.setMuted(kind, !client.own.muted[kind]);
            }
        } else if (event.key === ' ' && !takesSpace(event.target)) {
            event.preventDefault();
            if (!event.repeat && client.own.muted.audio) {
                held = true;
                void client.own.setMuted('audio', false).then(() => {
                    if (!held) {
                        return whenFree(inCall);
                    }
                });
            }
        }
    });
    window.addEventListener('keyup', (event) => {
        if (event.key === ' ') {
            release();
        }
    });
    window.addEventListener('blur', release); /* its keyup goes elsewhere */
}

/* Mutes again; while the microphone is still being opened that is not possible, and what
 * opens it looks again. */
async function whenFree(inCall: () => KcsClient | undefined): Promise<void> {
    await inCall()?.own.setMuted('audio', true);
}
