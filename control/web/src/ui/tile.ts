/* One person's tile, or one screen's: picture or initials, name, and what is off.  Elements
 * are made once and changed in place, so that a playing video is never interrupted by a
 * redraw. */
import { words } from '../words';
import { el, face, icon, iconButton } from './dom';

export interface TileView {
    name: string;
    label: string; /* shown; the name with a note, or what the tile is of */
    audio: MediaStreamTrack | undefined;
    video: MediaStreamTrack | undefined; /* undefined while there is no picture to show */
    micOff: boolean;
    cameraOff: boolean;
    speaking: boolean;
    pinned: boolean;
    hand: number; /* place in the order, 0 without */
    media: { id: string; score: number }[]; /* what is received: producer, and 0 to 10 */
}

export interface TileActions {
    pin(): void;
    blocked(): void; /* the browser wants a click before it plays sound */
    figures(tile: Tile, on: boolean): void; /* its numbers are wanted: showFigures() */
}

const HUES = 12;
const GOOD = 8; /* of 10 */
const WEAK = 5;

export function initials(name: string): string {
    const parts = name.trim().split(/\s+/);
    const picked = parts.length > 1 ? [parts[0], parts[parts.length - 1]] : [parts[0]];

    return picked.map((part) => [...(part ?? '')][0]?.toUpperCase() ?? '').join('') || '?';
}

export function hueOf(name: string): number {
    let sum = 0;

    for (const char of name) {
        sum = (sum * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
    }
    return (sum % HUES) * (360 / HUES);
}

function flag(name: string, label: string): HTMLElement {
    return el(
        'span',
        { class: 'tile-flag', title: label },
        icon(name),
        el('span', { class: 'hidden' }, label),
    );
}

export class Tile {
    readonly element: HTMLElement;
    private readonly video = el('video', { autoplay: true, playsinline: true });
    private readonly avatar = el('span', { class: 'avatar', 'aria-hidden': 'true' });
    private readonly name = el('span', { class: 'tile-name' });
    private readonly micOff = flag('mic-off', words.tile.micOff);
    private readonly cameraOff = flag('camera-off', words.tile.cameraOff);
    private readonly hand = el('span', { class: 'tile-hand' });
    private readonly pin: HTMLButtonElement;
    private readonly quality: HTMLButtonElement;
    private readonly figures = el('p', { class: 'tile-figures', hidden: true });
    private readonly stream = new MediaStream();
    private shown: TileView | undefined;

    constructor(
        id: string,
        kind: 'own' | 'person' | 'screen',
        private readonly actions: TileActions,
    ) {
        const own = kind === 'own';

        this.video.muted = own;
        for (const event of ['resize', 'loadeddata', 'emptied']) {
            this.video.addEventListener(event, () => this.showPicture());
        }
        this.video.srcObject = this.stream;
        this.pin = iconButton('pin', '', () => actions.pin(), 'tile-button');
        this.quality = iconButton(
            'bars',
            '',
            () => {
                this.figures.hidden = !this.figures.hidden;
                this.quality.setAttribute('aria-expanded', String(!this.figures.hidden));
                this.figures.textContent = words.tile.noFigures;
                actions.figures(this, !this.figures.hidden);
            },
            'tile-button quality',
        );
        this.quality.setAttribute('aria-expanded', 'false');
        this.element = el(
            'article',
            { class: `tile ${kind}`, 'data-person': id },
            this.avatar,
            this.video,
            this.figures,
            el(
                'footer',
                { class: 'tile-bar' },
                this.hand,
                this.name,
                this.micOff,
                this.cameraOff,
            ),
        );
        if (!own) {
            this.element.append(el('div', { class: 'tile-tools' }, this.quality, this.pin));
        }
    }

    update(view: TileView): void {
        const speaking = view.speaking !== this.shown?.speaking;

        this.shown = view;
        this.name.textContent = view.label;
        this.avatar.textContent = initials(view.name);
        this.element.style.setProperty('--hue', String(hueOf(view.name)));
        this.element.setAttribute('aria-label', view.label);
        this.micOff.hidden = !view.micOff;
        this.cameraOff.hidden = !view.cameraOff;
        this.hand.hidden = view.hand === 0;
        if (view.hand > 0) {
            this.hand.replaceChildren(
                icon('hand'),
                el('span', { 'aria-hidden': 'true' }, String(view.hand)),
                el('span', { class: 'hidden' }, words.tile.hand(view.hand)),
            );
        }
        if (speaking) {
            this.element.classList.toggle('speaking', view.speaking);
        }
        face(
            this.pin,
            view.pinned ? 'pin-off' : 'pin',
            view.pinned ? words.tile.unpin(view.label) : words.tile.pin(view.label),
        );
        this.pin.setAttribute('aria-pressed', String(view.pinned));
        this.showQuality();
        this.setTracks(view);
    }

    /* Asks the browser again to play; call it from a click. */
    play(): void {
        this.video.play().catch((error: unknown) => {
            if (error instanceof DOMException && error.name === 'NotAllowedError') {
                this.actions.blocked();
            } /* AbortError: a new track came while it was starting, and plays itself */
        });
    }

    /* Which speaker it sounds from; empty is the browser's choice. */
    setSpeaker(id: string): void {
        const video: HTMLVideoElement & { setSinkId?: (id: string) => Promise<void> } =
            this.video;

        if (id !== '' && video.setSinkId !== undefined) {
            video.setSinkId(id).catch(() => undefined); /* unplugged: it goes on as it is */
        }
    }

    private showQuality(): void {
        const { media = [], label = '' } = this.shown ?? {};
        const score = Math.min(10, ...media.map((each) => each.score));
        const level = score >= GOOD ? 2 : score >= WEAK ? 1 : 0;

        this.quality.hidden = media.length === 0;
        this.quality.dataset['level'] = String(level);
        face(this.quality, 'bars', words.tile.quality(label, words.tile.levels[level] ?? ''));
    }

    /* By producer. */
    showFigures(lines: Map<string, string>): void {
        const own = (this.shown?.media ?? []).flatMap(({ id }) => lines.get(id) ?? []);

        this.figures.replaceChildren(
            ...(own.length > 0 ? own : [words.tile.noFigures]).map((line) => el('span', {}, line)),
        );
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
