/* One person's tile: picture or initials, name, and what is off.  Elements are made once
 * and changed in place, so that a playing video is never interrupted by a redraw. */
import { el, icon } from './dom';

export interface TileView {
    name: string;
    note: string; /* said after the name, or empty */
    audio: MediaStreamTrack | undefined;
    video: MediaStreamTrack | undefined; /* undefined while there is no picture to show */
    micOff: boolean;
    cameraOff: boolean;
}

const HUES = 12;

function initials(name: string): string {
    const words = name.trim().split(/\s+/);
    const picked = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];

    return picked.map((word) => [...(word ?? '')][0]?.toUpperCase() ?? '').join('') || '?';
}

function hueOf(name: string): number {
    let sum = 0;

    for (const char of name) {
        sum = (sum * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
    }
    return (sum % HUES) * (360 / HUES);
}

export class Tile {
    readonly element: HTMLElement;
    private readonly video = el('video', { autoplay: true, playsinline: true });
    private readonly avatar = el('span', { class: 'avatar', 'aria-hidden': 'true' });
    private readonly name = el('span', { class: 'tile-name' });
    private readonly micOff = el('span', { class: 'tile-flag', title: 'Microphone off' });
    private readonly cameraOff = el('span', { class: 'tile-flag', title: 'Camera off' });
    private readonly stream = new MediaStream();

    /* own: the person's own preview, which is silent and mirrored.
     * onBlocked: the browser wants a click before it plays sound. */
    constructor(
        id: string,
        own: boolean,
        private readonly onBlocked: () => void,
    ) {
        this.video.muted = own;
        for (const event of ['resize', 'loadeddata', 'emptied']) {
            this.video.addEventListener(event, () => this.showPicture());
        }
        this.video.srcObject = this.stream;
        this.micOff.append(
            icon('mic-off'),
            el('span', { class: 'hidden' }, 'microphone off'),
        );
        this.cameraOff.append(
            icon('camera-off'),
            el('span', { class: 'hidden' }, 'camera off'),
        );
        this.element = el(
            'article',
            { class: own ? 'tile own' : 'tile', 'data-person': id },
            this.avatar,
            this.video,
            el('footer', { class: 'tile-bar' }, this.name, this.micOff, this.cameraOff),
        );
    }

    update(view: TileView): void {
        this.name.textContent = `${view.name} ${view.note}`.trim();
        this.avatar.textContent = initials(view.name);
        this.element.style.setProperty('--hue', String(hueOf(view.name)));
        this.element.setAttribute('aria-label', view.name);
        this.micOff.hidden = !view.micOff;
        this.cameraOff.hidden = !view.cameraOff;
        this.setTracks(view);
    }

    /* Asks the browser again to play; call it from a click. */
    play(): void {
        this.video.play().catch((error: unknown) => {
            if (error instanceof DOMException && error.name === 'NotAllowedError') {
                this.onBlocked();
            } /* AbortError: a new track came while it was starting, and plays itself */
        });
    }

    /* The initials stay until the first picture is there, rather than a black box. */
    private showPicture(): void {
        const shown = this.stream.getVideoTracks().length > 0 && this.video.videoWidth > 0;

        this.element.classList.toggle('has-video', shown);
    }

    private setTracks(view: TileView): void {
        const wanted = [view.audio, view.video].filter((track) => track !== undefined);
        let changed = false;

        for (const track of this.stream.getTracks()) {
            if (!wanted.includes(track)) {
                this.stream.removeTrack(track);
                changed = true;
            }
        }
        for (const track of wanted) {
            if (!this.stream.getTracks().includes(track)) {
                this.stream.addTrack(track);
                changed = true;
            }
        }
        if (changed) {
            this.showPicture();
            if (wanted.length > 0) {
                this.play();
            }
        }
    }
}
