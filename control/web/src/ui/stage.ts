/* The stage: a tile per person in a grid that uses the space best, own preview in the
 * corner (or large while nobody else is here). */
import type { Call, Person, RemoteMedia } from '../call/call';
import type { Kind } from '../call/protocol';
import { el } from './dom';
import { Tile } from './tile';

const ASPECT = 16 / 9;
const GAP = 12; /* px, as in style.css */
const VIEW_STEP = 40; /* px */

/* How many columns make `count` tiles of 16:9 largest in a box, and how wide one is
 * then. */
export function bestGrid(count: number, width: number, height: number): [number, number] {
    let best: [number, number] = [1, 0];

    for (let columns = 1; columns <= count; columns++) {
        const rows = Math.ceil(count / columns);
        const tileWidth = Math.min(
            (width - GAP * (columns - 1)) / columns,
            ((height - GAP * (rows - 1)) / rows) * ASPECT,
        );
        if (tileWidth > best[1]) {
            best = [columns, tileWidth];
        }
    }
    return best;
}

export class Stage {
    readonly element = el('main', { class: 'stage', 'aria-label': 'People in the call' });
    private readonly grid = el('div', { class: 'grid' });
    private readonly alone = el('p', { class: 'alone' });
    private readonly tiles = new Map<string, Tile>();
    private readonly own: Tile;
    private call: Call | undefined;

    constructor(private readonly onBlocked: () => void) {
        this.own = new Tile('self', true, () => undefined);
        this.element.append(this.grid, this.own.element, this.alone);
        new ResizeObserver(() => {
            this.layout();
            this.call?.setView(this.view(this.call));
        }).observe(this.element);
    }

    update(call: Call): void {
        this.call = call;
        this.own.update({
            name: call.options.name,
            note: '(you)',
            audio: undefined,
            video: call.preview,
            micOff: call.muted.audio,
            cameraOff: call.muted.video,
        });
        for (const [id, tile] of this.tiles) {
            if (!call.people.has(id)) {
                tile.element.remove();
                this.tiles.delete(id);
            }
        }
        for (const person of call.people.values()) {
            this.updatePerson(person);
        }
        this.element.classList.toggle('is-alone', this.tiles.size === 0);
        this.alone.textContent =
            call.state === 'joined'
                ? 'You are the only one here. Share the link to invite others.'
                : '';
        this.layout();
        call.setView(this.view(call));
    }

    /* Which pictures are shown, and how large (in pixels of the screen, rounded so that the
     * node is not told of every step of a window's edge). */
    private view(call: Call): { producer_id: string; width: number; height: number }[] {
        return [...call.people.values()].flatMap((person) => {
            const video = mediaOf(person, 'video');
            const box = this.tiles.get(person.id)?.element;
            const round = (size: number): number =>
                Math.ceil((size * window.devicePixelRatio) / VIEW_STEP) * VIEW_STEP;

            return video?.track === undefined || box === undefined
                ? []
                : [
                      {
                          producer_id: video.producerId,
                          width: round(box.clientWidth),
                          height: round(box.clientHeight),
                      },
                  ];
        });
    }

    /* Plays what the browser had held back; call it from a click. */
    playAll(): void {
        for (const tile of this.tiles.values()) {
            tile.play();
        }
    }

    private updatePerson(person: Person): void {
        let tile = this.tiles.get(person.id);

        if (tile === undefined) {
            tile = new Tile(person.id, false, this.onBlocked);
            this.tiles.set(person.id, tile);
            this.grid.append(tile.element);
        }
        const audio = mediaOf(person, 'audio');
        const video = mediaOf(person, 'video');
        tile.update({
            name: person.name,
            note: '',
            audio: audio?.track,
            video: video?.paused === false ? video.track : undefined,
            micOff: audio === undefined || audio.paused,
            cameraOff: video === undefined || video.paused,
        });
    }

    private layout(): void {
        const style = getComputedStyle(this.element);
        const width =
            this.element.clientWidth -
            parseFloat(style.paddingLeft) -
            parseFloat(style.paddingRight);
        const height =
            this.element.clientHeight -
            parseFloat(style.paddingTop) -
            parseFloat(style.paddingBottom);
        const [columns, tileWidth] = bestGrid(Math.max(1, this.tiles.size), width, height);

        this.grid.style.setProperty('--columns', String(columns));
        this.element.style.setProperty('--tile-width', `${Math.floor(tileWidth)}px`);
    }
}

/* The first running one of a kind, else the first; a screen before a camera. */
function mediaOf(person: Person, kind: Kind): RemoteMedia | undefined {
    const all = [...person.media.values()].filter((media) => media.kind === kind);
    const running = all.filter((media) => !media.paused);

    return (
        running.find((media) => media.source === 'screen' && media.track !== undefined) ??
        running[0] ??
        all[0]
    );
}
